"""Everything known of one payment as rows, and the judgement of exactly those rows.

A dossier is cut out of a snapshot: the payment, the rows that share anything with it, what providers and chains say
of them. It is judged by the same matching and the same rules as a whole window, so a case file replays to the same
verdict without any source.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from recon.core.ids import normalise_address
from recon.core.model import Finding, Policy
from recon.core.tables import DELIVERIES, TABLES, table_of
from recon.plans.findings import Describer
from recon.sources.payments.fields import DEFAULT_CANDIDATES, stored_at
from recon.sources.providers.installed import rails_by_external_id
from recon.verdicts.engine import PolarsEngine
from recon.verdicts.judge import BREAKS, LINKS, horizon_of

if TYPE_CHECKING:
    from recon.core.registry import Registry
    from recon.snapshots.sealed import Snapshot
    from recon.verdicts.links import Frame

Row = Mapping[str, Any]
Tables = Mapping[str, tuple[Row, ...]]

KEPT: Final = (
    "payments", "context", "claims", "claim_txs", "transfers", "transactions", "deliveries", "coverage", "gaps",
)  # fmt: skip
NEIGHBOURS_MAX: Final = 500
"""Most rows of one table that a dossier keeps besides those of the payment itself."""

_JUDGED: Final = ("payments", "context", "claims", "claim_txs", "transfers", "transactions")
_DETAILS: Final = (
    "expected_units", "covered_from_units", "overpaid_from_units", "request_id", "external_id", "decimals", "currency",
    "amount_text", "network_raw", "provider_raw", "reference", "safety_reason", "paths",
)  # fmt: skip
_CLAIMED: Final = (
    "claim_state", "claim_state_raw", "claim_hashes", "claim_id", "claim_paid", "claim_balance", "claim_error",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Dossier:
    """What was asked and everything that was found of it.

    Args:
        asked: The text as it was given.
        payment_id: The payment it led to, or None when no row knows it.
        found_by: How each thing knows it, one sentence each.
        now_ms: When the evidence was taken; ages count to here.
        tables: Rows by table of :mod:`recon.core.tables`, those in :data:`KEPT`.
        documents: Documents by payment id, canonical Extended JSON.
        journal: What the reconciliation journal holds of the payment: ``at``, ``kind``, ``run``, ``says``.
        delivery_sources: Where delivery records were looked for; none means that nobody could say what was delivered.
        forwarders: Those that a factory made for its reference: ``address``, and the ``tx_hash`` that made it.
        not_asked: What could not be asked, one sentence each.
        is_afresh: Whether the chains were asked about this payment's addresses, which a snapshot's window is not.
    """

    asked: str
    payment_id: str | None
    found_by: tuple[str, ...]
    now_ms: int
    policy: Policy
    tables: Tables
    documents: Mapping[str, Any] = field(default_factory=dict)
    journal: tuple[Row, ...] = ()
    delivery_sources: tuple[str, ...] = ()
    forwarders: tuple[Row, ...] = ()
    not_asked: tuple[str, ...] = ()
    is_afresh: bool = True

    def rows(self, name: str) -> tuple[Row, ...]:
        """The rows of one table."""
        return self.tables.get(name, ())

    @property
    def payment(self) -> Row | None:
        """The payment's own row."""
        return next((row for row in self.rows("payments") if row["payment_id"] == self.payment_id), None)

    @property
    def document(self) -> Mapping[str, Any] | None:
        """The payment's document, where it was kept."""
        return self.documents.get(self.payment_id or "")


@dataclass(frozen=True, slots=True)
class Judged:
    """The verdict of one payment: the judged row, its links to transfers, and the finding in words."""

    row: Row
    links: tuple[Row, ...]
    finding: Finding


