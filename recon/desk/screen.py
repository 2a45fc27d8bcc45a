"""The screen of one plan: the list with its filter, the payment beside it or over it, what is marked, and the keys."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.events import Resize
from textual.widgets import Footer, Input, Static

from recon.core.errors import ReconError
from recon.core.text import count_text
from recon.desk.asking import ask_ack, ask_apply, ask_approve, ask_write, going_on_text, total_text
from recon.desk.desk import Desk, desk_of, first_row
from recon.desk.dialogs import ChooseDialog, FormDialog, key_lines
from recon.desk.marks import PICKED, Mark, MarkKind, check_markable
from recon.desk.panes import LineList, LinePiece, TextPane
from recon.desk.query import Query, facet_counts, toggled
from recon.desk.rows import GROUPS, SORTS, DeskRow, GroupHead, Line
from recon.desk.running import RunScreen, report_lines
from recon.desk.sheet import sheet_lines
from recon.desk.table import heading, row_pieces
from recon.desk.working import WorkScreen
from recon.reports.text import display_text

BESIDE_FROM: Final = 110
"""The width from which a payment is shown beside the list."""
_TOLD_MAX: Final = 3
_NOTHING: Final[Query] = Query()


class DeskScreen(WorkScreen):
    """One plan under review."""

    BINDINGS: ClassVar[list[BindingType]] = [
        ("space", "mark_apply", "mark"),
        ("asterisk", "mark_all", "all"),
        ("u", "undo_step", "undo"),
        ("w", "write", "write"),
        ("p", "approve", "approve"),
        ("a", "apply", "apply"),
        ("t", "take_back_run", "take back"),
        ("question_mark", "keys", "keys"),
        ("q", "leave", "leave"),
        *(
            Binding(keys, action, show=False)
            for keys, action in (
                ("enter", "open"), ("escape", "close"), ("S", "turn"), ("g", "group"), ("c", "mark_ack"),
                ("i", "mark_inspect"), ("x", "unmark"), ("U", "redo_step"), ("I", "inspect"), ("y", "copy"),
                ("slash", "filter"), ("f", "facets"), ("s", "sort"), ("n", "next_row(1)"), ("N", "next_row(-1)"),
                ("v", "pick"), ("V", "pick_all"),
            )
        ),
    ]  # fmt: skip

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.lines: list[Line] = []
        self.query_now: Query = _NOTHING
        self._entered: Query = _NOTHING
        self._before = ""
        self._is_finishing = False
        self._is_open: bool | None = None
        self._kinds: dict[str, str] = {}
        self._shown: str | None = None
        self.ended_by: BaseException | None = None

    def compose(self) -> ComposeResult:
        """The parts of the screen."""
        yield Static("", id="heading", markup=False)
        with Horizontal(id="filter-row"):
            yield Static("filter: ", id="filter-label", markup=False)
            hint = "everything; / to filter, f for facets, s to sort"
            yield Input(self.desk.draft.query, id="filter", compact=True, placeholder=hint)
        with Horizontal(id="body"):
            with Vertical(id="list-side"):
                yield Static("", id="columns", markup=False)
                yield LineList(id="list")
            yield TextPane(id="sheet")
        yield Static("", id="totals", markup=False)
        yield Static("", id="message", markup=False)
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        """Show the list as the saved review left it."""
        self._listed.focus()
        try:
            self._entered = self.query_now = self.desk.query(self.desk.draft.query)
        except ReconError as error:
            self._say(str(error))
        self._show_list(self.desk.draft.cursor)
        if left := going_on_text(self.desk):
            self._say(left)

    def on_line_list_drawn(self) -> None:
        """Go on with what the first look did not wait for."""
        if self.desk.check is not None:
            self._finish()

    def _finish(self) -> None:
        """Do the rest of opening the plan; what hinders it ends the review."""

        def finished(_: Any) -> None:
            self._is_finishing = False
            self._say(going_on_text(self.desk))
            self._show_list()

        self._is_finishing = True
        self._work(self.desk.finish, finished, failed=self.end_with)

    def end_with(self, error: BaseException) -> None:
        """Leave the program, which tells the error."""
        self.app.exit(return_code=1, message=None)
        self.ended_by = error

    def on_resize(self, event: Resize) -> None:
        """Put the payment beside the list or over it."""
        self._place_sheet()

    def may_leave(self) -> bool:
        """Whether the program may be left now: not while something is recorded or written."""
        may = not self.is_busy or self._is_finishing
        if may:
            self.keep_view()
        return may

    # The list

    @property
    def _listed(self) -> LineList:
        return self.query_one("#list", LineList)

    @property
    def picked(self) -> set[str]:
        """The payments that are meant by what comes next."""
        return self.desk.draft.marks.picked

    @property
    def row(self) -> DeskRow | None:
        """The row of the cursor."""
        place = self._listed.cursor
        line = self.lines[place] if place < len(self.lines) else None
        return line if isinstance(line, DeskRow) else None

    def _show_list(self, payment: str | None = None) -> None:
        """Show what the filter leaves, with the cursor on a payment if it is there."""
        wanted = payment if payment is not None else (self.row.payment_id if self.row else "")
        self.lines = self.desk.lines(self.query_now)
        self._kinds = self.desk.draft.marks.kinds()
        places = {line.payment_id: n for n, line in enumerate(self.lines) if isinstance(line, DeskRow)}
        self._listed.show_lines(
            len(self.lines),
            self._pieces,
            cursor=places.get(wanted, first_row(self.lines)),
            stops=lambda place: not isinstance(self.lines[place], GroupHead),
        )
        self._show_heading(len(places))
        self._show_totals()
        self._place_sheet()

    def _pieces(self, place: int, width: int) -> Sequence[LinePiece]:
        line = self.lines[place]
        if not isinstance(line, DeskRow):
            return row_pieces(line, width)
        mark = PICKED if line.payment_id in self.picked else self._kinds.get(line.payment_id, "")
        return row_pieces(line, width, mark=mark)

    def _show_heading(self, shown: int) -> None:
        plan, draft = self.desk.plan, self.desk.draft
        order = "" if draft.sort == "usual" else f", by {draft.sort}"
        order += ", turned round" if draft.backwards else ""
        order += "" if draft.group == "none" else f", grouped by {draft.group}"
        parent = f" (of {plan.parent[:12]})" if plan.parent else ""
        text = f"{plan.kind} plan {plan.digest[:12]}{parent} for {plan.target.name or 'an unnamed target'}: "
        self.query_one("#heading", Static).update(display_text(f"{text}{shown} of {len(self.desk.rows)}{order}"))

    def _show_totals(self) -> None:
        totals = self.desk.totals()
        hits = f"  OVER A LIMIT: {totals.hits[0]}" if totals.hits else ""
        picked = f"; picked {len(self.picked)}, for space, c, i or x" if self.picked else ""
        self.query_one("#totals", Static).update(display_text(f"{total_text(self.desk)}{picked}{hits}"))

    def on_line_list_moved(self) -> None:
        """Another payment is under the cursor."""
        self._show_sheet()

    def on_line_list_chosen(self) -> None:
        """A click on the row of the cursor opens it."""
        self.action_open()

    # One payment

    def _place_sheet(self) -> None:
        is_wide = self.size.width >= BESIDE_FROM
        is_open = is_wide if self._is_open is None else self._is_open
        body = self.query_one("#body")
        body.set_class(is_open and is_wide, "beside")
        body.set_class(is_open and not is_wide, "over")
        width = self.size.width if not (is_open and is_wide) else self.size.width // 2
        self.query_one("#columns", Static).update(heading(max(1, width - 1)))
        if is_open:
            self._show_sheet()
            if not is_wide and self.app.focused is self._listed:
                self.query_one("#sheet", TextPane).focus()
        elif self.app.focused is self.query_one("#sheet"):
            self._listed.focus()

    def _show_sheet(self) -> None:
        row = self.row
        pane = self.query_one("#sheet", TextPane)
        if row is None:
            pane.show_text(())
            return
        mark = self.desk.draft.marks.by_payment.get(row.payment_id)
        pane.show_text(sheet_lines(row, self.desk.facts, mark=mark), at_top=self._shown != row.payment_id)
        self._shown = row.payment_id

    def action_open(self) -> None:
        """Open the payment of the cursor; where it is open beside the list already, go into it."""
        if self.query_one("#body").has_class("beside"):
            pane = self.query_one("#sheet", TextPane)
            (self._listed if self.app.focused is pane else pane).focus()
            return
        self._is_open = True
        self._place_sheet()

    def action_close(self) -> None:
        """Leave the filter, then the picks, then the payment."""
        field = self.query_one("#filter", Input)
        if self.app.focused is field:
            field.value = self._entered.text
            self._filter(self._entered.text)
        if self.app.focused is not self._listed and not self.query_one("#body").has_class("over"):
            self._listed.focus()
            return
        if self.picked and not self.query_one("#body").has_class("over"):
            self._turn(set(self.picked))
            return
        self._is_open = False
        self._place_sheet()
        self._listed.focus()

    def action_next_row(self, step: int) -> None:
        """The next payment, also while one is open over the list."""
        self._listed.action_go(step)

    # Filter, sort, group

    def action_filter(self) -> None:
        """Go to the filter."""
        self._is_open = False if self.query_one("#body").has_class("over") else self._is_open
        self._place_sheet()
        self._before = self.row.payment_id if self.row else ""
        self.query_one("#filter", Input).focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter while it is typed; a word that is not known is told, and what was shown before it is shown."""
        if event.input.id == "filter" and event.value != self.query_now.text:
            self._filter(event.value)

    def _filter(self, line: str) -> bool:
        """Show what a line means; False when it cannot be read."""
        try:
            self.query_now = self.desk.query(line)
            self._say("")
        except ReconError as error:
            self.query_now = self._entered
            self._say(str(error))
            return False
        finally:
            self._show_list(self._before if self.app.focused is self.query_one("#filter") else None)
        return True

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter goes back to the list, unless the filter cannot be read."""
        if event.input.id == "filter" and self._filter(event.value):
            self._entered = self.query_now
            self.keep_view()
            self._listed.focus()

    def action_facets(self) -> None:
        """Choose a word of the filter from what there is."""
        counts = facet_counts(self.desk.rows, self.query_now, marks=self._kinds)
        chosen = {f"{term.key}:{value}" for term in self.query_now.terms if not term.negated for value in term.values}
        options: list[tuple[str | None, str]] = []
        for facet, values in counts.items():
            options.append((None, facet))
            for value, count in values:
                word = f"{facet}:{value}"
                options.append((word, f"{'[x]' if word in chosen else '[ ]'} {value:<26} {count:>6}"))
        self._ask(ChooseDialog("Facets: what there is beside the rest of the filter", options), self._toggle)

    def _toggle(self, word: str) -> None:
        facet, _, value = word.partition(":")
        line = toggled(self.query_now.text, facet, value=value)
        self.query_one("#filter", Input).value = line
        if self._filter(line):
            self._entered = self.query_now
            self.keep_view()

    def action_sort(self) -> None:
        """Choose the order."""
        self._ask(ChooseDialog("Sort by", [(name, name) for name in SORTS], at=self.desk.draft.sort), self._sort)

    def _sort(self, name: str) -> None:
        self.desk.draft.sort = name
        self.keep_view()
        self._show_list()

    def action_turn(self) -> None:
        """Turn the order round."""
        self.desk.draft.backwards = not self.desk.draft.backwards
        self.keep_view()
        self._show_list()

    def action_group(self) -> None:
        """Choose the groups."""
        self._ask(ChooseDialog("Group by", [(name, name) for name in GROUPS], at=self.desk.draft.group), self._group)

    def _group(self, name: str) -> None:
        self.desk.draft.group = name
        self.keep_view()
        self._show_list()

    def keep_view(self) -> None:
        """Save how the list is shown."""
        self.desk.draft.query = self.query_now.text
        self._step(self.desk.draft.save)

    def _step(self, do: Callable[[], object]) -> bool:
        """Do what saves the review, with the place of the cursor."""
        self.desk.draft.cursor = self.row.payment_id if self.row else ""
        return self._saved(do)

    # Marks

    def action_pick(self) -> None:
        """Pick the row, or let it go; then go on to the next. What marks rows marks all that are picked."""
        if self.row is not None:
            self._turn({self.row.payment_id})
            self._listed.action_go(1)

    def action_pick_all(self) -> None:
        """Pick every row that is shown; if all of them are, let them go."""
        shown = {row.payment_id for row in self._shown_rows()}
        self._turn(shown if shown <= self.picked else shown - self.picked)

    def _turn(self, payments: set[str]) -> None:
        """Pick payments, or let go those that are picked: one step, saved at once."""
        word = "let go" if payments <= self.picked else "pick"
        self._step(lambda: self.desk.turn(payments, said=f"{word} {count_text(len(payments), 'row')}"))
        self._show_list()

    def _shown_rows(self) -> list[DeskRow]:
        """The rows that the filter shows; none, and a word about it, while the filter says something else."""
        if self.query_one("#filter", Input).value.split() != self.query_now.text.split():
            self._say("The filter does not say what is shown; put it right first. Nothing was marked.")
            return []
        return [line for line in self.lines if isinstance(line, DeskRow)]

    def _meant(self) -> list[DeskRow]:
        """The rows that are picked, also those that the filter hides; without any the row of the cursor."""
        if self.picked:
            return [row for row in self.desk.rows if row.payment_id in self.picked]
        return [self.row] if self.row is not None else []

    def action_mark_apply(self) -> None:
        """Mark what is meant for apply, or take that mark away."""
        self._mark_or_not(self._meant())

    def action_mark_all(self) -> None:
        """Mark for apply every row that is shown and has a change; if all of them are, take the marks away."""
        if rows := self._shown_rows():
            self._mark_or_not(rows, goes_on=False)

    def _mark_or_not(self, rows: Sequence[DeskRow], *, goes_on: bool = True) -> None:
        fit = [row for row in rows if row.change is not None]
        are_all = bool(fit) and all(self._kinds.get(row.payment_id) == "apply" for row in fit)
        self._mark(rows, None if are_all else Mark(MarkKind.APPLY), goes_on=goes_on)

    def action_mark_ack(self) -> None:
        """Accept what is meant until one time for one reason."""
        rows = self._meant()
        try:
            fit = check_markable(rows, MarkKind.ACK)
        except ReconError as error:
            self._say(str(error))
            return
        if fit:
            self._ask(ask_ack(self.desk, len(fit)), lambda mark: self._mark(rows, mark, goes_on=False))

    def action_mark_inspect(self) -> None:
        """Send what is meant to be inspected."""
        self._mark(self._meant(), Mark(MarkKind.INSPECT))

    def action_unmark(self) -> None:
        """Take the marks of what is meant away."""
        self._mark(self._meant(), None, goes_on=False)

    def action_undo_step(self) -> None:
        """Undo the latest step."""
        self._stepped("Undone", self.desk.take_back)

    def action_redo_step(self) -> None:
        """Do again what was undone last."""

        def redo() -> str | None:
            step = self.desk.draft.marks.redo()
            self.desk.draft.save()
            return step.said if step is not None else None

        self._stepped("Done again", redo)

    def _stepped(self, word: str, step: Callable[[], str | None]) -> None:
        found: list[str | None] = []
        if self._step(lambda: found.append(step())):
            said = found[0]
            self._say(f"{word}: {said}." if said else "There is no such step.")
        self._show_list()

    def _mark(self, rows: Sequence[DeskRow], mark: Mark | None, *, goes_on: bool = True) -> None:
        """Mark rows; the picks are done with then. One row alone lets the cursor go on to the next."""
        if not rows:
            return
        try:
            payments = check_markable(rows, mark.kind) if mark is not None else [row.payment_id for row in rows]
        except ReconError as error:
            self._say(str(error))
            return
        count = count_text(len(payments), "row")
        said = f"mark {count} for {mark.kind}" if mark is not None else f"take the mark of {count} away"
        goes_on = goes_on and not self.picked
        if self._step(lambda: self.desk.mark(payments, mark, said=said)):
            self._say(_unmarked_text(said, mark, left=len({row.payment_id for row in rows}) - len(payments)))
        self._show_list()
        if goes_on:
            self._listed.action_go(1)

    # Deeds

    def action_write(self) -> None:
        """Write the selection and record the acceptances."""
        totals = self.desk.totals()
        if not totals.rows and not self.desk.acks_open() and not totals.inspects:
            self._say("Nothing is marked; mark rows with space, or all that are shown with *.")
            return
        self._ask(ask_write(self.desk), self._write)

    def _write(self, out: str) -> None:
        said: list[str] = []

        def write() -> Desk | None:
            chosen = self.desk.write_selection(Path(out)) if out else None
            if (recorded := self.desk.record_acks(say=said.append)) > _TOLD_MAX:
                said[:] = [f"Recorded: {count_text(recorded, 'acceptance')}."]
            if chosen is None:
                return None
            return desk_of(
                chosen, Path(out), config=self.desk.config, settings=self.desk.settings, operator=self.desk.operator
            )

        def written(desk: Desk | None) -> None:
            if desk is not None:
                said.append(f"Wrote {desk.path}; it is open now, q leads back.")
                self.open_desk(desk, " ".join(said[-_TOLD_MAX:]))
            else:
                self._say(" ".join(said[-_TOLD_MAX:]) or "Nothing was left to record.")

        self._signed(write, written)

    def action_approve(self) -> None:
        """Record an approval of the plan on the screen."""
        self._ask(ask_approve(self.desk), self._approve)

    def _approve(self, given: dict[str, str]) -> None:
        key = Path(given["key"]) if given["key"].strip() else None

        def approve() -> str:
            from recon.reports.views.people import claim

            found = self.desk.approve(reason=given["reason"], ticket=given["ticket"].strip() or None, key=key)
            effects = f"the effects {found.effects_digest[:12]} of plan {self.desk.plan.digest[:12]}"
            return f"Recorded: {found.person} approved {effects}; it holds until {found.expires_at}." + claim(
                found.person
            )

        self._signed(approve, self._say, key=key)

    def action_apply(self) -> None:
        """Apply the plan on the screen."""
        if self.desk.draft.marks.marked(MarkKind.APPLY):
            self._say("Rows are marked; w writes them as a plan of its own, which a applies. x and u take marks away.")
            return
        if not self.desk.plan.changes:
            self._say("This plan has nothing to do.")
            return
        self._ask(
            ask_apply(self.desk),
            lambda choices: self.app.push_screen(RunScreen(self.desk, choices, on_undo=self.open_desk)),
        )

    def action_take_back_run(self) -> None:
        """Take a run back: choose it, plan the way back, and open that plan."""
        from recon.api import journal

        def shown(runs: Any) -> None:
            options = [
                (item.run, f"{item.run}  {item.kind}  {item.state}  {item.started_at}  by {item.operator}")
                for item in reversed(runs)
            ]
            if not options:
                self._say("Nothing was applied yet.")
                return
            self._say("")
            self._ask(ChooseDialog("Take back which run?", options), self._take_back)

        self._work(lambda: journal.runs(self.desk.config), shown)

    def _take_back(self, run: str) -> None:
        places: list[Path] = []
        said: list[str] = []

        def plan() -> Desk:
            made = self.desk.undo(run, on_saved=places.append, say=said.append)
            settings, operator = self.desk.settings, self.desk.operator
            return desk_of(made, places[0], config=self.desk.config, settings=settings, operator=operator)

        self._signed(plan, lambda desk: self.open_desk(desk, " ".join(said)))

    def action_inspect(self) -> None:
        """Find out what is the matter with the payment of the cursor, now."""
        row = self.row
        if row is None:
            return

        def shown(found: Any) -> None:
            from recon.reports.views.inspection import render_inspection

            report = render_inspection(found)
            self._say("The inspection stands beside the list; moving on shows the plan again.")
            self._is_open = True
            self._place_sheet()
            self.query_one("#sheet", TextPane).show_at_width(lambda width: report_lines(report, width))

        self._work(lambda: self.desk.inspect(row.payment_id), shown)

    def action_copy(self) -> None:
        """Copy the payment's id."""
        if self.row is not None:
            self.app.copy_to_clipboard(display_text(self.row.payment_id))
            self._say(f"Copied {self.row.payment_id}.")

    def action_keys(self) -> None:
        """Show the keys."""
        self.app.push_screen(FormDialog("Keys", lines=key_lines(), fields=(), accept=lambda _: None, does="read"))

    def action_leave(self) -> None:
        """Leave this plan: back to the one before, or out."""
        if not self.may_leave():
            return
        if len(self.app.screen_stack) > 2:
            self.dismiss(None)
        else:
            self.app.exit()

    def open_desk(self, desk: Desk, said: str = "") -> None:
        """Open another plan over this one."""
        self._say("")
        screen = DeskScreen(desk)
        self.app.push_screen(screen)
        if said:
            screen.call_after_refresh(screen.tell, said)

    def tell(self, text: str) -> None:
        """Say something in the line of messages."""
        self._say(text)

    def _after_work(self) -> None:
        self._show_totals()


def _unmarked_text(said: str, mark: Mark | None, *, left: int) -> str:
    """How many of the rows that were meant could not be marked so; nothing when all were."""
    if mark is None or not left:
        return ""
    why = "that are no breaks" if mark.kind is MarkKind.ACK else "without a change"
    return f"{said}; {left} {why} left as they are."
