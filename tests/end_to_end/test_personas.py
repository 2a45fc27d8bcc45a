"""The paths of three people through one demo: a payments lead in an incident, a finance person, a developer.

Each is one short story, and what is asserted is what the person reads or hands on.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import openpyxl
import pandas
import pytest
from click.testing import CliRunner, Result

import recon
from recon.cli import cli
from recon.core.model import Plan
from recon.desk.running import RunScreen
from recon.plans.file import load_plan
from recon.reports.notebooks import find_artefacts
from recon.reports.notebooks.plot import plot
from recon.sources.recorded.store_file import payment_lines
from tests.reports.test_html import Parsed, unpacked
from tests.support.screens import Seat, sit_down

PAYMENTS = 240
CHAIN = 56


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo as ``recon demo`` leaves it."""
    folder = tmp_path_factory.mktemp("personas") / "recon-demo"
    said = CliRunner().invoke(cli, ["demo", "--out", str(folder), "--payments", str(PAYMENTS)], prog_name="recon")
    assert said.exit_code == 0, said.output
    return folder


@pytest.fixture
def demo(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, where the person works."""
    folder = tmp_path / "recon-demo"
    shutil.copytree(made, folder)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("RECON_OPERATOR", "ann")
    return folder


def run(*arguments: object, code: int = 0) -> Result:
    """A command as it is typed in the demo's folder."""
    result = CliRunner().invoke(cli, [str(each) for each in arguments], prog_name="recon")
    assert "Traceback" not in result.output
    assert result.exit_code == code, result.output
    return result


def line_with(text: str, start: str) -> str:
    """The line of a text that begins so, without its indentation."""
    found = [line.strip() for line in text.splitlines() if line.strip().startswith(start)]
    assert found, f"no line begins with {start!r} in:\n{text}"
    return found[0]


def picked_of(plan: Plan, *, verdict: str, chain: int) -> list[str]:
    """What a person would count by hand: the payments of a verdict on a chain that the plan changes."""
    return sorted(each.payment_id for each in plan.changes if (each.verdict, each.chain_id) == (verdict, chain))


def test_the_payments_lead_in_an_incident(demo: Path) -> None:
    whole = load_plan(next(demo.glob("plan-*.json")))
    wanted = picked_of(whole, verdict="local_behind", chain=CHAIN)
    stored = payment_lines(demo / "world")

    shown = run("show", "latest").stdout
    assert line_with(shown, "changes  ").split()[-1] == str(len(whole.changes))
    mistyped = run("select", "latest", "--verdict", "local_behnd", "--out", "picked.json", code=2).stderr
    assert "the nearest is local_behind" in mistyped
    assert not (demo / "picked.json").exists()
    chosen = run("select", "latest", "--verdict", "local_behind", "--chain", CHAIN, "--out", "picked.json").stdout
    assert line_with(chosen, "changes  ").split()[-1] == str(len(wanted))
    picked = load_plan(demo / "picked.json")
    assert sorted(each.payment_id for each in picked.changes) == wanted

    async def review(seat: Seat) -> None:
        assert sorted(seat.shown) == wanted, "only what is written is listed"
        await seat.press("enter")
        assert "What each side says" in seat.text and "The chain proves" in seat.text
        await seat.press("escape", "p")
        await seat.type("ten checked")
        await seat.press("enter")
        assert "Recorded: ann approved" in seat.said
        await seat.press("a", *picked.digest[:6], "enter")
        assert isinstance(seat.app.screen, RunScreen), seat.text
        assert seat.app.screen.outcome == "done"
        assert f"applied                 {len(wanted)}" in seat.text
        assert "Breaks of these payments afterwards\n  none" in seat.text

    sit_down(review, plan=demo / "picked.json", config=demo / "recon.toml", size=(120, 40))

    before = set(demo.glob("plan-*.json"))
    remaining = run("plan", "--config", "recon.toml", code=1)
    [newest] = set(demo.glob("plan-*.json")) - before
    after = load_plan(newest)
    assert picked_of(after, verdict="local_behind", chain=CHAIN) == []
    assert len(after.changes) == len(whole.changes) - len(wanted)
    assert line_with(remaining.stdout, "known from it").split()[-1] == line_with(remaining.stdout, "breaks").split()[-1]
    run_name = next(line.split()[0] for line in run("runs").stdout.splitlines() if " correction " in line)
    assert line_with(run("runs", "last").stdout, "state").split()[-1] == "ended"

    back = run("undo", "last", "--out", "undo.json").stdout
    assert line_with(back, "takes back run").split()[-1] == run_name
    told = run("apply", "undo.json", "--digest", load_plan(demo / "undo.json").digest).stdout
    assert line_with(told, "applied").split()[-1] == str(len(wanted))
    assert "the correction of it was taken back" in told
    assert without_stamps(payment_lines(demo / "world")) == without_stamps(stored)


def without_stamps(lines: Any) -> list[dict[str, Any]]:
    """The stored payments but for what says who wrote last and when."""
    rows = [json.loads(line) for line in lines]
    for row in rows:
        row.pop("updatedAt", None)
        if isinstance(row.get("metadata"), dict):
            row["metadata"].pop("recon", None)
    return sorted(rows, key=lambda row: json.dumps(row["_id"]))


def test_the_finance_person_at_the_page_and_in_the_spreadsheet(demo: Path) -> None:
    plan = load_plan(next(demo.glob("plan-*.json")))
    run("report", "latest", "--html", "page.html")
    page = (demo / "page.html").read_text()
    parsed = Parsed(page)
    money = [text for text in parsed.texts["span"] if text.endswith(("USDC", "USDT"))]
    assert money and all(len(text.split()[0].rpartition(".")[2]) == 2 for text in money), "amounts in two decimals"
    head, rows = json.loads(parsed.data_of("head")), unpacked(page, "rows")
    assert str(plan.changes[0].payment_id) in json.dumps(rows), "#payment=ID finds it"
    assert {"payment_id", "verdict", "chain"} <= {spec["name"] for spec in head["grid"]["columns"]}, "#verdict=NAME"

    # A second person picks in the browser, saves the list, and hands it over.
    listed = picked_of(plan, verdict="local_behind", chain=CHAIN)
    command = head["grid"]["picks"]["command"]
    assert command.startswith("recon select ")
    (demo / "picked.txt").write_text("\n".join([f"# {command}", *listed, ""]))
    run(*command.split()[1:], "--list-file", "picked.txt", "--out", "from-page.json")
    by_hand = [f"--payment={payment}" for payment in listed]
    run("select", "latest", *by_hand, "--out", "by-hand.json")
    assert (demo / "from-page.json").read_bytes() == (demo / "by-hand.json").read_bytes()

    # The same decision in a spreadsheet, with some breaks accepted.
    run("decide", "export", "latest", "--out", "decisions.xlsx")
    book = openpyxl.load_workbook(demo / "decisions.xlsx")
    sheet = book.active
    assert sheet is not None
    names = [str(cell.value) for cell in sheet[1]]
    accepted = 0
    for line in sheet.iter_rows(min_row=2):
        row = dict(zip(names, line, strict=True))
        if row["payment"].value in listed:
            row["decision"].value, row["reason"].value = "apply", "seen in the bank's own list"
        elif row["verdict"].value == "dispute_hold":
            row["decision"].value, row["until"].value, row["reason"].value = "ack", "2026-12-01", "with legal"
            accepted += 1
    book.save(demo / "decisions.xlsx")
    taken = run("decide", "import", "latest", "decisions.xlsx", "--out", "from-sheet.json")
    assert accepted and (demo / "from-sheet.json").read_bytes() == (demo / "by-hand.json").read_bytes()
    assert line_with(taken.stdout, "changes  ").split()[-1] == str(len(listed))
    one = run("show", "from-sheet.json", "--payment", listed[0]).stdout
    assert "seen in the bank's own list" in one

    # One more break is accepted by the command; none of them counts any more.
    run("ack", "--verdict", "provider_behind", "--reason", "their ticket 4711", "--until", "2026-12-01")
    behind = sum(each.verdict == "provider_behind" for each in plan.findings)
    again = run("plan", "--snapshot", "last", "--config", "recon.toml", code=1).stdout
    assert line_with(again, "acknowledged").split()[-1] == str(accepted + behind)


def test_the_developer_in_the_library_and_a_notebook(demo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (demo / "deep" / "er").mkdir(parents=True)
    monkeypatch.chdir(demo / "deep" / "er")
    found = find_artefacts()
    assert found.snapshot is not None and found.plan is not None
    plan, snapshot = recon.load(found.plan), recon.load(found.snapshot)

    findings = plan.findings
    documented = recon.columns("findings")
    assert set(findings.columns) <= set(documented["column"]), "every column says what it is"
    joined = plan.join("findings", snapshot.payments)
    assert len(joined) == len(findings)
    assert joined["created_at"].dtype.kind == "M", "times are times"
    exact = sum(each.value_units for each in plan.artefact.findings if each.symbol == "USDC" and each.decimals == 18)
    usdc = findings[(findings["symbol"] == "USDC") & (findings["chain_id"] == CHAIN)]
    assert usdc["value_units"].sum() == exact
    assert usdc.groupby("verdict")["value_units"].sum().sum() == exact
    assert usdc["value"].quantile(1) == usdc["value"].max()

    for kind in ("parquet", "xlsx"):
        place = plan.save(demo / kind, kind=kind)  # type: ignore[arg-type]
        again = recon.load(place)
        for name in plan:
            pandas.testing.assert_frame_equal(again[name], plan[name])
    assert plot(plan, "by_provider") is not None

    worst = findings.iloc[0]["payment_id"]
    told = recon.inspect(str(worst), config=demo / "recon.toml")
    report = run("inspect", worst, "--config", demo / "recon.toml", "--format", "json", code=1)
    assert told.judged is not None and told.judged.finding.payment_id == worst
    assert told.causes and told.timeline
    said = json.loads(report.stdout)
    assert told.judged.finding.verdict in said["facts"]["verdict"], "the command tells the same, in JSON"
