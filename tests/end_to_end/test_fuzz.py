"""Whatever comes from outside, no exception but ours; ``scripts/fuzz`` runs the same for as long as told."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from recon import decode_transfer, payment_reference
from recon.core.errors import IdError, ReconError
from recon.sources.chain.logs import TransferLogError
from tests.support import payment_documents
from tests.support.fuzzing import PROPERTIES, names
from tests.support.spoiling import LOG, sound_case

EXAMPLES = 25


@pytest.mark.parametrize("name", names())
def test_outside_text_raises_nothing_but_our_errors(name: str) -> None:
    known = PROPERTIES[name]
    quick = settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    quick(given(known.drawn)(known.check))()


# What the fuzzer found once, each by itself.


def test_a_reference_of_broken_text_is_refused() -> None:
    with pytest.raises(IdError, match="broken text"):
        payment_reference("01ab", "\ud800", "0x" + "11" * 20)


@pytest.mark.parametrize("topics", [True, 5, "0xab", {"a": 1}])
def test_topics_that_are_no_list_are_refused(topics: Any) -> None:
    with pytest.raises(TransferLogError):
        decode_transfer({**LOG, "topics": topics})


def test_a_long_field_name_beside_a_short_last_document_is_read() -> None:
    name = "0" * 7 + "\x80" * 6 + "\U00010000" * 5
    PROPERTIES["payment_documents_become_rows"].check([payment_documents.payment(**{name: 1}), {"_id": None, "__v": 0}])


@pytest.mark.parametrize(
    ("part", "value"),
    [
        (("policy", "provider_proves"), None),
        (("policy", "provider_proves"), ["shkeeper:x"]),
        (("policy", "chain_ids"), ["a"]),
        (("policy", "stuck_after_ms"), True),
        (("now_ms",), 10**400),
    ],
)
def test_a_case_file_with_a_policy_of_other_types_is_refused(part: tuple[str, ...], value: Any) -> None:
    case = sound_case()
    node = case
    for name in part[:-1]:
        node = node[name]
    node[part[-1]] = value
    PROPERTIES["case_files_are_judged_or_refused"].check(json.dumps(case).encode())


def test_a_recorded_log_without_a_block_is_refused() -> None:
    with suppress(ReconError):
        PROPERTIES["recorded_worlds_are_loaded_or_refused"].check(("chain-1.ndjson", 358, None, b""))


def test_an_answer_about_another_request_does_not_take_the_place_of_the_one_asked_for() -> None:
    spoil: dict[str, Any] = {"bytes": None, "status": 200, "headers": {}, "changes": [(0, 0)]}
    PROPERTIES["request_network_answers_are_read_or_refused"].check(spoil)
