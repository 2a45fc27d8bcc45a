"""What the watch measures, for Prometheus: on a registry of its own, with bounded labels, and never a payment's id.

Prometheus keeps binary fractions. Sums of money here are for graphs and alarms; exact ones stand in plans and reports.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from recon.core.extras import check_extra
from recon.core.money import whole_tokens
from recon.core.registry import Registry
from recon.core.registry.off_chain import OFF_CHAIN, OFF_CHAIN_NAME
from recon.core.text import clean_text
from recon.core.times import parse_iso
from recon.core.version import __version__
from recon.files import replace_file
from recon.reports.views.totals import breaks_of
from recon.sources.http import Exchange
from recon.watch.situations import KeptSituation

if TYPE_CHECKING:
    from prometheus_client.core import Metric

    from recon.runs.states import RunSummary
    from recon.watch.rounds import RoundDone

SERIES_MAX: Final = 500
"""Most series of one measure; what comes after them is counted under ``other``."""

LABEL_MAX: Final = 60
OTHER: Final = "other"
ROUND_BUCKETS: Final = (1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 1800.0)
EXCHANGE_BUCKETS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
TEXTFILE_MODE: Final = 0o644
"""Another program reads the file, under another name."""

Labels = tuple[str, ...]
Samples = dict[Labels, float]


@dataclass(slots=True)
class _WindowFigures:
    """The newest of one window."""

    payments: Samples = field(default_factory=dict)
    breaks: int | None = None
    at_risk: Samples = field(default_factory=dict)
    not_credited: Samples = field(default_factory=dict)
    complete: Samples = field(default_factory=dict)
    ended: datetime | None = None
    good: datetime | None = None
    lag_s: float | None = None
    lasted_s: float = 0.0


class Measures:
    """Everything that is measured; it may be told of and asked from any thread.

    Args:
        registry: Gives tokens and chains their names and decimals.

    Raises:
        MissingExtraError: ``prometheus-client`` is not installed.
    """

    def __init__(self, registry: Registry) -> None:
        check_extra("Measuring", package="prometheus_client", extra="watch")
        from prometheus_client import CollectorRegistry, Histogram, ProcessCollector, disable_created_metrics
        from prometheus_client import Counter as Count

        disable_created_metrics()  # type: ignore[no-untyped-call]  # they double the number of series and tell nothing here
        self.collected = CollectorRegistry(auto_describe=True)
        self._known, self._lock = registry, threading.Lock()
        self._windows: dict[str, _WindowFigures] = {}
        self._open: Samples = {}
        self._apply: Samples = {}
        self._runs: Samples = {}
        self._journal_at: datetime | None = None
        self._messages: Callable[[], Mapping[tuple[str, str], int]] = dict
        self._unsent: Callable[[], Mapping[str, int]] = dict
        self._hosts: set[str] = set()
        ProcessCollector(registry=self.collected)
        self._rounds = Count(
            "recon_watch_rounds", "Rounds by how they ended.", ("window", "outcome"), registry=self.collected
        )
        self._durations = Histogram(
            "recon_watch_round_duration_seconds", "How long rounds took.", ("window",), buckets=ROUND_BUCKETS,
            registry=self.collected,
        )  # fmt: skip
        self._calls = Count(
            "recon_source_calls", "Calls that snapshots made to a source.", ("source",), registry=self.collected
        )
        self._bytes = Count(
            "recon_source_received_bytes", "Bytes on the wire from a source.", ("source",), registry=self.collected
        )
        self._problems = Count(
            "recon_source_incomplete_readings", "Readings of a source that were not complete.", ("source",),
            registry=self.collected,
        )  # fmt: skip
        self._exchanges = Histogram(
            "recon_http_exchange_seconds", "How long single HTTP exchanges took, by host and outcome.",
            ("host", "outcome"), buckets=EXCHANGE_BUCKETS, registry=self.collected,
        )  # fmt: skip
        self._answers = Count(
            "recon_http_received_bytes", "Bytes of HTTP bodies, unpacked.", ("host",), registry=self.collected
        )
        self.collected.register(self)

    # Told of

    def note_round(self, done: RoundDone) -> None:
        """Take one round over; a look between rounds changes what is open only."""
        with self._lock:
            self._open = _situations(done.open)
        if done.kind != "round":
            return
        window, lasted = _label(done.window), (done.times.ended - done.times.began).total_seconds()
        outcome = "failed" if done.failure else "incomplete" if done.is_incomplete else "good"
        self._rounds.labels(window, outcome).inc()
        self._durations.labels(window).observe(max(0.0, lasted))
        with self._lock:
            figures = self._windows.setdefault(window, _WindowFigures())
            figures.ended, figures.lasted_s = done.times.ended, lasted
            figures.good = done.times.ended if outcome == "good" else figures.good or done.times.last_good
            if done.times.due is not None:
                figures.lag_s = max(0.0, (done.times.began - done.times.due).total_seconds())
            if done.plan is not None:
                self._take_summary(figures, done.plan.summary)
                figures.breaks = len(breaks_of(done.plan))
                figures.complete = self._take_coverage(done.plan.coverage)

    def _take_summary(self, figures: _WindowFigures, summary: Mapping[str, Any]) -> None:
        figures.payments = _bounded(
            ((_label(rail), _label(verdict)), float(count))
            for rail, counts in (summary.get("by_provider") or {}).items()
            for verdict, count in counts.items()
        )
        figures.at_risk = self._money(summary.get("value_at_risk") or {})
        figures.not_credited = self._money(summary.get("captured_not_credited") or {})

    def _take_coverage(self, coverage: Iterable[Mapping[str, Any]]) -> Samples:
        complete: Samples = {}
        for row in coverage:
            source = _label(row.get("source"))
            if len(complete) >= SERIES_MAX:
                source = OTHER
            is_complete = bool(row.get("complete"))
            complete[source,] = min(complete.get((source,), 1.0), float(is_complete))
            self._calls.labels(source).inc(int(row.get("calls") or 0))
            self._bytes.labels(source).inc(int(row.get("wire_bytes") or 0))
            self._problems.labels(source).inc(0 if is_complete else 1)
        return complete

    def _money(self, units: Mapping[str, str]) -> Samples:
        """Base units by ``chain_id:token`` as whole tokens by chain and symbol."""
        found: Counter[Labels] = Counter()
        for key, amount in units.items():
            chain, _, address = key.partition(":")
            chain_id = int(chain) if chain.isascii() and chain.isdecimal() and len(chain) < 20 else -1
            token = self._known.tokens.get((chain_id, address))
            if token is None:
                continue
            facts = self._known.chains.get(chain_id)
            name = OFF_CHAIN_NAME if chain_id == OFF_CHAIN else facts.name if facts else chain
            found[_label(name), _label(token.symbol)] += float(whole_tokens(int(amount), decimals=token.decimals))  # type: ignore[assignment]
        return _bounded((labels, float(amount)) for labels, amount in found.items())

    def note_runs(self, runs: Iterable[RunSummary]) -> None:
        """Take over what the journal tells of applies."""
        rows, states = Counter[Labels](), Counter[Labels]()
        newest: datetime | None = None
        for run in runs:
            states[_label(run.kind), _label(run.state)] += 1
            for result, count in run.counts.items():
                rows[_label(result),] += int(count)
            at = parse_iso(run.ended_at or run.started_at)
            newest = max(filter(None, (newest, at)), default=None)
        with self._lock:
            self._apply = _bounded((labels, float(count)) for labels, count in rows.items())
            self._runs = _bounded((labels, float(count)) for labels, count in states.items())
            self._journal_at = newest

    def note_exchange(self, exchange: Exchange) -> None:
        """Take over one HTTP exchange; see :func:`recon.sources.http.listen_to_exchanges`."""
        host = _label(exchange.host)
        with self._lock:
            if host not in self._hosts and len(self._hosts) >= SERIES_MAX // 10:
                host = OTHER
            self._hosts.add(host)
        self._exchanges.labels(host, exchange.outcome).observe(exchange.seconds)
        self._answers.labels(host).inc(exchange.received_bytes)

    def watch_messages(
        self, counts: Callable[[], Mapping[tuple[str, str], int]], unsent: Callable[[], Mapping[str, int]]
    ) -> None:
        """Ask these, whenever measures are asked for, how messages went and how many wait."""
        self._messages, self._unsent = counts, unsent

    # Asked for

    def text(self) -> bytes:
        """Everything, as Prometheus reads it."""
        from prometheus_client import generate_latest

        return generate_latest(self.collected)

    def write_textfile(self, path: Path) -> None:
        """Write everything for the textfile collector of ``node_exporter``, whole or not at all.

        Raises:
            OSError: It cannot be written; what was there is as it was.
        """
        replace_file(path, self.text(), mode=TEXTFILE_MODE)

    def take_up(self, path: Path) -> None:
        """Go on counting from a textfile that an earlier process wrote; one that cannot be read counts as none."""
        from prometheus_client.parser import text_string_to_metric_families

        counters = {
            "recon_watch_rounds": self._rounds,
            "recon_source_calls": self._calls,
            "recon_source_received_bytes": self._bytes,
            "recon_source_incomplete_readings": self._problems,
        }
        with suppress(OSError, ValueError):
            for family in text_string_to_metric_families(path.read_text(encoding="utf-8")):
                counter = counters.get(family.name)
                for sample in family.samples if counter is not None else ():
                    if sample.name.endswith("_total") and counter is not None:
                        counter.labels(**sample.labels).inc(sample.value)

    def collect(self) -> Iterable[Metric]:
        """What is not counted but looked at, for the registry: the newest of each window, what is open, the journal."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        gauge, count = GaugeMetricFamily, CounterMetricFamily
        yield _family(gauge, "recon_build_info", "The version that runs.", ("version",), {(__version__,): 1.0})
        with self._lock:
            windows = dict(self._windows)
            open_ones, rows, runs, at = dict(self._open), dict(self._apply), dict(self._runs), self._journal_at
        for name, help_text, labels, samples in _of_windows(windows):
            yield _family(gauge, name, help_text, labels, samples)
        yield _family(gauge, "recon_watch_situations", "Open situations.", ("rule", "urgency"), open_ones)
        yield _family(count, "recon_apply_rows", "Rows that applies tried, by result.", ("result",), rows)
        yield _family(gauge, "recon_apply_runs", "Applies in the journal.", ("kind", "state"), runs)
        head: Samples = {} if at is None else {(): at.timestamp()}
        yield _family(gauge, "recon_journal_head_timestamp_seconds", "When the journal last heard of a run.", (), head)
        sent: Samples = {(_label(name), outcome): float(n) for (name, outcome), n in self._messages().items()}
        waiting: Samples = {(_label(name),): float(n) for name, n in self._unsent().items()}
        yield _family(count, "recon_watch_messages", "Messages by channel and outcome.", ("channel", "outcome"), sent)
        yield _family(gauge, "recon_watch_messages_unsent", "Messages that wait.", ("channel",), waiting)


