"""Turn a pasted text into a dossier: find the payment, read every source afresh or open a snapshot, and cut it out."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from recon.core.errors import ReconError, SourceError, UsageError
from recon.core.ids import payment_id_text, reference_topic
from recon.core.model import OPEN
from recon.core.text import clean_text
from recon.core.times import ms_text, to_ms
from recon.investigation.payment.cut import cut_out
from recon.investigation.payment.dossier import Dossier, Row, exact_row, forwarder_of, with_deliveries
from recon.investigation.payment.identify import Name, names_of
from recon.investigation.payment.neighbours import FIELDS, find_neighbours, is_earlier_deposit, with_owners
from recon.sources.chain.forwarders import FindsForwarders
from recon.sources.interface import (
    ChainQuestion,
    ClaimKey,
    Progress,
    Reading,
    Selection,
    no_progress,
)
from recon.sources.payments.fields import stored_at
from recon.sources.providers.installed import names_asked_by

if TYPE_CHECKING:
    from recon.core.model import Policy
    from recon.core.registry import Registry
    from recon.runs.stores.journal import JournalEntry
    from recon.snapshots.sealed import Snapshot
    from recon.snapshots.take import SourceSet
    from recon.sources.payments.fields import FieldPaths

PAYMENTS_MAX: Final = 20
"""Most payments that one text may lead to."""

SCAN_MAX: Final = 2_000_000
"""Most documents that are looked through for an address, which no index knows."""


class UnknownIdError(UsageError):
    """Nothing knows a text, and every source could be asked."""

    def __init__(self, *, text: str, asked: Sequence[str]) -> None:
        super().__init__(
            f"Nothing knows {clean_text(text, limit=100)!r}; asked were {', '.join(asked)}. Check the text, and that "
            "the configuration names the right database, account and chains."
        )


class UnansweredIdError(SourceError):
    """No source that answered knows a text, and one did not answer."""

    def __init__(self, *, text: str, why: Sequence[str]) -> None:
        super().__init__(
            f"Nothing that answered knows {clean_text(text, limit=100)!r}, and not everything could be asked: "
            f"{'; '.join(why)}"
        )


@dataclass(frozen=True, slots=True)
class Asking:
    """How an inspection asks: the rules, the time, and what may be looked at besides the sources.

    Args:
        deliveries: Delivery records (rows of ``recon.core.tables.DELIVERIES``) and ``delivery_sources``, where they are
            from; without a source, what was delivered is unknown.
        journal: Gives the entries of the reconciliation journal; None when there is none.
    """

    policy: Policy
    registry: Registry
    now: datetime
    deliveries: Iterable[Row] = ()
    delivery_sources: tuple[str, ...] = ()
    journal: Callable[[], Iterable[JournalEntry]] | None = None
    progress: Progress = no_progress


@dataclass(slots=True)
class _Search:
    """What a search has found so far."""

    payments: dict[str, str] = field(default_factory=dict)
    others: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    documents: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    def add(self, document: Mapping[str, Any], how: str) -> None:
        payment_id = payment_id_text(document["_id"])
        if len(self.payments) < PAYMENTS_MAX:
            self.payments.setdefault(payment_id, how)
            self.documents.setdefault(payment_id, document)


def gather_afresh(text: str, sources: SourceSet, *, asking: Asking) -> Dossier:
    """Ask every source about what a text names, now.

    Raises:
        NoIdError: The text can be no id.
        UnknownIdError: Nothing knows it. UnansweredIdError: the same, but a source did not answer.
        WrongSourceError: A source is not the one that was meant.
    """
    names = names_of(text)
    found = _search(names, sources, asking)
    if not found.payments and not found.others:
        asked = _asked(names, sources)
        raise UnansweredIdError(text=text, why=found.failed) if found.failed else UnknownIdError(text=text, asked=asked)
    if not found.payments:
        return _unowned(text, names, found, asking)
    main = min(found.payments, key=lambda each: _order(found.documents[each], sources.fields))
    policy, registry = asking.policy, asking.registry
    beside = find_neighbours(found.documents[main], sources, policy=policy, registry=registry)
    found.failed += beside.failed
    related = [each for each in beside.related if each not in found.payments][:PAYMENTS_MAX]
    with tempfile.TemporaryDirectory(prefix="recon-inspect-") as folder:
        snapshot = _taken(sources, [*found.payments, *related], asking=asking, out=Path(folder) / "snapshot")
        dossier = _from_snapshot(text, snapshot, found, main=main, asking=asking, names=names)
    documents = {key: _extended(found.documents[key]) for key in found.documents}
    dossier = replace(dossier, documents={**documents, **dossier.documents})
    dossier = _forwarders(dossier, sources, asking)
    dossier = _asked_further(dossier, sources, names=names, asking=asking)
    dossier = with_owners(dossier, sources, by_topic=beside.by_topic, policy=policy, registry=registry)
    return _with_journal(dossier, asking)


def gather_from_snapshot(text: str, snapshot: Snapshot, *, asking: Asking) -> Dossier:
    """Look a text up in a snapshot, offline.

    Raises:
        NoIdError: The text can be no id. UnknownIdError: the snapshot does not know it.
    """
    names = names_of(text)
    found = _Search()
    _among_payments(snapshot, found, names)
    for table, places in (
        ("claims", ("request_id", "reference", "external_id", "tx_hashes", "recipient")),
        ("transfers", ("tx_hash", "sender", "recipient")),
    ):
        found.others += _mentions(snapshot, table, places, names)
    if not found.payments:
        _owners(snapshot, found, names)
    if not found.payments and not found.others:
        raise UnknownIdError(text=text, asked=[f"snapshot {snapshot.digest[:12]}"])
    main = _main_of(snapshot, found)
    dossier = _from_snapshot(text, snapshot, found, main=main, asking=asking, names=names)
    return _with_journal(replace(dossier, is_afresh=False), asking)


def _among_payments(snapshot: Snapshot, found: _Search, names: Sequence[Name]) -> None:
    """The payments that hold one of the names in a column of its kind; an address as recipient or as sender."""
    rows = snapshot.table("payments").select(["payment_id", *FIELDS, "recipient", "sender"])
    columns = {name: rows.column(name).to_pylist() for name in rows.column_names}
    wanted: dict[str, set[str]] = {}
    for name in names:
        wanted.setdefault(name.kind, set()).add(name.value)
    for index, payment_id in enumerate(columns["payment_id"]):
        for kind, values in wanted.items():
            places = ("recipient", "sender") if kind == "address" else (kind,)
            place = next((place for place in places if columns[place][index] in values), None)
            if place and len(found.payments) < PAYMENTS_MAX:
                found.payments.setdefault(payment_id, f"payment {payment_id} has it as {place}")
    _among_further_keys(snapshot, found, wanted)


def _among_further_keys(snapshot: Snapshot, found: _Search, wanted: Mapping[str, set[str]]) -> None:
    """The payments that hold one of the names besides a first key of its kind."""
    for key in snapshot.table("keys").to_pylist():
        if key["value"] in wanted.get(key["field"], ()) and len(found.payments) < PAYMENTS_MAX:
            found.payments.setdefault(key["payment_id"], f"payment {key['payment_id']} has it as {key['field']}")


def _main_of(snapshot: Snapshot, found: _Search) -> str | None:
    """The payment that is meant, chosen as in :func:`_order`."""
    if len(found.payments) < 2:
        return next(iter(found.payments), None)
    rows = snapshot.table("payments").select(["payment_id", "status", "created_at"]).to_pylist()
    mine = [row for row in rows if row["payment_id"] in found.payments]
    best = min(mine, key=lambda row: (row["status"] not in OPEN, -(row["created_at"] or 0), row["payment_id"]))
    return str(best["payment_id"])


def _mentions(snapshot: Snapshot, table: str, places: Sequence[str], names: Sequence[Name]) -> list[str]:
    wanted = {name.value for name in names}
    data = snapshot.table(table)
    said: list[str] = []
    for place in places:
        for index, value in enumerate(data.column(place).to_pylist()):
            if value and len(said) < PAYMENTS_MAX and not wanted.isdisjoint(value.split()):
                said.append(_mention(table, data.slice(index, 1).to_pylist()[0], place))
    return list(dict.fromkeys(said))


def _mention(table: str, row: Row, place: str) -> str:
    if table == "claims":
        return f"{row['provider']} knows it as {place} of {row['object']} {row['claim_id']} ({row['state_raw']})"
    return f"chain:{row['chain_id']} has it as {place} of transfer {row['tx_hash']}:{row['log_index']}"


def _owners(snapshot: Snapshot, found: _Search, names: Sequence[Name]) -> None:
    """The payments to which a transfer of this hash, sender or recipient belongs by its reference."""
    wanted = {name.value for name in names}
    transfers = snapshot.table("transfers").select(["tx_hash", "sender", "recipient", "reference_topic"]).to_pylist()
    topics = {row["reference_topic"]: row["tx_hash"] for row in transfers if wanted & set(row.values())}
    hashes = {row["tx_hash"] for row in transfers if wanted & set(row.values())}
    topics |= {row["reference_topic"]: row["tx_hash"] for row in transfers if row["tx_hash"] in hashes}
    topics.pop(None, None)
    payments = snapshot.table("payments").select(["payment_id", "reference_topic"]).to_pylist()
    for row in payments:
        if row["reference_topic"] in topics and len(found.payments) < PAYMENTS_MAX:
            how = f"transfer {topics[row['reference_topic']]} carries the reference of payment {row['payment_id']}"
            found.payments.setdefault(row["payment_id"], how)


def _search(names: Sequence[Name], sources: SourceSet, asking: Asking) -> _Search:
    found = _Search()
    _in_store(names, sources, found)
    if not found.payments:
        _at_addresses(names, sources, found, asking)
    if not found.payments:
        _at_providers(names, sources, found, asking)
        _on_chains(names, sources, found, asking)
    return found


def _order(document: Mapping[str, Any], fields: FieldPaths) -> tuple[bool, float, str]:
    """Which of several payments is meant: one that is open before one that is not, then the newest."""
    status, created = (stored_at(document, fields.path(name).split(".")) for name in ("status", "created_at"))
    try:
        at = created.timestamp() if isinstance(created, datetime) else 0.0
    except (OverflowError, OSError, ValueError):
        at = 0.0
    return status not in OPEN, -at, payment_id_text(document["_id"])


def _in_store(names: Sequence[Name], sources: SourceSet, found: _Search) -> None:
    store = sources.store
    try:
        for document in store.fetch([name.value for name in names if name.kind == "payment_id"]):
            found.add(document, f"payment {payment_id_text(document['_id'])} has this id")
        for kind in FIELDS:
            wanted = [name.value for name in names if name.kind == kind]
            for _, document in store.find_claimants(kind, wanted) if wanted else ():
                found.add(document, f"payment {payment_id_text(document['_id'])} has it as {kind}")
    except SourceError as error:
        found.failed.append(str(error))


def _at_addresses(names: Sequence[Name], sources: SourceSet, found: _Search, asking: Asking) -> None:
    """No index knows addresses or the hash of a reference, so every row is looked at once."""
    addresses = {name.value for name in names if name.kind == "address"}
    if not addresses:
        return
    from recon.sources.payments.read import payment_rows

    seen = 0
    try:
        for batch in sources.store.scan(Selection()):
            rows = payment_rows(batch, fields=sources.fields, registry=asking.registry, policy=asking.policy)
            pairs = zip(rows.column("recipient").to_pylist(), rows.column("sender").to_pylist(), strict=True)
            for index, pair in enumerate(pairs):
                if not addresses.isdisjoint(pair):
                    place = "recipient" if pair[0] in addresses else "payer"
                    found.add(batch[index], f"payment {payment_id_text(batch[index]['_id'])} has it as {place}")
            seen += len(batch)
            if seen >= SCAN_MAX:
                found.failed.append(f"only the first {SCAN_MAX} payments were looked through for an address")
                return
    except SourceError as error:
        found.failed.append(str(error))


def _at_providers(names: Sequence[Name], sources: SourceSet, found: _Search, asking: Asking) -> None:
    for source in sources.claims:
        kinds = names_asked_by(source.name)
        keys = [
            ClaimKey(payment_id="", **{name.kind: name.value})  # type: ignore[arg-type]
            for name in names
            if name.kind in kinds
        ]
        if not keys:
            continue
        try:
            reading = source.look_up(keys, progress=asking.progress)
        except SourceError as error:
            found.failed.append(str(error))
            continue
        for row in reading.tables["claims"].to_pylist():
            if row["outcome"] == "found":
                found.others.append(_mention("claims", row, "key"))
            elif row["outcome"] == "failed":
                found.failed.append(f"{source.name}: {row['error']}")


def _on_chains(names: Sequence[Name], sources: SourceSet, found: _Search, asking: Asking) -> None:
    """A transaction that no row records: whose reference is in it, and to whose address did its money go."""
    hashes = tuple(name.value for name in names if name.kind == "tx_hash")
    topics = {reference_topic(name.value) for name in names if name.kind == "reference"}
    reached: set[str] = set()
    for chain in sources.chains if hashes else ():
        question = ChainQuestion(from_ms=to_ms(asking.now), tx_hashes=hashes, proxies=False)
        try:
            reading = chain.read(question, progress=asking.progress)
        except SourceError as error:
            found.failed.append(str(error))
            continue
        for row in _seen_on_chain(reading, chain_id=chain.chain_id, hashes=hashes, found=found):
            topics.add(row["reference_topic"])
            reached.add(row["recipient"])
    if topics - {None}:
        _by_topic(topics - {None}, sources, found, asking)
    if not found.payments:
        _by_recipient(reached - {None, *asking.policy.merchant_recipients}, sources, found, asking)


def _seen_on_chain(reading: Reading, *, chain_id: int, hashes: Sequence[str], found: _Search) -> list[Row]:
    """Note what one chain says of the transactions, and give their transfers."""
    for row in reading.tables["transactions"].to_pylist():
        if row["outcome"] in ("success", "reverted", "pending"):
            found.others.append(f"chain:{chain_id} has transaction {row['tx_hash']} ({row['outcome']})")
        elif row["outcome"] == "failed":
            found.failed.append(f"chain:{chain_id}: {row['error']}")
    # A chain tells of our merchant wallets too, whatever it is asked.
    transfers: list[Row] = [row for row in reading.tables["transfers"].to_pylist() if row["tx_hash"] in hashes]
    for row in transfers:
        found.others.append(f"chain:{chain_id}: transfer {row['tx_hash']}:{row['log_index']} to {row['recipient']}")
    return transfers


def _by_recipient(wanted: set[str], sources: SourceSet, found: _Search, asking: Asking) -> None:
    """The rows whose own one-time address the money of a transaction went to, whenever they were made."""
    from recon.sources.payments.read import payment_rows

    try:
        held = [document for _, document in sources.store.find_claimants("recipient", sorted(wanted))] if wanted else []
        for document in held:
            row = payment_rows([document], fields=sources.fields, registry=asking.registry, policy=asking.policy)
            if row.column("is_deposit")[0].as_py():
                payment_id = payment_id_text(document["_id"])
                found.add(document, f"the transaction paid the one-time address of payment {payment_id}")
    except SourceError as error:
        found.failed.append(str(error))


def _by_topic(wanted: set[str], sources: SourceSet, found: _Search, asking: Asking) -> None:
    from recon.sources.payments.read import payment_rows

    try:
        for batch in sources.store.scan(Selection()):
            rows = payment_rows(batch, fields=sources.fields, registry=asking.registry, policy=asking.policy)
            for index, topic in enumerate(rows.column("reference_topic").to_pylist()):
                if topic in wanted:
                    payment_id = payment_id_text(batch[index]["_id"])
                    found.add(batch[index], f"the transaction carries the reference of payment {payment_id}")
    except SourceError as error:
        found.failed.append(str(error))


def _taken(sources: SourceSet, payment_ids: Sequence[str], *, asking: Asking, out: Path) -> Snapshot:
    from recon.snapshots.take import take_snapshot

    return take_snapshot(
        sources,
        selection=Selection(ids=tuple(dict.fromkeys(payment_ids))),
        policy=asking.policy,
        registry=asking.registry,
        now=asking.now,
        out=out,
        progress=asking.progress,
    )


def _from_snapshot(
    text: str, snapshot: Snapshot, found: _Search, *, main: str | None, asking: Asking, names: Sequence[Name]
) -> Dossier:
    values = [name.value for name in names if name.kind in ("tx_hash", "reference", "address", "request_id")]
    tables = cut_out(snapshot, list(found.payments), main=main, names=values, shared=asking.policy.merchant_recipients)
    documents = {
        row["payment_id"]: json.loads(row["document"])
        for row in snapshot.table("documents").to_pylist()
        if row["payment_id"] in found.payments
    }
    dossier = Dossier(
        asked=text[:1000],
        payment_id=main,
        found_by=tuple(dict.fromkeys((*found.payments.values(), *found.others)))[:PAYMENTS_MAX],
        now_ms=snapshot.taken_at_ms,
        policy=asking.policy,
        tables=tables,
        documents=documents,
        not_asked=tuple(found.failed),
        fields=snapshot.manifest.get("fields", {}),
    )
    looked = [row for row in dossier.rows("coverage") if row["source"] == "deliveries"]
    kept = [_records_text(row) for row in looked if row["complete"] or row["done_from"] is not None]
    return with_deliveries(dossier, asking.deliveries, sources=(*kept, *asking.delivery_sources))


def _records_text(row: Row) -> str:
    """How delivery records of a snapshot are named: the place, and from when on it is whole."""
    since = "" if row["done_from"] is None else f" (whole since {ms_text(row['done_from'])})"
    return f"{row['scope']}{since}"


def _unowned(text: str, names: Sequence[Name], found: _Search, asking: Asking) -> Dossier:
    return Dossier(
        asked=text[:1000],
        payment_id=None,
        found_by=tuple(dict.fromkeys(found.others))[:PAYMENTS_MAX],
        now_ms=to_ms(asking.now),
        policy=asking.policy,
        tables={},
        not_asked=tuple(found.failed),
        delivery_sources=asking.delivery_sources,
    )


def _asked_further(dossier: Dossier, sources: SourceSet, *, names: Sequence[Name], asking: Asking) -> Dossier:
    """Ask every chain what plain transfers reached the payment's own addresses, which a window never asks for.

    So a payment to the right address on another chain, past the proxy, or to a forwarder is seen, and one to the
    address of an earlier payment of the same buyer. Merchant addresses are left out: they receive for many payments.
    """
    payment = dossier.payment
    if payment is None or payment["created_at"] is None:
        return dossier
    own = _own_addresses(dossier, payment, asking) | _earlier_addresses(dossier, payment)
    hashes = _unread_hashes(dossier, names)
    question = ChainQuestion(
        from_ms=payment["created_at"] - asking.policy.clock_skew_ms,
        recipients=tuple(sorted(own)),
        tx_hashes=tuple(sorted(hashes)),
        proxies=False,
    )
    readings: list[Reading] = []
    failed: list[str] = []
    for chain in sources.chains if own or hashes else ():
        try:
            reading = chain.read(question, progress=asking.progress)
            readings.append(reading)
            failed += _not_looked_for(reading, chain.chain_id)
        except SourceError as error:
            failed.append(f"plain transfers on chain {chain.chain_id} were not looked for: {error}")
    transfers = [row for row in _rows_of(readings, "transfers") if row["recipient"] in own or row["tx_hash"] in hashes]
    tables = {
        **dossier.tables,
        "transfers": _joined(dossier.rows("transfers"), transfers, key=("chain_id", "tx_hash", "log_index")),
        "transactions": _joined(
            dossier.rows("transactions"), _rows_of(readings, "transactions"), key=("chain_id", "tx_hash")
        ),
    }
    return replace(dossier, tables=tables, not_asked=(*dossier.not_asked, *failed))


def _not_looked_for(reading: Reading, chain_id: int) -> Iterator[str]:
    for row in reading.coverage:
        if row.scope == "erc20" and not row.complete:
            yield f"plain transfers on chain {chain_id} were not all looked for: {row.problem}"


def _own_addresses(dossier: Dossier, payment: Row, asking: Asking) -> set[str]:
    """The addresses that receive for this payment alone."""
    known = {payment["recipient"], forwarder_of(dossier.document), *(row["address"] for row in dossier.forwarders)}
    return known - {None, *asking.policy.merchant_recipients}


def _earlier_addresses(dossier: Dossier, payment: Row) -> set[str]:
    """The one-time addresses of the buyer's earlier payments: a wallet remembers where it paid the last time."""
    return {row["recipient"] for row in dossier.rows("context") if is_earlier_deposit(row, payment)}


