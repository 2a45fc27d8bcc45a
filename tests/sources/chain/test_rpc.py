"""The JSON-RPC client: what error texts mean, when it asks again, and what it never shows."""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Callable
from typing import Any

import httpx
import msgspec
import pytest

from recon.core.errors import ConfigError
from recon.sources.chain.rpc import (
    CallLimits,
    Endpoint,
    Envelope,
    Fault,
    RpcClient,
    RpcError,
    classify_error,
    clean,
    complaint_of,
)
from recon.sources.http import Clock, Pace
from tests.support import vendor_faults as vendor

ANY: msgspec.json.Decoder[Envelope[Any]] = msgspec.json.Decoder(Envelope[Any])
TEXT: msgspec.json.Decoder[Envelope[str]] = msgspec.json.Decoder(Envelope[str])
SECRET = "s3cr3tK3y0123456789abcdef"


class FakeTime:
    """A clock whose sleeps pass at once and are remembered."""

    def __init__(self) -> None:
        self.now, self.slept = 0.0, list[float]()

    def clock(self) -> Clock:
        return Clock(monotonic=lambda: self.now, sleep=self.sleep, now_ms=lambda: vendor.NOW_S * 1_000)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def client_of(handler: vendor.Handler, *, time: FakeTime | None = None, **limits: Any) -> RpcClient:
    given = CallLimits(**{"rate_per_s": None, **limits})
    endpoint = Endpoint(f"https://user:{SECRET}@node.example/v2/{SECRET}?key={SECRET}")
    clock = (time or FakeTime()).clock()
    return RpcClient(endpoint, limits=given, transport=vendor.transport(handler), clock=clock)


def echo(call: dict[str, Any]) -> Any:
    return call["params"]


# Error texts (facts C1): one row per vendor text.

SIZE_TEXTS = [
    ("Log response size exceeded. this block range should work: [0x64, 0xc8]", -32602, None, (100, 200)),
    ("You can make eth_getLogs requests with up to a 10 block range.", -32600, 10, None),
    ("query returned more than 10000 results. Try with this block range [0x64, 0x6E].", -32005, None, (100, 110)),
    ("query returned more than 10000 results", -32005, None, None),
    ("query timeout exceeded", -32603, None, None),
    ("range 20001 exceeds limit of 10000", -32602, 10_000, None),
    ("eth_getLogs is limited to a 10,000 range", -32614, 10_000, None),
    ("block range is too wide", -32600, 3_000, None),
    ("query exceeds max results", -32000, None, None),
    ("maximum [from, to] blocks distance: 3000", -32000, 3_000, None),
    ("Block range limit exceeded. See more details at https://docs.example/limits", -32000, None, None),
    ("ranges over 10000 blocks are not supported on freetier", 35, 10_000, None),
    ("exceed maximum block range: 50000", -32701, 50_000, None),
    ("eth_getLogs is limited to a 1000 blocks range", -32000, 1_000, None),
    ("eth_getLogs is limited to 1024 block range", -32000, 1_024, None),
    ("Max range: 800", -32047, 800, None),
    ("Maximum allowed number of requested blocks is 1000", -32602, 1_000, None),
    ("range is too large, max is 1k blocks", -32602, 1_000, None),
    ("query exceeds max results 20000, retry with the range 100-110", -32602, None, (100, 110)),
    ("query exceeds max block range 100000", -32602, 100_000, None),
    ("Response is too big", -32008, None, None),
    ("logs matched by query exceeds limit of 10000", -32000, None, None),
    ("Block range is too large", -32000, None, None),
    ("block range too large", -32000, None, None),
    ("backend response too large", -32020, None, None),
    ("no backend is currently healthy to serve traffic", -32011, None, None),
    ("requested too many blocks from 1 to 5000, maximum is set to 2048", -32000, 2_048, None),
    ("exceed max block range: 5000", -32600, 5_000, None),
    ("Please select a smaller result dataset", None, None, None),
]


@pytest.mark.parametrize(("text", "code", "cap", "suggested"), SIZE_TEXTS)
def test_a_size_text_is_a_size_complaint_whatever_its_code(
    text: str, code: int | None, cap: int | None, suggested: tuple[int, int] | None
) -> None:
    found = classify_error(text, code=code)
    assert (found.fault, found.blocks_max, found.suggested) == (Fault.SIZE, cap, suggested)


