"""``report page`` and ``report incident``: any artefact as one HTML file, and the texts of an incident."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from recon.api.common import Config, Place, Say, settings_if_sound, settings_of, tell
from recon.api.incident import incident
from recon.api.naming import NoSuchNameError, artefact_place, run_named, snapshot_place
from recon.core.errors import UsageError
from recon.sources.interface import no_progress

if TYPE_CHECKING:
    from recon.core.model import Plan, Policy
    from recon.core.registry import Registry
    from recon.reports.pages.page import Page
    from recon.setup.settings import Settings
    from recon.snapshots.sealed import Snapshot
    from recon.sources.interface import Progress

__all__ = ["artefact_page", "incident", "page", "save_page"]

_PARTS: Final = "parts of the page"


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


class NoPageError(UsageError):
    """A file is nothing that a page can be made of."""

    def __init__(self, *, path: Path) -> None:
        super().__init__(
            f"{path}: a page is made of a plan, a snapshot, a case, a run history or a run, and of no other."
        )


class NoPlanForSnapshotError(UsageError):
    """A snapshot was named beside an artefact that is no plan."""

    def __init__(self) -> None:
        super().__init__("--snapshot is for plans.")


def page(
    artefact: Place,
    *,
    html: Place,
    snapshot: Place | None = None,
    config: Config = None,
    say: Say = tell,
    progress: Progress = no_progress,
) -> Path:
    """Write one HTML file about an artefact or a run, never over another file; see ``recon report page``.

    Args:
        progress: Hears of ``rows`` as they are laid out, and of ``parts of the page``.

    Raises:
        FileThereError: Something is there.
        NoSuchNameError: A word names no artefact and no run, or several.
        OtherSnapshotError: The snapshot is not the plan's.
        UnwritableReportError: It cannot be written there.
    """
    from recon.files import check_free
    from recon.reports.pages.html import render_html

    out = Path(html)
    check_free(out)
    progress(_PARTS, 0, 3)
    made = artefact_page(artefact, config=config, snapshot=snapshot, say=say, progress=progress)
    progress(_PARTS, 1, 3)
    text = render_html(made)
    progress(_PARTS, 2, 3)
    save_page(text, out)
    progress(_PARTS, 3, 3)
    return out


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


def artefact_page(
    artefact: Place,
    *,
    config: Config = None,
    snapshot: Place | None = None,
    say: Say = tell,
    progress: Progress = no_progress,
) -> Page:
    """The page of any artefact, before it is written; see :func:`page`."""
    from recon.reports.notebooks.load import artefact_kind
    from recon.reports.pages.page import page_of_report

    path = _artefact_named(artefact, config)
    if path is None:
        if snapshot is not None:
            raise NoPlanForSnapshotError
        return _run_page(str(artefact), config)
    kind = artefact_kind(path)
    if kind == "plan":
        place = None if snapshot is None else Path(snapshot_place(snapshot, config=config))
        return _plan_page(path, config=config, snapshot_path=place, say=say, progress=progress)
    if snapshot is not None:
        raise NoPlanForSnapshotError
    if kind == "snapshot":
        return _snapshot_page(path, config, say=say, progress=progress)
    if kind == "case":
        from recon.investigation.payment.casefile import load_case
        from recon.reports.pages.casepage import case_page

        return case_page(load_case(path))
    if kind == "history":
        from recon.plans.history import load_history
        from recon.reports.views.history import render_history

        return page_of_report(render_history(load_history(path.parent)))
    raise NoPageError(path=path)


def _artefact_named(artefact: Place, config: Config) -> Path | None:
    """The file or directory that is meant; None for a word that is none of them, and so may be a run."""
    try:
        return artefact_place(artefact, config=config)
    except NoSuchNameError as error:
        if error.is_many:
            raise
        return None


def _plan_page(path: Path, *, config: Config, snapshot_path: Path | None, say: Say, progress: Progress) -> Page:
    from recon.plans.file import load_plan
    from recon.plans.notes import notes_beside
    from recon.reports import render_plan
    from recon.reports.pages.html import plan_page
    from recon.reports.pages.rows import add_notes

    plan, settings = load_plan(path), settings_if_sound(config)
    snapshot = _snapshot_of(plan, path, named=snapshot_path, settings=settings)
    policy, registry = _rules_of(plan, snapshot, settings)
    if snapshot is None and plan.kind == "correction":
        say(
            "The plan's snapshot is neither beside it nor in the output directory: only what the plan names is in the "
            "report (see --snapshot)."
        )
    elif policy is None and snapshot is not None:
        say("Without the plan's own configuration (see --config) payments that need nobody are left without a verdict.")
    named = str(config) if isinstance(config, str | Path) else None
    made = plan_page(
        plan,
        snapshot=snapshot,
        policy=policy,
        registry=registry,
        report=render_plan(plan, path=str(path), config=named, full=True),
        command=_select_command(path, named),
        progress=progress,
    )
    held = notes_beside(plan, folder=path.parent)
    add_notes(made.grid, held)
    for text in held.unread:
        say(f"Notes of decisions: {text}.")
    return made


def _rules_of(
    plan: Plan, snapshot: Snapshot | None, settings: Settings | None
) -> tuple[Policy | None, Registry | None]:
    """The policy that a plan was made under, where the configuration or the snapshot holds it, and what is known."""
    from recon.plans.make import policy_digest
    from recon.snapshots.rules import rules_of

    given = [(settings.policy(), settings.registry())] if settings else []
    if snapshot is not None and (sealed := rules_of(snapshot)) is not None:
        given.append(sealed)
    return next(
        ((rules, known) for rules, known in given if policy_digest(rules) == plan.policy_digest),
        (None, given[0][1] if given else None),
    )


def _select_command(path: Path, config: str | None) -> str:
    """The command that picks rows of a plan, without the rows."""
    from recon.reports.text import shell_word

    words = ["recon", "select", shell_word(str(path)), *(["--config", shell_word(config)] if config else [])]
    return " ".join(words)


def _snapshot_of(plan: Plan, path: Path, *, named: Path | None, settings: Settings | None) -> Snapshot | None:
    """The snapshot that a plan was made from: the one named, or one beside the plan or in the output directory.

    Raises:
        OtherSnapshotError: It is another one.
    """
    from recon.snapshots.sealed import find_snapshot, open_snapshot

    if named is not None:
        found: Snapshot | None = open_snapshot(named)
    else:
        folders = [path.parent, *([settings.output_dir] if settings is not None else [])]
        there = (find_snapshot(folder, plan.snapshot) for folder in dict.fromkeys(folders))
        found = next((each for each in there if each is not None), None)
    if found is not None and found.digest != plan.snapshot:
        raise OtherSnapshotError(plan=plan.snapshot, given=found.digest)
    return found


def _snapshot_page(path: Path, config: Config, *, say: Say, progress: Progress) -> Page:
    """A snapshot judged offline, under the configuration at hand, its own rules, or else the default policy."""
    from recon.core.model import Policy
    from recon.plans.make import make_plan
    from recon.reports import render_plan
    from recon.reports.pages.html import plan_page
    from recon.reports.views.snapshot import render_snapshot
    from recon.snapshots.rules import rules_of
    from recon.snapshots.take import open_snapshot

    snapshot, settings = open_snapshot(path), settings_if_sound(config)
    sealed = (settings.policy(), settings.registry()) if settings else rules_of(snapshot)
    if sealed is None:
        say(
            "No configuration was found and the snapshot is of an older version, without its rules: it is judged under "
            "the default policy (see --config)."
        )
    policy, registry = sealed or (Policy(chain_ids=tuple(snapshot.target.chain_ids)), None)
    plan = make_plan(snapshot, policy=policy, registry=registry)
    own, judged = render_snapshot(snapshot), render_plan(plan, full=True)
    names = {fact.name for fact in own.facts}
    facts = (*(fact for fact in judged.facts if fact.name not in (*names, "valid_until", "digest")), *own.facts)
    tables = (*judged.tables, *(table for table in own.tables if table.name != "coverage"))
    whole = replace(own, facts=facts, tables=tables)
    return plan_page(plan, snapshot=snapshot, policy=policy, registry=registry, report=whole, progress=progress)


def _run_page(run: str, config: Config) -> Page:
    from recon.reports.pages.runpage import run_page
    from recon.runs.states import list_runs, read_run
    from recon.setup.open_runs import open_ledger

    settings = settings_of(config)
    with open_ledger(settings) as ledger:
        run = run_named(run, ledger.journal, what="plan, snapshot or run")
        state = read_run(ledger.journal, run)
        summary = next((each for each in list_runs(ledger.journal) if each.run == run), None)
        entries = list(ledger.journal.entries(run=run, kinds=("intent", "outcome", "settle", "end")))
    return run_page(state, summary=summary, entries=entries, registry=settings.registry())
