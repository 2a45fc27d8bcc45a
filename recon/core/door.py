"""Front doors: a folder shows a few names, and each loads with its module when it is first used."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any


def names_from(places: Mapping[str, str]) -> Callable[[str], Any]:
    """The ``__getattr__`` of a folder's ``__init__``: which module each of its public names comes from.

    Importing a folder then costs nothing, so that a command loads only the engines that it uses. A name that is a
    module itself comes from the package it is in.
    """

    def load(name: str) -> Any:
        if name not in places:
            raise AttributeError(f"there is no public name {name!r} here; there are {', '.join(sorted(places))}")
        module = importlib.import_module(places[name])
        return getattr(module, name) if hasattr(module, name) else importlib.import_module(f"{places[name]}.{name}")

    return load
