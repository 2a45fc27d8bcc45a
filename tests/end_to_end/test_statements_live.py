"""Bank statements beside a live store: planned, picked, applied and taken back, and silent of what they cannot know."""

from __future__ import annotations

import datetime as dt
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from recon.cli import cli
from tests.support.statements import camt, entry

NOW = dt.datetime.now(tz=dt.UTC)
DAYS = [(NOW - dt.timedelta(days=back)).date() for back in (4, 3, 2, 1)]
OLD = f"{DAYS[1]} 10:00:00"
NEW = NOW.strftime("%Y-%m-%d %H:%M:%S")
ORDERS = (
    ("A-1", "pending", OLD, OLD), ("A-2", "completed", OLD, OLD), ("A-3", "pending", OLD, OLD),
    ("A-4", "completed", OLD, OLD), ("A-5", "completed", OLD, NEW), ("A-6", "completed", NEW, NEW),
    ("A-7", "completed", OLD, OLD),
)  # fmt: skip
VERDICTS = {
    "A-1": "local_behind", "A-4": "local_ahead", "A-5": "lookup_failed", "A-6": "lookup_failed", "A-7": "underpaid",
}  # fmt: skip
"""A-2 was paid, A-3 was not yet; A-5 was noted and A-6 made after the last statement."""

CONFIG = """\
[target]
name = "portal"
[output]
dir = "work"
[sql]
table = "orders"
time_zone = "UTC"
[sql.columns]
"amount.amount" = "total"
"amount.currency" = "currency"
"createdAt" = "made"
"updatedAt" = "changed"
"invoiceId" = "invoice"
[sql.kinds]
total = "decimal"
[window]
hours = 96
[whmcs]
base_url = "http://127.0.0.1:9"
currencies = ["EUR"]
[statements]
mapping = "bank.toml"
[health]
unproven_share_max_percent = 100
"""
MAPPING = """\
[[claims]]
provider = "whmcs"
file = "*.xml"
format = "camt.053"
zone = "UTC"
complete = { from = 2020-01-01T00:00:00Z }
columns = { external_id = "remittance" }
find = { external_id = 'INV-(\\d+)' }
"""


def statement(place: int, *entries: str, opening: str, closes: str) -> bytes:
    return camt(*entries, opening=opening, closing=closes, name=f"S-{place}", day=str(DAYS[place]))


