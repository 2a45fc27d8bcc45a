"""The second reading: what shows a break is asked for again before anybody hears of it.

The rows come from the primary, the providers are asked about each payment by itself, and every transaction behind the
evidence is looked up anew. Rows elsewhere in the collection that carry a key of a break are fetched as context, so
that one transfer or one provider object can prove one payment only. What no row of the window knows is looked up in
the whole collection before it is called missing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

from recon.core.errors import SourceError
from recon.core.ids import payment_id_text
from recon.core.model import Policy
from recon.core.tables import TABLES, schema_of, table_of
from recon.snapshots.sealed import OVERLAID, SnapshotWriter, key_table
from recon.sources.interface import (
    ChainQuestion,
    ChainSource,
    ClaimKey,
    ClaimSource,
    Coverage,
    DocumentStore,
    Progress,
    Reading,
    Selection,
)
from recon.verdicts.judge import ORPHANS_MAX, Judgement

if TYPE_CHECKING:
    import pyarrow as pa

    from recon.core.registry import Registry
    from recon.sources.payments.fields import FieldPaths

Row = Mapping[str, Any]
_FETCHED_AT_ONCE: Final = 1_000
_PLAIN: Final = "erc20"
_KEY_FIELDS: Final = ("tx_hash", "reference", "request_id", "external_id")
_RIVAL_FIELDS: Final = (*_KEY_FIELDS, "recipient", "order_id")
"""By what a row outside the window may contend with a break: a key, the same one-time address, or the same order."""


class _Sources(Protocol):
    @property
    def store(self) -> DocumentStore: ...
    @property
    def fields(self) -> FieldPaths: ...
    @property
    def claims(self) -> Sequence[ClaimSource]: ...
    @property
    def chains(self) -> Sequence[ChainSource]: ...


class SecondReading:
    """Reads the breaks of a first judgement again and writes what replaces the first reading."""

    def __init__(
        self, sources: _Sources, *, policy: Policy, registry: Registry, now_ms: int, progress: Progress
    ) -> None:
        self._sources = sources
        self._policy = policy
        self._registry = registry
        self._now_ms = now_ms
        self._progress = progress
        self._coverage: list[Coverage] = []

    def read(self, writer: SnapshotWriter, judgement: Judgement, *, with_orphans: bool) -> Reading:
        """Write ``again/``, ``documents``, ``context`` and ``orphans``; give the coverage of all that."""
        breaks: list[Row] = judgement.breaks.to_pylist()
        documents = self._fetch([row["payment_id"] for row in breaks])
        claimed = self._ask_providers(breaks)
        again = _rows_table(self._rows_of((documents or {}).values()))
        hashes = _hashes_of(breaks, judgement.links.to_pylist(), claimed)
        for chain_id, tx_hash in zip(again["chain_id"].to_pylist(), again["tx_hash"].to_pylist(), strict=True):
            if tx_hash:
                hashes[chain_id].add(tx_hash)
        said = [reading.tables["claims"] for reading in claimed if "claims" in reading.tables]
        context = self._context(_keys_of(breaks, hashes, again, said), known=_ids_in(writer.file("payments")))
        for row in context.select(["direction", "chain_id", "tx_hash"]).to_pylist():
            # A refund or payout elsewhere in the collection counts only if its transaction shows it.
            if row["direction"] != "in" and row["tx_hash"]:
                hashes[row["chain_id"]].add(row["tx_hash"])
        chained = self._ask_chains(hashes, breaks)
        self._write_payments(writer, again, [row["payment_id"] for row in breaks], documents)
        _write_claims(writer, claimed)
        _write_chain(writer, chained)
        writer.write("context", context)
        orphans = self._orphans(judgement) if with_orphans else []
        writer.write_rows("orphans", orphans)
        return Reading(coverage=tuple(self._coverage))

    def _fetch(self, payment_ids: Sequence[str]) -> dict[str, Mapping[str, Any]] | None:
        """The documents of the breaks from the primary; None when the primary could not be read."""
        found: dict[str, Mapping[str, Any]] = {}
        problem: str | None = None
        try:
            for part in _parts(payment_ids, _FETCHED_AT_ONCE):
                for document in self._sources.store.fetch(part):
                    found[payment_id_text(document["_id"])] = document
        except SourceError as error:
            problem = str(error)
        self._coverage.append(
            Coverage("payments", "again", complete=problem is None, items=len(found), problem=problem)
        )
        return found if problem is None else None

    def _rows_of(self, documents: Iterable[Mapping[str, Any]]) -> list[pa.RecordBatch]:
        from recon.sources.payments.read import payment_rows

        return [
            payment_rows(part, fields=self._sources.fields, registry=self._registry, policy=self._policy)
            for part in _parts(list(documents), _FETCHED_AT_ONCE)
        ]

    def _write_payments(
        self,
        writer: SnapshotWriter,
        again: pa.Table,
        payment_ids: Sequence[str],
        documents: Mapping[str, Mapping[str, Any]] | None,
    ) -> None:
        from recon.sources.payments.documents import document_text

        read = documents or {}
        gone = payment_ids if documents is not None else ()
        writer.write("again/payments", again)
        writer.write("again/payments_keys", key_table("payments", [(payment_id,) for payment_id in gone]))
        writer.write_rows(
            "documents",
            [
                {"payment_id": payment_id, "document": document_text(document), "read_at": self._now_ms}
                for payment_id, document in sorted(read.items())
            ],
        )

    def _ask_providers(self, breaks: Sequence[Row]) -> list[Reading]:
        keys: dict[str, list[ClaimKey]] = defaultdict(list)
        for row in breaks:
            if row["request_id"] or row["reference"] or row["external_id"]:
                keys[row["provider"]].append(
                    ClaimKey(
                        payment_id=row["payment_id"],
                        request_id=row["request_id"],
                        reference=row["reference"],
                        external_id=row["external_id"],
                        direction=row["direction"],
                        chain_id=row["chain_id"],
                        token=row["token"],
                    )
                )
        readings = []
        for source in self._sources.claims:
            if not keys.get(source.name):
                continue
            try:
                reading = source.look_up(keys[source.name], progress=self._progress)
            except SourceError as error:
                reading = Reading(coverage=(Coverage(source.name, "lookup", complete=False, problem=str(error)),))
            self._coverage.extend(reading.coverage)
            readings.append(reading)
        return readings

    def _ask_chains(self, hashes: Mapping[int | None, set[str]], breaks: Sequence[Row]) -> list[Reading]:
        """Look every transaction up again; one that its own chain does not show is asked of the others too."""
        astray = {row["tx_hash"] for row in breaks if row["tx_hash"] and not row["covered_by_chain"]}
        readings = []
        for chain in self._sources.chains:
            wanted = hashes.get(chain.chain_id, set()) | hashes.get(None, set()) | astray
            if not wanted:
                continue
            question = ChainQuestion(from_ms=self._now_ms, tx_hashes=tuple(sorted(wanted)), proxies=False)
            try:
                reading = chain.read(question, progress=self._progress)
            except SourceError as error:
                name = f"chain:{chain.chain_id}"
                row = Coverage(name, "receipts", complete=False, chain_id=chain.chain_id, problem=str(error))
                reading = Reading(coverage=(row,))
            self._coverage.extend(row for row in reading.coverage if row.scope == "receipts")
            readings.append(reading)
        return readings

    def _context(self, wanted: Mapping[str, set[str]], *, known: set[str]) -> pa.Table:
        """Rows outside the window that carry a hash, reference, id, one-time address or order of a break."""
        found: dict[str, Mapping[str, Any]] = {}
        problem: str | None = None
        try:
            for name in _RIVAL_FIELDS:
                for _, document in self._sources.store.find_claimants(name, sorted(wanted[name])):
                    payment_id = payment_id_text(document["_id"])
                    if payment_id not in known:
                        found[payment_id] = document
        except SourceError as error:
            problem = str(error)
        self._coverage.append(
            Coverage("payments", "claimants", complete=problem is None, items=len(found), problem=problem)
        )
        return _rows_table(self._rows_of(found[payment_id] for payment_id in sorted(found)))

    def _orphans(self, judgement: Judgement) -> list[dict[str, Any]]:
        """Look what the window does not know up in the whole collection; give every candidate with who knows it."""
        transfers: list[Row] = judgement.orphan_transfers.to_pylist()
        claims: list[Row] = judgement.orphan_claims.to_pylist()
        if not transfers and not claims:
            return []
        known: dict[tuple[str, str], str] = {}
        problem: str | None = None
        if max(len(transfers), len(claims)) >= ORPHANS_MAX:
            problem = f"more than {ORPHANS_MAX} items are known to no row of the window; only so many were looked up"
        wanted = {
            "tx_hash": {row["tx_hash"] for row in transfers}
            | {tx_hash for row in claims for tx_hash in (row["tx_hashes"] or "").split()},
            "reference": {row["reference"] for row in claims if row["reference"]},
            "request_id": {row["request_id"] for row in claims if row["request_id"]},
            "external_id": {row["external_id"] for row in claims if row["external_id"]},
        }
        try:
            holders: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
            for name, values in wanted.items():
                for value, document in self._sources.store.find_claimants(name, sorted(values)):
                    known[name, value] = payment_id_text(document["_id"])
                    if name == "tx_hash":
                        holders[value].append(document)
            told = self._told_by_receipts(
                row for row in transfers if (row["kind"] == _PLAIN) != (row["tx_hash"] in holders)
            )
            served = self._served(holders, told)
            unknown = [row for row in transfers if not _is_explained(row, known, served)]
            topics = {row["reference_topic"] for row in unknown} | {one for found in told.values() for one in found}
            known.update(self._topics_known(topics - {None}))
        except SourceError as error:
            self._coverage.append(Coverage("payments", "orphans", complete=False, problem=str(error)))
            return []
        self._coverage.append(
            Coverage("payments", "orphans", complete=problem is None, items=len(known), problem=problem)
        )
        certain = [row for row in transfers if _is_explained(row, known, served) or _is_told(row, told)]
        return [*_orphan_transfers(certain, known, told, served), *_orphan_claims(claims, known)]

    def _served(
        self, holders: Mapping[str, Sequence[Mapping[str, Any]]], told: Mapping[tuple[int, str], set[str]]
    ) -> set[tuple[int, str]]:
        """Transactions of which every row that records them has a log of its own, so that it explains no other."""
        found = set()
        for chain_id, tx_hash in told:
            topics = [
                topic
                for batch in self._rows_of(holders.get(tx_hash, ()))
                for topic in batch.column("reference_topic").to_pylist()
            ]
            if topics and set(topics) <= told[chain_id, tx_hash]:
                found.add((chain_id, tx_hash))
        return found

    def _told_by_receipts(self, transfers: Iterable[Row]) -> dict[tuple[int, str], set[str]]:
        """The references in the whole receipts of transfers: the proxy's log of a plain one may have been in a gap.

        A transaction that is not there any more, or about which nobody answered, is not in the result.
        """
        wanted: dict[int | None, set[str]] = defaultdict(set)
        for row in transfers:
            wanted[row["chain_id"]].add(row["tx_hash"])
        told: dict[tuple[int, str], set[str]] = {}
        for reading in self._ask_chains(wanted, ()):
            for row in reading.tables["transactions"].to_pylist() if "transactions" in reading.tables else ():
                if row["outcome"] == "success":
                    told[row["chain_id"], row["tx_hash"]] = set()
            for row in reading.tables["transfers"].to_pylist() if "transfers" in reading.tables else ():
                key = (row["chain_id"], row["tx_hash"])
                if key in told and row["reference_topic"]:
                    told[key].add(row["reference_topic"])
        return told

    def _topics_known(self, topics: set[str]) -> dict[tuple[str, str], str]:
        """Search the references of the whole collection for topics, which no index can look up."""
        found: dict[tuple[str, str], str] = {}
        if not topics:
            return found
        for documents in self._sources.store.scan(Selection()):
            for batch in self._rows_of(documents):
                pairs = zip(
                    batch.column("reference_topic").to_pylist(), batch.column("payment_id").to_pylist(), strict=True
                )
                found.update({("topic", topic): payment_id for topic, payment_id in pairs if topic in topics})
        return found


def _is_explained(row: Row, known: Mapping[tuple[str, str], str], served: set[tuple[int, str]]) -> bool:
    """Whether a row records this transfer's transaction, and has no other log in it that it may mean."""
    by_hash = ("tx_hash", row["tx_hash"]) in known
    return by_hash and (row["kind"] == _PLAIN or (row["chain_id"], row["tx_hash"]) not in served)


