"""What stands in recon.toml about flags and gates is checked at the door and keeps the runbooks' defaults."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from recon.rails.flags.errors import ProbeSettingError, RecipeError
from recon.rails.flags.probes import default_probe
from recon.rails.gates.records import GateLimits
from recon.setup.rail_sections import FlagsSection, GatesSection
from recon.sources.providers.request_network.settings import RequestNetworkSection


def secret(variable: str, purpose: str) -> str:
    return {"HEALTH_KEY": "s3cret"}[variable]


def test_gates_without_settings_have_the_defaults_of_the_runbooks() -> None:
    assert GatesSection().limits() == GateLimits()


def test_percentages_are_exact_text() -> None:
    limits = GatesSection(mismatch_below_percent="0.25", chain_mismatch_percent_max="1").limits()  # type: ignore[arg-type]
    assert (limits.mismatch_below_ppm, limits.chain_mismatch_ppm_max) == (2500, 10_000)


@pytest.mark.parametrize(
    "given",
    [
        {"mismatch_below_percent": 0.5}, {"mismatch_below_percent": "half"}, {"samples_min": True}, {"samples_min": -1},
        {"health_checks_min": 0}, {"webhook_burst_failures": 3},
    ],
)  # fmt: skip
def test_wrong_and_unknown_thresholds_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        GatesSection(**given)


def test_a_probe_takes_its_secrets_from_the_environment_and_never_shows_them() -> None:
    section = FlagsSection(
        health={"shkeeper": {"url": "http://host/${HEALTH_KEY}", "headers": {"x-key": "${HEALTH_KEY}"}}},  # type: ignore[dict-item]
        readback=({"url": "http://backend/health"},),  # type: ignore[arg-type]
        checkout={"request_network": {"url": "http://backend/api/payment/request-network/intents"}},  # type: ignore[dict-item]
        restart=("systemctl", "restart", "backend"),
    )
    network = RequestNetworkSection(base_url="https://api.example")
    probe = default_probe("request_network", network, key="k3y")
    assert probe is not None
    setup = section.setup(defaults={"request_network": probe}, secret_of=secret)
    assert dict(setup.health["shkeeper"].headers) == {"x-key": "s3cret"}
    assert set(setup.health) == {"shkeeper", "request_network"}
    assert "s3cret" not in repr(setup)
    assert "k3y" not in repr(setup)
    assert section.readback_probes(secret)[0].name == "probe 1"
    assert section.checkout_probes(secret)["request_network"].place == "http://backend"


def test_recipes_of_ones_own_are_checked() -> None:
    good = FlagsSection(recipes={"calm": {"set": {"PAYMENT_MODE": "live"}, "switches_to_safe": False}})  # type: ignore[dict-item]
    assert good.own_recipes()["calm"].switches_to is None
    with pytest.raises(RecipeError, match="ships with recon"):
        FlagsSection(recipes={"incident": {"set": {"PAYMENT_MODE": "live"}}}).own_recipes()  # type: ignore[dict-item]
    with pytest.raises(ValidationError):
        FlagsSection(recipes={"empty": {"set": {}}})  # type: ignore[dict-item]


def test_a_probe_that_cannot_work_is_refused() -> None:
    section = FlagsSection(health={"shkeeper": {"url": "ftp://host/"}})  # type: ignore[dict-item]
    with pytest.raises(ProbeSettingError):
        section.setup(defaults={}, secret_of=secret)


def test_nobody_knows_how_to_ask_an_unknown_rail() -> None:
    assert default_probe("paypal", None) is None
