"""Payments whose provider sends their transactions: what the calls prove, on one chain and on several."""

from __future__ import annotations

from typing import Any

import pytest

from recon.core.model import Policy
from recon.sources.providers.installed import rails_that_send
from tests.support.builders import (
    CHAIN,
    UNITS,
    USDC,
    Row,
    claim_row,
    claim_tx_row,
    payment_id,
    payment_row,
    transaction_row,
    transfer_row,
)
from tests.support.judging import judgement_of, together, verdicts

RAIL = rails_that_send()[0]
AWAY = 8453
THERE = "0x833589fcd6edb6e08f4c7c32d4f71b54bda02913"
TERMINAL = "0x" + "7e" * 20
P1, P2 = payment_id(1), payment_id(2)
ENGINES = ["polars", "duckdb"]


def call(number: int) -> str:
    return "0x" + f"{number:064x}"


def row(number: int = 1, **given: object) -> Row:
    defaults: Row = {
        "provider": RAIL, "provider_raw": RAIL, "recipient": None, "reference": None, "reference_topic": None,
        "request_id": None, "external_id": f"bundle-{number}", "confirmations": None, "order_id": None,
    }  # fmt: skip
    return payment_row(number, **{**defaults, **given})


def part(
    number: int, *, tx: int, chain: int = CHAIN, token: str = USDC, units: int = UNITS, **given: Any
) -> dict[str, list[Row]]:
    """What is told of one part of a bundle, and what its chain says: ``outcome``, ``makes`` (call), ``paid``."""
    tx_hash = "0x" + f"{tx:064x}"
    outcome = given.get("outcome", "success")
    claimed = claim_tx_row(
        number, provider=RAIL, claim_id=f"bundle-{number}", request_id=None, external_id=f"bundle-{number}",
        chain_id=chain, tx_hash=tx_hash, call=call(tx), token=token, recipient=None, amount_units=None,
    )  # fmt: skip
    said = transaction_row(number, chain_id=chain, tx_hash=tx_hash, outcome=outcome, call=given.get("makes", call(tx)))
    paid = transfer_row(
        number, chain_id=chain, tx_hash=tx_hash, kind="terminal", emitter=TERMINAL, recipient=TERMINAL, token=token,
        amount_units=units, moved_units=units, reference_topic=None, final=given.get("final", True),
    )  # fmt: skip
    has_money = outcome == "success" and given.get("paid", True)
    return {
        "claim_txs": [claimed],
        "transactions": [said] if outcome != "unasked" else [],
        "transfers": [paid] if has_money else [],
    }


def claim(number: int = 1, state: str = "paid", **given: object) -> dict[str, list[Row]]:
    defaults: Row = {
        "provider": RAIL, "claim_id": f"bundle-{number}", "object": "bundle", "request_id": None, "reference": None,
        "reference_topic": None, "external_id": f"bundle-{number}", "state": state, "paid_units": None,
        "created_at": None,
    }  # fmt: skip
    return {"claims": [claim_row(number, **{**defaults, **given})]}


def judged(*parts: dict[str, list[Row]], engine: str = "polars") -> dict[str, str]:
    return verdicts(together(*parts), engine=engine, policy=Policy(providers=(RAIL,)))


def open_row(number: int = 1, **given: object) -> dict[str, list[Row]]:
    return {"payments": [row(number, status="pending", escrow_state=None, tx_hash=None, **given)]}


@pytest.mark.parametrize("engine", [*ENGINES, "pandas"])
def test_money_in_the_very_call_that_was_told_proves_the_payment(engine: str) -> None:
    one = (open_row(), claim(), part(1, tx=1))
    assert judged(*one, engine=engine) == {P1: "local_behind"}
    two = (
        open_row(),
        claim(),
        part(1, tx=1, units=UNITS - 5, token=USDC),
        part(1, tx=2, units=5, chain=AWAY, token=THERE),
    )
    assert judged(*two, engine=engine) == {P1: "local_behind"}


