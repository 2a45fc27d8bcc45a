"""Money that left a payout wallet since the evidence begins, read before anyone says that no row explains it.

The first judgement says which wallets proven payouts came from; their outgoing transfers are read from then on, and
with them the transactions that a provider lists as outgoing and that no row of the window records. Whatever row of the
whole collection records one of them, or owns an address in them, is fetched as context: it may explain them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from recon.core.errors import SourceError
from recon.core.model import COMPLETE
from recon.core.tables import table_of
from recon.snapshots.orphans import tables_in
from recon.snapshots.sealed import read_table
from recon.sources.interface import ChainQuestion, ChainSource, Coverage, DocumentStore, Progress, Reading, Selection
from recon.verdicts.judge import OUTFLOW_SCOPE

if TYPE_CHECKING:
    import pyarrow as pa

    from recon.core.model import Policy
    from recon.snapshots.sealed import SnapshotWriter
    from recon.verdicts.judge import Leads

LISTED_MAX: Final = 2_000
"""Most transactions of a chain, listed as outgoing by a provider and recorded by no row, that one run looks up."""

PAYEES_MAX: Final = 50
"""Of so many payees of a chain, whose payments are marked refunded without proof, what left them is read; and of as
many of complete payments, those of the most payments, where what left wallets of the chain is read anyway: one question
asks for them all, so that takes no call more."""

RETURNS: Final = "returns"
"""The scope of the coverage rows that say from which payees nobody read what went back past the proxy."""

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Outflows:
    """What was read of outgoing money.

    Args:
        moved: Transfers out of the wallets that the first reading does not have; None where nobody looked.
        looked_up: Readings of the listed transactions; they replace what the first reading says of them.
        coverage: One row of :data:`recon.verdicts.judge.OUTFLOW_SCOPE` for each chain that was asked.
        open_rows: What no row of the window explains at first sight: ``tx_hash``, ``sender``, ``recipient``.
        topics: By transaction of these, the references in it that no row of the window has.
    """

    moved: pa.Table | None
    looked_up: tuple[Reading, ...] = ()
    coverage: tuple[Coverage, ...] = ()
    open_rows: tuple[Row, ...] = ()
    topics: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def hashes(self) -> list[str]:
        """Every transaction in what is open."""
        return sorted({row["tx_hash"] for row in self.open_rows})

    def topics_besides(self, known: set[str]) -> set[str]:
        """The references in what is open, less those in transactions that are known."""
        return {topic for tx_hash, each in self.topics.items() if tx_hash not in known for topic in each}

    def addresses(self) -> list[str]:
        """Every address in what is open."""
        return sorted({row[name] for row in self.open_rows for name in ("sender", "recipient") if row[name]})


@dataclass(slots=True)
class _Asked:
    """What one chain is asked."""

    wallets: set[str] = field(default_factory=set)
    payees: tuple[str, ...] = ()
    listed: list[str] = field(default_factory=list)
    problem: str | None = None


NO_OUTFLOWS: Final = Outflows(None)
"""Where nobody looks for outgoing money."""


@dataclass(frozen=True, slots=True)
class OutflowReader:
    """Reads what left payout wallets.

    Args:
        span: From and until when money that left is looked at, UTC ms.
        now_ms: When the evidence is taken.
    """

    chains: Sequence[ChainSource]
    policy: Policy
    span: tuple[int, int]
    now_ms: int
    progress: Progress

    def read(self, writer: SnapshotWriter, leads: Leads) -> Outflows:
        """What left the wallets within the span, and the listed transactions that no row records."""
        asked = self._asked(writer, leads)
        paid = _paid_payees(writer)
        for chain_id, of_chain in asked.items():
            others = [payee for payee in paid.get(chain_id, ()) if payee not in of_chain.wallets]
            of_chain.payees = tuple(others[:PAYEES_MAX]) if of_chain.wallets else ()
        scanned: list[Reading] = []
        looked_up: list[Reading] = []
        coverage = []
        for chain in self.chains:
            if chain.chain_id in asked:
                of_chain = asked[chain.chain_id]
                readings = list(self._readings(chain, of_chain))
                coverage.append(_account(chain.chain_id, readings, span=self.span, problem=of_chain.problem))
                for reading, is_scan in readings:
                    (scanned if is_scan else looked_up).append(reading)
        moved = _new(writer, scanned)
        wallets = {(chain_id, wallet) for chain_id, each in asked.items() for wallet in each.wallets}
        coverage += _unread_returns(paid, asked, chains=self.chains)
        further = [_left(moved, wallets), *tables_in(looked_up, "transfers"), _from_others(writer, wallets)]
        rows, topics = _open(writer, further, wallets=wallets, span=self.span)
        return Outflows(moved, tuple(looked_up), tuple(coverage), rows, topics)

    def _asked(self, writer: SnapshotWriter, leads: Leads) -> dict[int, _Asked]:
        """What is asked of which chain."""
        asked: dict[int, _Asked] = defaultdict(_Asked)
        for row in (*leads.payout_wallets.to_pylist(), *leads.refund_wallets.to_pylist()):
            asked[row["chain_id"]].wallets.add(row["wallet"])
        for chain in self.chains if self.policy.payout_wallets else ():
            asked[chain.chain_id].wallets.update(self.policy.payout_wallets)
        for chain_id, payees in _payees(leads).items():
            asked[chain_id].wallets.update(sorted(payees)[:PAYEES_MAX])
        for chain_id, listed in _listed(writer):
            of_chain = asked[chain_id]
            if len(of_chain.listed) < LISTED_MAX:
                of_chain.listed.append(listed)
            else:
                of_chain.problem = f"more than {LISTED_MAX} listed transactions; the others were not looked up"
        return asked

    def _readings(self, chain: ChainSource, asked: _Asked) -> Iterator[tuple[Reading, bool]]:
        """What left the wallets of a chain (True), and its listed transactions; a chain that breaks off says so."""
        questions = []
        if asked.wallets:
            wallets = tuple(sorted({*asked.wallets, *asked.payees}))
            questions.append(ChainQuestion(from_ms=self.span[0], senders=wallets, proxies=False))
        if asked.listed:
            questions.append(ChainQuestion(from_ms=self.now_ms, tx_hashes=tuple(asked.listed), proxies=False))
        for question in questions:
            is_scan = bool(question.senders)
            try:
                yield chain.read(question, progress=self.progress), is_scan
            except SourceError as error:
                scope = "erc20" if is_scan else "receipts"
                row = Coverage(f"chain:{chain.chain_id}", scope, complete=False, problem=str(error))
                yield Reading(coverage=(row,)), is_scan


def _payees(leads: Leads) -> dict[int, set[str]]:
    """By chain, the payees of pay-ins that are marked refunded without proof: what left them may be that refund."""
    found: dict[int, set[str]] = defaultdict(set)
    for row in leads.breaks.to_pylist():
        says_so = "refunded" in (row["status"], row["escrow_state"]) and row["direction"] == "in"
        if says_so and row["mode"] == "reference" and None not in (row["chain_id"], row["recipient"]):
            found[row["chain_id"]].add(row["recipient"])
    return found


def _paid_payees(writer: SnapshotWriter) -> dict[int, list[str]]:
    """By chain, the payees of complete pay-ins that were found by reference, those of the most payments first."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    names = ["chain_id", "recipient", "direction", "is_deposit", "is_test"]
    is_complete = pc.field("status").isin(sorted(COMPLETE))
    rows = pq.read_table(writer.file("payments"), columns=names, filters=is_complete)
    kept = rows.filter(
        (pc.coalesce(pc.field("direction"), pc.scalar("in")) == "in")
        & ~pc.coalesce(pc.field("is_deposit"), pc.scalar(False))
        & ~pc.coalesce(pc.field("is_test"), pc.scalar(False))
        & pc.field("chain_id").is_valid()
        & pc.field("recipient").is_valid()
    )
    counted = kept.group_by(["chain_id", "recipient"], use_threads=False).aggregate([([], "count_all")]).to_pylist()
    found: dict[int, list[str]] = defaultdict(list)
    for row in sorted(counted, key=lambda row: (row["chain_id"], -row["count_all"], row["recipient"])):
        found[row["chain_id"]].append(row["recipient"])
    return found


