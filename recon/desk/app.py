"""The program of the review: its look, which needs no colours, and how it begins and ends."""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
import threading
from typing import Any, ClassVar, Final

from textual.app import App
from textual.binding import Binding, BindingType
from textual.driver import Driver

from recon.core.errors import UsageError
from recon.desk.desk import Desk
from recon.desk.running import RunScreen
from recon.desk.screen import DeskScreen
from recon.reports.outputs.surviving import ENDING, surviving

_END_EVERY_S: Final = 0.2
_LOOK_EVERY_S: Final = 2.0
_PAUSING: Final = tuple(getattr(signal, name) for name in ("SIGTSTP", "SIGCONT") if hasattr(signal, name))
"""What pauses a program and lets it go on; Textual listens to both, and does not let go of them."""
_CSS = """
Screen { background: ansi_default; color: ansi_default; layers: base; }
Static { height: auto; }
#heading { height: 1; text-style: bold; }
#columns { height: 1; text-style: underline; }
#filter-row { height: 1; }
#filter-label { width: 8; }
#filter { height: 1; border: none; padding: 0; background: ansi_default; color: ansi_default; }
#filter:focus { text-style: underline; }
#body { height: 1fr; }
#list-side { width: 1fr; height: 1fr; }
#list { height: 1fr; scrollbar-size-vertical: 1; scrollbar-gutter: stable; overflow-x: hidden; }
#list { background: ansi_default; }
#sheet { width: 1fr; height: 1fr; display: none; scrollbar-size-vertical: 1; overflow-x: hidden; }
#sheet { background: ansi_default; }
.beside #sheet { display: block; border-left: vkey $foreground; padding-left: 1; width: 1fr; }
.over #sheet { display: block; }
.over #list-side { display: none; }
#totals { height: auto; max-height: 3; }
#message { height: auto; max-height: 3; }
Footer { background: ansi_default; color: ansi_default; }
ModalScreen { align: center middle; background: ansi_default; }
#dialog { width: 96%; max-width: 110; height: auto; max-height: 96%; border: round $foreground; padding: 0 1;
          background: ansi_default; }
#dialog-title { text-style: bold; }
#dialog-text, #dialog-list { scrollbar-size-vertical: 1; overflow-x: hidden; background: ansi_default; }
#dialog-text { height: auto; max-height: 50%; }
.to-read #dialog-text { max-height: 85%; }
#dialog-list { height: auto; max-height: 80%; }
#dialog Input { border: none; padding: 0; height: 1; background: ansi_default; color: ansi_default; }
#dialog Input:focus { text-style: underline; }
.label { text-style: bold; }
#dialog-error { text-style: bold; max-height: 3; }
#dialog-list { margin-bottom: 1; }
#run-text { height: 1fr; scrollbar-size-vertical: 1; overflow-x: hidden; background: ansi_default; }
#run-line { height: 1; text-style: bold; }
"""


class NoTerminalError(UsageError):
    """The review has nobody to talk to."""

    def __init__(self) -> None:
        super().__init__('"recon review" needs a terminal for its screen and keys; "recon show PLAN" prints a plan.')


class DeskApp(App[None]):
    """The review of a plan in the terminal."""

    CSS = _CSS
    TITLE = "recon review"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+c,ctrl+q", "quit", show=False)]

    def __init__(self, desk: Desk) -> None:
        super().__init__(ansi_color=True)
        self._desk = desk
        self._first: DeskScreen | None = None
        self.ended_with: int | None = None
        """The signal that asked the program to end."""

    @property
    def ended_by(self) -> BaseException | None:
        """What ended the program: a plan that was changed, or what nobody foresaw; None when it was left."""
        if self.ended_with is not None:
            return KeyboardInterrupt()
        return self._exception or (self._first.ended_by if self._first is not None else None)

    def on_mount(self) -> None:
        """Open the plan, and listen to who wants the program to end."""
        self._first = DeskScreen(self._desk)
        self.push_screen(self._first)
        if threading.current_thread() is threading.main_thread():
            for number in ENDING:
                if signal.getsignal(number) != signal.SIG_IGN:
                    asyncio.get_running_loop().add_signal_handler(number, self.end_early, number)
            self.set_interval(_LOOK_EVERY_S, self._look_for_terminal)

    def _look_for_terminal(self) -> None:
        """End where the terminal is gone: nobody need have said so, and reading it gives nothing for ever."""
        file = getattr(self._driver, "_file", None)
        if file is not None and not file.isatty() and self.ended_with is None:
            self.end_early(signal.SIGHUP)

    def end_early(self, number: int) -> None:
        """End as soon as no row is being written; a run that is under way is stopped before its next write."""
        self.ended_with = number
        under_way = [each for each in self.screen_stack if isinstance(each, RunScreen) and each.is_applying]
        for each in under_way:
            each.action_stop()
        if not under_way:
            self._keep_views()
            self.exit()
        else:
            self.set_timer(_END_EVERY_S, lambda: self.end_early(number))

    def _keep_views(self) -> None:
        for each in self.screen_stack:
            if isinstance(each, DeskScreen):
                each.keep_view()

    def get_driver_class(self) -> type[Driver]:
        """The driver of this system, for a terminal that may go away."""
        return _lasting(super().get_driver_class())

    async def action_quit(self) -> None:
        """Leave, unless a run is under way: that is stopped first."""
        may_leave = getattr(self.screen, "may_leave", None)
        if may_leave is None or may_leave():
            self.exit()

    def _fatal_error(self) -> None:
        """End after what nobody foresaw without Textual's traceback, which would print payments."""
        self._close_messages_no_wait()


def _lasting(driver: Any) -> type[Driver]:
    """A driver that goes on writing to a terminal that is gone, and ends the program once it cannot be read.

    Textual's own waits for ever then: the thread that writes has ended, and what it was to write fills its queue. A
    program whose terminal is lost is told to go on, too (SIGCONT), and Textual would take a terminal that is not there
    once more, with threads that nobody ends.
    """

    class LastingDriver(driver):  # type: ignore[misc]
        """The driver of a system, for a connection that may be lost."""

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            file = getattr(self, "_file", None)
            if file is not None:
                self._file = surviving(file)

        def resume_application_mode(self) -> None:
            """Take the terminal again after a pause, where it is still there."""
            if self._file is None or self._file.isatty():
                super().resume_application_mode()

        def run_input_thread(self) -> None:
            """Read until the program ends, or the terminal does."""
            try:
                super().run_input_thread()
            except OSError:
                self._loop.call_soon_threadsafe(self._app.end_early, signal.SIGHUP)

    return LastingDriver


def run_desk(desk: Desk) -> None:
    """Show a plan until the person leaves it; the terminal is as it was afterwards.

    Raises:
        NoTerminalError: Input or output is no terminal.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise NoTerminalError
    gc.freeze()  # The plan stays until the end of the process; no collection goes through it again.
    app = DeskApp(desk)
    before = {number: signal.getsignal(number) for number in (*_PAUSING, *ENDING)}
    try:
        app.run()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if app.ended_with is not None:
        signal.raise_signal(app.ended_with)  # How the program ends by it is for the caller to say.
    if app.ended_by is not None:
        raise app.ended_by
