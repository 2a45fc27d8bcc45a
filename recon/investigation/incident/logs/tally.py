"""Counts of requests to webhook routes, by minute: memory stays bounded however long the logs are."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

KEYS_MAX: Final = 500_000
"""Most minutes, by route and status, that are kept."""
PATHS_MAX: Final = 50
ALWAYS: Final = (0, 2**62)

Key = tuple[int, bool, int]
"""Number of the route, whether the method is POST, status."""


@dataclass(slots=True)
class Tally:
    """What was counted.

    Args:
        window: UNIX seconds from which on and before which requests are counted.
        minutes: Requests by key and minute; ``reach`` the first and the last second of each key.
        unread: Lines that name a route and could not be read, by number of the route and reason.
        elsewhere: Requests to a path that only resembles a route, by number of the route and path.
        zoneless: Requests whose time has no zone.
        from_second, to_second: From when to when the logs reach, by requests of any route.
    """

    window: tuple[int, int] = ALWAYS
    minutes: Counter[tuple[int, bool, int, int]] = field(default_factory=Counter)
    reach: dict[Key, tuple[int, int]] = field(default_factory=dict)
    unread: Counter[tuple[int, str]] = field(default_factory=Counter)
    elsewhere: Counter[tuple[int, str]] = field(default_factory=Counter)
    zoneless: int = 0
    read_bytes: int = 0
    problems: list[str] = field(default_factory=list)
    from_second: int | None = None
    to_second: int | None = None

    def reaches(self, second: int) -> None:
        """Note a request of any route at this second."""
        self.from_second = second if self.from_second is None else min(self.from_second, second)
        self.to_second = second if self.to_second is None else max(self.to_second, second)

    def holds(self, second: int) -> bool:
        """Whether a second lies in the window."""
        return self.window[0] <= second < self.window[1]

    def add(self, key: Key, *, second: int, count: int = 1) -> None:
        """Count requests of one second."""
        self.reaches(second)
        if not self.holds(second):
            return
        place = (*key, second // 60)
        if len(self.minutes) >= KEYS_MAX and place not in self.minutes:
            self._full()
            return
        self.minutes[place] += count
        low, high = self.reach.get(key, (second, second))
        self.reach[key] = min(low, second), max(high, second)

    def miss(self, route: int, *, reason: str, count: int = 1) -> None:
        """Count lines that name a route and could not be read."""
        self.unread[route, reason] += count

    def aside(self, route: int, *, path: str) -> None:
        """Count a request to a path that only resembles a route."""
        key = (route, path) if len(self.elsewhere) < PATHS_MAX or (route, path) in self.elsewhere else (route, "others")
        self.elsewhere[key] += 1

    def _full(self) -> None:
        text = f"more than {KEYS_MAX} different minutes were found, and only those were counted; narrow it with --since"
        if text not in self.problems:
            self.problems.append(text)
