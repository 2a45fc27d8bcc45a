"""The polite client: paced, bounded, and never mistaking a sick answer for data."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from recon.core.errors import ConfigError
from recon.core.text import clean_text
from recon.sources.http import Clock, Secret, clean_message
from recon.sources.providers.polite import Answer, Manners, PoliteClient, UrlError, error_text, parse_json
from tests.support.provider_servers import Calls, FakeClock, Faults, Handler, in_memory, payload, serve, with_faults

KEY = "sekret-key-0123456789"


def sound(request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, json={"answer": 42, "amount": 0.1})


def clock_of(fake: FakeClock) -> Clock:
    return Clock(now_ms=fake.now_ms, monotonic=fake.monotonic, sleep=fake.sleep)


def client_of(handler: Handler, fake: FakeClock | None = None, **manners: Any) -> PoliteClient:
    return PoliteClient(
        source="request_network",
        base_url="https://user:pass-word@provider.test/base",
        headers={"x-api-key": KEY},
        manners=Manners(**manners),
        clock=clock_of(fake or FakeClock()),
        transport=in_memory(handler),
    )


def ask(client: PoliteClient, times: int = 1) -> Answer:
    with client.phase() as phase:
        for _ in range(times):
            answer = phase.get("/x")
    return answer


def real_client(url: str, **manners: Any) -> PoliteClient:
    return PoliteClient(
        source="shkeeper", base_url=url, headers={"k": KEY}, manners=Manners(rate_per_s=1000, **manners)
    )


def test_calls_are_spaced_evenly_across_phases() -> None:
    fake = FakeClock()
    client = client_of(sound, fake, rate_per_s=5)
    ask(client, 6)
    ask(client, 5)
    assert fake.monotonic() == pytest.approx(10 / 5)


def test_numbers_pass_through_no_float() -> None:
    assert parse_json(b'{"a": 0.1, "b": 1e400, "c": NaN, "d": 12345678901234567890}') == {
        "a": "0.1", "b": "1e400", "c": "NaN", "d": 12345678901234567890,
    }  # fmt: skip


@pytest.mark.parametrize("raw", [b"{", b"\xff\xfe", b"[" * 200_000, b"{} {}", b"<html>"])
def test_what_is_no_json_raises_one_kind_of_error(raw: bytes) -> None:
    with pytest.raises(ValueError):
        parse_json(raw)


@pytest.mark.parametrize(
    ("kind", "expected", "words"),
    [
        ("sick", "sick", "answered 503"),
        ("cut", "cut", "broke off"),
        ("html", "html", "web page"),
        ("garbage", "garbage", "not whole JSON"),
        ("empty", "empty", "empty body"),
    ],
)
def test_a_sick_answer_is_named_and_never_ok(kind: str, expected: str, words: str) -> None:
    answer = ask(client_of(with_faults(sound, Faults(burst=99, burst_kind=kind))))
    assert (answer.kind, words in str(answer.problem)) == (expected, True)


@pytest.mark.parametrize("kind", ["sick", "cut", "garbage", "empty", "slow_down"])
def test_a_passing_sickness_is_retried(kind: str) -> None:
    fake = FakeClock()
    client = client_of(with_faults(sound, Faults(burst=2, burst_kind=kind)), fake)
    with client.phase() as phase:
        answer = phase.get("/x")
    assert (answer.kind, answer.body["amount"], phase.calls) == ("ok", "0.1", 3)
    assert fake.sleeps, "it backed off"


@pytest.mark.parametrize("status", [400, 404, 409, 422, 301, 302])
def test_an_answer_that_stays_the_same_is_asked_once(status: int) -> None:
    client = client_of(lambda _: httpx.Response(status, json={"message": "no"}, headers={"location": "/login?key=1"}))
    with client.phase() as phase:
        phase.get("/x")
    assert phase.calls == 1


def test_backing_off_is_jittered_and_the_same_for_the_same_seed() -> None:
    sleeps = []
    for _ in range(2):
        fake = FakeClock()
        ask(client_of(with_faults(sound, Faults(burst=3, burst_kind="sick")), fake))
        sleeps.append(fake.sleeps)
    assert sleeps[0] == sleeps[1]
    assert len(set(sleeps[0])) == len(sleeps[0])


def test_repeated_429_brings_a_pause_of_minutes_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    fake = FakeClock()
    with caplog.at_level(logging.WARNING, "recon.http"):
        answer = ask(client_of(with_faults(sound, Faults(burst=3)), fake))
    assert answer.kind == "ok"
    assert max(fake.sleeps) >= 300
    assert "slow down" in caplog.text


def test_a_429_that_never_ends_stops_the_phase() -> None:
    fake = FakeClock()
    client = client_of(lambda _: httpx.Response(429), fake)
    with client.phase() as phase:
        first, second = phase.get("/x"), phase.get("/y")
    assert (first.kind, second.kind) == ("slow_down", "stopped")
    assert phase.calls == 5
    assert fake.monotonic() < 1000


def test_retry_after_is_heeded_and_bounded() -> None:
    fake = FakeClock()
    answers = iter([httpx.Response(429, headers={"retry-after": "17"}), sound(httpx.Request("GET", "http://x"))])
    assert ask(client_of(lambda _: next(answers), fake)).kind == "ok"
    assert 17 in fake.sleeps
    answers = iter([httpx.Response(503, headers={"retry-after": "999999"}), sound(httpx.Request("GET", "http://x"))])
    fake = FakeClock()
    ask(client_of(lambda _: next(answers), fake))
    assert fake.monotonic() <= 310


def test_a_phase_ends_by_its_deadline_and_says_which_setting_that_is() -> None:
    fake = FakeClock()
    client = client_of(sound, fake, rate_per_s=1, deadline_s=10)
    with client.phase() as phase:
        answers = [phase.get("/x") for _ in range(30)]
    assert [answer.kind for answer in answers].count("ok") == 10
    assert "deadline_s" in str(answers[-1].problem)
    assert fake.monotonic() <= 10


def test_a_dead_provider_costs_little() -> None:
    client = client_of(dead, failures_max=2, retries_max=1)
    with client.phase() as phase:
        answers = [phase.get("/x") for _ in range(100)]
    assert phase.calls == 4
    assert "Connection refused" in str(answers[0].problem)
    assert answers[-1].kind == "stopped"


def silent(fake: FakeClock, *, timeout_s: float = 20.0, answers: int = 0) -> Handler:
    """A provider that answers so many calls, and then lets everyone wait."""
    left = [answers]

    def handler(request: httpx.Request) -> httpx.Response:
        if left[0] > 0:
            left[0] -= 1
            return sound(request)
        fake.sleep(timeout_s)
        raise httpx.ReadTimeout("timed out", request=request)

    return handler


def dead(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("[Errno 111] Connection refused", request=request)


def cost_of(client: PoliteClient, fake: FakeClock, *, phases: int = 4, times: int = 50) -> tuple[float, list[Answer]]:
    """How long a run took that asks in several phases, and the last answer of each."""
    started, answers = fake.monotonic(), []
    for _ in range(phases):
        answers.append(ask(client, times))
    return fake.monotonic() - started, answers


@pytest.mark.parametrize("manners", [{}, {"retries_max": 0}, {"timeout_s": 3.0, "retries_max": 9}, {"failures_max": 1}])
def test_a_provider_that_never_answers_costs_one_timeout_more_than_one_that_refuses(manners: dict[str, Any]) -> None:
    timeout_s = manners.get("timeout_s", 20.0)
    mute, refusing = FakeClock(), FakeClock()
    waited, said = cost_of(client_of(silent(mute, timeout_s=timeout_s), mute, **manners), mute)
    refused, _ = cost_of(client_of(dead, refusing, **manners), refusing)
    assert waited <= 1.5 * refused + timeout_s
    assert {answer.kind for answer in said} == {"stopped"}
    assert len({answer.problem for answer in said}) == 1, "it is told in one sentence"
    assert "counts as down" in str(said[0].problem)


def test_a_provider_that_falls_silent_counts_as_down_after_three_silences_in_a_row() -> None:
    fake = FakeClock()
    waited, said = cost_of(client_of(silent(fake, answers=7), fake), fake)
    assert 60 <= waited < 60 + 20
    assert "counts as down" in str(said[-1].problem)


def test_one_lost_answer_takes_nothing_down() -> None:
    fake = FakeClock()
    calls = Calls()

    def flaky(request: httpx.Request) -> httpx.Response:
        if len(calls.paths) % 3 == 2:
            raise httpx.ReadTimeout("timed out", request=request)
        return sound(request)

    client = client_of(calls.wrap(flaky), fake)
    assert [ask(client, 5).kind for _ in range(6)] == ["ok"] * 6


@pytest.mark.parametrize("status", [500, 502, 401])
def test_a_provider_that_failed_so_often_is_not_asked_again_in_another_phase(status: int) -> None:
    calls = Calls()
    client = client_of(calls.wrap(lambda _: httpx.Response(status, json={"message": "no"})), retries_max=0)
    ask(client, 10)
    asked = len(calls.paths)
    assert asked in (1, 5)
    assert ask(client, 10).kind == "stopped"
    assert len(calls.paths) == asked


def test_a_refused_key_stops_the_phase() -> None:
    client = client_of(lambda _: httpx.Response(401, json={"statusCode": 401, "message": "Unauthorized"}))
    with client.phase() as phase:
        assert [phase.get("/x").kind, phase.get("/y").kind] == ["refused", "stopped"]
    assert phase.calls == 1


def test_a_redirect_is_reported_and_not_followed() -> None:
    asked = []

    def redirecting(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        return httpx.Response(302, headers={"location": "https://login.test/sign-in?next=secret"}, html="<html>")

    answer = ask(client_of(redirecting))
    assert answer.kind == "redirect"
    assert "https://login.test" in str(answer.problem)
    assert "secret" not in str(answer.problem)
    assert len(asked) == 1


def test_a_web_page_at_404_is_no_answer_about_the_thing_asked_for() -> None:
    assert ask(client_of(lambda _: httpx.Response(404, html="<html>nginx</html>"))).kind == "html"
    assert ask(client_of(lambda _: httpx.Response(404, text="404 page not found"))).kind == "html"
    assert ask(client_of(lambda _: httpx.Response(404, json={"message": "gone"}))).kind == "not_found"


def test_no_message_holds_a_secret() -> None:
    def echo(request: httpx.Request) -> httpx.Response:
        return httpx.Response(400, json={"message": f"bad key {KEY} and pass-word for {request.url}"})

    problem = str(ask(client_of(echo)).problem)
    assert "400" in problem
    for secret in (KEY, "pass-word", "user:", "/base"):
        assert secret not in problem


def test_a_secret_hides_itself() -> None:
    secret = Secret(KEY)
    assert KEY not in f"{secret!r} {secret} {[secret]}"
    assert (secret.reveal(), bool(secret), bool(Secret(""))) == (KEY, True, False)
    assert KEY not in repr(client_of(sound))


@pytest.mark.parametrize(
    "url", ["", "provider.test", "ftp://x", "https://", "http://x:99999", "http://a b", "http://[::1", "http://x?k=1"]
)
def test_an_address_that_cannot_be_asked_is_refused_at_once(url: str) -> None:
    with pytest.raises(UrlError, match="base_url"):
        PoliteClient(source="shkeeper", base_url=url)


def test_settings_without_sense_are_refused() -> None:
    with pytest.raises(ConfigError, match="rate_per_s"):
        Manners(rate_per_s=0)
    with pytest.raises(ConfigError, match="retries_max"):
        Manners(retries_max=-1)
    with pytest.raises(ConfigError, match="cannot be sent"):
        PoliteClient(source="s", base_url="http://x", headers={"k": "a\nb"})


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("error_message.json", "Request not found"),
        ("error_issues.json", "query.fromDate: must end with Z"),
        ("error_fields.json", "Validation failed; toDate: toDate must be after or equal to fromDate"),
        ("error_multicall.json", "already paid"),
    ],
)
def test_each_error_shape_is_read(name: str, words: str) -> None:
    assert words in error_text(payload("request_network", name))


@pytest.mark.parametrize("body", [None, [], "x", {}, {"message": {"a": []}}, {"message": [None, 1, {}], "errors": 3}])
def test_any_error_body_gives_some_text(body: Any) -> None:
    assert isinstance(error_text(body), str)


def test_outside_text_becomes_one_bounded_line() -> None:
    assert clean_text("a\nb\x00\u202e\ud800 c") == "a b ? c"
    assert len(clean_text("x" * 10_000)) == 200
    assert clean_message("see https://u:p@h.test:8/a?k=1 now") == "see https://h.test:8 now"


# --- a real socket -----------------------------------------------------------------------------------------------


@pytest.fixture
def door() -> Iterator[tuple[str, dict[str, Any]]]:
    wire: dict[str, Any] = {}

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"ok": "x" * 400}, extensions=dict(wire))

    with serve(answer) as url:
        yield url, wire


def test_a_real_answer_is_read_and_its_bytes_are_counted(door: tuple[str, dict[str, Any]]) -> None:
    with real_client(door[0]).phase() as phase:
        answers = [phase.get("/x", {"a": "ä&b"}) for _ in range(3)]
    assert [answer.kind for answer in answers] == ["ok"] * 3
    assert (phase.calls, phase.wire_bytes) == (3, 3 * len('{"ok":"' + "x" * 400 + '"}'))


def test_a_real_connection_that_breaks_off_is_cut_and_retried(door: tuple[str, dict[str, Any]]) -> None:
    door[1]["cut"] = 50
    with real_client(door[0], retries_max=1, backoff_s=0.01).phase() as phase:
        assert phase.get("/x").kind == "cut"
    assert phase.calls == 2


@pytest.mark.parametrize("wire", [{"drip_s": 0.05}, {"slow_head_s": 0.05}, {"wait_s": 3}])
def test_no_server_can_hold_a_call_past_its_deadline(door: tuple[str, dict[str, Any]], wire: dict[str, Any]) -> None:
    door[1].update(wire)
    started = time.monotonic()
    with real_client(door[0], retries_max=0, call_deadline_s=0.5, timeout_s=0.4).phase() as phase:
        answer = phase.get("/x")
    assert answer.kind in ("late", "unreachable")
    assert time.monotonic() - started < 2


def test_a_body_without_end_is_not_read_to_the_end(door: tuple[str, dict[str, Any]]) -> None:
    with real_client(door[0], body_bytes_max=100).phase() as phase:
        assert phase.get("/x").kind == "too_large"


def test_nobody_listening_is_one_sentence() -> None:
    with serve(sound) as url:
        pass
    answer = ask(real_client(url, retries_max=0))
    assert answer.kind == "unreachable"
    assert "could not be reached" in str(answer.problem)
