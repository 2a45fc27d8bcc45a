"""A whole ``recon plan`` against a provider that never answers, beside one that refuses: by the tool's own clock."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from recon.cli import cli
from recon.setup.open_sources import Opening
from recon.simulation import generate_world, write_world
from recon.sources.http import Clock
from recon.sources.providers.installed import providers
from tests.support.provider_servers import FakeClock, Handler, in_memory

TIMEOUTS = {"request_network": 20.0, "shkeeper": 60.0}


def silent(clock: FakeClock, timeout_s: float) -> Handler:
    def handler(request: httpx.Request) -> httpx.Response:
        clock.sleep(timeout_s)
        raise httpx.ReadTimeout("timed out", request=request)

    return handler


def refusing(_clock: FakeClock, _timeout_s: float) -> Handler:
    def handler(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("[Errno 111] Connection refused", request=request)

    return handler


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("silent") / "world"
    write_world(generate_world(payments=150, seed=4), folder)
    return folder


def planned(world: Path, rail: str, handler: Callable[[FakeClock, float], Handler], out: Path) -> tuple[float, Any]:
    """How long a plan waited for a provider, and the plan."""
    clock = FakeClock(1_795_176_000_000)
    usual = Opening._manner

    def manner(opening: Opening, provider: Any) -> dict[str, Any]:
        if provider.name != rail:
            return usual(opening, provider)
        held = Clock(now_ms=clock.now_ms, monotonic=clock.monotonic, sleep=clock.sleep)
        return {"transport": in_memory(handler(clock, TIMEOUTS[rail])), "clock": held}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Opening, "_manner", manner)
        ran = CliRunner().invoke(cli, ["plan", "--config", str(world / "recon.toml"), "--out", str(out)])
    assert ran.exit_code == 4, ran.output
    return clock.monotonic(), json.loads(out.read_text(encoding="utf-8"))


@pytest.mark.parametrize("rail", sorted(TIMEOUTS))
def test_a_provider_that_never_answers_holds_a_plan_for_one_timeout(rail: str, world: Path, tmp_path: Path) -> None:
    assert rail in providers()
    refused, beside = planned(world, rail, refusing, tmp_path / "refused.json")
    waited, plan = planned(world, rail, silent, tmp_path / "silent.json")
    assert waited <= 1.5 * refused + TIMEOUTS[rail]
    own = [row for row in plan["coverage"] if row["source"] == rail]
    assert not any(row["complete"] for row in own)
    assert all(f"no answer within {TIMEOUTS[rail]:g} s" in row["problem"] for row in own)
    assert sum(row["calls"] or 0 for row in own) == 1
    verdicts = [each["summary"]["verdicts"] for each in (plan, beside)]
    assert verdicts[0] == verdicts[1]
