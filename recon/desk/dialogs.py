"""The questions: a form with fields, a choice from a list, and the list of keys."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from recon.core.errors import ReconError
from recon.desk.panes import LineList, LinePiece, TextPane
from recon.desk.sheet import SheetLine
from recon.reports.text import display_text


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a form: its name, what is asked, and what stands in it at first."""

    name: str
    label: str
    value: str = ""
    hint: str = ""


class FormDialog(ModalScreen[Any]):
    """Text to read and fields to fill; Enter in the last field, or ctrl+s, accepts, Escape leaves.

    What ``accept`` raises as an error of ours stays on the screen with the fields as they are.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        ("escape", "leave", "Leave"),
        ("ctrl+s,enter", "accept", "Accept"),
        ("pageup", "scroll(-1)", "Up"),
        ("pagedown", "scroll(1)", "Down"),
    ]

    def __init__(
        self,
        title: str,
        *,
        lines: Sequence[SheetLine],
        fields: Sequence[Field],
        accept: Callable[[dict[str, str]], Any],
        does: str,
    ) -> None:
        super().__init__()
        self._title, self._lines, self._fields, self._accept, self._does = title, lines, fields, accept, does

    def compose(self) -> ComposeResult:
        """The parts of the form."""
        with Vertical(id="dialog", classes="" if self._fields else "to-read"):
            yield Static(display_text(self._title), id="dialog-title", markup=False)
            yield TextPane(id="dialog-text")
            for field in self._fields:
                yield Static(field.label, classes="label", markup=False)
                yield Input(value=field.value, placeholder=field.hint, id=f"field-{field.name}", compact=True)
            yield Static("", id="dialog-error", markup=False)
            keys = f"Enter: {self._does}   Escape: leave it" if self._fields else "Enter or Escape: back"
            yield Static(keys, id="dialog-keys", markup=False)

    def on_mount(self) -> None:
        """Show the text, and begin in the last field, which is the one that must be filled."""
        self.query_one("#dialog-text", TextPane).show_text(self._lines)
        inputs = list(self.query(Input))
        if not inputs:
            self.query_one("#dialog-text", TextPane).focus()
            return
        inputs[-1].focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter goes to the next field, and accepts in the last one."""
        inputs = list(self.query(Input))
        place = inputs.index(event.input)
        if place + 1 < len(inputs):
            inputs[place + 1].focus()
        else:
            self.action_accept()

    def action_accept(self) -> None:
        """Hand the fields over; what they are refused for is shown."""
        values = {
            field.name: self.query_one(f"#field-{field.name}", Input).value for field in self._fields
        }  # fmt: skip
        try:
            found = self._accept(values)
        except ReconError as error:
            self.query_one("#dialog-error", Static).update(display_text(error))
            return
        self.dismiss(found)

    def action_leave(self) -> None:
        """Leave without doing anything."""
        self.dismiss(None)

    def action_scroll(self, pages: int) -> None:
        """Scroll the text above the fields."""
        pane = self.query_one("#dialog-text", TextPane)
        pane.scroll_relative(y=pages * max(1, pane.size.height - 1), animate=False)


class ChooseDialog(ModalScreen[Any]):
    """One of several; what was chosen comes back, None when it was left."""

    BINDINGS: ClassVar[list[BindingType]] = [
        ("escape,q", "leave", "Leave"),
        ("enter", "choose", "Choose"),
    ]

    def __init__(self, title: str, options: Sequence[tuple[str | None, str]], *, at: str | None = None) -> None:
        super().__init__()
        self._title, self._options = title, options
        places = [place for place, (value, _) in enumerate(options) if value is not None]
        self._at = next((place for place in places if options[place][0] == at), places[0] if places else 0)

    def compose(self) -> ComposeResult:
        """The parts of the choice; an option without a value is a heading."""
        with Vertical(id="dialog"):
            yield Static(display_text(self._title), id="dialog-title", markup=False)
            yield LineList(id="dialog-list")
            yield Static("Enter: take it   Escape: leave", id="dialog-keys", markup=False)

    def on_mount(self) -> None:
        """Show the options."""
        listed = self.query_one("#dialog-list", LineList)
        listed.show_lines(
            len(self._options),
            self._pieces,
            cursor=self._at,
            stops=lambda place: self._options[place][0] is not None,
        )
        listed.focus()

    def _pieces(self, place: int, width: int) -> Sequence[LinePiece]:
        value, label = self._options[place]
        return (LinePiece(f"{'  ' if value is not None else ''}{display_text(label)}", "plain" if value else "head"),)

    def on_line_list_chosen(self) -> None:
        """A click on the line of the cursor chooses it."""
        self.action_choose()

    def action_choose(self) -> None:
        """Take the option of the cursor."""
        if self._options:
            self.dismiss(self._options[self.query_one("#dialog-list", LineList).cursor][0])

    def action_leave(self) -> None:
        """Leave without choosing."""
        self.dismiss(None)


KEYS: Final[Mapping[str, str]] = {
    "up down j k": "move; page up, page down, home and end go further",
    "enter": "open the payment beside the list, or over it where the screen is narrow; escape closes it",
    "/": "filter: verdict:late_payment tier:review rail:NAME chain:137 token:USDC amount>100 age>3d text",
    "f": "facets: what there is, with counts; enter puts a word into the filter, or takes it out",
    "s S g": "sort, turn the order round, group",
    "space": "mark for apply (A), or take the mark away",
    "*": "mark all rows that are shown for apply",
    "c i x": "mark: accept until a date (K), inspect later (I), no mark",
    "v V": "pick the row, or all that are shown: space, c, i and x then mark all picked rows at once",
    "u U": "undo the latest step, do it again; every step is saved beside the plan at once",
    "w": "write: the selection as recon select writes it, and the acceptances as recon ack records them",
    "p": "approve the plan on the screen, as recon approve",
    "a": "apply the plan on the screen, as recon apply with its digest; s stops a run",
    "t": "take a run back: makes the plan of it and opens that, as recon undo",
    "I": "inspect the payment now, as recon inspect: causes and timeline",
    "y": "copy the payment's id to the clipboard of your terminal",
    "q": "leave this plan; marks are kept",
}


def key_lines() -> tuple[SheetLine, ...]:
    """The keys, for people."""
    return tuple(SheetLine("plain", f"{keys:<12}{what}", 12) for keys, what in KEYS.items())
