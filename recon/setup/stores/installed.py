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

    An installed store comes before the built-in one that a configuration means when it says nothing.

    Raises:
        StoreUnclearError: It means none or several.
    """
    meant = [each for each in stores().values() if each.means(settings)]
    own = [each for each in meant if installed(STORES)[each.name].is_built_in]
    others = [each for each in meant if each not in own]
    chosen = others if others and settings.recorded_dir is None else own
    if len(chosen) != 1:
        raise StoreUnclearError(names=tuple(each.name for each in chosen))
    return chosen[0]
