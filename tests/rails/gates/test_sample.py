"""The manual sample is drawn the same way by everybody, spread over verdicts and sizes, and signed by two people."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recon.core.people import OddNameError, Person, person_key
from recon.plans.approvals import DecisionTerms
from recon.rails.gates.sample import (
    CheckedSign,
    Sample,
    SampleCandidate,
    SampleError,
    SampleTooSmallError,
    SignedTwiceError,
    SignOffError,
    check_sign_offs,
    draw_sample,
    load_sample,
    load_sign_offs,
    make_sample,
    save_sample,
    save_sign_off,
    sign_sample,
)
from tests.support.plans import a_plan

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
MANY = [
    SampleCandidate(f"p{n:04d}", verdict, value_units=10 ** (n % 6) * 5, decimals=0, symbol="USDC", reason="because")
    for n, verdict in enumerate(["in_sync"] * 900 + ["local_behind"] * 60 + ["unproven"] * 39 + ["reorged"])
]


def drawn(size: int = 10, seed: int = 1) -> Sample:
    return make_sample(MANY, provider="request_network", size=size, seed=seed, plan=a_plan(), now=NOW)


def all_right(sample: Sample) -> dict[str, str]:
    return {row.payment_id: "right" for row in sample.rows}


@settings(max_examples=30, deadline=None)
@given(st.randoms(use_true_random=False), st.integers(1, 40), st.integers())
def test_the_order_of_the_candidates_does_not_matter_and_no_payment_comes_twice(
    random: object, size: int, seed: int
) -> None:
    shuffled = list(MANY)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    rows = draw_sample(shuffled + shuffled[:5], size=size, seed=seed)
    assert rows == draw_sample(MANY, size=size, seed=seed)
    assert len({row.payment_id for row in rows}) == size


def test_another_seed_draws_other_rows() -> None:
    assert draw_sample(MANY, size=10, seed=1) != draw_sample(MANY, size=10, seed=2)


@settings(max_examples=30, deadline=None)
@given(st.integers())
def test_every_verdict_is_in_the_sample_and_many_sizes_are(seed: int) -> None:
    rows = draw_sample(MANY, size=10, seed=seed)
    assert {row.verdict for row in rows} == {"in_sync", "local_behind", "unproven", "reorged"}
    by_verdict = Counter(row.verdict for row in rows)
    assert by_verdict["reorged"] == 1
    assert max(by_verdict.values()) <= 4
    for verdict in ("in_sync", "local_behind", "unproven"):
        bands = [row.band for row in rows if row.verdict == verdict]
        assert len(bands) == len(set(bands))


def test_all_of_them_can_be_drawn_and_one_more_cannot() -> None:
    assert len(draw_sample(MANY[:12], size=12, seed=1)) == 12
    for size in (13, 0, -1):
        with pytest.raises(SampleTooSmallError, match="12 payments can be drawn from"):
            draw_sample(MANY[:12], size=size, seed=1)


@pytest.mark.parametrize(
    ("units", "decimals", "band"),
    [(9_999_999, 6, "under 10"), (10_000_000, 6, "10 to 100"), (10**22, 18, "10000 and over"),
     (None, 6, "amount unknown"), (5, None, "amount unknown"), (0, 0, "under 10"),
     (9999 * 10**18, 18, "1000 to 10000")],
)  # fmt: skip
def test_the_size_of_a_payment_is_counted_in_whole_tokens(units: int | None, decimals: int | None, band: str) -> None:
    assert SampleCandidate("p", "in_sync", value_units=units, decimals=decimals).band == band


def test_two_people_sign_and_both_are_kept(tmp_path: Path) -> None:
    sample = drawn()
    save_sample(sample, tmp_path / "sample.json")
    assert load_sample(tmp_path / "sample.json") == sample
    for operator in ("Ada Lovelace", "Grace Hopper"):
        signs = check_sign_offs(sample, load_sign_offs(tmp_path / "sample.json"), terms=DecisionTerms(), now=NOW)
        notes = {sample.rows[0].payment_id: "looked at the explorer", "unknown": "dropped"}
        sign = sign_sample(sample, signs, operator=operator, findings=all_right(sample), notes=notes, now=NOW)
        assert save_sign_off(sign, tmp_path / "sample.json").exists()
    signed = load_sign_offs(tmp_path / "sample.json")
    assert [sign.operator for sign in signed] == ["Ada Lovelace", "Grace Hopper"]
    assert signed[0].notes == {sample.rows[0].payment_id: "looked at the explorer"}


@pytest.mark.parametrize("again", ["ada lovelace", " Ada  Lovelace ", "ADA LOVELACE", "AdaLovelace", "Ada L0veIace"])
def test_the_same_person_does_not_sign_twice_under_any_spelling(again: str) -> None:
    sample = drawn()
    first = sign_sample(sample, [], operator="Ada Lovelace", findings=all_right(sample), notes={}, now=NOW)
    with pytest.raises(SignedTwiceError, match="must be another person's"):
        sign_sample(
            sample,
            [CheckedSign(first, Person(first.operator))],
            operator=again,
            findings=all_right(sample),
            notes={},
            now=NOW,
        )


def test_a_sign_off_of_another_sample_does_not_stand_in_the_way() -> None:
    first, second = drawn(seed=1), drawn(seed=2)
    sign = sign_sample(first, [], operator="Ada", findings=all_right(first), notes={}, now=NOW)
    assert sign_sample(
        second, [CheckedSign(sign, Person("Ada"))], operator="Ada", findings=all_right(second), notes={}, now=NOW
    )


def test_a_sign_off_must_name_somebody_and_say_right_or_wrong_of_every_row() -> None:
    sample = drawn()
    good = all_right(sample)
    missing = dict(list(good.items())[1:])
    for operator, findings, says in (
        ("", good, "needs the name"),
        (" \t", good, "needs the name"),
        ("x" * 101, good, "needs the name"),
        ("Ada", missing, "and 0 more of 10 rows"),
        ("Ada", good | {"other": "right"}, "not in the sample"),
        ("Ada", good | {sample.rows[0].payment_id: "maybe"}, "must be right or wrong"),
    ):
        with pytest.raises(SignOffError, match=says):
            sign_sample(sample, [], operator=operator, findings=findings, notes={}, now=NOW)


@pytest.mark.parametrize("name", ["\uff21da", "Ada\x1b[2J", "A\u0434a", "Ad\u200ba", "Ada\u115f"])
def test_a_name_that_looks_like_another_signs_nothing(name: str) -> None:
    sample = drawn()
    with pytest.raises(OddNameError, match="nothing was recorded"):
        sign_sample(sample, [], operator=name, findings=all_right(sample), notes={}, now=NOW)


def test_touched_files_are_refused(tmp_path: Path) -> None:
    sample = drawn()
    path = tmp_path / "sample.json"
    save_sample(sample, path)
    sign = sign_sample(sample, [], operator="Ada", findings=all_right(sample), notes={}, now=NOW)
    signed = save_sign_off(sign, path)
    for file, load in ((path, load_sample), (signed, lambda _: load_sign_offs(path))):
        good = file.read_text()
        content = json.loads(good)
        changed = good.replace('"right"', '"wrong"', 1) if file is signed else good.replace("in_sync", "reorged", 1)
        for text in (changed, good[:-9], "[]", json.dumps(content | {"extra": 1}), "[" * 90_000, ""):
            file.write_text(text)
            with pytest.raises(SampleError):
                load(file)  # type: ignore[operator]
        file.write_text(good)
    with pytest.raises(SampleError, match="cannot be read"):
        load_sample(tmp_path / "none.json")


def test_a_file_that_is_there_is_never_replaced(tmp_path: Path) -> None:
    sample = drawn()
    path = tmp_path / "sample.json"
    save_sample(sample, path)
    with pytest.raises(SampleError, match="there already and is kept"):
        save_sample(drawn(seed=2), path)
    assert load_sample(path) == sample
    sign = sign_sample(sample, [], operator="Ada", findings=all_right(sample), notes={}, now=NOW)
    first = save_sign_off(sign, path)
    kept = first.read_bytes()
    assert save_sign_off(sign, path) != first
    assert first.read_bytes() == kept


def test_people_are_told_apart_by_what_their_names_say() -> None:
    assert person_key("Zoë") == person_key("Zoe\u0308") != person_key("Zoe")
