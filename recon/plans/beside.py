"""What lies beside the money of a payment: what may be its rest, and what came for it in another coin. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from recon.core.errors import MoneyError
from recon.core.model import Verdict
from recon.core.money import format_units, parse_units
from recon.core.registry import Registry

Row = Mapping[str, Any]

_TOO_MUCH: Final = (
    Verdict.MULTIPLE_TRANSFERS, Verdict.OVERPAID, Verdict.LOCAL_BEHIND, Verdict.LATE_PAYMENT,
    Verdict.COORDINATOR_BLOCKED,
)  # fmt: skip
_ASKED: Final = (Verdict.UNDERPAID, Verdict.OVERPAID, Verdict.LOCAL_BEHIND)


def beside(row: Row, links: Sequence[Row], *, registry: Registry) -> str:
    """Sentences on a payment for which too little or too much came, each with a space before it; else empty.

    Args:
        row: One of :data:`recon.verdicts.judge.BREAKS`.
        links: Its rows of :data:`recon.verdicts.judge.LINKS`.
    """
    if row["direction"] != "in":
        return "".join(_rest_of_payout(links, registry)) if row["verdict"] == Verdict.UNDERPAID else ""
    told: list[str] = []
    if row["verdict"] == Verdict.UNDERPAID:
        told.extend(f"{one}: it may be the rest." for one in _elsewhere(row, links, registry))
        told.append(_of_the_deal(row))
    elif row["verdict"] in _TOO_MUCH and row["other_coins"]:
        told.extend(f"{one}." for one in _elsewhere(row, links, registry))
    if row["verdict"] in _ASKED:
        told.append(_asked(row))
    return "".join(told)


def _of_the_deal(row: Row) -> str:
    """What came on all the payments of its order and offer together, where another has money as well."""
    if row["deal_came"] is None or row["decimals"] is None:
        return ""
    came, due = (format_units(int(row[name]), decimals=row["decimals"]) for name in ("deal_came", "expected_units"))
    return f" Together with payment {row['paid_beside']} of the same order {came} of {due} came."


def _elsewhere(row: Row, links: Sequence[Row], registry: Registry) -> Iterator[str]:
    """Where more of a payment's money lies at its own address: on another chain, in another token, without its mark."""
    told: set[tuple[Any, ...]] = set()
    for link in links:
        place = (link["t_chain"], link["t_tx"], link["t_token"])
        token = registry.tokens.get((link["t_chain"], link["t_token"] or ""))
        if token is not None and place not in told and _is_money_beside(link, row):
            told.add(place)
            amount = format_units(int(link["t_amount"]), decimals=token.decimals)
            how = " without its reference" if link["wrong_reference"] else ""
            yield f" {amount} {token.symbol} more came for it{how} on chain {link['t_chain']}, in {link['t_tx']}"


def _is_money_beside(link: Row, row: Row) -> bool:
    """Whether a link leads to money at the payment's own address that no sum of it knows."""
    is_other = link["wrong_chain"] or link["wrong_token"] or link["wrong_reference"]
    is_worthless = not link["t_amount"] or link["is_spam"] or link["t_dust"]
    return bool(is_other and not is_worthless and link["t_recipient"] == row["recipient"])


_WRONG: Final = ("wrong_chain", "wrong_token", "wrong_recipient", "wrong_reference")


def _rest_of_payout(links: Sequence[Row], registry: Registry) -> Iterator[str]:
    """What went to the same address besides and that no row names."""
    for link in links:
        token = registry.tokens.get((link["t_chain"], link["t_token"] or ""))
        is_told = link["is_valid"] or link["is_refund"] or any(link[name] for name in _WRONG)
        if token is not None and not is_told:
            amount = format_units(int(link["t_amount"]), decimals=token.decimals)
            yield (
                f" {amount} {token.symbol} more went to the same address, in {link['t_tx']}, which no row names: "
                "it may be the rest."
            )


def _asked(row: Row) -> str:
    """That the provider asked for another amount than the row holds, where what came is what it asked for."""
    known = (row["claim_asked"], row["decimals"], row["expected_units"], row["received_final"])
    if None in known or row["claim_state"] not in ("paid", "overpaid"):
        return ""
    try:
        asked = parse_units(row["claim_asked"], decimals=row["decimals"])
    except MoneyError:
        return ""
    if asked == int(row["expected_units"]) or asked != int(row["received_final"]):
        return ""
    return f" That is what the provider asked for, {row['claim_asked']}: the amount in the row is another."
