"""Applying writes exactly the reviewed bytes, journals it, survives being killed, and is taken back byte for byte."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recon.core.errors import ReconError
from recon.rails.flags.apply import FlagPorts, apply_flag_plan, means_same, undo_flag_run, unsettled_run
from recon.rails.flags.errors import (
    FlagFileMovedError,
    FlagMovedError,
    FlagPlanError,
    FlagRunTakenBackError,
    GatesFailedError,
    JournalBrokenError,
    JournalWriteError,
    NoFlagRunToUndoError,
    OverrideError,
    RailDownError,
    RunUnknownError,
)
from recon.rails.flags.plan import FlagPlan, Request
from recon.rails.flags.probes import Probe, ProbeAnswer
from recon.rails.flags.restart import NoRestartError, Restarted, RestartMissingError
from tests.support.flagworld import ENV, HEALTHY, NOW, consent_to, json_reply, plan_for, ports_for, serve

RAILS = {"/api/v1/crypto": HEALTHY, "/v2/currencies": json_reply([])}
AFTER = (
    ENV.replace("ENABLED=true # since", "ENABLED=false # since")
    .replace("'request.network,shkeeper'", "'shkeeper'")
    .replace("RECONCILIATION_ENABLED=true", "RECONCILIATION_ENABLED=false")
    .replace("DEFAULT_PROVIDER=request.network", "DEFAULT_PROVIDER=shkeeper")
    + "PAYMENT_ROLLBACK_PROVIDER=shkeeper\n"
)


def apply(plan: FlagPlan, ports: FlagPorts, **given: Any) -> Any:
    now = given.pop("now", NOW + timedelta(minutes=1))
    return apply_flag_plan(plan, ports, consent=consent_to(plan, **given), now=now)


def undo(run: str, ports: FlagPorts) -> FlagPlan:
    return undo_flag_run(run, ports, request=Request(now=NOW + timedelta(minutes=2), author="ada"))


def text_of(folder: Path) -> str:
    return (folder / ".env").read_text()


def test_apply_writes_the_reviewed_bytes_and_journals_intent_outcome_and_readback(tmp_path: Path) -> None:
    with serve(RAILS) as rails:
        ports = ports_for(tmp_path, rails)
        plan = plan_for(ports)
        run = apply(plan, ports)
    assert run.outcome == "changed"
    assert text_of(tmp_path) == AFTER
    entries = ports.journal.read()
    assert [entry.kind for entry in entries] == ["intent", "outcome", "readback"]
    assert entries[0].body["plan"] == plan.digest
    assert entries[0].body["by"] == "ada"
    assert "pa55" not in ports.journal.path.read_text()


def test_undo_gives_the_file_back_byte_for_byte_and_undo_of_undo_too(tmp_path: Path) -> None:
    with serve(RAILS) as rails:
        ports = ports_for(tmp_path, rails)
        first = apply(plan_for(ports), ports)
        plan = undo(first.run, ports)
        assert plan.kind == "undo"
        assert plan.undo_of == first.run
        assert "without the gates" in " ".join(plan.notes)
        assert text_of(tmp_path) == AFTER
        second = apply(plan, ports, now=NOW + timedelta(minutes=3))
        assert text_of(tmp_path) == ENV
        apply(undo(second.run, ports), ports, now=NOW + timedelta(minutes=4))
        assert text_of(tmp_path) == AFTER


def test_each_rail_asked_the_swap_and_each_look_are_told_as_steps(tmp_path: Path) -> None:
    heard: list[tuple[str, int, int | None]] = []
    with serve(RAILS) as rails:
        restart = (sys.executable, "-c", "pass")
        ports = ports_for(tmp_path, rails, restart=restart, progress=lambda *told: heard.append(told))
        plan = plan_for(ports)
        run = apply(plan, ports, restart=True)
        total = len(plan.asked) + 2 + len(run.readback)
        assert heard == [("steps", done, total) for done in range(total + 1)]
        heard.clear()
        again = apply(plan, ports)
        assert (again.outcome, heard[-1]) == ("already", ("steps", len(run.readback), len(run.readback)))


def test_a_run_that_is_taken_back_is_not_taken_back_again(tmp_path: Path) -> None:
    with serve(RAILS) as rails:
        ports = ports_for(tmp_path, rails)
        run = apply(plan_for(ports), ports).run
        apply(undo(run, ports), ports, now=NOW + timedelta(minutes=3))
        with pytest.raises(FlagRunTakenBackError, match="taken back already"):
            undo(run, ports)


def test_undo_keeps_what_others_changed_in_between(tmp_path: Path) -> None:
    with serve(RAILS) as rails:
        ports = ports_for(tmp_path, rails)
        run = apply(plan_for(ports), ports)
        (tmp_path / ".env").write_text(text_of(tmp_path) + "NEW=1\n")
        apply(undo(run.run, ports), ports)
    assert text_of(tmp_path) == ENV + "NEW=1\n"


def test_undo_is_refused_where_others_changed_the_same_flag(tmp_path: Path) -> None:
    with serve(RAILS) as rails:
        ports = ports_for(tmp_path, rails)
        run = apply(plan_for(ports), ports)
        changed = text_of(tmp_path).replace("ENABLED_PROVIDERS='shkeeper'", "ENABLED_PROVIDERS='rn'")
        (tmp_path / ".env").write_text(changed)
        with pytest.raises(FlagMovedError, match="was \"'shkeeper'\" when the change was planned"):
            undo(run.run, ports)
    assert text_of(tmp_path) == changed


def test_undo_asks_the_rail_that_it_opens_again(tmp_path: Path) -> None:
    with serve(RAILS) as rails:
        ports = ports_for(tmp_path, rails)
        run = apply(plan_for(ports), ports)
        rails.routes["/v2/currencies"] = (503, "text/plain", "")
        with pytest.raises(RailDownError, match="request_network"):
            undo(run.run, ports)
    assert text_of(tmp_path) == AFTER


def test_a_second_apply_finds_nothing_left_to_do(tmp_path: Path) -> None:
    with serve(RAILS) as rails:
        ports = ports_for(tmp_path, rails)
        plan = plan_for(ports)
        first = apply(plan, ports)
        again = apply(plan, ports, now=NOW + timedelta(days=3))
    assert again.outcome == "already"
    assert again.run == first.run
    assert text_of(tmp_path) == AFTER


def test_another_digest_an_old_plan_and_one_from_the_future_are_refused(tmp_path: Path) -> None:
    with serve(RAILS) as rails:
        ports = ports_for(tmp_path, rails)
        plan = plan_for(ports)
        with pytest.raises(FlagPlanError, match="not the one given"):
            apply_flag_plan(plan, ports, consent=replace(consent_to(plan), digest=plan.digest[:12]), now=NOW)
        apply_late = timedelta(hours=4, milliseconds=1)
        with pytest.raises(FlagPlanError, match="expired"):
            apply(plan, ports, now=NOW + apply_late)
        with pytest.raises(FlagPlanError, match="future"):
            apply(plan, ports, now=NOW - timedelta(minutes=5, milliseconds=1))
        assert text_of(tmp_path) == ENV
        assert ports.journal.read() == ()
        assert apply(plan, ports, now=NOW + timedelta(hours=4)).outcome == "changed"


def test_a_file_that_changed_since_the_plan_is_left_alone(tmp_path: Path) -> None:
    with serve(RAILS) as rails:
        ports = ports_for(tmp_path, rails)
        plan = plan_for(ports)
        (tmp_path / ".env").write_text(ENV + "X=1\n")
        with pytest.raises(FlagFileMovedError):
            apply(plan, ports)
    assert text_of(tmp_path) == ENV + "X=1\n"
    assert ports.journal.read() == ()


def test_the_rail_is_asked_again_before_the_write(tmp_path: Path) -> None:
    with serve(RAILS) as rails:
        ports = ports_for(tmp_path, rails)
        plan = plan_for(ports)
        rails.routes["/api/v1/crypto"] = (302, "text/html", "")
        with pytest.raises(RailDownError):
            apply(plan, ports)
    assert text_of(tmp_path) == ENV


GATES = ({"name": "mismatch_rate", "outcome": "fail"}, {"name": "health_checks", "outcome": "pass"})


def test_a_plan_whose_gates_failed_needs_its_own_phrase_and_a_reason(tmp_path: Path) -> None:
    with serve(RAILS) as rails:
        ports = ports_for(tmp_path, rails)
        plan = plan_for(ports, gates=GATES)
        assert plan.blocked_by == ("mismatch_rate",)
        assert plan.phrase == f"enable shkeeper without mismatch_rate {plan.digest[:12]}"
        with pytest.raises(GatesFailedError, match="mismatch_rate not passed"):
            apply(plan, ports)
        other = plan_for(ports, gates=GATES, now=NOW + timedelta(seconds=1))
        with pytest.raises(OverrideError, match="does not fit this plan"):
            apply(plan, ports, override=other.phrase, reason="because")
        with pytest.raises(OverrideError, match="needs a reason"):
            apply(plan, ports, override=plan.phrase, reason="  ")
        assert text_of(tmp_path) == ENV
        run = apply(plan, ports, override=plan.phrase, reason="revenue, agreed with the lead")
    assert run.outcome == "changed"
    intent = ports.journal.read()[0].body
    assert (intent["reason"], intent["blocked_by"]) == ("revenue, agreed with the lead", ["mismatch_rate"])


def test_restart_runs_only_when_asked_and_only_the_configured_command(tmp_path: Path) -> None:
    ran: list[tuple[str, ...]] = []

    def restart(command: Any, hide: Any) -> Restarted:
        ran.append(tuple(command))
        assert any("pa55" in each for each in hide)
        return Restarted(7, 1234, ("it said",))

    with serve(RAILS) as rails:
        ports = ports_for(tmp_path, rails, restart=("true", "backend"), run_restart=restart)
        plan = plan_for(ports)
        assert any("true backend" in step for step in plan.steps)
        assert apply(plan, ports).restart_code is None
        assert ran == []
        assert apply(plan, ports, restart=True).restart_code == 7
        assert ran == [("true", "backend")]
        entry = next(each for each in ports.journal.read() if each.kind == "restart")
        assert (entry.body["exit_code"], entry.body["took_ms"], entry.body["output"]) == (7, 1234, ["it said"])


@pytest.mark.parametrize(
    ("command", "error", "says"),
    [
        ((), NoRestartError, "no command is configured in [flags] restart; nothing was changed"),
        (("no-such-program", "x"), RestartMissingError, "'no-such-program', which is no program on this machine"),
    ],
)
def test_a_restart_that_cannot_be_run_is_refused_before_anything_is_written(
    tmp_path: Path, command: tuple[str, ...], error: type[ReconError], says: str
) -> None:
    with serve(RAILS) as rails:
        ports = ports_for(tmp_path, rails, restart=command)
        plan = plan_for(ports)
        with pytest.raises(error) as caught:
            apply(plan, ports, restart=True)
        assert says in str(caught.value)
        assert text_of(tmp_path) == ENV
        assert ports.journal.read() == ()
        assert apply(plan, ports).outcome == "changed"


def outcomes(run: Any) -> dict[str, str]:
    return {item.what: item.outcome for item in run.readback}


def test_the_readback_says_what_is_confirmed_contradicted_and_unconfirmed(tmp_path: Path) -> None:
    shown = {"rn": False, "providers": ["shkeeper"], "reconciles": True}
    paths = {
        "REQUEST_NETWORK_ENABLED": "rn",
        "PAYMENT_ENABLED_PROVIDERS": "providers",
        "PAYMENT_RECONCILIATION_ENABLED": "reconciles",
    }
    routes = RAILS | {"/health": json_reply({"status": "ok"}), "/config": json_reply(shown)}
    with serve(routes | {"/api/payment/request-network/intents": (404, "text/plain", "")}) as rails:
        probes = (Probe("health", f"{rails.url}/health"), Probe("config", f"{rails.url}/config", values=paths))
        gone = {"request_network": Probe("checkout", f"{rails.url}/api/payment/request-network/intents")}
        ports = ports_for(tmp_path, rails, readback=probes, gone=gone)
        run = apply(plan_for(ports), ports)
        assert outcomes(run) == {
            "flag file": "confirmed",
            "backend health": "confirmed",
            "backend config": "confirmed",
            "REQUEST_NETWORK_ENABLED in the backend": "confirmed",
            "PAYMENT_ENABLED_PROVIDERS in the backend": "confirmed",
            "PAYMENT_RECONCILIATION_ENABLED in the backend": "contradicted",
            "PAYMENT_ROLLBACK_PROVIDER in the backend": "unconfirmed",
            "PAYMENT_DEFAULT_PROVIDER in the backend": "unconfirmed",
            "PAYMENT_PROVIDER_MODE in the backend": "unconfirmed",
            "request_network gone from the checkout path": "confirmed",
        }
        assert len(run.unconfirmed) == 4
        rails.routes["/api/payment/request-network/intents"] = (405, "text/plain", "")
        rails.routes["/config"] = (200, "text/html", "<html>")
        again = outcomes(apply(plan_for(ports), ports, now=NOW + timedelta(minutes=5)))
        assert again["backend config"] == "unconfirmed"


def test_without_a_probe_the_readback_says_so(tmp_path: Path) -> None:
    with serve(RAILS) as rails:
        ports = ports_for(tmp_path, rails)
        found = outcomes(apply(plan_for(ports), ports))
    assert found["backend"] == "unconfirmed"
    assert found["request_network gone from the checkout path"] == "unconfirmed"
    assert found["flag file"] == "confirmed"


@pytest.mark.parametrize(
    ("shown", "wanted", "same"),
    [
        ("False", "false", True), ("0", "no", True), ("true", "false", False), ("standard", "live", True),
        ("read_only", "read-only", True), ("shkeeper, Request.Network", "shkeeper,request.network", True),
        ("shkeeper", "shkeeper,request.network", False), ("x", None, False),
    ],
)  # fmt: skip
def test_a_backends_word_is_read_by_meaning(shown: str, wanted: str | None, same: bool) -> None:
    assert means_same(shown, wanted) is same


KILLED = """
import os, signal, sys
from pathlib import Path
from recon.rails.flags.apply import apply_flag_plan
from recon.rails.flags.plan import load_flag_plan
from tests.support.flagworld import *
folder, url, step = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
def on_step(name):
    if name == step: os.kill(os.getpid(), signal.SIGKILL)
