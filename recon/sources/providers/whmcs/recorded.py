"""Answers as WHMCS would, from the lines of a recorded world.

Its lines are ``{"invoice": …}`` and ``{"transaction": …}``, each as the API gives it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

from recon.sources.recorded.faults import Faults
from recon.sources.recorded.world import readable

if TYPE_CHECKING:
    import httpx

    from recon.sources.recorded.faults import Handler
    from recon.sources.recorded.format import RecordedWorld

NAME: Final = "whmcs"


def whmcs_handler(world: RecordedWorld) -> Handler:
    """Answer as in this world."""
    with readable(f"{NAME}.ndjson"):
        lines = world.said.get(NAME, ())
        api = WhmcsAnswers(
            [line["invoice"] for line in lines if "invoice" in line],
            [line["transaction"] for line in lines if "transaction" in line],
        )
    return Faults(world.faults, NAME).around(api.answer)


class WhmcsAnswers:
    """The API over invoices and transactions that are given."""

    def __init__(self, invoices: list[dict[str, Any]], transactions: list[dict[str, Any]]) -> None:
        self.invoices, self.transactions = invoices, transactions
        self._indexed = -1
        self._by_id: dict[str, dict[str, Any]] = {}
        self._of_invoice: dict[str, list[dict[str, Any]]] = {}

    def answer(self, request: httpx.Request) -> httpx.Response:
        """Answer a form; without ``responsetype`` in another form than JSON, as the real one does."""
        import httpx

        form = dict(parse_qsl(request.content.decode("utf-8", "replace")))
        if form.get("responsetype") != "json":
            return httpx.Response(200, text="<?xml version='1.0'?><whmcsapi><result>success</result></whmcsapi>")
        if not form.get("identifier") or not form.get("secret"):
            return httpx.Response(403, json={"result": "error", "message": "Authentication Failed"})
        return httpx.Response(200, json=self.said(form))

    def said(self, form: dict[str, str]) -> dict[str, Any]:
        """The body of an answer."""
        match form.get("action"):
            case "GetInvoices":
                return self._list(form)
            case "GetTransactions":
                return {"result": "success", "totalresults": len(self.transactions), **_listed(self.transactions)}
            case "GetInvoice":
                return self._one(form.get("invoiceid", ""))
        return {"result": "error", "message": "Command Not Found"}

    def _list(self, form: dict[str, str]) -> dict[str, Any]:
        rows = sorted(self.invoices, key=lambda row: (str(row["date"]), int(row["id"])), reverse=True)
        start, count = int(form.get("limitstart", "0")), int(form.get("limitnum", "25"))
        page = rows[start : start + count]
        told = {"totalresults": len(rows), "startnumber": start, "numreturned": len(page)}
        return {"result": "success", **told, "invoices": {"invoice": page} if page else ""}

    def _one(self, invoice_id: str) -> dict[str, Any]:
        self._index()
        found = self._by_id.get(invoice_id)
        if found is None:
            return {"result": "error", "message": "Invoice ID Not Found"}
        own = self._of_invoice.get(invoice_id, [])
        return {"result": "success", **found, "invoiceid": found["id"], **_listed(own)}

    def _index(self) -> None:
        """Lay invoices and transactions out by the invoice's number, anew after some came."""
        size = len(self.invoices) + len(self.transactions)
        if self._indexed == size:
            return
        self._indexed, self._of_invoice = size, {}
        self._by_id = {str(row["id"]): row for row in reversed(self.invoices)}
        for row in self.transactions:
            self._of_invoice.setdefault(str(row["invoiceid"]), []).append(row)


def _listed(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {"transactions": {"transaction": rows} if rows else ""}
