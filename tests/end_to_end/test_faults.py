"""Any source sick in any way: the true verdict or none, never a false break, a wrong write, a hang or a quiet gap."""

from __future__ import annotations

import resource
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from random import Random
from tempfile import mkdtemp
from typing import TypeVar

import pytest

from recon.core.errors import WrongSourceError
from recon.core.model import Plan, Verdict
from recon.reports.views.totals import has_gaps
from recon.setup.settings import load_settings
from recon.simulation import PLANTS, Truth, World, generate_world, write_world
from recon.simulation.score import BENIGN, NOT_PROVEN, Misjudged, Score, score
from recon.snapshots.sealed import SnapshotError, open_snapshot
from recon.sources.payments.read import FieldPaths, payment_rows
from tests.support.schedules import ANYWHERE, IN_STORE, ON_CHAIN, PAGED, WRONG, Schedule, sickened
from tests.support.worlds import plan_of_directory, said

PAYMENTS = 140
DEADLINE_S = 240.0
"""Real seconds, on a busy machine, in which a run over a small world is over or hangs."""

WAITED_MAX_S = 4 * 3_600.0
"""Most that all sources together may wait by the clock: two phases of an hour for a provider, 15 min for a chain."""

PROVIDERS = ("request_network", "shkeeper")
CHAINS = ("chain:56", "chain:8453")
OF_TWO_ROWS = (Verdict.COMPETING_PAYMENT, Verdict.DUPLICATE_PROVIDER_KEY, Verdict.DUPLICATE_TX_HASH, Verdict.AMBIGUOUS)
TOLD_BY_ONE = (
    Verdict.MISSING_LOCAL, Verdict.PROVIDER_BEHIND, Verdict.REFUND_DRIFT, Verdict.MULTIPLE_TRANSFERS,
)  # fmt: skip
"""What only the sick source shows, while everything else is proven: nothing can be said of it."""

LAGGING = ("stale", "head_goes_back")
LYING = ("logs_flaky", "logs_empty", "logs_lost")
"""A node that leaves logs out and calls the answer whole. Receipts, filters of sampled blocks and a second endpoint
catch it, and then nothing rests on its silence any more; money that nothing else points to stays unseen."""

WAITING = (Verdict.INSUFFICIENT_CONFIRMATIONS, Verdict.SAFETY_PENDING, Verdict.UNDERPAID, None)
"""What may be said of money of the last minutes by a node that has not seen it yet; None is "not listed"."""

Given = TypeVar("Given")


@dataclass(frozen=True)
class Written:
    """A world on disk, what is true of it, and what each payment leans on."""

    folder: Path
    truths: tuple[Truth, ...]
    leans_on: Mapping[str, frozenset[str]]


@lru_cache(maxsize=8)
def written(seed: int, *, is_quiet: bool = False) -> Written:
    world = generate_world(payments=PAYMENTS, seed=seed, breaks="none" if is_quiet else "default")
    folder = Path(mkdtemp(prefix="recon-faults-"))
    write_world(world, folder / "world")
    sound = score(plan_of_directory(folder / "world", folder / "sound", engine="polars"), world.truths)
    wrong = {row.payment_id for row in (*sound.misjudged, *sound.incomplete)}
    wrong |= {row.payment_id for row in sound.wrong_writes}
    assert len(wrong) < 5, "the sound world is judged as the truth says; see tests/verdicts/test_truth.py"
    truths = tuple(truth for truth in world.truths if truth.payment_id not in wrong)
    return Written(folder / "world", truths, leanings(world, folder / "world"))


def leanings(world: World, folder: Path) -> dict[str, frozenset[str]]:
    """The sources that can say something about each payment: its provider, its chain, where its money may have gone."""
    settings = load_settings(folder / "recon.toml")
    rows = payment_rows(
        world.recorded.payments, fields=FieldPaths(), registry=settings.registry(), policy=settings.policy()
    ).to_pylist()
    own = {row["payment_id"]: {row["provider"], f"chain:{row['chain_id']}"} for row in rows}
    anywhere = {f"chain:{chain_id}" for chain_id in world.recorded.chains}
    for row in rows:
        if row["status"] in ("pending", "processing"):
            own[row["payment_id"]] |= anywhere  # people mistake chains, so its money may lie on any
    everything = {*PROVIDERS, *anywhere}
    found = {}
    for truth in world.truths:
        kind, _, rest = truth.payment_id.partition(":")
        plant = PLANTS.get(truth.planted)
        if truth.payment_id in own and truth.verdict not in (*OF_TWO_ROWS, Verdict.NETWORK_MISMATCH):
            is_crafted = plant is not None and plant.craft is not None
            found[truth.payment_id] = own[truth.payment_id] | (everything if is_crafted else set())
        elif kind == "provider":
            found[truth.payment_id] = {rest.partition(":")[0]}
        else:
            found[truth.payment_id] = everything
    return {payment_id: frozenset({"payments", *sources}) for payment_id, sources in found.items()}


