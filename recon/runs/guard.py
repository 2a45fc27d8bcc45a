"""Whether a document is still what was reviewed, and the one update that writes to it only while it is.

Everything here is pure. A value travels through plans and journals as canonical Extended JSON v2; a field that is not
there is :data:`recon.core.model.MISSING`, in Python :data:`ABSENT`; null is a value of its own. Two values are the
same only if their BSON types are the same too: int32 1 is not double 1.0, and Decimal128 12.5 is not 12.50.

>>> value_terms("status", "pending")
{'$eq': 'pending', '$type': 'string', '$not': {'$type': 'array'}}
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final

from recon.core.errors import RefusedError
from recon.core.ids import payment_id_text
from recon.core.model import CLOSED, COMPLETE, OPEN, Change
from recon.core.stored_times import stored_alike
from recon.core.values import (
    ABSENT,
    OBJECT,
    STAMP,
    UPDATED_AT,
    ValueTextError,
    from_extended,
    json_options,
    parent_terms,
    parents_of,
    same,
    to_extended,
    value_at,
    value_terms,
)

VERSION: Final = "__v"

_FENCES: Final = (UPDATED_AT, VERSION, STAMP)


class UnfitChangeError(RefusedError):
    """A change cannot be written safely whatever the document holds."""

    def __init__(self, *, payment: str, change: str, why: str) -> None:
        super().__init__(
            f'{payment}: change {change} {why}; nothing of the plan was written. Make a new plan with "recon plan".'
        )


class RowClass(StrEnum):
    """What the re-read of one document shows, compared with what was reviewed."""

    PRISTINE = "pristine"
    ALREADY = "already"
    OURS = "ours"
    MOVED = "moved"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class MovedField:
    """One field that is not as reviewed: what was reviewed, what the plan would set, what is there now."""

    path: str
    reviewed: Any
    planned: Any
    now: Any


@dataclass(frozen=True, slots=True)
class ChangeReading:
    """One re-read document next to its change: its class and every field that moved."""

    row: RowClass
    moved: tuple[MovedField, ...] = ()
    stamp: Any = ABSENT


@dataclass(frozen=True, slots=True)
class ReadyChange:
    """A change with its values decoded and checked; made once, used for every read and write of its row.

    Args:
        before, after: By path, what is set; ABSENT where the field is not there.
        guard: By path, every reviewed value, what is set included.
        created: Objects that an undo takes away again if nothing else is in them.
        parents: Paths that must be objects or missing, parents first.
    """

    change: Change
    document_id: Any
    before: Mapping[str, Any]
    after: Mapping[str, Any]
    guard: Mapping[str, Any]
    created: tuple[str, ...]
    parents: tuple[str, ...]
    stamp_before: Any

    @property
    def id(self) -> str:
        """The change's name within its plan."""
        return self.change.id


def ready_change(change: Change, *, kind: str) -> ReadyChange:
    """Decode a change and refuse what could never be written safely.

    Args:
        kind: The kind of its plan; only an undo may take fields away or walk a status back.

    Raises:
        UnfitChangeError: A path or a transition that no plan may hold.
        ValueTextError: A value that is not one canonical value.
    """

    def decode(path: str, value: Any) -> Any:
        return from_extended(value, where=f"{change.payment_id}, {path}")

    document_id = _document_id(change)
    leaves = [item for item in change.sets if item.before != OBJECT]
    before = {item.path: decode(item.path, item.before) for item in leaves}
    after = {item.path: decode(item.path, item.after) for item in leaves}
    created = tuple(item.path for item in change.sets if item.before == OBJECT)
    guard = {term.path: decode(term.path, term.value) for term in change.guard if term.value != OBJECT}
    if why := _unfit(change, before=before, after=after, created=created, guard=guard, kind=kind):
        raise UnfitChangeError(payment=change.payment_id, change=change.id, why=why)
    guard.update(before)
    parents = {*parents_of((*guard, *_FENCES)), *change.parents}
    return ReadyChange(
        change=change,
        document_id=document_id,
        before=before,
        after=after,
        guard=guard,
        created=created,
        parents=tuple(sorted(parents)),
        stamp_before=decode(STAMP, change.stamp_before),
    )


def _document_id(change: Change) -> Any:
    try:
        value = _read_id(change.document_id)
        named = payment_id_text(value)
    except Exception as error:  # bson raises whatever its converters raise on hostile text
        raise ValueTextError(where=change.payment_id, found=repr(change.document_id)) from error
    if named != change.payment_id:
        raise UnfitChangeError(payment=change.payment_id, change=change.id, why=f"names the document {named}")
    return value


def _read_id(document_id: Any) -> Any:
    """An ``_id`` may be an object too, whose values are read one by one."""
    from bson import ObjectId, json_util

    if type(document_id) is dict and len(document_id) == 1 and type(text := document_id.get("$oid")) is str:
        return ObjectId(text)
    return json_util.loads(json.dumps(document_id), json_options=json_options())


