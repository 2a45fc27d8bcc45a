"""The page over HTTP: what it shows, to whom, under which policy, and what it never does."""

from __future__ import annotations

import base64
import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from recon.core.registry import load_registry
from recon.setup.settings import Settings, load_settings
from recon.sources.http import Secret
from recon.watch.measures import Measures
from recon.watch.page import serve
from recon.watch.page.app import Guard
from recon.watch.page.overview import overview, stamp_of
from recon.watch.page.serving import ListenError, read_place
from tests.support.watched import played_history, watched_world

TOKEN = "hush-5e1f-token"


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return watched_world(tmp_path_factory.mktemp("watched"))


@pytest.fixture(scope="module")
def url(settings: Settings) -> Iterator[str]:
    with serve(settings, "0", measures=Measures(load_registry())) as served:
        assert served.host == "127.0.0.1", "this machine only, unless another place is named"
        yield served.url


def test_the_front_shows_what_is_open_and_the_history_under_the_policy_of_the_report(url: str) -> None:
    answer = httpx.get(url)
    assert answer.status_code == 200
    assert "What the watch sees" in answer.text
    assert "Open situations" in answer.text
    assert "Newest plans" in answer.text
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe-inline" not in policy.partition("style-src")[0]
    assert policy.endswith("connect-src 'self'; frame-ancestors 'none'")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_the_newest_report_is_the_report(url: str) -> None:
    answer = httpx.get(f"{url}report")
    assert answer.status_code == 200
    assert 'id="payments"' in answer.text
    assert "connect-src" not in answer.headers["content-security-policy"]


def test_measures_and_health_are_answered(url: str) -> None:
    assert "recon_build_info" in httpx.get(f"{url}metrics").text
    assert httpx.get(f"{url}metrics").headers["content-type"].startswith("text/plain; version=")
    assert httpx.get(f"{url}healthz").text == "ok\n"
    assert httpx.get(f"{url}readyz").status_code == 200
    assert set(httpx.get(f"{url}stamp").json()) == {"stamp"}


def test_nothing_can_be_changed(url: str, settings: Settings) -> None:
    before = {path: path.stat().st_mtime_ns for path in settings.output_dir.rglob("*") if path.is_file()}
    for path in ("", "report", "stamp", "metrics", "healthz"):
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            assert httpx.request(method, f"{url}{path}", content=b"{}").status_code == 405
    for path in ("../recon.toml", "%2e%2e/recon.toml", "static/x", "recon-out"):
        assert httpx.get(f"{url}{path}").status_code == 404
    assert {path: path.stat().st_mtime_ns for path in settings.output_dir.rglob("*") if path.is_file()} == before


def test_another_name_that_points_here_is_not_answered(url: str) -> None:
    assert httpx.get(url, headers={"host": "evil.example"}).status_code == 421
    assert httpx.get(url, headers={"host": "localhost:80"}).status_code == 200
    assert httpx.get(f"{url}healthz", headers={"host": "10.0.0.7"}).status_code == 200


def guarded(folder: Path, monkeypatch: pytest.MonkeyPatch, part: str) -> Settings:
    monkeypatch.setenv("PAGE_TOKEN", TOKEN)
    path = folder / "recon.toml"
    path.write_text(f"[page]\n{part}\n", encoding="utf-8")
    return load_settings(path)


def test_a_token_is_asked_for_and_never_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = guarded(tmp_path, monkeypatch, 'token_variable = "PAGE_TOKEN"')
    with serve(given, "127.0.0.1:0", measures=Measures(load_registry())) as served:
        refused = httpx.get(served.url)
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"].startswith("Basic ")
        assert httpx.get(f"{served.url}metrics").status_code == 401
        assert httpx.get(f"{served.url}healthz").status_code == 200
        assert httpx.get(f"{served.url}?token={TOKEN}").status_code == 401, "an address is kept in logs"
        for wrong in ("x", TOKEN + "x", TOKEN[:-1], "ü"):
            bearer = b"Bearer " + wrong.encode()
            assert httpx.get(served.url, headers={"authorization": bearer}).status_code == 401
        known = {"authorization": f"Bearer {TOKEN}", "host": "recon.example"}
        assert httpx.get(served.url, headers=known).status_code == 200
        assert httpx.get(f"{served.url}metrics", headers=known).status_code == 200
        assert httpx.get(served.url, auth=("anyone", TOKEN)).status_code == 200
        assert TOKEN not in httpx.get(served.url, headers=known).text


def test_a_header_of_a_proxy_is_believed_with_its_secret_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    part = 'proxy_header = "X-Recon-Proxy"\nproxy_secret_variable = "PAGE_TOKEN"'
    with serve(guarded(tmp_path, monkeypatch, part), "0") as served:
        assert httpx.get(served.url, headers={"x-recon-proxy": TOKEN}).status_code == 200
        assert httpx.get(served.url, headers={"x-recon-proxy": "yes"}).status_code == 401
        assert httpx.get(served.url, headers={"authorization": f"Bearer {TOKEN}"}).status_code == 401


