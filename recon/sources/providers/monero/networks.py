"""Monero's networks as chains, and its addresses.

Chain ids are the last four bytes of the genesis block, as Tron's are; the private chain of ``--regtest`` shares the
main chain's genesis block and addresses, so its id is one more. An address cannot tell the two apart: what a daemon
calls itself (``nettype``) does.

>>> read_address("4" * 95) is None
True
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from recon.core.ids import keccak256
from recon.core.registry import ChainFacts, Token

COIN: Final = "0x" + "ee" * 20
"""Stands where tokens have the address of their contract: the usual sign for a chain's own coin."""
DECIMALS: Final = 12
UNLOCK_BLOCKS: Final = 10
"""From so many confirmations on an output can be spent."""
DUST_UNITS: Final = 10**8
"""0.0001 XMR: less is sent to every address that is known."""

_MAINNET: Final = 0x1F4632E3
NETTYPES: Final = {_MAINNET: "mainnet", 0xCDA8430B: "testnet", 0xB7CE74EB: "stagenet", _MAINNET + 1: "fakechain"}
"""What a daemon of each chain calls its network."""

_GENESIS: Final = {
    "mainnet": "418015bb9ae982a1975da7d79277c270",
    "testnet": "48ca7cd3c8de5b6a4d53d2861fbdaedc",
    "stagenet": "76ee3cc98646292206cd3e86f74d88b4",
}
_ALPHABET: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_ADDRESS: Final = re.compile(rf"[{_ALPHABET}]{{95}}(?:[{_ALPHABET}]{{11}})?\Z")
_SIZES: Final = (0, 2, 3, 5, 6, 7, 9, 10, 11)
"""How many signs a block of so many bytes takes; every block is 8 bytes but the last."""
_INTEGRATED: Final = {18: 19, 53: 54, 24: 25}
"""First byte of a standard address, and of one with a payment id in it, on each network."""
_PREFIXES: Final = frozenset({*_INTEGRATED, *_INTEGRATED.values(), 42, 63, 36})


def _facts(chain_id: int, nettype: str) -> ChainFacts:
    name = "monero" if nettype == "mainnet" else f"monero-{nettype}"
    words = ["xmr"] if nettype == "mainnet" else []
    words += ["monero-regtest"] if nettype == "fakechain" else [f"monero:{_GENESIS[nettype]}"]
    return ChainFacts(
        chain_id, name, tuple(words), final_depth=UNLOCK_BLOCKS, trusts_finalized_tag=False, block_ms=120_000,
        range_blocks=1000,
    )  # fmt: skip


CHAINS: Final = tuple(_facts(chain_id, nettype) for chain_id, nettype in NETTYPES.items())
TOKENS: Final = tuple(
    Token(chain_id, COIN, "XMR", DECIMALS, aliases=("monero",), may_take_fee=False) for chain_id in NETTYPES
)


@lru_cache(maxsize=50_000)
def read_address(text: str) -> str | None:
    """A standard, sub- or integrated address with a right checksum, as it is; None for any other text."""
    text = text.strip()
    if not _ADDRESS.match(text):
        return None
    data = _decoded(text)
    is_right = data is not None and data[0] in _PREFIXES and keccak256(data[:-4])[:4] == data[-4:]
    return text if is_right else None


def with_payment_id(address: str, payment_id: str) -> str | None:
    """The integrated address of a standard one; None where either is none.

    A transfer shows the two apart, and an order knows the integrated address.
    """
    data = _decoded(address) if read_address(address) else None
    if data is None or data[0] not in _INTEGRATED or not re.match(r"[0-9a-f]{16}\Z", payment_id):
        return None
    return written_address_of(bytes([_INTEGRATED[data[0]]]) + data[1:65] + bytes.fromhex(payment_id))


def standard_part(address: str) -> str:
    """The standard address inside an integrated one; any other address as it is."""
    data = _decoded(address) if read_address(address) else None
    plain = {integrated: standard for standard, integrated in _INTEGRATED.items()}
    if data is None or data[0] not in plain:
        return address
    return written_address_of(bytes([plain[data[0]]]) + data[1:65])


def transfer_number(address: str) -> int:
    """A number that tells the transfers of one transaction apart: of each address another, the same at every wallet."""
    return int.from_bytes(keccak256(address.encode())[:6], "big")


def _decoded(text: str) -> bytes | None:
    data = b""
    for start in range(0, len(text), 11):
        block = text[start : start + 11]
        size, number = _SIZES.index(len(block)), 0
        for sign in block:
            number = number * 58 + _ALPHABET.index(sign)
        if number >= 1 << 8 * size:
            return None
        data += number.to_bytes(size, "big")
    return data


def written_address_of(data: bytes) -> str:
    """The address of a first byte, two public keys and perhaps a payment id, with its checksum."""
    data += keccak256(data)[:4]
    text = ""
    for start in range(0, len(data), 8):
        block = data[start : start + 8]
        number, signs = int.from_bytes(block, "big"), ""
        for _ in range(_SIZES[len(block)]):
            number, place = divmod(number, 58)
            signs = _ALPHABET[place] + signs
        text += signs
    return text
