"""One of Monero's networks as a chain: what wallets show of their own addresses, witnessed by the daemon.

"Not on the chain" is only ever "these wallets, fresh to this block, do not have it". So the scan is whole only when
every set of keys was asked, and only from the moment on since which it is known to have seen everything.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from recon.core.errors import SourceError
from recon.core.ids import normalise_tx_hash
from recon.core.tables import table_of
from recon.core.text import count_text
from recon.sources.interface import ChainQuestion, Coverage, Gap, Progress, Reading
from recon.sources.providers.monero.moved import FinalFrom, transaction_rows, transfer_rows
from recon.sources.providers.monero.networks import NETTYPES
from recon.sources.providers.monero.rpc import UnansweredError
from recon.sources.providers.monero.wallets import Wallets, WorldRead

_OUTGOING: Final = "what left a wallet may be unknown to it until it has the key images of the one that spent"


class WalletsUnusableError(SourceError):
    """A daemon or a wallet server cannot be used as it is."""

    def __init__(self, *, source: str, problem: str) -> None:
        super().__init__(f"{source}: {problem}. Check [monero], the servers and their logins, then try again.")


@dataclass(frozen=True, slots=True)
class _Account:
    """How far one reading reached, as coverage tells it."""

    source: str
    chain_id: int
    read: WorldRead
    now_ms: int
    depth: int

    def scan(self, question: ChainQuestion, items: int, torn: tuple[str, ...]) -> tuple[Coverage, list[Gap]]:
        """The account of a scan, and what it could not see."""
        gaps = list(self._gaps(question, torn))
        daemon = self.read.daemon
        head = None if daemon is None else daemon.height - 1
        problem = next((gap.reason for gap in gaps), None)
        coverage = Coverage(
            self.source, "erc20", complete=not gaps, chain_id=self.chain_id, unit="block", asked_from=0, asked_to=head,
            done_from=None if gaps else 0, done_to=None if gaps else head, head=head,
            head_time=None if self.read.problem else self.now_ms,
            final_head=None if head is None else max(0, head - self.depth + 1),
            finality_rule=f"depth:{self.depth}", calls=self.read.calls, wire_bytes=self.read.wire_bytes,
            items=items, problem=problem,
        )  # fmt: skip
        return coverage, gaps

    def _gaps(self, question: ChainQuestion, torn: tuple[str, ...]) -> Iterable[Gap]:
        for why in self.read.unasked:
            yield self._gap(question.from_ms, self.now_ms, why)
        if torn:
            said = f"two wallets tell different things of {count_text(len(torn), 'transaction')}, {torn[0]} first"
            yield self._gap(question.from_ms, self.now_ms, said)
        if question.senders:
            yield self._gap(question.from_ms, self.now_ms, _OUTGOING)
        begun = self.read.blind_until_ms
        if self.read.asked and begun is None:
            said = "a wallet shows no transfer and names no start_height, so nobody knows since when it sees everything"
            yield self._gap(question.from_ms, self.now_ms, said)
        elif begun is not None and begun > question.from_ms:
            yield self._gap(question.from_ms, begun, "before this moment a wallet is not known to have seen everything")

    def _gap(self, from_ms: int, to_ms: int, why: str) -> Gap:
        return Gap(self.source, "erc20", from_ms, to_ms, why, chain_id=self.chain_id)

    def receipts(self, rows: list[dict[str, Any]], *, is_only: bool) -> Coverage:
        """The account of single transactions."""
        failed = [row for row in rows if row["outcome"] == "failed"]
        said = f"{len(failed)} of {len(rows)} transactions could not be told: {failed[0]['error']}" if failed else None
        daemon = self.read.daemon
        return Coverage(
            self.source, "receipts", complete=not failed, chain_id=self.chain_id, unit="block",
            head=None if daemon is None else daemon.height - 1,
            head_time=None if self.read.problem else self.now_ms,
            calls=self.read.calls if is_only else 0, wire_bytes=self.read.wire_bytes if is_only else 0,
            items=len(rows), problem=said,
        )  # fmt: skip


class MoneroLedger:
    """One network, read only; a :class:`~recon.sources.interface.ChainSource`."""

    def __init__(self, wallets: Wallets, *, by: FinalFrom) -> None:
        self.chain_id = by.chain_id
        self._wallets, self._by = wallets, by

    def close(self) -> None:
        """Let go of all connections."""
        self._wallets.close()

    def check(self) -> str:
        """Say in one sentence that daemon and wallets can be used.

        Raises:
            WalletsUnusableError: One of them cannot, or stands behind.
            WrongNetworkError: The daemon is on another network.
        """
        read = self._wallets.read(progress=lambda done, total: None)
        source = f"chain:{self.chain_id}"
        problem = read.problem or next((each.problem for each in read.wallets if each.problem), None)
        if problem is not None:
            raise WalletsUnusableError(source=source, problem=problem)
        assert read.daemon is not None
        seen = count_text(len(read.wallets), "wallet")
        return f"{source}: {NETTYPES[self.chain_id]} at block {read.daemon.height - 1}, {seen} at the same one."

    def read(self, question: ChainQuestion, *, progress: Progress) -> Reading:
        """Answer the question from the wallets; see :class:`~recon.sources.interface.ChainSource`."""
        hashes = sorted({found[2:] for text in question.tx_hashes if (found := normalise_tx_hash(text))})
        source = f"chain:{self.chain_id}"
        read = self._wallets.read(hashes, progress=lambda done, total: progress(source, done, total))
        moved, torn = transfer_rows(read, by=self._by)
        is_scan = not question.receipts_only and bool(question.proxies or question.recipients or question.senders)
        chosen = self._chosen(moved, question, hashes, is_scan=is_scan)
        asked = transaction_rows(hashes, read, moved=moved, by=self._by)
        account = _Account(source, self.chain_id, read, self._wallets.clock.now_ms(), self._by.confirmations_min)
        coverage: list[Coverage] = []
        gaps: list[Gap] = []
        if is_scan:
            scanned, gaps = account.scan(question, len(chosen), torn)
            coverage.append(scanned)
        if hashes or not is_scan:
            coverage.append(account.receipts(asked, is_only=not is_scan))
        tables = {"transfers": table_of("transfers", chosen), "transactions": table_of("transactions", asked)}
        return Reading(tables=tables, coverage=tuple(coverage), gaps=tuple(gaps))

    def _chosen(
        self, moved: list[dict[str, Any]], question: ChainQuestion, hashes: list[str], *, is_scan: bool
    ) -> list[dict[str, Any]]:
        """The transfers that were asked for. Who sent is told only where that is the question.

        All that left a wallet could not be read from it anyway.
        """
        asked = [row for row in moved if self._is_asked(row, question, hashes, is_scan=is_scan)]
        return asked if question.senders else [{**row, "sender": None} for row in asked]

    def _is_asked(self, row: dict[str, Any], question: ChainQuestion, hashes: list[str], *, is_scan: bool) -> bool:
        if row["tx_hash"][2:] in hashes:
            return True
        if not is_scan:
            return False
        if question.senders:
            return row["sender"] in question.senders
        return bool(row["block_time"] >= question.from_ms or row["recipient"] in question.recipients)


def unusable(error: UnansweredError, *, source: str) -> WalletsUnusableError:
    """The error for people behind what a server did not answer."""
    return WalletsUnusableError(source=source, problem=str(error))
