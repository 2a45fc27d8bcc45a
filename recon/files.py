"""Makes a file last: whole, synced to disk, private, and never over something that is there.

A file is written beside its place under a name nobody can guess, synced, put in its place in one step, and its folder
is synced. At any moment, and after any crash, a reader sees the whole file or what stood there before.

A log is only added to. Each line names the sha256 of the line before it and has a seal of its own, so a line that was
changed, taken out or moved shows. Adding reads the end of the file only:

>>> line = chain_line({"at": "noon"}, LogEnd(size=0, line=None, torn=b""))
>>> line.startswith(b'{"at":"noon","prev":"' + b"0" * 64 + b'","seal":"')
True
"""

from __future__ import annotations

import errno
import hashlib
import itertools
import json
import os
import secrets
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from recon.core.errors import RefusedError, StoppedError

FILE_MODE: Final = 0o600
"""Plans, snapshots, cases, reports and logs hold customer data, which nobody but their owner reads."""

NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS})
GENESIS: Final = "0" * 64
"""What the first line of a log names as the line before it."""

LINE_MAX_BYTES: Final = 16_000_000
LOCK_WAIT_S: Final = 10.0
_WAITING: Final = ".recon-new-"
_NAME_KEPT: Final = 150  # with the rest still within the 255 that file systems take
_CHUNK_BYTES: Final = 1 << 20
_TAIL_BYTES: Final = 1 << 16
_CANNOT_LINK: Final = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK})
_CANNOT_SYNC: Final = frozenset({errno.EINVAL, errno.EOPNOTSUPP, errno.ENOTSUP})


class FileThereError(RefusedError):
    """A file that a command would write exists already."""

    def __init__(self, *, path: str) -> None:
        super().__init__(f"{path} is there already and was left as it is; name another, or move it away.")


class NoRoomError(StoppedError):
    """The disk is full, or takes no more of one file or from one user."""

    def __init__(self, *, path: str, why: str) -> None:
        super().__init__(
            f"{path}: it could not be written ({why}); nothing of it was left behind, and what was there is as it was. "
            "Make room, and run the same command again."
        )
        self.why = why


class LongLineError(RefusedError):
    """A log ends in a line that is longer than any that is ever written to it."""

    def __init__(self, *, path: str) -> None:
        super().__init__(
            f"{path}: its last line has more than {LINE_MAX_BYTES} bytes, so it is no log of recon; nothing was added "
            "to it. Move it away and run the command again."
        )


@dataclass(slots=True)
class _Rights:
    """The rights of new files, for the whole process, as its umask is."""

    file_mode: int = FILE_MODE


_rights = _Rights()


def use_file_mode(mode: int) -> None:
    """Give files and logs that are made from now on these rights; folders also let those in who may read."""
    _rights.file_mode = mode


def touch_private(path: Path) -> None:
    """Make an empty file with the rights of new files, for another library to fill."""
    path.touch(mode=_rights.file_mode)


@contextmanager
def room_for(path: Path) -> Iterator[None]:
    """Tell a full disk as :class:`NoRoomError`; any other failure of the system stays what it is."""
    try:
        yield
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        raise NoRoomError(path=path.name, why=os.strerror(error.errno or 0)) from error


def make_folder(path: Path) -> None:
    """Make a folder and those above it that are missing, as private as files; one that is there stays as it is.

    Raises:
        NotADirectoryError: Something else stands there, or above it.
    """
    missing = []
    while not path.exists():
        missing.append(path)
        path = path.parent
    if not path.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))
    for folder in reversed(missing):
        # Who may read the files may enter the folder.
        folder.mkdir(mode=_rights.file_mode | (_rights.file_mode & 0o444) >> 2, exist_ok=True)
        _sync_folder(folder.parent)


def check_free(path: Path) -> None:
    """Refuse a path where something stands, a link that leads nowhere included.

    Raises:
        FileThereError: Something stands there.
    """
    if os.path.lexists(path):
        raise FileThereError(path=str(path))


def save_new(path: Path, data: bytes | Iterable[bytes], *, mode: int | None = None) -> None:
    """Write a file that is not there yet; no link is followed, and after a failure there is still none.

    Args:
        data: All of it, or piece by piece.
        mode: The rights of the file when not the usual ones, less those that the process takes away from every file.

    Raises:
        FileThereError: Something stands there; it is as it was.
        NoRoomError: The disk is full.
        OSError: The folder is missing or closed.
    """
    check_free(path)
    rights = _rights.file_mode if mode is None else mode
    with room_for(path), _written_beside(path, data, mode=rights) as waiting:
        _put_if_free(waiting, path)
        try:
            waiting.unlink(missing_ok=True)
            _sync_folder(path.parent)
        except BaseException:
            path.unlink(missing_ok=True)
            raise


