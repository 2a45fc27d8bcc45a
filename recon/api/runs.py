"""``apply`` and ``undo``: the only functions near business records."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypedDict

from recon.api.choosing import check_verdicts, parse_amounts
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
    settings_of,
    stamp,
    target_now,
    tell,
    warn,
)
from recon.api.naming import plan_of, run_named
from recon.core.errors import UsageError
from recon.sources.interface import no_progress

if TYPE_CHECKING:
    from datetime import datetime
    from typing import Unpack

    from recon.core.model import Plan
    from recon.plans.approvals import Backing
    from recon.plans.limits import Limits
    from recon.runs.apply import ApplyOptions, RunReport
    from recon.setup.open_runs import Ledger
    from recon.setup.settings import Settings
    from recon.sources.interface import Progress

Amounts = Iterable[str] | Mapping[str, str]
"""``USDC=5000`` texts, or amounts in whole tokens by symbol."""


class NoConsentError(UsageError):
    """Neither a digest nor a run to resume was named."""

    def __init__(self) -> None:
        super().__init__(
            'Name the digest of the plan that was reviewed with --digest ("recon show PLAN" prints it), or the run to '
            "continue with --resume; nothing was written."
        )


class ApplyChoices(TypedDict, total=False):
    """The options of an apply, named as those of the command.

    Limits are those of the configuration unless raised or lowered here by name: ``changes_max`` rows, ``share_max``
    percent of compared rows, ``value_max`` and ``value_max_per_payment`` in whole tokens, ``refusals_max`` rows and
    ``plan_age_max`` hours. ``canary`` rows are written and judged first, ``in_flight`` at the same time; the presence
    of ``stop_file`` ends the run before its next write. ``accept_unhealthy`` is the reason why a plan that was not
    healthy may be applied. ``progress`` hears of ``writes``, and of ``refused`` once rows are; ``say`` of what will not
    happen, before the first write.
    """

    operator: str | None
    accept_unhealthy: str | None
    all_or_nothing: bool
    backend_reconciles: bool
    changes_max: int | None
    share_max: int | None
    value_max: Amounts
    value_max_per_payment: Amounts
    refusals_max: int | None
    plan_age_max: int | None
    canary: int
    in_flight: int
    stop_file: Place | None
    progress: Progress
    say: Say


def apply(
    plan: Plan | Place,
    *,
    digest: str | None = None,
    resume: str | None = None,
    config: Config = None,
    **choices: Unpack[ApplyChoices],
) -> RunReport:
    """Write exactly the reviewed plan; see ``recon apply``.

    Args:
        digest: The digest that the reviewer saw, whole; any other plan is refused.
        resume: Instead of a digest: the interrupted run of this plan to settle and finish.
        choices: See :class:`ApplyChoices`.

    Raises:
        NoConsentError: Neither a digest nor a run was named, or both.
        RefusedError: Something is not as it must be; nothing was written.
        RunStoppedError: The run ended early; its report names the run to resume.
    """
    from recon.runs.apply import RunStoppedError, apply_plan, check_digest, resume_run
    from recon.setup.open_runs import clock_of, open_ledger

    if (digest is None) == (resume is None):
        raise NoConsentError
    settings, reviewed = settings_of(config), plan_of(plan, config=config)
    if digest is not None:
        check_digest(reviewed, digest)  # Nothing is asked and nothing said of a plan that was not reviewed.
    with open_ledger(settings) as ledger:
        clock = clock_of(ledger, settings)
        _before_consent(reviewed, ledger, say=choices.get("say", warn))
        options = _options(settings, reviewed, ledger, choices=choices, now=clock())
        parts: dict[str, Any] = {"writer": ledger.writer, "journal": ledger.journal, "clock": clock}
        backing = _backing(reviewed, options, now=clock())
        try:
            if resume is not None:
                run = run_named(resume, ledger.journal)
                report = resume_run(reviewed, run=run, options=options, **parts)
            else:
                report = apply_plan(reviewed, digest=str(digest), options=options, **parts)
        except RunStoppedError as error:
            error.report = replace(error.report, backing=backing)
            note_journal_end(settings, ledger, run=error.report.run, say=choices.get("say", warn))
            raise
        if report.run is not None:
            note_journal_end(settings, ledger, run=report.run, say=choices.get("say", warn))
        return replace(report, backing=backing)


def undo(
    run: str,
    *,
    config: Config = None,
    payments: Collection[str] = (),
    verdicts: Collection[str] = (),
    out: Place | None = None,
    operator: str | None = None,
    on_saved: OnSaved = saved_unseen,
    progress: Progress = no_progress,
    say: Say = tell,
) -> Plan:
    """Plan the way back from a run; see ``recon undo``. The plan is saved, and reviewed and applied like any other.

    Args:
        run: Its name, the beginning of it, or ``last``.
        payments, verdicts: Only these; everything the run wrote when neither is given.
        out: The plan file; one in the output directory when not given.
        progress: Hears of ``rows`` as they are read again.

    Raises:
        UnknownRunError, NoSuchNameError: The journal knows no such run, or several.
        UnknownFilterError: A word is no verdict.
        TakenBackAlreadyError: The run is taken back already.
        NothingToUndoError: Nothing that was asked for is left to take back.
        CutRunError: The journal has lost entries of it.
    """
    from recon.plans.file import save_plan
    from recon.runs.ends import check_not_cut
    from recon.runs.undo import leave_moved, plan_undo
    from recon.setup.open_runs import clock_of, open_ledger

    check_verdicts(verdicts)
    settings = settings_of(config)
    with open_ledger(settings) as ledger:
        now = clock_of(ledger, settings)()
        run = run_named(run, ledger.journal)
        check_not_cut(ledger.journal, run=run, writer=ledger.writer)
        made = plan_undo(
            ledger.journal, run=run, payments=payments, verdicts=verdicts, target=target_now(settings), now=now
        )
        left = leave_moved(made, writer=ledger.writer, progress=progress)
    path = place_for(out, usual=settings.output_dir / f"undo-{stamp(now)}.json")
    save_plan(left, path)
    note_author(settings, left, operator=operator)
    on_saved(path)
    say(f"Plan:     {path}")
    if unfinished := left.summary.get("unfinished"):
        say(f"UNFINISHED: {unfinished}")
    for text in left.summary.get("cannot_be_undone", ()):
        say(f"Cannot be undone: {text}")
    return left


def _before_consent(plan: Plan, ledger: Ledger, *, say: Say) -> None:
    """Say what the changes make possible, and what will not happen, before anything is written."""
    from recon.plans.file import is_picked
    from recon.reports.views.plan import effect_table
    from recon.runs.release import release_outlook

    written = replace(plan, changes=tuple(change for change in plan.changes if is_picked(plan, change)))
    for verdict, count, effect in effect_table(written).rows:
        say(f"{verdict} ({count}): {effect}")
    if ledger.pay_ins is None or plan.kind != "correction":
        return
    outlook = release_outlook(written.changes, ledger.pay_ins)
    for payment in outlook.refused:
        say(f"{payment}: release will be refused, because its ledger lacks the pay-in")
    for payment in outlook.unknown:
        say(f"{payment}: whether release will be refused is not known, because the ledger could not be asked")


def _backend_reconciles(settings: Settings, *, said: bool, say: Say) -> bool | None:
    """Whether the backend reconciles by itself, as the caller or its flags say; None when neither does."""
    from recon.core.errors import ReconError
    from recon.setup.open_rails import backend_reconciles

    try:
        found = said or backend_reconciles(settings)
    except ReconError as error:
        say(f"Whether the backend reconciles by itself is not known: {error}")
        return None
    if found:
        say("The backend's own reconciliation is switched on: it may write to the same rows at the same time.")
    return found


def _options(settings: Settings, plan: Plan, ledger: Ledger, *, choices: ApplyChoices, now: datetime) -> ApplyOptions:
    from recon.runs.apply import ApplyOptions
    from recon.runs.pace import RunPace
    from recon.setup.ask_proof import ask_proof
    from recon.setup.judge_again import judge_again
    from recon.setup.open_decisions import open_decisions

    records, usual = open_decisions(settings), RunPace()
    progress = choices.get("progress", no_progress)
    return ApplyOptions(
        target=target_now(settings),
        operator=operator_name(choices.get("operator")),
        limits=_limits(settings, choices),
        pace=RunPace(
            canary_rows=choices.get("canary", usual.canary_rows),
            in_flight=min(choices.get("in_flight", usual.in_flight), ledger.writer.in_flight_max),
            stop_file=path_of(choices.get("stop_file")),
            judge=judge_again(settings),
            prove=ask_proof(settings, plan),
            progress=lambda done, total: progress("writes", done, total),
            refused=lambda count: progress("refused", count, None),
        ),
        accept_unhealthy=choices.get("accept_unhealthy"),
        approvals=records.approvals(plan, now=now),
        approval_policy=settings.approval_policy(),
        author=records.author(plan, now=now),
        all_or_nothing=choices.get("all_or_nothing", False),
        backend_reconciliation=_backend_reconciles(
            settings, said=choices.get("backend_reconciles", False), say=choices.get("say", warn)
        ),
    )


def note_journal_end(settings: Settings, ledger: Ledger, *, run: str | None, say: Say) -> None:
    """Note the journal's end outside the database; a run is what it is whether that succeeds or not."""
    from recon.core.errors import ReconError
    from recon.runs.ends import note_head
    from recon.setup.open_runs import head_now

    try:
        note_head(settings.output_dir, head_now(ledger), at=settings.now(), run=run)
    except (ReconError, OSError) as error:
        say(f'The journal\'s end was not noted ({error}); "recon journal head" does it.')


def _backing(plan: Plan, options: ApplyOptions, *, now: datetime) -> Backing:
    from recon.plans.approvals import backing_of

    return backing_of(plan, options.approvals, policy=options.approval_policy, author=options.author, now=now)


def _limits(settings: Settings, choices: ApplyChoices) -> Limits:
    """The configured limits with those that were raised by name."""
    limits, hours = settings.limits(), choices.get("plan_age_max")
    raised: dict[str, Any] = {
        "changes_max": choices.get("changes_max"),
        "share_max_percent": choices.get("share_max"),
        "refusals_max": choices.get("refusals_max"),
        "plan_age_max_ms": None if hours is None else hours * 3_600_000,
    }
    for option, field, given in (
        ("--value-max", "value_max_units", choices.get("value_max")),
        ("--value-max-per-payment", "value_max_units_per_payment", choices.get("value_max_per_payment")),
    ):
        if given:
            raised[field] = {**getattr(limits, field), **settings.units_by_token(option, parse_amounts(given))}
    return replace(limits, **{name: value for name, value in raised.items() if value is not None})
