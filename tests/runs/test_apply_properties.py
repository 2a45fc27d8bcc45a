"""Whatever documents hold and plans set: apply then undo is identity, and a plan is what it was or refused."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from bson import Binary, Decimal128, Int64, ObjectId
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recon.core.ids import payment_id_text
from recon.core.model import CLOSED, COMPLETE, OPEN, Change
from recon.core.values import ABSENT, to_extended, value_at
from recon.plans.file import PlanFileError, parse_plan, plan_bytes
from recon.runs.states import Result
from recon.runs.undo import plan_undo
from tests.support.applying import NOW, a_change, a_plan, a_world
from tests.support.plans import a_plan as a_rich_plan

if TYPE_CHECKING:
    from pymongo.database import Database

    Store = Database[dict[str, Any]]


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**31), 2**31 - 1),
    st.integers(-(2**62), 2**62).map(Int64),
    st.floats(),
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12),
    st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-(10**6), max_value=10**6).map(Decimal128),
    st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)).map(  # noqa: DTZ001 - bounds
        lambda at: at.replace(microsecond=at.microsecond // 1000 * 1000)
    ),
    st.binary(max_size=8).map(lambda data: Binary(data, 5)),
    st.just(ObjectId("665f1c2e9b1d8a0012345678")),
)
MAYBE = st.one_of(st.just(ABSENT), SCALARS)
METADATA = st.one_of(
    st.just(ABSENT),
    st.just({}),
    st.dictionaries(st.sampled_from(["a", "z", "notes"]), st.one_of(SCALARS, st.just([1]), st.just({"x": 1}))),
)
PATHS = (
    "status", "escrowState", "disputed", "blockchain.transactionHash", "blockchain.confirmations", "fresh.deep.leaf",
    "fresh.other",
)  # fmt: skip
DOCUMENTS = st.fixed_dictionaries(
    {
        "order": st.permutations(["status", "escrowState", "updatedAt", "__v", "metadata", "blockchain", "extra"]),
        "values": st.fixed_dictionaries(
            {
                "status": MAYBE,
                "escrowState": MAYBE,
                "updatedAt": MAYBE,
                "__v": MAYBE,
                "metadata": METADATA,
                "blockchain": st.one_of(
                    st.just(ABSENT),
                    st.just({}),
                    st.dictionaries(st.sampled_from(["confirmations", "transactionHash", "network"]), SCALARS),
                ),
                "extra": st.one_of(MAYBE, st.just([{"a": 1}])),
            }
        ),
        "sets": st.dictionaries(st.sampled_from(PATHS), SCALARS, min_size=1),
    }
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drawn=st.lists(DOCUMENTS, min_size=1, max_size=8))
def test_apply_then_undo_is_identity_and_outcomes_are_the_effects(mongo_database: Store, drawn: list[Any]) -> None:
    """Whatever a document holds, in whatever order and types, and whatever is set."""
    documents, sets = [], []
    for number, each in enumerate(drawn):
        values = {key: each["values"][key] for key in each["order"] if each["values"][key] is not ABSENT}
        documents.append({"_id": number, **values})
        sets.append(each["sets"])
    for name in ("payments", "recon_journal", "recon_lease"):
        mongo_database[name].delete_many({})
    world = a_world(mongo_database, documents)
    changes = []
    for document, wanted in zip(world.documents(), sets, strict=True):
        ended = document.get("status") in (*COMPLETE, *CLOSED) and wanted.get("status") in OPEN
        if not ended:
            changes.append(a_change(document, sets=wanted, guarded=("escrowState", "extra.deep")))
    plan = a_plan(world.target, changes)
    start = world.raw()
    report = world.apply(plan, in_flight=2)
    assert set(report.counts) <= {Result.APPLIED, Result.ALREADY, Result.MOVED}
    after = {payment_id_text(document["_id"]): document for document in world.documents()}
    for change, row in zip(plan.changes, report.rows, strict=True):
        if row.result is Result.APPLIED:
            stored = after[change.payment_id]
            assert {s.path: s.after for s in change.sets} == {
                s.path: to_extended(value_at(stored, s.path)) for s in change.sets
            }
        elif row.result is Result.MOVED:
            assert "extra" in after[change.payment_id], "only a parent that is no object keeps a row from its change"
    if Result.APPLIED not in report.counts:
        return
    undo = plan_undo(world.journal, run=str(report.run), target=world.target, now=NOW)
    assert parse_plan(plan_bytes(undo)) == undo
    undone = world.apply(undo, in_flight=2)
    assert set(undone.counts) <= {Result.APPLIED}
    assert world.raw() == start
    back = world.apply(plan_undo(world.journal, run=str(undone.run), target=world.target, now=NOW), in_flight=2)
    assert set(back.counts) == {Result.APPLIED}
    for change, row in zip(plan.changes, report.rows, strict=True):
        if row.result is Result.APPLIED:
            stored = mongo_database.payments.find_one({"_id": int(json_id(change))})
            assert stored is not None
            assert {s.path: s.after for s in change.sets} == {
                s.path: to_extended(value_at(stored, s.path)) for s in change.sets
            }


def json_id(change: Change) -> str:
    return str(change.document_id["$numberInt"])


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_random_edit_of_any_plan_byte_is_refused(data: st.DataObject) -> None:
    content = plan_bytes(a_rich_plan())
    at = data.draw(st.integers(0, len(content) - 1))
    kind = data.draw(st.sampled_from(["replace", "delete", "insert", "cut"]))
    byte = bytes([data.draw(st.integers(0, 255))])
    edited = {
        "replace": content[:at] + byte + content[at + 1 :],
        "delete": content[:at] + content[at + 1 :],
        "insert": content[:at] + byte + content[at:],
        "cut": content[:at],
    }[kind]
    if edited == content:
        assert parse_plan(edited) == a_rich_plan()
    else:
        with pytest.raises(PlanFileError):
            parse_plan(edited)
