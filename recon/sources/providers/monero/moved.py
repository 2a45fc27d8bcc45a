"""What wallets and daemon together show of money that moved, as rows of transfers and transactions. Pure.

A worked example, an escrow of three wallets with the same keys, released by one of them::

    arbiter   in   1.0981916  tx b7..   the change of the release, which this wallet takes for money that came
    vendor    out  0.4        tx b7..   to the seller's address
    result    tx b7.. one transfer of 0.4 to the seller; the change is none
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from recon.sources.providers.monero.answers import KINDS_OUT, DaemonTx, WalletRow
from recon.sources.providers.monero.networks import COIN, transfer_number
from recon.sources.providers.monero.wallets import WorldRead, is_incoming

Row = dict[str, Any]

UNKNOWN_TO_ALL: Final = "the daemon has it, and no wallet that was asked shows what it moved"
GOES_NOWHERE: Final = "wallets show that it left, and none of them knows any more where it went"


@dataclass(frozen=True, slots=True)
class FinalFrom:
    """From how many confirmations on money is final on a chain."""

    chain_id: int
    confirmations_min: int


@dataclass(frozen=True, slots=True)
class _Moved:
    """What came to one address by one transaction, as one wallet shows it."""

    units: int
    locked: bool
    at_ms: int
    sender: str | None = None


def transfer_rows(read: WorldRead, *, by: FinalFrom) -> tuple[list[Row], tuple[str, ...]]:
    """Rows of ``transfers``, and the transactions of which two wallets tell different things, which have none."""
    places: dict[tuple[str, str], list[_Moved]] = defaultdict(list)
    for tx_hash, recipient, moved in _moved_in(read):
        places[tx_hash, recipient].append(moved)
    rows, torn = [], set()
    for (tx_hash, recipient), told in sorted(places.items()):
        if len({each.units for each in told}) > 1:
            torn.add(tx_hash)
            continue
        rows.append(_transfer(tx_hash, recipient, told, read=read, by=by))
    return [row for row in rows if row["tx_hash"][2:] not in torn], tuple(sorted(torn))


def _moved_in(read: WorldRead) -> Iterable[tuple[str, str, _Moved]]:
    left = {(each.keys, row.tx_hash) for each in read.wallets for row in each.rows if row.kind in KINDS_OUT}
    for wallet in read.asked:
        for row in wallet.rows:
            if is_incoming(row):
                # What comes back to the keys that sent it is change, or moved from one of their addresses to another.
                if (wallet.keys, row.tx_hash) not in left:
                    yield row.tx_hash, row.address, _Moved(row.units, row.locked, row.at_ms)
            elif row.kind in KINDS_OUT and row.tx_hash in read.txs:
                for address, units in _sums(row).items():
                    yield row.tx_hash, address, _Moved(units, locked=False, at_ms=row.at_ms, sender=wallet.keys)


def _sums(row: WalletRow) -> Mapping[str, int]:
    sums: dict[str, int] = defaultdict(int)
    for each in row.destinations:
        sums[each.address] += each.units
    return sums


def _transfer(tx_hash: str, recipient: str, told: Sequence[_Moved], *, read: WorldRead, by: FinalFrom) -> Row:
    tx = read.txs.get(tx_hash)
    assert tx is not None and read.daemon is not None, tx_hash
    confirmations = _confirmations(tx, read)
    return {
        "chain_id": by.chain_id,
        "tx_hash": f"0x{tx_hash}",
        "log_index": transfer_number(recipient),
        "block": read.daemon.height if tx.height is None else tx.height,
        "block_time": min(each.at_ms for each in told) if tx.at_ms is None else tx.at_ms,
        "kind": "erc20",
        "token": COIN,
        "token_known": True,
        "sender": max((each.sender for each in told if each.sender is not None), default=None),
        "recipient": recipient,
        "amount_units": told[0].units,
        "confirmations": confirmations,
        "final": confirmations >= by.confirmations_min and not any(each.locked for each in told),
    }


def _confirmations(tx: DaemonTx, read: WorldRead) -> int:
    assert read.daemon is not None
    return 0 if tx.height is None else max(0, read.daemon.height - tx.height)


def transaction_rows(hashes: Iterable[str], read: WorldRead, *, moved: Iterable[Row], by: FinalFrom) -> list[Row]:
    """Rows of ``transactions`` about what was asked (64 digits each).

    A mined transaction that no wallet can explain has failed as a question: nobody can say that it moved nothing.
    """
    told = {row["tx_hash"] for row in moved}
    left = {row.tx_hash for each in read.wallets for row in each.rows if row.kind in KINDS_OUT}
    return [_transaction(tx_hash, read, is_told=f"0x{tx_hash}" in told, left=left, by=by) for tx_hash in hashes]


def _transaction(tx_hash: str, read: WorldRead, *, is_told: bool, left: Collection[str], by: FinalFrom) -> Row:
    row: Row = {"chain_id": by.chain_id, "tx_hash": f"0x{tx_hash}"}
    if read.problem is not None:
        return {**row, "outcome": "failed", "error": read.problem}
    tx = read.txs.get(tx_hash)
    if tx is None:
        return {**row, "outcome": "not_found"}
    if tx.height is None:
        return {**row, "outcome": "pending", "confirmations": 0, "final": False}
    if not is_told:
        why = GOES_NOWHERE if tx_hash in left else UNKNOWN_TO_ALL
        return {**row, "outcome": "failed", "error": "; ".join((why, *read.unasked))}
    confirmations = _confirmations(tx, read)
    return {
        **row,
        "outcome": "success",
        "block": tx.height,
        "block_time": tx.at_ms,
        "confirmations": confirmations,
        "final": confirmations >= by.confirmations_min,
    }
