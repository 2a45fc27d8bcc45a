"""Several rows by one command: what becomes of each is what would have become of it alone."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from pymongo.errors import AutoReconnect, OperationFailure

from recon.core.values import STAMP, value_at
from recon.runs.guard import GuardedUpdate, guarded_update, ready_change
from recon.runs.states import Result, list_runs
from recon.runs.stores.payments import MongoWriter, WriteResult
from recon.runs.stores.retry import ReadOnlyCredentialError, Retry, StoreGoneError
from tests.support.applying import NOW, UNLIMITED, Sent, World, a_change, a_world, some_documents, stopped_report

if TYPE_CHECKING:
    from pymongo.collection import Collection
    from pymongo.database import Database

    Rows = Collection[dict[str, Any]]
    Store = Database[dict[str, Any]]

FOREIGN: dict[str, Callable[[Rows, Any], object]] = {
    "nothing": lambda rows, key: None,
    "a guarded field": lambda rows, key: rows.update_one({"_id": key}, {"$set": {"status": "failed"}}),
    "a fence": lambda rows, key: rows.update_one({"_id": key}, {"$inc": {"__v": 1}}),
    "another type": lambda rows, key: rows.update_one({"_id": key}, {"$set": {"amount.amount": "12.5"}}),
    "gone": lambda rows, key: rows.delete_one({"_id": key}),
    "another run": lambda rows, key: rows.update_one({"_id": key}, {"$set": {STAMP: "other/c"}}),
    "a clash": lambda rows, key: rows.update_one({"_id": key}, {"$set": {"clash": 1}}),
}
CHOSEN = ("nothing", "nothing", "nothing", *FOREIGN)


def updates_of(documents: Sequence[dict[str, Any]]) -> list[GuardedUpdate]:
    ready = [ready_change(a_change(document), kind="correction") for document in documents]
    return [
        guarded_update(each, document, stamp=f"run/{each.id}", at=NOW)
        for each, document in zip(ready, documents, strict=True)
    ]


def some_rows(rows: Rows, documents: Sequence[dict[str, Any]], moves: Sequence[str]) -> None:
    """Store payments of which some have moved since; of those that clash, only the first may be written."""
    rows.insert_many([dict(document) for document in documents])
    rows.create_index("status", unique=True, partialFilterExpression={"clash": 1, "status": "completed"})
    for document, move in zip(documents, moves, strict=True):
        FOREIGN[move](rows, document["_id"])


@pytest.mark.parametrize("seed", range(6))
def test_a_group_is_written_as_its_rows_would_be_one_by_one(mongo_database: Store, seed: int) -> None:
    chance = random.Random(seed)
    documents = some_documents(chance.randrange(1, 40))
    moves = [chance.choice(CHOSEN if seed else ("nothing",)) for _ in documents]
    updates = updates_of(documents)
    together, alone = mongo_database.together, mongo_database.alone
    for rows in (together, alone):
        some_rows(rows, documents, moves)
    found = MongoWriter(together).write_group(updates)
    assert found == [MongoWriter(alone).write(update) for update in updates]
    assert list(together.find(sort=[("_id", 1)])) == list(alone.find(sort=[("_id", 1)]))
    written = {document["_id"] for document in together.find() if str(value_at(document, STAMP)).startswith("run/")}
    assert written == {each.document_id for each, result in zip(updates, found, strict=True) if result.matched}


class Meddled(MongoWriter):
    """The real writer; between what the server did and what it is heard to say, ``after`` is called once."""

    def __init__(self, rows: Rows, after: Callable[[], object]) -> None:
        super().__init__(rows, retry=Retry(sleep=lambda _: None))
        self._after: Iterator[Callable[[], object]] = iter([after])

    def _update(self, updates: Sequence[GuardedUpdate]) -> Sent:
        found = super()._update(updates)
        next(self._after, lambda: None)()
        return found


def lost() -> None:
    raise AutoReconnect("connection reset")


def test_after_a_lost_answer_the_stamps_say_what_was_written(mongo_database: Store) -> None:
    documents, rows = some_documents(6), mongo_database.payments
    some_rows(rows, documents, ["nothing", "gone", "a guarded field", "nothing", "a fence", "nothing"])
    found = Meddled(rows, lost).write_group(updates_of(documents))
    assert [result.matched for result in found] == [1, 0, 0, 1, 0, 1]
    assert all(result.is_repeated for result in found)


@pytest.mark.parametrize("is_alone", [False, True])
def test_a_row_that_was_written_and_replaced_at_once_is_not_called_untouched(
    mongo_database: Store, is_alone: bool
) -> None:
    """The server counted it, and by the time we look a backend has saved the document whole, without our stamp."""
    documents, rows = some_documents(4), mongo_database.payments
    some_rows(rows, documents, ["nothing" if is_alone else "gone", "nothing", "nothing", "nothing"])
    writer = Meddled(rows, lambda: rows.replace_one({"_id": documents[1]["_id"]}, documents[1]))
    found = writer.write_group(updates_of(documents))
    if is_alone:
        assert found == [WriteResult(1)] * 4, "the server said that it wrote all of them"
    else:
        assert [result.matched for result in found] == [0, 0, 1, 1]
        assert found[1].is_repeated, "whoever asks again has to take it for possibly ours"


def test_a_row_that_no_message_can_hold_does_not_hold_up_the_others(mongo_database: Store) -> None:
    documents, rows = some_documents(4), mongo_database.payments
    some_rows(rows, documents, ["nothing"] * 4)
    updates = updates_of(documents)
    updates[2] = replace(updates[2], sets={**updates[2].sets, "note": "x" * 17_000_000})
    found = MongoWriter(rows).write_group(updates)
    assert [result.matched for result in found] == [1, 1, 0, 1]
    assert found[2].code is not None
    assert "DocumentTooLarge" in str(found[2].message)
    assert [STAMP.split(".")[1] in document["metadata"] for document in rows.find(sort=[("_id", 1)])] == [
        True, True, False, True,
    ]  # fmt: skip


def fails_once(code: int, index: int) -> Callable[..., Any]:
    """A server that carries out a command in part and says so of one write."""
    turn = iter([True])

    class Partly(MongoWriter):
        def _update(self, updates: Sequence[GuardedUpdate]) -> Sent:
            if not next(turn, False):
                return super()._update(updates)
            matched, failed = super()._update([each for place, each in enumerate(updates) if place != index])
            assert not failed
            if code == 112:
                raise OperationFailure("write conflict", code)
            return matched, {index: OperationFailure("duplicate key", code)}

    return Partly


def test_a_write_that_fails_for_a_passing_reason_is_asked_for_again_with_its_group(mongo_database: Store) -> None:
    documents, rows = some_documents(3), mongo_database.payments
    some_rows(rows, documents, ["nothing"] * 3)
    found = fails_once(112, 1)(rows, retry=Retry(sleep=lambda _: None)).write_group(updates_of(documents))
    assert [result.matched for result in found] == [1, 1, 1]


def test_a_write_that_the_server_refuses_stands_for_itself(mongo_database: Store) -> None:
    documents, rows = some_documents(3), mongo_database.payments
    some_rows(rows, documents, ["nothing"] * 3)
    found = fails_once(11000, 1)(rows).write_group(updates_of(documents))
    assert [(result.matched, result.code) for result in found] == [(1, None), (0, 11000), (1, None)]


# A run whose rows are written in groups


@pytest.fixture
def world(mongo_database: Store) -> World:
    return a_world(mongo_database, some_documents(20))


class DiedError(Exception):
    pass


@pytest.mark.parametrize("reached", [0, 1, 3, 5])
def test_a_run_that_dies_with_part_of_a_group_written_is_taken_up_exactly(world: World, reached: int) -> None:
    class Dying(MongoWriter):
        def _update(self, updates: Sequence[GuardedUpdate]) -> Sent:
            if reached:
                super()._update(updates[:reached])
            raise DiedError

    plan = world.plan()
    with pytest.raises(DiedError):
        world.apply(plan, writer=Dying(world.database.payments), in_flight=10, canary_rows=0, group_size=5)
    run = list_runs(world.journal)[0].run
    written = {document["_id"] for document in world.documents() if "recon" in document["metadata"]}
    assert len(written) in {reached, 2 * reached, 3 * reached}, "the groups that were under way when it died"
    at = {document["_id"]: document["updatedAt"] for document in world.documents() if document["_id"] in written}
    assert world.resume(plan, run).counts == {Result.APPLIED: 20}
    assert {d["_id"]: d["updatedAt"] for d in world.documents() if d["_id"] in written} == at, "none is written twice"


def test_a_group_whose_majority_nobody_confirmed_is_open_as_a_whole(world: World) -> None:
    class Unsure(MongoWriter):
        def _update(self, updates: Sequence[GuardedUpdate]) -> Sent:
            super()._update(updates)
            raise StoreGoneError(what="a guarded write", tried_s=0, cause="WriteConcernError")

    plan = world.plan()
    report = stopped_report(
        lambda: world.apply(plan, writer=Unsure(world.database.payments), in_flight=8, canary_rows=0, group_size=4),
        "no usable answer to a guarded",
    )
    assert report.counts[Result.OPEN] in {4, 8}
    assert Result.APPLIED not in report.counts
    assert world.resume(plan, str(report.run)).counts == {Result.APPLIED: 20}


def test_a_credential_that_is_taken_away_stops_the_run_and_leaves_its_group_open(world: World) -> None:
    class Revoked(MongoWriter):
        is_revoked = False

        def _update(self, updates: Sequence[GuardedUpdate]) -> Sent:
            if self.is_revoked:
                raise ReadOnlyCredentialError(collection="payments", what="update records")
            self.is_revoked = len(updates) > 1
            return super()._update(updates)

    plan = world.plan()
    report = stopped_report(
        lambda: world.apply(plan, writer=Revoked(world.database.payments), in_flight=8, canary_rows=0, group_size=4),
        "began to refuse the run",
    )
    assert report.counts[Result.APPLIED] == 4
    assert world.resume(plan, str(report.run)).counts == {Result.APPLIED: 20}


def test_no_more_rows_are_in_flight_than_may_be(world: World) -> None:
    sizes: list[int] = []

    class Counting(MongoWriter):
        def _update(self, updates: Sequence[GuardedUpdate]) -> Sent:
            sizes.append(len(updates))
            return super()._update(updates)

    for in_flight, most in ((1, 1), (2, 1), (7, 4), (50, 20)):
        fresh = a_world(world.database.client[f"{world.database.name}_{in_flight}"], some_documents(20))
        sizes.clear()
        writer = Counting(fresh.database.payments)
        report = fresh.apply(fresh.plan(), writer=writer, limits=UNLIMITED, in_flight=in_flight, canary_rows=0)
        assert report.counts == {Result.APPLIED: 20}
        assert (max(sizes), sum(sizes)) == (most, 20)
        fresh.database.client.drop_database(fresh.database.name)
