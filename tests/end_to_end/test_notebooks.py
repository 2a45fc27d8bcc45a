"""The notebooks, run from top to bottom on what the commands write, after an outage that the test makes."""

from __future__ import annotations

import asyncio
import json
import re
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import nbformat
import pytest
from click.testing import CliRunner

from recon.cli import cli
from recon.investigation.payment.timeline import Event
from recon.plans.file import load_plan
from recon.reports import render_plan
from recon.reports.notebooks.formatters import (
    change_html,
    finding_html,
    html_table,
    plan_html,
    report_html,
    timeline_html,
)
from tests.support.exports import FILES
from tests.support.hostile import PAYLOAD, poisoned
from tests.support.plans import a_change, a_finding, a_plan

NOTEBOOKS = sorted((Path(__file__).resolve().parents[2] / "notebooks").glob("*.ipynb"))
OUTAGE_MS = (1_794_800_000_000, 1_794_830_000_000)


def recon(*arguments: str) -> None:
    """Run a command in this process; the exit codes of a dry run with findings are fine."""
    result = CliRunner().invoke(cli, list(arguments), prog_name="recon")
    assert result.exit_code in (0, 1, 4), result.output


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the demo, an outage in its notifications, a repair, and a second plan after it."""
    folder = tmp_path_factory.mktemp("notebooks")
    home = folder / "recon-demo"
    recon("demo", "--out", str(home), "--payments", "400", "--seed", "3")
    kept = home / "world" / "deliveries.ndjson"
    kept.write_text("\n".join(map(outage, kept.read_text(encoding="utf-8").splitlines())) + "\n", encoding="utf-8")
    [path] = home.glob("plan-*.json")
    config = str(home / "recon.toml")
    recon("apply", str(path), "--digest", load_plan(path).digest, "--config", config)
    recon("plan", "--config", config)
    # A reading that was interrupted is the newest, and is none.
    (home / "snapshot-99991231T000000Z").mkdir()
    (folder / "notes" / "of today").mkdir(parents=True)
    return folder


def outage(line: str) -> str:
    """A line of the kept notifications, refused if Request Network sent it during the outage."""
    row = json.loads(line)
    delivery = row["delivery"]
    if delivery["provider"] == "request_network" and OUTAGE_MS[0] <= delivery["received_at"] < OUTAGE_MS[1]:
        delivery |= {"http_status": 503, "dead_letter": True}
    return json.dumps(row)


def executed(path: Path, folder: Path) -> Any:
    """The notebook with its outputs."""
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(folder)}})
    with warnings.catch_warnings():
        # The kernel's own messaging leaves sockets to the collector; what the notebook itself warns of fails in it.
        warnings.simplefilter("ignore")
        asyncio.run(client.async_execute())
    return notebook


@pytest.fixture(scope="module")
def ran(demo: Path) -> Callable[[int], Any]:
    """A notebook with its outputs, by its place in the list, run once and in another folder than the demo's own."""
    return cache(lambda number: executed(NOTEBOOKS[number], demo / "notes" / "of today"))


def outputs(notebook: Any, mime: str) -> list[str]:
    return [
        str(output["data"][mime])
        for cell in notebook.cells
        for output in cell.get("outputs", ())
        if mime in output.get("data", {})
    ]


def test_there_are_three_on_a_plan_and_one_on_files() -> None:
    assert [path.name for path in NOTEBOOKS] == [
        "01-first-look.ipynb", "02-stuck-payment.ipynb", "03-provider-incident.ipynb", "from_csv.ipynb",
    ]  # fmt: skip


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_committed_without_outputs_and_holds_no_logic(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert "Path(" not in cell.source, "it looks for its files"
            assert cell.outputs == []
            assert cell.execution_count is None
            assert not re.search(r"^\s*(def|class|for|while|if|try)\b", cell.source, re.MULTILINE), cell.source
    assert notebook.cells[0].cell_type == "markdown"
    needs = "Nothing has to be run first" if path.stem == "from_csv" else "Run `recon demo` first"
    assert needs in notebook.cells[0].source


@pytest.mark.parametrize("number", range(3), ids=lambda number: NOTEBOOKS[number].stem)
def test_a_notebook_runs_from_top_to_bottom_and_shows_pictures_and_tables(
    number: int, ran: Callable[[int], Any]
) -> None:
    notebook = ran(number)
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            assert output.output_type != "error"
            assert output.get("name") != "stderr", output.get("text")
    assert outputs(notebook, "image/png")
    assert len(outputs(notebook, "text/html")) >= 4


def test_files_are_imported_and_judged_where_nothing_else_is(tmp_path: Path) -> None:
    notebook = executed(NOTEBOOKS[3], tmp_path)
    written = {line.split("/")[1] for cell in notebook.cells for line in re.findall(r"%%writefile (\S+)", cell.source)}
    assert written == set(FILES)
    assert {name: (tmp_path / "from-csv" / name).read_text() for name in FILES} == FILES, "as docs/from-csv.md shows"
    shown = " ".join(outputs(notebook, "text/html"))
    assert "local_behind" in shown
    assert "lookup_failed" in shown
    assert outputs(notebook, "image/png")
    assert not [
        output for cell in notebook.cells for output in cell.get("outputs", ()) if output.output_type == "error"
    ]


def test_findings_and_changes_show_themselves_as_tables(ran: Callable[[int], Any]) -> None:
    shown = outputs(ran(1), "text/html")
    assert any("before" in html and "blockchain.transactionHash" in html for html in shown)
    first = outputs(ran(0), "text/html")
    assert any("What each side says" in html and "critical" in html for html in first)


def test_an_inspection_and_its_timeline_show_themselves_as_tables(demo: Path, tmp_path: Path) -> None:
    cells = [
        "import recon\nfrom pathlib import Path\nhome = Path('recon-demo')",
        "from recon.plans.file import load_plan\nplan = load_plan(next(home.glob('plan-*.json')))",
        "found = recon.inspect(plan.findings[0].payment_id, config=home / 'recon.toml')\nfound",
        "found.timeline",
    ]
    path = tmp_path / "timeline.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text) for text in cells]), path)
    shown = outputs(executed(path, demo), "text/html")
    assert len(shown) == 2
    assert "Causes, best explanation first" in shown[0]
    assert "<th" in shown[1]
    assert "payment made" in shown[1]


def test_the_incident_shows_the_outage_and_that_the_backlog_went(demo: Path, ran: Callable[[int], Any]) -> None:
    shown = outputs(ran(2), "text/plain")
    assert any("503" in text for text in shown)
    before, after = (load_plan(path) for path in sorted((demo / "recon-demo").glob("plan-*.json"), key=_made))
    assert len(after.findings) < len(before.findings)


def _made(path: Path) -> float:
    return path.stat().st_mtime


def test_what_a_notebook_shows_of_records_is_escaped() -> None:
    for shown in (
        finding_html(poisoned(a_finding())),
        change_html(poisoned(a_change())),
        plan_html(poisoned(a_plan(summary={"payments": 1, "verdicts": {"local_behind": 1}}))),
        report_html(poisoned(render_plan(a_plan()))),
        timeline_html([Event(1, f"document{PAYLOAD}", f"says \u202e{PAYLOAD}")]),
    ):
        assert "&lt;/script&gt;" in shown
        for word in ("<script", "<img", "<svg", "<a ", "\u202e"):
            assert word not in shown


def test_long_tables_in_a_notebook_say_how_many_rows_are_left() -> None:
    assert "10 more rows" in html_table("t", ("a",), rows=[(number,) for number in range(60)])
