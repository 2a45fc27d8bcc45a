"""A portal whose orders are paid in the books of a billing system: what the books hold, and what is true of each order.

What is planted is which money came, went back or was credited for an invoice, which word the books give it, and how
the order's row stands; :func:`true_of_invoice` draws from that what is true, and asks no rule. An invoice that was made
to pay several others holds their money, and each of these is settled by credit, so the same money stands twice in the
books and counts once. Gateways take fees, which are the portal's affair and not the buyer's.
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
from recon.sources.recorded.format import RecordedWorld

RAIL: Final = "whmcs"
CURRENCY: Final = "USD"
_CONFIG: Final = f'\n[{RAIL}]\nzone = "UTC"\ncurrencies = ["{CURRENCY}", "EUR"]\n'
_NEVER: Final = "0000-00-00 00:00:00"

Link = Literal["own", "none", "gone", "shared"]
"""Which invoice a row names: its own, none, one that the books do not have, or one that another row names as well."""


@dataclass(frozen=True, slots=True)
class InvoiceCase:
    """One order as it was planted.

    Args:
        word: What the books call its invoice.
        moved: What came (and, negative, went back), in hundredths of what is asked.
        credit: What was settled from the client's credit, in hundredths.
        by_mass: Whether that credit came from an invoice that paid several.
        rate: Share of all orders.
    """

    name: str
    status: Literal["pending", "completed", "cancelled", "refunded"]
    word: str
    moved: tuple[int, ...] = ()
    credit: int = 0
    by_mass: bool = False
    link: Link = "own"
    currency: str = CURRENCY
    rate: float = 0.01


HEALTHY: Final = (
    InvoiceCase("paid and noted", "completed", "Paid", (100,), rate=0.5),
    InvoiceCase("paid in parts and noted", "completed", "Paid", (30, 70), rate=0.08),
    InvoiceCase("paid by credit and noted", "completed", "Paid", credit=100, rate=0.03),
    InvoiceCase("paid in part by credit and noted", "completed", "Paid", (60,), credit=40, rate=0.03),
    InvoiceCase("paid by mass payment and noted", "completed", "Paid", credit=100, by_mass=True, rate=0.05),
    InvoiceCase("too much came and went back", "completed", "Paid", (130, -30), rate=0.01),
    InvoiceCase("not paid yet", "pending", "Unpaid", rate=0.07),
    InvoiceCase("drafted", "pending", "Draft", rate=0.01),
    InvoiceCase("cancelled", "cancelled", "Cancelled", rate=0.03),
    InvoiceCase("refunded and noted", "refunded", "Refunded", (100, -100), rate=0.02),
)
BROKEN: Final = (
    InvoiceCase("paid and not noted", "pending", "Paid", (100,)),
    InvoiceCase("paid in parts and not noted", "pending", "Paid", (60, 40)),
    InvoiceCase("paid by credit and not noted", "pending", "Paid", credit=100),
    InvoiceCase("paid by mass payment and not noted", "pending", "Paid", credit=100, by_mass=True),
    InvoiceCase("cancelled here and paid there", "cancelled", "Paid", (100,)),
    InvoiceCase("a part is missing", "pending", "Unpaid", (70,)),
    InvoiceCase("a part is missing and it was noted", "completed", "Paid", (70,)),
    InvoiceCase("a part went back", "completed", "Paid", (100, -40)),
    InvoiceCase("charged twice", "completed", "Paid", (100, 100)),
    InvoiceCase("too much came", "completed", "Paid", (120,)),
    InvoiceCase("refunded and not noted", "completed", "Refunded", (100, -100)),
    InvoiceCase("noted as refunded and kept", "refunded", "Paid", (100,)),
    InvoiceCase("marked as paid by hand", "pending", "Paid"),
    InvoiceCase("marked as paid by hand and noted", "completed", "Paid"),
    InvoiceCase("noted and never paid", "completed", "Unpaid"),
    InvoiceCase("noted and sent to collections", "completed", "Collections"),
    InvoiceCase("noted and cancelled there", "completed", "Cancelled"),
    InvoiceCase("noted, and there is no such invoice", "completed", "", link="gone"),
    InvoiceCase("paid in full and called unpaid", "pending", "Unpaid", (100,)),
    InvoiceCase("at a gateway that has not answered", "pending", "Payment Pending"),
    InvoiceCase("billed in another currency", "pending", "Paid", (100,), currency="EUR"),
    InvoiceCase("without an invoice", "completed", "", link="none"),
    InvoiceCase("two orders of one invoice", "completed", "Paid", (100,), link="shared"),
)
"""Every way in which an order goes wrong, each as often as the others."""
INVOICE_CASES: Final[Sequence[InvoiceCase]] = (*HEALTHY, *BROKEN)


def true_of_invoice(affair: InvoiceCase) -> Verdict:
    """What is true of an order, from its money, the word of the books, and what its row says."""
    held = sum(affair.moved) + affair.credit
    if affair.link in ("none", "shared"):
        return Verdict.MISSING_REFERENCE if affair.link == "none" else Verdict.DUPLICATE_PROVIDER_KEY
    if _is_torn(affair, held):
        return Verdict.UNPROVEN
    if held >= 100:
        return _true_of_paid(affair.status, held)
    if held > 0:
        return Verdict.UNDERPAID
    if affair.word == "Paid":
        return Verdict.PROVIDER_AHEAD
    return _true_of_nothing(affair.status, went_back=bool(affair.moved))


def _is_torn(affair: InvoiceCase, held: int) -> bool:
    """Whether the books contradict themselves or the row, or do not know yet."""
    has_not_ended = affair.word == "Payment Pending"
    return has_not_ended or affair.currency != CURRENCY or (affair.word == "Unpaid" and held >= 100)


def _true_of_paid(status: str, held: int) -> Verdict:
    """What is true of an order whose money is all there."""
    agreed = Verdict.OVERPAID if held > 100 else Verdict.IN_SYNC
    due = {"pending": Verdict.LOCAL_BEHIND, "cancelled": Verdict.COORDINATOR_BLOCKED, "refunded": Verdict.REFUND_DRIFT}
    return due.get(status, agreed)


def _true_of_nothing(status: str, *, went_back: bool) -> Verdict:
    """What is true of an order for which the books hold nothing, because nothing came or all of it went back."""
    if status == "completed":
        return Verdict.REFUND_DRIFT if went_back else Verdict.LOCAL_AHEAD
    return Verdict.IN_TRANSIT if status == "pending" else Verdict.IN_SYNC


def invoice_world(payments: int, *, seed: int) -> World:
    """A week of so many orders; the same arguments give the same world, with every case in it from 100 on."""
    made = _Portal(random.Random(seed))  # noqa: S311 - a fixed sample
    chosen = list(INVOICE_CASES) if payments >= 100 else []
    more = max(0, payments - len(chosen))
    chosen += made.rng.choices(INVOICE_CASES, [each.rate for each in INVOICE_CASES], k=more)
    for affair in chosen[:payments]:
        made.plant(affair)
    recorded = RecordedWorld(
        now=NOW,
        seed=seed,
        collection_uuid=f"{seed & (2**64 - 1):016x}".rjust(32, "c"),
        payments=made.documents,
        said={RAIL: made.lines},
    )
    return World(recorded, tuple(sorted(made.truths, key=lambda truth: truth.payment_id)), config=_CONFIG)


@dataclass(slots=True)
class _Portal:
    """The portal's orders and the books in the making."""

    rng: random.Random
    documents: list[dict[str, Any]] = field(default_factory=list)
    lines: list[dict[str, Any]] = field(default_factory=list)
    truths: list[Truth] = field(default_factory=list)
    invoices: int = 0
    transactions: int = 0

    def plant(self, affair: InvoiceCase) -> None:
        """Make one order: its row (two where they share an invoice), its invoice, its money, and its truth."""
        made_at = NOW - timedelta(minutes=self.rng.randrange(60, 7 * 24 * 60 - 60))
        cents = self.rng.randrange(5, 900) * 100
        invoice_id = self.invoice(affair, cents, made_at=made_at)
        for _ in range(2 if affair.link == "shared" else 1):
            self.row(affair, cents, invoice_id=invoice_id, made_at=made_at)

    def row(self, affair: InvoiceCase, cents: int, *, invoice_id: int | None, made_at: datetime) -> None:
        """One row of the portal, and what is true of it."""
        from bson import Decimal128

        number = len(self.documents) + 1
        key = f"order-{number:06d}"
        self.documents.append(
            {
                "_id": key,
                "provider": RAIL,
                "direction": "in",
                "status": affair.status,
                "amount": {"amount": Decimal128(_amount(cents)), "currency": CURRENCY},
                **({} if invoice_id is None else {"metadata": {RAIL: {"invoiceId": invoice_id}}}),
                "createdAt": made_at + timedelta(seconds=number % 60),
                "updatedAt": made_at + timedelta(minutes=5),
            }
        )
        verdict = true_of_invoice(affair)
        is_due = verdict in (Verdict.LOCAL_BEHIND, Verdict.COORDINATOR_BLOCKED)
        sets: Mapping[str, Any] | None = {"status": "completed"} if is_due else None
        self.truths.append(Truth(key, verdict, (verdict,), sets, planted=affair.name))

    def invoice(self, affair: InvoiceCase, cents: int, *, made_at: datetime) -> int | None:
        """An invoice with its transactions; gives its number, None where the row names none."""
        if affair.link == "none":
            return None
        number = self._number()
        if affair.link == "gone":
            return number
        tax = cents // 11 if self.rng.random() < 0.3 else 0
        credit = cents * affair.credit // 100
        self._listed(number, affair.word, made_at, subtotal=cents - tax, tax=tax, credit=credit, code=affair.currency)
        for place, share in enumerate(affair.moved):
            self._moved(number, cents * share // 100, at=made_at + timedelta(minutes=2 + place))
        if affair.by_mass:
            self._paid_for_several(credit, at=made_at)
        return number

    def _paid_for_several(self, cents: int, *, at: datetime) -> None:
        """The invoice that paid this one and another that no row of ours knows; it holds the money."""
        number, other = self._number(), self.rng.randrange(5, 900) * 100
        self._listed(number, "Paid", at, subtotal=cents + other, tax=0, credit=0)
        self._moved(number, cents + other, at=at)

    def _number(self) -> int:
        self.invoices += 1
        return self.invoices

    def _listed(
        self, number: int, word: str, at: datetime, *, subtotal: int, tax: int, credit: int, code: str = CURRENCY
    ) -> None:
        is_paid = word == "Paid"
        told = {
            "id": number, "userid": 1 + number % 40, "invoicenum": "", "date": f"{at:%Y-%m-%d}",
            "duedate": f"{at + timedelta(days=7):%Y-%m-%d}", "datepaid": _text(at) if is_paid else _NEVER,
            "last_capture_attempt": _NEVER, "subtotal": _amount(subtotal), "credit": _amount(credit),
            "tax": _amount(tax), "tax2": "0.00", "total": _amount(subtotal + tax - credit), "status": word,
            "paymentmethod": "stripe", "created_at": _text(at), "currencycode": code,
        }  # fmt: skip
        self.lines.append({"invoice": told})

    def _moved(self, invoice_id: int, cents: int, *, at: datetime) -> None:
        """One transaction: money in, of which the gateway keeps a fee, or money out."""
        self.transactions += 1
        came, went = max(cents, 0), max(-cents, 0)
        told = {
            "id": str(self.transactions), "userid": str(1 + invoice_id % 40), "currency": "0", "gateway": "stripe",
            "date": _text(at), "description": "Invoice Payment" if came else "Refund", "amountin": _amount(came),
            "fees": _amount(came * 29 // 1000), "amountout": _amount(went), "rate": "1.00000",
            "transid": f"ch_{self.rng.getrandbits(64):016x}", "invoiceid": str(invoice_id), "refundid": "0",
        }  # fmt: skip
        self.lines.append({"transaction": told})


def _amount(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02d}"


def _text(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}"