def _unread_returns(
    paid: Mapping[int, Sequence[str]], asked: Mapping[int, _Asked], *, chains: Iterable[ChainSource]
) -> Iterator[Coverage]:
    """Of how many payees nobody read what left them: a limit of ours is no failure of the chain, and is said."""
    for chain in chains:
        of_chain = asked.get(chain.chain_id, _Asked())
        payees = paid.get(chain.chain_id, ())
        left = len(set(payees) - of_chain.wallets - set(of_chain.payees))
        if left:
            said = (
                f"of {len(payees)} payees of complete payments, what left {left} was not read: whether money went back "
                "from there past the proxy, by no transaction that a row names, is not known"
            )
            yield Coverage(
                f"chain:{chain.chain_id}", RETURNS, complete=True, chain_id=chain.chain_id, items=len(payees) - left,
                problem=said,
            )  # fmt: skip


def _left(moved: pa.Table, wallets: set[tuple[int, str]]) -> pa.Table:
    """The transfers out of some wallets."""
    import pyarrow as pa

    places = zip(moved["chain_id"].to_pylist(), moved["sender"].to_pylist(), strict=True)
    return moved.filter(pa.array([place in wallets for place in places], pa.bool_()))


def _listed(writer: SnapshotWriter) -> Iterator[tuple[int, str]]:
    """Chain and hash of the transactions that a provider lists as outgoing, and that no row of the window records."""
    if not writer.rows("claim_txs") or not _tells_of_payouts(writer):
        return
    import duckdb

    connection = duckdb.connect()
    for name in ("claims", "claim_txs", "payments"):
        connection.read_parquet(str(writer.file(name))).create_view(name)
    found = connection.execute(_LISTED).fetchall()
    connection.close()
    yield from found


