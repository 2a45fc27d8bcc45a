"""Where people look at a chain: the pages of a transaction and of an address at its explorer.

Only a hash or an address in its one form is ever put into a page's address, so no text of a payment can steer a link.
Most explorers share the routes of EIP-3091: ``<explorer>/tx/<hash>`` and ``<explorer>/address/<address>``.

>>> Explorer.at("https://scan.example/").tx
'https://scan.example/tx/{hash}'
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from recon.core.ids import TRON_CHAINS, normalise_address, normalise_tx_hash, written_address

HASH: Final = "{hash}"
ADDRESS: Final = "{address}"

_PAGE = re.compile(r"https?://[A-Za-z0-9\[][A-Za-z0-9.:\[\]-]{0,200}(?:/[A-Za-z0-9._~:/?#!$()*+,;=%-]{0,300})?\Z")


@dataclass(frozen=True, slots=True)
class Explorer:
    """An explorer of one chain.

    Args:
        tx: The page of a transaction, ``{hash}`` where its hash belongs.
        address: The page of an address, ``{address}`` where it belongs; empty where the explorer has none.
    """

    tx: str
    address: str = ""

    def __post_init__(self) -> None:
        assert is_page(self.tx, HASH), self.tx
        assert not self.address or is_page(self.address, ADDRESS), self.address

    @classmethod
    def at(cls, base: str) -> Explorer:
        """An explorer with the usual routes below its own address."""
        root = base.rstrip("/")
        return cls(f"{root}/tx/{HASH}", f"{root}/address/{ADDRESS}")

    def tx_page(self, chain_id: int, tx_hash: str) -> str | None:
        """The page of a transaction, or None where the text is no hash. Tron writes its hashes without ``0x``."""
        known = normalise_tx_hash(tx_hash)
        if known is None:
            return None
        return self.tx.replace(HASH, known[2:] if chain_id in TRON_CHAINS else known)

    def address_page(self, chain_id: int, address: str) -> str | None:
        """The page of an address, or None where the text is none."""
        known = normalise_address(address)
        if known is None or not self.address:
            return None
        return self.address.replace(ADDRESS, written_address(known, chain_id=chain_id))


def is_page(text: str, place: str) -> bool:
    """Whether a text is an http or https address that names the place of its id once and holds no sign that ends one.

    >>> is_page("https://scan.example/tx/{hash}", HASH), is_page("javascript:alert({hash})", HASH)
    (True, False)
    """
    host = text.partition("://")[2].partition("/")[0]
    return text.count(place) == 1 and place not in host and is_web_page(text.replace(place, "0"))


def is_web_page(text: str) -> bool:
    """Whether a text is one whole http or https address, of signs that need no escape in Markdown or HTML."""
    return bool(_PAGE.match(text))
