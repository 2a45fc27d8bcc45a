"""What people decided, in a collection beside the payments."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from recon.plans.shelf import ShelfError, author_stem, free_names
from recon.runs.stores.retry import error_name, read_only_refused

if TYPE_CHECKING:
    from pymongo import MongoClient
    from pymongo.collection import Collection

DECISION_COLLECTION: Final = "recon_decisions"


class MongoShelf:
    """A :class:`~recon.plans.shelf.Shelf` in a collection: one document a record, only ever inserted."""

    def __init__(self, open_client: Callable[[], MongoClient[dict[str, Any]]], *, database: str) -> None:
        """
        Args:
            open_client: Gives a client that may write; closed after each question.
        """
        self._open, self._database = open_client, database

    def add(self, records: Sequence[tuple[str, bytes]]) -> list[str]:
        """See :meth:`Shelf.add`: one insert a record; those before one that fails are taken back."""
        with self._asked(is_read=False) as kept:
            made: list[str] = []
            try:
                for stem, data in records:
                    made.append(_added(kept, stem, data.decode()))
            except BaseException:
                if made:
                    kept.delete_many({"_id": {"$in": made}})
                raise
            return made

    def records(self, stem: str) -> Iterator[tuple[str, bytes]]:
        """See :meth:`Shelf.records`."""
        with self._asked(is_read=True) as kept:
            found = [(str(row["_id"]), str(row.get("text", ""))) for row in kept.find(_begins(stem)).sort("_id", 1)]
        yield from ((name, text.encode()) for name, text in found)

    def drop_author(self, digest: str) -> None:
        """See :meth:`Shelf.drop_author`."""
        with self._asked(is_read=False) as kept:
            kept.delete_many(_begins(author_stem(digest)))

    @contextmanager
    def _asked(self, *, is_read: bool) -> Iterator[Collection[dict[str, Any]]]:
        """The collection for one question, on the primary and by a majority; errors as one sentence."""
        from pymongo import ReadPreference, WriteConcern
        from pymongo.errors import PyMongoError
        from pymongo.read_concern import ReadConcern

        what = "read decisions" if is_read else "record decisions"
        place = f"{self._database}.{DECISION_COLLECTION}"
        client = self._open()
        try:
            with read_only_refused(place, what=what):
                yield client[self._database].get_collection(
                    DECISION_COLLECTION,
                    write_concern=WriteConcern(w="majority"),
                    read_concern=ReadConcern("majority"),
                    read_preference=ReadPreference.PRIMARY,
                )
        except PyMongoError as error:
            raise ShelfError(place=place, is_read=is_read, why=error_name(error)) from error
        finally:
            client.close()


def _added(kept: Collection[dict[str, Any]], stem: str, text: str) -> str:
    from pymongo.errors import DuplicateKeyError

    for name in free_names(stem):
        try:
            kept.insert_one({"_id": name, "text": text})
        except DuplicateKeyError:
            continue
        return name
    raise AssertionError("names end with an error")


def _begins(stem: str) -> dict[str, Any]:
    return {"_id": {"$regex": f"^{re.escape(stem)}"}} if stem else {}
