"""Simulated worlds with a ledger: a bookkeeper who knows the money writes it, and flaws are planted in his books.

He books what really came, went out and went back, by what each transfer was meant for, and never looks at what the
tool concludes. Some pay-ins are joined to payouts and refunds of the same token, so that deals have several rows. What
a planted flaw must be called follows from what was done to the books.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any, Final, Literal

from bson import Decimal128, ObjectId

from recon.core.ledger import LedgerVerdict
from recon.core.money import format_units
from recon.core.registry import load_registry
from recon.simulation.account import Account, aside, word_at
from recon.simulation.documents import at, object_id
from recon.simulation.ledger_truth import Affair, WorldFacts
from recon.simulation.world import World, generate_world

Books = Literal["single", "double"]
MINUTE: Final = 60_000
FEE_PERCENT: Final = 3
ALONE_SHARE: Final = 0.1
"""Payouts that are paid from what the books held before."""
_DEAL: Final = ("buyerId", "purchaseRequestId", "sellerOfferId")
_WORDS: Final = {"gross": "gross_paid", "fee": "platform_fee", "held": "hold", "released": "release",
                 "refunded": "refund", "adjustment": "adjustment"}  # fmt: skip
_ACCOUNTS: Final = {"gross": "cash", "fee": "fees", "held": "escrow", "released": "cash", "refunded": "cash",
                    "adjustment": "equity"}  # fmt: skip
_OTHER_ENDS: Final = {"gross": 1, "fee": -1, "released": -1, "refunded": -1, "adjustment": 1}
"""What an event does to what is held."""

CONFIG: Final[Mapping[Books, str]] = {
    "single": """
[ledger]
collection = "ledgerentries"
amount_field = "amount"
deal_field = "purchaseRequestId"
account_field = "account"
token_field = "currency"
reverses_field = "reversalOf"

[ledger.accounts]
gross = ["cash"]
fee = ["fees"]
released = ["cash"]
refunded = ["cash"]
""",
    "double": """
[ledger]
collection = "ledgerentries"
books = "double"
signs = "side"
amount_in = "base"
amount_field = "units"
deal_field = "purchaseRequestId"
account_field = "account"
token_field = "token"
side_field = "direction"
group_field = "batch"
reverses_field = "reversalOf"

[ledger.kinds]
held = ["hold"]