def test_the_hash_that_is_recorded_is_that_of_the_payments_own_chain() -> None:
    home, away = part(1, tx=1, units=5), part(1, tx=2, units=UNITS - 5, chain=AWAY, token=THERE)
    rows = together(open_row(), claim(), home, away)
    for engine in ENGINES:
        (found,) = judgement_of(rows, engine=engine, policy=Policy(providers=(RAIL,))).breaks.to_pylist()
        assert found["proof_tx"] == home["claim_txs"][0]["tx_hash"]
        assert found["received_final"] == UNITS


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("given", "verdict"),
    [
        ({"makes": call(99)}, "provider_ahead"),
        ({"paid": False}, "provider_ahead"),
        ({"outcome": "reverted"}, "provider_ahead"),
        ({"outcome": "not_found"}, "provider_ahead"),
        ({"outcome": "failed"}, "lookup_failed"),
        ({"outcome": "unasked"}, "lookup_failed"),
        ({"makes": None}, "lookup_failed"),
        ({"units": UNITS - 1}, "underpaid"),
        ({"final": False}, "stuck_pending"),
    ],
)
def test_a_hash_alone_proves_nothing(given: dict[str, Any], verdict: str, engine: str) -> None:
    assert judged(open_row(), claim(), part(1, tx=1, **given), engine=engine) == {P1: verdict}


@pytest.mark.parametrize("status", ["pending", "failed", "completed"])
@pytest.mark.parametrize("fate", ["reverted", "not_found", "failed", "unasked", "pending"])
def test_a_half_landed_payment_is_never_corrected_by_itself_whatever_is_known_of_its_other_half(
    status: str, fate: str
) -> None:
    home = {"payments": [row(status=status, escrow_state="funded" if status == "completed" else None, tx_hash=None)]}
    found = judged(home, claim(), part(1, tx=1), part(1, tx=2, chain=AWAY, token=THERE, outcome=fate))
    assert found == {P1: "ambiguous"}


def test_a_provider_that_says_half_is_believed_that_much_before_the_chain_shows_it() -> None:
    assert judged(open_row(), claim(state="split"), part(1, tx=1, outcome="not_found")) == {P1: "ambiguous"}


@pytest.mark.parametrize("engine", ENGINES)
def test_one_transfer_told_for_two_payments_proves_neither(engine: str) -> None:
    both = (open_row(1), open_row(2), claim(1), claim(2), part(1, tx=1), part(2, tx=1))
    rows = together(*both)
    rows["transactions"], rows["transfers"] = rows["transactions"][:1], rows["transfers"][:1]
    found = verdicts(rows, engine=engine, policy=Policy(providers=(RAIL,)))
    assert found == {P1: "ambiguous", P2: "ambiguous"}


def test_a_bundle_that_is_not_sent_yet_is_on_its_way_and_one_without_an_answer_is_not_absent() -> None:
    nothing = part(1, tx=1, outcome="unasked")
    nothing["claim_txs"][0] |= {"tx_hash": None}
    assert judged(open_row(), claim(state="processing"), nothing) == {}
    assert judged(open_row(), claim(state="processing")) == {}
    assert judged(open_row(), claim(state=None, outcome="not_found")) == {P1: "unproven"}
    assert judged(open_row(), claim(state=None, outcome="failed", error="down")) == {P1: "lookup_failed"}
    assert judged({"payments": [row(status="failed", escrow_state=None, tx_hash=None, external_id=None)]}) == {
        P1: "missing_reference"
    }


def test_money_on_another_chain_than_the_row_says_is_no_credit() -> None:
    assert judged(open_row(), claim(), part(1, tx=1, chain=AWAY, token=THERE)) == {P1: "network_mismatch"}


def test_what_is_sent_is_not_even_looked_at_where_no_such_rail_is_in_scope() -> None:
    found = verdicts(together(open_row(), claim(), part(1, tx=1)), policy=Policy(providers=("request_network",)))
    assert found == {}
