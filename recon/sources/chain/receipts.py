"""What became of single transactions, from their receipts: outcome, place, and the transfers inside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from recon.core.ids import normalise_address
from recon.core.registry import ERC20_TRANSFER, TRANSFER_WITH_REFERENCE_AND_FEE
from recon.sources.chain.endpoints import EndpointsDownError, Live, Pool
from recon.sources.chain.logs import (
    INT64_MAX,
    RECEIPT_ANSWER,
    Expectation,
    RawLog,
    RawReceipt,
    TransferLogError,
    decode_page,
    empty_columns,
    parse_quantity,
)
from recon.sources.chain.rpc import Envelope, Fault, RpcError, clean
from recon.sources.chain.terminals import pay_table

if TYPE_CHECKING:
    import pyarrow as pa

Outcome = Literal["success", "reverted", "pending", "not_found", "failed"]


class RawTransaction(msgspec.Struct, rename="camel"):
    """The parts of a transaction that tell whether it waits in the pool."""

    hash: str | None = None
    block_number: str | int | None = None


ABSENT_PAUSE_S: Final = 0.3
"""Pause before a transaction that nobody knew is asked about once more."""

TRANSACTION_ANSWER: Final = msgspec.json.Decoder(Envelope[RawTransaction])


@dataclass(frozen=True, slots=True)
class Transaction:
    """What one endpoint says of a transaction. ``failed`` means nobody could say; it is never "no"."""

    tx_hash: str
    outcome: Outcome
    block: int | None = None
    block_hash: str | None = None
    sender: str | None = None
    error: str | None = None


@dataclass(slots=True)
class Receipts:
    """Answers by hash, and the transfers in them as columns."""

    transactions: dict[str, Transaction] = field(default_factory=dict)
    tables: list[pa.Table] = field(default_factory=list)

    def absent(self, hashes: Sequence[str]) -> list[str]:
        """Which of these nobody found so far."""
        return [tx_hash for tx_hash in hashes if self.transactions[tx_hash].outcome == "not_found"]

    def table(self) -> pa.Table:
        """All transfers of all receipts."""
        import pyarrow as pa

        return pa.concat_tables([empty_columns(), *self.tables])


class ReceiptReader:
    """Reads receipts in batches over a pool of endpoints.

    Args:
        kinds: Kind by emitter address, of the whole chain.
        known_tokens: Tokens that the registry knows on the chain.
        terminals: Contracts whose word for what they were paid is believed.
        from_block: "Not found" is only believed of an endpoint that has reached this block.
        batch_max: Receipts per request.
    """

    def __init__(
        self,
        pool: Pool,
        *,
        kinds: dict[str, str],
        known_tokens: frozenset[str],
        from_block: int,
        batch_max: int,
        terminals: frozenset[str] = frozenset(),
    ) -> None:
        self.pool, self.from_block, self.batch_max = pool, from_block, batch_max
        self._terminals = terminals
        self._proxy = Expectation(False, kinds, known_tokens, 0, INT64_MAX, any_emitter=True)
        self._erc20 = replace(self._proxy, erc20=True)

    def read(self, hashes: Sequence[str]) -> Receipts:
        """Give every hash exactly one :class:`Transaction`."""
        result = Receipts()
        for start in range(0, len(hashes), self.batch_max):
            chunk = list(hashes[start : start + self.batch_max])
            try:
                self._chunk(chunk, result)
            except EndpointsDownError as error:
                for tx_hash in chunk:
                    result.transactions.setdefault(tx_hash, Transaction(tx_hash, "failed", error=str(error)))
        return result

    def _chunk(self, chunk: list[str], result: Receipts) -> None:
        live, answers = self.pool.ask(lambda live: (live, self._batch(live, chunk)))
        self._take(live, chunk, answers, result)
        # What one endpoint does not know or could not say, the others are asked: it may be pruned or behind.
        for other in self.pool.others(live):
            open_ = [h for h in chunk if result.transactions[h].outcome in ("not_found", "failed")]
            if not open_:
                return
            if not self.pool.ready(other):
                continue
            try:
                second = self._batch(other, open_)
            except RpcError:
                continue
            found = Receipts()
            self._take(other, open_, second, found)
            for tx_hash, answer in found.transactions.items():
                if answer.outcome not in ("not_found", "failed"):
                    result.transactions[tx_hash] = answer
            result.tables += found.tables
        self._look_in_pool(live, chunk, result)
        self._ask_again(live, chunk, result)

    def _ask_again(self, live: Live, chunk: list[str], result: Receipts) -> None:
        """A backend behind the head knows no new transaction, and the next call may reach another one."""
        absent = result.absent(chunk)
        if not absent:
            return
        self.pool.clock.sleep(ABSENT_PAUSE_S)
        answers: Sequence[RawReceipt | RpcError | None]
        try:
            answers = self._batch(live, absent)
        except RpcError as error:
            answers = [error] * len(absent)
        self._take(live, absent, answers, result)
        self._look_in_pool(live, absent, result)

    def _batch(self, live: Live, chunk: list[str]) -> list[RawReceipt | RpcError | None]:
        return live.client.batch("eth_getTransactionReceipt", [[h] for h in chunk], decoder=RECEIPT_ANSWER)

    def _take(
        self, live: Live, chunk: list[str], answers: Sequence[RawReceipt | RpcError | None], result: Receipts
    ) -> None:
        for tx_hash, raw in zip(chunk, answers, strict=True):
            if isinstance(raw, RpcError):
                result.transactions[tx_hash] = Transaction(tx_hash, "failed", error=str(raw))
            elif raw is None:
                result.transactions[tx_hash] = self._absent(live, tx_hash)
            else:
                self._understand(live, tx_hash, raw, result)

    def _absent(self, live: Live, tx_hash: str) -> Transaction:
        head = live.head.number if live.head else -1
        if head < self.from_block:
            return Transaction(
                tx_hash, "failed", error=f"{live.host} is at block {head} and may not have this transaction yet."
            )
        return Transaction(tx_hash, "not_found")

    def _understand(self, live: Live, tx_hash: str, raw: RawReceipt, result: Receipts) -> None:
        try:
            answer = self._parsed(tx_hash, raw)
            tables = self._transfers(raw) if answer.outcome == "success" else []
        except TransferLogError as error:
            result.transactions[tx_hash] = Transaction(tx_hash, "failed", error=f"{live.host}: {clean(str(error))}")
            return
        result.transactions[tx_hash] = answer
        result.tables += tables

    def _parsed(self, tx_hash: str, raw: RawReceipt) -> Transaction:
        if (raw.transaction_hash or "").lower() != tx_hash:
            raise TransferLogError(what="the receipt belongs to another transaction")
        if raw.block_number is None or raw.block_hash is None:
            return Transaction(tx_hash, "pending")
        block = parse_quantity(raw.block_number, what="the block of a receipt")
        status = parse_quantity(raw.status, what="the status of a receipt")
        if status not in (0, 1):
            raise TransferLogError(what=f"the status of a receipt is {status}")
        block_hash = raw.block_hash.lower()
        if not all(_is_log_of(log, tx_hash, block, block_hash) for log in raw.logs):
            raise TransferLogError(what="a log in the receipt belongs to another transaction or block")
        return Transaction(
            tx_hash, "success" if status else "reverted", block, block_hash, normalise_address(raw.sender or "")
        )

    def _transfers(self, raw: RawReceipt) -> list[pa.Table]:
        tables = []
        for topic, expect in ((TRANSFER_WITH_REFERENCE_AND_FEE, self._proxy), (ERC20_TRANSFER, self._erc20)):
            logs = [log for log in raw.logs if log.topics and log.topics[0].lower() == topic]
            if not logs:
                continue
            page = decode_page(logs, expect)
            if page.rejects and any(self._is_known(log) for log in logs):
                raise TransferLogError(what=page.rejects[0])
            tables.append(page.table)
        return [*tables, *self._paid(raw, tables)]

    def _paid(self, raw: RawReceipt, tables: Sequence[pa.Table]) -> list[pa.Table]:
        """What terminals say that they were paid, where any are known on the chain."""
        if not self._terminals:
            return []
        coins = [coin for table in tables for coin in table.to_pylist() if coin["kind"] == "erc20"]
        return [pay_table(raw, coins, terminals=self._terminals)]

    def _is_known(self, log: RawLog) -> bool:
        address = log.address.lower()
        return address in self._proxy.kinds or address in self._proxy.known_tokens

    def _look_in_pool(self, live: Live, chunk: list[str], result: Receipts) -> None:
        """A transaction without a receipt may wait to be mined; where nobody can tell, it stays "not found"."""
        absent = result.absent(chunk)
        if not absent or not live.transactions:
            return
        try:
            answers = live.client.batch("eth_getTransactionByHash", [[h] for h in absent], decoder=TRANSACTION_ANSWER)
        except RpcError:
            return
        for tx_hash, raw in zip(absent, answers, strict=True):
            if isinstance(raw, RpcError):
                live.transactions = live.transactions and raw.complaint.fault is not Fault.UNSUPPORTED
            elif raw is not None and (raw.hash or "").lower() == tx_hash:
                result.transactions[tx_hash] = _without_receipt(raw, tx_hash, host=live.host)


def _is_log_of(log: RawLog, tx_hash: str, block: int, block_hash: str) -> bool:
    if (log.transaction_hash or "").lower() != tx_hash or (log.block_hash or "").lower() != block_hash:
        return False
    return parse_quantity(log.block_number, what="the block of a log") == block


def _without_receipt(raw: RawTransaction, tx_hash: str, *, host: str) -> Transaction:
    """A transaction that an endpoint knows and gives no receipt of: it waits, or the endpoint contradicts itself."""
    if raw.block_number is None:
        return Transaction(tx_hash, "pending")
    error = f"{host} knows this transaction and block, but gives no receipt."
    return Transaction(tx_hash, "failed", error=error)
