"""A file is whole or not there, private, and never over another; a log shows every edit and survives every crash."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import resource
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from recon.core.errors import StoppedError
from recon.files import (
    FILE_MODE,
    GENESIS,
    ChainedLog,
    FileThereError,
    LogEnd,
    LongLineError,
    NoRoomError,
    check_free,
    is_waiting,
    make_folder,
    remove_waiting,
    replace_file,
    save_new,
    sync_file,
    touch_private,
    use_file_mode,
)

Writer = Callable[[Path, bytes], None]
WRITERS: tuple[Writer, ...] = (save_new, replace_file)
CALLS = ("open", "write", "fsync", "close")


@pytest.fixture(autouse=True)
def usual_umask() -> Iterator[None]:
    """The umask under which files are readable for everybody unless their writer says otherwise."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def fail_at(patch: pytest.MonkeyPatch, call: str, *, number: int = 1, code: int = errno.EIO) -> None:
    """Let the numbered use of a call of the system fail, as it would on a sick disk; the later ones work again."""
    real, seen = getattr(os, call), 0

    def failing(*given: Any, **options: Any) -> Any:
        nonlocal seen
        seen += 1
        if seen == number:
            raise OSError(code, os.strerror(code))
        return real(*given, **options)

    patch.setattr(f"recon.files.os.{call}", failing)


# A file of its own


@pytest.mark.parametrize("write", WRITERS)
def test_a_file_is_whole_and_its_owners_alone(write: Writer, tmp_path: Path) -> None:
    write(tmp_path / "plan.json", b"all of it")
    assert (tmp_path / "plan.json").read_bytes() == b"all of it"
    assert mode_of(tmp_path / "plan.json") == 0o600
    assert names(tmp_path) == ["plan.json"]


def test_pieces_are_written_as_they_come(tmp_path: Path) -> None:
    alive = 0

    def pieces() -> Iterator[bytes]:
        nonlocal alive
        for number in range(3000):
            alive = number
            yield b"%04d" % number * 256
            if number == 2000:
                [waiting] = tmp_path.iterdir()
                assert waiting.stat().st_size > 1_000_000, "what was made has been written meanwhile"

    save_new(tmp_path / "plan.json", pieces())
    assert alive == 2999
    assert (tmp_path / "plan.json").read_bytes() == b"".join(b"%04d" % number * 256 for number in range(3000))


def test_what_is_there_is_refused_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_bytes(b"reviewed")
    with pytest.raises(FileThereError, match=r"plan.json is there already and was left as it is; name another"):
        save_new(path, b"other")
    assert path.read_bytes() == b"reviewed"
    assert names(tmp_path) == ["plan.json"]


def test_a_file_that_appears_while_another_is_written_is_refused_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"

    def pieces() -> Iterator[bytes]:
        yield b"late"
        path.write_bytes(b"first")

    with pytest.raises(FileThereError):
        save_new(path, pieces())
    assert path.read_bytes() == b"first"
    assert names(tmp_path) == ["plan.json"]


@pytest.mark.parametrize("exists", [True, False])
def test_a_link_at_the_place_is_not_followed(exists: bool, tmp_path: Path) -> None:
    victim, path = tmp_path / "victim", tmp_path / "plan.json"
    if exists:
        victim.write_bytes(b"precious")
    path.symlink_to(victim)
    with pytest.raises(FileThereError):
        check_free(path)
    with pytest.raises(FileThereError):
        save_new(path, b"customer data")
    assert path.is_symlink()
    replace_file(path, b"customer data")
    assert not path.is_symlink()
    assert (path.read_bytes(), mode_of(path)) == (b"customer data", 0o600)
    assert (victim.read_bytes() if exists else victim.exists()) == (b"precious" if exists else False)


