"""The command line over payments in a SQL table: looked at, planned, applied, and taken back."""

from __future__ import annotations

import datetime as dt
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from recon.cli import cli
from recon.simulation import plant_world
from recon.sources.payments.sql.section import SqlSection
from tests.support.living import moved, serving, write_live_config
from tests.support.sql_columns import plainly, section_and_columns
from tests.support.sql_stores import SqlPlace, sqlite_place

ROWS = 4


def run(*arguments: object, code: int = 0, by: str = "Ann") -> str:
    env = {"RECON_OPERATOR": by}
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments], env=env)
    assert result.exit_code == code, (arguments, result.exit_code, result.output[-1500:], result.stderr[-1500:])
    return result.stdout


def config_of(section: SqlSection) -> str:
    columns = "".join(f'"{path}" = "{column}"\n' for path, column in section.columns.items())
    kinds = "".join(f'{column} = "{kind}"\n' for column, kind in section.kinds.items())
    return f'[sql]\ntable = "payments"\ntime_zone = "UTC"\n[sql.columns]\n{columns}[sql.kinds]\n{kinds}'


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def market(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[SqlPlace, Path]]:
    """A folder with a configuration, its sources behind servers, and the payments in a table."""
    kind = str(request.param)
    bare = SqlSection(table="payments")
    place = sqlite_place(tmp_path, bare) if kind == "sqlite" else request.getfixturevalue("postgres_at")(bare)
    place.section, columns = section_and_columns(kind)
    place.make(columns)
    world = moved(plant_world(*["webhook_lost"] * ROWS, seed=2), dt.datetime.now(tz=dt.UTC))
    place.put([plainly(document) for document in world.recorded.payments])
    monkeypatch.setenv("RECON_SQL_URL", place.url)
    monkeypatch.setenv("RECON_REQUEST_NETWORK_API_KEY", "rn-test-key")
    monkeypatch.setenv("RECON_SHKEEPER_API_KEY", "sh-test-key")
    monkeypatch.delenv("RECON_MONGO_URI", raising=False)
    with serving(world) as addresses:
        path = write_live_config(tmp_path / "work", world, addresses, database="marketplace")
        path.write_text(path.read_text().replace('[mongo]\ndatabase = "marketplace"\n', config_of(place.section)))
        yield place, path
    place.close()


def rows_of(place: SqlPlace) -> list[Any]:
    """Every row, without the time of its last change."""
    names = [name for name in place.section.columns.values() if name != "updated_at"]
    listed = ", ".join(name if name in ("amount", "status") else f"CAST({name} AS text)" for name in names)
    return place.run(f"SELECT id, {listed} FROM payments ORDER BY id")


def test_payments_in_a_table_are_planned_applied_and_taken_back(market: tuple[SqlPlace, Path]) -> None:
    place, config = market
    plan_file, undo_file = config.parent / "plan.json", config.parent / "undo.json"
    before = rows_of(place)
    said = json.loads(run("doctor", "--config", config, "--format", "json", code=0))
    texts = " ".join(check["says"] for check in said["checks"])
    assert "can be read" in texts
    assert "own tables are not all there" in texts
    assert "MongoDB:" not in texts
    run("plan", "--config", config, "--out", plan_file, code=1)
    plan = json.loads(plan_file.read_bytes())
    assert len(plan["changes"]) == ROWS
    applying = ("apply", plan_file, "--config", config, "--digest", plan["digest"], "--share-max", "100")
    run(*applying, code=0)
    assert {row[0] for row in place.run("SELECT status FROM payments")} >= {"completed"}
    assert rows_of(place) != before
    (entry,) = json.loads(run("runs", "--config", config, "--format", "json"))["runs"]
    report = json.loads(run("runs", entry["run"], "--config", config, "--format", "json"))
    assert len(report["rows"]) == ROWS
    assert "whole" in run("journal", "verify", "--config", config)
    run("undo", entry["run"], "--config", config, "--out", undo_file)
    undo = json.loads(undo_file.read_bytes())
    run("apply", undo_file, "--config", config, "--digest", undo["digest"], "--share-max", "100")
    assert rows_of(place) == before


