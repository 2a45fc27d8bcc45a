"""``scripts/prove``: worlds through snapshot, plan and score, judged by the referee, up to a number of payments.

The referee (:mod:`recon.simulation.referee`) draws the right verdicts and writes from money and intent, and shares no
code with the rules. Where it contradicts what was declared of a plant, that is an error like a wrong verdict.

With ``--relations`` the worlds are held against what must hold in every world (:mod:`proving.relations`). With
``--rail`` the worlds are those of one rail of its own, whose referee stands beside the world
(:mod:`recon.simulation.rail_worlds`). With ``--ledger`` they have a ledger, whose books are right in some and flawed in
others (:mod:`recon.simulation.books`).

Every world is written to disk and read back through the same sources as over the network. The result is added to
``BENCHMARKS.md`` under "Proof of verdicts", dated. A wrong verdict or write is shrunk to the fewest plants that still
show it and printed with the command that shows it again.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from proving import books, relations
from recon.core.model import Plan, Verdict
from recon.plans.make import make_plan
from recon.setup.open_sources import open_sources
from recon.setup.settings import load_settings
from recon.simulation import PLANTS, World, generate_world, plant_world, write_world
from recon.simulation.rail_worlds import RAIL_WORLDS, rail_world
from recon.simulation.refereed import contradictions, truths_of
from recon.simulation.score import Score, score
from recon.simulation.weather import weathered
from recon.snapshots.take import take_snapshot

WORLD = 20_000
HEADING = "## Proof of verdicts"
SHRINKS_MAX = 12
RARE = 0.0005
WEATHER_EVERY = 4
"""In every fourth world a chain stands still or a node has lost its logs."""
SEEDS_TRIED = 40


@dataclass
class Tally:
    """What all worlds so far gave together."""

    payments: int = 0
    worlds: int = 0
    seconds: float = 0.0
    true: Counter[Verdict] = field(default_factory=Counter)
    given: Counter[Verdict] = field(default_factory=Counter)
    right: Counter[Verdict] = field(default_factory=Counter)
    misjudged: int = 0
    incomplete: int = 0
    miscounted: int = 0
    writes: int = 0
    wrong_writes: int = 0
    contradictions: int = 0

    def add(self, plan: Plan, found: Score, *, payments: int, seconds: float) -> None:
        """Take in one world."""
        self.payments += payments
        self.worlds += 1
        self.seconds += seconds
        for (true, given), count in found.confusion.items():
            if true is not None:
                self.true[true] += count
            if given is not None:
                self.given[given] += count
            if true is not None and true == given:
                self.right[true] += count
        self.misjudged += len(found.misjudged)
        self.incomplete += len(found.incomplete)
        self.miscounted += len(found.miscounted)
        self.writes += len(plan.changes)
        self.wrong_writes += len(found.wrong_writes)

    @property
    def is_perfect(self) -> bool:
        """Whether nothing was wrong in any world."""
        wrong = (self.misjudged, self.incomplete, self.miscounted, self.wrong_writes, self.contradictions)
        return not any(wrong)


def judged(world: World, *, engine: str) -> tuple[Plan, Score]:
    """One world through the whole main job, scored against the referee."""
    with TemporaryDirectory(prefix="recon-prove-") as folder:
        home = Path(folder)
        write_world(world, home / "world")
        settings = load_settings(home / "world" / "recon.toml")
        policy, registry = settings.policy(), settings.registry()
        with open_sources(settings) as sources:
            snapshot = take_snapshot(
                sources,
                selection=settings.selection(),
                policy=policy,
                registry=registry,
                now=settings.now(),
                out=home / "snapshot",
            )
        plan = make_plan(snapshot, policy=policy, registry=registry, engine=engine)
    if world.facts is None:
        return plan, score(plan, world.truths)
    found = {finding.payment_id: finding.verdict for finding in plan.findings}
    truths = truths_of(world.facts, found=found, planted=world.truths)
    if not world.facts.unread:
        declared = {truth.payment_id: truth.findings for truth in world.truths}
        truths = tuple(replace(truth, findings=declared.get(truth.payment_id, truth.findings)) for truth in truths)
    return plan, score(plan, truths)


def next_world(rail: str | None, *, payments: int, seed: int) -> tuple[World, tuple[str, ...]]:
    """A world of the marketplace or of one rail, and where its referee contradicts what was declared of it."""
    if rail is not None:
        return rail_world(rail, payments, seed=seed), ()
    world = generate_world(payments=payments, seed=seed, breaks=mixture())
    assert world.facts is not None
    return world, contradictions(world.truths, world.facts)


def mixture() -> dict[str, float]:
    """The catalogue's own mixture; what the default has once in a world comes at a rate of its own."""
    return {name: plant.rate or RARE for name, plant in PLANTS.items()}


