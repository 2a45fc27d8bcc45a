"""A portal's orders against two systems: what was billed in one, what was delivered in the other."""

from __future__ import annotations

import datetime as dt
import json
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from recon.cli import cli
from tests.support.provider_servers import serve
from tests.support.salesforce import SalesforceServer, order, order_id
from tests.support.whmcs import WhmcsServer, invoice, transaction

NOW = dt.datetime.now(tz=dt.UTC)
MADE = (NOW - dt.timedelta(hours=3)).strftime("%Y-%m-%d %H:%M:%S")
CREATED = (NOW - dt.timedelta(hours=3)).strftime("%Y-%m-%dT%H:%M:%S.000+0000")
ORDERS: tuple[tuple[str, str, str, dict[str, Any]], ...] = (
    ("S-1", "pending", "delivered", {}),
    ("S-2", "completed", "delivered", {}),
    ("S-3", "pending", "in review", {"Status": "Pending Review", "Activation_Status__c": None}),
    ("S-4", "pending", "never begun", {"Activation_Status__c": None}),
    ("S-5", "pending", "not billed", {"Activation_Status__c": "Activating", "Last_Error__c": "PAYMENT_METHOD_MISSING"}),
    ("S-6", "completed", "never delivered", {"Activation_Status__c": "Activating"}),
    ("S-7", "completed", "deleted", {"IsDeleted": True, "Activation_Status__c": None}),
    ("S-8", "completed", "gone", {}),
    ("S-9", "completed", "for less", {"TotalAmount": 60.0}),
)
VERDICTS = {
    "S-1": "local_behind", "S-3": "stuck_pending", "S-4": "stuck_pending", "S-5": "stuck_pending",
    "S-6": "local_ahead", "S-7": "local_ahead", "S-8": "local_ahead", "S-9": "underpaid",
    "I-1": "local_behind", "I-6": "provider_ahead",
}  # fmt: skip
"""Of S-2 and I-2 both systems agree with the row; I-6 was delivered to nobody and paid by nobody."""
BILLS = (
    ("I-1", "pending", 1, "Paid", True),
    ("I-2", "completed", 2, "Paid", True),
    ("I-6", "completed", 6, "Paid", False),
)

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
"salesforceOrderId" = "sf"
"buyerId" = "buyer"
"orderId" = "deal"
"offerId" = "offer"
[sql.kinds]
total = "decimal"
[whmcs]
base_url = "<billing>"
calls_per_s = 1000
retries_max = 0
[salesforce]
base_url = "<orders>"
error_field = "Last_Error__c"
calls_per_s = 1000
retries_max = 0
[health]
unproven_share_max_percent = 100
"""


@pytest.fixture
def portal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, SalesforceServer]]:
    with closing(sqlite3.connect(tmp_path / "portal.db")) as base:
        columns = "id TEXT PRIMARY KEY, provider TEXT, status TEXT, total TEXT, currency TEXT, made TIMESTAMP"
        names = "changed TIMESTAMP, invoice TEXT, sf TEXT, buyer TEXT, deal TEXT, offer TEXT"
        base.execute(f"CREATE TABLE orders ({columns}, {names})")
        said = [(name, "salesforce", status, None, order_id(int(name[2:]))) for name, status, *_ in ORDERS]
        said += [(name, "whmcs", status, str(number), None) for name, status, number, *_ in BILLS]
        for name, provider, status, bill, sf in said:
            deal = (name[2:], f"order {name[2:]}", "plan")
            row = (name, provider, status, "100.00", "USD", MADE, MADE, bill, sf, *deal)
            base.execute("INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
        base.commit()
    for name in ("WHMCS_IDENTIFIER", "WHMCS_SECRET", "SALESFORCE_CLIENT_ID", "SALESFORCE_CLIENT_SECRET"):
        monkeypatch.setenv(f"RECON_{name}", name.lower())
    monkeypatch.setenv("RECON_SQL_URL", f"sqlite:///{tmp_path}/portal.db")
    there = SalesforceServer(
        [order(int(name[2:]), CreatedDate=CREATED, **over) for name, _, what, over in ORDERS if what != "gone"]
    )
    day = NOW.strftime("%Y-%m-%d")
    billing = WhmcsServer(
        [invoice(number, status=word, date=day, created_at=MADE) for _, _, number, word, _ in BILLS],
        [transaction(number, number) for _, _, number, _, has_money in BILLS if has_money],
    )
    with ExitStack() as stack:
        urls = {"<orders>": there.handler, "<billing>": billing.handler}
        text = CONFIG
        for word, handler in urls.items():
            text = text.replace(word, stack.enter_context(serve(handler)))
        config = tmp_path / "recon.toml"
        config.write_text(text)
        yield config, there


def run(*words: object, code: int) -> str:
    result = CliRunner().invoke(cli, [str(word) for word in words])
    assert result.exit_code == code, (words, result.exit_code, result.output[-2500:], result.stderr[-1500:])
    return result.stdout


def stored(config: Path) -> list[Any]:
    with closing(sqlite3.connect(config.parent / "portal.db")) as base:
        return base.execute("SELECT id, provider, status, total, made, invoice, sf FROM orders ORDER BY id").fetchall()


def planned(config: Path, *, code: int = 1) -> dict[str, Any]:
    out = config.parent / "plan.json"
    out.unlink(missing_ok=True)
    run("plan", "--config", config, "--out", out, code=code)
    return dict(json.loads(out.read_bytes()))


def test_orders_and_invoices_are_planned_picked_applied_and_taken_back(portal: tuple[Path, SalesforceServer]) -> None:
    config, server = portal
    checks = json.loads(run("doctor", "--config", config, "--format", "json", code=0))["checks"]
    told = {row["check"]: row["says"] for row in checks}
    assert "shows the fields that are asked for" in told["salesforce"]
    before, plan = stored(config), planned(config)
    assert {each["payment_id"]: each["verdict"] for each in plan["findings"]} == VERDICTS
    assert all(row["complete"] for row in plan["coverage"])
    assert {change["payment_id"]: change["tier"] for change in plan["changes"]} == {"S-1": "review", "I-1": "review"}
    picked = config.parent / "picked.json"
    file, applying = config.parent / "plan.json", ("--config", config, "--share-max", "100")
    run("select", file, "--config", config, "--payment", "S-1", "--payment", "I-1", "--out", picked, code=0)
    run("apply", picked, *applying, "--digest", json.loads(picked.read_bytes())["digest"], code=0)
    assert {row[0]: row[2] for row in stored(config) if row not in before} == {"S-1": "completed", "I-1": "completed"}
    entry = json.loads(run("runs", "--config", config, "--format", "json", code=0))["runs"][0]
    undo = config.parent / "undo.json"
    run("undo", entry["run"], "--config", config, "--out", undo, code=0)
    run("apply", undo, *applying, "--digest", json.loads(undo.read_bytes())["digest"], code=0)
    assert stored(config) == before
    assert server.methods == {"POST oauth2", "GET data"}, "it is only read"


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("S-3", "waits at its provider until a person there approves it"),
        ("S-4", "what was ordered is not delivered"),
        ("S-5", "cannot be billed"),
    ],
)
def test_why_an_order_is_stuck_is_told(portal: tuple[Path, SalesforceServer], name: str, cause: str) -> None:
    told = run("inspect", name, "--config", portal[0], code=1)
    assert cause in " ".join(told.split()).replace("\n", " ")


@pytest.mark.parametrize("sick", ["down", "no token", "no calls left"])
def test_orders_that_cannot_be_asked_for_prove_nothing(portal: tuple[Path, SalesforceServer], sick: str) -> None:
    config, server = portal
    limit = [{"errorCode": "REQUEST_LIMIT_EXCEEDED", "message": "TotalRequests Limit exceeded."}]
    answers = {
        "down": httpx.Response(503), "no token": httpx.Response(400, json={"error": "invalid_grant"}),
        "no calls left": httpx.Response(403, json=limit),
    }  # fmt: skip
    server.odd = lambda path, body: body if "token" in path and sick == "no calls left" else answers[sick]
    plan = planned(config, code=4)
    orders = {each["payment_id"]: each["verdict"] for each in plan["findings"] if each["payment_id"].startswith("S-")}
    assert set(orders.values()) == {"lookup_failed"}
    assert [change["payment_id"] for change in plan["changes"]] == ["I-1"], "the other system still proves its own"
