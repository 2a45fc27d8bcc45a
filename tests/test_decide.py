"""Decisions offline: out to a spreadsheet and back gives what the commands give, and nothing of a spoiled file."""

from __future__ import annotations

import csv
import io
import json
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import openpyxl
import pandas
import pytest
from click.testing import CliRunner

import recon
from recon.api.report import artefact_page
from recon.cli import cli
from recon.core.errors import ReconError, RefusedError
from recon.core.model import LeftAlone, Plan, Tier, Verdict
from recon.desk.desk import open_desk
from recon.desk.sheet import sheet_lines
from recon.plans.approvals import DecisionRecords, RecordExistsError
from recon.plans.file import plan_bytes, save_plan, seal_plan
from recon.plans.shelf import FileShelf
from recon.reports.sheets import read_sheet
from recon.reports.sheets.decisions import COLUMNS, DecisionsRefusedError
from tests.support.plans import PAYMENT, a_change, a_finding, a_plan
from tests.support.workbooks import Saved, saved_workbook

NAMES = [column.name for column in COLUMNS]
EVIDENCE = [name for name in NAMES if name not in ("decision", "until", "reason")]
Rows = list[dict[str, str]]


def made_plan(count: int) -> Plan:
    """Findings of every tier, two of three with a change; ids, amounts and texts that spreadsheets like to change."""
    findings, changes, left = [], [], []
    tiers = (Tier.AUTO, Tier.REVIEW, Tier.NEVER, Tier.AUTO, Tier.REVIEW, Tier.WAIT)
    for number in range(count):
        tier = tiers[number % 6]
        hexes = f"665f1c2e9b1d8a00{number:08d}"
        payment = (hexes, f"00{number:05d}", f"{number}e10", f'"{hexes}"')[number % 4]
        value = 10**18 * number + number * 7
        reason = ("=cmd|' /C calc'!A0", 'The money, it is "there"; final.', "+1 ünï", "-5")[number % 4]
        shared: dict[str, Any] = {"payment_id": payment, "tier": tier, "value_units": value, "age_s": 3700 * number}
        findings.append(a_finding(reason=reason, **shared))
        if tier in (Tier.AUTO, Tier.REVIEW):
            changes.append(a_change(reason=reason, **shared))
        else:
            left.append(LeftAlone(payment, Verdict.LOCAL_BEHIND, "no write is allowed"))
    return seal_plan(replace(a_plan(), findings=tuple(findings), changes=tuple(changes), left_alone=tuple(left)))


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a plan and a configuration."""
    monkeypatch.setenv("RECON_OPERATOR", "ada")
    monkeypatch.delenv("RECON_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    save_plan(made_plan(24), tmp_path / "plan.json")
    (tmp_path / "world").mkdir()
    world = {"format": 1, "now": "2026-11-20T12:00:00Z"}
    (tmp_path / "world" / "world.json").write_text(json.dumps(world))
    (tmp_path / "recon.toml").write_text('[target]\nname = "demo"\n[output]\ndir = "out"\n')
    return tmp_path


def exported(folder: Path, name: str = "sheet.csv") -> Rows:
    recon.decide.export(folder / "plan.json", out=folder / name)
    return list(csv.DictReader(io.StringIO((folder / name).read_text(), newline="")))


def written(rows: Rows, **given: Any) -> bytes:
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(rows[0]), **given)
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue().encode()


def decided(rows: Rows) -> Rows:
    """Every other row that can be is applied, some are accepted, inspected and noted."""
    for number, row in enumerate(rows):
        if number % 2 == 0 and "apply" in row["possible"]:
            row["decision"] = "apply"
        elif number % 5 == 1 and "ack" in row["possible"]:
            row.update(decision="ack", until="2099-12-31", reason="agreed, with Bo")
        elif number % 5 == 3:
            row.update(decision="inspect")
        elif number % 7 == 5:
            row.update(reason="looked at it")
    return rows


def left_behind(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_export_writes_a_row_for_each_finding_and_runs_nothing(desk: Path) -> None:
    rows = exported(desk)
    assert (len(rows), list(rows[0])) == (24, NAMES)
    assert [row for row in rows for cell in row.values() if cell[:1] in ("=", "+", "@", "-") and cell != "-5"] == []
    possible = {row["tier"]: row["possible"] for row in rows}
    assert (possible["auto"], possible["never"], possible["wait"]) == (
        "apply ack inspect note", "ack inspect note", "inspect note",
    )  # fmt: skip
    assert (desk / "sheet.csv").stat().st_mode & 0o777 == 0o600


def test_import_gives_the_plan_of_select_and_the_records_of_ack(desk: Path) -> None:
    rows = decided(exported(desk))
    (desk / "sheet.csv").write_bytes(written(rows))
    made = recon.decide.import_(desk / "plan.json", desk / "sheet.csv", out=desk / "picked.json")
    wanted = [row["payment"] for row in rows if row["decision"] == "apply"]
    recon.select(desk / "plan.json", payments=wanted, out=desk / "selected.json")
    assert (desk / "picked.json").read_bytes() == (desk / "selected.json").read_bytes()
    acks = DecisionRecords(desk / "out" / "decisions").acks(a_plan().target, now=datetime.now(UTC))
    assert sorted(each.payment_id for each in acks) == sorted(r["payment"] for r in rows if r["decision"] == "ack")
    assert {(each.who, each.reason, each.until) for each in acks} == {
        ("ada", "agreed, with Bo", "2099-12-31T00:00:00.000Z")
    }
    assert sorted(made.acks, key=lambda each: each.payment_id) == sorted(acks, key=lambda each: each.payment_id)
    notes = json.loads((desk / "picked.notes").read_bytes())
    assert (notes["plan"], notes["decided_plan"], notes["who"]) == (made.plan.parent, made.plan.digest, "ada")  # type: ignore[union-attr]
    told = {(each["payment_id"], each["decision"]) for each in notes["decisions"]}
    assert told == {(r["payment"], r["decision"] or "note") for r in rows if r["decision"] or r["reason"]}
    assert made.inspect == tuple(sorted(row["payment"] for row in rows if row["decision"] == "inspect"))


def test_an_import_again_records_no_acceptance_twice(desk: Path) -> None:
    (desk / "sheet.csv").write_bytes(written(decided(exported(desk))))
    first = recon.decide.import_(desk / "plan.json", desk / "sheet.csv")
    again = recon.decide.import_(desk / "plan.json", desk / "sheet.csv")
    assert (len(first.acks) > 0, again.acks, again.acks_held) == (True, (), len(first.acks))
    assert first.path != again.path
    assert len(list((desk / "out" / "decisions").glob("ack-*"))) == len(first.acks)


def test_without_acceptances_no_configuration_is_needed(desk: Path) -> None:
    rows = exported(desk)
    rows[0]["decision"] = "apply"
    (desk / "sheet.csv").write_bytes(written(rows))
    (desk / "recon.toml").unlink()
    made = recon.decide.import_(desk / "plan.json", desk / "sheet.csv")
    assert [change.payment_id for change in made.plan.changes] == [rows[0]["payment"]]  # type: ignore[union-attr]
    rows[1].update(decision="ack", until="7d", reason="x")
    (desk / "sheet.csv").write_bytes(written(rows))
    before = left_behind(desk)
    with pytest.raises(ReconError, match=r"recon\.toml"):
        recon.decide.import_(desk / "plan.json", desk / "sheet.csv")
    assert left_behind(desk) == before


def test_what_cannot_be_written_whole_leaves_nothing(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (desk / "sheet.csv").write_bytes(written(decided(exported(desk))))
    before, calls = left_behind(desk), iter(range(100))
    real = FileShelf._add

    def breaks(self: FileShelf, stem: str, data: bytes) -> Path:
        if stem.startswith("ack") and next(calls) == 2:
            raise OSError(28, "No space left on device")
        return real(self, stem, data)

    monkeypatch.setattr(FileShelf, "_add", breaks)
    with pytest.raises(OSError, match="No space"):
        recon.decide.import_(desk / "plan.json", desk / "sheet.csv")
    assert left_behind(desk) == before


def test_an_undo_has_a_row_for_each_change(desk: Path) -> None:
    undo = seal_plan(replace(made_plan(6), kind="undo", findings=(), run="r"))
    save_plan(undo, desk / "undo.json")
    recon.decide.export(desk / "undo.json", out=desk / "undo.csv")
    rows = list(csv.DictReader(io.StringIO((desk / "undo.csv").read_text(), newline="")))
    assert {row["payment"] for row in rows} == {change.payment_id for change in undo.changes}
    assert {row["possible"] for row in rows} == {"apply inspect note"}


# As spreadsheets save it


def as_pandas(rows: Rows) -> bytes:
    frame = pandas.read_csv(io.BytesIO(written(rows)), keep_default_na=True)
    return frame.to_csv(index=False).encode()


def as_excel(rows: Rows) -> bytes:
    """Semicolons, a mark of the byte order, numbers with a comma, ids in powers of ten, and blank rows at the end."""
    changed = [dict(row) for row in rows]
    for row in changed:
        row["amount"] = row["amount"].replace(".", ",")
        if row["payment"].isdigit():
            row["payment"] = str(int(row["payment"]))
        if row["until"]:
            row["until"] = "31.12.2099"
    return b"\xef\xbb\xbf" + written(changed, delimiter=";") + b";;;;\r\n" * 3


def as_workbook(rows: Rows) -> bytes:
    """Numbers that became floats, dates that became days, and shared texts."""

    def cell(name: str, text: str) -> Any:
        if name == "until" and text:
            return date.fromisoformat(text)
        if name in ("chain", "amount", "age_h") and text:
            return float(text)
        return text

    table = [[cell(name, row[name]) for name in NAMES] for row in rows]
    return saved_workbook([NAMES, *table, [None] * len(NAMES), [""] * len(NAMES)], Saved(before=("Notes",)))


def quoted(rows: Rows) -> bytes:
    return written(rows, quoting=csv.QUOTE_ALL).replace(b"\r\n", b"\n")


def sorted_and_moved(rows: Rows) -> bytes:
    mixed = sorted(rows, key=lambda row: row["row"])
    return written([dict(reversed(row.items())) for row in mixed])


@pytest.mark.parametrize("saved", [as_pandas, as_excel, as_workbook, quoted, sorted_and_moved])
def test_a_file_as_a_spreadsheet_saved_it_gives_the_same_plan(desk: Path, saved: Callable[[Rows], bytes]) -> None:
    rows = decided(exported(desk))
    (desk / "saved").write_bytes(saved(rows))
    made = recon.decide.import_(desk / "plan.json", desk / "saved", out=desk / "picked.json")
    wanted = [row["payment"] for row in rows if row["decision"] == "apply"]
    selected = recon.select(desk / "plan.json", payments=wanted, out=desk / "selected.json")
    assert made.plan is not None
    assert plan_bytes(made.plan) == plan_bytes(selected)
    assert len(made.acks) == sum(row["decision"] == "ack" for row in rows)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Rows]:
    """A plan of 5,000 findings, its sheet with a third of it decided, and what ``select`` makes of that."""
    folder = tmp_path_factory.mktemp("large")
    save_plan(made_plan(5000), folder / "plan.json")
    rows, choice = exported(folder), random.Random(5)
    for row in rows:
        if "apply" in row["possible"] and choice.random() < 0.3:
            row["decision"] = "apply"
    wanted = [row["payment"] for row in rows if row["decision"] == "apply"]
    assert len(wanted) > 800
    recon.select(folder / "plan.json", payments=wanted, out=folder / "selected.json")
    return folder, rows


def as_openpyxl(rows: Rows) -> bytes:
    """Every cell as text, which a library for workbooks writes."""
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(list(rows[0]))
    for number, row in enumerate(rows, 2):
        for column, value in enumerate(row.values(), 1):
            cell = sheet.cell(number, column)
            cell.value, cell.data_type = value or None, "s"
    return _saved(book)


def _saved(book: Any) -> bytes:
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


@pytest.mark.parametrize("saved", [as_pandas, as_workbook, as_openpyxl])
def test_five_thousand_rows_there_and_back_give_the_plan_of_select(
    large: tuple[Path, Rows], saved: Callable[[Rows], bytes]
) -> None:
    folder, rows = large
    path, out = folder / f"{saved.__name__}.saved", folder / f"{saved.__name__}.json"
    path.write_bytes(saved(rows))
    recon.decide.import_(folder / "plan.json", path, out=out)
    assert out.read_bytes() == (folder / "selected.json").read_bytes()


def test_the_workbook_that_is_written_goes_there_and_back(desk: Path) -> None:
    """Read as rows, filled in, and saved as a spreadsheet does."""
    from recon.reports.sheets import read_sheet

    recon.decide.export(desk / "plan.json", out=desk / "sheet.xlsx")
    sheet = read_sheet((desk / "sheet.xlsx").read_bytes(), name="s", columns=NAMES)
    rows = decided([dict(line.cells) for line in sheet.lines])
    assert rows == decided(exported(desk))
    (desk / "saved.xlsx").write_bytes(as_workbook(rows))
    assert recon.decide.import_(desk / "plan.json", desk / "saved.xlsx").plan is not None


def test_a_library_for_workbooks_opens_ours_and_what_it_saves_is_read(desk: Path) -> None:
    recon.decide.export(desk / "plan.json", out=desk / "sheet.xlsx")
    rows = decided(exported(desk))
    book = openpyxl.load_workbook(desk / "sheet.xlsx")
    names, *lines = book.active.iter_rows()
    place = {cell.value: number for number, cell in enumerate(names)}
    assert list(place) == NAMES
    for line, row in zip(lines, rows, strict=True):
        assert all(cell.data_type != "f" for cell in line), "no cell is a formula"
        for name in ("decision", "until", "reason"):
            line[place[name]].value = row[name] or None
    (desk / "saved.xlsx").write_bytes(_saved(book))
    (desk / "saved.csv").write_bytes(written(rows))
    recon.decide.import_(desk / "plan.json", desk / "saved.xlsx", out=desk / "one.json")
    recon.decide.import_(desk / "plan.json", desk / "saved.csv", out=desk / "other.json")
    assert (desk / "one.json").read_bytes() == (desk / "other.json").read_bytes()


# Spoiled


def spoiled_cell(rows: Rows, pick: random.Random) -> str:
    row, name = pick.choice(rows), pick.choice(EVIDENCE)
    how = pick.randrange(3)
    held = row[name]
    row[name] = "" if how == 0 and held else f"{held}1" if how == 1 or not held else f"x{held[1:]}"
    return row["payment"] if name != "payment" else ""


def swapped_cells(rows: Rows, pick: random.Random) -> str:
    """One column sorted by itself."""
    one, other = pick.sample(rows, 2)
    name = pick.choice(["row", "payment", "amount", "age_h"])
    one[name], other[name] = other[name], one[name]
    return ""


def unknown_row(rows: Rows, pick: random.Random) -> str:
    row = {**pick.choice(rows), "row": f"r-{pick.randrange(16**20):020x}"}
    rows.insert(pick.randrange(len(rows)), row)
    return row["payment"]


def twice(rows: Rows, pick: random.Random) -> str:
    row = dict(pick.choice(rows))
    row["decision"] = pick.choice(["", "note", row["decision"]])
    row["reason"] = "x"
    row["until"] = ""
    rows.append(row)
    return row["payment"]


def missing_row(rows: Rows, pick: random.Random) -> str:
    row = rows.pop(pick.randrange(len(rows)))
    return row["payment"]


def other_plan(rows: Rows, pick: random.Random) -> str:
    row = pick.choice(rows)
    row["plan"] = "".join(pick.sample(row["plan"], 64))
    return row["payment"]


def impossible(rows: Rows, pick: random.Random) -> str:
    cases = [
        ("never", {"decision": "apply", "until": "", "reason": ""}),
        ("wait", {"decision": "apply", "until": "", "reason": ""}),
        ("wait", {"decision": "ack", "until": "2099-01-01", "reason": "x"}),
        ("auto", {"decision": "ack", "until": "", "reason": "x"}),
        ("auto", {"decision": "ack", "until": "2020-01-01", "reason": "x"}),
        ("auto", {"decision": "ack", "until": "1/2/2099", "reason": "x"}),
        ("auto", {"decision": "ack", "until": "never", "reason": "x"}),
        ("review", {"decision": "ack", "until": "2099-01-01", "reason": " "}),
        ("auto", {"decision": "apply", "until": "2099-01-01", "reason": ""}),
        ("auto", {"decision": "", "until": "2099-01-01", "reason": ""}),
        ("auto", {"decision": "aply", "until": "", "reason": ""}),
        ("review", {"decision": "note", "until": "", "reason": ""}),
        ("review", {"decision": "note", "until": "", "reason": "x" * 2001}),
        ("review", {"decision": "apply; ack", "until": "", "reason": ""}),
    ]
    tier, given = pick.choice(cases)
    row = pick.choice([row for row in rows if row["tier"] == tier])
    row.update(given)
    return row["payment"]


def renamed_column(rows: Rows, pick: random.Random) -> str:
    name = pick.choice(NAMES)
    for row in rows:
        row[name + "x"] = row.pop(name)
    return ""


def lost_column(rows: Rows, pick: random.Random) -> str:
    name = pick.choice(NAMES)
    for row in rows:
        del row[name]
    return ""


SPOILERS = (
    spoiled_cell, spoiled_cell, swapped_cells, unknown_row, twice, missing_row, other_plan, impossible, impossible,
    renamed_column, lost_column,
)  # fmt: skip


def cut(data: bytes, pick: random.Random) -> bytes:
    """The file ends anywhere before the last cell, the plan's digest, is whole."""
    return data[: pick.randrange(len(data) - 3)]


