"""Everything known about one payment as rows, and the judgement of exactly those rows.

A dossier is cut out of a snapshot: the payment, the rows related to it, and what providers and chains say about them.
The same matching and rules judge a dossier and a whole window, so a case file replays to the same verdict without any
source.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from recon.core.ids import normalise_address
from recon.core.model import Finding, Policy
from recon.core.tables import DELIVERIES, table_of
from recon.plans.findings import Describer
from recon.snapshots.further_keys import further_keys_of
from recon.sources.payments.fields import DEFAULT_CANDIDATES, stored_at
from recon.sources.providers.installed import rails_by_external_id
from recon.verdicts.claims import WEIGHT, WEIGHT_MAX
from recon.verdicts.engine import memory_engine
from recon.verdicts.judge import BREAKS, LINKS, horizon_of

if TYPE_CHECKING:
    from recon.core.registry import Registry

Row = Mapping[str, Any]
Tables = Mapping[str, tuple[Row, ...]]

KEPT: Final = (
    "payments", "context", "claims", "claim_txs", "transfers", "transactions", "deliveries", "coverage", "gaps",
    "holdings",
)  # fmt: skip
NEIGHBOURS_MAX: Final = 500
"""Most rows of one table that a dossier keeps besides those of the payment itself."""

_JUDGED: Final = ("payments", "context", "claims", "claim_txs", "transfers", "transactions", "holdings")
_DETAILS: Final = (
    "expected_units", "covered_from_units", "overpaid_from_units", "request_id", "external_id", "decimals", "currency",
    "amount_text", "network_raw", "provider_raw", "reference", "safety_reason", "paths", "further_keys",
)  # fmt: skip
_CLAIMED: Final = (
    "claim_state", "claim_state_raw", "claim_hashes", "claim_id", "claim_paid", "claim_balance", "claim_asked",
    "claim_error",
    "claims", "claims_paid",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Dossier:
    """What was asked, and everything that was found.

    Args:
        asked: The text as it was given.
        payment_id: The payment it led to, or None when no row knows it.
        found_by: How each thing knows it, one sentence each.
        now_ms: When the evidence was taken; ages count to here.
        tables: Rows by table of :mod:`recon.core.tables`, those in :data:`KEPT`.
        documents: Documents by payment id, canonical Extended JSON.
        journal: What the reconciliation journal holds of the payment: ``at``, ``kind``, ``run``, ``says``.
        delivery_sources: Where delivery records were looked for; without any, what was delivered is unknown.
        forwarders: Those that a factory made for its reference: ``address``, and the ``tx_hash`` that made it.
        not_asked: What could not be asked, one sentence each.
        fields: Where each field of a row was looked for.
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
    fields: Mapping[str, Sequence[str]] = field(default_factory=dict)

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

    from recon.verdicts.classify import classify
    from recon.verdicts.match import match_payments

    engine = memory_engine()
    tables: dict[str, Sequence[Row]] = {name: dossier.rows(name) for name in _JUDGED}
    tables["keys"] = list(further_keys_of([*dossier.rows("payments"), *dossier.rows("context")]))
    frames = {name: engine.lay(table_of(name, [dict(row) for row in rows])) for name, rows in tables.items()}
    horizon = horizon_of(dossier.rows("coverage"), dossier.rows("gaps"), now_ms=dossier.now_ms)
    matched = match_payments(frames, horizon=horizon, policy=dossier.policy, engine=engine)
    mine = nw.col("payment_id") == dossier.payment_id
    judged = classify(matched.evidence, horizon=horizon, policy=dossier.policy).filter(mine)
    columns = {name: kind for name, kind in BREAKS.items() if name not in (*_DETAILS, *_CLAIMED)}
    found = engine.collect(judged, columns, order=["payment_id"]).to_pylist()
    links = engine.collect(
        matched.links.filter(mine), LINKS, order=["payment_id", "t_chain", "t_block", "t_log", "t_tx"]
    )
    engine.close()
    row = {**found[0], **{name: payment[name] for name in _DETAILS}}
    row |= _claimed(row, dossier.rows("claims"))
    whole = tuple(exact_row(link) for link in links.to_pylist())
    describer = Describer(
        registry=registry,
        policy=dossier.policy,
        links={payment["payment_id"]: whole},
        now_ms=dossier.now_ms,
        fields=dossier.fields,
    )
    exact = exact_row(row)
    return Judged(exact, whole, describer.finding(exact))


