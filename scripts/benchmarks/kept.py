"""The ratios kept in the repository, beside those of this run; a fall by half is said loudly and fails nothing."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.measure import Result, say

KEPT = Path(__file__).parent / "ratios.json"


def tell_ratios(results: list[Result], *, keep: bool) -> None:
    """Print each ratio beside its aim and the kept one; with ``keep`` write them as the kept ones."""
    kept: dict[str, float] = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    for result in results:
        before = kept.get(result.name)
        aim = "" if result.aim is None else f"  aim {result.aim:g}{'' if result.is_met() else ' MISSED'}"
        beside = "" if before is None else f"  kept {before:8.2f}"
        say(f"{result.name:24} {result.ratio:10.2f}{beside}{aim}  {result.said}")
        if before is not None and has_fallen(result, before):
            say(f"!!! {result.name} HAS FALLEN BY HALF OR MORE: it was {before:.2f} and is {result.ratio:.2f} !!!")
    if keep:
        kept.update({result.name: round(result.ratio, 3) for result in results})
        KEPT.write_text(json.dumps(dict(sorted(kept.items())), indent=2) + "\n")


def has_fallen(result: Result, before: float) -> bool:
    """Whether a ratio is at most half as good as it was."""
    return result.ratio >= 2 * before if result.better == "less" else result.ratio * 2 <= before
