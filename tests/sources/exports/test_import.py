"""Exported files become a snapshot: exact, honest about what they do not hold, and refused by file and line."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

import recon
from recon.cli import cli
from recon.core.errors import ReconError
from recon.core.model import Plan, Verdict
from recon.sources.exports.mapping import (
    CLAIM_FIELDS,
    PAYMENT_FIELDS,
    TRANSFER_FIELDS,
    ClaimsSection,
    FileMapping,
    FileSection,
    MappingError,
    PaymentsSection,
    TransfersSection,
)
from recon.sources.exports.payments import payment_documents
from recon.sources.exports.rows import BadCells, BadRowsError, CellError, plain_amount, read_moment
from recon.sources.exports.windows import unread
from tests.support.exports import (
    FILES,
    INVOICES,
    MAPPING,
    PAYER,
    PAYMENTS,
    TRANSFERS,
    USDC_BASE,
    address,
    tx_hash,
    write_exports,
)
from tests.test_house import ROOT

COMPLETE = "complete = { from = 2026-11-01T00:00:00Z }\n"


def imported(folder: Path, changed: dict[str, Any] | None = None) -> Any:
    return recon.import_files(write_exports(folder, changed), out=folder / "snapshot")


def judged(folder: Path, changed: dict[str, Any] | None = None) -> Plan:
    imported(folder, changed)
    return recon.plan(folder / "snapshot", out=folder / "plan.json")


def verdicts(plan: Plan) -> dict[str, Verdict]:
    return {each.payment_id: each.verdict for each in plan.findings}


def gaps(snapshot: Any) -> set[tuple[str, str]]:
    return {(row["source"], row["scope"]) for row in snapshot.table("gaps").to_pylist()}


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No configuration lies about, and what is written without being told where goes to the test's own folder."""
    monkeypatch.chdir(tmp_path)


# what is judged


def test_files_are_judged_without_database_node_or_configuration(tmp_path: Path) -> None:
    plan = judged(tmp_path)
    assert verdicts(plan) == {
        "A-1": Verdict.LOCAL_BEHIND,
        "A-4": Verdict.LOOKUP_FAILED,
    }, "the money of A-4 is not in the export, which proves nothing about a transaction"
    counted = {"local_behind": 1, "in_sync": 1, "in_transit": 1, "lookup_failed": 1}
    assert plan.summary["verdicts"] == counted, "A-3 was not paid yet: the exports are complete for its time"
    assert [change.payment_id for change in plan.changes] == ["A-1"]
    assert plan.summary["value_at_risk"] == {f"8453:{USDC_BASE}": "25000000"}
    assert plan.target.hosts == ("files",)


def test_the_page_shows_these_files_and_what_comes_of_them(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "from-csv.md").read_text(encoding="utf-8")
    shown = dict(re.findall(r"^`([a-z.]+)`:[^\n]*\n\n```\n(.*?)```", page, re.MULTILINE | re.DOTALL))
    assert shown == FILES
    told = dict(re.findall(r"^\| (A-\d) \| `([a-z_]+)`", page, re.MULTILINE))
    plan = judged(tmp_path, shown)
    assert {each.payment_id: each.verdict.value for each in plan.findings}.items() <= told.items()
    assert sorted(told.values()) == sorted(plan.summary["verdicts"])


def test_the_page_names_every_field_and_key() -> None:
    page = (ROOT / "docs" / "from-csv.md").read_text(encoding="utf-8")
    names = {*PAYMENT_FIELDS, *CLAIM_FIELDS, *TRANSFER_FIELDS, *PaymentsSection.model_fields}
    names |= {*ClaimsSection.model_fields, *TransfersSection.model_fields, *FileMapping.model_fields} - {"claims"}
    assert [name for name in sorted(names) if f"`{name}`" not in page and f"`{name} =" not in page] == [
        "payments",
        "transfers",
    ]


