"""What a round tells of everything but payments: sources, wallets, flags, runs, and the watch itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from itertools import pairwise
from typing import Final

from recon.core.money import format_units
from recon.core.text import count_text
from recon.core.times import parse_iso, second_text
from recon.setup.watch_section import WatchSection
from recon.watch.facts import RoundFacts, WalletLook
from recon.watch.saying import age_said, command_said, sum_said
from recon.watch.situations import Sighting, Urgency

URGENT: Final = timedelta(hours=24)
OPEN_RUN: Final = timedelta(hours=1)
"""A run that began longer ago and has no end was interrupted."""

BURN_SPAN: Final = timedelta(hours=1)
"""Looks at a wallet over less than this tell no rate."""


def overdue(facts: RoundFacts, limits: WatchSection) -> Iterator[Sighting]:
    """Payments that are open for over ``pending_min``, by rail; counted between rounds as well."""
    for rail, waiting in sorted(facts.waiting.items()):
        urgent = waiting.oldest is None or facts.now - waiting.oldest > URGENT
        said = sum_said(waiting.count, "payment", money=waiting.money, oldest=waiting.oldest, now=facts.now)
        yield Sighting(
            "overdue",
            rail,
            Urgency.CRITICAL if urgent else Urgency.WARNING,
            f"{rail}: open for over {limits.pending_min} min: {said}.",
            count=waiting.count,
            money=waiting.money,
            oldest=waiting.oldest,
            command=command_said(facts, "plan", "--provider", rail, "--open-only"),
            payments=waiting.payments,
        )


def source_down(facts: RoundFacts, limits: WatchSection) -> Iterator[Sighting]:
    """A source could not be read whole, or not at all; critical from ``down_rounds_critical`` rounds on."""
    problems: dict[str, str] = {}
    for row in () if facts.plan is None else facts.plan.coverage:
        if not row.get("complete", False):
            problems.setdefault(str(row.get("source")), str(row.get("problem") or "it was not read whole"))
    if facts.failure:
        problems[facts.failed_source] = facts.failure
    for source, why in sorted(problems.items()):
        rounds = facts.incomplete.get(source, 1)
        is_long = rounds >= limits.down_rounds_critical
        yield Sighting(
            "source_down",
            source,
            Urgency.CRITICAL if is_long else Urgency.WARNING,
            f"{source} could not be read whole in {count_text(rounds, 'round')}: {why}"[:600],
            command=command_said(facts, "doctor"),
        )


def rpc_failover(facts: RoundFacts, limits: WatchSection) -> Iterator[Sighting]:
    """An endpoint of a chain cannot be used, so the next one is asked; critical when none is left."""
    for look in facts.endpoints:
        if look.silent:
            name = facts.chain_names.get(look.chain_id, f"chain {look.chain_id}")
            left = f"{look.used[0]} is asked instead" if look.used else "none is left"
            yield Sighting(
                "rpc_failover",
                str(look.chain_id),
                Urgency.WARNING if look.used else Urgency.CRITICAL,
                f"{name}: {' and '.join(look.silent)} cannot be used; {left}.",
                count=len(look.silent),
                command=command_said(facts, "doctor"),
            )


def wallet_low(facts: RoundFacts, limits: WatchSection) -> Iterator[Sighting]:
    """A reserve is below one of its lines, or lasts for fewer days than ``days_left_min``."""
    for wallet in facts.wallets:
        if wallet.held is None:
            continue
        days = days_left(wallet)
        is_short = days is not None and days < limits.days_left_min
        if wallet.held >= wallet.warn and not is_short:
            continue
        critical = wallet.held < wallet.critical
        line = wallet.critical if critical else wallet.warn
        below = f", below {_units(line, wallet)}" if wallet.held < line else ""
        left = "" if days is None else f"; at the rate of the last days it lasts {count_text(days, 'day')}"
        yield Sighting(
            "wallet_low",
            wallet.key,
            Urgency.CRITICAL if critical else Urgency.WARNING,
            f"{wallet.shown} holds {_units(wallet.held, wallet)} {wallet.symbol}{below}{left}.",
            money=((wallet.symbol, _units(wallet.held, wallet)),),
            command=command_said(facts, "doctor"),
        )


def days_left(wallet: WalletLook) -> int | None:
    """For how many whole days a wallet lasts, by what left it over its earlier looks; None where nobody can tell.

    What came in between counts for nothing, so that a refill does not hide what is spent.
    """
    if wallet.held is None or len(wallet.past) < 2:
        return None
    span = wallet.past[-1][0] - wallet.past[0][0]
    amounts = [units for _, units in wallet.past]
    spent = sum(max(0, earlier - later) for earlier, later in pairwise(amounts))
    if span < BURN_SPAN or not spent:
        return None
    left_ms = wallet.held * (span // timedelta(milliseconds=1)) // spent
    return left_ms // 86_400_000


def _units(units: int, wallet: WalletLook) -> str:
    return format_units(units, decimals=wallet.decimals)


def flags_changed(facts: RoundFacts, limits: WatchSection) -> Iterator[Sighting]:
    """A provider flag has a value that recon did not write."""
    if facts.flags is None:
        return
    for flag in sorted({*facts.flags.before, *facts.flags.now}):
        before, now = facts.flags.before.get(flag), facts.flags.now.get(flag)
        if before != now:
            yield Sighting(
                "flags_changed",
                flag,
                Urgency.WARNING,
                f"{flag} was {_value(before)} and is {_value(now)}, and no run of recon wrote it.",
                oldest=facts.flags.since.get(flag),
                command=command_said(facts, "flags", "status"),
            )


def _value(value: str | None) -> str:
    return "not set" if value is None else repr(value[:60])


def unsettled(facts: RoundFacts, limits: WatchSection) -> Iterator[Sighting]:
    """A run left rows that wait for a person, or never ended."""
    for run in facts.unsettled:
        began = parse_iso(run.started_at)
        is_open = run.ended_at is None and began is not None and facts.now - began > OPEN_RUN
        if not run.unsettled and not is_open:
            continue
        rows = count_text(run.unsettled or 0, "row waits", many="rows wait")
        said = f"{rows} for a person to settle" if run.unsettled else "it has no end and was interrupted"
        yield Sighting(
            "unsettled",
            run.run,
            Urgency.CRITICAL,
            f"Run {run.run} of {run.operator or 'an unknown operator'}: {said}.",
            count=run.unsettled or None,
            oldest=began,
            command=command_said(facts, "runs", run.run),
        )


def own_lateness(facts: RoundFacts, limits: WatchSection) -> Iterator[Sighting]:
    """The watch itself is late: a round began or ended too late, or none read everything for long."""
    times, slack = facts.times, timedelta(minutes=limits.late_min)
    said: list[str] = []
    if times.asleep_since is not None:
        said.append(f"it was asleep since {second_text(times.asleep_since)}")
    elif times.due is not None and times.began - times.due > slack:
        said.append(f"a round that was due at {second_text(times.due)} began {age_said(times.began - times.due)} later")
    if (took := times.ended - times.began) > max(slack, timedelta(seconds=times.apart_s)):
        said.append(
            f"a round took {age_said(took)}, and the next is due after {age_said(timedelta(seconds=times.apart_s))}"
        )
    if times.last_good is not None and times.ended - times.last_good > 3 * timedelta(seconds=times.apart_s) + slack:
        said.append(f"no round read everything since {second_text(times.last_good)}")
    if times.whole_due is not None and times.ended - times.whole_due > slack:
        said.append(f"a whole round was due at {second_text(times.whole_due)}")
    if said:
        yield Sighting(
            "own_lateness",
            "",
            Urgency.WARNING,
            f"The watch is late: {'; '.join(said)}.",
            command=command_said(facts, "watch", "status"),
        )


OWN_RULES: Final[tuple[tuple[str, Callable[[RoundFacts, WatchSection], Iterable[Sighting]], tuple[str, ...]], ...]] = (
    ("overdue", overdue, ("waiting",)),
    ("source_down", source_down, ("sources",)),
    ("rpc_failover", rpc_failover, ("endpoints",)),
    ("wallet_low", wallet_low, ("wallets",)),
    ("flags_changed", flags_changed, ("flags",)),
    ("unsettled", unsettled, ("runs",)),
    ("own_lateness", own_lateness, ()),
)
