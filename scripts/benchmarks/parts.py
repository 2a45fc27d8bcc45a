"""The programs that are measured, each run in a process of its own: ``python -m benchmarks.parts NAME ARGUMENT...``."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path


def make(folder: str, rows: str) -> None:
    """Make the synthetic snapshot."""
    from benchmarks.synthetic import make_snapshot

    make_snapshot(Path(folder), int(rows))


def plan(snapshot: str, out: str, engine: str, memory_mb: str) -> None:
    """Snapshot directory to plan file: what ``recon plan --snapshot`` does between its settings and its report."""
    from recon.core.model import Policy
    from recon.plans.file import save_plan
    from recon.plans.make import make_plan
    from recon.snapshots.sealed import open_snapshot

    limit = int(memory_mb) * 1_000_000 or None
    scratch = Path(f"{out}.scratch")
    taken = open_snapshot(Path(snapshot))
    made = make_plan(taken, policy=Policy(), engine=engine, memory_bytes=limit, scratch=scratch if limit else None)
    Path(out).unlink(missing_ok=True)  # of the run before; a plan is never written over another
    save_plan(made, Path(out))


def bare(snapshot: str, out: str, memory_mb: str) -> None:
    """The bare DuckDB join of the same tables, every column copied to Parquet: the peer of the judgement."""
    import duckdb

    connection = duckdb.connect()
    connection.execute("set preserve_insertion_order = false")
    if int(memory_mb):
        connection.execute(f"set memory_limit = '{memory_mb}MB'")
        connection.execute("set temp_directory = $1", [f"{out}.scratch"])
    folder = Path(snapshot)
    connection.execute(
        f"copy (select p.*, c.*, t.* from '{folder}/payments.parquet' p"
        f" left join '{folder}/claims.parquet' c on c.claim_id = coalesce(p.request_id, p.external_id)"
        f" left join '{folder}/transfers.parquet' t"
        " on coalesce(t.reference_topic, t.recipient) = coalesce(p.reference_topic, p.recipient))"
        f" to '{out}' (format parquet)"
    )


def page(snapshot: str, plan_file: str, out: str) -> None:
    """Plan and snapshot to one HTML file: what ``recon report PLAN --html`` does under the plan's own policy."""
    from recon.core.model import Policy
    from recon.plans.file import load_plan
    from recon.reports.pages.html import plan_page, render_html
    from recon.snapshots.sealed import open_snapshot

    made = plan_page(load_plan(Path(plan_file)), snapshot=open_snapshot(Path(snapshot)), policy=Policy())
    Path(out).write_text(render_html(made), encoding="utf-8")


def plain_page(snapshot: str, out: str, rows: str) -> None:
    """The first payments of a snapshot as pandas writes a table of HTML: the peer of the report."""
    import pandas as pd

    columns = ["payment_id", "provider", "status", "amount_text", "currency", "network_raw", "recipient", "reference",
               "request_id", "external_id", "tx_hash", "confirmations", "created_at", "updated_at"]  # fmt: skip
    payments = pd.read_parquet(Path(snapshot) / "payments.parquet", columns=columns).head(int(rows))
    Path(out).write_text(f"<!doctype html><meta charset=utf-8>{payments.to_html()}", encoding="utf-8")


def read_json(plan_file: str) -> None:
    """Load a plan file as bare JSON: the least that showing it can cost."""
    import json

    json.loads(Path(plan_file).read_bytes())


def apply(rows: str, in_flight: str, rounds: str) -> None:
    """Bare and guarded writes on a mongod of their own; prints the seconds of both."""
    import json

    from benchmarks.apply import part_apply

    print(json.dumps(part_apply(int(rows), int(in_flight), int(rounds))))


def apply_memory(rows: str) -> None:
    """Apply a plan and print what that added to the memory of the process."""
    import json

    from benchmarks.apply import part_apply_memory

    print(json.dumps(part_apply_memory(int(rows))))


def desk_steps(plan_file: str) -> None:
    """Filter and open in the review of a plan; prints what each cost."""
    import json

    from benchmarks.desk import part_desk_steps

    print(json.dumps(part_desk_steps(plan_file)))


def since(rows: str) -> None:
    """A daily run over a year, read whole and built upon yesterday's; prints what each cost."""
    import json

    from benchmarks.since import part_since

    print(json.dumps(part_since(int(rows))))


def watch_rounds(rounds: str) -> None:
    """Rounds of a watch over a small world; prints what the process held at some of them."""
    import json

    from benchmarks.watch import part_watch_rounds

    print(json.dumps(part_watch_rounds(int(rounds))))


def watch_idle(minutes: str) -> None:
    """A watch to which nothing happens; prints what it cost."""
    import json

    from benchmarks.watch import part_watch_idle

    print(json.dumps(part_watch_idle(float(minutes))))


def merge(snapshot: str, out: str) -> None:
    """The same join with pandas: three tables read, merged on their keys and written."""
    import pandas as pd

    folder = Path(snapshot)
    payments, claims, transfers = (pd.read_parquet(folder / f"{name}.parquet") for name in _JOINED)
    payments["claim"] = payments["request_id"].fillna(payments["external_id"])
    payments["money"] = payments["reference_topic"].fillna(payments["recipient"])
    transfers["money"] = transfers["reference_topic"].fillna(transfers["recipient"])
    joined = payments.merge(claims, how="left", left_on="claim", right_on="claim_id", suffixes=("", "_c"))
    joined.merge(transfers, how="left", on="money", suffixes=("", "_t")).to_parquet(out)


def compare(snapshot: str) -> None:
    """datacompy over the payments and the claims by their common key: what a two-way comparer does with them."""
    import datacompy
    import pandas as pd

    folder = Path(snapshot)
    payments, claims = (pd.read_parquet(folder / f"{name}.parquet") for name in _JOINED[:2])
    payments["claim_id"] = payments["request_id"].fillna(payments["external_id"])
    payments = payments.rename(columns={"expected_units": "paid_units"})
    compared = datacompy.PandasCompare(payments, claims, join_columns="claim_id")
    assert compared.report()


_JOINED = ("payments", "claims", "transfers")
PARTS: dict[str, Callable[..., None]] = {
    "make": make,
    "plan": plan,
    "bare": bare,
    "page": page,
    "plain_page": plain_page,
    "read_json": read_json,
    "desk_steps": desk_steps,
    "since": since,
    "watch_rounds": watch_rounds,
    "watch_idle": watch_idle,
    "merge": merge,
    "compare": compare,
    "apply": apply,
    "apply_memory": apply_memory,
}
SOURCES = ("logs", "payments", "node", "scan", "play")

if __name__ == "__main__":
    if sys.argv[1] in SOURCES:
        from benchmarks import parts_sources

        getattr(parts_sources, sys.argv[1])(*sys.argv[2:])
    else:
        PARTS[sys.argv[1]](*sys.argv[2:])
