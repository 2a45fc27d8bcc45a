"""Bank statements beside exported tables: money on no chain is judged, and what is not whole proves no "no"."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import recon
from recon.core.model import Plan, Tier, Verdict
from recon.core.registry.off_chain import OFF_CHAIN, currency_token
from recon.sources.exports.mapping import STATEMENT_COLUMNS, MappingError
from recon.sources.exports.rows import BadRowsError
from recon.sources.exports.statements import NamedEntry, account_address, sum_of
from tests.support.statements import camt, entry, mt940, part
from tests.test_house import ROOT

PAYMENTS = """\
Order,Rail,State,Total,Coin,Made,Invoice
A-1,whmcs,pending,25.50,EUR,2026-11-20T10:00:00Z,1007
A-2,whmcs,completed,10.00,EUR,2026-11-20T10:00:00Z,1008
A-3,whmcs,pending,7.00,EUR,2026-11-20T10:00:00Z,1009
A-4,whmcs,completed,7.00,EUR,2026-11-20T10:00:00Z,1010
A-5,whmcs,completed,5.00,EUR,2026-11-20T10:00:00Z,1011
A-6,whmcs,pending,9.00,EUR,2026-11-20T10:00:00Z,1012
"""
MAPPING = """\
name = "portal"
taken_at = 2026-11-20T23:00:00Z

[payments]
file = "payments.csv"
complete = true
[payments.columns]
id = "Order"
provider = "Rail"
status = "State"
amount = "Total"
currency = "Coin"
created_at = "Made"
external_id = "Invoice"

[[claims]]
provider = "whmcs"
file = "bank.*"
format = "camt.053"
zone = "UTC"
complete = { from = 2026-11-01T00:00:00Z }
columns = { external_id = "remittance" }
find = { external_id = 'INV-(\\d+)' }
"""
PAID = (
    entry("25.50", text="Order INV-1007"),
    entry("10.00", text="inv INV-1008 thanks INV-1008"),
    entry("5.00", text="INV-1011"),
    entry("5.00", text="back: INV-1011", mark="DBIT", reversal=True),
    entry("4.00", text="INV-1012"),
    entry("1.00", text="a gift"),
)
STATEMENT = camt(*PAID, closing="140.50")
EUR = currency_token("EUR").address


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No configuration lies about, and what is written without being told where goes to the test's own folder."""
    monkeypatch.chdir(tmp_path)


def imported(folder: Path, changed: dict[str, Any] | None = None) -> Any:
    folder.mkdir(exist_ok=True)
    files = {"payments.csv": PAYMENTS, "mapping.toml": MAPPING, "bank.xml": STATEMENT, **(changed or {})}
    for name, content in files.items():
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return recon.import_files(folder / "mapping.toml", out=folder / "snapshot")


def judged(folder: Path, changed: dict[str, Any] | None = None) -> Plan:
    imported(folder, changed)
    return recon.plan(folder / "snapshot", out=folder / "plan.json")


def verdicts(plan: Plan) -> dict[str, Verdict]:
    return {each.payment_id: each.verdict for each in plan.findings}


