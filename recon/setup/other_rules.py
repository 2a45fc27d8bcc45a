"""Other rules to judge past snapshots by: a file with a few settings that judge, laid over the rules of a snapshot.

What decides which evidence is read, or how it is read, cannot be tried out on evidence that is read already; a file
that names such a setting, or one that judges nothing, is refused by its name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydantic import ConfigDict, ValidationError

from recon.core.errors import ConfigError
from recon.setup.file import (
    BalancesSection,
    HealthSection,
    LimitsSection,
    MerchantSection,
    PolicySection,
    SettingsFile,
    explain_invalid,
    known_keys,
    read_toml,
)
from recon.setup.settings import explained_movement, normal_address, units_by_token
from recon.sources.providers.sections import Section

if TYPE_CHECKING:
    from recon.core.model import Policy
    from recon.core.registry import Registry

_READS: Final = (
    "chains", "tokens", "emitters", "merchant.recipients", "merchant.payout_wallets", "policy.tolerance_ppm",
    "policy.provider_proves", "policy.confirmations_min_default", "fields", "window", "balances.enabled",
)  # fmt: skip
"""Settings that decide what is read, or what is made of it while it is read."""


class NotJudgingError(ConfigError):
    """A setting of a file of rules judges nothing that a snapshot holds."""

    def __init__(self, *, path: str, key: str, why: str) -> None:
        super().__init__(
            f'{path}: "{key}" {why}, so past snapshots are not judged by it; nothing was judged. Take it out. Settings '
            f"that judge: {', '.join(sorted(JUDGING))}."
        )


class NoOtherRulesError(ConfigError):
    """A file of rules names no rule."""

    def __init__(self, *, path: str) -> None:
        super().__init__(
            f"{path}: it names no setting, so nothing would be judged otherwise. Settings that judge: "
            f"{', '.join(sorted(JUDGING))}."
        )


class _RulesFile(Section):
    """The sections of a file of rules."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    policy: PolicySection = PolicySection()
    limits: LimitsSection = LimitsSection()
    health: HealthSection = HealthSection()
    merchant: MerchantSection = MerchantSection()
    balances: BalancesSection = BalancesSection()


@dataclass(frozen=True, slots=True)
class _Ground:
    """What a setting is read with: the rules it is laid over, what is known, and the file for messages."""

    policy: Policy
    registry: Registry
    path: str

    def units(self, key: str, amounts: Mapping[str, str], known: Mapping[str, int]) -> dict[str, int]:
        """Amounts by symbol in base units; a token that is not named keeps its own."""
        chains = self.policy.chain_ids
        return {**known, **units_by_token(key, amounts, registry=self.registry, chain_ids=chains, path=self.path)}


def _times(field: str, size: int) -> Callable[[Any, _Ground], dict[str, Any]]:
    return lambda value, _: {field: value * size}


def _same(field: str) -> Callable[[Any, _Ground], dict[str, Any]]:
    return lambda value, _: {field: value}


def _amounts(field: str, key: str) -> Callable[[Any, _Ground], dict[str, Any]]:
    return lambda value, ground: {field: ground.units(key, value, getattr(ground.policy, field))}


def _explained(value: Any, ground: _Ground) -> dict[str, Any]:
    terms: dict[str, Any] = {"registry": ground.registry, "chain_ids": ground.policy.chain_ids, "path": ground.path}
    return {"explained": tuple(explained_movement(rule, number, **terms) for number, rule in enumerate(value, 1))}


JUDGING: Final[Mapping[str, Callable[[Any, _Ground], dict[str, Any]]]] = {
    "policy.confirmed_means_completed": _same("confirmed_means_completed"),
    "policy.stuck_after_min": _times("stuck_after_ms", 60_000),
    "policy.urgent_after_h": _times("urgent_after_ms", 3_600_000),
    "policy.abandoned_after_days": _times("abandoned_after_ms", 86_400_000),
    "policy.clock_skew_s": _times("clock_skew_ms", 1000),
    "policy.dust": _amounts("dust_units", "policy.dust"),
    "limits.changes_max": _same("changes_max"),
    "limits.share_max_percent": _same("share_max_percent"),
    "limits.share_max_from_rows": _same("share_max_from_rows"),
    "limits.plan_age_max_h": _times("plan_age_max_ms", 3_600_000),
    "limits.value_max": _amounts("value_max_units", "limits.value_max"),
    "limits.value_max_per_payment": _amounts("value_max_units_per_payment", "limits.value_max_per_payment"),
    "health.unproven_share_max_percent": _same("unproven_share_max_percent"),
    "merchant.fee_recipients": lambda value, _: {"fee_recipients": tuple(sorted(map(normal_address, value)))},
    "balances.explained": _explained,
}
"""By setting what it makes of a policy."""


@dataclass(frozen=True, slots=True)
class OtherRules:
    """A file of rules, read and checked.

    Args:
        named: The settings that it names, as they are written in it, sorted.
    """

    path: str
    named: tuple[str, ...]
    values: _RulesFile

    def over(self, policy: Policy, *, registry: Registry) -> Policy:
        """A policy with the rules of the file in place of its own.

        Raises:
            WrongSettingError: An amount is of a token that no chain of the policy has, or finer than its units.
        """
        ground = _Ground(policy, registry, self.path)
        changed: dict[str, Any] = {}
        for key in self.named:
            section, _, name = key.partition(".")
            changed |= JUDGING[key](getattr(getattr(self.values, section), name), ground)
        return replace(policy, **changed)


def load_rules_file(path: Path) -> OtherRules:
    """Read a file of rules.

    Raises:
        NotJudgingError: It names a setting that does not judge.
        NoOtherRulesError: It names none.
        ConfigError: It cannot be read, or a value is none that the setting can have.
    """
    content = read_toml(path)
    named = sorted(_named(content))
    known = {".".join(key) for key in known_keys(SettingsFile)}
    for key in named:
        section = key.partition(".")[0]
        if key in _READS or section in _READS:
            raise NotJudgingError(path=path.name, key=key, why="decides what is read, and a snapshot is read already")
        if key not in JUDGING and (key in known or section not in _RulesFile.model_fields):
            raise NotJudgingError(path=path.name, key=key, why="judges nothing")
    if not named:
        raise NoOtherRulesError(path=path.name)
    try:
        values = _RulesFile(**content)
    except ValidationError as error:
        raise explain_invalid(error, path.name) from error
    return OtherRules(path.name, tuple(named), values)


def _named(content: Mapping[str, Any]) -> list[str]:
    """The settings that a file names, each with its section; what is no section is named by itself."""
    return [
        f"{section}.{name}" if name else section
        for section, part in content.items()
        for name in (part if isinstance(part, dict) else ("",))
    ]
