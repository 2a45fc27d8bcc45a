"""Relayr as its facts describe it: bundles by id, in every spelling that its clients have met, and lies on demand.

A :class:`RelayrServer` is a handler for :func:`tests.support.provider_servers.serve` or ``in_memory``.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import httpx

Shape = Literal["object", "text"]
HashPlace = Literal["data", "transaction", "tx_hash", "txHash"]


def bundle_uuid(number: int) -> str:
    """A bundle's id, the same each time."""
    return str(uuid.UUID(int=0xA0EEBC999C0B4EF8BB6D6BB9BD380000 + number))


def call_of(chain: int, *, target: str = "0x" + "aa" * 20, data: str = "0x", value: str = "0") -> dict[str, Any]:
    """The call that a transaction of a bundle makes, as it was submitted; the gas is the server's own."""
    return {"chain": chain, "target": target, "data": data, "value": value, "gas_limit": "210000"}


@dataclass
class Entry:
    """One transaction of a bundle, with the states it goes through, one for each question; the last one stays.

    Args:
        shape: ``text`` for the reading of CocoPay's own poller, with the hash beside it.
        place: Where the hash stands.
    """

    request: Mapping[str, Any]
    states: Sequence[str] = ("Success",)
    tx_hash: str | None = None
    shape: Shape = "object"
    place: HashPlace = "data"
    number: int = 0

    def told(self, turn: int) -> dict[str, Any]:
        """The entry as it is at a turn."""
        state = self.states[min(turn, len(self.states) - 1)]
        told: dict[str, Any] = {"tx_uuid": bundle_uuid(900_000 + self.number), "request": dict(self.request)}
        if self.shape == "text":
            return {**told, "status": state, "tx_hash": self.tx_hash, "block_number": 7}
        has_hash = self.tx_hash is not None and state.lower() not in ("pending", "invalid")
        data: dict[str, Any] = {}
        if has_hash and self.place == "transaction":
            data = {"transaction": {"hash": self.tx_hash}}
        elif has_hash:
            data = {{"data": "hash"}.get(self.place, self.place): self.tx_hash}
        if state.lower() == "included":
            data["block"] = 7
        return {**told, "status": {"state": state, "data": data} if data else {"state": state}}


@dataclass
class Bundle:
    """A bundle.

    Args:
        shown: How many of its transactions are listed at each turn; None lists them all.
        unknown: How many questions are answered 404 before it is known; -1 for ever.
        says: An id that it gives as its own.
    """

    entries: Sequence[Entry] = ()
    payment_received: bool | None = True
    expires_at: str | None = "2026-12-01T00:00:00Z"
    shown: Sequence[int] | None = None
    unknown: int = 0
    says: str | None = None
    turn: int = 0


@dataclass
class RelayrServer:
    """Bundles by id. ``sick`` answers, one for each question, come before anything else is said."""

    bundles: dict[str, Bundle] = field(default_factory=dict)
    sick: list[httpx.Response] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    seed: int = 1

    def add(self, bundle: Bundle) -> str:
        """Take a bundle in; gives its id."""
        found = bundle_uuid(len(self.bundles) + 1)
        self.bundles[found] = bundle
        return found

    def handler(self, request: httpx.Request) -> httpx.Response:
        """Answer as the relay would; whoever posts is told off by the test."""
        assert request.method == "GET", "recon never posts"
        self.asked.append(request.url.path)
        if self.sick:
            return self.sick.pop(0)
        parts = request.url.path.strip("/").split("/")
        bundle = self.bundles.get(parts[2].lower()) if parts[:2] == ["v1", "bundle"] and len(parts) == 3 else None
        if bundle is None:
            return httpx.Response(404, json={"reason": "no such bundle"})
        turn, bundle.turn = bundle.turn, bundle.turn + 1
        if bundle.unknown < 0 or turn < bundle.unknown:
            return httpx.Response(404, json={"error": "no such bundle"})
        return httpx.Response(200, json=self._told(bundle, parts[2].lower(), turn - bundle.unknown))

    def _told(self, bundle: Bundle, own: str, turn: int) -> dict[str, Any]:
        listed = [entry.told(turn) for entry in bundle.entries]
        random.Random(f"{self.seed}{own}{turn}").shuffle(listed)
        if bundle.shown is not None:
            listed = listed[: bundle.shown[min(turn, len(bundle.shown) - 1)]]
        told: dict[str, Any] = {"bundle_uuid": bundle.says or own, "transactions": listed}
        if bundle.payment_received is not None:
            told["payment_received"] = bundle.payment_received
        if bundle.expires_at is not None:
            told["expires_at"] = bundle.expires_at
        return told
