"""Money beside a payment: in another coin, past the proxy, by a further payout, and what holds no money any more."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from recon.core.model import Policy, Verdict
from recon.core.registry import load_registry
from recon.plans.orphans import STRANGE_MAX, outflow_findings
from recon.sources.interface import Selection
from tests.support.builders import (
    HEAD,
    HOUR_MS,
    NOW_MS,
    PAYER,
    RECIPIENT,
    UNITS,
    USDT,
    Row,
    deposit_address,
    one_payment,
    payment_id,
    payment_row,
    plain_transfer_row,
    transfer_row,
    tx_hash,
)
from tests.support.judging import counts, findings, judgement_of, leads_of, together, verdicts
from tests.support.worlds import plan_of_directory
from tests.verdicts.test_deals import DEAL, ME, SELLER, back_row, described, out_row

WORLDS = Path(__file__).parents[1] / "cases" / "worlds"
POLYGON_USDC = "0x3c499c542cef5e3811e1192ce70d8cc03d5c3359"
OPEN_ROW: dict[str, Any] = {
    "status": "pending", "status_raw": "pending", "escrow_state": None, "tx_hash": None, "confirmations": None,
}  # fmt: skip


# In another coin


def again(**given: Any) -> dict[str, list[Row]]:
    """A second log with the reference of payment 1, in a transaction of its own."""
    return {"transfers": [transfer_row(1, **{"tx_hash": tx_hash(7), "log_index": 4, **given})]}


@pytest.mark.parametrize("engine", ["duckdb", "polars", "pandas"])
@pytest.mark.parametrize(
    "coin", [{"token": USDT}, {"chain_id": 137, "token": POLYGON_USDC, "amount_units": 12_500_000}]
)
def test_what_came_again_in_another_coin_is_no_payment_in_sync(coin: dict[str, Any], engine: str) -> None:
    judged = judgement_of(together(one_payment(), again(**coin)), engine=engine)
    finding, row = described(judged)
    assert finding.verdict is Verdict.MULTIPLE_TRANSFERS
    assert f"12.5 {'USDT' if 'chain_id' not in coin else 'USDC'} more came for it on chain" in finding.reason
    assert row["other_coins"] == 1


@pytest.mark.parametrize(
    "given",
    [
        {"token": USDT, "recipient": "0x" + "0e" * 20},
        {"token": "0x" + "0f" * 20, "token_known": False},
        {"token": USDT, "kind": "unknown"},
        {"token": USDT, "amount_units": 0},
    ],
)
def test_what_went_elsewhere_or_is_worthless_leaves_a_payment_in_sync(given: dict[str, Any]) -> None:
    assert counts(together(one_payment(), again(**given))) == {"in_sync": 1}


def test_another_coin_at_a_one_time_address_is_told_unless_it_is_another_payments() -> None:
    at = deposit_address(1)
    own = payment_row(1, is_deposit=True, recipient=at, reference=None, request_id=None, external_id="1")
    came = {"payments": [own], "transfers": [plain_transfer_row(1)]}
    other = {"transfers": [plain_transfer_row(7, recipient=at, token=USDT, emitter=USDT)]}
    assert verdicts(together(came, other)) == {ME: "multiple_transfers"}
    twin = payment_row(
        7, is_deposit=True, recipient=at, token=USDT, currency="USDT", reference=None, request_id=None, external_id="7"
    )
    assert verdicts(together(came, other, {"payments": [twin]})) == {}


def test_an_open_payment_is_credited_and_the_other_coin_told_beside() -> None:
    rows = together({**one_payment(), "payments": [payment_row(1, **OPEN_ROW)]}, again(token=USDT))
    assert findings(rows, ME) == (Verdict.LOCAL_BEHIND, Verdict.MULTIPLE_TRANSFERS)
    assert "12.5 USDT more came for it on chain 56" in described(judgement_of(rows))[0].reason


# The rest


def short(units: int) -> dict[str, list[Row]]:
    return {"payments": [payment_row(1, **OPEN_ROW)], "transfers": [transfer_row(1, amount_units=units)]}


@pytest.mark.parametrize("engine", ["duckdb", "polars", "pandas"])
def test_the_rest_that_came_past_the_proxy_is_told(engine: str) -> None:
    rest = {"transfers": [plain_transfer_row(7, recipient=RECIPIENT, amount_units=UNITS - 10**19)]}
    policy = Policy(merchant_recipients=(RECIPIENT,))
    rows = together(short(10**19), rest)
    finding, _ = described(judgement_of(rows, policy=policy, engine=engine))
    assert finding.verdict is Verdict.UNDERPAID
    assert "2.5 USDC more came for it without its reference on chain 56" in finding.reason
    assert "it may be the rest" in finding.reason
    assert leads_of(rows, policy=policy, engine=engine).orphan_transfers.num_rows == 0


def test_a_sum_that_is_not_the_rest_is_told_of_no_payment() -> None:
    policy = Policy(merchant_recipients=(RECIPIENT,))
    rows = together(short(10**19), {"transfers": [plain_transfer_row(7, recipient=RECIPIENT, amount_units=10**18)]})
    assert "more came" not in described(judgement_of(rows, policy=policy))[0].reason
    assert leads_of(rows, policy=policy).orphan_transfers.num_rows == 1


def test_money_of_a_short_payment_that_went_to_a_stranger_is_not_called_its_rest() -> None:
    rows = together(short(10**19), again(token=USDT, recipient="0x" + "0e" * 20))
    assert "more came" not in described(judgement_of(rows))[0].reason


@pytest.mark.parametrize("engine", ["duckdb", "polars", "pandas"])
def test_what_left_for_the_payee_besides_is_told_of_the_payout_that_is_short(engine: str) -> None:
    done = out_row(2)
    done["transfers"] = [plain_transfer_row(2, recipient=SELLER, sender=RECIPIENT, amount_units=5 * 10**18)]
    more = plain_transfer_row(9, recipient=SELLER, sender=RECIPIENT, amount_units=75 * 10**17)
    judged = judgement_of(together(done, {"transfers": [more]}), engine=engine)
    finding, _ = described(judged, payment_id(2))
    assert finding.verdict is Verdict.UNDERPAID
    assert f"7.5 USDC more went to the same address, in {tx_hash(9)}, which no row names" in finding.reason
    beyond = {**more, "amount_units": UNITS}
    assert "more went" not in described(judgement_of(together(done, {"transfers": [beyond]})), payment_id(2))[0].reason


# What holds no money any more


def second(**given: Any) -> dict[str, list[Row]]:
    """Payment 3 of the deal of payment 1: paid an hour after it and still open."""
    row = payment_row(3, **{**OPEN_ROW, **DEAL, **given})
    return {"payments": [row], "transfers": [transfer_row(3, block=HEAD - 100, block_time=NOW_MS - 60_000)]}


CANCELLED: dict[str, Any] = {"status": "cancelled", "status_raw": "cancelled", "escrow_state": None, "tx_hash": None}


@pytest.mark.parametrize("engine", ["duckdb", "polars", "pandas"])
def test_a_payment_that_went_back_before_the_next_one_came_does_not_compete_with_it(engine: str) -> None:
    first = {**one_payment(**CANCELLED), "claims": [], "claim_txs": []}
    rows = together(first, back_row(2, UNITS), second())
    found = verdicts(rows, engine=engine)
    assert found == {payment_id(3): "local_behind"}, "the first is cancelled, and all of its late money went back"


def test_a_refund_that_may_be_of_either_payment_leaves_them_competing() -> None:
    first = {**one_payment(**CANCELLED), "claims": [], "claim_txs": []}
    both_before = second()
    both_before["transfers"] = [transfer_row(3)]
    found = verdicts(together(first, back_row(2, UNITS), both_before))
    assert found[ME] == found[payment_id(3)] == "competing_payment"
    partly = verdicts(together(first, back_row(2, UNITS - 1), second()))
    assert partly[payment_id(3)] == "competing_payment"


@pytest.mark.parametrize("engine", ["duckdb", "polars", "pandas"])
def test_a_copy_of_a_row_holds_its_money_once(engine: str) -> None:
    copy = {"payments": [{**payment_row(1, **OPEN_ROW), "payment_id": "imported"}]}
    found = verdicts(together(one_payment(), copy), engine=engine)
    assert found == {ME: "duplicate_provider_key", "imported": "duplicate_provider_key"}


# What left, and what was only moved


def leaving(number: int, **given: Any) -> dict[str, Any]:
    row = {
        "chain_id": 56, "tx_hash": tx_hash(number), "log_index": 0, "token": USDT, "sender": PAYER,
        "recipient": f"0x{number:040x}", "amount_units": number * 10**18, "block_time": NOW_MS - HOUR_MS,
        "listed_by": None, "to_payee": False, "is_less_known": False, "given_up_row": None,
    }  # fmt: skip
    return {**row, **given}


def told(rows: list[dict[str, Any]], *, wallets: tuple[str, ...] = ()) -> list[str]:
    policy = Policy(payout_wallets=wallets)
    return [each.reason for each in outflow_findings(rows, registry=load_registry(), policy=policy, now_ms=NOW_MS)]


def test_an_exchange_from_which_a_payout_came_is_told_of_once() -> None:
    rows = [leaving(number) for number in range(1, STRANGE_MAX + 5)]
    [reason] = told(rows)
    assert reason.startswith("24 USDT more went") and "So did 23 more to strangers" in reason
    assert "merchant.payout_wallets" in reason
    assert len(told(rows, wallets=(PAYER,))) == len(rows)
    assert len(told(rows[:STRANGE_MAX])) == STRANGE_MAX


def test_what_an_exchange_sent_to_a_payee_of_ours_is_told_by_itself() -> None:
    rows = [leaving(number) for number in range(1, STRANGE_MAX + 5)]
    assert len(told([*rows, leaving(90, to_payee=True)])) == 2


def test_a_wallet_that_is_ours_by_a_payout_alone_is_said_to_be() -> None:
    [reason] = told([leaving(1)])
    assert f"It left {PAYER}, which a payout came from" in reason
    assert "which a payout" not in told([leaving(1)], wallets=(PAYER,))[0]


def test_what_a_one_time_address_sends_on_to_the_shop_is_nobodys_missing_money(tmp_path: Path) -> None:
    since = Selection(from_at=datetime(2026, 11, 19, 12, tzinfo=UTC))
    plan = plan_of_directory(WORLDS / "swept-address", tmp_path, engine="polars", choice=since)
    [finding] = plan.findings
    assert (finding.verdict, finding.value_units) == (Verdict.MISSING_LOCAL, 7 * 10**18)


def test_a_sweep_in_the_window_is_no_candidate_at_all() -> None:
    shop = "0x" + "aa" * 20
    own = payment_row(1, is_deposit=True, recipient=deposit_address(1), reference=None, request_id=None)
    swept = plain_transfer_row(7, sender=deposit_address(1), recipient=shop)
    rows = {"payments": [own], "transfers": [plain_transfer_row(1), swept]}
    assert leads_of(rows, policy=Policy(merchant_recipients=(shop,))).orphan_transfers.num_rows == 0


# Right before, and worth keeping


def test_a_payee_who_pays_himself_has_paid_nothing() -> None:
    """The proxy's event states the amount, and the token's own log goes from an address to itself."""
    to_itself = plain_transfer_row(1, sender=RECIPIENT, recipient=RECIPIENT)
    stated = transfer_row(1, moved_units=0)
    rows = {"payments": [payment_row(1, **OPEN_ROW)], "transfers": [to_itself, stated]}
    assert verdicts(rows).get(ME) != "local_behind"


def test_coins_that_were_minted_for_a_payment_and_burned_by_us_later_did_not_go_back() -> None:
    nobody = "0x" + "0" * 40
    at = deposit_address(1)
    own = payment_row(1, is_deposit=True, recipient=at, reference=None, request_id=None, **OPEN_ROW)
    minted = plain_transfer_row(1, sender=nobody)
    burned = plain_transfer_row(7, sender=at, recipient=nobody, block=HEAD - 100, block_time=NOW_MS - 60_000)
    assert findings({"payments": [own], "transfers": [minted, burned]}, ME) == (Verdict.LOCAL_BEHIND,)
