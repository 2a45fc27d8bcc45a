"""Asks again what past corrections rested on: which proofs still hold, which are gone, which cannot be told.

A correction was written on final money. Final is a rule, and rules are broken by chains that turn deeper than anyone
thought. So each transfer is asked for once more when it is final by the strictest rule there is, and a correction that
rests on a provider's word alone is judged again. A proof that lies in another block by now holds if its transfer does.
Nothing is written; what is gone is taken back by a plan that a person makes and reviews.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, Literal

from recon.core.errors import SourceError, UsageError
from recon.core.model import Change, Plan, ProofTerm, Verdict
from recon.core.times import parse_iso
from recon.runs.proof import ProofAnswer, Prove, proof_terms
from recon.runs.states import ChangeState, Result, RunState, RunSummary, list_runs, read_run
from recon.runs.stores.journal import Journal

Holds = Literal["holds", "gone", "cannot tell", "taken back"]
WRITTEN: Final = (Result.APPLIED, Result.OURS)
NO_MONEY: Final = (
    Verdict.LOCAL_AHEAD, Verdict.PROVIDER_BEHIND, Verdict.REORGED, Verdict.TX_REVERTED, Verdict.TX_NOT_FOUND,
    Verdict.UNDERPAID,
)  # fmt: skip
"""Verdicts that say that what a correction rested on is not there."""


class NoCorrectionRunError(UsageError):
    """A run that is to be looked at again corrected nothing."""

    def __init__(self, *, run: str, kind: str) -> None:
        super().__init__(f"{run} is a run of kind {kind}, which rests on no proof; name one that corrected payments.")


@dataclass(frozen=True, slots=True)
class LookedAgain:
    """One correction of a past run, and how it stands with what it rested on.

    Args:
        proof: What was asked: transfers as ``chain:hash:log``, or ``the provider's word``.
        value_units: What it is about, base units of the token.
    """

    run: str
    payment_id: str
    verdict: str
    state: Holds
    why: str
    proof: tuple[str, ...] = ()
    value_units: int = 0
    symbol: str | None = None
    decimals: int | None = None


@dataclass(frozen=True, slots=True)
class Reverified:
    """Every correction of some runs, looked at again."""

    runs: tuple[str, ...]
    rows: tuple[LookedAgain, ...]

    def of_state(self, state: Holds) -> tuple[LookedAgain, ...]:
        """The corrections in one state."""
        return tuple(each for each in self.rows if each.state == state)

    def gone_by_run(self) -> dict[str, list[str]]:
        """By run the payments whose proof is gone and that are not taken back."""
        found: dict[str, list[str]] = {}
        for each in self.of_state("gone"):
            found.setdefault(each.run, []).append(each.payment_id)
        return found


@dataclass(frozen=True, slots=True)
class AskingAgain:
    """How proofs are asked for again.

    Args:
        plan_of: Gives the plan of a digest; None where it is not there any more.
        prove: Given a plan, asks the chains by the strictest rule.
        judge: Judges payments again; gives the verdict of each that is a break.
    """

    plan_of: Callable[[str], Plan | None]
    prove: Callable[[Plan | None], Prove]
    judge: Callable[[Sequence[str]], Mapping[str, str]]


def runs_to_reverify(journal: Journal, *, run: str | None, since: datetime | None) -> tuple[RunSummary, ...]:
    """The runs that corrected payments: the one that is named, or all that began at a time or later.

    Raises:
        NoCorrectionRunError: The one that is named is of another kind.
    """
    runs = list_runs(journal)
    if run is not None:
        found = tuple(each for each in runs if each.run == run)
        if found and found[0].kind != "correction":
            raise NoCorrectionRunError(run=run, kind=found[0].kind)
        return found
    began = ((each, parse_iso(each.started_at)) for each in runs if each.kind == "correction")
    return tuple(each for each, at in began if since is None or at is None or at >= since)


def reverify_runs(journal: Journal, runs: Iterable[RunSummary], *, asking: AskingAgain) -> Reverified:
    """How it stands with every correction of some runs, in the order in which they were made."""
    held = tuple(runs)
    undone = _Undone(journal)
    rows = [row for each in held for row in _of_run(read_run(journal, each.run), undone, asking)]
    return Reverified(tuple(each.run for each in held), tuple(rows))


class _Undone:
    """Which corrections were taken back by a later run that stands."""

    def __init__(self, journal: Journal) -> None:
        self._by: dict[str, list[tuple[str, set[str]]]] = {}
        for each in list_runs(journal):
            if each.undoes is not None:
                states = read_run(journal, each.run, with_intents=False).changes.values()
                written = {state.payment_id for state in states if state.result in WRITTEN}
                self._by.setdefault(each.undoes, []).append((each.run, written))

    def by(self, run: str, payment: str) -> str | None:
        """The run that took it back, and was not taken back itself."""
        for other, written in self._by.get(run, ()):
            if payment in written and self.by(other, payment) is None:
                return other
        return None


def _of_run(state: RunState, undone: _Undone, asking: AskingAgain) -> Iterator[LookedAgain]:
    plan = asking.plan_of(state.plan)
    planned = {} if plan is None else {change.id: change for change in plan.changes}
    on_chain: list[tuple[ChangeState, tuple[ProofTerm, ...]]] = []
    on_word: list[ChangeState] = []
    for each in state.changes.values():
        if (told := _unasked(each, undone.by(state.run, each.payment_id))) is not None:
            yield _row(state, each, *told)
        elif each.result not in WRITTEN:
            continue
        elif terms := _terms(each, planned.get(each.change)):
            on_chain.append((each, terms))
        elif each.change in planned:
            on_word.append(each)
        else:
            yield _row(state, each, "cannot tell", "the plan of the run is not here and the row holds no hash")
    answers = _asked(asking.prove(plan), [term for _, terms in on_chain for term in terms])
    yield from (_on_chain(state, each, terms, answers) for each, terms in on_chain)
    yield from _on_word(state, on_word, asking)


def _unasked(each: ChangeState, taken_back_by: str | None) -> tuple[Holds, str] | None:
    """How it stands with a change whose proof is not asked for; None where it is, or where nothing was written."""
    if each.result in WRITTEN and taken_back_by is not None:
        return "taken back", f"run {taken_back_by} took it back"
    return ("cannot tell", "nobody knows yet whether it was written") if each.blocks else None


def _terms(each: ChangeState, change: Change | None) -> tuple[ProofTerm, ...]:
    """What a correction rested on, to be final now; without its plan, the transaction that it wrote into the row."""
    if change is not None:
        return tuple(replace(term, is_final=True) for term in proof_terms(change))
    intent: Mapping[str, Any] = each.intent or {}
    tx_hash, chain = (intent.get("after") or {}).get("blockchain.transactionHash"), intent.get("chain_id")
    return (ProofTerm(int(chain), tx_hash),) if isinstance(tx_hash, str) and chain is not None else ()


_Answers = Mapping[ProofTerm, tuple[Holds, str]]


def _asked(prove: Prove, terms: Sequence[ProofTerm]) -> _Answers:
    """How it stands with each proof; a chain that does not answer leaves those of the others as they are."""
    found: dict[ProofTerm, tuple[Holds, str]] = {}
    for chain_id in sorted({term.chain_id for term in terms}):
        mine = sorted({term for term in terms if term.chain_id == chain_id}, key=_place)
        try:
            found |= _asked_of_one(prove, mine)
        except SourceError as error:
            found |= dict.fromkeys(mine, ("cannot tell", str(error)))
    return found


def _asked_of_one(prove: Prove, terms: Sequence[ProofTerm]) -> _Answers:
    """One chain's proofs; one that is not where it was is asked for once more wherever it is."""
    answer = prove(terms)
    anywhere = {term: replace(term, block=None, block_hash=None) for term in answer.lost if term.block_hash}
    anew = prove(list(anywhere.values())) if anywhere else ProofAnswer()
    found: dict[ProofTerm, tuple[Holds, str]] = {}
    for term in terms:
        other = anywhere.get(term)
        if term not in answer.lost:
            found[term] = "holds", "it is there, and final"
        elif other is not None and other not in anew.lost:
            found[term] = "holds", "it is there, in another block, and final"
        elif term in answer.shallow or other in anew.shallow:
            found[term] = "cannot tell", f"{anew.lost.get(other or term, answer.lost[term])}; ask again later"
        else:
            found[term] = "gone", answer.lost[term]
    return found


