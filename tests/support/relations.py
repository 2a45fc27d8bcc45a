"""Relations that hold in every world, whatever is true of it: what must change nothing, and what less evidence may do.

Each judges a world and the same world changed. Where one does not hold, :func:`smallest` gives the fewest payments of
the world that still show it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

from bson import ObjectId, json_util

import recon
from recon.core.ids import payment_id_text
from recon.core.model import Plan, Verdict
from recon.plans.picking import Pick, select_changes
from recon.simulation import World, generate_world, write_world
from recon.simulation.rail_worlds import RAIL_WORLDS, rail_world
from recon.simulation.score import BENIGN, NOT_PROVEN
from recon.sources.interface import Selection
from recon.sources.recorded.format import RecordedChain, RecordedWorld
from recon.sources.recorded.world import load_world
from tests.support.transposed import exchanged, scaled
from tests.support.worlds import plan_of

STRANGER, NOBODY = "0x" + "57" * 20, "0x" + "ab" * 20
TRANSFER = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
TRIES_MAX = 24
CASES = tuple(sorted(path.parent for path in (Path(__file__).parents[1] / "cases").glob("**/world.json")))
"""Worlds that were recorded from reported faults."""

Differences = dict[str, tuple[Any, Any]]
"""By payment, what the first plan says and what the second."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A world and the same world changed, each with the part of it that is judged."""

    before: RecordedWorld
    after: RecordedWorld
    before_choice: Selection | None = None
    after_choice: Selection | None = None


@dataclass(frozen=True, slots=True)
class Relation:
    """What must hold between the plans of a world and of the same world changed.

    Args:
        name: For people and for ``--relation``.
        pair: Makes the two worlds out of one; the seed decides where there is a choice.
        differs: What is not as it must be; nothing where the relation holds.
    """

    name: str
    pair: Callable[[RecordedWorld, Random], Pair]
    differs: Callable[[Plan, Plan], Differences]


def judged(recorded: RecordedWorld, choice: Selection | None = None, *, engine: str = "polars") -> Plan:
    """The plan of a world."""
    with TemporaryDirectory(prefix="recon-relations-") as folder:
        return plan_of(with_config(recorded), Path(folder), engine=engine, choice=choice)


def with_config(recorded: RecordedWorld) -> World:
    """A world with what the configuration of its rail says besides the usual lines."""
    return World(recorded, (), config="".join(_config_of(rail) for rail in RAIL_WORLDS if recorded.said.get(rail)))


@cache
def _config_of(rail: str) -> str:
    return rail_world(rail, 0, seed=0).config


def differences(relation: Relation, recorded: RecordedWorld, *, seed: int, before: Plan | None = None) -> Differences:
    """What a world shows against a relation; ``before`` is its plan, where that is known."""
    pair = relation.pair(recorded, Random(seed))
    if before is None or pair.before is not recorded or pair.before_choice is not None:
        before = judged(pair.before, pair.before_choice)
    is_same = pair.after is pair.before and pair.after_choice == pair.before_choice
    return relation.differs(before, before if is_same else judged(pair.after, pair.after_choice))