def test_what_an_export_is_not_said_to_hold_is_never_a_no(tmp_path: Path) -> None:
    plan = judged(tmp_path, {"mapping.toml": MAPPING.replace(COMPLETE, "")})
    found = verdicts(plan)
    assert found["A-1"] is Verdict.LOCAL_BEHIND, "what stands there is proof all the same"
    assert found["A-3"] is Verdict.UNPROVEN
    assert found["A-4"] is Verdict.LOOKUP_FAILED


@pytest.mark.parametrize(
    ("window", "dark"),
    [
        ("{ from = 2026-11-01T00:00:00Z }", set()),
        ("{ from = 2026-11-15T00:00:00Z }", {("chain:8453", "erc20"), ("chain:8453", "proxy")}),
        (
            "{ from = 2026-11-01T00:00:00Z, to = 2026-11-19T00:00:00Z }",
            {("chain:8453", "erc20"), ("chain:8453", "proxy")},
        ),
    ],
)
def test_a_window_that_leaves_time_open_is_a_gap(tmp_path: Path, window: str, dark: set[tuple[str, str]]) -> None:
    first, _, second = MAPPING.partition("[[transfers]]")
    changed = f"{first}[[transfers]]" + second.replace(COMPLETE, f"complete = {window}\n")
    assert gaps(imported(tmp_path, {"mapping.toml": changed})) == dark


def test_a_chain_or_a_provider_without_a_file_is_named(tmp_path: Path) -> None:
    only = MAPPING.partition("[[claims]]")[0]
    reasons = {row["reason"] for row in imported(tmp_path, {"mapping.toml": only}).table("gaps").to_pylist()}
    assert reasons == {"no export of shkeeper was given", "no export of transfers on chain 8453 was given"}


def test_money_that_no_payment_explains_is_ours_only_where_all_payments_are_there(tmp_path: Path) -> None:
    more = f"{TRANSFERS}{tx_hash(5)};2026-11-19 11:05:00;USDC;{address(2)};{PAYER};3\n"
    lost = f"{INVOICES}inv-9,PAID,3,USDC,base\n"
    whole = judged(tmp_path / "whole", {"transfers.csv": more, "invoices.csv": lost})
    assert Verdict.MISSING_LOCAL in verdicts(whole).values()
    partly = MAPPING.replace("complete = true\n", "")
    changed = {"transfers.csv": more, "invoices.csv": lost, "mapping.toml": partly}
    part = judged(tmp_path / "part", changed)
    assert Verdict.MISSING_LOCAL not in verdicts(part).values()
    assert ("payments", "window") in {(row["source"], row["scope"]) for row in part.coverage if not row["complete"]}


def test_a_transfer_counts_once_though_two_exports_hold_it(tmp_path: Path) -> None:
    head, first, *_ = TRANSFERS.splitlines()
    numbered = f"{head};log\n{first};4\n"
    twice = MAPPING.replace('value"\n', 'value"\nlog_index = "log"\n').replace("transfers.csv", "one.csv")
    part = twice.partition("[[transfers]]")[2].replace("one.csv", "two.csv")
    files = {"mapping.toml": f"{twice}\n[[transfers]]{part}", "one.csv": numbered, "two.csv": numbered}
    snapshot = imported(tmp_path, files)
    assert [row["log_index"] for row in snapshot.read("transfers").to_pylist()] == [4]
    changed = {**files, "two.csv": numbered.replace("25,00", "26,00")}
    with pytest.raises(BadRowsError, match=r"two\.csv:2: one\.csv:2 holds the same log of the same transaction"):
        imported(tmp_path / "other", changed)


