"""Worlds whose sources are faulty: a schedule of faults drawn from a seed, which can be replayed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from random import Random
from typing import Any, Final

from recon.core.errors import UsageError
from recon.simulation.world import World
from recon.sources.recorded.faults import FaultRule

HTML: Final = "<!doctype html><html><title>Sign in</title><body>login</body></html>"


class FaultKindError(UsageError):
    """A kind of fault that nobody knows."""

    def __init__(self, *, kind: str) -> None:
        super().__init__(f"{kind!r} is no kind of fault; choose among {', '.join(sorted(KINDS))}.")


def _now_and_then(source: str, rng: Random, **given: Any) -> list[FaultRule]:
    return [FaultRule(source, "*", chance_ppm=rng.randrange(20_000, 150_000), seed=rng.getrandbits(32), **given)]


def _limited(source: str, rng: Random) -> list[FaultRule]:
    if source.startswith("chain:"):
        body: Any = {"code": 429, "message": "Too Many Requests: rate limit exceeded"}
        return _now_and_then(source, rng, body=body)
    return _now_and_then(source, rng, status=429, body={"message": "Too Many Requests"})


def _failing(source: str, rng: Random) -> list[FaultRule]:
    return [
        rule
        for status in (500, 502, 503)
        for rule in _now_and_then(source, rng, status=status, body={"message": "upstream"})
    ]


def _down(source: str, rng: Random) -> list[FaultRule]:
    status, text = rng.choice(((500, "Internal Server Error"), (503, "no backend is available"), (200, HTML)))
    return [FaultRule(source, "*", status=status, text=text)]


def _dies(source: str, rng: Random) -> list[FaultRule]:
    start = rng.randrange(2, 20)
    return [FaultRule(source, "*", status=502, text="Bad Gateway", calls=(start, 10**9))]


def _repeating(source: str, rng: Random) -> list[FaultRule]:
    return _now_and_then(source, rng, action="repeat")


def _shifting(source: str, rng: Random) -> list[FaultRule]:
    return [FaultRule(source, "/v2/payments", chance_ppm=400_000, seed=rng.getrandbits(32), action="shift")]


def _lagging(source: str, rng: Random) -> list[FaultRule]:
    return [FaultRule(source, "*", action="lag", depth=rng.randrange(20, 400))]


def _falling_head(source: str, rng: Random) -> list[FaultRule]:
    return _now_and_then(source, rng, action="lag", depth=rng.randrange(5, 60))


def _other_chain(source: str, rng: Random) -> list[FaultRule]:
    return [FaultRule(source, "eth_chainId", action="chain", calls=(rng.randrange(2), 10**9))]


KINDS: Final[Mapping[str, Callable[[str, Random], list[FaultRule]]]] = {
    "limited": _limited,
    "failing": _failing,
    "cut": lambda source, rng: _now_and_then(source, rng, action="cut"),
    "slow": lambda source, rng: _now_and_then(source, rng, action="slow"),
    "truncated": lambda source, rng: _now_and_then(source, rng, action="truncate"),
    "empty": lambda source, rng: _now_and_then(source, rng, action="empty"),
    "garbage": lambda source, rng: _now_and_then(source, rng, text=HTML),
    "repeating": _repeating,
    "shifting": _shifting,
    "lagging": _lagging,
    "falling_head": _falling_head,
    "other_chain": _other_chain,
    "dies": _dies,
    "down": _down,
}
"""What can be wrong with a source. ``shifting`` is about Request Network's pages; ``lagging``, ``falling_head`` and
``other_chain`` are about chains."""

PASSING: Final = ("limited", "failing", "cut", "slow", "truncated", "empty", "garbage", "repeating", "shifting")
"""Kinds that patience overcomes."""


OF_CHAINS: Final = ("lagging", "falling_head", "other_chain")


def _possible(kinds: tuple[str, ...], source: str) -> tuple[str, ...]:
    """The kinds that a source can have; where none is left, it is just slow to answer."""
    is_chain = source.startswith("chain:")
    fitting = tuple(k for k in kinds if (is_chain or k not in OF_CHAINS) and (not is_chain or k != "shifting"))
    return fitting or ("limited",)


def make_sick(
    world: World, *, seed: int, kinds: tuple[str, ...] = PASSING, sources: tuple[str, ...] | None = None
) -> World:
    """The same world with some sources sick in some ways, in addition to what is wrong with it already.

    Args:
        kinds: One of them is drawn for each source, see :data:`KINDS`.
        sources: ``request_network``, ``shkeeper``, ``chain:<id>``; all of them unless said.

    Raises:
        FaultKindError: A kind is unknown.
    """
    rng = Random(seed)
    for kind in kinds:
        if kind not in KINDS:
            raise FaultKindError(kind=kind)
    recorded = world.recorded
    every = ("request_network", "shkeeper", *(f"chain:{chain_id}" for chain_id in recorded.chains))
    rules: list[FaultRule] = []
    for source in every if sources is None else sources:
        rules += KINDS[rng.choice(_possible(kinds, source))](source, rng)
    return replace(world, recorded=replace(recorded, faults=(*recorded.faults, *rules)))
