"""A portal whose orders stand in Salesforce as well: who approved them, and whether what was ordered is delivered.

What is planted is what was done with an order there, and how the portal's row stands; :func:`true_of_order` draws from
that what is true, and asks no rule. An order is no money: one that is delivered counts with its sum, any other with
nothing, and one with which the provider has to do the next step is stuck once half an hour is over.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from recon.core.model import Verdict
from recon.simulation.situation import Truth
from recon.simulation.stage import NOW
from recon.simulation.world import World
from recon.sources.providers.salesforce.orders import whole_id
from recon.sources.recorded.format import RecordedWorld

RAIL: Final = "salesforce"
CURRENCY: Final = "USD"
_CONFIG: Final = f'\n[{RAIL}]\ncurrencies = ["{CURRENCY}", "EUR"]\nerror_field = "Last_Error__c"\n'

Link = Literal["own", "none", "gone", "shared"]
"""Which order a row names: its own, none, one that is not there, or one that another row names as well."""


@dataclass(frozen=True, slots=True)
class OrderCase:
    """One order as it was planted.

    Args:
        word, delivery: What is said there of the order, and of what was ordered.
        share: The sum there, in hundredths of what the row says.
        is_young: Made ten minutes ago.
        rate: Share of all orders.
    """

    name: str
    status: Literal["pending", "completed", "cancelled"]
    word: str
    delivery: str | None = None
    share: int = 100
    error: str | None = None
    is_deleted: bool = False
    is_young: bool = False
    link: Link = "own"
    currency: str = CURRENCY
    rate: float = 0.012


HEALTHY: Final = (
    OrderCase("delivered and noted", "completed", "Approved", "Active", rate=0.6),
    OrderCase("in review for a moment", "pending", "Pending Review", is_young=True, rate=0.05),
    OrderCase("being delivered", "pending", "Approved", "Activating", is_young=True, rate=0.05),
    OrderCase("to be delivered next week", "pending", "Approved", "Scheduled", rate=0.02),
    OrderCase("drafted", "pending", "Draft", rate=0.02),
    OrderCase("cancelled", "cancelled", "Cancelled", rate=0.03),
)
BROKEN: Final = (
    OrderCase("delivered and not noted", "pending", "Approved", "Active"),
    OrderCase("stuck in review", "pending", "Pending Review"),
    OrderCase("approved and never begun", "pending", "Approved"),
    OrderCase("delivery never ends", "pending", "Approved", "Activating"),
    OrderCase("delivery failed", "pending", "Approved", "Failed", error="TIMEOUT"),
    OrderCase("cannot be billed", "pending", "Approved", "Activating", error="PAYMENT_METHOD_MISSING"),
    OrderCase("noted and never delivered", "completed", "Approved", "Activating"),
    OrderCase("noted and in review", "completed", "Pending Review"),
    OrderCase("noted and cancelled there", "completed", "Cancelled"),
    OrderCase("noted and deleted there", "completed", "Approved", is_deleted=True),
    OrderCase("noted, and there is no such order", "completed", "", link="gone"),
    OrderCase("cancelled here and delivered there", "cancelled", "Approved", "Active"),
    OrderCase("delivered for less", "completed", "Approved", "Active", share=70),
    OrderCase("delivered for more", "completed", "Approved", "Active", share=150),
    OrderCase("delivered and never approved", "pending", "Pending Review", "Active"),
    OrderCase("a word that nobody knows", "pending", "Approved", "Zugestellt"),
    OrderCase("ordered in another currency", "pending", "Approved", "Active", currency="EUR"),
    OrderCase("without an order", "completed", "", link="none"),
    OrderCase("two rows of one order", "completed", "Approved", "Active", link="shared"),
)
"""Every way in which an order goes wrong, each as often as the others."""
ORDER_CASES: Final[Sequence[OrderCase]] = (*HEALTHY, *BROKEN)


def true_of_order(affair: OrderCase) -> Verdict:
    """What is true of an order, from what was done with it and what its row says."""
    if affair.link in ("none", "shared"):
        return Verdict.MISSING_REFERENCE if affair.link == "none" else Verdict.DUPLICATE_PROVIDER_KEY
    if _is_torn(affair):
        return Verdict.UNPROVEN
    if affair.delivery == "Active":
        return _true_of_delivered(affair)
    if affair.status == "completed":
        return Verdict.LOCAL_AHEAD
    if affair.status == "cancelled":
        return Verdict.IN_SYNC
    waits_for_others = affair.word == "Draft" or affair.delivery == "Scheduled" or affair.is_young
    return Verdict.IN_TRANSIT if waits_for_others else Verdict.STUCK_PENDING


def _is_torn(affair: OrderCase) -> bool:
    """Whether what is said there contradicts itself or the row, or cannot be read."""
    contradicts = affair.delivery == "Active" and affair.word != "Approved"
    return contradicts or affair.delivery == "Zugestellt" or affair.currency != CURRENCY


def _true_of_delivered(affair: OrderCase) -> Verdict:
    if affair.share < 100:
        return Verdict.UNDERPAID
    agreed = Verdict.OVERPAID if affair.share > 100 else Verdict.IN_SYNC
    return {"pending": Verdict.LOCAL_BEHIND, "cancelled": Verdict.COORDINATOR_BLOCKED}.get(affair.status, agreed)


def order_world(payments: int, *, seed: int) -> World:
    """A week of so many orders; the same arguments give the same world, with every case in it from 100 on."""
    rng = random.Random(seed)  # noqa: S311 - a fixed sample
    chosen = list(ORDER_CASES) if payments >= 100 else []
    more = max(0, payments - len(chosen))
    chosen += rng.choices(ORDER_CASES, [each.rate for each in ORDER_CASES], k=more)
    return world_of_orders(chosen[:payments], seed=seed)


def world_of_orders(cases: Sequence[OrderCase], *, seed: int) -> World:
    """A week with these orders and no others."""
    made = _Orders(random.Random(seed))  # noqa: S311 - a fixed sample
    for affair in cases:
        made.plant(affair)
    recorded = RecordedWorld(
        now=NOW,
        seed=seed,
        collection_uuid=f"{seed & (2**64 - 1):016x}".rjust(32, "f"),
        payments=made.documents,
        said={RAIL: made.lines},
    )
    return World(recorded, tuple(sorted(made.truths, key=lambda truth: truth.payment_id)), config=_CONFIG)


@dataclass(slots=True)
class _Orders:
    """The portal's rows and the orders in the making."""

    rng: random.Random
    documents: list[dict[str, Any]] = field(default_factory=list)
    lines: list[dict[str, Any]] = field(default_factory=list)
    truths: list[Truth] = field(default_factory=list)

    def plant(self, affair: OrderCase) -> None:
        """Make one order: its row (two where they share it), what is there, and its truth."""
        minutes = 10 if affair.is_young else self.rng.randrange(60, 7 * 24 * 60 - 60)
        made_at, cents = NOW - timedelta(minutes=minutes), self.rng.randrange(5, 900) * 100
        order_id = str(whole_id(f"8015g0000{len(self.documents):06d}"))
        if affair.link in ("own", "shared"):
            self.lines.append({"order": _order(affair, order_id, cents * affair.share // 100, made_at=made_at)})
        for _ in range(2 if affair.link == "shared" else 1):
            self.row(affair, cents, order_id=order_id, made_at=made_at)

    def row(self, affair: OrderCase, cents: int, *, order_id: str, made_at: datetime) -> None:
        """One row of the portal, and what is true of it."""
        from bson import Decimal128

        key = f"order-{len(self.documents) + 1:06d}"
        self.documents.append(
            {
                "_id": key,
                "provider": RAIL,
                "direction": "in",
                "status": affair.status,
                "amount": {"amount": Decimal128(_amount(cents)), "currency": CURRENCY},
                **({} if affair.link == "none" else {"metadata": {RAIL: {"orderId": order_id}}}),
                "createdAt": made_at + timedelta(seconds=len(self.documents) % 60),
                "updatedAt": made_at + timedelta(minutes=5),
            }
        )
        verdict = true_of_order(affair)
        is_due = verdict in (Verdict.LOCAL_BEHIND, Verdict.COORDINATOR_BLOCKED)
        sets: Mapping[str, Any] | None = {"status": "completed"} if is_due else None
        self.truths.append(Truth(key, verdict, (verdict,), sets, planted=affair.name))


def _order(affair: OrderCase, order_id: str, cents: int, *, made_at: datetime) -> dict[str, Any]:
    """An order as the query API tells it; whole sums have a point, as doubles do."""
    later = f"{NOW + timedelta(days=7):%Y-%m-%dT%H:%M:%S}.000+0000" if affair.delivery == "Scheduled" else None
    return {
        "Id": order_id, "IsDeleted": affair.is_deleted, "CreatedDate": f"{made_at:%Y-%m-%dT%H:%M:%S}.000+0000",
        "Status": affair.word, "TotalAmount": cents / 100, "Activation_Status__c": affair.delivery,
        "Activation_Scheduled_At__c": later, "Last_Error__c": affair.error, "CurrencyIsoCode": affair.currency,
    }  # fmt: skip


def _amount(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02d}"
