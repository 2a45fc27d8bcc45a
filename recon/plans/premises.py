"""What "no money" rests on: which chain, since when and up to when, which address or reference, which question.

A worked example, an open payment that waits at a one-time address::

    no money that fits: transfers of every token to 0x5b46.. on chain 137 from 2026-11-19T11:50:00Z to
        2026-11-20T11:59:58Z, all read
    no money that fits: shkeeper was asked and says UNPAID
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from recon.core.model import Policy
from recon.core.registry.off_chain import OFF_CHAIN
from recon.core.text import count_text
from recon.core.times import from_ms, second_text

Row = Mapping[str, Any]

_WHERE: Final = {
    "deposit": "transfers of every token to {recipient} on chain {chain_id}",
    "reference": "logs of the payment contracts on chain {chain_id} with the payment's reference",
    "hash": "the transactions that the row and its provider name on chain {chain_id}",
}


def premises(row: Row, *, policy: Policy) -> Iterator[str]:
    """The premises of a break for which no money was found; nothing where money was.

    Args:
        row: One row of :data:`recon.verdicts.judge.BREAKS`.
    """
    if row["valid_count"] or row["covered"] or row["problem"]:
        return
    yield f"no money that fits: {_on_chain(row, policy)}"
    yield f"no money that fits: {_by_provider(row)}"


def _on_chain(row: Row, policy: Policy) -> str:
    if row["chain_id"] is None:
        return "no chain is known, so none was read for it"
    if row["chain_id"] == OFF_CHAIN:
        return "its money is on no chain, so none was read for it"
    where = _WHERE[row["mode"]].format(recipient=row["recipient"] or "an unknown address", chain_id=row["chain_id"])
    if row["mode"] == "hash":
        return f"{where}; a payment that is found by nothing else was not searched for"
    since = "an unknown time" if row["created_at"] is None else _time(row["created_at"] - policy.clock_skew_ms)
    until = "the head" if row["head_time"] is None else _time(row["head_time"])
    said = "all read" if row["covered_by_scan"] else "NOT all read"
    bridged = "; a bridge leaves none there, and where it was paid was not asked" if row["lifi"] else ""
    return f"{where} from {since} to {until}, {said}{_held(row)}{bridged}"


def _held(row: Row) -> str:
    """What its one-time address was asked: what is older than the scan lies there still, or left it."""
    if row["mode"] != "deposit":
        return ""
    if row["held"] is None:
        return "; what the address holds was not asked, so of the time before nothing is known"
    emptied = row["was_emptied"]
    sent = f"and has sent {count_text(emptied, 'transaction')}" if emptied else "and never sent a transaction"
    units = int(row["held"])
    return f"; the address holds {units} base units" if units else f"; the address holds nothing {sent}"


def _by_provider(row: Row) -> str:
    name = row["provider"] or "no provider"
    if row["claim_state_raw"] or row["claim_state"]:
        return f"{name} was asked and says {row['claim_state_raw'] or row['claim_state']}"
    if row["failed"]:
        return f"{name} was asked and gave no usable answer"
    if row["not_found"]:
        return f"{name} was asked and knows no such payment"
    return f"{name} lists no such payment and was not asked about it"


def _time(at_ms: int) -> str:
    return second_text(from_ms(at_ms))
