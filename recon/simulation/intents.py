"""Collects the facts of a world from the stage on which it was made: what every planted case left of its intent."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from recon.simulation.ledger_truth import (
    Affair,
    MovedMoney,
    PaidObject,
    ProviderWord,
    Purpose,
    ToldBy,
    WorldFacts,
    is_final_block,
)

if TYPE_CHECKING:
    from recon.simulation.canvas import Canvas
    from recon.simulation.case import Case
    from recon.simulation.ledger import ChainLedger, Movement, Written

FORGETFUL: Final = {"request_network": "/v2/request/", "shkeeper": "/api/v1/invoices/"}
"""By provider, the beginning of the path at which one object is looked up."""


def facts_of(stage: Canvas, *, ledger: ChainLedger, now_ms: int, our_fees: Iterable[str]) -> WorldFacts:
    """Collect what a stage knows by now; later changes of its rows and objects are not in it."""
    moved = {id(written): _moved(ledger, *one) for one in ledger.moves for written in [one[1]]}
    words = _words(stage)
    affairs, taken = [], set()
    for case in stage.cases:
        money = []
        for sent in case.sent:
            taken.add(id(sent.at))
            money.append((sent.purpose, moved[id(sent.at)]))
        affairs.append(_affair(case, tuple(money), words))
    affairs.sort(key=lambda affair: affair.payment_id)
    registry = ledger.registry
    return WorldFacts(
        now_ms=now_ms,
        affairs=tuple(affairs),
        tokens={place: token.decimals for place, token in registry.tokens.items()},
        heads={number: (chain.head, chain.head_time_ms) for number, chain in ledger.clocks.items()},
        ours=frozenset(stage.merchants),
        our_fees=frozenset(our_fees),
        loose=tuple(one for number, one in moved.items() if number not in taken),
        objects=tuple(_paid_objects(stage)),
    )


def _moved(ledger: ChainLedger, movement: Movement, written: Written, fate: str) -> MovedMoney:
    clock = ledger.clocks[written.chain_id]
    arrived = movement.units if movement.arrives is None else movement.arrives
    return MovedMoney(
        chain_id=written.chain_id,
        tx_hash=written.tx_hash,
        log_index=written.log_index,
        block=written.block,
        at_ms=written.time_ms,
        token=movement.token,
        units=arrived if movement.moves_token else 0,
        stated_units=movement.units,
        sender=movement.sender,
        recipient=movement.recipient,
        told_by=_told_by(ledger, movement, written.chain_id),
        reference=movement.reference,
        fee_recipient=movement.fee_recipient if movement.fee_units else None,
        fate=fate,
        depth=clock.head - written.block + 1,
        is_final=is_final_block(written.block, chain_id=written.chain_id, head=clock.head, finalized=clock.finalized),
    )


def _told_by(ledger: ChainLedger, movement: Movement, chain_id: int) -> ToldBy:
    if movement.emitter is None:
        return "token"
    emitter = ledger.registry.emitters.get((chain_id, movement.emitter))
    if emitter is None:
        return "stranger"
    return "fee_proxy" if emitter.kind == "fee_proxy" else "indirect"


def _affair(case: Case, money: tuple[tuple[Purpose, MovedMoney], ...], words: _Words) -> Affair:
    is_request = case.rail == "request_network"
    requests = (case.request_id, *(one for one, _ in case.further)) if is_request else ()
    number = None if is_request else case.external_id
    return Affair(
        payment_id=case.payment_id,
        rail=case.rail,
        direction=case.situation.direction,
        document=case.document,
        owed_units=case.amount_units,
        decimals=case.token.decimals,
        chain_id=case.chain_id,
        token=case.token.address,
        recipient=case.recipient,
        references=(case.reference, *(one for _, one in case.further)) if is_request else (),
        request_ids=requests,
        external_id=number,
        created_ms=case.created,
        expires_ms=case.expires,
        money=money,
        word=words.of(case.rail, requests or (case.external_id,), pays_out=case.situation.direction != "in"),
    )


_STATES: Final = {
    "PAID": "paid", "OVERPAID": "paid", "SUCCESS": "paid", "PARTIAL": "partly", "UNPAID": "unpaid",
    "IN_PROGRESS": "unpaid", "REFUNDED": "refunded", "paid": "paid", "partially_paid": "partly", "pending": "unpaid",
    "refunded": "refunded",
}  # fmt: skip
"""The words of the simulated providers, as far as the simulator uses them."""


class _Words:
    """What the providers of a world say, by kind and key."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], list[tuple[str, tuple[str, ...]]]] = {}
        self.broken: set[tuple[str, str]] = set()

    def add(self, kind: str, key: str, *, state: str, tx_hashes: Iterable[str]) -> None:
        """Take in one object."""
        self.objects.setdefault((kind, key), []).append((_STATES[state], tuple(tx_hashes)))

    def of(self, rail: str, keys: tuple[str, ...], *, pays_out: bool) -> ProviderWord:
        """What is said under some keys of a row."""
        kind = "request" if rail == "request_network" else "payout" if pays_out else "invoice"
        told = [each for key in keys for each in self.objects.get((kind, key), ())]
        broken = [key for key in keys if (rail, key) in self.broken]
        if broken:
            return ProviderWord(answers=False)
        return ProviderWord(True, tuple(state for state, _ in told), tuple(tx for _, several in told for tx in several))


def _words(stage: Canvas) -> _Words:
    words, paid_by = _Words(), _paid_by(stage)
    for line in stage.requests:
        if (request := line.get("request")) is not None:
            named = [request["txHash"]] if request["txHash"] else []
            named += paid_by.get(request["requestId"], [])
            words.add("request", request["requestId"], state=request["status"], tx_hashes=named)
    for line in stage.invoices:
        if (invoice := line.get("invoice")) is not None:
            hashes = [row["txid"] for row in invoice["txs"]]
            words.add("invoice", invoice["external_id"], state=invoice["status"], tx_hashes=hashes)
        if (payout := line.get("payout")) is not None:
            hashes = (payout["txid"] or "").split()
            words.add("payout", payout["external_id"], state=payout["status"], tx_hashes=hashes)
    words.broken = _broken(stage)
    return words


def _broken(stage: Canvas) -> set[tuple[str, str]]:
    """The look-ups that a provider gives no usable answer to."""
    rules = [(rule, FORGETFUL.get(rule.source)) for rule in stage.faults]
    return {
        (rule.source, rule.match.removeprefix(begin))
        for rule, begin in rules
        if begin is not None and rule.match.startswith(begin)
    }


def _paid_by(stage: Canvas) -> dict[str, list[str]]:
    """The transactions that a provider lists as payments of a request."""
    listed: dict[str, list[str]] = {}
    for line in stage.requests:
        if (payment := line.get("payment")) is not None and payment["sourceTxHash"]:
            listed.setdefault(payment["request"]["requestId"], []).append(payment["sourceTxHash"])
    return listed


def _paid_objects(stage: Canvas) -> Iterable[PaidObject]:
    for line in stage.requests:
        if (request := line.get("request")) is not None and request["hasBeenPaid"]:
            number = request["requestId"]
            yield PaidObject(f"provider:request_network:request:{number}", "request_network", number)
    for line in stage.invoices:
        if (invoice := line.get("invoice")) is not None and _STATES[invoice["status"]] == "paid":
            number = invoice["external_id"]
            yield PaidObject(f"provider:shkeeper:invoice:{number}", "shkeeper", number)