[ledger.accounts]
gross = ["cash"]
fee = ["fees"]
held = ["escrow"]
released = ["cash"]
refunded = ["cash"]
""",
}
"""What a configuration says of the books."""


@dataclass(frozen=True, slots=True)
class Flaw:
    """One thing that was done to the books, and what it must be called.

    Args:
        where: The payment or the deal that it is told of; both are looked at.
    """

    name: str
    verdict: LedgerVerdict
    reason: str
    where: str


@dataclass(frozen=True, slots=True)
class BooksWorld:
    """A world with its ledger.

    Args:
        meant: By chain and token, what the bookkeeper booked of each kind before any flaw, in base units.
    """

    world: World
    entries: tuple[dict[str, Any], ...]
    flaws: tuple[Flaw, ...]
    meant: Mapping[tuple[int, str], Mapping[str, int]]


@dataclass(slots=True)
class _Event:
    """One event in the books: an amount of one kind, and the entries that state it."""

    affair: Affair
    kind: str
    units: int
    at_ms: int
    entries: list[dict[str, Any]] = field(default_factory=list)


@dataclass(slots=True)
class _Deal:
    """The rows of one order, and what was booked of it."""

    key: str
    rows: list[Account]
    events: list[_Event] = field(default_factory=list)

    def of(self, direction: str) -> list[Account]:
        """The rows of one direction."""
        return [row for row in self.rows if row.affair.direction == direction]

    def booked(self, kind: str) -> list[_Event]:
        """The events of one kind."""
        return [event for event in self.events if event.kind == kind]

    @property
    def is_over(self) -> bool:
        """Whether every pay-in of it was released or refunded."""
        ins = self.of("in")
        return bool(ins) and all(row.escrow in ("released", "refunded") for row in ins)


def world_with_books(
    *,
    payments: int,
    seed: int,
    books: Books = "single",
    flaws: Mapping[str, int] | None = None,
    breaks: Literal["default", "none"] = "none",
) -> BooksWorld:
    """A week with its ledger, a quiet one unless other breaks of payments are asked for.

    The same arguments give the same world.

    Args:
        flaws: How often each of :data:`FLAWS` is planted; None plants nothing.
    """
    world = generate_world(payments=payments, seed=seed, breaks=breaks)
    assert world.facts is not None
    rng = Random(seed ^ 0x1ED6E2)  # noqa: S311 - a simulation is repeatable
    deals = _joined(world.facts, rng)
    keeper = _Keeper(rng, books)
    for deal in deals:
        keeper.book(deal)
    meant = _sums(deals)
    planted = []
    free = [deal for deal in deals if keeper.is_plain(deal)]
    rng.shuffle(free)
    for name in sorted(flaws or {}):
        for _ in range((flaws or {})[name]):
            planted.append(keeper.spoil(name, free))
    entries = [*(entry for deal in deals for event in deal.events for entry in event.entries), *keeper.loose]
    rng.shuffle(entries)
    recorded = replace(world.recorded, ledger=tuple(entries))
    made = replace(world, recorded=recorded, config=world.config + CONFIG[books])
    return BooksWorld(made, tuple(entries), tuple(planted), meant)


def _sums(deals: Iterable[_Deal]) -> dict[tuple[int, str], dict[str, int]]:
    sums: dict[tuple[int, str], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for event in (event for deal in deals for event in deal.events):
        sums[event.affair.chain_id, event.affair.token][event.kind] += event.units
    return {place: dict(held) for place, held in sums.items()}


def _joined(facts: WorldFacts, rng: Random) -> list[_Deal]:
    """The deals of a world, after payouts and refunds were given to pay-ins that may have had them."""
    accounts = [Account(affair, facts, strange={}) for affair in facts.affairs if aside(affair) is None]
    by_order: dict[str, _Deal] = {}
    for row in accounts:
        by_order.setdefault(_order(row.affair), _Deal(_order(row.affair), [])).rows.append(row)
    alone = [deal.rows[0] for deal in by_order.values() if len(deal.rows) == 1]
    deals = {deal.rows[0].affair.payment_id: deal for deal in by_order.values()}
    for row, pay_in in _pairs(alone, rng):
        for name in _DEAL:
            row.affair.document[name] = pay_in.affair.document[name]  # type: ignore[index]
        deals[pay_in.affair.payment_id].rows.append(deals.pop(row.affair.payment_id).rows[0])
    return [replace(deal, key=_order(deal.rows[0].affair)) for _, deal in sorted(deals.items())]


def _pairs(alone: Sequence[Account], rng: Random) -> Iterator[tuple[Account, Account]]:
    """Most payouts and refunds, each with a pay-in that may have had it."""
    waiting = _waiting(alone)
    for row in alone:
        if row.affair.direction == "in" or len(row.came) != 1 or rng.random() < ALONE_SHARE:
            continue
        given = waiting[row.affair.chain_id, row.affair.token, row.affair.direction]
        if fits := [one for one in given if _may_have_paid(one, row)]:
            pay_in = rng.choice(fits)
            given.remove(pay_in)
            yield row, pay_in


def _waiting(rows: Iterable[Account]) -> dict[tuple[int, str, str], list[Account]]:
    """Pay-ins that may have a payout or a refund of their own, by chain, token and which of both."""
    found: dict[tuple[int, str, str], list[Account]] = defaultdict(list)
    for row in rows:
        is_whole = row.affair.direction == "in" and row.is_complete and len(row.came) == 1 and not row.back
        way = {"released": "out", "funded": "refund"}.get(str(row.escrow))
        if is_whole and way is not None:
            found[row.affair.chain_id, row.affair.token, way].append(row)
    return found


def _may_have_paid(pay_in: Account, row: Account) -> bool:
    return pay_in.came_units > row.came_units and pay_in.came[0].at_ms < row.affair.created_ms


def _order(affair: Affair) -> str:
    found = word_at(affair.document, "purchaseRequestId")
    return affair.payment_id if found is None else str(found)


class _Keeper:
    """The bookkeeper, and the one who spoils his books."""

    def __init__(self, rng: Random, books: Books) -> None:
        self.rng, self.books = rng, books
        self.registry = load_registry()
        self.loose: list[dict[str, Any]] = []

    def book(self, deal: _Deal) -> None:
        """Book what happened in one deal, in the order of time."""
        for row, kind in self._moves(deal):
            for moved in row.back if (row.affair.direction, kind) == ("in", "refunded") else row.came:
                self.add(deal, row.affair, kind, moved.units, at_ms=moved.at_ms + MINUTE)
        for affair, left in self._left(deal):
            last_ms = max(event.at_ms for event in deal.events)
            if left < 0:
                # Paid from what the books held before this week, or in another token than came in.
                first_ms = min(event.at_ms for event in deal.events)
                self.add(deal, affair, "adjustment", -left, at_ms=first_ms - MINUTE)
            elif deal.is_over and left:
                self._close(deal, affair, left, at_ms=last_ms + MINUTE)

    @staticmethod
    def _moves(deal: _Deal) -> Iterator[tuple[Account, str]]:
        """The rows of a deal with the kinds of entries that they bring."""
        yield from ((row, "gross") for row in deal.of("in"))
        yield from ((row, "refunded") for row in deal.of("in"))
        yield from ((row, "released") for row in deal.of("out"))
        yield from ((row, "refunded") for row in deal.of("refund"))

    def _close(self, deal: _Deal, affair: Affair, left: int, *, at_ms: int) -> None:
        """Book the fee of a deal that is over, and a release that has no row of its own."""
        is_paid_out = bool(deal.of("out")) or affair.document["escrowState"] != "released"
        fee = left if is_paid_out else left * FEE_PERCENT // 100
        for kind, units in (("fee", fee), ("released", left - fee)):
            if units:
                self.add(deal, affair, kind, units, at_ms=at_ms + (MINUTE if kind == "released" else 0))

    @staticmethod
    def _left(deal: _Deal) -> list[tuple[Affair, int]]:
        """What is held of a deal by token, each with a row that is in it."""
        sums: dict[tuple[int, str], int] = defaultdict(int)
        rows: dict[tuple[int, str], Affair] = {}
        for event in deal.events:
            place = event.affair.chain_id, event.affair.token
            sums[place] += _OTHER_ENDS[event.kind] * event.units
            rows.setdefault(place, event.affair)
        return [(rows[place], left) for place, left in sums.items()]

    def add(self, deal: _Deal, affair: Affair, kind: str, units: int, *, at_ms: int) -> _Event:
        """Book one event."""
        event = _Event(affair, kind, units, at_ms)
        event.entries = self.entries(affair, kind, units, at_ms=at_ms)
        deal.events.append(event)
        return event

    def entries(self, affair: Affair, kind: str, units: int, *, at_ms: int) -> list[dict[str, Any]]:
        """The entries of one event: one, or the two legs of a group."""
        if self.books == "single":
            return [self.entry(affair, kind, units, at_ms=at_ms)]
        batch = ObjectId(object_id(self.rng, at_ms).binary)
        gives = _OTHER_ENDS[kind]
        legs = ((kind, "debit" if gives > 0 else "credit"), ("held", "credit" if gives > 0 else "debit"))
        return [
            {**self.entry(affair, leg, units, at_ms=at_ms), "direction": side, "batch": batch} for leg, side in legs
        ]

    def entry(self, affair: Affair, kind: str, units: int, *, at_ms: int) -> dict[str, Any]:
        """One entry as the backend stores it."""
        token = self.registry.tokens[affair.chain_id, affair.token]
        made: dict[str, Any] = {
            "_id": object_id(self.rng, at_ms),
            "paymentId": affair.document["_id"],
            "purchaseRequestId": word_at(affair.document, "purchaseRequestId"),
            "type": _WORDS[kind],
            "account": _ACCOUNTS[kind],
            "createdAt": at(at_ms),
        }
        if self.books == "double":
            return {**made, "units": str(units), "token": affair.token}
        text = format_units(units, decimals=token.decimals)
        stored = Decimal128(text) if self.rng.random() < 0.3 and len(text) < 30 else text
        return {**made, "amount": stored, "currency": token.symbol}

    # ---------------------------------------------------------------------------------------------------- the spoiling

    @staticmethod
    def is_plain(deal: _Deal) -> bool:
        """Whether a deal is one of which the evidence says everything, and old enough that nothing is awaited."""
        ins = deal.of("in")
        return len(ins) == 1 and ins[0].is_complete and len(deal.booked("gross")) == 1

    def spoil(self, name: str, free: list[_Deal]) -> Flaw:
        """Plant one flaw in the first deal that it fits, which takes no other."""
        flaw = FLAWS[name]
        deal = next(deal for deal in free if flaw.fits(deal))
        free.remove(deal)
        where = flaw.act(self, deal) or deal.rows[0].affair.payment_id
        return Flaw(name, flaw.verdict, flaw.reason, where)

    def counter(self, event: _Event, *, of: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Entries that take others back, a minute after the event."""
        made = []
        batch = object_id(self.rng, event.at_ms + MINUTE)
        for entry in of:
            taken = {**entry, "_id": object_id(self.rng, event.at_ms + MINUTE), "reversalOf": entry["_id"],
                     "createdAt": at(event.at_ms + MINUTE)}  # fmt: skip
            if self.books == "double":
                taken |= {"direction": "credit" if entry["direction"] == "debit" else "debit", "batch": batch}
            made.append(taken)
        return made


