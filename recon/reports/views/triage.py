"""Triage as reports: what the access logs say, what to make of deliveries, and the first page."""

from __future__ import annotations

from collections.abc import Iterator

from recon.core.text import clean_text, count_text
from recon.core.times import second_text
from recon.investigation.incident.access_log import LogTriage, RouteTriage
from recon.investigation.incident.first_page import FirstPage
from recon.investigation.incident.replay import DeliveryTriage, Totals
from recon.reports.model import Column, Fact, Report, Table
from recon.sources.deliveries.delivery import Delivery

_MINUTES_SHOWN = 30
_ROWS_SHOWN = 30
_UNTOLD = "cannot tell: not everything could be read"


def render_log_triage(found: LogTriage) -> Report:
    """Statuses by route, bursts, minutes, and what the runbook says."""
    facts = [
        Fact("files", "files", str(len(found.files)), "count"),
        Fact("read", "bytes looked through", str(found.read_bytes), "count"),
        Fact("from_at", "requests from", second_text(found.from_at) or "none could be read", "time"),
        Fact("to_at", "requests to", second_text(found.to_at), "time"),
    ]
    for route in found.routes:
        is_bad = bool(route.failures or route.unread) or not route.deliveries
        facts.append(Fact(f"rule_{route.provider}", route.provider, route.rule, alarm=is_bad))
        facts.append(Fact(f"advice_{route.provider}", "  to do", route.advice))
        for why, count in route.unread:
            facts.append(
                Fact(f"unread_{route.provider}", "  NOT READ", f"{count_text(count, 'line')}: {why}", alarm=True)
            )
        for path, count in route.elsewhere:
            facts.append(
                Fact(
                    f"elsewhere_{route.provider}",
                    "  resembles it",
                    f"{count_text(count, 'request')} to {path}",
                    alarm=True,
                )
            )
    if found.unreadable:
        facts.append(
            Fact("unreadable", "lines with a route that could not be read", str(found.unreadable), "count", alarm=True)
        )
    if found.zoneless:
        facts.append(Fact("zoneless", "times without a zone, taken as UTC", str(found.zoneless), "count"))
    facts += [Fact("problem", "NOT READ", text, alarm=True) for text in found.problems]
    return Report("access_log", "Webhook deliveries in the access logs", tuple(facts), tuple(_log_tables(found)))


def _log_tables(found: LogTriage) -> Iterator[Table]:
    names: tuple[Column, ...]
    columns = (
        Column("provider", "provider"), Column("deliveries", "deliveries", "count"),
        Column("failures", "not accepted", "count"), Column("first", "first", "time"), Column("last", "last", "time"),
        Column("first_good", "first good", "time"), Column("last_good", "last good", "time"),
        Column("other", "no POST", "count", wide=True),
    )  # fmt: skip
    rows = tuple(_route_row(route) for route in found.routes)
    yield Table("routes", "Routes", columns, rows)
    counts = tuple((r.provider, str(s), str(n)) for r in found.routes for s, n in r.statuses)
    names = (Column("provider", "provider"), Column("status", "status"), Column("count", "deliveries", "count"))
    empty = "no delivery reached the server" if _is_told(found) else _UNTOLD
    yield Table("statuses", "Statuses", names, counts, empty=empty)
    bursts = tuple(
        (b.provider, second_text(b.from_at), second_text(b.to_at), str(b.failures), _statuses(b.statuses))
        for r in found.routes
        for b in r.bursts
    )
    names = (
        Column("provider", "provider"), Column("from", "from", "time"), Column("to", "to", "time"),
        Column("failures", "failures", "count"), Column("statuses", "statuses"),
    )  # fmt: skip
    yield Table("bursts", "Bursts of failures", names, bursts, empty="none" if _is_told(found) else _UNTOLD)
    minutes = tuple((second_text(m), r.provider, str(s), str(n)) for r in found.routes for m, s, n in r.minutes)
    names = (Column("minute", "minute", "time"), Column("provider", "provider"), Column("status", "status"),
             Column("count", "deliveries", "count"))  # fmt: skip
    note = f"the last {_MINUTES_SHOWN} of {len(minutes)}; all of them with --format csv --part minutes"
    note = note if len(minutes) > _MINUTES_SHOWN else ""
    newest = tuple(sorted(minutes, reverse=True))
    yield Table("minutes", "By minute, newest first", names, newest, note=note, shown=_MINUTES_SHOWN)


def _is_told(found: LogTriage) -> bool:
    """Whether everything was read, and something is concluded of every route."""
    return found.is_complete and all(route.is_told for route in found.routes)


def _route_row(route: RouteTriage) -> tuple[str, ...]:
    times = (route.first_at, route.last_at, route.first_good, route.last_good)
    counts = (str(route.deliveries), str(route.failures))
    return (route.provider, *counts, *map(second_text, times), str(route.other_methods))


def _statuses(statuses: tuple[tuple[int, int], ...]) -> str:
    return ", ".join(f"{count} x {status}" for status, count in statuses)


