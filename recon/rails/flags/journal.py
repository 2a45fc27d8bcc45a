"""The journal of flag changes: a file that only grows, each line chained to the one before by its digest.

Before a flag file is replaced the intent stands here, synced to disk; afterwards the outcome. A run that was killed in
between is settled by comparing the file's digest with the two in the intent.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, Final

from recon.core.canonical import canonical_json, sha256_hex
from recon.files import GENESIS, ChainedLog, LogEnd, make_folder
from recon.rails.flags.errors import JournalBrokenError, JournalWriteError

FORMAT: Final = 1
FILE_NAME: Final = "flags-journal.ndjson"
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


@dataclass(slots=True)
class _Place:
    """How far the chain was checked: up to which byte and line, and what the next entry has to name."""

    end: int = 0
    lines: int = 0
    seq: int = 0
    last: str = GENESIS
    torn: str = ""


class FlagJournal:
    """The journal in one file; see the module."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._log = ChainedLog(path)
        self._checked: _Place | None = None

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep every other run out for as long as a change takes.

        Raises:
            JournalWriteError: Another run has it, or its folder cannot be written.
        """
        from filelock import FileLock, Timeout

        try:
            make_folder(self.path.parent)
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
        place = _Place()
        try:
            return tuple(self._entries(place))
        except OSError as error:
            raise JournalBrokenError(path=str(self.path), line=1, why=f"cannot be read ({_words(error)})") from error

    def _entries(self, place: _Place) -> Iterator[FlagEntry]:
        """The entries from a place on; the place moves along."""
        is_whole, passed = True, place.lines
        for line in islice(self._log.lines(start=place.end), LINES_MAX):
            number, is_whole = passed + line.number, line.is_whole
            if line.raw and (raw := _parse(line.raw)) is not None:
                self._check(raw, number=number, place=place)
                entry = FlagEntry(place.seq, raw["at"], raw["run"], raw["kind"], raw["body"], raw["digest"])
                place.last, place.seq, place.torn = entry.digest, place.seq + 1, ""
                yield entry
            elif line.raw:
                if place.torn:
                    raise JournalBrokenError(path=str(self.path), line=number, why="is no entry")
                place.torn = sha256_hex(line.raw)
            place.lines, place.end = number, line.end
        if place.torn and is_whole:
            raise JournalBrokenError(path=str(self.path), line=place.lines, why="is no entry")

    def _check(self, raw: Mapping[str, Any], *, number: int, place: _Place) -> None:
        rest = {key: value for key, value in raw.items() if key != "digest"}
        why = None
        if raw["seq"] != place.seq or raw["prev"] != place.last:
            why = f"does not follow the entry before it (number {raw['seq']} where {place.seq} was due)"
        elif raw["torn"] != place.torn:
            why = "follows a line that is no entry"
        elif sha256_hex(canonical_json(rest)) != raw["digest"]:
            why = "was changed after it was written"
        if why is not None:
            raise JournalBrokenError(path=str(self.path), line=number, why=why)

    def append(self, *, at: str, run: str, kind: str, body: Mapping[str, Any], state: str) -> FlagEntry:
        """Add one entry and make it last before returning.

        The chain is checked whole before the first entry that this object adds, and from there on for each later one.

        Args:
            state: What is true at this moment if the entry cannot be written, for the message.

        Raises:
            JournalBrokenError: The journal does not hang together; nothing is added to a broken one.
            JournalWriteError: The disk is full, or the file may not be written.
        """
        raw: dict[str, Any] = {"at": at, "run": run, "kind": kind, "body": dict(body)}

        def seal(_end: LogEnd) -> bytes:
            place = self._checked_end()
            raw.update(format=FORMAT, seq=place.seq, prev=place.last, torn=place.torn)
            raw["digest"] = sha256_hex(canonical_json(raw))
            return canonical_json(raw).encode() + b"\n"

        try:
            self._log.append(seal)
        except OSError as error:
            raise self._failure(_words(error), state) from error
        return FlagEntry(raw["seq"], at, run, kind, raw["body"], raw["digest"])

    def _checked_end(self) -> _Place:
        """The place behind the last entry. What was checked before is not read again if what follows it fits."""
        for start in (self._checked, None):
            place = replace(start) if start else _Place()
            try:
                found = sum(1 for _ in self._entries(place))
            except JournalBrokenError:
                if start is None:
                    raise
                continue
            if found:
                break
        self._checked = replace(place)
        return place

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
