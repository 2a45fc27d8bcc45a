"""A referee that does not believe the rules: the right verdict of every payment, from money and intent alone.

It is told what happened (:mod:`recon.simulation.ledger_truth`): who meant to pay what for which row, what really moved,
what was given back, what the provider would say, what the row says, what nobody could read. From that it draws up the
account of one payment after the other, slowly and in plain sentences. It shares no code with what judges in columns,
knows none of its tables, and guesses no link between money and rows: intent says it.

A worked example: 25 were meant for a row and came, final; the row is pending. The account is settled, the row is open,
so the right verdict is ``local_behind`` and the right write is ``completed``, ``funded`` and the hash of that transfer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from recon.core.model import Verdict
from recon.simulation.account import MINUTE_MS, Account, Deal, aside, word_at
from recon.simulation.ledger_truth import Affair, MovedMoney, WorldFacts

ORDER: Final = {verdict: number for number, verdict in enumerate(Verdict)}
"""The verdict is the first that applies, in the order in which the words are listed."""

THRESHOLD: Final = 12
"""Confirmations that the backend wants, and no more are stored."""

_V: Final = Verdict


_RIGHT_TOO: Final = {
    Verdict.DUPLICATE_TX_HASH: (Verdict.UNPROVEN,),
    Verdict.LOOKUP_FAILED: (Verdict.UNPROVEN,),
    Verdict.MULTIPLE_TRANSFERS: (Verdict.IN_SYNC,),
}
"""What is right as well where money may lie unread. A borrowed hash is borrowed, and yet money of the row may be there.
Of two silent sources either may be named. What covers is proven, and whether a further transfer was read is chance."""


@dataclass(frozen=True, slots=True)
class Ruling:
    """What is right to say of one payment, or of money or an object without one.

    Args:
        verdicts: Every verdict that would be right; nearly always one.
        findings: Everything that shows, the verdict first.
        write: Fields and the values they should get, less what is stored so already; None where nothing is right to
            write.
    """

    payment_id: str
    verdicts: tuple[Verdict, ...]
    findings: tuple[Verdict, ...]
    write: Mapping[str, Any] | None = None

    @property
    def verdict(self) -> Verdict:
        """The first of the right verdicts."""
        return self.verdicts[0]


@dataclass(frozen=True, slots=True)
class _Note:
    """One thing that shows about a payment, and what it would write."""

    verdict: Verdict
    write: Mapping[str, Any] | None = None


def rule_on(facts: WorldFacts) -> tuple[Ruling, ...]:
    """The rulings on a whole world, sorted by payment; money and objects without a row come with it."""
    crowd = _Crowd(facts)
    rulings = [_rule(affair, crowd) for affair in facts.affairs]
    rulings += [Ruling(key, (verdict,), (verdict,)) for key, verdict in _nobodys(facts, crowd)]
    return tuple(sorted(rulings, key=lambda ruling: ruling.payment_id))


def _rule(affair: Affair, crowd: _Crowd) -> Ruling:
    if (verdict := aside(affair)) is not None:
        return Ruling(affair.payment_id, (verdict,), (verdict,))
    account = crowd.accounts[affair.payment_id]
    deal = crowd.deal_of(account)
    notes = [*_crowded(account, deal, crowd)]
    notes += _settled(account, deal) if account.is_covered else _unsettled(account, deal)
    if account.is_held and (account.is_moving or any(note.write for note in notes)):
        notes.append(_Note(_V.DISPUTE_HOLD))
    notes.sort(key=lambda note: ORDER[note.verdict])
    right = (notes[0].verdict, *(_RIGHT_TOO.get(notes[0].verdict, ()) if account.may_lie_unread else ()))
    return Ruling(affair.payment_id, right, tuple(note.verdict for note in notes), _write(account, notes))


def _write(account: Account, notes: list[_Note]) -> Mapping[str, Any] | None:
    """What the first note writes, and with it what the others would; the first has the last word about a field.

    A row whose metadata is no object cannot carry the name of the run that wrote to it, so nothing is written there.
    """
    metadata = account.affair.document.get("metadata", {})
    if notes[0].write is None or not isinstance(metadata, Mapping):
        return None
    wanted: dict[str, Any] = {}
    for note in reversed(notes):
        wanted |= note.write or {}
    if notes[0].verdict in (_V.REFUND_DRIFT, _V.LOCAL_BEHIND, _V.LATE_PAYMENT, _V.COORDINATOR_BLOCKED):
        wanted = dict(notes[0].write)
    return {path: value for path, value in wanted.items() if word_at(account.affair.document, path) != value}


# ------------------------------------------------------------------------------------------------- the money is here


def _settled(account: Account, deal: Deal) -> list[_Note]:
    """Final money that was meant for this payment came as agreed, and it is enough."""
    if account.affair.direction != "in":
        return _paid_out(account, deal)
    notes = _excess(account)
    told = _given_back(account, deal)
    if told is not None:
        return [*notes, *told]
    if account.is_screened and account.is_open:
        return [*notes, *_waiting(account, _V.AML_BLOCKED)]
    if account.is_complete:
        notes += _corrections(account, deal)
    else:
        notes.append(_owed_credit(account, deal))
    if account.is_denied:
        notes.append(_Note(_V.PROVIDER_BEHIND))
    return notes or [_Note(_V.IN_SYNC)]


def _owed_credit(account: Account, deal: Deal) -> _Note:
    """The buyer paid and the row does not say so: it is to be completed, where a step leads there.

    No step leads from an escrow that has moved on, and none where the seller of the deal was paid or is being paid.
    """
    credit = {
        "status": "completed",
        "escrowState": "funded",
        "blockchain.transactionHash": account.proof,
        "blockchain.confirmations": THRESHOLD,
    }
    can_step = account.is_unfunded and not deal.seller_may_be_paid
    if account.is_open:
        return _Note(_V.LOCAL_BEHIND, credit) if can_step else _Note(_V.COORDINATOR_BLOCKED)
    is_late = account.expires_ms is not None and account.proof_ms > account.expires_ms
    verdict = _V.LATE_PAYMENT if is_late and not deal.seller_may_be_paid else _V.COORDINATOR_BLOCKED
    return _Note(verdict, credit if can_step else None)


def _corrections(account: Account, deal: Deal) -> list[_Note]:
    """A row that is rightly complete, and wrong in a detail."""
    notes = _hash_notes(account)
    if account.is_unfunded and account.affair.direction == "in":
        blocked = deal.seller_may_be_paid
        notes.append(_Note(_V.COORDINATOR_BLOCKED) if blocked else _Note(_V.ESCROW_DRIFT, {"escrowState": "funded"}))
    elif account.escrow == "cancelled" and account.affair.direction == "in":
        notes.append(_Note(_V.COORDINATOR_BLOCKED))
    if account.status == "confirmed":
        notes.append(_Note(_V.STATUS_DRIFT, {"status": "completed"}))
    if account.count is not None and account.count < THRESHOLD:
        notes.append(_Note(_V.CONFIRMATIONS_STALE, {"blockchain.confirmations": THRESHOLD}))
    return notes


def _hash_notes(account: Account) -> list[_Note]:
    """The recorded hash must be that of money of this payment; any of several will do."""
    right = {"blockchain.transactionHash": account.proof}
    if account.recorded is None:
        return [_Note(_V.MISSING_TX_HASH, right)]
    if account.recorded not in {one.tx_hash for one in account.came}:
        return [_Note(_V.TX_HASH_MISMATCH, right)]
    return []


def _excess(account: Account) -> list[_Note]:
    """More came than was owed, or a fee went where none of ours goes; what was given back again is no excess."""
    notes = []
    is_kept = not account.surplus_went_back and not account.all_went_back
    if account.came_in_another_coin or (is_kept and len(account.came) > account.needed):
        notes.append(_Note(_V.MULTIPLE_TRANSFERS))
    elif is_kept and account.is_too_much:
        notes.append(_Note(_V.OVERPAID))
    if account.has_strange_fee:
        notes.append(_Note(_V.FEE_MISMATCH))
    return notes


def _given_back(account: Account, deal: Deal) -> list[_Note] | None:
    """Money went back, or the row says so. None where nothing did, or a surplus only: then nothing is the matter."""
    if account.is_marked_refunded:
        return _said_refunded(account, deal)
    says_refunded = account.affair.word.says_refunded
    if (told := _without_a_write(account, deal)) is not None:
        return [_Note(told)]
    if not account.went_back or (account.surplus_went_back and not says_refunded):
        return None
    if account.is_complete and not account.all_went_back and not says_refunded:
        told = _V.UNPROVEN if account.may_lie_unread else _V.PARTLY_REFUNDED  # the rest may have gone back as well
        return [*_corrections(account, deal), _Note(told)]
    write = None
    if account.all_went_back and account.is_complete:
        write = {
            "status": "refunded", "escrowState": "refunded", "blockchain.transactionHash": account.refund_hash,
        }  # fmt: skip
    return [_Note(_V.REFUND_DRIFT, write)]


def _without_a_write(account: Account, deal: Deal) -> Verdict | None:
    """What is said of money that may have gone back, or that nobody wanted; None where neither is so."""
    if account.may_be_back and not account.went_back:
        return _V.REFUND_DRIFT  # whose money a refund of no order gave back no row says
    return _V.IN_SYNC if _was_not_wanted(account, deal) else None


def _was_not_wanted(account: Account, deal: Deal) -> bool:
    """The row gave up, money came all the same, and all of it went back: nothing is owed, as the row says."""
    claims_money = account.escrow in ("funded", "releasable", "released")
    return account.gave_up and deal.is_empty(account) and not claims_money


def _said_refunded(account: Account, deal: Deal) -> list[_Note]:
    """The row says that the money went back; where nothing shows it, the payment is still owed its credit."""
    if account.is_refund_shown:
        return [_Note(_V.IN_SYNC)]
    still_due = [_owed_credit(account, deal)] if account.is_open or account.gave_up else []
    unseen = [_Note(_V.LOOKUP_FAILED)] if not account.affair.word.answers else []
    if account.may_lie_unread:
        unseen.append(_Note(_V.UNPROVEN))
    return [*still_due, *(unseen or [_Note(_V.REFUND_DRIFT)])]


def _paid_out(account: Account, deal: Deal) -> list[_Note]:
    """Our own money left us: for the seller, or back to the buyer. Nothing is right to write where it went astray."""
    notes = _excess(account)
    if deal.is_at_wrong_end(account):
        return [*notes, _Note(_V.RECIPIENT_MISMATCH)]
    done = {"out": "released", "refund": "refunded"}[account.affair.direction]
    if account.is_complete:
        notes += _corrections(account, Deal())
    if account.escrow == done:
        pass
    elif account.escrow == "releasing" and account.status not in ("failed", "cancelled", "refunded"):
        notes.append(_Note(_V.LOCAL_BEHIND, {"escrowState": done, "blockchain.transactionHash": account.proof}))
    elif account.is_open:
        notes.append(_Note(_V.LOCAL_BEHIND))
    elif not account.is_complete:
        notes.append(_Note(_V.COORDINATOR_BLOCKED))
    return notes or [_Note(_V.IN_SYNC)]


# --------------------------------------------------------------------------------------------- the money is not here


def _unsettled(account: Account, deal: Deal) -> list[_Note]:
    """What was owed has not come, or not for good: the first of these sentences that holds is the verdict.

    Where its money may lie unread, nothing may be said that rests on not having found it.
    """
    if account.may_lie_unread:
        shown = _refund_without_money(account) if account.is_refund_shown else []
        return shown or [*_held(account, is_read=False), *_not_known(account), _Note(_V.UNPROVEN)]
    notes = [
        *_refund_without_money(account),
        *_held(account, is_read=not account.may_lie_elsewhere),
        *_short(account),
        *_wrong_money(account),
        *_lost_hash(account),
        *_not_known(account),
    ]
    return notes or [_quiet(account, deal)]


def _refund_without_money(account: Account) -> list[_Note]:
    """A row that says refunded, while nothing came and nothing went back."""
    if account.affair.direction != "in" or not account.is_marked_refunded or not account.affair.word.answers:
        return []
    return [_Note(_V.IN_SYNC if account.is_refund_shown else _V.REFUND_DRIFT)]


def _held(account: Account, *, is_read: bool = True) -> list[_Note]:
    """Money is in sight, but not final, or it is held."""
    notes: list[_Note] = []
    if account.in_sight_units >= account.least_units:
        notes += _waiting(account, _V.INSUFFICIENT_CONFIRMATIONS)
    sighted = bool(account.in_sight) or account.affair.word.says_paid
    if account.is_screened and account.is_open and sighted:
        notes += _waiting(account, _V.AML_BLOCKED)
    enough = account.in_sight_units >= account.least_units or (is_read and account.affair.word.says_paid)
    if account.is_checked and account.is_open and enough:
        notes += _waiting(account, _V.SAFETY_PENDING)
    return notes


def _waiting(account: Account, reason: Verdict) -> list[_Note]:
    """A wait is due for half an hour; after that it is stuck, for the same reason."""
    stuck = account.is_open and account.idle_ms > 30 * MINUTE_MS
    return [_Note(_V.STUCK_PENDING), _Note(reason)] if stuck else [_Note(reason)]


def _short(account: Account) -> list[_Note]:
    """Right money came or is on its way, and it is too little."""
    is_short = bool(account.in_sight) and account.in_sight_units < account.least_units
    return [_Note(_V.UNDERPAID)] if is_short else []


def _wrong_money(account: Account) -> list[_Note]:
    """No right money, but the row leads to money that is wrong in one way, spelled out."""
    if account.in_sight or account.is_marked_refunded:
        return []
    dispute = {"disputed": True} if account.is_open and account.affair.direction == "in" else None
    return [_Note(verdict, dispute) for verdict in account.ways_it_is_wrong]


def _lost_hash(account: Account) -> list[_Note]:
    """The row rests on a transaction that is no longer, or was never, on the chain, or that failed there."""
    if account.in_sight or account.recorded is None or account.gave_up or account.is_marked_refunded:
        return []
    if not account.recorded.strip("0x"):
        return []  # zeros name no transaction
    if account.affair.direction == "in" and account.ways_it_is_wrong:
        return []
    if account.recorded_fate == "reverted":
        return [_Note(_V.TX_REVERTED)]
    if account.recorded_fate == "ok":
        return []
    return [_Note(_V.REORGED if account.count else _V.TX_NOT_FOUND)]


def _not_known(account: Account) -> list[_Note]:
    """Nothing came, as far as the chain was read: what could not be asked might change that."""
    notes = []
    if account.in_sight or (account.is_refund_shown and account.is_marked_refunded):
        return []
    if not account.affair.word.answers and not account.has_no_key:
        notes.append(_Note(_V.LOOKUP_FAILED))
    older = account.has_older_money and not account.affair.word.says_paid
    if any((account.lies_in_a_contract, account.nowhere_to_look, account.may_lie_elsewhere, older)):
        notes.append(_Note(_V.UNPROVEN))
    if account.has_no_key and account.affair.direction == "in":
        notes.append(_Note(_V.MISSING_REFERENCE))
    return notes


def _quiet(account: Account, deal: Deal) -> _Note:
    """Nobody hides anything, and no money came."""
    affair = account.affair
    if affair.word.says_paid:
        return _Note(_V.PROVIDER_AHEAD)
    if account.gave_up and (affair.direction == "in" or account.escrow not in ("released", "releasing", "refunded")):
        return _Note(_V.IN_SYNC)
    if account.is_complete or (affair.direction != "in" and account.escrow in ("released", "refunded")):
        return _Note(_V.LOCAL_AHEAD)
    if affair.direction != "in":
        is_stuck = account.age_ms > 30 * MINUTE_MS
        return _Note(_V.STUCK_RELEASE if is_stuck else _V.IN_TRANSIT)
    return _Note(_V.ABANDONED if account.is_past_due else _V.IN_TRANSIT)


# --------------------------------------------------------------------------------------------- what others claim too


class _Crowd:
    """What a payment shares with others: keys, hashes, addresses, deals."""

    def __init__(self, facts: WorldFacts) -> None:
        strange = {moved.tx_hash: moved.fate for moved in facts.loose}
        self.accounts = {
            one.payment_id: Account(one, facts, strange=strange) for one in facts.affairs if aside(one) is None
        }
        self.by_key: dict[str, list[Account]] = {}
        self.by_place: dict[tuple[int, str], list[Account]] = {}
        self.by_hash: dict[str, list[Account]] = {}
        self.deals: dict[tuple[str, str, str], list[Account]] = {}
        for account in self.accounts.values():
            for key in account.keys:
                self.by_key.setdefault(key, []).append(account)
            self.by_place.setdefault((account.affair.chain_id, account.affair.recipient), []).append(account)
            if account.recorded is not None:
                self.by_hash.setdefault(account.recorded, []).append(account)
            if account.deal is not None:
                self.deals.setdefault(account.deal, []).append(account)
        rows = Counter(account.affair.recipient for account in self.accounts.values())
        for account in self.accounts.values():
            account.has_own_address = rows[account.affair.recipient] == 1
            account.take_refunds(self.deals.get(account.deal, ()) if account.deal else ())
        self._take_loose_refunds()
        self._wait(facts)

    @property
    def waited_for(self) -> set[str]:
        """The transfers that some payment may wait for, though no mark leads to it."""
        return {moved.key for account in self.accounts.values() for moved in account.waited_for}

    def _wait(self, facts: WorldFacts) -> None:
        """Tell of each transfer that nobody names the payments that may wait for it."""
        for moved in _plain_and_unnamed(facts, self.accounts.values()):
            for account in self.by_place.get((moved.chain_id, moved.recipient), ()):
                account.wait_for(moved)

    def _take_loose_refunds(self) -> None:
        """Tell every payment what refund rows sent that name neither an order nor an offer."""
        names = ("purchaseRequestId", "sellerOfferId")
        rows = [one for one in self.accounts.values() if one.affair.direction == "refund"]
        loose = [one for one in rows if all(word_at(one.affair.document, name) is None for name in names)]
        for moved in [moved for one in loose for moved in one.came]:
            for account in self.accounts.values():
                account.take_loose_refund(moved)

    def deal_of(self, account: Account) -> Deal:
        """The other rows of the deal of a payment."""
        return Deal(tuple(self.deals.get(account.deal, ())) if account.deal else (account,))


def _plain_and_unnamed(facts: WorldFacts, accounts: Iterable[Account]) -> Iterable[MovedMoney]:
    """Transfers of a token alone, of which neither a row nor a provider names the transaction."""
    moved = {one.key: one for one in facts.loose} | {one.key: one for each in facts.affairs for _, one in each.money}
    named = {one.recorded for one in accounts} | {tx for one in accounts for tx in one.affair.word.tx_hashes}
    logged = {one.tx_hash for one in moved.values() if one.told_by != "token"}
    return (one for one in moved.values() if one.tx_hash not in named | logged)


def _crowded(account: Account, deal: Deal, crowd: _Crowd) -> Iterable[_Note]:
    """What stands before every account: simulations, and what two rows both claim."""
    if account.is_simulated:
        yield _Note(_V.SIMULATED_HASH)
    if deal.moved_too_much(account):
        yield _Note(_V.COMPETING_PAYMENT)
    if any(len(crowd.by_key[key]) > 1 for key in account.keys):
        yield _Note(_V.DUPLICATE_PROVIDER_KEY)
    if _borrows_hash(account, deal, crowd):
        yield _Note(_V.DUPLICATE_TX_HASH)
    if _is_undecidable(account, crowd):
        yield _Note(_V.AMBIGUOUS)


def _borrows_hash(account: Account, deal: Deal, crowd: _Crowd) -> bool:
    """The row names a transaction of another row's money, which names it too, and none of its own is in it."""
    if account.recorded is None or account.recorded in {one.tx_hash for one in account.in_sight}:
        return False
    if account.recorded in _later_hashes(account, deal):
        return False
    others = [one for one in crowd.by_hash[account.recorded] if one is not account]
    return any(account.recorded in {moved.tx_hash for moved in one.in_sight} for one in others)


