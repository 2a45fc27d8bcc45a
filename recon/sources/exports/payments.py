"""Exported payments as the documents that a database would hold, so that everything reads them as it reads those."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from recon.core.errors import IdError, SourceError
from recon.core.ids import parse_payment_id, payment_id_text
from recon.core.registry import Registry
from recon.core.text import clean_text
from recon.sources.exports.mapping import PaymentsSection
from recon.sources.exports.rows import BadCells, ExportedRow, exported_rows
from recon.sources.interface import Selection, StoreIdentity
from recon.sources.payments.read import ListStore

if TYPE_CHECKING:
    from recon.sources.payments.fields import FieldPaths

HOST: Final = "files"
"""The host that imported payments are said to have; no database is called so, and nothing is ever written there."""

_TEXTS: Final = {
    "provider": "provider",
    "direction": "direction",
    "status": "status",
    "escrow_state": "escrowState",
    "currency": "amount.currency",
    "network": "blockchain.network",
    "token": "blockchain.tokenAddress",
    "recipient": "derivedDestination.address",
    "sender": "blockchain.sender",
    "reference": "paymentReference",
    "request_id": "requestId",
    "external_id": "externalId",
    "tx_hash": "blockchain.transactionHash",
    "buyer_id": "buyerId",
    "order_id": "purchaseRequestId",
    "offer_id": "sellerOfferId",
}
"""Where each field stands in a document, of those places that are looked at when no configuration says otherwise."""
_TIMES: Final = {"created_at": "createdAt", "updated_at": "updatedAt", "expires_at": "expiresAt"}
_FLAGS: Final = {"disputed": "disputed", "hold": "hold", "test": "isTest"}


class IncompleteExportError(SourceError):
    """A file of payments may lack some."""

    def __init__(self, *, file: str) -> None:
        super().__init__(
            f"payments: {clean_text(file)} may lack payments, since its mapping does not say complete = true; so money "
            "that none of them explains may be another payment's."
        )


class ExportedPayments(ListStore):
    """The payments of a file; selects and finds as a database does, and says where it cannot vouch for having all."""

    def __init__(
        self, documents: Sequence[Mapping[str, Any]], *, section: PaymentsSection, name: str, fields: FieldPaths,
        registry: Registry,
    ) -> None:  # fmt: skip
        super().__init__(
            documents, identity=StoreIdentity((HOST,), name, "payments", None), fields=fields, registry=registry
        )
        self._section = section

    def scan(self, selection: Selection) -> Iterator[Sequence[Mapping[str, Any]]]:
        """Yield every payment of the selection, and then say that there may be more where nobody vouches for it."""
        yield from super().scan(selection)
        self._vouch()

    def find_claimants(self, field: str, values: Iterable[str]) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Yield every payment that carries one of the values, and then say that there may be more, likewise."""
        yield from super().find_claimants(field, values)
        self._vouch()

    def _vouch(self) -> None:
        if not self._section.complete:
            raise IncompleteExportError(file=self._section.file)


def payment_documents(section: PaymentsSection, *, home: Path, faults: BadCells) -> list[dict[str, Any]]:
    """The payments of a file as documents, in the order of their ids."""
    found: dict[str, dict[str, Any]] = {}
    places: dict[str, str] = {}
    for row in exported_rows(section, home=home, faults=faults):
        document = _document(row)
        if document is None:
            continue
        key = payment_id_text(document["_id"])
        if not row.is_repeated(key, places):
            found[key] = document
    return [document for _, document in sorted(found.items())]


def _document(row: ExportedRow) -> dict[str, Any] | None:
    named = row.needed("id")
    if named is None:
        return None
    made: dict[str, Any] = {}
    try:
        made["_id"] = parse_payment_id(named)
    except IdError as error:
        row.miss("id", clean_text(error, limit=100))
        return None
    amount = row.amount("amount")
    _put(made, "amount.amount", amount)
    for name, path in _TEXTS.items():
        _put(made, path, row.text(name))
    for name, path in _TIMES.items():
        _put(made, path, row.moment(name))
    for name, path in _FLAGS.items():
        _put(made, path, row.flag(name))
    _put(made, "blockchain.confirmations", row.number("confirmations"))
    for name in ("created_at", "amount"):
        row.needed(name)
    return made


def _put(document: dict[str, Any], path: str, value: object) -> None:
    """Store a value under a path of names; nothing is stored for what is not there."""
    if value is None:
        return
    *above, last = path.split(".")
    place = document
    for name in above:
        place = place.setdefault(name, {})
    place[last] = value
