"""EVM chains: scanned by block ranges, decoded into columns."""

from typing import TYPE_CHECKING

from recon.core.door import names_from

if TYPE_CHECKING:
    from recon.sources.chain.evm import EvmChain
    from recon.sources.chain.logs import decode_transfer

__all__ = [
    "EvmChain",
    "decode_transfer",
]

__getattr__ = names_from(
    {
        "EvmChain": "recon.sources.chain.evm",
        "decode_transfer": "recon.sources.chain.logs",
    }
)
