"""``recon report``: any artefact as one HTML file for people who would rather look than read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from recon.cli.common import NewFilePath, config_option, note, settings_from, settings_if_there, write_stdout
from recon.cli.incident import incident
from recon.core.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from recon.reports.pages.page import Page
    from recon.setup.settings import Settings
    from recon.snapshots.sealed import Snapshot

_PATH = click.Path(path_type=Path)


class UnwritableReportError(UsageError):
    """The report cannot be written where it was wanted."""

    def __init__(self, *, path: Path, why: str) -> None:
        super().__init__(f"{path}: the report cannot be written ({why}); nothing was changed.")


class OtherSnapshotError(UsageError):
    """A snapshot is not the one a plan was made from."""

    def __init__(self, *, plan: str, given: str) -> None:
        super().__init__(
            f"The plan was made from snapshot {plan[:12]} and the one given is {given[:12]}; nothing was written. Name "
            "the plan's own snapshot, or leave it out."
        )


class _PageByDefault(click.Group):
    """A group whose first part may be left out: ``recon report PLAN`` means ``recon report page PLAN``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in (*self.commands, "--help"):
            args = ["page", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_PageByDefault)
def report() -> None:
    """Make an HTML report, or the text of an incident.

    The HTML file holds all its data and asks no network: figures, pictures, and a table to search, filter, sort and
    print. The word "page" may be left out.

    \b
    Examples: recon report recon-out/plan.json --html report.html
              recon report recon-out/snapshot-20261120T120000Z --html report.html
    """


@report.command()
@click.argument("artefact", metavar="ARTEFACT")
@config_option
@click.option("--html", "out", type=NewFilePath(), required=True, help="HTML file to write; never over another file.")
@click.option(
    "--snapshot",
    "snapshot_path",
    type=_PATH,
    help="With a plan: its snapshot; otherwise it is looked for beside the plan and in the output directory.",
)
def page(artefact: str, config_path: Path | None, out: Path, snapshot_path: Path | None) -> None:
    """Write one HTML file about an artefact.

    ARTEFACT is a plan file, a snapshot directory, a case file, a run history, or the name of a run, which is read from
    the journal. Everything else is read offline; only the HTML file is written.

    \b
    Examples: recon report page recon-out/plan.json --html report.html
              recon report page 20261120T120000Z-3f9c --html run.html
    """
    from recon.reports.pages.html import render_html

    text = render_html(page_of(artefact, config_path=config_path, snapshot_path=snapshot_path))
    save_page(text, out)
    write_stdout(f"{out}\n")
    note("Nothing has changed. The file opens in any browser, from a disk too.")


report.add_command(incident)


def save_page(text: str, out: Path) -> None:
    """Write the file whole or not at all.

    Raises:
        FileThereError: Something stands there already.
        NoRoomError: The disk is full.
        UnwritableReportError: It cannot be written there.
    """
    from recon.files import save_new

    try:
        save_new(out, text.encode())
    except OSError as error:
        raise UnwritableReportError(path=out, why=error.strerror or "unknown reason") from error


def page_of(artefact: str, *, config_path: Path | None, snapshot_path: Path | None) -> Page:
    """The page of any artefact; see :func:`page`."""
    from recon.reports.notebooks.load import artefact_kind
    from recon.reports.pages.page import page_of_report

    path = Path(artefact)
    kind = artefact_kind(path) if path.exists() else "run"
    if kind == "plan":
        return _plan_page(path, config_path=config_path, snapshot_path=snapshot_path)
    if snapshot_path is not None:
        raise click.UsageError("--snapshot is for plans.")
    if kind == "snapshot":
        return _snapshot_page(path, config_path)
    if kind == "case":
        from recon.investigation.payment.casefile import load_case
        from recon.reports.pages.casepage import case_page

        return case_page(load_case(path))
    if kind == "history":
        from recon.plans.history import load_history
        from recon.reports.views.history import render_history

        return page_of_report(render_history(load_history(path.parent)))
    return _run_page(artefact, config_path)


