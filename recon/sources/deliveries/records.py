"""Webhook deliveries, dead letters and durable-ingress records, in the forms that backends keep them in, as records.

Read are NDJSON (plain or gzip), a directory of such files and of pairs ``NAME.body`` and ``NAME.headers``, and the
documents of a MongoDB collection. The names differ, so each field is looked for under several; a record without
headers, body or time is kept and says so. The body is kept as the bytes that came, where they were kept: a signature is
over those, and a body that was parsed and written again has other number or escape formats.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import hashlib
import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from recon.core.errors import SourceError
from recon.core.ids import normalise_reference, normalise_request_id, normalise_tx_hash
from recon.core.registry import load_registry
from recon.core.text import clean_text
from recon.core.times import epoch_ms, ms_text, parse_iso_ms, to_ms
from recon.sources.providers.installed import providers

RECORDS_MAX: Final = 5_000_000
BODY_MAX_BYTES: Final = 2 * 1024 * 1024
LINE_MAX_BYTES: Final = 8 * 1024 * 1024
_SUFFIXES: Final = (".ndjson", ".jsonl", ".json", ".ndjson.gz", ".jsonl.gz", ".json.gz")

_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "delivery_id": ("delivery_id", "deliveryId", "webhookId", "messageId", "id", "_id"),
    "provider": ("provider", "source", "rail"),
    "received_at": ("received_at", "receivedAt", "timestamp", "ts", "createdAt", "at"),
    "attempt": ("attempt", "retryCount", "retry_count"),
    "http_status": ("http_status", "httpStatus", "responseStatus", "statusCode", "status_code"),
    "event": ("event", "eventType", "event_type", "type"),
    "request_id": ("request_id", "requestId", "requestID"),
    "reference": ("reference", "paymentReference", "payment_reference"),
    "external_id": ("external_id", "externalId"),
    "tx_hash": ("tx_hash", "txHash", "transactionHash", "txid"),
    "payload_digest": ("payload_digest", "payloadHash", "payload_hash", "rawFingerprint"),
    "signature_valid": ("signature_valid", "signatureValid"),
    "dead_letter": ("dead_letter", "deadLetter", "dlq", "isDeadLetter"),
}
_BODIES: Final = ("raw_body", "rawBody", "body", "payload")


class DeliveriesReadError(SourceError):
    """Delivery records cannot be read."""

    def __init__(self, *, place: str, why: str) -> None:
        super().__init__(
            f"{clean_text(place, limit=200)}: no delivery records can be read there ({clean_text(why, limit=160)})."
        )


@dataclass(frozen=True, slots=True)
class Delivery:
    """One delivery as it was kept.

    Args:
        provider: Normalised, or the raw word in lower case, or ``unknown``.
        received_at: UTC milliseconds, None where no time was kept.
        body: The raw bytes, None where only a parsed body or none was kept.
        payload: The parsed body, empty where it is none.
        headers: Lower-case names.
        place: Where the record stands, to find it again.
        problems: What is missing or unreadable, one code each.
    """

    delivery_id: str | None
    provider: str
    received_at: int | None
    place: str
    attempt: int | None = None
    http_status: int | None = None
    event: str | None = None
    request_id: str | None = None
    reference: str | None = None
    external_id: str | None = None
    tx_hash: str | None = None
    payload_digest: str | None = None
    signature_valid: bool | None = None
    dead_letter: bool = False
    is_test: bool = False
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    payload: Mapping[str, Any] = field(default_factory=dict)
    problems: tuple[str, ...] = ()

    def row(self) -> dict[str, Any]:
        """The delivery as a row of ``recon.core.tables.DELIVERIES``."""
        return {
            "delivery_id": self.delivery_id,
            "provider": self.provider,
            "received_at": self.received_at,
            "attempt": self.attempt,
            "http_status": self.http_status,
            "event": self.event,
            "request_id": self.request_id,
            "reference": self.reference,
            "external_id": self.external_id,
            "tx_hash": self.tx_hash,
            "payload_digest": self.payload_digest,
            "signature_valid": self.signature_valid,
            "dead_letter": self.dead_letter,
            "origin": self.place,
        }


@dataclass(frozen=True, slots=True)
class DeliveryFile:
    """What was read: the deliveries in the order in which they stand, and how many records were no deliveries.

    Args:
        unreadable_at: Where the first record stands that is no delivery.
        covers: From when to when, in UTC milliseconds, the file says that it is whole: its first line may be
            ``{"coverage": {"from": ms, "to": ms}}``.
    """

    place: str
    deliveries: tuple[Delivery, ...]
    unreadable: int = 0
    problems: tuple[str, ...] = ()
    unreadable_at: str | None = None
    covers: tuple[int, int] | None = None

    @property
    def since_ms(self) -> int | None:
        """From when on it holds what came, as far as its own times tell; nothing says so where all are dead letters."""
        if all(each.dead_letter for each in self.deliveries):
            return None
        return min((each.received_at for each in self.deliveries if each.received_at is not None), default=None)

    @property
    def source_text(self) -> str:
        """How an inspection names it: the place and from when on it is whole, as far as its own times tell."""
        since = self.since_ms
        if since is None:
            is_dead = bool(self.deliveries) and all(each.dead_letter for each in self.deliveries)
            return f"{self.place} (dead letters only)" if is_dead else self.place
        return f"{self.place} (whole since {ms_text(since)})"


def load_deliveries(path: Path, *, bodies: bool = True) -> DeliveryFile:
    """Read a file or a directory of delivery records.

    Args:
        bodies: Whether bodies and headers stay in memory; signatures and replays need them, timelines do not.

    Raises:
        DeliveriesReadError: It cannot be opened. A file that breaks off is read as far as it goes.
    """
    if path.is_dir():
        return _directory(path, bodies=bodies)
    reading = _Reading(bodies=bodies)
    reading.file(path, path.name)
    return reading.found(path.name)


def deliveries_of(documents: Iterable[Mapping[str, Any]], *, place: str, bodies: bool = True) -> DeliveryFile:
    """Delivery records from documents of a collection, to :data:`RECORDS_MAX`; see :func:`load_deliveries`."""
    reading = _Reading(bodies=bodies)
    for number, document in enumerate(documents, 1):
        if number > RECORDS_MAX:
            reading.problems.append(f"only the first {RECORDS_MAX} records were read")
            break
        where = f"{place}:{clean_text(document.get('_id', number), limit=60)}"
        reading.add(parse_delivery(document, place=where), where)
    return reading.found(place)


class _Reading:
    """What has been read so far, of one file or of several."""

    def __init__(self, *, bodies: bool) -> None:
        self.problems: list[str] = []
        self._bodies = bodies
        self._deliveries: list[Delivery] = []
        self._unreadable: list[str] = []
        self._covers: tuple[int, int] | None = None

    def add(self, record: Delivery | None, place: str) -> None:
        """Keep a record, or count what is none."""
        if record is None:
            self._unreadable.append(place)
        else:
            self._deliveries.append(record if self._bodies else replace(record, body=None, headers={}, payload={}))

    def file(self, path: Path, place: str) -> None:
        """Read one file of records, as far as it goes."""
        try:
            for number, raw in enumerate(_raw_lines(path, self.problems, place), 1):
                if len(self._deliveries) >= RECORDS_MAX:
                    self.problems.append(f"{place}: only the first {RECORDS_MAX} records were read")
                    break
                if raw.strip():
                    self._line(_records(raw), number=number, place=f"{place}:{number}")
        except OSError as error:
            raise DeliveriesReadError(place=place, why=error.strerror or "unknown reason") from error

    def _line(self, rows: list[Mapping[str, Any]], *, number: int, place: str) -> None:
        if number == 1 and rows and isinstance(head := rows[0].get("coverage"), Mapping):
            begin, end = _ms(head.get("from")), _ms(head.get("to"))
            if begin is None or end is None:
                self.problems.append(f"{place}: coverage needs from and to, in milliseconds or as times")
            else:
                self._covers = begin, end
            rows = rows[1:]
        elif not rows:
            self._unreadable.append(place)
        for row in rows:
            self.add(parse_delivery(row, place=place), place)

    def found(self, place: str) -> DeliveryFile:
        """All of it."""
        bad = self._unreadable
        return DeliveryFile(
            place, tuple(self._deliveries), len(bad), tuple(self.problems), bad[0] if bad else None, self._covers
        )


def _directory(path: Path, *, bodies: bool) -> DeliveryFile:
    reading = _Reading(bodies=bodies)
    try:
        names = sorted(each for each in path.rglob("*") if each.is_file())
    except OSError as error:
        raise DeliveriesReadError(place=path.name, why=error.strerror or "unknown reason") from error
    for each in names:
        inner = f"{path.name}/{each.relative_to(path).as_posix()}"
        if each.name.endswith(_SUFFIXES):
            reading.file(each, inner)
        elif each.suffix == ".body":
            reading.add(_pair(each, inner), inner)
    return reading.found(path.name)


def _pair(body_file: Path, place: str) -> Delivery | None:
    """``NAME.body`` holds the raw bytes, ``NAME.headers`` lines of ``Name: value``."""
    try:
        body = body_file.read_bytes()[: BODY_MAX_BYTES + 1]
        headers_file = body_file.with_suffix(".headers")
        text = headers_file.read_text(encoding="utf-8", errors="replace") if headers_file.exists() else ""
    except OSError as error:
        raise DeliveriesReadError(place=place, why=error.strerror or "unknown reason") from error
    pairs = (line.partition(":") for line in text.splitlines()[:200])
    headers = {name.strip(): value.strip() for name, colon, value in pairs if colon}
    return parse_delivery({"headers": headers, "_raw": body, "delivery_id": None}, place=place)


def _raw_lines(path: Path, problems: list[str], place: str) -> Iterator[bytes]:
    with path.open("rb") as raw:
        packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        stream: Any = gzip.GzipFile(fileobj=raw) if packed else raw
        is_whole_file = path.name.removesuffix(".gz").endswith(".json")
        try:
            if is_whole_file:
                text = stream.read(64 * LINE_MAX_BYTES)
                yield from [text] if text.lstrip()[:1] == b"[" or text.count(b"\n") <= 1 else _pieces(text)
                return
            while line := stream.readline(LINE_MAX_BYTES):
                yield line
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            problems.append(f"{place} breaks off ({clean_text(error, limit=80)})")


def _pieces(text: bytes) -> list[bytes]:
    """One pretty-printed document, or one document a line."""
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return text.splitlines()
    return [text]


def _records(raw: bytes) -> list[Mapping[str, Any]]:
    try:
        value = json.loads(raw, parse_float=str)
    except (ValueError, RecursionError):
        return []
    rows = value if isinstance(value, list) else [value]
    return [row for row in rows if isinstance(row, dict)]


def parse_delivery(row: Mapping[str, Any], *, place: str) -> Delivery | None:
    """Read one record; None when it says nothing that a delivery could say."""
    inner = row.get("delivery")
    if isinstance(inner, Mapping):
        row = inner
    headers = _headers(row.get("headers"))
    body, payload = _body(row)
    found = _found(row, payload)
    if body is None and not headers and not _says_something(row, found):
        return None
    provider = _provider(found["provider"], headers, payload)
    more = _read_by_provider(provider, headers, payload, found)
    given = more.get("delivery_id") or found["delivery_id"]
    return Delivery(
        delivery_id=_text(given),
        provider=provider,
        received_at=_ms(found["received_at"]),
        place=place,
        attempt=_int(more.get("attempt") or found["attempt"]),
        http_status=_int(found["http_status"]),
        event=_text(found["event"]) or more.get("event"),
        request_id=_normalised(found["request_id"], normalise_request_id),
        reference=_normalised(found["reference"], normalise_reference),
        external_id=_text(found["external_id"]),
        tx_hash=_hash(_text(found["tx_hash"]) or more.get("tx_hash")),
        payload_digest=hashlib.sha256(body).hexdigest() if body is not None else _text(found["payload_digest"]),
        signature_valid=_bool(found["signature_valid"]),
        dead_letter=bool(_bool(found["dead_letter"])),
        is_test=bool(more.get("is_test")),
        body=body,
        headers=headers,
        payload=payload,
        problems=_problems(found, headers=headers, body=body, given=given, provider=provider),
    )


def _says_something(row: Mapping[str, Any], found: Mapping[str, Any]) -> bool:
    """Whether a record names a payment, or a time under the names of our own table, which tells a gate enough."""
    named = any(found[name] is not None for name in ("request_id", "reference", "external_id", "tx_hash", "event"))
    return named or ("provider" in row and _ms(row.get("received_at")) is not None)


def _found(row: Mapping[str, Any], payload: Mapping[str, Any]) -> dict[str, Any]:
    """Each field under the first of its names: in the record, and what tells of the payment also in the body."""
    found = {name: _first(row, names) for name, names in _NAMES.items()}
    for name in ("event", "request_id", "reference", "external_id", "tx_hash"):
        found[name] = found[name] if found[name] is not None else _first(payload, _NAMES[name])
    return found


def _read_by_provider(
    provider: str, headers: Mapping[str, str], payload: Mapping[str, Any], found: Mapping[str, Any]
) -> dict[str, Any]:
    """What only the provider's own reader finds; of a delivery of an unknown provider, what any of them finds."""
    known = providers()
    more: dict[str, Any] = {}
    for each in [known[provider]] if provider in known else known.values():
        said = each.webhooks.read(headers, payload, found)
        # That any body is an invoice is true at that provider only.
        more |= {name: value for name, value in said.items() if value and (provider in known or name != "event")}
    return more


