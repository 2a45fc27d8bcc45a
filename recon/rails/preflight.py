"""Before anything is switched or corrected: what is configured, what lies in the collection, and what could go wrong.

Rows are counted in DuckDB, which spills to disk, so that a collection of any size can be looked at. Secrets are only
ever seen as present or absent.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

from recon.core.registry.transitions import PATHS
from recon.core.text import count_text
from recon.rails.flags.words import FORCE_PAYOUT_DEMO, bool_of
from recon.rails.gates.records import Deliveries, DeliveryRecord
from recon.sources.providers.installed import providers

if TYPE_CHECKING:
    import pyarrow as pa

State = Literal["ok", "attention", "alarm", "not_measured"]

WEBHOOK_HOURS: Final = 24
WATCHED_UNTIL: Final = timedelta(minutes=15)
"""How long before now delivery records may end and still be those of the last hours."""

DUPLICATES_SHOWN: Final = 20
_PLACEHOLDER: Final = re.compile(
    r"(?:change[-_ ]?me|replace[-_ ]?me|example|placeholder|your[-_ ].*|x{3,}|<.*>|secret|test)\Z", re.IGNORECASE
)
_KEYS: Final = ("request_id", "reference", "external_id")
_COLUMNS: Final = ("payment_id", "provider", "provider_raw", "status", "is_test", "simulated", "created_at", *_KEYS)

BACKEND_SECRETS: Final = tuple(name for each in providers().values() for name in each.flags.secrets)
"""What the backend needs to reach its providers and to know their webhooks, by the usual names."""


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that was looked at: what, in which state, and one sentence."""

    name: str
    state: State
    says: str


@dataclass(frozen=True, slots=True)
class Preflight:
    """All items, and the counts behind them as JSON values.

    Args:
        legacy: Payments by stored provider word.
        duplicates: Provider keys that several payments carry, the most used first.
        unresolved: Open payments over 30 min by provider and status.
        webhooks: Deliveries of the last 24 h by provider.
        indexes: Indexes that a correction may hit.
        unmeasured: Which of these tables hold less than there is: their silence says nothing.
    """

    at: datetime
    items: tuple[Item, ...]
    legacy: tuple[Mapping[str, Any], ...] = ()
    duplicates: tuple[Mapping[str, Any], ...] = ()
    unresolved: tuple[Mapping[str, Any], ...] = ()
    webhooks: tuple[Mapping[str, Any], ...] = ()
    indexes: tuple[Mapping[str, Any], ...] = ()
    unmeasured: frozenset[str] = frozenset()

    @property
    def is_measured(self) -> bool:
        """Whether everything could be looked at."""
        return all(item.state != "not_measured" for item in self.items)

    @property
    def is_clear(self) -> bool:
        """Whether nothing needs attention."""
        return all(item.state == "ok" for item in self.items)


@dataclass(frozen=True, slots=True)
class Counts:
    """What lies in the collection."""

    payments: int
    legacy: tuple[Mapping[str, Any], ...]
    duplicates: tuple[Mapping[str, Any], ...]
    duplicate_keys: int
    unresolved: tuple[Mapping[str, Any], ...]
    simulated: int


