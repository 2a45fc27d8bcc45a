"""What worlds that nobody here had made showed: money that is told where it lies, and claims that nothing bears out."""

from __future__ import annotations

import json
from typing import Any

import pytest

from recon.core.model import Policy, Tier
from recon.core.registry import load_registry
from recon.plans.findings import Describer, links_by_payment
from recon.plans.premises import premises
from tests.support.builders import (
    CHAIN,
    HEAD,
    NOW_MS,
    PAYER,
    UNITS,
    Row,
    claim_row,
    claim_tx_row,
    deposit_address,
    one_payment,
    payment_id,
    plain_transfer_row,
    transfer_row,
    tx_hash,
)
from tests.support.judging import counts, judgement_of, together, verdicts
from tests.verdicts.test_match import open_row
from tests.verdicts.test_past_proxy import unpaid

ME = payment_id(1)
FORWARDER = "0x" + "0f" * 20
THERE = {"transfers": [plain_transfer_row(recipient=FORWARDER)]}
ENGINES = ["duckdb", "polars", "pandas"]


def told(rows: dict[str, list[Row]]) -> tuple[str, Tier, str]:
    """Verdict, tier and sentence of the first payment."""
    judgement = judgement_of(rows)
    links = links_by_payment(judgement.links.to_pylist())
    describer = Describer(registry=load_registry(), policy=Policy(), links=links, now_ms=NOW_MS)
    found = next(row for row in judgement.breaks.to_pylist() if row["payment_id"] == ME)
    finding = describer.finding(found)
    return finding.verdict, finding.tier, finding.reason


# Money that the row's escrow tells of and nobody paid


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("escrow", ["funded", "releasable", "released"])
@pytest.mark.parametrize("status", ["pending", "processing", "cancelled", "failed"])
def test_an_escrow_that_holds_money_nobody_paid_is_a_break(status: str, escrow: str, engine: str) -> None:
    rows = unpaid(status=status, status_raw=status, escrow_state=escrow)
    assert verdicts(rows, engine=engine)[ME] == "local_ahead"


@pytest.mark.parametrize("escrow", [None, "partial", "failed", "cancelled"])
def test_an_escrow_without_money_says_nothing(escrow: str | None) -> None:
    assert counts(unpaid(escrow_state=escrow)) in ({"abandoned": 1}, {"in_transit": 1})


# Money at the forwarder of a request


def forwarded(**given: Any) -> dict[str, list[Row]]:
    key = {"payment_id": ME, "field": "forwarder", "value": FORWARDER, "reference_topic": None}
    return together(unpaid(**given), {"keys": [key]})


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("status", ["pending", "cancelled"])
def test_money_at_the_forwarder_of_a_request_is_told_of_it(status: str, engine: str) -> None:
    rows = together(
        forwarded(status=status, status_raw=status), {"transfers": [plain_transfer_row(recipient=FORWARDER)]}
    )
    assert verdicts(rows, engine=engine)[ME] == "reference_mismatch"


def test_the_sentence_names_the_forwarder() -> None:
    _, tier, reason = told(together(forwarded(), THERE))
    assert tier is Tier.REVIEW
    assert f"It came to {FORWARDER}, the forwarder of the request, and no log" in reason


@pytest.mark.parametrize(
    "moved",
    [
        plain_transfer_row(recipient=FORWARDER, amount_units=0),
        plain_transfer_row(recipient=FORWARDER, token_known=False),
        plain_transfer_row(recipient="0x" + "0e" * 20),
    ],
)
def test_what_is_no_money_or_lies_elsewhere_is_not(moved: Row) -> None:
    assert counts(together(forwarded(), {"transfers": [moved]})) in ({"abandoned": 1}, {"in_transit": 1})


def test_what_a_forwarder_passed_on_is_counted_once() -> None:
    paid = one_payment(1)
    key = {"payment_id": ME, "field": "forwarder", "value": FORWARDER, "reference_topic": None}
    there = plain_transfer_row(9, recipient=FORWARDER)
    assert counts(together(paid, {"keys": [key], "transfers": [there]})) == {"in_sync": 1}


# Money that may have gone back by another reference


def back(**given: Any) -> dict[str, list[Row]]:
    moved = {"recipient": PAYER, "block": HEAD - 4000, "reference_topic": "0x" + "5f" * 32, **given}
    return {"transfers": [transfer_row(8, **moved)]}


