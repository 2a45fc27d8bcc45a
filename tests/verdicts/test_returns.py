"""Money that went back as a plain transfer, past the proxy, or to a payer whom the row does not name."""

from __future__ import annotations

from typing import Any

import pytest

from recon.core.model import Policy, Tier
from recon.plans.changes import change_for
from tests.support.builders import (
    HEAD,
    PAYER,
    RECIPIENT,
    UNITS,
    Row,
    deposit_address,
    one_payment,
    payment_document,
    payment_id,
    payment_row,
    plain_transfer_row,
    transfer_row,
    tx_hash,
)
from tests.support.judging import counts, judgement_of, together, verdicts
from tests.verdicts.test_deals import DEAL, described, reference_back
from tests.verdicts.test_match import open_row

ME = payment_id(1)
WALLET = "0x" + "77" * 20
OURS = Policy(payout_wallets=(WALLET,))
ENGINES = ["duckdb", "polars", "pandas"]
REFUNDED: dict[str, Any] = {"status": "refunded", "status_raw": "refunded", "escrow_state": "refunded"}


def paid(**given: Any) -> dict[str, list[Row]]:
    """Payment 1, paid through the proxy by a buyer who stands in no row: the token's own log names him."""
    came = plain_transfer_row(1, recipient=RECIPIENT, sender=PAYER, log_index=1)
    return together(one_payment(1, **given), {"transfers": [came]})


def back(units: int = UNITS, **given: Any) -> dict[str, list[Row]]:
    """A plain transfer from the payee to the address that paid, later."""
    moved = {"recipient": PAYER, "sender": RECIPIENT, "amount_units": units, "block": HEAD - 4000, **given}
    return {"transfers": [plain_transfer_row(8, **moved)]}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("paid_by", [paid(), one_payment(1, sender=PAYER)], ids=["by the log", "by the row"])
