"""A command group whose commands are imported when they run, and the one place where errors become exit codes."""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NoReturn

import click

from recon.core.errors import NothingLeftError, ReconError, RefusedError, SourceError, StoppedError, UsageError

DONE: Final = 0
DIFFERENCES: Final = 1
USAGE: Final = 2
REFUSED: Final = 3
INCOMPLETE: Final = 4
STOPPED: Final = 5
BUG: Final = 70
INTERRUPTED: Final = 130
PIPE_CLOSED: Final = 141
DEBUG_VARIABLE: Final = "RECON_DEBUG"
COMPLETE_VARIABLE: Final = "_RECON_COMPLETE"


@dataclass(frozen=True, slots=True)
class CommandEntry:
    """One command: its name, its place (``module:attribute``), its line of help, and the heading it stands under."""

    name: str
    place: str
    help: str
    heading: str


class PipeClosedError(Exception):
    """Nobody reads the result any more."""


class LazyGroup(click.Group):
    """A group that knows its commands by name and line of help, and imports one only to run it."""

    def __init__(self, *, entries: Sequence[CommandEntry], **attributes: Any) -> None:
        super().__init__(**attributes)
        self.entries = {entry.name: entry for entry in entries}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of the table."""
        return list(self.entries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command of that name; None when there is none."""
        entry = self.entries.get(cmd_name)
        if entry is None:
            return None
        module, _, attribute = entry.place.partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        if _is_completing():
            from recon.cli.completing import complete_values

            complete_values(command, name=cmd_name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; a name that is none gets the nearest one named."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from difflib import get_close_matches

            near = get_close_matches(args[0].lower(), self.entries, n=1)
            if not near or args[0] in self.entries:
                raise
            raise click.UsageError(f"{error.message.rstrip('.')}; the nearest is {near[0]!r}.", ctx) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands under their headings without importing any."""
        for heading in dict.fromkeys(entry.heading for entry in self.entries.values()):
            with formatter.section(heading):
                formatter.write_dl([(e.name, e.help) for e in self.entries.values() if e.heading == heading])

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; a closed pipe is told under a name that click does not turn into success."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise PipeClosedError from error

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run, and leave with the exit code that the outcome means. No traceback unless ``RECON_DEBUG`` asks."""
        kwargs["standalone_mode"] = False
        if _is_completing():
            return _complete(super().main, *args, **kwargs)
        try:
            code = super().main(*args, **kwargs)
            sys.stdout.flush()
        except BaseException as error:  # noqa: BLE001, RUF100 - the last line of defence: it prints one sentence
            code = leave(error)
        sys.exit(code if isinstance(code, int) else DONE)


def _is_completing() -> bool:
    """Whether a shell asks for what the tab key offers, and not for its script."""
    return os.environ.get(COMPLETE_VARIABLE, "").endswith("_complete")


def _complete(offer: Callable[..., Any], *args: Any, **kwargs: Any) -> NoReturn:
    """Offer what a shell asks for. A person is typing: what cannot be offered is left out without a word."""
    with contextlib.suppress(Exception), contextlib.redirect_stderr(io.StringIO()):
        try:
            offer(*args, **kwargs)
        except SystemExit:
            sys.stdout.flush()
    sys.exit(DONE)


def leave(error: BaseException) -> int:
    """Say on stderr in one sentence what went wrong, and give the exit code for it."""
    if isinstance(error, (SystemExit, click.exceptions.Exit)):
        code = error.code if isinstance(error, SystemExit) else error.exit_code
        return code if isinstance(code, int) else DONE
    if isinstance(error, (PipeClosedError, BrokenPipeError)):
        _forget_stdout()
        return PIPE_CLOSED
    if os.environ.get(DEBUG_VARIABLE) and not isinstance(error, click.ClickException):
        import traceback

        traceback.print_exception(error)
    code, sentence = _outcome(error)
    _say(sentence)
    return code


def _outcome(error: BaseException) -> tuple[int, str]:
    if isinstance(error, (click.Abort, KeyboardInterrupt)):
        return _interrupted(error)
    if isinstance(error, click.ClickException):
        context = getattr(error, "ctx", None)
        hint = f' Try "{context.command_path} --help".' if context else ""
        return USAGE, error.format_message() + hint
    if isinstance(error, ReconError):
        return _code(error), str(error)
    if isinstance(error, OSError) and _is_full(error):
        return STOPPED, (
            f"A file could not be written ({os.strerror(error.errno or 0)}), so what was under way is not finished. "
            "Make room, and run the same command again."
        )
    if isinstance(error, _PLACES) and error.filename is not None:
        return USAGE, (
            f"{error.filename}: {error.strerror or 'it cannot be used'}. Name another place, or change the rights "
            "there, and run the same command again."
        )
    return _unforeseen(error)


def _interrupted(error: BaseException) -> tuple[int, str]:
    from recon.cli.signals import EndedBySignalError

    signalled = next((each for each in (error, error.__cause__) if isinstance(each, EndedBySignalError)), None)
    if signalled is None:
        return INTERRUPTED, "Interrupted; run the same command again."
    return _SIGNALLED + signalled.number, f"It was {signalled}; run the same command again."


def _unforeseen(error: BaseException) -> tuple[int, str]:
    """What no class of ours stands for: an answer of the database, or a mistake."""
    if type(error).__module__.partition(".")[0] in _DATABASE:
        return INCOMPLETE, (
            f"The database answered with an error ({type(error).__name__}), so what was asked for is not known; a run "
            "that was under way is as its journal says. Look into the server's log and run the same command again."
        )
    return BUG, (
        f"This should not have happened ({type(error).__name__}); it is a mistake in recon, and a plan or a run that "
        f"was under way is as its files say. {DEBUG_VARIABLE}=1 shows where it happened."
    )


_SIGNALLED: Final = 128
"""A shell's exit code of a process that a signal ended, less the number of the signal."""

_DATABASE: Final = ("pymongo", "gridfs")
"""Packages whose errors are what a server said; no answer of it is a mistake of ours."""

_PLACES: Final = (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError)
"""What the system says of a place that was named to us; anything else about a file is a mistake of ours."""


def _is_full(error: OSError) -> bool:
    from recon.files import NO_ROOM

    return error.errno in NO_ROOM


def _code(error: ReconError) -> int:
    by_class = (
        (NothingLeftError, DONE),
        (StoppedError, STOPPED),
        (SourceError, INCOMPLETE),
        (RefusedError, REFUSED),
        (UsageError, USAGE),
    )
    return next((code for kind, code in by_class if isinstance(error, kind)), USAGE)


def _say(sentence: str) -> None:
    from recon.reports.text import display_text

    try:
        click.echo(f"recon: {display_text(sentence)}", err=True)
    except OSError:
        return


def _forget_stdout() -> None:
    """Point stdout to nowhere, so that the interpreter does not complain about the closed pipe on its way out."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def version_option(version: str) -> click.Option:
    """``--version``, as an object, so that the group needs no decorator."""

    def show(ctx: click.Context, _parameter: click.Parameter, value: bool) -> None:
        if value and not ctx.resilient_parsing:
            click.echo(f"recon {version}")
            ctx.exit()

    return click.Option(
        ["--version"],
        is_flag=True,
        expose_value=False,
        is_eager=True,
        callback=show,
        help="Print the version and leave.",
    )
