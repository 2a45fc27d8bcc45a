"""``recon decide``: the decisions about a plan in a spreadsheet, there and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from recon.cli.common import NewFilePath, config_option, key_option, note, print_result, write_stdout

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.group()
def decide() -> None:
    """Decide about a plan in a spreadsheet.

    \b
    Examples: recon decide export latest --out decisions.xlsx
              recon decide import latest decisions.xlsx
    """


@decide.command()
@click.argument("plan_path", metavar="PLAN", type=_FILE)
@config_option
@click.option("--out", type=NewFilePath(), help="File to write, .csv or .xlsx; otherwise one beside PLAN.")
@click.option("--format", "form", type=click.Choice(["csv", "xlsx"]), help="Otherwise what --out ends in, else xlsx.")
def export(plan_path: Path, config_path: Path | None, out: Path | None, form: str | None) -> None:
    """Write the findings of a plan as a sheet to decide in.

    Reads a plan, offline; writes one file with a row for each finding. In "decision" write apply, ack (accept until the
    date in "until"), inspect or note, and why in "reason"; "possible" says which of them can be. Everything else is
    evidence and stays as it is. Rows may be sorted, filtered and hidden, and none may be taken out.

    \b
    Examples: recon decide export latest
              recon decide export recon-out/plan.json --out decisions.csv
    """
    from recon.api.decide import export as write_sheet
    from recon.api.naming import plan_place
    from recon.reports.text import shell_word

    places: list[Path] = []
    write_sheet(plan_path, out=out, form=form, config=config_path, on_saved=places.append)
    write_stdout(f"{places[0]}\n")
    config = f" --config {shell_word(str(config_path))}" if config_path else ""
    plan = shell_word(str(plan_place(plan_path, config=config_path)))
    note(f"Once filled in: recon decide import {plan} {shell_word(str(places[0]))}{config}")


@decide.command(name="import")
@click.argument("plan_path", metavar="PLAN", type=_FILE)
@click.argument("sheet", metavar="FILE", type=_FILE)
@config_option
@click.option("--out", type=NewFilePath(), help="Plan file to write; otherwise one beside PLAN.")
@key_option
def import_(plan_path: Path, sheet: Path, config_path: Path | None, **given: Any) -> None:
    """Take the decisions of a sheet: a smaller plan, acknowledgements and notes.

    Reads a plan and a sheet, CSV or Excel, as a spreadsheet saved it; writes the plan that recon select gives for the
    payments to be applied, one record for each break that is accepted, and a file of all decisions with their reasons.
    A row that is unknown, changed, there twice, missing or of another plan, and a decision that is not possible, are
    named by line, and then nothing is taken.

    \b
    Examples: recon decide import latest decisions.xlsx
              recon decide import recon-out/plan.json decisions.csv --out picked.json
    """
    from recon.api.decide import import_ as take
    from recon.reports import render_review

    made = take(plan_path, sheet, config=config_path, say=note, **given)
    if made.plan is not None:
        config = None if config_path is None else str(config_path)
        print_result(render_review(made.plan, path=str(made.path), config=config), "table")
    else:
        note("Nothing is to be applied, so no plan was written.")
