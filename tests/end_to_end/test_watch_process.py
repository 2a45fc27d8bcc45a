"""A day of a marketplace in minutes, watched by a real ``recon watch`` that is killed at drawn moments.

mongod is a real set with a login that may only read, the chain is a real one with the real contract, providers and the
pager are servers. Rounds are ten seconds apart, as the configuration says. What would take hours is made older: the
webhooks that stopped, and at the end the history, so that there were two clean hours after the outage.
"""

from __future__ import annotations

import json
import re
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import groupby
from pathlib import Path

import bson
import httpx
import pytest

from recon.core.registry import load_registry
from recon.core.times import parse_iso, second_text
from recon.files import ChainedLog
from recon.plans.history import load_history
from tests.end_to_end.test_watched_day import delivery, waiting
from tests.support import servers
from tests.support.builders import PAYER, RECIPIENT, deposit_address, reference, shkeeper_document
from tests.support.inbox import Inbox, inbox
from tests.support.onchain import Chain
from tests.support.provider_servers import Handler, serve
from tests.support.rails import CHAIN_ID, UNITS, Marketplace, write_config
from tests.support.watch_process import WatchProcess, minutes_ago, watch_process

SEED = 14
SETTINGS = """
[deliveries]
collection = "deliveries"
[watch]
schedule = "every 10s"
jitter_s = 0
look_every_s = 1
down_rounds_critical = 2
silence_min = 40
stuck_share_percent = 100
gates_of = ["request_network"]
[gates]
clean_window_h = 1
samples_min = 6
[[alerts.channels]]
name = "pager"
kind = "pagerduty"
secret_variable = "RECON_PAGER_KEY"
base_url = "{pager}"
"""
MORNING = ("captured_not_credited:shkeeper", "overdue:shkeeper", "gates_shut:request_network")


