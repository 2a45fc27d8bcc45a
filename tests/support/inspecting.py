"""Scenes for inspections: a planted world, edited by hand where no plant tells the story, and looked at by the tool."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from recon.core.ids import payment_reference, reference_topic
from recon.core.registry import ERC20_TRANSFER, FORWARDER_CREATED, Token, forwarder_factories, load_registry
from recon.investigation.payment import Inspection, inspect_payment
from recon.investigation.payment.gather import Asking
from recon.setup.open_sources import open_sources
from recon.setup.settings import Settings, load_settings
from recon.simulation import World, plant_world, write_world
from recon.sources.recorded.format import RecordedChain, RecordedWorld, block_hash

Row = dict[str, Any]
RECORDS_SINCE = "kept.ndjson (whole since 2026-11-01T00:00:00Z)"
SALT = "ea3bc7caf64110ca"


@dataclass(slots=True)
class Scene:
    """A world that may be edited before anybody looks at it.

    Args:
        documents: The payment documents, as Extended JSON will write them.
        deliveries: Delivery rows; None leaves it open whether any record was kept.
    """

    world: World
    documents: list[Row]
    requests: list[Row]
    invoices: list[Row]
    logs: dict[int, list[Row]]
    deliveries: list[Row] | None = field(default_factory=list)

    @property
    def payment_id(self) -> str:
        """The payment that was planted first."""
        known = {str(document["_id"]) for document in self.documents}
        return next(t.payment_id for t in self.world.truths if t.payment_id.strip('"') in known)

    @property
    def document(self) -> Row:
        """Its document."""
        wanted = self.payment_id.strip('"')
        return next(document for document in self.documents if str(document["_id"]) == wanted)

    def tell(self, *statuses: int | None, event: str = "payment.confirmed") -> None:
        """Deliveries for it, one for each answer, five seconds apart, by request id or order number."""
        row = self.request["request"] if any("request" in each for each in self.requests) else {}
        external = self.invoice["external_id"] if any("invoice" in each for each in self.invoices) else None
        self.deliveries = [
            {
                "delivery_id": f"01SCENE{number:03d}",
                "provider": "request_network" if row else "shkeeper",
                "received_at": 1_794_900_000_000 + 5_000 * number,
                "attempt": number,
                "http_status": status,
                "event": event if row else "invoice",
                "request_id": row.get("requestId"),
                "external_id": external,
                "signature_valid": status not in (401, 403),
                "dead_letter": False,
            }
            for number, status in enumerate(statuses)
        ]

    @property
    def request(self) -> Row:
        """The first request."""
        return next(row for row in self.requests if "request" in row)

    @property
    def invoice(self) -> Row:
        """The first invoice."""
        found: Row = next(row["invoice"] for row in self.invoices if "invoice" in row)
        return found

    def recorded(self) -> RecordedWorld:
        """The edited world."""
        chains: dict[int, RecordedChain] = {}
        for chain_id, chain in self.world.recorded.chains.items():
            logs = sorted(self.logs[chain_id], key=lambda log: (int(log["blockNumber"], 16), int(log["logIndex"], 16)))
            chains[chain_id] = replace(chain, logs=logs)
        return replace(
            self.world.recorded,
            payments=self.documents,
            said={**self.world.recorded.said, "request_network": self.requests, "shkeeper": self.invoices},
            chains=chains,
            deliveries=(),
        )

    def add_coin(self, chain_id: int, *, token: str, recipient: str, units: int, minutes: int = 5) -> str:
        """A plain ERC-20 transfer some minutes after the payment was made; gives its hash."""
        chain = self.world.recorded.chains[chain_id]
        at_ms = int(self.document["createdAt"].timestamp() * 1000) + minutes * 60_000
        block = chain.block_at(at_ms)
        tx_hash = "0x" + "c01" * 21 + "5"
        place = {
            "blockNumber": hex(block), "blockHash": block_hash(chain_id, block), "transactionHash": tx_hash,
            "transactionIndex": "0x0", "logIndex": "0x7", "removed": False,
        }  # fmt: skip
        topics = [ERC20_TRANSFER, "0x" + "0" * 24 + "11" * 20, "0x" + "0" * 24 + recipient[2:]]
        self.logs[chain_id].append({"address": token, "topics": topics, "data": f"0x{units:064x}", **place})
        return tx_hash


def scene(plant: str, *, rail: str | None = None, seed: int = 1) -> Scene:
    """A world with one plant; with a rail, the first seed from ``seed`` on that gives it."""
    for number in range(seed, seed + 60):
        world = plant_world(plant, seed=number)
        words = [str(row.get("provider", "")).replace(".", "_").replace("-", "_") for row in world.recorded.payments]
        if rail is None or words[0] == rail:
            break
    recorded = world.recorded
    return Scene(
        world=world,
        documents=[dict(each) for each in recorded.payments],
        requests=json.loads(json.dumps(list(recorded.said["request_network"]))),
        invoices=json.loads(json.dumps(list(recorded.said["shkeeper"]))),
        logs={chain_id: [dict(log) for log in chain.logs] for chain_id, chain in recorded.chains.items()},
    )


def written(made: Scene, folder: Path) -> Settings:
    """The scene on disk, and the settings that read it."""
    write_world(World(made.recorded(), made.world.truths, config=made.world.config), folder / "world")
    return load_settings(folder / "world" / "recon.toml")


def asking_of(settings: Settings, deliveries: Sequence[Row] | None) -> Asking:
    """How a scene is asked about."""
    return Asking(
        policy=settings.policy(),
        registry=settings.registry(),
        now=settings.now(),
        deliveries=deliveries or (),
        delivery_sources=() if deliveries is None else (RECORDS_SINCE,),
    )


def looked_at(made: Scene, folder: Path, *, text: str | None = None) -> Inspection:
    """The scene's payment (or whatever a text names) inspected afresh."""
    settings = written(made, folder)
    with open_sources(settings) as sources:
        return inspect_payment(text or made.payment_id, asking=asking_of(settings, made.deliveries), sources=sources)


