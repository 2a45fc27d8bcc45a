"""Money that no row knows, played live: listed, captured, planned, put in once, judged, corrected, and taken back."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import recon
from recon.api.repair import NoRepairReasonError
from recon.core.errors import ReconError, RefusedError
from recon.repairs.missing import MissingEvidence
from recon.repairs.plan import load_repair_plan
from recon.setup.open_repairs import InsertOffError
from recon.simulation import generate_world
from tests.support.living import moved, serving, write_live_config

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pymongo.database import Database

    from tests.support.servers import Mongod

BREAKS = {"orphan_transfer": 0.05, "orphan_proxy_payment": 0.05, "orphan_request": 0.05, "twin_request_paid": 0.05}
TEMPLATE = """
[repair]
insert = true
[repair.missing]
optional = ["metadata.requestNetwork.paymentReference", "metadata.requestNetwork.requestId", "provider"]
[repair.missing.fields]
provider = "{provider}"
direction = "in"
status = "pending"
"amount.amount" = "{amount}"
"amount.currency" = "{symbol}"
"blockchain.network" = "{network}"
"blockchain.transactionHash" = "{tx_hash}"
"blockchain.receiver" = "{recipient}"
"metadata.requestNetwork.paymentReference" = "{reference}"
"metadata.requestNetwork.requestId" = "{request_id}"
buyerId = "{buyer}"
purchaseRequestId = "{order}"
__v = 0
[repair.missing.kinds]
"amount.amount" = "double"
"""


@pytest.fixture
def live(
    mongod: Mongod, mongo_database: Database[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    world = moved(generate_world(payments=40, seed=17, breaks=BREAKS), dt.datetime.now(tz=dt.UTC))
    mongo_database.payments.insert_many([dict(document) for document in world.recorded.payments])
    monkeypatch.setenv("RECON_MONGO_URI", mongod.uri)
    monkeypatch.setenv("RECON_REQUEST_NETWORK_API_KEY", "a-key-of-the-tests")
    monkeypatch.setenv("RECON_SHKEEPER_API_KEY", "a-key-of-the-tests")
    monkeypatch.setenv("RECON_OPERATOR", "ana")
    with serving(world) as addresses:
        path = write_live_config(tmp_path / "live", world, addresses, database=mongo_database.name)
        path.write_text(path.read_text() + TEMPLATE)
        yield path


def test_money_that_no_row_knows_is_put_in_once_and_corrected_by_the_ordinary_plan(
    live: Path, mongo_database: Database[dict[str, Any]]
) -> None:
    folder, payments = live.parent, mongo_database.payments
    recon.snapshot(live, out=folder / "taken")
    given: dict[str, Any] = {"config": live, "snapshot": folder / "taken", "give": ["buyer=b1", "order=o1"]}
    listed = recon.repair.missing(config=live, snapshot=folder / "taken")
    assert listed.plan is None
    whole = {each.name: each.evidence for each in listed.found if isinstance(each.evidence, MissingEvidence)}
    by_request = next(name for name, each in whole.items() if name.startswith("provider:"))
    assert all("reference" in str(each.evidence) for each in listed.found if isinstance(each.evidence, str))

    # Without a unique index a webhook could make a second row, without buyer and order nobody knows whose it is.
    refused = recon.repair.missing([by_request], **given, reason="webhook lost")
    assert "no unique index" in refused.left_out[0].why
    payments.create_index("metadata.requestNetwork.requestId", unique=True, sparse=True)
    refused = recon.repair.missing([by_request], **{**given, "give": ["buyer=b1"]}, reason="webhook lost")
    assert "order" in refused.left_out[0].why
    with pytest.raises(NoRepairReasonError):
        recon.repair.missing([by_request], **given)

    places: list[Path] = []
    made = recon.repair.missing([by_request], **given, reason="webhook lost", ticket="T-7", on_saved=places.append)
    plan = load_repair_plan(places[0])
    assert made.plan == plan
    name, _, seal = plan.cases[0].partition(" ")
    case = json.loads((folder / "out" / name).read_bytes())
    assert (case["seal"], case["verdict"]) == (seal, None)
    assert case["tables"]["transfers"][0]["tx_hash"] in plan.deeds[0].evidence[0]
    before = list(payments.find())
    with pytest.raises(RefusedError):
        recon.repair.apply(plan, digest="0" * 64, config=live)

    report = recon.repair.apply(places[0], digest=plan.digest, config=live)
    assert [row.result.value for row in report.rows] == ["applied"]
    (row,) = [each for each in payments.find() if each not in before]
    assert (row["status"], row["buyerId"], row["purchaseRequestId"]) == ("pending", "b1", "o1")

    # A plan made from the older snapshot proposes it again; the whole collection is asked once more and it is known.
    again = recon.repair.missing([by_request], **given, reason="again", out=folder / "again.json").plan
    assert again is not None and again.deeds[0].documents == plan.deeds[0].documents
    second = recon.repair.apply(again, digest=again.digest, config=live)
    assert second.run is None
    assert second.rows[0].result.value in ("ours", "moved")

    # The row credits nothing by itself: the ordinary plan judges it by the evidence.
    correction = recon.plan(config=live, out=folder / "plan.json")
    found = {each.payment_id: str(each.verdict) for each in correction.findings}
    assert found[str(row["_id"])] == "local_behind"
    assert by_request not in found

    back = recon.repair.undo("last", config=live, out=folder / "back.json")
    assert [row.result.value for row in recon.repair.apply(back, digest=back.digest, config=live).rows] == ["applied"]
    assert sorted(before, key=lambda each: str(each["_id"])) == sorted(
        payments.find(), key=lambda each: str(each["_id"])
    )


def test_rows_are_never_inserted_unless_the_configuration_says_so(live: Path) -> None:
    recon.snapshot(live, out=live.parent / "taken")
    name = recon.repair.missing(config=live, snapshot=live.parent / "taken").found[0].name
    live.write_text(live.read_text().replace("insert = true", "insert = false"))
    with pytest.raises(InsertOffError):
        recon.repair.missing([name], config=live, snapshot=live.parent / "taken", reason="because")
    with pytest.raises(ReconError):
        recon.repair.apply(live.parent / "nothing.json", digest="0" * 64, config=live)
