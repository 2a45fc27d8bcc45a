"""The database server's clock is the judge, and a client whose clock is off is refused by name."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from recon.core.errors import SourceError
from recon.runs.clock import ClientClockError, ServerClock
from recon.simulation import plant_world
from tests.support import servers
from tests.support.house import ROOT
from tests.support.living import moved, serving, write_live_config

DATABASE = "marketplace"
NOON = dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC)
DAY = 86_400


@dataclass
class Hands:
    """A server and a client whose clocks a test turns."""

    passed_s: float = 0.0
    server: dt.datetime = NOON
    is_away: bool = False
    asked: int = 0

    def monotonic(self) -> float:
        return self.passed_s

    def ask(self) -> dt.datetime:
        self.asked += 1
        if self.is_away:
            raise SourceError("away")
        return self.server + dt.timedelta(seconds=self.passed_s)

    def clock(self, off_s: float) -> ServerClock:
        here = self.server + dt.timedelta(seconds=off_s)
        return ServerClock(self.ask, local=lambda: here, monotonic=self.monotonic)


@pytest.mark.parametrize("off_s", [30.1, -30.1, 9 * DAY, -9 * DAY])
def test_a_client_that_is_off_is_refused(off_s: float) -> None:
    with pytest.raises(ClientClockError, match=f"it is {abs(off_s):.0f} s {'ahead' if off_s > 0 else 'behind'}"):
        Hands().clock(off_s)


@pytest.mark.parametrize("off_s", [0, 29, -29])
def test_what_counts_is_the_servers_time(off_s: float) -> None:
    hands = Hands()
    clock = hands.clock(off_s)
    assert clock() == NOON
    hands.passed_s = 3
    assert (clock(), hands.asked) == (NOON + dt.timedelta(seconds=3), 1)
    hands.passed_s, hands.server = 6, NOON + dt.timedelta(seconds=1)
    assert (clock(), hands.asked) == (NOON + dt.timedelta(seconds=7), 2)
    hands.passed_s, hands.is_away = 60, True
    assert clock() == NOON + dt.timedelta(seconds=61), "a server that is away stops no clock"


def test_an_answer_that_was_long_under_way_refuses_nobody_for_it() -> None:
    hands = Hands()

    def slow() -> dt.datetime:
        hands.passed_s += 20
        return NOON + dt.timedelta(seconds=20)

    ServerClock(slow, local=lambda: NOON - dt.timedelta(seconds=29), monotonic=hands.monotonic)
    with pytest.raises(ClientClockError):
        ServerClock(slow, local=lambda: NOON - dt.timedelta(seconds=31), monotonic=hands.monotonic)


@dataclass(frozen=True)
class Place:
    """A marketplace on a real server, and commands in processes of their own with a clock of their own."""

    folder: Path
    environment: dict[str, str]
    client: Any

    def run(self, *arguments: object, shift_s: float = 0) -> subprocess.CompletedProcess[str]:
        paths = [str(ROOT / "tests/support/shifted")] if shift_s else []
        environment = {
            **os.environ, **self.environment, "SHIFT_S": str(shift_s),
            "PYTHONPATH": os.pathsep.join([*paths, str(ROOT)]),
        }  # fmt: skip
        command = [sys.executable, "-m", "recon", *map(str, arguments), "--config", str(self.folder / "recon.toml")]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)

    def rows(self) -> list[Any]:
        return list(self.client[DATABASE]["payments"].find().sort("_id", 1))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    server = servers.start_mongod()
    try:
        world = moved(plant_world(*["webhook_lost"] * 3, *["equal_amounts"] * 20, seed=2), dt.datetime.now(tz=dt.UTC))
        folder = tmp_path_factory.mktemp("clock")
        environment = {
            "RECON_MONGO_URI": server.uri, "RECON_REQUEST_NETWORK_API_KEY": "k", "RECON_SHKEEPER_API_KEY": "k",
            "RECON_OPERATOR": "ann",
        }  # fmt: skip
        with server.client() as client, serving(world) as addresses:
            client[DATABASE]["payments"].insert_many([dict(document) for document in world.recorded.payments])
            write_live_config(folder, world, addresses, database=DATABASE)
            yield Place(folder, environment, client)
    finally:
        server.stop()


def test_a_shifted_child_believes_its_own_clock() -> None:
    code = "import time, datetime; print(time.time(), datetime.datetime.now(datetime.UTC).timestamp())"
    environment = {**os.environ, "SHIFT_S": str(-9 * DAY), "PYTHONPATH": str(ROOT / "tests/support/shifted")}
    said = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    real = dt.datetime.now(dt.UTC).timestamp()
    assert all(abs(real - 9 * DAY - float(each)) < 60 for each in said.stdout.split())


def test_a_shifted_client_writes_nothing_and_a_right_one_writes_the_servers_time(place: Place) -> None:
    plan, before = place.folder / "plan.json", place.rows()
    assert place.run("plan", "--out", plan).returncode == 1
    digest = json.loads(plan.read_text())["digest"]
    for shift_s, word in ((-9 * DAY, "behind"), (9 * DAY, "ahead"), (-45, "behind"), (45, "ahead")):
        done = place.run("apply", plan, "--digest", digest, shift_s=shift_s)
        assert done.returncode == 3, done.stderr
        assert f"s {word}, and [limits] clock_off_max_s allows 30 s; nothing was written" in done.stderr
        assert len(done.stderr.splitlines()) == 1
    assert place.rows() == before
    began = dt.datetime.now(dt.UTC)
    done = place.run("apply", plan, "--digest", digest, "--format", "json", shift_s=-20)
    assert done.returncode == 0, done.stderr
    written = [row["updatedAt"] for row in place.rows() if "recon" in (row.get("metadata") or {})]
    assert len(written) == 3
    assert all((began - at.replace(tzinfo=dt.UTC)).total_seconds() < 2 for at in written), "not 20 s back"
    run = json.loads(done.stdout)["facts"]["run"]
    assert place.run("undo", run, shift_s=-9 * DAY).returncode == 3
    undo = place.folder / "undo.json"
    assert place.run("undo", run, "--out", undo, shift_s=20).returncode == 0
    made = dt.datetime.fromisoformat(json.loads(undo.read_text())["created_at"])
    assert (made - dt.datetime.now(dt.UTC)).total_seconds() < 2, "not 20 s ahead"


def test_a_plan_from_a_clock_that_is_behind_is_old_by_the_servers_clock(place: Place) -> None:
    plan = place.folder / "old.json"
    since = f"{dt.datetime.now(dt.UTC) - dt.timedelta(days=8):%Y-%m-%d}"
    made = place.run("plan", "--out", plan, "--from", since, shift_s=-6 * 3600)
    assert made.returncode in (0, 1), made.stderr
    done = place.run("apply", plan, "--digest", json.loads(plan.read_text())["digest"])
    assert done.returncode == 3
    assert "the limit on plan age is" in done.stderr
    ahead = place.folder / "ahead.json"
    assert place.run("plan", "--out", ahead, "--from", since, shift_s=6 * 3600).returncode in (0, 1, 4)
    done = place.run("apply", ahead, "--digest", json.loads(ahead.read_text())["digest"])
    assert done.returncode == 3
    assert "a clock is wrong" in done.stderr


def test_how_far_off_a_client_may_be_is_a_setting(place: Place) -> None:
    plan = place.folder / "wide.json"
    assert place.run("plan", "--out", plan).returncode in (0, 1)
    wide = Place(place.folder, {**place.environment, "RECON_LIMITS__CLOCK_OFF_MAX_S": "120"}, place.client)
    done = wide.run("apply", plan, "--digest", json.loads(plan.read_text())["digest"], shift_s=60)
    assert "clock_off_max_s" not in done.stderr
