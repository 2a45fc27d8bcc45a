"""Everything that moved value between two times, as far as rows, journals and chains say: by whom, against evidence.

A row says what it is now and never what it was: that comes from the journal, for what recon wrote, and else from a
snapshot of before. Who wrote a row stands in it only where the backend stores an approver. What none of them can say is
told as such. Unusual events come first: a value far above the usual, an hour in which nothing was ever changed, a
destination that is new, no approval, and whatever the evidence contradicts.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from statistics import median_low
from typing import TYPE_CHECKING, Any, Final, Literal

from recon.core.model import MISSING, Finding, Plan, Tier, Verdict
from recon.core.money import whole_tokens
from recon.core.text import count_text
from recon.core.times import from_ms as time_of_ms
from recon.core.times import ms_text, parse_iso_ms
from recon.investigation.payment.dossier import Row
from recon.investigation.payment.outgoing import LARGE_TIMES, Outgoing
from recon.runs.states import Result

if TYPE_CHECKING:
    from recon.rails.flags.journal import FlagEntry
    from recon.runs.stores.journal import JournalEntry

HOURS_FROM: Final = 50
"""From so many earlier changes on, an hour of the day without any is unusual."""

_STATE: Final = ("status", "escrowState")
_WRITTEN: Final = (Result.APPLIED.value, Result.OURS.value)
_QUIET: Final = (Tier.BENIGN, Tier.WAIT)
UNKNOWN: Final = "not known"
LedgerReach = Literal["read", "unmapped", "none"]
_NO_ENTRIES: Final[Mapping[str, str]] = {
    "unmapped": "the ledger's entries are not read, for [ledger] amount_field does not say where their amounts are: "
    "only recon search --live says whether a pay-in is there",
    "none": "no ledger is configured ([ledger] collection), so its entries are not looked at",
}


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """One thing that moved value, or could let it move.

    Args:
        at_ms: UTC milliseconds; None where nothing tells.
        source: row, journal, flags, chain or ledger.
        who: Who did it, as far as the data says.
        units: What it is about, base units of ``token``; None where nothing tells.
        evidence: What providers and chains say of it.
        unusual: Why it needs a look, one reason each.
    """

    at_ms: int | None
    source: str
    subject: str
    what: str
    who: str = UNKNOWN
    approvals: str = UNKNOWN
    chain_id: int | None = None
    token: str | None = None
    units: int | None = None
    symbol: str | None = None
    decimals: int | None = None
    destination: str = ""
    evidence: str = ""
    unusual: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StateTotal:
    """How much of one token the changed rows held in one state, before and after, in base units.

    Args:
        state: ``direction status/escrowState``, or :data:`UNKNOWN` where nothing tells what a row was.
    """

    chain_id: int | None
    token: str | None
    symbol: str | None
    decimals: int | None
    state: str
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class Audit:
    """What moved value between two times.

    Args:
        totals: Of the rows that were changed, by token and state.
        plan: The judgement of what was changed, with the balances of known wallets where there are some.
        before: The snapshot that tells what rows were, as people name it; empty where there is none.
        unread: What could not be read, one sentence each: the list is then not whole.
        unsaid: What the data cannot say, one sentence each.
    """

    from_ms: int
    to_ms: int
    events: tuple[AuditEvent, ...]
    totals: tuple[StateTotal, ...]
    plan: Plan
    before: str = ""
    unread: tuple[str, ...] = ()
    unsaid: tuple[str, ...] = ()

    @property
    def unusual(self) -> tuple[AuditEvent, ...]:
        """The events that need a look."""
        return tuple(each for each in self.events if each.unusual)


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One entry of the backend's own ledger, and who made it as far as it says.

    Args:
        row: As in :data:`recon.core.tables.LEDGER`.
    """

    row: Row
    by: str
    is_ours: bool


