"""The status says what the flags mean together, what contradicts and what is dangerous."""

from __future__ import annotations

import pytest

from recon.rails.flags.status import judge_flags, open_rails
from recon.rails.flags.words import FlagWords

WORDS = FlagWords()
SOUND = {
    "REQUEST_NETWORK_ENABLED": "true",
    "PAYMENT_ENABLED_PROVIDERS": "request.network,shkeeper",
    "PAYMENT_DEFAULT_PROVIDER": "request.network",
    "PAYMENT_ROLLBACK_PROVIDER": "shkeeper",
    "PAYMENT_PROVIDER_MODE": "live",
    "PAYMENT_RECONCILIATION_ENABLED": "false",
}


def test_a_sound_set_says_where_payments_go() -> None:
    status = judge_flags(SOUND, WORDS)
    assert status.is_sound
    assert status.rails == ("request_network", "shkeeper")
    assert status.means.startswith("New payments go to request_network and shkeeper; payments are taken and written;")


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"REQUEST_NETWORK_ENABLED": "false"}, "lists request_network and REQUEST_NETWORK_ENABLED switches it off"),
        ({"PAYMENT_ENABLED_PROVIDERS": "shkeeper"}, "does not list it"),
        ({"PAYMENT_ENABLED_PROVIDERS": "shkeeper,read_only"}, "PAYMENT_PROVIDER_MODE was probably meant"),
        ({"PAYMENT_DEFAULT_PROVIDER": "amn"}, "nobody knows the word 'amn'"),
        ({"PAYMENT_ROLLBACK_PROVIDER": "shkeeper", "PAYMENT_ENABLED_PROVIDERS": "rn"}, "as the rail to fall back to"),
        ({"PAYMENT_MODE": "read_only"}, "PAYMENT_MODE says read_only"),
        ({"PAYMENT_PROVIDER_MODE": "turbo"}, "nobody knows the word 'turbo'"),
    ],
)
def test_what_contradicts_is_said(changed: dict[str, str], says: str) -> None:
    status = judge_flags(SOUND | changed, WORDS)
    assert any(says in sentence for sentence in status.contradictions), status.contradictions
    assert not status.is_sound


def test_one_word_in_two_vocabularies_is_no_contradiction() -> None:
    assert judge_flags(SOUND | {"PAYMENT_MODE": "standard"}, WORDS).is_sound


def test_the_demo_payout_flag_and_the_dry_run_mode_alarm() -> None:
    status = judge_flags(SOUND | {"SHKEEPER_FORCE_PAYOUT_DEMO": "TRUE", "PAYMENT_PROVIDER_MODE": "dry-run"}, WORDS)
    assert len(status.alarms) == 2
    assert "SIMULATED" in status.alarms[0]
    assert "still writes statuses" in status.alarms[1]


@pytest.mark.parametrize(
    ("changed", "rails"),
    [
        ({}, ("request_network", "shkeeper")),
        ({"REQUEST_NETWORK_ENABLED": "0"}, ("shkeeper",)),
        ({"PAYMENT_PROVIDER_MODE": "read-only"}, ()),
        ({"PAYMENT_MODE": "read_only"}, ()),
        ({"PAYMENT_ENABLED_PROVIDERS": ""}, ()),
        ({"PAYMENT_ENABLED_PROVIDERS": "shkeeper,shkeeper"}, ("shkeeper",)),
    ],
)
def test_open_rails(changed: dict[str, str], rails: tuple[str, ...]) -> None:
    assert open_rails(SOUND | changed, WORDS) == rails


def test_what_is_not_set_is_said_to_be_the_backends_default() -> None:
    status = judge_flags({}, WORDS)
    assert status.rails == ()
    assert all("not set, the backend's own default" in view.means for view in status.flags)
    assert status.is_sound
