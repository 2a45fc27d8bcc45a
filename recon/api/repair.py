"""``repair``: rows that are missing, and the plans of a kind of their own that put records right."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from recon.api.common import (
    Config,
    OnSaved,
    Place,
    Say,
    free_path,
    operator_name,
    path_of,
    place_for,
    saved_unseen,
    settings_of,
    stamp,
    target_now,
    tell,
)
from recon.api.naming import NEWEST, plan_place, run_named, snapshot_place
from recon.core.errors import UsageError

if TYPE_CHECKING:
    from datetime import datetime

    from recon.plans.approvals import DecisionRecords
    from recon.repairs.apply import RepairOptions, RepairReport
    from recon.repairs.deeds import Deed
    from recon.repairs.missing import MissingFound, MissingRows
    from recon.repairs.plan import RepairKind, RepairPlan, RepairRequest
    from recon.repairs.undo import Counter
    from recon.runs.stores.documents import RecordWriter
    from recon.setup.open_runs import Ledger
    from recon.setup.settings import Settings

GIVEN_MAX: Final = 200
"""Most characters of one thing that a person gives for a missing row."""


class GivenTextError(UsageError):
    """What a person gives for a missing row cannot be read."""

    def __init__(self, *, text: str) -> None:
        super().__init__(
            f"{text[:60]!r} gives nothing for a row; nothing was planned. Write NAME=VALUE, of at most {GIVEN_MAX} "
            "characters, with a name of [repair.missing] asks."
        )


class NothingMissingError(UsageError):
    """A name is none of what the snapshot shows as missing."""

    def __init__(self, *, name: str) -> None:
        super().__init__(
            f"{name[:100]!r} is nothing that the snapshot shows as missing; nothing was planned. "
            '"recon repair missing" without a name lists what is.'
        )


class NoRepairReasonError(UsageError):
    """A plan of repairs is asked for without a reason."""

    def __init__(self) -> None:
        super().__init__("A plan of repairs says why; nothing was planned. Give it with --reason.")


def missing(
    names: Collection[str] = (),
    *,
    config: Config = None,
    snapshot: Place | None = None,
    give: Iterable[str] | Mapping[str, str] = (),
    reason: str = "",
    ticket: str | None = None,
    out: Place | None = None,
    operator: str | None = None,
    on_saved: OnSaved = saved_unseen,
    say: Say = tell,
) -> MissingRows:
    """List money that no row knows, or plan rows for what is named; see ``recon repair missing``.

    The evidence of each is frozen into a sealed case file before the plan is made.

    Args:
        names: Findings by name; without any, nothing is planned.
        snapshot: The sealed snapshot that shows them; the newest when not given.
        give: What only a person knows, as ``NAME=VALUE`` or by name.

    Raises:
        InsertOffError, NoTemplateError: The configuration does not let rows be put in.
        NothingMissingError: A name is none of what is missing.
    """
    from recon.repairs.missing import MissingRows
    from recon.setup.open_repairs import InsertOffError
    from recon.setup.open_runs import open_ledger
    from recon.setup.plan_missing import missing_in, unread_in
    from recon.snapshots.address import opened

    settings = settings_of(config)
    with opened(snapshot_place(snapshot or NEWEST[0], config=settings), engine=None) as taken:
        found, digest, place = missing_in(taken, settings), taken.digest, taken.path
        if not names:
            return MissingRows(found, None, unread=tuple(sorted(unread_in(taken))))
        if not settings.values.repair.insert:
            raise InsertOffError
        _check_reason(reason)
        chosen = _chosen(found, names)
        with open_ledger(settings) as ledger:
            return _missing_planned(
                settings, ledger, chosen, found=found, given=_given(give), digest=digest, snapshot=place,
                said=(reason, ticket, operator), out=out, on_saved=on_saved, say=say,
            )  # fmt: skip


def _chosen(found: Collection[MissingFound], names: Collection[str]) -> list[MissingFound]:
    by_name = {each.name: each for each in found}
    for name in names:
        if name not in by_name:
            raise NothingMissingError(name=name)
    return [by_name[name] for name in dict.fromkeys(names)]


def _given(give: Iterable[str] | Mapping[str, str]) -> dict[str, str]:
    if isinstance(give, Mapping):
        return dict(give)
    made = {}
    for text in give:
        name, sign, value = text.partition("=")
        if not (sign and name.strip() and 0 < len(value.strip()) <= GIVEN_MAX and value.isprintable()):
            raise GivenTextError(text=text)
        made[name.strip()] = value.strip()
    return made


def _check_reason(reason: str) -> None:
    if not reason.strip():
        raise NoRepairReasonError


def _missing_planned(
    settings: Settings,
    ledger: Ledger,
    chosen: Collection[MissingFound],
    *,
    found: tuple[MissingFound, ...],
    given: Mapping[str, str],
    digest: str,
    snapshot: Path,
    said: tuple[str, str | None, str | None],
    out: Place | None,
    on_saved: OnSaved,
    say: Say,
) -> MissingRows:
    from recon.repairs.missing import MissingRows
    from recon.repairs.plan import LeftOut
    from recon.setup.open_repairs import records_of_store
    from recon.setup.open_runs import clock_of
    from recon.setup.plan_missing import propose_missing

    records, now = records_of_store(ledger), clock_of(ledger, settings)()
    proposed = [(each, propose_missing(each, settings, records=records, given=given, now=now)) for each in chosen]
    left = tuple(LeftOut(each.name, deed) for each, deed in proposed if isinstance(deed, str))
    deeds = [deed for _, deed in proposed if not isinstance(deed, str)]
    if not deeds:
        return MissingRows(found, None, left)
    cases = tuple(_captured(deed, settings, snapshot=snapshot, say=say) for deed in deeds)
    plan = save_plan_of_repairs(
        "missing", deeds, settings=settings, records=records, now=now, said=said, out=out,
        on_saved=on_saved, left_out=left, cases=cases, snapshot=digest,
    )  # fmt: skip
    return MissingRows(found, plan, left)


def _captured(deed: Deed, settings: Settings, *, snapshot: Path, say: Say) -> str:
    """Freeze the evidence of one deed, and name the file with its seal."""
    import json

    from recon.api.investigate import case
    from recon.files import make_folder

    asked = next(text for text in deed.evidence if text.startswith("transfer ")).split(":")[1]
    make_folder(settings.output_dir)
    path = free_path(settings.output_dir / f"case-{asked[:20]}.json")
    case(asked, out=path, config=settings, snapshot=snapshot)
    say(f"Case:     {path}")
    seal = json.loads(path.read_bytes())["seal"]
    return f"{path.name} {seal}"


def repair_request(settings: Settings, *, said: tuple[str, str | None, str | None], now: datetime) -> RepairRequest:
    """Who asks for a plan of repairs; ``said`` are reason, ticket and operator."""
    from datetime import timedelta

    from recon.repairs.plan import RepairRequest

    reason, ticket, operator = said
    age = timedelta(hours=settings.values.limits.plan_age_max_h)
    return RepairRequest(
        now=now, author=operator_name(operator), reason=reason, target=target_now(settings), ticket=ticket, age_max=age
    )


def save_plan_of_repairs(
    kind: RepairKind,
    deeds: Collection[Deed],
    *,
    settings: Settings,
    records: RecordWriter,
    now: datetime,
    said: tuple[str, str | None, str | None],
    out: Place | None,
    on_saved: OnSaved,
    **more: Any,
) -> RepairPlan:
    """Make a plan of deeds, write it, and note its author.

    Args:
        said: Reason, ticket and operator.
        more: See :func:`recon.repairs.plan.make_repair_plan`.
    """
    from recon.repairs.plan import make_repair_plan
    from recon.setup.open_repairs import named_collections

    plan = make_repair_plan(
        kind,
        list(deeds),
        request=repair_request(settings, said=said, now=now),
        collections=named_collections(records, [deed.collection for deed in deeds]),
        **more,
    )
    return _saved(plan, settings, out=out, now=now, on_saved=on_saved)


def _saved(plan: RepairPlan, settings: Settings, *, out: Place | None, now: datetime, on_saved: OnSaved) -> RepairPlan:
    from recon.repairs.plan import save_repair_plan
    from recon.setup.open_decisions import open_decisions

    path = place_for(out, usual=settings.output_dir / f"repair-{plan.kind}-{stamp(now)}.json")
    save_repair_plan(plan, path)
    open_decisions(settings).note_author(plan, who=plan.author, at=settings.now())
    on_saved(path)
    return plan


def apply(
    plan: RepairPlan | Place,
    *,
    digest: str | None = None,
    resume: str | None = None,
    config: Config = None,
    stop_file: Place | None = None,
    operator: str | None = None,
    say: Say = tell,
) -> RepairReport:
    """Do exactly what a reviewed plan of repairs says; see ``recon repair apply``.

    Args:
        digest: The digest that the reviewer saw, whole; any other plan is refused.
        resume: Instead of a digest: the interrupted run of this plan to settle and finish.
        stop_file: Its presence ends the run before its next write.

    Raises:
        NoConsentError: Neither a digest nor a run was named, or both.
        RefusedError: Something is not as it must be; nothing was written.
        RepairStoppedError: The run ended early; its report names the run to resume.
    """
    from recon.api.runs import NoConsentError, note_journal_end
    from recon.repairs.apply import RepairStoppedError, apply_repair, resume_repair
    from recon.repairs.plan import load_repair_plan
    from recon.setup.open_repairs import check_may_put, repair_ports
    from recon.setup.open_runs import open_ledger

    if (digest is None) == (resume is None):
        raise NoConsentError
    settings = settings_of(config)
    place = plan_place(plan, config=settings) if isinstance(plan, str | Path) else None
    if resume is not None:
        resume = _known_run(settings, resume)
    reviewed = load_repair_plan(place) if isinstance(place, Path) else plan
    assert not isinstance(reviewed, str | Path), "a place was read"
    check_may_put(reviewed, settings)
    with open_ledger(settings) as ledger:
        ports = repair_ports(ledger, settings)
        options = _options(settings, reviewed, ports.records, now=ports.clock(), who=operator, stop_file=stop_file)
        try:
            if resume is not None:
                report = resume_repair(reviewed, ports, run=resume, options=options)
            else:
                report = apply_repair(reviewed, ports, digest=str(digest), options=options)
        except RepairStoppedError as error:
            note_journal_end(settings, ledger, run=error.report.run, say=say)
            raise
        if report.run is not None:
            note_journal_end(settings, ledger, run=report.run, say=say)
        return report


def _known_run(settings: Settings, word: str) -> str:
    """The run that a word names.

    Raises:
        UnknownRunError, NoSuchNameError: The journal knows no such run, or several.
    """
    from recon.runs.states import read_run
    from recon.setup.open_runs import open_ledger

    with open_ledger(settings) as ledger:
        run = run_named(word, ledger.journal)
        read_run(ledger.journal, run, with_intents=False)
    return run


def _options(
    settings: Settings,
    plan: RepairPlan,
    records: RecordWriter,
    *,
    now: datetime,
    who: str | None,
    stop_file: Place | None,
) -> RepairOptions:
    from recon.repairs.apply import RepairOptions
    from recon.setup.open_decisions import open_decisions
    from recon.setup.open_repairs import AskDeedsAgain

    decisions: DecisionRecords = open_decisions(settings)
    return RepairOptions(
        target=target_now(settings),
        operator=operator_name(who),
        limits=settings.limits(),
        approvals=decisions.approvals(plan, now=now),
        approval_policy=settings.approval_policy(),
        author=decisions.author(plan, now=now),
        recheck=AskDeedsAgain(settings, records),
        stop_file=path_of(stop_file),
    )


def undo(
    run: str,
    *,
    config: Config = None,
    reason: str = "",
    ticket: str | None = None,
    out: Place | None = None,
    operator: str | None = None,
    on_saved: OnSaved = saved_unseen,
) -> RepairPlan:
    """Plan the way back from a run of repairs; see ``recon repair undo``. The plan is saved.

    Args:
        run: Its name, the beginning of it, or ``last``.

    Raises:
        UnknownRunError, NoSuchNameError: The journal knows no such run, or several.
        CutRunError, JournalBehindError: The journal has lost entries, or may have.
        TakenBackAlreadyError, NothingToUndoError: Nothing is left to take back.
    """
    from recon.repairs.restores import check_journal_reaches
    from recon.repairs.undo import plan_repair_undo
    from recon.runs.ends import check_not_cut
    from recon.setup.open_repairs import repair_ports
    from recon.setup.open_runs import noted_ends, open_ledger

    settings = settings_of(config)
    with open_ledger(settings) as ledger:
        run = run_named(run, ledger.journal)
        check_journal_reaches(ledger.journal, noted_ends(settings, ledger))
        check_not_cut(ledger.journal, run=run, writer=ledger.writer)
        ports = repair_ports(ledger, settings)
        now = ports.clock()
        made = plan_repair_undo(
            ledger.journal,
            ports.records,
            run=run,
            request=repair_request(settings, said=(reason or f"takes back run {run}", ticket, operator), now=now),
            counter=_counter(settings, now=now),
        )
    return _saved(made, settings, out=out, now=now, on_saved=on_saved)


def _counter(settings: Settings, *, now: datetime) -> Counter:
    """Who makes counter-entries for what was appended to a ledger."""
    from functools import partial

    from recon.repairs.entries import counter_entries
    from recon.repairs.undo import no_counter
    from recon.setup.open_repairs import entry_terms

    if settings.values.ledger.mapping() is None:
        return no_counter
    return partial(counter_entries, terms=entry_terms(settings), now=now)