def test_money_on_no_chain_is_judged_by_the_statement_alone(tmp_path: Path) -> None:
    plan = judged(tmp_path)
    assert verdicts(plan) == {
        "A-1": Verdict.LOCAL_BEHIND,
        "A-4": Verdict.LOCAL_AHEAD,
        "A-5": Verdict.REFUND_DRIFT,
        "A-6": Verdict.UNDERPAID,
    }
    assert plan.summary["verdicts"] == {
        "local_behind": 1, "local_ahead": 1, "refund_drift": 1, "in_sync": 1, "in_transit": 1, "underpaid": 1,
    }  # fmt: skip
    behind = next(each for each in plan.findings if each.payment_id == "A-1")
    assert behind.tier is Tier.REVIEW, "a word is never applied without being picked"
    assert behind.reason == (
        "whmcs says that 25.5 of 25.5 EUR came, and the row is pending; the money is in its books, and on no chain."
    )
    (change,) = plan.changes
    assert [item.path for item in change.sets] == ["status"], "where nothing is held, no escrow state is set"
    assert set(plan.summary["value_at_risk"]) == {f"{OFF_CHAIN}:{EUR}"}
    assert plan.is_read_whole


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        (camt(*PAID, closing="140.51"), "comes to 140.50 EUR with its 6 entries, and closes with 140.51 EUR"),
        (camt(*PAID, closing="140.50").replace(b"<Cd>CLBD</Cd>", b"<Cd>ITBD</Cd>"), "has no closing balance"),
    ],
)
def test_a_statement_that_does_not_add_up_proves_no_absence(tmp_path: Path, changed: bytes, told: str) -> None:
    snapshot = imported(tmp_path, {"bank.xml": changed})
    (gap,) = [row for row in snapshot.table("gaps").to_pylist() if row["source"] == "whmcs"]
    assert told in gap["reason"]
    found = verdicts(recon.plan(tmp_path / "snapshot", out=tmp_path / "plan.json"))
    assert found["A-4"] is Verdict.LOOKUP_FAILED, "not in the statement is no 'no' now"
    assert found["A-1"] is Verdict.LOCAL_BEHIND, "what stands there is believed"


def test_days_that_no_statement_covers_are_a_gap(tmp_path: Path) -> None:
    later = MAPPING.replace("2026-11-20T23", "2026-11-22T23")
    snapshot = imported(tmp_path, {"mapping.toml": later})
    (gap,) = [row for row in snapshot.table("gaps").to_pylist() if row["source"] == "whmcs"]
    assert "the statements cover 2026-11-20 to 2026-11-20" in gap["reason"]


def test_a_statement_that_was_delivered_twice_counts_once(tmp_path: Path) -> None:
    once, twice = judged(tmp_path / "a"), judged(tmp_path / "b", {"bank.2.xml": STATEMENT})
    assert verdicts(once) == verdicts(twice)
    assert once.summary["verdicts"] == twice.summary["verdicts"]


@pytest.mark.parametrize(
    ("second", "told"),
    [
        (camt(*PAID[:5], closing="139.50"), "with other contents"),
        (camt(*PAID, closing="140.50", name="S-1-copy"), "it would count twice"),
    ],
)
def test_the_same_money_in_another_statement_is_refused(tmp_path: Path, second: bytes, told: str) -> None:
    with pytest.raises(MappingError, match=told):
        imported(tmp_path, {"bank.2.xml": second})
    assert not (tmp_path / "snapshot").exists()


def test_one_movement_for_two_payments_settles_neither(tmp_path: Path) -> None:
    both = camt(entry("32.50", text="INV-1007 and INV-1009"), closing="132.50")
    found = verdicts(judged(tmp_path, {"bank.xml": both}))
    assert found["A-1"] is found["A-3"] is Verdict.UNPROVEN


def test_payments_of_a_batch_are_each_their_own(tmp_path: Path) -> None:
    parts = (part("25.50", "E", "INV-1007"), part("7.00", "F", "INV-1009"))
    plan = judged(tmp_path, {"bank.xml": camt(entry("32.50", parts=parts), closing="132.50")})
    assert {each.payment_id for each in plan.changes} == {"A-1", "A-3"}


def test_what_is_only_announced_is_no_money_and_no_absence(tmp_path: Path) -> None:
    pending = camt(entry("25.50", text="INV-1007", state="PDNG"), entry("1.00"), closing="101.00")
    assert verdicts(judged(tmp_path, {"bank.xml": pending}))["A-1"] is Verdict.UNPROVEN


def test_another_currency_is_no_money_for_the_payment(tmp_path: Path) -> None:
    dollars = camt(entry("25.50", text="INV-1007", currency="USD"), closing="125.50").replace(b'"EUR"', b'"USD"')
    assert Verdict.LOCAL_BEHIND not in verdicts(judged(tmp_path, {"bank.xml": dollars})).values()


