"""``backfill``: give legacy payments what newer ones have; insert only, planned and taken back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recon.api.common import Config, OnSaved, Place, note_author, place_for, saved_unseen, settings_of, stamp

if TYPE_CHECKING:
    from recon.core.model import Plan
    from recon.plans.backfill import Completeness


def shkeeper(
    config: Config = None, *, out: Place | None = None, operator: str | None = None, on_saved: OnSaved = saved_unseen
) -> tuple[Plan, Completeness]:
    """Plan references and notes for legacy SHKeeper payments, and save the plan; see ``recon backfill shkeeper``.

    Args:
        out: The plan file; one in the output directory when not given.

    Returns:
        The plan, which is applied and taken back like any other, and the account of every payment.

    Raises:
        SourceError: The payments could not be read.
    """
    from recon.plans.file import save_plan
    from recon.setup.open_backfill import plan_backfill

    settings = settings_of(config)
    now = settings.now()
    plan, found = plan_backfill(settings, now=now)
    path = place_for(out, usual=settings.output_dir / f"backfill-{stamp(now)}.json")
    save_plan(plan, path)
    note_author(settings, plan, operator=operator)
    on_saved(path)
    return plan, found
