"""Sentences on where money went or lies: to a wrong address, back to the buyer, or there before its row. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from recon.core.money import format_units
from recon.core.text import count_text
from recon.core.times import from_ms, second_text
from recon.verdicts.destinations import TO_BUYER
from recon.verdicts.links import DEPOSIT_KINDS, PAYING_EMITTER

Row = Mapping[str, Any]

_TRANSFERS_NAMED: Final = 3
"""Most transactions, and most wallets, that one sentence names."""

_MISDIRECTED: Final = {
    True: "The seller's money went to {destination}, the address from which this deal was paid.",
    False: "The refund went to {destination}, and this deal was paid from {buyer}.",
}
"""By whether it is a payout that went to the buyer, what is said of money that went out to a wrong address."""


def shown_amount(units: Any, row: Row) -> str:
    """An amount of the payment's own token: whole tokens where its decimals are known, else base units."""
    if units is None:
        return "nothing"
    return format_units(int(units), decimals=row["decimals"]) if row["decimals"] is not None else f"{int(units)} units"


def destination(row: Row, links: Sequence[Row]) -> str | None:
    """The address that the row names; where it names none, the one to which its money went."""
    went = (link["t_recipient"] for link in links if link["wrong_recipient"])
    found: str | None = row["recipient"] or next(went, None)
    return found


def older_money(row: Row, links: Sequence[Row], *, symbol: str) -> str:
    """What came to its one-time address before the row says that it was made."""
    if not row["early"]:
        return ""
    since = row["created_at"]
    came = next(link for link in links if link["t_recipient"] == row["recipient"] and link["t_time"] < since)
    return (
        f" {shown_amount(came['t_amount'], row)} {symbol} came to its address in {came['t_tx']} on "
        f"{second_text(from_ms(came['t_time']))}, before the row says that it was made: its date may have been reset."
    )


def what_lies(row: Row) -> str:
    """What is known of its one-time address that no transfer which was read explains; nothing where all is."""
    if row["early"]:
        return "Whether the money that came before the row was made is this payment's cannot be told."
    since = second_text(from_ms(row["created_at"])) if row["created_at"] is not None else "an unknown time"
    made = f"the row says that it was made at {since}, and its date may have been reset."
    if row["holds_more"]:
        return (
            f"Its one-time address holds {shown_amount(row['held'], row)} {row['currency'] or 'units'}, more than the "
            f"transfers that were read brought there: {made}"
        )
    if row["was_emptied"]:
        sent = count_text(row["was_emptied"], "transaction")
        return (
            f"Its one-time address holds nothing and has sent {sent}, and no transfer that was read came there; what "
            f"lay there before is not known: {made}"
        )
    if row["unheld"]:
        return (
            "It was made in the same second as many others, as by an import, and what its one-time address holds could "
            "not be asked: whether money came before that second is not known."
        )
    return ""


def wrong_destination(row: Row) -> str:
    """What is said of money that went out to a wrong address, or to one that its row does not name; else nothing."""
    if row["misdirected"]:
        return _MISDIRECTED[row["misdirected"] == TO_BUYER]
    return "" if row["recipient"] else "The money went to {destination}, and the row names no address."


def back_elsewhere(row: Row) -> str:
    """That refund rows of the deal gave money back that cannot be added to what went back on the payment's chain."""
    if not row["refunds_elsewhere"]:
        return ""
    return (
        f" {count_text(int(row['refunds_elsewhere']), 'refund row')} of this deal gave money back in another token or "
        "on another chain: give nothing back again before you compared it."
    )


def maybe_back(row: Row, links: Sequence[Row], *, symbol: str) -> str:
    """What went by the payment's own reference to an address that its row does not name, after the money came."""
    if not row["strayed"]:
        return _from_unknown_wallets([link for link in links if _is_strange(link)], row, symbol)
    if not row["covered_by_chain"]:
        return ""
    gone = _after_the_money(links)
    if not gone:
        return _to_the_payer([link for link in links if _is_strange(link)], row, symbol)
    units, first = sum(int(link["t_amount"] or 0) for link in gone), gone[0]
    return (
        f" {shown_amount(units, row)} {symbol} went by its reference to {first['t_recipient']} in {first['t_tx']}, "
        "which is neither the payee nor the payer that the row names: it may have gone back."
    )


