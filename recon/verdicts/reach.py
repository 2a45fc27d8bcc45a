"""How far the sources reached: for which payments the absence of money is an answer. Pure and columnar."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import narwhals as nw

from recon.core.model import Policy
from recon.sources.providers.chain_kind import chain_kinds
from recon.verdicts.links import is_true

FOREVER_MS: Final = 9_007_199_254_740_992
"""Until then a chain is blind that nobody can be asked about."""


@dataclass(frozen=True, slots=True)
class Horizon:
    """How far absence can be proven.

    Args:
        blind_until: For (chain id, ``proxy`` or ``erc20``): nothing is proven absent for a payment made at or before
            this UTC millisecond. A pair that is not here was never read.
        provider_blind_until: The same for a provider's bulk window: a payment made later, of which a complete window
            shows nothing, is one of which the provider knows no money.
        head_ms: Time of the newest block seen, by chain: money that moved later cannot have been seen.
        now_ms: When the evidence was taken.
        outflow_spans: From and until when outgoing money was looked for, by chain, UTC ms.
    """

    blind_until: Mapping[tuple[int, str], int]
    provider_blind_until: Mapping[str, int]
    now_ms: int
    head_ms: Mapping[int, int] = field(default_factory=dict)
    outflow_spans: Mapping[int, tuple[int, int]] = field(default_factory=dict)


def reach(horizon: Horizon, policy: Policy) -> dict[str, nw.Expr]:
    """How far each payment's money could be seen, and whether only a provider's word is left."""
    return {
        "covered_by_scan": _covered_by_scan(horizon, policy),
        "chain_is_read": _chain_is_read(horizon),
        "blind_elsewhere": _blind_elsewhere(horizon, policy),
        "by_word": ~nw.col("word_units").is_null() & _has_no_endpoint(horizon),
        "head_time": _head_time(horizon),
    }


def _blind_alike(blind_until: Mapping[tuple[int, str], int]) -> dict[tuple[str, int], list[int]]:
    """The chains whose scan of a name is blind until the same moment, by name and moment: mostly they are alike."""
    alike: dict[tuple[str, int], list[int]] = defaultdict(list)
    for (chain_id, name), until in sorted(blind_until.items()):
        alike[name, until].append(chain_id)
    return alike


def _is_scanned_as(name: str) -> nw.Expr:
    """Whether a payment's money is in the scan of that name."""
    by_reference = nw.col("mode") == "reference"
    return by_reference if name == "proxy" else ~by_reference


def _covered_by_scan(horizon: Horizon, policy: Policy) -> nw.Expr:
    """Whether the scan that would show this payment's money has no hole since the payment was made."""
    since = nw.col("created_at") - policy.clock_skew_ms
    seen = nw.lit(value=False)
    for (name, until), chain_ids in _blind_alike(horizon.blind_until).items():
        seen = seen | is_true(nw.col("chain_id").is_in(chain_ids) & _is_scanned_as(name) & (since > until))
    return seen & (nw.col("mode") != "hash")


def _blind_elsewhere(horizon: Horizon, policy: Policy) -> nw.Expr:
    """Whether the scan of another chain has a hole where money for this payment could lie: people mistake chains."""
    since = nw.col("created_at") - policy.clock_skew_ms
    blind = nw.lit(value=False)
    # A chain of another kind has addresses of its own: nobody can mistake it.
    apart = sorted({chain_id for chain_id, _ in horizon.blind_until} & set(chain_kinds()))
    like = {key: until for key, until in horizon.blind_until.items() if key[0] not in apart}
    for (name, until), chain_ids in _blind_alike(like).items():
        # Of several chains at least one is another than the payment's own.
        other = ~nw.col("chain_id").is_null() if len(chain_ids) > 1 else nw.col("chain_id") != chain_ids[0]
        blind = blind | is_true(other & _is_scanned_as(name) & (since <= until))
    mistakable = ~is_true(nw.col("chain_id").is_in(apart)) if apart else nw.lit(value=True)
    return blind & mistakable & (nw.col("mode") != "hash")


def _chain_is_read(horizon: Horizon) -> nw.Expr:
    """Whether the payment's chain could be asked about single transactions."""
    read = sorted({chain_id for (chain_id, _), until in horizon.blind_until.items() if until < horizon.now_ms})
    return is_true(nw.col("chain_id").is_in([-1, *read]))


def _has_no_endpoint(horizon: Horizon) -> nw.Expr:
    """Whether nobody can be asked about the payment's chain, which is another thing than an endpoint that failed."""
    asked = sorted({chain_id for (chain_id, _), until in horizon.blind_until.items() if until < FOREVER_MS})
    return ~is_true(nw.col("chain_id").is_in([-1, *asked]))


def _head_time(horizon: Horizon) -> nw.Expr:
    """The time up to which the payment's chain was seen; a chain of which nothing is known was seen up to now."""
    until: nw.Expr = nw.lit(horizon.now_ms)
    for chain_id, head_ms in sorted(horizon.head_ms.items()):
        if head_ms < horizon.now_ms:
            here = is_true(nw.col("chain_id") == chain_id)
            until = nw.when(here).then(nw.lit(head_ms)).otherwise(until)
    return until.cast(nw.Int64)
