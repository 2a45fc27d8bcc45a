"""Simulated worlds judged by the real thing: written to disk, read by every source, planned, scored."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from recon.config import load_settings
from recon.model import Plan
from recon.opening import open_sources
from recon.plan import make_plan
from recon.score import Score
from recon.simulate import World, write_world
from recon.snapshot import take_snapshot
from recon.sources.interface import Selection


def plan_of(world: World, folder: Path, *, engine: str = "duckdb", choice: Selection | None = None) -> Plan:
    """Run the main job on a world, offline, through the recorded source; ``folder`` must be empty."""
    write_world(world, folder / "world")
    return plan_of_directory(folder / "world", folder, engine=engine, choice=choice)


def plan_of_directory(
    directory: Path, folder: Path, *, engine: str = "duckdb", choice: Selection | None = None
) -> Plan:
    """The same for a world that is on disk already; the snapshot goes to ``folder``, ``choice`` narrows the window."""
    settings = load_settings(directory / "recon.toml")
    policy, registry = settings.policy(), settings.registry()
    with open_sources(settings) as sources:
        snapshot = take_snapshot(
            sources,
            selection=choice or settings.selection(),
            policy=policy,
            registry=registry,
            now=settings.now(),
            out=folder / "snapshot",
        )
    return make_plan(snapshot, policy=policy, registry=registry, engine=engine)


def said(found: Score) -> str:
    """What is wrong with a score, a line for each kind of mistake, with one example."""
    lines: dict[tuple[object, ...], list[str]] = {}
    for row in (*found.misjudged, *found.incomplete):
        missing = ", ".join(row.missing)
        lines.setdefault((row.planted, "is", row.expected, "found", row.found, missing), []).append(row.payment_id)
    for write in found.wrong_writes:
        key = (write.planted, "write", write.kind, str(write.expected), str(write.planned))
        lines.setdefault(key if len(lines) < 40 else key[:3], []).append(write.payment_id)
    return "\n".join(_lines(lines.items()))


def _lines(items: Iterable[tuple[tuple[object, ...], list[str]]]) -> Iterable[str]:
    for key, ids in sorted(items, key=str):
        yield f"{len(ids)} times {' '.join(str(part) for part in key if part)}: {ids[0]}"
