"""Messages arrive at real servers: once for each situation, again after a kill or a failure, and never in the way."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import unquote

import pytest
from click.testing import CliRunner

from recon.cli.watch_alerts import try_alerts
from recon.core.tries import Backoff
from recon.setup.settings import Settings, load_settings
from recon.sources.http import Clock
from recon.watch.situations import KeptSituation, Urgency, acknowledged
from recon.watch.telling import Courier, open_courier, try_channels
from recon.watch.telling.channels import NotTakenError
from recon.watch.telling.open_telling import NoChannelError
from tests.support.inbox import Inbox, inbox
from tests.watch.telling.test_routes import NOON, SEEN, kept

KEY = "R0UT1NGKEY-hush"
GENIE = "GENIE-hush-77"


@pytest.fixture
def service() -> Iterator[Inbox]:
    with inbox() as found:
        yield found


def settings(
    folder: Path,
    service: Inbox,
    monkeypatch: pytest.MonkeyPatch,
    more: str = "",
    chat: str = "",
    timeout_s: float = 1.0,
) -> Settings:
    monkeypatch.setenv("CHAT_URL", service.apprise)
    monkeypatch.setenv("PAGER_KEY", KEY)
    monkeypatch.setenv("GENIE_KEY", GENIE)
    path = folder / "recon.toml"
    path.write_text(
        f"""
