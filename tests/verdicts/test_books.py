"""Money in the books of its own provider: their word is the only proof, and what they lack is an answer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from recon.core.model import HELD, Policy
from recon.core.registry.off_chain import OFF_CHAIN, currency_token
from tests.support.builders import NOW_MS, claim_row, payment_id, payment_row
from tests.support.judging import counts, verdicts

USD = currency_token("USD").address
BOOKS = Policy(providers=("whmcs",), chain_ids=(OFF_CHAIN,), provider_proves=(f"whmcs:{OFF_CHAIN}",))
ME = payment_id(1)
HOUR_MS = 3_600_000


def row(number: int = 1, **given: Any) -> dict[str, Any]:
    told: dict[str, Any] = {
        "provider": "whmcs", "provider_raw": "whmcs", "chain_id": OFF_CHAIN, "token": USD, "decimals": 2,
        "currency": "USD", "recipient": None, "is_deposit": False, "reference": None, "reference_topic": None,
        "request_id": None, "external_id": str(number), "tx_hash": None, "confirmations": None, "escrow_state": None,
        "expected_units": 10_000, "covered_from_units": 10_000, "overpaid_from_units": 10_001, "status": "pending",
        "status_raw": "pending", "created_at": NOW_MS - HOUR_MS, "dated_at": NOW_MS - HOUR_MS, "expires_at": None,
    }  # fmt: skip
    return payment_row(number, **told | given)


def said(number: int = 1, **given: Any) -> dict[str, Any]:
    told: dict[str, Any] = {
        "provider": "whmcs", "object": "invoice", "claim_id": str(number), "external_id": str(number),
        "request_id": None, "reference": None, "reference_topic": None, "recipient": None, "chain_id": OFF_CHAIN,
        "token": USD, "state": "paid", "state_raw": "Paid", "paid_units": 10_000, "tx_hashes": None,
    }  # fmt: skip
    return claim_row(number, **told | given)


def missing(**given: Any) -> dict[str, Any]:
    return said(outcome="not_found", state=None, state_raw=None, paid_units=None, token=None, chain_id=None, **given)


def told(*claims: dict[str, Any], coverage: Any = (), **given: Any) -> dict[str, Any]:
    return {"payments": [row(**given)], "claims": list(claims), "claim_txs": [], "coverage": list(coverage)}


DONE = {"status": "completed", "status_raw": "completed"}
OPEN: dict[str, Any] = {}


@pytest.mark.parametrize(
    ("given", "claim", "verdict"),
    [
        (OPEN, said(), "local_behind"),
        (OPEN, said(paid_units=9_999), "underpaid"),
        (OPEN, said(state="partial", state_raw="Unpaid", paid_units=1), "underpaid"),
        (OPEN, said(paid_units=0), "provider_ahead"),
        (OPEN, said(paid_units=None), "unproven"),
        (OPEN, said(token=currency_token("EUR").address), "unproven"),
        (OPEN, said(chain_id=56), "unproven"),
        (OPEN, said(recipient="0x" + "e" * 40), "unproven"),
        (OPEN, said(problem="state_conflict"), "unproven"),
        (OPEN, said(state="unpaid", state_raw="Unpaid"), "unproven"),
        (OPEN, said(state="processing", state_raw="Payment Pending", paid_units=0), "unproven"),
        (DONE, said(state="unpaid", state_raw="Unpaid", paid_units=0), "local_ahead"),
        (DONE, said(state="cancelled", state_raw="Cancelled", paid_units=0), "local_ahead"),
        (DONE, missing(), "local_ahead"),
        (DONE, said(paid_units=0), "provider_ahead"),
        (DONE, said(paid_units=9_999), "underpaid"),
        (DONE, said(state="overpaid", paid_units=10_001), "overpaid"),
        (DONE, said(state="refunded", state_raw="Refunded", paid_units=0), "refund_drift"),
        (DONE, said(outcome="failed", state=None, state_raw=None, paid_units=None, error="away"), "lookup_failed"),
        ({"status": "cancelled", "status_raw": "cancelled"}, said(), "coordinator_blocked"),
        ({"status": "refunded", "status_raw": "refunded"}, said(state="partial", paid_units=7_000), "underpaid"),
        ({"status": "refunded", "status_raw": "refunded"}, said(), "refund_drift"),
        ({**OPEN, "hold": True}, said(), "dispute_hold"),
    ],
)
def test_the_word_of_the_books_is_weighed_with_the_row(given: Any, claim: Any, verdict: str) -> None:
    assert verdicts(told(claim, **given), policy=BOOKS) == {ME: verdict}


@pytest.mark.parametrize(
    ("given", "claim", "verdict"),
    [
        (DONE, said(), "in_sync"),
        (OPEN, said(state="unpaid", state_raw="Unpaid", paid_units=0), "in_transit"),
        (OPEN, missing(), "in_transit"),
        ({"status": "refunded", "status_raw": "refunded"}, said(state="refunded", paid_units=0), "in_sync"),
    ],
)
def test_what_agrees_is_no_break_and_no_escrow_state_is_missed(given: Any, claim: Any, verdict: str) -> None:
    assert counts(told(claim, **given), policy=BOOKS) == {verdict: 1}


@pytest.mark.parametrize("engine", ["polars", "duckdb"])
def test_every_engine_says_the_same(engine: str) -> None:
    rows = told(said(), said(2, paid_units=0), missing(claim_id="3", external_id="3"))
    rows["payments"] = [row(1), row(2), row(3, **DONE), row(4)]
    expected = ["local_behind", "provider_ahead", "local_ahead", "lookup_failed"]
    assert verdicts(rows, policy=BOOKS, engine=engine) == {
        payment_id(number): verdict for number, verdict in enumerate(expected, start=1)
    }


YOUNG = {"created_at": NOW_MS - 600_000, "dated_at": NOW_MS - 600_000, "updated_at": NOW_MS - 600_000}
LONG_AGO = {"updated_at": NOW_MS - HOUR_MS}


@pytest.mark.parametrize("state", sorted(HELD))
@pytest.mark.parametrize(
    ("given", "verdict"),
    [
        (LONG_AGO, "stuck_pending"), (YOUNG, "in_transit"), (DONE | LONG_AGO, "local_ahead"),
        ({"hold": True} | LONG_AGO, "stuck_pending"),
    ],
)  # fmt: skip
def test_what_waits_for_the_provider_is_stuck_after_half_an_hour(state: str, given: Any, verdict: str) -> None:
    held = told(said(state=state, state_raw="Pending Review", paid_units=0), **given)
    assert counts(held, policy=BOOKS) == {verdict: 1}
    odd = told(said(state=state, state_raw="Pending Review", paid_units=5_000), **given)
    assert counts(odd, policy=BOOKS) == {"unproven": 1}, "what is held is not delivered in part"


def test_a_chain_is_still_to_be_searched_where_a_provider_holds_a_payment() -> None:
    """Where money moves on a chain, what the provider waits for proves nothing of it."""
    rows = {"payments": [payment_row(1, status="pending")], "claims": [claim_row(1, state="held_review")]}
    assert verdicts({**rows, "claim_txs": [], "coverage": []})[ME] != "stuck_pending"


def test_an_order_and_its_invoice_do_not_compete() -> None:
    """Of both it is told that 100.00 are there: in one it is money, in the other what was delivered for it."""
    deal = {"buyer_id": "b", "order_id": "o", "offer_id": "f", **DONE}
    rows = told(said(), said(2))
    rows["payments"] = [row(1, **deal), row(2, **deal)]
    assert set(verdicts(rows, policy=BOOKS).values()) == {"competing_payment"}
    orders = {"provider": "salesforce", "provider_raw": "salesforce"}
    rows = told(said(), said(2, provider="salesforce", object="order"))
    rows["payments"] = [row(1, **deal), row(2, **deal, **orders)]
    proves = (*BOOKS.provider_proves, f"salesforce:{OFF_CHAIN}")
    both = replace(BOOKS, providers=("salesforce", "whmcs"), provider_proves=proves)
    assert counts(rows, policy=both) == {"in_sync": 2}


def test_two_objects_of_one_payment_are_no_word() -> None:
    assert verdicts(told(said(), said(claim_id="9")), policy=BOOKS) == {ME: "unproven"}


def whole(source: str) -> dict[str, Any]:
    from_ms = NOW_MS - 24 * HOUR_MS
    span = {"asked_from": from_ms, "asked_to": NOW_MS, "done_from": from_ms, "done_to": NOW_MS}
    return {"source": source, "scope": "bulk", "complete": True, "chain_id": None, **span}


def test_silence_is_an_answer_only_of_a_window_that_is_whole() -> None:
    assert verdicts(told(coverage=[whole("whmcs")], **DONE), policy=BOOKS) == {ME: "local_ahead"}
    assert verdicts(told(**DONE), policy=BOOKS) == {ME: "lookup_failed"}


def test_books_prove_nothing_for_a_provider_that_keeps_none() -> None:
    policy = Policy(providers=("shkeeper",), chain_ids=(OFF_CHAIN,))
    other = {"provider": "shkeeper", "provider_raw": "shkeeper"}
    assert verdicts(told(coverage=[whole("shkeeper")], **DONE, **other), policy=policy) == {ME: "unproven"}
