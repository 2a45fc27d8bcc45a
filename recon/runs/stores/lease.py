"""One writer per target: a lease with a heartbeat, and a fencing token that only grows.

Time is the server's own (``$$NOW``), so clocks that disagree cannot hand one lease to two. Locally a lease counts as
held only until the moment at which its last confirmed heartbeat began plus its duration, on a clock that never jumps. A
lease whose process is known to be dead, on this very machine, is taken over at once; any other is waited for.
"""

from __future__ import annotations

import itertools
import json
import os
import platform
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from recon.core.errors import RefusedError, StoppedError
from recon.files import make_folder, remove_waiting, replace_file
from recon.runs.stores.retry import Retry, StoreGoneError, asked

if TYPE_CHECKING:
    from pymongo.collection import Collection

LEASE_MS: Final = 30_000
"""How long a lease lasts without a heartbeat, milliseconds."""

_BEATS_PER_LEASE: Final = 4
_NUMBERS: Final = itertools.count(1)
_LIVE: Final[set[str]] = set()  # nonces of the leases that this process is using


class LeaseHeldError(RefusedError):
    """Another run is writing to this target."""

    def __init__(self, *, target: str, holder: str, seconds: float | None) -> None:
        until = "until it ends" if seconds is None else f"for at most {max(0.0, seconds):.0f} s more"
        super().__init__(
            f"{target}: {holder} holds the lease {until}, and only one run may write at a time; "
            "nothing was written. Wait for it and run the same command again."
        )


class LeaseFileError(RefusedError):
    """The file of a lease cannot be written."""

    def __init__(self, *, target: str, why: str) -> None:
        super().__init__(
            f"{target}: the file of its lease cannot be written ({why}); nothing was written. "
            "Remove the cause and run the same command again."
        )


class LeaseLostError(StoppedError):
    """The lease went to another run, or could not be renewed in time."""

    def __init__(self, *, target: str, token: int) -> None:
        super().__init__(
            f"{target}: the lease with token {token} is lost (not renewed in time, or taken over); no further write "
            'was started. "recon runs" shows the run, "recon apply --resume" continues it.'
        )


@dataclass(frozen=True, slots=True)
class Holder:
    """Which process holds a lease.

    Args:
        place: Names a running system, so that a process id in it means something.
        started: When the process was started, so that a reused process id is not taken for it.
        nonce: Tells several leases of one process apart.
    """

    place: str
    pid: int
    started: str
    nonce: str

    def __str__(self) -> str:
        return f"process {self.pid} on {self.place.split('|')[0]}"


class LeaseStore(Protocol):
    """Where leases live. Every call is atomic."""

    def acquire(self, target: str, *, holder: Holder, lease_ms: int) -> int:
        """Take the lease and give its new token, or raise LeaseHeldError."""
        ...

    def renew(self, target: str, *, token: int, lease_ms: int) -> bool:
        """Prolong the lease; False when it is no longer this token's."""
        ...

    def release(self, target: str, *, token: int) -> None:
        """Give the lease back; nothing happens if it is no longer this token's."""
        ...


