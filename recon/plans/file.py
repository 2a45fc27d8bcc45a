"""The plan as a file: one canonical spelling, two digests, and the derivations that make smaller plans.

A plan file is read back only if rendering what was read gives the same bytes again, so a changed byte, a cut file, a
key nobody knows and an edited digest are all refused. ``digest`` names the bytes; ``effects_digest`` names what would
be written, and where, so that an approval survives a new plan with the same effects.
"""

from __future__ import annotations

import gc
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec

from recon.core.canonical import canonical_json, sha256_hex
from recon.core.errors import RefusedError
from recon.core.model import (
    Change,
    FieldChange,
    FieldView,
    Finding,
    GuardTerm,
    LeftAlone,
    Plan,
    ProofTerm,
    Severity,
    Target,
    Tier,
    Verdict,
)
from recon.files import make_folder, save_new
from recon.plans.decoding import DecodedPlan, decode_plan, spelled_items

FORMAT: Final = 1
SIZE_MAX_BYTES: Final = 2_000_000_000
_HEAD_BYTES: Final = 1_024
_AT_ONCE: Final = 1_000
_VERDICTS: Final = {str(verdict): verdict for verdict in Verdict}
_TIERS: Final = {str(tier): tier for tier in Tier}
_ENCODE: Final = msgspec.json.Encoder(order="sorted").encode


class PlanFileError(RefusedError):
    """A file is not an intact plan of a format this version reads."""

    def __init__(self, *, path: str, why: str) -> None:
        super().__init__(f'{path}: {why}; nothing was done with it. Make a new plan with "recon plan".')


def _line(value: Any) -> bytes:
    """The canonical JSON of one item of a plan, written by msgspec where that gives the very same bytes.

    Plain printable ASCII is spelled alike by both; anything else goes the slow way, which escapes it.
    """
    try:
        data = _ENCODE(value)
    except (TypeError, ValueError):
        return canonical_json(value).encode()
    return data if data.isascii() and b"\x7f" not in data else canonical_json(value).encode()


@contextmanager
def many_objects() -> Iterator[None]:
    """Keep the cycle collector from going through records without a cycle, again and again, while many are made."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def change_id(payment_id: str, verdict: str, *, sets: Iterable[FieldChange]) -> str:
    """A stable name for a change: the same effects on the same payment have the same name in every plan."""
    effects = [(item.path, item.before, item.after) for item in sets]
    return "c" + sha256_hex(_line([payment_id, verdict, effects]))[:16]


def seal_plan(plan: Plan) -> Plan:
    """Give the plan with both digests filled in; every other field is as it was."""
    bare = replace(plan, digest="", effects_digest=effects_digest(plan))
    hasher = hashlib.sha256()
    for piece in _pieces(bare):
        hasher.update(piece)
    return replace(bare, digest=hasher.hexdigest())


def is_picked(plan: Plan, change: Change) -> bool:
    """Whether a change may be written: of tier auto, or of tier review and picked by payment."""
    return plan.kind != "correction" or change.tier is Tier.AUTO or change.payment_id in plan.picked


def effects_digest(plan: Plan) -> str:
    """Name what the plan would write and where, whatever the file looks like: the sha256 of its effects, sorted."""
    head = canonical_json([plan.kind, asdict(plan.target), []]).removesuffix("]]")
    hasher = hashlib.sha256(head.encode())
    for number, line in enumerate(_effects([change for change in plan.changes if is_picked(plan, change)])):
        hasher.update(f"{',' if number else ''}{canonical_json(line)}".encode())
    hasher.update(b"]]")
    return hasher.hexdigest()


def _effects(changes: Sequence[Change]) -> Iterator[str]:
    """What each change writes, one line each, in order of the lines, without holding all of them at once.

    A line begins with the id of its document, and no id is the beginning of another, so ids in order are lines in
    order. Plans hold their changes by id already, an undo mostly backwards.
    """
    ordered = next((order for order in (changes, changes[::-1]) if _rises(map(_document_line, order))), None)
    for _, several in groupby(ordered or sorted(changes, key=_document_line), key=_document_line):
        yield from sorted(map(_effect, several))


def _effect(change: Change) -> str:
    return _line([change.document_id, [[item.path, item.before, item.after] for item in change.sets]]).decode()


def _document_line(change: Change) -> bytes:
    return _line(change.document_id)


def _rises(lines: Iterable[bytes]) -> bool:
    return all(first < second for first, second in pairwise(lines))


def plan_bytes(plan: Plan) -> bytes:
    """The one spelling of a sealed plan, as UTF-8 bytes ending in a newline."""
    assert plan.digest, "only a sealed plan has a spelling"
    return b"".join(_pieces(plan))


def save_plan(plan: Plan, path: Path) -> None:
    """Write a sealed plan so that the file is either whole or not there.

    Raises:
        FileThereError: Something stands at that path already.
        NoRoomError: The disk is full.
    """
    assert plan.digest, "only a sealed plan has a spelling"
    make_folder(path.parent)
    save_new(path, _pieces(plan))


def is_plan(path: Path) -> bool:
    """Whether a file begins like a plan, whatever may be wrong with it further down."""
    return b'"effects_digest"' in _head_of(path)


def is_plan_named(path: Path, digest: str) -> bool:
    """Whether a file begins like the plan of that digest, without reading more of it than that."""
    return f'"digest":"{digest}"'.encode() in _head_of(path)


def _head_of(path: Path) -> bytes:
    """How a file begins; nothing where it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(_HEAD_BYTES)
    except OSError:
        return b""


