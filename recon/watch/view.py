"""What the watch knows as a report: the open situations, and how its rounds go."""

from __future__ import annotations

from datetime import datetime

from recon.core.times import second_text
from recon.reports.model import Column, Fact, Report, Table
from recon.watch.rounds import RoundDone
from recon.watch.situations import KeptSituation, Urgency
from recon.watch.state import WatchState

_COLUMNS = (
    Column("key", "situation", "id"), Column("urgency", "urgency"), Column("since", "open since", "time"),
    Column("count", "count", "count"), Column("money", "money", "amounts"), Column("says", "what it says", "prose"),
    Column("who", "worked on by"), Column("next", "next command", "prose", wide=True),
)  # fmt: skip


def render_watch(state: WatchState, *, done: RoundDone | None = None, now: datetime) -> Report:
    """The open situations, the most urgent first, with what the round just made came to."""
    ordered = sorted(state.open, key=lambda each: (-each.seen.urgency.rank, each.opened_at, each.key))
    facts = [] if done is None else _of_round(done)
    facts += [Fact("open", "open situations", str(len(ordered)), "count", alarm=any(_alarms(each) for each in ordered))]
    if done is None:
        facts.append(Fact("last", "last line", second_text(state.at) or "no round was made yet", "time"))
        facts += [Fact(f"good {name}", f"{name} read whole", second_text(each.good_at) or "never", "time")
                  for name, each in sorted(state.windows.items())]  # fmt: skip
    rows = tuple(_row(each) for each in ordered)
    table = Table("situations", "Open situations", _COLUMNS, rows, empty=_calm(state, done))
    commands = tuple(dict.fromkeys(each.seen.command for each in ordered if each.seen.command))
    return Report("watch", f"Watch at {second_text(now)}", tuple(facts), (table,), commands[:5])


def _calm(state: WatchState, done: RoundDone | None) -> str:
    """What it means that no situation is open."""
    if done is not None and done.is_incomplete:
        return "cannot tell of all: not everything could be read"
    return "none" if state.windows else "cannot tell: no round was made yet"


def _of_round(done: RoundDone) -> list[Fact]:
    plan = done.plan
    facts = [Fact("round", "round", f"{done.window}, {'whole' if done.was_whole else 'what can have changed'}")]
    if done.failure:
        facts.append(Fact("failure", "could not be made", done.failure, "prose", alarm=True))
    if plan is not None:
        facts.append(Fact("payments", "payments", str(plan.summary.get("payments")), "count"))
        facts.append(Fact("plan", "plan", str(done.plan_path), "id"))
    facts += [Fact("unread", f"CANNOT TELL of {part}", why, "prose", alarm=True) for part, why in done.unread.items()]
    told = ", ".join(f"{turn.value} {each.key}" for turn, each in done.turns)
    return [*facts, Fact("changed", "changed", told or "nothing", "prose")]


def _alarms(situation: KeptSituation) -> bool:
    return situation.seen.urgency is not Urgency.INFO


def _row(situation: KeptSituation) -> tuple[str, ...]:
    seen = situation.seen
    return (
        situation.key,
        seen.urgency.value,
        second_text(situation.opened_at),
        "" if seen.count is None else str(seen.count),
        ", ".join(f"{amount} {asset}" for asset, amount in seen.money),
        situation.sentence,
        situation.acknowledged_by or "",
        seen.command,
    )
