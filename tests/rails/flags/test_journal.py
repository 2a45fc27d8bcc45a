"""The journal only grows, and every edit of it shows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from recon.rails.flags.errors import JournalBrokenError, JournalWriteError
from recon.rails.flags.journal import FlagJournal


def filled(tmp_path: Path, count: int = 4) -> FlagJournal:
    journal = FlagJournal(tmp_path / "out" / "journal.ndjson")
    for number in range(count):
        journal.append(at="2026-11-20T12:00:00.000Z", run="r1", kind="intent", body={"n": number}, state="-")
    return journal


def test_what_is_appended_is_read_in_order(tmp_path: Path) -> None:
    journal = filled(tmp_path)
    assert [entry.body["n"] for entry in journal.read()] == [0, 1, 2, 3]
    assert [entry.seq for entry in journal.read()] == [0, 1, 2, 3]
    assert journal.path.stat().st_mode & 0o777 == 0o600


def test_no_file_is_an_empty_journal(tmp_path: Path) -> None:
    assert FlagJournal(tmp_path / "none").read() == ()


@pytest.mark.parametrize("line", [0, 1, 2])
def test_an_edited_line_is_named(tmp_path: Path, line: int) -> None:
    journal = filled(tmp_path)
    lines = journal.path.read_text().splitlines()
    lines[line] = lines[line].replace(f'"n":{line}', '"n":9')
    journal.path.write_text("\n".join(lines) + "\n")
    with pytest.raises(JournalBrokenError, match=f"line {line + 1} was changed after it was written"):
        journal.read()


def test_a_line_edited_with_its_digest_breaks_the_next(tmp_path: Path) -> None:
    from recon.core.canonical import canonical_json, sha256_hex

    journal = filled(tmp_path)
    lines = journal.path.read_text().splitlines()
    raw = json.loads(lines[1])
    raw["body"] = {"n": 9}
    del raw["digest"]
    raw["digest"] = sha256_hex(canonical_json(raw))
    lines[1] = canonical_json(raw)
    journal.path.write_text("\n".join(lines) + "\n")
    with pytest.raises(JournalBrokenError, match="line 3 does not follow"):
        journal.read()


@pytest.mark.parametrize("order", [[0, 2, 3], [1, 2, 3], [0, 2, 1, 3], [0, 1, 1, 2, 3]])
def test_a_line_taken_out_moved_or_doubled_is_named(tmp_path: Path, order: list[int]) -> None:
    journal = filled(tmp_path)
    lines = journal.path.read_text().splitlines()
    journal.path.write_text("\n".join(lines[number] for number in order) + "\n")
    with pytest.raises(JournalBrokenError, match="does not follow"):
        journal.read()


def test_nothing_is_added_to_a_broken_journal(tmp_path: Path) -> None:
    journal = filled(tmp_path)
    journal.path.write_text("junk\n" + journal.path.read_text())
    before = journal.path.read_bytes()
    with pytest.raises(JournalBrokenError):
        journal.append(at="t", run="r", kind="k", body={}, state="-")
    assert journal.path.read_bytes() == before


@pytest.mark.parametrize("cut", [1, 20, 200])
def test_half_a_line_of_an_interrupted_write_is_passed_over_and_marked(tmp_path: Path, cut: int) -> None:
    journal = filled(tmp_path)
    data = journal.path.read_bytes()
    last = data[:-1].rfind(b"\n") + 1
    journal.path.write_bytes(data[: last + cut])
    assert len(journal.read()) == 3
    journal.append(at="t", run="r2", kind="intent", body={"n": "new"}, state="-")
    assert [entry.body["n"] for entry in journal.read()] == [0, 1, 2, "new"]
    journal.append(at="t", run="r2", kind="outcome", body={"n": "more"}, state="-")
    assert len(journal.read()) == 5
    journal.path.write_bytes(journal.path.read_bytes().replace(data[last : last + cut] + b"\n", b"{" * cut + b"\n", 1))
    if cut > 1:
        with pytest.raises(JournalBrokenError):
            journal.read()


def test_a_last_line_that_lost_only_its_end_counts(tmp_path: Path) -> None:
    journal = filled(tmp_path)
    journal.path.write_bytes(journal.path.read_bytes()[:-1])
    assert len(journal.read()) == 4
    journal.append(at="t", run="r2", kind="intent", body={"n": 4}, state="-")
    assert [entry.body["n"] for entry in journal.read()] == [0, 1, 2, 3, 4]


def test_junk_at_the_end_is_no_interrupted_write(tmp_path: Path) -> None:
    journal = filled(tmp_path)
    journal.path.write_bytes(journal.path.read_bytes() + b"{}\n")
    with pytest.raises(JournalBrokenError, match="line 5 is no entry"):
        journal.read()


def test_a_full_disk_says_how_things_stand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = filled(tmp_path)
    real = __import__("os").write
    monkeypatch.setattr("recon.files.os.write", lambda handle, data: real(handle, data[:10]))
    with pytest.raises(JournalWriteError, match=r"no space left on device\); the flag file is as it was"):
        journal.append(at="t", run="r", kind="k", body={}, state="the flag file is as it was")
    monkeypatch.undo()
    journal.append(at="t", run="r", kind="k", body={"n": 4}, state="-")
    assert len(journal.read()) == 5


def test_two_runs_do_not_write_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recon.rails.flags.journal.LOCK_WAIT_S", 0.05)
    first, second = filled(tmp_path), FlagJournal(tmp_path / "out" / "journal.ndjson")
    with first.held(), pytest.raises(JournalWriteError, match="another run is changing flags"), second.held():
        pass
    with second.held():
        pass
