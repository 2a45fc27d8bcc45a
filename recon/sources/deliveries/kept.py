"""Kept webhook deliveries as a source of a snapshot: files, directories and a collection that a configuration names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from recon.core.errors import SourceError
from recon.core.tables import table_of
from recon.sources.deliveries.delivery import DeliveryFile
from recon.sources.interface import Coverage, Progress, Reading

NAME = "deliveries"
"""The source's name in coverage."""


Load = Callable[[bool], DeliveryFile]
"""Reads one place; given whether bodies are kept in memory."""


class KeptDeliveries:
    """Reads the deliveries of a window from everywhere they are kept; a place that cannot be read is said to be so.

    Args:
        places: Names, as coverage tells them, and how each is read.
    """

    def __init__(self, places: Iterable[tuple[str, Load]]) -> None:
        self._places = tuple(places)

    def files(self) -> Iterator[DeliveryFile]:
        """Every place whole, bodies included.

        Raises:
            DeliveriesReadError: One cannot be read.
        """
        for _, load in self._places:
            yield load(True)

    def read_window(self, from_ms: int, to_ms: int, *, progress: Progress) -> Reading:
        """The deliveries that came in the window, and those that carry no time."""
        rows: list[dict[str, object]] = []
        coverage: list[Coverage] = []
        for place, load in self._places:
            try:
                file = load(False)
            except SourceError as error:
                coverage.append(_coverage(place, from_ms, to_ms, problem=str(error)))
                continue
            mine = [
                each.row()
                for each in file.deliveries
                if each.received_at is None or from_ms <= each.received_at <= to_ms
            ]
            rows += mine
            problem = "; ".join(file.shortfalls) or None
            coverage.append(_coverage(place, from_ms, to_ms, problem=problem, since_ms=file.since_ms, items=len(mine)))
        return Reading({"deliveries": table_of("deliveries", rows)}, coverage=tuple(coverage))


def _coverage(
    place: str, from_ms: int, to_ms: int, *, problem: str | None, since_ms: int | None = None, items: int = 0
) -> Coverage:
    """What a place covers: from its own oldest record on, for nothing says what it held before."""
    since = None if since_ms is None else max(since_ms, from_ms)
    return Coverage(
        NAME, place, complete=problem is None, asked_from=from_ms, asked_to=to_ms, done_from=since,
        done_to=None if since is None else to_ms, items=items, problem=problem,
    )  # fmt: skip
