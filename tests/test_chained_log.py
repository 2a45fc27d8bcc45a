"""A log shows every edit and survives every crash."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import resource
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from recon.files import (
    GENESIS,
    ChainedLog,
    FileThereError,
    LogEnd,
    LongLineError,
    NoRoomError,
    replace_file,
    save_new,
)
from tests.support.sick_disk import fail_at, mode_of, names

Writer = Callable[[Path, bytes], None]
WRITERS: tuple[Writer, ...] = (save_new, replace_file)
CALLS = ("open", "write", "fsync", "close")


@pytest.fixture(autouse=True)
def usual_umask() -> Iterator[None]:
    """The umask under which files are readable for everybody unless their writer says otherwise."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def line_of(body: dict[str, Any], before: bytes | None) -> bytes:
    """A line as anybody can make and check it with sha256sum."""
    prev = GENESIS if before is None else hashlib.sha256(before).hexdigest()
    linked = json.dumps({**body, "prev": prev}, sort_keys=True, separators=(",", ":")).encode()
    sealed = {**json.loads(linked), "seal": hashlib.sha256(linked).hexdigest()}
    return json.dumps(sealed, sort_keys=True, separators=(",", ":")).encode()


def filled(folder: Path, count: int = 4) -> ChainedLog:
    log = ChainedLog(folder / "history.ndjson")
    for number in range(count):
        log.add({"n": number})
    return log


def found(log: ChainedLog) -> list[Any]:
    return [entry.body and entry.body["n"] for entry in log.entries()]


def breaks(log: ChainedLog) -> list[int]:
    return [entry.number for entry in log.entries() if not entry.follows]


def test_each_line_names_the_one_before(tmp_path: Path) -> None:
    log = filled(tmp_path / "new" / "out", 3)
    lines = log.path.read_bytes().split(b"\n")
    assert lines[3] == b""
    for number, before in enumerate([None, lines[0], lines[1]]):
        assert lines[number] == line_of({"n": number}, before)
    assert (found(log), breaks(log)) == ([0, 1, 2], [])
    assert mode_of(log.path) == 0o600
    assert mode_of(log.path.parent) == 0o700


def test_no_log_is_an_empty_one(tmp_path: Path) -> None:
    assert list(ChainedLog(tmp_path / "none").entries()) == []
    assert list(ChainedLog(tmp_path / "none").lines()) == []


def test_an_edited_line_shows_also_where_it_is_the_last(tmp_path: Path) -> None:
    log = filled(tmp_path)
    whole = log.path.read_bytes()
    for number in range(4):
        log.path.write_bytes(whole.replace(f'"n":{number}'.encode(), b'"n":9'))
        assert breaks(log) == [number + 1]
        assert found(log) == [None if each == number else each for each in range(4)]
    # One from which the seal is taken as well is found out by the seals before it.
    last = whole.splitlines(keepends=True)[-1]
    log.path.write_bytes(whole.replace(last, last.replace(b'"n":3', b'"n":9').replace(b'"seal"', b'"sole"')))
    assert breaks(log) == [4]


@pytest.mark.parametrize(("order", "at"), [([0, 2, 3], [2]), ([1, 2, 3], [1]), ([0, 2, 1, 3], [2, 3, 4]),
                                           ([0, 1, 1, 2, 3], [3])])  # fmt: skip
def test_a_line_taken_out_moved_or_doubled_shows(order: list[int], at: list[int], tmp_path: Path) -> None:
    log = filled(tmp_path)
    lines = log.path.read_bytes().splitlines(keepends=True)
    log.path.write_bytes(b"".join(lines[number] for number in order))
    assert breaks(log) == at


def test_a_line_without_a_chain_put_into_one_shows(tmp_path: Path) -> None:
    log = filled(tmp_path, 2)
    with log.path.open("ab") as file:
        file.write(b'{"n": "put in"}\n')
    assert (found(log), breaks(log)) == ([0, 1, None], [3])


