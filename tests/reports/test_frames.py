"""Frames to hand on: every column has one meaning, every frame comes back from a file, and joins are one call."""

from __future__ import annotations

import io
import zipfile
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from xml.etree import ElementTree as Tree

import pandas as pd
import pytest

import recon
from recon.core.errors import RefusedError, UsageError
from recon.core.model import FieldView, Plan
from recon.core.registry.explorers import is_web_page
from recon.core.tables import TABLES
from recon.files import FileThereError
from recon.investigation.payment.casefile import save_case
from recon.plans.file import save_plan
from recon.plans.history import append_history, history_entry
from recon.reports.notebooks.columns import COLUMNS_OF, UnknownFrameError, column_names, meanings
from recon.reports.notebooks.joins import NoJoinError
from recon.reports.notebooks.load import Loaded, load
from recon.reports.notebooks.saved import TooLongForExcelError, frame_bytes
from recon.reports.views.inspection import render_inspection
from recon.runs.stores.journal import FileJournal, Note
from recon.simulation import generate_world
from tests.reports.test_loading import HUGE, sealed
from tests.support import builders
from tests.support.plans import PAYMENT, a_change, a_finding, a_plan
from tests.support.worlds import plan_of

ODD = ["", " ", "x ", "=1+1", "@a", "'quoted'", '"x"', "_x0041_", "a\x00b\u202e", "\u00a0\u2028", "tab\tline\n", "-12",
       "é€", "https://x", "x" * 5000, "\U0001f600", "null", "TRUE", "1e5", "00012", "2026-01-01"]  # fmt: skip


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Loaded]:
    """One of every artefact, with rows in most of its frames."""
    folder = tmp_path_factory.mktemp("frames")
    plan = plan_of(generate_world(payments=80, seed=8), folder)
    save_plan(plan, folder / "plan.json")
    config = folder / "world" / "recon.toml"
    found = recon.inspect(plan.findings[0].payment_id, config=config, snapshot=folder / "snapshot")
    save_case(found, folder / "case.json", made_at=datetime(2026, 11, 20, tzinfo=UTC))
    append_history(folder, history_entry(plan, at="2026-11-20T12:00:00Z", path="plan.json"))
    journal = FileJournal(folder / "j")
    journal.append([Note("r1", "run", "2026-11-20T12:00:00Z", {"a": [1, {"b": None}]}, payment=PAYMENT)])
    journal.append([Note("r1", "end", "2026-11-20T12:00:01Z", {"a": "x"})])
    places = {"plan": "plan.json", "snapshot": "snapshot", "case": "case.json", "history": "history.ndjson",
              "journal": "j", "deliveries": "world/deliveries.ndjson"}  # fmt: skip
    loaded = {name: load(folder / place) for name, place in places.items()}
    return {**loaded, "odd": odd_ones(folder / "odd"), "spoiled": load(odd_plan())}


def odd_ones(folder: Path) -> Loaded:
    """A snapshot of texts, amounts and times that a file could spoil."""
    times = [None, 0, -1, 253_402_300_800_000, 1_795_176_000_123]
    rows = [
        builders.payment_row(
            number, status_raw=text, buyer_id=text or None, expected_units=[None, 0, HUGE, 2**53 + 1][number % 4],
            created_at=times[number % 5], expires_at=times[(number + 1) % 5], disputed=[True, False, None][number % 3],
        )
        for number, text in enumerate(ODD, start=1)
    ]  # fmt: skip
    return load(sealed(folder, payments=rows, gaps=[builders.gap_row(from_ms=1, to_ms=2**41)]))


def odd_plan() -> Plan:
    found = [
        a_finding(
            payment_id=f"p{number}", reason=text, evidence=(text, "b"), symbol=text or None, difference_units=-number,
            value_units=2**60 + number, decimals=[0, 18, None, 77][number % 4], age_s=[None, 0, 10**9][number % 3],
        )
        for number, text in enumerate(ODD)
    ]  # fmt: skip
    return a_plan(findings=tuple(found), changes=(a_change(value_units=HUGE),))


def every_frame(everything: dict[str, Loaded]) -> list[tuple[str, pd.DataFrame]]:
    return [(f"{kind}.{name}", frame) for kind, loaded in everything.items() for name, frame in loaded.items()]


# Columns