def rereferenced(made: Scene, seen: Callable[[str, str, str], str]) -> None:
    """Store a salt and the right reference in the row, and let the chain show another one, made from the same parts."""
    document = made.document
    request_id = made.request["request"]["requestId"]
    metadata = document.setdefault("metadata", {})
    recipient = next(
        address for log in (log for logs in made.logs.values() for log in logs)
        if len(log["topics"]) == 2 and (address := "0x" + log["data"][2 + 64 + 24 : 2 + 128])
    )  # fmt: skip
    right = payment_reference(request_id, SALT, recipient)
    document["metadata"] = {
        **{key: value for key, value in metadata.items() if "eference" not in key},
        "requestNetwork": {
            "requestId": request_id,
            "salt": SALT,
            "paymentReference": right,
            "destinationAddress": recipient,
        },
    }
    document.pop("paymentReference", None)
    made.request["request"]["paymentReference"] = "0x" + right
    for logs in made.logs.values():
        for log in logs:
            if len(log["topics"]) == 2:
                log["topics"] = [log["topics"][0], reference_topic(seen(request_id, SALT, recipient))]


def _coin_of(made: Scene) -> tuple[int, Token]:
    """The chain and the token in which the payment of a scene is to be paid."""
    registry = load_registry()
    chain_id = registry.chain_id(made.document["blockchain"]["network"])
    assert chain_id is not None
    token = registry.token(chain_id, made.document["amount"]["currency"])
    assert token is not None
    return chain_id, token


def held_at_its_address(units: int = 10**20) -> Scene:
    """An unpaid payment whose one-time address holds money that no log of the world explains."""
    made = scene("abandoned", rail="shkeeper")
    chain_id, token = _coin_of(made)
    address = made.document["metadata"]["walletAddress"].lower()
    held = {"wallet": address, "token": token.address, "block": 1, "units": str(units)}
    recorded = made.world.recorded
    chain = replace(recorded.chains[chain_id], balances=(held,))
    made.world = replace(made.world, recorded=replace(recorded, chains={**recorded.chains, chain_id: chain}))
    return made


def at_unnamed_forwarder() -> Scene:
    """Money at a forwarder that only its factory's log knows."""
    made = scene("abandoned", rail="request_network")
    chain_id, token = _coin_of(made)
    forwarder = "0x" + "f0" * 20
    made.add_coin(chain_id, token=token.address, recipient=forwarder, units=10**token.decimals)
    ((factory, _),) = forwarder_factories(chain_id)
    reference = made.request["request"]["paymentReference"]
    coin = made.logs[chain_id][-1]
    words = ["0" * 24 + forwarder[2:], "0" * 64, "0" * 24 + token.address[2:], "0" * 64, "0" * 64, "0" * 64]
    made.logs[chain_id].append(
        {**coin, "address": factory, "topics": [FORWARDER_CREATED, reference_topic(reference)],
         "data": "0x" + "".join(words), "logIndex": "0x6", "transactionHash": "0x" + "fa" * 32}
    )  # fmt: skip
    return made
