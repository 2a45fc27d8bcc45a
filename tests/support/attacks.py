"""The attack as a set: which tests are of it, by kind, and how many blows each has dealt.

``scripts/attack`` runs them and prints the counts. A test that deals several blows says how many with
``record_property("blows", number)``; another one is one blow for each of its cases.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final

ATTACKS: Final[Mapping[str, tuple[str, ...]]] = {
    "process killed, at a numbered step": (
        "tests/end_to_end/test_crash.py::test_killed_at_any_step",
        "tests/rails/flags/test_apply.py::test_killed_at_any_step",
        "tests/rails/flags/test_files.py::test_sigkill_at_any_step",
        "tests/snapshots/test_unfinished.py::test_a_reading_that_is_killed",
    ),
    "process ended by signal or hangup": ("tests/cli/test_signals.py::",),
    "step-down, partition, rollback, store away": (
        "tests/end_to_end/test_crash.py::test_a_primary_that_steps_down",
        "tests/end_to_end/test_crash.py::test_a_store_that_goes_away",
        "tests/end_to_end/test_partition.py::",
    ),
    "fail points and error codes of the server": ("tests/cli/test_store_errors.py::",),
    "foreign writer, by kind": ("tests/end_to_end/test_attacks.py::test_what_another_writer_does",),
    "foreign writer, beside a whole run": (
        "tests/end_to_end/test_crash.py::test_a_writer_in_between",
        "tests/end_to_end/test_crash.py::test_a_backend_that_writes_all_the_time",
        "tests/end_to_end/test_crash.py::test_two_applies_at_once",
    ),
    "changed bytes of an artefact": (
        "tests/end_to_end/test_attacks.py::test_a_changed_byte",
        "tests/investigation/payment/test_case.py::test_every_changed_byte",
        "tests/snapshots/test_snapshot.py::test_a_changed_byte",
        "tests/snapshots/test_shared.py::test_a_changed_byte",
        "tests/rails/flags/test_plan.py::test_every_byte",
        "tests/runs/stores/test_journal.py::test_any_edit_is_found",
        "tests/plans/test_signed.py::test_every_word_of_a_record_is_signed",
    ),
    "planted secret": (
        "tests/end_to_end/test_incident.py::test_no_secret_leaves",
        "tests/end_to_end/test_main_job.py::test_no_secret",
        "tests/investigation/payment/test_case.py::test_secrets_are_never",
        "tests/cli/test_inspect_command.py::test_a_secret_never_shows",
        "tests/sources/providers/test_polite.py::test_no_message_holds_a_secret",
        "tests/rails/flags/test_restart.py::test_output_is_cleaned",
        "tests/cli/test_cli.py::test_doctor_names_every_source_that_fails_and_keeps_secrets",
        "tests/setup/test_config.py::test_a_secret_in_the_file",
    ),
    "hostile text": (
        "tests/desk/test_screen.py::test_hostile_text",
        "tests/investigation/payment/test_inspect.py::test_hostile_text",
        "tests/investigation/incident/test_texts.py::test_text_from_outside_draws_nothing",
        "tests/reports/test_html.py::test_terminal_escapes",
        "tests/reports/test_report.py::test_a_cell_that_begins_like_a_formula",
        "tests/reports/test_report.py::test_a_terminal_gets_colours_but_no_escape",
        "tests/reports/test_plotting.py::test_outside_text_begins_no_formula",
        "tests/end_to_end/test_fuzz.py::",
        "tests/rails/flags/test_places.py::test_hostile_files",
    ),
    "server that drips, stays silent or sends without end": (
        "tests/sources/test_http.py::test_a_server_that_drips",
        "tests/sources/providers/test_polite.py::test_no_server_can_hold_a_call",
        "tests/sources/chain/test_scan.py::test_a_node_that_drips",
        "tests/end_to_end/test_silent_provider.py::",
    ),
    "false identity or signature": ("tests/plans/test_signed.py::", "tests/end_to_end/test_two_people.py::"),
}


def kind_of(nodeid: str) -> str | None:
    """The kind of attack that a test is of; None for any other test."""
    return next((kind for kind, begins in ATTACKS.items() if nodeid.startswith(begins)), None)


def counted(reports: Iterable[Any]) -> list[tuple[str, int, int]]:
    """For each kind how many cases held, and how many blows they dealt."""
    cases: Counter[str] = Counter()
    blows: Counter[str] = Counter()
    for report in reports:
        if (kind := kind_of(report.nodeid)) is not None:
            cases[kind] += 1
            blows[kind] += int(dict(report.user_properties).get("blows", 1))
    return [(kind, cases[kind], blows[kind]) for kind in ATTACKS if cases[kind]]
