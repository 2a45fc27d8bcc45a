"""``gates``: may a rail be rolled back, may it carry money again, and its health checks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from recon.api.common import Config, Place, path_of, settings_of
from recon.api.naming import plan_of
from recon.core.errors import UsageError
from recon.sources.providers.installed import first_provider, providers

if TYPE_CHECKING:
    from recon.core.model import Plan
    from recon.rails.gates.judge import GateReport
    from recon.rails.gates.records import HealthRecord
    from recon.setup.settings import Settings


class UnknownRailError(UsageError):
    """A name is no rail."""

    def __init__(self, *, word: str) -> None:
        super().__init__(f"{word[:60]!r} is no rail that is known; use {' or '.join(providers())}.")


def rollback(
    provider: str = first_provider(),
    *,
    config: Config = None,
    plan: Plan | Place | None = None,
    deliveries: Place | None = None,
    sample: Place | None = None,
) -> GateReport:
    """Judge the rollback criteria of a rail; see ``recon gates rollback``.

    Args:
        plan: The plan to judge by; the latest of the history when not given.
        deliveries: A file of webhook delivery records.
        sample: The signed manual sample.

    Raises:
        UnknownRailError: There is no such rail.
        EvidenceFileError: A file cannot be read whole.
    """
    settings = settings_of(config)
    return judged(settings, provider, question="rollback", plan=plan, deliveries=deliveries, sample=sample)


def enable(
    provider: str,
    *,
    config: Config = None,
    plan: Plan | Place | None = None,
    deliveries: Place | None = None,
    sample: Place | None = None,
) -> GateReport:
    """Judge whether a rail may carry money again; see ``recon gates enable`` and :func:`rollback`."""
    settings = settings_of(config)
    return judged(settings, provider, question="enable", plan=plan, deliveries=deliveries, sample=sample)


def check(provider: str, *, config: Config = None) -> HealthRecord:
    """Make one health check of a rail and of the backend, and record it; see ``recon gates check``.

    Raises:
        UnknownRailError: There is no such rail.
    """
    from recon.rails.gates.evidence import append_health, check_health
    from recon.setup.open_rails import backend_probes, flag_setup, open_prober

    settings = settings_of(config)
    record = check_health(
        rail_of(settings, provider),
        setup=flag_setup(settings),
        prober=open_prober(settings),
        backend=backend_probes(settings),
        now=settings.now(),
    )
    append_health(settings.output_dir, record)
    return record


def judged(
    settings: Settings,
    provider: str,
    *,
    question: Literal["rollback", "enable"],
    plan: Plan | Place | None,
    deliveries: Place | None,
    sample: Place | None,
) -> GateReport:
    """Read the evidence that was named and judge one question by it."""
    from recon.rails.gates.judge import judge_enable, judge_rollback
    from recon.setup.open_gates import read_evidence, signed_sample

    now = settings.now()
    signed = None if sample is None else signed_sample(settings, Path(sample), now=now)
    evidence = read_evidence(
        settings,
        now=now,
        plan=None if plan is None else plan_of(plan, config=settings),
        deliveries=path_of(deliveries),
        sample=signed,
    )
    judge = judge_enable if question == "enable" else judge_rollback
    return judge(rail_of(settings, provider), evidence, limits=settings.values.gates.limits(), now=now)


def rail_of(settings: Settings, word: str) -> str:
    """Our name for a rail. Raises UnknownRailError when there is none of that name."""
    if (rail := settings.values.flags.words().rail(word)) is None:
        raise UnknownRailError(word=word)
    return rail
