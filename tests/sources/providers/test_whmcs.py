"""WHMCS: an API of forms that refuses with 200, lists that shift, numbers as texts, and money in its own books.

Each trap that is known of it, and its test:

==== ===============================================================================================
 1a  secrets in the body only, never in an address, an error or a row: test_secrets_stand_in_the_body_alone
 1b  without ``responsetype`` no JSON: test_json_is_asked_for_in_every_call
 1c  an error, or a warning, with 200: test_what_is_no_success_is_no_answer
 1d  403 for an address, wrong credentials, a role: test_a_refusal_says_what_may_be_the_matter_and_ends_it
 1e  a login page with 200, a redirect, XML: test_a_web_page_is_no_answer
 1f  numbers as texts, money never a float: test_numbers_may_be_texts_and_money_is_exact
 1g  empty collections as "", flattened keys, one object for a list: test_every_shape_of_a_list_is_read
 1h  no zone, ``0000-00-00``: test_times_are_of_the_installation_and_never_is_no_time
 2a  no filter by date, a list that shifts, a wrong count: test_a_list_that_shifts_is_not_complete
 2b  a late payment of an old invoice: test_an_old_invoice_is_found_by_asking_for_it
 2c  ``Overdue`` is a filter, unknown words: test_a_word_that_is_not_known_is_told
 2d  paid is in less out and credit; the word and the money may differ: test_the_money_and_the_word
 2e  refunds are rows of their own: test_the_money_and_the_word
 2f  money without an invoice: test_credit_of_a_client_is_no_money_of_an_invoice
 2g  ``transid`` is empty or twice: test_a_transaction_is_known_by_its_own_id
 2h  two currencies: test_two_currencies_are_no_sum
 2i  a whole table at once, or too much of it: test_transactions_that_cannot_be_read_leave_the_money_open
 5   slow, cut off, garbage: tests of the contract, test_the_contract_holds_when_it_is_cut_off
 6a  mass payment: test_a_mass_payment_counts_once
 6b  marked as paid without money: test_the_money_and_the_word
==== ===============================================================================================
"""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from recon.core.registry import load_registry
from recon.core.registry.off_chain import OFF_CHAIN, currency_token, with_books
from recon.sources.http import Clock, Secret
from recon.sources.interface import ClaimKey, Reading, no_progress
from recon.sources.providers.installed import providers
from recon.sources.providers.polite import CredentialsRefusedError, ProviderUnusableError
from recon.sources.providers.whmcs.api import OVERLAP, PAGE_ROWS, Whmcs, WhmcsSettings
from recon.testing import check_provider
from tests.support.provider_servers import FakeClock, in_memory
from tests.support.whmcs import Body, Odd, WhmcsServer, invoice, transaction

FROM_MS, TO_MS = 1_795_000_000_000, 1_795_176_000_000


def source_of(server: WhmcsServer, **settings: Any) -> Whmcs:
    fake = FakeClock()
    given = {
        "base_url": "https://billing.test", "identifier": Secret("idn-1"), "secret": Secret("sec-2"),
        "accesskey": Secret("acc-3"), "rate_per_s": 1000.0, **settings,
    }  # fmt: skip
    return Whmcs(
        WhmcsSettings(**given),
        registry=with_books(load_registry(), ("USD", "JPY")),
        transport=in_memory(server.handler),
        clock=Clock(now_ms=fake.now_ms, monotonic=fake.monotonic, sleep=fake.sleep),
    )


def window(server: WhmcsServer, **settings: Any) -> Reading:
    return source_of(server, **settings).read_window(FROM_MS, TO_MS, progress=no_progress)


def rows(reading: Reading) -> dict[str, Body]:
    return {row["claim_id"]: row for row in reading.tables["claims"].to_pylist()}


def look_up(server: WhmcsServer, *ids: str, **settings: Any) -> Reading:
    keys = [ClaimKey(payment_id=f"p{each}", external_id=each) for each in ids]
    return source_of(server, **settings).look_up(keys, progress=no_progress)


def one(server: WhmcsServer, number: str = "7") -> Body:
    (row,) = look_up(server, number).tables["claims"].to_pylist()
    return dict(row)


def problems(reading: Reading) -> str:
    return " ".join(str(row.problem) for row in reading.coverage if not row.complete)


# transport


