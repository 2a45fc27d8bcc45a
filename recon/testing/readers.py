"""The promises of a store's reading side, each tried: every row once, by id from where writes are seen, by its keys.

It reads what the writing side of the same store holds, so that a row which was just written is seen as it is::

    check_store(open_writer, open_reader=lambda: AcmeStore(database.payments))
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from recon.core.ids import payment_id_text
from recon.core.values import same, value_at
from recon.sources.interface import Selection
from recon.testing.contract import require

if TYPE_CHECKING:
    from recon.sources.interface import DocumentStore

    OpenReader = Callable[[], DocumentStore]

_HASH: Final = "0x" + "ab" * 32
_READ: Final = ("status", "amount.amount", "provider", "direction", "createdAt", "__v")


def check_reading(
    store: DocumentStore, documents: Sequence[Mapping[str, Any]], *, written: Mapping[str, Any], others: Sequence[str]
) -> None:
    """Try every promise of a store's reading side.

    Args:
        documents: What the store holds.
        written: The one of them that a write has just changed: it carries the transaction ``0xabab...``.
        others: Ids as text of payments that it does not hold.

    Raises:
        ContractError: A promise is broken; the sentence says which.
    """
    ids = [payment_id_text(document["_id"]) for document in documents]
    _check_scan(store, ids, written)
    _check_fetch(store, documents, others)
    _check_claimants(store, payment_id_text(written["_id"]))


def _check_scan(store: DocumentStore, ids: Sequence[str], written: Mapping[str, Any]) -> None:
    seen = [payment_id_text(row["_id"]) for batch in store.scan(Selection()) for row in batch]
    require(sorted(seen) == sorted(ids), f"scan() gives {sorted(seen)}, and the store holds {sorted(ids)}")
    one = payment_id_text(written["_id"])
    chosen = [payment_id_text(row["_id"]) for batch in store.scan(Selection(ids=(one,))) for row in batch]
    require(chosen == [one], f"scan() of one payment gives {chosen}")


def _check_fetch(store: DocumentStore, documents: Sequence[Mapping[str, Any]], others: Sequence[str]) -> None:
    wanted = {payment_id_text(document["_id"]): document for document in documents}
    found = {payment_id_text(row["_id"]): row for row in store.fetch([*wanted, *others])}
    require(found.keys() <= wanted.keys(), f"fetch() gives {sorted(found.keys() - wanted.keys())}, which is not stored")
    require(found.keys() == wanted.keys(), f"fetch() leaves out {sorted(wanted.keys() - found.keys())}")
    for name, document in wanted.items():
        for path in _READ:
            was, now = value_at(document, path), value_at(found[name], path)
            require(same(was, now), f"fetch() gives {path} as {now!r}, and {was!r} is stored")


def _check_claimants(store: DocumentStore, wanted: str) -> None:
    """The row that carries a transaction is found in the whole collection, however the hash is spelled."""
    for spelled in (_HASH, _HASH.upper().replace("0X", "0x")):
        rows = [payment_id_text(row["_id"]) for _, row in store.find_claimants("tx_hash", [spelled])]
        require(rows == [wanted], f"find_claimants() finds {rows} by the transaction {spelled[:8]}..., not {[wanted]}")
    require(not list(store.find_claimants("tx_hash", ["0x" + "cd" * 32])), "find_claimants() finds what no row carries")
