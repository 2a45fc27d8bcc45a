"""Relayr: bundles that are listed short and in any order, states in three spellings, and an address that may be wrong.

Each trap and each drift that the facts name, and the test that holds it:

====================================================== =============================================================
the state is an object, and plain text in one reading  test_a_state_is_read_in_every_spelling
``Success``, ``Completed``, in lower case              test_a_state_is_read_in_every_spelling
the hash stands in four places                         test_a_hash_is_found_wherever_it_stands
a part is listed twice                                 test_a_part_that_is_listed_twice_counts_once
a list is shuffled                                     test_the_order_of_the_list_is_no_news
a list is short for a while, or empty                  test_an_empty_list_is_no_success
one chain through, one not                             test_parts_that_went_apart_are_split
one part over while others are open                    test_a_part_that_is_over_ends_nothing_while_others_are_open
one hash for two entries                               test_one_transaction_for_two_parts_is_believed_of_neither
404 once, twice, three times                           test_a_bundle_is_unknown_only_when_it_is_said_three_times
the wrong environment: 404 for all                     test_no_bundle_known_at_all_doubts_the_address
an answer about another bundle                         test_an_answer_about_another_bundle_is_none
``payment_received`` false, before and past its end    test_what_was_never_paid_ends_and_is_not_cancelled_before
the server adds ``gas_limit``                          test_the_gas_is_no_part_of_the_call
429 with and without Retry-After, 5xx, HTML, cut       test_a_sick_relay_is_a_failure_and_never_a_no
a hang                                                 test_it_keeps_the_promises_of_a_provider_also_when_it_is_cut
``tx_uuids`` or ``txn_uuids``                          answers to a POST, which recon never makes
an error as reason, error, message or plain text       test_an_error_is_quoted_in_whichever_field_it_stands
only GET is ever asked                                 the look-alike refuses anything else
a word that nobody knows                               test_an_unknown_word_is_quoted_and_not_folded
a bundle id that is none                               test_what_is_no_id_is_not_asked_about
drift 1: the poller's reading of the state             test_a_state_is_read_in_every_spelling; end to end: timed_out
drift 2: an empty list counts as success               test_an_empty_list_is_no_success; end to end: empty
drift 3: a lost answer leaves no bundle id             end to end: lost, queued
drift 4: a half-landed bundle is called failed         test_parts_that_went_apart_are_split; end to end: half
drift 5: a forwarder's nonce of 0                      test_a_bundle_of_which_all_reverted_has_failed
drift 6: cash_out writes more than its row             end to end: cash_out
====================================================== =============================================================

The chain's side (``Pay``, other emitters, zero amounts, two logs) is in ``tests/sources/chain/test_terminals.py``, the
judging in ``tests/verdicts/test_sent.py``, the rest in ``tests/end_to_end/test_relayr.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from recon.core.errors import SourceError
from recon.core.ids import call_digest
from recon.core.registry import load_registry
from recon.sources.http import Clock
from recon.sources.interface import ClaimKey, Reading, no_progress
from recon.sources.providers.installed import providers
from recon.sources.providers.relayr.api import Relayr, RelayrSettings
from recon.testing import check_provider
from tests.support.provider_servers import FakeClock, Handler, in_memory
from tests.support.relayr_server import Bundle, Entry, RelayrServer, bundle_uuid, call_of

HASH = "0x" + "f1" * 32
OTHER = "0x" + "f2" * 32
USDC = {8453: "0x833589fcd6edb6e08f4c7c32d4f71b54bda02913", 10: "0x0b2c639c533813f4aa9d7837caf62653d097ff85"}
PAST = "2026-11-01T00:00:00Z"


def source_of(handler: Handler, **settings: Any) -> Relayr:
    fake = FakeClock()
    return Relayr(
        RelayrSettings(**{"base_url": "https://relay.test", **settings}),
        registry=load_registry(),
        transport=in_memory(handler),
        clock=Clock(now_ms=fake.now_ms, monotonic=fake.monotonic, sleep=fake.sleep),
    )


def key_of(bundle_id: str | None, number: int = 1) -> ClaimKey:
    return ClaimKey(f"p{number}", external_id=bundle_id, chain_id=8453, token=USDC[8453])


def looked_up(server: RelayrServer, *bundle_ids: str | None, **settings: Any) -> Reading:
    keys = [key_of(each, number) for number, each in enumerate(bundle_ids, start=1)]
    return source_of(server.handler, **settings).look_up(keys, progress=no_progress)


def told_of(*entries: Entry, **bundle: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The claim of one bundle, and its transactions."""
    server = RelayrServer()
    reading = looked_up(server, server.add(Bundle(entries=entries, **bundle)))
    (claim,) = reading.tables["claims"].to_pylist()
    return claim, reading.tables["claim_txs"].to_pylist()