OTHER_TEXTS = [
    ("specify less number of address", -32602, 200, Fault.LIST),
    ("exceed max addresses or topics per search position", -32602, 200, Fault.LIST),
    ("too many filters, current limit is 5000", -32000, 200, Fault.LIST),
    ("header not found", -32000, 200, Fault.LAG),
    ("cannot query unfinalized data", -32000, 200, Fault.LAG),
    ("requested from block 9 after last accepted block 8", -32000, 200, Fault.LAG),
    ("BlockOutOfRangeError: block height is 7 but requested was 9", -32602, 200, Fault.LAG),
    ("daily request count exceeded, request rate limited", -32005, 200, Fault.RATE),
    ("slow down", 429, 200, Fault.RATE),
    ("slow down", -32005, 200, Fault.RATE),
    ("slow down", -32016, 200, Fault.RATE),
    ("slow down", -32012, 200, Fault.RATE),
    ("slow down", -32007, 200, Fault.RATE),
    ("slow down", -32055, 200, Fault.RATE),
    ("slow down", 1008, 200, Fault.RATE),
    ("", None, 429, Fault.RATE),
    ("Monthly capacity limit exceeded", 429, 429, Fault.QUOTA),
    ("not enough CUPs", -32000, 200, Fault.QUOTA),
    ("", None, 402, Fault.QUOTA),
    ("Please specify address in your request", -32701, 200, Fault.FATAL),
    ("the method eth_x does not exist/is not available", -32601, 200, Fault.UNSUPPORTED),
    ("internal error", -32603, 200, Fault.TRANSPORT),
    ("", None, 403, Fault.TRANSPORT),
    ("", None, 408, Fault.TRANSPORT),
    ("", None, 413, Fault.SIZE),
    ("", None, 500, Fault.TRANSPORT),
    ("", None, 502, Fault.TRANSPORT),
    ("", None, 503, Fault.TRANSPORT),
    ("", None, 504, Fault.TRANSPORT),
    ("", None, 401, Fault.FATAL),
    ("", None, 404, Fault.FATAL),
    ("invalid params", -32602, 200, Fault.FATAL),
]


@pytest.mark.parametrize(("text", "code", "status", "fault"), OTHER_TEXTS)
def test_what_other_complaints_mean(text: str, code: int | None, status: int, fault: Fault) -> None:
    assert classify_error(text, code=code, status=status).fault is fault


def test_text_is_looked_for_in_the_data_member_too() -> None:
    found = complaint_of(
        {"code": -32005, "message": "limit", "data": {"why": "query returned more than 10000 results"}}
    )
    assert found.fault is Fault.SIZE


@pytest.mark.parametrize(
    ("text", "data", "header", "pause"),
    [
        ("try again in 4ms", None, None, 0.004),
        ("try again in 10s", None, None, 10.0),
        ("too many requests", {"rate": {"backoff_seconds": 30}}, None, 30.0),
        ("too many requests", None, "7", 7.0),
        ("too many requests", None, "86400", 300.0),
        ("too many requests", None, "Wed, 21 Oct 2026 07:28:00 GMT", None),
    ],
)
def test_hints_for_a_pause_are_read_and_capped(
    text: str, data: object, header: str | None, pause: float | None
) -> None:
    assert classify_error(text, code=429, data=data, retry_after=header).pause_s == pause


def test_a_message_shows_no_url_no_key_and_no_control_characters() -> None:
    shown = clean(f"see https://x.example/v2/{SECRET}\x1b[31m or {SECRET}" + " x" * 500)
    assert SECRET not in shown and "https" not in shown and "\x1b" not in shown and len(shown) <= 201


# Retries


def test_rate_limits_are_waited_out_as_long_as_the_endpoint_says() -> None:
    time = FakeTime()
    handler = vendor.spoil(vendor.handler_of(echo), vendor.rate_limited("7"), times=2)
    assert client_of(handler, time=time).call("x", [1], decoder=ANY) == [1]
    assert time.slept == [7.0, 7.0]


def test_a_429_inside_http_200_is_a_rate_limit() -> None:
    time = FakeTime()
    handler = vendor.spoil(vendor.handler_of(echo), vendor.rate_limited_inside, times=1)
    assert client_of(handler, time=time).call("x", [1], decoder=ANY) == [1]
    assert len(time.slept) == 1


