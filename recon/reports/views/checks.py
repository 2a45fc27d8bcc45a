"""What ``recon doctor`` found, as a report."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from recon.reports.model import Column, Fact, Report, Table


class Checked(Protocol):
    """One check: what it was, how it went, and one sentence."""

    @property
    def name(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def says(self) -> str: ...


def render_checks(checks: Iterable[Checked]) -> Report:
    """One row a check, in the order in which they were made."""
    rows = tuple((check.name, check.state, check.says) for check in checks)
    failed = sum(row[1] == "failed" for row in rows)
    warned = sum(row[1] == "warning" for row in rows)
    verdict = f"{failed} of {len(rows)} failed" if failed else "everything can be used"
    if not failed and (warned or not rows):
        said = f"{warned} of {len(rows)} are warnings"
        verdict = f"nothing failed; cannot tell whether everything can be used: {said}"
    columns = (Column("check", "check"), Column("state", "state", "severity"), Column("says", "what it says"))
    return Report(
        name="doctor",
        title="Doctor",
        facts=(Fact("verdict", "verdict", verdict, alarm=bool(failed or not rows)),),
        tables=(Table("checks", "Checks", columns, rows),),
    )
