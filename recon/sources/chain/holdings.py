"""What addresses hold of a token now, and whether anything ever left them: for money that is older than every scan.

Every node keeps the state of its newest blocks, so no archive is needed. An address that holds nothing and has sent no
transaction was never paid in that token; one that has sent any may have been emptied. (A token that lets others move
it by a signed note alone can be emptied without one.) Two calls for each address at the most, in batches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from recon.core.tables import table_of
from recon.sources.chain.balances import Held, Holding, balance_call, balance_said
from recon.sources.chain.endpoints import EndpointsDownError, Live, Pool
from recon.sources.chain.logs import TEXT_ANSWER
from recon.sources.chain.rpc import RpcError
from recon.sources.interface import Coverage, Progress, Reading

SCOPE: Final = "holdings"
SENT_MAX: Final = 1 << 62
"""No address has sent so many transactions; an answer of more is none."""


@dataclass(frozen=True, slots=True)
class Below:
    """Where a chain is asked: so many blocks below its head, so many calls at once."""

    chain_id: int
    batch_max: int
    margin: int


@dataclass(frozen=True, slots=True)
class _Told:
    """What was said of one place; a count is asked for only where it holds nothing."""

    held: Held
    sent: int | None = None

    @property
    def is_whole(self) -> bool:
        """Whether it can be told from this whether anything lies, or lay, there."""
        return self.held.units is not None and (self.held.units > 0 or self.sent is not None)


def holding_reading(pool: Pool, places: Sequence[Holding], *, about: Below, progress: Progress) -> Reading:
    """Ask for the places in order; never raises for a chain that is sick.

    Where a whole batch gets no answer the rest is not asked.
    """
    before, found, block = pool.meter(), dict[Holding, _Told](), None
    problem: str | None = None
    try:
        head = pool.current().head
        assert head is not None
        block = max(0, head.number - about.margin)
        for start in range(0, len(places), about.batch_max):
            part = places[start : start + about.batch_max]
            told = _part(pool, part, block)
            found |= {place: each for place, each in told.items() if each.is_whole}
            progress(pool.source, start + len(part), len(places))
            if not any(each.is_whole for each in told.values()):
                problem = next((each.held.problem for each in told.values() if each.held.problem), None)
                break
    except EndpointsDownError as error:
        problem = str(error)
    after = pool.meter()
    rows: list[dict[str, object]] = [
        {
            "chain_id": about.chain_id,
            "address": address,
            "token": token,
            "block": block,
            "units": told.held.units,
            "sent": told.sent,
        }
        for (address, token), told in sorted(found.items())
    ]
    coverage = Coverage(
        pool.source,
        SCOPE,
        complete=True,
        chain_id=about.chain_id,
        unit="block",
        asked_from=block,
        asked_to=block,
        items=len(rows),
        calls=after.calls - before.calls,
        wire_bytes=after.wire_bytes - before.wire_bytes,
        problem=_unanswered(len(places) - len(rows), of=len(places), why=problem),
    )
    return Reading(tables={"holdings": table_of("holdings", rows)}, coverage=(coverage,))


def _unanswered(count: int, *, of: int, why: str | None) -> str | None:
    if not count:
        return None
    said = f"what {count} of {of} one-time addresses hold could not be told; of these only what was scanned is known"
    return said if why is None else f"{said}: {why}"


def _part(pool: Pool, part: Sequence[Holding], block: int) -> dict[Holding, _Told]:
    """What is said of some places, all asked at once."""
    told = {place: _Told(held) for place, held in zip(part, _balances(pool, part, block), strict=True)}
    empty = [place for place, each in told.items() if each.held.units == 0]
    counts = _counts(pool, [address for address, _ in empty], block) if empty else []
    return told | {place: replace(told[place], sent=sent) for place, sent in zip(empty, counts, strict=True)}


def _balances(pool: Pool, part: Sequence[Holding], block: int) -> list[Held]:
    def question(live: Live) -> list[str | int | RpcError | None]:
        return live.client.batch("eth_call", [balance_call(each, block) for each in part], decoder=TEXT_ANSWER)

    answers = pool.ask(question)
    return [balance_said(answer, place, block=block) for answer, place in zip(answers, part, strict=True)]


def _counts(pool: Pool, addresses: Sequence[str], block: int) -> list[int | None]:
    def question(live: Live) -> list[str | int | RpcError | None]:
        asked = [[address, hex(block)] for address in addresses]
        return live.client.batch("eth_getTransactionCount", asked, decoder=TEXT_ANSWER)

    return [_count(answer) for answer in pool.ask(question)]


def _count(answer: object) -> int | None:
    """The number in an answer; None where it is none."""
    digits = "" if isinstance(answer, RpcError) else str(answer).lower()
    if not digits.startswith("0x") or not 3 <= len(digits) <= 18 or digits[2:].strip("0123456789abcdef"):
        return None
    count = int(digits, 16)
    return count if count < SENT_MAX else None