def _unread_hashes(dossier: Dossier, names: Sequence[Name]) -> set[str]:
    """The transactions that were asked for or delivered and that no chain has told of yet."""
    asked = {name.value for name in names if name.kind == "tx_hash"}
    delivered = {row["tx_hash"] for row in dossier.rows("deliveries") if row["tx_hash"]}
    return (asked | delivered) - {row["tx_hash"] for row in dossier.rows("transactions")}


def _rows_of(readings: Iterable[Reading], table: str) -> Iterator[Row]:
    for reading in readings:
        if table in reading.tables:
            yield from map(exact_row, reading.tables[table].to_pylist())


def _joined(known: Iterable[Row], new: Iterable[Row], *, key: Sequence[str]) -> tuple[Row, ...]:
    """Both, each row once by its key; a known row stays as it is."""
    rows = {tuple(row[name] for name in key): row for row in known}
    for row in new:
        rows.setdefault(tuple(row[name] for name in key), row)
    return tuple(rows.values())


def _forwarders(dossier: Dossier, sources: SourceSet, asking: Asking) -> Dossier:
    """The dossier with the forwarders made for its reference, where no money came by that reference itself."""
    payment = dossier.payment
    if payment is None or not _may_have_forwarder(dossier, payment):
        return dossier
    found: list[Row] = []
    failed: list[str] = []
    for chain in sources.chains:
        if chain.chain_id != payment["chain_id"] or not isinstance(chain, FindsForwarders):
            continue
        try:
            since = payment["created_at"] - asking.policy.clock_skew_ms
            made = chain.find_forwarders([payment["reference_topic"]], from_ms=since)
            found += [{"address": each.address, "tx_hash": each.tx_hash} for each in made]
        except SourceError as error:
            failed.append(f"forwarders were not looked for: {error}")
    return replace(dossier, forwarders=tuple(found), not_asked=(*dossier.not_asked, *failed))


