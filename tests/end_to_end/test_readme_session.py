"""The session that the README shows runs as it is typed there, and does what it says."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

README = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")
SECTIONS = ("Review and apply", "Taking it back")
APPLIED_KINDS = {"local_behind", "missing_tx_hash"}


def typed_commands() -> list[tuple[str, int]]:
    """The commands of the session in order, each with the exit code that the page says; 0 unless it says one."""
    found = []
    for name in SECTIONS:
        section = re.search(rf"(?ms)^## {name}\n(.*?)^## ", README)
        assert section is not None, name
        for line in re.findall(r"(?m)^\$ (.+)$", section[1]):
            command, _, remark = line.partition("   #")
            code = re.search(r"leaves with (\d+)", remark)
            found.append((command.strip(), int(code[1]) if code else 0))
    return found


class Person:
    """Types commands in one folder, and copies ids, digests and runs from what was printed."""

    def __init__(self, folder: Path) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("RECON_")}
        path = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"
        self.folder, self.environment = folder, {**kept, "PATH": path, "RECON_OPERATOR": "ada"}
        self.copied: dict[str, str] = {}
        self.digest_of: dict[str, str] = {}

    def types(self, command: str) -> tuple[int, str]:
        if command.startswith("export "):
            name, _, value = command.removeprefix("export ").partition("=")
            self.environment[name] = value
            return 0, ""
        for name in ("ID", "RUN"):
            if re.search(rf"\b{name}\b", command):
                command = re.sub(rf"\b{name}\b", self.copied[name], command)
        plan = re.search(r"\S+/(?:picked|undo)\.json", command)
        if "DIGEST" in command and plan:
            command = command.replace("DIGEST", self.digest_of[plan[0]])
        done = subprocess.run(
            ["bash", "-c", command], cwd=self.folder, env=self.environment, capture_output=True, text=True,
            check=False, timeout=300,
        )  # fmt: skip
        assert "Traceback" not in done.stderr, done.stderr
        self.reads(done.stdout, plan and plan[0])
        return done.returncode, done.stdout + done.stderr

    def reads(self, printed: str, plan: str | None) -> None:
        if "ID" not in self.copied and (late := re.search(r"(?m)^(\S+) +late_payment +review ", printed)):
            self.copied["ID"] = late[1]
        if run := re.search(r"(?m)^  run +(\S+)$", printed):
            self.copied["RUN"] = run[1]
        if plan and (digest := re.search(r"(?m)^  digest +([0-9a-f]{64})$", printed)):
            self.digest_of[plan] = digest[1]


def newest_plan(folder: Path) -> tuple[set[tuple[str, str]], set[str]]:
    """The findings of the newest plan, and the payments that it changes without being asked to."""
    newest = max((folder / "recon-demo").glob("plan-*.json"), key=lambda path: path.stat().st_mtime_ns)
    plan: dict[str, Any] = json.loads(newest.read_text(encoding="utf-8"))
    found = {(item["payment_id"], item["verdict"]) for item in plan["findings"]}
    return found, {item["payment_id"] for item in plan["changes"] if item["tier"] == "auto"}


def test_the_session_of_the_readme_applies_what_it_shows_and_takes_it_back(tmp_path: Path) -> None:
    person, planned, applied = Person(tmp_path), [], []
    commands = typed_commands()
    for command, expected in commands:
        code, printed = person.types(command)
        assert code == expected, f"{command}\n{printed}"
        if command.startswith(("recon demo", "recon plan")):
            planned.append(newest_plan(tmp_path))
        if command.startswith("recon apply"):
            applied.append(re.findall(r"(?m)^  applied +(\d+)$", printed))
    (first, changed), (corrected, _), (taken_back, _) = planned
    late = (person.copied["ID"], "late_payment")
    assert late in first
    assert {verdict for _, verdict in first} >= APPLIED_KINDS
    left = {found for found in corrected if found[1] in APPLIED_KINDS}
    assert left <= {found for found in first if found[0] not in changed}, "only what nobody picked or no change fits"
    assert late not in corrected
    assert taken_back == first
    written, again, undone = applied
    assert (written, again) == (undone, [])
    assert int(written[0]) > len(APPLIED_KINDS)


def test_the_session_shows_every_step_of_a_review() -> None:
    words = [" ".join(command.split()[:2]) for command, _ in typed_commands() if command.startswith("recon")]
    assert words == [
        "recon demo", "recon show", "recon show", "recon select", "recon approve", "recon apply", "recon plan",
        "recon runs", "recon journal", "recon apply", "recon undo", "recon apply", "recon plan",
    ]  # fmt: skip
