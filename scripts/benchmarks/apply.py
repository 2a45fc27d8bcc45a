"""Guarded, journalled writes beside bare ``update_one`` on a real mongod, and the memory that a run adds.

Both sides write the same fields to equal documents with write concern majority and the same number in flight. Of ours
the writing is timed: from the run's opening in the journal to the last outcome in it, with the canary, the re-read of
each group, its intents, writes and outcomes. The check of every row before it and the look afterwards are in "whole".
The journal and its indexes are there already, as they are after the first run. Processor seconds are those of the
client and of mongod together.
"""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.measure import ROOT, Result, ask_part, say

Clock = Callable[[], tuple[float, float]]

AIM = 0.8
IN_FLIGHT = (50, 8, 1)
MEMORY_ROWS = (1_000, 10_000, 100_000)


def measure_apply(rows: int, *, rounds: int, with_memory: bool) -> list[Result]:
    """Apply a plan of ``rows`` changes at several concurrencies; both sides in turn, the median of each counts."""
    results = []
    for in_flight in IN_FLIGHT:
        count = rows if in_flight > 1 else max(50, rows // 5)
        found = ask_part("apply", count, in_flight, rounds)
        ratio, of_cpu = found["bare_s"] / found["writing_s"], found["bare_cpu_s"] / found["writing_cpu_s"]
        per_s = {name: count / found[f"{name}_s"] for name in ("bare", "writing", "whole")}
        say(
            f"        {in_flight:3} in flight   bare {per_s['bare']:6.0f}/s   guarded and journalled "
            f"{per_s['writing']:6.0f}/s   with every check {per_s['whole']:6.0f}/s   "
            f"ratio {ratio:.2f}, of processor {of_cpu:.2f}"
        )
        aim = AIM if in_flight == IN_FLIGHT[0] else None
        results.append(Result(f"apply.{in_flight}", ratio, f"{per_s['writing']:.0f} writes/s", aim, "more"))
        results.append(Result(f"apply.{in_flight}_cpu", of_cpu, "client and mongod", None, "more"))
    if with_memory:
        told = [ask_part("apply_memory", count) for count in MEMORY_ROWS]
        for each in told:
            say(f"        a run adds {each['added_mb']:5.1f} MB to the plan itself for {each['rows']:,} changes")
        grown = told[-1]["added_mb"] - told[0]["added_mb"]
        results.append(Result("apply.memory_growth_mb", grown, f"{MEMORY_ROWS[0]:,} to {MEMORY_ROWS[-1]:,} changes"))
    return results


def part_apply(rows: int, in_flight: int, rounds: int) -> dict[str, float]:
    """Median seconds of bare updates, of the writing of a run, and of the whole run."""
    servers, applying = _tests()
    documents = applying.some_documents(rows)
    times: dict[str, list[float]] = {}
    server = servers.start_mongod()
    clock = partial(_clock, server.pid)
    try:
        with server.client(maxPoolSize=100) as client:
            for turn in range(rounds + 1):
                found = _bare(applying, client[f"bare{turn}"], documents, in_flight, clock)
                found |= _guarded(applying, client[f"ours{turn}"], documents, in_flight, clock)
                for name, seconds in found.items():
                    # The first turn warms both up.
                    times.setdefault(name, []).extend([seconds] if turn else [])
                client.drop_database(f"bare{turn}")
                client.drop_database(f"ours{turn}")
    finally:
        server.stop()
    return {name: median(several) for name, several in times.items()}


def part_apply_memory(rows: int) -> dict[str, float]:
    """Megabytes that a run adds to a process which holds its plan."""
    servers, applying = _tests()
    server = servers.start_mongod()
    try:
        with server.client(maxPoolSize=100) as client:
            world = applying.a_world(client.memory, applying.some_documents(rows))
            plan = world.plan()
            world.before.clear()
            world.apply(applying.resealed(plan, changes=plan.changes[:1]))
            gc.collect()
            Path("/proc/self/clear_refs").write_text("5")  # the peak counts anew from here
            before = _status_mb("VmRSS")
            world.apply(plan)
            after = _status_mb("VmHWM")
    finally:
        server.stop()
    return {"rows": rows, "added_mb": after - before}


def _status_mb(name: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) / 1024


def _clock(server: int) -> tuple[float, float]:
    """Seconds on the wall, and of processor in this process and in the server's."""
    ticks = Path(f"/proc/{server}/stat").read_text().rpartition(")")[2].split()[11:13]
    return time.perf_counter(), time.process_time() + sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")


def _between(name: str, began: tuple[float, float], ended: tuple[float, float]) -> dict[str, float]:
    return {f"{name}_s": ended[0] - began[0], f"{name}_cpu_s": ended[1] - began[1]}


def _bare(
    applying: Any, database: Any, documents: list[dict[str, Any]], in_flight: int, clock: Clock
) -> dict[str, float]:
    """One unguarded majority update a row, of the same fields."""
    from pymongo import WriteConcern

    database.payments.insert_many([dict(document) for document in documents])
    payments = database.payments.with_options(write_concern=WriteConcern(w="majority"))
    sets = {**applying.FIXED, "updatedAt": applying.NOW, "metadata.recon.last": "bare/c0123456789abcdef"}

    def write(document: dict[str, Any]) -> None:
        payments.update_one({"_id": document["_id"]}, {"$set": sets})

    began = clock()
    with ThreadPoolExecutor(in_flight) as pool:
        list(pool.map(write, documents))
    return _between("bare", began, clock())


def _guarded(
    applying: Any, database: Any, documents: list[dict[str, Any]], in_flight: int, clock: Clock
) -> dict[str, float]:
    """A run over all but the first row, which a run before it writes to warm the journal up."""
    world = applying.a_world(database, documents)
    plan = world.plan(only=slice(1, None))
    world.apply(world.plan(only=slice(1)))
    appends: list[tuple[float, float]] = []

    def step(name: str) -> None:
        if name.startswith("journal.append"):
            appends.append(clock())

    began = clock()
    report = world.apply(plan, in_flight=in_flight, step=step)
    assert report.counts == {"applied": len(documents) - 1}
    # The last two are around the entry that closes the run, after everything was read again.
    return {**_between("writing", appends[0], appends[-3]), **_between("whole", began, clock())}


def _tests() -> tuple[Any, Any]:
    """The test suite's server and its payments, which the benchmark shares."""
    import sys

    sys.path.insert(0, str(ROOT))
    from tests.support import applying, servers

    return servers, applying
