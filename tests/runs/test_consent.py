"""A payment whose ledger lacks the pay-in is named before anybody says yes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pymongo.errors import OperationFailure

from recon.runs.release import MongoLedger, ReleaseOutlook, release_outlook
from recon.setup.open_runs import open_ledger
from recon.setup.settings import load_settings
from tests.support.applying import a_change, a_document

if TYPE_CHECKING:
    from pymongo.database import Database

    from tests.support.servers import Mongod


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


def test_a_ledger_that_is_not_there_or_may_not_be_read_says_nothing(
    mongo_database: Database[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    change = a_change(a_document(0))
    nobody_knows = ReleaseOutlook(unknown=(change.payment_id,))
    assert release_outlook([change], MongoLedger(mongo_database.ledgr)) == nobody_knows
    mongo_database.ledger.insert_one({"paymentId": 1})

    def refused(*_: object, **__: object) -> None:
        raise OperationFailure("not authorized", code=13)

    ledger = mongo_database.ledger
    monkeypatch.setattr(ledger, "find", refused)
    assert release_outlook([change], MongoLedger(ledger)) == nobody_knows


def test_entries_may_name_their_payment_further_down(mongo_database: Database[dict[str, Any]]) -> None:
    first, second = a_document(0), a_document(1)
    mongo_database.entries.insert_one({"of": {"payment": str(first["_id"])}, "kind": "in"})
    ledger = MongoLedger(mongo_database.entries, payment_field="of.payment", kind_field="kind", pay_in_kinds=["in"])
    outlook = release_outlook([a_change(first), a_change(second)], ledger)
    assert outlook == ReleaseOutlook(refused=(str(second["_id"]),))


def test_the_configured_ledger_is_opened_with_the_writing_side(
    mongo_database: Database[dict[str, Any]], mongod: Mongod, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    payment = a_document(0)
    mongo_database.payments.insert_one(payment)
    mongo_database.ledgerentries.insert_one({"paymentId": payment["_id"], "type": "paid_in"})
    monkeypatch.setenv("RECON_MONGO_URI", mongod.uri)
    monkeypatch.setenv("RECON_MONGO__DATABASE", mongo_database.name)
    (tmp_path / "recon.toml").write_text("")
    with open_ledger(load_settings(tmp_path / "recon.toml")) as ledger:
        assert ledger.pay_ins is None
    (tmp_path / "recon.toml").write_text('[ledger]\ncollection = "ledgerentries"\npay_in_kinds = ["paid_in"]\n')
    with open_ledger(load_settings(tmp_path / "recon.toml")) as ledger:
        assert ledger.pay_ins is not None
        assert ledger.pay_ins([str(payment["_id"]), str(a_document(1)["_id"])]) == {
            str(payment["_id"]): True,
            str(a_document(1)["_id"]): False,
        }