def _unfit(
    change: Change,
    *,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    created: Collection[str],
    guard: Mapping[str, Any],
    kind: str,
) -> str | None:
    paths = (*before, *created)
    if not before:
        return "sets nothing"
    if len(paths) != len(change.sets) or len(set(paths)) != len(paths):
        return "sets one path twice"
    if why := _unfit_path(paths, (*guard, *change.parents)):
        return why
    if clash := set(parents_of(before)) & set(before):
        return f"sets {min(clash)} and something inside it"
    if wrong := [path for path, value in before.items() if path in guard and not same(guard[path], value)]:
        return f"guards {min(wrong)} with another value than the one it starts from"
    return None if kind == "undo" else _unfit_forward(before, after, created)


def _unfit_path(paths: Iterable[str], others: Iterable[str]) -> str | None:
    for path in (*paths, *others):
        if not _is_plain(path):
            return f"names the path {path!r}, which is no plain field"
    kept = next((path for path in paths if _is_kept(path)), None)
    return None if kept is None else f"sets {kept}, which the tool keeps for itself"


@lru_cache(maxsize=4096)
def _is_plain(path: str) -> bool:
    return all(part and not part.startswith("$") and "\0" not in part for part in path.split("."))


@lru_cache(maxsize=4096)
def _is_kept(path: str) -> bool:
    return path == "_id" or path in _FENCES or STAMP.startswith(f"{path}.") or path.startswith("metadata.recon.")


def _unfit_forward(before: Mapping[str, Any], after: Mapping[str, Any], created: Collection[str]) -> str | None:
    if created or any(value is ABSENT for value in after.values()):
        return "takes a field away, which only an undo does"
    if before.get("status") in (*COMPLETE, *CLOSED) and after.get("status") in OPEN:
        return "walks a finished payment back to open, which only an undo does"
    return None


def read_change(
    ready: ReadyChange, document: Mapping[str, Any] | None, *, own_stamps: Collection[str] = ()
) -> ChangeReading:
    """Class one re-read document against its change.

    Args:
        own_stamps: Stamps that mean this change was already written by this plan, in this run or an earlier one.
    """
    if document is None:
        return ChangeReading(RowClass.GONE)
    stamp = value_at(document, STAMP)
    as_desired = all(same(value_at(document, path), value) for path, value in ready.after.items())
    ours = isinstance(stamp, str) and stamp in own_stamps
    if as_desired:
        return ChangeReading(RowClass.OURS if ours else RowClass.ALREADY, stamp=stamp)
    expected = ready.after if ours else {**ready.guard, STAMP: ready.stamp_before}
    moved = (*_moved_values(ready, document, expected=expected), *_moved_shapes(ready, document))
    return ChangeReading(RowClass.MOVED if ours or moved else RowClass.PRISTINE, moved, stamp)


def _moved_values(
    ready: ReadyChange, document: Mapping[str, Any], *, expected: Mapping[str, Any]
) -> Iterator[MovedField]:
    """The fields that do not hold what is expected of them."""
    for path, value in sorted(expected.items()):
        now = value_at(document, path)
        if not same(now, value):
            reviewed = to_extended(ready.guard.get(path, ABSENT))
            yield MovedField(path, reviewed, _planned(ready, path), to_extended(now))


def _planned(ready: ReadyChange, path: str) -> Any:
    return to_extended(ready.after[path]) if path in ready.after else None


def _moved_shapes(ready: ReadyChange, document: Mapping[str, Any]) -> Iterator[MovedField]:
    """Fences that are no single value, and parents that are no object: no filter can guard either."""
    for path in (UPDATED_AT, VERSION):
        fence = value_at(document, path)
        if isinstance(fence, Mapping | list):
            yield MovedField(path, "a single value", None, to_extended(fence))
    for path in ready.parents:
        parent = value_at(document, path)
        if parent is not ABSENT and not isinstance(parent, Mapping):
            yield MovedField(path, "an object or nothing", None, to_extended(parent))


@dataclass(frozen=True, slots=True)
class GuardedUpdate:
    """One ``update_one`` as the store carries it out: only if everything is still so, and with its stamp.

    Args:
        filter: ``_id``, every guarded value with its type, every parent, and the fences as just read.
        sets, unsets: What changes; ``sets`` holds ``updatedAt`` and the stamp.
        before, after: By path, in Extended JSON, for the journal: every touched field, the fences included.
        parents: Which parents were there.
        at: The new ``updatedAt`` as a time, however the row stores it.
    """

    document_id: Any
    filter: Mapping[str, Any]
    sets: Mapping[str, Any]
    unsets: tuple[str, ...]
    before: Mapping[str, Any]
    after: Mapping[str, Any]
    parents: Mapping[str, bool]
    at: dt.datetime


