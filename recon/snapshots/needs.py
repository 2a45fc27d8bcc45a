"""What the selected payments need of the sources: how far back, which addresses, which hashes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from recon.core.model import Policy


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


def needs_of(payments: Path, *, now_ms: int, policy: Policy, window_from_ms: int | None = None) -> Needs:
    """Scan the few columns that say what to ask the chains for.

    Args:
        window_from_ms: Where the selected window begins: what came to nobody's row since then is looked for as well.
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
    waiting = deposits.filter("status in ('pending', 'processing')").select("recipient").distinct().fetchall()
    connection.close()
    merchants = set(policy.merchant_recipients)
    anywhere = merchants | {address for (address,) in waiting}
    recipients = {
        chain: tuple(sorted(anywhere | {address for chain_id, address in own if chain_id == chain}))
        for chain in policy.chain_ids
    }
    named = {chain: tuple(sorted(tx for chain_id, tx in hashes if chain_id == chain)) for chain in policy.chain_ids}
    oldest = min(at for at in (found, window_from_ms, now_ms) if at is not None)
    return Needs(oldest - policy.clock_skew_ms, recipients=recipients, hashes=named, rails=rails)
