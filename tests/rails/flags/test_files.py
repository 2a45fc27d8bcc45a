"""The flag file is replaced whole or not at all, and keeps its mode, owner and links."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from recon.rails.flags.errors import FlagFileError, FlagFileMovedError
from recon.rails.flags.files import STEPS, DotenvPlace, read_flag_file, swap_flag_file

OLD = b"SECRET=s3cret\nREQUEST_NETWORK_ENABLED=true\n"
NEW = b"SECRET=s3cret\nREQUEST_NETWORK_ENABLED=false\n"


@pytest.fixture
def env(tmp_path: Path) -> Path:
    path = tmp_path / ".env"
    path.write_bytes(OLD)
    return path


def leftovers(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if p.name.startswith(".recon-new"))


def test_a_swap_replaces_the_content_and_keeps_the_mode(env: Path) -> None:
    env.chmod(0o640)
    place = DotenvPlace(env)
    seen: list[str] = []
    place.swap(place.read(), NEW, on_step=seen.append)
    assert env.read_bytes() == NEW
    assert stat.S_IMODE(env.stat().st_mode) == 0o640
    assert tuple(seen) == STEPS
    assert leftovers(env.parent) == []
    assert place.name == str(env)


@pytest.mark.parametrize("step", STEPS)
def test_sigkill_at_any_step_leaves_the_old_file_or_the_new_one(env: Path, step: str) -> None:
    env.chmod(0o600)
    code = (
        "import os, signal, sys; from pathlib import Path; from recon.rails.flags.files import *\n"
        "path = Path(sys.argv[1])\n"
        "def on_step(name):\n"
        "    if name == sys.argv[2]: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"swap_flag_file(read_flag_file(path), {NEW!r}, on_step=on_step)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(env), step], capture_output=True, timeout=60, check=False)
    assert done.returncode == -9, done.stderr.decode()
    is_new = STEPS.index(step) >= STEPS.index("renamed")
    assert env.read_bytes() == (NEW if is_new else OLD)
    assert stat.S_IMODE(env.stat().st_mode) == 0o600
    # What a killed run left behind neither blocks the next one nor stays.
    swap_flag_file(read_flag_file(env), b"A=1\n")
    assert env.read_bytes() == b"A=1\n"
    assert leftovers(env.parent) == []


def test_a_file_that_changed_since_it_was_read_is_left_alone(env: Path) -> None:
    seen = read_flag_file(env)
    env.write_bytes(OLD + b"MORE=1\n")
    with pytest.raises(FlagFileMovedError, match="another process"):
        swap_flag_file(seen, NEW)
    assert env.read_bytes() == OLD + b"MORE=1\n"


def test_a_file_that_changes_at_the_last_moment_is_left_alone(env: Path) -> None:
    def on_step(step: str) -> None:
        if step == "written":
            env.write_bytes(b"OTHER=1\n")

    with pytest.raises(FlagFileMovedError):
        swap_flag_file(read_flag_file(env), NEW, on_step=on_step)
    assert env.read_bytes() == b"OTHER=1\n"
    assert leftovers(env.parent) == []


def test_a_link_stays_a_link_and_its_target_is_replaced(env: Path, tmp_path: Path) -> None:
    folder = tmp_path / "app"
    folder.mkdir()
    link = folder / ".env"
    link.symlink_to("../.env")
    seen = read_flag_file(link)
    assert seen.is_link
    swap_flag_file(seen, NEW)
    assert link.is_symlink()
    assert env.read_bytes() == NEW


def test_a_link_that_leads_elsewhere_by_now_is_refused(env: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.env"
    other.write_bytes(OLD)
    link = tmp_path / "link"
    link.symlink_to(env)
    seen = read_flag_file(link)
    link.unlink()
    link.symlink_to(other)
    with pytest.raises(FlagFileError, match=r"now leads to other\.env"):
        swap_flag_file(seen, NEW)
    assert (env.read_bytes(), other.read_bytes()) == (OLD, OLD)


def test_a_circle_of_links_a_dangling_link_and_a_folder_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe")
    for name, says in (("a", "circle"), ("gone", "cannot be read"), (".", "no regular file"), ("pipe", "no regular")):
        with pytest.raises(FlagFileError, match=says):
            read_flag_file(tmp_path / name)


def test_a_read_only_file_is_refused_even_to_root(env: Path) -> None:
    env.chmod(0o444)
    with pytest.raises(FlagFileError, match=r"read-only \(mode 0444\); the file is as it was"):
        swap_flag_file(read_flag_file(env), NEW)
    assert env.read_bytes() == OLD


def test_a_file_with_a_second_name_is_refused(env: Path, tmp_path: Path) -> None:
    (tmp_path / "twin").hardlink_to(env)
    with pytest.raises(FlagFileError, match="second name"):
        swap_flag_file(read_flag_file(env), NEW)
    assert env.read_bytes() == OLD


def run_as_nobody(path: Path) -> str:
    """Swap as a user who owns nothing here; imports come first, as that user may not read the environment's folder."""
    program = (
        "import os, sys, filelock; from pathlib import Path; from recon.rails.flags.files import *\n"
        "if os.geteuid() == 0: os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "try: swap_flag_file(read_flag_file(Path(sys.argv[1])), b'A=1\\n'); print('replaced')\n"
        "except Exception as error: print(type(error).__name__, error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, timeout=60, check=False
    )
    return done.stdout + done.stderr


