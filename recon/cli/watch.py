"""``recon watch``: rounds on a schedule, one round, what is open, and who works on it."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from recon.cli.common import config_option, format_option, note, print_result
from recon.cli.lazy import DIFFERENCES, DONE, INCOMPLETE
from recon.cli.watch_alerts import serve_page, try_alerts
from recon.core.text import count_text

if TYPE_CHECKING:
    from recon.watch.rounds import RoundDone


_FILE = click.Path(path_type=Path, dir_okay=False)


@click.group(invoke_without_command=True)
@config_option
@click.option("--once", is_flag=True, help="Make one round and leave; for cron and CI.")
@click.option("--window", metavar="NAME", help="With --once: which window of [watch]; the first unless named.")
@click.option(
    "--listen", metavar="[HOST:]PORT", help="Serve page, measures and health there; this machine unless named."
)
@click.option("--textfile", type=_FILE, help="Write measures there after each round, for node_exporter.")
@format_option
@click.pass_context
def watch(
    ctx: click.Context, /, *, config_path: Path | None, once: bool, window: str | None, output: str, **beside: Any
) -> None:
    """Judge on a schedule, and tell what needs a person.

    Reads every source as [watch] says; writes its own snapshots, plans, history and log, and never a payment. Between
    rounds it counts the open payments. Tells the channels of [alerts]. Runs until Ctrl-C or SIGTERM; one watch of a
    target at a time. With --once it leaves with 0 when nothing is open, with 1 when a situation is, with 4 when a
    source was not read whole, with 3 while another watch runs.

    \b
    Examples: recon watch --listen 9464
              recon watch --once --format json
    """
    if ctx.invoked_subcommand is not None:
        return
    if not once:
        if window is not None:
            raise click.UsageError("--window is for --once; without it every window is watched by its own schedule.")
        _watch_on(config_path, **beside)
        return
    from recon.api.common import settings_of
    from recon.cli.progress import ShownProgress
    from recon.watch.beside import beside_watch
    from recon.watch.once import watch_once
    from recon.watch.view import render_watch

    if beside.pop("listen") is not None:
        raise click.UsageError("--listen is for a watch that goes on; --textfile writes the measures of one round.")
    settings = settings_of(config_path)
    with ShownProgress() as progress, beside_watch(settings, **beside, say=progress.note) as aside:
        done = watch_once(config_path, window=window, heard=(aside.hear,), say=progress.note, progress=progress)
        aside.wait()
    print_result(render_watch(done.state, done=done, now=done.times.ended), output)
    sys.exit(INCOMPLETE if done.is_incomplete else DIFFERENCES if done.calls_for_people else DONE)


def _watch_on(config_path: Path | None, *, listen: str | None, textfile: Path | None) -> None:
    from recon.api.common import settings_of
    from recon.watch.beside import beside_watch
    from recon.watch.once import watch_on

    with beside_watch(settings_of(config_path), listen=listen, textfile=textfile, say=note) as aside:
        watch_on(config_path, heard=(_told, aside.hear), say=note)


def _told(done: RoundDone) -> None:
    """One line on stderr for each round, and for each thing that changed."""
    for turn, each in done.turns:
        note(f"{turn.value}: {each.seen.urgency.value}: {each.sentence} {each.seen.command}".rstrip())
    if done.kind == "round":
        payments = int(done.plan.summary.get("payments", 0)) if done.plan else 0
        read = "could not be made" if done.failure else f"read {count_text(payments, 'payment')}"
        note(f"{done.times.ended:%Y-%m-%dT%H:%M:%SZ} {done.window}: {read}, {len(done.open)} open.")


@watch.command()
@config_option
@format_option
def status(config_path: Path | None, output: str) -> None:
    """Show what is open, from the log of the watch.

    Reads the log, offline; writes nothing. Leaves with 1 while a situation is open that is more than a note,
    and with 4 where no round was made yet.

    \b
    Example: recon watch status --format json
    """
    from recon.watch.once import watch_state
    from recon.watch.situations import Urgency
    from recon.watch.view import render_watch

    state = watch_state(config_path)
    print_result(render_watch(state, now=datetime.now(UTC)), output)
    if not state.windows:
        sys.exit(INCOMPLETE)
    sys.exit(DIFFERENCES if any(each.seen.urgency is not Urgency.INFO for each in state.open) else DONE)


@watch.command()
@click.argument("key")
@config_option
def ack(key: str, config_path: Path | None) -> None:
    """Say that you work on an open situation.

    Reads and writes the log of the watch. KEY is as "recon watch status" shows it. The note lapses when the situation
    becomes more urgent. Of a flag it also says that its new value is right. RECON_OPERATOR names you where several
    people share a login.

    \b
    Example: recon watch ack captured_not_credited:shkeeper
    """
    from recon.watch.once import acknowledge_situation

    found = acknowledge_situation(key, config=config_path)
    note(f"{found.acknowledged_by} works on {found.key}.")


watch.add_command(try_alerts)
watch.add_command(serve_page)
