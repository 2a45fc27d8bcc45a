"""Documents and table rows with every field defaulted, so that a test spells out only what matters to it.

Everything with the same number belongs together: payment document 7, payment row 7, claim 7 and transfer 7 are one
payment of 12.5 USDC on BNB Chain through Request Network, covered, complete and in sync, an hour before :data:`NOW_MS`.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from bson import ObjectId

from recon.core.ids import payment_id_text, reference_topic
from recon.core.registry import load_registry
from recon.core.tables import TABLES, table_of

if TYPE_CHECKING:
    import pyarrow as pa

NOW_MS: Final = 1_795_176_000_000
"""2026-11-20T12:00:00Z."""
HOUR_MS: Final = 3_600_000
CHAIN: Final = 56
USDC: Final = "0x8ac76a51cc950d9822d68b83fe1ad97b32cd580d"
USDT: Final = "0x55d398326f99059ff775485246999027b3197955"
UNITS: Final = 125 * 10**17
RECIPIENT: Final = "0x" + "a1" * 20
PAYER: Final = "0x" + "b2" * 20
FEE_RECIPIENT: Final = "0x" + "fe" * 20
PROXY: Final = load_registry().emitters_of(CHAIN, kind="fee_proxy")[-1].address
HEAD: Final = 70_000_000
"""Newest block of the chain at :data:`NOW_MS`."""

GONE: Final = object()
"""As a value in ``changes``: the field is not there at all."""

Row = dict[str, object]


def _digits(kind: str, number: int, size: int) -> str:
    return hashlib.sha256(f"{kind} {number}".encode()).hexdigest()[: 2 * size]


def object_id(number: int) -> ObjectId:
    """The ``_id`` of payment ``number``."""
    return ObjectId(f"{0x665F1C2E00000000 + number:024x}")


def payment_id(number: int) -> str:
    """The same as text."""
    return payment_id_text(object_id(number))


def request_id(number: int) -> str:
    """Request id of payment ``number``, 66 hex digits."""
    return "01" + _digits("request", number, 32)


def reference(number: int) -> str:
    """Payment reference of payment ``number``, 16 hex digits."""
    return _digits("reference", number, 8)


def tx_hash(number: int) -> str:
    """Hash of the transaction that paid payment ``number``."""
    return "0x" + _digits("transaction", number, 32)


def at(ms: int) -> datetime:
    """UTC milliseconds as the aware time MongoDB gives."""
    return datetime.fromtimestamp(ms / 1000, UTC)


def payment_document(number: int = 1, changes: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A Payment document as mongoose stores it.

    Args:
        number: Which payment.
        changes: Dotted path to value; :data:`GONE` takes the field away.
    """
    document: dict[str, Any] = {
        "_id": object_id(number),
        "purchaseRequestId": ObjectId(_digits("order", number, 12)),
        "sellerOfferId": ObjectId(_digits("offer", number, 12)),
        "buyerId": ObjectId(_digits("buyer", number, 12)),
        "sellerId": ObjectId(_digits("seller", 1, 12)),
        "amount": {"amount": 12.5, "currency": "USDC"},
        "provider": "request.network",
        "direction": "in",
        "status": "completed",
        "escrowState": "funded",
        "blockchain": {
            "network": "bsc", "transactionHash": tx_hash(number), "receiver": RECIPIENT, "confirmations": 12,
        },
        "metadata": {"requestNetwork": {"requestId": request_id(number), "paymentReference": reference(number)}},
        "createdAt": at(NOW_MS - 2 * HOUR_MS),
        "updatedAt": at(NOW_MS - HOUR_MS),
        "__v": 0,
    }  # fmt: skip
    for path, value in (changes or {}).items():
        _set(document, path.split("."), value)
    return document


def _set(document: dict[str, Any], path: Sequence[str], value: Any) -> None:
    for name in path[:-1]:
        document = document.setdefault(name, {})
    if value is GONE:
        document.pop(path[-1], None)
    else:
        document[path[-1]] = copy.deepcopy(value)


