"""The world of flags and gates that a configuration means: the file, the journal, the probes, and who asks them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from recon.core.errors import ConfigError, ReconError, SourceError
from recon.core.model import Finding, Plan
from recon.plans.file import PlanFileError, load_plan
from recon.plans.history import load_history
from recon.rails import drain
from recon.rails.flags.apply import FlagPorts
from recon.rails.flags.blast import BlastTally
from recon.rails.flags.dotenv import read_dotenv, repeated_keys
from recon.rails.flags.files import DotenvPlace, read_flag_file
from recon.rails.flags.journal import FILE_NAME, FlagJournal
from recon.rails.flags.plan import FlagSetup, ask_rails
from recon.rails.flags.probes import HttpProber, Probe, ProbeAnswer, Prober, default_probe
from recon.rails.flags.recipes import Recipe, Roles, plan_values
from recon.rails.flags.status import open_rails
from recon.rails.flags.words import RECONCILIATION_ENABLED, bool_of
from recon.rails.gates.evidence import (
    EvidenceFileError,
    deliveries_of,
    dry_run_of,
    load_deliveries,
    load_health,
    run_records,
)
from recon.rails.gates.records import Deliveries, DryRun, GateEvidence, SignedSample
from recon.rails.gates.sample import SampleCandidate
from recon.rails.preflight import Counts, Looked, RowCounter, is_present
from recon.setup.file import MissingSecretError
from recon.setup.open_sources import Opening
from recon.setup.rail_sections import SecretOf
from recon.setup.settings import Settings
from recon.snapshots.sealed import Snapshot, find_snapshot, open_snapshot
from recon.sources.interface import Reading as SourceReading
from recon.sources.interface import Selection
from recon.sources.payments.read import read_payments
from recon.sources.providers.installed import providers

if TYPE_CHECKING:
    import pyarrow as pa

Answered = TypeVar("Answered")

DELIVERIES_NAME = "deliveries.ndjson"


class NoFlagFileError(ConfigError):
    """Nobody said where the flags are."""

    def __init__(self, *, source: str) -> None:
        super().__init__(
            f"{source}: [flags] file is not set, so nobody knows where the backend's flags are. "
            'Set it, for example file = "/opt/backend/.env".'
        )


class NotDotenvError(ConfigError):
    """The flags live in a file that recon reads and does not write."""

    def __init__(self, *, kind: str) -> None:
        super().__init__(
            f"The flags are in a {kind} file, which recon reads and never writes; nothing was changed. "
            '"recon flags rollback" prints the patch to apply by hand.'
        )


class NoDeliveriesError(ConfigError):
    """Nobody named delivery records."""

    def __init__(self) -> None:
        super().__init__("No delivery records were named; give a file of them with --deliveries.")


class IndexesError(SourceError):
    """The server does not list the indexes of the collection."""

    def __init__(self, *, why: str) -> None:
        super().__init__(f"The indexes of the payments cannot be listed ({why}).")


class NoPlanError(ConfigError):
    """There is no plan that a sample could be drawn from."""

    def __init__(self) -> None:
        super().__init__('There is no plan to draw from; run "recon plan", or name one with --plan.')


class SnapshotMissingError(ConfigError):
    """The snapshot that a plan was made from is not at hand."""

    def __init__(self, *, plan: str, snapshot: str) -> None:
        super().__init__(
            f"The snapshot {snapshot[:12]} that plan {plan[:12]} was made from is not there, so payments in sync "
            "cannot be drawn; name its directory with --snapshot."
        )


class RecordedProber:
    """In a recorded world its rails count as up, because nothing is asked of any network; other probes are asked."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = names
        self._real = HttpProber()

    def ask(self, probe: Probe) -> ProbeAnswer:
        """See :class:`recon.rails.flags.probes.Prober`."""
        if probe.url.startswith("http://recorded.invalid") and probe.name in self._names:
            return ProbeAnswer(probe.name, "up", "a recorded world stands in for it")
        return self._real.ask(probe)

    def ask_gone(self, probe: Probe) -> ProbeAnswer:
        """See :class:`recon.rails.flags.probes.Prober`."""
        return self._real.ask_gone(probe)