class RowCounter:
    """Counts rows of the payments table, batch by batch, in a database of its own that spills to disk."""

    def __init__(self) -> None:
        import duckdb

        self._connection = duckdb.connect()
        kinds = {"is_test": "boolean", "simulated": "boolean", "created_at": "bigint"}
        columns = ", ".join(f"{name} {kinds.get(name, 'varchar')}" for name in _COLUMNS)
        self._connection.execute(f"create table rows ({columns})")

    def add(self, batch: pa.RecordBatch) -> None:
        """Take one batch of :data:`recon.core.tables.PAYMENTS`."""
        import pyarrow as pa

        table = pa.Table.from_batches([batch]).select(list(_COLUMNS))
        self._connection.register("batch", table)
        self._connection.execute("insert into rows select * from batch")
        self._connection.unregister("batch")

    def counts(self, *, now: datetime, stuck_after: timedelta) -> Counts:
        """Count what was taken; the counter cannot be used afterwards."""
        edge = int((now - stuck_after).timestamp() * 1000)
        total, simulated = self._rows("select count(*), count(*) filter (where simulated) from rows")[0]
        legacy = self._rows(
            "select coalesce(provider_raw, ''), coalesce(provider, ''), count(*), min(created_at), max(created_at) "
            "from rows group by 1, 2 order by 3 desc, 1, 2"
        )
        unresolved = self._rows(
            "select coalesce(provider, ''), status, count(*), min(created_at) from rows "
            "where status in ('pending', 'processing') and not coalesce(is_test, false) "
            "and (created_at is null or created_at < ?) group by 1, 2 order by 1, 2",
            edge,
        )
        pieces = " union all ".join(
            f"select '{key}' as field, coalesce(provider, '') as provider, {key} as value, payment_id from rows "  # noqa: S608
            f"where {key} is not null and not coalesce(is_test, false)"
            for key in _KEYS
        )
        grouped = (
            f"select field, provider, value, count(*) as payments, min(payment_id), max(payment_id) from ({pieces}) "  # noqa: S608
            "group by 1, 2, 3 having count(*) > 1"
        )
        repeated = self._rows(f"select count(*) from ({grouped})")[0][0]  # noqa: S608
        duplicates = self._rows(f"{grouped} order by 4 desc, 1, 2, 3 limit {DUPLICATES_SHOWN}")
        self._connection.close()
        return Counts(
            payments=total,
            legacy=tuple(
                {"word": word, "provider": name, "payments": count, "first_at": _time(first), "last_at": _time(last)}
                for word, name, count, first, last in legacy
            ),
            duplicates=tuple(
                {"field": field, "provider": name, "value": value, "payments": count, "for_example": [low, high]}
                for field, name, value, count, low, high in duplicates
            ),
            duplicate_keys=repeated,
            unresolved=tuple(
                {"provider": name, "status": status, "payments": count, "oldest_at": _time(oldest)}
                for name, status, count, oldest in unresolved
            ),
            simulated=simulated,
        )

    def _rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        return list(self._connection.execute(sql, list(values)).fetchall())


@dataclass(frozen=True, slots=True)
class Looked:
    """What was looked at; None is what could not be looked at, and ``problems`` says why.

    Args:
        secrets: Names that must be set, with whether each is present; nothing else of them is known here.
        flags: The backend's flags.
        indexes: Index documents as the server lists them.
        problems: By part (``secrets``, ``flags``, ``payments``, ``deliveries``, ``indexes``), why it was not measured.
    """

    secrets: Mapping[str, bool] | None
    flags: Mapping[str, str | None] | None
    counts: Counts | None
    deliveries: Deliveries | None
    indexes: Sequence[Mapping[str, Any]] | None
    problems: Mapping[str, str]


def judge_preflight(looked: Looked, *, now: datetime, stuck_after: timedelta) -> Preflight:
    """Say of everything that was looked at whether it is in order."""
    webhooks = () if looked.deliveries is None else webhook_counts(looked.deliveries, now=now)
    hit = () if looked.indexes is None else indexes_hit(looked.indexes)
    counts = looked.counts
    items = [
        _secrets_item(looked),
        _demo_item(looked),
        *_count_items(looked, stuck_after),
        _webhook_item(looked, webhooks, now),
        _index_item(looked, hit),
    ]
    return Preflight(
        at=now,
        items=tuple(items),
        legacy=counts.legacy if counts else (),
        duplicates=counts.duplicates if counts else (),
        unresolved=counts.unresolved if counts else (),
        webhooks=webhooks,
        indexes=hit,
        unmeasured=frozenset(_unmeasured(looked, now)),
    )


def _unmeasured(looked: Looked, now: datetime) -> Iterator[str]:
    if looked.counts is None or looked.problems.get("payments"):
        yield from ("legacy", "duplicates", "unresolved")
    if looked.deliveries is None or _why_unwatched(looked.deliveries, now):
        yield "webhooks"
    if looked.indexes is None:
        yield "indexes"


