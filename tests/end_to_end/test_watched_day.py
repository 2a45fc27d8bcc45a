"""A day of a marketplace, shortened: outage, burst, silence and recovery, watched on a real database over real HTTP.

The watch has a login that may only read. Between its rounds it is killed at random places of a further one, and that
changes nothing of what opens, becomes urgent and ends.
"""

from __future__ import annotations

import datetime as dt
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import bson
import httpx
import pytest

from recon.files import ChainedLog
from recon.setup.settings import load_settings
from recon.simulation import generate_world
from recon.sources.providers.request_network.recorded import request_network_handler
from recon.sources.providers.shkeeper.recorded import shkeeper_handler
from recon.sources.recorded.world import rpc_handler
from recon.watch import watch_once
from recon.watch.rounds import RoundDone, Rounds
from recon.watch.situations import Turn
from recon.watch.state import WatchLog
from tests.support import servers
from tests.support.builders import GONE, payment_document
from tests.support.living import Addresses, moved, write_live_config
from tests.support.provider_servers import Handler, serve
from tests.support.telling import received
from tests.support.watching import killed_rounds

DATABASE = "marketplace"
NIGHT = dt.datetime.now(tz=dt.UTC) - dt.timedelta(hours=20)
AWAY = "sources"
SETTINGS = """
[deliveries]
collection = "deliveries"
[watch]
lag_min = 600
down_rounds_critical = 2
undecided_h = 900000
silence_min = 100000
new_within_min = 0
stuck_share_percent = 100
"""


@dataclass
class Day:
    """A marketplace that is watched."""

    folder: Path
    mongo: servers.Mongod
    sick: set[str] = field(default_factory=set)

    @property
    def config(self) -> Path:
        return self.folder / "recon.toml"

    def door(self, name: str, handler: Handler) -> Handler:
        """A server that can be made sick."""

        def answer(request: httpx.Request) -> httpx.Response:
            if name in self.sick:
                return httpx.Response(503, text="away")
            if name.startswith("chain"):
                request = httpx.Request("POST", request.url, content=request.content)
            return handler(request)

        return answer

    def rows(self) -> bytes:
        """Every payment, byte for byte."""
        with self.mongo.client() as client:
            return b"".join(bson.encode(row) for row in client[DATABASE]["payments"].find().sort("_id", 1))

    def round(self) -> list[tuple[str, str]]:
        """One round; what changed, and that no payment did."""
        before = self.rows()
        done = watch_once(self.config)
        assert self.rows() == before
        return told(done)

    def killed(self, *places: int) -> None:
        """Rounds that are killed; what is open after them is what was open before."""
        before = self.open()
        assert set(killed_rounds(self.config, places)) == {-9}
        assert self.open() == before

    def open(self) -> list[str]:
        return [each.key for each in WatchLog(self.folder / "out").state().open]


def told(done: RoundDone) -> list[tuple[str, str]]:
    return [(turn.value, each.key) for turn, each in done.turns]


@pytest.fixture
def day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Day]:
    mongo = servers.start_mongod(auth=True)
    try:
        world = moved(generate_world(payments=12, seed=21), dt.datetime.now(tz=dt.UTC))
        recorded = world.recorded
        played = Day(tmp_path / "day", mongo)
        with mongo.client() as client:
            client[DATABASE]["payments"].insert_many([dict(document) for document in recorded.payments])
            client[DATABASE]["payments"].update_many(
                {"status": {"$in": ["pending", "processing"]}}, {"$set": {"status": "cancelled"}}
            )
            client[DATABASE]["deliveries"].insert_one(delivery(0, minutes=3000))
        monkeypatch.setenv(
            "RECON_MONGO_URI", mongo.create_user("watcher", "watcher-pass", database=DATABASE, role="read")
        )
        monkeypatch.setenv("RECON_REQUEST_NETWORK_API_KEY", "rn-test-key")
        monkeypatch.setenv("RECON_SHKEEPER_API_KEY", "sh-test-key")
        with ExitStack() as stack:
            addresses = Addresses(
                stack.enter_context(serve(played.door("request_network", request_network_handler(recorded)))),
                stack.enter_context(serve(played.door("shkeeper", shkeeper_handler(recorded)))),
                {
                    chain: stack.enter_context(serve(played.door(f"chain:{chain}", rpc_handler(recorded, chain))))
                    for chain in recorded.chains
                },
            )
            config = write_live_config(played.folder, world, addresses, database=DATABASE)
            spare = stack.enter_context(serve(played.door("chain spare", rpc_handler(recorded, 56))))
            text = config.read_text(encoding="utf-8").replace("[mongo]", "[mongo]\ntimeout_s = 1")
            text = text.replace("calls_per_s = 1000\n", "calls_per_s = 1000\nretries_max = 0\n")
            text = text.replace(f'["{addresses.chains[56]}"]', f'["{addresses.chains[56]}", "{spare}"]')
            config.write_text(text + SETTINGS, encoding="utf-8")
            yield played
    finally:
        mongo.stop()


