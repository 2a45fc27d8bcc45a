"""A look-alike of WHMCS: its API over invoices and transactions, and the ways in which it is odd."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

import httpx

from recon.sources.providers.whmcs.recorded import WhmcsAnswers

Body = dict[str, Any]
Odd = Callable[[str, Body], Body | httpx.Response]


def invoice(number: int, **over: Any) -> Body:
    """An unpaid invoice of 100.00 USD, as GetInvoices gives it."""
    return {
        "id": number, "userid": 3, "invoicenum": "", "date": "2026-11-19", "duedate": "2026-11-26",
        "datepaid": "0000-00-00 00:00:00", "last_capture_attempt": "0000-00-00 00:00:00", "subtotal": "100.00",
        "credit": "0.00", "tax": "0.00", "tax2": "0.00", "total": "100.00", "status": "Unpaid",
        "paymentmethod": "stripe", "created_at": "2026-11-19 14:06:34", "currencycode": "USD", **over,
    }  # fmt: skip


def transaction(number: int, invoice_id: int, amount: str = "100.00", **over: Any) -> Body:
    """Money that came for an invoice."""
    return {
        "id": str(number), "userid": "3", "currency": "0", "gateway": "stripe", "date": "2026-11-19 15:00:00",
        "description": "Invoice Payment", "amountin": amount, "fees": "0.00", "amountout": "0.00", "rate": "1.00000",
        "transid": f"ch_{number}", "invoiceid": str(invoice_id), "refundid": "0", **over,
    }  # fmt: skip


class WhmcsServer:
    """The look-alike; what was asked of it stands in ``asked``, and ``odd`` may change an answer before it leaves."""

    def __init__(self, invoices: list[Body], transactions: list[Body] | None = None, *, odd: Odd | None = None) -> None:
        self.answers = WhmcsAnswers(invoices, transactions or [])
        self.odd = odd
        self.asked: list[dict[str, str]] = []
        self.urls: list[str] = []

    def handler(self, request: httpx.Request) -> httpx.Response:
        """Answer one form."""
        form = dict(parse_qsl(request.content.decode()))
        self.asked.append(form)
        self.urls.append(str(request.url))
        given = self.answers.answer(request)
        if self.odd is None or "json" not in given.headers["content-type"]:
            return given
        changed = self.odd(form["action"], given.json())
        return changed if isinstance(changed, httpx.Response) else httpx.Response(given.status_code, json=changed)