def flag_path(settings: Settings) -> Path:
    """The file that holds the flags.

    Raises:
        NoFlagFileError: None is configured.
    """
    if not settings.values.flags.file:
        raise NoFlagFileError(source=settings.source)
    return settings.home / settings.values.flags.file


def flag_setup(settings: Settings) -> FlagSetup:
    """What flag plans are made with. Raises ConfigError, ProbeSettingError or RecipeError for what cannot be meant."""
    return settings.values.flags.setup(defaults=_default_probes(settings), secret_of=_secret_of(settings))


def open_flags(settings: Settings) -> FlagPorts:
    """Everything that flag commands touch.

    Raises:
        NoFlagFileError, NotDotenvError: There is no flag file that recon may write.
        ConfigError: A secret of a probe is missing.
    """
    given = settings.values.flags
    if given.kind != "dotenv":
        raise NotDotenvError(kind=given.kind)
    return FlagPorts(
        place=DotenvPlace(flag_path(settings)),
        journal=FlagJournal(settings.output_dir / FILE_NAME),
        prober=open_prober(settings),
        setup=flag_setup(settings),
        readback=backend_probes(settings),
        gone=given.checkout_probes(_secret_of(settings)),
    )


def open_prober(settings: Settings) -> Prober:
    """Whoever asks the rails and the backend."""
    return HttpProber() if settings.world is None else RecordedProber(settings.providers)


def backend_probes(settings: Settings) -> tuple[Probe, ...]:
    """How the running backend is asked. Raises ConfigError when a secret is missing."""
    return settings.values.flags.readback_probes(_secret_of(settings))


def _secret_of(settings: Settings) -> SecretOf:
    return lambda variable, purpose: settings.secret(variable, purpose=purpose).get_secret_value()


def _default_probes(settings: Settings) -> dict[str, Probe]:
    if settings.world is not None:
        return {name: Probe(name, "http://recorded.invalid/") for name in settings.providers}
    found = {
        name: default_probe(name, settings.section(name), key=_key_of(settings, name)) for name in settings.providers
    }
    return {name: probe for name, probe in found.items() if probe is not None}


def _key_of(settings: Settings, provider: str) -> str | None:
    """The key that a rail is asked with, where one is set."""
    variable = getattr(settings.section(provider), "api_key_variable", None)
    if variable is None:
        return None
    try:
        return settings.secret(variable, purpose=providers()[provider].title).get_secret_value()
    except MissingSecretError:
        return None


def read_flag_values(settings: Settings) -> tuple[Mapping[str, str | None], tuple[str, ...]]:
    """What the flags are, wherever they live, and what there is to know about that place.

    Raises:
        NoFlagFileError, FlagFileError, ManifestError: There is no such file, or it cannot be read.
    """
    given, path, words = settings.values.flags, flag_path(settings), settings.values.flags.words()
    if given.kind == "compose":
        from recon.rails.flags.compose import read_compose

        service = read_compose(path, words=words, service=given.service)
        return service.values, service.notes
    if given.kind == "configmap":
        from recon.rails.flags.configmap import read_configmap

        held = read_configmap(path, words=words, name=given.configmap)
        return held.values, held.notes
    seen = read_flag_file(path)
    dotenv = read_dotenv(seen.data, path=str(path))
    return dotenv.values, repeated_keys(dotenv, words.known_flags())


def backend_reconciles(settings: Settings) -> bool | None:
    """Whether the backend's own reconciliation is switched on by its flags; None where no flag file says it.

    Raises:
        FlagFileError, ManifestError: A flag file is configured and cannot be read.
    """
    if not settings.values.flags.file:
        return None
    return bool_of(read_flag_values(settings)[0].get(RECONCILIATION_ENABLED))


