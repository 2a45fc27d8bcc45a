"""A backfill only inserts, runs again without harm, is taken back, and never says complete while a row is missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from bson import Decimal128, ObjectId

from recon.core.model import Plan, Policy
from recon.core.registry import load_registry
from recon.core.values import ABSENT, value_at
from recon.plans.backfill import (
    EXTERNAL_PATH,
    NOTE_PATH,
    REFERENCE_PATH,
    BackfillPlanner,
    Completeness,
    ReferenceTemplateError,
    completeness_json,
)
from recon.plans.file import load_plan, plan_bytes, save_plan
from recon.reports.views.operations import render_backfill
from recon.runs.guard import without_marks
from recon.runs.states import Result
from recon.runs.undo import plan_undo
from recon.setup.open_backfill import plan_backfill
from recon.setup.settings import load_settings
from recon.sources.payments.documents import DocumentReader
from recon.sources.payments.fields import FieldPaths
from tests.support.applying import NOW, World, a_document, a_target, a_world

if TYPE_CHECKING:
    from pymongo.database import Database

COMPLETE_ROW = {"source": "payments", "complete": True}


def a_reader() -> DocumentReader:
    return DocumentReader(fields=FieldPaths.with_overrides({}), registry=load_registry(), policy=Policy())


def legacy(number: int, **given: Any) -> dict[str, Any]:
    return a_document(number, **({"provider": "shkeeper", "metadata": {"externalId": f"e{number}"}} | given))


def planned(documents: Iterable[Mapping[str, Any]], **given: Any) -> BackfillPlanner:
    planner = BackfillPlanner(a_reader(), **given)
    for document in documents:
        planner.add(document)
    return planner


def plan_of(planner: BackfillPlanner, world: World | None = None) -> Plan:
    target = world.target if world else a_target(_Nowhere())  # type: ignore[arg-type]
    return planner.plan(target=target, policy_digest="p" * 64, now=NOW, coverage=[COMPLETE_ROW])


class _Nowhere:
    def identity(self) -> Any:
        from recon.sources.interface import StoreIdentity

        return StoreIdentity(("h",), "d", "payments", "u")


def sets_of(plan: Plan) -> list[dict[str, Any]]:
    return [{item.path: item.after for item in change.sets} for change in plan.changes]


def test_a_legacy_payment_gets_its_reference_its_id_and_a_note() -> None:
    plan = plan_of(planned([legacy(1, metadata={"externalId": "order-7"})]))
    assert sets_of(plan) == [
        {
            EXTERNAL_PATH: "order-7",
            REFERENCE_PATH: "funds:template-checkout-1:USDC",
            NOTE_PATH: "legacy SHKeeper payment, mapped by recon backfill",
        }
    ]
    assert all(item.before == {"$recon": "missing"} for item in plan.changes[0].sets)
    assert {term.path for term in plan.changes[0].guard} > {"provider", "metadata.externalId"}
    assert plan.kind == "backfill"


def test_other_rails_and_test_payments_get_none() -> None:
    planner = planned([a_document(1), legacy(2, isTest=True), legacy(3)])
    found = planner.completeness(read_wholly=True)
    assert (found.rows, found.tests, found.planned, found.unaccounted) == (2, 1, 1, 1)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"metadata": {"externalId": "e", "providers": []}}, "holds no object at metadata.providers"),
        ({"metadata": {"externalId": "e", "providers": {"shkeeper": "x"}}}, "no object at metadata.providers.shkeeper"),
        ({"metadata": None}, "holds no object at metadata"),
        ({"metadata": {"recon": 1}}, "holds no object at metadata.recon"),
        ({"metadata": {"providers": {"shkeeper": {"fundsAccount": "other"}}}}, "another value at metadata.providers"),
        ({"metadata": {"providers": {"shkeeper": {"fundsAccount": None}}}}, "another value at metadata.providers"),
        ({"purchaseRequestId": ABSENT}, "has no order_id"),
        ({"purchaseRequestId": "x" * 300}, "too long"),
        ({"purchaseRequestId": "a\nb"}, "control characters"),
    ],
)
def test_a_row_that_something_stands_in_the_way_of_is_left_with_its_reason(given: dict[str, Any], why: str) -> None:
    plan = plan_of(planned([legacy(1, **given)]))
    assert plan.changes == ()
    assert why in plan.left_alone[0].reason
    assert not plan.summary["completeness"]["complete"]


def test_two_rows_with_one_shkeeper_id_are_both_left() -> None:
    twins = [legacy(n, metadata={"externalId": "same"}) for n in (1, 2, 3)]
    plan = plan_of(planned([*twins, legacy(4)]))
    assert len(plan.changes) == 1
    assert len(plan.left_alone) == 3
    assert plan.summary["completeness"]["left_alone"] == {"shares its SHKeeper id with another row": 3}


def test_what_is_there_already_is_kept_and_what_is_missing_is_added() -> None:
    there = {"externalId": "e1", "providers": {"shkeeper": {"note": "by hand"}}}
    plan = plan_of(planned([legacy(1, metadata=there)]))
    assert set(sets_of(plan)[0]) == {EXTERNAL_PATH, REFERENCE_PATH}


@pytest.mark.parametrize(
    "template", ["funds", "{", "{nothing}", "{order_id!r}", "{order_id:>9}", "{0}", "{}", "{order_id.x}"]
)
def test_a_pattern_that_cannot_be_used_is_refused(template: str) -> None:
    with pytest.raises(ReferenceTemplateError, match="nothing was planned"):
        BackfillPlanner(a_reader(), reference=template)


def test_another_pattern_and_note_can_be_configured() -> None:
    plan = plan_of(planned([legacy(1)], reference="acc/{external_id}/{chain_id}", note="moved"))
    assert sets_of(plan)[0][REFERENCE_PATH] == "acc/e1/56"
    assert sets_of(plan)[0][NOTE_PATH] == "moved"


@pytest.mark.parametrize(
    ("rows", "mapped", "tests", "read_wholly", "complete"),
    [
        (3, 3, 0, True, True),
        (3, 2, 1, True, True),
        (3, 2, 0, True, False),
        (3, 3, 0, False, False),
        (2, 0, 2, True, True),
        (0, 0, 0, True, False),
    ],
)
def test_complete_is_said_only_when_every_row_is_mapped_and_all_were_read(
    rows: int, mapped: int, tests: int, read_wholly: bool, complete: bool
) -> None:
    left = rows - mapped - tests
    found = Completeness(rows, mapped, left, {}, tests, read_wholly)
    assert found.is_complete is complete
    assert found.says.startswith("Complete:") is complete
    assert ("omplete" in found.says) is complete
    assert completeness_json(found)["complete"] is complete


def test_the_plan_is_a_plan_file_and_the_same_input_in_any_order_gives_the_same_bytes(tmp_path: Path) -> None:
    documents = [legacy(n) for n in range(9)]
    plan = plan_of(planned(documents))
    assert plan_bytes(plan) == plan_bytes(plan_of(planned(reversed(documents))))
    save_plan(plan, tmp_path / "plan.json")
    assert load_plan(tmp_path / "plan.json") == plan


DOCUMENTS = [
    legacy(1),
    legacy(2, status="completed", metadata={"shkeeper": {"externalId": "e2"}, "providers": {"other": {"x": 1}}}),
    legacy(3, amount={"amount": Decimal128("12.50"), "currency": "USDT"}, metadata=ABSENT),
    legacy(4, _id="a-text-id", metadata={}),
    legacy(5, provider="ShKeeper", direction="out"),
    legacy(6, metadata={"providers": ["array"]}),
    a_document(7),
]


def test_apply_inserts_only_and_undo_gives_every_document_back(mongo_database: Database[dict[str, Any]]) -> None:
    world = a_world(mongo_database, DOCUMENTS)
    before = {str(document["_id"]): document for document in world.documents()}
    plan = plan_of(planned(world.documents()), world)
    report = world.apply(plan)
    assert report.counts == {Result.APPLIED: 5}
    for document in world.documents():
        first = before[str(document["_id"])]
        has = value_at(document, REFERENCE_PATH) is not ABSENT
        assert has is (str(document["_id"]) in {change.payment_id.strip('"') for change in plan.changes})
        stripped = without_marks(document, created_metadata="metadata" not in first)
        own = dict(stripped.get("metadata") or {}) if isinstance(stripped.get("metadata"), dict) else {}
        providers = {k: v for k, v in dict(own.pop("providers", {}) or {}).items() if k != "shkeeper"} if has else {}
        assert {k: v for k, v in stripped.items() if k != "metadata"} == {
            k: v for k, v in without_marks(first, created_metadata=False).items() if k != "metadata"
        }
        if has and isinstance(first.get("metadata"), dict):
            assert own | ({"providers": providers} if providers else {}) == first["metadata"]
    again = planned(world.documents())
    found = again.completeness(read_wholly=True)
    assert (found.rows, found.mapped, found.planned, found.unaccounted) == (6, 5, 0, 1)
    assert not found.is_complete
    undo = plan_undo(world.journal, run=str(report.run), target=world.target, now=NOW)
    assert world.apply(undo).counts == {Result.APPLIED: 5}
    world.before = [before[str(document["_id"])] for document in world.documents()]
    assert list(world.raw().values()) == [_bytes(document) for document in world.before]


def _bytes(document: Mapping[str, Any]) -> bytes:
    import bson

    return bson.encode(without_marks(document, created_metadata=False))


def test_a_row_that_got_a_reference_meanwhile_is_not_written_over(mongo_database: Database[dict[str, Any]]) -> None:
    world = a_world(mongo_database, [legacy(1), legacy(2)])
    plan = plan_of(planned(world.documents()), world)
    key = {"_id": DOCUMENTS[0]["_id"]}
    world.database.payments.update_one(key, {"$set": {REFERENCE_PATH: "by somebody else"}})
    assert world.apply(plan).counts == {Result.APPLIED: 1, Result.MOVED: 1}
    assert value_at(dict(world.database.payments.find_one(key) or {}), REFERENCE_PATH) == "by somebody else"


def test_the_plan_of_a_real_database_accounts_for_every_row(
    mongo_database: Database[dict[str, Any]], mongod: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mongo_database.payments.insert_many([dict(document) for document in DOCUMENTS])
    monkeypatch.setenv("RECON_MONGO_URI", mongod.uri)
    config = f'[target]\nname = "test"\n[mongo]\ndatabase = "{mongo_database.name}"\ncollection = "payments"\n'
    (tmp_path / "recon.toml").write_text(config)
    plan, found = plan_backfill(load_settings(tmp_path / "recon.toml"), now=datetime(2026, 11, 20, tzinfo=UTC))
    assert (found.rows, found.planned, sum(found.left.values()), found.read_wholly) == (6, 5, 1, True)
    assert {change.payment_id for change in plan.changes} == {
        *(str(ObjectId(f"{n + 1:024x}")) for n in (1, 2, 3, 5)), "a-text-id",
    }  # fmt: skip
    report = render_backfill(plan, found, path="p.json", config=None)
    assert report.next_steps[0].startswith("Nothing has changed. To do it: recon apply p.json")
    assert report.facts[0].alarm
