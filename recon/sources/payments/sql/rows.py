"""Which columns of a table are read, under which paths, and what they hold: the configuration laid over the table."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable

from recon.core.errors import ConfigError
from recon.sources.payments.sql.database import Layout, SqlColumn
from recon.sources.payments.sql.errors import SqlZoneError
from recon.sources.payments.sql.kinds import Kind, kind_in_words, kind_named
from recon.sources.payments.sql.mapping import ID, ColumnPlace, RowMap
from recon.sources.payments.sql.section import SqlSection

_FIELD = re.compile(r"[A-Za-z_][\w-]{0,63}\Z")


class UnknownColumnError(ConfigError):
    """The configuration names a column that the table does not have."""

    def __init__(self, *, key: str, column: str, table: str, there: Iterable[str]) -> None:
        listed = ", ".join(sorted(there)[:20])
        super().__init__(f"sql.{key}: {table} has no column {column[:60]!r}; it has {listed}.")


def zone_of(section: SqlSection) -> dt.tzinfo | None:
    """The zone of moments that name none, or None where the configuration does not say it."""
    text = section.time_zone
    if not text:
        return None
    if text == "UTC":
        return dt.UTC
    distance = dt.timedelta(hours=int(text[1:3]), minutes=int(text[4:6]))
    return dt.timezone(-distance if text[0] == "-" else distance)


def row_map(layout: Layout, section: SqlSection) -> RowMap:
    """Every column of the table under its path; one whose name can be no field and that is not named is left out.

    Raises:
        UnknownColumnError: A column is named that is not there.
        ColumnClashError: Two columns stand in one place.
    """
    for key, named in (
        ("columns", section.columns.values()),
        ("kinds", section.kinds),
        ("words", section.words),
    ):
        for column in named:
            if column not in layout.columns:
                raise UnknownColumnError(key=key, column=column, table=layout.name, there=layout.columns)
    paths = {column: path for path, column in section.columns.items()}
    paths[section.id] = ID
    zone = zone_of(section)
    return RowMap(
        tuple(
            ColumnPlace(name, paths.get(name, name), _kind_of(column, section, zone))
            for name, column in layout.columns.items()
            if name in paths or _FIELD.match(name)
        ),
        constants=section.constants,
    )


def _kind_of(column: SqlColumn, section: SqlSection, zone: dt.tzinfo | None) -> Kind:
    """What a column holds, in the words of payments."""
    kind = kind_named(section.kinds.get(column.name, column.kind), zone=None if column.is_zoned else zone)
    words = section.words.get(column.name)
    return kind if words is None else kind_in_words(kind, words)


def check_zones(rows: RowMap, *, layout: Layout, section: SqlSection) -> None:
    """Refuse to read times whose zone nobody said.

    Raises:
        SqlZoneError: A column that is read holds such times.
    """
    for place in rows.columns:
        column: SqlColumn = layout.columns[place.name]
        if not section.time_zone and place.kind.name == "date" and column.is_zoneless:
            raise SqlZoneError(column=place.name)
