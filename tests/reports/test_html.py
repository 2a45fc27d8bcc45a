"""The HTML report as text: one file, its own policy, exact figures, and outside text that stays text."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from recon.cli import cli
from recon.core.model import LeftAlone, Plan, Policy, Severity, Tier, Verdict
from recon.core.registry import load_registry
from recon.core.tables import table_of
from recon.files import GENESIS
from recon.reports import render_plan
from recon.reports.model import Column, Fact, Report, Table
from recon.reports.pages.html import plan_page, render_html
from recon.reports.pages.page import Page, encode_column, page_of_report
from recon.reports.pages.pictures import plan_charts
from recon.reports.pages.rows import COLUMNS, plan_grid
from recon.reports.pages.runpage import run_page
from recon.reports.pages.whole import Whole
from recon.runs.states import ChangeState, Result, RunState
from recon.runs.stores.journal import JournalEntry, Note, make_entry
from recon.simulation import generate_world, write_world
from tests.support import builders
from tests.support.hostile import PAYLOAD, poisoned, poisoned_table
from tests.support.plans import PAYMENT, USDC_BSC, a_change, a_coverage, a_finding, a_plan

TAGS = {
    "html", "head", "meta", "title", "style", "body", "a", "header", "div", "p", "span", "h1", "h2", "button", "nav",
    "main", "section", "ul", "li", "figure", "figcaption", "details", "summary", "aside", "noscript", "dl", "dt", "dd",
    "table", "thead", "tbody", "tr", "th", "td", "footer", "script", "b",
}  # fmt: skip
"""Every element that the template writes; any other came from outside."""


class Parsed(HTMLParser):
    """Elements, attributes and texts of a page, read as a browser tokenises it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self.inside = False
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.texts.setdefault(tag, []).append("")
        self.inside = True

    def handle_endtag(self, tag: str) -> None:
        self.inside = False

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.texts[self.tags[-1][0]][-1] += data

    def data_of(self, name: str) -> str:
        """The content of the script of that id."""
        number = [attrs.get("id") for tag, attrs in self.tags if tag == "script"].index(name)
        return self.texts["script"][number]


def unpacked(page: str, name: str) -> Any:
    return json.loads(gzip.decompress(base64.b64decode(Parsed(page).data_of(name))))


def whole_of(**rows: Any) -> Whole:
    """Tables by hand as a judged snapshot would give them."""
    links = rows.pop("links", None)
    verdicts = rows.pop("verdicts", {})
    names = ("payments", "claims", "transfers", "deliveries", "gaps")
    tables = {name: table_of(name, rows.get(name, [])) for name in names}
    return Whole(taken_at_ms=1_795_176_000_000, verdicts=verdicts, links=links, **tables)


def grid_column(plan: Plan, name: str, whole: Whole | None = None) -> list[Any]:
    grid = plan_grid(plan, whole=whole, registry=load_registry())
    return grid.cells[[column.name for column in COLUMNS].index(name)]


def test_the_file_needs_nothing_from_outside() -> None:
    page = render_html(plan_page(a_plan()))
    parsed = Parsed(page)
    for tag, attrs in parsed.tags:
        assert not set(attrs) & {"src", "srcset", "data", "action", "formaction", "poster", "background"}, (tag, attrs)
        assert tag != "a" or str(attrs["href"]).startswith("#")
    assert {tag for tag, _ in parsed.tags} <= TAGS
    assert "@import" not in page
    assert "url(" not in "".join(parsed.texts["style"])


def test_the_policy_names_every_script_by_its_digest_and_forbids_all_else() -> None:
    parsed = Parsed(render_html(plan_page(a_plan())))
    [policy] = [str(attrs["content"]) for tag, attrs in parsed.tags if attrs.get("http-equiv")]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe-eval" not in policy
    assert "connect-src" not in policy, "default-src forbids it"
    run = [
        text
        for (_, attrs), text in zip(
            [each for each in parsed.tags if each[0] == "script"], parsed.texts["script"], strict=True
        )
        if "type" not in attrs
    ]
    assert len(run) == 2
    for text in run:
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy


