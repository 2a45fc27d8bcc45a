"""What follows from a dossier and its judgement: the plain statements that causes are told apart by. Pure.

Everything here is read from rows and computed; nothing decides. A name says what is so, in the words of the rows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any, Final

from recon.core.ids import normalise_address, normalise_request_id
from recon.core.model import Verdict
from recon.core.money import format_units
from recon.core.registry import Registry
from recon.investigation.payment.dossier import Dossier, Judged, Row, claims_of, forwarder_of
from recon.investigation.payment.references import Parts, explain_reference, own_reference
from recon.sources.payments.fields import FieldPlace, default_texts, stored_at
from recon.sources.providers.installed import rails_with_one_time_addresses, webhooks_of

INDEXER_LAG_MS: Final = 60 * 60_000
"""Indexers were seen 10 to 15 minutes behind; after an hour it is no longer lag."""


@dataclass(frozen=True)
class Facts:
    """The statements about one judged payment; each is computed when first asked for."""

    dossier: Dossier
    judged: Judged
    registry: Registry

    @property
    def row(self) -> Row:
        """The judged row."""
        return self.judged.row

    @cached_property
    def payment(self) -> Row:
        """The payment as its document says."""
        payment = self.dossier.payment
        assert payment is not None
        return payment

    @property
    def verdict(self) -> Verdict:
        """The verdict."""
        return self.judged.finding.verdict

    def has(self, *verdicts: Verdict) -> bool:
        """Whether one of these shows, as the verdict or as a further finding."""
        return not {self.verdict, *self.judged.finding.findings}.isdisjoint(verdicts)

    @property
    def is_incoming(self) -> bool:
        """Whether it is a payment to us."""
        return bool(self.row["direction"] == "in")

    @property
    def is_gateway(self) -> bool:
        """Whether its provider is a gateway that gives each payment an address of its own."""
        return self.row["provider"] in rails_with_one_time_addresses()

    @property
    def is_covered(self) -> bool:
        """Whether final, valid money reaches the expected amount."""
        return bool(self.row["covered_by_chain"])

    def amount(self, units: Any) -> str:
        """Base units of the payment's token with its symbol."""
        finding = self.judged.finding
        if units is None:
            return "nothing"
        if self.row["decimals"] is None:
            return f"{int(units)} base units"
        return f"{format_units(int(units), decimals=self.row['decimals'])} {finding.symbol or '?'}"

    # Money on chain

    @cached_property
    def transfers(self) -> Mapping[tuple[int, str, int], Row]:
        """The dossier's transfers by their identity."""
        rows = self.dossier.rows("transfers")
        return {(row["chain_id"], row["tx_hash"], row["log_index"]): row for row in rows}

    def transfer(self, link: Row) -> Row:
        """The transfer behind a link."""
        return self.transfers.get((link["t_chain"], link["t_tx"], link["t_log"]), {})

    @cached_property
    def valid(self) -> list[Row]:
        """The transfers that are this payment's money."""
        return [link for link in self.judged.links if link["is_valid"]]

    @cached_property
    def wrong(self) -> list[Row]:
        """The transfers that its hash or its reference leads to and that are not its money, fewest faults first."""
        links = [link for link in self.judged.links if not link["is_valid"] and not link["is_refund"]]
        order = ("wrong_reference", "wrong_recipient", "wrong_token", "wrong_chain")
        return sorted(links, key=lambda link: next((i for i, name in enumerate(order) if link[name]), 9))

    @property
    def money_at(self) -> int | None:
        """When its money first came."""
        return min((link["t_time"] for link in self.valid if link["t_time"] is not None), default=None)

    @cached_property
    def strays(self) -> list[Row]:
        """Transfers of the right size that no link explains: to its recipient past the proxy, or by another reference.

        What another payment explains is left out, and so is a plain transfer that a proxy log of the same transaction
        tells of: that log's echo.
        """
        linked = {(link["t_chain"], link["t_tx"], link["t_log"]) for link in self.judged.links}
        taken = self.taken
        logged = {(r["chain_id"], r["tx_hash"]) for r in self.transfers.values() if r["kind"] != "erc20"}
        found = []
        for key, row in self.transfers.items():
            is_echo = row["kind"] == "erc20" and key[:2] in logged
            if key in linked or is_echo or not row["token_known"] or not row["amount_units"]:
                continue
            if not taken.isdisjoint((row["tx_hash"], row["reference_topic"])):
                continue
            if row["recipient"] == self.payment["recipient"] and self._is_plausible(row):
                found.append(row)
        return sorted(found, key=lambda row: (row["chain_id"] != self.payment["chain_id"], row["block_time"] or 0))

    @cached_property
    def taken(self) -> frozenset[str]:
        """Hashes and reference topics of money that other payments account for, themselves or by a provider object."""
        others = self.dossier.rows("context")
        found = {row[name] for row in others for name in ("tx_hash", "reference_topic")}
        keys = {row[name] for row in others for name in ("request_id", "external_id")} - {None}
        for claim in self.dossier.rows("claims"):
            if not keys.isdisjoint((claim["request_id"], claim["external_id"])):
                found |= {claim["reference_topic"], *(claim["tx_hashes"] or "").split()}
        own = {self.payment["tx_hash"], self.payment["reference_topic"]}
        return frozenset(found - own - {None})

    def _is_plausible(self, row: Row) -> bool:
        since = (self.payment["created_at"] or 0) - self.dossier.policy.clock_skew_ms
        if (row["block_time"] or 0) < since:
            return False
        return self._percent(row) >= 95

    def _percent(self, row: Row) -> int:
        """How much of what is due a transfer brings, in whole percent of whole tokens; 0 where that cannot be said."""
        token = self.registry.tokens.get((row["chain_id"], row["token"] or ""))
        own, expected = self.payment["decimals"], self.payment["expected_units"]
        if token is None or own is None or not expected:
            return 0
        came: int = int(row["amount_units"]) * 10 ** int(own)
        due: int = int(expected) * 10**token.decimals
        return came * 100 // due

    @cached_property
    def minimum_confirmations(self) -> int:
        """The backend's own minimum on this chain."""
        return self.dossier.policy.confirmations_of(self.row["chain_id"])

    @cached_property
    def waiting(self) -> tuple[int, int] | None:
        """For money that is not final: confirmations so far, and about how many seconds are left."""
        open_links = [link for link in self.valid if not link["t_final"]]
        if not open_links:
            return None
        rows = [self.transfer(link) for link in open_links]
        newest = min(row.get("confirmations") or 0 for row in rows)
        chain_id = open_links[0]["t_chain"]
        facts = self.registry.chains.get(chain_id)
        blocks = max(self.minimum_confirmations - newest, self._blocks_to_final(chain_id, rows), 1)
        return newest, -(-blocks * (facts.block_ms if facts else 12_000) // 1000)

    def _blocks_to_final(self, chain_id: int, rows: list[Row]) -> int:
        """Blocks until the newest of the rows is as deep as what is final now."""
        heads = [
            (row["head"], row["final_head"])
            for row in self.dossier.rows("coverage")
            if row["chain_id"] == chain_id and row["head"] is not None and row["final_head"] is not None
        ]
        if not heads:
            return 0
        head, final_head = max(heads)
        lag: int = head - final_head
        return max((lag - (head - (row.get("block") or head)) for row in rows), default=0)

    @cached_property
    def other_contract(self) -> str | None:
        """The contract that told of the money where it is a fee proxy, but not the chain's current one."""
        current = self.registry.emitters_of(self.row["chain_id"] or 0, kind="fee_proxy")
        for link in self.valid:
            emitter = self.transfer(link).get("emitter")
            known = self.registry.emitters.get((link["t_chain"], emitter or ""))
            if known is not None and known.kind == "fee_proxy" and current and emitter != current[-1].address:
                return f"{emitter} (version {known.version})"
        return None

    @cached_property
    def shared_tx(self) -> str | None:
        """A transaction in which two transfers came for this payment."""
        seen: dict[str, int] = defaultdict(int)
        for link in self.valid:
            seen[link["t_tx"]] += 1
        return next((tx for tx, count in sorted(seen.items()) if count > 1), None)

    @cached_property
    def forwarders(self) -> frozenset[str]:
        """Its forwarders: those that a factory made for its reference, and the one that its document names."""
        named = forwarder_of(self.dossier.document)
        return frozenset({row["address"] for row in self.dossier.forwarders} | ({named} if named else set()))

    @cached_property
    def at_forwarder(self) -> list[Row]:
        """Transfers to them."""
        return [row for row in self.transfers.values() if row["recipient"] in self.forwarders]

    # The provider

    @cached_property
    def claims(self) -> list[Row]:
        """The provider objects of the payment."""
        return claims_of(self.row, self.dossier.rows("claims"))

    @cached_property
    def claim(self) -> Row | None:
        """The provider object that was found, the most paid one first."""
        order = ("paid", "overpaid", "refunded", "partial", "processing", "unpaid")
        found = [claim for claim in self.claims if claim["outcome"] == "found"]
        return min(found, key=lambda c: order.index(c["state"]) if c["state"] in order else 9, default=None)

    @property
    def provider_paid(self) -> bool:
        """Whether the provider says that it is paid."""
        return self.claim is not None and self.claim["state"] in ("paid", "overpaid")

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
        from decimal import Decimal, InvalidOperation

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

    # Deliveries

    @property
    def deliveries(self) -> tuple[Row, ...]:
        """The deliveries that speak of the payment."""
        return self.dossier.rows("deliveries")

    @property
    def deliveries_known(self) -> bool:
        """Whether delivery records were looked at."""
        return bool(self.dossier.delivery_sources) or bool(self.deliveries)

    @cached_property
    def answers(self) -> tuple[int | None, ...]:
        """How the backend answered, in order; None where it did not."""
        return tuple(row["http_status"] for row in self.deliveries)

    @property
    def was_accepted(self) -> bool:
        """Whether a delivery was answered in the way that its provider takes for success."""
        takes = webhooks_of(self.row["provider"]).takes
        return any(takes(answer) for answer in self.answers)

    @property
    def tries(self) -> int | None:
        """After how many tries beyond the first its provider never sends again; None where it goes on."""
        return webhooks_of(self.row["provider"]).gives_up_after

    @property
    def is_exhausted(self) -> bool:
        """Whether its provider has used up its tries for a delivery without an answer it accepts."""
        tries = self.tries
        if tries is None or not self.deliveries or self.was_accepted:
            return False
        attempts = [row["attempt"] for row in self.deliveries if row["attempt"] is not None]
        return len(self.deliveries) > tries or max(attempts, default=0) >= tries

    @property
    def answered_text(self) -> str:
        """The answers in words."""
        return ", ".join("no answer" if each is None else f"HTTP {each}" for each in self.answers)

    # The row

    @property
    def is_open(self) -> bool:
        """Whether the row still waits."""
        return bool(self.row["open"])

    @property
    def is_complete(self) -> bool:
        """Whether the row says that it is paid."""
        return self.row["status"] in ("completed", "confirmed")

    @property
    def safety(self) -> str | None:
        """The check that the backend's safety gate is waiting on, or None when it does not hold the payment."""
        if self.row["safety_status"] != "pending":
            return None
        return str(self.row["safety_reason"] or "a check that the row does not name")

    @cached_property
    def unmet_checks(self) -> tuple[str, ...]:
        """Which of the backend's checks the evidence does not satisfy, in words.

        Rows need not name the check that holds them, and the backend's own reason is of the time it looked.
        """
        said = [] if self.row["tx_hash"] else ["hash (the row stores none)"]
        faults = [name for name in ("chain", "token", "recipient", "reference") if self.wrong and
                  self.wrong[0][f"wrong_{name}"]]  # fmt: skip
        if not self.valid:
            said += [f"{' and '.join(faults)} (wrong)"] if faults else ["transfer (none is on the chain)"]
        elif int(self.row["received"] or 0) < int(self.payment["covered_from_units"] or 0):
            said.append(f"amount ({self.amount(self.row['received'])} of {self.amount(self.row['expected_units'])})")
        if self.waiting is not None:
            said.append(f"confirmations ({self.waiting[0]} of {self.minimum_confirmations})")
        return (*said, *(["screening"] if self.row["aml_hold"] else []))

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
        own = {claim["claim_id"] for claim in self.claims}
        places = {row["recipient"] for row in self.dossier.rows("context")} | set(
            self.dossier.policy.merchant_recipients
        )
        is_shared = self.payment["recipient"] in places
        alike = [row for row in self.strays if not is_shared or self._percent(row) <= 105]
        topics = {row["reference_topic"] for row in alike if row["reference_topic"]}
        hashes = {row["tx_hash"] for row in alike}
        return [
            claim
            for claim in self.dossier.rows("claims")
            if claim["claim_id"] not in own
            and claim["outcome"] == "found"
            and (claim["reference_topic"] in topics or not hashes.isdisjoint((claim["tx_hashes"] or "").split()))
        ]

    # References

    @cached_property
    def parts(self) -> Parts:
        """Request id, salt and address as the row stores them."""
        salts = self._values("salt")
        return Parts(self.payment["request_id"] or "", salts[0] if salts else "", self.payment["recipient"] or "")

    @cached_property
    def reference_story(self) -> str | None:
        """Which part explains the reference that was paid, or why the stored one is wrong, in one sentence."""
        seen = self._seen_reference()
        own = own_reference(self.parts)
        stored = self.payment["reference"]
        pools = self._pools()
        if own and stored and own != stored:
            found = explain_reference(stored, self.parts, **pools)
            why = f": {found[1]} (part: {found[0]})" if found else ", and no part that is stored explains it"
            return f"the row stores reference {stored}, its own parts give {own}{why}"
        told = {c["reference"] for c in self.claims if c["reference"]} - {stored}
        if stored and told:
            return f"the row stores reference {stored}, the provider names {min(told)} for the same request"
        if seen is None:
            return None
        found = explain_reference(seen, self.parts, **pools)
        if found:
            return f"the paid reference is explained: {found[1]} (part: {found[0]})"
        if not self.parts.salt:
            return "no salt is stored, so the paid reference cannot be computed again"
        return "no request id, salt, address or letter case that is stored explains the paid reference"

    def _seen_reference(self) -> str | None:
        links = [link["t_topic"] for link in self.wrong if link["wrong_reference"] and link["t_topic"]]
        strays = [row["reference_topic"] for row in self.strays if row["reference_topic"]]
        return next(iter([*links, *strays]), None)

    def _pools(self) -> dict[str, list[str]]:
        rows = [*self.dossier.rows("context"), *self.dossier.rows("claims")]
        requests = [normalise_request_id(text) for text in self._values("request_id")]
        requests += [row["request_id"] for row in rows if row["request_id"]]
        addresses = [str(a) for text in self._texts() if (a := normalise_address(text))]
        addresses += [row["recipient"] for row in (*rows, *self.transfers.values()) if row["recipient"]]
        return {
            "request_ids": list(dict.fromkeys(requests))[:20],
            "salts": self._values("salt")[:5],
            "addresses": list(dict.fromkeys(addresses))[:30],
        }

    def _values(self, name: str) -> list[str]:
        values = (self.plain(FieldPlace.parse(text).path) for text in default_texts()[name])
        return list(dict.fromkeys(value for value in values if isinstance(value, str) and value))

    def plain(self, path: str) -> Any:
        """What the document stores at a path, unwrapped where it is text or a number."""
        value = stored_at(self.dossier.document, path.split(".")) if self.dossier.document else None
        if isinstance(value, Mapping) and len(value) == 1:
            return next(iter(value.values()))
        return value

    def _texts(self) -> list[str]:
        """Every text anywhere in the document, to a bound."""
        found: list[str] = []
        waiting: list[Any] = [self.dossier.document]
        while waiting and len(found) < 500:
            value = waiting.pop()
            if isinstance(value, Mapping):
                waiting += list(value.values())
            elif isinstance(value, list):
                waiting += value[:50]
            elif isinstance(value, str):
                found.append(value[:200])
        return found
