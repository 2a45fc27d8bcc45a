"""Gathers what the rules of a round know: every part by itself, so that one that cannot be read hides no other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from recon.core.errors import AwayError, DatabaseAwayError, ReconError, SourceError
from recon.core.money import format_units
from recon.core.times import from_ms, parse_iso, to_ms
from recon.plans.history import History
from recon.watch.facts import (
    EndpointLook,
    FlagLook,
    RailCount,
    RoundFacts,
    WaitingPayments,
    WalletLook,
    WatchTimes,
)
from recon.watch.looks import OpenPayments
from recon.watch.saying import asset_said

if TYPE_CHECKING:
    from recon.core.model import Plan
    from recon.rails.flags.journal import FlagEntry
    from recon.rails.gates.records import Deliveries, GateEvidence
    from recon.runs.states import RunSummary
    from recon.setup.file import ReserveSection
    from recon.setup.open_rollout import OpenCount
    from recon.setup.open_sources import Opening
    from recon.setup.reserves import ReserveAsset
    from recon.setup.settings import Settings
    from recon.snapshots.sealed import Snapshot

Part = TypeVar("Part")

MADE_MAX: Final = 2_000
"""Of so many of the newest payments of a rail it is known when they were made."""

NONE_WAITS: Final[Mapping[str, WaitingPayments]] = {}


@dataclass(frozen=True, slots=True)
class RoundJudged:
    """What one round judged; without a plan it could not be made, and ``failure`` says why.

    Args:
        away: Why the database does not answer, where that is so.
    """

    plan: Plan | None = None
    plan_path: str = ""
    snapshot: Snapshot | None = None
    failure: str = ""
    failed_source: str = ""
    away: str = ""


@dataclass(frozen=True, slots=True)
class Remembered:
    """What earlier rounds left for this one.

    Args:
        past: Entries of the history of earlier rounds of this window, oldest first.
        history: The end of the history, of every window.
        wallets: Earlier looks at each wallet.
        flags: Values of flags when they were last known to be right; None where no round has seen them.
        flags_since: The round that saw a value that recon did not write, by flag.
        incomplete: By source, how many rounds in a row could not read it whole.
    """

    past: tuple[Mapping[str, Any], ...] = ()
    history: History = field(default_factory=lambda: History(()))
    wallets: Mapping[str, tuple[tuple[datetime, int], ...]] = field(default_factory=dict)
    flags: Mapping[str, str | None] | None = None
    flags_at: datetime | None = None
    flags_since: Mapping[str, datetime] = field(default_factory=dict)
    incomplete: Mapping[str, int] = field(default_factory=dict)


class Gathering:
    """Reads the parts of one round; what cannot be read is noted, and never raised.

    Args:
        away: Why the database does not answer: it is not asked again then.
    """

    def __init__(self, settings: Settings, *, now: datetime, away: str = "") -> None:
        self.settings, self.now, self.away = settings, now, away
        self.unread: dict[str, str] = {}
        self.names = {chain_id: facts.name for chain_id, facts in settings.registry().chains.items()}

    def attempt(self, part: str, read: Callable[[], Part], *, default: Part) -> Part:
        """What a part says, or the default, with the reason noted."""
        try:
            return read()
        except (ReconError, OSError) as error:
            self.unread[part] = str(error)
            return default

    def ask_database(self, part: str, read: Callable[[], Part], *, default: Part) -> Part:
        """As :meth:`attempt`, of what the database says: one that did not answer is not waited for twice."""
        if self.away:
            self.unread[part] = self.away
            return default

        def asked() -> Part:
            try:
                return read()
            except DatabaseAwayError as error:
                self.away = str(error)
                raise

        return self.attempt(part, asked, default=default)

    def waiting(self, count: Callable[..., OpenCount]) -> Mapping[str, WaitingPayments]:
        """The payments that wait too long, by rail."""
        found = count(now=self.now).overdue
        return {
            rail: WaitingPayments(
                each.count,
                each.oldest_at,
                each.payments,
                tuple(
                    sorted(
                        (asset_said(symbol, chain_id, names=self.names), format_units(units, decimals=decimals))
                        for (chain_id, symbol, decimals), units in each.money.items()
                    )
                ),
            )
            for rail, each in found.items()
        }

    def rails(self, snapshot: Snapshot) -> Mapping[str, RailCount]:
        """Payments of each rail by whether they are new and whether they failed."""
        import pyarrow.parquet as pq

        wanted = ["provider", "status", "created_at", "is_test"]
        edge = to_ms(self.now - timedelta(minutes=self.settings.values.watch.failure_window_min))
        counts: dict[str, list[int]] = {}
        made: dict[str, list[int]] = {}
        for row in pq.read_table(snapshot.file("payments"), columns=wanted).to_pylist():
            if row["is_test"] or row["provider"] not in self.settings.providers:
                continue
            mine = counts.setdefault(row["provider"], [0, 0, 0, 0])
            place = 0 if (row["created_at"] or 0) >= edge else 2
            mine[place] += 1
            mine[place + 1] += row["status"] == "failed"
            made.setdefault(row["provider"], []).append(row["created_at"] or 0)
        newest = {rail: tuple(sorted(times, reverse=True)[:MADE_MAX]) for rail, times in made.items()}
        return {
            rail: RailCount(mine[0], mine[1], mine[2], mine[3], newest[rail]) for rail, mine in sorted(counts.items())
        }

    def deliveries(self, snapshot: Snapshot) -> Deliveries | None:
        """The webhook deliveries that the snapshot holds; None where none are kept."""
        from recon.rails.gates.evidence import delivery_evidence_of

        rows = [row for row in snapshot.table("coverage").to_pylist() if row["source"] == "deliveries"]
        if not rows:
            return None
        if problem := next((row["problem"] or "not read whole" for row in rows if not row["complete"]), None):
            raise SourceError(str(problem))
        begins = min((row["asked_from"] for row in rows if row["asked_from"] is not None), default=to_ms(self.now))
        found = snapshot.table("deliveries").to_pylist()
        return delivery_evidence_of(found, from_at=from_ms(begins), to_at=self.now, source="deliveries")

    def wallets(self, past: Mapping[str, tuple[tuple[datetime, int], ...]]) -> tuple[WalletLook, ...]:
        """What each reserve holds; of one that could not be asked, that."""
        from recon.setup.open_sources import Opening

        opening, down = Opening(self.settings), dict[int, str]()
        return tuple(self._wallet(opening, each, past, down) for each in self.settings.values.reserves)

    def _wallet(
        self,
        opening: Opening,
        reserve: ReserveSection,
        past: Mapping[str, tuple[tuple[datetime, int], ...]],
        down: dict[int, str],
    ) -> WalletLook:
        """One reserve; ``down`` holds why a chain does not answer, which is not asked again then."""
        from recon.setup.reserves import reserve_asset, reserve_lines

        asset = reserve_asset(opening, reserve)
        key = ":".join(filter(None, (str(reserve.chain_id), reserve.address, asset.address)))
        where = self.names.get(reserve.chain_id, f"chain {reserve.chain_id}")
        held, why = _held(opening, reserve, asset, down)
        if why:
            self.unread[f"wallet_low:{key}"] = why
        warn, critical = reserve_lines(reserve, decimals=asset.decimals)
        now_too = () if held is None else ((self.now, held),)
        return WalletLook(
            key, f"The wallet {reserve.address} on {where}", asset.symbol if asset.address else f"coins of {where}",
            asset.decimals, warn, critical, held, why, (*past.get(key, ()), *now_too),
        )  # fmt: skip

    def endpoints(self) -> tuple[EndpointLook, ...]:
        """The endpoints of every chain that has several."""
        from recon.setup.open_sources import Opening

        if self.settings.world is not None:
            return ()
        opening, found = Opening(self.settings), []
        for chain in self.settings.values.chains:
            source = opening.chain(chain.chain_id) if len(chain.endpoints) > 1 else None
            if (ask := getattr(source, "silent_hosts", None)) is not None:
                found.append(EndpointLook(chain.chain_id, *ask()))
        return tuple(found)

    def flags(self, known: Remembered) -> FlagLook | None:
        """The flags beside those of the last round in which they were right; None where no file is configured."""
        from recon.rails.flags.journal import FILE_NAME, FlagJournal
        from recon.rails.flags.words import looks_secret
        from recon.setup.open_flags import read_flags

        if not self.settings.values.flags.file:
            return None
        words = [each for each in self.settings.values.flags.words().known_flags() if not looks_secret(each)]
        values = read_flags(self.settings).values
        now: dict[str, str | None] = {flag: values.get(flag) for flag in words}
        entries = FlagJournal(self.settings.output_dir / FILE_NAME).read()
        wrote = _wrote_since(entries, known.flags_at or self.now)
        before = now if known.flags is None or wrote else dict(known.flags)
        changed = [flag for flag in words if before.get(flag) != now.get(flag)]
        return FlagLook(before, now, {flag: known.flags_since.get(flag, self.now) for flag in changed})

    def approvals(self, plan: Plan | None) -> tuple[int, int]:
        """How many approvals the plan needs, and how many it has."""
        from recon.plans.approvals import approvals_needed, backing_of
        from recon.setup.open_decisions import open_decisions

        if plan is None:
            return 0, 0
        policy, records = self.settings.approval_policy(), open_decisions(self.settings)
        needed, _ = approvals_needed(plan, policy)
        given, author = records.approvals(plan, now=self.now), records.author(plan, now=self.now)
        return needed, len(backing_of(plan, given, policy=policy, author=author, now=self.now).approved)

    def runs(self) -> tuple[RunSummary, ...]:
        """Every run of the journal."""
        from recon.setup.open_runs import read_runs

        return read_runs(self.settings)[0]

    def gates(self, plan: Plan | None, history: History) -> GateEvidence:
        """What gates are judged by: the history of rounds, and this plan."""
        from recon.rails.gates.evidence import dry_run_of, run_records
        from recon.rails.gates.records import GateEvidence
        from recon.setup.open_gates import written_runs

        return GateEvidence(
            runs=run_records(history),
            dry_run=None if plan is None else dry_run_of(plan),
            writes=None if self.away else written_runs(self.settings),
        )


def _held(
    opening: Opening, reserve: ReserveSection, asset: ReserveAsset, down: dict[int, str]
) -> tuple[int | None, str]:
    """What a reserve holds in smallest units, or why nobody can tell."""
    from recon.setup.reserves import reserve_units

    if reserve.chain_id in down:
        return None, down[reserve.chain_id]
    try:
        return reserve_units(opening, reserve, asset=asset), ""
    except ReconError as error:
        if isinstance(error, AwayError) or isinstance(error.__cause__, AwayError):
            down[reserve.chain_id] = str(error)
        return None, str(error)


def _wrote_since(entries: Iterable[FlagEntry], moment: datetime) -> bool:
    """Whether a run of recon wrote flags after a moment."""
    return any((at := parse_iso(each.at)) is None or at > moment for each in entries)


def gather(
    settings: Settings, judged: RoundJudged, *, known: Remembered, times: WatchTimes, scope: str, config: str
) -> RoundFacts:
    """Everything that the rules of a round know."""
    from recon.rails.gates.records import GateEvidence
    from recon.sources.providers.installed import providers

    reading = Gathering(settings, now=times.ended, away=judged.away)
    unread = reading.unread
    no_rails: Mapping[str, RailCount] = {}
    plan, snapshot = judged.plan, judged.snapshot
    if plan is None or snapshot is None:
        unread.update(dict.fromkeys(("plan", "whole", "rails", "deliveries"), judged.failure or "no round was made"))
    elif not plan.is_read_whole:
        unread["whole"] = "a source was not read whole"
    of_snapshot: dict[str, Any] = {}
    if snapshot is not None:
        of_snapshot["rails"] = reading.attempt("rails", lambda: reading.rails(snapshot), default=no_rails)
        of_snapshot["deliveries"] = reading.attempt("deliveries", lambda: reading.deliveries(snapshot), default=None)
    needed, approved = (
        (0, 0) if plan is None else reading.attempt("approvals", lambda: reading.approvals(plan), default=(0, 0))
    )
    count = OpenPayments(settings).overdue
    waiting = reading.ask_database("waiting", lambda: reading.waiting(count), default=NONE_WAITS)
    runs = reading.ask_database("runs", reading.runs, default=None)
    return RoundFacts(
        now=times.ended,
        times=times,
        scope=scope,
        plan=plan,
        plan_name=Path(judged.plan_path).stem,
        config=config,
        past=known.past,
        chain_names=reading.names,
        waiting=waiting,
        webhook_rails=tuple(name for name in settings.providers if providers()[name].webhooks.routes),
        wallets=reading.attempt("wallets", lambda: reading.wallets(known.wallets), default=()),
        endpoints=reading.attempt("endpoints", reading.endpoints, default=()),
        flags=reading.attempt("flags", lambda: reading.flags(known), default=None),
        gates=reading.attempt("gates", lambda: reading.gates(plan, known.history), default=GateEvidence()),
        gate_limits=settings.values.gates.limits(),
        needed=needed,
        approved=approved,
        unsettled=_unsettled(runs or ()),
        runs=runs,
        incomplete=known.incomplete,
        failure=judged.failure,
        failed_source=judged.failed_source,
        unread=unread,
        **of_snapshot,
    )


def _unsettled(runs: Iterable[RunSummary]) -> tuple[RunSummary, ...]:
    """Runs that left rows for a person, or that never ended."""
    return tuple(each for each in runs if each.unsettled or each.ended_at is None)


def look_between(settings: Settings, open_ones: OpenPayments, *, times: WatchTimes, config: str) -> RoundFacts:
    """What is known between rounds: the open payments, and nothing else."""
    reading = Gathering(settings, now=times.ended)
    waiting = reading.attempt("waiting", lambda: reading.waiting(open_ones.overdue), default=NONE_WAITS)
    return RoundFacts(
        now=times.ended, times=times, config=config, chain_names=reading.names, waiting=waiting, unread=reading.unread
    )
