"""Whether any payment changed lately, by a change stream of MongoDB; nothing of a payment is sent.

A stream is opened anew where it broke, so that no token of it is kept: the first answer after each opening is that
something may have changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

from recon.core.errors import SourceError

if TYPE_CHECKING:
    from pymongo import MongoClient
    from pymongo.change_stream import CollectionChangeStream

    from recon.sources.payments.mongo import MongoSettings

EVENTS_MAX: Final = 1_000
"""So many changes are passed over at a time; where there are more, the stream is opened anew."""

WAIT_MS: Final = 1
_FORBIDDEN: Final = 13
_NO_REPLICA_SET: Final = 40_573
_TOKEN_LOST: Final = frozenset({280, 286})


class ChangesUnseenError(SourceError):
    """The changes of the payments cannot be followed.

    Args:
        is_away: Whether no server answers, so that counting would wait for it in vain as well.
    """

    def __init__(self, *, why: str, is_away: bool = False) -> None:
        super().__init__(f"MongoDB: the changes of the payments cannot be followed ({why}).")
        self.is_away = is_away


class ChangeFeed(Protocol):
    """Tells whether any payment may have changed."""

    def has_news(self) -> bool:
        """Whether any payment may have changed since the last call; yes at the first one, and after any gap.

        Raises:
            ChangesUnseenError: It cannot be told; the next call begins anew.
        """
        ...

    def close(self) -> None:
        """Let go of connections; the next call opens them again."""
        ...


class MongoChanges:
    """The changes of one collection; for one thread."""

    def __init__(self, settings: MongoSettings) -> None:
        self._settings = settings
        self._client: MongoClient[dict[str, Any]] | None = None
        self._stream: CollectionChangeStream[dict[str, Any]] | None = None

    def has_news(self) -> bool:
        """See :meth:`ChangeFeed.has_news`. Only the kind of each change is asked for."""
        from pymongo.errors import OperationFailure, PyMongoError

        try:
            if self._stream is None:
                self._stream = self._opened()
                return True
            return self._passed_over(self._stream)
        except OperationFailure as error:
            self._let_go()
            if error.code in _TOKEN_LOST:
                return True
            raise ChangesUnseenError(why=_why(error.code)) from error
        except PyMongoError as error:
            self.close()
            raise ChangesUnseenError(why="no server answers", is_away=True) from error

    def _passed_over(self, stream: CollectionChangeStream[dict[str, Any]]) -> bool:
        """Whether something changed; all of it is passed over."""
        for number in range(EVENTS_MAX):
            if stream.try_next() is None:
                if not stream.alive:
                    self._let_go()
                    return True
                return number > 0
        self._let_go()
        return True

    def close(self) -> None:
        """See :meth:`ChangeFeed.close`."""
        self._let_go()
        if self._client is not None:
            self._client.close()
            self._client = None

    def _let_go(self) -> None:
        from contextlib import suppress

        from pymongo.errors import PyMongoError

        if self._stream is not None:
            with suppress(PyMongoError):
                self._stream.close()
            self._stream = None

    def _opened(self) -> CollectionChangeStream[dict[str, Any]]:
        from pymongo import MongoClient

        given = self._settings
        if self._client is None:
            self._client = MongoClient(
                given.uri, appname="recon", serverSelectionTimeoutMS=given.timeout_ms, connectTimeoutMS=given.timeout_ms
            )
        collection = self._client[given.database][given.collection]
        return collection.watch([{"$project": {"operationType": 1}}], max_await_time_ms=WAIT_MS)


def _why(code: int | None) -> str:
    if code == _NO_REPLICA_SET:
        return "the server is no replica set"
    if code == _FORBIDDEN:
        return "the login may not; the role read may"
    return f"the server answered with error {code}"
