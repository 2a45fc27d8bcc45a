"""A ledger that is wrong, played live: judged, entries planned, appended, judged again, and taken back by counters."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import recon
from recon.api.ledger import NoLedgerFindingError, NoMakerFieldError
from recon.api.repair import NoRepairReasonError
from recon.repairs.plan import load_repair_plan
from recon.setup.open_repairs import AppendOffError
from recon.simulation.books import CONFIG, world_with_books
from tests.support.living import moved, serving, write_live_config

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pymongo.database import Database

    from tests.support.servers import Mongod


@pytest.fixture
def live(
    mongod: Mongod, mongo_database: Database[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    flaws = {"missing": 1, "doubled": 1, "orphan": 1, "reversal_reversed": 1}
    made = world_with_books(payments=60, seed=52, books="double", flaws=flaws)
    world = moved(made.world, dt.datetime.now(tz=dt.UTC))
    mongo_database.payments.insert_many([dict(document) for document in world.recorded.payments])
    mongo_database.ledgerentries.insert_many([dict(entry) for entry in world.recorded.ledger])
    monkeypatch.setenv("RECON_MONGO_URI", mongod.uri)
    monkeypatch.setenv("RECON_REQUEST_NETWORK_API_KEY", "a-key-of-the-tests")
    monkeypatch.setenv("RECON_SHKEEPER_API_KEY", "a-key-of-the-tests")
    monkeypatch.setenv("RECON_OPERATOR", "ana")
    with serving(world) as addresses:
        path = write_live_config(tmp_path / "live", world, addresses, database=mongo_database.name)
        keyed = 'token_as = "contract"\nkey_field = "idempotencyKey"\nreason_field = "note"\n'
        path.write_text(path.read_text() + CONFIG["double"].replace("[ledger]\n", f"[ledger]\n{keyed}", 1))
        yield path


def found_in(live: Path, name: str) -> dict[str, list[str]]:
    made = recon.ledger.check(config=live, out=live.parent / name)
    assert made.plan.ledger is not None
    assert made.plan.ledger["problem"] is None
    told: dict[str, list[str]] = {}
    for each in made.plan.ledger["findings"]:
        told.setdefault(each["reason"], []).append(each["payment_id"] or each["deal"])
    return told


def test_a_ledger_is_put_right_by_appended_entries_and_taken_back_by_counters(
    live: Path, mongo_database: Database[dict[str, Any]]
) -> None:
    entries, folder = mongo_database.ledgerentries, live.parent
    told = found_in(live, "first.json")
    assert set(told) >= {"missing", "doubled", "unknown", "reverses_reversal"}
    names = [told[reason][0] for reason in ("missing", "doubled", "unknown")]
    given: dict[str, Any] = {"plan": folder / "first.json", "config": live}
    with pytest.raises(NoRepairReasonError):
        recon.ledger.repair(names, **given)
    with pytest.raises(NoLedgerFindingError):
        recon.ledger.repair(["nothing"], **given, reason="because")
    hopeless = recon.ledger.repair([told["reverses_reversal"][0]], **given, reason="because")
    assert hopeless.plan is None or hopeless.left_out

    before = {entry["_id"]: entry for entry in entries.find()}
    places: list[Path] = []
    made = recon.ledger.repair(names, **given, reason="T-9: the worker died", on_saved=places.append)
    assert made.left_out == ()
    plan = load_repair_plan(places[0])
    assert made.plan == plan
    assert plan.kind == "ledger"
    assert len(plan.cases) == 2
    with pytest.raises(AppendOffError):
        recon.repair.apply(plan, digest=plan.digest, config=live)
    live.write_text(live.read_text().replace("[ledger]\n", "[ledger]\nappend = true\n", 1))

    # What the backend books meanwhile is seen: that deed is left alone.
    rival = {**next(iter(before.values())), "_id": "rival", "paymentId": _payment(mongo_database, names[0])}
    entries.insert_one(dict(rival))
    late = recon.repair.apply(plan, digest=plan.digest, config=live)
    by_name = {row.payment_id: row for row in late.rows}
    assert by_name[names[0]].result.value != "applied"
    assert "other entries" in by_name[names[0]].reason
    assert [by_name[name].result.value for name in names[1:]] == ["applied", "applied"]
    entries.delete_one({"_id": "rival"})
    again = recon.ledger.repair(names[:1], **given, reason="T-9", out=folder / "again.json").plan
    assert again is not None
    assert [row.result.value for row in recon.repair.apply(again, digest=again.digest, config=live).rows] == ["applied"]

    # Nothing that was there was changed, and the new entries keep every group at zero.
    now = {entry["_id"]: entry for entry in entries.find()}
    assert {key: now[key] for key in before} == before
    sums: dict[Any, int] = {}
    for entry in (each for key, each in now.items() if key not in before):
        sums[entry["batch"]] = sums.get(entry["batch"], 0) + int(entry["units"]) * (
            1 if entry["direction"] == "credit" else -1
        )
        assert entry["note"].startswith("T-9")
    assert set(sums.values()) == {0}

    live.write_text(live.read_text().replace("append = true\n", "append = true\ngrace_min = 0\n", 1))
    after = found_in(live, "after.json")
    assert set(after) == {"reverses_reversal", "lacks"} & set(told) | {"reverses_reversal"}

    back = recon.repair.undo("last", config=live, out=folder / "back.json")
    assert [deed.kind for deed in back.deeds] == ["append"]
    assert [row.result.value for row in recon.repair.apply(back, digest=back.digest, config=live).rows] == ["applied"]
    assert {key: entry for key, entry in ((e["_id"], e) for e in entries.find()) if key in now} == now
    assert names[0] in found_in(live, "undone.json")["missing"]

    # What somebody booked between two times is taken back payment by payment, by counter-entries as well.
    with pytest.raises(NoMakerFieldError):
        recon.ledger.reverse(names[:1], from_at=dt.timedelta(hours=1), by="mallory", config=live, reason="stolen key")
    live.write_text(live.read_text().replace("[ledger]\n", '[ledger]\nby_field = "createdBy"\n', 1))
    victim = next(row for row in mongo_database.payments.find() if str(row["_id"]) == names[1])
    booked = next(entry for entry in entries.find({"paymentId": victim["_id"], "type": "gross_paid"}))
    legs = list(entries.find({"batch": booked["batch"]}))
    by_mallory = {"createdBy": "mallory", "createdAt": dt.datetime.now(tz=dt.UTC), "batch": "b-mallory"}
    for number, leg in enumerate(legs):
        entries.insert_one({**leg, **by_mallory, "_id": f"m{number}", "idempotencyKey": f"m{number}"})
    heard = recon.audit(dt.timedelta(minutes=10), config=live)
    assert {each.who for each in heard.events if each.source == "ledger"} >= {"mallory"}
    nothing = recon.ledger.reverse(names[:1], from_at=dt.timedelta(hours=1), by="mallory", config=live, reason="theft")
    assert nothing.plan is None
    planned = recon.ledger.reverse(
        names[1:2], from_at=dt.timedelta(hours=1), by="mallory", config=live, reason="theft", out=folder / "theft.json"
    ).plan
    assert planned is not None
    assert [len(deed.documents) for deed in planned.deeds] == [2]
    done = recon.repair.apply(planned, digest=planned.digest, config=live)
    assert [row.result.value for row in done.rows] == ["applied"]
    assert {each["reversalOf"] for each in entries.find({"note": "theft"})} == {"m0", "m1"}


def _payment(database: Database[dict[str, Any]], name: str) -> Any:
    return next(row["_id"] for row in database.payments.find() if str(row["_id"]) == name.strip('"'))
