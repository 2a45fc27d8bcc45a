"""What lies beside money that came short: the rest may be there, and nobody should pay it twice. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from recon.core.errors import MoneyError
from recon.core.model import Verdict
from recon.core.money import format_units, parse_units
from recon.core.registry import Registry

Row = Mapping[str, Any]


def beside(row: Row, links: Sequence[Row], *, registry: Registry) -> str:
    """Sentences on an underpaid or overpaid payment, each with a space before it; empty for what is neither.

    Args:
        row: One of :data:`recon.verdicts.judge.BREAKS`.
        links: Its rows of :data:`recon.verdicts.judge.LINKS`.
    """
    if row["direction"] != "in" or row["verdict"] not in (Verdict.UNDERPAID, Verdict.OVERPAID, Verdict.LOCAL_BEHIND):
        return ""
    short = row["verdict"] == Verdict.UNDERPAID
    return "".join((*(_elsewhere(links, registry) if short else ()), _of_the_deal(row) if short else "", _asked(row)))


def _of_the_deal(row: Row) -> str:
    """What came on all the payments of its order and offer together, where another has money as well."""
    if row["deal_came"] is None or row["decimals"] is None:
        return ""
    came, due = (format_units(int(row[name]), decimals=row["decimals"]) for name in ("deal_came", "expected_units"))
    return f" Together with payment {row['paid_beside']} of the same order {came} of {due} came."


def _elsewhere(links: Sequence[Row], registry: Registry) -> Iterator[str]:
    """Where more of a short payment's money may lie: on another chain, or in another token."""
    told: set[tuple[Any, ...]] = set()
    for link in links:
        place = (link["t_chain"], link["t_tx"], link["t_token"])
        token = registry.tokens.get((link["t_chain"], link["t_token"] or ""))
        is_other = (link["wrong_chain"] or link["wrong_token"]) and not link["is_spam"] and not link["t_dust"]
        if is_other and token is not None and link["t_amount"] and place not in told:
            told.add(place)
            amount = format_units(int(link["t_amount"]), decimals=token.decimals)
            yield (
                f" {amount} {token.symbol} more came for it on chain {link['t_chain']}, in {link['t_tx']}: "
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
