"""How oddities are planted that need more than one row, or a row that no situation describes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from recon.core.ids import payment_reference
from recon.core.model import Verdict
from recon.simulation import claims, documents
from recon.simulation.case import Case
from recon.simulation.catalogue import outgoing
from recon.simulation.crafts import NEVER_PAID, same_buy, send_to
from recon.simulation.ledger import Movement
from recon.simulation.situation import PAID, RN, Leg, Plant, Situation
from recon.simulation.stage import HOUR, MINUTE, NOW_MS, Stage

_BACK: Final = outgoing(
    rails=(RN,), direction="refund", statuses=("completed",), escrows=("refunded",), legs=PAID, recorded="proof"
)
_GIVEN: Final = Plant("healthy", Verdict.IN_SYNC, _BACK)


def payout_poisoned(stage: Stage, plant: Plant) -> None:
    """After a payout a poisoner lets nothing move from its wallet to an address that looks like the seller's."""
    case = stage.plant(plant)
    alike = case.recipient[:6] + stage.hex(16) + case.recipient[-4:]
    movement = Movement(case.token.address, case.payer, alike, 0)
    block = stage.ledger.block_at(case.chain_id, case.sent[0].at.time_ms + 2 * MINUTE)
    stage.ledger.write(case.chain_id, block, movements=(movement,))


def imported_again(stage: Stage, plant: Plant) -> None:
    """An import gave the row a new createdAt after it was paid; its ObjectId still tells when it was made."""
    case = stage.prepare(plant.situation)
    case.identity = documents.object_id(stage.rng, case.created)
    case.external_id = str(case.identity)
    stage.pay(case)
    stage.record(case)
    imported = NOW_MS - stage.rng.randrange(HOUR, 20 * HOUR)
    case.document["createdAt"] = case.document["updatedAt"] = documents.at(imported)
    claims.tell_claims(stage, case)
    stage.add_truth(case, plant)


def old_address_paid_again(stage: Stage, plant: Plant) -> None:
    """The buyer of a payment that was settled weeks ago pays once more to the same one-time address, today."""
    case = stage.prepare(plant.situation)
    stage.pay(case)
    stage.record(case)
    leg = Leg()
    movement = stage.movement(case, leg, chain_id=case.chain_id)
    block = stage.ledger.block_at(case.chain_id, NOW_MS - stage.rng.randrange(2 * HOUR, 20 * HOUR))
    stage.add_sent(case, leg, movement=movement, at=stage.ledger.write(case.chain_id, block, movements=(movement,))[0])
    claims.tell_claims(stage, case)
    stage.add_truth(case, plant)


def own_address(stage: Stage, plant: Plant) -> None:
    """A payment by reference whose address is no other payment's and none of the shop's."""
    case = stage.prepare(plant.situation)
    case.recipient = stage.address()
    case.reference = payment_reference(case.request_id, case.salt, case.recipient)
    stage.pay(case)
    stage.settle(case, plant)


def second_attempt_paid(stage: Stage, plant: Plant) -> None:
    """A row keeps the ids of both requests that its buyer was given; what he paid, he paid by the second.

    Where he paid twice, each request was paid once. Where he paid nothing, both wait.
    """
    case = stage.prepare(plant.situation)
    first = (case.request_id, case.reference)
    second_id = "01" + stage.hex(32)
    second = (second_id, payment_reference(second_id, stage.hex(8), case.recipient))
    legs, ways = plant.situation.legs, (second, first)
    by_request: dict[str, list[Leg]] = {}
    for number, leg in enumerate(legs):
        case.request_id, case.reference = ways[number % 2]
        by_request.setdefault(case.request_id, []).append(leg)
        stage._pay_together(case, (leg,), order=number)
    case.request_id, case.reference = first
    stage.record(case)
    _keep_both(case, second_id)
    for request_id, reference in (first, second):
        case.request_id, case.reference = request_id, reference
        sent = case.sent
        case.sent = [one for one in sent if any(one.leg is leg for leg in by_request.get(request_id, ()))]
        claims.tell_claims(stage, case)
        case.sent = sent
    case.request_id, case.reference = first
    case.further = (second,)
    stage.add_truth(case, plant)


