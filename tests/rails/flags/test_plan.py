"""A flag plan says exactly what would change, asks the rail first, and is read back only if nobody touched it."""

from __future__ import annotations

import json
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from recon.files import FileThereError
from recon.rails.flags.errors import FlagFileError, FlagPlanError, RailDownError, RailUnknownError
from recon.rails.flags.plan import FlagSetup, load_flag_plan, save_flag_plan
from tests.support.flagworld import ENV, HEALTHY, json_reply, plan_for, ports_for, serve

RAILS = {"/api/v1/crypto": HEALTHY, "/v2/currencies": json_reply([])}


def test_an_incident_plan_names_every_change_the_rails_and_the_steps(tmp_path: Path) -> None:
    with serve(RAILS) as rails:
        plan = plan_for(ports_for(tmp_path, rails))
    assert [(c.flag, c.before, c.after) for c in plan.changes] == [
        ("REQUEST_NETWORK_ENABLED", "true", "false"),
        ("PAYMENT_ENABLED_PROVIDERS", "request.network,shkeeper", "shkeeper"),
        ("PAYMENT_ROLLBACK_PROVIDER", None, "shkeeper"),
        ("PAYMENT_DEFAULT_PROVIDER", "request.network", "shkeeper"),
        ("PAYMENT_RECONCILIATION_ENABLED", "true", "false"),
    ]
    assert (plan.rails_before, plan.rails_after) == (("request_network", "shkeeper"), ("shkeeper",))
    assert (plan.opened, plan.closed) == ((), ("request_network",))
    assert [confirm.flag for confirm in plan.confirms] == ["PAYMENT_PROVIDER_MODE"]
    assert [answer.name for answer in plan.asked] == ["shkeeper"]
    assert plan.contradictions == ()
    assert any("recon flags apply" in step for step in plan.steps)
    assert any("no command for it is configured" in step for step in plan.steps)
    assert any(
        "request_network was switched off, its routes (/api/payment/request-network/*) must" in step
        for step in plan.steps
    )
    assert plan.expires_at == "2026-11-20T16:00:00.000Z"


def test_planning_changes_nothing(tmp_path: Path) -> None:
    with serve(RAILS) as rails:
        plan_for(ports_for(tmp_path, rails))
    assert (tmp_path / ".env").read_text() == ENV
    assert sorted(path.name for path in tmp_path.iterdir()) == [".env"]


def test_a_plan_holds_no_other_line_of_the_file(tmp_path: Path) -> None:
    with serve(RAILS) as rails:
        plan = plan_for(ports_for(tmp_path, rails))
    save_flag_plan(plan, tmp_path / "plan.json")
    text = (tmp_path / "plan.json").read_text()
    assert "pa55" not in text
    assert "MONGO" not in text


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        ((200, "text/html", "<html>"), "with HTML"),
        ((302, "text/html", ""), "redirects"),
        ((500, "text/plain", ""), "HTTP 500"),
        (json_reply({"status": "error"}), "status error"),
    ],
)
def test_a_plan_is_refused_while_the_rail_it_switches_to_is_down(
    tmp_path: Path, reply: tuple[int, str, str], says: str
) -> None:
    with serve(RAILS | {"/api/v1/crypto": reply}) as rails:
        ports = ports_for(tmp_path, rails)
        with pytest.raises(RailDownError, match=says):
            plan_for(ports)
        assert plan_for(ports, "read-only").asked == ()
        assert plan_for(ports, sick="shkeeper").asked[0].name == "request_network"


def test_a_plan_is_refused_when_nobody_can_ask_the_rail(tmp_path: Path) -> None:
    with serve(RAILS) as rails:
        ports = replace(ports_for(tmp_path, rails), setup=FlagSetup())
        with pytest.raises(RailUnknownError, match=r"\[flags.health\] shkeeper"):
            plan_for(ports)


def test_a_plan_comes_back_equal_and_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    with serve(RAILS) as rails:
        ports = ports_for(tmp_path, rails)
        plan = plan_for(ports, blast={"in_flight": 3})
        again = plan_for(ports, blast={"in_flight": 3})
    save_flag_plan(plan, tmp_path / "a.json")
    save_flag_plan(again, tmp_path / "b.json")
    assert stat.S_IMODE((tmp_path / "a.json").stat().st_mode) == 0o600
    with pytest.raises(FileThereError):
        save_flag_plan(again, tmp_path / "a.json")
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert load_flag_plan(tmp_path / "a.json") == plan


def test_any_touched_plan_is_refused(tmp_path: Path) -> None:
    with serve(RAILS) as rails:
        plan = plan_for(ports_for(tmp_path, rails))
    path = tmp_path / "plan.json"
    save_flag_plan(plan, path)
    good = path.read_text()
    content = json.loads(good)
    bad = [
        good[:-30],
        good.replace('"shkeeper"', '"request.network"', 1),
        good.replace(plan.digest, "0" * 64),
        good + "\n",
        good.replace('"format": 1', '"format": 2'),
        good.replace('"format": 1', '"format": 1,\n  "extra": 1'),
        json.dumps({key: value for key, value in content.items() if key != "place"}),
        json.dumps(content | {"changes": "all"}),
        "[]",
        "[" * 50_000,
        "",
    ]
    for text in bad:
        path.write_text(text)
        with pytest.raises(FlagPlanError, match="nothing was changed"):
            load_flag_plan(path)
    with pytest.raises(FlagPlanError, match="cannot be read"):
        load_flag_plan(tmp_path / "none.json")


def test_every_byte_of_a_plan_counts(tmp_path: Path) -> None:
    with serve(RAILS) as rails:
        plan = plan_for(ports_for(tmp_path, rails))
    path = tmp_path / "plan.json"
    save_flag_plan(plan, path)
    good = path.read_bytes()
    for place in range(0, len(good), 37):
        path.write_bytes(good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :])
        with pytest.raises(FlagPlanError):
            load_flag_plan(path)


def test_a_file_that_could_not_be_replaced_gives_no_plan(tmp_path: Path) -> None:
    with serve(RAILS) as rails:
        ports = ports_for(tmp_path, rails)
        (tmp_path / ".env").chmod(0o400)
        with pytest.raises(FlagFileError, match="read-only"):
            plan_for(ports)


def test_oddities_of_the_file_are_notes(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"\xef\xbb\xbfA=1\r\nPAYMENT_PROVIDER_MODE=live")
    (tmp_path / ".env").symlink_to("real")
    with serve(RAILS) as rails:
        plan = plan_for(ports_for(tmp_path, rails), "read-only")
    said = " ".join(plan.notes)
    assert all(word in said for word in ("is a link", "byte order mark", "Windows line ends", "line end"))
