"""The journal of flag changes: a file that only grows, each line chained to the one before by its digest.

Before a flag file is replaced the intent stands here, synced to disk; afterwards the outcome. A run that was killed in
between is settled by comparing the file's digest with the two in the intent.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from recon.core.canonical import canonical_json, sha256_hex
from recon.rails.flags.errors import JournalBrokenError, JournalWriteError

FORMAT: Final = 1
FILE_NAME: Final = "flags-journal.ndjson"
GENESIS: Final = "0" * 64
LINE_MAX: Final = 1_000_000
LINES_MAX: Final = 1_000_000
LOCK_WAIT_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class FlagEntry:
    """One line: its place in the chain, the run it belongs to, what kind of thing happened, and the details."""

    seq: int
    at: str
    run: str
    kind: str
    body: Mapping[str, Any]
    digest: str


class FlagJournal:
    """The journal in one file; see the module."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep every other run out for as long as a change takes.

        Raises:
            JournalWriteError: Another run has it, or its folder cannot be written.
        """
        from filelock import FileLock, Timeout

        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.path.with_name(f"{self.path.name}.lock"), timeout=LOCK_WAIT_S, mode=0o600)
            lock.acquire()
        except Timeout as error:
            raise self._failure("another run is changing flags", "nothing was changed") from error
        except OSError as error:
            raise self._failure(_words(error), "nothing was changed") from error
        try:
            yield
        finally:
            lock.release()

    def read(self) -> tuple[FlagEntry, ...]:
        """All entries, oldest first, after checking the whole chain.

        The half line of an interrupted write is passed over if it is the last, or if the next entry says so.

        Raises:
            JournalBrokenError: A line was changed, taken out, put in or moved; it names the first one.
        """
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise JournalBrokenError(path=str(self.path), line=1, why=f"cannot be read ({_words(error)})") from error
        return tuple(self._entries(data))

    def _entries(self, data: bytes) -> Iterator[FlagEntry]:
        lines = data.split(b"\n")
        last, seq, torn = GENESIS, 0, ""
        for number, line in enumerate(lines[:LINES_MAX], 1):
            if not line:
                continue
            if (raw := _parse(line)) is None:
                if torn:
                    raise JournalBrokenError(path=str(self.path), line=number, why="is no entry")
                torn = sha256_hex(line)
                continue
            self._check(raw, number=number, seq=seq, last=last, torn=torn)
            entry = FlagEntry(seq, raw["at"], raw["run"], raw["kind"], raw["body"], raw["digest"])
            last, seq, torn = entry.digest, seq + 1, ""
            yield entry
        if torn and data.endswith(b"\n"):
            raise JournalBrokenError(path=str(self.path), line=len(lines) - 1, why="is no entry")

    def _check(self, raw: Mapping[str, Any], *, number: int, seq: int, last: str, torn: str) -> None:
        rest = {key: value for key, value in raw.items() if key != "digest"}
        why = None
        if raw["seq"] != seq or raw["prev"] != last:
            why = f"does not follow the entry before it (number {raw['seq']} where {seq} was due)"
        elif raw["torn"] != torn:
            why = "follows a line that is no entry"
        elif sha256_hex(canonical_json(rest)) != raw["digest"]:
            why = "was changed after it was written"
        if why is not None:
            raise JournalBrokenError(path=str(self.path), line=number, why=why)

    def append(self, *, at: str, run: str, kind: str, body: Mapping[str, Any], state: str) -> FlagEntry:
        """Add one entry and make it last before returning.

        Args:
            state: What is true at this moment if the entry cannot be written, for the message.

        Raises:
            JournalBrokenError: The journal does not hang together; nothing is added to a broken one.
            JournalWriteError: The disk is full, or the file may not be written.
        """
        entries = self.read()
        seq, prev = len(entries), entries[-1].digest if entries else GENESIS
        tail = self._tail()
        torn = sha256_hex(tail) if tail and _parse(tail) is None else ""
        raw: dict[str, Any] = {"format": FORMAT, "seq": seq, "prev": prev, "torn": torn}
        raw |= {"at": at, "run": run, "kind": kind, "body": dict(body)}
        raw["digest"] = sha256_hex(canonical_json(raw))
        line = (b"\n" if tail else b"") + canonical_json(raw).encode() + b"\n"
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                if os.write(handle, line) != len(line):
                    raise OSError(28, "no space left on device")
                os.fsync(handle)
            finally:
                os.close(handle)
        except OSError as error:
            raise self._failure(_words(error), state) from error
        return FlagEntry(seq, at, run, kind, raw["body"], raw["digest"])

    def _tail(self) -> bytes:
        """What stands behind the last line end: nothing, unless a write was interrupted."""
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return b""
        return b"" if data.endswith(b"\n") else data[data.rfind(b"\n") + 1 :]

    def _failure(self, why: str, state: str) -> JournalWriteError:
        return JournalWriteError(path=str(self.path), why=why, state=state)


def _parse(line: bytes) -> Mapping[str, Any] | None:
    if len(line) > LINE_MAX:
        return None
    try:
        raw = json.loads(line)
    except (ValueError, RecursionError):
        return None
    kinds: dict[str, type] = {
        "format": int, "seq": int, "prev": str, "torn": str, "at": str, "run": str, "kind": str, "body": dict,
        "digest": str,
    }  # fmt: skip
    if not isinstance(raw, dict) or set(raw) != set(kinds) or raw["format"] != FORMAT:
        return None
    return raw if all(isinstance(raw[key], kind) for key, kind in kinds.items()) else None


def _words(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()
