"""The first ten minutes of an incident on one page: the questions of that runbook, and the scenario that fits.

A fact was measured and names its source. A guess says what the facts suggest and what would settle it. The page keeps
the two apart, because under pressure people act on a guess that looks like a fact.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from recon.core.model import OPEN_AGES
from recon.core.money import decimal_amount, sum_by_name, whole_tokens
from recon.core.registry import Registry, load_registry
from recon.core.text import count_text, short_amount
from recon.core.times import second_text
from recon.investigation.incident.access_log import LogTriage, RouteTriage
from recon.investigation.incident.replay import DeliveryTriage

STUCK_MIN: Final = 30
"""Minutes after which the runbooks call a pending payment stuck."""


@dataclass(frozen=True, slots=True)
class Health:
    """What one source or service said when it was asked just now.

    Args:
        name: ``request_network``, ``shkeeper``, ``database``, ``chain 56``, ``backend`` and the like.
        is_up: None where it could not be asked.
        says: One sentence, without secrets.
    """

    name: str
    is_up: bool | None
    says: str


@dataclass(frozen=True, slots=True)
class IncidentEvidence:
    """What the page is made from. None means that nobody looked, and the page says so.

    Args:
        summary: The ``summary`` of a plan, and ``findings`` by verdict: (count, oldest age in seconds).
        plan_at: When the plan was made.
        flags: Flag names and their values as found; secrets never.
        health: What every source said when it was asked just now.
        readings: By source, how its reading for the plan went, in a few words.
        coverage_problems: What the plan was made without, by source.
        unread: What was looked at and could not be read, one sentence each.
    """

    now: datetime
    summary: Mapping[str, Any] | None = None
    plan_at: str | None = None
    logs: LogTriage | None = None
    deliveries: DeliveryTriage | None = None
    flags: Mapping[str, str] | None = None
    health: Sequence[Health] | None = None
    readings: Mapping[str, str] | None = None
    coverage_problems: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the page: the question of the runbook, the answer and its source; None means nobody looked."""

    question: str
    answer: str | None
    source: str


@dataclass(frozen=True, slots=True)
class Guess:
    """A runbook that the facts suggest, with the reasons, what would settle it, and what to do first."""

    scenario: str
    score: int
    because: tuple[str, ...]
    settle: str
    first: str


@dataclass(frozen=True, slots=True)
class FirstPage:
    """The first page: facts, guesses best first, what was not looked at, and what was and could not be read.

    What could not be read makes every conclusion a "cannot tell": it may hold what would change it.
    """

    at: datetime
    facts: tuple[Line, ...]
    guesses: tuple[Guess, ...]
    unknown: tuple[Line, ...]
    unread: tuple[str, ...] = ()

    @property
    def is_complete(self) -> bool:
        """Whether everything that was looked at could be read."""
        return not self.unread


Signal = tuple[int, str]


def first_page(evidence: IncidentEvidence) -> FirstPage:
    """Fill the page from what was measured."""
    lines = [build(evidence) for build in _QUESTIONS]
    guesses = []
    for scenario, signals, settle, first in _SCENARIOS:
        found = [signal for signal in signals(evidence) if signal[0]]
        if found:
            score = sum(weight for weight, _ in found)
            guesses.append(Guess(scenario, score, tuple(text for _, text in found), settle, first))
    return FirstPage(
        at=evidence.now.astimezone(UTC),
        facts=tuple(line for line in lines if line.answer is not None),
        guesses=tuple(sorted(guesses, key=lambda guess: -guess.score)),
        unknown=tuple(line for line in lines if line.answer is None),
        unread=tuple(_unread(evidence)),
    )


def _unread(e: IncidentEvidence) -> Iterator[str]:
    """What was looked at and could not be read, one sentence each."""
    yield from e.unread
    yield from (f"{each.name} was not asked: {each.says}" for each in e.health or () if each.is_up is None)
    if e.summary is not None and e.readings is not None and not e.readings:
        yield "what the plan was made from: it records no reading of any source"
    for text in e.coverage_problems:
        yield f"the plan was made without {text}"
    if e.logs is not None:
        yield from _unread_logs(e.logs)
    if e.deliveries is not None:
        yield from e.deliveries.problems
        yield from e.deliveries.unread


