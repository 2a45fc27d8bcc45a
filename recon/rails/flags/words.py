"""Flags and what their values mean: kinds, the words of both runbooks, and the spelling that the operator uses.

Two runbooks name the modes differently (``live``/``read-only``/``dry-run`` and ``standard``/``read_only``). Both are
read; what is written keeps the spelling that stands in the file, because the backend may know only one.

>>> mode_of("standard"), mode_of("read-only")
('live', 'read_only')
>>> spell_mode("read_only", current="live")
'read-only'
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, assert_never

from recon.core.registry import load_registry
from recon.rails.flags.dotenv import check_value
from recon.rails.flags.errors import FlagValueError, ModeInProviderListError
from recon.sources.providers.installed import provider_names, providers

FlagKind = Literal["bool", "provider", "providers", "mode", "text"]
Mode = Literal["live", "read_only", "dry_run"]

ENABLED_PROVIDERS: Final = "PAYMENT_ENABLED_PROVIDERS"
ROLLBACK_PROVIDER: Final = "PAYMENT_ROLLBACK_PROVIDER"
DEFAULT_PROVIDER: Final = "PAYMENT_DEFAULT_PROVIDER"
PROVIDER_MODE: Final = "PAYMENT_PROVIDER_MODE"
PAYMENT_MODE: Final = "PAYMENT_MODE"
RECONCILIATION_ENABLED: Final = "PAYMENT_RECONCILIATION_ENABLED"
FORCE_PAYOUT_DEMO: Final = "SHKEEPER_FORCE_PAYOUT_DEMO"

FLAGS: Final[dict[str, tuple[FlagKind, str]]] = {
    **{
        each.flags.switch: ("bool", f"whether {each.title} may take new payments")
        for each in providers().values()
        if each.flags.switch is not None
    },
    ENABLED_PROVIDERS: ("providers", "which rails may take new payments"),
    ROLLBACK_PROVIDER: ("provider", "the rail that payments fall back to"),
    DEFAULT_PROVIDER: ("provider", "the rail that a new payment takes when nothing else is said"),
    PROVIDER_MODE: ("mode", "what the rails may do: everything, only read, or act without touching the chain"),
    PAYMENT_MODE: ("mode", "the mode of the payment part as a whole, set at the start of a rollout"),
    RECONCILIATION_ENABLED: ("bool", "whether the backend reconciles by itself"),
    FORCE_PAYOUT_DEMO: ("bool", "whether payouts are only simulated"),
}
"""Every flag the runbooks name, with its kind and what it decides."""

MODE_WORDS: Final[dict[str, Mode]] = {
    "live": "live",
    "standard": "live",
    "read-only": "read_only",
    "read_only": "read_only",
    "readonly": "read_only",
    "dry-run": "dry_run",
    "dry_run": "dry_run",
    "dryrun": "dry_run",
}
MODE_TEXT: Final[dict[Mode, str]] = {
    "live": "payments are taken and written",
    "read_only": "no new payments are taken; webhooks are only recorded",
    "dry_run": "the backend still writes statuses, only acts on the chain are left out (not recon's dry run)",
}
_BOOL_PAIRS: Final = (("true", "false"), ("1", "0"), ("yes", "no"), ("on", "off"))
_SECRET: Final = re.compile(r"SECRET|PASSWORD|PASSWD|TOKEN|PRIVATE|MNEMONIC|CREDENTIAL|API_?KEY|_KEY\Z|_URI\Z|_URL\Z")


def rail_switches() -> dict[str, str]:
    """The flag of each rail that switches it on and off, where its provider names one."""
    return {name: each.flags.switch for name, each in providers().items() if each.flags.switch is not None}


@dataclass(frozen=True, slots=True)
class FlagWords:
    """What this installation's flags are called, beyond what the runbooks name.

    Args:
        rail_switches: For each rail the boolean flag that switches it on and off, where there is one.
        spellings: How this backend writes a rail's name in its flags, where it differs from ours.
        extra_providers: Further rails that the provider list may name.
        extra_flags: Further flags that recipes of the user's own may set, with their kind.
        defaults: What this backend takes a flag for that is not set.
    """

    rail_switches: Mapping[str, str] = field(default_factory=rail_switches)
    spellings: Mapping[str, str] = field(default_factory=dict)
    extra_providers: tuple[str, ...] = ()
    extra_flags: Mapping[str, FlagKind] = field(default_factory=dict)
    defaults: Mapping[str, str] = field(default_factory=dict)

    def with_defaults(self, values: Mapping[str, str | None]) -> dict[str, str | None]:
        """The values with the backend's own for what is not set at all, as far as they are known."""
        return {**values, **{flag: value for flag, value in self.defaults.items() if values.get(flag) is None}}

    def kind(self, flag: str) -> FlagKind | None:
        """The kind of a flag, or None for an unknown one."""
        if flag in FLAGS:
            return FLAGS[flag][0]
        if flag in self.rail_switches.values():
            return "bool"
        return self.extra_flags.get(flag)

    def known_flags(self) -> tuple[str, ...]:
        """All flags that are looked at, in the order in which they are shown."""
        return tuple(dict.fromkeys((*FLAGS, *self.rail_switches.values(), *self.extra_flags)))

    def rail(self, word: str) -> str | None:
        """Our name for a provider word of the flags, or None when it names no rail we know."""
        name = load_registry().provider(word)
        known = {*providers(), *self.extra_providers}
        for rail, spelling in self.spellings.items():
            if word.strip().lower() == spelling.lower():
                return rail
        return name if name in known else None

    def spell(self, rail: str, values: Mapping[str, str | None]) -> str:
        """How the file writes a rail's name: as it already does, else as configured, else as we do."""
        for flag in (ENABLED_PROVIDERS, DEFAULT_PROVIDER, ROLLBACK_PROVIDER):
            for word in split_list(values.get(flag) or ""):
                if self.rail(word) == rail:
                    return word
        return self.spellings.get(rail, rail)


