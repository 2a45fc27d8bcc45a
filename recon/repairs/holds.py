"""Holds on release and payout: put and lifted by plan, under a guard of everything that was reviewed.

A hold is lifted only while no dispute is active, and the guard holds that until the moment of the write. Whatever a
field holds that cannot be guarded makes "cannot tell", and the row is left out.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from recon.core.errors import ConfigError, UsageError
from recon.core.ids import payment_id_text
from recon.core.model import FieldChange, GuardTerm
from recon.core.values import ABSENT, STAMP, ValueTextError, to_extended, value_at, value_terms
from recon.repairs.deeds import Deed
from recon.repairs.plan import LeftOut

Document = Mapping[str, Any]
_OVER: Final = ("released", "refunded")
"""States after which nothing of a payment is left to hold."""


class NoHoldFieldError(ConfigError):
    """The configuration does not say where holds are kept."""

    def __init__(self) -> None:
        super().__init__(
            "The configuration does not say where the backend keeps holds; nothing was read or written. Name the field "
            'in "[hold] field".'
        )


class NoHoldKeyError(UsageError):
    """The configuration does not say how the rows of something are found."""

    def __init__(self, *, what: str, known: Iterable[str]) -> None:
        super().__init__(
            f'The configuration does not say by which path the rows of a {what} are found ("[hold.keys]" names '
            f"{', '.join(sorted(known))}); nothing was read or written."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldFields:
    """Where holds stand; see :class:`recon.setup.repair_sections.HoldSection`.

    Args:
        payments: The collection of the payments, whose rows the journal names by their id alone.
    """

    collection: str
    payments: str
    field: str
    reason: str | None = None
    ticket: str | None = None
    until: str | None = None
    by: str | None = None
    disputes: tuple[str, ...] = ()
    guarded: tuple[str, ...] = ()

    @property
    def read(self) -> tuple[str, ...]:
        """Every path that a plan relies on."""
        said = (self.reason, self.ticket, self.until, self.by)
        return tuple(sorted({self.field, *self.disputes, *self.guarded, *(path for path in said if path)}))


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldWords:
    """What a hold says.

    Args:
        until: When it ends by itself at the latest, aware UTC; None says nothing of an end.
    """

    reason: str
    by: str
    ticket: str | None = None
    until: dt.datetime | None = None


def about(document: Document, fields: HoldFields) -> str:
    """What the journal calls a row."""
    name = payment_id_text(document["_id"])
    return name if fields.collection == fields.payments else f"{fields.collection}:{name}"


def is_active(value: Any) -> bool:
    """Whether what stands in the field of a hold or dispute means that there is one."""
    return value is not ABSENT and value not in (None, False, "")


def active_disputes(document: Document, fields: HoldFields) -> tuple[str, ...]:
    """The paths that say that a dispute is active."""
    return tuple(path for path in fields.disputes if is_active(value_at(document, path)))


def plan_holds(
    documents: Sequence[Document], fields: HoldFields, *, words: HoldWords
) -> tuple[tuple[Deed, ...], tuple[LeftOut, ...]]:
    """The deeds that put a hold on each row, and the rows that are left out with why."""
    said: dict[str, Any] = {fields.field: True}
    for path, value in (
        (fields.reason, words.reason),
        (fields.ticket, words.ticket),
        (fields.until, words.until),
        (fields.by, words.by),
    ):
        if path is not None and value is not None:
            said[path] = value
    return _planned(documents, fields, sets=said, finding="hold", reason=words.reason, refuse=_no_hold)


def plan_lifts(
    documents: Sequence[Document], fields: HoldFields, *, reason: str
) -> tuple[tuple[Deed, ...], tuple[LeftOut, ...]]:
    """The deeds that lift the hold of each row, and the rows that are left out with why."""
    return _planned(documents, fields, sets={fields.field: False}, finding="lift", reason=reason, refuse=_no_lift)


def _no_hold(document: Document, fields: HoldFields) -> str:
    if is_active(value_at(document, fields.field)):
        return "it is held already"
    if value_at(document, "escrowState") in _OVER:
        return f"it is {value_at(document, 'escrowState')}: nothing of it is left to hold"
    return ""


def _no_lift(document: Document, fields: HoldFields) -> str:
    if not is_active(value_at(document, fields.field)):
        return "it is not held"
    if disputes := active_disputes(document, fields):
        return f"a dispute is active ({', '.join(disputes)}), and no hold is lifted under one"
    return ""


def _planned(
    documents: Sequence[Document],
    fields: HoldFields,
    *,
    sets: Mapping[str, Any],
    finding: str,
    reason: str,
    refuse: Any,
) -> tuple[tuple[Deed, ...], tuple[LeftOut, ...]]:
    deeds: list[Deed] = []
    left: list[LeftOut] = []
    for document in documents:
        name = about(document, fields)
        why = refuse(document, fields) or _unguardable(document, fields)
        if why:
            left.append(LeftOut(name, why))
        else:
            deeds.append(_deed(document, fields, name, sets=sets, finding=finding, reason=reason))
    return tuple(deeds), tuple(left)


def _unguardable(document: Document, fields: HoldFields) -> str:
    """Why a row cannot be guarded; empty where each reviewed field is a single value."""
    for path in (*fields.read, STAMP):
        try:
            value_terms(path, value_at(document, path))
        except ValueTextError:
            return f"cannot tell: {path} holds an object or an array"
    return ""


def _deed(
    document: Document, fields: HoldFields, name: str, *, sets: Mapping[str, Any], finding: str, reason: str
) -> Deed:
    def now(path: str) -> Any:
        return to_extended(value_at(document, path))

    return Deed(
        kind="set",
        collection=fields.collection,
        payment_id=name,
        finding=finding,
        reason=reason,
        document_id=to_extended(document["_id"]),
        sets=tuple(FieldChange(path, now(path), to_extended(value)) for path, value in sorted(sets.items())),
        guard=tuple(GuardTerm(path, now(path)) for path in sorted({*fields.read, *sets})),
        stamp_before=now(STAMP),
    )


@dataclass(frozen=True, slots=True)
class HeldRow:
    """A row that is held by hand, and how it stands with the hold.

    Args:
        is_supported: Whether something still speaks for it; None is "cannot tell".
        why: What speaks for it, or why nothing does.
        since: What the hold says of itself: reason, ticket, end.
    """

    about: str
    document_id: Any
    is_supported: bool | None
    why: str
    since: str


@dataclass(frozen=True, slots=True)
class HoldList:
    """The rows that are held, and how it stands with each.

    Args:
        is_judged: Whether the evidence of their payments could be asked; ``why_not`` says why not.
    """

    rows: tuple[HeldRow, ...]
    is_judged: bool
    why_not: str = ""


def held_rows(
    documents: Iterable[Document],
    fields: HoldFields,
    *,
    verdicts: Mapping[str, str] | None,
    now: dt.datetime,
    quiet: Sequence[str] = (),
) -> Iterator[HeldRow]:
    """How it stands with each hold, by disputes, its own end and what the evidence says of the payment now.

    Args:
        verdicts: By payment the verdict of each that is a break; None where nothing could be judged.
        quiet: Verdicts that speak for no hold: the hold's own.
    """
    for document in documents:
        supported, why = _stands(document, fields, verdicts=verdicts, now=now, quiet=quiet)
        said = (value_at(document, path) for path in (fields.reason, fields.ticket, fields.until) if path)
        told = "; ".join(str(each) for each in said if is_active(each))
        yield HeldRow(about(document, fields), document["_id"], supported, why, told)


def _stands(
    document: Document,
    fields: HoldFields,
    *,
    verdicts: Mapping[str, str] | None,
    now: dt.datetime,
    quiet: Sequence[str],
) -> tuple[bool | None, str]:
    if disputes := active_disputes(document, fields):
        return True, f"a dispute is active ({', '.join(disputes)})"
    if verdicts is None or fields.collection != fields.payments:
        return None, "cannot tell: the payment could not be judged by the evidence"
    verdict = verdicts.get(payment_id_text(document["_id"]))
    if verdict is not None and verdict not in quiet:
        return True, f"the evidence says {verdict}"
    until = value_at(document, fields.until) if fields.until else ABSENT
    ended = isinstance(until, dt.datetime) and until <= now
    over = f", and it was to end at {until:%Y-%m-%d %H:%M} UTC" if ended else ""
    return False, f"the evidence agrees with the row and no dispute is active{over}"
