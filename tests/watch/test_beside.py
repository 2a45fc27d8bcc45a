"""What runs beside the watch hears of every round, and no fault of it reaches one."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from recon.cli import cli
from recon.watch.beside import Beside, beside_watch
from recon.watch.page.serving import ListenError
from tests.support.inbox import inbox
from tests.support.watched import watched_world
from tests.watch.test_measures import NOON, a_round


def test_a_round_is_told_measured_and_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with inbox() as service:
        monkeypatch.setenv("CHAT_URL", service.apprise)
        channel = '\n[alerts]\nsummary_at = ""\n[[alerts.channels]]\nname = "chat"\nsecret_variable = "CHAT_URL"\n'
        settings, said = watched_world(tmp_path, channel), list[str]()
        textfile = tmp_path / "recon.prom"
        with beside_watch(settings, listen="0", textfile=textfile, say=said.append) as beside:
            assert httpx.get(f"{beside.place}readyz").text == "No round was made yet.\n"
            beside.hear(a_round())
            beside.wait(20)
            assert service.titles == ["WARNING demo: 665f1c2e9b1d8a0012345678 waits."]
            found = httpx.get(f"{beside.place}metrics").text
            assert 'recon_watch_messages_total{channel="chat",outcome="taken"} 1.0' in found
            assert 'recon_watch_messages_unsent{channel="chat"} 0.0' in found
            assert "recon_watch_rounds_total" in textfile.read_text()
        assert said == [f"The page is at {beside.place}"]


def test_readiness_says_why_not(tmp_path: Path) -> None:
    beside = Beside(watched_world(tmp_path), print)
    beside.hear(a_round())
    assert beside.why_not_ready(NOON + timedelta(minutes=20)) == ""
    assert beside.why_not_ready(NOON + timedelta(minutes=40)) == "The last round was made too long ago."
    beside.hear(a_round(plan=None, failure="The database is away."))
    assert beside.why_not_ready(NOON) == "The last round could not be made."


def test_a_textfile_that_cannot_be_written_and_a_message_that_waits_are_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with inbox() as service:
        monkeypatch.setenv("CHAT_URL", service.apprise)
        service.answers += [503] * 9
        settings, said = (
            watched_world(tmp_path, '\n[[alerts.channels]]\nname = "chat"\nsecret_variable = "CHAT_URL"\n'),
            list[str](),
        )
        with beside_watch(settings, textfile=tmp_path / "none" / "recon.prom", say=said.append) as beside:
            beside.hear(a_round())
            beside.wait(0.1)
    assert "could not be written (No such file or directory)" in said[0]
    assert said[1] == "Messages wait for 1 channel (chat); the next round sends them."


def test_a_wrong_place_ends_before_any_round(tmp_path: Path) -> None:
    settings = watched_world(tmp_path)
    with pytest.raises(ListenError), beside_watch(settings, listen="nowhere", say=print):
        pass


def test_one_round_by_the_command_tells_and_measures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with inbox() as service:
        monkeypatch.setenv("CHAT_URL", service.apprise)
        watched_world(tmp_path, '\n[[alerts.channels]]\nname = "chat"\nsecret_variable = "CHAT_URL"\n')
        line = ["watch", "--once", "--config", str(tmp_path / "world" / "recon.toml")]
        found = CliRunner().invoke(cli, [*line, "--textfile", str(tmp_path / "recon.prom")], prog_name="recon")
        assert found.exit_code == 1, found.stderr
        sent = len(service.titles)
        assert sent > 0
        assert CliRunner().invoke(cli, line, prog_name="recon").exit_code == 1
        assert len(service.titles) == sent, "one message for each situation, whatever the number of rounds"
    assert "recon_payments{" in (tmp_path / "recon.prom").read_text()
    assert CliRunner().invoke(cli, [*line, "--listen", "0"], prog_name="recon").exit_code == 2
