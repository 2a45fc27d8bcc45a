"""What the commands share: options, reading of times, and the rule of what goes to which stream."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from recon.core.times import parse_iso
from recon.files import check_free

if TYPE_CHECKING:
    from recon.reports import Format, Report

Command = TypeVar("Command", bound=Callable[..., Any])

_AGO = re.compile(r"([0-9]{1,6})(min|h|d)\Z")
_AGO_UNITS: Final = {"min": "minutes", "h": "hours", "d": "days"}


class MomentOption(click.ParamType[Any]):
    """A UTC time (``2026-11-20``, ``2026-11-20T08:30``, with or without ``Z`` or an offset), or an age (``90min``).

    Args:
        is_ahead: Whether an age is how long from now, as the error then says.
    """

    name = "time"

    def __init__(self, *, is_ahead: bool = False) -> None:
        self._example = "24h for 24 hours from now" if is_ahead else "24h for 24 hours ago"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime | timedelta:
        """Read it; a time without an offset is UTC, an age is meant backwards from the time of the run."""
        if isinstance(value, (datetime, timedelta)):
            return value
        text = str(value).strip()
        if found := _AGO.match(text):
            return timedelta(**{_AGO_UNITS[found[2]]: int(found[1])})
        moment = parse_iso(text)
        if moment is None:
            self.fail(f"{text[:40]!r} is no time; write 2026-11-20, 2026-11-20T08:30Z, or {self._example}.", param, ctx)
        return moment


def key_option(command: Command) -> Command:
    """The options that name what a decision is signed with, and whether it notes the journal's end."""
    command = click.option(
        "--note-head", is_flag=True, help="Note the journal's end in the record; asks the database."
    )(command)
    return sign_option(command)


def sign_option(command: Command) -> Command:
    """``--key``: what a decision is signed with."""
    return click.option(
        "--key",
        type=click.Path(path_type=Path, dir_okay=False),
        help="SSH key to sign with, or its .pub where an agent has it; [approvals] signing_key unless named.",
    )(command)


def config_option(command: Command) -> Command:
    """``--config``: which configuration file is read."""
    return click.option(
        "--config",
        "config_path",
        type=click.Path(path_type=Path, dir_okay=False),
        help="Configuration file; otherwise RECON_CONFIG, otherwise recon.toml here.",
    )(command)


def format_option(command: Command) -> Command:
    """``--format``: how the result is written to stdout."""
    return click.option(
        "--format",
        "output",
        type=click.Choice(["table", "json", "csv", "md"]),
        default="table",
        show_default=True,
        help="How the result is written to stdout.",
    )(command)


def part_option(command: Command) -> Command:
    """``--part``: which table of a report goes to CSV."""
    return click.option(
        "--part", metavar="NAME", help="With --format csv: which table, for example breaks, changes or summary."
    )(command)


def print_result(report: Report, output: str, *, part: str | None = None) -> None:
    """Write a report to stdout in the chosen format; a terminal gets colours and its own width."""
    from recon.reports import print_report, render_report

    if output == "table" and sys.stdout.isatty():
        print_report(report, sys.stdout)
        return
    if part is not None and part not in (known := ["summary", *(table.name for table in report.tables)]):
        raise click.UsageError(f"There is no part {part!r} here; there are {', '.join(dict.fromkeys(known))}.")
    chosen: Format = output  # type: ignore[assignment]
    write_stdout(render_report(report, output=chosen, part=part))


def write_stdout(text: str) -> None:
    """Write text to stdout as UTF-8, line ends as they are, whatever the locale says.

    Under ``PYTHONUNBUFFERED`` a write to a pipe may take only a part, so what is left is written again.
    """
    stream = getattr(sys.stdout, "buffer", None)
    if stream is None:
        sys.stdout.write(text)
        return
    sys.stdout.flush()
    rest = memoryview(text.encode("utf-8", "replace"))
    while rest:
        rest = rest[stream.write(rest) :]
    stream.flush()


def note(sentence: str) -> None:
    """Say something that is not the result: on stderr, cleaned."""
    from recon.reports.text import display_text

    click.echo(display_text(sentence, length_max=10_000), err=True)


class NewFilePath(click.Path):
    """A file that a command will write: refused before anything is read if something stands there."""

    def __init__(self) -> None:
        super().__init__(path_type=Path, dir_okay=False)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read it.

        Raises:
            FileThereError: Something stands there.
        """
        path = Path(str(super().convert(value, param, ctx)))
        if ctx is None or not ctx.resilient_parsing:
            check_free(path)
        return path
