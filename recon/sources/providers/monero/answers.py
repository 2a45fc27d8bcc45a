"""What wallet servers and daemons answer, read into records. Pure: no I/O, no clock.

An amount is a whole number of smallest units up to 2^64 - 1 and never anything else: text, a fraction or true make the
whole answer unreadable, for a list of which one row is left out is no list. A key that is missing is an empty list.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from recon.sources.providers.monero.networks import read_address, with_payment_id

UNITS_MAX: Final = 2**64 - 1
KINDS_IN: Final = ("in", "block", "pool")
"""Money that came: in a block, as a miner's reward, or not in a block yet."""
KINDS_OUT: Final = ("out", "pending")
_LISTS: Final = ("in", "out", "pending", "pool", "failed")
_TX: Final = re.compile(r"[0-9a-f]{64}\Z")


class UnreadableError(Exception):
    """An answer holds what cannot be read; the text says what, and quotes nothing."""


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a part of what a wallet sent went."""

    address: str
    units: int


@dataclass(frozen=True, slots=True)
class WalletRow:
    """One transfer as one wallet shows it.

    Args:
        kind: in, block, pool, out, pending or failed.
        tx_hash: 64 digits without ``0x``.
        address: Where it came to, the payment id in it where there is one; of what was sent the wallet's own.
        height: The block; None while it is in none.
        at_ms: The block's time; of what is in no block the moment at which this wallet saw it.
        locked: Whether it cannot be spent yet.
        destinations: Where it went, as far as this wallet knows.
    """

    kind: str
    tx_hash: str
    address: str
    units: int
    height: int | None
    at_ms: int
    locked: bool
    destinations: tuple[Destination, ...] = ()


@dataclass(frozen=True, slots=True)
class DaemonTx:
    """A transaction as the daemon has it; ``height`` is None while it is in the pool."""

    tx_hash: str
    height: int | None
    at_ms: int | None


@dataclass(frozen=True, slots=True)
class DaemonState:
    """How far a daemon is: ``height`` counts its blocks, ``head_ms`` is the time of the newest."""

    height: int
    head_ms: int
    problem: str | None = None


def whole(value: object, *, what: str, most: int = UNITS_MAX) -> int:
    """A whole number that is not negative. Raises UnreadableError for anything else."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
        raise UnreadableError(f"{what} is no whole number that Monero can hold")
    return value


def transfers_of(result: Mapping[str, Any]) -> tuple[WalletRow, ...]:
    """The answer of ``get_transfers``. Raises UnreadableError."""
    return tuple(_row(row) for name in _LISTS for row in _dicts(result.get(name), what=f"the list {name}"))


def _dicts(value: object, *, what: str) -> Iterable[Mapping[str, Any]]:
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(each, Mapping) for each in value):
        raise UnreadableError(f"{what} is no list of objects")
    return value


def _row(row: Mapping[str, Any]) -> WalletRow:
    kind = row.get("type")
    if kind not in (*KINDS_IN, *KINDS_OUT, "failed"):
        raise UnreadableError("a transfer is of an unknown type")
    height = whole(row.get("height", 0), what="a height", most=2**40)
    return WalletRow(
        kind=str(kind),
        tx_hash=_tx(row.get("txid")),
        address=_address(row, is_in=kind in KINDS_IN),
        units=whole(row.get("amount"), what="an amount"),
        height=height if height and kind not in ("pool", "pending") else None,
        at_ms=whole(row.get("timestamp", 0), what="a time", most=2**40) * 1000,
        locked=row.get("locked") is not False,
        destinations=tuple(
            Destination(_known(each.get("address")), whole(each.get("amount"), what="an amount"))
            for each in _dicts(row.get("destinations"), what="the list of destinations")
        ),
    )


def _address(row: Mapping[str, Any], *, is_in: bool) -> str:
    """A subaddress payment has its own address; one with a payment id shows the standard address and the id beside."""
    address = _known(row.get("address"))
    payment_id = row.get("payment_id")
    has_id = is_in and isinstance(payment_id, str) and len(payment_id) == 16 and payment_id.strip("0") != ""
    return (with_payment_id(address, payment_id) or address) if has_id and isinstance(payment_id, str) else address


def _known(value: object) -> str:
    address = read_address(value) if isinstance(value, str) else None
    if address is None:
        raise UnreadableError("an address has a wrong checksum")
    return address


def _tx(value: object) -> str:
    if not isinstance(value, str) or not _TX.match(value):
        raise UnreadableError("a transaction has no hash")
    return value


def addresses_of(result: Mapping[str, Any]) -> tuple[str, ...]:
    """The answer of ``get_address`` for one account, the account's own first. Raises UnreadableError."""
    found = tuple(_known(each.get("address")) for each in _dicts(result.get("addresses"), what="the addresses"))
    if not found:
        raise UnreadableError("an account has no address")
    return found


def accounts_of(result: Mapping[str, Any]) -> tuple[int, ...]:
    """The answer of ``get_accounts``. Raises UnreadableError."""
    listed = _dicts(result.get("subaddress_accounts"), what="the accounts")
    found = tuple(whole(each.get("account_index"), what="an account", most=2**32) for each in listed)
    if not found:
        raise UnreadableError("the wallet has no account")
    return found


def state_of(info: Mapping[str, Any], header: Mapping[str, Any], *, now_ms: int, age_max_ms: int) -> DaemonState:
    """What ``get_info`` and ``get_last_block_header`` say. Raises UnreadableError."""
    height = whole(info.get("height"), what="a height", most=2**40)
    block = header.get("block_header")
    if not isinstance(block, Mapping):
        raise UnreadableError("the newest block has no header")
    top = whole(block.get("height"), what="a height", most=2**40)
    head_ms = whole(block.get("timestamp"), what="a time", most=2**40) * 1000
    return DaemonState(min(height, top + 1), head_ms, _behind(info, head_ms, now_ms=now_ms, age_max_ms=age_max_ms))


def _behind(info: Mapping[str, Any], head_ms: int, *, now_ms: int, age_max_ms: int) -> str | None:
    """Why what a daemon says is not of now, or None."""
    target = info.get("target_height")
    height = info.get("height")
    if info.get("untrusted") is True:
        return "the daemon asks another one that it does not trust"
    if isinstance(target, int) and isinstance(height, int) and target > height:
        return f"the daemon is at block {height} of {target}"
    if info.get("synchronized") is not True or info.get("busy_syncing") is True:
        return "the daemon has not caught up with its network"
    if now_ms - head_ms > age_max_ms:
        return f"the daemon's newest block is {(now_ms - head_ms) // 60_000} minutes old"
    return None


def daemon_txs_of(body: Mapping[str, Any]) -> dict[str, DaemonTx]:
    """The answer of ``/get_transactions``: what the daemon has, by hash. Raises UnreadableError."""
    found = {}
    for each in _dicts(body.get("txs"), what="the transactions"):
        tx_hash = _tx(each.get("tx_hash"))
        if each.get("in_pool") is True:
            found[tx_hash] = DaemonTx(tx_hash, None, None)
            continue
        height = whole(each.get("block_height"), what="a height", most=2**40)
        found[tx_hash] = DaemonTx(tx_hash, height, whole(each.get("block_timestamp"), what="a time", most=2**40) * 1000)
    return found
