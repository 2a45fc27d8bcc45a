"""Walk a stretch of a chain for logs, in ranges that fit the endpoint, and account for every block.

The ranges done and the holes left tile the stretch exactly. An endpoint that finds a question too big is asked for
less; that is never a failure. An answer is believed only when every log in it is one that was asked for, when its
size is no round number that a hidden limit would give, and, near the head, when asking again gives the same.

While a well-filled answer is turned into columns, the next range is fetched by one thread aside. Questions still
leave one after the other and in the same order, so that the same world is read the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from recon.sources.chain.endpoints import EndpointsDownError, Live, Pool
from recon.sources.chain.logs import (
    LOGS_ANSWER,
    RECEIPTS_ANSWER,
    Expectation,
    LogPage,
    RawLog,
    decode_page,
    empty_columns,
    sort_and_compare,
)
from recon.sources.chain.rpc import Complaint, Fault, RpcError

if TYPE_CHECKING:
    import pyarrow as pa

ROUND: Final = 1_000
"""An answer with a multiple of this many logs may have been cut at a limit that nobody mentions."""

GROW_BELOW_LOGS: Final = 500
"""A range grows while answers are smaller than this, a quarter of what is a good size to decode."""

RANGE_BLOCKS_MAX: Final = 1_000_000
NEAR_HEAD: Final = 32
"""Blocks below the head in which a lagging backend may answer nothing without saying so."""

OUTAGE_PAUSE_S: Final = 2.0
FAILURES_MAX: Final = 3
"""Ranges in a row that no endpoint answered, after which the rest is not asked."""


@dataclass(frozen=True, slots=True)
class LogQuery:
    """Which logs: ``addresses`` empty means any contract, ``recipients`` empty means any second indexed address.

    With ``senders`` it is the first indexed address that is asked for.
    """

    scope: str
    topic: str
    expect: Expectation
    addresses: tuple[str, ...] = ()
    recipients: tuple[str, ...] = ()
    senders: tuple[str, ...] = ()

    @property
    def words(self) -> list[str]:
        """The addresses that are asked for, as the topics of a log hold them."""
        return ["0x" + "0" * 24 + address[2:] for address in self.senders or self.recipients]

    def params(self, lo: int, hi: int) -> list[object]:
        """The parameters of ``eth_getLogs``: numbers only, never a tag, and no topic that says nothing."""
        topics: list[object] = [self.topic]
        if self.words:
            topics += [self.words] if self.senders else [None, self.words]
        question: dict[str, object] = {"fromBlock": hex(lo), "toBlock": hex(hi), "topics": topics}
        if self.addresses:
            question["address"] = list(self.addresses)
        return [question]

    def parts(self, size: int) -> Iterator[LogQuery]:
        """The same question in pieces whose lists are no longer than ``size``."""
        for addresses in _chunks(self.addresses, size):
            for senders in _chunks(self.senders, size):
                for recipients in _chunks(self.recipients, size):
                    yield replace(self, addresses=addresses, recipients=recipients, senders=senders)

    def wants(self, log: RawLog) -> bool:
        """Whether a log taken from a receipt is one that this query asks for."""
        topics = [topic.lower() for topic in log.topics]
        if topics[:1] != [self.topic] or (self.addresses and log.address.lower() not in self.addresses):
            return False
        if self.senders:
            return len(topics) > 2 and "0x" + topics[1][26:] in self.senders
        return not self.recipients or (len(topics) > 2 and "0x" + topics[2][26:] in self.recipients)


def _chunks(values: tuple[str, ...], size: int) -> list[tuple[str, ...]]:
    return [values[start : start + size] for start in range(0, len(values), size)] or [()]


@dataclass(frozen=True, slots=True)
class Hole:
    """Blocks, both ends included, whose logs nobody could give."""

    lo: int
    hi: int
    reason: str


@dataclass(slots=True)
class Scan:
    """What a walk gave: one table for each range done, the holes, and rows that are proven inside holes.

    ``known`` is a stretch, both ends included, that was left out because its logs are known already.
    """

    lo: int
    hi: int
    done: list[tuple[int, int]] = field(default_factory=list)
    tables: list[pa.Table] = field(default_factory=list)
    holes: list[Hole] = field(default_factory=list)
    proven: list[pa.Table] = field(default_factory=list)
    foreign: int = 0
    removed: int = 0
    duplicates: int = 0
    known: tuple[int, int] | None = None

    def was_asked(self, block: int) -> bool:
        """Whether this scan is about a block."""
        is_known = self.known is not None and self.known[0] <= block <= self.known[1]
        return self.lo <= block <= self.hi and not is_known

    def assert_tiles(self) -> None:
        """Ranges done, holes and what was known together are the stretch, nothing twice and nothing missing."""
        cursor = self.lo
        known = [self.known] if self.known else []
        for lo, hi in sorted([*self.done, *known, *((hole.lo, hole.hi) for hole in self.holes)]):
            assert lo == cursor and hi >= lo, f"block {cursor} is next, but the range begins at {lo}"
            cursor = hi + 1
        assert cursor == self.hi + 1 or self.lo > self.hi, f"the ranges end at {cursor - 1}, not at {self.hi}"


class _UnbelievableError(Exception):
    """An answer that contradicts the question or itself."""


_Answers = list[tuple[LogQuery, list[RawLog]]]
"""What was said to each part of a question."""


@dataclass(frozen=True, slots=True)
class _Coming:
    """A range that is being fetched aside."""

    live: Live
    query: LogQuery
    lo: int
    hi: int
    answers: Future[_Answers]


@dataclass(frozen=True, slots=True)
class _Failure:
    """Why a range was not read. ``is_odd``: the answer came and is not believed."""

    reason: str
    is_odd: bool = False


@dataclass(slots=True)
class _Effort:
    """What has been tried to read one range."""

    tries_max: int
    tries: int = 0
    blocks_max: int = RANGE_BLOCKS_MAX
    outages: int = 0

    def goes_on(self, failure: _Failure, *, blocks: int) -> bool:
        """Count a failure over some blocks; False when the range is to be given up."""
        self.tries += 1
        if self.tries < self.tries_max:
            return True
        if not failure.is_odd or blocks == 1:
            return False
        # One bad log must not cost a long stretch: close in on its block.
        self.blocks_max, self.tries = blocks // 8 + 1, 0
        return True


class Walker:
    """Walks stretches of one chain over a pool of endpoints."""

    def __init__(
        self, pool: Pool, *, range_blocks_max: int | None = None, progress: Callable[[int], None] = lambda blocks: None
    ) -> None:
        self.pool, self.range_blocks_max, self.progress = pool, range_blocks_max, progress
        self._aside: ThreadPoolExecutor | None = None
        self._coming: _Coming | None = None
        self._last = -1

    def walk(self, query: LogQuery, *, lo: int, hi: int) -> Scan:
        """Read every block from ``lo`` to ``hi``; what cannot be read is a hole, never silence.

        Raises:
            WrongSourceError: An endpoint that was switched to serves another chain.
        """
        try:
            return self._walk(query, lo, hi)
        finally:
            self._settle()
            if self._aside is not None:
                self._aside.shutdown()
                self._aside = None
            self._last = -1

    def _walk(self, query: LogQuery, lo: int, hi: int) -> Scan:
        scan, cursor, failures = Scan(lo, hi), lo, 0
        self._last = hi
        while cursor <= hi:
            if failures >= FAILURES_MAX:
                scan.holes.append(Hole(cursor, hi, scan.holes[-1].reason))
                break
            try:
                end, page = self._range(query, cursor, hi)
            except EndpointsDownError as error:
                scan.holes.append(Hole(cursor, hi, str(error)))
                break
            if isinstance(page, str):
                scan.holes.append(Hole(cursor, end, page))
                failures += 1
            else:
                failures = 0
                scan.done.append((cursor, end))
                scan.tables.append(page.table)
                scan.foreign += page.foreign
                scan.removed += page.removed
                scan.duplicates += page.duplicates
            self.progress(end - cursor + 1)
            cursor = end + 1
        scan.assert_tiles()
        return scan

    def peek(self, live: Live, query: LogQuery, *, lo: int, hi: int) -> pa.Table | None:
        """What one endpoint says of some blocks when asked once, or None when it gives no believable answer."""
        try:
            return self._ask(live, query, lo, hi)[0].table
        except (RpcError, _UnbelievableError):
            return None

    def _range(self, query: LogQuery, cursor: int, hi: int) -> tuple[int, LogPage | str]:
        """Read one range that begins at ``cursor``; gives its last block, and the page or why there is none."""
        effort = _Effort(tries_max=2 * len(self.pool.lives) + 1)
        while True:
            live = self.pool.current()
            assert live.head is not None
            if live.head.number < cursor:
                if effort.tries >= effort.tries_max:
                    return hi, f"{live.host} is at block {live.head.number} and has not reached block {cursor}"
                effort.tries += 1
                self._wait_or_switch(live, effort.tries)
                continue
            end = min(cursor + min(self._size(live), effort.blocks_max) - 1, hi, live.head.number)
            end = self._already_asked(live, query, cursor, end) or end
            read = self._read_once(live, query, cursor, end, effort)
            if isinstance(read, LogPage):
                return end, read
            if read is not None and (self.pool.is_late or not effort.goes_on(read, blocks=end - cursor + 1)):
                return end, read.reason

    def _read_once(self, live: Live, query: LogQuery, lo: int, hi: int, effort: _Effort) -> LogPage | _Failure | None:
        """The page, why there is none, or None where less is asked at once, which is no failure."""
        try:
            page = self._sure(live, query, lo, hi, is_walk=True)
        except RpcError as error:
            self._settle()
            if error.complaint.fault is Fault.SIZE and lo == hi:
                receipts_page = self._by_receipts(live, query, lo)
                if receipts_page is not None:
                    return receipts_page
            if self._is_free(live, error.complaint, lo, hi, halved=effort.outages > 0):
                effort.outages += error.complaint.may_be_outage
                return None
            return _Failure(str(error))
        except _UnbelievableError as odd:
            self._settle()
            failure = _Failure(f"{live.host}: {odd}", is_odd=True)
            if effort.tries:
                self.pool.switch(live, failure.reason)
            return failure
        self._grow(live, page, hi - lo + 1)
        return page

    def _wait_or_switch(self, live: Live, tries: int) -> None:
        if tries % 2 == 0 and self.pool.switch(live, "it is behind"):
            return
        self.pool.clock.sleep(min(2.0, self.pool.facts.block_ms / 1_000))
        try:
            self.pool.refresh(live)
        except RpcError as error:
            self.pool.switch(live, error.complaint)

    def _is_free(self, live: Live, complaint: Complaint, lo: int, hi: int, *, halved: bool) -> bool:
        """React to an error; True when asking again is no failure, because less will be asked.

        Args:
            halved: A text that may mean an outage was already answered by asking for less.
        """
        if complaint.fault is Fault.SIZE and hi > lo:
            self._shrink(live, complaint, lo, hi)
            if not (complaint.may_be_outage and halved):
                return True
            if not self.pool.switch(live, complaint):
                self.pool.clock.sleep(OUTAGE_PAUSE_S)
        elif complaint.fault in (Fault.QUOTA, Fault.DOWN):
            self.pool.drop(live, complaint)
        elif complaint.fault is Fault.LATE and hi > lo:
            # Too much for its line, or a node that drips: less is asked, and of another one where there is one.
            self._shrink(live, complaint, lo, hi)
            self.pool.switch(live, complaint)
        elif complaint.fault is Fault.LAG:
            self._wait_or_switch(live, 1)
        else:
            self.pool.switch(live, complaint)
        return False

    def _size(self, live: Live) -> int:
        limits = (live.cap, self.range_blocks_max, live.client.endpoint.range_blocks_max, RANGE_BLOCKS_MAX)
        return max(1, min(live.size, *(limit for limit in limits if limit is not None)))

    def _shrink(self, live: Live, complaint: Complaint, lo: int, hi: int) -> None:
        blocks = hi - lo + 1
        smaller = blocks // 2
        if complaint.blocks_max is not None and complaint.blocks_max < blocks:
            live.cap = smaller = complaint.blocks_max
        elif complaint.suggested is not None:
            first, last = complaint.suggested
            # Some providers suggest a range that is inverted or lies elsewhere.
            if first == lo and lo <= last < hi:
                smaller = last - lo + 1
        if live.cap is None or blocks <= live.cap:
            # A limit that shows again after it was tried again is tried ever more rarely.
            if live.ceiling is None:
                live.ceiling_wait = min(1_024, live.ceiling_wait * 2)
            live.ceiling = max(1, blocks - 1)
        live.size, live.successes = max(1, smaller), 0

    def _grow(self, live: Live, page: LogPage, blocks: int) -> None:
        live.successes += 1
        if live.ceiling is not None and live.successes >= live.ceiling_wait:
            live.ceiling = None
        if page.table.num_rows < GROW_BELOW_LOGS and blocks >= live.size:
            limits = (live.cap, live.ceiling, RANGE_BLOCKS_MAX)
            live.size = min(live.size * 3 // 2 + 1, *(limit for limit in limits if limit is not None))

    def _sure(self, live: Live, query: LogQuery, lo: int, hi: int, *, is_walk: bool = False) -> LogPage:
        page, is_round = self._ask(live, query, lo, hi, is_walk=is_walk)
        if is_round:
            page = self._halves(live, query, page, lo, hi)
        if live.head is not None and hi > live.head.number - NEAR_HEAD:
            self._look_again(live, query, page, lo=max(lo, hi - NEAR_HEAD), hi=hi)
        return page

    def _halves(self, live: Live, query: LogQuery, whole: LogPage, lo: int, hi: int) -> LogPage:
        """A round count may be a silent cut: the halves must hold all of the whole, and may hold more."""
        if lo == hi:
            page = self._by_receipts(live, query, lo)
            if page is None:
                raise _UnbelievableError(f"a round number of logs in block {lo}, and no receipts to compare with")
            return page
        middle = (lo + hi) // 2
        left, right = self._sure(live, query, lo, middle), self._sure(live, query, middle + 1, hi)
        joined = _join([left, right])
        if not keys_of(whole.table) <= keys_of(joined.table):
            raise _UnbelievableError(f"a range of blocks {lo} to {hi} holds logs that its halves do not")
        return joined

    def _look_again(self, live: Live, query: LogQuery, page: LogPage, *, lo: int, hi: int) -> None:
        """A lagging backend leaves out the newest blocks without a word: they must look the same a second time."""
        import pyarrow.compute as pc

        if self.pool.block_at(live, hi) is None:
            raise RpcError(
                host=live.host, method="eth_getLogs", complaint=Complaint(Fault.LAG, f"it does not have block {hi} yet")
            )
        first = page.table.filter(pc.greater_equal(page.table["block"], lo))
        if keys_of(first) != keys_of(self._ask(live, query, lo, hi)[0].table):
            raise _UnbelievableError("two answers about the newest blocks differ")

    def _ask(self, live: Live, query: LogQuery, lo: int, hi: int, *, is_walk: bool = False) -> tuple[LogPage, bool]:
        answers = self._take(live, query, lo, hi)
        is_round = any(len(logs) > 0 and len(logs) % ROUND == 0 for _, logs in answers)
        if is_walk and not is_round and max((len(logs) for _, logs in answers), default=0) >= GROW_BELOW_LOGS:
            self._fetch_ahead(live, query, lo=hi + 1, blocks=hi - lo + 1)
        page = _join([self._decoded(part, logs, lo, hi) for part, logs in answers])
        if page.rejects:
            raise _UnbelievableError(page.rejects[0])
        return page, is_round

    def _fetch(self, live: Live, query: LogQuery, lo: int, hi: int) -> _Answers:
        answers: _Answers = []
        todo = list(query.parts(live.list_max))
        while todo:
            part = todo.pop(0)
            try:
                logs = live.client.call("eth_getLogs", part.params(lo, hi), decoder=LOGS_ANSWER)
            except RpcError as error:
                longest = max(len(part.addresses), len(part.recipients), len(part.senders))
                if error.complaint.fault is not Fault.LIST or longest < 2:
                    raise
                live.list_max = longest // 2
                todo[:0] = part.parts(live.list_max)
                continue
            if logs is None:
                raise _UnbelievableError("a null came instead of a list of logs")
            answers.append((part, logs))
        return answers

    def _fetch_ahead(self, live: Live, query: LogQuery, *, lo: int, blocks: int) -> None:
        """Have the next range fetched, no larger than the one that was just answered, while this one is decoded."""
        head = live.head.number if live.head is not None else -1
        hi = min(lo + blocks - 1, self._last, head)
        # Near the head the endpoint is asked other things in between; a client serves one thread at a time.
        if self._coming is not None or lo > hi or lo > head - NEAR_HEAD or self.pool.is_late:
            return
        if self._aside is None:
            self._aside = ThreadPoolExecutor(1, thread_name_prefix="ahead")
        self._coming = _Coming(live, query, lo, hi, self._aside.submit(self._fetch, live, query, lo, hi))

    def _already_asked(self, live: Live, query: LogQuery, lo: int, hi: int) -> int | None:
        """The last block of what is being fetched aside, where it is the beginning of this range."""
        coming = self._coming
        if coming is None:
            return None
        if (coming.live, coming.query, coming.lo) == (live, query, lo) and coming.hi <= hi:
            return coming.hi
        self._settle()
        return None

    def _take(self, live: Live, query: LogQuery, lo: int, hi: int) -> _Answers:
        coming, self._coming = self._coming, None
        if coming is not None and (coming.live, coming.query, coming.lo, coming.hi) == (live, query, lo, hi):
            return coming.answers.result()
        assert coming is None, "a client serves one thread at a time"
        return self._fetch(live, query, lo, hi)

    def _settle(self) -> None:
        """Wait for what is being fetched aside, and forget it: the next question may be another."""
        coming, self._coming = self._coming, None
        if coming is not None:
            coming.answers.exception()

    def _decoded(self, query: LogQuery, logs: list[RawLog], lo: int, hi: int) -> LogPage:
        expect = replace(query.expect, from_block=lo, to_block=hi)
        if query.recipients:
            expect = replace(expect, recipients=frozenset(query.recipients))
        if query.senders:
            expect = replace(expect, senders=frozenset(query.senders))
        if query.addresses and expect.erc20:
            expect = replace(expect, tokens=frozenset(query.addresses))
        return decode_page(logs, expect)

    def _by_receipts(self, live: Live, query: LogQuery, block: int) -> LogPage | None:
        """The logs of a block that is too big for ``eth_getLogs``, from its receipts; None when not offered."""
        if not live.block_receipts:
            return None
        try:
            receipts = live.client.call("eth_getBlockReceipts", [hex(block)], decoder=RECEIPTS_ANSWER)
        except RpcError as error:
            live.block_receipts = error.complaint.fault is not Fault.UNSUPPORTED
            return None
        if receipts is None:
            return None
        logs = [log for receipt in receipts for log in receipt.logs if query.wants(log)]
        page = self._decoded(query, logs, block, block)
        return None if page.rejects else page


def join_scans(before: Scan, after: Scan, *, known: tuple[int, int]) -> Scan:
    """Two walks and the stretch between them, which was known already, as one scan."""
    joined = Scan(
        min(before.lo, known[0]),
        max(after.hi, known[1]),
        done=[*before.done, *after.done],
        tables=[*before.tables, *after.tables],
        holes=[*before.holes, *after.holes],
        foreign=before.foreign + after.foreign,
        removed=before.removed + after.removed,
        duplicates=before.duplicates + after.duplicates,
        known=known,
    )
    joined.assert_tiles()
    return joined


def _join(pages: list[LogPage]) -> LogPage:
    import pyarrow as pa

    if len(pages) == 1:
        return pages[0]
    table, repeated, torn = sort_and_compare(pa.concat_tables([page.table for page in pages] or [empty_columns()]))
    rejects = [reason for page in pages for reason in page.rejects]
    rejects += [f"a block, {number}, comes in two versions" for number in torn[:1]]
    return LogPage(
        table=table,
        rejects=rejects,
        duplicates=repeated + sum(page.duplicates for page in pages),
        removed=sum(page.removed for page in pages),
        foreign=sum(page.foreign for page in pages),
    )


def keys_of(table: pa.Table) -> set[tuple[str, int]]:
    """Transaction hash and log index of every row."""
    return set(zip(table["tx_hash"].to_pylist(), table["log_index"].to_pylist(), strict=True))
