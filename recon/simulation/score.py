"""How right a judgement is: findings and planned changes compared with the known truth of a simulated world.

Everything in the truth is judged. What is in sync, in transit, abandoned, a test or out of scope is counted in a plan
and not listed, so a payment that no finding names was judged benign, which is right if its truth is. A finding about
something that the truth does not know is a false alarm.

>>> from recon.simulation import Truth
>>> truth = Truth("p1", Verdict.UNDERPAID, (Verdict.UNDERPAID,))
>>> score([], [truth]).recall(Verdict.UNDERPAID)
Fraction(0, 1)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final, Literal

from recon.core.model import Change, Finding, Plan, Verdict

if TYPE_CHECKING:
    from recon.simulation.situation import Truth

BENIGN: Final = frozenset(
    {
        Verdict.TEST_PAYMENT, Verdict.OUT_OF_SCOPE, Verdict.PARTLY_REFUNDED, Verdict.IN_SYNC, Verdict.IN_TRANSIT,
        Verdict.ABANDONED,
    }
)  # fmt: skip
"""Verdicts that a plan counts and need not list."""

NOT_PROVEN: Final = frozenset({Verdict.UNPROVEN, Verdict.LOOKUP_FAILED})
IGNORED_PATHS: Final = ("updatedAt", "metadata.recon")
"""What every write carries besides its effect."""

Wrong = Literal["unexpected", "other_values", "missing"]


@dataclass(frozen=True, slots=True)
class Misjudged:
    """One payment whose verdict is not the true one, or that lacks a finding that must show.

    Args:
        expected: The true verdict; None where the truth knows nothing of this id.
        found: The verdict given; None where nothing was said and the truth is not benign.
        missing: Findings that must show and do not.
        planted: What the simulator planted there.
    """

    payment_id: str
    expected: Verdict | None
    found: Verdict | None
    missing: tuple[Verdict, ...] = ()
    planted: str = ""


@dataclass(frozen=True, slots=True)
class WrongWrite:
    """One planned change that the truth contradicts, or one that is due and not planned."""

    payment_id: str
    kind: Wrong
    expected: Mapping[str, Any] | None
    planned: Mapping[str, Any] | None
    planted: str = ""


@dataclass(frozen=True, slots=True)
class Score:
    """What :func:`score` found.

    Args:
        judged: Payments and items of the truth, with the false alarms.
        confusion: How often each (true, found) pair of verdicts came up; None as in :class:`Misjudged`.
        misjudged: Every wrong verdict, sorted by payment.
        incomplete: Right verdicts that lack a finding which must show, sorted by payment.
        wrong_writes: Every wrong, extra or missing change, sorted by payment.
        not_proven: Payments left without a judgement for want of evidence.
        miscounted: Benign verdicts that the plan's summary counts otherwise than the truth: (true, counted).
    """

    judged: int
    confusion: Mapping[tuple[Verdict | None, Verdict | None], int]
    misjudged: tuple[Misjudged, ...]
    incomplete: tuple[Misjudged, ...]
    wrong_writes: tuple[WrongWrite, ...]
    not_proven: int
    miscounted: Mapping[Verdict, tuple[int, int]] = field(default_factory=dict)

    def recall(self, verdict: Verdict) -> Fraction | None:
        """Share of what truly has a verdict that was given it; None when nothing has."""
        return self._share(verdict, lambda pair: pair[0])

    def precision(self, verdict: Verdict) -> Fraction | None:
        """Share of what was given a verdict that truly has it; None when nothing was."""
        return self._share(verdict, lambda pair: pair[1])

    def _share(self, verdict: Verdict, side: Any) -> Fraction | None:
        total = sum(count for pair, count in self.confusion.items() if side(pair) == verdict)
        return Fraction(self.confusion.get((verdict, verdict), 0), total) if total else None

    @property
    def not_proven_share(self) -> Fraction:
        """Share of everything judged that was left unproven."""
        return Fraction(self.not_proven, self.judged) if self.judged else Fraction(0)

    @property
    def is_perfect(self) -> bool:
        """Whether every verdict and count is right, every finding that must show does, and no write is wrong."""
        return not (self.misjudged or self.incomplete or self.wrong_writes or self.miscounted)


def score(judged: Plan | Iterable[Finding], truths: Iterable[Truth]) -> Score:
    """Judge a plan (verdicts and changes) or bare findings (verdicts only) by the truth."""
    known = {truth.payment_id: truth for truth in truths}
    findings = {finding.payment_id: finding for finding in (judged.findings if isinstance(judged, Plan) else judged)}
    confusion: Counter[tuple[Verdict | None, Verdict | None]] = Counter()
    misjudged, incomplete = [], []
    for payment_id in sorted({*known, *findings}):
        row = _compared(payment_id, known.get(payment_id), findings.get(payment_id))
        confusion[row.expected, row.found] += 1
        if row.expected != row.found:
            misjudged.append(row)
        elif row.missing:
            incomplete.append(row)
    writes = _wrong_writes(judged.changes, known) if isinstance(judged, Plan) else ()
    return Score(
        judged=confusion.total(),
        confusion=dict(sorted(confusion.items(), key=lambda item: (str(item[0][0]), str(item[0][1])))),
        misjudged=tuple(misjudged),
        incomplete=tuple(incomplete),
        wrong_writes=writes,
        miscounted=_miscounted(judged, known.values()) if isinstance(judged, Plan) else {},
        not_proven=sum(count for (_, found), count in confusion.items() if found in NOT_PROVEN),
    )


def _miscounted(plan: Plan, truths: Iterable[Truth]) -> dict[Verdict, tuple[int, int]]:
    """Benign verdicts are not listed, so one taken for another shows in the counts only."""
    counted = plan.summary.get("verdicts")
    if not isinstance(counted, Mapping):
        return {}
    true = Counter(truth.verdict for truth in truths)
    pairs = {verdict: (true[verdict], int(counted.get(verdict.value, 0))) for verdict in Verdict if verdict in BENIGN}
    return {verdict: pair for verdict, pair in pairs.items() if pair[0] != pair[1]}


def _compared(payment_id: str, truth: Truth | None, finding: Finding | None) -> Misjudged:
    if truth is None:
        return Misjudged(payment_id, None, finding.verdict if finding else None)
    if finding is None:
        found = truth.verdict if truth.verdict in BENIGN else None
        return Misjudged(payment_id, truth.verdict, found, planted=truth.planted)
    missing = tuple(verdict for verdict in truth.findings if verdict not in finding.findings)
    return Misjudged(payment_id, truth.verdict, finding.verdict, missing, truth.planted)


def _wrong_writes(changes: Iterable[Change], known: Mapping[str, Truth]) -> tuple[WrongWrite, ...]:
    planned = {change.payment_id: _effect(change) for change in changes}
    wrong = []
    for payment_id in sorted({*planned, *(truth.payment_id for truth in known.values() if truth.sets)}):
        truth = known.get(payment_id)
        expected = truth.sets if truth is not None else None
        found = planned.get(payment_id)
        if (found or None) == (expected or None):
            continue
        kind: Wrong = "missing" if not found else "other_values" if expected else "unexpected"
        wrong.append(WrongWrite(payment_id, kind, expected, found, truth.planted if truth else ""))
    return tuple(wrong)


def _effect(change: Change) -> dict[str, Any]:
    """After-values by path, less what is already so and what every write carries."""
    return {
        item.path: item.after
        for item in change.sets
        if item.before != item.after and not item.path.startswith(IGNORED_PATHS)
    }


def score_json(found: Score) -> dict[str, Any]:
    """A score as JSON: shares as text with six decimals, pairs and lists in a fixed order."""
    verdicts = [verdict for verdict in Verdict if any(verdict in pair for pair in found.confusion)]
    return {
        "format": 1,
        "perfect": found.is_perfect,
        "judged": found.judged,
        "unproven_share": _decimals(found.not_proven_share),
        "verdicts": {verdict.value: _verdict_shares(found, verdict) for verdict in verdicts},
        "confusion": [
            {"true": _word(true), "found": _word(given), "count": count}
            for (true, given), count in found.confusion.items()
        ],
        "miscounted": {
            verdict.value: {"true": true, "counted": counted} for verdict, (true, counted) in found.miscounted.items()
        },
        "misjudged": [_row(row) for row in found.misjudged],
        "incomplete": [_row(row) for row in found.incomplete],
        "wrong_writes": [_write(row) for row in found.wrong_writes],
    }


def _verdict_shares(found: Score, verdict: Verdict) -> dict[str, Any]:
    return {
        "true": sum(count for (true, _), count in found.confusion.items() if true == verdict),
        "found": sum(count for (_, given), count in found.confusion.items() if given == verdict),
        "recall": _decimals(found.recall(verdict)),
        "precision": _decimals(found.precision(verdict)),
    }


def _write(row: WrongWrite) -> dict[str, Any]:
    return {
        "payment_id": row.payment_id,
        "kind": row.kind,
        "expected": None if row.expected is None else dict(row.expected),
        "planned": None if row.planned is None else dict(row.planned),
        "planted": row.planted,
    }


def _row(row: Misjudged) -> dict[str, Any]:
    return {
        "payment_id": row.payment_id,
        "true": _word(row.expected),
        "found": _word(row.found),
        "missing_findings": [verdict.value for verdict in row.missing],
        "planted": row.planted,
    }


def _word(verdict: Verdict | None) -> str | None:
    return None if verdict is None else verdict.value


def _decimals(share: Fraction | None) -> str | None:
    """A share as text, cut after six decimals and never rounded up to 1."""
    if share is None:
        return None
    millionths = share.numerator * 10**6 // share.denominator
    return f"{millionths // 10**6}.{millionths % 10**6:06d}"
