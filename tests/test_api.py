"""The commands as functions: the same plan, run and way back as the command line, and names that load when used."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import recon
from recon.api.choosing import UnknownFilterError
from recon.api.naming import NoPlanYetError, NoSuchNameError, plan_of, plan_place
from recon.cli import cli
from recon.core.errors import ConfigError
from recon.core.people import Person
from recon.plans.approvals import DecisionRecords
from recon.plans.file import load_plan, plan_bytes
from recon.runs.apply import RunStoppedError, WrongDigestError
from recon.runs.states import Result
from recon.simulation import generate_world, write_world
from recon.sources.interface import Selection


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """The configuration of a small recorded world."""
    write_world(generate_world(payments=60, seed=4), tmp_path / "world")
    return tmp_path / "world" / "recon.toml"


def test_snapshot_then_plan_then_apply_then_undo(config: Path, tmp_path: Path) -> None:
    taken = recon.snapshot(config, out=tmp_path / "snapshot")
    plan = recon.plan(taken, config=config, out=tmp_path / "plan.json")
    assert plan_bytes(load_plan(tmp_path / "plan.json")) == plan_bytes(plan)
    assert plan_bytes(recon.plan(tmp_path / "snapshot", config=config, engine="polars")) == plan_bytes(plan)
    with pytest.raises(WrongDigestError):
        recon.apply(plan, digest="0" * 64, config=config)
    ran = recon.apply(plan, digest=plan.digest, config=config, operator="somebody")
    assert ran.run is not None
    assert ran.counts[Result.APPLIED] > 0
    after = recon.plan(config=config)
    assert len(after.findings) < len(plan.findings)
    back = recon.undo(ran.run, config=config)
    assert len(back.changes) == ran.counts[Result.APPLIED]
    taken_back = recon.apply(back, digest=back.digest, config=config, operator="somebody")
    assert taken_back.counts[Result.APPLIED] == len(back.changes)
    assert {item.payment_id for item in recon.plan(config=config).findings} == {
        item.payment_id for item in plan.findings
    }


def test_a_selection_narrows_what_is_read(config: Path) -> None:
    plan = recon.plan(config=config, selection=Selection(providers=("shkeeper",)))
    assert set(plan.summary["by_provider"]) == {"shkeeper"}


def test_inspect_asks_the_sources_or_a_snapshot(config: Path, tmp_path: Path) -> None:
    taken = recon.snapshot(config, out=tmp_path / "snapshot")
    payment = recon.plan(taken, config=config).findings[0].payment_id
    afresh, offline = recon.inspect(payment, config=config), recon.inspect(payment, config=config, snapshot=taken)
    assert afresh.judged is not None
    assert offline.judged is not None
    assert afresh.judged.finding.verdict == offline.judged.finding.verdict


def test_a_missing_configuration_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        recon.plan(config=tmp_path / "none.toml")


@pytest.mark.parametrize("name", sorted(set(recon.__all__) - {"__version__"}))
def test_every_name_the_design_promises_is_there_and_callable(name: str) -> None:
    found = getattr(recon, name)
    assert callable(found) or found.__name__ == f"recon.api.{name}", "a function, or a group of them"
    assert name in dir(recon)


def test_a_name_nobody_promised_is_no_attribute() -> None:
    with pytest.raises(AttributeError):
        _ = recon.nothing_of_the_kind


def test_a_selection_without_dates_stays_within_the_configured_window(config: Path, tmp_path: Path) -> None:
    config.write_text(config.read_text(encoding="utf-8") + "\n[window]\nhours = 24\n", encoding="utf-8")
    taken = recon.snapshot(config, selection=Selection(providers=("shkeeper",)), out=tmp_path / "snapshot")
    by_option = recon.snapshot(config, providers=["sh-keeper"], out=tmp_path / "other")
    assert taken.digest == by_option.digest
    assert taken.digest != recon.snapshot(config, providers=["shkeeper"], from_at=ALL, out=tmp_path / "all").digest


def test_a_plan_leaves_a_line_of_history_and_its_author(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECON_OPERATOR", "ada")
    plan = recon.plan(config=config)
    [entry] = recon.history(config).entries
    assert entry["digest"] == plan.digest
    assert plan_bytes(load_plan(Path(str(entry["plan"])))) == plan_bytes(plan)
    assert DecisionRecords(config.parent / "recon-out" / "decisions").author(plan, now=datetime.now(UTC)) == (
        Person("ada"),
    )


def test_apply_stops_at_the_stop_file_and_resumes(config: Path, tmp_path: Path) -> None:
    plan = recon.plan(config=config)
    stop, said = tmp_path / "stop", list[str]()
    stop.touch()
    with pytest.raises(RunStoppedError) as stopped:
        recon.apply(plan, digest=plan.digest, config=config, stop_file=stop, backend_reconciles=True, say=said.append)
    assert any("own reconciliation is switched on" in text for text in said)
    stop.unlink()
    assert stopped.value.report.run is not None
    ran = recon.apply(plan, resume=stopped.value.report.run, config=config)
    assert ran.counts[Result.APPLIED] > 0


def test_an_offline_inspection_opens_no_database(config: Path, tmp_path: Path) -> None:
    taken = recon.snapshot(config, out=tmp_path / "snapshot")
    payment = recon.plan(taken, config=config).findings[0].payment_id
    away = tmp_path / "away.toml"
    away.write_text("[mongo]\ntimeout_s = 0.3\n", encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RECON_MONGO_URI", "mongodb://127.0.0.1:9/")
        assert recon.inspect(payment, config=away, snapshot=taken).judged is not None


ALL = timedelta(days=4000)
WRONG_WORDS: list[tuple[str, dict[str, object], str]] = [
    ("plan --provider shkeper", {"providers": ["shkeper"]}, "request_network, salesforce, shkeeper"),
    (
        "plan --provider shkeper",
        {"selection": Selection(providers=("shkeper",))},
        "request_network, salesforce, shkeeper",
    ),
    ("plan --status complete", {"statuses": ["complete"]}, "pending, processing"),
    ("plan --status complete", {"selection": Selection(statuses=("complete",))}, "pending, processing"),
    ("plan --date change", {"date_field": "change"}, "created, updated"),
]


@pytest.mark.parametrize(("line", "options", "known"), WRONG_WORDS)
def test_a_filter_that_names_nothing_known_is_refused_by_name(
    config: Path, line: str, options: dict[str, Any], known: str
) -> None:
    with pytest.raises(UnknownFilterError, match=known):
        recon.plan(config=config, **options)
    result = CliRunner().invoke(cli, [*line.split(), "--config", str(config)], prog_name="recon")
    assert result.exit_code == 2
    assert line.rsplit(maxsplit=1)[-1] in result.stderr
    assert not (config.parent / "recon-out").exists()


@pytest.mark.parametrize(
    ("options", "wrong"),
    [({"verdicts": ["local_behin"]}, "local_behin"), ({"max_value": {"USDX": "1"}}, "USDX")],
)
def test_a_selection_by_an_unknown_verdict_or_token_is_refused(
    config: Path, tmp_path: Path, options: dict[str, Any], wrong: str
) -> None:
    plan = recon.plan(config=config, out=tmp_path / "plan.json")
    with pytest.raises(UnknownFilterError, match=f"{wrong}.*known are"):
        recon.select(plan, out=tmp_path / "small.json", config=config, **options)
    option = ["--verdict", wrong] if "verdicts" in options else ["--max-value", f"{wrong}=1"]
    line = ["select", str(tmp_path / "plan.json"), *option, "--out", str(tmp_path / "small.json")]
    result = CliRunner().invoke(cli, [*line, "--config", str(config)], prog_name="recon")
    assert result.exit_code == 2
    near = "; the nearest is local_behind, and" if "verdicts" in options else ";"
    assert f"There is no {'verdict' if 'verdicts' in options else 'token'} {wrong!r}{near} known are" in result.stderr
    assert not (tmp_path / "small.json").exists()


def test_an_undo_by_an_unknown_verdict_and_a_triage_by_an_unknown_name_are_refused(
    config: Path, tmp_path: Path
) -> None:
    with pytest.raises(UnknownFilterError, match=r"local_behin.*known are.*local_behind"):
        recon.undo("any", verdicts=["local_behin"], config=config)
    records = config.parent / "deliveries.ndjson"
    with pytest.raises(UnknownFilterError, match="nobody"):
        recon.triage.deliveries([records], delivery_ids=["nobody"], config=config)
    (tmp_path / "access.log").write_text("", encoding="utf-8")
    with pytest.raises(UnknownFilterError, match=r"shkeper.*shkeeper"):
        recon.triage.access_log([tmp_path / "access.log"], routes=["shkeper=/hook"])


def test_a_plan_is_named_by_a_word(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NoPlanYetError):
        plan_place("latest", config=config)
    plan = recon.plan(config=config)
    path = plan_place("latest", config=config)
    assert load_plan(path) == plan
    smaller = recon.select("latest", tiers=["auto"], config=config)
    assert path.with_name(f"{path.stem}-selected.json").exists(), "it lies beside its parent"
    assert plan_place(plan.digest[:8], config=config) == path
    assert plan_place(path.stem, config=config) == path, "a whole name beats one that only begins so"
    assert plan_of(f"{path.stem}-sel", config=config) == smaller
    with pytest.raises(NoSuchNameError, match="several plans"):
        plan_place(path.stem[:-1], config=config)
    monkeypatch.chdir(path.parent.parent)
    recon.plan(config=config, out=Path(path.parent.name, "near.json"))
    assert plan_place("near", config=config) == path.with_name("near.json"), "one file, however it was written down"
    with pytest.raises(NoSuchNameError, match=f"the nearest is {path.stem}"):
        plan_place(path.stem.replace("plan", "plam"), config=config)
    assert plan_place("nowhere.json", config=config) == Path("nowhere.json"), "the error names the file itself"


def test_a_run_is_named_by_a_word(config: Path) -> None:
    plan = recon.plan(config=config)
    ran = recon.apply(plan, digest=plan.digest, config=config)
    name = str(ran.run)
    assert recon.journal.run("last", config=config).run == name
    back = recon.undo("last", config=config)
    recon.apply(back, digest=back.digest, config=config)
    assert recon.journal.run(name[: len(name) - 1], config=config).run == name
    with pytest.raises(NoSuchNameError, match="no run"):
        recon.journal.run("nothing-like-it", config=config)