def test_decisions_stand_beside_the_payments_and_are_the_same_for_everybody(market: tuple[SqlPlace, Path]) -> None:
    """Two people at two machines: one folder makes the plan, another decides, and both see what was decided."""
    place, config = market
    plan_file = config.parent / "plan.json"
    config.write_text(
        f'{config.read_text()}\n[approvals]\napprovals_min = 1\nauthor_may_approve = false\nkept_in = "database"\n'
    )
    other = config.parent.parent / "other" / "recon.toml"
    other.parent.mkdir()
    other.write_text(config.read_text())
    assert "decision" in run("doctor", "--config", config, "--format", "json")
    run("plan", "--config", config, "--out", plan_file, code=1)
    plan = json.loads(plan_file.read_bytes())
    applying = ("apply", plan_file, "--config", config, "--digest", plan["digest"], "--share-max", "100")
    run(*applying, code=3)
    run("approve", plan_file, "--config", config, "--reason", "mine")
    run(*applying, code=3)
    run("approve", plan_file, "--config", other, "--reason", "looked at each", by="Ben")
    run("approve", plan_file, "--config", config, "--reason", "again", code=3, by="Ben")
    sample = config.parent / "sample.json"
    rail = next(each["provider"] for each in plan["findings"])
    run("sample", "--provider", rail, "--size", 2, "--plan", plan_file, "--config", config, "--out", sample)
    for who, where in (("Ann", config), ("Ben", other)):
        run("sample", "sign", sample, "--right", "all", "--by", who, "--config", where)
    run("sample", "sign", sample, "--right", "all", "--by", "Ann", "--config", other, code=3)
    kept = [str(row[0]) for row in place.run(f"SELECT name FROM {own_table(place, 'decision')} ORDER BY name")]
    assert [name.partition("-")[0] for name in kept] == ["approval", "approval", "author", "signed", "signed"]
    assert not list(config.parent.parent.rglob("decisions"))
    run(*applying, code=0)
    assert "whole" in run("journal", "verify", "--config", other)
    place.run(f"UPDATE {own_table(place, 'decision')} SET text = replace(text, 'mine', 'ours')")
    run("approve", plan_file, "--config", config, "--reason", "late", code=3, by="Cay")


def own_table(place: SqlPlace, name: str) -> str:
    return f"recon_{name}" if place.kind == "sqlite" else f"recon.{name}"


def test_legacy_rows_are_given_their_references_and_these_are_taken_back(market: tuple[SqlPlace, Path]) -> None:
    place, config = market
    place.run("UPDATE payments SET provider = 'request_network'")
    place.run("UPDATE payments SET provider = 'shkeeper' WHERE id IN (SELECT id FROM payments ORDER BY id LIMIT 2)")
    plan_file, undo_file = config.parent / "plan.json", config.parent / "undo.json"
    before = rows_of(place)
    run("backfill", "shkeeper", "--config", config, "--out", plan_file, code=1)
    plan = json.loads(plan_file.read_bytes())
    assert (plan["summary"]["completeness"]["rows"], len(plan["changes"])) == (2, 2)
    assert plan["coverage"][0]["complete"]
    run("apply", plan_file, "--config", config, "--digest", plan["digest"], "--share-max", "100")
    assert json.dumps([list(map(str, row)) for row in rows_of(place)]).count("fundsAccount") == 2
    (entry,) = json.loads(run("runs", "--config", config, "--format", "json"))["runs"]
    run("undo", entry["run"], "--config", config, "--out", undo_file)
    undo = json.loads(undo_file.read_bytes())
    run("apply", undo_file, "--config", config, "--digest", undo["digest"], "--share-max", "100")
    assert rows_of(place) == before


def test_what_only_mongodb_has_is_refused_with_the_setting_that_asks_for_it(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "p.db")) as connection:
        connection.execute("CREATE TABLE payments (id TEXT PRIMARY KEY, status TEXT)")
    config = tmp_path / "recon.toml"
    for setting in ("ledger", "deliveries"):
        config.write_text(f'[sql]\ntable = "payments"\n[{setting}]\ncollection = "entries"\n')
        result = CliRunner().invoke(cli, ["doctor", "--config", str(config)], env={"RECON_SQL_URL": "sqlite:///p.db"})
        assert f'"{setting}.collection" is a collection of MongoDB' in result.output.replace("\n", " ")
    config.write_text('[sql]\ntable = "payments"\nurl = "postgresql://u:hidden@h/d"\n')
    result = CliRunner().invoke(cli, ["doctor", "--config", str(config)])
    assert result.exit_code == 2
    assert '"sql.url" is a secret' in result.stderr
    assert "hidden" not in result.output
