"""Case files: redacted, consistent, free of secrets, and replaying to the same verdict and causes."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from recon.files import FileThereError
from recon.investigation.payment import Inspection, inspect_payment
from recon.investigation.payment.casefile import (
    DROPPED,
    CaseFileError,
    Redactor,
    _sealed_bytes,
    case_json,
    load_case,
    read_case,
    save_case,
)
from recon.reports import render_report
from recon.reports.views.inspection import render_inspection
from recon.setup.open_sources import open_sources
from recon.snapshots.take import open_snapshot
from tests.support.inspecting import Scene, asking_of, at_unnamed_forwarder, looked_at, scene, written
from tests.support.thorough import LARGER

PLANTS = (
    "webhook_lost", "wrong_reference", "two_requests_paid", "gateway_lost_the_credit", "underpaid_open",
    "release_stuck", "disputed_and_behind", "completed", "malformed_amount_text", "not_final_yet",
    "two_invoices_one_address",
)  # fmt: skip


def saved(made: Scene, folder: Path) -> tuple[Inspection, Path]:
    found = looked_at(made, folder)
    path = folder / "case.json"
    save_case(found, path, made_at=made.world.recorded.now)
    return found, path


def names(found: Inspection) -> list[tuple[str, int]]:
    return [(cause.name, int(cause.strength)) for cause in found.causes]


@pytest.mark.parametrize("plant", PLANTS)
def test_a_case_replays_to_the_same_verdict_causes_and_evidence(plant: str, tmp_path: Path) -> None:
    found, path = saved(scene(plant), tmp_path)
    again = load_case(path)
    assert found.judged is not None
    assert again.judged is not None
    assert again.judged.finding.verdict is found.judged.finding.verdict
    assert again.judged.finding.findings == found.judged.finding.findings
    assert names(again) == names(found)
    assert [event.at_ms for event in again.timeline] == [event.at_ms for event in found.timeline]


@pytest.mark.parametrize(
    "path", sorted((Path(__file__).parents[2] / "cases").glob("*.json")), ids=lambda path: path.stem
)
def test_every_kept_case_still_gets_the_verdict_and_the_causes_it_was_frozen_with(path: Path) -> None:
    """A case file put into ``tests/cases`` is a test from then on."""
    frozen = json.loads(path.read_text(encoding="utf-8"))
    found = load_case(path)
    assert found.judged is not None
    assert found.judged.finding.verdict == frozen["verdict"]
    assert [{"name": c.name, "strength": c.strength.name.lower()} for c in found.causes] == frozen["causes"]


def test_a_case_knows_the_forwarder_that_only_the_factory_knew(tmp_path: Path) -> None:
    found, path = saved(at_unnamed_forwarder(), tmp_path)
    assert found.causes[0].name == "forwarder_holds_it"
    assert names(load_case(path)) == names(found)


def test_a_case_of_what_no_row_knows_replays_too(tmp_path: Path) -> None:
    made = scene("orphan_request")
    found = looked_at(made, tmp_path, text=made.world.truths[0].payment_id.split(":")[-1])
    path = tmp_path / "case.json"
    save_case(found, path, made_at=made.world.recorded.now)
    assert load_case(path).dossier.found_by == found.dossier.found_by


def test_personal_fields_get_the_same_stand_in_everywhere_and_are_gone(tmp_path: Path) -> None:
    made = scene("two_requests_paid")
    for document in made.documents:
        document["customerName"] = "Ada Example"
        document["metadata"] = {**document.get("metadata", {}), "note": "ada@example.org called from 198.51.100.7"}
    buyer = str(made.document["buyerId"])
    _, path = saved(made, tmp_path)
    text = path.read_text()
    for personal in ("Ada Example", "ada@example.org", "198.51.100.7", buyer):
        assert personal not in text
    case = json.loads(text)
    rows = case["tables"]["payments"] + case["tables"]["context"]
    assert len({row["buyer_id"] for row in rows}) == 1
    assert rows[0]["buyer_id"].startswith("person-")


def test_secrets_are_never_in_a_case(tmp_path: Path) -> None:
    made = scene("webhook_lost", rail="request_network")
    made.document["metadata"] = {
        **made.document.get("metadata", {}), "apiKey": "sk-live-abcdef1234567890", "webhookSecret": "hush-hush",
        "forwarderAddress": "see https://user:pass@hooks.example/path?token=topsecret",
        "payout": {"approvedBy": "root", "privateKey": "0x" + "99" * 32},
    }  # fmt: skip
    _, path = saved(made, tmp_path)
    text = path.read_text()
    for secret in ("sk-live-abcdef1234567890", "hush-hush", "topsecret", "user:pass", "99" * 32):
        assert secret not in text


def test_what_is_dropped_and_what_stays() -> None:
    redactor = Redactor(b"salt")
    value: dict[str, Any] = {
        "buyerId": {"$oid": "665f1c2e9b1d8a0012345678"}, "customerAddress": "0x" + "ab" * 20, "password": "x",
        "list": [{"email": "a@b.example"}], "amount": {"amount": {"$numberDouble": "1.5"}}, "status": "pending",
    }  # fmt: skip
    made = redactor.value(value)
    assert made["buyerId"]["$oid"] == redactor.stand_in("665f1c2e9b1d8a0012345678")
    assert made["customerAddress"] == value["customerAddress"], "chain addresses are the evidence"
    assert made["password"] == DROPPED
    assert made["list"][0]["email"].startswith("person-")
    assert (made["amount"], made["status"]) == (value["amount"], "pending")
    assert redactor.text("see https://a.example/secret/path") == "see https://a.example"
    assert Redactor(b"other").stand_in("x") != redactor.stand_in("x")


def test_documents_nested_without_end_do_not_break_it() -> None:
    deep: Any = "bottom"
    for _ in range(200):
        deep = {"inner": deep}
    assert "bottom" not in json.dumps(Redactor(b"s").value(deep))


def test_the_same_case_with_the_same_salt_is_the_same_bytes(tmp_path: Path) -> None:
    made = scene("webhook_lost", rail="request_network")
    found = looked_at(made, tmp_path)
    first, second = (case_json(found, made_at=made.world.recorded.now, salt=b"s") for _ in range(2))
    assert json.dumps(first) == json.dumps(second)
    assert "salt" not in first


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"kind": "recon-case"}', '{"kind": "recon-case", "format": 99}', "\x00", "[" * 5000,
             '{"kind": "recon-case", "format": 1, "asked": "x"}']
)  # fmt: skip
def test_what_is_no_case_is_refused_in_one_sentence(text: str, tmp_path: Path) -> None:
    path = tmp_path / "case.json"
    path.write_text(text)
    with pytest.raises(CaseFileError) as caught:
        load_case(path)
    assert "\n" not in str(caught.value)


def test_a_case_with_cells_of_another_kind_is_refused(tmp_path: Path) -> None:
    _, path = saved(scene("underpaid_open"), tmp_path)
    case = json.loads(path.read_text())
    case["tables"]["payments"][0]["chain_id"] = "56"
    del case["seal"]
    path.write_text(json.dumps({**case, "format": 1}))
    with pytest.raises(CaseFileError, match="kind int"):
        load_case(path)


def test_a_case_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    made = scene("completed")
    found = looked_at(made, tmp_path)
    with pytest.raises(CaseFileError):
        save_case(found, tmp_path / "no" / "case.json", made_at=made.world.recorded.now)
    path = tmp_path / "case.json"
    path.write_text("another case")
    with pytest.raises(FileThereError):
        save_case(found, path, made_at=made.world.recorded.now)
    assert path.read_text() == "another case"
    path.unlink()
    save_case(found, path, made_at=made.world.recorded.now)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_case_from_a_snapshot_is_the_same_as_one_from_the_sources(tmp_path: Path) -> None:
    from recon.snapshots.take import take_snapshot

    made = scene("webhook_lost", rail="request_network")
    settings = written(made, tmp_path)
    asking = asking_of(settings, [])
    with open_sources(settings) as sources:
        afresh = inspect_payment(made.payment_id, asking=asking, sources=sources)
        take_snapshot(
            sources, selection=settings.selection(), policy=settings.policy(), registry=settings.registry(),
            now=settings.now(), out=tmp_path / "snapshot",
        )  # fmt: skip
    stored = inspect_payment(made.payment_id, asking=asking, snapshot=open_snapshot(tmp_path / "snapshot"))
    assert names(stored) == names(afresh)


def test_a_replayed_case_prints_in_every_format(tmp_path: Path) -> None:
    _, path = saved(scene("webhook_lost", rail="request_network"), tmp_path)
    report = render_inspection(load_case(path))
    outputs = [render_report(report, output="md"), render_report(report, output="json"),
               render_report(report, output="csv", part="causes"), render_report(report, output="table")]  # fmt: skip
    assert all("webhook_never_delivered" in text.replace("\\", "") for text in outputs)


def test_every_changed_byte_of_a_case_is_noticed(tmp_path: Path, record_property: Any) -> None:
    _, path = saved(scene("underpaid_open"), tmp_path)
    data = path.read_bytes()
    quiet, blows = [], 0
    for place in range(len(data)):
        # At night all three at each place; else a turned bit, a blank and a zero by turns: what would let one of them
        # through would let it through at many places.
        every = (data[place] ^ 1, ord(" "), ord("0"))
        for byte in {*(every if LARGER else every[place % 3 : place % 3 + 1])} - {data[place]}:
            blows += 1
            path.write_bytes(data[:place] + bytes([byte]) + data[place + 1 :])
            try:
                read_case(path)
            except CaseFileError:
                continue
            quiet.append((place, byte))
    assert quiet == []
    record_property("blows", blows)
    for other in (data[:-1], data + b"\n", b"\n" + data, data.replace(b"\n", b"\r\n"), data.replace(b' "', b'  "', 1)):
        path.write_bytes(other)
        with pytest.raises(CaseFileError):
            read_case(path)
    path.write_bytes(data)
    assert load_case(path).case_notes == ()


def test_a_case_without_its_seal_is_refused_or_told(tmp_path: Path) -> None:
    _, path = saved(scene("underpaid_open"), tmp_path)
    case = json.loads(path.read_text())
    del case["seal"]
    path.write_text(json.dumps(case))
    with pytest.raises(CaseFileError, match="its seal does not fit"):
        load_case(path)
    path.write_text(json.dumps({**case, "format": 1}))
    found = load_case(path)
    assert found.case_notes == ("the file has no seal, so whether it was changed is not known",)
    assert any(fact.alarm and fact.name == "case" for fact in render_inspection(found).facts)


def test_a_verdict_that_is_another_now_is_told(tmp_path: Path) -> None:
    _, path = saved(scene("underpaid_open"), tmp_path)
    case = json.loads(path.read_text())
    path.write_bytes(_sealed_bytes({**case, "verdict": "in_sync"}))
    (note,) = load_case(path).case_notes
    assert note.startswith("the verdict was in_sync when the file was made and is underpaid")