def _amount(keeper: _Keeper, event: _Event, units: int) -> None:
    """State another amount in every entry of an event."""
    again = keeper.entries(event.affair, event.kind, units, at_ms=event.at_ms)
    for entry, other in zip(event.entries, again, strict=True):
        name = "amount" if keeper.books == "single" else "units"
        entry[name] = other[name]


def _missing(keeper: _Keeper, deal: _Deal) -> None:
    deal.booked("gross")[0].entries.clear()


def _doubled(keeper: _Keeper, deal: _Deal) -> None:
    event = deal.booked("gross")[0]
    event.entries += keeper.entries(event.affair, event.kind, event.units, at_ms=event.at_ms)


def _wrong_amount(keeper: _Keeper, deal: _Deal) -> None:
    event = deal.booked("gross")[0]
    _amount(keeper, event, event.units + 1)


def _wrong_sign(keeper: _Keeper, deal: _Deal) -> None:
    entry = deal.booked("gross")[0].entries[0]
    entry |= {"direction": "credit"} if keeper.books == "double" else {"amount": f"-{entry['amount']}"}


def _orphan(keeper: _Keeper, deal: _Deal) -> str:
    event = deal.booked("gross")[0]
    stranger = object_id(keeper.rng, event.at_ms)
    for entry in keeper.entries(event.affair, "gross", event.units, at_ms=event.at_ms):
        keeper.loose.append({**entry, "paymentId": stranger, "purchaseRequestId": stranger})
    return str(stranger)