@pytest.mark.parametrize("write", WRITERS)
def test_a_link_at_the_waiting_name_is_not_followed(
    write: Writer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    (tmp_path / "plan.json.part").symlink_to(victim)
    write(tmp_path / "plan.json", b"customer data")
    assert victim.read_bytes() == b"precious"
    # Even one who guessed the name gets nothing.
    monkeypatch.setattr("recon.files.secrets.token_hex", lambda _: "guessed")
    (tmp_path / ".recon-new-second.json-guessed").symlink_to(victim)
    with pytest.raises(FileExistsError):
        write(tmp_path / "second.json", b"customer data")
    assert victim.read_bytes() == b"precious"
    assert not (tmp_path / "second.json").exists()


def test_the_waiting_name_cannot_be_guessed(tmp_path: Path) -> None:
    seen = set()

    def note() -> Iterator[bytes]:
        [waiting] = [name for name in names(tmp_path) if is_waiting(name)]
        seen.add(waiting)
        yield b""

    for number in range(20):
        save_new(tmp_path / f"{number}.json", note())
    assert len(seen) == 20
    assert {len(name.rpartition("-")[2]) for name in seen} == {32}


@pytest.mark.parametrize("call", [*CALLS, "link", "second fsync"])
def test_a_failure_at_any_step_leaves_no_new_file(call: str, tmp_path: Path) -> None:
    number = 2 if call.startswith("second") else 1
    with pytest.MonkeyPatch.context() as patch:
        fail_at(patch, call.removeprefix("second "), number=number)
        with pytest.raises(OSError, match="Input/output error"):
            save_new(tmp_path / "plan.json", b"new")
    assert names(tmp_path) == []
    save_new(tmp_path / "plan.json", b"new")


@pytest.mark.parametrize("call", [*CALLS, "replace"])
def test_a_failure_at_any_step_leaves_the_old_content_whole(call: str, tmp_path: Path) -> None:
    path = tmp_path / "lease.json"
    path.write_bytes(b"old")
    with pytest.MonkeyPatch.context() as patch:
        fail_at(patch, call)
        with pytest.raises(OSError, match="Input/output error"):
            replace_file(path, b"new")
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["lease.json"]


def test_a_piece_that_cannot_be_made_leaves_nothing(tmp_path: Path) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"half"
        raise KeyboardInterrupt

    for write in WRITERS:
        with pytest.raises(KeyboardInterrupt):
            write(tmp_path / "plan.json", pieces())  # type: ignore[arg-type]
    assert names(tmp_path) == []


KILLED = """
import os, signal, sys
from pathlib import Path
import recon.files as files
call, path = sys.argv[1], Path(sys.argv[2])
real = getattr(os, call)
def killed(*given, **options):
    if sys.argv[3] == "after": real(*given, **options)
    os.kill(os.getpid(), signal.SIGKILL)
setattr(os, call, killed)
files.replace_file(path, b"new" * 1000) if path.exists() else files.save_new(path, b"new" * 1000)
"""


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize(("call", "old"), [("write", b""), ("fsync", b""), ("link", b""), ("fsync", b"old"),
                                           ("replace", b"old")])  # fmt: skip
def test_a_crash_leaves_the_old_content_or_the_new(call: str, old: bytes, moment: str, tmp_path: Path) -> None:
    path = tmp_path / "kept.json"
    if old:
        path.write_bytes(old)
    done = subprocess.run(
        [sys.executable, "-c", KILLED, call, str(path), moment], capture_output=True, timeout=60, check=False
    )
    assert done.returncode == -9, done.stderr.decode()
    is_there = call in ("link", "replace") and moment == "after"
    assert (path.read_bytes() if path.exists() else b"") == (b"new" * 1000 if is_there else old)
    assert all(is_waiting(name) for name in names(tmp_path) if name != "kept.json")
    remove_waiting(path)
    assert names(tmp_path) == (["kept.json"] if is_there or old else [])


def test_only_what_was_left_of_the_same_file_is_removed(tmp_path: Path) -> None:
    for name in (".recon-new-a-123abc", ".recon-new-a-b-123abc", ".recon-new-ab-123abc", "a"):
        (tmp_path / name).touch()
    remove_waiting(tmp_path / "a")
    assert names(tmp_path) == [".recon-new-a-b-123abc", ".recon-new-ab-123abc", "a"]


@pytest.mark.parametrize("write", WRITERS)
def test_file_and_folder_are_synced_in_this_order(
    write: Writer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    fsync, link, replace = os.fsync, os.link, os.replace

    def synced(handle: int) -> None:
        steps.append("folder synced" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file synced")
        fsync(handle)

    def placed(real: Callable[..., None]) -> Callable[..., None]:
        def call(*given: Any, **options: Any) -> None:
            steps.append("placed")
            real(*given, **options)

        return call

    monkeypatch.setattr("recon.files.os.fsync", synced)
    monkeypatch.setattr("recon.files.os.link", placed(link))
    monkeypatch.setattr("recon.files.os.replace", placed(replace))
    write(tmp_path / "plan.json", b"new")
    assert steps == ["file synced", "placed", "folder synced"]


@pytest.mark.parametrize("code", [errno.EINVAL, errno.EOPNOTSUPP])
def test_a_file_system_that_cannot_sync_folders_is_no_failure(code: int, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        fail_at(patch, "fsync", number=2, code=code)
        save_new(tmp_path / "plan.json", b"new")
    assert (tmp_path / "plan.json").read_bytes() == b"new"


def test_a_file_system_without_hard_links_keeps_the_same_promises(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unlinkable(*_: Any, **__: Any) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr("recon.files.os.link", unlinkable)
    save_new(tmp_path / "plan.json", b"new")
    assert (tmp_path / "plan.json").read_bytes() == b"new"
    assert mode_of(tmp_path / "plan.json") == 0o600

    def pieces() -> Iterator[bytes]:
        yield b"late"
        (tmp_path / "second.json").symlink_to(tmp_path / "victim")

    with pytest.raises(FileThereError):
        save_new(tmp_path / "second.json", pieces())
    assert not (tmp_path / "victim").exists()
    with pytest.MonkeyPatch.context() as patch:
        fail_at(patch, "replace")
        with pytest.raises(OSError, match="Input/output"):
            save_new(tmp_path / "third.json", b"new")
    assert names(tmp_path) == ["plan.json", "second.json"]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS])
def test_a_full_disk_is_one_sentence_of_a_run_that_stopped(code: int, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        fail_at(patch, "write", code=code)
        with pytest.raises(NoRoomError) as caught:
            save_new(tmp_path / "plan.json", b"new")
    assert isinstance(caught.value, StoppedError)
    assert str(caught.value) == (
        f"plan.json: it could not be written ({os.strerror(code)}); nothing of it was left behind, and what was there "
        "is as it was. Make room, and run the same command again."
    )
    assert names(tmp_path) == []


def test_a_write_that_takes_only_a_part_is_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    monkeypatch.setattr("recon.files.os.write", lambda handle, data: real(handle, data[:3]))
    save_new(tmp_path / "plan.json", b"0123456789")
    assert (tmp_path / "plan.json").read_bytes() == b"0123456789"


def test_a_replaced_file_keeps_its_rights(tmp_path: Path) -> None:
    path = tmp_path / "payments.ndjson"
    path.write_bytes(b"old")
    path.chmod(0o664)
    replace_file(path, b"new")
    assert mode_of(path) == 0o664
    replace_file(path, b"newer", mode=0o640)
    assert (path.read_bytes(), mode_of(path)) == (b"newer", 0o640)


def test_what_is_found_right_before_the_new_file_takes_its_place_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_bytes(b"old")
    steps: list[str] = []

    def moved() -> None:
        raise FileThereError(path="-")

    with pytest.raises(FileThereError):
        replace_file(path, b"new", check=moved, on_step=steps.append)
    assert (path.read_bytes(), steps) == (b"old", ["created", "written", "owned", "synced"])
    assert names(tmp_path) == [".env"]


def test_long_names_are_written_too(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 255)
    save_new(path, b"new")
    replace_file(path, b"newer")
    assert names(tmp_path) == [path.name]


def test_folders_are_their_owners_alone_and_those_that_are_there_stay(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir(mode=0o755)
    make_folder(tmp_path / "open" / "a" / "b")
    assert [mode_of(tmp_path / part) for part in ("open", "open/a", "open/a/b")] == [0o755, 0o700, 0o700]
    make_folder(tmp_path / "open")
    assert mode_of(tmp_path / "open") == 0o755


def test_a_group_may_share_what_is_made(tmp_path: Path) -> None:
    use_file_mode(0o640)
    try:
        make_folder(tmp_path / "shared")
        save_new(tmp_path / "shared" / "plan.json", b"new")
        replace_file(tmp_path / "shared" / "lease.json", b"new")
        ChainedLog(tmp_path / "shared" / "history.ndjson").add({"n": 0})
        touch_private(tmp_path / "shared" / "table.parquet")
    finally:
        use_file_mode(FILE_MODE)
    assert mode_of(tmp_path / "shared") == 0o750
    assert {mode_of(path) for path in (tmp_path / "shared").iterdir()} == {0o640}


def test_a_file_of_another_library_is_synced_and_made_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "table.parquet").write_bytes(b"rows")
    synced: list[int] = []
    monkeypatch.setattr("recon.files.os.fsync", synced.append)
    sync_file(tmp_path / "table.parquet")
    assert (len(synced), mode_of(tmp_path / "table.parquet")) == (1, 0o600)


# A log


def line_of(body: dict[str, Any], before: bytes | None) -> bytes:
    """A line as anybody can make and check it with sha256sum."""
    prev = GENESIS if before is None else hashlib.sha256(before).hexdigest()
    return json.dumps({**body, "prev": prev}, sort_keys=True, separators=(",", ":")).encode()


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


def test_an_edited_line_shows_at_the_next(tmp_path: Path) -> None:
    log = filled(tmp_path)
    log.path.write_bytes(log.path.read_bytes().replace(b'"n":1', b'"n":9'))
    assert (found(log), breaks(log)) == ([0, 9, 2, 3], [3])


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
    assert breaks(log) == [3]


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