def flag_patch(settings: Settings, recipe: Recipe, *, roles: Roles) -> tuple[str, str, tuple[str, ...]]:
    """The patch of a Compose file or a ConfigMap for a recipe, the file's name, and what to know about it.

    The rails that payments would go to are asked first.

    Raises:
        RailDownError, RailUnknownError, ManifestError, FlagValueError: See the classes; nothing was printed.
    """
    given, path, setup = settings.values.flags, flag_path(settings), flag_setup(settings)
    values, notes = read_flag_values(settings)
    wanted = plan_values(recipe, roles, values=values, words=setup.words)
    opened = set(open_rails({**values, **wanted}, setup.words)) - set(open_rails(values, setup.words))
    asked = [roles.safe] if recipe.switches_to else []
    ask_rails((*asked, *sorted(opened)), setup=setup, prober=open_prober(settings))
    if given.kind == "compose":
        from recon.rails.flags.compose import patch_compose

        return patch_compose(path, wanted, words=setup.words, service=given.service), str(path), notes
    from recon.rails.flags.configmap import patch_configmap

    return patch_configmap(path, wanted, words=setup.words, name=given.configmap), str(path), notes


def measure_blast(
    settings: Settings, provider: str, *, now: datetime, plan: Plan | None = None
) -> tuple[dict[str, Any] | None, str]:
    """What switching a rail off hits, from all its payments and the last plan; None and why where nobody can tell.

    In an incident the database may be what is down, and that must not keep anybody from rolling back.
    """
    tally = BlastTally(provider, now=now)
    try:
        reading = _read_rows(settings, Selection(providers=(provider,)), lambda batch: tally.add(batch.to_pylist()))
    except (SourceError, ConfigError) as error:
        return None, str(error)
    plan = plan or latest_plan(settings)
    if plan is not None and plan.window.get("providers") and provider not in plan.window["providers"]:
        plan = None
    complete = not _shortfall(reading)
    if plan is None:
        return tally.result(complete=complete), ""
    return tally.result(complete=complete, findings=plan.findings, findings_at=plan.created_at), ""


def _read_rows(settings: Settings, selection: Selection, sink: Callable[[pa.RecordBatch], None]) -> SourceReading:
    opening = Opening(settings)
    with ExitStack() as stack:
        store = opening.store()
        if callable(close := getattr(store, "close", None)):
            stack.callback(close)
        return read_payments(
            store,
            selection=selection,
            sink=sink,
            fields=opening.fields,
            registry=opening.registry,
            policy=settings.policy(),
        )
    raise AssertionError("an exit stack lets no exception pass")


def _shortfall(reading: SourceReading) -> str:
    """Why not every row was read, or nothing."""
    problems = [row.problem or "the reading was not complete" for row in reading.coverage if not row.complete]
    return " ".join([*problems, *(gap.reason for gap in reading.gaps)])


def count_backlog(settings: Settings, provider: str, *, now: datetime) -> drain.BacklogReading:
    """Count the open payments of a rail, and those that are stuck, from the database as it is now.

    Raises:
        SourceError: The database cannot be reached, or gave fewer rows than it has.
        ConfigError: Its address is missing.
    """
    edge = int(now.timestamp() * 1000) - settings.policy().stuck_after_ms
    seen = {"open": 0, "stuck": 0}
    oldest: list[int] = []

    def take(batch: pa.RecordBatch) -> None:
        for row in batch.select(["is_test", "created_at"]).to_pylist():
            if row["is_test"]:
                continue
            created = row["created_at"]
            seen["open"] += 1
            if created is None or created < edge:
                seen["stuck"] += 1
                oldest[:] = [min([*oldest, created])] if created is not None else oldest

    reading = _read_rows(settings, Selection(providers=(provider,), open_only=True), take)
    if short := _shortfall(reading):
        raise SourceError(short)
    oldest_at = datetime.fromtimestamp(oldest[0] / 1000, UTC) if oldest else None
    return drain.BacklogReading(now, seen["open"], seen["stuck"], oldest_at)


