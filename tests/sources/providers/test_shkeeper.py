"""SHKeeper: errors with HTTP 200, whole tables, invoices without an id, and amounts that went through a float."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from recon.core.errors import ConfigError
from recon.core.registry import load_registry
from recon.sources.http import Clock, Secret
from recon.sources.interface import ClaimKey, Coverage, Reading, no_progress
from recon.sources.providers.claims import CLAIM_PROBLEMS
from recon.sources.providers.polite import CredentialsRefusedError, ProviderUnusableError
from recon.sources.providers.shkeeper.api import Shkeeper, ShkeeperSettings
from recon.sources.providers.shkeeper.claims import COINS, coin_of, coins_of, restore_units
from tests.support.provider_servers import (
    Calls,
    FakeClock,
    Faults,
    Handler,
    ShkeeperWorld,
    in_memory,
    payload,
    serve,
    sh_invoice,
    sh_tx,
    with_faults,
)

USDC_ETH = "0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48"
USDT_TRON = "0xa614f803b6fd780986a42c78ec9c7f77e6ded13c"
USDT_BSC = "0x55d398326f99059ff775485246999027b3197955"


def source_of(handler: Handler, **settings: Any) -> Shkeeper:
    fake = FakeClock()
    given = {"base_url": "https://pay.test", "api_key": Secret("sh-test-key"), **settings}
    return Shkeeper(
        ShkeeperSettings(**given),
        registry=load_registry(),
        transport=in_memory(handler),
        clock=Clock(now_ms=fake.now_ms, monotonic=fake.monotonic, sleep=fake.sleep),
    )


def saved(name: str, *, status: int = 200) -> Handler:
    return lambda _: httpx.Response(status, json=payload("shkeeper", name))


def saved_world(request: httpx.Request) -> httpx.Response:
    return saved(f"{request.url.path.rsplit('/', 1)[1]}.json")(request)


def window(handler: Handler, **settings: Any) -> Reading:
    return source_of(handler, **settings).read_window(0, 10, progress=no_progress)


def look_up(handler: Handler, *keys: ClaimKey, **settings: Any) -> Reading:
    return source_of(handler, **settings).look_up(keys, progress=no_progress)


def in_key(external_id: str | None = "paid-1", **over: Any) -> ClaimKey:
    return ClaimKey(**{"payment_id": f"p-{external_id}", "external_id": external_id, **over})


def out_key(external_id: str = "out-1", **over: Any) -> ClaimKey:
    given = {"payment_id": "p", "external_id": external_id, "direction": "out", "chain_id": 1, "token": USDC_ETH}
    return ClaimKey(**{**given, **over})


def claims(reading: Reading) -> list[dict[str, Any]]:
    return list(reading.tables["claims"].to_pylist())


def one(reading: Reading) -> dict[str, Any]:
    (row,) = claims(reading)
    return row


def covered(reading: Reading, scope: str = "bulk") -> Coverage:
    (row,) = [row for row in reading.coverage if row.scope == scope]
    return row


# --- the whole table ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def table() -> dict[str, dict[str, Any]]:
    return {row["claim_id"]: row for row in claims(window(saved_world))}


@pytest.mark.parametrize(
    ("claim_id", "state", "units", "problem"),
    [
        ("unpaid-1", "unpaid", None, None),
        ("paid-1", "paid", 102 * 10**18, None),
        ("partial-1", "partial", 60_000_000, None),
        ("over-1", "overpaid", 250_000_000, None),
        ("noise-1", "paid", None, "float_noise"),
        ("cut-1", "paid", None, "float_noise"),
        ("lost-1", "unpaid", 102 * 10**18, "credit_lost"),
        ("stale-1", "paid", 102 * 10**18, "stale_unconfirmed"),
        ("trc-1", "paid", 102 * 10**6, None),
        ("btc-1", "paid", None, "coin_out_of_scope"),
        ("word-1", "unknown", None, "unknown_word"),
        ("with/slash", "paid", 102 * 10**18, None),
    ],
)
def test_each_saved_invoice_has_its_state(
    table: dict[str, dict[str, Any]], claim_id: str, state: str, units: int | None, problem: str | None
) -> None:
    row = table[claim_id]
    assert (row["outcome"], row["object"], row["external_id"]) == ("found", "invoice", claim_id)
    expected = {problem} - {None}
    assert (row["state"], row["paid_units"]) == (state, units)
    assert set(str(row["problem"] or "").split()) - {"state_disagrees"} == expected


def test_one_call_reads_each_table_whatever_the_window() -> None:
    reading = window(ShkeeperWorld(invoices=[sh_invoice(f"e{n}") for n in range(10_000)]).handler)
    assert (covered(reading).complete, covered(reading).items, covered(reading).calls) == (True, 10_000, 1)
    assert sum(row.calls for row in reading.coverage) == 2
    assert reading.gaps == ()


def test_several_invoices_of_one_external_id_are_several_claims(table: dict[str, dict[str, Any]]) -> None:
    rows = [table["twice-1#1"], table["twice-1#2"]]
    assert {(row["external_id"], row["problem"]) for row in rows} == {("twice-1", "several_invoices")}
    assert {(row["state"], row["fiat"]) for row in rows} == {("paid", "USD"), ("unpaid", "EUR")}


def test_made_up_ids_of_invoices_never_meet_a_real_one() -> None:
    world = ShkeeperWorld(invoices=[sh_invoice("A"), sh_invoice("A", sh_tx(1)), sh_invoice("A#1")])
    assert len(claims(window(world.handler))) == 3


def test_fiat_stays_text(table: dict[str, dict[str, Any]]) -> None:
    row = table["noise-1"]
    assert (row["fiat"], row["balance_fiat"]) == ("USD", "99999999999.9900054932")


def test_the_coin_gives_chain_and_token(table: dict[str, dict[str, Any]]) -> None:
    assert (table["paid-1"]["chain_id"], table["paid-1"]["token"]) == (56, USDT_BSC)
    assert (table["partial-1"]["chain_id"], table["partial-1"]["token"]) == (1, USDC_ETH)
    assert (table["trc-1"]["chain_id"], table["trc-1"]["token"]) == (728126428, USDT_TRON)
    assert (table["trc-1"]["recipient"], table["trc-1"]["tx_hashes"]) == (
        "0x94f24e992ca04b49c6f2a2753076ef8938ed4daa",
        "0x" + "f" * 64,
    )
    assert (table["btc-1"]["chain_id"], table["btc-1"]["tx_hashes"]) == (None, None)


def test_each_transaction_is_a_row_of_its_own() -> None:
    rows = [tx for tx in window(saved_world).tables["claim_txs"].to_pylist() if tx["external_id"] == "stale-1"]
    assert {(tx["tx_hash"][-1], tx["confirmed"], tx["amount_units"]) for tx in rows} == {
        ("9", True, 102 * 10**18), ("a", False, 102 * 10**18),
    }  # fmt: skip


def test_a_transaction_in_no_invoice_went_out(table: dict[str, dict[str, Any]]) -> None:
    (row,) = [row for row in table.values() if row["object"] == "payout"]
    assert (row["tx_hashes"], row["paid_units"], row["problem"]) == ("0x" + "c" * 64, 500_000_000, "outgoing")
    assert row["external_id"] is None


def test_nothing_is_called_outgoing_when_the_invoices_are_missing() -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        name = "error_application.json" if request.url.path.endswith("invoices") else "transactions.json"
        return saved(name)(request)

    reading = window(handler)
    assert claims(reading) == []
    assert (covered(reading).complete, covered(reading, "outgoing").complete) == (False, True)
    assert [gap.scope for gap in reading.gaps] == ["bulk"]


def test_a_receipt_between_the_two_calls_is_not_taken_for_money_that_went_out() -> None:
    world = ShkeeperWorld(invoices=[sh_invoice("A", sh_tx(1))])

    def handler(request: httpx.Request) -> httpx.Response:
        answer = world.handler(request)
        world.invoices.append(sh_invoice(f"B{len(world.invoices)}", sh_tx(100 + len(world.invoices))))
        return answer

    assert {row["object"] for row in claims(window(handler))} == {"invoice"}


def test_one_transaction_on_two_invoices_is_marked_on_both() -> None:
    world = ShkeeperWorld(invoices=[sh_invoice("A", sh_tx(1)), sh_invoice("B", sh_tx(1, addr="0x" + "9" * 40))])
    assert [row["problem"] for row in claims(window(world.handler))] == ["shared_tx", "shared_tx"]


def test_coins_are_not_added_to_each_other() -> None:
    two = sh_invoice("A", sh_tx(1), sh_tx(2, crypto="ETH-USDC"))
    same_chain = sh_invoice("B", sh_tx(3), sh_tx(4, crypto="BNB-USDC"))
    rows = claims(window(ShkeeperWorld(invoices=[two, same_chain]).handler))
    assert [(row["paid_units"], row["problem"]) for row in rows] == [
        (None, "several_networks"),
        (None, "several_tokens"),
    ]


def test_a_state_that_does_not_follow_from_the_amounts_is_marked() -> None:
    raised = sh_invoice("A", sh_tx(1), amount_fiat="500")
    by_tolerance = sh_invoice("B", sh_tx(2), balance_fiat="95")
    rows = claims(window(ShkeeperWorld(invoices=[raised, by_tolerance]).handler))
    assert [row["problem"] for row in rows] == ["state_disagrees", None]


def test_the_order_of_the_tables_does_not_matter() -> None:
    world = ShkeeperWorld(invoices=[sh_invoice("A"), sh_invoice("A", sh_tx(1), sh_tx(2)), sh_invoice("B", sh_tx(3))])
    first = window(world.handler)
    world.invoices.reverse()
    world.invoices[1]["txs"].reverse()
    second = window(world.handler)
    assert first.tables["claims"].equals(second.tables["claims"])
    assert first.tables["claim_txs"].equals(second.tables["claim_txs"])


def test_hostile_rows_never_crash() -> None:
    junk: list[Any] = [
        {}, {"external_id": None, "status": None, "txs": None},
        {"external_id": 107, "status": ["PAID"], "txs": [None, 7]},
        {"external_id": "x" * 9_999, "status": "PAID", "amount_fiat": "NaN", "balance_fiat": 1, "txs": [{}]},
        {"external_id": "s", "status": "\ud800", "txs": [{"txid": {}, "crypto": [], "amount": "1e99999999"}]},
        sh_invoice("t", sh_tx(1, amount="9" * 4_000), sh_tx(2, amount="-1"), sh_tx(3, amount=None)),
    ]  # fmt: skip

    def handler(request: httpx.Request) -> httpx.Response:
        name = request.url.path.rsplit("/", 1)[1]
        rows = junk if name == "invoices" else [{}, {"txid": None, "crypto": 5}]
        return httpx.Response(200, content=json.dumps({"status": "success", name: rows}).encode())

    rows = claims(window(handler))
    assert len([row for row in rows if row["object"] == "invoice"]) == len(junk)
    assert all(set(str(row["problem"] or "").split()) <= set(CLAIM_PROBLEMS) for row in rows)
    assert {row["external_id"] for row in rows} >= {"107", None}


def test_rows_that_are_no_objects_make_the_reading_incomplete() -> None:
    handler = lambda _: httpx.Response(200, json={"status": "success", "invoices": [None], "transactions": []})  # noqa: E731
    reading = window(handler)
    assert "1 of 1 invoices" in str(covered(reading).problem)
    assert len(reading.gaps) == 1


# --- amounts -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "decimals", "expected"),
    [
        ("102", 6, (102_000_000, None)),
        ("99.7826087", 6, (None, "float_noise")),
        ("0.1000000001", 6, (100_000, None)),
        ("12.5000000000", 6, (12_500_000, None)),
        ("123456789.123456", 6, (123_456_789_123_456, None)),
        ("99999999999.9900054932", 6, (None, "float_noise")),
        ("102", 18, (102 * 10**18, None)),
        ("0.040800123", 18, (40_800_123_000_000_000, None)),
        ("0.0408001235", 18, (None, "float_noise")),
        ("1234567890123456", 18, (None, "float_noise")),
        ("0", 18, (0, None)),
        (0, 6, (0, None)),
        ("NaN", 6, (None, "amount_unreadable")),
        ("1e3", 6, (None, "amount_unreadable")),
        ("1_000", 6, (None, "amount_unreadable")),
        ("", 6, (None, "amount_unreadable")),
        (None, 6, (None, "amount_unreadable")),
        (True, 6, (None, "amount_unreadable")),
        ("-3", 6, (None, "amount_unreadable")),
        ("9" * 40, 6, (None, "float_noise")),
    ],
)
def test_an_amount_is_restored_exactly_or_not_at_all(text: Any, decimals: int, expected: tuple[Any, Any]) -> None:
    assert restore_units(text, decimals=decimals) == expected


@pytest.mark.parametrize("units", [1, 999_999, 12_345_678, 10**12 + 1, 999_999_999_999_999])
def test_what_sh_keeper_would_write_reads_back_the_same(units: int) -> None:
    written = f"{units / 10**6:.10f}".rstrip("0").rstrip(".")
    assert restore_units(written, decimals=6) == (units, None)


def test_coins_resolve_through_the_registry_and_can_be_added() -> None:
    coins = coins_of({**COINS, "SHADY-USDC": (1, "USDC"), "DOGE": (1, "DOGE")}, load_registry())
    assert coins["DOGE"].token is None
    assert coins["USDT"].token == load_registry().token(728126428, "USDT")
    assert coin_of(coins, chain_id=56, token=USDT_BSC.upper().replace("0X", "0x")) == "BNB-USDT"
    assert coin_of(coins, chain_id=1, token=None) is None
    assert coin_of(coins, chain_id=137, token=USDT_BSC) is None


# --- look-ups ----------------------------------------------------------------------------------------------------


def test_an_external_id_that_nobody_knows_is_not_found() -> None:
    reading = look_up(saved("invoices_empty.json"), in_key())
    assert (one(reading)["outcome"], one(reading)["state"], covered(reading, "lookup").complete) == (
        "not_found",
        None,
        True,
    )


@pytest.mark.parametrize(
    ("handler", "words"),
    [
        (saved("error_application.json"), "database is locked"),
        (saved("error_bad_key.json"), "does not accept the API key"),
        (saved("error_no_key.json"), "No API key"),
        (saved("route_not_found.json", status=404), "404"),
        (lambda _: httpx.Response(302, headers={"location": "/login"}), "redirect"),
        (lambda _: httpx.Response(200, html=payload("shkeeper", "login.html")), "web page"),
        (lambda _: httpx.Response(500, json={"code": 500, "status": "Internal Server Error"}), "500"),
        (lambda _: httpx.Response(200), "empty"),
        (lambda _: httpx.Response(200, json=[]), "no success"),
        (lambda _: httpx.Response(200, json={"status": "success"}), "without a list"),
        (
            lambda _: httpx.Response(200, json={"status": "success", "invoices": [sh_invoice("x")]}),
            "another external id",
        ),
    ],
)
def test_an_answer_that_cannot_be_used_is_failed_and_never_unpaid(handler: Handler, words: str) -> None:
    row = one(look_up(handler, in_key()))
    assert (row["outcome"], row["state"], row["external_id"]) == ("failed", None, "paid-1")
    assert words in row["error"]
    assert "Traceback" not in row["error"]


@pytest.mark.parametrize("external_id", ["with/slash", ".", "..", "a/../../crypto"])
def test_an_external_id_that_cannot_be_asked_is_failed_without_a_call(external_id: str) -> None:
    calls = Calls()
    row = one(look_up(calls.wrap(ShkeeperWorld().handler), in_key(external_id)))
    assert (row["outcome"], calls.paths) == ("failed", [])
    assert "cannot be read one by one" in row["error"]


@pytest.mark.parametrize("external_id", ["a b", "ä", "a?b=1", "a#1", "100%", "a&b", "a+b"])
def test_odd_external_ids_are_asked_for_as_they_are(external_id: str) -> None:
    with serve(ShkeeperWorld(invoices=[sh_invoice(external_id)]).handler) as url:
        settings = ShkeeperSettings(base_url=url, api_key=Secret("sh-test-key"), rate_per_s=100)
        reading = Shkeeper(settings, registry=load_registry()).look_up([in_key(external_id)], progress=no_progress)
    assert (one(reading)["outcome"], one(reading)["external_id"]) == ("found", external_id)


def test_several_invoices_are_several_claims_in_a_look_up_too() -> None:
    world = ShkeeperWorld(invoices=[sh_invoice("A"), sh_invoice("A", sh_tx(1), fiat="EUR")])
    rows = claims(look_up(world.handler, in_key("A")))
    assert [row["problem"] for row in rows] == ["several_invoices"] * 2


def test_many_look_ups_are_answered_from_one_table() -> None:
    calls = Calls()
    world = ShkeeperWorld(invoices=[sh_invoice(f"e{n}") for n in range(100)] + [sh_invoice("a/b")])
    keys = [in_key(f"e{n}") for n in range(50, 150)] + [in_key("a/b")]
    rows = claims(look_up(calls.wrap(world.handler), *keys))
    outcomes = [row["outcome"] for row in rows]
    assert (outcomes.count("found"), outcomes.count("not_found"), len(calls.paths)) == (51, 50, 1)


def test_a_table_that_cannot_be_read_fails_every_look_up() -> None:
    rows = claims(look_up(ShkeeperWorld(error="boom").handler, *[in_key(f"e{n}") for n in range(30)]))
    assert [row["outcome"] for row in rows] == ["failed"] * 30


def test_a_refused_key_fails_every_look_up_after_one_call() -> None:
    calls = Calls()
    keys = [in_key(f"e{n}") for n in range(10)] + [out_key(f"o{n}") for n in range(10)]
    reading = look_up(calls.wrap(ShkeeperWorld(api_key="other").handler), *keys)
    assert {row["outcome"] for row in claims(reading)} == {"failed"}
    assert len(calls.paths) == 1
    assert not covered(reading, "lookup").complete


def test_a_key_with_nothing_to_ask_by_and_one_too_many_get_a_row() -> None:
    keys = [in_key(None, payment_id="q"), in_key("a"), in_key("b"), in_key("a", payment_id="other")]
    rows = claims(look_up(ShkeeperWorld().handler, *keys, lookups_max=1))
    assert {(row["claim_id"], row["outcome"]) for row in rows} == {
        ("payment:q", "failed"), ("a", "not_found"), ("b", "failed"),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "state", "problem", "units"),
    [
        ("payout_success.json", "paid", None, 12_500_000),
        ("payout_in_progress.json", "processing", "in_progress_may_be_stale", None),
        ("payout_fail.json", "failed", None, None),
    ],
)
def test_each_saved_payout_has_its_state(name: str, state: str, problem: str | None, units: int | None) -> None:
    row = one(look_up(saved(name), out_key()))
    assert (row["object"], row["state"], row["problem"], row["paid_units"]) == ("payout", state, problem, units)
    assert (row["chain_id"], row["token"], row["recipient"]) == (1, USDC_ETH, "0x" + "cd" * 20)


def test_a_payout_is_asked_by_coin_and_external_id_and_names_its_hash() -> None:
    calls = Calls()
    reading = look_up(calls.wrap(saved("payout_success.json")), out_key(direction="refund"))
    assert calls.paths == ["/api/v1/ETH-USDC/payout/status?external_id=out-1"]
    (tx,) = reading.tables["claim_txs"].to_pylist()
    assert (tx["tx_hash"], tx["amount_units"], tx["confirmed"]) == ("0x" + "d" * 64, 12_500_000, True)


@pytest.mark.parametrize(
    ("handler", "outcome"),
    [
        (saved("payout_not_found.json", status=404), "not_found"),
        (saved("route_not_found.json", status=404), "failed"),
        (lambda _: httpx.Response(400, json={"error": "external_id is required"}), "failed"),
        (lambda _: httpx.Response(200, json={"status": "error", "message": "DB error"}), "failed"),
        (lambda _: httpx.Response(200, json={"id": 7}), "failed"),
        (lambda _: httpx.Response(200, json={"status": "SUCCESS", "external_id": "other"}), "failed"),
    ],
)
def test_only_a_404_about_the_payout_is_not_found(handler: Handler, outcome: str) -> None:
    assert one(look_up(handler, out_key()))["outcome"] == outcome


def test_a_payout_word_that_nobody_knows_is_unknown_and_quoted() -> None:
    body = {**payload("shkeeper", "payout_success.json"), "status": "QUEUED"}
    row = one(look_up(lambda _: httpx.Response(200, json=body), out_key()))
    assert (row["state"], row["state_raw"], row["problem"]) == ("unknown", "QUEUED", "unknown_word")


def test_a_payout_in_an_unknown_coin_is_failed_with_the_way_out() -> None:
    row = one(look_up(ShkeeperWorld().handler, out_key(token="0x" + "9" * 40)))
    assert (row["outcome"], "add it to the coins" in row["error"]) == ("failed", True)


# --- check, and a real socket ------------------------------------------------------------------------------------


def test_check_says_that_it_can_be_used() -> None:
    said = source_of(ShkeeperWorld().handler).check()
    assert "accepts the key" in said
    assert "coins online: BNB-USDC, BNB-USDT, ETH-USDC" in said


@pytest.mark.parametrize("health_path", ["/healthz", "/api/v1/healthcheck"])
def test_a_health_path_may_be_configured_and_falls_back_where_it_does_not_exist(health_path: str) -> None:
    calls = Calls()

    def handler(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, text="ok") if request.url.path == "/healthz" else ShkeeperWorld().handler(request)

    assert "accepts" in source_of(calls.wrap(handler), health_path=health_path).check()
    assert ("/api/v1/crypto" in calls.paths) == (health_path != "/healthz")
    with pytest.raises(ConfigError, match="health_path"):
        source_of(handler, health_path="healthz")


def test_check_names_a_refused_key_and_the_way_out() -> None:
    with pytest.raises(CredentialsRefusedError, match=r"Bad API key.*Set a key") as caught:
        source_of(ShkeeperWorld(api_key="other").handler).check()
    assert "sh-test-key" not in str(caught.value)


@pytest.mark.parametrize(
    "world",
    [ShkeeperWorld(login_redirect=True), ShkeeperWorld(error="no such table")],
)
def test_check_refuses_what_cannot_be_read(world: ShkeeperWorld) -> None:
    with pytest.raises(ProviderUnusableError, match="Check base_url"):
        source_of(world.handler).check()


def test_a_gateway_is_read_over_a_real_socket_through_sickness() -> None:
    world = ShkeeperWorld(
        invoices=[sh_invoice(f"e{n}", sh_tx(n)) for n in range(1, 500)],
        payouts={("ETH-USDC", "out-1"): payload("shkeeper", "payout_success.json")},
    )
    with serve(with_faults(world.handler, Faults(seed=5, sick=0.2, cut=0.2))) as url:
        settings = ShkeeperSettings(base_url=url, api_key=Secret("sh-test-key"), rate_per_s=100, retries_max=8)
        source = Shkeeper(settings, registry=load_registry())
        reading = source.read_window(0, 1, progress=no_progress)
        single = source.look_up([in_key("e7"), out_key()], progress=no_progress)
    assert (covered(reading).complete, len(claims(reading))) == (True, 499)
    assert [row["state"] for row in claims(single)] == ["paid", "paid"]


def test_a_redirect_to_the_login_page_is_not_followed_over_a_real_socket() -> None:
    calls = Calls()
    with serve(calls.wrap(ShkeeperWorld(login_redirect=True).handler)) as url:
        source = Shkeeper(ShkeeperSettings(base_url=url, api_key=Secret("k"), rate_per_s=100), registry=load_registry())
        reading = source.read_window(0, 1, progress=no_progress)
    assert "redirect" in str(covered(reading).problem)
    assert calls.to("/login") == 0


def test_a_success_that_names_no_payout_is_failed() -> None:
    reading = look_up(lambda request: httpx.Response(200, json={"status": "success"}), out_key())
    assert one(reading)["outcome"] == "failed"
