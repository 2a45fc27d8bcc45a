"""What is due to a channel follows from what is open and what it was told; hours and routes hold back what they say."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from recon.watch.situations import KeptSituation, Sighting, Urgency, acknowledged
from recon.watch.telling.routes import ChannelRecord, Hours, Route, Told, due_messages
from recon.watch.telling.texts import KEY_MAX, Occasion, dispatch_of, harmless, situation_key, summary_of

NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)
SEEN = Sighting(
    "captured_not_credited", "one_rail", Urgency.WARNING, "3 payments are captured and not credited.", count=3,
    money=(("USDT on BNB Chain", "1331.219999"),), oldest=NOON - timedelta(minutes=45), command="recon show latest",
    payments=("665f1c2e9b1d8a0012345678", "665f1c2e9b1d8a0012345679"),
)  # fmt: skip
HOURS = Hours(ZoneInfo("UTC"))
CHAT, PAGER = Route("chat"), Route("pager", keeps_one_entry=True)


def kept(urgency: Urgency = Urgency.WARNING, *, rule: str = SEEN.rule, opened: datetime = NOON) -> KeptSituation:
    return KeptSituation(replace(SEEN, urgency=urgency, rule=rule), opened_at=opened, changed_at=opened)


def due(
    *open_ones: KeptSituation,
    record: ChannelRecord | None = None,
    route: Route = CHAT,
    hours: Hours = HOURS,
    now: datetime = NOON,
) -> list[str]:
    by_key = {each.key: each for each in open_ones}
    found = due_messages(by_key, record or ChannelRecord(), route=route, hours=hours, now=now)
    return [f"{occasion.value} {situation.seen.urgency.value}" for occasion, situation in found]


def record(told: KeptSituation, *, at: datetime = NOON) -> ChannelRecord:
    return ChannelRecord(told={told.key: Told(told, at)})


def test_a_situation_is_told_once_then_when_it_changes_and_when_it_is_over() -> None:
    first = kept()
    assert due(first) == ["opened warning"]
    assert due(first, record=record(first), now=NOON + timedelta(days=9)) == []
    changed = replace(first, changed_at=NOON + timedelta(minutes=5))
    assert due(changed, record=record(first), now=NOON + timedelta(minutes=59)) == [], "updates have a pace"
    assert due(changed, record=record(first), now=NOON + timedelta(minutes=60)) == ["updated warning"]
    worse = replace(changed, seen=replace(SEEN, urgency=Urgency.CRITICAL))
    assert due(worse, record=record(first)) == ["escalated critical"], "what is worse does not wait"
    assert due(record=record(first)) == ["resolved warning"]
    again = replace(first, opened_at=NOON + timedelta(hours=3))
    assert due(again, record=record(first)) == ["opened warning"], "a new course of it is told anew"


def test_who_works_on_it_is_told_once_and_ends_the_updates() -> None:
    first = kept()
    taken = acknowledged(first, who="ada")
    assert due(taken, record=record(first)) == ["acknowledged warning"]
    changed = replace(taken, changed_at=NOON + timedelta(hours=5))
    assert due(changed, record=record(taken), now=NOON + timedelta(days=1)) == []


@pytest.mark.parametrize(
    ("route", "told"),
    [
        (Route("a"), 3),
        (Route("a", urgency_min=Urgency.WARNING), 2),
        (Route("a", urgency_min=Urgency.CRITICAL), 1),
        (Route("a", rules=("wallet_*", "source_down")), 1),
        (Route("a", rules=("nothing",)), 0),
    ],
)
def test_a_route_takes_by_urgency_and_rule(route: Route, told: int) -> None:
    open_ones = [kept(Urgency.INFO, rule="wallet_low"), kept(rule="trend"), kept(Urgency.CRITICAL, rule="breaks")]
    assert len(due(*open_ones, route=route)) == told


NIGHT = Hours(ZoneInfo("Europe/Berlin"), quiet_from=time(22), quiet_to=time(7))


@pytest.mark.parametrize(
    ("at", "is_quiet"),
    [
        ("2026-12-01T20:59:59", False), ("2026-12-01T21:00:00", True), ("2026-12-02T03:00:00", True),
        ("2026-12-02T05:59:59", True), ("2026-12-02T06:00:00", False),
        ("2026-07-01T20:00:00", True), ("2026-07-02T05:00:00", False),  # summer time: an hour earlier in UTC
    ],
)  # fmt: skip
def test_quiet_hours_hold_back_what_is_not_urgent_in_the_named_zone(at: str, is_quiet: bool) -> None:
    now = datetime.fromisoformat(at).replace(tzinfo=UTC)
    assert due(kept(), hours=NIGHT, now=now) == ([] if is_quiet else ["opened warning"])
    assert due(kept(Urgency.CRITICAL), hours=NIGHT, now=now) == ["opened critical"]
    assert due(record=record(kept()), hours=NIGHT, now=now) == ([] if is_quiet else ["resolved warning"])
    assert due(record=record(kept()), hours=NIGHT, now=now, route=PAGER) == ["resolved warning"], "it wakes nobody"


def test_quiet_hours_within_one_day() -> None:
    hours = Hours(ZoneInfo("UTC"), quiet_from=time(11), quiet_to=time(13))
    assert [due(kept(), hours=hours, now=NOON + timedelta(hours=h)) != [] for h in (-2, 0, 1)] == [True, False, True]


def test_what_opened_and_ended_in_quiet_hours_is_not_told() -> None:
    assert due(hours=NIGHT, record=ChannelRecord(), now=NOON) == []


def test_what_could_not_be_told_while_it_was_open_is_told_when_it_is_over() -> None:
    assert due(record=ChannelRecord(waiting={kept().key: kept()})) == ["passed warning"]


def test_the_day_of_the_summary_begins_at_its_time_in_the_zone() -> None:
    hours = Hours(ZoneInfo("Europe/Berlin"), summary_at=time(8))
    assert hours.summary_day(datetime(2026, 12, 1, 6, 59, tzinfo=UTC)) == "2026-11-30"
    assert hours.summary_day(datetime(2026, 12, 1, 7, 0, tzinfo=UTC)) == "2026-12-01"
    assert Hours(ZoneInfo("UTC")).summary_day(NOON) == ""


# Texts


def test_a_message_holds_money_count_oldest_and_the_next_command_and_no_payment() -> None:
    found = dispatch_of(Occasion.OPENED, kept(), target="shop", now=NOON)
    assert found.title == "WARNING shop: 3 payments are captured and not credited."
    assert found.lines == (
        "money 1,331.21 USDT on BNB Chain · oldest 2026-12-01 11:15 UTC, 45 min ago",
        "next: recon show latest",
    )
    assert "665f1c2e" not in repr(found)
    shown = dispatch_of(Occasion.OPENED, kept(), target="shop", now=NOON, shows_payments=True)
    assert "payments 665f1c2e9b1d8a0012345678, 665f1c2e9b1d8a0012345679 and 1 more" in shown.lines


def test_the_end_says_how_long_it_was() -> None:
    found = dispatch_of(Occasion.RESOLVED, kept(), target="", now=NOON + timedelta(hours=2, minutes=5))
    assert found.title.startswith("RESOLVED: 3 payments")
    assert found.text == "Open since 2026-12-01 12:00 UTC, over after 2 h 5 min."


HOSTILE = (
    "<!channel> @everyone [click](https://evil.example) `rm` *x*\r\nBcc: all@evil.example\x1b[31m\u202e" + 9999 * "y"
)


def test_outside_text_mentions_nobody_links_nowhere_and_stays_on_its_line() -> None:
    seen = replace(SEEN, title=HOSTILE, about=HOSTILE, money=((HOSTILE, "1.5"),), command=HOSTILE, payments=(HOSTILE,))
    situation = replace(KeptSituation(seen, opened_at=NOON, changed_at=NOON), acknowledged_by=HOSTILE)
    for occasion in Occasion:
        found = dispatch_of(occasion, situation, target=HOSTILE, now=NOON, shows_payments=True)
        for text in (found.title, *found.lines, *(value for _, value in found.details)):
            assert text.replace("\u200b", "").isprintable()
            assert "@everyone" not in text
            assert "<!" not in text
            assert "://" not in text
            assert len(text) < 700
        assert len(found.title) <= 240
        assert len(found.key) <= KEY_MAX
    assert harmless("a\nb") == "a b"


def test_two_long_keys_stay_two() -> None:
    one, other = (situation_key("shop", f"rule:{'x' * 400}{end}") for end in "ab")
    assert one != other
    assert len(one) == len(other) == KEY_MAX


def test_a_summary_lists_the_most_urgent_first_and_counts_the_rest() -> None:
    many = [kept(rule=f"rule_{number}") for number in range(12)] + [kept(Urgency.CRITICAL, rule="loud")]
    found = summary_of(many, ended=2, rounds=24, target="shop", now=NOON, day="2026-12-01")
    assert found.title == "Summary of shop: 1 critical, 12 warning"
    assert found.lines[0].startswith("critical: ")
    assert found.lines[-2:] == ("and 3 more situations", "Since the last summary: 2 situations over, 24 rounds.")
    calm = summary_of([], ended=0, rounds=None, target="", now=NOON, day="2026-12-01")
    assert calm.title == "Summary: nothing is open"
