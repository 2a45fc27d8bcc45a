"""One world in MongoDB, SQLite and PostgreSQL gives one plan, byte for byte."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from recon.core.model import Target
from recon.plans.file import plan_bytes
from recon.plans.make import make_plan
from recon.setup.open_sources import open_sources
from recon.setup.settings import load_settings
from recon.simulation import generate_world, write_world
from recon.snapshots.take import take_snapshot
from recon.sources.interface import DocumentStore, StoreIdentity
from recon.sources.payments.mongo import MongoSettings, MongoStore
from recon.sources.payments.sql.section import SqlSection
from tests.support.applying import resealed
from tests.support.sql_columns import plainly, section_and_columns
from tests.support.sql_stores import SqlPlace, sqlite_place

if TYPE_CHECKING:
    from pymongo.database import Database

    from tests.conftest import PlaceMaker
    from tests.support import servers

SAME = StoreIdentity(("one",), "marketplace", "payments", "same")


def filled(place: SqlPlace, kind: str, documents: list[dict[str, Any]]) -> DocumentStore:
    place.make(section_and_columns(kind)[1])
    place.put(documents)
    return place.store()


@pytest.mark.postgres
def test_one_world_in_three_stores_gives_one_plan_byte_for_byte(
    tmp_path: Path, mongod: servers.Mongod, mongo_database: Database[dict[str, Any]], postgres_at: PlaceMaker
) -> None:
    world = generate_world(payments=60, seed=903)
    write_world(world, tmp_path / "world")
    documents = [plainly(document) for document in world.recorded.payments]
    mongo_database.payments.insert_many([dict(document) for document in documents])
    in_file = sqlite_place(tmp_path, SqlSection(table="payments"))
    in_file.section = section_and_columns("sqlite")[0]
    on_server = postgres_at(SqlSection(table="payments"))
    on_server.section = section_and_columns("postgres")[0]
    stores: dict[str, Any] = {
        "mongo": MongoStore(MongoSettings(mongod.uri, mongo_database.name)),
        "sqlite": filled(in_file, "sqlite", documents),
        "postgres": filled(on_server, "postgres", documents),
    }
    settings = load_settings(tmp_path / "world" / "recon.toml")
    policy, registry = settings.policy(), settings.registry()
    plans = {}
    for name, store in stores.items():
        with open_sources(settings) as sources:
            store.identity = lambda: SAME
            snapshot = take_snapshot(
                replace(sources, store=store),
                selection=settings.selection(),
                policy=policy,
                registry=registry,
                now=settings.now(),
                out=tmp_path / name,
            )
            plan = make_plan(snapshot, policy=policy, registry=registry, engine="polars")
        assert isinstance(plan.target, Target)
        assert {row["problem"] for row in plan.coverage if row["source"] == "payments"} == {None}, name
        # When it was read, and how the columns of a table are ordered, is each store's own.
        plans[name] = plan_bytes(resealed(plan, snapshot="s" * 64, coverage=()))
        store.close()
    in_file.close()
    assert len(plans["mongo"]) > 10_000
    assert plans["sqlite"] == plans["mongo"]
    assert plans["postgres"] == plans["mongo"]
