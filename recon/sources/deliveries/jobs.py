"""Records that a queue of jobs keeps: what was handed to the job is the delivery.

Sidekiq, Resque and Active Job write the arguments of a job as a list, Celery as base64 of a list and a mapping::

    {"class": "HookJob", "args": ["{\"event\": ...}", {"X-Signature": "..."}], "jid": "...", "created_at": 1795170600.1}

>>> job_record({"class": "HookJob", "args": [{"event": "paid"}], "created_at": 1795170600})
{'created_at': 1795170600, 'body': {'event': 'paid'}}
>>> job_record({"args": "none"}) is None
True
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

VALUES_MAX: Final = 100
_JOB_OWN: Final = frozenset(
    {"class", "args", "arguments", "wrapped", "queue", "retry", "status", "jid", "job_class", "job_id", "payload",
     "error", "error_message", "error_class", "body", "headers", "properties"}
)  # fmt: skip
_RECORD_OWN: Final = frozenset({"body", "rawBody", "raw_body", "payload", "headers"})
_HEADER = re.compile(r"(?:[xX]-|HTTP_|[Cc]ontent-)[\w-]+\Z")
_MARKS: Final = ("_aj_symbol_keys", "_aj_ruby2_keywords", "_aj_hash_with_indifferent_access", "_aj_globalid")


def job_record(layer: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The record that a job was given, with the times of the job; None where a layer is no job."""
    given = _arguments(layer)
    if given is None:
        return None
    record: dict[str, Any] = {name: value for name, value in layer.items() if name not in _JOB_OWN}
    for value in _values(given):
        _take(record, value)
    return record if "body" in record or "headers" in record or len(record) > len(layer) else None


def _arguments(layer: Mapping[str, Any]) -> Sequence[Any] | None:
    """What a job was given, in order; None where a layer is no job."""
    if isinstance(inner := layer.get("payload"), Mapping) and "class" in inner and "failed_at" in layer:
        layer = inner
    if isinstance(given := layer.get("args"), list) and "class" in layer:
        return given
    if isinstance(given := layer.get("arguments"), list) and "job_class" in layer:
        return given
    return _of_celery(layer)


def _of_celery(layer: Mapping[str, Any]) -> Sequence[Any] | None:
    """The arguments of a message of Celery: a list of its places and its names."""
    body, properties, headers = layer.get("body"), layer.get("properties"), layer.get("headers")
    if not isinstance(properties, Mapping) or not isinstance(headers, Mapping) or "task" not in headers:
        return None
    if not isinstance(body, str):
        return None
    try:
        text = base64.b64decode(body, validate=True) if properties.get("body_encoding") == "base64" else body.encode()
        value = json.loads(text, parse_float=str)
    except (binascii.Error, ValueError, RecursionError):
        return None
    if not isinstance(value, list) or len(value) < 2 or not isinstance(value[0], list):
        return None
    return [*value[0], *([value[1]] if isinstance(value[1], Mapping) else [])]


def _values(given: Iterable[Any]) -> Iterator[Any]:
    """What was handed over, a job in a job opened."""
    for value in list(given)[:VALUES_MAX]:
        if isinstance(value, Mapping) and isinstance(value.get("arguments"), list) and "job_class" in value:
            yield from value["arguments"][:VALUES_MAX]
        else:
            yield value


def _take(record: dict[str, Any], value: Any) -> None:
    """Take one argument by what it looks like: headers, a record of its own, a body, the name of a provider."""
    if isinstance(value, Mapping):
        _take_object(record, {name: inner for name, inner in value.items() if name not in _MARKS})
    elif isinstance(value, str) and value.lstrip()[:1] == "{":
        record.setdefault("body", value)
    elif isinstance(value, str) and len(value) < VALUES_MAX:
        record.setdefault("provider", value)


def _take_object(record: dict[str, Any], value: Mapping[str, Any]) -> None:
    is_flat = not any(isinstance(inner, Mapping) for inner in value.values())
    if is_flat and any(_HEADER.match(str(name)) for name in value):
        record.setdefault("headers", value)
    elif value.keys() & _RECORD_OWN:
        record.update(value)
    elif value:
        record.setdefault("body", value)
