"""Writes a seeded world as plain tables: payments, provider objects, transfers, and the referee's truth."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from recon.core.stored_times import read_stored_time
from recon.core.times import from_ms, millisecond_text
from recon.simulation import PLANTS, World, generate_world, write_world
from recon.simulation.account import is_readable, word_at
from recon.simulation.ledger_truth import Affair, MovedMoney, WorldFacts
from recon.simulation.referee import Ruling, rule_on

RARE: Final = 0.0005
PAYMENTS: Final = (
    "payment_id", "provider", "direction", "status", "escrow_state", "amount_units", "decimals", "currency",
    "chain_id", "token", "recipient", "request_id", "reference", "external_id", "tx_hash", "confirmations", "disputed",
    "buyer", "order", "offer", "created_at", "updated_at", "expires_at",
)  # fmt: skip
OBJECTS: Final = ("provider", "key", "state", "tx_hashes")
TRANSFERS: Final = (
    "transfer", "chain_id", "tx_hash", "log_index", "block", "at", "token", "units", "sender", "recipient", "told_by",
    "reference", "is_final",
)  # fmt: skip
TRUTH: Final = ("payment_id", "verdicts", "matched_transfers", "would_write", "planted")


def write_benchmark(out: Path, *, payments: int, seed: int) -> World:
    """Write a world below ``out``: each table as CSV and Parquet, and the same world as ``recon`` reads it."""
    rates = {name: plant.rate or RARE for name, plant in PLANTS.items()}
    world = generate_world(payments=payments, seed=seed, breaks=rates)
    assert world.facts is not None
    out.mkdir(parents=True, exist_ok=False)
    write_world(World(world.recorded, ()), out / "world")
    (out / "world" / "truth.ndjson").unlink()
    planted = {truth.payment_id: truth.planted for truth in world.truths}
    _table(out / "payments", PAYMENTS, map(payment_row, world.facts.affairs))
    _table(out / "provider_objects", OBJECTS, object_rows(world.facts))
    _table(out / "transfers", TRANSFERS, map(transfer_row, _shown(world.facts)))
    _table(out / "truth", TRUTH, truth_rows(world.facts, planted))
    return world


def _table(path: Path, names: tuple[str, ...], rows: Iterable[Mapping[str, str]]) -> None:
    listed = list(rows)
    with path.with_suffix(".csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(listed)
    columns = {name: pa.array([row[name] for row in listed], pa.string()) for name in names}
    pq.write_table(pa.table(columns), path.with_suffix(".parquet"))


def _time(value: Any) -> str:
    """UTC, however it is stored; what is no certain time stands as it is."""
    if value is None:
        return ""
    if not isinstance(value, datetime):
        read = read_stored_time(value)
        if read is None:
            return str(value)
        value = from_ms(read.ms)
    return millisecond_text(value.astimezone(UTC))


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def payment_row(affair: Affair) -> dict[str, str]:
    """A row as the shop would export it; what cannot be read is left blank."""
    document = affair.document

    def said(path: str) -> str:
        return _text(word_at(document, path))

    readable = is_readable(affair)
    raw = said("blockchain.transactionHash")
    return {
        "payment_id": affair.payment_id,
        "provider": said("provider"),
        "direction": said("direction") or "in",
        "status": said("status"),
        "escrow_state": said("escrowState"),
        "amount_units": str(affair.owed_units) if readable else "",
        "decimals": str(affair.decimals) if readable else "",
        "currency": said("amount.currency"),
        "chain_id": str(affair.chain_id) if readable else "",
        "token": affair.token if readable else "",
        "recipient": affair.recipient if readable else "",
        "request_id": "|".join(affair.request_ids),
        "reference": "|".join(affair.references),
        "external_id": _text(affair.external_id),
        "tx_hash": raw.lower() if raw.startswith(("0x", "0X")) else raw,
        "confirmations": said("blockchain.confirmations"),
        "disputed": "yes" if word_at(document, "disputed") is True or word_at(document, "disputeId") else "no",
        "buyer": said("buyerId"),
        "order": said("purchaseRequestId"),
        "offer": said("sellerOfferId"),
        "created_at": _time(word_at(document, "createdAt")),
        "updated_at": _time(word_at(document, "updatedAt")),
        "expires_at": _time(word_at(document, "expiresAt")),
    }


def object_rows(facts: WorldFacts) -> Iterable[dict[str, str]]:
    """What providers say: of each payment, and of what they call paid and no row knows."""
    known = set()
    for affair in facts.affairs:
        key = "|".join(affair.request_ids) or _text(affair.external_id)
        known.update((affair.rail, one) for one in key.split("|"))
        if not affair.word.answers:
            yield {"provider": affair.rail, "key": key, "state": "no answer", "tx_hashes": ""}
        for state in affair.word.objects:
            hashes = "|".join(dict.fromkeys(affair.word.tx_hashes))
            yield {"provider": affair.rail, "key": key, "state": state, "tx_hashes": hashes}
    for item in facts.objects:
        if (item.rail, item.identity) not in known:
            yield {"provider": item.rail, "key": item.identity, "state": "paid", "tx_hashes": ""}


def _shown(facts: WorldFacts) -> list[MovedMoney]:
    """What the chains show, sorted: what reverted or was reorganised away has no transfer."""
    moved = [one for affair in facts.affairs for _, one in affair.money] + list(facts.loose)
    return sorted((one for one in moved if one.stands), key=lambda one: (one.chain_id, one.block, one.log_index))


def transfer_row(moved: MovedMoney) -> dict[str, str]:
    """One transfer, by what its token moved."""
    return {
        "transfer": moved.key,
        "chain_id": str(moved.chain_id),
        "tx_hash": moved.tx_hash,
        "log_index": str(moved.log_index),
        "block": str(moved.block),
        "at": _time(moved.at_ms),
        "token": moved.token,
        "units": str(moved.units),
        "sender": moved.sender,
        "recipient": moved.recipient,
        "told_by": moved.told_by,
        "reference": _text(moved.reference),
        "is_final": "yes" if moved.is_final and moved.depth >= 12 else "no",
    }


def truth_rows(facts: WorldFacts, planted: Mapping[str, str]) -> Iterable[dict[str, str]]:
    """The referee's rulings, and which transfers were truly meant for a payment and reached it."""
    affairs = {affair.payment_id: affair for affair in facts.affairs}
    for ruling in rule_on(facts):
        affair = affairs.get(ruling.payment_id)
        own = [ruling.payment_id] if ruling.payment_id.startswith("chain:") else []
        meant = [one.key for purpose, one in affair.money if purpose == "pay" and one.stands] if affair else own
        yield {
            "payment_id": ruling.payment_id,
            "verdicts": "|".join(ruling.verdicts),
            "matched_transfers": "|".join(sorted(meant)),
            "would_write": write_text(ruling),
            "planted": planted.get(ruling.payment_id, ""),
        }


def write_text(ruling: Ruling) -> str:
    """A write as ``field=value`` pairs, sorted, joined by semicolons."""
    return ";".join(f"{path}={value}" for path, value in sorted((ruling.write or {}).items()))
