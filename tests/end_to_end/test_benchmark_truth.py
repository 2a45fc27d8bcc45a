"""The public benchmark on a small world: what is written, that it says nothing it should not, and how answers score."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "scripts"
COLUMNS = ["payment_id", "verdict", "matched_transfer", "would_write"]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    paths = {"PYTHONPATH": f"{SCRIPTS}:{ROOT}"}
    command = [sys.executable, "-m", "truth_bench", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | paths)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("benchmark") / "data"
    done = run("write", str(out), "--payments", "400", "--seed", "3")
    assert done.returncode == 0, done.stderr
    return out


def answers(path: Path, listed: list[dict[str, str]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(listed)
    return path


def right(world: Path) -> list[dict[str, str]]:
    return [
        {
            "payment_id": row["payment_id"],
            "verdict": row["verdicts"].split("|")[0],
            "matched_transfer": row["matched_transfers"].split("|")[0],
            "would_write": row["would_write"],
        }
        for row in rows(world / "truth.csv")
    ]


def total(world: Path, given: Path) -> dict[str, str]:
    done = run("score", str(world), str(given), "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, str] = json.loads(done.stdout)["total"]
    return found


def test_csv_and_parquet_hold_the_same(world: Path) -> None:
    for name in ("payments", "provider_objects", "transfers", "truth"):
        assert pq.read_table(world / f"{name}.parquet").to_pylist() == rows(world / f"{name}.csv")
    payments = {row["payment_id"] for row in rows(world / "payments.csv")}
    truth = {row["payment_id"] for row in rows(world / "truth.csv")}
    assert len(payments) >= 400 and payments <= truth


def test_the_inputs_hold_no_truth(world: Path) -> None:
    planted = {row["planted"] for row in rows(world / "truth.csv")}
    for name in ("payments.csv", "provider_objects.csv", "transfers.csv"):
        head, *_ = (world / name).read_text(encoding="utf-8").splitlines()
        assert not {"verdict", "planted", "meant_for", "purpose"} & set(head.split(","))
    assert len(planted) > 50 and not (world / "world" / "truth.ndjson").exists()


def test_the_same_seed_gives_the_same_bytes(world: Path, tmp_path: Path) -> None:
    assert run("write", str(tmp_path / "again"), "--payments", "400", "--seed", "3").returncode == 0
    for path in sorted(world.glob("*.csv")):
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()


def test_a_folder_that_is_there_is_left_alone(world: Path) -> None:
    done = run("write", str(world))
    assert done.returncode == 2 and "already" in done.stderr


def test_right_answers_score_one(world: Path, tmp_path: Path) -> None:
    found = total(world, answers(tmp_path / "right.csv", right(world)))
    assert found["verdict_precision"] == found["verdict_recall"] == "1.0000"
    assert found["match_precision"] == found["match_recall"] == "1.0000"
    assert (found["wrong_writes"], found["missed_writes"]) == (0, 0)


def test_wrong_writes_matches_and_silence_are_told_apart(world: Path, tmp_path: Path) -> None:
    listed = right(world)
    written = [row for row in listed if row["would_write"]]
    quiet = next(row for row in listed if not row["would_write"] and row["matched_transfer"])
    written[0]["would_write"] = "status=refunded"
    written[1]["would_write"] = ""
    written[2]["would_write"] = written[2]["would_write"].split(";")[0]
    quiet["would_write"], quiet["matched_transfer"] = "status=completed", "chain:1:0x00:0"
    listed.remove(written[3])
    found = total(world, answers(tmp_path / "some.csv", listed))
    assert (found["wrong_writes"], found["missed_writes"]) == (2, 2)
    assert float(found["match_precision"]) < 1 and float(found["verdict_recall"]) < 1
    assert float(found["unproven_share"]) > 0


def test_benign_stands_for_any_benign_verdict_and_for_no_other(world: Path, tmp_path: Path) -> None:
    calm = {"test_payment", "out_of_scope", "partly_refunded", "in_sync", "in_transit", "abandoned"}
    listed = right(world)
    for row in listed:
        if row["verdict"] in calm:
            row["verdict"] = "benign"
    assert total(world, answers(tmp_path / "calm.csv", listed))["verdict_recall"] == "1.0000"
    for row in listed:
        row["verdict"] = "benign"
    assert float(total(world, answers(tmp_path / "all.csv", listed))["verdict_recall"]) < 0.95


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("payment_id,verdict\na,in_sync\n", "no column matched_transfer"),
        ("payment_id,verdict,matched_transfer,would_write\na,,,\na,,,\n", "twice"),
    ],
)
def test_answers_that_cannot_be_read_are_refused(world: Path, tmp_path: Path, text: str, why: str) -> None:
    (tmp_path / "bad.csv").write_text(text, encoding="utf-8")
    done = run("score", str(world), str(tmp_path / "bad.csv"))
    assert done.returncode == 2 and why in done.stderr and not done.stdout


def test_recon_answers_from_the_same_world(world: Path, tmp_path: Path) -> None:
    out = tmp_path / "recon.csv"
    script = SCRIPTS / "truth_bench" / "peer_recon.py"
    done = subprocess.run(
        [sys.executable, str(script), str(world), str(out)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = total(world, out)
    assert found["verdict_recall"] == "1.0000" and found["wrong_writes"] == 0
