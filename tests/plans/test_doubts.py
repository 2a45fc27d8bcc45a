"""Corrections that the evidence supports and that wait for a person all the same."""

from __future__ import annotations

from typing import Any

import pytest

from recon.core.model import Policy, Tier
from recon.core.registry import load_registry
from recon.plans.findings import Describer, contested_money, links_by_payment
from tests.support.builders import (
    NOW_MS,
    PAYER,
    UNITS,
    Row,
    claim_row,
    claim_tx_row,
    deposit_address,
    one_payment,
    payment_id,
    payment_row,
    plain_transfer_row,
    transfer_row,
    tx_hash,
)
from tests.support.judging import counts, judgement_of, leads_of
from tests.verdicts.test_match import open_row

ME = payment_id(1)
OURS = "0x" + "0e" * 20
SELLER = "0x" + "5e" * 20
AT_GATEWAY: dict[str, Any] = {"provider": "shkeeper", "external_id": "ord-1", "request_id": None, "reference": None}


def told(rows: dict[str, list[Row]], policy: Policy, *, engine: str = "polars") -> tuple[str, Tier, str]:
    judgement = judgement_of(rows, engine=engine, policy=policy)
    links = links_by_payment(judgement.links.to_pylist())
    contested = contested_money(judgement.links)
    describer = Describer(registry=load_registry(), policy=policy, links=links, now_ms=NOW_MS, contested=contested)
    found = next(row for row in judgement.breaks.to_pylist() if row["payment_id"] == ME)
    finding = describer.finding(found)
    return finding.verdict, finding.tier, finding.reason


def at_deposit(**moved: Any) -> dict[str, list[Row]]:
    row = open_row(1, **AT_GATEWAY, is_deposit=True, recipient=deposit_address(1), reference_topic=None)
    return {"payments": [row], "transfers": [plain_transfer_row(1, **moved)]}


def test_money_from_a_wallet_of_ours_is_credited_only_when_picked() -> None:
    for policy in (Policy(payout_wallets=(OURS,)), Policy(merchant_recipients=(OURS,))):
        verdict, tier, reason = told(at_deposit(sender=OURS), policy)
        assert (verdict, tier) == ("local_behind", Tier.REVIEW)
        assert f"The money came from {OURS}, a wallet of ours" in reason
        assert told(at_deposit(sender=PAYER), policy)[1] is Tier.AUTO


def test_money_to_the_shops_own_wallet_is_credited_only_when_picked() -> None:
    verdict, tier, reason = told(at_deposit(), Policy(merchant_recipients=(deposit_address(1),)))
    assert (verdict, tier) == ("local_behind", Tier.REVIEW)
    assert f"Its deposit address {deposit_address(1)} is a wallet of ours" in reason


@pytest.mark.parametrize("engine", ["duckdb", "polars", "pandas"])
def test_what_an_address_sends_to_itself_is_no_payment(engine: str) -> None:
    assert "local_behind" not in counts(at_deposit(sender=deposit_address(1)), engine=engine)


@pytest.mark.parametrize(("state", "asked", "tier"), [
    ("partial", "125", Tier.REVIEW), ("unpaid", "12.500001", Tier.REVIEW), ("unpaid", "12.5", Tier.AUTO),
    ("paid", "125", Tier.AUTO), ("partial", "many", Tier.AUTO), ("partial", None, Tier.AUTO),
])  # fmt: skip
def test_a_provider_that_asks_for_more_than_came_is_heard(state: str, asked: str | None, tier: Tier) -> None:
    claim = claim_row(1, state=state, state_raw=state, asked_amount=asked, tx_hashes=None)
    rows = {"payments": [open_row(1)], "transfers": [transfer_row(1)], "claims": [claim]}
    verdict, found, reason = told(rows, Policy())
    assert (verdict, found) == ("local_behind", tier)
    assert (f"The provider asks for {asked}, more than came" in reason) == (tier is Tier.REVIEW)


def test_a_hash_that_may_be_a_releases_is_replaced_only_when_picked() -> None:
    for escrow, tier in (("releasing", Tier.REVIEW), ("funded", Tier.AUTO)):
        rows = one_payment(escrow_state=escrow, tx_hash=tx_hash(9))
        verdict, found, reason = told(dict(rows), Policy())
        assert (verdict, found) == ("tx_hash_mismatch", tier)
        assert ("may be the release's own" in reason) == (tier is Tier.REVIEW)


