"""Logs and records as earlier versions wrote them: they load, are gone on with, and still are written byte for byte."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from recon.core.people import Person
from recon.files import ChainedLog
from recon.plans.approvals import DecisionRecords
from recon.plans.history import append_history, load_history
from recon.rails.flags.errors import JournalBrokenError
from recon.rails.flags.journal import FlagJournal
from recon.rails.gates.evidence import HEALTH_FILE, append_health, load_health
from recon.rails.gates.records import HealthRecord
from recon.runs.stores.journal import FileJournal, Note, verify_journal
from tests.support.plans import a_plan

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)

FLAGS = [
    '{"at":"2026-11-20T12:00:00.000Z","body":{"n":0},'
    '"digest":"07a18d6f80c577a8e53ca0f1240b2c99eea5b946246573640c4a9d8341a079a3","format":1,"kind":"intent",'
    '"prev":"0000000000000000000000000000000000000000000000000000000000000000","run":"r1","seq":0,"torn":""}',
    '{"at":"2026-11-20T12:00:00.000Z","body":{"n":1},'
    '"digest":"0f25f21395a409d588ad6db87cb3c50c4d40b17f929cd13aac15c5ab951c9add","format":1,"kind":"intent",'
    '"prev":"07a18d6f80c577a8e53ca0f1240b2c99eea5b946246573640c4a9d8341a079a3","run":"r1","seq":1,"torn":""}',
    '{"at":"2026-11',
    '{"at":"2026-11-20T12:01:00.000Z","body":{"n":2},'
    '"digest":"039dc4ef247b4556011bc52dcf856c8704d5249b56faa46b65d2e6a7c16aa736","format":1,"kind":"outcome",'
    '"prev":"0f25f21395a409d588ad6db87cb3c50c4d40b17f929cd13aac15c5ab951c9add","run":"r2","seq":2,'
    '"torn":"363cccfb89d9197d91349ae7d1c008182188e534d313602edba1925023d90718"}',
]
RUNS = [
    "059f5facf4275a5c5c75fe2403cb2a69db8b92d68e8a4e27572257617940b8b8 "
    '{"at":"t","body":{"n":0},"change":null,"kind":"run","payment":null,'
    '"prev":"0000000000000000000000000000000000000000000000000000000000000000","run":"r","seq":1,"token":1,"v":1}',
    "ad7b4a5d18ade12b57dd1c9cdc57f0e134a824c511564b6fe0245eb6b97f057a "
    '{"at":"t","body":{"n":"é"},"change":"c0","kind":"intent","payment":"p0",'
    '"prev":"059f5facf4275a5c5c75fe2403cb2a69db8b92d68e8a4e27572257617940b8b8","run":"r","seq":2,"token":0,"v":1}',
]
HISTORY = [
    '{"at":"2026-11-19T12:00:00Z","break_count":1,"breaks":["k1"],"digest":"aaaaaaaa","format":1,'
    '"kind":"correction","target":"t"}',
    '{"at":"2026-11-20T12:00:00Z","break_count":1,"breaks":["k1"],"digest":"bbbbbbbb","format":1,'
    '"kind":"correction","target":"t"}',
]
HEALTH = [
    '{"at": "2026-11-20T12:00:00+00:00", "format": 1, "ok": true, "provider": "shkeeper", "why": "HTTP 200"}',
    '{"at": "2026-11-20T12:02:00+00:00", "format": 1, "ok": false, "provider": "shkeeper", "why": "HTTP 503"}',
]
AUTHOR = (
    "5579180956cf65d7903022f5d168fff6e2231f7b61a0075d1a98b649996bc2d0\n"
    '{"at":"2026-11-20T12:00:00.000Z","digest":"dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd",'
    '"who":"Ann"}\n'
)
NOTES = (
    Note("r", "run", "t", {"n": 0}, token=1),
    Note("r", "intent", "t", {"n": "é"}, change="c0", payment="p0"),
)


def text(lines: list[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def test_a_flag_journal_is_read_gone_on_with_and_written_as_ever(tmp_path: Path) -> None:
    old = tmp_path / "old.ndjson"
    old.write_bytes(text(FLAGS))
    journal = FlagJournal(old)
    assert [(entry.seq, entry.kind, entry.body["n"]) for entry in journal.read()] == [
        (0, "intent", 0), (1, "intent", 1), (2, "outcome", 2),
    ]  # fmt: skip
    added = journal.append(at="t", run="r3", kind="intent", body={"n": 3}, state="-")
    assert (added.seq, old.read_bytes().startswith(text(FLAGS))) == (3, True)
    assert len(FlagJournal(old).read()) == 4

    again = FlagJournal(tmp_path / "new.ndjson")
    for number in range(2):
        again.append(at="2026-11-20T12:00:00.000Z", run="r1", kind="intent", body={"n": number}, state="-")
    with again.path.open("ab") as file:
        file.write(FLAGS[2].encode())
    again.append(at="2026-11-20T12:01:00.000Z", run="r2", kind="outcome", body={"n": 2}, state="-")
    assert again.path.read_bytes() == text(FLAGS)


def test_a_flag_journal_is_read_whole_once_and_by_its_end_from_then_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "old.ndjson"
    path.write_bytes(text(FLAGS))
    journal, starts, real = FlagJournal(path), [], ChainedLog.lines

    def lines(self: ChainedLog, *, start: int = 0) -> object:
        starts.append(start)
        return real(self, start=start)

    monkeypatch.setattr(ChainedLog, "lines", lines)
    sizes = []
    for number in range(3, 6):
        sizes.append(path.stat().st_size)
        journal.append(at="t", run="r3", kind="intent", body={"n": number}, state="-")
    assert starts == [0, sizes[0], sizes[1]]
    # Another process adds meanwhile: what it added is checked before the next entry.
    FlagJournal(path).append(at="t", run="r4", kind="intent", body={"n": 6}, state="-")
    assert journal.append(at="t", run="r3", kind="outcome", body={"n": 7}, state="-").seq == 7
    with path.open("ab") as file:
        file.write(b"put in\n")
    before = path.read_bytes()
    with pytest.raises(JournalBrokenError, match="line 10 is no entry"):
        journal.append(at="t", run="r3", kind="outcome", body={"n": 8}, state="-")
    assert path.read_bytes() == before


def test_a_run_journal_is_read_gone_on_with_and_written_as_ever(tmp_path: Path) -> None:
    path = tmp_path / "journal.ndjson"
    path.write_bytes(text(RUNS) + b"ad7b4a5d half a line")
    journal = FileJournal(tmp_path)
    assert [entry.note for entry in journal.entries()] == list(NOTES)
    assert verify_journal(journal).is_whole
    journal.append([Note("r", "end", "t", {})])
    assert path.read_bytes().startswith(text(RUNS))
    assert (verify_journal(journal).entries, verify_journal(journal).is_whole) == (3, True)

    again = FileJournal(tmp_path / "new")
    again.append(NOTES)
    assert (tmp_path / "new" / "journal.ndjson").read_bytes() == text(RUNS)


def test_a_history_without_a_chain_is_read_and_gone_on_with(tmp_path: Path) -> None:
    path = tmp_path / "history.ndjson"
    path.write_bytes(text([HISTORY[0], '{"at":"2026-', HISTORY[1]]))
    history = load_history(tmp_path)
    assert [entry["digest"] for entry in history.entries] == ["aaaaaaaa", "bbbbbbbb"]
    assert (history.unreadable, history.changed) == (1, 0)
    append_history(tmp_path, {"format": 1, "at": "2026-11-21T12:00:00Z", "digest": "cccccccc"})
    append_history(tmp_path, {"format": 1, "at": "2026-11-22T12:00:00Z", "digest": "dddddddd"})
    history = load_history(tmp_path)
    assert [entry["digest"][0] for entry in history.entries] == ["a", "b", "c", "d"]
    assert all("prev" not in entry for entry in history.entries), "the chain is the log's own affair"
    assert (history.unreadable, history.changed) == (1, 0)
    path.write_bytes(path.read_bytes().replace(b"cccccccc", b"forged00"))
    history = load_history(tmp_path)
    assert (len(history.entries), history.changed) == (3, 1), "history never stops today's work, and says so"


def test_health_checks_without_a_chain_are_read_and_gone_on_with(tmp_path: Path) -> None:
    path = tmp_path / HEALTH_FILE
    path.write_bytes(text(HEALTH))
    assert [(check.is_ok, check.why) for check in load_health(tmp_path)] == [(True, "HTTP 200"), (False, "HTTP 503")]
    append_health(tmp_path, HealthRecord(NOON, "shkeeper", True, "fine"))
    assert [check.is_ok for check in load_health(tmp_path)] == [True, False, True]


def test_a_bad_health_check_that_was_changed_to_a_good_one_is_no_good_one(tmp_path: Path) -> None:
    for is_ok in (True, False, True):
        append_health(tmp_path, HealthRecord(NOON, "shkeeper", is_ok, "-"))
    path = tmp_path / HEALTH_FILE
    path.write_bytes(path.read_bytes().replace(b'"ok":false', b'"ok":true'))
    checks = load_health(tmp_path)
    assert [check.is_ok for check in checks] == [True, False, False, True]
    assert "line 2 was changed" in checks[1].why


def test_a_decision_is_read_and_written_as_ever(tmp_path: Path) -> None:
    plan = replace(a_plan(), digest="d" * 64)
    old = tmp_path / "old"
    old.mkdir()
    (old / f"author-{'d' * 32}.json").write_text(AUTHOR)
    assert DecisionRecords(old).author(plan, now=NOON) == (Person("Ann"),)
    DecisionRecords(old).note_author(plan, who="Ben", at=NOON)
    assert DecisionRecords(old).author(plan, now=NOON) == (Person("Ann"),)
    DecisionRecords(tmp_path / "new").note_author(plan, who="Ann", at=NOON)
    assert (tmp_path / "new" / f"author-{'d' * 32}.json").read_text() == AUTHOR