def test_a_reference_makes_it_the_proxys_word_for_that_payment(tmp_path: Path) -> None:
    reference = "a1b2c3d4e5f60718"
    payments = PAYMENTS.replace("Invoice,Tx", "Invoice,Tx,Ref").replace("inv-1,", f"inv-1,,{reference}")
    payments = "\n".join(line if line.count(",") == 10 else f"{line}," for line in payments.splitlines())
    transfers = (
        TRANSFERS.replace("value\n", "value;ref\n").replace("25,00", f"25,00;{reference}").replace(";10,50", ";10,50;")
    )
    mapping = MAPPING.replace('tx_hash = "Tx"', 'tx_hash = "Tx"\nreference = "Ref"')
    mapping = mapping.replace('amount = "value"', 'amount = "value"\nreference = "ref"')
    snapshot = imported(tmp_path, {"payments.csv": payments, "transfers.csv": transfers, "mapping.toml": mapping})
    kinds = {row["tx_hash"]: (row["kind"], row["reference_topic"]) for row in snapshot.read("transfers").to_pylist()}
    assert kinds[tx_hash(1)] == ("fee_proxy", recon.reference_topic(reference))
    assert kinds[tx_hash(2)] == ("erc20", None)


# what goes on then


def test_everything_offline_goes_on_from_an_imported_snapshot(tmp_path: Path) -> None:
    mapping = write_exports(tmp_path)

    def ran(*words: str) -> Any:
        return CliRunner().invoke(cli, list(words), prog_name="recon")

    made = ran("import", str(mapping), "--out", "s")
    assert (made.exit_code, made.stdout) == (4, "s\n"), "a transaction is not in the export, so it is not complete"
    assert ran("plan", "--snapshot", "s", "--out", "p.json").exit_code == 4
    assert "A-4" in ran("show", "p.json").stdout
    assert ran("show", "s").exit_code == 0
    assert ran("report", "page", "p.json", "--html", "p.html").exit_code == 0
    refused = ran("apply", "p.json", "--digest", "0" * 64)
    assert refused.exit_code == 2, "without a configuration there is nowhere to write to"


def test_the_same_files_give_the_same_snapshot_in_any_order(tmp_path: Path) -> None:
    head, *rows = PAYMENTS.splitlines()
    first = imported(tmp_path / "one")
    turned = imported(tmp_path / "two", {"payments.csv": "\n".join([head, *reversed(rows)])})
    assert first.digest == turned.digest


def test_parquet_is_read_as_csv_is(tmp_path: Path) -> None:
    head, *rows = [line.split(",") for line in PAYMENTS.splitlines()]
    columns = {name: [row[place] for row in rows] for place, name in enumerate(head)}
    write_exports(tmp_path)
    amounts = pa.array(columns.pop("Total")).cast(pa.decimal128(38, 6))
    table = pa.table({**columns, "Total": amounts})
    pq.write_table(table, tmp_path / "payments.parquet")
    changed = {"mapping.toml": MAPPING.replace("payments.csv", "payments.parquet")}
    assert verdicts(judged(tmp_path, changed)) == verdicts(judged(tmp_path / "csv"))
    pq.write_table(table.set_column(10 - 1, "Total", pa.array([25.0, 1, 2, 3])), tmp_path / "payments.parquet")
    with pytest.raises(MappingError, match="holds floats, which have lost digits"):
        imported(tmp_path / "again", {**changed, "payments.parquet": (tmp_path / "payments.parquet").read_bytes()})


def test_a_configuration_adds_tokens_and_its_policy_counts(tmp_path: Path) -> None:
    own = "0x" + "77" * 20
    (tmp_path / "recon.toml").write_text(
        "[shkeeper]\n[[chains]]\nchain_id = 8453\n"
        f'[[tokens]]\nchain_id = 8453\naddress = "{own}"\nsymbol = "OWN"\ndecimals = 9\n'
    )
    changed = {"payments.csv": PAYMENTS.replace("25.00,USDC", "0.000000001,OWN")}
    snapshot = recon.import_files(write_exports(tmp_path, changed), out=tmp_path / "s", config=tmp_path / "recon.toml")
    rows = {row["payment_id"]: row for row in snapshot.read("payments").to_pylist()}
    assert (rows["A-1"]["token"], int(rows["A-1"]["expected_units"])) == (own, 1)


# what is refused