def _of_windows(windows: Mapping[str, _WindowFigures]) -> Iterable[tuple[str, str, Labels, Samples]]:
    """The newest figures of every window, each measure with its help, labels and samples."""

    def each(take: Callable[[_WindowFigures], Samples]) -> Samples:
        return {(name, *labels): value for name, one in windows.items() for labels, value in take(one).items()}

    def single(take: Callable[[_WindowFigures], float | None]) -> Samples:
        return {(name,): value for name, one in windows.items() if (value := take(one)) is not None}

    def moment(at: datetime | None) -> float | None:
        return None if at is None else at.timestamp()

    own = ("window",)
    yield "recon_payments", "Payments by rail and verdict.", (*own, "rail", "verdict"), each(lambda one: one.payments)
    yield "recon_breaks", "Breaks that need a person.", own, single(lambda one: one.breaks)
    money = (*own, "chain", "token")
    yield "recon_money_at_risk_tokens", "Whole tokens at risk.", money, each(lambda one: one.at_risk)
    yield (
        "recon_money_not_credited_tokens", "Whole tokens that are on chain, final, and not credited.", money,
        each(lambda one: one.not_credited),
    )  # fmt: skip
    yield (
        "recon_source_complete", "Whether a source was read whole in the last round.", (*own, "source"),
        each(lambda one: one.complete),
    )  # fmt: skip
    yield "recon_watch_round_lag_seconds", "How late the last round began.", own, single(lambda one: one.lag_s)
    yield (
        "recon_watch_last_round_duration_seconds", "How long the last round took.", own,
        single(lambda one: one.lasted_s if one.ended else None),
    )  # fmt: skip
    yield (
        "recon_watch_last_round_timestamp_seconds", "When the last round ended.", own,
        single(lambda one: moment(one.ended)),
    )  # fmt: skip
    yield (
        "recon_watch_last_good_round_timestamp_seconds", "When a round last read everything.", own,
        single(lambda one: moment(one.good)),
    )  # fmt: skip


def _family(kind: Any, name: str, help_text: str, labels: Labels, samples: Samples) -> Metric:
    family: Metric = kind(name, help_text, labels=labels)
    for values, value in sorted(samples.items()):
        family.add_metric(values, value)  # type: ignore[attr-defined]
    return family


def _situations(open_ones: Iterable[KeptSituation]) -> Samples:
    counts = Counter((_label(each.seen.rule), each.seen.urgency.value) for each in open_ones)
    return _bounded((labels, float(count)) for labels, count in counts.items())


def _bounded(samples: Iterable[tuple[Labels, float]]) -> Samples:
    """Samples by their labels; what comes after the most that are kept is summed up under ``other``."""
    found: Samples = {}
    for labels, value in samples:
        key = labels if labels in found or len(found) < SERIES_MAX else tuple(OTHER for _ in labels)
        found[key] = found.get(key, 0.0) + value
    return found


def _label(value: object) -> str:
    """Outside text as the value of a label: clean, short, never empty."""
    return clean_text(value, limit=LABEL_MAX) or "none"