plan = load_flag_plan(folder / "plan.json")
apply_flag_plan(plan, ports_for(folder, Rails(url, {})), consent=consent_to(plan), now=NOW, on_step=on_step)
"""
EVERY_STEP = (
    "intended", "locked", "checked", "created", "written", "owned", "synced", "renamed", "settled", "recorded",
)  # fmt: skip


@pytest.mark.parametrize("step", EVERY_STEP)
def test_killed_at_any_step_the_same_command_goes_on_and_undo_restores(tmp_path: Path, step: str) -> None:
    from recon.rails.flags.plan import save_flag_plan

    with serve(RAILS) as rails:
        ports = ports_for(tmp_path, rails)
        plan = plan_for(ports)
        save_flag_plan(plan, tmp_path / "plan.json")
        done = subprocess.run(
            [sys.executable, "-c", KILLED, str(tmp_path), rails.url, step],
            capture_output=True, timeout=60, check=False, cwd=Path(__file__).parents[3],
        )  # fmt: skip
        assert done.returncode == -signal.SIGKILL, done.stderr.decode()
        is_new = EVERY_STEP.index(step) >= EVERY_STEP.index("renamed")
        assert text_of(tmp_path) == (AFTER if is_new else ENV)
        assert (unsettled_run(ports.journal.read(), plan.digest) is not None) is (step != "recorded")
        run = apply(plan, ports)
        assert run.outcome == ("already" if step == "recorded" else "settled" if is_new else "changed")
        assert text_of(tmp_path) == AFTER
        assert len({entry.run for entry in ports.journal.read()}) == 1
        assert unsettled_run(ports.journal.read(), plan.digest) is None
        apply(undo(run.run, ports), ports, now=NOW + timedelta(minutes=3))
    assert text_of(tmp_path) == ENV
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".recon-new")] == []


def test_a_refused_swap_is_an_outcome_and_cannot_be_undone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serve(RAILS) as rails:
        ports = ports_for(tmp_path, rails)
        plan = plan_for(ports)
        monkeypatch.setattr("recon.files.os.replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left")))
        with pytest.raises(ReconError, match="no space left"):
            apply(plan, ports)
        monkeypatch.undo()
        entries = ports.journal.read()
        assert [entry.kind for entry in entries] == ["intent", "outcome"]
        with pytest.raises(NoFlagRunToUndoError, match="was refused"):
            undo(entries[0].run, ports)
        with pytest.raises(RunUnknownError):
            undo("flags-nothing", ports)
    assert text_of(tmp_path) == ENV


def test_a_journal_that_cannot_be_written_stops_before_the_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve(RAILS) as rails:
        ports = ports_for(tmp_path, rails)
        plan = plan_for(ports)
        real = os.write
        monkeypatch.setattr("recon.files.os.write", lambda handle, data: real(handle, data[:5]))
        with pytest.raises(JournalWriteError, match="nothing was changed"):
            apply(plan, ports)
        monkeypatch.undo()
        assert text_of(tmp_path) == ENV
        assert apply(plan, ports).outcome == "changed"


def test_a_broken_journal_stops_before_the_write(tmp_path: Path) -> None:
    with serve(RAILS) as rails:
        ports = ports_for(tmp_path, rails)
        plan = plan_for(ports)
        ports.journal.path.parent.mkdir()
        ports.journal.path.write_text("junk\njunk\n")
        with pytest.raises(JournalBrokenError):
            apply(plan, ports)
    assert text_of(tmp_path) == ENV


def test_an_interrupted_run_that_changed_nothing_cannot_be_undone(tmp_path: Path) -> None:
    with serve(RAILS) as rails:
        ports = ports_for(tmp_path, rails)
        plan = plan_for(ports)

        def stop(step: str) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            apply_flag_plan(plan, ports, consent=consent_to(plan), now=NOW, on_step=stop)
        with pytest.raises(NoFlagRunToUndoError, match="before it changed anything"):
            undo(ports.journal.read()[0].run, ports)


class Healthy:
    def ask(self, probe: Probe) -> ProbeAnswer:
        return ProbeAnswer(probe.name, "up", "fine")

    def ask_gone(self, probe: Probe) -> ProbeAnswer:
        return ProbeAnswer(probe.name, "gone", "fine")


LINE = st.sampled_from(
    [
        "REQUEST_NETWORK_ENABLED=true", "REQUEST_NETWORK_ENABLED='TRUE' # c", "export PAYMENT_ENABLED_PROVIDERS=rn",
        'PAYMENT_ENABLED_PROVIDERS="shkeeper,request-network"', "PAYMENT_PROVIDER_MODE=standard", "PAYMENT_MODE=live",
        "PAYMENT_PROVIDER_MODE = read-only", "PAYMENT_DEFAULT_PROVIDER=request_network", "# note", "", "A='b c'",
        'CERT="x', 'y"', "PAYMENT_RECONCILIATION_ENABLED=1", "PAYMENT_ROLLBACK_PROVIDER=", "junk", "B=${A}", "\ufeff",
        "é=ü",
    ]
)  # fmt: skip


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lines=st.lists(LINE, max_size=8),
    end=st.sampled_from(["\n", "\r\n"]),
    final=st.booleans(),
    recipe=st.sampled_from(["incident", "migration", "merged", "cutoff", "read-only"]),
    sick=st.sampled_from(["request_network", "shkeeper"]),
)
def test_rollback_then_undo_is_byte_equal_for_any_file(
    tmp_path: Path, *, lines: list[str], end: str, final: bool, recipe: str, sick: str
) -> None:
    data = (end.join(lines) + (end if final else "")).encode()
    with serve({}) as rails:
        ports = replace(ports_for(tmp_path, rails), prober=Healthy())
    (tmp_path / ".env").write_bytes(data)
    ports.journal.path.unlink(missing_ok=True)
    try:
        plan = plan_for(ports, recipe, sick=sick)
    except ReconError:
        assert (tmp_path / ".env").read_bytes() == data
        return
    run = apply(plan, ports)
    if plan.changes:
        apply(undo(run.run, ports), ports, now=NOW + timedelta(minutes=3))
    assert (tmp_path / ".env").read_bytes() == data
