"""The session that the tutorial shows runs as it is typed there, from nothing, and does what it says."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from tests.support.documented import DOCS, Typist, session

PAGE = DOCS / "tutorial" / "review-and-apply.md"
APPLIED_KINDS = {"local_behind", "missing_tx_hash"}


def newest_plan(folder: Path) -> tuple[set[tuple[str, str]], set[str]]:
    """The findings of the newest plan, and the payments that it changes without being asked to."""
    newest = max((folder / "recon-demo").glob("plan-*.json"), key=lambda path: path.stat().st_mtime_ns)
    plan: dict[str, Any] = json.loads(newest.read_text(encoding="utf-8"))
    found = {(item["payment_id"], item["verdict"]) for item in plan["findings"]}
    return found, {item["payment_id"] for item in plan["changes"] if item["tier"] == "auto"}


def test_the_session_of_the_tutorial_applies_what_it_shows_and_takes_it_back(tmp_path: Path) -> None:
    person, planned, applied = Typist(tmp_path, real=True), [], []
    for typed in session(PAGE):
        command = typed.command
        code, printed = person.types(command)
        assert code == typed.code, f"{command}\n{printed}"
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
    words = [" ".join(each.command.split()[:2]) for each in session(PAGE) if each.command.startswith("recon")]
    assert words == [
        "recon demo", "recon show", "recon show", "recon select", "recon approve", "recon apply", "recon plan",
        "recon runs", "recon journal", "recon apply", "recon undo", "recon apply", "recon plan",
    ]  # fmt: skip
