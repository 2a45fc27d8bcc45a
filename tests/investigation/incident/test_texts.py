"""Incident texts: what each holds for its readers, honest blanks, bounds of every figure, and text from outside."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from recon.core.model import Finding, Plan, Severity, Target, Tier, Verdict
from recon.investigation.incident.access_log import LogTriage, triage_access_log
from recon.investigation.incident.account import FOR_OUTSIDE, KINDS, Incident, IncidentKindError
from recon.investigation.incident.bounds import Bounds, IncidentTimesError, bounds_of
from recon.investigation.incident.first_page import FirstPage, IncidentEvidence, first_page
from recon.investigation.incident.impact import (
    AFTER,
    BEFORE,
    NO_RAIL,
    NO_TIME,
    OTHER_RAIL,
    Impact,
    PlanFacts,
    RowTimes,
    fallen_in,
    shortfalls_of,
    why_uncounted,
)
from recon.investigation.incident.lines import escape_for_markdown, link_or_text, working_day_after
from recon.investigation.incident.stated import STATUS_WORDS, ActionItem, Stated, parse_action_item
from recon.investigation.incident.styles import STYLES
from recon.investigation.incident.timeline import Kept, Moment, log_shortfalls, moments_of
from recon.investigation.incident.write_up import render_incident
from tests.support.triage_logs import CALLBACK, HOOK, nginx

T0 = datetime(2026, 11, 20, 9, tzinfo=UTC)
BEGAN, OVER = T0 - timedelta(hours=2), T0 - timedelta(hours=1)
RN, SK = "request_network", "shkeeper"


def ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def page(**given: Any) -> FirstPage:
    return first_page(IncidentEvidence(now=T0, **given))


def bounds(**given: Any) -> Bounds:
    return Bounds(**{"now": T0, "rails": (RN,), "began_at": BEGAN, "resolved_at": OVER} | given)


def incident(**given: Any) -> Incident:
    return Incident(**{"title": "Webhooks fail", "bounds": bounds()} | given)


def finding(name: str, **given: Any) -> Finding:
    usual = {"verdict": Verdict.LOCAL_BEHIND, "findings": (), "tier": Tier.AUTO, "severity": Severity.HIGH,
             "reason": "", "provider": RN, "chain_id": 56, "token": "0xaa", "value_units": 5}  # fmt: skip
    return Finding(payment_id=name, **usual | given)


def plan_with(*findings: Finding, **given: Any) -> Plan:
    target = Target("t", (), "d", "c", None, (56,), (), ())
    usual = {"kind": "correction", "tool_version": "1", "created_at": "2026-11-20T09:00:00.000Z",
             "expires_at": "2026-11-20T13:00:00.000Z", "target": target, "policy_digest": "", "snapshot": "5" * 64,
             "window": {}, "coverage": (), "summary": {"payments": 9}, "changes": (), "left_alone": (),
             "digest": "d" * 64}  # fmt: skip
    return Plan(findings=findings, **usual | given)


def logs_of(folder: Path, *lines: bytes) -> LogTriage:
    (folder / "access.log").write_bytes(b"".join(lines))
    return triage_access_log([folder / "access.log"])


def burst(start: datetime, path: str = HOOK, *, status: int = 404, minutes: int = 10) -> Iterator[bytes]:
    for second in range(0, minutes * 60, 10):
        yield nginx(start + timedelta(seconds=second), path, status)


# Bounds


def test_rail_and_beginning_come_from_the_bursts_unless_somebody_says_them(tmp_path: Path) -> None:
    logs = logs_of(tmp_path, *burst(BEGAN), *burst(OVER, CALLBACK))
    found = bounds_of(T0, logs)
    assert (found.rails, found.began_at, found.end_at) == ((RN, SK), BEGAN, T0)
    assert bounds_of(T0, logs, resolved=OVER).rails == (RN,), "the other burst began after it was over"
    assert bounds_of(T0, logs, rails=[SK]).began_at == OVER
    assert bounds_of(T0, logs, began=OVER).rails == (SK,)
    said = bounds_of(T0, logs, rails=["own"], began=BEGAN - timedelta(hours=1))
    assert (said.rails, said.began_at) == (("own",), BEGAN - timedelta(hours=1))
    assert not bounds_of(T0, None).is_known


@pytest.mark.parametrize("given", [{"resolved": BEGAN}, {"resolved": BEGAN - timedelta(days=1)}])
def test_an_incident_does_not_end_before_it_begins(given: dict[str, Any]) -> None:
    with pytest.raises(IncidentTimesError, match="cannot begin at 2026-11-20T07:00:00Z"):
        bounds_of(T0, None, began=BEGAN, **given)
    with pytest.raises(IncidentTimesError):
        bounds_of(T0, None, began=T0 + timedelta(hours=1))


# What fell in it

EDGES = {
    "made at its first moment": (RowTimes(ms(BEGAN)), None),
    "made at its last moment": (RowTimes(ms(OVER) - 1), None),
    "made when it was over": (RowTimes(ms(OVER)), AFTER),
    "made before, paid in it": (RowTimes(ms(BEGAN) - 9_000_000, (ms(BEGAN) + 1,)), None),
    "made before, paid before": (RowTimes(ms(BEGAN) - 9_000_000, (ms(BEGAN) - 1,)), BEFORE),
    "made before, paid after": (RowTimes(ms(BEGAN) - 9_000_000, (ms(OVER),)), BEFORE),
    "made nobody knows when": (RowTimes(None), NO_TIME),
}


@pytest.mark.parametrize("name", EDGES)
def test_a_payment_falls_in_by_its_making_or_by_its_money(name: str) -> None:
    times, place = EDGES[name]
    facts = PlanFacts(rows={"a": times})
    for rail, where in ((RN, place), (SK, OTHER_RAIL), (None, NO_RAIL)):
        found = fallen_in(plan_with(finding("a", provider=rail)), bounds(), facts=facts)
        assert len(found.inside) == (where is None)
        assert found.outside == ({} if where is None else {where: 1})


def test_without_a_snapshot_the_age_tells_when_a_payment_was_made() -> None:
    plan = plan_with(finding("a", age_s=5400), finding("b", age_s=9000), finding("c"))
    found = fallen_in(plan, bounds(), facts=PlanFacts())
    assert found.ids == {"a"}
    assert found.outside == {BEFORE: 1, NO_TIME: 1}


def test_what_needs_nobody_yet_is_no_break_and_its_money_counts_as_captured() -> None:
    rows = {name: RowTimes(ms(BEGAN), buyer=name) for name in "ab"}
    facts = PlanFacts(
        rows=rows, owed={"a": (56, "0xaa", 3), "b": (56, "0xaa", 4), "z": (56, "0xaa", 90)}, has_rows=True
    )
    plan = plan_with(finding("a"), finding("b", tier=Tier.WAIT))
    found = Impact(now=fallen_in(plan, bounds(), facts=facts), facts=facts, has_buyers=True)
    assert (found.affected, found.users, found.captured) == (1, 1, {"56:0xaa": "7"})
    assert found.summary == {
        "verdicts": {"local_behind": 1}, "value_at_risk": {"56:0xaa": "5"}, "captured_not_credited": {"56:0xaa": "7"},
    }  # fmt: skip


def test_what_was_repaired_since_stays_affected() -> None:
    rows = {name: RowTimes(ms(BEGAN), buyer=name) for name in "abc"}
    facts = PlanFacts(rows=rows, has_rows=True)
    earlier = fallen_in(plan_with(finding("a"), finding("b")), bounds(), facts=facts)
    found = Impact(
        now=fallen_in(plan_with(finding("c")), bounds(), facts=facts), earlier=earlier, facts=facts, has_buyers=True
    )
    assert (found.affected, found.users) == (3, 3)
    text = render_incident("resolution", incident(impact=found))
    assert "Payments affected: 3 (2 before the repair, 1 now;" in text
    assert "local\\_behind: 2 before, 1 now" in text
    assert "before the repair: 10 base units" in text


WINDOWS: dict[str, dict[str, Any]] = {
    "looked at payments from 2026-11-20T07:30:00Z": {"window": {"from": "2026-11-20T07:30:00Z"}},
    "looked at payments until 2026-11-20T07:30:00Z": {"window": {"to": "2026-11-20T07:30:00Z"}},
    "until 2026-11-20T07:59:00Z": {"created_at": "2026-11-20T07:59:00.000Z"},
    "did not look at request_network": {"window": {"providers": [SK]}},
    "chosen by open_only": {"window": {"open_only": True}},
    "chosen by statuses": {"window": {"statuses": ["pending"]}},
}


@pytest.mark.parametrize("words", WINDOWS)
def test_a_plan_that_did_not_look_at_all_of_it_is_no_proof(words: str) -> None:
    assert list(shortfalls_of(plan_with(), bounds())) == []
    [said] = shortfalls_of(plan_with(**WINDOWS[words]), bounds())
    assert words in said


def test_nothing_is_counted_where_nothing_can_be_told_apart() -> None:
    assert why_uncounted(plan_with(), bounds()) is None
    for given, words in (({"began_at": None}, "--began"), ({"rails": ()}, "--rail")):
        assert words in (why_uncounted(plan_with(), bounds(**given)) or "")
    old = plan_with(created_at="2026-11-20T06:59:00.000Z")
    assert "before it began" in (why_uncounted(old, bounds()) or "")


# The texts


@pytest.mark.parametrize("kind", KINDS)
def test_every_text_holds_facts_or_an_honest_blank(kind: str) -> None:
    text = render_incident(kind, incident())
    assert "not known: " in text
    assert ("Webhooks fail" in text) is (kind not in FOR_OUTSIDE)
    for line in text.splitlines():
        assert not re.search(r"(None|: )$", line), line


BLANKS = {
    "notification": ("--on-call", "--noticed", "--feature"),
    "update": ("--number", "--on-call", "--expected"),
    "resolution": ("--root-cause", "--fix", "--post-mortem"),
    "customer": ("--feature",),
    "status-page": ("--feature", "--effect"),
    "hand-over": ("--takes-over", "--runbook", "--number"),
    "post-mortem": ("--author", "--summary", "--trigger", "--root-cause", "--data-loss", "--well", "--poorly",
                    "--lucky", "--detection", "--process", "--open", "--acknowledged", "--mitigated", "--verified"),
}  # fmt: skip
SAID = Stated(
    number=4, detected_at=BEGAN, acknowledged_at=BEGAN, mitigated_at=BEGAN, verified_at=OVER, on_call="ada",
    expected_at=OVER, takes_over="grace", features=("Paying",), effect="slow", summary="s", trigger="t",
    root_cause="the route was renamed", fix="OPS-7", post_mortem="PM-9", data_loss="no row", authors=("ada",),
    actions=("isolated",), items=(ActionItem("alert", "ada", "2026-12-01", "OPS-8"),), well=("w1",), poorly=("p1",),
    lucky=("l1",), detection=("d1",), process=("c1",), runbooks=("r1",),
)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_each_field_is_blank_until_somebody_fills_it(kind: str) -> None:
    empty, full = (render_incident(kind, incident(stated=stated)) for stated in (Stated(), SAID))
    for option in BLANKS[kind]:
        assert f"({option})" in empty, option
        assert f"({option})" not in full, option


def test_each_text_has_the_fields_of_its_readers() -> None:
    texts = {kind: render_incident(kind, incident(stated=SAID)) for kind in KINDS}
    assert "- Updates: every 15 minutes, the next at 2026-11-20 09:15:00 UTC" in texts["notification"]
    assert texts["update"].startswith("# Update 4, SEV 2: Webhooks fail")
    for words in ("- Root cause: the route was renamed", "- Permanent fix: OPS-7", "- Post-mortem: PM-9",
                  "by 2026-11-27", "- Lasted: 1 h 0 min", "- Resolved: 2026-11-20 08:00:00 UTC"):  # fmt: skip
        assert words in texts["resolution"], words
    for words in (
        "Takes over: grace",
        "Last update sent: 4",
        "## Under way",
        "`recon drain --provider request_network`",
    ):
        assert words in texts["hand-over"], words
    assert "| 1 | alert | ada | 2026-12-01 | OPS-8 |" in texts["post-mortem"]
    headings = re.findall(r"^## (.*)$", texts["post-mortem"], re.M)
    names = ("Summary", "Times", "Impact", "Data", "Timeline (UTC)", "Root cause", "What was done", "What went well",
             "What went poorly", "Where we were lucky", "Detection", "Process", "Action items")  # fmt: skip
    for name in names:
        assert headings.count(name) == 1, name


def test_an_update_names_its_next_as_a_time_and_a_rhythm_that_somebody_says() -> None:
    going = bounds(resolved_at=None)
    usual = render_incident("update", incident(bounds=going))
    assert "- Next update: 2026-11-20 09:15:00 UTC" in usual
    said = Stated(next_update_at=T0 + timedelta(hours=1))
    assert "- Next update: 2026-11-20 10:00:00 UTC" in render_incident("update", incident(bounds=going, stated=said))
    assert "- Next update: none, it is resolved" in render_incident("update", incident())


def outside(kind: str, **given: Any) -> str:
    """A text for people outside, of an incident about which everything is known."""
    whole = plan_with(finding("a"))
    facts = PlanFacts(rows={"a": RowTimes(ms(BEGAN), buyer="b")}, has_rows=True)
    known = Impact(
        now=fallen_in(whole, bounds(), facts=facts), facts=facts, has_buyers=True, whole={"value_at_risk": {}}
    )
    summary = {"verdicts": {"local_behind": 1}}
    told = page(summary=summary, plan_at="now", unread=("the flags",))
    return render_incident(kind, incident(**{"impact": known, "page": told, "stated": SAID} | given))


@pytest.mark.parametrize("status", STATUS_WORDS)
def test_customers_get_one_of_four_words_and_no_speculation(status: str) -> None:
    over = OVER if status == "resolved" else None
    said = Stated(status=status, features=("Paying with USDC",))
    text = outside("customer", bounds=bounds(resolved_at=over), stated=said)
    lines = text.splitlines()
    assert lines[0] == "- Feature: Paying with USDC"
    assert lines[1].removeprefix("- Status: ") in ("investigating", "applying fix", "monitoring", "resolved")
    assert lines[2] == "- Started: 2026-11-20 07:00:00 UTC"
    last = "- Ended: 2026-11-20 08:00:00 UTC" if over else "- Next text: by 2026-11-20 09:15:00 UTC"
    assert lines[3:] == [last]


@pytest.mark.parametrize("kind", FOR_OUTSIDE)
def test_people_outside_see_no_figure_no_cause_and_nothing_internal(kind: str) -> None:
    text = outside(kind).lower()
    for word in ("webhook", "request", "sev", "renamed", "guess", "affected", "usdc", "local", "ada", "flags", "recon"):
        assert word not in text, word


STYLED = {
    "marketplace": {
        "notification": ("# SEV 1: ", "first answer within 15 minutes", "every 15 minutes", "over 10 reports come"),
        "resolution": ("within 5 working days, by 2026-11-27",),
        "post-mortem": ("## Where we were lucky",),
        "customer": ("by 2026-11-20 09:15:00 UTC",),
    },
    "pay-app": {
        "notification": ("# SEV1: ", "- Severity: SEV1 (first answer within 15 minutes)"),
        "resolution": ("for SEV1, SEV2 of over 30 minutes, and any that touched payments; the house sets no time",),
        "post-mortem": ("## Revenue", "## Prevention"),
    },
    "billing": {
        "notification": ("# P1: ", "every 30 minutes", "P1 goes to management after 1 hour."),
        "resolution": ("within 3 working days, by 2026-11-25",),
        "post-mortem": ("## Contributing factors", "## Why it was not prevented", "## Monitoring"),
        "customer": ("by 2026-11-20 09:30:00 UTC", "We are sorry for this."),
    },
    "monero": {
        "notification": ("# P1: ", "- Commander: not known", "every 15 minutes"),
        "resolution": ("within 48 hours, by 2026-11-22 08:00:00 UTC", "kept for one hour more"),
        "post-mortem": ("## Five whys", "## References"),
        "customer": ("by mail, once it lasts 30 minutes",),
    },
}  # fmt: skip


@pytest.mark.parametrize("name", STYLES)
def test_each_house_has_its_own_words_times_and_headings(name: str) -> None:
    style = STYLES[name]
    for kind, words in STYLED[name].items():
        still = bounds(resolved_at=None) if kind in ("notification", "customer") else bounds()
        text = render_incident(
            kind, incident(severity=1, style=style, bounds=still, stated=Stated(features=("Paying",)))
        )
        for each in words:
            assert each in text, (each, text)
    for kind in KINDS:
        for severity in (1, 2, 3, 4):
            assert render_incident(kind, incident(severity=severity, style=style))
    for heading in style.headings:
        section = render_incident("post-mortem", incident(style=style)).partition(f"## {heading}")[2]
        assert section.strip().startswith("- to be written by people")


def test_a_status_page_has_its_own_words_for_where_it_stands() -> None:
    going = bounds(resolved_at=None)
    for status, word in (
        ("mitigating", "Identified"),
        ("investigating", "Investigating"),
        ("monitoring", "Monitoring"),
    ):
        said = Stated(status=status, features=("Paying",), effect="Payments show late")
        text = outside("status-page", bounds=going, stated=said)
        assert text.startswith("# Paying\n")
        for words in (f"**{word}** - 2026-11-20 09:00:00 UTC", "- Impact: Payments show late", "- Next update: by "):
            assert words in text
    assert "**Resolved**" in outside("status-page")


def test_the_front_matter_is_read_by_any_reader_of_yaml() -> None:
    hostile = 'x: "y" # {{ z }} \n---\n- [a](http://evil.example) & *b @all'
    said = Stated(authors=("ada: root", "&x"), tags=("no", "1"))
    text = render_incident("post-mortem", incident(title=hostile, stated=said))
    _, front, rest = text.split("---\n", 2)
    told = yaml.safe_load(front)
    assert told["title"].startswith('x: "y" # {{ z }} --- - [a](http:')
    assert (told["date"], told["severity"], told["duration"]) == ("2026-11-20", 2, "1 h 0 min")
    assert (told["authors"], told["tags"], told["rails"]) == (["ada: root", "&x"], ["no", "1"], [RN])
    assert rest.lstrip().startswith("# Post-mortem: ")
    empty = yaml.safe_load(render_incident("post-mortem", incident()).split("---\n", 2)[1])
    assert empty["authors"] == "not known: nobody has said (--author)"


def test_figures_of_the_whole_plan_stand_apart() -> None:
    plan = plan_with(finding("a", value_units=5), *(finding(f"b{n}", provider=SK, value_units=1000) for n in range(7)))
    facts = PlanFacts(rows={"a": RowTimes(ms(BEGAN), buyer="x")}, has_rows=True)
    whole = {"breaks": 8, "value_at_risk": {"56:0xaa": "7005"}, "open_by_age": {"over 30 min": 284}}
    found = Impact(
        now=fallen_in(plan, bounds(), facts=facts), facts=facts, has_buyers=True, whole=whole, plan_at="then"
    )
    for kind in set(KINDS) - set(FOR_OUTSIDE):
        text = render_incident(kind, incident(impact=found, page=page(summary=found.summary, plan_at="then")))
        own, apart = text.split("## Open in the whole plan")
        assert "Payments affected: 1 " in own
        assert "284" not in own
        assert "7005" not in own
        assert "8, of them outside this incident 7 (7 on another rail)" in apart
        assert "Open for over 30 minutes: 284" in apart


def test_an_incident_on_two_rails_is_split_by_rail() -> None:
    plan = plan_with(finding("a"), finding("b", provider=SK), finding("c", provider=SK))
    facts = PlanFacts(rows={name: RowTimes(ms(BEGAN)) for name in "abc"}, has_rows=True)
    both = bounds(rails=(RN, SK))
    found = Impact(now=fallen_in(plan, both, facts=facts), facts=facts)
    assert "- By rail: request\\_network 1, shkeeper 2" in render_incident(
        "update", incident(bounds=both, impact=found)
    )


def test_what_cannot_be_told_apart_has_no_figure_of_its_own() -> None:
    whole = {"breaks": 288, "value_at_risk": {"56:0xaa": "7005"}}
    found = Impact(blank="nobody has said which rail it was (--rail)", whole=whole, plan_at="then")
    told = page(logs=None, summary=found.summary)
    text = render_incident("notification", incident(bounds=bounds(rails=()), impact=found, page=told))
    own, apart = text.split("## Open in the whole plan")
    assert "Payments affected: not known: nobody has said which rail it was (--rail)" in own
    assert "288" not in own
    assert "288; which of them are this incident's cannot be told" in apart


def test_a_provider_is_told_its_own_rule_with_its_share(tmp_path: Path) -> None:
    logs = logs_of(
        tmp_path, *burst(BEGAN, CALLBACK, status=200, minutes=1), *burst(OVER, CALLBACK, status=202, minutes=1)
    )
    own = [route for route in logs.routes if route.provider == SK]
    text = render_incident(
        "update", incident(logs=triage_access_log([tmp_path / "access.log"], routes={SK: (CALLBACK,)}))
    )
    assert own[0].failures == 6
    assert "Requests, shkeeper: 6 of 12 webhooks refused; 6 of 12 accepted (50 %); 6 x 200: answered, but not" in text
    assert "request" not in text.split("## Impact")[1].split("##")[0].replace("Requests", "").replace(
        "request\\_network", ""
    )


HOSTILE = (
    "![x](http://evil.example/a) <b>\x1b[2J\u202e*now* `code` | cell\n# head @everyone www.evil.example "
    "mailto:a@b.example [t](javascript:alert) mongodb://root:hunter22@db.example/x"
)


@pytest.mark.parametrize("kind", KINDS)
def test_text_from_outside_draws_nothing_in_an_incident_channel(kind: str) -> None:
    texts = {each.name for each in fields(Stated)} - {"status", "number", "items"}
    given: dict[str, Any] = {}
    for name in texts:
        if isinstance(getattr(SAID, name), str):
            given[name] = HOSTILE
        elif isinstance(getattr(SAID, name), tuple):
            given[name] = (HOSTILE,)
    said = Stated(**given, items=(ActionItem(HOSTILE, HOSTILE, HOSTILE, HOSTILE),))
    line = Moment(T0, HOSTILE, HOSTILE)
    told = incident(title=HOSTILE, stated=said, timeline=(line,), running=(HOSTILE,), evidence={"x": HOSTILE},
                    page=page(unread=(HOSTILE,), flags={"F": HOSTILE}), impact=Impact(blank=HOSTILE))  # fmt: skip
    text = render_incident(kind, told)
    body = text.split("---\n", 2)[2] if kind == "post-mortem" else text
    drawn = re.sub(r"\\.", "", body)
    for sign in (
        "![",
        "http://",
        "<b",
        "@everyone",
        "www.",
        "mailto:",
        "javascript:",
        "](",
        "`code`",
        "*now",
        "# head",
    ):
        assert sign not in drawn, sign
    for sign in ("\x1b", "\u202e", "hunter22", "http://"):
        assert sign not in text
    assert not re.search(r"^# head", text, re.M)
    for row in re.findall(r"^\| .*", text, re.M):
        assert len(re.findall(r"(?<!\\)\|", row)) == 6, row


def test_an_action_item_is_what_owner_date_and_ticket() -> None:
    assert parse_action_item("a|b|c|d|e") == ActionItem("a", "b", "c", "d|e")
    assert parse_action_item("replay") == ActionItem("replay")


def test_working_days_leave_out_the_end_of_the_week() -> None:
    friday = datetime(2026, 11, 20, 23, tzinfo=UTC)
    assert [working_day_after(friday, days) for days in (1, 5)] == ["2026-11-23", "2026-11-27"]
    assert working_day_after(friday + timedelta(days=1), 1) == "2026-11-23"


def test_a_link_of_the_writer_can_be_followed_and_nothing_else_can() -> None:
    for good in ("https://wiki.example/pm-9", "http://wiki.example:8080/a?b=c#d"):
        assert link_or_text(good) == f"<{good}>"
        assert f"- Post-mortem: <{good}>" in render_incident("resolution", incident(stated=Stated(post_mortem=good)))
        item = Stated(items=(ActionItem("x", ticket=good),))
        assert f"| <{good}> |" in render_incident("post-mortem", incident(stated=item))
    for bad in (
        "https://ada:key@wiki.example/",
        "javascript:alert(1)",
        "https://x.example/a> ![x](y)",
        "https://x.example/a|b",
    ):
        assert "<" not in link_or_text(bad).replace("\\<", "")
        assert "://x" not in link_or_text(bad)


def test_a_person_can_paste_what_was_escaped() -> None:
    assert escape_for_markdown("a_b | c") == "a\\_b \\| c"


def test_there_is_no_text_of_another_kind() -> None:
    with pytest.raises(IncidentKindError, match="post-mortem"):
        render_incident("poem", incident())


# The timeline


def test_the_timeline_holds_the_incidents_rail_and_time_only(tmp_path: Path) -> None:
    earlier = BEGAN - timedelta(days=1)
    logs = logs_of(
        tmp_path, *burst(earlier), *burst(BEGAN - timedelta(minutes=9), status=202, minutes=9), *burst(BEGAN),
        *burst(BEGAN, CALLBACK), *burst(BEGAN + timedelta(minutes=12), status=202, minutes=2),
    )  # fmt: skip
    old = {"at": "2026-11-19T00:00:00Z", "digest": "e" * 64, "kind": "correction"}
    new = {"at": "2026-11-20T08:30:00Z", "digest": "d" * 64, "kind": "correction", "break_count": 288}
    found = moments_of(Kept(logs=logs, plans=[old, new], fallen={"d" * 64: 3}), bounds())
    assert [(f"{each.at:%H:%M}", each.says) for each in found] == [
        ("06:59", "request_network: last minute before it with an accepted webhook"),
        ("07:00", "request_network: webhooks begin to fail (60 x 404)"),
        ("07:10", "request_network: this burst of failures ends"),
        ("07:12", "request_network: webhooks are accepted again"),
        ("08:30", "plan dddddddddddd is made: 3 payments of this incident need attention"),
    ]


def test_logs_that_do_not_reach_the_whole_time_are_told(tmp_path: Path) -> None:
    whole = logs_of(tmp_path, *burst(BEGAN - timedelta(minutes=1), minutes=70))
    assert list(log_shortfalls(whole, bounds())) == []
    short = logs_of(tmp_path, *burst(BEGAN + timedelta(minutes=20)))
    assert [text.split(",")[0] for text in log_shortfalls(short, bounds())] == [
        "the access logs before 2026-11-20T07:20:00Z", "the access logs after 2026-11-20T07:29:50Z",
    ]  # fmt: skip
    assert len(list(log_shortfalls(short, bounds(resolved_at=None)))) == 1
