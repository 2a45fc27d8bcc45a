"""Plantings that need more than one row, or an answer that no single situation describes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from recon.core.ids import payment_reference
from recon.core.model import Verdict
from recon.simulation import claims
from recon.simulation.case import Case
from recon.simulation.catalogue import outgoing, waiting
from recon.simulation.ledger import Movement
from recon.simulation.situation import PAID, RN, SK, Plant, Situation
from recon.simulation.stage import MINUTE, Stage

NEVER_PAID: Final = Plant(
    "unpaid_beside_it", Verdict.ABANDONED, waiting(legs=(), says="unpaid", expiry="past", rails=(RN,))
)


def same_buy(first: Case, second: Case, *, offer: bool = True) -> None:
    """Make two rows belong to one buyer and order, and to one offer."""
    for name in ("buyerId", "purchaseRequestId", *(("sellerOfferId",) if offer else ())):
        second.document[name] = first.document[name]


def _with(plant: Plant, situation: Situation) -> Plant:
    return replace(plant, situation=situation)


def _two_paid(stage: Stage, plant: Plant, rails: tuple[str, str]) -> None:
    second = waiting(rails=rails[1:]) if stage.rng.random() < 0.5 else Situation(rails=rails[1:])
    first_case = stage.plant(_with(plant, Situation(rails=rails[:1])))
    second_case = stage.plant(_with(plant, second))
    same_buy(first_case, second_case)


def two_rails_paid(stage: Stage, plant: Plant) -> None:
    """A buyer paid one offer through both providers."""
    _two_paid(stage, plant, (RN, SK))


def two_requests_paid(stage: Stage, plant: Plant) -> None:
    """A buyer paid two requests for one offer."""
    _two_paid(stage, plant, (RN, RN))


def unpaid_twin(stage: Stage, plant: Plant) -> None:
    """A buyer opened two payments for one offer and paid one."""
    first = stage.plant(_with(plant, Situation()))
    second = stage.plant(NEVER_PAID)
    same_buy(first, second)


def cart(stage: Stage, plant: Plant) -> None:
    """Two offers of one order, both paid: nothing competes."""
    first, second = stage.plant(plant), stage.plant(plant)
    same_buy(first, second, offer=False)


def send_to(case: Case, address: str) -> None:
    """Let a case be paid to another address than the one that was drawn for it."""
    case.recipient = address
    case.reference = payment_reference(case.request_id, case.salt, address)


def _row_of_deal(
    stage: Stage,
    first: Case,
    situation: Situation,
    *,
    part: tuple[int, int],
    plant: Plant | None = None,
    to: str | None = None,
) -> None:
    """A row that belongs to the deal of another and that moved a part of its amount, as it says; a refund to its payer.

    Args:
        to: Where it went, if elsewhere.
    """
    row = stage.prepare(replace(situation, chains=(first.chain_id,)))
    if to is not None or situation.direction == "refund":
        send_to(row, to or first.payer)
    row.token = first.token
    row.cents = max(1, first.cents * part[0] // part[1])
    row.amount_units = row.due_units = row.cents * (first.amount_units // first.cents)
    row.created = first.created + 90 * MINUTE
    stage.pay(row)
    stage.settle(row, plant or Plant("healthy", Verdict.IN_SYNC, situation))
    same_buy(first, row)


def refunds_of_one_order(stage: Stage, plant: Plant) -> None:
    """A completed payment of which two refund rows gave parts back: nothing competes."""
    first = stage.plant(_with(plant, Situation(rails=(RN,), age="late")))
    back = outgoing(
        rails=(RN,), direction="refund", statuses=("completed",), escrows=("refunded",), legs=PAID, recorded="proof"
    )
    for part in ((1, 4), (1, 5)):
        _row_of_deal(stage, first, back, part=part)


def refund_to_a_stranger(stage: Stage, plant: Plant) -> None:
    """A refund row gave a part back to an address that had paid nothing, and the row paid names who paid."""
    first = stage.plant(replace(plant, verdict=Verdict.PARTLY_REFUNDED, situation=Situation(rails=(SK,), age="late")))
    first.document["blockchain"]["sender"] = first.payer
    back = outgoing(
        rails=(RN,), direction="refund", statuses=("completed",), escrows=("refunded",), legs=PAID, recorded="proof"
    )
    _row_of_deal(stage, first, back, part=(1, 4), plant=plant, to=stage.address())


def payout_to_the_buyer(stage: Stage, plant: Plant) -> None:
    """What was the seller's went to the address from which the deal was paid."""
    first = stage.plant(
        replace(plant, verdict=Verdict.IN_SYNC, situation=Situation(rails=(SK,), age="late", escrows=("released",)))
    )
    done = outgoing(rails=(SK,), statuses=("completed",), escrows=("released",), legs=PAID, recorded="proof")
    _row_of_deal(stage, first, done, part=(19, 20), plant=plant, to=first.payer)


