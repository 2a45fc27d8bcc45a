"""A provider from another distribution is installed, configured, reconciled, triaged, gated and reported."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from bson import json_util

from tests.support.builders import GONE, at, deposit_address, payment_document, payment_id
from tests.support.plugins import install_example, json_of, run_installed

CHARGE = "ch_0007"
SECRET = "acme-webhook-secret"
BODY = json.dumps({"externalId": CHARGE, "state": "captured", "amount": "12.5", "currency": "USDC"})


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install_example(tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="module")
def world(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A simulated world with one more payment, which AcmePay says was captured and which is pending here."""
    folder = tmp_path_factory.mktemp("world")
    made = run_installed(
        ["simulate", "--payments", "60", "--breaks", "none", "--seed", "4", "--out", str(folder)],
        site=site,
        folder=folder,
    )
    assert made.returncode == 0, made.stderr
    told = json.loads((folder / "world.json").read_text())
    now_ms = round(datetime.fromisoformat(told["now"].replace("Z", "+00:00")).timestamp() * 1000)
    document = payment_document(
        7, {"provider": "Acme-Pay", "status": "pending", "blockchain.transactionHash": GONE,
            "blockchain.receiver": GONE,
            "metadata": {"acme": {"charge": CHARGE, "address": deposit_address(7)}},
            "createdAt": at(now_ms - 7_200_000), "updatedAt": at(now_ms - 7_200_000)},
    )  # fmt: skip
    with (folder / "payments.ndjson").open("a") as file:
        file.write(json_util.dumps(document, json_options=json_util.CANONICAL_JSON_OPTIONS) + "\n")
    charge = {"id": CHARGE, "state": "captured", "chain": 56, "coin": "USDC", "paid": "12.5"}
    (folder / "acmepay.json").write_text(json.dumps([charge]))
    config = folder / "recon.toml"
    config.write_text(config.read_text() + '\n[request_network]\n\n[shkeeper]\n\n[acmepay]\naccount = "live"\n')
    return folder


@pytest.fixture(scope="module")
def plan(site: Path, world: Path) -> dict[str, Any]:
    ran = run_installed(["plan", "--out", "plan.json", "--format", "json"], site=site, folder=world)
    assert ran.returncode == 1, ran.stderr
    return dict(json.loads((world / "plan.json").read_text()))


def test_doctor_lists_what_is_installed_and_from_where(site: Path, world: Path) -> None:
    checks = {
        row["check"]: row
        for row in json_of(run_installed(["doctor", "--format", "json"], site=site, folder=world))["checks"]
    }
    assert "acmepay from recon-acmepay 0.3.0 (acmepay.provider)" in checks["installed"]["says"]
    assert "shkeeper from recon " in checks["installed"]["says"]
    assert checks["acmepay"]["says"] == "acmepay: the export has 1 charges."


def test_its_payment_is_reconciled_and_the_break_is_found(plan: dict[str, Any]) -> None:
    [found] = [each for each in plan["findings"] if each["payment_id"] == payment_id(7)]
    assert found["provider"] == "acmepay"
    assert found["verdict"] == "provider_ahead"
    assert "acmepay:live" in plan["target"]["provider_accounts"]


def test_without_its_export_its_payment_is_unproven(site: Path, world: Path) -> None:
    ran = run_installed(
        ["plan", "--out", "blind.json", "--format", "json"], site=site, folder=world,
        RECON_ACMEPAY__EXPORT="nowhere.json",
    )  # fmt: skip
    assert ran.returncode == 4, ran.stderr
    findings = json.loads((world / "blind.json").read_text())["findings"]
    assert {each["verdict"] for each in findings if each["provider"] == "acmepay"} <= {"unproven", "lookup_failed"}


def test_its_deliveries_are_triaged_with_its_own_signature_and_statuses(site: Path, world: Path) -> None:
    signature = hmac.new(SECRET.encode(), BODY.encode(), hashlib.sha512).hexdigest()
    rows = [
        {"id": f"d{status}", "received_at": 1_790_000_000_000, "httpStatus": status, "raw_body": BODY,
         "headers": {"X-Acme-Signature": signature if status != 500 else "00"}}
        for status in (200, 204, 500)
    ]  # fmt: skip
    (world / "deliveries-acme.ndjson").write_text("".join(json.dumps(row) + "\n" for row in rows))
    ran = run_installed(
        ["triage", "deliveries", "deliveries-acme.ndjson", "--format", "json"], site=site, folder=world,
        BACKEND_ACME_SECRET=SECRET, RECON_ACMEPAY__WEBHOOK_SECRET_VARIABLE="BACKEND_ACME_SECRET",
    )  # fmt: skip
    assert ran.returncode == 1, ran.stderr
    said = json_of(ran)
    assert (said["facts"]["signature_valid"], said["facts"]["signature_invalid"]) == ("2", "1")
    assert {row["why"]: row["count"] for row in said["left"]} == {
        "it was accepted": "1",
        "its signature is wrong": "1",
        "the payment it tells of was accepted already": "1",
    }


def test_its_webhooks_are_counted_in_access_logs(site: Path, world: Path) -> None:
    line = '10.0.0.1 - - [20/Nov/2026:11:58:0{} +0000] "POST /hooks/acme HTTP/1.1" {} 2 "-" "acme"\n'
    (world / "access.log").write_text(line.format(1, 204) + line.format(2, 200))
    ran = run_installed(["triage", "access-log", "access.log", "--format", "json"], site=site, folder=world)
    [route] = [each for each in json_of(ran)["routes"] if each["provider"] == "acmepay"]
    assert (route["deliveries"], route["failures"]) == ("2", "1")


def test_its_rail_is_gated(site: Path, world: Path, plan: dict[str, Any]) -> None:
    ran = run_installed(
        ["gates", "rollback", "acme", "--plan", "plan.json", "--format", "json"], site=site, folder=world
    )
    assert ran.returncode == 4, ran.stderr  # no evidence tells
    assert "acmepay" in ran.stdout


def test_its_payment_is_in_the_report(site: Path, world: Path, plan: dict[str, Any]) -> None:
    ran = run_installed(["report", "plan.json", "--html", "report.html"], site=site, folder=world)
    assert ran.returncode == 0, ran.stderr
    page = (world / "report.html").read_text()
    assert "acmepay" in page
    assert payment_id(7) in page


def test_nobody_else_knows_it(world: Path, tmp_path: Path) -> None:
    ran = run_installed(["doctor"], site=tmp_path, folder=world)
    assert ran.returncode == 2
    assert "acmepay" in ran.stderr
