"""What the commands of the watch do: one round, the watch itself, what is open, and who works on it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from recon.api.common import Config, Say, operator_name, settings_of, tell
from recon.core.errors import UsageError
from recon.sources.interface import no_progress
from recon.watch.alone import only_watch
from recon.watch.keeping import prune
from recon.watch.loop import Clocks, Heard, watch_until
from recon.watch.rounds import Rounds, window_named
from recon.watch.state import WatchLog

if TYPE_CHECKING:
    from recon.sources.interface import Progress
    from recon.watch.rounds import RoundDone
    from recon.watch.situations import KeptSituation
    from recon.watch.state import WatchState


class StandingWorldError(UsageError):
    """A recorded world is to be watched, in which time stands still."""

    def __init__(self) -> None:
        super().__init__(
            "Time stands still in a recorded world, so nothing in it can be watched; recon watch --once looks once."
        )


class NotOpenError(UsageError):
    """A situation is to be acknowledged that is not open."""

    def __init__(self, *, key: str, known: Iterable[str]) -> None:
        listed = ", ".join(known) or "none"
        super().__init__(f"No situation {key[:100]!r} is open; open are: {listed}. Nothing was written.")


def watch_once(
    config: Config = None,
    *,
    window: str | None = None,
    heard: Iterable[Heard] = (),
    say: Say = tell,
    progress: Progress = no_progress,
) -> RoundDone:
    """Make one round and remember it; see ``recon watch --once``.

    Args:
        window: The window of ``[watch]``; the first when not given.
        heard: Told of the round.

    Raises:
        ConfigError: A setting or a secret is missing or wrong.
        UnknownWindowError: There is no such window.
        AnotherWatchError: Another watch of this target is running.
    """
    settings = settings_of(config)
    chosen = window_named(settings, window)
    with only_watch(settings):
        rounds = Rounds(settings, config=_named(config), say=say, progress=progress)
        done = rounds.make(chosen)
        for each in heard:
            each(done)
        found = prune(settings, now=done.times.ended, in_use=[each.snapshot for each in done.state.windows.values()])
        if found.why_not:
            say(found.why_not)
    return done


def watch_on(
    config: Config = None,
    *,
    heard: Iterable[Heard] = (),
    say: Say = tell,
    wait: Callable[[float], bool] | None = None,
) -> None:
    """Watch until told to end; see ``recon watch``.

    Args:
        heard: Told of every round and look; what they raise never stops the watch.
        wait: Waits for so many seconds or until the watch is to end, and says whether it is.

    Raises:
        ConfigError: A setting or a secret is missing or wrong.
        AnotherWatchError: Another watch of this target is running.
        StandingWorldError: The configuration means a recorded world.
    """
    settings = settings_of(config)
    if settings.world is not None:
        raise StandingWorldError
    clocks = Clocks(settings.now) if wait is None else Clocks(settings.now, wait=wait)
    with only_watch(settings) as keep:
        watch_until(settings, clocks=clocks, heard=heard, say=say, keep=keep, config=_named(config))


def watch_state(config: Config = None) -> WatchState:
    """What is open, and what the watch remembers; see ``recon watch status``. Nothing is asked of any source."""
    return WatchLog(settings_of(config).output_dir).state()


def acknowledge_situation(key: str, *, config: Config = None, operator: str | None = None) -> KeptSituation:
    """Note that a person works on an open situation; see ``recon watch ack``.

    Raises:
        NotOpenError: None of that key is open.
    """
    settings = settings_of(config)
    log = WatchLog(settings.output_dir)
    found = log.acknowledge(key, who=operator_name(operator), now=settings.now())
    if found is None:
        raise NotOpenError(key=key, known=(each.key for each in log.state().open))
    return found


def _named(config: Config) -> str:
    """The configuration as commands name it; empty where they find it by themselves."""
    return str(config) if isinstance(config, str) or hasattr(config, "parts") else ""