def _is_told(row: Row, told: Mapping[tuple[int, str], set[str]]) -> bool:
    return row["kind"] != _PLAIN or (row["chain_id"], row["tx_hash"]) in told


def _orphan_transfers(
    transfers: Sequence[Row],
    known: Mapping[tuple[str, str], str],
    told: Mapping[tuple[int, str], set[str]],
    served: set[tuple[int, str]],
) -> Iterator[dict[str, Any]]:
    for row in transfers:
        topics = {row["reference_topic"] or ""}
        if row["kind"] == _PLAIN:
            topics |= told.get((row["chain_id"], row["tx_hash"]), set())
        by_hash = known.get(("tx_hash", row["tx_hash"])) if _is_explained(row, known, served) else None
        by_topic = next((known["topic", topic] for topic in sorted(topics) if ("topic", topic) in known), None)
        yield {
            "kind": "transfer",
            "key": f"{row['chain_id']}:{row['tx_hash']}:{row['log_index']}",
            "payment_id": by_hash or by_topic,
            "known_by": "tx_hash" if by_hash else "reference" if by_topic else None,
        }


def _orphan_claims(claims: Sequence[Row], known: Mapping[tuple[str, str], str]) -> Iterator[dict[str, Any]]:
    for row in claims:
        keys = [(name, row[name]) for name in _KEY_FIELDS[1:]]
        keys += [("tx_hash", tx_hash) for tx_hash in (row["tx_hashes"] or "").split()]
        holders = [(key[0], known[key]) for key in keys if key in known]
        name, payment_id = holders[0] if holders else (None, None)
        yield {
            "kind": "claim",
            "key": f"{row['provider']}:{row['object']}:{row['claim_id']}",
            "payment_id": payment_id,
            "known_by": name,
        }