def _unread_logs(logs: LogTriage) -> Iterator[str]:
    yield from logs.problems
    for route in logs.routes:
        if route.unread_lines:
            yield f"{count_text(route.unread_lines, 'log line')} for the route of {route.provider}"
        elif not route.is_told and not logs.problems:
            yield f"the access logs say nothing of {route.provider} ({route.rule})"


def verdict_count(evidence: IncidentEvidence, *names: str) -> int:
    """How many payments have one of these verdicts, 0 where no plan was looked at."""
    verdicts = (evidence.summary or {}).get("verdicts", {})
    return sum(int(verdicts.get(name, 0)) for name in names)


def token_sums_text(money: Mapping[str, Any], registry: Registry | None = None) -> str:
    """Sums by ``chain_id:token`` in base units as whole amounts per symbol, exact; unknown tokens in base units."""
    known = registry or load_registry()
    amounts: list[tuple[str, Decimal]] = []
    unknown: list[str] = []
    for name, units in sorted(money.items()):
        chain, _, address = name.partition(":")
        token = known.tokens.get((int(chain), address)) if chain.isdigit() else None
        if token is None:
            unknown.append(f"{units} base units of {name}")
        else:
            amounts.append((token.symbol, whole_tokens(int(units), decimals=token.decimals)))
    said = [short_amount(f"{decimal_amount(amount)} {symbol}") for symbol, amount in sum_by_name(amounts)]
    return ", ".join([*said, *unknown]) or "none"


CANNOT_TELL: Final = "cannot tell"


def _short_of_plan(e: IncidentEvidence) -> str:
    """What is said behind a figure of a plan that was made without everything; nothing where it had all."""
    short = len(e.coverage_problems)
    return f"; CANNOT TELL of all: the plan was made without {count_text(short, 'source')}" if short else ""


def _beside(route: RouteTriage) -> str:
    """Requests to paths that only resemble the route."""
    count = sum(each for _, each in route.elsewhere)
    return f", {count} to paths that resemble the route" if count else ""


def _pending(e: IncidentEvidence) -> Line:
    question = f"How many payments are pending for over {STUCK_MIN} minutes?"
    ages = (e.summary or {}).get("open_by_age")
    if not isinstance(ages, Mapping):
        return Line(question, None, "recon plan --open-only")
    over = ages.get("over 30 min")
    parts = ", ".join(f"{name}: {ages[name]}" for name, _ in OPEN_AGES if name in ages)
    return Line(question, f"{over} ({parts}){_short_of_plan(e)}", f"plan of {e.plan_at}")


def _webhooks(e: IncidentEvidence) -> Line:
    question = "What does the web server answer to webhooks?"
    if e.logs is None:
        return Line(question, None, "recon triage access-log FILE")
    said = []
    for route in e.logs.routes:
        statuses = ", ".join(f"{count} x {status}" for status, count in route.statuses)
        if route.unread_lines:
            statuses = f"{statuses or 'none that could be read'}, {count_text(route.unread_lines, 'line')} NOT READ"
        none = "none in these logs" if route.is_told else CANNOT_TELL
        said.append(f"{route.provider}: {statuses or none}{_beside(route)}")
    return Line(question, "; ".join(said), count_text(len(e.logs.files), "log file"))


def _last_good(e: IncidentEvidence) -> Line:
    question = "When was the last webhook accepted, and when the first failure burst?"
    if e.logs is None:
        return Line(question, None, "recon triage access-log FILE")
    said = []
    for route in e.logs.routes:
        never = f"never {e.logs.time_text}" if route.is_told and e.logs.is_complete else CANNOT_TELL
        last = second_text(route.last_good) if route.last_good else never
        burst = f", burst of {route.bursts[0].failures} from {route.bursts[0].from_at:%H:%MZ}" if route.bursts else ""
        said.append(f"{route.provider}: last good {last}{burst}")
    return Line(question, "; ".join(said), count_text(len(e.logs.files), "log file"))


def _rule(e: IncidentEvidence) -> Line:
    question = "What does the runbook's rule say?"
    if e.logs is None:
        return Line(question, None, "recon triage access-log FILE")
    return Line(question, "; ".join(f"{route.provider}: {route.rule}" for route in e.logs.routes), "access logs")


def _captured(e: IncidentEvidence) -> Line:
    question = "How much money is captured and not credited?"
    money = (e.summary or {}).get("captured_not_credited")
    if not isinstance(money, Mapping):
        return Line(question, None, "recon plan")
    return Line(question, f"{token_sums_text(money)}{_short_of_plan(e)}", f"plan of {e.plan_at}")


