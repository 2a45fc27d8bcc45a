"""One payment's history in UTC, merged from everything that carries a time. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from recon.core.times import parse_iso_ms
from recon.investigation.payment.dossier import Row
from recon.investigation.payment.facts import Facts
from recon.investigation.payment.signs import transfer_text

EVENTS_MAX: Final = 500
_DATE_FIELDS: Final = 40


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened.

    Args:
        at_ms: UTC milliseconds.
        source: ``document``, ``chain:56``, the provider, ``delivery`` or ``journal``.
        says: What, as one sentence; text from outside is as it was.
    """

    at_ms: int
    source: str
    says: str


class Timeline(tuple[Event, ...]):
    """Events, oldest first; a type of its own so that a notebook shows them as a table."""

    __slots__ = ()


def timeline_of(facts: Facts) -> Timeline:
    """Everything with a time, oldest first; ties by source and text."""
    events = [*_document(facts), *_chain(facts), *_provider(facts), *_deliveries(facts), *_journal(facts)]
    return Timeline(sorted(events, key=lambda each: (each.at_ms, each.source, each.says))[:EVENTS_MAX])


def _document(facts: Facts) -> Iterator[Event]:
    row = facts.payment
    expected = facts.amount(row["expected_units"])
    stored = dict(_dates(facts.dossier.document))
    state = f"status {row['status_raw'] or 'unset'}, escrowState {row['escrow_state'] or 'unset'}"
    for name, path, text in (
        ("dated_at", "createdAt", f"payment made, {expected} due, direction {row['direction']}"),
        ("updated_at", "updatedAt", f"row last changed; {state}"),
        ("expires_at", "expiresAt", "payment expires"),
    ):
        stored.pop(path, None)
        if row[name] is not None:
            yield Event(row[name], "document", text)
    if row["created_at"] is not None and row["created_at"] != row["dated_at"]:
        yield Event(row["created_at"], "document", "its _id was made; the payment may be older than its createdAt")
    for path, at_ms in stored.items():
        yield Event(at_ms, "document", path)


def _dates(document: Mapping[str, Any] | None) -> list[tuple[str, int]]:
    """Every date in the document with its path, to a bound."""
    found: list[tuple[str, int]] = []
    waiting: list[tuple[str, Any]] = [("", document)]
    while waiting and len(found) < _DATE_FIELDS:
        path, value = waiting.pop(0)
        if not isinstance(value, Mapping):
            continue
        if set(value) == {"$date"}:
            inner = value["$date"]
            text = inner.get("$numberLong") if isinstance(inner, Mapping) else None
            if isinstance(text, str) and text.lstrip("-").isdigit() and len(text) < 18:
                found.append((path, int(text)))
            continue
        waiting += [(f"{path}.{key}" if path else str(key), inner) for key, inner in list(value.items())[:100]]
    return found


def _chain(facts: Facts) -> Iterator[Event]:
    links = {(link["t_chain"], link["t_tx"], link["t_log"]): link for link in facts.judged.links}
    for key, link in links.items():
        row = facts.transfers.get(key)
        if link["t_time"] is not None:
            yield Event(link["t_time"], f"chain:{key[0]}", f"{_role(link)}: {_moved(facts, row, link)}")
    strays = [*facts.strays, *facts.at_forwarder]
    for row in strays:
        if row["block_time"] is not None and (row["chain_id"], row["tx_hash"], row["log_index"]) not in links:
            kind = "money at the forwarder" if row["recipient"] in facts.forwarders else "unexplained money"
            yield Event(row["block_time"], f"chain:{row['chain_id']}", f"{kind}: {transfer_text(facts, row)}")
    for row in facts.dossier.rows("transactions"):
        if row["block_time"] is not None and row["outcome"] == "reverted":
            yield Event(row["block_time"], f"chain:{row['chain_id']}", f"transaction {row['tx_hash']} failed")


def _role(link: Row) -> str:
    if link["is_valid"]:
        return "payment, final" if link["t_final"] else "payment, not final yet"
    return "refund" if link["is_refund"] else "money that does not fit"


def _moved(facts: Facts, row: Row | None, link: Row) -> str:
    return transfer_text(facts, row) if row else f"{link['t_tx']}:{link['t_log']}"


def _provider(facts: Facts) -> Iterator[Event]:
    for claim in facts.claims:
        name = f"{claim['provider']} {claim['object']} {claim['claim_id']}"
        if claim["created_at"] is not None:
            yield Event(claim["created_at"], str(claim["provider"]), f"{name}, by the provider's own time")
        if claim["looked_up_at"] is not None:
            said = claim["state_raw"] or claim["state"] or claim["outcome"]
            yield Event(claim["looked_up_at"], str(claim["provider"]), f"{name} asked: {said}")


def _deliveries(facts: Facts) -> Iterator[Event]:
    for row in facts.deliveries:
        if row["received_at"] is not None:
            answer = f"HTTP {row['http_status']}" if row["http_status"] is not None else "not answered"
            dead = ", dead letter" if row["dead_letter"] else ""
            wrong = ", signature wrong" if row["signature_valid"] is False else ""
            said = f"{row['event'] or 'event'} {row['delivery_id']}, try {row['attempt'] or 0}: {answer}{dead}{wrong}"
            yield Event(row["received_at"], "delivery", said)


def _journal(facts: Facts) -> Iterator[Event]:
    for entry in facts.dossier.journal:
        at_ms = parse_iso_ms(str(entry["at"]))
        if at_ms is not None:
            yield Event(at_ms, "journal", f"run {entry['run']}: {entry['kind']} {entry['says']}".rstrip())
