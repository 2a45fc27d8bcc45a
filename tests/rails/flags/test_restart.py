"""A restart command runs without a shell; its output is caught, bounded, cleaned, and keeps no secret."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from recon.rails.flags.restart import LINES_MAX, run_restart


def said(code: str, *, hide: tuple[str, ...] = ()) -> tuple[int, tuple[str, ...]]:
    went = run_restart([sys.executable, "-c", code], hide)
    return went.code, went.output


def test_a_command_runs_without_a_shell_and_its_failures_are_codes(tmp_path: Path) -> None:
    marker = tmp_path / "made;touch x"
    assert run_restart(["touch", str(marker)]).code == 0
    assert marker.exists()
    assert run_restart([str(tmp_path / "no-such-command")]).code == 127
    assert said("raise SystemExit(9)") == (9, ())


def test_both_streams_are_caught_and_nothing_reaches_ours(capfd: pytest.CaptureFixture[str]) -> None:
    code, lines = said("import sys; print('out'); print('err', file=sys.stderr)")
    assert code == 0
    assert sorted(lines) == ["err", "out"]
    assert capfd.readouterr() == ("", "")


def test_output_is_cleaned_bounded_and_without_secrets() -> None:
    _, lines = said("print(chr(27) + '[2Jgone' + chr(0x202e)); print('uri=pa55word!')", hide=("pa55word!",))
    assert lines == ("[2Jgone", "uri=(hidden)")
    _, lines = said("print('x' * 5_000_000); print('end')")
    assert lines[-1] == "end"
    assert lines[0] == "(what came before is left out)"
    assert sum(map(len, lines)) < 20_000
    _, lines = said("print('\\n'.join(map(str, range(1000))))")
    assert len(lines) == LINES_MAX + 1
    assert lines[-1] == "999"
    _, lines = said("import sys; sys.stdout.buffer.write(bytes(range(128, 256)))")
    assert "\x80" not in "".join(lines)


def test_a_command_that_never_ends_is_ended_with_all_it_started() -> None:
    began = time.monotonic()
    went = run_restart(["sh", "-c", "sleep 60 & echo waiting; wait"], wait_s=0.5)
    assert went.code == 124
    assert went.output == ("waiting",)
    assert 500 <= went.took_ms < 20_000
    assert time.monotonic() - began < 20