def _place(term: ProofTerm) -> tuple[int, str, int]:
    return term.chain_id, term.tx_hash, -1 if term.log_index is None else term.log_index


def _on_chain(state: RunState, each: ChangeState, terms: Sequence[ProofTerm], answers: _Answers) -> LookedAgain:
    """One correction by its worst proof."""
    order: dict[Holds, int] = {"gone": 0, "cannot tell": 1, "holds": 2}
    worst = min((answers[term] for term in terms), key=lambda told: order[told[0]])
    named = tuple(
        f"{term.chain_id}:{term.tx_hash}" + ("" if term.log_index is None else f":{term.log_index}") for term in terms
    )
    return _row(state, each, *worst, proof=named)


def _on_word(state: RunState, held: Sequence[ChangeState], asking: AskingAgain) -> Iterator[LookedAgain]:
    """Corrections that rested on a provider's word: what the sources say of the payments now."""
    if not held:
        return
    word = ("the provider's word",)
    try:
        judged = asking.judge([each.payment_id for each in held])
    except SourceError as error:
        yield from (_row(state, each, "cannot tell", str(error), proof=word) for each in held)
        return
    for each in held:
        verdict = judged.get(each.payment_id)
        if verdict is None:
            yield _row(state, each, "holds", "the sources say the same of the payment", proof=word)
        else:
            is_gone = verdict in {str(other) for other in NO_MONEY}
            yield _row(state, each, "gone" if is_gone else "cannot tell", f"the sources now say {verdict}", proof=word)


def _row(state: RunState, each: ChangeState, holds: Holds, why: str, *, proof: tuple[str, ...] = ()) -> LookedAgain:
    intent: Mapping[str, Any] = each.intent or {}
    return LookedAgain(
        run=state.run,
        payment_id=each.payment_id,
        verdict=str(intent.get("verdict", "")),
        state=holds,
        why=why,
        proof=proof,
        value_units=int(intent.get("value", 0)),
        symbol=intent.get("symbol"),
        decimals=intent.get("decimals"),
    )
