"""``preflight`` and ``drain``: what lies before a change of rails, and how a backlog goes."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, TypeAlias

from recon.api.common import Config, Place, path_of, settings_of
from recon.api.gates import rail_of

if TYPE_CHECKING:
    from recon.rails.drain import Drained, Progress
    from recon.rails.preflight import Preflight

OnCount: TypeAlias = "Callable[[Progress], None]"
"""Told after each count how the backlog goes."""


def preflight(config: Config = None, *, deliveries: Place | None = None) -> Preflight:
    """Look at credentials, payments, webhooks and indexes before anything is switched; see ``recon preflight``.

    Args:
        deliveries: A file of webhook delivery records.
    """
    from recon.rails.preflight import judge_preflight
    from recon.setup.open_rails import look_around

    settings = settings_of(config)
    stuck = timedelta(milliseconds=settings.policy().stuck_after_ms)
    return judge_preflight(look_around(settings, deliveries=path_of(deliveries)), now=settings.now(), stuck_after=stuck)


def not_shown(progress: Progress) -> None:
    """The usual answer to a count: none."""


def drain(
    provider: str,
    *,
    every: int = 30,
    stalled_after: int = 15,
    at_most: int | None = None,
    config: Config = None,
    on_count: OnCount = not_shown,
) -> Drained:
    """Watch the stuck payments of a rail become fewer; see ``recon drain``.

    Args:
        every: Seconds between two counts.
        stalled_after: Minutes without fewer after which the backlog counts as stalled.
        at_most: Minutes after which the watch ends; 0 counts once.

    Raises:
        UnknownRailError: There is no such rail.
    """
    from recon.rails.drain import Watch, watch_drain
    from recon.setup.open_rails import count_backlog

    settings = settings_of(config)
    rail = rail_of(settings, provider)
    # In a recorded world time stands still, so a second count would be the first one again.
    once = settings.world is not None
    limit = timedelta(0) if once else None if at_most is None else timedelta(minutes=at_most)
    return watch_drain(
        rail,
        count=lambda: count_backlog(settings, rail, now=settings.now()),
        watch=Watch(timedelta(seconds=every), timedelta(minutes=stalled_after), limit),
        sleep=time.sleep,
        show=on_count,
    )
