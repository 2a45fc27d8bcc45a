"""The first rows of a run, oldest, newest and largest among them, judged anew before anything else is written."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from fractions import Fraction
from typing import Final

from recon.core.errors import ReconError, RefusedError, StoppedError
from recon.core.model import Change, Plan, Verdict
from recon.core.registry.transitions import PATHS
from recon.runs.pace import Judge, RunPace

BENIGN: Final = frozenset(
    {
        Verdict.IN_SYNC, Verdict.PARTLY_REFUNDED, Verdict.TEST_PAYMENT, Verdict.OUT_OF_SCOPE, Verdict.IN_TRANSIT,
        Verdict.ABANDONED,
        Verdict.INSUFFICIENT_CONFIRMATIONS, Verdict.SAFETY_PENDING, Verdict.AML_BLOCKED,
    }
)  # fmt: skip
"""Verdicts that are no break."""


def further_findings(plan: Plan, payments: Collection[str]) -> dict[str, set[Verdict]]:
    """Everything that a plan says of some payments: a further finding may be the verdict once the first is healed."""
    wanted = set(payments)
    return {each.payment_id: set(each.findings) for each in plan.findings if each.payment_id in wanted}


class EvidenceMovedError(RefusedError):
    """What a change rests on is no longer what the sources show."""

    def __init__(self, *, payment: str, planned: str, found: str) -> None:
        super().__init__(
            f"{payment} was {planned} when the plan was made and the sources now say {found}; nothing was written. "
            'Look at it with "recon inspect" and make a new plan with "recon plan".'
        )


class CanaryError(StoppedError):
    """The first rows did not come out as the plan says."""

    def __init__(self, *, payment: str, why: str) -> None:
        super().__init__(
            f"{payment}, one of the first rows, {why}; no further write was started. "
            'Look at it with "recon inspect", then resume the run or take it back with "recon undo".'
        )


def judge_canary(plan: Plan, changes: Sequence[Change], *, judge: Judge | None) -> Mapping[str, str]:
    """The verdicts of the first rows after they were written; none where there is nothing to judge them by.

    Raises:
        CanaryError: They could not be judged.
    """
    # After an undo the break is meant to be there again, and a backfill was made for none.
    if judge is None or plan.kind != "correction":
        return {}
    payments = [change.payment_id for change in changes]
    try:
        return judge(payments)
    except StoppedError:
        raise
    except ReconError as error:
        raise CanaryError(payment=payments[0], why=f"could not be judged again: {error}") from error


def meant_verdicts(change: Change) -> frozenset[Verdict]:
    """What a row may be judged to be once its change is written, if nothing else is the matter with it.

    A correction heals its break. A dispute heals nothing: the money is as wrong as before, and the row is held until
    a person decides.
    """
    if any(item.path == PATHS["disputed"] for item in change.sets):
        return frozenset({change.verdict, Verdict.DISPUTE_HOLD})
    return BENIGN | {Verdict.PROVIDER_BEHIND}


def check_canary_verdict(change: Change, verdict: str | None, *, further: Collection[Verdict]) -> None:
    """Refuse a written row that did not become what its change is meant to make of it.

    Args:
        verdict: What the row is judged to be now; None where it was not judged.
        further: What else the plan says of the payment, and what may show once the break is healed.

    Raises:
        CanaryError: Its break is still there although it was to be healed, or it has another one by now.
    """
    if verdict is None:
        return
    meant = meant_verdicts(change)
    if verdict == change.verdict and verdict not in meant:
        raise CanaryError(payment=change.payment_id, why=f"is still {change.verdict} after it was written")
    if verdict not in meant and verdict not in further:
        raise CanaryError(payment=change.payment_id, why=f"is {verdict} after it was written")


def canary_places(plan: Plan, places: Sequence[int], *, rows: int) -> list[int]:
    """Choose the rows that go first, in the order of the plan: the newest, the largest and the oldest are among them.

    New money may be rolled back, much money costs much, and old rows have the most behind them. Amounts are compared in
    whole tokens; then comes the largest of each other token, and what is left in the order of the plan.
    """
    if len(places) <= rows:
        return list(places)
    aged = [place for place in places if plan.changes[place].age_s is not None]
    chosen = dict.fromkeys(
        [
            *([min(aged, key=lambda place: (_age(plan, place), place))] if aged else []),
            max(places, key=lambda place: (_whole(plan, place), -place)),
            *([max(aged, key=lambda place: (_age(plan, place), -place))] if aged else []),
        ][:rows]
    )
    largest: dict[str, int] = {}
    for place in places:
        token = f"{plan.changes[place].chain_id}:{plan.changes[place].token}"
        if token not in largest or _whole(plan, place) > _whole(plan, largest[token]):
            largest[token] = place
    for place in (*largest.values(), *places[: 2 * rows]):
        if len(chosen) < rows:
            chosen[place] = None
    return sorted(chosen)


def _age(plan: Plan, place: int) -> int:
    return plan.changes[place].age_s or 0


def _whole(plan: Plan, place: int) -> Fraction:
    """How much a change is about, in whole tokens."""
    change = plan.changes[place]
    return Fraction(change.value_units, 10 ** (change.decimals or 0))


def check_evidence(plan: Plan, first: Sequence[Change], *, pace: RunPace) -> None:
    """Judge the first rows once more before anything is written: what speaks for them may have turned since the plan.

    Sources that cannot be asked now stop the run after its first rows, where they are judged again.

    Raises:
        EvidenceMovedError: One of them is another break by now.
    """
    if plan.kind != "correction" or pace.judge is None or not first:
        return
    try:
        judged = pace.judge([change.payment_id for change in first])
    except RefusedError:
        raise
    except ReconError:
        return
    further = further_findings(plan, [change.payment_id for change in first])
    for change in first:
        verdict = judged.get(change.payment_id)
        if verdict in (None, change.verdict) or verdict in BENIGN or verdict in further.get(change.payment_id, ()):
            continue
        raise EvidenceMovedError(payment=change.payment_id, planned=str(change.verdict), found=str(verdict))
