"""What the selected payments need of the sources: how far back, which addresses, which hashes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recon.core.model import SETTLED, Policy
from recon.core.registry import Registry
from recon.snapshots.further_keys import COLUMN, further_keys_of
from recon.snapshots.watched import NOTHING_WATCHED, Watched


@dataclass(frozen=True, slots=True)
class Needs:
    """What the selected payments need.

    Args:
        from_ms: The evidence begins here, UTC ms: the oldest payment or the window's start less clock skew.
        recipients: Addresses by chain whose incoming transfers are read.
        hashes: Recorded hashes by chain.
        rails: The providers and chains that carry payments, in pairs.
    """

    from_ms: int
    recipients: Mapping[int, tuple[str, ...]]
    hashes: Mapping[int, tuple[str, ...]]
    rails: frozenset[tuple[str, int]]


def needs_of(
    payments: Path,
    *,
    now_ms: int,
    policy: Policy,
    registry: Registry,
    window_from_ms: int | None = None,
    watched: Watched = NOTHING_WATCHED,
) -> Needs:
    """Scan the few columns that say what to ask the chains for.

    The recipients of payments by reference are asked about too where their token can take a fee: the proxy states what
    was sent, and only the token's own logs say what came. So are those of such payments that nobody is known to have
    paid: a buyer may have sent to the address that he was shown, past the proxy.

    Args:
        window_from_ms: Where the selected window begins: what came to nobody's row since then is looked for as well.
        watched: One-time addresses of rows before the window.
    """
    import duckdb

    connection = duckdb.connect()
    rows = connection.read_parquet(str(payments))
    scoped = rows.filter("created_at is not null")
    found = scoped.aggregate("min(created_at)").fetchall()[0][0]
    deposits = rows.filter("is_deposit and recipient is not null").select("chain_id, recipient, status")
    hashes = rows.filter("tx_hash is not null").select("chain_id, tx_hash").distinct().fetchall()
    rails = frozenset(rows.select("provider, chain_id").distinct().fetchall())
    own = deposits.select("chain_id, recipient").distinct().fetchall()
    own += _measured_recipients(rows, registry)
    own += _unpaid_recipients(rows)
    own += _forwarders(rows)
    # A buyer who mistakes the chain has paid, and the backend closes the row: it is looked for on every chain as well.
    unpaid = deposits.filter("status in ('pending', 'processing', 'failed', 'cancelled')")
    waiting = unpaid.select("recipient").distinct().fetchall()
    connection.close()
    merchants = set(policy.merchant_recipients)
    anywhere = merchants | {address for (address,) in waiting}
    recipients = {
        chain: tuple(sorted(anywhere | watched.on(chain) | {address for chain_id, address in own if chain_id == chain}))
        for chain in policy.chain_ids
    }
    named = {chain: tuple(sorted(tx for chain_id, tx in hashes if chain_id == chain)) for chain in policy.chain_ids}
    oldest = min(at for at in (found, window_from_ms, now_ms) if at is not None)
    return Needs(oldest - policy.clock_skew_ms, recipients=recipients, hashes=named, rails=rails)


def _may_take_fee(registry: Registry, *, chain_id: int, token: str) -> bool:
    """Whether a token may move less than it is told to; one that nobody knows may."""
    known = registry.tokens.get((chain_id, token))
    return known is None or known.may_take_fee


def _measured_recipients(rows: Any, registry: Registry) -> list[tuple[int, str]]:
    """Chain and recipient of the payments by reference whose token can take a fee."""
    found = rows.filter(
        "not coalesce(is_deposit, false) and (reference_topic is not null or request_id is not null) "
        "and chain_id is not null and token is not null and recipient is not null"
    )
    named = found.select("chain_id, token, recipient").distinct().fetchall()
    return [(chain, to) for chain, token, to in named if _may_take_fee(registry, chain_id=chain, token=token)]


def _forwarders(rows: Any) -> list[tuple[int, str]]:
    """Chain and forwarder of the payments that are not marked as paid: what a buyer sent there waits for a trigger."""
    if COLUMN not in rows.columns:
        return []
    states = ", ".join(f"'{state}'" for state in SETTLED)
    found = rows.filter(f"{COLUMN} is not null and chain_id is not null and status not in ({states})")
    held = found.select(f"chain_id, payment_id, {COLUMN}").fetchall()
    keys = ((chain, key) for chain, payment, text in held for key in further_keys_of([_keys_of(payment, text)]))
    return sorted({(chain, key["value"]) for chain, key in keys if key["field"] == "forwarder"})


def _keys_of(payment_id: str, text: str) -> dict[str, Any]:
    return {"payment_id": payment_id, COLUMN: text}


def _unpaid_recipients(rows: Any) -> list[tuple[int, str]]:
    """Chain and recipient of the payments by reference that are not marked as paid."""
    states = ", ".join(f"'{state}'" for state in SETTLED)
    found = rows.filter(
        "not coalesce(is_deposit, false) and direction = 'in' and chain_id is not null and recipient is not null "
        f"and status not in ({states})"
    )
    named: list[tuple[int, str]] = found.select("chain_id, recipient").distinct().fetchall()
    return named