def judge_dossier(dossier: Dossier, registry: Registry) -> Judged | None:
    """Match and classify the dossier's rows; None when it holds no payment."""
    payment = dossier.payment
    if payment is None:
        return None
    import narwhals as nw

    from recon.verdicts.match import match_payments
    from recon.verdicts.rules import classify

    engine = PolarsEngine()
    frames = {name: _frame(name, dossier.rows(name)) for name in _JUDGED}
    horizon = horizon_of(dossier.rows("coverage"), dossier.rows("gaps"), now_ms=dossier.now_ms)
    matched = match_payments(frames, horizon=horizon, policy=dossier.policy, keep=engine.keep)
    mine = nw.col("payment_id") == dossier.payment_id
    judged = classify(matched.evidence, horizon=horizon, policy=dossier.policy).filter(mine)
    columns = {name: kind for name, kind in BREAKS.items() if name not in (*_DETAILS, *_CLAIMED)}
    found = engine.collect(judged, columns, order=["payment_id"]).to_pylist()
    links = engine.collect(
        matched.links.filter(mine), LINKS, order=["payment_id", "t_chain", "t_block", "t_log", "t_tx"]
    )
    row = {**found[0], **{name: payment[name] for name in _DETAILS}, **_claimed(found[0], dossier.rows("claims"))}
    whole = tuple(exact_row(link) for link in links.to_pylist())
    describer = Describer(
        registry=registry, policy=dossier.policy, links={payment["payment_id"]: whole}, now_ms=dossier.now_ms
    )
    exact = exact_row(row)
    return Judged(exact, whole, describer.finding(exact))


def claims_of(row: Row, claims: Iterable[Row]) -> list[Row]:
    """The provider objects that belong to a judged row, by key or, where it has none, by reference."""
    key, topic = row.get("claim_key"), row.get("reference_topic")
    found = [claim for claim in claims if claim_key_of(claim) == key is not None]
    return found or [c for c in claims if key is None and topic and c["reference_topic"] == topic]


def claim_key_of(claim: Row) -> str | None:
    """The key under which a provider object meets its payment; the same text as in :mod:`recon.verdicts.claims`."""
    known = claim["external_id"] if claim["provider"] in rails_by_external_id() else claim["request_id"]
    prefix = "payout" if claim.get("object") == "payout" else "pay"
    return None if known is None else f"{prefix}|{claim['provider']}|{known}"


def _claimed(row: Row, claims: Iterable[Row]) -> dict[str, Any]:
    own = claims_of(row, claims)

    def most(name: str) -> Any:
        return max((claim[name] for claim in own if claim[name] is not None), default=None)

    return {
        "claim_state": most("state"),
        "claim_state_raw": most("state_raw"),
        "claim_hashes": most("tx_hashes"),
        "claim_id": most("claim_id"),
        "claim_paid": most("paid_units"),
        "claim_balance": most("balance_fiat"),
        "claim_error": most("error"),
    }


def _frame(name: str, rows: Sequence[Row]) -> Frame:
    import narwhals as nw
    import polars as pl

    frame: Frame = nw.from_native(pl.DataFrame(table_of(name, [dict(row) for row in rows])).lazy())
    return frame


def exact_row(row: Row) -> dict[str, Any]:
    """A row with its amounts as whole numbers instead of decimals."""
    return {key: int(value) if isinstance(value, Decimal) else value for key, value in row.items()}


def cut_out(
    snapshot: Snapshot,
    payment_ids: Sequence[str],
    *,
    main: str | None,
    names: Sequence[str] = (),
    shared: Collection[str] = (),
) -> dict[str, tuple[Row, ...]]:
    """The rows of a snapshot that concern some payments, in every table that a dossier keeps.

    Args:
        payment_ids: The payments that were found, the one that is inspected among them.
        main: The payment that is inspected; all others become context.
        names: Hashes, references and addresses that were asked for, kept even where no row names them.
        shared: Addresses that receive for many payments (our merchant wallets).
    """
    engine = PolarsEngine()
    frames = snapshot.frames(engine)
    both = _everybody(engine, frames)
    rows = _payments(engine, both, list(payment_ids))
    own = [row for row in rows if row["payment_id"] in set(payment_ids)]
    payments = [row for row in own if row["payment_id"] == main]
    rest = [row for row in rows if row["payment_id"] != main]
    claims = _taken(engine, frames, "claims", _any_of(_claim_filters(rows, names)))
    hashes = {tx for row in [*rows, *claims] for tx in _hashes(row)} | {n for n in names if len(n) == 66}
    topics = {row["reference_topic"] for row in [*rows, *claims] if row["reference_topic"]}
    transfers = _transfers(engine, frames, own, hashes=hashes, topics=topics, names=names, shared=shared)
    hashes |= {row["tx_hash"] for row in transfers}
    near = {row["reference_topic"] for row in transfers if row["reference_topic"]}
    told = _taken(engine, frames, "claims", _any_of([("reference_topic", near), ("tx_hashes", hashes)]))
    unique = {(claim["provider"], claim["object"], claim["claim_id"], claim["outcome"]): claim for claim in told}
    claims = [*claims, *(claim for key, claim in unique.items() if key not in {_claim_id(c) for c in claims})]
    keys = {claim["claim_id"] for claim in claims}
    loose = {"tx_hash": hashes, "reference_topic": near}
    loose |= {name: {claim[name] for claim in claims if claim[name]} for name in ("request_id", "external_id")}
    known = {row["payment_id"] for row in rows}
    owners = _taken(engine, both, "payments", _any_of(list(loose.items())), most=NEIGHBOURS_MAX * 4)
    rest += [row for row in owners if row["payment_id"] not in known]
    made: dict[str, tuple[Row, ...]] = {
        "payments": tuple(payments),
        "context": tuple(rest),
        "claims": tuple(claims),
        "claim_txs": tuple(_taken(engine, frames, "claim_txs", _any_of([("claim_id", keys), ("tx_hash", hashes)]))),
        "transfers": tuple(transfers),
        "transactions": tuple(_taken(engine, frames, "transactions", _any_of([("tx_hash", hashes)]))),
        "deliveries": tuple(exact_row(row) for row in snapshot.table("deliveries").to_pylist()),
    }
    for name in ("coverage", "gaps"):
        made[name] = tuple(exact_row(row) for row in snapshot.table(name).to_pylist())
    return made


