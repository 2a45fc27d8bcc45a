"""A file is whole or not there, private, and never over another."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from recon.core.errors import StoppedError
from recon.files import (
    FILE_MODE,
    ChainedLog,
    FileThereError,
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
