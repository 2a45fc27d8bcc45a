"""What screens of the desk share: questions, work in a thread, what may need the terminal, and the line of messages."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from textual.screen import Screen
from textual.widgets import Static

from recon.core.errors import ReconError
from recon.desk.asking import needs_terminal
from recon.desk.desk import Desk
from recon.desk.dialogs import ChooseDialog, FormDialog
from recon.desk.running import note_unforeseen, sentence_of, with_terminal
from recon.reports.text import display_text


class WorkScreen(Screen[None]):
    """A screen of one plan that does what may take long beside the keys, one thing at a time."""

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self.desk = desk
        self.is_busy = False

    def _saved(self, do: Callable[[], object]) -> bool:
        """Do what saves the review; what hinders that is said."""
        try:
            do()
        except (ReconError, OSError) as error:
            self._say(sentence_of(error))
            return False
        return True

    def _ask(self, dialog: FormDialog | ChooseDialog, then: Callable[[Any], object]) -> None:
        """Show a question, and go on with the answer unless it was left."""

        def answered(found: Any) -> None:
            if found is not None:
                then(found)

        self.app.push_screen(dialog, answered)

    def _work(
        self,
        do: Callable[[], Any],
        then: Callable[[Any], object],
        *,
        failed: Callable[[BaseException], object] | None = None,
    ) -> None:
        """Do something in a thread, and go on with what it gives; an error is said."""
        if self.is_busy:
            return
        self.is_busy = True
        self._say("One moment ...")

        def work() -> None:
            try:
                found = do()
            except BaseException as error:
                note_unforeseen(error)
                found_error, tell = error, failed or (lambda error: self._say(sentence_of(error)))
                self.app.call_from_thread(self._worked, lambda: tell(found_error))
                return
            self.app.call_from_thread(self._worked, lambda: then(found))

        self.run_worker(work, thread=True)

    def _signed(self, do: Callable[[], Any], then: Callable[[Any], object], *, key: Path | None = None) -> None:
        """Do what may ask for the passphrase of a key, with the terminal free for that where there is one."""
        if not needs_terminal(self.desk.settings, key):
            self._work(do, then)
            return
        try:
            found = with_terminal(self.app, do)
        except (ReconError, OSError) as error:
            self._say(sentence_of(error))
        else:
            then(found)

    def _worked(self, go_on: Callable[[], object]) -> None:
        self.is_busy = False
        go_on()
        self._after_work()

    def _after_work(self) -> None:
        """Show what the work may have changed."""

    def _say(self, text: str) -> None:
        self.query_one("#message", Static).update(display_text(text))
