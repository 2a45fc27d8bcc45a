"""What is drawn on the screen, line by line and only as far as it is seen: a list with a cursor, and plain text.

Every line is cut into segments of plain text with a style of its own; nothing is ever read as markup.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.events import Click, Resize
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from recon.desk.sheet import ALARM, COMMAND, DIFFERS, HEAD, PLAIN, TITLE, SheetLine
from recon.reports.text import display_text

LOOKS: Final[dict[str, Style]] = {
    TITLE: Style(bold=True, reverse=True),
    HEAD: Style(bold=True, underline=True),
    PLAIN: Style(),
    ALARM: Style(bold=True, color="bright_red"),
    DIFFERS: Style(bold=True, color="bright_yellow"),
    COMMAND: Style(color="bright_cyan"),
}
"""Each look says itself without colours too: by weight, by a rule, or by the text."""
_CURSOR: Final = Style(reverse=True)


@dataclass(frozen=True, slots=True)
class LinePiece:
    """A part of a line: its text, and how it looks."""

    text: str
    look: str = PLAIN


class LineList(ScrollView, can_focus=True):
    """A list with a cursor that draws only the lines on the screen, however many there are."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "go(-1)", show=False),
        Binding("down,j", "go(1)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("pagedown", "page(1)", show=False),
        Binding("home", "edge(False)", show=False),
        Binding("end", "edge(True)", show=False),
    ]

    class Moved(Message):
        """The cursor is on another line."""

    class Chosen(Message):
        """A line was clicked a second time, or entered."""

    class Drawn(Message):
        """The list is on the screen for the first time."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's own name
        super().__init__(id=id)
        self.cursor = 0
        self._count = 0
        self._is_drawn = False
        self._pieces: Callable[[int, int], Sequence[LinePiece]] = lambda _place, _width: ()
        self._stops: Callable[[int], bool] = lambda _place: True

    def show_lines(
        self,
        count: int,
        pieces: Callable[[int, int], Sequence[LinePiece]],
        *,
        cursor: int = 0,
        stops: Callable[[int], bool] = lambda _place: True,
    ) -> None:
        """Show so many lines.

        Args:
            pieces: Gives the line of a place for a width.
            stops: Whether the cursor may stand on a place.
        """
        self._count, self._pieces, self._stops = count, pieces, stops
        self.virtual_size = Size(0, count)
        self.cursor = min(max(cursor, 0), max(count - 1, 0))
        self.refresh()
        self._follow()

    def render_line(self, y: int) -> Strip:
        """One line of the screen, as Textual asks for it."""
        if not self._is_drawn:
            self._is_drawn = True
            self.post_message(self.Drawn())
        width, base = self.scrollable_content_region.width, self.rich_style
        place = self.scroll_offset.y + y
        if place >= self._count:
            return Strip.blank(width, base)
        style = base + _CURSOR if place == self.cursor else base
        segments = [Segment(piece.text, style + LOOKS[piece.look]) for piece in self._pieces(place, width)]
        return Strip(segments).adjust_cell_length(width, style)

    def action_go(self, step: int) -> None:
        """Move the cursor, past lines where it may not stand."""
        place = self.cursor + step
        while 0 <= place < self._count and not self._stops(place):
            place += 1 if step > 0 else -1
        self.move_to(place)

    def action_page(self, pages: int) -> None:
        """Move the cursor by a screen."""
        self.move_to(min(max(self.cursor + pages * max(1, self.size.height - 1), 0), self._count - 1))

    def action_edge(self, last: bool) -> None:
        """Move the cursor to the first line or the last."""
        self.move_to(self._count - 1 if last else 0)

    def move_to(self, place: int) -> None:
        """Put the cursor on a line, or on the nearest after it where it may stand."""
        if not 0 <= place < self._count:
            return
        while place < self._count - 1 and not self._stops(place):
            place += 1
        if place != self.cursor and self._stops(place):
            self.cursor = place
            self.refresh()
            self._follow()
            self.post_message(self.Moved())

    def on_click(self, event: Click) -> None:
        """A click moves the cursor; one on the line of the cursor chooses it."""
        place = self.scroll_offset.y + event.y
        if place == self.cursor:
            self.post_message(self.Chosen())
        else:
            self.move_to(place)

    def on_resize(self, event: Resize) -> None:
        """Keep the cursor on the screen, whose height is known only now."""
        self._follow()

    def _follow(self) -> None:
        if self.size.height:
            self.scroll_to_region(Region(0, max(self.cursor - 1, 0), 1, 3), animate=False, force=True)


class TextPane(ScrollView, can_focus=True):
    """Lines of text, wrapped at the pane's own width."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "scroll_down", show=False),
        Binding("k", "scroll_up", show=False),
    ]

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's own name
        super().__init__(id=id)
        self._lines: Callable[[int], Sequence[SheetLine]] = lambda _width: ()
        self._wrapped: list[LinePiece] = []
        self._wrapped_at = -1

    def show_text(self, lines: Sequence[SheetLine], *, at_top: bool = True) -> None:
        """Show lines, from the first one on unless the place is to be kept."""
        self.show_at_width(lambda _width: lines, at_top=at_top)

    def show_at_width(self, lines: Callable[[int], Sequence[SheetLine]], *, at_top: bool = True) -> None:
        """Show what is laid out anew for each width."""
        self._lines, self._wrapped_at = lines, -1
        self._wrap()
        if at_top:
            self.scroll_to(y=0, animate=False, force=True)
        self.refresh()

    def on_resize(self, event: Resize) -> None:
        """Lay the text out for another width."""
        self._wrap()

    def render_line(self, y: int) -> Strip:
        """One line of the screen, as Textual asks for it."""
        width, base = self.scrollable_content_region.width, self.rich_style
        if width != self._wrapped_at:
            self._wrap()
        place = self.scroll_offset.y + y
        if place >= len(self._wrapped):
            return Strip.blank(width, base)
        piece = self._wrapped[place]
        return Strip([Segment(piece.text, base + LOOKS[piece.look])]).adjust_cell_length(width, base)

    def _wrap(self) -> None:
        width = self.scrollable_content_region.width
        if width <= 0 or width == self._wrapped_at:
            return
        self._wrapped_at = width
        self._wrapped = [
            LinePiece(text, line.look)
            for line in self._lines(width)
            for text in wrap_text(line.text, width, hang=line.hang)
        ]
        self.virtual_size = Size(width, len(self._wrapped))


