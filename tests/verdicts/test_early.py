"""Money at a payment's own one-time address that is older than its row."""

from __future__ import annotations

from typing import Any

import pytest

from recon.core.model import Policy
from recon.plans.changes import change_for
from tests.support.builders import (
    HOUR_MS,
    NOW_MS,
    UNITS,
    Row,
    claim_row,
    deposit_address,
    payment_id,
    plain_transfer_row,
    shkeeper_document,
    tx_hash,
)
from tests.support.judging import counts, judgement_of, leads_of, together, verdicts
from tests.verdicts.test_deals import described
from tests.verdicts.test_match import ME, deposit_row

ENGINES = ["duckdb", "polars", "pandas"]
RESET = NOW_MS - HOUR_MS // 2
"""When an import made the row anew, after the money had come."""


def reset(**given: Any) -> dict[str, list[Row]]:
    return {"payments": [deposit_row(created_at=RESET, updated_at=RESET, **given)]}


def early(number: int = 7, **given: Any) -> dict[str, list[Row]]:
    moved = {"recipient": deposit_address(1), "block_time": RESET - 8 * HOUR_MS, **given}
    return {"transfers": [plain_transfer_row(number, **moved)]}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("status", ["pending", "completed", "failed", "cancelled"])
def test_money_older_than_the_row_at_its_own_address_is_not_nobodys(status: str, engine: str) -> None:
    past = NOW_MS - HOUR_MS // 4
    rows = together(reset(status=status, status_raw=status, expires_at=past), early())
    assert verdicts(rows, engine=engine) == {ME: "unproven"}


def test_the_sentence_names_the_transfer() -> None:
    finding, _ = described(judgement_of(together(reset(), early())))
    assert f"12.5 USDC came to its address in {tx_hash(7)} on 2026-11-20T03:30:00Z, before the row" in finding.reason
    assert any(tx_hash(7) in text for text in finding.evidence)


def test_where_the_provider_says_paid_it_is_looked_at_with_the_transfer_named() -> None:
    claim = claim_row(
        1, provider="shkeeper", claim_id=payment_id(1), request_id=None, reference=None, reference_topic=None,
        external_id=payment_id(1), object="invoice", tx_hashes=None,
    )  # fmt: skip
    rows = together(reset(), early(), {"claims": [claim]})
    finding, _ = described(judgement_of(rows))
    assert finding.verdict == "provider_ahead"
    assert tx_hash(7) in finding.reason


@pytest.mark.parametrize(
    "moved",
    [
        early(token_known=False),
        early(amount_units=0),
        early(amount_units=10**12),
        early(recipient=deposit_address(2)),
        together(early(), {"payments": [deposit_row(2, recipient=deposit_address(1), created_at=RESET - 9 * HOUR_MS)]}),
    ],
    ids=["fake", "nothing", "dust", "elsewhere", "of an older row"],
)
def test_what_is_nothing_or_another_payments_leaves_the_row_unpaid(moved: dict[str, list[Row]]) -> None:
    policy = Policy(dust_units={f"56:{deposit_row()['token']}": 10**16})
    assert ME not in verdicts(together(reset(), moved), policy=policy)


def test_money_that_comes_later_is_credited_as_ever() -> None:
    rows = together(reset(), early(), {"transfers": [plain_transfer_row(1, block_time=NOW_MS - HOUR_MS // 4)]})
    assert counts(rows) == {"local_behind": 1}


# Money that no scan shows, for all of them began later


def holding(units: int | None = 0, **given: Any) -> dict[str, list[Row]]:
    """What the address of payment 1 is said to hold."""
    row = deposit_row()
    told = {"chain_id": row["chain_id"], "address": deposit_address(1), "token": row["token"], "block": 7}
    return {"holdings": [{**told, "units": units, "sent": None, "problem": None, **given}]}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    "held",
    [holding(UNITS), holding(0, sent=2), holding(None, problem="nobody could tell")],
    ids=["it lies there", "it was emptied", "imported and not told"],
)
def test_what_an_address_holds_beyond_what_was_read_there_is_not_nobodys(
    held: dict[str, list[Row]], engine: str
) -> None:
    assert verdicts(together(reset(status="pending", status_raw="pending"), held), engine=engine) == {ME: "unproven"}


@pytest.mark.parametrize("status", ["failed", "cancelled", "completed", "processing"])
def test_no_state_of_a_row_is_called_unpaid_over_money_at_its_address(status: str) -> None:
    past = NOW_MS - HOUR_MS // 4
    rows = together(reset(status=status, status_raw=status, escrow_state=None, expires_at=past), holding(UNITS))
    assert verdicts(rows) == {ME: "unproven"}


@pytest.mark.parametrize("held", [holding(0, sent=0), holding(10**12), {}])
def test_an_address_that_never_held_anything_leaves_the_row_unpaid(held: dict[str, list[Row]]) -> None:
    policy = Policy(dust_units={f"56:{deposit_row()['token']}": 10**16})
    assert ME not in verdicts(together(reset(), held), policy=policy)


def test_what_came_for_another_row_of_the_address_is_not_older_money() -> None:
    other = {"payments": [deposit_row(2, recipient=deposit_address(1), created_at=RESET - 9 * HOUR_MS)]}
    rows = together(reset(), other, early())
    assert verdicts(together(rows, holding(UNITS))) == verdicts(rows)
    assert verdicts(together(rows, holding(2 * UNITS)))[ME] == "unproven"


@pytest.mark.parametrize(
    ("held", "said"),
    [
        (holding(UNITS), "Its one-time address holds 12.5 USDC, more than the transfers that were read brought there"),
        (holding(0, sent=2), "Its one-time address holds nothing and has sent 2 transactions"),
        (holding(None, problem="x"), "It was made in the same second as many others, as by an import"),
    ],
)
def test_the_reason_says_what_the_address_holds(held: dict[str, list[Row]], said: str) -> None:
    finding, row = described(judgement_of(together(reset(), held)))
    assert finding.reason.startswith(said)
    assert change_for(finding, row, document=shkeeper_document(1), policy=Policy()) is None


def test_the_premises_of_no_money_name_what_was_asked_of_the_address() -> None:
    def premise(held: dict[str, list[Row]]) -> str:
        rows = together(reset(status="completed", status_raw="completed"), held)
        finding, _ = described(judgement_of(rows))
        return next(text for text in finding.evidence if text.startswith("no money that fits: transfers of every"))

    assert premise({}).endswith("; what the address holds was not asked, so of the time before nothing is known")
    assert premise(holding(0, sent=0)).endswith("; the address holds nothing and never sent a transaction")


def test_the_leads_name_the_addresses_at_which_nobody_paid() -> None:
    paid = {"payments": [deposit_row(2)], "transfers": [plain_transfer_row(2)]}
    gave_up = {"payments": [deposit_row(3, status="failed", status_raw="failed", tx_hash=None)]}
    bare = leads_of(together(reset(), paid, gave_up)).bare.to_pylist()
    assert [row["payment_id"] for row in bare] == [ME, payment_id(3)]
