"""One round of the watch: read a window, judge it, carry the situations on, and remember it in one line.

Nothing of a payment is ever written. A round that is killed left at most an interrupted snapshot, which the next one
goes on with while it is fresh, or a plan of which no line tells, which is one more plan of the history.
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from recon.api.common import free_path, stamp
from recon.core.errors import ConfigError, DatabaseAwayError, RefusedError, SourceError, StoppedError, UsageError
from recon.core.times import second_text
from recon.plans.history import load_history
from recon.sources.interface import no_progress
from recon.sources.spans import span
from recon.watch.facts import RoundFacts, WatchTimes
from recon.watch.gather import Remembered, RoundJudged, gather, look_between
from recon.watch.looks import OpenPayments
from recon.watch.rules import LOOK_RULES, RULES, seen_by
from recon.watch.schedule import Schedule, read_schedule
from recon.watch.situations import KeptSituation, Sighting, Urgency, judged
from recon.watch.state import Turns, WatchLog, WatchState, WindowMemory

if TYPE_CHECKING:
    from recon.core.model import Plan
    from recon.runs.states import RunSummary
    from recon.setup.settings import Settings
    from recon.snapshots.sealed import Snapshot
    from recon.sources.interface import Progress
    from recon.sources.payments.changes import ChangeFeed

USUAL_WINDOW: Final = "main"
_STAMP: Final = re.compile(r"\d{8}T\d{6}Z(-\d+)?(\.json)?")
OPERATOR: Final = "recon watch"
FRESH: Final = timedelta(hours=1)
"""An interrupted snapshot that was begun longer ago is read anew."""

WHOLE_GRACE_H: Final = 24
"""So many hours after a whole round was due it is late."""

LOOKS_KEPT: Final = 96
LOOKS_APART: Final = timedelta(minutes=30)
PAST_KEPT: Final = 1_500
HISTORY_MIN: Final = timedelta(days=14)
"""So much of the history is read in every round, more where a rule looks back further."""


class UnknownWindowError(UsageError):
    """No window of the watch has that name."""

    def __init__(self, *, name: str, known: tuple[str, ...]) -> None:
        super().__init__(
            f"There is no window {name[:60]!r} in [watch]; there are {', '.join(known)}. No round was made."
        )


class DeadlineError(StoppedError):
    """A round took too long."""

    def __init__(self, *, minutes: int) -> None:
        super().__init__(
            f"The round took longer than {minutes} min and was ended; what it has read is kept and the next one goes "
            "on. Raise [watch] deadline_min if that is usual."
        )


@dataclass(frozen=True, slots=True)
class WatchedWindow:
    """One window of the watch: its name, its schedule, and the settings it is read with."""

    name: str
    schedule: Schedule
    settings: Settings
    scope: str


@dataclass(frozen=True, slots=True)
class RoundDone:
    """What one round, or one look between rounds, came to.

    Args:
        kind: ``round`` or ``look``.
        was_whole: Whether everything was read anew.
        is_kept: Whether the line of it was written; not where the disk was full.
        unread: By part of the evidence, why it could not be read.
        runs: Every run of the journal; None where it was not read.
    """

    kind: str
    window: str
    times: WatchTimes
    state: WatchState
    turns: Turns
    plan: Plan | None = None
    plan_path: Path | None = None
    snapshot: Path | None = None
    was_whole: bool = False
    is_kept: bool = True
    failure: str = ""
    unread: Mapping[str, str] = field(default_factory=dict)
    runs: tuple[RunSummary, ...] | None = None

    @property
    def open(self) -> tuple[KeptSituation, ...]:
        """The situations that are open after it."""
        return self.state.open

    @property
    def is_incomplete(self) -> bool:
        """Whether it could not be made, or something was not read whole."""
        return bool(self.failure or self.unread) or (self.plan is not None and not self.plan.is_read_whole)

    @property
    def calls_for_people(self) -> bool:
        """Whether anything is open that is more than a note."""
        return any(each.seen.urgency is not Urgency.INFO for each in self.open)


def windows_of(settings: Settings) -> tuple[WatchedWindow, ...]:
    """The windows that are watched, in the order of the file; one of ``[window]`` where none is named.

    Raises:
        ScheduleError, MissingExtraError: The words of a schedule cannot be read.
    """
    given, target = settings.values.watch, settings.target_name
    if not given.windows:
        drawn = f"{target}|{USUAL_WINDOW}"
        schedule = read_schedule(given.schedule, name=drawn, jitter_s=given.jitter_s)
        return (WatchedWindow(USUAL_WINDOW, schedule, settings, ""),)
    found = []
    for each in given.windows:
        schedule = read_schedule(each.schedule, name=f"{target}|{each.name}", jitter_s=given.jitter_s)
        window = settings.values.window.model_copy(update={"hours": each.hours})
        own = replace(settings, values=settings.values.model_copy(update={"window": window}))
        scope = f"{each.name}/" if len(given.windows) > 1 else ""
        found.append(WatchedWindow(each.name, schedule, own, scope))
    return tuple(found)


def window_named(settings: Settings, name: str | None) -> WatchedWindow:
    """One window by its name; the first where none is named.

    Raises:
        UnknownWindowError: There is none of that name.
    """
    windows = windows_of(settings)
    found = windows[:1] if name is None else tuple(each for each in windows if each.name == name)
    if not found:
        raise UnknownWindowError(name=str(name), known=tuple(each.name for each in windows))
    return found[0]


class Rounds:
    """Makes rounds and looks of one target, and remembers them.

    Args:
        clock: The time; that of the settings when None.
        config: The configuration file as the commands of sightings name it; empty where it is found by itself.
        say: Told in one sentence what could not be done.
        feed: Tells whether any payment changed, so that a look need not count; closed by :meth:`close`.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Callable[[], datetime] | None = None,
        config: str = "",
        say: Callable[[str], None] = lambda sentence: None,
        progress: Progress = no_progress,
        feed: ChangeFeed | None = None,
    ) -> None:
        self.settings, self.clock, self.config, self.say = settings, clock or settings.now, config, say
        self.windows = windows_of(settings)
        self.log = WatchLog(settings.output_dir)
        self.state = self.log.state()
        self._progress = progress
        self._open_payments = OpenPayments(settings, feed=feed, say=say)

    def close(self) -> None:
        """Let go of what looks hold open."""
        self._open_payments.close()

    # A round

    def make(self, window: WatchedWindow, *, due: datetime | None = None, asleep: datetime | None = None) -> RoundDone:
        """Make one round of a window.

        Raises:
            ConfigError: A setting or a secret is missing.
        """
        with span("round", window=window.name):
            return self._make(window, due, asleep)

    def _make(self, window: WatchedWindow, due: datetime | None, asleep: datetime | None) -> RoundDone:
        self.state = self._latest()
        began = self.clock()
        memory = self.state.windows.get(window.name, WindowMemory())
        found, was_whole = self._judge(window, memory, began)
        last_good, whole_due = self._late_since(memory, found, was_whole=was_whole)
        apart_s = int(window.schedule.apart.total_seconds())
        times = WatchTimes(due, began, max(began, self.clock()), apart_s, last_good, asleep, whole_due)
        incomplete = self._incomplete(found)
        known = replace(self._remembered(window, found), incomplete=incomplete)
        facts = gather(window.settings, found, known=known, times=times, scope=window.scope, config=self.config)
        seen, unread = seen_by(facts, self.settings.values.watch)
        unread |= {part for part in facts.unread if ":" in part}
        step = self._step(window, facts, found, (seen, unread), was_whole=was_whole)
        turns, is_kept = self._add("round", step, said=_said(window, found, facts, was_whole), now=times.ended)
        return RoundDone(
            "round", window.name, times, self.state, turns, found.plan, Path(found.plan_path) if found.plan else None,
            None if found.snapshot is None else found.snapshot.path, was_whole, is_kept, found.failure, facts.unread,
            facts.runs,
        )  # fmt: skip

    def look(self) -> RoundDone:
        """Count the open payments between rounds; a line is written only where something changed."""
        self.state = self._latest()
        began = self.clock()
        times = WatchTimes(None, began, began, apart_s=0)
        facts = look_between(self.settings, self._open_payments, times=times, config=self.config)
        seen, unread = seen_by(facts, self.settings.values.watch, only=LOOK_RULES)

        def step(state: WatchState) -> tuple[WatchState, Turns]:
            mine = [each for each in state.open if each.seen.rule in LOOK_RULES]
            others = [each for each in state.open if each.seen.rule not in LOOK_RULES]
            kept, turns = judged(mine, seen, unreadable=unread, now=facts.now)
            return replace(state, open=_sorted([*others, *kept])), turns

        after, turns = step(self.state)
        is_kept = True
        if turns:
            turns, is_kept = self._add("look", step, said={}, now=facts.now)
        else:
            self.state = after
        return RoundDone("look", "", times, self.state, turns, is_kept=is_kept, unread=facts.unread)

    def _latest(self) -> WatchState:
        """The state by the log; that of this process where the log lacks it, because the disk was full."""
        held = self.log.state()
        return held if held.number >= self.state.number else self.state

    def _add(
        self,
        kind: str,
        step: Callable[[WatchState], tuple[WatchState, Turns]],
        *,
        said: Mapping[str, Any],
        now: datetime,
    ) -> tuple[Turns, bool]:
        from recon.files import NoRoomError

        try:
            self.state, turns = self.log.add(kind, step, said=said, now=now)
        except (NoRoomError, OSError) as error:
            # What was judged is told all the same, and is judged again when there is room.
            self.say(f"The round could not be written down: {error}")
            _, turns = step(self.state)
            return turns, False
        return turns, True

    def _judge(self, window: WatchedWindow, memory: WindowMemory, now: datetime) -> tuple[RoundJudged, bool]:
        base = self._base(memory, now)
        try:
            return self._read(window, base, now)
        except ConfigError:
            raise
        except (SourceError, RefusedError, StoppedError, OSError) as error:
            source = str(error).partition(":")[0]
            known = {"payments", *window.settings.providers, *(f"chain:{each}" for each in window.settings.chain_ids)}
            away = str(error) if isinstance(error, DatabaseAwayError) else ""
            failed = source if source in known else "sources"
            return RoundJudged(failure=str(error), failed_source=failed, away=away), base is None

    def _read(self, window: WatchedWindow, base: Path | None, now: datetime) -> tuple[RoundJudged, bool]:
        from recon.api.reconcile import plan_and_save
        from recon.snapshots.since.base import SinceError
        from recon.snapshots.unfinished import OtherRunError

        try:
            taken = self._snapshot(window, base, now)
        except SinceError as error:
            self.say(f"This round reads everything: {error}")
            base, taken = None, self._snapshot(window, None, now)
        except OtherRunError:
            # It was begun under another configuration, and nothing of it can be used.
            shutil.rmtree(self._folder(window, now), ignore_errors=True)
            taken = self._snapshot(window, base, now)
        path = free_path(self.settings.output_dir / f"plan-watch-{window.name}-{stamp(now)}.json")
        saved = plan_and_save(taken, config=window.settings, out=path, operator=OPERATOR, say=lambda sentence: None)
        return RoundJudged(saved.plan, str(path), taken), base is None

    def _snapshot(self, window: WatchedWindow, base: Path | None, now: datetime) -> Snapshot:
        from recon.api.reconcile import snapshot

        folder = self._folder(window, now)
        minutes = self.settings.values.watch.deadline_min
        progress = _until(time.monotonic() + minutes * 60, self._progress, minutes=minutes)
        return snapshot(window.settings, out=folder, since=base, progress=progress, say=lambda sentence: None)

    def _folder(self, window: WatchedWindow, now: datetime) -> Path:
        """An interrupted snapshot of the window that is fresh, else a new folder; older ones are removed."""
        from recon.snapshots.unfinished import unfinished_now

        home, prefix = self.settings.output_dir, f"snapshot-watch-{window.name}-"
        found: list[tuple[datetime, Path]] = []
        for path in home.glob(f"{prefix}*/"):
            if _is_of(path.name, prefix) and (begun := unfinished_now(path)) is not None:
                found.append((begun, path))
        fresh = [path for begun, path in sorted(found) if timedelta(0) <= now - begun <= FRESH][-1:]
        for _, path in found:
            if path not in fresh:
                shutil.rmtree(path, ignore_errors=True)
        return fresh[0] if fresh else free_path(home / f"{prefix}{stamp(now)}")

    def _base(self, memory: WindowMemory, now: datetime) -> Path | None:
        """The last good snapshot, unless a whole round is due or something speaks against building upon it."""
        from recon.snapshots.sealed import is_sealed

        whole_every = timedelta(hours=self.settings.values.watch.whole_every_h)
        if not memory.snapshot or memory.whole_at is None or self.state.failures:
            return None
        if not timedelta(0) <= now - memory.whole_at < whole_every:
            return None  # due, or the clock went back
        path = self.settings.output_dir / memory.snapshot
        return path if is_sealed(path) else None

    def _late_since(
        self, memory: WindowMemory, found: RoundJudged, *, was_whole: bool
    ) -> tuple[datetime | None, datetime | None]:
        """Since when nothing was read whole, and since when a whole round is due; None where this round did it."""
        is_good = found.plan is not None and found.plan.is_read_whole
        if memory.whole_at is None or (is_good and was_whole):
            return None if is_good else memory.good_at, None
        whole_due = memory.whole_at + timedelta(hours=self.settings.values.watch.whole_every_h + WHOLE_GRACE_H)
        return None if is_good else memory.good_at, whole_due

    def _incomplete(self, found: RoundJudged) -> Mapping[str, int]:
        bad = {str(row.get("source")) for row in (found.plan.coverage if found.plan else ()) if not row.get("complete")}
        if found.failure:
            # What else was away is not known, so its count stands still.
            return {**self.state.incomplete, found.failed_source: self.state.incomplete.get(found.failed_source, 0) + 1}
        return {source: self.state.incomplete.get(source, 0) + 1 for source in sorted(bad)}

    def _remembered(self, window: WatchedWindow, found: RoundJudged) -> Remembered:
        history = load_history(self.settings.output_dir, span=self._span())
        mark, own = f"plan-watch-{window.name}-", Path(found.plan_path).name
        named = ((Path(str(each.get("plan"))).name, each) for each in history.entries)
        entries = [each for name, each in named if _is_of(name, mark) and name != own]
        state = self.state
        flags = None if state.flags is None else {**state.flags, **self._accepted_flags()}
        past = tuple(entries[-PAST_KEPT:])
        return Remembered(past, history, state.wallets, flags, state.flags_at, state.flags_since)

    def _span(self) -> timedelta:
        """How far back in the history the rules of a round look."""
        limits, gates = self.settings.values.watch, self.settings.values.gates
        apart = max(each.schedule.apart for each in self.windows)
        clean = timedelta(hours=gates.clean_window_h * (gates.clean_windows_min + 1))
        rising = apart * (limits.stuck_rising_rounds + 2)
        return max(HISTORY_MIN, timedelta(minutes=limits.new_within_min) + 2 * apart, rising, 2 * clean)

    def _accepted_flags(self) -> dict[str, str | None]:
        """Flags whose change a person acknowledged: what they are now is right."""
        from recon.setup.open_flags import read_flags

        mine = [each for each in self.state.open if each.seen.rule == "flags_changed" and each.acknowledged_by]
        if not mine:
            return {}
        try:
            values = read_flags(self.settings).values
        except (ConfigError, RefusedError, OSError):
            return {}
        return {each.seen.about: values.get(each.seen.about) for each in mine}

    def _step(
        self,
        window: WatchedWindow,
        facts: RoundFacts,
        found: RoundJudged,
        sight: tuple[list[Sighting], set[str]],
        *,
        was_whole: bool,
    ) -> Callable[[WatchState], tuple[WatchState, Turns]]:
        others = tuple(each.scope for each in self.windows if each.scope and each.name != window.name)
        of_window = {rule.name for rule in RULES if rule.is_of_window}

        def step(state: WatchState) -> tuple[WatchState, Turns]:
            apart = [
                each
                for each in state.open
                if each.seen.rule in of_window and f"{each.seen.about}/".startswith(others or ("\0",))
            ]
            mine = [each for each in state.open if each not in apart]
            kept, turns = judged(mine, sight[0], unreadable=sight[1], now=facts.now)
            after = replace(
                state,
                open=_sorted([*apart, *kept]),
                windows={**state.windows, window.name: _remember(state, window, facts, found, was_whole=was_whole)},
                failures=state.failures + 1 if found.failure else 0,
                incomplete=facts.incomplete,
                wallets=_looks(state, facts),
                **_flags(state, facts),
            )
            return after, turns

        return step


