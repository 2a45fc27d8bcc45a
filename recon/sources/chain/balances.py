"""What known wallets held before and after a stretch of a chain, and every transfer of known tokens in between.

The balances are asked for first, while the newest block is still new: a node without an archive forgets the state of a
block after a few minutes. A node that keeps no state of a block answers with an error of one of many texts; the balance
is then not known, which is never the same as 0. That is an answer and no gap in what was read: most nodes are such.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from recon.core.money import UNITS_DIGITS_MAX
from recon.core.tables import TABLES, schema_of, table_of
from recon.sources.chain.blocks import StartBlockError, start_block
from recon.sources.chain.endpoints import HEAD_TRIES, Block, EndpointsDownError, Live, Pool
from recon.sources.chain.logs import TEXT_ANSWER
from recon.sources.chain.reading import read_stretch
from recon.sources.chain.reading_plan import ReadingPlan
from recon.sources.chain.rpc import Complaint, Fault, RpcError
from recon.sources.interface import Coverage, Progress, Reading

if TYPE_CHECKING:
    import pyarrow as pa

SCOPE: Final = "balances"
_BALANCE_CALL: Final = "0x70a08231"
_WORD_DIGITS: Final = 64
_LACKING: Final = frozenset({Fault.STATE, Fault.LAG})
"""What a node says that does not have the state of a block, or not any more, or not yet."""
_KEY: Final = ("chain_id", "tx_hash", "log_index")

_Span = tuple[int | None, int | None]
Holding = tuple[str, str]
"""A wallet and the contract of a token."""


@dataclass(frozen=True, slots=True)
class Held:
    """What a wallet holds of a token at a block, in base units, or why nobody can tell.

    ``is_answered`` is false where a question was left open, and not answered by a node that cannot tell.
    """

    units: int | None = None
    problem: str | None = None
    is_answered: bool = True


def balance_reading(
    pool: Pool, plans: tuple[ReadingPlan, ReadingPlan], *, to_ms: int | None, progress: Progress
) -> Reading:
    """Read balances and movements of the wallets of two plans; never raises for a chain that is sick.

    Args:
        plans: What leaves the wallets, and what comes to them; both of the same wallets and tokens.
        to_ms: The stretch ends before this time, UTC ms; None ends it just below the head.
    """
    return _BalanceReader(pool, plans, to_ms, progress).read()


@dataclass(slots=True)
class _BalanceReader:
    pool: Pool
    plans: tuple[ReadingPlan, ReadingPlan]
    to_ms: int | None
    progress: Progress

    def read(self) -> Reading:
        before = self.pool.meter()
        plan = self.plans[0]
        try:
            head = self.pool.current().head
            assert head is not None
            start = start_block(self.pool, from_ms=plan.question.from_ms, floor=0)
            closing = self._closing(head, start)
        except (EndpointsDownError, StartBlockError) as error:
            return self._nothing(str(error))
        opening = self._opening(start)
        held = {block: self._held(block) for block in (closing.number, opening)}
        tables, problem = self._movements(head, start, closing=closing.number)
        if (turned := self._turned(closing)) is not None:
            held[closing.number] = dict.fromkeys(held[closing.number], Held(problem=turned, is_answered=False))
        between = (opening, closing.number)
        rows = self._rows(held[opening], held[closing.number], between=between, problem=problem)
        after = self.pool.meter()
        unanswered = [each.problem for at in held.values() for each in at.values() if not each.is_answered]
        coverage = self._coverage(
            problem=" ".join(dict.fromkeys(text for text in [problem, *unanswered] if text)) or None,
            between=between,
            calls=after.calls - before.calls,
            wire_bytes=after.wire_bytes - before.wire_bytes,
            items=len(rows),
        )
        moved = _within(tables, between, wallets=plan.senders)
        return Reading(tables={"balances": table_of("balances", rows), "movements": moved}, coverage=(coverage,))

    def _nothing(self, problem: str) -> Reading:
        """Of no wallet can anything be told."""
        untold = dict.fromkeys(self._holdings(), Held(problem=problem, is_answered=False))
        rows = self._rows(untold, untold, between=(None, None), problem=problem)
        table = table_of("balances", rows)
        return Reading(tables={"balances": table}, coverage=(self._coverage(problem=problem, items=len(rows)),))

    def _holdings(self) -> list[Holding]:
        plan = self.plans[0]
        return [(wallet, token) for wallet in plan.senders for token in plan.tokens]

    def _opening(self, start: Block) -> int:
        """The block before the first that is scanned, or that one where the node has none before it."""
        before = start.number - 1
        try:
            return before if before >= 0 and self._block(before) is not None else start.number
        except EndpointsDownError:
            return before

    def _closing(self, head: Block, start: Block) -> Block:
        """The newest block that is looked at, with its hash."""
        number = max(start.number, head.number - self.plans[0].head_margin_blocks)
        if self.to_ms is not None and self.to_ms <= head.time_ms:
            number = min(number, start_block(self.pool, from_ms=self.to_ms, floor=start.number).number)
        found = self._block(number)
        if found is None:
            raise EndpointsDownError(source=self.pool.source, last=f"nobody gives block {number}")
        return found

    def _block(self, number: int) -> Block | None:
        return self.pool.ask(lambda live: self.pool.block_at(live, number))

    def _turned(self, closing: Block) -> str | None:
        """Why the last balance belongs to no block any more, or None where the chain did not turn meanwhile."""
        try:
            again = self._block(closing.number)
        except EndpointsDownError:
            return None
        if again is None or again.hash == closing.hash:
            return None
        return f"Block {closing.number} was replaced while the chain was read."

    def _held(self, block: int) -> dict[Holding, Held]:
        """The balances of all wallets at a block; where the first cannot be told for lack of state, none is asked."""
        plan, asked = self.plans[0], self._holdings()
        found = {asked[0]: self._first(asked[0], block)}
        if found[asked[0]] == _lacking(block):
            return dict.fromkeys(asked, found[asked[0]])
        for start in range(1, len(asked), plan.batch_max):
            part = asked[start : start + plan.batch_max]
            try:
                answers = self.pool.ask(lambda live, part=part: _batch(live, part, block))  # type: ignore[misc]
            except EndpointsDownError as error:
                answers = [Held(problem=str(error), is_answered=False)] * len(part)
            found |= dict(zip(part, answers, strict=True))
        return found

    def _first(self, holding: Holding, block: int) -> Held:
        """One balance, of whichever endpoint gives it."""
        complaints: list[Complaint] = []

        def question(live: Live) -> Held:
            try:
                answer = live.client.call("eth_call", balance_call(holding, block), decoder=TEXT_ANSWER)
            except RpcError as error:
                complaints.append(error.complaint)
                raise
            return balance_said(answer, holding, block=block)

        for tried in range(HEAD_TRIES):
            try:
                return self.pool.ask(question)
            except EndpointsDownError as error:
                faults = {each.fault for each in complaints}
                found = _lacking(block) if faults & _LACKING else Held(problem=str(error), is_answered=False)
                if Fault.LAG not in faults:
                    break
            # Behind one address there may be a backend that does not have the newest block yet.
            self.pool.clock.sleep(0.2 * (tried + 1))
        return found

    def _movements(self, head: Block, start: Block, *, closing: int) -> tuple[list[pa.Table], str | None]:
        """The transfers from and to the wallets, and why they may not be whole."""
        tables, problems = [], []
        for plan in self.plans:
            reading = read_stretch(self.pool, plan, head=head, start=start, progress=self.progress)
            tables.append(reading.tables["transfers"])
            for row in reading.coverage:
                if not row.complete:
                    problems.append(row.problem or "They were not read completely.")
                elif row.done_to is None or row.done_to < closing:
                    problems.append(f"They were read to block {row.done_to} only.")
        return tables, " ".join(dict.fromkeys(problems)) or None

    def _rows(
        self,
        opening: Mapping[Holding, Held],
        closing: Mapping[Holding, Held],
        *,
        between: _Span,
        problem: str | None,
    ) -> list[dict[str, Any]]:
        return [
            {
                "chain_id": self.plans[0].facts.chain_id,
                "wallet": wallet,
                "token": token,
                "opening_block": between[0],
                "closing_block": between[1],
                "opening_units": opening[wallet, token].units,
                "closing_units": closing[wallet, token].units,
                "opening_problem": opening[wallet, token].problem,
                "closing_problem": closing[wallet, token].problem,
                "movements_problem": problem,
            }
            for wallet, token in sorted(opening)
        ]

    def _coverage(self, *, problem: str | None, between: _Span = (None, None), **cost: Any) -> Coverage:
        return Coverage(
            self.pool.source,
            SCOPE,
            complete=problem is None,
            chain_id=self.plans[0].facts.chain_id,
            unit="block",
            asked_from=between[0],
            asked_to=between[1],
            problem=problem,
            **cost,
        )


def _lacking(block: int) -> Held:
    """What a node says that does not have the state of a block."""
    return Held(problem=f"The node keeps no state of block {block}.")


def balance_call(holding: Holding, block: int) -> list[object]:
    """The parameters of a call for a balance at the end of a block."""
    wallet, token = holding
    return [{"to": token, "data": f"{_BALANCE_CALL}{wallet[2:].rjust(_WORD_DIGITS, '0')}"}, hex(block)]


def _batch(live: Live, holdings: Sequence[Holding], block: int) -> list[Held]:
    answers = live.client.batch("eth_call", [balance_call(each, block) for each in holdings], decoder=TEXT_ANSWER)
    return [balance_said(answer, holding, block=block) for answer, holding in zip(answers, holdings, strict=True)]


def balance_said(answer: object, holding: Holding, *, block: int) -> Held:
    """The balance in one answer: 32 bytes and nothing else; no other answer is taken for 0."""
    if isinstance(answer, RpcError):
        is_lacking = answer.complaint.fault in _LACKING
        return _lacking(block) if is_lacking else Held(problem=str(answer), is_answered=False)
    digits = str(answer).lower().removeprefix("0x")
    if len(digits) != _WORD_DIGITS or digits.strip("0123456789abcdef"):
        return Held(problem=f"No contract answers balanceOf at {holding[1]} in block {block}.")
    units = int(digits, 16)
    if units >= 10**UNITS_DIGITS_MAX:
        return Held(problem=f"The balance of {holding[0]} at {holding[1]} has more than {UNITS_DIGITS_MAX} digits.")
    return Held(units)


def _within(tables: Sequence[pa.Table], between: tuple[int, int], *, wallets: Sequence[str]) -> pa.Table:
    """The transfers of the blocks after the first and up to the last that are of the wallets, each once, in order."""
    import pyarrow as pa
    import pyarrow.compute as pc

    whole = pa.concat_tables([schema_of(TABLES["movements"]).empty_table(), *tables])
    own = pa.array(sorted(wallets), pa.string())
    is_own = pc.or_(pc.is_in(whole["sender"], value_set=own), pc.is_in(whole["recipient"], value_set=own))
    is_between = pc.and_(pc.greater(whole["block"], between[0]), pc.less_equal(whole["block"], between[1]))
    kept = whole.filter(pc.and_(pc.and_(is_own, is_between), pc.equal(whole["kind"], "erc20")))
    seen: set[tuple[Any, ...]] = set()
    first = []
    for key in zip(*(kept[name].to_pylist() for name in _KEY), strict=True):
        first.append(key not in seen)
        seen.add(key)
    once = kept.filter(pa.array(first, pa.bool_()))
    return once.sort_by([("block", "ascending"), ("log_index", "ascending"), ("tx_hash", "ascending")])