def looks_secret(flag: str) -> bool:
    """Whether a name is that of a secret or an address with one in it, which is never a flag and never shown."""
    return bool(_SECRET.search(flag.upper()))


def bool_of(word: str | None) -> bool | None:
    """Read a truth word in any of its usual spellings; None when it is none."""
    text = (word or "").strip().lower()
    for yes, no in _BOOL_PAIRS:
        if text in (yes, no):
            return text == yes
    return None


def mode_of(word: str | None) -> Mode | None:
    """Read a mode word of either runbook; None when it is none."""
    return MODE_WORDS.get((word or "").strip().lower())


def split_list(text: str) -> tuple[str, ...]:
    """The words of a comma-separated list, blanks dropped."""
    return tuple(word for part in text.split(",") if (word := part.strip()))


def spell_bool(value: bool, *, current: str | None) -> str:
    """Write a truth value in the spelling that stands in the file; ``true``/``false`` where nothing does."""
    text = (current or "").strip()
    for yes, no in _BOOL_PAIRS:
        if text.lower() in (yes, no):
            word = yes if value else no
            return word.upper() if text.isupper() else word.capitalize() if text.istitle() else word
    return "true" if value else "false"


def spell_mode(mode: Mode, *, current: str | None, preferred: str | None = None) -> str:
    """Write a mode in the vocabulary that stands in the file.

    Args:
        preferred: The spelling to use where the file does not show which vocabulary it speaks.
    """
    text = (current or "").strip().lower()
    if mode_of(text) == mode:
        return (current or "").strip()
    if text in ("standard", "read_only", "dry_run"):
        return {"live": "standard", "read_only": "read_only", "dry_run": "dry_run"}[mode]
    if text in ("live", "read-only", "dry-run"):
        return {"live": "live", "read_only": "read-only", "dry_run": "dry-run"}[mode]
    return preferred or mode


def check_flag_value(flag: str, value: str, *, words: FlagWords) -> None:
    """Refuse a value that the flag cannot have.

    Raises:
        ModeInProviderListError: A mode stands where provider names belong.
        FlagValueError: Any other wrong value, or a name that is no flag.
    """
    check_value(flag, value)
    if looks_secret(flag):
        raise FlagValueError(
            flag=flag, why="looks like a secret and is never changed here", remedy="Change it by hand."
        )
    kind = words.kind(flag)
    match kind:
        case None:
            raise FlagValueError(
                flag=flag,
                why="is no flag that is known",
                remedy="Name it in [flags.extra_flags] of recon.toml if it is one.",
            )
        case "bool" | "mode":
            _check_word(flag, value, is_mode=kind == "mode")
        case "provider":
            _check_providers(flag, split_list(value) or (value,), words)
            if len(split_list(value)) != 1:
                raise FlagValueError(
                    flag=flag, why=f"cannot be {value[:60]!r}", remedy="It takes exactly one provider."
                )
        case "providers":
            if not split_list(value):
                raise FlagValueError(
                    flag=flag,
                    why="would be empty, which a backend may read as every provider",
                    remedy="To stop new payments on all rails use --recipe read-only.",
                )
            _check_providers(flag, split_list(value), words)
        case "text":
            pass
        case _:
            assert_never(kind)


def _check_word(flag: str, value: str, *, is_mode: bool) -> None:
    """Refuse what is no mode word, or no truth value."""
    if is_mode and mode_of(value) is None:
        remedy = "Use live, read-only or dry-run, or standard or read_only where the backend says so."
        raise FlagValueError(flag=flag, why=f"cannot be {value[:60]!r}", remedy=remedy)
    if not is_mode and bool_of(value) is None:
        raise FlagValueError(flag=flag, why=f"cannot be {value[:60]!r}", remedy="Use true or false.")


def _check_providers(flag: str, named: Iterable[str], words: FlagWords) -> None:
    for word in named:
        if mode_of(word) is not None:
            raise ModeInProviderListError(flag=flag, word=word, meant=PROVIDER_MODE)
        if words.rail(word) is None:
            raise FlagValueError(
                flag=flag,
                why=f"names {word[:60]!r}, which is no provider that is known",
                remedy=f"Known are {provider_names()}; name others in [flags] extra_providers.",
            )
