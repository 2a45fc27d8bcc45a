"""Access logs, deliveries, the first page and incident texts: what came to the door, and what to make of it."""

from __future__ import annotations

import base64
import gzip
import hashlib
import hmac
import json
import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from recon.investigation.incident.access_log import (
    RouteError,
    RouteTriage,
    parse_routes,
    runbook_rule,
    triage_access_log,
)
from recon.investigation.incident.first_page import FirstPage, Health, IncidentEvidence, first_page, token_sums_text
from recon.investigation.incident.logs.reader import LINE_MAX_BYTES, LogFileError
from recon.investigation.incident.replay import Window, core_event, replay_lines, triage_deliveries
from recon.sources.deliveries.delivery import Delivery
from recon.sources.deliveries.records import DeliveriesReadError, deliveries_of, load_deliveries
from recon.sources.http import Secret
from recon.sources.packing import PIECE_BYTES
from tests.support.triage_logs import CALLBACK, HOOK, START, caddy, nginx, write_big

KEY = "whsec-for-tests"
T0 = datetime(2026, 11, 20, 9, tzinfo=UTC)


def route(found: Any, provider: str = "request_network") -> RouteTriage:
    return next(each for each in found.routes if each.provider == provider)


def logged(folder: Path, *lines: bytes, name: str = "access.log") -> Path:
    path = folder / name
    path.write_bytes(b"".join(lines))
    return path


# Access logs


def test_nginx_and_caddy_lines_are_counted_alike(tmp_path: Path) -> None:
    for make in (nginx, caddy):
        path = logged(
            tmp_path, make(START, HOOK, 200), make(START + timedelta(seconds=61), HOOK, 404),
            make(START, CALLBACK, 202), make(START, "/api/offers/1", 200), name=f"{make.__name__}.log",
        )  # fmt: skip
        found = triage_access_log([path])
        assert route(found).statuses == ((200, 1), (404, 1))
        assert route(found).minutes == ((START, 200, 1), (START + timedelta(minutes=1), 404, 1))
        assert route(found).first_good == route(found).last_good == START
        assert route(found, "shkeeper").statuses == ((202, 1),)
        assert found.unreadable == 0
        assert found.is_complete


def test_formats_mixed_with_junk_and_half_lines_in_one_file(tmp_path: Path) -> None:
    chance = random.Random(7)
    junk = bytes(chance.randrange(256) for _ in range(5_000)).replace(b"/api", b"!api")
    whole = nginx(START, HOOK, 404)
    path = logged(
        tmp_path, whole, junk, b"\n", whole[:-20], b"\n", caddy(START, HOOK, 500), b"\x00\x00\n",
        b'{"request": {"uri": "' + HOOK.encode() + b'"', b"\n", whole, nginx(START, HOOK, 200).rstrip(b"\n"),
    )  # fmt: skip
    found = triage_access_log([path])
    assert route(found).statuses == ((404, 2), (200, 1), (500, 1))
    assert found.unreadable == 2


def test_gzip_and_rotated_files_in_any_order_give_the_same(tmp_path: Path) -> None:
    old, new = nginx(START, HOOK, 200), nginx(START + timedelta(hours=1), HOOK, 404)
    packed = tmp_path / "access.log.1.gz"
    packed.write_bytes(gzip.compress(old))
    plain = logged(tmp_path, new)
    one, other = triage_access_log([plain, packed]), triage_access_log([packed, plain])
    assert one.routes == other.routes
    assert route(one).first_at == START
    assert route(one).statuses == ((200, 1), (404, 1))


def test_a_torn_gzip_is_counted_as_far_as_it_goes_and_named(tmp_path: Path) -> None:
    chance = random.Random(3)
    lines = [nginx(START, f"{HOOK}?n={chance.random()}", 404) for _ in range(5_000)]
    path = tmp_path / "torn.log.gz"
    path.write_bytes(gzip.compress(b"".join(lines))[:-500])
    found = triage_access_log([path])
    assert not found.is_complete
    assert "torn.log.gz breaks off" in found.problems[0]
    assert route(found).deliveries >= 0