def test_mt940_is_read_as_camt_is(tmp_path: Path) -> None:
    lines = (
        ("C25,50", "NONREF", "Order INV-1007"), ("C10,00", "NONREF", "INV-1008"), ("C5,00", "NONREF", "INV-1011"),
        ("RC5,00", "NONREF", "INV-1011"), ("C4,00", "NONREF", "INV-1012"), ("C1,00", "NONREF", "a gift"),
    )  # fmt: skip
    mapping = MAPPING.replace("camt.053", "mt940").replace("bank.*", "bank.sta")
    other = judged(tmp_path / "b", {"bank.sta": mt940(*lines, closing="140,50"), "mapping.toml": mapping})
    assert verdicts(other) == verdicts(judged(tmp_path / "a"))


def test_entries_are_transfers_too_where_a_reference_names_them(tmp_path: Path) -> None:
    reference = "a1b2c3d4e5f60718"
    payments = PAYMENTS.replace("Made,Invoice", "Made,Invoice,Ref,To").replace(",1007", f",1007,{reference},DE89")
    lines = [line if line.count(",") == 8 else f"{line},," for line in payments.splitlines()]
    table = "\n".join(lines).replace("DE89", account_address("DE89"))
    first, _, claims = MAPPING.partition("[[claims]]")
    columns = first.replace("[payments.columns]", '[payments.columns]\nreference = "Ref"\nrecipient = "To"')
    moved = claims.replace('provider = "whmcs"\n', "").replace("external_id", "reference")
    moved = moved.replace("INV-(\\d+)", "[0-9a-f]{16}")
    statement = camt(entry("25.50", text=f"ref {reference}"), closing="125.50")
    mapping = f"{columns}[[transfers]]{moved}"
    snapshot = imported(tmp_path, {"payments.csv": table, "mapping.toml": mapping, "bank.xml": statement})
    (row,) = snapshot.read("transfers").to_pylist()
    assert (row["chain_id"], int(row["amount_units"]), row["final"]) == (OFF_CHAIN, 2550, True)
    assert row["recipient"] == account_address("DE89")
    plan = recon.plan(tmp_path / "snapshot", out=tmp_path / "plan.json")
    assert verdicts(plan)["A-1"] is Verdict.LOCAL_BEHIND


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('zone = "UTC"\n', "", 'need a zone, such as zone = "UTC"'),
        ('"remittance"', '"memo"', "a bank statement has no column 'memo'; there are account, "),
        ("'INV-(\\d+)'", "'INV-('", "it is no regular expression"),
        ("bank.*", "gone.*", "it stands for 0 files"),
        ("camt.053", "mt940", "no line :20:"),
    ],
)
def test_a_mapping_that_cannot_be_meant_is_refused(tmp_path: Path, old: str, new: str, told: str) -> None:
    with pytest.raises(MappingError) as refused:
        imported(tmp_path, {"mapping.toml": MAPPING.replace(old, new)})
    assert told in str(refused.value)


def test_a_reference_with_control_characters_is_refused_by_its_place(tmp_path: Path) -> None:
    odd = camt(entry("1.00", text="a\u202eb"), closing="101.00")
    with pytest.raises(BadRowsError, match=r"bank\.xml, statement S-1, entry 1: column 'remittance'"):
        imported(tmp_path, {"bank.xml": odd})


def test_the_page_names_every_column_of_a_statement() -> None:
    page = (ROOT / "docs" / "from-csv.md").read_text(encoding="utf-8")
    assert [name for name in STATEMENT_COLUMNS if f"`{name}`" not in page] == []


def test_sums_of_a_name_are_exact_and_signed() -> None:
    def one(units: int, side: str, *, reversal: str = "false", booked: str = "true") -> NamedEntry:
        cells = {"side": side, "reversal": reversal, "booked": booked, "currency": "EUR"}
        return NamedEntry(cells, units, is_shared=False)

    assert sum_of([one(5, "debit")]) is None, "money that only went out is no claim of a payment"
    part_back = sum_of([one(10**30, "credit"), one(1, "debit", reversal="true")])
    assert part_back is not None and (part_back.net, part_back.state) == (10**30 - 1, "partial")
    given_back = sum_of([one(5, "credit"), one(5, "debit"), one(5, "credit", reversal="true")])
    assert given_back is not None and (given_back.net, given_back.credited, given_back.state) == (5, 5, "paid")
