"""The command line: each command parses, calls the library, prints, and exits; nothing is decided here.

A new command is one line in :data:`COMMANDS`. Its module is imported when the command runs, so that help stays fast.
"""

from __future__ import annotations

from recon.cli.lazy import CommandEntry as Entry
from recon.cli.lazy import LazyGroup, version_option
from recon.core.version import __version__

COMMANDS: tuple[Entry, ...] = (
    Entry("demo", "recon.cli.start:demo", "Run the main job on a bundled week of payments.", "Start"),
    Entry("init", "recon.cli.start:init", "Write a commented recon.toml.", "Start"),
    Entry("doctor", "recon.cli.doctor:doctor", "Say which sources can be used, and what to fix.", "Start"),
    Entry("completion", "recon.cli.start:completion", "Print the completion script of a shell.", "Start"),
    Entry("snapshot", "recon.cli.plan:snapshot", "Read a window from every source and seal it.", "Reconcile"),
    Entry("import", "recon.cli.importing:import_files", "Make a snapshot of CSV or Parquet files.", "Reconcile"),
    Entry("plan", "recon.cli.plan:plan", "Judge a window and plan its corrections.", "Reconcile"),
    Entry("show", "recon.cli.review:show", "Show a plan, a snapshot or any other artefact.", "Reconcile"),
    Entry("what-if", "recon.cli.what_if:what_if", "Judge past snapshots by other rules or limits.", "Reconcile"),
    Entry("history", "recon.cli.plan:history", "List the plans made so far, newest first.", "Reconcile"),
    Entry("review", "recon.cli.review:review", "Review a plan in the terminal.", "Review and write"),
    Entry("select", "recon.cli.review:select", "Derive a smaller plan with a digest of its own.", "Review and write"),
    Entry("decide", "recon.cli.decide:decide", "Decide about a plan in a spreadsheet.", "Review and write"),
    Entry("approve", "recon.cli.review:approve", "Record your approval of a plan, once.", "Review and write"),
    Entry("ack", "recon.cli.review:ack", "Accept known breaks until a date.", "Review and write"),
    Entry(
        "apply", "recon.cli.apply:apply", "Write exactly the reviewed plan, guarded and journalled.", "Review and write"
    ),
    Entry("runs", "recon.cli.apply:runs", "List what was applied and taken back, or show one run.", "Review and write"),
    Entry("undo", "recon.cli.apply:undo", "Plan the way back from a run.", "Review and write"),
    Entry(
        "reverify",
        "recon.cli.reverify:reverify",
        "Ask again what past corrections rested on.",
        "Review and write",
    ),
    Entry(
        "journal", "recon.cli.apply:journal", "Check the journal, and decide what a run left open.", "Review and write"
    ),
    Entry(
        "repair",
        "recon.cli.repair:repair",
        "Put in rows that are missing, and apply or take back plans of repairs.",
        "Review and write",
    ),
    Entry("hold", "recon.cli.repair:hold", "Put and lift holds on release and payout, by plan.", "Review and write"),
    Entry("restore", "recon.cli.repair:restore", "Find out what a restored dump did.", "Investigate"),
    Entry(
        "flags",
        "recon.cli.flags:flags",
        "Look at the provider flags, roll a rail back, take it back, enable it again.",
        "Roll back",
    ),
    Entry(
        "gates",
        "recon.cli.gates:gates",
        "Judge whether to roll back and whether to re-enable; nothing is changed by it.",
        "Roll back",
    ),
    Entry(
        "preflight",
        "recon.cli.rollout:preflight",
        "Look at credentials, payments, webhooks and indexes before anything is switched.",
        "Roll back",
    ),
    Entry(
        "drain",
        "recon.cli.rollout:drain",
        "Watch the stuck payments of a rail become fewer, with a rate and an estimate.",
        "Roll back",
    ),
    Entry(
        "backfill",
        "recon.cli.rollout:backfill",
        "Give legacy payments what newer ones have; insert only, planned and taken back.",
        "Roll back",
    ),
    Entry(
        "sample",
        "recon.cli.gates:sample",
        "Draw the manual sample that two people check, spread over verdicts and sizes.",
        "Roll back",
    ),
    Entry("watch", "recon.cli.watch:watch", "Judge on a schedule, and tell what needs a person.", "Watch"),
    Entry("inspect", "recon.cli.inspect:inspect", "Find out what is the matter with one payment.", "Investigate"),
    Entry("search", "recon.cli.search:search", "Search payments, provider objects and transfers.", "Investigate"),
    Entry("case", "recon.cli.inspect:case", "Freeze one payment's evidence into a redacted file.", "Investigate"),
    Entry("audit", "recon.cli.audit:audit", "List everything that moved value between two times.", "Investigate"),
    Entry("ledger", "recon.cli.ledger:ledger", "Hold the backend's ledger against the evidence.", "Investigate"),
    Entry("triage", "recon.cli.triage:triage", "Look at access logs and deliveries.", "Investigate"),
    Entry("report", "recon.cli.report:report", "Make an HTML report, or the text of an incident.", "Show"),
    Entry("attest", "recon.cli.attest:attest", "Sign a statement of what was reconciled; check one.", "Prove"),
    Entry("simulate", "recon.cli.simulate:simulate", "Make a world of payments with known truth.", "Prove"),
    Entry("score", "recon.cli.simulate:score", "Hold a judgement beside the known truth.", "Prove"),
)

cli = LazyGroup(
    name="recon",
    entries=COMMANDS,
    context_settings={"max_content_width": 100},
    params=[version_option(__version__)],
    help="""Reconcile payments three ways: our record, the provider, the chain.

    Finds what differs, explains it with evidence, and plans corrections that a person reviews. Only "apply",
    "repair apply" and "flags apply" change anything but the tool's own files; everything else is dry. No payment is
    ever inserted, with one exception that is off unless it is switched on: see "repair --help".

    \b
    Exit codes: 0 nothing to do, or done    1 differences found     2 usage
                3 refused as unsafe         4 a source unreachable or incomplete
                5 stopped midway, the journal knows where
    """,
)


_NEW_OBJECTS = 500_000
"""After how many new objects rings of them are looked for: a plan of ten thousand findings is no reason to look."""


def main() -> None:
    """Run the command line and leave with its exit code; SIGTERM and a hangup end it as Ctrl-C does."""
    import gc

    from recon.cli.signals import end_cleanly

    end_cleanly()
    gc.set_threshold(_NEW_OBJECTS)
    cli.main(prog_name="recon")
