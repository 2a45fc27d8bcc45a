"""What is listed as slow is there: a test that was renamed or is gone leaves the list."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.slow import SLOW, reason

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", SLOW)
def test_every_listed_name_is_the_beginning_of_a_test(name: str) -> None:
    file, _, test = name.partition("::")
    path = ROOT / file
    assert path.exists()
    assert not test or f"def {test}" in path.read_text(encoding="utf-8")


def test_a_listed_test_has_its_reason_and_a_quick_one_has_none() -> None:
    assert reason("tests/end_to_end/test_crash.py::test_any[1]") == SLOW["tests/end_to_end/"]
    assert reason("tests/core/test_money.py::test_any") is None
