"""One reading of one chain: scan, receipts, comparison of the two, exact times, finality, coverage and gaps."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from recon.core.registry.known import TERMINAL
from recon.core.text import count_text
from recon.sources.chain.blocks import StartBlockError, bloom_may_hold, start_block, try_blocks
from recon.sources.chain.calls import read_calls
from recon.sources.chain.endpoints import Block, EndpointsDownError, Finality, Pool
from recon.sources.chain.logs import empty_columns, sort_and_compare
from recon.sources.chain.measured import CoinsSeen, measured
from recon.sources.chain.moved import moved_transactions, settled_by, without_others
from recon.sources.chain.reading_plan import ReadingPlan
from recon.sources.chain.receipts import ReceiptReader, Receipts, Transaction
from recon.sources.chain.scan import Hole, LogQuery, Scan, Walker, join_scans, keys_of
from recon.sources.http import Meter
from recon.sources.interface import Coverage, Gap, Progress, Reading

if TYPE_CHECKING:
    import pyarrow as pa

STALE_HEAD_MS: Final = 15 * 60_000
"""A head older than this proves nothing about the time since."""

REDO_ROUNDS: Final = 2
SPOT_CHECKS: Final = 2


@dataclass(slots=True)
class _Cost:
    calls: int = 0
    wire_bytes: int = 0

    def add(self, before: Meter, after: Meter) -> None:
        self.calls += after.calls - before.calls
        self.wire_bytes += after.wire_bytes - before.wire_bytes


@dataclass(slots=True)
class _State:
    head: Block
    start: Block
    scans: dict[str, Scan] = field(default_factory=dict)
    receipts: Receipts = field(default_factory=Receipts)
    costs: dict[str, _Cost] = field(default_factory=dict)
    blocks: dict[int, Block] = field(default_factory=dict)
    calls: Mapping[str, str] = field(default_factory=dict)


def read_chain(pool: Pool, plan: ReadingPlan, *, progress: Progress) -> Reading:
    """Read one chain; never raises for a chain that is sick, only for one that is wrong."""
    try:
        head = pool.current().head
        assert head is not None
        floor = 0 if plan.recipients or plan.senders else plan.created_block
        # A head below the contracts' creation is a test chain, which the registry does not describe.
        start = head
        if not plan.question.receipts_only:
            start = start_block(pool, from_ms=plan.question.from_ms, floor=floor if floor <= head.number else 0)
    except (EndpointsDownError, StartBlockError) as error:
        return _nothing(pool, plan, str(error))
    return read_stretch(pool, plan, head=head, start=start, progress=progress)


def read_stretch(pool: Pool, plan: ReadingPlan, *, head: Block, start: Block, progress: Progress) -> Reading:
    """Read one chain from a block that was looked up to just below a head of it."""
    return _Reader(pool, plan, _State(head, start), progress).read()


class _Reader:
    def __init__(self, pool: Pool, plan: ReadingPlan, state: _State, progress: Progress) -> None:
        self.pool, self.plan, self.state = pool, plan, state
        self.queries = {query.scope: query for query in plan.queries()}
        self.to_block = max(state.start.number, state.head.number - plan.head_margin_blocks)
        self._progress, self._seen = progress, 0
        self._total = len(self.queries) * (self.to_block - state.start.number + 1) + len(plan.tx_hashes)
        self.walker = Walker(pool, range_blocks_max=plan.range_blocks_max, progress=self._advance)
        self.receipt_reader = ReceiptReader(
            pool,
            kinds=dict(plan.kinds),
            known_tokens=plan.known_tokens,
            terminals=plan.terminals,
            from_block=state.start.number,
            batch_max=plan.batch_max,
        )
        state.blocks |= {state.head.number: state.head, state.start.number: state.start}
        state.costs |= {scope: _Cost() for scope in ("proxy", "erc20", "receipts")}

    def _advance(self, amount: int) -> None:
        self._seen = min(self._total, self._seen + amount)
        self._progress(self.plan.source, self._seen, self._total)

    def _scan(self, scope: str) -> Scan:
        """Walk the whole stretch, less what the asker knows of it."""
        lo, hi = self.state.start.number, self.to_block
        first, last = self.plan.question.known_blocks or (0, -1)
        first, last = max(first, lo), min(last, hi)
        if first > last:
            return self._walk(scope, lo, hi)
        self._advance(last - first + 1)
        before, after = self._walk(scope, lo, first - 1), self._walk(scope, last + 1, hi)
        return join_scans(before, after, known=(first, last))

    def _walk(self, scope: str, lo: int, hi: int) -> Scan:
        before = self.pool.meter()
        scan = self.walker.walk(self.queries[scope], lo=lo, hi=hi)
        self.state.costs[scope].add(before, self.pool.meter())
        return scan

    def read(self) -> Reading:
        state = self.state
        for scope in self.queries:
            state.scans[scope] = self._scan(scope)
            before = self.pool.meter()
            self._spot_check(scope)
            state.costs[scope].add(before, self.pool.meter())
        self._read_receipts()
        table = self._compared()
        if not self.plan.question.receipts_only:
            table = self._timed(table)
        finality = self.pool.finality()
        return Reading(
            tables={"transfers": self._transfers(table, finality), "transactions": self._transactions(table, finality)},
            coverage=self._coverage(finality),
            gaps=tuple(self._gaps()),
        )

    def _spot_check(self, scope: str) -> None:
        """Endpoints were seen to answer nothing for old blocks that do hold logs: ask about a few empty ranges again.

        Another endpoint is asked where there is one; otherwise the bloom filters of three blocks of the range tell
        whether to ask again. A filter may say yes without reason, so it is never proof by itself.
        """
        scan, query = self.state.scans[scope], self.queries[scope]
        empty = [done for done, table in zip(scan.done, scan.tables, strict=True) if not table.num_rows]
        chosen = random.Random(len(empty)).sample(empty, min(SPOT_CHECKS, len(empty)))  # noqa: S311 - a fixed sample
        for lo, hi in sorted(chosen):
            found = self._second_opinion(query, lo, hi)
            if found is None or not found.num_rows:
                continue
            self.pool.switch(self._anyone(), "it left out logs")
            again = self.walker.walk(query, lo=lo, hi=hi)
            if not keys_of(found) <= {key for table in again.tables for key in keys_of(table)}:
                again = Scan(lo, hi, holes=[Hole(lo, hi, "An endpoint answers nothing here and another does not.")])
            replace_range(scan, again)

    def _second_opinion(self, query: LogQuery, lo: int, hi: int) -> pa.Table | None:
        live = self._anyone()
        for other in self.pool.others(live):
            if self.pool.ready(other) and other.head is not None and other.head.number >= hi:
                return self.walker.peek(other, query, lo=lo, hi=hi)
        blocks = try_blocks(self.pool, {lo, (lo + hi) // 2, hi}, batch_max=self.plan.batch_max)
        for block in blocks.values():
            either = query.addresses or query.words
            if any(bloom_may_hold(block.bloom, query.topic, item) for item in either):
                found = self.walker.peek(live, query, lo=block.number, hi=block.number)
                if found is not None and found.num_rows:
                    return found
        return None

    def _read_receipts(self) -> None:
        """Receipts of the recorded hashes that the scan did not show; a log that was scanned is proof by itself."""
        shown = self._scanned_hashes()
        before = self.pool.meter()
        wanted = [tx_hash for tx_hash in self.plan.tx_hashes if tx_hash not in shown]
        for start in range(0, len(wanted), self.plan.batch_max):
            answers = self.receipt_reader.read(wanted[start : start + self.plan.batch_max])
            self.state.receipts.transactions |= answers.transactions
            self.state.receipts.tables += answers.tables
            self._advance(len(answers.transactions))
        self.state.calls = read_calls(self.pool, self.plan, answered=self.state.receipts.transactions)
        self.state.costs["receipts"].add(before, self.pool.meter())

    def _scanned_hashes(self) -> set[str]:
        import pyarrow as pa
        import pyarrow.compute as pc

        if not self.plan.tx_hashes or not self.plan.question.proxies:
            return set()  # A scan of ERC-20 transfers alone shows a transaction without its proxy logs.
        wanted = pa.array(self.plan.tx_hashes, pa.string())
        found: set[str] = set()
        for scope, scan in self.state.scans.items():
            for table in scan.tables:
                rows = table.filter(pc.is_in(table["tx_hash"], value_set=wanted))
                for tx_hash, block in zip(rows["tx_hash"].to_pylist(), rows["block"].to_pylist(), strict=True):
                    if not self._in_hole(block, besides=scope):
                        found.add(tx_hash)
        return found

    def _in_hole(self, block: int, *, besides: str) -> bool:
        """Whether another scan could not read this block: the transaction may hold logs that nobody saw."""
        others = (scan for scope, scan in self.state.scans.items() if scope != besides)
        return any(hole.lo <= block <= hole.hi for scan in others for hole in scan.holes)

    def _compared(self) -> pa.Table:
        """Scan and receipts in one table, asked again where they contradict each other.

        Two hashes at one height, one key with two contents, or a receipt that shows a log that the scan of its
        blocks did not: the blocks are read again, from another endpoint where there is one, and are a gap when the
        contradiction stays.
        """
        for round_ in range(REDO_ROUNDS + 1):
            doubtful = self._settle_moved()
            table, _, torn = sort_and_compare(self._joined())
            torn = sorted({*torn, *doubtful})
            missing = self._missing()
            if not torn and not missing:
                return table
            is_last = round_ == REDO_ROUNDS
            if not is_last:
                self.pool.switch(self._anyone(), "its answers contradict each other")
            self._redo_torn(torn, is_last=is_last)
            self._redo_missing(missing, is_last=is_last)
        table, _, _ = sort_and_compare(self._joined())
        return table

    def _settle_moved(self) -> set[int]:
        """Keep each transaction in the block that its receipt names; the blocks where none does are in doubt."""
        places = moved_transactions(self._joined())
        if not places:
            return set()
        before = self.pool.meter()
        right, doubtful = settled_by(self.receipt_reader.read(sorted(places)).transactions, places)
        self.state.costs["receipts"].add(before, self.pool.meter())
        for scan in self.state.scans.values():
            scan.tables[:] = [without_others(table, right) for table in scan.tables]
            scan.proven[:] = [without_others(table, right) for table in scan.proven]
        self.state.receipts.tables = [without_others(table, right) for table in self.state.receipts.tables]
        return doubtful

    def _anyone(self) -> Any:
        return next((live for live in self.pool.used if live.usable), self.pool.lives[0])

    def _joined(self) -> pa.Table:
        import pyarrow as pa

        scanned = [table for scan in self.state.scans.values() for table in (*scan.tables, *scan.proven)]
        return pa.concat_tables([empty_columns(), *scanned, *self.state.receipts.tables])

    def _redo_torn(self, torn: Iterable[int], *, is_last: bool) -> None:
        for block in torn:
            for scope, scan in self.state.scans.items():
                if scan.was_asked(block):
                    reason = f"Block {block} comes in two versions, also when asked again."
                    again = Scan(block, block, holes=[Hole(block, block, reason)])
                    replace_range(scan, again if is_last else self._walk(scope, block, block))
            hashes = sorted(
                answer.tx_hash for answer in self.state.receipts.transactions.values() if answer.block == block
            )
            self.state.receipts.tables = [without_block(table, block) for table in self.state.receipts.tables]
            if not is_last:
                answers = self.receipt_reader.read(hashes)
                self.state.receipts.transactions |= answers.transactions
                self.state.receipts.tables += answers.tables
                continue
            for tx_hash in hashes:
                error = f"Block {block} comes in two versions."
                self.state.receipts.transactions[tx_hash] = Transaction(tx_hash, "failed", error=error)

    def _missing(self) -> dict[str, set[tuple[int, int]]]:
        """Ranges that were scanned, yet whose answer lacks a log that a receipt shows, by scope."""
        receipts = self.state.receipts.table()
        found: dict[str, set[tuple[int, int]]] = {}
        if not receipts.num_rows:
            return found
        known = {
            (tx_hash, index)
            for scan in self.state.scans.values()
            for table in scan.tables
            for tx_hash, index in zip(table["tx_hash"].to_pylist(), table["log_index"].to_pylist(), strict=True)
        }
        for row in receipts.select(["tx_hash", "log_index", "block", "kind", "emitter", "recipient"]).to_pylist():
            if (row["tx_hash"], row["log_index"]) not in known and (scope := self._scope_of(row)):
                found.setdefault(scope, set()).update(
                    (lo, hi) for lo, hi in self.state.scans[scope].done if lo <= row["block"] <= hi
                )
        return {scope: ranges for scope, ranges in found.items() if ranges}

    def _scope_of(self, row: Mapping[str, Any]) -> str | None:
        """The scope whose scan should have shown a transfer, or None."""
        if row["kind"] == "erc20":
            asked = row["recipient"] in self.plan.recipients and (
                not self.plan.tokens or row["emitter"] in self.plan.tokens
            )
            return "erc20" if asked and "erc20" in self.queries else None
        return "proxy" if row["kind"] not in ("unknown", TERMINAL) and "proxy" in self.queries else None

    def _redo_missing(self, missing: Mapping[str, set[tuple[int, int]]], *, is_last: bool) -> None:
        for scope, ranges in missing.items():
            for lo, hi in sorted(ranges):
                scan = self.state.scans[scope]
                if not is_last:
                    replace_range(scan, self._walk(scope, lo, hi))
                    continue
                # What the endpoint does show is proven all the same; only the absence of more is not.
                reason = "A receipt shows a log here that the scan does not, also when asked again."
                scan.proven += [_within(table, lo, hi) for table in scan.tables]
                replace_range(scan, Scan(lo, hi, holes=[Hole(lo, hi, reason)]))

    def _timed(self, table: pa.Table) -> pa.Table:
        """Fill in exact block times: as logs state them where a sample proves right, else from the blocks."""
        import pyarrow as pa

        if table["block_time"].null_count < table.num_rows and self._times_lie(table):
            table = _set_times(table, pa.nulls(table.num_rows, pa.int64()))
        self._fetch_times(table)
        return self._with_times(table) if table["block_time"].null_count else table

    def _fetch_times(self, table: pa.Table) -> None:
        """Read the blocks of rows without a time, and of the transactions that were looked up."""
        import pyarrow.compute as pc

        answers = self.state.receipts.transactions.values()
        wanted = {answer.block for answer in answers if answer.block is not None}
        if table["block_time"].null_count:
            wanted |= set(pc.unique(table["block"].filter(pc.is_null(table["block_time"]))).to_pylist())
        wanted -= self.state.blocks.keys()
        if wanted:
            self.state.blocks |= try_blocks(self.pool, wanted, batch_max=self.plan.batch_max)

    def _with_times(self, table: pa.Table) -> pa.Table:
        """The table with the times of the blocks that were read; a block whose time nobody gives is left open."""
        import pyarrow as pa

        numbers = table["block"].to_pylist()
        stated = zip(numbers, table["block_time"].to_pylist(), strict=True)
        known = {number: block.time_ms for number, block in self.state.blocks.items()}
        times = [known.get(number) if time is None else time for number, time in stated]
        self._leave_open({number for number, time in zip(numbers, times, strict=True) if time is None})
        return _set_times(table, pa.array(times, pa.int64()))

    def _leave_open(self, blocks: Iterable[int]) -> None:
        """A transfer whose time nobody gives belongs to no payment that is found by time: its block is a hole."""
        scan = self.state.scans.get("erc20")
        for block in sorted(blocks):
            if scan is not None and scan.was_asked(block):
                hole = Hole(block, block, f"Nobody gives the time of block {block}.")
                replace_range(scan, Scan(block, block, holes=[hole]))

    def _times_lie(self, table: pa.Table) -> bool:
        import pyarrow as pa
        import pyarrow.compute as pc

        stated = table.select(["block", "block_time"]).drop_null()
        numbers = sorted(pc.unique(stated["block"]).to_pylist())
        # The sample is drawn with a fixed seed, so that the same world is read the same way.
        chosen = random.Random(len(numbers)).sample(numbers, min(self.plan.verify_blocks, len(numbers)))  # noqa: S311
        blocks = try_blocks(self.pool, chosen, batch_max=self.plan.batch_max)
        self.state.blocks |= blocks
        rows = stated.filter(pc.is_in(stated["block"], value_set=pa.array(sorted(blocks), pa.int64()))).to_pylist()
        return any(blocks[row["block"]].time_ms != row["block_time"] for row in rows)

    def _head_time(self) -> int:
        """The time of the lowest head that was used; nothing newer than this can have been seen."""
        heads = [live.head.time_ms for live in self.pool.used if live.head is not None]
        return min(heads, default=self.state.head.time_ms)

    def _head_number(self) -> int:
        heads = [live.head.number for live in self.pool.used if live.head is not None]
        return min(heads, default=self.state.head.number)

    def _transfers(self, table: pa.Table, finality: Finality) -> pa.Table:
        import pyarrow as pa
        import pyarrow.compute as pc

        from recon.core.tables import arrow_schema

        schema, head = arrow_schema("transfers"), self._head_number()
        depth = pc.max_element_wise(pc.subtract(head + 1, table["block"]), 1)
        final = pc.and_(
            pc.less_equal(table["block"], finality.block), pc.greater_equal(depth, self.plan.confirmations_min)
        )
        seen = CoinsSeen(self.state.receipts.transactions, self.state.scans.get("erc20"), plan=self.plan)
        made = {
            **measured(table, seen=seen, plain_tokens=self.plan.plain_tokens),
            "chain_id": pa.repeat(pa.scalar(self.plan.facts.chain_id, pa.int64()), table.num_rows),
            "confirmations": depth,
            "final": final,
        }
        given = {**{name: table[name] for name in table.column_names}, **made}
        columns = [given.get(field.name, pa.nulls(table.num_rows, field.type)) for field in schema]
        return pa.table(columns, schema=schema)

    def _transactions(self, table: pa.Table, finality: Finality) -> pa.Table:
        from recon.core.tables import table_of

        head, places = self._head_number(), self._places(table)
        rows: list[dict[str, object]] = []
        for tx_hash in self.plan.tx_hashes:
            answer = self.state.receipts.transactions.get(tx_hash) or places.get(tx_hash)
            if answer is None:
                answer = Transaction(tx_hash, "failed", error="Its block comes in two versions.")
            depth = None if answer.block is None else max(1, head + 1 - answer.block)
            is_final = None
            if answer.block is not None and depth is not None:
                is_final = answer.block <= finality.block and depth >= self.plan.confirmations_min
            rows.append(
                {
                    "chain_id": self.plan.facts.chain_id,
                    "tx_hash": tx_hash,
                    "outcome": answer.outcome,
                    "block": answer.block,
                    "block_hash": answer.block_hash,
                    "block_time": None if answer.block is None else self._time_of(answer.block),
                    "confirmations": depth,
                    "final": is_final,
                    "sender": answer.sender,
                    "error": answer.error,
                    "call": self.state.calls.get(tx_hash),
                }
            )
        return table_of("transactions", rows)

    def _places(self, table: pa.Table) -> dict[str, Transaction]:
        """Where the asked hashes lie that the scan showed; their block times are noted on the way."""
        import pyarrow as pa
        import pyarrow.compute as pc

        shown = table.filter(pc.is_in(table["tx_hash"], value_set=pa.array(self.plan.tx_hashes, pa.string())))
        found: dict[str, Transaction] = {}
        for row in shown.select(["tx_hash", "block", "block_hash", "block_time"]).to_pylist():
            found[row["tx_hash"]] = Transaction(row["tx_hash"], "success", row["block"], row["block_hash"])
            if row["block_time"] is not None:
                self.state.blocks.setdefault(row["block"], Block(row["block"], row["block_hash"], row["block_time"]))
        return found

    def _time_of(self, number: int) -> int | None:
        block = self.state.blocks.get(number)
        return block.time_ms if block else None

    def _coverage(self, finality: Finality) -> tuple[Coverage, ...]:
        rows = []
        for scope, scan in self.state.scans.items():
            covered = [*scan.done, *([scan.known] if scan.known else [])]
            rows.append(
                self._row(
                    scope,
                    finality,
                    done_from=min((lo for lo, _ in covered), default=None),
                    done_to=max((hi for _, hi in covered), default=None),
                    pages=len(scan.done),
                    items=sum(table.num_rows for table in scan.tables),
                    problem=self._problem_of(scan),
                )
            )
        if self.plan.tx_hashes:
            failed = [one for one in self.state.receipts.transactions.values() if one.outcome == "failed"]
            problem = (
                f"{count_text(len(failed), 'transaction')} could not be asked about. {failed[0].error}"
                if failed
                else None
            )
            done = None if failed else self.state.start.number
            rows.append(
                self._row(
                    "receipts",
                    finality,
                    done_from=done,
                    done_to=None if failed else self.to_block,
                    items=len(self.state.receipts.transactions),
                    problem=problem,
                )
            )
        return tuple(rows)

    def _problem_of(self, scan: Scan) -> str | None:
        if not scan.holes:
            return self._stale()
        blocks = sum(hole.hi - hole.lo + 1 for hole in scan.holes)
        return f"{blocks} of {scan.hi - scan.lo + 1} blocks could not be read. {scan.holes[0].reason}"

    def _row(self, scope: str, finality: Finality, **found: Any) -> Coverage:
        cost = self.state.costs[scope]
        return Coverage(
            source=self.plan.source,
            scope=scope,
            complete=found["problem"] is None,
            chain_id=self.plan.facts.chain_id,
            unit="block",
            asked_from=self.state.start.number,
            asked_to=self.to_block,
            head=self._head_number(),
            head_time=self._head_time(),
            final_head=finality.block,
            finality_rule=finality.rule,
            calls=cost.calls,
            wire_bytes=cost.wire_bytes,
            **found,
        )

    def _gaps(self) -> list[Gap]:
        holes = [(scope, hole) for scope, scan in self.state.scans.items() for hole in scan.holes]
        edges = {edge for _, hole in holes for edge in (hole.lo, hole.hi)} - self.state.blocks.keys()
        if edges:
            self.state.blocks |= try_blocks(self.pool, edges, batch_max=self.plan.batch_max)
        gaps = [self._gap(scope, hole) for scope, hole in holes]
        if reason := self._stale():
            now_ms = self.pool.clock.now_ms()
            gaps += [
                Gap(self.plan.source, scope, self.state.head.time_ms, now_ms, reason, self.plan.facts.chain_id)
                for scope in self.state.scans
            ]
        return gaps

    def _stale(self) -> str | None:
        """Why the head proves nothing about the present, or None when it does."""
        age_ms = self.pool.clock.now_ms() - self.state.head.time_ms
        if age_ms <= STALE_HEAD_MS:
            return None
        return f"The newest block, {self.state.head.number}, is {age_ms // 1_000} s old."

    def _gap(self, scope: str, hole: Hole) -> Gap:
        """A hole by time; where a block's own time is not known, the nearest known one outside the hole stands in."""
        before = [block.time_ms for number, block in self.state.blocks.items() if number <= hole.lo]
        after = [block.time_ms for number, block in self.state.blocks.items() if number >= hole.hi]
        reaches_end = hole.hi >= self.to_block
        return Gap(
            source=self.plan.source,
            scope=scope,
            from_ms=max(before, default=self.plan.question.from_ms),
            to_ms=self.pool.clock.now_ms() if reaches_end or not after else min(after),
            reason=hole.reason,
            chain_id=self.plan.facts.chain_id,
            from_block=hole.lo,
            to_block=hole.hi,
        )