def pending_though_paid_out(stage: Stage, plant: Plant) -> None:
    """A paid row that was set back to pending after its seller had been paid by another row of the deal."""
    first = stage.plant(_with(plant, waiting(rails=(RN,), age="late", expiry="none")))
    done = outgoing(rails=(RN,), statuses=("completed",), escrows=("released",), legs=PAID, recorded="proof")
    _row_of_deal(stage, first, done, part=(19, 20))


def payout_in_two_rows(stage: Stage, plant: Plant) -> None:
    """A retried payout made a second row of the deal, and both were paid."""
    done = outgoing(rails=(SK,), statuses=("completed",), escrows=("released",), legs=PAID, recorded="proof")
    first = stage.plant(_with(plant, replace(done, age="late")))
    _row_of_deal(stage, first, done, part=(1, 1), plant=plant)


def payout_sent_twice(stage: Stage, plant: Plant) -> None:
    """A payout that left its wallet twice; the row knows of one, and the gateway lists both."""
    case = stage.plant(replace(plant, name="healthy", verdict=Verdict.IN_SYNC))
    sent = case.sent[0]
    again = Movement(case.token.address, case.payer, case.recipient, sent.units)
    block = stage.ledger.block_at(case.chain_id, sent.at.time_ms + MINUTE)
    written = stage.ledger.write(case.chain_id, block, movements=(again,))[0]
    row = {"txid": written.tx_hash, "addr": case.recipient, "amount": claims.human(case, sent.units)}
    stage.invoices.append({"transaction": {**row, "crypto": case.coin, "status": "CONFIRMED"}})
    key = f"chain:{case.chain_id}:{written.tx_hash}:{written.log_index}"
    stage.add_missing(key, plant.name, verdict=plant.verdict)


def one_request_two_rows(stage: Stage, plant: Plant) -> None:
    """Two rows carry one request."""
    first = stage.plant(_with(plant, Situation(rails=(RN,))))
    second = stage.prepare(waiting(rails=(RN,), legs=(), says="silent", chains=(first.chain_id,)))
    for name in ("request_id", "salt", "reference", "recipient", "token", "cents", "amount_units", "due_units"):
        setattr(second, name, getattr(first, name))
    stage.settle(second, plant)


def one_invoice_two_rows(stage: Stage, plant: Plant) -> None:
    """Two rows carry one SHKeeper order number."""
    first = stage.plant(_with(plant, Situation(rails=(SK,))))
    second = stage.prepare(waiting(rails=(SK,), legs=(), says="silent", chains=(first.chain_id,)))
    for name in ("external_id", "recipient", "token", "cents", "amount_units", "due_units"):
        setattr(second, name, getattr(first, name))
    stage.settle(second, plant)


