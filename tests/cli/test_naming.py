"""What takes a plan, a snapshot or a run takes ``latest``, ``last`` and the beginning of a name.

Which those are is read from click's own list, so a new one fails here until it has its line. Each line runs with every
word until the file or run that the word must lead to is about to be opened.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from recon.cli import cli, completing
from recon.cli.completing import offered_by
from recon.cli.helptext import commands
from recon.plans.file import save_plan, seal_plan
from recon.plans.history import append_history, history_entry
from recon.rails.flags.journal import FILE_NAME, FlagJournal
from recon.runs.states import list_runs
from recon.simulation import generate_world, write_world
from recon.snapshots.unfinished import FORMAT
from tests.support.flagworld import ENV
from tests.support.plans import PAYMENT, a_change, a_plan

NAMED = {
    completing.plan_words: "plan", completing.artefact_words: "plan", completing.page_words: "plan",
    completing.flag_plan_words: "flags", completing.snapshot_words: "snapshot", completing.unfinished_words: "part",
    completing.run_words: "run", completing.flag_run_words: "flagrun",
}  # fmt: skip
WORDS = {
    "plan": ("latest", "last", "plan-new", "plan-n"),
    "snapshot": ("latest", "last", "snapshot-new", "snapshot-n", "d1ge57"),
    "part": ("latest", "last", "part-new", "part-n"),
    "flags": ("latest", "last", "flags-new", "flags-n"),
    "run": ("latest", "last", "20261121T120000Z-new", "20261121"),
    "flagrun": ("latest", "last", "flags-20261121T120000Z-new", "flags-20261121"),
}
FOUND = {kind: words[2] for kind, words in WORDS.items()}
STATE = {"format": FORMAT, "identity": {}, "parts": {}}
WHY = ("--reason", "x")
LINES: dict[str, tuple[str, ...]] = {
    "show artefact": ("show", "WORD"),
    "review plan_path": ("review", "WORD"),
    "select plan_path": ("select", "WORD"),
    "decide export plan_path": ("decide", "export", "WORD"),
    "decide import plan_path": ("decide", "import", "WORD", "sheet.csv"),
    "approve plan_path": ("approve", "WORD", *WHY),
    "ack plan_path": ("ack", PAYMENT, "--until", "7d", *WHY, "--plan", "WORD"),
    "apply plan_path": ("apply", "WORD", "--digest", "0" * 64),
    "apply resume": ("apply", "plan-old", "--resume", "WORD"),
    "runs run": ("runs", "WORD"),
    "undo run": ("undo", "WORD"),
    "journal settle run": ("journal", "settle", "WORD", "--payment", PAYMENT, "--written-by", "run", *WHY),
    "plan snapshot_path": ("plan", "--snapshot", "WORD"),
    "plan since": ("plan", "--since", "WORD"),
    "plan resume": ("plan", "--resume", "WORD"),
    "snapshot since": ("snapshot", "--since", "WORD"),
    "snapshot resume": ("snapshot", "--resume", "WORD"),
    "score judged": ("score", "WORD", "--truth", "world/truth.ndjson"),
    "inspect snapshot_path": ("inspect", PAYMENT, "--snapshot", "WORD"),
    "case snapshot_path": ("case", PAYMENT, "--snapshot", "WORD", "--out", "case.json"),
    "report page artefact": ("report", "WORD", "--html", "x.html"),
    "report page snapshot_path": ("report", "plan-old", "--snapshot", "WORD", "--html", "x.html"),
    "report incident plan": ("report", "incident", "update", "--title", "x", "--plan", "WORD"),
    "report incident before": (
        "report", "incident", "update", "--title", "x", "--rail", "shkeeper", "--began", "2026-11-20T09:00Z",
        "--plan", "plan-old", "--before", "WORD",
    ),
    "report incident snapshot": (
        "report", "incident", "update", "--title", "x", "--rail", "shkeeper", "--began", "2026-11-20T09:00Z",
        "--plan", "plan-old", "--snapshot", "WORD",
    ),
    "triage summary plan": ("triage", "summary", "--plan", "WORD"),
    "gates rollback plan": ("gates", "rollback", "shkeeper", "--plan", "WORD"),
    "gates enable plan": ("gates", "enable", "shkeeper", "--plan", "WORD"),
    "sample plan": ("sample", "--provider", "shkeeper", "--plan", "WORD"),
    "sample snapshot": ("sample", "--provider", "shkeeper", "--plan", "plan-old", "--snapshot", "WORD"),
    "flags rollback plan": ("flags", "rollback", "--recipe", "incident", "--plan", "WORD"),
    "flags enable plan": ("flags", "enable", "shkeeper", "--plan", "WORD"),
    "flags apply plan_path": ("flags", "apply", "WORD", "--digest", "0" * 64),
    "flags undo run": ("flags", "undo", "WORD"),
    "attest make subject": ("attest", "make", "WORD", "--key", "key"),
    "attest make plan_path": ("attest", "make", "20261121T120000Z-new", "--plan", "WORD", "--key", "key"),
    "attest verify plan_path": ("attest", "verify", "statement.json", "--public-key", "key.pub", "--plan", "WORD"),
    "attest verify snapshot_path": (
        "attest", "verify", "statement.json", "--public-key", "key.pub", "--snapshot", "WORD",
    ),
    "audit snapshot_path": ("audit", "--from", "2026-11-20T09:00Z", "--before", "WORD"),
    "ledger repair plan_path": ("ledger", "repair", PAYMENT, "--plan", "WORD", "--reason", "because"),
    "ledger check snapshot_path": ("ledger", "check", "--snapshot", "WORD"),
    "reverify run": ("reverify", "WORD"),
    "repair apply plan_path": ("repair", "apply", "WORD", "--digest", "0" * 64),
    "repair apply resume": ("repair", "apply", "plan-old", "--resume", "WORD"),
    "repair undo run": ("repair", "undo", "WORD"),
    "repair missing snapshot_path": ("repair", "missing", "--snapshot", "WORD"),
    "restore check plan": ("restore", "check", "--plan", "WORD"),
    "search snapshot_path": ("search", PAYMENT, "--snapshot", "WORD"),
    "what-if snapshot_paths": ("what-if", "--policy", "rules.toml", "--snapshots", "WORD"),
}  # fmt: skip
OPENERS = (
    "recon.plans.file.load_plan", "recon.plans.file.open_plan", "recon.setup.open_gates.load_plan",
    "recon.rails.flags.plan.load_flag_plan", "recon.snapshots.sealed.open_snapshot",
    "recon.snapshots.take.open_snapshot", "recon.setup.open_gates.open_snapshot", "recon.snapshots.address.opened",
    "recon.snapshots.sealed.is_sealed", "recon.runs.states.read_run", "recon.runs.apply.resume_run",
    "recon.runs.states.settle_change", "recon.runs.ends.check_not_cut", "recon.rails.flags.apply.undo_flag_run",
    "recon.runs.reverify.runs_to_reverify", "recon.repairs.plan.load_repair_plan",
)  # fmt: skip
"""What opens a file, a directory or a run, as the commands come to it."""


Run = Callable[[tuple[str, ...], str], str]


class FoundError(Exception):
    """What was wanted is about to be opened."""


def named_params() -> Iterator[tuple[str, str]]:
    for name, command, _ in commands():
        own = name.removeprefix("recon ")
        for param in command.params:
            if (words := offered_by(param, command=own)) in NAMED:
                yield f"{own} {param.name}", NAMED[words]


PARAMS = dict(named_params())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("named")
    write_world(generate_world(payments=5, seed=1), root / "world")
    (root / "backend.env").write_text(ENV)
    (root / "recon.toml").write_text('[recorded]\npath = "world"\n[flags]\nfile = "backend.env"\n')
    (root / "sheet.csv").write_text("x\n")
    (root / "rules.toml").write_text("[limits]\nchanges_max = 5\n")
    out = root / "recon-out"
    for number, name in enumerate(("old", "new")):
        folder, part = out / f"snapshot-{name}", out / f"part-{name}"
        folder.mkdir(parents=True)
        taken = {"taken_at_ms": 1_795_000_000_000 + number, "digest": ("0ther", "d1ge57")[number] + "0" * 58}
        (folder / "manifest.json").write_text(json.dumps(taken))
        part.mkdir()
        (part / "unfinished.json").write_text(json.dumps({**STATE, "now_ms": 1_795_000_000_000 + number}))
        plan = replace(a_plan(changes=(a_change(),)), created_at=f"2026-11-2{number}T12:00:00.000Z")
        save_plan(seal_plan(plan), out / f"plan-{name}.json")
        append_history(out, history_entry(plan, at=plan.created_at, path=str(out / f"plan-{name}.json")))
        flags = {"after_digest": "a", "rails_after": [], "created_at": f"2026-11-2{number}T12:00:00Z", "digest": "f"}
        (out / f"flags-{name}.json").write_text(json.dumps(flags))
        run = {"run": f"flags-2026112{number}T120000Z-{name}", "kind": "intent", "body": {}}
        FlagJournal(out / FILE_NAME).append(at="2026-11-20T12:00:00.000Z", state="", **run)
    return root


@pytest.fixture
def run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Runs a line, and gives what of the wanted thing was about to be opened, or what was said."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("RECON_OPERATOR", "ada")
    found: list[str] = []
    wanted: list[str] = []
    runs = [SimpleNamespace(run="20261120T120000Z-old"), SimpleNamespace(run="20261121T120000Z-new")]
    # A module that is imported meanwhile keeps what stands here; after the test it must be as it was.
    live = [True]
    monkeypatch.setattr("recon.runs.states.list_runs", lambda journal: runs if live else list_runs(journal))
    monkeypatch.setattr("textual.app.App.run", lambda *_: None)

    def opener(original: Callable[..., Any]) -> Callable[..., Any]:
        def opens(*given: Any, **named: Any) -> Any:
            for each in (*given, *named.values()):
                if live and isinstance(each, str | Path) and Path(each).stem == wanted[-1]:
                    found.append(Path(each).stem)
                    raise FoundError
            return original(*given, **named)

        return opens

    for place in OPENERS:
        module, _, name = place.rpartition(".")
        monkeypatch.setattr(place, opener(getattr(importlib.import_module(module), name)))

    def go(line: tuple[str, ...], name: str) -> str:
        found.clear()
        wanted.append(name)
        result = CliRunner().invoke(cli, list(line), prog_name="recon")
        return found[-1] if found else f"{result.stderr} {result.stdout[-300:]}"

    yield go
    live.clear()


def test_every_option_that_names_a_plan_a_snapshot_or_a_run_has_its_line() -> None:
    assert set(PARAMS) == set(LINES)


@pytest.mark.parametrize("param", sorted(LINES))
def test_latest_last_and_the_beginning_of_a_name_are_taken(run: Run, param: str) -> None:
    kind = PARAMS[param]
    for word in WORDS[kind]:
        line = tuple(word if each == "WORD" else each for each in LINES[param])
        assert run(line, FOUND[kind]) == FOUND[kind], " ".join(line)


def test_a_page_is_made_of_a_run_and_of_a_snapshot_by_their_beginnings_too(
    run: Run,
) -> None:
    for word, found in (("20261121", FOUND["run"]), ("snapshot-n", FOUND["snapshot"]), ("d1ge57", FOUND["snapshot"])):
        assert run(("report", word, "--html", "x.html"), found) == found
        if found == FOUND["snapshot"]:
            assert run(("show", word), found) == found
            assert run(("score", word, "--truth", "world/truth.ndjson"), found) == found


def test_what_is_not_there_is_said_by_name_and_nothing_new_is_begun(run: Run, folder: Path) -> None:
    assert "no snapshot 'snapshat-new'; the nearest is snapshot-new" in run(("plan", "--snapshot", "snapshat-new"), "-")
    assert "no plan or snapshot 'lates'; the nearest is latest" in run(("show", "lates"), "-")
    assert "names several snapshots: " in run(("plan", "--since", "snapshot-"), "-")
    assert "no interrupted snapshot 'gone/part'" in run(("snapshot", "--resume", "gone/part"), "-")
    assert not (folder / "gone").exists()
    assert "no plan, snapshot or run 'nothing'" in run(("report", "nothing", "--html", "x.html"), "-")
    assert "gone.json: it cannot be read" in run(("report", "gone.json", "--html", "x.html"), "-")


def test_the_newest_of_nothing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recon.toml").write_text('[recorded]\npath = "world"\n')
    said = CliRunner().invoke(cli, ["inspect", PAYMENT, "--snapshot", "latest"], prog_name="recon")
    assert (said.exit_code, "There is no snapshot in" in said.stderr) == (2, True)
