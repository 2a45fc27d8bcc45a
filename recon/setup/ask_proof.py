"""Asking for the proof of changes again: the chains of a configuration, opened when they are first asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recon.core.model import Plan
from recon.setup.settings import Settings

if TYPE_CHECKING:
    from recon.runs.proof import ProofReader
    from recon.sources.interface import ChainSource


def ask_proof(settings: Settings, plan: Plan) -> ProofReader:
    """What asks the chains whether the transfers that a plan's changes rest on are still there."""
    from recon.runs.proof import ProofReader, heads_of
    from recon.setup.open_sources import Opening, UnreadChain

    opening = Opening(settings)
    opened: dict[int, ChainSource] = {}

    def chain(chain_id: int) -> ChainSource:
        if chain_id not in opened:
            can_be_asked = opening.has_endpoints(chain_id)
            opened[chain_id] = opening.chain(chain_id) if can_be_asked else UnreadChain(chain_id)
        return opened[chain_id]

    return ProofReader(chain, settings.now, heads_of(plan))