@pytest.mark.parametrize("units", [UNITS, UNITS // 5])
def test_a_plain_return_from_the_payee_is_looked_at(units: int, paid_by: dict[str, list[Row]], engine: str) -> None:
    assert verdicts(together(paid_by, back(units)), engine=engine) == {ME: "refund_drift"}


def test_its_sentence_says_how_much_went_where_and_nothing_is_written() -> None:
    finding, row = described(judgement_of(together(paid(), back(UNITS // 5))))
    assert finding.tier is Tier.REVIEW
    assert f"2.5 USDC went to {PAYER}, the address that paid, in {tx_hash(8)}, as a plain transfer" in finding.reason
    assert change_for(finding, row, document=payment_document(1), policy=Policy()) is None


@pytest.mark.parametrize("status", ["pending", "failed", "cancelled"])
def test_no_payment_is_credited_that_may_have_gone_back(status: str) -> None:
    row = open_row(1, status=status, status_raw=status)
    finding, judged = described(judgement_of({**together(paid(), back()), "payments": [row]}))
    assert finding.verdict == "refund_drift"
    assert change_for(finding, judged, document=payment_document(1), policy=Policy()) is None


@pytest.mark.parametrize("engine", ENGINES)
def test_the_return_that_a_refunded_row_records_is_its_refund(engine: str) -> None:
    row = {**REFUNDED, "tx_hash": tx_hash(8)}
    assert counts(together(paid(**row), back()), engine=engine) == {"in_sync": 1}
    finding, _ = described(judgement_of(together(paid(**row), back(UNITS // 5)), engine=engine))
    assert finding.verdict == "refund_drift"
    assert "2.5 of 12.5 USDC went back" in finding.reason


def test_the_buyer_of_a_deposit_address_gets_it_back_from_a_wallet_of_ours() -> None:
    gateway = {
        "provider": "shkeeper", "request_id": None, "reference": None, "reference_topic": None, "is_deposit": True,
        "external_id": "ord-1", "recipient": deposit_address(1),
    }  # fmt: skip
    came = {"payments": [payment_row(1, **gateway)], "transfers": [plain_transfer_row(1)]}
    rows = together(came, back(sender=WALLET))
    assert verdicts(rows, policy=OURS) == {ME: "refund_drift"}
    refunded = {**rows, "payments": [payment_row(1, **gateway, **REFUNDED | {"tx_hash": tx_hash(8)})]}
    assert counts(refunded) == {"in_sync": 1}


def test_a_completed_row_that_records_its_own_return_gets_no_other_hash() -> None:
    finding, _ = described(judgement_of(together(paid(tx_hash=tx_hash(8)), back())))
    assert finding.verdict == "refund_drift"
    assert "12.5 of 12.5 USDC went back" in finding.reason


def test_a_return_that_two_rows_record_proves_neither() -> None:
    both = [payment_row(number, **REFUNDED, tx_hash=tx_hash(8), sender=PAYER) for number in (1, 2)]
    came = one_payment(2)
    told = verdicts({**together(paid(), came, back()), "payments": both})
    assert set(told) == {ME, payment_id(2)}
    assert "in_sync" not in told.values()


@pytest.mark.parametrize(
    "moved",
    [
        back(block=HEAD - 9000),
        back(final=False),
        back(sender="0x" + "0e" * 20),
        back(recipient="0x" + "0e" * 20),
        back(token_known=False),
        back(chain_id=137),
        back(units=UNITS + 1),
        back(units=1),
    ],
    ids=["earlier", "not final", "of a stranger", "to a stranger", "fake", "elsewhere", "more than came", "dust"],
)
def test_what_is_no_return_changes_nothing(moved: dict[str, list[Row]]) -> None:
    policy = Policy(dust_units={f"56:{payment_row(1)['token']}": 10**16})
    assert counts(together(paid(), moved), policy=policy) == {"in_sync": 1}


def test_what_a_payout_or_refund_row_records_is_theirs() -> None:
    row = payment_row(
        8, direction="refund", escrow_state="refunded", recipient=PAYER, expected_units=UNITS // 5, reference=None,
        request_id=None, **DEAL,
    )  # fmt: skip
    assert counts(together(paid(), back(UNITS // 5), {"payments": [row]})) == {"partly_refunded": 1, "in_sync": 1}


def test_of_several_payments_of_one_buyer_only_the_very_sum_is_told() -> None:
    second = one_payment(2, sender=PAYER, expected_units=UNITS * 2)
    second["transfers"][0]["amount_units"] = UNITS * 2
    assert verdicts(together(paid(), second, back())) == {ME: "refund_drift"}
    assert verdicts(together(paid(), second, back(UNITS // 5))) == {}


@pytest.mark.parametrize("engine", ENGINES)
def test_money_by_its_own_reference_to_the_address_that_paid_is_its_refund(engine: str) -> None:
    def gone(units: int) -> dict[str, list[Row]]:
        return {"transfers": [reference_back(units, 40, block=HEAD - 900)]}

    assert counts(together(paid(**REFUNDED), gone(UNITS)), engine=engine) == {"in_sync": 1}
    finding, _ = described(judgement_of(together(paid(**REFUNDED), gone(UNITS // 5)), engine=engine))
    assert "2.5 of 12.5 USDC went back" in finding.reason
    assert counts(together(paid(), gone(UNITS // 5)), engine=engine) == {"partly_refunded": 1}
    assert verdicts(together(one_payment(1, **REFUNDED), gone(UNITS)), engine=engine) == {ME: "refund_drift"}


def test_several_plain_returns_are_told_with_their_sum() -> None:
    second = {"transfers": [{**back(UNITS // 5)["transfers"][0], "tx_hash": tx_hash(9)}]}
    finding, _ = described(judgement_of(together(paid(**REFUNDED), back(UNITS // 5), second)))
    assert f"5 USDC went to {PAYER}, the address that paid, in {tx_hash(8)} and {tx_hash(9)}" in finding.reason


# A refund row that has a reference, and whose money went past the proxy


def refund_row(**given: Any) -> dict[str, list[Row]]:
    """A refund row of the deal of payment 1 with a reference of its own, and the transaction of :func:`back`."""
    done = {"direction": "refund", "escrow_state": "refunded", "recipient": PAYER, "tx_hash": tx_hash(8)}
    return {"payments": [payment_row(8, **{**done, **DEAL, **given})]}


@pytest.mark.parametrize("engine", ENGINES)
def test_a_refund_row_by_reference_that_was_paid_plainly_is_the_refund(engine: str) -> None:
    rows = together(paid(**REFUNDED, tx_hash=tx_hash(8)), back(), refund_row())
    assert counts(rows, engine=engine) == {"in_sync": 2}
    part = together(paid(), back(UNITS // 5), refund_row(expected_units=UNITS // 5))
    assert counts(part, engine=engine) == {"partly_refunded": 1, "in_sync": 1}


def test_a_payout_by_reference_that_was_sent_plainly_is_proven_by_its_hash() -> None:
    out = refund_row(direction="out", escrow_state="releasing", recipient="0x" + "5e" * 20)
    assert verdicts(together(out, back(recipient="0x" + "5e" * 20))) == {payment_id(8): "local_behind"}


@pytest.mark.parametrize(
    "moved",
    [
        back(recipient="0x" + "0e" * 20),
        back(token_known=False),
        back(chain_id=137),
        together(back(), {"transfers": [transfer_row(8, tx_hash=tx_hash(9), recipient=PAYER, amount_units=1)]}),
        together(back(), {"transfers": [transfer_row(7, tx_hash=tx_hash(8), recipient=PAYER)]}),
    ],
    ids=["to a stranger", "fake", "elsewhere", "its reference is on the chain", "of another's reference"],
)
def test_what_is_not_its_own_plain_transfer_does_not_prove_the_refund_row(moved: dict[str, list[Row]]) -> None:
    assert verdicts(together(paid(), moved, refund_row())).get(payment_id(8)) is not None


def test_two_rows_by_reference_that_record_one_plain_transfer_share_it() -> None:
    other = {"payments": [payment_row(9, **{**refund_row()["payments"][0], "payment_id": payment_id(9)})]}
    changed = {"reference": None, "reference_topic": None, "request_id": None}
    other["payments"][0].update(changed)
    told = verdicts(together(paid(), back(), refund_row(), other))
    assert "in_sync" not in told.values()
    assert {payment_id(8), payment_id(9)} <= told.keys()


def given_up(*, escrow: str | None = None, status: str = "cancelled", **given: Any) -> dict[str, list[Row]]:
    """Payment 1, given up and paid all the same, of a deal."""
    return paid(status=status, status_raw=status, escrow_state=escrow, **{"tx_hash": None, **DEAL, **given})


def given_by_row(units: int = UNITS, **given: Any) -> dict[str, list[Row]]:
    """The refund row of the deal, which records the plain return."""
    done: dict[str, Any] = {
        "direction": "refund",
        "escrow_state": "refunded",
        "recipient": PAYER,
        "tx_hash": tx_hash(8),
    }
    nothing = dict.fromkeys(("reference", "reference_topic", "request_id"))
    return {"payments": [payment_row(9, expected_units=units, **nothing, **DEAL, **{**done, **given})]}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("status", ["failed", "cancelled"])
@pytest.mark.parametrize("recorded", [None, 1, 8], ids=["nothing", "the money", "the refund"])
def test_money_that_came_late_and_went_back_whole_leaves_nothing_to_do(
    recorded: int | None, status: str, engine: str
) -> None:
    named = None if recorded is None else tx_hash(recorded)
    rows = together(given_up(status=status, tx_hash=named), back(), given_by_row())
    assert counts(rows, engine=engine) == {"in_sync": 2}


def test_the_return_that_a_given_up_row_itself_records_settles_it() -> None:
    assert counts(together(given_up(tx_hash=tx_hash(8)), back())) == {"in_sync": 1}


@pytest.mark.parametrize(
    "rows",
    [
        together(given_up(), back()),
        together(given_up(), back(UNITS // 5), given_by_row(UNITS // 5)),
        together(given_up(escrow="funded"), back(), given_by_row()),
        together(given_up(status="pending"), back(), given_by_row()),
        together(given_up(status="completed"), back(), given_by_row()),
    ],
    ids=["no row says so", "a part", "the row holds it", "open", "complete"],
)
def test_anything_less_is_looked_at(rows: dict[str, list[Row]]) -> None:
    assert verdicts(rows)[ME] == "refund_drift"


def test_a_refund_that_may_be_of_another_payment_of_the_deal_settles_none() -> None:
    """One of the two has to be credited: that the other's money went back is not known of this one."""
    rows = together(given_up(), one_payment(2, sender=PAYER, **DEAL), back(block=HEAD - 3000), given_by_row())
    assert verdicts(rows)[ME] != "in_sync" and ME in verdicts(rows)


@pytest.mark.parametrize("units", [UNITS // 5, UNITS // 5 * 4])
def test_a_part_that_came_late_and_went_back_is_not_short(units: int) -> None:
    rows = together(given_up(), back(units), given_by_row(units))
    for log in rows["transfers"][:2]:
        log["amount_units"] = units
    assert counts(rows) == {"in_sync": 2}


@pytest.mark.parametrize("engine", ENGINES)
def test_the_hash_of_its_refund_is_not_taken_from_a_row_that_says_refunded(engine: str) -> None:
    """Some backends keep ``completed`` and set the escrow alone; the hash of the refund then proves the refund."""
    row = {"status": "completed", "status_raw": "completed", "escrow_state": "refunded", "tx_hash": tx_hash(8)}
    assert "tx_hash_mismatch" not in counts(together(paid(**row), back()), engine=engine)


def test_refunds_from_a_wallet_that_is_not_known_are_summed_and_prove_nothing() -> None:
    """Two parts left some wallet without a hash on any row: their sum is said, so that it can be compared."""
    parts, stranger = (UNITS // 5, UNITS - UNITS // 5), "0x" + "0e" * 20
    moved = {"recipient": PAYER, "sender": stranger, "block": HEAD - 4000}
    gone = {"transfers": [plain_transfer_row(n, amount_units=units, **moved) for n, units in enumerate(parts, start=8)]}
    finding, row = described(judgement_of(together(paid(**REFUNDED, tx_hash=None), gone)))
    assert finding.verdict == "refund_drift" and not row["refund_count"]
    assert (
        f"2 plain transfers, 12.5 USDC in all, went to {PAYER}, the address that paid, from {stranger}: "
        in finding.reason
    )
    assert f"{tx_hash(8)} and {tx_hash(9)}. No row that was read records them" in finding.reason
    assert change_for(finding, row, document=payment_document(1), policy=Policy()) is None
    assert counts(together(paid(), gone)) == {"in_sync": 1}, "what others send to a buyer is no matter of ours"
