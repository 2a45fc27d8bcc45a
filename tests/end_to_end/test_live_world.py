"""Worlds played live: a real mongod, real HTTP, the real command line; applied, judged again, and taken back."""

from __future__ import annotations

import datetime as dt
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bson
import bson.json_util
import pytest

from recon.core.ids import payment_id_text
from recon.core.model import Plan
from recon.plans.file import parse_plan, plan_bytes
from recon.simulation import World, generate_world
from recon.simulation.score import score
from tests.support import servers
from tests.support.builders import object_id
from tests.support.living import moved, serving, write_live_config
from tests.support.onchain import Chain
from tests.support.rails import CHAIN_ID, Marketplace, recon, served, write_config
from tests.support.worlds import said

DATABASE = "marketplace"
PAYMENTS = 220


@dataclass(frozen=True)
class Live:
    """A world that is being played."""

    world: World
    folder: Path
    uri: str
    mongo: servers.Mongod

    def documents(self) -> dict[str, dict[str, Any]]:
        """Every document as it is now, by payment id."""
        with self.mongo.client() as client:
            return {payment_id_text(row["_id"]): row for row in client[DATABASE]["payments"].find()}

    def run(self, *arguments: str, codes: tuple[int, ...] = (0,), timeout_s: float = 240) -> str:
        """The command line as a process of its own; gives its stdout."""
        ran = recon(list(arguments), folder=self.folder, uri=self.uri, timeout_s=timeout_s)
        assert ran.returncode in codes, (arguments, ran.returncode, ran.stdout[-2_000:], ran.stderr[-3_000:])
        return ran.stdout

    def plan(self, codes: tuple[int, ...] = (1, 4)) -> Plan:
        """A fresh plan."""
        return parse_plan(self.run("plan", "--format", "json", codes=codes).encode())


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    mongo = servers.start_mongod(auth=True)
    try:
        world = moved(generate_world(payments=PAYMENTS, seed=903), dt.datetime.now(tz=dt.UTC))
        with mongo.client() as client:
            client[DATABASE]["payments"].insert_many([dict(document) for document in world.recorded.payments])
        uri = mongo.create_user("keeper", "keeper-pass", database=DATABASE, role="readWrite")
        folder = tmp_path_factory.mktemp("live")
        with serving(world) as addresses:
            write_live_config(folder, world, addresses, database=DATABASE)
            yield Live(world, folder, uri, mongo)
    finally:
        mongo.stop()


def plain(document: Mapping[str, Any], *, has_metadata: bool) -> bytes:
    """A document as bytes, without what every write carries: the stamp, and the time of the last change.

    ``metadata`` that a run created goes with the stamp; one that was there, empty or not, stays.
    """
    copy = bson.decode(bson.encode(document))
    copy.pop("updatedAt", None)
    metadata = copy.get("metadata")
    if isinstance(metadata, dict) and "recon" in metadata:
        del metadata["recon"]
        if not metadata and not has_metadata:
            del copy["metadata"]
    return bson.encode(copy)


def value_at(document: Mapping[str, Any], path: str) -> Any:
    node: Any = document
    for part in path.split("."):
        node = node.get(part) if isinstance(node, Mapping) else None
    return node


def after_value(item: Any) -> Any:
    return bson.json_util.loads(json.dumps(item))


