"""What is set where: one shape for every kind of place that flags live in, whatever its format.

A module for a format finds each setting with its file, place, line and raw text; this one says which of them counts.
What is found nowhere is not "off": it is not set *here*, and the places that were looked at are named.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from recon.rails.flags.errors import ManifestError
from recon.rails.flags.files import read_flag_file
from recon.rails.flags.yamltext import Spot, YamlFile, parse_yaml_data

FILES_MAX: Final = 60


@dataclass(frozen=True, slots=True)
class FlagSaid:
    """One place that sets a variable.

    Args:
        value: What the backend gets from it; None for a name without a value, or one that cannot be told.
        place: Where in the file, in words.
        line: Counted from 1.
        raw: As written.
        by_reader: What each reader makes of it, where the format has several.
        doubt: Why the value cannot be told; empty where it can.
        spot: Where a YAML file holds it, if it can be changed there.
    """

    flag: str
    value: str | None
    file: str
    place: str
    line: int
    raw: str = field(default="", repr=False)
    by_reader: Mapping[str, str | None] = field(default_factory=dict, repr=False)
    doubt: str = ""
    spot: Spot | None = None

    @property
    def where(self) -> str:
        """File, line and place in one word or two."""
        return f"{self.file}:{self.line} {self.place}".rstrip()


@dataclass(frozen=True, slots=True)
class FlagReading:
    """Every variable of one backend, and how far that can be relied on.

    Args:
        holder: Whose variables they are: a service, a container, a map; empty for a plain file.
        said: The place that counts, by name.
        looked: The places that were looked at, in order.
        unread: What could not be read and may set more; one sentence each.
        notes: What else there is to know.
    """

    said: Mapping[str, FlagSaid]
    holder: str = ""
    looked: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def values(self) -> dict[str, str | None]:
        """Every value by name; None for a name without one, or one that cannot be told."""
        return {flag: each.value for flag, each in self.said.items()}

    def any_value(self, name: str) -> str | None:
        """The value of a variable for whatever reader finds one; for questions of presence only."""
        held = self.said.get(name)
        if held is None:
            return None
        return held.value or next((value for value in held.by_reader.values() if value), held.value)

    def doubts(self, flags: Iterable[str]) -> dict[str, str]:
        """Why the value of a flag cannot be told, where it can not: doubtful, or not set while not all is read."""
        found = {}
        for flag in flags:
            held = self.said.get(flag)
            if held is not None and held.doubt:
                found[flag] = held.doubt
            elif held is None and self.unread:
                found[flag] = f"not set in what could be read, and {self.unread[0]}"
        return found


def last_of(found: Iterable[FlagSaid]) -> dict[str, FlagSaid]:
    """The setting of each name that counts: the last."""
    return {each.flag: each for each in found}


class Files:
    """Files read once each, and not too many; texts laid over them show how a change would read before it is made."""

    def __init__(self, over: Mapping[Path, str] | None = None) -> None:
        self._over = {_real(path): text for path, text in (over or {}).items()}
        self._bytes: dict[Path, bytes] = {}
        self.looked: list[str] = []

    def data(self, path: Path) -> bytes:
        """The bytes of a file.

        Raises:
            FlagFileError, ManifestError: It cannot be read, is no regular file, is too large, or is one too many.
        """
        place = _real(path)
        if place not in self._bytes:
            if len(self._bytes) >= FILES_MAX:
                raise ManifestError(
                    path=str(path), why=f"more than {FILES_MAX} files belong together", remedy="Name fewer."
                )
            self.looked.append(str(path))
            over = self._over.get(place)
            self._bytes[place] = read_flag_file(path).data if over is None else over.encode()
        return self._bytes[place]

    def yaml(self, path: Path) -> YamlFile:
        """A YAML file. Raises as :meth:`data`, and ManifestError for what is no UTF-8 or no YAML."""
        return parse_yaml_data(self.data(path), path=str(path))

    def is_there(self, path: Path) -> bool:
        """Whether a file can be looked at."""
        return path.is_file()


def _real(path: Path) -> Path:
    return path.resolve()