class MongoLeases:
    """Leases in a collection, one document a target."""

    def __init__(self, collection: Collection[Any], *, retry: Retry | None = None) -> None:
        from pymongo import ReadPreference, WriteConcern
        from pymongo.read_concern import ReadConcern

        self._collection: Collection[Any] = collection.with_options(
            write_concern=WriteConcern(w="majority"),
            read_concern=ReadConcern("majority"),
            read_preference=ReadPreference.PRIMARY,
        )
        self._retry = retry or Retry()

    def acquire(self, target: str, *, holder: Holder, lease_ms: int) -> int:
        """See :meth:`LeaseStore.acquire`."""
        with asked(self._collection.full_name, what="take the lease"):
            self._retry.run(lambda: self._ensure(target), what="the lease")
            free = {"$expr": {"$lte": ["$expires_at", "$$NOW"]}}
            row = self._take(target, free, holder, lease_ms)
            for _ in range(3):
                if row is not None:
                    return int(row["token"])
                seen = self._retry.run(lambda: self._collection.find_one({"_id": target}), what="the lease") or {}
                if read_holder(seen.get("holder")) == holder:
                    return int(seen["token"])  # ours already: the answer to the first try was lost
                if not is_dead(seen.get("holder")):
                    raise LeaseHeldError(
                        target=target, holder=str(read_holder(seen.get("holder"))), seconds=self._left_s(target)
                    )
                row = self._take(target, {"token": seen.get("token")}, holder, lease_ms)
        raise LeaseHeldError(target=target, holder="another process", seconds=None)

    def renew(self, target: str, *, token: int, lease_ms: int) -> bool:
        """See :meth:`LeaseStore.renew`."""
        change = [{"$set": {"expires_at": {"$add": ["$$NOW", lease_ms]}}}]
        found = self._collection.update_one({"_id": target, "token": token}, change)
        return bool(found.matched_count)

    def release(self, target: str, *, token: int) -> None:
        """See :meth:`LeaseStore.release`.

        Raises:
            StoreGoneError: The store does not take it back; it runs out by itself.
        """
        from pymongo.errors import PyMongoError

        change = [{"$set": {"expires_at": "$$NOW", "holder": None}}]
        only, what = {"_id": target, "token": token}, "the lease's return"
        try:
            self._retry.run(lambda: self._collection.update_one(only, change), what=what)
        except PyMongoError as error:
            raise StoreGoneError(what=what, tried_s=0, cause=type(error).__name__) from error

    def _ensure(self, target: str) -> None:
        from datetime import UTC, datetime

        from bson import Int64
        from pymongo.errors import DuplicateKeyError

        if self._collection.find_one({"_id": target}, {"_id": 1}) is None:
            try:
                never = datetime(1970, 1, 1, tzinfo=UTC)
                self._collection.insert_one({"_id": target, "token": Int64(0), "expires_at": never, "holder": None})
            except DuplicateKeyError:
                return

    def _take(self, target: str, only_if: Mapping[str, Any], holder: Holder, lease_ms: int) -> Mapping[str, Any] | None:
        from pymongo import ReturnDocument

        taken = {
            "token": {"$add": ["$token", 1]},
            "expires_at": {"$add": ["$$NOW", lease_ms]},
            "holder": {"$literal": asdict(holder)},
        }
        row: Mapping[str, Any] | None = self._retry.run(
            lambda: self._collection.find_one_and_update(
                {"_id": target, **only_if}, [{"$set": taken}], return_document=ReturnDocument.AFTER
            ),
            what="the lease",
        )
        return row

    def _left_s(self, target: str) -> float | None:
        pipeline: list[Mapping[str, Any]] = [
            {"$match": {"_id": target}},
            {"$project": {"left": {"$subtract": ["$expires_at", "$$NOW"]}}},
        ]
        rows = self._retry.run(lambda: list(self._collection.aggregate(pipeline)), what="the lease")
        return float(rows[0]["left"]) / 1000 if rows and rows[0].get("left") is not None else None