def test_pauses_grow_with_full_jitter_and_stay_below_their_cap() -> None:
    time = FakeTime()
    client = client_of(lambda body: vendor.Reply(b"", 503), time=time, tries_max=12)
    with pytest.raises(RpcError, match="after 12 tries"):
        client.call("x", [], decoder=ANY)
    bounds = [min(30.0, 0.25 * 2**n) for n in range(11)]
    assert len(time.slept) == 11
    assert all(0 <= slept <= bound for slept, bound in zip(time.slept, bounds, strict=True))
    assert len(set(time.slept)) == 11


def test_the_deadline_ends_the_retries() -> None:
    time = FakeTime()
    client = client_of(vendor.rate_limited("100"), time=time)
    client.deadline = 150.0
    with pytest.raises(RpcError):
        client.call("x", [], decoder=ANY)
    assert time.slept == [100.0]


def test_size_complaints_come_back_at_once() -> None:
    time = FakeTime()

    def too_big(call: dict[str, Any]) -> Any:
        raise vendor.RpcFaultError("query returned more than 10000 results", -32005)

    client = client_of(vendor.handler_of(too_big), time=time)
    with pytest.raises(RpcError) as caught:
        client.call("eth_getLogs", [], decoder=ANY)
    assert caught.value.complaint.fault is Fault.SIZE and time.slept == [] and client.meter.calls == 1


Spoiler = Callable[[vendor.Handler], Callable[[bytes], vendor.Reply]]


@pytest.mark.parametrize(
    "spoiler",
    [
        lambda handler: vendor.web_page(),
        lambda handler: vendor.web_page(503),
        vendor.cut_off,
        lambda handler: lambda body: vendor.Reply(b""),
        lambda handler: lambda body: vendor.Reply(b"\xff\xfe garbage"),
        lambda handler: lambda body: vendor.Reply(b"[" * 100_000),
        lambda handler: lambda body: vendor.Reply(b'"a string"'),
        lambda handler: lambda body: vendor.Reply(b'{"jsonrpc":"2.0","id":1}'),
        lambda handler: lambda body: vendor.Reply(b'{"jsonrpc":"2.0","id":77,"result":"0x1"}'),
        lambda handler: lambda body: vendor.Reply(b'{"jsonrpc":"2.0","id":1,"result":[]}'),
        lambda handler: lambda body: vendor.Reply(b'{"jsonrpc":"2.0","id":1,"error":"overloaded"}'),
    ],
)
def test_an_answer_nobody_can_read_is_asked_again(spoiler: Spoiler) -> None:
    good = vendor.handler_of(lambda call: "0x38")
    handler = vendor.spoil(good, spoiler(good), times=2)
    assert client_of(handler).call("eth_chainId", [], decoder=TEXT) == "0x38"


def test_an_answer_nobody_can_read_at_all_is_one_clear_error() -> None:
    with pytest.raises(RpcError, match=r"node\.example: eth_chainId was not answered after 3 tries .*web page"):
        client_of(vendor.web_page(), tries_max=3).call("eth_chainId", [], decoder=TEXT)


def test_a_null_result_is_an_answer() -> None:
    assert client_of(vendor.handler_of(lambda call: None)).call("x", [], decoder=TEXT) is None


def test_a_broken_connection_is_asked_again() -> None:
    tries = [0]

    def handle(body: bytes) -> vendor.Reply:
        tries[0] += 1
        if tries[0] < 3:
            raise httpx.ConnectError(f"refused by https://node.example/{SECRET}")
        return vendor.handler_of(echo)(body)

    assert client_of(handle).call("x", [5], decoder=ANY) == [5]


def test_a_server_that_is_not_there_is_named_by_host_only() -> None:
    client = RpcClient(
        Endpoint(f"http://127.0.0.1:9/{SECRET}"), limits=CallLimits(tries_max=2, pause_first_s=0.001, timeout_s=2)
    )
    with pytest.raises(RpcError, match=r"127\.0\.0\.1:9: x was not answered after 2 tries .*cannot be reached"):
        client.call("x", [], decoder=ANY)
    client.close()


# Batches