def is_present(value: str | None) -> bool:
    """Whether a secret is really set: there, not empty, and no placeholder that was never filled in."""
    text = (value or "").strip()
    return bool(text) and not _PLACEHOLDER.match(text)


def _secrets_item(looked: Looked) -> Item:
    if looked.secrets is None:
        return _unknown("credentials", looked, "secrets")
    missing = sorted(name for name, present in looked.secrets.items() if not present)
    if missing:
        return Item("credentials", "attention", f"{', '.join(missing)} not set, or a placeholder.")
    return Item("credentials", "ok", f"All {len(looked.secrets)} credentials and webhook secrets are set.")


def _demo_item(looked: Looked) -> Item:
    if looked.flags is None:
        return _unknown("demo payouts", looked, "flags")
    if bool_of(looked.flags.get(FORCE_PAYOUT_DEMO)):
        return Item(
            "demo payouts",
            "alarm",
            f"{FORCE_PAYOUT_DEMO} IS ON: NO PAYOUT IS REAL, and none of them may count as settled. Switch it off.",
        )
    if FORCE_PAYOUT_DEMO in looked.flags and looked.flags[FORCE_PAYOUT_DEMO] is None:
        return Item("demo payouts", "not_measured", f"{FORCE_PAYOUT_DEMO} cannot be told; see recon flags status.")
    if FORCE_PAYOUT_DEMO not in looked.flags:
        why = "is not set here, so the backend's own default applies: say it in [flags.defaults]"
        return Item("demo payouts", "not_measured", f"{FORCE_PAYOUT_DEMO} {why}.")
    return Item("demo payouts", "ok", f"{FORCE_PAYOUT_DEMO} is off.")


def _count_items(looked: Looked, stuck_after: timedelta) -> list[Item]:
    counts, minutes = looked.counts, stuck_after // timedelta(minutes=1)
    names = ("legacy payments", "duplicate provider keys", f"unresolved over {minutes} min", "simulated hashes")
    if counts is None:
        return [_unknown(name, looked, "payments") for name in names]
    words = ", ".join(f"{row['word'] or '(none)'}: {row['payments']}" for row in counts.legacy[:10])
    unknown = [row for row in counts.legacy if row["provider"] not in (*providers(), "test")]
    stuck = sum(row["payments"] for row in counts.unresolved)
    whole = looked.problems.get("payments")
    note = f" Not all of them were read: {whole}" if whole else ""
    part = ", of those that could be read" if whole else ""

    def state(count: int, *, is_whole: bool = not whole) -> State:
        """What was counted of a part is there; that there is none, only all of them can say."""
        return _ok_unless(count) if count or is_whole else "not_measured"

    first: State = "not_measured" if whole else _ok_unless(len(unknown))
    duplicates, simulated = counts.duplicate_keys, counts.simulated
    payments = count_text(counts.payments, "payment")
    waiting = count_text(stuck, "payment is", many="payments are")
    fakes = count_text(simulated, "payment carries", many="payments carry")
    return [
        Item(names[0], first, f"{payments} by stored provider word: {words or 'none'}.{note}"),
        Item(
            names[1],
            state(duplicates),
            f"{count_text(duplicates, 'provider key is', many='provider keys are')} carried by more than one "
            f"payment{part}.",
        ),
        Item(names[2], state(stuck), f"{waiting} pending or processing for longer{part}."),
        Item(names[3], state(simulated), f"{fakes} a simulated hash, which proves nothing{part}."),
    ]


def _ok_unless(count: int) -> State:
    return "attention" if count else "ok"


def webhook_counts(deliveries: Deliveries, *, now: datetime) -> tuple[Mapping[str, Any], ...]:
    """Deliveries of the last 24 h by provider, in the classes of answers that the runbooks tell apart."""
    since = now - timedelta(hours=WEBHOOK_HOURS)
    by_provider: dict[str, Counter[str]] = {}
    for each in deliveries.records:
        if since < each.at <= now:
            counter = by_provider.setdefault(each.provider, Counter())
            counter[_answer(each)] += 1
            counter["error" if each.is_failed else "success"] += 1
            counter["dead_letters"] += bool(each.is_dead_letter)
            counter["unverified"] += each.is_unverified
    names = (
        "success", "error", "answered_2xx", "redirected_3xx", "not_correlated_404", "rejected_4xx", "failed_5xx",
        "unanswered", "dead_letters", "unverified",
    )  # fmt: skip
    return tuple(
        {"provider": provider, **{name: counter[name] for name in names}}
        for provider, counter in sorted(by_provider.items())
    )


