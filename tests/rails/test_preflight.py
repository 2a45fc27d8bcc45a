"""The preflight looks at everything, shows no secret, and calls what it could not look at by that name."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from recon.core.tables import table_of
from recon.rails.gates.records import Deliveries, DeliveryRecord
from recon.rails.preflight import (
    Counts,
    Item,
    Looked,
    Preflight,
    RowCounter,
    indexes_hit,
    is_present,
    judge_preflight,
    webhook_counts,
)
from recon.reports.views.operations import render_preflight

if TYPE_CHECKING:
    from pymongo.database import Database

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
NOW_MS = int(NOW.timestamp() * 1000)
STUCK = timedelta(minutes=30)
MINUTE_MS = 60_000


def counted(*rows: dict[str, object]) -> Counts:
    counter = RowCounter()
    filled = [
        {"payment_id": f"p{n}", "provider": "shkeeper", "provider_raw": "shkeeper"} | row for n, row in enumerate(rows)
    ]
    for half in (filled[: len(filled) // 2], filled[len(filled) // 2 :]):
        for batch in table_of("payments", half).to_batches():
            counter.add(batch)
    return counter.counts(now=NOW, stuck_after=STUCK)


def looked(**changed: Any) -> Looked:
    facts: dict[str, Any] = {
        "secrets": {"SHKEEPER_API_KEY": True}, "flags": {"SHKEEPER_FORCE_PAYOUT_DEMO": "false"},
        "counts": counted({"status": "completed"}),
        "deliveries": Deliveries((), NOW - timedelta(hours=24), NOW), "indexes": [], "problems": {},
    }  # fmt: skip
    return Looked(**(facts | changed))


def judged(**changed: Any) -> Preflight:
    return judge_preflight(looked(**changed), now=NOW, stuck_after=STUCK)


def item(name: str, **changed: Any) -> Item:
    return next(each for each in judged(**changed).items if each.name.startswith(name))


def test_a_clean_house_is_clear() -> None:
    found = judged()
    assert found.is_clear, found.items
    assert found.is_measured


def test_nothing_looked_at_is_not_measured_everywhere_with_the_reason() -> None:
    parts = ("secrets", "flags", "payments", "deliveries", "indexes")
    found = judge_preflight(
        Looked(None, None, None, None, None, {part: f"no {part}" for part in parts}), now=NOW, stuck_after=STUCK
    )
    assert {each.state for each in found.items} == {"not_measured"}
    assert {each.says for each in found.items} == {f"no {part}" for part in parts}
    assert not found.is_measured


@pytest.mark.parametrize(
    ("value", "present"),
    [("k3y", True), ("", False), ("  ", False), (None, False), ("changeme", False), ("CHANGE_ME", False),
     ("xxxx", False), ("<your key>", False), ("your-key-here", False), ("secretive", True), ("x3y", True)],
)  # fmt: skip
def test_a_placeholder_is_no_secret(value: str | None, present: bool) -> None:
    assert is_present(value) is present


def test_missing_secrets_are_named_and_no_value_can_be_shown() -> None:
    found = item("credentials", secrets={"B_KEY": False, "A_SECRET": False, "C": True})
    assert (found.state, found.says) == ("attention", "A_SECRET, B_KEY not set, or a placeholder.")


@pytest.mark.parametrize(
    ("value", "state"), [("true", "alarm"), ("1", "alarm"), ("false", "ok"), (None, "not_measured")]
)
def test_the_demo_payout_flag_is_loud(value: str | None, state: str) -> None:
    found = item("demo payouts", flags={"SHKEEPER_FORCE_PAYOUT_DEMO": value})
    assert found.state == state
    report = render_preflight(judged(flags={"SHKEEPER_FORCE_PAYOUT_DEMO": value}))
    assert any(fact.name == "alarm" for fact in report.facts) is (state == "alarm")


def test_payments_are_counted_by_the_word_that_is_stored() -> None:
    counts = counted(
        {"provider_raw": "request.network", "provider": "request_network", "created_at": 5},
        {"provider_raw": "request-network", "provider": "request_network", "created_at": 7},
        {"provider_raw": "request.network", "provider": "request_network", "created_at": None},
        {"provider_raw": None, "provider": None},
    )
    assert [(row["word"], row["payments"]) for row in counts.legacy] == [
        ("request.network", 2), ("", 1), ("request-network", 1),
    ]  # fmt: skip
    assert counts.legacy[0]["first_at"] == "1970-01-01T00:00:00.005Z"
    assert item("legacy", counts=counts).state == "attention"


def test_one_provider_key_on_two_rows_is_a_duplicate_under_any_alias() -> None:
    counts = counted(
        {"external_id": "e1"},
        {"external_id": "e1"},
        {"external_id": "e1", "is_test": True},
        {"external_id": "e1", "provider": "request_network"},
        {"request_id": "01ab"},
        {"request_id": "01ab"},
        {"reference": "aa"},
    )
    assert [(row["field"], row["value"], row["payments"]) for row in counts.duplicates] == [
        ("external_id", "e1", 2), ("request_id", "01ab", 2),
    ]  # fmt: skip
    assert counts.duplicates[0]["for_example"] == ["p0", "p1"]
    assert "2 provider keys" in item("duplicate", counts=counts).says


@pytest.mark.parametrize(
    ("row", "stuck"),
    [
        ({"status": "pending", "created_at": NOW_MS - 30 * MINUTE_MS}, 0),
        ({"status": "pending", "created_at": NOW_MS - 30 * MINUTE_MS - 1}, 1),
        ({"status": "processing", "created_at": NOW_MS - 31 * MINUTE_MS}, 1),
        ({"status": "pending", "created_at": None}, 1),
        ({"status": "completed", "created_at": 0}, 0),
        ({"status": None, "created_at": 0}, 0),
        ({"status": "pending", "created_at": 0, "is_test": True}, 0),
    ],
)
def test_open_for_over_thirty_minutes_is_unresolved(row: dict[str, object], stuck: int) -> None:
    counts = counted(row)
    assert sum(each["payments"] for each in counts.unresolved) == stuck
    assert item("unresolved", counts=counts).state == ("attention" if stuck else "ok")


def test_a_scan_that_broke_off_is_not_measured_though_it_counted() -> None:
    found = item("legacy", problems={"payments": "the cursor died."})
    assert found.state == "not_measured"
    assert "Not all of them were read: the cursor died." in found.says


def delivery(hours_ago: float, **given: Any) -> DeliveryRecord:
    facts: dict[str, Any] = {
        "http_status": 202,
        "signature_valid": True,
        "is_dead_letter": False,
        "provider": "shkeeper",
    }
    at = NOW - timedelta(hours=hours_ago)
    return DeliveryRecord(delivery_id="d", at=at, **(facts | given))


def test_webhooks_are_counted_in_the_runbooks_classes() -> None:
    records = (
        delivery(1), delivery(2, http_status=404), delivery(3, http_status=400), delivery(3, http_status=500),
        delivery(3, http_status=None), delivery(4, signature_valid=False), delivery(5, is_dead_letter=True),
        delivery(5, http_status=302),
        delivery(24), delivery(1, provider="request_network"),
    )  # fmt: skip
    counts = webhook_counts(Deliveries(records, NOW - timedelta(hours=30), NOW), now=NOW)
    assert counts[1] == {
        "provider": "shkeeper", "success": 1, "error": 7, "answered_2xx": 3, "redirected_3xx": 1,
        "not_correlated_404": 1, "rejected_4xx": 1,
        "failed_5xx": 1, "unanswered": 1, "dead_letters": 1, "unverified": 1,
    }  # fmt: skip
    assert counts[0]["provider"] == "request_network"
    assert "shkeeper: 1 well, 7 failed" in item("webhooks", deliveries=Deliveries(records, NOW - STUCK * 60, NOW)).says


def test_records_that_begin_too_late_are_not_a_day() -> None:
    late = Deliveries((), NOW - timedelta(hours=24) + timedelta(milliseconds=1), NOW)
    assert item("webhooks", deliveries=late).state == "not_measured"


PARTIAL: Mapping[str, Any] = {
    "name": "uniq_pending_request_network_by_buyer_session",
    "unique": True,
    "key": {"buyerId": 1, "purchaseRequestId": 1, "provider": 1, "direction": 1},
    "partialFilterExpression": {"status": {"$in": ["pending"]}, "$and": [{"provider": "request.network"}]},
}


@pytest.mark.parametrize(
    ("index", "touched"),
    [
        (PARTIAL, ["status"]),
        ({"name": "h", "unique": True, "key": {"blockchain.transactionHash": 1}}, ["blockchain.transactionHash"]),
        ({"name": "b", "unique": True, "key": {"blockchain": 1}}, ["blockchain"]),
        ({"name": "m", "unique": True, "key": {"metadata": 1}}, ["metadata"]),
        ({"name": "h", "key": {"blockchain.transactionHash": 1}}, None),
        ({"name": "o", "unique": True, "key": {"orderId": 1}}, None),
        ({"name": "_id_", "unique": True, "key": {"_id": 1}}, None),
        ({}, None),
    ],
)
def test_a_unique_index_that_a_correction_may_hit_is_named(index: Mapping[str, Any], touched: list[str] | None) -> None:
    found = indexes_hit([index])
    assert [row["touched"] for row in found] == ([touched] if touched else [])


def test_indexes_are_read_from_a_real_server(mongo_database: Database[dict[str, Any]]) -> None:
    options = {key: PARTIAL[key] for key in ("name", "unique")}
    condition = {"status": "pending"}
    mongo_database["payments"].create_index(list(PARTIAL["key"].items()), partialFilterExpression=condition, **options)
    listed = [dict(index) for index in mongo_database["payments"].list_indexes()]
    assert [row["name"] for row in indexes_hit(listed)] == [PARTIAL["name"]]
    assert item("indexes", indexes=listed).state == "attention"


def test_the_report_has_every_part() -> None:
    report = render_preflight(judged(indexes=[PARTIAL], counts=counted({"external_id": "e"}, {"external_id": "e"})))
    assert [table.name for table in report.tables] == [
        "items", "legacy", "duplicates", "unresolved", "webhooks", "indexes",
    ]  # fmt: skip
    assert report.table("duplicates").rows[0][:4] == ("external_id", "shkeeper", "e", "2")
