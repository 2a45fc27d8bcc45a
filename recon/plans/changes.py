"""Findings to changes: what may be written to a payment, from what, under which guard. Pure.

The table of ``recon.core.registry.transitions`` says what a verdict may set; this module looks up the stored values
with their BSON types in the document of the second reading. Without that document, or where the document could not
carry the stamp, nothing is written and the reason is given.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any, Final

from recon.core.ids import written_tx_hash
from recon.core.model import MISSING, Change, FieldChange, Finding, GuardTerm, Policy, ProofTerm, Tier, Verdict
from recon.core.registry.transitions import PATHS, allowed_sets
from recon.core.values import ABSENT, value_at
from recon.plans.file import change_id
from recon.sources.payments.documents import DECIDING_KEYS
from recon.sources.payments.fields import FieldPaths, stored_path
from recon.sources.providers.installed import rails_without_escrow
from recon.verdicts.rules import RULE

Row = Mapping[str, Any]

_ALWAYS_GUARDED: Final = (
    "status", "escrowState", "disputed", "disputeId", "direction", "provider", "amount.amount", "amount.currency",
    "blockchain.network", "blockchain.transactionHash",
)  # fmt: skip
HOLDS: Final = ("disputed", "dispute_id", "hold", "aml", "safety_status")
"""Logical fields that can stop a payment: wherever they may stand, what stands there now is guarded too."""

WRITTEN_FIELDS: Final[Mapping[str, str]] = {
    "status": "status", "escrow": "escrow_state", "tx_hash": "tx_hash", "confirmations": "confirmations",
    "disputed": "disputed",
}  # fmt: skip
"""The logical field behind each symbol of the table of allowed writes."""

ASTRAY: Final = (
    Verdict.NETWORK_MISMATCH, Verdict.TOKEN_MISMATCH, Verdict.RECIPIENT_MISMATCH, Verdict.REFERENCE_MISMATCH,
)  # fmt: skip
"""Verdicts that rest on money that came and is wrong in some way."""

_INT32_MAX: Final = 2**31 - 1

_RELEASE: Final = "becomes possible: release of the money to the seller"
DEFAULT_SIDE_EFFECTS: Final[Mapping[str, tuple[str, ...]]] = {
    "completed": (
        _RELEASE,
        "will not happen: ledger entry, mail to buyer and seller, socket and domain events of the backend",
    ),
    "released": ("will not happen: ledger entry, mail to the seller, domain events of the backend",),
    "refunded": ("will not happen: ledger entry, mail to the buyer, domain events of the backend",),
}
"""What a written status lets happen, and what does not happen because the write goes past the backend."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why no change is planned for a payment for which one was due."""

    reason: str


@dataclass(frozen=True, slots=True)
class Places:
    """What the configured field paths mean for writing.

    Args:
        holds: Every path at which a hold may come to stand; inside an array, the array itself.
        read_from: By symbol of the table, the first path that its field is read from; what a backend has not is left
            out, and never written.
    """

    holds: frozenset[str]
    read_from: Mapping[str, str]

    def kept(self, wanted: Mapping[str, Any]) -> dict[str, Any]:
        """What is to be set, without what this backend has not."""
        return {symbol: value for symbol, value in wanted.items() if symbol in self.read_from}


def places_of(fields: FieldPaths) -> Places:
    """Work out once, for all rows, what the configured paths mean for writing."""
    holds = frozenset(stored_path(candidate.path) for name in HOLDS for candidate in fields.of(name))
    return Places(holds, {symbol: fields.path(name) for symbol, name in WRITTEN_FIELDS.items() if fields.of(name)})


DEFAULT_PLACES: Final = places_of(FieldPaths())


