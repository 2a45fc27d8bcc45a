"""What takes long, by measurement, and why; ``scripts/test --fast`` leaves it out. Everything else runs in 90 s.

A name is the beginning of a test's id: a folder, a file, or one test of a file.
"""

from __future__ import annotations

SLOW = {
    "tests/end_to_end/": "whole jobs with real servers, chains and notebooks",
}


def reason(nodeid: str) -> str | None:
    """Why a test is slow; None for a quick one."""
    return next((why for name, why in SLOW.items() if nodeid.startswith(name)), None)
