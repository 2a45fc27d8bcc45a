"""Rows that are not there: money that came and that no row knows, and the row that a template makes of it.

A row is proposed only where the evidence is whole: one final transfer of a known token to an address of ours, and at
the most one object of a provider that goes with it. What only a person knows (buyer, order, offer) is asked for and
never made up. The row says that nothing is credited yet: the next plan judges it by the same evidence as any other.

>>> fill_names("{symbol} on {network}", {"symbol": "USDC", "network": "base"})
'USDC on base'
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from recon.core.canonical import sha256_hex
from recon.core.ids import reference_topic
from recon.core.model import OPEN, Verdict
from recon.core.money import format_units
from recon.core.registry import Registry
from recon.core.times import from_ms
from recon.core.values import changed_document, to_extended, value_at
from recon.repairs.deeds import Deed
from recon.repairs.plan import LeftOut, RepairPlan
from recon.runs.stores.documents import UniqueKey

Row = Mapping[str, Any]
_NAMES: Final = re.compile(r"\{([a-z_]{1,40})\}")
KEY_FIELDS: Final = ("reference", "request_id", "external_id", "tx_hash")
"""The logical fields whose values no other row may bear."""


@dataclass(frozen=True, slots=True)
class RowTemplate:
    """What a missing row is made of; see :class:`recon.setup.repair_sections.MissingSection`.

    Args:
        fields: By path a constant, or a text with names in braces.
        kinds: By path how the value is stored; text unless named.
        key_paths: By logical field, every path at which rows may hold it.
    """

    collection: str
    fields: Mapping[str, str | bool | int]
    kinds: Mapping[str, str] = field(default_factory=dict)
    optional: tuple[str, ...] = ()
    asks: tuple[str, ...] = ()
    key_paths: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MissingEvidence:
    """What is known of money that no row knows.

    Args:
        name: The finding's name.
        known: By name what the template may use; a name that is missing is not known.
        transfer: ``chain:hash:log`` of the one transfer.
    """

    name: str
    known: Mapping[str, str]
    transfer: str
    at: dt.datetime
    value_units: int
    token: str
    symbol: str
    decimals: int
    chain_id: int
    provider: str | None = None
    claim: str | None = None


@dataclass(frozen=True, slots=True)
class MissingFound:
    """One thing that no row knows: its evidence where that is whole, else why it is not."""

    name: str
    evidence: MissingEvidence | str


@dataclass(frozen=True, slots=True)
class MissingRows:
    """What no row knows, and the plan for what was named; None where nothing was named or nothing can be put in.

    Args:
        unread: Sources that the snapshot did not read whole.
    """

    found: tuple[MissingFound, ...]
    plan: RepairPlan | None
    left_out: tuple[LeftOut, ...] = ()
    unread: tuple[str, ...] = ()


def missing_evidence(
    name: str, *, transfers: Sequence[Row], claims: Sequence[Row], registry: Registry, ours: Collection[str]
) -> MissingEvidence | str:
    """What the lost rows of a snapshot say of one finding, or why that is not whole.

    Args:
        name: ``chain:...`` or ``provider:...``, as the finding is named.
        transfers, claims: What :func:`recon.verdicts.orphans.lost_rows` gives, as rows, with the transfers that such
            objects of providers lead to.
        ours: Our own addresses.
    """
    side, _, key = name.partition(":")
    claim = _row_of(claims, key) if side == "provider" else None
    if side == "provider" and claim is None:
        return "the snapshot shows no such object of a provider"
    mine = _rows_of(transfers, key) if claim is None else _transfers_of(claim, transfers)
    if len(mine) != 1:
        return _no_single(side, len(mine))
    (transfer,) = mine
    leading = [row for row in claims if _belongs(transfer, row)]
    if len(leading) > 1:
        return "several objects of a provider lead to this transfer, so whose money it is cannot be told"
    return _whole(name, transfer, claim or next(iter(leading), None), registry=registry, ours=ours)


def _rows_of(rows: Sequence[Row], key: str) -> list[Row]:
    return [row for row in rows if row["key"] == key]


def _row_of(rows: Sequence[Row], key: str) -> Row | None:
    return next(iter(_rows_of(rows, key)), None)


def _transfers_of(claim: Row, transfers: Sequence[Row]) -> list[Row]:
    return _one_each([row for row in transfers if _belongs(row, claim)])


def _bears_reference(transfer: Row, claim: Row | None) -> bool:
    """Whether a log bears the reference of an object of our own account: then it went where we had it sent."""
    if claim is None or claim["reference"] is None or transfer["reference_topic"] is None:
        return False
    return bool(reference_topic(claim["reference"]) == transfer["reference_topic"])


def _one_each(transfers: Sequence[Row]) -> list[Row]:
    """Each movement once: of a proxy's log and the token's own of the same money the proxy's, which says for whom."""
    logged = {_movement(row) for row in transfers if row["reference_topic"] is not None}
    return [row for row in transfers if row["reference_topic"] is not None or _movement(row) not in logged]


