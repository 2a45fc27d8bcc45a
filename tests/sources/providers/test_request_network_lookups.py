"""Request Network: single look-ups, the check of the key, and a real socket."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from recon.core.errors import WrongSourceError
from recon.core.registry import load_registry
from recon.sources.http import Secret
from recon.sources.interface import ClaimKey, no_progress
from recon.sources.providers.polite import CredentialsRefusedError, ProviderUnusableError
from recon.sources.providers.request_network.api import RequestNetwork, RequestNetworkSettings
from tests.support.asking_request_network import (
    FROM_MS,
    TO_MS,
    answering,
    claims,
    covered,
    key_of,
    look_up,
    one,
    source_of,
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
    rn_request,
    rn_request_id,
    serve,
    with_faults,
)

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
