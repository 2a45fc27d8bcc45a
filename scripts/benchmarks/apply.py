"""Guarded, journalled writes beside bare ``update_one`` on a real mongod, and the memory that a run adds."""

from __future__ import annotations

import gc
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.measure import ROOT, Result, ask_part, say

AIM = 0.8
IN_FLIGHT = (50, 8, 1)
MEMORY_ROWS = (1_000, 100_000)


def measure_apply(rows: int, *, rounds: int, with_memory: bool) -> list[Result]:
    """Apply a plan of ``rows`` changes at several concurrencies; both sides in turn, the median of each counts."""
    results = []
    for in_flight in IN_FLIGHT:
        count = rows if in_flight > 1 else max(50, rows // 5)
        found = ask_part("apply", count, in_flight, rounds)
        ratio = found["bare_s"] / found["writing_s"]
        per_s = {name: count / found[f"{name}_s"] for name in ("bare", "writing", "whole")}
        say(
            f"        {in_flight:3} in flight   bare {per_s['bare']:6.0f}/s   guarded and journalled "
            f"{per_s['writing']:6.0f}/s   with every check {per_s['whole']:6.0f}/s   ratio {ratio:.2f}"
        )
        aim = AIM if in_flight == IN_FLIGHT[0] else None
        results.append(Result(f"apply.{in_flight}", ratio, f"{per_s['writing']:.0f} writes/s", aim, "more"))
    if with_memory:
        small, large = (ask_part("apply_memory", count) for count in MEMORY_ROWS)
        say(f"        memory of a run: {small['added_mb']:.0f} MB for {small['rows']:,} changes beside the plan itself")
        say(f"                         {large['added_mb']:.0f} MB for {large['rows']:,}")
        grown = large["added_mb"] - small["added_mb"]
        results.append(Result("apply.memory_growth_mb", grown, f"{large['added_mb']:.0f} MB at {large['rows']:,}"))
    return results


def part_apply(rows: int, in_flight: int, rounds: int) -> dict[str, float]:
    """Median seconds of bare updates, of the writing of a run, and of the whole run."""
    servers, applying = _tests()
    documents = applying.some_documents(rows)
    times: dict[str, list[float]] = {"bare_s": [], "writing_s": [], "whole_s": []}
    server = servers.start_mongod()
    try:
        with server.client(maxPoolSize=100) as client:
            for turn in range(rounds + 1):
                found = {"bare_s": _bare(applying, client[f"bare{turn}"], documents, in_flight)}
                found["writing_s"], found["whole_s"] = _guarded(applying, client[f"ours{turn}"], documents, in_flight)
                for name, seconds in found.items():
                    times[name] += [seconds] if turn else []  # the first turn warms both up
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


def _bare(applying: Any, database: Any, documents: list[dict[str, Any]], in_flight: int) -> float:
    """One unguarded majority update a row, of the same fields."""
    from pymongo import WriteConcern

    database.payments.insert_many([dict(document) for document in documents])
    payments = database.payments.with_options(write_concern=WriteConcern(w="majority"))
    sets = {**applying.FIXED, "updatedAt": applying.NOW, "metadata.recon.last": "bare/c0123456789abcdef"}

    def write(document: dict[str, Any]) -> None:
        payments.update_one({"_id": document["_id"]}, {"$set": sets})

    began = time.perf_counter()
    with ThreadPoolExecutor(in_flight) as pool:
        list(pool.map(write, documents))
    return time.perf_counter() - began


def _guarded(applying: Any, database: Any, documents: list[dict[str, Any]], in_flight: int) -> tuple[float, float]:
    """Seconds from the opening of a run's journal to its end, and of the whole apply with every check."""
    world = applying.a_world(database, documents)
    plan = world.plan()
    steps: list[float] = []
    began = time.perf_counter()
    report = world.apply(plan, in_flight=in_flight, step=lambda name: steps.append(time.perf_counter()))
    whole = time.perf_counter() - began
    assert len(report.rows) == len(documents)
    return steps[-1] - steps[2], whole


def _tests() -> tuple[Any, Any]:
    """The test suite's server and its payments, which the benchmark shares."""
    import sys

    sys.path.insert(0, str(ROOT))
    from tests import applying, servers

    return servers, applying
