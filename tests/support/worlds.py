"""Simulated worlds judged by the real thing: written to disk, read by every source, planned, scored."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from recon.core.model import Plan
from recon.plans.make import make_plan
from recon.setup.open_sources import open_sources
from recon.setup.settings import load_settings
from recon.simulation import World, write_world
from recon.simulation.score import Score
from recon.snapshots.take import take_snapshot
from recon.sources.interface import Selection
from recon.sources.recorded.format import RecordedWorld


def plan_of(world: World, folder: Path, *, engine: str | None = None, choice: Selection | None = None) -> Plan:
    """Run the main job on a world, offline, through the recorded source; ``folder`` must be empty."""
    write_world(world, folder / "world")
    return plan_of_directory(folder / "world", folder, engine=engine, choice=choice)


def plan_of_directory(
    directory: Path, folder: Path, *, engine: str | None = None, choice: Selection | None = None
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


def merged(worlds: Iterable[RecordedWorld]) -> RecordedWorld:
    """Several small worlds as one; they share their moment and the heads of their chains."""
    listed = list(worlds)
    first = listed[0]
    chains = {
        chain_id: replace(
            chain,
            logs=[log for world in listed for log in world.chains[chain_id].logs],
            receipts=[receipt for world in listed for receipt in world.chains[chain_id].receipts],
        )
        for chain_id, chain in first.chains.items()
    }
    said = {name: [line for world in listed for line in world.said[name]] for name in first.said}
    coins = first.said["shkeeper"][:1]
    said["shkeeper"] = [*coins, *(line for line in said["shkeeper"] if "crypto" not in line)]
    return replace(
        first,
        merchant_recipients=tuple(sorted({one for world in listed for one in world.merchant_recipients})),
        chains=chains,
        payments=[document for world in listed for document in world.payments],
        said=said,
        deliveries=[row for world in listed for row in world.deliveries],
        faults=tuple(rule for world in listed for rule in world.faults),
    )


def said(found: Score) -> str:
    """What is wrong with a score, a line for each kind of mistake, with one example."""
    lines: dict[tuple[object, ...], list[str]] = {}
    for row in (*found.misjudged, *found.incomplete):
        missing = ", ".join(row.missing)
        lines.setdefault((row.planted, "is", row.expected, "found", row.found, missing), []).append(row.payment_id)
    for write in found.wrong_writes:
        key = (write.planted, "write", write.kind, str(write.expected), str(write.planned))
        lines.setdefault(key if len(lines) < 40 else key[:3], []).append(write.payment_id)
    for verdict, (true, counted) in found.miscounted.items():
        lines[verdict, "counted", counted, "not", true] = [""]
    return "\n".join(_lines(lines.items()))


def _lines(items: Iterable[tuple[tuple[object, ...], list[str]]]) -> Iterable[str]:
    for key, ids in sorted(items, key=str):
        yield f"{len(ids)} times {' '.join(str(part) for part in key if part)}: {ids[0]}"