def _is_of(name: str, prefix: str) -> bool:
    """Whether a plan or a snapshot is one of this window; another window's name may begin with this one's."""
    return name.startswith(prefix) and _STAMP.fullmatch(name.removeprefix(prefix)) is not None


def _sorted(situations: list[KeptSituation]) -> tuple[KeptSituation, ...]:
    return tuple(sorted(situations, key=lambda each: each.key))


def _until(deadline: float, progress: Progress, *, minutes: int) -> Progress:
    """The progress, which ends a round that takes too long."""

    def told(source: str, done: int, total: int | None) -> None:
        if time.monotonic() > deadline:
            raise DeadlineError(minutes=minutes)
        progress(source, done, total)

    return told


def _remember(
    state: WatchState, window: WatchedWindow, facts: RoundFacts, found: RoundJudged, *, was_whole: bool
) -> WindowMemory:
    before = state.windows.get(window.name, WindowMemory())
    due = facts.times.due or before.due
    if found.plan is None or found.snapshot is None or not found.plan.is_read_whole:
        return replace(before, due=due)
    whole_at = facts.times.began if was_whole else before.whole_at
    return WindowMemory(due, facts.times.ended, whole_at, found.snapshot.path.name)


def _looks(state: WatchState, facts: RoundFacts) -> Mapping[str, tuple[tuple[datetime, int], ...]]:
    """The looks at each wallet that are kept: far enough apart, and not too many."""
    found = {}
    for wallet in facts.wallets:
        earlier = state.wallets.get(wallet.key, ())
        is_due = not earlier or facts.now - earlier[-1][0] >= LOOKS_APART
        held = () if wallet.held is None or not is_due else ((facts.now, wallet.held),)
        found[wallet.key] = (*earlier, *held)[-LOOKS_KEPT:]
    return {**(state.wallets if "wallets" in facts.unread else {}), **found}


def _flags(state: WatchState, facts: RoundFacts) -> dict[str, Any]:
    if facts.flags is None:
        return {}
    is_new = state.flags is None or dict(facts.flags.before) != dict(state.flags)
    return {
        "flags": dict(facts.flags.before),
        "flags_at": facts.now if is_new else state.flags_at,
        "flags_since": dict(facts.flags.since),
    }


def _said(window: WatchedWindow, found: RoundJudged, facts: RoundFacts, was_whole: bool) -> dict[str, Any]:
    """What the log says of a round besides the situations."""
    plan = found.plan
    return {
        "window": window.name,
        "due": second_text(facts.times.due),
        "began": second_text(facts.times.began),
        "whole": was_whole,
        "plan": found.plan_path,
        "digest": "" if plan is None else plan.digest,
        "snapshot": "" if found.snapshot is None else found.snapshot.path.name,
        "payments": 0 if plan is None else plan.summary.get("payments"),
        "failure": found.failure,
        "unread": dict(facts.unread),
    }
