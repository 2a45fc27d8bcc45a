"""The blast radius counts what is in flight, and never shows an unmeasured part as nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from recon.core.model import Finding, Severity, Tier, Verdict
from recon.rails.flags.blast import BlastTally

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
NOW_MS = int(NOW.timestamp() * 1000)
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000


def row(**given: Any) -> dict[str, Any]:
    facts = {
        "payment_id": "p", "provider": "shkeeper", "direction": "in", "status": "pending", "created_at": NOW_MS - HOUR,
        "expected_units": 12_500_000, "decimals": 6, "currency": "USDC",
    }  # fmt: skip
    return facts | given


def blast(*rows: dict[str, Any], **given: Any) -> dict[str, Any]:
    tally = BlastTally("shkeeper", now=NOW)
    tally.add(rows)
    return tally.result(**({"complete": True} | given))


@pytest.mark.parametrize(
    ("age_ms", "bucket"),
    [
        (0, "under 30 min"), (30 * MINUTE - 1, "under 30 min"), (30 * MINUTE, "30 min to 24 h"), (DAY, "1 to 3 days"),
        (3 * DAY - 1, "1 to 3 days"), (3 * DAY, "over 3 days"),
    ],
)  # fmt: skip
def test_open_payments_are_counted_by_age(age_ms: int, bucket: str) -> None:
    found = blast(row(created_at=NOW_MS - age_ms))
    assert [(each["status"], each["age"], each["payments"]) for each in found["in_flight"]] == [("pending", bucket, 1)]


def test_values_of_one_currency_add_up_over_its_decimals() -> None:
    rows = [row(), row(expected_units=10**16, decimals=18), row(currency="USDT"), row(expected_units=None)]
    found = blast(*rows)["in_flight"][0]
    assert found["value"] == {"USDC": "12.51", "USDT": "12.5"}
    assert (found["payments"], found["without_readable_amount"]) == (4, 1)


def test_other_rails_test_payments_and_closed_ones_are_not_in_flight() -> None:
    found = blast(row(provider="request_network"), row(is_test=True), row(status="completed"), row(direction="out"))
    assert (found["payments_of_rail"], found["in_flight"]) == (2, [])


def test_a_payment_without_a_date_is_counted_as_such() -> None:
    found = blast(row(created_at=None))
    assert found["in_flight"][0]["age"] == "age unknown"
    assert found["reconcile_window"]["undated_payments"] == 1


@pytest.mark.parametrize(("expires", "late"), [(NOW_MS, 0), (NOW_MS + 1, 1), (None, 1), (NOW_MS - DAY, 0)])
def test_what_has_not_expired_can_still_land(expires: int | None, late: int) -> None:
    assert blast(row(expires_at=expires))["lands_late"]["payments"] == late


def test_the_window_to_reconcile_runs_from_the_oldest_open_payment_to_the_last_expiry() -> None:
    found = blast(row(created_at=NOW_MS - 9 * DAY, expires_at=NOW_MS - DAY), row(expires_at=NOW_MS + 2 * HOUR))
    assert found["reconcile_window"] == {
        "from": "2026-11-11T12:00:00.000Z", "to": "2026-11-20T14:00:00.000Z", "undated_payments": 0,
    }  # fmt: skip
    without = blast(row())
    assert without["reconcile_window"]["to"] == "2026-11-21T12:00:00.000Z"
    assert without["lands_late"]["without_expiry"] == 1
    absurd = blast(row(expires_at=10**18, created_at=-5))["reconcile_window"]
    assert (absurd["from"], absurd["to"]) == ("1970-01-01T00:00:00.000Z", "9999-12-31T23:59:59.999Z")
    assert blast()["reconcile_window"]["from"] == "2026-11-20T12:00:00.000Z"


def test_releases_refunds_and_disputes_under_way_are_counted() -> None:
    found = blast(
        row(status="completed", escrow_state="releasing"),
        row(direction="out", status="processing"),
        row(direction="refund", status="pending"),
        row(status="completed", disputed=True),
        row(status="completed", hold=True),
        row(status="completed", escrow_state="released"),
    )
    names = ("releases_under_way", "refunds_under_way", "disputed_or_held")
    assert [found[name]["payments"] for name in names] == [2, 1, 2]


def finding(verdict: Verdict, **given: Any) -> Finding:
    facts: dict[str, Any] = {"provider": "shkeeper", "value_units": 5_000_000, "decimals": 6, "symbol": "USDC"}
    return Finding("p", verdict, (verdict,), Tier.AUTO, Severity.HIGH, "because", **(facts | given))


def test_money_not_credited_comes_from_the_last_plan_and_is_never_zero_without_one() -> None:
    assert blast()["not_credited"] == {
        "measured": False, "why": 'no plan of this rail was given; "recon plan" makes one',
    }  # fmt: skip
    found = blast(
        findings=[
            finding(Verdict.LOCAL_BEHIND),
            finding(Verdict.SAFETY_PENDING, decimals=None),
            finding(Verdict.IN_TRANSIT),
            finding(Verdict.LOCAL_BEHIND, provider="request_network"),
        ],
        findings_at="2026-11-20T11:00:00.000Z",
    )["not_credited"]
    assert found == {
        "measured": True, "at": "2026-11-20T11:00:00.000Z", "payments": 2, "value": {"USDC": "5"},
        "without_readable_amount": 1,
    }  # fmt: skip


def test_an_incomplete_reading_is_shown_as_such() -> None:
    assert blast(complete=False)["complete"] is False


def test_many_batches_give_what_one_gives() -> None:
    rows = [row(created_at=NOW_MS - n * HOUR, status=("pending", "processing")[n % 2]) for n in range(90)]
    tally = BlastTally("shkeeper", now=NOW + timedelta())
    for each in rows:
        tally.add([each])
    assert tally.result(complete=True) == blast(*rows)
