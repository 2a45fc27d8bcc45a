"""The plan as a file: one spelling, two digests, and refusal of everything else."""

from __future__ import annotations

import json
import re
import stat
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recon.core.canonical import canonical_json, sha256_hex
from recon.core.model import Change, FieldChange, FieldView, Plan, ProofTerm, Tier, Verdict
from recon.files import FileThereError
from recon.plans.decoding import DecodedPlan, decode_plan
from recon.plans.file import (
    PlanFileError,
    effects_digest,
    is_picked,
    load_plan,
    parse_plan,
    plan_bytes,
    save_plan,
    seal_plan,
)
from tests.support.plans import a_change, a_finding, a_plan

AUTO = a_change(payment_id="665f1c2e9b1d8a0012345601", value_units=5)
LARGE = a_change(payment_id="665f1c2e9b1d8a0012345602", value_units=500, verdict=Verdict.ESCROW_DRIFT)
PICKABLE = a_change(payment_id="665f1c2e9b1d8a0012345603", verdict=Verdict.LATE_PAYMENT, tier=Tier.REVIEW)


@pytest.fixture
def plan() -> Plan:
    return seal_plan(replace(a_plan(), changes=(AUTO, LARGE, PICKABLE), parent=None, picked=()))


def test_a_plan_is_read_back_as_it_was_written(plan: Plan, tmp_path: Path) -> None:
    save_plan(plan, tmp_path / "plan.json")
    assert load_plan(tmp_path / "plan.json") == plan


def test_a_plan_is_never_written_over_and_is_its_owners_alone(plan: Plan, tmp_path: Path) -> None:
    path = tmp_path / "plans" / "plan.json"
    save_plan(plan, path)
    before = path.read_bytes()
    with pytest.raises(FileThereError):
        save_plan(seal_plan(replace(plan, changes=(AUTO,))), path)
    assert path.read_bytes() == before
    assert [stat.S_IMODE(each.stat().st_mode) for each in (path.parent, path)] == [0o700, 0o600]
    assert [each.name for each in path.parent.iterdir()] == ["plan.json"]


def test_amounts_are_text_in_the_file(plan: Plan) -> None:
    content = json.loads(plan_bytes(plan))
    assert all(isinstance(item["value"], str) for item in (*content["changes"], *content["findings"]))


@settings(max_examples=150, deadline=None)
@given(position=st.integers(min_value=0), byte=st.integers(min_value=0, max_value=255))
def test_any_changed_byte_is_refused(position: int, byte: int) -> None:
    data = bytearray(plan_bytes(seal_plan(replace(a_plan(), changes=(AUTO,)))))
    at = position % len(data)
    if data[at] == byte:
        return
    data[at] = byte
    with pytest.raises(PlanFileError, match="nothing was done with it"):
        parse_plan(bytes(data))


@settings(max_examples=60, deadline=None)
@given(size=st.integers(min_value=0))
def test_any_cut_plan_is_refused(size: int) -> None:
    data = plan_bytes(seal_plan(a_plan()))
    with pytest.raises(PlanFileError):
        parse_plan(data[: size % len(data)])


def test_a_plan_with_an_unknown_key_or_of_a_newer_format_is_refused(plan: Plan) -> None:
    text = plan_bytes(plan).decode()
    with pytest.raises(PlanFileError, match="changed after it was made"):
        parse_plan(text.replace('"kind":', '"colour":"red",\n"kind":').encode())
    with pytest.raises(PlanFileError, match="format 2 is not 1"):
        parse_plan(text.replace('"format":1', '"format":2').encode())


def test_a_file_that_is_no_plan_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("[]")
    with pytest.raises(PlanFileError, match="this is not a plan file"):
        load_plan(tmp_path / "a.json")
    with pytest.raises(PlanFileError, match="cannot be read"):
        load_plan(tmp_path / "nowhere.json")


def test_the_effects_digest_names_what_is_written_and_where_and_nothing_else(plan: Plan) -> None:
    assert effects_digest(replace(plan, created_at="2030-01-01T00:00:00.000Z", snapshot="other")) == plan.effects_digest
    moved = replace(AUTO, sets=(FieldChange("status", "pending", "failed"),))
    assert effects_digest(replace(plan, changes=(moved, LARGE, PICKABLE))) != plan.effects_digest
    elsewhere = replace(plan, target=replace(plan.target, name="another"))
    assert effects_digest(elsewhere) != plan.effects_digest


