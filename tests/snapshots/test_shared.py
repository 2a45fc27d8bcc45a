"""A snapshot on an fsspec address: cut by chain and day, sealed by the same digest, judged to the same bytes."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import fsspec
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from recon.cli import cli
from recon.plans.file import plan_bytes
from recon.plans.make import make_plan
from recon.setup.open_sources import open_sources
from recon.setup.settings import load_settings
from recon.simulation import generate_world, write_world
from recon.snapshots.address import CUT_BY, AddressError, AddressTakenError, Export, FsspecMissingError, opened
from recon.snapshots.sealed import Snapshot, SnapshotError, open_snapshot
from recon.snapshots.take import take_snapshot

ADDRESS = "memory://finance/recon/today"


def taken(folder: Path, address: str) -> Snapshot:
    settings = load_settings(folder / "world" / "recon.toml")
    with open_sources(settings) as sources:
        return take_snapshot(
            sources,
            selection=settings.selection(),
            policy=settings.policy(),
            registry=settings.registry(),
            now=settings.now(),
            out=folder / "snapshot",
            export=Export(address),
        )


def plan_from(folder: Path, place: Path | str, *, engine: str) -> bytes:
    settings = load_settings(folder / "world" / "recon.toml")
    with opened(place, engine=engine) as snapshot:
        return plan_bytes(make_plan(snapshot, policy=settings.policy(), registry=settings.registry(), engine=engine))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A world, its snapshot in a directory, and the same at :data:`ADDRESS` and in ``shared``."""
    folder = tmp_path_factory.mktemp("shared")
    write_world(generate_world(payments=250, seed=5), folder / "world")
    taken(folder, ADDRESS)
    memory = fsspec.filesystem("memory")
    memory.get(ADDRESS, str(folder / "shared"), recursive=True)
    yield folder
    memory.rm(ADDRESS, recursive=True)


@pytest.fixture(scope="module")
def expected(folder: Path) -> bytes:
    """The plan of the snapshot in the directory."""
    return plan_from(folder, folder / "snapshot", engine="polars")


@pytest.mark.parametrize("engine", ["duckdb", "polars", "pandas"])
def test_a_shared_snapshot_gives_the_same_plan_byte_for_byte(folder: Path, expected: bytes, engine: str) -> None:
    assert len(expected) > 50_000
    assert plan_from(folder, ADDRESS, engine=engine) == expected


def test_a_copy_that_was_made_by_hand_is_a_snapshot_as_well(folder: Path, expected: bytes) -> None:
    assert plan_from(folder, folder / "shared", engine="polars") == expected


def test_large_tables_are_cut_by_chain_and_day_and_lose_no_row(folder: Path) -> None:
    snapshot = open_snapshot(folder / "shared")
    assert set(snapshot.manifest["parts"]) == set(CUT_BY)
    for name, parts in snapshot.manifest["parts"].items():
        whole = pq.read_table(folder / "snapshot" / f"{name}.parquet")
        order = [(column, "ascending") for column in whole.column_names]
        assert snapshot.read(name).sort_by(order).equals(whole.sort_by(order))
        assert not (folder / "shared" / f"{name}.parquet").exists()
        for part in parts:
            rows = pq.ParquetFile(folder / "shared" / part["path"]).read()
            assert rows.num_rows == part["rows"] > 0
            chain, *day = part["path"].split("/")[1:-1]
            assert {f"chain_id={value}" for value in rows["chain_id"].to_pylist()} == {chain.replace("unknown", "None")}
            date = CUT_BY[name]
            if date is not None:
                assert {day_of(value) for value in rows[date].to_pylist()} == set(day)


def day_of(value: int | None) -> str:
    return "day=unknown" if value is None else f"day={datetime.fromtimestamp(value / 1000, UTC):%Y-%m-%d}"


@pytest.mark.parametrize("name", ["manifest.json", "coverage.parquet", "again/payments.parquet", "a part"])
@pytest.mark.parametrize("engine", ["duckdb", "spark"])
def test_a_changed_byte_at_the_address_is_refused(folder: Path, name: str, engine: str) -> None:
    memory = fsspec.filesystem("memory")
    parts = open_snapshot(folder / "shared").manifest["parts"]["transfers"]
    path = f"{ADDRESS}/{parts[-1]['path'] if name == 'a part' else name}"
    sound = memory.cat_file(path)
    middle = len(sound) // 2
    memory.pipe_file(path, sound[:middle] + bytes([sound[middle] ^ 1]) + sound[middle + 1 :])
    try:
        with pytest.raises(SnapshotError, match="nothing was judged"), opened(ADDRESS, engine=engine):
            pytest.fail("it was opened")
    finally:
        memory.pipe_file(path, sound)


