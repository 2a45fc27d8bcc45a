"""What a missing row rests on and is made of; whatever is doubtful makes no row, and says why."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from bson import ObjectId

from recon.core.ids import reference_topic
from recon.core.registry import load_registry
from recon.core.values import from_extended
from recon.repairs.deeds import named_deed, read_document
from recon.repairs.missing import (
    MissingEvidence,
    MissingFound,
    MissingRows,
    RowTemplate,
    exact_value,
    missing_evidence,
    propose_row,
)
from recon.reports import render_report
from recon.reports.views.missing import render_missing
from tests.support.applying import HASH, TOKEN

OURS = "0x" + "1" * 40
REFERENCE = "949784f72de93d81"
KEY = f"56:{HASH}:3"
NAME = f"chain:{KEY}"
TEMPLATE = RowTemplate(
    collection="payments",
    fields={
        "status": "pending", "amount.amount": "{amount}", "amount.currency": "{symbol}", "buyerId": "{buyer}",
        "blockchain.transactionHash": "{tx_hash}", "metadata.requestId": "{request_id}", "__v": 0,
    },
    kinds={"amount.amount": "double", "buyerId": "objectid"},
    optional=("metadata.requestId",),
    asks=("buyer",),
    key_paths={"tx_hash": ("blockchain.transactionHash", "txHash"), "request_id": ("metadata.requestId",)},
)  # fmt: skip
BUYER = {"buyer": "665f1c2e9b1d8a0012345678"}


def a_transfer(**given: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "key": KEY, "chain_id": 56, "tx_hash": HASH, "log_index": 3, "kind": "erc20", "token": TOKEN,
        "recipient": OURS, "amount_units": 125 * 10**17, "block_time": 1_795_000_000_000, "reference_topic": None,
        "final": True, "sender": "0x" + "2" * 40,
    }  # fmt: skip
    return {**values, **given}


def a_claim(**given: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "key": "request_network:request:01ab", "provider": "request_network", "request_id": "01ab",
        "reference": REFERENCE, "external_id": None, "paid_units": 125 * 10**17, "tx_hashes": HASH,
    }  # fmt: skip
    return {**values, **given}


def evidence(transfers: Any = None, claims: Any = (), name: str = NAME, ours: Any = (OURS,)) -> MissingEvidence | str:
    rows = [a_transfer()] if transfers is None else transfers
    return missing_evidence(name, transfers=rows, claims=claims, registry=load_registry(), ours=ours)


def test_whole_evidence_makes_an_open_row_of_exactly_this_money() -> None:
    found = evidence(claims=[a_claim()])
    assert isinstance(found, MissingEvidence)
    deed = propose_row(found, TEMPLATE, given=BUYER)
    assert not isinstance(deed, str), deed
    (document,) = [read_document(each, where="x") for each in deed.documents]
    assert document["amount"] == {"amount": 12.5, "currency": "USDC"}
    assert (document["status"], document["buyerId"]) == ("pending", ObjectId(BUYER["buyer"]))
    assert document["metadata"] == {"requestId": "01ab"}
    assert deed.evidence == (f"transfer {KEY}", "claim request_network:request:01ab")
    assert (deed.value, deed.chain_id, deed.token) == (str(125 * 10**17), 56, TOKEN)
    keys = {key.field: key for key in deed.unique}
    assert set(keys) == {"request_id", "tx_hash"}
    assert {HASH, HASH.upper().replace("0X", "0x"), HASH[2:]} <= set(keys["tx_hash"].values)
    again = propose_row(found, TEMPLATE, given=BUYER)
    assert not isinstance(again, str)
    assert named_deed(again) == named_deed(deed)
    assert document["_id"].generation_time == dt.datetime.fromtimestamp(1_795_000_000, dt.UTC)


@pytest.mark.parametrize(
    ("transfers", "claims", "name", "why"),
    [
        ([], [], NAME, "shows no such transfer"),
        ([a_transfer(final=False)], [], NAME, "not final"),
        ([a_transfer(final=None)], [], NAME, "not final"),
        ([a_transfer(token="0x" + "9" * 40)], [], NAME, "not known exactly"),
        ([a_transfer(amount_units=None)], [], NAME, "not known exactly"),
        ([a_transfer(reference_topic="0x" + "7" * 64)], [], NAME, "bears a payment reference"),
        ([a_transfer(recipient="0x" + "3" * 40)], [], NAME, "does not name as ours"),
        ([a_transfer()], [a_claim(paid_units=1)], NAME, "different amounts"),
        ([a_transfer()], [a_claim(), a_claim(key="request_network:request:02")], NAME, "whose money it is"),
        ([], [a_claim()], "provider:request_network:request:01ab", "word alone is no proof"),
        ([a_transfer()], [], "provider:request_network:request:01ab", "no such object"),
        (
            [a_transfer(), a_transfer(key=f"56:{HASH}:4", log_index=4)], [a_claim()],
            "provider:request_network:request:01ab", "several transfers",
        ),
    ],
)  # fmt: skip
def test_evidence_that_is_not_whole_says_why(transfers: Any, claims: Any, name: str, why: str) -> None:
    found = evidence(transfers, claims, name)
    assert isinstance(found, str)
    assert why in found


def test_a_log_with_the_reference_of_our_own_object_went_where_we_had_it_sent() -> None:
    log = a_transfer(kind="fee_proxy", recipient="0x" + "3" * 40, reference_topic=reference_topic(REFERENCE))
    # The token's own log of the same money is the same movement.
    plain = {**log, "kind": "erc20", "reference_topic": None, "key": f"56:{HASH}:2", "log_index": 2}
    found = evidence([plain, log], [a_claim()], "provider:request_network:request:01ab")
    assert isinstance(found, MissingEvidence)
    assert (found.transfer, found.known["reference"]) == (KEY, REFERENCE)
    assert isinstance(evidence([log], [a_claim(reference="ff" * 8, tx_hashes=HASH)], NAME), str)


@pytest.mark.parametrize(
    ("changes", "given", "why"),
    [
        ({}, {}, "only a person knows"),
        ({"metadata.order": "{external_id}"}, BUYER, "does not have external_id"),
        ({"status": "completed"}, BUYER, "nothing is credited"),
        ({}, {"buyer": "not an id"}, "cannot be stored exactly"),
    ],
)
def test_a_template_that_does_not_fit_makes_no_row(changes: Any, given: Any, why: str) -> None:
    found = evidence()
    assert isinstance(found, MissingEvidence)
    template = RowTemplate(
        collection="payments", fields={**TEMPLATE.fields, **changes}, kinds=TEMPLATE.kinds, optional=TEMPLATE.optional,
        asks=TEMPLATE.asks, key_paths=TEMPLATE.key_paths,
    )  # fmt: skip
    deed = propose_row(found, template, given=given)
    assert isinstance(deed, str)
    assert why in deed


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("12.5", "double", 12.5),
        ("0.1", "double", 0.1),
        ("12345678901234567890.1", "double", None),
        ("x", "double", None),
        ("9007199254740993", "double", None),
        ("7", "int", 7),
        ("7.0", "int", None),
        ("true", "bool", True),
        ("yes", "bool", None),
        ("2026-11-20T12:00:00Z", "date", dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC)),
        ("2026-11-20T12:00:00", "date", None),
        ("1" * 40, "decimal", None),
    ],
)
def test_a_value_is_stored_exactly_or_not_at_all(text: str, kind: str, value: Any) -> None:
    assert exact_value(text, kind) == value


def test_a_decimal_keeps_every_digit() -> None:
    assert str(exact_value("12.50", "decimal")) == "12.50"
    assert from_extended({"$numberDecimal": "12.50"}, where="x") == exact_value("12.50", "decimal")


def test_an_empty_list_says_none_only_where_everything_was_read() -> None:
    whole = render_report(render_missing(MissingRows((), None)), output="md")
    assert "the snapshot shows none" in whole
    cut = render_report(render_missing(MissingRows((), None, unread=("chain:56",))), output="md")
    assert "the snapshot shows none" not in cut
    assert "cannot tell: chain:56 was not read whole" in cut
    listed = render_report(
        render_missing(MissingRows((MissingFound(NAME, "its transfer is not final yet"),), None)), output="md"
    )
    assert "not whole" in listed
