"""How many ways lead through every function, by radon's count, and the list of those that were too many once.

``python -m tests.support.complexity`` writes ``tests/too_complex.json`` anew, after a function was made simpler or a
too complex one was moved. The list may only shrink; what it says of a function that grew is printed, loudly.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from radon.visitors import ComplexityVisitor

COMPLEXITY_MAX = 12
FILE = Path(__file__).parents[1] / "too_complex.json"
PACKAGE = Path(__file__).parents[2] / "recon"


def found(above: int, *, package: Path = PACKAGE) -> dict[str, int]:
    """Every function and method whose count is above the number, by file and name."""
    counts = {}
    for path in sorted(package.rglob("*.py")):
        visitor = ComplexityVisitor.from_code(path.read_text(encoding="utf-8"))
        blocks = [*visitor.functions, *(method for each in visitor.classes for method in each.methods)]
        name = path.relative_to(package.parent).as_posix()
        counts |= {f"{name}: {each.fullname}": each.complexity for each in blocks if each.complexity > above}
    return counts


def kept() -> dict[str, int]:
    """The list: functions that may be as complex as they are, and no more."""
    listed: dict[str, int] = json.loads(FILE.read_text(encoding="utf-8"))
    return listed


def main() -> None:
    """Write the list anew, and name what was not on it."""
    before = kept() if FILE.exists() else {}
    now = found(COMPLEXITY_MAX)
    FILE.write_text(json.dumps(now, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    for name, count in now.items():
        if count > before.get(name, 0):
            sys.stderr.write(f"NEW OR WORSE: {name} has {count}; make it simpler instead of committing this.\n")
    sys.stderr.write(f"{len(now)} functions are above {COMPLEXITY_MAX}; before there were {len(before)}.\n")


if __name__ == "__main__":
    main()
