"""The referee's rulings as the truth of a world, and where they contradict what a craft declared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from recon.core.model import Verdict
from recon.simulation.account import word_at
from recon.simulation.documents import count_like, extended
from recon.simulation.ledger_truth import WorldFacts
from recon.simulation.referee import Ruling, rule_on
from recon.simulation.score import BENIGN
from recon.simulation.situation import Truth


def truths_of(
    facts: WorldFacts, *, found: Mapping[str, Verdict] | None = None, planted: Iterable[Truth] = ()
) -> tuple[Truth, ...]:
    """The rulings on a world as the truth of it, to hold a judgement against.

    Args:
        found: What was judged, by payment: where several verdicts are right, the one that was given is taken.
        planted: The declared truth, for the names of what was planted and nothing else.
    """
    names = {truth.payment_id: truth.planted for truth in planted}
    documents = {affair.payment_id: affair.document for affair in facts.affairs}
    truths = []
    for ruling in rule_on(facts):
        verdict = _taken(ruling, found)
        document = documents.get(ruling.payment_id, {})
        name = names.get(ruling.payment_id, "")
        truths.append(Truth(ruling.payment_id, verdict, (verdict,), _stored(document, ruling.write), name))
    return tuple(truths)


def _taken(ruling: Ruling, found: Mapping[str, Verdict] | None) -> Verdict:
    """Of several right verdicts the one that was given; what is not listed was judged benign."""
    if found is None:
        return ruling.verdict
    given = found.get(ruling.payment_id)
    right = [one for one in ruling.verdicts if one == given or (given is None and one in BENIGN)]
    return right[0] if right else ruling.verdict


def _stored(document: Mapping[str, Any], write: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """A write as it would be stored: a count keeps the number type that the field has."""
    if write is None:
        return None
    count = word_at(document, "blockchain.confirmations")
    return {
        path: extended(count_like(count, value) if path == "blockchain.confirmations" else value)
        for path, value in write.items()
    }


def contradictions(declared: Iterable[Truth], facts: WorldFacts) -> tuple[str, ...]:
    """Where a craft declared another verdict or write than the referee finds, or a finding that it does not see."""
    known = {truth.payment_id: truth for truth in declared}
    rulings = {ruling.payment_id: ruling for ruling in rule_on(facts)}
    right = {truth.payment_id: truth.sets for truth in truths_of(facts)}
    lines = []
    for key in sorted({*known, *rulings}):
        if (line := _contradiction(known.get(key), rulings.get(key), sets=right.get(key))) is not None:
            lines.append(f"{key}: {line}")
    return tuple(lines)


def _contradiction(truth: Truth | None, ruling: Ruling | None, *, sets: Mapping[str, Any] | None) -> str | None:
    if truth is None:
        return f"nothing was declared, the referee says {ruling.verdict}" if ruling is not None else None
    if ruling is None:
        return f"{truth.planted} declared {truth.verdict}, the referee knows nothing of it"
    if truth.verdict not in ruling.verdicts:
        return f"{truth.planted} declared {truth.verdict}, the referee says {ruling.verdict}"
    if (truth.sets or None) != (sets or None):
        return f"{truth.planted} declared {truth.sets}, the referee would write {sets}"
    if unseen := sorted(set(truth.findings) - set(ruling.findings)):
        return f"{truth.planted} declared {', '.join(unseen)}, the referee does not see it"
    return None
