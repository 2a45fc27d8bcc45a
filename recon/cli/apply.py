"""``recon apply``, ``recon runs``, ``recon undo`` and ``recon journal``: the only commands near business records."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from recon.cli.common import (
    NewFilePath,
    config_option,
    format_option,
    note,
    note_author,
    operator_name,
    parse_amounts,
    part_option,
    print_result,
    settings_from,
)
from recon.cli.lazy import DIFFERENCES, DONE, REFUSED
from recon.core.errors import UsageError

if TYPE_CHECKING:
    from recon.core.model import Plan, Target
    from recon.plans.limits import Limits
    from recon.runs.apply import ApplyOptions, RunReport
    from recon.setup.open_runs import Ledger
    from recon.setup.settings import Settings


class NoConsentError(UsageError):
    """Neither a digest nor a run to resume was named."""

    def __init__(self) -> None:
        super().__init__(
            'Name the digest of the plan that was reviewed with --digest ("recon show PLAN" prints it), or the run to '
            "continue with --resume; nothing was written."
        )


@click.command()
@click.argument("plan_path", metavar="PLAN", type=click.Path(path_type=Path, dir_okay=False))
@config_option
@click.option("--digest", help="Digest of the reviewed plan, whole; any other plan is refused.")
@click.option("--resume", metavar="RUN", help="Settle what this interrupted run left open, and finish its plan.")
@click.option(
    "--accept-unhealthy", metavar="REASON", help="Why a plan that was not healthy may be applied all the same."
)
@click.option("--all-or-nothing", is_flag=True, help="Refuse the whole plan when one row is not as reviewed.")
@click.option("--backend-reconciles", is_flag=True, help="Say that the backend's own reconciliation is switched on.")
@click.option("--changes-max", type=click.IntRange(0), metavar="ROWS", help="Raise or lower the limit on rows.")
@click.option(
    "--share-max", type=click.IntRange(0, 100), metavar="PERCENT", help="The limit on the share of compared rows."
)
@click.option("--value-max", multiple=True, metavar="TOKEN=AMOUNT", help="The limit on value per run; repeatable.")
@click.option(
    "--value-max-per-payment", multiple=True, metavar="TOKEN=AMOUNT", help="The same per payment; repeatable."
)
@click.option("--refusals-max", type=click.IntRange(0), metavar="ROWS", help="Refusals after which the run stops.")
@click.option("--plan-age-max", type=click.IntRange(0), metavar="HOURS", help="How old the plan may be, in hours.")
@click.option("--canary", type=click.IntRange(0), default=5, show_default=True, help="Rows written and judged first.")
@click.option(
    "--in-flight", type=click.IntRange(1, 200), default=50, show_default=True, help="Writes at the same time."
)
@click.option(
    "--stop-file", type=click.Path(path_type=Path), help="A file whose presence ends the run before its next write."
)
@format_option
def apply(*, plan_path: Path, config_path: Path | None, digest: str | None, resume: str | None, **given: Any) -> None:
    """Write exactly the reviewed plan, guarded and journalled.

    Reads every row again before the first write; writes payment records and the journal, nothing else. Leaves with 1
    when a row was left alone or a break remains unexplained, with 3 when refused, with 5 when stopped midway: the same
    command with --resume continues.

    \b
    Examples: recon apply recon-out/plan.json --digest 3f9c...
              recon apply recon-out/plan.json --resume RUN
    """
    from recon.plans.file import load_plan
    from recon.runs.apply import RunStoppedError, apply_plan, check_digest, resume_run
    from recon.setup.open_runs import open_ledger

    if (digest is None) == (resume is None):
        raise NoConsentError
    settings, plan = settings_from(config_path), load_plan(plan_path)
    if digest is not None:
        check_digest(plan, digest)  # Nothing is asked and nothing said of a plan that was not reviewed.
    with open_ledger(settings) as ledger:
        _before_consent(plan, ledger)
        options = _options(settings, plan, ledger, given)
        parts: dict[str, Any] = {"writer": ledger.writer, "journal": ledger.journal, "clock": settings.now}
        try:
            if resume is not None:
                report = resume_run(plan, run=resume, options=options, **parts)
            else:
                report = apply_plan(plan, digest=str(digest), options=options, **parts)
        except RunStoppedError as error:
            _print_run(error.report, given["output"], config_path, plan_path)
            raise
    _print_run(report, given["output"], config_path, plan_path)
    from recon.reports.views.run import needs_attention

    sys.exit(DIFFERENCES if needs_attention(report) else DONE)


@click.command()
@click.argument("run", required=False)
@config_option
@format_option
def runs(run: str | None, config_path: Path | None, output: str) -> None:
    """List what was applied and taken back, or show one run.

    Reads the journal; writes nothing.

    \b
    Examples: recon runs
              recon runs RUN --format json
    """
    from recon.reports.views.run import render_run_state, render_runs
    from recon.runs.states import list_runs, read_run
    from recon.setup.open_runs import open_ledger

    with open_ledger(settings_from(config_path)) as ledger:
        if run is None:
            report = render_runs(list_runs(ledger.journal))
        else:
            report = render_run_state(read_run(ledger.journal, run))
    print_result(report, output)


@click.command()
@click.argument("run")
@config_option
@click.option("--payment", "payments", multiple=True, metavar="ID", help="Only this payment; repeatable.")
@click.option("--verdict", "verdicts", multiple=True, metavar="NAME", help="Only payments of this verdict; repeatable.")
@click.option("--out", type=NewFilePath(), help="Plan file to write.")
@format_option
@part_option
def undo(*, run: str, config_path: Path | None, out: Path | None, output: str, part: str | None, **chosen: Any) -> None:
    """Plan the way back from a run.

    Reads the journal and the rows; writes a plan file, which is reviewed and applied like any other. Rows that somebody
    has changed since are listed with their values and left alone.

    \b
    Example: recon undo RUN --out undo.json
    """
    from recon.cli.common import free_path
    from recon.cli.plan import stamp
    from recon.plans.file import save_plan
    from recon.reports import render_review
    from recon.runs.undo import leave_moved, plan_undo
    from recon.setup.open_runs import open_ledger

    settings = settings_from(config_path)
    with open_ledger(settings) as ledger:
        made = plan_undo(
            ledger.journal,
            run=run,
            payments=chosen["payments"],
            verdicts=chosen["verdicts"],
            target=_target(settings),
            now=settings.now(),
        )
        plan = leave_moved(made, writer=ledger.writer)
    path = out or free_path(settings.output_dir / f"undo-{stamp(settings.now())}.json")
    save_plan(plan, path)
    note_author(settings, plan)
    note(f"Plan:     {path}")
    for text in plan.summary.get("cannot_be_undone", ()):
        note(f"Cannot be undone: {text}")
    print_result(render_review(plan, path=str(path), config=_text(config_path)), output, part=part)


@click.group()
def journal() -> None:
    """Check the journal, and decide what a run left open.

    \b
    Example: recon journal verify
    """


@journal.command()
@config_option
@click.option("--head", metavar="HASH", help="A hash noted earlier, which must still be in the chain; shows a cut end.")
@format_option
def verify(config_path: Path | None, head: str | None, output: str) -> None:
    """Check every entry of the journal against the one before it.

    Reads the journal; writes nothing. Leaves with 3 when an entry does not fit, and names the first one.

    \b
    Example: recon journal verify --head 3f9c...
    """
    from recon.reports.views.run import render_journal_check
    from recon.runs.stores.journal import verify_journal
    from recon.setup.open_runs import open_ledger

    with open_ledger(settings_from(config_path)) as ledger:
        check = verify_journal(ledger.journal, head=head)
    print_result(render_journal_check(check), output)
    sys.exit(DONE if check.is_whole else REFUSED)


@journal.command()
@click.argument("run")
@config_option
@click.option("--payment", required=True, metavar="ID", help="The payment whose change is unsettled.")
@click.option(
    "--written-by",
    type=click.Choice(["run", "other"]),
    required=True,
    help="Who wrote the values that are there now.",
)
@click.option("--reason", required=True, help="Why you are sure.")
def settle(*, run: str, config_path: Path | None, payment: str, written_by: str, reason: str) -> None:
    """Record a person's decision on an unsettled change.

    Reads and appends to the journal; business records stay as they are. It frees the payment for other runs.

    \b
    Example: recon journal settle RUN --payment ID --written-by run --reason "the backend keeps no such hash"
    """
    from recon.runs.states import Decision, settle_change
    from recon.setup.open_runs import open_ledger

    settings = settings_from(config_path)
    decision = Decision(who=operator_name(), reason=reason, written_by_run=written_by == "run")
    with open_ledger(settings) as ledger:
        settle_change(ledger.journal, run=run, payment=payment, decision=decision, now=settings.now())
    note(f"Recorded: the change of {payment} in run {run} was written by {'it' if written_by == 'run' else 'others'}.")


def _before_consent(plan: Plan, ledger: Ledger) -> None:
    """Say what the changes make possible, and what will not happen, before anything is written."""
    from recon.plans.file import is_picked
    from recon.reports.views.plan import effect_table
    from recon.runs.release import release_outlook

    written = replace(plan, changes=tuple(change for change in plan.changes if is_picked(plan, change)))
    for verdict, count, effect in effect_table(written).rows:
        note(f"{verdict} ({count}): {effect}")
    if ledger.pay_ins is None or plan.kind != "correction":
        return
    outlook = release_outlook(written.changes, ledger.pay_ins)
    for payment in outlook.refused:
        note(f"{payment}: release will be refused, because its ledger lacks the pay-in")
    for payment in outlook.unknown:
        note(f"{payment}: whether release will be refused is not known, because the ledger could not be asked")


def _backend_reconciles(settings: Settings, *, said: bool) -> bool | None:
    """Whether the backend reconciles by itself, as somebody said or as its flags say; None when nobody knows."""
    from recon.core.errors import ReconError
    from recon.setup.open_rails import backend_reconciles

    try:
        found = said or backend_reconciles(settings)
    except ReconError as error:
        note(f"Whether the backend reconciles by itself is not known: {error}")
        return None
    if found:
        note("The backend's own reconciliation is switched on: it may write to the same rows at the same time.")
    return found


def _options(settings: Settings, plan: Plan, ledger: Ledger, given: dict[str, Any]) -> ApplyOptions:
    from recon.cli.progress import ShownProgress
    from recon.plans.approvals import DecisionRecords
    from recon.runs.apply import ApplyOptions
    from recon.runs.pace import RunPace
    from recon.setup.judge_again import judge_again

    records = DecisionRecords(settings.decisions_dir)
    progress = ShownProgress()
    return ApplyOptions(
        target=_target(settings),
        operator=operator_name(),
        limits=_limits(settings, given),
        pace=RunPace(
            canary_rows=given["canary"],
            in_flight=min(given["in_flight"], ledger.writer.in_flight_max),
            stop_file=given["stop_file"],
            judge=judge_again(settings),
            progress=lambda done, total: progress("writes", done, total),
        ),
        accept_unhealthy=given["accept_unhealthy"],
        approvals=records.approvals(plan),
        approval_policy=settings.approval_policy(),
        author=records.author(plan),
        all_or_nothing=given["all_or_nothing"],
        backend_reconciliation=_backend_reconciles(settings, said=given["backend_reconciles"]),
    )


def _limits(settings: Settings, given: dict[str, Any]) -> Limits:
    """The configured limits with those that were raised by name."""
    limits = settings.limits()
    raised: dict[str, Any] = {
        "changes_max": given["changes_max"],
        "share_max_percent": given["share_max"],
        "refusals_max": given["refusals_max"],
        "plan_age_max_ms": None if given["plan_age_max"] is None else given["plan_age_max"] * 3_600_000,
    }
    for option, field in (
        ("value_max", "value_max_units"),
        ("value_max_per_payment", "value_max_units_per_payment"),
    ):
        if given[option]:
            amounts = settings.units_by_token(f"--{option.replace('_', '-')}", parse_amounts(given[option]))
            raised[field] = {**getattr(limits, field), **amounts}
    return replace(limits, **{name: value for name, value in raised.items() if value is not None})


def _target(settings: Settings) -> Target:
    from recon.setup.open_sources import open_sources
    from recon.snapshots.take import target_of

    with open_sources(settings) as sources:
        return target_of(sources, policy=settings.policy(), registry=settings.registry())


def _print_run(report: RunReport, output: str, config_path: Path | None, plan_path: Path) -> None:
    from recon.reports.text import shell_word
    from recon.reports.views.run import render_run
    from recon.runs.states import Result

    config = f" --config {shell_word(str(config_path))}" if config_path else ""
    steps = []
    if report.stopped and report.run:
        steps.append(f"To continue: recon apply {shell_word(str(plan_path))} --resume {report.run}{config}")
    if report.run and report.counts.get(Result.APPLIED):
        steps.append(f"To take it back: recon undo {report.run}{config}")
    print_result(render_run(report, next_steps=steps), output)


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