target.name = "shop"
[alerts]
timeout_s = {timeout_s}
{more}
[[alerts.channels]]
name = "chat"
secret_variable = "CHAT_URL"
{chat}
[[alerts.channels]]
name = "pager"
kind = "pagerduty"
base_url = "{service.url}/pd"
secret_variable = "PAGER_KEY"
urgency_min = "critical"
[[alerts.channels]]
name = "genie"
kind = "opsgenie"
base_url = "{service.url}/og/"
secret_variable = "GENIE_KEY"
urgency_min = "critical"
""",
        encoding="utf-8",
    )
    return load_settings(path)


def until(condition: Callable[[], bool]) -> None:
    """Wait for what another thread does."""
    ends = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < ends, "it did not happen"
        time.sleep(0.01)


class Time:
    """A clock that is moved by hand."""

    def __init__(self, at: datetime = NOON) -> None:
        self.at = at

    def _seconds(self) -> float:
        return self.at.timestamp()

    @property
    def clock(self) -> Clock:
        return Clock(now_ms=lambda: int(self.at.timestamp() * 1000), monotonic=self._seconds, sleep=lambda _: None)

    def passes(self, **span: float) -> datetime:
        self.at += timedelta(**span)
        return self.at


def carried(courier: Courier, hand: Time, *open_ones: KeptSituation) -> None:
    """One round and what it sends, in this thread."""
    courier.tell(open_ones, now=hand.at)
    for name in ("chat", "pager", "genie"):
        courier.carry(name)


def worse(situation: KeptSituation, at: datetime) -> KeptSituation:
    return replace(situation, seen=replace(situation.seen, urgency=Urgency.CRITICAL), changed_at=at)


def test_one_situation_from_its_opening_to_its_end_at_each_kind_of_service(
    tmp_path: Path, service: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    hand = Time()
    courier = open_courier(settings(tmp_path, service, monkeypatch), clock=hand.clock)
    first = kept()
    carried(courier, hand, first)
    carried(courier, hand, first)
    second = worse(first, hand.passes(minutes=5))
    carried(courier, hand, second)
    carried(courier, hand, acknowledged(second, who="ada"))
    hand.passes(minutes=20)
    carried(courier, hand)
    carried(courier, hand)

    chat = [each for each in service.received if each.path.startswith("/hush")]
    assert [each.body["title"].partition(":")[0] for each in chat] == [
        "WARNING shop", "CRITICAL, escalated shop", "CRITICAL, acknowledged shop", "RESOLVED shop",
    ]  # fmt: skip
    assert [each.body["type"] for each in chat] == ["warning", "failure", "failure", "success"]
    assert "next: recon show latest" in chat[0].body["message"]
    assert chat[2].body["message"] == "ada is working on it."

    pager = [each.body for each in service.received if each.path == "/pd/v2/enqueue"]
    assert [each["event_action"] for each in pager] == ["trigger", "acknowledge", "resolve"]
    assert {each["dedup_key"] for each in pager} == {"recon/shop/captured_not_credited:one_rail"}
    assert {each["routing_key"] for each in pager} == {KEY}
    assert pager[0]["payload"]["severity"] == "critical"
    assert pager[0]["payload"]["custom_details"]["money"] == "1,331.21 USDT on BNB Chain"

    genie = [each for each in service.received if each.path.startswith("/og/")]
    alias = "recon/shop/captured_not_credited:one_rail"
    assert [unquote(each.path) for each in genie] == [
        "/og/v2/alerts",
        f"/og/v2/alerts/{alias}/acknowledge?identifierType=alias",
        f"/og/v2/alerts/{alias}/close?identifierType=alias",
    ]
    assert genie[0].body["alias"] == alias
    assert genie[0].body["priority"] == "P1"
    assert {each.headers["authorization"] for each in genie} == {f"GenieKey {GENIE}"}
    assert "665f1c2e" not in json.dumps([each.body for each in service.received]), "no payment is named"


def test_an_entry_that_changes_is_changed_in_place(
    tmp_path: Path, service: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    hand = Time()
    courier = open_courier(settings(tmp_path, service, monkeypatch), clock=hand.clock)
    first = kept(Urgency.CRITICAL)
    carried(courier, hand, first)
    service.received.clear()
    now = hand.passes(hours=2)
    carried(courier, hand, replace(first, seen=replace(first.seen, count=9, title="9 payments wait."), changed_at=now))
    [genie, message, description] = [each for each in service.received if each.path.startswith("/og/")]
    assert genie.body["alias"] == "recon/shop/captured_not_credited:one_rail"
    assert (message.method, message.body["message"]) == ("PUT", "CRITICAL, updated shop: 9 payments wait.")
    assert description.method == "PUT"
    [event] = [each.body for each in service.received if each.path.startswith("/pd/")]
    assert (event["event_action"], event["payload"]["custom_details"]["count"]) == ("trigger", "9")


def test_what_was_told_survives_a_kill_and_what_was_not_is_told_after_it(
    tmp_path: Path, service: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, hand = settings(tmp_path, service, monkeypatch), Time()
    killed = open_courier(given, clock=hand.clock)
    killed.tell([kept()], now=hand.at)  # and no message went out
    again = open_courier(given, clock=hand.clock)
    again.carry("chat")
    assert len(service.received) == 1
    third = open_courier(given, clock=hand.clock)
    third.carry("chat")
    assert len(service.received) == 1, "it was taken, and that was noted"
    third.tell([], now=hand.passes(minutes=3))
    killed_again = open_courier(given, clock=hand.clock)
    killed_again.carry("chat")
    assert [title.split()[0] for title in service.titles] == ["WARNING", "RESOLVED"]


def test_a_kill_between_sending_and_the_note_sends_the_same_key_once_more(
    tmp_path: Path, service: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, hand = settings(tmp_path, service, monkeypatch), Time()
    courier = open_courier(given, clock=hand.clock)
    courier.tell([kept(Urgency.CRITICAL)], now=hand.at)
    before = (tmp_path / "recon-out" / "watch" / "messages.json").read_bytes()
    courier.carry("pager")
    (tmp_path / "recon-out" / "watch" / "messages.json").write_bytes(before)
    open_courier(given, clock=hand.clock).carry("pager")
    assert [each.body["dedup_key"] for each in service.received] == ["recon/shop/captured_not_credited:one_rail"] * 2


def test_a_channel_that_fails_is_tried_again_and_hears_how_things_are_by_then(
    tmp_path: Path, service: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    hand = Time()
    courier = open_courier(settings(tmp_path, service, monkeypatch), clock=hand.clock)
    service.answers += [503, 503, 202]
    first = kept()
    courier.tell([first], now=hand.at)
    with pytest.raises(NotTakenError, match=r"HTTP 503"):
        courier.carry("chat")
    second = worse(first, hand.passes(minutes=1))
    courier.tell([second], now=hand.at)
    with pytest.raises(NotTakenError):
        courier.carry("chat")
    courier.carry("chat")
    assert service.titles[-1].startswith("CRITICAL shop: 3 payments"), "one message, of how it is now"
    assert courier.counts["chat", "failed"] == 2
    assert courier.counts["chat", "taken"] == 1


def test_what_ended_before_it_could_be_told_is_told_as_over_and_wakes_no_pager(
    tmp_path: Path, service: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    hand = Time()
    courier = open_courier(settings(tmp_path, service, monkeypatch), clock=hand.clock)
    service.answers += [503, 503]
    courier.tell([kept(Urgency.CRITICAL)], now=hand.at)
    for name in ("chat", "pager"):
        with pytest.raises(NotTakenError):
            courier.carry(name)
    carried(courier, hand)
    assert [each.path for each in service.received[2:]] == ["/hush-9f27c1/"]
    assert service.received[2].body["title"].startswith("RESOLVED, could not be told before shop: ")


def test_a_message_that_would_be_refused_again_waits_for_a_change_and_holds_up_no_other(
    tmp_path: Path, service: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    hand = Time()
    courier = open_courier(settings(tmp_path, service, monkeypatch), clock=hand.clock)
    service.answers += [400]
    odd, other = kept(Urgency.CRITICAL, rule="a_rule"), kept(Urgency.CRITICAL, rule="b_rule")
    courier.tell([odd, other], now=hand.at)
    courier.carry("pager")
    courier.carry("pager")
    assert [each.body["dedup_key"].rpartition("/")[2] for each in service.received] == [
        "a_rule:one_rail", "b_rule:one_rail",
    ]  # fmt: skip
    courier.tell([replace(odd, changed_at=hand.passes(minutes=1)), other], now=hand.at)
    courier.carry("pager")
    assert len(service.received) == 3


def test_a_channel_that_hangs_holds_up_neither_the_watch_nor_the_others(
    tmp_path: Path, service: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    with inbox() as stuck:
        stuck.hangs.set()
        given = settings(tmp_path, service, monkeypatch, timeout_s=0.2, more='summary_at = ""')
        monkeypatch.setenv("CHAT_URL", stuck.apprise)
        courier = open_courier(given, backoff=Backoff(0.05, 0.05))
        courier.start()
        courier.tell([kept(Urgency.CRITICAL)], now=NOON)
        until(lambda: len(service.received) == 2 and len(stuck.received) >= 2)
        assert {each.path for each in service.received} == {"/pd/v2/enqueue", "/og/v2/alerts"}
        assert "chat" in courier.wait(0)
        stuck.hangs.clear()
        stuck.freed.set()
        assert courier.wait(20) == ()
        courier.stop()
    assert {title.partition(":")[0] for title in stuck.titles} == {"CRITICAL shop"}


def test_a_summary_a_day_and_only_where_it_is_wanted(
    tmp_path: Path, service: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    hand = Time(datetime(2026, 12, 1, 6, 0, tzinfo=UTC))
    given = settings(tmp_path, service, monkeypatch, more='time_zone = "Europe/Berlin"\nsummary_at = "08:00"')
    courier = open_courier(given, clock=hand.clock)
    first = kept()
    carried(courier, hand, first)
    hand.passes(hours=1)
    carried(courier, hand, first)
    carried(courier, hand, first)
    assert service.titles == ["WARNING shop: 3 payments are captured and not credited.", "Summary of shop: 1 warning"]
    hand.passes(days=7)
    courier.tell([first], now=hand.at, rounds=0)
    carried(courier, hand)
    again = open_courier(given, clock=hand.clock)
    again.carry("chat")
    assert service.titles[2:] == [
        "RESOLVED shop: 3 payments are captured and not credited.", "Summary of shop: nothing is open",
    ]  # fmt: skip
    assert "1 situation over, 2 rounds." in service.received[-1].body["message"], "a look is no round"


def test_quiet_hours_keep_a_message_for_the_morning(
    tmp_path: Path, service: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    hand = Time(datetime(2026, 12, 1, 23, 0, tzinfo=UTC))
    more = 'quiet_from = "22:00"\nquiet_to = "07:00"\nsummary_at = ""'
    courier = open_courier(settings(tmp_path, service, monkeypatch, more=more), clock=hand.clock)
    carried(courier, hand, kept(opened=hand.at))
    assert service.received == []
    hand.passes(hours=8)
    courier.carry("chat")
    assert len(service.titles) == 1


def test_payments_are_named_where_the_channel_is_configured_to(
    tmp_path: Path, service: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    hand = Time()
    courier = open_courier(settings(tmp_path, service, monkeypatch, chat="shows_payments = true"), clock=hand.clock)
    carried(courier, hand, kept())
    assert "payments 665f1c2e9b1d8a0012345678, " in service.received[0].body["message"]


def test_no_secret_reaches_a_log_a_file_or_an_error(
    tmp_path: Path, service: Inbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    hand = Time()
    courier = open_courier(settings(tmp_path, service, monkeypatch), clock=hand.clock)
    service.answers += [503, 503, 503]
    courier.tell([kept(Urgency.CRITICAL)], now=hand.at)
    said = []
    for name in ("chat", "pager", "genie"):
        with pytest.raises(NotTakenError) as failed:
            courier.carry(name)
        said.append(str(failed.value))
    carried(courier, hand, kept(Urgency.CRITICAL))
    written = "".join(path.read_text(errors="replace") for path in (tmp_path / "recon-out").rglob("*.json"))
    everything = caplog.text + "".join(said) + written + repr(courier.outbox)
    assert [secret for secret in ("hush", KEY, GENIE) if secret in everything] == []
    assert len(service.received) == 6


def test_a_broken_outbox_is_told_of_and_begun_anew(
    tmp_path: Path, service: Inbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    given, hand = settings(tmp_path, service, monkeypatch), Time()
    path = tmp_path / "recon-out" / "watch" / "messages.json"
    path.parent.mkdir(parents=True)
    for broken in (b"{", b'{"format": 9}', b'{"format":1,"open":[{}],"channels":{}}', b"\xff" * 9):
        path.write_bytes(broken)
        courier = open_courier(given, clock=hand.clock)
        carried(courier, hand, kept())
    assert len(service.titles) == 4
    assert caplog.text.count("messages.json cannot be read") == 4


def test_a_full_disk_stops_no_message(
    tmp_path: Path, service: Inbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    hand = Time()
    courier = open_courier(settings(tmp_path, service, monkeypatch), clock=hand.clock)

    def full(*given: object, **more: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("recon.watch.telling.outbox.replace_file", full)
        carried(courier, hand, kept())
    assert len(service.titles) == 1
    assert "could not be written (No space left on device)" in caplog.text
    carried(courier, hand, kept())
    assert json.loads((tmp_path / "recon-out" / "watch" / "messages.json").read_text())["open"]


# Trying a channel


def test_a_test_message_arrives_and_leaves_no_incident_open(
    tmp_path: Path, service: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = try_channels(settings(tmp_path, service, monkeypatch))
    assert [(each.channel, each.was_taken) for each in found] == [("chat", True), ("pager", True), ("genie", True)]
    assert service.received[0].body["title"] == "TEST shop: messages of recon arrive here"
    assert [each.body["event_action"] for each in service.received[1:3]] == ["trigger", "resolve"]
    assert service.received[4].path.endswith("/close?identifierType=alias")


def test_a_test_message_says_why_it_did_not_arrive(
    tmp_path: Path, service: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = settings(tmp_path, service, monkeypatch)
    service.answers += [404, 401]
    chat, pager = try_channels(given, channels=["chat", "pager"])
    assert chat.why == "HTTP 404"
    assert pager.why == f"HTTP 401 from {service.url}"
    with pytest.raises(NoChannelError, match="There is no channel caht; these are configured: chat, pager, genie"):
        try_channels(given, channels=["caht"])


def test_without_a_channel_it_says_where_to_write_one(tmp_path: Path) -> None:
    (tmp_path / "recon.toml").write_text("", encoding="utf-8")
    with pytest.raises(NoChannelError, match="No channel is configured"):
        try_channels(load_settings(tmp_path / "recon.toml"))


assert SEEN.payments, "the sighting of these tests names payments, so that their absence tells"


def test_the_command_prints_what_came_of_it(tmp_path: Path, service: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    settings(tmp_path, service, monkeypatch)
    line = ["--config", str(tmp_path / "recon.toml"), "--format", "csv"]
    found = CliRunner().invoke(try_alerts, [*line, "--channel", "chat"])
    assert (found.exit_code, found.stdout) == (0, "channel,kind,taken,why\nchat,apprise,yes,\n")
    service.answers += [503]
    found = CliRunner().invoke(try_alerts, line)
    assert found.exit_code == 4
    assert "chat,apprise,NO,HTTP 503" in found.stdout
    assert "pager,pagerduty,yes," in found.stdout
