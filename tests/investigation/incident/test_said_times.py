"""Times that people say of an incident fit each other, and silence counts only where something was read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from recon.api.incident import incident
from recon.core.errors import UsageError
from recon.core.model import Finding
from recon.investigation.incident.bounds import IN_LOGS, Bounds, IncidentTimesError, bounds_of
from recon.investigation.incident.first_page import IncidentEvidence, first_page
from recon.investigation.incident.impact import NO_RAIL, NO_TIME, Impact, PlanFacts, fallen_in
from recon.investigation.incident.replay import part_of, triage_deliveries
from recon.investigation.incident.stated import SaidTimeError, Stated, check_said_times
from recon.investigation.incident.write_up import render_incident
from recon.sources.deliveries.delivery import Delivery
from tests.investigation.incident.test_texts import BEGAN, OVER, RN, SK, T0, bounds, finding, plan_with
from tests.investigation.incident.test_texts import incident as told
from tests.support.triage_logs import nginx

MINUTE = timedelta(minutes=1)
LATER, EARLIER = T0 + MINUTE, BEGAN - MINUTE


@pytest.mark.parametrize(
    ("said", "option"),
    [
        ({"detected_at": LATER}, "--noticed"), ({"acknowledged_at": EARLIER}, "--acknowledged"),
        ({"mitigated_at": EARLIER}, "--mitigated"), ({"verified_at": LATER}, "--verified"),
        ({"closed_at": OVER - MINUTE}, "--closed"), ({"next_update_at": T0 - MINUTE}, "--next-update"),
        ({"expected_at": T0 - MINUTE}, "--expected"),
    ],
)  # fmt: skip
def test_a_time_in_the_wrong_order_is_refused_by_name(said: dict[str, datetime], option: str) -> None:
    with pytest.raises(SaidTimeError, match=f"^{option} .* cannot be meant"):
        check_said_times(Stated(**said), bounds())  # type: ignore[arg-type]


def test_times_in_their_order_are_taken() -> None:
    check_said_times(
        Stated(detected_at=BEGAN, acknowledged_at=BEGAN + MINUTE, mitigated_at=BEGAN + MINUTE, verified_at=OVER,
               closed_at=T0, next_update_at=LATER, expected_at=LATER),
        bounds(),
    )  # fmt: skip
    check_said_times(Stated(mitigated_at=EARLIER), Bounds(now=T0))


def test_who_says_when_it_began_stands_in_the_refusal() -> None:
    with pytest.raises(SaidTimeError, match=f"{IN_LOGS}; see --began"):
        check_said_times(Stated(mitigated_at=EARLIER), bounds(began_from=IN_LOGS))


def test_an_incident_is_not_over_in_the_future() -> None:
    with pytest.raises(IncidentTimesError, match="cannot be over at 2026-11-20T09:01:00Z"):
        bounds_of(T0, None, began=BEGAN, resolved=LATER)


def delivery(provider: str, at: datetime) -> Delivery:
    return Delivery(
        delivery_id="1", provider=provider, received_at=round(at.timestamp() * 1000), place="a:1", http_status=404,
        event="payment.confirmed", request_id="01ab", said=b'{"amount": "1", "currency": "USDC"}', kept="parsed",
    )  # fmt: skip


def test_no_record_in_its_time_is_not_nothing_to_replay() -> None:
    found = triage_deliveries([delivery(RN, T0)], secrets={})
    assert found.is_complete
    own = part_of(found, lambda each: each.provider == SK)
    page = first_page(IncidentEvidence(now=T0, deliveries=own))
    said = next(line.answer for line in page.facts if line.source == "deliveries")
    assert said is not None
    assert said.startswith("cannot tell: no record of a delivery of these rails and this time is there")
    assert page.unread
    whole = first_page(IncidentEvidence(now=T0, deliveries=part_of(found, lambda each: True)))
    assert (
        next(line.answer for line in whole.facts if line.source == "deliveries")
        == "1; payments told of rise from 0 to 1"
    )


def test_what_cannot_be_placed_stands_beside_what_is_counted() -> None:
    def text_of(*findings: Finding) -> str:
        fallen = fallen_in(plan_with(*findings), bounds(), facts=PlanFacts())
        return render_incident("notification", told(impact=Impact(now=fallen, plan_at="x")))

    inside = finding("a", age_s=5400)
    assert "Not counted, for nobody can tell" not in text_of(inside, finding("b", provider=SK))
    strange = finding("c", provider=None)
    assert f"whether they are of it: 1 {NO_RAIL}, 1 {NO_TIME}" in text_of(inside, strange, finding("d"))


def requests_line(folder: Path, began: datetime, **said: datetime) -> str:
    """What a notification says of webhooks by a log of one hour in which nothing but health checks came."""
    log, config = folder / "access.log", folder / "recon.toml"
    log.write_bytes(b"".join(nginx(began + n * MINUTE, "/health", 200, method="GET") for n in range(60)))
    config.write_text('[target]\nname = "x"\n[mongo]\nuri_variable = "RECON_TEST_URI"\n')
    text = incident("notification", title="t", config=config, rails=[RN], began=began, access_log=[log], **said)  # type: ignore[arg-type]
    return next(line for line in text.splitlines() if line.startswith("- Requests"))


def test_a_log_that_ends_before_the_incident_does_is_no_silence(tmp_path: Path) -> None:
    began = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=2)
    assert "cannot tell: the logs end at" in requests_line(tmp_path, began)
    assert "nothing came" in requests_line(tmp_path, began, resolved=began + timedelta(hours=1))


def test_the_command_refuses_what_cannot_be_meant(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--mitigated"):
        incident("customer", title="t", rails=[RN], began=BEGAN, mitigated=EARLIER, resolved=OVER)