@dataclass(frozen=True, slots=True)
class AuditSources:
    """What an audit is made of.

    Args:
        rows: Rows that were changed at or after the beginning (:data:`recon.core.tables.PAYMENTS`).
        earlier: Rows as a snapshot of before the beginning has them; empty where there is none.
        outgoing: What went out, with what is unusual about it.
        journal: Entries of the reconciliation journal, in order. ``flags``: of the flags journal.
        entries: What was appended to the backend's own ledger.
    """

    rows: Sequence[Row]
    earlier: Sequence[Row]
    outgoing: Sequence[Outgoing]
    journal: Iterable[JournalEntry]
    flags: Sequence[FlagEntry]
    plan: Plan
    entries: Sequence[LedgerEntry] = ()


def audit_events(sources: AuditSources, *, from_ms: int, to_ms: int) -> tuple[AuditEvent, ...]:
    """Every event between two times, the unusual ones first, then by value and time."""
    ours = list(_journalled(sources.journal))
    written = {(each.subject, each.at_ms) for each in ours}
    rows = [each for each in _rows(sources, from_ms=from_ms) if (each.subject, each.at_ms) not in written]
    every = [*rows, *ours, *_flagged(sources.flags), *_on_chain(sources.plan), *_booked(sources)]
    within = [each for each in every if each.at_ms is None or from_ms <= each.at_ms < to_ms]
    usual = _Usual.of(sources)
    told = [replace(each, unusual=tuple(dict.fromkeys((*each.unusual, *usual.reasons(each))))) for each in within]
    return tuple(
        sorted(
            told,
            key=lambda each: (-len(each.unusual), -_size(each), each.at_ms or 0, each.source, each.subject),
        )
    )


def _size(event: AuditEvent) -> Decimal:
    """In whole tokens, which different chains count differently."""
    return whole_tokens(event.units or 0, decimals=event.decimals)


# What was written


def _rows(sources: AuditSources, *, from_ms: int) -> Iterator[AuditEvent]:
    """What became of each row that was changed, by a snapshot of before where there is one."""
    known = {row["payment_id"]: row for row in sources.earlier}
    out = {each.payment_id: each for each in sources.outgoing}
    breaks = {each.payment_id: each for each in sources.plan.findings}
    for row in sources.rows:
        payment = row["payment_id"]
        what = _moved(row, known.get(payment), from_ms=from_ms)
        if what is not None:
            finding = breaks.get(payment)
            event = replace(
                _row_event(row, out.get(payment)),
                what=what,
                evidence=_evidence(finding, whole=sources.plan.is_read_whole),
            )
            yield replace(event, unusual=(*_contradicted(finding), *event.unusual))


def _row_event(row: Row, sent: Outgoing | None) -> AuditEvent:
    """A row as an event, with what is told of it where it went out."""
    event = AuditEvent(
        at_ms=row["updated_at"] or row["created_at"],
        source="row",
        subject=row["payment_id"],
        what="",
        chain_id=row["chain_id"],
        token=row["token"],
        units=None if row["expected_units"] is None else int(row["expected_units"]),
        symbol=row["currency"],
        decimals=row["decimals"],
    )
    if sent is None:
        return event
    said = ", ".join(f"{path}={value}" for path, value in sent.approvers)
    return replace(
        event,
        who=said or UNKNOWN,
        approvals=said or "none stored",
        destination=sent.destination,
        unusual=sent.unusual,
    )


def _moved(row: Row, was: Row | None, *, from_ms: int) -> str | None:
    """What happened to a row, in words; None where a snapshot of before shows that its state is the same."""
    now = row_state(row)
    if was is not None:
        return None if row_state(was) == now else f"{row_state(was)} -> {now}"
    if row["created_at"] is not None and row["created_at"] >= from_ms:
        return f"was made since, and is {now}"
    return f"is {now}; what it was before is {UNKNOWN}"