def test_secrets_stand_in_the_body_alone() -> None:
    server = WhmcsServer(
        [], odd=lambda action, body: {"result": "error", "message": "idn-1 and sec-2 and acc-3 failed"}
    )
    reading = window(server)
    assert server.asked[0]["identifier"] == "idn-1" and server.asked[0]["accesskey"] == "acc-3"
    assert server.urls == ["https://billing.test/includes/api.php"]
    told = (
        f"{reading.coverage} {reading.gaps} {look_up(server, '7').tables['claims'].to_pylist()} {source_of(server)!r}"
    )
    assert not any(secret in told for secret in ("idn-1", "sec-2", "acc-3"))


def test_json_is_asked_for_in_every_call() -> None:
    server = WhmcsServer([invoice(7)])
    window(server)
    look_up(server, "7")
    assert {form["responsetype"] for form in server.asked} == {"json"}
    assert {form["action"] for form in server.asked} == {"GetInvoices", "GetTransactions", "GetInvoice"}, (
        "it only reads"
    )


@pytest.mark.parametrize(
    "body",
    [
        {"result": "error", "message": "Something went wrong"},
        {"result": "success", "warning": "The operation did not complete"},
        {"warning": "The operation did not complete"},
        {"message": "no result"},
        {"result": "Success "},
        [],
        "text",
    ],
)
def test_what_is_no_success_is_no_answer(body: Any) -> None:
    server = WhmcsServer([invoice(7)], odd=lambda action, given: httpx.Response(200, json=body))
    reading = window(server)
    assert rows(reading) == {} and len(reading.gaps) == 2
    assert one(server)["outcome"] == "failed"


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (403, "Authentication Failed"), (200, "Authentication Failed"), (200, "Invalid IP 203.0.113.9"),
        (200, 'Invalid Permissions: API action "getinvoices" is not allowed'), (401, "Second factor"),
    ],
)  # fmt: skip
def test_a_refusal_says_what_may_be_the_matter_and_ends_it(status: int, said: str) -> None:
    body = {"result": "error", "message": said}
    server = WhmcsServer([], odd=lambda action, given: httpx.Response(status, json=body))
    with pytest.raises(CredentialsRefusedError, match="only addresses on its list, or with an access key"):
        source_of(server).check()
    server.asked.clear()
    assert {row["outcome"] for row in rows(look_up(server, "7", "8", "9")).values()} == {"failed"}
    assert len(server.asked) == 1, "nothing more is asked after a refusal"


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, html="<html><body>Login</body></html>"),
        httpx.Response(302, headers={"location": "https://billing.test/login.php"}),
        httpx.Response(200, text="<?xml version='1.0'?><whmcsapi/>"),
        httpx.Response(200, text="result=success;totalresults=0"),
        httpx.Response(404, html="<html>moved</html>"),
        httpx.Response(200, text=""),
    ],
)
def test_a_web_page_is_no_answer(answer: httpx.Response) -> None:
    server = WhmcsServer([], odd=lambda action, given: answer)
    with pytest.raises(ProviderUnusableError):
        source_of(server, retries_max=0).check()
    assert one(server)["outcome"] == "failed"
    assert problems(window(server, retries_max=0))


def test_numbers_may_be_texts_and_money_is_exact() -> None:
    def as_texts(action: str, body: Body) -> Body:
        told: Body = _told_in_texts(body)
        return told

    big = "12345678901234567890.10"
    billed = invoice(7, subtotal=big, total=big, status="Paid")
    plain, texts = (WhmcsServer([billed], [transaction(1, 7, big)], odd=odd) for odd in (None, as_texts))
    found = [{**rows(window(each))["7"], "digest": None} for each in (plain, texts)]
    assert found[0] == found[1]
    assert int(found[0]["paid_units"]) == 1234567890123456789010
    assert (found[0]["chain_id"], found[0]["token"]) == (OFF_CHAIN, currency_token("USD").address)
    number = one(WhmcsServer([invoice(7)], odd=lambda action, body: httpx.Response(
        200, text='{"result":"success","invoiceid":7,"status":"Paid","subtotal":0.1,"total":0.10,"credit":0.3,'
        '"transactions":"","currencycode":"USD"}')))  # fmt: skip
    assert int(number["paid_units"]) == 30