def one_transfer_two_rows(stage: Stage, plant: Plant) -> None:
    """A second row carries the hash of a transfer that another row was rightly completed with."""
    first = stage.plant(replace(_with(plant, Situation(rails=(RN,))), verdict=Verdict.IN_SYNC))
    second = stage.prepare(Situation(rails=(RN,), legs=(), says="unpaid", chains=(first.chain_id,)))
    second.recorded_as = first.proof
    stage.settle(second, plant)


def two_invoices_one_address(stage: Stage, plant: Plant) -> None:
    """One transfer to an address that two open payments of equal amount wait at."""
    first = stage.prepare(waiting(rails=(SK,), says="unpaid", expiry="none"))
    second = stage.prepare(waiting(rails=(SK,), legs=(), says="unpaid", expiry="none", chains=(first.chain_id,)))
    for name in ("recipient", "token", "cents", "amount_units", "due_units"):
        setattr(second, name, getattr(first, name))
    second.created = first.created - 3 * MINUTE
    stage.pay(first)
    stage.settle(first, plant)
    stage.settle(second, plant)


def batch_payment(stage: Stage, plant: Plant) -> None:
    """Two requests paid in one transaction: one hash, two logs, two payments."""
    situation = Situation(rails=(RN,), recorded="proof")
    if plant.verdict is Verdict.LOCAL_BEHIND:
        situation = waiting(rails=(RN,))
    first = stage.prepare(situation)
    second = stage.prepare(replace(situation, chains=(first.chain_id,)))
    second.created, second.expires = first.created, first.expires
    leg = situation.legs[0]
    movements = tuple(stage.movement(case, leg, chain_id=first.chain_id) for case in (first, second))
    block = stage.block_of(first, leg, chain_id=first.chain_id)
    landed = stage.ledger.write(first.chain_id, block, movements=movements)
    for case, movement, written in zip((first, second), movements, landed, strict=True):
        stage.add_sent(case, leg, movement=movement, at=written)
        stage.settle(case, plant)


def equal_amounts(stage: Stage, plant: Plant) -> None:
    """Two payments of one amount to one merchant address, of which one was paid, by its reference."""
    first = stage.prepare(Situation(rails=(RN,)))
    second = stage.prepare(replace(NEVER_PAID.situation, chains=(first.chain_id,)))
    second.token, second.cents, second.amount_units = first.token, first.cents, first.amount_units
    second.due_units, second.created = first.due_units, first.created
    second.expires = first.created + 60 * MINUTE
    for case in (first, second):
        case.recipient = stage.merchants[0]
        case.reference = payment_reference(case.request_id, case.salt, case.recipient)
    stage.pay(first)
    stage.settle(first, plant)
    stage.settle(second, NEVER_PAID)


# ------------------------------------------------------------------------------------------------ SHKeeper's own traps


def _invoiced(stage: Stage, plant: Plant) -> tuple[Case, dict[str, Any]]:
    case = stage.prepare(plant.situation)
    stage.pay(case)
    stage.record(case)
    invoice = claims.tell_invoice(stage, case)
    stage.add_truth(case, plant)
    return case, invoice


def several_invoices(stage: Stage, plant: Plant) -> None:
    """A retried call made two invoices of one order number; one was paid."""
    case, _ = _invoiced(stage, plant)
    claims.tell_invoice(stage, case, address=stage.address(), sees=False)


def raised_invoice(stage: Stage, plant: Plant) -> None:
    """The amount of an invoice was raised after it had been paid: still PAID, with far too little."""
    case, invoice = _invoiced(stage, plant)
    invoice["amount_fiat"] = claims.through_float(f"{5 * case.cents // 100}.{5 * case.cents % 100:02d}")


def float_noise(stage: Stage, plant: Plant) -> None:
    """The gateway's numbers went through a float."""
    _, invoice = _invoiced(stage, plant)
    noisy = f"{float(invoice['balance_fiat']) - 1e-10:.10f}"
    invoice["balance_fiat"] = noisy
    for tx in invoice["txs"]:
        tx["amount"] = noisy


