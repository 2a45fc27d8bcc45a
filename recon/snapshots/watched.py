"""A window is of money as well as of rows: what came inside it may belong to a row that lies before it.

A buyer pays a request of last week, or sends again to the one-time address of an order that is long done. So what leads
from money to a row is *watched* for the rows of some months before: their one-time addresses are asked for along with
those of the window, and their references are looked for in the logs that are read anyway. Rows for which money came so
are *woken*: they are read, asked about and judged like those of the window. Nothing is ever concluded from what was not
seen of them: their own time lies before the scan, which a gap says.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from recon.core.errors import SourceError
from recon.core.model import SETTLED, Policy
from recon.core.text import count_text
from recon.core.times import to_ms
from recon.snapshots.unnamed import COLUMNS, Newest, Unnamed, unnamed
from recon.sources.interface import Coverage, DocumentStore, Gap, Selection
from recon.verdicts.judge import BEFORE

if TYPE_CHECKING:
    from pathlib import Path

    from recon.sources.payments.read import RowRules

Row = Mapping[str, Any]

WATCHED_DAYS: Final = 90
"""Rows made in the days before the window whose one-time addresses are watched."""

WATCHED_MAX: Final = 2_000
"""At most so many addresses, the newest; a scan asks for about a thousand at once."""

UNNAMED_MAX: Final = 2_000
"""At most so many rows that hold no reference are kept in mind, the newest."""

WOKEN_MAX: Final = 500
"""At most so many older rows are judged with a window."""


@dataclass(frozen=True, slots=True)
class Older:
    """The rows before a window that one address or reference leads to.

    Args:
        payment_ids: The rows.
        hashes: The transactions that those of them record that are done: money that is settled already.
    """

    payment_ids: frozenset[str] = frozenset()
    hashes: frozenset[str] = frozenset()

    def and_row(self, row: Row) -> Older:
        """With one row more."""
        settled = {row["tx_hash"]} - {None} if row["status"] in SETTLED else frozenset()
        return Older(self.payment_ids | {row["payment_id"]}, self.hashes | settled)


NOBODY: Final = Older()


@dataclass(frozen=True, slots=True)
class Watched:
    """What leads to rows before the window.

    Args:
        addresses: By chain and one-time address.
        topics: By the hash of a reference, as logs of proxies carry it.
        unnamed: Rows that hold ids without the references that go with them, the newest first.
        coverage: How far back rows were looked at.
    """

    addresses: Mapping[tuple[int, str], Older] = field(default_factory=dict)
    topics: Mapping[str, Older] = field(default_factory=dict)
    unnamed: tuple[Unnamed, ...] = ()
    coverage: tuple[Coverage, ...] = ()

    def and_named(self, found: Mapping[str, str]) -> Watched:
        """With references that providers say of unnamed rows: by their hash, the payment."""
        rows = {each.row["payment_id"]: each.row for each in self.unnamed}
        named = {topic: self.topics.get(topic, NOBODY).and_row(rows[payment_id]) for topic, payment_id in found.items()}
        return replace(self, topics={**self.topics, **named})

    def on(self, chain_id: int) -> set[str]:
        """The addresses of a chain."""
        return {address for chain, address in self.addresses if chain == chain_id}

    def woken_by(self, transfers: Path, *, span: tuple[int, int], policy: Policy) -> set[str]:
        """The payments for which money came within a span that none of them has settled.

        Args:
            transfers: The table of transfers that was read, as Parquet.
            span: UTC ms, from and to.
        """
        if not self.addresses and not self.topics:
            return set()
        found: set[str] = set()
        for row in _money_in(transfers, span):
            least = policy.dust_units.get(f"{row['chain_id']}:{row['token']}", 1)
            if row["amount_units"] is not None and row["amount_units"] < least:
                continue
            older = self._older(row)
            if row["tx_hash"] not in older.hashes:
                found |= older.payment_ids
        return found

    def _older(self, row: Row) -> Older:
        """Whose a transfer may be; an unknown token counts only by a reference, which is known to few."""
        if row["kind"] != "erc20":
            return self.topics.get(row["reference_topic"] or "", NOBODY)
        return self.addresses.get((row["chain_id"], row["recipient"]), NOBODY) if row["token_known"] else NOBODY


NOTHING_WATCHED: Final = Watched()


def _money_in(transfers: Path, span: tuple[int, int]) -> list[Row]:
    import pyarrow.compute as pc

    from recon.snapshots.sealed import read_table

    table = read_table(transfers).select(
        ["chain_id", "recipient", "token", "token_known", "amount_units", "tx_hash", "kind", "reference_topic",
         "block_time"]
    )  # fmt: skip
    at = table["block_time"]
    inside = pc.and_(pc.greater_equal(at, span[0]), pc.less_equal(at, span[1]))
    rows: list[Row] = table.filter(pc.fill_null(inside, False)).to_pylist()
    return rows


def watched_rows(store: DocumentStore, *, selection: Selection, rules: RowRules) -> Watched:
    """What leads to the rows before a window; nothing where the window has no beginning.

    Of the one-time addresses the newest :data:`WATCHED_MAX` are watched. A collection that cannot be read leaves all
    unwatched, which the coverage says.
    """
    if selection.from_at is None:
        return NOTHING_WATCHED
    start = selection.from_at - timedelta(days=WATCHED_DAYS)
    before = Selection(from_at=start, to_at=selection.from_at, providers=selection.providers)
    asked = Coverage("payments", "watched", complete=True, asked_from=to_ms(start), asked_to=to_ms(selection.from_at))
    topics: dict[str, Older] = {}
    merchants = frozenset(rules["policy"].merchant_recipients)
    deposits, without_name = Newest[Row](WATCHED_MAX), Newest[Unnamed](UNNAMED_MAX)
    try:
        for row in _rows(store, before, rules):
            if row["chain_id"] is not None and row["recipient"] and (row["is_deposit"] or _is_unpaid(row, merchants)):
                deposits.push(row["created_at"], row)
            if row["is_deposit"]:
                continue
            if row["reference_topic"]:
                topics[row["reference_topic"]] = topics.get(row["reference_topic"], NOBODY).and_row(row)
            if lacking := unnamed(row):
                without_name.push(row["created_at"], lacking)
    except SourceError as error:
        return Watched(coverage=(replace(asked, complete=False, problem=str(error)),))
    addresses = _owned(deposits.items())
    told = replace(asked, items=len(addresses) + len(topics))
    return Watched(addresses, topics, tuple(without_name.items()), (told,))


def _is_unpaid(row: Row, merchants: frozenset[str]) -> bool:
    """Whether a buyer may have sent to the address of a request, past the proxy; the shop's own leads to no row."""
    return row["direction"] == "in" and row["status"] not in SETTLED and row["recipient"] not in merchants


