"""What the rules of one round know. Gathered by :mod:`recon.watch.gather`; nothing here reads anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from recon.core.model import Plan
from recon.rails.gates.records import Deliveries, GateEvidence, GateLimits
from recon.runs.states import RunSummary


@dataclass(frozen=True, slots=True)
class RailCount:
    """Payments of one rail: those of the newest minutes and those before them, and how many of each failed.

    Args:
        made: When the newest of them were made, newest first, UTC milliseconds.
    """

    recent: int
    recent_failed: int
    before: int
    before_failed: int
    made: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class WaitingPayments:
    """Open payments of one rail that wait too long; money as a person reads it."""

    count: int
    oldest: datetime | None
    payments: tuple[str, ...]
    money: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class WalletLook:
    """One reserve: what it holds, its lines, and what it held before, oldest first.

    Args:
        key: ``chain_id:address`` or ``chain_id:address:token``.
        held: Smallest units; None when it could not be asked, for the reason ``why``.
        past: Earlier looks, when and smallest units.
    """

    key: str
    shown: str
    symbol: str
    decimals: int
    warn: int
    critical: int
    held: int | None
    why: str = ""
    past: tuple[tuple[datetime, int], ...] = ()


@dataclass(frozen=True, slots=True)
class EndpointLook:
    """The endpoints of one chain: those that can be used now, and those that cannot, in their order."""

    chain_id: int
    used: tuple[str, ...]
    silent: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FlagLook:
    """Flags of the backend: what they were when they were last known to be right, and what they are.

    Args:
        before, now: Values by flag; None is not set.
        since: The round that saw a value that nobody wrote by recon, by flag.
    """

    before: Mapping[str, str | None]
    now: Mapping[str, str | None]
    since: Mapping[str, datetime] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WatchTimes:
    """When a round was due and when it was made.

    Args:
        due: None for a round that nobody planned.
        apart: Seconds between two rounds of the schedule.
        last_good: When the last round ended that read everything; None where none did.
        whole_due: When a whole round should have been made at the latest.
    """

    due: datetime | None
    began: datetime
    ended: datetime
    apart_s: int
    last_good: datetime | None = None
    asleep_since: datetime | None = None
    whole_due: datetime | None = None


@dataclass(frozen=True, slots=True)
class RoundFacts:
    """Everything that one round knows.

    Args:
        now: When it was judged.
        scope: What keys of this window begin with: empty where there is one window only.
        plan: What was found; None when nothing could be judged.
        plan_name: What commands call the plan.
        past: Earlier entries of the history made by rounds of this window, oldest first.
        chain_names: By chain id.
        rails: By rail; empty when they could not be counted.
        deliveries: Webhook deliveries; None where none are kept.
        gates: What gates are judged by, without the files that a person names.
        needed, approved: Approvals of the plan.
        unsettled: Runs that left something open.
        runs: Every run of the journal; None where it could not be read.
        incomplete: By source, the number of rounds in a row that could not read it whole, this one included.
        failure: Why the round could not be made; empty when it was.
        failed_source: What could not be reached then.
        unread: By part of the evidence, why it could not be read.
    """

    now: datetime
    times: WatchTimes
    scope: str = ""
    plan: Plan | None = None
    plan_name: str = ""
    config: str = ""
    past: Sequence[Mapping[str, Any]] = ()
    chain_names: Mapping[int, str] = field(default_factory=dict)
    rails: Mapping[str, RailCount] = field(default_factory=dict)
    waiting: Mapping[str, WaitingPayments] = field(default_factory=dict)
    deliveries: Deliveries | None = None
    webhook_rails: tuple[str, ...] = ()
    wallets: tuple[WalletLook, ...] = ()
    endpoints: tuple[EndpointLook, ...] = ()
    flags: FlagLook | None = None
    gates: GateEvidence = field(default_factory=GateEvidence)
    gate_limits: GateLimits = field(default_factory=GateLimits)
    needed: int = 0
    approved: int = 0
    unsettled: tuple[RunSummary, ...] = ()
    runs: tuple[RunSummary, ...] | None = None
    incomplete: Mapping[str, int] = field(default_factory=dict)
    failure: str = ""
    failed_source: str = ""
    unread: Mapping[str, str] = field(default_factory=dict)
