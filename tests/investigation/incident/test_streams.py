"""Events that are read from a stream: what is replayed, and what is known of those that were not kept."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from recon.cli import cli
from recon.core.times import to_ms
from recon.investigation.incident.replay import DeliveryTriage, triage_deliveries
from recon.sources.deliveries.records import deliveries_of
from recon.sources.providers.salesforce.events import KEPT_H
from tests.support.salesforce import order_id

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
Body = dict[str, Any]


def event(position: Any, *, number: int = 1, hours_ago: float = 1.0, **over: Any) -> Body:
    """An envelope of a subscription, as it was kept by the portal."""
    made = (NOW - timedelta(hours=hours_ago)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    payload = {"CreatedDate": made, "OrderId__c": order_id(number), "IdemKey__c": f"k{number}"}
    mark = {"replayId": position, "EventUuid": f"uuid-{position}"}
    name = "/event/OrderProvisionRequested__e"
    return {"channel": name, "data": {"schema": "s", "payload": payload, "event": mark}, **over}


def change(position: int, *, transaction: str = "t", number: int = 1, kind: str = "UPDATE") -> Body:
    header = {
        "entityName": "Order", "recordIds": [order_id(3)], "changeType": kind, "transactionKey": transaction,
        "sequenceNumber": number, "commitTimestamp": to_ms(NOW) - 3_600_000,
    }  # fmt: skip
    payload = {"ChangeEventHeader": header, "Status": "Approved"}
    return {"channel": "/data/OrderChangeEvent", "data": {"payload": payload, "event": {"replayId": position}}}


def triaged(*rows: Body) -> DeliveryTriage:
    file = deliveries_of(rows, place="kept")
    assert file.unreadable == 0
    return triage_deliveries(file.deliveries, secrets={}, now_ms=to_ms(NOW))


@pytest.mark.parametrize(
    "shape",
    [
        lambda row: row,
        lambda row: {"received_at": "2026-11-20T11:00:05Z", "body": json.dumps(row), "http_status": 500},
        lambda row: {"channel": row["channel"], "replayId": row["data"]["event"]["replayId"],
                     "payload": row["data"]["payload"], "id": "uuid-7"},
        lambda row: {"received_at": "2026-11-20T11:00:05Z", "provider": "salesforce", "payload": row},
    ],
)  # fmt: skip
def test_every_form_in_which_an_event_is_kept_is_read(shape: Any) -> None:
    (one,) = triaged(shape(event(7, number=4))).checked
    told = one.delivery
    assert (told.provider, told.event, told.external_id) == ("salesforce", "OrderProvisionRequested__e", order_id(4))
    assert told.delivery_id == "uuid-7" and told.received_at is not None
    assert one.action == "replay" and one.identity is not None


def test_an_order_is_asked_for_once_and_not_after_it_was_taken() -> None:
    taken = {"received_at": "2026-11-20T10:00:00Z", "http_status": 200, "body": json.dumps(event(1, number=1))}
    found = triaged(taken, event(2, number=1), event(3, number=2), event(4, number=2))
    assert [each.delivery.delivery_id for each in found.replay] == ["uuid-3"]


def test_a_change_event_asks_for_nothing() -> None:
    (one,) = triaged(change(1)).checked
    assert (one.delivery.event, one.delivery.external_id) == ("OrderChangeEvent", order_id(3))
    assert one.action == "its event is not one that is read"


def test_a_jump_is_no_proof_and_says_from_where_to_read_again() -> None:
    found = triaged(event(100, hours_ago=5), event(101, hours_ago=4), event(150, hours_ago=3))
    (said,) = found.gaps
    assert "between positions 101 and 150" in said and "need not follow each other" in said
    assert "read it again from 101 on, until 2026-11-23T08:00:00" in said
    assert found.is_complete, "a jump alone is no loss"


def test_what_is_older_than_events_are_kept_cannot_be_told() -> None:
    found = triaged(event(10, hours_ago=KEPT_H + 9), event(20, hours_ago=KEPT_H + 8), event(21), event(30))
    old, young = sorted(found.gaps, key=lambda text: "no longer" not in text)
    assert "positions 10 and 20" in old and "can no longer be read (72 hours)" in old and "recon plan" in old
    assert "positions 21 and 30" in young and "positions 20" not in young


def test_positions_that_follow_each_other_and_other_channels_are_no_jump() -> None:
    assert triaged(event(1), event(2), event(3), change(900)).gaps == ()


def test_many_jumps_are_one_sentence() -> None:
    (said,) = triaged(*(event(position) for position in range(0, 90, 3))).gaps
    assert "at 24 more places" in said


@pytest.mark.parametrize("position", ["AAAAAAAjKWoAAA==", -1, 1.5, None, True, "9" * 40])
def test_a_position_that_is_no_number_is_compared_with_nothing(position: Any) -> None:
    (said,) = triaged(event(position), event(5)).gaps
    assert "1 event has a position that is no number" in said


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ((change(1, number=1), change(2, number=3)), "1 event of 1 transaction are missing by their numbers"),
        ((change(1, kind="GAP_UPDATE"),), "the sender could not tell some changes in full (1 event stands for them)"),
        ((change(1, kind="GAP_OVERFLOW"),), "read those records again"),
    ],
)
def test_what_the_stream_itself_says_is_lost_leaves_it_open(rows: tuple[Body, ...], told: str) -> None:
    found = triaged(*rows)
    assert any(told in text for text in found.unread) and not found.is_complete


def test_whole_transactions_are_whole_in_any_order() -> None:
    assert triaged(change(2, number=2), change(1, number=1), change(3, transaction="u")).unread == ()


def test_the_command_tells_of_it(tmp_path: Path) -> None:
    file = tmp_path / "events.ndjson"
    file.write_text("".join(json.dumps(event(position)) + "\n" for position in (1, 9)))
    result = CliRunner().invoke(cli, ["triage", "deliveries", str(file)])
    assert "Streams to be read again" in result.stdout and "between positions 1 and 9" in " ".join(
        result.stdout.split()
    )
