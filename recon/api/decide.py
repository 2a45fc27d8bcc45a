"""``decide``: the decisions about a plan in a sheet, written for a spreadsheet and taken from one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from recon.api.choosing import check_known
from recon.api.common import (
    Config,
    OnSaved,
    Place,
    Say,
    free_path,
    note_author,
    operator_name,
    path_of,
    place_for,
    saved_unseen,
    settings_if_there,
    settings_of,
    tell,
    time_of_run,
)
from recon.api.naming import plan_of, plan_place
from recon.core.canonical import sha256_hex
from recon.core.errors import UsageError
from recon.core.times import millisecond_text
from recon.plans.notes import NOTES_FORMAT, NOTES_SUFFIX
from recon.reports.text import shell_word

if TYPE_CHECKING:
    from recon.core.model import Plan
    from recon.plans.approvals import Ack, DecisionRecords, PreparedAck
    from recon.reports.sheets import RowDecision
    from recon.setup.settings import Settings


class NothingDecidedError(UsageError):
    """A sheet of decisions decides nothing."""

    def __init__(self, *, path: str) -> None:
        super().__init__(f"{path} holds no decision and no reason; nothing was written.")


@dataclass(frozen=True, slots=True)
class Decisions:
    """What was taken from a sheet.

    Args:
        plan: The plan of what is to be applied; None when nothing is.
        path: Its file.
        acks: The acknowledgements that were recorded; those that the same person recorded before are not among them.
        acks_held: How many those are.
        inspect: The payments to look into.
        notes: The file that holds every decision with its reason.
    """

    plan: Plan | None
    path: Path | None
    acks: tuple[Ack, ...]
    acks_held: int
    inspect: tuple[str, ...]
    notes: Path


def export(
    plan: Plan | Place,
    *,
    out: Place | None = None,
    form: str | None = None,
    config: Config = None,
    on_saved: OnSaved = saved_unseen,
) -> Path:
    """Write the findings of a plan as a sheet to decide in; see ``recon decide export``.

    Args:
        out: The file; one beside the plan when not given.
        form: ``csv`` or ``xlsx``; what ``out`` ends in when not given, else ``xlsx``.
        config: Where plans are kept that are named by a word; none is needed for a path.

    Raises:
        FileThereError: ``out`` is there already.
        UnknownFilterError: It is neither.
        TooManyRowsError: A spreadsheet would leave some out.
    """
    from recon.files import check_free, make_folder, save_new
    from recon.reports.sheets import decision_sheet, sheet_bytes
    from recon.reports.sheets.decisions import COLUMNS, SHEET_NAME
    from recon.reports.sheets.written import SheetKind

    if out is not None:
        check_free(Path(out))
    named = form or (Path(out).suffix.lower().lstrip(".") if out is not None else "xlsx")
    check_known("kind of sheet", [named], known=get_args(SheetKind))
    kind: Any = named
    whole = plan_of(plan, config=config)
    data = sheet_bytes(COLUMNS, decision_sheet(whole), kind=kind, name=SHEET_NAME)
    path = place_for(out, usual=_beside(plan, whole, ending=f"-decisions.{kind}", config=config))
    make_folder(path.parent)
    save_new(path, data)
    on_saved(path)
    return path


def import_(
    plan: Plan | Place,
    sheet: Place,
    *,
    out: Place | None = None,
    key: Place | None = None,
    note_head: bool = False,
    config: Config = None,
    operator: str | None = None,
    say: Say = tell,
) -> Decisions:
    """Take the decisions of a sheet: a smaller plan, acknowledgements and notes; see ``recon decide import``.

    The plan is the one that ``select`` makes of the payments to be applied. Before the first file is written every row
    was held against the plan, and every acknowledgement is signed where it has to be.

    Args:
        sheet: The file that ``export`` wrote, as a spreadsheet saved it.
        out: Where the smaller plan is written; beside its parent when not given.
        key: The SSH key to sign acknowledgements with; that of the configuration when not given.
        note_head: Ask the database for the journal's end and note it in them.
        config: Where acknowledgements are recorded; without any a configuration is not needed.

    Raises:
        SheetError, DecisionsRefusedError: The file or a row of it cannot be taken; nothing was written.
        NothingDecidedError: It decides nothing.
        FileThereError: ``out`` is there already.
        NotSignedError: An acknowledgement must be signed and could not be; nothing was written.
    """
    from recon.files import check_free
    from recon.reports.sheets import decisions_of, read_sheet, sheet_data
    from recon.reports.sheets.decisions import COLUMNS, SHEET_NAME

    if out is not None:
        check_free(Path(out))
    whole, settings = plan_of(plan, config=config), settings_if_there(config)
    now, data, name = time_of_run(settings), sheet_data(Path(sheet)), Path(sheet).name
    given = read_sheet(data, name=name, columns=[column.name for column in COLUMNS], sheet=SHEET_NAME)
    decided = decisions_of(whole, given, now=now)
    if not decided:
        raise NothingDecidedError(path=name)
    who, digest = operator_name(operator), sha256_hex(data)
    smaller, acks = _chosen(whole, decided), _Acks(settings, whole, decided, who=who, at=now)
    acks.prepare(config, key=path_of(key), note_head=note_head)
    path = place_for(out, usual=_beside(plan, whole, ending="-decided.json", config=config))
    notes = free_path(path.with_suffix(NOTES_SUFFIX))
    _write(smaller, path, notes=(notes, _notes(whole, smaller, decided, said=(name, digest, who), at=now)), acks=acks)
    if settings is not None and smaller is not None:
        note_author(settings, smaller, operator=operator)
    return _told(
        Decisions(
            plan=smaller,
            path=path if smaller is not None else None,
            acks=tuple(each.ack for each in acks.prepared),
            acks_held=acks.held,
            inspect=tuple(each.payment_id for each in decided if each.word == "inspect"),
            notes=notes,
        ),
        say,
    )


def _chosen(plan: Plan, decided: Sequence[RowDecision]) -> Plan | None:
    """The plan that ``select`` makes of what is to be applied; None when nothing is."""
    from recon.plans.picking import Pick, select_changes

    wanted = tuple(each.payment_id for each in decided if each.word == "apply")
    return select_changes(plan, Pick(payments=wanted)) if wanted else None


class _Acks:
    """The acknowledgements of a sheet: prepared before anything is written, recorded last."""

    def __init__(
        self, settings: Settings | None, plan: Plan, decided: Sequence[RowDecision], *, who: str, at: datetime
    ) -> None:
        self._settings, self._plan, self._who, self._at = settings, plan, who, at
        self._wanted = [each for each in decided if each.word == "ack"]
        self._records: DecisionRecords | None = None
        self.prepared: tuple[PreparedAck, ...] = ()

    @property
    def held(self) -> int:
        """How many were recorded before."""
        return len(self._wanted) - len(self.prepared)

    def prepare(self, config: Config, *, key: Path | None, note_head: bool) -> None:
        """Check and sign them. Raises ConfigError where there is no configuration to record them under."""
        if not self._wanted:
            return
        from recon.plans.approvals import Acceptance
        from recon.setup.open_decisions import open_decisions
        from recon.setup.open_runs import head_if

        settings = self._settings or settings_of(config)
        self._records = open_decisions(settings, key=key, head=head_if(settings, note_head))
        wanted = [
            Acceptance(each.finding, each.reason, each.until)
            for each in self._wanted
            if each.finding is not None and each.until is not None
        ]
        self.prepared = self._records.prepare_acks(
            wanted, who=self._who, at=self._at, target=self._plan.target, passes_held=True
        )

    def record(self) -> None:
        """Write them, all or none."""
        if self._records is not None:
            self._records.record_acks(self.prepared)


def _write(smaller: Plan | None, path: Path, *, notes: tuple[Path, bytes], acks: _Acks) -> None:
    """Write plan, notes and acknowledgements; after a failure none of them is there."""
    from recon.files import make_folder, save_new
    from recon.plans.file import save_plan

    made: list[Path] = []
    try:
        if smaller is not None:
            save_plan(smaller, path)
            made.append(path)
        make_folder(notes[0].parent)
        save_new(*notes)
        made.append(notes[0])
        acks.record()
    except BaseException:
        for each in made:
            each.unlink(missing_ok=True)
        raise


def _notes(
    plan: Plan, smaller: Plan | None, decided: Sequence[RowDecision], *, said: tuple[str, str, str], at: datetime
) -> bytes:
    """Every decision with its reason, as JSON; ``said`` are the sheet, its sha256 and who took it."""
    name, digest, who = said
    content = {
        "format": NOTES_FORMAT,
        "plan": plan.digest,
        "decided_plan": None if smaller is None else smaller.digest,
        "sheet": {"name": name, "sha256": digest},
        "who": who,
        "at": millisecond_text(at),
        "decisions": [
            {
                "payment_id": each.payment_id,
                "verdict": each.verdict,
                "decision": each.word.value,
                "reason": each.reason,
                **({} if each.until is None else {"until": millisecond_text(each.until)}),
            }
            for each in decided
        ],
    }
    return json.dumps(content, indent=1, ensure_ascii=True).encode() + b"\n"


def _told(made: Decisions, say: Say) -> Decisions:
    if made.acks or made.acks_held:
        before = f", {made.acks_held} were recorded before" if made.acks_held else ""
        say(f"Recorded: {len(made.acks)} acknowledgements{before}.")
    say(f"Notes:    {made.notes}")
    for payment in made.inspect:
        say(f"To look into: recon inspect {shell_word(payment)}")
    return made


def _beside(plan: Plan | Place, whole: Plan, *, ending: str, config: Config) -> Path:
    """Where a file that belongs to a plan goes: next to the plan's, or here."""
    if isinstance(plan, str | Path):
        path = plan_place(plan, config=config)
        return path.with_name(f"{path.stem}{ending}")
    return Path(f"plan-{whole.digest[:12]}{ending}")
