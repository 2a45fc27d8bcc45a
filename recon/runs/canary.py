"""The first rows of a run, judged anew before anything else is written."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from recon.core.errors import ReconError, StoppedError
from recon.core.model import Change, Plan, Verdict
from recon.runs.pace import Judge

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


def check_canary_verdict(change: Change, verdict: str | None, *, further: Collection[Verdict]) -> None:
    """Refuse a written row whose break is still there, or that has another one by now.

    Args:
        verdict: What the row is judged to be now; None where it was not judged.
        further: What else the plan says of the payment, and what may show once the break is healed.

    Raises:
        CanaryError: The row is not healed.
    """
    if verdict is None:
        return
    if verdict == change.verdict:
        raise CanaryError(payment=change.payment_id, why=f"is still {change.verdict} after it was written")
    if verdict not in BENIGN | {Verdict.PROVIDER_BEHIND} and verdict not in further:
        raise CanaryError(payment=change.payment_id, why=f"is {verdict} after it was written")
