"""Each rail's list of traps, at the head of its tests, names tests that are there: a trap without one is not held."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[2]
LISTS = ("monero", "relayr", "whmcs", "salesforce")
LEAST = {"monero": 18, "relayr": 25, "whmcs": 20, "salesforce": 20}
HELD_ELSEWHERE = ("which recon never makes", "the look-alike refuses anything else")
"""What a list may say instead of a test."""


def list_of(rail: str) -> list[str]:
    """The lines of a rail's list."""
    path = TESTS / "sources" / "providers" / f"test_{rail}.py"
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    found = re.search(r"^=+ =+\n(.*?)^=+ =+$", text, re.DOTALL | re.MULTILINE)
    assert found is not None, f"{path.name} begins with no list"
    return [line for line in found[1].splitlines() if line.strip()]


def named_in(*folders: str) -> set[str]:
    paths = [path for folder in folders for path in (TESTS / folder).rglob("test_*.py")]
    return {
        node.name
        for path in paths
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


@pytest.mark.parametrize("rail", LISTS)
def test_every_trap_of_a_rail_names_a_test_that_is_there(rail: str) -> None:
    there = named_in("sources", "verdicts", "end_to_end", "simulation", "investigation", "core", "plans")
    lines = list_of(rail)
    assert len(lines) >= LEAST[rail], "a trap was taken out of the list"
    end_to_end = "".join(path.read_text(encoding="utf-8") for path in (TESTS / "end_to_end").glob("test_*.py"))
    end_to_end += "".join(path.read_text(encoding="utf-8") for path in (TESTS / "support").glob("*.py"))
    for line in lines:
        named = re.findall(r"test_\w+", line)
        cases = [each for said in re.findall(r"end to end: ([\w, ]+)", line) for each in said.split(", ")]
        held = named or cases or any(words in line for words in HELD_ELSEWHERE) or "the same" in line
        assert held, f"no test holds: {line}"
        assert set(named) <= there, f"{set(named) - there} is not there: {line}"
        for case in cases:
            assert re.search(rf"[\"']{case.strip()}[\"']", end_to_end), f"no case {case!r}: {line}"