def _everybody(engine: PolarsEngine, frames: Mapping[str, Frame]) -> dict[str, Frame]:
    """Every payment row that the snapshot holds, once, as the table ``payments``."""
    import narwhals as nw

    parts = [frames[name].select(*TABLES["payments"]) for name in ("payments", "context")]
    return {"payments": engine.keep(nw.concat(parts, how="vertical").unique(subset=["payment_id"], keep="any"))}


def _payments(engine: PolarsEngine, both: Mapping[str, Frame], payment_ids: list[str]) -> list[Row]:
    """The payments, and every row that shares a key, a transaction, a deposit address or a purchase with them."""
    import narwhals as nw

    own = _taken(engine, both, "payments", [nw.col("payment_id").is_in([*payment_ids, ""])])
    shared: list[tuple[str, set[Any]]] = [
        (name, {row[name] for row in own if row[name]})
        for name in ("tx_hash", "reference_topic", "request_id", "external_id")
    ]
    shared.append(("recipient", {row["recipient"] for row in own if row["is_deposit"] and row["recipient"]}))
    near = _taken(engine, both, "payments", _any_of(shared))
    for row in own:
        deal = [(name, row[name]) for name in ("buyer_id", "order_id", "offer_id")]
        if all(value for _, value in deal):
            same = nw.lit(value=True)
            for name, value in deal:
                same = same & (nw.col(name) == value).fill_null(value=False)
            near += _taken(engine, both, "payments", [same])
    unique = {row["payment_id"]: row for row in [*own, *near]}
    return [unique[payment_id] for payment_id in sorted(unique)]


def _claim_filters(rows: Sequence[Row], names: Sequence[str]) -> list[tuple[str, set[Any]]]:
    wanted: list[tuple[str, set[Any]]] = [
        (name, {row[name] for row in rows if row[name]} | set(names))
        for name in ("request_id", "external_id", "reference", "reference_topic")
    ]
    return [*wanted, ("recipient", {row["recipient"] for row in rows if row["is_deposit"]} | set(names))]


def _transfers(
    engine: PolarsEngine,
    frames: Mapping[str, Frame],
    own: Sequence[Row],
    *,
    hashes: set[str],
    topics: set[str],
    names: Sequence[str],
    shared: Collection[str],
) -> list[Row]:
    """Transfers by hash and reference, all to an address of its own, to a shared one those of the right amount."""
    import narwhals as nw

    addresses = {row["recipient"] for row in own if row["recipient"] and row["recipient"] not in shared}
    asked = [("sender", set(names)), ("recipient", addresses | set(names))]
    found = _taken(engine, frames, "transfers", _any_of([("tx_hash", hashes), ("reference_topic", topics), *asked]))
    for row in own:
        if row["recipient"] in shared and row["expected_units"]:
            lowest, highest = row["covered_from_units"], row["expected_units"] * 2
            near = (
                (nw.col("recipient") == row["recipient"])
                & (nw.col("amount_units") >= lowest)
                & (nw.col("amount_units") <= highest)
                & (nw.col("block_time") >= (row["created_at"] or 0) - 300_000)
            ).fill_null(value=False)
            found += _taken(engine, frames, "transfers", [near])
    unique = {(row["chain_id"], row["tx_hash"], row["log_index"]): row for row in found}
    echoes = {row["tx_hash"] for row in unique.values()} - hashes
    for row in _taken(engine, frames, "transfers", _any_of([("tx_hash", echoes)])):
        unique[row["chain_id"], row["tx_hash"], row["log_index"]] = row
    return [unique[key] for key in sorted(unique)]


