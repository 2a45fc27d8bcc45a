"""The table of what works with what: every rail with its money, corrections, webhooks, flag and demo."""

from __future__ import annotations

from typing import Final

from docs_pages.words import code, table
from recon.simulation.rail_worlds import RAIL_WORLDS
from recon.sources.providers.chain_kind import chain_kinds
from recon.sources.providers.installed import providers
from recon.sources.providers.provider import Provider

HEADS: Final = (
    "rail", "its money is proven by", "a window is", "corrections", "webhooks: triage, gates", "flag", "health probe",
    "demo", "verdicts proven by",
)  # fmt: skip
NONE: Final = "none"


def rails_table(which: str) -> str:
    """The table of all rails. Raises KeyError where another table is meant."""
    if which != "rails":
        raise KeyError(which)
    return table(HEADS, [_row(each) for each in providers().values()])


def _row(each: Provider) -> tuple[str, ...]:
    has_flag = bool(each.flags.switch) or each.is_usual
    return (
        each.title,
        _proof(each),
        "listed" if each.has_list else "asked payment by payment",
        "each is picked" if each.books else "with the plan; what is doubtful is picked",
        "yes" if each.webhooks.routes else "events of a stream: triage" if each.webhooks.stream else "has none",
        code(each.flags.switch) if each.flags.switch else "as the other of two" if has_flag else NONE,
        "yes" if each.probe else NONE,
        code(f"recon demo --rail {each.name}") if each.name in RAIL_WORLDS else code("recon demo"),
        code(f"scripts/prove --rail {each.name}") if each.name in RAIL_WORLDS else code("scripts/prove"),
    )


def _proof(each: Provider) -> str:
    """What shows that the money of a rail came."""
    if each.books:
        return "its own books, on no chain" if each.books.hold_money else "nothing: it proves what was delivered"
    if any(kind.name == each.name for kind in chain_kinds().values()):
        return "wallets and a daemon of its own chain"
    return "the calls that it made, on any EVM chain" if each.sends_transactions else "transfers on any EVM chain, Tron"
