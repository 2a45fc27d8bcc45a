"""Whether the fields that payments are looked up by are found in the documents, and where else they may be.

A few hundred of the newest documents are read whole. For each field it is said in how many it is found, where it was
looked for, and which other paths hold values of its shape; out of these a ``[fields]`` table is proposed.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from recon.core.ids import normalise_address, normalise_reference, normalise_tx_hash
from recon.core.model import Policy
from recon.core.registry import Registry
from recon.core.stored_times import told_mark
from recon.sources.payments.documents import DocumentReader, is_request_id, plain_document
from recon.sources.payments.fields import PATHS_MAX, FieldPaths
from recon.sources.providers.installed import names_asked_by

Pair = tuple[Mapping[str, Any], Mapping[str, Any]]
"""A row of payments and the document that it was read from."""

SAMPLE: Final = 200
"""Documents that are read."""

DEPTH_MAX: Final = 8
"""Levels of a document that are looked through for values."""

PATHS_SHOWN: Final = 5
"""Most paths that are proposed for one field."""

FEW_PERCENT: Final = 50
"""Below this share of the rows a field counts as not found."""


def _is_reference(value: object) -> bool:
    return isinstance(value, str) and normalise_reference(value) is not None and value[:2].lower() == "0x"


def _is_address(value: object) -> bool:
    return isinstance(value, str) and normalise_address(value) is not None


def _is_hash(value: object) -> bool:
    return isinstance(value, str) and normalise_tx_hash(value) is not None


@dataclass(frozen=True, slots=True)
class _Field:
    """A field of rows: in which column it stands, what its values are called and look like."""

    name: str
    column: str
    called: str
    has_shape: Callable[[object], bool]


_FIELDS: Final = (
    _Field("recipient", "recipient", "addresses", _is_address),
    _Field("request_id", "request_id", "request ids", is_request_id),
    _Field("reference", "reference", "payment references", _is_reference),
    _Field("tx_hash", "tx_hash", "transaction hashes", _is_hash),
)
_MONEY: Final = (("amount", "amount_text"), ("network", "chain_id"), ("token", "token"), ("created_at", "created_at"))
_NOT_RECIPIENTS: Final = ("sender", "payer", "token", "fee", "from", "currency", "contract", "refund", "buyer")
"""Parts of paths whose addresses are surely not where money must go."""


@dataclass(frozen=True, slots=True)
class FieldFound:
    """What was found out about one field.

    Args:
        found, of: In how many rows it was found, of how many.
        looked, texts: The paths that were looked at, and how a configuration writes them.
        elsewhere: Other paths with values of its shape, and in how many rows.
    """

    name: str
    found: int
    of: int
    looked: tuple[str, ...]
    texts: tuple[str, ...] = ()
    called: str = "values"
    elsewhere: tuple[tuple[str, int], ...] = ()

    @property
    def is_missing(self) -> bool:
        """Whether it was found in so few rows that something is amiss."""
        return self.found * 100 < self.of * FEW_PERCENT

    @property
    def says(self) -> str:
        """One sentence, and the line to put into the configuration where there is something to propose."""
        said = f"{self.name} found in {self.found} of {self.of}, looked at {', '.join(self.looked)}"
        if not self.elsewhere:
            return f"{said}; no other field holds {self.called}."
        shown = self.elsewhere[:PATHS_SHOWN]
        paths = ", ".join(f"{path} ({count})" for path, count in shown)
        listed = json.dumps([*self.texts[: PATHS_MAX - len(shown)], *(path for path, _ in shown)])
        return f"{said}; fields that hold {self.called}: {paths}. To look there, under [fields]: {self.name} = {listed}"


def fields_found(
    documents: Iterable[Mapping[str, Any]], *, fields: FieldPaths, registry: Registry, policy: Policy
) -> list[FieldFound]:
    """Read some whole documents and say of each field in how many it is found.

    A field counts for the rows of providers that are asked by it; a row with a request id lacks no reference.
    """
    reader = DocumentReader(fields=fields, registry=registry, policy=policy)
    plain = [plain_document(document) for document in documents]
    rows = [(reader.row(document), document) for document in plain]
    known = [(row, document) for row, document in rows if row["provider"] in policy.providers and not row["is_test"]]
    return [*(_found(each, known, fields) for each in _FIELDS), *_money_found(known, fields)]


def times_said(
    documents: Sequence[Mapping[str, Any]], *, fields: FieldPaths, registry: Registry, policy: Policy
) -> Iterator[str]:
    """One sentence for each time that some documents store as something else than a date, and what that costs."""
    reader = DocumentReader(fields=fields, registry=registry, policy=policy)
    marks = [word for document in documents for word in (reader.row(document)["paths"] or "").split()]
    told = [found for word in marks if (found := told_mark(word)) is not None]
    for name in sorted({name for name, _, _ in told}):
        yield _time_said(name, [(said, is_read) for called, said, is_read in told if called == name], len(documents))


def _time_said(name: str, told: Sequence[tuple[str, bool]], documents: int) -> str:
    read = Counter(said for said, is_read in told if is_read)
    unread = sorted(said for said, is_read in told if not is_read)
    said = [f"{count} as {how}" for how, count in sorted(read.items())]
    said += [f"{len(unread)} not to be read for certain, such as {unread[0]}"] if unread else []
    return (
        f"{name} is no date in {len(told)} of {documents}: {', '.join(said)}. A window cannot find such rows by their "
        "date, so each run reads all of them; store dates there."
    )


def _found(wanted: _Field, rows: Sequence[Pair], fields: FieldPaths) -> FieldFound:
    mine = [(row, document) for row, document in rows if _is_needed(wanted.name, row)]
    looked = tuple(dict.fromkeys(place.path for place in fields.of(wanted.name)))
    lacking = [document for row, document in mine if not row[wanted.column]]
    counted = Counter(path for document in lacking for path in _paths_with(document, wanted))
    elsewhere = sorted(((path, n) for path, n in counted.items() if path not in looked), key=lambda x: (-x[1], x[0]))
    return FieldFound(
        wanted.name,
        len(mine) - len(lacking),
        len(mine),
        looked,
        texts=tuple(place.text for place in fields.of(wanted.name)),
        called=wanted.called,
        elsewhere=tuple(elsewhere),
    )


def _is_needed(name: str, row: Mapping[str, Any]) -> bool:
    """Whether a row ought to have a field: an incoming one its recipient, a paid one its hash, any a key."""
    if name == "recipient":
        return bool(row["direction"] == "in")
    if name == "tx_hash":
        return row["status"] in ("completed", "confirmed")
    has_other = bool(row["request_id"] or row["reference"])
    return name in names_asked_by(row["provider"]) and (not has_other or bool(row[name]))


def _money_found(rows: Sequence[Pair], fields: FieldPaths) -> Iterator[FieldFound]:
    for name, column in _MONEY:
        found = sum(row[column] is not None for row, _ in rows)
        yield FieldFound(name, found, len(rows), tuple(place.path for place in fields.of(name)))


def _paths_with(document: Mapping[str, Any], wanted: _Field) -> set[str]:
    return {
        path
        for path, value in _leaves(document, ())
        if wanted.has_shape(value)
        and not (wanted.name == "recipient" and any(word in path.lower() for word in _NOT_RECIPIENTS))
    }


def _leaves(value: object, at: tuple[str, ...]) -> Iterator[tuple[str, object]]:
    """Every value in a document with its path; of an array, the first element."""
    if isinstance(value, Mapping) and len(at) < DEPTH_MAX:
        for name, below in value.items():
            yield from _leaves(below, (*at, str(name)))
    elif isinstance(value, list) and value and len(at) < DEPTH_MAX:
        yield from _leaves(value[0], (*at, "0"))
    elif at:
        yield ".".join(at), value
