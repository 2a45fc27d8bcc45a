"""What is installed and from where, and what the configuration says of each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from recon.core.installed import PROVIDERS, STORES, Installed, installed
from recon.core.version import __version__
from recon.sources.providers.installed import providers

if TYPE_CHECKING:
    from recon.setup.settings import Settings

OLD: Final = "_OLD"
"""Behind the name of a variable: the secret that is being replaced."""


def webhook_secret_variables(settings: Settings | None) -> dict[str, tuple[str, str]]:
    """Where each provider's webhook secret is looked for: its variable, and the same with ``_OLD`` behind it."""
    found = {}
    for name, each in providers().items():
        setting = each.webhooks.secret_setting
        if setting is not None:
            section = each.section()() if settings is None else settings.section(name)
            variable = str(getattr(section, setting))
            found[name] = (variable, variable + OLD)
    return found


def installed_providers() -> Iterator[tuple[Installed, str]]:
    """Every provider that is installed, and where it comes from: distribution, version and module."""
    return _with_origin(PROVIDERS)


def installed_stores() -> Iterator[tuple[Installed, str]]:
    """Every store that is installed, and where it comes from."""
    return _with_origin(STORES)


def _with_origin(group: str) -> Iterator[tuple[Installed, str]]:
    for each in installed(group).values():
        yield each, f"{each.distribution or f'recon {__version__}'} ({each.module})"
