"""The pages of an explorer for what a break names: its transactions, its recipient, its token.

Each hash and address is looked at on the chain that the evidence names for it: money that went astray on another
chain than the payment's own leads there. A chain without a known explorer gives no page.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from recon.core.model import Change, FieldView, Finding
from recon.core.registry import Registry

TRANSACTION: Final = "transaction"
_TRANSFER: Final = re.compile(r"(?<![0-9A-Za-z])([0-9]{1,18}):(0x[0-9a-f]{64})(?![0-9A-Za-z])")


class ExplorerPage(NamedTuple):
    """One page: what it shows, and its address."""

    what: str
    page: str


class Named(NamedTuple):
    """Something that an explorer has a page of: what it is, on which chain, and its hash or address."""

    what: str
    chain_id: int | None
    text: str | None


def explorer_pages(
    finding: Finding | None, change: Change | None, *, registry: Registry, more: Iterable[Named] = ()
) -> tuple[ExplorerPage, ...]:
    """The pages of everything that a finding and its change name, transactions first, each once.

    Args:
        more: What is known besides, such as the recipient of the row.
    """
    named = [*_transactions(finding, change), *_addresses(finding), *more]
    found: dict[str, ExplorerPage] = {}
    for each in sorted(named, key=lambda one: one.what != TRANSACTION):
        look = registry.tx_page if each.what == TRANSACTION else registry.address_page
        page = look(each.chain_id, each.text)
        if page is not None:
            found.setdefault(page, ExplorerPage(each.what, page))
    return tuple(found.values())


def _transactions(finding: Finding | None, change: Change | None) -> Iterator[Named]:
    for said in (finding, change):
        for entry in () if said is None else said.evidence:
            yield from (Named(TRANSACTION, int(chain), tx) for chain, tx in _TRANSFER.findall(entry))
    if change is not None:
        yield from (Named(TRANSACTION, term.chain_id, term.tx_hash) for term in change.proof)
    for view in _views(finding, "tx_hash"):
        yield from (Named(TRANSACTION, chain, tx) for chain, side in _sides(finding, view) for tx in side.split())


def _addresses(finding: Finding | None) -> Iterator[Named]:
    for field in ("recipient", "token"):
        for view in _views(finding, field):
            yield from (Named(field, chain, side) for chain, side in _sides(finding, view))
    if finding is not None:
        yield Named("token", finding.chain_id, finding.token)


def _views(finding: Finding | None, field: str) -> Iterator[FieldView]:
    return (view for view in (() if finding is None else finding.fields) if view.field == field)


def _sides(finding: Finding | None, view: FieldView) -> Iterator[tuple[int | None, str]]:
    """What the sides say, each with its chain: that of the payment, or where the money was seen."""
    own = None if finding is None else finding.chain_id
    seen = next((each.chain for each in _views(finding, "network") if each.chain), None)
    elsewhere = int(seen) if seen is not None and seen.isascii() and seen.isdigit() and len(seen) < 19 else own
    for chain, side in ((own, view.local), (own, view.provider), (elsewhere, view.chain)):
        if side:
            yield chain, side