def shrunk(found: Score, *, seed: int, engine: str) -> str | None:
    """The fewest plants that show a mistake of this score by themselves, as a sentence; None when none does."""
    suspects = {row.planted for row in (*found.misjudged, *found.incomplete)}
    suspects |= {row.planted for row in found.wrong_writes}
    for name in sorted(suspects & set(PLANTS))[:SHRINKS_MAX]:
        for small in (seed, *range(SEEDS_TRIED)):
            world = plant_world(name, seed=small)
            _, again = judged(world, engine=engine)
            if not again.is_perfect:
                return f"{len(world.recorded.payments)} payment(s): plant_world({name!r}, seed={small})\n{said(again)}"
    return None


def said(found: Score) -> str:
    """The mistakes of a score, a line each, twenty at most."""
    lines = [
        f"  {row.payment_id}: planted {row.planted or 'nothing'}, true {row.expected}, found {row.found}"
        + (f", lacks {', '.join(row.missing)}" if row.missing else "")
        for row in (*found.misjudged, *found.incomplete)
    ]
    lines += [
        f"  {row.payment_id}: planted {row.planted or 'nothing'}, {row.kind} write: expected {row.expected}, "
        f"planned {row.planned}"
        for row in found.wrong_writes
    ]
    lines += [f"  {verdict} counted {counted}, true {true}" for verdict, (true, counted) in found.miscounted.items()]
    return "\n".join(lines[:20])


def table(tally: Tally) -> str:
    """Recall and precision per verdict."""
    lines = [f"{'verdict':28} {'true':>9} {'recall':>8} {'precision':>9}"]
    for verdict in Verdict:
        true, given, right = tally.true[verdict], tally.given[verdict], tally.right[verdict]
        if true or given:
            lines.append(f"{verdict:28} {true:9,} {_share(right, true):>8} {_share(right, given):>9}")
    return "\n".join(lines)


def _share(part: int, whole: int) -> str:
    """Six decimals, cut, so that 1.000000 means every single one."""
    if not whole:
        return "-"
    millionths = part * 10**6 // whole
    return f"{millionths // 10**6}.{millionths % 10**6:06d}"


def note(tally: Tally, *, seeds: str, engine: str, path: Path) -> None:
    """Add a dated line to the section of ``BENCHMARKS.md``; the rest of the file stays as it is."""
    text = path.read_text(encoding="utf-8") if path.exists() else "# Benchmarks\n"
    if HEADING not in text:
        text = (
            text.rstrip("\n") + f"\n\n{HEADING}\n\n"
            "Simulated worlds through snapshot, plan and score, judged by the referee (`scripts/prove`); a line each.\n"
        )
    day = datetime.now(tz=UTC).strftime("%Y-%m-%d")
    worst = min((tally.right[one] / max(1, tally.true[one]) for one in tally.true), default=1.0)
    line = (
        f"- {day}: {tally.payments:,} payments in {tally.worlds} worlds (seeds {seeds}, {engine}), "
        f"{len(tally.true)} verdicts, {tally.writes:,} planned writes: {tally.misjudged} wrong verdicts, "
        f"{tally.incomplete} lacking findings, {tally.wrong_writes} wrong writes by the referee, "
        f"{tally.contradictions} contradictions between it and what was declared"
        + ("; recall and precision 1.0 for every verdict" if tally.is_perfect else f"; lowest recall {worst:.6f}")
        + f" ({tally.payments / max(tally.seconds, 0.001):,.0f} payments/s judged)."
    )
    before, _, rest = text.partition(HEADING)
    section, divider, after = rest.partition("\n## ")
    path.write_text(f"{before}{HEADING}{section.rstrip(chr(10))}\n{line}\n{divider}{after}", encoding="utf-8")


