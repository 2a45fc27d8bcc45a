"""What both providers share: the codes that a claim can carry, and turning claim rows into a sorted reading. No I/O."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from recon.core.ids import normalise_reference, reference_topic
from recon.core.money import UNITS_MAX
from recon.core.tables import table_of
from recon.core.text import clean_text
from recon.sources.interface import ClaimKey, Coverage, Gap, Reading

CLAIM_PROBLEMS: Final[dict[str, str]] = {
    "unknown_word": "the provider's state word is unknown; state_raw quotes it",
    "state_missing": "the answer does not say whether it was paid",
    "state_conflict": "the answer contradicts itself about being paid",
    "sum_disagrees": "the amounts of one answer do not follow from each other",
    "state_disagrees": "the state word does not follow from the fiat amounts in the same answer",
    "amount_unreadable": "an amount is no finite decimal, or finer than the token's smallest unit",
    "amount_too_large": "an amount has more than 37 digits",
    "magnitude": "an amount may be in whole tokens or in base units, or was read as base units",
    "float_noise": "an amount went through a float and cannot be restored exactly",
    "network_unknown": "a network word is unknown",
    "token_unknown": "a currency is no token known on its chain",
    "coin_out_of_scope": "a coin has no chain and token in the settings",
    "several_networks": "the payments of one request arrived on several chains",
    "several_tokens": "the payments of one object came in several tokens",
    "several_invoices": "one external id has several invoices",
    "payments_unread": "the single payments could not be read, so amounts and networks are missing",
    "request_missing": "a payment does not say which request it belongs to",
    "reference_conflict": "the answers name several payment references for one request",
    "changed_while_reading": "the same object was read with different contents",
    "hash_unreadable": "a transaction hash is none",
    "external_id_missing": "an invoice has no external id",
    "stale_unconfirmed": "an unconfirmed transaction stands beside confirmed ones and is never removed",
    "credit_lost": "a confirmed transaction is there and the invoice was not credited",
    "shared_entry": "one movement names several payments, and nothing tells how much is for each",
    "shared_tx": "the same transaction stands on several invoices",
    "refund_noted": "a payment's note says refund, so it is not summed up",
    "ended_unpaid": "it ended without having been paid for, so it does nothing more; what its payer sent is not told",
    "object_refused": "the provider answers, and refuses to tell of this one object",
    "billing_missing": "it is delivered and names nothing by which it was billed",
    "outgoing": "a transaction that belongs to no invoice, so money that went out",
    "in_progress_may_be_stale": "the provider stops watching after 24 h, so this word is no evidence either way",
}
"""Codes in ``claims.problem`` and what they mean."""

Row = dict[str, object]

_ISO = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:?\d{2})\Z")


@dataclass(frozen=True, slots=True)
class Said:
    """What a provider said about one object: its row in ``claims`` and its rows in ``claim_txs``."""

    claim: Row
    txs: tuple[Row, ...] = ()


def reading_of(said: Iterable[Said], *, coverage: Sequence[Coverage], gaps: Sequence[Gap] = ()) -> Reading:
    """Tables sorted by key, one row for each object; the same rows in any order give the same tables."""
    kept = {_key(one): one for one in sorted(said, key=_rank)}
    txs = [row for key in sorted(kept) for row in sorted(kept[key].txs, key=_tx_order)]
    tables = {
        "claims": table_of("claims", [kept[key].claim for key in sorted(kept)]),
        "claim_txs": table_of("claim_txs", txs),
    }
    return Reading(tables=tables, coverage=tuple(coverage), gaps=tuple(gaps))


def _key(said: Said) -> tuple[str, str]:
    return str(said.claim["object"]), str(said.claim["claim_id"])


def _rank(said: Said) -> tuple[bool, str, str]:
    """Where one object was read twice, the row that was found, and then the later reading, comes last and stays."""
    row = said.claim
    return row["outcome"] == "found", str(row.get("looked_up_at") or 0).zfill(16), str(row.get("digest") or "")


def _tx_order(row: Row) -> tuple[str, ...]:
    return tuple(str(row.get(key)) for key in ("chain_id", "tx_hash", "recipient", "amount_units", "confirmed"))


def problem_text(codes: Iterable[str]) -> str | None:
    """Codes as the table holds them: sorted, once each, separated by a space; None when there is none."""
    chosen = sorted(set(codes))
    assert all(code in CLAIM_PROBLEMS for code in chosen), chosen
    return " ".join(chosen) or None


def failed_row(provider: str, key: ClaimKey, *, claim_id: str, reason: str, at_ms: int, kind: str) -> Row:
    """A claim row that says: could not ask. Never read it as "not paid"."""
    return {
        **_key_row(provider, key, claim_id, at_ms, kind),
        "outcome": "failed",
        "error": clean_text(reason, limit=400),
    }


def not_found_row(provider: str, key: ClaimKey, *, claim_id: str, at_ms: int, kind: str) -> Row:
    """A claim row that says: the provider was asked and does not know it."""
    return {**_key_row(provider, key, claim_id, at_ms, kind), "outcome": "not_found"}


def _key_row(provider: str, key: ClaimKey, claim_id: str, at_ms: int, kind: str) -> Row:
    reference = normalise_reference(key.reference) if key.reference else None
    return {
        "provider": provider,
        "claim_id": claim_id,
        "object": kind,
        "request_id": key.request_id,
        "reference": reference,
        "reference_topic": reference_topic(reference) if reference else None,
        "external_id": key.external_id,
        "looked_up_at": at_ms,
    }


def digest_of(value: Any) -> str:
    """Sha256 of JSON with sorted keys, so that the order of an answer does not matter."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def fits(units: int) -> bool:
    """Whether an amount fits a frame; a longer one is a problem and never truncated."""
    return bool(abs(units) <= UNITS_MAX)


def text_or_none(value: object, *, limit: int = 200) -> str | None:
    """An outside id or word as clean text; numbers are written out, empty and other things are None."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    return clean_text(value, limit=limit) or None


def int_or_none(value: object) -> int | None:
    """A whole number that is not negative, written as a number or as digits; anything else is None."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value if 0 <= value < 10**15 else None
    is_digits = isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 15
    return int(str(value)) if is_digits else None


def parse_ms(value: object) -> int | None:
    """An ISO 8601 time with its zone as UTC milliseconds, or None."""
    if not isinstance(value, str) or len(value) > 40 or not _ISO.match(value):
        return None
    try:
        at = datetime.fromisoformat(value).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    since = at - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1000 + since.microseconds // 1000


def iso_of(at_ms: int) -> str:
    """UTC milliseconds as ``2026-11-20T12:00:00.000Z``."""
    seconds, rest = divmod(at_ms, 1000)
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S") + f".{rest:03d}Z"


def dicts_of(value: object) -> list[Mapping[str, Any]]:
    """The objects in a list; what is no object, or no list, is left out."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