def look_around(settings: Settings, *, deliveries: Path | None = None) -> Looked:
    """Look at everything a preflight needs; what cannot be looked at is None, with the reason."""
    problems: dict[str, str] = {}

    def attempt(part: str, look: Callable[[], Answered]) -> Answered | None:
        try:
            return look()
        except ReconError as error:
            problems[part] = str(error)
            return None

    def flags() -> Mapping[str, str | None]:
        return read_flag_values(settings)[0]

    def counts() -> Counts:
        counter = RowCounter()
        reading = _read_rows(settings, Selection(), counter.add)
        if short := _shortfall(reading):
            problems["payments"] = short
        policy = settings.policy()
        return counter.counts(now=settings.now(), stuck_after=timedelta(milliseconds=policy.stuck_after_ms))

    def records() -> Deliveries:
        found = deliveries or _recorded_deliveries(settings)
        if found is None:
            raise NoDeliveriesError
        return read_deliveries(found, now=settings.now())

    values = attempt("flags", flags)
    return Looked(
        secrets=attempt("secrets", lambda: _secrets_present(settings, values)),
        flags=values,
        counts=attempt("payments", counts),
        deliveries=attempt("deliveries", records),
        indexes=attempt("indexes", lambda: read_indexes(settings)),
        problems=problems,
    )


def _secrets_present(settings: Settings, values: Mapping[str, str | None] | None) -> dict[str, bool]:
    """Which secrets of the backend and of recon itself are set; their values go no further than this function."""
    if values is None:
        raise NoFlagFileError(source=settings.source)
    found = {name: is_present(values.get(name)) for name in settings.values.flags.secrets}
    if settings.world is None:
        keys = [getattr(settings.section(name), "api_key_variable", None) for name in settings.providers]
        for variable in (settings.values.mongo.uri_variable, *filter(None, keys)):
            try:
                found[variable] = is_present(settings.secret(variable, purpose="preflight").get_secret_value())
            except MissingSecretError:
                found[variable] = False
    return found


def read_indexes(settings: Settings) -> list[Mapping[str, Any]]:
    """The indexes of the payments collection, as the server lists them.

    Raises:
        IndexesError: The server does not list them, or a recorded world stands in for it.
        ConfigError: The address of the database is missing.
    """
    if settings.world is not None:
        raise IndexesError(why="a recorded world has none")
    from pymongo import MongoClient
    from pymongo.errors import PyMongoError

    mongo = settings.values.mongo
    uri = settings.secret(mongo.uri_variable, purpose="the database").get_secret_value()
    wait_ms = int(mongo.timeout_s * 1000)
    try:
        with MongoClient[dict[str, Any]](uri, serverSelectionTimeoutMS=wait_ms, appname="recon") as client:
            return [dict(index) for index in client[mongo.database][mongo.collection].list_indexes()]
    except (PyMongoError, ValueError) as error:
        raise IndexesError(why=type(error).__name__) from error


def read_deliveries(path: Path, *, now: datetime) -> Deliveries:
    """Delivery records in the form of a recorded world, or in whatever form somebody kept them, if all can be read.

    Raises:
        EvidenceFileError: A record cannot be read, or one has no time or no provider: it could be the failure.
    """
    from recon.sources.deliveries import records as kept

    try:
        return load_deliveries(path, now=now)
    except EvidenceFileError:
        try:
            found = kept.load_deliveries(path)
        except SourceError:
            found = kept.DeliveryFile(path.name, ())
        since = found.since_ms
        unclear = [each for each in found.deliveries if {"no_time", "no_provider"} & set(each.problems)]
        if since is None or found.unreadable or found.problems or unclear:
            raise
    rows = [each.row() for each in found.deliveries if not each.is_test]
    from_at = datetime.fromtimestamp(since / 1000, UTC)
    return deliveries_of(rows, from_at=from_at, to_at=now, source=path.name)


def _recorded_deliveries(settings: Settings) -> Path | None:
    path = settings.recorded_dir / DELIVERIES_NAME if settings.recorded_dir is not None else None
    return path if path is not None and path.exists() else None