def _hashes_of(breaks: Sequence[Row], links: Sequence[Row], claimed: Sequence[Reading]) -> dict[int | None, set[str]]:
    """Every transaction that the evidence of the breaks rests on, by chain (None: any chain)."""
    hashes: dict[int | None, set[str]] = defaultdict(set)
    for row in breaks:
        for name in ("tx_hash", "proof_tx", "refund_tx"):
            if row[name]:
                hashes[row["chain_id"]].add(row[name])
        # What the first reading named is not taken back by a second look-up that fails.
        hashes[row["chain_id"]].update((row["claim_hashes"] or "").split())
    for link in links:
        hashes[link["t_chain"]].add(link["t_tx"])
    for reading in claimed:
        if "claim_txs" in reading.tables:
            table = reading.tables["claim_txs"].select(["chain_id", "tx_hash"])
            for chain_id, tx_hash in zip(*(column.to_pylist() for column in table.columns), strict=True):
                if tx_hash:
                    hashes[chain_id].add(tx_hash)
        if "claims" in reading.tables:
            # A provider may name a hash and fail to list the payment that it is of.
            table = reading.tables["claims"].select(["chain_id", "tx_hashes"])
            for chain_id, named in zip(*(column.to_pylist() for column in table.columns), strict=True):
                hashes[chain_id].update((named or "").split())
    return hashes


