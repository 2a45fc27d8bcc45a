"""How much of what a proxy logs really came: what the token's own Transfer logs in the same transaction say.

A proxy states what it was told to send; a token that takes a fee, or that sends nothing, moves less. Each proxy call
logs its token transfers first and its own event last, so a transaction with several calls is cut at those events. A
worked example, a token that keeps 1 %::

    log 7  USDT       Transfer payer -> seller  99
    log 8  fee proxy  100 to seller             moved 99
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    import pyarrow as pa

    from recon.sources.chain.receipts import Transaction
    from recon.sources.chain.scan import Scan

Row = Mapping[str, Any]
_KEY: Final = ("tx_hash", "token", "recipient")
_READ: Final = (*_KEY, "log_index", "block", "kind", "sender", "amount_units")


class _Asked(Protocol):
    @property
    def recipients(self) -> tuple[str, ...]: ...
    @property
    def tokens(self) -> tuple[str, ...]: ...


class CoinsSeen:
    """Which ERC-20 transfers a reading saw: those of every receipt, and those that its scan asked for.

    Args:
        transactions: What receipts said, by hash.
        scan: The scan of ERC-20 transfers, or None where there was none.
        plan: The recipients and tokens of that scan; no token means any.
    """

    def __init__(self, transactions: Mapping[str, Transaction], scan: Scan | None, *, plan: _Asked) -> None:
        self._transactions, self._scan = transactions, scan
        self._recipients, self._tokens = frozenset(plan.recipients), frozenset(plan.tokens)

    def all_of(self, log: Row) -> bool:
        """Whether every transfer of a proxy log's token to its recipient in its transaction was seen."""
        answer, scan = self._transactions.get(log["tx_hash"]), self._scan
        if answer is not None and answer.outcome == "success":
            return True
        if scan is None or log["recipient"] not in self._recipients or not scan.was_asked(log["block"]):
            return False
        in_hole = any(hole.lo <= log["block"] <= hole.hi for hole in scan.holes)
        return not in_hole and (not self._tokens or log["token"] in self._tokens)


def measured(table: pa.Table, *, seen: CoinsSeen, plain_tokens: Collection[str]) -> dict[str, pa.Array]:
    """The columns ``moved_units`` and ``stated_only`` of decoded logs.

    Args:
        table: Proxy logs and ERC-20 transfers of one chain.
        seen: Which ERC-20 transfers the reading saw.
        plain_tokens: Tokens that cannot take a fee: nothing is missed where theirs were not read.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    is_coin = pc.equal(table["kind"], "erc20")
    places = pc.indices_nonzero(pc.invert(is_coin)).to_pylist()
    moved: list[Decimal | None] = [None] * table.num_rows
    stated_only: list[bool | None] = [None] * table.num_rows
    if places:
        logs = table.select(list(_READ)).take(pa.array(places, pa.int64())).to_pylist()
        coins = table.select(list(_READ)).filter(
            pc.and_(is_coin, pc.is_in(table["tx_hash"], value_set=pc.unique(_named(logs))))
        )
        sums = _Sums(logs, coins.to_pylist())
        for place, log in zip(places, logs, strict=True):
            if log["kind"] == "unknown":
                continue
            is_read = seen.all_of(log)
            moved[place] = sums.of(log) if is_read else None
            stated_only[place] = not is_read and log["token"] not in plain_tokens
    return {"moved_units": pa.array(moved, pa.decimal128(38, 0)), "stated_only": pa.array(stated_only, pa.bool_())}


def _named(logs: list[dict[str, Any]]) -> pa.Array:
    import pyarrow as pa

    return pa.array([log["tx_hash"] for log in logs], pa.string())


class _Sums:
    """What tokens logged, by the proxy call that it was part of."""

    def __init__(self, logs: list[dict[str, Any]], coins: list[dict[str, Any]]) -> None:
        self._calls: dict[Any, list[int]] = defaultdict(list)
        self._ends: dict[str, list[int]] = defaultdict(list)
        self._coins: dict[Any, list[dict[str, Any]]] = defaultdict(list)
        for log in logs:
            if log["kind"] != "unknown":
                self._calls[_key(log)].append(log["log_index"])
                self._ends[log["tx_hash"]].append(log["log_index"])
        for coin in coins:
            # Who sends to himself moves nothing.
            if coin["sender"] != coin["recipient"]:
                self._coins[_key(coin)].append(coin)

    def of(self, log: Row) -> Decimal | None:
        """What came by this call, at most what it states; None where a number is too large to be told."""
        coins = self._coins[_key(log)]
        if len(self._calls[_key(log)]) > 1:
            start = max((end for end in self._ends[log["tx_hash"]] if end < log["log_index"]), default=-1)
            coins = [coin for coin in coins if start < coin["log_index"] < log["log_index"]]
        amounts = [coin["amount_units"] for coin in coins]
        stated: Decimal | None = log["amount_units"]
        if None in amounts:
            return stated
        total = sum(int(amount) for amount in amounts)
        return Decimal(total if stated is None else min(total, int(stated))) if total < 10**37 else stated


def _key(row: Row) -> tuple[Any, ...]:
    return tuple(row[name] for name in _KEY)
