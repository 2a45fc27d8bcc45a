"""Doctor says of each field in how many payments it is found, where it was looked for and where else it may be."""

from __future__ import annotations

from recon.core.model import Policy
from recon.core.registry import load_registry
from recon.setup.field_check import FieldFound, fields_found, times_said
from recon.sources.payments.fields import FieldPaths
from tests.support.payment_documents import WALLET, payment


def found_in(*documents: dict[str, object]) -> dict[str, FieldFound]:
    found = fields_found(documents, fields=FieldPaths(), registry=load_registry(), policy=Policy())
    return {each.name: each for each in found}


def test_a_field_that_is_elsewhere_is_named_with_a_line_for_the_configuration() -> None:
    documents = [payment(_id=str(n), payTo={"wallet": WALLET}, metadata__payerWallet=WALLET) for n in range(9)]
    recipient = found_in(*documents)["recipient"]
    assert (recipient.found, recipient.of, recipient.elsewhere) == (0, 9, (("payTo.wallet", 9),))
    assert recipient.is_missing
    assert recipient.says.startswith("recipient found in 0 of 9, looked at derivedDestination.address, ")
    assert "fields that hold addresses: payTo.wallet (9)" in recipient.says
    proposed = recipient.says.partition("recipient = ")[2]
    assert proposed.endswith('"payTo.wallet"]')


def test_what_is_proposed_is_then_found() -> None:
    fields = FieldPaths.with_overrides({"recipient": ["payTo.wallet"]})
    found = fields_found([payment(payTo={"wallet": WALLET})], fields=fields, registry=load_registry(), policy=Policy())
    assert not found[0].is_missing and found[0].found == 1


def test_the_destination_of_a_payment_is_looked_at_by_default() -> None:
    assert found_in(payment(metadata__destination={"address": WALLET}))["recipient"].found == 1


def test_a_row_with_one_key_lacks_no_other() -> None:
    found = found_in(payment(metadata={"requestId": "01" + "ab" * 32}))
    assert not found["reference"].is_missing and found["request_id"].found == 1
    bare = found_in(payment(metadata={"rn": {"id": "01" + "cd" * 32}}))
    assert bare["request_id"].elsewhere == (("metadata.rn.id", 1),)


def test_times_that_are_no_dates_are_counted_with_what_that_costs() -> None:
    stored = ["2026-11-20T12:00:00Z", "2026-11-20T12:00:00", 1_763_640_000, "20.11.2026", None, "2026-11-21 08:00"]
    documents = [payment(_id=str(number), createdAt=value) for number, value in enumerate(stored)]
    said = list(times_said(documents, fields=FieldPaths(), registry=load_registry(), policy=Policy()))
    assert said == [
        "createdAt is no date in 5 of 6: 1 as a number of seconds since 1970, 1 as text with its zone, 2 as text "
        "without a zone, read as UTC, 1 not to be read for certain, such as the text '20.11.2026'. A window cannot "
        "find such rows by their date, so each run reads all of them; store dates there."
    ]
    assert not list(times_said([payment()], fields=FieldPaths(), registry=load_registry(), policy=Policy()))