@pytest.fixture
def portal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    with closing(sqlite3.connect(tmp_path / "portal.db")) as base:
        columns = "id TEXT PRIMARY KEY, provider TEXT, status TEXT, total TEXT, currency TEXT, made TIMESTAMP"
        base.execute(f"CREATE TABLE orders ({columns}, changed TIMESTAMP, invoice TEXT)")
        rows = [
            (name, "whmcs", status, "25.00", "EUR", made, changed, name[2:]) for name, status, made, changed in ORDERS
        ]
        base.executemany("INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
        base.commit()
    monkeypatch.setenv("RECON_SQL_URL", f"sqlite:///{tmp_path}/portal.db")
    (tmp_path / "recon.toml").write_text(CONFIG)
    (tmp_path / "bank.toml").write_text(MAPPING)
    (tmp_path / "1.xml").write_bytes(statement(0, opening="100.00", closes="100.00"))
    (tmp_path / "2.xml").write_bytes(
        statement(1, entry("25.00", text="INV-1"), entry("25.00", text="INV-2"), opening="100.00", closes="150.00")
    )
    (tmp_path / "3.xml").write_bytes(statement(2, entry("20.00", text="INV-7"), opening="150.00", closes="170.00"))
    (tmp_path / "4.xml").write_bytes(statement(3, opening="170.00", closes="170.00"))
    return tmp_path / "recon.toml"


def run(*words: object, code: int) -> str:
    result = CliRunner().invoke(cli, [str(word) for word in words])
    assert result.exit_code == code, (words, result.exit_code, result.output[-2500:], result.stderr[-1500:])
    return result.stdout


def stored(config: Path) -> list[Any]:
    with closing(sqlite3.connect(config.parent / "portal.db")) as base:
        return base.execute("SELECT id, provider, status, total, made, invoice FROM orders ORDER BY id").fetchall()


def planned(config: Path, *words: object, code: int) -> dict[str, Any]:
    out = config.parent / "plan.json"
    out.unlink(missing_ok=True)
    run("plan", "--config", config, "--out", out, *words, code=code)
    return dict(json.loads(out.read_bytes()))


def test_what_statements_prove_is_picked_applied_and_taken_back(portal: Path) -> None:
    checks = json.loads(run("doctor", "--config", portal, "--format", "json", code=0))["checks"]
    assert "whmcs: 3 objects from files" in {row["check"]: row["says"] for row in checks}["whmcs"]
    before, plan = stored(portal), planned(portal, code=4)
    assert {each["payment_id"]: each["verdict"] for each in plan["findings"]} == VERDICTS
    assert {row["scope"]: row["complete"] for row in plan["coverage"] if row["source"] == "whmcs"} == {
        "files": True, "lookup": False,
    }  # fmt: skip
    (change,) = plan["changes"]
    assert (change["payment_id"], change["tier"]) == ("A-1", "review")
    assert plan["target"]["provider_accounts"] == ["whmcs:files"]
    picked, file = portal.parent / "picked.json", portal.parent / "plan.json"
    run("select", file, "--config", portal, "--payment", "A-1", "--out", picked, code=0)
    applying = ("--config", portal, "--share-max", "100")
    run("apply", picked, *applying, "--digest", json.loads(picked.read_bytes())["digest"], code=0)
    assert [row for row in stored(portal) if row not in before] == [(*before[0][:2], "completed", *before[0][3:])]
    entry_ = json.loads(run("runs", "--config", portal, "--format", "json", code=0))["runs"][0]
    undo = portal.parent / "undo.json"
    run("undo", entry_["run"], "--config", portal, "--out", undo, code=0)
    run("apply", undo, *applying, "--digest", json.loads(undo.read_bytes())["digest"], code=0)
    assert stored(portal) == before


def test_a_statement_that_is_lost_proves_no_absence(portal: Path) -> None:
    (portal.parent / "3.xml").unlink()
    plan = planned(portal, code=4)
    found = {each["payment_id"]: each["verdict"] for each in plan["findings"]}
    assert found["A-4"] == "lookup_failed" and found["A-1"] == "local_behind"
    assert not all(row["complete"] for row in plan["coverage"] if row["scope"] == "files")


def test_statements_that_end_long_ago_are_not_complete(portal: Path) -> None:
    for name in ("2.xml", "3.xml", "4.xml"):
        (portal.parent / name).unlink()
    day = str((NOW - dt.timedelta(days=7)).date())
    old = camt(entry("5.00", text="INV-2"), opening="100.00", closing="105.00", name="old", day=day)
    (portal.parent / "1.xml").write_bytes(old)
    (row,) = (row for row in planned(portal, code=4)["coverage"] if row["scope"] == "files")
    assert not row["complete"] and "the statements cover" in row["problem"]


@pytest.mark.parametrize(
    ("mapping", "told"),
    [
        (MAPPING.replace("whmcs", "shkeeper"), "is no provider in scope (whmcs)"),
        (MAPPING + "[payments]\n", "Extra inputs"),
        (MAPPING.replace("external_id", "amounts"), "there is no field 'amounts'"),
        ("", "claims"),
    ],
)
def test_a_mapping_that_cannot_be_used_is_refused(portal: Path, mapping: str, told: str) -> None:
    (portal.parent / "bank.toml").write_text(mapping)
    result = CliRunner().invoke(cli, ["plan", "--config", str(portal), "--out", str(portal.parent / "p.json")])
    assert result.exit_code == 2 and told in " ".join(result.stderr.split())


def test_an_export_is_proof_beside_a_live_store_too(portal: Path) -> None:
    (portal.parent / "export.csv").write_text(
        "id,state,total,coin\n" + "".join(f"{row},EUR\n" for row in ("1,Paid,25.00", "2,Paid,25.00", "7,Paid,20.00"))
    )
    table = """\
[[claims]]
provider = "whmcs"
file = "export.csv"
columns = { external_id = "id", status = "state", amount = "total", currency = "coin" }
fixed = { network = "off-chain" }
"""
    (portal.parent / "bank.toml").write_text(table + "complete = { from = 2020-01-01T00:00:00Z }\n")
    out = str(portal.parent / "p.json")
    result = CliRunner().invoke(cli, ["plan", "--config", str(portal), "--out", out])
    assert result.exit_code == 2 and "needs 'to'" in result.stderr
    until = f"complete = {{ from = 2020-01-01T00:00:00Z, to = {DAYS[3]}T23:00:00Z }}\n"
    (portal.parent / "bank.toml").write_text(table + until)
    plan = planned(portal, code=4)
    assert {each["payment_id"]: each["verdict"] for each in plan["findings"]} == VERDICTS