def _problems(
    found: Mapping[str, Any], *, headers: Mapping[str, str], body: bytes | None, given: Any, provider: str
) -> tuple[str, ...]:
    missing = {
        "no_headers": not headers,
        "no_raw_body": body is None,
        "no_time": _ms(found["received_at"]) is None,
        "no_delivery_id": given is None,
        "no_provider": provider == "unknown",
    }
    return tuple(code for code, applies in missing.items() if applies)


def _normalised(value: Any, normalise: Callable[[str], str | None]) -> str | None:
    text = _text(value)
    return normalise(text) if text else None


def _hash(value: Any) -> str | None:
    return (normalise_tx_hash(str(value)) or clean_text(value, limit=120)) if value else None


def _headers(value: Any) -> dict[str, str]:
    if isinstance(value, list):
        pairs = [item for item in value if isinstance(item, (list, tuple)) and len(item) == 2]
    elif isinstance(value, Mapping):
        pairs = list(value.items())
    else:
        return {}
    return {str(name).lower()[:100]: str(text)[:2000] for name, text in pairs[:200] if not isinstance(text, Mapping)}


def _body(row: Mapping[str, Any]) -> tuple[bytes | None, Mapping[str, Any]]:
    """The raw bytes where they were kept, and what they say."""
    body = _raw_body(row)
    if body is not None and len(body) > BODY_MAX_BYTES:
        return None, {}
    parsed = _parsed(body) if body is not None else _parsed_body(row)
    return body, parsed if isinstance(parsed, Mapping) else {}


