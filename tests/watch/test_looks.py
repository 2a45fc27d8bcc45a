"""Between rounds the database counts only where something changed or becomes overdue, or where nobody can tell."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from recon.core.errors import SourceError
from recon.setup.file import parse_settings
from recon.setup.open_rollout import OpenCount
from recon.setup.open_sources import Opening
from recon.setup.settings import Settings, load_settings
from recon.sources.payments.changes import ChangesUnseenError
from recon.watch.looks import RETRY_S, OpenPayments
from tests.support import servers
from tests.support.builders import GONE, shkeeper_document

NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)
NONE = OpenCount({}, None)
SETTINGS = Settings(parse_settings({}), home=Path("nowhere"))


@dataclass
class PlayedFeed:
    """Says what a test lets it say; quiet afterwards."""

    says: Iterator[bool | Exception] = field(default_factory=lambda: iter([True]))
    asked: int = 0

    def has_news(self) -> bool:
        self.asked += 1
        said = next(self.says, False)
        if isinstance(said, Exception):
            raise said
        return said

    def close(self) -> None:
        """Nothing is open."""


@dataclass
class Watched:
    """Looks, one after another, by a clock that is moved."""

    feed: PlayedFeed | None
    found: OpenCount = NONE
    passed: float = 0.0
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.looks = OpenPayments(SETTINGS, feed=self.feed, say=self.said.append, monotonic=lambda: self.passed)

    def look(self, seconds: float = 30) -> int:
        """How often was counted for one look."""
        before = self.looks.counts
        self.passed += seconds
        assert self.looks.overdue(now=NOON + timedelta(seconds=self.passed)) == self.found
        return self.looks.counts - before


@pytest.fixture
def counting(monkeypatch: pytest.MonkeyPatch) -> list[Watched]:
    watched: list[Watched] = []
    monkeypatch.setattr("recon.setup.open_rollout.count_open", lambda settings, *, before: watched[0].found)
    return watched


def watch(counting: list[Watched], *says: bool | Exception, found: OpenCount = NONE) -> Watched:
    counting[:] = [Watched(PlayedFeed(iter(says)), found)]
    return counting[0]


def test_what_did_not_change_is_counted_once_and_again_after_five_minutes(counting: list[Watched]) -> None:
    watched = watch(counting, True)
    assert [watched.look() for _ in range(21)] == [1, *[0] * 9, 1, *[0] * 9, 1]


def test_every_change_is_counted(counting: list[Watched]) -> None:
    watched = watch(counting, True, False, True, True, False)
    assert [watched.look() for _ in range(5)] == [1, 0, 1, 1, 0]


def test_a_payment_that_becomes_overdue_is_counted_in_time_without_any_change(counting: list[Watched]) -> None:
    made = NOON - timedelta(minutes=30) + timedelta(seconds=70)
    watched = watch(counting, True, found=OpenCount({}, made))
    assert [watched.look(), watched.look(), watched.look()] == [1, 0, 1], "30, 60, and 90 s: it is due after 70"


def test_a_clock_that_goes_back_and_a_count_that_fails_keep_nothing(
    counting: list[Watched], monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = watch(counting, True)
    assert [watched.look(), watched.look(-20), watched.look(1)] == [1, 1, 0]
    watched.looks._known = None

    def away(settings: Settings, *, before: datetime) -> OpenCount:
        raise SourceError("away")

    with monkeypatch.context() as patch:
        patch.setattr("recon.setup.open_rollout.count_open", away)
        with pytest.raises(SourceError):
            watched.look()
    assert [watched.look(), watched.look()] == [1, 0]


def test_without_a_stream_every_look_counts(counting: list[Watched]) -> None:
    counting[:] = [Watched(None)]
    assert [counting[0].look() for _ in range(3)] == [1, 1, 1]
    assert counting[0].said == []


def test_a_stream_that_cannot_be_had_is_said_once_and_asked_for_again_later(counting: list[Watched]) -> None:
    no_set = ChangesUnseenError(why="the server is no replica set")
    watched = watch(counting, no_set, no_set, True)
    every = int(RETRY_S // 30)
    assert [watched.look() for _ in range(every)] == [1] * every
    assert watched.feed is not None
    assert watched.feed.asked == 1
    assert watched.said == [f"{no_set} Meanwhile each look counts the open payments."]
    assert [watched.look() for _ in range(every)] == [1] * every
    assert len(watched.said) == 1, "the same sentence is said once"
    assert [watched.look() for _ in range(3)] == [1, 0, 0]
    assert watched.said[1:] == ["The changes of the payments are followed again."]


def test_a_database_that_is_away_is_waited_for_once_a_look_and_forgets_what_was_known(counting: list[Watched]) -> None:
    away = ChangesUnseenError(why="no server answers", is_away=True)
    watched = watch(counting, True, away, True)
    assert watched.look() == 1
    with pytest.raises(ChangesUnseenError):
        watched.look()
    assert watched.looks.counts == 1, "what does not answer is not asked to count"
    assert [watched.look(), watched.look()] == [1, 0]


# On a real server


def real_settings(folder: Path, uri: str, database: str, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("RECON_MONGO_URI", uri)
    monkeypatch.setenv("RECON_SHKEEPER_API_KEY", "sh-test-key")
    path = folder / "recon.toml"
    path.write_text(
        f'[mongo]\ndatabase = "{database}"\n[shkeeper]\nbase_url = "http://127.0.0.1:9"\n', encoding="utf-8"
    )
    return load_settings(path)


def test_looks_at_a_real_set_count_once_until_a_payment_changes_or_becomes_overdue(
    tmp_path: Path, mongod: servers.Mongod, mongo_database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = real_settings(tmp_path, mongod.uri, mongo_database.name, monkeypatch)
    now = datetime.now(UTC)
    opened = {"status": "pending", "escrowState": GONE, "blockchain.transactionHash": GONE}

    def payment(number: int, *, minutes: float) -> dict[str, Any]:
        made = now - timedelta(minutes=minutes)
        return {**shkeeper_document(number, opened), "_id": f"p-{number}", "createdAt": made, "updatedAt": made}

    payments, said = mongo_database["payments"], list[str]()
    payments.insert_many([payment(1, minutes=31), payment(2, minutes=29)])
    looks = OpenPayments(settings, feed=Opening(settings).changes(), say=said.append)

    def look(minutes: float = 0) -> tuple[int, int]:
        before = looks.counts
        found = looks.overdue(now=now + timedelta(minutes=minutes)).overdue
        return looks.counts - before, found["shkeeper"].count

    assert [look(), look(), look(0.5)] == [(1, 1), (0, 1), (0, 1)]
    assert look(1.2) == (1, 2), "the second is overdue by now, and nothing was written"
    payments.insert_one(payment(3, minutes=60))
    assert [look(1.2), look(1.2)] == [(1, 3), (0, 3)]
    payments.update_many({}, {"$set": {"status": "cancelled"}})
    assert looks.overdue(now=now + timedelta(minutes=1.2)).overdue == {}
    assert said == []
    looks.close()


def test_looks_at_a_server_that_is_no_set_count_each_time_and_say_so_once(
    tmp_path: Path, start_mongod: Callable[..., servers.Mongod], monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = start_mongod(replica_set=False)
    with alone.client() as client:
        client["shop"]["payments"].insert_one({"status": "completed"})
    settings, said = real_settings(tmp_path, alone.uri, "shop", monkeypatch), list[str]()
    looks = OpenPayments(settings, feed=Opening(settings).changes(), say=said.append)
    for _ in range(3):
        assert looks.overdue(now=datetime.now(UTC)).overdue == {}
    assert looks.counts == 3
    assert said == [
        "MongoDB: the changes of the payments cannot be followed (the server is no replica set). Meanwhile each look "
        "counts the open payments."
    ]
    looks.close()