def _wrong_account(keeper: _Keeper, deal: _Deal) -> None:
    deal.booked("gross")[0].entries[0]["account"] = "fees"


def _wrong_token(keeper: _Keeper, deal: _Deal) -> None:
    event = deal.booked("gross")[0]
    symbol = keeper.registry.tokens[event.affair.chain_id, event.affair.token].symbol
    other = keeper.registry.token(event.affair.chain_id, "USDT" if symbol == "USDC" else "USDC")
    assert other is not None
    for entry in event.entries:
        entry.update({"currency": other.symbol} if keeper.books == "single" else {"token": other.address})


def _fee_forgotten(keeper: _Keeper, deal: _Deal) -> str:
    for event in deal.booked("fee"):
        event.entries.clear()
    return deal.key


def _released_early(keeper: _Keeper, deal: _Deal) -> str:
    before = deal.booked("gross")[0].at_ms - 10 * MINUTE
    for event in deal.booked("released"):
        for entry in event.entries:
            entry["createdAt"] = at(before)
    return deal.key


def _refund_forgotten(keeper: _Keeper, deal: _Deal) -> str:
    for event in deal.booked("refunded"):
        event.entries.clear()
    return deal.key


def _reversal_reversed(keeper: _Keeper, deal: _Deal) -> None:
    event = deal.booked("gross")[0]
    back = keeper.counter(event, of=event.entries)
    event.entries += [*back, *keeper.counter(event, of=back)]