def render_delivery_triage(found: DeliveryTriage) -> Report:
    """Counts, signatures, repetitions, order, the replay list and the totals around it."""
    facts = [Fact("deliveries", "deliveries", str(len(found.checked)), "count")]
    facts += [Fact("count", f"  {name}", str(count), "count") for name, count in found.counts.items()]
    facts += [
        Fact(f"signature_{name}", f"  signature {name.replace('_', ' ')}", str(count), "count",
             alarm=name in ("invalid", "said_invalid", "stale", "rewritten", "masked"))
        for name, count in found.signatures.items()
    ]  # fmt: skip
    facts += [
        Fact("replay", "to be replayed", str(len(found.replay)), "count", alarm=bool(found.replay)),
        Fact("before", "accepted deliveries tell of", _totals(found.before)),
        Fact("after", "and with the replay", _totals(found.after)),
        *(Fact("problem", "NOT READ", text, alarm=True) for text in found.problems),
        *(Fact("unread", "CANNOT TELL", text, alarm=True) for text in found.unread),
    ]
    none = "none" if found.is_complete else _UNTOLD
    tables = [_replay_table(found), _left_table(found)]
    repeated = tuple((name, str(count)) for name, count in found.same_id)
    columns = (Column("delivery_id", "delivery", "id"), Column("count", "times", "count"))
    tables.append(Table("same_id", "Delivery ids that came more than once", columns, repeated, empty=none,
                        shown=_ROWS_SHOWN))  # fmt: skip
    told = tuple((" ".join(filter(None, key)), ", ".join(ids)) for key, ids in found.same_payment)
    columns = (Column("payment", "payment", "id"), Column("deliveries", "told by"))
    tables.append(Table("same_payment", "Payments told by several deliveries", columns, told, empty=none,
                        shown=_ROWS_SHOWN))  # fmt: skip
    lines = tuple((text,) for text in found.out_of_order)
    if found.gaps:
        gaps = tuple((text,) for text in found.gaps)
        tables.append(Table("gaps", "Streams to be read again", (Column("says", "", "prose"),), gaps,
                            shown=_ROWS_SHOWN))  # fmt: skip
    tables.append(Table("order", "Out of order", (Column("says", "", "prose"),), lines, empty=none, shown=_ROWS_SHOWN))
    return Report("deliveries", "Webhook deliveries", tuple(facts), tuple(tables))


def _replay_table(found: DeliveryTriage) -> Table:
    columns = (
        Column("order", "", "count"), Column("delivery_id", "delivery", "id"), Column("provider", "provider"),
        Column("event", "event"), Column("key", "request or order", "id"), Column("answered", "answered"),
        Column("signature", "signature"), Column("kept_at", "kept at", wide=True),
    )  # fmt: skip
    rows = []
    for number, each in enumerate(found.replay, 1):
        delivery = each.delivery
        key = delivery.request_id or delivery.external_id or delivery.reference or ""
        answer = "nothing" if delivery.http_status is None else f"HTTP {delivery.http_status}"
        rows.append((str(number), delivery.delivery_id or "", delivery.provider, _event(delivery), key, answer,
                     each.signature, delivery.place))  # fmt: skip
    note = "Sending stays outside: recon triage deliveries --out FILE writes this list for the tool that sends."
    title, empty = "Replay list, oldest first", "nothing" if found.is_complete else _UNTOLD
    return Table("replay", title, columns, tuple(rows), note=note, empty=empty, shown=_ROWS_SHOWN)


def _event(delivery: Delivery) -> str:
    """The event with the state that it tells; of a body that could not be read nothing is known."""
    if not delivery.is_told:
        return "not read"
    state = delivery.payload.get("subStatus") or delivery.payload.get("status")
    return clean_text(f"{delivery.event or ''} {state if isinstance(state, str) else ''}", limit=60).strip()


def _left_table(found: DeliveryTriage) -> Table:
    reasons: dict[str, int] = {}
    for each in found.checked:
        if each.action != "replay":
            reasons[each.action] = reasons.get(each.action, 0) + 1
    rows = tuple((why, str(count)) for why, count in sorted(reasons.items(), key=lambda item: (-item[1], item[0])))
    columns = (Column("why", "not replayed because", "prose"), Column("count", "deliveries", "count"))
    return Table("left", "Left alone", columns, rows, empty="none" if found.is_complete else _UNTOLD)


def _totals(totals: Totals) -> str:
    money = ", ".join(f"{format(amount, 'f')} {currency}" for currency, amount in totals.money)
    unknown = f", {totals.without_amount} without an amount" if totals.without_amount else ""
    return count_text(totals.payments, "payment") + (f": {money}" if money else "") + unknown


def render_page(page: FirstPage) -> Report:
    """The first page: facts, then guesses, then what was not looked at."""
    names = (Column("question", "question", "prose"), Column("answer", "measured", "prose"), Column("source", "from"))
    facts = tuple((line.question, line.answer or "", line.source) for line in page.facts)
    guess_names = (
        Column("scenario", "runbook"), Column("because", "because", "prose"),
        Column("settle", "what would settle it", "prose"), Column("first", "first step", "prose"),
    )  # fmt: skip
    guesses = tuple((g.scenario, "; ".join(g.because), g.settle, g.first) for g in page.guesses)
    head = [Fact("at", "as of", second_text(page.at), "time")]
    if page.guesses:
        best = page.guesses[0]
        head.append(Fact("guess", "best guess, not confirmed", best.scenario, alarm=True))
    if page.unread:
        head.append(
            Fact("unread", "CANNOT TELL", f"{count_text(len(page.unread), 'thing')} could not be read", alarm=True)
        )
    unread = tuple((text,) for text in page.unread)
    unknown = tuple((line.question, line.source) for line in page.unknown)
    ask = (Column("question", "question", "prose"), Column("source", "how to find out"))
    tables = (
        Table("measured", "Facts: measured", names, facts, empty="nothing was measured"),
        Table(
            "guesses",
            "Guesses: what they suggest, not confirmed",
            guess_names,
            guesses,
            empty="none" if page.is_complete else _UNTOLD,
        ),
        Table(
            "unread",
            "Could not be read, so what it holds may change the rest",
            (Column("says", "", "prose"),),
            unread,
            empty="everything that was looked at was read",
        ),
        Table("unknown", "Not looked at", ask, unknown, empty="everything was looked at"),
    )
    return Report("summary", "The first ten minutes", tuple(head), tables)
