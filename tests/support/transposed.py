"""The same happening with other amounts, or on another chain: a world told anew, field by field."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import ROUND_DOWN, Decimal
from typing import Any

from bson import Decimal128

from recon.core.registry import Registry, load_registry
from recon.sources.recorded.format import RecordedChain, RecordedWorld, block_hash

Change = Callable[[str, Any], Any]
"""The new value of what stands under a name."""

AMOUNTS = frozenset({
    "amount", "requestAmount", "paidAmount", "receivedAmount", "excessAmount", "amount_fiat", "balance_fiat",
    "amount_crypto", "fees", "convertedAmountSource", "convertedAmountDestination",
})  # fmt: skip
"""Fields of rows and of provider objects that hold an amount, or objects that do."""

NAMES = {1: "mainnet", 56: "bsc", 137: "matic"}
"""Words that rows and both providers know chains by."""

COINS = {1: "ETH", 56: "BNB", 137: "POLYGON"}
"""What the gateway puts before the token of a coin."""

WORD = 64
_UNIT = Decimal("0.000001")
_NOISE_FROM = 15
"""A double with so many digits was computed; what it has beyond a unit is no money."""
_DOUBLE_MAX = 1e15
"""What is no double below this is no amount, and stays as it is."""
_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?")


def scaled(recorded: RecordedWorld, factor: int) -> RecordedWorld:
    """Every amount so many times as large, in rows, at providers and on chains."""

    def times(name: str, value: Any) -> Any:
        if name not in AMOUNTS or isinstance(value, bool):
            return value
        if isinstance(value, Decimal128):
            return Decimal128(value.to_decimal() * factor)
        if isinstance(value, float):
            if not abs(value) < _DOUBLE_MAX:
                return value
            exact = Decimal(repr(value))
            if len(exact.as_tuple().digits) >= _NOISE_FROM:
                exact = exact.quantize(_UNIT, ROUND_DOWN)
            return float(exact * factor)
        if isinstance(value, str):
            return format(Decimal(value) * factor, "f") if _NUMBER.fullmatch(value) else value
        return type(value)(value * factor) if isinstance(value, int) else value

    def larger(chain: RecordedChain) -> RecordedChain:
        return replace(chain, logs=[{**log, "data": _larger(log["data"], factor)} for log in chain.logs])

    return _told_anew(recorded, times, {number: larger(chain) for number, chain in recorded.chains.items()})


def _larger(data: str, factor: int) -> str:
    """The data of a log with its amounts multiplied: a transfer's only word; a proxy's third and fourth of five."""
    words = [data[at : at + WORD] for at in range(2, len(data), WORD)]
    amounts = {1: (0,), 5: (2, 3)}[len(words)]
    return "0x" + "".join(
        f"{min(int(word, 16) * factor, 2**256 - 1):064x}" if at in amounts else word for at, word in enumerate(words)
    )


def exchanged(recorded: RecordedWorld, one: int, other: int) -> RecordedWorld:
    """What happened on the first chain told of the second, and the reverse; both hold the same tokens by name."""
    registry = load_registry()
    there = {one: other, other: one}
    addresses = _addresses(registry, one, other)
    coins = _coins(one, other)

    def elsewhere(name: str, value: Any) -> Any:
        if name in ("network", "chainId", "sourceNetwork", "destinationNetwork") and not isinstance(value, Mapping):
            chain_id = value if isinstance(value, int) else registry.chain_id(str(value))
            if chain_id not in there:
                return value
            return there[chain_id] if isinstance(value, int) else NAMES[there[chain_id]]
        if name == "crypto" and isinstance(value, list):
            return [coins.get(coin, coin) for coin in value]
        if isinstance(value, str):
            return addresses.get(value.lower(), coins.get(value, value))
        return value

    chains = dict(recorded.chains)
    for origin, target in there.items():
        chains[target] = _moved(recorded.chains[origin], target, addresses)
    return _told_anew(recorded, elsewhere, chains)


def _moved(chain: RecordedChain, chain_id: int, addresses: Mapping[str, str]) -> RecordedChain:
    def log_there(log: Mapping[str, Any]) -> dict[str, Any]:
        words = (log["data"][at : at + WORD] for at in range(2, len(log["data"]), WORD))
        data = "0x" + "".join(word[:24] + addresses.get("0x" + word[24:], "0x" + word[24:])[2:] for word in words)
        block = int(log["blockNumber"], 16)
        address = addresses.get(log["address"].lower(), log["address"])
        return {**log, "address": address, "data": data, "blockHash": block_hash(chain_id, block)}

    receipts = [
        {**each, "blockHash": block_hash(chain_id, int(each["blockNumber"], 16))} if each.get("blockNumber") else each
        for each in chain.receipts
    ]
    return replace(chain, chain_id=chain_id, logs=[log_there(log) for log in chain.logs], receipts=receipts)


def _addresses(registry: Registry, one: int, other: int) -> dict[str, str]:
    """Tokens and contracts of both chains by their counterpart on the other."""
    found: dict[str, str] = {}
    for a, b in ((one, other), (other, one)):
        for (chain_id, address), token in registry.tokens.items():
            twin = registry.token(b, token.symbol)
            if chain_id == a and twin is not None:
                found.setdefault(address, twin.address)
        for kind in {emitter.kind for emitter in registry.emitters.values()}:
            newest = registry.emitters_of(b, kind=kind)[-1:]
            found |= {each.address: newest[0].address for each in registry.emitters_of(a, kind=kind) if newest}
    return found


def _coins(one: int, other: int) -> dict[str, str]:
    """The coin names that providers write, by those of the other chain."""
    found = {}
    for a, b in ((one, other), (other, one)):
        for symbol in ("USDC", "USDT"):
            found[f"{COINS[a]}-{symbol}"] = f"{COINS[b]}-{symbol}"
            found[f"{symbol}-{NAMES[a]}"] = f"{symbol}-{NAMES[b]}"
    return found


def _told_anew(recorded: RecordedWorld, change: Change, chains: Mapping[int, RecordedChain]) -> RecordedWorld:
    return replace(
        recorded,
        payments=[_changed("", row, change) for row in recorded.payments],
        said={name: [_changed("", line, change) for line in lines] for name, lines in recorded.said.items()},
        deliveries=[_changed("", row, change) for row in recorded.deliveries],
        chains=dict(chains),
    )


def _changed(name: str, value: Any, change: Change) -> Any:
    if isinstance(value, Mapping):
        return {key: _changed(key, change(key, each), change) for key, each in value.items()}
    if isinstance(value, list):
        return [
            _changed(name, each if isinstance(each, Mapping | list) else change(name, each), change) for each in value
        ]
    return value
