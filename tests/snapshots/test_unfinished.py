"""An interrupted snapshot goes on where it was, and gives what an undisturbed one would have given."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from recon.cli import cli
from recon.core.model import Policy
from recon.core.registry import load_registry
from recon.core.tables import table_of
from recon.plans.make import make_plan
from recon.setup.open_sources import open_sources
from recon.setup.settings import load_settings
from recon.simulation import generate_world, write_world
from recon.snapshots.sealed import SnapshotExistsError, SnapshotWriter, open_snapshot
from recon.snapshots.take import take_snapshot
from recon.snapshots.unfinished import STATE, OtherRunError, Unfinished, reading_basis, unfinished_now
from recon.sources.interface import Coverage, Gap, Reading, Selection
from recon.sources.payments.fields import FieldPaths
from tests.support.thorough import LARGER

DIE_AT = "RECON_TEST_DIE_AT"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world") / "world"
    write_world(generate_world(payments=60, seed=8), folder)
    return folder


@pytest.fixture(scope="module")
def undisturbed(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return plan_of(world, take(world, tmp_path_factory.mktemp("undisturbed") / "snapshot").path)


def take(world: Path, out: Path, *, selection: Selection | None = None, policy: Policy | None = None) -> Any:
    settings = load_settings(world / "recon.toml")
    with open_sources(settings) as sources:
        return take_snapshot(
            sources,
            selection=selection or settings.selection(),
            policy=policy or settings.policy(),
            registry=settings.registry(),
            now=settings.now(),
            out=out,
        )


def plan_of(world: Path, snapshot: Path) -> Any:
    settings = load_settings(world / "recon.toml")
    taken = open_snapshot(snapshot)
    return make_plan(taken, policy=settings.policy(), registry=settings.registry(), engine="polars")


def same(one: Any, two: Any) -> bool:
    """Whether two plans differ in nothing but what their readings cost."""

    def said(plan: Any) -> Any:
        coverage = [{name: row[name] for name in row if name not in ("calls", "wire_bytes")} for row in plan.coverage]
        summary = {name: fact for name, fact in plan.summary.items() if name not in ("provider_calls", "chain_calls")}
        return plan.findings, plan.changes, plan.left_alone, plan.created_at, coverage, summary

    return bool(said(one) == said(two))


class DiedError(BaseException):
    """Stands for a crash in this process."""


@contextmanager
def dying(at: int, die: Callable[[], None]) -> Iterator[list[int]]:
    """Die at the given boundary: before and after each part is noted, each table is written and the seal is set."""
    seen, patched = [0], []

    def around(owner: Any, name: str) -> None:
        real = getattr(owner, name)

        def step(*args: Any, **kwargs: Any) -> Any:
            boundary()
            result = real(*args, **kwargs)
            boundary()
            return result

        patched.append((owner, name, real))
        setattr(owner, name, step)

    def boundary() -> None:
        seen[0] += 1
        if seen[0] == at:
            die()

    around(Unfinished, "_save")
    around(SnapshotWriter, "write")
    around(SnapshotWriter, "seal")
    try:
        yield seen
    finally:
        for owner, name, real in patched:
            setattr(owner, name, real)


def crash() -> None:
    raise DiedError


def test_a_reading_that_dies_anywhere_goes_on_to_the_same_plan(world: Path, undisturbed: Any, tmp_path: Path) -> None:
    with dying(0, crash) as steps:
        assert same(plan_of(world, take(world, tmp_path / "whole").path), undisturbed)
    assert steps[0] > 40
    # Before a step and after one by turns; at night twice as many of them.
    for at in range(1, steps[0], 9 if LARGER else 19):
        out = tmp_path / f"died-{at}"
        with pytest.raises(DiedError), dying(at, crash):
            take(world, out)
        if not (out / "manifest.json").exists():
            take(world, out)
        assert same(plan_of(world, out), undisturbed), at
        shutil.rmtree(out)


def main(world: str, out: str) -> None:
    """What a child does: read until it kills itself."""
    with dying(int(os.environ[DIE_AT]), lambda: os.kill(os.getpid(), signal.SIGKILL)):
        take(Path(world), Path(out))


def test_a_reading_that_is_killed_again_and_again_gets_done(world: Path, undisturbed: Any, tmp_path: Path) -> None:
    out, killed = tmp_path / "snapshot", 0
    code = "import sys; from tests.snapshots.test_unfinished import main; main(*sys.argv[1:])"
    for at in (4, 6, 22, 10_000):
        child = subprocess.run(
            [sys.executable, "-c", code, str(world), str(out)], env={**os.environ, DIE_AT: str(at)}, check=False
        )
        killed += child.returncode == -signal.SIGKILL
    assert (killed, child.returncode) == (3, 0)
    assert same(plan_of(world, out), undisturbed)
    assert not (out / STATE).exists() and not (out / "unfinished").exists()


def test_what_was_read_whole_is_not_read_again(world: Path, undisturbed: Any, tmp_path: Path) -> None:
    """The second run finds every source empty, and gives the plan all the same."""
    out = tmp_path / "snapshot"
    real = SnapshotWriter.write

    def full(self: SnapshotWriter, name: str, table: Any) -> None:
        if name == "claims":
            raise DiedError
        real(self, name, table)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SnapshotWriter, "write", full)
        with pytest.raises(DiedError):
            take(world, out)
    parts = json.loads((out / STATE).read_text())["parts"]
    assert {"payments", "claims:request_network", "claims:shkeeper", "chain:56"} <= parts.keys()
    settings = load_settings(world / "recon.toml")
    with open_sources(settings) as sources:
        sources.store.scan = lambda selection: iter(())  # type: ignore[method-assign]
        for source in sources.claims:
            source.read_window = None  # type: ignore[assignment, method-assign]
        later = settings.now() + timedelta(hours=5)
        taken = take_snapshot(
            sources,
            selection=settings.selection(),
            policy=settings.policy(),
            registry=settings.registry(),
            now=later,
            out=out,
        )
    assert taken.taken_at_ms == round(settings.now().timestamp() * 1000)
    again = plan_of(world, out)
    assert (again.changes, again.summary["verdicts"]) == (undisturbed.changes, undisturbed.summary["verdicts"])


def begun(world: Path, out: Path) -> None:
    with pytest.raises(DiedError), dying(6, crash):
        take(world, out)
    assert unfinished_now(out) == load_settings(world / "recon.toml").now()


def test_a_reading_of_something_else_is_not_continued(world: Path, tmp_path: Path) -> None:
    out = tmp_path / "snapshot"
    begun(world, out)
    settings = load_settings(world / "recon.toml")
    other = replace(settings.policy(), confirmations_min_default=99)
    with pytest.raises(OtherRunError, match="begun with another window"):
        take(world, out, selection=Selection(open_only=True))
    with pytest.raises(OtherRunError, match="begun with another configuration"):
        take(world, out, policy=other)
    write_world(generate_world(payments=20, seed=9), tmp_path / "elsewhere")
    with pytest.raises(OtherRunError, match="begun with another target"):
        take(tmp_path / "elsewhere", out)
    take(world, out)
    with pytest.raises(SnapshotExistsError):
        take(world, out)


def test_the_command_goes_on_as_of_its_first_beginning_and_refuses_other_options(world: Path, tmp_path: Path) -> None:
    config, out = str(world / "recon.toml"), tmp_path / "snapshot"
    begun(world, out)

    def run(*arguments: str) -> Any:
        return CliRunner().invoke(cli, list(arguments), prog_name="recon")

    refused = run("snapshot", "--config", config, "--resume", str(out), "--open-only")
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "begun with another window" in refused.stderr
    both = run("snapshot", "--config", config, "--resume", str(out), "--out", str(out))
    assert both.exit_code == 2
    gone_on = run("plan", "--config", config, "--resume", str(out), "--format", "json")
    assert gone_on.exit_code == 1, gone_on.output
    assert json.loads(gone_on.stdout)["snapshot"] == open_snapshot(out).digest
    finished = run("plan", "--config", config, "--resume", str(out))
    assert finished.exit_code == 2
    assert f'recon plan --snapshot "{out}"' in finished.stderr.replace("\n", " ")


def reading() -> Reading:
    return Reading(
        tables={"claims": table_of("claims", [{"provider": "p", "claim_id": "1"}])},
        coverage=(Coverage("p", "bulk", complete=True, calls=3),),
        gaps=(Gap("p", "bulk", 1, 2, "why"),),
    )


def test_a_part_whose_file_was_changed_or_lost_counts_as_never_read(tmp_path: Path) -> None:
    now = datetime(2026, 11, 20, tzinfo=UTC)
    kept = Unfinished(tmp_path / "s", identity={"window": 1}, now=now)
    kept.keep("claims:p", reading())
    again = Unfinished(tmp_path / "s", identity={"window": 1}, now=now + timedelta(days=1))
    found = again.part("claims:p")
    assert found is not None and again.now == now
    assert (found.tables["claims"].to_pylist(), found.coverage, found.gaps) == (
        reading().tables["claims"].to_pylist(), reading().coverage, reading().gaps,
    )  # fmt: skip
    assert again.part("claims:q") is None
    file = next((tmp_path / "s" / "unfinished").iterdir())
    file.write_bytes(file.read_bytes()[:-1])
    assert again.part("claims:p") is None
    file.unlink()
    assert again.part("claims:p") is None


def test_half_a_state_of_a_killed_run_neither_blocks_the_next_one_nor_stays(tmp_path: Path) -> None:
    now = datetime(2026, 11, 20, tzinfo=UTC)
    for name in (f".recon-new-{STATE}-0123abcd", ".recon-new-manifest.json-0123abcd", f"{STATE}.part"):
        (tmp_path / "s").mkdir(exist_ok=True)
        (tmp_path / "s" / name).write_text("{")
    kept = Unfinished(tmp_path / "s", identity={"window": 1}, now=now)
    kept.keep("claims:p", reading())
    assert Unfinished(tmp_path / "s", identity={"window": 1}, now=now).part("claims:p") is not None
    kept.clear()
    assert [path.name for path in (tmp_path / "s").iterdir()] == [f"{STATE}.part"]
    (tmp_path / "s" / f"{STATE}.part").rename(tmp_path / "s" / "something.else")
    with pytest.raises(SnapshotExistsError):
        Unfinished(tmp_path / "s", identity={"window": 1}, now=now)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format":2}', '{"format":1,"identity":{},"now_ms":1e99,"parts":{}}'])
def test_a_state_nobody_can_read_is_no_beginning_and_is_not_written_over(tmp_path: Path, text: str) -> None:
    (tmp_path / STATE).write_text(text, encoding="utf-8")
    assert unfinished_now(tmp_path) is None
    with pytest.raises(SnapshotExistsError):
        Unfinished(tmp_path, identity={}, now=datetime(2026, 1, 1, tzinfo=UTC))


def test_what_readings_depend_on_has_one_name_in_every_process() -> None:
    code = (
        "from recon.snapshots.unfinished import reading_basis; from recon.core.model import Policy; "
        "from recon.core.registry import load_registry; from recon.sources.payments.fields import FieldPaths; "
        "print(reading_basis(policy=Policy(), registry=load_registry(), fields=FieldPaths()))"
    )
    seeds = [{**os.environ, "PYTHONHASHSEED": str(seed)} for seed in (1, 2)]
    said = {
        subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, check=True).stdout for env in seeds
    }
    own = reading_basis(policy=Policy(), registry=load_registry(), fields=FieldPaths())
    assert said == {f"{own}\n".encode()}
    assert reading_basis(policy=Policy(changes_max=1), registry=load_registry(), fields=FieldPaths()) != own
