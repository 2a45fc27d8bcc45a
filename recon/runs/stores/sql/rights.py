"""What a login may do in a SQL database, a state and a sentence each: it reads rights, and uses none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from recon.core.values import STAMP, UPDATED_AT
from recon.runs.stores.sql.own_tables import OWN_TABLES, RUN_PATHS, migration_file
from recon.sources.payments.sql.database import Said, SqlDatabase
from recon.sources.payments.sql.table import PaymentTable

if TYPE_CHECKING:
    from sqlalchemy import Connection


def rights_of(
    database: SqlDatabase,
    connection: Connection,
    *,
    is_run: bool,
    is_one_login: bool,
    own_tables: Sequence[str] = OWN_TABLES,
) -> Iterator[Said]:
    """What a login may do, compared with what it needs.

    Args:
        is_run: Whether it is the login that writes.
        is_one_login: Whether both addresses are the same.
        own_tables: The tool's own tables that the configuration makes use of.
    """
    table = PaymentTable.found(database, connection)
    if not is_run:
        places = database.writable(connection, table.layout)
        if places and is_one_login:
            yield "warning", "One login reads and writes; give the reading one SELECT alone and an address of its own."
        elif places:
            yield "warning", f"The login that reads may write to {_listed(places)}; give it SELECT alone."
        else:
            yield "ok", "The login that reads may write nowhere."
        return
    yield from _table_says(table)
    yield from database.run_says(
        connection, table.layout, written=[place.name for place in table.rows.touching(RUN_PATHS)]
    )
    missing = [name for name in own_tables if not database.own_is_there(connection, name)]
    if missing:
        files = dict.fromkeys(str(migration_file(database, table=name)) for name in missing)
        yield (
            "warning",
            f"The tool's own tables are not all there ({', '.join(missing)}): the first run or decision makes them if "
            f"its login may; otherwise have an owner run {' and '.join(files)}.",
        )


def _table_says(table: PaymentTable) -> Iterator[Said]:
    lacking = [path for path in RUN_PATHS if path != UPDATED_AT and not table.rows.touching([path])]
    if lacking:
        yield (
            "warning",
            f"No column stands under {_listed(lacking)}: a change that sets one of them is refused at its row. Name "
            "the columns under [sql.columns].",
        )
    if not table.rows.touching([UPDATED_AT]):
        yield (
            "warning",
            f"No column stands under {UPDATED_AT}, so nobody who polls for changes sees what a run wrote, and "
            '"recon plan --since" cannot be used.',
        )
    where = "a column of the table" if table.rows.has_stamp else "a table of recon's own"
    yield "ok", f"The stamp of a run ({STAMP}) stands in {where}."


def _listed(places: list[str] | tuple[str, ...]) -> str:
    more = f" and {len(places) - 4} more" if len(places) > 4 else ""
    return f"{', '.join(places[:4])}{more}"