def _told_in_texts(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _told_in_texts(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_told_in_texts(each) for each in value]
    return str(value)


def test_yen_have_two_decimals_in_its_answers() -> None:
    row = one(WhmcsServer([invoice(7, currencycode="JPY", status="Paid")], [transaction(1, 7)]))
    assert (int(row["paid_units"]), row["token"]) == (10_000, currency_token("JPY").address)


@pytest.mark.parametrize(
    "shape",
    [
        lambda listed: {"transactions": {"transaction": listed}},
        lambda listed: {"transactions": {"transaction": listed[0]}},
        lambda listed: {"transactions": listed},
        lambda listed: {f"transactions[transaction][0][{key}]": value for key, value in listed[0].items()},
    ],
)
def test_every_shape_of_a_list_is_read(shape: Any) -> None:
    def odd(action: str, body: Body) -> Body:
        listed = body.pop("transactions")["transaction"]
        return {**body, **shape(listed)}

    assert int(one(WhmcsServer([invoice(7, status="Paid")], [transaction(1, 7)], odd=odd))["paid_units"]) == 10_000


@pytest.mark.parametrize("shape", ["", None, [], {}, {"transaction": ""}, {"transaction": []}])
def test_an_empty_list_has_many_shapes(shape: Any) -> None:
    row = one(WhmcsServer([invoice(7)], odd=lambda action, body: {**body, "transactions": shape}))
    assert (row["state"], int(row["paid_units"]), row["problem"]) == ("unpaid", 0, None)


@pytest.mark.parametrize("shape", ["none", 3, [1], {"transaction": 3}])
def test_a_list_of_another_shape_is_not_taken_for_empty(shape: Any) -> None:
    row = one(WhmcsServer([invoice(7)], odd=lambda action, body: {**body, "transactions": shape}))
    assert (row["problem"], row["paid_units"]) == ("payments_unread", None)


def test_times_are_of_the_installation_and_never_is_no_time() -> None:
    server = WhmcsServer([invoice(7, created_at="2026-11-20 08:00:00")])
    assert rows(window(server, zone="Asia/Tokyo"))["7"]["created_at"] == 1_795_129_200_000
    assert rows(window(server))["7"]["created_at"] == 1_795_129_200_000 + 9 * 3_600_000
    never = WhmcsServer([invoice(7, created_at="0000-00-00 00:00:00", date="0000-00-00")])
    assert rows(window(never))["7"]["created_at"] is None


# lists


def many(count: int) -> list[Body]:
    return [invoice(number, date=f"2026-11-{1 + number % 19:02d}") for number in range(1, count + 1)]


def test_pages_overlap_and_each_invoice_counts_once() -> None:
    server = WhmcsServer(many(3 * PAGE_ROWS))
    reading = source_of(server).read_window(0, TO_MS, progress=no_progress)
    starts = [form["limitstart"] for form in server.asked if form["action"] == "GetInvoices"]
    assert starts[:2] == ["0", str(PAGE_ROWS - OVERLAP)]
    assert all(row.complete for row in reading.coverage)
    assert len(rows(reading)) == 3 * PAGE_ROWS


def test_reading_stops_at_the_first_page_that_is_older_than_the_window() -> None:
    old = [invoice(number, date="2025-01-01") for number in range(1, 1001)]
    server = WhmcsServer([*old, invoice(2000)])
    reading = window(server)
    assert "2000" in rows(reading)
    assert len(server.asked) == 2, "one page of invoices and the transactions"


def shifting(server: WhmcsServer, *, by: str) -> Odd:
    def odd(action: str, body: Body) -> Body:
        if action == "GetInvoices" and int(body["startnumber"]) == 0:
            if by == "made":
                server.answers.invoices.append(invoice(9999))
            else:
                del server.answers.invoices[-PAGE_ROWS:]
        return body

    return odd


@pytest.mark.parametrize("by", ["made", "deleted"])
def test_a_list_that_shifts_is_not_complete(by: str) -> None:
    server = WhmcsServer([invoice(number) for number in range(1, 3 * PAGE_ROWS)])
    server.odd = shifting(server, by=by)
    reading = window(server)
    assert "it shifted" in problems(reading) and rows(reading) == {}


@pytest.mark.parametrize(
    ("told", "said"), [("500", "counts 500 invoices"), ("many", "and its count"), (None, "and its")]
)
def test_a_wrong_count_is_not_complete(told: Any, said: str) -> None:
    server = WhmcsServer([invoice(7)], odd=lambda action, body: {**body, "totalresults": told})
    assert said in problems(window(server))


def test_a_page_that_does_not_overlap_is_told() -> None:
    def odd(action: str, body: Body) -> Body:
        if action == "GetInvoices" and body["startnumber"]:
            for row in body["invoices"]["invoice"]:
                row["id"] = int(row["id"]) + 100_000
        return body

    reading = window(WhmcsServer([invoice(number) for number in range(1, 3 * PAGE_ROWS)], odd=odd))
    assert "does not overlap" in problems(reading)


def test_an_old_invoice_is_found_by_asking_for_it() -> None:
    server = WhmcsServer([invoice(7, date="2019-01-01", status="Paid"), *many(150)], [transaction(1, 7)])
    assert "bulk" not in {row.scope for row in window(server).coverage}, "a window's silence is no answer"
    assert one(server)["state"] == "paid"


def test_what_was_asked_and_is_not_there_is_not_found() -> None:
    server = WhmcsServer([invoice(7)])
    found = rows(look_up(server, "7", "8", "x", "12345678901234567890"))
    assert {key: row["outcome"] for key, row in found.items()} == {
        "7": "found", "8": "not_found", "x": "failed", "12345678901234567890": "failed",
    }  # fmt: skip


def test_an_answer_about_another_invoice_is_none() -> None:
    server = WhmcsServer([invoice(7)], odd=lambda action, body: {**body, "invoiceid": 8})
    assert one(server)["outcome"] == "failed"


def test_look_ups_beyond_the_limit_are_not_asked() -> None:
    server = WhmcsServer([invoice(7), invoice(8)])
    found = rows(look_up(server, "7", "8", lookups_max=1))
    assert [row["outcome"] for row in found.values()] == ["found", "failed"]
    assert "lookups_max" in found["8"]["error"]


# money


@pytest.mark.parametrize(
    ("status", "over", "moved", "state", "units", "problem"),
    [
        ("Unpaid", {}, (), "unpaid", 0, None),
        ("Draft", {}, (), "unpaid", 0, None),
        ("Collections", {}, (), "unpaid", 0, None),
        ("Payment Pending", {}, (), "processing", 0, None),
        ("Cancelled", {}, (), "cancelled", 0, None),
        ("Paid", {}, (("100.00", "0.00"),), "paid", 10_000, None),
        ("Paid", {}, (("60.00", "0.00"), ("40.00", "0.00")), "paid", 10_000, None),
        ("Paid", {}, (("90.00", "0.00"),), "paid", 9_000, None),
        ("Paid", {}, (("110.00", "0.00"),), "overpaid", 11_000, None),
        ("Paid", {}, (), "paid", 0, None),
        ("Paid", {}, (("0.00", "0.00"),), "paid", 0, None),
        ("Paid", {"credit": "30.00", "total": "70.00"}, (("70.00", "0.00"),), "paid", 10_000, None),
        ("Paid", {"credit": "100.00", "total": "0.00"}, (), "paid", 10_000, None),
        ("Paid", {"subtotal": "92.59", "tax": "7.41"}, (("100.00", "0.00"),), "paid", 10_000, None),
        ("Unpaid", {}, (("40.00", "0.00"),), "partial", 4_000, None),
        ("Unpaid", {}, (("100.00", "0.00"),), "unpaid", 10_000, "state_conflict"),
        ("Cancelled", {}, (("100.00", "0.00"),), "cancelled", 10_000, "state_conflict"),
        ("Paid", {}, (("100.00", "0.00"), ("0.00", "100.00")), "refunded", 0, None),
        ("Paid", {}, (("100.00", "0.00"), ("0.00", "30.00")), "partial", 7_000, None),
        ("Refunded", {}, (("100.00", "0.00"), ("0.00", "30.00")), "partial", 7_000, None),
        ("Paid", {}, (("100.00", "0.00"), ("100.00", "0.00"), ("0.00", "100.00")), "paid", 10_000, None),
        ("Refunded", {}, (), "refunded", 0, None),
        ("Refunded", {}, (("100.00", "0.00"), ("0.00", "100.00")), "refunded", 0, None),
        ("Paid", {"total": "99.00"}, (("100.00", "0.00"),), "paid", 10_000, "sum_disagrees"),
        ("Paid", {"balance": "10.00"}, (("100.00", "0.00"),), "paid", 10_000, "sum_disagrees"),
        ("Paid", {}, (("1e2", "0.00"),), "paid", None, "amount_unreadable"),
        ("Paid", {}, (("100.001", "0.00"),), "paid", None, "amount_unreadable"),
        ("Paid", {}, (("-100.00", "0.00"),), "paid", None, "amount_unreadable"),
        ("Paid", {"credit": "?"}, (), "paid", None, "amount_unreadable"),
        ("Paid", {"subtotal": "100,00", "total": "x"}, (), "paid", 0, "amount_unreadable"),
        ("Paid", {"currencycode": "XXX"}, (("100.00", "0.00"),), "paid", None, "token_unknown"),
    ],
)
def test_the_money_and_the_word(
    status: str, over: Body, moved: tuple[tuple[str, str], ...], state: str, units: int | None, problem: str | None
) -> None:
    own = [transaction(number, 7, came, amountout=out) for number, (came, out) in enumerate(moved, start=1)]
    server = WhmcsServer([invoice(7, status=status, **over)], own)
    for row in (one(server), rows(window(server))["7"]):
        paid = None if row["paid_units"] is None else int(row["paid_units"])
        assert (row["state"], paid, row["problem"], row["state_raw"]) == (state, units, problem, status)


@pytest.mark.parametrize("word", ["Overdue", "Bezahlt", "paid!"])
def test_a_word_that_is_not_known_is_told(word: str) -> None:
    row = one(WhmcsServer([invoice(7, status=word)]))
    assert (row["state"], row["state_raw"], row["problem"]) == ("unknown", word, "unknown_word")


def test_a_mass_payment_counts_once() -> None:
    settled = [invoice(n, status="Paid", credit="100.00", total="0.00") for n in (7, 8)]
    mass = invoice(9, status="Paid", subtotal="200.00", total="200.00")
    found = rows(window(WhmcsServer([*settled, mass], [transaction(1, 9, "200.00")])))
    assert {key: int(row["paid_units"]) for key, row in found.items()} == {"7": 10_000, "8": 10_000, "9": 20_000}
    assert not providers()["whmcs"].is_ours, "the invoice that pays others is no payment that we lack"


def test_credit_of_a_client_is_no_money_of_an_invoice() -> None:
    found = rows(window(WhmcsServer([invoice(7)], [transaction(1, 0)])))
    assert int(found["7"]["paid_units"]) == 0


def test_a_transaction_is_known_by_its_own_id() -> None:
    same = [transaction(1, 7, "50.00", transid=""), transaction(2, 7, "50.00", transid="")]
    found = rows(window(WhmcsServer([invoice(7, status="Paid")], [*same, same[0]])))
    assert int(found["7"]["paid_units"]) == 10_000, "two without a gateway's id are two, and one given twice is one"


def test_a_transaction_that_an_invoice_lists_twice_counts_once() -> None:
    """In the answer about one invoice as in the list of all; one id of two different amounts leaves the money open."""
    paid = invoice(7, status="Paid")
    assert int(one(WhmcsServer([paid], [transaction(1, 7), transaction(1, 7)]))["paid_units"]) == 10_000
    torn = WhmcsServer([paid], [transaction(1, 7), transaction(1, 7, "1.00")])
    assert (one(torn)["paid_units"], one(torn)["problem"]) == (None, "payments_unread")
    assert "two different transactions under one id" in problems(window(torn))


def test_two_currencies_are_no_sum() -> None:
    moved = [transaction(1, 7, "50.00", currency="1"), transaction(2, 7, "50.00", currency="2")]
    assert one(WhmcsServer([invoice(7, status="Paid")], moved))["problem"] == "several_tokens"


def test_transactions_that_cannot_be_read_leave_the_money_open() -> None:
    def odd(action: str, body: Body) -> Body | httpx.Response:
        return body if action != "GetTransactions" else httpx.Response(500)

    reading = window(WhmcsServer([invoice(7, status="Paid")], [transaction(1, 7)], odd=odd), retries_max=0)
    assert rows(reading)["7"]["problem"] == "payments_unread"
    assert {row.scope: row.complete for row in reading.coverage} == {"invoices": True, "transactions": False}


def test_it_says_what_it_has() -> None:
    assert source_of(WhmcsServer([invoice(7)])).check() == "whmcs at https://billing.test answers and has 1 invoice."


def test_the_contract_holds_when_it_is_cut_off() -> None:
    server = WhmcsServer([invoice(number) for number in range(1, 2 * PAGE_ROWS)], [transaction(1, 7)])
    check_provider(providers()["whmcs"], answers=server.handler, known=[ClaimKey(payment_id="p", external_id="7")])
