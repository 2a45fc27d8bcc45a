"""What switching a rail off hits: payments in flight on it, money not yet credited, and what will still land late.

Rows of :data:`recon.core.tables.PAYMENTS` are added batch by batch and only counted, so a rail of any size is
measured in bounded memory. What the findings of the last plan say is added where there is one; where there is none,
that part says that it was not measured and is never a zero.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from recon.core.model import OPEN, Finding, Verdict
from recon.core.money import format_units

AGES: Final = (
    ("under 30 min", 30 * 60_000),
    ("30 min to 24 h", 86_400_000),
    ("1 to 3 days", 3 * 86_400_000),
    ("over 3 days", None),
)
LATE_UNKNOWN_MS: Final = 24 * 3_600_000
"""How long an open payment without an expiry is taken to be payable, for the window that has to be reconciled."""

NOT_CREDITED: Final = frozenset(
    {
        Verdict.LOCAL_BEHIND,
        Verdict.LATE_PAYMENT,
        Verdict.COORDINATOR_BLOCKED,
        Verdict.STUCK_PENDING,
        Verdict.INSUFFICIENT_CONFIRMATIONS,
        Verdict.AML_BLOCKED,
        Verdict.SAFETY_PENDING,
        Verdict.UNDERPAID,
        Verdict.MISSING_LOCAL,
    }
)
"""Verdicts of money that was seen and that our records do not credit."""

SCALE: Final = 78
_CALENDAR_END_MS: Final = 253_402_300_799_999


@dataclass(slots=True)
class _Pile:
    """Payments of one kind: how many, and their expected amounts by currency at one common scale."""

    payments: int = 0
    amounts: Counter[str] = field(default_factory=Counter)
    without_amount: int = 0

    def add(self, row: Mapping[str, Any]) -> None:
        self.payments += 1
        units, decimals = row.get("expected_units"), row.get("decimals")
        if units is None or decimals is None:
            self.without_amount += 1
        else:
            currency = str(row.get("currency") or row.get("token") or "?")[:20]
            self.amounts[currency] += int(units) * 10 ** (SCALE - int(decimals))

    def as_json(self) -> dict[str, Any]:
        value = {name: format_units(units, decimals=SCALE) for name, units in sorted(self.amounts.items())}
        return {"payments": self.payments, "value": value, "without_readable_amount": self.without_amount}


class BlastTally:
    """Counts what a switch at a moment hits on one rail."""

    def __init__(self, provider: str, *, now: datetime) -> None:
        self.provider = provider
        self._now_ms = int(now.timestamp() * 1000)
        self._open: dict[tuple[str, str], _Pile] = {}
        self._late = _Pile()
        self._no_expiry = 0
        self._releases, self._refunds, self._disputes = _Pile(), _Pile(), _Pile()
        self._oldest: int | None = None
        self._last_landing: int | None = None
        self._undated = 0
        self.rows = 0

    def add(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Count rows of the payments table; rows of other rails and test payments are passed over."""
        for row in rows:
            if row.get("provider") != self.provider or row.get("is_test"):
                continue
            self.rows += 1
            self._add_row(row)

    def _add_row(self, row: Mapping[str, Any]) -> None:
        """Put a payment of the rail on every pile that it belongs to."""
        open_direction = (row.get("direction") or "in") if row.get("status") in OPEN else None
        if row.get("disputed") or row.get("hold"):
            self._disputes.add(row)
        if row.get("escrow_state") == "releasing" or open_direction == "out":
            self._releases.add(row)
        if open_direction == "refund":
            self._refunds.add(row)
        if open_direction == "in":
            self._add_open(row)

    def _add_open(self, row: Mapping[str, Any]) -> None:
        created, expires = row.get("created_at"), row.get("expires_at")
        age = None if created is None else self._now_ms - int(created)
        name = next((text for text, limit in AGES if age is not None and (limit is None or age < limit)), "age unknown")
        self._open.setdefault((str(row.get("status")), name), _Pile()).add(row)
        if created is None:
            self._undated += 1
        elif self._oldest is None or created < self._oldest:
            self._oldest = int(created)
        landing = int(expires) if expires is not None else self._now_ms + LATE_UNKNOWN_MS
        if landing > self._now_ms:
            self._late.add(row)
            self._no_expiry += expires is None
            self._last_landing = max(self._last_landing or landing, landing)

    def result(
        self, *, complete: bool, findings: Sequence[Finding] | None = None, findings_at: str | None = None
    ) -> dict[str, Any]:
        """The blast radius as JSON values.

        Args:
            complete: Whether every row of the rail was added; a part is shown as a part.
            findings: Findings of the last plan of this rail, and ``findings_at`` when it was made; None without one.
        """
        in_flight = [
            {"status": status, "age": age, **pile.as_json()}
            for status, age, pile in sorted(
                ((status, age, pile) for (status, age), pile in self._open.items()),
                key=lambda item: (item[0], _AGE_ORDER.get(item[1], 9)),
            )
        ]
        return {
            "provider": self.provider,
            "measured_at": _time(self._now_ms),
            "complete": complete,
            "payments_of_rail": self.rows,
            "in_flight_payments": sum(item["payments"] for item in in_flight),
            "in_flight": in_flight,
            "not_credited": _not_credited(self.provider, findings, findings_at),
            "lands_late": {**self._late.as_json(), "without_expiry": self._no_expiry},
            "reconcile_window": self._window(),
            "releases_under_way": self._releases.as_json(),
            "refunds_under_way": self._refunds.as_json(),
            "disputed_or_held": self._disputes.as_json(),
        }

    def _window(self) -> dict[str, Any]:
        """From the oldest open payment to the moment after which nothing of today's can land any more."""
        end = self._last_landing if self._last_landing is not None else self._now_ms
        begin = self._oldest if self._oldest is not None else self._now_ms
        return {"from": _time(begin), "to": _time(end), "undated_payments": self._undated}


_AGE_ORDER: Final = {name: number for number, (name, _) in enumerate(AGES)}


def _not_credited(provider: str, findings: Sequence[Finding] | None, at: str | None) -> dict[str, Any]:
    if findings is None:
        return {"measured": False, "why": 'no plan of this rail was given; "recon plan" makes one'}
    amounts: Counter[str] = Counter()
    payments = unknown = 0
    for finding in findings:
        if finding.provider != provider or finding.verdict not in NOT_CREDITED:
            continue
        payments += 1
        if finding.decimals is None:
            unknown += 1
        else:
            name = finding.symbol or finding.token or "?"
            amounts[name] += finding.value_units * 10 ** (SCALE - finding.decimals)
    value = {name: format_units(units, decimals=SCALE) for name, units in sorted(amounts.items())}
    return {"measured": True, "at": at, "payments": payments, "value": value, "without_readable_amount": unknown}


def _time(ms: int) -> str:
    # A stored expiry may be any number; the calendar ends with the year 9999.
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=min(max(ms, 0), _CALENDAR_END_MS))
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
