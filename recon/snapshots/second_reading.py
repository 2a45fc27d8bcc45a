"""The second reading: what shows a break is asked for again before it is reported.

The rows come from the primary, the providers are asked about each payment by itself, and every transaction behind the
evidence is looked up anew. Rows elsewhere in the collection that carry a key of a break are fetched as context, so
that one transfer or one provider object can prove one payment only. What no row of the window knows is looked up in
the whole collection before it is called missing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Protocol

from recon.core.errors import SourceError
from recon.core.ids import payment_id_text
from recon.core.model import Policy
from recon.core.tables import TABLES, schema_of
from recon.snapshots.again import write_chain, write_claims, write_keys
from recon.snapshots.asked_amounts import with_asked_amounts
from recon.snapshots.further_keys import keys_in
from recon.snapshots.holdings import write_holdings
from recon.snapshots.orders import Orders, find_orders
from recon.snapshots.orphans import KEY_FIELDS, OrphanSearch, rows_in, tables_in
from recon.snapshots.outflows import NO_OUTFLOWS, OutflowReader, Outflows, explaining_rows
from recon.snapshots.sealed import SnapshotWriter, key_table, read_table
from recon.snapshots.standing import standing_still, unsaid
from recon.snapshots.unnamed import find_owners, unknown_topics
from recon.snapshots.watched import NOTHING_WATCHED, Watched, gaps_before, limited
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
from recon.sources.providers.installed import names_asked_by, rails_that_send
from recon.verdicts.judge import Leads
from recon.verdicts.links import DEPOSIT_KINDS

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

    from recon.core.registry import Registry
    from recon.sources.payments.fields import FieldPaths

Row = Mapping[str, Any]
_FETCHED_AT_ONCE: Final = 1_000
QUIET_MAX: Final = 1_000
"""So many payments in sync are read again at most. Of the others the rows that paid their orders once more are laid
beside them all the same, so that none is called in sync for want of a second reading."""

_MONEYED: Final = ("paid", "overpaid", "partial", "refunded", "unknown")
"""What a provider may say of a payment for which money came, or may have come."""
_ABOUT: Final = ("payment_id", "direction", "chain_id", "token", "created_at", "updated_at")
_OWN_KEYS: Final = ("request_id", "reference", "external_id")
_RIVAL_FIELDS: Final = (*KEY_FIELDS, "recipient", "order_id")
"""By what a row outside the window may contend with a break: a key, the same one-time address, or the same order."""


def _about(row: Row) -> dict[str, Any]:
    """What a provider may be told of a payment beside its ids, as far as the row has it."""
    return {name: row[name] for name in _ABOUT if name in row}


class _Sources(Protocol):
    @property
    def store(self) -> DocumentStore: ...
    @property
    def fields(self) -> FieldPaths: ...
    @property
    def claims(self) -> Sequence[ClaimSource]: ...
    @property
    def chains(self) -> Sequence[ChainSource]: ...


_UNJUDGED: Final = {"covered_by_chain": False, "proof_tx": None, "refund_tx": None, "claim_hashes": None}
"""What a row that the first judgement did not see has in place of its evidence."""


class SecondReading:
    """Reads the breaks of a first judgement again and writes what replaces the first reading."""

    def __init__(
        self,
        sources: _Sources,
        *,
        policy: Policy,
        registry: Registry,
        now_ms: int,
        progress: Progress,
        selection: Selection,
    ) -> None:
        """Set up a second reading.

        Args:
            selection: What was read first. Who else claims the money of a payment is known of what is read again only:
                that are the breaks, all payments that a person named, and those whose order was paid elsewhere too.
        """
        self._sources = sources
        self._policy = policy
        self._registry = registry
        self._now_ms = now_ms
        self._progress = progress
        self._selection = selection
        self._coverage: list[Coverage] = []
        self._beside: Mapping[str, Row] = {}

    def read(
        self,
        writer: SnapshotWriter,
        leads: Leads,
        *,
        with_orphans: bool,
        span: tuple[int, int] | None = None,
        watched: Watched = NOTHING_WATCHED,
        from_ms: int = 0,
    ) -> Reading:
        """Write ``again/``, ``documents``, ``context`` and ``orphans``; give the coverage of all that.

        Args:
            with_orphans: Whether money that no row of the window knows is looked for, in and out.
            span: The window, UTC ms, within which outgoing money is looked for; None looks for none.
            watched: One-time addresses of rows before the window.
            from_ms: Where the scan of the chains begins, UTC ms.
        """
        breaks: list[Row] = leads.breaks.to_pylist()
        read, held = _ids_in(writer.file("payments")), _held_in(writer.file("keys"))
        named = self._references(writer, watched, span=span)
        woken = self._woken(writer, watched.and_named(named), span=span, read=read)
        told, spoke = self._ask_silent(leads, _keys_by_payment(held))
        quiet = self._quiet(writer.file("payments"), read, [*breaks, *spoke])
        documents = self._fetch([*(row["payment_id"] for row in (*breaks, *spoke)), *sorted(woken | quiet)])
        again = _rows_table(self._rows_of((documents or {}).values()))
        risen = _unjudged(again, woken)
        asked = [*breaks, *risen, *_unjudged(again, quiet)]
        breaks = [*breaks, *spoke, *asked[len(breaks) :]]
        further = _keys_by_payment([*held, *keys_in(again)])
        claimed = [*told, *self._ask_providers(asked, further)]
        standing = standing_still(writer, claimed)
        claimed = unsaid(writer, claimed, standing=standing)
        self._coverage.extend(one.coverage() for one in standing)
        again = with_asked_amounts(again, [row for reading in claimed for row in rows_in(reading, "claims")])
        hashes = _hashes_of(breaks, leads.links.to_pylist(), claimed)
        _add_hashes(hashes, again, is_incoming=True)
        said = tables_in(claimed, "claims")
        out = self._outflows(writer, leads, span if with_orphans else None)
        wanted = _keys_of(breaks, hashes, again, said)
        _add_keys(wanted, breaks, further)
        wanted["recipient"] |= _addresses_without_reference(leads.links.to_pylist())
        known = read.union(woken)
        context = self._context(wanted, known=known)
        # A refund or payout elsewhere in the collection counts only if its transaction shows it.
        _add_hashes(hashes, context, is_incoming=False)
        explaining = self._explaining(out, known={*known, *context["payment_id"].to_pylist()})
        odd = _odd_tokens(leads.links.to_pylist(), self._registry)
        chained = self._ask_chains(hashes, breaks, odd=odd, calls=_calls_told(claimed))
        self._coverage.extend(write_holdings(writer, leads.bare, chains=self._sources.chains, progress=self._progress))
        self._write_payments(writer, again, [row["payment_id"] for row in breaks], documents)
        write_keys(writer, again, context=context, gone=None if documents is None else breaks)
        write_claims(writer, claimed)
        write_chain(writer, [*chained, *out.looked_up], moved=out.moved)
        writer.write("context", _concat_rows(context, explaining))
        writer.write_rows("orphans", self._orphans(leads, named) if with_orphans else [])
        dark = gaps_before(risen, chain_ids=self._policy.chain_ids, from_ms=from_ms)
        return Reading(
            coverage=tuple(self._coverage), gaps=(*dark, *(one.gap(now_ms=self._now_ms) for one in standing))
        )

    def _quiet(self, payments: Path, read: set[str], breaks: Sequence[Row]) -> frozenset[str]:
        """Payments in sync that are read again, up to :data:`QUIET_MAX`."""
        seen = {row["payment_id"] for row in breaks}
        if self._selection.ids:
            return frozenset(sorted(read - seen)[:QUIET_MAX])
        if self._selection == Selection():
            return frozenset()
        paid = self._orders_of(payments, read).paid - seen
        if len(paid) > QUIET_MAX:
            said = (
                f"{len(paid)} payments in sync were paid once more elsewhere; {QUIET_MAX} of them were read again, the "
                "others are judged by what the other row says"
            )
            self._coverage.append(Coverage("payments", "quiet", complete=False, items=QUIET_MAX, problem=said))
        return frozenset(sorted(paid)[:QUIET_MAX])

    def _orders_of(self, payments: Path, read: set[str]) -> Orders:
        """What the whole collection has of the orders of the window; nothing where it cannot be asked."""
        try:
            found = find_orders(payments, self._sources.store, read=read, rows_of=self._rows_of)
        except SourceError as error:
            found = Orders(coverage=(Coverage("payments", "orders", complete=False, problem=str(error)),))
        self._coverage.extend(found.coverage)
        self._beside = found.beside
        return found

    def _woken(
        self, writer: SnapshotWriter, watched: Watched, *, span: tuple[int, int] | None, read: set[str]
    ) -> frozenset[str]:
        """The payments before the window for which money came inside it, less those that were read with it."""
        if span is None:
            return frozenset()
        found = watched.woken_by(writer.file("transfers"), span=span, policy=self._policy)
        chosen, account = limited(found - read)
        self._coverage.extend([] if account is None else [account])
        return frozenset(chosen)

    def _references(self, writer: SnapshotWriter, watched: Watched, *, span: tuple[int, int] | None) -> dict[str, str]:
        """By the hash of a reference that no row holds, the payment before the window whose it is."""
        if span is None or not watched.unnamed:
            return {}
        ours = {*self._policy.merchant_recipients, *(each.row["recipient"] for each in watched.unnamed)} - {None}
        paid_to = unknown_topics(writer, recipients=ours, known=watched.topics)
        found, asked = find_owners(paid_to, watched.unnamed, ask=self._ask_providers)
        self._coverage.extend(asked)
        return found

    def _orphans(self, leads: Leads, named: Mapping[str, str]) -> list[dict[str, Any]]:
        """Look what the window does not know up in the whole collection.

        Args:
            named: Whose a reference is that no row holds.
        """
        search = OrphanSearch(self._sources.store, self._rows_of, partial(self._ask_chains, breaks=()), named)
        rows, coverage = search.search(leads)
        self._coverage.extend(coverage)
        return rows

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

    def _ask_providers(self, breaks: Sequence[Row], further: Mapping[str, Sequence[tuple[str, str]]]) -> list[Reading]:
        """Look up every object that a break names: by its first keys together, and by each further one by itself."""
        keys: dict[str, list[ClaimKey]] = defaultdict(list)
        for row in breaks:
            own = {name: row[name] for name in KEY_FIELDS[1:]}
            named = [own, *({name: value} for name, value in further.get(row["payment_id"], ()))]
            about = _about(row)
            asked_by = names_asked_by(row["provider"])
            for one in named:
                if any(one.values()) and (one is own or asked_by & one.keys()):
                    keys[row["provider"]].append(ClaimKey(**about, **one))
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

    def _ask_silent(
        self, leads: Leads, further: Mapping[str, Sequence[tuple[str, str]]]
    ) -> tuple[list[Reading], list[Row]]:
        """Ask one by one for open payments that a bulk list does not show; give the answers, and those with money.

        A look-up that fails leaves the bulk list's silence as it was.
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        rows: list[Row] = leads.silent.to_pylist()
        answered: list[Reading] = []
        spoke: set[tuple[str, str]] = set()
        for reading in self._ask_providers(rows, further):
            claims = reading.tables.get("claims")
            if claims is None:
                continue
            found = claims.filter(pc.not_equal(claims["outcome"], "failed"))
            answered.append(replace(reading, tables={**reading.tables, "claims": found}))
            for claim in found.filter(pc.is_in(found["state"], pa.array(_MONEYED))).to_pylist():
                spoke.update((claim["provider"], claim[name]) for name in _OWN_KEYS if claim[name])
        return answered, [row for row in rows if spoke & {(row["provider"], row[name]) for name in _OWN_KEYS}]

    def _ask_chains(
        self,
        hashes: Mapping[int | None, set[str]],
        breaks: Sequence[Row],
        *,
        odd: Mapping[int, set[str]] = MappingProxyType({}),
        calls: Mapping[int, set[str]] = MappingProxyType({}),
    ) -> list[Reading]:
        """Look every transaction up again; one that its own chain does not show is asked of the others too."""
        astray = {row["tx_hash"] for row in breaks if row["tx_hash"] and _may_lie_elsewhere(row)}
        readings = []
        for chain in self._sources.chains:
            wanted = hashes.get(chain.chain_id, set()) | hashes.get(None, set()) | astray
            if not wanted:
                continue
            question = ChainQuestion(
                from_ms=self._now_ms,
                tx_hashes=tuple(sorted(wanted)),
                proxies=False,
                odd_tokens=tuple(sorted(odd.get(chain.chain_id, ()))),
                calls=tuple(sorted(calls.get(chain.chain_id, ()))),
            )
            try:
                reading = chain.read(question, progress=self._progress)
            except SourceError as error:
                name = f"chain:{chain.chain_id}"
                row = Coverage(name, "receipts", complete=False, chain_id=chain.chain_id, problem=str(error))
                reading = Reading(coverage=(row,))
            self._coverage.extend(row for row in reading.coverage if row.scope == "receipts")
            readings.append(reading)
        return readings

    def _outflows(self, writer: SnapshotWriter, leads: Leads, span: tuple[int, int] | None) -> Outflows:
        """What left payout wallets within a span; nothing without one."""
        if span is None:
            return NO_OUTFLOWS
        reader = OutflowReader(
            self._sources.chains, policy=self._policy, span=span, now_ms=self._now_ms, progress=self._progress
        )
        out = reader.read(writer, leads)
        self._coverage.extend(out.coverage)
        return out

    def _explaining(self, out: Outflows, *, known: set[str]) -> pa.Table:
        """Rows outside the window that may explain outgoing money."""
        found: dict[str, Mapping[str, Any]] = {}
        problem: str | None = None
        try:
            for document in explaining_rows(out, self._sources.store, rows_of=lambda part: self._rows_of(part)[0]):
                found[payment_id_text(document["_id"])] = document
        except SourceError as error:
            problem = str(error)
        if out.open_rows:
            self._coverage.append(
                Coverage("payments", "outflows", complete=problem is None, items=len(found), problem=problem)
            )
        return _rows_table(self._rows_of(found[payment_id] for payment_id in sorted(found.keys() - known)))

    def _context(self, wanted: Mapping[str, set[str]], *, known: set[str]) -> pa.Table:
        """Rows outside the window that carry a hash, reference, id, one-time address or order of a break."""
        found = {payment_id: each for payment_id, each in self._beside.items() if payment_id not in known}
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


