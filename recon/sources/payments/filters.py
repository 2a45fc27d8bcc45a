"""What MongoDB is asked for, as filters, and how what it finds is compared: windows, ids of every type, claimed keys.

Comparisons in MongoDB stay within one BSON type, so "after this id" names the types that sort behind it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from recon.core import ids
from recon.core.errors import IdError
from recon.core.model import OPEN
from recon.core.registry import Registry
from recon.sources.interface import Selection
from recon.sources.payments.documents import candidate_values, id_type, plain_text
from recon.sources.payments.fields import FieldPaths, FieldPlace, stored_path

CLAIM_FIELDS: Final = ("tx_hash", "reference", "request_id", "external_id", "recipient", "order_id", "buyer_id")
EXACT_CLAIM_FIELDS: Final = ("external_id", "order_id", "buyer_id")
"""Claim fields that are ids of any type, compared as they are written; the others are hex."""
_ID_ORDER: Final = ("null", "number", "string", "object", "binData", "objectId", "bool", "date", "timestamp")
_NUMBERS: Final = frozenset({"int", "long", "double", "decimal"})
_NO_DATE: Final = [
    "double", "string", "object", "array", "binData", "objectId", "bool", "regex", "dbPointer", "javascript", "symbol",
    "int", "timestamp", "long", "decimal", "minKey", "maxKey",
]  # fmt: skip


def id_values(text: str) -> list[object]:
    """Every ``_id`` that a text given by a person may mean: 24 hex digits are an ObjectId or a string.

    Raises:
        IdError: The text is empty or broken JSON.
    """
    text = text.strip()
    exact = ids.parse_payment_id(text.lower() if re.fullmatch(r"[0-9a-fA-F]{24}", text) else text)
    values = [exact]
    if not isinstance(exact, str):
        values += [text] if text[:1] not in ('"', "{") else []
    elif text.isascii() and text.isdigit() and len(text) <= 18:
        values.append(int(text))
    return values


def after_id(last: object) -> dict[str, Any]:
    """The filter for every ``_id`` that sorts after one, of its own BSON type and of those behind it."""
    kind = id_type(last)
    bracket = "number" if kind in _NUMBERS else kind
    later = list(_ID_ORDER[_ID_ORDER.index(bracket) + 1 :]) if bracket in _ID_ORDER else []
    beyond = {"$gte": float("-inf")} if last != last else {"$gt": last}  # noqa: PLR0124 - NaN sorts first
    return {"$or": [{"_id": beyond}, *([{"_id": {"$type": later}}] if later else [])]}


def selection_condition(selection: Selection, *, fields: FieldPaths, registry: Registry) -> dict[str, Any]:
    """The filter of a selection, its id list apart. A row whose date is none is in every window.

    MongoDB compares a date with dates only, so what is stored as text or as a number is read here, whatever the window,
    and left out where it turns out to lie outside (:func:`recon.sources.payments.selecting.inside`).
    """
    parts = [*_window_part(selection, fields)]
    if selection.statuses:
        parts.append({fields.path("status"): {"$in": list(selection.statuses)}})
    if selection.open_only:
        parts.append({fields.path("status"): {"$in": list(OPEN)}})
    if selection.providers:
        parts.append(_provider_part(selection.providers, fields=fields, registry=registry))
    return {"$and": parts} if len(parts) > 1 else parts[0] if parts else {}


def _window_part(selection: Selection, fields: FieldPaths) -> Iterator[dict[str, Any]]:
    bounds = (("$gte", selection.from_at), ("$lt", selection.to_at))
    window = {operator: at for operator, at in bounds if at is not None}
    if window:
        path = fields.path("created_at" if selection.date_field == "created" else "updated_at")
        yield {"$or": [{path: window}, {path: None}, {path: {"$type": _NO_DATE}}]}


def _provider_part(providers: Iterable[str], *, fields: FieldPaths, registry: Registry) -> dict[str, Any]:
    """Rows whose provider word is one of the providers' spellings, in any case and with blanks around it."""
    names = set(providers)
    words = sorted({word for word, name in registry.provider_aliases.items() if name in names} | names)
    spelled = re.compile(r"^\s*(" + "|".join(re.escape(word) for word in words) + r")\s*$", re.IGNORECASE)
    paths = dict.fromkeys(stored_path(candidate.path) for candidate in fields.of("provider"))
    return {"$or": [{path: spelled} for path in paths]}


def stored_claim_key(field: str, value: object) -> str | None:
    """One claimed value in the form in which rows are compared; None when it is no value of that field."""
    text = plain_text(value)
    if text is None or field not in CLAIM_FIELDS:
        return None
    if field == "tx_hash":
        return ids.normalise_tx_hash(text)
    if field == "reference":
        return ids.normalise_reference(text)
    if field == "recipient":
        return ids.normalise_address(text)
    return ids.normalise_request_id(text) if field == "request_id" else text


def claim_keys(document: Mapping[str, Any], field: str, *, fields: FieldPaths, registry: Registry) -> set[str]:
    """Every value of a claim field that a document carries at any candidate path that holds for its provider."""
    candidates = fields.of(field)
    provider = None
    if any(candidate.provider is not None for candidate in candidates):
        words = [value for c in fields.of("provider") for value in candidate_values(document, c)]
        word = next((value for value in words if value is not None), None)
        provider = registry.provider(word if isinstance(word, str) else None)
    return {
        key
        for candidate in candidates
        if candidate.provider in (None, provider)
        for value in candidate_values(document, candidate)
        if (key := stored_claim_key(field, value)) is not None
    }


def claim_condition(field: str, *, candidates: Sequence[FieldPlace], wanted: Iterable[str]) -> dict[str, Any]:
    """The filter for rows that may carry one of the wanted keys, to be used with a case-blind collation."""
    spelled: list[Any] = []
    for key in wanted:
        bare = key.removeprefix("0x")
        spelled += [key] if field in EXACT_CLAIM_FIELDS else [bare, f"0x{bare}"]
    typed: list[Any] = list(spelled)
    if field in EXACT_CLAIM_FIELDS:
        for key in spelled:
            try:
                typed += [value for value in id_values(key) if not isinstance(value, str)]
            except IdError:
                continue
    return {"$or": [{stored_path(c.path): {"$in": typed}} for c in candidates]}
