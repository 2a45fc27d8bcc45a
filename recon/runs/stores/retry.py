"""Asking a store again while it is away: bounded, and only for failures that pass by themselves."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

from recon.core.errors import RefusedError, SourceError, StoppedError
from recon.core.tries import Backoff, Tries

Answer = TypeVar("Answer")

_UNAUTHORIZED: Final = frozenset({13, 8000})
_PASSING: Final = frozenset(
    {6, 7, 64, 89, 91, 112, 134, 189, 262, 9001, 10107, 11600, 11602, 13435, 13436, 50}
)  # host or primary away, shutting down, stepping down, majority not reached in time, write conflict
_AGAIN: Final = Backoff(first_s=0.05, longest_s=1.0)


class StoreGoneError(StoppedError):
    """The store stopped answering, or never said what became of a call."""

    def __init__(self, *, what: str, tried_s: float, cause: str) -> None:
        super().__init__(
            f"The store gave no usable answer to {what} for {tried_s:.0f} s ({cause}); what was asked last may or may "
            "not have happened, and the journal knows what it was. Run the same command again once the store answers."
        )


class StoreSaysError(SourceError):
    """The store answered a question with an error that says nothing about the login."""

    def __init__(self, *, what: str, why: str) -> None:
        super().__init__(
            f"The store answered {what} with an error ({why}); nothing was written by it. See the server's log for "
            "what it means, and run the same command again."
        )


class ReadOnlyCredentialError(RefusedError):
    """The credential may read but not write. ``said`` is what it may not do; it does not say how the run ended."""

    def __init__(self, *, collection: str, what: str) -> None:
        self.said = f"{collection}: the credential may not {what}"
        super().__init__(
            f"{self.said}; nothing was written. Give apply a credential with the "
            "readWrite role on this database; a read-only one is enough for every other command."
        )


class Retry:
    """Repeats a call while the store is away, for a bounded time; every other failure goes straight through.

    Args:
        passes: Whether a failure passes by itself; :func:`is_passing` where nothing is said.
    """

    def __init__(
        self,
        *,
        retry_s: float = 30.0,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
        passes: Callable[[Exception], bool] | None = None,
    ) -> None:
        self._retry_s, self._sleep, self._monotonic = retry_s, sleep, monotonic
        self._passes = passes or is_passing

    def run(self, call: Callable[[], Answer], *, what: str, go_on: Callable[[], None] | None = None) -> Answer:
        """Give what the call gives. The call must be safe to repeat when it is unknown whether it happened.

        Args:
            go_on: Asked before each repetition; raises StoppedError when there must be none.

        Raises:
            StoreGoneError: The store was away, or kept changing its primary, for as long as it could be asked again.
        """
        tries = Tries(_AGAIN, sleep=self._sleep, monotonic=self._monotonic, ends_at=self._monotonic() + self._retry_s)
        while True:
            try:
                return call()
            except Exception as error:
                if not self._passes(error):
                    raise
                has_next = tries.again()
                gone = StoreGoneError(what=what, tried_s=tries.lasted_s, cause=type(error).__name__)
                if not has_next:
                    raise gone from error
            if go_on is not None:
                try:
                    go_on()
                except StoppedError as stop:
                    raise gone from stop


def is_passing(error: Exception) -> bool:
    """Whether a failure says nothing about the request itself, so that asking again may succeed."""
    from pymongo.errors import ConnectionFailure, OperationFailure, PyMongoError

    if isinstance(error, ConnectionFailure):
        return True
    if isinstance(error, OperationFailure) and error.code in _PASSING:
        return True
    return isinstance(error, PyMongoError) and error.has_error_label("RetryableWriteError")


@contextmanager
def read_only_refused(collection: str, *, what: str) -> Iterator[None]:
    """Turn the server's "not authorised" into the one clear refusal."""
    from pymongo.errors import OperationFailure

    try:
        yield
    except OperationFailure as error:
        if error.code in _UNAUTHORIZED:
            raise ReadOnlyCredentialError(collection=collection, what=what) from error
        raise


@contextmanager
def asked(collection: str, *, what: str) -> Iterator[None]:
    """Turn every answer of the server that is an error, whatever its number, into one clear sentence.

    Only around what writes no business record: what became of such a write must stay known by its own error.

    Raises:
        ReadOnlyCredentialError: The login may not do that.
        StoreSaysError: Any other error.
    """
    from pymongo.errors import PyMongoError

    try:
        with read_only_refused(collection, what=what):
            yield
    except PyMongoError as error:
        raise StoreSaysError(what=f"the wish to {what}", why=error_name(error)) from error
    except StoreGoneError as error:
        raise StoreSaysError(what=f"the wish to {what}", why=f"it is away: {_cause(error)}") from error


@contextmanager
def nothing_begun() -> Iterator[None]:
    """Before the first write, a store that is away has stopped nothing midway: it could not be asked."""
    try:
        yield
    except StoreGoneError as error:
        raise StoreSaysError(what="the first questions of the run", why=_cause(error)) from error


def error_name(error: Exception) -> str:
    """The server's own name and number of an error, and nothing that it quotes of documents."""
    details, code = getattr(error, "details", None), getattr(error, "code", None)
    name = details.get("codeName") if isinstance(details, dict) else None
    return f"{name or type(error).__name__}{f', code {code}' if isinstance(code, int) else ''}"


def _cause(error: StoreGoneError) -> str:
    return type(error.__cause__ or error).__name__
