"""The changes of a real collection are followed, and whatever breaks a stream is news or a sentence."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from pymongo import MongoClient

from recon.sources.payments import changes
from recon.sources.payments.changes import ChangesUnseenError, MongoChanges
from recon.sources.payments.mongo import MongoSettings
from tests.support import servers
from tests.support.builders import payment_document

NAMES = {"database": "shop", "collection": "payments"}


@dataclass
class TestedMongod(servers.Mongod):
    """A mongod that fails on demand."""

    __test__ = False

    def _command(self) -> list[str]:
        return [*super()._command(), "--setParameter", "enableTestCommands=1"]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestedMongod]:
    """A replica set of one with logins, which fails on demand."""
    folder = tmp_path_factory.mktemp("mongod")
    server = TestedMongod(program="mongod", folder=folder, auth=True, journal_ms=10).start()
    yield server
    server.stop()


@pytest.fixture
def client(guarded: TestedMongod) -> Iterator[MongoClient[dict[str, Any]]]:
    with guarded.client() as found:
        found["shop"]["payments"].drop()
        found["shop"]["payments"].insert_one(payment_document(1, {}))
        yield found


@pytest.fixture
def feed(guarded: TestedMongod, client: MongoClient[dict[str, Any]]) -> Iterator[MongoChanges]:
    """A feed of a login with the role ``read``, and no more."""
    client["shop"].command("dropAllUsersFromDatabase")
    uri = guarded.create_user("watcher", "watcher-pass", database="shop")
    found = MongoChanges(MongoSettings(uri, **NAMES, timeout_ms=2_000))
    yield found
    found.close()


def test_every_kind_of_change_is_news_once(feed: MongoChanges, client: MongoClient[dict[str, Any]]) -> None:
    payments = client["shop"]["payments"]
    assert feed.has_news(), "at first nobody knows"
    assert [feed.has_news(), feed.has_news()] == [False, False]
    client["shop"]["others"].insert_one({"a": 1})
    assert not feed.has_news(), "another collection is no news"
    for change in (
        lambda: payments.insert_many([payment_document(number, {}) for number in range(2, 30)]),
        lambda: payments.update_one({}, {"$set": {"status": "failed"}}),
        lambda: payments.replace_one({"_id": payment_document(2, {})["_id"]}, {"status": "pending"}),
        lambda: payments.delete_many({"status": "pending"}),
    ):
        change()
        assert [feed.has_news(), feed.has_news()] == [True, False]


def test_a_stream_that_ends_breaks_or_loses_its_place_is_opened_anew_and_is_news(
    feed: MongoChanges, client: MongoClient[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    payments = client["shop"]["payments"]

    def is_followed_again() -> bool:
        quiet = not feed.has_news()
        payments.insert_one({"createdAt": dt.datetime.now(tz=dt.UTC)})
        return quiet and feed.has_news() and not feed.has_news()

    assert feed.has_news()
    payments.drop()
    payments.insert_one(payment_document(5, {}))
    assert feed.has_news(), "the collection was dropped, which ends a stream"
    assert feed.has_news(), "and what came meanwhile is not known"
    assert is_followed_again()
    for code in changes._TOKEN_LOST:
        lost = {"failCommands": ["getMore"], "errorCode": code}
        client.admin.command("configureFailPoint", "failCommand", mode={"times": 1}, data=lost)
        assert [feed.has_news(), feed.has_news()] == [True, True], "its place in the log of the server is lost"
        assert is_followed_again()
    client.admin.command("configureFailPoint", "failCommand", mode={"times": 1}, data={
        "failCommands": ["getMore"], "closeConnection": True,
    })  # fmt: skip
    assert not feed.has_news(), "a cut connection is taken up where it was"
    assert is_followed_again()
    monkeypatch.setattr(changes, "EVENTS_MAX", 3)
    payments.insert_many([{"number": number} for number in range(9)])
    assert [feed.has_news(), feed.has_news(), feed.has_news()] == [True, True, False], "more than is passed over"


def test_a_login_without_the_right_is_told_so_and_may_get_it(
    guarded: TestedMongod, client: MongoClient[dict[str, Any]]
) -> None:
    shop = client["shop"]
    shop.command("dropAllUsersFromDatabase")
    shop.command("dropAllRolesFromDatabase")
    find = {"resource": {"db": "shop", "collection": "payments"}, "actions": ["find"]}
    shop.command("createRole", "finder", privileges=[find], roles=[])
    uri = guarded.create_user("watcher", "watcher-pass", database="shop", role="finder")
    feed = MongoChanges(MongoSettings(uri, **NAMES, timeout_ms=2_000))
    with pytest.raises(ChangesUnseenError, match="the login may not; the role read may") as caught:
        feed.has_news()
    assert not caught.value.is_away
    assert "watcher" not in str(caught.value)
    shop.command("grantRolesToUser", "watcher", roles=["read"])
    assert feed.has_news()
    assert not feed.has_news()
    feed.close()


def test_a_server_that_is_no_set_and_one_that_is_away_are_told_apart() -> None:
    alone = servers.start_mongod(replica_set=False)
    try:
        feed = MongoChanges(MongoSettings(alone.uri, **NAMES, timeout_ms=500))
        with pytest.raises(ChangesUnseenError, match="no replica set") as caught:
            feed.has_news()
        assert not caught.value.is_away
    finally:
        alone.stop()
    with pytest.raises(ChangesUnseenError, match="no server answers") as caught:
        feed.has_news()
    assert caught.value.is_away
    feed.close()
