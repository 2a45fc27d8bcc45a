"""What a run says of how far it is, where nobody looks at a terminal."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

import recon
from recon.cli.progress import LINE_EVERY_S, ProgressLines, ShownProgress


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
