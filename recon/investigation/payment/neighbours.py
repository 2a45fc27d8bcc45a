"""The payments beside a payment: those of the same purchase, and those whose money lies at the same address.

A merchant wallet receives money for many payments. What another payment's hash, reference or provider object explains
belongs to that payment, even if amount and time fit this one too. Only money that no row explains can have missed its
payment.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from recon.core.errors import SourceError
from recon.core.ids import payment_id_text
from recon.investigation.payment.dossier import NEIGHBOURS_MAX, Dossier, Row, exact_row, loose_keys
from recon.sources.interface import Selection

if TYPE_CHECKING:
    from recon.core.model import Policy
    from recon.core.registry import Registry
    from recon.snapshots.take import SourceSet

RELATED_DAYS: Final = 7
"""How far around a payment's creation other payments are looked at."""

EARLIER_MAX: Final = 10
"""How many earlier payments of a buyer are looked at for money that went to their one-time addresses, newest first."""

FIELDS: Final = ("tx_hash", "reference", "request_id", "external_id")
"""Keys under which a payment is looked up in the whole collection."""


@dataclass(slots=True)
class Neighbours:
    """Payments around one payment.

    Args:
        related: Ids of rows that carry a key of the payment, of the same purchase or deposit address, and of the
            same buyer's earlier payments to one-time addresses.
        by_topic: Payment id by reference topic, of every payment made within :data:`RELATED_DAYS`.
        failed: What could not be looked for, one sentence each.
    """

    related: list[str] = field(default_factory=list)
    by_topic: dict[str, str] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)


def find_neighbours(
    document: Mapping[str, Any], sources: SourceSet, *, policy: Policy, registry: Registry
) -> Neighbours:
    """Look around a payment: by its keys in the whole collection, by purchase and address around its time."""
    from recon.verdicts.deals import may_be_one_deal

    found = Neighbours()
    around = _Around(sources, policy=policy, registry=registry)
    own = around.rows([document])[0]
    near: list[str] = []
    try:
        near += _with_same_key(own, sources)
        near += [row["payment_id"] for row in around.order(own) if may_be_one_deal(row, own)]
        near += around.earlier_deposits(own)
        for row in around.time(own["created_at"]):
            if row["reference_topic"]:
                found.by_topic.setdefault(row["reference_topic"], row["payment_id"])
            if may_be_one_deal(row, own) or _is_same_deposit(row, own):
                near.append(row["payment_id"])
    except (SourceError, OverflowError, ValueError) as error:
        found.failed.append(f"other payments of this purchase were not looked for: {error}")
    found.related = list(dict.fromkeys(near))
    return found


@dataclass(frozen=True, slots=True)
class _Around:
    """Reads payments of the store as rows."""

    sources: SourceSet
    policy: Policy
    registry: Registry

    def rows(self, batch: Iterable[Mapping[str, Any]]) -> list[Row]:
        """Documents as rows."""
        return _rows(batch, self.sources, policy=self.policy, registry=self.registry)

    def order(self, own: Row) -> Iterator[Row]:
        """The payments of an order, whenever they were made: a refund may come weeks later."""
        if own["order_id"]:
            found = self.sources.store.find_claimants("order_id", [own["order_id"]])
            yield from self.rows([document for _, document in found])

    def earlier_deposits(self, own: Row) -> list[str]:
        """The buyer's newest earlier payments to one-time addresses: a wallet remembers where it paid the last time."""
        if not (own["buyer_id"] and own["is_deposit"] and own["direction"] == "in"):
            return []
        found = self.sources.store.find_claimants("buyer_id", [own["buyer_id"]])
        rows = newest_earlier_deposits(self.rows([document for _, document in found]), own)
        return [row["payment_id"] for row in rows]

    def time(self, created_ms: int | None) -> Iterator[Row]:
        """The payments made within :data:`RELATED_DAYS` of a time; none where the time is not known."""
        if created_ms is None:
            return
        created, window = datetime.fromtimestamp(created_ms / 1000, UTC), timedelta(days=RELATED_DAYS)
        for batch in self.sources.store.scan(Selection(from_at=created - window, to_at=created + window)):
            yield from self.rows(batch)


def is_earlier_deposit(row: Row, own: Row) -> bool:
    """Whether a row is an earlier payment of the same buyer to another one-time address."""
    return bool(
        row["buyer_id"]
        and row["buyer_id"] == own["buyer_id"]
        and row["direction"] == "in"
        and row["is_deposit"]
        and row["recipient"] != own["recipient"]
        and row["created_at"] is not None
        and own["created_at"] is not None
        and row["created_at"] < own["created_at"]
    )


def newest_earlier_deposits(rows: Iterable[Row], own: Row) -> list[Row]:
    """The newest of the rows that :func:`is_earlier_deposit` holds for, at most :data:`EARLIER_MAX`."""
    found = [row for row in rows if is_earlier_deposit(row, own)]
    return sorted(found, key=lambda row: (-row["created_at"], row["payment_id"]))[:EARLIER_MAX]


def _with_same_key(own: Row, sources: SourceSet) -> Iterator[str]:
    for name in FIELDS:
        if own[name]:
            for _, other in sources.store.find_claimants(name, [own[name]]):
                yield payment_id_text(other["_id"])


def _is_same_deposit(row: Row, own: Row) -> bool:
    return bool(own["is_deposit"] and row["is_deposit"] and row["recipient"] == own["recipient"])


def with_owners(
    dossier: Dossier, sources: SourceSet, *, by_topic: Mapping[str, str], policy: Policy, registry: Registry
) -> Dossier:
    """The dossier with the rows of other payments to which money or provider objects in it belong."""
    keys = loose_keys(dossier)
    documents: dict[str, Mapping[str, Any]] = {}
    try:
        for name in ("tx_hash", "request_id", "external_id"):
            for _, document in sources.store.find_claimants(name, sorted(keys[name])) if keys[name] else ():
                documents[payment_id_text(document["_id"])] = document
        wanted = {by_topic[topic] for topic in keys["reference_topic"] if topic in by_topic} - documents.keys()
        for document in sources.store.fetch(sorted(wanted)) if wanted else ():
            documents[payment_id_text(document["_id"])] = document
    except SourceError as error:
        said = f"whose the other money at its address is was not looked for: {error}"
        return replace(dossier, not_asked=(*dossier.not_asked, said))
    known = {row["payment_id"] for name in ("payments", "context") for row in dossier.rows(name)}
    rows = _rows(
        [documents[key] for key in sorted(documents.keys() - known)], sources, policy=policy, registry=registry
    )
    context = (*dossier.rows("context"), *map(exact_row, rows[:NEIGHBOURS_MAX]))
    return replace(dossier, tables={**dossier.tables, "context": context})


def _rows(batch: Iterable[Mapping[str, Any]], sources: SourceSet, *, policy: Policy, registry: Registry) -> list[Row]:
    from recon.sources.payments.read import payment_rows

    rows: list[Row] = payment_rows(list(batch), fields=sources.fields, registry=registry, policy=policy).to_pylist()
    return rows
