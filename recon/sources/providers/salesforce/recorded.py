"""Answers as Salesforce would, from the lines of a recorded world: ``{"order": the record of one order}``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

from recon.sources.providers.claims import parse_ms
from recon.sources.recorded.faults import Faults
from recon.sources.recorded.world import readable

if TYPE_CHECKING:
    import httpx

    from recon.sources.recorded.faults import Handler
    from recon.sources.recorded.format import RecordedWorld

NAME: Final = "salesforce"
PAGE_ROWS: Final = 2_000
TOKEN: Final = "recorded-token"  # noqa: S105 - no secret
_WINDOW: Final = re.compile(r" WHERE CreatedDate >= (\S+) AND CreatedDate < (\S+) ORDER BY CreatedDate, Id\Z")
_IDS: Final = re.compile(r" WHERE Id IN \(([^)]*)\)\Z")


def salesforce_handler(world: RecordedWorld) -> Handler:
    """Answer as in this world."""
    with readable(f"{NAME}.ndjson"):
        api = SalesforceAnswers([line["order"] for line in world.said.get(NAME, ()) if "order" in line])
    return Faults(world.faults, NAME).around(api.answer)


class SalesforceAnswers:
    """The API over orders that are given, with their whole ids; an order that is given twice is one."""

    def __init__(self, orders: list[dict[str, Any]], *, page_rows: int = PAGE_ROWS) -> None:
        self.orders = orders
        self.token = TOKEN
        self._page_rows = page_rows
        self._indexed = -1
        self._by_id: dict[str, dict[str, Any]] = {}
        self._lists: dict[str, tuple[list[dict[str, Any]], str]] = {}

    def answer(self, request: httpx.Request) -> httpx.Response:
        """Answer the form for a token, a query, or a further page of one."""
        import httpx

        path = request.url.path
        if path == "/services/oauth2/token":
            return self._given_token(dict(parse_qsl(request.content.decode("utf-8", "replace"))))
        if request.headers.get("authorization") != f"Bearer {self.token}":
            return error_answer(401, "INVALID_SESSION_ID", message="Session expired or invalid")
        _, _, name = path.partition("/queryAll")
        if "/queryAll" not in path:
            _, _, name = path.partition("/query")
        if name.strip("/"):
            return self._page(name.strip("/"))
        found = self._asked(query := str(request.url.params.get("q", "")))
        if found is None:
            return error_answer(400, "MALFORMED_QUERY", message=f"unexpected token in {query[:80]}")
        key = f"01g{len(self._lists):012d}"
        self._lists[key] = found, query
        return httpx.Response(200, json=self._told(key, 0))

    def _given_token(self, form: dict[str, str]) -> httpx.Response:
        import httpx

        has_own = form.get("client_id") and (form.get("client_secret") or form.get("refresh_token"))
        if not (has_own or form.get("assertion")):
            return httpx.Response(400, json={"error": "invalid_client", "error_description": "invalid client"})
        return httpx.Response(200, json={"access_token": self.token, "token_type": "Bearer"})

    def _page(self, locator: str) -> httpx.Response:
        import httpx

        key, _, start = locator.partition("-")
        if key not in self._lists or not start.isdigit():
            return error_answer(400, "INVALID_QUERY_LOCATOR", message="invalid query locator")
        return httpx.Response(200, json=self._told(key, int(start)))

    def _told(self, key: str, start: int) -> dict[str, Any]:
        found, _ = self._lists[key]
        page, end = found[start : start + self._page_rows], start + self._page_rows
        body: dict[str, Any] = {"totalSize": len(found), "done": end >= len(found), "records": page}
        if not body["done"]:
            body["nextRecordsUrl"] = f"/services/data/v62.0/query/{key}-{end}"
        return body

    def _asked(self, query: str) -> list[dict[str, Any]] | None:
        """The orders of a query; None where it is none of those that recon asks."""
        self._index()
        if " LIMIT 1" in query:
            return list(self._by_id.values())[:1]
        if ids := _IDS.search(query):
            names = [name.strip().strip("'") for name in ids[1].split(",")]
            return [self._by_id[name] for name in names if name in self._by_id]
        window = _WINDOW.search(query)
        return None if window is None else self._made(parse_ms(window[1]) or 0, parse_ms(window[2]) or 0)

    def _made(self, begin: int, end: int) -> list[dict[str, Any]]:
        """The orders that were made between two moments."""
        dated = [(parse_ms(order.get("CreatedDate")), order) for order in self._by_id.values()]
        return [order for made, order in dated if made is not None and begin <= made < end]

    def _index(self) -> None:
        if self._indexed != len(self.orders):
            self._indexed = len(self.orders)
            self._by_id = {str(order["Id"]): order for order in reversed(self.orders)}


def error_answer(status: int, code: str, *, message: str) -> httpx.Response:
    """An error as Salesforce tells it: a list."""
    import httpx

    return httpx.Response(status, json=[{"message": message, "errorCode": code}])
