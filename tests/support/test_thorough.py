"""What is left to the night is never the only test of anything."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import pytest

from tests.support.thorough import AT_NIGHT, BY_TURNS, OTHERS, SHARES, USUAL, is_thorough, left_to_the_night

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("file", BY_TURNS)
def test_every_test_whose_engines_take_turns_is_judged_by_the_usual_one(file: str) -> None:
    listed = [
        ast.literal_eval(node)
        for node in ast.walk(ast.parse((ROOT / file).read_text(encoding="utf-8")))
        if isinstance(node, ast.List | ast.Tuple)
        and node.elts
        and all(isinstance(each, ast.Constant) and each.value in (USUAL, *OTHERS[:2]) for each in node.elts)
    ]
    assert listed, "no list of engines stands there any more"
    assert all(USUAL in engines for engines in listed)


def test_a_case_is_judged_by_the_usual_engine_and_by_one_other_at_most() -> None:
    counted: Counter[str] = Counter()
    for number in range(300):
        in_turn = [
            engine
            for engine in (USUAL, "duckdb", "pandas")
            if not is_thorough(f"{BY_TURNS[0]}::test_it[{number}-{engine}]", {"engine": engine})
        ]
        assert in_turn[0] == USUAL
        assert len(in_turn) <= 2
        counted.update(in_turn)
    assert min(counted.values()) > 80


def test_what_names_no_engine_or_lies_elsewhere_is_never_left_out() -> None:
    assert not is_thorough(f"{BY_TURNS[0]}::test_it[1]", {"number": 1})
    assert not is_thorough("tests/verdicts/test_engine.py::test_it[pandas]", {"engine": "pandas"})
    assert not is_thorough("tests/verdicts/test_engine.py::test_it[duckdb]", {"engine": "duckdb"})


@pytest.mark.parametrize("name", AT_NIGHT)
def test_what_is_run_at_night_only_is_a_test_and_is_left_out(name: str) -> None:
    assert (ROOT / name.partition("::")[0]).exists()
    assert is_thorough(f"{name}::test_it", {})


@pytest.mark.parametrize("name", SHARES)
def test_every_listed_name_is_a_test(name: str) -> None:
    file, _, test = name.partition("::")
    assert f"def {test}" in (ROOT / file).read_text(encoding="utf-8")


def test_of_so_many_cases_the_first_is_run_each_time() -> None:
    name, share = next(iter(SHARES.items()))
    cases = [f"{name}[{number}]" for number in range(2 * share + 1)]
    left = left_to_the_night([*cases, "tests/core/test_money.py::test_any[1]", "tests/core/test_money.py::test_any[2]"])
    assert [case for case in cases if case not in left] == [cases[0], cases[share], cases[2 * share]]
    assert left < set(cases)