def _reversed(keeper: _Keeper, deal: _Deal) -> None:
    event = deal.booked("gross")[0]
    event.entries += keeper.counter(event, of=event.entries)


def _release_doubled(keeper: _Keeper, deal: _Deal) -> str:
    event = deal.booked("released")[0]
    event.entries += keeper.entries(event.affair, event.kind, event.units, at_ms=event.at_ms)
    return deal.key


@dataclass(frozen=True, slots=True)
class FlawKind:
    """A flaw that can be planted: what it must be called, which deals it fits, and what is done."""

    verdict: LedgerVerdict
    reason: str
    act: Callable[[_Keeper, _Deal], str | None]
    fits: Callable[[_Deal], bool] = lambda deal: not deal.is_over


def _has_fee(deal: _Deal) -> bool:
    return deal.is_over and bool(deal.booked("fee")) and bool(deal.booked("released"))


def _is_paid_out(deal: _Deal) -> bool:
    return len(deal.of("out")) == 1 and bool(deal.booked("released"))


def _is_given_back(deal: _Deal) -> bool:
    return bool(deal.booked("refunded")) and not deal.booked("fee") and len(deal.of("in")) == 1


_V = LedgerVerdict
FLAWS: Final[Mapping[str, FlawKind]] = {
    "missing": FlawKind(_V.LEDGER_MISSING, "missing", _missing),
    "doubled": FlawKind(_V.LEDGER_MISMATCH, "doubled", _doubled),
    "wrong_amount": FlawKind(_V.LEDGER_MISMATCH, "lacks", _wrong_amount),
    "wrong_sign": FlawKind(_V.LEDGER_MISMATCH, "sign", _wrong_sign),
    "orphan": FlawKind(_V.LEDGER_ORPHAN, "unknown", _orphan),
    "wrong_account": FlawKind(_V.LEDGER_MISMATCH, "account", _wrong_account),
    "wrong_token": FlawKind(_V.LEDGER_MISMATCH, "token", _wrong_token),
    "fee_forgotten": FlawKind(_V.LEDGER_OUT_OF_BALANCE, "after_end", _fee_forgotten, _has_fee),
    "released_early": FlawKind(_V.LEDGER_OUT_OF_BALANCE, "early", _released_early, _has_fee),
    "refund_forgotten": FlawKind(_V.LEDGER_MISSING, "missing", _refund_forgotten, _is_given_back),
    "reversal_reversed": FlawKind(_V.LEDGER_MISMATCH, "reverses_reversal", _reversal_reversed),
    "reversed": FlawKind(_V.LEDGER_MISSING, "missing", _reversed),
    "release_doubled": FlawKind(_V.LEDGER_MISMATCH, "doubled", _release_doubled, _is_paid_out),
}
"""What can be wrong with books, by name."""