class Shop(Marketplace):
    """Payments of both rails that were paid an hour ago; the webhook of one invoice was lost."""

    def fill(self) -> Shop:
        usdc = load_registry().token(CHAIN_ID, "USDC")
        assert usdc is not None
        for number in range(1, 8):
            fee = {"fee_units": 5, "fee_to": PAYER}
            self._request(number, self.chain.pay(usdc.address, RECIPIENT, UNITS, reference=reference(number), **fee))
        self._invoice(8, self.chain.transfer(usdc.address, deposit_address(8), UNITS * 102 // 100))
        self.chain.mine(40)
        self.go_on()
        return self

    def go_on(self) -> None:
        """The chain has a block of about now."""
        now = int(time.time()) - 1
        if now > self.chain.block_time() + 2:
            self.chain.set_next_time(now)
            self.chain.mine()


@dataclass
class Day:
    """A marketplace whose parts can be made sick."""

    shop: Shop
    mongo: servers.Mongod
    folder: Path
    pager: Inbox
    sick: set[str] = field(default_factory=set)

    def door(self, name: str, handler: Handler) -> Handler:
        def answer(request: httpx.Request) -> httpx.Response:
            return httpx.Response(503, text="away") if name in self.sick else handler(request)

        return answer

    def node(self, request: httpx.Request) -> httpx.Response:
        """The real chain, behind another door."""
        answer = httpx.post(self.shop.chain.url, content=request.content, headers={"content-type": "application/json"})
        return httpx.Response(answer.status_code, content=answer.content)

    def rows(self) -> bytes:
        """Every payment, byte for byte."""
        with self.mongo.client() as client:
            return b"".join(bson.encode(row) for row in client["shop"]["payments"].find().sort("_id", 1))

    def credit_the_invoice(self) -> None:
        """What the backend does when it hears of the money after all."""
        [opened] = [each for each in self.shop.documents if each["_id"] == "template-checkout-8"]
        paid = shkeeper_document(8, {"blockchain.transactionHash": self.shop.shkeeper.invoices[0]["txs"][0]["txid"]})
        paid["metadata"]["externalId"] = opened["metadata"]["externalId"]
        same = {name: opened[name] for name in ("_id", "createdAt", "updatedAt")}
        with self.mongo.client() as client:
            client["shop"]["payments"].replace_one({"_id": opened["_id"]}, {**paid, **same})

    def told(self) -> dict[str, list[str]]:
        """What the pager took of each situation, where the same again is an update of one entry."""
        found: dict[str, list[str]] = {}
        for each in self.pager.taken:
            key = str(each.body["dedup_key"]).removeprefix("recon/rehearsal/")
            word = str(each.body["event_action"])
            if word == "trigger" and each.body["payload"]["severity"] == "critical":
                word = "critical"
            found.setdefault(key, []).append(word)
        return {key: [word for word, _ in groupby(words)] for key, words in found.items()}


@pytest.fixture
def day(tmp_path: Path) -> Iterator[Day]:
    with ExitStack() as stack:
        mongo = servers.start_mongod(auth=True)
        stack.callback(mongo.stop)
        anvil = servers.start_anvil(CHAIN_ID, number=70_000_000, timestamp=int(time.time()) - 3_000)
        stack.callback(anvil.stop)
        chain = stack.enter_context(Chain(anvil, block_s=3))
        chain.deploy_proxy()
        chain.deploy_known_tokens()
        shop = Shop(chain).fill()
        played = Day(shop, mongo, tmp_path, stack.enter_context(inbox()))
        network = stack.enter_context(serve(played.door("request_network", shop.request_network.handler)))
        gateway = stack.enter_context(serve(played.door("shkeeper", shop.shkeeper.handler)))
        first = stack.enter_context(serve(played.door("chain", played.node)))
        config = write_config(
            tmp_path, chain_url=first, request_network=network, shkeeper=gateway, database="shop"
        )  # fmt: skip
        text = config.read_text(encoding="utf-8").replace("[mongo]", "[mongo]\ntimeout_s = 1")
        text = text.replace("calls_per_s = 1000\n", "calls_per_s = 1000\nretries_max = 0\n")
        text = text.replace(f'["{first}"]', f'["{first}", "{chain.url}"]')
        config.write_text(text + SETTINGS.format(pager=played.pager.url), encoding="utf-8")
        with mongo.client() as client:
            client["shop"]["payments"].insert_many(shop.documents)
            client["shop"]["deliveries"].insert_many([delivery(0, minutes=3000), delivery(1, minutes=5)])
        yield played


@pytest.fixture
def watch(day: Day) -> Iterator[WatchProcess]:
    secrets = {
        "RECON_MONGO_URI": day.mongo.create_user("watcher", "watcher-pass", database="shop", role="read"),
        "RECON_REQUEST_NETWORK_API_KEY": "rn-test-key", "RECON_SHKEEPER_API_KEY": "sh-test-key",
        "RECON_PAGER_KEY": "pager-hush-77",
    }  # fmt: skip
    with watch_process(day.folder, secrets, seed=SEED, tick=day.shop.go_on) as found:
        yield found


def gauges(text: str, name: str) -> dict[str, float]:
    """The samples of one measure, by their labels."""
    return {found[1]: float(found[2]) for found in re.finditer(rf"^{name}{{(.*)}} (\S+)$", text, re.MULTILINE)}


def age_history(folder: Path, hours: tuple[float, float]) -> None:
    """Make the history older: the newest line by the second number, all before it by the first."""
    path = folder / "out" / "history.ndjson"
    entries = list(load_history(folder / "out").entries)
    path.unlink()
    for entry in entries:
        span = timedelta(hours=hours[1] if entry is entries[-1] else hours[0])

        def older(found: re.Match[str], by: timedelta = span) -> str:
            at = parse_iso(found[2])
            assert at is not None
            return f'"{found[1]}": "{second_text(at - by)}"'

        text = re.sub(r'"(at|from|to)": "([^"]+)"', older, json.dumps(entry))
        body = {name: value for name, value in json.loads(text).items() if name not in ("prev", "seal")}
        ChainedLog(path).add(body)


def test_a_day_of_a_real_watch_that_is_killed_at_drawn_moments(day: Day, watch: WatchProcess) -> None:
    """Slow because rounds of a real watch are ten seconds apart, and a day has about a dozen of them."""
    wanted: list[set[tuple[str, str]]] = []

    def expect(*changes: tuple[str, str], kills: int = 0) -> None:
        wanted.append(set(changes))
        held = {key for phase in wanted for _, key in phase}
        ended = {key for phase in wanted for turn, key in phase if turn == "resolved"}
        watch.wait_open(*(held - ended), kills=kills)
        watch.wait_for(lambda: set(changes) <= set(watch.turns()), what=f"{changes}")

    # A quiet morning: an invoice that was paid and is not credited.
    expect(*(("opened", key) for key in MORNING), kills=2)
    watch.wait_rounds(2, kills=1)
    assert watch.ask("readyz").status_code == 200

    # A buyer waits, seen between rounds by the stream of changes.
    with day.mongo.client() as client:
        payments, deliveries = client["shop"]["payments"], client["shop"]["deliveries"]
        made = waiting(903, minutes=29.8)
        payments.insert_one(made)
        expect(("opened", "overdue:request_network"), kills=1)

        # Outage: a provider and the first endpoint of the chain are away.
        day.sick.update(("shkeeper", "chain"))
        expect(("opened", "source_down:shkeeper"), ("opened", "rpc_failover:56"), kills=1)
        expect(("escalated", "source_down:shkeeper"), kills=1)

        # Burst, then silence.
        deliveries.insert_many([delivery(number, minutes=1, status=500) for number in range(10, 24)])
        expect(("opened", "webhook_burst:request_network"), kills=1)
        deliveries.update_many({}, {"$set": {"receivedAt": minutes_ago(1200)}})
        expect(("opened", "webhook_silence:request_network"), ("resolved", "webhook_burst:request_network"), kills=1)
        scraped = after_a_round(watch)
        assert gauges(scraped, "recon_watch_situations")['rule="source_down",urgency="critical"'] == 1
        assert gauges(scraped, "recon_source_complete")['source="shkeeper",window="main"'] == 0
        assert float(re.findall(r"^recon_breaks{.*} (\S+)$", scraped, re.MULTILINE)[0]) > 0

        # Recovery: all is back, one buyer went away, and the invoice is credited.
        day.sick.clear()
        deliveries.insert_one(delivery(50, minutes=0))
        payments.update_one({"_id": made["_id"]}, {"$set": {"status": "cancelled"}})
        day.credit_the_invoice()
        expect(
            ("resolved", "overdue:request_network"), ("resolved", "overdue:shkeeper"),
            ("resolved", "source_down:shkeeper"), ("resolved", "rpc_failover:56"),
            ("resolved", "webhook_silence:request_network"), ("resolved", "captured_not_credited:shkeeper"), kills=2,
        )  # fmt: skip
    rows = day.rows()

    # The database is away, and nothing is concluded from that; then the set is there again.
    day.mongo.kill()
    expect(("opened", "source_down:sources"), kills=1)
    day.mongo.start()
    expect(("resolved", "source_down:sources"))

    # Two clean hours later the gate of the way back opens, from the watch's own history.
    watch.wait_rounds(2, kills=1)
    assert watch.end() == 128 + signal.SIGTERM
    age_history(day.folder, (3.2, 1.5))
    watch.start()
    expect(("resolved", "gates_shut:request_network"), kills=1)
    assert gauges(after_a_round(watch), "recon_watch_situations") == {}
    assert watch.ask("readyz").text == "ok\n"

    # Each was told once, in order, whatever was killed, and no payment was written.
    assert day.rows() == rows
    assert watch.kills == 13
    turns = [pair for pair in watch.turns() if pair[0] != "updated"]
    assert len(turns) == sum(map(len, wanted))
    for phase in wanted:
        assert set(turns[: len(phase)]) == phase
        del turns[: len(phase)]
    numbers = [line.state.number for line in watch.log.lines()]
    assert numbers == [*range(1, len(numbers) + 1)]
    for log in (day.folder / "out").rglob("*.ndjson"):
        assert all(entry.follows for entry in ChainedLog(log).entries())
    watch.wait_for(lambda: day.told() == messages_of(wanted), what=f"{day.told()} told")
    assert watch.end() == 128 + signal.SIGTERM
    assert "Traceback" not in watch.said
    assert "no replica set" not in watch.said
    assert "hush" not in watch.said


def after_a_round(watch: WatchProcess) -> str:
    """What is measured once this process has made a round."""
    watch.wait_for(lambda: "recon_source_complete{" in watch.ask("metrics").text, what="a round that is measured")
    return watch.ask("metrics").text


def messages_of(phases: list[set[tuple[str, str]]]) -> dict[str, list[str]]:
    """What a pager is to hear of each situation; what begins critical is told as that."""
    critical = {"webhook_burst:request_network"}
    found: dict[str, list[str]] = {}
    for turn, key in (pair for phase in phases for pair in sorted(phase)):
        word = {"opened": "critical" if key in critical else "trigger", "escalated": "critical", "resolved": "resolve"}
        found.setdefault(key, []).append(word[turn])
    return found
