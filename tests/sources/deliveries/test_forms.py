"""Deliveries are read from whatever keeps them; what is not read is told, and left off no list because of its form."""

from __future__ import annotations

import base64
import bz2
import gzip
import json
import lzma
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from recon.investigation.incident.replay import DeliveryTriage, triage_deliveries
from recon.sources.deliveries.delivery import DeliveryFile
from recon.sources.deliveries.headers import read_headers
from recon.sources.deliveries.parsing import parse_delivery
from recon.sources.deliveries.records import load_deliveries
from recon.sources.http import Secret
from tests.sources.deliveries.exports import (
    AT,
    AT_MS,
    BODY,
    HEADERS,
    KEY,
    PAYLOAD,
    RECORD,
    ROUTE,
    SIGNATURE,
    SIGNED,
    TEXT,
    written,
)

SECRETS = {"request_network": (Secret(KEY),), "shkeeper": (Secret(KEY),)}
SHKEEPER = {
    "external_id": "order-1", "crypto": "ETH-USDT", "addr": "0x" + "11" * 20, "fiat": "USD", "balance_fiat": "7.80",
    "balance_crypto": "7.80000000", "paid": True, "status": "PAID", "fee_percent": "2", "overpaid_fiat": "0.00",
    "transactions": [{"txid": "0x" + "22" * 32, "date": "2026-11-20 10:30:00", "amount_crypto": "7.80000000",
                      "amount_fiat": "7.80", "trigger": True, "crypto": "ETH-USDT"}],
}  # fmt: skip


def kept(folder: Path, content: Any, *, name: str = "kept.json", **given: Any) -> DeliveryFile:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else written(content))
    return load_deliveries(path, **given)


def triaged(file: DeliveryFile) -> DeliveryTriage:
    return triage_deliveries(file.deliveries, secrets=SECRETS, problems=file.shortfalls)


@pytest.mark.parametrize("name", SIGNED)
def test_an_export_is_read_and_its_refused_payment_replayed(name: str, tmp_path: Path) -> None:
    file, content = SIGNED[name]
    found = kept(tmp_path, content, name=file)
    assert found.shortfalls == ()
    [delivery] = found.deliveries
    assert (delivery.provider, delivery.event) == ("request_network", "payment.confirmed")
    assert (delivery.delivery_id, delivery.request_id) == ("01JDELIVERY0001", PAYLOAD["requestId"])
    assert delivery.received_at == AT_MS
    assert delivery.http_status in (404, None)
    result = triaged(found)
    assert result.signatures == {"valid": 1}
    assert [each.action for each in result.checked] == ["replay"]
    assert result.is_complete


@pytest.mark.parametrize("row", [RECORD | {"rawBody": TEXT}, RECORD | {"body": base64.b64encode(BODY).decode()},
                                 RECORD | {"body": TEXT}])  # fmt: skip
def test_a_forged_delivery_is_told_in_every_form(row: dict[str, Any], tmp_path: Path) -> None:
    forged = row | {"headers": HEADERS | {"X-Request-Network-Signature": "0" * 64}}
    result = triaged(kept(tmp_path, forged))
    assert result.signatures == {"invalid": 1}
    assert result.replay == ()


@pytest.mark.parametrize(
    "form",
    [{"payload": dict(reversed(PAYLOAD.items()))}, {"payload": json.dumps(PAYLOAD, indent=3, sort_keys=True)},
     {"body": json.dumps(dict(sorted(PAYLOAD.items(), key=lambda each: (len(each[0]), each[0]))))}],
)  # fmt: skip
def test_a_body_that_was_written_again_is_not_called_forged_nor_left_off(form: dict[str, Any], tmp_path: Path) -> None:
    result = triaged(kept(tmp_path, RECORD | form))
    assert result.signatures == {"rewritten": 1}
    assert len(result.replay) == 1
    assert not result.is_complete
    assert "1 delivery cannot be checked: the body is not kept as it came" in result.unread[0]


