"""Answers as SHKeeper would, from the lines of a recorded world.

Its lines are ``{"crypto": [names]}``, ``{"invoice": …}``, ``{"transaction": …}`` and ``{"payout": …}``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from recon.sources.recorded.faults import Faults
from recon.sources.recorded.world import readable

if TYPE_CHECKING:
    import httpx

    from recon.sources.recorded.faults import Handler
    from recon.sources.recorded.format import RecordedWorld

NAME: Final = "shkeeper"


def shkeeper_handler(world: RecordedWorld) -> Handler:
    """Answer as in this world: whole tables, and errors with HTTP 200, as the real one does."""
    with readable(f"{NAME}.ndjson"):
        api = _Api(world)
    return Faults(world.faults, NAME).around(api.answer)


class _Api:
    def __init__(self, world: RecordedWorld) -> None:
        lines = world.said.get(NAME, ())
        self._crypto = [str(name) for line in lines if "crypto" in line for name in line["crypto"]]
        self._invoices = [line["invoice"] for line in lines if "invoice" in line]
        self._transactions = [line["transaction"] for line in lines if "transaction" in line]
        self._payouts = [line["payout"] for line in lines if "payout" in line]
        self._by_external_id: dict[str, list[Mapping[str, Any]]] = {}
        for invoice in self._invoices:
            self._by_external_id.setdefault(str(invoice["external_id"]), []).append(invoice)

    def answer(self, request: httpx.Request) -> httpx.Response:
        import httpx

        parts = request.url.path.strip("/").split("/")
        if parts[:2] != ["api", "v1"] or request.method != "GET":
            return _unknown()
        if parts[2:] == ["crypto"]:
            listed = [{"name": name, "display_name": name.replace("-", " ")} for name in self._crypto]
            return httpx.Response(200, json={"status": "success", "crypto": self._crypto, "crypto_list": listed})
        if not request.headers.get("x-shkeeper-api-key"):
            return httpx.Response(200, json={"status": "error", "message": "No API key"})
        if parts[3:] == ["payout", "status"]:
            return self._payout(parts[2], request.url.params.get("external_id"))
        return self._table([unquote(part) for part in parts[2:]])

    def _table(self, parts: list[str]) -> httpx.Response:
        match parts:
            case ["invoices"]:
                return self._success("invoices", self._invoices)
            case ["invoices", external_id]:
                return self._success("invoices", self._by_external_id.get(external_id, []))
            case ["transactions"]:
                return self._success("transactions", self._transactions)
            case ["transactions", crypto, address]:
                rows = [t for t in self._transactions if t["crypto"] == crypto and t["addr"] == address]
                return self._success("transactions", rows)
            case ["tx-info", txid, external_id]:
                return self._info(txid, external_id)
        return _unknown()

    @staticmethod
    def _success(name: str, rows: Sequence[Mapping[str, Any]]) -> httpx.Response:
        import httpx

        return httpx.Response(200, json={"status": "success", name: list(rows)})

    def _info(self, txid: str, external_id: str) -> httpx.Response:
        import httpx

        found = [t for i in self._by_external_id.get(external_id, []) for t in i["txs"] if t["txid"] == txid]
        info = {"crypto": found[0]["crypto"], "amount": found[0]["amount"], "addr": found[0]["addr"]} if found else {}
        return httpx.Response(200, json={"status": "success", "info": info})

    def _payout(self, crypto: str, external_id: str | None) -> httpx.Response:
        import httpx

        if not external_id:
            return httpx.Response(400, json={"error": "external_id is required"})
        for payout in self._payouts:
            if payout["crypto"] == crypto and str(payout["external_id"]) == external_id:
                return httpx.Response(200, json=payout)
        return httpx.Response(404, json={"error": "Payout not found"})


def _unknown() -> httpx.Response:
    import httpx

    return httpx.Response(404, json={"code": 404, "status": "Not Found"})