def test_a_missing_part_is_refused_and_an_extra_one_is_not_read(folder: Path, expected: bytes, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folder / "shared", copy)
    part = open_snapshot(copy).manifest["parts"]["payments"][0]["path"]
    extra = copy / "payments" / "chain_id=1" / "day=1999-01-01" / "rows.parquet"
    extra.parent.mkdir(parents=True)
    shutil.copy(copy / part, extra)
    assert plan_from(folder, copy.as_uri(), engine="duckdb") == expected
    assert plan_from(folder, copy, engine="polars") == expected
    (copy / part).unlink()
    with pytest.raises(SnapshotError, match="missing or unreadable"):
        open_snapshot(copy)
    with pytest.raises(AddressError, match="FileNotFoundError"), opened(copy.as_uri(), engine="duckdb"):
        pytest.fail("it was opened")


@pytest.mark.parametrize("path", ["../../etc/passwd", "/etc/passwd", "payments/../x/rows.parquet", "payments/rows.txt"])
def test_a_manifest_that_names_other_files_is_refused(folder: Path, path: str) -> None:
    from recon.core.canonical import canonical_json, sha256_hex
    from recon.snapshots.sealed import read_manifest

    manifest = dict(open_snapshot(folder / "shared").manifest)
    sealed = {**manifest, "parts": {"payments": [{"path": path, "rows": 1, "sha256": "0" * 64}]}}
    text = canonical_json({**sealed, "digest": sha256_hex(canonical_json(sealed))})
    with pytest.raises(SnapshotError, match="names is missing"):
        read_manifest(text, path=Path("elsewhere"))


def test_an_address_that_holds_a_snapshot_is_not_written_over(folder: Path) -> None:
    with pytest.raises(AddressTakenError, match="never written over"):
        Export(ADDRESS)


def test_an_address_that_breaks_off_leaves_no_snapshot_and_goes_on(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(folder / "world", tmp_path / "world")
    address = (tmp_path / "there").as_uri()
    put, written = Export._put, []

    def cut(self: Export, file: Path, name: str) -> None:
        written.append(name)
        if len(written) > 7:
            raise AddressError(address=address, why="ConnectionError")
        put(self, file, name)

    monkeypatch.setattr(Export, "_put", cut)
    with pytest.raises(AddressError, match="ConnectionError"):
        taken(tmp_path, address)
    assert (tmp_path / "there" / "payments").exists()
    assert not (tmp_path / "there" / "manifest.json").exists()
    assert not (tmp_path / "snapshot" / "manifest.json").exists()
    monkeypatch.setattr(Export, "_put", put)
    sealed = taken(tmp_path, address)
    assert plan_from(tmp_path, address, engine="polars") == plan_from(tmp_path, sealed.path, engine="polars")


def test_what_an_address_says_is_one_sentence_without_its_secret() -> None:
    with pytest.raises(AddressError) as told:
        Export("nowhere://key:s3cr3t@bucket/path")
    assert "nowhere://bucket/path" in str(told.value)
    assert "s3cr3t" not in str(told.value)


def test_fsspec_that_is_not_installed_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(FsspecMissingError, match=r"recon-toolkit\[shared\]"):
        Export(ADDRESS)


def test_the_commands_write_to_an_address_and_judge_from_it(folder: Path, tmp_path: Path) -> None:
    config, address = str(folder / "world" / "recon.toml"), (tmp_path / "there").as_uri()
    run = CliRunner()
    made = run.invoke(
        cli, ["snapshot", "--config", config, "--out", str(tmp_path / "here"), "--export", address], prog_name="recon"
    )
    assert made.exit_code in (0, 4), made.output
    plans = []
    for number, place in enumerate((address, str(tmp_path / "here"))):
        arguments = ["plan", "--config", config, "--snapshot", place, "--out", str(tmp_path / f"plan-{number}.json")]
        judged = run.invoke(cli, [*arguments, "--format", "json"], prog_name="recon")
        assert judged.exit_code == made.exit_code or judged.exit_code == 1, judged.output
        plans.append(judged.stdout)
    assert plans[0] == plans[1]
