"""What the commands share: options, reading of dates and ids, and the rule of what goes to which stream."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from recon.core.errors import IdError, UsageError
from recon.core.times import parse_iso
from recon.files import check_free

if TYPE_CHECKING:
    from recon.core.model import Plan
    from recon.reports import Format, Report
    from recon.setup.settings import Settings

Command = TypeVar("Command", bound=Callable[..., Any])

ID_LINES_MAX: Final = 1_000_000
ID_LENGTH_MAX: Final = 300
_AGO = re.compile(r"([0-9]{1,6})(min|h|d)\Z")
_AGO_UNITS: Final = {"min": "minutes", "h": "hours", "d": "days"}
_TOKEN_AMOUNT = re.compile(r"([^\s=]{1,20})=([0-9]{1,38}(?:\.[0-9]{1,38})?)\Z")
_HEX_ID = re.compile(r"[0-9a-fA-F]{24}\Z")


class IdFileError(UsageError):
    """A line of an id file is no payment id."""

    def __init__(self, *, path: str, line: int, why: str) -> None:
        super().__init__(
            f"{path}, line {line}: {why}; nothing was read from any source. The file holds one payment id a line."
        )


class FileReadError(UsageError):
    """A file named on the command line cannot be read."""

    def __init__(self, *, path: str, why: str) -> None:
        super().__init__(f"{path}: the file cannot be read ({why}).")


class AmountOptionError(UsageError):
    """A value limit is not written as token and amount."""

    def __init__(self, *, text: str) -> None:
        super().__init__(f"{text[:60]!r} is no value limit; write a token and whole tokens, for example USDC=5000.")


class NoOperatorError(UsageError):
    """Nobody knows who is acting."""

    def __init__(self) -> None:
        super().__init__("This login has no name; set RECON_OPERATOR to yours, so that the journal can say who acted.")


class MomentOption(click.ParamType[Any]):
    """A UTC time (``2026-11-20``, ``2026-11-20T08:30``, with or without ``Z`` or an offset), or an age (``90min``)."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime | timedelta:
        """Read it; a time without an offset is UTC, an age is meant backwards from the time of the run."""
        if isinstance(value, (datetime, timedelta)):
            return value
        text = str(value).strip()
        if found := _AGO.match(text):
            return timedelta(**{_AGO_UNITS[found[2]]: int(found[1])})
        moment = parse_iso(text)
        if moment is None:
            self.fail(
                f"{text[:40]!r} is no time; write 2026-11-20, 2026-11-20T08:30Z, or 24h for 24 hours ago.", param, ctx
            )
        return moment


def resolve_moment(value: datetime | timedelta | None, *, now: datetime) -> datetime | None:
    """A time as it is, an age as the time that long before now."""
    return now - value if isinstance(value, timedelta) else value


def operator_name() -> str:
    """Who acts: ``RECON_OPERATOR``, else the login name."""
    import getpass

    try:
        return os.environ.get("RECON_OPERATOR", "").strip() or getpass.getuser()
    except (KeyError, OSError) as error:
        raise NoOperatorError from error


def parse_amounts(texts: Iterable[str]) -> dict[str, str]:
    """``USDC=100.5`` as symbol and amount text.

    Raises:
        AmountOptionError: One is not of that form.
    """
    amounts = {}
    for text in texts:
        found = _TOKEN_AMOUNT.match(text)
        if found is None:
            raise AmountOptionError(text=text)
        amounts[found[1]] = found[2]
    return amounts


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


def settings_from(config_path: Path | None) -> Settings:
    """Load the configuration; see :func:`recon.setup.settings.load_settings`."""
    from recon.setup.settings import load_settings

    return load_settings(config_path)


def settings_if_there(config_path: Path | None) -> Settings | None:
    """The configuration for a command that works without one; None where none is named and none lies here."""
    import os

    from recon.setup.file import CONFIG_NAME

    if config_path is None and not os.environ.get("RECON_CONFIG") and not Path(CONFIG_NAME).exists():
        return None
    return settings_from(config_path)


def note_author(settings: Settings, plan: Plan) -> None:
    """Record who made a plan, for a policy that lets its author not approve it."""
    from recon.plans.approvals import DecisionRecords

    DecisionRecords(settings.decisions_dir).note_author(plan, who=operator_name(), at=settings.now())


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


def read_ids(ids: Iterable[str], id_file: Path | None) -> tuple[str, ...]:
    """Payment ids of the options and of a file, each once, in the order given.

    Raises:
        IdError: An id of the command line cannot be read.
        IdFileError: A line of the file cannot.
    """
    found = {_payment_id(text): None for text in ids}
    if id_file is not None:
        try:
            lines = id_file.read_text(encoding="utf-8-sig").splitlines()
        except OSError as error:
            raise FileReadError(path=str(id_file), why=error.strerror or "unknown reason") from error
        except UnicodeDecodeError as error:
            raise FileReadError(path=str(id_file), why="it is not UTF-8 text") from error
        if len(lines) > ID_LINES_MAX:
            raise IdFileError(path=id_file.name, line=ID_LINES_MAX + 1, why=f"more than {ID_LINES_MAX} lines")
        for number, line in enumerate(lines, start=1):
            if line.strip() and not line.lstrip().startswith("#"):
                try:
                    found[_payment_id(line)] = None
                except IdError as error:
                    raise IdFileError(path=id_file.name, line=number, why=str(error).rstrip(".")) from error
    return tuple(found)


def _payment_id(text: str) -> str:
    from recon.core.ids import parse_payment_id, payment_id_text

    text = text.strip()
    quoted = text[:1] in ('"', "{")
    if not text or len(text) > ID_LENGTH_MAX or not text.isprintable() or (not quoted and re.search(r"[\s,;]", text)):
        raise IdError(f"{text[:60]!r} is no payment id: 24 hex digits, or the stored text without spaces.")
    return payment_id_text(parse_payment_id(text.lower() if _HEX_ID.match(text) else text))


def free_path(path: Path) -> Path:
    """The path itself, or with ``-2``, ``-3`` and so on before its ending when something is there already."""
    candidate, number = path, 1
    while os.path.lexists(candidate):
        number += 1
        candidate = path.with_name(f"{path.stem}-{number}{path.suffix}")
    return candidate


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
