"""``recon triage``: access logs, deliveries, and the first ten minutes on one page."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from recon.cli.common import (
    MomentOption,
    NewFilePath,
    config_option,
    format_option,
    note,
    part_option,
    print_result,
    resolve_moment,
    settings_from,
    settings_if_there,
)
from recon.cli.lazy import DIFFERENCES, DONE, INCOMPLETE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from recon.core.model import Plan
    from recon.investigation.incident.access_log import LogTriage
    from recon.investigation.incident.first_page import Health
    from recon.investigation.incident.replay import DeliveryTriage
    from recon.setup.settings import Settings
    from recon.sources.deliveries.records import DeliveryFile
    from recon.sources.http import Secret

_PATH = click.Path(path_type=Path)
_FILE = click.Path(path_type=Path, dir_okay=False)


@click.group()
def triage() -> None:
    """Look at access logs and deliveries.

    Nothing is changed or sent by it; "summary" puts the first ten minutes of an incident on one page.
    """


@triage.command("access-log")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=_FILE)
@click.option("--since", type=MomentOption(), help="Only requests from this UTC time on, or so long ago (90min).")
@click.option("--until", type=MomentOption(), help="Only requests before this UTC time.")
@click.option(
    "--route", "routes", multiple=True, metavar="PROVIDER=PATH", help="A webhook route of the backend; repeatable."
)
@format_option
@part_option
def access_log(files: tuple[Path, ...], routes: tuple[str, ...], output: str, part: str | None, **given: Any) -> None:
    """Count webhook deliveries in web server logs.

    Reads nginx and Caddy logs, plain or gzip, in any order; writes nothing. Tells statuses by route and minute, bursts,
    first and last good, and what the runbook says; silence counts only where the logs reach. Leaves with 1 when
    deliveries failed or none came, with 4 when a file breaks off or is no access log.

    \b
    Example: recon triage access-log nginx/access.log nginx/access.log.1.gz --since 2h
    """
    from datetime import UTC, datetime

    from recon.investigation.incident.access_log import parse_routes, triage_access_log
    from recon.reports.views.triage import render_log_triage

    now = datetime.now(UTC)
    found = triage_access_log(
        files,
        since=resolve_moment(given["since"], now=now),
        until=resolve_moment(given["until"], now=now),
        routes=parse_routes(routes),
    )
    print_result(render_log_triage(found), output, part=part or ("minutes" if output == "csv" else None))
    bad = any(route.failures or not route.deliveries for route in found.routes)
    sys.exit(INCOMPLETE if not found.is_complete else DIFFERENCES if bad else DONE)


@triage.command()
@click.argument("places", metavar="[FILE|DIR]...", nargs=-1, type=_PATH)
@config_option
@click.option("--collection", metavar="NAME", help="Read this collection of the configured database.")
@click.option(
    "--since", type=MomentOption(), help="Replay only what came from this UTC time on, or so long ago (90min)."
)
@click.option("--until", type=MomentOption(), help="Replay only what came before this UTC time.")
@click.option("--delivery", "delivery_ids", multiple=True, metavar="ID", help="Replay only this delivery; repeatable.")
@click.option("--out", type=NewFilePath(), help="File to write the replay list to, one JSON object a line.")
@format_option
@part_option
def deliveries(
    *, places: tuple[Path, ...], config_path: Path | None, output: str, part: str | None, **given: Any
) -> None:
    """Check deliveries, dead letters and ingress records, and list what to replay.

    Reads NDJSON files, directories or a collection, those of the configuration unless any is named; sends nothing, and
    writes only the list. Signatures are checked over the raw bytes with the secrets in
    RECON_REQUEST_NETWORK_WEBHOOK_SECRET and RECON_SHKEEPER_API_KEY (and the same with _OLD behind it). Leaves with 1
    when something is to be replayed or a signature is wrong, with 4 when a file breaks off.

    \b
    Examples: recon triage deliveries deliveries.ndjson dead-letters/ --since 6h --out replay.ndjson
              recon triage deliveries --collection webhook_deliveries --delivery 01J8Z...
    """
    from recon.files import make_folder, save_new
    from recon.investigation.incident.replay import replay_lines
    from recon.reports.views.triage import render_delivery_triage

    settings = settings_if_there(config_path) if given["collection"] is None else settings_from(config_path)
    found = _triaged(places, settings, given)
    if given["out"] is not None:
        lines = "".join(json.dumps(line, sort_keys=True) + "\n" for line in replay_lines(found))
        make_folder(given["out"].parent)
        save_new(given["out"], lines.encode())
        note(f"Replay list: {given['out']} ({len(found.replay)} deliveries)")
    print_result(render_delivery_triage(found), output, part=part)
    if found.problems:
        sys.exit(INCOMPLETE)
    wrong = any(not each.is_trusted for each in found.checked)
    sys.exit(DIFFERENCES if found.replay or wrong else DONE)


@triage.command()
@config_option
@click.option("--plan", "plan_path", type=_FILE, help="Plan to count by; the latest of the history unless named.")
@click.option("--access-log", "logs", multiple=True, type=_FILE, help="Web server log; repeatable.")
@click.option("--deliveries", "places", multiple=True, type=_PATH, help="Delivery records; repeatable.")
@click.option("--ask", is_flag=True, help="Ask every source and the backend whether they answer, as recon doctor does.")
@format_option
@part_option
def summary(*, config_path: Path | None, plan_path: Path | None, output: str, part: str | None, **given: Any) -> None:
    """Put the first ten minutes of an incident on one page.

    Reads the latest plan, logs if named, and delivery records if named or configured; writes nothing. With --ask every
    source and the backend are asked one small question. Facts and guesses stand apart, and what nobody looked at is
    listed with the command that would.

    \b
    Example: recon triage summary --ask --access-log nginx/access.log --deliveries deliveries.ndjson
    """
    from recon.investigation.incident.access_log import triage_access_log
    from recon.reports.views.triage import render_page

    settings = settings_from(config_path)
    page = first_page_of(
        settings,
        plan=named_or_latest_plan(settings, plan_path),
        logs=triage_access_log(given["logs"]) if given["logs"] else None,
        places=given["places"],
        ask=given["ask"],
    )
    print_result(render_page(page), output, part=part)
    sys.exit(DIFFERENCES if page.guesses else DONE)


def first_page_of(
    settings: Settings, *, plan: Plan | None, logs: LogTriage | None, places: Sequence[Path], ask: bool = False
) -> Any:
    """The first page from a plan, triaged logs and delivery records; with ``ask`` also from what answers now."""
    from recon.investigation.incident.first_page import IncidentEvidence, first_page
    from recon.setup.open_sources import kept_deliveries

    problems = (
        [f"{row['source']}: {row['problem']}" for row in plan.coverage if not row.get("complete")] if plan else []
    )
    chosen = {"since": None, "until": None, "delivery_ids": (), "collection": None}
    return first_page(
        IncidentEvidence(
            now=settings.now(),
            summary=None if plan is None else plan.summary,
            plan_at=None if plan is None else plan.created_at,
            logs=logs,
            deliveries=_triaged(tuple(places), settings, chosen) if places or kept_deliveries(settings) else None,
            flags=_flags(settings),
            health=_health(settings) if ask else None,
            readings=None if plan is None else _readings(plan),
            coverage_problems=tuple(problems),
        )
    )


def named_or_latest_plan(settings: Settings, path: Path | None) -> Plan | None:
    """The plan that is named, else the latest of the history; None when there is none."""
    from recon.plans.file import load_plan
    from recon.plans.history import latest_entry, load_history

    if path is not None:
        return load_plan(path)
    entry = latest_entry(load_history(settings.output_dir), target=settings.target_name)
    known = Path(str(entry["plan"])) if entry is not None and entry.get("plan") else None
    return load_plan(known) if known is not None and known.exists() else None


def _readings(plan: Plan) -> dict[str, str]:
    """How the reading of each source went that a plan was made from."""
    found: dict[str, str] = {}
    for source in sorted({str(row["source"]) for row in plan.coverage}):
        rows = [row for row in plan.coverage if row["source"] == source]
        short = next((row for row in rows if not row.get("complete")), None)
        calls = sum(int(row.get("calls") or 0) for row in rows)
        asked = f" ({calls} calls)" if calls else ""
        found[source] = f"in full{asked}" if short is None else f"NOT in full: {short.get('problem') or 'unknown why'}"
    return found


def _health(settings: Settings) -> list[Health]:
    """What every source says now, and the backend where the configuration says how it is asked."""
    from recon.core.errors import ReconError
    from recon.investigation.incident.first_page import Health
    from recon.setup.doctor import check_sources
    from recon.setup.open_rails import backend_probes, open_prober

    own = ("configuration", "output", "installed", "providers", "chains")
    checks = [check for check in check_sources(settings) if check.name not in own]
    found = [Health(check.name, is_up=check.state != "failed", says=check.says) for check in checks]
    try:
        prober = open_prober(settings)
        for probe in backend_probes(settings):
            answer = prober.ask(probe)
            found.append(Health(probe.name, is_up=answer.is_up, says=answer.why))
    except ReconError as error:
        found.append(Health("backend", is_up=False, says=str(error)))
    return found


def _flags(settings: Settings) -> dict[str, str] | None:
    """How the flags stand, or None when no place of flags is configured or readable."""
    from recon.core.errors import ReconError
    from recon.rails.flags.status import judge_flags
    from recon.setup.open_rails import read_flag_values

    try:
        values, _ = read_flag_values(settings)
        found = judge_flags(values, settings.values.flags.words())
    except ReconError:
        return None
    return {view.flag: view.value or "(not set)" for view in found.flags}


def _triaged(places: tuple[Path, ...], settings: Settings | None, given: dict[str, Any]) -> DeliveryTriage:
    from datetime import UTC, datetime

    from recon.investigation.incident.replay import Window, triage_deliveries
    from recon.setup.open_sources import kept_deliveries, read_delivery_collection
    from recon.sources.deliveries.records import load_deliveries

    files: list[DeliveryFile] = [load_deliveries(place) for place in places]
    if given["collection"] is not None and settings is not None:
        files.append(read_delivery_collection(settings, given["collection"]))
    kept = kept_deliveries(settings) if settings is not None and not files else None
    files += kept.files() if kept is not None else ()
    if not files:
        raise click.UsageError(
            "Name files or directories of delivery records, a collection with --collection, or [deliveries] in "
            "recon.toml."
        )
    now: datetime = settings.now() if settings else datetime.now(UTC)
    window = Window(
        from_at=resolve_moment(given["since"], now=now),
        to_at=resolve_moment(given["until"], now=now),
        delivery_ids=frozenset(given["delivery_ids"]),
    )
    problems = [text for file in files for text in file.problems]
    problems += [f"{file.place}: {file.unreadable} records are no deliveries" for file in files if file.unreadable]
    return triage_deliveries(
        [each for file in files for each in file.deliveries],
        secrets=_secrets(settings),
        window=window,
        problems=problems,
    )


def _secrets(settings: Settings | None) -> dict[str, tuple[Secret, ...]]:
    """The webhook secrets that are set, by provider."""
    from recon.setup.file import MissingSecretError
    from recon.setup.plugins import webhook_secret_variables
    from recon.sources.http import Secret

    found: dict[str, tuple[Secret, ...]] = {}
    for provider, variables in webhook_secret_variables(settings).items():
        for variable in variables:
            text = os.environ.get(variable, "")
            if settings is not None:
                try:
                    text = settings.secret(variable, purpose="webhooks").get_secret_value()
                except MissingSecretError:
                    text = ""
            if text.strip():
                found[provider] = (*found.get(provider, ()), Secret(text.strip()))
    return found
