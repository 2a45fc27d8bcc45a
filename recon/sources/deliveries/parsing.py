"""Makes a delivery of one kept record, however many wrappings it has.

A record may be a queue's message whose body is a gateway's event whose body is the webhook. Layer by layer the fields
that are known are taken, what lies further in beats what lies around it, and the innermost body is what was sent::

    SQS message      MessageId, Body
      gateway event  headers, body, isBase64Encoded
        webhook      event, requestId, amount ...
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from itertools import chain
from typing import Any, Final

from recon.core.ids import normalise_reference, normalise_request_id, normalise_tx_hash
from recon.core.registry import load_registry
from recon.core.text import clean_text
from recon.core.times import epoch_ms, parse_iso_ms, to_ms
from recon.sources.deliveries.bodies import NO_BODY, Body, parsed_object, read_body
from recon.sources.deliveries.delivery import Delivery
from recon.sources.deliveries.forms import ALWAYS_BASE64, FIELDS, FORMS, ROWS, Form
from recon.sources.deliveries.headers import loose_headers, read_headers
from recon.sources.deliveries.jobs import job_record
from recon.sources.deliveries.plain import plain_values
from recon.sources.providers.installed import providers, webhooks_of

LAYERS_MAX: Final = 6
_STATUS: Final = re.compile(r"([1-5][0-9]{2})(?:\.0)?(?: [A-Za-z][A-Za-z ]*)?\Z")
_DIGEST: Final = re.compile(r"[0-9a-fA-F]{64}\Z")
_SHAPES_MAX: Final = 64
"""Records of one source have the same few sets of keys; of so many sets it is remembered what may be in them."""

TEXT_MAX: Final = 300
Names = Mapping[str, tuple[str, ...]]
"""Names of fields that a configuration puts before the usual ones, by field."""

_TOLD: Final = ("event", "request_id", "reference", "external_id", "tx_hash")
_PLAIN_RECORD: Final = frozenset(
    {*FIELDS["delivery_id"], *FIELDS["received_at"], *FIELDS["http_status"], *FIELDS["dead_letter"], *FIELDS["headers"],
     *FIELDS["raw_body"], *FIELDS["attempt"], *FIELDS["signature_valid"], *FIELDS["payload_digest"], "provider"}
    - {"timestamp", "date", "time", "status", "id", "at", "attributes", "meta", "content", "created_at", "createdAt"}
)  # fmt: skip
"""Fields that a record of a delivery has and the body of a webhook has not."""


@dataclass(slots=True)
class _Peeled:
    """What was found in the layers so far."""

    fields: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    body: Body = NO_BODY
    is_bare: bool = False
    is_own: bool = False
    """Whether a layer has provider and time under the names of our own table, which tells a gate enough."""


def parse_delivery(
    row: Mapping[str, Any], *, place: str, names: Names | None = None, line: bytes | None = None
) -> Delivery | None:
    """Read one record; None when it says nothing that a delivery could say.

    Args:
        names: Further names of fields, before those of :data:`~recon.sources.deliveries.forms.FIELDS`.
        line: The text that the record was read from; where the record is a webhook's body itself, it is that body.
    """
    found = _peeled(row, names or {}, line)
    fields = _fields(found)
    if found.body.kept == "none" and not found.headers and not _says_something(found, fields):
        return None
    provider = _provider(found, found.body.payload)
    _take_signature(found, provider)
    more = _read_by_provider(provider, found.headers, found.body.payload, fields)
    _add(fields, more, found)
    return Delivery(
        delivery_id=_text(fields["delivery_id"]),
        provider=provider,
        received_at=fields["received_at"],
        place=place,
        attempt=fields["attempt"],
        http_status=fields["http_status"],
        event=_text(fields["event"]),
        request_id=_normalised(fields["request_id"], normalise_request_id),
        reference=_normalised(fields["reference"], normalise_reference),
        external_id=_text(fields["external_id"]),
        tx_hash=_hash(_text(fields["tx_hash"])),
        payload_digest=fields["payload_digest"],
        signature_valid=fields["signature_valid"],
        dead_letter=True if "x-death" in found.headers else fields["dead_letter"],
        is_test=bool(more.get("is_test")),
        body=found.body.raw,
        said=_said(found.body),
        kept=found.body.kept,
        headers=found.headers,
        problems=_problems(found, fields, provider=provider),
    )


def _take_signature(found: _Peeled, provider: str) -> None:
    """A signature that a record keeps as a field of its own goes where the provider sends it."""
    header = webhooks_of(provider).signature_header
    text = str(found.fields.get("signature") or "").removeprefix("sha256=")
    if header is not None and header not in found.headers and _DIGEST.match(text):
        found.headers[header] = text


def _fields(found: _Peeled) -> dict[str, Any]:
    """Every field: what tells of the payment first by the body, then by the record around it."""
    payload = found.body.payload
    fields = {name: found.fields.get(name) for name in _READERS}
    for name in _TOLD:
        if (told := _first(payload, FIELDS[name])) is not None:
            fields[name] = told
    if fields["received_at"] is None and found.is_bare:
        fields["received_at"] = _ms(payload.get("timestamp"))
    return fields


def _add(fields: dict[str, Any], more: Mapping[str, Any], found: _Peeled) -> None:
    """Add what the provider's own reader found; an event that the body names beats it, one of the record does not."""
    first = _first(found.body.payload, FIELDS["event"])
    named = None if isinstance(first, Mapping) and more.get("event") else _text(first)
    fields["event"] = named or more.get("event") or fields["event"]
    fields["external_id"] = fields["external_id"] or more.get("external_id")
    fields["received_at"] = fields["received_at"] or more.get("received_at")
    fields["delivery_id"] = more.get("delivery_id") or fields["delivery_id"]
    fields["attempt"] = _int(more.get("attempt")) or fields["attempt"]
    fields["tx_hash"] = fields["tx_hash"] or more.get("tx_hash")
    if found.body.raw is not None:
        fields["payload_digest"] = hashlib.sha256(found.body.raw).hexdigest()


