"""``ledger``: the backend's own ledger beside the evidence, and by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recon.api.common import Config, Place
from recon.core.errors import UsageError

if TYPE_CHECKING:
    from typing import Unpack

    from recon.api.reconcile import PlanOptions, SavedPlan
    from recon.snapshots.sealed import Snapshot


class LedgerUnreadError(UsageError):
    """A ledger is to be judged, and none was read."""

    def __init__(self) -> None:
        super().__init__(
            "The snapshot holds no entries of a ledger. Name collection and amount_field in [ledger] of the "
            "configuration, and take a new snapshot."
        )


def check(
    snapshot: Snapshot | Place | None = None, *, config: Config = None, **options: Unpack[PlanOptions]
) -> SavedPlan:
    """Judge the ledger of a window; see ``recon ledger check``.

    It is what :func:`recon.plan` says of the ledger: the same snapshot and the same plan file are written.

    Args:
        snapshot: Judged offline; without one a new snapshot is taken first.
        options: See :class:`~recon.api.reconcile.PlanOptions`.

    Raises:
        LedgerUnreadError: The configuration, or the snapshot, has no ledger.
        ConfigError: A setting is missing or wrong.
    """
    from recon.api.common import settings_of
    from recon.api.reconcile import plan_and_save

    if snapshot is None and settings_of(config).values.ledger.mapping() is None:
        raise LedgerUnreadError
    made = plan_and_save(snapshot, config=config, **options)
    if made.plan.ledger is None:
        raise LedgerUnreadError
    return made
