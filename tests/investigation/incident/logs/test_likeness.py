"""A route that is written in another way is counted where it is the same, else told to resemble it, never silent."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from recon.investigation.incident.access_log import RouteTriage, triage_access_log
from recon.investigation.incident.logs.likeness import Likeness, plain_path
from tests.support.triage_logs import HOOK, START, caddy, nginx

OTHER = nginx(START, "/other", 200)
SAME = (
    "/api/payment/request%2Dnetwork/webhook", "/api/payment/request%2dnetwork/webhook",
    "/api/p%61yment/request-network/webhook", "/api//payment/request-network/webhook",
    "/api/payment/request-network//webhook/", "/api/./payment/request-network/webhook",
    "/api/x/../payment/request-network/webhook", "/api/payment/%72equest-network/web%68ook?a=%2D",
)  # fmt: skip
ALIKE = (
    "/API/payment/request-network/webhook", "/api/payment/Request-Network/Webhook",
    "/v2/api/payment/request-network/webhook", "/api/payment/request-network/webhook/extra",
    "/api/payment%2Frequest-network%2Fwebhook", "/api/payment/request%252Dnetwork/webhook",
    "/api/payment/request-network/webhook;v=1", "/V2/api//payment/request%2dnetwork/webhook",
)  # fmt: skip
FORMS = {
    "combined": nginx,
    "caddy": caddy,
    "json": lambda at, path, status: (
        json.dumps({"time": at.isoformat(), "method": "POST", "request_uri": path, "status": status}) + "\n"
    ).encode(),
}


def route_of(folder: Path, content: bytes) -> RouteTriage:
    (folder / "some.log").write_bytes(content)
    found = triage_access_log([folder / "some.log"])
    return next(each for each in found.routes if each.provider == "request_network")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("path", SAME)
def test_an_equivalent_path_is_the_route(path: str, form: str, tmp_path: Path) -> None:
    found = route_of(tmp_path, OTHER + FORMS[form](START, path, 404) + OTHER)
    assert (found.statuses, found.elsewhere, found.unread) == (((404, 1),), (), ())


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("path", ALIKE)
def test_a_path_that_resembles_the_route_is_told_and_is_no_silence(path: str, form: str, tmp_path: Path) -> None:
    found = route_of(tmp_path, OTHER + FORMS[form](START, path, 200) + OTHER)
    assert (found.deliveries, sum(count for _, count in found.elsewhere)) == (0, 1)
    assert found.rule.startswith("cannot tell: requests went to other paths that resemble its route, 1 to /")
    beside = route_of(tmp_path, nginx(START, HOOK, 202) + FORMS[form](START, path, 200))
    assert (beside.deliveries, sum(count for _, count in beside.elsewhere)) == (1, 1)


def test_a_line_that_resembles_a_route_and_cannot_be_read_is_counted(tmp_path: Path) -> None:
    for path in (SAME[0], ALIKE[0]):
        found = route_of(tmp_path, OTHER + f"[20/Nov/2026:08:00:01 +0000] POST {path} and no more\n".encode())
        assert found.unread_lines == 1 or found.elsewhere == ((ALIKE[0], 1),)
        assert found.rule.startswith("cannot tell")


@pytest.mark.parametrize(
    "path",
    ["/api/payment/request-network/status", "/api/other?of=/API/payment/request-network/webhook",
     "/api/payment/request%2Fnetwork/webhook", "/api/payment/request-network"],
)  # fmt: skip
def test_what_only_shares_a_word_with_a_route_is_none(path: str, tmp_path: Path) -> None:
    found = route_of(tmp_path, nginx(START, path, 200))
    assert (found.deliveries, found.elsewhere, found.unread) == (0, (), ())
    assert found.rule == "nothing came: a fault on the way to the server"


def test_a_get_of_what_resembles_a_route_is_no_delivery(tmp_path: Path) -> None:
    found = route_of(tmp_path, nginx(START, ALIKE[0], 200, method="GET"))
    assert found.rule == "nothing came: a fault on the way to the server"


def test_a_route_that_is_given_with_a_closing_slash_is_the_same(tmp_path: Path) -> None:
    (tmp_path / "some.log").write_bytes(nginx(START, "/hook", 200) + nginx(START, "/hook/", 200))
    [found] = triage_access_log([tmp_path / "some.log"], routes={"shkeeper": ["/hook/"]}).routes
    assert found.deliveries == 2


def test_paths_that_rfc_3986_calls_equivalent_are_one() -> None:
    assert plain_path("/a/%7Eb/%2f/../c/") == "/a/~b/c"
    assert plain_path("/%41/b") == "/A/b"
    assert plain_path("/a%2Fb") == "/a%2Fb"
    assert plain_path("//") == plain_path("") == "/"
    assert [plain_path(text) for text in ("/..", "/../a", "/a/..", "/a/.")] == ["/", "/a", "/", "/a"]


def test_the_lines_that_resemble_are_found_among_many_that_are_exact() -> None:
    text = nginx(START, HOOK, 200) * 50 + nginx(START, ALIKE[0], 200) + nginx(START, HOOK, 200) * 50
    [(start, line, number)] = Likeness([HOOK.encode()]).lines(text, {HOOK.encode(): 100})
    assert (text[start:].startswith(line), number, ALIKE[0].encode() in line) == (True, 0, True)


W3C = (
    b"#Fields: date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs(User-Agent) "
    b"cs(Referer) sc-status sc-substatus sc-win32-status time-taken\n"
)
ROW = f"2026-11-20 08:00:01 10.0.0.4 POST {HOOK} - 443 - 203.0.113.9 hook/1.0 - 404 0 0 200".encode()


def test_no_torn_line_of_iis_is_read_as_anything_but_what_it_said(tmp_path: Path) -> None:
    """Cut at either end, or run into the next line: its status is the one that was written, or not told."""
    assert route_of(tmp_path, W3C + ROW + b"\n").statuses == ((404, 1),)
    for cut in range(1, len(ROW)):
        for torn in (ROW[:cut], ROW[cut:], ROW[:cut] + ROW, ROW + b" " + ROW[cut:], ROW.replace(b"404", b"20")[cut:]):
            for head in (W3C, b""):
                found = route_of(tmp_path, head + OTHER.replace(b"\n", b"") + b"\n" + torn + b"\n")
                assert {status for status, _ in found.statuses} <= {404}, (torn, head)
                assert found.deliveries or found.unread_lines or HOOK.encode() not in torn, (torn, head)


ODD = ("-", "000", "999", "600", "0", "-1", "209")
ODD_LINES = {
    "quoted": '2026-11-20T08:00:01Z "POST {hook} HTTP/1.1" {status} {size} "x"',
    "combined": '1.2.3.4 - - [20/Nov/2026:08:00:01 +0000] "POST {hook} HTTP/1.1" {status} {size} "-" "x"',
    "columns": "2026-11-20T08:00:01Z POST {hook} {status} {size} agent more",
    "bars": "2026-11-20T08:00:01Z|POST|{hook}|{status}|{size}|agent|more",
    "tabs": "2026-11-20T08:00:01Z\tPOST\t{hook}\t{status}\t{size}\tagent\tmore",
    "size first": "2026-11-20T08:00:01Z|{size}|POST|{hook}|{status}|agent|more",
    "pairs": "time=2026-11-20T08:00:01Z method=POST path={hook} status={status} bytes={size}",
    "json": '{{"time":"2026-11-20T08:00:01Z","method":"POST","path":"{hook}","status":"{status}","bytes":{size}}}',
    "json code": '{{"time":"2026-11-20T08:00:01Z","method":"POST","path":"{hook}","status":"{status}","code":{size}}}',
}


@pytest.mark.parametrize("form", ODD_LINES)
def test_a_size_beside_an_odd_status_is_never_read_as_success(form: str, tmp_path: Path) -> None:
    for status in ODD:
        line = ODD_LINES[form].format(hook=HOOK, status=status, size=200)
        found = route_of(tmp_path, OTHER + line.encode() + b"\n")
        assert (200, 1) not in found.statuses, (status, found.statuses)
        assert found.deliveries or found.unread_lines, status
    line = ODD_LINES[form].format(hook=HOOK, status=499, size=200)
    assert (200, 1) not in route_of(tmp_path, OTHER + line.encode() + b"\n").statuses
