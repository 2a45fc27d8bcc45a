"""A deed: one thing that a repair does, with everything that must be so for it, and what a re-read says of it. Pure.

``insert`` puts one record where none bears its keys, ``append`` puts several in as one, ``set`` changes fields of a
record under a guard of every reviewed one, ``remove`` takes one away that is exactly as a run of ours left it.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, ClassVar, Final, Literal

from recon.core.canonical import canonical_json, sha256_hex
from recon.core.errors import RefusedError
from recon.core.ids import payment_id_text
from recon.core.model import MISSING, Change, FieldChange, GuardTerm, Tier, Verdict
from recon.core.text import count_text
from recon.core.values import (
    ABSENT,
    STAMP,
    ValueTextError,
    changed_document,
    json_options,
    parents_of,
    same,
    to_extended,
    value_at,
)
from recon.runs.guard import MovedField, ReadyChange, ready_change
from recon.runs.states import RESULT_TEXT, Result, RowResult
from recon.runs.stores.documents import NewRecord, UniqueKey

DeedKind = Literal["insert", "append", "set", "remove"]
RECORDS_MAX: Final = 50
"""Most records that go in as one."""


class UnfitDeedError(RefusedError):
    """A deed cannot be done safely, whatever the database holds."""

    def __init__(self, *, deed: str, about: str, why: str) -> None:
        super().__init__(f"{about}: deed {deed} {why}; nothing was written. Make a new plan.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """One thing that a repair does.

    Args:
        id: ``d`` and 16 hex digits of what it does.
        payment_id: What it is about, as the journal names it: a payment, else ``collection:id`` or a finding's name.
            While it is unsettled no other run writes to that.
        finding: The word of what it puts right.
        documents: Whole records as canonical Extended JSON; for ``remove`` as the run left them, stamp included.
        times: Top-level fields of new records that are set to the time of the write.
        unique: Keys that no other record of the collection may bear; those that a record bears itself count for it.
        document_id, sets, guard, stamp_before: For ``set``, as in :class:`recon.core.model.Change`.
        evidence: What a person can check: transfers, claims, and the sealed cases it was captured in.
        value: Amount that it is about, base units as text.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid", "strict": True}

    id: str = ""
    kind: DeedKind
    collection: str
    payment_id: str
    finding: str
    reason: str
    documents: tuple[Any, ...] = ()
    times: tuple[str, ...] = ()
    unique: tuple[UniqueKey, ...] = ()
    document_id: Any = None
    sets: tuple[FieldChange, ...] = ()
    guard: tuple[GuardTerm, ...] = ()
    stamp_before: Any = field(default_factory=lambda: dict(MISSING))
    evidence: tuple[str, ...] = ()
    value: str = "0"
    token: str | None = None
    symbol: str | None = None
    decimals: int | None = None
    chain_id: int | None = None

    @property
    def value_units(self) -> int:
        """The amount in base units."""
        return int(self.value)


def named_deed(deed: Deed) -> Deed:
    """The deed under the name of what it does: the same effects have the same name in every plan."""
    return replace(deed, id="d" + sha256_hex(canonical_json(deed_effects(deed)))[:16])


def deed_effects(deed: Deed) -> dict[str, Any]:
    """What a deed writes, and where, and where not."""
    told = asdict(deed)
    names = ("kind", "collection", "payment_id", "documents", "times", "unique", "document_id", "sets", "guard")
    return {name: told[name] for name in names}


def check_deed(deed: Deed, *, undoes: bool) -> None:
    """Refuse a deed whose content makes no sense, or does not fit its name.

    Args:
        undoes: Whether its plan takes a run back; no other one takes records or fields away.

    Raises:
        UnfitDeedError, UnfitChangeError, ValueTextError: What is wrong with it.
    """
    why = _unfit(deed) or ("takes a record away, which only an undo does" if _removes(deed, undoes) else None)
    if why:
        raise UnfitDeedError(deed=deed.id, about=deed.payment_id, why=why)
    if deed.kind == "set":
        ready_set(deed, undoes=undoes)
    else:
        for each in deed.documents:
            read_document(each, where=deed.payment_id)


def _removes(deed: Deed, undoes: bool) -> bool:
    return deed.kind == "remove" and not undoes


def _unfit(deed: Deed) -> str | None:
    if named_deed(deed).id != deed.id:
        return "was changed after it was made"
    if not deed.value.isdecimal():
        return "has an amount that is no whole number of base units"
    if deed.kind == "set":
        return None if deed.sets and not deed.documents else "sets nothing"
    most = RECORDS_MAX if deed.kind == "append" else 1
    if not 1 <= len(deed.documents) <= most or deed.sets:
        return f"has {count_text(len(deed.documents), 'record')} where {most} at the most, and one at the least, may be"
    return None


def read_document(value: Any, *, where: str) -> dict[str, Any]:
    """Read one whole record from its Extended JSON.

    Raises:
        ValueTextError: It is none, has no ``_id``, or is not in the one canonical spelling.
    """
    from bson import json_util

    try:
        found = json_util.loads(json.dumps(value), json_options=json_options())
        if not isinstance(found, dict) or "_id" not in found or to_extended(found) != value:
            raise TypeError("no record in canonical Extended JSON")
        if any(not key or key.startswith("$") or "." in key or "\0" in key for key in found):
            raise TypeError("a name that is no plain field")
    except Exception as error:  # bson raises whatever its converters raise on hostile text
        raise ValueTextError(where=where, found=str(value)) from error
    return found