def spoiled_files(rows: Rows) -> Iterator[tuple[str, str, bytes]]:
    for seed in range(200):
        pick = random.Random(seed)
        mine = [dict(row) for row in rows]
        if seed % 10 == 9:
            yield f"cut {seed}", "", cut(written(mine) if seed % 20 == 9 else as_workbook(mine), pick)
            continue
        spoiler = pick.choice(SPOILERS)
        payment = spoiler(mine, pick)
        yield f"{spoiler.__name__} {seed}", payment, written(mine)


def test_two_hundred_spoiled_files_are_refused_and_leave_nothing(desk: Path) -> None:
    rows = decided(exported(desk))
    recon.ack([rows[1]["payment"]], plan=desk / "plan.json", reason="x", until=timedelta(days=1))
    before = left_behind(desk)
    for name, payment, data in spoiled_files(rows):
        path = desk.parent / "spoiled.csv"
        path.write_bytes(data)
        with pytest.raises(RefusedError) as raised:
            recon.decide.import_(desk / "plan.json", path)
            pytest.fail(f"{name} was taken")
        said = str(raised.value)
        assert "spoiled.csv" in said, name
        assert "nothing was written" in said, name
        assert not payment or payment[:30] in said, (name, said)
        assert not isinstance(raised.value, DecisionsRefusedError) or "line " in said or "missing" in said, (name, said)
        assert left_behind(desk) == before, name


