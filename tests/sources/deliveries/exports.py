"""One refused, genuine ``payment.confirmed`` as databases, queues, proxies and webhook services export it."""

# ruff: noqa: E501 - exports are as wide as services write them

from __future__ import annotations

import base64
import csv
import gzip
import hashlib
import hmac
import io
import json
from collections.abc import Mapping
from typing import Any

KEY = "whsec-for-tests"
ROUTE = "/api/payment/request-network/webhook"
PAYLOAD = {
    "event": "payment.confirmed", "requestId": "01" + "ab" * 32, "paymentReference": "0x" + "cd" * 8, "amount": "100.0",
    "totalAmountPaid": "100.0", "timestamp": "2026-11-20T10:30:00.000Z", "txHash": "0x" + "ef" * 32, "network": "bsc",
    "paymentCurrency": "USDC-bsc", "payer": "Zoë",
}  # fmt: skip
BODY = json.dumps(PAYLOAD, separators=(",", ":"), ensure_ascii=False).encode()
TEXT = BODY.decode()
BASE64 = base64.b64encode(BODY).decode()
AT = "2026-11-20T10:30:00Z"
AT_MS = 1_795_170_600_000
SIGNATURE = hmac.new(KEY.encode(), BODY, hashlib.sha256).hexdigest()
HEADERS = {
    "Content-Type": "application/json",
    "X-Request-Network-Signature": SIGNATURE,
    "X-Request-Network-Delivery": "01JDELIVERY0001",
}
PAIRS = [{"name": name, "value": value} for name, value in HEADERS.items()]
GATEWAY = {
    "version": "2.0", "rawPath": ROUTE, "headers": {name.lower(): value for name, value in HEADERS.items()},
    "requestContext": {"requestId": "JKJaXmPLvHcESHA=", "http": {"method": "POST", "path": ROUTE}, "timeEpoch": AT_MS},
    "body": BASE64, "isBase64Encoded": True,
}  # fmt: skip
RECORD = {"receivedAt": AT, "httpStatus": 404, "headers": HEADERS}


def _table(row: Mapping[str, Any], *, sign: str = ",") -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(row), delimiter=sign)
    writer.writeheader()
    writer.writerow(row)
    return text.getvalue()


def _jsonb(value: Mapping[str, Any]) -> str:
    """As Postgres writes ``jsonb``: keys by length and then by name, a space after signs."""
    ordered = dict(sorted(value.items(), key=lambda item: (len(item[0].encode()), item[0].encode())))
    return json.dumps(ordered, ensure_ascii=False)


