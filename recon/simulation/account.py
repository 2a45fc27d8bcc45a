"""The account of one payment, drawn up from what happened: what came for it, what went back, what its row says.

For the referee only. Nothing here knows the rules of the tool; what a word means is said in a sentence of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from math import isfinite, ulp
from typing import Any, Final

from recon.core.model import COMPLETE, OPEN, STATUSES, Verdict
from recon.core.registry import load_registry
from recon.core.values import ABSENT, value_at
from recon.simulation.documents import NETWORK_WORDS, PROVIDER_WORDS
from recon.simulation.ledger_truth import Affair, MovedMoney, WorldFacts

MINUTE_MS: Final = 60_000
MONTH_MS: Final = 30 * 24 * 60 * MINUTE_MS
CONFIRMATIONS_MIN: Final = 12
CLOCK_SKEW_MS: Final = 5 * MINUTE_MS
DIGITS_MAX: Final = 37
TOLERANCE: Final = {"shkeeper": (Fraction(95, 100), Fraction(105, 100))}
"""A gateway that judges in fiat, its fee included, is content from 95 % on and calls 105 % too much."""


def word_at(document: Mapping[str, Any], path: str) -> Any:
    """What a row says at a path; None where it says nothing."""
    value = value_at(document, path)
    return None if value is ABSENT else value


def aside(affair: Affair) -> Verdict | None:
    """A row that is not judged: a test, one that cannot be read, or one of a provider that is none of ours."""
    document = affair.document
    provider = word_at(document, "provider")
    if provider == "test" or str(word_at(document, "requestId")).startswith("req_test"):
        return Verdict.TEST_PAYMENT
    is_ours = provider in {word for words in PROVIDER_WORDS.values() for word in words}
    if not is_readable(affair):
        return Verdict.MALFORMED_RECORD
    return None if is_ours else Verdict.OUT_OF_SCOPE


def is_readable(affair: Affair) -> bool:
    """Whether the row says what is owed, in which coin, where, and in which state: each in a word that is known."""
    document = affair.document
    if word_at(document, "status") not in STATUSES:
        return False
    if word_at(document, "direction") not in (None, "in", "out", "refund"):
        return False
    network = word_at(document, "blockchain.network")
    chains = [number for number, words in NETWORK_WORDS.items() if network in words]
    if not chains:
        return False
    symbol = str(word_at(document, "amount.currency"))
    token = load_registry().token(chains[0], symbol)
    is_dated = stored_ms(word_at(document, "createdAt")) is not None
    return is_dated and token is not None and _is_amount(word_at(document, "amount.amount"), token.decimals)


def stored_ms(value: object) -> int | None:
    """A time as a row of this world may store it: a date, a number of milliseconds, or ISO text to the second."""
    if isinstance(value, datetime):
        return int(value.timestamp() * 1000)
    if isinstance(value, int | float):
        return int(value)
    if not isinstance(value, str) or len(value) < len("2026-11-20 12:00:00"):
        return None
    return int(datetime.fromisoformat(value.rstrip("Z")).replace(tzinfo=UTC).timestamp() * 1000)


def _is_amount(value: object, decimals: int) -> bool:
    """A finite number above zero, no finer than the coin, of no more digits than all the money there is."""
    try:
        number = Decimal(str(value)) if not isinstance(value, bool) else Decimal("nan")
    except InvalidOperation:
        return False
    if (isinstance(value, float) and not isfinite(value)) or not number.is_finite() or number <= 0:
        return False
    units = Fraction(number) * 10**decimals
    return units.denominator == 1 and len(str(units.numerator)) <= DIGITS_MAX


def named_by(affair: Affair) -> tuple[str, ...]:
    """The transactions that the row or the provider names."""
    recorded = word_at(affair.document, "blockchain.transactionHash")
    return (*((recorded.lower(),) if isinstance(recorded, str) else ()), *affair.word.tx_hashes)


class Account:
    """One payment's money and words, added up.

    Args:
        affair: What is true of it.
        facts: The world it is in.
        strange: What became of transactions that were meant for no row, by hash.
    """

    def __init__(self, affair: Affair, facts: WorldFacts, *, strange: Mapping[str, str]) -> None:
        self.affair = affair
        self.strange = strange
        self.facts = facts
        self.has_own_address = False
        self.may_be_back = False
        """Whether a refund of no order went to its buyer that may be its own."""
        self.waited_for: tuple[MovedMoney, ...] = ()
        """Plain transfers of its very sum to its address, which others have too."""
        self.now_ms = facts.now_ms
        self._read_row()
        self._add_up()
        self._give_back([moved for purpose, moved in affair.money if purpose == "give_back" and self._is_ours(moved)])

    # ------------------------------------------------------------------------------------------------ what it says

    def _read_row(self) -> None:
        document = self.affair.document
        self.status = str(word_at(document, "status"))
        self.escrow = word_at(document, "escrowState")
        self.is_open = self.status in OPEN
        self.is_complete = self.status in COMPLETE
        self.gave_up = self.status in ("failed", "cancelled")
        self.is_unfunded = self.escrow in (None, "partial")
        self.is_marked_refunded = self.status == "refunded" or self.escrow == "refunded"
        raw = word_at(document, "blockchain.transactionHash")
        self.recorded: str | None = raw.lower() if isinstance(raw, str) else None
        count = word_at(document, "blockchain.confirmations")
        self.count = None if count is None else int(count)
        self.is_simulated = str(raw).startswith("SIM_") or word_at(document, "metadata.demo") is True
        marks = (word_at(document, "disputed") is True, word_at(document, "metadata.hold") is True)
        self.is_held = any(marks) or word_at(document, "disputeId") is not None
        self.is_screened = word_at(document, "metadata.amlResult.blocked") is True
        self.is_checked = word_at(document, "metadata.transactionSafety.lastCheck.status") == "pending"
        self.expires_ms = self.affair.expires_ms
        self.age_ms = self.now_ms - self.affair.created_ms
        parts = [word_at(document, name) for name in ("buyerId", "purchaseRequestId", "sellerOfferId")]
        self.deal = (str(parts[0]), str(parts[1]), str(parts[2])) if all(parts) else None
        self.references = self.affair.references
        self.keys = (*self.affair.request_ids, *((self.affair.external_id,) if self.affair.external_id else ()))

    @property
    def is_moving(self) -> bool:
        """Whether money may be leaving just now: a release or a refund is under way."""
        return self.escrow == "releasing" or (self.affair.direction != "in" and self.is_open)

    @property
    def has_no_key(self) -> bool:
        """Whether the row names nothing under which its money could be found."""
        if self.affair.rail != "request_network":
            return False
        paths = (
            "requestId", "providerPaymentId", "requestIds", "paymentReference", "metadata.requestNetwork.requestId",
            "metadata.paymentReference",
        )  # fmt: skip
        return not any(word_at(self.affair.document, path) for path in paths)

    @property
    def is_past_due(self) -> bool:
        """Whether nobody waits for it any more: it expired, or it never expires and is older than a month."""
        if self.expires_ms is None:
            return self.age_ms > MONTH_MS
        return self.expires_ms < self.now_ms

    @property
    def is_found_by_address(self) -> bool:
        """Whether its money is known by the one-time address that it comes to."""
        return self.affair.rail == "shkeeper" and self.affair.direction == "in"

    @property
    def nowhere_to_look(self) -> bool:
        """Whether a payment by one-time address does not know its address."""
        return self.is_found_by_address and word_at(self.affair.document, "metadata.walletAddress") is None

    # ----------------------------------------------------------------------------------------------- what came for it

    def _add_up(self) -> None:
        """What came as agreed: meant for this row, on its chain, in its token, to its address, told for whom."""
        lowest, highest = TOLERANCE.get(self.affair.rail, (Fraction(1), Fraction(1)))
        if self.affair.direction != "in":
            lowest = highest = Fraction(1)
        owed, blur = self.affair.owed_units, self._blur_units()
        self.least_units = -(-owed * lowest.numerator // lowest.denominator) - blur
        self.most_units = owed * highest.numerator // highest.denominator if highest > 1 else owed + 1 + blur
        mine = [moved for purpose, moved in self.affair.money if purpose == "pay" and self._is_as_agreed(moved)]
        self.in_sight = sorted(mine, key=lambda moved: (moved.block, moved.log_index, moved.tx_hash))
        self.in_sight_units = sum(moved.units for moved in self.in_sight)
        self.came = [moved for moved in self.in_sight if self._is_final(moved)]
        self.came_units = sum(moved.units for moved in self.came)
        self.is_covered = self.came_units >= self.least_units
        self.proof, self.proof_ms, self.needed = "", 0, 0
        total = 0
        for number, moved in enumerate(self.came, start=1):
            total += moved.units
            if total >= self.least_units:
                self.proof, self.proof_ms, self.needed = moved.tx_hash, moved.at_ms, number
                break

    def _blur_units(self) -> int:
        """What a double cannot tell of the amount: two units in its last place."""
        stored = word_at(self.affair.document, "amount.amount")
        if not isinstance(stored, float):
            return 0
        return int(2 * Fraction(ulp(stored)) * 10**self.affair.decimals)

    def _is_ours(self, moved: MovedMoney) -> bool:
        """Whether it stands for good in the payment's own token."""
        right = (moved.chain_id, moved.token) == (self.affair.chain_id, self.affair.token)
        return moved.stands and right and moved.units > 0 and self._is_final(moved)

    def _is_as_agreed(self, moved: MovedMoney) -> bool:
        where = (moved.chain_id, moved.token, moved.recipient)
        if where != (self.affair.chain_id, self.affair.token, self.affair.recipient):
            return False
        if not moved.stands or moved.units == 0:
            return False
        if self.affair.rail != "request_network":
            return moved.told_by == "token" and (self.is_found_by_address or self._is_named(moved))
        if moved.told_by == "token" and self.affair.direction != "in":
            return self._is_sent_plainly and self._is_named(moved)
        return moved.told_by in ("fee_proxy", "indirect") and moved.reference in self.affair.references

    def _is_named(self, moved: MovedMoney) -> bool:
        """A plain transfer out carries no mark; that it is this row's is known only where row or gateway names it."""
        return moved.tx_hash in named_by(self.affair)

    @property
    def _is_sent_plainly(self) -> bool:
        """Whether nothing that moved carries its reference: then it was sent past the proxy, if at all."""
        return not any(moved.reference in self.affair.references for _, moved in self.affair.money if moved.reference)

    @staticmethod
    def _is_final(moved: MovedMoney) -> bool:
        return moved.is_final and moved.depth >= CONFIRMATIONS_MIN

    @property
    def is_too_much(self) -> bool:
        """Whether more came than is right by any tolerance, and a cent of it or more."""
        cent = 10 ** (self.affair.decimals - 2)
        return self.came_units >= self.most_units and self.came_units - self.affair.owed_units >= cent

    @property
    def came_in_another_coin(self) -> bool:
        """Whether more came to its own address for it, a cent or more, in another known token or on another chain."""
        if self.affair.direction != "in":
            return False
        place, recipient = (self.affair.chain_id, self.affair.token), self.affair.recipient
        meant = [moved for purpose, moved in self.affair.money if purpose == "pay" and moved.stands]
        other = [one for one in meant if one.recipient == recipient and (one.chain_id, one.token) != place]
        return any(self._bears_its_mark(moved) and self._is_a_cent(moved) for moved in other)

    def _bears_its_mark(self, moved: MovedMoney) -> bool:
        if self.is_found_by_address:
            return moved.told_by == "token"
        return moved.told_by == "fee_proxy" and moved.reference in self.affair.references

    def _is_a_cent(self, moved: MovedMoney) -> bool:
        decimals = self.facts.tokens.get((moved.chain_id, moved.token))
        return decimals is not None and moved.units >= 10 ** (decimals - 2)

    @property
    def has_strange_fee(self) -> bool:
        """Whether the fee of the transfer that settles it went to an address that is none of ours."""
        paid = [moved.fee_recipient for moved in self.came if moved.tx_hash == self.proof]
        zero = "0x" + "0" * 40
        return any(fee not in (None, zero) and fee not in self.facts.our_fees for fee in paid)

    @property
    def is_denied(self) -> bool:
        """Whether the provider answers, and says that it was not paid."""
        word = self.affair.word
        return bool(word.objects) and not word.says_paid and not word.says_refunded

    @property
    def touched_ms(self) -> int:
        """When its row was last changed."""
        updated = word_at(self.affair.document, "updatedAt")
        return stored_ms(updated) or self.affair.created_ms

    @property
    def idle_ms(self) -> int:
        """How long nothing has happened to it."""
        last = max([self.affair.created_ms, self.touched_ms, *(moved.at_ms for _, moved in self.affair.money)])
        return self.now_ms - last

    # ------------------------------------------------------------------------------------------------ what went back

    def take_refunds(self, deal: Iterable[Account]) -> None:
        """Add what refund rows of the same deal gave back, where this is the pay-in that they are about."""
        if self.affair.direction != "in":
            return
        rows = [other for other in deal if other.affair.direction == "refund"]
        since = min((moved.at_ms for moved in self.in_sight), default=0)
        given = [moved for other in rows for moved in other.came if moved.at_ms >= since]
        more = [moved for moved in given if self._is_ours(moved)]
        if more:
            self._give_back([*self.back, *more])

    def take_loose_refund(self, moved: MovedMoney) -> None:
        """Consider what a refund row of no order sent to an address that paid, after it had."""
        paid = [one for one in self.came if one.sender == moved.recipient and one.block < moved.block]
        if self.affair.direction == "in" and paid and self._is_ours(moved) and moved.units <= self.came_units:
            self.may_be_back = True

    def was_over_before(self, moved: MovedMoney) -> bool:
        """Whether nobody had waited for it for a month when this money came."""
        due = self.affair.created_ms + MONTH_MS if self.expires_ms is None else self.expires_ms
        return not self.is_complete and due + MONTH_MS < moved.at_ms

    def asks_for(self, moved: MovedMoney) -> bool:
        """Whether a transfer is just what it asks."""
        return self._is_final(moved) and self.least_units <= moved.units < self.most_units

    def _give_back(self, back: list[MovedMoney]) -> None:
        self.back = sorted(back, key=lambda moved: (moved.block, moved.log_index, moved.tx_hash))
        self.back_units = sum(moved.units for moved in self.back)
        surplus = max(0, self.came_units - self.affair.owed_units) if self.came_units >= self.most_units else 0
        due = min(self.least_units, self.came_units) if self.came_units else self.least_units
        self.surplus_went_back = surplus > 0 and 0 < self.back_units <= surplus
        total, self.refund_hash = 0, ""
        for moved in self.back:
            total += moved.units
            if total >= due + surplus and not self.refund_hash:
                self.refund_hash = moved.tx_hash
        self.all_went_back = bool(self.refund_hash)

    @property
    def went_back(self) -> bool:
        """Whether the chain or the provider shows that something was given back."""
        return bool(self.back_units) or self.affair.word.says_refunded

    @property
    def is_refund_shown(self) -> bool:
        """Whether all of it went back, by the chain, or by the provider where the chain does not say less."""
        return self.all_went_back or (self.affair.word.says_refunded and not self.back_units)

    # -------------------------------------------------------------------------------------------- what leads nowhere

    @property
    def has_older_money(self) -> bool:
        """Whether money came to its one-time address, a cent or more, before it was made: dates may be reset."""
        since = self.affair.created_ms - CLOCK_SKEW_MS
        place = (self.affair.chain_id, self.affair.token, self.affair.recipient)
        came = [moved for _, moved in self.affair.money if (moved.chain_id, moved.token, moved.recipient) == place]
        least = 10 ** (self.affair.decimals - 2)
        older = any(moved.stands and moved.at_ms < since and moved.units >= least for moved in came)
        return self.is_found_by_address and older

    @property
    def ways_it_is_wrong(self) -> tuple[Verdict, ...]:
        """How money is wrong to which the row leads: by its reference, its one-time address or its recorded hash."""
        ways = set()
        meant = [moved for purpose, moved in self.affair.money if purpose not in ("give_back", "another")]
        for moved in (*filter(self._leads_to, meant), *self.waited_for):
            if moved.told_by == "stranger" or not moved.stands or not moved.units:
                continue
            if moved.told_by == "indirect" and moved.recipient != self.affair.recipient:
                continue
            ways |= self._wrong_in(moved)
        return tuple(sorted(ways, key=list(Verdict).index))

    def _leads_to(self, moved: MovedMoney) -> bool:
        by_hash = self.recorded == moved.tx_hash or moved.tx_hash in self.affair.word.tx_hashes
        by_reference = moved.reference is not None and moved.reference in self.references
        by_place = (self.is_found_by_address or self._may_be_past_proxy(moved)) and (
            moved.recipient == self.affair.recipient
        )
        return by_hash or by_reference or by_place

    def _may_be_past_proxy(self, moved: MovedMoney) -> bool:
        """Whether it may be for an open request by whose address alone, which is nobody else's, it was sent."""
        is_own = self.has_own_address and self.affair.recipient not in self.facts.ours
        return is_own and self._is_unpaid and moved.told_by == "token"

    @property
    def _is_unpaid(self) -> bool:
        done = self.is_complete or self.is_marked_refunded or self.is_covered
        return self.affair.direction == "in" and not done and not self.is_found_by_address

    def wait_for(self, moved: MovedMoney) -> None:
        """Take a plain transfer to its address that nobody names, where it is the very sum that is due."""
        due = (self.affair.token, self.affair.owed_units, self.affair.recipient)
        since = moved.at_ms - self.affair.created_ms
        if (
            self._is_unpaid
            and due == (moved.token, moved.units, moved.recipient)
            and -CLOCK_SKEW_MS <= since <= MONTH_MS
        ):
            self.waited_for = (*self.waited_for, moved)

    def _wrong_in(self, moved: MovedMoney) -> set[Verdict]:
        """The first thing that is wrong with it: on another chain every token and address is another."""
        if moved.chain_id != self.affair.chain_id:
            return {Verdict.NETWORK_MISMATCH}
        ways = set()
        if moved.token != self.affair.token:
            ways.add(Verdict.TOKEN_MISMATCH)
        if moved.recipient != self.affair.recipient:
            ways.add(Verdict.RECIPIENT_MISMATCH)
        if self.references and moved.reference not in self.references:
            ways.add(Verdict.REFERENCE_MISMATCH)
        return ways

    @property
    def recorded_fate(self) -> str | None:
        """What became of the recorded transaction: ok, reverted, vanished; None where no chain has it."""
        for _, moved in self.affair.money:
            if moved.tx_hash == self.recorded:
                return moved.fate
        return None if self.recorded is None else self.strange.get(self.recorded)

    @property
    def lies_in_a_contract(self) -> bool:
        """Whether money lies at an official contract whose event does not say that it was passed on."""
        return any(
            purpose == "pay"
            and moved.told_by == "indirect"
            and moved.stands
            and moved.recipient != self.affair.recipient
            for purpose, moved in self.affair.money
        )

    @property
    def may_lie_unread(self) -> bool:
        """Whether its money could lie in blocks of its own chain that nobody read.

        A payout known by its transaction needs no scan: it is asked for by name, which is an answer unless the row is
        newer than what was seen of the chain.
        """
        if self.has_no_key:
            return False
        if self.affair.direction != "in" and not self.references:
            is_new = self.touched_ms > self.facts.heads[self.affair.chain_id][1]
            return is_new or (not named_by(self.affair) and self.affair.chain_id in self._unread_chains)
        return self.affair.chain_id in self._unread_chains

    @property
    def may_lie_elsewhere(self) -> bool:
        """Whether it could lie unread on another chain, where people mistake chains.

        That is so of an open payment without money, of which the buyer or the provider should have been heard by now.
        """
        heard = self.is_past_due or self.affair.word.says_paid
        waits = self.affair.direction == "in" and self.is_open and heard and not self.in_sight and not self.has_no_key
        return waits and bool(self._unread_chains - {self.affair.chain_id})

    @property
    def _unread_chains(self) -> set[int]:
        since = self.affair.created_ms - CLOCK_SKEW_MS
        return {blocks.chain_id for blocks in self.facts.unread if blocks.until_ms >= since}


