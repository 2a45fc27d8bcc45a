"""``recon show``, ``select``, ``approve`` and ``ack``: looking at a plan, and deciding about it."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from recon.cli.common import (
    MomentOption,
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
    settings_if_there,
    write_stdout,
)
from recon.core.errors import UsageError

if TYPE_CHECKING:
    from recon.core.model import Plan

PAGE_ROWS: Final = 50
_PLAN = click.Path(path_type=Path, dir_okay=False)


class UnknownArtefactError(UsageError):
    """A path leads to nothing this tool has written."""

    def __init__(self, *, path: str, why: str) -> None:
        super().__init__(f"{path}: {why}; recon show reads a plan file, a snapshot directory, or a run history.")


class NoPlanYetError(UsageError):
    """An acknowledgement needs a plan that shows the break."""

    def __init__(self) -> None:
        super().__init__('There is no plan in the run history; name one with --plan, or run "recon plan" first.')


class NoSuchBreakError(UsageError):
    """The plan has no break of a payment."""

    def __init__(self, *, payment: str, plan: str) -> None:
        super().__init__(f"{plan} shows no break of payment {payment[:80]!r}; nothing was recorded.")


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
    kind = _kind_of(artefact)
    if payment is not None and kind != "plan":
        raise click.UsageError("--payment is for plans.")
    if kind == "plan":
        _show_plan(artefact, payment=payment, page=page, output=output, part=part)
    elif kind == "history":
        from recon.plans.history import load_history
        from recon.reports.views.history import render_history

        print_result(render_history(load_history(artefact.parent)), output, part=part)
    else:
        from recon.reports.views.snapshot import render_snapshot
        from recon.snapshots.take import open_snapshot

        print_result(render_snapshot(open_snapshot(artefact)), output, part=part)


@click.command()
@click.argument("plan_path", metavar="PLAN", type=_PLAN)
@click.option("--verdict", "verdicts", multiple=True, metavar="NAME", help="Keep changes of this verdict; repeatable.")
@click.option(
    "--payment", "payments", multiple=True, metavar="ID", help="Keep the change of this payment, of tier review too."
)
@click.option("--max-value", multiple=True, metavar="TOKEN=AMOUNT", help="Drop what is worth more; repeatable.")
@click.option("--out", type=NewFilePath(), required=True, help="Plan file to write.")
@config_option
def select(*, plan_path: Path, out: Path, config_path: Path | None, **chosen: tuple[str, ...]) -> None:
    """Derive a smaller plan with a digest of its own.

    Reads a plan, offline; writes another one that names its parent, and records who made it where there is a
    configuration. Changes of tier review are written by an apply only if they are picked here by payment.

    \b
    Examples: recon select plan.json --verdict missing_tx_hash --out small.json
              recon select plan.json --payment 665f1c2e9b1d8a0012345678 --out picked.json
    """
    from recon.plans.file import load_plan, save_plan
    from recon.reports import render_review

    plan = load_plan(plan_path)
    settings = settings_if_there(config_path)
    smaller = _selected(plan, chosen["verdicts"], chosen["payments"], parse_amounts(chosen["max_value"]))
    save_plan(smaller, out)
    if settings is not None:
        note_author(settings, smaller)
    print_result(render_review(smaller, path=str(out), page_rows=PAGE_ROWS), "table")


@click.command()
@click.argument("plan_path", metavar="PLAN", type=_PLAN)
@config_option
@click.option("--reason", required=True, help="Why the plan may be applied.")
@click.option("--ticket", help="The ticket it belongs to.")
def approve(plan_path: Path, config_path: Path | None, reason: str, ticket: str | None) -> None:
    """Record your approval of a plan, once.

    Reads a plan; writes one record that is never edited: who, when, why and the digest seen. It holds for every plan
    with the same effects and for no other. RECON_OPERATOR names you where several people share a login.

    \b
    Example: recon approve plan.json --reason "checked ten by hand" --ticket INC-12
    """
    from recon.plans.approvals import DecisionRecords
    from recon.plans.file import load_plan

    settings, plan = settings_from(config_path), load_plan(plan_path)
    records = DecisionRecords(settings.decisions_dir)
    approval = records.approve(plan, who=operator_name(), at=settings.now(), reason=reason, ticket=ticket)
    note(f"Recorded: {approval.who} approved the effects {approval.effects_digest[:12]} of plan {plan.digest[:12]}.")


@click.command()
@click.argument("payments", metavar="BREAK...", nargs=-1, required=True)
@config_option
@click.option("--plan", "plan_path", type=_PLAN, help="The plan that shows the breaks; otherwise the newest one.")
@click.option("--reason", required=True, help="Why the break may stay.")
@click.option("--until", type=MomentOption(), required=True, help="UTC time at which it counts again.")
def ack(
    payments: tuple[str, ...],
    config_path: Path | None,
    plan_path: Path | None,
    reason: str,
    until: datetime | timedelta,
) -> None:
    """Accept known breaks until a date.

    Reads a plan; writes one record a break. An acknowledged break counts for no exit code until the date, or until it
    changes in any way.

    \b
    Example: recon ack 665f1c2e9b1d8a0012345678 --reason "refund agreed" --until 2026-12-01
    """
    from recon.plans.approvals import DecisionRecords
    from recon.plans.file import load_plan
    from recon.reports.views.plan import breaks_of

    settings = settings_from(config_path)
    if isinstance(until, timedelta):
        raise click.UsageError("--until wants a time that is still to come, for example 2026-12-01.")
    path = plan_path or _newest_plan(settings.output_dir)
    breaks = {item.payment_id: item for item in breaks_of(load_plan(path))}
    for payment in payments:
        if payment not in breaks:
            raise NoSuchBreakError(payment=payment, plan=path.name)
    records = DecisionRecords(settings.decisions_dir)
    for payment in payments:
        records.acknowledge(breaks[payment], who=operator_name(), at=settings.now(), reason=reason, until=until)
        note(f"Recorded: {payment} ({breaks[payment].verdict}) is accepted until {until:%Y-%m-%d %H:%M} UTC.")


def _kind_of(path: Path) -> str:
    """Tell what a path holds: ``plan``, ``snapshot`` or ``history``.

    Raises:
        UnknownArtefactError: It holds none of them, or cannot be read.
    """
    from recon.plans.history import FILE_NAME

    if path.is_dir():
        if (path / "manifest.json").exists():
            return "snapshot"
        raise UnknownArtefactError(path=str(path), why="this directory holds no manifest.json")
    if not path.exists():
        raise UnknownArtefactError(path=str(path), why="nothing is there")
    return "history" if path.name == FILE_NAME else "plan"


def _show_plan(path: Path, *, payment: str | None, page: int, output: str, part: str | None) -> None:
    from recon.plans.file import load_plan, many_objects, plan_bytes
    from recon.reports import render_payment, render_review

    with many_objects():
        plan = load_plan(path)
        if payment is not None:
            print_result(render_payment(plan, payment), output, part=part)
        elif output == "json":
            write_stdout(plan_bytes(plan).decode())
        else:
            rows = max(1, len(plan.changes)) if output == "csv" else PAGE_ROWS
            report = render_review(plan, path=str(path), page=page, page_rows=rows)
            print_result(report, output, part=part or ("changes" if output == "csv" else None))


def _selected(plan: Plan, verdicts: tuple[str, ...], payments: tuple[str, ...], values: dict[str, str]) -> Plan:
    """The selection; a value limit is in whole tokens, whose units differ from chain to chain."""
    from recon.plans.file import select_changes

    whole = {symbol.upper(): Decimal(amount) for symbol, amount in values.items()}
    limits = {
        f"{change.chain_id}:{change.token or change.symbol}": int(limit.scaleb(change.decimals or 0))
        for change in plan.changes
        if (limit := whole.get((change.symbol or "").upper())) is not None
    }
    return select_changes(plan, verdicts=verdicts, payments=payments, value_max=limits)


def _newest_plan(folder: Path) -> Path:
    from recon.plans.history import load_history

    entries = load_history(folder).entries
    if not entries:
        raise NoPlanYetError
    return Path(str(entries[-1]["plan"]))
