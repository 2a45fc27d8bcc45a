"""What is open and what each channel was told of it, in one file that survives a kill.

The file is written before a message is due and after it has arrived. A process that dies between the sending and that
note sends the message once more under the same key.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from recon.core.times import millisecond_text, parse_iso
from recon.files import make_folder, replace_file
from recon.watch.situations import KeptSituation, read_situation, situation_body
from recon.watch.telling.routes import ChannelRecord, DueMessage, Hours, Route, Told, due_messages
from recon.watch.telling.texts import Dispatch, Occasion, dispatch_of, summary_of

FORMAT: Final = 1
OUTBOX_NAME: Final = "messages.json"
OUTBOX_MAX_BYTES: Final = 20_000_000

_LOG = logging.getLogger("recon")


@dataclass(slots=True)
class Outbox:
    """Keeps what is to be told; every method may be called from any thread.

    Args:
        path: The file; what it holds is taken up when the outbox is opened.
        routes: By name, the channels there are; what the file holds of others is dropped.
    """

    path: Path
    routes: Mapping[str, Route]
    hours: Hours
    target: str = ""
    _open: dict[str, KeptSituation] = field(default_factory=dict)
    _records: dict[str, ChannelRecord] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _is_saved: bool = True

    def __post_init__(self) -> None:
        self._records = {name: ChannelRecord() for name in self.routes}
        self._load()

    def put(self, open_ones: Iterable[KeptSituation], *, now: datetime, rounds: int = 1) -> None:
        """Take over what is open after a round; what was open before and is not among it is over.

        Args:
            rounds: How many rounds it was; 0 for a look between two.
        """
        current = {each.key: each for each in open_ones}
        with self._lock:
            ended = len([key for key in self._open if key not in current])
            has_news = self._marks(self._open) != self._marks(current)
            self._open = current
            for name, record in self._records.items():
                record.ended += ended
                record.rounds += rounds
                if not record.summary_day:
                    # The first summary is of the first whole day that is watched.
                    record.summary_day = self.hours.summary_day(now)
                self.due(name, now=now)
            if has_news or not self._is_saved:
                self._save()

    @staticmethod
    def _marks(situations: Mapping[str, KeptSituation]) -> dict[str, tuple[object, ...]]:
        return {
            key: (each.id, each.changed_at, each.is_unread, each.acknowledged_by) for key, each in situations.items()
        }

    def due(self, name: str, *, now: datetime) -> list[DueMessage]:
        """What a channel is to be told now, but for summaries."""
        with self._lock:
            found = self._due(name, now=now)
            for occasion, situation in found:
                if occasion is Occasion.OPENED:
                    self._records[name].waiting[situation.key] = situation
            return found

    def _due(self, name: str, *, now: datetime) -> list[DueMessage]:
        route = self.routes[name]
        found = due_messages(self._open, self._records[name], route=route, hours=self.hours, now=now)
        # A service with entries is not woken up for what is over already.
        return [each for each in found if each[0] is not Occasion.PASSED or not route.keeps_one_entry]

    def message(self, name: str, due: DueMessage, *, now: datetime) -> Dispatch:
        """The text about one turn of a situation, as the channel may read it."""
        shows = self.routes[name].shows_payments
        return dispatch_of(*due, target=self.target, now=now, shows_payments=shows)

    def summary(self, name: str, *, now: datetime) -> Dispatch | None:
        """The summary that a channel is to be sent now; None when there is none."""
        day, route = self.hours.summary_day(now), self.routes[name]
        with self._lock:
            record = self._records[name]
            if not day or route.keeps_one_entry or not route.gets_summary or record.summary_day in ("", day):
                return None
            mine = [each for each in self._open.values() if route.takes(each)]
            return summary_of(mine, ended=record.ended, rounds=record.rounds, target=self.target, now=now, day=day)

    def note_told(self, name: str, due: DueMessage, *, now: datetime) -> None:
        """Take down that a message arrived, and make that last."""
        with self._lock:
            self._records[name].note_told(*due, now=now)
            self._save()

    def note_summary(self, name: str, *, now: datetime) -> None:
        """Take down that the summary arrived, and make that last."""
        with self._lock:
            record = self._records[name]
            record.summary_day, record.ended, record.rounds = self.hours.summary_day(now), 0, 0
            self._save()

    def unsent(self, name: str, *, now: datetime) -> int:
        """How many messages are due at a channel."""
        with self._lock:
            return len(self._due(name, now=now)) + (self.summary(name, now=now) is not None)

    # The file

    def _save(self) -> None:
        body = {
            "format": FORMAT,
            "open": _bodies(self._open.values()),
            "channels": {name: _record_body(record) for name, record in self._records.items()},
        }
        data = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
        try:
            make_folder(self.path.parent)
            replace_file(self.path, data)
            self._is_saved = True
        except OSError as error:
            # What is told matters more than the note about it: after a kill it may be told twice, under one key.
            self._is_saved = False
            _LOG.warning(
                "%s could not be written (%s); messages go on, and may be sent twice after a restart. Make room.",
                self.path.name,
                error.strerror,
            )

    def _load(self) -> None:
        try:
            if self.path.stat().st_size > OUTBOX_MAX_BYTES:
                raise ValueError("it is larger than any that is written")
            body = json.loads(self.path.read_bytes())
            if not isinstance(body, dict) or body.get("format") != FORMAT:
                raise ValueError("it is of another format")
            self._open = {each.key: each for each in map(read_situation, body["open"])}
            for name, record in body["channels"].items():
                if name in self._records:
                    self._records[name] = _read_record(record)
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            self._open = {}
            self._records = {name: ChannelRecord() for name in self.routes}
            _LOG.warning(
                "%s cannot be read (%s); what was told before is not known, so open situations are told again.",
                self.path.name,
                type(error).__name__,
            )


def _bodies(situations: Iterable[KeptSituation]) -> list[dict[str, Any]]:
    return [situation_body(each) for each in situations]


def _record_body(record: ChannelRecord) -> dict[str, Any]:
    return {
        "told": [
            {"situation": situation_body(each.situation), "at": millisecond_text(each.at)}
            for each in record.told.values()
        ],
        "waiting": _bodies(record.waiting.values()),
        "summary_day": record.summary_day,
        "ended": record.ended,
        "rounds": record.rounds,
    }


def _read_record(body: Mapping[str, Any]) -> ChannelRecord:
    told: Sequence[Mapping[str, Any]] = body["told"]
    return ChannelRecord(
        told={(each := _read_told(one)).situation.key: each for one in told},
        waiting={each.key: each for each in map(read_situation, body["waiting"])},
        summary_day=str(body["summary_day"]),
        ended=int(body["ended"]),
        rounds=int(body["rounds"]),
    )


def _read_told(body: Mapping[str, Any]) -> Told:
    at = parse_iso(str(body["at"]))
    if at is None:
        raise ValueError("a message without its time")
    return Told(read_situation(body["situation"]), at)