def guarded_update(ready: ReadyChange, document: Mapping[str, Any], *, stamp: str, at: dt.datetime) -> GuardedUpdate:
    """Build the one update of a pristine row.

    Args:
        document: The row as just read, classed pristine; ``updatedAt`` and ``__v`` are guarded as it has them.
        stamp: ``run/change``, set in the same update.
        at: The new ``updatedAt``, aware UTC; cut to milliseconds as the database does. Where the field holds a time
            as text or as a number, so is the new one written.

    Raises:
        ValueTextError: ``updatedAt`` or ``__v`` is an object or an array, which cannot be guarded.
    """
    at = at.replace(microsecond=at.microsecond // 1000 * 1000)
    updated_at = stored_alike(value_at(document, UPDATED_AT), at)
    emptied = _emptied(ready, document)
    parents = {path: value_at(document, path) is not ABSENT for path in ready.parents}
    before, after = _images(ready, document, stamp=stamp, updated_at=updated_at)
    return GuardedUpdate(
        document_id=ready.document_id,
        filter=_filter(ready, document, parents=parents, emptied=emptied),
        sets={**{p: v for p, v in ready.after.items() if v is not ABSENT}, UPDATED_AT: updated_at, STAMP: stamp},
        unsets=_unsets(ready, emptied),
        before=before,
        after=after,
        parents=parents,
        at=at,
    )


def still_fits(document: Mapping[str, Any], update: GuardedUpdate) -> bool:
    """Whether a document meets every condition of an update, by value and type, as a server of MongoDB would judge."""
    return all(_holds(value_at(document, path), term) for path, term in update.filter.items())


def _holds(value: Any, term: Mapping[str, Any]) -> bool:
    if term.get("$exists") is False:
        return value is ABSENT
    if "$eq" in term:
        return same(value, term["$eq"])
    return isinstance(value, Mapping)


def _filter(
    ready: ReadyChange, document: Mapping[str, Any], *, parents: Mapping[str, bool], emptied: Collection[str]
) -> dict[str, Any]:
    """The conditions of the update: guarded values, fences and stamp, then parents, then emptied objects."""
    fences = {path: value_at(document, path) for path in (UPDATED_AT, VERSION)}
    guard = {**ready.guard, **fences, STAMP: ready.stamp_before}
    terms: dict[str, Any] = {path: value_terms(path, value) for path, value in guard.items()}
    terms |= {path: parent_terms(exists) for path, exists in parents.items()}
    # A created object goes as a whole, so nothing but our own fields may be in it at that moment.
    terms |= {path: {"$eq": value_at(document, path), **parent_terms(True)} for path in emptied}
    return {"_id": {"$eq": ready.document_id}, **terms}


def _unsets(ready: ReadyChange, emptied: Collection[str]) -> tuple[str, ...]:
    """What the update takes away: emptied objects as a whole, and added fields that stand in none of them."""
    covered = tuple(f"{path}." for path in emptied)
    taken = [p for p, value in ready.after.items() if value is ABSENT and ready.before[p] is not ABSENT]
    return tuple(sorted((*emptied, *(path for path in taken if not path.startswith(covered)))))


def _images(
    ready: ReadyChange, document: Mapping[str, Any], *, stamp: str, updated_at: Any
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Every touched field before and after, ``updatedAt`` and the stamp included, as the journal keeps them."""
    leaves = [item for item in ready.change.sets if item.path in ready.before]
    was_updated = to_extended(value_at(document, UPDATED_AT))
    before = {**{item.path: item.before for item in leaves}, UPDATED_AT: was_updated, STAMP: ready.change.stamp_before}
    after = {**{item.path: item.after for item in leaves}, UPDATED_AT: to_extended(updated_at), STAMP: stamp}
    return before, after


def _emptied(ready: ReadyChange, document: Mapping[str, Any]) -> tuple[str, ...]:
    """The outermost created objects that hold nothing but what this change takes away."""
    gone = {path for path, value in ready.after.items() if value is ABSENT}

    def is_emptied(path: str) -> bool:
        value = value_at(document, path)
        return isinstance(value, Mapping) and all(
            f"{path}.{key}" in gone or (f"{path}.{key}" in ready.created and is_emptied(f"{path}.{key}"))
            for key in value
        )

    found = [path for path in ready.created if is_emptied(path)]
    return tuple(path for path in found if not any(path.startswith(f"{other}.") for other in found))


def without_marks(document: Mapping[str, Any], *, created_metadata: bool) -> dict[str, Any]:
    """The document in the sense in which an undo restores it: without ``metadata.recon`` and ``updatedAt``.

    Args:
        created_metadata: Whether a run created ``metadata``; then it goes too if nothing else is in it.
    """
    plain = {key: value for key, value in document.items() if key != UPDATED_AT}
    metadata = plain.get("metadata")
    if isinstance(metadata, Mapping) and "recon" in metadata:
        rest = {key: value for key, value in metadata.items() if key != "recon"}
        if rest or not created_metadata:
            plain["metadata"] = rest
        else:
            del plain["metadata"]
    return plain
