"""Payment documents, plans over them, and the parts of an apply, every field defaulted."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from bson import ObjectId

from recon.core.ids import payment_id_text
from recon.core.model import Change, FieldChange, GuardTerm, Plan, Target, Tier, Verdict
from recon.core.values import ABSENT, STAMP, parents_of, to_extended, value_at
from recon.plans.file import change_id, seal_plan
from recon.plans.limits import Limits
from recon.runs.apply import ApplyOptions, RunReport, RunStoppedError, apply_plan, resume_run
from recon.runs.guard import GuardedUpdate, without_marks
from recon.runs.pace import RunHooks, RunPace
from recon.runs.states import RunSummary, list_runs
from recon.runs.stores.journal import Journal, MongoJournal
from recon.runs.stores.payments import MongoWriter, PaymentWriter

if TYPE_CHECKING:
    from pymongo.collection import Collection
    from pymongo.database import Database

Sent = tuple[int, dict[int, Exception]]
"""What a server says of one update command: how many rows matched, and the writes that it refused, by place."""

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
CREATED = datetime(2026, 11, 19, 8, 0, 0, 123000, tzinfo=UTC)
TOKEN = "0x8ac76a51cc950d9822d68b83fe1ad97b32cd580d"
HASH = "0x" + "ab" * 32
UNLIMITED = Limits(changes_max=1_000_000, share_max_percent=100)


def now() -> datetime:
    """A clock that stands still."""
    return NOW


def a_document(number: int, **given: Any) -> dict[str, Any]:
    """A pending payment as the backend stores it; ``ABSENT`` leaves a field out."""
    values: dict[str, Any] = {
        "_id": ObjectId(f"{number + 1:024x}"),
        "purchaseRequestId": f"template-checkout-{number}",
        "buyerId": ObjectId(f"{number + 5000:024x}"),
        "amount": {"amount": 12.5, "currency": "USDC"},
        "provider": "request.network",
        "direction": "in",
        "status": "pending",
        "blockchain": {"network": "bsc", "confirmations": 3},
        "metadata": {"requestId": f"01{number:064x}"},
        "createdAt": CREATED,
        "updatedAt": CREATED,
        "__v": 0,
    }
    return {key: value for key, value in {**values, **given}.items() if value is not ABSENT}


FIXED = {
    "status": "completed",
    "escrowState": "funded",
    "blockchain.transactionHash": HASH,
    "blockchain.confirmations": 12,
}
GUARDED = ("amount.amount", "amount.currency", "provider", "direction", "disputed")


def a_change(
    document: Mapping[str, Any],
    *,
    sets: Mapping[str, Any] | None = None,
    guarded: Iterable[str] = GUARDED,
    **given: Any,
) -> Change:
    """The change that makes a document what ``sets`` says, guarded on what it holds now."""
    wanted = dict(FIXED if sets is None else sets)
    payment = payment_id_text(document["_id"])
    fields = tuple(
        FieldChange(path, to_extended(value_at(document, path)), to_extended(value))
        for path, value in sorted(wanted.items())
    )
    paths = sorted({*wanted, *guarded})
    verdict = given.pop("verdict", Verdict.LOCAL_BEHIND)
    values: dict[str, Any] = {
        "id": change_id(payment, verdict, sets=fields),
        "payment_id": payment,
        "document_id": to_extended(document["_id"]),
        "verdict": verdict,
        "tier": Tier.AUTO,
        "sets": fields,
        "guard": tuple(GuardTerm(path, to_extended(value_at(document, path))) for path in paths),
        "parents": parents_of((*paths, STAMP)),
        "stamp_before": to_extended(value_at(document, STAMP)),
        "value_units": 125 * 10**17,
        "token": TOKEN,
        "symbol": "USDC",
        "decimals": 18,
        "chain_id": 56,
    }
    return Change(**{**values, **given})


def a_target(writer: PaymentWriter, **given: Any) -> Target:
    found = writer.identity()
    values: dict[str, Any] = {
        "name": "test", "hosts": found.hosts, "database": found.database, "collection": found.collection,
        "collection_uuid": found.collection_uuid, "chain_ids": (56,), "proxies": (), "provider_accounts": (),
    }  # fmt: skip
    return Target(**{**values, **given})


def a_plan(target: Target, changes: Sequence[Change], **given: Any) -> Plan:
    values: dict[str, Any] = {
        "kind": "correction",
        "tool_version": "0.1.0",
        "created_at": "2026-11-20T11:59:00.000Z",
        "expires_at": "2026-11-20T15:59:00.000Z",
        "target": target,
        "policy_digest": "p" * 64,
        "snapshot": "s" * 64,
        "window": {},
        "coverage": (),
        "summary": {"payments": 10 * max(1, len(changes)), "health": {"ok": True, "reasons": []}},
        "findings": (),
        "changes": tuple(changes),
        "left_alone": (),
    }
    return seal_plan(Plan(**{**values, **given}))


@dataclass
class World:
    """A collection of payments on a real server, with everything an apply needs."""

    database: Database[dict[str, Any]]
    writer: PaymentWriter
    journal: Journal
    target: Target
    before: list[dict[str, Any]]

    def plan(self, *, only: slice = slice(None), **given: Any) -> Plan:
        """The plan that completes the payments."""
        return a_plan(self.target, [a_change(document) for document in self.before[only]], **given)

    def options(self, **given: Any) -> ApplyOptions:
        pace = RunPace(**{k: given.pop(k) for k in list(given) if k in RunPace.__slots__})
        hooks = RunHooks(**{k: given.pop(k) for k in list(given) if k in RunHooks.__slots__})
        return ApplyOptions(**{"target": self.target, "limits": UNLIMITED, "pace": pace, "hooks": hooks, **given})

    def apply(self, plan: Plan, **given: Any) -> RunReport:
        clock = given.pop("clock", now)
        digest = given.pop("digest", plan.digest)
        return apply_plan(
            plan,
            digest=digest,
            writer=given.pop("writer", self.writer),
            journal=given.pop("journal", self.journal),
            clock=clock,
            options=self.options(**given),
        )

    def resume(self, plan: Plan, run: str, **given: Any) -> RunReport:
        clock = given.pop("clock", now)
        return resume_run(
            plan, run=run, writer=self.writer, journal=self.journal, clock=clock, options=self.options(**given)
        )

    def documents(self) -> list[dict[str, Any]]:
        """Everything that is stored, by id."""
        return list(self.database.payments.find().sort("_id", 1))

    def raw(self) -> dict[str, bytes]:
        """Every document's BSON, as an undo restores it."""
        return {str(d["_id"]): restored(d, first) for d, first in zip(self.documents(), self.before, strict=True)}

    def collection_hash(self) -> str:
        """A hash of every byte of every payment."""
        import bson

        return hashlib.sha256(b"".join(bson.encode(d) for d in self.documents())).hexdigest()