def _set_times(table: pa.Table, times: pa.Array) -> pa.Table:
    return table.set_column(table.schema.get_field_index("block_time"), "block_time", times)


def replace_range(scan: Scan, again: Scan) -> None:
    """Put a second walk of some blocks in the place of the first; the tiling stays exact."""
    done, tables = [], []
    for (lo, hi), table in zip(scan.done, scan.tables, strict=True):
        if hi < again.lo or lo > again.hi:
            done.append((lo, hi))
            tables.append(table)
            continue
        for part_lo, part_hi in ((lo, again.lo - 1), (again.hi + 1, hi)):
            if part_lo <= part_hi:
                done.append((part_lo, part_hi))
                tables.append(_within(table, part_lo, part_hi))
    holes = []
    for hole in scan.holes:
        if hole.hi < again.lo or hole.lo > again.hi:
            holes.append(hole)
            continue
        parts = ((hole.lo, again.lo - 1), (again.hi + 1, hole.hi))
        holes += [Hole(part_lo, part_hi, hole.reason) for part_lo, part_hi in parts if part_lo <= part_hi]
    scan.done, scan.tables = [*done, *again.done], [*tables, *again.tables]
    scan.holes = sorted([*holes, *again.holes], key=lambda hole: hole.lo)
    scan.assert_tiles()


