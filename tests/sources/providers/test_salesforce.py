"""Salesforce: orders by query, tokens that end, errors in lists, a quota for the day, and numbers with an exponent.

Each trap that is known of it (section 3 of the facts, and its public documentation), and its test:

==== ===============================================================================================
 3a  a token by OAuth, its errors in another shape: test_no_token_says_why_and_shows_no_secret
 3b  two thousand rows a page, the rest by ``nextRecordsUrl``: test_every_page_is_read
 3c  a page may hold fewer, the list may end early or lie: test_a_list_that_is_not_whole_is_no_list
 3d  errors are lists: test_an_error_is_told_with_what_to_do
 3e  ``INVALID_SESSION_ID``: test_a_token_that_ended_is_renewed_once_and_not_for_ever
 3f  ``REQUEST_LIMIT_EXCEEDED`` and ``Sforce-Limit-Info``: test_the_calls_of_the_day_are_left_to_the_portal
 3g  ids of 15 and of 18 characters, in which case matters: test_an_id_has_two_lengths_and_its_case_matters
 3h  times with ``+0000``: test_a_time_is_read_with_its_zone_and_asked_in_utc
 3i  words of status and delivery: test_an_order_is_what_its_words_say
 3j  ``PAYMENT_METHOD_MISSING`` pauses: test_an_order_that_cannot_be_billed_waits_for_billing
 3k  no order of the billing system: test_what_is_delivered_names_what_it_was_billed_by
 3l  deleted rows: test_a_deleted_order_is_found_and_one_that_is_gone_is_not
 3m  sums are doubles in JSON, large ones with an exponent: test_a_sum_is_exact_or_not_read
 3n  one currency, or a field for it: test_a_currency_is_asked_for_only_where_there_are_several
 3o  a field that is not there: test_a_field_that_is_not_there_is_told_by_name
 3p  a login page, a redirect: test_a_web_page_is_no_answer
 3q  a token by key or by refresh token: test_a_signed_assertion_is_sent_and_nothing_that_is_secret_for_longer
 3r  a refusal that quotes what was sent: test_a_refusal_that_quotes_all_that_was_sent_shows_none_of_it
 3s  replay ids jump, and prove nothing: test_a_jump_is_no_proof_and_says_from_where_to_read_again
 3t  events are kept 72 hours: test_what_is_older_than_events_are_kept_cannot_be_told
 3u  a replay id that is no number: test_a_position_that_is_no_number_is_compared_with_nothing
 3v  lost events are told by the stream: test_what_the_stream_itself_says_is_lost_leaves_it_open
 4   orders and invoices side by side: test_orders_and_invoices_are_planned_picked_applied_and_taken_back
 4a  an order that is stuck, and why: test_why_an_order_is_stuck_is_told
 4b  neither side answers: test_orders_that_cannot_be_asked_for_prove_nothing
 5   slow, cut off, garbage: tests of the contract, test_the_contract_holds_when_it_is_cut_off
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
from recon.sources.providers.salesforce.api import IDS_A_CALL, Salesforce, SalesforceSettings
from recon.sources.providers.salesforce.login import LoginTerms
from recon.sources.providers.salesforce.orders import OrderFields, OrderReader, whole_id
from recon.sources.providers.salesforce.recorded import error_answer
from recon.testing import check_provider
from tests.support.provider_servers import FakeClock, in_memory
from tests.support.salesforce import Body, SalesforceServer, order, order_id

FROM_MS, TO_MS = 1_795_000_000_000, 1_795_176_000_000
SECRETS = ("client-one", "secret-two", "recorded-token")


def source_of(server: SalesforceServer, *, reader: Any = None, **settings: Any) -> Salesforce:
    fake = FakeClock()
    given = {
        "base_url": "https://portal.test", "login": LoginTerms(Secret(SECRETS[0]), Secret(SECRETS[1])),
        "rate_per_s": 1000.0, "retries_max": 1, **settings,
    }  # fmt: skip
    return Salesforce(
        SalesforceSettings(**given),
        reader=reader or reader_of(),
        transport=in_memory(server.handler),
        clock=Clock(now_ms=fake.now_ms, monotonic=fake.monotonic, sleep=fake.sleep),
    )


def reader_of(*, currencies: tuple[str, ...] = ("USD",), **given: Any) -> OrderReader:
    return OrderReader(with_books(load_registry(), currencies), currencies, **given)


def window(server: SalesforceServer, **given: Any) -> Reading:
    return source_of(server, **given).read_window(FROM_MS, TO_MS, progress=no_progress)


def look_up(server: SalesforceServer, *ids: str, **given: Any) -> Reading:
    keys = [ClaimKey(payment_id=f"p{each}", external_id=each) for each in ids]
    return source_of(server, **given).look_up(keys, progress=no_progress)


def rows(reading: Reading) -> dict[str, Body]:
    return {row["claim_id"]: row for row in reading.tables["claims"].to_pylist()}


def one(record: Body, **given: Any) -> Body:
    (row,) = look_up(SalesforceServer([record]), record["Id"], **given).tables["claims"].to_pylist()
    return dict(row)


def problems(reading: Reading) -> str:
    return " ".join(str(row.problem) for row in reading.coverage if not row.complete)


# tokens, errors, limits


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (httpx.Response(400, json={"error": "invalid_client_id", "error_description": "client-one is none"}), "*** is"),
        (httpx.Response(400, json={"error": "invalid_grant", "error_description": "no user"}), "no user"),
        (httpx.Response(401, json={"error": "invalid_client"}), "invalid_client"),
    ],
)
def test_no_token_says_why_and_shows_no_secret(answer: httpx.Response, said: str) -> None:
    server = SalesforceServer([order(1)], odd=lambda path, body: answer if "token" in path else body)
    with pytest.raises(CredentialsRefusedError) as refusal:
        source_of(server).check()
    assert said in str(refusal.value)
    reading = look_up(server, order_id(1), order_id(2))
    told = f"{refusal.value} {reading.coverage} {reading.tables['claims'].to_pylist()} {source_of(server)!r}"
    assert not any(secret in told for secret in SECRETS)
    assert {row["outcome"] for row in rows(reading).values()} == {"failed"}


@pytest.mark.parametrize("token", [None, "", 7, "two words", "new\nline", "é"])
def test_a_token_that_is_none_is_not_used(token: Any) -> None:
    server = SalesforceServer([order(1)], odd=lambda path, body: {"access_token": token} if "token" in path else body)
    assert "gives no token" in problems(window(server))


def test_secrets_stand_in_the_form_and_the_header_alone() -> None:
    echo = error_answer(400, "MALFORMED_QUERY", message="Bearer recorded-token: client-one secret-two recorded-token")
    server = SalesforceServer([order(1)], odd=lambda path, body: body if "token" in path else echo)
    reading = window(server)
    assert "***" in problems(reading) and not any(secret in problems(reading) for secret in SECRETS)
    assert not any(secret in " ".join((*server.asked, *server.queries)) for secret in SECRETS)
    assert server.methods == {"POST oauth2", "GET data"}, "it is only read"


def test_a_token_that_ended_is_renewed_once_and_not_for_ever() -> None:
    server = SalesforceServer([order(number) for number in range(1, 6)], page_rows=2)
    server.odd = ended_after(server, times=1)
    reading = window(server)
    assert len(rows(reading)) == 5 and reading.coverage[0].complete
    assert sum("token" in path for path in server.asked) == 2
    server = SalesforceServer([order(1)])
    server.odd = lambda path, body: (
        body if "token" in path else error_answer(401, "INVALID_SESSION_ID", message="expired")
    )
    reading = look_up(server, *[order_id(number) for number in range(1, 900)])
    assert "INVALID_SESSION_ID" in problems(reading)
    assert len(server.asked) <= 4, "and no more is asked"


def ended_after(server: SalesforceServer, *, times: int) -> Any:
    left = [times]

    def odd(path: str, body: Any) -> Any:
        if "/query/" in path and left[0]:
            left[0] -= 1
            return error_answer(401, "INVALID_SESSION_ID", message="Session expired or invalid")
        return body

    return odd


@pytest.mark.parametrize(
    ("status", "code", "told"),
    [
        (403, "REQUEST_LIMIT_EXCEEDED", "calls of the day are used up"),
        (403, "API_DISABLED_FOR_ORG", "nobody in by its API"),
        (400, "INVALID_TYPE", "object_name"),
        (404, "NOT_FOUND", "api_version"),
        (500, "UNKNOWN_EXCEPTION", "UNKNOWN_EXCEPTION: why"),
        (503, "SERVER_UNAVAILABLE", "SERVER_UNAVAILABLE: why"),
        (400, "QUERY_TIMEOUT", "QUERY_TIMEOUT: why"),
    ],
)
def test_an_error_is_told_with_what_to_do(status: int, code: str, told: str) -> None:
    server = SalesforceServer([order(1)])
    server.odd = lambda path, body: body if "token" in path else error_answer(status, code, message="why")
    assert told in problems(window(server))
    assert rows(look_up(server, order_id(1)))[order_id(1)]["outcome"] == "failed", "an error is no absence"


def test_the_calls_of_the_day_are_left_to_the_portal() -> None:
    server = SalesforceServer([order(number) for number in range(1, 6)], page_rows=2)
    server.usage = "api-usage=3999/5000"
    assert window(server).coverage[0].complete
    assert "3999 of 5000 calls of the day are used" in source_of(server).check()
    server.usage = "api-usage=4000/5000; per-app-api-usage=1/2(appName=x)"
    reading = window(server)
    assert "has used 4000 of 5000 calls of the day, and 80 % is where recon stops" in problems(reading)
    assert rows(reading) == {}
    assert window(server, quota_share_max_percent=81).coverage[0].complete


def test_a_field_that_is_not_there_is_told_by_name() -> None:
    why = "No such column 'Activation_Status__c' on entity 'Order'"
    server = SalesforceServer([order(1)])
    server.odd = lambda path, body: body if "token" in path else error_answer(400, "INVALID_FIELD", message=why)
    with pytest.raises(ProviderUnusableError, match=r"Activation_Status__c.*a field of the settings is not there"):
        source_of(server).check()


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, html="<html><body>Login</body></html>"),
        httpx.Response(302, headers={"location": "https://portal.test/login"}),
        httpx.Response(200, text=""),
        httpx.Response(200, json=["no", "error"]),
        httpx.Response(403, html="<html>down for maintenance</html>"),
    ],
)
@pytest.mark.parametrize("part", ["token", "data"])
def test_a_web_page_is_no_answer(answer: httpx.Response, part: str) -> None:
    server = SalesforceServer([order(1)], odd=lambda path, body: answer if part in path else body)
    with pytest.raises((ProviderUnusableError, CredentialsRefusedError)):
        source_of(server).check()
    assert rows(window(server)) == {} and problems(window(server))


# lists


def test_every_page_is_read() -> None:
    server = SalesforceServer([order(number) for number in range(1, 8)], page_rows=3)
    reading = window(server)
    assert sorted(rows(reading)) == sorted(order_id(number) for number in range(1, 8))
    (row,) = reading.coverage
    assert (row.scope, row.complete, row.pages, row.calls) == ("orders", True, 3, 4), "one call is for the token"
    assert "bulk" not in row.scope, "a window's silence is no answer"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"totalSize": 9}, "counts 9 orders and gave 5"),
        ({"totalSize": "5"}, "does not say how many"),
        ({"done": "false"}, "does not say how many"),
        ({"done": True}, "counts 5 orders and gave 2"),
        ({"nextRecordsUrl": None}, "where the list goes on"),
        ({"nextRecordsUrl": "https://evil.test/services/data/v62.0/query/1"}, "where the list goes on"),
        ({"nextRecordsUrl": "/services/data/v62.0/query/../../oauth2/token"}, "where the list goes on"),
        ({"records": None}, "without a list of records"),
        ({"records": [order(1) | {"Id": "x"}]}, "without an id"),
        ({"records": [order(1), order(1, TotalAmount=5)]}, "twice, with different contents"),
        ({"records": [order(1), order(1)]}, "counts 5 orders and gave"),
    ],
)
def test_a_list_that_is_not_whole_is_no_list(change: Body, told: str) -> None:
    server = SalesforceServer([order(number) for number in range(1, 6)], page_rows=2)
    server.odd = lambda path, body: body | change if path.endswith("queryAll") or "totalSize" in change else body
    reading = window(server)
    assert told in problems(reading) and rows(reading) == {} and len(reading.gaps) == 1
    assert not any("evil" in path or "oauth2" in path for path in server.asked[1:])


def test_a_page_that_comes_again_ends_the_reading() -> None:
    server = SalesforceServer([order(number) for number in range(1, 6)], page_rows=2)
    path = "/services/data/v62.0/query/01g000000000000-2"
    server.odd = lambda asked, body: body if "token" in asked else body | {"done": False, "nextRecordsUrl": path}
    assert "over and over" in problems(window(server))


def test_a_list_that_ended_before_it_was_read_is_told() -> None:
    server = SalesforceServer([order(number) for number in range(1, 6)], page_rows=2)
    ended = error_answer(400, "INVALID_QUERY_LOCATOR", message="invalid query locator")
    server.odd = lambda path, body: ended if "/query/" in path else body
    assert "the list ended before it was read whole" in problems(window(server))


def test_an_old_order_is_found_by_asking_for_it_with_two_hundred_others() -> None:
    old = order(1, CreatedDate="2019-01-01T00:00:00.000+0000")
    server = SalesforceServer([old])
    assert rows(window(server)) == {}
    server.asked.clear()
    found = rows(look_up(server, *[order_id(number) for number in range(1, IDS_A_CALL + 2)]))
    assert [row["outcome"] for row in found.values()].count("not_found") == IDS_A_CALL
    assert found[order_id(1)]["outcome"] == "found"
    assert len(server.asked) == 3, "a token and two queries"


def test_an_answer_about_other_orders_is_none() -> None:
    server = SalesforceServer([order(1), order(2)])
    server.odd = lambda path, body: body if "token" in path else body | {"records": [order(2)], "totalSize": 1}
    assert rows(look_up(server, order_id(1)))[order_id(1)]["outcome"] == "failed"


def test_look_ups_beyond_the_limit_are_not_asked() -> None:
    found = rows(look_up(SalesforceServer([order(1), order(2)]), order_id(1), order_id(2), lookups_max=1))
    assert [row["outcome"] for row in found.values()] == ["found", "failed"]
    assert "lookups_max" in found[order_id(2)]["error"]


def test_an_id_has_two_lengths_and_its_case_matters() -> None:
    name = "8015g00000A1b2C"
    whole = str(whole_id(name))
    record = order(1, Id=whole)
    server = SalesforceServer([record, order(2, Id=whole_id(name.swapcase()))])
    found = rows(look_up(server, name, whole, whole.lower(), "8015g00000A1b2CAAA", "", "801'5g00000A1b2"))
    assert {key: row["outcome"] for key, row in found.items()} == {
        name: "found", whole: "found", whole.lower(): "failed", "8015g00000A1b2CAAA": "failed",
        "801'5g00000A1b2": "failed", "p": "failed",
    }  # fmt: skip
    assert found[name]["external_id"] == name, "it is told under the name by which the row knows it"
    assert "'801'5" not in " ".join(server.queries)


def test_a_time_is_read_with_its_zone_and_asked_in_utc() -> None:
    server = SalesforceServer([order(1, CreatedDate="2026-11-20T08:00:00.000+0900")])
    assert rows(window(server))[order_id(1)]["created_at"] == 1_795_129_200_000
    (query,) = server.queries
    assert "CreatedDate >= 2026-11-18T11:06:40.000Z AND CreatedDate < 2026-11-20T12:00:00.000Z" in query
    assert one(order(1, CreatedDate="yesterday"))["created_at"] is None


def test_a_deleted_order_is_found_and_one_that_is_gone_is_not() -> None:
    gone = order(1, IsDeleted=True, Status="Pending Review", Activation_Status__c=None)
    server = SalesforceServer([gone])
    row = rows(look_up(server, order_id(1), order_id(2)))
    assert (row[order_id(1)]["state"], row[order_id(1)]["state_raw"]) == ("cancelled", "Deleted")
    assert row[order_id(2)]["outcome"] == "not_found"
    assert all("/queryAll" in path for path in server.asked if "query" in path)
    assert one(order(1, IsDeleted=True))["problem"] == "state_conflict", "what was delivered was deleted"


# what an order says


@pytest.mark.parametrize(
    ("over", "state", "units", "problem"),
    [
        ({}, "paid", 10_000, None),
        ({"Activation_Status__c": "ACTIVE "}, "paid", 10_000, None),
        ({"Activation_Status__c": "Activated", "Status": "Activated"}, "paid", 10_000, None),
        ({"Activation_Status__c": "Activating"}, "held_service", 0, None),
        ({"Activation_Status__c": "Failed"}, "held_service", 0, None),
        ({"Activation_Status__c": None}, "held_service", 0, None),
        ({"Activation_Status__c": "Paused"}, "held_billing", 0, None),
        ({"Activation_Status__c": "Cancelled"}, "cancelled", 0, None),
        ({"Activation_Status__c": "Scheduled", "Activation_Scheduled_At__c": "2050-01-01T00:00:00.000+0000"},
         "unpaid", 0, None),
        ({"Activation_Status__c": "Scheduled", "Activation_Scheduled_At__c": "2020-01-01T00:00:00.000+0000"},
         "held_service", 0, None),
        ({"Status": "Pending Review", "Activation_Status__c": None}, "held_review", 0, None),
        ({"Status": "Draft", "Activation_Status__c": ""}, "unpaid", 0, None),
        ({"Status": "Rejected", "Activation_Status__c": None}, "cancelled", 0, None),
        ({"Status": "Pending Review"}, "paid", 10_000, "state_conflict"),
        ({"Status": "Cancelled"}, "paid", 10_000, "state_conflict"),
        ({"Status": "Genehmigt"}, "unknown", 0, "unknown_word"),
        ({"Activation_Status__c": "Aktiv"}, "unknown", 0, "unknown_word"),
        ({"Status": None}, "unknown", 0, "state_missing"),
    ],
)  # fmt: skip
def test_an_order_is_what_its_words_say(over: Body, state: str, units: int, problem: str | None) -> None:
    row = one(order(1, **over))
    assert (row["state"], int(row["paid_units"]), row["problem"]) == (state, units, problem)
    assert (row["chain_id"], row["token"]) == (OFF_CHAIN, currency_token("USD").address)


def test_words_of_its_own_are_told_by_the_settings() -> None:
    reader = reader_of(words={"genehmigt": "held_service", "läuft": "paid"})
    assert one(order(1, Status="Genehmigt", Activation_Status__c="läuft"), reader=reader)["state"] == "paid"


def test_where_no_field_tells_of_delivery_an_order_that_is_activated_is_delivered() -> None:
    reader = reader_of(fields=OrderFields(delivery="", scheduled=""))
    server = SalesforceServer([order(1, Status="Activated"), order(2)])
    found = rows(look_up(server, order_id(1), order_id(2), reader=reader))
    assert [row["state"] for row in found.values()] == ["paid", "held_service"]
    assert "Activation" not in " ".join(server.queries)


def test_an_order_that_cannot_be_billed_waits_for_billing() -> None:
    reader = reader_of(fields=OrderFields(error="Last_Error__c"), billing_errors=("PAYMENT_METHOD_MISSING",))
    row = one(order(1, Activation_Status__c="Activating", Last_Error__c="PAYMENT_METHOD_MISSING"), reader=reader)
    assert (row["state"], row["state_raw"]) == ("held_billing", "Approved, Activating, PAYMENT_METHOD_MISSING")
    assert one(order(1, Activation_Status__c="Failed", Last_Error__c="TIMEOUT"), reader=reader)["state"] == (
        "held_service"
    )
    assert one(order(1, Last_Error__c="PAYMENT_METHOD_MISSING"), reader=reader)["state"] == "paid"


def test_what_is_delivered_names_what_it_was_billed_by() -> None:
    reader = reader_of(fields=OrderFields(billing="Bill__c"))
    assert one(order(1, Bill__c="77"), reader=reader)["problem"] is None
    assert one(order(1, Bill__c=None), reader=reader)["problem"] == "billing_missing"
    assert one(order(1, Bill__c=None, Activation_Status__c="Activating"), reader=reader)["problem"] is None


@pytest.mark.parametrize(
    ("text", "units", "problem"),
    [
        ("100.0", 10_000, None),
        ("100", 10_000, None),
        ("0.1", 10, None),
        ("1.441209288E7", 1_441_209_288, None),
        ("8.0E7", 8_000_000_000, None),
        ("9.99999999999999E12", 999_999_999_999_999, None),
        ("0", 0, None),
        ("100.001", None, "amount_unreadable"),
        ("-5.0", None, "amount_unreadable"),
        ("null", None, "amount_unreadable"),
        ("true", None, "amount_unreadable"),
        ('"1,000.00"', None, "amount_unreadable"),
        ("NaN", None, "amount_unreadable"),
        ("1E99", None, "amount_unreadable"),
        ("12345678901234.567", None, "float_noise"),
    ],
)
def test_a_sum_is_exact_or_not_read(text: str, units: int | None, problem: str | None) -> None:
    """A double carries 15 digits: what has more may have been another number."""
    server = SalesforceServer([order(1)])
    page = f'{{"totalSize":1,"done":true,"records":[{{"Id":"{order_id(1)}","IsDeleted":false,"Status":"Approved",'
    page += f'"Activation_Status__c":"Active","TotalAmount":{text}}}]}}'
    server.odd = lambda path, body: body if "token" in path else page
    (row,) = look_up(server, order_id(1)).tables["claims"].to_pylist()
    paid = None if row["paid_units"] is None else int(row["paid_units"])
    assert (paid, row["problem"]) == (units, problem)


def test_a_currency_is_asked_for_only_where_there_are_several() -> None:
    server = SalesforceServer([order(1, CurrencyIsoCode="EUR"), order(2, CurrencyIsoCode="JPY"), order(3)])
    several = reader_of(currencies=("USD", "EUR"))
    found = rows(window(server, reader=several))
    assert found[order_id(1)]["token"] == currency_token("EUR").address
    assert [found[order_id(number)]["problem"] for number in (2, 3)] == ["token_unknown", "token_unknown"]
    assert "CurrencyIsoCode" in server.queries[-1]
    window(server)
    assert "CurrencyIsoCode" not in server.queries[-1], "where one currency is all there is the field does not exist"


def test_it_says_that_it_can_be_used() -> None:
    told = source_of(SalesforceServer([])).check()
    assert told == "salesforce at https://portal.test answers and shows the fields that are asked for."


def test_the_contract_holds_when_it_is_cut_off() -> None:
    server = SalesforceServer([order(number) for number in range(1, 9)], page_rows=2)
    check_provider(
        providers()["salesforce"], answers=server.handler, known=[ClaimKey(payment_id="p", external_id=order_id(7))]
    )
