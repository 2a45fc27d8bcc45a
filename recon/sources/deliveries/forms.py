"""Where what is known of a delivery stands in the records that people keep, as data.

The table is the documentation: each field is looked for under its names, in order; a name with points leads into
objects. ``[deliveries.fields]`` of the configuration puts names before them. A form is a record of a known make whose
names mean something of their own; it is recognised by the fields that it always has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "delivery_id": (
        "delivery_id", "deliveryId", "webhookId", "msgId", "messageId", "MessageId", "message_id", "id", "_id", "uuid",
        "uid", "event_id", "eventId", "jobId", "key",
    ),
    "provider": ("provider", "source", "rail"),
    "received_at": (
        "received_at", "receivedAt", "timestamp", "ts", "createdAt", "created_at", "at", "startedDateTime",
        "ingested_at", "ingestedAt", "timestamp_ms", "Timestamp", "publishTime", "time", "date", "inserted_at",
        "insertedAt",
        "requestContext.timeEpoch", "requestContext.requestTimeEpoch", "Attributes.SentTimestamp",
        "attributes.SentTimestamp", "EnqueuedTimeUtc", "enqueuedAt", "enqueued_at", "enqueuedTimeUtc",
        "insertionTime", "createTime", "occurred_at", "when", "@timestamp",
    ),
    "attempt": (
        "attempt", "retryCount", "retry_count", "attempts", "attemptsMade", "attempt_number", "attemptNumber",
        "deliveryAttempt", "deliveryCount", "DeliveryCount", "Attributes.ApproximateReceiveCount",
        "attributes.ApproximateReceiveCount", "retries",
    ),
    "http_status": (
        "http_status", "httpStatus", "responseStatus", "statusCode", "status_code", "response_status",
        "responseStatusCode", "response_status_code", "response.status", "response.statusCode", "response.status_code",
        "response_code", "responseCode", "last_response_status", "res.statusCode", "res.status", "answered", "response",
        "status",
    ),
    "event": ("event", "eventType", "event_type", "type", "topic"),
    "request_id": ("request_id", "requestId", "requestID"),
    "reference": ("reference", "paymentReference", "payment_reference"),
    "external_id": ("external_id", "externalId"),
    "tx_hash": ("tx_hash", "txHash", "transactionHash", "txid"),
    "payload_digest": ("payload_digest", "payloadHash", "payload_hash", "rawFingerprint"),
    "signature_valid": ("signature_valid", "signatureValid", "verified"),
    "signature": ("signature", "webhook_signature", "webhookSignature", "signature_header", "signatureHeader", "sig"),
    "dead_letter": (
        "dead_letter", "deadLetter", "dlq", "isDeadLetter", "failedReason", "DeadLetterReason", "deadLetterReason",
        "dead_letter_reason",
    ),
    "address": (
        "url", "path", "uri", "rawPath", "request.url", "request.path", "req.url", "httpRequest.url",
        "requestContext.http.path", "target_url",
        "requested_url", "destination",
    ),
    "headers": (
        "headers", "request_headers", "requestHeaders", "request.headers", "http_headers", "httpHeaders", "raw_headers",
        "rawHeaders", "multiValueHeaders", "header", "messageAttributes", "MessageAttributes", "attributes",
        "properties.headers", "metadata.headers", "req.headers", "httpRequest.headers", "Headers",
        "applicationProperties", "application_properties", "meta", "server",
        "environ", "META",
    ),
    "raw_body": (
        "raw_body", "rawBody", "body_raw", "bodyRaw", "raw_request_body", "raw_payload", "rawPayload", "body_base64",
        "bodyBase64", "rawBodyBase64", "data_base64", "request.postData.text", "request.raw_body", "request.rawBody",
        "request.body", "request_body", "requestBody", "httpRequest.body", "req.rawBody", "req.body", "request.content",
        "request.data", "body", "Body", "content",
        "messageText", "raw",
    ),
    "body": ("payload", "data", "message", "Message", "value", "json", "event_data", "eventData", "doc", "event",
             "@message", "request.payload"),
    "encoding": (
        "isBase64Encoded", "is_base64_encoded", "base64", "body_encoding", "bodyEncoding", "payload_encoding",
        "encoding",         "request.postData.encoding", "request.content.encoding",
    ),
}  # fmt: skip
"""The fields of a delivery and their names.

