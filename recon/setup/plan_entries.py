"""Plans entries for a ledger: from a finding of a plan, with what the database holds now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from recon.core.ids import payment_id_text
from recon.core.model import Plan, Tier
from recon.core.times import ms_text
from recon.core.values import ABSENT, value_at
from recon.repairs.deeds import Deed
from recon.repairs.entries import EntryRequest, propose_entries, take_back_entries
from recon.setup.open_repairs import entries_of, entry_terms
from recon.setup.open_sources import Opening, kept_open
from recon.setup.settings import Settings
from recon.sources.ledger.entries import EntryReader, PaymentFacts, text_at

if TYPE_CHECKING:
    from recon.runs.stores.documents import RecordWriter

Row = Mapping[str, Any]
_QUIET: Final = (Tier.BENIGN,)


def propose_for(
    finding: Row,
    judged: Plan,
    *,
    settings: Settings,
    records: RecordWriter,
    said: tuple[str, datetime, str | None],
) -> Deed | str:
    """The entries that put one finding right, or why there are none.

    Args:
        judged: The plan that has it; a payment that is odd itself is put right first.
        said: The reason, the time, and what is stated of what is left of a deal that is over.
    """
    reason, now, rest_kind = said
    with ExitStack() as stack:
        opening = Opening(settings)
        rows = _rows(finding, kept_open(stack, opening.store()))
        paths = [place.path for place in opening.fields.of("order_id")]
    named = [str(payment_id_text(each["_id"])) for each in rows] or [str(finding["payment_id"])]
    if why := _not_due(finding, judged, rows=named if rows else []):
        return why
    asked = EntryRequest(
        finding=finding,
        entries=entries_of(named, settings=settings, records=records),
        payment=_facts(named[0], finding) if rows else None,
        payments=tuple(named),
        order=_order(rows, paths),
        reason=reason,
        now=now,
        rest_kind=rest_kind,
    )
    return propose_entries(asked, entry_terms(settings))


def _not_due(finding: Row, judged: Plan, *, rows: Sequence[str]) -> str:
    """Why nothing is proposed yet; empty where something may be."""
    odd = {each.payment_id: each for each in judged.findings if each.tier not in _QUIET}
    if (first := next((name for name in rows if name in odd), None)) is not None:
        return f"payment {first} is {odd[first].verdict} itself; put it right first"
    is_known = finding["reason"] == "unknown" and rows
    return "its payment is there now; take a new snapshot" if is_known else ""


def _rows(finding: Row, store: Any) -> list[Row]:
    """The rows that a finding is about: its payment, or those of its deal, the oldest first."""
    if finding["payment_id"] is not None:
        return list(store.fetch([finding["payment_id"]]))
    by_order = {payment_id_text(each["_id"]): each for _, each in store.find_claimants("order_id", [finding["deal"]])}
    return [by_order[name] for name in sorted(by_order)] or list(store.fetch([finding["deal"]]))


def _facts(payment_id: str, finding: Row) -> PaymentFacts:
    """What an entry takes from its payment: the finding tells its token."""
    return PaymentFacts(payment_id, finding["chain_id"], finding["token"], finding["decimals"], finding["symbol"])


def _order(rows: Sequence[Row], paths: Sequence[str]) -> Any:
    held = (value_at(row, path) for row in rows for path in paths)
    return next((value for value in held if value not in (None, ABSENT)), None)


@dataclass(frozen=True, slots=True)
class EntriesMade:
    """Which entries are taken back: those made between two times, UTC milliseconds, by whom, or by anyone."""

    from_ms: int
    to_ms: int
    by: str | None = None


def propose_way_back(
    payment_id: str, made: EntriesMade, *, settings: Settings, records: RecordWriter, said: tuple[str, datetime]
) -> Deed | str:
    """The counter-entries of what was booked of one payment, or why there are none.

    Args:
        said: The reason, and the time.
    """
    terms, (reason, now) = entry_terms(settings), said
    held = entries_of([payment_id], settings=settings, records=records)
    reader = EntryReader(terms.mapping, terms.registry)
    rows = [(each, reader.row(each, None, reach="window")) for each in held]
    chosen = [
        row["entry_id"]
        for each, row in rows
        if row["at"] is not None
        and made.from_ms <= row["at"] < made.to_ms
        and made.by in (None, text_at(each, terms.mapping.by))
    ]
    if not chosen:
        return "it has no such entry"
    finding: dict[str, Any] = {
        **dict.fromkeys(("deal", "token", "symbol", "decimals", "chain_id", "proven", "booked", "entry_id", "kind")),
        "payment_id": payment_id,
        "reason": "way_back",
        "verdict": "way_back",
        "sentence": f"Entries made {ms_text(made.from_ms)} to {ms_text(made.to_ms)} by {made.by or 'anyone'}.",
    }
    asked = EntryRequest(
        finding=finding, entries=held, payment=None, payments=(payment_id,), order=None, reason=reason, now=now
    )  # fmt: skip
    return take_back_entries(asked, terms, chosen=chosen)
