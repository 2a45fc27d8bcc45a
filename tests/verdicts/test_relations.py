"""Relations that hold in every world, whatever is true of it: what must change nothing, and what less evidence may do.

Each relation judges a world and the same world changed. What fails prints the verdicts that differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from random import Random
from tempfile import mkdtemp
from typing import Any

import pytest

from recon.core.model import Plan
from recon.simulation import PLANTS, World, generate_world
from recon.simulation.score import BENIGN, NOT_PROVEN
from recon.sources.recorded.format import RecordedChain, RecordedWorld
from tests.support.worlds import plan_of

PAYMENTS = 250
SEEDS = (311, 312)
STRANGER, NOBODY = "0x" + "57" * 20, "0x" + "ab" * 20
TRANSFER = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"


@lru_cache(maxsize=len(SEEDS))
def world(seed: int) -> RecordedWorld:
    return generate_world(payments=PAYMENTS, seed=seed, breaks=dict.fromkeys(PLANTS, 1 / PAYMENTS)).recorded


def judged(recorded: RecordedWorld) -> Plan:
    return plan_of(World(recorded, ()), Path(mkdtemp(prefix="recon-relations-")), engine="polars")


@lru_cache(maxsize=len(SEEDS))
def plan(seed: int) -> Plan:
    return judged(world(seed))


def told(of: Plan) -> dict[str, tuple[str, str]]:
    """By payment, the verdict and the sentence."""
    return {finding.payment_id: (str(finding.verdict), finding.reason) for finding in of.findings}


def verdicts(of: Plan) -> dict[str, str]:
    return {finding.payment_id: str(finding.verdict) for finding in of.findings}


def writes(of: Plan) -> dict[str, Any]:
    return {change.payment_id: change.sets for change in of.changes}


def same(one: Mapping[str, Any], other: Mapping[str, Any]) -> None:
    keys = [key for key in one.keys() | other.keys() if one.get(key) != other.get(key)]
    assert not keys, {key: (one.get(key), other.get(key)) for key in keys}


def with_chains(recorded: RecordedWorld, change: Any) -> RecordedWorld:
    return replace(recorded, chains={number: change(chain) for number, chain in recorded.chains.items()})


@pytest.mark.parametrize("seed", SEEDS)
def test_the_order_in_which_anything_comes_changes_no_byte(seed: int) -> None:
    rng = Random(seed)
    mixed = replace(
        world(seed),
        payments=rng.sample(world(seed).payments, len(world(seed).payments)),
        said={name: rng.sample(lines, len(lines)) for name, lines in world(seed).said.items()},
        deliveries=rng.sample(world(seed).deliveries, len(world(seed).deliveries)),
    )
    same(told(judged(mixed)), told(plan(seed)))
    same(writes(judged(mixed)), writes(plan(seed)))


@pytest.mark.parametrize("seed", SEEDS)
def test_what_a_gateway_lists_twice_it_lists_once(seed: int) -> None:
    """Request Network counts its pages, so that a list that does not add up is a gap there; a gateway does not."""
    lines = world(seed).said
    doubled = replace(world(seed), said={**lines, "shkeeper": [line for line in lines["shkeeper"] for _ in range(2)]})
    same(told(judged(doubled)), told(plan(seed)))
    same(writes(judged(doubled)), writes(plan(seed)))


def with_stray(chain: RecordedChain) -> RecordedChain:
    """A transfer between two strangers in the block of each tenth log."""
    strays = [
        {
            **log,
            "transactionHash": "0x" + f"{number:064x}",
            "logIndex": hex(900 + number),
            "topics": [TRANSFER, *("0x" + "0" * 24 + address[2:] for address in (STRANGER, NOBODY))],
            "data": "0x" + f"{10**18:064x}",
        }
        for number, log in enumerate(chain.logs[::10])
    ]
    logs = sorted([*chain.logs, *strays], key=lambda log: (int(log["blockNumber"], 16), int(log["logIndex"], 16)))
    return replace(chain, logs=logs)


@pytest.mark.parametrize("seed", SEEDS)
def test_money_between_strangers_changes_nothing(seed: int) -> None:
    changed = judged(with_chains(world(seed), with_stray))
    same(told(changed), told(plan(seed)))
    same(writes(changed), writes(plan(seed)))


@pytest.mark.parametrize("days", [-20, 1])
@pytest.mark.parametrize("seed", SEEDS)
def test_an_unrelated_row_changes_no_verdict_of_another(seed: int, days: int) -> None:
    other = generate_world(payments=1, seed=seed + 50, breaks="none").recorded
    row = dict(other.payments[0])
    moment = world(seed).now + timedelta(days=min(days, 0)) - timedelta(hours=1)
    lonely = {**row, "createdAt": moment, "updatedAt": moment}
    changed = judged(replace(world(seed), payments=[*world(seed).payments, lonely]))
    mine = {str(document["_id"]).strip('"') for document in world(seed).payments}
    before, after = told(plan(seed)), told(changed)
    same(
        {key: after[key] for key in after if key.strip('"') in mine},
        {key: before[key] for key in before if key.strip('"') in mine},
    )
    assert before.keys() <= after.keys(), "a longer window shows more that no row knows, and never less"


def without(recorded: RecordedWorld, what: str) -> RecordedWorld:
    """A world with less evidence, of which nobody says that it is less."""
    if what in recorded.said:
        return replace(recorded, said={**recorded.said, what: [
            line for line in recorded.said[what] if not {"invoice", "transaction", "request", "payment"} & line.keys()
        ]})  # fmt: skip
    if what == "logs":
        return with_chains(recorded, lambda chain: replace(chain, logs=()))
    return replace(recorded, payments=[row for row in recorded.payments if row.get("direction") in (None, "in")])


@pytest.mark.parametrize("what", ["request_network", "shkeeper", "logs"])
@pytest.mark.parametrize("seed", SEEDS)
def test_less_evidence_adds_no_credit(seed: int, what: str) -> None:
    less = judged(without(world(seed), what))
    assert credited(less) <= credited(plan(seed))


def credited(of: Plan) -> set[str]:
    """The payments that a plan would mark as paid by itself."""
    return {
        change.payment_id
        for change in of.changes
        if change.tier == "auto" and any(item.path == "status" and item.after == "completed" for item in change.sets)
    }


@pytest.mark.parametrize("seed", SEEDS)
def test_a_chain_that_cannot_be_read_leaves_the_verdict_or_says_unproven(seed: int) -> None:
    dark = replace(world(seed), chains={number: chain for number, chain in world(seed).chains.items() if number != 56})
    less = judged(dark)
    whole = verdicts(plan(seed))
    known = BENIGN | NOT_PROVEN
    lost = {key: (whole[key], verdict) for key, verdict in verdicts(less).items()
            if key in whole and verdict != whole[key] and verdict not in known}  # fmt: skip
    assert {old for old, _ in lost.values()} <= {"competing_payment", "duplicate_tx_hash", "network_mismatch"}, lost
    assert set(writes(less)) <= set(writes(plan(seed))) | set(lost)
