"""Request Network and SHKeeper as their facts describe them, to be asked over a real socket or in memory.

Everything is a plain handler from ``httpx.Request`` to ``httpx.Response``. :func:`with_faults` makes any handler sick
by a seeded schedule, :func:`serve` puts it behind a real HTTP server on a free loopback port, :func:`in_memory` behind
an ``httpx`` transport. How an answer leaves the wire is said in its ``extensions``: ``wait_s`` (seconds before it),
``cut`` (bytes after which the connection is closed), ``drip_s`` and ``slow_head_s`` (seconds between the bytes of the
body, of the headers).
"""

from __future__ import annotations

import contextlib
import http.server
import json
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx

Handler = Callable[[httpx.Request], httpx.Response]

PAYLOADS = Path(__file__).parent / "payloads"


def payload(provider: str, name: str) -> Any:
    """An answer as the provider gives it, from ``tests/support/payloads``; text where it is no JSON."""
    path = PAYLOADS / provider / name
    text = path.read_text(encoding="utf-8")
    return json.loads(text) if path.suffix == ".json" else text


@dataclass
class Calls:
    """What was asked, in order."""

    paths: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def wrap(self, handler: Handler) -> Handler:
        """The same handler, its calls written down."""

        def noted(request: httpx.Request) -> httpx.Response:
            with self.lock:
                self.paths.append(request.url.raw_path.decode())
            return handler(request)

        return noted

    def to(self, prefix: str) -> int:
        """How many calls went to paths that begin so."""
        return sum(path.startswith(prefix) for path in self.paths)


# --- Request Network -----------------------------------------------------------------------------------------------


def rn_payment(number: int, **over: Any) -> dict[str, Any]:
    """One row of ``GET /v2/payments``; keys of ``request`` are given as ``request={...}``."""
    tx_hash = "0x" + f"{number:064x}"
    row: dict[str, Any] = {
        "id": f"01PAY{number:021d}",
        "amount": "10.5",
        "sourceNetwork": "bsc",
        "destinationNetwork": "bsc",
        "sourceTxHash": tx_hash,
        "destinationTxHash": tx_hash,
        "timestamp": f"2026-11-{10 + number % 9:02d}T10:{number % 60:02d}:00.000Z",
        "type": "direct",
        "conversionRateSource": None,
        "conversionRateDestination": None,
        "convertedAmountSource": None,
        "convertedAmountDestination": None,
        "currency": "USDC-bsc",
        "paymentCurrency": "USDC-bsc",
        "fees": None,
        "recurringPaymentId": None,
        "rateProvider": None,
        "request": {
            "requestId": rn_request_id(number),
            "paymentReference": f"0x{number:016x}",
            "hasBeenPaid": True,
            "customerInfo": None,
            "reference": None,
        },
    }
    request = over.pop("request", {})
    row.update(over)
    if row["request"] is not None and request is not None:
        row["request"] = {**row["request"], **request}
    elif request is None:
        row.pop("request")
    return row


def rn_request(number: int, **over: Any) -> dict[str, Any]:
    """One body of ``GET /v2/request/{id}``."""
    return {
        "hasBeenPaid": False,
        "paymentReference": f"0x{number:016x}",
        "requestId": rn_request_id(number),
        "isListening": True,
        "txHash": None,
        "reference": None,
        **over,
    }


def rn_request_id(number: int) -> str:
    """A request id of 66 digits."""
    return f"01{number:064x}"