@pytest.mark.parametrize("engine", ENGINES)
def test_all_that_came_went_to_the_payer_by_a_reference_that_no_row_knows(engine: str) -> None:
    paid = one_payment(1, sender=PAYER)
    assert verdicts(together(paid, back()), engine=engine)[ME] == "refund_drift"
    waiting = {**paid, "payments": [open_row(1, sender=PAYER)]}
    assert verdicts(together(waiting, back()), engine=engine)[ME] == "refund_drift"


def test_its_sentence_names_where_it_went() -> None:
    _, _, reason = told(together(one_payment(1, sender=PAYER), back()))
    assert f"went to {PAYER}, the address that paid, in {tx_hash(8)}, by a reference that no row knows" in reason


@pytest.mark.parametrize(
    "other",
    [
        back(amount_units=UNITS - 1),
        back(block=HEAD - 9000),
        back(final=False),
        back(token_known=False),
        back(recipient="0x" + "0e" * 20),
        {"transfers": [transfer_row(2, recipient=PAYER, block=HEAD - 4000)], "payments": one_payment(2)["payments"]},
    ],
    ids=["another sum", "earlier", "not final", "unknown token", "to another", "of another row"],
)
def test_what_is_no_return_of_it_changes_nothing(other: dict[str, list[Row]]) -> None:
    assert ME not in verdicts(together(one_payment(1, sender=PAYER), other))


# Our own money that moves on


def test_money_from_the_deposit_address_of_another_payment_is_credited_only_when_picked() -> None:
    gateway = {
        "provider": "shkeeper",
        "request_id": None,
        "reference": None,
        "reference_topic": None,
        "is_deposit": True,
    }
    row = open_row(1, **gateway, external_id="ord-1", recipient=deposit_address(1))
    other = {**open_row(2, **gateway, external_id="ord-2", recipient=deposit_address(2)), "status": "completed"}
    moved = plain_transfer_row(1, sender=deposit_address(2))
    verdict, tier, reason = told({"payments": [row, other], "transfers": [moved]})
    assert (verdict, tier) == ("local_behind", Tier.REVIEW)
    assert f"the deposit address of payment {payment_id(2)}" in reason
    assert told({"payments": [row, other], "transfers": [plain_transfer_row(1)]})[1] is Tier.AUTO


def test_what_a_bridge_paid_is_not_said_to_be_missing_from_a_chain_that_it_never_touches() -> None:
    claim = claim_row(1, detection_source="lifi", tx_hashes=tx_hash(40))
    rows = together(unpaid(), {"claims": [claim]})
    verdict, tier, reason = told(rows)
    assert (verdict, tier) == ("provider_ahead", Tier.REVIEW)
    assert "the place where it was paid was not asked" in reason
    assert "shows no money" not in reason
    (row,) = judgement_of(rows).breaks.to_pylist()
    assert any("where it was paid was not asked" in text for text in premises(row, policy=Policy()))


def test_a_forwarder_is_a_further_key_of_a_row() -> None:
    from tests.sources.payments.test_payments import row_of

    row = row_of(metadata={"forwarderAddress": FORWARDER.upper().replace("0X", "0x")})
    assert json.loads(row["further_keys"]) == [["forwarder", FORWARDER]]


@pytest.mark.parametrize("engine", ["duckdb", "polars", "pandas"])
@pytest.mark.parametrize(("chains", "is_named"), [((137,), True), ((137, CHAIN), False), ((None,), False)])
def test_that_a_provider_names_money_on_another_chain_is_not_passed_over(
    chains: tuple[int | None, ...], is_named: bool, engine: str
) -> None:
    named = [claim_tx_row(1, chain_id=chain, tx_hash=tx_hash(40 + at)) for at, chain in enumerate(chains)]
    hashes = " ".join(row["tx_hash"] for row in named)
    rows = together(unpaid(), {"claims": [claim_row(1, tx_hashes=hashes)], "claim_txs": named})
    [row] = judgement_of(rows, engine=engine).breaks.to_pylist()
    assert bool(row["named_on"]) == is_named
    verdict, tier, reason = told(rows)
    assert (verdict, tier) == ("provider_ahead", Tier.REVIEW)
    assert ("by a transaction on chain 137, and the row is of chain" in reason) == is_named
