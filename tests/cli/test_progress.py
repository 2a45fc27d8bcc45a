"""What a run says of how far it is, where nobody looks at a terminal."""

from __future__ import annotations

import gzip
import json
import threading
from pathlib import Path
from queue import Queue
from typing import Any

import pytest
from click.testing import CliRunner

import recon
from recon.cli import cli
from recon.cli.progress import LINE_EVERY_S, ProgressLines, ShownProgress
from recon.plans.file import save_plan
from tests.support.plans import a_finding, a_plan


class Watch:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def watch() -> Watch:
    return Watch()


def test_a_line_comes_every_ten_seconds_with_count_rate_and_time_left(watch: Watch) -> None:
    lines = ProgressLines(watch)
    assert lines.heard("writes", 0, total=5_000) == ""
    watch.now += LINE_EVERY_S - 0.1
    assert lines.heard("writes", 900, total=5_000) == ""
    watch.now += 0.1
    assert lines.heard("writes", 1_000, total=5_000) == "writes: 1,000 of 5,000, 100/s, about 40 s left"
    assert lines.heard("writes", 1_001, total=5_000) == "", "the next is due ten seconds later"


def test_what_is_done_is_not_told_again_and_what_has_no_end_has_no_time_left(watch: Watch) -> None:
    lines = ProgressLines(watch)
    lines.heard("chain:56", 10, total=10)
    lines.heard("payments", 5, total=None)
    watch.now += LINE_EVERY_S
    assert lines.heard("payments", 1_005, total=None) == "payments: 1,005, 100/s"


def test_on_a_pipe_a_line_is_said_on_stderr_and_a_short_run_says_nothing(
    watch: Watch, capsys: pytest.CaptureFixture[str]
) -> None:
    with ShownProgress(monotonic=watch) as shown:
        shown("writes", 1, 2)
        assert capsys.readouterr().err == ""
        watch.now += LINE_EVERY_S
        shown("writes", 1, 2)
    assert capsys.readouterr().err == "writes: 1 of 2\n"


def test_a_long_step_is_told_of_too_while_nothing_is_heard(watch: Watch) -> None:
    lines = ProgressLines(watch)
    watch.now += LINE_EVERY_S
    assert lines.due() == "", "nothing is under way yet"
    lines.heard("steps", 2, total=7)
    watch.now += 3 * LINE_EVERY_S
    assert lines.due() == "steps: 2 of 7"
    assert lines.due() == "", "the next is due ten seconds later"
    watch.now += LINE_EVERY_S
    lines.heard("steps", 7, total=7)
    watch.now += LINE_EVERY_S
    assert lines.due() == ""


def test_a_thread_says_what_is_due_and_ends_with_the_work(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    said: Queue[str] = Queue()
    monkeypatch.setattr("recon.cli.progress._LOOK_EVERY_S", 0.01)
    monkeypatch.setattr("recon.cli.progress.note", said.put)
    before = threading.active_count()
    with ShownProgress(monotonic=watch) as shown:
        shown("steps", 1, 2)
        watch.now += LINE_EVERY_S
        assert said.get(timeout=30) == "steps: 1 of 2"
    assert said.empty()
    assert threading.active_count() == before


def test_a_page_and_the_texts_of_an_incident_tell_how_far_they_are(tmp_path: Path) -> None:
    plan = a_plan(findings=tuple(a_finding(payment_id=f"{number:024x}") for number in range(2_500)))
    save_plan(plan, tmp_path / "plan.json")
    heard: list[tuple[str, int, int | None]] = []
    recon.report.page(tmp_path / "plan.json", html=tmp_path / "x.html", progress=lambda *told: heard.append(told))
    assert [told for told in heard if told[0] == "rows"] == [("rows", n, 2_502) for n in (1_000, 2_000, 2_502)]
    assert [told[1] for told in heard if told[0] == "parts of the page"] == [0, 1, 2, 3]
    heard.clear()
    log = '203.0.113.9 - - [20/Nov/2026:10:00:00 +0000] "POST /api/webhooks/shkeeper HTTP/1.1" 404 9 "-" "-"\n'
    (tmp_path / "a.log").write_text(log * 100)
    recon.report.incident(
        "update",
        title="x",
        plan=tmp_path / "plan.json",
        access_log=[tmp_path / "a.log"],
        progress=lambda *told: heard.append(told),
    )
    assert {told[0] for told in heard} == {"log kB", "evidence"}
    assert heard[-1] == ("evidence", 4, 4)


LONG = {
    "apply plan.json --digest 0": "runs.apply", "undo last": "runs.undo",
    "flags apply latest --digest 0": "flags.apply", "report page latest --html x.html": "report.page",
    "report incident update --title x": "incident.incident", "triage access-log a.log": "triage.access_log",
    "triage deliveries a.ndjson": "triage.deliveries", "triage summary": "triage.summary",
    "snapshot": "reconcile.snapshot", "plan": "reconcile.plan_and_save", "import x.toml": "importing.import_files",
}  # fmt: skip
"""Lines of what may take long, and the function that each calls."""


@pytest.mark.parametrize("line", sorted(LONG))
def test_what_may_take_long_hands_its_progress_on(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    def long(*_: object, **given: Any) -> None:
        given["progress"]("things", 1, 2)
        raise KeyboardInterrupt

    monkeypatch.setattr("recon.cli.progress.LINE_EVERY_S", 0.0)
    monkeypatch.setattr(f"recon.api.{LONG[line]}", long)
    said = CliRunner().invoke(cli, line.split(), prog_name="recon")
    assert "things: 1 of 2" in said.stderr


def test_triage_tells_how_much_of_the_logs_and_records_it_has_read(tmp_path: Path) -> None:
    line = b'203.0.113.9 - - [20/Nov/2026:10:00:00 +0000] "POST /api/webhooks/shkeeper HTTP/1.1" 404 9 "-" "-"\n'
    (tmp_path / "a.log").write_bytes(line * 100)
    (tmp_path / "b.log.gz").write_bytes(gzip.compress(line * 100_000))
    heard: list[tuple[str, int, int | None]] = []
    recon.triage.access_log([tmp_path / "a.log", tmp_path / "b.log.gz"], progress=lambda *told: heard.append(told))
    size = sum(path.stat().st_size for path in tmp_path.iterdir()) // 1000
    assert heard[-1] == ("log kB", size, size)
    assert len(heard) > 2
    assert [each[1] for each in heard] == sorted(each[1] for each in heard)
    record = {"delivery_id": "d1", "provider": "shkeeper", "received_at": "2026-11-20T10:00:00Z", "raw_body": "{}"}
    (tmp_path / "d.ndjson").write_text("".join(json.dumps({**record, "delivery_id": f"d{n}"}) + "\n" for n in range(5)))
    recon.triage.deliveries([tmp_path / "d.ndjson"], progress=lambda *told: heard.append(told))
    assert heard[-5:] == [("deliveries", number, 5) for number in range(1, 6)]