def _tells_of_payouts(writer: SnapshotWriter) -> bool:
    """Whether a provider tells of any payout at all; to ask that of one column takes less than to open a database."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    objects = pq.read_table(writer.file("claims"), columns=["object"])["object"]
    return bool(pc.any(pc.equal(objects, "payout")).as_py())


_LISTED: Final = """
    select distinct chain_id, tx_hash
    from claim_txs semi join (
        select provider, claim_id from claims
        where object = 'payout' and outcome = 'found'
        and external_id is null and request_id is null and reference is null
    ) using (provider, claim_id)
    where chain_id is not null and tx_hash is not null
    and tx_hash not in (select tx_hash from payments where tx_hash is not null)
    order by all
"""


def _account(
    chain_id: int, readings: Sequence[tuple[Reading, bool]], *, span: tuple[int, int], problem: str | None
) -> Coverage:
    """One coverage row for all that was asked of a chain about outgoing money."""
    wanted = {True: "erc20", False: "receipts"}
    rows = [row for reading, is_scan in readings for row in reading.coverage if row.scope == wanted[is_scan]]
    problems = [row.problem or "it was not read completely" for row in rows if not row.complete]
    said = "; ".join(dict.fromkeys([*problems, *([problem] if problem else [])])) or None
    return Coverage(
        f"chain:{chain_id}",
        OUTFLOW_SCOPE,
        complete=said is None,
        chain_id=chain_id,
        asked_from=span[0],
        asked_to=span[1],
        calls=sum(row.calls for row in rows),
        wire_bytes=sum(row.wire_bytes for row in rows),
        items=sum(row.items for row in rows),
        problem=said,
    )


def _new(writer: SnapshotWriter, readings: Sequence[Reading]) -> pa.Table:
    """The transfers of these readings that the first reading has not."""
    import pyarrow as pa

    found = pa.concat_tables([table_of("transfers", []), *tables_in(readings, "transfers")])
    if not found.num_rows:
        return found
    import pyarrow.parquet as pq

    key = ["chain_id", "tx_hash", "log_index"]
    known = pq.read_table(writer.file("transfers"), columns=key)
    return found.join(known, keys=key, join_type="left anti", use_threads=False).select(found.column_names)


def _from_others(writer: SnapshotWriter, wallets: set[tuple[int, str]]) -> pa.Table:
    """What left wallets whose balances were read, besides those of which all that left them was read already."""
    import pyarrow as pa

    if not writer.rows("movements"):
        return table_of("transfers", [])
    moved = read_table(writer.file("movements"))
    held = set(read_table(writer.file("balances"))["wallet"].to_pylist())
    places = zip(moved["chain_id"].to_pylist(), moved["sender"].to_pylist(), strict=True)
    return moved.filter(pa.array([place[1] in held and place not in wallets for place in places], pa.bool_()))


_OPEN: Final = """
    with flows as (
        select transfers.tx_hash, transfers.sender, transfers.recipient
        from transfers join wallets using (chain_id, sender)
        where kind = 'erc20' and block_time between $from_ms and $to_ms
        union all select tx_hash, sender, recipient from further
        where kind = 'erc20' and block_time between $from_ms and $to_ms
    ),
    told as (select tx_hash, count(*) as logs from flows group by tx_hash),
    recorded as (select tx_hash, count(*) as records from payments where tx_hash is not null group by tx_hash)
    select distinct flows.tx_hash, flows.sender, flows.recipient
    from flows join told using (tx_hash) left join recorded using (tx_hash)
    where coalesce(records, 0) < logs
    order by all