def row_state(row: Row) -> str:
    """The state of a row in which value stands or moves."""
    marks = " disputed" if row["disputed"] else ""
    held = " on hold" if row["hold"] else ""
    state = f"{row['status_raw'] or 'unset'}/{row['escrow_state'] or 'unset'}"
    return f"{row['direction'] or 'in'} {state}{marks}{held}"


def _evidence(finding: Finding | None, *, whole: bool) -> str:
    if finding is not None:
        return f"{finding.verdict}: {finding.reason}"
    return "agrees" if whole else "agrees as far as it was read"


def _contradicted(finding: Finding | None) -> Iterator[str]:
    if finding is not None and finding.tier not in _QUIET:
        yield f"the evidence says {finding.verdict}"


def _journalled(entries: Iterable[JournalEntry]) -> Iterator[AuditEvent]:
    """What recon itself wrote, with the values before and after."""
    opened: dict[str, Mapping[str, Any]] = {}
    intents: dict[tuple[str, str | None], Mapping[str, Any]] = {}
    for entry in entries:
        note = entry.note
        if note.kind in ("run", "resume"):
            opened[note.run] = {**opened.get(note.run, {}), **note.body}
        elif note.kind == "intent":
            intents[note.run, note.change] = note.body
        elif note.kind == "outcome" and note.body.get("result") in _WRITTEN:
            intent = intents.pop((note.run, note.change), {})
            yield _written(entry, intent, opened.get(note.run, {}))
        elif note.kind == "settle":
            who = str(note.body.get("who") or UNKNOWN)
            what = f"a person settled an open change of run {note.run} as {note.body.get('result')}"
            yield AuditEvent(parse_iso_ms(note.at), "journal", str(note.payment), what, who, "not asked for")


def _written(entry: JournalEntry, intent: Mapping[str, Any], opening: Mapping[str, Any]) -> AuditEvent:
    after = intent.get("after") or {}
    people = [str(each.get("name")) for each in opening.get("approvals", ()) if isinstance(each, Mapping)]
    return AuditEvent(
        at_ms=_written_at(after) or parse_iso_ms(entry.note.at),
        source="journal",
        subject=str(entry.note.payment),
        what=f"run {entry.note.run} ({opening.get('kind', '?')}): {_fields_text(intent.get('before') or {}, after)}",
        who=str(opening.get("operator", UNKNOWN)),
        approvals=", ".join(people) or "none",
        chain_id=intent.get("chain_id"),
        token=intent.get("token"),
        units=int(intent.get("value", 0)),
        symbol=intent.get("symbol"),
        decimals=intent.get("decimals"),
        evidence=f"written as {intent.get('verdict', '?')}",
        unusual=() if people else ("no approval of the run is recorded",),
    )