def test_every_column_of_every_frame_is_documented_and_says_so_itself(everything: dict[str, Loaded]) -> None:
    known = meanings()
    for name, frame in every_frame(everything):
        assert set(frame.columns) <= set(known), name
        told = frame.attrs["recon"]
        assert list(told["columns"]) == list(frame.columns), name
        assert list(frame.columns) == [each for each in column_names(told["frame"]) if each in frame.columns], name
        shown = recon.columns(told["frame"])
        assert set(frame.columns) <= set(shown["column"])
        assert shown["meaning"].str.endswith(".").all()


def test_every_meaning_is_of_a_column_that_there_is() -> None:
    used = {name for frame in (*COLUMNS_OF, *TABLES) for name in column_names(frame)}
    assert set(meanings()) == used
    with pytest.raises(UnknownFrameError, match="findings"):
        recon.columns("nonsense")


def test_a_column_is_of_one_type_wherever_it_stands(everything: dict[str, Loaded]) -> None:
    types = {"text": "string", "int": "Int64", "bool": "boolean", "units": "exact[units]", "tokens": "exact[tokens]",
             "time": "datetime64[ms, UTC]", "age": "timedelta64", "list": "object"}  # fmt: skip
    for name, frame in every_frame(everything):
        for column in frame.columns:
            kind = meanings()[column].kind
            assert str(frame[column].dtype).startswith(types[kind]), (name, column)
            assert (kind == "time") == column.endswith(("_at", "_time")) or column == "at", column


def test_what_each_side_says_is_not_called_as_a_provider_or_a_chain_is() -> None:
    finding = a_finding(fields=(FieldView("status", "pending", "paid", "covered"),))
    fields = load(a_plan(findings=(finding,))).fields
    assert fields.iloc[0].to_dict() == {
        "payment_id": PAYMENT, "field": "status", "our_record": "pending", "provider_says": "paid",
        "chain_says": "covered",
    }  # fmt: skip


# Files


@pytest.mark.parametrize("kind", ["parquet", "xlsx"])
def test_every_frame_comes_back_from_a_file_the_same(everything: dict[str, Loaded], kind: str, tmp_path: Path) -> None:
    for what, loaded in everything.items():
        folder = loaded.save(tmp_path / what, kind=kind)  # type: ignore[arg-type]
        back = load(folder)
        assert (back.kind, back.name, list(back)) == (loaded.kind, loaded.name, list(loaded))
        for name, frame in loaded.items():
            pd.testing.assert_frame_equal(back[name], frame, obj=f"{what}.{name}")
            for column in frame.columns:
                same = [type(cell) for cell in back[name][column]] == [type(cell) for cell in frame[column]]
                assert same, (what, name, column)
            if kind == "parquet":
                assert back[name].attrs == frame.attrs


def test_pandas_own_parquet_works_for_every_frame_as_well(everything: dict[str, Loaded], tmp_path: Path) -> None:
    for name, frame in every_frame(everything):
        frame.to_parquet(tmp_path / "x.parquet")
        pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "x.parquet"), frame, obj=name)


def test_one_saved_frame_is_read_by_itself(everything: dict[str, Loaded], tmp_path: Path) -> None:
    folder = everything["plan"].save(tmp_path / "p", kind="xlsx")
    one = load(folder / "findings.xlsx")
    pd.testing.assert_frame_equal(one.findings, everything["plan"].findings)
    assert one.kind == "frame"


def test_no_cell_of_a_workbook_is_a_formula_and_long_amounts_are_whole(tmp_path: Path) -> None:
    load(odd_plan()).save(tmp_path / "p", kind="xlsx")
    for path in (tmp_path / "p").glob("*.xlsx"):
        with zipfile.ZipFile(path) as archive:
            sheet = Tree.fromstring(archive.read("xl/worksheets/sheet1.xml"))
        assert not [node for node in sheet.iter() if node.tag.endswith("}f")], path.name
        texts = [node.text or "" for node in sheet.iter() if node.tag.endswith("}t")]
        assert not [text for text in texts if text.lstrip().startswith(("=", "@", "+"))]
        if path.name == "changes.xlsx":
            assert str(HUGE) in texts


def test_a_cell_that_no_sheet_takes_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    loaded = load(a_plan(findings=(a_finding(reason="x" * 40_000),)))
    with pytest.raises(TooLongForExcelError, match="findings, row 0: reason"):
        loaded.save(tmp_path / "p", kind="xlsx")
    assert not (tmp_path / "p").exists()
    loaded.save(tmp_path / "p")
    with pytest.raises(FileThereError):
        loaded.save(tmp_path / "p")