def spoiled(name: str, old: str, new: str) -> dict[str, Any]:
    content = {"payments.csv": PAYMENTS, "invoices.csv": INVOICES, "transfers.csv": TRANSFERS, "mapping.toml": MAPPING}
    assert old in content[name]
    return {name: content[name].replace(old, new, 1)}


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        (spoiled("payments.csv", "25.00", "2.5E+1"), "payments.csv:2: column 'Total': '2.5E+1' was rounded"),
        (spoiled("payments.csv", "25.00", '"25,00"'), "payments.csv:2: column 'Total': '25,00' is no plain number"),
        (spoiled("payments.csv", "25.00", "=1+1"), "payments.csv:2: column 'Total': '=1+1' is no plain number"),
        (spoiled("payments.csv", "25.00", ""), "payments.csv:2: column 'Total': it is empty"),
        (
            spoiled("payments.csv", "10:00:00Z", "10:00:00"),
            "payments.csv:2: column 'Made': '2026-11-19T10:00:00' names no",
        ),
        (spoiled("payments.csv", "2026-11-19T10:00:00Z", "19/11/26"), "column 'Made': '19/11/26' is no time"),
        (
            spoiled("payments.csv", "A-2", "A-1"),
            "payments.csv:3: column 'Order': 'A-1' stands in payments.csv:2 already",
        ),
        (spoiled("payments.csv", "A-1,", ","), "payments.csv:2: column 'Order': it is empty"),
        (spoiled("payments.csv", "inv-1,", "inv-1"), "payments.csv:2: it has 9 cells where the first line names 10"),
        (spoiled("payments.csv", "A-1", "A\x1b[31m-1"), "payments.csv:2: column 'Order': it holds control characters"),
        (spoiled("payments.csv", "A-1", "A\x00"), "column 'Order': it holds control characters"),
        (spoiled("payments.csv", "A-1", "A" * 3000), "more than 2000 characters"),
        (spoiled("invoices.csv", "25.00", "25.0000001"), "invoices.csv:2: column 'got': '25.0000001' is no amount"),
        (spoiled("invoices.csv", "USDC,base", "WHAT,base"), "invoices.csv:2: column 'got': the decimals of its token"),
        (spoiled("invoices.csv", "base", "nochain"), "invoices.csv:2: column 'chain': 'nochain' is no chain"),
        (spoiled("invoices.csv", "inv-2", "inv-1"), "invoices.csv:3: column 'id': 'inv-1' stands in invoices.csv:2"),
        (spoiled("transfers.csv", tx_hash(1), "0x12"), "transfers.csv:2: column 'hash': '0x12' is no transaction hash"),
        (spoiled("transfers.csv", "25,00", "-25,00"), "transfers.csv:2: column 'value': it is negative"),
        (
            spoiled("transfers.csv", "25,00", "25.00"),
            "transfers.csv:2: column 'value': '25.00' is no plain number with ','",
        ),
        (spoiled("transfers.csv", PAYER, "nobody"), "transfers.csv:2: column 'from': 'nobody' is no address"),
        (
            {"transfers.csv": f"{TRANSFERS}{TRANSFERS.splitlines()[1]}\n"},
            "transfers.csv:4: it is the same as transfers.csv:2; give a column 'log_index'",
        ),
    ],
)
def test_a_cell_that_cannot_be_read_exactly_is_named_by_file_and_line(
    tmp_path: Path, changed: dict[str, Any], told: str
) -> None:
    with pytest.raises(BadRowsError) as refused:
        imported(tmp_path, changed)
    assert told in str(refused.value)
    assert not (tmp_path / "snapshot").exists(), "nothing was written"
    assert str(refused.value).replace("\n", "").isprintable()


def test_many_bad_rows_are_counted_and_the_first_are_told(tmp_path: Path) -> None:
    head = PAYMENTS.splitlines()[0]
    rows = [f"B-{n},shkeeper,pending,x,USDC,base,2026-11-19T10:00:00Z,{address(1)},inv-{n}," for n in range(50)]
    with pytest.raises(BadRowsError) as refused:
        imported(tmp_path, {"payments.csv": "\n".join([head, *rows])})
    text = str(refused.value)
    assert text.startswith("50 cells cannot be read exactly, so nothing was imported:")
    assert "payments.csv:21:" in text and "payments.csv:22:" not in text and "and 30 more" in text


