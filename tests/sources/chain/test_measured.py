"""What a reading finds in the tokens' own logs about what a proxy states, and what odd tokens say of themselves."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from recon.core.tables import table_of
from recon.sources.chain.measured import CoinsSeen, measured
from recon.sources.chain.receipts import Transaction
from recon.sources.chain.tokens import TokenFacts, parse_decimals, parse_symbol, with_token_facts
from tests.support.builders import PAYER, RECIPIENT, USDC, USDT, Row, plain_transfer_row, transfer_row, tx_hash

ODD = "0x" + "99" * 20


class Asked:
    """The recipients and tokens of a scan."""

    def __init__(self, recipients: tuple[str, ...] = (), tokens: tuple[str, ...] = ()) -> None:
        self.recipients, self.tokens = recipients, tokens


def by_receipts(*hashes: str) -> CoinsSeen:
    return CoinsSeen({one: Transaction(one, "success") for one in hashes}, None, plan=Asked())


def call(index: int, units: int, **given: Any) -> Row:
    return transfer_row(token=USDT, log_index=index, amount_units=units, **given)


def coin(index: int, units: int, **given: Any) -> Row:
    values = {
        "token": USDT,
        "emitter": USDT,
        "recipient": RECIPIENT,
        "log_index": index,
        "amount_units": units,
        **given,
    }
    return plain_transfer_row(**values)


def moved(*rows: Row, seen: CoinsSeen | None = None, plain: frozenset[str] = frozenset()) -> list[tuple[Any, Any]]:
    table = table_of("transfers", [dict(row) for row in rows])
    columns = measured(table, seen=seen or by_receipts(tx_hash(1)), plain_tokens=plain)
    found = zip(columns["moved_units"].to_pylist(), columns["stated_only"].to_pylist(), strict=True)
    logs = zip(table["kind"].to_pylist(), found, strict=True)
    return [(None if units is None else int(units), only) for kind, (units, only) in logs if kind != "erc20"]


def test_less_than_stated_came_where_the_token_kept_a_part() -> None:
    assert moved(coin(7, 99), call(8, 100)) == [(99, False)]


def test_no_more_than_stated_is_laid_to_a_call() -> None:
    assert moved(coin(7, 105), call(8, 100)) == [(100, False)]


def test_nothing_came_where_the_token_logged_nothing_to_the_recipient() -> None:
    assert moved(coin(7, 100, recipient=PAYER), coin(6, 100, token=ODD), call(8, 100)) == [(0, False)]


def test_who_pays_himself_moves_nothing() -> None:
    assert moved(coin(7, 100, sender=RECIPIENT), call(8, 100)) == [(0, False)]


def test_the_calls_of_a_batch_are_told_apart_by_where_they_end() -> None:
    batch = (coin(1, 99), call(2, 100), coin(3, 50), call(4, 50), coin(5, 1), call(6, 100))
    assert moved(*batch) == [(99, False), (50, False), (1, False)]


def test_an_event_of_a_strange_contract_takes_nothing_from_the_call_it_stands_in() -> None:
    assert moved(coin(1, 100), call(2, 100, kind="unknown"), call(3, 100)) == [(None, None), (100, False)]


@pytest.mark.parametrize(("token", "only"), [(USDT, True), (ODD, True), (USDC, False)])
def test_what_nobody_read_is_only_stated_where_the_token_can_take_a_fee(token: str, only: bool) -> None:
    log = {**call(8, 100), "token": token}
    assert moved(log, seen=by_receipts(), plain=frozenset({USDC})) == [(None, only)]


def test_an_amount_too_large_to_be_told_stays_as_it_was_stated() -> None:
    huge = coin(7, 0, amount_units=None, amount_text=str(2**256 - 1))
    assert moved(huge, call(8, 100)) == [(100, False)]


def test_a_symbol_is_shown_only_where_it_is_short_and_plain() -> None:
    def text(value: bytes) -> str:
        return f"0x{32:064x}{len(value):064x}{value.hex().ljust(64, '0')}"

    assert parse_symbol(text(b"USDC.e")) == "USDC.e"
    assert parse_symbol("0x" + b"MKR".hex().ljust(64, "0")) == "MKR"
    for bad in (text(b"click http://x"), text(b"\x1b[31mUSDC"), text(b"A" * 30), "0x", "0xzz", text(b"")):
        assert parse_symbol(bad) is None
    assert (parse_decimals(f"0x{6:064x}"), parse_decimals(f"0x{2**200:064x}"), parse_decimals("0x")) == (6, None, None)


def test_what_a_contract_says_of_itself_is_not_taken_for_a_token_that_is_known() -> None:
    rows = [dict(coin(1, 1)), dict(coin(2, 1, token=ODD, token_known=False))]
    facts = {ODD: TokenFacts("USDT", 6), USDT: TokenFacts("FAKE", 1)}
    told = with_token_facts(table_of("transfers", rows), facts)
    assert isinstance(told, pa.Table)
    assert [(row["token_symbol"], row["token_decimals"]) for row in told.to_pylist()] == [(None, None), ("USDT", 6)]
