"""A simulated world in a real database: planned, applied, and then every document equals the truth."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from bson import json_util

from recon.config import Settings, load_settings
from recon.guard import without_marks
from recon.ids import payment_id_text
from recon.model import Plan
from recon.opening import open_sources
from recon.plan import make_plan
from recon.planfile import select_changes
from recon.score import score
from recon.simulate import World, generate_world, write_world
from recon.simulate.documents import extended
from recon.snapshot import take_snapshot
from recon.sources.mongo import MongoSettings, MongoStore
from recon.writing import Result
from tests.applying import connect
from tests.worlds import said

if TYPE_CHECKING:
    from pymongo.database import Database

    from tests.servers import Mongod


class Live:
    """A world whose payments are in a real database, while its providers and chains are recorded."""

    def __init__(self, world: World, folder: Path, *, uri: str, database: Database[dict[str, Any]]) -> None:
        self.world, self.folder, self.uri, self.database = world, folder, uri, database
        write_world(world, folder / "world")
        database.payments.insert_many([dict(document) for document in world.recorded.payments])

    def plan(self, name: str) -> Plan:
        settings: Settings = load_settings(self.folder / "world" / "recon.toml")
        policy, registry = settings.policy(), settings.registry()
        store = MongoStore(MongoSettings(uri=self.uri, database=self.database.name, registry=registry))
        with closing(store), open_sources(settings) as sources:
            snapshot = take_snapshot(
                replace(sources, store=store),
                selection=settings.selection(),
                policy=policy,
                registry=registry,
                now=settings.now(),
                out=self.folder / name,
            )
        return make_plan(snapshot, policy=policy, registry=registry)


def text(document: Mapping[str, Any]) -> str:
    """A document with its number types, whatever the order of its fields."""
    return json.dumps(extended(dict(document)), sort_keys=True)


def as_it_should_be(document: Mapping[str, Any], sets: Mapping[str, Any] | None) -> dict[str, Any]:
    """A document with the after-values of the truth."""
    wanted: dict[str, Any] = json_util.loads(
        json.dumps(extended(dict(document))), json_options=json_util.JSONOptions(json_mode=2, tz_aware=True)
    )
    for path, value in (sets or {}).items():
        node = wanted
        *parents, last = path.split(".")
        for parent in parents:
            node = node.setdefault(parent, {})
        node[last] = (
            json_util.object_hook(value, json_util.JSONOptions(json_mode=2)) if isinstance(value, dict) else value
        )
    return without_marks(wanted, created_metadata=False)


@pytest.mark.parametrize("seed", [71, 72])
def test_after_an_apply_every_document_equals_the_truth(
    seed: int, mongod: Mongod, mongo_database: Database[dict[str, Any]], tmp_path: Path
) -> None:
    world = generate_world(payments=500, seed=seed)
    live = Live(world, tmp_path, uri=mongod.uri, database=mongo_database)
    before = {payment_id_text(document["_id"]): document for document in world.recorded.payments}
    plan = live.plan("first")
    found = score(plan, world.truths)
    assert not found.wrong_writes, said(found)

    everything = select_changes(plan, payments=[change.payment_id for change in plan.changes])
    writing = connect(mongo_database, [])
    writing.target = plan.target
    report = writing.apply(everything, accept_unhealthy="a world full of breaks")
    assert {row.result for row in report.rows} == {Result.APPLIED} and report.stopped is None

    due = {truth.payment_id: truth.sets for truth in world.truths}
    after = {payment_id_text(document["_id"]): document for document in mongo_database.payments.find()}
    assert set(after) == set(before)
    for payment_id, document in after.items():
        first = before[payment_id]
        kept = without_marks(document, created_metadata="metadata" not in first)
        assert text(kept) == text(as_it_should_be(first, due[payment_id])), payment_id

    again = live.plan("second")
    assert again.changes == (), [change.payment_id for change in again.changes]