def change_for(
    finding: Finding, row: Row, *, document: Any, policy: Policy, places: Places = DEFAULT_PLACES
) -> Change | Refusal | None:
    """Plan the change of one finding.

    Args:
        row: The judged row (:data:`recon.verdicts.judge.BREAKS`).
        document: The document of the second reading in canonical Extended JSON, decoded; None if it was not read.
        places: Where the rows of this snapshot were read from.

    Returns:
        The change; a refusal that says why there is none although one was due; or None when none is due.
    """
    wanted = places.kept(_wanted(finding, row, policy=policy))
    if not wanted:
        return None
    paths = {PATHS[name]: value for name, value in wanted.items()}
    if why := _held(row) or _releases_again(row, wanted) or _misplaced(wanted, places) or _unwritable(document, paths):
        return Refusal(why)
    sets = _field_changes(document, paths)
    if not sets:
        return None
    guard, unguardable = _guard(document, row, sets, holds=places.holds)
    if unguardable:
        return Refusal(f"{unguardable} holds an object or an array, which no guard compares")
    fields = tuple(sets)
    return Change(
        id=change_id(finding.payment_id, finding.verdict, sets=fields),
        payment_id=finding.payment_id,
        document_id=document.get("_id"),
        verdict=finding.verdict,
        tier=finding.tier,
        sets=fields,
        guard=guard,
        parents=_parents([item.path for item in sets]),
        stamp_before=extended_at(document, "metadata.recon.last"),
        evidence=finding.evidence,
        side_effects=_side_effects(fields, policy, is_plain=finding.provider in rails_without_escrow()),
        value_units=int(row["expected_units"] or 0),
        token=finding.token,
        symbol=finding.symbol,
        decimals=finding.decimals,
        chain_id=finding.chain_id,
        age_s=finding.age_s,
        reason=finding.reason,
    )


def proof_of(verdict: Verdict, links: Sequence[Row]) -> tuple[ProofTerm, ...]:
    """The transfers that a change rests on: the money that covers, a refund that went back, or what went astray.

    Money that is seen and not final proves nothing yet, so a change never rests on it; what went astray is told of
    as soon as it is seen.

    Args:
        links: The payment's transfers (:data:`recon.verdicts.judge.LINKS`).
    """
    if verdict in ASTRAY:
        shown = [link for link in links if not link["is_valid"] and not link["is_refund"]]
    else:
        is_part = ("is_valid", "is_refund") if verdict is Verdict.REFUND_DRIFT else ("is_valid",)
        shown = [link for link in links if link["t_final"] and any(link[name] for name in is_part)]
    terms = {
        ProofTerm(
            chain_id=link["t_chain"],
            tx_hash=link["t_tx"],
            log_index=link["t_log"],
            block=link["t_block"],
            block_hash=link["t_block_hash"],
            is_final=bool(link["t_final"]),
        )
        for link in shown
    }
    return tuple(sorted(terms, key=lambda term: (term.chain_id, term.tx_hash, term.log_index or 0)))


def has_step(finding: Finding, row: Row, *, policy: Policy) -> bool:
    """Whether a change fits the row as it stands, its document aside."""
    wanted = _wanted(finding, row, policy=policy)
    return bool(wanted) and not (_held(row) or _releases_again(row, wanted))


def _field_changes(document: Mapping[str, Any], paths: Mapping[str, Any]) -> list[FieldChange]:
    """What is to be set and is not so already; a count that is as high already stays."""
    sets = []
    for path, value in sorted(paths.items()):
        before = extended_at(document, path)
        is_count = path == PATHS["confirmations"]
        after = _typed(value, before) if is_count else value
        if before != after and not (is_count and _holds_as_many(before, value)):
            sets.append(FieldChange(path, before, after))
    return sets


def extended_at(document: Any, path: str) -> Any:
    """The Extended JSON value at a dotted path, or MISSING."""
    value = value_at(document, path)
    return dict(MISSING) if value is ABSENT else value


def is_scalar(value: Any) -> bool:
    """Whether an Extended JSON value is one stored value, not a nested object or an array."""
    if value is None or type(value) in (str, bool):
        return True
    if isinstance(value, Mapping):
        return len(value) == 1 and next(iter(value)).startswith("$")
    return not isinstance(value, list)