@dataclass
class RequestNetworkWorld:
    """What the provider knows, and how its paging behaves.

    Args:
        limit_max: Longest page. ``limit_policy`` says what happens to a longer wish: clamp or reject.
        shift_at: Page numbers, counted over all calls, before which a further row of ``arriving`` comes in.
        lose, repeat: Page numbers on which a row is left out, or a row of the page before comes again.
        ignore_offset: Every page is the first one.
        has_more: ``true`` the truth, ``missing``, or ``lies`` (always false).
        extra_error: Shape of error answers: message, issues, fields, multicall or empty.
    """

    requests: dict[str, dict[str, Any]] = field(default_factory=dict)
    payments: list[dict[str, Any]] = field(default_factory=list)
    api_key: str = "rn-test-key"
    limit_max: int = 100
    limit_default: int = 20
    limit_policy: str = "clamp"
    arriving: list[dict[str, Any]] = field(default_factory=list)
    shift_at: set[int] = field(default_factory=set)
    lose: set[int] = field(default_factory=set)
    repeat: set[int] = field(default_factory=set)
    ignore_offset: bool = False
    has_more: str = "true"
    extra_error: str = "message"
    has_v1: bool = True
    page_number: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def handler(self, request: httpx.Request) -> httpx.Response:
        """Answer one call."""
        with self.lock:
            return self._answer(request)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if request.headers.get("x-api-key") != self.api_key:
            return self.error(401, "Unauthorized")
        if path == "/v2/payments":
            return self._payments(dict(request.url.params))
        if path.startswith("/v2/request/"):
            body = self.requests.get(path.rsplit("/", 1)[1])
            return httpx.Response(200, json=body) if body is not None else self.error(404, "Request not found")
        if path.startswith("/v1/request/") and self.has_v1:
            reference = path.rsplit("/", 1)[1].lower()
            names = ("hasBeenPaid", "paymentReference", "requestId", "isListening", "txHash")
            for body in self.requests.values():
                if str(body.get("paymentReference")).lower() == reference:
                    return httpx.Response(200, json={name: body.get(name) for name in names})
            return self.error(404, "Request not found")
        return self.error(404, f"Cannot GET {path}")

    def error(self, status: int, message: str) -> httpx.Response:
        """An error in the shape that is set; the four seen and the empty body."""
        shapes: dict[str, Any] = {
            "message": {"statusCode": status, "message": message, "error": "Error"},
            "issues": {
                "statusCode": status,
                "message": [{"code": "custom", "path": ["query", "limit"], "message": message}],
                "error": "Error",
            },
            "fields": {"message": "Validation failed", "errors": [{"field": "limit", "message": message}]},
            "multicall": {"message": message, "code": "multicall_validation_failed", "failures": [{"reason": message}]},
        }
        if self.extra_error == "empty":
            return httpx.Response(status)
        return httpx.Response(status, json=shapes[self.extra_error])

    def _payments(self, query: dict[str, str]) -> httpx.Response:
        filters = ("txHash", "walletAddress", "paymentReference", "requestId", "reference", "type")
        if not any(query.get(name) for name in (*filters, "invoiceCurrency", "paymentCurrency")):
            return self.error(400, "At least one search parameter is required")
        self.page_number += 1
        if self.page_number in self.shift_at and self.arriving:
            self.payments.insert(0, self.arriving.pop(0))
        limit, offset = int(query.get("limit", self.limit_default)), int(query.get("offset", 0))
        if limit > self.limit_max:
            if self.limit_policy == "reject":
                return self.error(400, f"limit must not be greater than {self.limit_max}")
            limit = self.limit_max
        rows = [row for row in self.payments if self._fits(row, query)]
        page = rows[0:limit] if self.ignore_offset else rows[offset : offset + limit]
        more = offset + len(page) < len(rows) or self.ignore_offset
        if self.page_number in self.lose and page:
            page = page[1:]
        if self.page_number in self.repeat and offset:
            page = [rows[offset - 1], *page[:-1]]
        pagination: dict[str, Any] = {"total": len(rows), "limit": limit, "offset": offset, "hasMore": more}
        if self.has_more == "missing":
            pagination.pop("hasMore")
        elif self.has_more == "lies":
            pagination["hasMore"] = False
        return httpx.Response(200, json={"payments": page, "pagination": pagination})

    @staticmethod
    def _fits(row: Mapping[str, Any], query: Mapping[str, str]) -> bool:
        request = row.get("request") or {}
        hashes = (row.get("sourceTxHash"), row.get("destinationTxHash"))
        tests: dict[str, Callable[[str], bool]] = {
            "type": lambda value: row.get("type") == value,
            "requestId": lambda value: request.get("requestId") == value,
            "paymentReference": lambda value: request.get("paymentReference") == value,
            "paymentCurrency": lambda value: row.get("paymentCurrency") == value,
            "walletAddress": lambda value: row.get("_wallet") == value,
            "txHash": lambda value: value in hashes,
            "fromDate": lambda value: str(row.get("timestamp")) >= value,
            "toDate": lambda value: str(row.get("timestamp")) <= value,
        }
        return all(tests[name](value) for name, value in query.items() if name in tests)


