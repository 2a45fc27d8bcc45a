"""Attributes as OpenTelemetry writes them in JSON: lists of keys and typed values.

>>> attribute_value([{"key": "url.path", "value": {"stringValue": "/hook"}}])
{'url.path': '/hook'}
>>> attribute_value({"intValue": "404"}), attribute_value({"a": 1})
('404', {'a': 1})
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

ATTRIBUTES_MAX: Final = 400
_PLAIN: Final = frozenset({"stringValue", "intValue", "doubleValue", "boolValue"})
_NOT_SERVED: Final = (1, 3, 4, 5, "SPAN_KIND_INTERNAL", "SPAN_KIND_CLIENT", "SPAN_KIND_PRODUCER", "SPAN_KIND_CONSUMER")


def attribute_value(value: Any) -> Any:
    """A list of attributes as a mapping, a typed value as the value itself; anything else as it is."""
    if isinstance(value, Mapping) and len(value) == 1:
        name, inner = next(iter(value.items()))
        if name in _PLAIN:
            return inner
        if name == "kvlistValue" and isinstance(inner, Mapping):
            return attribute_value(inner.get("values"))
    if isinstance(value, list) and value and all(_is_attribute(each) for each in value[:ATTRIBUTES_MAX]):
        return {each["key"]: attribute_value(each["value"]) for each in value[:ATTRIBUTES_MAX]}
    return value


def is_not_served(row: Mapping[str, Any]) -> bool:
    """Whether a row is a span of something else than a request that this server answered."""
    return "spanId" in row and row.get("kind") in _NOT_SERVED


def _is_attribute(value: Any) -> bool:
    return isinstance(value, Mapping) and isinstance(value.get("key"), str) and "value" in value