def _owned(rows: Iterable[Row]) -> dict[tuple[int, str], Older]:
    """By chain and address, the rows that have it; an address of several requests is nobody's own."""
    addresses: dict[tuple[int, str], Older] = {}
    shared: set[tuple[int, str]] = set()
    for row in rows:
        place = (row["chain_id"], row["recipient"])
        if place in addresses and not row["is_deposit"]:
            shared.add(place)
        addresses[place] = addresses.get(place, NOBODY).and_row(row)
    return {place: older for place, older in addresses.items() if place not in shared}


def _rows(store: DocumentStore, selection: Selection, rules: RowRules) -> Iterator[Row]:
    """Rows as the payments table has them, of the columns that are needed here."""
    from recon.sources.payments.read import payment_rows

    names = sorted({*COLUMNS, "status", "tx_hash", "is_deposit"})
    for documents in store.scan(selection):
        yield from payment_rows(documents, **rules).select(names).to_pylist()


def limited(woken: set[str]) -> tuple[tuple[str, ...], Coverage | None]:
    """At most :data:`WOKEN_MAX` of the woken payments, and how far they were judged."""
    if not woken:
        return (), None
    chosen = tuple(sorted(woken)[:WOKEN_MAX])
    problem = None
    if len(chosen) < len(woken):
        problem = (
            f"money came for {count_text(len(woken), 'row')} before the window; of them were judged: {len(chosen)}"
        )
    return chosen, Coverage("payments", "woken", complete=problem is None, items=len(chosen), problem=problem)


def gaps_before(rows: Iterable[Row], *, chain_ids: Iterable[int], from_ms: int) -> tuple[Gap, ...]:
    """What was not looked for of woken rows: money between their own time and the beginning of the scan, UTC ms."""
    times = [row["created_at"] or 0 for row in rows]
    if not times or min(times) >= from_ms:
        return ()
    said = "rows before the window were judged by the money inside it; what came for them earlier was not looked for"
    return tuple(
        Gap(f"chain:{chain_id}", BEFORE, min(times), from_ms - 1, said, chain_id=chain_id)
        for chain_id in sorted(chain_ids)
    )