@pytest.fixture
def open_env() -> Iterator[Path]:
    """A file of ours in a folder that everybody may enter and write, which pytest's own folders are not."""
    import shutil
    import tempfile

    folder = Path(tempfile.mkdtemp(prefix="recon-flags-"))
    folder.chmod(0o777)
    path = folder / ".env"
    path.write_bytes(OLD)
    path.chmod(0o666)
    yield path
    shutil.rmtree(folder)


def test_a_file_of_somebody_else_is_refused(open_env: Path) -> None:
    if os.geteuid() != 0:
        # Without root no file of another user can be made, so this stands on one that every system has.
        with pytest.raises(FlagFileError, match="belongs to user 0"):
            swap_flag_file(read_flag_file(Path("/etc/hosts")), b"")
        return
    said = run_as_nobody(open_env)
    assert "FlagFileError" in said
    assert "belongs to user 0" in said
    assert open_env.read_bytes() == OLD


def test_the_owner_is_kept(open_env: Path) -> None:
    if os.geteuid() == 0:
        os.chown(open_env, 12345, 54321)
    before = open_env.stat()
    swap_flag_file(read_flag_file(open_env), NEW)
    after = open_env.stat()
    assert (after.st_uid, after.st_gid, after.st_mode) == (before.st_uid, before.st_gid, before.st_mode)
    assert open_env.read_bytes() == NEW


def test_a_run_that_holds_the_lock_keeps_others_out(env: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recon.rails.flags.files.LOCK_WAIT_S", 0.1)
    inside, leave = threading.Event(), threading.Event()

    def hold(step: str) -> None:
        if step == "locked":
            inside.set()
            assert leave.wait(10)

    first = threading.Thread(target=swap_flag_file, args=(read_flag_file(env), NEW), kwargs={"on_step": hold})
    first.start()
    assert inside.wait(10)
    with pytest.raises(FlagFileError, match="another run of recon"):
        swap_flag_file(read_flag_file(env), b"X=1\n")
    leave.set()
    first.join(10)
    assert env.read_bytes() == NEW


def test_a_full_disk_leaves_the_old_file(env: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int, data: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("recon.files.os.write", full)
    with pytest.raises(FlagFileError, match="no space left on device"):
        swap_flag_file(read_flag_file(env), NEW)
    assert env.read_bytes() == OLD
    assert leftovers(env.parent) == []


def test_a_bind_mounted_file_is_named_as_such(env: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(source: Path, target: Path) -> None:
        raise OSError(16, "Device or resource busy")

    monkeypatch.setattr("recon.files.os.replace", busy)
    with pytest.raises(FlagFileError, match="change it on the host"):
        swap_flag_file(read_flag_file(env), NEW)
    assert env.read_bytes() == OLD


def test_no_message_shows_the_content(env: Path) -> None:
    env.chmod(0o444)
    with pytest.raises(FlagFileError) as caught:
        swap_flag_file(read_flag_file(env), NEW)
    assert "s3cret" not in str(caught.value)


def test_a_file_that_is_too_large_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "big"
    path.write_bytes(b"#" * 1_000_001)
    with pytest.raises(FlagFileError, match="more than 1000000 bytes"):
        read_flag_file(path)
