"""The sections of ``recon.toml`` about flags and gates: what may be written there, and what it means."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from recon.plans.backfill import DEFAULT_NOTE, DEFAULT_REFERENCE
from recon.rails.flags.dotenv_readers import DotenvReader
from recon.rails.flags.places import PlaceKind
from recon.rails.flags.plan import FlagSetup
from recon.rails.flags.probes import Probe
from recon.rails.flags.recipes import Recipe, find_recipe, recipe_of_settings
from recon.rails.flags.words import FlagKind, FlagWords, rail_switches
from recon.rails.gates.records import GateLimits
from recon.rails.preflight import BACKEND_SECRETS

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")

SecretOf = Callable[[str, str], str]
"""Gives the secret that a variable holds, for a purpose; raises a ConfigError where there is none."""


def _whole(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("a whole number is wanted, not true or false")
    return value


def _percent_text(value: object) -> object:
    if isinstance(value, float):
        raise ValueError('write the percentage as text, for example "0.5"')
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Whole = Annotated[int, BeforeValidator(_whole), Field(ge=0)]
PercentText = Annotated[str, BeforeValidator(_percent_text), Field(pattern=r"^[0-9]{1,3}(\.[0-9]{1,4})?$")]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class ProbeSection(_Part):
    """One question over HTTP. ``${NAME}`` in a header or in the address stands for a secret of that name."""

    url: str = Field(min_length=1, max_length=2000)
    name: str = Field(default="", max_length=60)
    expect_status: Annotated[int, Field(ge=100, le=599)] = 200
    expect: dict[str, str] = Field(default_factory=dict)
    headers: dict[str, str] = Field(default_factory=dict)
    values: dict[str, str] = Field(default_factory=dict)
    timeout_s: Annotated[float, Field(gt=0, le=60)] = 5.0
    wants_json: bool = True


class RecipeSection(_Part):
    """A recipe of the user's own: plain values, in which ``{sick}`` and ``{safe}`` stand for the two rails."""

    title: str = Field(default="", max_length=200)
    set: dict[str, str] = Field(min_length=1, max_length=50)
    switches_to_safe: bool = True


class FlagsSection(_Part):
    """``[flags]``: where the backend's flags are, how its rails are asked, and what else may be set."""

    kind: PlaceKind = "auto"
    file: str = Field(default="", max_length=4000)
    overrides: tuple[str, ...] = ()
    reader: DotenvReader = "every"
    service: str | None = None
    configmap: str | None = None
    restart: tuple[str, ...] = ()
    plan_age_max_h: Annotated[int, BeforeValidator(_whole), Field(ge=1, le=168)] = 4
    spellings: dict[str, str] = Field(default_factory=dict)
    extra_providers: tuple[str, ...] = ()
    extra_flags: dict[str, FlagKind] = Field(default_factory=dict)
    rail_switches: dict[str, str] = Field(default_factory=rail_switches)
    defaults: dict[str, str] = Field(default_factory=dict)
    secrets: tuple[str, ...] = BACKEND_SECRETS
    health: dict[str, ProbeSection] = Field(default_factory=dict)
    readback: tuple[ProbeSection, ...] = ()
    checkout: dict[str, ProbeSection] = Field(default_factory=dict)
    recipes: dict[str, RecipeSection] = Field(default_factory=dict)

    def words(self) -> FlagWords:
        """What this installation's flags are called."""
        return FlagWords(
            rail_switches=dict(self.rail_switches),
            spellings=dict(self.spellings),
            extra_providers=self.extra_providers,
            extra_flags=dict(self.extra_flags),
            defaults=dict(self.defaults),
        )

    def own_recipes(self) -> dict[str, Recipe]:
        """The user's own recipes. Raises RecipeError for a name that ships with recon."""
        own = {
            name: recipe_of_settings(name, part.set, title=part.title, switches=part.switches_to_safe)
            for name, part in self.recipes.items()
        }
        for name in own:
            find_recipe(name, own)
        return own

    def setup(self, *, defaults: Mapping[str, Probe], secret_of: SecretOf) -> FlagSetup:
        """What flag plans are made with.

        Args:
            defaults: How rails are asked where this part does not say.

        Raises:
            ConfigError, ProbeSettingError, RecipeError: A secret is missing, or a probe or recipe makes no sense.
        """
        own = {name: _probe(name, part, secret_of) for name, part in self.health.items()}
        return FlagSetup(
            words=self.words(),
            recipes=self.own_recipes(),
            health={**defaults, **own},
            restart=self.restart,
            age_max=timedelta(hours=self.plan_age_max_h),
            reader=self.reader,
        )

    def readback_probes(self, secret_of: SecretOf) -> tuple[Probe, ...]:
        """How the running backend is asked. Raises like :meth:`setup`."""
        return tuple(
            _probe(part.name or f"probe {number}", part, secret_of) for number, part in enumerate(self.readback, 1)
        )

    def checkout_probes(self, secret_of: SecretOf) -> dict[str, Probe]:
        """Addresses that must be gone once a rail is closed. Raises like :meth:`setup`."""
        return {name: _probe(name, part, secret_of) for name, part in self.checkout.items()}