def _said(body: Body) -> bytes | None:
    """A body that was kept only as what it says, as JSON."""
    return None if body.raw is not None or not body.payload else json.dumps(body.payload, default=str).encode()


def _peeled(row: Mapping[str, Any], names: Names, line: bytes | None) -> _Peeled:
    found = _Peeled()
    layer: Mapping[str, Any] = plain_values(row)
    for _ in range(LAYERS_MAX):
        if _is_webhook(layer):
            is_line = line is not None and parsed_object(line) == layer
            found.body, found.is_bare = Body("text", line, layer) if is_line else Body("parsed", None, layer), True
            break
        inner = _next_layer(found, layer, names)
        if inner is None:
            break
        layer, line = inner, None
    return found


def _next_layer(found: _Peeled, layer: Mapping[str, Any], names: Names) -> Mapping[str, Any] | None:
    """Take what a layer tells, and give the record that lies inside it; None where what lies inside is a body."""
    form = _form_of(layer)
    here = _names_in(frozenset(layer), form, tuple(names.items()))
    _take(found, layer, here)
    if (inner := _whole_record(layer) or job_record(layer)) is not None:
        return inner
    body = _body(layer, here, usual="base64" if form is not None and form.base64 else None)
    if _is_record(body.payload):
        return dict(plain_values(body.payload))
    if body.kept != "none":
        found.body = body
    return None


def _form_of(layer: Mapping[str, Any]) -> Form | None:
    for form in _forms_with(frozenset(layer)):
        if all(_at(layer, need) is not None for need in form.needs):
            return form
    return None


@lru_cache(maxsize=_SHAPES_MAX)
def _forms_with(keys: frozenset[str]) -> tuple[Form, ...]:
    """The forms that a layer with these keys may have."""
    return tuple(form for form in FORMS if all(_may_be_in(keys, need) for need in form.needs))


@lru_cache(maxsize=_SHAPES_MAX)
def _names_in(keys: frozenset[str], form: Form | None, own: Iterable[tuple[str, tuple[str, ...]]]) -> Names:
    """By field, the names under which a layer with these keys may have it, in the order in which they count.

    Args:
        own: What a configuration puts before the usual names.
    """
    named = dict(own)
    found = {}
    for name in (*_READERS, "headers", "encoding", "raw_body", "body"):
        usual = FIELDS[name]
        if form is not None and name in form.fields:
            usual = (*form.fields[name], *usual) if form.fields[name] else ()
        found[name] = tuple(path for path in (*named.get(name, ()), *usual) if _may_be_in(keys, path))
    return found


