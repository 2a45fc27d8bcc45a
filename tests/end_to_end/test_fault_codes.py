"""What a run leaves with while a source is sick: 4 when it stays down, 3 when it is a wrong one, 1 or 0 when late."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from recon.cli import cli
from recon.simulation import World, generate_world, plant_world, write_world
from recon.sources.payments.mongo import MongoStore
from tests.support.living import moved, serving, write_live_config
from tests.support.schedules import Schedule, sickened
from tests.support.servers import Mongod

DOWN = [
    *(Schedule(source, "down") for source in ("request_network", "shkeeper", "chain:56")),
    Schedule("request_network", "login_page"),
    Schedule("chain:56", "dies"),
    Schedule("request_network", "page_gone", 1),
    Schedule("chain:8453", "mostly_failing", 5),
    Schedule("chain:56", "proxy_logs_gone"),
    Schedule("chain:56", "stuck"),
    *(Schedule("payments", kind) for kind in ("down", "cursor_dies", "count_fails")),
]
"""Sources that stay down, as a whole or in the part that is asked."""

PATIENT = [
    Schedule("request_network", "slow"),
    Schedule("shkeeper", "rows_twice"),
    Schedule("chain:56", "stale"),
    Schedule("chain:8453", "head_goes_back"),
    Schedule("payments", "secondary_behind"),
]
"""Sources that are slow, repeat themselves or lag by minutes: what they did not show yet is still to come."""


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The configuration of a world without any break."""
    folder = tmp_path_factory.mktemp("quiet")
    write_world(generate_world(payments=60, seed=73, breaks="none"), folder)
    return folder / "recon.toml"


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The configuration of a world with one break that every source shows."""
    folder = tmp_path_factory.mktemp("broken")
    write_world(plant_world("webhook_lost", seed=4), folder)
    return folder / "recon.toml"


def plan(config: Path, folder: Path, *schedules: Schedule) -> Result:
    arguments = ["plan", "--config", str(config), "--engine", "polars", "--out", str(folder / "plan.json")]
    (folder / "plan.json").unlink(missing_ok=True)
    with sickened(schedules):
        result = CliRunner().invoke(cli, [*arguments, "--format", "json"], prog_name="recon")
    assert "Traceback" not in result.output
    return result


def incomplete(result: Result) -> set[str]:
    rows: list[dict[str, Any]] = json.loads(result.stdout)["coverage"]
    return {row["source"] for row in rows if not row["complete"]}


def test_sound_sources_leave_with_0_or_1(quiet: Path, broken: Path, tmp_path: Path) -> None:
    assert plan(quiet, tmp_path).exit_code == 0
    assert plan(broken, tmp_path).exit_code == 1


@pytest.mark.parametrize("schedule", DOWN, ids=lambda schedule: schedule.name)
def test_a_source_that_stays_down_leaves_with_4_and_is_named(schedule: Schedule, quiet: Path, tmp_path: Path) -> None:
    result = plan(quiet, tmp_path, schedule)
    assert result.exit_code == 4, result.stderr
    assert schedule.source in incomplete(result)
    assert json.loads(result.stdout)["changes"] == []


@pytest.mark.parametrize("source", ["request_network", "chain:137"])
def test_a_source_that_is_down_outranks_the_breaks_that_others_show(source: str, broken: Path, tmp_path: Path) -> None:
    assert plan(broken, tmp_path, Schedule(source, "down")).exit_code == 4


@pytest.mark.parametrize("schedule", PATIENT, ids=lambda schedule: schedule.name)
def test_a_source_that_is_only_late_leaves_as_a_sound_one(
    schedule: Schedule, quiet: Path, broken: Path, tmp_path: Path
) -> None:
    calm, found = plan(quiet, tmp_path, schedule), plan(broken, tmp_path, schedule)
    assert (calm.exit_code, incomplete(calm)) == (0, set()), calm.stderr
    assert (found.exit_code, incomplete(found)) == (1, set()), found.stderr


def test_a_wrong_chain_leaves_with_3_and_no_plan(quiet: Path, tmp_path: Path) -> None:
    result = plan(quiet, tmp_path, Schedule("chain:56", "wrong_chain"))
    assert_refused(result, tmp_path, code=3, says="chain:56: .* nothing was read from it")


def assert_refused(result: Result, folder: Path, *, code: int, says: str) -> None:
    assert result.exit_code == code, result.output
    assert re.search(says, result.stderr), result.stderr
    assert result.stdout == ""
    assert not (folder / "plan.json").exists()


def test_the_account_of_a_test_environment_leaves_with_3_and_no_plan(tmp_path: Path) -> None:
    world = generate_world(payments=30, seed=73, breaks="none")
    lines = [
        {"payment": {**line["payment"], "sourceNetwork": "sepolia", "destinationNetwork": "sepolia"}}
        if "payment" in line
        else line
        for line in world.recorded.said["request_network"]
    ]
    said = {**world.recorded.said, "request_network": lines}
    write_world(replace(world, recorded=replace(world.recorded, said=said)), tmp_path / "world")
    result = plan(tmp_path / "world" / "recon.toml", tmp_path)
    assert_refused(result, tmp_path, code=3, says="request_network .*the key of a test environment")


# --------------------------------------------------------------------------------------------------- a real database


class Live:
    """A small world of now whose payments are in a real replica set and whose other sources are on loopback."""

    def __init__(self, server: Mongod, folder: Path, world: World) -> None:
        self.server, self.folder, self.world = server, folder, world

    def plan(self, name: str = "plan") -> Result:
        arguments = ["plan", "--config", str(self.folder / "recon.toml"), "--engine", "polars", "--format", "json"]
        (self.folder / f"{name}.json").unlink(missing_ok=True)
        result = CliRunner().invoke(cli, [*arguments, "--out", str(self.folder / f"{name}.json")], prog_name="recon")
        assert "Traceback" not in result.output
        return result


@pytest.fixture
def live(start_mongod: Callable[..., Mongod], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Live]:
    server = start_mongod()
    world = moved(generate_world(payments=120, seed=71), dt.datetime.now(tz=dt.UTC))
    with server.client() as client:
        client["marketplace"]["payments"].insert_many([dict(document) for document in world.recorded.payments])
    monkeypatch.setenv("RECON_MONGO_URI", server.uri)
    for name in ("RECON_REQUEST_NETWORK_API_KEY", "RECON_SHKEEPER_API_KEY"):
        monkeypatch.setenv(name, "any")
    with serving(world) as addresses:
        write_live_config(tmp_path, world, addresses, database="marketplace")
        yield Live(server, tmp_path, world)


@pytest.mark.parametrize("reading", ["first", "second"])
def test_a_primary_that_steps_down_while_payments_are_read_costs_no_row_and_no_verdict(
    reading: str, live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = json.loads(live.plan("sound").stdout)
    stepped: list[str] = []

    def batches(store: MongoStore, condition: dict[str, Any], last: list[Any]) -> Iterator[bytes]:
        for data in first_reading(store, condition, last):
            length = int.from_bytes(data[:4], "little")
            yield data[:length]
            if not stepped:
                stepped.append("first")
                live.server.step_down()
            yield data[length:]

    def fetch(store: MongoStore, payment_ids: Iterable[str]) -> Iterator[Mapping[str, Any]]:
        stepped.append("second")
        live.server.step_down()
        return second_reading(store, payment_ids)

    first_reading, second_reading = MongoStore._raw_batches, MongoStore.fetch
    if reading == "first":
        monkeypatch.setattr(MongoStore, "_raw_batches", batches)
    else:
        monkeypatch.setattr(MongoStore, "fetch", fetch)
    result = live.plan()
    assert stepped[0] == reading
    found = json.loads(result.stdout)
    assert verdicts(found) == verdicts(sound)
    assert writes(found) == writes(sound)
    assert not [row for row in found["coverage"] if row["source"] == "payments" and not row["complete"]]
    assert result.exit_code == (4 if incomplete(result) else 1)


def writes(plan_file: Mapping[str, Any]) -> dict[str, Any]:
    return {item["payment_id"]: item["set"] for item in plan_file["changes"]}


def verdicts(plan_file: Mapping[str, Any]) -> dict[str, str]:
    return {item["payment_id"]: item["verdict"] for item in plan_file["findings"]}


@pytest.mark.parametrize(
    ("setting", "wrong", "says"),
    [
        ("database", "marketplace_copy", "marketplace_copy.payments .*is not there"),
        ("collection", "paymnets", "holds payments"),
    ],
)
def test_a_wrong_database_stops_the_run(live: Live, setting: str, wrong: str, says: str) -> None:
    config = live.folder / "recon.toml"
    text = config.read_text().replace('database = "marketplace"\n', "")
    config.write_text(text.replace("[mongo]\n", f'[mongo]\n{setting} = "{wrong}"\n'))
    assert_refused(live.plan(), live.folder, code=4, says=says)
