"""Holds: what is left out and why, and what still speaks for one."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from recon.core.model import Verdict
from recon.core.values import ABSENT
from recon.repairs.holds import HoldFields, HoldWords, held_rows, is_active, plan_holds, plan_lifts
from tests.support.applying import NOW, a_document

FIELDS = HoldFields(
    collection="payments", payments="payments", field="hold", reason="holdReason", until="holdUntil",
    disputes=("disputed", "disputeId"), guarded=("status",),
)  # fmt: skip
WORDS = HoldWords(reason="looked into", by="ana", until=NOW + dt.timedelta(days=1))


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({}, None),
        ({"hold": False}, None),
        ({"hold": True}, "held already"),
        ({"escrowState": "released"}, "nothing of it is left"),
        ({"disputeId": {"id": 1}}, "cannot tell"),
        ({"status": ["pending"]}, "cannot tell"),
    ],
)
def test_what_cannot_be_held_is_left_out_with_its_reason(given: dict[str, Any], why: str | None) -> None:
    deeds, left = plan_holds([a_document(0, **given)], FIELDS, words=WORDS)
    if why is None:
        (deed,) = deeds
        assert {item.path for item in deed.sets} == {"hold", "holdReason", "holdUntil"}
        assert {term.path for term in deed.guard} == {
            "hold", "holdReason", "holdUntil", "disputed", "disputeId", "status",
        }  # fmt: skip
    else:
        assert deeds == ()
        assert why in left[0].why


@pytest.mark.parametrize("dispute", [True, "D-1", 1, {"$oid": "x"}])
def test_no_hold_is_lifted_under_a_dispute(dispute: Any) -> None:
    deeds, left = plan_lifts([a_document(0, hold=True, disputeId=dispute)], FIELDS, reason="done")
    assert deeds == ()
    assert "disputeId" in left[0].why
    assert plan_lifts([a_document(0, hold=True, disputeId=None)], FIELDS, reason="done")[0]
    assert plan_lifts([a_document(0)], FIELDS, reason="done")[1][0].why == "it is not held"


def test_less_evidence_never_speaks_against_a_hold() -> None:
    document = a_document(0, hold=True, holdUntil=NOW - dt.timedelta(hours=1))
    name = str(document["_id"])

    def stands(verdicts: Any, **given: Any) -> bool | None:
        quiet = (str(Verdict.DISPUTE_HOLD),)
        (row,) = held_rows([{**document, **given}], FIELDS, verdicts=verdicts, now=NOW, quiet=quiet)
        return row.is_supported

    assert stands({}) is False
    assert stands(None) is None
    assert stands({name: "underpaid"}) is True
    assert stands({name: "dispute_hold"}) is False
    assert stands({}, disputed=True) is True
    assert stands(None, disputed=True) is True


def test_nothing_and_false_are_no_dispute() -> None:
    assert [is_active(value) for value in (ABSENT, None, False, "", True, "x", {})] == [False] * 4 + [True] * 3