@pytest.mark.parametrize("is_told", [True, False])
def test_at_an_address_of_two_payments_the_hash_that_one_records_is_credited_only_when_picked(is_told: bool) -> None:
    rows = at_deposit()
    first = rows["payments"][0]
    rows["payments"] = [
        {**first, "tx_hash": rows["transfers"][0]["tx_hash"]},
        open_row(
            7,
            **AT_GATEWAY | {"external_id": "ord-7"},
            is_deposit=True,
            recipient=first["recipient"],
            reference_topic=None,
        ),
    ]
    claim = {"provider": first["provider"], "external_id": first["external_id"], "request_id": None}
    if is_told:
        rows["claim_txs"] = [claim_tx_row(claim_id=first["external_id"], **claim)]
    verdict, tier, reason = told(rows, Policy())
    assert (verdict, tier) == ("local_behind", Tier.AUTO if is_told else Tier.REVIEW)
    assert ("Another payment has the same deposit address" in reason) is not is_told


@pytest.mark.parametrize("waiting", [1, 2, 4, 6])
def test_a_sum_that_several_payments_wait_for_names_the_others(waiting: int) -> None:
    rows = [open_row(number, expires_at=NOW_MS - 1) for number in range(1, waiting + 1)]
    came = plain_transfer_row(9, recipient=rows[0]["recipient"])
    verdict, tier, reason = told({"payments": rows, "transfers": [came]}, Policy())
    assert (verdict, tier) == ("reference_mismatch", Tier.REVIEW)
    if waiting == 1:
        assert "another payment" not in reason
    else:
        assert reason.endswith(f"the same sum at this address: {others(waiting)}.")


def others(waiting: int) -> str:
    names = [payment_id(number) for number in range(2, waiting + 1)]
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


@pytest.mark.parametrize("engine", ["duckdb", "polars"])
@pytest.mark.parametrize(
    ("sender", "policy", "is_doubtful"),
    [(OURS, Policy(), True), (PAYER, Policy(), False), (None, Policy(), False),
     (OURS, Policy(payout_wallets=(PAYER,)), False)],
)  # fmt: skip
def test_a_payout_that_left_another_wallet_than_the_row_says_is_told_as_such(
    sender: str | None, policy: Policy, is_doubtful: bool, engine: str
) -> None:
    row = payment_row(1, direction="out", status="processing", status_raw="processing", escrow_state="releasing",
                      reference=None, request_id=None, recipient=SELLER, sender=sender)  # fmt: skip
    rows = {"payments": [row], "transfers": [plain_transfer_row(1, recipient=SELLER)]}
    verdict, tier, reason = told(rows, policy, engine=engine)
    assert (verdict, tier) == ("local_behind", Tier.REVIEW)
    assert (f"It left {PAYER}, and the row says that it leaves {OURS}" in reason) == is_doubtful


@pytest.mark.parametrize(("units", "said"), [
    (UNITS - 1, "12.499999999999999999 of 12.5 USDC went out."),
    (UNITS + 1, "12.500000000000000001 USDC went out, more than the 12.5 USDC that the row says."),
])  # fmt: skip
def test_of_a_payout_it_is_said_what_went_out(units: int, said: str) -> None:
    row = payment_row(1, direction="out", escrow_state="released", reference=None, request_id=None, recipient=SELLER)
    rows = {"payments": [row], "transfers": [plain_transfer_row(1, recipient=SELLER, amount_units=units)]}
    assert told(rows, Policy())[2] == said


def test_a_payout_of_which_a_part_left_is_due_once_it_is_under_way_for_too_long() -> None:
    row = payment_row(1, direction="out", status="processing", status_raw="processing", escrow_state="releasing",
                      reference=None, request_id=None, recipient=SELLER)  # fmt: skip
    moved = plain_transfer_row(1, recipient=SELLER, amount_units=UNITS - 1)
    for minutes, tier in ((31, Tier.REVIEW), (29, Tier.WAIT)):
        rows = {"payments": [{**row, "created_at": NOW_MS - minutes * 60_000}], "transfers": [moved]}
        assert told(rows, Policy())[:2] == ("underpaid", tier)


def test_money_that_a_bridge_brought_by_the_transaction_that_the_provider_names_is_shown_and_proves_nothing() -> None:
    claim = claim_row(1, detection_source="lifi", tx_hashes=tx_hash(1))
    brought = plain_transfer_row(1, recipient=open_row(1)["recipient"])
    rows = {"payments": [open_row(1)], "transfers": [brought], "claims": [claim], "claim_txs": [claim_tx_row(1)]}
    verdict, tier, reason = told(rows, Policy())
    assert (verdict, tier) == ("provider_ahead", Tier.REVIEW)
    assert f"paid it by {tx_hash(1)}. In that transaction 12.5 USDC came to its address" in reason
    assert leads_of(rows, engine="polars").orphan_transfers.num_rows == 0
    hop = plain_transfer_row(1, recipient=OURS, log_index=9)
    assert told({**rows, "transfers": [brought, hop]}, Policy()) == (verdict, tier, reason)
    only_hop = told({**rows, "transfers": [hop]}, Policy())
    assert only_hop[0] == "provider_ahead"
    assert "cannot be told from here" in only_hop[2]