def test_lines_of_before_there_was_a_chain_are_read_and_chained_to(tmp_path: Path) -> None:
    path = tmp_path / "history.ndjson"
    path.write_bytes(b'{"n":"old"}\n\n{"n": "older"}\n')
    log = ChainedLog(path)
    assert (found(log), breaks(log)) == (["old", "older"], [])
    log.add({"n": "new"})
    assert path.read_bytes().startswith(b'{"n":"old"}\n\n{"n": "older"}\n')
    assert path.read_bytes().endswith(line_of({"n": "new"}, b'{"n": "older"}') + b"\n")
    assert (found(log), breaks(log)) == (["old", "older", "new"], [])
    path.write_bytes(path.read_bytes().replace(b'"older"', b'"edited"'))
    assert breaks(log) == [4], "from the first chained line on, the last old one is covered"


@pytest.mark.parametrize("cut", [1, 5, 20])
def test_half_a_line_of_an_interrupted_write_breaks_no_chain(cut: int, tmp_path: Path) -> None:
    log = filled(tmp_path)
    data = log.path.read_bytes()
    last = data[:-1].rfind(b"\n") + 1
    log.path.write_bytes(data[: last + cut])
    assert (found(log), breaks(log)) == ([0, 1, 2, None], [])
    log.add({"n": 4})
    assert (found(log), breaks(log)) == ([0, 1, 2, None, 4], [])
    log.path.write_bytes(log.path.read_bytes().replace(data[last : last + cut] + b"\n", b"x\n"))
    assert breaks(log) == [5]


def test_a_last_line_that_lost_only_its_end_counts(tmp_path: Path) -> None:
    log = filled(tmp_path)
    log.path.write_bytes(log.path.read_bytes()[:-1])
    log.add({"n": 4})
    assert (found(log), breaks(log)) == ([0, 1, 2, 3, 4], [])


def test_a_log_that_cuts_torn_lines_begins_again_at_the_last_whole_one(tmp_path: Path) -> None:
    path = tmp_path / "journal.ndjson"
    path.write_bytes(b"one\ntwo\nhal")
    ends: list[LogEnd] = []

    def seal(end: LogEnd) -> bytes:
        ends.append(end)
        return b"three\nfour\n"

    ChainedLog(path, cuts_torn=True).append(seal)
    assert path.read_bytes() == b"one\ntwo\nthree\nfour\n"
    assert ends == [LogEnd(size=11, line=b"two", torn=b"hal")]


@pytest.mark.parametrize(
    "text", [b"", b"\n", b"one", b"one\n", b"one\n\n", b"one\ntw", b"\ntw", b"x" * 200_000 + b"\ny"]
)
def test_the_end_is_found_without_reading_the_rest(text: bytes, tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"".join([b"0" * 100_000, b"\n", text]))
    ends: list[LogEnd] = []
    ChainedLog(path, cuts_torn=True).append(lambda end: ends.append(end) or b"")  # type: ignore[func-returns-value]
    *whole, torn = (b"0" * 100_000 + b"\n" + text).split(b"\n")
    assert (ends[0].line, ends[0].torn) == (whole[-1], torn)


def test_adding_to_a_long_log_reads_only_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = filled(tmp_path, 1)
    log.path.write_bytes(b'{"n":0}\n' * 500_000)
    read, real = 0, os.pread

    def counted(handle: int, size: int, offset: int) -> bytes:
        nonlocal read
        read += size
        return real(handle, size, offset)

    monkeypatch.setattr("recon.files.os.pread", counted)
    monkeypatch.setattr(Path, "open", None)
    log.add({"n": 1})
    assert read <= 1 << 16


def test_a_file_that_is_no_log_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recon.files.LINE_MAX_BYTES", 200_000)
    path = tmp_path / "picture"
    path.write_bytes(b"x" * 1_000_000)
    with pytest.raises(LongLineError, match="picture: its last line has more than 200000 bytes"):
        ChainedLog(path).add({"n": 0})
    assert path.read_bytes() == b"x" * 1_000_000
    path.write_bytes(b"x" * 1_000_000 + b"\n")
    assert [(line.number, len(line.raw), line.end) for line in ChainedLog(path).lines()] == [(1, 200_000, 1_000_001)]


@pytest.mark.parametrize("call", ["write", "fsync", "second fsync"])
def test_a_failure_while_adding_leaves_the_log_as_it_was(call: str, tmp_path: Path) -> None:
    log = ChainedLog(tmp_path / "history.ndjson") if call.startswith("second") else filled(tmp_path)
    before = log.path.read_bytes() if log.path.exists() else b""
    with pytest.MonkeyPatch.context() as patch:
        fail_at(patch, call.removeprefix("second "), number=2 if call.startswith("second") else 1, code=errno.ENOSPC)
        with pytest.raises(NoRoomError, match=r"history.ndjson: it could not be written \(No space left on device\)"):
            log.add({"n": "new"})
    assert log.path.read_bytes() == before
    log.add({"n": "new"})
    assert (found(log)[-1], breaks(log)) == ("new", [])