def _answer(each: DeliveryRecord) -> str:
    status = each.http_status
    if status is None:
        return "unanswered"
    if status == 404:
        return "not_correlated_404"
    classes = ((300, "answered_2xx"), (400, "redirected_3xx"), (500, "rejected_4xx"))
    return next((name for limit, name in classes if status < limit), "failed_5xx")


def _webhook_item(looked: Looked, webhooks: Sequence[Mapping[str, Any]], now: datetime) -> Item:
    name = f"webhooks of the last {WEBHOOK_HOURS} h"
    held = looked.deliveries
    if held is None:
        return _unknown(name, looked, "deliveries")
    why = _why_unwatched(held, now)
    some = "none in what was kept" if why else "none"
    said = ", ".join(f"{row['provider']}: {row['success']} well, {row['error']} failed" for row in webhooks) or some
    if why:
        return Item(name, "not_measured", f"{said}; {why}.")
    failed = sum(row["error"] for row in webhooks)
    return Item(name, "attention" if failed else "ok", f"{said}.")


def _why_unwatched(held: Deliveries, now: datetime) -> str:
    """Why the records do not cover the last hours; empty where they do."""
    if held.from_at > now - timedelta(hours=WEBHOOK_HOURS):
        return f"the records begin only at {held.from_at:%Y-%m-%dT%H:%M:%SZ}"
    if held.to_at < now - WATCHED_UNTIL:
        return f"the records end at {held.to_at:%Y-%m-%dT%H:%M:%SZ}"
    return ""


def indexes_hit(indexes: Iterable[Mapping[str, Any]]) -> tuple[Mapping[str, Any], ...]:
    """The unique indexes whose keys or partial filter name a path that a correction may set.

    A correction that hits one is refused by the server for that row alone (E11000), and apply reports it.
    """
    paths = {*PATHS.values(), "metadata.recon.last", "updatedAt"}
    found = []
    for index in indexes:
        if not index.get("unique") or str(index.get("name")) == "_id_":
            continue
        keys = [str(name) for name in dict(index.get("key") or {})]
        condition = index.get("partialFilterExpression") or {}
        named = {*keys, *_paths_in(condition)}
        if touched := sorted(path for path in named if any(_is_same_branch(path, own) for own in paths)):
            found.append(
                {"name": str(index.get("name"))[:120], "keys": keys, "touched": touched, "partial": bool(condition)}
            )
    return tuple(sorted(found, key=lambda row: str(row["name"])))


def _paths_in(condition: object) -> set[str]:
    if isinstance(condition, Mapping):
        inner: set[str] = set()
        for key, value in condition.items():
            inner |= _paths_in(value) | (set() if str(key).startswith("$") else {str(key)})
        return inner
    if isinstance(condition, list):
        return set().union(*(_paths_in(item) for item in condition))
    return set()


def _is_same_branch(path: str, other: str) -> bool:
    return path == other or path.startswith(f"{other}.") or other.startswith(f"{path}.")


def _index_item(looked: Looked, hit: Sequence[Mapping[str, Any]]) -> Item:
    if looked.indexes is None:
        return _unknown("indexes", looked, "indexes")
    if not hit:
        return Item("indexes", "ok", "No unique index names a field that a correction sets.")
    said = ", ".join(f"{row['name']} ({', '.join(row['touched'])})" for row in hit)
    return Item("indexes", "attention", f"A correction may hit {said}; such a row is refused alone and reported.")


def _unknown(name: str, looked: Looked, part: str) -> Item:
    return Item(name, "not_measured", looked.problems.get(part) or "It was not looked at.")


def _time(ms: int | None) -> str | None:
    if ms is None:
        return None
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=min(max(int(ms), 0), 253_402_300_799_999))
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