def test_the_same_plan_gives_the_same_bytes() -> None:
    assert render_html(plan_page(a_plan())) == render_html(plan_page(a_plan()))


def test_the_figures_are_those_of_the_report() -> None:
    plan = a_plan()
    page = render_html(plan_page(plan))
    texts = [text.strip() for text in Parsed(page).texts["p"]] + Parsed(page).texts["span"]
    facts = {fact.name: fact for fact in render_plan(plan).facts}
    assert "2,000" in texts
    assert "1,234,567.50 USDC" in texts
    assert facts["oldest_break"].value in texts
    assert plan.digest in page


def test_a_shortened_amount_has_the_exact_one_as_its_title() -> None:
    summary = {**a_plan().summary, "value_at_risk": {f"56:{USDC_BSC}": str(10**24 + 1)}}
    page = render_html(plan_page(a_plan(summary=summary)))
    assert '<span title="1,000,000.000000000000000001 USDC">1,000,000.00 USDC</span>' in page
    assert '<td class="amount" title="1,000,000.000000000000000001 USDC">1,000,000.00 USDC</td>' in page


def test_a_value_at_risk_keeps_every_digit() -> None:
    plan = a_plan(findings=(a_finding(value_units=10**24 + 1, difference_units=-(10**18) - 1),), left_alone=())
    assert grid_column(plan, "value") == ["1000000.000000000000000001 USDC"]
    assert grid_column(plan, "difference") == ["-1.000000000000000001 USDC"]
    assert "1000000.000000000000000001 USDC" in json.dumps(unpacked(render_html(plan_page(plan)), "rows"))


def test_breaks_come_worst_first_and_then_every_other_payment_newest_first() -> None:
    plan = a_plan(
        findings=(
            a_finding(payment_id=builders.payment_id(1), severity=Severity.LOW),
            a_finding(payment_id=builders.payment_id(2), severity=Severity.CRITICAL),
            a_finding(payment_id=builders.payment_id(3), tier=Tier.WAIT, severity=Severity.INFO),
        ),
        changes=(),
        left_alone=(),
    )
    rows = [builders.payment_row(number, created_at=number * 1000) for number in range(1, 6)]
    whole = whole_of(payments=rows, verdicts={builders.payment_id(5): "in_sync"})
    assert grid_column(plan, "payment_id", whole) == [builders.payment_id(n) for n in (2, 1, 3, 5, 4)]
    assert grid_column(plan, "verdict", whole)[3:] == ["in_sync", "no break"]
    assert grid_column(plan, "severity", whole) == ["critical", "low", "info", "none", "none"]


def test_a_way_back_lists_its_changes_and_what_it_leaves_alone() -> None:
    left = (LeftAlone("other", Verdict.LOCAL_BEHIND, "status: completed, then refunded"),)
    plan = a_plan(kind="undo", findings=(), changes=(a_change(),), left_alone=left)
    grid = plan_grid(plan, whole=None, registry=load_registry())
    assert grid.cells[[column.name for column in COLUMNS].index("payment_id")] == [PAYMENT, "other"]
    assert grid.details[0]["sets"][1] == ["status", "pending", "completed"]
    assert grid.details[1]["left"] == "status: completed, then refunded"
    assert grid.note == ""


def test_a_page_without_the_snapshot_says_what_is_missing() -> None:
    grid = plan_grid(a_plan(left_alone=()), whole=None, registry=load_registry())
    assert grid.rows == 1
    assert "snapshot" in grid.note


