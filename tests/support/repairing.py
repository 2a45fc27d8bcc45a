"""Plans of repairs over records on a real server, every field defaulted."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from bson import ObjectId

from recon.core.ids import payment_id_text
from recon.core.model import FieldChange, GuardTerm, Target
from recon.core.values import STAMP, to_extended, value_at
from recon.repairs.apply import RepairOptions, RepairPorts, RepairReport, apply_repair, resume_repair
from recon.repairs.deeds import Deed
from recon.repairs.plan import NamedCollection, RepairPlan, RepairRequest, make_repair_plan
from recon.repairs.undo import no_counter, plan_repair_undo
from recon.runs.pace import RunHooks
from recon.runs.stores.documents import MongoRecords, UniqueKey
from recon.runs.stores.journal import MongoJournal
from recon.runs.stores.payments import MongoWriter
from tests.support.applying import NOW, a_target, now

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pymongo.database import Database

REFERENCE = "a1b2c3d4e5f60718"


def a_row(number: int = 0, **given: Any) -> dict[str, Any]:
    """A payment that is not there, as a repair would put it."""
    values: dict[str, Any] = {
        "_id": ObjectId(f"{number + 0xABC0:024x}"),
        "buyerId": ObjectId(f"{number + 7000:024x}"),
        "amount": {"amount": "25", "currency": "USDC"},
        "provider": "request.network",
        "direction": "in",
        "status": "pending",
        "metadata": {"requestNetwork": {"paymentReference": REFERENCE}},
        "__v": 0,
    }
    return {**values, **given}


KEY = UniqueKey(("metadata.requestNetwork.paymentReference", "paymentReference"), (REFERENCE,))


def an_insert(document: Mapping[str, Any], **given: Any) -> Deed:
    values: dict[str, Any] = {
        "kind": "insert",
        "collection": "payments",
        "payment_id": payment_id_text(document["_id"]),
        "finding": "missing_local",
        "reason": "Money came and no row knows it.",
        "documents": (to_extended(document),),
        "times": ("createdAt", "updatedAt"),
        "unique": (KEY,),
    }
    return Deed(**{**values, **given})


def a_set(document: Mapping[str, Any], sets: Mapping[str, Any], *, guarded: tuple[str, ...] = (), **given: Any) -> Deed:
    values: dict[str, Any] = {
        "kind": "set",
        "collection": "payments",
        "payment_id": payment_id_text(document["_id"]),
        "finding": "hold",
        "reason": "Held while it is looked into.",
        "document_id": to_extended(document["_id"]),
        "sets": tuple(
            FieldChange(path, to_extended(value_at(document, path)), to_extended(value))
            for path, value in sorted(sets.items())
        ),
        "guard": tuple(GuardTerm(path, to_extended(value_at(document, path))) for path in sorted({*sets, *guarded})),
        "stamp_before": to_extended(value_at(document, STAMP)),
    }
    return Deed(**{**values, **given})


def some_entries(group: str = "g1", **given: Any) -> tuple[dict[str, Any], ...]:
    """Two ledger entries that keep the books at zero."""
    return tuple(
        {"_id": f"{group}-{side}", "account": side, "amount": amount, "group": group, **given}
        for side, amount in (("buyer", "-25"), ("seller", "25"))
    )


def an_append(*documents: Mapping[str, Any], **given: Any) -> Deed:
    values: dict[str, Any] = {
        "kind": "append",
        "collection": "ledger",
        "payment_id": "ledger:g1",
        "finding": "ledger_missing",
        "reason": "The pay-in was never booked.",
        "documents": tuple(map(to_extended, documents)),
        "times": ("createdAt",),
    }
    return Deed(**{**values, **given})


@dataclass
class Repairs:
    """A database with payments and a ledger, and everything that a repair needs."""

    database: Database[dict[str, Any]]
    target: Target = field(init=False)
    records: MongoRecords = field(init=False)
    journal: MongoJournal = field(init=False)

    def __post_init__(self) -> None:
        for name in ("payments", "ledger"):
            if name not in self.database.list_collection_names():
                self.database.create_collection(name)
        self.target = a_target(MongoWriter(self.database.payments))
        self.records, self.journal = MongoRecords(self.database), MongoJournal(self.database)

    @property
    def request(self) -> RepairRequest:
        return RepairRequest(now=NOW, author="ana", reason="case 7", target=self.target)

    @property
    def collections(self) -> list[NamedCollection]:
        return [NamedCollection(name, self.records.collection_uuid(name)) for name in ("payments", "ledger")]

    def plan(self, *deeds: Deed, kind: Any = "missing", **more: Any) -> RepairPlan:
        return make_repair_plan(kind, deeds, request=self.request, collections=self.collections, **more)

    @property
    def ports(self) -> RepairPorts:
        return RepairPorts(self.records, self.journal, now)

    def options(self, **given: Any) -> RepairOptions:
        hooks = RunHooks(**{name: given.pop(name) for name in list(given) if name in RunHooks.__slots__})
        return RepairOptions(**{"target": self.target, "operator": "ana", "hooks": hooks, **given})

    def apply(self, plan: RepairPlan, *, ports: RepairPorts | None = None, **given: Any) -> RepairReport:
        digest = given.pop("digest", plan.digest)
        return apply_repair(plan, ports or self.ports, digest=digest, options=self.options(**given))

    def resume(self, plan: RepairPlan, run: str, **given: Any) -> RepairReport:
        return resume_repair(plan, self.ports, run=run, options=self.options(**given))

    def undo(self, run: str, *, counter: Callable[..., Any] = no_counter) -> RepairPlan:
        return plan_repair_undo(self.journal, self.records, run=run, request=self.request, counter=counter)

    def payments(self) -> list[dict[str, Any]]:
        return list(self.database.payments.find().sort("_id", 1))

    def entries(self) -> list[dict[str, Any]]:
        return list(self.database.ledger.find().sort("_id", 1))


def changed(plan: RepairPlan, **given: Any) -> RepairPlan:
    """The plan with something else in it and its old digest."""
    return replace(plan, **given)