def wrap_text(text: str, width: int, *, hang: int = 2) -> list[str]:
    """Text in lines of at most so many cells, broken between words where that is possible.

    >>> wrap_text("one two three", 8, hang=2)
    ['one two', '  three']
    """
    lines: list[str] = []
    rest, room = text.rstrip(), max(width, 4)
    while cell_len(rest) > room:
        cut = _fitting(rest, room)
        indent = len(rest) - len(rest.lstrip(" "))
        space = rest.rfind(" ", indent + 1, cut + 1)
        word = rest[space + 1 :].split(" ", 1)[0]
        # A word that fits on no line anyway is broken where it stands.
        cut = space if space > indent and cell_len(word) <= room - min(hang, room // 2) else cut
        lines.append(rest[:cut].rstrip())
        rest = " " * min(hang, room // 2) + rest[cut:].lstrip(" ")
    return [*lines, rest]


def _fitting(text: str, width: int) -> int:
    """How many characters fit into so many cells, at least one."""
    low = min(width, len(text))
    while low > 1 and cell_len(text[:low]) > width:
        low -= 1
    return low


def fit_cell(text: str, width: int, *, right: bool = False) -> str:
    """Text in exactly so many cells: filled up, or cut in the middle so that both ends are seen.

    >>> fit_cell("abcdefghij", 7), fit_cell("ab", 4, right=True)
    ('abc…hij', '  ab')
    """
    clean = display_text(text, length_max=300)
    size = cell_len(clean)
    if size > width:
        half = (width - 1) // 2
        head, tail = clean[: _fitting(clean, width - 1 - half)], clean[len(clean) - half :] if half else ""
        return set_cell_size(f"{head}…{tail}", width)
    return " " * (width - size) + clean if right else clean + " " * (width - size)


def look_of(mapping: Mapping[str, str], word: str) -> str:
    """The look of a word; plain when it has none."""
    return mapping.get(word, PLAIN)