@pytest.mark.parametrize("body", ["v1:AES:0d3f/77", ["chunk one", "chunk two"], "<xml/>", [1, 2, 999]])
def test_a_refused_delivery_whose_body_cannot_be_read_is_on_the_list_and_told(body: Any, tmp_path: Path) -> None:
    result = triaged(kept(tmp_path, RECORD | {"rawBody": body}))
    assert [each.delivery.delivery_id for each in result.replay] == ["01JDELIVERY0001"]
    assert "what 1 refused delivery tells of could not be read" in result.unread[0]
    assert result.after.without_amount == 1


def test_a_bare_callback_is_its_providers(tmp_path: Path) -> None:
    for content in (SHKEEPER, [SHKEEPER], json.dumps(SHKEEPER) + "\n" + json.dumps(SHKEEPER)):
        result = triaged(kept(tmp_path, content, name="callback.ndjson"))
        first = result.checked[0].delivery
        assert (first.provider, first.event, first.external_id) == ("shkeeper", "invoice", "order-1")
        assert len(result.replay) == 1
        assert result.after.money[0][0] == "ETH-USDT"


def test_a_bare_webhook_has_the_time_of_its_event(tmp_path: Path) -> None:
    [found] = kept(tmp_path, PAYLOAD).deliveries
    assert (found.provider, found.received_at, found.delivery_id) == ("request_network", AT_MS, None)
    assert len(triaged(kept(tmp_path, PAYLOAD)).replay) == 1


def test_the_route_that_was_called_names_the_provider(tmp_path: Path) -> None:
    row = {"url": f"https://amn.example{ROUTE}?x=1", "headers": {"x": "y"}, "body": '{"half": ', "receivedAt": AT}
    assert kept(tmp_path, row).deliveries[0].provider == "request_network"


def test_what_is_no_delivery_is_counted_with_the_fields_that_it_has(tmp_path: Path) -> None:
    found = kept(tmp_path, [{"kunde": 1, "betrag": 2}, {"kunde": 2}])
    assert found.unreadable == 2
    assert "the first has the fields kunde, betrag" in found.shortfalls[0]
    assert "[deliveries.fields]" in found.shortfalls[0]


def test_fields_of_a_make_of_its_own_are_named_in_the_configuration(tmp_path: Path) -> None:
    row = {"wann": AT, "antwort": {"code": 404}, "kopf": HEADERS, "roh": TEXT}
    names = {"received_at": ("wann",), "http_status": ("antwort.code",), "headers": ("kopf",), "raw_body": ("roh",)}
    result = triaged(kept(tmp_path, row, names=names))
    assert result.counts == {"request_network, refused": 1}
    assert result.signatures == {"valid": 1}


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress,
                                  lambda text: pa.compress(text, codec="zstd", asbytes=True)])  # fmt: skip
def test_packed_records_are_read(pack: Any, tmp_path: Path) -> None:
    lines = b"\n".join(written(RECORD | {"rawBody": TEXT}) for _ in range(3))
    assert len(kept(tmp_path, pack(lines), name="kept.ndjson.packed").deliveries) == 3


def test_pretty_documents_behind_each_other_are_read(tmp_path: Path) -> None:
    text = "\n".join(json.dumps(RECORD | {"rawBody": TEXT}, indent=2) for _ in range(3))
    found = kept(tmp_path, text)
    assert (len(found.deliveries), found.shortfalls) == (3, ())


def test_a_queues_own_id_is_no_request(tmp_path: Path) -> None:
    file, content = SIGNED["Hookdeck events"]
    [delivery] = kept(tmp_path, content, name=file).deliveries
    assert delivery.request_id == PAYLOAD["requestId"]
    assert delivery.attempt == 3


def test_a_state_word_is_no_http_status(tmp_path: Path) -> None:
    row = {"status": 2, "receivedAt": AT, "headers": HEADERS, "body": TEXT}
    assert kept(tmp_path, row).deliveries[0].http_status is None
    assert kept(tmp_path, row | {"status": "404"}).deliveries[0].http_status == 404


