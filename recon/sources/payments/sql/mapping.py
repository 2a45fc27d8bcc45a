"""One row of a table as one payment document, and what a changed document means for the columns. Pure.

Each column stands under a path of the document. A column of JSON is a tree there and is reached by path; ``*`` is the
document itself. NULL is a field that is not there. The stamp of the last run stands in a table of the tool's own and is
shown where every store shows it, unless a column is named for it.

>>> from recon.sources.payments.sql.kinds import kind_named
>>> text = kind_named("text", zone=None)
>>> rows = RowMap((ColumnPlace("id", "_id", text), ColumnPlace("hash", "blockchain.transactionHash", text)))
>>> rows.document({"id": "p1", "hash": "0xab"}, stamp="r1/c1")
{'_id': 'p1', 'blockchain': {'transactionHash': '0xab'}, 'metadata': {'recon': {'last': 'r1/c1'}}}
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

from recon.core.errors import ConfigError
from recon.core.values import ABSENT, STAMP, UPDATED_AT, value_at
from recon.sources.payments.sql.kinds import Kind, Raw, UnfitValueError

ID: Final = "_id"
ROOT: Final = "*"
"""The path of a column that holds the document itself."""

_STAMP_PARTS: Final = tuple(STAMP.split("."))


class ColumnClashError(ConfigError):
    """Two columns stand in one place of a payment."""

    def __init__(self, *, path: str, other: str) -> None:
        super().__init__(
            f"sql.columns: one column stands under {path} and another under {other}, inside it, so neither is sure; "
            "give one of them another path."
        )


@dataclass(frozen=True, slots=True)
class ColumnPlace:
    """A column, the path under which it stands in a document, and what it holds."""

    name: str
    path: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class RowMap:
    """The columns that are read, in the order of the document's fields, and what is so of every row without one.

    Raises:
        ColumnClashError: Two of them stand in one place.
    """

    columns: tuple[ColumnPlace, ...]
    constants: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        paths = sorted([*(column.path for column in self.columns if column.path != ROOT), *self.constants])
        for number, path in enumerate(paths):
            for other in paths[number + 1 :]:
                if other == path or other.startswith(f"{path}."):
                    raise ColumnClashError(path=path, other=other)
        inner = next((path for path in paths if "." in path), None)
        if inner is not None and any(column.path == ROOT for column in self.columns):
            raise ColumnClashError(path=ROOT, other=inner)

    @property
    def has_stamp(self) -> bool:
        """Whether a column is named for the stamp."""
        return any(column.path == STAMP for column in self.columns)

    @property
    def has_tree(self) -> bool:
        """Whether a column holds a tree, of which more may be read than was asked for."""
        return any(column.kind.is_json for column in self.columns)

    @property
    def id(self) -> ColumnPlace:
        """The column of the id."""
        return next(column for column in self.columns if column.path == ID)

    def at(self, path: str) -> ColumnPlace | None:
        """The column that is exactly the value at a path, or None."""
        return next((column for column in self.columns if column.path == path and not column.kind.is_json), None)

    def touching(self, paths: Iterable[str]) -> tuple[ColumnPlace, ...]:
        """The columns that hold something of what stands at the paths, above them or below them."""
        wanted = list(paths)
        return tuple(column for column in self.columns if any(_touches(column, path) for path in wanted))

    def has(self, path: str) -> bool:
        """Whether anything stands at a path: a column, or what is so of every row."""
        return path in self.constants or bool(self.touching([path]))

    def only(self, paths: Iterable[str]) -> RowMap:
        """The same for some paths only; the id is always read."""
        wanted = {ID, *paths}
        return RowMap(self.touching(wanted), self.constants)

    def document(self, row: Mapping[str, Raw], *, stamp: str | None = None) -> dict[str, Any]:
        """The document of a row, with the stamp that stands beside it."""
        return with_stamp(self.plain(row), stamp)

    def plain(self, row: Mapping[str, Raw]) -> dict[str, Any]:
        """The document of a row without what stands beside it."""
        found: dict[str, Any] = {}
        for column in self.columns:
            value = column.kind.value(row[column.name])
            if value is ABSENT:
                continue
            if column.path == ROOT:
                own = value if isinstance(value, Mapping) else {column.name: value}
                found.update((name, each) for name, each in own.items() if self.at(name) is None)
            else:
                _put(found, _parts_of(column.path), value)
        for path, text in self.constants.items():
            _put(found, _parts_of(path), text)
        return found

    def images(self, row: Mapping[str, Raw], changed: Mapping[str, Any], *, touched: Iterable[str]) -> dict[str, Raw]:
        """The raw images by column that make a row hold a changed document.

        Args:
            row: As it was read.
            changed: The document as it is to be, without what stands beside it.
            touched: The paths that were set or taken away.

        Raises:
            UnfitValueError: A path has no column, or its column cannot hold the value exactly.
        """
        images: dict[str, Raw] = {}
        for path in touched:
            columns = self.touching([path])
            if path in self.constants and value_at(changed, path) == self.constants[path]:
                continue
            if not columns and path != UPDATED_AT:
                raise UnfitValueError(column=f"of {path}", why="is not there: name it under [sql.columns]")
            for column in columns:
                before = row[column.name]
                value = self._root(changed, column, before) if column.path == ROOT else value_at(changed, column.path)
                images[column.name] = column.kind.image(value, before, column=column.name)
        return images

    def _root(self, changed: Mapping[str, Any], column: ColumnPlace, before: Raw) -> Any:
        """The tree of the column that is the document, without what other columns hold; what it held of that stays."""
        found = column.kind.value(before)
        own = found if isinstance(found, Mapping) else {}
        rest = {name: changed.get(name, ABSENT) if self.at(name) is None else own[name] for name in own}
        rest |= {name: value for name, value in changed.items() if self.at(name) is None}
        return {name: value for name, value in rest.items() if value is not ABSENT}


def with_stamp(document: dict[str, Any], stamp: str | None) -> dict[str, Any]:
    """The document with a stamp in its place; where that is no object, the stamp cannot be shown."""
    if stamp is None:
        return document
    shown = dict(document)
    inner = shown
    for name in _STAMP_PARTS[:-1]:
        below = inner.get(name, {})
        if not isinstance(below, Mapping):
            return document
        inner[name] = dict(below)
        inner = inner[name]
    inner[_STAMP_PARTS[-1]] = stamp
    return shown


@lru_cache(maxsize=1024)
def _parts_of(path: str) -> tuple[str, ...]:
    return tuple(path.split("."))


def _put(document: dict[str, Any], parts: tuple[str, ...], value: Any) -> None:
    inner = document
    for name in parts[:-1]:
        below = inner.setdefault(name, {})
        if not isinstance(below, dict):
            raise UnfitValueError(column=f"of {'.'.join(parts)}", why=f"would stand inside {name}, which is no object")
        inner = below
    inner[parts[-1]] = value


def _touches(column: ColumnPlace, path: str) -> bool:
    if column.path == ROOT:
        return path != ID
    if path == column.path or column.path.startswith(f"{path}."):
        return True
    return column.kind.is_json and path.startswith(f"{column.path}.")
