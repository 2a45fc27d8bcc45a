"""Crafts of what rows share or lack: one address for years, batches, refunds of no order, zeros, times as text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from recon.core.model import Verdict
from recon.simulation import documents
from recon.simulation.case import Case
from recon.simulation.catalogue import outgoing, waiting
from recon.simulation.crafts import same_buy, send_to, share_address
from recon.simulation.situation import PAID, SK, Plant, Situation
from recon.simulation.stage import DAY, MINUTE, NOW_MS, Stage

ZEROS: Final = "0x" + "0" * 64
_SETTLED: Final = Situation(rails=(SK,), age="weeks", expiry="none")
_GIVEN: Final = outgoing(
    rails=(SK,), direction="refund", statuses=("completed",), escrows=("refunded",), legs=PAID, recorded="proof"
)
_PAID_OUT: Final = outgoing(rails=(SK,), statuses=("completed",), escrows=("released",), legs=PAID, recorded="proof")
_HEALTHY: Final = Plant("healthy", Verdict.IN_SYNC)


def _sharing(stage: Stage, first: Case, situation: Situation) -> Case:
    """A payment at the address of another."""
    case = stage.prepare(replace(situation, chains=(first.chain_id,)))
    share_address(first, case)
    return case


def _paid_before(stage: Stage) -> Case:
    """Three payments of one address, each settled by a transfer of its own that it records."""
    first = stage.prepare(replace(_SETTLED, age="months"))
    for case in (first, *(_sharing(stage, first, _SETTLED) for _ in range(2))):
        stage.pay(case)
        stage.settle(case, _HEALTHY)
    return first


def yearly_address(stage: Stage, plant: Plant) -> None:
    """A buyer has had one address for long, and pays what he ordered this week."""
    case = _sharing(stage, _paid_before(stage), plant.situation)
    stage.pay(case)
    stage.settle(case, plant)


def yearly_address_two_wait(stage: Stage, plant: Plant) -> None:
    """Two orders of this week wait at an old address, and one transfer came."""
    first = _paid_before(stage)
    paid = _sharing(stage, first, plant.situation)
    other = _sharing(stage, first, replace(plant.situation, legs=()))
    for name in ("cents", "amount_units", "due_units"):
        setattr(other, name, getattr(paid, name))
    other.created = paid.created - 3 * MINUTE
    stage.pay(paid)
    for case in (paid, other):
        stage.settle(case, plant)


def ended_at_the_address(stage: Stage, plant: Plant) -> None:
    """An order of two months ago was never paid; now another order of the same address is."""
    status = stage.rng.choice(("failed", "cancelled", "pending"))
    never = waiting(rails=(SK,), statuses=(status,), legs=(), says="unpaid", expiry="past", age="months")
    old = stage.prepare(never)
    old.created = NOW_MS - stage.rng.randrange(50, 60) * DAY
    old.expires = old.created + 60 * MINUTE
    case = _sharing(stage, old, plant.situation)
    stage.pay(case)
    quiet = Verdict.ABANDONED if status == "pending" else Verdict.IN_SYNC
    stage.settle(old, Plant(_HEALTHY.name, quiet, never))
    stage.settle(case, plant)


def batch_to_one_address(stage: Stage, plant: Plant) -> None:
    """Two payouts to one seller left in one transaction: one hash and two logs."""
    first = stage.prepare(plant.situation)
    second = stage.prepare(replace(plant.situation, chains=(first.chain_id,)))
    send_to(second, first.recipient)
    second.token, second.created = first.token, first.created
    second.amount_units = second.due_units = second.cents * (first.amount_units // first.cents)
    leg = plant.situation.legs[0]
    movements = tuple(stage.movement(case, leg, chain_id=first.chain_id) for case in (first, second))
    block = stage.block_of(first, leg, chain_id=first.chain_id)
    landed = stage.ledger.write(first.chain_id, block, movements=movements)
    for case, movement, written in zip((first, second), movements, landed, strict=True):
        stage.add_sent(case, leg, movement=movement, at=written)
        stage.settle(case, plant)


def sent_by_another_wallet(stage: Stage, plant: Plant) -> None:
    """A payout left a wallet from which nothing else was paid."""
    case = stage.prepare(plant.situation)
    case.payer = stage.address()
    stage.pay(case)
    stage.settle(case, plant)


def zeros_recorded(stage: Stage, plant: Plant) -> None:
    """The backend wrote zeros before it knew the hash."""
    case = stage.prepare(plant.situation)
    case.recorded_as = ZEROS
    stage.pay(case)
    stage.settle(case, plant)


def _given_back(stage: Stage, first: Case, *, situation: Situation = _GIVEN, symbol: str | None = None) -> Case:
    """A refund row of what a payment got, in the same token or another, half an hour after its last transfer."""
    row = stage.prepare(replace(situation, chains=(first.chain_id,)))
    send_to(row, first.payer)
    token = first.token if symbol is None else stage.ledger.registry.token(first.chain_id, symbol)
    assert token is not None
    row.token, row.cents = token, first.cents
    row.amount_units = row.due_units = first.cents * 10 ** (token.decimals - 2)
    row.created = max(sent.at.time_ms for sent in first.sent) + 30 * MINUTE
    stage.pay(row)
    stage.settle(row, _HEALTHY)
    return row


def late_and_given_back(stage: Stage, plant: Plant) -> None:
    """Money came after its payment was given up, and all of it was given back by a refund row."""
    first = stage.plant(plant)
    same_buy(first, _given_back(stage, first))


def refund_of_no_order(stage: Stage, plant: Plant) -> None:
    """A refund row names no order and no offer; what it sent went to the buyer of a payment."""
    first = stage.plant(plant)
    row = _given_back(stage, first)
    for name in ("purchaseRequestId", "sellerOfferId"):
        row.document.pop(name, None)


def refund_in_another_token(stage: Stage, plant: Plant) -> None:
    """A payment says refunded, and its refund row gave as much back in the other token."""
    first = stage.plant(plant)
    other = "USDT" if first.token.symbol == "USDC" else "USDC"
    same_buy(first, _given_back(stage, first, symbol=other))


def hash_of_the_payout(stage: Stage, plant: Plant) -> None:
    """The backend has one field for a hash, and wrote that of the payout over that of the pay-in."""
    first = stage.prepare(plant.situation)
    out = stage.prepare(replace(_PAID_OUT, chains=(first.chain_id,)))
    out.token, out.cents = first.token, first.cents
    out.amount_units = out.due_units = first.amount_units
    out.created = first.created + 90 * MINUTE
    for case in (first, out):
        stage.pay(case)
    first.recorded_as = out.proof
    stage.settle(first, plant)
    stage.settle(out, _HEALTHY)
    same_buy(first, out)


_FORMS: Final[tuple[Callable[[int], Any], ...]] = (
    lambda ms: documents.at(ms).strftime("%Y-%m-%dT%H:%M:%S.") + f"{ms % 1000:03d}Z",
    lambda ms: documents.at(ms).strftime("%Y-%m-%d %H:%M:%S.") + f"{ms % 1000:03d}",
    lambda ms: ms,
    float,
)
"""How a time is stored that is no date: text with a zone, text without one, a whole number, a double."""


def dates_as_text(stage: Stage, plant: Plant) -> None:
    """An import left the times of a row as text, or as numbers."""
    case = stage.prepare(plant.situation)
    stage.pay(case)
    stage.settle(case, plant)
    form = stage.rng.choice(_FORMS)
    times = {"createdAt": case.created, "updatedAt": case.updated, "expiresAt": case.expires}
    for name, ms in times.items():
        if name in case.document and ms is not None:
            case.document[name] = form(ms)


def date_unsure(stage: Stage, plant: Plant) -> None:
    """The time of a row is a text that may mean several things, or no time of day."""
    case = stage.plant(plant)
    case.document["createdAt"] = documents.at(case.created).strftime(stage.rng.choice(("%d/%m/%Y %H:%M", "%Y-%m-%d")))


SHARED_CRAFTS: Final[dict[str, Callable[[Stage, Plant], None]]] = {
    craft.__name__: craft
    for craft in (
        yearly_address, yearly_address_two_wait, ended_at_the_address, batch_to_one_address, sent_by_another_wallet,
        zeros_recorded, late_and_given_back, refund_of_no_order, refund_in_another_token, hash_of_the_payout,
        dates_as_text, date_unsure,
    )
}  # fmt: skip