# --- SHKeeper ------------------------------------------------------------------------------------------------------


def sh_tx(number: int, **over: Any) -> dict[str, Any]:
    """One entry of an invoice's ``txs``."""
    return {
        "txid": "0x" + f"{number:064x}",
        "addr": "0x" + f"{number:040x}",
        "amount": "102",
        "crypto": "BNB-USDT",
        "status": "CONFIRMED",
        **over,
    }


def sh_invoice(external_id: str, *txs: dict[str, Any], **over: Any) -> dict[str, Any]:
    """One invoice as ``GET /invoices`` gives it."""
    return {
        "external_id": external_id,
        "fiat": "USD",
        "amount_fiat": "100",
        "balance_fiat": "102" if txs else "0",
        "status": "PAID" if txs else "UNPAID",
        "txs": list(txs),
        **over,
    }


@dataclass
class ShkeeperWorld:
    """What SHKeeper knows. ``outgoing`` are transactions in no invoice; ``payouts`` by (coin, external id)."""

    invoices: list[dict[str, Any]] = field(default_factory=list)
    outgoing: list[dict[str, Any]] = field(default_factory=list)
    payouts: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    api_key: str = "sh-test-key"
    coins: tuple[str, ...] = ("BNB-USDT", "BNB-USDC", "ETH-USDC")
    error: str | None = None
    login_redirect: bool = False

    def handler(self, request: httpx.Request) -> httpx.Response:
        """Answer one call; application errors are HTTP 200, as they are there."""
        path = request.url.raw_path.decode().partition("?")[0]
        if path == "/api/v1/crypto":
            names = [{"name": coin, "display_name": coin} for coin in self.coins]
            return httpx.Response(200, json={"status": "success", "crypto": list(self.coins), "crypto_list": names})
        if self.login_redirect:
            return httpx.Response(302, headers={"location": "/login"}, html="<html>Redirecting</html>")
        if path == "/login":
            return httpx.Response(200, html="<!doctype html><html>Login</html>")
        key = request.headers.get("x-shkeeper-api-key")
        if key != self.api_key:
            return httpx.Response(200, json={"status": "error", "message": "Bad API key" if key else "No API key"})
        if self.error:
            trace = 'Traceback: File "/shkeeper.io/shkeeper/api_v1.py"'
            return httpx.Response(200, json={"status": "error", "message": self.error, "traceback": trace})
        return self._answer(path, dict(request.url.params))

    def _answer(self, path: str, query: dict[str, str]) -> httpx.Response:
        steps = path.removeprefix("/api/v1/").split("/")
        if steps == ["invoices"]:
            return httpx.Response(200, json={"status": "success", "invoices": self.invoices})
        if steps[0] == "invoices" and len(steps) == 2 and "%2F" not in steps[1].upper():
            wanted = unquote(steps[1])
            mine = [row for row in self.invoices if str(row["external_id"]) == wanted]
            return httpx.Response(200, json={"status": "success", "invoices": mine})
        if steps == ["transactions"]:
            received = {(tx["crypto"], tx["txid"]): tx for row in self.invoices for tx in row["txs"]}
            return httpx.Response(200, json={"status": "success", "transactions": [*self.outgoing, *received.values()]})
        if len(steps) == 3 and steps[1:] == ["payout", "status"]:
            if "external_id" not in query:
                return httpx.Response(400, json={"error": "external_id is required"})
            payout = self.payouts.get((steps[0], query["external_id"]))
            if payout is None:
                return httpx.Response(404, json={"error": "Payout not found"})
            return httpx.Response(200, json=payout)
        return httpx.Response(404, json={"code": 404, "status": "Not Found"})


# --- faults, servers -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Faults:
    """A seeded schedule of sickness: shares of calls in 0..1, or the first ``burst`` calls of one kind."""

    seed: int = 0
    slow_down: float = 0.0
    sick: float = 0.0
    cut: float = 0.0
    html: float = 0.0
    garbage: float = 0.0
    empty: float = 0.0
    burst: int = 0
    burst_kind: str = "slow_down"
    latency_s: float = 0.0