def test_details_hold_the_sides_the_change_and_why_a_break_is_left_alone() -> None:
    plan = a_plan(
        findings=(a_finding(), a_finding(payment_id="other", verdict=Verdict.UNPROVEN, tier=Tier.NEVER)),
    )
    more = unpacked(render_html(plan_page(plan)), "more")
    first = more["details"]["0"]
    assert first["fields"] == [["status", "pending", "paid", "covered"]]
    assert first["sets"] == [["escrowState", "not there", "funded"], ["status", "pending", "completed"]]
    assert first["effects"] == ["release becomes possible"]
    assert more["details"]["1"]["left"] == "the chain was not read to its end"


def test_a_timeline_joins_what_the_provider_says_and_what_was_delivered_to_its_payment() -> None:
    rows = builders.one_payment(1)
    delivery = builders.delivery_row(1)
    whole = whole_of(payments=rows["payments"], claims=[builders.claim_row(1)], deliveries=[delivery])
    plan = a_plan(findings=(a_finding(payment_id=builders.payment_id(1)),), changes=())
    events = plan_grid(plan, whole=whole, registry=load_registry()).events
    assert events["side"] == ["provider", "notification"]
    assert events["row"] == [0, 0]
    assert events["at"][1] == delivery["received_at"]


def test_repeated_words_are_written_once() -> None:
    assert encode_column(["a", "a", "b", "a"]) == {"words": ["a", "b"], "at": [0, 0, 1, 0]}
    assert encode_column(["a", "b", "c"]) == {"cells": ["a", "b", "c"]}
    assert encode_column([]) == {"words": [], "at": []}


def hostile_page() -> Page:
    """A page in which every text of the plan, of its summary and of every table ends in the payload."""
    plan = a_plan(
        findings=(a_finding(payment_id=builders.payment_id(1), evidence=("transfer 1",)),),
        changes=(a_change(payment_id=builders.payment_id(1)),),
        left_alone=(LeftAlone(builders.payment_id(1), Verdict.UNPROVEN, "why"),),
        coverage=(a_coverage(complete=False, problem="x"),),
    )
    plan = poisoned(plan)
    summary = {
        **plan.summary,
        "by_provider": {PAYLOAD: {"local_behind": 3, PAYLOAD: 2}},
        "by_chain": {PAYLOAD: {"local_behind": 3}},
        "verdicts": {PAYLOAD: 3, "local_behind": 1},
        "health": {"ok": False, "reasons": [PAYLOAD]},
        "value_at_risk": {f"56:{PAYLOAD}": "5"},
        "captured_not_credited": {PAYLOAD: "5"},
        "limits_hit": [PAYLOAD],
        "open_by_age": {PAYLOAD: 2},
    }
    plan = replace(plan, summary=summary, window={"date": PAYLOAD, "from": PAYLOAD, "to": PAYLOAD})
    rows = builders.one_payment(1)
    link = {
        "payment_id": f"{builders.payment_id(1)} {PAYLOAD}", "t_chain": 56, "t_tx": PAYLOAD, "t_log": 1, "t_block": 1,
        "t_time": 1_795_000_000_000, "t_final": True, "t_amount": 5, "t_recipient": PAYLOAD, "t_token": PAYLOAD,
        "t_kind": PAYLOAD, "t_topic": PAYLOAD, "is_valid": True, "is_refund": False, "wrong_chain": False,
        "wrong_token": False, "wrong_recipient": False, "wrong_reference": True, "own_hash": True,
    }  # fmt: skip
    import pyarrow as pa

    tables = {
        "payments": rows["payments"], "claims": [builders.claim_row(1)], "transfers": [builders.transfer_row(1)],
        "deliveries": [builders.delivery_row(1)], "gaps": [builders.gap_row()],
    }  # fmt: skip
    whole = Whole(
        taken_at_ms=1_795_176_000_000,
        verdicts={},
        links=pa.Table.from_pylist([link]),
        **{name: poisoned_table(table_of(name, given)) for name, given in tables.items()},
    )
    registry = load_registry()
    report = render_plan(plan, path=PAYLOAD, config=PAYLOAD, full=True)
    report = replace(report, facts=(*report.facts, Fact("x", PAYLOAD, PAYLOAD), Fact("y", "y", PAYLOAD, "amounts")))
    return Page(
        poisoned(report),
        charts=plan_charts(plan, whole=whole, policy=Policy(), registry=registry),
        grid=plan_grid(plan, whole=whole, registry=registry, command=f"recon select {PAYLOAD}"),
        lists=(*poisoned(report).tables, Table(PAYLOAD, PAYLOAD, (Column("a", PAYLOAD),), ((PAYLOAD,),), note=PAYLOAD)),
    )


