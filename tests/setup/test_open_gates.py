"""What a sample may draw from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from recon.plans.file import save_plan, seal_plan
from recon.setup import open_gates
from recon.setup.settings import load_settings
from tests.support.plans import a_plan


def a_row(payment: str, **given: Any) -> dict[str, Any]:
    usual = {"provider": "shkeeper", "chain_id": 56, "is_test": False, "expected_units": None, "decimals": 6}
    return {"payment_id": payment, **usual, "currency": "USDT", "tx_hash": None, **given}


def test_a_sample_draws_no_payment_that_nothing_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "recon.toml").write_text("[[chains]]\nchain_id = 56\nendpoints = []\n[mongo]\ndatabase = 'm'\n")
    rows = [
        a_row("compared"), a_row("of a chain that is not in scope", chain_id=1), a_row("a test", is_test=True),
        a_row("of no chain", chain_id=None), a_row("of another rail", provider="request_network"),
    ]  # fmt: skip
    table = pa.Table.from_pylist(rows)
    monkeypatch.setattr(open_gates, "_snapshot_of", lambda *_: SimpleNamespace(table=lambda name: table))
    settings = load_settings(tmp_path / "recon.toml")
    path = tmp_path / "plan.json"
    save_plan(seal_plan(replace(a_plan(), findings=())), path)
    _, found = open_gates.sample_candidates(settings, "shkeeper", plan_path=path)
    assert [each.payment_id for each in found] == ["compared", "of no chain"]
