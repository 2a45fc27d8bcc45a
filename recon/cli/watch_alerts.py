"""``recon watch test-alert`` and ``recon watch page``: does a message arrive, and what the watch has seen."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from recon.cli.common import config_option, format_option, note, print_result
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


@click.command("page")
@click.option("--listen", metavar="[HOST:]PORT", default="9464", show_default=True, help="Where the page is served.")
@config_option
def serve_page(listen: str, config_path: Path | None) -> None:
    """Serve the page of a watch that runs elsewhere, from its output folder.

    Reads the output folder; writes nothing and judges nothing. Runs until Ctrl-C or SIGTERM.

    \b
    Example: recon watch page --listen 9464
    """
    from threading import Event

    from recon.api.common import settings_of
    from recon.watch.page import serve

    with serve(settings_of(config_path), listen) as served:
        note(f"The page is at {served.url}")
        Event().wait()
