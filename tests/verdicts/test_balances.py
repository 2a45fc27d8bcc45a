"""Every movement of a known wallet has one explanation, or none, on every engine."""

from __future__ import annotations

from typing import Any

import pytest

from recon.core.model import ExplainedMovement, Policy
from tests.support.builders import (
    CHAIN,
    FEE_RECIPIENT,
    PAYER,
    RECIPIENT,
    UNITS,
    USDC,
    USDT,
    Row,
    claim_tx_row,
    deposit_address,
    one_payment,
    payment_id,
    payment_row,
    plain_transfer_row,
    transfer_row,
    tx_hash,
)
from tests.support.judging import judgement_of, together
from tests.verdicts.test_deals import SELLER, out_row

WALLET = RECIPIENT
OTHER = "0x" + "77" * 20
STRANGER = "0x" + "66" * 20
ENGINES = ("duckdb", "polars", "pandas")


def held(wallet: str = WALLET, token: str = USDC) -> Row:
    return {"chain_id": CHAIN, "wallet": wallet, "token": token, "opening_block": 1, "closing_block": 70_000_000,
            "opening_units": 0, "closing_units": 0}  # fmt: skip


def into(number: int, **given: Any) -> Row:
    return plain_transfer_row(number, **{"sender": PAYER, "recipient": WALLET, "amount_units": UNITS, **given})


def out_of(number: int, **given: Any) -> Row:
    return plain_transfer_row(number, **{"sender": WALLET, "recipient": SELLER, "amount_units": UNITS, **given})


def told(
    *movements: Row,
    engine: str = "polars",
    policy: Policy | None = None,
    wallets: tuple[Row, ...] = (held(), held(token=USDT)),
    **more: Any,
) -> dict[tuple[str, str], tuple[int, int]]:
    """By side and explanation: how many movements, and their base units."""
    rows = together({"balances": list(wallets), "movements": list(movements)}, more)
    found: dict[tuple[str, str], tuple[int, int]] = {}
    for row in judgement_of(rows, engine=engine, policy=policy).moved.to_pylist():
        count, units = found.get((row["side"], row["how"]), (0, 0))
        found[row["side"], row["how"]] = (count + row["rows"], units + int(row["units"]))
    return found


@pytest.mark.parametrize("engine", ENGINES)
def test_a_row_a_fee_a_payout_a_wallet_of_ours_and_a_rule_explain_and_the_rest_is_named(engine: str) -> None:
    """All at once: a pay-in with its fee, a payout, a listed payout, a transfer between wallets, a sweep, a leak."""
    paid = one_payment(1)
    paid["transfers"] = [transfer_row(1, fee_units=5, fee_recipient=FEE_RECIPIENT)]
    listed = claim_tx_row(9, provider="shkeeper", external_id="p9", request_id=None, recipient=STRANGER, amount_units=7)
    sweep = ExplainedMovement("0x" + "99" * 20, "weekly sweep", (f"{CHAIN}:{USDC}",), direction="out")
    rows = together(paid, out_row(2), {"claim_txs": [listed]})
    movements = [
        into(1, log_index=1),
        into(1, log_index=0, recipient=FEE_RECIPIENT, amount_units=5),
        out_of(2),
        out_of(9, recipient=STRANGER, amount_units=7),
        out_of(10, recipient=OTHER, amount_units=11),
        out_of(11, recipient="0x" + "99" * 20, amount_units=13),
        out_of(12, recipient=STRANGER, amount_units=17),
        into(13, amount_units=19),
    ]
    wallets = (held(), held(OTHER), held(FEE_RECIPIENT))
    policy = Policy(explained=(sweep,))
    found = told(*movements, engine=engine, policy=policy, wallets=wallets, **rows)
    assert found == {
        ("in", "row"): (1, UNITS),
        ("in", "fee"): (1, 5),
        ("out", "row"): (1, UNITS),
        ("out", "payout"): (1, 7),
        ("out", "own"): (1, 11),
        ("in", "own"): (1, 11),
        ("out", "rule"): (1, 13),
        ("out", "none"): (1, 17),
        ("in", "none"): (1, 19),
    }


@pytest.mark.parametrize("engine", ENGINES)
def test_a_proxys_log_explains_as_many_logs_of_the_token_as_it_caused(engine: str) -> None:
    """The worked example: payout and fee through the proxy, and the same amount once more in the same transaction."""
    row = payment_row(3, direction="out", escrow_state="released", recipient=SELLER)
    log = transfer_row(3, recipient=SELLER, fee_units=2, fee_recipient=FEE_RECIPIENT, log_index=2)
    first, fee = out_of(3, log_index=0), out_of(3, log_index=1, recipient=FEE_RECIPIENT, amount_units=2)
    again = out_of(3, log_index=3)
    found = told(first, fee, again, engine=engine, payments=[row], transfers=[log])
    assert found == {("out", "row"): (1, UNITS), ("out", "fee"): (1, 2), ("out", "none"): (1, UNITS)}


def test_a_fee_to_the_payee_itself_is_told_from_the_payment() -> None:
    paid = one_payment(1)
    paid["transfers"] = [transfer_row(1, fee_units=5, fee_recipient=WALLET)]
    found = told(into(1, log_index=0), into(1, log_index=1, amount_units=5), **paid)
    assert found == {("in", "row"): (1, UNITS), ("in", "fee"): (1, 5)}
    alike = {**paid, "transfers": [transfer_row(1, fee_units=UNITS, fee_recipient=WALLET)]}
    found = told(into(1, log_index=0), into(1, log_index=1), into(1, log_index=3), **alike)
    assert found == {("in", "row"): (1, UNITS), ("in", "fee"): (1, UNITS), ("in", "none"): (1, UNITS)}


