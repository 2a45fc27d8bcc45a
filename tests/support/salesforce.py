"""A look-alike of Salesforce: tokens and queries over orders, and the ways in which it is odd."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx

from recon.sources.providers.salesforce.orders import whole_id
from recon.sources.providers.salesforce.recorded import SalesforceAnswers

Body = dict[str, Any]
Odd = Callable[[str, Any], Any]


def order_id(number: int) -> str:
    """The whole id of an order."""
    return str(whole_id(f"8015g00000{number:05d}"))


def order(number: int, **over: Any) -> Body:
    """An approved order of 100.00 that is delivered, as the query API gives it."""
    return {
        "attributes": {"type": "Order", "url": f"/services/data/v62.0/sobjects/Order/{order_id(number)}"},
        "Id": order_id(number), "IsDeleted": False, "CreatedDate": "2026-11-19T14:06:34.000+0000",
        "Status": "Approved", "TotalAmount": 100.0, "Activation_Status__c": "Active",
        "Activation_Scheduled_At__c": None, **over,
    }  # fmt: skip


class SalesforceServer:
    """The look-alike; ``asked`` holds every path that was asked, and ``odd`` may change an answer before it leaves.

    ``odd`` is given the path and the parsed body, and gives a body, the text of one, or a whole response.
    """

    def __init__(self, orders: list[Body], *, odd: Odd | None = None, page_rows: int = 2_000) -> None:
        self.answers = SalesforceAnswers(orders, page_rows=page_rows)
        self.odd = odd
        self.asked: list[str] = []
        self.queries: list[str] = []
        self.methods: set[str] = set()
        self.usage: str | None = None

    def handler(self, request: httpx.Request) -> httpx.Response:
        """Answer one request."""
        self.asked.append(request.url.path)
        self.methods.add(f"{request.method} {request.url.path.split('/')[2]}")
        if query := request.url.params.get("q"):
            self.queries.append(query)
        given = self.answers.answer(request)
        if self.usage is not None:
            given.headers["Sforce-Limit-Info"] = self.usage
        if self.odd is None:
            return given
        changed = self.odd(request.url.path, given.json())
        if isinstance(changed, httpx.Response):
            return changed
        if isinstance(changed, str):
            return httpx.Response(given.status_code, text=changed, headers={"content-type": "application/json"})
        return httpx.Response(given.status_code, json=changed)
