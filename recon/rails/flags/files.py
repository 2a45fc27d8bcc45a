"""The file that holds the flags: read once, replaced whole, never written in place.

A replacement is a new file in the same folder, written, synced, given the old one's mode and owner, and renamed over it
under a lock; at any moment, and after any crash, a reader sees the old file or the new one. Before the rename the
file is read again: if it is not the one that was read, nothing happens.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from recon.files import remove_waiting, replace_file
from recon.rails.flags.dotenv import SIZE_MAX_BYTES
from recon.rails.flags.errors import FlagFileError, FlagFileMovedError
from recon.rails.flags.sealed import SealedFileError, has_sops_seal

LOCK_WAIT_S: Final = 5.0
LOCK_STEP_S: Final = 0.05
LINKS_MAX: Final = 20
STEPS: Final = ("locked", "checked", "created", "written", "owned", "synced", "renamed", "settled")
"""The steps of a replacement in order; the new content counts from ``renamed`` on."""

OnStep = Callable[[str], None]


def no_file_step(step: str) -> None:
    """Take no notice."""


@dataclass(frozen=True, slots=True)
class FlagFile:
    """One reading of the file.

    Args:
        path: As it was named.
        target: The file itself, links followed; this is what gets replaced.
        digest: sha256 of ``data``, hex.
    """

    path: Path
    target: Path
    data: bytes
    digest: str

    @property
    def is_link(self) -> bool:
        """Whether the name leads to another file."""
        return self.path.is_symlink()


class FlagPlace(Protocol):
    """Where flags live: something that is read whole and replaced whole if it is still what was read."""

    @property
    def name(self) -> str:
        """What messages and plans call it."""
        ...

    def read(self) -> FlagFile:
        """Read it. Raises FlagFileError."""
        ...

    def swap(self, seen: FlagFile, data: bytes, *, on_step: OnStep = no_file_step) -> None:
        """Replace it if it is still what was seen. Raises FlagFileMovedError or FlagFileError."""
        ...


@dataclass(frozen=True, slots=True)
class DotenvPlace:
    """A dotenv file on this machine."""

    path: Path

    @property
    def name(self) -> str:
        """The path as it was given."""
        return str(self.path)

    def read(self) -> FlagFile:
        """See :func:`read_flag_file`."""
        return read_flag_file(self.path)

    def swap(self, seen: FlagFile, data: bytes, *, on_step: OnStep = no_file_step) -> None:
        """See :func:`swap_flag_file`."""
        swap_flag_file(seen, data, on_step=on_step)


def sha256_of(data: bytes) -> str:
    """The sha256 of bytes, 64 hex digits."""
    return hashlib.sha256(data).hexdigest()


def read_flag_file(path: Path) -> FlagFile:
    """Read the file that a path leads to.

    Raises:
        FlagFileError: It is missing, no regular file, too large, or may not be read.
    """
    target = _target(path)
    try:
        facts = target.stat()
        if not stat.S_ISREG(facts.st_mode):
            raise _refusal(path, "is no regular file", "Name the dotenv file that the backend reads.")
        if facts.st_size > SIZE_MAX_BYTES:
            raise _refusal(path, f"has more than {SIZE_MAX_BYTES} bytes", "Name the dotenv file that is meant.")
        data = target.read_bytes()
    except OSError as error:
        raise _refusal(path, f"cannot be read ({_words(error)})", "Check the path and its rights.") from error
    return FlagFile(path, target, data, sha256_of(data))


def _target(path: Path) -> Path:
    seen = Path(os.path.abspath(path))  # noqa: PTH100 - links are followed one at a time below, not all at once
    for _ in range(LINKS_MAX):
        if not seen.is_symlink():
            return seen
        seen = Path(os.path.normpath(seen.parent / seen.readlink()))
    raise _refusal(path, "is a link that leads round in a circle", "Name the file itself.")


def check_swappable(seen: FlagFile) -> None:
    """Refuse a file that could not be replaced with its mode and owner kept.

    Raises:
        FlagFileError: It is marked read-only, has several names, belongs to another user, or its folder is closed.
        SealedFileError: SOPS has sealed it, so only SOPS can change it.
    """
    if has_sops_seal(seen.data):
        raise SealedFileError(path=str(seen.path), wanted={})
    try:
        facts = seen.target.stat()
    except OSError as error:
        raise _refusal(seen.path, f"cannot be read ({_words(error)})", "Check the path and its rights.") from error
    if not facts.st_mode & 0o222:
        raise _refusal(seen.path, f"is read-only (mode {stat.S_IMODE(facts.st_mode):04o})", "Make it writable first.")
    if facts.st_nlink > 1:
        raise _refusal(seen.path, "has a second name (hard link), which would keep the old content", "Remove it first.")
    if os.geteuid() not in (0, facts.st_uid):
        raise _refusal(
            seen.path,
            f"belongs to user {facts.st_uid}, and a replacement made by user {os.geteuid()} could not",
            "Run the command as its owner.",
        )
    if not os.access(seen.target.parent, os.W_OK | os.X_OK):
        raise _refusal(seen.path, "stands in a folder where no file may be made", "Run the command as its owner.")


def swap_flag_file(seen: FlagFile, data: bytes, *, on_step: OnStep = no_file_step) -> None:
    """Replace the file by ``data``, keeping mode and owner, if it is still what was seen.

    Args:
        on_step: Called with each name of :data:`STEPS` once that step is done.

    Raises:
        FlagFileMovedError: The content or the place is not what was seen.
        FlagFileError: The file could not be replaced; it is as it was.
    """
    check_swappable(seen)
    try:
        with _held(seen.target.parent):
            on_step("locked")
            _check_unmoved(seen)
            on_step("checked")
            _replace(seen, data, on_step)
    except TimeoutError as error:
        raise _refusal(seen.path, "is being changed by another run of recon", "Wait until it has ended.") from error
    except OSError as error:
        remedy = "Check the disk and the rights of the folder."
        if error.errno == errno.EBUSY:
            remedy = "It is a mount of its own (a container's bind mount): change it on the host."
        raise _refusal(seen.path, f"could not be replaced ({_words(error)})", remedy) from error
    on_step("settled")


@contextlib.contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Keep every other run out of a folder by a lock on the folder itself, so that no file of ours stays in it.

    Raises:
        TimeoutError: Another run holds it.
    """
    import fcntl

    handle = os.open(folder, os.O_RDONLY)
    try:
        waited = 0.0
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if waited >= LOCK_WAIT_S:
                    raise TimeoutError from None
                time.sleep(LOCK_STEP_S)
                waited += LOCK_STEP_S
        yield
    finally:
        os.close(handle)


