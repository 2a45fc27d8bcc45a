"""A backend's own words in columns, and what is so of every row and stands in none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from recon.core.errors import ConfigError
from recon.core.times import EPOCH
from recon.core.values import STAMP
from recon.runs.guard import GuardedUpdate
from recon.sources.interface import Selection
from recon.sources.payments.sql.kinds import UnfitValueError, kind_in_words, kind_named
from recon.sources.payments.sql.mapping import ColumnClashError, ColumnPlace, RowMap
from recon.sources.payments.sql.section import SqlSection
from tests.support.sql_stores import SqlPlace, sqlite_place

SECTION = SqlSection(
    table="payments",
    columns={"blockchain.transactionHash": "tx_hash", "direction": "kind"},
    words={"status": {"confirmed": "completed"}, "kind": {"payment": "in", "bonus": "in", "payout": "out"}},
    constants={"provider": "acmepay", "amount.currency": "USDC"},
)
COLUMNS = "id TEXT PRIMARY KEY, status TEXT, kind TEXT, tx_hash TEXT"
TEXT = kind_named("text", zone=None)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[SqlPlace]:
    made = sqlite_place(tmp_path, SECTION)
    made.make(COLUMNS)
    rows = [("p1", "pending", "payment", None), ("p2", "confirmed", "payout", "0xab"), ("p3", "odd", "bonus", None)]
    made.run("INSERT INTO payments VALUES (?, ?, ?, ?)", rows)
    yield made
    made.close()


def test_words_are_read_as_what_they_mean_and_constants_stand_in_every_row(place: SqlPlace) -> None:
    found = {each["_id"]: each for batch in place.store().scan(Selection()) for each in batch}
    assert [found[name]["status"] for name in sorted(found)] == ["pending", "completed", "odd"]
    assert [found[name]["direction"] for name in sorted(found)] == ["in", "out", "in"]
    assert all(each["provider"] == "acmepay" and each["amount"] == {"currency": "USDC"} for each in found.values())


@pytest.mark.parametrize(
    ("wanted", "ids"),
    [(("completed",), {"p2"}), (("pending", "completed"), {"p1", "p2"}), (("odd",), {"p3"}), (("confirmed",), set())],
)
def test_a_selection_by_status_is_asked_in_the_backends_own_words(
    place: SqlPlace, wanted: tuple[str, ...], ids: set[str]
) -> None:
    store = place.store()
    selection = Selection(statuses=wanted)
    assert {each["_id"] for batch in store.scan(selection) for each in batch} == ids
    assert store.count(selection) == len(ids)


def an_update(payment: str, *, before: str, after: str, path: str = "status") -> GuardedUpdate:
    return GuardedUpdate(
        document_id=payment,
        filter={"_id": {"$eq": payment}, path: {"$eq": before}, "provider": {"$eq": "acmepay"}},
        sets={path: after, STAMP: "run/change"},
        unsets=(),
        before={},
        after={},
        parents={},
        at=EPOCH,
    )


def test_a_correction_is_written_in_the_backends_own_word_and_taken_back_in_it(place: SqlPlace) -> None:
    writer = place.writer()
    assert writer.write(an_update("p1", before="pending", after="completed")).matched == 1
    assert place.run("SELECT status FROM payments WHERE id = 'p1'") == [("confirmed",)]
    assert writer.write(an_update("p1", before="completed", after="pending")).matched == 1
    assert place.run("SELECT status FROM payments WHERE id = 'p1'") == [("pending",)]


def test_what_several_words_mean_is_not_written_and_a_constant_never_changes(place: SqlPlace) -> None:
    writer = place.writer()
    result = writer.write(an_update("p2", before="out", after="in", path="direction"))
    assert (result.matched, "kind" in (result.message or "")) == (0, True)
    result = writer.write(an_update("p2", before="acmepay", after="other", path="provider"))
    assert result.matched == 0
    assert writer.write(an_update("p2", before="pending", after="completed")).matched == 0
    assert place.run("SELECT status, kind FROM payments WHERE id = 'p2'") == [("confirmed", "payout")]


def test_a_word_that_means_another_is_not_written_as_itself() -> None:
    kind = kind_in_words(TEXT, {"confirmed": "completed"})
    assert kind.image("completed", None, column="status") == "confirmed"
    assert kind.image("failed", None, column="status") == "failed"
    with pytest.raises(UnfitValueError):
        kind.image("confirmed", None, column="status")


def test_a_constant_may_not_stand_where_a_column_does() -> None:
    with pytest.raises(ColumnClashError):
        RowMap((ColumnPlace("id", "_id", TEXT), ColumnPlace("p", "provider", TEXT)), constants={"provider": "x"})


def test_words_of_a_column_that_is_not_there_are_refused(place: SqlPlace) -> None:
    place.section = SECTION.model_copy(update={"words": {"nowhere": {"a": "b"}}})
    with pytest.raises(ConfigError, match="nowhere"):
        list(place.store(section=place.section).scan(Selection()))