def _fields_text(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """The fields that were written, but for the tool's own mark and the time."""
    paths = [path for path in sorted(after) if not path.startswith(("metadata.recon", "updatedAt"))]
    return "; ".join(f"{path} {_plain(before.get(path))} -> {_plain(after[path])}" for path in paths) or "nothing"


def _written_at(after: Mapping[str, Any]) -> int | None:
    """When the row says that it was written, UTC milliseconds."""
    said = after.get("updatedAt")
    inner = said.get("$date") if isinstance(said, Mapping) else None
    number = inner.get("$numberLong") if isinstance(inner, Mapping) else None
    return int(number) if isinstance(number, str) and number.isdecimal() else None


def _plain(value: Any) -> str:
    if value is None or value == MISSING:
        return "unset"
    return str(next(iter(value.values()))) if isinstance(value, Mapping) and len(value) == 1 else str(value)[:100]


def _flagged(entries: Sequence[FlagEntry]) -> Iterator[AuditEvent]:
    """Changes of provider flags: they decide where new money goes."""
    ends = {each.run: str(each.body.get("outcome")) for each in entries if each.kind == "outcome"}
    for entry in entries:
        if entry.kind != "intent":
            continue
        behind = ", ".join(map(str, entry.body.get("behind", ())))
        names = ", ".join(str(each.get("flag")) for each in entry.body.get("edits", ()))
        yield AuditEvent(
            at_ms=parse_iso_ms(entry.at),
            source="flags",
            subject=entry.run,
            what=f"provider flags {names}: {ends.get(entry.run, 'no outcome noted')}",
            who=str(entry.body.get("by", UNKNOWN)),
            approvals=behind or "none",
            unusual=() if behind else ("no approval of the change is recorded",),
        )


def _booked(sources: AuditSources) -> Iterator[AuditEvent]:
    """Entries that were appended to the backend's own ledger."""
    breaks = {each.payment_id: each for each in sources.plan.findings}
    for entry in sources.entries:
        row, units = entry.row, entry.row.get("units")
        finding = breaks.get(row["payment_id"] or "")
        yield AuditEvent(
            at_ms=row["at"],
            source="ledger",
            subject=_first(row["payment_id"], row["deal_id"], row["entry_id"]),
            what=_stated(row),
            who=_first(entry.by, UNKNOWN),
            approvals="by a run of recon" if entry.is_ours else UNKNOWN,
            chain_id=row["chain_id"],
            token=row["token"],
            units=None if units is None else abs(int(units)),
            decimals=row["decimals"],
            destination=_first(row["account"]),
            evidence="" if finding is None else _evidence(finding, whole=sources.plan.is_read_whole),
            unusual=(*_contradicted(finding), *_unusual_entry(row)),
        )


def _first(*texts: str | None) -> str:
    """The first text that is there."""
    return next((text for text in texts if text), "")


def _stated(row: Row) -> str:
    kind = row["kind"] or f"{row['kind_raw']} (a kind that recon does not know)"
    taken = f", takes back {row['reverses']}" if row["reverses"] else ""
    return f"entry {row['entry_id']}: {kind} {_first(row['amount_text'])}{taken}"


def _unusual_entry(row: Row) -> Iterator[str]:
    if row["reverses"]:
        yield "it takes another entry back"
    if row["kind"] == "adjustment":
        yield "it is a correction"
    if row["problem"]:
        yield "its kind, token or amount cannot be read"


def _on_chain(plan: Plan) -> Iterator[AuditEvent]:
    """Money that moved without any row."""
    created = parse_iso_ms(plan.created_at) or 0
    for each in plan.findings:
        if each.verdict not in (Verdict.UNEXPLAINED_OUTFLOW, Verdict.MISSING_LOCAL):
            continue
        yield AuditEvent(
            at_ms=None if each.age_s is None else created - 1000 * each.age_s,
            source="chain",
            subject=each.payment_id,
            what="money left and no row explains it"
            if each.verdict is Verdict.UNEXPLAINED_OUTFLOW
            else "money or a provider object that no row knows",
            chain_id=each.chain_id,
            token=each.token,
            units=each.value_units,
            symbol=each.symbol,
            decimals=each.decimals,
            destination=next((text.removeprefix("to ") for text in each.evidence if text.startswith("to ")), ""),
            evidence=f"{each.verdict}: {each.reason}",
            unusual=(f"the evidence says {each.verdict}",),
        )


# What is unusual


@dataclass(frozen=True, slots=True)
class _Usual:
    """What is usual by the rows: the median amount by token, and the hours of the day in which rows were changed."""

    medians: Mapping[tuple[int | None, str | None], int]
    hours: Counter[int]

    @classmethod
    def of(cls, sources: AuditSources) -> _Usual:
        amounts: dict[tuple[int | None, str | None], list[int]] = defaultdict(list)
        for row in sources.earlier or sources.rows:
            if row["expected_units"] is not None:
                amounts[row["chain_id"], row["token"]].append(int(row["expected_units"]))
        medians = {token: median_low(units) for token, units in amounts.items() if len(units) >= LARGE_TIMES}
        changed = (row["updated_at"] for row in sources.earlier)
        return cls(medians, Counter(time_of_ms(at).hour for at in changed if at is not None))

    def reasons(self, event: AuditEvent) -> Iterator[str]:
        """Why an event is unusual by what is usual."""
        median = self.medians.get((event.chain_id, event.token))
        if event.units is not None and median and event.units >= LARGE_TIMES * median:
            yield f"over {LARGE_TIMES} times the usual amount of this token"
        if event.at_ms is None or self.hours.total() < HOURS_FROM or event.source == "chain":
            return
        hour = time_of_ms(event.at_ms).hour
        if not self.hours[hour]:
            yield f"changed at {hour:02d} h UTC, in which none of {self.hours.total()} earlier changes was"


# Totals


def state_totals(sources: AuditSources, *, from_ms: int, to_ms: int) -> tuple[StateTotal, ...]:
    """By token and state what the rows changed between two times held before and after, exact."""
    known = {row["payment_id"]: row for row in sources.earlier}
    found: dict[tuple[int, str, str], list[int]] = defaultdict(lambda: [0, 0])
    named: dict[tuple[int, str], Row] = {}
    for row in sources.rows:
        if row["expected_units"] is None or not _is_within(row, from_ms=from_ms, to_ms=to_ms):
            continue
        place = (row["chain_id"] or 0, row["token"] or "")
        named[place] = row
        found[*place, _state_before(row, known.get(row["payment_id"]), from_ms=from_ms)][0] += int(
            row["expected_units"]
        )
        found[*place, row_state(row)][1] += int(row["expected_units"])
    return tuple(
        StateTotal(chain, token, named[chain, token]["currency"], named[chain, token]["decimals"], state, *sums)
        for (chain, token, state), sums in sorted(found.items())
    )


def _is_within(row: Row, *, from_ms: int, to_ms: int) -> bool:
    at = row["updated_at"] or row["created_at"]
    return at is not None and from_ms <= at < to_ms


def _state_before(row: Row, was: Row | None, *, from_ms: int) -> str:
    if was is not None:
        return row_state(was)
    is_new = row["created_at"] is not None and row["created_at"] >= from_ms
    return "not made yet" if is_new else UNKNOWN


def audit_limits(sources: AuditSources, *, before: str, window: tuple[int, int], ledger: LedgerReach) -> Iterator[str]:
    """What the data cannot say, whatever is read.

    Args:
        window: The two times, UTC milliseconds.
        ledger: Whether the backend's ledger was read, could have been, or is not configured.
    """
    from_ms, to_ms = window
    later = sum((row["updated_at"] or row["created_at"] or 0) >= to_ms for row in sources.rows)
    if later:
        yield (
            f"{count_text(later, 'row')} changed after the end: what became of them between the two times is seen only "
            "where recon wrote it"
        )
    yield "a row names its last change alone: what was changed in between, and back, is not seen unless recon wrote it"
    yield "who wrote a row is known where recon did, or where the row stores an approver; of all others it is not"
    yield from _unknown_before(sources, before=before, from_ms=from_ms)
    if ledger != "read":
        yield _NO_ENTRIES[ledger]
    yield "flags that were changed by hand leave no trace here; recon flags status says what they are now"


def _unknown_before(sources: AuditSources, *, before: str, from_ms: int) -> Iterator[str]:
    """What nobody can tell of the time before, by the snapshot of then or for want of one."""
    if not before:
        yield (
            f"there is no snapshot of before {ms_text(from_ms)}: what rows were then, and which hours are usual, is "
            "not known"
        )
        return
    known = {row["payment_id"] for row in sources.earlier}
    old = [row for row in sources.rows if row["created_at"] is not None and row["created_at"] < from_ms]
    if missing := sum(row["payment_id"] not in known for row in old):
        yield f"what {missing} of the changed rows were before is not in {before}"
    if len(sources.earlier) < HOURS_FROM:
        yield f"{before} holds fewer than {HOURS_FROM} rows, so which hours are usual is not known"
