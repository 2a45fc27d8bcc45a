"""``recon show``: any artefact, as a person wants to read it."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from recon.cli.common import format_option, part_option, print_result, write_stdout
from recon.errors import UsageError

PAGE_ROWS = 50


class UnknownArtefactError(UsageError):
    """A path leads to nothing this tool has written."""

    def __init__(self, *, path: str, why: str) -> None:
        super().__init__(f"{path}: {why}; recon show reads a plan file, a snapshot directory, or a run history.")


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
    kind = artefact_kind(artefact)
    if payment is not None and kind != "plan":
        raise click.UsageError("--payment is for plans.")
    if kind == "plan":
        _show_plan(artefact, payment=payment, page=page, output=output, part=part)
    elif kind == "history":
        from recon.history import load_history
        from recon.report.history import render_history

        print_result(render_history(load_history(artefact.parent)), output, part=part)
    else:
        _show_snapshot(artefact, output=output, part=part)


def artefact_kind(path: Path) -> str:
    """Tell what a path holds: ``plan``, ``snapshot`` or ``history``.

    Raises:
        UnknownArtefactError: It holds none of them, or cannot be read.
    """
    from recon.history import FILE_NAME

    if path.is_dir():
        if (path / "manifest.json").exists():
            return "snapshot"
        raise UnknownArtefactError(path=str(path), why="this directory holds no manifest.json")
    if not path.exists():
        raise UnknownArtefactError(path=str(path), why="nothing is there")
    return "history" if path.name == FILE_NAME else "plan"


def _show_plan(path: Path, *, payment: str | None, page: int, output: str, part: str | None) -> None:
    from recon.plan import load_plan, plan_bytes
    from recon.report import render_payment, render_review

    plan = load_plan(path)
    if payment is not None:
        print_result(render_payment(plan, payment), output, part=part)
    elif output == "json":
        write_stdout(plan_bytes(plan).decode())
    else:
        report = render_review(plan, path=str(path), page=page, page_rows=PAGE_ROWS)
        print_result(report, output, part=part or ("changes" if output == "csv" else None))


def _show_snapshot(path: Path, *, output: str, part: str | None) -> None:
    from recon.report.snapshot import render_snapshot
    from recon.snapshot import open_snapshot

    print_result(render_snapshot(open_snapshot(path)), output, part=part)
    sys.stdout.flush()
