"""Relations that hold in every world of a rail of its own, beside those of the usual marketplace.

The worlds are those of :mod:`recon.simulation.rail_worlds`. What less evidence may do is the same for all of them: no
write is added, and none is changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from functools import cache
from random import Random
from typing import Any, Final

from recon.core.model import Plan, Verdict
from recon.simulation.rail_worlds import RAIL_WORLDS, rail_world
from recon.sources.recorded.faults import FaultRule
from recon.sources.recorded.format import RecordedWorld
from tests.support.relations import BY_NAME, Differences, Pair, Relation, told
from tests.support.salesforce import order_id

SHARED = ("order", "wider-window", "redated", "applied", "undone")
"""Relations of the usual marketplace that ask for nothing but rows and lines."""
NO_INVOICE = 999_999_999

Change = Callable[[RecordedWorld, Random], RecordedWorld]


def _listed_twice(recorded: RecordedWorld, rng: Random) -> Pair:
    """Everything that a provider or a chain says of single things is said twice."""
    del rng
    said = {name: [line for line in lines for _ in range(2)] for name, lines in recorded.said.items()}
    return Pair(recorded, replace(recorded, said=said))


def _crowd(rail: str) -> Callable[[RecordedWorld, Random], Pair]:
    """Unrelated rows of the same rail beside the others: one older than the window, one newer than the world."""

    def pair(recorded: RecordedWorld, rng: Random) -> Pair:
        row, more = _lonely(rail, rng.randrange(100)), []
        for name, days in (("older", -20), ("newer", 0)):
            moment = recorded.now + timedelta(days=days) - timedelta(hours=1)
            more.append({**row, "_id": f"unrelated and {name}", "createdAt": moment, "updatedAt": moment})
        return Pair(recorded, replace(recorded, payments=[*recorded.payments, *more]))

    return pair


@cache
def _lonely(rail: str, seed: int) -> Mapping[str, Any]:
    """A row whose provider knows nothing of it."""
    row = dict(rail_world(rail, 1, seed=50_000 + seed).recorded.payments[0])
    named = {"whmcs": {"invoiceId": NO_INVOICE}, "salesforce": {"orderId": order_id(99_999)}}
    return row | ({"metadata": {rail: named[rail]}} if "metadata" in row else {})


def _others_same(before: Plan, after: Plan) -> Differences:
    one, other = told(before), {key: said for key, said in told(after).items() if not key.startswith("unrelated")}
    return {key: (one.get(key), other.get(key)) for key in one.keys() | other.keys() if one.get(key) != other.get(key)}


def _no_more_writes(before: Plan, after: Plan) -> Differences:
    """What is written with less evidence is written with all of it, too, and the same."""
    one, other = ({change.payment_id: change.sets for change in plan.changes} for plan in (before, after))
    return {key: (one.get(key), sets) for key, sets in sorted(other.items()) if one.get(key) != sets}


DENIALS: Final = frozenset(
    {Verdict.LOCAL_AHEAD, Verdict.TX_NOT_FOUND, Verdict.REORGED, Verdict.ABANDONED, Verdict.MISSING_LOCAL}
)
"""Verdicts that rest on something not being there."""


def _no_more_said(before: Plan, after: Plan) -> Differences:
    """With less evidence nothing is written that all of it would not write, and nothing is denied that it would not."""
    one, other = ({each.payment_id: each.verdict for each in plan.findings} for plan in (before, after))
    denied = {key: (one.get(key), said) for key, said in other.items() if said in DENIALS and one.get(key) != said}
    return {**denied, **_no_more_writes(before, after)}


WEATHER: Final[Mapping[str, Mapping[str, Any]]] = {
    "rate-limited": {"status": 429, "text": "slow down"},
    "cut": {"action": "cut"},
    "truncated": {"action": "truncate"},
    "nothing-said": {"action": "empty"},
    "web-page": {"text": "<html>maintenance</html>"},
    "said-twice": {"action": "repeat"},
    "shifted": {"action": "shift"},
}
"""What a provider's servers do on a bad day, to a share of all questions."""


