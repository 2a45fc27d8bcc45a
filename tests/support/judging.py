"""Rows in, verdicts out: one judgement of hand-made tables on a chosen engine."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from recon.core.model import Policy, Verdict
from recon.setup.open_sources import open_sources
from recon.setup.settings import load_settings
from recon.simulation import World, write_world
from recon.snapshots.sealed import Snapshot
from recon.snapshots.take import take_snapshot
from recon.sources.interface import Selection
from recon.verdicts.engine import Engine, open_engine
from recon.verdicts.judge import Judgement, Leads, find_leads, horizon_of, judge
from recon.verdicts.reach import Horizon
from recon.verdicts.rules import RULE_BOOK, RuleBook, findings_of
from tests.support.builders import NOW_MS, Row, full_coverage, tables

JUDGED_TABLES = ("payments", "keys", "context", "claims", "claim_txs", "transfers", "transactions")
OPTIONAL_TABLES = ("orphans", "balances", "movements", "holdings")


def judgement_of(
    rows: dict[str, Sequence[Row]],
    *,
    engine: str = "polars",
    policy: Policy | None = None,
    gaps: Sequence[Row] = (),
    rules: RuleBook = RULE_BOOK,
) -> Judgement:
    """Judge tables given as rows; every source is covered unless ``gaps`` or ``coverage`` say otherwise."""
    with judged_tables(rows, engine=engine, gaps=gaps) as (frames, running, horizon):
        return judge(frames, running, horizon=horizon, policy=policy or Policy(), rules=rules)


def leads_of(
    rows: dict[str, Sequence[Row]], *, engine: str = "polars", policy: Policy | None = None, silent_max: int = 200
) -> Leads:
    """What a first reading of tables given as rows says is to be read again."""
    with judged_tables(rows, engine=engine) as (frames, running, horizon):
        return find_leads(frames, running, horizon=horizon, policy=policy or Policy(), silent_max=silent_max)


@contextmanager
def judged_tables(
    rows: dict[str, Sequence[Row]], *, engine: str, gaps: Sequence[Row] = ()
) -> Iterator[tuple[dict[str, Any], Engine, Horizon]]:
    """Tables given as rows as an engine reads them, and how far absence is proven."""
    made = tables(**rows)
    coverage = rows.get("coverage", full_coverage(1, 56, 137, 8453, 42161))
    horizon = horizon_of(coverage, gaps, now_ms=NOW_MS)
    with tempfile.TemporaryDirectory() as folder:
        running = open_engine(engine)
        try:
            frames = {}
            for name in (*JUDGED_TABLES, *(each for each in OPTIONAL_TABLES if each in rows)):
                path = Path(folder) / f"{name}.parquet"
                pq.write_table(made[name], path)
                frames[name] = running.scan([path])
            yield frames, running, horizon
        finally:
            running.close()


def verdicts(rows: dict[str, Sequence[Row]], **given: Any) -> dict[str, str]:
    """The verdict of every break by payment; what is benign is not in it."""
    table = judgement_of(rows, **given).breaks
    return dict(zip(table["payment_id"].to_pylist(), table["verdict"].to_pylist(), strict=True))


def findings(rows: dict[str, Sequence[Row]], payment: str, **given: Any) -> tuple[Verdict, ...]:
    """Every finding of one break."""
    table = judgement_of(rows, **given).breaks
    masks = dict(zip(table["payment_id"].to_pylist(), table["findings"].to_pylist(), strict=True))
    return findings_of(masks[payment])


def counts(rows: dict[str, Sequence[Row]], **given: Any) -> dict[str, int]:
    """How many payments have each verdict, benign ones included."""
    found: dict[str, int] = {}
    for row in judgement_of(rows, **given).counts.to_pylist():
        found[row["verdict"]] = found.get(row["verdict"], 0) + row["rows"]
    return found


def together(*parts: dict[str, list[Row]]) -> dict[str, list[Row]]:
    """Several payments' rows in one set of tables."""
    joined: dict[str, list[Row]] = {}
    for part in parts:
        for name, rows in part.items():
            joined.setdefault(name, []).extend(rows)
    return joined


def snapshot_of(world: World, folder: Path, *, selection: Selection | None = None) -> Snapshot:
    """Write a world, read it through the recorded source, and seal what was read."""
    write_world(world, folder / "world")
    return snapshot_of_directory(folder / "world", folder / "snapshot", selection=selection)


def snapshot_of_directory(directory: Path, out: Path, *, selection: Selection | None = None) -> Snapshot:
    """The same for a world that is on disk already."""
    settings = load_settings(directory / "recon.toml")
    with open_sources(settings) as sources:
        return take_snapshot(
            sources,
            selection=selection or settings.selection(),
            policy=settings.policy(),
            registry=settings.registry(),
            now=settings.now(),
            out=out,
        )