def delivery(number: int, *, minutes: float, status: int = 200) -> dict[str, Any]:
    at = dt.datetime.now(tz=dt.UTC) - dt.timedelta(minutes=minutes)
    return {
        "deliveryId": f"delivery-{number}", "provider": "request_network", "receivedAt": at, "httpStatus": status,
        "signatureValid": True, "event": "payment.confirmed",
    }  # fmt: skip


def waiting(number: int, *, minutes: float) -> dict[str, Any]:
    """A payment that nobody paid yet."""
    made = dt.datetime.now(tz=dt.UTC) - dt.timedelta(minutes=minutes)
    changes = {
        "_id": f"day-{number}", "status": "pending", "escrowState": GONE, "blockchain.transactionHash": GONE,
        "blockchain.confirmations": GONE, "createdAt": made, "updatedAt": made,
    }  # fmt: skip
    return payment_document(number, changes)


def test_a_day_opens_escalates_and_closes_exactly_what_it_should(day: Day) -> None:
    """Slow because it is the whole chain of events of a day over a real server: a dozen rounds, some of them killed."""
    pick = random.Random(6)
    course: list[tuple[str, str]] = []

    def expect(*changes: tuple[str, str]) -> None:
        nonlocal course
        assert day.round() == sorted(changes, key=lambda pair: pair[1])
        course += sorted(changes, key=lambda pair: pair[1])

    def look() -> list[tuple[str, str]]:
        found = told(Rounds(load_settings(day.config)).look())
        course.extend(found)
        return found

    with day.mongo.client() as client:
        payments, deliveries = client[DATABASE]["payments"], client[DATABASE]["deliveries"]

        # A quiet morning: one payment that came in the night and is not credited.
        expect(("opened", "captured_not_credited:shkeeper"))
        day.killed(1, pick.randrange(2, 12))
        expect()

        # Buyers wait: seen between rounds, within the minute.
        payments.insert_many([waiting(number, minutes=20) for number in (901, 902)])
        assert look() == []
        payments.insert_one(waiting(903, minutes=31))
        assert look() == [("opened", "overdue:request_network")]
        assert look() == []

        # A provider is away: nothing of it is forgotten, and it becomes urgent. The one that waits is a break by now.
        day.sick.add("shkeeper")
        expect(("opened", "source_down:shkeeper"), ("opened", "new_breaks:"))
        day.killed(pick.randrange(2, 12))
        expect(("escalated", "source_down:shkeeper"))

        # Webhooks fail in a burst, and the first endpoint of a chain is away.
        day.sick.add("chain:56")
        deliveries.insert_many([delivery(number, minutes=3, status=500) for number in range(1, 13)])
        expect(("opened", "webhook_burst:request_network"), ("opened", "rpc_failover:56"))

        # The provider is back, the burst is over, the buyer has paid.
        day.sick.clear()
        deliveries.update_many({"httpStatus": 500}, {"$set": {"receivedAt": NIGHT}})
        payments.update_one({"_id": "day-903"}, {"$set": {"status": "cancelled"}})
        day.killed(pick.randrange(2, 12))
        expect(
            ("resolved", "new_breaks:"),
            ("resolved", "rpc_failover:56"),
            ("resolved", "overdue:request_network"),
            ("resolved", "source_down:shkeeper"),
            ("resolved", "webhook_burst:request_network"),
        )
        expect()

    # The database is away, and nothing is concluded from that.
    day.mongo.kill()
    done = watch_once(day.config)
    assert [pair for pair in told(done) if pair[0] == "resolved"] == []
    assert [pair[1] for pair in told(done) if pair[0] == "opened"] == [f"source_down:{AWAY}"]
    assert done.is_incomplete
    course += told(done)
    day.mongo.start()
    back = day.round()
    assert sorted(turn for turn, key in back if key.startswith("source_down")) == ["resolved"]
    assert {each.split(":")[0] for each in day.open()} == {"captured_not_credited"}
    course += back

    lines = [*WatchLog(day.folder / "out").lines()]
    assert [(turn.value, each.key) for line in lines for turn, each in line.turns] == course, "each is told once"
    assert [line.state.number for line in lines] == [*range(1, len(lines) + 1)]
    for log in (day.folder / "out").rglob("*.ndjson"):
        assert all(entry.follows for entry in ChainedLog(log).entries())
    assert not [each for line in lines for turn, each in line.turns if turn is Turn.RESOLVED and each.is_unread]

    # A pager hears of exactly that, whichever process tells it, and whatever fails on the way.
    actions = {"opened": "trigger", "escalated": "trigger", "resolved": "resolve"}
    wanted = Counter((actions[turn], key.rpartition("/")[2]) for turn, key in course if turn in actions)
    assert Counter(received(lines, day.folder)) == wanted