def main(arguments: list[str]) -> int:
    """Judge worlds until the number is reached; 1 when anything was wrong."""
    parser = argparse.ArgumentParser(prog="scripts/prove", description=__doc__.splitlines()[0])
    parser.add_argument("--payments", type=int, default=1_000_000, help="how many payments in all")
    parser.add_argument("--world", type=int, default=WORLD, help="payments of one world")
    parser.add_argument("--seed-from", type=int, default=1_000, help="seed of the first world")
    parser.add_argument("--engine", default="duckdb", choices=["duckdb", "polars"])
    parser.add_argument("--relations", nargs="*", metavar="NAME", help="hold worlds against relations instead")
    parser.add_argument("--rail", choices=sorted(RAIL_WORLDS), help="worlds of one rail of its own")
    parser.add_argument("--no-note", action="store_true", help="leave BENCHMARKS.md as it is")
    parser.add_argument("--ledger", action="store_true", help="worlds with a ledger: its books, right and flawed")
    chosen = parser.parse_args(arguments)
    if chosen.ledger:
        print_now = partial(print, flush=True)
        wrong = books.prove(payments=chosen.payments, seed=chosen.seed_from, world=chosen.world, say=print_now)
        return int(wrong > 0)
    if chosen.relations is not None:
        return relations.hold(
            chosen.relations, payments=chosen.payments, world=min(chosen.world, relations.WORLD),
            seed=chosen.seed_from, rail=chosen.rail,
        )  # fmt: skip
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.default_int_handler)  # in the background too, what was reached is noted
    tally, seed, examples = Tally(), chosen.seed_from, 0
    try:
        while tally.payments < chosen.payments:
            size = min(chosen.world, chosen.payments - tally.payments)
            world, against = next_world(chosen.rail, payments=size, seed=seed)
            tally.contradictions += len(against)
            for line in against[:20]:
                print(f"  the referee contradicts what was declared: {line}", flush=True)
            start = time.monotonic()
            if chosen.rail is None and seed % WEATHER_EVERY == 0:
                world = weathered(world, seed=seed)
            plan, found = judged(world, engine=chosen.engine)
            tally.add(plan, found, payments=len(world.recorded.payments), seconds=time.monotonic() - start)
            state = "perfect" if found.is_perfect and not against else "WRONG"
            print(
                f"seed {seed}: {len(world.recorded.payments):,} payments, {state}; {tally.payments:,} so far",
                flush=True,
            )
            if not found.is_perfect:
                print(said(found), flush=True)
                if not examples and chosen.rail is None:
                    small = shrunk(found, seed=seed, engine=chosen.engine)
                    print(
                        f"first counter-example: {small or 'no single plant shows it; the whole world does'}",
                        flush=True,
                    )
                examples += 1
            seed += 1
    except KeyboardInterrupt:
        print("interrupted; what was reached counts", file=sys.stderr)
    print(table(tally))
    print(f"{tally.payments:,} payments, {tally.writes:,} planned writes, {tally.wrong_writes} wrong writes")
    if tally.payments and not chosen.no_note:
        seeds = f"{chosen.rail or 'marketplace'}, {chosen.seed_from} to {seed - 1}"
        note(tally, seeds=seeds, engine=chosen.engine, path=Path(__file__).parents[2] / "BENCHMARKS.md")
    return 0 if tally.is_perfect else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
