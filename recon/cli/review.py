"""``recon show``, ``review``, ``select``, ``approve`` and ``ack``: looking at a plan, and deciding about it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from recon.api.common import plan_of
from recon.cli.common import (
    MomentOption,
    NewFilePath,
    config_option,
    format_option,
    key_option,
    note,
    part_option,
    print_result,
    write_stdout,
)
from recon.core.errors import ConfigError

if TYPE_CHECKING:
    from recon.core.model import Plan

PAGE_ROWS: Final = 50
_PLAN = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("artefact", type=click.Path(path_type=Path))
@click.option("--payment", metavar="ID", help="With a plan: one payment with all its evidence.")
@click.option(
    "--page",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help=f"With a plan: which {PAGE_ROWS} changes, counted from the oldest and largest.",
)
@format_option
@part_option
def show(artefact: Path, payment: str | None, page: int, output: str, part: str | None) -> None:
    """Show a plan, a snapshot or any other artefact.

    Reads only the artefact, offline; writes nothing. A plan shows its changes, oldest and largest first, and what is
    left alone and why. Only intact files are shown.

    \b
    Examples: recon show recon-out/plan.json
              recon show recon-out/plan.json --payment 665f1c2e9b1d8a0012345678
              recon show recon-out/plan.json --format csv --part left_alone
    """
    from recon.api.review import show as open_artefact
    from recon.core.model import Plan
    from recon.plans.file import many_objects
    from recon.snapshots.sealed import Snapshot

    with many_objects():
        found = open_artefact(artefact)
        if isinstance(found, Plan):
            _show_plan(found, payment=payment, page=page, output=output, part=part, path=artefact)
            return
    if payment is not None:
        raise click.UsageError("--payment is for plans.")
    if isinstance(found, Snapshot):
        from recon.reports.views.snapshot import render_snapshot

        print_result(render_snapshot(found), output, part=part)
        return
    from recon.reports.views.history import render_history

    print_result(render_history(found), output, part=part)


class NoTextualError(ConfigError):
    """The library that draws the review is not installed."""

    def __init__(self) -> None:
        super().__init__(
            "recon review draws with Textual, which is not installed; pip install 'recon-toolkit[review]' installs it."
        )


@click.command()
@click.argument("plan_path", metavar="[PLAN]", required=False, type=_PLAN)
@config_option
def review(plan_path: Path | None, config_path: Path | None) -> None:
    """Review a plan in the terminal.

    A list to filter, sort and mark, one payment beside it, and from there approve, apply and take back. Reads a plan,
    the newest one when none is named, offline as far as you only look. Writes your marks beside the plan at every step;
    a selection, an approval, an acknowledgement, a run or an undo plan only when you say so, by the same rules as the
    commands of those names. Works from 80 by 24 up and over SSH; ? shows the keys.

    \b
    Examples: recon review
              recon review recon-out/plan.json
    """
    try:
        import textual  # noqa: F401 - only to say how it is installed
    except ImportError as error:
        raise NoTextualError from error
    import gc

    from recon.desk import open_desk, run_desk
    from recon.plans.file import many_objects

    with many_objects():
        desk = open_desk(plan_path, config=config_path)
        gc.freeze()  # The plan stays until the end; no collection goes through it again.
    run_desk(desk)


@click.command()
@click.argument("plan_path", metavar="PLAN", type=_PLAN)
@click.option("--verdict", "verdicts", multiple=True, metavar="NAME", help="Keep changes of this verdict; repeatable.")
@click.option(
    "--payment", "payments", multiple=True, metavar="ID", help="Keep the change of this payment, of tier review too."
)
@click.option("--max-value", multiple=True, metavar="TOKEN=AMOUNT", help="Drop what is worth more; repeatable.")
@click.option("--out", type=NewFilePath(), required=True, help="Plan file to write.")
@config_option
def select(*, plan_path: Path, out: Path, config_path: Path | None, **chosen: Any) -> None:
    """Derive a smaller plan with a digest of its own.

    Reads a plan, offline; writes another one that names its parent, and records who made it where there is a
    configuration. Changes of tier review are written by an apply only if they are picked here by payment.

    \b
    Examples: recon select plan.json --verdict missing_tx_hash --out small.json
              recon select plan.json --payment 665f1c2e9b1d8a0012345678 --out picked.json
    """
    from recon.api.review import select as select_from
    from recon.reports import render_review

    smaller = select_from(plan_path, out=out, config=config_path, **chosen)
    print_result(render_review(smaller, path=str(out), page_rows=PAGE_ROWS), "table")


@click.command()
@click.argument("plan_path", metavar="PLAN", type=_PLAN)
@config_option
@click.option("--reason", required=True, help="Why the plan may be applied.")
@click.option("--ticket", help="The ticket it belongs to.")
@key_option
def approve(plan_path: Path, config_path: Path | None, **given: Any) -> None:
    """Record your approval of a plan, once.

    Reads a plan; writes one record that is never edited: who, when, why and the digest seen. It holds for every plan
    with the same effects and for no other, for as many hours as [approvals] valid_h says. RECON_OPERATOR names you
    where several people share a login. With [approvals] allowed_signers it must be signed with your SSH key.

    \b
    Examples: recon approve plan.json --reason "checked ten by hand" --ticket INC-12
              recon approve plan.json --reason "checked ten by hand" --key ~/.ssh/id_ed25519
    """
    from recon.api.review import approve as record_approval
    from recon.reports.views.people import claim

    plan = plan_of(plan_path)
    approval = record_approval(plan, config=config_path, **given)
    effects = f"the effects {approval.effects_digest[:12]} of plan {plan.digest[:12]}"
    note(
        f"Recorded: {approval.person} approved {effects}; it holds until {approval.expires_at}.{claim(approval.person)}"
    )


@click.command()
@click.argument("payments", metavar="BREAK...", nargs=-1, required=True)
@config_option
@click.option("--plan", "plan_path", type=_PLAN, help="The plan that shows the breaks; otherwise the newest one.")
@click.option("--reason", required=True, help="Why the break may stay.")
@click.option("--until", type=MomentOption(), required=True, help="UTC time at which it counts again.")
@key_option
def ack(payments: tuple[str, ...], config_path: Path | None, plan_path: Path | None, **given: Any) -> None:
    """Accept known breaks until a date.

    Reads a plan; writes one record a break. An acknowledged break counts for no exit code until the date, or until it
    changes in any way. With [approvals] allowed_signers it must be signed with your SSH key.

    \b
    Example: recon ack 665f1c2e9b1d8a0012345678 --reason "refund agreed" --until 2026-12-01
    """
    from recon.api.review import ack as accept

    accept(payments, plan=plan_path, config=config_path, say=note, **given)


def _show_plan(plan: Plan, *, payment: str | None, page: int, output: str, part: str | None, path: Path) -> None:
    from recon.plans.file import plan_bytes
    from recon.reports import render_payment, render_review

    if payment is not None:
        print_result(render_payment(plan, payment), output, part=part)
    elif output == "json":
        write_stdout(plan_bytes(plan).decode())
    else:
        rows = max(1, len(plan.changes)) if output == "csv" else PAGE_ROWS
        report = render_review(plan, path=str(path), page=page, page_rows=rows)
        print_result(report, output, part=part or ("changes" if output == "csv" else None))
