"""Where whole records are put and taken away, for repairs and nothing else: guarded, and each known by its stamp.

A record is put only where none bears its ``_id`` or one of its keys, by one command of the server; several records go
in together or not at all; one is taken away only if it is, to the last field, what a run of ours put there. A field of
a record that is there is changed by :mod:`recon.runs.stores.payments`, as a correction changes it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from recon.core.errors import RefusedError
from recon.core.ids import payment_id_text
from recon.core.values import STAMP, value_at, value_terms
from recon.runs.guard import GuardedUpdate
from recon.runs.stores.payments import ROW_CODES, MongoWriter, UnknownCollectionError, WriteResult
from recon.runs.stores.retry import Retry, StoreGoneError, asked, error_name, read_only_refused

if TYPE_CHECKING:
    from pymongo.collection import Collection
    from pymongo.database import Database

_SIMPLE: Final = {"locale": "simple"}
_DUPLICATE: Final = 11000
_BEARERS_MAX: Final = 20
FOUND_MAX: Final = 10_000
"""Most records that one look gives; one more is given where there are more."""


class NoTransactionError(RefusedError):
    """Several records are to go in as one, and the server has no transactions."""

    def __init__(self, *, collection: str) -> None:
        super().__init__(
            f"{collection}: several records are to be added as one, and the server is no member of a replica set, so "
            "a crash could leave half of them; nothing was written. Make it a replica set, of one member at the least."
        )


@dataclass(frozen=True, slots=True)
class UniqueKey:
    """A key that no other record may bear.

    Args:
        paths: Where records hold it; a record bears it at any of them, in an array as well.
        values: Every spelling of it.
        field: The logical field that it is, by which the whole collection is asked; empty where it is none.
    """

    paths: tuple[str, ...]
    values: tuple[str, ...]
    field: str = ""


@dataclass(frozen=True, slots=True)
class NewRecord:
    """One record to be put into a collection, whole, with its stamp; and the keys that no other one may bear."""

    collection: str
    document: Mapping[str, Any]
    unique: tuple[UniqueKey, ...] = ()

    @property
    def document_id(self) -> Any:
        """Its ``_id``."""
        return self.document["_id"]


class RecordWriter(Protocol):
    """The few calls through which repairs read, put and take away records of any collection of one database.

    ``go_on`` is asked before a write is repeated whose answer was lost.
    """

    go_on: Callable[[], None] | None

    def collection_uuid(self, collection: str) -> str | None:
        """Which collection it is, whatever its name; raises UnknownCollectionError where there is none."""
        ...

    def check_writable(self, collections: Iterable[str]) -> None:
        """Raise ReadOnlyCredentialError unless records of them may be changed; changes nothing."""
        ...

    def check_together(self, collection: str) -> None:
        """Raise NoTransactionError unless several records can go in as one."""
        ...

    def read(self, collection: str, document_ids: Sequence[Any]) -> dict[str, Mapping[str, Any]]:
        """Whole records by ``payment_id_text`` of their ``_id``; nothing that was confirmed before is missing."""
        ...

    def find(self, collection: str, *, path: str, values: Sequence[Any]) -> list[Mapping[str, Any]]:
        """Whole records that hold one of these values at a path, at most :data:`FOUND_MAX` of them, by ``_id``."""
        ...

    def bearers(self, record: NewRecord) -> tuple[str, ...]:
        """The ids of other records that bear one of its keys, a few of them."""
        ...

    def unique_paths(self, collection: str) -> frozenset[str]:
        """The paths whose values the server itself keeps unique among all records of the collection."""
        ...

    def put(self, records: Sequence[NewRecord]) -> WriteResult:
        """Put records in as one: all of them, or none where one's ``_id`` or key is there. ``matched`` counts them."""
        ...

    def change(self, collection: str, update: GuardedUpdate) -> WriteResult:
        """Carry out one guarded update; see :meth:`PaymentWriter.write`."""
        ...

    def take_away(self, collection: str, document: Mapping[str, Any]) -> WriteResult:
        """Remove a record if it is exactly this one, every field of it, and nothing else is in it."""
        ...


