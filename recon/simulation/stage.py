"""Where a world is put together: one call of :meth:`Stage.plant` makes a row, its claims, its money and its truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction
from math import ulp
from typing import Any, Final

from recon.core.ids import payment_id_text, payment_reference
from recon.core.model import Verdict
from recon.core.registry import Token
from recon.core.values import ABSENT, value_at
from recon.simulation import claims, documents
from recon.simulation.canvas import Canvas
from recon.simulation.case import SHKEEPER_CHAINS, Case, Sent
from recon.simulation.ledger import FINAL_AFTER_MS, ZERO, ChainLedger, Movement, Written
from recon.simulation.situation import RN, SK, Effect, Leg, Plant, Situation, Truth

NOW: Final = datetime(2026, 11, 20, 12, tzinfo=UTC)
NOW_MS: Final = int(NOW.timestamp() * 1000)
MINUTE: Final = 60_000
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR

CHAIN_WEIGHTS: Final = ((56, 40), (8453, 20), (137, 18), (42161, 14), (1, 8))
AGES: Final = {
    "normal": (150 * MINUTE, 7 * DAY - HOUR),
    "late": (6 * HOUR, 7 * DAY - HOUR),
    "day": (25 * HOUR, 7 * DAY - HOUR),
    "fresh": (6 * MINUTE, 20 * MINUTE),
    "bsc_fresh": (18 * MINUTE, 24 * MINUTE),
    "weeks": (8 * DAY, 29 * DAY),
    "months": (31 * DAY, 60 * DAY),
}
_DUST_MILLIONTHS: Final = 1
FEE_RECIPIENTS: Final = ("0x" + "fee0" * 10, "0x" + "fee1" * 10)
"""The protocol's and the platform's fee addresses that our requests name."""


class Stage(Canvas):
    """Plants payments: decides, moves money, records the rows, and keeps the truth of them."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.ledger = ChainLedger(self.rng, NOW_MS)
        self.merchants = tuple(sorted(self.address() for _ in range(2)))
        self.hot_wallet = self.address()

    def draw_chain(self, choice: Sequence[int] = ()) -> int:
        """A chain, by how much is paid on each."""
        listed = [(chain, weight) for chain, weight in CHAIN_WEIGHTS if not choice or chain in choice]
        return self.rng.choices([chain for chain, _ in listed], [weight for _, weight in listed])[0]

    def prepare(self, situation: Situation) -> Case:
        """Decide everything about a payment that its situation leaves open; no source shows it yet."""
        rng = self.rng
        rail = situation.rails[rng.randrange(len(situation.rails))]
        chains = situation.chains or (tuple(SHKEEPER_CHAINS) if rail == SK else ())
        chain_id = self.draw_chain((56,) if situation.age == "bsc_fresh" else chains)
        token = self._token_of(situation, chain_id)
        cents = rng.choice((rng.randrange(100, 5_000), rng.randrange(1_000, 50_000), rng.randrange(10_000, 900_000)))
        unit = 10 ** (token.decimals - 2)
        low, high = AGES[situation.age]
        created = NOW_MS - rng.randrange(low, high)
        recipient = self.address()
        if situation.direction == "in" and rail == RN and rng.random() < 0.4:
            recipient = rng.choice(self.merchants)
        request_id, salt = "01" + self.hex(32), self.hex(8)
        identity = documents.identity(rng, created)
        return Case(
            situation=situation,
            rail=rail,
            token=token,
            cents=cents,
            amount_units=cents * unit,
            due_units=cents * unit if rail == RN or situation.direction != "in" else cents * unit * 102 // 100,
            created=created,
            expires=self._expires(situation, created),
            recipient=recipient,
            payer=self.address() if situation.direction == "in" else self.hot_wallet,
            request_id=request_id,
            salt=salt,
            reference=payment_reference(request_id, salt, recipient),
            identity=identity,
            external_id=str(identity) if rng.random() < 0.7 else f"order-{self.hex(6)}",
        )

    def _token_of(self, situation: Situation, chain_id: int) -> Token:
        drawn = self.rng.choice(("USDC", "USDT"))
        token = self.ledger.registry.token(chain_id, situation.coin or drawn)
        assert token is not None
        return token

    def _expires(self, situation: Situation, created: int) -> int | None:
        rng, expiry = self.rng, situation.expiry
        if expiry == "either":
            expiry = rng.choice(("none", "past", "past", "future"))
        if expiry == "none":
            return None
        if expiry == "future":
            return NOW_MS + rng.randrange(HOUR, 48 * HOUR)
        return created + rng.randrange(50, 90) * MINUTE

    def plant(self, plant: Plant) -> Case:
        """Make one payment of the catalogue: row, claims, money, truth."""
        case = self.prepare(plant.situation)
        self.pay(case)
        return self.settle(case, plant)

    def settle(self, case: Case, plant: Plant) -> Case:
        """Write the row, the claims and the truth of a case whose money has moved."""
        self.record(case)
        claims.tell_claims(self, case)
        self.add_truth(case, plant)
        return case

    def record(self, case: Case) -> None:
        """Write the row as the backend would store it."""
        case.recorded = self._recorded(case)
        case.document = documents.document(self.rng, case)
        self.documents.append(case.document)

    def add_truth(self, case: Case, plant: Plant) -> None:
        """Write down what is true of a case, and keep the case: the referee is told of it."""
        self.cases.append(case)
        sets = None
        for effect in (plant.effect, plant.also):
            if effect != "nothing":
                sets = {**(sets or {}), **effect_of(case, effect)}
        self.truths.append(
            Truth(
                payment_id=payment_id_text(case.document["_id"]),
                verdict=plant.verdict,
                findings=(plant.verdict, *(f for f in plant.findings if f != plant.verdict)),
                sets=sets,
                planted=plant.name,
            )
        )

    def add_missing(self, key: str, name: str, *, verdict: Verdict = Verdict.MISSING_LOCAL) -> None:
        """Write down that money or a provider's object has no row."""
        self.truths.append(Truth(payment_id=key, verdict=verdict, findings=(verdict,), planted=name))

    def pay(self, case: Case) -> None:
        """Write every leg of a case to its chain."""
        legs = case.situation.legs
        start = 0
        while start < len(legs):
            end = start + 1
            while end < len(legs) and legs[end].joined:
                end += 1
            self._pay_together(case, legs[start:end], order=start)
            start = end

    def _pay_together(self, case: Case, legs: Sequence[Leg], *, order: int) -> None:
        chain_id = case.chain_id if legs[0].chain == "right" else self._other_chain(case)
        block = self.block_of(case, legs[0], chain_id=chain_id, order=order)
        moved = [self.movement(case, leg, chain_id=chain_id) for leg in legs]
        landed = self.ledger.write(chain_id, block, movements=tuple(moved), fate=legs[0].fate)
        for leg, movement, at in zip(legs, moved, landed, strict=True):
            self.add_sent(case, leg, movement=movement, at=at)

    def add_sent(self, case: Case, leg: Leg, *, movement: Movement, at: Written) -> None:
        """Remember that a leg of a case was written to its chain."""
        case.sent.append(Sent(leg, at, movement.recipient, movement.units))

    def _other_chain(self, case: Case) -> int:
        return self.draw_chain([chain for chain, _ in CHAIN_WEIGHTS if chain != case.chain_id])

    def block_of(self, case: Case, leg: Leg, *, chain_id: int, order: int = 0) -> int:
        """The block of a leg: in time, after expiry, before the row was made, or too new to be final."""
        rng = self.rng
        if leg.when == "fresh":
            return self.ledger.head(chain_id) - rng.randrange(0, 7)
        if leg.when == "before_creation":
            return self.ledger.block_at(chain_id, case.created - rng.randrange(HOUR, 2 * HOUR))
        start = case.created + (1 + 12 * order) * MINUTE
        if leg.when == "after_expiry":
            start = (case.expires or case.created) + (10 + 12 * order) * MINUTE
        time_ms = start + rng.randrange(20_000, 11 * MINUTE)
        if case.situation.age == "bsc_fresh":
            time_ms = case.created + rng.randrange(MINUTE, 5 * MINUTE)
        else:
            assert time_ms < NOW_MS - FINAL_AFTER_MS, (case.situation, leg)
        return self.ledger.block_at(chain_id, time_ms)

    def movement(self, case: Case, leg: Leg, *, chain_id: int) -> Movement:
        """What a leg moves, and which contract tells of it."""
        token = self._leg_token(case, leg, chain_id)
        units = _leg_units(case, leg, token)
        escrow = self.ledger.registry.emitters_of(case.chain_id, kind="escrow")
        recipients = {
            "right": case.recipient,
            "payer": case.payer,
            "escrow": escrow[0].address if escrow else ZERO,
            "stranger": "",
        }
        plain = Movement(
            token=token.address,
            sender=case.payer if leg.to != "payer" else self.merchants[0],
            recipient=recipients[leg.to] or self.address(),
            units=units,
            moves_token=leg.token != "fake_max" and leg.via != "stranger_contract",  # noqa: S105
            arrives=units - units * leg.keeps_ppm // 1_000_000 if leg.keeps_ppm else None,
        )
        if (leg.via or ("proxy" if case.rail == RN else "plain")) == "plain":
            return plain
        emitter = self._emitter(case, leg, chain_id)
        fee_units, fee_recipient = self._fee(leg, units)
        return replace(
            plain,
            emitter=emitter,
            reference=case.reference if leg.reference == "right" else self.hex(8),
            fee_units=fee_units,
            fee_recipient=fee_recipient,
        )

    def _emitter(self, case: Case, leg: Leg, chain_id: int) -> str:
        """The contract that tells of a movement."""
        if leg.via == "escrow":
            return self.ledger.registry.emitters_of(case.chain_id, kind="escrow")[0].address
        if leg.via == "stranger_contract":
            return self.address()
        if leg.via == "conversion":
            return self.ledger.registry.emitters_of(chain_id, kind="conversion_proxy")[-1].address
        return self.ledger.proxy(chain_id, old=leg.via == "old_proxy")

    def _leg_token(self, case: Case, leg: Leg, chain_id: int) -> Token:
        if leg.token in ("fake", "fake_max", "unknown"):
            return Token(chain_id, self.address(), "USDT", case.token.decimals)
        symbol = case.token.symbol
        if leg.token == "other":  # noqa: S105 - a word, not a secret
            symbol = "USDT" if symbol == "USDC" else "USDC"
        if leg.token == "bridged":  # noqa: S105 - a word, not a secret
            symbol = "USDC.e"
        token = self.ledger.registry.token(chain_id, symbol)
        assert token is not None
        return token

    def _fee(self, leg: Leg, units: int) -> tuple[int, str]:
        fee = max(1, min(units, 2**200) // 200)
        if leg.fee == "zero_address":
            return fee, ZERO
        if leg.fee == "wrong":
            return fee, self.address()
        if leg.fee == "none" or self.rng.random() < 0.3:
            return 0, ZERO
        return fee, self.rng.choice(FEE_RECIPIENTS)

    def _recorded(self, case: Case) -> str | None:
        if case.recorded_as is not None:
            return case.recorded_as
        word = case.situation.recorded
        if word in ("leg", "last"):
            return case.sent[0 if word == "leg" else -1].at.tx_hash
        if word == "foreign":
            return self.foreign_payment(case.chain_id, case.created + 2 * MINUTE).tx_hash
        if word == "proof":
            return case.proof
        return {"unknown": "0x" + self.hex(32), "simulated": f"SIM_{self.hex(16)}"}.get(word)

    def foreign_payment(self, chain_id: int, time_ms: int, *, emitter: str | None = None) -> Written:
        """Write another merchant's payment through the proxy, or through another contract that emits the same event."""
        token = self.ledger.registry.token(chain_id, self.rng.choice(("USDC", "USDT")))
        assert token is not None
        movement = Movement(
            token=token.address,
            sender=self.address(),
            recipient=self.address(),
            units=self.rng.randrange(1, 10**6) * 10 ** (token.decimals - 2),
            emitter=emitter or self.ledger.proxy(chain_id),
            reference=self.hex(8),
        )
        return self.ledger.write(chain_id, self.ledger.block_at(chain_id, time_ms), movements=(movement,))[0]


def _leg_units(case: Case, leg: Leg, token: Token) -> int:
    """How much a leg moves, in the base units of the token that it moves."""
    if leg.token == "fake_max":  # noqa: S105 - a word, not a secret
        return 2**256 - 1
    if leg.is_dust:
        return int(_DUST_MILLIONTHS * 10**token.decimals // 1_000_000)
    units = case.due_units * leg.of_due[0] // leg.of_due[1]
    if leg.of_amount_ppm is not None:
        units = case.amount_units * leg.of_amount_ppm // 1_000_000
    if token.chain_id != case.chain_id:
        units = units * 10 ** (2 + token.decimals) // 10 ** (2 + case.token.decimals)
    return units + leg.plus_units * _step_units(case)


def _step_units(case: Case) -> int:
    """The least that can be told from the amount of a row: one base unit, or more where a double cannot say it."""
    return 1 + int(2 * Fraction(ulp(case.cents / 100)) * 10**case.token.decimals)


def effect_of(case: Case, effect: Effect) -> dict[str, Any]:
    """The after-values that the table of writes gives for an effect, less what is stored already."""
    proof = case.proof
    stored = case.document.get("blockchain", {}).get("confirmations")
    confirmations = documents.count_like(stored, 12)
    sets: dict[Effect, dict[str, Any]] = {
        "credit": {
            "status": "completed",
            "escrowState": "funded",
            "blockchain.transactionHash": proof,
            "blockchain.confirmations": confirmations,
        },
        "release": {"escrowState": "released", "blockchain.transactionHash": proof},
        "give_back": {"escrowState": "refunded", "blockchain.transactionHash": proof},
        "refund": {
            "status": "refunded",
            "escrowState": "refunded",
            "blockchain.transactionHash": case.sent[-1].at.tx_hash if case.sent else None,
        },
        "hash": {"blockchain.transactionHash": proof},
        "escrow": {"escrowState": "funded"},
        "status": {"status": "completed"},
        "confirmations": {"blockchain.confirmations": confirmations},
        "dispute": {"disputed": True},
    }
    wanted = {path: documents.extended(value) for path, value in sets[effect].items()}
    return {path: value for path, value in wanted.items() if documents.extended(_at(case.document, path)) != value}


def _at(document: dict[str, Any], path: str) -> Any:
    value = value_at(document, path)
    return None if value is ABSENT else value