def test_a_batch_is_one_request_and_is_matched_by_id() -> None:
    plain = vendor.handler_of(echo)

    def reversed_(body: bytes) -> vendor.Reply:
        answers = json.loads(plain(body).body)
        return vendor.Reply(json.dumps(answers[::-1]).encode())

    client = client_of(reversed_)
    assert client.batch("x", [[1], [2], [3]], decoder=ANY) == [[1], [2], [3]]
    assert client.meter.calls == 1


def test_a_batch_answered_by_one_object_is_asked_singly_from_then_on() -> None:
    plain = vendor.handler_of(echo)

    def no_batches(body: bytes) -> vendor.Reply:
        if body[:1] == b"[":
            return vendor.Reply(b'{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"no batches"}}')
        return plain(body)

    client = client_of(no_batches)
    assert client.batch("x", [[1], [2]], decoder=ANY) == [[1], [2]]
    assert client.batches is False
    assert client.batch("x", [[3], [4]], decoder=ANY) == [[3], [4]]
    assert client.meter.calls == 1 + 2 + 2


def test_what_a_batch_leaves_open_is_asked_singly() -> None:
    plain = vendor.handler_of(echo)

    def lossy(body: bytes) -> vendor.Reply:
        answers = json.loads(plain(body).body)
        return vendor.Reply(json.dumps(answers[:1] if isinstance(answers, list) else answers).encode())

    assert client_of(lossy).batch("x", [[1], [2]], decoder=ANY) == [[1], [2]]


def test_one_bad_element_does_not_lose_the_others() -> None:
    def picky(call: dict[str, Any]) -> Any:
        if call["params"] == [2]:
            raise vendor.RpcFaultError("invalid params", -32602)
        return call["params"]

    first, second, third = client_of(vendor.handler_of(picky)).batch("x", [[1], [2], [3]], decoder=ANY)
    assert (first, third) == ([1], [3])
    assert isinstance(second, RpcError)


# Rate


def test_the_bucket_lets_a_burst_through_and_then_the_rate() -> None:
    time = FakeTime()
    bucket = Pace(10, clock=time.clock(), burst=10)
    assert [bucket.wait_s() for _ in range(10)] == [0.0] * 10
    assert bucket.wait_s() == pytest.approx(0.1)
    time.now = 100.0
    assert bucket.wait_s() == 0.0


def test_calls_wait_for_the_bucket_and_a_batch_counts_each_call() -> None:
    time = FakeTime()
    client = client_of(vendor.handler_of(echo), time=time, rate_per_s=2.0)
    client.batch("x", [[n] for n in range(6)], decoder=ANY)
    assert time.slept == [pytest.approx(2.0)]


# Secrets


def test_the_url_is_shown_nowhere(caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> None:
    caplog.set_level(logging.DEBUG)
    client = client_of(lambda body: vendor.Reply(f"no such key {SECRET}".encode(), 401))
    with pytest.raises(RpcError) as caught:
        client.call("eth_chainId", [], decoder=TEXT)
    shown = (
        "".join(traceback.format_exception(caught.value)) + caplog.text + repr(client.endpoint) + str(client.endpoint)
    )
    assert SECRET not in shown + "".join(capsys.readouterr())
    assert "node.example" in str(caught.value)


@pytest.mark.parametrize("url", ["", "node.example", "ftp://x", "https:///v2", "http://x:99999/", "file:///etc/passwd"])
def test_what_is_no_http_url_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Endpoint(url)
    assert not url or url not in str(caught.value)


def test_a_real_server_is_asked_over_http() -> None:
    with vendor.serve(vendor.handler_of(echo)) as url:
        client = RpcClient(Endpoint(url), limits=CallLimits())
        assert client.call("x", ["y"], decoder=ANY) == ["y"]
        assert client.meter.calls == 1 and client.meter.wire_bytes > 0
        client.close()


def test_compressed_answers_are_read() -> None:
    import gzip

    def packed(body: bytes) -> vendor.Reply:
        return vendor.Reply(gzip.compress(vendor.handler_of(echo)(body).body), 200, {"Content-Encoding": "gzip"})

    assert client_of(packed).call("x", [1], decoder=ANY) == [1]


def test_an_answer_larger_than_the_bound_is_a_question_that_was_too_big() -> None:
    client = client_of(vendor.handler_of(lambda call: "x" * 5_000), body_bytes_max=1_000)
    with pytest.raises(RpcError) as caught:
        client.call("x", [], decoder=TEXT)
    assert caught.value.complaint.fault is Fault.SIZE
