"""What a terminal logs when it is paid, read from a receipt: how much came, and in which coin.

A terminal is one of the contracts that the configuration names for it; what others log under the same name proves
nothing. Its ``Pay`` event says an amount and not of which token, so the token is the one whose own Transfer log shows
money coming to the terminal before it in the same transaction. A worked example::

    log 4  USDC      Transfer payer -> terminal  25000000
    log 6  terminal  Pay 25000000                          25 USDC came to the terminal
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from recon.core.money import UNITS_MAX
from recon.core.registry.known import TERMINAL, TERMINAL_PAY
from recon.sources.chain.logs import COLUMNS, RawLog, RawReceipt, TransferLogError, empty_columns, parse_quantity

if TYPE_CHECKING:
    import pyarrow as pa

_TOPICS: Final = 4
_WORDS_MIN: Final = 7
_AMOUNT_WORD: Final = 2
_HEX: Final = frozenset("0123456789abcdef")


def pay_table(raw: RawReceipt, coins: Sequence[Mapping[str, Any]], *, terminals: Collection[str]) -> pa.Table:
    """The payment that a receipt shows at a terminal, as columns; none where there is none, or none of any money.

    Args:
        coins: The ERC-20 transfers of the receipt: log_index, token, token_known and recipient.
        terminals: The contracts that are believed.

    Raises:
        TransferLogError: A terminal's event is malformed, stands beside another one, or no token's own log says in
            which coin the money came: what came is then not known.
    """
    import pyarrow as pa

    log, amount = _only_payment(raw, terminals)
    if log is None:
        return empty_columns()
    token, is_known = _coin_of(log, coins)
    fits = amount <= UNITS_MAX
    terminal = log.address.lower()
    row = {
        "tx_hash": (log.transaction_hash or "").lower(),
        "log_index": parse_quantity(log.log_index, what="logIndex"),
        "block": parse_quantity(log.block_number, what="blockNumber"),
        "block_hash": (log.block_hash or "").lower(),
        "block_time": _time_of(log),
        "emitter": terminal,
        "kind": TERMINAL,
        "token": token,
        "token_known": is_known,
        "recipient": terminal,
        "amount_units": Decimal(amount) if fits else None,
        "amount_text": None if fits else str(amount),
    }
    return pa.Table.from_pylist([{name: row.get(name) for name in COLUMNS}], schema=empty_columns().schema)


def _only_payment(raw: RawReceipt, terminals: Collection[str]) -> tuple[RawLog | None, int]:
    """The one payment of any money in a receipt, and its amount; None where there is none."""
    logs = [log for log in raw.logs if log.address.lower() in terminals and _is_pay(log)]
    paid = [(log, amount) for log in logs if (amount := _amount_of(log))]
    if len(paid) > 1:
        raise TransferLogError(what=f"payments to terminals in one transaction: {len(paid)}, and no log says of whom")
    return paid[0] if paid else (None, 0)


def _coin_of(log: RawLog, coins: Sequence[Mapping[str, Any]]) -> tuple[str, bool]:
    """The one token that came to the terminal before it logged a payment, and whether it is known."""
    index, terminal = parse_quantity(log.log_index, what="logIndex"), log.address.lower()
    before = {
        coin["token"]: bool(coin["token_known"])
        for coin in coins
        if coin["recipient"] == terminal and coin["log_index"] < index
    }
    if len(before) != 1:
        raise TransferLogError(what=f"a terminal was paid, and {_how_many(before)} shows in which coin")
    return next(iter(before.items()))


def _how_many(tokens: Mapping[str, Any]) -> str:
    return "no token's own log" if not tokens else f"the logs of {len(tokens)} tokens, and not of one,"


def _is_pay(log: RawLog) -> bool:
    return bool(log.topics) and log.topics[0].lower() == TERMINAL_PAY


def _amount_of(log: RawLog) -> int:
    """The amount that a terminal says came, in base units of a token it does not name."""
    data = log.data.lower().removeprefix("0x")
    if len(log.topics) != _TOPICS or len(data) < _WORDS_MIN * 64 or not _HEX.issuperset(data):
        raise TransferLogError(what="a terminal's Pay has an impossible shape")
    return int(data[_AMOUNT_WORD * 64 : (_AMOUNT_WORD + 1) * 64], 16)


def _time_of(log: RawLog) -> int | None:
    if log.block_timestamp is None:
        return None
    seconds = parse_quantity(log.block_timestamp, what="blockTimestamp")
    return seconds * 1_000 if seconds < 1 << 40 else None
