"""Where records of decisions are kept: each under a name of its own, whole, and never changed.

The usual shelf is a folder beside the plans. One in the database, for people at several machines, is opened by the
store; :func:`recon.testing.check_decisions` holds any of them to the same promises.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, Protocol

from recon.core.errors import RefusedError, SourceError
from recon.files import FileThereError, make_folder, save_new

NAMES_MAX: Final = 1000
"""How many records may stand under one stem: what stands there already and counts for nothing keeps nobody out."""

AUTHOR: Final = "author-"
"""What the names of the notes begin with that say who made a plan; they go with their plan, decisions stay."""

_RECORD_MAX_BYTES: Final = 100_000
_RECORD_MODE: Final = 0o444  # decided once, for others to read and nobody to change


class ShelfError(SourceError):
    """The records of decisions in a database could not be read or added to."""

    def __init__(self, *, place: str, is_read: bool, why: str) -> None:
        what = "read, so what was decided is not known" if is_read else "added to; nothing was recorded"
        super().__init__(
            f"The records of decisions in {place} could not be {what} ({why}). Try again, or ask who runs the database."
        )


class ShelfFullError(RefusedError):
    """There are too many records under one name."""

    def __init__(self, *, name: str) -> None:
        super().__init__(
            f"{name}: {NAMES_MAX} records stand under that name already, and nothing was recorded. Have a person look "
            "at them: most of them cannot count."
        )


class Shelf(Protocol):
    """A place of records; each is some bytes under a name that begins with a given stem."""

    def add(self, records: Sequence[tuple[str, bytes]]) -> list[str]:
        """Keep records for good, each under the first free name of its stem, and give those names.

        After a failure none of them is there.

        Raises:
            ShelfError: The place does not answer or refuses.
            ShelfFullError: There is no free name left.
        """
        ...

    def records(self, stem: str) -> Iterator[tuple[str, bytes]]:
        """Every record whose name begins with a stem, by name; what cannot be read of one is given as no bytes.

        Raises:
            ShelfError: The place does not answer or refuses.
        """
        ...

    def drop_author(self, digest: str) -> None:
        """Take the notes away that say who made one plan; nothing else is ever taken away.

        Raises:
            ShelfError: The place does not answer or refuses.
        """
        ...


def free_names(stem: str) -> Iterator[str]:
    """The names that a record may get, in the order in which they are tried.

    Raises:
        ShelfFullError: All of them were tried.
    """
    yield stem
    for number in range(2, NAMES_MAX):
        yield f"{stem}-{number}"
    raise ShelfFullError(name=stem)


def author_stem(digest: str) -> str:
    """What the names of the notes begin with that say who made a plan."""
    return f"{AUTHOR}{digest[:32]}"


class FileShelf:
    """A :class:`Shelf` in a folder: one file each, created once, never opened for writing."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(self, records: Sequence[tuple[str, bytes]]) -> list[str]:
        """See :meth:`Shelf.add`.

        Raises:
            NoRoomError: The disk is full.
            OSError: The folder is closed.
        """
        make_folder(self._folder)
        made: list[Path] = []
        try:
            for stem, data in records:
                made.append(self._add(stem, data))
        except BaseException:
            for path in made:
                path.unlink()
            raise
        return [path.name for path in made]

    def _add(self, stem: str, data: bytes) -> Path:
        for name in free_names(stem):
            path = self._folder / f"{name}.json"
            try:
                save_new(path, data, mode=_RECORD_MODE)
            except FileThereError:
                continue
            return path
        raise ShelfFullError(name=stem)

    def records(self, stem: str) -> Iterator[tuple[str, bytes]]:
        """See :meth:`Shelf.records`."""
        for path in sorted(self._folder.glob(f"{stem}*.json")) if self._folder.is_dir() else ():
            try:
                yield path.name, path.read_bytes()[:_RECORD_MAX_BYTES]
            except OSError:
                yield path.name, b""

    def drop_author(self, digest: str) -> None:
        """See :meth:`Shelf.drop_author`."""
        for path in self._folder.glob(f"{author_stem(digest)}*.json"):
            path.unlink(missing_ok=True)
