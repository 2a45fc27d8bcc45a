"""Progress on stderr with count, rate and time left: bars on a terminal, elsewhere a line every ten seconds."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Final

from recon.cli.common import note

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

_LOOK_EVERY_S: Final = 1.0
LINE_EVERY_S: Final = 10.0
"""How often a run that nobody looks at on a terminal says how far it is."""


class ShownProgress:
    """Shows what each source has done; call it as :data:`recon.sources.interface.Progress`, from any thread.

    Off a terminal a thread looks every second whether a line is due, so that one long step is not ten minutes of
    silence.
    """

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._tasks: dict[str, TaskID] = {}
        self._bars: RichProgress | None = _bars() if sys.stderr.isatty() else None
        self._lines = ProgressLines(monotonic)
        self._ended = threading.Event()
        self._watch = threading.Thread(target=self._look, name="progress", daemon=True)

    def __enter__(self) -> ShownProgress:
        if self._bars is None:
            self._watch.start()
        return self

    def _look(self) -> None:
        while not self._ended.wait(_LOOK_EVERY_S):
            if line := self._lines.due():
                note(line)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        if self._watch.is_alive():
            self._watch.join()
        if self._bars is not None:
            self._bars.stop()

    def __call__(self, source: str, done: int, total: int | None) -> None:
        """Take notice of how far a source has come."""
        if self._bars is None:
            if line := self._lines.heard(source, done, total=total):
                note(line)
            return
        self._bars.start()
        if source not in self._tasks:
            self._tasks[source] = self._bars.add_task(source, total=total)
        self._bars.update(self._tasks[source], completed=done, total=total)

    def note(self, sentence: str) -> None:
        """Say a sentence on stderr, with the bars out of its way."""
        if self._bars is not None:
            self._bars.stop()
        note(sentence)


@dataclass(slots=True)
class _Heard:
    """How far one source has come: since when it is heard of, and from which count on."""

    since: float
    first: int
    done: int
    total: int | None


class ProgressLines:
    """Tells now and then, in one line, how far every source has come that is not done."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._last = monotonic()
        self._heard: dict[str, _Heard] = {}
        self._lock = threading.Lock()

    def heard(self, source: str, done: int, *, total: int | None) -> str:
        """Take notice; the line that is due, or nothing."""
        with self._lock:
            now = self._monotonic()
            known = self._heard.setdefault(source, _Heard(now, done, done, total))
            known.done, known.total = done, total
            return self._line(now)

    def due(self) -> str:
        """The line that is due although nothing was heard meanwhile, or nothing."""
        with self._lock:
            return self._line(self._monotonic())

    def _line(self, now: float) -> str:
        told = [self._told(name, each, now) for name, each in self._heard.items() if each.done != each.total]
        if now - self._last < LINE_EVERY_S or not told:
            return ""
        self._last = now
        return "; ".join(told)

    def _told(self, name: str, heard: _Heard, now: float) -> str:
        rate = (heard.done - heard.first) / (now - heard.since) if now > heard.since else 0.0
        parts = [f"{name}: {heard.done:,}" + (f" of {heard.total:,}" if heard.total else "")]
        if rate >= 1:
            parts.append(f"{rate:,.0f}/s")
        if rate > 0 and heard.total:
            parts.append(f"about {(heard.total - heard.done) / rate:,.0f} s left")
        return ", ".join(parts)


def _bars() -> RichProgress:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn
    from rich.text import Text

    class RateColumn(ProgressColumn):
        """Items a second."""

        def render(self, task: object) -> Text:
            speed = getattr(task, "finished_speed", None) or getattr(task, "speed", None)
            return Text("" if speed is None else f"{speed:,.0f}/s", style="cyan")

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        RateColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