def test_a_formula_and_a_cell_beyond_the_columns_are_refused(desk: Path) -> None:
    rows = exported(desk)
    table = [NAMES, *([row[name] for name in NAMES] for row in rows)]
    (desk / "f.xlsx").write_bytes(saved_workbook(table, Saved(formulas={"B3": "A1"})))
    with pytest.raises(DecisionsRefusedError, match=r"f\.xlsx: line 3, .*a formula stands in 'decision'"):
        recon.decide.import_(desk / "plan.json", desk / "f.xlsx")
    table[4].append("my own remark")
    (desk / "g.xlsx").write_bytes(saved_workbook(table))
    with pytest.raises(DecisionsRefusedError, match=r"line 5, .*'my own remark' stands beyond the columns"):
        recon.decide.import_(desk / "plan.json", desk / "g.xlsx")


def test_a_refusal_tells_the_first_rows_and_how_many_more(desk: Path) -> None:
    rows = exported(desk)
    for row in rows[:8]:
        row["amount"] = "1.25"
    (desk / "sheet.csv").write_bytes(written(rows))
    with pytest.raises(DecisionsRefusedError, match=r"sheet\.csv: line 2, payment .*; and 3 more\. ") as raised:
        recon.decide.import_(desk / "plan.json", desk / "sheet.csv")
    assert [line for line, _ in raised.value.problems] == list(range(2, 10))