class MongoRecords:
    """Records of a MongoDB database: primary, majority, repeated while it is away."""

    def __init__(self, database: Database[Any], *, retry: Retry | None = None) -> None:
        self._database, self._retry = database, retry or Retry()
        self._writers: dict[str, MongoWriter] = {}
        self.go_on: Callable[[], None] | None = None

    def _writer(self, collection: str) -> MongoWriter:
        if collection not in self._writers:
            self._writers[collection] = MongoWriter(self._database[collection], retry=self._retry)
        found = self._writers[collection]
        found.go_on = self.go_on
        return found

    def _collection(self, collection: str) -> Collection[Any]:
        """Read at the primary as it is, unconfirmed writes of others included: who looks for rivals must see them."""
        return self._writer(collection).unconfirmed()

    def collection_uuid(self, collection: str) -> str | None:
        """See :meth:`RecordWriter.collection_uuid`."""
        return self._writer(collection).identity().collection_uuid

    def check_writable(self, collections: Iterable[str]) -> None:
        """See :meth:`RecordWriter.check_writable`."""
        for collection in collections:
            self._writer(collection).check_writable()

    def check_together(self, collection: str) -> None:
        """See :meth:`RecordWriter.check_together`."""
        if not self._has_transactions():
            raise NoTransactionError(collection=collection)

    def _has_transactions(self) -> bool:
        with asked(self._database.name, what="say who it is"):
            hello = self._retry.run(lambda: self._database.client.admin.command("hello"), what="the question who it is")
        return bool(hello.get("setName")) or hello.get("msg") == "isdbgrid"

    def read(self, collection: str, document_ids: Sequence[Any]) -> dict[str, Mapping[str, Any]]:
        """See :meth:`RecordWriter.read`."""
        return self._writer(collection).read_confirmed(document_ids)

    def find(self, collection: str, *, path: str, values: Sequence[Any]) -> list[Mapping[str, Any]]:
        """See :meth:`RecordWriter.find`."""
        held = self._writer(collection).collection
        with asked(held.full_name, what="look for records"):
            return self._retry.run(
                lambda: list(held.find({path: {"$in": list(values)}}, sort=[("_id", 1)]).limit(FOUND_MAX + 1)),
                what="a look for records",
            )

    def bearers(self, record: NewRecord) -> tuple[str, ...]:
        """See :meth:`RecordWriter.bearers`."""
        if not record.unique:
            return ()
        query = {"_id": {"$ne": record.document_id}, "$or": list(_key_terms(record.unique))}
        collection = self._collection(record.collection)
        with asked(collection.full_name, what="look for other records of these keys"):
            found = self._retry.run(
                lambda: list(collection.find(query, {"_id": 1}, collation=_SIMPLE).limit(_BEARERS_MAX)),
                what="a look for other records of these keys",
            )
        return tuple(sorted(payment_id_text(each["_id"]) for each in found))

    def unique_paths(self, collection: str) -> frozenset[str]:
        """See :meth:`RecordWriter.unique_paths`; an index of some records only, or of another collation, keeps none."""
        held = self._collection(collection)
        with asked(held.full_name, what="say its indexes"):
            indexes = self._retry.run(held.index_information, what="the question for its indexes")
        return frozenset(
            {"_id"}
            | {
                str(each["key"][0][0])
                for each in indexes.values()
                if each.get("unique") and len(each["key"]) == 1 and not each.get("partialFilterExpression")
            }
        )

    def change(self, collection: str, update: GuardedUpdate) -> WriteResult:
        """See :meth:`RecordWriter.change`."""
        return self._writer(collection).write(update)

    def put(self, records: Sequence[NewRecord]) -> WriteResult:
        """See :meth:`RecordWriter.put`.

        One record is an update that inserts where nothing matches: the server looks for its keys and puts it in the
        same command. Several are one transaction.
        """
        if len(records) == 1:
            return self._answered(lambda: self._put_one(records[0]), records[0].collection)
        return self._answered(lambda: self._put_together(records), records[0].collection)

    def _put_one(self, record: NewRecord) -> int:
        collection = self._collection(record.collection)
        terms = [{"_id": record.document_id}, *_key_terms(record.unique)]
        answer: dict[str, Any] = self._database.command(
            "update",
            record.collection,
            codec_options=collection.codec_options,
            updates=[
                {
                    # Two terms at the least: a single one would be taken for what the new record holds.
                    "q": {"$or": [*terms, terms[0]]},
                    "u": {"$setOnInsert": dict(record.document)},
                    "upsert": True,
                    "collation": _SIMPLE,
                }
            ],
            writeConcern={"w": "majority"},
        )
        _raise_failed(answer)
        return len(answer.get("upserted", ()))

    def _put_together(self, records: Sequence[NewRecord]) -> int:
        from pymongo import WriteConcern
        from pymongo.errors import AutoReconnect, PyMongoError
        from pymongo.read_concern import ReadConcern

        read, write = ReadConcern("snapshot"), WriteConcern(w="majority")
        try:
            with self._database.client.start_session() as session, session.start_transaction(read, write):
                for each in records:
                    collection = self._writer(each.collection).collection
                    rival = {"$or": [{"_id": each.document_id}, *_key_terms(each.unique)]}
                    if collection.find_one(rival, {"_id": 1}, session=session, collation=_SIMPLE) is not None:
                        session.abort_transaction()
                        return 0
                for each in records:
                    self._writer(each.collection).collection.insert_one(dict(each.document), session=session)
        except PyMongoError as error:
            if error.has_error_label("TransientTransactionError"):
                raise AutoReconnect("the transaction was broken off") from error
            raise
        return len(records)

    def take_away(self, collection: str, document: Mapping[str, Any]) -> WriteResult:
        """See :meth:`RecordWriter.take_away`."""
        query = {
            "_id": {"$eq": document["_id"]},
            STAMP: value_terms(STAMP, value_at(document, STAMP)),
            "$expr": {"$eq": ["$$ROOT", {"$literal": dict(document)}]},
        }

        def once() -> int:
            answer: dict[str, Any] = self._database.command(
                "delete",
                collection,
                codec_options=self._collection(collection).codec_options,
                deletes=[{"q": query, "limit": 1, "collation": _SIMPLE}],
                writeConcern={"w": "majority"},
            )
            _raise_failed(answer)
            return int(answer["n"])

        return self._answered(once, collection)

    def _answered(self, call: Callable[[], int], collection: str) -> WriteResult:
        """What became of a write; an answer that was lost makes it ask again, which must be safe.

        Raises:
            StoreGoneError: Nobody knows what became of it.
            ReadOnlyCredentialError: The login may not do it.
        """
        from bson.errors import BSONError
        from pymongo.errors import PyMongoError, WriteConcernError

        asked_times = 0

        def once() -> int:
            nonlocal asked_times
            asked_times += 1
            return call()

        try:
            with read_only_refused(f"{self._database.name}.{collection}", what="put or take away records"):
                done = self._retry.run(once, what="a guarded write", go_on=self.go_on)
                return WriteResult(done, is_repeated=asked_times > 1)
        except WriteConcernError as error:
            raise StoreGoneError(what="a guarded write", tried_s=0, cause=error_name(error)) from error
        except (PyMongoError, BSONError) as error:
            code = getattr(error, "code", None) or 0
            if code == _DUPLICATE:
                return WriteResult(0, is_repeated=asked_times > 1)
            said = ROW_CODES.get(code, f"it answered {type(error).__name__} {code or ''}".strip())
            return WriteResult(0, code, said, asked_times > 1)


def _key_terms(keys: Iterable[UniqueKey]) -> Iterable[dict[str, Any]]:
    return ({path: {"$in": list(key.values)}} for key in keys for path in key.paths)


def _raise_failed(answer: Mapping[str, Any]) -> None:
    """Raise what a server says of a single write that it refused, or that no majority has.

    Raises:
        WriteError: It refused it.
        WriteConcernError: It carried it out, and whether it stays is not confirmed.
    """
    from pymongo.errors import WriteConcernError, WriteError

    for each in answer.get("writeErrors", ()):
        raise WriteError(each.get("errmsg", ""), each.get("code"), each)
    if lacking := answer.get("writeConcernError"):
        raise WriteConcernError(lacking.get("errmsg", ""), lacking.get("code"), lacking)


__all__ = [
    "MongoRecords", "NewRecord", "NoTransactionError", "RecordWriter", "UniqueKey", "UnknownCollectionError",
    "WriteResult",
]  # fmt: skip