class FileLeases:
    """A lease that is a lock on a file: the system gives it back when its process ends. One machine only."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._locks: dict[int, Any] = {}

    def acquire(self, target: str, *, holder: Holder, lease_ms: int) -> int:
        """See :meth:`LeaseStore.acquire`; ``lease_ms`` is of no use to a lock."""
        from filelock import FileLock, Timeout

        lock = FileLock(self._directory / "lease.lock")
        try:
            make_folder(self._directory)
            lock.acquire(timeout=0)
            token = self._next_token(holder)
        except Timeout as error:
            raise LeaseHeldError(target=target, holder="another process", seconds=None) from error
        except OSError as error:
            lock.release()
            raise LeaseFileError(target=target, why=os.strerror(error.errno or 0)) from error
        self._locks[token] = lock
        return token

    def _next_token(self, holder: Holder) -> int:
        """Count on, in a file that is replaced whole, so that a full disk cannot set the count back."""
        state = self._directory / "lease.json"
        token = _file_token(state) + 1
        remove_waiting(state)
        replace_file(state, json.dumps({"token": token, "holder": asdict(holder)}).encode())
        return token

    def renew(self, target: str, *, token: int, lease_ms: int) -> bool:
        """See :meth:`LeaseStore.renew`."""
        return token in self._locks

    def release(self, target: str, *, token: int) -> None:
        """See :meth:`LeaseStore.release`."""
        if lock := self._locks.pop(token, None):
            lock.release()


def _file_token(path: Path) -> int:
    try:
        return int(json.loads(path.read_bytes())["token"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0


class Lease:
    """A held lease; :meth:`check` before every write."""

    def __init__(
        self,
        store: LeaseStore,
        *,
        target: str,
        lease_ms: int = LEASE_MS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._target, self._lease_ms, self._monotonic = store, target, lease_ms, monotonic
        began, self._holder = monotonic(), this_process()
        _LIVE.add(self._holder.nonce)
        try:
            self.token = store.acquire(target, holder=self._holder, lease_ms=lease_ms)
        except BaseException:
            _LIVE.discard(self._holder.nonce)
            raise
        self._held_until = began + lease_ms / 1000
        self._is_lost = False
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._beat_until_end, name="recon-lease", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Go on only while the lease is surely held.

        Raises:
            LeaseLostError: It was taken over, or its last heartbeat is too old.
        """
        if self._is_lost or self._monotonic() >= self._held_until:
            self._is_lost = True
            raise LeaseLostError(target=self._target, token=self.token)

    def beat(self) -> None:
        """Renew once; a store that is away is no loss until the lease has run out."""
        began = self._monotonic()
        try:
            renewed = self._store.renew(self._target, token=self.token, lease_ms=self._lease_ms)
        except Exception:
            # Whatever went wrong, the lease runs out by itself unless a later beat succeeds.
            return
        if renewed and not self._is_lost:
            self._held_until = began + self._lease_ms / 1000
        else:
            self._is_lost = True

    def release(self) -> None:
        """Stop the heartbeat and give the lease back."""
        self.abandon()
        self._thread.join()
        self._store.release(self._target, token=self.token)

    def abandon(self) -> None:
        """Stop the heartbeat and leave the lease to run out, because the store does not answer."""
        self._end.set()
        _LIVE.discard(self._holder.nonce)

    def _beat_until_end(self) -> None:
        while not self._end.wait(self._lease_ms / 1000 / _BEATS_PER_LEASE) and not self._is_lost:
            self.beat()


@contextmanager
def held_lease(
    store: LeaseStore, *, target: str, lease_ms: int = LEASE_MS, monotonic: Callable[[], float] = time.monotonic
) -> Iterator[Lease]:
    """Hold the lease of a target; it is given back at the end, and left to run out if the store is gone by then."""
    lease = Lease(store, target=target, lease_ms=lease_ms, monotonic=monotonic)
    try:
        yield lease
    finally:
        try:
            lease.release()
        except StoppedError:
            lease.abandon()


def this_process() -> Holder:
    """This process as a holder of leases."""
    nonce = f"{next(_NUMBERS)}-{time.monotonic_ns()}"
    return Holder(place=_place(), pid=os.getpid(), started=_started(os.getpid()) or "", nonce=nonce)


def _place() -> str:
    """The running system: host name, boot and process namespace; empty parts where the system does not say."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    try:
        parts = [boot.read_text(encoding="ascii").strip(), str(Path("/proc/self/ns/pid").readlink())]
    except OSError:
        parts = ["", ""]
    return "|".join([platform.node(), *parts])


def _started(pid: int) -> str | None:
    """When a process was started, in the system's own ticks; None when there is no such process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    state, *rest = stat.rpartition(")")[2].split()
    return None if state in "ZX" else rest[18]


def read_holder(found: object) -> Holder | None:
    """The holder that a stored lease names, or None."""
    try:
        return Holder(**found) if isinstance(found, dict) else None
    except TypeError:
        return None


def is_dead(found: object) -> bool:
    """Whether a holder is surely done: it is of this very system, and its process, or its use of it, is over."""
    holder = read_holder(found)
    if holder is None or not holder.started or holder.place != _place() or "||" in holder.place:
        return False
    if holder.pid == os.getpid() and _started(holder.pid) == holder.started:
        return holder.nonce not in _LIVE
    return _started(holder.pid) != holder.started
