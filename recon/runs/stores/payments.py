"""Where business records are written: guarded updates, each of one row, and nothing else.

:class:`PaymentWriter` is what every store gives; :class:`MongoWriter` is MongoDB's. The embedded store of a recorded
world is in ``embedded``, SQL databases are in ``sql``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Protocol

from recon.core.errors import RefusedError
from recon.core.ids import payment_id_text
from recon.core.values import STAMP, value_at
from recon.runs.guard import GuardedUpdate
from recon.runs.stores.retry import (
    ReadOnlyCredentialError,
    Retry,
    StoreGoneError,
    asked,
    error_name,
    is_passing,
    read_only_refused,
)
from recon.sources.interface import StoreIdentity
from recon.sources.payments.identity import identity_of

if TYPE_CHECKING:
    from pymongo.collection import Collection

__all__ = [
    "ROW_CODES", "MongoWriter", "PaymentWriter", "ReadOnlyCredentialError", "StoreGoneError", "UnknownCollectionError",
    "WriteResult",
]  # fmt: skip

READ_MAX: Final = 500
"""Most documents that one re-read asks for at once."""

_CONFIRMED_MS: Final = 10_000
"""How long the primary may take to have a majority confirm that it still is the primary."""

_NOT_A_REPLICA_SET: Final = 123

ROW_CODES: Final[dict[int, str]] = {
    11000: "another record already holds a value that must be unique",
    121: "the collection's validator refuses the record as it would be",
    28: "a parent of a field is no object, so the field cannot be set",
    40: "two parts of the update touch the same field",
}
"""Server errors that are about one row and nothing else, with their meaning."""

CANNOT: Final = -1
"""The code of a write that a store refuses because it could not do it exactly."""


class UnknownCollectionError(RefusedError):
    """The collection that would be written to is not there, so it cannot be the one that was reviewed."""

    def __init__(self, *, collection: str) -> None:
        super().__init__(
            f"{collection}: there is no such collection; nothing was written. Check the database and its name."
        )


@dataclass(frozen=True, slots=True)
class WriteResult:
    """What became of one guarded update: how many rows matched, or why the server refused this one row.

    Args:
        is_repeated: Whether it was asked more than once because an answer was lost: what was asked first may have
            matched then, even if nothing does now.
    """

    matched: int
    code: int | None = None
    message: str | None = None
    is_repeated: bool = False


class PaymentWriter(Protocol):
    """The few calls through which business records are read again and changed.

    ``in_flight_max`` bounds the writes at one time; a buffered writer's writes last only once they are flushed.
    ``go_on`` is asked before a write is repeated whose answer was lost: by then the run may have lost its lease.
    """

    in_flight_max: int
    is_buffered: bool
    go_on: Callable[[], None] | None

    def identity(self) -> StoreIdentity:
        """Name the collection that is written to."""
        ...

    def check_writable(self) -> None:
        """Raise ReadOnlyCredentialError unless updates are allowed; changes nothing."""
        ...

    def read(self, document_ids: Sequence[Any]) -> dict[str, Mapping[str, Any]]:
        """Read whole documents from the primary, as a majority has them, by ``payment_id_text``.

        A store may add ``read_confirmed``, which gives the same and is asked what became of a write: nothing that was
        confirmed before it was called may be missing from it. Without one ``read`` itself has to hold that.
        """
        ...

    def write(self, update: GuardedUpdate) -> WriteResult:
        """Carry out one guarded update; it is durable once :meth:`flush` returned.

        A store may add ``write_group``, which carries out several by one call and gives the result of each, in order,
        as if each had been written alone; what became of any of them is unknown when it raises.
        """
        ...

    def flush(self) -> None:
        """Make every write so far durable."""
        ...


class MongoWriter:
    """Guarded updates on a MongoDB collection: primary, majority, simple collation, repeated while it is away."""

    in_flight_max = 200
    is_buffered = False

    def __init__(self, collection: Collection[Any], *, retry: Retry | None = None) -> None:
        from bson.binary import UuidRepresentation
        from bson.codec_options import CodecOptions, DatetimeConversion
        from pymongo import ReadPreference, WriteConcern
        from pymongo.read_concern import ReadConcern

        self._collection: Collection[Any] = collection.with_options(
            codec_options=CodecOptions(
                tz_aware=True,
                datetime_conversion=DatetimeConversion.DATETIME_AUTO,
                uuid_representation=UuidRepresentation.UNSPECIFIED,
            ),
            read_preference=ReadPreference.PRIMARY,
            write_concern=WriteConcern(w="majority"),
            read_concern=ReadConcern("majority"),
        )
        self._retry = retry or Retry()
        self._confirmed = self._collection.with_options(read_concern=ReadConcern("linearizable"))
        self.go_on: Callable[[], None] | None = None

    @property
    def collection(self) -> Collection[Any]:
        """The collection as runs see it: the primary, as a majority has it."""
        return self._collection

    def unconfirmed(self) -> Collection[Any]:
        """The collection as the primary has it now, with writes that no majority confirmed yet."""
        from pymongo.read_concern import ReadConcern

        return self._collection.with_options(read_concern=ReadConcern("local"))

    @property
    def _name(self) -> str:
        return str(self._collection.full_name)

    def identity(self) -> StoreIdentity:
        """Hosts and set name as the server says them, and the collection's UUID.

        Raises:
            UnknownCollectionError: There is no such collection.
            StoreGoneError: The store does not answer.
        """
        with asked(self._name, what="say who it is"):
            return self._retry.run(self._identity, what="the question who it is")

    def _identity(self) -> StoreIdentity:
        database = self._collection.database
        client: Any = database.client
        found = identity_of(client, database=database.name, collection=self._collection.name)
        if found is None:
            raise UnknownCollectionError(collection=self._name)
        return found

    def server_time(self) -> datetime:
        """The primary's own time, aware UTC.

        Raises:
            StoreGoneError: No primary says it.
        """
        with asked(self._name, what="tell the time"):
            answer = self._retry.run(lambda: self._collection.database.client.admin.command("hello"), what="its time")
        found = answer.get("localTime")
        if not isinstance(found, datetime):
            raise StoreGoneError(what="the question for its time", tried_s=0, cause="no time in its answer")
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)

    def check_writable(self) -> None:
        """Ask for an update that matches nothing: the server checks the right to update before it looks."""
        from bson import ObjectId

        impossible = {"_id": ObjectId(), "$nor": [{}]}
        with asked(self._name, what="update records"):
            self._retry.run(
                lambda: self._collection.update_one(impossible, {"$set": {STAMP: "probe"}}),
                what="a write that changes nothing",
            )

    def read(self, document_ids: Sequence[Any]) -> dict[str, Mapping[str, Any]]:
        """See :meth:`PaymentWriter.read`."""
        return self._read(document_ids, lambda query: list(self._collection.find(query)))

    def read_confirmed(self, document_ids: Sequence[Any]) -> dict[str, Mapping[str, Any]]:
        """See :meth:`PaymentWriter.read`; read linearizable, which waits for a majority to confirm the primary.

        A primary that was cut off and does not know it yet has missed newer writes, and a majority read at it shows
        the rows without them; a plain read even shows writes that no majority will ever know of.
        """
        return self._read(document_ids, self._find_confirmed)

    def _read(
        self, document_ids: Sequence[Any], find: Callable[[Mapping[str, Any]], list[Mapping[str, Any]]]
    ) -> dict[str, Mapping[str, Any]]:
        from pymongo.errors import PyMongoError

        found: dict[str, Mapping[str, Any]] = {}
        for start in range(0, len(document_ids), READ_MAX):
            query = {"_id": {"$in": list(document_ids[start : start + READ_MAX])}}
            try:
                documents = self._retry.run(lambda query=query: find(query), what="a re-read")  # type: ignore[misc]
            except PyMongoError as error:
                raise StoreGoneError(what="a re-read", tried_s=0, cause=error_name(error)) from error
            found.update((payment_id_text(document["_id"]), document) for document in documents)
        return found

    def _find_confirmed(self, query: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """A server of no set has no other that could know better."""
        from pymongo.errors import OperationFailure

        try:
            return list(self._confirmed.find(query, batch_size=READ_MAX + 1).max_time_ms(_CONFIRMED_MS))
        except OperationFailure as error:
            if error.code != _NOT_A_REPLICA_SET:
                raise
            return list(self._collection.find(query))

    def stamps(self, run: str | None) -> Iterator[tuple[str, str]]:
        """Every row that carries a stamp of a run, or of any, with the stamp; the whole collection is looked through.

        Raises:
            StoreGoneError: The store does not answer.
        """
        wanted: dict[str, Any] = {"$type": "string"}
        if run is not None:
            wanted["$regex"] = f"^{re.escape(run)}/"
        query, only = {STAMP: wanted}, {STAMP: 1}
        with asked(self._name, what="look for stamps"):
            found = self._retry.run(lambda: list(self._collection.find(query, only)), what="a look for stamps")
        for document in found:
            yield payment_id_text(document["_id"]), str(value_at(document, STAMP))

    def write(self, update: GuardedUpdate) -> WriteResult:
        """See :meth:`PaymentWriter.write`. Asking twice is safe: the guard names the stamp from before."""
        answer = self._ask([update])
        if answer.failed:
            return _refused(answer.failed[0], is_repeated=answer.is_repeated)
        return WriteResult(answer.matched, is_repeated=answer.is_repeated)

    def write_group(self, updates: Sequence[GuardedUpdate]) -> list[WriteResult]:
        """See :meth:`PaymentWriter.write`. The server counts what matched; the stamps say which, where not all did."""
        answer = self._ask(updates)
        if answer.is_refused_whole:
            # The server took offence at one of them, or at the command: each is asked for itself, and says so itself.
            return [replace(self.write(update), is_repeated=True) for update in updates]
        results = {place: _refused(error, is_repeated=answer.is_repeated) for place, error in answer.failed.items()}
        left = [place for place in range(len(updates)) if place not in answer.failed]
        results |= zip(left, self._which_matched([updates[place] for place in left], answer), strict=True)
        return [results[place] for place in range(len(updates))]

    def _which_matched(self, updates: Sequence[GuardedUpdate], answer: _Answer) -> list[WriteResult]:
        """What became of the writes of a command that were not refused."""
        if answer.matched == len(updates) or not (answer.matched or answer.is_repeated):
            return [WriteResult(int(answer.matched > 0), is_repeated=answer.is_repeated)] * len(updates)
        rows = self.read_confirmed([each.document_id for each in updates])
        ours = [_is_stamped(rows, each) for each in updates]
        # A row that was written and overwritten since shows no stamp: then the count does not fit, and it may be ours.
        is_unsure = answer.is_repeated or sum(ours) != answer.matched
        return [WriteResult(int(is_ours), is_repeated=is_unsure) for is_ours in ours]

    def _ask(self, updates: Sequence[GuardedUpdate]) -> _Answer:
        from bson.errors import BSONError
        from pymongo.errors import PyMongoError, WriteConcernError

        asked_times = 0

        def once() -> tuple[int, dict[int, Exception]]:
            nonlocal asked_times
            asked_times += 1
            return self._update(updates)

        try:
            with read_only_refused(self._name, what="update records"):
                matched, failed = self._retry.run(once, what="a guarded write", go_on=self.go_on)
                return _Answer(matched, failed, is_repeated=asked_times > 1)
        except WriteConcernError as error:
            # The update was carried out; whether a majority has it is not confirmed.
            raise StoreGoneError(what="a guarded write", tried_s=0, cause=error_name(error)) from error
        except (PyMongoError, BSONError) as error:
            return _Answer(0, {0: error}, is_repeated=asked_times > 1, is_refused_whole=True)

    def _update(self, updates: Sequence[GuardedUpdate]) -> tuple[int, dict[int, Exception]]:
        """``update`` as the driver would send it, but without its numbered retries: how many rows matched, what failed.

        For those the server keeps a record of each write, which costs as much as a fourth of the write itself. Here
        nothing hangs on them: after a lost answer the guard fails on our own stamp, and the re-read shows it.

        Raises:
            OperationFailure: The command as a whole failed, or one write of it for a reason that passes.
        """
        from pymongo.errors import WriteConcernError, WriteError

        collation = {"locale": "simple"}
        answer: dict[str, Any] = self._collection.database.command(
            "update",
            self._collection.name,
            codec_options=self._collection.codec_options,
            updates=[{"q": dict(each.filter), "u": _update_document(each), "collation": collation} for each in updates],
            ordered=False,
            writeConcern={"w": "majority"},
        )
        failed: dict[int, Exception] = {}
        for each in answer.get("writeErrors", ()):
            failed[each.get("index", 0)] = WriteError(each.get("errmsg", ""), each.get("code"), each)
        for error in failed.values():
            if is_passing(error):
                raise error
        if lacking := answer.get("writeConcernError"):
            raise WriteConcernError(lacking.get("errmsg", ""), lacking.get("code"), lacking)
        return int(answer["n"]), failed

    def flush(self) -> None:
        """Every write waited for a majority already."""


@dataclass(frozen=True, slots=True)
class _Answer:
    """What the server said of one command: how many rows matched, and by place which writes it refused.

    Args:
        is_repeated: As in :class:`WriteResult`.
        is_refused_whole: Whether the command failed as a whole, so that of none of its writes anything is known.
    """

    matched: int
    failed: Mapping[int, Exception]
    is_repeated: bool
    is_refused_whole: bool = False


def _refused(error: Exception, *, is_repeated: bool) -> WriteResult:
    code = getattr(error, "code", None) or 0
    said = ROW_CODES.get(code, f"it answered {type(error).__name__} {code or ''}".strip())
    return WriteResult(0, code, said, is_repeated)


def _is_stamped(rows: Mapping[str, Mapping[str, Any]], update: GuardedUpdate) -> bool:
    found = rows.get(payment_id_text(update.document_id))
    return found is not None and value_at(found, STAMP) == update.sets[STAMP]


def _update_document(update: GuardedUpdate) -> dict[str, Any]:
    change: dict[str, Any] = {"$set": dict(update.sets)}
    if update.unsets:
        change["$unset"] = dict.fromkeys(update.unsets, "")
    return change
