"""The rows of a snapshot that concern a few payments, found by widening a set of keys in named rounds.

Each round looks for rows that carry a key which an earlier round found: payments lead to provider objects, both lead to
transfers, transfers lead to further provider objects, and all of these to the payments that own them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from recon.core.tables import TABLES
from recon.investigation.payment.dossier import NEIGHBOURS_MAX, Row, exact_row, tx_hashes_of
from recon.investigation.payment.neighbours import is_earlier_deposit, newest_earlier_deposits
from recon.snapshots.further_keys import further_keys_of
from recon.verdicts.engine import Engine, memory_engine

if TYPE_CHECKING:
    from recon.snapshots.sealed import Snapshot
    from recon.verdicts.links import Frame

Wanted = tuple[str, set[Any]]
"""A column and the values of it that are looked for."""

_BEFORE_CREATION_MS: Final = 300_000
"""How long before a payment was made its money may move; clocks differ."""

_SHARED_TIMES: Final = 2
"""At a shared address, a transfer of up to so many times the amount due is kept."""


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
    cut = _Cut(snapshot, payment_ids, names=names, shared=shared)
    cut.take_payments()
    cut.take_claims_of_payments()
    cut.take_transfers()
    cut.take_claims_of_transfers()
    cut.take_owners()
    others = [row for row in cut.payments if row["payment_id"] != main]
    made = {
        "payments": tuple(row for row in cut.payments if row["payment_id"] == main and main in payment_ids),
        "context": (*others, *cut.owners),
        "claims": tuple(cut.claims),
        "claim_txs": tuple(cut.claim_transactions()),
        "transfers": tuple(cut.transfers),
        "transactions": tuple(cut.transactions()),
        "holdings": tuple(cut.holdings()),
    }
    for name in ("deliveries", "coverage", "gaps"):
        made[name] = tuple(exact_row(row) for row in snapshot.table(name).to_pylist())
    return made


class _Cut:
    """The rows found so far around some payments; each ``take_`` is one round and widens the keys for the next."""

    def __init__(
        self, snapshot: Snapshot, payment_ids: Sequence[str], *, names: Sequence[str], shared: Collection[str]
    ) -> None:
        self._engine = memory_engine()
        self._frames = dict(snapshot.frames(self._engine))
        self._frames["payments"] = _every_payment(self._engine, self._frames)
        self._ids = frozenset(payment_ids)
        self._names = set(names)
        self._shared = shared
        self._hashes = {name for name in names if len(name) == 66}
        self._topics: set[str] = set()
        self.payments: list[Row] = []
        self.claims: list[Row] = []
        self.transfers: list[Row] = []
        self.owners: list[Row] = []

    def take_payments(self) -> None:
        """The payments, and those that share a key, a transaction, a deposit address or a purchase with them."""
        own = self._taken("payments", [("payment_id", {*self._ids, ""})])
        keys = ("tx_hash", "reference_topic", "request_id", "external_id")
        deposits = _values((row for row in own if row["is_deposit"]), "recipient")
        near = self._taken("payments", [*((name, _values(own, name)) for name in keys), ("recipient", deposits)])
        near += self._by_further_keys(own)
        for row in own:
            near += self._same_purchase(row)
            near += self._earlier_deposits(row)
        unique = {row["payment_id"]: row for row in [*own, *near]}
        self.payments = [unique[payment_id] for payment_id in sorted(unique)]

    def take_claims_of_payments(self) -> None:
        """The provider objects that carry a key of the payments, or a name that was asked for."""
        keys = ("request_id", "external_id", "reference", "reference_topic")
        further = list(further_keys_of(self.payments))
        wanted = [(name, _values(self.payments, name) | further_values(further, name) | self._names) for name in keys]
        deposits = _values((row for row in self.payments if row["is_deposit"]), "recipient")
        self.claims = self._taken("claims", [*wanted, ("recipient", deposits | self._names)])
        known = [*self.payments, *self.claims]
        self._hashes |= {tx for row in known for tx in tx_hashes_of(row)}
        self._topics |= _values(known, "reference_topic") | _values(further, "reference_topic")

    def _by_further_keys(self, own: Sequence[Row]) -> list[Row]:
        """The payments that hold a key of these among their further ones, or as their first a further one of these."""
        names = ("request_id", "reference", "external_id")
        further = list(further_keys_of(own))
        held = set().union(*(_values(own, name) for name in names)) | {row["value"] for row in further}
        sharing = []
        if "keys" in self._frames and held:
            sharing = self._taken("keys", [("value", held)], most=NEIGHBOURS_MAX * 4)
        wanted: list[Wanted] = [(name, further_values(further, name)) for name in names]
        return self._taken("payments", [*wanted, ("payment_id", _values(sharing, "payment_id"))])

    def take_transfers(self) -> None:
        """Transfers by hash and reference, all to an address of its own, to a shared one those of the right amount."""
        own = [row for row in self.payments if row["payment_id"] in self._ids]
        addresses = {address for address in _values(own, "recipient") if address not in self._shared}
        found = self._taken(
            "transfers",
            [
                ("tx_hash", self._hashes),
                ("reference_topic", self._topics),
                ("sender", self._names),
                ("recipient", addresses | self._names),
            ],
        )
        for row in own:
            if row["recipient"] in self._shared and row["expected_units"]:
                found += self._of_about_the_amount(row, found)
            found += self._at_earlier_addresses(row)
        unique = {_transfer_key(row): row for row in found}
        seen_beside = _values(unique.values(), "tx_hash") - self._hashes
        unique |= {_transfer_key(row): row for row in self._taken("transfers", [("tx_hash", seen_beside)])}
        self.transfers = [unique[key] for key in sorted(unique)]
        self._hashes |= {row["tx_hash"] for row in self.transfers}

    def take_claims_of_transfers(self) -> None:
        """The provider objects that tell of the transfers, besides those that are known."""
        topics = _values(self.transfers, "reference_topic")
        found = self._taken("claims", [("reference_topic", topics), ("tx_hashes", self._hashes)])
        known = {_claim_key(claim) for claim in self.claims}
        unique = {_claim_key(claim): claim for claim in found}
        self.claims += [claim for key, claim in unique.items() if key not in known]

    def take_owners(self) -> None:
        """The payments to which the transfers and the provider objects belong, besides those that are known."""
        wanted: list[Wanted] = [
            ("tx_hash", self._hashes),
            ("reference_topic", _values(self.transfers, "reference_topic")),
            ("request_id", _values(self.claims, "request_id")),
            ("external_id", _values(self.claims, "external_id")),
        ]
        known = {row["payment_id"] for row in self.payments}
        found = self._taken("payments", wanted, most=NEIGHBOURS_MAX * 4)
        self.owners = [row for row in found if row["payment_id"] not in known]

    def claim_transactions(self) -> list[Row]:
        """The transactions that providers list, of the provider objects and of the transfers."""
        claims = {claim["claim_id"] for claim in self.claims}
        return self._taken("claim_txs", [("claim_id", claims), ("tx_hash", self._hashes)])

    def transactions(self) -> list[Row]:
        """What chains say of every transaction that was met."""
        return self._taken("transactions", [("tx_hash", self._hashes)])

    def _same_purchase(self, row: Row) -> list[Row]:
        """The payments that may be of the same deal, by their order or their offer."""
        import narwhals as nw

        from recon.verdicts.deals import OF_ORDER

        if not any(row[name] for name in OF_ORDER):
            return []
        shared, agrees = nw.lit(value=False), nw.lit(value=True)
        for name in OF_ORDER:
            if row[name]:
                is_same = nw.col(name) == row[name]
                shared, agrees = shared | is_same.fill_null(value=False), agrees & is_same.fill_null(value=True)
        return self._chosen("payments", shared & agrees)

    def _earlier_deposits(self, row: Row) -> list[Row]:
        """The buyer's earlier payments to other one-time addresses, the newest of them."""
        if not (row["buyer_id"] and row["is_deposit"]):
            return []
        return newest_earlier_deposits(self._taken("payments", [("buyer_id", {row["buyer_id"]})]), row)

    def _at_earlier_addresses(self, row: Row) -> list[Row]:
        """What came to the addresses of the buyer's earlier payments since a payment was made."""
        import narwhals as nw

        addresses = {other["recipient"] for other in self.payments if is_earlier_deposit(other, row)}
        since = (row["created_at"] or 0) - _BEFORE_CREATION_MS
        if not addresses:
            return []
        condition = nw.col("recipient").is_in(sorted(addresses)) & (nw.col("block_time") >= since)
        return self._chosen("transfers", condition.fill_null(value=False))

    def _of_about_the_amount(self, row: Row, found: Sequence[Row]) -> list[Row]:
        """Transfers to a payment's shared address that may be its money, or the rest of it, by amount and time."""
        import narwhals as nw

        lowest, highest = row["covered_from_units"], row["expected_units"] * _SHARED_TIMES
        came = _came_by_reference(row, found)
        if 0 < came < lowest:
            lowest -= came
        since = (row["created_at"] or 0) - _BEFORE_CREATION_MS
        condition = (
            (nw.col("recipient") == row["recipient"])
            & (nw.col("amount_units") >= lowest)
            & (nw.col("amount_units") <= highest)
            & (nw.col("block_time") >= since)
        )
        return self._chosen("transfers", condition.fill_null(value=False))

    def holdings(self) -> list[Row]:
        """What the one-time addresses of the payments hold, where they were asked."""
        if "holdings" not in self._frames:
            return []
        deposits = _values((row for row in self.payments if row["is_deposit"]), "recipient")
        return self._taken("holdings", [("address", deposits)])

    def _taken(self, table: str, wanted: Iterable[Wanted], *, most: int = NEIGHBOURS_MAX) -> list[Row]:
        """The rows that hold one of the wanted values; columns with nothing to look for are left out."""
        import narwhals as nw

        conditions = [nw.col(name).is_in(sorted(values)).fill_null(value=False) for name, values in wanted if values]
        if not conditions:
            return []
        is_wanted = conditions[0]
        for condition in conditions[1:]:
            is_wanted = is_wanted | condition
        return self._chosen(table, is_wanted, most=most)

    def _chosen(self, table: str, condition: Any, *, most: int = NEIGHBOURS_MAX) -> list[Row]:
        columns = TABLES[table]
        frame = self._frames[table].filter(condition).head(most)
        found = self._engine.collect(frame, columns, order=list(columns)[:3])
        return [exact_row(row) for row in found.to_pylist()]


