"""Logs of every make are read, whatever they are wrapped in; what is not read is counted with its reason."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from recon.investigation.incident.access_log import LogTriage, RouteTriage, triage_access_log
from recon.investigation.incident.logs.given import LogFormatError, parse_log_format
from recon.investigation.incident.logs.lines import LineReader, target_path
from recon.sources.packing import PackedFileError
from tests.investigation.incident.logs.samples import HOOK, SAMPLES

AT = datetime(2026, 11, 20, 11, 58, 1, tzinfo=UTC)
LINE = SAMPLES["nginx combined"].encode() + b"\n"


def looked_at(folder: Path, content: bytes, **given: str) -> LogTriage:
    path = folder / "some.log"
    path.write_bytes(content)
    return triage_access_log([path], **given)  # type: ignore[arg-type]


def route(found: LogTriage) -> RouteTriage:
    return next(each for each in found.routes if each.provider == "request_network")


@pytest.mark.parametrize("name", SAMPLES)
def test_a_format_is_read(name: str, tmp_path: Path) -> None:
    found = looked_at(tmp_path, SAMPLES[name].encode() + b"\n")
    assert (route(found).statuses, route(found).first_at) == (((404, 1),), AT)
    assert found.is_complete, (found.problems, route(found).unread)


CUT = {name: text[: text.rindex("webhook") + len("webhook")].split("\n")[-1] for name, text in SAMPLES.items()}
"""Samples that end with the route, where nothing before it tells the status."""


@pytest.mark.parametrize("name", [name for name, text in CUT.items() if "404" not in text and len(text) > 60])
def test_a_line_that_was_cut_off_is_counted_and_concludes_nothing(name: str, tmp_path: Path) -> None:
    found = looked_at(tmp_path, LINE * 3 + CUT[name].encode() + b"\n")
    assert found.unreadable == 1
    assert not found.is_complete
    assert route(found).rule.startswith("cannot tell: 1 line names its route and could not be read; of the others")


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress,
                                  lambda text: pa.compress(text, codec="zstd", asbytes=True)])  # fmt: skip
def test_a_packed_log_is_read_and_a_torn_one_named(pack: object, tmp_path: Path) -> None:
    noise = b"".join(b"%d %d\n" % (n, n * 7919 % 104729) for n in range(40_000))
    packed = pack(LINE * 50 + noise + LINE)  # type: ignore[operator]
    whole = looked_at(tmp_path, packed)
    assert (route(whole).deliveries, whole.problems) == (51, ())
    torn = looked_at(tmp_path, packed[: len(packed) * 2 // 3])
    assert "some.log breaks off" in torn.problems[0]
    assert not torn.is_complete


def test_packed_members_behind_each_other_are_all_read(tmp_path: Path) -> None:
    for pack in (gzip.compress, bz2.compress, lzma.compress):
        assert route(looked_at(tmp_path, pack(LINE) + pack(LINE) + pack(LINE))).deliveries == 3


@pytest.mark.parametrize(
    ("head", "command"), [(b"PK\x03\x04", "unzip -p"), (b"7z\xbc\xaf\x27\x1c", "7z x"), (b"\x1f\x9d\x90", "zcat")]
)
def test_another_packing_is_refused_with_the_command_that_unpacks_it(head: bytes, command: str, tmp_path: Path) -> None:
    with pytest.raises(PackedFileError, match=command):
        looked_at(tmp_path, head + b"x" * 600)


def test_a_tar_inside_a_gzip_is_refused(tmp_path: Path) -> None:
    tar = b"access.log".ljust(257, b"\0") + b"ustar\x0000" + b"\0" * 247 + LINE
    with pytest.raises(PackedFileError, match="tar -xOf"):
        looked_at(tmp_path, gzip.compress(tar))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-8-sig"])
def test_other_encodings_are_read(encoding: str, tmp_path: Path) -> None:
    found = looked_at(tmp_path, (LINE.decode() * 3).encode(encoding))
    assert (route(found).statuses, found.is_complete) == (((404, 3),), True)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('$remote_addr - [$time_local] $request_time $status "$request" $bytes_sent',
         f'192.0.2.1 - [20/Nov/2026:11:58:01 +0000] 0.345 404 "POST {HOOK} HTTP/1.1" 200'),
        ("$msec $body_bytes_sent $status $request_method $request_uri $http_user_agent",
         f"1795175881.123 200 404 POST {HOOK}?x=1 curl/8 (x; 200)"),
        ("log_format main '$time_iso8601 \"$http_user_agent\" ' '$request_method $uri $upstream_status $status';",
         f'2026-11-20T11:58:01+00:00 "x 200 y" POST {HOOK} 502, 200 404'),
        (r'%v %h %t %D %b %>s \"%r\"',
         f'amn 192.0.2.1 [20/Nov/2026:11:58:01 +0000] 200 204 404 "POST {HOOK} HTTP/1.1"'),
        ("%ci:%cp [%tr] %B %ST %HM %HU", f"192.0.2.1:77 [20/Nov/2026:11:58:01.123] 200 404 POST {HOOK}"),
    ],
)  # fmt: skip
def test_a_format_that_is_named_is_read_as_it_says(text: str, line: str, tmp_path: Path) -> None:
    found = looked_at(tmp_path, line.encode() + b"\n", log_format=text)
    assert (route(found).statuses, route(found).first_at) == (((404, 1),), AT)
    assert found.is_complete


@pytest.mark.parametrize("text", ["", "$status", "$time_local $request", "%h %l %u", "x" * 5000])
def test_a_format_that_does_not_tell_all_is_refused(text: str) -> None:
    with pytest.raises(LogFormatError, match="--log-format"):
        parse_log_format(text)


def test_a_number_that_is_no_status_is_not_taken_for_one(tmp_path: Path) -> None:
    line = f'192.0.2.1 - - [20/Nov/2026:11:58:01 +0000] "POST {HOOK} HTTP/1.1" 345 404\n'
    found = looked_at(tmp_path, line.encode())
    assert route(found).statuses == ()
    assert route(found).unread == (("no status found", 1),)
    columns = f"2026-11-20T11:58:01Z|POST|{HOOK}|404|200|1\n"
    assert route(looked_at(tmp_path, columns.encode())).unread == (("no status found", 1),)


@pytest.mark.parametrize("status", ["000", "0", "-1", "-"])
def test_a_delivery_without_an_answer_is_a_failure_and_not_unread(status: str, tmp_path: Path) -> None:
    line = f'192.0.2.1 - - [20/Nov/2026:11:58:01 +0000] "POST {HOOK} HTTP/1.1" {status} 0 "-" "x"\n'
    found = looked_at(tmp_path, line.encode())
    assert (route(found).statuses, route(found).failures, found.unreadable) == (((0, 1),), 1, 0)


def test_requests_of_other_routes_that_name_the_route_are_no_deliveries(tmp_path: Path) -> None:
    lines = [
        f'192.0.2.1 - - [20/Nov/2026:11:58:01 +0000] "GET /admin HTTP/1.1" 200 5 "https://amn.example{HOOK}" "x"',
        f'192.0.2.1 - - [20/Nov/2026:11:58:01 +0000] "GET /search?q={HOOK} HTTP/1.1" 200 5 "-" "x"',
        json.dumps(
            {"method": "GET", "url": "/x", "referer": f"https://amn.example{HOOK}", "status": 200, "ts": 1795175881}
        ),
        json.dumps({"method": "GET", "url": f"/x?next={HOOK}", "status": 200, "ts": 1795175881}),
    ]
    found = looked_at(tmp_path, "\n".join(lines).encode() + b"\n")
    assert (route(found).deliveries, found.unreadable) == (0, 0)
    assert route(found).rule == "nothing came: a fault on the way to the server"


def test_requests_to_a_path_that_ends_in_the_route_are_told_and_are_no_silence(tmp_path: Path) -> None:
    line = f'192.0.2.1 - - [20/Nov/2026:11:58:01 +0000] "POST /v2{HOOK} HTTP/1.1" 404 5 "-" "x"\n'
    found = looked_at(tmp_path, line.encode())
    assert route(found).elsewhere == ((f"/v2{HOOK}", 1),)
    assert route(found).rule.startswith(
        "cannot tell: requests went to other paths that resemble its route, 1 to /v2/api"
    )


def test_the_path_is_found_among_several_addresses() -> None:
    reader = LineReader((HOOK,))
    row = {
        "url": "https://amn.example/",
        "path": HOOK,
        "status": "OK",
        "statusCode": 404,
        "method": "post",
        "ts": 1795175881,
    }
    found = reader.row(row)
    assert (found.path, found.status, found.method) == (HOOK, 404, "POST")
    assert target_path(f"https://h:443/{HOOK}/?a#b") == HOOK


def test_a_time_without_a_zone_is_told(tmp_path: Path) -> None:
    found = looked_at(tmp_path, SAMPLES["HAProxy"].encode())
    assert found.zoneless == 1
    wrapped = json.dumps({"log": SAMPLES["HAProxy"], "time": "2026-11-20T10:58:01Z"})
    found = looked_at(tmp_path, wrapped.encode())
    assert (found.zoneless, route(found).first_at) == (0, AT.replace(hour=10))


def test_a_route_in_a_line_that_is_too_long_is_counted(tmp_path: Path) -> None:
    found = looked_at(tmp_path, LINE + b"x" * 100 + HOOK.encode() + b"y" * (10 << 20) + b"\n" + LINE)
    assert route(found).unread == (("it stands in a line of over 1 MB", 1),)


def test_a_document_that_is_too_large_is_named_with_the_way_out(tmp_path: Path) -> None:
    found = looked_at(tmp_path, b"[" + b"[]," * 8_000_000 + b"[]]")
    assert "jq -c" in found.problems[0]
    assert not found.is_complete
