"""Answers as Request Network would, from the lines of a recorded world.

Its lines are ``{"request": body of GET /v2/request/{id}}`` and ``{"payment": row of GET /v2/payments}``.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from recon.sources.recorded.faults import Faults
from recon.sources.recorded.world import readable

if TYPE_CHECKING:
    import httpx

    from recon.sources.recorded.faults import Handler
    from recon.sources.recorded.format import RecordedWorld

NAME: Final = "request_network"
PAGE_DEFAULT: Final = 20
PAGE_MAX: Final = 100


def request_network_handler(world: RecordedWorld) -> Handler:
    """Answer as in this world: ``/v2/payments``, ``/v2/request/{id}``, ``/v1/request/{reference}``."""
    with readable(f"{NAME}.ndjson"):
        api = _Api(world)
    return Faults(world.faults, NAME).around(api.answer)


class _Api:
    _FILTERS = (
        "txHash", "walletAddress", "paymentReference", "requestId", "reference", "type", "invoiceCurrency",
        "paymentCurrency",
    )  # fmt: skip

    def __init__(self, world: RecordedWorld) -> None:
        self._world = world
        lines = world.said.get(NAME, ())
        requests = [line["request"] for line in lines if "request" in line]
        self._requests = {str(body["requestId"]).lower(): body for body in requests}
        self._references = {_bare(body.get("paymentReference")): body for body in requests}
        payments = [line["payment"] for line in lines if "payment" in line]
        self._payments = sorted(payments, key=lambda row: (row["timestamp"], row["id"]), reverse=True)
        # A look-up asks for the payments of one request: looking through every row each time would take a world of
        # 100,000 payments as long as all its other reading together.
        self._of_request: dict[str, list[Mapping[str, Any]]] = {}
        for row in self._payments:
            self._of_request.setdefault(str((row.get("request") or {}).get("requestId")).lower(), []).append(row)
        self._wallets: dict[str, set[str]] | None = None
        self._last: tuple[tuple[tuple[str, str], ...], list[Mapping[str, Any]]] | None = None

    def answer(self, request: httpx.Request) -> httpx.Response:
        import httpx

        path = request.url.path
        if request.method != "GET":
            return _error(404, f"Cannot {request.method} {path}", "Not Found")
        if path == "/v2/payments":
            return self._list(dict(request.url.params))
        version, _, key = path.removeprefix("/").partition("/request/")
        if version in ("v1", "v2") and key and "/" not in key:
            known = self._requests if version == "v2" else self._references
            body = known.get(unquote(key).lower() if version == "v2" else _bare(unquote(key)))
            if body is None:
                return _error(404, "Request not found", "Not Found")
            short = ("hasBeenPaid", "paymentReference", "requestId", "isListening", "txHash")
            return httpx.Response(200, json=body if version == "v2" else {name: body.get(name) for name in short})
        return _error(404, f"Cannot GET {path}", "Not Found")

    def _list(self, params: dict[str, str]) -> httpx.Response:
        import httpx

        if not any(params.get(name) for name in self._FILTERS):
            field_error = {"field": "txHash", "message": f"At least one of {', '.join(self._FILTERS)} is required"}
            return httpx.Response(400, json={"message": "Validation failed", "errors": [field_error]})
        limit, offset = params.get("limit", str(PAGE_DEFAULT)), params.get("offset", "0")
        if not (limit.isdecimal() and offset.isdecimal() and int(limit) > 0):
            issue = {"code": "invalid_string", "path": ["limit"], "message": "Expected a positive number"}
            return httpx.Response(400, json={"statusCode": 400, "message": [issue], "error": "Bad Request"})
        size, start = min(int(limit), PAGE_MAX), int(offset)
        rows = self._matching(tuple(sorted((k, v) for k, v in params.items() if k not in ("limit", "offset"))))
        page = {"total": len(rows), "limit": size, "offset": start, "hasMore": start + size < len(rows)}
        return httpx.Response(200, json={"payments": rows[start : start + size], "pagination": page})

    def _matching(self, asked: tuple[tuple[str, str], ...]) -> list[Mapping[str, Any]]:
        """The rows that a question is about; remembered while its pages are turned."""
        if self._last is None or self._last[0] != asked:
            params = dict(asked)
            wanted = params.get("requestId")
            rows = self._of_request.get(wanted.lower(), []) if wanted else self._payments
            self._last = (asked, [row for row in rows if self._fits(row, params)])
        return self._last[1]

    def _fits(self, row: Mapping[str, Any], params: Mapping[str, str]) -> bool:
        return _words_fit(row, params) and self._hashes_fit(row, params) and _date_fits(row, params)

    def _hashes_fit(self, row: Mapping[str, Any], params: Mapping[str, str]) -> bool:
        hashes = {str(row.get(name)).lower() for name in ("sourceTxHash", "destinationTxHash") if row.get(name)}
        tx_hash, wallet = params.get("txHash"), params.get("walletAddress")
        if tx_hash and tx_hash.lower() not in hashes:
            return False
        return not wallet or bool(hashes & self._hashes_of(wallet.lower()))

    def _hashes_of(self, address: str) -> set[str]:
        """Transactions in which an address sent or received; the rows themselves carry no address."""
        if self._wallets is None:
            self._wallets = {}
            for chain in self._world.chains.values():
                for log in chain.logs:
                    tx_hash = str(log["transactionHash"]).lower()
                    for word in (*log["topics"][1:], str(log["data"])[66:130]):
                        self._wallets.setdefault("0x" + str(word)[-40:].lower(), set()).add(tx_hash)
        return self._wallets.get(address, set())


def _words_fit(row: Mapping[str, Any], params: Mapping[str, str]) -> bool:
    """Whether every id, type and currency that was asked for is the row's own, in any case."""
    asked = row.get("request") or {}
    plain = {
        "requestId": asked.get("requestId"),
        "reference": asked.get("reference"),
        "type": row.get("type"),
        "invoiceCurrency": row.get("currency"),
        "paymentCurrency": row.get("paymentCurrency"),
    }
    for name, found in plain.items():
        wanted = params.get(name)
        if wanted and str(found).lower() != wanted.lower():
            return False
    reference = params.get("paymentReference")
    return not reference or _bare(reference) == _bare(asked.get("paymentReference"))


def _date_fits(row: Mapping[str, Any], params: Mapping[str, str]) -> bool:
    at = _instant(row["timestamp"])
    from_at, to_at = params.get("fromDate"), params.get("toDate")
    return (not from_at or at >= _instant(from_at)) and (not to_at or at <= _instant(to_at))


def _error(status: int, message: str, error: str) -> httpx.Response:
    import httpx

    return httpx.Response(status, json={"statusCode": status, "message": message, "error": error})


def _bare(reference: object) -> str:
    return str(reference).lower().removeprefix("0x")


def _instant(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(UTC)
    except ValueError:
        return datetime.fromtimestamp(0, UTC)
