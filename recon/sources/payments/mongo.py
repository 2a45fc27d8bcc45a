"""Payment documents from MongoDB, read only: windows in bulk, single rows from the primary, and who claims a key.

A scan runs in ``_id`` order. Comparisons in MongoDB stay within one BSON type, so a scan that broke off is taken up
with "greater than the last ``_id`` *of its type*, or of a type that sorts after it": ObjectIds, strings and numbers
may stand in one window and none is skipped.

No message holds the URI, a user or a password: only host names, the database and the collection.
"""

from __future__ import annotations

import re
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from recon.core import ids
from recon.core.errors import ConfigError, DatabaseAwayError, SourceError
from recon.core.registry import Registry, load_registry
from recon.core.text import count_text
from recon.core.tries import Backoff, Tries
from recon.sources.interface import Selection, StoreIdentity
from recon.sources.payments.address import check_options
from recon.sources.payments.bson_walk import RawBatch
from recon.sources.payments.documents import codec
from recon.sources.payments.fields import FieldPaths, project
from recon.sources.payments.filters import (
    after_id,
    claim_condition,
    claim_keys,
    id_values,
    selection_condition,
    stored_claim_key,
)
from recon.sources.payments.identity import identity_of

if TYPE_CHECKING:
    from bson import Timestamp
    from pymongo import MongoClient
    from pymongo.client_session import ClientSession
    from pymongo.collection import Collection
    from pymongo.server_description import ServerDescription

IDS_PER_QUERY: Final = 10_000
VALUES_PER_QUERY: Final = 10_000
_SKEW_MAX_S: Final = 30
_LOGIN_CODES: Final = frozenset({18, 8000})
_FORBIDDEN: Final = 13
_TIME_LIMIT: Final = 50
_LAG_MAX_S: Final = 90
"""A secondary further behind than this is not read; it is the least that the driver knows to keep to."""
_CATCH_UP_MS: Final = 10_000
"""How long a secondary may take to catch up with the primary before the primary is read instead."""
_AGAIN: Final = Backoff(first_s=0.4, longest_s=5.0)


class StoreUriError(ConfigError):
    """The MongoDB URI cannot be read. It may hold a password and is therefore not quoted."""

    def __init__(self) -> None:
        super().__init__(
            "The MongoDB URI cannot be read (it is not shown, for it may hold a password). Write "
            "mongodb://user:password@host:27017/?authSource=admin, with special characters in the password as %XX."
        )


class StoreUnreachableError(DatabaseAwayError):
    """No server answers under the given hosts."""

    def __init__(self, *, hosts: str, timeout_ms: int) -> None:
        super().__init__(
            f"MongoDB: no usable server answered at {hosts} within {timeout_ms / 1000:g} s. Check that it runs, that "
            "this machine may reach it, and the replica set name in the URI."
        )


class StoreLoginError(SourceError):
    """The server refuses the user or the password."""

    def __init__(self, *, hosts: str) -> None:
        super().__init__(
            f"MongoDB: {hosts} refuses the user or the password. Check both, and the authSource in the URI."
        )


class StoreForbiddenError(SourceError):
    """The user may not read what is needed."""

    def __init__(self, *, hosts: str, namespace: str) -> None:
        super().__init__(
            f"MongoDB: the user may not read {namespace} at {hosts}. Log in, and give the user the role 'read' on that "
            "database; more is not needed."
        )


class StoreMissingError(SourceError):
    """The database or the collection is not there, or holds nothing."""

    def __init__(self, *, namespace: str, hosts: str, what: str) -> None:
        super().__init__(f"MongoDB: {namespace} at {hosts} {what}. Check the names of database and collection.")


class StoreInterruptedError(SourceError):
    """A scan broke off and could not be taken up again; what came before it is good."""

    def __init__(self, *, namespace: str, documents: int, why: str) -> None:
        super().__init__(
            f"MongoDB: reading {namespace} broke off after {count_text(documents, 'document')} and could not be taken "
            f"up again ({why}). The rest of the window was not read; run the command again."
        )


class StoreAnswerError(SourceError):
    """The server answered with an error that has no class of its own."""

    def __init__(self, *, namespace: str, why: str) -> None:
        super().__init__(f"MongoDB: reading {namespace} failed ({why}). Nothing was changed; try again.")


