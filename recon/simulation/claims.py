"""What the providers of a simulated world would answer about a payment, in the words and shapes of their APIs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from recon.core.money import format_units
from recon.simulation.documents import at
from recon.simulation.situation import RN
from recon.sources.recorded.world import FaultRule

if TYPE_CHECKING:
    from recon.simulation.canvas import Canvas
    from recon.simulation.case import Case, Sent

RN_NETWORKS: Final = {1: "mainnet", 56: "bsc", 137: "matic", 8453: "base", 42161: "arbitrum-one"}


def iso(milliseconds: int) -> str:
    """A time as both APIs write it."""
    return at(milliseconds).strftime("%Y-%m-%dT%H:%M:%S.") + f"{milliseconds % 1000:03d}Z"


def tell_claims(canvas: Canvas, case: Case) -> None:
    """Give the provider of a case what it would know, or what the situation makes it say."""
    says = case.situation.says
    if says == "silent":
        return
    _deliver(canvas, case)
    if case.rail == RN:
        if says != "not_found":
            _tell_request_network(canvas, case)
        if says == "failed":
            _break_lookup(canvas, case)
    elif case.situation.direction == "in":
        if says == "failed":
            path = f"/api/v1/invoices/{case.external_id}"
            body = {"status": "error", "message": "(sqlite3.OperationalError) database is locked", "traceback": "..."}
            canvas.faults.append(FaultRule("shkeeper", path, 200, body))
        elif says != "not_found":
            tell_invoice(canvas, case)
    elif says != "not_found":
        _tell_payout(canvas, case)


def _deliver(canvas: Canvas, case: Case) -> None:
    """What came to the backend's door: accepted where the row moved on, else refused, unanswered, or never sent."""
    took = case.document.get("status") not in ("pending", "processing")
    lost = not took and canvas.rng.random() < 0.3
    for sent in [] if lost else _seen(case):
        statuses = _answers(canvas, case, took=took)
        for attempt, status in enumerate(statuses):
            row = _delivery_row(canvas, case, sent, attempt=attempt, status=status)
            row["dead_letter"] = status == 404 and attempt == len(statuses) - 1
            row["origin"] = "ingress"
            canvas.deliveries.append(row)


def _answers(canvas: Canvas, case: Case, *, took: bool) -> list[int]:
    """How the backend answered each attempt to deliver."""
    if case.rail == RN:
        return [200] if took else canvas.rng.choice(([404] * 4, [500, 200], [202]))
    return [202] if took else [204, 204]


def _delivery_row(canvas: Canvas, case: Case, sent: Sent, *, attempt: int, status: int) -> dict[str, Any]:
    is_rn = case.rail == RN
    return {
        "delivery_id": "01K" + canvas.hex(12).upper()[:23],
        "provider": case.rail,
        "received_at": sent.at.time_ms + 4_000 + 5_000 * attempt,
        "attempt": attempt,
        "http_status": status,
        "event": "payment.confirmed" if is_rn else "invoice",
        "request_id": case.request_id if is_rn else None,
        "reference": case.reference if is_rn else None,
        "external_id": None if is_rn else case.external_id,
        "tx_hash": sent.at.tx_hash,
        "payload_digest": canvas.hex(32),
        "signature_valid": True,
    }


def _break_lookup(canvas: Canvas, case: Case) -> None:
    """An answer that is no answer: HTTP 400, by id and by reference, as a service does that cannot read its own row."""
    body = {"statusCode": 400, "message": "Could not resolve request", "error": "Bad Request"}
    for path in (
        f"/v2/request/{case.request_id}",
        f"/v1/request/0x{case.reference}",
        f"/v1/request/{case.reference}",
    ):
        canvas.faults.append(FaultRule("request_network", path, 400, body))


