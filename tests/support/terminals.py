"""A terminal of our own, written as bytes: it takes the token in and logs ``Pay`` as the documented ones do.

No compiler makes it: :data:`TERMINAL_CODE` is put together below, instruction by instruction.
"""

from __future__ import annotations

from typing import Any

from recon.core.registry.known import TERMINAL_PAY
from tests.support.onchain import Chain, encode, selector

_OPS = {
    "STOP": "00", "SHL": "1b", "ADDRESS": "30", "CALLER": "33", "CALLDATALOAD": "35", "MSTORE": "52", "JUMPI": "57",
    "GAS": "5a", "JUMPDEST": "5b", "LOG4": "a4", "CALL": "f1", "REVERT": "fd",
}  # fmt: skip
PAY = "pay(uint256,address,uint256,address,uint256,string,bytes)"
_PULL = """
23b872dd e0 SHL 00 MSTORE CALLER 04 MSTORE ADDRESS 24 MSTORE 44 CALLDATALOAD 44 MSTORE
00 00 64 00 00 24 CALLDATALOAD GAS CALL {ok} JUMPI 00 00 REVERT JUMPDEST
"""
_LOG = f"""
CALLER 00 MSTORE 64 CALLDATALOAD 20 MSTORE 44 CALLDATALOAD 40 MSTORE 00 60 MSTORE e0 80 MSTORE 0100 a0 MSTORE
CALLER c0 MSTORE 00 e0 MSTORE 00 0100 MSTORE
04 CALLDATALOAD 01 01 {TERMINAL_PAY[2:]} 0120 00 LOG4
"""


def assembled(text: str) -> str:
    """Code of words: an instruction by its name, anything else is pushed as hex."""
    return "".join(_OPS.get(word) or f"{0x5F + len(word) // 2:02x}{word}" for word in text.split())


_LENGTH = len(assembled(_PULL.format(ok="00"))) // 2
TERMINAL_CODE = "0x" + assembled(_PULL.format(ok=f"{_LENGTH - 1:02x}") + _LOG + "STOP")
"""Pulls the token from its caller and logs the payment; reverts where the token does not come."""

TWICE_CODE = "0x" + assembled(_PULL.format(ok=f"{_LENGTH - 1:02x}") + _LOG + _LOG + "STOP")
"""The same, and logs it twice."""

BOASTING_CODE = "0x" + assembled(_LOG + "STOP")
"""Logs a payment of which nothing came."""


def pay_call(token: str, units: int, *, project: int = 7, buyer: int = 1) -> str:
    """The data of a payment; buyers make calls different from each other."""
    return selector(PAY) + encode(project, token, units, "0x" + f"{buyer:040x}", 0, b"", b"")


def paid(chain: Chain, terminal: str, data: str, *, check: bool = True) -> str:
    """Send a payment to a terminal from the first account; gives the hash."""
    return chain.send(terminal, data, check=check)


def request_of(chain: Chain, terminal: str, data: str, **over: Any) -> dict[str, Any]:
    """The call as a relay echoes it."""
    return {"chain": chain.chain_id, "target": terminal, "data": data, "value": "0", "gas_limit": "210000", **over}
