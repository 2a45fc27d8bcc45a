"""``show``, ``select``, ``approve`` and ``ack``: looking at a plan, and deciding about it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from recon.api.choosing import Moment, check_verdicts
from recon.api.common import (
    Config,
    OnSaved,
    Place,
    Say,
    note_author,
    operator_name,
    path_of,
    place_for,
    saved_unseen,
    settings_if_there,
    settings_of,
    tell,
)
from recon.api.naming import artefact_place, newest_plan, plan_of, plan_of_any_kind, plan_place
from recon.api.picking import pick_of
from recon.core.errors import UsageError

if TYPE_CHECKING:
    from typing import Unpack

    from recon.api.picking import Kinds
    from recon.core.model import Plan
    from recon.plans.approvals import Ack, Approval
    from recon.plans.history import History
    from recon.plans.notes import PlanNotes
    from recon.rails.flags.plan import FlagPlan
    from recon.repairs.plan import RepairPlan
    from recon.snapshots.sealed import Snapshot

Artefact: TypeAlias = "Plan | FlagPlan | RepairPlan | Snapshot | History"


class UnknownArtefactError(UsageError):
    """A path leads to nothing this tool has written."""

    def __init__(self, *, path: str, why: str) -> None:
        super().__init__(f"{path}: {why}; recon show reads a plan file, a snapshot directory, or a run history.")


class NoSuchBreakError(UsageError):
    """The plan has no break that is meant."""

    def __init__(self, *, plan: str) -> None:
        super().__init__(f"{plan} shows no break of the kind that is meant; nothing was recorded.")


def show(artefact: Place, *, config: Config = None) -> Artefact:
    """Open a plan of any kind, a snapshot or a run history, offline; see ``recon show``. Only intact files are opened.

    Args:
        config: Where plans are kept that are named by a word; none is needed for a path.

    Raises:
        UnknownArtefactError: The path holds none of them.
        PlanFileError, FlagPlanError, SnapshotError: It was changed, or cannot be read.
    """
    from recon.plans.file import is_plan, load_plan

    path = artefact_place(artefact, config=config)
    if path.is_dir():
        return _snapshot_in(path)
    if not path.exists():
        raise UnknownArtefactError(path=str(path), why="nothing is there")
    if is_plan(path):
        return load_plan(path)

    from recon.plans.history import FILE_NAME, load_history
    from recon.rails.flags.plan import is_flag_plan, load_flag_plan
    from recon.repairs.plan import is_repair_plan, load_repair_plan

    if path.name == FILE_NAME:
        return load_history(path.parent)
    if is_repair_plan(path):
        return load_repair_plan(path)
    return load_flag_plan(path) if is_flag_plan(path) else load_plan(path)


def notes(plan: Plan, place: Place, *, config: Config = None) -> PlanNotes:
    """What was decided of a plan's payments in sheets, as the files beside it say; see ``recon decide import``.

    Args:
        place: The plan's file, or the word that names it.
    """
    from recon.plans.notes import notes_beside

    return notes_beside(plan, folder=artefact_place(place, config=config).parent)


def _snapshot_in(folder: Path) -> Snapshot:
    from recon.snapshots.sealed import MANIFEST, open_snapshot

    if not (folder / MANIFEST).exists():
        raise UnknownArtefactError(path=str(folder), why="this directory holds no manifest.json")
    return open_snapshot(folder)


def select(
    plan: Plan | Place,
    *,
    out: Place | None = None,
    config: Config = None,
    operator: str | None = None,
    on_saved: OnSaved = saved_unseen,
    **kinds: Unpack[Kinds],
) -> Plan:
    """Derive a smaller plan with a digest of its own, and save it; see ``recon select``.

    Args:
        out: Where it is written; beside its parent when not given.
        kinds: What is kept, see :class:`~recon.api.picking.Kinds`; everything of tier auto when nothing is given. A
            change of tier review is kept if its payment is named, or its tier.
        config: Where the author is noted; without a configuration nobody is.

    Raises:
        FileThereError: ``out`` is there already.
        UnknownFilterError: A verdict, tier, rail, chain or token is not known.
        NoSuchPaymentError: A word names no change of the plan, or several.
        EmptySelectionError: Nothing is left.
    """
    from recon.core.registry import load_registry
    from recon.files import check_free
    from recon.plans.file import save_plan
    from recon.plans.picking import select_changes

    if out is not None:
        check_free(Path(out))
    check_verdicts(kinds.get("verdicts", ()))
    whole, settings = plan_of(plan, config=config), settings_if_there(config)
    registry = settings.registry() if settings is not None else load_registry()
    smaller = select_changes(whole, pick_of(kinds, plan=whole, registry=registry))
    path = place_for(out, usual=_beside(plan, config))
    save_plan(smaller, path)
    on_saved(path)
    if settings is not None:
        note_author(settings, smaller, operator=operator)
    return smaller


def _beside(plan: Plan | Place, config: Config) -> Path:
    """Where a selection of a plan goes: next to its file, or here."""
    if isinstance(plan, str | Path):
        path = plan_place(plan, config=config)
        return path.with_name(f"{path.stem}-selected.json")
    return Path(f"plan-{plan.digest[:12]}-selected.json")


def approve(
    plan: Plan | FlagPlan | RepairPlan | Place,
    *,
    reason: str,
    ticket: str | None = None,
    key: Place | None = None,
    note_head: bool = False,
    config: Config = None,
    operator: str | None = None,
) -> Approval:
    """Record your approval of a plan of corrections, flags or repairs, once; see ``recon approve``.

    Args:
        key: The SSH key to sign with; that of the configuration when not given.
        note_head: Ask the database for the journal's end and note it in the record.

    Raises:
        MissingReasonError: The reason says nothing.
        NotSignedError: It must be signed and could not be.
        RecordExistsError: You approved it already.
    """
    from recon.rails.flags.plan import FlagPlan
    from recon.rails.flags.standing import subject_of
    from recon.setup.open_decisions import open_decisions
    from recon.setup.open_runs import head_if

    settings, seen = settings_of(config), plan_of_any_kind(plan, config=config)
    records = open_decisions(settings, key=path_of(key), head=head_if(settings, note_head))
    subject = subject_of(seen) if isinstance(seen, FlagPlan) else seen
    return records.approve(subject, who=operator_name(operator), at=settings.now(), reason=reason, ticket=ticket)


def ack(
    breaks: Iterable[str] = (),
    *,
    reason: str,
    until: Moment,
    plan: Plan | Place | None = None,
    key: Place | None = None,
    note_head: bool = False,
    config: Config = None,
    operator: str | None = None,
    say: Say = tell,
    **kinds: Unpack[Kinds],
) -> tuple[Ack, ...]:
    """Accept known breaks until a time; see ``recon ack``. They are recorded all, or none.

    Args:
        breaks: Breaks by payment, besides those that ``kinds`` pick.
        until: A time to come, or how long from now.
        plan: The plan that shows the breaks; the newest of the history when not given.
        key: The SSH key to sign with; that of the configuration when not given.
        note_head: Ask the database for the journal's end and note it in the record.

    Raises:
        NoPlanYetError: There is none.
        NoSuchBreakError, NoSuchPaymentError: It has no break that is meant; nothing was recorded.
        NotSignedError: It must be signed and could not be.
        RecordExistsError: You accepted one of them until this time already.
    """
    from recon.plans.approvals import Acceptance
    from recon.plans.picking import picked_breaks
    from recon.reports.views.totals import breaks_of
    from recon.setup.open_decisions import open_decisions
    from recon.setup.open_runs import head_if

    settings = settings_of(config)
    source = plan if plan is not None else newest_plan(settings)
    seen = plan_of(source, config=settings)
    label = Path(source).name if isinstance(source, str | Path) else f"plan {source.digest[:12]}"
    kinds["payments"] = (*breaks, *kinds.get("payments", ()))
    meant = picked_breaks(breaks_of(seen), pick_of(kinds, plan=seen, registry=settings.registry()), plan=label)
    if not meant:
        raise NoSuchBreakError(plan=label)
    records = open_decisions(settings, key=path_of(key), head=head_if(settings, note_head))
    until = settings.now() + until if isinstance(until, timedelta) else until
    wanted = [Acceptance(item, reason, until) for item in meant]
    prepared = records.prepare_acks(wanted, who=operator_name(operator), at=settings.now(), target=seen.target)
    records.record_acks(prepared)
    for item in meant:
        say(f"Recorded: {item.payment_id} ({item.verdict}) is accepted until {until:%Y-%m-%d %H:%M} UTC.")
    return tuple(each.ack for each in prepared)
