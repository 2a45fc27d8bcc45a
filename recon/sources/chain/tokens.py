"""What token contracts that nobody knows say of themselves: symbol and decimals. Claims of theirs, not facts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from recon.sources.chain.endpoints import EndpointsDownError, Pool
from recon.sources.chain.logs import TEXT_ANSWER
from recon.sources.chain.rpc import RpcError

if TYPE_CHECKING:
    import pyarrow as pa

TOKENS_MAX: Final = 50
"""So many contracts are asked in one reading; the rest stay without a symbol."""
_SYMBOL_MAX: Final = 16
_DECIMALS_MAX: Final = 36
_DECIMALS_CALL: Final = "0x313ce567"
_SYMBOL_CALL: Final = "0x95d89b41"
_HEX: Final = frozenset("0123456789abcdef")


@dataclass(frozen=True, slots=True)
class TokenFacts:
    """What a contract answered; None where it gave no readable answer."""

    symbol: str | None = None
    decimals: int | None = None


def ask_tokens(pool: Pool, tokens: Sequence[str]) -> dict[str, TokenFacts]:
    """Ask contracts for their symbol and decimals in one batch; one that does not answer is left out."""
    asked = sorted(set(tokens))[:TOKENS_MAX]
    if not asked:
        return {}
    calls = [[{"to": token, "data": data}, "latest"] for token in asked for data in (_SYMBOL_CALL, _DECIMALS_CALL)]
    try:
        answers = pool.ask(lambda live: live.client.batch("eth_call", calls, decoder=TEXT_ANSWER))
    except (EndpointsDownError, RpcError):
        return {}
    texts = [answer if isinstance(answer, str) else "" for answer in answers]
    pairs = zip(asked, texts[::2], texts[1::2], strict=True)
    found = {token: TokenFacts(parse_symbol(symbol), parse_decimals(decimals)) for token, symbol, decimals in pairs}
    return {token: facts for token, facts in found.items() if facts != TokenFacts()}


def parse_symbol(answer: str) -> str | None:
    """The symbol in an answer, as text or as 32 bytes; None where there is none that can be shown safely.

    >>> parse_symbol("0x" + f"{32:064x}{4:064x}" + b"USDX".hex().ljust(64, "0"))
    'USDX'
    """
    raw = _bytes(answer)
    if len(raw) >= 96 and int.from_bytes(raw[:32]) == 32:
        raw = raw[64 : 64 + min(int.from_bytes(raw[32:64]), 64)]
    elif len(raw) != 32:
        return None
    text = raw.rstrip(b"\0").decode("ascii", errors="replace")
    is_plain = text.isascii() and all(char.isalnum() or char in ".-_$" for char in text)
    return text if is_plain and 0 < len(text) <= _SYMBOL_MAX else None


def parse_decimals(answer: str) -> int | None:
    """The decimals in an answer, or None where it is no sensible number of them."""
    raw = _bytes(answer)
    value = int.from_bytes(raw) if len(raw) == 32 else _DECIMALS_MAX + 1
    return value if value <= _DECIMALS_MAX else None


def _bytes(answer: str) -> bytes:
    digits = answer.lower().removeprefix("0x")
    return bytes.fromhex(digits) if len(digits) % 2 == 0 and _HEX.issuperset(digits) else b""


def with_token_facts(transfers: pa.Table, facts: Mapping[str, TokenFacts]) -> pa.Table:
    """Transfers with what their contracts say of themselves, where the registry does not know them."""
    import pyarrow as pa

    rows = transfers.select(["token", "token_known"]).to_pylist()
    told = [facts.get(row["token"] or "") if not row["token_known"] else None for row in rows]
    for name, values in (
        ("token_symbol", pa.array([one and one.symbol for one in told], pa.string())),
        ("token_decimals", pa.array([one and one.decimals for one in told], pa.int64())),
    ):
        transfers = transfers.set_column(transfers.schema.get_field_index(name), name, values)
    return transfers