def _keep_both(case: Case, second_id: str) -> None:
    """Store the ids of both requests, and what else a row of that release keeps."""
    for name in ("requestId", "paymentReference", "providerPaymentId", "salt", "requestIds"):
        case.document.pop(name, None)
    for name in ("requestNetwork", "paymentReference"):
        case.document["metadata"].pop(name, None)
    case.document["requestIds"] = [case.request_id, second_id]
    case.document["derivedDestination"] = {"address": case.recipient, "chainId": case.chain_id}


def cart_half_paid(stage: Stage, plant: Plant) -> None:
    """Three offers of one order: two were paid, one was not."""
    first, second, third = stage.plant(plant), stage.plant(plant), stage.plant(replace(NEVER_PAID, name=plant.name))
    same_buy(first, second, offer=False)
    same_buy(first, third, offer=False)


def split_over_two_rows(stage: Stage, plant: Plant) -> None:
    """A buyer paid half of a deal by each of two rows that both ask for all of it."""
    first = stage.prepare(plant.situation)
    second = stage.prepare(replace(plant.situation, chains=(first.chain_id,), rails=(first.rail,)))
    for name in ("token", "cents", "amount_units", "due_units"):
        setattr(second, name, getattr(first, name))
    for case in (first, second):
        stage.pay(case)
        stage.settle(case, plant)
    same_buy(first, second)


def _gives_back(stage: Stage, first: Case, cents: int, plant: Plant = _GIVEN) -> Case:
    """A refund row of the deal of another, which gave so much back."""
    row = stage.prepare(replace(_BACK, chains=(first.chain_id,)))
    send_to(row, first.payer)
    row.token, row.cents = first.token, cents
    row.amount_units = row.due_units = cents * (first.amount_units // first.cents)
    row.created = first.created + stage.rng.randrange(90, 180) * MINUTE
    stage.pay(row)
    stage.settle(row, plant)
    same_buy(first, row)
    return row


def refund_rows_give_all(stage: Stage, plant: Plant) -> None:
    """Two refund rows gave back all of a payment that still says completed."""
    first = stage.prepare(Situation(rails=(RN,), age="late"))
    stage.pay(first)
    stage.record(first)
    claims.tell_claims(stage, first)
    part = first.cents * 2 // 5
    rows = [_gives_back(stage, first, cents) for cents in (part, first.cents - part)]
    stage.add_truth(first, replace(plant, effect="nothing"))
    last = max((sent.at.block, sent.at.log_index, sent.at.tx_hash) for row in rows for sent in row.sent)
    sets = {"status": "refunded", "escrowState": "refunded", "blockchain.transactionHash": last[2]}
    stage.truths[-1] = replace(stage.truths[-1], sets=sets)


def _marked_refunded(stage: Stage, plant: Plant, parts: tuple[tuple[int, int], ...]) -> None:
    situation = Situation(rails=(RN,), age="late", statuses=("refunded",), escrows=("refunded",))
    first = stage.plant(replace(plant, situation=situation))
    left = first.cents
    for number, (part, whole) in enumerate(parts, start=1):
        cents = left if whole == 1 and number == len(parts) else max(1, first.cents * part // whole)
        left -= cents
        _gives_back(stage, first, cents)


def refund_rows_as_said(stage: Stage, plant: Plant) -> None:
    """A payment says refunded, and two refund rows gave all of it back."""
    _marked_refunded(stage, plant, ((1, 3), (1, 1)))


def refund_rows_too_little(stage: Stage, plant: Plant) -> None:
    """A payment says refunded, and its two refund rows gave back less than half."""
    _marked_refunded(stage, plant, ((1, 4), (1, 5)))


def refund_rows_too_much(stage: Stage, plant: Plant) -> None:
    """A payment says refunded, and each of two refund rows gave back all of it."""
    situation = Situation(rails=(RN,), age="late", statuses=("refunded",), escrows=("refunded",))
    first = stage.plant(replace(plant, verdict=Verdict.IN_SYNC, situation=situation))
    for _ in range(2):
        _gives_back(stage, first, first.cents, plant)


ODD_CRAFTS: Final[dict[str, Callable[[Stage, Plant], None]]] = {
    craft.__name__: craft
    for craft in (
        payout_poisoned, imported_again, old_address_paid_again, own_address, second_attempt_paid, cart_half_paid,
        split_over_two_rows, refund_rows_give_all, refund_rows_as_said, refund_rows_too_little, refund_rows_too_much,
    )
}  # fmt: skip
