"""Money that came by a reference which no row holds: the providers are asked whose it is.

A row may keep nothing but the id of its request, and a buyer may pay by the second of two requests. The reference that
is on the chain then stands at the provider only. Rows of the window are asked about anyway; of the rows before it, only
when money came that nobody knows, and only until its reference is found.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from recon.core.text import count_text
from recon.snapshots.further_keys import further_keys_of
from recon.snapshots.orphans import rows_in
from recon.sources.interface import Coverage, Reading
from recon.sources.providers.installed import names_asked_by, rails_with_one_time_addresses

if TYPE_CHECKING:
    from recon.snapshots.sealed import SnapshotWriter

Row = Mapping[str, Any]
Further = Mapping[str, Sequence[tuple[str, str]]]
T = TypeVar("T")

ASKED_MAX: Final = 300
"""So many rows are asked about at most."""

_ASKED_AT_ONCE: Final = 25
_IDS: Final = ("request_id", "external_id")
COLUMNS: Final = (
    "payment_id", "provider", "direction", "chain_id", "token", "created_at", "reference_topic", "reference",
    "recipient", "further_keys", *_IDS,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Unnamed:
    """A row of whose objects at least one has a reference that the row does not hold.

    Args:
        row: The columns by which it is asked about; without its own ids where it holds their reference.
        further: Its further ids.
    """

    row: Row
    further: tuple[tuple[str, str], ...]

    @property
    def ids(self) -> Iterator[str]:
        """All that the provider may call it."""
        return chain((self.row[name] for name in _IDS if self.row[name]), (value for _, value in self.further))


def unnamed(row: Row) -> Unnamed | None:
    """A row that holds ids without the references that go with them; None for any other."""
    asked_by = names_asked_by(row["provider"])
    if row["direction"] not in (None, "in") or row["provider"] in rails_with_one_time_addresses():
        return None
    further = tuple(
        (key["field"], key["value"])
        for key in further_keys_of([row])
        if key["field"] in _IDS and key["field"] in asked_by
    )
    own = {name: None if row["reference_topic"] else row[name] for name in _IDS}
    if not further and not any(own[name] for name in _IDS if name in asked_by):
        return None
    return Unnamed({**row, **own, "reference": None}, further)


class Newest(Generic[T]):
    """Of many items the newest, at most so many of them."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._heap: list[tuple[int, int, T]] = []
        self._pushed = 0

    def push(self, at: int | None, item: T) -> None:
        """Take an item of a time, UTC ms; one without a time is the oldest."""
        entry = (at or 0, -self._pushed, item)
        self._pushed += 1
        if len(self._heap) < self._most:
            heapq.heappush(self._heap, entry)
        else:
            heapq.heappushpop(self._heap, entry)

    def items(self) -> list[T]:
        """The newest first; of those of one time, the first that came."""
        return [item for _, _, item in sorted(self._heap, key=lambda entry: entry[:2], reverse=True)]


def find_owners(
    paid_to: Mapping[str, str], rows: Sequence[Unnamed], *, ask: Callable[[Sequence[Row], Further], list[Reading]]
) -> tuple[dict[str, str], tuple[Coverage, ...]]:
    """By the hash of a reference, the payment whose it is, and what was asked; nothing where nothing had to be.

    Rows are asked about, the newest first, until every reference is known or :data:`ASKED_MAX` were asked about.

    Args:
        paid_to: By the hash of a reference, as logs of proxies carry it, the address that it paid.
        rows: Those with another address of their own are left out.
        ask: Asks the providers about rows, given their further keys too.
    """
    topics, addresses = paid_to.keys(), {None, *paid_to.values()}
    unnamed = [each for each in rows if each.row["recipient"] in addresses]
    if not topics or not unnamed:
        return {}, ()
    told: dict[str, str] = {}
    asked = 0
    while asked < min(len(unnamed), ASKED_MAX) and not topics <= told.keys():
        part = unnamed[asked : min(asked + _ASKED_AT_ONCE, ASKED_MAX)]
        told.update(_told(ask([each.row for each in part], _further(part)), part))
        asked += len(part)
    found = {topic: told[topic] for topic in sorted(topics & told.keys())}
    left, open_topics = len(unnamed) - asked, len(topics) - len(found)
    problem = None
    if left and open_topics:
        unasked = count_text(left, "row holds no reference and was", many="rows hold no reference and were")
        problem = (
            f"{unasked} not asked about, while {count_text(open_topics, 'reference is', many='references are')} open"
        )
    return found, (Coverage("payments", "references", complete=problem is None, items=asked, problem=problem),)


def _further(part: Sequence[Unnamed]) -> dict[str, tuple[tuple[str, str], ...]]:
    return {each.row["payment_id"]: each.further for each in part}


def _told(readings: Iterable[Reading], part: Sequence[Unnamed]) -> dict[str, str]:
    """By the hash of a reference, the payment of which a provider says that it is its own."""
    owners = {(each.row["provider"], value): each.row["payment_id"] for each in part for value in each.ids}
    said: dict[str, str] = {}
    for claim in chain.from_iterable(rows_in(reading, "claims") for reading in readings):
        for name in _IDS:
            owner = owners.get((claim["provider"], claim[name]))
            if claim["reference_topic"] and owner:
                said[claim["reference_topic"]] = owner
    return said


def unknown_topics(writer: SnapshotWriter, *, recipients: Iterable[str], known: Iterable[str]) -> dict[str, str]:
    """The hashes of references by which money came and that no row is known to hold; to whom each paid.

    Args:
        writer: Of a snapshot with its first reading.
        recipients: Addresses that may be ours.
        known: Hashes of references of rows before the window.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    from recon.snapshots.sealed import read_table

    table = read_table(writer.file("transfers"), columns=["recipient", "reference_topic"])
    ours = pc.is_in(table["recipient"], pa.array(sorted(set(recipients)), pa.string()))
    found = table.filter(pc.and_(ours, table["reference_topic"].is_valid()))
    if not found.num_rows:
        return {}
    held = {*known}
    for name in ("payments", "keys"):
        held.update(read_table(writer.file(name), columns=["reference_topic"])["reference_topic"].unique().to_pylist())
    return {row["reference_topic"]: row["recipient"] for row in found.to_pylist() if row["reference_topic"] not in held}
