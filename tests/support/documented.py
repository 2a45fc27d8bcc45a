"""The command lines of README and docs: found, held against the program, and typed as a person would type them.

A fenced block ``console`` is a session: each line that begins with ``$`` is typed, in order, all blocks of a page in
one folder. ``ID``, ``RUN`` and ``DIGEST`` stand for what was printed before, or for what a comment on the page names:
``<!-- ID: local_behind -->`` is the payment that has this verdict in the newest plan. ``# leaves with 3`` after a
command says its exit code; without it the code is 0.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import click

from recon.cli import cli
from tests.support.forked import forker

ROOT: Final = Path(__file__).resolve().parents[2]
DOCS: Final = ROOT / "docs"
README: Final = ROOT / "README.md"
FENCE: Final = re.compile(r"(?ms)^( *)```([^\n`]*)\n(.*?)^\1```$")
SPAN: Final = re.compile(r"(?<!`)`(recon [^`\n]+)`(?!`)")
COMMAND: Final = re.compile(r"^\s*(?:\$ )?(?:\.venv/bin/)?(recon(?: .*)?)$")
PROGRAM: Final = re.compile(r"^(?:\.venv/bin/)?recon ")
OUTSIDE: Final = ("pip ", "pipx ", "uv ", "python", "git ", "source ", ". ", "scripts/", "cd ")
"""What a session types that is not for a test: it installs, or changes the shell."""


ONLY_LOOKS: Final = (
    "show", "inspect", "triage", "history", "runs", "doctor", "drain", "gates rollback", "gates enable", "flags status",
    "preflight", "journal", "report",
)  # fmt: skip
"""Commands after which everything is as it was, but for a file that the page names."""

Remembered = dict[tuple[str, ...], tuple["subprocess.CompletedProcess[str]", "Path | None"]]
"""What a command gave after others, and the folder as it left it: pages begin alike, and nothing is run twice."""


@dataclass(frozen=True, slots=True)
class Typed:
    """One command line of a page and the exit code that the page says."""

    command: str
    code: int


def pages() -> list[Path]:
    """README and every page of docs."""
    return [README, *sorted(DOCS.rglob("*.md"))]


def name_of(page: Path) -> str:
    """A page by its path in the repository."""
    return str(page.relative_to(ROOT))


def session(page: Path) -> list[Typed]:
    """What a person types who follows a page."""
    text = page.read_text(encoding="utf-8")
    return [
        Typed(command.strip(), int(code[1]) if (code := re.search(r"leaves with (\d+)", remark)) else 0)
        for _, kind, body in FENCE.findall(text)
        if kind.strip() == "console"
        for line in re.findall(r"(?m)^ *\$ (.+)$", body)
        for command, remark in [(*re.split(r"\s+# ", line, maxsplit=1), "")[:2]]
    ]


def files_of(page: Path) -> dict[str, str]:
    """Files that a page shows whole: a block under a line such as "`payments.csv`: what your shop says."."""
    text = page.read_text(encoding="utf-8")
    return dict(re.findall(r"(?ms)^`([\w-]+\.(?:csv|toml|ndjson|log))`: [^\n]*\n\n```\w*\n(.*?)^```$", text))


def outside_of_sessions(page: Path) -> list[str]:
    """Lines of fenced blocks that are commands of recon and are typed by no session."""
    return [
        found[1]
        for _, kind, body in FENCE.findall(page.read_text(encoding="utf-8"))
        if kind.strip() not in ("console", "text")
        for line in body.splitlines()
        if (found := COMMAND.match(line))
    ]


def mentioned(page: Path) -> list[str]:
    """Every command line of recon that a page names, in sessions, blocks and sentences."""
    text = page.read_text(encoding="utf-8")
    typed = [PROGRAM.sub("recon ", each.command) for each in session(page) if PROGRAM.match(each.command)]
    return [*typed, *outside_of_sessions(page), *SPAN.findall(FENCE.sub("", text))]


def mistake_in(line: str) -> str | None:
    """What is wrong with a command line that a page names: a command or option that there is not; None if nothing."""
    try:
        words = shlex.split(re.split(r"\s+# ", line)[0].replace("…", "").replace("...", ""))
    except ValueError as error:
        return str(error)
    words = words[: next((at for at, word in enumerate(words) if word in ("|", ">", ">>", "&&", ";")), len(words))]
    command: click.Command = cli
    context = click.Context(cli, info_name="recon")
    rest = words[1:]
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        below = next(filter(None, (command.get_command(context, name) for name in (rest[0], "page", "make"))), None)
        if below is None:
            return f"there is no {rest[0]!r} in {command.name}"
        command, context, rest = below, click.Context(below, info_name=rest[0], parent=context), rest[1:]
    known = {name for each in command.get_params(context) for name in (*each.opts, *each.secondary_opts)}
    wrong = [word for word in rest if word.startswith("--") and word.partition("=")[0] not in known]
    return f"{' '.join(words)}: there is no {wrong[0]}" if wrong else None


@dataclass
class Typist:
    """Types commands in one folder, and copies ids, digests and runs from what was printed.

    Args:
        means: What a page's comments say that words stand for.
        real: Whether each command is a process that starts from nothing.
        remembered: What pages typed that began with the same folder; nothing is remembered without.
    """

    folder: Path
    means: dict[str, str] = field(default_factory=dict)
    real: bool = False
    copied: dict[str, str] = field(default_factory=dict)
    digest_of: dict[str, str] = field(default_factory=dict)
    remembered: Remembered | None = None
    typed: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("RECON_")}
        path = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"
        self.environment = {**kept, "PATH": path, "RECON_OPERATOR": "ada", "COLUMNS": "100", "PYTHONPATH": str(ROOT)}

    def types(self, command: str) -> tuple[int, str]:
        """Run a command line; gives its exit code and what it printed on both streams."""
        if command.startswith("export "):
            name, _, value = command.removeprefix("export ").partition("=")
            self.environment[name] = value.strip("'\"")
            return 0, ""
        if command.startswith(OUTSIDE):
            return 0, ""
        command = self.filled(PROGRAM.sub("recon ", command))
        done = self._run(command) if self.remembered is None else self._once(command, self.remembered)
        assert "Traceback" not in done.stderr, done.stderr
        self._reads(done.stdout, command)
        return done.returncode, done.stdout + done.stderr

    def _once(self, command: str, remembered: Remembered) -> subprocess.CompletedProcess[str]:
        """Run it, or give what it gave after the same commands on another page."""
        key, looks = (*self.typed, command), command.startswith(tuple(f"recon {words}" for words in ONLY_LOOKS))
        if key not in remembered:
            done, left = self._run(command), None
            if not looks:
                left = self.folder.with_name(f"{self.folder.name}-{len(self.typed)}")
                shutil.copytree(self.folder, left, symlinks=True)
            remembered[key] = done, left
        elif left := remembered[key][1]:
            shutil.rmtree(self.folder)
            shutil.copytree(left, self.folder, symlinks=True)
        self.typed += [] if looks else [command]
        return remembered[key][0]

    def filled(self, command: str) -> str:
        """The command line with values in place of the words that stand for them."""
        for word in ("ID", "TX", "RUN", "DIGEST"):
            if re.search(rf"\b{word}\b", command):
                command = re.sub(rf"\b{word}\b", shlex.quote(self._value(word, command)), command)
        return command

    def _value(self, word: str, command: str) -> str:
        if word == "DIGEST":
            named = re.search(r"\S+\.json", command)
            return self.digest_of.get(named[0] if named else "latest") or self.digest_of["latest"]
        if verdict := self.means.get(word):
            return self._of_verdict(verdict, word)
        return self.copied[word]

    def _of_verdict(self, verdict: str, word: str) -> str:
        """The payment, or the transaction that its evidence names, with this verdict in the newest plan."""
        newest = max(self.folder.rglob("plan-*.json"), key=lambda path: path.stat().st_mtime_ns)
        plan: dict[str, Any] = json.loads(newest.read_text(encoding="utf-8"))
        found = next(item for item in plan["findings"] if item["verdict"] == verdict)
        if word == "ID":
            return str(found["payment_id"]).strip('"')
        return str(
            next(each for each in found["evidence"] if each.startswith(("transfer ", "other transfer "))).split(":")[1]
        )

    def _run(self, command: str) -> subprocess.CompletedProcess[str]:
        if self.real or re.search(r"[|<>&;$~]", command) or not command.startswith("recon "):
            return subprocess.run(
                ["bash", "-c", command], cwd=self.folder, env=self.environment, capture_output=True, text=True,
                check=False, timeout=300,
            )  # fmt: skip
        words = shlex.split(command)[1:]
        return forker().run(words, folder=self.folder, environment=self.environment, timeout_s=120)

    def _reads(self, printed: str, command: str) -> None:
        if "ID" not in self.copied and (late := re.search(r"(?m)^(\S+) +late_payment +review ", printed)):
            self.copied["ID"] = late[1]
        if run := re.search(r"(?m)^  run +(\S+)$", printed):
            self.copied["RUN"] = run[1]
        if digest := re.search(r"(?m)^  digest +([0-9a-f]{64})$", printed):
            named = re.search(r"(?:--out )(\S+\.json)", command) or re.search(r"\S+\.json", command)
            self.digest_of[(named[1] if named and named.lastindex else named[0]) if named else "latest"] = digest[1]
            self.digest_of["latest"] = digest[1]


def means_of(page: Path) -> dict[str, str]:
    """What the comments of a page say that words in its commands stand for."""
    return dict(re.findall(r"<!-- (ID|TX): ([a-z_]+) -->", page.read_text(encoding="utf-8")))
