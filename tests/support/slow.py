"""What takes long, by measurement, and why; ``scripts/test --fast`` leaves it out. Everything else runs in 90 s.

A name is the beginning of a test's id: a folder, a file, or one test of a file.
"""

from __future__ import annotations

JOB = "whole jobs through the command line, about 5 s of a processor for each snapshot and plan"
SCENES = "dozens of scenes, each read and judged as a world of its own, about 1.3 s of a processor each"
JUDGED = "several worlds are read and judged whole, about 5 s of a processor each"
OTHER_ENGINE = "DuckDB and pandas take ten times as long as Polars for tables of a few rows"
TABLES = "dozens of hand-made tables, each judged twice or more, about 0.2 s of a processor each; rules and match stay"
PAGES = "hundreds of pages are drawn with and without the evidence of what they conclude"
LIMITED = "a process of its own with a limit of memory for each file of up to a gigabyte"

SLOW = {
    "tests/end_to_end/": "whole jobs with real servers, real chains, processes killed, and notebooks",
    "tests/cli/test_cli_apply.py": JOB,
    "tests/cli/test_cli_runs.py": JOB,
    "tests/cli/test_inspect_command.py": JOB,
    "tests/cli/test_review.py": "small tables judged by three engines, up to 2 s of a processor each",
    "tests/cli/test_store_errors.py": "whole jobs on a mongod that fails on demand, for each of many errors",
    "tests/cli/test_signals.py": "processes that are ended, a start of Python and a whole apply for each",
    "tests/desk/test_deeds.py": "a demo is made, and each test applies a part of it",
    "tests/desk/test_real_terminal.py": JOB,
    "tests/desk/test_screen.py": "a screen is drawn and typed at for each test",
    "tests/desk/test_sixty_keys.py": JOB,
    "tests/watch/test_keeping.py": JUDGED,
    "tests/watch/test_rounds.py": JUDGED,
    "tests/watch/test_running.py": "processes that are started and ended, each with a round",
    "tests/watch/test_beside.py": JUDGED,
    "tests/watch/test_schedulers.py": JUDGED,
    "tests/watch/test_traces.py::test_a_round_is_traced": JUDGED,
    "tests/sources/payments/test_changes.py": "mongods of its own, with logins, one of which fails on demand",
    "tests/plans/test_history_end.py": "a history of four hundred lines, each made to last, for each test",
    "tests/investigation/search/test_search.py": JUDGED,
    "tests/investigation/test_audit.py": JOB,
    "tests/runs/test_reverify.py": JOB,
    "tests/plans/test_attestation.py::test_a_statement_about_a_run": JOB,
    "tests/verdicts/test_sharing.py": "small tables judged by three engines, up to 5 s of a processor each",
    "tests/investigation/payment/test_advice.py": SCENES,
    "tests/investigation/payment/test_by_recipient.py": SCENES,
    "tests/investigation/payment/test_case.py": SCENES,
    "tests/investigation/payment/test_payout_replaced.py": SCENES,
    "tests/investigation/payment/test_inspect.py": SCENES,
    "tests/investigation/payment/test_inspect_proof.py": SCENES,
    "tests/investigation/payment/test_inspect_live.py": "a real chain and a real mongod for each of many payments",
    "tests/cli/test_cli_ledger.py": JOB,
    "tests/simulation/test_books.py": JUDGED,
    "tests/repairs/test_entries.py": JUDGED,
    "tests/repairs/test_repair_crash.py": "processes that are killed at each step of a run on a real mongod",
    "tests/plans/test_balances.py": JUDGED,
    "tests/plans/test_health.py": JUDGED,
    "tests/rails/flags/test_apply.py::test_killed_at_any_step": "processes that are killed, a start of Python for each",
    "tests/reports/test_frames.py": JOB,
    "tests/reports/test_html.py": JOB,
    "tests/reports/test_loading.py": JOB,
    "tests/reports/test_plotting.py": "pictures are drawn by Matplotlib",
    "tests/runs/test_apply_properties.py": "hundreds of generated plans on a real mongod",
    "tests/runs/test_clock.py": "a start of Python with a shifted clock for each question",
    "tests/runs/test_ends.py": JOB,
    "tests/runs/test_every_cell.py": "everything of the catalogue is written and read again",
    "tests/simulation/test_scenarios.py": "180 worlds are written, read and judged",
    "tests/simulation/test_simulate.py::test_everything_that_can_be_planted": (
        "everything of the catalogue is judged at once"
    ),
    "tests/simulation/test_referee.py::test_the_tool_agrees": JUDGED,
    "tests/simulation/test_referee.py::test_the_referee_agrees_in_mixed": JUDGED,
    "tests/simulation/test_weather.py": JUDGED,
    "tests/runs/test_writing.py": "a real mongod whose rights, rows and indexes change while a run writes",
    "tests/snapshots/test_rivals.py": JUDGED,
    "tests/snapshots/test_shared.py": JUDGED,
    "tests/snapshots/test_snapshot.py": JUDGED,
    "tests/snapshots/test_since.py": JUDGED,
    "tests/snapshots/test_standing.py": JUDGED,
    "tests/snapshots/test_unfinished.py": "readings that are killed and go on, many times",
    "tests/snapshots/test_wallets.py": JUDGED,
    "tests/snapshots/test_watched.py": JUDGED,
    "tests/sources/test_hostile_sizes.py": LIMITED,
    "tests/sources/providers/test_request_network.py::test_ten_thousand": "ten thousand payments are asked for",
    "tests/sources/payments/test_columns.py": "weeks of 2,000 payments, and thousands of spoiled documents",
    "tests/sources/payments/test_mongo.py": "sets of several mongods, with secondaries that lag or are gone",
    "tests/support/test_servers.py": "a mongod or a chain for each test, started, killed and started again",
    "tests/support/test_dead_workers.py": "whole runs of pytest that wait for a worker to die",
    "tests/test_api.py": JUDGED,
    "tests/test_decide.py::test_five_thousand": "sheets of five thousand rows are written and read by several programs",
    "tests/test_decide.py::test_two_hundred": "hundreds of spoiled sheets",
    "tests/test_one_program.py": JOB,
    "tests/verdicts/test_engine.py": JUDGED,
    "tests/verdicts/test_match.py::test_amounts_near_the_limit": "sums at the limit on every engine",
    "tests/verdicts/test_match.py::test_rows_without_keys": "the same on every engine",
    "tests/verdicts/test_rail_relations.py": "worlds of three rails are judged once more for each relation",
    "tests/verdicts/test_relations.py": "worlds of hundreds of payments are judged twice for each relation",
    "tests/verdicts/test_rulebook.py": JUDGED,
    "tests/verdicts/test_tron.py": JUDGED,
    "tests/verdicts/test_several_keys.py": SCENES,
    "tests/verdicts/test_truth.py": "thirty worlds are written, read and judged",
    "tests/core/test_extras.py::test_the_core_alone": "a plan without any extra, in a process that can import none",
    "tests/reports/test_every_conclusion.py": PAGES,
    "tests/runs/stores/test_sql_contract.py": "every promise of a store, on a real PostgreSQL and on SQLite",
    "tests/sources/chain/test_scan.py::test_a_fault_in_what": "a scan for each fault of each answer fetched ahead",
    "tests/test_schemas.py::test_real_files_fit": JOB,
    "tests/verdicts/test_balances.py": TABLES,
    "tests/verdicts/test_beside.py": TABLES,
    "tests/verdicts/test_deals.py": TABLES,
    "tests/verdicts/test_destinations.py": TABLES,
    "tests/verdicts/test_early.py": TABLES,
    "tests/verdicts/test_moved.py": TABLES,
    "tests/verdicts/test_outflows.py": TABLES,
    "tests/verdicts/test_past_proxy.py": TABLES,
    "tests/verdicts/test_returns.py": TABLES,
    "tests/verdicts/test_unseen.py": TABLES,
}


def reason(nodeid: str, *, engine: str | None = None) -> str | None:
    """Why a test is slow; None for a quick one.

    Args:
        engine: The engine by which a case is judged, where its parameters name one.
    """
    listed = next((why for name, why in SLOW.items() if nodeid.startswith(name)), None)
    return listed or (OTHER_ENGINE if engine not in (None, "polars") else None)