def _may_have_forwarder(dossier: Dossier, payment: Row) -> bool:
    """Whether it is an incoming payment with a reference by which no money came."""
    topic = payment["reference_topic"]
    if topic is None or payment["created_at"] is None or payment["direction"] != "in":
        return False
    return all(row["reference_topic"] != topic for row in dossier.rows("transfers"))


def _with_journal(dossier: Dossier, asking: Asking) -> Dossier:
    if asking.journal is None or dossier.payment_id is None:
        return dossier
    kept: list[Row] = []
    try:
        for entry in asking.journal():
            if entry.note.payment == dossier.payment_id:
                body = entry.note.body
                words = body.get("result") or body.get("verdict") or ""
                kept.append(
                    {
                        "at": entry.note.at,
                        "kind": entry.note.kind,
                        "run": entry.note.run,
                        "says": clean_text(f"{words} {body.get('reason') or ''}".strip(), limit=300),
                    }
                )
    except ReconError as error:
        return replace(dossier, not_asked=(*dossier.not_asked, f"the reconciliation journal: {error}"))
    return replace(dossier, journal=tuple(kept))


def _asked(names: Sequence[Name], sources: SourceSet) -> list[str]:
    """Who could be asked about these names: providers know their own keys, chains know hashes."""
    kinds = {name.kind for name in names}
    claims = [source.name for source in sources.claims if kinds & names_asked_by(source.name)]
    chains = [f"chain:{chain.chain_id}" for chain in sources.chains] if "tx_hash" in kinds else []
    return ["payments", *claims, *chains]


def _extended(document: Mapping[str, Any]) -> Any:
    from recon.sources.payments.documents import document_text

    return json.loads(document_text(document))