def _unjudged(again: pa.Table, payment_ids: frozenset[str]) -> list[Row]:
    """Rows that the first judgement did not see, in the form of its breaks."""
    return [{**row, **_UNJUDGED} for row in again.to_pylist() if row["payment_id"] in payment_ids]


def _add_keys(
    wanted: dict[str, set[str]], breaks: Sequence[Row], further: Mapping[str, Sequence[tuple[str, str]]]
) -> None:
    for row in breaks:
        for name, value in further.get(row["payment_id"], ()):
            if name in wanted:
                wanted[name].add(value)


def _add_hashes(hashes: dict[int | None, set[str]], rows: pa.Table, *, is_incoming: bool) -> None:
    """Add the transactions that rows record; those of incoming rows only where they are asked for."""
    for row in rows.select(["direction", "chain_id", "tx_hash"]).to_pylist():
        if row["tx_hash"] and (is_incoming or row["direction"] != "in"):
            hashes[row["chain_id"]].add(row["tx_hash"])


def _held_in(keys: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = read_table(keys).to_pylist()
    return rows


def _keys_by_payment(rows: Iterable[Row]) -> dict[str, list[tuple[str, str]]]:
    """The further keys of payments: which field, and its value; each once."""
    found: dict[str, dict[tuple[str, str], None]] = defaultdict(dict)
    for row in rows:
        found[row["payment_id"]][row["field"], row["value"]] = None
    return {payment_id: list(keys) for payment_id, keys in found.items()}


def _hashes_of(breaks: Sequence[Row], links: Sequence[Row], claimed: Sequence[Reading]) -> dict[int | None, set[str]]:
    """Every transaction that the evidence of the breaks rests on, by chain (None: any chain)."""
    hashes: dict[int | None, set[str]] = defaultdict(set)
    for row in breaks:
        hashes[row["chain_id"]].update(row[name] for name in ("tx_hash", "proof_tx", "refund_tx") if row[name])
        # What the first reading named is not taken back by a second look-up that fails.
        hashes[row["chain_id"]].update((row["claim_hashes"] or "").split())
    for link in links:
        hashes[link["t_chain"]].add(link["t_tx"])
    for reading in claimed:
        for chain_id, named in _named_by_provider(reading):
            hashes[chain_id].update(named)
    return hashes


def _addresses_without_reference(links: Sequence[Row]) -> set[str]:
    """Addresses to which money for a payment came past the proxy: it is the payment's only if nobody else has them."""
    return {link["t_recipient"] for link in links if link["wrong_reference"] and link["t_kind"] == DEPOSIT_KINDS}


def _odd_tokens(links: Sequence[Row], registry: Registry) -> dict[int, set[str]]:
    """By chain, the tokens that breaks were paid in and that no registry knows."""
    found: dict[int, set[str]] = defaultdict(set)
    for link in links:
        if link["wrong_token"] and link["t_token"] and (link["t_chain"], link["t_token"]) not in registry.tokens:
            found[link["t_chain"]].add(link["t_token"])
    return found


def _calls_told(claimed: Sequence[Reading]) -> dict[int, set[str]]:
    """By chain, the transactions of which a provider tells what call they make."""
    found: dict[int, set[str]] = defaultdict(set)
    for reading in claimed:
        for row in rows_in(reading, "claim_txs"):
            if row.get("call") and row["tx_hash"] and row["chain_id"] is not None:
                found[row["chain_id"]].add(row["tx_hash"])
    return found


def _may_lie_elsewhere(row: Row) -> bool:
    """Whether a recorded transaction that its chain does not show may be on another: who sends it says on which."""
    return not row["covered_by_chain"] and row["provider"] not in rails_that_send()


def _named_by_provider(reading: Reading) -> Iterator[tuple[int | None, list[str]]]:
    """The transactions that a provider lists, and those that an object names without a payment it is of.

    One that sends transactions itself lists each of them with its chain.
    """
    for name, column in (("claim_txs", "tx_hash"), ("claims", "tx_hashes")):
        if name in reading.tables:
            for row in reading.tables[name].select(["provider", "chain_id", column]).to_pylist():
                if row["chain_id"] is not None or row["provider"] not in rails_that_send():
                    yield row["chain_id"], (row[column] or "").split()


def _keys_of(
    breaks: Sequence[Row], hashes: Mapping[int | None, set[str]], again: pa.Table, said: Sequence[pa.Table]
) -> dict[str, set[str]]:
    """What nobody else in the collection may carry: keys of the breaks, of their rows read again, of their claims."""
    wanted: dict[str, set[str]] = {name: {row[name] for row in breaks if row[name]} for name in KEY_FIELDS}
    wanted["tx_hash"].update(*hashes.values())
    for table in (again, *said):
        for name in KEY_FIELDS:
            wanted[name] |= _values_of(table, name)
    wanted["recipient"] = _values_of(again.filter(again["is_deposit"]), "recipient")
    wanted["order_id"] = _values_of(again, "order_id")
    return wanted


def _values_of(table: pa.Table, name: str) -> set[str]:
    """What a column holds; nothing where there is no such column."""
    return {value for value in table[name].to_pylist() if value} if name in table.column_names else set()


def _rows_table(batches: Sequence[pa.RecordBatch]) -> pa.Table:
    import pyarrow as pa

    return pa.Table.from_batches(list(batches), schema=schema_of(TABLES["payments"]))


def _concat_rows(first: pa.Table, second: pa.Table) -> pa.Table:
    import pyarrow as pa

    return pa.concat_tables([first, second]).sort_by("payment_id")


def _ids_in(payments: Any) -> set[str]:
    import pyarrow.parquet as pq

    return set(pq.read_table(payments, columns=["payment_id"]).column(0).to_pylist())


def _parts(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
