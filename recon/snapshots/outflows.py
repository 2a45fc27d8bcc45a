"""Money that left a payout wallet since the evidence begins, read before anyone says that no row explains it.

The first judgement says which wallets proven payouts came from; their outgoing transfers are read from then on, and
with them the transactions that a provider lists as outgoing and that no row of the window records. Whatever row of the
whole collection records one of them, or owns an address in them, is fetched as context: it may explain them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from recon.core.errors import SourceError
from recon.core.tables import table_of
from recon.sources.interface import ChainQuestion, ChainSource, Coverage, Progress, Reading
from recon.verdicts.judge import OUTFLOW_SCOPE

if TYPE_CHECKING:
    import pyarrow as pa

    from recon.core.model import Policy
    from recon.snapshots.sealed import SnapshotWriter
    from recon.verdicts.judge import Judgement

LISTED_MAX: Final = 2_000
"""Most transactions of a chain, listed as outgoing by a provider and recorded by no row, that one run looks up."""

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Outflows:
    """What was read of outgoing money.

    Args:
        moved: Transfers out of the wallets that the first reading does not have.
        looked_up: Readings of the listed transactions; they replace what the first reading says of them.
        coverage: One row of :data:`recon.verdicts.judge.OUTFLOW_SCOPE` for each chain that was asked.
        hashes, addresses: By what a row of the whole collection might explain them.
    """

    moved: pa.Table
    looked_up: tuple[Reading, ...] = ()
    coverage: tuple[Coverage, ...] = ()
    hashes: frozenset[str] = frozenset()
    addresses: frozenset[str] = frozenset()


@dataclass(slots=True)
class _Asked:
    """What one chain is asked."""

    wallets: set[str] = field(default_factory=set)
    listed: list[str] = field(default_factory=list)
    problem: str | None = None


def read_outflows(
    chains: Sequence[ChainSource],
    writer: SnapshotWriter,
    judgement: Judgement,
    *,
    policy: Policy,
    span: tuple[int, int],
    progress: Progress,
) -> Outflows:
    """Read what left the wallets within ``span`` (from and until, UTC ms), and the listed transactions."""
    asked: dict[int, _Asked] = defaultdict(_Asked)
    for row in judgement.payout_wallets.to_pylist():
        asked[row["chain_id"]].wallets.add(row["wallet"])
    for chain_id, listed in _listed(writer):
        found = asked[chain_id].listed
        if len(found) < LISTED_MAX:
            found.append(listed)
        else:
            asked[chain_id].problem = f"more than {LISTED_MAX} listed transactions; the others were not looked up"
    for chain in chains if policy.payout_wallets else ():
        asked[chain.chain_id].wallets.update(policy.payout_wallets)
    scanned, looked_up, coverage = [], [], []
    for chain in chains:
        if chain.chain_id not in asked:
            continue
        of_chain = asked[chain.chain_id]
        readings = list(_readings(chain, of_chain, from_ms=span[0], now_ms=span[1], progress=progress))
        coverage.append(_account(chain.chain_id, readings, span=span, problem=of_chain.problem))
        looked_up += [reading for reading, is_scan in readings if not is_scan]
        scanned += [reading for reading, is_scan in readings if is_scan]
    moved = _new(writer, scanned)
    rows = moved.select(["tx_hash", "sender", "recipient"]).to_pylist()
    for reading in looked_up:
        if "transfers" in reading.tables:
            rows += reading.tables["transfers"].select(["tx_hash", "sender", "recipient"]).to_pylist()
    addresses = {row[name] for row in rows for name in ("sender", "recipient") if row[name]}
    hashes = frozenset(row["tx_hash"] for row in rows)
    return Outflows(moved, tuple(looked_up), tuple(coverage), hashes, frozenset(addresses))


def _listed(writer: SnapshotWriter) -> Iterator[tuple[int, str]]:
    """Chain and hash of the transactions that a provider lists as outgoing, and that no row of the window records."""
    import duckdb

    connection = duckdb.connect()
    for name in ("claims", "claim_txs", "payments"):
        connection.read_parquet(str(writer.file(name))).create_view(name)
    found = connection.execute(_LISTED).fetchall()
    connection.close()
    yield from found


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


def _readings(
    chain: ChainSource, asked: _Asked, *, from_ms: int, now_ms: int, progress: Progress
) -> Iterator[tuple[Reading, bool]]:
    """What left the wallets of a chain, and its listed transactions; a chain that breaks off says so."""
    questions = []
    if asked.wallets:
        questions.append(ChainQuestion(from_ms=from_ms, senders=tuple(sorted(asked.wallets)), proxies=False))
    if asked.listed:
        questions.append(ChainQuestion(from_ms=now_ms, tx_hashes=tuple(asked.listed), proxies=False))
    for question in questions:
        is_scan = bool(question.senders)
        try:
            reading = chain.read(question, progress=progress)
        except SourceError as error:
            row = Coverage(f"chain:{chain.chain_id}", "erc20", complete=False, problem=str(error))
            reading = Reading(coverage=(row,))
        wanted = "erc20" if is_scan else "receipts"
        yield Reading(reading.tables, tuple(row for row in reading.coverage if row.scope in ("erc20", wanted))), is_scan


def _account(
    chain_id: int, readings: Sequence[tuple[Reading, bool]], *, span: tuple[int, int], problem: str | None
) -> Coverage:
    """One coverage row for all that was asked of a chain about outgoing money."""
    rows = [row for reading, is_scan in readings for row in reading.coverage if is_scan == (row.scope == "erc20")]
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

    found = pa.concat_tables(
        [table_of("transfers", []), *[item.tables["transfers"] for item in readings if "transfers" in item.tables]]
    )
    if not found.num_rows:
        return found
    import pyarrow.parquet as pq

    key = ["chain_id", "tx_hash", "log_index"]
    known = pq.read_table(writer.file("transfers"), columns=key)
    return found.join(known, keys=key, join_type="left anti").select(found.column_names)