def _later_hashes(account: Account, deal: Deal) -> set[str]:
    """What a backend with one field for a hash writes over that of the pay-in: its refund, its release."""
    later = {moved.tx_hash for moved in account.back} if account.is_marked_refunded or account.gave_up else set()
    if account.affair.direction == "in" and account.escrow in ("releasing", "released"):
        later |= {moved.tx_hash for one in deal.of("out") for moved in one.came}
    return later


def _is_undecidable(account: Account, crowd: _Crowd) -> bool:
    """Money came to an address at which several open rows wait, and nothing but intent says for which.

    A row that recorded the transaction took it for its own; then nobody else waits for it.
    """
    here = crowd.by_place[account.affair.chain_id, account.affair.recipient]
    waiting = [one for one in here if one.is_open and one.is_found_by_address]
    if account not in waiting or len(waiting) < 2:
        return False
    taken = {one.recorded for one in here}
    open_money = [moved for one in waiting for moved in one.in_sight if moved.tx_hash not in taken]
    return any(_contends(account, waiting, moved) for moved in open_money)


def _contends(account: Account, waiting: list[Account], moved: MovedMoney) -> bool:
    """Whether money may be for this row and for another: not for one that ended long before, where another asks it."""
    still = [one for one in waiting if not one.was_over_before(moved)]
    if any(one.asks_for(moved) for one in still):
        return account in still and len(still) > 1
    return True


