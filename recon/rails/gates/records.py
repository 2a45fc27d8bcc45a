"""What gates are judged by: limits, and what was measured, as plain records.

Nothing here reads anything: ``recon.rails.gates.evidence`` does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from recon.core.model import Severity, Tier, Verdict
from recon.rails.gates.sample import CheckedSign, Sample
from recon.sources.providers.installed import webhooks_of


@dataclass(frozen=True, slots=True)
class GateLimits:
    """Every threshold, with the runbooks' value; None is one that they leave open and that must be set.

    Args:
        mismatch_below_ppm: The mismatch rate must be strictly below this (5000 is 0.5 %).
        webhook_burst_failures_max: Failed deliveries allowed within ``webhook_burst_min`` minutes.
        chain_mismatch_ppm_max: Share of chain mismatches that is still no reason to roll back.
        escalate_after_min: Blocking outcomes for longer than this mean escalation.
        run_gap_max_min: Runs further apart than this are no unbroken stretch, and an older last run tells nothing.
        health_check_gap_s: Two health checks closer together than this count as one.
    """

    health_checks_min: int = 2
    health_check_gap_s: int = 60
    health_check_age_max_min: int = 60
    webhook_quiet_h: int = 24
    dead_letter_stable_h: int = 2
    dead_letter_growth_max: int = 0
    mismatch_below_ppm: int = 5000
    samples_min: int = 1000
    sample_rows_min: int = 10
    sample_operators_min: int = 2
    sample_age_max_h: int = 168
    clean_windows_min: int = 2
    clean_window_h: int = 24
    dry_run_age_max_h: int = 4
    escalate_after_min: int = 10
    run_gap_max_min: int = 60
    invariant_violations_max: int = 0
    webhook_burst_min: int = 15
    webhook_burst_failures_max: int | None = None
    chain_mismatch_ppm_max: int | None = None


@dataclass(frozen=True, slots=True)
class HealthRecord:
    """One deployment health check: when, of which rail, whether all was well, and how that showed.

    Args:
        is_told: Whether it can be told; not where nothing was bad and something could not be asked.
    """

    at: datetime
    provider: str
    is_ok: bool
    why: str
    is_told: bool = True

    @property
    def outcome(self) -> str:
        """What it came to, in words."""
        return "well" if self.is_ok else "NOT WELL" if self.is_told else "CANNOT TELL"


@dataclass(frozen=True, slots=True)
class DeliveryRecord:
    """One webhook delivery as far as gates care; of what the record does not tell, None."""

    delivery_id: str
    provider: str
    at: datetime
    http_status: int | None
    signature_valid: bool | None
    is_dead_letter: bool | None

    @property
    def is_failed(self) -> bool:
        """Answered with an error, never answered, given up, or not signed rightly.

        A provider says which statuses it takes for an answer; it sends again until then.
        """
        taken = webhooks_of(self.provider).takes(self.http_status)
        return bool(self.is_dead_letter) or not taken or self.signature_valid is False

    @property
    def is_silent(self) -> bool:
        """Whether it may have become a dead letter and does not say so."""
        return self.is_dead_letter is None and not webhooks_of(self.provider).takes(self.http_status)

    @property
    def is_unverified(self) -> bool:
        """The signature was wrong, or the receiver turned the delivery away as not genuine."""
        return self.signature_valid is False or (self.signature_valid is None and self.http_status in (401, 403))


@dataclass(frozen=True, slots=True)
class Deliveries:
    """Delivery records and the stretch of time for which they are all there."""

    records: tuple[DeliveryRecord, ...]
    from_at: datetime
    to_at: datetime
    source: str = "delivery records"


@dataclass(frozen=True, slots=True)
class GateFinding:
    """What gates use of a finding of a plan."""

    payment_id: str
    provider: str | None
    verdict: Verdict
    tier: Tier
    severity: Severity


@dataclass(frozen=True, slots=True)
class DryRun:
    """One plan as evidence.

    Args:
        judged: Payments of each rail by verdict.
        is_whole: The plan's selection left out no rail, status or payment of its window.
        incomplete: Sources that were not read completely.
        target: Digest of the plan's target.
    """

    digest: str
    at: datetime
    judged: Mapping[str, Mapping[str, int]]
    findings: tuple[GateFinding, ...]
    is_healthy: bool
    health_reasons: tuple[str, ...]
    incomplete: tuple[str, ...]
    providers: tuple[str, ...] = ()
    is_whole: bool = True
    target: str = ""


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One line of the run history.

    Args:
        covers_from, covers_to: The window of payments it read; None is without a beginning.
        providers: The rails it was limited to; empty means all.
        is_whole: It was limited to no status, no single payments and not to open ones.
        breaks: Keys of its breaks, or None where there were too many to keep.
    """

    at: datetime
    digest: str
    covers_from: datetime | None
    covers_to: datetime
    providers: tuple[str, ...]
    is_whole: bool
    is_complete: bool
    is_healthy: bool
    blocking: Mapping[str, int]
    breaks: frozenset[str] | None


@dataclass(frozen=True, slots=True)
class WrittenRun:
    """A run that wrote to payments, and when it last did."""

    run: str
    at: datetime


@dataclass(frozen=True, slots=True)
class SignedSample:
    """A manual sample with its sign-offs, those that count for nothing too."""

    sample: Sample
    signs: tuple[CheckedSign, ...]


@dataclass(frozen=True, slots=True)
class GateEvidence:
    """Everything that was measured; what is None was not.

    Args:
        writes: Runs that wrote to payments; None where the journal could not be read.
    """

    runs: tuple[RunRecord, ...] = ()
    dry_run: DryRun | None = None
    deliveries: Deliveries | None = None
    health: tuple[HealthRecord, ...] = ()
    sample: SignedSample | None = None
    writes: tuple[WrittenRun, ...] | None = ()


@dataclass(frozen=True, slots=True)
class GateCase:
    """One question put to all gates."""

    provider: str
    evidence: GateEvidence
    limits: GateLimits
    now: datetime

    def runs(self) -> tuple[RunRecord, ...]:
        """The runs that read this rail whole, oldest first, none from the future."""
        mine = [run for run in self.evidence.runs if not run.providers or self.provider in run.providers]
        return tuple(sorted((run for run in mine if run.is_whole and run.at <= self.now), key=lambda run: run.at))

    def since(self, moment: datetime, *, but: str) -> tuple[str, ...]:
        """What happened to the rail after a moment, in words, oldest first: runs that read it, and runs that wrote.

        Args:
            but: The digest of a plan that is no news.
        """
        found = [(run.at, f"run {run.digest[:12]} read it at") for run in self.runs() if run.digest != but]
        found += [(each.at, f"run {each.run} wrote at") for each in self.evidence.writes or () if each.at <= self.now]
        return tuple(f"{said} {at:%Y-%m-%dT%H:%M:%SZ}" for at, said in sorted(found) if at > moment)

    def deliveries(self, since: datetime) -> list[DeliveryRecord]:
        """This rail's deliveries after a moment, up to now."""
        held = self.evidence.deliveries.records if self.evidence.deliveries else ()
        return [each for each in held if each.provider == self.provider and since < each.at <= self.now]
