"""``triage``: access logs, deliveries, and the first ten minutes of an incident on one page."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recon.api.choosing import Moment, UnknownFilterError, check_known, resolve_moment
from recon.api.common import Config, Place, output_folder, path_of, settings_if_there, settings_of, time_of_run
from recon.api.naming import plan_of
from recon.core.errors import UsageError
from recon.core.text import count_text
from recon.core.times import to_ms
from recon.sources.interface import no_progress, told_one_by_one

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from recon.core.model import Plan
    from recon.investigation.incident.access_log import LogTriage
    from recon.investigation.incident.first_page import FirstPage, Health, IncidentEvidence
    from recon.investigation.incident.replay import DeliveryTriage
    from recon.setup.settings import Settings
    from recon.sources.deliveries.delivery import DeliveryFile
    from recon.sources.http import Secret
    from recon.sources.interface import Progress


class NoRecordsNamedError(UsageError):
    """There are no delivery records to look at."""

    def __init__(self) -> None:
        super().__init__(
            "Name files or directories of delivery records, a collection with --collection, or [deliveries] in "
            "recon.toml."
        )


@dataclass(frozen=True, slots=True)
class RecordsAsked:
    """Which delivery records are read, and which of them may be replayed.

    Args:
        places: Files and directories.
        collection: A collection of the configured database.
        since, until: Only what came in this time is replayed.
        delivery_ids: Only these are replayed.
    """

    places: tuple[Path, ...] = ()
    collection: str | None = None
    since: Moment | None = None
    until: Moment | None = None
    delivery_ids: tuple[str, ...] = ()


def access_log(
    files: Iterable[Place],
    *,
    since: Moment | None = None,
    until: Moment | None = None,
    routes: Iterable[str] = (),
    log_format: str | None = None,
    progress: Progress = no_progress,
) -> LogTriage:
    """Count webhook deliveries in web server logs; see ``recon triage access-log``.

    Args:
        routes: ``PROVIDER=PATH`` texts, the backend's own webhook routes; the usual ones when not given.
        log_format: The format of the lines, as the server's configuration has it.
        progress: Hears of ``log kB`` as the files are read.

    Raises:
        UnknownFilterError: A route names a provider that is not known.
        LogFileError: A file cannot be opened.
        PackedFileError: A file is packed in a way that is not read.
        LogFormatError: The format does not say where time, method, path and status stand.
    """
    from recon.investigation.incident.access_log import parse_routes, triage_access_log
    from recon.sources.providers.installed import providers

    now, given = datetime.now(UTC), tuple(routes)
    parsed = parse_routes(given)
    check_known("provider", parsed, known=sorted(providers()))
    return triage_access_log(
        [Path(file) for file in files],
        since=resolve_moment(since, now=now),
        until=resolve_moment(until, now=now),
        routes=parsed,
        log_format=log_format,
        progress=progress,
    )


def deliveries(
    places: Iterable[Place] = (),
    *,
    collection: str | None = None,
    since: Moment | None = None,
    until: Moment | None = None,
    delivery_ids: Iterable[str] = (),
    out: Place | None = None,
    config: Config = None,
    progress: Progress = no_progress,
) -> DeliveryTriage:
    """Check delivery records and list what to replay; see ``recon triage deliveries``. Nothing is sent.

    Args:
        places: Files or directories, instead of those of the configuration.
        collection: A collection of the configured database.
        since, until, delivery_ids: What may be replayed.
        out: A file for the replay list, one JSON object a line.
        progress: Hears of ``deliveries`` as they are checked.

    Raises:
        NoRecordsNamedError: No records are named, and none configured.
        UnknownFilterError: A delivery id is in none of the records.
    """
    from recon.files import make_folder, save_new
    from recon.investigation.incident.replay import replay_lines

    settings = settings_if_there(config) if collection is None else settings_of(config)
    asked = RecordsAsked(tuple(Path(place) for place in places), collection, since, until, tuple(delivery_ids))
    found = _triaged(asked, settings, progress=progress)
    if (path := path_of(out)) is not None:
        lines = "".join(json.dumps(line, sort_keys=True) + "\n" for line in replay_lines(found))
        make_folder(path.parent)
        save_new(path, lines.encode())
    return found


def summary(
    config: Config = None,
    *,
    plan: Place | None = None,
    access_log: Iterable[Place] = (),
    log_format: str | None = None,
    deliveries: Iterable[Place] = (),
    ask: bool = False,
    progress: Progress = no_progress,
) -> FirstPage:
    """Put the first ten minutes of an incident on one page; see ``recon triage summary``.

    Args:
        plan: The plan to count by; the latest of the history when not given.
        access_log, deliveries: Web server logs and delivery records.
        log_format: The format of the logs, as the server's configuration has it.
        ask: Ask every source and the backend whether they answer.
        progress: Hears of ``log kB`` as the logs are read, and of ``deliveries`` as they are checked.
    """
    from recon.investigation.incident.access_log import triage_access_log
    from recon.investigation.incident.first_page import first_page

    settings, files = settings_of(config), [Path(file) for file in access_log]
    found = plan_to_count_by(settings, plan)
    logs = triage_access_log(files, log_format=log_format, progress=progress) if files else None
    kept = triage_kept(settings, RecordsAsked(tuple(Path(place) for place in deliveries)), progress=progress)
    return first_page(page_evidence(settings, plan=found, logs=logs, deliveries=kept, ask=ask))


def page_evidence(
    settings: Settings | None,
    *,
    plan: Plan | None,
    logs: LogTriage | None,
    deliveries: DeliveryTriage | None,
    ask: bool = False,
) -> IncidentEvidence:
    """What the first page is made from: all that the plan, the logs and the records hold, and the flags."""
    from recon.investigation.incident.first_page import IncidentEvidence

    problems = (
        [f"{row['source']}: {row['problem']}" for row in plan.coverage if not row.get("complete")] if plan else []
    )
    unread = list[str]()
    if plan is None and (gone := _missing_plan(settings)) is not None:
        unread.append(gone)
    flags = _flags(settings, unread)
    health = _health(settings_of(settings), unread) if ask else None
    return IncidentEvidence(
        now=time_of_run(settings),
        summary=None if plan is None else plan.summary,
        plan_at=None if plan is None else plan.created_at,
        logs=logs,
        deliveries=deliveries,
        flags=flags,
        health=health,
        readings=None if plan is None else _readings(plan),
        coverage_problems=tuple(problems),
        unread=tuple(unread),
    )


def triage_kept(
    settings: Settings | None, asked: RecordsAsked, *, progress: Progress = no_progress
) -> DeliveryTriage | None:
    """The delivery records that are named, else those of the configuration; None where there are none."""
    from recon.setup.open_sources import kept_deliveries

    kept = asked.places or (settings is not None and kept_deliveries(settings))
    return _triaged(asked, settings, progress=progress) if kept else None


def _latest_correction(settings: Settings | None) -> Mapping[str, Any] | None:
    """The newest plan of corrections in the history, of this target where a configuration names it.

    A plan that undoes or fills in counts nothing.
    """
    from recon.plans.history import load_history

    entries = load_history(output_folder(settings)).entries
    mine = [each for each in entries if settings is None or each.get("target") == settings.target_name]
    return next((each for each in reversed(mine) if each.get("kind", "correction") == "correction"), None)


def _missing_plan(settings: Settings | None) -> str | None:
    """That the latest plan of the history is not where it was written; None where there is no history of plans."""
    entry = _latest_correction(settings)
    return None if entry is None else f"the latest plan of the history, {str(entry.get('plan'))[:200]}, is not there"


def plan_to_count_by(settings: Settings | None, named: Place | None) -> Plan | None:
    """The plan that is named, else the latest of the history for this target; None when there is none."""
    from recon.plans.file import load_plan

    if named is not None:
        return plan_of(named, config=settings)
    entry = _latest_correction(settings)
    known = Path(str(entry["plan"])) if entry is not None and entry.get("plan") else None
    return load_plan(known) if known is not None and known.exists() else None


def _readings(plan: Plan) -> dict[str, str]:
    """How the reading of each source went that a plan was made from."""
    sources = sorted({str(row["source"]) for row in plan.coverage})
    return {source: _reading([row for row in plan.coverage if row["source"] == source]) for source in sources}


def _reading(rows: Sequence[Mapping[str, Any]]) -> str:
    short = next((row for row in rows if not row.get("complete")), None)
    if short is not None:
        return f"NOT in full: {short.get('problem') or 'unknown why'}"
    calls = sum(int(row.get("calls") or 0) for row in rows)
    return f"in full ({count_text(calls, 'call')})" if calls else "in full"


def _health(settings: Settings, unread: list[str]) -> list[Health]:
    """What every source says now, and the backend where the configuration says how it is asked.

    Args:
        unread: Takes what could not be asked: that is no answer, and no sign that a service is down.
    """
    from recon.core.errors import ReconError
    from recon.investigation.incident.first_page import Health
    from recon.setup.doctor import check_sources
    from recon.setup.open_rails import backend_probes, open_prober

    asked = (*settings.providers, *(f"chain {chain_id}" for chain_id in settings.chain_ids), "database")
    checks = [check for check in check_sources(settings) if check.name in asked]
    # A warning of the database is about what it said; of any other source, that there was nothing to ask.
    up = {"ok": True, "failed": False}
    found = [
        Health(each.name, up.get(each.state, True if each.name == "database" else None), each.says) for each in checks
    ]
    try:
        prober = open_prober(settings)
        for probe in backend_probes(settings):
            answer = prober.ask(probe)
            found.append(Health(probe.name, is_up=answer.is_up, says=answer.why))
    except ReconError as error:
        unread.append(f"the backend could not be asked: {error}")
    return found


def _flags(settings: Settings | None, unread: list[str]) -> dict[str, str] | None:
    """How the flags stand; None when no place of flags is configured or readable.

    Args:
        unread: Takes why the flags could not be read where a place of them is configured.
    """
    from recon.core.errors import ReconError
    from recon.setup.open_rails import flag_status

    if settings is None:
        return None
    try:
        found, reading = flag_status(settings)
    except ReconError as error:
        if settings.values.flags.file:
            unread.append(f"the flags could not be read: {error}")
        return None
    doubts = reading.doubts(view.flag for view in found.flags)
    if doubts:
        unread.append(f"what is set for {', '.join(sorted(doubts))} cannot be told from the flag files")
    return {
        view.flag: view.value or ("(cannot tell)" if view.flag in doubts else "(not set here)") for view in found.flags
    }


def _triaged(asked: RecordsAsked, settings: Settings | None, *, progress: Progress = no_progress) -> DeliveryTriage:
    from recon.investigation.incident.replay import Window, triage_deliveries

    files = _files(asked, settings)
    records = [each for file in files for each in file.deliveries]
    _check_ids(asked.delivery_ids, {each.delivery_id for each in records})
    now = time_of_run(settings)
    window = Window(
        from_at=resolve_moment(asked.since, now=now),
        to_at=resolve_moment(asked.until, now=now),
        delivery_ids=frozenset(asked.delivery_ids),
    )
    problems = [text for file in files for text in file.shortfalls]
    heard = told_one_by_one(records, source="deliveries", progress=progress)
    return triage_deliveries(heard, secrets=_secrets(settings), window=window, problems=problems, now_ms=to_ms(now))


def _files(asked: RecordsAsked, settings: Settings | None) -> list[DeliveryFile]:
    """The records that were named; those of the configuration where none was."""
    from recon.setup.open_sources import kept_deliveries, read_delivery_collection
    from recon.sources.deliveries.records import load_deliveries

    names = None if settings is None else settings.values.deliveries.fields
    files: list[DeliveryFile] = [load_deliveries(place, names=names) for place in asked.places]
    if asked.collection is not None and settings is not None:
        files.append(read_delivery_collection(settings, asked.collection))
    if not files and settings is not None and (kept := kept_deliveries(settings)) is not None:
        files += kept.files()
    if not files:
        raise NoRecordsNamedError
    return files


def _check_ids(asked: Iterable[str], there: Collection[str | None]) -> None:
    """Refuse a delivery id that no record has: replaying nothing would look like nothing to replay."""
    for name in asked:
        if name not in there:
            examples = sorted(text for text in there if text)[:5]
            more = f" and {len(there) - len(examples)} more" if len(there) > len(examples) else ""
            raise UnknownFilterError(what="delivery", word=name, known=[", ".join(examples) + more])


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
