"""An output folder as a watch leaves it, made from a small recorded world."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from recon.plans.history import append_history
from recon.setup.settings import Settings, load_settings
from recon.simulation import generate_world, write_world
from recon.watch import watch_once

USDC_BASE = "8453:0x833589fcd6edb6e08f4c7c32d4f71b54bda02913"


def watched_world(folder: Path, more: str = "") -> Settings:
    """The settings of a recorded world in which one round was made."""
    write_world(generate_world(payments=40, seed=4), folder / "world")
    path = folder / "world" / "recon.toml"
    path.write_text(path.read_text(encoding="utf-8") + more, encoding="utf-8")
    settings = load_settings(path)
    watch_once(settings)
    return settings


def a_line(at: datetime, *, breaks: int, units: int, **given: Any) -> dict[str, Any]:
    """A line of the history, of a round at this time."""
    return {
        "format": 1, "at": f"{at:%Y-%m-%dT%H:%M:%SZ}", "kind": "correction", "target": "shop", "plan": "plan-x.json",
        "payments": 900, "break_count": breaks, "complete": True, "health": {"ok": True, "reasons": []},
        "news": {"new": 0, "known": breaks, "acknowledged": 0}, "breaks": [],
        "captured_not_credited": {USDC_BASE: str(units)}, "value_at_risk": {USDC_BASE: str(units * 2)}, **given,
    }  # fmt: skip


def played_history(folder: Path, *, rounds: int = 60) -> None:
    """A history of rounds five minutes apart, with a stretch of an hour in which none was made."""
    at = datetime(2026, 12, 1, 8, tzinfo=UTC)
    for number in range(rounds):
        append_history(folder, a_line(at, breaks=number % 7, units=1_250_000 * number))
        at += timedelta(minutes=60 if number == rounds // 2 else 5)
