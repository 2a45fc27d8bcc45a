"""The run history: one line per plan, so that "new since last night" and "for ten minutes" can be measured.

The file only grows, and each line names the one before it. A line that cannot be read is counted and passed over, and
one that was changed is counted: history must never stop today's work.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from recon.core.model import Finding, Plan, Tier, Verdict
from recon.core.times import parse_iso
from recon.files import ChainedLog
from recon.plans.breaks import fingerprint
from recon.plans.news import sort_breaks

if TYPE_CHECKING:
    from recon.plans.approvals import Ack

FORMAT: Final = 1
FILE_NAME: Final = "history.ndjson"
BREAKS_MAX: Final = 10_000
RECENT: Final = timedelta(days=2)
BLOCKING: Final = (Verdict.LOOKUP_FAILED, Verdict.MISSING_REFERENCE, Verdict.COORDINATOR_BLOCKED)
"""Outcomes that, repeated for over ten minutes, mean escalation."""

_BREAK_TIERS: Final = (Tier.AUTO, Tier.REVIEW, Tier.NEVER)


@dataclass(frozen=True, slots=True)
class History:
    """What the file holds: its entries, oldest first, and how far it can be trusted.

    Args:
        unreadable: Lines that could not be read.
        changed: Lines that do not name the line before them, which was changed or taken out since.
        lost_after: For each of both, the time of the entry before it as that says it; empty where there is none.
        is_whole: Whether all of the file was read, or only its end.
    """

    entries: tuple[Mapping[str, Any], ...]
    unreadable: int = 0
    changed: int = 0
    lost_after: tuple[str, ...] = ()
    is_whole: bool = True


@dataclass(frozen=True, slots=True)
class News:
    """How much of a plan's breaks is new: not in the plan before, and accepted by nobody.

    Args:
        known: Breaks that the plan before showed exactly as they are now.
        acknowledged: Breaks that a person accepted and that have not changed since.
    """

    new: int
    known: int
    acknowledged: int


def break_key(finding: Finding) -> str:
    """A short stable name of a break with all it shows: one that changes in any way has another name."""
    return fingerprint(finding)[:16]


def news_of(plan: Plan, *, acks: Iterable[Ack], before: Mapping[str, Any] | None, now: datetime) -> News:
    """Tell the new breaks of a plan from known and acknowledged ones.

    Args:
        before: The history entry of the plan before; None means that every break is new.
    """
    breaks = [item for item in plan.findings if item.tier in _BREAK_TIERS]
    seen = set((before or {}).get("breaks") or ())
    known = [mark for item in breaks if (mark := fingerprint(item))[:16] in seen]
    found = sort_breaks(breaks, acks=acks, known=known, now=now)
    return News(len(found.new), len(found.known), len(found.acknowledged))


_KEYS: Final = frozenset(
    {
        "format", "at", "kind", "target", "plan", "digest", "effects_digest", "snapshot", "window", "payments",
        "verdicts", "health", "complete", "blocking", "break_count", "news", "breaks",
    }
)  # fmt: skip
"""What a line without a seal may hold; later keys came with sealed lines."""


def history_entry(plan: Plan, *, at: str, path: str, news: News | None = None) -> dict[str, Any]:
    """What one plan leaves in the history.

    ``breaks`` holds the keys of all breaks, or null when there are more than 10,000 of them. ``blocking`` counts the
    outcomes that stop reconciliation; ``complete`` says whether every source was read whole. The two sums hold base
    units by chain and token.
    """
    breaks = sorted(break_key(item) for item in plan.findings if item.tier in _BREAK_TIERS)
    counts = Counter(item.verdict for item in plan.findings)
    return {
        "format": FORMAT,
        "at": at,
        "kind": plan.kind,
        "target": plan.target.name,
        "plan": path,
        "digest": plan.digest,
        "effects_digest": plan.effects_digest,
        "snapshot": plan.snapshot,
        "window": dict(plan.window),
        "payments": plan.summary.get("payments"),
        "verdicts": dict(plan.summary.get("verdicts") or {}),
        "health": dict(plan.summary.get("health") or {}),
        "complete": plan.is_read_whole,
        "blocking": {verdict.value: counts[verdict] for verdict in BLOCKING},
        "value_at_risk": dict(plan.summary.get("value_at_risk") or {}),
        "captured_not_credited": dict(plan.summary.get("captured_not_credited") or {}),
        "break_count": len(breaks),
        "news": None if news is None else asdict(news),
        "breaks": breaks if len(breaks) <= BREAKS_MAX else None,
    }


def append_history(folder: Path, entry: Mapping[str, Any]) -> None:
    """Add one line, in one write, and make it last before returning.

    Raises:
        NoRoomError: The disk is full; the history is as it was.
    """
    ChainedLog(folder / FILE_NAME).add(entry)


def load_history(folder: Path, *, span: timedelta | None = None) -> History:
    """Read the history of a folder; a folder without one has an empty history.

    Args:
        span: How far before the newest line the entries must reach; all of them when not given. The end of the file
            alone is read then, and what was lost or changed before it is not counted.
    """
    log = ChainedLog(folder / FILE_NAME)
    start = 0 if span is None else _start_of(log, span)
    entries: list[Mapping[str, Any]] = []
    unreadable = changed = 0
    lost_after: list[str] = []
    for line in log.entries(start=start):
        before = str(entries[-1]["at"]) if entries else ""
        if not line.follows:
            changed += 1
            lost_after.append(before)
        if line.body is not None and _is_entry(line.body, is_sealed=line.is_sealed):
            entries.append(line.body)
        else:
            unreadable += 1
            lost_after.append(before)
    entries.sort(key=lambda item: str(item["at"]))  # of one moment, the order in which they were written
    return History(tuple(entries), unreadable, changed, tuple(lost_after), is_whole=not start)


def _start_of(log: ChainedLog, span: timedelta) -> int:
    """Where the end of the log begins that reaches so far back."""
    newest = _time_of(log.last() or {})
    if newest is None:
        return 0

    def is_early(body: Mapping[str, Any]) -> bool:
        at = _time_of(body)
        return at is not None and at < newest - span

    return log.tail_start(is_early)


def _time_of(body: Mapping[str, Any]) -> datetime | None:
    return parse_iso(str(body.get("at") or ""))


def _is_entry(body: Mapping[str, Any], *, is_sealed: bool) -> bool:
    """Whether a line is one of ours: what no seal vouches for has no key that this version does not know."""
    is_ours = body.get("format") == FORMAT and isinstance(body.get("at"), str)
    return is_ours and (is_sealed or body.keys() <= _KEYS)


def newest_entry(folder: Path, *, target: str) -> Mapping[str, Any] | None:
    """The newest entry of a target in a folder, mostly from the end of the file alone; None without one."""
    recent = load_history(folder, span=RECENT)
    found = latest_entry(recent, target=target)
    return found if found is not None or recent.is_whole else latest_entry(load_history(folder), target=target)


def latest_entry(history: History, *, target: str) -> Mapping[str, Any] | None:
    """The newest entry of a target, or None."""
    return next((entry for entry in reversed(history.entries) if entry.get("target") == target), None)


def new_breaks(entry: Mapping[str, Any], earlier: Mapping[str, Any] | None) -> int | None:
    """How many breaks an entry has that an earlier one had not; None where either list was too long to keep."""
    now, before = entry.get("breaks"), (earlier or {"breaks": []}).get("breaks")
    return None if now is None or before is None else len(set(now) - set(before))
