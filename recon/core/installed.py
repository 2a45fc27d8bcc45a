"""What is installed: the objects of an entry-point group, each loaded once, and where each comes from.

The built-in objects are declared as entry points like all others, and are found by their folder as well, so that a
source tree without metadata, or with older metadata, has them too.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import metadata, util
from types import MappingProxyType
from typing import Any, Final

from recon.core.errors import ConfigError
from recon.core.text import clean_text

CHAINS: Final = "recon.chains"
PROVIDERS: Final = "recon.providers"
STORES: Final = "recon.stores"

_BUILT_IN: Final[Mapping[str, tuple[str, str, str]]] = {
    CHAINS: ("recon.sources.providers", "chain", "CHAIN"),
    PROVIDERS: ("recon.sources.providers", "provider", "PROVIDER"),
    STORES: ("recon.setup.stores", "store", "STORE"),
}
"""For each group: the package whose folders are built in, the module of each folder that has one, and its object."""


class PluginError(ConfigError):
    """An entry point cannot be loaded, or gives an object under another name or a name that is taken."""

    def __init__(self, *, group: str, name: str, origin: str, why: str) -> None:
        super().__init__(
            f"{origin} installs {clean_text(name, limit=60)!r} in {group}, and it cannot be used "
            f"({clean_text(why, limit=200)}). Mend it, or uninstall it."
        )


@dataclass(frozen=True, slots=True)
class Installed:
    """One object with its origin.

    Args:
        thing: What the entry point gives; it has a ``name``.
        distribution: The distribution and its version, empty for a built-in one.
        module: The module that defines it.
    """

    name: str
    thing: Any
    distribution: str
    module: str

    @property
    def is_built_in(self) -> bool:
        """Whether it comes with recon itself."""
        return not self.distribution


@cache
def installed(group: str) -> Mapping[str, Installed]:
    """The objects of a group by name: the built-in ones first, then those of other distributions, each by name.

    Raises:
        PluginError: One cannot be loaded, or its name is taken.
    """
    found = {each.name: each for each in sorted(_built_in(group), key=lambda each: each.name)}
    own = {each.module for each in found.values()}
    for point in sorted(metadata.entry_points(group=group), key=lambda point: (point.name, point.value)):
        if point.module in own:
            continue
        each = _loaded(group, point)
        if each.name in found:
            raise PluginError(group=group, name=each.name, origin=each.distribution, why="the name is taken")
        found[each.name] = each
    return MappingProxyType(found)


def built_in(group: str) -> Mapping[str, Any]:
    """The built-in objects of a group by name."""
    return {name: each.thing for name, each in installed(group).items() if each.is_built_in}


def _built_in(group: str) -> Iterator[Installed]:
    package, module, attribute = _BUILT_IN[group]
    for part in pkgutil.iter_modules(importlib.import_module(package).__path__):
        name = f"{package}.{part.name}.{module}"
        if part.ispkg and util.find_spec(name) is not None:
            thing = getattr(importlib.import_module(name), attribute)
            yield Installed(thing.name, thing, "", name)


def _loaded(group: str, point: metadata.EntryPoint) -> Installed:
    origin = "an unknown distribution" if point.dist is None else f"{point.dist.name} {point.dist.version}"
    try:
        thing = point.load()
    except Exception as error:  # a plug-in is not our code, and anything may come out of it
        raise PluginError(
            group=group, name=point.name, origin=origin, why=f"{type(error).__name__}: {error}"
        ) from error
    if getattr(thing, "name", None) != point.name:
        why = f"the object calls itself {getattr(thing, 'name', None)!r}"
        raise PluginError(group=group, name=point.name, origin=origin, why=why)
    return Installed(point.name, thing, origin, point.module)
