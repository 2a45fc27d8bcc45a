"""Backfill: legacy SHKeeper payments get a reference to their funds account and a note; nothing else changes.

It is a plan like any other (kind ``backfill``): reviewed, applied with guards and a journal, taken back. It only
inserts: every path that it sets is not there yet, and a row that holds something else at one of them is left to a
person. Run again, it plans only what is still missing. The report accounts for every row, and says "complete" only when
every one of them is mapped.
"""

from __future__ import annotations

import string
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from recon.core.errors import ConfigError
from recon.core.model import Change, FieldChange, GuardTerm, LeftAlone, Plan, Target, Tier, Verdict
from recon.core.text import count_text
from recon.core.times import millisecond_text
from recon.core.values import ABSENT, STAMP, parents_of, same, to_extended, value_at
from recon.core.version import __version__
from recon.plans.file import change_id, seal_plan
from recon.sources.payments.documents import DocumentReader, plain_document
from recon.sources.providers.installed import providers, rail_with_funds_accounts

PROVIDER: Final = rail_with_funds_accounts()
BASE: Final = f"metadata.providers.{PROVIDER}"
REFERENCE_PATH: Final = f"{BASE}.fundsAccount"
EXTERNAL_PATH: Final = f"{BASE}.externalId"
NOTE_PATH: Final = f"{BASE}.note"
REFERENCE_MAX: Final = 200
PARTS: Final = ("payment_id", "order_id", "offer_id", "buyer_id", "external_id", "currency", "chain_id")
"""What a reference may be made of: fields of the payments table."""

DEFAULT_REFERENCE: Final = "funds:{order_id}:{currency}"
DEFAULT_NOTE: Final = f"legacy {providers()[PROVIDER].title} payment, mapped by recon backfill"
EXPIRES: Final = timedelta(hours=24)


class ReferenceTemplateError(ConfigError):
    """The pattern of references cannot be used."""

    def __init__(self, *, template: str, why: str) -> None:
        super().__init__(
            f"[backfill] reference {template[:80]!r} {why}; nothing was planned. Use text and {{name}} of "
            f"{', '.join(PARTS)}."
        )


@dataclass(frozen=True, slots=True)
class Completeness:
    """Every row of the rail, accounted for.

    Args:
        rows: How many there are.
        mapped: Have their reference already.
        planned: Get it by this plan.
        left: Neither, by reason.
        tests: Test payments, which get none.
        read_wholly: Every row of the collection was read.
    """

    rows: int
    mapped: int
    planned: int
    left: Mapping[str, int]
    tests: int
    read_wholly: bool

    @property
    def unaccounted(self) -> int:
        """Rows that have no reference now, whatever is planned for them."""
        return self.rows - self.mapped - self.tests

    @property
    def is_complete(self) -> bool:
        """Whether every row that needs a reference has one, and all rows were read; of no rows nothing is known."""
        return self.read_wholly and self.rows > 0 and self.unaccounted == 0

    @property
    def says(self) -> str:
        """One sentence; it holds the word "complete" only when it is."""
        if not self.read_wholly:
            return f"The rows could not all be read: {self.mapped} of at least {self.rows} are mapped."
        if not self.rows:
            return "No payment was read, so whether each has its reference is not known."
        if self.is_complete:
            rows = count_text(self.rows - self.tests, "payment has its", many="payments have their")
            return f"Complete: {rows} reference; tests: {self.tests}."
        split = f"{self.planned} planned, {sum(self.left.values())} left alone"
        return f"{self.unaccounted} of {self.rows} payments have no reference yet: {split}."