def test_without_a_token_other_machines_get_health_only_and_measures_where_that_is_said() -> None:
    guard, shows = Guard(is_loopback=False), Guard(is_loopback=False, shows_measures=True)
    host = {"host": "10.0.0.7:9464"}
    assert [guard.refusal(path, host) for path in ("/healthz", "/readyz")] == [None] * 2
    found = guard.refusal("/metrics", host)
    assert found is not None
    assert found[0] == 403
    assert "open_measures = true" in found[1]
    assert [shows.refusal(path, host) for path in ("/metrics", "/healthz", "/readyz")] == [None] * 3
    with_token = Guard(is_loopback=False, token=Secret(TOKEN), shows_measures=True)
    assert with_token.refusal("/metrics", host) is not None, "a token is asked for whatever else is said"
    there = Guard(is_loopback=True)
    assert there.refusal("/metrics", {"host": "127.0.0.1:9464"}) is None
    assert there.refusal("/metrics", {"host": "evil.example"}) is not None, "a page elsewhere that points here"
    for path in ("/", "/report", "/stamp"):
        found = guard.refusal(path, host)
        assert found is not None
        assert found[0] == 403
        assert "set [page] token_variable" in found[1]


NOT_TEXT = base64.b64encode(b"\xff:\xff").decode()


@pytest.mark.parametrize("sent", ["Basic !!!", "Basic " + "A" * 9000, "Bearer", "Digest x", f"Basic {NOT_TEXT}"])
def test_an_odd_login_is_a_stranger(sent: str) -> None:
    found = Guard(is_loopback=True, token=Secret(TOKEN)).refusal("/", {"authorization": sent})
    assert found is not None
    assert found[0] == 401


def test_a_port_in_use_is_one_sentence(settings: Settings) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        place = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ListenError, match=f"^{place} cannot be listened on .Address already in use."), serve(
            settings, place
        ):  # fmt: skip
            pass


@pytest.mark.parametrize("text", ["", "x", "1:2:x", "70000", "-1", ":", "127.0.0.1:٣"])
def test_a_place_that_is_none_is_one_sentence(text: str) -> None:
    with pytest.raises(ListenError, match="it is no PORT and no HOST:PORT"):
        read_place(text)


def test_what_the_watch_raises_meanwhile_stays_what_it_is(settings: Settings) -> None:
    with pytest.raises(OSError, match="a fault of the watch"), serve(settings, "0"):
        raise OSError("a fault of the watch")


# What is drawn


def test_breaks_and_money_over_time_hold_until_the_next_round_and_stretches_without_one_are_shaded(
    tmp_path: Path,
) -> None:
    played_history(tmp_path)
    when = load_settings_of(tmp_path).now()
    page = overview(tmp_path, registry=load_registry(), now=when, every_s=5, links=())
    assert [chart.name for chart in page.charts] == [
        "breaks_over_time", "captured_not_credited_over_time", "value_at_risk_over_time",
    ]  # fmt: skip
    breaks, captured, _ = page.charts
    assert breaks.data["step_ms"] == 5 * 60_000
    assert breaks.data["series"][0]["values"][-1] == "3"
    [money] = captured.data["series"]
    assert money["name"] == "USDC on base (8453)"
    assert money["texts"][-1] == "73.75"
    assert None not in money["values"]
    [gap] = breaks.data["gaps"]
    assert gap["to"] - gap["from"] == 3_600_000


def load_settings_of(folder: Path) -> Settings:
    (folder / "recon.toml").write_text("", encoding="utf-8")
    return load_settings(folder / "recon.toml")


def test_an_empty_folder_and_a_broken_history_are_shown_as_they_are(tmp_path: Path) -> None:
    given = load_settings_of(tmp_path)
    with serve(given, "0") as served:
        assert "none yet" in httpx.get(served.url).text
        assert httpx.get(f"{served.url}report").status_code == 404
        assert httpx.get(f"{served.url}metrics").status_code == 404
        before = httpx.get(f"{served.url}stamp").json()
        given.output_dir.mkdir()
        (given.output_dir / "history.ndjson").write_bytes(b'{"x": 1}\n\xff\xfe\n')
        assert httpx.get(f"{served.url}stamp").json() != before
        assert re.search(r"\d lines unreadable or changed", httpx.get(served.url).text)


def test_hostile_text_in_the_history_stays_text(tmp_path: Path) -> None:
    given = load_settings_of(tmp_path)
    given.output_dir.mkdir()
    played_history(given.output_dir, rounds=3)
    lines = (given.output_dir / "history.ndjson").read_text().splitlines()
    body = {**json.loads(lines[0]), "health": {"ok": False, "reasons": ["<script>alert(1)</script>"]},
            "plan": "</script><img src=x onerror=alert(1)>.json", "payments": "<b>9</b>"}  # fmt: skip
    (given.output_dir / "history.ndjson").write_text(json.dumps(body) + "\n", encoding="utf-8")
    with serve(given, "0") as served:
        text = httpx.get(served.url).text
    assert "<script>alert" not in text
    assert "<img src=x" not in text
    assert "<b>9</b>" not in text


def test_the_stamp_changes_with_what_is_shown_only(tmp_path: Path) -> None:
    played_history(tmp_path, rounds=2)
    first = stamp_of(tmp_path)
    assert stamp_of(tmp_path) == first
    played_history(tmp_path, rounds=1)
    assert stamp_of(tmp_path) != first