def _from_unknown_wallets(gone: Sequence[Row], row: Row, symbol: str) -> str:
    """What no row records went to the address that paid, from wallets that nothing shows to be ours: the sum of it."""
    if not gone or "refunded" not in (row["status"], row["escrow_state"]):
        return ""
    units = shown_amount(sum(int(link["t_amount"]) for link in gone), row)
    several = count_text(len(gone), "plain transfer")
    named = " and ".join(dict.fromkeys(link["t_tx"] for link in gone[:_TRANSFERS_NAMED]))
    more = f" and {len(gone) - _TRANSFERS_NAMED} more" if len(gone) > _TRANSFERS_NAMED else ""
    wallets = " and ".join(sorted({str(link["t_sender"]) for link in gone})[:_TRANSFERS_NAMED])
    return (
        f" {several}, {units} {symbol} in all, went to {gone[0]['t_recipient']}, the address that paid, "
        f"from {wallets}: {named}{more}. No row that was read records them, and that this is a wallet of ours is not "
        "known: they prove no refund."
    )


def _to_the_payer(back: Sequence[Row], row: Row, symbol: str) -> str:
    """How much went to the address that paid without a mark of the payment, and by which transactions."""
    units = shown_amount(sum(int(link["t_amount"]) for link in back), row)
    plain = all(link["t_kind"] == DEPOSIT_KINDS for link in back)
    how = "as a plain transfer" if plain else "by a reference that no row knows"
    named = " and ".join(dict.fromkeys(link["t_tx"] for link in back))
    return (
        f" {units} {symbol} went to {back[0]['t_recipient']}, the address that paid, in {named}, {how}: "
        "it may have gone back."
    )


def _is_strange(link: Row) -> bool:
    """Whether money went to the payer by a mark of no row (``recon.verdicts.strays``, ``recon.verdicts.returns``)."""
    wrong = any(link[f"wrong_{what}"] for what in ("chain", "token", "recipient", "reference"))
    return link["t_kind"] in (PAYING_EMITTER, DEPOSIT_KINDS) and not (link["is_valid"] or link["is_refund"] or wrong)


def _after_the_money(links: Sequence[Row]) -> list[Row]:
    """The proxy's logs that ``recon.verdicts.links.strayed_marks`` counts, in their order."""
    came = [link for link in links if link["is_valid"]]
    since, own = min(link["t_block"] for link in came), {link["t_tx"] for link in came}

    def is_later(link: Row) -> bool:
        paid = link["wrong_recipient"] and link["t_kind"] == PAYING_EMITTER
        return bool(paid and link["t_block"] >= since and link["t_tx"] not in own)

    return [link for link in links if is_later(link) and not link["is_spam"] and not link["t_dust"]]


def unseen(row: Row, links: Sequence[Row]) -> str | None:
    """What is said of money that the provider speaks of, where there is a reason that the scan shows none."""
    if row["lifi"]:
        brought = next((link for link in links if _is_delivery(link, row)), None)
        if brought is None:
            return _BY_BRIDGE
        return _DELIVERED.format(tx=brought["t_tx"], amount=shown_amount(brought["t_amount"], row), symbol="{symbol}")
    if row["named_on"]:
        return _NAMED_ON.format(there=row["named_on"], here=row["chain_id"])
    if row["direction"] != "in" and row["mode"] == "hash":
        return _NOT_IN_IT if row["tx_hash"] or row["claim_hashes"] else _NOT_NAMED
    return _SINCE_MADE if row["early"] or row["holds_more"] else None


def _is_delivery(link: Row, row: Row) -> bool:
    """Whether a link is of money that a bridge brought to the payee by a transaction which the provider names."""
    wrong = any(link[f"wrong_{what}"] for what in ("chain", "token", "recipient", "reference"))
    is_plain = link["t_kind"] == DEPOSIT_KINDS and not (wrong or link["is_valid"] or link["is_refund"])
    return bool(is_plain and link["t_recipient"] == row["recipient"])


_DELIVERED: Final = (
    "The provider says that a bridge (LiFi) paid it by {tx}. In that transaction {amount} {symbol} came to its "
    "address, past the payment contracts: no mark on the chain says whose it is."
)
_NAMED_ON: Final = (
    "The provider says paid, by a transaction on chain {there}, and the row is of chain {here}, which shows no money: "
    "the buyer may have taken another coin. Look at that transaction before anyone is asked to pay again."
)
_BY_BRIDGE: Final = (
    "The provider says that a bridge (LiFi) paid it. That leaves no log of the payment contracts, and the place where "
    "it was paid was not asked: whether the money came cannot be told from here."
)
_NOT_NAMED: Final = (
    "The provider says that it was sent, and neither it nor the row names a transaction: look at what left the wallet "
    "for this address before anything is sent again."
)
_NOT_IN_IT: Final = (
    "The provider says that it was sent, and the transactions that it and the row name show no transfer of it: look at "
    "what left the wallet for this address before anything is sent again."
)
_SINCE_MADE: Final = "The provider says paid, and the chain shows no money since the row says that it was made."
