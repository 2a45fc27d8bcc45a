"""Settings: what the file, the variables and the secrets may say, and the one sentence for what they may not."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from recon.core.errors import ConfigError, UsageError
from recon.setup.settings import load_settings
from recon.sources.interface import Selection

OURS = "0x" + "ab" * 20


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in list(os.environ):
        if name.startswith("RECON_"):
            monkeypatch.delenv(name)


def written(folder: Path, text: str) -> Path:
    path = folder / "recon.toml"
    path.write_text(text, encoding="utf-8")
    return path


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load_settings(written(folder, text))
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert sentence.endswith((".", "?"))
    return sentence


def recorded_world(folder: Path, **changes: object) -> Path:
    world = {
        "format": 1,
        "now": "2026-11-20T12:00:00.000Z",
        "target_name": "demo",
        "merchant_recipients": [OURS.upper().replace("0X", "0x")],
        "chains": {"56": {"head": 10, "head_time": 1, "finalized": None, "block_ms": 750}, "1": {}},
        **changes,
    }
    (folder / "world.json").write_text(json.dumps(world), encoding="utf-8")
    return written(folder, '[recorded]\npath = "."\n')


def test_an_empty_file_gives_the_defaults(tmp_path: Path) -> None:
    settings = load_settings(written(tmp_path, ""))
    assert settings.values.mongo.database == "marketplace"
    assert settings.policy().changes_max == 500
    assert settings.output_dir == tmp_path / "recon-out"


@pytest.mark.parametrize(
    ("text", "key", "nearest"),
    [
        ("[mongo]\ndatabse = 'x'", "mongo.databse", "mongo.database"),
        ("[mongoo]\ndatabase = 'x'", "mongoo", "mongo"),
        ("[[chains]]\nchain_id = 1\nendpoint = ['http://a']", "chains.endpoint", "chains.endpoints"),
        ("changes_max = 3", "changes_max", "limits.changes_max"),
    ],
)
def test_an_unknown_key_is_named_with_the_nearest_known_one(tmp_path: Path, text: str, key: str, nearest: str) -> None:
    sentence = refusal(tmp_path, text)
    assert f'"{key}"' in sentence
    assert f'did you mean "{nearest}"?' in sentence


def test_a_key_like_no_other_points_to_the_commented_file(tmp_path: Path) -> None:
    assert "recon init" in refusal(tmp_path, "zzzzzz = 1")


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("[limits]\nchanges_max = true", "limits.changes_max"),
        ("[limits]\nchanges_max = -1", "limits.changes_max"),
        ("[limits]\nshare_max_percent = 101", "limits.share_max_percent"),
        ("[limits.value_max]\nUSDC = 1.5", "limits.value_max.USDC"),
        ("[window]\ndate = 'sometimes'", "window.date"),
        ("[merchant]\nrecipients = ['0x12']", "merchant.recipients"),
        ("[request_network]\nbase_url = 'ftp://x'", "request_network.base_url"),
        ("[[chains]]\nname = 'x'", "chains.chain_id"),
    ],
)
def test_a_wrong_value_names_its_key(tmp_path: Path, text: str, key: str) -> None:
    assert f'"{key}"' in refusal(tmp_path, text)


def test_a_variable_beats_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECON_LIMITS__CHANGES_MAX", "800")
    monkeypatch.setenv("RECON_TARGET__NAME", "copy")
    settings = load_settings(written(tmp_path, "[limits]\nchanges_max = 3\nshare_max_percent = 7"))
    assert settings.policy().changes_max == 800
    assert settings.policy().share_max_percent == 7
    assert settings.target_name == "copy"


def test_an_unknown_variable_within_a_section_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECON_LIMITS__CHANGE_MAX", "800")
    sentence = refusal(tmp_path, "")
    assert sentence.startswith("RECON_LIMITS__CHANGE_MAX:")
    assert 'did you mean "limits.changes_max"?' in sentence


def test_a_section_variable_that_is_no_json_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECON_LIMITS", "junk")
    assert "RECON_LIMITS" in refusal(tmp_path, "")


@pytest.mark.parametrize("line", ["[mongo]\nuri = 'mongodb://u:topsecret@h'", "[shkeeper]\napi_key = 'topsecret'"])
def test_a_secret_in_the_file_is_refused_and_not_repeated(tmp_path: Path, line: str) -> None:
    sentence = refusal(tmp_path, line)
    assert "topsecret" not in sentence
    assert "RECON_" in sentence


def test_secrets_come_from_the_environment_then_from_the_named_dotenv(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my.env").write_text("RECON_MONGO_URI=mongodb://a$b/\nOTHER='two words'\n", encoding="utf-8")
    settings = load_settings(written(tmp_path, "secrets_file = 'my.env'"))
    found = settings.secret("RECON_MONGO_URI", purpose="the database")
    assert found.get_secret_value() == "mongodb://a$b/"
    assert "mongodb" not in repr(found) + repr(settings) + str(settings.values)
    monkeypatch.setenv("RECON_MONGO_URI", "mongodb://c/")
    assert settings.secret("RECON_MONGO_URI", purpose="the database").get_secret_value() == "mongodb://c/"


def test_a_missing_secret_names_its_variable(tmp_path: Path) -> None:
    settings = load_settings(written(tmp_path, ""))
    with pytest.raises(ConfigError, match="RECON_MONGO_URI is not set, and the database needs it"):
        settings.secret("RECON_MONGO_URI", purpose="the database")


def test_endpoints_are_filled_in_and_never_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NODE_KEY", "topsecret")
    settings = load_settings(
        written(tmp_path, "[[chains]]\nchain_id = 56\nendpoints = ['https://node.example/v1/${NODE_KEY}/']")
    )
    (filled,) = settings.endpoints(settings.values.chains[0])
    assert filled.get_secret_value() == "https://node.example/v1/topsecret"
    assert "topsecret" not in repr(settings.values) + repr(filled)


def test_an_endpoint_whose_variable_is_missing_says_which(tmp_path: Path) -> None:
    settings = load_settings(written(tmp_path, "[[chains]]\nchain_id = 56\nendpoints = ['https://n/${NODE_KEY}']"))
    with pytest.raises(ConfigError, match="NODE_KEY is not set, and endpoint 1 of chain 56 needs it"):
        settings.endpoints(settings.values.chains[0])


def test_an_endpoint_that_is_no_address_is_refused_without_showing_it(tmp_path: Path) -> None:
    settings = load_settings(written(tmp_path, "[[chains]]\nchain_id = 56\nendpoints = ['topsecret']"))
    with pytest.raises(ConfigError) as caught:
        settings.endpoints(settings.values.chains[0])
    assert "topsecret" not in str(caught.value)


def test_a_limit_in_tokens_becomes_units_of_each_contract(tmp_path: Path) -> None:
    text = "[[chains]]\nchain_id = 1\n[[chains]]\nchain_id = 56\n[limits.value_max]\nusdc = '1000.5'"
    limits = load_settings(written(tmp_path, text)).policy().value_max_units
    assert limits == {
        "1:0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48": 1_000_500_000,
        "56:0x8ac76a51cc950d9822d68b83fe1ad97b32cd580d": 1_000_500_000_000_000_000_000,
    }


def test_a_limit_for_a_token_nobody_has_is_refused(tmp_path: Path) -> None:
    assert '"limits.value_max.USDX"' in refusal(tmp_path, "[limits.value_max]\nUSDX = '1'")


def test_a_limit_finer_than_its_token_is_refused(tmp_path: Path) -> None:
    assert "finer" in refusal(tmp_path, "[[chains]]\nchain_id = 1\n[limits.value_max]\nUSDC = '0.0000001'")


def test_the_file_adds_tokens_chains_and_contracts_to_the_registry(tmp_path: Path) -> None:
    text = f"""