def test_markup_in_every_text_field_stays_text() -> None:
    page = render_html(hostile_page())
    parsed = Parsed(page)
    assert {tag for tag, _ in parsed.tags} <= {*TAGS, "textarea"}
    assert [tag for tag, _ in parsed.tags].count("textarea") == 1
    for _, attrs in parsed.tags:
        assert not [name for name in attrs if name.startswith("on")]
    assert parsed.texts["title"][0].endswith("x</a>")
    scripts = [attrs.get("id") for tag, attrs in parsed.tags if tag == "script"]
    assert scripts == ["head", "rows", "more", None, None]
    assert json.loads(parsed.data_of("head"))["charts"][0]["data"]["series"][0]["name"].startswith("</script>")
    assert "</script><script>window" in json.dumps(unpacked(page, "rows"))
    assert page.count("window.hacked") > 50, "the payload is everywhere"


def test_terminal_escapes_and_marks_that_turn_the_line_are_made_visible() -> None:
    plan = a_plan(findings=(a_finding(payment_id="x\x1b[31m\u202ey"),), changes=(), left_alone=())
    assert grid_column(plan, "payment_id") == ["x\ufffd[31m\ufffdy"]


def test_unpaired_surrogates_and_numbers_without_end_do_not_stop_a_page() -> None:
    row = {**builders.payment_row(1), "expires_at": 2**62, "created_at": -(2**40), "amount_text": "9" * 5000}
    whole = whole_of(payments=[row])
    plan = a_plan(findings=(a_finding(reason="\ud800", symbol=None, decimals=None),), changes=())
    page = Page(
        render_plan(plan, full=True),
        charts=plan_charts(plan, whole=whole, policy=None, registry=load_registry()),
        grid=plan_grid(plan, whole=whole, registry=load_registry()),
    )
    assert render_html(page)


def test_an_empty_plan_is_a_page() -> None:
    plan = a_plan(findings=(), changes=(), left_alone=(), coverage=(), summary={"payments": 0})
    page = plan_page(plan)
    assert page.charts == ()
    assert "<h1>" in render_html(page)


def test_arrivals_are_counted_in_steps_and_gaps_are_kept_beside_them() -> None:
    rows = [builders.payment_row(number, created_at=1_795_000_000_000 + number * 60_000) for number in range(10)]
    gap = builders.gap_row(from_ms=1_795_000_060_000, to_ms=1_795_000_120_000)
    charts = plan_charts(a_plan(), whole=whole_of(payments=rows, gaps=[gap]), policy=Policy(), registry=load_registry())
    [arrivals] = [chart for chart in charts if chart.name == "arrivals"]
    assert sum(arrivals.data["series"][0]["values"]) == 10
    assert arrivals.data["step_ms"] == 60_000
    assert [(each["from"], each["to"]) for each in arrivals.data["gaps"]] == [(1_795_000_060_000, 1_795_000_120_000)]


