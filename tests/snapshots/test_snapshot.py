"""Reading everything once, the breaks twice, and sealing it: same bytes again, offline, in any order."""

from __future__ import annotations

import json
import random
import stat
from collections import Counter
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from recon.core.errors import SourceError
from recon.core.model import Policy, Verdict
from recon.plans.file import plan_bytes
from recon.plans.make import make_plan
from recon.setup.open_sources import open_sources
from recon.setup.settings import load_settings
from recon.simulation import World, generate_world, plant_world
from recon.snapshots import take
from recon.snapshots.needs import Needs
from recon.snapshots.sealed import SnapshotError, SnapshotExistsError, open_snapshot
from recon.sources.interface import Selection
from recon.verdicts.reach import FOREVER_MS
from tests.support.judging import snapshot_of, snapshot_of_directory


@pytest.fixture(scope="module")
def world() -> World:
    return generate_world(payments=250, seed=5)


@pytest.fixture(scope="module")
def folder(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("taken")
    snapshot_of(world, folder)
    return folder


def plan_of(directory: Path, snapshot: Path, *, engine: str = "polars") -> Any:
    settings = load_settings(directory / "recon.toml")
    return make_plan(open_snapshot(snapshot), policy=settings.policy(), registry=settings.registry(), engine=engine)


def test_a_snapshot_replays_offline_to_the_same_bytes(folder: Path) -> None:
    first = plan_bytes(plan_of(folder / "world", folder / "snapshot"))
    assert plan_bytes(plan_of(folder / "world", folder / "snapshot")) == first
    assert plan_bytes(plan_of(folder / "world", folder / "snapshot", engine="duckdb")) == first


def test_a_copied_snapshot_gives_the_same_plan(folder: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(folder / "snapshot", tmp_path / "moved")
    assert plan_of(folder / "world", tmp_path / "moved").digest == plan_of(folder / "world", folder / "snapshot").digest


def test_the_order_in_which_sources_answer_changes_no_verdict_and_no_change(folder: Path, tmp_path: Path) -> None:
    shuffled = tmp_path / "world"
    shuffled.mkdir()
    for path in (folder / "world").iterdir():
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".ndjson":
            lines = text.splitlines(keepends=True)
            random.Random(path.name).shuffle(lines)
            text = "".join(lines)
        (shuffled / path.name).write_text(text, encoding="utf-8")
    snapshot_of_directory(shuffled, tmp_path / "snapshot")
    one, two = plan_of(folder / "world", folder / "snapshot"), plan_of(shuffled, tmp_path / "snapshot")
    assert (two.findings, two.changes, two.left_alone) == (one.findings, one.changes, one.left_alone)
    assert two.effects_digest == one.effects_digest


@pytest.mark.parametrize("name", ["payments", "again/transfers", "documents", "coverage"])
def test_a_changed_byte_is_refused_and_the_file_named(folder: Path, tmp_path: Path, name: str) -> None:
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(folder / "snapshot", copy)
    path = copy / f"{name}.parquet"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(SnapshotError, match=f"{name}.parquet was changed after the snapshot was sealed"):
        open_snapshot(copy)


def test_a_changed_manifest_and_a_missing_file_are_refused(folder: Path, tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(folder / "snapshot", copy)
    (copy / "claims.parquet").unlink()
    with pytest.raises(SnapshotError, match="missing or unreadable"):
        open_snapshot(copy)
    manifest = copy / "manifest.json"
    manifest.write_text(manifest.read_text() + " ")
    with pytest.raises(SnapshotError, match="manifest was changed"):
        open_snapshot(copy)
    manifest.write_text("{")
    with pytest.raises(SnapshotError, match="no readable manifest"):
        open_snapshot(copy)


def test_a_snapshot_is_never_written_over(folder: Path) -> None:
    with pytest.raises(SnapshotExistsError, match="never written over"):
        snapshot_of_directory(folder / "world", folder / "snapshot")


def test_every_table_lasts_before_the_manifest_says_that_they_are_whole(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from recon.files import sync_file

    synced: list[str] = []

    def noted(path: Path) -> None:
        assert not (tmp_path / "again" / "manifest.json").exists()
        synced.append(path.relative_to(tmp_path / "again").with_suffix("").as_posix())
        sync_file(path)

    monkeypatch.setattr("recon.snapshots.sealed.sync_file", noted)
    taken = snapshot_of_directory(folder / "world", tmp_path / "again")
    assert synced == sorted(taken.manifest["tables"])
    rights = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "again").rglob("*.*")}
    assert rights == {0o600}


def test_a_run_that_ends_before_the_seal_leaves_no_snapshot(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "payments.parquet").write_bytes(b"")
    with pytest.raises(SnapshotError, match="no readable manifest"):
        open_snapshot(tmp_path / "half")


def test_breaks_are_read_a_second_time_before_they_are_reported(folder: Path, tmp_path: Path) -> None:
    """A row that the backend completes between the two readings is not reported as behind."""
    settings = load_settings(folder / "world" / "recon.toml")
    truth = [json.loads(line) for line in (folder / "world" / "truth.ndjson").read_text().splitlines()]
    behind = next(row for row in truth if row["verdict"] == "local_behind" and row["sets"].get("status"))
    with open_sources(settings) as sources:
        store = sources.store
        fetch, healed = store.fetch, []

        def healing(payment_ids: Any) -> Any:
            from bson import json_util

            for stored in fetch(payment_ids):
                document = {**stored, "blockchain": dict(stored.get("blockchain") or {})}
                if str(stored["_id"]) == behind["payment_id"].strip('"'):
                    for path, value in behind["sets"].items():
                        parts = path.split(".")
                        target = document if len(parts) == 1 else document[parts[0]]
                        target[parts[-1]] = json_util.loads(json.dumps(value))
                    healed.append(stored["_id"])
                yield document

        store.fetch = healing  # type: ignore[method-assign]
        from recon.snapshots.take import take_snapshot

        taken = take_snapshot(
            sources,
            selection=settings.selection(),
            policy=settings.policy(),
            registry=settings.registry(),
            now=settings.now(),
            out=tmp_path / "snapshot",
        )
    assert healed
    plan = make_plan(taken, policy=settings.policy(), registry=settings.registry(), engine="polars")
    verdicts = {item.payment_id: item.verdict for item in plan.findings}
    assert verdicts.get(behind["payment_id"]) is not Verdict.LOCAL_BEHIND


def taken_with(folder: Path, out: Path, *, without_chain: int | None = None, **broken: Any) -> Any:
    """Take a snapshot of the module's world with some methods of its store broken, or without a chain."""
    from types import SimpleNamespace

    from recon.snapshots.take import take_snapshot

    settings = load_settings(folder / "world" / "recon.toml")
    with open_sources(settings) as sources:
        for name, method in broken.items():
            setattr(sources.store, name, method)
        return take_snapshot(
            SimpleNamespace(
                store=sources.store,
                fields=sources.fields,
                claims=sources.claims,
                chains=[chain for chain in sources.chains if chain.chain_id != without_chain],
                target_name=sources.target_name,
                provider_accounts=sources.provider_accounts,
                deliveries=sources.deliveries,
            ),
            selection=settings.selection(),
            policy=settings.policy(),
            registry=settings.registry(),
            now=settings.now(),
            out=out,
        )


def test_a_collection_that_cannot_be_searched_for_rivals_leaves_every_change_out(folder: Path, tmp_path: Path) -> None:
    def dead(field: str, values: Any) -> Any:
        raise SourceError("the search was cut off")

    taken_with(folder, tmp_path / "snapshot", find_claimants=dead)
    plan = plan_of(folder / "world", tmp_path / "snapshot")
    assert plan.changes == ()
    assert all(item.verdict is not Verdict.MISSING_LOCAL for item in plan.findings)
    assert any(row["problem"] == "the search was cut off" for row in plan.coverage)


def test_a_chain_without_an_endpoint_is_named_and_its_payments_are_unproven(folder: Path, tmp_path: Path) -> None:
    taken_with(folder, tmp_path / "snapshot", without_chain=56)
    plan, whole = plan_of(folder / "world", tmp_path / "snapshot"), plan_of(folder / "world", folder / "snapshot")
    said = [row for row in plan.coverage if row["source"] == "chain:56"]
    assert [row["problem"] for row in said] == ["no endpoint is configured for this chain"]
    assert plan.summary["by_chain"]["56"].get("unproven", 0) > 0
    proven = {Verdict.LOCAL_BEHIND, Verdict.IN_SYNC, Verdict.UNDERPAID, Verdict.ABANDONED, Verdict.PROVIDER_AHEAD}
    assert sorted(proven & set(plan.summary["by_chain"]["56"])) == []
    for chain in ("1", "137", "8453", "42161"):
        blind, seen = plan.summary["by_chain"].get(chain, {}), whole.summary["by_chain"].get(chain, {})
        less = Counter(seen) - Counter(blind)
        # An open payment without money may have been paid on the chain that nobody can ask.
        assert set(less) <= {Verdict.PROVIDER_AHEAD, Verdict.IN_TRANSIT, Verdict.ABANDONED}
        assert Counter(blind) - Counter(seen) == ({"unproven": less.total()} if less else {})


def test_a_snapshot_is_not_judged_under_other_tolerances(folder: Path) -> None:
    from dataclasses import replace

    from recon.plans.make import PolicyError

    settings = load_settings(folder / "world" / "recon.toml")
    policy = replace(settings.policy(), tolerance_ppm={"shkeeper": (1, 1)})
    with pytest.raises(PolicyError, match="Take a new snapshot"):
        make_plan(open_snapshot(folder / "snapshot"), policy=policy, registry=settings.registry())


def test_a_primary_that_cannot_be_read_again_leaves_every_change_out(folder: Path, tmp_path: Path) -> None:
    def dead(payment_ids: Any) -> Any:
        raise SourceError("the primary is away")

    taken_with(folder, tmp_path / "snapshot", fetch=dead)
    plan = plan_of(folder / "world", tmp_path / "snapshot")
    assert plan.changes == ()
    assert any("could not be read again" in item.reason for item in plan.left_alone)
    assert any(row["scope"] == "again" and row["problem"] == "the primary is away" for row in plan.coverage)


def test_a_window_selects_payments_and_not_evidence(world: World, folder: Path, tmp_path: Path) -> None:
    settings = load_settings(folder / "world" / "recon.toml")
    now = settings.now()
    window = Selection(from_at=now - timedelta(days=5), to_at=now - timedelta(days=2))
    snapshot_of_directory(folder / "world", tmp_path / "snapshot", selection=window)
    part, whole = plan_of(folder / "world", tmp_path / "snapshot"), plan_of(folder / "world", folder / "snapshot")
    assert 0 < part.summary["payments"] < whole.summary["payments"]
    everything = {item.payment_id: item.verdict for item in whole.findings}
    inside = {item.payment_id: item.verdict for item in part.findings}
    assert inside
    assert {name: everything.get(name) for name in inside} == inside


def test_what_the_whole_collection_knows_is_not_missing_in_a_narrow_window(
    world: World, folder: Path, tmp_path: Path
) -> None:
    now = load_settings(folder / "world" / "recon.toml").now()
    window = Selection(from_at=now - timedelta(days=1), to_at=now)
    snapshot_of_directory(folder / "world", tmp_path / "snapshot", selection=window)
    part, whole = plan_of(folder / "world", tmp_path / "snapshot"), plan_of(folder / "world", folder / "snapshot")

    def orphans(plan: Any) -> set[str]:
        return {item.payment_id for item in plan.findings if item.verdict is Verdict.MISSING_LOCAL}

    assert orphans(part) <= orphans(whole)


def test_a_selection_of_single_ids_raises_no_orphans(folder: Path, tmp_path: Path) -> None:
    truth = json.loads((folder / "world" / "truth.ndjson").read_text().splitlines()[0])
    snapshot_of_directory(folder / "world", tmp_path / "snapshot", selection=Selection(ids=(truth["payment_id"],)))
    plan = plan_of(folder / "world", tmp_path / "snapshot")
    assert plan.summary["payments"] == 1
    assert all(item.verdict is not Verdict.MISSING_LOCAL for item in plan.findings)


@pytest.mark.parametrize("seed", range(3))
def test_a_world_without_a_planted_difference_raises_none(seed: int, tmp_path: Path) -> None:
    snapshot_of(generate_world(payments=150, seed=seed, breaks="none"), tmp_path)
    plan = plan_of(tmp_path / "world", tmp_path / "snapshot")
    assert (plan.findings, plan.changes, plan.left_alone) == ((), (), ())
    assert plan.summary["health"] == {"ok": True, "reasons": []}


def test_a_trusted_word_hides_the_gap_of_its_own_rail_only() -> None:
    """Another rail's payments on the same chain still need an endpoint, and the run says so."""
    policy = Policy(provider_proves=("shkeeper:137",))
    nobody = SimpleNamespace(chains=())
    for rails, gaps in (({("shkeeper", 137)}, 0), ({("shkeeper", 137), ("request_network", 137)}, 2)):
        needs = Needs(0, recipients={}, hashes={}, rails=frozenset(rails))
        reading = take._unread(nobody, needs, policy=policy)  # type: ignore[arg-type]
        assert len(reading.gaps) == gaps
        assert all(gap.to_ms == FOREVER_MS for gap in reading.gaps)


def test_a_snapshot_in_which_nothing_left_a_wallet_opens_one_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Opening one takes longer than what is asked of it: what cannot hold a row is not asked."""
    import duckdb

    opened = []
    connect = duckdb.connect
    monkeypatch.setattr(duckdb, "connect", lambda *given, **named: opened.append(1) or connect(*given, **named))
    snapshot_of(plant_world("completed"), tmp_path)
    assert len(opened) == 1
