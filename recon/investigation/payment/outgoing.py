"""``recon inspect --outgoing``: releases, refunds and payouts since a time, unusual ones first (003 §2.6).

For the review after a compromised admin account: where the money went, what proves it, who approved it. A destination
that no earlier payout had, an amount far above the usual, a missing approver or proof make a row unusual.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from statistics import median_low
from typing import TYPE_CHECKING, Any, Final

from recon.core.money import format_units
from recon.investigation.payment.dossier import Row
from recon.investigation.payment.gather import Asking
from recon.sources.interface import Selection
from recon.sources.payments.fields import stored_at

if TYPE_CHECKING:
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


@dataclass(frozen=True, slots=True)
class _Usual:
    """What is usual: earlier destinations, the median amount by token, and whether rows name who approved them."""

    destinations: Counter[str]
    medians: Mapping[str, int]
    names_approvers: bool


def list_outgoing(
    sources: SourceSet, *, since: datetime, asking: Asking, known_since: datetime | None = None
) -> tuple[Outgoing, ...]:
    """List what went out since a time, unusual values first, then by amount and id.

    Args:
        since: What was changed at or after this time is listed.
        known_since: How far back destinations count as known; everything before ``since`` unless given.

    Raises:
        SourceError: The payments cannot be read.
    """
    from recon.sources.payments.read import payment_rows

    chosen: list[tuple[Row, Mapping[str, Any]]] = []
    earlier: Counter[str] = Counter()
    amounts: dict[str, list[int]] = defaultdict(list)
    since_ms = round(since.timestamp() * 1000)
    for batch in sources.store.scan(Selection(from_at=known_since)):
        rows = payment_rows(batch, fields=sources.fields, registry=asking.registry, policy=asking.policy)
        for row, document in zip(rows.to_pylist(), batch, strict=True):
            if not _is_outgoing(row):
                continue
            at = row["updated_at"] or row["created_at"]
            is_listed = at is None or at >= since_ms
            if row["expected_units"] is not None:
                amounts[f"{row['chain_id']}:{row['token']}"].append(int(row["expected_units"]))
            if is_listed and len(chosen) < ROWS_MAX:
                chosen.append((row, document))
            elif row["recipient"] and row["direction"] != "in":
                earlier[row["recipient"]] += 1
    approvers = {row["payment_id"]: tuple(_approvers(document, sources.fields)) for row, document in chosen}
    medians = {token: median_low(units) for token, units in amounts.items() if len(units) >= LARGE_TIMES}
    usual = _Usual(earlier, medians, any(approvers.values()))
    found = [_outgoing(row, approvers[row["payment_id"]], usual) for row, _ in chosen]
    return tuple(sorted(found, key=lambda each: (-len(each.unusual), -(each.units or 0), each.payment_id)))


def _is_outgoing(row: Row) -> bool:
    moved = row["escrow_state"] in ("releasing", "released", "refunded") or row["status"] == "refunded"
    return row["direction"] in ("out", "refund") or moved


def _outgoing(row: Row, approvers: tuple[tuple[str, str], ...], usual: _Usual) -> Outgoing:
    units = None if row["expected_units"] is None else int(row["expected_units"])
    is_payout = row["direction"] != "in"
    destination = row["recipient"] if is_payout else row["sender"]
    symbol = row["currency"] or "?"
    amount = (
        "?" if units is None or row["decimals"] is None else f"{format_units(units, decimals=row['decimals'])} {symbol}"
    )
    reasons = list(_reasons(row, units, usual))
    if is_payout and destination and usual.destinations and not usual.destinations[destination]:
        reasons.append("no earlier payout went to this destination")
    if is_payout and usual.names_approvers and not approvers:
        reasons.append("no approver is stored, as others have one")
    return Outgoing(
        payment_id=row["payment_id"],
        direction=row["direction"] or "in",
        provider=row["provider"] or "none",
        status=row["status_raw"] or "unset",
        escrow_state=row["escrow_state"] or "unset",
        amount=amount,
        units=units,
        destination=destination or "none stored",
        proof=row["tx_hash"] or row["tx_hash_raw"] or "none",
        approvers=approvers,
        at_ms=row["updated_at"] or row["created_at"],
        unusual=tuple(reasons),
    )


def _reasons(row: Row, units: int | None, usual: _Usual) -> Iterator[str]:
    if row["disputed"] or row["hold"]:
        yield "it is disputed or on hold"
    if row["simulated"]:
        yield "its hash is a simulation"
    if row["problem"]:
        yield f"the row cannot be read: {row['problem']}"
    median = usual.medians.get(f"{row['chain_id']}:{row['token']}")
    if units is not None and median is not None and units >= LARGE_TIMES * median:
        yield f"over {LARGE_TIMES} times the usual amount of this token"
    is_done = row["escrow_state"] in ("released", "refunded") or row["status"] in ("completed", "refunded")
    if is_done and not row["tx_hash"]:
        yield "done, and no hash proves it"
    if row["direction"] != "in" and not row["recipient"]:
        yield "no destination is stored"


def _approvers(document: Mapping[str, Any], fields: FieldPaths) -> Iterator[tuple[str, str]]:
    for candidate in fields.of("approver"):
        value = stored_at(document, candidate.parts)
        if value is not None and not isinstance(value, Mapping | list):
            yield candidate.path, str(value)[:100]
