"""What a change rests on, asked of the chains once more: before a run, and of each group just before it is written.

A transaction may be in a plan and no longer on its chain: blocks are rolled back, and money that a plan counts on goes
with them. So each transfer that a change rests on (:class:`recon.core.model.ProofTerm`) is asked for again by its
receipt, fifty in one call. A proof that is gone, or less final than it was, takes its row out of the run; a chain that
does not answer ends the run before anything of the group is written. A change without a transfer rests on a provider's
word alone, and its payment is judged again instead. Taking a run back needs no proof.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from recon.core.errors import RefusedError, SourceError, StoppedError
from recon.core.model import Change, Plan, ProofTerm, Verdict
from recon.core.text import count_text
from recon.core.times import to_ms
from recon.plans.changes import ASTRAY
from recon.sources.interface import ChainQuestion, ChainSource, Coverage, Reading, no_progress

HEAD_AGE_MAX_MS: Final = 15 * 60_000
"""A chain whose newest block is older says nothing of what was rolled back since."""

_KINDS_OF: Final = dict.fromkeys(ASTRAY, ("other transfer",)) | {Verdict.REFUND_DRIFT: ("transfer", "refund")}


class ProofUnansweredError(SourceError):
    """A chain does not say whether the transfers that changes rest on are still there."""

    def __init__(self, *, chain_id: int, why: str) -> None:
        super().__init__(
            f"chain:{chain_id} could not be asked whether the money that the changes rest on is still there "
            f"({why.rstrip('.')}); nothing that rests on it was written. Run the same command again when it answers."
        )


class ProofStoppedError(StoppedError):
    """The proof of a group could not be asked for midway."""

    def __init__(self, *, cause: Exception) -> None:
        super().__init__(f"{cause} No further write was started.")


class ProofsLostError(RefusedError):
    """What the plan rests on is gone for more rows than a run may leave out, or for all of them."""

    def __init__(self, *, lost: Sequence[tuple[Change, str]], rows: int, allowed: int) -> None:
        change, why = lost[-1]  # The last of them is usually the newest.
        most = f", and the limit on refusals is {allowed} (--refusals-max)" if len(lost) < rows else ""
        super().__init__(
            f"{change.payment_id} was {change.verdict} when the plan was made, and its proof no longer holds: {why}. "
            f"The same goes for {len(lost)} of {rows} rows{most}; nothing was written. "
            'Look at them with "recon inspect" and make a new plan with "recon plan".'
        )


@dataclass(frozen=True, slots=True)
class ProofAnswer:
    """What the chains say now.

    Args:
        lost: By proof that no longer holds, why; one that is not in it holds.
        calls: HTTP requests that carried receipts.
        shallow: Those of the lost that are there and only not final, or not any more.
    """

    lost: Mapping[ProofTerm, str] = field(default_factory=dict)
    calls: int = 0
    shallow: frozenset[ProofTerm] = frozenset()


Prove = Callable[[Sequence[ProofTerm]], ProofAnswer]
"""Asks the chains about proofs. Raises SourceError where one does not answer, never anything less."""


def proof_terms(change: Change) -> tuple[ProofTerm, ...]:
    """The transfers a change rests on; of a plan that does not list them, those its evidence names."""
    return change.proof or tuple(_from_evidence(change))


def _from_evidence(change: Change) -> Iterable[ProofTerm]:
    kinds = _KINDS_OF.get(change.verdict, ("transfer",))
    for text in change.evidence:
        kind, _, place = text.rpartition(" ")
        chain, _, rest = place.partition(":")
        tx_hash, _, log = rest.partition(":")
        if kind in kinds and chain.isdecimal() and log.isdecimal():
            yield ProofTerm(int(chain), tx_hash, int(log), is_final=change.verdict not in ASTRAY)


@dataclass(slots=True)
class ProofReader:
    """Asks chains for receipts; a :data:`Prove`.

    Args:
        chain: Opens the chain of an id.
        now: The time now, by which a chain that stands still is known.
        heads: By chain, number and time (UTC ms) of the newest block that the plan saw.
    """

    chain: Callable[[int], ChainSource]
    now: Callable[[], datetime]
    heads: Mapping[int, tuple[int, int]] = field(default_factory=dict)

    def __call__(self, terms: Sequence[ProofTerm]) -> ProofAnswer:
        """How it stands with each proof.

        Raises:
            ProofUnansweredError: A chain gives no usable answer.
            WrongSourceError: An endpoint serves another chain.
        """
        lost: dict[ProofTerm, str] = {}
        shallow: set[ProofTerm] = set()
        calls = 0
        for chain_id in sorted({term.chain_id for term in terms}):
            mine = [term for term in terms if term.chain_id == chain_id]
            reading = self._receipts(chain_id, sorted({term.tx_hash for term in mine}))
            calls += sum(row.calls for row in reading.coverage)
            lost |= (here := _lost_of(mine, reading, chain_id=chain_id))
            loose = {term: replace(term, is_final=False) for term in here if term.is_final}
            gone = _lost_of(tuple(loose.values()), reading, chain_id=chain_id)
            shallow |= {term for term, other in loose.items() if other not in gone}
        return ProofAnswer(lost, calls, frozenset(shallow))

    def _receipts(self, chain_id: int, tx_hashes: Sequence[str]) -> Reading:
        now_ms = to_ms(self.now())
        question = ChainQuestion(from_ms=now_ms, tx_hashes=tuple(tx_hashes), proxies=False, receipts_only=True)
        try:
            reading = self.chain(chain_id).read(question, progress=no_progress)
        except SourceError as error:
            raise ProofUnansweredError(chain_id=chain_id, why=str(error)) from error
        for row in reading.coverage:
            if (age_s := self._stands_still(row, chain_id, now_ms=now_ms)) is not None:
                raise ProofUnansweredError(chain_id=chain_id, why=f"its newest block is {age_s} s old")
        return reading

    def _stands_still(self, row: Coverage, chain_id: int, *, now_ms: int) -> int | None:
        """The age in seconds of a newest block that is old and shows nothing since the plan; None where it does.

        A head at the plan's height whose time is before that of the plan's is no old one: the chain has turned.
        """
        if row.head_time is None or now_ms - row.head_time <= HEAD_AGE_MAX_MS:
            return None
        height, time_ms = self.heads.get(chain_id, (0, 0))
        has_turned = row.head is not None and row.head >= height and row.head_time < time_ms
        return None if has_turned else (now_ms - row.head_time) // 1000


def heads_of(plan: Plan) -> dict[int, tuple[int, int]]:
    """By chain, number and time (UTC ms) of the newest block that a plan saw, as its coverage says."""
    heads: dict[int, tuple[int, int]] = {}
    for row in plan.coverage:
        chain_id, head, time_ms = row.get("chain_id"), row.get("head"), row.get("head_time")
        if chain_id is not None and head is not None and time_ms is not None:
            heads[chain_id] = max(heads.get(chain_id, (0, 0)), (head, time_ms))
    return heads


def _lost_of(terms: Sequence[ProofTerm], reading: Reading, *, chain_id: int) -> dict[ProofTerm, str]:
    answers = {row["tx_hash"]: row for row in reading.tables["transactions"].to_pylist()}
    moved = reading.tables["transfers"].select(["tx_hash", "log_index"]).to_pylist()
    logs = {(row["tx_hash"], row["log_index"]) for row in moved}
    lost = {}
    for term in terms:
        answer = answers.get(term.tx_hash)
        if answer is None or answer["outcome"] == "failed":
            raise ProofUnansweredError(chain_id=chain_id, why=(answer or {}).get("error") or "no answer came")
        if why := _why_lost(term, answer, logs):
            lost[term] = f"transaction {term.tx_hash} on chain {chain_id} {why}"
    return lost


def _why_lost(term: ProofTerm, answer: Mapping[str, Any], logs: set[tuple[str, int]]) -> str | None:
    """What is wrong with a proof by now, or None."""
    words = {
        "not_found": "is no longer there",
        "pending": "is in no block any more",
        "reverted": "has failed",
    }
    if answer["outcome"] != "success":
        return words[answer["outcome"]]
    if term.block_hash is not None and (term.block, term.block_hash) != (answer["block"], answer["block_hash"]):
        return f"lies in another block now ({answer['block']} where it was {term.block})"
    if term.log_index is not None and (term.tx_hash, term.log_index) not in logs:
        return f"no longer holds the transfer of log {term.log_index}"
    if term.is_final and not answer["final"]:
        return f"is not final any more, at {count_text(answer['confirmations'] or 0, 'confirmation')}"
    return None


@dataclass(slots=True)
class ProofWatch:
    """The proofs of one run: asked for, and counted.

    Args:
        prove: None leaves proofs out, as does any plan that is no correction.
        judge: Judges the payments again whose change rests on no transfer.
        asked, calls: Proofs that were asked for so far, and HTTP requests that it took.
    """

    plan: Plan
    prove: Prove | None
    judge: Callable[[Sequence[str]], Mapping[str, str]] | None = None
    asked: int = 0
    calls: int = 0

    @property
    def is_on(self) -> bool:
        """Whether this run asks for proofs."""
        return self.prove is not None and self.plan.kind == "correction"

    def lost(self, changes: Sequence[Change]) -> dict[str, str]:
        """Ask about the proofs of some changes: by change whose proof no longer holds, why.

        Raises:
            SourceError: A source does not answer; what rests on it must not be written.
        """
        if self.prove is None or self.plan.kind != "correction":
            return {}
        rests = {change.id: proof_terms(change) for change in changes}
        terms = sorted({term for own in rests.values() for term in own}, key=_order)
        answer = self.prove(terms) if terms else ProofAnswer()
        self.asked, self.calls = self.asked + len(terms), self.calls + answer.calls
        found = {
            change: answer.lost[term] for change, own in rests.items() for term in own[::-1] if term in answer.lost
        }
        return found | self._disowned([change for change in changes if not rests[change.id]])

    def _disowned(self, changes: Sequence[Change]) -> dict[str, str]:
        """Changes that rest on a provider's word which the sources give no longer."""
        if not changes or self.judge is None:
            return {}
        judged = self.judge([change.payment_id for change in changes])
        words = {change.id: judged.get(change.payment_id, "nothing that needs a change") for change in changes}
        return {
            change.id: f"the sources now say {words[change.id]}"
            for change in changes
            if words[change.id] != change.verdict
        }


def _order(term: ProofTerm) -> tuple[int, str, int]:
    return term.chain_id, term.tx_hash, -1 if term.log_index is None else term.log_index
