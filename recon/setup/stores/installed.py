"""The stores that are installed, by name, and which of them a configuration means."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING

from recon.core.errors import ConfigError
from recon.core.installed import STORES, PluginError, installed
from recon.setup.stores.store import Store

if TYPE_CHECKING:
    from recon.setup.settings import Settings


class StoreUnclearError(ConfigError):
    """A configuration means no store, or several."""

    def __init__(self, *, names: tuple[str, ...]) -> None:
        found = " and ".join(names) or "none of those that are installed"
        super().__init__(f"The configuration must mean one store, and it means {found}; nothing was read or written.")


@cache
def stores() -> Mapping[str, Store]:
    """The installed stores by name, the built-in ones first.

    Raises:
        PluginError: What is installed under a name is no store.
    """
    for each in installed(STORES).values():
        if not isinstance(each.thing, Store):
            why = f"it is a {type(each.thing).__name__} and no Store"
            raise PluginError(group=STORES, name=each.name, origin=each.distribution, why=why)
    return {name: each.thing for name, each in installed(STORES).items()}


def store_of(settings: Settings) -> Store:
    """The store that a configuration means: a recorded world if it names one, so that nothing real is written to.

    The usual one is meant only where no other is.

    Raises:
        StoreUnclearError: It means none or several.
    """
    meant = [each for each in stores().values() if each.means(settings)]
    own = [each for each in meant if installed(STORES)[each.name].is_built_in]
    allowed = own if settings.recorded_dir is not None else meant
    chosen = [each for each in allowed if not each.is_usual] or allowed
    if len(chosen) != 1:
        raise StoreUnclearError(names=tuple(each.name for each in chosen))
    return chosen[0]
