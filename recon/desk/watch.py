"""How far a run has come: rows done, rate, time left, refusals, and what was said on the way."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from recon.reports.text import age_text

_RATE_OVER_S: Final = 10.0
_SAID_MAX: Final = 200


@dataclass(slots=True)
class RunWatch:
    """Takes what a run tells; every time is in seconds of one steady clock.

    Args:
        began: When it was begun.
    """

    began: float
    done: int = 0
    total: int | None = None
    refused: int = 0
    said: deque[str] = field(default_factory=lambda: deque(maxlen=_SAID_MAX))
    _points: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=500))

    def hear(self, source: str, *, done: int, total: int | None, now: float) -> None:
        """Take notice of progress: of ``writes``, or of rows ``refused``."""
        if source == "refused":
            self.refused = done
            return
        self.done, self.total = done, total
        self._points.append((now, done))
        while self._points and now - self._points[0][0] > _RATE_OVER_S and len(self._points) > 2:
            self._points.popleft()

    def rate(self) -> float | None:
        """Rows a second over the last ten seconds, the beginning included; None while that is not known."""
        if not self._points:
            return None
        first = self._points[0] if len(self._points) > 1 else (self.began, 0)
        last = self._points[-1]
        return (last[1] - first[1]) / (last[0] - first[0]) if last[0] > first[0] else None

    def line(self, now: float, *, width: int = 30) -> str:
        """One line: a bar, rows, rate, time left, refusals."""
        if self.total is None:
            return f"reading every row again before the first write, {age_text(int(now - self.began))}"
        share = self.done / self.total if self.total else 1.0
        full = int(share * width)
        parts = [f"[{'#' * full}{'.' * (width - full)}]", f"{self.done} of {self.total} rows"]
        rate = self.rate()
        if self.total and self.done >= self.total:
            parts.append("reading and judging them again")
        elif rate:
            left = (self.total - self.done) / rate
            parts += [f"{rate:,.0f}/s" if rate >= 1 else f"{rate:.2f}/s", f"{age_text(int(left + 0.999))} left"]
        parts.append(f"{self.refused} refused")
        return "  ".join(parts)