def within(seconds: float, job: Callable[[], Given]) -> Given:
    """The result of a job, or a failure that says it hangs."""
    result: list[Given] = []
    failure: list[BaseException] = []

    def run() -> None:
        try:
            result.append(job())
        except BaseException as error:  # handed on below
            failure.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if failure:
        raise failure[0]
    assert result, f"the run was not over after {seconds:g} s"
    return result[0]


def planned(schedules: Iterable[Schedule], given: Written, folder: Path) -> Plan:
    with sickened(list(schedules)) as clock:
        plan = within(DEADLINE_S, lambda: plan_of_directory(given.folder, folder, engine="polars"))
    assert clock.waited_s < WAITED_MAX_S, f"waited {clock.waited_s:.0f} s"
    return plan


def is_fresh(planted: str) -> bool:
    plant = PLANTS.get(planted)
    return plant is not None and any(leg.when == "fresh" for leg in plant.situation.legs)


def is_excused(row: Misjudged, schedules: Iterable[Schedule], given: Written) -> bool:
    """Whether a wrong verdict is all that can honestly be said while these sources are sick."""
    leaning = given.leans_on.get(row.payment_id, frozenset())
    for schedule in schedules:
        if schedule.source not in leaning:
            continue
        if row.found in NOT_PROVEN:
            return True
        if row.found is None and (row.expected in (*TOLD_BY_ONE, *OF_TWO_ROWS) or schedule.source == "payments"):
            return True
        if row.expected is Verdict.NETWORK_MISMATCH and row.found is Verdict.TX_NOT_FOUND:
            return True  # it is not on its own chain, and the other one is silent
        if schedule.kind in LYING and row.found is None:
            return True
        if schedule.kind in LAGGING and is_fresh(row.planted) and row.found in WAITING:
            return True
    return False


def is_unseen(row: Misjudged, schedules: Iterable[Schedule]) -> bool:
    """Whether no source gave less than it was asked for.

    A node lags a little (its head's time is told) or lies; a secondary gives rows as they were.
    """
    is_late_news = row.found in NOT_PROVEN or (is_fresh(row.planted) and row.found in WAITING)
    kinds = {schedule.kind for schedule in schedules}
    return (is_late_news and bool(kinds & set(LAGGING))) or bool(kinds & {*LYING, "secondary_behind"})


def checked(plan: Plan, schedules: Iterable[Schedule], given: Written) -> Score:
    """Hold a plan against the truth; gives the score for what else is to be said of it."""
    known = {truth.payment_id for truth in given.truths}
    judged = replace(
        plan,
        findings=tuple(
            item for item in plan.findings if item.payment_id in known or item.payment_id not in given.leans_on
        ),
        changes=tuple(
            item for item in plan.changes if item.payment_id in known or item.payment_id not in given.leans_on
        ),
    )
    found = score(judged, given.truths)
    wrong = tuple(row for row in found.misjudged if not is_excused(row, schedules, given))
    assert not wrong, said(replace(found, misjudged=wrong, incomplete=(), wrong_writes=(), miscounted={}))
    writes = tuple(row for row in found.wrong_writes if row.kind != "missing")
    assert not writes, said(replace(found, misjudged=(), incomplete=(), wrong_writes=writes, miscounted={}))
    unsaid = [row for row in found.misjudged if not is_unseen(row, schedules)]
    sick = {row["source"] for row in plan.coverage if not row["complete"]}
    if unsaid:
        assert has_gaps(plan), "something could not be judged and the run would not leave with 4"
        assert sick & {schedule.source for schedule in schedules}, f"the coverage names {sorted(sick)}"
    return found


ALL = [
    *(Schedule(source, kind) for kind in (*ANYWHERE, *PAGED) for source in PROVIDERS),
    *(Schedule(source, kind) for kind in (*ANYWHERE, *ON_CHAIN) for source in CHAINS),
    *(Schedule("payments", kind) for kind in IN_STORE),
]


def in_twos(sources: Sequence[str], kinds: Sequence[str]) -> list[list[Schedule]]:
    """Both sources at once, each with every kind, never with the same: half the runs, and a payment leans on one."""
    one, two = sources
    return [[Schedule(one, kind), Schedule(two, kinds[(number + 5) % len(kinds)])] for number, kind in enumerate(kinds)]