def done(chain: int = 8453, *, tx_hash: str | None = HASH, state: str = "Success", **given: Any) -> Entry:
    return Entry(call_of(chain), states=(state,), tx_hash=tx_hash, **given)


def test_it_keeps_the_promises_of_a_provider_also_when_it_is_cut() -> None:
    server = RelayrServer()
    keys = [key_of(server.add(Bundle(entries=(done(),))), number) for number in range(4)]
    check_provider(providers()["relayr"], answers=server.handler, known=keys)


@pytest.mark.parametrize("shape", ["object", "text"])
@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("Success", "paid"), ("Completed", "paid"), ("success", "paid"), ("COMPLETED", "paid"),
        ("Reverted", "failed"), ("Cancelled", "failed"), ("Invalid", "failed"), ("failed", "failed"),
        ("Pending", "processing"), ("Mempool", "processing"), ("Included", "processing"), ("Resend", "processing"),
        ("Cancel", "processing"),
    ],
)  # fmt: skip
def test_a_state_is_read_in_every_spelling(word: str, state: str, shape: Any) -> None:
    claim, txs = told_of(done(state=word, shape=shape))
    assert (claim["outcome"], claim["state"], claim["problem"]) == ("found", state, None)
    assert [tx["confirmed"] for tx in txs] == [state == "paid"]


@pytest.mark.parametrize("place", ["data", "transaction", "tx_hash", "txHash"])
def test_a_hash_is_found_wherever_it_stands(place: Any) -> None:
    claim, txs = told_of(done(place=place))
    assert claim["tx_hashes"] == HASH
    assert [(tx["chain_id"], tx["tx_hash"], tx["token"]) for tx in txs] == [(8453, HASH, USDC[8453])]


def test_the_order_of_the_list_is_no_news() -> None:
    entries = (done(), done(10, tx_hash=OTHER), Entry(call_of(8453, data="0x01"), states=("Pending",)))
    told = []
    for seed in range(6):
        server = RelayrServer(seed=seed)
        told.append(looked_up(server, server.add(Bundle(entries=entries))).tables)
    assert all(each["claims"].drop(["looked_up_at"]) == told[0]["claims"].drop(["looked_up_at"]) for each in told)
    assert all(each["claim_txs"] == told[0]["claim_txs"] for each in told)
    assert {tx["token"] for tx in told[0]["claim_txs"].to_pylist()} == set(USDC.values())


def test_a_part_that_is_listed_twice_counts_once() -> None:
    """An answer that a proxy glued together, or a page that overlaps: the same id with the same words is one part."""
    server = RelayrServer()
    bundle_id = server.add(Bundle(entries=(done(), done(10, tx_hash=OTHER))))

    def twice(request: httpx.Request) -> httpx.Response:
        body = server.handler(request).json()
        return httpx.Response(200, json={**body, "transactions": body["transactions"] * 2})

    once, again = (
        source_of(handler).look_up([key_of(bundle_id)], progress=no_progress).tables
        for handler in (server.handler, twice)
    )
    assert again["claims"].drop(["looked_up_at"]) == once["claims"].drop(["looked_up_at"])
    assert again["claim_txs"] == once["claim_txs"]
    assert again["claims"].to_pylist()[0]["state"] == "paid"


def test_an_empty_list_is_no_success() -> None:
    claim, txs = told_of()
    assert (claim["state"], claim["tx_hashes"], txs) == ("processing", None, [])


def test_parts_that_went_apart_are_split() -> None:
    claim, txs = told_of(done(), done(10, tx_hash=OTHER, state="Reverted"))
    assert claim["state"] == "split"
    assert sorted(tx["chain_id"] for tx in txs) == [10, 8453]


