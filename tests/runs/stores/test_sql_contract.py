"""SQLite and PostgreSQL keep the promises of a store, with a column for each field and with one for all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from recon.core.errors import SourceError
from recon.plans.shelf import ShelfError
from recon.runs.stores.sql.decisions import SqlShelf
from recon.testing import check_decisions, check_store
from tests.support.sql_stores import AS_DOCUMENT, BY_COLUMNS, SqlPlace, sqlite_place

LAYOUTS = {"columns": BY_COLUMNS, "document": AS_DOCUMENT}


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=LAYOUTS)
def place(request: pytest.FixtureRequest, kind: str, tmp_path: Path) -> Iterator[SqlPlace]:
    section = LAYOUTS[request.param]
    found = sqlite_place(tmp_path, section) if kind == "sqlite" else request.getfixturevalue("postgres_at")(section)
    yield found
    found.close()


def test_a_sql_store_keeps_its_promises(place: SqlPlace) -> None:
    check_store(place.open_writer, open_reader=place.store)


def test_a_sql_database_keeps_decisions_as_it_promises(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    is_file = kind == "sqlite"
    place = sqlite_place(tmp_path) if is_file else request.getfixturevalue("postgres_at")()
    check_decisions(lambda: SqlShelf(place.database))
    place.close()


def test_decisions_that_nobody_kept_are_none_and_a_file_that_is_no_database_is_one_sentence(tmp_path: Path) -> None:
    place = sqlite_place(tmp_path)
    shelf = SqlShelf(place.database)
    assert list(shelf.records("approve-")) == []
    shelf.drop_author("0" * 64)
    assert shelf.add([("approve-a", b"one"), ("approve-a", b"two")]) == ["approve-a", "approve-a-2"]
    assert [data for _, data in shelf.records("approve-a")] == [b"one", b"two"]
    place.close()
    for file in tmp_path.rglob("*"):
        if file.is_file():
            file.write_bytes(b"this is no database of any kind, whatever its name says " * 99)
    with pytest.raises(SourceError, match="nothing was written"):
        shelf.add([("approve-b", b"three")])
    with pytest.raises(ShelfError, match="what was decided is not known"):
        list(shelf.records("approve-a"))