"""
_TOPICS: Final = """
    select distinct tx_hash, reference_topic from (
        select tx_hash, reference_topic from transfers union all select tx_hash, reference_topic from further
    ) semi join opened using (tx_hash)
    where reference_topic is not null
    and reference_topic not in (select reference_topic from payments where reference_topic is not null)
    order by all
"""


def _open(
    writer: SnapshotWriter, further: Sequence[pa.Table], *, wallets: set[tuple[int, str]], span: tuple[int, int]
) -> tuple[tuple[Row, ...], dict[str, frozenset[str]]]:
    """What left the wallets within the span in transactions with more logs than rows of the window record."""
    if not wallets and not any(table.num_rows for table in further):
        return (), {}
    import duckdb
    import pyarrow as pa

    connection = duckdb.connect()
    for name in ("transfers", "payments"):
        connection.read_parquet(str(writer.file(name))).create_view(name)
    places = sorted(wallets)
    columns = {"chain_id": [chain for chain, _ in places], "sender": [wallet for _, wallet in places]}
    schema = pa.schema([("chain_id", pa.int64()), ("sender", pa.string())])
    connection.register("wallets", pa.table(columns, schema=schema))
    connection.register("further", pa.concat_tables([table_of("transfers", []), *further]))
    found = connection.execute(_OPEN, {"from_ms": span[0], "to_ms": span[1]}).fetchall()
    opened = sorted({row[0] for row in found})
    connection.register("opened", pa.table({"tx_hash": pa.array(opened, pa.string())}))
    topics: dict[str, set[str]] = defaultdict(set)
    for tx_hash, topic in connection.execute(_TOPICS).fetchall():
        topics[tx_hash].add(topic)
    connection.close()
    rows = tuple({"tx_hash": tx_hash, "sender": sender, "recipient": to} for tx_hash, sender, to in found)
    return rows, {tx_hash: frozenset(each) for tx_hash, each in topics.items()}


def explaining_rows(
    out: Outflows, store: DocumentStore, *, rows_of: Callable[[Sequence[Row]], pa.RecordBatch]
) -> Iterator[Row]:
    """Documents of the whole collection that may explain what is open.

    They record its transaction, own a one-time address in it, wait for a payout to its destination without a hash, or
    have a reference in it; the collection is only read through for a reference that nothing else explains.

    Args:
        rows_of: Documents as rows of payments, at most :data:`PART_ROWS` at a time.
    """
    if not out.open_rows:
        return
    known: set[str] = set()
    for tx_hash, document in store.find_claimants("tx_hash", out.hashes()):
        known.add(tx_hash)
        yield document
    yield from _matching(
        (document for _, document in store.find_claimants("recipient", out.addresses())),
        rows_of,
        _owns_or_waits,
    )
    topics = out.topics_besides(known)
    if topics:
        everything = (document for batch in store.scan(Selection()) for document in batch)
        yield from _matching(everything, rows_of, lambda row: row["reference_topic"] in topics)


def _owns_or_waits(row: Row) -> bool:
    """Whether a row has an address for itself alone, or is one of money going out that records no transaction."""
    return bool(row["is_deposit"] or (row["direction"] != "in" and row["tx_hash"] is None))


PART_ROWS: Final = 1_000


def _matching(
    documents: Iterable[Row], rows_of: Callable[[Sequence[Row]], pa.RecordBatch], wanted: Callable[[Row], bool]
) -> Iterator[Row]:
    """The documents whose rows are wanted."""
    waiting = iter(documents)
    while part := list(islice(waiting, PART_ROWS)):
        rows = rows_of(part).select(["direction", "is_deposit", "tx_hash", "reference_topic"]).to_pylist()
        yield from (document for document, row in zip(part, rows, strict=True) if wanted(row))