def test_spoiled_files_of_frames_are_refused_in_one_sentence(tmp_path: Path) -> None:
    folder = load(a_plan()).save(tmp_path / "p")
    (folder / "findings.parquet").write_bytes(b"PAR1nonsense")
    (tmp_path / "x.xlsx").write_bytes(b"PK\x03\x04")
    (tmp_path / "q").mkdir()
    (tmp_path / "q" / "frames.json").write_text('{"kind": "plan", "name": "x", "files": {"a": "../../etc/passwd"}}')
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "frames.json").write_text("[1")
    for path in (folder, tmp_path / "x.xlsx", tmp_path / "q", tmp_path / "r"):
        with pytest.raises(RefusedError) as caught:
            load(path)
        assert str(caught.value).count("\n") == 0


def test_a_workbook_holds_numbers_where_they_are_sure_and_texts_where_not() -> None:
    found = (a_finding(value_units=5 * 10**17), a_finding(payment_id="p", value_units=HUGE))
    data = frame_bytes(load(a_plan(findings=found)).findings, name="findings", file_kind="xlsx")
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        text = archive.read("xl/worksheets/sheet1.xml").decode()
    assert "<v>0.5</v>" in text
    assert ">9999999999999999999.999999999999999999<" in text


# Joins


def test_findings_and_payments_are_joined_in_one_call(everything: dict[str, Loaded]) -> None:
    plan, snapshot = everything["plan"], everything["snapshot"]
    both = plan.join("findings", snapshot.payments)
    assert len(both) == len(plan.findings)
    assert both["payment_id"].tolist() == plan.findings["payment_id"].tolist()
    known = both.dropna(subset=["expected"])
    assert len(known) > 5
    stored = snapshot.payments.set_index("payment_id")["expected"]
    assert all(row.expected == stored[row.payment_id] for row in known.itertuples())
    assert {"provider", "provider_payments"} <= set(both.columns)
    assert both["expected"].dtype == snapshot.payments["expected"].dtype
    assert both.attrs["recon"]["columns"]["value"][0] == "tokens"


def test_changes_join_what_they_set_and_findings_keep_their_place(
    everything: dict[str, Loaded],
) -> None:
    plan = everything["plan"]
    sets = plan.join("changes", "sets")
    assert len(sets) == len(plan.sets)
    every = plan.join("findings", "changes")
    assert every["change"].notna().sum() == len(plan.changes)
    assert len(every) == len(plan.findings)
    assert isinstance(every["value_changes"].dropna().iloc[0], Decimal)


def test_a_payment_finds_its_claims_and_transfers_by_any_key_that_it_has(
    tmp_path: Path,
) -> None:
    payments = [
        builders.payment_row(1, request_id="r1", external_id=None, tx_hash=None, reference_topic=None),
        builders.payment_row(2, request_id=None, external_id="e2", tx_hash="0x" + "ab" * 32, reference_topic=None),
        builders.payment_row(3, request_id=None, external_id=None, tx_hash=None, reference_topic=None),
    ]
    claims = [
        builders.claim_row(1, request_id="r1", external_id=None, reference_topic=None),
        builders.claim_row(2, request_id=None, external_id="e2", reference_topic=None),
        builders.claim_row(3, request_id=None, external_id=None, reference_topic=None),
    ]
    transfers = [builders.transfer_row(1, tx_hash="0x" + "ab" * 32, reference_topic=None)]
    loaded = load(sealed(tmp_path / "s", payments=payments, claims=claims, transfers=transfers))
    ids = loaded.payments["payment_id"].tolist()
    claimed = loaded.join("payments", "claims")
    assert claimed.dropna(subset=["claim_id"])["payment_id"].tolist() == ids[:2]
    assert claimed["payment_id"].tolist() == ids
    moved = loaded.join("payments", "transfers")
    assert moved.dropna(subset=["log_index"])["payment_id"].tolist() == [ids[1]]


def test_frames_without_a_common_key_are_not_joined() -> None:
    loaded = load(a_plan())
    with pytest.raises(NoJoinError, match="no key in common"):
        loaded.join("sets", "money")
    assert issubclass(NoJoinError, UsageError)


def test_an_inspection_names_the_pages_of_its_payment_at_the_explorer(everything: dict[str, Loaded]) -> None:
    found = everything["case"].artefact
    assert found.judged is not None and found.registry is not None
    rows = render_inspection(found).table("explorer").rows
    recipient = found.registry.address_page(found.judged.finding.chain_id, found.judged.row["recipient"])
    assert recipient is None or ("recipient", recipient) in rows
    assert {what for what, _ in rows} <= {"transaction", "recipient", "token"}
    assert all(is_web_page(page) for _, page in rows)