def test_an_acceptance_is_prepared_before_anything_is_recorded(desk: Path) -> None:
    [first, second] = [item for item in made_plan(4).findings if item.tier in (Tier.AUTO, Tier.REVIEW)][:2]
    from recon.plans.approvals import Acceptance

    records, now = DecisionRecords(desk / "records"), datetime(2026, 11, 20, tzinfo=UTC)
    until, target = now + timedelta(days=1), a_plan().target
    records.acknowledge(second, who="ada", at=now, reason="x", until=until, target=target)
    both = [Acceptance(first, "x", until), Acceptance(second, "x", until)]
    with pytest.raises(RecordExistsError):
        records.prepare_acks(both, who="ada", at=now, target=target)
    prepared = records.prepare_acks(both, who="ada", at=now, target=target, passes_held=True)
    assert [each.ack.payment_id for each in prepared] == [first.payment_id]
    assert len(records.acks(target, now=now)) == 1


# The command


def run(*line: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(cli, list(line), prog_name="recon")
    return result.exit_code, result.stdout, result.stderr


def test_the_commands_go_there_and_back(desk: Path) -> None:
    code, stdout, stderr = run("decide", "export", "plan.json")
    assert (code, stdout) == (0, "plan-decisions.xlsx\n")
    assert "Once filled in: recon decide import plan.json plan-decisions.xlsx" in stderr
    assert run("decide", "export", "plan.json", "--out", "plan-decisions.xlsx")[0] == 3
    assert run("decide", "export", "plan.json", "--out", "sheet.ods")[2].startswith("recon: There is no kind of sheet")
    code, _, stderr = run("decide", "import", "plan.json", "plan-decisions.xlsx")
    assert (code, "holds no decision" in stderr) == (2, True)
    (desk / "sheet.csv").write_bytes(written(decided(exported(desk))))
    code, stdout, stderr = run("decide", "import", "plan.json", "sheet.csv", "--out", "picked.json")
    assert (code, "selected from plan" in stdout, "Notes:    picked.notes" in stderr) == (0, True, True)
    assert "To look into: recon inspect" in stderr
    (desk / "sheet.csv").write_bytes(b"a,b\n1,2\n")
    code, _, stderr = run("decide", "import", "plan.json", "sheet.csv")
    assert (code, "no sheet of decisions" in stderr) == (3, True)
    assert run("decide", "import", "plan.json", "none.csv")[0] == 3


def test_no_evidence_is_lost_and_what_fits_into_no_cell_says_so(desk: Path) -> None:
    many = tuple(f"transfer 56:0x{number:064x}:3" for number in range(120))
    most = tuple(f"transfer 56:0x{number:064x}:3" for number in range(400))
    findings = (a_finding(evidence=many), a_finding(payment_id="f" * 24, evidence=most))
    save_plan(a_plan(findings=findings, changes=(), left_alone=()), desk / "long.json")
    for name in ("long.csv", "long.xlsx"):
        recon.decide.export(desk / "long.json", out=desk / name)
        rows = {
            line.cells["payment"]: line
            for line in read_sheet((desk / name).read_bytes(), name=name, columns=NAMES).lines
        }
        assert rows[PAYMENT].cells["evidence"] == "; ".join(many)
        whole = "; ".join(most)
        assert rows["f" * 24].cells["evidence"] == (
            f'{whole[:16_000]} ... ({len(whole) - 16_000:,} more characters: "recon show PLAN --payment ID" has all)'
        )
    rows = list(csv.DictReader(io.StringIO((desk / "long.csv").read_text(), newline="")))
    rows[0].update(reason="seen")
    (desk / "back.csv").write_bytes(written(rows))
    assert recon.decide.import_(desk / "long.json", desk / "back.csv").notes.exists()
    line = f"show long.json --payment {'f' * 24} --format csv --part evidence"
    shown = CliRunner().invoke(cli, line.split())
    assert [most[-1] in shown.stdout, shown.exit_code] == [True, 0]


def test_what_was_decided_in_a_sheet_is_shown_with_the_payment(desk: Path) -> None:
    rows = exported(desk)
    rows[0].update(decision="apply", reason="seen at the explorer \x1b[2J")
    rows[1].update(reason="the buyer wrote twice")
    (desk / "sheet.csv").write_bytes(written(rows))
    made = recon.decide.import_(desk / "plan.json", desk / "sheet.csv", out=desk / "picked.json")
    first, second = rows[0]["payment"], rows[1]["payment"]

    def shown(plan: str, payment: str) -> str:
        return CliRunner().invoke(cli, ["show", str(desk / plan), "--payment", payment]).stdout

    told = re.compile(r"(?s)Decided in a sheet.*ada +apply +seen at the explorer .\[2J +sheet.csv")
    for plan in ("plan.json", "picked.json"):
        assert told.search(shown(plan, first))
    assert re.search(r"(?s)Decided in a sheet.*ada +note +the buyer wrote twice", shown("plan.json", second))
    assert "Decided in a sheet" not in shown("plan.json", rows[2]["payment"])
    opened = open_desk(desk / "plan.json")
    opened.finish()
    row = next(each for each in opened.rows if each.payment_id == first)
    text = "\n".join(line.text for line in sheet_lines(row, opened.facts))
    assert "ada (sheet.csv): apply: seen at the explorer �[2J" in text
    page = artefact_page(desk / "plan.json").grid
    assert page is not None
    notes = [detail["notes"] for detail in page.details.values() if "notes" in detail]
    assert sorted(text.split(": ", 1)[1] for [text] in notes) == [
        "apply: seen at the explorer �[2J", "note: the buyer wrote twice",
    ]  # fmt: skip
    made.notes.write_text('{"format": 1, "plan"')
    assert f"{made.notes.name} could not be read (it is not as it was written)" in shown("plan.json", first)
    (desk / "other.notes").write_text(json.dumps({"format": 1, "plan": "0" * 64, "decided_plan": None}))
    assert "other.notes" not in shown("plan.json", first)