def test_depth_is_held_against_the_threshold_of_each_chain() -> None:
    transfers = [
        builders.transfer_row(1, confirmations=3, final=False),
        builders.transfer_row(2, confirmations=40, final=False),
        builders.transfer_row(3, confirmations=900, final=True),
    ]
    rows = [builders.payment_row(1)]
    policy = Policy(confirmations_min={builders.CHAIN: 20})
    whole = whole_of(payments=rows, transfers=transfers)
    charts = plan_charts(a_plan(), whole=whole, policy=policy, registry=load_registry())
    [depth] = [chart for chart in charts if chart.name == "depth"]
    assert [series["values"] for series in depth.data["series"]] == [[1], [1], [1]]
    assert depth.data["categories"][0].endswith("needs 20")


def test_long_tables_of_any_report_become_a_grid_and_short_ones_are_printed() -> None:
    columns = (Column("payment_id", "payment", "id"), Column("result", "result", "severity"))
    rows = tuple((f"p{number}", "applied" if number % 2 else "moved") for number in range(60))
    page = page_of_report(Report("run", "Run r1", tables=(Table("rows", "Rows", columns, rows),)))
    assert page.grid is not None
    assert page.grid.rows == 60
    assert [column.is_filter for column in page.grid.columns] == [False, True]
    assert page.lists == ()
    short = page_of_report(Report("run", "Run r1", tables=(Table("rows", "Rows", columns, rows[:3]),)))
    assert short.grid is None
    assert len(short.lists) == 1


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a recorded world, a snapshot and a plan of it."""
    folder = tmp_path_factory.mktemp("judged")
    write_world(generate_world(payments=120, seed=5), folder)
    result = CliRunner().invoke(cli, ["plan", "--config", str(folder / "recon.toml")], prog_name="recon")
    assert result.exit_code in (0, 1, 4), result.output
    return folder


def run(folder: Path, *arguments: str) -> Any:
    return CliRunner().invoke(cli, ["report", *arguments, "--config", str(folder / "recon.toml")], prog_name="recon")


def test_report_of_a_plan_lists_every_payment_of_its_snapshot_with_its_verdict(judged: Path, tmp_path: Path) -> None:
    [plan] = (judged / "recon-out").glob("plan-*.json")
    out = tmp_path / "plan.html"
    result = run(judged, str(plan), "--html", str(out))
    assert (result.exit_code, result.stdout) == (0, f"{out}\n")
    head = json.loads(Parsed(out.read_text(encoding="utf-8")).data_of("head"))
    assert head["grid"]["rows"] >= 120
    names = [column["name"] for column in head["grid"]["columns"]]
    cells = unpacked(out.read_text(encoding="utf-8"), "rows")["cells"][names.index("verdict")]
    counts = json.loads(plan.read_text(encoding="utf-8"))["summary"]["verdicts"]
    for verdict, count in counts.items():
        assert sum(cells["words"][at] == verdict for at in cells["at"]) == count, verdict
    assert {chart["name"] for chart in head["charts"]} == {
        "by_provider", "by_chain", "money", "ages", "flow", "arrivals", "depth",
    }  # fmt: skip


def test_report_of_a_snapshot_judges_it_offline(judged: Path, tmp_path: Path) -> None:
    [snapshot] = (judged / "recon-out").glob("snapshot-*")
    out = tmp_path / "snapshot.html"
    assert run(judged, "page", str(snapshot), "--html", str(out)).exit_code == 0
    text = out.read_text(encoding="utf-8")
    assert re.search(r"<h1>Snapshot [0-9a-f]{12}</h1>", text)
    assert 'data-fact="breaks"' in text


def test_report_never_writes_over_a_file(judged: Path) -> None:
    [plan] = (judged / "recon-out").glob("plan-*.json")
    before = plan.read_bytes()
    result = run(judged, str(plan), "--html", str(plan))
    assert result.exit_code == 3
    assert plan.read_bytes() == before


def test_report_of_what_is_no_artefact_says_so_in_one_sentence(judged: Path, tmp_path: Path) -> None:
    other = tmp_path / "notes.txt"
    other.write_text("hello")
    result = run(judged, str(other), "--html", str(tmp_path / "x.html"))
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert run(judged, "no-such-run", "--html", str(tmp_path / "x.html")).exit_code == 2
    assert run(judged, str(judged), "--html", str(tmp_path / "x.html")).exit_code == 2
    assert not (tmp_path / "x.html").exists()


def test_a_snapshot_that_is_not_the_plans_own_is_refused(judged: Path, tmp_path: Path) -> None:
    [plan] = (judged / "recon-out").glob("plan-*.json")
    write_world(generate_world(payments=20, seed=6), tmp_path / "other")
    other = tmp_path / "other" / "snapshot"
    made = CliRunner().invoke(
        cli, ["snapshot", "--config", str(tmp_path / "other" / "recon.toml"), "--out", str(other)], prog_name="recon"
    )
    assert made.exit_code in (0, 4)
    result = run(judged, str(plan), "--snapshot", str(other), "--html", str(tmp_path / "x.html"))
    assert result.exit_code == 2
    assert "was made from snapshot" in result.stderr


def test_report_of_a_run_and_of_a_case(judged: Path, tmp_path: Path) -> None:
    from recon.plans.file import load_plan

    [path] = (judged / "recon-out").glob("plan-*.json")
    plan = load_plan(path)
    config = ["--config", str(judged / "recon.toml")]
    case = tmp_path / "case.json"
    made = CliRunner().invoke(
        cli, ["case", plan.findings[0].payment_id, "--out", str(case), *config], prog_name="recon"
    )
    assert case.exists(), made.output
    assert run(judged, str(case), "--html", str(tmp_path / "case.html")).exit_code == 0
    page = (tmp_path / "case.html").read_text(encoding="utf-8")
    assert "Timeline" in page
    assert re.findall(r'data-chart="(\w+)"', page)[:2] == ["timeline", "money"]
    assert 'data-fact="cause"' in page
    applied = CliRunner().invoke(cli, ["apply", str(path), "--digest", plan.digest, *config], prog_name="recon")
    assert applied.exit_code in (0, 1), applied.output
    found = re.search(r"recon undo (\S+)", applied.output)
    assert found is not None
    assert run(judged, found[1], "--html", str(tmp_path / "run.html")).exit_code == 0
    page = (tmp_path / "run.html").read_text(encoding="utf-8")
    assert f"<h1>Run {found[1]}</h1>" in page
    assert re.findall(r'data-chart="(\w+)"', page)[:2] == ["results", "money"]
    written = re.search(r"(\d+) of (\d+)", page)
    assert written is not None
    assert int(written[1]) == int(re.search(r"applied *(\d+)", applied.output)[1])  # type: ignore[index]


def test_every_result_of_a_run_is_counted_and_what_needs_attention_comes_first() -> None:
    entries, state = a_run()
    page = run_page(state, summary=None, entries=entries, registry=load_registry())
    charts = {chart.name: chart.data for chart in page.charts}
    assert list(charts) == ["results", "money", "course", "remaining"]
    assert charts["results"]["categories"] == ["local_behind", "<b>late</b>", "unknown"]
    counted = {each["name"]: each["values"] for each in charts["results"]["series"]}
    assert counted == {"applied": [1, 0, 0], "moved": [1, 0, 0], "open": [0, 1, 0], "failed": [0, 0, 1]}
    assert [(each["name"], each["texts"]) for each in charts["money"]["series"]] == [
        ("as the plan wanted", ["1,000,000,000,000,000,000.000001 USDC"]), ("not", ["2.5 USDC"])
    ]  # fmt: skip
    assert charts["remaining"]["series"] == [
        {"name": "explained", "values": [1, 0]}, {"name": "NOT EXPLAINED", "values": [0, 1]}
    ]  # fmt: skip
    assert page.grid is not None
    cells = dict(zip((column.name for column in page.grid.columns), page.grid.cells, strict=True))
    assert cells["result"] == ["moved", "open", "failed", "applied"]
    assert cells["severity"] == ["high", "high", "high", "none"]
    assert cells["moved"][3] == "status: pending to completed"
    assert page.grid.details[3]["sets"] == [["status", "pending", "completed"]]
    facts = {fact.name: fact.value for fact in page.report.facts}
    assert (facts["written"], facts["trouble"], facts["remaining"], facts["took"]) == ("1 of 4", "3", "2", "not ended")
    assert "<b>late</b>" not in render_html(page)


def test_a_run_of_nothing_and_an_end_of_another_shape_are_pages_too() -> None:
    state = RunState("r", "p", {}, {})
    odd = make_entry(Note("r", "end", "later", body={"remaining": "x"}, token=1), seq=1, prev=GENESIS)
    for entries in ([], [odd]):
        page = run_page(state, summary=None, entries=entries, registry=load_registry())
        assert page.charts == ()
        assert "none on record" in render_html(page)


def a_run() -> tuple[list[JournalEntry], RunState]:
    """A run of four rows: written, moved since, announced only, and failed without a word of its intent."""
    usdc = {"chain_id": 137, "symbol": "USDC", "decimals": 6, "tier": "auto"}
    sets = {"before": {"status": "pending"}, "after": {"status": "completed", "updatedAt": "x"}}
    changes = {
        "c1": ChangeState("c1", "p1", 1, {**usdc, **sets, "verdict": "local_behind", "value": str(10**24 + 1)},
                          Result.APPLIED),
        "c2": ChangeState("c2", "p2", 2, {**usdc, "verdict": "local_behind", "value": "2500000"}, Result.MOVED),
        "c3": ChangeState("c3", "p3", 3, {**usdc, "verdict": "<b>late</b>", "value": "0"}),
        "c4": ChangeState("c4", "p4", 4, None, Result.FAILED, {"reason": "no"}),
    }  # fmt: skip
    left = [["p1", "overpaid", "the plan named it"], ["p2", "unproven", None]]
    notes = [
        Note("r", "outcome", "2026-11-20T12:00:00.000Z", {"result": "applied"}, change="c1", payment="p1"),
        Note("r", "outcome", "2026-11-20T12:00:09.000Z", {"result": "moved"}, change="c2", payment="p2"),
        Note("r", "end", "2026-11-20T12:00:10.000Z", {"remaining": left}),
    ]
    entries = [make_entry(note, seq=number, prev=GENESIS) for number, note in enumerate(notes, 1)]
    return entries, RunState("r", "plan", {"kind": "correction"}, changes)


def test_the_library_is_named_with_its_licence() -> None:
    folder = Path(__file__).parents[2] / "recon" / "reports" / "pages" / "templates" / "vendor"
    assert "Apache License" in (folder / "echarts.LICENSE").read_text(encoding="utf-8")
    assert "Apache ECharts" in (folder / "echarts.NOTICE").read_text(encoding="utf-8")
    assert all(path.stat().st_size < 1_200_000 for path in folder.iterdir())


def test_the_page_never_parses_data_as_markup() -> None:
    folder = Path(__file__).parents[2] / "recon" / "reports" / "pages" / "templates"
    for path in folder.glob("*.js"):
        text = path.read_text(encoding="utf-8")
        for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function(", "srcdoc"):
            assert word not in text, (path.name, word)


def test_the_text_of_an_incident_stands_beside_the_pages(judged: Path) -> None:
    config = ["--config", str(judged / "recon.toml")]
    told = ["report", "incident", "post-mortem", "--title", "RPC <b>away</b>", *config]
    result = CliRunner().invoke(cli, told, prog_name="recon")
    assert result.exit_code == 0, result.output
    front, _, text = result.stdout.removeprefix("---\n").partition("\n---\n")
    assert 'title: "RPC <b>away</b>"' in front, "front matter is data, not markup"
    assert "<b>" not in text.replace("\\<b", "")