def claims_of(row: Row, claims: Iterable[Row]) -> list[Row]:
    """The provider objects that belong to a judged row, by its keys or, where it has none, by reference."""
    key, topic = row.get("claim_key"), row.get("reference_topic")
    further = {f"{key.rpartition('|')[0]}|{each['value']}" for each in further_keys_of([row])} if key else set()
    found = [claim for claim in claims if key is not None and claim_key_of(claim) in {key, *further}]
    return found or [c for c in claims if key is None and topic and c["reference_topic"] == topic]


def claim_key_of(claim: Row) -> str | None:
    """The key under which a provider object meets its payment; the same text as in :mod:`recon.verdicts.claims`."""
    known = claim["external_id"] if claim["provider"] in rails_by_external_id() else claim["request_id"]
    prefix = "payout" if claim.get("object") == "payout" else "pay"
    return None if known is None else f"{prefix}|{claim['provider']}|{known}"


def _claimed(row: Row, claims: Iterable[Row]) -> dict[str, Any]:
    """The object that is shown, chosen as in :mod:`recon.verdicts.claims`, and how many there are with what sum."""
    own = claims_of(row, claims)
    paid = [claim["paid_units"] for claim in own if claim["paid_units"] is not None]

    def place(claim: Row) -> tuple[int, str, str]:
        return WEIGHT.get(claim["state"], WEIGHT_MAX), claim["claim_id"] or "", claim["outcome"] or ""

    shown = min(own, key=place, default={})
    return {
        "claim_state": shown.get("state"),
        "claim_state_raw": shown.get("state_raw"),
        "claim_hashes": shown.get("tx_hashes"),
        "claim_id": shown.get("claim_id"),
        "claim_paid": shown.get("paid_units"),
        "claim_asked": shown.get("asked_amount") or (shown.get("amount_fiat") if shown.get("fiat") == "USD" else None),
        "claim_balance": shown.get("balance_fiat"),
        "claim_error": max((claim["error"] for claim in own if claim["error"] is not None), default=None),
        "claims": len(own) or None,
        "claims_paid": sum(paid) if own else None,
    }


def exact_row(row: Row) -> dict[str, Any]:
    """A row with its amounts as whole numbers instead of decimals."""
    return {key: int(value) if isinstance(value, Decimal) else value for key, value in row.items()}


def loose_keys(dossier: Dossier) -> dict[str, set[str]]:
    """Hashes, references and provider keys in a dossier by which another payment may own what lies beside it."""
    claims, transfers = dossier.rows("claims"), dossier.rows("transfers")
    keys = {name: {row[name] for row in transfers if row[name]} for name in ("tx_hash", "reference_topic")}
    keys |= {name: {row[name] for row in claims if row[name]} for name in ("request_id", "external_id")}
    keys["tx_hash"] |= {tx for claim in claims for tx in tx_hashes_of(claim)}
    keys["reference_topic"] |= {claim["reference_topic"] for claim in claims if claim["reference_topic"]}
    return keys


def tx_hashes_of(row: Row) -> list[str]:
    """The transactions that a row names."""
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
    """Add the delivery records about the payment; ``sources`` names where they were sought."""
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
    """What a delivery about the payment may name: its own keys, and those of its provider objects and transfers."""
    names = ("request_id", "reference", "external_id", "tx_hash")
    if payment is None:
        return {name: set() for name in names}
    keys = {name: {payment[name]} if payment[name] else set() for name in names}
    for claim in dossier.rows("claims"):
        if _is_claim_of(claim, payment):
            keys["tx_hash"].update((claim["tx_hashes"] or "").split())
            keys["reference"].update([claim["reference"]] if claim["reference"] else [])
    keys["tx_hash"].update(row["tx_hash"] for row in dossier.rows("transfers") if _is_money_of(row, payment))
    return keys


def _is_claim_of(claim: Row, payment: Row) -> bool:
    """Whether a provider object carries a key or the reference of the payment."""
    if any(claim[name] and claim[name] == payment[name] for name in ("request_id", "external_id")):
        return True
    return _has_reference_of(claim, payment)


def _is_money_of(transfer: Row, payment: Row) -> bool:
    """Whether a transfer carries the payment's reference, or came to the deposit address that is its alone."""
    is_deposited = payment["is_deposit"] and transfer["recipient"] == payment["recipient"]
    return bool(is_deposited) or _has_reference_of(transfer, payment)


def _has_reference_of(row: Row, payment: Row) -> bool:
    topic = payment["reference_topic"]
    return bool(topic) and row["reference_topic"] == topic