[[chains]]
chain_id = 31337
name = "anvil"
final_depth = 3
[[tokens]]
chain_id = 31337
address = "{OURS.upper().replace("0X", "0x")}"
symbol = "TST"
decimals = 6
[[emitters]]
chain_id = 31337
address = "{OURS}"
"""
    registry = load_settings(written(tmp_path, text)).registry()
    assert registry.chain_id("anvil") == 31337
    assert registry.chains[31337].final_depth == 3
    assert registry.tokens[31337, OURS].decimals == 6
    assert registry.emitters[31337, OURS].kind == "fee_proxy"
    assert registry.chains[137].final_depth == 500


def test_an_unknown_chain_needs_a_name(tmp_path: Path) -> None:
    assert "31337" in refusal(tmp_path, "[[chains]]\nchain_id = 31337")


def test_policy_carries_what_the_file_says(tmp_path: Path) -> None:
    text = f"""
[request_network]
enabled = true
[[chains]]
chain_id = 56
confirmations_min = 20
[merchant]
recipients = ["{OURS}"]
[policy]
stuck_after_min = 10
provider_proves = ["request.network:56"]
tolerance_ppm = {{ shkeeper = [10000, 20000] }}
[health]
unproven_share_max_percent = 9
"""
    policy = load_settings(written(tmp_path, text)).policy()
    assert policy.providers == ("request_network",)
    assert policy.chain_ids == (56,)
    assert policy.confirmations_min == {56: 20}
    assert policy.merchant_recipients == (OURS,)
    assert policy.stuck_after_ms == 600_000
    assert policy.provider_proves == ("request_network:56",)
    assert policy.tolerance_ppm == {"request_network": (0, 0), "shkeeper": (10_000, 20_000)}
    assert policy.unproven_share_max_percent == 9


def test_a_recorded_world_brings_its_clock_name_chains_and_addresses(tmp_path: Path) -> None:
    (tmp_path / "shkeeper.ndjson").write_text("", encoding="utf-8")
    settings = load_settings(recorded_world(tmp_path))
    assert settings.now() == datetime(2026, 11, 20, 12, tzinfo=UTC)
    assert settings.target_name == "demo"
    assert settings.chain_ids == (1, 56)
    assert settings.recipients == (OURS,)
    assert settings.providers == ("shkeeper",)
    assert settings.selection() == Selection()


@pytest.mark.parametrize("changes", [{"format": 2}, {"now": "yesterday"}, {"chains": {"x": 1}}, {"now": None}])
def test_a_broken_recorded_world_is_refused(tmp_path: Path, changes: dict[str, object]) -> None:
    path = recorded_world(tmp_path, **changes)
    with pytest.raises(ConfigError, match=r"recorded\.path"):
        load_settings(path)


def test_a_missing_recorded_world_is_refused(tmp_path: Path) -> None:
    assert '"recorded.path"' in refusal(tmp_path, "[recorded]\npath = 'nowhere'")


def test_without_dates_the_window_is_the_configured_one(tmp_path: Path) -> None:
    settings = load_settings(written(tmp_path, "[window]\nhours = 2\ndate = 'updated'"))
    chosen = settings.selection()
    assert chosen.date_field == "updated"
    assert chosen.from_at is not None
    assert 7190 < (datetime.now(UTC) - chosen.from_at).total_seconds() < 7300
    assert settings.selection(choice=Selection(ids=("a",))).from_at is None
    assert settings.selection(choice=Selection(open_only=True)).from_at is None


def test_a_window_that_runs_backwards_is_refused(tmp_path: Path) -> None:
    settings = load_settings(written(tmp_path, ""))
    with pytest.raises(UsageError, match="runs backwards"):
        settings.selection(from_at=datetime(2026, 2, 1, tzinfo=UTC), to_at=datetime(2026, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize("data", [b"[mongo", b"\xff\xfe", b"a = 1\na = 2"])
def test_a_file_that_is_no_toml_is_one_sentence(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "recon.toml"
    path.write_bytes(data)
    with pytest.raises(ConfigError, match=r"recon\.toml"):
        load_settings(path)


def test_a_missing_file_points_to_init(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="recon init"):
        load_settings(tmp_path / "nothing.toml")


def test_an_unreadable_secrets_file_is_named(tmp_path: Path) -> None:
    assert '"secrets_file"' in refusal(tmp_path, "secrets_file = 'gone.env'")


@pytest.mark.parametrize(
    "rail", ["shkeeper", "shkeper:56", "request_network:1", "request_network:", ":56", "a:b:56", ""]
)
def test_a_word_is_taken_on_rails_in_scope_only(rail: str, tmp_path: Path) -> None:
    text = f"""