def _keys_of(
    breaks: Sequence[Row], hashes: Mapping[int | None, set[str]], again: pa.Table, said: Sequence[pa.Table]
) -> dict[str, set[str]]:
    """What nobody else in the collection may carry: keys of the breaks, of their rows read again, of their claims."""
    deposits = again.filter(again["is_deposit"])
    wanted: dict[str, set[str]] = {name: {row[name] for row in breaks if row[name]} for name in _KEY_FIELDS}
    wanted["tx_hash"] |= {tx for part in hashes.values() for tx in part}
    for table in (again, *said):
        for name in _KEY_FIELDS:
            if name in table.column_names:
                wanted[name] |= {value for value in table[name].to_pylist() if value}
    for name, table in (("recipient", deposits), ("order_id", again)):
        wanted[name] = {value for value in table[name].to_pylist() if value}
    return wanted


def _write_claims(writer: SnapshotWriter, readings: Sequence[Reading]) -> None:
    """New answers replace old ones; a look-up that failed replaces nothing, it only adds that it failed."""
    claims, txs = _concat("claims", readings), _concat("claim_txs", readings)
    outcomes = claims["outcome"].to_pylist()
    answered = [row for row, outcome in zip(claims.to_pylist(), outcomes, strict=True) if outcome != "failed"]
    # A transaction that a provider does not name any more is gone with the answer that named it.
    for name, table, rows in (("claims", claims, answered), ("claim_txs", txs, [*answered, *txs.to_pylist()])):
        keys = [tuple(row[key] for key in OVERLAID[name]) for row in rows]
        writer.write(f"again/{name}", table)
        writer.write(f"again/{name}_keys", key_table(name, keys))


def _write_chain(writer: SnapshotWriter, readings: Sequence[Reading]) -> None:
    """What the chain says now replaces what it said; a transaction that could not be asked about keeps its old rows."""
    transactions = _concat("transactions", readings)
    answered = [
        (row["chain_id"], row["tx_hash"])
        for row in transactions.select(["chain_id", "tx_hash", "outcome"]).to_pylist()
        if row["outcome"] != "failed"
    ]
    transfers = _concat("transfers", readings)
    keep = set(answered)
    mask = [(row["chain_id"], row["tx_hash"]) in keep for row in transfers.select(["chain_id", "tx_hash"]).to_pylist()]
    import pyarrow as pa

    writer.write("again/transfers", transfers.filter(pa.array(mask, type=pa.bool_())))
    writer.write("again/transfers_keys", key_table("transfers", answered))
    writer.write("again/transactions", transactions)
    writer.write(
        "again/transactions_keys",
        key_table("transactions", answered),
    )


def _concat(name: str, readings: Sequence[Reading]) -> pa.Table:
    import pyarrow as pa

    return pa.concat_tables([table_of(name, []), *[item.tables[name] for item in readings if name in item.tables]])


def _rows_table(batches: Sequence[pa.RecordBatch]) -> pa.Table:
    import pyarrow as pa

    return pa.Table.from_batches(list(batches), schema=schema_of(TABLES["payments"]))


def _ids_in(payments: Any) -> set[str]:
    import pyarrow.parquet as pq

    return set(pq.read_table(payments, columns=["payment_id"]).column(0).to_pylist())


def _parts(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