class StoreSlowError(SourceError):
    """A query ran into its time limit."""

    def __init__(self, *, namespace: str, limit_ms: int) -> None:
        super().__init__(
            f"MongoDB: a query on {namespace} took longer than {limit_ms / 1000:g} s and was given up. Narrow the "
            "window, add an index on its date, or raise the time limit."
        )


@dataclass(frozen=True, slots=True)
class MongoSettings:
    """Where the payments are and how patiently they are read.

    Args:
        uri: Secret. Options in it hold, except those named here.
        timeout_ms: For finding a server and for connecting.
        query_ms: For one operation on the server.
        retries_max: How often a scan that broke off is taken up again without getting any further.
        read: The projection, for a collection of other documents than payments; None means that of ``fields``.
    """

    uri: str = field(repr=False)
    database: str = "marketplace"
    collection: str = "payments"
    fields: FieldPaths = field(default_factory=FieldPaths)
    registry: Registry = field(default_factory=load_registry, repr=False)
    timeout_ms: int = 10_000
    query_ms: int = 600_000
    retries_max: int = 5
    read: Mapping[str, int] | None = None

    @property
    def namespace(self) -> str:
        """Database and collection as one name."""
        return f"{self.database}.{self.collection}"


class MongoStore:
    """A :class:`~recon.sources.interface.DocumentStore` over one MongoDB collection; safe to use from threads."""

    def __init__(self, settings: MongoSettings, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self.settings = settings
        self._sleep = sleep
        self._after: Timestamp | None = None
        self._is_behind = False
        self._caught_up: tuple[str, int | None] | None = None

    def close(self) -> None:
        """Give the connections back; the store opens new ones when it is used again."""
        client = self.__dict__.pop("_client", None)
        if client is not None:
            client.close()

    def __enter__(self) -> MongoStore:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def identity(self) -> StoreIdentity:
        """Name the collection that is read, with its UUID; the role ``read`` is enough.

        Raises:
            StoreMissingError: There is no such collection: a wrong name would else read as "no payment is known".
            SourceError: The server cannot be reached or refuses.
        """
        names = {"database": self.settings.database, "collection": self.settings.collection}
        with self._translated():
            found = identity_of(self._client, **names, info=self._there())
        assert found is not None, "a collection that is there has an identity"
        return found

    def check(self, *, now: datetime | None = None) -> str:
        """Say in one sentence that the payments can be read, and what would make it slow or doubtful.

        Raises:
            SourceError: Unreachable, refused, or the collection is missing or empty; one class each.
            StoreUriError: The URI cannot be read.
        """
        settings = self.settings
        with self._translated():
            hello = self._client.admin.command("hello")
            info = self._there()
            version = self._client.server_info().get("version", "unknown")
            if self._collection().find_one({}, {"_id": 1}) is None:
                raise self._missing("is empty")
            count = self._collection().estimated_document_count()
            indexes = self._collection().index_information() if info.get("type") != "view" else {}
        leading = {str(index["key"][0][0]) for index in indexes.values()}
        notes = [
            f"no index begins with {path}, so a window over it reads the whole collection"
            for path in (settings.fields.path("created_at"), settings.fields.path("updated_at"))
            if path not in leading
        ]
        local = hello.get("localTime")
        if now is not None and isinstance(local, datetime):
            skew = abs((local.replace(tzinfo=UTC) - now).total_seconds())  # the server's clock is UTC
            if skew > _SKEW_MAX_S:
                notes.append(f"its clock is {skew:.0f} s off this machine's: set one of them right")
        kind = f"replica set {hello['setName']}" if hello.get("setName") else "stand-alone server"
        about = f"{version}, {kind}, about {count_text(count, 'document')}"
        head = f"MongoDB: {settings.namespace} at {self._hosts} can be read ({about})"
        return "; ".join([head, *notes]) + "."

    def _there(self) -> Mapping[str, Any]:
        """What the server says of the collection, which has to be there."""
        info = self._collection_info()
        if info is None:
            names = sorted(self._client[self.settings.database].list_collection_names())[:6]
            raise self._missing(f"is not there; the database holds {', '.join(names)}" if names else "is not there")
        return info

    def as_of_ms(self) -> int | None:
        """The cluster's time now, UTC ms: every scan and count from here on shows all that was written before it.

        The member that is to be read waits until it has caught up with the primary, and no other secondary is read
        after it; one that takes too long is not read. None where one server stands alone: it has no other to lag
        behind.

        Raises:
            SourceError: No primary answers, so that nothing tells how old what a secondary says is.
        """
        from pymongo.errors import ExecutionTimeout, PyMongoError

        self._after, self._is_behind, self._caught_up = None, False, None
        with self._translated(), self._client.start_session(causal_consistency=True) as session:
            self._client.admin.command("ping", session=session)
            self._after = session.operation_time
        if self._after is None:
            return None
        try:
            with self._in_order() as session:
                first = self._collection().find({}, {"_id": 1}, session=session, limit=1, max_time_ms=_CATCH_UP_MS)
                next(first, None)
                self._caught_up = first.address
        except PyMongoError as error:
            # Whatever else is wrong, the scan meets it too, and says what it means there.
            self._is_behind = isinstance(error, ExecutionTimeout)
        return self._after.time * 1000

    def _readable(self, servers: list[ServerDescription]) -> list[ServerDescription]:
        """Of the servers that a preference allows, the secondary that has caught up, without one the primary."""
        secondaries = [one for one in servers if one.server_type_name == "RSSecondary"]
        chosen = [one for one in secondaries if self._caught_up in (None, one.address)]
        return chosen or [one for one in servers if one not in secondaries]

    @contextmanager
    def _in_order(self) -> Iterator[ClientSession]:
        """A session in which a secondary shows all that the primary had when :meth:`as_of_ms` asked it."""
        with self._client.start_session(causal_consistency=True) as session:
            if self._after is not None:
                session.advance_operation_time(self._after)
            yield session

    def count(self, selection: Selection) -> int:
        """How many documents the server has for a selection, by its own count.

        Raises:
            SourceError: The server cannot be reached, refuses or takes too long.
        """
        with self._translated(), self._in_order() as session:
            collection = self._collection()
            return sum(
                collection.count_documents(condition, session=session, maxTimeMS=self.settings.query_ms)
                for condition in self._conditions(selection)
            )

    def scan(self, selection: Selection) -> Iterator[Sequence[Mapping[str, Any]]]:
        """Yield the projected documents of a selection in ``_id`` order, as raw batches.

        Raises:
            StoreInterruptedError: The cursor died and could not be taken up; the batches before it are good.
            SourceError: The server cannot be reached, refuses or takes too long.
        """
        done = 0
        for condition in self._conditions(selection):
            for batch in self._scan_one(condition, done):
                done += len(batch)
                yield batch

    def scan_where(self, condition: Mapping[str, Any]) -> Iterator[Sequence[Mapping[str, Any]]]:
        """Yield the projected documents that a condition of the server's selects, as :meth:`scan` does.

        Raises:
            SourceError: As :meth:`scan`.
        """
        return self._scan_one(dict(condition), 0)

    def find_where(self, condition: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        """Yield the projected documents that a condition selects, from the primary, in ``_id`` order.

        Raises:
            SourceError: The server cannot be reached, refuses or takes too long.
        """
        from pymongo import ReadPreference

        with self._translated():
            collection = self._collection(ReadPreference.PRIMARY)
            limit_ms = self.settings.query_ms
            yield from collection.find(condition, self._projection(), sort=[("_id", 1)], max_time_ms=limit_ms)

    def _projection(self) -> Mapping[str, int]:
        settings = self.settings
        return settings.fields.projection() if settings.read is None else settings.read

    def sample(self, count: int) -> list[Mapping[str, Any]]:
        """The newest documents by id, whole, at most so many."""
        with self._translated():
            found = self._collection().find({}, sort=[("_id", -1)], limit=count, max_time_ms=self.settings.query_ms)
            return list(found)

    def fetch(self, payment_ids: Iterable[str]) -> Iterator[Mapping[str, Any]]:
        """Yield documents by id from the primary, cut to the projection; unknown ids are left out.

        A parent that is null, text or an array is kept as it is: see :func:`recon.sources.payments.fields.project`.
        """
        from pymongo import ReadPreference

        paths = list(self.settings.fields.projection())
        for chunk in _chunks([ids.parse_payment_id(text) for text in payment_ids], IDS_PER_QUERY):
            with self._translated():
                collection = self._collection(ReadPreference.PRIMARY)
                for document in collection.find(
                    {"_id": {"$in": chunk}}, sort=[("_id", 1)], max_time_ms=self.settings.query_ms
                ):
                    yield project(document, paths)

    def find_claimants(self, field: str, values: Iterable[str]) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Yield ``(value, document)`` for every row of the whole collection that carries one of the values.

        Each batch of values is one case-blind pass; what the server finds is judged again here, by the same
        normalisation as the payments table.
        """
        return self._claimants(field, values, read=self.settings.fields.projection())

    def claimant_ids(self, field: str, values: Iterable[str]) -> Iterator[str]:
        """Yield the payment ids of the rows that :meth:`find_claimants` gives; of each only what tells that is read."""
        read = self.settings.fields.projection(field, "provider")
        return (ids.payment_id_text(document["_id"]) for _, document in self._claimants(field, values, read=read))

    def _claimants(
        self, field: str, values: Iterable[str], *, read: Mapping[str, int]
    ) -> Iterator[tuple[str, Mapping[str, Any]]]:
        from pymongo import ReadPreference
        from pymongo.collation import Collation

        settings = self.settings
        candidates = settings.fields.of(field)
        for chunk in _chunks(sorted(set(values)), VALUES_PER_QUERY):
            wanted = {spelled: value for value in chunk if (spelled := stored_claim_key(field, value)) is not None}
            if not wanted:
                continue
            with self._translated():
                found = self._collection(ReadPreference.PRIMARY).find(
                    claim_condition(field, candidates=candidates, wanted=wanted),
                    read,
                    collation=Collation(locale="en", strength=2),
                    max_time_ms=self.settings.query_ms,
                )
                for document in found:
                    for key in sorted(claim_keys(document, field, fields=settings.fields, registry=settings.registry)):
                        if key in wanted:
                            yield wanted[key], document

    @cached_property
    def _client(self) -> MongoClient[dict[str, Any]]:
        from pymongo import MongoClient
        from pymongo.errors import ConfigurationError, InvalidURI

        settings = self.settings
        check_options(settings.uri)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # of options of other drivers, which were told apart
                return MongoClient(
                    settings.uri,
                    tz_aware=True,
                    appname="recon",
                    connect=False,
                    serverSelectionTimeoutMS=settings.timeout_ms,
                    connectTimeoutMS=settings.timeout_ms,
                    socketTimeoutMS=settings.query_ms + settings.timeout_ms,
                    retryReads=True,
                    server_selector=self._readable,
                )
        except (ConfigurationError, InvalidURI, ValueError, TypeError):
            raise StoreUriError from None

    @property
    def _hosts(self) -> str:
        return hosts_of(self.settings.uri)

    def _collection(self, preference: Any = None) -> Collection[dict[str, Any]]:
        from pymongo.errors import InvalidName
        from pymongo.read_concern import ReadConcern

        preference = preference or self._preference()
        try:
            return self._client[self.settings.database].get_collection(
                self.settings.collection,
                codec_options=codec(),
                read_preference=preference,
                read_concern=ReadConcern("majority"),
            )
        except InvalidName:
            raise self._missing("is no possible name") from None

    def _preference(self) -> Any:
        from pymongo.read_preferences import Nearest, ReadPreference, SecondaryPreferred

        if self._is_behind:
            return ReadPreference.PRIMARY
        if self._client.topology_description.topology_type_name == "Sharded":
            return SecondaryPreferred(max_staleness=_LAG_MAX_S)  # mongos chooses the member
        return Nearest(max_staleness=_LAG_MAX_S)  # any member; self._readable chooses

    def _collection_info(self) -> Mapping[str, Any] | None:
        from pymongo.errors import InvalidName

        try:
            database = self._client[self.settings.database]
        except InvalidName:
            raise self._missing("is no possible name") from None
        return next(iter(database.list_collections(filter={"name": self.settings.collection})), None)

    def _missing(self, what: str) -> StoreMissingError:
        return StoreMissingError(namespace=self.settings.namespace, hosts=self._hosts, what=what)

    def _conditions(self, selection: Selection) -> list[dict[str, Any]]:
        condition = selection_condition(selection, fields=self.settings.fields, registry=self.settings.registry)
        if not selection.ids:
            return [condition]
        wanted = [value for text in dict.fromkeys(selection.ids) for value in id_values(text)]
        return [
            {"$and": [{"_id": {"$in": chunk}}, condition]} if condition else {"_id": {"$in": chunk}}
            for chunk in _chunks(wanted, IDS_PER_QUERY)
        ]

    def _scan_one(self, condition: dict[str, Any], before: int) -> Iterator[RawBatch]:
        from pymongo.errors import AutoReconnect, CursorNotFound, PyMongoError, ServerSelectionTimeoutError

        last: list[Any] = []
        done = before
        tries = Tries(_AGAIN, sleep=self._sleep, monotonic=time.monotonic, tries_max=self.settings.retries_max + 1)
        while True:
            try:
                for data in _ahead(self._raw_batches(condition, last)):
                    batch = RawBatch(data)
                    if not len(batch):
                        continue
                    yield batch
                    done, last = done + len(batch), [batch[-1]["_id"]]
                    tries.start_over()
            except (AutoReconnect, CursorNotFound) as error:
                if isinstance(error, ServerSelectionTimeoutError) and done == before:
                    raise self._translate(error) from error
                if not tries.again():
                    raise StoreInterruptedError(
                        namespace=self.settings.namespace, documents=done, why=_why(error)
                    ) from error
            except PyMongoError as error:
                raise self._translate(error) from error
            else:
                return

    def _raw_batches(self, condition: dict[str, Any], last: list[Any]) -> Iterator[bytes]:
        resumed = {"$and": [condition, after_id(last[0])]} if last else condition
        with self._in_order() as session:
            cursor = self._collection().find_raw_batches(
                resumed,
                self._projection(),
                session=session,
                sort=[("_id", 1)],
                allow_disk_use=True,
                max_time_ms=self.settings.query_ms,
            )
            with cursor:
                yield from cursor

    @contextmanager
    def _translated(self) -> Iterator[None]:
        from pymongo.errors import PyMongoError

        try:
            yield
        except PyMongoError as error:
            raise self._translate(error) from error

    def _translate(self, error: Exception) -> SourceError:
        from pymongo.errors import (
            ConnectionFailure,
            ExecutionTimeout,
            OperationFailure,
            ServerSelectionTimeoutError,
        )

        settings = self.settings
        if isinstance(error, ServerSelectionTimeoutError):
            # After a refused login the driver only says that it finds no server; the reason stands with the server.
            known = self._client.topology_description.server_descriptions().values()
            error = next((server.error for server in known if isinstance(server.error, OperationFailure)), error)
        if isinstance(error, ExecutionTimeout) or (isinstance(error, OperationFailure) and error.code == _TIME_LIMIT):
            return StoreSlowError(namespace=settings.namespace, limit_ms=settings.query_ms)
        if isinstance(error, OperationFailure):
            if error.code in _LOGIN_CODES:
                return StoreLoginError(hosts=self._hosts)
            if error.code == _FORBIDDEN:
                return StoreForbiddenError(hosts=self._hosts, namespace=settings.namespace)
        if isinstance(error, ConnectionFailure):
            return StoreUnreachableError(hosts=self._hosts, timeout_ms=settings.timeout_ms)
        return StoreAnswerError(namespace=settings.namespace, why=_why(error))


def hosts_of(uri: str) -> str:
    """The host names of a MongoDB URI and nothing else of it.

    >>> hosts_of("mongodb://user:secret@db1:27017,db2/?replicaSet=rs0")
    'db1:27017,db2'
    """
    rest = re.sub(r"\Amongodb(\+srv)?://", "", uri.strip())
    hosts = re.split(r"[/?]", rest.rpartition("@")[2], maxsplit=1)[0]
    return hosts if re.fullmatch(r"[\w.,:\[\]%-]{1,500}", hosts) else "the given hosts"


def _chunks(values: Sequence[Any], size: int) -> Iterator[list[Any]]:
    for start in range(0, len(values), size):
        yield list(values[start : start + size])


def _ahead(batches: Iterator[bytes]) -> Iterator[bytes]:
    """The same batches, each asked for while the one before it is being worked on."""
    with ThreadPoolExecutor(1) as aside:
        coming = aside.submit(next, batches, None)
        while (data := coming.result()) is not None:
            coming = aside.submit(next, batches, None)
            yield data


def _why(error: Exception) -> str:
    details = getattr(error, "details", None)
    name = details.get("codeName") if isinstance(details, Mapping) else None
    return str(name) if name else type(error).__name__
