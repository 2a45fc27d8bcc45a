"""Measure guarded, journalled writes per second against bare ``update_one`` on a real mongod, and the memory of a run.

Usage: python scripts/bench_apply.py [ROWS] [--memory]
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests import servers  # noqa: E402
from tests.applying import FIXED, NOW, UNLIMITED, a_world, some_documents  # noqa: E402

ROUNDS = 3
IN_FLIGHT = (50, 8, 1)


def bare(database: Any, documents: list[dict[str, Any]], in_flight: int) -> float:
    """Seconds for one unguarded majority update a row: the same fields, nothing else."""
    from pymongo import WriteConcern

    payments = database.payments.with_options(write_concern=WriteConcern(w="majority"))
    sets = {**FIXED, "updatedAt": NOW, "metadata.recon.last": "bare/c0123456789abcdef"}

    def write(document: dict[str, Any]) -> None:
        payments.update_one({"_id": document["_id"]}, {"$set": sets})

    began = time.perf_counter()
    with ThreadPoolExecutor(in_flight) as pool:
        list(pool.map(write, documents))
    return time.perf_counter() - began


def guarded(database: Any, documents: list[dict[str, Any]], in_flight: int) -> tuple[float, float]:
    """Seconds for applying a plan over the same rows: the journalled writing alone, and everything with the checks."""
    world = a_world(database, documents)
    plan, steps = world.plan(), []
    began = time.perf_counter()
    report = world.apply(plan, in_flight=in_flight, step=lambda name: steps.append(time.perf_counter()))
    whole = time.perf_counter() - began
    assert len(report.rows) == len(documents)
    return steps[-1] - steps[2], whole


def compare(rows: int) -> list[dict[str, Any]]:
    """Both in turn, the better of a few rounds each, so that a busy machine hurts both alike."""
    documents, found = some_documents(rows), []
    server = servers.start_mongod()
    try:
        with server.client(maxPoolSize=100) as client:
            for in_flight in IN_FLIGHT:
                count = rows if in_flight > 1 else max(50, rows // 5)
                times: dict[str, list[float]] = {"bare": [], "guarded": [], "whole": []}
                for turn in range(ROUNDS):
                    database = client[f"bare_{in_flight}_{turn}"]
                    database.payments.insert_many([dict(d) for d in documents[:count]])
                    times["bare"].append(bare(database, documents[:count], in_flight))
                    client.drop_database(database.name)
                    database = client[f"guarded_{in_flight}_{turn}"]
                    for name, took in zip(
                        ("guarded", "whole"), guarded(database, documents[:count], in_flight), strict=True
                    ):
                        times[name].append(took)
                    client.drop_database(database.name)
                per_s = {name: count / min(seconds) for name, seconds in times.items()}
                found.append(
                    {
                        "in_flight": in_flight,
                        "rows": count,
                        **{f"{name}_per_s": round(value) for name, value in per_s.items()},
                        "ratio": round(per_s["guarded"] / per_s["bare"], 2),
                        "whole_ratio": round(per_s["whole"] / per_s["bare"], 2),
                    }
                )
    finally:
        server.stop()
    return found


def memory(rows: int) -> dict[str, Any]:
    """Peak memory of this process before the run (documents and plan are in it) and after it, MB."""
    server = servers.start_mongod()
    try:
        with server.client(maxPoolSize=100) as client:
            world = a_world(client.memory, some_documents(rows))
            plan = world.plan()
            world.before.clear()
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            world.apply(plan, limits=UNLIMITED)
            after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    finally:
        server.stop()
    return {"rows": rows, "before_mb": round(before), "added_mb": round(after - before)}


def main(arguments: list[str]) -> None:
    """Print one JSON line a measurement."""
    if arguments[:1] == ["--memory-of"]:
        print(json.dumps(memory(int(arguments[1]))))
        return
    rows = int(next((each for each in arguments if each.isdigit()), "2000"))
    for line in compare(rows):
        print(json.dumps(line), flush=True)
    if "--memory" in arguments:
        for count in (1_000, 100_000):
            subprocess.run([sys.executable, __file__, "--memory-of", str(count)], check=True)


if __name__ == "__main__":
    main(sys.argv[1:])
