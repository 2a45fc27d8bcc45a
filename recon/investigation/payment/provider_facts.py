"""What the provider says about a payment and its siblings, held against the money. Pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from functools import cached_property

from recon.core.model import HELD
from recon.investigation.payment.dossier import Row, claims_of
from recon.investigation.payment.money_facts import MoneyFacts


@dataclass(frozen=True)
class ProviderFacts(MoneyFacts):
    """The statements about what the provider says of one judged payment."""

    @cached_property
    def claims(self) -> list[Row]:
        """The provider objects of the payment."""
        return claims_of(self.row, self.dossier.rows("claims"))

    @cached_property
    def claim(self) -> Row | None:
        """The provider object that was found, the most paid one first."""
        order = ("paid", "overpaid", "refunded", "partial", "processing", *HELD, "unpaid")
        found = [claim for claim in self.claims if claim["outcome"] == "found"]
        return min(found, key=lambda c: order.index(c["state"]) if c["state"] in order else 9, default=None)

    @property
    def provider_paid(self) -> bool:
        """Whether the provider says that it is paid."""
        return self.claim is not None and self.claim["state"] in ("paid", "overpaid")

    @property
    def held_as(self) -> str | None:
        """The state of :data:`recon.core.model.HELD` in which its provider keeps it, None where it asks for no step."""
        state = None if self.claim is None else str(self.claim["state"])
        return state if state in HELD else None

    @property
    def provider_problems(self) -> frozenset[str]:
        """What is odd about the provider's answer, by code."""
        return frozenset((self.claim["problem"] or "").split()) if self.claim else frozenset()

    @cached_property
    def listed(self) -> list[Row]:
        """The confirmed transactions that the gateway lists for the payment."""
        keys = {claim["claim_id"] for claim in self.claims}
        rows = self.dossier.rows("claim_txs")
        return [row for row in rows if row["claim_id"] in keys and row["confirmed"] is not False]

    @property
    def listed_units(self) -> int:
        """What those transactions add up to."""
        return sum(int(row["amount_units"] or 0) for row in self.listed)

    @cached_property
    def balance_units(self) -> int | None:
        """What the gateway credited, in units of the token; None where that cannot be said.

        One dollar is one stablecoin. Any other fiat is turned by what the invoice itself asks for in both.
        """
        claim, decimals = self.claim, self.row["decimals"]
        if claim is None or decimals is None:
            return None
        try:
            balance = Fraction(Decimal(claim["balance_fiat"] or ""))
            if claim["fiat"] == "USD":
                return int(balance * 10**decimals)
            asked = Fraction(Decimal(claim["amount_fiat"] or ""))
            return int(balance * int(self.row["expected_units"] or 0) / asked) if asked > 0 else None
        except (InvalidOperation, ValueError, OverflowError):
            return None

    @property
    def lost_credit_units(self) -> int:
        """How much more the gateway lists than it credited; rates and noise are none.

        A lost credit is a whole transaction, so what misses less than half of the smallest one is no loss.
        """
        units = [int(row["amount_units"] or 0) for row in self.listed]
        if self.balance_units is None or not any(units):
            return 0
        missing = sum(units) - self.balance_units
        return missing if missing * 2 > min(each for each in units if each) else 0

    @cached_property
    def dropped_units(self) -> int:
        """How much less the gateway lists of a transaction than came in it."""
        tx = self.shared_tx
        if tx is None:
            return 0
        came = sum(int(link["t_amount"]) for link in self.valid if link["t_tx"] == tx)
        told = sum(int(row["amount_units"] or 0) for row in self.listed if row["tx_hash"] == tx)
        return came - told if told and (came - told) * 1_000 > came else 0

    @property
    def provider_misses_money(self) -> bool:
        """Whether valid money is on chain and the provider knows none of it."""
        if not self.valid or self.provider_paid or self.claim is None:
            return False
        hashes = set((self.claim["tx_hashes"] or "").split()) | {row["tx_hash"] for row in self.listed}
        return hashes.isdisjoint(link["t_tx"] for link in self.valid)

    @cached_property
    def siblings(self) -> list[Row]:
        """Other incoming payments of the same buyer, order and offer."""
        deal = tuple(self.payment[name] for name in ("buyer_id", "order_id", "offer_id", "direction"))
        if not all(deal[:3]):
            return []
        return [
            row
            for row in self.dossier.rows("context")
            if tuple(row[name] for name in ("buyer_id", "order_id", "offer_id", "direction")) == deal
        ]

    @cached_property
    def paid_siblings(self) -> list[Row]:
        """Those of them that are complete, or whose provider object is paid."""
        paid = {
            value
            for claim in self.dossier.rows("claims")
            if claim["state"] in ("paid", "overpaid")
            for value in (claim["request_id"], claim["external_id"])
            if value
        }
        return [
            row
            for row in self.siblings
            if row["status"] in ("completed", "confirmed") or paid & {row["request_id"], row["external_id"]}
        ]

    @cached_property
    def twin_claims(self) -> list[Row]:
        """Paid provider requests that are no row's and whose money went to its recipient.

        At an address that others are paid at too, only those of the same amount.
        """
        alike = [row for row in self.strays if not self._is_shared_address or self.percent(row) <= 105]
        topics = {row["reference_topic"] for row in alike if row["reference_topic"]}
        hashes = {row["tx_hash"] for row in alike}
        others = self._claims_of_others
        return [claim for claim in others if claim["reference_topic"] in topics or _names_any(claim, hashes)]

    @property
    def _claims_of_others(self) -> list[Row]:
        """The provider objects that were found and are not the payment's."""
        own = {claim["claim_id"] for claim in self.claims}
        found = [claim for claim in self.dossier.rows("claims") if claim["outcome"] == "found"]
        return [claim for claim in found if claim["claim_id"] not in own]

    @property
    def _is_shared_address(self) -> bool:
        """Whether other payments are paid at the payment's recipient too."""
        others = {row["recipient"] for row in self.dossier.rows("context")}
        return self.payment["recipient"] in others | set(self.dossier.policy.merchant_recipients)


def _names_any(claim: Row, hashes: Collection[str]) -> bool:
    """Whether a provider object names one of the transactions."""
    return any(tx in hashes for tx in (claim["tx_hashes"] or "").split())
