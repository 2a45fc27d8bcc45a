"""What the watch remembers: a chained log of its rounds, whose last line is all that the next round needs.

Each line holds what one round did and everything that is open after it, and is added in one write. A watch that is
killed at any moment has either made a round whole or not at all, and what it judged is judged again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from recon.core.times import millisecond_text, parse_iso
from recon.files import ChainedLog, LogEnd, chain_line, room_for
from recon.watch.situations import KeptSituation, Turn, acknowledged, read_situation, situation_body

FORMAT: Final = 1
FOLDER: Final = "watch"


@dataclass(frozen=True, slots=True)
class WindowMemory:
    """What is remembered of one window.

    Args:
        due: The time of the schedule that the last round was made for.
        good_at: When a round last read everything.
        whole_at: When a round last read everything anew.
        snapshot: The folder of the last good snapshot.
    """

    due: datetime | None = None
    good_at: datetime | None = None
    whole_at: datetime | None = None
    snapshot: str = ""


@dataclass(frozen=True, slots=True)
class WatchState:
    """Everything that the next round needs.

    Args:
        number: How many lines were written; grows by one with each.
        at: When the last one was written.
        failures: Rounds in a row that could not be made.
        wallets: Earlier looks, when and smallest units, oldest first.
        flags: As :class:`recon.watch.gather.Remembered` has them.
    """

    number: int = 0
    at: datetime | None = None
    open: tuple[KeptSituation, ...] = ()
    windows: Mapping[str, WindowMemory] = field(default_factory=dict)
    failures: int = 0
    wallets: Mapping[str, tuple[tuple[datetime, int], ...]] = field(default_factory=dict)
    flags: Mapping[str, str | None] | None = None
    flags_at: datetime | None = None
    flags_since: Mapping[str, datetime] = field(default_factory=dict)
    incomplete: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WatchLine:
    """One line as it is read back: what was done, what changed, and the state after it."""

    kind: str
    said: Mapping[str, Any]
    turns: tuple[tuple[Turn, KeptSituation], ...]
    state: WatchState


Turns = tuple[tuple[Turn, KeptSituation], ...]
Step = Callable[[WatchState], tuple[WatchState, Turns]]
"""Gives the state after a step, and what changed; it is called again where it must be, and reads nothing."""


class WatchLog:
    """The log, one file a month, in the folder ``watch`` of the output directory."""

    def __init__(self, output_dir: Path) -> None:
        self.folder = output_dir / FOLDER

    def state(self) -> WatchState:
        """The state after the last whole line; an empty one where there is none."""
        for path in reversed(self.paths()):
            if (body := ChainedLog(path).last()) is not None and body.get("format") == FORMAT:
                return _state(body)
        return WatchState()

    def paths(self) -> list[Path]:
        """The files, oldest first."""
        return sorted(self.folder.glob("rounds-????-??.ndjson"))

    def lines(self) -> Iterator[WatchLine]:
        """Every line that can be read, oldest first."""
        for path in self.paths():
            for entry in ChainedLog(path).entries():
                if entry.body is not None and entry.body.get("format") == FORMAT:
                    turns = tuple((Turn(turn), read_situation(each)) for turn, each in entry.body["turns"])
                    yield WatchLine(str(entry.body["kind"]), entry.body["said"], turns, _state(entry.body))

    def add(self, kind: str, step: Step, *, said: Mapping[str, Any], now: datetime) -> tuple[WatchState, Turns]:
        """Carry the state on by one step and add the line, while no other process can.

        Raises:
            NoRoomError: The disk is full; the log is as it was.
            OSError: It cannot be written; the log is as it was.
        """
        before, done = self.state(), list[tuple[WatchState, Turns]]()
        log = ChainedLog(self.folder / f"rounds-{now:%Y-%m}.ndjson", cuts_torn=True)

        def seal(end: LogEnd) -> bytes:
            # Another process may have added a line since; the lock is held from here on.
            latest = self.state()
            base = latest if latest.number >= before.number else before
            after, turns = step(base)
            after = replace(after, number=base.number + 1, at=now)
            done.append((after, turns))
            whole = replace(end, size=end.size - len(end.torn), torn=b"")
            return chain_line(_body(kind, after, turns, said), whole) + b"\n"

        with room_for(log.path):
            log.append(seal)
        return done[-1]

    def acknowledge(self, key: str, *, who: str, now: datetime) -> KeptSituation | None:
        """Note who works on an open situation; None where none of that key is open."""
        if not any(each.key == key for each in self.state().open):
            return None

        def step(state: WatchState) -> tuple[WatchState, Turns]:
            held = tuple(acknowledged(each, who=who) if each.key == key else each for each in state.open)
            return replace(state, open=held), ()

        after, _ = self.add("acknowledgement", step, said={"key": key, "who": who}, now=now)
        return next((each for each in after.open if each.key == key), None)


def _body(kind: str, state: WatchState, turns: Turns, said: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "kind": kind,
        "number": state.number,
        "at": _text(state.at),
        "said": dict(said),
        "turns": [[turn.value, situation_body(each)] for turn, each in turns],
        "open": [situation_body(each) for each in state.open],
        "memory": {
            "failures": state.failures,
            "incomplete": dict(state.incomplete),
            "windows": {
                name: {
                    "due": _text(each.due), "good_at": _text(each.good_at), "whole_at": _text(each.whole_at),
                    "snapshot": each.snapshot,
                }
                for name, each in state.windows.items()
            },
            "wallets": {
                key: [[_text(at), str(units)] for at, units in looks] for key, looks in state.wallets.items()
            },
            "flags": None if state.flags is None else dict(state.flags),
            "flags_at": _text(state.flags_at),
            "flags_since": {flag: _text(at) for flag, at in state.flags_since.items()},
        },
    }  # fmt: skip


def _state(body: Mapping[str, Any]) -> WatchState:
    memory = body["memory"]
    return WatchState(
        number=int(body["number"]),
        at=_moment(body["at"]),
        open=tuple(map(read_situation, body["open"])),
        windows={
            name: WindowMemory(
                _moment(each["due"]), _moment(each["good_at"]), _moment(each["whole_at"]), str(each["snapshot"])
            )
            for name, each in memory["windows"].items()
        },
        failures=int(memory["failures"]),
        wallets={
            key: tuple((at, int(units)) for text, units in looks if (at := _moment(text)) is not None)
            for key, looks in memory["wallets"].items()
        },
        flags=memory["flags"],
        flags_at=_moment(memory["flags_at"]),
        flags_since={flag: at for flag, text in memory["flags_since"].items() if (at := _moment(text)) is not None},
        incomplete={str(source): int(count) for source, count in memory["incomplete"].items()},
    )


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else millisecond_text(moment)


def _moment(text: object) -> datetime | None:
    return None if text is None else parse_iso(str(text))