def _movement(row: Row) -> tuple[Any, ...]:
    return row["chain_id"], row["tx_hash"], row["recipient"], row["token"], row["amount_units"]


def _no_single(side: str, found: int) -> str:
    if found:
        return "several transfers lead to it, so which one it is cannot be told"
    if side == "provider":
        return "a provider's word alone is no proof: no transfer to us that goes with it was read"
    return "the snapshot shows no such transfer"


def _belongs(transfer: Row, claim: Row) -> bool:
    """Whether an object of a provider leads to a transfer: by its hash, or by the reference in its log."""
    return transfer["tx_hash"] in (claim["tx_hashes"] or "").split() or _bears_reference(transfer, claim)


def _whole(
    name: str, transfer: Row, claim: Row | None, *, registry: Registry, ours: Collection[str]
) -> MissingEvidence | str:
    if transfer["recipient"] not in ours and not _bears_reference(transfer, claim):
        return f"it went to {transfer['recipient']}, which merchant.recipients does not name as ours"
    token = registry.tokens.get((transfer["chain_id"], transfer["token"] or ""))
    if why := _doubt(transfer, claim, token):
        return why
    assert token is not None, "an unknown token is a doubt"
    units, chain = int(transfer["amount_units"]), registry.chains.get(transfer["chain_id"])
    at = from_ms(int(transfer["block_time"]))
    said = {} if claim is None else claim
    known = {
        "provider": said.get("provider"),
        "request_id": said.get("request_id"),
        "reference": said.get("reference"),
        "external_id": said.get("external_id"),
        "chain_id": str(transfer["chain_id"]),
        "network": None if chain is None else chain.name,
        "token": token.address,
        "symbol": token.symbol,
        "amount": format_units(units, decimals=token.decimals),
        "amount_units": str(units),
        "recipient": transfer["recipient"],
        "sender": transfer["sender"],
        "tx_hash": transfer["tx_hash"],
        "at": at.isoformat().replace("+00:00", "Z"),
    }
    return MissingEvidence(
        name=name,
        known={key: str(value) for key, value in known.items() if value is not None},
        transfer=str(transfer["key"]),
        at=at,
        value_units=units,
        token=token.address,
        symbol=token.symbol,
        decimals=token.decimals,
        chain_id=int(transfer["chain_id"]),
        provider=said.get("provider"),
        claim=None if claim is None else str(claim["key"]),
    )


def _doubt(transfer: Row, claim: Row | None, token: object) -> str:
    """Why evidence is not whole; empty where nothing speaks against it."""
    if transfer["final"] is not True:
        return "its transfer is not final yet"
    if token is None or transfer["amount_units"] is None or transfer["block_time"] is None:
        return "its token, amount or time is not known exactly"
    if claim is None and transfer["reference_topic"] is not None:
        return "its log bears a payment reference, and no object of a provider says which one that is"
    if claim is not None and claim["paid_units"] is not None and claim["paid_units"] != transfer["amount_units"]:
        return "the provider and the chain say different amounts"
    return ""


def fill_names(text: str, known: Mapping[str, str]) -> str | None:
    """A text with its names filled in; None where one of them is not known."""
    if any(name not in known for name in _NAMES.findall(text)):
        return None
    return _NAMES.sub(lambda found: known[found[1]], text)


def template_names(template: RowTemplate) -> frozenset[str]:
    """Every name that a template uses."""
    return frozenset(
        name for value in template.fields.values() if isinstance(value, str) for name in _NAMES.findall(value)
    )


