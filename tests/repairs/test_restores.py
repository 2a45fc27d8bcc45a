"""How it stands with a record after a restore: by its stamp, never by its values alone."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from recon.core.model import MISSING
from recon.core.values import to_extended
from recon.repairs.restores import (
    Restored,
    RestoredRow,
    RowState,
    WrittenRow,
    delivered,
    dump_bounds,
    restored_state,
)
from recon.reports import render_report
from recon.reports.views.missing import render_restored
from tests.support.applying import NOW, a_document


def written(kind: str = "", **given: Any) -> WrittenRow:
    intent: dict[str, Any] = {
        "before": {"status": "pending", "updatedAt": to_extended(NOW), "metadata.recon.last": dict(MISSING)},
        "after": {"status": "completed"},
    }
    if kind:
        intent["deed"] = {"kind": kind, "collection": "payments"}
    return WrittenRow("p", "r2", "c1", NOW, 1, "", {**intent, **given})


def stamped(stamp: str | None, **given: Any) -> dict[str, Any]:
    document = a_document(0, **given)
    return document if stamp is None else {**document, "metadata": {"recon": {"last": stamp}}}


@pytest.mark.parametrize(
    ("document", "state"),
    [
        (None, "vanished"),
        (stamped("r2/c1", status="completed"), "as written"),
        (stamped("r2/c1", status="processing"), "as written"),
        (stamped(None, status="pending"), "went back"),
        (stamped("r1/c0", status="processing"), "went back"),
        (stamped("r9/c9", status="processing"), "moved on"),
        (stamped(None, status="processing"), "cannot tell"),
    ],
)
def test_a_record_is_judged_by_its_stamp(document: Any, state: RowState) -> None:
    assert restored_state(written(), document, stamps=("r1/c0", "r2/c1")) == state


def test_what_was_taken_away_comes_back_with_a_dump() -> None:
    assert restored_state(written("remove"), None, stamps=()) == "as written"
    assert restored_state(written("remove"), stamped("r1/c0"), stamps=()) == "came back"


def a_row(state: RowState, hour: int) -> RestoredRow:
    return RestoredRow("p", "r", NOW + dt.timedelta(hours=hour), state, "local_behind")


def test_the_dump_lies_between_what_is_there_and_what_is_not() -> None:
    kept, lost = dump_bounds([a_row("as written", 1), a_row("went back", 3), a_row("vanished", 2)])
    assert (kept, lost) == (NOW + dt.timedelta(hours=1), NOW + dt.timedelta(hours=2))
    # A write after the restore is no sign of when the dump was taken.
    assert dump_bounds([a_row("as written", 9), a_row("went back", 3)]) == (None, NOW + dt.timedelta(hours=3))


def test_a_cut_journal_is_never_taken_for_a_calm_one() -> None:
    def page(**given: Any) -> str:
        found = Restored(None, (a_row("as written", 1),), NOW, None, **given)
        return render_report(render_restored(found), output="md")

    calm = "no write that the journal knows is missing"
    assert calm in page()
    assert calm not in page(journal_gap="entry 7: its end is gone")
    assert calm not in page(unknown_stamps={"r9": 1})
    assert "No undo is planned by it" in page(unknown_stamps={"r9": 1})


def test_a_webhook_is_replayed_only_where_no_correction_credits_its_payment() -> None:
    rows = [
        {"delivery_id": "d1", "provider": "p", "received_at": 2_000, "request_id": "r1"},
        {"delivery_id": "d2", "provider": "p", "received_at": 3_000, "request_id": "r2"},
        {"delivery_id": "d0", "provider": "p", "received_at": 500, "request_id": "r3"},
        {"delivery_id": "d3", "provider": "p", "received_at": None, "reference": "r4"},
    ]
    found = {each.delivery_id: each.is_to_replay for each in delivered(rows, corrected=("r1",), since_ms=1_000)}
    assert found == {"d1": False, "d2": True, "d3": True}
