"""Reads the payments that a backfill is about, whole, and makes its plan."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from recon.core.errors import SourceError
from recon.core.model import Plan
from recon.plans.backfill import PROVIDER, BackfillPlanner, Completeness
from recon.plans.make import policy_digest
from recon.setup.open_sources import Opening, open_sources
from recon.setup.settings import Settings
from recon.setup.stores.installed import store_of
from recon.snapshots.take import target_of
from recon.sources.interface import Selection
from recon.sources.payments.documents import DocumentReader, codec
from recon.sources.payments.filters import selection_condition


class BackfillReadError(SourceError):
    """The payments could not be read."""

    def __init__(self, *, collection: str, why: str) -> None:
        super().__init__(f"{collection}: the payments could not be read ({why}); nothing was planned. Try again.")


def plan_backfill(settings: Settings, *, now: datetime) -> tuple[Plan, Completeness]:
    """Plan the backfill of every legacy SHKeeper payment, and account for every one of them.

    Raises:
        ReferenceTemplateError: The configured pattern cannot be used.
        SourceError: The payments could not be read.
        ConfigError: The address of the database is missing.
    """
    opening, given = Opening(settings), settings.values.backfill
    policy, registry = settings.policy(), settings.registry()
    reader = DocumentReader(fields=opening.fields, registry=registry, policy=policy)
    planner = BackfillPlanner(reader, reference=given.reference, note=given.note)
    with open_sources(settings) as sources:
        target = target_of(sources, policy=policy, registry=registry)
    read = 0
    with _documents(settings, opening) as (expected, documents):
        for document in documents:
            planner.add(document)
            read += 1
    complete = read >= expected
    row = {
        "source": "payments", "scope": "window", "complete": complete, "items": read,
        "problem": None if complete else f"{read} of {expected} documents were read",
    }  # fmt: skip
    plan = planner.plan(target=target, policy_digest=policy_digest(policy), now=now, coverage=[row])
    return plan, planner.completeness(read_wholly=complete)


@contextmanager
def _documents(settings: Settings, opening: Opening) -> Iterator[tuple[int, Iterator[Mapping[str, Any]]]]:
    """How many documents of the rail there are, and each of them whole, from the primary."""
    if opening.world is not None:
        held = opening.world.payments
        yield len(held), iter(held)
        return
    wanted = Selection(providers=(PROVIDER,))
    if not store_of(settings).speaks_mongodb:
        with _rows(opening, wanted) as found:
            yield found
        return
    from pymongo import MongoClient
    from pymongo.errors import PyMongoError
    from pymongo.read_concern import ReadConcern

    mongo = settings.values.mongo
    uri = settings.secret(mongo.uri_variable, purpose="the database").get_secret_value()
    name = f"{mongo.database}.{mongo.collection}"
    condition = selection_condition(wanted, fields=opening.fields, registry=opening.registry)
    try:
        with MongoClient[dict[str, Any]](
            uri, serverSelectionTimeoutMS=int(mongo.timeout_s * 1000), appname="recon"
        ) as client:
            database = client[mongo.database].with_options(codec_options=codec(), read_concern=ReadConcern("majority"))
            collection = database[mongo.collection]
            with collection.find(condition, sort=[("_id", 1)], allow_disk_use=True) as cursor:
                yield collection.count_documents(condition), iter(cursor)
    except (PyMongoError, ValueError) as error:
        raise BackfillReadError(collection=name, why=type(error).__name__) from error


@contextmanager
def _rows(opening: Opening, wanted: Selection) -> Iterator[tuple[int, Iterator[Mapping[str, Any]]]]:
    """The same of a store that gives whole documents by itself.

    Raises:
        BackfillReadError: It does not.
        SourceError: It cannot be read.
    """
    store = opening.store()
    try:
        give = getattr(store, "whole_documents", None)
        if give is None:
            raise BackfillReadError(collection="backfill", why="this store gives no whole documents")
        yield give(wanted)
    finally:
        if (close := getattr(store, "close", None)) is not None:
            close()
