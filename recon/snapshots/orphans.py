"""What no row of the window knows, looked up in the whole collection before it is called missing.

Three steps: *ask* the collection who holds a hash or a key, and the chains for whole receipts; *explain* a transfer by
a row that records its transaction, from whose one-time address it came, or by the reference in it; *account* for every
candidate, with who knows it. One transaction may pay several references, so a row that records its hash explains no
other reference in it once the row has a log of its own there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from recon.core.errors import SourceError
from recon.core.ids import payment_id_text
from recon.sources.interface import Coverage, DocumentStore, Reading, Selection
from recon.verdicts.judge import Leads
from recon.verdicts.orphans import ORPHANS_MAX

if TYPE_CHECKING:
    import pyarrow as pa

Row = Mapping[str, Any]
Key = tuple[str, str]
"""The name of a field and a value in it."""
Transaction = tuple[int, str]
"""A chain's id and a transaction's hash."""

KEY_FIELDS: Final = ("tx_hash", "reference", "request_id", "external_id")
_PLAIN: Final = "erc20"


@dataclass(frozen=True, slots=True)
class Orphans:
    """The candidates among the leads, and what was found out about them.

    Args:
        transfers, claims: What no row of the window knows.
        known: By field and value, a payment that holds it.
        holders: By hash, the documents that record it.
        told: By transaction, the references in its whole receipt; one that is not there any more, or about which
            nobody answered, is missing.
        served: Transactions of which every row that records them has a log of its own, so that it explains no other.
    """

    transfers: Sequence[Row]
    claims: Sequence[Row]
    known: dict[Key, str] = field(default_factory=dict)
    holders: dict[str, list[Mapping[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    told: dict[Transaction, set[str]] = field(default_factory=dict)
    served: set[Transaction] = field(default_factory=set)

    @property
    def problem(self) -> str | None:
        """Why the search is not complete: a judgement hands over only so many candidates."""
        if max(len(self.transfers), len(self.claims)) < ORPHANS_MAX:
            return None
        return f"more than {ORPHANS_MAX} items are known to no row of the window; only so many were looked up"

    @property
    def keys(self) -> dict[str, set[str]]:
        """By field, the values of which one might stand in a row."""
        wanted = {name: {row[name] for row in self.claims if row[name]} for name in KEY_FIELDS[1:]}
        hashes = {row["tx_hash"] for row in self.transfers}
        wanted["recipient"] = {row["sender"] for row in self.transfers if row["kind"] == _PLAIN and row["sender"]}
        return {"tx_hash": hashes.union(*map(_hashes_of_claim, self.claims)), **wanted}

    @property
    def unclear(self) -> list[Row]:
        """Transfers whose whole receipts matter: plain ones nobody records, and logs of proxies that a row records."""
        open_rows = [row for row in self.transfers if self._owner_of_sender(row) is None]
        return [row for row in open_rows if (row["kind"] == _PLAIN) != (row["tx_hash"] in self.holders)]

    @property
    def topics(self) -> set[str]:
        """References by which a row might know a transfer that no hash explains."""
        unknown = {row["reference_topic"] for row in self.transfers if not self.is_explained(row)}
        return unknown.union(*self.told.values()) - {None}

    def is_explained(self, row: Row) -> bool:
        """Whether a row records this transfer's transaction, with no other log in it, or emptied its own address."""
        if self._owner_of_sender(row) is not None:
            return True
        return self._is_recorded(row)

    def _owner_of_sender(self, row: Row) -> str | None:
        """The payment from whose one-time address a plain transfer came: a gateway empties such addresses."""
        return self.known.get(("recipient", row["sender"])) if row["kind"] == _PLAIN else None

    def _is_recorded(self, row: Row) -> bool:
        by_hash = ("tx_hash", row["tx_hash"]) in self.known
        return by_hash and (row["kind"] == _PLAIN or (row["chain_id"], row["tx_hash"]) not in self.served)

    def is_told(self, row: Row) -> bool:
        """Whether a transfer's references are known."""
        return row["kind"] != _PLAIN or (row["chain_id"], row["tx_hash"]) in self.told

    def rows(self) -> Iterator[dict[str, Any]]:
        """Every candidate about which something can be said, with the payment that knows it and by what."""
        for row in self.transfers:
            if self.is_explained(row) or self.is_told(row):
                yield self._of_transfer(row)
        yield from map(self._of_claim, self.claims)

    def _of_transfer(self, row: Row) -> dict[str, Any]:
        topics = {row["reference_topic"] or ""}
        if row["kind"] == _PLAIN:
            topics |= self.told.get((row["chain_id"], row["tx_hash"]), set())
        by_hash = self.known.get(("tx_hash", row["tx_hash"])) if self._is_recorded(row) else None
        by_sender = self._owner_of_sender(row)
        by_topic = next((self.known["topic", one] for one in sorted(topics) if ("topic", one) in self.known), None)
        return {
            "kind": "transfer",
            "key": f"{row['chain_id']}:{row['tx_hash']}:{row['log_index']}",
            "payment_id": by_hash or by_topic or by_sender,
            "known_by": "tx_hash" if by_hash else "reference" if by_topic else "recipient" if by_sender else None,
        }

    def _of_claim(self, row: Row) -> dict[str, Any]:
        keys = [(name, row[name]) for name in KEY_FIELDS[1:]]
        keys += [("tx_hash", tx_hash) for tx_hash in _hashes_of_claim(row)]
        holders = [(key[0], self.known[key]) for key in keys if key in self.known]
        name, payment_id = holders[0] if holders else (None, None)
        return {
            "kind": "claim",
            "key": f"{row['provider']}:{row['object']}:{row['claim_id']}",
            "payment_id": payment_id,
            "known_by": name,
        }