def _may_be_in(keys: frozenset[str], path: str) -> bool:
    return path in keys or path.partition(".")[0] in keys


def _take(found: _Peeled, layer: Mapping[str, Any], names: Names) -> None:
    """Take the fields of a layer; what lies further in beats what lies around it.

    That a record is a dead letter may be said anywhere.
    """
    for name, read in _READERS.items():
        if told := list(_read(layer, names[name], read)):
            found.fields[name] = told[0] if name != "dead_letter" else any((*told, found.fields.get(name)))
    found.is_own |= "provider" in layer and _ms(layer.get("received_at")) is not None
    found.headers.update(loose_headers(layer))
    found.headers.update(next(filter(None, _read(layer, names["headers"], read_headers)), {}))


def _read(layer: Mapping[str, Any], paths: Sequence[str], read: Callable[[Any], Any]) -> Iterator[Any]:
    """The values at some paths, in their order, as far as they can be read."""
    for path in paths:
        value = _at(layer, path)
        told = None if value is None else read(value)
        if told is not None:
            yield told


def _body(layer: Mapping[str, Any], names: Names, *, usual: str | None) -> Body:
    """The body of a layer: the first that says something, else the first that was kept at all."""
    first = NO_BODY
    for body in _bodies(layer, names, usual=usual):
        if body.payload:
            return body
        first = body if first.kept == "none" else first
    return first


def _bodies(layer: Mapping[str, Any], names: Names, *, usual: str | None) -> Iterator[Body]:
    encoding = next((value for path in names["encoding"] if (value := _at(layer, path)) not in (None, False)), usual)
    for path in names["raw_body"]:
        value = _at(layer, path)
        if not isinstance(value, bool | int | float | None):
            yield read_body(value, encoding="base64" if path in ALWAYS_BASE64 else encoding)
    for path in names["body"]:
        value = _at(layer, path)
        if not isinstance(value, bool | int | float | None):
            body = read_body(value, encoding=encoding, is_raw=False)
            if body.payload or _may_be_body(value):
                yield body


def _may_be_body(value: Any) -> bool:
    """Whether a value under a loose name is a body that could not be read, and no word of a state."""
    return not isinstance(value, str) or (len(value) > 40 and " " not in value[:40])


