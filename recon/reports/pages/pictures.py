"""Charts of a plan and its snapshot, as data. The numbers are those of the summary and of the findings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from recon.core.model import Finding, Plan, Policy, Severity, Verdict
from recon.core.registry import Registry
from recon.reports.pages.page import Chart, counted
from recon.reports.pages.whole import Whole
from recon.reports.text import amount_text, decimal_amount, display_text, group_digits, whole_tokens
from recon.reports.views.plan import breaks_of

AGES: Final = (
    ("under 30 min", 30 * 60), ("30 min to 24 h", 86_400), ("1 to 3 days", 3 * 86_400), ("3 to 7 days", 7 * 86_400),
    ("over 7 days", None),
)  # fmt: skip
NOTHING: Final = "says nothing"
BUCKETS_MAX: Final = 180
"""Most points of a time axis; the step is the smallest round one that keeps to it."""

_STEPS_MS: Final = tuple(minutes * 60_000 for minutes in (1, 5, 15, 60, 180, 360, 720, 1440, 10_080, 43_200))
_FINE_MS: Final = (1_000, 5_000, *_STEPS_MS)
_QUIET: Final = (Verdict.IN_SYNC, Verdict.IN_TRANSIT, Verdict.ABANDONED, Verdict.TEST_PAYMENT, Verdict.OUT_OF_SCOPE)
_FLOW_MAX: Final = 8
DEPTHS: Final = ("under the threshold", "deep enough, not final", "final")
_BARS_MAX: Final = 14


def plan_charts(plan: Plan, *, whole: Whole | None, policy: Policy | None, registry: Registry) -> tuple[Chart, ...]:
    """The pictures that there is something to show in, in reading order."""
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
    return time_chart("deliveries", "Notifications by answer", known=known, note=f"{len(known):,} notifications.")


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
    facts = registry.chains.get(int(text)) if text.isdecimal() and len(text) < 20 else None
    return f"{facts.name} ({text})" if facts else text


def _split(plan: Plan, name: str, column: str, title: str, registry: Registry) -> Chart | None:
    """Stacked by provider or chain, the verdicts that somebody must look at or wait for."""
    parts: Mapping[str, Mapping[str, Any]] = plan.summary.get(name) or {}
    quiet = {verdict.value for verdict in _QUIET}
    totals: dict[str, int] = {}
    for counts in parts.values():
        for verdict, count in counts.items():
            if verdict not in quiet:
                totals[verdict] = totals.get(verdict, 0) + int(count)
    if not totals:
        return None
    categories = sorted(totals, key=lambda verdict: (-totals[verdict], verdict))
    shown, rest = categories[:_BARS_MAX], categories[_BARS_MAX:]
    series = [
        {
            "name": chain_name(part, registry) if column == "chain" else display_text(part),
            "values": [int(parts[part].get(verdict, 0)) for verdict in shown]
            + ([sum(int(parts[part].get(verdict, 0)) for verdict in rest)] if rest else []),
        }
        for part in sorted(parts, key=lambda part: (-sum(map(int, parts[part].values())), part))
    ]
    series = [each for each in series if any(each["values"])]
    calm = sum(int(count) for counts in parts.values() for verdict, count in counts.items() if verdict in quiet)
    note = f"{calm:,} more are in sync or nothing is due."
    data = {"categories": shown + ([f"{len(rest)} more verdicts"] if rest else []), "series": series}
    return Chart(name, title, "bars", data, note, ("verdict", column))


def _money(plan: Plan, registry: Registry) -> Chart | None:
    """At risk, and captured without being credited, per chain and token."""
    risk, captured = (plan.summary.get(name) or {} for name in ("value_at_risk", "captured_not_credited"))
    decimals = {f"{item.chain_id}:{item.token}": (item.symbol, item.decimals) for item in plan.findings if item.token}
    rows = []
    for key in {*risk, *captured}:
        chain, _, address = str(key).partition(":")
        token = registry.tokens.get((int(chain), address)) if chain.isdecimal() and len(chain) < 20 else None
        symbol, places = (token.symbol, token.decimals) if token else decimals.get(key, (None, None))
        if places is None:
            continue
        pair = [int(part.get(key, 0)) for part in (risk, captured)]
        label = f"{display_text(symbol or '?')} on {chain_name(chain, registry)}"
        texts = [
            group_digits(amount_text(units, decimals=places, symbol=display_text(symbol or "?"))) for units in pair
        ]
        rows.append((whole_tokens(pair[0], decimals=places), label, pair, texts, places))
    if not rows:
        return None
    rows.sort(key=lambda row: (-row[0], row[1]))
    data = {
        "categories": [row[1] for row in rows],
        "series": [
            {
                "name": name,
                "values": [decimal_amount(whole_tokens(row[2][at], decimals=row[4])) for row in rows],
                "texts": [row[3][at] for row in rows],
            }
            for at, name in enumerate(("at risk", "captured, not credited"))
        ],
    }
    return Chart("money", "Money at risk", "money", data, "In whole tokens; every token counted by itself.")


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
    """What our record says, then the provider, then the chain, for the payments that somebody must look at."""
    paths: dict[tuple[str, str, str], int] = {}
    for item in breaks:
        view = next((view for view in item.fields if view.field == "status"), None)
        if view is not None:
            local, provider, chain = (
                display_text(word or NOTHING, length_max=40) for word in (view.local, view.provider, view.chain)
            )
            paths[local, provider, chain] = paths.get((local, provider, chain), 0) + 1
    if not paths:
        return None
    kept = [_common(number, paths) for number in range(3)]
    links: dict[tuple[str, str], int] = {}
    for path, count in paths.items():
        named = [f"{side}: {_kept(word, kept[n])}" for n, (side, word) in enumerate(zip(_SIDES, path, strict=True))]
        for pair in ((named[0], named[1]), (named[1], named[2])):
            links[pair] = links.get(pair, 0) + count
    nodes = sorted({name for pair in links for name in pair})
    data = {
        "nodes": nodes,
        "links": [{"from": a, "to": b, "value": count} for (a, b), count in sorted(links.items())],
        "sides": list(_SIDES),
    }
    note = f"The {sum(paths.values()):,} breaks that are about a payment of ours."
    return Chart("flow", "Our record, the provider, the chain", "flow", data, note)


_SIDES: Final = ("our record", "provider", "chain")


def _common(number: int, paths: Mapping[tuple[str, str, str], int]) -> set[str]:
    counts: dict[str, int] = {}
    for path, count in paths.items():
        counts[path[number]] = counts.get(path[number], 0) + count
    return set(sorted(counts, key=lambda word: (-counts[word], word))[:_FLOW_MAX])


def _kept(word: str, common: set[str]) -> str:
    return word if word in common else "another word"


def _arrivals(whole: Whole) -> Chart | None:
    """Payments made and transfers seen over time, and the stretches that nobody could read."""
    made = [at for at in whole.payments["created_at"].to_pylist() if at is not None]
    seen = [at for at in whole.transfers["block_time"].to_pylist() if at is not None]
    told = [at for at in whole.deliveries["received_at"].to_pylist() if at is not None]
    if not made:
        return None
    start, step, size = _axis(made)
    series = [
        {"name": name, "values": _histogram(times, start=start, step=step, size=size)}
        for name, times in (("payments made", made), ("transfers seen", seen), ("notifications", told))
        if times
    ]
    gaps = [
        {
            "from": max(int(gap["from_ms"]), start),
            "to": min(int(gap["to_ms"]), start + size * step),
            "text": f"{display_text(gap['source'])} {display_text(gap['scope'])}: {display_text(gap['reason'] or '')}",
        }
        for gap in whole.gaps.to_pylist()
        if gap["from_ms"] is not None and gap["to_ms"] is not None and gap["to_ms"] >= start
    ]
    data = {"start_ms": start, "step_ms": step, "series": series, "gaps": gaps[:200]}
    note = f"{len(gaps)} stretches could not be read and are shaded." if gaps else "No stretch of time was left unread."
    return Chart("arrivals", "Arrivals over time", "time", data, note)


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
