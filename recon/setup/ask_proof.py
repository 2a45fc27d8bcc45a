"""Asking for the proof of changes again: the chains of a configuration, opened when they are first asked."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from recon.core.model import Plan
from recon.setup.settings import Settings

if TYPE_CHECKING:
    from recon.runs.proof import ProofReader
    from recon.sources.interface import ChainSource


def ask_proof(settings: Settings, plan: Plan | None, *, strictly: bool = False) -> ProofReader:
    """What asks the chains whether the transfers that a plan's changes rest on are still there.

    Args:
        strictly: Final is what both the chain's own tag and the registry's depth call final, on every chain.
    """
    from recon.core.registry import extend_registry
    from recon.runs.proof import ProofReader, heads_of
    from recon.setup.open_sources import Opening, UnreadChain

    opening = Opening(settings)
    if strictly:
        known = opening.registry.chains.values()
        strict = tuple(replace(each, trusts_finalized_tag=False) for each in known)
        opening.registry = extend_registry(opening.registry, chains=strict)
    opened: dict[int, ChainSource] = {}

    def chain(chain_id: int) -> ChainSource:
        if chain_id not in opened:
            can_be_asked = opening.has_endpoints(chain_id)
            opened[chain_id] = opening.chain(chain_id) if can_be_asked else UnreadChain(chain_id)
        return opened[chain_id]

    return ProofReader(chain, settings.now, {} if plan is None else heads_of(plan))
