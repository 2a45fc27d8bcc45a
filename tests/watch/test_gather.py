"""What a round gathers part by part: one that is away is asked once, and hides no other."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from recon.core.errors import SourceError
from recon.setup.file import ReserveSection, parse_settings
from recon.setup.settings import Settings
from recon.sources.chain.endpoints import EndpointsDownError
from recon.sources.payments.mongo import StoreUnreachableError
from recon.watch.gather import Gathering

NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)


def gathering(*chain_ids: int) -> Gathering:
    reserves = [
        {"chain_id": chain, "address": f"0x{number:040x}", "warn_below": "2", "critical_below": "1"}
        for number, chain in enumerate(chain_ids, start=1)
    ]
    return Gathering(Settings(parse_settings({"reserves": reserves}), home=Path("nowhere")), now=NOON)


def test_a_chain_that_is_away_is_asked_for_one_wallet_and_no_other_chain_suffers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[int] = []

    def units(opening: object, reserve: ReserveSection, *, asset: object) -> int:
        chain = reserve.chain_id
        asked.append(chain)
        if chain == 56:
            raise EndpointsDownError(source="chain:56", last="refused")
        if chain == 10:
            raise SourceError("an odd answer")
        return 3 * 10**18

    monkeypatch.setattr("recon.setup.reserves.reserve_units", units)
    reading = gathering(56, 56, 8453, 56, 10, 10)
    found = reading.wallets({})
    assert asked == [56, 8453, 10, 10], "only what does not answer at all is left alone"
    assert [each.held for each in found] == [None, None, 3 * 10**18, None, None, None]
    assert [each.why for each in found[:2]] == ["chain:56: no RPC endpoint can be used. Last: refused"] * 2
    assert len(reading.unread) == 5
    assert reading.away == "", "the database is another matter"


def test_a_database_that_is_away_is_asked_once_and_one_that_refuses_is_asked_on() -> None:
    def away() -> int:
        raise StoreUnreachableError(hosts="db:27017", timeout_ms=100)

    def refuses() -> int:
        raise SourceError("the login may not read it")

    reading = gathering()
    assert reading.ask_database("runs", refuses, default=0) == 0
    assert reading.ask_database("waiting", lambda: 7, default=0) == 7
    assert reading.ask_database("runs", away, default=0) == 0
    assert reading.ask_database("waiting", lambda: 7, default=0) == 0
    assert "no usable server answered" in reading.unread["waiting"]
    assert reading.unread["waiting"] == reading.unread["runs"]