SIGNED: dict[str, tuple[str, Any]] = {
    "raw text": ("a.json", RECORD | {"rawBody": TEXT}),
    "Node Buffer": ("a.json", RECORD | {"rawBody": {"type": "Buffer", "data": list(BODY)}}),
    "Node Buffer as text": ("a.json", RECORD | {"rawBody": json.dumps({"type": "Buffer", "data": list(BODY)})}),
    "typed array by its indexes": ("a.json", RECORD | {"rawBody": {str(n): byte for n, byte in enumerate(BODY)}}),
    "list of bytes": ("a.json", RECORD | {"body": list(BODY)}),
    "base64 with a flag": ("a.json", RECORD | {"body": BASE64, "isBase64Encoded": True}),
    "base64 with an encoding": ("a.json", RECORD | {"body": BASE64, "encoding": "base64"}),
    "base64 without a word": ("a.json", RECORD | {"body": BASE64}),
    "base64 for addresses": ("a.json", RECORD | {"body": base64.urlsafe_b64encode(BODY).decode().rstrip("=")}),
    "base64 under payload": ("a.json", RECORD | {"payload": BASE64}),
    "hexadecimal digits of bytea": ("a.json", RECORD | {"raw_body": "\\x" + BODY.hex()}),
    "hexadecimal digits": ("a.json", RECORD | {"raw_body": "0x" + BODY.hex().upper()}),
    "packed by gzip": ("a.json", RECORD | {"raw_body": base64.b64encode(gzip.compress(BODY)).decode()}),
    "JSON in JSON": ("a.json", RECORD | {"body": json.dumps(TEXT)}),
    "Python's bytes": ("a.json", RECORD | {"body": repr(BODY)}),
    "parsed": ("a.json", RECORD | {"payload": PAYLOAD}),
    "parsed as body": ("a.json", RECORD | {"body": PAYLOAD}),
    "written again by Python": ("a.json", RECORD | {"body": json.dumps(PAYLOAD)}),
    "headers as pairs": ("a.json", RECORD | {"headers": [list(pair) for pair in HEADERS.items()], "body": TEXT}),
    "headers by name and value": ("a.json", RECORD | {"headers": PAIRS, "body": TEXT}),
    "headers in lists": ("a.json", RECORD | {"headers": {k: [v] for k, v in HEADERS.items()}, "body": TEXT}),
    "headers of Node, flat": ("a.json", RECORD | {"headers": None, "body": TEXT, "rawHeaders": [
        part for pair in HEADERS.items() for part in pair]}),
    "headers as JSON text": ("a.json", RECORD | {"headers": json.dumps(HEADERS), "body": TEXT}),
    "headers as text": ("a.json", RECORD | {"headers": "".join(f"{k}: {v}\r\n" for k, v in HEADERS.items()), "body": TEXT}),
    "headers of WSGI": ("a.json", RECORD | {"headers": {
        "HTTP_" + name.upper().replace("-", "_"): value for name, value in HEADERS.items()}, "body": TEXT}),
    "headers as lines, an even number": ("a.json", RECORD | {
        "headers": [f"{name}: {value}" for name, value in [*HEADERS.items(), ("Host", "a")]], "body": TEXT}),
    "headers with underscores": ("a.json", RECORD | {
        "headers": {name.lower().replace("-", "_"): value for name, value in HEADERS.items()}, "body": TEXT}),
    "headers as Python's bytes": ("a.json", RECORD | {
        "headers": [[f"b'{name.lower()}'", f"b'{value}'"] for name, value in HEADERS.items()], "body": TEXT}),
    "headers among the fields": ("a.json", {"receivedAt": AT, "httpStatus": 404, "rawBody": TEXT,
        **{name.lower(): value for name, value in HEADERS.items()}}),
    "headers among the variables of PHP": ("a.json", {"receivedAt": AT, "httpStatus": "404 Not Found", "rawBody": TEXT,
        "server": {"HTTP_" + name.upper().replace("-", "_"): value for name, value in HEADERS.items()}}),
    "signature as a field": ("a.json", {"provider": "request-network", "deliveryId": "01JDELIVERY0001", "receivedAt": AT,
        "httpStatus": 404, "signature": SIGNATURE, "body": TEXT}),
    "the answer as a word": ("a.json", {"receivedAt": AT, "headers": HEADERS, "body": TEXT, "response": 404}),
    "base64 in lines": ("a.json", RECORD | {"body": "\n".join(BASE64[n : n + 76] for n in range(0, len(BASE64), 76))}),
    "base64 as an address": ("a.json", RECORD | {"body": "data:application/json;base64," + BASE64}),
    "a flag of base64 on plain text": ("a.json", RECORD | {"body": TEXT, "isBase64Encoded": True}),
    "no flag of base64 on base64": ("a.json", RECORD | {"body": BASE64, "isBase64Encoded": False, "encoding": "utf-8"}),
    "a server's request and answer": ("a.json", {"time": AT_MS, "req": {"method": "POST", "url": ROUTE, "headers": HEADERS,
        "body": TEXT}, "res": {"statusCode": 404}}),
    "Mongo's old Extended JSON": ("mongo.json", RECORD | {"rawBody": {"$binary": BASE64, "$type": "00"}}),
    "Firehose, without line ends": ("a.json", json.dumps({"coverage": {"from": AT, "to": AT}}) + json.dumps(
        RECORD | {"rawBody": TEXT})),
    "Node's latin1": ("a.json", RECORD | {"rawBody": BODY.decode("latin-1")}),
    "Django's dumpdata": ("dump.json", [{"model": "hooks.delivery", "pk": 7, "fields": {"received_at": AT,
        "response_status": 404, "headers": json.dumps(HEADERS), "body": TEXT}}]),
    "winston with its meta": ("app.ndjson", {"level": "warn", "message": "webhook refused", "timestamp": AT,
        "meta": {"headers": HEADERS, "rawBody": TEXT, "statusCode": 404}}),
    "CloudWatch's table": ("rows.csv", _table({"@timestamp": "2026-11-20 10:30:00.123", "@message": json.dumps(
        RECORD | {"rawBody": TEXT})})),
    "Charles": ("s.chlsj", [{"status": "COMPLETE", "method": "POST", "path": ROUTE, "times": {"start": AT}, "request": {
        "header": {"headers": PAIRS}, "body": {"text": TEXT, "charset": "UTF-8"}}, "response": {"status": 404}}]),
    "Postgres json_agg": ("rows.json", {"json_agg": [{"received_at": AT, "http_status": 404, "headers": HEADERS,
        "raw_body": "\\x" + BODY.hex()}]}),
    "by key, as a dump of KV": ("kv.json", {"webhook:01J": json.dumps(RECORD | {"body": TEXT})}),
    "by key, as a dump of Redis": ("redis.json", {"bull:w:1": {"name": "w", "data": json.dumps(
        {"headers": HEADERS, "rawBody": TEXT}), "opts": "{}", "timestamp": str(AT_MS)}}),
    "BullMQ job with its payload as text": ("jobs.json", [{"id": "1", "name": "w", "opts": {}, "timestamp": AT_MS, "data": {
        "provider": "request-network", "deliveryId": "01JDELIVERY0001", "payload": TEXT, "signature": SIGNATURE}}]),
    "Lambda's failed event": ("lambda.json", {"version": "1.0", "timestamp": AT, "requestContext": {"condition": "Retries"},
        "requestPayload": GATEWAY, "responseContext": {"statusCode": 200}}),
    "Docker around a record": ("log.json", {"log": json.dumps(RECORD | {"body": TEXT}) + "\n", "stream": "stdout", "time": AT}),
    "Kafka with headers in base64": ("kafka.json", [{"topic": "w", "partition": 0, "offset": 1, "timestamp": AT_MS,
        "value": BASE64, "headers": [{k: base64.b64encode(v.encode()).decode()} for k, v in HEADERS.items()]}]),
    "Azure Service Bus": ("bus.json", [{"body": TEXT, "messageId": "1", "enqueuedTimeUtc": AT, "deliveryCount": 3,
        "applicationProperties": HEADERS, "deadLetterReason": "MaxDeliveryCountExceeded"}]),
    "Google Tasks": ("tasks.json", [{"name": "t", "createTime": AT, "httpRequest": {"url": "https://amn.example" + ROUTE,
        "httpMethod": "POST", "headers": HEADERS, "body": BASE64}}]),
    "BullMQ job": ("jobs.json", [{"id": "17", "name": "webhook", "data": {"headers": HEADERS, "rawBody": TEXT},
                   "opts": {"attempts": 3}, "attemptsMade": 3, "failedReason": "404", "timestamp": AT_MS}]),
    "BullMQ job of Redis": ("job.json", {"name": "webhook", "data": json.dumps({"headers": HEADERS, "body": PAYLOAD}),
                            "opts": "{}", "timestamp": str(AT_MS), "atm": "3", "failedReason": "404"}),
    "SQS messages": ("sqs.json", {"Messages": [{"MessageId": "m-1", "ReceiptHandle": "r", "MD5OfBody": "x", "Body": TEXT,
                     "Attributes": {"SentTimestamp": str(AT_MS), "ApproximateReceiveCount": "3"},
                     "MessageAttributes": {k: {"StringValue": v, "DataType": "String"} for k, v in HEADERS.items()}}]}),
    "SQS event with a gateway's event": ("sqs.ndjson", {"Records": [{"messageId": "m-1", "receiptHandle": "r",
                     "body": json.dumps(GATEWAY), "attributes": {"SentTimestamp": str(AT_MS)}, "messageAttributes": {},
                     "eventSource": "aws:sqs"}]}),
    "SNS in SQS": ("sns.json", {"Messages": [{"MessageId": "m-1", "ReceiptHandle": "r", "Body": json.dumps({
                   "Type": "Notification", "MessageId": "n-1", "TopicArn": "arn:aws:sns:x", "Message": json.dumps(GATEWAY),
                   "Timestamp": AT})}]}),
    "API gateway": ("lambda.json", GATEWAY),
    "Cloudflare KV": ("kv.json", [{"key": "webhook:01J", "value": json.dumps(RECORD | {"body": TEXT})}]),
    "Cloudflare KV in base64": ("kv.json", [{"key": "webhook:01J", "value": BASE64, "base64": True,
                                "metadata": {"headers": HEADERS, "receivedAt": AT, "httpStatus": 404}}]),
    "Cloudflare queue": ("queue.json", {"success": True, "result": {"messages": [{"id": "b01", "attempts": 3,
                         "lease_id": "x", "timestamp_ms": AT_MS, "body": base64.b64encode(
                             json.dumps({"headers": HEADERS, "body": TEXT}).encode()).decode()}]}}),
    "Svix attempts": ("svix.json", {"data": [{"id": "atmpt_1", "msgId": "msg_1", "endpointId": "ep_1", "status": 2,
                      "responseStatusCode": 404, "response": "{}", "timestamp": AT, "triggerType": 0, "headers": HEADERS,
                      "url": "https://amn.example" + ROUTE,
                      "msg": {"eventType": "payment.confirmed", "payload": PAYLOAD, "id": "msg_1"}}], "done": True}),
    "Hookdeck events": ("hookdeck.json", {"pagination": {}, "count": 1, "models": [{"id": "evt_1", "team_id": "t",
                        "webhook_id": "web_1", "source_id": "src_1", "event_data_id": "edt_1", "request_id": "req_1",
                        "attempts": 3, "response_status": 404, "status": "FAILED", "created_at": AT,
                        "data": {"path": ROUTE, "headers": HEADERS, "body": PAYLOAD, "query": ""}}]}),
    "HAR": ("capture.har", {"log": {"version": "1.2", "entries": [
        {"startedDateTime": AT, "request": {"method": "GET", "url": "https://amn.example/", "headers": []},
         "response": {"status": 200}},
        {"startedDateTime": AT, "request": {"method": "POST", "url": "https://amn.example" + ROUTE, "headers": PAIRS,
         "postData": {"mimeType": "application/json", "text": TEXT}}, "response": {"status": 404}}]}}),
    "Mongo Extended JSON": ("mongo.json", {"_id": {"$oid": "6" * 24}, "receivedAt": {"$date": {"$numberLong": str(AT_MS)}},
                            "httpStatus": {"$numberInt": "404"}, "headers": HEADERS,
                            "rawBody": {"$binary": {"base64": BASE64, "subType": "00"}}}),
    "Mongo Extended JSON, pretty, several": ("mongo.json", json.dumps(
        {"receivedAt": {"$date": AT}, "httpStatus": 404, "headers": HEADERS, "rawBody": TEXT}, indent=2) + "\n"),
    "DynamoDB": ("dynamo.json", {"Items": [{"id": {"S": "d1"}, "receivedAt": {"N": str(AT_MS)}, "httpStatus": {"N": "404"},
                 "headers": {"M": {k: {"S": v} for k, v in HEADERS.items()}}, "rawBody": {"B": BASE64}}]}),
    "Elasticsearch": ("hits.json", {"hits": {"total": 1, "hits": [{"_index": "w", "_id": "1", "_source": RECORD | {
                      "body": TEXT}}]}}),
    "Postgres row_to_json": ("rows.ndjson", {"row_to_json": {"id": 7, "received_at": "2026-11-20T10:30:00+00:00",
                             "http_status": 404, "headers": HEADERS, "raw_body": "\\x" + BODY.hex()}}),
    "CSV": ("rows.csv", _table({"id": "7", "received_at": "2026-11-20 10:30:00+00", "http_status": "404",
            "headers": json.dumps(HEADERS), "body": TEXT})),
    "CSV made flat, as mongoexport writes it": ("rows.csv", _table({"_id": "7", "receivedAt": AT, "httpStatus": "404",
        **{f"headers.{name.lower()}": value for name, value in HEADERS.items()}, "rawBody": TEXT})),
    "CSV with one JSON column": ("rows.csv", _table({"row_to_json": json.dumps(RECORD | {"raw_body": TEXT})})),
    "TSV": ("rows.tsv", _table({"id": "7", "received_at": AT, "http_status": "404", "headers": _jsonb(HEADERS),
                                "raw_body": "\\x" + BODY.hex()}, sign="\t")),
    "RabbitMQ": ("rabbit.json", [{"payload_bytes": len(BODY), "redelivered": True, "exchange": "", "routing_key": "dlq",
                 "message_count": 0, "properties": {"headers": HEADERS, "timestamp": AT_MS // 1000},
                 "payload": BASE64, "payload_encoding": "base64"}]),
    "Kafka": ("kcat.ndjson", {"topic": "webhooks", "partition": 0, "offset": 7, "tstype": "create", "ts": AT_MS,
              "headers": [part for pair in HEADERS.items() for part in pair], "key": None, "payload": TEXT}),
    "Google Pub/Sub": ("pull.json", [{"ackId": "a", "message": {"data": BASE64, "messageId": "9", "publishTime": AT,
                       "attributes": HEADERS}}]),
    "Azure CloudEvents": ("events.json", [{"specversion": "1.0", "id": "e1", "source": "/hooks", "type": "x", "time": AT,
                          "data": {"headers": HEADERS, "rawBody": TEXT}}]),
    "webhook.site": ("site.json", {"data": [{"uuid": "u1", "method": "POST", "content": TEXT, "created_at": AT,
                     "headers": {k.lower(): [v] for k, v in HEADERS.items()}}], "total": 1}),
}  # fmt: skip
"""Exports in which headers and body are there, by name: file name and content (text, or what is written as JSON)."""


def written(content: Any) -> bytes:
    """The bytes of an export."""
    return content.encode() if isinstance(content, str) else json.dumps(content).encode()