def _blocking(e: IncidentEvidence) -> Line:
    question = "How many are lookup_failed, missing_reference or coordinator-blocked?"
    if e.summary is None:
        return Line(question, None, "recon plan")
    parts = [
        f"{name} {verdict_count(e, name)}" for name in ("lookup_failed", "missing_reference", "coordinator_blocked")
    ]
    return Line(question, f"{', '.join(parts)}{_short_of_plan(e)}", f"plan of {e.plan_at}")


def _safety(e: IncidentEvidence) -> Line:
    question = "How many are safety-pending (captured, not credited)?"
    if e.summary is None:
        return Line(question, None, "recon plan")
    count = verdict_count(e, "safety_pending", "stuck_pending", "aml_blocked", "insufficient_confirmations")
    return Line(question, f"{count}{_short_of_plan(e)}", f"plan of {e.plan_at}")


def _flags(e: IncidentEvidence) -> Line:
    question = "How do the provider flags stand?"
    if e.flags is None:
        return Line(question, None, "recon flags status")
    return Line(question, ", ".join(f"{name}={value}" for name, value in sorted(e.flags.items())), "flags")


def _health(e: IncidentEvidence) -> Line:
    question = "Do providers, chains, database and backend answer now?"
    if e.health is None:
        return Line(question, None, "recon triage summary --ask, or recon doctor")
    up = [each.name for each in e.health if each.is_up]
    down = [f"{each.name} DOES NOT: {each.says}" for each in e.health if each.is_up is False]
    down += [f"{each.name}: {CANNOT_TELL}, {each.says}" for each in e.health if each.is_up is None]
    said = "; ".join([*down, *([f"{', '.join(up)} answer"] if up else [])])
    return Line(question, said or f"{CANNOT_TELL}: there is nothing to ask", "asked just now")


def _readings(e: IncidentEvidence) -> Line:
    question = "Did every source answer in full when the plan was made?"
    if e.readings is None:
        return Line(question, None, "recon plan")
    return Line(
        question, "; ".join(f"{name}: {e.readings[name]}" for name in sorted(e.readings)), f"plan of {e.plan_at}"
    )


def _replay(e: IncidentEvidence) -> Line:
    question = "Which captured deliveries are to be replayed?"
    if e.deliveries is None:
        return Line(question, None, "recon triage deliveries FILE")
    if not e.deliveries.checked:
        return Line(question, f"cannot tell: {'; '.join((*e.deliveries.problems, *e.deliveries.unread))}", "deliveries")
    before, after = e.deliveries.before.payments, e.deliveries.after.payments
    short = len((*e.deliveries.problems, *e.deliveries.unread))
    more = f"; CANNOT TELL of all: {count_text(short, 'thing')} could not be read" if short else ""
    said = f"{len(e.deliveries.replay)}; payments told of rise from {before} to {after}{more}"
    return Line(question, said, "deliveries")


_QUESTIONS: Final = (
    _pending, _webhooks, _last_good, _rule, _safety, _blocking, _captured, _replay, _health, _readings, _flags,
)  # fmt: skip


def _webhook_signals(e: IncidentEvidence) -> list[Signal]:
    found = []
    for route in e.logs.routes if e.logs else ():
        if route.deliveries and route.failures * 2 >= route.deliveries:
            found.append((3, f"{route.failures} of {route.deliveries} deliveries of {route.provider} failed"))
        elif route.bursts:
            found.append((2, f"{route.provider} had {count_text(len(route.bursts), 'burst')} of failures"))
    dead = sum(bool(each.delivery.dead_letter) for each in e.deliveries.checked) if e.deliveries else 0
    behind = verdict_count(e, "local_behind")
    return [
        *found,
        (1 if dead else 0, count_text(dead, "dead letter")),
        (1 if behind else 0, f"{count_text(behind, 'row')} behind the chain"),
    ]


def _duplicate_signals(e: IncidentEvidence) -> list[Signal]:
    twice = verdict_count(e, "duplicate_tx_hash", "duplicate_provider_key", "multiple_transfers", "competing_payment")
    same = len(e.deliveries.same_id) if e.deliveries else 0
    return [
        (2 if twice else 0, f"{count_text(twice, 'payment')} paid or claimed twice"),
        (1 if same else 0, f"{count_text(same, 'delivery id')} came twice"),
    ]


