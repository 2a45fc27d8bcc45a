"""Charts of a plan and its snapshot, as data. The numbers are those of the summary and of the findings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import Any, Final

from recon.core.model import Finding, Plan, Policy, Severity, Verdict
from recon.core.money import decimal_amount, whole_tokens
from recon.core.registry import Registry
from recon.core.registry.off_chain import OFF_CHAIN, OFF_CHAIN_NAME
from recon.core.text import count_text, group_digits
from recon.reports.pages.page import Chart, counted
from recon.reports.pages.whole import Whole
from recon.reports.text import amount_text, display_text
from recon.reports.views.totals import breaks_of

AGES: Final = (
    ("under 30 min", 30 * 60), ("30 min to 24 h", 86_400), ("1 to 3 days", 3 * 86_400), ("3 to 7 days", 7 * 86_400),
    ("over 7 days", None),
)  # fmt: skip
NOTHING: Final = "says nothing"
BUCKETS_MAX: Final = 180
"""Most points of a time axis; the step is the smallest round one that keeps to it."""

_STEPS_MS: Final = tuple(minutes * 60_000 for minutes in (1, 5, 15, 60, 180, 360, 720, 1440, 10_080, 43_200))
_FINE_MS: Final = (1_000, 5_000, *_STEPS_MS)
_QUIET: Final = frozenset(
    verdict.value
    for verdict in (
        Verdict.IN_SYNC, Verdict.PARTLY_REFUNDED, Verdict.IN_TRANSIT, Verdict.ABANDONED, Verdict.TEST_PAYMENT,
        Verdict.OUT_OF_SCOPE,
    )
)  # fmt: skip
_FLOW_MAX: Final = 8
DEPTHS: Final = ("under the threshold", "deep enough, not final", "final")
_BARS_MAX: Final = 14


def plan_charts(plan: Plan, *, whole: Whole | None, policy: Policy | None, registry: Registry) -> tuple[Chart, ...]:
    """The pictures with something to show, in reading order."""
    breaks = breaks_of(plan)
    charts = [
        _split(plan, "by_provider", "provider", "Verdicts by provider", registry),
        _split(plan, "by_chain", "chain", "Verdicts by chain", registry),
        _money(plan, registry),
        _ages(breaks),
        _flow(breaks),
    ]
    seen = () if whole is None else snapshot_charts(whole, policy=policy, registry=registry)
    return (*(chart for chart in charts if chart is not None), *seen)


def snapshot_charts(whole: Whole, *, policy: Policy | None, registry: Registry) -> tuple[Chart, ...]:
    """The pictures of the evidence itself, without any judgement.

    Args:
        policy: For the thresholds; the default ones when not given.
    """
    charts = (_arrivals(whole), _depth(whole, policy=policy, registry=registry))
    return tuple(chart for chart in charts if chart is not None)


def delivery_chart(deliveries: Iterable[tuple[int | None, int | None]]) -> Chart | None:
    """Notifications over time by how they were answered.

    Args:
        deliveries: (UTC milliseconds, HTTP status) of each.
    """
    known = [(at, _answer(status)) for at, status in deliveries if at is not None]
    if not known:
        return None
    return time_chart(
        "deliveries", "Notifications by answer", known=known, note=f"{count_text(len(known), 'notification')}."
    )


def time_chart(name: str, title: str, *, known: Sequence[tuple[int, str]], note: str, is_fine: bool = False) -> Chart:
    """Things over time, a series for each word.

    Args:
        known: UTC milliseconds and word of each, at least one.
        is_fine: Whether steps may be as short as a second.
    """
    times = [at for at, _ in known]
    start, step, size = _axis(times, _FINE_MS if is_fine else _STEPS_MS)
    series = [
        {
            "name": display_text(each),
            "values": _histogram((at for at, word in known if word == each), start=start, step=step, size=size),
        }
        for each in sorted({word for _, word in known})
    ]
    data = {"start_ms": start, "step_ms": step, "series": series, "gaps": []}
    return Chart(name, title, "time", data, note)


def _answer(status: int | None) -> str:
    return "no answer" if status is None else f"answered {status // 100}xx"


def _axis(times: Sequence[int], steps: Sequence[int] = _STEPS_MS) -> tuple[int, int, int]:
    """Start, step and number of steps of a time axis over these milliseconds."""
    start, end = min(times), max(times)
    step = next((step for step in steps if (end - start) // step < BUCKETS_MAX), steps[-1])
    start -= start % step
    return start, step, min((end - start) // step + 1, BUCKETS_MAX * 20)


def chain_name(chain_id: object, registry: Registry) -> str:
    """A chain as people know it, with its number; ``none`` stays as it is."""
    text = str(chain_id)
    if text == str(OFF_CHAIN):
        return OFF_CHAIN_NAME
    number = _chain_id(text)
    facts = None if number is None else registry.chains.get(number)
    return f"{facts.name} ({text})" if facts else text


def _chain_id(text: str) -> int | None:
    return int(text) if text.isdecimal() and len(text) < 20 else None


def _split(plan: Plan, name: str, column: str, title: str, registry: Registry) -> Chart | None:
    """Stacked by provider or chain, the verdicts that a person must look at or wait for."""
    parts: Mapping[str, Mapping[str, Any]] = plan.summary.get(name) or {}
    totals = _verdict_totals(parts)
    loud = {verdict: count for verdict, count in totals.items() if verdict not in _QUIET}
    if not loud:
        return None
    categories = sorted(loud, key=lambda verdict: (-loud[verdict], verdict))
    shown, rest = categories[:_BARS_MAX], categories[_BARS_MAX:]
    series = [
        {
            "name": chain_name(part, registry) if column == "chain" else display_text(part),
            "values": _bar(parts[part], shown, rest),
        }
        for part in sorted(parts, key=lambda part: (-sum(map(int, parts[part].values())), part))
    ]
    series = [each for each in series if any(each["values"])]
    calm = sum(totals.values()) - sum(loud.values())
    note = f"{calm:,} more are in sync or nothing is due."
    data = {"categories": shown + ([count_text(len(rest), "more verdict")] if rest else []), "series": series}
    return Chart(name, title, "bars", data, note, ("verdict", column))


def _verdict_totals(parts: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    totals: dict[str, int] = {}
    for counts in parts.values():
        for verdict, count in counts.items():
            totals[verdict] = totals.get(verdict, 0) + int(count)
    return totals


def _bar(counts: Mapping[str, Any], shown: Sequence[str], rest: Sequence[str]) -> list[int]:
    """The counts of the verdicts that are shown, and the sum of the rest where there is one."""
    bar = [int(counts.get(verdict, 0)) for verdict in shown]
    return [*bar, sum(int(counts.get(verdict, 0)) for verdict in rest)] if rest else bar


@dataclass(frozen=True, slots=True)
class _TokenMoney:
    """Money of one token: at risk, and captured without being credited, in base units."""

    label: str
    symbol: str
    decimals: int
    units: tuple[int, int]

    def whole(self, at: int) -> Decimal:
        """One of the two in whole tokens."""
        return whole_tokens(self.units[at], decimals=self.decimals)

    def text(self, at: int) -> str:
        """One of the two with its symbol."""
        return group_digits(amount_text(self.units[at], decimals=self.decimals, symbol=self.symbol))


def _money(plan: Plan, registry: Registry) -> Chart | None:
    """At risk, and captured without being credited, per chain and token."""
    rows = sorted(_token_money(plan, registry), key=lambda row: (-row.whole(0), row.label))
    if not rows:
        return None
    series = [
        {
            "name": name,
            "values": [decimal_amount(row.whole(at)) for row in rows],
            "texts": [row.text(at) for row in rows],
        }
        for at, name in enumerate(("at risk", "captured, not credited"))
    ]
    data = {"categories": [row.label for row in rows], "series": series}
    return Chart("money", "Money at risk", "money", data, "In whole tokens; every token counted by itself.")


def _token_money(plan: Plan, registry: Registry) -> Iterator[_TokenMoney]:
    """The sums of a plan by token; tokens whose decimals are not known are left out."""
    risk, captured = (plan.summary.get(name) or {} for name in ("value_at_risk", "captured_not_credited"))
    named = {f"{item.chain_id}:{item.token}": (item.symbol, item.decimals) for item in plan.findings if item.token}
    for key in {*risk, *captured}:
        chain, _, address = str(key).partition(":")
        token = registry.tokens.get((_chain_id(chain) or 0, address))
        symbol, decimals = (token.symbol, token.decimals) if token else named.get(key, (None, None))
        if decimals is not None:
            shown = display_text(symbol or "?")
            label = f"{shown} on {chain_name(chain, registry)}"
            yield _TokenMoney(label, shown, decimals, (int(risk.get(key, 0)), int(captured.get(key, 0))))


def _ages(breaks: Sequence[Finding]) -> Chart | None:
    if not breaks:
        return None
    found = counted((_age_name(item.age_s), item.severity.value) for item in breaks)
    names = [name for name, _ in AGES] + (["age not known"] if "age not known" in found else [])
    levels = [level.value for level in reversed(Severity)]
    series = [{"name": level, "values": [found.get(name, {}).get(level, 0) for name in names]} for level in levels]
    series = [each for each in series if any(each["values"])]
    data = {"categories": names, "series": series}
    return Chart("ages", "Breaks by age and severity", "columns", data, "", ("age_band", "severity"))


def _age_name(age_s: int | None) -> str:
    if age_s is None:
        return "age not known"
    return next(name for name, limit in AGES if limit is None or age_s < limit)


age_band = _age_name
"""The bucket of :data:`AGES` that an age falls into."""


def _flow(breaks: Iterable[Finding]) -> Chart | None:
    """What our record says, then the provider, then the chain, for the payments that a person must look at."""
    paths = _paths(breaks)
    if not paths:
        return None
    kept = [_common(number, paths) for number in range(3)]
    links: dict[tuple[str, str], int] = {}
    for path, count in paths.items():
        for pair in pairwise(_named(path, kept)):
            links[pair] = links.get(pair, 0) + count
    nodes = sorted({name for pair in links for name in pair})
    data = {
        "nodes": nodes,
        "links": [{"from": a, "to": b, "value": count} for (a, b), count in sorted(links.items())],
        "sides": list(_SIDES),
    }
    note = f"{count_text(sum(paths.values()), 'break')} about a payment of ours."
    return Chart("flow", "Our record, the provider, the chain", "flow", data, note)


def _paths(breaks: Iterable[Finding]) -> dict[tuple[str, str, str], int]:
    """What record, provider and chain say of the status, and how many breaks say so."""
    paths: dict[tuple[str, str, str], int] = {}
    for item in breaks:
        view = next((view for view in item.fields if view.field == "status"), None)
        if view is not None:
            path = (_word(view.local), _word(view.provider), _word(view.chain))
            paths[path] = paths.get(path, 0) + 1
    return paths


def _word(said: str | None) -> str:
    return display_text(said or NOTHING, length_max=40)


def _named(path: tuple[str, str, str], kept: Sequence[set[str]]) -> list[str]:
    """The words of a path, each with the side that says it."""
    return [f"{side}: {_kept(word, common)}" for side, word, common in zip(_SIDES, path, kept, strict=True)]


_SIDES: Final = ("our record", "provider", "chain")


def _common(number: int, paths: Mapping[tuple[str, str, str], int]) -> set[str]:
    counts: dict[str, int] = {}
    for path, count in paths.items():
        counts[path[number]] = counts.get(path[number], 0) + count
    return set(sorted(counts, key=lambda word: (-counts[word], word))[:_FLOW_MAX])


def _kept(word: str, common: set[str]) -> str:
    return word if word in common else "another word"


def _arrivals(whole: Whole) -> Chart | None:
    """Payments made and transfers seen over time, and the stretches that could not be read."""
    made = _known_times(whole.payments["created_at"])
    seen = _known_times(whole.transfers["block_time"])
    told = _known_times(whole.deliveries["received_at"])
    if not made:
        return None
    start, step, size = _axis(made)
    series = [
        {"name": name, "values": _histogram(times, start=start, step=step, size=size)}
        for name, times in (("payments made", made), ("transfers seen", seen), ("notifications", told))
        if times
    ]
    gaps = _shaded(whole, start=start, end=start + size * step)
    data = {"start_ms": start, "step_ms": step, "series": series, "gaps": gaps[:200]}
    return Chart("arrivals", "Arrivals over time", "time", data, _unread_note(whole, shaded=len(gaps)))


def _unread_note(whole: Whole, *, shaded: int) -> str:
    """How much of the time was not read; that nothing was left out only where every reading was whole."""
    if shaded:
        return f"{count_text(shaded, 'stretch', many='stretches')} of time left unread: shaded."
    if whole.short or whole.gaps.num_rows:
        return "Cannot tell which stretches of time were read: not every reading was complete, and none can be shaded."
    return "No stretch of time was left unread."


def _known_times(column: Any) -> list[int]:
    return [at for at in column.to_pylist() if at is not None]


def _shaded(whole: Whole, *, start: int, end: int) -> list[dict[str, Any]]:
    """The stretches that could not be read, as far as they lie on the axis."""
    bounded = [gap for gap in whole.gaps.to_pylist() if gap["from_ms"] is not None and gap["to_ms"] is not None]
    return [
        {
            "from": max(int(gap["from_ms"]), start),
            "to": min(int(gap["to_ms"]), end),
            "text": f"{display_text(gap['source'])} {display_text(gap['scope'])}: {display_text(gap['reason'] or '')}",
        }
        for gap in bounded
        if gap["to_ms"] >= start
    ]


def _histogram(times: Iterable[int], *, start: int, step: int, size: int) -> list[int]:
    counts = [0] * size
    for at in times:
        if 0 <= (number := (at - start) // step) < size:
            counts[number] += 1
    return counts


def _depth(whole: Whole, *, policy: Policy | None, registry: Registry) -> Chart | None:
    """How deep the transfers lie that belong to payments, against the threshold of their chain."""
    policy = policy or Policy()
    found: dict[int, list[int]] = {}
    columns = (whole.transfers[name].to_pylist() for name in ("chain_id", "confirmations", "final"))
    for chain_id, depth, final in zip(*columns, strict=True):
        if chain_id is None or depth is None:
            continue
        row = found.setdefault(chain_id, [0, 0, 0])
        row[2 if final else 1 if depth >= policy.confirmations_of(chain_id) else 0] += 1
    if not found:
        return None
    chains = sorted(found)
    data = {
        "categories": [f"{chain_name(chain, registry)}, needs {policy.confirmations_of(chain)}" for chain in chains],
        "series": [{"name": name, "values": [found[c][at] for c in chains]} for at, name in enumerate(DEPTHS)],
    }
    return Chart("depth", "Confirmations against thresholds", "depth", data, "Transfers that were read, by chain.")
