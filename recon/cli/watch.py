"""``recon watch``: rounds on a schedule, one round, what is open, and who works on it."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from recon.cli.common import config_option, format_option, note, print_result
from recon.cli.lazy import DIFFERENCES, DONE, INCOMPLETE

if TYPE_CHECKING:
    from recon.watch.rounds import RoundDone


@click.group(invoke_without_command=True)
@config_option
@click.option("--once", is_flag=True, help="Make one round and leave; for cron and CI.")
@click.option("--window", metavar="NAME", help="With --once: which window of [watch]; the first unless named.")
@format_option
@click.pass_context
def watch(ctx: click.Context, *, config_path: Path | None, once: bool, window: str | None, output: str) -> None:
    """Judge the payments on a schedule, and tell what needs a person.

    Reads every source as [watch] says; writes its own snapshots, plans, history and log, and never a payment. Between
    rounds it counts the open payments. Runs until Ctrl-C or SIGTERM; one watch of a target at a time. With --once it
    leaves with 0 when nothing is open, with 1 when a situation is, with 4 when a source was not read whole, with 3
    while another watch runs.

    \b
    Examples: recon watch
              recon watch --once --format json
    """
    if ctx.invoked_subcommand is not None:
        return
    if not once:
        if window is not None:
            raise click.UsageError("--window is for --once; without it every window is watched by its own schedule.")
        _watch_on(config_path)
        return
    from recon.cli.progress import ShownProgress
    from recon.watch.once import watch_once
    from recon.watch.view import render_watch

    with ShownProgress() as progress:
        done = watch_once(config_path, window=window, say=progress.note, progress=progress)
    print_result(render_watch(done.state, done=done, now=done.times.ended), output)
    sys.exit(INCOMPLETE if done.is_incomplete else DIFFERENCES if done.calls_for_people else DONE)


def _watch_on(config_path: Path | None) -> None:
    from recon.watch.once import watch_on

    watch_on(config_path, heard=(_told,), say=note)


def _told(done: RoundDone) -> None:
    """One line on stderr for each round, and for each thing that changed."""
    for turn, each in done.turns:
        note(f"{turn.value}: {each.seen.urgency.value}: {each.sentence} {each.seen.command}".rstrip())
    if done.kind == "round":
        read = (
            "could not be made"
            if done.failure
            else f"read {(done.plan.summary.get('payments') if done.plan else 0)} payments"
        )
        note(f"{done.times.ended:%Y-%m-%dT%H:%M:%SZ} {done.window}: {read}, {len(done.open)} open.")


@watch.command()
@config_option
@format_option
def status(config_path: Path | None, output: str) -> None:
    """Show what is open, from the log of the watch.

    Reads the log, offline; writes nothing. Leaves with 1 while a situation is open that is more than a note.

    \b
    Example: recon watch status --format json
    """
    from recon.watch.once import watch_state
    from recon.watch.situations import Urgency
    from recon.watch.view import render_watch

    state = watch_state(config_path)
    print_result(render_watch(state, now=datetime.now(UTC)), output)
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
