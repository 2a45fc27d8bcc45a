"""One plan on the desk: what is shown of it, what was marked, and what is done about it, by the functions of the API.

Nothing here decides or writes by itself: a selection is written by :func:`recon.api.review.select`, a decision by
``approve`` and ``ack``, a run by ``apply``, a way back by ``undo``, each with the options of the command of its name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recon.api import review as decisions
from recon.api.common import free_path, settings_if_there, settings_of
from recon.api.naming import newest_plan, plan_place
from recon.core.errors import RefusedError, UsageError
from recon.core.model import Plan
from recon.core.registry import load_registry
from recon.core.times import millisecond_text, parse_iso
from recon.desk.draft import Draft, open_draft
from recon.desk.marks import Mark, MarkedTotals, MarkKind, marked_totals
from recon.desk.query import Known, Query, known_names, parse_query
from recon.desk.rows import DeskRow, GroupHead, Line, desk_rows, group_rows, sort_rows
from recon.desk.sheet import SheetFacts, sheet_facts
from recon.plans.history import FILE_NAME
from recon.plans.limits import Limits
from recon.plans.notes import notes_beside
from recon.reports.views.totals import money_text
from recon.sources.interface import Progress

if TYPE_CHECKING:
    from recon.api.common import Config, Say
    from recon.core.registry import Registry
    from recon.investigation.payment import Inspection
    from recon.plans.approvals import Approval
    from recon.runs.apply import RunReport
    from recon.setup.settings import Settings


class NotAPlanError(UsageError):
    """What is to be reviewed is no plan."""

    def __init__(self, *, path: str) -> None:
        super().__init__(f'{path} is no plan; "recon show" shows snapshots and run histories.')


class NothingMarkedError(UsageError):
    """There is nothing to write."""

    def __init__(self) -> None:
        super().__init__("Nothing is marked for apply; mark rows with space, or all that are shown with *.")


class NotTypedError(RefusedError):
    """The digest was not typed as it is shown."""

    def __init__(self, *, wanted: int) -> None:
        super().__init__(
            f"The first {wanted} digits of the digest were not typed as they are shown; nothing was written."
        )


class NoTimeError(UsageError):
    """A time cannot be read."""

    def __init__(self, *, text: str) -> None:
        super().__init__(f"{text[:40]!r} is no time; write 2026-12-01 or 2026-12-01T08:30Z.")


DIGITS_TYPED = 6
"""How many digits of the digest a person types, having read it on the screen; the whole of it goes to the apply."""


@dataclass(slots=True)
class Desk:
    """A plan that is reviewed.

    Args:
        path: Its file, which every deed reads anew.
        config: The configuration as it was named, for the functions of the API.
        check: What is left to check of the file; see :meth:`finish`. Every deed reads and checks the file anew.
    """

    plan: Plan
    path: Path
    config: Config
    draft: Draft
    rows: tuple[DeskRow, ...]
    operator: str | None = None
    check: Callable[[], None] | None = None
    settings: Settings | None = None
    limits: Limits = field(default_factory=Limits)
    _known: Known | None = None
    _facts: SheetFacts | None = None

    def use(self, settings: Settings | None) -> None:
        """Go by the names, explorers and limits of a configuration; by those shipped where there is none."""
        self.settings = settings
        self.limits = settings.limits() if settings is not None else Limits()
        self._known = self._facts = None

    @property
    def known(self) -> Known:
        """The words that a filter may name; found when they are first needed, for a first look needs none."""
        if (known := self._known) is None:
            known = self._known = known_names(self.plan, self.rows, registry=self._registry())
        return known

    @property
    def facts(self) -> SheetFacts:
        """What a sheet needs to know besides its row; found when it is first needed."""
        if (facts := self._facts) is None:
            named = "" if self.config is None or self.settings is self.config else str(self.config)
            registry, notes = self._registry(), notes_beside(self.plan, folder=self.path.parent)
            made = sheet_facts(plan_path=str(self.path), config=named, registry=registry, rows=self.rows)
            facts = self._facts = replace(made, notes=notes)
        return facts

    def _registry(self) -> Registry:
        return self.settings.registry() if self.settings is not None else load_registry()

    def finish(self) -> None:
        """Do what the first look at the list did not wait for: check the rest of the file, load the configuration.

        Raises:
            PlanFileError: The file was changed after it was made.
            ConfigError: The configuration cannot be read.
        """
        check, self.check = self.check, None
        if check is None:
            return
        check()
        if self.settings is None:
            self.use(settings_if_there(self.config))
        _ = self.known, self.facts  # Found here, where nobody waits for them.

    # What is shown

    def query(self, line: str) -> Query:
        """The filter that a line means; see :func:`recon.desk.query.parse_query`."""
        return parse_query(line, known=self.known) if line.strip() else Query()

    def lines(self, query: Query) -> list[Line]:
        """The list as it is shown under a filter, with the draft's sort and grouping."""
        kinds = self.draft.marks.kinds()
        shown: Sequence[DeskRow] = self.rows
        if query.terms:
            shown = [row for row in self.rows if query.shows(row, mark=kinds.get(row.payment_id, ""))]
        ordered = sort_rows(shown, self.draft.sort, backwards=self.draft.backwards)
        return group_rows(ordered, self.draft.group, money=rows_money)

    def totals(self) -> MarkedTotals:
        """What is marked for apply beside the limits."""
        return marked_totals(self.plan, self.draft.marks, limits=self.limits)

    # What is decided

    def mark(self, payments: Iterable[str], mark: Mark | None, *, said: str) -> bool:
        """Mark payments and save that; False when it changes nothing."""
        if self.draft.marks.put(payments, mark, said=said) is None:
            return False
        self.draft.save()
        return True

    def turn(self, payments: Iterable[str], *, said: str) -> None:
        """Pick payments, or let them go, and save that."""
        if self.draft.marks.turn(payments, said=said) is not None:
            self.draft.save()

    def take_back(self) -> str | None:
        """Undo the latest step and save that; what it was, or None when there is none."""
        step = self.draft.marks.undo()
        if step is None:
            return None
        self.draft.save()
        return step.said

    def selection_path(self) -> Path:
        """A free name for the selection, beside the plan."""
        return free_path(self.path.with_name(f"{self.path.stem}-picked.json"))

    def write_selection(self, out: Path) -> Plan:
        """Write what is marked for apply as ``recon select PLAN --payment ...`` would, byte for byte."""
        wanted = self.draft.marks.marked(MarkKind.APPLY)
        if not wanted:
            raise NothingMarkedError
        return decisions.select(self.path, out=out, payments=wanted, config=self.config, operator=self.operator)

    def record_acks(self, *, say: Say, key: Path | None = None) -> int:
        """Record what is marked as accepted as ``recon ack`` would; how many were recorded.

        Rows with one time and one reason are recorded in one go, all or none. What one go recorded is noted before the
        next, so that nothing is recorded twice after a refusal.
        """
        recorded = 0
        for (until, reason), payments in self._acks_by_mark().items():
            decisions.ack(
                payments, reason=reason, until=until_of(until), plan=self.path, key=key, config=self.config,
                operator=self.operator, say=say,
            )  # fmt: skip
            self.draft.recorded |= dict.fromkeys(payments, until)
            self.draft.save()
            recorded += len(payments)
        return recorded

    def acks_open(self) -> int:
        """How many acceptances are marked and not recorded."""
        return sum(map(len, self._acks_by_mark().values()))

    def _acks_by_mark(self) -> dict[tuple[str, str], list[str]]:
        """The payments whose acceptance is marked and not recorded, by the time and the reason."""
        found: dict[tuple[str, str], list[str]] = {}
        for payment in self.draft.marks.marked(MarkKind.ACK):
            mark = self.draft.marks.by_payment[payment]
            if self.draft.recorded.get(payment) != mark.until:
                found.setdefault((mark.until, mark.reason), []).append(payment)
        return found

    def approve(self, *, reason: str, ticket: str | None, key: Path | None) -> Approval:
        """Record an approval of the plan as ``recon approve`` would; the file must be what is on the screen."""
        from recon.runs.apply import check_digest

        plan = decisions.show(self.path)
        assert isinstance(plan, Plan), "it was one when it was opened"
        check_digest(plan, self.plan.digest)
        return decisions.approve(
            plan, reason=reason, ticket=ticket, key=key, config=self.config, operator=self.operator
        )  # fmt: skip

    # What is done

    def stop_path(self) -> Path:
        """The stop file of a run from here."""
        return self.path.with_name(f"{self.path.name}.stop")

    def check_typed(self, typed: str) -> None:
        """Refuse unless the beginning of the digest was typed as it is shown. Raises NotTypedError."""
        text = typed.strip().lower()
        if len(text) < DIGITS_TYPED or not self.plan.digest.startswith(text):
            raise NotTypedError(wanted=DIGITS_TYPED)

    def apply(self, choices: dict[str, Any], *, progress: Progress, say: Say) -> RunReport:
        """Write the plan on the screen as ``recon apply PLAN --digest DIGEST`` would, or resume a run of it."""
        from recon.api.runs import apply

        digest = None if choices.get("resume") else self.plan.digest
        return apply(
            self.path, digest=digest, config=self.config, operator=self.operator, progress=progress, say=say,
            stop_file=self.stop_path(), **choices,
        )  # fmt: skip

    def undo(self, run: str, *, on_saved: Callable[[Path], None], say: Say) -> Plan:
        """Plan the way back from a run as ``recon undo RUN`` would."""
        from recon.api.runs import undo

        return undo(run, config=self.config, operator=self.operator, on_saved=on_saved, say=say)

    def inspect(self, payment: str) -> Inspection:
        """Find out what is the matter with one payment as ``recon inspect ID`` would."""
        from recon.api.investigate import inspect

        return inspect(payment, config=self.config)


