"""Deliveries that queues of jobs, dumps of databases and consoles keep: read, or told to be unread."""

# ruff: noqa: E501 - exports are as wide as services write them

from __future__ import annotations

import base64
import gzip
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from bson import Binary, ObjectId, encode

from recon.sources.deliveries.records import load_deliveries
from tests.sources.deliveries.exports import AT, AT_MS, BASE64, BODY, HEADERS, PAYLOAD, RECORD, ROUTE, TEXT
from tests.sources.deliveries.test_forms import kept, triaged

DOCUMENT = {"_id": ObjectId("6" * 24), "receivedAt": datetime(2026, 11, 20, 10, 30, tzinfo=UTC), "httpStatus": 404,
            "headers": HEADERS, "rawBody": Binary(BODY)}  # fmt: skip
JOB = {"retry": True, "queue": "default", "jid": "b4a577", "created_at": 1795170600.1, "enqueued_at": 1795170600.2}
CELERY = {"content-encoding": "utf-8", "content-type": "application/json", "headers": {"lang": "py", "task": "hooks.take", "id": "c1"},
          "properties": {"correlation_id": "c1", "body_encoding": "base64", "delivery_tag": "d"}}  # fmt: skip
EMBED = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
PRINTED = ",".join(f"{name}:{value}" for name, value in HEADERS.items())
COLUMNS = "(id, received_at, http_status, headers, raw_body)"


def _celery(*given: Any) -> dict[str, Any]:
    return CELERY | {"body": base64.b64encode(json.dumps([*given, EMBED]).encode()).decode()}


