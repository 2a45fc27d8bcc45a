"""Check whether a transaction that a buyer shows proves a payment. Nothing is written.

*accept* needs everything at once: success, the right token, recipient, network, reference and amount, depth, and no
other payment that uses the same transfer. *wait* is for what time can still bring. Anything else is *suspicious* and
goes to operator review with every mismatch spelled out; the payment stays pending.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from recon.core.errors import SourceError
from recon.core.ids import normalise_tx_hash
from recon.core.money import format_units
from recon.core.times import to_ms
from recon.investigation.payment.dossier import Dossier, Row
from recon.investigation.payment.gather import Asking
from recon.investigation.payment.identify import NoIdError, names_of
from recon.sources.interface import ChainQuestion
from recon.verdicts.links import INDIRECT_EMITTERS

if TYPE_CHECKING:
    from recon.core.registry import Registry
    from recon.snapshots.take import SourceSet

Answer = Literal["accept", "wait", "suspicious"]


@dataclass(frozen=True, slots=True)
class ProofCheck:
    """One thing a proof must show: ``state`` is right, wrong, open (time may bring it) or unknown (no answer)."""

    name: str
    state: Literal["right", "wrong", "open", "unknown"]
    says: str


@dataclass(frozen=True, slots=True)
class ProofReport:
    """What a proof is worth.

    Args:
        answer: accept, wait or suspicious.
        payment_id: The payment it was held against, or None when none was named or found.
    """

    tx_hash: str
    payment_id: str | None
    answer: Answer
    checks: tuple[ProofCheck, ...]

    @property
    def why(self) -> str:
        """The checks that decide, in one sentence."""
        state = {"accept": "right", "wait": "open", "suspicious": "wrong"}[self.answer]
        chosen = [check.says for check in self.checks if check.state in (state, "unknown")]
        return "; ".join(chosen) if self.answer != "accept" else "everything is right"


def verify_proof(tx: str, dossier: Dossier, *, sources: SourceSet, asking: Asking) -> ProofReport:
    """Check a transaction against a payment.

    Args:
        tx: A transaction hash, however it was pasted.
        dossier: The payment, as an inspection found it.

    Raises:
        NoIdError: The text is no transaction hash.
    """
    tx_hash = next((name.value for name in names_of(tx) if name.kind == "tx_hash"), None)
    if tx_hash is None or normalise_tx_hash(tx_hash) is None:
        raise NoIdError(text=tx)
    transactions, transfers, failed = _read(tx_hash, sources, asking)
    holders, unasked = _holders(tx_hash, sources, asking)
    checks = judge_proof(dossier, transactions=transactions, transfers=transfers, registry=asking.registry)
    checks += _users(holders, dossier, transfers, tx_hash)
    checks += [ProofCheck("asked", "unknown", text) for text in (*failed, *unasked)]
    return ProofReport(tx_hash, dossier.payment_id, _answer(checks), tuple(checks))


def _answer(checks: Sequence[ProofCheck]) -> Answer:
    states = {check.state for check in checks}
    if "wrong" in states:
        return "suspicious"
    return "wait" if states & {"open", "unknown"} else "accept"


def judge_proof(
    dossier: Dossier, *, transactions: Sequence[Row], transfers: Sequence[Row], registry: Registry
) -> list[ProofCheck]:
    """The checks of a proof against a payment, from what the chains said of its transaction."""
    payment = dossier.payment
    if payment is None:
        return [ProofCheck("payment", "wrong", "no payment of ours is named, so there is nothing that it could prove")]
    here = [row for row in transactions if row["chain_id"] == payment["chain_id"]]
    outcome = here[0]["outcome"] if here else "failed"
    elsewhere = [row for row in transactions if row["outcome"] == "success" and row["chain_id"] != payment["chain_id"]]
    if outcome != "success":
        return [_missing(outcome, elsewhere, payment)]
    checks = [
        ProofCheck("transaction", "right", f"it succeeded on chain {payment['chain_id']} in block {here[0]['block']}")
    ]
    own = [row for row in transfers if row["chain_id"] == payment["chain_id"]]
    best = _best(own, payment)
    if best is None:
        return [*checks, ProofCheck("transfer", "wrong", "it moves no token at all")]
    return [
        *checks,
        *_fields(best, payment),
        _amount(own, payment, registry),
        _depth(best, payment, dossier),
        *_when(best, payment),
    ]


def _missing(outcome: str, elsewhere: Sequence[Row], payment: Row) -> ProofCheck:
    if elsewhere:
        said = f"it is on chain {elsewhere[0]['chain_id']}, the payment is due on chain {payment['chain_id']}"
        return ProofCheck("network", "wrong", said)
    if outcome == "pending":
        return ProofCheck("transaction", "open", "it is known and in no block yet")
    if outcome == "failed":
        return ProofCheck("transaction", "unknown", "its chain could not be asked about it")
    if outcome == "reverted":
        return ProofCheck("transaction", "wrong", "it failed on the chain, so nothing moved")
    return ProofCheck("transaction", "wrong", "no chain in scope knows it")


def _best(transfers: Sequence[Row], payment: Row) -> Row | None:
    """The transfer of the transaction that is most like the payment; by a proxy log where it has a reference."""

    def score(row: Row) -> tuple[int, bool, int]:
        same = sum(row[name] == payment[name] for name in ("token", "recipient"))
        topic = bool(payment["reference_topic"]) and row["reference_topic"] == payment["reference_topic"]
        is_telling = not payment["is_deposit"] and row["reference_topic"] is not None
        return (2 * topic + same, is_telling, -row["log_index"])

    return max(transfers, key=score, default=None)


def _fields(row: Row, payment: Row) -> list[ProofCheck]:
    checks = []
    for name in ("token", "recipient"):
        right = row[name] == payment[name]
        said = f"the {name} is {row[name]}" + ("" if right else f", expected was {payment[name]}")
        checks.append(ProofCheck(name, "right" if right else "wrong", said))
    if payment["is_deposit"]:
        return checks
    right = row["reference_topic"] is not None and row["reference_topic"] == payment["reference_topic"]
    carried = row["reference_topic"] or "none"
    said = "it carries the payment's reference" if right else f"its reference is {carried}, not the payment's"
    checks.append(ProofCheck("reference", "right" if right else "wrong", said))
    if right and not _pays(row):
        checks.append(ProofCheck("contract", "wrong", f"the log is of {row['emitter']}, which is no fee proxy"))
    return checks


def _pays(row: Row) -> bool:
    """Whether a log says that money came; of contracts other than the proxy, only the token's own log says it."""
    return bool(row["kind"] == "fee_proxy" or (row["kind"] in INDIRECT_EMITTERS and row["moved_units"]))


