"""Health is what a healthy service says, and nothing else; no message shows a secret of an address."""

from __future__ import annotations

import socket

import pytest

from recon.rails.flags.errors import ProbeSettingError
from recon.rails.flags.probes import HttpProber, Probe, default_probe, read_path, shown_address
from recon.sources.providers.request_network.settings import RequestNetworkSection
from recon.sources.providers.shkeeper.settings import ShkeeperSection
from tests.support.flagworld import HEALTHY, json_reply, serve, slow

ASK = HttpProber().ask


def test_a_healthy_answer_is_up() -> None:
    with serve({"/api/v1/crypto": HEALTHY}) as rails:
        probe = default_probe("shkeeper", ShkeeperSection(base_url=rails.url))
        assert probe is not None
        answer = ASK(probe)
    assert answer.is_up
    assert answer.why.startswith("HTTP 200")


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        ((200, "text/html", "<html>login</html>"), "HTTP 200 with HTML"),
        ((200, "application/json", ""), "HTTP 200 with nothing"),
        ((200, "application/json", '{"status": "succ'), "no JSON"),
        ((302, "text/html", ""), r"redirects \(HTTP 302\), as to a login page"),
        ((503, "text/plain", "busy"), "HTTP 503 instead of 200"),
        (json_reply({"status": "error", "message": "No API key"}), "status error"),
        (json_reply({"status": "starting"}), "status='starting' instead of 'success'"),
        (json_reply([1, 2]), "status=None instead of 'success'"),
        ((200, "application/json", "[" * 100_000), "no JSON"),
        ((200, "application/json", '"' + "x" * 300_000 + '"'), "more than 200000 bytes"),
    ],
)
def test_what_only_looks_like_health_is_down(reply: tuple[int, str, str], says: str) -> None:
    import re

    with serve({"/h": reply}) as rails:
        answer = ASK(Probe("rail", f"{rails.url}/h?key=s3cret", expect={"status": "success"}))
    assert answer.outcome == "down"
    assert re.search(says, answer.why), answer.why
    assert "s3cret" not in answer.why


def test_silence_and_a_closed_port_are_down() -> None:
    with serve({"/h": slow(1.0)}) as rails:
        answer = ASK(Probe("rail", f"{rails.url}/h", timeout_s=0.2))
    assert answer.outcome == "down"
    assert "within 0.2 s" in answer.why
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    answer = ASK(Probe("rail", f"http://user:pa55@127.0.0.1:{port}/h"))
    assert answer.outcome == "down"
    assert "pa55" not in answer.why
    assert f"http://127.0.0.1:{port} cannot be reached" in answer.why


def test_a_redirect_is_never_followed() -> None:
    with serve({"/h": (302, "text/html", ""), "/login": HEALTHY}) as rails:
        assert not ASK(Probe("rail", f"{rails.url}/h")).is_up
        assert rails.asked == ["/h"]


def test_a_backend_shows_its_flags_at_configured_paths() -> None:
    shown = {"flags": {"rn": False, "list": ["shkeeper"], "mode": "live", "deep": {"x": 1}}}
    with serve({"/config": json_reply(shown)}) as rails:
        wanted = {"A": "flags.rn", "B": "flags.list", "C": "flags.mode", "D": "flags.deep", "E": "nowhere"}
        answer = ASK(Probe("backend", f"{rails.url}/config", values=wanted))
    assert dict(answer.values) == {"A": "false", "B": "shkeeper", "C": "live"}


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        ((404, "text/plain", ""), "gone"),
        ((410, "text/plain", ""), "gone"),
        ((200, "text/plain", ""), "up"),
        ((405, "text/plain", ""), "up"),
        ((401, "text/plain", ""), "unclear"),
        ((302, "text/plain", ""), "unclear"),
        ((500, "text/plain", ""), "unclear"),
    ],
)
def test_whether_a_path_is_gone(reply: tuple[int, str, str], outcome: str) -> None:
    with serve({"/api": reply}) as rails:
        assert HttpProber().ask_gone(Probe("checkout", f"{rails.url}/api")).outcome == outcome


def test_a_health_path_of_ones_own_and_plain_text_health() -> None:
    with serve({"/healthz": (200, "text/plain", "ok"), "/api/v1/healthcheck": json_reply({"ok": True})}) as rails:
        assert ASK(Probe("rail", f"{rails.url}/healthz", wants_json=False)).is_up
        probe = default_probe("shkeeper", ShkeeperSection(base_url=rails.url, health_path="/api/v1/healthcheck"))
        assert probe is not None
        assert ASK(probe).is_up
    assert default_probe("paypal", None) is None
    network = default_probe("request_network", RequestNetworkSection(base_url="https://api.example/"), key="k")
    assert network is not None
    assert network.headers == {"x-api-key": "k"}


def test_a_probe_that_cannot_work_is_refused() -> None:
    with pytest.raises(ProbeSettingError, match="http"):
        Probe("rail", "ftp://host/")
    with pytest.raises(ProbeSettingError, match="timeout_s"):
        Probe("rail", "http://host/", timeout_s=0)


def test_an_address_is_shown_without_its_secrets() -> None:
    assert shown_address("https://u:p@Host.example:8443/v1/KEY?token=1") == "https://host.example:8443"
    assert shown_address("http://[::1]:80/x") == "http://[::1]:80"
    assert shown_address("http://host:bad/x") == "http://host"


def test_a_path_that_leads_nowhere_gives_nothing() -> None:
    assert read_path({"a": {"b": None}}, "a.b") is None
    assert read_path({"a": [1, {}]}, "a") is None
    assert read_path("text", "a") is None