def _within(table: pa.Table, lo: int, hi: int) -> pa.Table:
    import pyarrow.compute as pc

    return table.filter(pc.and_(pc.greater_equal(table["block"], lo), pc.less_equal(table["block"], hi)))


def without_block(table: pa.Table, block: int) -> pa.Table:
    """The rows of all other blocks."""
    import pyarrow.compute as pc

    return table.filter(pc.not_equal(table["block"], block))


def _nothing(pool: Pool, plan: ReadingPlan, reason: str) -> Reading:
    """A chain that cannot be asked: gaps over the whole window, and no hash is called unknown."""
    from recon.core.tables import arrow_schema, table_of

    scopes = [query.scope for query in plan.queries()] + (["receipts"] if plan.tx_hashes else [])
    now_ms, chain_id = max(pool.clock.now_ms(), plan.question.from_ms), plan.facts.chain_id
    cost = pool.meter()
    rows: list[dict[str, object]] = [
        {"chain_id": chain_id, "tx_hash": tx_hash, "outcome": "failed", "error": reason} for tx_hash in plan.tx_hashes
    ]
    return Reading(
        tables={"transfers": arrow_schema("transfers").empty_table(), "transactions": table_of("transactions", rows)},
        coverage=tuple(
            Coverage(
                plan.source,
                scope,
                complete=False,
                chain_id=chain_id,
                unit="block",
                calls=cost.calls if place == 0 else 0,
                problem=reason,
            )
            for place, scope in enumerate(scopes)
        ),
        gaps=tuple(Gap(plan.source, scope, plan.question.from_ms, now_ms, reason, chain_id) for scope in scopes),
    )
