"""What a terminal logs: the amount by its event, the coin by the token's own log, and nothing that others say."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from recon.core.ids import call_digest
from recon.core.registry import ERC20_TRANSFER, Emitter, extend_registry, load_registry
from recon.core.registry.known import TERMINAL_PAY
from recon.sources.chain.calls import RawCall, digest_of_call
from recon.sources.chain.logs import Expectation, RawLog, RawReceipt, TransferLogError, decode_page
from recon.sources.chain.terminals import pay_table

TERMINAL = "0x52869db3d61dde1e391967f2ce5039ad0ecd371c"
OLDER = "0x2db6d704058e552defe415753465df8df0361846"
USDC = "0x833589fcd6edb6e08f4c7c32d4f71b54bda02913"
OTHER = "0xfde4c96c8593536e31f229ea8f37b2ada2699bb2"
ROUTER = "0x" + "70" * 20
HASH = "0x" + "f1" * 32


def word(value: int | str) -> str:
    return f"{value:064x}" if isinstance(value, int) else value.removeprefix("0x").rjust(64, "0")


def log(address: str, topics: list[str], data: str, index: int) -> RawLog:
    return RawLog(
        address=address, topics=topics, data=data, block_number="0x10", block_hash="0x" + "bb" * 32,
        transaction_hash=HASH, log_index=hex(index), block_timestamp="0x6b000000",
    )  # fmt: skip


def pay_log(units: int, *, index: int = 5, emitter: str = TERMINAL, payer: str = ROUTER, **given: Any) -> RawLog:
    words = [payer, "0x" + "01" * 20, units, 0, 0xE0, 0x100, payer, 0, 0]
    topics = [TERMINAL_PAY, *("0x" + word(n) for n in (1, 1, 7))]
    return log(emitter, given.get("topics", topics), "0x" + "".join(word(w) for w in words), index)


def coin_log(units: int, *, index: int = 3, token: str = USDC, to: str = TERMINAL) -> RawLog:
    return log(token, [ERC20_TRANSFER, "0x" + word(ROUTER), "0x" + word(to)], "0x" + word(units), index)


def read(*logs: RawLog, terminals: frozenset[str] = frozenset({TERMINAL, OLDER})) -> list[dict[str, Any]]:
    receipt = RawReceipt(transaction_hash=HASH, status="0x1", block_number="0x10", logs=list(logs))
    expect = Expectation(True, {}, frozenset({USDC, OTHER}), 0, 2**62, any_emitter=True)
    coins = decode_page([each for each in logs if each.topics[:1] == [ERC20_TRANSFER]], expect).table.to_pylist()
    rows: list[dict[str, Any]] = pay_table(receipt, coins, terminals=terminals).to_pylist()
    return rows


def test_a_payment_has_its_amount_from_the_event_and_its_coin_from_the_tokens_own_log() -> None:
    (row,) = read(coin_log(25_000_000), pay_log(25_000_000))
    assert (row["kind"], row["emitter"], row["recipient"]) == ("terminal", TERMINAL, TERMINAL)
    assert (row["token"], row["token_known"], row["amount_units"]) == (USDC, True, Decimal(25_000_000))
    assert (row["log_index"], row["block"], row["tx_hash"], row["block_time"]) == (5, 16, HASH, 0x6B000000 * 1000)
    assert row["reference_topic"] is None


def test_the_older_terminal_is_believed_where_it_is_named_and_nobody_else_is() -> None:
    assert read(coin_log(1, to=OLDER), pay_log(1, emitter=OLDER))
    assert not read(coin_log(1, to=OLDER), pay_log(1, emitter=OLDER), terminals=frozenset({TERMINAL}))
    assert not read(coin_log(1), pay_log(1, emitter=ROUTER))


def test_a_router_tells_of_the_same_payment_once_more_and_it_counts_once() -> None:
    routed = log(ROUTER, ["0x" + "77" * 32, "0x" + word(7), "0x" + word(ROUTER)], "0x" + word(25_000_000), 7)
    through = coin_log(25_000_000, index=2, to=ROUTER)
    (row,) = read(through, coin_log(25_000_000), pay_log(25_000_000), routed)
    assert row["amount_units"] == 25_000_000


def test_an_amount_of_nothing_is_valid_and_no_money() -> None:
    assert not read(pay_log(0))
    assert len(read(pay_log(0, index=1), coin_log(3), pay_log(3))) == 1


@pytest.mark.parametrize(
    ("logs", "why"),
    [
        ([pay_log(5)], "no token's own log"),
        ([coin_log(5, to=ROUTER), pay_log(5)], "no token's own log"),
        ([pay_log(5), coin_log(5, index=9)], "no token's own log"),
        ([coin_log(5), coin_log(5, index=4, token=OTHER), pay_log(5)], "2 tokens"),
        ([coin_log(5), pay_log(5), pay_log(5, index=8)], "in one transaction: 2"),
        ([coin_log(5), pay_log(5, topics=[TERMINAL_PAY])], "impossible shape"),
    ],
)  # fmt: skip
def test_what_cannot_be_told_of_a_payment_is_never_guessed(logs: list[RawLog], why: str) -> None:
    with pytest.raises(TransferLogError, match=why):
        read(*logs)


def test_an_amount_past_37_digits_is_text() -> None:
    (row,) = read(coin_log(10**40), pay_log(10**40))
    assert (row["amount_units"], row["amount_text"]) == (None, str(10**40))


def test_a_call_is_told_by_its_address_value_and_data_and_by_nothing_else() -> None:
    shouted = [text.upper().replace("0X", "0x") for text in (HASH, TERMINAL)]
    made = RawCall(hash=shouted[0], to=shouted[1], input="0xABcd", value="0x0a")
    assert digest_of_call(made, HASH) == call_digest(TERMINAL, "0xabcd", value_wei=10)
    odd = [{"hash": "0x" + "00" * 32}, {"to": None}, {"input": "0xabc"}, {"input": None}, {"value": None}]
    for change in odd:
        whole = {"hash": HASH, "to": TERMINAL, "input": "0x", "value": "0x0", **change}
        assert digest_of_call(RawCall(**whole), HASH) is None  # type: ignore[arg-type]


def test_terminals_are_no_contracts_of_references() -> None:
    known = load_registry()
    added = Emitter(8453, TERMINAL, "terminal", "5.1", 0)
    more = extend_registry(known, emitters=(added,))
    assert more.emitters_of(8453) == known.emitters_of(8453)
    assert more.emitters_of(8453, kind="terminal") == (added,)