def replace_file(
    path: Path,
    data: bytes | Iterable[bytes],
    *,
    mode: int | None = None,
    prepare: Callable[[int, Path], None] | None = None,
    check: Callable[[], None] | None = None,
    on_step: Callable[[str], None] | None = None,
) -> None:
    """Put new content in place of a file's old one, or leave the old one; a link there is replaced, not followed.

    Args:
        mode: The rights of the file; those of the old one, else the usual ones, when not given.
        prepare: Called with the handle and the path of the new file before it is synced, to give it an owner.
        check: Called right before the new file takes its place; what it raises leaves the old one.
        on_step: Called with ``created``, ``written``, ``owned``, ``synced``, ``renamed`` once that is done.

    Raises:
        OSError: The old file is as it was, unless the failure is that of the folder's own sync: then the new content
            is there and may be lost again in a power cut.
    """
    tell = on_step or _no_step
    with _written_beside(path, data, mode=mode, prepare=prepare, on_step=tell) as waiting:
        if check is not None:
            check()
        os.replace(waiting, path)  # noqa: PTH105 - the one place where files are put over others
        tell("renamed")
        _sync_folder(path.parent)


def sync_file(path: Path) -> None:
    """Make a file that another library has written last, and as private as others."""
    handle = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
    try:
        os.fchmod(handle, _rights.file_mode)
        os.fsync(handle)
    finally:
        os.close(handle)


def is_waiting(name: str) -> bool:
    """Whether a name is that of a file whose writing was cut short, by a crash that left no time to remove it."""
    return name.startswith(_WAITING)


def remove_waiting(path: Path) -> None:
    """Remove what crashes left of earlier writes of a file; only for who keeps other writers of it out."""
    prefix = _prefix(path)
    for left in sorted(path.parent.iterdir()):
        # What follows is one random number; a dash in it would be another file's name.
        if left.name.startswith(prefix) and "-" not in left.name[len(prefix) :]:
            left.unlink(missing_ok=True)


def _no_step(step: str) -> None:
    """Take no notice."""


def _prefix(path: Path) -> str:
    return f"{_WAITING}{path.name[:_NAME_KEPT]}-"


@contextmanager
def _written_beside(
    path: Path,
    data: bytes | Iterable[bytes],
    *,
    mode: int | None,
    prepare: Callable[[int, Path], None] | None = None,
    on_step: Callable[[str], None] = _no_step,
) -> Iterator[Path]:
    """A whole, synced file beside its place; whatever happens, nothing is left of it under its waiting name."""
    rights = _rights_of(path) if mode is None else mode
    waiting = path.with_name(f"{_prefix(path)}{secrets.token_hex(16)}")
    handle = os.open(waiting, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, rights)
    try:
        try:
            on_step("created")
            _write_all(handle, [data] if isinstance(data, bytes) else data)
            on_step("written")
            if mode is None:
                os.fchmod(handle, rights)
            if prepare is not None:
                prepare(handle, waiting)
            on_step("owned")
            os.fsync(handle)
        finally:
            os.close(handle)
        on_step("synced")
        yield waiting
    finally:
        waiting.unlink(missing_ok=True)


def _rights_of(path: Path) -> int:
    try:
        facts = path.lstat()
    except FileNotFoundError:
        return _rights.file_mode
    return stat.S_IMODE(facts.st_mode) if stat.S_ISREG(facts.st_mode) else _rights.file_mode


def _write_all(handle: int, pieces: Iterable[bytes]) -> None:
    """Write pieces in few calls, however small they are; a call may take less than it is given."""
    held = bytearray()
    for piece in pieces:
        held += piece
        if len(held) >= _CHUNK_BYTES:
            _write(handle, held)
            held = bytearray()
    _write(handle, held)


def _write(handle: int, data: bytes | bytearray) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(handle, rest) :]


def _put_if_free(waiting: Path, path: Path) -> None:
    """Give the file its name if nothing bears it. A hard link promises that; a rename replaces what is there."""
    try:
        os.link(waiting, path, follow_symlinks=False)
    except FileExistsError as error:
        raise FileThereError(path=str(path)) from error
    except OSError as error:
        if error.errno not in _CANNOT_LINK:
            raise
        _put_without_link(waiting, path)


