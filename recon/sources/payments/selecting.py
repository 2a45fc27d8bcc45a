"""Which documents a selection means, worked out here: for stores in memory, and where SQL cannot say it exactly."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from recon.core import ids
from recon.core.model import OPEN
from recon.core.registry import Registry
from recon.sources.interface import Selection
from recon.sources.payments.documents import candidate_values, milliseconds
from recon.sources.payments.fields import FieldPaths, stored_at
from recon.sources.payments.filters import id_values

if TYPE_CHECKING:
    import pyarrow as pa


def selected_by(selection: Selection, *, fields: FieldPaths, registry: Registry) -> Callable[[Mapping[str, Any]], bool]:
    """Whether a document is of a selection, as MongoDB would select it."""
    wanted = {ids.payment_id_text(value) for text in selection.ids for value in id_values(text)}
    date_path = fields.path("created_at" if selection.date_field == "created" else "updated_at").split(".")
    status_path = fields.path("status").split(".")

    def is_selected(document: Mapping[str, Any]) -> bool:
        return (
            (not wanted or ids.payment_id_text(document.get("_id")) in wanted)
            and _status_fits(stored_at(document, status_path), selection)
            and _in_window(stored_at(document, date_path), selection.from_at, selection.to_at)
            and (not selection.providers or provider_in(document))
        )

    def provider_in(document: Mapping[str, Any]) -> bool:
        words = [value for c in fields.of("provider") for value in candidate_values(document, c)]
        return any(isinstance(word, str) and registry.provider(word) in selection.providers for word in words)

    return is_selected


def inside(rows: pa.RecordBatch, selection: Selection) -> pa.RecordBatch:
    """The rows whose date lies in the window, or is none that can be read: a store may give more than is asked for.

    A store finds a date by its range and not a text, so it gives every row whose date is stored as anything else.
    """
    import pyarrow.compute as pc

    at = rows["dated_at" if selection.date_field == "created" else "updated_at"]
    bounds = ((pc.less, selection.from_at), (pc.greater_equal, selection.to_at))
    out = [compare(at, _ms(bound)) for compare, bound in bounds if bound is not None]
    for outside in out:
        if pc.any(outside).as_py():
            kept = pc.invert(pc.fill_null(out[0] if len(out) == 1 else pc.or_(*out), False))
            return rows.filter(kept)
    return rows


def _status_fits(status: object, selection: Selection) -> bool:
    listed = not selection.statuses or _is_one_of(status, selection.statuses)
    return listed and (not selection.open_only or _is_one_of(status, OPEN))


def _is_one_of(value: object, words: tuple[str, ...]) -> bool:
    """As the server compares: an array matches by any of its elements."""
    return any(item in words for item in value) if isinstance(value, list) else value in words


def _in_window(value: object, from_at: datetime | None, to_at: datetime | None) -> bool:
    at = milliseconds(value)
    return at is None or ((from_at is None or at >= _ms(from_at)) and (to_at is None or at < _ms(to_at)))


def _ms(at: datetime) -> int:
    value = milliseconds(at)
    assert value is not None
    return value
