"""Words of both runbooks are read, and written in the vocabulary of the file."""

from __future__ import annotations

import pytest

from recon.rails.flags.words import FlagWords, bool_of, looks_secret, mode_of, spell_bool, spell_mode, split_list


@pytest.mark.parametrize(
    ("word", "mode"),
    [
        ("live", "live"), ("standard", "live"), ("read-only", "read_only"), ("read_only", "read_only"),
        ("READ_ONLY", "read_only"), ("dry-run", "dry_run"), (" live ", "live"), ("lively", None), ("", None),
        (None, None),
    ],
)  # fmt: skip
def test_both_vocabularies_are_read(word: str | None, mode: str | None) -> None:
    assert mode_of(word) == mode


@pytest.mark.parametrize(
    ("mode", "current", "spelled"),
    [
        ("read_only", "live", "read-only"),
        ("read_only", "standard", "read_only"),
        ("read_only", "READ-ONLY", "READ-ONLY"),
        ("live", "read-only", "live"),
        ("live", "read_only", "standard"),
        ("live", "dry-run", "live"),
        ("read_only", None, "read_only"),
        ("read_only", "nonsense", "read_only"),
    ],
)
def test_a_mode_is_written_in_the_vocabulary_of_the_file(mode: str, current: str | None, spelled: str) -> None:
    assert spell_mode(mode, current=current) == spelled  # type: ignore[arg-type]


def test_the_preferred_spelling_counts_where_the_file_shows_none() -> None:
    assert spell_mode("read_only", current=None, preferred="read-only") == "read-only"


@pytest.mark.parametrize(
    ("value", "current", "spelled"),
    [
        (False, "true", "false"), (False, "TRUE", "FALSE"), (False, "True", "False"), (False, "1", "0"),
        (True, "no", "yes"),        (True, "OFF", "ON"), (False, None, "false"), (True, "perhaps", "true"),
    ],
)  # fmt: skip
def test_a_truth_value_is_written_as_the_file_writes_them(value: bool, current: str | None, spelled: str) -> None:
    assert spell_bool(value, current=current) == spelled
    assert bool_of(spelled) is value


def test_rails_are_known_by_every_alias_and_by_the_configured_spelling() -> None:
    words = FlagWords(spellings={"request_network": "rn-pay"}, extra_providers=("amn.scanner",))
    for word in ("request.network", "request-network", "REQUEST_NETWORK", " rn-pay "):
        assert words.rail(word) == "request_network"
    assert words.rail("amn.scanner") == "amn.scanner"
    assert words.rail("paypal") is None
    assert words.rail("") is None


def test_names_of_secrets_are_known_as_such() -> None:
    for name in ("SHKEEPER_API_KEY", "REQUEST_NETWORK_WEBHOOK_SECRET", "MONGO_URI", "DB_PASSWORD", "wallet_private"):
        assert looks_secret(name)
    for name in ("PAYMENT_ENABLED_PROVIDERS", "REQUEST_NETWORK_ENABLED", "PAYMENT_MODE"):
        assert not looks_secret(name)


def test_a_list_drops_blanks() -> None:
    assert split_list(" a, ,b,") == ("a", "b")
