"""What the two logins may do on the server: the one that reads must not write, the other only where a run writes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, Literal

from recon.core.errors import ReconError
from recon.runs.stores.journal import JOURNAL_COLLECTION, LEASE_COLLECTION
from recon.setup.stores.mongo.client import mongo_client, mongo_uri

if TYPE_CHECKING:
    from recon.setup.settings import Settings

_UNAUTHORIZED: Final = 13

State = Literal["ok", "warning", "failed"]

WRITES: Final = frozenset(
    {
        "insert", "update", "remove", "createCollection", "createIndex", "dropCollection", "dropDatabase", "dropIndex",
        "renameCollectionSameDB", "collMod", "convertToCapped", "bypassDocumentValidation", "createUser", "grantRole",
        "createRole", "changePassword", "applyOps", "restore", "anyAction",
    }
)  # fmt: skip
"""Actions that change data, or who may."""


def writable_places(privileges: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """Where privileges allow to write, as ``database.collection``; ``*`` stands for all of them."""
    found = set()
    for each in privileges:
        resource = each.get("resource") or {}
        if not WRITES & set(map(str, each.get("actions") or ())):
            continue
        if "db" in resource:
            found.add(f"{resource['db'] or '*'}.{resource.get('collection') or '*'}")
        else:
            found.add("*.*")
    return tuple(sorted(found))


def audit(settings: Settings) -> Iterator[tuple[State, str]]:
    """What there is to know about the privileges of both logins, a sentence each."""
    mongo = settings.values.mongo
    try:
        reading = mongo_uri(settings.secret(mongo.uri_variable, purpose="the database"))
        writing = mongo_uri(settings.write_uri())
    except ReconError:
        return
    own = {f"{mongo.database}.{name}" for name in (mongo.collection, JOURNAL_COLLECTION, LEASE_COLLECTION)}
    places = _asked(reading, settings)
    if isinstance(places, str):
        yield "warning", places
    elif places:
        yield "warning", f"The login that reads may write to {_listed(places)}; give it the role read alone."
    else:
        yield "ok", "The login that reads may write nowhere."
    if writing == reading:
        return
    places = _asked(writing, settings)
    if isinstance(places, str):
        yield "warning", places
    elif others := [place for place in places if place not in own]:
        yield (
            "warning",
            (
                f"The login that writes may write to {_listed(others)}, a run to {_listed(sorted(own))} alone; "
                "give it a role of its own for these."
            ),
        )
    else:
        yield "ok", f"The login that writes may write to {_listed(places) or 'nothing'} alone."


def _asked(uri: str, settings: Settings) -> tuple[str, ...] | str:
    """Where a login may write, or a sentence on why that is not known."""
    from pymongo.errors import OperationFailure, PyMongoError

    try:
        with mongo_client(uri, timeout_ms=int(settings.values.mongo.timeout_s * 1000)) as client:
            answer = client.admin.command("connectionStatus", showPrivileges=True)
            said = answer.get("authInfo") or {}
            if not said.get("authenticatedUsers"):
                client.admin.command("listDatabases", nameOnly=True)
                return "The server asks for no login, so everybody who reaches it may write."
    except OperationFailure as error:
        if error.code == _UNAUTHORIZED:
            return "The address names no login and the server asks for one, so what a login may do is not known."
        return _not_asked(error)
    except PyMongoError as error:
        return _not_asked(error)
    privileges = said.get("authenticatedUserPrivileges")
    if privileges is None:
        return "The server does not say what a login may do; look it up where its roles are given."
    return writable_places(privileges)


def _not_asked(error: Exception) -> str:
    return f"What the logins may do could not be asked ({type(error).__name__})."


def _listed(places: Iterable[str]) -> str:
    held = list(places)
    more = f" and {len(held) - 4} more" if len(held) > 4 else ""
    return f"{', '.join(held[:4])}{more}"