def _put_without_link(waiting: Path, path: Path) -> None:
    """On a file system without hard links: take the name with an empty file, then replace that."""
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, _rights.file_mode))
    except FileExistsError as error:
        raise FileThereError(path=str(path)) from error
    try:
        os.replace(waiting, path)  # noqa: PTH105 - over our own empty file
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _sync_folder(folder: Path) -> None:
    """Make the names in a folder last, where its file system can and its rights let us."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except PermissionError:
        return
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _CANNOT_SYNC:
            raise
    finally:
        os.close(handle)


# Logs


@dataclass(frozen=True, slots=True)
class LogEnd:
    """Where a log ends.

    Args:
        size: Its length in bytes.
        line: Its last whole line, without the line end; None when there is none.
        torn: What stands behind the last line end: nothing, unless a write was interrupted.
    """

    size: int
    line: bytes | None
    torn: bytes

    @property
    def name(self) -> str:
        """What the next line names as the one before it: a torn line counts as one, as it will have a line end."""
        return _line_name(self.torn or self.line)


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line as it stands there.

    Args:
        number: From 1; counted from where the reading began.
        raw: Without the line end; the first part only of one longer than any that is written.
        end: Where the next line begins.
        is_whole: Whether it has a line end.
    """

    number: int
    raw: bytes
    end: int
    is_whole: bool


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One entry of a chained log.

    Args:
        body: What was added; None when the line is no JSON object, or was changed.
        follows: Whether it is unchanged and names the line before it. Lines from before there was a chain name none.
        is_sealed: Whether it has a seal, which lines of earlier versions have not.
    """

    number: int
    body: Mapping[str, Any] | None
    follows: bool
    is_sealed: bool = False


def chain_line(body: Mapping[str, Any], end: LogEnd) -> bytes:
    """The line of an entry: its JSON with the sha256 of the line before it as ``prev``, and its own as ``seal``.

    The seal is for the last line, which no other one names yet.
    """
    assert not _OWN & set(body), "the chain's own keys"
    linked = {**body, "prev": end.name}
    return _compact({**linked, "seal": _line_name(_compact(linked))})


_OWN: Final = frozenset({"prev", "seal"})


def _compact(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()


class ChainedLog:
    """A file of lines that is only added to, by one process at a time.

    Entries are chained by :func:`chain_line` unless the log has a form of its own: the caller gives a function from
    the end of the log to the bytes that follow it. A link to a log on another disk is followed.

    Args:
        cuts_torn: Whether half a line of an interrupted write is cut off; otherwise it stays, with a line end.
    """

    def __init__(self, path: Path, *, cuts_torn: bool = False) -> None:
        self.path = path
        self._cuts_torn = cuts_torn

    def add(self, body: Mapping[str, Any]) -> None:
        """Add one entry and make it last before returning.

        Raises:
            NoRoomError: The disk is full; the log is as it was.
            OSError: It cannot be written; the log is as it was.
        """
        with room_for(self.path):
            self.append(lambda end: chain_line(body, end) + b"\n")

    def append(self, seal: Callable[[LogEnd], bytes]) -> None:
        """Add lines in a form of the caller's own, in one write, and make them last before returning.

        Args:
            seal: Called under the lock; gives the lines, each with its end. What it raises leaves the log as it was.
        """
        make_folder(self.path.parent)
        handle = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, _rights.file_mode)
        try:
            _lock(handle)
            end = _end_of(handle, self.path)
            data, keep = seal(end), end.size
            if self._cuts_torn and end.torn:
                keep = end.size - len(end.torn)
                os.ftruncate(handle, keep)
            elif end.torn:
                data = b"\n" + data
            try:
                if os.write(handle, data) != len(data):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                os.fsync(handle)
                if end.size == 0:
                    _sync_folder(self.path.parent)
            except BaseException:
                with suppress(OSError):
                    os.ftruncate(handle, keep)
                raise
        finally:
            os.close(handle)

    def lines(self, *, start: int = 0) -> Iterator[LogLine]:
        """Every line in order, in bounded memory; none when there is no file.

        Args:
            start: The byte at which a line begins.
        """
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            end, number = file.seek(start), 0
            while raw := file.readline(LINE_MAX_BYTES):
                size, part = len(raw), raw
                while len(part) == LINE_MAX_BYTES and not part.endswith(b"\n"):
                    part = file.readline(LINE_MAX_BYTES)
                    size += len(part)
                end, number = end + size, number + 1
                yield LogLine(number, raw.removesuffix(b"\n"), end, (part or raw).endswith(b"\n"))

    def last(self) -> Mapping[str, Any] | None:
        """The last entry that is whole and unchanged, mostly without reading more than the end; None without one."""
        try:
            handle = os.open(self.path, os.O_RDONLY)
        except FileNotFoundError:
            return None
        try:
            end = _end_of(handle, self.path)
        finally:
            os.close(handle)
        body, has_seal = _unsealed(_json_object(end.line or b""), wants_seal=True)
        if body is not None and has_seal:
            body.pop("prev", None)
            return body
        return next((each.body for each in reversed([*self.entries()]) if each.body is not None and each.follows), None)

    def tail_start(self, is_early: Callable[[Mapping[str, Any]], bool]) -> int:
        """A byte for :meth:`entries` to start at, so that no entry from the first early one before the end is lost.

        It is sought from the end in stretches that double, and begins with a sealed line of the chain that is early;
        0, the whole log, where there is none.
        """
        size, stretch = self._size(), _TAIL_BYTES
        while stretch < size:
            first = next(itertools.islice(self.lines(start=size - stretch), 1, None), None)
            body, has_seal = _unsealed(_json_object(b"" if first is None else first.raw), wants_seal=True)
            is_link = body is not None and has_seal and "prev" in body
            if first is not None and first.is_whole and body is not None and is_link and is_early(body):
                return first.end - len(first.raw) - 1
            stretch *= 2
        return 0

    def _size(self) -> int:
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0

    def entries(self, *, start: int = 0) -> Iterator[LogEntry]:
        """Every entry in order, each held against the line before it; empty lines are passed over.

        Args:
            start: What :meth:`tail_start` gave; the first entry from there is held against its own seal alone, and
                whatever stands before it is not looked at.
        """
        junk: LogEntry | None = None
        for entry, is_junk in self._held_together(start):
            if junk is not None:
                yield junk
            junk = entry if is_junk else None
            if junk is None:
                yield entry
        if junk is not None:
            # An interrupted write leaves no line end; until a next line names it, this one was changed.
            yield replace(junk, follows=False)

    def _held_together(self, start: int) -> Iterator[tuple[LogEntry, bool]]:
        """Each entry held against its seal and the line before it, and whether it is a whole line of no entry."""
        before: str | None = {0: GENESIS}.get(start)  # what a line in the middle follows is not known
        is_chained = is_sealed = start > 0
        for line in self.lines(start=start):
            content = _json_object(line.raw)
            body, has_seal = _unsealed(content, wants_seal=is_sealed)
            is_changed, is_sealed = content is not None and body is None, is_sealed or has_seal
            prev = None if body is None else body.pop("prev", None)
            follows = not is_chained if prev is None else before in (None, prev)
            # Half a line of an interrupted write breaks no chain: the next line names it.
            if line.raw.strip():
                is_right = (follows or body is None) and not is_changed
                yield LogEntry(line.number, body, is_right, has_seal), content is None and line.is_whole
            is_chained = is_chained or prev is not None
            # A line that was changed shows by itself; what the next one names is the line as it was.
            before = None if is_changed else _line_name(line.raw)


def _line_name(line: bytes | None) -> str:
    return GENESIS if line is None else hashlib.sha256(line).hexdigest()


def _unsealed(body: dict[str, Any] | None, *, wants_seal: bool) -> tuple[dict[str, Any] | None, bool]:
    """A line without its seal, and whether it has one; none of one whose seal does not fit, or is gone."""
    if body is None or "seal" not in body:
        return (None if wants_seal else body), False
    seal = body.pop("seal")
    return (body if seal == _line_name(_compact(body)) else None), True


def _json_object(raw: bytes) -> dict[str, Any] | None:
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) else None


def _end_of(handle: int, path: Path) -> LogEnd:
    """Read a log backwards, only as far as its last whole line begins."""
    size = begin = os.fstat(handle).st_size
    tail = b""
    while begin and tail.count(b"\n") < 2:
        if len(tail) > 2 * LINE_MAX_BYTES:
            raise LongLineError(path=path.name)
        step = min(begin, max(_TAIL_BYTES, len(tail)))
        begin -= step
        tail = os.pread(handle, step, begin) + tail
    whole, newline, torn = tail.rpartition(b"\n")
    return LogEnd(size, whole.rpartition(b"\n")[2] if newline else None, torn)


def _lock(handle: int) -> None:
    """Keep other processes from adding while this one does; the system takes the lock back when the file is closed."""
    import fcntl

    until = time.monotonic() + LOCK_WAIT_S
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError as error:
            if time.monotonic() > until:
                raise OSError(errno.EBUSY, os.strerror(errno.EBUSY)) from error
            time.sleep(0.01)