def _amount(transfers: Sequence[Row], payment: Row, registry: Registry) -> ProofCheck:
    def mine(row: Row) -> bool:
        by_reference = payment["is_deposit"] or row["reference_topic"] == payment["reference_topic"]
        return bool(row["token"] == payment["token"] and row["recipient"] == payment["recipient"] and by_reference)

    def came(row: Row) -> int:
        return int((row["amount_units"] if row["moved_units"] is None else row["moved_units"]) or 0)

    units = sum(came(row) for row in transfers if mine(row))
    needed, due = payment["covered_from_units"], payment["expected_units"]
    if needed is None:
        return ProofCheck("amount", "wrong", "the payment's own amount cannot be read")
    token = registry.tokens.get((payment["chain_id"], payment["token"] or ""))

    def text(value: Any) -> str:
        return format_units(int(value), decimals=token.decimals) if token else f"{value} base units"

    said = f"{text(units)} came in it, {text(due)} are due"
    return ProofCheck("amount", "right" if units >= int(needed) else "wrong", said)


def _depth(row: Row, payment: Row, dossier: Dossier) -> ProofCheck:
    least = dossier.policy.confirmations_of(payment["chain_id"])
    count = row["confirmations"] or 0
    said = f"{count} confirmation{'' if count == 1 else 's'}, {least} are the minimum" + (
        "" if row["final"] else ", not final yet"
    )
    return ProofCheck("depth", "right" if row["final"] and count >= least else "open", said)


def _when(row: Row, payment: Row) -> list[ProofCheck]:
    created, at = payment["created_at"], row["block_time"]
    if created is None or at is None or at >= created - 300_000:
        return []
    return [
        ProofCheck("time", "wrong", "the money moved before the payment was made: an old transaction is shown again")
    ]


def _users(
    holders: dict[str, str | None], dossier: Dossier, transfers: Sequence[Row], tx_hash: str
) -> list[ProofCheck]:
    """Whether another payment uses the transaction; in a batch each payment has a reference and a log of its own."""
    others = [payment_id for payment_id in holders if payment_id != dossier.payment_id]
    if not others:
        return [ProofCheck("unused", "right", "no other payment records it")]
    if _has_log_of_its_own(dossier.payment, [holders[each] for each in others], transfers):
        return [ProofCheck("unused", "right", f"payment {others[0]} records {tx_hash} too, each by a log of its own")]
    return [ProofCheck("unused", "wrong", f"payment {', '.join(others[:5])} records the same transaction already")]


def _has_log_of_its_own(payment: Row | None, other_topics: Sequence[str | None], transfers: Sequence[Row]) -> bool:
    """Whether a transfer carries the payment's reference, and each other payment has a reference that differs."""
    if payment is None or payment["is_deposit"]:
        return False
    topic = payment["reference_topic"]
    if topic is None or any(other in (None, topic) for other in other_topics):
        return False
    return any(row["reference_topic"] == topic for row in transfers)


def _read(tx_hash: str, sources: SourceSet, asking: Asking) -> tuple[list[Row], list[Row], list[str]]:
    transactions: list[Row] = []
    transfers: list[Row] = []
    failed: list[str] = []
    now_ms = to_ms(asking.now)
    for chain in sources.chains:
        question = ChainQuestion(from_ms=now_ms, tx_hashes=(tx_hash,), proxies=False)
        try:
            reading = chain.read(question, progress=asking.progress)
        except SourceError as error:
            failed.append(str(error))
            continue
        transactions += reading.tables["transactions"].to_pylist()
        transfers += [row for row in reading.tables["transfers"].to_pylist() if row["tx_hash"] == tx_hash]
    failed += [f"chain:{row['chain_id']}: {row['error']}" for row in transactions if row["outcome"] == "failed"]
    return transactions, transfers, failed


def _holders(tx_hash: str, sources: SourceSet, asking: Asking) -> tuple[dict[str, str | None], list[str]]:
    """The payments that record a transaction, each with the topic of its reference."""
    from recon.sources.payments.read import payment_rows

    try:
        found = [document for _, document in sources.store.find_claimants("tx_hash", [tx_hash])]
        rows = payment_rows(found, fields=sources.fields, registry=asking.registry, policy=asking.policy).to_pylist()
        return {row["payment_id"]: row["reference_topic"] for row in rows}, []
    except SourceError as error:
        return {}, [f"whether another payment uses it could not be looked up: {error}"]
