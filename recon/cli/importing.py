"""``recon import``: a snapshot of exported files."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from recon.cli.common import config_option, note, write_stdout
from recon.cli.lazy import DONE, INCOMPLETE
from recon.cli.progress import ShownProgress


@click.command("import")
@click.argument("mapping", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Directory to write the snapshot to.")
@config_option
def import_files(*, mapping: Path, out: Path | None, config_path: Path | None) -> None:
    """Make a snapshot of CSV or Parquet files.

    Reads a mapping (TOML: which column holds which field) and the files that it names; writes one snapshot directory,
    which "recon plan --snapshot", "recon show" and "recon report" take. No database, node or key is needed. A file is
    believed to be complete only for the time that the mapping says; what it may lack is a gap, and leaves with 4.

    \b
    Example: recon import mapping.toml --out snapshot
             recon plan --snapshot snapshot
    """
    from recon.api.importing import import_files as make

    with ShownProgress() as progress:
        made = make(mapping, out=out, config=config_path, progress=progress)
    write_stdout(f"{made.path}\n")
    for reason in sorted({row["reason"] for row in made.table("gaps").to_pylist()}):
        note(f"Not known: {reason}.")
    note(f'To judge it: recon plan --snapshot "{made.path}"')
    coverage = made.table("coverage").to_pylist()
    sys.exit(DONE if all(row.get("complete") for row in coverage) else INCOMPLETE)
