"""What the chains say about a payment: its money, money that fits it wrongly, and money that nothing explains. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from recon.core.model import OPEN, Verdict
from recon.core.money import format_units
from recon.core.registry import Registry
from recon.investigation.payment.dossier import Dossier, Judged, Row, forwarder_of
from recon.investigation.payment.neighbours import is_earlier_deposit


@dataclass(frozen=True)
class MoneyFacts:
    """The statements about the money of one judged payment; each is computed when first asked for."""

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
        found = [link for link in self.judged.links if link["is_valid"]]
        # What is too small to matter is no money that a provider has yet to see.
        return found if self.is_covered else [link for link in found if not link["t_dust"]]

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
        found = [row for key, row in self.transfers.items() if not self._is_explained(key, row)]
        own = [row for row in found if row["recipient"] == self.payment["recipient"] and self._is_plausible(row)]
        return sorted(own, key=lambda row: (row["chain_id"] != self.payment["chain_id"], row["block_time"] or 0))

    @cached_property
    def at_earlier_address(self) -> list[tuple[Row, Row]]:
        """Money that came, since the payment was made, to the one-time address of an earlier payment of this buyer.

        Each with that payment, which is no longer waiting and records another transaction: it does not need the money.
        What fits the amount stands first.
        """
        if self.valid or self.payment["direction"] != "in":
            return []
        context = self.dossier.rows("context")
        earlier = {row["recipient"]: row for row in context if is_earlier_deposit(row, self.payment)}
        came = [(row, earlier[row["recipient"]]) for row in self.transfers.values() if row["recipient"] in earlier]
        spare = [(row, other) for row, other in came if self._is_spare(row, other)]
        return sorted(spare, key=lambda pair: (abs(self.percent(pair[0]) - 100), pair[0]["block_time"] or 0))

    def _is_spare(self, row: Row, other: Row) -> bool:
        """Whether money at another payment's address is of this payment's size and that payment does not need it."""
        is_money = row["token_known"] and row["amount_units"] and self._is_plausible(row)
        return bool(is_money and other["status"] not in OPEN and other["tx_hash"] != row["tx_hash"])

    @cached_property
    def candidates(self) -> list[Row]:
        """For a payout without proof: transfers of its amount from its wallet to its destination since it was made.

        Nothing says whose they are. Where the row names no wallet, any wallet will do.
        """
        own = self.payment
        if own["direction"] == "in" or self.valid or own["expected_units"] is None:
            return []
        return [
            row
            for row in self.strays
            if (row["chain_id"], row["token"]) == (own["chain_id"], own["token"])
            and int(row["amount_units"]) == int(own["expected_units"])
            and row["sender"] in (own["sender"] or row["sender"], None)
        ]

    def _is_explained(self, key: tuple[int, str, int], row: Row) -> bool:
        """Whether a transfer is linked, an echo, another payment's, or of no token that is known."""
        if key in self._linked or not row["token_known"] or not row["amount_units"]:
            return True
        is_echo = row["kind"] == "erc20" and key[:2] in self._logged
        return is_echo or not self.taken.isdisjoint((row["tx_hash"], row["reference_topic"]))

    @cached_property
    def _linked(self) -> frozenset[tuple[int, str, int]]:
        """The transfers that a link leads to."""
        return frozenset((link["t_chain"], link["t_tx"], link["t_log"]) for link in self.judged.links)

    @cached_property
    def _logged(self) -> frozenset[tuple[int, str]]:
        """The transactions that a contract's own log tells of, besides the token's."""
        rows = self.transfers.values()
        return frozenset((row["chain_id"], row["tx_hash"]) for row in rows if row["kind"] != "erc20")

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
        return self.percent(row) >= 95

    def percent(self, row: Row) -> int:
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
