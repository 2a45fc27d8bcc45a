"""What the tab key offers: names from files and words that are known, fast, and never an error."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from recon.cli import cli
from recon.cli.completing import WORDS, offered_by
from recon.cli.helptext import commands
from recon.core.model import Verdict
from recon.plans.file import save_plan
from recon.plans.history import append_history, history_entry
from tests.support.plans import PAYMENT, a_change, a_finding, a_plan
from tests.test_style import HEAVY, loaded_after

OTHER, QUOTED, ODD = "665f1c2e9b1d8a0012345679", '"ad63e249a24a4dcd038b5441"', "a b;$(x)"
FREE_TEXT = {
    "accept_unhealthy", "access_log", "actions", "authors", "case_path", "collection", "config_path",
    "data_loss", "deliveries", "delivery_ids", "detection", "digest", "effect", "events", "export", "features", "files",
    "fix", "head", "id_file", "key", "kind", "list_file", "log_format", "lucky", "notes", "on_call", "open_items",
    "operator", "out", "override", "part", "path", "places", "poorly", "post_mortem", "process", "proof", "reason",
    "addresses", "amount", "buyers", "external_ids", "hashes", "references", "request_ids", "rules_path",
    "public_key", "signers",
    "right", "root_cause", "routes", "runbooks", "sample", "scenario", "sheet", "spark_master", "spark_scratch",
    "stop_file", "summary",
    "tags", "takes_over", "ticket", "title", "trigger", "truth", "well", "wrong", "simulate breaks", "import mapping",
    "demo rail", "watch window", "watch ack key", "listen", "textfile", "channels",
    "ledger reverse by", "ledger reverse payments", "ledger repair names",
    "deals", "give", "repair missing names", "requests", "sellers",
}  # fmt: skip
"""Options and arguments whose values nobody knows before, or that are files of any name. A digest is among them: it is
typed or copied by someone who has seen the plan."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in list(os.environ):
        if name.startswith("RECON_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("_RECON_COMPLETE", "bash_complete")
    out = tmp_path / "recon-out"
    (out / "snapshot-1").mkdir(parents=True)
    (out / "snapshot-1" / "manifest.json").write_text("{}")
    (out / "snapshot-2").mkdir()
    plan = a_plan(
        findings=tuple(a_finding(payment_id=each) for each in (PAYMENT, OTHER, QUOTED, ODD)), changes=(a_change(),)
    )
    save_plan(plan, out / "plan-1.json")
    (out / "flags-1.json").write_text('{"format": 1}')
    append_history(out, history_entry(plan, at=plan.created_at, path=str(out / "plan-1.json")))
    heads = [
        {"format": 1, "seq": 1, "hash": "h", "journal": "j", "run": f"2026112{day}T120000Z-ab-1"} for day in (0, 1)
    ]
    (out / "journal-heads.ndjson").write_text("".join(json.dumps(each) + "\n" for each in heads) + "{torn")
    (out / "flags-journal.ndjson").write_text(json.dumps({"run": "flags-run-1"}) + "\n")
    (tmp_path / "recon.toml").write_text(
        '[[chains]]\nchain_id = 777\nname = "ourchain"\n[flags]\nextra_providers = ["own"]'
    )
    return tmp_path


def offered(*line: str) -> list[str]:
    """The plain words that are offered for the last word of a line."""
    items = ShellComplete(cli, {}, "recon", "_RECON_COMPLETE").get_completions(list(line[:-1]), line[-1])
    return [item.value for item in items if item.type == "plain"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (("show", ""), ["latest", "plan-1", "recon-out/snapshot-1"]),
        (("select", "p"), ["plan-1"]),
        (("decide", "export", "l"), ["latest"]),
        (("apply", "plan-1", "--resume", ""), ["last", "20261121T120000Z-ab-1", "20261120T120000Z-ab-1"]),
        (("undo", "20261120"), ["20261120T120000Z-ab-1"]),
        (("flags", "undo", ""), ["last", "flags-run-1"]),
        (("flags", "apply", ""), ["latest", "recon-out/flags-1.json"]),
        (("plan", "--snapshot", ""), ["latest", "recon-out/snapshot-1"]),
        (("snapshot", "--resume", ""), ["latest", "recon-out/snapshot-2"]),
        (("ack", ""), [PAYMENT, OTHER, "ad63e249a24a4dcd038b5441"]),
        (("show", "plan-1", "--payment", "ad"), ["ad63e249a24a4dcd038b5441"]),
        (("select", "recon-out/plan-1.json", "--payment", ""), [PAYMENT]),
        (("inspect", "665f1c2e9b1d8a0012345679"), [OTHER]),
        (("select", "x", "--verdict", "tx_"), ["tx_hash_mismatch", "tx_reverted", "tx_not_found"]),
        (("ack", "--tier", ""), ["auto", "review", "never", "wait", "benign"]),
        (("ack", "--chain", "our"), ["ourchain"]),
        (("ack", "--chain", "77"), ["777"]),
        (("ack", "--rail", "ow"), ["own"]),
        (("drain", "--provider", "sh"), ["shkeeper"]),
        (("plan", "--status", "p"), ["pending", "processing"]),
        (("select", "x", "--min-value", "USDC="), ["USDC="]),
        (("flags", "rollback", "--recipe", "mi"), ["migration"]),
        (("report", "page", "pl"), ["plan-1"]),
        (("apply", "plan-1", "--digest", ""), []),
        (("ack", "--to"), ["--token"]),
        (("ap",), ["approve", "apply"]),
    ],
)
def test_the_tab_key_offers_what_fits(folder: Path, line: tuple[str, ...], words: list[str]) -> None:
    assert offered(*line) == words


