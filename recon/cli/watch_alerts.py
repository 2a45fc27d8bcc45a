"""``recon watch test-alert``: does a message reach the people it is for."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from recon.cli.common import config_option, format_option, print_result
from recon.cli.lazy import DONE, INCOMPLETE


@click.command("test-alert")
@click.option("--channel", "channels", multiple=True, metavar="NAME", help="Try this channel only; may be repeated.")
@config_option
@format_option
def try_alerts(channels: tuple[str, ...], config_path: Path | None, output: str) -> None:
    """Send a test message to every channel of [alerts], and say what came of it.

    Reads the configuration and its secrets; writes nothing, and leaves no incident open. Leaves with 4 when a channel
    did not take the message.

    \b
    Example: recon watch test-alert --channel chat
    """
    from recon.watch.telling import try_channels
    from recon.watch.telling.view import trials_report

    found = try_channels(config_path, channels=channels)
    print_result(trials_report(found), output)
    sys.exit(DONE if all(each.was_taken for each in found) else INCOMPLETE)
