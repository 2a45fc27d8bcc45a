"""``recon report incident``: notification, update, resolution and post-mortem, filled with what was measured."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from recon.cli.common import MomentOption, config_option, write_stdout
from recon.cli.lazy import DONE, INCOMPLETE

_FILE = click.Path(path_type=Path, dir_okay=False)
_PATH = click.Path(path_type=Path)


@click.command()
@click.argument("kind", type=click.Choice(["notification", "update", "resolution", "post-mortem"]))
@config_option
@click.option("--title", required=True, help="A few words for the headline.")
@click.option("--severity", type=click.IntRange(1, 4), default=2, show_default=True, help="1 is the worst.")
@click.option("--began", type=MomentOption(), help="When it began, UTC; otherwise the first burst in the logs.")
@click.option("--noticed", type=MomentOption(), help="When it was noticed, UTC.")
@click.option("--resolved", type=MomentOption(), help="When it was over, UTC.")
@click.option("--action", "actions", multiple=True, help="Something that was done; repeatable.")
@click.option("--open", "open_items", multiple=True, help="Something that is left, and who does it; repeatable.")
@click.option("--plan", type=_FILE, help="Plan to count by; the latest of the history unless named.")
@click.option("--before", type=_FILE, help="Plan from before the repair, to compare with.")
@click.option(
    "--snapshot",
    type=_PATH,
    help="The plan's snapshot, to count users; otherwise it is looked for in the output directory.",
)
@click.option("--access-log", multiple=True, type=_FILE, help="Web server log; repeatable.")
@click.option("--log-format", metavar="FORMAT", help="Format of the log lines, as the server's configuration has it.")
@click.option("--deliveries", multiple=True, type=_PATH, help="Delivery records; repeatable.")
@click.option("--ask", is_flag=True, help="Ask every source and the backend whether they answer, as recon doctor does.")
def incident(*, kind: str, config_path: Path | None, **given: Any) -> None:
    """Fill an incident text with counts, money and timeline.

    Reads the latest plan with its snapshot, the history of plans since it began, and logs and delivery records if
    named; writes Markdown to stdout. Facts and guesses stand apart; what nobody measured is said to be so. Leaves with
    4 when something could not be read; the text says what.

    \b
    Example: recon report incident notification --title "webhooks refused" --severity 2 --access-log access.log
    """
    from recon.api.report import incident as write_up

    text = write_up(kind, config=config_path, **given)
    write_stdout(text)
    sys.exit(INCOMPLETE if text.unread else DONE)