``raw_body`` are names under which backends keep the bytes or the text that came; ``body`` those under which the body
may have been written again by a database or a queue, so that a signature over it proves nothing when it does not fit.
"""

CONFIGURABLE: Final = tuple(FIELDS)

ALWAYS_BASE64: Final = ("body_base64", "bodyBase64", "rawBodyBase64", "data_base64")

LISTS: Final = (
    "Messages", "Records", "messages", "models", "entries", "items", "Items", "results", "rows", "documents", "records",
    "deliveries", "events", "requests", "hits", "receivedMessages", "attempts_list", "jobs", "result", "log", "data",
    "content", "Responses", "json_agg", "jsonb_agg", "array_to_json",
)  # fmt: skip
"""Fields under which an export keeps its records; the innermost list counts."""

ROWS: Final = ("row_to_json", "to_jsonb", "to_json", "jsonb_build_object", "json_build_object", "_source", "Item",
               "delivery", "record", "document", "doc", "fullDocument", "webhook", "job", "args", "requestPayload",
               "log")  # fmt: skip
"""Fields of which one holds the whole record: Postgres, Elasticsearch, DynamoDB and change streams."""


@dataclass(frozen=True, slots=True, eq=False)
class Form:
    """A record of a known make.

    Args:
        name: Who writes it.
        needs: Names (with points) that it always has.
        fields: Names that come before those of :data:`FIELDS`, by field; an empty tuple: the field is not told.
        base64: Whether the body is base64 without a word about it.
    """

    name: str
    needs: tuple[str, ...]
    fields: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    base64: bool = False


FORMS: Final = (
    Form("HAR entry", ("startedDateTime", "request.url"), {
        "raw_body": ("request.postData.text",), "encoding": ("request.postData.encoding",),
        "headers": ("request.headers",), "http_status": ("response.status",), "received_at": ("startedDateTime",),
        "delivery_id": (),
    }),
    Form("BullMQ job", ("data", "opts"), {
        "body": ("data",), "received_at": ("timestamp",), "attempt": ("attemptsMade", "atm"), "event": (),
        "raw_body": (), "http_status": (),
    }),
    Form("BullMQ job", ("data", "attemptsMade"), {
        "body": ("data",), "received_at": ("timestamp",), "event": (), "raw_body": (), "http_status": (),
    }),
    Form("SQS message", ("Body", "ReceiptHandle"), {"delivery_id": ("MessageId",), "http_status": ()}),
    Form("SQS message", ("Body", "MD5OfBody"), {"delivery_id": ("MessageId",), "http_status": ()}),
    Form("SQS record", ("body", "receiptHandle"), {"delivery_id": ("messageId",), "provider": (), "http_status": ()}),
    Form("SNS envelope", ("Type", "TopicArn", "Message"), {
        "body": ("Message",), "raw_body": (), "delivery_id": ("MessageId",), "event": (), "http_status": (),
    }),
    Form("SNS record", ("Sns.Message",), {
        "body": ("Sns.Message",), "raw_body": (), "delivery_id": ("Sns.MessageId",), "received_at": ("Sns.Timestamp",),
        "headers": ("Sns.MessageAttributes",), "provider": (), "event": (), "http_status": (),
    }),
    Form("EventBridge event", ("detail", "detail-type"), {
        "body": ("detail",), "raw_body": (), "provider": (), "event": (),
    }),
    Form("Svix attempt", ("msgId", "endpointId"), {
        "body": ("msg.payload",), "raw_body": (), "event": ("msg.eventType",), "delivery_id": ("msgId",),
        "http_status": ("responseStatusCode",), "headers": ("headers", "msg.headers"),
    }),
    Form("Svix message", ("eventType", "payload", "id"), {"body": ("payload",), "raw_body": (), "http_status": ()}),
    Form("Hookdeck event", ("webhook_id", "event_data_id"), {
        "raw_body": (), "body": ("data.body",), "headers": ("data.headers",), "request_id": (), "event": (),
        "http_status": ("response_status",), "address": ("data.path",), "provider": (),
    }),
    Form("Hookdeck request", ("original_event_data_id",), {
        "raw_body": (), "body": ("data.body",), "headers": ("data.headers",), "request_id": (), "event": (),
        "http_status": (), "address": ("data.path",), "provider": (), "received_at": ("ingested_at", "created_at"),
    }),
    Form("Convoy delivery", ("event_metadata", "metadata"), {
        "raw_body": ("metadata.raw",), "body": ("metadata.data",), "event": (), "delivery_id": ("uid",),
        "attempt": ("metadata.num_trials",), "address": ("endpoint_metadata.url",), "http_status": (),
    }),
    Form("Kinesis record", ("SequenceNumber", "Data"), {
        "raw_body": ("Data",), "received_at": ("ApproximateArrivalTimestamp",), "delivery_id": ("SequenceNumber",),
    }, base64=True),
    Form("Cloudflare KV pair", ("key", "value"), {
        "body": ("value",), "raw_body": (), "encoding": ("base64",), "received_at": ("metadata.receivedAt",
        "metadata.received_at", "metadata.timestamp"), "headers": ("metadata.headers",), "http_status": (
        "metadata.httpStatus", "metadata.status"), "event": (),
    }),
    Form("Cloudflare KV pair", ("name", "value"), {
        "body": ("value",), "raw_body": (), "delivery_id": ("name",), "encoding": ("base64",), "event": (),
    }),
    Form("Cloudflare queue message", ("lease_id", "body"), {"received_at": ("timestamp_ms",), "http_status": ()}),
    Form("Pub/Sub message", ("message.data", "message.messageId"), {
        "raw_body": ("message.data",), "delivery_id": ("message.messageId",), "headers": ("message.attributes",),
        "received_at": ("message.publishTime",), "http_status": (), "attempt": ("deliveryAttempt",),
    }, base64=True),
    Form("Pub/Sub message", ("data", "publishTime"), {"raw_body": ("data",), "headers": ("attributes",)}, base64=True),
    Form("RabbitMQ message", ("payload", "payload_encoding"), {
        "raw_body": ("payload",), "headers": ("properties.headers",), "delivery_id": ("properties.message_id",),
        "encoding": ("payload_encoding",), "received_at": ("properties.timestamp",), "http_status": (),
    }),
    Form("Kafka record", ("topic", "partition", "offset"), {
        "raw_body": ("payload", "value"), "delivery_id": (), "event": (), "http_status": (),
        "received_at": ("timestamp", "ts"),
    }),
    Form("webhook.site request", ("uuid", "content", "method"), {"raw_body": ("content",), "http_status": ()}),
    Form("ngrok request", ("request.raw", "uri"), {
        "raw_body": ("request.raw",), "headers": ("request.headers",), "http_status": ("response.status_code",),
        "received_at": ("start",), "event": (),
    }, base64=True),
    Form("Charles entry", ("times.start", "request.header"), {
        "raw_body": ("request.body.text", "request.body.encoded"), "headers": ("request.header.headers",),
        "http_status": ("response.status",), "received_at": ("times.start",), "event": (),
    }),
    Form("Django record", ("model", "fields"), {"body": ("fields",), "raw_body": (), "event": (), "http_status": ()}),
    Form("winston entry", ("level", "message", "meta"), {
        "body": ("meta",), "raw_body": (), "headers": (), "event": (), "http_status": (),
    }),
    Form("CloudEvents", ("specversion", "source", "data"), {"body": ("data",), "raw_body": (), "provider": ()}),
    Form("CloudEvents", ("specversion", "data_base64"), {"raw_body": ("data_base64",), "provider": ()}),
)  # fmt: skip
