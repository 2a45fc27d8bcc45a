"""A pay app over Relayr: bundles on four chains, rows in PostgreSQL; judged, corrected where it is safe, taken back."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from recon.cli import cli
from tests.support.onchain import Chain
from tests.support.provider_servers import serve
from tests.support.relayr_server import Entry
from tests.support.relayr_world import NEWER, SECTION, PayApp
from tests.support.sql_stores import SqlPlace
from tests.support.terminals import BOASTING_CODE, TWICE_CODE

if TYPE_CHECKING:
    from tests.conftest import AnvilStarter

pytestmark = pytest.mark.postgres
HOME, AWAY = 8453, 10
WRONG = "0x" + "be" * 20


def run(*arguments: object, code: int | None = 0) -> str:
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments])
    if code is not None:
        assert result.exit_code == code, (arguments, result.exit_code, result.output[-2500:], result.stderr[-2500:])
    return result.stdout


@pytest.fixture
def app(request: pytest.FixtureRequest, start_anvil: AnvilStarter, postgres_at: Any) -> Iterator[PayApp]:
    """The app with a chain of its own for Base and one for Optimism."""
    place: SqlPlace = postgres_at()
    place.section = SECTION
    with ExitStack() as stack:
        begin = int(time.time()) - 3600
        chains = {
            chain: stack.enter_context(Chain(start_anvil(chain, timestamp=begin), block_s=2)) for chain in (HOME, AWAY)
        }
        made = PayApp(place, chains)
        made.open()
        yield made


def fill(app: PayApp) -> None:
    """One row for each thing that goes wrong, by its name."""
    good = app.pays(HOME, 25_000_000)
    app.row("good", status="confirmed", bundle_id=app.bundle(good), tx_hash=good.tx_hash)
    app.row("timed_out", status="failed", error_code="BUNDLE_TIMEOUT",
            bundle_id=app.bundle(app.pays(HOME, 15_000_000), app.pays(AWAY, 10_000_000)))  # fmt: skip
    app.row("waiting", bundle_id=app.bundle(app.pays(HOME, 25_000_000)))
    app.row("empty", status="confirmed", bundle_id=app.bundle())
    app.row("lost", status="failed", error_code="EXECUTION_FAILED")
    lost_half = Entry(app.pays(AWAY, 1).request, states=("Reverted",))
    app.row("half", status="failed", error_code="BUNDLE_FAILED",
            bundle_id=app.bundle(app.pays(HOME, 25_000_000), lost_half))  # fmt: skip
    borrowed = Entry(app.pays(HOME, 25_000_000).request, tx_hash=good.tx_hash)
    app.row("borrowed", bundle_id=app.bundle(borrowed))
    app.row("ended", bundle_id=app.bundle(payment_received=False, expires_at="2020-01-01T00:00:00Z"))
    app.row("queued", status="failed", error_code="EXECUTION_FAILED", bundle_id=app.bundle(app.pays(HOME, 25_000_000)))
    app.row("no_hash", status="confirmed", bundle_id=app.bundle(app.pays(HOME, 25_000_000)))
    app.lay_terminal(app.chains[HOME], WRONG, BOASTING_CODE)
    app.lay_terminal(app.chains[HOME], NEWER, TWICE_CODE)
    app.row("boasted", bundle_id=app.bundle(app.pays(HOME, 25_000_000, terminal=WRONG)))
    reverted = app.pays(HOME, 10**18, check=False)
    app.row("reverted", status="confirmed", bundle_id=app.bundle(reverted), tx_hash=reverted.tx_hash)
    app.row("unknown", status="failed", bundle_id="deadbeef-dead-4bad-8bad-deadbeefdead")
    app.row("open", bundle_id=app.bundle(Entry(app.pays(HOME, 1).request, states=("Pending",))))
    app.row("less", bundle_id=app.bundle(app.pays(HOME, 20_000_000)))
    app.row("away", bundle_id=app.bundle(app.pays(AWAY, 25_000_000)))
    app.row("no_uuid", bundle_id="bundle-17")
    app.row(
        "dark",
        bundle_id=app.bundle(
            app.pays(HOME, 20_000_000), Entry(dict(good.request, chain=42161), tx_hash="0x" + "ab" * 32)
        ),
    )
    app.row("cash_out", type="cash_out", status="failed", bundle_id=app.bundle(app.sends(HOME, 25_000_000)))
    app.row("twice", bundle_id=app.bundle(app.pays(HOME, 25_000_000, terminal=NEWER)))
    app.settle()


VERDICTS = {
    "timed_out": ("coordinator_blocked", "review"), "waiting": ("local_behind", "auto"),
    "empty": ("local_ahead", "never"), "lost": ("missing_reference", "never"), "half": ("ambiguous", "never"),
    "borrowed": ("provider_ahead", "review"), "queued": ("coordinator_blocked", "review"),
    "no_hash": ("missing_tx_hash", "auto"), "boasted": ("provider_ahead", "review"),
    "reverted": ("tx_reverted", "never"), "unknown": ("unproven", "never"), "less": ("underpaid", "wait"),
    "away": ("network_mismatch", "review"), "no_uuid": ("lookup_failed", "never"), "dark": ("ambiguous", "never"),
    "cash_out": ("recipient_mismatch", "review"), "twice": ("lookup_failed", "never"),
}  # fmt: skip
"""What is said of each row; of the others nothing is to be said."""


def test_bundles_are_judged_by_the_chains_corrected_in_the_table_and_taken_back(
    app: PayApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECON_SQL_URL", app.place.url)
    fill(app)
    before = app.dump()
    with serve(app.relay.handler) as base_url:
        config = app.configured(tmp_path / "work", base_url, dead=[42161])
        plan_file = config.parent / "plan.json"
        checked = json.loads(run("doctor", "--config", config, "--format", "json", code=None))["checks"]
        assert reserves_in(checked) == {HOME: "warning", AWAY: "failed", 42161: "warning"}
        assert [each["state"] for each in checked if each["check"] == "failures"] == ["ok"]
        assert any(each["says"].startswith("relayr at") and each["state"] == "ok" for each in checked)
        run("plan", "--config", config, "--out", plan_file, code=None)
        plan = json.loads(plan_file.read_bytes())
        said = {f["payment_id"]: (f["verdict"], f["tier"]) for f in plan["findings"]}
        assert {name: said.get(row) for name, row in app.rows.items() if row in said} == VERDICTS
        reasons = {f["payment_id"]: f["reason"] for f in plan["findings"]}
        assert "nothing is not proven" in reasons[app.rows["lost"]]
        assert "not proven" in reasons[app.rows["unknown"]]
        assert all("recipient" not in reasons[app.rows[name]] for name in ("lost", "unknown"))
        changed = {each["payment_id"]: each for each in plan["changes"]}
        writes = {
            name: {item["path"]: item["after"] for item in changed[row]["set"]}
            for name, row in app.rows.items()
            if row in changed
        }
        mined = {name: app.hash_of(name, HOME) for name in writes}
        paid_now = {name: {"blockchain.transactionHash": mined[name], "status": "completed"} for name in writes}
        assert writes == {**paid_now, "no_hash": {"blockchain.transactionHash": mined["no_hash"]}}
        assert set(writes) == {"waiting", "no_hash", "timed_out", "queued"}
        shown = run("inspect", app.rows["timed_out"], "--config", config, code=None)
        assert "coordinator_blocked" in shown
        apply_and_take_back(app, config, plan, picked=[app.rows["timed_out"], app.rows["queued"]])
    assert app.dump() == before


def reserves_in(checked: list[dict[str, Any]]) -> dict[int, str]:
    """How the reserves stand, by chain."""
    return {int(each["check"].split()[1]): each["state"] for each in checked if each["check"].startswith("reserve ")}


def apply_and_take_back(app: PayApp, config: Path, plan: dict[str, Any], *, picked: list[str]) -> None:
    """Apply what is safe and what was picked; see the backend's own words in the table; take all of it back."""
    chosen_file, undo_file = config.parent / "chosen.json", config.parent / "undo.json"
    auto = [each["payment_id"] for each in plan["changes"] if each["tier"] == "auto"]
    payments = [part for row in (*auto, *picked) for part in ("--payment", row)]
    run("select", config.parent / "plan.json", *payments, "--out", chosen_file)
    chosen = json.loads(chosen_file.read_bytes())
    run("apply", chosen_file, "--config", config, "--digest", chosen["digest"], "--share-max", "100",
        "--accept-unhealthy", "a world of nothing but trouble")  # fmt: skip
    for name in ("waiting", "timed_out", "queued"):
        found = app.place.run(f"SELECT status::text, tx_hash FROM transactions WHERE id = '{app.rows[name]}'")
        assert found == [("confirmed", app.hash_of(name, HOME))]
    (entry,) = json.loads(run("runs", "--config", config, "--format", "json"))["runs"]
    run("undo", entry["run"], "--config", config, "--out", undo_file)
    undo = json.loads(undo_file.read_bytes())
    run("apply", undo_file, "--config", config, "--digest", undo["digest"], "--share-max", "100")


def test_what_is_right_on_every_chain_is_silence(app: PayApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECON_SQL_URL", app.place.url)
    for number in (0, 1):
        both = (app.pays(HOME, 10_000_000), app.pays(AWAY, 15_000_000))
        named = both[number].tx_hash
        app.row(f"paid {number}", status="confirmed", bundle_id=app.bundle(*both), tx_hash=named)
    app.row("begun", bundle_id=app.bundle(Entry(app.pays(HOME, 1).request, states=("Pending",))))
    app.settle()
    with serve(app.relay.handler) as base_url:
        config = app.configured(tmp_path / "work", base_url)
        run("plan", "--config", config, "--out", config.parent / "plan.json", code=0)
    plan = json.loads((config.parent / "plan.json").read_bytes())
    assert not plan["findings"]
    assert not plan["changes"]