@pytest.mark.parametrize(
    "given",
    [{"token": USDT, "emitter": USDT}, {"amount_units": UNITS + 1}, {"recipient": OTHER}, {"tx_hash": tx_hash(8)}],
)
def test_another_token_amount_place_or_transaction_is_not_what_the_proxy_told_of(given: dict[str, Any]) -> None:
    found = told(into(1, log_index=1), into(1, **{"log_index": 3, **given}), wallets=(held(), held(token=USDT),
                 held(OTHER)), **one_payment(1))  # fmt: skip
    assert found[("in", "row")] == (1, UNITS)
    assert found[("in", "none")][0] == 1


@pytest.mark.parametrize(("amount", "how"), [(7, "payout"), (None, "payout"), (8, "none")])
def test_a_listed_payout_explains_its_own_amount_once(amount: int | None, how: str) -> None:
    listed = claim_tx_row(9, provider="shkeeper", external_id="p9", request_id=None, recipient=SELLER)
    given = {"claim_txs": [{**listed, "amount_units": amount}]}
    assert told(out_of(9, amount_units=7), **given) == {("out", how): (1, 7)}
    if amount == 7:
        twice = told(out_of(9, amount_units=7), out_of(9, amount_units=7, log_index=5), **given)
        assert twice == {("out", "payout"): (1, 7), ("out", "none"): (1, 7)}


def test_what_moved_nothing_or_is_sent_to_itself_leaves_no_unexplained_money() -> None:
    assert told(out_of(9, amount_units=0, recipient=STRANGER)) == {}
    itself = out_of(9, recipient=WALLET, amount_units=3)
    assert told(itself) == {("out", "own"): (1, 3), ("in", "own"): (1, 3)}


def test_a_one_time_address_of_a_row_is_ours() -> None:
    deposit = payment_row(3, is_deposit=True, recipient=deposit_address(3), reference=None, tx_hash=None)
    swept = into(9, sender=deposit_address(3))
    assert told(swept, context=[deposit]) == {("in", "own"): (1, UNITS)}
    assert told(swept) == {("in", "none"): (1, UNITS)}


def test_a_row_elsewhere_in_the_collection_explains_by_its_log() -> None:
    """What the search of the whole collection found, for a plain transfer and for a proxy's."""
    plain = into(8, recipient=WALLET, log_index=4)
    proxied = transfer_row(9, log_index=2)
    orphans = [
        {"kind": "transfer", "key": f"{CHAIN}:{tx_hash(8)}:4", "payment_id": payment_id(8), "known_by": "tx_hash"},
        {"kind": "transfer", "key": f"{CHAIN}:{tx_hash(9)}:2", "payment_id": payment_id(9), "known_by": "reference"},
    ]
    movements = (into(8, log_index=4), into(9, log_index=1))
    assert told(*movements, transfers=[plain, proxied], orphans=orphans) == {("in", "row"): (2, 2 * UNITS)}
    unknown = [{**row, "payment_id": None} for row in orphans]
    assert told(*movements, transfers=[plain, proxied], orphans=unknown) == {("in", "none"): (2, 2 * UNITS)}


@pytest.mark.parametrize(
    ("rule", "is_meant"),
    [
        ({}, True),
        ({"direction": "out"}, True),
        ({"direction": "in"}, False),
        ({"wallet": WALLET}, True),
        ({"wallet": OTHER}, False),
        ({"tokens": (f"{CHAIN}:{USDT}",)}, False),
        ({"tokens": (f"1:{USDC}",)}, False),
        ({"address": OTHER}, False),
    ],
)
def test_a_rule_is_about_what_it_names_and_nothing_else(rule: dict[str, Any], is_meant: bool) -> None:
    named = ExplainedMovement(**{"address": STRANGER, "reason": "sweep", "tokens": (f"{CHAIN}:{USDC}",), **rule})
    found = told(out_of(9, recipient=STRANGER), policy=Policy(explained=(named,)))
    assert found == {("out", "rule" if is_meant else "none"): (1, UNITS)}


def test_the_first_rule_that_fits_is_the_one_that_is_counted() -> None:
    rules = tuple(
        ExplainedMovement(address, reason, (f"{CHAIN}:{USDC}",))
        for address, reason in ((OTHER, "a"), (STRANGER, "b"), (STRANGER, "c"))
    )
    rows = {"balances": [held()], "movements": [out_of(9, recipient=STRANGER)]}
    [moved] = judgement_of(rows, policy=Policy(explained=rules)).moved.to_pylist()
    assert (moved["how"], moved["rule"]) == ("rule", 1)


def test_an_amount_too_long_to_be_summed_is_counted_apart() -> None:
    rows = {"balances": [held()], "movements": [out_of(9, amount_units=None, amount_text="9" * 60)]}
    [moved] = judgement_of(rows).moved.to_pylist()
    assert (moved["unread"], int(moved["units"] or 0), moved["how"]) == (1, 0, "none")


def test_without_known_wallets_nothing_is_said() -> None:
    judgement = judgement_of(one_payment(1))
    assert judgement.moved.num_rows == judgement.unexplained.num_rows == 0