@dataclass(frozen=True, slots=True)
class Deal:
    """The rows of one buyer, order and offer."""

    accounts: tuple[Account, ...] = ()

    @property
    def seller_may_be_paid(self) -> bool:
        """Whether a payout of the deal went out, is under way, or was given up and yet names a transaction."""
        return any(
            one.affair.direction == "out" and not (one.gave_up and one.recorded is None) for one in self.accounts
        )

    def is_at_wrong_end(self, account: Account) -> bool:
        """Whether a payout went to an address that paid for the deal, or a refund to one that did not."""
        paid = [one for one in self.of("in") if one.affair.chain_id == account.affair.chain_id]
        buyers = {moved.sender for one in paid for moved in one.in_sight}
        is_buyer = account.affair.recipient in buyers
        return bool(buyers) and is_buyer is (account.affair.direction == "out")

    def moved_too_much(self, account: Account) -> bool:
        """Whether more moved on several rows of one direction, or by one refund, than the deal owes.

        In: what one row asks. Out: what came in, where it is known. Two rows that each have all of theirs, in, are too
        many, unless it went back.
        """
        same = self._holding(account.affair.direction)
        if account not in same:
            return False
        if len(same) < 2:
            return account.affair.direction == "refund" and 0 < self._came_units < account.in_sight_units
        moved, most = sum(one.in_sight_units for one in same), max(one.most_units for one in same)
        if account.affair.direction == "in":
            return moved >= most or sum(one.is_covered for one in same) > 1
        return moved > self._came_units if self._came_units else moved >= most

    def _holding(self, direction: str) -> list[Account]:
        """Its rows of one direction by which money moved, less pay-ins of which all went back."""
        return [one for one in self.of(direction) if _has_money(one) and not self.is_empty(one)]

    def is_empty(self, account: Account) -> bool:
        """Whether all that came on a pay-in went back, by transfers that are no other pay-in's refund."""
        others = [one for one in self.of("in") if one is not account]
        theirs = {moved.key for one in others for moved in one.back}
        return account.all_went_back and not any(moved.key in theirs for moved in account.back)

    @property
    def _came_units(self) -> int:
        return sum(one.came_units for one in self.of("in"))

    def of(self, direction: str) -> list[Account]:
        """Its rows of one direction."""
        return [one for one in self.accounts if one.affair.direction == direction]


def _has_money(account: Account) -> bool:
    return bool(account.in_sight) or account.affair.word.says_paid
