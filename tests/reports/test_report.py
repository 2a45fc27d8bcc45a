"""Reports: the same numbers in every format, and nothing from outside that acts on a screen, a sheet or a page."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recon.core.model import FieldChange, FieldView, GuardTerm, LeftAlone, Severity, Tier, Verdict
from recon.core.text import group_digits
from recon.reports import Column, Report, Table, print_report, render_payment, render_plan, render_report, render_review
from recon.reports.model import Fact, human_cell
from recon.reports.outputs.markdown import escape
from recon.reports.outputs.terminal import print_to_terminal
from recon.reports.text import age_text, amount_text, csv_cell, display_text, value_text
from recon.reports.views.plan import NotInPlanError, break_table
from recon.reports.views.totals import breaks_of, has_gaps, money_text
from tests.support.plans import PAYMENT, USDC_ETH, a_change, a_coverage, a_finding, a_plan, with_summary

HOSTILE = "x\x1b[31m\x07\u202etxt\u2066\ud800<script>alert(1)</script>[link](http://e.vil)|cell`code`\nnew line"


def csv_rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def facts_of(report: Report) -> dict[str, str]:
    return {fact.name: fact.value for fact in report.facts}


def test_the_headline_says_what_a_payments_lead_asks_first() -> None:
    facts = facts_of(render_plan(a_plan()))
    assert facts["payments"] == "2000"
    assert facts["breaks"] == "1"
    assert facts["breaks_auto"] == "1"
    assert facts["health"] == "complete"
    assert facts["value_at_risk"] == "1234567 USDC"
    assert facts["captured_not_credited"] == "1234567.5 USDC"
    assert facts["oldest_break"].startswith("2 h")
    assert facts["auto_match_rate"] == "99.95 %"
    assert facts["complete"] == "complete"


def test_money_of_one_symbol_with_other_decimals_on_two_chains_is_added_exactly() -> None:
    assert money_text([("USDC", 18, 10**18 + 1), ("USDC", 6, 1), ("USDT", 6, 0)]) == "1.000001000000000001 USDC"
    assert (
        money_text([(None, None, 5), ("USDC", 77, 10**37)])
        == f"{'0.' + '0' * 39 + '1'} USDC, 5 base units of an unknown token"
    )


def test_an_unhealthy_summary_shouts_its_reasons() -> None:
    plan = with_summary(a_plan(), health={"ok": False, "reasons": ["8 % of payments are unproven"]})
    assert facts_of(render_plan(plan))["health"] == "INCOMPLETE: 8 % of payments are unproven"


def test_a_summary_with_nothing_in_it_still_makes_a_report() -> None:
    plan = a_plan(summary={}, findings=(), changes=(), left_alone=(), coverage=(), window={})
    for output in ("table", "json", "csv", "md"):
        assert render_report(render_plan(plan), output=output)


def test_breaks_stand_worst_first_by_severity_then_value_then_age() -> None:
    findings = (
        a_finding(payment_id="old", severity=Severity.LOW, age_s=10**6),
        a_finding(payment_id="small", symbol="USDC", decimals=6, value_units=5 * 10**6),
        a_finding(payment_id="large", value_units=9 * 10**18),
        a_finding(payment_id="older", value_units=9 * 10**18, age_s=7201),
        a_finding(payment_id="worst", severity=Severity.CRITICAL, value_units=0),
        a_finding(payment_id="waits", tier=Tier.WAIT),
        a_finding(payment_id="fine", tier=Tier.BENIGN),
    )
    named = [item.payment_id for item in breaks_of(a_plan(findings=findings))]
    assert named == ["worst", "older", "large", "small", "old"]


def test_the_terminal_shows_the_worst_twenty_and_csv_all() -> None:
    plan = a_plan(findings=tuple(a_finding(payment_id=f"p{n:03}") for n in range(30)))
    screen = render_report(render_plan(plan), output="table")
    assert "p019" in screen
    assert "p020" not in screen
    assert "the first 20 of 30" in screen
    assert len(csv_rows(render_report(render_plan(plan), output="csv", part="breaks"))) == 30


def test_coverage_says_what_was_not_checked_first() -> None:
    plan = a_plan(
        coverage=(a_coverage(), a_coverage(source="chain:56", scope="proxy", unit="block", asked_from=1, asked_to=9,
                                           done_from=1, done_to=5, complete=False, problem="blocks 6 to 9 were cut")),
    )  # fmt: skip
    report = render_plan(plan)
    table = report.table("coverage")
    assert table.rows[0][:5] == ("chain:56", "proxy", "NO", "1..9", "1..5")
    assert "1 of 2 were not read completely" in table.note
    assert has_gaps(plan)
    assert "INCOMPLETE" in facts_of(report)["complete"]
    assert [fact.label for fact in report.facts if fact.name == "breaks"] == ["breaks, of what could be read"]
    assert table.rows[1][3] == "2025-11-20T00:00:00Z..2025-11-21T00:00:00Z"


def test_every_format_shows_the_same_numbers() -> None:
    plan = a_plan(
        findings=(
            a_finding(),
            a_finding(payment_id="b", chain_id=1, token=USDC_ETH, decimals=6, value_units=1_500_000),
        ),
    )
    report = render_plan(plan)
    screen = render_report(report, output="table")
    page = render_report(report, output="md").replace("\\", "")
    data = json.loads(render_report(report, output="json"))
    summary = {row["name"]: row["value"] for row in csv_rows(render_report(report, output="csv", part="summary"))}
    assert data["facts"] == facts_of(report) == summary
    for name in ("value_at_risk", "captured_not_credited"):
        for part in summary[name].split(", "):
            assert human_cell(part, "amount") in screen
            assert human_cell(part, "amount") in page
    rows = csv_rows(render_report(report, output="csv", part="breaks"))
    assert [row["value"] for row in rows] == [row["value"] for row in data["breaks"]] == ["1234567 USDC", "1.5 USDC"]
    for row in rows:
        assert human_cell(row["value"], "amount") in screen
        assert human_cell(row["value"], "amount") in page


def test_json_loses_none_of_several_facts_with_one_name() -> None:
    notes = [Fact("note", "note", "one"), Fact("note", "note", "two")]
    counts = [Fact("count", "  a, refused", "1"), Fact("count", "  b, refused", "2")]
    data = json.loads(render_report(Report("r", "R", tuple(notes + counts), ()), output="json"))
    assert data["facts"] == {"note": "one\ntwo", "count": "a, refused: 1\nb, refused: 2"}


def test_people_read_two_decimals_and_have_the_exact_amount_where_they_ask_for_it() -> None:
    reason = "The chain proves 3750.000000000000000031 of 3750.5 USDC, and the row is pending."
    units = 3750 * 10**18 + 31
    plan = a_plan(findings=(a_finding(value_units=units, difference_units=-50, reason=reason),))
    for output in ("table", "md"):
        said = render_report(render_plan(plan), output=output).replace("\\", "")  # type: ignore[arg-type]
        assert "3,750.00 USDC" in said and "-0.00000000000000005 USDC" in said
        assert "The chain proves 3,750.00 of 3,750.50 USDC, and" in said
        assert "3750.000000000000000031" not in said
    for output in ("json", "csv"):
        part = "breaks" if output == "csv" else None
        said = render_report(render_plan(plan), output=output, part=part)  # type: ignore[arg-type]
        assert "3750.000000000000000031 USDC" in said and reason in said
    one = render_report(render_payment(plan, PAYMENT), output="table")
    assert "3,750.000000000000000031 USDC" in one and reason in one


def test_an_amount_is_cut_and_stays_whole_where_a_shorter_one_would_hide_what_matters() -> None:
    given = ("99.999999 USDC", "-0.009 USDC", "0 USDC", "7 base units of X")
    assert [human_cell(text, "amount") for text in given] == [
        "99.99 USDC", "-0.009 USDC", "0 USDC", "7 base units of X",
    ]  # fmt: skip
    same = "The chain proves 24.999999 of 24.99 USDC."
    assert human_cell(same, "reason") == same
    evidence = "0x12 holds 24.999999 USDC, at 2026-11-20T16:00:00.123Z"
    assert human_cell(evidence, "prose") == evidence
    assert human_cell("1.234567 MB, v1.23 OK, 10.1.2.3 USDC", "reason") == "1.234567 MB, v1.23 OK, 10.1.2.3 USDC"


def test_outside_text_cannot_steer_a_terminal_and_shows_as_text() -> None:
    plan = a_plan(
        findings=(a_finding(payment_id=HOSTILE, reason=f"[bold]{HOSTILE}[/bold]"),),
        left_alone=(LeftAlone(HOSTILE, Verdict.UNPROVEN, HOSTILE),),
    )
    for report in (render_plan(plan), render_review(plan), render_payment(plan, HOSTILE)):
        screen = render_report(report, output="table")
        assert not any(sign in screen for sign in ("\x1b", "\x07", "\u202e", "\u2066", "\ud800"))
        assert "[bold]" in screen
        screen.encode()


def test_a_terminal_gets_colours_but_no_escape_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    class Screen(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("NO_COLOR", raising=False)
    screen = Screen()
    print_report(render_plan(a_plan(findings=(a_finding(reason="a\x1b]0;owned\x07b"),))), screen)
    assert "\x1b[" in screen.getvalue()
    assert "\x1b]" not in screen.getvalue()


def test_markdown_shows_markup_as_text() -> None:
    page = render_report(render_payment(a_plan(findings=(a_finding(payment_id=HOSTILE),)), HOSTILE), output="md")
    assert "<script>" not in page
    assert "](http" not in page
    assert "`code`" not in page.replace("\\`", "")
    assert escape("a|b\n# c") == r"a\|b \# c"


@pytest.mark.parametrize("begin", ["=", "+", "-", "@", "\t=", "\r=", "|", "%", " =", "\uff1d"])
def test_a_cell_that_begins_like_a_formula_is_neutralised(begin: str) -> None:
    text = render_report(
        Report("r", "t", tables=(Table("x", "x", (Column("a", "a"),), ((begin + "cmd()",),)),)), output="csv"
    )
    assert csv_rows(text)[0]["a"].startswith("'")


@pytest.mark.parametrize("number", ["-12.5", "+3", "0", "-0.000001"])
def test_a_number_stays_a_number_in_csv(number: str) -> None:
    assert csv_cell(number) == number


@given(st.text(max_size=60))
def test_no_text_gets_out_of_its_csv_cell_or_line(text: str) -> None:
    made = render_report(
        Report("r", "t", tables=(Table("x", "x", (Column("a", "a"), Column("b", "b")), ((text, "end"),)),)),
        output="csv",
    )
    rows = csv_rows(made)
    assert len(rows) == 1
    assert rows[0]["b"] == "end"


@given(st.text())
def test_cleaned_text_is_one_printable_line(text: str) -> None:
    cleaned = display_text(text)
    assert cleaned.isprintable()
    cleaned.encode()


def test_long_text_is_cut_and_says_so() -> None:
    assert display_text("a" * 5000).endswith("…")
    assert len(display_text("a" * 5000)) == 2000


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"$recon": "missing"}, "not there"),
        (None, "null"),
        (True, "true"),
        ("completed", "completed"),
        ({"$numberInt": "12"}, "12"),
        ({"$oid": PAYMENT}, PAYMENT),
        ({"$date": {"$numberLong": "1763596800123"}}, "2025-11-20T00:00:00.123Z"),
        ({"$date": {"$numberLong": "9" * 30}}, "9" * 30),
        ({"a": 1, "b": 2}, "{'a': 1, 'b': 2}"),
    ],
)
def test_stored_values_are_said_plainly(value: Any, text: str) -> None:
    assert value_text(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (61, "1 min 1 s"), (3600, "1 h"), (-90, "-1 min 30 s"), (90061, "1 d 1 h")]
)
def test_ages_use_their_two_largest_units(seconds: int, text: str) -> None:
    assert age_text(seconds) == text


def test_an_amount_without_known_decimals_is_named_in_base_units() -> None:
    assert amount_text(5, decimals=None, symbol="XXX") == "5 base units of XXX"
    assert amount_text(-5, decimals=1, symbol="X") == "-0.5 X"


def test_digits_are_grouped_for_people_only() -> None:
    assert group_digits("1234567.1234567 USDC") == "1,234,567.1234567 USDC"
    assert group_digits("0x1234567") == "0x1234567"
    assert human_cell("1234.5 USDC, 5 USDT", "amounts") == "1,234.50 USDC, 5.00 USDT"
    assert human_cell("junk", "age") == ""


def test_one_payment_opens_with_all_its_evidence() -> None:
    report = render_payment(a_plan(), PAYMENT.upper())
    screen = render_report(report, output="table")
    for word in ("local_behind", "not there", "completed", "transfer 56:0x", "release becomes possible", "covered"):
        assert word in screen
    assert report.table("guard").rows[0] == ("blockchain.confirmations", "3")


def test_a_payment_left_alone_says_why() -> None:
    assert facts_of(render_payment(a_plan(), "other"))["left_alone"] == "the chain was not read to its end"


def test_a_payment_the_plan_does_not_know_is_one_sentence() -> None:
    with pytest.raises(NotInPlanError, match="neither a finding nor a change"):
        render_payment(a_plan(), "nobody")


def test_a_review_pages_through_changes_oldest_and_largest_first() -> None:
    changes = tuple(a_change(payment_id=f"p{n}", age_s=100 - n // 2, value_units=n * 10**18) for n in range(5))
    plan = a_plan(changes=changes)
    first = render_review(plan, path="PLAN", page=1, page_rows=2)
    assert [row[0] for row in first.table("changes").rows] == ["p1", "p0"]
    assert "1 to 2 of 5; the next: recon show PLAN --page 2" in first.table("changes").note
    last = render_review(plan, path="PLAN", page=9, page_rows=2)
    assert [row[0] for row in last.table("changes").rows] == ["p4"]
    assert first.table("left_alone").rows[0][2] == "the chain was not read to its end"


def test_the_next_command_is_the_apply_of_exactly_this_plan() -> None:
    plan = a_plan()
    assert (
        render_plan(plan, path="P").next_steps[-1]
        == f"Nothing has changed. To do it: recon apply P --digest {plan.digest}"
    )


def test_a_plan_of_reviews_only_says_to_pick_first() -> None:
    plan = a_plan(changes=(a_change(tier=Tier.REVIEW, payment_id="it's"),))
    assert (
        render_plan(plan, path="P")
        .next_steps[-1]
        .startswith("Nothing has changed. To do it: recon select P --payment 'it'\"'\"'s'")
    )


def test_a_plan_without_changes_says_that_there_is_nothing_to_do() -> None:
    assert render_plan(a_plan(changes=())).next_steps[-1] == "Nothing has changed, and this plan has nothing to do."


def test_a_break_table_has_no_row_of_another_width() -> None:
    with pytest.raises(AssertionError):
        Table("x", "x", (Column("a", "a"),), (("1", "2"),))
    assert not break_table(a_plan(findings=())).rows


def at_width(report: Report, width: int) -> list[str]:
    stream = io.StringIO()
    print_to_terminal(report, stream, width=width)
    return stream.getvalue().splitlines()


@pytest.mark.parametrize("width", [80, 120])
def test_no_id_is_broken_where_the_terminal_is_narrow(width: int) -> None:
    """What is longer than the line goes on in one piece; the terminal breaks what it shows, and copies it whole."""
    tx, recipient = "0x" + "ab" * 32, "0x" + "cd" * 20
    change = a_change(
        sets=(FieldChange("blockchain.transactionHash", {"$recon": "missing"}, tx), FieldChange("status", "a", "b")),
        guard=(GuardTerm("metadata.transactionSafety.lastCheck.status", "pending"), GuardTerm("to", recipient)),
    )
    finding = a_finding(
        fields=(FieldView("tx_hash", None, tx, tx), FieldView("status", "pending", "PAID", "paid, final")),
        evidence=(f"transfer 56:{tx}:136", "read from " + " ".join(f"field{n}=metadata.value{n}" for n in range(12))),
    )
    plan = a_plan(findings=(finding,), changes=(change,))
    lines = at_width(render_payment(plan, PAYMENT), width)
    text = "\n".join(lines)
    assert text.count(tx) == 4, "of both sides, of the change, of the evidence"
    assert "metadata.transactionSafety.lastCheck.status" in text
    assert recipient in text
    assert [line for line in lines if line.startswith("status ") and "paid, final" in line], "what fits stays a row"
    assert text.count("Evidence") == 1, "a list is headed once"
    assert plan.digest in "\n".join(at_width(render_review(plan), width)), "the digest is there to be copied"
    words = [word for line in lines for word in line.split() if word.startswith("field") and word != "field"]
    assert all(word.endswith(f"value{n}") for n, word in enumerate(words)), "and no word of a sentence is broken"


def test_an_undo_says_that_no_source_was_asked_for_it_and_no_payment_judged() -> None:
    plan = a_plan(kind="undo", findings=(), coverage=(), changes=(a_change(),))
    shown = render_report(render_review(plan), output="md")
    assert shown.count("An undo rests on the journal alone.") == 2
    assert "cannot tell" not in shown and "no breaks" not in shown