def _any_of(wanted: Iterable[tuple[str, set[Any]]]) -> list[Any]:
    """Conditions of which one is enough; columns with nothing to look for are left out."""
    import narwhals as nw

    return [nw.col(name).is_in(sorted(values)).fill_null(value=False) for name, values in wanted if values]


def _taken(
    engine: PolarsEngine,
    frames: Mapping[str, Frame],
    name: str,
    conditions: Sequence[Any],
    *,
    most: int = NEIGHBOURS_MAX,
) -> list[Row]:
    if not conditions:
        return []
    whole = conditions[0]
    for condition in conditions[1:]:
        whole = whole | condition
    columns = TABLES[name]
    table = engine.collect(frames[name].filter(whole).head(most), columns, order=list(columns)[:3])
    return [exact_row(row) for row in table.to_pylist()]


def loose_keys(dossier: Dossier) -> dict[str, set[str]]:
    """Hashes, references and provider keys in a dossier by which another payment may own what lies beside it."""
    claims, transfers = dossier.rows("claims"), dossier.rows("transfers")
    keys = {name: {row[name] for row in transfers if row[name]} for name in ("tx_hash", "reference_topic")}
    keys |= {name: {row[name] for row in claims if row[name]} for name in ("request_id", "external_id")}
    keys["tx_hash"] |= {tx for claim in claims for tx in _hashes(claim)}
    keys["reference_topic"] |= {claim["reference_topic"] for claim in claims if claim["reference_topic"]}
    return keys


def _claim_id(claim: Row) -> tuple[Any, ...]:
    return claim["provider"], claim["object"], claim["claim_id"], claim["outcome"]


def _hashes(row: Row) -> list[str]:
    named = [row.get("tx_hash"), *(row.get("tx_hashes") or "").split()]
    return [tx for tx in named if tx]


def forwarder_of(document: Mapping[str, Any] | None) -> str | None:
    """The forwarder address that a document names, or None."""
    for path in DEFAULT_CANDIDATES["forwarder"]:
        value = stored_at(document, path.split(".")) if document else None
        address = normalise_address(value) if isinstance(value, str) else None
        if address:
            return address
    return None


def with_deliveries(dossier: Dossier, deliveries: Iterable[Row], *, sources: Sequence[str]) -> Dossier:
    """The dossier with those delivery records that speak of its payment; ``sources`` names where they were sought."""
    payment = dossier.payment
    keys = _delivery_keys(dossier, payment)
    chosen = {
        (row.get("delivery_id"), row.get("attempt"), row.get("received_at")): {c: row.get(c) for c in DELIVERIES}
        for row in (*dossier.rows("deliveries"), *deliveries)
        if any(row.get(name) and row[name] in values for name, values in keys.items())
    }
    kept = sorted(chosen.values(), key=lambda row: (row["received_at"] or 0, row["attempt"] or 0))
    tables = {**dossier.tables, "deliveries": tuple(kept[:NEIGHBOURS_MAX])}
    return replace(dossier, tables=tables, delivery_sources=tuple(dict.fromkeys((*dossier.delivery_sources, *sources))))


def _delivery_keys(dossier: Dossier, payment: Row | None) -> dict[str, set[str]]:
    keys: dict[str, set[str]] = {name: set() for name in ("request_id", "reference", "external_id", "tx_hash")}
    if payment is None:
        return keys
    for name, values in keys.items():
        if payment[name]:
            values.add(payment[name])
    topic = payment["reference_topic"]
    for claim in dossier.rows("claims"):
        same = any(claim[name] and claim[name] == payment[name] for name in ("request_id", "external_id"))
        if same or (topic and claim["reference_topic"] == topic):
            keys["tx_hash"].update((claim["tx_hashes"] or "").split())
            keys["reference"].update([claim["reference"]] if claim["reference"] else [])
    for row in dossier.rows("transfers"):
        is_own = topic and row["reference_topic"] == topic
        if is_own or (payment["is_deposit"] and row["recipient"] == payment["recipient"]):
            keys["tx_hash"].add(row["tx_hash"])
    return keys
