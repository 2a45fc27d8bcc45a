"""Worlds of payments that a relay sends in parts, with the truth of each.

What is planted is who sent what where and how the row stands; :func:`true_verdict` draws from that money and intent
what is true, and asks no rule. The payments stand in documents of the marketplace, so that they are planned and
written.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

from recon.core.model import Verdict
from recon.core.registry import ERC20_TRANSFER, load_registry
from recon.core.registry.known import TERMINAL_PAY
from recon.simulation.situation import Truth
from recon.simulation.stage import NOW, NOW_MS
from recon.simulation.world import World
from recon.sources.recorded.format import RecordedChain, RecordedWorld, block_hash

RAIL: Final = "relayr"
TERMINAL: Final = "0x52869db3d61dde1e391967f2ce5039ad0ecd371c"
CHAINS: Final = (8453, 10, 42161, 1)
HEAD: Final = 30_000_000
BLOCK_MS: Final = 2_000
ROUTER: Final = "0x" + "70" * 20

Fate = Literal["landed", "reverted", "open", "foreign"]
"""What became of a part; ``foreign``: the relay names a transaction that made another call."""


@dataclass(frozen=True, slots=True)
class BundleCase:
    """One payment as it was planted.

    Args:
        parts: Shares of the amount in hundredths, each with what became of it; the first is on the row's own chain.
        has_hash: Whether the row records the transaction on its own chain.
        known: Whether the row has a bundle that the relay knows: ``yes``, ``no`` (it has none), ``lost`` (404).
        rate: Share of all payments.
    """

    name: str
    status: Literal["pending", "completed", "failed"]
    parts: tuple[tuple[int, Fate], ...] = ((100, "landed"),)
    has_hash: bool = False
    known: Literal["yes", "no", "lost"] = "yes"
    rate: float = 0.02


HEALTHY: Final = (
    BundleCase("paid", "completed", has_hash=True, rate=0.55),
    BundleCase("paid on two chains", "completed", ((60, "landed"), (40, "landed")), has_hash=True, rate=0.15),
    BundleCase("under way", "pending", ((100, "open"),), rate=0.06),
    BundleCase("failed for good", "failed", ((100, "reverted"),), rate=0.04),
)
BROKEN: Final = (
    BundleCase("confirmation lost", "pending"),
    BundleCase("confirmation lost, two chains", "pending", ((60, "landed"), (40, "landed"))),
    BundleCase("timed out although it went through", "failed"),
    BundleCase("timed out on four chains", "failed", ((25, "landed"), (25, "landed"), (25, "landed"), (25, "landed"))),
    BundleCase("landed on one chain only", "failed", ((60, "landed"), (40, "reverted"))),
    BundleCase("landed on one chain, the other is open", "pending", ((60, "landed"), (40, "open"))),
    BundleCase("confirmed without a hash", "completed"),
    BundleCase("confirmed without money", "completed", ()),
    BundleCase("another call's transaction", "pending", ((100, "foreign"),)),
    BundleCase("came short", "pending", ((90, "landed"),)),
    BundleCase("no bundle", "failed", (), known="no"),
    BundleCase("bundle unknown", "failed", (), known="lost"),
)
"""Every way in which a payment goes wrong, each as often as the others."""


def true_verdict(affair: BundleCase) -> Verdict:
    """What is true of a payment, from what money moved and what its row says."""
    landed = [share for share, fate in affair.parts if fate == "landed"]
    if affair.known != "yes":
        return Verdict.MISSING_REFERENCE if affair.known == "no" else Verdict.UNPROVEN
    if landed and (len(landed) < len(affair.parts) or sum(landed) < 100):
        return Verdict.AMBIGUOUS if len(landed) < len(affair.parts) else Verdict.UNDERPAID
    if landed:
        agreed = Verdict.IN_SYNC if affair.has_hash else Verdict.MISSING_TX_HASH
        due = {"pending": Verdict.LOCAL_BEHIND, "failed": Verdict.COORDINATOR_BLOCKED}
        return due.get(affair.status, agreed)
    return _true_of_nothing(affair)


def _true_of_nothing(affair: BundleCase) -> Verdict:
    """What is true of a payment for which no money moved."""
    if affair.status == "completed":
        return Verdict.LOCAL_AHEAD
    if any(fate == "foreign" for _, fate in affair.parts):
        return Verdict.PROVIDER_AHEAD
    return Verdict.IN_TRANSIT if affair.status == "pending" else Verdict.IN_SYNC


def bundle_world(payments: int, *, seed: int) -> World:
    """Make a world of so many payments; the same arguments give the same world, with every break in it from 100 on."""
    made = _Making(random.Random(seed))  # noqa: S311 - a fixed sample
    everything = (*HEALTHY, *BROKEN)
    chosen = list(BROKEN) if payments >= 100 else []
    chosen += made.rng.choices(everything, [each.rate for each in everything], k=max(0, payments - len(chosen)))
    for number, affair in enumerate(chosen[:payments], start=1):
        made.plant(affair, number)
    recorded = RecordedWorld(
        now=NOW,
        seed=seed,
        collection_uuid=f"{seed & (2**64 - 1):016x}".rjust(32, "b"),
        chains={chain_id: made.chain(chain_id) for chain_id in CHAINS},
        payments=made.documents,
        said={RAIL: made.bundles},
    )
    return World(recorded, tuple(sorted(made.truths, key=lambda truth: truth.payment_id)), config=_config())


def _config() -> str:
    """What the configuration of such a world says besides: which terminals are believed."""
    return "".join(
        f'\n[[emitters]]\nchain_id = {chain_id}\naddress = "{TERMINAL}"\nkind = "terminal"\n' for chain_id in CHAINS
    )


@dataclass(slots=True)
class _Making:
    """A world in the making."""

    rng: random.Random
    documents: list[dict[str, Any]] = field(default_factory=list)
    bundles: list[dict[str, Any]] = field(default_factory=list)
    truths: list[Truth] = field(default_factory=list)
    logs: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    receipts: dict[int, list[dict[str, Any]]] = field(default_factory=dict)

    def chain(self, chain_id: int) -> RecordedChain:
        """A chain with all that was planted on it."""
        return RecordedChain(
            chain_id=chain_id,
            head=HEAD,
            head_time_ms=NOW_MS,
            block_ms=BLOCK_MS,
            finalized=HEAD - 50,
            logs=sorted(self.logs.get(chain_id, ()), key=lambda log: (log["blockNumber"], log["logIndex"])),
            receipts=self.receipts.get(chain_id, ()),
        )

    def hex(self, size: int) -> str:
        """Random hex digits with 0x."""
        return f"0x{self.rng.getrandbits(8 * size):0{2 * size}x}"

    def plant(self, affair: BundleCase, number: int) -> None:
        """Make one payment: its row, its bundle, its money and its truth."""
        from bson import Decimal128, ObjectId

        made_at = NOW - timedelta(minutes=self.rng.randrange(60, 7 * 24 * 60 - 60))
        cents = self.rng.randrange(100, 90_000)
        chains = [CHAINS[0], *self.rng.sample(CHAINS[1:], len(CHAINS) - 1)]
        bundle_id = f"{number:08x}-0000-4000-8000-{self.rng.getrandbits(48):012x}"
        entries = [
            self.part(chains[place], cents * 100 * share, fate=fate, at=made_at)
            for place, (share, fate) in enumerate(affair.parts)
        ]
        proof = entries[0]["status"].get("data", {}).get("hash") if entries else None
        document: dict[str, Any] = {
            "_id": ObjectId(f"{int(made_at.timestamp()):08x}{number:016x}"),
            "provider": RAIL,
            "direction": "in",
            "status": affair.status,
            **({"escrowState": "funded"} if affair.status == "completed" else {}),
            "amount": {"amount": Decimal128(f"{cents // 100}.{cents % 100:02d}"), "currency": "USDC"},
            "blockchain": {"network": str(CHAINS[0]), **({"transactionHash": proof} if affair.has_hash else {})},
            **({} if affair.known == "no" else {"bundleId": bundle_id}),
            "createdAt": made_at,
            "updatedAt": made_at + timedelta(minutes=5),
        }
        if affair.known == "yes":
            told = {
                "bundle_uuid": bundle_id,
                "payment_received": True,
                "expires_at": _text(made_at + timedelta(days=2)),
            }
            self.bundles.append({"bundle": {**told, "transactions": entries}})
        self.documents.append(document)
        verdict = true_verdict(affair)
        sets = _sets(verdict, proof)
        self.truths.append(Truth(str(document["_id"]), verdict, (verdict,), sets, planted=affair.name))

    def part(self, chain_id: int, units: int, *, fate: Fate, at: datetime) -> dict[str, Any]:
        """One transaction of a bundle, as the relay tells it, and what its chain has of it."""
        token = load_registry().token(chain_id, "USDC")
        assert token is not None
        call = {"chain": chain_id, "target": ROUTER, "data": self.hex(68), "value": "0"}
        entry: dict[str, Any] = {"tx_uuid": self.hex(8), "request": {**call, "gas_limit": "300000"}}
        if fate == "open":
            return {**entry, "status": {"state": "Pending"}}
        sent = {**call, "data": self.hex(68)} if fate == "foreign" else call
        tx_hash = self.mined(chain_id, sent, at=at, status="0x0" if fate == "reverted" else "0x1")
        if fate in ("landed", "foreign"):
            self.paid(chain_id, tx_hash, token=token.address, units=units)
        state = "Reverted" if fate == "reverted" else self.rng.choice(("Success", "Completed", "success"))
        return {**entry, "status": {"state": state, "data": {"hash": tx_hash}}}

    def mined(self, chain_id: int, call: Mapping[str, Any], *, at: datetime, status: str) -> str:
        """Put a transaction into a block of its own; gives its hash."""
        block = HEAD + (int(at.timestamp() * 1000) + 60_000 - NOW_MS) // BLOCK_MS
        taken = {receipt["blockNumber"] for receipt in self.receipts.get(chain_id, ())}
        while hex(block) in taken:
            block += 1
        tx_hash = self.hex(32)
        receipt = {
            "transactionHash": tx_hash, "status": status, "blockNumber": hex(block),
            "blockHash": block_hash(chain_id, block), "from": "0x" + "5e" * 20, "to": call["target"],
            "input": call["data"], "value": hex(int(call["value"])), "transactionIndex": "0x0",
        }  # fmt: skip
        self.receipts.setdefault(chain_id, []).append(receipt)
        return tx_hash

    def paid(self, chain_id: int, tx_hash: str, *, token: str, units: int) -> None:
        """Let a transaction pay the terminal: the token's own log, then the terminal's."""
        receipt = self.receipts[chain_id][-1]
        place = {name: receipt[name] for name in ("transactionHash", "blockNumber", "blockHash", "transactionIndex")}
        words: list[int | str] = [ROUTER, "0x01", units, 0, 0xE0, 0x100, ROUTER, 0, 0]
        self.logs.setdefault(chain_id, []).extend(
            (
                {**place, "address": token, "topics": [ERC20_TRANSFER, _word(ROUTER), _word(TERMINAL)],
                 "data": _word(units), "logIndex": "0x0", "removed": False},
                {**place, "address": TERMINAL, "topics": [TERMINAL_PAY, _word(1), _word(1), _word(7)],
                 "data": "0x" + "".join(_word(word)[2:] for word in words), "logIndex": "0x1", "removed": False},
            )
        )  # fmt: skip


def _word(value: int | str) -> str:
    """32 bytes as a log holds them."""
    return "0x" + (f"{value:064x}" if isinstance(value, int) else value[2:].rjust(64, "0"))


def _text(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _sets(verdict: Verdict, proof: str | None) -> dict[str, Any] | None:
    """What the right plan writes."""
    hashed = {"blockchain.transactionHash": proof}
    if verdict is Verdict.MISSING_TX_HASH:
        return hashed
    if verdict not in (Verdict.LOCAL_BEHIND, Verdict.COORDINATOR_BLOCKED):
        return None
    count = {"blockchain.confirmations": {"$numberInt": "12"}}
    return {"status": "completed", "escrowState": "funded", **hashed, **count}


BUNDLE_CASES: Final[Sequence[BundleCase]] = (*HEALTHY, *BROKEN)
"""Everything that is planted."""