def test_a_part_that_is_over_ends_nothing_while_others_are_open() -> None:
    claim, _ = told_of(done(state="Reverted"), Entry(call_of(10), states=("Pending",)))
    assert claim["state"] == "processing"


def test_a_bundle_of_which_all_reverted_has_failed() -> None:
    claim, _ = told_of(done(state="Reverted"), done(10, tx_hash=OTHER, state="Cancelled"))
    assert claim["state"] == "failed"


def test_one_transaction_for_two_parts_is_believed_of_neither() -> None:
    claim, txs = told_of(done(), Entry(call_of(8453, data="0x01"), tx_hash=HASH))
    assert (claim["state"], claim["problem"], txs) == ("unknown", "shared_tx", [])


def test_parts_without_a_transaction_are_told_all_the_same() -> None:
    _, txs = told_of(*(Entry(call_of(8453, data=f"0x0{n}"), states=("Pending",)) for n in range(3)))
    assert [(tx["tx_hash"], tx["confirmed"]) for tx in txs] == [(None, False)] * 3


def test_two_hashes_for_one_part_are_none() -> None:
    server = RelayrServer()
    bundle_id = server.add(Bundle(entries=(done(),)))

    def two(request: httpx.Request) -> httpx.Response:
        body = server.handler(request).json()
        body["transactions"][0]["tx_hash"] = OTHER
        return httpx.Response(200, json=body)

    reading = source_of(two).look_up([key_of(bundle_id)], progress=no_progress)
    (claim,) = reading.tables["claims"].to_pylist()
    assert claim["problem"] == "state_conflict"
    assert claim["tx_hashes"] is None


@pytest.mark.parametrize(("times", "outcome"), [(0, "found"), (1, "found"), (2, "found"), (-1, "not_found")])
def test_a_bundle_is_unknown_only_when_it_is_said_three_times(times: int, outcome: str) -> None:
    server = RelayrServer()
    bundle_id = server.add(Bundle(entries=(done(),), unknown=times))
    (claim,) = looked_up(server, bundle_id).tables["claims"].to_pylist()
    assert claim["outcome"] == outcome
    assert len(server.asked) == (3 if times < 0 else times + 1)


def test_no_bundle_known_at_all_doubts_the_address() -> None:
    server = RelayrServer()
    reading = looked_up(server, *(bundle_uuid(number) for number in range(1, 5)))
    assert {row["outcome"] for row in reading.tables["claims"].to_pylist()} == {"failed"}
    assert "base_url" in str(reading.coverage[0].problem)
    known = server.add(Bundle(entries=(done(),)))
    outcomes = [row["outcome"] for row in looked_up(server, known, bundle_uuid(7)).tables["claims"].to_pylist()]
    assert sorted(outcomes) == ["found", "not_found"]


def test_an_answer_about_another_bundle_is_none() -> None:
    claim, txs = told_of(done(), says=bundle_uuid(77))
    assert (claim["outcome"], claim["state"], txs) == ("failed", None, [])
    assert bundle_uuid(77) in claim["error"]


def test_what_was_never_paid_ends_and_is_not_cancelled_before() -> None:
    claim, _ = told_of(payment_received=False)
    assert (claim["state"], claim["problem"]) == ("unpaid", None)
    claim, _ = told_of(payment_received=False, expires_at=PAST)
    assert (claim["state"], claim["problem"]) == ("failed", "ended_unpaid")
    claim, _ = told_of(payment_received=True, expires_at=PAST)
    assert claim["state"] == "processing"
    claim, _ = told_of(done(), payment_received=False, expires_at=PAST)
    assert (claim["state"], claim["problem"]) == ("unknown", "state_conflict")


def test_the_gas_is_no_part_of_the_call() -> None:
    calls = {told_of(Entry({**call_of(8453), "gas_limit": gas}, tx_hash=HASH))[1][0]["call"] for gas in ("1", "9")}
    spelled = {"target": "0x" + "AA" * 20, "value": "0x0", "data": "0x"}
    calls.add(told_of(Entry({**call_of(8453), **spelled}, tx_hash=HASH))[1][0]["call"])
    assert calls == {call_digest("0x" + "aa" * 20, "0x", value_wei=0)}


