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
    assert all("cannot tell: not set here, so the backend's own default" in view.means for view in status.flags)
    assert status.is_sound
    assert status.means.startswith(
        "Cannot tell which rails take new payments: PAYMENT_ENABLED_PROVIDERS is not set here;"
    )
    assert len(status.unknown) == 1


@pytest.mark.parametrize(
    ("changed", "doubts", "says"),
    [
        ({"PAYMENT_ENABLED_PROVIDERS": None}, {}, "PAYMENT_ENABLED_PROVIDERS is not set here"),
        ({"PAYMENT_ENABLED_PROVIDERS": " , "}, {}, "is empty, which a backend may read as every rail"),
        ({"PAYMENT_ENABLED_PROVIDERS": "paypal"}, {}, "names no rail that is known"),
        ({"REQUEST_NETWORK_ENABLED": "maybe"}, {}, "REQUEST_NETWORK_ENABLED is neither on nor off"),
        ({"PAYMENT_ENABLED_PROVIDERS": None}, {"PAYMENT_ENABLED_PROVIDERS": "two readers"}, "PROVIDERS: two readers"),
        ({"PAYMENT_PROVIDER_MODE": None}, {"PAYMENT_PROVIDER_MODE": "two readers"}, "MODE: two readers"),
        ({"REQUEST_NETWORK_ENABLED": None}, {"REQUEST_NETWORK_ENABLED": "a Secret"}, "ENABLED: a Secret"),
        ({"REQUEST_NETWORK_ENABLED": None}, {}, "is listed and its REQUEST_NETWORK_ENABLED is not set here"),
        ({"REQUEST_NETWORK_ENABLED": " "}, {}, "is listed and its REQUEST_NETWORK_ENABLED is empty here"),
        ({"PAYMENT_PROVIDER_MODE": "maintenance"}, {}, "PAYMENT_PROVIDER_MODE is a word that nobody knows"),
        ({"PAYMENT_MODE": "=live"}, {}, "PAYMENT_MODE is a word that nobody knows"),
    ],
)
def test_what_is_not_known_is_never_no_rail(changed: dict[str, str | None], doubts: dict[str, str], says: str) -> None:
    values: dict[str, str | None] = {**SOUND, **changed}
    status = judge_flags(values, WORDS, doubts=doubts)
    assert status.rails == ()
    assert "No rail takes new payments" not in status.means
    assert says in status.means
    assert any(says in sentence for sentence in status.unknown)


def test_a_mode_that_only_reads_closes_every_rail_whatever_else_is_unknown() -> None:
    status = judge_flags({"PAYMENT_MODE": "read_only"}, WORDS)
    assert status.means.startswith("No rail takes new payments")
    assert status.unknown == ()


def test_a_default_of_the_backend_that_is_known_counts_where_nothing_is_set() -> None:
    unset = {flag: value for flag, value in SOUND.items() if flag != "REQUEST_NETWORK_ENABLED"}
    for default, rails in (("true", ("request_network", "shkeeper")), ("false", ("shkeeper",))):
        words = FlagWords(defaults={"REQUEST_NETWORK_ENABLED": default})
        assert judge_flags(unset, words).rails == open_rails(unset, words) == rails
        [view] = [each for each in judge_flags(unset, words).flags if each.flag == "REQUEST_NETWORK_ENABLED"]
        assert (view.value, view.means.startswith("not set here; [flags.defaults] says")) == (None, True)
    doubted = judge_flags(unset, words, doubts={"REQUEST_NETWORK_ENABLED": "a Secret"})
    assert doubted.rails == ()
    empty = judge_flags(unset | {"REQUEST_NETWORK_ENABLED": ""}, words)
    assert "is empty here" in empty.means


def test_a_rail_that_is_not_listed_or_has_no_switch_needs_none() -> None:
    alone = {"PAYMENT_ENABLED_PROVIDERS": "shkeeper", "PAYMENT_PROVIDER_MODE": "live"}
    assert judge_flags(alone, WORDS).rails == ("shkeeper",)
    both = alone | {"PAYMENT_ENABLED_PROVIDERS": "shkeeper,request_network"}
    assert judge_flags(both, FlagWords(rail_switches={})).rails == ("shkeeper", "request_network")
