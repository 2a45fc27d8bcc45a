"""What ``scripts/test --thorough`` runs besides everything else: more of the same, for the night.

Cases of hand-made tables that are judged by every engine. The rules and the matching are one text of Narwhals, and
``tests/verdicts/test_engine.py`` judges the whole catalogue by every engine in each run. So in each run every case is
judged by Polars, the usual engine, and by at most one other: which one, or none, its name decides, so that each of the
others has a third of the cases. What an engine alone would get wrong is a kind of expression, and each kind stands in
many cases.

``SHARES`` names tests of many dear cases that are one kind, each a world of its own: of every so many cases the first
is run each time.

``LARGER`` tells the tests whose worlds are larger at night. Such a test says at its figure why the smaller world shows
the same.
"""

from __future__ import annotations

import os
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final

LARGER: Final = os.environ.get("RECON_TEST_THOROUGH") == "1"
USUAL: Final = "polars"
OTHERS: Final = ("duckdb", "pandas", None)
BY_TURNS: Final = (
    "tests/cli/test_review.py", "tests/plans/test_doubts.py", "tests/verdicts/test_balances.py",
    "tests/verdicts/test_deals.py", "tests/verdicts/test_destinations.py", "tests/verdicts/test_early.py",
    "tests/verdicts/test_match.py", "tests/verdicts/test_moved.py", "tests/verdicts/test_outflows.py",
    "tests/verdicts/test_past_proxy.py", "tests/verdicts/test_returns.py", "tests/verdicts/test_sent.py",
    "tests/verdicts/test_several_keys.py",
    "tests/verdicts/test_unseen.py",
)  # fmt: skip
"""Where the engines take turns."""

SHARES: Final[Mapping[str, int]] = {
    "tests/cli/test_store_errors.py::test_a_question_that_is_answered_with_an_error_leaves_with_4": 4,
    "tests/cli/test_store_errors.py::test_a_run_that_cannot_begin_to_write_leaves_with_4_and_writes_nothing": 4,
    "tests/desk/test_deeds.py::test_what_the_command_line_refuses_is_refused_in_the_same_words": 2,
    "tests/end_to_end/test_crash.py::test_killed_at_any_step": 2,
    "tests/end_to_end/test_fault_codes.py::test_a_source_that_is_only_late_leaves_as_a_sound_one": 2,
    "tests/end_to_end/test_fault_codes.py::test_a_source_that_stays_down_leaves_with_4_and_is_named": 3,
    "tests/end_to_end/test_faults.py::test_a_schedule_can_be_replayed": 2,
    "tests/end_to_end/test_faults.py::test_a_sick_source_leaves_the_truth_or_nothing": 3,
    "tests/end_to_end/test_faults.py::test_several_sick_sources_leave_the_truth_or_nothing": 2,
    "tests/end_to_end/test_faults.py::test_the_coverage_names_a_source_that_is_gone": 4,
    "tests/investigation/payment/test_inspect.py::test_every_cause_comes_out_first_in_its_scene": 2,
    "tests/snapshots/test_since.py::test_what_changed_since_gives_the_plan_of_a_whole_reading": 2,
    "tests/snapshots/test_since.py::test_a_window_that_slides_along_leaves_out_what_fell_behind": 2,
    "tests/snapshots/test_watched.py::test_a_row_made_before_the_window_and_paid_in_it_is_judged_as_by_the_whole": 3,
    "tests/sources/test_hostile_sizes.py::test_a_hostile_file_stays_below_a_gigabyte": 2,
    "tests/verdicts/test_rail_relations.py::test_everything_written_is_taken_back": 3,
    "tests/verdicts/test_relations.py::test_some_hold_in_a_recorded_world": 3,
    "tests/verdicts/test_truth.py::test_a_part_of_a_week_is_judged_as_in_the_whole": 2,
    "tests/verdicts/test_truth.py::test_lasting_sickness_leaves_payments_unproven_and_never_a_false_break": 2,
    "tests/verdicts/test_truth.py::test_passing_sickness_costs_little_and_never_a_false_break": 2,
}
"""By the beginning of a test's id, of how many cases one is run each time; all are run at night."""


AT_NIGHT: Final[Mapping[str, str]] = {
    "tests/end_to_end/test_watch_process.py": (
        "minutes of a real watch with rounds ten seconds apart; tests/end_to_end/test_watched_day.py plays such a day "
        "by single rounds in each run"
    ),
}
"""What is run at night only, by the beginning of a test's id, and why."""


def left_to_the_night(nodeids: Iterable[str]) -> frozenset[str]:
    """The cases that ``SHARES`` leaves to the night, of all that were collected, in their order."""
    counted: Counter[str] = Counter()
    left = set()
    for nodeid in nodeids:
        test = nodeid.partition("[")[0]
        share = next((share for name, share in SHARES.items() if test.startswith(name)), 1)
        if counted[test] % share:
            left.add(nodeid)
        counted[test] += 1
    return frozenset(left)


def engine_of(parameters: Mapping[str, Any]) -> str | None:
    """The engine by which a case is judged, where its parameters name one."""
    engine = parameters.get("engine")
    return engine if isinstance(engine, str) else None


def is_thorough(nodeid: str, parameters: Mapping[str, Any]) -> bool:
    """Whether a case is left to the night, as a whole or because it is judged by another engine and out of turn."""
    if nodeid.startswith(tuple(AT_NIGHT)):
        return True
    engine = engine_of(parameters)
    if engine in (None, USUAL) or not nodeid.startswith(BY_TURNS):
        return False
    case = nodeid.replace(str(engine), "")
    return OTHERS[zlib.crc32(case.encode()) % len(OTHERS)] != engine