def _missing_signals(e: IncidentEvidence) -> list[Signal]:
    count = verdict_count(e, "missing_local")
    return [
        (
            2 if count else 0,
            f"{count_text(count, 'transfer or provider object', many='transfers or provider objects')} without a row",
        )
    ]


def _release_signals(e: IncidentEvidence) -> list[Signal]:
    count = verdict_count(e, "stuck_release")
    return [
        (
            2 if count else 0,
            f"{count_text(count, 'release or refund', many='releases or refunds')} without proof for over 30 minutes",
        )
    ]


def _dispute_signals(e: IncidentEvidence) -> list[Signal]:
    count = verdict_count(e, "dispute_hold")
    return [
        (1 if count else 0, f"{count_text(count, 'disputed payment')} on which something would be due or is under way")
    ]


def _admin_signals(e: IncidentEvidence) -> list[Signal]:
    count = verdict_count(e, "local_ahead", "simulated_hash")
    return [
        (1 if count else 0, f"{count_text(count, 'payment')} that only the row calls paid, or with a simulated hash")
    ]


def _key_signals(e: IncidentEvidence) -> list[Signal]:
    wrong = sum(not each.is_trusted for each in e.deliveries.checked) if e.deliveries else 0
    denied = [r.provider for r in e.logs.routes for s, n in r.statuses if s in (401, 403) and n] if e.logs else []
    return [(3 if wrong else 0, f"{count_text(wrong, 'delivery', many='deliveries')} with a wrong signature"),
            (2 if denied else 0, f"401 or 403 on the route of {', '.join(sorted(set(denied)))}")]  # fmt: skip


def _down(e: IncidentEvidence, *, is_chain: bool) -> list[Health]:
    return [each for each in e.health or () if each.is_up is False and each.name.startswith("chain") == is_chain]


def _provider_signals(e: IncidentEvidence) -> list[Signal]:
    failed = verdict_count(e, "lookup_failed")
    away = [f"{each.name} does not answer" for each in _down(e, is_chain=False)]
    away += [text for text in e.coverage_problems if not text.startswith("chain:")]
    return [(3 if away else 0, "; ".join(away)[:300]), (1 if failed else 0, f"{failed} look-ups without an answer")]


def _rpc_signals(e: IncidentEvidence) -> list[Signal]:
    away = [f"{each.name} does not answer" for each in _down(e, is_chain=True)]
    away += [text for text in e.coverage_problems if text.startswith("chain:")]
    count = verdict_count(e, "unproven")
    return [(3 if away else 0, "; ".join(away)[:300]), (1 if count else 0, f"{count_text(count, 'payment')} unproven")]


def _proof_signals(e: IncidentEvidence) -> list[Signal]:
    count = verdict_count(e, "recipient_mismatch", "token_mismatch", "network_mismatch", "reference_mismatch")
    return [(2 if count else 0, f"{count_text(count, 'payment')} whose money is wrong in a field")]


_SCENARIOS: Final[tuple[tuple[str, Callable[[IncidentEvidence], Sequence[Signal]], str, str], ...]] = (
    ("failed webhook", _webhook_signals, "one pending payment: recon inspect ID",
     "isolate the provider, keep reconciling dry, prepare the replay list"),
    ("duplicate payment", _duplicate_signals, "recon inspect of one of them",
     "freeze release of the affected payments"),
    ("missing payment", _missing_signals, "recon inspect of the transaction or provider id",
     "freeze what it touches, keep the evidence"),
    ("stuck release", _release_signals, "payout status at the provider", "do not send a payout again"),
    ("disputed release attempt", _dispute_signals, "the dispute record", "leave the hold as it is"),
    ("compromised admin", _admin_signals, "recon inspect --outgoing --since 24h",
     "read_only mode, review what went out"),
    ("leaked key", _key_signals, "recon triage deliveries with the right secret",
     "rotate the secret, replay dry only"),
    ("provider outage", _provider_signals, "recon doctor", "recon flags rollback, watch the backlog drain"),
    ("RPC outage", _rpc_signals, "recon doctor", "add a fallback endpoint; proofs are kept, nothing is denied"),
    ("suspicious proof", _proof_signals, "recon inspect ID --verify-proof TX", "keep pending, operator review"),
)  # fmt: skip