def load_plan(path: Path) -> Plan:
    """Read a plan file back.

    Raises:
        PlanFileError: The file cannot be read, is cut, changed, of another format, or has an unknown key.
    """
    return parse_plan(_data_of(path), name=path.name)


def open_plan(path: Path) -> tuple[Plan, Callable[[], None]]:
    """Read a plan file to look at it soon: its digest fits its bytes, and the rest of the check comes back as a call.

    The call holds the spelling and the digest of the effects to the content, as :func:`load_plan` does at once.

    Raises:
        PlanFileError: As for :func:`load_plan`, from here or from the call.
    """
    data = _data_of(path)
    with many_objects():
        plan, decoded = _built(data, path.name)
    return plan, lambda: _check_spelling(plan, decoded, data, path.name)


def _data_of(path: Path) -> bytes:
    try:
        if path.stat().st_size > SIZE_MAX_BYTES:
            raise PlanFileError(path=path.name, why="the file is larger than any plan")
        return path.read_bytes()
    except OSError as error:
        raise PlanFileError(path=path.name, why=f"the file cannot be read ({error.strerror})") from error


def parse_plan(data: bytes, *, name: str = "plan") -> Plan:
    """Read the bytes of a plan file; see :func:`load_plan`."""
    with many_objects():
        plan, decoded = _built(data, name)
        _check_spelling(plan, decoded, data, name)
        return plan


def _built(data: bytes, name: str) -> tuple[Plan, DecodedPlan]:
    """The plan that bytes hold, if the digest in them is theirs, and what it was made of."""
    try:
        decoded = decode_plan(data)
        content = decoded.content
    except (ValueError, RecursionError) as error:
        raise PlanFileError(path=name, why="this is not whole JSON, the file was cut or is no plan") from error
    if not isinstance(content, dict) or "effects_digest" not in content:
        raise PlanFileError(path=name, why="this is not a plan file")
    if content.get("format") != FORMAT:
        raise PlanFileError(
            path=name, why=f"format {content.get('format')!r} is not {FORMAT}, the one that this version of recon reads"
        )
    with _parts_of(name):
        plan = _plan(content)
        # The spelling is ours, so the bare plan that the digest names is these bytes without the digest in the head.
        bare = data.replace(b'"digest":"%b"' % plan.digest.encode(), b'"digest":""', 1)
    if sha256_hex(bare) != plan.digest:
        raise PlanFileError(path=name, why=_CHANGED)
    return plan, decoded


def _check_spelling(plan: Plan, decoded: DecodedPlan, data: bytes, name: str) -> None:
    with _parts_of(name):
        same = _is_spelled(_pieces(plan, decoded), data) and effects_digest(plan) == plan.effects_digest
    if not same:
        raise PlanFileError(path=name, why=_CHANGED)


def _is_spelled(pieces: Iterable[bytes], data: bytes) -> bool:
    """Whether pieces in a row are exactly these bytes; they are held to them one by one, without a second copy."""
    at = 0
    for piece in pieces:
        if not data.startswith(piece, at):
            return False
        at += len(piece)
    return at == len(data)


_CHANGED: Final = "the file was changed after it was made (its digest does not fit its content)"