def _check_unmoved(seen: FlagFile) -> None:
    now = read_flag_file(seen.path)
    if now.target != seen.target:
        raise _refusal(
            seen.path, f"is a link that now leads to {now.target.name}", "Look where it leads and plan again."
        )
    if now.digest != seen.digest:
        raise FlagFileMovedError(path=str(seen.path), planned=seen.digest, found=now.digest)


def _replace(seen: FlagFile, data: bytes, on_step: OnStep) -> None:
    facts = seen.target.stat()
    done: list[str] = []

    def step_done(step: str) -> None:
        done.append(step)
        on_step(step)

    def keep_owner(handle: int, waiting: Path) -> None:
        _keep_attributes(seen.target, waiting)
        os.fchown(handle, facts.st_uid, facts.st_gid)
        os.fchmod(handle, stat.S_IMODE(facts.st_mode))

    remove_waiting(seen.target)
    try:
        replace_file(
            seen.target, data, mode=0o600, prepare=keep_owner, check=lambda: _check_unmoved(seen), on_step=step_done
        )
    except OSError:
        # Once renamed, the new content counts, so a folder that cannot be synced is no reason to report a failure.
        if "renamed" not in done:
            raise


def _keep_attributes(source: Path, target: Path) -> None:
    """Carry extended attributes (access lists, labels) over, where the file system has any."""
    if not hasattr(os, "listxattr"):
        return
    with contextlib.suppress(OSError):
        for name in os.listxattr(source):
            os.setxattr(target, name, os.getxattr(source, name))


def _refusal(path: Path, why: str, remedy: str) -> FlagFileError:
    return FlagFileError(path=str(path), why=f"the file {why}", remedy=remedy)


def _words(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()
