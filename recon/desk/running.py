"""A run on the screen: rows done with rate and time left, refusals, a key that stops it; then what remains."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Final

from textual.app import App, ComposeResult, SuspendNotSupported
from textual.binding import BindingType
from textual.screen import Screen
from textual.widgets import Footer, Static

from recon.core.errors import ReconError
from recon.desk.asking import needs_terminal
from recon.desk.desk import Desk, desk_of
from recon.desk.panes import TextPane
from recon.desk.sheet import COMMAND, HEAD, PLAIN, TITLE, SheetLine
from recon.desk.watch import RunWatch
from recon.files import touch_private
from recon.reports.model import Report
from recon.reports.text import display_text, shell_word

_REFRESH_S: Final = 0.25
_DEBUG: Final = "RECON_DEBUG"


def sentence_of(error: BaseException) -> str:
    """What went wrong in one sentence, as the command line says it."""
    if isinstance(error, ReconError):
        return display_text(error)
    if isinstance(error, OSError) and error.filename is not None:
        return display_text(f"{error.filename}: {error.strerror or 'it cannot be used'}.")
    return (
        f"This should not have happened ({type(error).__name__}); what was under way is as its files and the journal "
        f"say. {_DEBUG}=1 writes where it happened to recon-review-error.txt here."
    )


def note_unforeseen(error: BaseException) -> None:
    """Write the traceback of what nobody foresaw beside the work, if that was asked for."""
    if isinstance(error, ReconError) or not os.environ.get(_DEBUG):
        return
    import traceback

    from recon.files import replace_file

    replace_file(Path("recon-review-error.txt"), "".join(traceback.format_exception(error)).encode())


def report_lines(report: Report, width: int) -> tuple[SheetLine, ...]:
    """A report of the command line as it is laid out for a width."""
    from recon.reports.outputs.terminal import print_to_terminal

    stream = io.StringIO()
    print_to_terminal(report, stream, width=max(width, 40))
    texts = [display_text(text, length_max=10_000) for text in stream.getvalue().splitlines()]
    heads = {report.title, *(table.title for table in report.tables)}
    steps = set(map(display_text, report.next_steps))
    return tuple(
        SheetLine(TITLE if n == 0 else HEAD if text in heads else COMMAND if text in steps else PLAIN, text)
        for n, text in enumerate(texts)
    )


def with_terminal(app: App[Any], do: Callable[[], Any]) -> Any:
    """Do something with the terminal free for a question, such as that for the passphrase of a key."""
    try:
        with app.suspend():
            return do()
    except SuspendNotSupported:
        return do()


class RunScreen(Screen[None]):
    """One apply, from its first question to what remains."""

    BINDINGS: ClassVar[list[BindingType]] = [
        ("s", "stop", "Stop"),
        ("r", "resume", "Resume"),
        ("t", "undo", "Take it back"),
        ("v", "journal", "Journal"),
        ("escape,q", "leave", "Back"),
    ]

    def __init__(self, desk: Desk, choices: dict[str, Any], *, on_undo: Callable[[Desk], None]) -> None:
        super().__init__()
        self.desk, self._choices, self._on_undo = desk, choices, on_undo
        self.progress = RunWatch(time.monotonic())
        self.is_applying = False
        self.run_name: str | None = None
        self.is_stopped = False
        self.outcome = ""

    def compose(self) -> ComposeResult:
        """The parts of the screen."""
        yield Static("", id="heading", markup=False)
        yield Static("", id="run-line", markup=False)
        yield TextPane(id="run-text")
        yield Static("", id="message", markup=False)
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        """Begin."""
        target = self.desk.plan.target.name or "an unnamed target"
        title = f"Applying {self.desk.plan.kind} plan {self.desk.plan.digest[:12]} to {target}"
        self.query_one("#heading", Static).update(display_text(title))
        self.query_one("#run-text", TextPane).focus()
        self.set_interval(_REFRESH_S, self._show_progress)
        self._begin()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Which keys there are: a run can be stopped, and what is done taken back."""
        allowed = {
            "stop": self.is_applying,
            "resume": not self.is_applying and self.is_stopped and self.run_name is not None,
            "undo": not self.is_applying and self.run_name is not None,
            "journal": not self.is_applying and self.run_name is not None,
            "leave": not self.is_applying,
        }
        return allowed.get(action, True)

    def may_leave(self) -> bool:
        """Whether the program may be left: not while rows are written."""
        if self.is_applying:
            self._say("A run is under way; s stops it before its next write.")
        return not self.is_applying

    def action_stop(self) -> None:
        """Put the stop file there, which ends the run before its next write."""
        touch_private(self.desk.stop_path())
        self._say("Stopping before the next write ...")

    def action_resume(self) -> None:
        """Settle what the stopped run left open, and finish its plan."""
        self._choices = {**self._choices, "resume": self.run_name}
        self.progress = RunWatch(time.monotonic())
        self._begin()

    def action_undo(self) -> None:
        """Plan the way back, and open that plan."""
        run = self.run_name
        assert run is not None, "the key is there only after a run"
        if not needs_terminal(self.desk.settings, None):
            self._work(lambda: self._plan_undo(run), self._on_undo)
            return
        try:
            made = with_terminal(self.app, lambda: self._plan_undo(run))
        except (ReconError, OSError) as error:
            self._say(sentence_of(error))
        else:
            self._on_undo(made)

    def action_journal(self) -> None:
        """Show the run as the journal holds it, as ``recon runs RUN`` does."""
        run = self.run_name
        assert run is not None, "the key is there only after a run"

        def read() -> Report:
            from recon.api import journal
            from recon.reports.views.run import render_run_state

            return render_run_state(journal.run(run, config=self.desk.config))

        self._work(read, self._show_report)

    def action_leave(self) -> None:
        """Back to the plan."""
        self.dismiss(None)

    def _begin(self) -> None:
        self.is_applying, self.is_stopped = True, False
        self.refresh_bindings()
        self._say("")
        self.run_worker(self._apply, thread=True, exclusive=True)

    def _apply(self) -> None:
        """In a thread of its own: apply, and say how it ended."""
        from recon.runs.apply import RunStoppedError

        try:
            report = self.desk.apply(self._choices, progress=self._hear, say=self.progress.said.append)
            self._tell(lambda: self._ended(report, ""))
        except RunStoppedError as error:
            stopped, text = error.report, sentence_of(error)
            self._tell(lambda: self._ended(stopped, text))
        except BaseException as error:
            note_unforeseen(error)
            text = sentence_of(error)
            self._tell(lambda: self._ended(None, text))
        finally:
            self.desk.stop_path().unlink(missing_ok=True)

    def _hear(self, source: str, done: int, total: int | None) -> None:
        self.progress.hear(source, done=done, total=total, now=time.monotonic())

    def _ended(self, report: Any, said: str) -> None:
        from recon.reports.views.run import render_run

        self.is_applying = False
        self.outcome = said or "done"
        if report is not None:
            self.run_name = report.run
            self.is_stopped = bool(report.stopped)
            shown = render_run(report, next_steps=self._next_steps(report))
            self._show_report(replace(shown, tables=shown.tables[::-1]))  # what remains stands before the rows
        self.refresh_bindings()
        self._show_progress()
        self._say(said)

    def _next_steps(self, report: Any) -> Sequence[str]:
        """The commands that the command line prints after a run."""
        config = f" --config {shell_word(self.desk.facts.config)}" if self.desk.facts.config else ""
        plan = shell_word(self.desk.facts.plan_path)
        steps = [f"r here, or: recon apply {plan} --resume {report.run}{config}"] if report.stopped else []
        return [*steps, f"To take it back: t here, or: recon undo {report.run}{config}"] if report.run else steps

    def _plan_undo(self, run: str) -> Desk:
        places: list[Path] = []
        plan = self.desk.undo(run, on_saved=places.append, say=self.progress.said.append)
        return desk_of(
            plan, places[0], config=self.desk.config, settings=self.desk.settings, operator=self.desk.operator
        )

    def _work(self, do: Callable[[], Any], then: Callable[[Any], None]) -> None:
        """Do something in a thread, and go on with what it gives; an error is said."""

        def work() -> None:
            try:
                found = do()
            except BaseException as error:
                note_unforeseen(error)
                text = sentence_of(error)
                self._tell(lambda: self._say(text))
                return
            self._tell(lambda: then(found))

        self._say("One moment ...")
        self.run_worker(work, thread=True, exclusive=True)

    def _tell(self, callback: Callable[[], None]) -> None:
        self.app.call_from_thread(callback)

    def _show_report(self, report: Report) -> None:
        self._say("")
        self.query_one("#run-text", TextPane).show_at_width(lambda width: report_lines(report, width))

    def _show_progress(self) -> None:
        now = time.monotonic()
        line = self.progress.line(now, width=min(30, max(10, self.size.width - 62)))
        if not self.is_applying:
            line = "Stopped." if self.is_stopped else "Ended." if self.run_name else "Nothing was written."
        self.query_one("#run-line", Static).update(line)
        if self.is_applying:
            said = [SheetLine(PLAIN, f"- {display_text(text)}", 2) for text in tuple(self.progress.said)]
            self.query_one("#run-text", TextPane).show_text(said, at_top=False)

    def _say(self, text: str) -> None:
        self.query_one("#message", Static).update(display_text(text))
