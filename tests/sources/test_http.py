"""The one HTTP client: no server holds it past its deadline, and no proxy of the environment learns of it."""

from __future__ import annotations

import gzip
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import msgspec
import pytest

from recon.sources.chain.rpc import CallLimits, Endpoint, Envelope, Fault, RpcClient, RpcError
from recon.sources.http import Clock, HttpClient, NoReply, Pace, Reply, is_http_url, seconds_of
from recon.sources.providers.polite import Manners, PoliteClient
from tests.support.provider_servers import FakeClock, serve

SECRET = "s3cr3tK3y0123456789abcdef"
BODY = b'{"jsonrpc":"2.0","id":1,"result":"0x38"}'
TEXT: msgspec.json.Decoder[Envelope[str]] = msgspec.json.Decoder(Envelope[str])

Asked = Callable[[str], str]
"""Asks the server at a URL once and says what became of it: ``ok``, or the kind or fault."""


def provider(url: str, **manners: Any) -> str:
    limits = Manners(**{"retries_max": 0, "rate_per_s": 1000, **manners})
    client = PoliteClient(source="shkeeper", base_url=url, headers={"x-api-key": SECRET}, manners=limits)
    with client.phase() as phase:
        return phase.get("/x").kind


def node(url: str, **limits: Any) -> str:
    client = RpcClient(Endpoint(url), limits=CallLimits(**{"tries_max": 1, **limits}))
    try:
        return "ok" if client.call("eth_chainId", [], decoder=TEXT) == "0x38" else "wrong"
    except RpcError as error:
        return error.complaint.fault.value
    finally:
        client.close()


def hasty_provider(url: str) -> str:
    return provider(url, call_deadline_s=0.6)


def hasty_node(url: str) -> str:
    return node(url, answer_deadline_s=0.6)


@contextmanager
def listening(serve_one: Callable[[socket.socket], None]) -> Iterator[tuple[str, list[bytes]]]:
    """A loopback listener that hands each connection on; gives its address and what was sent to it."""
    seen: list[bytes] = []
    done = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.1)

        def accept() -> None:
            while not done.is_set():
                try:
                    connection, _ = listener.accept()
                except TimeoutError:
                    continue
                with connection:
                    connection.settimeout(5)
                    try:
                        seen.append(connection.recv(65_536))
                        serve_one(connection)
                    except OSError:
                        continue

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield f"127.0.0.1:{listener.getsockname()[1]}", seen
        finally:
            done.set()
            thread.join()


def dripping(head: bytes, rest: bytes, *, pause_s: float = 0.05) -> Callable[[socket.socket], None]:
    def send(connection: socket.socket) -> None:
        connection.sendall(head)
        for byte in rest:
            connection.sendall(bytes([byte]))
            time.sleep(pause_s)

    return send


def answering(body: bytes = BODY, *headers: str) -> Callable[[socket.socket], None]:
    lines = ["HTTP/1.1 200 OK", "content-type: application/json", *headers, f"content-length: {len(body)}"]
    head = "\r\n".join([*lines, "connection: close", "", ""]).encode()
    return lambda connection: connection.sendall(head + body)


# The deadline


@pytest.mark.parametrize("ask", [hasty_provider, hasty_node])
@pytest.mark.parametrize(
    ("head", "rest"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 400\r\n\r\n", b" " * 400),
        (b"HTTP/1.1 200 OK\r\n", b"x-slow: " + b"y" * 400),
    ],
    ids=["body", "headers"],
)
def test_a_server_that_drips_a_byte_at_a_time_is_given_up_at_the_deadline(ask: Asked, head: bytes, rest: bytes) -> None:
    with listening(dripping(head, rest)) as (address, _):
        started = time.monotonic()
        assert ask(f"http://{address}") == "late"
        assert 0.5 < time.monotonic() - started < 2.0