def shkeeper_document(number: int = 1, changes: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A Payment document of SHKeeper: a deposit address and the payment's own id as external id."""
    base: dict[str, Any] = {
        "provider": "shkeeper",
        "metadata": {"externalId": payment_id(number), "walletAddress": deposit_address(number)},
        "blockchain.receiver": GONE,
    }
    return payment_document(number, {**base, **(changes or {})})


def deposit_address(number: int) -> str:
    """One-time address of payment ``number``."""
    return "0x" + _digits("deposit", number, 20)


def _row(table: str, defaults: Row, given: Mapping[str, object]) -> Row:
    unknown = set(given).difference(TABLES[table])
    assert not unknown, f"{table} has no column {unknown}"
    return {**dict.fromkeys(TABLES[table]), **defaults, **given}


def payment_row(number: int = 1, **given: object) -> Row:
    """A row of the payments table: covered exactly, complete."""
    expected = given.get("expected_units", UNITS)
    assert isinstance(expected, int) or expected is None
    shown = given.get("reference", reference(number))
    defaults: Row = {
        "payment_id": payment_id(number), "id_type": "objectId", "provider": "request_network",
        "provider_raw": "request.network", "direction": "in", "status": "completed", "status_raw": "completed",
        "escrow_state": "funded", "disputed": False, "hold": False, "is_test": False, "expected_units": expected,
        "covered_from_units": expected, "overpaid_from_units": None if expected is None else expected + 1,
        "amount_text": "12.5", "currency": "USDC", "token": USDC, "decimals": 18, "chain_id": CHAIN,
        "network_raw": "bsc", "recipient": RECIPIENT, "is_deposit": False, "reference": shown,
        "reference_topic": reference_topic(str(shown)) if shown else None, "request_id": request_id(number),
        "tx_hash": tx_hash(number), "simulated": False, "confirmations": 12, "aml_blocked": False,
        "buyer_id": _digits("buyer", number, 12), "order_id": _digits("order", number, 12),
        "offer_id": _digits("offer", number, 12), "created_at": NOW_MS - 2 * HOUR_MS, "updated_at": NOW_MS - HOUR_MS,
        "digest": _digits("document", number, 32),
    }  # fmt: skip
    return _row("payments", defaults, given)


def claim_row(number: int = 1, **given: object) -> Row:
    """What Request Network says of payment ``number``: paid."""
    defaults: Row = {
        "provider": "request_network", "claim_id": request_id(number), "object": "request", "outcome": "found",
        "request_id": request_id(number), "reference": reference(number),
        "reference_topic": reference_topic(reference(number)), "state": "paid", "state_raw": "paid",
        "paid_units": UNITS, "token": USDC, "chain_id": CHAIN, "recipient": RECIPIENT, "tx_hashes": tx_hash(number),
        "detection_source": "request-network", "created_at": NOW_MS - 2 * HOUR_MS, "looked_up_at": NOW_MS,
        "digest": _digits("claim", number, 32),
    }  # fmt: skip
    return _row("claims", defaults, given)


def claim_tx_row(number: int = 1, **given: object) -> Row:
    """A transaction that the claim names."""
    defaults: Row = {
        "provider": "request_network", "claim_id": request_id(number), "request_id": request_id(number),
        "chain_id": CHAIN, "tx_hash": tx_hash(number), "recipient": RECIPIENT, "amount_units": UNITS, "confirmed": True,
    }  # fmt: skip
    return _row("claim_txs", defaults, given)


def transfer_row(number: int = 1, **given: object) -> Row:
    """The payment on the chain: one log of the fee proxy, final."""
    defaults: Row = {
        "chain_id": CHAIN, "tx_hash": tx_hash(number), "log_index": 2, "block": HEAD - 4800,
        "block_hash": "0x" + _digits("block", HEAD - 4800, 32), "block_time": NOW_MS - HOUR_MS, "emitter": PROXY,
        "kind": "fee_proxy", "token": USDC, "token_known": True, "recipient": RECIPIENT, "amount_units": UNITS,
        "fee_recipient": None, "reference_topic": reference_topic(reference(number)), "confirmations": 4801,
        "final": True,
    }  # fmt: skip
    return _row("transfers", defaults, given)


def plain_transfer_row(number: int = 1, **given: object) -> Row:
    """An ERC-20 Transfer to the deposit address of payment ``number``."""
    defaults: dict[str, object] = {
        "emitter": USDC, "kind": "erc20", "sender": PAYER, "recipient": deposit_address(number),
        "reference_topic": None, "log_index": 0,
    }  # fmt: skip
    return transfer_row(number, **{**defaults, **given})


def transaction_row(number: int = 1, **given: object) -> Row:
    """The receipt of the transaction that paid payment ``number``."""
    defaults: Row = {
        "chain_id": CHAIN, "tx_hash": tx_hash(number), "outcome": "success", "block": HEAD - 4800,
        "block_hash": "0x" + _digits("block", HEAD - 4800, 32), "block_time": NOW_MS - HOUR_MS, "confirmations": 4801,
        "final": True, "sender": PAYER,
    }  # fmt: skip
    return _row("transactions", defaults, given)


def delivery_row(number: int = 1, **given: object) -> Row:
    """One webhook delivery about payment ``number``, answered 200."""
    defaults: Row = {
        "delivery_id": f"delivery-{number}", "provider": "request_network", "received_at": NOW_MS - HOUR_MS,
        "attempt": 1, "http_status": 200, "event": "payment.confirmed", "request_id": request_id(number),
        "reference": reference(number), "tx_hash": tx_hash(number), "payload_digest": _digits("payload", number, 32),
        "signature_valid": True, "dead_letter": False, "origin": "ingress",
    }  # fmt: skip
    return _row("deliveries", defaults, given)


def coverage_row(source: str = f"chain:{CHAIN}", scope: str = "proxy", **given: object) -> Row:
    """One source read completely for two days up to :data:`NOW_MS`."""
    window: Row = {
        "source": source, "scope": scope, "unit": "ms", "asked_from": NOW_MS - 48 * HOUR_MS, "asked_to": NOW_MS,
        "done_from": NOW_MS - 48 * HOUR_MS, "done_to": NOW_MS, "complete": True, "calls": 1, "wire_bytes": 1000,
        "pages": 1, "items": 1,
    }  # fmt: skip
    if source.startswith("chain:"):
        blocks = (HEAD - 48 * HOUR_MS // 750, HEAD)
        window |= {
            "chain_id": int(source.partition(":")[2]), "unit": "block", "asked_from": blocks[0], "asked_to": blocks[1],
            "done_from": blocks[0], "done_to": blocks[1], "head": HEAD, "final_head": HEAD - 2,
            "finality_rule": "finalized",
        }  # fmt: skip
    return _row("coverage", window, given)


def gap_row(source: str = f"chain:{CHAIN}", scope: str = "proxy", **given: object) -> Row:
    """A stretch of the last day that nobody could read."""
    defaults: Row = {
        "source": source, "scope": scope, "from_ms": NOW_MS - 24 * HOUR_MS, "to_ms": NOW_MS,
        "reason": "the endpoint did not answer",
    }  # fmt: skip
    if source.startswith("chain:"):
        defaults |= {"chain_id": int(source.partition(":")[2]), "from_block": HEAD - 115_200, "to_block": HEAD}
    return _row("gaps", defaults, given)


def full_coverage(*chains: int) -> list[Row]:
    """Every source of the given chains (BNB Chain unless given), complete."""
    return [
        coverage_row("payments", "window"),
        *(coverage_row(name, scope) for name in ("request_network", "shkeeper") for scope in ("bulk", "lookup")),
        *(
            coverage_row(f"chain:{chain}", scope)
            for chain in chains or (CHAIN,)
            for scope in ("proxy", "erc20", "receipts")
        ),
    ]


def tables(**rows: Sequence[Row]) -> dict[str, pa.Table]:
    """All tables, those not given empty, except that coverage is complete unless given."""
    given: dict[str, Sequence[Row]] = {"coverage": full_coverage(), **rows}
    return {name: table_of(name, list(given.get(name, ()))) for name in TABLES}


def one_payment(number: int = 1, **given: object) -> dict[str, list[Row]]:
    """Payment, claim, transfer and receipt ``number`` in sync; ``given`` changes the payment row."""
    return {
        "payments": [payment_row(number, **given)],
        "claims": [claim_row(number)],
        "claim_txs": [claim_tx_row(number)],
        "transfers": [transfer_row(number)],
        "transactions": [transaction_row(number)],
    }
