"""``recon ledger``: the backend's own ledger beside the evidence, and entries that put it right."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from recon.cli.common import MomentOption, NewFilePath, config_option, format_option, note, part_option, print_result
from recon.cli.lazy import DIFFERENCES, DONE, INCOMPLETE
from recon.cli.plan import selection_options
from recon.cli.progress import ShownProgress

if TYPE_CHECKING:
    from recon.api.ledger import LedgerRepairs


@click.group()
def ledger() -> None:
    """Hold the backend's ledger against the evidence.

    Proposes entries that put it right. What an entry says is configured in [ledger]. Its entries are sealed with
    every snapshot, and every plan says what is the matter with them.
    """


@ledger.command()
@config_option
@selection_options
@click.option(
    "--snapshot",
    "snapshot_path",
    metavar="DIR|ADDRESS",
    help="Judge the ledger of this snapshot, offline, instead of reading the sources.",
)
@format_option
@part_option
def check(
    *, config_path: Path | None, snapshot_path: str | None, output: str, part: str | None, **options: Any
) -> None:
    """Hold the entries of a window against the evidence, and against each other.

    Reads what "recon plan" reads, the ledger with it; writes the same snapshot and plan file, and changes nothing else.
    A ledger_missing is money that no entry states, a ledger_mismatch is stated otherwise, a ledger_orphan is stated and
    never moved, a ledger_out_of_balance does not add up by itself. Sums by token and account follow, to the unit.
    Payments keep their one verdict. Leaves with 1 when something is the matter, with 4 when a source was not read
    completely.

    \b
    Examples: recon ledger check --from 24h
              recon ledger check --snapshot latest --format csv
    """
    from recon.api.ledger import check as check_ledger
    from recon.reports.views.ledger import render_ledger

    with ShownProgress() as progress:
        made = check_ledger(snapshot_path, config=config_path, progress=progress, say=progress.note, **options)
    report = render_ledger(made.plan, path=str(made.path))
    print_result(report, output, part=part or ("ledger" if output == "csv" else None))
    assert made.plan.ledger is not None, "the function refuses a plan without a ledger"
    is_odd = bool(made.plan.ledger["findings"])
    sys.exit(INCOMPLETE if not made.plan.is_read_whole else DIFFERENCES if is_odd else DONE)


@ledger.command()
@click.argument("names", metavar="PAYMENT|DEAL|ENTRY...", nargs=-1, required=True)
@config_option
@click.option(
    "--plan",
    "plan_path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The plan that judged the ledger; the newest unless named.",
)
@click.option(
    "--as",
    "rest_kind",
    type=click.Choice(["fee", "released", "refunded"]),
    help="What is stated of what is left of a deal that is over.",
)
@click.option("--reason", default="", metavar="TEXT", help="Why the entries are made; needed.")
@click.option("--ticket", metavar="ID", help="The ticket that it belongs to.")
@click.option("--out", type=NewFilePath(), help="Plan file to write.")
@format_option
@part_option
def repair(
    *,
    names: tuple[str, ...],
    config_path: Path | None,
    plan_path: Path | None,
    output: str,
    part: str | None,
    **given: Any,
) -> None:
    """Plan entries that put the ledger right, of findings that are named.

    Reads a plan and the entries as they are now; writes a sealed case file of each payment's evidence, then one plan
    file, and changes nothing. Entries are appended, never changed: what stands wrongly is taken back by its
    counter-entry, what is missing is stated, in double books with its other leg. "recon repair apply" does it, by the
    digest; "recon repair undo" plans the counter-entries. A payment that is odd itself is put right first. Leaves with
    1 when something was left out.

    \b
    Examples: recon ledger repair 665f1c2e9b1d8a0012345678 --reason "webhook booked it twice"
              recon ledger repair ORDER --as fee --reason "the fee was never booked"
    """
    from recon.api.ledger import repair as plan_entries

    places: list[Path] = []
    made = plan_entries(names, plan=plan_path, config=config_path, on_saved=places.append, say=note, **given)
    _print_plan(made, places, config_path=config_path, output=output, part=part)


@ledger.command()
@click.argument("payments", metavar="PAYMENT...", nargs=-1, required=True)
@config_option
@click.option("--from", "from_at", type=MomentOption(), required=True, help="Start, included: a UTC time, or 24h ago.")
@click.option("--to", "to_at", type=MomentOption(), help="End, excluded: a UTC time, or 30min ago; now unless named.")
@click.option("--by", metavar="WHO", help="Only entries that this account or person made.")
@click.option("--reason", default="", metavar="TEXT", help="Why the entries are taken back; needed.")
@click.option("--ticket", metavar="ID", help="The ticket that it belongs to.")
@click.option("--out", type=NewFilePath(), help="Plan file to write.")
@format_option
@part_option
def reverse(
    *, payments: tuple[str, ...], config_path: Path | None, output: str, part: str | None, **given: Any
) -> None:
    """Plan counter-entries of what was booked of payments between two times.

    For after a leak or a bad admin: "recon audit" lists what was booked, by whom as far as an entry says, and here each
    payment is named by a person. Reads the entries as they are now; writes one plan file, and changes nothing. Leaves
    with 1 when something was left out.

    \b
    Example: recon ledger reverse 665f1c2e9b1d8a0012345678 --from 48h --by mallory --reason "INC-7, stolen key"
    """
    from recon.api.ledger import reverse as plan_counters

    places: list[Path] = []
    made = plan_counters(payments, config=config_path, on_saved=places.append, **given)
    _print_plan(made, places, config_path=config_path, output=output, part=part)


def _print_plan(
    made: LedgerRepairs, places: list[Path], *, config_path: Path | None, output: str, part: str | None
) -> None:
    from recon.reports.views.ledger import render_left_out
    from recon.reports.views.repairs import render_repair_plan

    if made.plan is None:
        print_result(render_left_out(made.left_out), output, part=part)
        sys.exit(DIFFERENCES)
    config = None if config_path is None else str(config_path)
    print_result(render_repair_plan(made.plan, path=str(places[0]), config=config), output, part=part)
    sys.exit(DIFFERENCES if made.left_out else DONE)