def _every_payment(engine: Engine, frames: Mapping[str, Frame]) -> Frame:
    """Every payment row that the snapshot holds, once."""
    import narwhals as nw

    parts = [frames[name].select(*TABLES["payments"]) for name in ("payments", "context")]
    return engine.keep(nw.concat(parts, how="vertical").unique(subset=["payment_id"], keep="any"))


def _came_by_reference(row: Row, found: Sequence[Row]) -> int:
    """What came to a payment's address in its token by its own reference, in base units."""
    place = (row["chain_id"], row["token"], row["recipient"], row["reference_topic"])
    names = ("chain_id", "token", "recipient", "reference_topic")
    logs = {_transfer_key(one): one for one in found if tuple(one[name] for name in names) == place}
    return sum(one["amount_units"] or 0 for one in logs.values()) if row["reference_topic"] else 0


def further_values(further: Iterable[Row], name: str) -> set[str]:
    """The further keys of one kind."""
    return {row["value"] for row in further if row["field"] == name}


def _values(rows: Iterable[Row], name: str) -> set[Any]:
    """What the rows hold in a column, nothing empty."""
    return {row[name] for row in rows if row[name]}


def _transfer_key(row: Row) -> tuple[int, str, int]:
    return row["chain_id"], row["tx_hash"], row["log_index"]


def _claim_key(claim: Row) -> tuple[Any, ...]:
    return claim["provider"], claim["object"], claim["claim_id"], claim["outcome"]
