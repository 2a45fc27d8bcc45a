"""How a simulated world looked at an earlier moment, for readings that build upon one another."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from bson import ObjectId

from recon.sources.recorded.format import RecordedChain, RecordedWorld

Document = Mapping[str, Any]


@dataclass
class Earlier:
    """How a world looked at an earlier moment: what came later is not there, and some of it was otherwise.

    Args:
        vanishing: Rows that will be gone, of which nothing is amiss (``benign``) or something is (``broken``).
        is_calm: Nothing was otherwise by chance; only what came later is not there.
    """

    world: RecordedWorld
    at: datetime
    rng: random.Random
    vanishing: str | None = None
    is_calm: bool = False

    def recorded(self) -> RecordedWorld:
        known = self.world
        return replace(
            known,
            now=self.at,
            payments=self.payments(),
            chains={chain_id: self.chain(chain) for chain_id, chain in known.chains.items()},
            said={
                "request_network": [row for line in known.said["request_network"] if (row := self.request_line(line))],
                "shkeeper": self.shkeeper_lines(),
            },
        )

    def payments(self) -> list[Document]:
        found = [self.document(d) for d in self.world.payments if not _is_after(d.get("createdAt"), self.at)]
        gone = [d for d in found if isinstance(d.get("createdAt"), datetime) and isinstance(d["_id"], ObjectId)]
        return [*found, *(self.vanished(d) for d in self.rng.sample(gone, 2 if self.vanishing else 0))]

    def document(self, document: Document) -> Document:
        """Before it was changed it was open, and knew of no money."""
        if not _is_after(document.get("updatedAt"), self.at):
            return document
        chain = {k: v for k, v in dict(document.get("blockchain") or {}).items() if k in ("network", "tokenAddress")}
        before = {**document, "status": "pending", "updatedAt": document.get("createdAt"), "blockchain": chain}
        return {name: value for name, value in before.items() if name not in ("escrowState", "completedAt")}

    def vanished(self, document: Document) -> Document:
        """A row that will be gone: a test, of which nothing is amiss, or one that shows a break."""
        made = {name: document[name] for name in ("createdAt", "updatedAt", "amount", "provider") if name in document}
        _id = ObjectId(f"{self.rng.getrandbits(96):024x}")
        network = dict(document.get("blockchain") or {}).get("network", "base")
        if self.vanishing == "benign":
            made["provider"] = "test"
        return {"_id": _id, **made, "status": "failed", "blockchain": {"network": network}, "metadata": {}}

    def chain(self, chain: RecordedChain) -> RecordedChain:
        """Blocks up to the moment; in the tail that is not final yet, transactions lay elsewhere or were missing."""
        head = chain.block_at(round(self.at.timestamp() * 1000))
        final = None if chain.finalized is None else head - (chain.head - chain.finalized)
        logs = []
        for found in chain.logs:
            log = found
            block = int(str(log["blockNumber"]), 16)
            if block > head or (final is not None and block > final and self.chance(0.3)):
                continue
            if final is not None and block > final and self.chance(0.5):
                log = {**log, "data": _doubled(str(log["data"]))}
            logs.append(log)
        receipts = [row for row in chain.receipts if int(str(row["blockNumber"]), 16) <= head]
        return replace(
            chain, head=head, head_time_ms=chain.time_ms(head), finalized=final, logs=logs, receipts=receipts
        )

    def request_line(self, line: Mapping[str, Any]) -> Mapping[str, Any] | None:
        if "payment" not in line:
            return line
        paid = line["payment"]
        if _is_after(datetime.fromisoformat(paid["timestamp"].replace("Z", "+00:00")), self.at):
            return None
        if self.chance(0.1) and paid.get("request"):
            return {"payment": {**paid, "request": {**paid["request"], "hasBeenPaid": False}}}
        return line

    def shkeeper_lines(self) -> list[Mapping[str, Any]]:
        late = {tx for chain in self.world.chains.values() for tx in _transactions_after(chain, self.at)}
        lines = [line for line in self.world.said["shkeeper"] if line.get("transaction", {}).get("txid") not in late]
        return [self.invoice_line(line, late) for line in lines]

    def invoice_line(self, line: Mapping[str, Any], late: set[str]) -> Mapping[str, Any]:
        """By chance it had no money yet; when calm, only that did not whose money came later."""
        if "invoice" not in line:
            return line
        is_paid = not late & {tx["txid"] for tx in line["invoice"]["txs"]} if self.is_calm else self.rng.random() < 0.5
        return line if is_paid else {"invoice": {**line["invoice"], "status": "UNPAID", "balance_fiat": "0", "txs": []}}

    def chance(self, share: float) -> bool:
        return not self.is_calm and self.rng.random() < share


def _is_after(value: object, at: datetime) -> bool:
    if not isinstance(value, datetime):
        return False
    return (value if value.tzinfo else value.replace(tzinfo=UTC)) >= at


def _doubled(data: str) -> str:
    """Another amount in the last word but two of a proxy log, or in the only word of a transfer."""
    start = 130 if len(data) == 322 else 2
    return f"{data[:start]}{(int(data[start : start + 64], 16) * 2) % 2**255:064x}{data[start + 64 :]}"


def _transactions_after(chain: RecordedChain, at: datetime) -> set[str]:
    last = chain.block_at(round(at.timestamp() * 1000))
    return {str(log["transactionHash"]) for log in chain.logs if int(str(log["blockNumber"]), 16) > last}