def propose_row(evidence: MissingEvidence, template: RowTemplate, *, given: Mapping[str, str]) -> Deed | str:
    """The deed that puts a missing row in, or why there is none.

    Args:
        given: What a person said, by the names of ``template.asks``.
    """
    unsaid = sorted((template_names(template) & set(template.asks)) - set(given))
    if unsaid:
        return f"it needs {', '.join(unsaid)}, which only a person knows: give each with --give NAME=VALUE"
    known = {**evidence.known, **given}
    document: dict[str, Any] = {"_id": row_id(evidence)}
    for path, said in sorted(template.fields.items()):
        text = fill_names(said, known) if isinstance(said, str) else said
        if text is None:
            if path in template.optional:
                continue
            missing = sorted(set(_NAMES.findall(str(said))) - set(known))
            return f"the evidence does not have {', '.join(missing)}, which {path} is made of"
        value = exact_value(text, template.kinds.get(path, "text" if isinstance(text, str) else ""))
        if value is None:
            return f"{path} would be {str(text)[:60]!r}, which cannot be stored exactly as {template.kinds.get(path)}"
        document = changed_document(document, {path: value})
    if value_at(document, "status") not in OPEN:
        return 'the template must make an open row ("status" one of pending, processing): nothing is credited by it'
    return _deed(evidence, template, document, known)


def _deed(evidence: MissingEvidence, template: RowTemplate, document: dict[str, Any], known: Mapping[str, str]) -> Deed:
    said = (f"transfer {evidence.transfer}", *([f"claim {evidence.claim}"] if evidence.claim else []))
    return Deed(
        kind="insert",
        collection=template.collection,
        payment_id=evidence.name,
        finding=str(Verdict.MISSING_LOCAL),
        reason=f"{evidence.known['amount']} {evidence.symbol} came to us in {evidence.transfer} and no row knows it.",
        documents=(to_extended(document),),
        times=("createdAt", "updatedAt"),
        unique=tuple(_keys(template, known)),
        evidence=said,
        value=str(evidence.value_units),
        token=evidence.token,
        symbol=evidence.symbol,
        decimals=evidence.decimals,
        chain_id=evidence.chain_id,
    )


def _keys(template: RowTemplate, known: Mapping[str, str]) -> Iterator[UniqueKey]:
    for name in KEY_FIELDS:
        value, paths = known.get(name), template.key_paths.get(name, ())
        if value and paths:
            yield UniqueKey(paths, tuple(sorted(_spellings(value))), field=name)


def _spellings(value: str) -> set[str]:
    """A key as backends write it: hexadecimal digits in either case, with and without the sign before them."""
    bare = value.removeprefix("0x")
    if not re.fullmatch(r"[0-9a-fA-F]{8,}", bare):
        return {value}
    cases = {bare, bare.lower(), bare.upper()}
    return {value} | cases | {f"0x{each}" for each in cases}


def row_id(evidence: MissingEvidence) -> Any:
    """The ``_id`` of a missing row: the same for the same transfer, so that there cannot be two of it."""
    from bson import ObjectId

    seconds = int(evidence.at.timestamp()) & 0xFFFFFFFF
    return ObjectId(f"{seconds:08x}{sha256_hex(f'recon missing {evidence.transfer}')[:16]}")


def exact_value(text: str | bool | int, kind: str) -> Any:
    """A value as it is stored; None where it would not be exactly what was said."""
    if isinstance(text, bool) or (isinstance(text, int) and kind in ("", "int")):
        return text
    makers = {
        "text": str, "objectid": _object_id, "double": _double, "decimal": _decimal128, "int": _integer, "date": _date,
        "bool": {"true": True, "false": False}.get,
    }  # fmt: skip
    try:
        return makers[kind or "text"](str(text))  # type: ignore[operator]
    except (ValueError, ArithmeticError, KeyError):
        return None


def _object_id(text: str) -> Any:
    from bson import ObjectId
    from bson.errors import InvalidId

    try:
        return ObjectId(text)
    except InvalidId:
        return None


def _double(text: str) -> float | None:
    number = float(text)
    return number if Decimal(repr(number)) == Decimal(text) else None


def _decimal128(text: str) -> Any:
    from bson.decimal128 import Decimal128

    made = Decimal128(Decimal(text))
    return made if made.to_decimal() == Decimal(text) else None


def _integer(text: str) -> int | None:
    return int(text) if re.fullmatch(r"-?[0-9]{1,18}", text) else None


def _date(text: str) -> dt.datetime | None:
    found = dt.datetime.fromisoformat(text.replace("Z", "+00:00"))
    return found if found.tzinfo is not None else None