def _wanted(finding: Finding, row: Row, *, policy: Policy) -> dict[str, Any]:
    """What is to be set, by symbol: the verdict's cell, and with an automatic one those of every automatic finding."""
    wanted: dict[str, Any] = {}
    for verdict in _planned(finding):
        if verdict is Verdict.REFUND_DRIFT and row["refund_tx"] is None:
            continue
        for name, value in _cell(verdict, row, policy=policy).items():
            wanted.setdefault(name, value)
    return wanted


def _planned(finding: Finding) -> list[Verdict]:
    """The verdicts of a finding whose cells are written together, its own first."""
    if finding.tier not in (Tier.AUTO, Tier.REVIEW):
        return []
    # What is automatic by its rule is written whole also where this row waits to be picked; a release stands alone.
    is_whole = RULE[finding.verdict].tier is Tier.AUTO and finding.verdict is not Verdict.LOCAL_BEHIND
    if finding.tier is Tier.REVIEW and not is_whole:
        return [finding.verdict]
    others = [item for item in finding.findings if RULE[item].tier is Tier.AUTO and item is not finding.verdict]
    return [finding.verdict, *others]


def _cell(verdict: Verdict, row: Row, *, policy: Policy) -> dict[str, Any]:
    """What one verdict sets for this row: without a hash that proves it, only status and escrow."""
    cell = allowed_sets(verdict=verdict, direction=row["direction"], status=row["status"], escrow=row["escrow_state"])
    threshold = policy.confirmations_of(row["chain_id"])
    hashes = {"proof": row["proof_tx"], "refund": row["refund_tx"]}
    written = {name: each and written_tx_hash(each, chain_id=row["chain_id"]) for name, each in hashes.items()}
    symbols = {**written, "threshold": threshold}
    values = {name: symbols.get(value, value) if isinstance(value, str) else value for name, value in cell.items()}
    if row.get("provider") in rails_without_escrow():
        values.pop("escrow", None)
    if row["proof_tx"] is None and "proof" in cell.values():
        return {name: value for name, value in values.items() if name in ("status", "escrow")}
    return values


def _held(row: Row) -> str | None:
    if row.get("disputed") or row.get("hold"):
        return "the payment is disputed or held; nothing may move it until that is decided"
    if row.get("aml_blocked"):
        return "screening holds this payment; nothing may move it until that is decided"
    return None


def _releases_again(row: Row, wanted: Mapping[str, Any]) -> str | None:
    """Why a step that lets the money go to the seller is not planned: it went there, or may have."""
    stays_released = row["escrow_state"] == "released" and "escrow" not in wanted
    if stays_released or (wanted.get("status") != "completed" and wanted.get("escrow") != "funded"):
        return None
    if by := row.get("paid_out_by"):
        return f"the seller of this deal was already paid by {by}; this step would make a second release possible"
    if by := row.get("paying_out_by"):
        return f"the seller of this deal may already be paid by {by}; this step would make a second release possible"
    if by := row.get("going_out_by"):
        return f"money of this order may have gone out by {by}; this step would make a second release possible"
    return None


def _misplaced(wanted: Mapping[str, Any], places: Places) -> str | None:
    """Why a write would not show: a field that is read from elsewhere first would still be wrong after it."""
    for symbol in sorted(wanted):
        name, read, written = WRITTEN_FIELDS[symbol], places.read_from[symbol], PATHS[symbol]
        if read != written:
            return f"{name} is read from {read} here, and a correction is only ever written to {written}"
    return None


def _holds_as_many(before: Any, count: int) -> bool:
    """Whether a stored count is as high already: what was once confirmed is never taken back by a correction."""
    text = next(iter(before.values()), None) if isinstance(before, Mapping) and len(before) == 1 else before
    try:
        return isinstance(text, str) and Decimal(text) >= count
    except InvalidOperation:
        return False


def _unwritable(document: Any, paths: Mapping[str, Any]) -> str | None:
    if not isinstance(document, Mapping):
        return "the row could not be read again from the primary, or the collection not searched for rival claims"
    for parent in _parents(list(paths)):
        value = extended_at(document, parent)
        if value != MISSING and (not isinstance(value, Mapping) or is_scalar(value)):
            return f"{parent} is no object, so the row cannot carry the stamp of a run"
    return None


