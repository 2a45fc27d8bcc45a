"""Request Network: bulk pages that shift, answers that contradict themselves, and never "unpaid" from silence."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from recon.core.errors import ConfigError
from recon.core.registry import load_registry
from recon.sources.http import Secret
from recon.sources.providers.claims import CLAIM_PROBLEMS, parse_ms
from recon.sources.providers.request_network.api import RequestNetworkSettings
from recon.sources.providers.request_network.claims import decide_state, read_amount, token_of
from tests.support.asking_request_network import (
    FROM_MS,
    TO_MS,
    USDC_BSC,
    claims,
    covered,
    one,
    txs,
    window,
    world_of,
)
from tests.support.provider_servers import (
    Calls,
    Faults,
    Handler,
    RequestNetworkWorld,
    payload,
    rn_payment,
    rn_request_id,
    with_faults,
)

# --- the bulk reading --------------------------------------------------------------------------------------------


def test_a_window_is_paged_to_its_end_and_says_so() -> None:
    reading = window(world_of(430).handler)
    coverage = covered(reading)
    assert (coverage.complete, coverage.items, len(claims(reading)), reading.gaps) == (True, 430, 430, ())
    assert (coverage.done_from, coverage.done_to, coverage.pages) == (FROM_MS, TO_MS, 5 + 3)
    assert coverage.wire_bytes > 100_000


def test_ten_thousand_payments_cost_fewer_than_250_calls() -> None:
    reading = window(world_of(10_000).handler)
    assert (covered(reading).items, covered(reading).complete) == (10_000, True)
    assert covered(reading).calls <= 110


def test_every_type_of_payment_is_asked_for() -> None:
    kinds = ["direct", "conversion", "crosschain", "recurring"]
    world = RequestNetworkWorld(payments=[rn_payment(n, type=kind) for n, kind in enumerate(kinds, start=1)])
    assert len(claims(window(world.handler))) == 4


def test_another_filter_can_be_chosen_and_needs_its_values() -> None:
    payments = [rn_payment(1, _wallet="0xme"), rn_payment(2, _wallet="0xother")]
    calls = Calls()
    reading = window(
        calls.wrap(RequestNetworkWorld(payments=payments).handler), bulk_by="walletAddress", bulk_values=("0xme",)
    )
    assert [row["request_id"] for row in claims(reading)] == [rn_request_id(1)]
    assert all("walletAddress=0xme" in path and "type=" not in path for path in calls.paths)
    with pytest.raises(ConfigError, match="bulk_values"):
        RequestNetworkSettings(api_key=Secret("k"), bulk_by="walletAddress")


def test_the_window_is_closed_and_in_utc() -> None:
    calls = Calls()
    window(calls.wrap(world_of(1).handler))
    assert "fromDate=2026-11-01T00%3A00%3A00.000Z&toDate=2026-11-30T00%3A00%3A00.000Z" in calls.paths[0]


@pytest.mark.parametrize("sickness", [{"shift_at": {2}}, {"lose": {2}}, {"repeat": {2}}, {"repeat": {3}, "lose": {2}}])
def test_a_sweep_that_shifted_is_done_again(sickness: dict[str, Any]) -> None:
    world = world_of(250, arriving=[rn_payment(9_000)], **sickness)
    reading = window(world.handler)
    assert (covered(reading).complete, covered(reading).problem) == (True, None)
    assert len(claims(reading)) == 250 + bool(world.payments[0]["id"] == rn_payment(9_000)["id"])
    assert covered(reading).pages > 3 + 3


def test_pages_that_never_settle_are_a_gap_and_what_was_seen_stays() -> None:
    world = world_of(250, arriving=[rn_payment(9_000 + n) for n in range(20)], shift_at=set(range(2, 40)))
    reading = window(world.handler)
    assert covered(reading).complete is False
    assert "moved" in str(covered(reading).problem)
    assert len(claims(reading)) >= 250
    (gap,) = reading.gaps
    assert (gap.source, gap.scope, gap.from_ms, gap.to_ms) == ("request_network", "bulk", FROM_MS, TO_MS)


def test_a_server_that_ignores_the_offset_is_found_out() -> None:
    reading = window(world_of(250, ignore_offset=True).handler)
    assert "offset is not followed" in str(covered(reading).problem)
    assert covered(reading).calls < 20


@pytest.mark.parametrize("has_more", ["missing", "lies"])
def test_has_more_is_not_believed_against_the_total(has_more: str) -> None:
    reading = window(world_of(250, has_more=has_more).handler)
    assert (covered(reading).complete, len(claims(reading))) == (True, 250)


@pytest.mark.parametrize("shape", ["message", "issues", "fields", "multicall", "empty"])
def test_a_page_length_that_is_refused_is_lowered(shape: str) -> None:
    reading = window(world_of(120, limit_max=50, limit_policy="reject", extra_error=shape).handler)
    assert (covered(reading).complete, len(claims(reading))) == (True, 120)


def test_more_pages_than_allowed_is_incomplete() -> None:
    reading = window(world_of(430).handler, pages_max=2)
    assert "pages_max" in str(covered(reading).problem)
    assert not covered(reading).complete


def test_seeded_sickness_all_over_still_gives_every_payment() -> None:
    faults = Faults(seed=7, slow_down=0.05, sick=0.1, cut=0.1, garbage=0.1, empty=0.05)
    reading = window(with_faults(world_of(1_500).handler, faults))
    assert (covered(reading).complete, len(claims(reading))) == (True, 1_500)
    assert covered(reading).calls > covered(reading).pages


def test_the_same_rows_in_another_order_give_the_same_tables() -> None:
    world = world_of(150)
    first = window(world.handler)
    world.payments.reverse()
    second = window(world.handler)
    assert first.tables["claims"].equals(second.tables["claims"])
    assert first.tables["claim_txs"].equals(second.tables["claim_txs"])


@pytest.mark.parametrize("kind", ["sick", "html", "garbage", "empty", "cut", "slow_down"])
def test_a_provider_that_is_down_leaves_a_gap_and_no_claim(kind: str) -> None:
    reading = window(with_faults(world_of(10).handler, Faults(burst=10_000, burst_kind=kind)))
    assert claims(reading) == []
    assert covered(reading).complete is False
    assert len(reading.gaps) == 1


def test_a_refused_key_leaves_a_gap_and_costs_one_call() -> None:
    reading = window(world_of(10).handler, api_key=Secret("wrong-key-123"))
    assert "does not" in str(covered(reading).problem) or "401" in str(covered(reading).problem)
    assert covered(reading).calls == 1
    assert "wrong-key-123" not in str(reading)


@pytest.mark.parametrize("body", [[], {}, {"payments": None}, {"payments": {}}, {"message": "hello"}, "text", 7])
def test_another_service_is_not_read_as_no_payments(body: Any) -> None:
    reading = window(lambda _: httpx.Response(200, json=body))
    assert not covered(reading).complete


def test_hostile_rows_never_crash() -> None:
    junk: list[Any] = [
        {}, {"id": None, "amount": {}, "request": []}, {"id": "x" * 10_000, "amount": "1e99999999"},
        {"id": "y", "amount": "9" * 5_000, "destinationNetwork": ["bsc"], "timestamp": "9999-99-99T00:00Z"},
        {"id": "\ud800", "amount": "NaN", "paymentCurrency": 7, "sourceTxHash": 5, "request": {"requestId": {}}},
        rn_payment(1, amount="-5"), rn_payment(2, amount=True), rn_payment(3, amount="1" * 40 + ".0"),
    ]  # fmt: skip
    page = {"payments": junk, "pagination": {"total": len(junk), "hasMore": False}}
    nothing = {"payments": [], "pagination": {"total": 0, "hasMore": False}}

    def handler(request: httpx.Request) -> httpx.Response:
        import json

        wanted = page if request.url.params["type"] == "direct" else nothing
        return httpx.Response(200, content=json.dumps(wanted).encode())

    rows = claims(window(handler))
    assert len(rows) == len(junk)
    assert all(row["paid_units"] is None for row in rows)
    assert all(set(str(row["problem"]).split()) <= set(CLAIM_PROBLEMS) for row in rows)


def test_rows_that_are_no_objects_make_the_reading_incomplete() -> None:
    body = {"payments": [rn_payment(1), None], "pagination": {"total": 2, "hasMore": False}}
    reading = window(lambda _: httpx.Response(200, json=body))
    assert "row is no object" in str(covered(reading).problem)


def pages_of(*answers: tuple[list[int], int | None, bool]) -> Handler:
    """Answers by turn for type=direct, the last one for ever; each is row numbers, total and hasMore."""
    left = list(answers)

    def handler(request: httpx.Request) -> httpx.Response:
        if request.url.params["type"] != "direct":
            return httpx.Response(200, json={"payments": [], "pagination": {"total": 0, "hasMore": False}})
        numbers, total, more = left.pop(0) if len(left) > 1 else left[0]
        page = {"payments": [rn_payment(number) for number in numbers], "pagination": {"total": total, "hasMore": more}}
        return httpx.Response(200, json=page)

    return handler


def test_a_repeated_row_is_a_shift_even_where_no_total_is_told() -> None:
    handler = pages_of(([1, 2], None, True), ([2, 3], None, False), ([1, 2], None, True), ([3, 4], None, False))
    reading = window(handler)
    assert (covered(reading).complete, len(claims(reading))) == (True, 4)


def test_a_total_that_never_adds_up_is_incomplete() -> None:
    answers = [([1, 2], 3, False), ([], 3, False)] * 3
    reading = window(pages_of(*answers))
    assert "did not add up" in str(covered(reading).problem)
    assert len(claims(reading)) == 2


# --- what payments mean ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def saved() -> dict[str, dict[str, Any]]:
    page = payload("request_network", "payments_page.json")
    empty = {"payments": [], "pagination": {"total": 0, "limit": 20, "offset": 0, "hasMore": False}}
    reading = window(lambda r: httpx.Response(200, json=page if r.url.params["type"] == "direct" else empty))
    rows = {row["request_id"][2]: row for row in claims(reading)}
    for row in rows.values():
        row["txs"] = [tx for tx in txs(reading) if tx["request_id"] == row["request_id"]]
    return rows


def test_several_payments_of_one_request_are_one_claim(saved: dict[str, dict[str, Any]]) -> None:
    row = saved["b"]
    assert (row["state"], row["paid_units"], row["chain_id"]) == ("partial", 100_000_000, 8453)
    assert row["tx_hashes"] == f"0x{'2' * 64} 0x{'3' * 64}"
    assert len(row["txs"]) == 2
    assert row["created_at"] == parse_ms("2026-11-11T09:30:00.500Z")


def test_a_trailing_zero_is_read_exactly(saved: dict[str, dict[str, Any]]) -> None:
    assert (saved["a"]["state"], saved["a"]["paid_units"]) == ("paid", 100 * 10**18)
    assert saved["a"]["reference"] == "a" * 16
    assert str(saved["a"]["reference_topic"]).startswith("0x")


def test_only_the_destination_hash_proves_a_crosschain_payment(saved: dict[str, dict[str, Any]]) -> None:
    row = saved["c"]
    assert row["chain_id"] == 137
    assert [(tx["chain_id"], tx["tx_hash"]) for tx in row["txs"]] == [(137, "0x" + "5" * 64)]
    assert row["tx_hashes"] == f"0x{'4' * 64} 0x{'5' * 64}"


def test_on_one_network_the_source_hash_is_the_proof(saved: dict[str, dict[str, Any]]) -> None:
    assert {tx["tx_hash"] for tx in saved["b"]["txs"]} == {"0x" + "2" * 64, "0x" + "3" * 64}


def test_a_source_hash_alone_proves_nothing_across_networks() -> None:
    reading = window(world_of(0, payments=[rn_payment(1, sourceNetwork="base", destinationTxHash=None)]).handler)
    assert (one(reading)["state"], txs(reading)) == ("paid", [])
    assert one(reading)["tx_hashes"] == "0x" + f"{1:064x}"


def test_a_settlement_without_the_proxy_says_so(saved: dict[str, dict[str, Any]]) -> None:
    assert saved["d"]["detection_source"] == "lifi"


def test_base_units_are_noticed(saved: dict[str, dict[str, Any]]) -> None:
    assert (saved["e"]["paid_units"], saved["e"]["problem"]) == (50_000_000, "magnitude")


def test_an_unknown_network_is_a_problem_and_no_amount(saved: dict[str, dict[str, Any]]) -> None:
    assert (saved["f"]["paid_units"], saved["f"]["problem"]) == (None, "network_unknown")


@pytest.mark.parametrize(
    ("text", "decimals", "style", "expected"),
    [
        ("100.0", 6, None, (100_000_000, None)),
        ("9999", 6, None, (9_999_000_000, None)),
        ("10000", 6, None, (None, "magnitude")),
        ("10000", 6, "whole", (10_000_000_000, None)),
        ("10000", 6, "base", (10_000, "magnitude")),
        ("1000001", 6, None, (1_000_001, "magnitude")),
        ("1000001", 6, "whole", (1_000_001_000_000, "magnitude")),
        ("1000000000000000000", 18, None, (10**18, "magnitude")),
        ("250000", 18, None, (250_000 * 10**18, None)),
        ("0.0000001", 6, None, (None, "amount_unreadable")),
        ("0", 6, None, (0, None)),
        (5, 6, None, (5_000_000, None)),
        (None, 6, None, (None, "amount_unreadable")),
        (True, 6, None, (None, "amount_unreadable")),
        ("-1", 6, None, (None, "amount_unreadable")),
        ("1e3", 6, None, (None, "amount_unreadable")),
        ("9" * 38, 6, None, (None, "amount_too_large")),
    ],
)
def test_an_amount_is_exact_or_unknown(text: Any, decimals: int, style: Any, expected: tuple[Any, Any]) -> None:
    assert read_amount(text, decimals=decimals, style=style, plausible_max=1_000_000) == expected


@pytest.mark.parametrize(
    ("chain_id", "word", "symbol"),
    [
        (8453, "USDC", "USDC"), (8453, "USDC-base", "USDC"), (42161, "USDC-arbitrum-one", "USDC"),
        (137, "USDC-matic", "USDC.e"), (137, "USDCn-matic", "USDC"), (137, "USDC", "USDC"), (42161, "USDT0", "USDT"),
        (10, "USDC-optimism", "USDC.e"), (10, "USDT0-optimism", "USDT0"), (43114, "USDCe-avalanche", "USDC.e"),
        (100, "USDC-xdai", "USDC"), (42220, "USDT-celo", "USDT"), (1, "USDT0", None), (8453, "USDC-bsc", None),
        (56, USDC_BSC.upper().replace("0X", "0x"), "USDC"), (56, "WBNB", None), (1, None, None), (1, "", None),
    ],
)  # fmt: skip
def test_a_currency_is_found_by_symbol_id_alias_or_address(chain_id: int, word: str | None, symbol: str | None) -> None:
    token = token_of(load_registry(), chain_id=chain_id, word=word)
    assert (token.symbol if token else None) == symbol


@pytest.mark.parametrize(
    ("paid", "word", "money", "excess", "state", "code"),
    [
        (True, None, False, False, "paid", None),
        (True, "paid", True, True, "overpaid", None),
        (True, "created", True, False, "paid", None),
        (True, "refunded", True, False, "refunded", None),
        (True, "unpaid", True, False, "unknown", "state_conflict"),
        (True, "Partially Paid", True, False, "unknown", "state_conflict"),
        (False, None, False, False, "unpaid", None),
        (False, None, True, False, "partial", None),
        (False, "pending", False, False, "unpaid", None),
        (False, "partial", False, False, "partial", None),
        (False, "paid", False, False, "unknown", "state_conflict"),
        (False, "processing", False, False, "processing", None),
        (False, "canceled", False, False, "cancelled", None),
        (False, "failed", False, False, "failed", None),
        (False, "rejected", False, False, "unknown", "unknown_word"),
        (True, "rejected", False, False, "unknown", "unknown_word"),
        (None, None, False, False, "unknown", "state_missing"),
        (None, "unpaid", False, False, "unknown", "state_missing"),
        (None, "paid", False, False, "paid", None),
    ],
)
def test_every_pair_of_flag_and_word_has_one_state(
    paid: bool | None, word: str | None, money: bool, excess: bool, state: str, code: str | None
) -> None:
    assert decide_state(paid, word, is_money_seen=money, is_excess=excess) == (state, (code,) if code else ())


def test_a_payment_noted_as_a_refund_is_not_summed_up() -> None:
    rows = [rn_payment(1), {**rn_payment(2, note="Refund to payer"), "request": rn_payment(1)["request"]}]
    row = one(window(RequestNetworkWorld(payments=rows).handler))
    assert (row["state"], row["paid_units"], row["problem"]) == ("refunded", 10_500_000_000_000_000_000, "refund_noted")


def test_payments_on_two_chains_are_not_added_together() -> None:
    other = {**rn_payment(2, destinationNetwork="base", paymentCurrency="USDC"), "request": rn_payment(1)["request"]}
    row = one(window(RequestNetworkWorld(payments=[rn_payment(1), other]).handler))
    assert (row["paid_units"], row["chain_id"], row["problem"]) == (None, None, "several_networks")


def test_two_payments_in_one_transaction_stay_two() -> None:
    rows = [rn_payment(1), {**rn_payment(2), "sourceTxHash": None, "destinationTxHash": "0x" + f"{1:064x}"}]
    rows[1]["request"] = rows[0]["request"]
    reading = window(RequestNetworkWorld(payments=rows).handler)
    assert one(reading)["paid_units"] == 21 * 10**18
    assert len(txs(reading)) == 2


def test_a_payment_without_a_request_is_kept_under_its_reference_or_id() -> None:
    rows = [rn_payment(1, request=None), rn_payment(2, request={"requestId": None})]
    found = claims(window(RequestNetworkWorld(payments=rows).handler))
    assert [row["claim_id"] for row in found] == ["payment:" + rn_payment(1)["id"], f"reference:{2:016x}"]
    assert all("request_missing" in row["problem"] for row in found)


def test_a_request_paid_between_two_pages_is_paid() -> None:
    rows = [rn_payment(1, request={"hasBeenPaid": False}), {**rn_payment(2), "request": rn_payment(1)["request"]}]
    assert one(window(RequestNetworkWorld(payments=rows).handler))["state"] == "paid"


@pytest.mark.parametrize(
    ("paid", "word", "state"),
    [
        (False, "authorized", "processing"), (True, "captured", "paid"), (False, "partially_captured", "partial"),
        (False, "voided", "cancelled"), (False, "expired", "cancelled"), (False, "invalidated", "cancelled"),
        (False, "compliance_failed", "failed"), (False, "partially_settled", "partial"), (True, "fiat_sent", "paid"),
        (False, "sending_fiat", "processing"), (False, "bounced", "failed"), (True, "bounced", "unknown"),
        (False, "paused", "unpaid"), (False, "quantum", "unknown"),
    ],
)  # fmt: skip
def test_words_of_off_ramp_commerce_and_secure_payments_have_a_reading(paid: bool, word: str, state: str) -> None:
    assert decide_state(paid, word, is_money_seen=False, is_excess=False)[0] == state
