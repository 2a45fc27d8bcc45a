"""Searches the sources as they are now: the whole collection by key, each provider and each chain as far as it can be.

A provider is asked by the keys that it can be asked by; for everything else its list of the window is read, where it
has one. A chain is asked for hashes by their receipts, and for everything else the window's logs are read. What a
source cannot be searched by is said, for its silence proves nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from recon.core.errors import SourceError
from recon.core.ids import payment_id_text
from recon.core.tables import table_of
from recon.core.text import count_text
from recon.core.times import from_ms, ms_text, to_ms
from recon.investigation.search.matching import FoundInTables, SearchTables, match_tables
from recon.investigation.search.offline import gap_text, looked_at
from recon.investigation.search.question import LookedAt, Row, SearchHit, SearchQuestion, SearchResult
from recon.snapshots.further_keys import keys_in
from recon.sources.interface import ChainQuestion, ClaimKey, Progress, Reading, Selection, no_progress
from recon.sources.providers.installed import names_asked_by, providers, rails_with_one_time_addresses

if TYPE_CHECKING:
    import pyarrow as pa

    from recon.core.model import Policy
    from recon.core.registry import Registry
    from recon.runs.release import LedgerCheck
    from recon.snapshots.take import SourceSet
    from recon.sources.interface import ChainSource, ClaimSource

SEARCHED_MAX: Final = 2_000_000
"""Most documents of a window that are looked through."""

_CLAIMANT: Final[Mapping[str, str]] = {
    "tx_hash": "tx_hash",
    "reference": "reference",
    "request_id": "request_id",
    "external_id": "external_id",
    "address": "recipient",
    "buyer": "buyer_id",
}
"""By kind of key, the field by which the whole collection is asked."""

KEY_KINDS: Final = ("reference", "request_id", "external_id")
"""Kinds of keys that provider objects and rows share."""


@dataclass(frozen=True, slots=True)
class LiveSearch:
    """How the sources are searched.

    Args:
        from_ms, to_ms: The window that is read where a key alone does not lead to an answer, UTC milliseconds.
        ledger: Asks the backend's ledger for pay-ins; None where none is configured.
    """

    policy: Policy
    registry: Registry
    now: datetime
    from_ms: int
    to_ms: int
    ledger: LedgerCheck | None = None
    progress: Progress = no_progress


@dataclass(slots=True)
class _Found:
    """What the sources gave so far."""

    documents: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    readings: list[Reading] = field(default_factory=list)
    searched: list[LookedAt] = field(default_factory=list)
    untold: list[str] = field(default_factory=list)

    def add(self, documents: Iterable[Mapping[str, Any]]) -> None:
        for document in documents:
            self.documents.setdefault(payment_id_text(document["_id"]), document)

    def take(self, reading: Reading) -> None:
        self.readings.append(reading)
        self.searched += [looked_at(asdict(row)) for row in reading.coverage]
        self.untold += [gap_text(asdict(gap)) for gap in reading.gaps]


def search_live(sources: SourceSet, question: SearchQuestion, *, how: LiveSearch) -> SearchResult:
    """Everything in the sources that a question means; nothing is written.

    Raises:
        WrongSourceError: A source is not the one that was meant.
    """
    found = _Found()
    _search_rows(sources, question, how, found)
    own = [hit.row for hit in _matched(sources, question, how, found).hits["payments"]]
    for claims in sources.claims:
        _search_provider(claims, question, how, found, rows=own)
    places = _places(_matched(sources, question, how, found).hits)
    for chain in sources.chains:
        _search_chain(chain, question, how, found, places=places.get(chain.chain_id, _NOWHERE))
    first = _matched(sources, question, how, found)
    _look_up_owners(sources, found, first.hits, shared=how.policy.merchant_recipients)
    matched = _matched(sources, question, how, found)
    rows, ledger = _with_ledger(matched.hits["payments"], how.ledger)
    return SearchResult(
        question=question,
        place=f"the sources as they were at {ms_text(to_ms(how.now))}",
        rows=tuple(rows),
        claims=tuple(matched.hits["claims"]),
        transfers=tuple(matched.hits["transfers"]),
        unowned=(
            "no row of the whole collection carries its hash or its ids; by its reference alone a row is known only "
            "if it was made in the window"
        ),
        searched=tuple(dict.fromkeys(found.searched)),
        untold=tuple(dict.fromkeys((*matched.untold, *found.untold))),
        ledger=ledger,
        own_addresses=how.policy.merchant_recipients,
    )


def _matched(sources: SourceSet, question: SearchQuestion, how: LiveSearch, found: _Found) -> FoundInTables:
    payments = _payments(found, sources, how)
    claims = _once(found.readings, "claims", ("provider", "object", "claim_id", "outcome", "tx_hashes"))
    tables = SearchTables(
        payments=payments,
        keys=table_of("keys", keys_in(payments)),
        claims=_only_found(claims, found),
        transfers=_once(found.readings, "transfers", ("chain_id", "tx_hash", "log_index")),
    )
    return match_tables(tables, question, registry=how.registry)


# Our rows


def _search_rows(sources: SourceSet, question: SearchQuestion, how: LiveSearch, found: _Found) -> None:
    store, keyed = sources.store, False
    try:
        if ids := question.values("payment_id"):
            keyed = True
            found.add(store.fetch(ids))
        for kind, place in _CLAIMANT.items():
            if values := question.values(kind):
                keyed = True
                found.add(document for _, document in store.find_claimants(place, values))
    except SourceError as error:
        found.untold.append(f"payments: {error}")
        return
    if keyed:
        found.searched.append(LookedAt("payments", "by key", "the whole collection", complete=True))
    if not keyed or question.values("address"):
        _scan_rows(sources, how, found)


def _scan_rows(sources: SourceSet, how: LiveSearch, found: _Found) -> None:
    """Every row of the window: an amount and a payer are in no index."""
    seen, problem = 0, ""
    try:
        for batch in sources.store.scan(Selection(from_at=from_ms(how.from_ms), to_at=from_ms(how.to_ms))):
            found.add(batch)
            seen += len(batch)
            how.progress("payments", seen, None)
            if seen >= SEARCHED_MAX:
                problem = f"only the first {SEARCHED_MAX} rows were looked through"
                break
    except SourceError as error:
        problem = str(error)
    found.searched.append(LookedAt("payments", "window", _window(how), complete=not problem, problem=problem))


def _window(how: LiveSearch) -> str:
    return f"{ms_text(how.from_ms)} to {ms_text(how.to_ms)}"


def _payments(found: _Found, sources: SourceSet, how: LiveSearch) -> pa.Table:
    from recon.sources.payments.read import payment_rows

    documents = [found.documents[each] for each in sorted(found.documents)]
    if not documents:
        return table_of("payments", [])
    return payment_rows(documents, fields=sources.fields, registry=how.registry, policy=how.policy)


def _look_up_owners(
    sources: SourceSet, found: _Found, hits: Mapping[str, Sequence[SearchHit]], *, shared: Sequence[str]
) -> None:
    """Ask the whole collection who knows the provider objects and the transfers that were found.

    Args:
        shared: Wallets that receive for many payments: money to them is nobody's by its recipient.
    """
    wanted: dict[str, set[str | None]] = {name: set() for name in ("tx_hash", "recipient", *KEY_KINDS)}
    for hit in hits["transfers"]:
        wanted["tx_hash"].add(hit.row["tx_hash"])
        wanted["recipient"] |= {hit.row["recipient"]}.difference(shared)
    for hit in hits["claims"]:
        wanted["tx_hash"].update((hit.row["tx_hashes"] or "").split())
        for name in KEY_KINDS:
            wanted[name].add(hit.row[name])
    try:
        for name, values in wanted.items():
            if asked := sorted(each for each in values if each):
                found.add(document for _, document in sources.store.find_claimants(name, asked))
    except SourceError as error:
        found.untold.append(f"payments: whose the money and the provider objects are was not looked up: {error}")


def _rows_of(reading: Reading, name: str) -> Iterator[Row]:
    if name in reading.tables:
        yield from reading.tables[name].to_pylist()


# Providers


def _search_provider(
    source: ClaimSource, question: SearchQuestion, how: LiveSearch, found: _Found, *, rows: Sequence[Row]
) -> None:
    keys = _claim_keys(source.name, question, rows)
    asked_by = names_asked_by(source.name)
    is_told = bool(question.keys) and all(condition.keys() & asked_by for condition in question.keys)
    try:
        if keys:
            found.take(source.look_up(keys, progress=how.progress))
        if is_told:
            return
        provider = providers().get(source.name)
        if provider is not None and not provider.has_list:
            by = ", ".join(sorted(asked_by)) or "nothing"
            found.untold.append(f"{source.name}: it has no list and can be asked by {by} alone, so it was not searched")
            return
        found.take(source.read_window(how.from_ms, how.to_ms, progress=how.progress))
    except SourceError as error:
        found.untold.append(f"{source.name}: {error}")


def _claim_keys(name: str, question: SearchQuestion, rows: Sequence[Row]) -> list[ClaimKey]:
    """By which keys one provider is asked: those of the question, and those of the rows that were found."""
    asked_by = names_asked_by(name)
    keys = [
        ClaimKey(payment_id="", **{kind: value})  # type: ignore[arg-type]
        for kind in sorted(asked_by)
        for value in question.values(kind)
    ]
    for row in rows if question.keys else ():
        own = {kind: row[kind] for kind in asked_by if row[kind]}
        if own and row["provider"] == name:
            more = {"direction": row["direction"] or "in", "chain_id": row["chain_id"], "token": row["token"]}
            keys.append(ClaimKey(payment_id=row["payment_id"], **own, **more))
    return list(dict.fromkeys(keys))


def _only_found(claims: pa.Table, found: _Found) -> pa.Table:
    """The provider objects that are there; look-ups that failed are told, and those of nothing are no hits."""
    import pyarrow.compute as pc

    for row in claims.filter(pc.equal(claims["outcome"], "failed")).to_pylist():
        found.untold.append(f"{row['provider']}: {row['error'] or 'a look-up failed'}")
    return claims.filter(pc.equal(claims["outcome"], "found"))


# Chains


@dataclass(slots=True)
class _ChainPlaces:
    """Where on one chain the rows and provider objects that were found lead: hashes, one-time addresses, since when."""

    since_ms: int | None = None
    hashes: set[str] = field(default_factory=set)
    addresses: set[str] = field(default_factory=set)


_NOWHERE: Final = _ChainPlaces()


def _places(hits: Mapping[str, Sequence[SearchHit]]) -> dict[int, _ChainPlaces]:
    found: dict[int, _ChainPlaces] = {}
    for hit in hits["payments"]:
        if hit.row["chain_id"] is not None:
            place = found.setdefault(hit.row["chain_id"], _ChainPlaces())
            place.hashes |= {hit.row["tx_hash"]} - {None}
            place.since_ms = min(filter(None, (place.since_ms, hit.row["created_at"])), default=None)
            place.addresses |= {hit.row["recipient"]} - {None} if hit.row["is_deposit"] else set()
    for hit in hits["claims"]:
        if hit.row["chain_id"] is not None:
            place = found.setdefault(hit.row["chain_id"], _ChainPlaces())
            place.hashes.update((hit.row["tx_hashes"] or "").split())
            is_own = hit.row["provider"] in rails_with_one_time_addresses() and hit.row["object"] != "payout"
            place.addresses |= {hit.row["recipient"]} - {None} if is_own else set()
    return found


def _search_chain(
    source: ChainSource, question: SearchQuestion, how: LiveSearch, found: _Found, *, places: _ChainPlaces
) -> None:
    for asked in _chain_questions(question, how, places):
        try:
            reading = source.read(asked, progress=how.progress)
        except SourceError as error:
            found.untold.append(f"chain:{source.chain_id}: {error}")
            return
        found.take(reading)
        found.untold += [
            f"chain:{source.chain_id}: {row['error'] or 'a transaction could not be asked about'}"
            for row in _rows_of(reading, "transactions")
            if row["outcome"] == "failed"
        ]


def _chain_questions(question: SearchQuestion, how: LiveSearch, places: _ChainPlaces) -> Iterator[ChainQuestion]:
    """What one chain is asked: receipts of hashes, and the window's logs where a hash alone does not tell."""
    hashes = tuple(sorted({*question.values("tx_hash"), *(places.hashes if question.keys else ())}))
    addresses = tuple(question.values("address"))
    if hashes:
        yield ChainQuestion(from_ms=to_ms(how.now), tx_hashes=hashes, proxies=False, receipts_only=True)
    if addresses or not question.keys or not all("tx_hash" in condition for condition in question.keys):
        recipients = tuple(sorted({*addresses, *places.addresses}))
        since = how.from_ms
        if question.from_ms is None and places.since_ms is not None:
            since = min(since, places.since_ms - how.policy.clock_skew_ms)
        scan = ChainQuestion(from_ms=max(0, since), recipients=recipients, proxies=True)
        yield scan
        if addresses:
            yield replace(scan, recipients=(), senders=addresses, proxies=False)


