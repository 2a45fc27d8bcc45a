"""Traces of a round arrive at a collector: what took how long, and nothing of a payment."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from recon.core.errors import SourceError
from recon.core.extras import MissingExtraError
from recon.setup.settings import load_settings
from recon.sources.spans import _TRACERS, span
from recon.watch import watch_once
from recon.watch.beside import beside_watch
from recon.watch.traces import Traces, open_traces
from tests.support.collector import collector
from tests.support.watching import a_watched_world

TOKEN = "hush-51b0"


def about(found: Any) -> dict[str, str]:
    return {each.key: each.value.string_value for each in found.attributes}


def test_a_round_is_traced_with_its_sources_its_judging_and_its_plan_and_nothing_of_a_payment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRACES_TOKEN", TOKEN)
    with collector() as service:
        traces = f'[traces]\nendpoint = "{service.url}"\ntoken_variable = "TRACES_TOKEN"\n'
        config = a_watched_world(tmp_path / "world", payments=12, settings=traces)
        with beside_watch(load_settings(config), say=print) as beside:
            done = watch_once(config, heard=[beside.hear])
            with pytest.raises(SourceError), span("round", window="main"), span("read", source="payments"):
                raise SourceError("mongodb://user:secret@host is away; payment pay-17 was not read")
        with span("round", window="untraced"):
            pass
    assert _TRACERS == []
    spans = service.spans
    [first, second] = [each for each in spans if each.name == "round"]
    inside = [each for each in spans if each.trace_id == first.trace_id and each.name != "round"]
    read = {about(each)["recon.source"] for each in inside if each.name == "read"}
    assert {"payments", "chain:8453"} <= read
    assert len(read) >= 4
    by_id = {each.span_id: each for each in spans}
    above = {each.name: by_id[each.parent_span_id].name for each in inside}
    assert above == {"read": "round", "plan": "round", "judge": "plan"}
    assert all(first.start_time_unix_nano <= each.start_time_unix_nano for each in inside)
    assert all(each.end_time_unix_nano <= first.end_time_unix_nano for each in inside)
    assert (second.status.code, second.status.message) == (2, "SourceError"), "its class, never its sentence"
    assert {key for each in spans for key in about(each)} == {"recon.window", "recon.source"}
    assert not any(each.events for each in spans)
    assert {each["authorization"] for each in service.headers} == {f"Bearer {TOKEN}"}
    sent = b"".join(service.bodies)
    assert TOKEN.encode() not in sent
    assert b"secret" not in sent
    assert done.plan is not None
    payments = {each.payment_id for each in done.plan.findings}
    assert payments
    assert not [each for each in payments if each.encode() in sent]
    world = json.loads((config.parent / "world.json").read_text(encoding="utf-8"))
    assert not [text for text in world.get("recipients", ()) if text.encode() in sent]


def test_a_collector_that_is_away_or_refuses_holds_up_no_round_and_says_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with collector() as service:
        service.status = 400
        for endpoint in (service.url, "http://127.0.0.1:9/v1/traces"):
            config = tmp_path / "recon.toml"
            config.write_text(f'[traces]\nendpoint = "{endpoint}"\ntimeout_s = 0.2\n', encoding="utf-8")
            traces = open_traces(load_settings(config))
            assert traces is not None
            with traces.span("round", window="main"):
                pass
            traces.close()
        assert len(service.headers) == 1
    told = capfd.readouterr()
    assert (told.out, told.err) == ("", "")


def test_nothing_is_traced_unless_it_is_asked_for_and_the_extra_is_named_where_it_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "recon.toml"
    config.write_text("", encoding="utf-8")
    assert open_traces(load_settings(config)) is None
    from recon.sources.http import Secret

    monkeypatch.setattr("recon.core.extras.is_installed", lambda package: False)
    with pytest.raises(MissingExtraError, match=r"Tracing needs opentelemetry.*recon-toolkit\[otel\]"):
        Traces("http://127.0.0.1:9/v1/traces", token=Secret(""), timeout_s=1)
    assert open_traces(load_settings(config)) is None, "what is off needs nothing"
