"""List releases, refunds and payouts since a time, unusual ones first.

This serves the review after an admin account was compromised: where the money went, what proves it, who approved it. A
new destination, an amount far above the usual, and a missing approver or proof make a row unusual. So does a verdict
that is a break, and money that went to its destination and that no row explains; such money is listed by itself, too.
"""

from __future__ import annotations

import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from statistics import median_low
from typing import TYPE_CHECKING, Any, Final

from recon.core.model import Finding, Tier, Verdict
from recon.core.money import format_units
from recon.core.times import to_ms
from recon.investigation.payment.dossier import Row
from recon.investigation.payment.gather import Asking
from recon.sources.interface import Selection
from recon.sources.payments.fields import stored_at

if TYPE_CHECKING:
    import pyarrow as pa

    from recon.core.model import Plan
    from recon.snapshots.take import SourceSet
    from recon.sources.payments.fields import FieldPaths

LARGE_TIMES: Final = 5
"""An amount is unusual from so many times the median of its token on."""

ROWS_MAX: Final = 100_000


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One release, refund or payout.

    Args:
        unusual: Why it needs a look, one reason each; empty where nothing stands out.
        approvers: Path and value of every field that says who approved it, as far as the projection holds them.
    """

    payment_id: str
    direction: str
    provider: str
    status: str
    escrow_state: str
    amount: str
    units: int | None
    destination: str
    proof: str
    approvers: tuple[tuple[str, str], ...]
    at_ms: int | None
    unusual: tuple[str, ...]


class OutgoingList(tuple[Outgoing, ...]):
    """What went out, and what keeps the list from being whole, one sentence each."""

    unread: tuple[str, ...]

    def __new__(cls, rows: Iterable[Outgoing], unread: Iterable[str] = ()) -> OutgoingList:
        """The rows in their order."""
        made = super().__new__(cls, rows)
        made.unread = tuple(unread)
        return made


@dataclass(frozen=True, slots=True)
class JudgedOutgoing:
    """The findings of a plan over what was changed, and what was not read for it."""

    findings: tuple[Finding, ...] = ()
    unread: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Usual:
    """What is usual: earlier destinations, the median amount by token, and whether rows name who approved them."""

    destinations: Counter[str]
    medians: Mapping[str, int]
    names_approvers: bool


def list_outgoing(
    sources: SourceSet,
    *,
    since: datetime,
    asking: Asking,
    known_since: datetime | None = None,
    judged: JudgedOutgoing | None = None,
) -> OutgoingList:
    """List what went out since a time, unusual values first, then by amount and id.

    Args:
        since: What was changed at or after this time is listed.
        known_since: How far back destinations count as known; everything before ``since`` unless given.
        judged: What a plan says of what was changed since; see :func:`judge_outgoing`.

    Raises:
        SourceError: The payments cannot be read.
    """
    history = _History(since_ms=to_ms(since))
    for row, document in _outgoing_rows(sources, known_since=known_since, asking=asking):
        history.add(row, document)
    approvers = {row["payment_id"]: tuple(_approvers(document, sources.fields)) for row, document in history.listed}
    usual = history.usual(names_approvers=any(approvers.values()))
    judged = judged or JudgedOutgoing()
    told = _Told.of(judged.findings)
    found = [_outgoing(row, approvers[row["payment_id"]], usual, told) for row, _ in history.listed]
    oldest_s = (asking.now - since).total_seconds()
    found += [_lost(each, now=asking.now) for each in told.outflows if (each.age_s or 0) <= oldest_s]
    found.sort(key=lambda each: (-len(each.unusual), -(each.units or 0), each.payment_id))
    more = [f"more than {ROWS_MAX} rows went out, and only those are listed: narrow it with --since"]
    return OutgoingList(found, (*judged.unread, *(more if history.is_full else ())))


@dataclass(frozen=True, slots=True)
class JudgedChanges:
    """Everything that was changed since a time, as one table of payments, and the plan over it."""

    payments: pa.Table
    plan: Plan

    @property
    def unread(self) -> tuple[str, ...]:
        """What could not be read for it, one line each."""
        short = (row for row in self.plan.coverage if not row.get("complete"))
        return tuple(dict.fromkeys(f"{row['source']}: {row['problem'] or 'not read'}" for row in short))


def judge_changes(sources: SourceSet, *, since: datetime, asking: Asking) -> JudgedChanges:
    """Read and judge what was changed since a time; the snapshot of it is not kept.

    Raises:
        SourceError: A source is not the one that was meant, or the payments cannot be read.
    """
    from recon.plans.make import make_plan
    from recon.snapshots.take import take_snapshot

    with tempfile.TemporaryDirectory(prefix="recon-changes-") as folder:
        taken = take_snapshot(
            sources,
            selection=Selection(from_at=since, date_field="updated"),
            policy=asking.policy,
            registry=asking.registry,
            now=asking.now,
            out=Path(folder) / "snapshot",
            progress=asking.progress,
        )
        plan = make_plan(taken, policy=asking.policy, registry=asking.registry)
        return JudgedChanges(taken.table("payments"), plan)


def judge_outgoing(sources: SourceSet, *, since: datetime, asking: Asking) -> JudgedOutgoing:
    """What a plan over everything that was changed since a time finds, and what could not be read for it.

    Raises:
        SourceError: A source is not the one that was meant, or the payments cannot be read.
    """
    changes = judge_changes(sources, since=since, asking=asking)
    return JudgedOutgoing(changes.plan.findings, changes.unread)


@dataclass(frozen=True, slots=True)
class _Told:
    """What a plan says: breaks by payment, and outgoing money that no row explains, also by where it went."""

    breaks: Mapping[str, Finding]
    outflows: tuple[Finding, ...]
    places: Mapping[tuple[int | None, str | None, str], tuple[Finding, ...]]

    @classmethod
    def of(cls, judged: Sequence[Finding]) -> _Told:
        """Sort findings."""
        outflows = tuple(each for each in judged if each.verdict is Verdict.UNEXPLAINED_OUTFLOW)
        places: dict[tuple[int | None, str | None, str], tuple[Finding, ...]] = defaultdict(tuple)
        for each in outflows:
            places[each.chain_id, each.token, _destination(each)] += (each,)
        quiet = (Tier.BENIGN, Tier.WAIT)
        return cls({each.payment_id: each for each in judged if each.tier not in quiet}, outflows, places)

    def reasons(self, row: Row) -> Iterator[str]:
        """Why a row is unusual by what the plan says."""
        own = self.breaks.get(row["payment_id"])
        if own is not None:
            yield f"{own.verdict}: {own.reason}"
        if row["direction"] != "in":
            for each in self.places.get((row["chain_id"], row["token"], row["recipient"] or ""), ()):
                yield f"{each.verdict}: {each.reason}"


def _destination(finding: Finding) -> str:
    """Where unexplained money went, as its evidence says."""
    return next((text.removeprefix("to ") for text in finding.evidence if text.startswith("to ")), "")


def _lost(finding: Finding, *, now: datetime) -> Outgoing:
    """Outgoing money without a row, as one line of the list."""
    amount = "?"
    if finding.decimals is not None:
        amount = f"{format_units(finding.value_units, decimals=finding.decimals)} {finding.symbol or '?'}"
    return Outgoing(
        payment_id=finding.payment_id,
        direction="out",
        provider=finding.provider or "none",
        status="no row",
        escrow_state="none",
        amount=amount,
        units=finding.value_units,
        destination=_destination(finding) or "none stored",
        proof=finding.payment_id.split(":")[2],
        approvers=(),
        at_ms=to_ms(now) - 1000 * (finding.age_s or 0),
        unusual=(f"{finding.verdict}: {finding.reason}",),
    )


@dataclass(slots=True)
class _History:
    """What went out: the rows to list, and from all the others what is usual."""

    since_ms: int
    listed: list[tuple[Row, Mapping[str, Any]]] = field(default_factory=list)
    destinations: Counter[str] = field(default_factory=Counter)
    amounts: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    is_full: bool = False

    def add(self, row: Row, document: Mapping[str, Any]) -> None:
        """Take one row: to be listed, or as an earlier payout whose destination is known."""
        if row["expected_units"] is not None:
            self.amounts[_token_of(row)].append(int(row["expected_units"]))
        at = row["updated_at"] or row["created_at"]
        if at is None or at >= self.since_ms:
            self.is_full |= len(self.listed) >= ROWS_MAX
            self.listed += [] if self.is_full else [(row, document)]
        elif row["recipient"] and row["direction"] != "in":
            self.destinations[row["recipient"]] += 1

    def usual(self, *, names_approvers: bool) -> _Usual:
        """What is usual by all rows that were taken; a token with a few amounts has no usual one."""
        medians = {token: median_low(units) for token, units in self.amounts.items() if len(units) >= LARGE_TIMES}
        return _Usual(self.destinations, medians, names_approvers)


def _outgoing_rows(
    sources: SourceSet, *, known_since: datetime | None, asking: Asking
) -> Iterator[tuple[Row, Mapping[str, Any]]]:
    from recon.sources.payments.read import payment_rows

    for batch in sources.store.scan(Selection(from_at=known_since)):
        rows = payment_rows(batch, fields=sources.fields, registry=asking.registry, policy=asking.policy)
        yield from (pair for pair in zip(rows.to_pylist(), batch, strict=True) if _is_outgoing(pair[0]))


def _token_of(row: Row) -> str:
    return f"{row['chain_id']}:{row['token']}"


def _is_outgoing(row: Row) -> bool:
    moved = row["escrow_state"] in ("releasing", "released", "refunded") or row["status"] == "refunded"
    return row["direction"] in ("out", "refund") or moved


def _outgoing(row: Row, approvers: tuple[tuple[str, str], ...], usual: _Usual, told: _Told) -> Outgoing:
    units = None if row["expected_units"] is None else int(row["expected_units"])
    destination = row["sender"] if row["direction"] == "in" else row["recipient"]
    return Outgoing(
        payment_id=row["payment_id"],
        direction=row["direction"] or "in",
        provider=row["provider"] or "none",
        status=row["status_raw"] or "unset",
        escrow_state=row["escrow_state"] or "unset",
        amount=_amount_text(row, units),
        units=units,
        destination=destination or "none stored",
        proof=row["tx_hash"] or row["tx_hash_raw"] or "none",
        approvers=approvers,
        at_ms=row["updated_at"] or row["created_at"],
        unusual=(
            *told.reasons(row),
            *_row_reasons(row),
            *_amount_reasons(row, units, usual),
            *_proof_reasons(row),
            *_payout_reasons(row, has_approver=bool(approvers), usual=usual),
        ),
    )


def _amount_text(row: Row, units: int | None) -> str:
    if units is None or row["decimals"] is None:
        return "?"
    return f"{format_units(units, decimals=row['decimals'])} {row['currency'] or '?'}"


def _row_reasons(row: Row) -> Iterator[str]:
    if row["disputed"] or row["hold"]:
        yield "it is disputed or on hold"
    if row["simulated"]:
        yield "its hash is a simulation"
    if row["problem"]:
        yield f"the row cannot be read: {row['problem']}"


def _amount_reasons(row: Row, units: int | None, usual: _Usual) -> Iterator[str]:
    median = usual.medians.get(_token_of(row))
    if units is not None and median is not None and units >= LARGE_TIMES * median:
        yield f"over {LARGE_TIMES} times the usual amount of this token"


def _proof_reasons(row: Row) -> Iterator[str]:
    is_done = row["escrow_state"] in ("released", "refunded") or row["status"] in ("completed", "refunded")
    if is_done and not row["tx_hash"]:
        yield "done, and no hash proves it"


def _payout_reasons(row: Row, *, has_approver: bool, usual: _Usual) -> Iterator[str]:
    """What is unusual about where a payout went and who approved it."""
    if row["direction"] == "in":
        return
    if not row["recipient"]:
        yield "no destination is stored"
    elif usual.destinations and not usual.destinations[row["recipient"]]:
        yield "no earlier payout went to this destination"
    if usual.names_approvers and not has_approver:
        yield "no approver is stored, as others have one"


def _approvers(document: Mapping[str, Any], fields: FieldPaths) -> Iterator[tuple[str, str]]:
    for candidate in fields.of("approver"):
        value = stored_at(document, candidate.parts)
        if value is not None and not isinstance(value, Mapping | list):
            yield candidate.path, str(value)[:100]
