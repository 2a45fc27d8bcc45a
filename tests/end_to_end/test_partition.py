"""A primary that is cut off and does not know it: what became of a write is not asked of it plainly."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from pymongo import WriteConcern
from pymongo.errors import PyMongoError
from pymongo.read_concern import ReadConcern

from recon.core.values import STAMP, value_at
from recon.runs.guard import GuardedUpdate, ready_change
from recon.runs.states import Result, list_runs
from recon.runs.stores import payments
from recon.runs.stores.payments import MongoWriter, WriteResult
from recon.runs.stores.retry import Retry, StoreGoneError
from recon.runs.writing import settled_row
from tests.support.applying import a_world, connect, some_documents
from tests.support.partition import Partition, wait_until

if TYPE_CHECKING:
    from pymongo import MongoClient

    Client = MongoClient[dict[str, Any]]


@pytest.fixture
def partition() -> Iterator[Partition]:
    made = Partition()
    yield made
    made.stop()


class Gone(BaseException):
    """The process that applies is gone."""


class Sender(MongoWriter):
    """Keeps the updates that it was given, and dies before the second one is sent."""

    sent: list[GuardedUpdate]

    def write(self, update: GuardedUpdate) -> WriteResult:
        self.sent.append(update)
        if len(self.sent) == 2:
            raise Gone
        return WriteResult(1)


def stamps(documents: Any) -> list[bool]:
    return [isinstance(value_at(document, STAMP), str) for document in sorted(documents, key=lambda d: d["_id"])]


def test_a_plain_read_at_a_primary_that_was_cut_off_would_have_been_wrong(
    partition: Partition, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One write reached the new primary and lasts; the other one only the old primary, where it is rolled back."""
    monkeypatch.setattr(payments, "_CONFIRMED_MS", 500)
    with partition.client(0) as old, partition.client(1) as new:
        world = a_world(old["shop"], some_documents(2))
        plan, sender = world.plan(), Sender(old["shop"].payments)
        sender.sent = []
        with pytest.raises(Gone):
            world.apply(plan, writer=sender, in_flight=1, canary_rows=0, group_size=2)
        lasting, lost = sender.sent

        partition.cut_off(0)
        partition.step_up(1)
        assert MongoWriter(new["shop"].payments).write(lasting).matched == 1
        lone = old["shop"].payments.with_options(write_concern=WriteConcern(w=1))
        change = {"$set": dict(lost.sets)}
        assert lone.update_one(dict(lost.filter), change).matched_count == 1

        assert partition.is_primary(0), "it does not know yet"
        by_id = {"_id": {"$in": [lasting.document_id, lost.document_id]}}
        plain = list(old["shop"].payments.find(by_id))
        majority = list(old["shop"].payments.with_options(read_concern=ReadConcern("majority")).find(by_id))
        assert stamps(plain) == [False, True], "wrong twice: one is written, the other one never was"
        assert stamps(majority) == [False, False], "wrong once: a majority as the old primary last knew it"
        impatient = MongoWriter(old["shop"].payments, retry=Retry(retry_s=1.0))
        with pytest.raises(StoreGoneError):
            impatient.read_confirmed([lasting.document_id, lost.document_id])
        assert partition.is_primary(0), "all of this was seen while it held itself for the primary"

        run = list_runs(connect(new["shop"], []).journal)[0].run
        ready = [ready_change(change, kind=plan.kind) for change in plan.changes]
        shown = {document["_id"]: document for document in plain}
        told = [settled_row(each, shown[each.document_id], stamp=f"{run}/{each.id}").result for each in ready]
        assert told == [Result.NOT_REACHED, Result.APPLIED], "what a plain read would have put into the journal"

        resumed = connect(new["shop"], world.before)
        assert resumed.resume(plan, run, canary_rows=0).counts == {Result.APPLIED: 2}
        settled = [
            entry.note.body["result"] for entry in resumed.journal.entries(run=run) if entry.note.body.get("settled")
        ]
        assert settled == ["applied", "not_reached"]
        assert stamps(resumed.documents()) == [True, True]
        partition.heal()
        wait_until(lambda: _shows(old, resumed.documents()))


def _shows(client: Client, documents: list[dict[str, Any]]) -> bool:
    """Whether a member holds exactly these, after it has taken back what no majority knew."""
    try:
        found = list(client["shop"].payments.find().sort("_id", 1))
    except PyMongoError:
        return False
    return found == documents and all(value_at(document, STAMP) for document in found)
