"""What call single transactions made, so that a provider's word for a transaction can be held against the chain."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Final, Protocol

import msgspec

from recon.core.ids import call_digest, normalise_address
from recon.sources.chain.endpoints import EndpointsDownError, Live, Pool
from recon.sources.chain.receipts import Transaction
from recon.sources.chain.rpc import Envelope, RpcError

_DATA_MAX: Final = 2 * 131_072
_HEX: Final = frozenset("0123456789abcdef")


class RawCall(msgspec.Struct):
    """The parts of a transaction that say what it calls."""

    hash: str | None = None
    to: str | None = None
    input: str | None = None
    value: str | None = None


CALL_ANSWER: Final = msgspec.json.Decoder(Envelope[RawCall])


class _Asked(Protocol):
    @property
    def calls(self) -> tuple[str, ...]: ...
    @property
    def batch_max(self) -> int: ...


def read_calls(pool: Pool, plan: _Asked, *, answered: Mapping[str, Transaction]) -> dict[str, str]:
    """The digest of the call of each transaction that is in a block, by hash; one that nobody tells is left out.

    Args:
        plan: The transactions, and how many are asked about at once.
        answered: What their receipts said.
    """
    mined = [tx_hash for tx_hash in plan.calls if tx_hash in answered and answered[tx_hash].block is not None]
    batch_max = plan.batch_max
    found: dict[str, str] = {}
    for start in range(0, len(mined), batch_max):
        chunk = mined[start : start + batch_max]
        try:
            answers = pool.ask(partial(_answers, chunk=chunk))
        except (EndpointsDownError, RpcError):
            return found
        digests = ((each, digest_of_call(raw, each)) for each, raw in zip(chunk, answers, strict=True))
        found.update((tx_hash, digest) for tx_hash, digest in digests if digest is not None)
    return found


def _answers(live: Live, *, chunk: list[str]) -> list[RawCall | RpcError | None]:
    return live.client.batch("eth_getTransactionByHash", [[each] for each in chunk], decoder=CALL_ANSWER)


def digest_of_call(raw: RawCall | RpcError | None, tx_hash: str) -> str | None:
    """The digest of a transaction's call; None where the answer is of another one, or makes a contract."""
    if not isinstance(raw, RawCall) or (raw.hash or "").lower() != tx_hash:
        return None
    to = normalise_address(raw.to or "")
    data, value = _digits(raw.input, size_max=_DATA_MAX), _digits(raw.value, size_max=64)
    if to is None or data is None or not value or len(data) % 2:
        return None
    return call_digest(to, f"0x{data}", value_wei=int(value, 16))


def _digits(text: str | None, *, size_max: int) -> str | None:
    """The hex digits behind 0x, lower case; None for what is no hex."""
    found = (text or "").lower()
    is_hex = found[:2] == "0x" and len(found) <= size_max + 2 and _HEX.issuperset(found[2:])
    return found[2:] if is_hex else None
