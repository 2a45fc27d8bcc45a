"""A daily run over a year of history: everything read anew, beside what changed since yesterday, beside the day alone.

A simulated year of closed payments, none of them a break, lies in a real mongod; providers and chains are answered from
a recorded world in the same process. What these answers cost is taken out of the processor seconds, so that only the
tool's own work is compared. Reading is what a daily run saves: the whole window is judged either way.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

from benchmarks.measure import ROOT, Result, ask_part, say
from benchmarks.played import Tally, played

DAYS = 365
AIM = 0.1
COUNTS = ("documents", "provider_calls", "chain_calls", "blocks")


def measure_since(rows: int) -> list[Result]:
    """What a daily run over a year reads and costs, by what a whole reading does."""
    told = ask_part("since", rows)
    for name, title in (("whole", "everything anew"), ("since", "--since yesterday"), ("day", "the day alone")):
        one = told[name]
        say(
            f"        {title:16} {one['cpu_s']:7.2f} cpu s   {one['documents']:8,} documents   calls: "
            f"{one['provider_calls']:,} to providers, {one['chain_calls']:,} to chains for {one['blocks']:,} blocks"
        )
    whole, since = told["whole"], told["since"]
    read = {name: since[name] / max(1, whole[name]) for name in COUNTS}
    said = "  ".join(f"{name} {share:.3f}" for name, share in read.items())
    return [
        Result("since.read_by_whole", max(read["documents"], read["blocks"]), said, AIM),
        Result(f"since.cpu_by_whole.{rows}", since["cpu_s"] / whole["cpu_s"], f"{since['cpu_s']:.1f} cpu s"),
    ]


class _CountingStore:
    """A document store whose documents are counted as they come."""

    def __init__(self, store: Any, tally: Tally) -> None:
        self._store, self._tally = store, tally
        self.identity, self.count = store.identity, store.count

    def _counted(self, items: Iterable[Any], size: Callable[[Any], int] = lambda _: 1) -> Iterator[Any]:
        for item in items:
            self._tally.read["documents"] += size(item)
            yield item

    def scan(self, selection: Any) -> Iterator[Any]:
        return self._counted(self._store.scan(selection), len)

    def fetch(self, payment_ids: Iterable[str]) -> Iterator[Any]:
        return self._counted(self._store.fetch(payment_ids))

    def find_claimants(self, name: str, values: Iterable[str]) -> Iterator[Any]:
        return self._counted(self._store.find_claimants(name, values))

    def claimant_ids(self, name: str, values: Iterable[str]) -> Iterator[Any]:
        return self._counted(self._store.claimant_ids(name, values))


def part_since(rows: int) -> dict[str, dict[str, float]]:
    """What the three ways of reading cost, by name."""
    import sys

    sys.path.insert(0, str(ROOT))
    from recon.simulation import World, generate_world, stage, write_world
    from recon.sources.interface import Selection
    from tests.support import servers
    from tests.support.earlier import Earlier

    with patch.dict(stage.AGES, normal=(150 * stage.MINUTE, DAYS * stage.DAY)):
        world = generate_world(payments=rows, seed=1, breaks="none")
    before = Earlier(world.recorded, stage.NOW - timedelta(days=1), random.Random(1), is_calm=True).recorded()
    year, day = (Selection(from_at=stage.NOW - timedelta(days=days)) for days in (DAYS + 1, 1))
    server = servers.start_mongod(replica_set=False)
    try:
        payments = server.client()["marketplace"]["payments"]
        with tempfile.TemporaryDirectory(prefix="recon-bench-") as name:
            folder = Path(name)
            write_world(World(before, ()), folder / "before")
            write_world(world, folder / "now")
            payments.insert_many(before.payments)
            base = _run(folder / "before", server.uri, out=folder / "base", selection=year)
            payments.delete_many({})
            payments.insert_many(world.recorded.payments)
            run = partial(_run, folder / "now", server.uri)
            runs = {
                "whole": run(out=folder / "whole", selection=year),
                "since": run(out=folder / "since", selection=year, since=base.snapshot),
                "day": run(out=folder / "day", selection=day),
            }
    finally:
        server.stop()
    said = [(one.plan.findings, one.plan.changes, one.plan.summary["verdicts"]) for one in runs.values()]
    assert said[0] == said[1], "what changed since gives another plan"
    return {name: one.cost for name, one in runs.items()}


@dataclass(frozen=True)
class _Run:
    snapshot: Any
    plan: Any
    cost: dict[str, float]


def _run(world: Path, uri: str, *, out: Path, selection: Any, since: Any = None) -> _Run:
    """Sources to plan, as ``recon plan`` goes."""
    from recon.plans.make import make_plan
    from recon.setup.open_sources import open_sources
    from recon.setup.settings import load_settings
    from recon.snapshots.take import take_snapshot
    from recon.sources.payments.mongo import MongoSettings, MongoStore
    from recon.verdicts.engine import usual_engine

    tally, settings = Tally(), load_settings(world / "recon.toml")
    rules = {"policy": settings.policy(), "registry": settings.registry()}
    store = MongoStore(MongoSettings(uri=uri))
    with played(tally), open_sources(settings) as opened:
        sources = replace(opened, store=_CountingStore(store, tally))
        began = time.process_time()
        taken = take_snapshot(sources, selection=selection, now=settings.now(), out=out, since=since, **rules)
        plan = make_plan(taken, engine=usual_engine(taken.rows("payments")), **rules)
        cpu_s = time.process_time() - began - tally.played_s
    store.close()
    return _Run(taken, plan, {"cpu_s": cpu_s, **{name: tally.read[name] for name in COUNTS}})