def _hashes_of_claim(row: Row) -> list[str]:
    return (row["tx_hashes"] or "").split()


@dataclass(frozen=True, slots=True)
class OrphanSearch:
    """Looks candidates up in the whole collection.

    Args:
        rows_of: Documents as rows of payments.
        ask_chains: Reads whole transactions, by chain.
        named: By the hash of a reference that no row holds, the payment whose its provider says it is.
    """

    store: DocumentStore
    rows_of: Callable[[Iterable[Mapping[str, Any]]], list[pa.RecordBatch]]
    ask_chains: Callable[[Mapping[int | None, set[str]]], list[Reading]]
    named: Mapping[str, str] = field(default_factory=dict)

    def search(self, leads: Leads) -> tuple[list[dict[str, Any]], list[Coverage]]:
        """Rows of ``orphans`` for every candidate among the leads, and the coverage of the search."""
        found = Orphans(leads.orphan_transfers.to_pylist(), leads.orphan_claims.to_pylist())
        if not found.transfers and not found.claims:
            return [], []
        try:
            self._ask(found)
            self._explain(found)
        except SourceError as error:
            return [], [Coverage("payments", "orphans", complete=False, problem=str(error))]
        problem = found.problem
        account = Coverage("payments", "orphans", complete=problem is None, items=len(found.known), problem=problem)
        return list(found.rows()), [account]

    def _ask(self, found: Orphans) -> None:
        """Who holds a hash or a key, and which references are in the receipts of what stays unclear."""
        for name, values in found.keys.items():
            for value, document in self.store.find_claimants(name, sorted(values)):
                if name == "recipient" and not self._is_one_time(document):
                    continue
                found.known[name, value] = payment_id_text(document["_id"])
                if name == "tx_hash":
                    found.holders[value].append(document)
        found.told.update(self._told_by_receipts(found.unclear))

    def _is_one_time(self, document: Mapping[str, Any]) -> bool:
        """Whether a document has its address for itself alone."""
        return any(any(batch.column("is_deposit").to_pylist()) for batch in self.rows_of([document]))

    def _explain(self, found: Orphans) -> None:
        """Which transactions are served already, and who knows the references that are left."""
        for chain_id, tx_hash in found.told:
            topics = [
                topic
                for batch in self.rows_of(found.holders.get(tx_hash, ()))
                for topic in batch.column("reference_topic").to_pylist()
            ]
            if topics and set(topics) <= found.told[chain_id, tx_hash]:
                found.served.add((chain_id, tx_hash))
        found.known.update(self._topics_known(found.topics))

    def _told_by_receipts(self, transfers: Iterable[Row]) -> dict[Transaction, set[str]]:
        """The references in the whole receipts of transfers: the proxy's log of a plain one may have been in a gap."""
        wanted: dict[int | None, set[str]] = defaultdict(set)
        for row in transfers:
            wanted[row["chain_id"]].add(row["tx_hash"])
        told: dict[Transaction, set[str]] = {}
        for reading in self.ask_chains(wanted):
            for row in rows_in(reading, "transactions"):
                if row["outcome"] == "success":
                    told[row["chain_id"], row["tx_hash"]] = set()
            for row in rows_in(reading, "transfers"):
                key = (row["chain_id"], row["tx_hash"])
                if key in told and row["reference_topic"]:
                    told[key].add(row["reference_topic"])
        return told

    def _topics_known(self, topics: set[str]) -> dict[Key, str]:
        """Search the references of the whole collection for topics, which no index can look up."""
        found: dict[Key, str] = {("topic", topic): self.named[topic] for topic in topics & self.named.keys()}
        topics = topics - self.named.keys()
        if not topics:
            return found
        for documents in self.store.scan(Selection()):
            for batch in self.rows_of(documents):
                pairs = zip(
                    batch.column("reference_topic").to_pylist(), batch.column("payment_id").to_pylist(), strict=True
                )
                found.update({("topic", topic): payment_id for topic, payment_id in pairs if topic in topics})
        return found


def tables_in(readings: Iterable[Reading], name: str) -> list[pa.Table]:
    """One table of several readings, of those that have it."""
    return [reading.tables[name] for reading in readings if name in reading.tables]


def rows_in(reading: Reading, name: str) -> list[dict[str, Any]]:
    """The rows of one table of a reading; none where it has no such table."""
    rows: list[dict[str, Any]] = reading.tables[name].to_pylist() if name in reading.tables else []
    return rows