def test_a_row_over_several_lines_is_named_by_its_first(tmp_path: Path) -> None:
    changed = spoiled("payments.csv", "A-1", '"A\n1"')
    changed["payments.csv"] = changed["payments.csv"].replace("10.50", "x")
    with pytest.raises(BadRowsError) as refused:
        imported(tmp_path, changed)
    assert "payments.csv:2: column 'Order'" in str(refused.value)
    assert "payments.csv:4: column 'Total'" in str(refused.value)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        (
            spoiled("mapping.toml", "2026-11-20T12:00:00Z", "2026-11-20T12:00:00"),
            "taken_at: Value error, write a time with",
        ),
        (spoiled("mapping.toml", 'id = "Order"', 'idd = "Order"'), "payments: there is no field 'idd'"),
        (spoiled("mapping.toml", 'status = "State"\n', ""), "payments: the field 'status' has no column"),
        (spoiled("mapping.toml", "complete = true", "complet = true"), "payments.complet: Extra inputs"),
        (spoiled("mapping.toml", 'id = "Order"', 'id = "Number"'), "it has no column 'Number'; there are Order, Rail"),
        (spoiled("payments.csv", "Rail", "Order"), "the column 'Order' is there twice"),
        (spoiled("mapping.toml", "shkeeper", "paypal"), "'paypal' is no provider in scope (shkeeper)"),
        (spoiled("mapping.toml", "invoices.csv", "gone.csv"), "gone.csv: it cannot be read"),
        (
            spoiled("mapping.toml", "final_before = 2026-11-20T11:00:00Z\n", ""),
            "nothing says which transfers are final",
        ),
        (spoiled("mapping.toml", '"UTC"', '"Mars/Olympus"'), "transfers.0.zone: Value error, no such zone"),
        (
            spoiled("mapping.toml", "2026-11-01T00:00:00Z }", "2026-12-01T00:00:00Z }"),
            "complete must begin before it ends",
        ),
        (spoiled("mapping.toml", "[payments]", "[payments"), "mapping.toml: it is no TOML"),
        ({"payments.csv": PAYMENTS.encode("utf-16")}, "it is no UTF-8 text"),
        ({"payments.csv": ""}, "it has no column"),
        ({"payments.csv": PAYMENTS.replace("A-1", '"A-1')}, "it is no CSV"),
    ],
)
def test_a_mapping_that_cannot_be_used_says_what_to_do(tmp_path: Path, changed: dict[str, Any], told: str) -> None:
    with pytest.raises(MappingError) as refused:
        imported(tmp_path, changed)
    assert told in str(refused.value)
    assert "nothing was read" in str(refused.value)
    assert not (tmp_path / "snapshot").exists()


def test_a_snapshot_is_never_written_over(tmp_path: Path) -> None:
    imported(tmp_path)
    with pytest.raises(ReconError, match="exists already"):
        imported(tmp_path)


def test_a_formula_in_an_id_stays_text_and_is_guarded_where_a_spreadsheet_reads_it(tmp_path: Path) -> None:
    hostile = '=HYPERLINK(""http://x"")'
    plan = judged(tmp_path, spoiled("payments.csv", "A-1", f'"{hostile}"'))
    named = hostile.replace('""', '"')
    assert named in verdicts(plan)
    sheet = recon.decide.export(tmp_path / "plan.json", out=tmp_path / "sheet.csv").read_text(encoding="utf-8-sig")
    assert not [line for line in sheet.splitlines() if line.startswith(('"=', "=")) or ',"=' in line or ",=" in line]


# cells


@pytest.mark.parametrize(
    ("text", "decimal", "thousands", "exact"),
    [
        ("1234567890123456789.000000000000000001", ".", None, "1234567890123456789.000000000000000001"),
        ("1.234.567,89", ",", ".", "1234567.89"),
        ("1,234.5", ".", ",", "1234.5"),
        ("1 234,5", ",", " ", "1234.5"),
        ("1\u00a0234,5", ",", " ", "1234.5"),
        ("+12", ".", None, "12"),
        ("-0.5", ".", None, "-0.5"),
        ("007", ".", None, "007"),
    ],
)
def test_an_amount_keeps_every_digit(text: str, decimal: Any, thousands: Any, exact: str) -> None:
    assert plain_amount(text, FileSection(file="x", decimal=decimal, thousands=thousands)) == exact


