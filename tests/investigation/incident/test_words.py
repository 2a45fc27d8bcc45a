"""Every documented event and sub-status of a delivery has a reading, or is named as not read."""

from __future__ import annotations

import json

import pytest

from recon.investigation.incident.replay import triage_deliveries
from recon.sources.deliveries.records import Delivery


def action_of(event: str, sub_status: str | None = None) -> str:
    payload = {} if sub_status is None else {"subStatus": sub_status}
    refused = Delivery(
        delivery_id="01A", provider="request_network", received_at=1, place="line 1", http_status=404, event=event,
        request_id="01" + "ab" * 32, said=json.dumps(payload).encode(), kept="parsed",
    )  # fmt: skip
    return triage_deliveries([refused], secrets={}).checked[0].action


@pytest.mark.parametrize("sub_status", ["fiat_sent", "bounced", "retry_required", "failed"])
def test_an_off_ramp_that_ended_is_replayed(sub_status: str) -> None:
    assert action_of("payment.processing", sub_status) == "replay"


@pytest.mark.parametrize("sub_status", ["initiated", "pending_internal_assessment", "ongoing_checks", "sending_fiat"])
def test_an_off_ramp_under_way_says_so(sub_status: str) -> None:
    assert action_of("payment.processing", sub_status) == f"its event settles nothing yet: {sub_status}"


@pytest.mark.parametrize(
    ("event", "why"),
    [
        ("payment.confirmed.checkout", "replay"), ("compliance.updated", "its event settles nothing"),
        ("secure_payment.access_rejected", "its event settles nothing"),
        ("payment.invented", "its event is not one that is read"),
    ],
)  # fmt: skip
def test_other_events_are_read_or_named(event: str, why: str) -> None:
    assert action_of(event) == why