def _copied(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n")


def _dump(body: str) -> bytes:
    row = f"7\t2026-11-20 10:30:00+00\t404\t{_copied(json.dumps(HEADERS))}\t{body}"
    return (
        "--\n-- PostgreSQL database dump\n--\nSET client_encoding = 'UTF8';\n"
        f"COPY public.users (id, name) FROM stdin;\n1\tZo\n\\.\n\nCOPY public.deliveries {COLUMNS} FROM stdin;\n{row}\n\\.\n"
    ).encode()


READ: dict[str, tuple[str, Any]] = {
    "mongodump": ("deliveries.bson", encode(DOCUMENT)),
    "mongodump, packed": ("deliveries.bson.gz", gzip.compress(encode(DOCUMENT))),
    "Sidekiq, a record": ("retry.ndjson", JOB | {"class": "HookJob", "args": [RECORD | {"body": TEXT}]}),
    "Sidekiq, body and headers": ("retry.ndjson", JOB | {"class": "HookJob", "args": [TEXT, HEADERS]}),
    "Sidekiq, provider and payload": ("retry.ndjson", JOB | {"class": "HookJob", "args": ["request_network", PAYLOAD]}),
    "Active Job": ("retry.ndjson", JOB | {"class": "JobWrapper", "wrapped": "HookJob", "args": [{"job_class": "HookJob", "job_id": "x", "arguments": [PAYLOAD | {"_aj_symbol_keys": []}]}]}),
    "Resque": ("failed.json", [{"failed_at": "2026/11/20 10:30:00 UTC", "payload": {"class": "HookJob", "args": [TEXT]}, "exception": "E", "error": "x", "backtrace": [], "queue": "hooks"}]),
    "Celery, by place": ("celery.ndjson", _celery([TEXT], {"headers": HEADERS})),
    "Celery, by name": ("celery.ndjson", _celery([], {"payload": PAYLOAD, "headers": HEADERS})),
    "Oban": ("oban.json", [{"id": 1, "state": "discarded", "worker": "A.Hook", "args": {"headers": HEADERS, "body": TEXT}, "attempt": 20, "inserted_at": AT}]),
    "Kafka's console": ("console.txt", f"CreateTime:{AT_MS}\t{PRINTED}\tk1\t{TEXT}\n".encode()),
    "Kafka's console, with places": ("console.txt", f"CreateTime:{AT_MS}\tPartition:0\tOffset:7\t{PRINTED}\tk1\t{TEXT}\n".encode()),
    "Kafka's console, key and value": ("console.txt", f"k1\t{TEXT}\n".encode()),
    "Kinesis": ("records.json", {"Records": [{"SequenceNumber": "1", "ApproximateArrivalTimestamp": AT, "Data": base64.b64encode(json.dumps(RECORD | {"body": TEXT}).encode()).decode(), "PartitionKey": "p"}]}),
    "Convoy, deliveries": ("convoy.json", {"status": True, "data": {"content": [{"uid": "ed1", "status": "Failure", "created_at": AT, "headers": {name: [value] for name, value in HEADERS.items()}, "metadata": {"data": PAYLOAD, "raw": TEXT, "num_trials": 3}, "endpoint_metadata": {"url": f"https://a{ROUTE}"}, "event_metadata": {"uid": "ev1", "event_type": "payment.confirmed"}}]}}),
    "CouchDB": ("couch.json", {"total_rows": 1, "rows": [{"id": "a", "key": "a", "value": {"rev": "1-x"}, "doc": {"_id": "a"} | RECORD | {"rawBody": TEXT}}]}),
    "phpMyAdmin": ("export.json", [{"type": "header", "version": "5.2.1", "comment": "Export to JSON"}, {"type": "database", "name": "amn"}, {"type": "table", "name": "deliveries", "database": "amn", "data": [{"id": "7", "received_at": "2026-11-20 10:30:00", "http_status": "404", "headers": json.dumps(HEADERS), "raw_body": TEXT}]}]),
    "pg_dump": ("dump.sql", _dump(_copied(TEXT))),
    "pg_dump, bytea": ("dump.sql", _dump(f"\\\\x{BODY.hex()}")),
    "redis-cli": ("redis.txt", ("1) " + json.dumps(json.dumps(RECORD | {"body": TEXT})) + "\n").encode()),
    "GitHub's redelivery": ("log.json", {"guid": "0b98", "delivered_at": AT, "status": "Invalid HTTP Response: 404", "status_code": 404, "event": "payment", "request": {"headers": HEADERS, "payload": PAYLOAD}, "response": {"headers": {}, "payload": ""}}),
}  # fmt: skip


@pytest.mark.parametrize("name", READ)
def test_a_refused_payment_is_read_and_replayed(name: str, tmp_path: Path) -> None:
    file, content = READ[name]
    found = kept(tmp_path, content, name=file)
    assert found.shortfalls == ()
    [delivery] = found.deliveries
    assert (delivery.provider, delivery.event) == ("request_network", "payment.confirmed")
    assert delivery.request_id == PAYLOAD["requestId"]
    result = triaged(found)
    assert [each.action for each in result.checked] == ["replay"]
    assert result.signatures in ({"valid": 1}, {"no_body": 1})
    assert result.is_complete or "signature" in result.unread[0]


TOLD: dict[str, tuple[str, bytes]] = {
    "a torn dump": ("deliveries.bson", encode(DOCUMENT) + encode(DOCUMENT)[:80]),
    "no dump": ("deliveries.bson", b"\xff\xff\xff\x7fjunk"),
    "mongodump's archive": ("dump.archive", bytes.fromhex("6de29981") + encode({"x": 1}) + b"\xff\xff\xff\xff"),
    "Celery's pickles": ("celery.ndjson", json.dumps(CELERY | {"body": BASE64[:40], "content-encoding": "binary"}).encode()),
    "COPY without names": ("copy.txt", f"7\t2026-11-20 10:30:00+00\t404\t{TEXT[1:]}\n".encode()),
    "a dump without deliveries": ("dump.sql", b"COPY public.users (id, name) FROM stdin;\n1\tZo\n\\.\n"),
    "mysqldump": ("dump.sql", b"INSERT INTO `deliveries` VALUES (7,'2026-11-20 10:30:00',404,'{}','{}');\n"),
    "the Stripe client's lines": ("stripe.log", b"2026-11-20 10:30:00   --> payment_intent.succeeded [evt_1]\n"),
    "a word of the record, and no body": ("log.json", json.dumps({"id": 1, "provider": "request_network", "status_code": 404, "event": "payment", "request": {"headers": HEADERS}}).encode()),
}  # fmt: skip


@pytest.mark.parametrize("name", TOLD)
def test_what_is_not_read_is_told(name: str, tmp_path: Path) -> None:
    file, content = TOLD[name]
    result = triaged(kept(tmp_path, content, name=file))
    assert not result.is_complete
    assert result.problems or result.unread


def test_the_description_beside_a_dump_is_no_delivery(tmp_path: Path) -> None:
    (tmp_path / "deliveries.bson").write_bytes(encode(DOCUMENT))
    (tmp_path / "deliveries.metadata.json").write_text('{"indexes": [], "uuid": "x"}')
    found = load_deliveries(tmp_path)
    assert (len(found.deliveries), found.shortfalls) == (1, ())
