"""Which collection of which server this is: the one answer that reading, planning and writing all compare."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from recon.sources.interface import StoreIdentity

if TYPE_CHECKING:
    from pymongo import MongoClient


def identity_of(
    client: MongoClient[Any], *, database: str, collection: str, info: Mapping[str, Any] | None = None
) -> StoreIdentity | None:
    """Ask a server for hosts, set name and the UUID of a collection; the role ``read`` is enough.

    Args:
        info: What ``listCollections`` says of the collection, if it was asked already.

    Returns:
        The identity, or None when there is no such collection.
    """
    hello = client.admin.command("hello")
    if info is None:
        info = next(iter(client[database].list_collections(filter={"name": collection})), None)
    if info is None:
        return None
    hosts = hello.get("hosts") or [f"{host}:{port}" for host, port in client.nodes]
    return StoreIdentity(
        hosts=tuple(sorted({*map(str, hosts), *map(str, hello.get("passives", ()))})),
        database=database,
        collection=collection,
        collection_uuid=_uuid_text(info.get("info", {}).get("uuid")),
        replica_set=hello.get("setName"),
    )


def _uuid_text(value: object) -> str | None:
    """A UUID's text, however the connection decodes it."""
    if isinstance(value, bytes):
        import uuid

        return str(uuid.UUID(bytes=bytes(value)))
    return None if value is None else str(value)
