"""Dialects that people configured, half a format, other people's wrappings: read right, or loudly not read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.investigation.incident.logs.dialects import DIALECTS
from tests.investigation.incident.logs.further import FURTHER
from tests.investigation.incident.logs.samples import HOOK, SAMPLES
from tests.investigation.incident.logs.test_lines import AT, LINE, looked_at, route

BYTES = json.dumps(list(f"\x1b[0mPOST {HOOK} \x1b[33m404\x1b[0m 5.1 ms".encode()), separators=(",", ":"))
"""What journald makes of a line with colours."""
ROW = {"ts": "2026-11-20T11:58:01Z", "method": "POST", "url": HOOK, "status": 404}


def told(folder: Path, text: str) -> dict[int, int] | None:
    """The statuses of deliveries; None where the page says that it cannot tell."""
    found = looked_at(folder, text.replace("@HOOK@", HOOK).replace("@BYTES@", BYTES).encode())
    mine = route(found)
    if mine.rule.startswith("cannot tell"):
        assert mine.unread or mine.elsewhere or found.problems
        return None
    assert found.is_complete
    return dict(mine.statuses)


def test_each_dialect_is_read_right_or_told_to_be_unread(tmp_path: Path) -> None:
    known = DIALECTS | FURTHER
    wrong = {name: said for name, (right, text) in known.items() if (said := told(tmp_path, text)) != right}
    assert wrong == {}


def test_a_dialect_among_other_lines_is_read_as_alone_or_told(tmp_path: Path) -> None:
    other = SAMPLES["nginx combined"].splitlines()[0] + "\n"
    wrong = {}
    for name, (right, text) in FURTHER.items():
        said = told(tmp_path, f"{other * 3}{text}\n{other * 3}")
        if said not in (right, None):
            wrong[name] = said
    assert wrong == {}


OF_ROUTE = '1.2.3.4 - - [20/Nov/2026:11:58:01 +0000] "POST @HOOK@ HTTP/1.1" '
OTHER = '1.2.3.4 - - [20/Nov/2026:11:58:01 +0000] "GET / HTTP/1.1" '


@pytest.mark.parametrize(
    ("lines", "right"),
    [
        ([OF_ROUTE + "204 502 17", OTHER + "1377 200 5120"], None),
        ([OF_ROUTE + "204 502 17", OF_ROUTE + "301 502 17"], None),
        ([OF_ROUTE + "0 502 17"], None),
        ([OF_ROUTE + "404 200", OTHER + "200 5120"], {404: 1}),
        ([OF_ROUTE + '404 200 "-" "node"', OTHER + '200 5120 "-" "node"'], {404: 1}),
        ([OF_ROUTE + "404 200"], {404: 1}),
        ([OF_ROUTE + "404 17", *[OTHER + "200 5120"] * 30, OTHER + "299 5120"], {404: 1}),
    ],
)
def test_a_duration_before_the_status_is_not_taken_for_it(
    lines: list[str], right: dict[int, int] | None, tmp_path: Path
) -> None:
    assert told(tmp_path, "\n".join(lines)) == right
    told_so = "the number behind a request may be a duration" in " ".join(
        looked_at(tmp_path, "\n".join(lines).replace("@HOOK@", HOOK).encode()).problems
    )
    assert told_so == (right is None)


def test_a_format_that_is_named_tells_which_number_is_the_status(tmp_path: Path) -> None:
    text = "\n".join(OF_ROUTE.replace("@HOOK@", HOOK) + f"{time_us} 502 17" for time_us in (204, 301, 1377))
    found = looked_at(tmp_path, text.encode(), log_format='%h %l %u %t "%r" %D %>s %b')
    assert (dict(route(found).statuses), found.is_complete) == ({502: 3}, True)


def test_a_date_of_numbers_is_read_where_the_file_shows_which_is_the_day(tmp_path: Path) -> None:
    head = '"TimeGenerated [UTC]",CsMethod,CsUriStem,ScStatus\n'
    row = f'"{{}}, 11:58:01.186 AM",POST,{HOOK},404\n'
    for other, first_at in (("11/20/2026", "2026-04-11"), ("20/11/2026", "2026-11-04")):
        found = looked_at(tmp_path, (head + row.format("4/11/2026") + row.format(other)).encode())
        assert f"{route(found).first_at:%Y-%m-%d}" == first_at
    assert told(tmp_path, head + row.format("4/11/2026")) is None
    both = head + "".join(row.format(each) for each in ("4/11/2026", "11/20/2026", "20/11/2026"))
    assert told(tmp_path, both) is None


def test_a_span_of_another_server_is_no_delivery(tmp_path: Path) -> None:
    for kind, right in ((3, {}), ("SPAN_KIND_CLIENT", {}), (2, {404: 1}), ("SPAN_KIND_SERVER", {404: 1})):
        row = {"spanId": "ee", "kind": kind, "startTimeUnixNano": "1795175881000000000", "attributes": [
            {"key": "http.request.method", "value": {"stringValue": "POST"}},
            {"key": "url.path", "value": {"stringValue": HOOK}},
            {"key": "http.response.status_code", "value": {"intValue": "404"}}]}  # fmt: skip
        lines = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [row]}]}]}) + "\n" + LINE.decode()
        assert told(tmp_path, lines) == {404: 1 + right.get(404, 0)}


def test_a_route_told_only_as_a_template_is_never_silent(tmp_path: Path) -> None:
    for template in ("/api/payment/:provider/webhook", "/api/payment/<provider>/webhook", "/api/payment/{p}/webhook"):
        row = {"ts": ROW["ts"], "method": "POST", "route": template, "status": 404}
        assert told(tmp_path, f"{json.dumps(row)}\n{LINE.decode()}") is None
        row["url"] = "/api/payment/paypal/webhook"
        assert told(tmp_path, f"{json.dumps(row)}\n{LINE.decode()}") == {404: 1}


def test_the_words_of_a_body_are_not_those_of_the_answer(tmp_path: Path) -> None:
    for body in ("body", "payload", "query", "params", "requestBody"):
        row = {"time": ROW["ts"], "req": {"method": "POST", "url": HOOK, body: {"status": 200, "code": 200}},
               "res": {"statusCode": 404}}  # fmt: skip
        assert told(tmp_path, json.dumps(row)) == {404: 1}
        del row["res"]
        assert told(tmp_path, json.dumps(row)) is None


def test_the_row_itself_may_stand_in_a_body(tmp_path: Path) -> None:
    assert told(tmp_path, json.dumps({"body": ROW})) == {404: 1}


def test_a_route_whose_signs_are_escaped_is_found_among_other_lines(tmp_path: Path) -> None:
    for escaped in ("\\u002f", "\\u002F", "\\/"):
        line = json.dumps(ROW).replace("/", escaped).encode()
        assert dict(route(looked_at(tmp_path, LINE + line + b"\n" + LINE)).statuses) == {404: 3}


def test_one_line_of_a_json_format_that_is_named_is_read_as_it_says(tmp_path: Path) -> None:
    line = f'{{"t":"2026-11-20T11:58:01+00:00","x":"POST {HOOK} HTTP/1.1","y":"404","z":"200"}}\n'
    form = '{"t":"$time_iso8601","x":"$request","y":"$status","z":"$body_bytes_sent"}'
    for lines in (line, line * 2):
        found = looked_at(tmp_path, lines.encode(), log_format=form)
        assert (dict(route(found).statuses), found.is_complete) == ({404: lines.count("\n")}, True)


@pytest.mark.parametrize("stamp", ["timestamp(ms)", "TimeGenerated", "EdgeStartTimestamp", "started_at"])
def test_times_are_found_under_the_names_of_their_makers(stamp: str, tmp_path: Path) -> None:
    row = {key: value for key, value in ROW.items() if key != "ts"} | {stamp: 1795175881123}
    assert route(looked_at(tmp_path, json.dumps(row).encode())).first_at == AT


def test_columns_that_are_only_counted_must_fit_what_stands_in_them(tmp_path: Path) -> None:
    whole = DIALECTS["cloudfront tab spaces no header"][1]
    assert told(tmp_path, whole) == {404: 1}
    for count in range(9, whole.count("\t")):
        assert told(tmp_path, "\t".join(whole.split("\t")[: count + 1])) in ({404: 1}, None)


def fastify(number: int, status: int | None, *, url: str = HOOK) -> list[str]:
    """What Fastify writes of one request: one line as it comes, a line of the handler, one as it is answered."""
    known = {"level": 30, "time": 1795175881399, "pid": 1, "hostname": "api", "reqId": f"req-{number}"}
    asked = {**known, "req": {"method": "POST", "url": url, "host": "amn.example"}, "msg": "incoming request"}
    failed = {**known, "err": {"type": "Error", "statusCode": 418}, "msg": "no such payment"}
    answered = {**known, "res": {"statusCode": status}, "responseTime": 3.1, "msg": "request completed"}
    rows = [asked, failed, *([] if status is None else [answered])]
    return [json.dumps(row, separators=(",", ":")) for row in rows]


def test_the_two_lines_of_a_request_of_fastify_are_one(tmp_path: Path) -> None:
    one, two, other = fastify(1, 404), fastify(12, 202), fastify(3, 200, url="/health")
    mixed = [one[0], two[0], other[0], two[1], two[2], other[2], one[1], one[2]]
    assert told(tmp_path, "\n".join(mixed)) == {404: 1, 202: 1}
    packed = [json.dumps({"log": f"{line}\n", "stream": "stdout", "time": "2026-11-20T11:58:01.5Z"}) for line in mixed]
    assert told(tmp_path, "\n".join(packed)) == {404: 1, 202: 1}
    assert told(tmp_path, "\n".join(fastify(1, None))) is None
    assert told(tmp_path, "\n".join([*fastify(1, None), *fastify(12, 202)])) is None
