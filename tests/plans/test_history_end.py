"""Of a long history the end is read, and the end is held to its chain like the whole."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from recon.files import ChainedLog
from recon.plans import history
from recon.plans.history import FILE_NAME, append_history, load_history, newest_entry
from tests.support.watched import a_line

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A hundred days with four lines each, read in small stretches."""
    monkeypatch.setattr("recon.files._TAIL_BYTES", 2_000)
    monkeypatch.setattr("recon.files.os.fsync", lambda handle: None)
    for number in range(400):
        append_history(tmp_path, a_line(BEGIN + number * DAY / 4, breaks=number, units=number))
    return tmp_path


def breaks(folder: Path, days: int) -> list[int]:
    return [entry["break_count"] for entry in load_history(folder, span=days * DAY).entries]


def lines_of(folder: Path) -> list[bytes]:
    return (folder / FILE_NAME).read_bytes().splitlines()


def put(folder: Path, lines: list[bytes]) -> None:
    (folder / FILE_NAME).write_bytes(b"\n".join(lines) + b"\n")


@pytest.mark.parametrize("days", [1, 7, 30])
def test_the_end_reaches_as_far_back_as_is_asked_and_not_much_further(folder: Path, days: int) -> None:
    found = breaks(folder, days)
    assert found == [*range(found[0], 400)]
    assert 400 - days * 4 - 60 - days * 4 <= found[0] <= 400 - days * 4 - 1
    assert not load_history(folder, span=days * DAY).is_whole


def test_a_span_longer_than_the_history_is_all_of_it(folder: Path) -> None:
    assert breaks(folder, 1000) == [*range(400)]
    assert load_history(folder, span=1000 * DAY) == load_history(folder)
    assert load_history(folder / "none", span=DAY).entries == ()


def test_a_line_of_the_end_that_was_changed_taken_out_or_put_in_is_counted(folder: Path) -> None:
    lines = lines_of(folder)
    put(folder, [*lines[:395], lines[395].replace(b'"break_count":395', b'"break_count":0'), *lines[396:]])
    found = load_history(folder, span=DAY)
    assert (found.changed, found.unreadable) == (1, 1)
    put(folder, [*lines[:395], *lines[396:]])
    assert load_history(folder, span=DAY).changed == 1
    unsealed = json.dumps(a_line(BEGIN + 99 * DAY, breaks=0, units=0)).encode()
    put(folder, [*lines[:396], unsealed, *lines[396:]])
    assert load_history(folder, span=DAY).unreadable == 1, "after sealed lines one without a seal counts for nothing"
    assert len(load_history(folder, span=DAY).lost_after) >= 1


def test_the_end_never_begins_with_a_line_that_no_seal_vouches_for(folder: Path) -> None:
    lines = lines_of(folder)
    older = [json.dumps(a_line(BEGIN, breaks=0, units=0)).encode()] * 300
    put(folder, [*older, *lines])
    assert breaks(folder, 7)[-1] == 399
    put(folder, [*lines, *older])
    found = load_history(folder, span=DAY)
    assert found.unreadable == 300, "what has no seal counts for nothing, and its times are not believed"
    assert found.entries[-1]["break_count"] == 399


def test_a_clock_that_was_ahead_for_a_while_loses_no_line(folder: Path) -> None:
    append_history(folder, a_line(BEGIN + 500 * DAY, breaks=400, units=0))
    append_history(folder, a_line(BEGIN + 100 * DAY, breaks=401, units=0))
    assert set(range(372, 402)) <= set(breaks(folder, 7))


def test_the_newest_of_a_target_is_found_however_old_it_is(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    real = ChainedLog.entries

    def counted(log: ChainedLog, *, start: int = 0) -> object:
        read.append(start)
        return real(log, start=start)

    monkeypatch.setattr(history.ChainedLog, "entries", counted)
    found = newest_entry(folder, target="shop")
    assert found is not None
    assert found["break_count"] == 399
    assert len(read) == 1
    assert read[0] > 0, "the end was enough"
    append_history(folder, a_line(BEGIN + 130 * DAY, breaks=7, units=0, target="other"))
    found = newest_entry(folder, target="shop")
    assert found is not None
    assert found["break_count"] == 399
    assert newest_entry(folder, target="none") is None