def endless(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    while True:
        connection.sendall(b"1\r\n \r\n")
        time.sleep(0.02)


def mute(connection: socket.socket) -> None:
    while connection.recv(65_536):
        pass


HOLDERS: dict[str, Callable[[socket.socket], None]] = {
    "silence": mute,
    "slow body": dripping(b"HTTP/1.1 200 OK\r\ncontent-length: 400\r\n\r\n", b" " * 400),
    "slow headers": dripping(b"HTTP/1.1 200 OK\r\n", b"x-slow: " + b"y" * 400),
    "endless chunks": endless,
}


def questions_to_a_provider(url: str, times: int) -> None:
    manners = Manners(timeout_s=0.4, rate_per_s=1000, backoff_s=0.01)
    client = PoliteClient(source="shkeeper", base_url=url, manners=manners)
    for _ in range(4):
        with client.phase() as phase:
            assert all(phase.get("/x").kind != "ok" for _ in range(times))


def questions_to_a_node(url: str, times: int) -> None:
    client = RpcClient(Endpoint(url), limits=CallLimits(timeout_s=0.4, pause_first_s=0.01))
    for _ in range(4 * times):
        with pytest.raises(RpcError):
            client.call("eth_chainId", [], decoder=TEXT)
    client.close()


@pytest.mark.parametrize("questions", [questions_to_a_provider, questions_to_a_node])
@pytest.mark.parametrize("name", HOLDERS)
def test_no_server_holds_a_run_however_much_is_asked_of_it(name: str, questions: Callable[[str, int], None]) -> None:
    with listening(HOLDERS[name]) as (address, seen):
        started = time.monotonic()
        questions(f"http://{address}", 100)
        assert time.monotonic() - started < 2.5
        assert len(seen) <= 1


def test_a_dripping_node_is_not_asked_six_times_and_says_how_long_it_was_waited_for() -> None:
    with listening(dripping(b"HTTP/1.1 200 OK\r\ncontent-length: 400\r\n\r\n", b" " * 400)) as (address, seen):
        client = RpcClient(Endpoint(f"http://{address}/{SECRET}"), limits=CallLimits(answer_deadline_s=1.2))
        with pytest.raises(
            RpcError, match=r"eth_chainId was not answered \(late\): no whole answer within 1 s"
        ) as caught:
            client.call("eth_chainId", [], decoder=TEXT)
        client.close()
    assert caught.value.complaint.fault is Fault.LATE and len(seen) == 1
    assert SECRET not in str(caught.value)


def test_the_deadline_of_a_reading_also_ends_an_answer() -> None:
    with listening(dripping(b"HTTP/1.1 200 OK\r\ncontent-length: 400\r\n\r\n", b" " * 400)) as (address, _):
        client = RpcClient(Endpoint(f"http://{address}"), limits=CallLimits())
        started = time.monotonic()
        client.deadline = started + 0.6
        with pytest.raises(RpcError):
            client.call("eth_chainId", [], decoder=TEXT)
        assert time.monotonic() - started < 2.0
        client.close()


# The environment


@pytest.mark.parametrize("ask", [provider, node])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_of_the_environment_is_never_contacted(
    monkeypatch: pytest.MonkeyPatch, ask: Asked, scheme: str
) -> None:
    with listening(answering()) as (proxy, told), listening(answering()) as (address, asked):
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://{proxy}")
            monkeypatch.setenv(name.lower(), f"http://{proxy}")
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        found = ask(f"{scheme}://{address}/{SECRET}")
    assert told == [], "the proxy of the environment learnt nothing"
    assert len(asked) == 1, "the host itself was asked"
    assert found == "ok" if scheme == "http" else found in ("unreachable", "transport")


@pytest.mark.parametrize("ask", [provider, node])
def test_a_password_file_of_the_environment_is_not_read(
    monkeypatch: pytest.MonkeyPatch, ask: Asked, tmp_path: Any
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password hunter2\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with listening(answering()) as (address, asked):
        assert ask(f"http://{address}") == "ok"
    assert b"authorization" not in asked[0].lower()


# Redirects, size


@pytest.mark.parametrize("ask", [provider, node])
def test_no_redirect_is_followed_to_another_host(ask: Asked) -> None:
    with listening(answering()) as (other, told):
        head = f"HTTP/1.1 307 Temporary Redirect\r\nlocation: http://{other}/\r\ncontent-length: 0\r\n\r\n".encode()
        with listening(lambda connection: connection.sendall(head)) as (address, _):
            assert ask(f"http://{address}") in ("redirect", "fatal")
    assert told == []


@pytest.mark.parametrize(
    ("ask", "expected"),
    [
        (lambda url: provider(url, body_bytes_max=100_000), "too_large"),
        (lambda url: node(url, body_bytes_max=100_000), "size"),
    ],
)
@pytest.mark.parametrize("packed", [True, False])
def test_an_answer_too_large_is_refused_packed_or_not(ask: Asked, expected: str, *, packed: bool) -> None:
    plain = b" " * 50_000_000 if packed else b" " * 200_000
    body = gzip.compress(plain, 1) if packed else plain
    with listening(answering(body, *(["content-encoding: gzip"] if packed else []))) as (address, _):
        assert ask(f"http://{address}") == expected


@pytest.mark.parametrize(("age", "expected"), [("301", "stale"), ("864000", "stale"), ("300", "ok"), ("soon", "ok")])
def test_an_answer_that_a_cache_kept_for_long_was_not_asked_for(age: str, expected: str) -> None:
    with listening(answering(BODY, f"age: {age}")) as (url, seen):
        assert provider(f"http://{url}") == expected
        assert node(f"http://{url}") == ("transport" if expected == "stale" else "ok")
    assert all(b"cache-control: no-cache" in asked.lower() for asked in seen)
    assert len(seen) == 2


def exchanged(serve_one: Callable[[socket.socket], None]) -> tuple[Reply | NoReply, HttpClient, bytes]:
    with listening(serve_one) as (address, seen):
        client = HttpClient(clock=Clock(), timeout_s=5)
        reply = client.get(f"http://{address}/", ends_at=time.monotonic() + 5)
        client.close()
    return reply, client, seen[0]


def test_a_packed_answer_is_unpacked_and_its_bytes_on_the_wire_are_counted() -> None:
    packed = gzip.compress(BODY)
    reply, client, sent = exchanged(answering(packed, "content-encoding: gzip"))
    assert isinstance(reply, Reply) and (reply.status, reply.body) == (200, BODY)
    assert (client.meter.calls, client.meter.wire_bytes) == (1, len(packed))
    assert b"accept-encoding: gzip\r\n" in sent.lower()


@pytest.mark.parametrize(
    ("body", "encoding", "kind"),
    [
        (gzip.compress(BODY, mtime=0)[:-12], "gzip", "cut"),
        (b"no gzip at all", "gzip", "unreachable"),
        (gzip.compress(gzip.compress(BODY, mtime=0), mtime=0), "gzip, gzip", "unreachable"),
        (BODY, "br", "unreachable"),
    ],
    ids=["cut", "none", "twice", "brotli"],
)
def test_what_cannot_be_unpacked_is_no_answer(body: bytes, encoding: str, kind: str) -> None:
    reply, _, _ = exchanged(answering(body, f"content-encoding: {encoding}"))
    assert isinstance(reply, NoReply) and reply.kind == kind


def test_a_closed_client_opens_again() -> None:
    with serve(lambda request: httpx.Response(200, json={})) as url:
        client = HttpClient(clock=Clock(), timeout_s=5)
        for _ in range(2):
            assert isinstance(client.get(url, ends_at=time.monotonic() + 5), Reply)
            client.close()
    assert client.meter.calls == 2


# Logs, pace, headers


@pytest.mark.parametrize("ask", [provider, node])
def test_no_log_shows_more_of_an_address_than_its_host(ask: Asked, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with listening(answering()) as (address, _):
        assert ask(f"http://user:{SECRET}@{address}/{SECRET}") == "ok"
    assert SECRET not in caplog.text
    assert "127.0.0.1" in caplog.text


def test_a_burst_is_let_through_and_then_the_rate() -> None:
    fake = FakeClock()
    pace = Pace(10, clock=Clock(monotonic=fake.monotonic), burst=10)
    assert [pace.wait_s() for _ in range(10)] == [0.0] * 10
    assert pace.wait_s() == pytest.approx(0.1)
    fake.sleep(100)
    assert pace.wait_s() == 0.0


def test_without_a_burst_calls_are_spaced_evenly_and_a_batch_takes_all_its_places() -> None:
    pace = Pace(4, clock=Clock(monotonic=FakeClock().monotonic))
    assert [pace.wait_s() for _ in range(3)] == [0.0, 0.25, 0.5]
    assert pace.wait_s(4) == pytest.approx(1.5)
    assert pace.wait_s() == pytest.approx(1.75)
    assert Pace(None, clock=Clock()).wait_s(1_000_000) == 0.0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7.0),
        (" 2.5 ", 2.5),
        ("", None),
        (None, None),
        ("-1", None),
        ("9" * 30, None),
        ("٣", None),
        ("Wed, 21", None),
    ],
)
def test_retry_after_is_read_in_seconds_only(text: str | None, seconds: float | None) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("url", ["", "x.test", "ftp://x", "https:///v2", "http://x:99999/", "http://[::1"])
def test_what_cannot_be_asked_is_told_apart(url: str) -> None:
    assert not is_http_url(url)
    assert is_http_url("https://x.test:8545/v2")