def test_lines_on_the_edge_of_a_piece_are_counted_once(tmp_path: Path) -> None:
    line = nginx(START, HOOK, 404)
    filler = b"x" * 99 + b"\n"
    head = filler * ((PIECE_BYTES - 40) // 100)
    path = logged(tmp_path, head, b"y" * (PIECE_BYTES - 40 - len(head)) + b"\n", line, filler * 10, line)
    assert route(triage_access_log([path])).deliveries == 2


def test_a_line_without_end_is_stepped_over(tmp_path: Path) -> None:
    path = logged(tmp_path, b"\x01" * (3 * PIECE_BYTES), b"\n", nginx(START, HOOK, 200))
    found = triage_access_log([path])
    assert route(found).deliveries == 1
    assert found.read_bytes > LINE_MAX_BYTES


def test_since_and_until_cut_the_window(tmp_path: Path) -> None:
    path = logged(tmp_path, *(nginx(START + timedelta(minutes=n), HOOK, 200) for n in range(10)))
    found = triage_access_log([path], since=START + timedelta(minutes=3), until=START + timedelta(minutes=5))
    assert route(found).deliveries == 2


def test_offsets_of_the_logs_clock_are_undone(tmp_path: Path) -> None:
    line = nginx(START, HOOK, 200).replace(b"+0000", b"+0330").replace(b"08:00:00", b"11:30:00")
    assert route(triage_access_log([logged(tmp_path, line)])).first_at == START


def test_a_get_on_the_route_is_no_delivery_and_another_path_is_none(tmp_path: Path) -> None:
    path = logged(
        tmp_path, nginx(START, HOOK, 405, method="GET"), nginx(START, HOOK + "-old", 404),
        nginx(START, "/search?q=" + HOOK, 200), nginx(START, HOOK + "?a=1", 200), nginx(START, HOOK + "/", 200),
    )  # fmt: skip
    found = triage_access_log([path])
    assert route(found).deliveries == 2
    assert route(found).other_methods == 1


def test_bursts_are_minutes_in_a_row_with_many_failures(tmp_path: Path) -> None:
    lines = [nginx(START + timedelta(minutes=m, seconds=s), HOOK, 404) for m in (1, 2, 7) for s in range(6)]
    lines += [nginx(START + timedelta(minutes=4), HOOK, 500)]
    bursts = route(triage_access_log([logged(tmp_path, *lines)])).bursts
    assert [(b.failures, (b.from_at - START).seconds // 60) for b in bursts] == [(12, 1), (6, 7)]


@pytest.mark.parametrize(
    ("provider", "statuses", "words"),
    [
        ("request_network", {}, "nothing came: a fault on the way to the server"),
        ("request_network", {404: 3, 200: 9}, "correlation or configuration bug"),
        ("request_network", {200: 3}, "safety check"),
        ("request_network", {500: 3, 404: 1}, "3 x 500: the backend fails on deliveries; 1 x 404: a correlation"),
        ("request_network", {401: 3}, "not genuine"),
        ("shkeeper", {200: 3}, "not with a status that the provider takes for success"),
        ("shkeeper", {202: 3}, "accepted"),
    ],
)
def test_the_rule_of_the_runbook(provider: str, statuses: dict[int, int], words: str) -> None:
    rule, advice = runbook_rule(provider, statuses)
    assert words in rule
    assert advice


def test_404_forbids_a_second_paid_probe() -> None:
    assert "Do not ask for a second paid probe" in runbook_rule("request_network", {404: 1})[1]


def test_a_log_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(LogFileError, match="cannot be read"):
        triage_access_log([tmp_path / "none.log"])


def test_routes_are_read_or_refused() -> None:
    assert parse_routes(["request_network=/hooks/rn"]) == {"request_network": ("/hooks/rn",)}
    for text in ("no-path", "x=relative", "a b=/c", "x=/with space"):
        with pytest.raises(RouteError):
            parse_routes([text])


@pytest.mark.parametrize("form", ["nginx", "caddy"])
def test_a_larger_log_is_counted_exactly(form: str, tmp_path: Path) -> None:
    path = tmp_path / "big.log"
    expected = write_big(path, size_bytes=12_000_000, form=form)
    found = triage_access_log([path])
    assert sum(each.deliveries for each in found.routes) == expected
    assert found.unreadable == 0


# Deliveries


def body_of(**given: Any) -> bytes:
    row = {
        "event": "payment.confirmed", "requestId": "01" + "ab" * 32, "paymentReference": "0x" + "cd" * 8,
        "amount": "100.0", "totalAmountPaid": "100.0", "paymentCurrency": "USDC-base", "txHash": "0x" + "ef" * 32,
        "timestamp": "2026-11-20T09:00:00.000Z",
    }  # fmt: skip
    return json.dumps(row | given, separators=(", ", ":  ")).encode()


def signed(body: bytes, *, key: str = KEY) -> dict[str, str]:
    return {"X-Request-Network-Signature": hmac.new(key.encode(), body, hashlib.sha256).hexdigest()}


def rn(number: int, *, status: int | None = 404, key: str = KEY, at: datetime = T0, **given: Any) -> dict[str, Any]:
    body = body_of(**given)
    return {
        "provider": "request.network",
        "receivedAt": (at + timedelta(seconds=number)).isoformat(),
        "httpStatus": status,
        "headers": {**signed(body, key=key), "X-Request-Network-Delivery": f"01DELIVERY{number:04d}"},
        "rawBody": body.decode(),
    }


def sk(number: int, *, status: int = 200, at: datetime = T0, window_s: int = 0, **given: Any) -> dict[str, Any]:
    body = json.dumps(
        {"external_id": "order-1", "status": "PAID", "crypto": "ETH-USDC", "balance_crypto": "50",
         "transactions": [{"txid": "0x" + "aa" * 32, "amount_crypto": "50", "crypto": "ETH-USDC", "trigger": True}]}
        | given
    ).encode()  # fmt: skip
    stamp = str(int((at + timedelta(seconds=number)).timestamp()) - window_s)
    signature = hmac.new(KEY.encode(), stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    return {
        "provider": "shkeeper", "received_at": int((at + timedelta(seconds=number)).timestamp() * 1000),
        "http_status": status, "bodyBase64": base64.b64encode(body).decode(),
        "headers": {"X-Shkeeper-Timestamp": stamp, "X-Shkeeper-Signature": signature},
    }  # fmt: skip


def triaged(*rows: dict[str, Any], **given: Any) -> Any:
    file = deliveries_of(rows, place="kept")
    secrets = {"request_network": (Secret(KEY),), "shkeeper": (Secret(KEY),)}
    return triage_deliveries(file.deliveries, secrets=secrets, **given)


def test_signatures_are_checked_over_the_bytes_that_came() -> None:
    good, other = rn(1), rn(2, key="another")
    rewritten = {**rn(3), "rawBody": json.dumps(json.loads(body_of()))}
    bare = {**rn(4), "headers": {}}
    assert triaged(good, other, rewritten, bare).signatures == {"invalid": 2, "no_body": 1, "valid": 1}


def test_shkeeper_signs_time_and_body_and_the_time_is_held_against_the_arrival() -> None:
    assert triaged(sk(1), sk(2, window_s=400)).signatures == {"stale": 1, "valid": 1}


def test_a_secret_being_replaced_still_verifies() -> None:
    file = deliveries_of([rn(1, key="old")], place="kept")
    found = triage_deliveries(file.deliveries, secrets={"request_network": (Secret(KEY), Secret("old"))})
    assert found.signatures == {"valid": 1}


def test_one_settlement_told_by_three_events_is_replayed_once() -> None:
    events = [rn(n, event=f"payment.confirmed{end}") for n, end in enumerate((".checkout", ".client_id", ""))]
    found = triaged(*events)
    assert [each.delivery.event for each in found.replay] == ["payment.confirmed"]
    assert len(found.same_payment) == 1
    assert (found.before.payments, found.after.payments) == (0, 1)
    assert found.after.money == (("USDC-base", Decimal("100.0")),)


def test_a_delivery_id_that_came_twice_is_named() -> None:
    assert triaged(rn(1, status=500), rn(1, status=500)).same_id == (("01DELIVERY0001", 2),)


def test_what_was_accepted_is_not_replayed_not_even_by_another_delivery() -> None:
    found = triaged(rn(1, status=404), rn(2, status=200))
    assert found.replay == ()
    assert found.checked[0].action == "the payment it tells of was accepted already"
    assert found.before == found.after


def test_two_payments_of_one_request_in_one_transaction_are_both_counted() -> None:
    found = triaged(rn(1, amount="60.0"), rn(2, amount="40.0"))
    assert found.after.payments == 2
    assert found.after.money == (("USDC-base", Decimal("100.0")),)


def test_forged_test_and_telemetry_deliveries_are_never_replayed() -> None:
    marked = rn(4)
    marked["headers"]["X-Request-Network-Test"] = "true"
    found = triaged(
        rn(1, key="forged"), rn(2, event="secure_payment.user_event"), rn(3, requestId="req_test12"), marked
    )
    assert found.replay == ()
    assert sorted(each.action for each in found.checked) == [
        "a test delivery", "a test delivery", "its event settles nothing", "its signature is wrong",
    ]  # fmt: skip


def test_the_replay_list_is_cut_by_window_and_by_delivery_id() -> None:
    rows = [rn(n, requestId="01" + f"{n:064x}", txHash="0x" + f"{n:064x}") for n in range(1, 6)]
    window = Window(from_at=T0 + timedelta(seconds=2), to_at=T0 + timedelta(seconds=4))
    assert [e.delivery.delivery_id for e in triaged(*rows, window=window).replay] == [
        "01DELIVERY0002", "01DELIVERY0003",
    ]  # fmt: skip
    named = Window(delivery_ids=frozenset({"01DELIVERY0005"}))
    lines = list(replay_lines(triaged(*rows, window=named)))
    assert [(line["order"], line["delivery_id"]) for line in lines] == [(1, "01DELIVERY0005")]
    assert lines[0]["payload_sha256"] == hashlib.sha256(body_of(requestId="01" + f"{5:064x}",
                                                                txHash="0x" + f"{5:064x}")).hexdigest()  # fmt: skip


def test_events_that_run_backwards_are_named() -> None:
    found = triaged(rn(1, totalAmountPaid="100.0"), rn(2, totalAmountPaid="60.0", txHash="0x" + "01" * 32))
    assert len(found.out_of_order) == 1
    assert "60.0" in found.out_of_order[0]


def test_shkeeper_counts_only_202_as_taken() -> None:
    found = triaged(sk(1, status=200))
    assert found.counts == {"shkeeper, refused": 1}
    assert len(found.replay) == 1
    assert found.after.money == (("ETH-USDC", Decimal("50")),)


def test_amounts_pass_through_no_float() -> None:
    found = triaged(rn(1, amount="0.100000000000000001"), rn(2, amount="0.2", txHash="0x" + "02" * 32))
    assert found.after.money == (("USDC-base", Decimal("0.300000000000000001")),)


def test_ndjson_gzip_and_a_directory_give_the_same_deliveries(tmp_path: Path) -> None:
    lines = "".join(json.dumps(row) + "\n" for row in (rn(1), sk(2)))
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.ndjson").write_text(lines)
    (tmp_path / "a.ndjson.gz").write_bytes(gzip.compress(lines.encode()))
    folder, packed = load_deliveries(tmp_path / "in"), load_deliveries(tmp_path / "a.ndjson.gz")
    assert [each.delivery_id for each in folder.deliveries] == [each.delivery_id for each in packed.deliveries]
    assert folder.source_text == "in (whole since 2026-11-20T09:00:01Z)"


def test_dead_letters_alone_say_nothing_of_what_was_accepted(tmp_path: Path) -> None:
    path = tmp_path / "dlq.ndjson"
    rows = [
        {"deliveryId": f"d{n}", "requestId": "01" + "ab" * 32, "receivedAt": "2026-11-20T09:00:00Z", "dlq": True}
        for n in range(2)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    assert load_deliveries(path).source_text == "dlq.ndjson (dead letters only)"
    path.write_text(json.dumps({**rows[0], "dlq": False}) + "\n" + json.dumps(rows[1]) + "\n", encoding="utf-8")
    assert load_deliveries(path).source_text == "dlq.ndjson (whole since 2026-11-20T09:00:00Z)"


def test_a_raw_body_with_its_headers_is_a_delivery(tmp_path: Path) -> None:
    body = body_of()
    (tmp_path / "one.body").write_bytes(body)
    headers = {**signed(body), "X-Request-Network-Delivery": "01RAW"}
    (tmp_path / "one.headers").write_text("".join(f"{name}: {value}\n" for name, value in headers.items()))
    [found] = load_deliveries(tmp_path).deliveries
    assert (found.delivery_id, found.body) == ("01RAW", body)
    assert triage_deliveries([found], secrets={"request_network": (Secret(KEY),)}).signatures == {"valid": 1}


def test_records_without_headers_with_junk_and_half_lines_are_kept_or_counted(tmp_path: Path) -> None:
    path = tmp_path / "mixed.ndjson"
    good = json.dumps({"delivery": {"provider": "shkeeper", "external_id": "o-1", "received_at": 1_795_000_000_000}})
    junk = b"\x00\xff binary \x80\n"
    path.write_bytes(good.encode() + b"\n" + junk + b'{"half": \n[]\n42\n{"nothing": 1}\n' + b"[" * 5000 + b"\n")
    found = load_deliveries(path)
    assert [each.external_id for each in found.deliveries] == ["o-1"]
    assert found.unreadable == 6
    assert set(found.deliveries[0].problems) >= {"no_headers", "no_raw_body", "no_delivery_id"}


def test_a_torn_gzip_of_deliveries_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    chance = random.Random(5)
    rows = [json.dumps({**rn(n), "noise": chance.random()}) for n in range(3_000)]
    path = tmp_path / "dead.ndjson.gz"
    path.write_bytes(gzip.compress("\n".join(rows).encode())[:-200])
    found = load_deliveries(path)
    assert found.problems
    assert 0 < len(found.deliveries) <= 3_000


def test_deliveries_that_are_not_there_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(DeliveriesReadError):
        load_deliveries(tmp_path / "none.ndjson")


def test_documents_of_a_collection_are_read_with_their_dates_and_ids() -> None:
    document = {"_id": "x1", "provider": "request-network", "receivedAt": T0, "requestId": "0x01" + "AB" * 32,
                "dlq": True, "signatureValid": False}  # fmt: skip
    [found] = deliveries_of([document], place="deliveries").deliveries
    assert found == Delivery(
        delivery_id="x1", provider="request_network", received_at=int(T0.timestamp() * 1000), place="deliveries:x1",
        request_id="01" + "ab" * 32, dead_letter=True, signature_valid=False,
        problems=("no_headers", "no_raw_body"),
    )  # fmt: skip


def test_endings_of_event_names_mark_repetitions_only() -> None:
    assert core_event("payment.partial.checkout") == "payment.partial"
    assert core_event("payment.failed") == "payment.failed"
    assert core_event(None) == ""


def test_silence_is_no_delivery_only_where_the_logs_reach_and_could_be_read(tmp_path: Path) -> None:
    quiet = logged(tmp_path, *(nginx(START + timedelta(seconds=n), "/other", 200) for n in range(3)))

    def rule(path: Path, **given: Any) -> str:
        return triage_access_log([path], **given).routes[0].rule

    found = triage_access_log([quiet])
    assert (found.from_at, found.to_at) == (START, START + timedelta(seconds=2))
    assert found.routes[0].rule == "nothing came: a fault on the way to the server"
    assert rule(quiet, since=START + timedelta(days=1)).startswith("cannot tell: the logs end at 20")
    (tmp_path / "empty.log").write_bytes(b"")
    assert rule(tmp_path / "empty.log") == "cannot tell: no request of any route could be read"
    (tmp_path / "other.log").write_bytes(b"Nov 20 host kernel: something else\n" * 9)
    other = triage_access_log([tmp_path / "other.log"])
    assert other.routes[0].rule.startswith("cannot tell")
    assert "holds no request in a format that is known" in other.problems[0]
    caddy_line = {"ts": START.timestamp(), "status": 200, "request": {"method": "GET", "uri": "/x"}}
    (tmp_path / "caddy.log").write_text(json.dumps(caddy_line) + "\n", encoding="utf-8")
    assert rule(tmp_path / "caddy.log") == "nothing came: a fault on the way to the server"


def test_a_torn_gzip_smaller_than_a_piece_is_counted_and_concludes_nothing(tmp_path: Path) -> None:
    chance = random.Random(1)
    lines = [nginx(START + timedelta(seconds=n), f"/{chance.getrandbits(400):x}", 200) for n in range(3000)]
    lines[5] = nginx(START, HOOK, 404)
    packed = gzip.compress(logged(tmp_path, *lines).read_bytes())
    (tmp_path / "torn.log.gz").write_bytes(packed[: len(packed) // 2])
    found = triage_access_log([tmp_path / "torn.log.gz"])
    assert found.routes[0].statuses == ((404, 1),)
    assert found.routes[1].rule == "cannot tell: not every file could be read"
    assert not found.is_complete


# The first page


def page(**given: Any) -> FirstPage:
    return first_page(IncidentEvidence(now=T0, **given))


def test_facts_and_guesses_stand_apart_and_what_nobody_looked_at_is_named() -> None:
    empty = page()
    assert empty.facts == ()
    assert empty.guesses == ()
    assert len(empty.unknown) == 11
    assert all(line.source for line in empty.unknown)


def test_a_burst_of_404_is_the_scenario_of_failed_webhooks(tmp_path: Path) -> None:
    path = logged(tmp_path, *(nginx(START + timedelta(seconds=n), HOOK, 404) for n in range(30)))
    found = page(logs=triage_access_log([path]), summary={"verdicts": {"local_behind": 4}}, plan_at="now")
    assert found.guesses[0].scenario == "failed webhook"
    assert any("30 x 404" in (line.answer or "") for line in found.facts)


@pytest.mark.parametrize(
    ("verdict", "section"),
    [("duplicate_tx_hash", "duplicate payment"), ("missing_local", "missing payment"),
     ("stuck_release", "stuck release"),
     ("dispute_hold", "disputed release attempt"),
     ("local_ahead", "compromised admin"), ("lookup_failed", "provider outage"),
     ("unproven", "RPC outage"), ("recipient_mismatch", "suspicious proof")],
)  # fmt: skip
def test_the_scenario_that_fits_is_named_from_the_counts(verdict: str, section: str) -> None:
    assert page(summary={"verdicts": {verdict: 3}}).guesses[0].scenario == section


def test_bad_signatures_point_to_a_leaked_key() -> None:
    assert page(deliveries=triaged(rn(1, key="forged"))).guesses[0].scenario == "leaked key"


def test_an_endpoint_that_is_away_is_told_from_a_provider_that_is() -> None:
    assert page(coverage_problems=("chain:56: connection refused",)).guesses[0].scenario == "RPC outage"
    assert page(coverage_problems=("shkeeper: timed out",)).guesses[0].scenario == "provider outage"


def test_who_does_not_answer_now_is_a_fact_and_points_to_its_scenario() -> None:
    asked = (Health("shkeeper", is_up=False, says="no answer in 5 s"), Health("chain 56", is_up=True, says="fine"))
    found = page(health=asked, readings={"chain:56": "in full (9 calls)"}, plan_at="now")
    assert [(line.answer, line.source) for line in found.facts] == [
        ("shkeeper DOES NOT: no answer in 5 s; chain 56 answer", "asked just now"),
        ("chain:56: in full (9 calls)", "plan of now"),
    ]
    assert [guess.scenario for guess in found.guesses] == ["provider outage"]
    away = page(health=(Health("chain 56", is_up=False, says="refused"),))
    assert [guess.scenario for guess in away.guesses] == ["RPC outage"]


def test_money_of_one_symbol_on_chains_with_other_decimals_adds_up() -> None:
    from recon.core.registry import load_registry

    registry = load_registry()
    tokens = [registry.token(chain, "USDC") for chain in (56, 8453)]
    money = {f"{t.chain_id}:{t.address}": str(15 * 10**t.decimals // 10) for t in tokens if t}
    assert token_sums_text({**money, "56:0xdead": "7"}) == "3.00 USDC, 7 base units of 56:0xdead"