def _raw_body(row: Mapping[str, Any]) -> bytes | None:
    raw = row.get("_raw")
    body = raw if isinstance(raw, bytes) else None
    packed = row.get("body_base64") or row.get("bodyBase64") or row.get("rawBodyBase64")
    if isinstance(packed, str):
        try:
            body = base64.b64decode(packed, validate=True)
        except (binascii.Error, ValueError):
            body = None
    return body if body is not None else _first_body(row)


def _first_body(row: Mapping[str, Any]) -> bytes | None:
    for name in _BODIES:
        value = row.get(name)
        if isinstance(value, bytes):
            return value
        if isinstance(value, str):
            return value.encode("utf-8", "surrogatepass" if value.isprintable() else "replace")
    return None


def _parsed_body(row: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """A body that was kept only as what it says."""
    return next((value for name in _BODIES if isinstance(value := row.get(name), Mapping)), None)


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body, parse_float=str)
    except (ValueError, RecursionError):
        return None


def _provider(value: Any, headers: Mapping[str, str], payload: Mapping[str, Any]) -> str:
    if isinstance(value, str) and value.strip():
        return load_registry().provider(clean_text(value, limit=40))
    return next((name for name, each in providers().items() if each.webhooks.sent(headers, payload)), "unknown")


def _first(row: Mapping[str, Any], names: Sequence[str]) -> Any:
    return next((row[name] for name in names if row.get(name) is not None), None)


def _text(value: Any) -> str | None:
    if isinstance(value, Mapping) and len(value) == 1:
        value = next(iter(value.values()))
    if value is None or isinstance(value, (Mapping, list, bool)):
        return None
    return str(value).strip()[:300] or None


def _int(value: Any) -> int | None:
    text = _text(value)
    return int(text) if text and text.isascii() and text.isdigit() and len(text) <= 6 else None


def _bool(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _ms(value: Any) -> int | None:
    """A time as UTC milliseconds: a number of seconds or milliseconds, ISO text, a date, or Extended JSON."""
    if isinstance(value, Mapping) and len(value) == 1:
        value = next(iter(value.values()))
        return _ms(value)
    if isinstance(value, datetime):
        moment = value if value.tzinfo else value.replace(tzinfo=UTC)
        return to_ms(moment)
    text = _text(value)
    if text is None:
        return None
    if text.replace(".", "", 1).isdigit() and text.isascii() and len(text) <= 20:
        number = int(text.partition(".")[0])
        return epoch_ms(number)
    return parse_iso_ms(text)