def _once(readings: Sequence[Reading], name: str, keys: Sequence[str]) -> pa.Table:
    """The rows of one table, each once; the same object may come by a look-up and by a list."""
    import pyarrow as pa

    every = pa.concat_tables([table_of(name, []), *(each.tables[name] for each in readings if name in each.tables)])
    seen: set[tuple[object, ...]] = set()
    mask = []
    for key in zip(*(every[column].to_pylist() for column in keys), strict=True):
        mask.append(key not in seen)
        seen.add(key)
    return every.filter(pa.array(mask, type=pa.bool_()))


# The ledger


def _with_ledger(hits: Sequence[SearchHit], ledger: LedgerCheck | None) -> tuple[list[SearchHit], str]:
    """The rows with what the backend's ledger says of their pay-in."""
    if ledger is None:
        return list(hits), "no ledger is configured ([ledger] collection)"
    if not hits:
        return [], "asked about no row"
    try:
        said = ledger([hit.row["payment_id"] for hit in hits])
    except SourceError as error:
        return list(hits), f"cannot tell: {error}"
    told = [replace(hit, ledger=said.get(hit.row["payment_id"])) for hit in hits]
    known = sum(each.ledger is not None for each in told)
    return told, f"asked about {count_text(len(hits), 'row')}; it knows {known} of them"
