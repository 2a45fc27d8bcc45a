"""Payments that fail more than they used to, by the reason that the backend keeps."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from recon.setup.failures import count_failures
from recon.setup.file import FailuresSection
from recon.sources.payments.fields import FieldPaths

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
SECTION = FailuresSection(field="error_code", window_min=60, share_max_percent=10)


def payments(count: int, *, failed: int = 0, code: str | None = "TIMEOUT", age_min: int = 5) -> list[dict[str, Any]]:
    made = {"createdAt": NOW - timedelta(minutes=age_min)}
    lost = {"status": "failed", **({} if code is None else {"error_code": code})}
    return [{**made, **(lost if number < failed else {"status": "completed"})} for number in range(count)]


def said(*documents: list[dict[str, Any]]) -> list[str]:
    every = [each for part in documents for each in part]
    return list(count_failures(every, fields=FieldPaths(), section=SECTION, now=NOW).spikes())


def test_a_reason_that_comes_far_more_often_than_before_is_said() -> None:
    (text,) = said(payments(20, failed=6), payments(200, failed=1, age_min=600))
    assert text.startswith("6 of the 20 payments of the last 60 min failed with TIMEOUT (1 of 200 before).")


def test_what_was_always_so_and_what_is_little_is_not_said() -> None:
    assert not said(payments(20, failed=6), payments(200, failed=50, age_min=600))
    assert not said(payments(20, failed=2), payments(200, age_min=600))
    assert not said(payments(100, failed=10), payments(200, age_min=600))
    assert not said([])


def test_reasons_are_counted_apart_and_the_most_frequent_comes_first() -> None:
    recent = payments(10, failed=4, code="REVERTED") + payments(10, failed=5, code=None)
    texts = said(recent, payments(200, age_min=600))
    assert [text.split(" failed with ")[1].split(" (")[0] for text in texts] == ["no code", "REVERTED"]


def test_without_anything_older_it_says_that_there_is_nothing_to_compare_with() -> None:
    (text,) = said(payments(10, failed=5))
    assert "nothing older to compare with" in text


def test_a_row_without_a_date_and_a_reason_that_is_no_text_do_no_harm() -> None:
    assert not said([{"status": "failed", "error_code": {"a": 1}}] * 5)
    (text,) = said([{**each, "error_code": 7} for each in payments(5, failed=5)])
    assert "failed with 7" in text


def test_of_a_time_without_payments_nothing_is_concluded() -> None:
    def of(documents: list[dict[str, Any]]) -> tuple[bool, tuple[str, ...]]:
        return count_failures(documents, fields=FieldPaths(), section=SECTION, now=NOW).said()

    usual, said_of_few = of(payments(20, failed=2))
    assert usual and said_of_few == ("No code is a spike among the 20 payments of the last 60 min.",)
    for silent in ([], payments(20, age_min=600)):
        known, (text,) = of(silent)
        assert not known and "no payment of the last 60 min was read" in text.lower()
