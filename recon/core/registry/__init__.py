"""Known facts about chains, tokens, contracts and the words for them."""

from recon.core.registry.known import (
    ERC20_TRANSFER,
    FORWARDER_CREATED,
    TRANSFER_WITH_REFERENCE_AND_FEE,
    ChainFacts,
    Emitter,
    Registry,
    Token,
    extend_registry,
    forwarder_factories,
    load_registry,
)

__all__ = [
    "ERC20_TRANSFER",
    "FORWARDER_CREATED",
    "TRANSFER_WITH_REFERENCE_AND_FEE",
    "ChainFacts",
    "Emitter",
    "Registry",
    "Token",
    "extend_registry",
    "forwarder_factories",
    "load_registry",
]
