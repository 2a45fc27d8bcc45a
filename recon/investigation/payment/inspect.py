"""Inspect one payment: find it, judge it, and rank the causes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from recon.core.times import ms_text
from recon.investigation.payment.causes import RankedCause, rank_causes
from recon.investigation.payment.dossier import Dossier, Judged, judge_dossier
from recon.investigation.payment.facts import Facts
from recon.investigation.payment.gather import Asking, gather_afresh, gather_from_snapshot
from recon.investigation.payment.timeline import Event, timeline_of
from recon.plans.changes import has_step

if TYPE_CHECKING:
    from recon.core.registry import Registry
    from recon.snapshots.sealed import Snapshot
    from recon.snapshots.take import SourceSet


@dataclass(frozen=True, slots=True)
class Inspection:
    """What is known about one payment, and what is wrong with it.

    Args:
        dossier: The evidence.
        judged: The verdict, or None when no row knows what was asked about.
        timeline: Everything with a time, oldest first.
        causes: Ranked, the first is the best explanation.
        not_asked: What could not be asked, and why; nothing may be concluded from its silence.
        case_notes: Of a replayed case: that it has no seal, that its verdict is another one now.
        registry: The chains, tokens and explorers that it was judged with.
    """

    dossier: Dossier
    judged: Judged | None
    timeline: tuple[Event, ...] = ()
    causes: tuple[RankedCause, ...] = ()
    not_asked: tuple[str, ...] = ()
    case_notes: tuple[str, ...] = ()
    registry: Registry | None = None

    @property
    def has_change(self) -> bool:
        """Whether a plan would hold a correction of the row as it stands."""
        judged = self.judged
        return judged is not None and has_step(judged.finding, judged.row, policy=self.dossier.policy)

    @property
    def is_complete(self) -> bool:
        """Whether everything that could change the answer was asked."""
        return not self.not_asked


def inspect_payment(
    text: str, *, asking: Asking, sources: SourceSet | None = None, snapshot: Snapshot | None = None
) -> Inspection:
    """Find what a text names, look at it from every side, and rank the causes.

    Args:
        text: A payment id, request id, reference, external id, transaction hash or address, however it was pasted.
        sources: Asked afresh; or ``snapshot``, read offline. Exactly one of the two.

    Raises:
        NoIdError: The text can be no id.
        UnknownIdError: Nothing knows it. UnansweredIdError: the same, but a source did not answer.
        WrongSourceError: A source is not the one that was meant.
    """
    assert (sources is None) != (snapshot is None), "either the sources or a snapshot"
    if snapshot is not None:
        dossier = gather_from_snapshot(text, snapshot, asking=asking)
    else:
        assert sources is not None
        dossier = gather_afresh(text, sources, asking=asking)
    return inspect_dossier(dossier, asking.registry)


def inspect_dossier(dossier: Dossier, registry: Registry) -> Inspection:
    """Judge a dossier and rank the causes; reads nothing but the dossier."""
    judged = judge_dossier(dossier, registry)
    if judged is None:
        return Inspection(dossier, None, not_asked=_not_asked(dossier))
    facts = Facts(dossier, judged, registry)
    return Inspection(
        dossier=dossier,
        judged=judged,
        timeline=timeline_of(facts),
        causes=rank_causes(facts),
        not_asked=_not_asked(dossier),
        registry=registry,
    )


def _not_asked(dossier: Dossier) -> tuple[str, ...]:
    """Incomplete coverage, gaps, and what the search could not reach, one sentence each."""
    said = list(dossier.not_asked)
    payment = dossier.payment
    chain_id = payment["chain_id"] if payment else None
    for row in dossier.rows("coverage"):
        if not row["complete"]:
            own = "" if row["chain_id"] in (None, chain_id) else " (another chain than the payment's)"
            said.append(f"{row['source']}, {row['scope']}{own}: {row['problem'] or 'not read completely'}")
    for row in dossier.rows("gaps"):
        said.append(
            f"{row['source']}, {row['scope']}: nothing is known from {ms_text(row['from_ms'])} to "
            f"{ms_text(row['to_ms'])} ({row['reason']})"
        )
    if dossier.payment_id is not None and not dossier.delivery_sources and not dossier.rows("deliveries"):
        said.append("webhook deliveries: no records were given, so whether a webhook came is not known")
    if dossier.payment_id is not None and not dossier.rows("coverage"):
        said.append("what was asked of the sources is not recorded")
    return tuple(dict.fromkeys(said))