def test_a_disk_that_fills_up_within_a_line_leaves_the_log_as_it_was(tmp_path: Path) -> None:
    log = filled(tmp_path)
    before, real = log.path.read_bytes(), os.write
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("recon.files.os.write", lambda handle, data: real(handle, data[:10]))
        with pytest.raises(NoRoomError):
            log.add({"n": "new"})
    assert log.path.read_bytes() == before


def test_what_a_form_of_its_own_refuses_leaves_the_log_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "journal.ndjson"
    path.write_bytes(b"one\nhal")

    def refuse(_: LogEnd) -> bytes:
        raise FileThereError(path="-")

    with pytest.raises(FileThereError):
        ChainedLog(path, cuts_torn=True).append(refuse)
    assert path.read_bytes() == b"one\nhal"


def test_many_writers_keep_one_chain(tmp_path: Path) -> None:
    def add(writer: int) -> None:
        for number in range(20):
            ChainedLog(tmp_path / "history.ndjson").add({"n": writer * 100 + number})

    threads = [threading.Thread(target=add, args=(writer,)) for writer in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    log = ChainedLog(tmp_path / "history.ndjson")
    assert sorted(found(log)) == sorted(writer * 100 + number for writer in range(4) for number in range(20))
    assert breaks(log) == []


def test_a_writer_that_never_ends_is_waited_for_only_so_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recon.files.LOCK_WAIT_S", 0.05)
    log = filled(tmp_path)
    before = log.path.read_bytes()

    def meanwhile(_: LogEnd) -> bytes:
        with pytest.raises(OSError, match="busy"):
            ChainedLog(log.path).add({"n": "other"})
        return b""

    log.append(meanwhile)
    assert log.path.read_bytes() == before


def test_a_log_is_read_in_bounded_memory(tmp_path: Path) -> None:
    path = tmp_path / "history.ndjson"
    with path.open("wb") as file:
        file.writelines(b'{"n":%d,"pad":"%s"}\n' % (number, b"x" * 10_000) for number in range(20_000))
    code = (
        "import resource, sys; from pathlib import Path; from recon.files import ChainedLog\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "assert sum(1 for _ in ChainedLog(Path(sys.argv[1])).entries()) == 20_000\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, timeout=120, check=True)
    assert int(done.stdout) < 20_000, "KB, of a log of 200 MB"


def test_a_real_limit_of_the_system_leaves_nothing_of_a_file_and_the_log_whole(tmp_path: Path) -> None:
    log = filled(tmp_path)
    before = log.path.read_bytes()
    code = (
        "import sys; from pathlib import Path; from recon.files import *\n"
        "folder = Path(sys.argv[1])\n"
        "for act in (lambda: save_new(folder / 'plan.json', [b'x' * 999] * 999),\n"
        "            lambda: ChainedLog(folder / 'history.ndjson').add({'n': 'x' * 9999})):\n"
        "    try: act()\n"
        "    except NoRoomError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, timeout=60, check=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000)),
    )  # fmt: skip
    assert done.stdout.count("it could not be written") == 2, done.stdout + done.stderr
    assert log.path.read_bytes() == before
    assert names(tmp_path) == ["history.ndjson"]


def test_the_last_entry_is_read_from_the_end_and_is_one_that_holds(tmp_path: Path) -> None:
    log = ChainedLog(tmp_path / "log.ndjson")
    assert log.last() is None
    for number in range(3):
        log.add({"number": number})
    assert log.last() == {"number": 2}
    with log.path.open("ab") as stream:
        stream.write(b'{"number":3,"pre')
    assert log.last() == {"number": 2}, "half a line is none"
    whole = log.path.read_bytes().rpartition(b"\n")[0] + b"\n"
    log.path.write_bytes(whole.replace(b'"number":2', b'"number":7'))
    assert log.last() == {"number": 1}, "a line that was changed tells nothing"
    log.path.write_bytes(b"")
    assert log.last() is None
