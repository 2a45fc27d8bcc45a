"""Recipes set what the runbooks say, both ways round, in the spelling of the file."""

from __future__ import annotations

from itertools import product

import pytest

from recon.rails.flags.errors import FlagValueError, ModeInProviderListError, RecipeError
from recon.rails.flags.recipes import ENABLE, RECIPES, Recipe, find_recipe, plan_values, recipe_of_settings, roles_for
from recon.rails.flags.status import judge_flags
from recon.rails.flags.words import FlagWords

WORDS = FlagWords()
BEFORE = {
    "REQUEST_NETWORK_ENABLED": "true",
    "PAYMENT_ENABLED_PROVIDERS": "request.network,shkeeper",
    "PAYMENT_DEFAULT_PROVIDER": "request.network",
    "PAYMENT_ROLLBACK_PROVIDER": "shkeeper",
    "PAYMENT_PROVIDER_MODE": "live",
    "PAYMENT_RECONCILIATION_ENABLED": "true",
}


def planned(name: str, *, sick: str = "request_network", **changed: str | None) -> dict[str, str]:
    values = {k: v for k, v in (BEFORE | changed).items() if v is not None}
    found = plan_values(find_recipe(name, {}), roles_for(sick, words=WORDS), values=values, words=WORDS)
    return {k: v for k, v in found.items() if values.get(k) != v}


def test_incident_switches_request_network_off() -> None:
    assert planned("incident", PAYMENT_ROLLBACK_PROVIDER="request.network") == {
        "REQUEST_NETWORK_ENABLED": "false",
        "PAYMENT_ENABLED_PROVIDERS": "shkeeper",
        "PAYMENT_ROLLBACK_PROVIDER": "shkeeper",
        "PAYMENT_DEFAULT_PROVIDER": "shkeeper",
        "PAYMENT_RECONCILIATION_ENABLED": "false",
    }
    assert RECIPES["incident"].confirm == ("PAYMENT_PROVIDER_MODE",)


def test_incident_mirrored_switches_request_network_on_and_shkeeper_out() -> None:
    assert planned("incident", sick="shkeeper", REQUEST_NETWORK_ENABLED="false") == {
        "REQUEST_NETWORK_ENABLED": "true",
        "PAYMENT_ENABLED_PROVIDERS": "request.network",
        "PAYMENT_ROLLBACK_PROVIDER": "request.network",
        "PAYMENT_RECONCILIATION_ENABLED": "false",
    }


def test_migration_changes_default_and_mode_and_keeps_reconciliation_on() -> None:
    assert planned("migration", PAYMENT_RECONCILIATION_ENABLED="false", PAYMENT_PROVIDER_MODE="standard") == {
        "PAYMENT_ENABLED_PROVIDERS": "shkeeper",
        "PAYMENT_DEFAULT_PROVIDER": "shkeeper",
        "PAYMENT_PROVIDER_MODE": "read_only",
        "PAYMENT_RECONCILIATION_ENABLED": "true",
    }


def test_merged_has_the_routing_of_both_and_leaves_the_mode() -> None:
    assert planned("merged") == {
        "REQUEST_NETWORK_ENABLED": "false",
        "PAYMENT_ENABLED_PROVIDERS": "shkeeper",
        "PAYMENT_DEFAULT_PROVIDER": "shkeeper",
        "PAYMENT_RECONCILIATION_ENABLED": "false",
    }


def test_cutoff_pauses_new_intents_and_leaves_the_switch_for_webhooks() -> None:
    assert planned("cutoff") == {
        "PAYMENT_ENABLED_PROVIDERS": "shkeeper",
        "PAYMENT_DEFAULT_PROVIDER": "shkeeper",
        "PAYMENT_PROVIDER_MODE": "read-only",
    }


def test_cutoff_keeps_the_other_rails_as_they_are_spelled() -> None:
    words = FlagWords(extra_providers=("amn.scanner",))
    values = {"PAYMENT_ENABLED_PROVIDERS": "Request-Network, amn.scanner ,shkeeper"}
    found = plan_values(RECIPES["cutoff"], roles_for("rn", words=words), values=values, words=words)
    assert found["PAYMENT_ENABLED_PROVIDERS"] == "amn.scanner,shkeeper"


def test_read_only_stops_both_rails_and_touches_payment_mode_only_where_it_is_set() -> None:
    assert planned("read-only") == {"PAYMENT_PROVIDER_MODE": "read-only", "PAYMENT_RECONCILIATION_ENABLED": "false"}
    assert planned("read-only", PAYMENT_MODE="standard")["PAYMENT_MODE"] == "read_only"
    assert RECIPES["read-only"].switches_to is None


def test_a_recipe_changes_nothing_where_all_is_as_it_says() -> None:
    for name in RECIPES:
        after = BEFORE | planned(name)
        again = plan_values(RECIPES[name], roles_for("request_network", words=WORDS), values=after, words=WORDS)
        assert {k: v for k, v in again.items() if after.get(k) != v} == {}