[request_network]
enabled = true
[[chains]]
chain_id = 56
[policy]
provider_proves = ["{rail}"]
"""
    with pytest.raises(ConfigError, match=r"provider_proves.*no rail in scope"):
        load_settings(written(tmp_path, text)).policy()


WALLETS = f"[[chains]]\nchain_id = 1\n[merchant]\nrecipients = ['{OURS}']\npayout_wallets = ['0x{'cd' * 20}']\n"
RULE = f"[[balances.explained]]\naddress = '{OURS.upper().replace('X', 'x')}'\nreason = 'sweep'\n"


def test_known_wallets_are_the_recipients_and_the_payout_wallets(tmp_path: Path) -> None:
    assert load_settings(written(tmp_path, WALLETS)).known_wallets == (OURS, "0x" + "cd" * 20)
    assert load_settings(written(tmp_path, "[[chains]]\nchain_id = 1\n")).known_wallets == ()
    assert load_settings(written(tmp_path, WALLETS + "[balances]\nenabled = false\n")).known_wallets == ()


def test_a_rule_for_a_movement_means_every_token_and_chain_that_it_does_not_name(tmp_path: Path) -> None:
    [rule] = load_settings(written(tmp_path, WALLETS + RULE)).policy().explained
    assert (rule.address, rule.reason, rule.wallet, rule.direction) == (OURS, "sweep", None, None)
    assert len(rule.tokens) > 1 and all(token.startswith("1:0x") for token in rule.tokens)
    [narrow] = load_settings(written(tmp_path, WALLETS + RULE + "token = 'usdc'\n")).policy().explained
    assert narrow.tokens == ("1:0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48",)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("token = 'USDX'", "no chain that it is about has a token USDX"),
        ("chain_id = 56", "chain 56 is not in scope"),
        ("wallet = 'nobody'", "is no address"),
        ("direction = 'sideways'", "balances.explained.direction"),
        ("amount = 5", "no known setting"),
    ],
)
def test_a_rule_for_a_movement_that_names_nothing_known_is_refused(tmp_path: Path, line: str, said: str) -> None:
    assert said in refusal(tmp_path, f"{WALLETS}{RULE}{line}\n")


def test_a_rule_needs_a_reason(tmp_path: Path) -> None:
    assert "balances.explained.reason" in refusal(tmp_path, WALLETS + RULE.replace("reason = 'sweep'\n", ""))


def test_rules_count_for_the_policy_and_without_one_its_digest_is_as_before(tmp_path: Path) -> None:
    from recon.plans.make import policy_digest, policy_facts

    plain, ruled = (load_settings(written(tmp_path, text)).policy() for text in (WALLETS, WALLETS + RULE))
    assert "explained" not in policy_facts(plain)
    assert policy_digest(plain) != policy_digest(ruled)
