"""``recon what-if``: past snapshots judged by other rules or limits."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from recon.cli.common import config_option, format_option, part_option, print_result
from recon.cli.lazy import DIFFERENCES, DONE, INCOMPLETE
from recon.cli.progress import ShownProgress


@click.command("what-if")
@config_option
@click.option(
    "--policy",
    "rules_path",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="TOML file with the settings that are otherwise, and no others.",
)
@click.option(
    "--snapshots",
    "snapshot_paths",
    multiple=True,
    metavar="DIR|ADDRESS|all",
    help="Sealed snapshot to judge, or all of the output directory; the newest unless named; repeatable.",
)
@click.option("--engine", type=click.Choice(["duckdb", "polars"]), help="Where the tables are joined.")
@format_option
@part_option
def what_if(
    *,
    config_path: Path | None,
    rules_path: Path,
    snapshot_paths: tuple[str, ...],
    engine: str | None,
    output: str,
    part: str | None,
) -> None:
    """Judge past snapshots by other rules or limits.

    Reads sealed snapshots, offline; writes nothing and makes no plan. Each is judged by its own rules, and once more
    with the settings of the file in their place, written as in recon.toml. A setting that decides what is read, or
    judges nothing, is refused by name, with those that judge. Shown are the verdicts, the writes and the sums that
    differ, by snapshot and together, to the last unit. Leaves with 1 when something differs, with 4 when a snapshot
    could not be judged.

    \b
    Examples: recon what-if --policy stricter.toml --snapshots all
              recon what-if --policy stricter.toml --snapshots recon-out/snapshot-20261120T120000Z --format json
    """
    from recon.api.what_if import what_if as judge_otherwise
    from recon.reports.views.what_if import render_what_if

    with ShownProgress() as progress:
        found = judge_otherwise(
            rules_path, snapshots=snapshot_paths, config=config_path, engine=engine, progress=progress
        )
    report = render_what_if(found.rules, found.rows(), sums=found.sums)
    print_result(report, output, part=part or ("verdicts" if output == "csv" else None))
    differs = any(not each.is_none for each in found.differences)
    sys.exit(INCOMPLETE if not found.is_whole else DIFFERENCES if differs else DONE)
