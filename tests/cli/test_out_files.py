"""Files that commands leave: never over another, never through a link, and for their owner's eyes only."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from recon.cli import cli
from recon.cli.lazy import STOPPED, leave
from recon.files import FILE_MODE, NO_ROOM, use_file_mode
from recon.simulation import plant_world, write_world

WRITING = [
    ("plan", "--out"),
    ("case", "665f1c2e9b1d8a0012345678", "--out"),
    ("triage", "deliveries", "--out"),
    ("undo", "20261120T120000Z-3f9c", "--out"),
    ("backfill", "shkeeper", "--out"),
    ("flags", "rollback", "--recipe", "merged", "--out"),
    ("flags", "enable", "request_network", "--out"),
    ("flags", "undo", "flags-20261120", "--out"),
    ("select", "plan.json", "--out"),
    ("report", "page", "plan.json", "--html"),
    ("init", "--out"),
]


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli, [str(each) for each in arguments], prog_name="recon")


@pytest.fixture(autouse=True)
def usual_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.mark.parametrize("command", WRITING, ids=" ".join)
def test_a_file_that_is_there_is_refused_before_anything_is_read(command: tuple[str, ...], tmp_path: Path) -> None:
    taken, link, victim = tmp_path / "taken.json", tmp_path / "link.json", tmp_path / "victim"
    taken.write_bytes(b"reviewed and approved")
    link.symlink_to(victim)
    for place in (taken, link):
        result = run(*command, place)
        assert result.exit_code == 3, result.output
        assert f"{place} is there already and was left as it is" in result.stderr
        assert result.stdout == ""
    assert taken.read_bytes() == b"reviewed and approved"
    assert link.is_symlink()
    assert not victim.exists()


def test_what_a_plan_leaves_is_its_owners_alone_and_no_planted_link_is_followed(tmp_path: Path) -> None:
    write_world(plant_world("webhook_lost", seed=4), tmp_path / "world")
    victim, out = tmp_path / "victim", tmp_path / "plans" / "plan.json"
    victim.write_bytes(b"precious")
    out.parent.mkdir()
    out.with_name("plan.json.part").symlink_to(victim)
    before = set(tmp_path.rglob("*"))
    config = tmp_path / "world" / "recon.toml"
    assert run("plan", "--config", config, "--engine", "polars", "--out", out).exit_code == 1
    assert victim.read_bytes() == b"precious"
    made = sorted(set(tmp_path.rglob("*")) - before)
    assert {"plan.json", "manifest.json", "payments.parquet", "history.ndjson"} <= {path.name for path in made}
    for path in made:
        rights = stat.S_IMODE(path.stat().st_mode)
        expected = 0o700 if path.is_dir() else 0o444 if path.name.startswith("author-") else 0o600
        assert rights == expected, f"{path.relative_to(tmp_path)}: {rights:04o}"
    assert run("plan", "--config", config, "--engine", "polars", "--out", out).exit_code == 3


def test_a_group_reads_what_the_configuration_lets_it_read(tmp_path: Path) -> None:
    write_world(plant_world("webhook_lost", seed=4), tmp_path / "world")
    config, out = tmp_path / "world" / "recon.toml", tmp_path / "plans" / "plan.json"
    given = config.read_text()
    try:
        config.write_text(given + '\n[output]\nmode = "0640"\n')
        assert run("plan", "--config", config, "--engine", "polars", "--out", out).exit_code == 1
        assert [stat.S_IMODE(path.stat().st_mode) for path in (out.parent, out)] == [0o750, 0o640]
        config.write_text(given + '\n[output]\nmode = "0777"\n')
        refused = run("plan", "--config", config, "--out", tmp_path / "other.json")
        assert (refused.exit_code, '"output.mode" cannot be used' in refused.stderr) == (2, True)
    finally:
        use_file_mode(FILE_MODE)


def test_the_list_of_what_to_replay_is_written_privately_and_once(tmp_path: Path) -> None:
    (tmp_path / "kept.ndjson").write_text("")
    out = tmp_path / "lists" / "replay.ndjson"
    run("triage", "deliveries", tmp_path / "kept.ndjson", "--out", out)
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert stat.S_IMODE(out.parent.stat().st_mode) == 0o700
    assert run("triage", "deliveries", tmp_path / "kept.ndjson", "--out", out).exit_code == 3


@pytest.mark.parametrize("code", sorted(NO_ROOM))
def test_a_full_disk_is_no_mistake_of_the_caller(code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert leave(OSError(code, os.strerror(code))) == STOPPED
    assert os.strerror(code) in capsys.readouterr().err
    assert leave(OSError(errno.EIO, "")) != STOPPED


def test_a_full_disk_leaves_no_part_of_a_plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_world(plant_world("webhook_lost", seed=4), tmp_path / "world")
    config, out = tmp_path / "world" / "recon.toml", tmp_path / "plans" / "plan.json"
    taken = tmp_path / "taken"
    assert run("snapshot", "--config", config, "--out", taken).exit_code == 0

    def full(handle: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "full")

    with monkeypatch.context() as patch:
        patch.setattr("recon.files.os.write", full)
        result = run("plan", "--config", config, "--snapshot", taken, "--engine", "polars", "--out", out)
    assert result.exit_code == STOPPED
    assert "plan.json: it could not be written (No space left on device)" in result.stderr
    assert list(out.parent.iterdir()) == []


@pytest.mark.parametrize("place", ["taken/plan.json", "/proc/nowhere/plan.json"])
def test_a_plan_that_could_not_be_kept_is_refused_before_anything_is_read(place: str, tmp_path: Path) -> None:
    write_world(plant_world("webhook_lost", seed=4), tmp_path / "world")
    (tmp_path / "taken").write_bytes(b"a file")
    config = tmp_path / "world" / "recon.toml"
    ran = run("plan", "--config", config, "--out", tmp_path / place)
    assert ran.exit_code == 2
    assert ran.stderr.startswith("recon: ")
    assert "Name another place" in ran.stderr
    assert "mistake in recon" not in ran.stderr
    assert not (tmp_path / "world" / "recon-out").exists(), "no snapshot was begun"