def sick_answer(kind: str, sound: httpx.Response) -> httpx.Response:
    """The sound answer made sick in one way."""
    match kind:
        case "slow_down":
            return httpx.Response(429)
        case "sick":
            return httpx.Response(503, html="<html>Service Unavailable</html>")
        case "cut":
            return httpx.Response(
                sound.status_code,
                content=sound.content,
                headers=sound.headers,
                extensions={"cut": len(sound.content) // 2},
            )
        case "html":
            return httpx.Response(200, html="<!doctype html><html>Log in</html>")
        case "garbage":
            return httpx.Response(
                200, content=sound.content[: len(sound.content) // 2], headers={"content-type": "application/json"}
            )
        case "empty":
            return httpx.Response(200)
    raise AssertionError(kind)


def with_faults(handler: Handler, faults: Faults) -> Handler:
    """The same handler, made sick by the schedule; the same seed gives the same schedule."""
    rng, lock, count = random.Random(faults.seed), threading.Lock(), [0]
    shares = {name: getattr(faults, name) for name in ("slow_down", "sick", "cut", "html", "garbage", "empty")}

    def answer(request: httpx.Request) -> httpx.Response:
        with lock:
            count[0] += 1
            number, draw = count[0], rng.random()
        sound = handler(request)
        kind = faults.burst_kind if number <= faults.burst else None
        for name, share in shares.items():
            if kind is None and draw < share:
                kind = name
            draw -= share
        given = sick_answer(kind, sound) if kind else sound
        if faults.latency_s:
            given.extensions["wait_s"] = faults.latency_s
        return given

    return answer


def in_memory(handler: Handler) -> httpx.MockTransport:
    """A transport for ``httpx``; an answer that is cut breaks off as it would on the wire."""

    def answer(request: httpx.Request) -> httpx.Response:
        given = handler(request)
        if "cut" in given.extensions:
            raise httpx.RemoteProtocolError("peer closed connection without sending complete message body")
        return given

    return httpx.MockTransport(answer)


@contextlib.contextmanager
def serve(handler: Handler) -> Iterator[str]:
    """A real HTTP server on a free loopback port; gives its base URL and is gone at the end."""

    class Door(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            host = self.headers.get("host", "localhost")
            request = httpx.Request(
                self.command, f"http://{host}{self.path}", headers=dict(self.headers), content=self.rfile.read(length)
            )
            with contextlib.suppress(OSError):
                self.send(handler(request))

        do_POST = do_GET  # noqa: N815 - the names that http.server looks for

        def send(self, given: httpx.Response) -> None:
            wire = given.extensions
            time.sleep(float(wire.get("wait_s", 0)))
            body = given.content
            skipped = ("content-length", "transfer-encoding", "content-encoding", "connection")
            head = f"HTTP/1.1 {given.status_code} {given.reason_phrase}\r\n"
            head += "".join(f"{name}: {value}\r\n" for name, value in given.headers.items() if name not in skipped)
            self.put((head + f"content-length: {len(body)}\r\n\r\n").encode(), wire.get("slow_head_s"))
            self.put(body[: wire.get("cut", len(body))], wire.get("drip_s"))
            self.close_connection = "cut" in wire

        def put(self, data: bytes, pause_s: float | None) -> None:
            pieces = [data] if not pause_s else [data[at : at + 1] for at in range(len(data))]
            for piece in pieces:
                self.wfile.write(piece)
                self.wfile.flush()
                time.sleep(pause_s or 0)

        def log_message(self, *_: Any) -> None:
            """Keep quiet."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Door)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class FakeClock:
    """Time that only sleeping moves; remembers every sleep."""

    def __init__(self, now_ms: int = 1_795_176_000_000) -> None:
        self.sleeps: list[float] = []
        self._seconds = 0.0
        self._start_ms = now_ms

    def sleep(self, seconds: float) -> None:
        """Let time pass at once."""
        self.sleeps.append(seconds)
        self._seconds += seconds

    def monotonic(self) -> float:
        """Seconds since the start."""
        return self._seconds

    def now_ms(self) -> int:
        """UTC milliseconds."""
        return self._start_ms + int(self._seconds * 1000)
