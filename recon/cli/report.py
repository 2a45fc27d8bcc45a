"""``recon report``: any artefact as one HTML file for people who would rather look than read."""

from __future__ import annotations

from pathlib import Path

import click

from recon.cli.common import NewFilePath, config_option, note, write_stdout
from recon.cli.incident import incident
from recon.cli.progress import ShownProgress

_PATH = click.Path(path_type=Path)


class _PageByDefault(click.Group):
    """A group whose first part may be left out: ``recon report PLAN`` means ``recon report page PLAN``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in (*self.commands, "--help"):
            args = ["page", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_PageByDefault)
def report() -> None:
    """Make an HTML report, or the text of an incident.

    The HTML file holds all its data and asks no network: figures, pictures, and a table to search, filter, sort and
    print. The word "page" may be left out.

    \b
    Examples: recon report recon-out/plan.json --html report.html
              recon report recon-out/snapshot-20261120T120000Z --html report.html
    """


@report.command()
@click.argument("artefact", metavar="ARTEFACT")
@config_option
@click.option("--html", "out", type=NewFilePath(), required=True, help="HTML file to write; never over another file.")
@click.option(
    "--snapshot",
    "snapshot_path",
    type=_PATH,
    help="With a plan: its snapshot; otherwise it is looked for beside the plan and in the output directory.",
)
def page(artefact: str, config_path: Path | None, out: Path, snapshot_path: Path | None) -> None:
    """Write one HTML file about an artefact.

    ARTEFACT is a plan file, a snapshot directory, a case file, a run history, or the name of a run, which is read from
    the journal. Everything else is read offline; only the HTML file is written. "latest" is the newest plan, and the
    beginning of a name or digest is enough.

    \b
    Examples: recon report page latest --html report.html
              recon report page 20261120T120000Z-3f9c --html run.html
    """
    from recon.api.report import page as write_page

    with ShownProgress() as shown:
        write_page(artefact, html=out, snapshot=snapshot_path, config=config_path, say=shown.note, progress=shown)
    write_stdout(f"{out}\n")
    note("Nothing has changed. The file opens in any browser, from a disk too.")


report.add_command(incident)