@pytest.mark.parametrize(
    ("text", "thousands"),
    [
        ("1,23.4", ","),
        ("12,34,567.8", ","),
        ("1.2.3", None),
        ("1e3", None),
        ("NaN", None),
        ("inf", None),
        ("0x10", None),
        ("1,5", None),
        ("", None),
        ("٣", None),
        (".5", None),
        ("5.", None),
        ("1_000", None),
        ("9" * 61, None),
        ("$5", None),
    ],
)
def test_what_is_no_plain_amount_is_refused(text: str, thousands: Any) -> None:
    with pytest.raises(CellError):
        plain_amount(text, FileSection(file="x", thousands=thousands))


@pytest.mark.parametrize(
    ("text", "how", "at"),
    [
        ("2026-11-19T10:00:00Z", {}, "2026-11-19T10:00:00+00:00"),
        ("2026-11-19 11:00:00+01:00", {}, "2026-11-19T10:00:00+00:00"),
        ("2026-11-19 11:00:00", {"zone": "Europe/Berlin"}, "2026-11-19T10:00:00+00:00"),
        ("19.11.2026 10:00", {"zone": "UTC", "time_format": "%d.%m.%Y %H:%M"}, "2026-11-19T10:00:00+00:00"),
        ("1795082400", {"time_format": "unix"}, "2026-11-19T10:00:00+00:00"),
        ("1795082400123", {"time_format": "unix_ms"}, "2026-11-19T10:00:00.123000+00:00"),
    ],
)
def test_a_time_is_one_moment(text: str, how: dict[str, Any], at: str) -> None:
    assert read_moment(text, FileSection(file="x", **how)).isoformat() == at


@pytest.mark.parametrize(
    ("text", "how", "told"),
    [
        ("2026-10-25 02:30:00", {"zone": "Europe/Berlin"}, "two moments"),
        ("2026-03-29 02:30:00", {"zone": "Europe/Berlin"}, "or for none"),
        ("2026-11-19", {}, "names no zone"),
        ("1795082400.5", {"time_format": "unix"}, "counts neither"),
        ("999999999999999", {"time_format": "unix"}, "is no time"),
        ("11/19/2026", {"zone": "UTC", "time_format": "%d/%m/%Y"}, "is no time of the form"),
    ],
)
def test_a_time_that_is_not_one_moment_is_refused(text: str, how: dict[str, Any], told: str) -> None:
    with pytest.raises(CellError, match=told):
        read_moment(text, FileSection(file="x", **how))


@pytest.mark.parametrize(
    ("whole", "left"),
    [
        ([], [(5, 40)]),
        ([(0, 50)], []),
        ([(10, 20), (30, 50)], [(5, 10), (20, 30)]),
        ([(0, 5), (40, 60)], [(5, 40)]),
        ([(5, 40)], []),
    ],
)
def test_what_no_window_covers_is_left(whole: list[tuple[int, int]], left: list[tuple[int, int]]) -> None:
    assert unread(whole, asked=(5, 40)) == left


def test_documents_stand_where_a_database_has_them(tmp_path: Path) -> None:
    write_exports(tmp_path)
    columns = {"id": "Order", "amount": "Total", "created_at": "Made", "tx_hash": "Tx"}
    faults = BadCells()
    made = payment_documents(PaymentsSection(file="payments.csv", columns=columns), home=tmp_path, faults=faults)
    assert (made[1]["amount"], made[1]["blockchain"]) == ({"amount": "10.50"}, {"transactionHash": tx_hash(2)})
    assert made[1]["createdAt"].isoformat() == "2026-11-19T11:00:00+00:00"
    assert faults.count == 0