@contextmanager
def _parts_of(name: str) -> Iterator[None]:
    """Tell a part that is missing or of a wrong type as what it is."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, AssertionError, RecursionError) as error:
        raise PlanFileError(path=name, why=f"a part is missing or of a wrong type ({type(error).__name__})") from error


class OfToken(Protocol):
    """What is about an amount of a token."""

    @property
    def chain_id(self) -> int | None:
        """On which chain."""

    @property
    def token(self) -> str | None:
        """Its contract."""

    @property
    def symbol(self) -> str | None:
        """Its symbol."""


def limit_of(change: OfToken, limits: Mapping[str, int]) -> int | None:
    """The limit for a change's token: by chain and contract, by contract, or by symbol; None when there is none.

    Decimals belong to the contract, so a limit in base units by symbol alone fits one of several tokens at most.
    """
    for key in (f"{change.chain_id}:{change.token}", change.token, f"{change.chain_id}:{change.symbol}", change.symbol):
        if key is not None and key in limits:
            return limits[key]
    return None


def finding_json(finding: Finding) -> dict[str, Any]:
    """A finding as the plan file spells it; amounts are text."""
    return {
        "payment_id": finding.payment_id,
        "verdict": finding.verdict,
        "findings": list(finding.findings),
        "tier": finding.tier,
        "severity": finding.severity,
        "age_s": finding.age_s,
        "fields": [
            {"field": view.field, "local": view.local, "provider": view.provider, "chain": view.chain}
            for view in finding.fields
        ],
        "difference": None if finding.difference_units is None else str(finding.difference_units),
        "value": str(finding.value_units),
        "provider": finding.provider,
        "chain_id": finding.chain_id,
        "token": finding.token,
        "symbol": finding.symbol,
        "decimals": finding.decimals,
        "reason": finding.reason,
        "evidence": list(finding.evidence),
    }


def change_json(change: Change) -> dict[str, Any]:
    """A change as the plan file spells it; amounts are text, values canonical Extended JSON."""
    return {
        "id": change.id,
        "payment_id": change.payment_id,
        "document_id": change.document_id,
        "verdict": change.verdict,
        "tier": change.tier,
        "set": [{"path": item.path, "before": item.before, "after": item.after} for item in change.sets],
        "guard": [{"path": term.path, "value": term.value} for term in change.guard],
        "parents": list(change.parents),
        "stamp_before": change.stamp_before,
        "evidence": list(change.evidence),
        "side_effects": list(change.side_effects),
        "value": str(change.value_units),
        "token": change.token,
        "symbol": change.symbol,
        "decimals": change.decimals,
        "chain_id": change.chain_id,
        "age_s": change.age_s,
        "reason": change.reason,
        **({"proof": [_term_json(term) for term in change.proof]} if change.proof else {}),
    }


def _term_json(term: ProofTerm) -> dict[str, Any]:
    return {
        "chain_id": term.chain_id,
        "tx_hash": term.tx_hash,
        "log_index": term.log_index,
        "block": term.block,
        "block_hash": term.block_hash,
        "final": term.is_final,
    }


def _pieces(plan: Plan, decoded: DecodedPlan | None = None) -> Iterator[bytes]:
    """The spelling of a plan piece by piece, so that a digest needs no second copy of it in memory.

    Args:
        decoded: What it was read from, which spells its findings and changes faster.
    """
    head = {
        "format": FORMAT,
        "digest": plan.digest,
        "effects_digest": plan.effects_digest,
        "kind": plan.kind,
        "tool_version": plan.tool_version,
        "created_at": plan.created_at,
        "expires_at": plan.expires_at,
        "target": asdict(plan.target),
        "policy_digest": plan.policy_digest,
        "snapshot": plan.snapshot,
        "window": plan.window,
        "parent": plan.parent,
        "run": plan.run,
        "picked": list(plan.picked),
        "summary": plan.summary,
        **({} if plan.balances is None else {"balances": plan.balances}),
        **({} if plan.ledger is None else {"ledger": plan.ledger}),
    }
    lists: dict[str, tuple[Sequence[Any], Callable[[Any], Any]]] = {
        "coverage": (plan.coverage, _as_it_is),
        "findings": (plan.findings, finding_json),
        "changes": (plan.changes, change_json),
        "left_alone": (plan.left_alone, _left_json),
    }
    yield b"{\n" + b",\n".join(f'"{key}":{canonical_json(value)}'.encode() for key, value in head.items())
    for key, (items, json_of) in lists.items():
        yield f',\n"{key}":['.encode()
        is_empty = True
        read = None if decoded is None else decoded.read.get(key)
        for lines in (_line(json_of(item)) for item in items) if read is None else _read_lines(read, items, json_of):
            yield (b"\n" if is_empty else b",\n") + lines
            is_empty = False
        yield b"]" if is_empty else b"\n]"
    yield b"\n}\n"


def _as_it_is(item: Any) -> Any:
    return item


def _left_json(item: LeftAlone) -> dict[str, Any]:
    return {"payment_id": item.payment_id, "verdict": item.verdict, "reason": item.reason}


def _read_lines(read: Sequence[Any], items: Sequence[Any], json_of: Callable[[Any], Any]) -> Iterator[bytes]:
    """The lines of items as they were read, a thousand at once; of those that need escapes, from the items."""
    for start in range(0, len(read), _AT_ONCE):
        lines = spelled_items(read[start : start + _AT_ONCE])
        if lines is None:
            lines = b",\n".join(_line(json_of(item)) for item in items[start : start + _AT_ONCE])
        yield lines


def _plan(content: Mapping[str, Any]) -> Plan:
    target: dict[str, Any] = {
        key: tuple(item) if isinstance(item, list) else item for key, item in content["target"].items()
    }
    return Plan(
        kind=str(content["kind"]),
        tool_version=str(content["tool_version"]),
        created_at=str(content["created_at"]),
        expires_at=str(content["expires_at"]),
        target=Target(**target),
        policy_digest=str(content["policy_digest"]),
        snapshot=str(content["snapshot"]),
        window=dict(content["window"]),
        coverage=tuple(content["coverage"]),
        summary=dict(content["summary"]),
        findings=tuple(item if isinstance(item, Finding) else _finding(item) for item in content["findings"]),
        changes=tuple(item if isinstance(item, Change) else _change(item) for item in content["changes"]),
        left_alone=tuple(
            LeftAlone(item["payment_id"], _VERDICTS[item["verdict"]], item["reason"]) for item in content["left_alone"]
        ),
        parent=content["parent"],
        run=content["run"],
        picked=tuple(content["picked"]),
        balances=dict(content["balances"]) if "balances" in content else None,
        ledger=dict(content["ledger"]) if "ledger" in content else None,
        digest=str(content["digest"]),
        effects_digest=str(content["effects_digest"]),
    )


def _finding(item: Mapping[str, Any]) -> Finding:
    return Finding(
        payment_id=item["payment_id"],
        verdict=_VERDICTS[item["verdict"]],
        findings=tuple([_VERDICTS[word] for word in item["findings"]]),
        tier=_TIERS[item["tier"]],
        severity=Severity(item["severity"]),
        reason=item["reason"],
        provider=item["provider"],
        chain_id=item["chain_id"],
        token=item["token"],
        symbol=item["symbol"],
        decimals=item["decimals"],
        age_s=item["age_s"],
        difference_units=None if item["difference"] is None else int(item["difference"]),
        value_units=int(item["value"]),
        fields=tuple([FieldView(v["field"], v["local"], v["provider"], v["chain"]) for v in item["fields"]]),
        evidence=tuple(item["evidence"]),
    )


def _change(item: Mapping[str, Any]) -> Change:
    return Change(
        id=item["id"],
        payment_id=item["payment_id"],
        document_id=item["document_id"],
        verdict=_VERDICTS[item["verdict"]],
        tier=_TIERS[item["tier"]],
        sets=tuple([FieldChange(e["path"], e["before"], e["after"]) for e in item["set"]]),
        guard=tuple([GuardTerm(e["path"], e["value"]) for e in item["guard"]]),
        parents=tuple(item["parents"]),
        stamp_before=item["stamp_before"],
        evidence=tuple(item["evidence"]),
        side_effects=tuple(item["side_effects"]),
        value_units=int(item["value"]),
        token=item["token"],
        symbol=item["symbol"],
        decimals=item["decimals"],
        chain_id=item["chain_id"],
        age_s=item["age_s"],
        reason=item["reason"],
        proof=tuple([_term(term) for term in item.get("proof", ())]),
    )


def _term(item: Mapping[str, Any]) -> ProofTerm:
    return ProofTerm(
        chain_id=item["chain_id"],
        tx_hash=item["tx_hash"],
        log_index=item["log_index"],
        block=item["block"],
        block_hash=item["block_hash"],
        is_final=item["final"],
    )
