"""Patches of the files that flags stand in: a value replaced in its place, proven by reading all of it again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from recon.rails.flags.dotenv import apply_edits, check_value, edits_for, read_dotenv
from recon.rails.flags.errors import ManifestError
from recon.rails.flags.readings import Files, FlagReading, FlagSaid
from recon.rails.flags.sealed import SealedFileError, has_sops_seal
from recon.rails.flags.yamltext import Replacement, replace_stretches, spell_scalar, unified_patch


def file_text(files: Files, path: Path) -> str:
    """The text of a file as it is. Raises ManifestError for what is no UTF-8."""
    try:
        return files.data(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise ManifestError(path=str(path), why="it is not UTF-8 text", remedy="Save it as UTF-8.") from error


def patched_text(path: Path, wanted: Mapping[str, str], *, reading: FlagReading, files: Files) -> str:
    """The text of one file with flags changed where the reading found them; a dotenv file gets new lines too.

    Raises:
        ManifestError: A flag does not stand there in a form that can be changed.
        SealedFileError: The file is sealed by SOPS.
    """
    text = file_text(files, path)
    if has_sops_seal(text.encode()):
        raise SealedFileError(path=str(path), wanted=wanted)
    held = [each for flag in wanted if (each := reading.said.get(flag)) is not None and each.file == str(path)]
    if not any(each.spot for each in held) and path.suffix not in (".yaml", ".yml", ".json"):
        reader = "docker" if any(each.place.startswith("configMapGenerator") for each in held) else "compose"
        dotenv = read_dotenv(text.encode(), path=str(path), reader=reader)
        return apply_edits(dotenv, edits_for(dotenv, wanted)).decode()
    parts = [part for flag, value in wanted.items() for part in _replaced(path, flag, value, reading.said.get(flag))]
    return replace_stretches(text, parts)


def _replaced(path: Path, flag: str, value: str, held: FlagSaid | None) -> list[Replacement]:
    check_value(flag, value)
    if held is None:
        raise ManifestError(path=str(path), why=f"it does not set {flag}", remedy="Add it by hand.")
    if held.value == value:
        return []
    if held.spot is None:
        why = held.doubt or "it is written as a block, through an anchor or from another value"
        raise ManifestError(
            path=str(path),
            why=f"{flag} on line {held.line} cannot be changed there: {why}",
            remedy="Change it by hand.",
        )
    spot = held.spot
    if spot.prefix:
        quote = spot.style if spot.style in ("'", '"') else ""
        return [Replacement(spot.start, spot.end, f"{quote}{spot.prefix}{value}{quote}")]
    return [Replacement(spot.start, spot.end, spell_scalar(value, style=spot.style))]


def patch_reading(
    read: Callable[[Files], FlagReading], wanted: Mapping[str, str], *, root: Path, home: Path | None = None
) -> str:
    """The patch that gives flags their values wherever they stand; empty when all is so already.

    Args:
        read: Reads everything, through the files it is given.
        root: The folder that the patch is applied in.
        home: The file for flags that stand nowhere, if one can take them.

    Raises:
        ManifestError: A flag stands where it cannot be changed, or the result would not read as wanted.
    """
    files = Files()
    reading = read(files)
    by_file: dict[Path, dict[str, str]] = {}
    for flag, value in wanted.items():
        held = reading.said.get(flag)
        place = Path(held.file) if held is not None else home
        if place is None:
            raise ManifestError(
                path=reading.looked[0] if reading.looked else str(root),
                why=f"{flag} is not set there",
                remedy=f"Add {flag}={value} by hand, beside the other flags.",
            )
        by_file.setdefault(place, {})[flag] = value
    texts = {path: patched_text(path, part, reading=reading, files=files) for path, part in by_file.items()}
    if read(Files(texts)).values != {**reading.values, **wanted}:
        raise ManifestError(
            path=str(root), why="the change cannot be written without changing something else", remedy="Do it by hand."
        )
    return "".join(
        unified_patch(
            file_text(files, path),
            text,
            path=(path.relative_to(root) if path.is_relative_to(root) else path).as_posix(),
        )
        for path, text in texts.items()
    )
