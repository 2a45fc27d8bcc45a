"""``recon show``, ``review``, ``select``, ``approve`` and ``ack``: looking at a plan, and deciding about it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from recon.cli.common import (
    Command,
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
@config_option
@format_option
@part_option
def show(*, artefact: Path, config_path: Path | None, output: str, part: str | None, **of_plan: Any) -> None:
    """Show a plan, a snapshot or any other artefact.

    Reads only the artefact, offline; writes nothing. A plan shows its changes, oldest and largest first, and what is
    left alone and why. "latest" is the newest plan of the history; the beginning of a plan's name or digest names it
    too. Only intact files are shown.

    \b
    Examples: recon show latest
              recon show recon-out/plan.json --payment 665f1c2e9b1d8a0012345678
              recon show recon-out/plan.json --format csv --part left_alone
    """
    from recon.api.review import show as open_artefact
    from recon.core.model import Plan
    from recon.plans.file import many_objects

    with many_objects():
        found = open_artefact(artefact, config=config_path)
        if isinstance(found, Plan):
            _show_plan(found, output=output, part=part, path=artefact, config=config_path, **of_plan)
            return
    if of_plan["payment"] is not None:
        raise click.UsageError("--payment is for plans.")

    from recon.rails.flags.plan import FlagPlan
    from recon.repairs.plan import RepairPlan
    from recon.snapshots.sealed import Snapshot

    if isinstance(found, FlagPlan):
        from recon.reports.views.flags import render_flag_plan

        config = None if config_path is None else str(config_path)
        print_result(render_flag_plan(found, path=str(artefact), config=config), output, part=part)
        return
    if isinstance(found, RepairPlan):
        from recon.reports.views.repairs import render_repair_plan

        config = None if config_path is None else str(config_path)
        print_result(render_repair_plan(found, path=str(artefact), config=config), output, part=part)
        return
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
    from recon.desk import open_desk, run_desk
    from recon.plans.file import many_objects

    with many_objects():
        desk = open_desk(plan_path, config=config_path)
    run_desk(desk)


def kind_options(command: Command) -> Command:
    """The options that pick rows of a plan; those that are given must all hold."""
    options = (
        click.option("--verdict", "verdicts", multiple=True, metavar="NAME", help="Of this verdict; repeatable."),
        click.option("--tier", "tiers", multiple=True, metavar="NAME", help="Of this tier; repeatable."),
        click.option("--rail", "rails", multiple=True, metavar="NAME", help="Of this provider; repeatable."),
        click.option("--chain", "chains", multiple=True, metavar="CHAIN", help="On this chain; repeatable."),
        click.option("--token", "tokens", multiple=True, metavar="SYMBOL", help="In this token; repeatable."),
        click.option("--min-value", multiple=True, metavar="TOKEN=AMOUNT", help="Worth at least this; repeatable."),
        click.option("--max-value", multiple=True, metavar="TOKEN=AMOUNT", help="Drop what is worth more; repeatable."),
        click.option("--older-than", type=MomentOption(), metavar="AGE", help="Older than this, for example 24h."),
        click.option("--younger-than", type=MomentOption(), metavar="AGE", help="Younger than this."),
        click.option("--list-file", metavar="FILE", help="Payments, one a line; - is standard input."),
        click.option("--except", "but", multiple=True, metavar="ID", help="But not this payment; repeatable."),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.command()
@click.argument("plan_path", metavar="PLAN", type=_PLAN)
@click.option(
    "--payment", "payments", multiple=True, metavar="ID", help="The change of this payment, of tier review too."
)
@kind_options
@click.option("--out", type=NewFilePath(), help="Plan file to write; otherwise one beside PLAN.")
@config_option
def select(*, plan_path: Path, config_path: Path | None, **chosen: Any) -> None:
    """Derive a smaller plan with a digest of its own.

    Reads a plan, offline; writes another one that names its parent, and records who made it where there is a
    configuration. What is given must all hold, and payments that are named are kept besides. A change of tier review
    is kept only if its payment or its tier is named. An id may be cut to its first letters, 6 at least.

    \b
    Examples: recon select plan.json --verdict missing_tx_hash --out small.json
              recon select plan.json --tier review --verdict late_payment --older-than 24h
              recon select plan.json --payment 665f1c2e9b1d8a0012345678 --out picked.json
    """
    from recon.api.review import select as select_from
    from recon.reports import render_review

    places: list[Path] = []
    smaller = select_from(plan_path, config=config_path, on_saved=places.append, **chosen)
    print_result(render_review(smaller, path=str(places[0]), page_rows=PAGE_ROWS), "table")


@click.command()
@click.argument("plan_path", metavar="PLAN", type=_PLAN)
@config_option
@click.option("--reason", required=True, help="Why the plan may be applied.")
@click.option("--ticket", help="The ticket it belongs to.")
@key_option
def approve(plan_path: Path, config_path: Path | None, **given: Any) -> None:
    """Record your approval of a plan, once.

    Reads a plan of corrections or of flags; writes one record that is never edited: who, when, why and the digest seen.
    It holds for every plan with the same effects and for no other, for as many hours as [approvals] valid_h says.
    RECON_OPERATOR names you where several people share a login. With [approvals] allowed_signers it must be signed with
    your SSH key.

    \b
    Examples: recon approve plan.json --reason "checked ten by hand" --ticket INC-12
              recon approve plan.json --reason "checked ten by hand" --key ~/.ssh/id_ed25519
    """
    from recon.api.naming import plan_of_any_kind
    from recon.api.review import approve as record_approval
    from recon.reports.views.people import claim

    plan = plan_of_any_kind(plan_path, config=config_path)
    approval = record_approval(plan, config=config_path, **given)
    effects = f"the effects {approval.effects_digest[:12]} of plan {plan.digest[:12]}"
    note(
        f"Recorded: {approval.person} approved {effects}; it holds until {approval.expires_at}.{claim(approval.person)}"
    )


@click.command()
@click.argument("breaks", metavar="[BREAK...]", nargs=-1)
@kind_options
@config_option
@click.option("--plan", "plan_path", type=_PLAN, help="The plan that shows the breaks; otherwise the newest one.")
@click.option("--reason", required=True, help="Why the break may stay.")
@click.option(
    "--until",
    type=MomentOption(is_ahead=True),
    required=True,
    help="UTC time at which it counts again, or how long from now.",
)
@key_option
def ack(breaks: tuple[str, ...], config_path: Path | None, plan_path: Path | None, **given: Any) -> None:
    """Accept known breaks until a date.

    Reads a plan; writes one record a break. An acknowledged break counts for no exit code until the date, or until it
    changes in any way. Breaks are named by payment, or picked by what they are, as with recon select. With [approvals]
    allowed_signers it must be signed with your SSH key.

    \b
    Examples: recon ack 665f1c2e9b1d8a0012345678 --reason "refund agreed" --until 2026-12-01
              recon ack --verdict dispute_hold --rail shkeeper --reason "with legal" --until 7d
    """
    from recon.api.review import ack as accept

    accept(breaks, plan=plan_path, config=config_path, say=note, **given)


def _show_plan(
    plan: Plan, *, payment: str | None, page: int, output: str, part: str | None, path: Path, config: Path | None
) -> None:
    from recon.api.review import notes
    from recon.plans.file import plan_bytes
    from recon.reports import render_payment, render_review

    if payment is not None:
        print_result(render_payment(plan, payment, notes=notes(plan, path, config=config)), output, part=part)
    elif output == "json":
        write_stdout(plan_bytes(plan).decode())
    else:
        rows = max(1, len(plan.changes)) if output == "csv" else PAGE_ROWS
        report = render_review(plan, path=str(path), page=page, page_rows=rows)
        print_result(report, output, part=part or ("changes" if output == "csv" else None))