def test_a_live_world_is_judged_corrected_and_taken_back(live: Live) -> None:
    before = live.documents()
    plan = live.plan()
    found = score(plan, live.world.truths)
    assert found.is_perfect, said(found)
    (live.folder / "plan.json").write_bytes(plan_bytes(plan))
    picks = [change.payment_id for change in plan.changes]
    chosen = [part for payment_id in picks for part in ("--payment", payment_id)]
    live.run("select", "plan.json", *chosen, "--out", "picked.json")
    picked = parse_plan((live.folder / "picked.json").read_bytes())
    assert {change.payment_id for change in picked.changes} == set(picks)
    live.run(
        "apply", "picked.json", "--digest", picked.digest, "--accept-unhealthy", "the world holds every break there is",
        "--share-max", "100", codes=(0, 1),
    )  # fmt: skip

    truths = {truth.payment_id: truth for truth in live.world.truths}
    corrected = live.documents()
    assert corrected.keys() == before.keys()
    for payment_id, document in corrected.items():
        sets = truths[payment_id].sets or {}
        if not sets:
            assert bson.encode(document) == bson.encode(before[payment_id]), payment_id
            continue
        for path, wanted in sets.items():
            now, exact = value_at(document, path), after_value(wanted)
            assert (type(now), now) == (type(exact), exact) or now == exact, (payment_id, path, now, exact)
        changed = {
            path for path in ("status", "escrowState", "disputed") if document.get(path) != before[payment_id].get(path)
        }
        assert changed == {path for path in sets if "." not in path}, payment_id

    again = live.plan()
    assert {change.payment_id for change in again.changes}.isdisjoint(picks)
    healed = {finding.payment_id: finding.verdict for finding in again.findings}
    for payment_id in picks:
        if truths[payment_id].verdict.value in ("local_behind", "missing_tx_hash", "tx_hash_mismatch", "status_drift"):
            assert healed.get(payment_id) != truths[payment_id].verdict, payment_id

    (entry,) = json.loads(live.run("runs", "--format", "json"))["runs"]
    live.run("undo", entry["run"], "--out", "undo.json")
    undo = parse_plan((live.folder / "undo.json").read_bytes())
    live.run(
        "apply", "undo.json", "--digest", undo.digest, "--share-max", "100",
        "--accept-unhealthy", "taken back whole", codes=(0, 1),
    )  # fmt: skip
    restored = live.documents()
    for payment_id, document in restored.items():
        there = "metadata" in before[payment_id]
        assert plain(document, has_metadata=there) == plain(before[payment_id], has_metadata=there), payment_id


# --------------------------------------------------------------------------------------------------- a chain that turns


@pytest.fixture
def paid() -> Iterator[tuple[Marketplace, servers.Mongod]]:
    """A marketplace paid on a real chain through the real contract, with its documents on a real mongod."""
    anvil = servers.start_anvil(CHAIN_ID, number=70_000_000, timestamp=int(time.time()) - 3_000)
    mongo = servers.start_mongod(auth=True)
    try:
        with Chain(anvil, block_s=3) as chain:
            chain.deploy_proxy()
            chain.deploy_known_tokens()
            market = Marketplace(chain).fill()
            with mongo.client() as client:
                client[DATABASE]["payments"].insert_many([dict(document) for document in market.documents])
            yield market, mongo
    finally:
        mongo.stop()
        anvil.stop()


def test_a_chain_that_turns_between_plan_and_apply_takes_what_it_undid_out_of_the_run(
    paid: tuple[Marketplace, servers.Mongod], tmp_path: Path
) -> None:
    market, mongo = paid
    uri = mongo.create_user("keeper", "keeper-pass", database=DATABASE, role="readWrite")
    with served(market) as (request_network, shkeeper):
        write_config(
            tmp_path,
            chain_url=market.chain.url,
            request_network=request_network,
            shkeeper=shkeeper,
            database=DATABASE,
        )
        made = recon(["plan", "--format", "json", "--out", "plan.json"], folder=tmp_path, uri=uri)
        assert made.returncode == 1, made.stderr
        plan = parse_plan(made.stdout.encode())
        with mongo.client() as client:
            before = {row["_id"]: row for row in client[DATABASE]["payments"].find()}
        market.chain.reorg(45)
        ran = recon(["apply", "plan.json", "--digest", plan.digest, "--share-max", "100"], folder=tmp_path, uri=uri)
        with mongo.client() as client:
            after = {row["_id"]: row for row in client[DATABASE]["payments"].find()}
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert "no longer proven" in ran.stdout
    assert {key for key in after if after[key] != before[key]} == {object_id(2)}, "its block lies deeper than the turn"