def _seen(case: Case) -> list[Sent]:
    """The legs a provider credits to this payment; nothing where the situation says that it saw nothing."""
    if case.situation.says in ("unpaid", "failed"):
        return []
    return [sent for sent in case.valid if case.rail != RN or sent.leg.via in (None, "proxy", "conversion")]


def human(case: Case, units: int) -> str:
    """Base units as a plain decimal of the payment's token."""
    return format_units(units, decimals=case.token.decimals)


@dataclass(frozen=True, slots=True)
class _Account:
    """What Request Network says that it knows of a request.

    Args:
        paid_units: What it counts as paid.
        hashes: Transactions that it names, in the order of the legs it saw.
        source: How it detected the payment.
    """

    status: str
    is_paid: bool
    paid_units: int
    hashes: list[str]
    source: str = "request-network"


def _account(canvas: Canvas, case: Case) -> _Account:
    """What it saw, or what the situation makes it say instead."""
    seen = _seen(case)
    paid = sum(sent.units for sent in seen)
    hashes = [sent.at.tx_hash for sent in seen]
    match case.situation.says:
        case "lifi":
            return _Account("paid", True, case.amount_units, ["0x" + canvas.hex(32)], "lifi")
        case "paid":
            return _Account("paid", True, case.amount_units, hashes)
        case "refunded":
            return _Account("refunded", paid >= case.amount_units, paid, hashes or ["0x" + canvas.hex(32)])
        case _:
            status = "paid" if paid >= case.amount_units else "partially_paid" if paid else "pending"
            return _Account(status, paid >= case.amount_units, paid, hashes)


def _tell_request_network(canvas: Canvas, case: Case) -> None:
    account = _account(canvas, case)
    canvas.requests.append({"request": _request_row(case, account)})
    _tell_payments(canvas, case, account)
    if case.situation.says == "refunded":
        _tell_refund(canvas, case)


def _request_row(case: Case, account: _Account) -> dict[str, Any]:
    paid, hashes = account.paid_units, account.hashes
    return {
        "requestId": case.request_id,
        "paymentReference": "0x" + case.reference,
        "hasBeenPaid": account.is_paid,
        "isListening": not account.is_paid,
        "txHash": hashes[-1] if hashes and account.is_paid else None,
        "status": account.status,
        "requestAmount": human(case, case.amount_units),
        "paidAmount": human(case, paid),
        "receivedAmount": human(case, paid),
        "excessAmount": human(case, max(0, paid - case.amount_units)),
        "detectionSource": account.source if paid else None,
        "note": "Delivered by the bridge without a proxy call" if account.source == "lifi" else None,
        "payerAddress": case.payer if paid else None,
        "payments": [],
        "customerInfo": None,
        "reference": None,
    }


def _tell_payments(canvas: Canvas, case: Case, account: _Account) -> None:
    """One row for each transaction that it names; one without a transaction where it says "paid" and names none."""
    seen = _seen(case)
    times = [sent.at.time_ms for sent in seen] or [case.created + 300_000]
    amounts = [sent.units for sent in seen] or [account.paid_units]
    if case.situation.says == "paid" and not account.hashes:
        moved = (None, account.paid_units, times[0])
        canvas.requests.append({"payment": _payment_row(canvas, case, moved, account.source)})
    for tx_hash, units, time_ms in zip(account.hashes, amounts, times, strict=False):
        row = _payment_row(canvas, case, (tx_hash, units, time_ms), account.source)
        row["request"]["hasBeenPaid"] = account.is_paid
        canvas.requests.append({"payment": row})


def _tell_refund(canvas: Canvas, case: Case) -> None:
    for sent in case.sent:
        if sent.leg.to == "payer":
            row = _payment_row(canvas, case, (sent.at.tx_hash, sent.units, sent.at.time_ms), "request-network")
            row["note"] = "refund"
            canvas.requests.append({"payment": row})


