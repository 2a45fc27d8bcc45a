"""Repairs played live, on a real database with real servers: missing rows, holds, and what a restored dump did."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import recon
from recon.api.hold import NothingToHoldError
from recon.api.repair import NoRepairReasonError
from recon.core.errors import ReconError, RefusedError
from recon.core.ids import payment_id_text
from recon.repairs.holds import NoHoldKeyError
from recon.repairs.missing import MissingEvidence
from recon.repairs.plan import load_repair_plan
from recon.repairs.restores import JournalBehindError
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
[hold]
field = "metadata.manualHold"
reason = "metadata.holdReason"
ticket = "metadata.holdTicket"
until = "metadata.holdUntil"
by = "metadata.holdBy"
disputes = ["disputed", "disputeId"]
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
    assert [each.state for each in recon.doctor(live) if each.name == "repair"] == ["warning"]
    payments.create_index("metadata.requestNetwork.requestId", unique=True, sparse=True)
    assert [each.state for each in recon.doctor(live) if each.name == "repair"] == ["ok"]
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
    assert found[payment_id_text(row["_id"])] == "local_behind"
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


def test_a_hold_is_put_kept_under_a_dispute_listed_and_lifted(
    live: Path, mongo_database: Database[dict[str, Any]]
) -> None:
    payments = mongo_database.payments
    first, second = [
        each for each in payments.find({"status": "completed", "escrowState": "funded"}).sort("_id", 1)
        if not each.get("disputed") and isinstance(each.get("metadata"), dict)
    ][:2]  # fmt: skip
    ids = [payment_id_text(first["_id"]), payment_id_text(second["_id"])]
    payments.update_many({"_id": {"$in": [first["_id"], second["_id"]]}}, {"$set": {"purchaseRequestId": "deal-7"}})
    until = dt.datetime.now(tz=dt.UTC) + dt.timedelta(days=3)
    plan = recon.hold.put(
        deals=["deal-7"], reason="double release suspected", ticket="T-9", until=until, config=live,
        out=live.parent / "hold.json",
    )  # fmt: skip
    assert [deed.payment_id for deed in plan.deeds] == sorted(ids)
    # Between plan and apply the backend releases one of them: that one is left alone.
    payments.update_one({"_id": second["_id"]}, {"$set": {"escrowState": "releasing"}})
    report = recon.repair.apply(plan, digest=plan.digest, config=live)
    assert {row.payment_id: row.result.value for row in report.rows} == {ids[0]: "applied", ids[1]: "moved"}
    held = payments.find_one({"_id": first["_id"]}) or {}
    assert (held["metadata"]["manualHold"], held["metadata"]["holdReason"]) == (True, "double release suspected")
    assert (held["metadata"]["holdTicket"], held["metadata"]["holdBy"]) == ("T-9", "ana")
    with pytest.raises(NothingToHoldError, match="held already"):
        recon.hold.put(payments=[ids[0]], reason="again", config=live)

    # What reads the journal of corrections reads that of repairs.
    (run,) = recon.journal.runs(live)
    assert (run.kind, run.state, run.lost, run.counts) == ("repair", "done", 0, {"applied": 1, "moved": 1})
    assert recon.journal.verify(live).is_whole
    recon.report.page(run.run, html=live.parent / "run.html", config=live)
    assert "double release suspected" not in recon.journal.run(run.run, config=live).plan

    (row,) = recon.hold.list_(live).rows
    assert (row.about, row.is_supported) == (ids[0], False)
    assert "double release suspected" in row.since

    lift = recon.hold.lift(payments=[ids[0]], reason="evidence agrees", config=live, out=live.parent / "lift.json")
    # A dispute begins between plan and write: the hold stays, and nothing plans to lift it.
    payments.update_one({"_id": first["_id"]}, {"$set": {"disputed": True}})
    assert [row.result.value for row in recon.repair.apply(lift, digest=lift.digest, config=live).rows] == ["moved"]
    with pytest.raises(NothingToHoldError, match="dispute is active"):
        recon.hold.lift(payments=[ids[0]], reason="evidence agrees", config=live)
    (row,) = recon.hold.list_(live, judge=False).rows
    assert row.is_supported is True
    payments.update_one({"_id": first["_id"]}, {"$unset": {"disputed": ""}})
    assert [row.result.value for row in recon.repair.apply(lift, digest=lift.digest, config=live).rows] == ["applied"]
    assert recon.hold.list_(live).rows == ()
    with pytest.raises(NoHoldKeyError, match="seller"):
        recon.hold.put(sellers=["s1"], reason="because", config=live)


def test_after_a_restore_it_is_said_what_went_back_and_nothing_is_concluded_from_a_cut_journal(
    live: Path, mongo_database: Database[dict[str, Any]]
) -> None:
    payments, journal = mongo_database.payments, mongo_database.recon_journal
    rows = list(payments.find({"status": "completed", "escrowState": "funded"}).sort("_id", 1))
    early, late, gone = rows[:3]

    def hold(document: dict[str, Any]) -> str:
        plan = recon.hold.put(payments=[payment_id_text(document["_id"])], reason="looked into", config=live)
        report = recon.repair.apply(plan, digest=plan.digest, config=live)
        assert [row.result.value for row in report.rows] == ["applied"]
        return str(report.run)

    hold(early)
    between = dt.datetime.now(tz=dt.UTC)
    last = [hold(late), hold(gone)][1]
    assert recon.restore.check(live).counts["as written"] == 3

    # The dump holds the first write and not the others; one row was made after it was taken.
    payments.replace_one({"_id": late["_id"]}, late)
    payments.delete_one({"_id": gone["_id"]})
    found = recon.restore.check(live)
    assert {row.payment_id: row.state for row in found.rows} == {
        payment_id_text(early["_id"]): "as written",
        payment_id_text(late["_id"]): "went back",
        payment_id_text(gone["_id"]): "vanished",
    }
    assert found.kept_until is not None and found.lost_from is not None
    assert found.kept_until <= between <= found.lost_from
    assert not found.is_behind
    named = recon.restore.check(live, dump_time=between)
    assert len(named.newer_runs) == 2
    with pytest.raises(ReconError):
        recon.repair.undo(last, config=live)

    # The journal came back with the data: it ends before what was noted outside, and rows know more than it does.
    payments.replace_one({"_id": late["_id"]}, {**late, "metadata": {"recon": {"last": f"{last}/d1"}}})
    journal.delete_many({"run": last})
    behind = recon.restore.check(live)
    assert behind.is_behind
    assert "its end is gone" in behind.journal_gap
    assert behind.unknown_stamps == {last: 1}
    with pytest.raises(JournalBehindError):
        recon.repair.undo("last", config=live)
    with pytest.raises(ReconError):
        recon.undo(last, config=live)
    journal.delete_many({})
    none = recon.restore.check(live)
    assert none.rows == ()
    assert none.is_behind