def test_enable_lets_the_rail_in_beside_the_others_and_leaves_read_only() -> None:
    roles = roles_for("shkeeper", words=WORDS)
    values = BEFORE | {"PAYMENT_ENABLED_PROVIDERS": "shkeeper", "REQUEST_NETWORK_ENABLED": "False"}
    values |= {"PAYMENT_PROVIDER_MODE": "read_only"}
    assert plan_values(ENABLE, roles, values=values, words=WORDS) == {
        "REQUEST_NETWORK_ENABLED": "True",
        "PAYMENT_ENABLED_PROVIDERS": "shkeeper,request.network",
        "PAYMENT_PROVIDER_MODE": "standard",
    }


def test_the_spelling_of_the_configuration_is_used_where_the_file_shows_none() -> None:
    words = FlagWords(spellings={"request_network": "request.network"})
    values = {"PAYMENT_ENABLED_PROVIDERS": "shkeeper"}
    found = plan_values(ENABLE, roles_for("shkeeper", words=words), values=values, words=words)
    assert found["PAYMENT_ENABLED_PROVIDERS"] == "shkeeper,request.network"


def test_an_own_recipe_sets_plain_values_with_roles() -> None:
    recipe = recipe_of_settings("calm", {"PAYMENT_DEFAULT_PROVIDER": "{safe}"}, title="", switches=True)
    assert find_recipe("calm", {"calm": recipe}) is recipe
    found = plan_values(recipe, roles_for("request_network", words=WORDS), values=BEFORE, words=WORDS)
    assert found == {"PAYMENT_DEFAULT_PROVIDER": "shkeeper"}


def test_an_own_recipe_with_a_mode_in_the_provider_list_names_the_flag_that_was_meant() -> None:
    recipe = recipe_of_settings("bad", {"PAYMENT_ENABLED_PROVIDERS": "read_only"}, title="", switches=False)
    with pytest.raises(ModeInProviderListError, match="Probably meant: PAYMENT_PROVIDER_MODE=read_only"):
        plan_values(recipe, roles_for("request_network", words=WORDS), values=BEFORE, words=WORDS)


@pytest.mark.parametrize(
    ("flag", "value", "says"),
    [
        ("PAYMENT_ENABLED_PROVIDERS", "paypal", "no provider that is known"),
        ("PAYMENT_ENABLED_PROVIDERS", ",", "every provider"),
        ("PAYMENT_DEFAULT_PROVIDER", "shkeeper,request_network", "exactly one"),
        ("PAYMENT_PROVIDER_MODE", "shkeeper", "live, read-only or dry-run"),
        ("REQUEST_NETWORK_ENABLED", "maybe", "true or false"),
        ("SHKEEPER_API_KEY", "abc", "looks like a secret"),
        ("NOBODY_KNOWS_THIS", "abc", "no flag that is known"),
        ("PAYMENT_PROVIDER_MODE", "live\nX=1", "line break"),
    ],
)
def test_a_value_that_its_flag_cannot_have_is_refused(flag: str, value: str, says: str) -> None:
    recipe = recipe_of_settings("own", {flag: value}, title="", switches=False)
    with pytest.raises(FlagValueError, match=says):
        plan_values(recipe, roles_for("request_network", words=WORDS), values=BEFORE, words=WORDS)


def test_unknown_recipes_rails_and_clashing_names_are_refused() -> None:
    with pytest.raises(RecipeError, match="known are incident, migration, merged, cutoff, read-only"):
        find_recipe("panic", {})
    with pytest.raises(RecipeError, match="ships with recon"):
        find_recipe("incident", {"incident": Recipe("incident", "", ())})
    with pytest.raises(RecipeError, match="no rail that is known"):
        roles_for("paypal", words=WORDS)
    with pytest.raises(RecipeError, match="to itself"):
        roles_for("shkeeper", words=WORDS, safe="shkeeper")
    with pytest.raises(RecipeError, match="sets no flag"):
        recipe_of_settings("empty", {}, title="", switches=True)


STATES = {
    "REQUEST_NETWORK_ENABLED": ("true", "false", None),
    "PAYMENT_ENABLED_PROVIDERS": ("request.network,shkeeper", "request.network", "shkeeper", None),
    "PAYMENT_DEFAULT_PROVIDER": ("request.network", "shkeeper", None),
    "PAYMENT_ROLLBACK_PROVIDER": ("request.network", "shkeeper", None),
    "PAYMENT_PROVIDER_MODE": ("live", "standard", "read-only", None),
    "PAYMENT_MODE": ("live", "read_only", None),
}


@pytest.mark.parametrize("sick", ["request_network", "shkeeper"])
@pytest.mark.parametrize("name", RECIPES)
def test_no_recipe_leaves_a_contradiction_of_its_own(name: str, sick: str) -> None:
    for values in product(*STATES.values()):
        before = {flag: value for flag, value in zip(STATES, values, strict=True) if value is not None}
        if not judge_flags(before, WORDS).is_sound:
            continue
        wanted = plan_values(RECIPES[name], roles_for(sick, words=WORDS), values=before, words=WORDS)
        after = judge_flags({**before, **wanted}, WORDS)
        assert after.contradictions == (), (before, wanted)


def test_enabling_a_rail_where_no_list_is_set_makes_none_that_shuts_the_others_out() -> None:
    before = {"REQUEST_NETWORK_ENABLED": "false", "PAYMENT_PROVIDER_MODE": "live"}
    roles = roles_for("shkeeper", words=WORDS)
    assert "PAYMENT_ENABLED_PROVIDERS" not in plan_values(ENABLE, roles, values=before, words=WORDS)