def _parents(paths: list[str]) -> tuple[str, ...]:
    found = {"metadata", "metadata.recon"}
    for path in paths:
        parts = path.split(".")
        found |= {".".join(parts[:size]) for size in range(1, len(parts))}
    return tuple(sorted(found))


def _typed(value: int, before: Any) -> Any:
    """A whole number in the BSON type its field has; int32 for a new field."""
    if isinstance(before, Mapping):
        if "$numberLong" in before:
            return {"$numberLong": str(value)}
        if "$numberDouble" in before:
            return {"$numberDouble": f"{value}.0"}
        if "$numberDecimal" in before:
            return {"$numberDecimal": str(value)}
    return {"$numberInt": str(value)} if value <= _INT32_MAX else {"$numberLong": str(value)}


def _guard(
    document: Mapping[str, Any], row: Row, sets: list[FieldChange], *, holds: frozenset[str]
) -> tuple[tuple[GuardTerm, ...], str | None]:
    """Every reviewed value the verdict rests on; the second part names a path that cannot be guarded."""
    terms = []
    for path, is_needed in _guarded(row["paths"] or "", tuple(item.path for item in sets), holds):
        value = value_at(document, path)
        if value is ABSENT:
            terms.append(_missing_term(path))
        elif is_scalar(value):
            terms.append(_missing_term(path) if value == MISSING else GuardTerm(path, value))
        elif is_needed or not isinstance(value, Mapping):
            return (), path
        else:
            terms += _inside(path, value)
    return tuple(terms), None


def _inside(path: str, held: Mapping[str, Any]) -> list[GuardTerm]:
    """A hold that is an object is read by what stands in it: every value there, and every word that could come."""
    plain = {key for key in held if key and "." not in key and not key.startswith("$")}
    found = [(f"{path}.{key}", held.get(key, dict(MISSING))) for key in sorted(plain | DECIDING_KEYS)]
    return [GuardTerm(inner, value) for inner, value in found if is_scalar(value)]


@lru_cache(maxsize=1_000)
def _guarded(paths: str, written: tuple[str, ...], holds: frozenset[str]) -> tuple[tuple[str, bool], ...]:
    """Every path that is guarded, in order, and whether it must be one value; most rows are of a few shapes."""
    stored = {path for path in _paths_in(paths) if path not in ("_id", "derived", "policy") and not _in_array(path)}
    needed = {*_ALWAYS_GUARDED, *stored, *written}
    return tuple((path, path in needed) for path in sorted(needed | holds))


@lru_cache(maxsize=1_000)
def _paths_in(text: str) -> tuple[str, ...]:
    """The paths of ``field=path`` pairs; one tuple for all rows of one shape, which are most of them."""
    return tuple(pair.split("=", 1)[1] for pair in text.split() if "=" in pair)


@lru_cache(maxsize=1_000)
def _missing_term(path: str) -> GuardTerm:
    """One and the same term for all rows: most guarded paths are missing in most rows."""
    return GuardTerm(path, dict(MISSING))


def _in_array(path: str) -> bool:
    return any(part.isdigit() for part in path.split("."))


def _side_effects(sets: tuple[FieldChange, ...], policy: Policy, *, is_plain: bool) -> tuple[str, ...]:
    """What the written words let happen and what not; where nothing is held, nothing is released."""
    table = {**DEFAULT_SIDE_EFFECTS, **policy.side_effects}
    words = {
        item.after for item in sets if item.path in (PATHS["status"], PATHS["escrow"]) and isinstance(item.after, str)
    }
    effects = {effect for word in words for effect in table.get(word, ())}
    return tuple(sorted(effects - {_RELEASE} if is_plain else effects))


def parse_document(text: str) -> Any:
    """Decode the stored Extended JSON text of a document, keeping every typed value as it is spelled."""
    return json.loads(text)