@pytest.mark.parametrize("tier", list(Tier))
@pytest.mark.parametrize("is_named", [False, True])
def test_a_correction_writes_what_is_automatic_and_what_was_picked_by_payment(tier: Tier, is_named: bool) -> None:
    change = replace(AUTO, tier=tier)
    plan = seal_plan(replace(a_plan(), changes=(change,), picked=(change.payment_id,) if is_named else ()))
    assert is_picked(plan, change) is (tier is Tier.AUTO or is_named)
    assert is_picked(replace(plan, kind="undo"), change), "an undo was reviewed row by row by whoever asked for it"
    written = replace(change, sets=(FieldChange("status", "pending", "failed"),))
    moves = effects_digest(replace(plan, changes=(written,))) != plan.effects_digest
    assert moves is is_picked(plan, change), "an approval is about what would be written, and about nothing else"


@settings(max_examples=60, deadline=None)
@given(
    ids=st.lists(st.one_of(st.text(max_size=3), st.integers(0, 120), st.sampled_from([{"$oid": "a"}, {"$oid": "ab"}])))
)
def test_the_effects_digest_is_that_of_all_effects_sorted_in_whatever_order_they_come(ids: list[Any]) -> None:
    changes = [replace(AUTO, document_id=each, payment_id=str(n)) for n, each in enumerate(ids)]
    plan = replace(a_plan(), changes=tuple(changes), picked=())
    lines = sorted(canonical_json([c.document_id, [[s.path, s.before, s.after] for s in c.sets]]) for c in changes)
    expected = sha256_hex(canonical_json([plan.kind, asdict(plan.target), lines]))
    assert effects_digest(plan) == expected
    assert effects_digest(replace(plan, changes=tuple(changes[::-1]))) == expected


def test_what_is_decoded_at_once_is_what_mappings_give(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    huge = {"$numberDecimal": "9" * 40}
    odd = a_change(
        payment_id="f" * 24,
        sets=(FieldChange("a", {"$recon": "missing"}, huge), FieldChange("b", None, [1.5, {"c": "ü"}])),
        proof=(ProofTerm(56, "0x" + "11" * 32, None, 7, None, False),),
        value_units=10**60,
        token=None,
    )
    findings = (
        a_finding(difference_units=-(10**50), fields=(FieldView("amount", None, "5"),), token=None),
        a_finding(),
    )
    data = plan_bytes(seal_plan(replace(plan, findings=findings, changes=(AUTO, odd))))
    at_once = parse_plan(data)
    assert isinstance(decode_plan(data).content["changes"][1], Change), "records, and not mappings"
    monkeypatch.setattr("recon.plans.file.decode_plan", lambda data: DecodedPlan(json.loads(data), {}))
    assert parse_plan(data) == at_once


def test_a_long_plan_with_a_few_odd_items_is_read_as_it_was_written(plan: Plan) -> None:
    findings = tuple(a_finding(payment_id=f"{n:024x}", reason="ü" if n == 1_500 else "plain") for n in range(2_500))
    whole = seal_plan(replace(plan, findings=findings))
    assert parse_plan(plan_bytes(whole)) == whole


@pytest.mark.parametrize(
    ("ours", "other"),
    [
        (b'"age_s":', b'"age_s": '),
        (b'"value":"', b'"value":"0'),
        (b'"findings":[', b'"more":1,"findings":['),
        (b'"reason":"', b'"reason":"x","reason":"'),
        (b'"tier":"review"', b'"ti\\u0065r":"review"'),
        (b'"set":[', b'"proof":[],"set":['),
        (b"},\n{", b"}, \n{"),
        (b"\n]\n}\n", b"\n]\n}\n\n"),
        (b"\n]\n}\n", b"\n]\n}"),
    ],
)
def test_another_spelling_with_a_digest_that_fits_is_refused(plan: Plan, ours: bytes, other: bytes) -> None:
    findings = tuple(a_finding(payment_id=f"{n:024x}") for n in range(3))
    data = plan_bytes(seal_plan(replace(plan, findings=findings)))
    assert data.count(ours) and _with_its_digest(data) == data
    head, _, tail = data.rpartition(ours)
    with pytest.raises(PlanFileError, match="changed after it was made"):
        parse_plan(_with_its_digest(head + other + tail))


def _with_its_digest(data: bytes) -> bytes:
    """The bytes with the digest that fits them."""
    bare = re.sub(rb'"digest":"\w*"', b'"digest":""', data, count=1)
    return bare.replace(b'"digest":""', b'"digest":"%b"' % sha256_hex(bare).encode(), 1)


@pytest.mark.parametrize(
    ("part", "word", "why"),
    [("findings", "severity", "ValueError"), ("changes", "verdict", "KeyError"), ("findings", "value", "ValueError")],
)
def test_a_part_of_a_wrong_type_is_told_as_before(plan: Plan, part: str, word: str, why: str) -> None:
    content = json.loads(plan_bytes(plan))
    content[part][0][word] = "nothing"
    with pytest.raises(PlanFileError, match=rf"a part is missing or of a wrong type \({why}\)"):
        parse_plan(json.dumps(content).encode())
