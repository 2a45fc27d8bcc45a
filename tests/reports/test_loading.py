"""recon.load: every artefact as frames, exact to the last digit, and what is no artefact refused in one sentence."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest

import recon
from recon.core.errors import RefusedError
from recon.core.model import Plan
from recon.core.tables import TABLES
from recon.investigation.payment.casefile import save_case
from recon.plans.file import save_plan
from recon.reports.notebooks.load import Loaded, NoArtefactError, artefact_kind, load
from recon.runs.stores.journal import FileJournal, Note
from recon.simulation import generate_world
from recon.snapshots.sealed import SnapshotWriter, empty_tables, open_snapshot
from tests.support import builders
from tests.support.plans import PAYMENT, USDC_ETH, a_change, a_finding, a_plan
from tests.support.worlds import plan_of

HUGE = 10**37 - 1
WHOLE = Decimal("9999999999999999999.999999999999999999")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Plan]:
    """A judged world: the folder with its snapshot, and its plan, saved there too."""
    folder = tmp_path_factory.mktemp("loading")
    plan = plan_of(generate_world(payments=150, seed=8), folder)
    save_plan(plan, folder / "plan.json")
    return folder, plan


def sealed(folder: Path, **rows: list[dict[str, object]]) -> Path:
    """A sealed snapshot of rows made by hand."""
    writer = SnapshotWriter(folder)
    empty_tables(writer, *(name for name in TABLES if name not in rows))
    for name, given in rows.items():
        writer.write_rows(name, given)
    plan = a_plan()
    from recon.core.model import Policy

    writer.seal(taken_at=datetime(2026, 11, 20, 12, tzinfo=UTC), target=plan.target, selection={}, policy=Policy())
    return folder


def test_every_table_of_a_snapshot_is_a_frame(world: tuple[Path, Plan]) -> None:
    loaded = load(world[0] / "snapshot")
    assert loaded.kind == "snapshot"
    assert set(loaded) == set(TABLES)
    snapshot = open_snapshot(world[0] / "snapshot")
    for name in TABLES:
        assert len(loaded[name]) == snapshot.table(name).num_rows, name
    assert loaded.payments["payment_id"].is_unique


def test_amounts_are_decimals_and_integers_and_never_floats(tmp_path: Path) -> None:
    rows = [
        builders.payment_row(1, expected_units=HUGE, decimals=18),
        builders.payment_row(2, expected_units=9 * 10**18 + 1, decimals=18),
        builders.payment_row(3, expected_units=None),
    ]
    payments = load(sealed(tmp_path / "s", payments=rows)).payments
    assert payments["expected_units"].tolist() == [HUGE, 9 * 10**18 + 1, None]
    assert payments["expected"].tolist() == [WHOLE, Decimal("9.000000000000000001"), None]
    assert payments["expected_units"].dropna().sum() == HUGE + 9 * 10**18 + 1
    assert payments["expected"].dropna().sum() == WHOLE + Decimal("9.000000000000000001"), "past 28 digits too"
    for column in payments.columns:
        assert not pd.api.types.is_float_dtype(payments[column]), column


def test_tokens_are_whole_by_their_own_chains_decimals(tmp_path: Path) -> None:
    rows = [
        builders.transfer_row(1, chain_id=1, token=USDC_ETH, amount_units=1_500_000),
        builders.transfer_row(2, chain_id=1, token="0x" + "ee" * 20, amount_units=7),
    ]
    transfers = load(sealed(tmp_path / "s", transfers=rows)).transfers.sort_values("amount_units")
    assert transfers["amount"].tolist() == [None, Decimal("1.5")]
    assert transfers["chain"].tolist() == ["ethereum", "ethereum"]


def test_times_are_utc_to_the_millisecond_and_missing_where_unknown(tmp_path: Path) -> None:
    rows = [
        builders.payment_row(1, created_at=1_795_176_000_123, expires_at=None),
        builders.payment_row(2, created_at=253_402_300_800_000, expires_at=-1),
    ]
    payments = load(sealed(tmp_path / "s", payments=rows)).payments
    assert payments["created_at"].iloc[0] == pd.Timestamp("2026-11-20T12:00:00.123Z")
    assert payments["created_at"].iloc[1].year == 10000
    assert payments["expires_at"].isna().tolist() == [True, False]
    assert str(payments["created_at"].dtype) == "datetime64[ms, UTC]"


def test_a_plan_gives_findings_changes_and_counters(world: tuple[Path, Plan]) -> None:
    folder, plan = world
    loaded = load(folder / "plan.json")
    assert loaded.artefact == plan
    assert len(loaded.findings) == len(plan.findings)
    assert len(loaded.sets) == sum(len(change.sets) for change in plan.changes)
    assert loaded.verdicts["payments"].sum() == sum(plan.summary["verdicts"].values())
    assert loaded.by_provider["payments"].sum() == plan.summary["payments"]
    first = plan.findings[0]
    row = loaded.findings[loaded.findings["payment_id"] == first.payment_id].iloc[0]
    assert row["verdict"] == first.verdict.value
    assert row["value_units"] == first.value_units
    assert row["age"] == pd.Timedelta(seconds=first.age_s or 0)


def test_value_at_risk_by_token_is_exact(tmp_path: Path) -> None:
    plan = a_plan(
        findings=(a_finding(value_units=HUGE, difference_units=-HUGE),), changes=(a_change(value_units=HUGE),)
    )
    loaded = load(plan)
    assert loaded.findings["value"].tolist() == [WHOLE]
    assert loaded.findings["difference_units"].tolist() == [-HUGE]
    assert loaded.changes["value_units"].tolist() == [HUGE]
    assert loaded.money["captured_not_credited"].tolist() == [Decimal("0.5"), Decimal(1234567)]


def test_an_empty_plan_and_an_empty_snapshot_have_their_columns(tmp_path: Path) -> None:
    loaded = load(a_plan(findings=(), changes=(), left_alone=(), coverage=(), summary={"payments": 0}))
    assert "payment_id" in loaded.findings.columns
    assert len(loaded.findings) == 0
    assert "expected" in load(sealed(tmp_path / "s")).payments.columns


def test_a_case_gives_its_timeline_and_causes(world: tuple[Path, Plan], tmp_path: Path) -> None:
    folder, plan = world
    behind = next(item for item in plan.findings if item.verdict == "local_behind")
    found = recon.inspect(behind.payment_id, config=folder / "world" / "recon.toml", snapshot=folder / "snapshot")
    save_case(found, tmp_path / "case.json", made_at=datetime(2026, 11, 20, tzinfo=UTC))
    for loaded in (load(tmp_path / "case.json"), load(found)):
        assert loaded.kind == "case"
        assert loaded.timeline["at"].is_monotonic_increasing
        assert loaded.causes["cause"].iloc[0] == found.causes[0].name
        assert len(loaded.payments) == 1


def test_a_history_a_journal_and_notifications_are_frames_too(world: tuple[Path, Plan], tmp_path: Path) -> None:
    from recon.plans.history import append_history, history_entry

    append_history(tmp_path, history_entry(world[1], at="2026-11-20T12:00:00Z", path="plan.json"))
    plans = load(tmp_path / "history.ndjson").plans
    assert plans["at"].tolist() == [pd.Timestamp("2026-11-20T12:00:00Z")]
    FileJournal(tmp_path / "j").append([Note("r1", "run", "2026-11-20T12:00:00Z", {"a": 1}, payment=PAYMENT)])
    entries = load(tmp_path / "j").entries
    assert entries["run"].tolist() == ["r1"]
    assert entries["body"].tolist() == ['{"a": 1}']
    deliveries = load(world[0] / "world" / "deliveries.ndjson").deliveries
    assert len(deliveries) > 50
    assert str(deliveries["received_at"].dtype) == "datetime64[ms, UTC]"


def test_what_is_no_artefact_is_refused_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "binary").write_bytes(b"\x00\xff")
    for path in (tmp_path / "nothing", tmp_path / "notes.txt", tmp_path / "binary", tmp_path):
        with pytest.raises(NoArtefactError) as caught:
            load(path)
        assert str(caught.value).count("\n") == 0


def test_a_changed_plan_or_snapshot_is_refused(world: tuple[Path, Plan], tmp_path: Path) -> None:
    text = (world[0] / "plan.json").read_text(encoding="utf-8")
    (tmp_path / "plan.json").write_text(text.replace('"demo"', '"prod"', 1), encoding="utf-8")
    with pytest.raises(RefusedError):
        load(tmp_path / "plan.json")
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(RefusedError):
        load(tmp_path / "other.json")
    folder = sealed(tmp_path / "s")
    (folder / "payments.parquet").write_bytes(b"PAR1")
    with pytest.raises(RefusedError):
        load(folder)


def test_kinds_are_told_apart_by_what_is_inside(world: tuple[Path, Plan]) -> None:
    assert artefact_kind(world[0] / "plan.json") == "plan"
    assert artefact_kind(world[0] / "snapshot") == "snapshot"
    assert artefact_kind(world[0] / "world" / "deliveries.ndjson") == "deliveries"


def test_what_was_loaded_lists_its_tables_as_text_and_as_escaped_markup() -> None:
    frame = pd.DataFrame({"<b>column</b>": [1]})
    loaded = Loaded("plan", name="<script>x</script>", frames={"findings": frame}, artefact=None)
    assert repr(loaded) == "<plan <script>x</script>: findings (1)>"
    shown = loaded._repr_html_()
    assert "<script" not in shown
    assert "<b>" not in shown
    assert "findings" in dir(loaded)
    with pytest.raises(AttributeError, match="no table 'other'"):
        _ = loaded.other
