"""What "no money" rests on is told with every break that rests on it."""

from __future__ import annotations

from typing import Any

from recon.core.model import Policy
from recon.plans.premises import premises
from tests.support.builders import NOW_MS, claim_row, gap_row, one_payment, payment_row, tx_hash
from tests.support.judging import judgement_of
from tests.verdicts.test_books import BOOKS, DONE, row, said
from tests.verdicts.test_match import deposit_row, open_row


def told(rows: dict[str, Any], **given: Any) -> list[str]:
    (row,) = judgement_of(rows, **given).breaks.to_pylist()
    return [text.removeprefix("no money that fits: ") for text in premises(row, policy=Policy())]


def test_an_address_a_chain_a_time_and_what_the_provider_said() -> None:
    rows = {"payments": [deposit_row(status="completed", status_raw="completed", escrow_state="funded")]}
    unpaid = claim_row(provider="shkeeper", external_id="p1", request_id=None, state="unpaid", state_raw="UNPAID")
    chain, provider = told(rows | {"claims": [unpaid]})
    assert chain.startswith("transfers of every token to 0x")
    assert ", all read; what the address holds was not asked" in chain
    assert provider.startswith("shkeeper ")


def test_a_scan_with_a_hole_says_so() -> None:
    gaps = [gap_row("chain:56", "proxy", chain_id=56, to_ms=NOW_MS)]
    chain, provider = told({"payments": [open_row()], "claims": [claim_row()]}, gaps=gaps)
    assert chain.endswith("NOT all read")
    assert "with the payment's reference" in chain
    assert provider.startswith("request_network was asked and says ")


def test_money_that_came_needs_no_premise() -> None:
    rows = dict(one_payment(), payments=[payment_row(tx_hash=None)])
    assert told(rows) == []


def test_a_payout_is_looked_for_by_the_transactions_that_are_named_alone() -> None:
    row = payment_row(direction="out", reference=None, reference_topic=None, request_id=None, tx_hash=tx_hash(9))
    chain, provider = told({"payments": [row], "claims": []})
    assert "found by nothing else" in chain
    assert "was not asked about it" in provider or "knows no such payment" in provider


def test_a_row_without_a_chain_was_looked_for_nowhere() -> None:
    row = open_row(chain_id=None, problem=None)
    assert told({"payments": [row]})[0] == "no chain is known, so none was read for it"


def test_money_in_books_was_looked_for_on_no_chain() -> None:
    """The place off all chains has a number that no person should meet."""
    unpaid = said(state="unpaid", state_raw="Unpaid", paid_units=0)
    place, provider = told({"payments": [row(**DONE)], "claims": [unpaid], "claim_txs": []}, policy=BOOKS)
    assert place == "its money is on no chain, so none was read for it"
    assert provider == "whmcs was asked and says Unpaid"
