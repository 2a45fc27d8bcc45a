"""Flags in a dotenv file, by whichever reader decides, as settings with their lines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from recon.rails.flags.dotenv import Dotenv, read_dotenv, repeated_keys
from recon.rails.flags.dotenv_readers import view_of
from recon.rails.flags.readings import Files, FlagReading, FlagSaid, last_of
from recon.rails.flags.sealed import sealed_by


def read_envfile(path: Path, files: Files, *, flags: Iterable[str], reader: str = "every") -> FlagReading:
    """Read a dotenv file.

    Args:
        flags: The names whose values may be quoted; all others may be secrets.
        reader: Whose reading counts.

    Raises:
        FlagFileError: The file cannot be read, or is no text file.
    """
    flags = tuple(flags)
    dotenv = read_dotenv(files.data(path), path=str(path), reader=reader)
    if dotenv.problem:
        return FlagReading({}, looked=(str(path),), unread=(f"{path} cannot be read: {dotenv.problem}",))
    refusing = tuple(
        f"{name} would refuse {path}: {view.problem}; it is taken not to be the reader of the backend."
        for name, view in dotenv.views.items()
        if view.problem
    )
    said = {key: _said(dotenv, key, flags) for key in dotenv.values}
    notes = (*repeated_keys(dotenv, flags), *(refusing if any(flag in said for flag in flags) else ()))
    if reader != "every":
        notes += _otherwise(read_dotenv(files.data(path), path=str(path)), dotenv, flags)
    return FlagReading(said, looked=(str(path),), notes=notes)


def _otherwise(every: Dotenv, meant: Dotenv, flags: Iterable[str]) -> tuple[str, ...]:
    """Where other readers would read a flag differently from the one that is meant; one sentence each."""
    found = []
    for flag in flags:
        others = {name: value for name, value in every.said(flag).items() if value != meant.values.get(flag)}
        said = ", ".join(f"{name} {'has no value' if v is None else f'reads {v[:60]!r}'}" for name, v in others.items())
        found += [f"{flag} is read as {meant.reader} reads it; {said}."] if others else []
    return tuple(found)


def _said(dotenv: Dotenv, key: str, flags: Iterable[str]) -> FlagSaid:
    found = next(each for view in dotenv.heard for each in reversed(view.of(key)))
    raw = "" if found.token is None else dotenv.text[slice(*found.token)]
    is_flag, value = key in flags, dotenv.values[key]
    doubt = dotenv.doubt(key) if is_flag else "" if value is not None else "its readers differ"
    if is_flag and not doubt and sealed_by(raw):
        value, doubt = None, "it is sealed by SOPS"
    return FlagSaid(key, value, dotenv.path, "", found.line, raw, dotenv.said(key), doubt)


def said_in(
    text: str, *, reader: str, file: str, place: str, first_line: int = 1, known: Mapping[str, str | None] | None = None
) -> tuple[dict[str, FlagSaid], str]:
    """The settings of a dotenv text that stands inside something else, by one reader; and why it refuses the text.

    Args:
        known: What is set besides, for names that are filled in.
        first_line: The line of the file that the text begins on.
    """
    text = text.removeprefix("\ufeff")
    if reader == "every":
        dotenv = read_dotenv(text.encode("utf-8", "surrogateescape"), path=file)
        return last_of(
            FlagSaid(
                key, value, file, place, first_line + _line(dotenv, key) - 1, by_reader=dotenv.said(key),
                doubt="" if value is not None else "its readers differ",
            )
            for key, value in dotenv.values.items()
        ), dotenv.problem  # fmt: skip
    view = view_of(text, reader, known=known)
    found = [
        FlagSaid(
            each.key, view.values.get(each.key), file, place, first_line + each.line - 1,
            raw="" if each.token is None else text[slice(*each.token)],
            doubt=view.doubts.get(each.key) or ("" if view.values.get(each.key) is not None else _NO_VALUE),
        )
        for each in view.bindings
    ]  # fmt: skip
    return last_of(found), view.problem


_NO_VALUE = "it stands there without a value"


def _line(dotenv: Dotenv, key: str) -> int:
    return next(each.line for view in dotenv.heard for each in reversed(view.of(key)))