def test_the_configuration_that_is_named_says_where_things_lie(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "recon-out").rename(folder / "elsewhere")
    (folder / "other.toml").write_text('[output]\ndir = "elsewhere"')
    assert offered("select", "p") == []
    assert offered("show", "--config", "other.toml", "p") == ["plan-1"]
    monkeypatch.setenv("RECON_CONFIG", "other.toml")
    assert offered("select", "p") == ["plan-1"]


def test_every_option_that_takes_words_offers_them_or_is_named_here() -> None:
    used, bare = set(), set()
    for name, command, _ in commands():
        own = name.removeprefix("recon ")
        for param in command.params:
            is_text = isinstance(param.type, click.types.StringParamType | click.Path) and not getattr(
                param, "is_flag", False
            )
            if offered_by(param, command=own) is not None:
                used |= {f"{own} {param.name}", param.name}
            elif is_text and not {param.name, f"{own} {param.name}"} & FREE_TEXT:
                bare.add(f"{own} {param.name}")
    assert bare == set()
    assert set(WORDS) - used == set()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda f: (f / "recon.toml").write_bytes(b"\xff[["),
        lambda f: (f / "recon-out" / "plan-1.json").write_bytes(b'{"effects_digest" '),
        lambda f: (f / "recon-out" / "plan-1.json").write_text('{"findings": [{"payment_id": 1}], "changes": []}'),
        lambda f: (f / "recon-out" / "history.ndjson").write_bytes(b"\x00\xff\n[]\n1\n"),
        lambda f: shutil.rmtree(f / "recon-out"),
        lambda f: (f / "recon.toml").write_text('output = "x"\nflags = 1\ntokens = 3\nchains = "y"'),
    ],
)
def test_what_cannot_be_read_offers_nothing_and_says_nothing(folder: Path, spoil: object) -> None:
    spoil(folder)  # type: ignore[operator]
    for line in (
        ("show", ""),
        ("ack", ""),
        ("ack", "--rail", ""),
        ("ack", "--token", ""),
        ("undo", ""),
        ("nonsense", ""),
    ):
        offered(*line)
        done = completed(" ".join(("recon", *line)), len(line), in_process=True)
        assert (done[0], done[2]) == (0, ""), line


def completed(line: str, place: int, *, in_process: bool = False) -> tuple[int, str, str]:
    assert in_process
    given = {"COMP_WORDS": line, "COMP_CWORD": str(place), "_RECON_COMPLETE": "bash_complete"}
    result = CliRunner(env=given).invoke(cli, [], prog_name="recon")
    return result.exit_code, result.stdout, result.stderr


def test_the_protocol_of_each_shell_tells_word_and_meaning(folder: Path) -> None:
    wanted = {
        "bash": ({"COMP_WORDS": "recon ack --tier au", "COMP_CWORD": "3"}, "plain,auto\n"),
        "zsh": ({"COMP_WORDS": "recon ack --tier au", "COMP_CWORD": "3"}, "plain\nauto\napplied together"),
        "fish": ({"COMP_WORDS": "recon ack --tier au", "COMP_CWORD": "au"}, "auto\tapplied together"),
    }
    for shell, (given, begins) in wanted.items():
        env = {**given, "_RECON_COMPLETE": f"{shell}_complete"}
        result = CliRunner(env=env).invoke(cli, [], prog_name="recon")
        assert begins in result.stdout, shell


def test_the_tab_key_loads_nothing_heavy(folder: Path) -> None:
    code = (
        "import os, sys; sys.argv = ['recon']; os.environ.update(_RECON_COMPLETE='bash_complete',"
        "COMP_WORDS='recon ack ', COMP_CWORD='2')\nfrom recon.cli import main\ntry: main()\nexcept SystemExit: pass"
    )
    loaded = loaded_after(code)
    assert loaded & (HEAVY | {"pydantic", "rich", "httpx", "jinja2", "textual"}) == set()


BASH = """
source {script}
COMP_WORDS=({words}); COMP_CWORD={place}
_recon_completion recon
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


def shim(folder: Path) -> dict[str, str]:
    """An environment in which ``recon`` is this program."""
    place = folder / "bin" / "recon"
    place.parent.mkdir()
    root = Path(__file__).resolve().parents[2]
    place.write_text(f'#!/bin/sh\nPYTHONPATH={root} exec {sys.executable} -m recon "$@"\n')
    place.chmod(place.stat().st_mode | stat.S_IXUSR)
    env = {name: value for name, value in os.environ.items() if not name.startswith(("_RECON", "COMP_"))}
    return {**env, "PATH": f"{place.parent}:{env['PATH']}"}


def test_real_shells_take_the_script_and_offer_the_words(folder: Path) -> None:
    """Bash is everywhere; zsh and fish are asked where they are installed."""
    env = shim(folder)
    for shell in ("bash", "zsh", "fish"):
        if shutil.which(shell) is None:
            continue
        script = folder / f"script.{shell}"
        made = subprocess.run(["recon", "completion", shell], env=env, capture_output=True, text=True, check=True)
        script.write_text(made.stdout)
        code = {
            "bash": BASH.format(script=script, words="recon select plan-1 --verdict local_", place=4),
            "zsh": f"autoload -U compinit && compinit -u -D; source {script}; whence -w _recon_completion",
            "fish": f"source {script}; complete -C 'recon select plan-1 --verdict local_'",
        }[shell]
        asked = subprocess.run([shell, "-c", code], env=env, capture_output=True, text=True, timeout=30, check=True)
        assert asked.stderr == "", shell
        words = {line.split("\t")[0] for line in asked.stdout.split("\n") if line}
        known = {verdict.value for verdict in Verdict if verdict.value.startswith("local_")}
        assert words == (known if shell != "zsh" else {"_recon_completion: function"})