def _weather(rail: str) -> tuple[Relation, ...]:
    return tuple(Relation(name, _on_a_day(rail, given), _no_more_said) for name, given in WEATHER.items())


def _on_a_day(rail: str, given: Mapping[str, Any]) -> Callable[[RecordedWorld, Random], Pair]:
    def pair(recorded: RecordedWorld, rng: Random) -> Pair:
        rule = FaultRule(rail, "*", chance_ppm=400_000, seed=rng.randrange(10**6), **given)
        return Pair(recorded, replace(recorded, faults=(rule,)))

    return pair


def _less(name: str, change: Change) -> Relation:
    return Relation(name, lambda recorded, rng: Pair(recorded, change(recorded, rng)), _no_more_writes)


def _sick(rail: str, *, chance_ppm: int) -> Change:
    """A provider that answers a share of all questions with 503."""

    def change(recorded: RecordedWorld, rng: Random) -> RecordedWorld:
        rule = FaultRule(rail, "*", status=503, text="away", chance_ppm=chance_ppm, seed=rng.randrange(10**6))
        return replace(recorded, faults=(rule,))

    return change


def _without(rail: str, kind: str, **given: Any) -> Change:
    """The lines of a kind (with these values) are not there."""

    def change(recorded: RecordedWorld, rng: Random) -> RecordedWorld:
        del rng
        kept = [line for line in recorded.said[rail] if kind not in line or not given.items() <= line[kind].items()]
        return replace(recorded, said={**recorded.said, rail: kept})

    return change


def _behind(recorded: RecordedWorld, rng: Random) -> RecordedWorld:
    """A wallet that has not taken the newest blocks."""
    del rng
    lines = [
        {"wallet": {**line["wallet"], "height": line["wallet"]["height"] - 30}} if "wallet" in line else line
        for line in recorded.said["monero"]
    ]
    return replace(recorded, said={**recorded.said, "monero": lines})


def _dark(chain_id: int) -> Change:
    """A chain that is in scope and cannot be asked."""

    def change(recorded: RecordedWorld, rng: Random) -> RecordedWorld:
        del rng
        return replace(recorded, faults=(FaultRule(f"chain:{chain_id}", "*", status=503, text="away"),))

    return change


def _no_logs(recorded: RecordedWorld, rng: Random) -> RecordedWorld:
    del rng
    return replace(recorded, chains={number: replace(chain, logs=()) for number, chain in recorded.chains.items()})


_OWN: Mapping[str, tuple[Relation, ...]] = {
    "monero": (
        _less("no-daemon", _without("monero", "daemon")),
        _less("no-shop-wallet", _without("monero", "wallet", name="shop")),
        _less("wallets-behind", _behind),
    ),
    "relayr": (
        _less("sick-relay", _sick("relayr", chance_ppm=400_000)),
        _less("dark-8453", _dark(8453)),
        _less("dark-10", _dark(10)),
        _less("no-logs", _no_logs),
        BY_NAME["strangers"],
    ),
    "salesforce": (
        _less("away", _sick("salesforce", chance_ppm=1_000_000)),
        _less("away-at-times", _sick("salesforce", chance_ppm=400_000)),
        _less("no-orders", _without("salesforce", "order")),
    ),
    "whmcs": (
        _less("away", _sick("whmcs", chance_ppm=1_000_000)),
        _less("no-transactions", _without("whmcs", "transaction")),
    ),
}


def relations_of(rail: str) -> dict[str, Relation]:
    """What must hold in every world of a rail, by name."""
    assert rail in RAIL_WORLDS
    shared = [
        *(BY_NAME[name] for name in SHARED),
        Relation("listed-twice", _listed_twice, BY_NAME["order"].differs),
        Relation("unrelated", _crowd(rail), _others_same),
    ]
    return {relation.name: relation for relation in (*shared, *_OWN[rail], *_weather(rail))}
