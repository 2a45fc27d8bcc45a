"""What the backend's ledger says before a plan is applied: which payments could not be released even then.

The tool writes past the backend and enters no pay-in into a ledger. Where a ledger collection is configured, a payment
that becomes funded and whose ledger lacks the pay-in is named, because its release will be refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from recon.core.ids import parse_payment_id, payment_id_text
from recon.core.model import Change
from recon.core.values import value_at
from recon.runs.stores.retry import Retry

if TYPE_CHECKING:
    from pymongo.collection import Collection

LedgerCheck = Callable[[Sequence[str]], Mapping[str, bool]]
"""Says for payments whether their ledger holds the pay-in; a payment that it leaves out is not known."""

_BATCH: Final = 500


@dataclass(frozen=True, slots=True)
class ReleaseOutlook:
    """What a release of the funded payments would meet.

    Args:
        refused: Payments whose ledger lacks the pay-in, sorted: release will be refused.
        unknown: Payments of which the ledger says nothing, sorted.
    """

    refused: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


def release_outlook(changes: Iterable[Change], ledger: LedgerCheck) -> ReleaseOutlook:
    """Ask the ledger about every payment that the changes would make fit for release."""
    funded = sorted(
        {
            change.payment_id
            for change in changes
            if any(item.path == "escrowState" and item.after == "funded" for item in change.sets)
        }
    )
    found = ledger(funded) if funded else {}
    return ReleaseOutlook(
        refused=tuple(payment for payment in funded if found.get(payment) is False),
        unknown=tuple(payment for payment in funded if payment not in found),
    )


class MongoLedger:
    """A ledger collection with one document an entry, read only."""

    def __init__(
        self,
        collection: Collection[Any],
        *,
        payment_field: str = "paymentId",
        kind_field: str = "type",
        pay_in_kinds: Sequence[str] = ("gross_paid",),
        retry: Retry | None = None,
    ) -> None:
        self._collection, self._retry = collection, retry or Retry()
        self._payment_field, self._kind_field, self._pay_in_kinds = payment_field, kind_field, list(pay_in_kinds)

    def __call__(self, payments: Sequence[str]) -> dict[str, bool]:
        """Whether each payment has a pay-in entry; ids are looked up as stored and as their text.

        A collection that is not there, or that the credential may not read, says nothing of any payment.

        Raises:
            StoreGoneError: The store does not answer.
        """
        from pymongo.errors import OperationFailure

        try:
            return self._look(payments) if self._is_there() else {}
        except OperationFailure:
            return {}

    def _is_there(self) -> bool:
        names = self._collection.database.list_collection_names
        found = self._retry.run(lambda: names(filter={"name": self._collection.name}), what="the ledger")
        return bool(found)

    def _look(self, payments: Sequence[str]) -> dict[str, bool]:
        paid: set[str] = set()
        for start in range(0, len(payments), _BATCH):
            ids = [parse_payment_id(payment) for payment in payments[start : start + _BATCH]]
            query = {
                self._payment_field: {"$in": [*ids, *map(str, ids)]},
                self._kind_field: {"$in": self._pay_in_kinds},
            }
            rows = self._retry.run(
                lambda query=query: list(self._collection.find(query, {self._payment_field: 1})),  # type: ignore[misc]
                what="the ledger",
            )
            named = [value_at(row, self._payment_field) for row in rows]
            paid |= {str(value) for value in named} | {payment_id_text(value) for value in named}
        return {payment: payment in paid or str(parse_payment_id(payment)) in paid for payment in payments}
