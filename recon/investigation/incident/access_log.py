"""Count webhook deliveries in web server logs, per provider, status and minute, and say what the runbook concludes.

What could not be read is counted beside what was: a line that names a route and tells no time, method or status makes
the conclusion "cannot tell", with what was read behind it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from recon.core.errors import UsageError
from recon.core.text import clean_text
from recon.core.times import second_text
from recon.investigation.incident.logs.formats import NO_ANSWER
from recon.investigation.incident.logs.given import parse_log_format
from recon.investigation.incident.logs.reader import LogReader
from recon.investigation.incident.logs.tally import Tally
from recon.sources.interface import Progress, no_progress
from recon.sources.providers.installed import providers, webhooks_of

BURST_FAILURES_MIN: Final = 5
"""Failures in one minute from which it counts as part of a burst."""

STATUSES_SHOWN: Final = 4
CANNOT_TELL: Final = "cannot tell"


class RouteError(UsageError):
    """A route is not written as provider and path."""

    def __init__(self, *, text: str) -> None:
        super().__init__(
            f"{clean_text(text, limit=80)!r} is no route; write provider and path, for example "
            f"{next(f'{name}={routes[0]}' for name, routes in webhook_routes().items())}."
        )


@dataclass(frozen=True, slots=True)
class Burst:
    """Minutes in a row with many failures."""

    provider: str
    from_at: datetime
    to_at: datetime
    failures: int
    statuses: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class RouteTriage:
    """One provider's deliveries in the logs.

    Args:
        statuses: Deliveries by status, most first.
        minutes: (minute, status) and how many, oldest first.
        first_good, last_good: When the first and the last delivery was accepted, or None.
        failures: Deliveries that their provider does not take for success.
        other_methods: Requests to the route that are no POST, not counted above.
        unread: Lines that name the route and could not be read, by what could not be found in them, most first.
        elsewhere: Requests to a path that only resembles the route, by path, most first.
        rule: What the runbook concludes, and ``advice``, what it says to do.
    """

    provider: str
    deliveries: int
    statuses: tuple[tuple[int, int], ...]
    minutes: tuple[tuple[datetime, int, int], ...]
    first_at: datetime | None
    last_at: datetime | None
    first_good: datetime | None
    last_good: datetime | None
    failures: int
    other_methods: int
    bursts: tuple[Burst, ...]
    rule: str
    advice: str
    unread: tuple[tuple[str, int], ...] = ()
    elsewhere: tuple[tuple[str, int], ...] = ()

    @property
    def unread_lines(self) -> int:
        """How many lines name the route and could not be read."""
        return sum(count for _, count in self.unread)

    @property
    def is_told(self) -> bool:
        """Whether anything is concluded of the route."""
        return not self.rule.startswith(CANNOT_TELL)


@dataclass(frozen=True, slots=True)
class LogTriage:
    """What the logs say.

    Args:
        read_bytes: How many bytes were looked through, after decompression.
        unreadable: Lines that name a route and could not be read.
        problems: Files that could not be read whole or are no access log, one sentence each; nothing may be concluded
            from their silence.
        from_at, to_at: From when to when the logs reach, by any of their requests; None where none could be read.
        zoneless: Requests to a route whose time has no zone; it was taken as UTC.
        since, until: The time that was asked about; None where it is open.
    """

    files: tuple[str, ...]
    routes: tuple[RouteTriage, ...]
    read_bytes: int
    unreadable: int
    problems: tuple[str, ...]
    from_at: datetime | None = None
    to_at: datetime | None = None
    zoneless: int = 0
    since: datetime | None = None
    until: datetime | None = None

    @property
    def time_text(self) -> str:
        """The time that was asked about: ``in these logs``, or since and until when in them."""
        since = f" since {second_text(self.since)}" if self.since else ""
        until = f" until {second_text(self.until)}" if self.until else ""
        return f"in these logs{since}{until}"

    @property
    def is_complete(self) -> bool:
        """Whether every file was read to its end, and every line that names a route."""
        return not self.problems and not self.unreadable


def parse_routes(texts: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Read ``provider=/path`` texts as routes by provider; without any, give the usual routes.

    Raises:
        RouteError: One is not of that form.
    """
    routes: dict[str, tuple[str, ...]] = {}
    for text in texts:
        provider, _, path = text.partition("=")
        if not re.fullmatch(r"[\w.-]{1,40}", provider) or not re.fullmatch(r"/[\x21-\x7e]{1,200}", path):
            raise RouteError(text=text)
        routes[provider] = (*routes.get(provider, ()), path)
    return routes or webhook_routes()


