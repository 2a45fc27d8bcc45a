"""Request Network: bulk pages that shift, answers that contradict themselves, and never "unpaid" from silence."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from recon.errors import ConfigError, WrongSourceError
from recon.registry import load_registry
from recon.sources.claims import CLAIM_PROBLEMS, parse_ms
from recon.sources.http import Clock, CredentialsRefusedError, ProviderUnusableError, Secret
from recon.sources.interface import ClaimKey, Coverage, Reading, no_progress
from recon.sources.request_network import RequestNetwork, RequestNetworkSettings
from recon.sources.request_network_claims import decide_state, read_amount, token_of
from tests.provider_servers import (
    Calls,
    FakeClock,
    Faults,
    Handler,
    RequestNetworkWorld,
    in_memory,
    payload,
    rn_payment,
    rn_request,
    rn_request_id,
    serve,
    with_faults,
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
    assert "are no objects" in str(covered(reading).problem)


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
        (137, "USDC-matic", "USDC"), (42161, "USDT0", "USDT"), (1, "USDT0", None), (8453, "USDC-bsc", None),
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


# --- look-ups ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "letter", "state", "problem"),
    [
        ("request_not_paid.json", "a", "unpaid", None),
        ("request_paid.json", "a", "paid", None),
        ("request_overpaid.json", "a", "overpaid", None),
        ("request_partial.json", "b", "partial", None),
        ("request_lifi.json", "d", "paid", None),
        ("request_refunded.json", "a", "refunded", None),
        ("request_unknown_word.json", "a", "unknown", "unknown_word"),
    ],
)
def test_each_saved_answer_has_its_state(name: str, letter: str, state: str, problem: str | None) -> None:
    row = one(look_up(answering(name), key_of(letter)))
    assert (row["outcome"], row["state"], row["problem"]) == ("found", state, problem)


def test_an_unknown_word_is_quoted() -> None:
    assert "rejected" in one(look_up(answering("request_unknown_word.json")))["state_raw"]


def test_a_paid_request_brings_its_payments() -> None:
    reading = look_up(answering("request_partial.json"), key_of("b"))
    assert one(reading)["paid_units"] == 100_000_000
    assert len(txs(reading)) == 2
    assert covered(reading).calls == 2


def test_an_unpaid_request_costs_one_call() -> None:
    assert covered(look_up(answering("request_not_paid.json"))).calls == 1


def test_payments_that_cannot_be_read_leave_the_state_and_say_so() -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v2/payments":
            return httpx.Response(500)
        return httpx.Response(200, json=payload("request_network", "request_paid.json"))

    row = one(look_up(handler))
    assert (row["state"], row["paid_units"], row["problem"]) == ("paid", None, "payments_unread")
    assert row["tx_hashes"] == "0x" + "1" * 64
    assert row["recipient"] == "0x" + "ab" * 20


@pytest.mark.parametrize(
    ("handler", "words"),
    [
        (answering("request_balance_null.json"), "could not look"),
        (answering("error_route.json", status=404), "route is not there"),
        (answering("error_issues.json", status=400), "must end with Z"),
        (answering("error_multicall.json", status=400), "already paid"),
        (answering("error_fields.json", status=400), "toDate"),
        (lambda _: httpx.Response(200), "empty body"),
        (lambda _: httpx.Response(200, json={}), "says nothing"),
        (lambda _: httpx.Response(200, json=[]), "says nothing"),
        (lambda _: httpx.Response(200, json=None), "says nothing"),
        (lambda _: httpx.Response(200, html="<html>"), "web page"),
        (lambda _: httpx.Response(404, html="<html>"), "web page"),
        (lambda _: httpx.Response(302, headers={"location": "/login"}), "redirect"),
        (lambda _: httpx.Response(500, json={"message": "boom"}), "boom"),
        (lambda _: httpx.Response(423), "423"),
        (lambda _: httpx.Response(200, json={"requestId": "01" + "9" * 64, "hasBeenPaid": True}), "another request"),
    ],
)
def test_an_answer_that_cannot_be_used_is_failed_and_never_unpaid(handler: Handler, words: str) -> None:
    reading = look_up(handler)
    row = one(reading)
    assert (row["outcome"], row["state"]) == ("failed", None)
    assert words in row["error"]
    assert not covered(reading).complete


@pytest.mark.parametrize("shape", ["message", "issues", "fields", "multicall", "empty"])
def test_a_404_about_the_request_is_not_found_in_every_shape(shape: str) -> None:
    reading = look_up(RequestNetworkWorld(extra_error=shape).handler)
    assert one(reading)["outcome"] == "not_found"
    assert covered(reading).complete


def test_without_a_request_id_the_reference_is_asked_at_v1() -> None:
    calls = Calls()
    world = RequestNetworkWorld(requests={rn_request_id(5): rn_request(5)})
    reading = look_up(calls.wrap(world.handler), ClaimKey("p", reference="0x" + f"{5:016X}"))
    assert (one(reading)["request_id"], one(reading)["state"]) == (rn_request_id(5), "unpaid")
    assert calls.paths == [f"/v1/request/0x{5:016x}"]


def test_v1_that_was_retired_is_failed_and_not_not_found() -> None:
    row = one(look_up(RequestNetworkWorld(has_v1=False).handler, ClaimKey("p", reference="0" * 16)))
    assert row["outcome"] == "failed"
    assert row["reference_topic"], "so that it can still be told whose answer is missing"


def test_a_request_nobody_knows_is_also_asked_by_its_reference() -> None:
    world = RequestNetworkWorld(requests={rn_request_id(5): rn_request(5, hasBeenPaid=True)}, payments=[rn_payment(5)])
    rows = claims(look_up(world.handler, ClaimKey("p", request_id=rn_request_id(6), reference=f"{5:016x}")))
    assert {(row["request_id"], row["outcome"]) for row in rows} == {
        (rn_request_id(5), "found"), (rn_request_id(6), "not_found"),
    }  # fmt: skip


def test_every_key_gets_a_row_and_no_call_is_made_twice() -> None:
    calls = Calls()
    world = RequestNetworkWorld(requests={rn_request_id(1): rn_request(1)})
    keys = [
        ClaimKey("a", request_id=rn_request_id(1)),
        ClaimKey("b", request_id="0x" + rn_request_id(1).upper()),
        ClaimKey("c", request_id=rn_request_id(2)),
        ClaimKey("d"),
        ClaimKey("e", request_id="../../etc?x=1"),
    ]
    rows = claims(look_up(calls.wrap(world.handler), *keys))
    assert sorted((row["claim_id"], row["outcome"]) for row in rows) == sorted(
        [
            (rn_request_id(1), "found"), (rn_request_id(2), "not_found"), ("payment:d", "failed"),
            ("../../etc?x=1", "failed"),
        ]
    )  # fmt: skip
    assert len(calls.paths) == 2


def test_look_ups_over_the_limit_are_failed_with_its_name() -> None:
    keys = [ClaimKey(str(n), request_id=rn_request_id(n)) for n in range(5)]
    reading = look_up(RequestNetworkWorld().handler, *keys, lookups_max=2)
    outcomes = [row["outcome"] for row in claims(reading)]
    assert (outcomes.count("not_found"), outcomes.count("failed")) == (2, 3)
    assert "lookups_max" in str(covered(reading).problem)


def test_a_refused_key_fails_every_look_up_after_one_call() -> None:
    keys = [ClaimKey(str(n), request_id=rn_request_id(n)) for n in range(50)]
    reading = look_up(RequestNetworkWorld(api_key="other").handler, *keys)
    assert {row["outcome"] for row in claims(reading)} == {"failed"}
    assert covered(reading).calls == 1


def test_many_look_ups_end_by_their_deadline() -> None:
    keys = [ClaimKey(str(n), request_id=rn_request_id(n)) for n in range(500)]
    reading = look_up(RequestNetworkWorld().handler, *keys, deadline_s=20)
    outcomes = [row["outcome"] for row in claims(reading)]
    assert 99 <= outcomes.count("not_found") <= 101
    assert "deadline_s" in str(covered(reading).problem)


# --- check, and a real socket ------------------------------------------------------------------------------------


def test_check_says_that_it_can_be_used() -> None:
    assert "accepts the key" in source_of(RequestNetworkWorld().handler).check()


def test_check_names_a_refused_key_and_the_way_out() -> None:
    with pytest.raises(CredentialsRefusedError, match=r"does not accept the API key.*Set a key") as caught:
        source_of(RequestNetworkWorld(api_key="other").handler).check()
    assert "rn-test-key" not in str(caught.value)


def test_a_key_of_a_test_environment_stops_the_run() -> None:
    rows = [rn_payment(n, sourceNetwork="sepolia", destinationNetwork="sepolia") for n in range(1, 4)]
    with pytest.raises(WrongSourceError, match="sepolia for every one of them"):
        window(RequestNetworkWorld(payments=rows).handler)
    with pytest.raises(WrongSourceError, match="test environment"):
        source_of(RequestNetworkWorld(payments=rows).handler).check()
    assert len(claims(window(RequestNetworkWorld(payments=[*rows, rn_payment(9)]).handler))) == 4


@pytest.mark.parametrize(
    "handler",
    [
        lambda _: httpx.Response(200, html="<html>"),
        lambda _: httpx.Response(302, headers={"location": "/login"}),
        lambda _: httpx.Response(503),
        lambda _: httpx.Response(200, json={"status": "success"}),
        lambda _: httpx.Response(404, json={"message": "Cannot GET /v2/payments"}),
    ],
)
def test_check_refuses_what_is_not_request_network(handler: Handler) -> None:
    with pytest.raises(ProviderUnusableError, match="Check base_url"):
        source_of(handler).check()


def test_a_week_is_read_over_a_real_socket_through_sickness() -> None:
    handler = with_faults(world_of(700).handler, Faults(seed=3, sick=0.1, cut=0.15, latency_s=0.002))
    with serve(handler) as url:
        source = RequestNetwork(
            RequestNetworkSettings(api_key=Secret("rn-test-key"), base_url=url, rate_per_s=200, retries_max=6),
            registry=load_registry(),
        )
        assert "accepts" in source.check()
        reading = source.read_window(FROM_MS, TO_MS, progress=no_progress)
    assert (covered(reading).complete, len(claims(reading))) == (True, 700)


def test_one_refused_object_among_many_is_its_own_finding_and_leaves_the_source_complete() -> None:
    world = RequestNetworkWorld(requests={rn_request_id(number): rn_request(number) for number in range(1, 6)})

    def handler(request: httpx.Request) -> httpx.Response:
        if rn_request_id(3) in str(request.url):
            return httpx.Response(400, json={"statusCode": 400, "message": "Could not resolve request"})
        return world.handler(request)

    keys = [ClaimKey(payment_id=f"p{number}", request_id=rn_request_id(number)) for number in range(1, 6)]
    reading = look_up(handler, *keys)
    outcomes = {row["request_id"]: row["outcome"] for row in reading.tables["claims"].to_pylist()}
    assert outcomes[rn_request_id(3)] == "failed"
    assert set(outcomes.values()) == {"failed", "found"}
    (told,) = reading.coverage
    assert (told.complete, told.problem is not None) == (True, True)


@pytest.mark.parametrize("body", [{"status": "success"}, {"payments": 5}, {"message": "hello"}])
def test_an_answer_that_names_no_request_is_failed_and_never_unpaid(body: dict[str, Any]) -> None:
    reading = look_up(lambda request: httpx.Response(200, json=body))
    assert [row["outcome"] for row in claims(reading)] == ["failed"]
