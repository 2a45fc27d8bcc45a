"""Dialects that people configured, half a format, other people's wrappings: read right, or loudly not read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.investigation.incident.logs.dialects import DIALECTS
from tests.investigation.incident.logs.samples import HOOK
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
    wrong = {name: said for name, (right, text) in DIALECTS.items() if (said := told(tmp_path, text)) != right}
    assert wrong == {}


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
