"""A payment whose ledger lacks the pay-in is named before anybody says yes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from recon.consent import MongoLedger, ReleaseOutlook, release_outlook
from tests.applying import a_change, a_document

if TYPE_CHECKING:
    from pymongo.database import Database


def test_payments_whose_ledger_lacks_the_pay_in_are_named(mongo_database: Database[dict[str, Any]]) -> None:
    documents = [a_document(n) for n in range(4)]
    documents.append(a_document(4, _id="000000000000000000000009"))
    ids = [document["_id"] for document in documents]
    mongo_database.ledger.insert_many(
        [
            {"paymentId": ids[0], "type": "gross_paid"},
            {"paymentId": str(ids[1]), "type": "gross_paid"},
            {"paymentId": ids[2], "type": "release"},
            {"paymentId": ids[4], "type": "gross_paid"},
        ]
    )
    changes = [a_change(document) for document in documents]
    changes[3] = a_change(documents[3], sets={"disputed": True})
    outlook = release_outlook(changes, MongoLedger(mongo_database.ledger))
    assert outlook == ReleaseOutlook(refused=(str(ids[2]),))


def test_what_the_ledger_leaves_out_is_not_known() -> None:
    change = a_change(a_document(0))
    assert release_outlook([change], lambda payments: {}) == ReleaseOutlook(unknown=(change.payment_id,))
    assert release_outlook([], lambda payments: {}) == ReleaseOutlook()