def triage_access_log(
    files: Sequence[Path],
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    routes: Mapping[str, Sequence[str]] | None = None,
    log_format: str | None = None,
    progress: Progress = no_progress,
) -> LogTriage:
    """Count the webhook deliveries in log files.

    A file that breaks off (a torn gzip) is counted as far as it goes and named in ``problems``.

    Args:
        since, until: Only requests from ``since`` on and before ``until``, aware UTC.
        log_format: The format of the lines, as the server's configuration has it; tried first.
        progress: Hears of ``log kB`` as the files are read.

    Raises:
        LogFileError: A file cannot be opened.
        PackedFileError: A file is packed in a way that is not read.
        LogFormatError: The format does not say where time, method, path and status stand.
    """
    named = routes or webhook_routes()
    flat = [(provider, path.encode()) for provider, paths in sorted(named.items()) for path in paths]
    low = _bound(since, 0)
    tally = Tally(window=(low, _bound(until, 2**62)))
    given = None if log_format is None else parse_log_format(log_format)
    read, size = 0, sum(file.stat().st_size for file in files if file.is_file())

    def heard(more: int) -> None:
        nonlocal read
        read += more
        progress("log kB", read // 1000, size // 1000)

    owners = [provider for provider, _ in flat]
    reader = LogReader([path for _, path in flat], owners=owners, tally=tally, given=given, heard=heard)
    for file in files:
        reader.read(file)
    silence = _silence(tally, since=since, until=until)
    return LogTriage(
        files=tuple(str(file) for file in files),
        routes=tuple(_route(provider, flat, tally, silence) for provider in sorted(named)),
        read_bytes=tally.read_bytes,
        unreadable=tally.unread.total(),
        problems=tuple(tally.problems),
        from_at=_at_or_none(tally.from_second),
        to_at=_at_or_none(tally.to_second),
        zoneless=tally.zoneless,
        since=since,
        until=until,
    )


QUIET: Final = timedelta(minutes=5)
"""A server may have had nothing to write for so long; logs that stop earlier say nothing of the rest."""


def _silence(tally: Tally, *, since: datetime | None, until: datetime | None) -> str | None:
    """Why the absence of deliveries in the time asked about proves nothing; None where it proves that none came."""
    if tally.from_second is None or tally.to_second is None:
        return "no request of any route could be read"
    begin, end = _at(tally.from_second), _at(tally.to_second)
    if since is not None and end < since:
        return f"the logs end at {second_text(end)}, before the time that is asked about"
    if since is not None and begin > since + QUIET:
        return f"the logs begin only at {second_text(begin)}, after the time that is asked about has begun"
    if until is not None and end < until - QUIET:
        return f"the logs end at {second_text(end)}, before the time that is asked about is over"
    return "not every file could be read" if tally.problems else None


def _bound(moment: datetime | None, default: int) -> int:
    return default if moment is None else int(moment.timestamp())


def webhook_routes() -> dict[str, tuple[str, ...]]:
    """The backend's webhook routes by provider; a configuration may name others."""
    return {name: each.webhooks.routes for name, each in providers().items() if each.webhooks.routes}


def is_good(provider: str, status: int) -> bool:
    """Whether a provider takes a status for success; one that is not installed takes any 2xx."""
    return webhooks_of(provider).takes(status)


def _route(provider: str, flat: Sequence[tuple[str, bytes]], tally: Tally, silence: str | None) -> RouteTriage:
    numbers = {number for number, (name, _) in enumerate(flat) if name == provider}
    minutes, statuses, others = _counted(tally, numbers)
    reach = [(key[2], times) for key, times in tally.reach.items() if key[0] in numbers and key[1]]
    first_at, last_at = _ends(times for _, times in reach)
    first_good, last_good = _ends(times for status, times in reach if is_good(provider, status))
    unread, elsewhere = _of_route(tally.unread, numbers), _of_route(tally.elsewhere, numbers)
    lines = sum(count for _, count in unread)
    rule, advice = runbook_rule(provider, statuses, silence=_why_silent(silence, elsewhere), unread=lines)
    return RouteTriage(
        provider=provider,
        deliveries=statuses.total(),
        statuses=tuple(sorted(statuses.items(), key=lambda item: (-item[1], item[0]))),
        minutes=tuple((_at(minute * 60), status, count) for (minute, status), count in sorted(minutes.items())),
        first_at=first_at,
        last_at=last_at,
        first_good=first_good,
        last_good=last_good,
        failures=_failures(provider, statuses),
        other_methods=others,
        bursts=tuple(_bursts(provider, minutes)),
        rule=rule,
        advice=advice,
        unread=unread,
        elsewhere=elsewhere,
    )


def _failures(provider: str, statuses: Mapping[int, int]) -> int:
    return sum(count for status, count in statuses.items() if not is_good(provider, status))


def _counted(tally: Tally, numbers: Iterable[int]) -> tuple[Counter[tuple[int, int]], Counter[int], int]:
    """POSTs by minute and status, and by status, and how many requests had another method."""
    own = set(numbers)
    minutes: Counter[tuple[int, int]] = Counter()
    statuses: Counter[int] = Counter()
    others = 0
    for (number, is_post, status, minute), count in tally.minutes.items():
        if number in own and is_post:
            minutes[minute, status] += count
            statuses[status] += count
        elif number in own:
            others += count
    return minutes, statuses, others


def _ends(reach: Iterable[tuple[int, int]]) -> tuple[datetime | None, datetime | None]:
    """The first and the last moment of several stretches."""
    found = list(reach)
    if not found:
        return None, None
    return _at(min(low for low, _ in found)), _at(max(high for _, high in found))


def _of_route(counted: Mapping[tuple[int, str], int], numbers: Iterable[int]) -> tuple[tuple[str, int], ...]:
    """What was counted under the routes of one provider, most first."""
    own = set(numbers)
    summed: Counter[str] = Counter()
    for (number, word), count in counted.items():
        if number in own:
            summed[word] += count
    return tuple(sorted(summed.items(), key=lambda item: (-item[1], item[0])))


def _why_silent(silence: str | None, elsewhere: Sequence[tuple[str, int]]) -> str | None:
    if not elsewhere:
        return silence
    said = ", ".join(f"{count} to {path}" for path, count in elsewhere[:3])
    return f"requests went to other paths that resemble its route, {said}; name the one that is meant with --route"


_LAST_SECOND: Final = 253_402_300_799
"""The last of the year 9999: what a log says of later is out of every calendar."""


def _at_or_none(second: int | None) -> datetime | None:
    return None if second is None else _at(second)


def _at(second: int) -> datetime:
    return datetime.fromtimestamp(min(second, _LAST_SECOND), UTC)


def _bursts(provider: str, minutes: Mapping[tuple[int, int], int]) -> Iterator[Burst]:
    failed: dict[int, Counter[int]] = {}
    for (minute, status), count in minutes.items():
        if not is_good(provider, status):
            failed.setdefault(minute, Counter())[status] += count
    loud = [minute for minute in sorted(failed) if failed[minute].total() >= BURST_FAILURES_MIN]
    run: list[int] = []
    for minute in [*loud, -1]:
        if run and minute != run[-1] + 1:
            total: Counter[int] = sum((failed[each] for each in run), Counter())
            yield Burst(
                provider=provider,
                from_at=_at(run[0] * 60),
                to_at=_at(run[-1] * 60 + 60),
                failures=total.total(),
                statuses=tuple(sorted(total.items())),
            )
            run = []
        run.append(minute)


def runbook_rule(
    provider: str, statuses: Mapping[int, int], *, silence: str | None = None, unread: int = 0
) -> tuple[str, str]:
    """What the statuses mean by the runbook, and what it says to do; the most frequent kind of failure first.

    Args:
        silence: Why no delivery in the logs does not mean that none came; None where it does.
        unread: Lines that name the route and could not be read; with any of them the conclusion is open.
    """
    rule, advice = _rule_of(provider, statuses, silence)
    if not unread:
        return rule, advice
    lines = f"cannot tell: {unread} {'line names' if unread == 1 else 'lines name'} its route and could not be read"
    look = "Name the format of these lines with --log-format and look again."
    return (f"{lines}; of the others {rule}", f"{look} {advice}") if statuses else (lines, look)


def _rule_of(provider: str, statuses: Mapping[int, int], silence: str | None) -> tuple[str, str]:
    if not statuses and silence is not None:
        return f"cannot tell: {silence}", "Name the access logs of the time in question, whole, and look again."
    if not statuses:
        return "nothing came: a fault on the way to the server", (
            "No delivery reached the server on this route. Check that it is the backend's (--route names another), the "
            "provider's webhook settings, the network path and the ingress; payments that were missed are found by "
            "recon plan."
        )
    kinds: Counter[str] = Counter()
    for status, count in statuses.items():
        kinds[_kind_of(provider, status)] += count
    share = f"{kinds['good']} of {kinds.total()} accepted ({_percent(kinds['good'], kinds.total())})"
    bad = {kind: count for kind, count in kinds.items() if kind != "good" and count}
    if not bad:
        return f"{share}; if payments are still pending, the safety check holds them", (
            "Look at metadata.transactionSafety of the pending payments: recon inspect ID names the check."
        )
    ranked = sorted(bad, key=lambda kind: (-bad[kind], kind))
    named = "; ".join(f"{_which(provider, statuses, kind)} {_RULES[kind][0]}" for kind in ranked)
    return f"{share}; {named}", " ".join(_RULES[kind][1] or _accepting(provider) for kind in ranked)


def _which(provider: str, statuses: Mapping[int, int], kind: str) -> str:
    """The statuses of one kind with their counts: ``8 x 404:``."""
    own = sorted((-count, status) for status, count in statuses.items() if _kind_of(provider, status) == kind)
    more = " and others" if len(own) > STATUSES_SHOWN else ""
    return ", ".join(f"{-count} x {status or 'no status'}" for count, status in own[:STATUSES_SHOWN]) + more + ":"


def _percent(part: int, whole: int) -> str:
    """A share that is never rounded to all or nothing.

    >>> _percent(999, 1000), _percent(99, 100), _percent(99_999, 100_000)
    ('99.9 %', '99 %', '99.9 %')
    """
    tenths = part * 1000 // whole
    tenths = max(tenths, 1) if part else 0
    return f"{tenths // 10}.{tenths % 10} %".replace(".0 %", " %")


def _kind_of(provider: str, status: int) -> str:
    if is_good(provider, status):
        return "good"
    if status in (401, 403, 404):
        return "404" if status == 404 else "denied"
    if status in (NO_ANSWER, 499):
        return "unanswered"
    return "unaccepted" if 200 <= status < 400 else "failed"


def _accepting(provider: str) -> str:
    """What a provider has to be answered, by its own rule."""
    webhooks = webhooks_of(provider)
    if webhooks.accepted:
        wanted = " or ".join(str(status) for status in webhooks.accepted)
        rest = "" if webhooks.gives_up_after else "; it sends again until then"
        return f"Make the route answer {wanted}, which alone is success to {provider}{rest}."
    rest = f" It gives up after {webhooks.gives_up_after} tries." if webhooks.gives_up_after else ""
    return f"Make the route answer 2xx: {provider} takes neither a redirect nor another status for success.{rest}"


_RULES: Final[Mapping[str, tuple[str, str | None]]] = {
    "404": (
        "a correlation or configuration bug",
        "Do not ask for a second paid probe. Find the captured deliveries and replay them once it is mended.",
    ),
    "denied": (
        "deliveries are turned away as not genuine",
        "Check the webhook secret and that the raw body is verified (runbook: leaked key).",
    ),
    "unaccepted": ("answered, but not with a status that the provider takes for success", None),
    "unanswered": (
        "the connection was closed before an answer was given",
        "See how long the backend takes: a provider that waits no longer hangs up; what it sent may be handled.",
    ),
    "failed": (
        "the backend fails on deliveries",
        "See its errors of these minutes; isolate the provider if it lasts, then replay (runbook: failed webhook).",
    ),
}
"""What each kind of answer means, and what to do; None where that is the provider's own rule."""
