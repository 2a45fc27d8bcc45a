"""Reads what a rollout needs to know: the preflight's items, a rail's backlog, what switching it off hits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from recon.core.errors import ConfigError, ReconError, SourceError
from recon.core.model import Plan
from recon.core.times import from_ms, to_ms
from recon.rails import drain
from recon.rails.flags.blast import BlastTally
from recon.rails.flags.readings import FlagReading
from recon.rails.flags.words import FORCE_PAYOUT_DEMO
from recon.rails.gates.records import Deliveries
from recon.rails.preflight import Counts, Looked, RowCounter, is_present
from recon.setup.file import MissingSecretError
from recon.setup.open_flags import NoFlagFileError, read_flags
from recon.setup.open_gates import latest_plan, read_deliveries, recorded_deliveries
from recon.setup.open_sources import Opening
from recon.setup.settings import Settings
from recon.setup.stores.installed import store_of
from recon.sources.interface import Reading as SourceReading
from recon.sources.interface import Selection
from recon.sources.payments.read import read_payments

if TYPE_CHECKING:
    import pyarrow as pa

Answered = TypeVar("Answered")


class NoDeliveriesError(ConfigError):
    """No delivery records were named."""

    def __init__(self) -> None:
        super().__init__("No delivery records were named; give a file of them with --deliveries.")


class IndexesError(SourceError):
    """The server does not list the indexes of the collection."""

    def __init__(self, *, why: str) -> None:
        super().__init__(f"The indexes of the payments cannot be listed ({why}).")


def measure_blast(
    settings: Settings, provider: str, *, now: datetime, plan: Plan | None = None
) -> tuple[dict[str, Any] | None, str]:
    """What switching a rail off hits, from all its payments and the last plan; None and why if it is unknown.

    In an incident the database itself may be down, and that must not keep people from rolling back.
    """
    tally = BlastTally(provider, now=now)
    try:
        reading = _read_rows(settings, Selection(providers=(provider,)), lambda batch: tally.add(batch.to_pylist()))
    except (SourceError, ConfigError) as error:
        return None, str(error)
    plan = plan or latest_plan(settings)
    if plan is not None and plan.window.get("providers") and provider not in plan.window["providers"]:
        plan = None
    complete = not _shortfall(reading)
    if plan is None:
        return tally.result(complete=complete), ""
    return tally.result(complete=complete, findings=plan.findings, findings_at=plan.created_at), ""


def _read_rows(settings: Settings, selection: Selection, sink: Callable[[pa.RecordBatch], None]) -> SourceReading:
    opening = Opening(settings)
    with ExitStack() as stack:
        store = opening.store()
        if callable(close := getattr(store, "close", None)):
            stack.callback(close)
        return read_payments(
            store,
            selection=selection,
            sink=sink,
            fields=opening.fields,
            registry=opening.registry,
            policy=settings.policy(),
        )
    raise AssertionError("an exit stack lets no exception pass")


def _shortfall(reading: SourceReading) -> str:
    """Why not every row was read, or nothing."""
    problems = [row.problem or "the reading was not complete" for row in reading.coverage if not row.complete]
    return " ".join([*problems, *(gap.reason for gap in reading.gaps)])


def count_backlog(settings: Settings, provider: str, *, now: datetime) -> drain.BacklogReading:
    """Count the open payments of a rail, and those that are stuck, from the database as it is now.

    Raises:
        SourceError: The database cannot be reached, or gave fewer rows than it has.
        ConfigError: Its address is missing.
    """
    edge = int(now.timestamp() * 1000) - settings.policy().stuck_after_ms
    seen = {"open": 0, "stuck": 0}
    oldest: list[int] = []

    def take(batch: pa.RecordBatch) -> None:
        for row in batch.select(["is_test", "created_at"]).to_pylist():
            if row["is_test"]:
                continue
            created = row["created_at"]
            seen["open"] += 1
            if created is None or created < edge:
                seen["stuck"] += 1
                oldest[:] = [min([*oldest, created])] if created is not None else oldest

    reading = _read_rows(settings, Selection(providers=(provider,), open_only=True), take)
    if short := _shortfall(reading):
        raise SourceError(short)
    oldest_at = datetime.fromtimestamp(oldest[0] / 1000, UTC) if oldest else None
    return drain.BacklogReading(now, seen["open"], seen["stuck"], oldest_at)


@dataclass(frozen=True, slots=True)
class Overdue:
    """The open payments of one rail that wait for longer than they should.

    Args:
        count: How many there are.
        oldest_at: When the oldest was made; None where no row says it.
        payments: The ids of the oldest of them.
        money: What they are about, base units by chain id, token symbol and decimals; what is unreadable is left out.
    """

    count: int
    oldest_at: datetime | None
    payments: tuple[str, ...]
    money: Mapping[tuple[int | None, str, int], int]


@dataclass(frozen=True, slots=True)
class OpenCount:
    """The open payments at a moment.

    Args:
        overdue: Those that wait too long, by rail.
        next_made_at: When the oldest of the others was made; None where there is no other.
    """

    overdue: Mapping[str, Overdue]
    next_made_at: datetime | None


def count_open(settings: Settings, *, before: datetime, named_max: int = 20) -> OpenCount:
    """The open payments that were made before a moment, by rail, from the database as it is now.

    Only open rows are read, by the index on the status. One that does not say when it was made counts.

    Raises:
        SourceError: The database cannot be reached, or gave fewer rows than it has.
        ConfigError: Its address is missing.
    """
    edge = to_ms(before)
    found: dict[str, list[Mapping[str, Any]]] = {}
    following: list[int] = []

    def take(batch: pa.RecordBatch) -> None:
        wanted = ["payment_id", "provider", "is_test", "created_at", "chain_id", "currency", "decimals"]
        for row in batch.select([*wanted, "expected_units"]).to_pylist():
            if row["is_test"]:
                continue
            if row["created_at"] is None or row["created_at"] < edge:
                found.setdefault(str(row["provider"] or "unknown"), []).append(row)
            else:
                following[:] = [min([*following, row["created_at"]])]

    reading = _read_rows(settings, Selection(open_only=True), take)
    if short := _shortfall(reading):
        raise SourceError(short)
    in_scope = {rail: rows for rail, rows in found.items() if rail in settings.providers}
    overdue = {rail: _overdue(rows, named_max) for rail, rows in sorted(in_scope.items())}
    return OpenCount(overdue, from_ms(following[0]) if following else None)


def _overdue(rows: list[Mapping[str, Any]], named_max: int) -> Overdue:
    rows.sort(key=lambda row: (row["created_at"] or 0, row["payment_id"]))
    made = [row["created_at"] for row in rows if row["created_at"] is not None]
    money: Counter[tuple[int | None, str, int]] = Counter()
    for row in rows:
        if row["expected_units"] is not None and row["decimals"] is not None:
            money[row["chain_id"], str(row["currency"] or "?"), int(row["decimals"])] += int(row["expected_units"])
    return Overdue(
        len(rows), from_ms(made[0]) if made else None, tuple(row["payment_id"] for row in rows[:named_max]), money
    )


def look_around(settings: Settings, *, deliveries: Path | None = None) -> Looked:
    """Look at everything a preflight needs; what cannot be looked at is None, with the reason."""
    problems: dict[str, str] = {}

    def attempt(part: str, look: Callable[[], Answered]) -> Answered | None:
        try:
            return look()
        except ReconError as error:
            problems[part] = str(error)
            return None

    def flags() -> FlagReading:
        return read_flags(settings)

    def counts() -> Counts:
        counter = RowCounter()
        reading = _read_rows(settings, Selection(), counter.add)
        if short := _shortfall(reading):
            problems["payments"] = short
        policy = settings.policy()
        return counter.counts(now=settings.now(), stuck_after=timedelta(milliseconds=policy.stuck_after_ms))

    def records() -> Deliveries:
        found = deliveries or recorded_deliveries(settings)
        if found is None:
            raise NoDeliveriesError
        return read_deliveries(found, now=settings.now(), names=settings.values.deliveries.fields)

    reading = attempt("flags", flags)
    return Looked(
        secrets=attempt("secrets", lambda: _secrets_present(settings, reading)),
        flags=None if reading is None else _flags_with_defaults(settings, reading),
        counts=attempt("payments", counts),
        deliveries=attempt("deliveries", records),
        indexes=attempt("indexes", lambda: read_indexes(settings)),
        problems=problems,
    )


def _flags_with_defaults(settings: Settings, reading: FlagReading) -> dict[str, str | None]:
    """The flags as they stand, what is not set by ``[flags.defaults]``; None for what cannot be told."""
    values = settings.values.flags.words().with_defaults(reading.values)
    return {**values, **dict.fromkeys(reading.doubts([FORCE_PAYOUT_DEMO]))}


def _secrets_present(settings: Settings, reading: FlagReading | None) -> dict[str, bool]:
    """Which secrets of the backend and of recon itself are set; their values go no further than this function."""
    if reading is None:
        raise NoFlagFileError(source=settings.source)
    found = {name: is_present(reading.any_value(name)) for name in settings.values.flags.secrets}
    if settings.world is None:
        keys = [getattr(settings.section(name), "api_key_variable", None) for name in settings.providers]
        variables = store_of(settings).variables
        for variable in (*(() if variables is None else variables(settings)), *filter(None, keys)):
            try:
                found[variable] = is_present(settings.secret(variable, purpose="preflight").get_secret_value())
            except MissingSecretError:
                found[variable] = False
    return found


def read_indexes(settings: Settings) -> list[Mapping[str, Any]]:
    """The indexes of the payments collection, as the server lists them.

    Raises:
        IndexesError: The server does not list them, or a recorded world stands in for it.
        ConfigError: The address of the database is missing.
    """
    if settings.world is not None:
        raise IndexesError(why="a recorded world has none")
    if not store_of(settings).speaks_mongodb:
        raise IndexesError(why=f"those that it knows are of MongoDB, and the store is {store_of(settings).title}")
    from pymongo import MongoClient
    from pymongo.errors import PyMongoError

    mongo = settings.values.mongo
    uri = settings.secret(mongo.uri_variable, purpose="the database").get_secret_value()
    wait_ms = int(mongo.timeout_s * 1000)
    try:
        with MongoClient[dict[str, Any]](uri, serverSelectionTimeoutMS=wait_ms, appname="recon") as client:
            return [dict(index) for index in client[mongo.database][mongo.collection].list_indexes()]
    except (PyMongoError, ValueError) as error:
        raise IndexesError(why=type(error).__name__) from error