def test_a_file_that_was_not_read_in_full_is_not_called_whole(tmp_path: Path) -> None:
    whole = kept(tmp_path, RECORD | {"rawBody": TEXT})
    short = kept(tmp_path, json.dumps(RECORD | {"rawBody": TEXT}) + "\n{half", name="kept.ndjson")
    assert "whole since" in whole.source_text
    assert short.source_text.startswith("kept.ndjson (NOT read in full: kept.ndjson: 1 record is no delivery")


@pytest.mark.parametrize(
    ("record", "told"),
    [
        ({}, None),
        ({"dead_letter": False}, False),
        ({"deadLetter": "true"}, True),
        ({"dead_letter": False, "failedReason": "connect ECONNREFUSED"}, True),
        ({"failedReason": ""}, None),
        ({"dead_letter": True, "record": {"dead_letter": False, "provider": "shkeeper", "event": "invoice"}}, True),
        ({"record": {"dead_letter": False, "provider": "shkeeper", "event": "invoice"}}, False),
    ],
)
def test_whether_a_record_became_a_dead_letter_is_known_only_where_it_says_so(
    record: dict[str, Any], told: bool | None
) -> None:
    whole = {"delivery_id": "d", "provider": "shkeeper", "external_id": "ord-1", **record}
    delivery = parse_delivery(whole, place="here")
    assert delivery is not None
    assert delivery.dead_letter is told


def test_a_body_without_an_event_that_is_known_settles_not_nothing_but_cannot_be_told(tmp_path: Path) -> None:
    for content in (
        RECORD | {"body": {"provider": "x", "note": "y"}},
        RECORD | {"body": {"requestId": "01" + "ab" * 32}},
    ):
        result = triaged(kept(tmp_path, content))
        assert not result.is_complete
        assert "settles nothing" not in result.checked[0].action


def test_a_table_without_a_header_is_told(tmp_path: Path) -> None:
    row = f"7\t{AT}\t404\t{json.dumps(HEADERS)}\t{TEXT}\n"
    for rows in (row, row * 3):
        found = kept(tmp_path, rows, name="rows.tsv")
        assert "give the table a header" in found.shortfalls[0]
    assert kept(tmp_path, "id\treceived_at\tbody\n", name="rows.tsv").shortfalls == ()


def test_records_by_key_are_all_read_and_what_is_none_is_counted(tmp_path: Path) -> None:
    record = RECORD | {"body": TEXT}
    found = kept(tmp_path, {"a": record, "b": json.dumps(record), "c": {"size": 7}})
    assert [each.place for each in found.deliveries] == ["kept.json:1 a", "kept.json:1 b"]
    assert found.unreadable == 1


def test_headers_that_only_look_like_base64_stay_as_they_are() -> None:
    assert read_headers({"x-a": "abcdefgh", "x-b": "text/plain"}) == {"x-a": "abcdefgh", "x-b": "text/plain"}
    assert read_headers(["X-Id", "7", "X-Other", "a: b"]) == {"x-id": "7", "x-other": "a: b"}


@pytest.mark.parametrize("word", ["[Redacted]", "***", SIGNATURE[:6] + "****", "<filtered>", SIGNATURE[:12] + "..."])
def test_a_signature_that_was_masked_before_it_was_kept_is_not_called_wrong(word: str, tmp_path: Path) -> None:
    masked = HEADERS | {"X-Request-Network-Signature": word}
    found = triaged(kept(tmp_path, RECORD | {"headers": masked, "rawBody": TEXT}))
    assert found.signatures == {"masked": 1}
    assert len(found.replay) == 1
    assert found.unread == ("the signature of 1 delivery cannot be checked: it was masked before it was kept",)


@pytest.mark.parametrize("word", ["0" * 64, "abc", "0" * 64 + "***"])
def test_a_signature_that_does_not_fit_stays_wrong(word: str, tmp_path: Path) -> None:
    forged = HEADERS | {"X-Request-Network-Signature": word}
    found = triaged(kept(tmp_path, RECORD | {"headers": forged, "rawBody": TEXT}))
    assert found.signatures == {"invalid": 1}
    assert not found.replay