def stale_unconfirmed(stage: Stage, plant: Plant) -> None:
    """A replaced transaction stays in the invoice, unconfirmed, forever."""
    _, invoice = _invoiced(stage, plant)
    stale = {**invoice["txs"][0], "txid": "0x" + stage.hex(32), "status": "UNCONFIRMED"}
    invoice["txs"].append(stale)


def lost_credit(stage: Stage, plant: Plant) -> None:
    """The gateway stored the transaction and then failed to credit it."""
    _, invoice = _invoiced(stage, plant)
    invoice["status"], invoice["balance_fiat"] = "UNPAID", "0"


def second_dropped(stage: Stage, plant: Plant) -> None:
    """Of two transfers in one transaction the gateway keeps the first."""
    case, invoice = _invoiced(stage, plant)
    invoice["txs"] = invoice["txs"][:1]
    units = case.sent[0].units
    invoice["balance_fiat"] = claims.through_float(claims.human(case, units))
    invoice["status"] = claims.invoice_status(units, case.amount_units)


def wrong_coin(stage: Stage, plant: Plant) -> None:
    """The gateway credits whatever coin comes to an invoice's address."""
    case, invoice = _invoiced(stage, plant)
    symbol = "USDT" if case.token.symbol == "USDC" else "USDC"
    amount = claims.through_float(claims.human(case, case.due_units))
    coin = case.coin.replace(case.token.symbol, symbol)
    tx = {"txid": case.sent[0].at.tx_hash, "addr": case.recipient, "amount": amount, "crypto": coin}
    invoice["txs"] = [{**tx, "status": "CONFIRMED"}]
    invoice["status"], invoice["balance_fiat"] = "PAID", amount


def share_address(first: Case, second: Case) -> None:
    """Let a second payment be paid in the token and at the address of a first one."""
    for name in ("recipient", "token"):
        setattr(second, name, getattr(first, name))
    unit = first.amount_units // first.cents
    second.amount_units = second.cents * unit
    second.due_units = second.amount_units * 102 // 100


def address_used_twice(stage: Stage, plant: Plant) -> None:
    """One deposit address served two payments, each paid by a transfer of its own."""
    situation = Situation(rails=(SK,), age="late", expiry="none")
    first = stage.prepare(situation)
    second = stage.prepare(replace(situation, chains=(first.chain_id,)))
    second.cents = first.cents * 3
    share_address(first, second)
    second.created = first.created + 30 * MINUTE
    for case in (first, second):
        stage.pay(case)
        stage.settle(case, plant)


def address_paid_for_another(stage: Stage, plant: Plant) -> None:
    """A transfer to a shared address belongs to the payment that recorded it, not to the one that still waits there."""
    first = stage.prepare(Situation(rails=(SK,), expiry="none"))
    waiting = replace(NEVER_PAID.situation, rails=(SK,), chains=(first.chain_id,))
    second = stage.prepare(waiting)
    second.cents = first.cents
    share_address(first, second)
    second.created = first.created - 2 * MINUTE
    second.expires = first.created + 55 * MINUTE
    stage.pay(first)
    stage.settle(first, plant)
    stage.settle(second, replace(NEVER_PAID, name=plant.name, situation=waiting))


# ------------------------------------------------------------------------------------------------------ nobody's money


def orphan_transfer(stage: Stage, plant: Plant) -> None:
    """Tokens were sent to one of our addresses; no row knows of it."""
    case = stage.prepare(Situation(rails=(RN,)))
    movement = Movement(case.token.address, case.payer, stage.merchants[0], case.amount_units)
    block = stage.ledger.block_at(case.chain_id, case.created)
    written = stage.ledger.write(case.chain_id, block, movements=(movement,))[0]
    stage.add_missing(f"chain:{case.chain_id}:{written.tx_hash}:{written.log_index}", plant.name)


