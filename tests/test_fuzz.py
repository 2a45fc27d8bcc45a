"""Whatever comes from outside, no exception but ours; ``scripts/fuzz`` runs the same for as long as told."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings

from tests.fuzzing import PROPERTIES, names

EXAMPLES = 25


@pytest.mark.parametrize("name", names())
def test_outside_text_raises_nothing_but_our_errors(name: str) -> None:
    known = PROPERTIES[name]
    quick = settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    quick(given(known.drawn)(known.check))()