# ----------------------------------------------------------------------------------------------------- nobody's money


def _nobodys(facts: WorldFacts, crowd: _Crowd) -> Iterable[tuple[str, Verdict]]:
    """Money that came to us or left us, and objects that a provider calls paid, of which no row knows."""
    accounts = crowd.accounts.values()
    wallets = {moved.sender for one in accounts if one.affair.direction != "in" for moved in one.came}
    named = {one.recorded for one in accounts}
    waited_for = crowd.waited_for
    for moved in facts.loose:
        # A row that records a batch knows its own part and no other.
        is_known = moved.tx_hash in named and moved.reference is None
        if not _is_worth_a_word(moved, facts) or moved.key in waited_for:
            continue
        if moved.recipient in facts.ours and not is_known:
            yield moved.key, _V.MISSING_LOCAL
        elif moved.sender in wallets:
            yield moved.key, _V.UNEXPLAINED_OUTFLOW
    yield from _unknown_objects(facts)


def _unknown_objects(facts: WorldFacts) -> Iterable[tuple[str, Verdict]]:
    keys = {(affair.rail, key) for affair in facts.affairs for key in _all_keys(affair)}
    for item in facts.objects:
        if (item.rail, item.identity) not in keys:
            yield item.key, _V.MISSING_LOCAL


def _is_worth_a_word(moved: MovedMoney, facts: WorldFacts) -> bool:
    """It stands, its token is known, and it is not below a cent."""
    decimals = facts.tokens.get((moved.chain_id, moved.token))
    return moved.stands and decimals is not None and moved.units >= 10 ** (decimals - 2)


def _all_keys(affair: Affair) -> tuple[str, ...]:
    return (*affair.request_ids, *((affair.external_id,) if affair.external_id else ()))
