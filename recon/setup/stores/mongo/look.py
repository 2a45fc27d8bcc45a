"""The collections of a server that may hold payments, by their names."""

from __future__ import annotations

import os
from typing import Final

from recon.setup.file import URI_VARIABLE
from recon.setup.stores.mongo.client import mongo_client, mongo_uri
from recon.setup.stores.store import FoundCollection

_OWN: Final = frozenset({"admin", "config", "local"})
_FOUND_MAX: Final = 20
_TIMEOUT_MS: Final = 5_000


def payment_collections() -> list[FoundCollection]:
    """The collections whose names speak of payments, with about how many documents each has.

    The address is taken from the usual variable; without it nothing is asked and nothing found.

    Raises:
        SourceError: The server does not answer or refuses the login.
    """
    from pydantic import SecretStr
    from pymongo.errors import PyMongoError

    from recon.core.errors import SourceError

    address = os.environ.get(URI_VARIABLE, "")
    if not address:
        return []
    client = mongo_client(mongo_uri(SecretStr(address)), timeout_ms=_TIMEOUT_MS)
    try:
        found: list[FoundCollection] = []
        for database in client.list_database_names():
            if database in _OWN:
                continue
            for collection in client[database].list_collection_names():
                if "payment" in collection.lower() and len(found) < _FOUND_MAX:
                    count = client[database][collection].estimated_document_count(maxTimeMS=_TIMEOUT_MS)
                    found.append(FoundCollection(database, collection, count))
        return found
    except PyMongoError as error:
        raise SourceError(f"MongoDB did not answer ({type(error).__name__}).") from error
    finally:
        client.close()
