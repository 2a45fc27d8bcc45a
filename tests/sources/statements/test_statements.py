"""Bank statements: exact, held to their own balances, and hostile text refused."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from recon.sources.statements.camt import StatementError, parse_camt
from recon.sources.statements.mt940 import parse_mt940
from recon.sources.statements.statement import days_covered, doubts_of, told_twice, why_not_whole
from tests.support.statements import camt, entry, mt940, part

DAY = date(2026, 11, 20)


# camt.053


def test_a_statement_is_read_to_the_last_digit() -> None:
    whole = "12345678901234567890.10"
    (read,) = parse_camt(camt(entry(whole, reference="E-1", text="Order INV-7"), closing="12345678901234567990.10"))
    (found,) = read.entries
    assert (found.amount, found.currency, found.is_credit) == (Decimal(whole), "EUR", True)
    assert (found.booked_on, found.valued_on) == (DAY, date(2026, 11, 21)), "booking and value date are two dates"
    assert (found.end_to_end_id, found.remittance, found.counterparty) == ("E-1", "Order INV-7", "Bob")
    assert found.counterparty_account == "DE11"
    assert why_not_whole(read) is None


def test_every_version_and_both_ways_of_writing_a_state_are_read() -> None:
    for version in ("02", "04", "08", "12"):
        content = camt(entry("1.00"), closing="101.00", version=version)
        assert parse_camt(content)[0].entries[0].state == "booked"
        assert (
            parse_camt(content.replace(b"<Sts>BOOK</Sts>", b"<Sts><Cd>BOOK</Cd></Sts>"))[0].entries[0].state == "booked"
        )


def test_a_reversal_takes_the_sign_of_its_own_mark() -> None:
    content = camt(
        entry("5.00", mark="DBIT", reversal=True), entry("2.00", mark="CRDT", reversal=True), closing="97.00"
    )
    (read,) = parse_camt(content)
    assert [(each.signed, each.is_reversal) for each in read.entries] == [(Decimal(-5), True), (Decimal(2), True)]
    assert why_not_whole(read) is None


def test_what_is_announced_or_only_told_does_not_count() -> None:
    content = camt(entry("5.00", state="PDNG"), entry("6.00", state="INFO"), entry("1.00"), closing="101.00")
    (read,) = parse_camt(content)
    assert [each.state for each in read.entries] == ["pending", "information", "booked"]
    assert why_not_whole(read) is None


def test_the_payments_of_a_batch_stand_for_it_where_they_add_up() -> None:
    parts = (part("3.00", "E-1", "INV-1"), part("4.00", "E-2", "INV-2"))
    (read,) = parse_camt(camt(entry("7.00", parts=parts), closing="107.00"))
    assert [(each.amount, each.end_to_end_id, each.part) for each in read.entries] == [
        (Decimal("3.00"), "E-1", 1), (Decimal("4.00"), "E-2", 2),
    ]  # fmt: skip
    assert why_not_whole(read) is None


@pytest.mark.parametrize("parts", [("3.00", "4.01"), ("3.00", "")])
def test_a_batch_that_does_not_add_up_stays_whole_and_names_nobody(parts: tuple[str, str]) -> None:
    listed = tuple(part(amount, f"E-{amount}", "INV-1") for amount in parts)
    (read,) = parse_camt(camt(entry("7.00", parts=listed), closing="107.00"))
    assert [(each.amount, each.end_to_end_id, each.remittance) for each in read.entries] == [(Decimal("7.00"), "", "")]


def test_two_entries_that_are_alike_in_one_statement_are_two_movements() -> None:
    (read,) = parse_camt(camt(entry("5.00"), entry("5.00"), closing="110.00"))
    assert (len(read.entries), why_not_whole(read)) == (2, None)
    assert read.entry_hash(0) != read.entry_hash(1)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b'<!DOCTYPE x [<!ENTITY a "b">]>' + camt(closing="100.00"), "document type"),
        (
            b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;">]>' + camt(closing="100.00"),
            "document type",
        ),
        (b'<!DOCTYPE x SYSTEM "file:///etc/passwd">' + camt(closing="100.00"), "document type"),
        (b"<a>" * 60 + b"</a>" * 60, "nested too deeply"),
        (camt(closing="100.00")[:-20], "no XML"),
        (b"", "no XML"),
        (b"\xff\xfe\x00", "no XML"),
        (b"<html/>", "no camt.053"),
        (camt(closing="100.00").replace(b"camt.053", b"camt.052"), "no camt.053"),
        (camt(entry("1,00"), closing="100.00"), "no amount"),
        (camt(entry("-1.00"), closing="100.00"), "no amount"),
        (camt(entry("1e3"), closing="100.00"), "no amount"),
        (camt(entry("NaN"), closing="100.00"), "no amount"),
        (camt(entry("1.00", mark="credit"), closing="100.00"), "neither CRDT nor DBIT"),
        (camt(entry("1.00", state="WHAT"), closing="100.00"), "not known"),
        (camt(entry("1.00"), closing="100.00").replace(b"2026-11-20", b"2026-13-20"), "no date"),
        (camt(closing="100.00").replace(b"<IBAN>DE89</IBAN>", b""), "names no account"),
    ],
)
def test_what_cannot_be_read_exactly_is_refused_with_a_sentence(content: bytes, told: str) -> None:
    with pytest.raises(StatementError, match=told) as refused:
        parse_camt(content)
    assert len(str(refused.value)) < 400
    assert "passwd" not in str(refused.value)


# MT940


def test_marks_of_reversals_have_the_sign_of_what_moved() -> None:
    lines = (("C25,50", "NONREF", "INV-1"), ("D1,00", "FEE", "fee"), ("RC5,00", "NONREF", "back"), ("RD1,00", "N", "x"))
    (read,) = parse_mt940(mt940(*lines, closing="120,50"))
    assert [(str(each.signed), each.is_reversal) for each in read.entries] == [
        ("25.50", False), ("-1.00", False), ("-5.00", True), ("1.00", True),
    ]  # fmt: skip
    assert why_not_whole(read) is None


def test_a_structured_purpose_gives_payer_and_reference() -> None:
    details = "166?00CREDIT?20EREF+E-7?21SVWZ+Order INV-7?31DE11?32Bob"
    (found,) = parse_mt940(mt940(("C1,00", "NONREF", details), closing="101,00"))[0].entries
    assert (found.end_to_end_id, found.remittance) == ("E-7", "Order INV-7")
    assert (found.counterparty, found.counterparty_account) == ("Bob", "DE11")


def test_the_booking_day_of_a_turn_of_the_year_is_in_the_right_year() -> None:
    content = mt940(("C1,00", "NONREF", "x"), closing="101,00").replace(b":61:2611201120", b":61:2612310102")
    (found,) = parse_mt940(content)[0].entries
    assert (found.valued_on, found.booked_on) == (date(2026, 12, 31), date(2027, 1, 2))


def test_a_text_is_never_taken_for_the_name_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "statement.sta").write_bytes(mt940(closing="100,00"))
    with pytest.raises(StatementError, match="no line :20:"):
        parse_mt940(str(tmp_path / "statement.sta").encode())


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "no line :20:"),
        (b":61:2611201120C1,00NTRFX\n" + mt940(closing="100,00"), "before the first"),
        (mt940(("X1,00", "N", "x"), closing="101,00"), "without a plain date, mark and amount: 1 of 1"),
        (mt940(("C1,0,0", "N", "x"), closing="101,00"), "without a plain date, mark and amount"),
        (mt940(("C1.00", "N", "x"), closing="101,00"), "without a plain date, mark and amount"),
        (mt940(("C1,00", "N", "x"), closing="101,00").replace(b":25:DE89", b":25:"), "names no account"),
        (mt940(("C1,00", "N", "x"), closing="101,00").replace(b":62F:C26", b":62F:X26"), "another form"),
        (
            mt940(("C1,00", "N", "x"), ("C1,00", "N", "x"), closing="101,00").replace(b"NTRF", b"\n"),
            "lines :61:",
        ),
    ],
)
def test_a_line_that_a_forgiving_reader_would_lose_is_refused(content: bytes, told: str) -> None:
    with pytest.raises(StatementError, match=told):
        parse_mt940(content)


# what a statement proves


def test_a_statement_whose_balances_do_not_add_up_says_by_how_much() -> None:
    (read,) = parse_camt(camt(entry("5.00"), closing="106.00"))
    assert why_not_whole(read) == (
        "statement S-1 of account DE89 opens with 100.00 EUR, comes to 105.00 EUR with its 1 entry, and closes with "
        "106.00 EUR"
    )


@pytest.mark.parametrize("kind", ["OPBD", "CLBD"])
def test_a_statement_without_a_balance_or_with_two_is_not_whole(kind: str) -> None:
    whole = camt(closing="100.00")
    lacking = whole.replace(f"<Cd>{kind}</Cd>".encode(), b"<Cd>ITBD</Cd>")
    assert "has no" in str(why_not_whole(parse_camt(lacking)[0]))
    begin = whole.index(b"<Bal>")
    one = whole[begin : whole.index(b"</Bal>") + 6]
    twice = whole.replace(one, one + one)
    assert "has no opening" in str(why_not_whole(parse_camt(twice)[0]))


def test_an_amount_in_another_currency_is_not_summed() -> None:
    (read,) = parse_camt(camt(entry("5.00", currency="USD"), closing="105.00"))
    assert "holds an amount in USD" in str(why_not_whole(read))


def test_pages_follow_each_other_by_their_interim_balances() -> None:
    first = mt940(("C1,00", "N", "a"), closing="101,00", number="12/1").replace(b":62F:", b":62M:")
    second = mt940(("C2,00", "N", "b"), opening="101,00", closing="103,00", number="12/2").replace(b":60F:", b":60M:")
    both = parse_mt940(second + first)
    assert doubts_of(both) == ()
    alone = parse_mt940(first + mt940(("C2,00", "N", "b"), opening="150,00", closing="152,00", number="12/3"))
    assert len(doubts_of(alone)) == 1 and "opens with 150.00 EUR" in doubts_of(alone)[0]


def test_a_lost_statement_between_two_shows() -> None:
    first = camt(entry("5.00"), closing="105.00")
    third = camt(entry("1.00"), opening="200.00", closing="201.00", name="S-3", day="2026-11-22")
    assert doubts_of([*parse_camt(first), *parse_camt(third)]) == (
        "statement S-1 of account DE89 closes with 105.00 EUR, and the next one, S-3, opens with 200.00 EUR",
    )


def test_the_same_entry_in_two_statements_would_count_twice() -> None:
    first = parse_camt(camt(entry("5.00"), closing="105.00"))
    again = parse_camt(camt(entry("5.00"), closing="105.00", name="S-1b"))
    assert (
        told_twice([*first, *again]) == "the same entry of 5.00 EUR stands in statement S-1 of account DE89 and in S-1b"
    )
    assert told_twice([*first, *first]) is None


def test_the_days_are_those_that_every_account_covers() -> None:
    one = parse_camt(camt(closing="100.00"))
    assert days_covered(one) is None, "nothing says that the morning of its only day is in it"
    told = parse_camt(camt(entry("1.00"), closing="101.00"))
    assert days_covered(told) == (DAY, DAY), "an entry of that very day does"
    assert days_covered([]) is None