class BackfillPlanner:
    """Takes documents one by one and makes the plan; holds changes, not documents.

    Args:
        reference: Pattern of the reference, see :data:`PARTS`.
        note: The note that each row gets.
    """

    def __init__(self, reader: DocumentReader, *, reference: str = DEFAULT_REFERENCE, note: str = DEFAULT_NOTE) -> None:
        self._reader = reader
        self._reference, self._note = reference, note
        self._names = _names_in(reference)
        self._changes: dict[str, tuple[Change, str]] = {}
        self._left: list[LeftAlone] = []
        self._keys: dict[str, str] = {}
        self._rows = self._mapped = self._tests = 0

    def add(self, document: Mapping[str, Any]) -> None:
        """Look at one document; rows of other rails are passed over."""
        row = self._reader.row(document)
        if row["provider"] != PROVIDER:
            return
        self._rows += 1
        if row["is_test"]:
            self._tests += 1
            return
        plain, payment = plain_document(document), row["payment_id"]
        external = row["external_id"]
        twin = self._keys.setdefault(external, payment) if external else payment
        reference, missing = self._reference_of(row)
        held = value_at(plain, REFERENCE_PATH)
        why = missing or _obstacle(plain, {REFERENCE_PATH: reference, EXTERNAL_PATH: external})
        if twin != payment:
            self._leave_twin(twin, external)
            why = f"shares the SHKeeper id {external} with {twin}"
        if why:
            self._left.append(LeftAlone(payment, Verdict.IN_SYNC, why))
        elif held is not ABSENT:
            self._mapped += 1
        else:
            self._changes[payment] = (self._change(plain, row, str(reference)), external or "")

    def _leave_twin(self, payment: str, external: str | None) -> None:
        """The first of two rows with one SHKeeper id is no clearer than the second."""
        if payment in self._changes:
            del self._changes[payment]
            self._left.append(
                LeftAlone(payment, Verdict.IN_SYNC, f"shares the SHKeeper id {external} with another row")
            )

    def _reference_of(self, row: Mapping[str, Any]) -> tuple[str | None, str]:
        values = {name: row.get(name) for name in self._names}
        empty = sorted(name for name, value in values.items() if value is None or not str(value).strip())
        if empty:
            return None, f"has no {', '.join(empty)}, which its reference is made of"
        text = self._reference.format(**values)
        if len(text) > REFERENCE_MAX or not text.isprintable():
            return None, "would get a reference that is too long or holds control characters"
        return text, ""

    def _change(self, document: Mapping[str, Any], row: Mapping[str, Any], reference: str) -> Change:
        wanted = {REFERENCE_PATH: reference, EXTERNAL_PATH: row["external_id"], NOTE_PATH: self._note}
        sets = tuple(
            FieldChange(path, to_extended(ABSENT), value)
            for path, value in sorted(wanted.items())
            if value is not None and value_at(document, path) is ABSENT
        )
        paths = {item.path for item in sets} | {"provider"} | _external_paths(row)
        guard = [GuardTerm(path, to_extended(value_at(document, path))) for path in sorted(paths)]
        return Change(
            id=change_id(row["payment_id"], Verdict.IN_SYNC, sets=sets),
            payment_id=row["payment_id"],
            document_id=to_extended(document["_id"]),
            verdict=Verdict.IN_SYNC,
            tier=Tier.REVIEW,
            sets=sets,
            guard=tuple(term for term in guard if not isinstance(term.value, list)),
            parents=tuple(sorted({"metadata", "metadata.recon", *parents_of(item.path for item in sets)})),
            stamp_before=to_extended(value_at(document, STAMP)),
            token=row["token"],
            decimals=row["decimals"],
            chain_id=row["chain_id"],
            reason="A legacy SHKeeper payment without a reference to its funds account.",
        )

    def completeness(self, *, read_wholly: bool) -> Completeness:
        """How every row stands now."""
        return Completeness(
            rows=self._rows,
            mapped=self._mapped,
            planned=len(self._changes),
            left=dict(sorted(Counter(_kind_of(item.reason) for item in self._left).items())),
            tests=self._tests,
            read_wholly=read_wholly,
        )

    def plan(
        self, *, target: Target, policy_digest: str, now: datetime, coverage: Iterable[Mapping[str, Any]] = ()
    ) -> Plan:
        """The sealed plan of everything that was added; the completeness report stands in its summary."""
        rows = tuple(coverage)
        found = self.completeness(read_wholly=all(row.get("complete") is True for row in rows))
        plan = Plan(
            kind="backfill",
            tool_version=__version__,
            created_at=millisecond_text(now),
            expires_at=millisecond_text(now + EXPIRES),
            target=target,
            policy_digest=policy_digest,
            snapshot="",
            window={"providers": [PROVIDER], "from": None, "to": None, "date": "created"},
            coverage=rows,
            summary={"completeness": completeness_json(found), "health": {"ok": True, "reasons": []}},
            findings=(),
            changes=tuple(sorted((change for change, _ in self._changes.values()), key=lambda c: c.payment_id)),
            left_alone=tuple(sorted(self._left, key=lambda item: item.payment_id)),
        )
        return seal_plan(plan)


def completeness_json(found: Completeness) -> dict[str, Any]:
    """A completeness report as JSON values."""
    return {
        "rows": found.rows,
        "mapped": found.mapped,
        "planned": found.planned,
        "left_alone": dict(found.left),
        "tests": found.tests,
        "unaccounted": found.unaccounted,
        "read_wholly": found.read_wholly,
        "complete": found.is_complete,
        "says": found.says,
    }


def _names_in(template: str) -> tuple[str, ...]:
    try:
        parts = list(string.Formatter().parse(template))
    except ValueError as error:
        raise ReferenceTemplateError(template=template, why=f"is no pattern ({error})") from error
    names = [name for _, name, _, _ in parts if name is not None]
    if any(spec or conversion for _, name, spec, conversion in parts if name is not None):
        raise ReferenceTemplateError(template=template, why="formats a part, which is not possible")
    if unknown := [name for name in names if name not in PARTS]:
        raise ReferenceTemplateError(template=template, why=f"names {unknown[0]!r}, which is no part of a payment")
    if not names:
        raise ReferenceTemplateError(template=template, why="would be the same for every payment")
    return tuple(names)


def _obstacle(document: Mapping[str, Any], wanted: Mapping[str, str | None]) -> str:
    """Why nothing can be inserted, or nothing: a parent that is no object, or another value that stands there."""
    for parent in parents_of((*wanted, NOTE_PATH, STAMP)):
        value = value_at(document, parent)
        if value is not ABSENT and not isinstance(value, Mapping):
            return f"holds no object at {parent}"
    for path, value in wanted.items():
        held = value_at(document, path)
        if value is not None and held is not ABSENT and not same(held, value):
            return f"holds another value at {path}"
    return ""


def _external_paths(row: Mapping[str, Any]) -> set[str]:
    """The stored path that the SHKeeper id was read from, so that the write is guarded on it."""
    pairs = dict(pair.split("=", 1) for pair in (row["paths"] or "").split() if "=" in pair)
    path = pairs.get("external_id", "")
    return {path} if path and path != "_id" and not any(part.isdigit() for part in path.split(".")) else set()


def _kind_of(reason: str) -> str:
    """Reasons without the ids in them, for counting."""
    return "shares its SHKeeper id with another row" if reason.startswith("shares the SHKeeper id") else reason