class GatesSection(_Part):
    """``[gates]``: thresholds. What is not set keeps the runbooks' value; they leave two of them open."""

    health_checks_min: Annotated[int, BeforeValidator(_whole), Field(ge=1)] = 2
    health_check_gap_s: Whole = 60
    health_check_age_max_min: Whole = 60
    webhook_quiet_h: Whole = 24
    dead_letter_stable_h: Whole = 2
    dead_letter_growth_max: Whole = 0
    mismatch_below_percent: PercentText = "0.5"
    samples_min: Whole = 1000
    sample_rows_min: Whole = 10
    sample_operators_min: Annotated[int, BeforeValidator(_whole), Field(ge=1)] = 2
    sample_age_max_h: Whole = 168
    clean_windows_min: Whole = 2
    clean_window_h: Annotated[int, BeforeValidator(_whole), Field(ge=1)] = 24
    dry_run_age_max_h: Annotated[int, BeforeValidator(_whole), Field(ge=1)] = 4
    escalate_after_min: Whole = 10
    run_gap_max_min: Annotated[int, BeforeValidator(_whole), Field(ge=1)] = 60
    invariant_violations_max: Whole = 0
    webhook_burst_min: Annotated[int, BeforeValidator(_whole), Field(ge=1)] = 15
    webhook_burst_failures_max: Whole | None = None
    chain_mismatch_percent_max: PercentText | None = None

    def limits(self) -> GateLimits:
        """The thresholds in the units that gates use."""
        given = self.model_dump(exclude={"mismatch_below_percent", "chain_mismatch_percent_max"})
        most = self.chain_mismatch_percent_max
        return GateLimits(
            **given,
            mismatch_below_ppm=_ppm(self.mismatch_below_percent),
            chain_mismatch_ppm_max=None if most is None else _ppm(most),
        )


class BackfillSection(_Part):
    """``[backfill]``: what the references and notes of legacy payments are made of."""

    reference: str = Field(default=DEFAULT_REFERENCE, min_length=1, max_length=200)
    note: str = Field(default=DEFAULT_NOTE, min_length=1, max_length=500)


def _ppm(percent: str) -> int:
    return int(Decimal(percent) * 10_000)


def _probe(name: str, part: ProbeSection, secret_of: SecretOf) -> Probe:
    def fill(text: str) -> str:
        return _VARIABLE.sub(lambda match: secret_of(match[1], f"the probe {name}"), text)

    return Probe(
        name=name,
        url=fill(part.url),
        expect_status=part.expect_status,
        expect=dict(part.expect),
        headers={key: fill(value) for key, value in part.headers.items()},
        values=dict(part.values),
        timeout_s=part.timeout_s,
        wants_json=part.wants_json,
    )