def _payment_row(canvas: Canvas, case: Case, moved: tuple[str | None, int, int], source: str) -> dict[str, Any]:
    tx_hash, units, time_ms = moved
    network = RN_NETWORKS[case.chain_id]
    symbol = case.token.symbol
    return {
        "id": "01J" + canvas.hex(12).upper()[:23],
        "amount": str(units) if canvas.rng.random() < 0.02 else human(case, units),
        "sourceNetwork": network,
        "destinationNetwork": network,
        "sourceTxHash": tx_hash,
        "destinationTxHash": tx_hash,
        "timestamp": iso(time_ms),
        "type": "crosschain" if source == "lifi" else "direct",
        "conversionRateSource": None,
        "conversionRateDestination": None,
        "convertedAmountSource": None,
        "convertedAmountDestination": None,
        "currency": symbol if canvas.rng.random() < 0.5 else f"{symbol}-{network}",
        "paymentCurrency": f"{symbol}-{network}",
        "fees": None,
        "recurringPaymentId": None,
        "rateProvider": None,
        "request": {
            "requestId": case.request_id,
            "paymentReference": "0x" + case.reference,
            "hasBeenPaid": True,
            "customerInfo": None,
            "reference": None,
        },
        "detectionSource": source,
        "note": None,
    }


def through_float(text: str) -> str:
    """A number as SHKeeper writes it: ten decimals, by way of a float, zeros cut."""
    return f"{float(text):.10f}".rstrip("0").rstrip(".")


def tell_invoice(canvas: Canvas, case: Case, *, address: str | None = None, sees: bool = True) -> dict[str, Any]:
    """Add a SHKeeper invoice and its transactions, and give it back for further changes.

    Args:
        address: Where it was to be paid; the case's own address unless said.
        sees: False where no money came to this invoice.
    """
    says = case.situation.says
    seen = _seen(case) if sees else []
    txs = [
        {
            "txid": sent.at.tx_hash,
            "addr": address or sent.recipient,
            "amount": through_float(human(case, sent.units)),
            "crypto": case.coin,
            "status": "CONFIRMED",
        }
        for sent in seen
    ]
    paid_units = sum(sent.units for sent in seen)
    if says in ("paid", "lifi"):
        paid_units = case.due_units
    invoice: dict[str, Any] = {
        "external_id": case.external_id,
        "fiat": "USD",
        "amount_fiat": through_float(f"{case.cents // 100}.{case.cents % 100:02d}"),
        "balance_fiat": through_float(human(case, paid_units)),
        "status": "REFUNDED" if says == "refunded" else invoice_status(paid_units, case.amount_units),
        "txs": txs,
    }
    canvas.invoices.append({"invoice": invoice})
    canvas.invoices.extend({"transaction": tx} for tx in txs)
    return invoice


def invoice_status(paid_units: int, amount_units: int) -> str:
    """SHKeeper's own judgement, by its default limits of 95 and 105 %."""
    if paid_units <= 0:
        return "UNPAID"
    if paid_units * 100 < amount_units * 95:
        return "PARTIAL"
    return "PAID" if paid_units * 100 < amount_units * 105 else "OVERPAID"


def _tell_payout(canvas: Canvas, case: Case) -> None:
    seen = _seen(case)
    done = bool(seen) and sum(sent.units for sent in seen) >= case.amount_units
    txids = [sent.at.tx_hash for sent in seen]
    canvas.invoices.append(
        {
            "payout": {
                "id": canvas.rng.randrange(1, 10**6),
                "external_id": case.external_id,
                "crypto": case.coin,
                "status": "SUCCESS" if done else "IN_PROGRESS",
                "amount": f"{case.cents // 100}.{case.cents % 100:02d}00000000",
                "destination": case.recipient,
                "txid": " ".join(txids) or None,
            }
        }
    )
    for sent in seen:
        row = {"txid": sent.at.tx_hash, "addr": case.recipient, "amount": through_float(human(case, sent.units))}
        canvas.invoices.append({"transaction": {**row, "crypto": case.coin, "status": "CONFIRMED"}})
