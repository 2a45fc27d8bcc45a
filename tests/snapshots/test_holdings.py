"""Which one-time addresses are asked what they hold, and what is noted of those that cannot be."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import recon
from recon.core.errors import SourceError
from recon.core.model import Verdict
from recon.core.tables import schema_of, table_of
from recon.snapshots import holdings
from recon.sources.interface import Coverage, Reading, no_progress
from recon.verdicts.judge import BARE
from tests.support.builders import CHAIN, NOW_MS, deposit_address, payment_id, payment_row
from tests.support.inspecting import held_at_its_address, written

TOKEN = payment_row(1)["token"]


class Chain:
    """A chain on which every address holds nothing and sent nothing, less those that it does not tell of."""

    chain_id = CHAIN

    def __init__(self, *silent: int, error: SourceError | None = None) -> None:
        self.silent = {deposit_address(number) for number in silent}
        self.error = error
        self.asked: list[str] = []

    def read_holdings(self, places: Sequence[tuple[str, str]], *, progress: Any) -> Reading:
        del progress
        if self.error is not None:
            raise self.error
        self.asked = [address for address, _ in places]
        rows: list[dict[str, object]] = [
            {"chain_id": CHAIN, "address": address, "token": token, "units": 0, "sent": 0}
            for address, token in places
            if address not in self.silent
        ]
        coverage = Coverage("chain:56", "holdings", complete=True, items=len(rows))
        return Reading(tables={"holdings": table_of("holdings", rows)}, coverage=(coverage,))


def asked(chain: Any, folder: Path, *, made: Sequence[int]) -> tuple[list[dict[str, Any]], tuple[Coverage, ...]]:
    """Ask about payments 1, 2, .. made at these times."""
    rows: list[dict[str, Any]] = [
        {
            "payment_id": payment_id(number),
            "chain_id": CHAIN,
            "recipient": deposit_address(number),
            "token": TOKEN,
            "created_at": at,
        }
        for number, at in enumerate(made, start=1)
    ]
    payments = folder / "payments.parquet"
    dated = [payment_row(number, created_at=at) for number, at in enumerate(made, start=1)]
    pq.write_table(table_of("payments", dated), payments)
    bare = pa.Table.from_pylist(rows, schema=schema_of(BARE))
    held, coverage = holdings.read_holdings([chain], bare, payments=payments, progress=no_progress)
    return held.to_pylist(), coverage


IMPORTED = [NOW_MS - 900_000_000 + number * 40 for number in range(20)]
ONE_BY_ONE = [NOW_MS - number * 60_000 for number in range(1, 21)]


def test_rows_that_look_imported_are_asked_about_first_then_the_newest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holdings, "ASKED_MAX", 22)
    chain = Chain()
    held, coverage = asked(chain, tmp_path, made=[*ONE_BY_ONE, *IMPORTED])
    assert set(chain.asked) == {deposit_address(number) for number in (1, 2, *range(21, 41))}
    assert len(held) == 22 and not any(row["problem"] for row in held)
    assert [row.complete for row in coverage] == [True, True]
    assert coverage[-1].problem is not None and coverage[-1].problem.startswith("of 40 one-time addresses")


def test_what_cannot_be_told_is_noted_of_imported_rows_only(tmp_path: Path) -> None:
    held, _ = asked(Chain(1, 2, 25, 26), tmp_path, made=[*ONE_BY_ONE, *IMPORTED])
    assert {row["address"] for row in held if row["problem"]} == {deposit_address(25), deposit_address(26)}
    assert len(held) == 38


@pytest.mark.parametrize("chain", [Chain(error=SourceError("down")), type("Other", (), {"chain_id": CHAIN})()])
def test_a_chain_that_cannot_be_asked_says_so(chain: Any, tmp_path: Path) -> None:
    held, coverage = asked(chain, tmp_path, made=[*ONE_BY_ONE, *IMPORTED])
    assert {row["address"] for row in held} == {deposit_address(number) for number in range(21, 41)}
    assert all(row["problem"] for row in held)
    assert coverage[0].problem


@pytest.mark.parametrize(("units", "verdicts"), [(10**20, [Verdict.UNPROVEN]), (0, [])])
def test_a_world_in_which_money_is_older_than_every_row(units: int, verdicts: list[Verdict], tmp_path: Path) -> None:
    settings = written(held_at_its_address(units), tmp_path)
    plan = recon.plan(config=tmp_path / "world" / "recon.toml")
    assert settings.now() and [finding.verdict for finding in plan.findings] == verdicts
    assert plan.changes == ()
    [asked] = [row for row in plan.coverage if row["scope"] == "holdings"]
    assert (asked["complete"], asked["items"], asked["problem"]) == (True, 1, None)