def records_of(deed: Deed, *, stamp: str, at: dt.datetime) -> tuple[NewRecord, ...]:
    """The records of an ``insert`` or ``append`` as they are written, with their stamp.

    Args:
        at: The time of the write, aware UTC; cut to milliseconds as the database does.

    Raises:
        ValueTextError: A record leaves no room for the stamp.
    """
    at = at.replace(microsecond=at.microsecond // 1000 * 1000)
    documents = (read_document(each, where=deed.payment_id) for each in deed.documents)
    times = dict.fromkeys(deed.times, at)
    return as_records(deed, [changed_document(each, {**times, STAMP: stamp}) for each in documents])


def as_records(deed: Deed, documents: Iterable[Mapping[str, Any]]) -> tuple[NewRecord, ...]:
    """Documents of an ``insert`` or ``append`` with the keys that each of them bears, and no other one may."""
    return tuple(NewRecord(deed.collection, each, tuple(_borne(deed.unique, each))) for each in documents)


def _borne(keys: Iterable[UniqueKey], document: Mapping[str, Any]) -> Iterator[UniqueKey]:
    for key in keys:
        held = [value_at(document, path) for path in key.paths]
        if any(value in key.values for value in held if isinstance(value, str)):
            yield key


def ready_set(deed: Deed, *, undoes: bool) -> ReadyChange:
    """A ``set`` as runs write it.

    Args:
        undoes: Whether it may take fields away.

    Raises:
        UnfitChangeError, ValueTextError: No plan may hold it.
    """
    paths = [*(item.path for item in deed.sets), *(term.path for term in deed.guard), STAMP]
    change = Change(
        id=deed.id,
        payment_id=payment_id_text(_id_value(deed)),
        document_id=deed.document_id,
        verdict=Verdict.DISPUTE_HOLD,
        tier=Tier.REVIEW,
        sets=deed.sets,
        guard=deed.guard,
        parents=parents_of(paths),
        stamp_before=deed.stamp_before,
        value_units=deed.value_units,
        token=deed.token,
        symbol=deed.symbol,
        decimals=deed.decimals,
        chain_id=deed.chain_id,
    )
    return ready_change(change, kind="undo" if undoes else "correction")


def _id_value(deed: Deed) -> Any:
    return read_document({"_id": deed.document_id}, where=deed.payment_id)["_id"]


def document_ids(deed: Deed) -> tuple[Any, ...]:
    """The ``_id`` of every record that a deed is about."""
    if deed.kind == "set":
        return (_id_value(deed),)
    return tuple(read_document(each, where=deed.payment_id)["_id"] for each in deed.documents)


Found = Mapping[str, Mapping[str, Any]]
"""Records as just read, by ``payment_id_text`` of their ``_id``."""


def class_new(deed: Deed, found: Found, *, own_stamps: Collection[str]) -> RowResult | None:
    """What a re-read says of records that are to be put in; None while none of them is there."""
    there = [found[name] for each in document_ids(deed) if (name := payment_id_text(each)) in found]
    if not there:
        return None
    if len(there) == len(deed.documents) and all(value_at(each, STAMP) in own_stamps for each in there):
        return deed_result(deed, Result.OURS)
    names = ", ".join(sorted(payment_id_text(each["_id"]) for each in there)[:3])
    return deed_result(deed, Result.MOVED, reason=f"{deed.collection} holds {names} already, left alone")


def class_old(deed: Deed, found: Found) -> RowResult | None:
    """What a re-read says of records that are to be taken away; None while each is exactly as it was left."""
    wanted = {payment_id_text(each["_id"]): each for each in _documents(deed)}
    if not any(name in found for name in wanted):
        return deed_result(deed, Result.ALREADY)
    moved = tuple(
        each
        for name, document in sorted(wanted.items())
        if name in found
        for each in differences(document, found[name])
    )
    if moved:
        return deed_result(deed, Result.MOVED, reason=_touched(moved), moved=moved)
    return None


def _touched(moved: Sequence[MovedField]) -> str:
    names = ", ".join(each.path for each in moved[:5])
    return f"was touched since it was put there ({names}), left alone"


def _documents(deed: Deed) -> Iterator[dict[str, Any]]:
    return (read_document(each, where=deed.payment_id) for each in deed.documents)


def differences(document: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[MovedField]:
    """The fields in which a record is not what it was, by their names at the top."""
    for path in sorted({*document, *now}):
        was, held = document.get(path, ABSENT), now.get(path, ABSENT)
        if not same(was, held):
            yield MovedField(path, to_extended(was), None, to_extended(held))


def deed_result(
    deed: Deed,
    result: Result,
    *,
    reason: str | None = None,
    moved: tuple[MovedField, ...] = (),
    code: int | None = None,
) -> RowResult:
    """What became of a deed, in the words that go with it unless others are given."""
    return RowResult(deed.id, deed.payment_id, deed.finding, result, reason or RESULT_TEXT[result], moved, code)
