"""A watch as a process of its own: it is asked to end, and leaves nothing behind that keeps the next one out."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from recon.runs.stores.lease import FileLeases, held_lease
from recon.watch import watch_on
from recon.watch.alone import AnotherWatchError
from recon.watch.once import StandingWorldError
from recon.watch.rounds import RoundDone
from tests.support.watching import ROOT, a_watched_world

LIVE = """
[target]
name = "nowhere"
[mongo]
timeout_s = 0.2
[shkeeper]
base_url = "http://127.0.0.1:9"
retries_max = 0
"""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration whose every source is away."""
    monkeypatch.setenv("RECON_MONGO_URI", "mongodb://127.0.0.1:9/?directConnection=true")
    monkeypatch.setenv("RECON_SHKEEPER_API_KEY", "sh-test-key")
    path = tmp_path / "recon.toml"
    path.write_text(LIVE, encoding="utf-8")
    return path


def test_a_watch_of_nothing_that_answers_goes_on_and_says_so(config: Path) -> None:
    heard: list[RoundDone] = []
    said: list[str] = []
    waits = iter([False, False, True])
    watch_on(config, heard=[heard.append], say=said.append, wait=lambda seconds: next(waits))
    assert heard[0].kind == "round", "the first one begins at once, whatever the jitter"
    assert heard[0].failure
    assert {each.key for each in heard[0].open} >= {"source_down:sources"}
    assert any("is tried again in 1 min" in each for each in said)
    with held_lease(FileLeases(config.parent / "recon-out" / "watch"), target="watch"):
        pass  # the lease was given back


def test_two_watches_of_one_target_are_one_too_many(config: Path) -> None:
    with (
        held_lease(FileLeases(config.parent / "recon-out" / "watch"), target="watch"),
        pytest.raises(AnotherWatchError, match="is running"),
    ):
        watch_on(config, wait=lambda seconds: True)


def test_a_world_in_which_time_stands_still_is_not_watched(tmp_path: Path) -> None:
    with pytest.raises(StandingWorldError, match="--once"):
        watch_on(a_watched_world(tmp_path / "world", payments=1))


def test_sigterm_ends_it_and_the_next_one_may_begin(config: Path) -> None:
    command = [sys.executable, "-m", "recon", "watch", "--config", str(config)]
    watch = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE, text=True)
    assert watch.stderr is not None
    lines = []
    for line in watch.stderr:
        lines.append(line)
        if "is tried again" in line:
            break
    watch.send_signal(signal.SIGTERM)
    rest = watch.communicate(timeout=30)[1]
    assert watch.returncode == 128 + signal.SIGTERM, (lines, rest)
    assert "Traceback" not in rest
    with held_lease(FileLeases(config.parent / "recon-out" / "watch"), target="watch"):
        pass
