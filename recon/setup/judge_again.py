"""Judging payments anew: every source asked again about some payments, for the look after the write."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from recon.setup.settings import Settings


def judge_again(settings: Settings) -> Callable[[Sequence[str]], Mapping[str, str]]:
    """A function that reads payments from every source and gives the verdict of each that needs attention.

    What it reads is not kept; the plan that was applied and the journal are the record. A payment that is in sync by
    now, or benign, is left out of the answer.
    """

    def judge(payment_ids: Sequence[str]) -> Mapping[str, str]:
        from recon.plans.make import make_plan
        from recon.setup.open_sources import open_sources
        from recon.snapshots.take import take_snapshot
        from recon.sources.interface import Selection

        wanted = set(payment_ids)
        policy, registry = settings.policy(), settings.registry()
        with tempfile.TemporaryDirectory(prefix="recon-") as folder, open_sources(settings) as sources:
            snapshot = take_snapshot(
                sources,
                selection=Selection(ids=tuple(payment_ids)),
                policy=policy,
                registry=registry,
                now=settings.now(),
                out=Path(folder) / "snapshot",
            )
            plan = make_plan(snapshot, policy=policy, registry=registry)
        return {item.payment_id: item.verdict.value for item in plan.findings if item.payment_id in wanted}

    return judge