def restored(document: Mapping[str, Any], first: Mapping[str, Any]) -> bytes:
    """A document's bytes in the sense in which an undo brings it back to ``first``."""
    import bson

    return bson.encode(without_marks(document, created_metadata="metadata" not in first))


class SeenWriter(MongoWriter):
    """The real writer; just before a row is sent, alone or with others, ``sees`` is given its update."""

    def __init__(self, collection: Collection[dict[str, Any]], sees: Callable[[GuardedUpdate], object]) -> None:
        super().__init__(collection)
        self._sees = sees

    def _update(self, updates: Sequence[GuardedUpdate]) -> Sent:
        for each in updates:
            self._sees(each)
        return super()._update(updates)


def a_world(database: Database[dict[str, Any]], documents: Sequence[dict[str, Any]]) -> World:
    """Store documents and connect everything to them."""
    if documents:
        database.payments.insert_many([dict(document) for document in documents])
    else:
        database.create_collection("payments")
    return connect(database, documents)


def died_after_a_write(world: World, plan: Plan) -> RunSummary:
    """A run whose process ended after its first write and before the outcomes."""

    class DiedError(Exception):
        pass

    def step(name: str) -> None:
        if name == "store.write:after":
            raise DiedError

    with pytest.raises(DiedError):
        world.apply(plan, step=step, in_flight=1, canary_rows=0)
    return list_runs(world.journal)[0]


def connect(database: Database[dict[str, Any]], documents: Sequence[dict[str, Any]]) -> World:
    """Connect to a collection that already holds the documents, or held them before a run."""
    writer = MongoWriter(database.payments)
    return World(database, writer, MongoJournal(database), a_target(writer), list(documents))


def some_documents(count: int, **given: Any) -> list[dict[str, Any]]:
    return [a_document(number, **given) for number in range(count)]


def later(plan: Plan, **by: float) -> datetime:
    """A time so much after the plan was made."""
    return datetime.fromisoformat(plan.created_at.replace("Z", "+00:00")) + timedelta(**by)


def resealed(plan: Plan, **given: Any) -> Plan:
    return seal_plan(replace(plan, **given))


def stopped_report(call: Callable[[], RunReport], why: str) -> RunReport:
    """What a run that has to stop, for a reason in these words, leaves in its report."""
    import re

    try:
        report = call()
    except RunStoppedError as error:
        assert re.search(why, str(error)), str(error)
        return error.report
    raise AssertionError(f"the run did not stop: {report.counts}")