def orphan_proxy_payment(stage: Stage, plant: Plant) -> None:
    """A payment with a reference that was never saved came to one of our addresses."""
    case = stage.prepare(Situation(rails=(RN,)))
    case.recipient = stage.merchants[-1]
    movement = stage.movement(case, case.situation.legs[0], chain_id=case.chain_id)
    block = stage.ledger.block_at(case.chain_id, case.created)
    written = stage.ledger.write(case.chain_id, block, movements=(movement,))[0]
    stage.add_missing(f"chain:{case.chain_id}:{written.tx_hash}:{written.log_index}", plant.name)


def orphan_in_a_batch(stage: Stage, plant: Plant) -> None:
    """One transaction paid two references: one is of a row that records it, the other of no row."""
    case = stage.prepare(Situation(rails=(RN,), recorded="proof"))
    lost = stage.prepare(replace(case.situation, chains=(case.chain_id,)))
    lost.recipient = stage.merchants[-1]
    leg = case.situation.legs[0]
    movements = tuple(stage.movement(one, leg, chain_id=case.chain_id) for one in (case, lost))
    block = stage.block_of(case, leg, chain_id=case.chain_id)
    own, other = stage.ledger.write(case.chain_id, block, movements=movements)
    stage.add_sent(case, leg, movement=movements[0], at=own)
    stage.settle(case, Plant("healthy", Verdict.IN_SYNC, case.situation))
    stage.add_missing(f"chain:{case.chain_id}:{other.tx_hash}:{other.log_index}", plant.name)


def _paid_request(stage: Stage, recipient: str | None = None) -> Case:
    """A request of our account that was paid, told by the provider, known to no row."""
    case = stage.prepare(Situation(rails=(RN,)))
    if recipient is not None:
        case.recipient = recipient
    while case.recipient in stage.merchants:
        case.recipient = stage.address()
    case.reference = payment_reference(case.request_id, case.salt, case.recipient)
    stage.pay(case)
    claims.tell_claims(stage, case)
    return case


def orphan_request(stage: Stage, plant: Plant) -> None:
    """The provider has a paid request of our account that no row knows."""
    case = _paid_request(stage)
    stage.add_missing(f"provider:{RN}:request:{case.request_id}", plant.name)


def twin_request_paid(stage: Stage, plant: Plant) -> None:
    """A retried creation made a second request of the same content; that one was paid."""
    row = stage.prepare(NEVER_PAID.situation)
    while row.recipient in stage.merchants:
        row.recipient = stage.address()
    row.reference = payment_reference(row.request_id, row.salt, row.recipient)
    stage.settle(row, replace(NEVER_PAID, name=plant.name))
    twin = _paid_request(stage, row.recipient)
    stage.add_missing(f"provider:{RN}:request:{twin.request_id}", plant.name)


def orphan_invoice(stage: Stage, plant: Plant) -> None:
    """The gateway has a paid invoice whose order number no row knows."""
    case = stage.prepare(Situation(rails=(SK,)))
    case.external_id = f"lost-{stage.hex(6)}"
    stage.pay(case)
    claims.tell_claims(stage, case)
    stage.add_missing(f"provider:{SK}:invoice:{case.external_id}", plant.name)


CRAFTS: Final[dict[str, Callable[[Stage, Plant], None]]] = {
    craft.__name__: craft
    for craft in (
        two_rails_paid, two_requests_paid, unpaid_twin, cart, one_request_two_rows, one_invoice_two_rows,
        one_transfer_two_rows, two_invoices_one_address, batch_payment, equal_amounts, several_invoices,
        raised_invoice, float_noise, stale_unconfirmed, lost_credit, second_dropped, orphan_transfer,
        orphan_proxy_payment, orphan_in_a_batch, orphan_request, twin_request_paid, orphan_invoice, wrong_coin,
        address_used_twice, address_paid_for_another, refunds_of_one_order, pending_though_paid_out,
        payout_in_two_rows, payout_sent_twice, refund_to_a_stranger, payout_to_the_buyer,
    )
}  # fmt: skip