AT_A_TIME = [
    *in_twos(PROVIDERS, (*ANYWHERE, *PAGED)),
    *in_twos(CHAINS, (*ANYWHERE, *ON_CHAIN)),
    *([Schedule("payments", kind)] for kind in IN_STORE),
]
NOT_SEARCHED = ("claimants_cut", "claimants_gone", "stepped_down", "down")
"""Nothing is planned while the whole collection was not searched."""


def test_every_source_is_sick_in_every_way() -> None:
    assert sorted(schedule.name for several in AT_A_TIME for schedule in several) == sorted(item.name for item in ALL)


@pytest.mark.parametrize("schedules", AT_A_TIME, ids=lambda several: "+".join(schedule.name for schedule in several))
def test_a_sick_source_leaves_the_truth_or_nothing(schedules: list[Schedule], tmp_path: Path) -> None:
    given = written(71)
    plan = planned(schedules, given, tmp_path)
    checked(plan, schedules, given)
    if schedules[0].source == "payments" and schedules[0].kind in NOT_SEARCHED:
        assert plan.changes == ()
        assert has_gaps(plan)
        assert not plan.summary["health"]["ok"]


@pytest.mark.parametrize("seed", range(6))
def test_several_sick_sources_leave_the_truth_or_nothing(seed: int, tmp_path: Path) -> None:
    rng = Random(seed)
    chosen = {schedule.source: replace(schedule, seed=seed) for schedule in rng.sample(ALL, 4)}
    given = written(72)
    checked(planned(chosen.values(), given, tmp_path), list(chosen.values()), given)


@pytest.mark.parametrize("sources", [*zip(PROVIDERS, CHAINS, strict=True), ("payments",)], ids="+".join)
def test_a_quiet_week_stays_quiet_while_a_source_dies(sources: tuple[str, ...], tmp_path: Path) -> None:
    schedules = [Schedule(source, "down" if source == "payments" else "dies", 3) for source in sources]
    plan = planned(schedules, written(73, is_quiet=True), tmp_path)
    assert {finding.verdict for finding in plan.findings} <= NOT_PROVEN | BENIGN
    assert plan.changes == ()
    assert has_gaps(plan)


@pytest.mark.parametrize("kind", ["down", "login_page", "dies", "mostly_failing"])
@pytest.mark.parametrize("sources", list(zip(PROVIDERS, CHAINS, strict=True)), ids="+".join)
def test_the_coverage_names_a_source_that_is_gone(sources: tuple[str, str], kind: str, tmp_path: Path) -> None:
    plan = planned([Schedule(source, kind, 5) for source in sources], written(71), tmp_path)
    sick = {row["source"] for row in plan.coverage if not row["complete"]}
    if kind != "mostly_failing":  # patience may get through to one of them
        assert sick >= set(sources)
    assert not has_gaps(plan) or sick & set(sources)
    assert sick <= {*sources, "request_network"}, "the sound world itself holds a request that cannot be looked up"


@pytest.mark.parametrize("source", CHAINS)
def test_a_node_of_another_chain_stops_the_run(source: str, tmp_path: Path) -> None:
    with pytest.raises(WrongSourceError, match=source):
        planned([Schedule(source, kind) for kind in WRONG], written(71), tmp_path)


@pytest.mark.parametrize("schedule", [Schedule("chain:56", "logs_flaky", 9), Schedule("request_network", "garbage", 9)])
def test_a_schedule_can_be_replayed(schedule: Schedule, tmp_path: Path) -> None:
    """One source at a time: sources wait on one clock, each in a thread of its own."""
    first = planned([schedule], written(71), tmp_path / "first")
    assert planned([schedule], written(71), tmp_path / "second").digest == first.digest


# ------------------------------------------------------------------------------------------------------- a full disk


@pytest.mark.parametrize("room_bytes", [0, 2_000, 20_000])
def test_a_full_disk_ends_the_snapshot_in_one_sentence_and_leaves_none(room_bytes: int, tmp_path: Path) -> None:
    shutil.copytree(written(71).folder, tmp_path / "world")
    config, out = tmp_path / "world" / "recon.toml", tmp_path / "taken"
    ran = subprocess.run(
        [sys.executable, "-m", "recon", "snapshot", "--config", str(config), "--out", str(out)],
        capture_output=True, text=True, timeout=DEADLINE_S, check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (room_bytes, room_bytes)),
    )  # fmt: skip
    assert ran.returncode == 5, ran.stderr
    assert "could not be written there" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert not (out / "manifest.json").exists()
    with pytest.raises(SnapshotError):
        open_snapshot(out)