@pytest.mark.parametrize("change", [{"target": "nobody"}, {"data": "0xabc"}, {"value": "-1"}, {"value": "9" * 90}])
def test_a_call_that_is_not_told_whole_is_none(change: dict[str, str]) -> None:
    _, (tx,) = told_of(Entry({**call_of(8453), **change}, tx_hash=HASH))
    assert tx["call"] is None


def test_an_unknown_word_is_quoted_and_not_folded() -> None:
    claim, _ = told_of(done(state="Teleported"))
    assert (claim["state"], claim["state_raw"], claim["problem"]) == ("unknown", "teleported", "unknown_word")


def test_what_is_no_id_is_not_asked_about() -> None:
    server = RelayrServer()
    reading = looked_up(server, "bundle-17", None)
    assert [row["outcome"] for row in reading.tables["claims"].to_pylist()] == ["failed", "failed"]
    assert not server.asked
    assert not reading.coverage[0].complete


SICK: dict[str, Callable[[], httpx.Response]] = {
    "500": lambda: httpx.Response(500, json={"message": "Internal Server Error"}),
    "html": lambda: httpx.Response(200, text="<html>soon back</html>", headers={"content-type": "text/html"}),
    "429": lambda: httpx.Response(429, json={"error": "slow down"}),
    "429 with Retry-After": lambda: httpx.Response(429, headers={"retry-after": "2"}, json={}),
    "list": lambda: httpx.Response(200, json=[]),
    "no list inside": lambda: httpx.Response(200, json={"bundle_uuid": bundle_uuid(1)}),
    "no id": lambda: httpx.Response(200, json={"transactions": []}),
    "numbers for parts": lambda: httpx.Response(200, json={"bundle_uuid": bundle_uuid(1), "transactions": [1]}),
    "cut": lambda: httpx.Response(200, json={"bundle_uuid": bundle_uuid(1)}, extensions={"cut": 4}),
}


@pytest.mark.parametrize("kind", SICK)
def test_a_sick_relay_is_a_failure_and_never_a_no(kind: str) -> None:
    server = RelayrServer(sick=[SICK[kind]() for _ in range(60)])
    reading = looked_up(server, server.add(Bundle(entries=(done(),))))
    (claim,) = reading.tables["claims"].to_pylist()
    assert (claim["outcome"], claim["state"]) == ("failed", None)
    assert not reading.coverage[0].complete


@pytest.mark.parametrize("kind", ["500", "429", "429 with Retry-After", "cut"])
def test_a_relay_that_was_sick_for_a_moment_is_asked_again(kind: str) -> None:
    server = RelayrServer(sick=[SICK[kind]() for _ in range(2)])
    (claim,) = looked_up(server, server.add(Bundle(entries=(done(),)))).tables["claims"].to_pylist()
    assert (claim["outcome"], claim["state"]) == ("found", "paid")


@pytest.mark.parametrize(
    "body", [{"json": {"reason": "too odd"}}, {"json": {"error": "too odd"}}, {"json": {"message": "too odd"}}]
)
def test_an_error_is_quoted_in_whichever_field_it_stands(body: dict[str, Any]) -> None:
    server = RelayrServer(sick=[httpx.Response(422, **body)])
    (claim,) = looked_up(server, bundle_uuid(1)).tables["claims"].to_pylist()
    assert "too odd" in claim["error"]


def test_a_relay_that_is_down_is_not_asked_for_every_bundle() -> None:
    server = RelayrServer(sick=[SICK["500"]() for _ in range(500)])
    reading = looked_up(server, *(bundle_uuid(number) for number in range(1, 51)))
    assert {row["outcome"] for row in reading.tables["claims"].to_pylist()} == {"failed"}
    assert len(server.asked) < 60


def test_more_look_ups_than_allowed_are_failures() -> None:
    server = RelayrServer()
    ids = [server.add(Bundle(entries=(done(),))) for _ in range(3)]
    reading = looked_up(server, *ids, lookups_max=2)
    assert sorted(row["outcome"] for row in reading.tables["claims"].to_pylist()) == ["failed", "found", "found"]


def test_check_says_whether_a_relay_answers() -> None:
    assert "answers" in source_of(RelayrServer().handler).check()
    for kind in ("500", "html", "list"):
        with pytest.raises(SourceError, match="base_url"):
            source_of(RelayrServer(sick=[SICK[kind]() for _ in range(60)]).handler).check()