def open_desk(path: Path | None, *, config: Config = None, operator: str | None = None) -> Desk:
    """Open a plan with its saved review to look at it soon; :meth:`Desk.finish` does the rest.

    Args:
        path: The plan; the newest of the history, which the configuration names, when not given.

    Raises:
        NotAPlanError, NoPlanYetError: There is no plan.
        PlanFileError, DraftError: The plan or its saved review was changed, or cannot be read.
    """
    from recon.plans.file import open_plan

    settings = None
    if path is None:
        settings = settings_of(config)
        path = newest_plan(settings)
    path = plan_place(path, config=config)
    if path.is_dir() or path.name == FILE_NAME:
        raise NotAPlanError(path=str(path))
    plan, check = open_plan(path)
    desk = desk_of(plan, path, config=config, settings=settings, operator=operator)
    desk.check = check
    return desk


def desk_of(
    plan: Plan, path: Path, *, config: Config = None, settings: Settings | None = None, operator: str | None = None
) -> Desk:
    """A plan that is loaded already, with its saved review."""
    draft = open_draft(plan, path)
    if not draft.seen and plan.parent and plan.kind == "correction":
        draft.query = "change:yes"  # What such a plan does not write was looked at in the one that it comes from.
    rows = desk_rows(plan)
    desk = Desk(plan=plan, path=path, config=config, draft=draft, rows=rows, operator=operator)
    desk.use(settings)
    return desk


def until_of(text: str) -> datetime:
    """The time until which a break is accepted. Raises NoTimeError when it is none."""
    found = parse_iso(text.strip())
    if found is None:
        raise NoTimeError(text=text)
    return found


def ack_mark(until: str, reason: str) -> Mark:
    """The mark of an acceptance. Raises NoTimeError, or UsageError without a reason."""
    if not reason.strip():
        raise NoReasonError
    return Mark(MarkKind.ACK, millisecond_text(until_of(until)), reason.strip())


class NoReasonError(UsageError):
    """An acceptance says not why."""

    def __init__(self) -> None:
        super().__init__("An acceptance needs a reason; nothing was marked.")


def rows_money(rows: Iterable[DeskRow]) -> str:
    """The money of rows per token."""
    return money_text((row.said.symbol, row.said.decimals, row.said.value_units) for row in rows)


def first_row(lines: Iterable[Line]) -> int:
    """The place of the first line that is a row; 0 when there is none."""
    return next((place for place, line in enumerate(lines) if not isinstance(line, GroupHead)), 0)
