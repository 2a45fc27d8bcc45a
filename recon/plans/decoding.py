"""The bytes of a plan file as values, with its findings and changes made into records on the way.

They are most of a plan, and decoding them straight into records takes half the time of going through mappings. Where a
part is not of its type everything comes back as mappings, and who builds the plan tells what is wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from recon.core.model import Change, FieldChange, FieldView, Finding, GuardTerm, ProofTerm, Severity, Tier, Verdict


class _Finding(msgspec.Struct):
    payment_id: str
    verdict: Verdict
    findings: tuple[Verdict, ...]
    tier: Tier
    severity: Severity
    age_s: int | None
    fields: tuple[FieldView, ...]
    difference: str | None
    value: str
    provider: str | None
    chain_id: int | None
    token: str | None
    symbol: str | None
    decimals: int | None
    reason: str
    evidence: tuple[str, ...]


class _Term(msgspec.Struct):
    chain_id: int
    tx_hash: str
    log_index: int | None
    block: int | None
    block_hash: str | None
    final: bool


class _Change(msgspec.Struct, omit_defaults=True):
    id: str
    payment_id: str
    document_id: Any
    verdict: Verdict
    tier: Tier
    set: tuple[FieldChange, ...]
    guard: tuple[GuardTerm, ...]
    parents: tuple[str, ...]
    stamp_before: Any
    evidence: tuple[str, ...]
    side_effects: tuple[str, ...]
    value: str
    token: str | None
    symbol: str | None
    decimals: int | None
    chain_id: int | None
    age_s: int | None
    reason: str
    proof: tuple[_Term, ...] = ()


class _Whole(msgspec.Struct):
    format: Any
    digest: Any
    effects_digest: Any
    kind: Any
    tool_version: Any
    created_at: Any
    expires_at: Any
    target: Any
    policy_digest: Any
    snapshot: Any
    window: Any
    parent: Any
    run: Any
    picked: Any
    summary: Any
    coverage: Any
    left_alone: Any
    findings: tuple[_Finding, ...]
    changes: tuple[_Change, ...]
    balances: Any = msgspec.UNSET
    ledger: Any = msgspec.UNSET


_DECODE = msgspec.json.Decoder(_Whole).decode
_ENCODE_LINES = msgspec.json.Encoder(order="sorted").encode_lines


@dataclass(frozen=True, slots=True)
class DecodedPlan:
    """What the JSON of a plan file holds: ``findings`` and ``changes`` as records where they can be, else as mappings.

    Args:
        read: The same findings and changes as they were read, for :func:`spelled_items`; empty where they are mappings.
    """

    content: Any
    read: dict[str, Sequence[Any]]


def spelled_items(read: Sequence[Any]) -> bytes | None:
    """Items that were read, as a plan file spells them; None where one needs escapes, which only the items tell.

    Each was read into a record that knows every key, so what is written from it is what it holds.
    """
    data = _ENCODE_LINES(read)
    return data[:-1].replace(b"\n", b",\n") if data.isascii() and b"\x7f" not in data else None


def decode_plan(data: bytes) -> DecodedPlan:
    """Read the JSON of a plan file.

    Raises:
        ValueError, RecursionError: It is no whole JSON.
    """
    try:
        found = _DECODE(data)
        held = {name: getattr(found, name) for name in found.__struct_fields__}
        held = {name: value for name, value in held.items() if value is not msgspec.UNSET}
        held |= {"findings": tuple(map(_finding, found.findings)), "changes": tuple(map(_change, found.changes))}
    except (ValueError, TypeError, AssertionError):
        return DecodedPlan(msgspec.json.decode(data), {})
    return DecodedPlan(held, {"findings": found.findings, "changes": found.changes})


def _units(text: str) -> int:
    """An amount in base units; one that is spelled in another way than ours is left to the careful reader."""
    units = int(text)
    if str(units) != text:
        raise ValueError("not the spelling of a plan file")
    return units


def _finding(item: _Finding) -> Finding:
    return Finding(
        payment_id=item.payment_id,
        verdict=item.verdict,
        findings=item.findings,
        tier=item.tier,
        severity=item.severity,
        reason=item.reason,
        provider=item.provider,
        chain_id=item.chain_id,
        token=item.token,
        symbol=item.symbol,
        decimals=item.decimals,
        age_s=item.age_s,
        difference_units=None if item.difference is None else _units(item.difference),
        value_units=_units(item.value),
        fields=item.fields,
        evidence=item.evidence,
    )


def _change(item: _Change) -> Change:
    return Change(
        id=item.id,
        payment_id=item.payment_id,
        document_id=item.document_id,
        verdict=item.verdict,
        tier=item.tier,
        sets=item.set,
        guard=item.guard,
        parents=item.parents,
        stamp_before=item.stamp_before,
        evidence=item.evidence,
        side_effects=item.side_effects,
        value_units=_units(item.value),
        token=item.token,
        symbol=item.symbol,
        decimals=item.decimals,
        chain_id=item.chain_id,
        age_s=item.age_s,
        reason=item.reason,
        proof=tuple(map(_term, item.proof)),
    )


def _term(item: _Term) -> ProofTerm:
    return ProofTerm(item.chain_id, item.tx_hash, item.log_index, item.block, item.block_hash, item.final)