def _whole_record(layer: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The record that one field of a layer holds whole, as an object or as JSON."""
    for name in ROWS:
        value = as_object(layer.get(name))
        if len(value) > 1:
            return dict(plain_values(value))
    return None


def as_object(value: Any) -> Mapping[str, Any]:
    """An object, or the object that a JSON text holds; empty for everything else."""
    if isinstance(value, str) and value.lstrip()[:1] == "{":
        value = parsed_object(value.encode("utf-8", "replace"))
    return value if isinstance(value, Mapping) else {}


def _is_record(payload: Mapping[str, Any]) -> bool:
    """Whether what a body says is itself a record of a delivery."""
    if not payload or _is_webhook(payload):
        return False
    own = (*FIELDS["headers"][:8], *FIELDS["raw_body"][:9], "body", *ROWS[:5])
    if any(name in payload for name in own) or _form_of(payload) is not None:
        return True
    return any(_is_webhook(read_body(payload.get(name)).payload) for name in FIELDS["body"] if name in payload)


def _is_webhook(row: Mapping[str, Any]) -> bool:
    """Whether a row is a provider's own body, without a record around it."""
    if _PLAIN_RECORD.intersection(row):
        return False
    return any(each.webhooks.sent({}, row) for each in providers().values())


def _says_something(found: _Peeled, fields: Mapping[str, Any]) -> bool:
    """Whether a record names a payment, or a provider and a time."""
    return found.is_own or any(fields[name] is not None for name in _TOLD)


def _provider(found: _Peeled, payload: Mapping[str, Any]) -> str:
    """The provider: by its word, by what only it sends, by the route that was called."""
    word = found.fields.get("provider")
    named = load_registry().provider(clean_text(word, limit=40)) if word else ""
    if named in providers():
        return named
    path = str(found.fields.get("address") or "").partition("?")[0].rstrip("/")
    by_what_it_sends = (name for name, each in providers().items() if each.webhooks.sent(found.headers, payload))
    by_route = (name for name, each in providers().items() if path.endswith(each.webhooks.routes or ("\0",)))
    return next(chain(by_what_it_sends, by_route), named or "unknown")


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


def _problems(found: _Peeled, fields: Mapping[str, Any], *, provider: str) -> tuple[str, ...]:
    missing = {
        "no_headers": not found.headers,
        "no_raw_body": found.body.raw is None,
        "body_not_read": found.body.kept == "unread",
        "no_time": fields["received_at"] is None,
        "no_delivery_id": fields["delivery_id"] is None,
        "no_provider": provider == "unknown",
    }
    return tuple(code for code, applies in missing.items() if applies)


def _at(row: Mapping[str, Any], path: str) -> Any:
    """The value at a name, or at a path of names; None where there is none."""
    if path in row:
        return row[path]
    first, dot, rest = path.partition(".")
    if not dot or (value := row.get(first)) is None:
        return None
    for step in rest.split("."):
        if not isinstance(value, dict) or (value := value.get(step)) is None:
            return None
    return value


def _first(row: Mapping[str, Any], names: Sequence[str]) -> Any:
    return next((row[name] for name in names if row.get(name) is not None), None)


def _normalised(value: Any, normalise: Callable[[str], str | None]) -> str | None:
    text = _text(value)
    return normalise(text) if text else None


def _hash(value: Any) -> str | None:
    return (normalise_tx_hash(str(value)) or clean_text(value, limit=120)) if value else None


def _text(value: Any) -> str | None:
    if isinstance(value, str):
        return value.strip()[:TEXT_MAX] or None
    if isinstance(value, Mapping) and len(value) == 1:
        value = next(iter(value.values()))
    if value is None or isinstance(value, Mapping | list | bool | bytes):
        return None
    return str(value).strip()[:TEXT_MAX] or None


def _word(value: Any) -> str | None:
    return _text(value) if isinstance(value, str) else None


def _int(value: Any) -> int | None:
    text = _text(value)
    return int(text) if text and text.isascii() and text.isdigit() and len(text) <= 6 else None


def _status(value: Any) -> int | None:
    text = _text(value)
    found = None if text is None else _STATUS.match(text)
    return None if found is None else int(found[1])


def _bool(value: Any) -> bool | None:
    if isinstance(value, bool):
        return value
    return {"true": True, "t": True, "yes": True, "1": True, "false": False, "f": False, "no": False, "0": False}.get(
        str(value).strip().lower()
    )


def _dead(value: Any) -> bool | None:
    """A mark of a dead letter, or the reason why it became one."""
    known = _bool(value)
    if known is not None or value is None:
        return known
    return True if isinstance(value, str) and value.strip() else None


def _ms(value: Any) -> int | None:
    """A time as UTC milliseconds: a number of seconds or milliseconds, ISO text, a date, or Extended JSON."""
    if isinstance(value, Mapping):
        return _ms(next(iter(value.values()))) if len(value) == 1 else None
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


_READERS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "delivery_id": _text, "provider": _word, "received_at": _ms, "attempt": _int, "http_status": _status,
    "event": _word, "request_id": _text, "reference": _text, "external_id": _text, "tx_hash": _text,
    "payload_digest": _text, "signature_valid": _bool, "signature": _word, "dead_letter": _dead, "address": _word,
}  # fmt: skip
"""How the value of each field is read; a value that cannot be is passed over for the next name."""


def is_other_request(row: Mapping[str, Any], record: Delivery | None) -> bool:
    """Whether a record of a browser's archive is a request that has nothing to do with any provider."""
    is_archive = "startedDateTime" in row and isinstance(row.get("request"), Mapping)
    return is_archive and (record is None or record.provider == "unknown")


def is_export_head(row: Mapping[str, Any]) -> bool:
    """Whether a row is what phpMyAdmin writes before the tables of an export."""
    return row.get("type") in ("header", "database") and set(row) <= {"type", "version", "comment", "name"}


def read_time(value: Any) -> int | None:
    """A time that a record tells, as UTC milliseconds; see the fields ``received_at``."""
    return _ms(value)
