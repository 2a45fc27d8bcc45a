"""``recon apply``, ``recon runs``, ``recon undo`` and ``recon journal``: the only commands near business records."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from recon.cli.common import (
    NewFilePath,
    config_option,
    format_option,
    note,
    part_option,
    print_result,
    sign_option,
    write_stdout,
)
from recon.cli.lazy import DIFFERENCES, DONE, REFUSED
from recon.cli.progress import ShownProgress

if TYPE_CHECKING:
    from recon.api.journal import Writer
    from recon.runs.apply import RunReport


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
    "--in-flight",
    type=click.IntRange(1, 200),
    default=50,
    show_default=True,
    help="Rows that are written at the same time.",
)
@click.option(
    "--stop-file", type=click.Path(path_type=Path), help="A file whose presence ends the run before its next write."
)
@format_option
def apply(*, plan_path: Path, config_path: Path | None, output: str, **choices: Any) -> None:
    """Write exactly the reviewed plan, guarded and journalled.

    Reads every row again before the first write; writes payment records and the journal, nothing else. Leaves with 1
    when a row was left alone or a break remains unexplained, with 3 when refused, with 5 when stopped midway: the same
    command with --resume continues.

    \b
    Examples: recon apply recon-out/plan.json --digest 3f9c...
              recon apply recon-out/plan.json --resume RUN
    """
    from recon.api.runs import apply as apply_reviewed
    from recon.reports.views.run import needs_attention
    from recon.runs.apply import RunStoppedError

    try:
        with ShownProgress() as progress:
            report = apply_reviewed(plan_path, config=config_path, progress=progress, say=progress.note, **choices)
    except RunStoppedError as error:
        _print_run(error.report, output, config_path, plan_path)
        raise
    _print_run(report, output, config_path, plan_path)
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
    from recon.api import journal as past
    from recon.reports.views.run import render_run_state, render_runs

    report = render_runs(past.runs(config_path)) if run is None else render_run_state(past.run(run, config=config_path))
    print_result(report, output)


@click.command()
@click.argument("run")
@config_option
@click.option("--payment", "payments", multiple=True, metavar="ID", help="Only this payment; repeatable.")
@click.option("--verdict", "verdicts", multiple=True, metavar="NAME", help="Only payments of this verdict; repeatable.")
@click.option("--out", type=NewFilePath(), help="Plan file to write.")
@format_option
@part_option
def undo(*, run: str, config_path: Path | None, output: str, part: str | None, **chosen: Any) -> None:
    """Plan the way back from a run.

    Reads the journal and the rows; writes a plan file, which is reviewed and applied like any other. Rows that others
    have changed since are listed with their values and left alone. A run that is taken back already leaves nothing to
    plan: that is said, no file is written, and it leaves with 0.

    \b
    Examples: recon undo last
              recon undo RUN --out undo.json
    """
    from recon.api.runs import undo as take_back
    from recon.reports import render_review

    places: list[Path] = []
    with ShownProgress() as progress:
        plan = take_back(
            run, config=config_path, on_saved=places.append, progress=progress, say=progress.note, **chosen
        )
    print_result(render_review(plan, path=str(places[0]), config=_text(config_path)), output, part=part)


@click.group()
def journal() -> None:
    """Check the journal, and decide what a run left open.

    \b
    Example: recon journal verify
    """


@journal.command()
@config_option
@click.option("--no-note", is_flag=True, help="Only print it.")
def head(config_path: Path | None, no_note: bool) -> None:
    """Print the hash of the journal's last entry, and note it in the output directory.

    Reads the journal; adds one line to journal-heads.ndjson. "journal verify" holds the journal against every noted
    head, so that a cut end shows; keep a copy where who may write to the database may not.

    \b
    Example: recon journal head
    """
    from recon.api.journal import head as look

    found = look(config_path, note=not no_note)
    write_stdout(f"{found.hash}\n")
    note(f"Entry {found.seq} of the journal {found.journal}.")


@journal.command()
@config_option
@click.option("--head", metavar="HASH", help="A hash noted earlier, which must still be in the chain; shows a cut end.")
@format_option
def verify(config_path: Path | None, head: str | None, output: str) -> None:
    """Check every entry of the journal against the one before it, and its end against every noted head.

    Reads the journal, the log of noted heads, decisions and sign-offs; writes nothing. Leaves with 3 when an entry does
    not fit, and names the first one.

    \b
    Example: recon journal verify --head 3f9c...
    """
    from recon.api.journal import verify as verify_chain
    from recon.reports.views.run import render_journal_check

    check = verify_chain(config_path, head=head)
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
@sign_option
def settle(
    *, run: str, config_path: Path | None, payment: str, written_by: Writer, reason: str, key: Path | None
) -> None:
    """Record a person's decision on an unsettled change.

    Reads and appends to the journal; business records stay as they are. It frees the payment for other runs. With
    [approvals] allowed_signers it is signed.

    \b
    Example: recon journal settle RUN --payment ID --written-by run --reason "the backend keeps no such hash"
    """
    from recon.api.journal import settle as decide

    found = decide(run, payment=payment, written_by=written_by, reason=reason, config=config_path, key=key)
    word = f"{found.person}, {'signed' if found.signer else 'a name that nobody checked'}"
    writer = "it" if written_by == "run" else "others"
    note(f"Recorded ({word}): the change of {payment} in run {run} was written by {writer}.")


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