def _plan_page(path: Path, *, config_path: Path | None, snapshot_path: Path | None) -> Page:
    from recon.plans.file import load_plan
    from recon.plans.make import policy_digest
    from recon.reports import render_plan
    from recon.reports.pages.html import plan_page
    from recon.snapshots.sealed import find_snapshot, open_snapshot

    plan = load_plan(path)
    settings = _settings(config_path)
    if snapshot_path is not None:
        snapshot: Snapshot | None = open_snapshot(snapshot_path)
    else:
        folders = [path.parent, *([settings.output_dir] if settings is not None else [])]
        there = (find_snapshot(folder, plan.snapshot) for folder in dict.fromkeys(folders))
        snapshot = next((each for each in there if each is not None), None)
    if snapshot is not None and snapshot.digest != plan.snapshot:
        raise OtherSnapshotError(plan=plan.snapshot, given=snapshot.digest)
    policy = settings.policy() if settings else None
    if policy is not None and policy_digest(policy) != plan.policy_digest:
        policy = None
    if snapshot is None and plan.kind == "correction":
        note(
            "The plan's snapshot is neither beside it nor in the output directory: only what the plan names is in the "
            "report (see --snapshot)."
        )
    elif policy is None and snapshot is not None:
        note(
            "Without the plan's own configuration (see --config) payments that need nobody are left without a verdict."
        )
    config = None if config_path is None else str(config_path)
    return plan_page(
        plan,
        snapshot=snapshot,
        policy=policy,
        registry=settings.registry() if settings else None,
        report=render_plan(plan, path=str(path), config=config, full=True),
    )


def _snapshot_page(path: Path, config_path: Path | None) -> Page:
    """A snapshot judged offline, under the configuration at hand or the default policy."""
    from dataclasses import replace

    from recon.core.model import Policy
    from recon.plans.make import make_plan
    from recon.reports import render_plan
    from recon.reports.pages.html import plan_page
    from recon.reports.views.snapshot import render_snapshot
    from recon.snapshots.take import open_snapshot

    snapshot, settings = open_snapshot(path), _settings(config_path)
    policy = settings.policy() if settings else Policy(chain_ids=_chains_of(snapshot))
    if settings is None:
        note("No configuration was found: the snapshot is judged under the default policy (see --config).")
    registry = settings.registry() if settings else None
    plan = make_plan(snapshot, policy=policy, registry=registry)
    own, judged = render_snapshot(snapshot), render_plan(plan, full=True)
    names = {fact.name for fact in own.facts}
    facts = (*(fact for fact in judged.facts if fact.name not in (*names, "valid_until", "digest")), *own.facts)
    tables = (*judged.tables, *(table for table in own.tables if table.name != "coverage"))
    whole = replace(own, facts=facts, tables=tables)
    return plan_page(plan, snapshot=snapshot, policy=policy, registry=registry, report=whole)


def _chains_of(snapshot: Snapshot) -> tuple[int, ...]:
    return tuple(snapshot.target.chain_ids)


def _run_page(run: str, config_path: Path | None) -> Page:
    from recon.reports.pages.runpage import run_page
    from recon.runs.states import list_runs, read_run
    from recon.setup.open_runs import open_ledger

    settings = settings_from(config_path)
    with open_ledger(settings) as ledger:
        state = read_run(ledger.journal, run)
        summary = next((each for each in list_runs(ledger.journal) if each.run == run), None)
        entries = list(ledger.journal.entries(run=run, kinds=("intent", "outcome", "settle", "end")))
    return run_page(state, summary=summary, entries=entries, registry=settings.registry())


def _settings(config_path: Path | None) -> Settings | None:
    """The configuration that was named, or the one that is found; None where there is none to be found."""
    try:
        return settings_if_there(config_path)
    except ConfigError:
        if config_path is not None:
            raise
        return None
