"""Why a correction that the evidence supports waits for a person all the same. Pure.

A correction of the tier ``auto`` is applied with the whole plan. Where one of these is so the money came as the verdict
says and yet may not be what it seems, so the correction has to be picked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from recon.core.errors import MoneyError
from recon.core.model import Policy, Verdict
from recon.core.money import parse_units

Row = Mapping[str, Any]


def doubts(row: Row, links: Sequence[Row], *, policy: Policy) -> tuple[str, ...]:
    """Sentences on what is doubtful about a break of the tier ``auto``; each tells one doubt.

    Args:
        row: One of :data:`recon.verdicts.judge.BREAKS`.
        links: Its rows of :data:`recon.verdicts.judge.LINKS`.
        policy: Which wallets are ours.
    """
    return tuple(_found(row, links, policy) if row["direction"] == "in" else _not_by_us(row, links, policy))


def _not_by_us(row: Row, links: Sequence[Row], policy: Policy) -> Iterator[str]:
    """That money which went out by the row's word did not leave the wallet that the row names, nor one of ours."""
    ours = {row["sender"], *policy.merchant_recipients, *policy.payout_wallets}
    senders = {link["t_sender"] for link in links if link["is_valid"] and link["t_sender"]}
    if row["sender"] is not None and senders and not senders & ours:
        yield (
            f"It left {min(senders)}, and the row says that it leaves {row['sender']}: unless a contract of ours sent "
            "it, it may be what others paid the same payee."
        )


def _found(row: Row, links: Sequence[Row], policy: Policy) -> Iterator[str]:
    ours = {*policy.merchant_recipients, *policy.payout_wallets}
    own = next((link["t_sender"] for link in links if link["is_valid"] and link["t_sender"] in ours), None)
    if own is not None:
        yield f"The money came from {own}, a wallet of ours: nobody else may have paid."
    yield from _swept(links)
    if row["mode"] == "deposit" and row["recipient"] in ours:
        yield f"Its deposit address {row['recipient']} is a wallet of ours: not all that comes is this payment's."
    yield from _at_a_shared_address(row)
    if _asks_for_more(row):
        yield f"The provider asks for {row['claim_asked']}, more than came, and does not say that it is paid."
    if row["verdict"] == Verdict.TX_HASH_MISMATCH:
        yield from _of_its_release(row)


def _at_a_shared_address(row: Row) -> Iterator[str]:
    """That the money lies at an address which other payments have as well."""
    if row["hash_settled"]:
        yield (
            "Another payment has the same deposit address, and nothing but the hash that this row records says whose "
            "money it is."
        )
    elif row["others_settled"] == 2:
        yield (
            "Other payments have the same deposit address. Those without a transfer of their own were given up or "
            "expired more than a month before this money came, and it is just what this row asks: nothing but that "
            "says that it is for this row."
        )
    elif row["others_settled"]:
        yield (
            "Other payments have the same deposit address. Each has its own transfer there, and nothing but that says "
            "that this one is for this row."
        )


def _of_its_release(row: Row) -> Iterator[str]:
    """That the hash which would be written over may be that of the money's release."""
    if row["tx_hash"] and row["tx_hash"] in (row["paid_out_by"] or ""):
        yield "The recorded transaction is the payout of this deal, which its own row records as well."
    elif row["escrow_state"] == "releasing":
        yield "A release is under way, and the recorded transaction may be the release's own."


def _swept(links: Sequence[Row]) -> Iterator[str]:
    """That the money lay at the one-time address of another payment before."""
    swept = next((link for link in links if link["is_valid"] and link.get("sender_of")), None)
    if swept is not None:
        yield (
            f"The money came from {swept['t_sender']}, the deposit address of payment {swept['sender_of']}: it may be "
            "our own that moved on."
        )


def _asks_for_more(row: Row) -> bool:
    """Whether the provider object, which is not paid, asks for more than came, by the tolerance that the row has."""
    known = (row["claim_asked"], row["decimals"], row["expected_units"], row["covered_from_units"])
    if row["claim_state"] not in ("unpaid", "partial") or None in known:
        return False
    try:
        asked = parse_units(row["claim_asked"], decimals=row["decimals"])
    except MoneyError:
        return False
    least, due, came = int(row["covered_from_units"]), int(row["expected_units"]), int(row["received_final"] or 0)
    return asked * least > came * due
