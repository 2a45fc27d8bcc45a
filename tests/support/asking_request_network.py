"""Asking a played Request Network as a snapshot does, and looking at what it gave."""

from __future__ import annotations

from typing import Any

import httpx

from recon.core.registry import load_registry
from recon.sources.http import Clock, Secret
from recon.sources.interface import ClaimKey, Coverage, Reading, no_progress
from recon.sources.providers.claims import parse_ms
from recon.sources.providers.request_network.api import RequestNetwork, RequestNetworkSettings
from tests.support.provider_servers import (
    FakeClock,
    Handler,
    RequestNetworkWorld,
    in_memory,
    payload,
    rn_payment,
)

FROM_MS = parse_ms("2026-11-01T00:00:00.000Z") or 0
TO_MS = parse_ms("2026-11-30T00:00:00.000Z") or 0
USDC_BSC = "0x8ac76a51cc950d9822d68b83fe1ad97b32cd580d"


def source_of(handler: Handler, **settings: Any) -> RequestNetwork:
    fake = FakeClock()
    return RequestNetwork(
        RequestNetworkSettings(**{"api_key": Secret("rn-test-key"), **settings}),
        registry=load_registry(),
        transport=in_memory(handler),
        clock=Clock(now_ms=fake.now_ms, monotonic=fake.monotonic, sleep=fake.sleep),
    )


def window(handler: Handler, **settings: Any) -> Reading:
    return source_of(handler, **settings).read_window(FROM_MS, TO_MS, progress=no_progress)


def answering(name: str, *, status: int = 200) -> Handler:
    """Every look-up gets one saved answer; payments are the saved page."""

    def handler(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v2/payments":
            page = payload("request_network", "payments_page.json")
            wanted = request.url.params.get("requestId")
            rows = [row for row in page["payments"] if row["request"]["requestId"] == wanted]
            more = {"total": len(rows), "limit": 20, "offset": 0, "hasMore": False}
            return httpx.Response(200, json={"payments": rows, "pagination": more})
        return httpx.Response(status, json=payload("request_network", name))

    return handler


def key_of(letter: str = "a", **over: Any) -> ClaimKey:
    return ClaimKey(**{"payment_id": "p1", "request_id": "01" + letter * 64, **over})


def look_up(handler: Handler, *keys: ClaimKey, **settings: Any) -> Reading:
    return source_of(handler, **settings).look_up(list(keys or [key_of()]), progress=no_progress)


def claims(reading: Reading) -> list[dict[str, Any]]:
    return list(reading.tables["claims"].to_pylist())


def one(reading: Reading) -> dict[str, Any]:
    (row,) = claims(reading)
    return row


def txs(reading: Reading) -> list[dict[str, Any]]:
    return list(reading.tables["claim_txs"].to_pylist())


def covered(reading: Reading) -> Coverage:
    (row,) = reading.coverage
    return row


def world_of(count: int, **over: Any) -> RequestNetworkWorld:
    return RequestNetworkWorld(**{"payments": [rn_payment(number) for number in range(1, count + 1)], **over})
