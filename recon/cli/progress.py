"""Progress on stderr, with rate and time left, and nothing at all where stderr is no terminal."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TYPE_CHECKING

from recon.cli.common import note

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID


class ShownProgress:
    """Shows what each source has done; call it as :data:`recon.sources.interface.Progress`, from any thread."""

    def __init__(self) -> None:
        self._tasks: dict[str, TaskID] = {}
        self._bars: RichProgress | None = _bars() if sys.stderr.isatty() else None

    def __enter__(self) -> ShownProgress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars is not None:
            self._bars.stop()

    def __call__(self, source: str, done: int, total: int | None) -> None:
        """Take notice of how far a source has come."""
        if self._bars is None:
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