def smallest(relation: Relation, recorded: RecordedWorld, *, seed: int) -> RecordedWorld:
    """The world with as few of its payments as still show that a relation does not hold, found by halving."""
    rows, size = list(recorded.payments), max(1, len(recorded.payments) // 2)
    for _ in range(TRIES_MAX):
        for start in range(0, len(rows), size):
            fewer = [*rows[:start], *rows[start + size :]]
            if fewer and differences(relation, replace(recorded, payments=fewer), seed=seed):
                rows = fewer
                break
        else:
            if size == 1:
                break
            size = max(1, size // 2)
    return replace(recorded, payments=rows)


def told(of: Plan) -> dict[str, Any]:
    """By payment, the verdict, the sentence and what would be written."""
    sets = {change.payment_id: change.sets for change in of.changes}
    return {
        finding.payment_id: (str(finding.verdict), finding.reason, sets.get(finding.payment_id))
        for finding in of.findings
    }


def _same(before: Plan, after: Plan) -> Differences:
    return _differing(told(before), told(after))


def _differing(
    one: Mapping[str, Any], other: Mapping[str, Any], *, only: Callable[[str], bool] = lambda key: True
) -> Differences:
    """What the two say differently of a payment, as far as that counts."""
    keys = sorted(filter(only, one.keys() | other.keys()))
    return {key: (one.get(key), other.get(key)) for key in keys if one.get(key) != other.get(key)}


def _with_chains(recorded: RecordedWorld, change: Callable[[RecordedChain], RecordedChain]) -> RecordedWorld:
    return replace(recorded, chains={number: change(chain) for number, chain in recorded.chains.items()})


def _mixed(recorded: RecordedWorld, rng: Random) -> Pair:
    mixed = replace(
        recorded,
        payments=rng.sample(recorded.payments, len(recorded.payments)),
        said={name: rng.sample(lines, len(lines)) for name, lines in recorded.said.items()},
        deliveries=rng.sample(recorded.deliveries, len(recorded.deliveries)),
    )
    return Pair(recorded, mixed)


def _listed_twice(recorded: RecordedWorld, rng: Random) -> Pair:
    """Request Network counts its pages, so that a list that does not add up is a gap there; a gateway does not."""
    del rng
    lines = recorded.said
    return Pair(
        recorded,
        replace(
            recorded,
            said={**lines, "shkeeper": [line for line in lines["shkeeper"] for _ in range(2)]},
            deliveries=[row for row in recorded.deliveries for _ in range(2)],
        ),
    )


def _stray(chain: RecordedChain) -> RecordedChain:
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


def _unrelated(days: int) -> Callable[[RecordedWorld, Random], Pair]:
    def pair(recorded: RecordedWorld, rng: Random) -> Pair:
        row = dict(_lonely(rng.randrange(100)))
        moment = recorded.now + timedelta(days=min(days, 0)) - timedelta(hours=1)
        return Pair(
            recorded,
            replace(recorded, payments=[*recorded.payments, {**row, "createdAt": moment, "updatedAt": moment}]),
        )

    return pair


@cache
def _lonely(seed: int) -> Mapping[str, Any]:
    return generate_world(payments=1, seed=50_000 + seed, breaks="none").recorded.payments[0]


def _others_same(before: Plan, after: Plan) -> Differences:
    """One row more, and a longer window may show more that no row knows; everything else stays."""
    one = told(before)
    return _differing(one, told(after), only=one.__contains__)


def _wider(recorded: RecordedWorld, rng: Random) -> Pair:
    del rng
    narrow, wide = (Selection(from_at=recorded.now - timedelta(days=days), to_at=recorded.now) for days in (3, 6))
    return Pair(recorded, recorded, narrow, wide)


def _no_verdict_moves(before: Plan, after: Plan) -> Differences:
    """What a narrow window shows, a wider one shows too; what it could not prove, the wider one may."""
    one = _verdicts(before)
    return _differing(one, _verdicts(after), only=lambda key: key in one and one[key] not in NOT_PROVEN)


def _verdicts(of: Plan) -> dict[str, Verdict]:
    return {finding.payment_id: finding.verdict for finding in of.findings}


PROVEN = frozenset({
    Verdict.LOCAL_BEHIND, Verdict.LATE_PAYMENT, Verdict.COORDINATOR_BLOCKED, Verdict.TX_HASH_MISMATCH,
    Verdict.MISSING_TX_HASH, Verdict.ESCROW_DRIFT, Verdict.STATUS_DRIFT, Verdict.CONFIRMATIONS_STALE,
    Verdict.MULTIPLE_TRANSFERS, Verdict.OVERPAID, Verdict.FEE_MISMATCH, Verdict.REFUND_DRIFT,
    Verdict.DUPLICATE_TX_HASH, Verdict.COMPETING_PAYMENT,
})  # fmt: skip
"""Verdicts that rest on money that was seen."""


def _redated(recorded: RecordedWorld, rng: Random) -> Pair:
    """createdAt moved by up to a day; to later ones only where the ObjectId still tells when the payment was made."""
    rows = []
    for row in recorded.payments:
        latest = 1_440 if isinstance(row["_id"], ObjectId) else 0
        by = timedelta(minutes=rng.randint(-1_440, latest))
        dated = row.get("createdAt")
        rows.append({**row, "createdAt": dated + by} if isinstance(dated, datetime) else row)
    return Pair(recorded, replace(recorded, payments=rows))


def _proven_same(before: Plan, after: Plan) -> Differences:
    """What is proven stays; only money that was older than its row may become a row's that is dated earlier."""
    one = _verdicts(before)
    return _differing(one, _verdicts(after), only=lambda key: one.get(key) in PROVEN)


def _applied(recorded: RecordedWorld, rng: Random) -> Pair:
    """Every correction that applies by itself is written, and the world is read again."""
    del rng
    sets = {change.payment_id: change.sets for change in judged(recorded).changes if change.tier == "auto"}
    rows = []
    for row in recorded.payments:
        copy = deepcopy(dict(row))
        for item in sets.get(payment_id_text(row["_id"]), ()):
            _set(copy, item.path, json_util.loads(json.dumps(item.after)))
        rows.append(copy)
    return Pair(recorded, replace(recorded, payments=rows))


def _set(document: dict[str, Any], path: str, value: Any) -> None:
    *parents, last = path.split(".")
    for name in parents:
        document = document.setdefault(name, {})
    document[last] = value


def _settled(before: Plan, after: Plan) -> Differences:
    """What was applied is in sync, unless the first plan said what would remain; nothing else has changed."""
    further = {finding.payment_id: {*finding.findings} - {finding.verdict} for finding in before.findings}
    written = {change.payment_id for change in before.changes if change.tier == "auto"}
    was, now = _verdicts(before), _verdicts(after)
    unsaid = {key: (was[key], now[key]) for key in sorted(written & now.keys()) if now[key] not in further[key]}
    return _differing(was, now, only=lambda key: key not in written) | unsaid


def _undone(recorded: RecordedWorld, rng: Random) -> Pair:
    """Every correction of the plan, those to be picked too, is applied and taken back; every row is as it was."""
    del rng
    with TemporaryDirectory(prefix="recon-relations-") as folder:
        write_world(with_config(recorded), Path(folder) / "world")
        config = Path(folder) / "world" / "recon.toml"
        plan = recon.plan(config=config)
        if plan.changes:
            every = Pick(payments=tuple(change.payment_id for change in plan.changes))
            run = _run(select_changes(plan, every), config)
            _run(recon.undo(run, config=config, say=lambda _: None), config)
        return Pair(recorded, load_world(config.parent))


def _run(plan: Plan, config: Path) -> str:
    """Apply a plan whole; gives the run."""
    count = len(plan.changes)
    unlimited = dict.fromkeys(sorted({str(change.symbol) for change in plan.changes}), "1000000000")
    report = recon.apply(
        plan, digest=plan.digest, config=config, canary=count, changes_max=count, share_max=100, refusals_max=0,
        value_max=unlimited, value_max_per_payment=unlimited,
        accept_unhealthy="a relation is tried", say=lambda _: None,
    )  # fmt: skip
    return str(report.run)


FACTOR = 4
"""How much larger every amount of a scaled world is: a power of two, so that a stored double stays as exact."""


def _scaled(recorded: RecordedWorld, rng: Random) -> Pair:
    del rng
    return Pair(recorded, scaled(recorded, FACTOR))


def _larger(before: Plan, after: Plan) -> Differences:
    """The same verdicts and writes, and every sum so many times as large."""
    return _differing(_with_sums(before, times=FACTOR), _with_sums(after, times=1))


def _with_sums(of: Plan, *, times: int) -> dict[str, Any]:
    judged_as = _judged_as(of)
    return {
        finding.payment_id: (
            judged_as[finding.payment_id],
            finding.value_units * times,
            None if finding.difference_units is None else finding.difference_units * times,
        )
        for finding in of.findings
    }


def _same_elsewhere(before: Plan, after: Plan) -> Differences:
    """The same verdicts and writes; money that no row knows is named by its new chain."""
    one, other = (
        {re.sub(r"\Achain:\d+:", "chain:", key): said for key, said in _judged_as(of).items()} for of in (before, after)
    )
    return _differing(one, other)


def _judged_as(of: Plan) -> dict[str, Any]:
    return {key: (verdict, writes) for key, (verdict, _, writes) in told(of).items()}


def _exchanged(recorded: RecordedWorld, rng: Random) -> Pair:
    del rng
    return Pair(recorded, exchanged(recorded, 1, 137))


def _without_gateway(name: str) -> Callable[[RecordedWorld, Random], Pair]:
    def pair(recorded: RecordedWorld, rng: Random) -> Pair:
        del rng
        objects = {"invoice", "transaction", "request", "payment"}
        left = [line for line in recorded.said[name] if not objects & line.keys()]
        return Pair(recorded, replace(recorded, said={**recorded.said, name: left}))

    return pair


def credited(of: Plan) -> set[str]:
    """The payments that a plan would mark as paid by itself."""
    return {
        change.payment_id
        for change in of.changes
        if change.tier == "auto" and any(item.path == "status" and item.after == "completed" for item in change.sets)
    }


def _no_more_credit(before: Plan, after: Plan) -> Differences:
    return dict.fromkeys(sorted(credited(after) - credited(before)), ("no credit", "credited"))


def _dark(chain_id: int) -> Callable[[RecordedWorld, Random], Pair]:
    def pair(recorded: RecordedWorld, rng: Random) -> Pair:
        del rng
        left = {number: chain for number, chain in recorded.chains.items() if number != chain_id}
        return Pair(recorded, replace(recorded, chains=left))

    return pair


OF_TWO = frozenset({Verdict.COMPETING_PAYMENT, Verdict.DUPLICATE_TX_HASH, Verdict.NETWORK_MISMATCH})
"""Verdicts whose second side may lie on the chain that is dark."""


def _truth_or_nothing(before: Plan, after: Plan) -> Differences:
    """With less evidence a payment keeps its verdict, or is not proven; no write is added, no break becomes in sync."""
    one, other = _verdicts(before), _verdicts(after)
    wrong: Differences = {
        key: (one[key], verdict)
        for key, verdict in other.items()
        if key in one and verdict not in (one[key], *BENIGN, *NOT_PROVEN) and one[key] not in OF_TWO
    }
    moved = {key for key, verdict in other.items() if one.get(key) in OF_TWO and verdict != one[key]}
    writes = [{change.payment_id for change in plan.changes} for plan in (before, after)]
    return wrong | dict.fromkeys(writes[1] - writes[0] - moved, ("no write", "a write"))


RELATIONS = (
    Relation("order", _mixed, _same),
    Relation("listed-twice", _listed_twice, _same),
    Relation("strangers", lambda recorded, rng: Pair(recorded, _with_chains(recorded, _stray)), _same),
    Relation("unrelated-older", _unrelated(-20), _others_same),
    Relation("unrelated-newer", _unrelated(1), _others_same),
    Relation("wider-window", _wider, _no_verdict_moves),
    Relation("redated", _redated, _proven_same),
    Relation("applied", _applied, _settled),
    Relation("undone", _undone, _same),
    Relation("scaled", _scaled, _larger),
    Relation("chains-exchanged", _exchanged, _same_elsewhere),
    Relation("no-request-network", _without_gateway("request_network"), _no_more_credit),
    Relation("no-shkeeper", _without_gateway("shkeeper"), _no_more_credit),
    Relation(
        "no-logs",
        lambda recorded, rng: Pair(recorded, _with_chains(recorded, lambda chain: replace(chain, logs=()))),
        _no_more_credit,
    ),
    *(Relation(f"dark-{chain_id}", _dark(chain_id), _truth_or_nothing) for chain_id in (1, 56, 137, 8453)),
)
BY_NAME = {relation.name: relation for relation in RELATIONS}