def read_evidence(
    settings: Settings,
    *,
    now: datetime,
    plan: Plan | None = None,
    deliveries: Path | None = None,
    sample: SignedSample | None = None,
) -> GateEvidence:
    """Read what gates are judged by: the run history, the latest dry run, deliveries, health checks, the sample.

    Args:
        plan: The dry run to judge by; the latest one of the history that can still be read otherwise.
        deliveries: A file of delivery records; a recorded world brings its own.

    Raises:
        EvidenceFileError: A file cannot be read whole.
    """
    history = load_history(settings.output_dir)
    latest = dry_run_of(plan) if plan is not None else latest_dry_run(settings)
    deliveries = deliveries or _recorded_deliveries(settings)
    return GateEvidence(
        runs=run_records(history),
        dry_run=latest,
        deliveries=None if deliveries is None else read_deliveries(deliveries, now=now),
        health=load_health(settings.output_dir),
        sample=sample,
    )


def latest_plan(settings: Settings) -> Plan | None:
    """The newest plan of corrections in the run history whose file is still there and whole; None without one."""
    for entry in reversed(load_history(settings.output_dir).entries):
        name = entry.get("plan")
        if entry.get("kind", "correction") != "correction" or not isinstance(name, str):
            continue
        for path in (Path(name), settings.output_dir / name, settings.output_dir / Path(name).name):
            try:
                plan = load_plan(path)
            except PlanFileError:
                continue
            if plan.digest == entry.get("digest"):
                return plan
    return None


def latest_dry_run(settings: Settings) -> DryRun | None:
    """:func:`latest_plan` as evidence."""
    plan = latest_plan(settings)
    return None if plan is None else dry_run_of(plan)


def sample_candidates(
    settings: Settings, provider: str, *, plan_path: Path | None = None, snapshot: Path | None = None
) -> tuple[Plan, list[SampleCandidate]]:
    """Every payment of a rail that a sample may draw, and the plan that judged them.

    The plan knows its breaks; payments in sync come from its snapshot, which is looked for beside it.

    Raises:
        NoPlanError, SnapshotMissingError: There is no plan, or not the snapshot that it was made from.
    """
    plan = load_plan(plan_path) if plan_path is not None else latest_plan(settings)
    if plan is None:
        raise NoPlanError
    breaks = {item.payment_id: item for item in plan.findings if item.provider == provider}
    found: list[SampleCandidate] = []
    taken = _snapshot_of(settings, plan, snapshot)
    columns = ("payment_id", "provider", "is_test", "expected_units", "decimals", "currency", "tx_hash")
    for row in taken.table("payments").select(list(columns)).to_pylist():
        if row["provider"] == provider and not row["is_test"]:
            found.append(_candidate(row, breaks.pop(row["payment_id"], None)))
    # What is left has no row of its own: money or a provider's object that nobody here knows.
    found += [
        SampleCandidate(
            item.payment_id, item.verdict, item.value_units, item.decimals, item.symbol, item.reason, item.evidence
        )
        for item in breaks.values()
    ]
    return plan, found


def _candidate(row: Mapping[str, Any], finding: Finding | None) -> SampleCandidate:
    recorded = (f"recorded hash {row['tx_hash']}",) if row["tx_hash"] else ()
    units = row["expected_units"]
    return SampleCandidate(
        payment_id=row["payment_id"],
        verdict=finding.verdict if finding else "no_break",
        value_units=None if units is None else int(units),
        decimals=row["decimals"],
        symbol=row["currency"],
        reason=finding.reason if finding else "nothing to do was found",
        evidence=finding.evidence if finding else recorded,
    )


def _snapshot_of(settings: Settings, plan: Plan, path: Path | None) -> Snapshot:
    """The snapshot that a plan was made from, found by its digest among those of the output directory."""
    taken = find_snapshot(settings.output_dir, plan.snapshot) if path is None else open_snapshot(path)
    if taken is None or taken.digest != plan.snapshot:
        raise SnapshotMissingError(plan=plan.digest, snapshot=plan.snapshot)
    return taken
