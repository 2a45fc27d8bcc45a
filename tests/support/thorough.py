"""What ``scripts/test --thorough`` runs besides everything else: more of the same, for the night.

Cases of hand-made tables that are judged by every engine. The rules and the matching are one text of Narwhals, and
``tests/verdicts/test_engine.py`` judges the whole catalogue by every engine in each run. So in each run every case is
judged by Polars, the usual engine, and by at most one other: which one, or none, its name decides, so that each of the
others has a third of the cases. What an engine alone would get wrong is a kind of expression, and each kind stands in
many cases.

``LARGER`` tells the tests whose worlds are larger at night. Such a test says at its figure why the smaller world shows
the same.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Mapping
from typing import Any, Final

LARGER: Final = os.environ.get("RECON_TEST_THOROUGH") == "1"
USUAL: Final = "polars"
OTHERS: Final = ("duckdb", "pandas", None)
BY_TURNS: Final = (
    "tests/plans/test_doubts.py", "tests/verdicts/test_balances.py", "tests/verdicts/test_deals.py",
    "tests/verdicts/test_match.py", "tests/verdicts/test_moved.py", "tests/verdicts/test_outflows.py",
    "tests/verdicts/test_past_proxy.py", "tests/verdicts/test_several_keys.py",
)  # fmt: skip
"""Where the engines take turns."""


def engine_of(parameters: Mapping[str, Any]) -> str | None:
    """The engine by which a case is judged, where its parameters name one."""
    engine = parameters.get("engine")
    return engine if isinstance(engine, str) else None


def is_thorough(nodeid: str, parameters: Mapping[str, Any]) -> bool:
    """Whether a case is left to the night: it is judged by another engine than the usual one, and out of turn."""
    engine = engine_of(parameters)
    if engine in (None, USUAL) or not nodeid.startswith(BY_TURNS):
        return False
    case = nodeid.replace(str(engine), "")
    return OTHERS[zlib.crc32(case.encode()) % len(OTHERS)] != engine
