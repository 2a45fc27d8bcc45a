"""Payment reconciliation and rollback: which payments are truly paid, repaired exactly, and taken back if wrong.

The names below load when they are first used, so that importing the package costs next to nothing. ``recon.snapshot``,
``recon.plan``, ``recon.apply`` and ``recon.undo`` are modules as well: called, each is the command of its name.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

__version__ = "0.1.0"

if TYPE_CHECKING:
    from recon.commands import apply, inspect, plan, snapshot, undo
    from recon.ids import payment_reference, reference_topic
    from recon.loading import load
    from recon.plotting import plot
    from recon.sources.logs import decode_transfer
    from recon.sources.webhooks import verify_webhook

__all__ = [
    "apply",
    "decode_transfer",
    "inspect",
    "load",
    "payment_reference",
    "plan",
    "plot",
    "reference_topic",
    "snapshot",
    "undo",
    "verify_webhook",
]

_PLACES: Final = {
    "decode_transfer": "recon.sources.logs",
    "inspect": "recon.commands",
    "load": "recon.loading",
    "payment_reference": "recon.ids",
    "plot": "recon.plotting",
    "reference_topic": "recon.ids",
    "verify_webhook": "recon.sources.webhooks",
}
_CALLABLE_MODULES: Final = ("apply", "plan", "snapshot", "undo")


class _CommandModule(ModuleType):
    """A module that, called, is the command of its name."""

    def __call__(self, *given: Any, **named: Any) -> Any:
        """Run :mod:`recon.commands`'s function of this name."""
        commands = importlib.import_module("recon.commands")
        return getattr(commands, self.__name__.rpartition(".")[2])(*given, **named)


class _Package(ModuleType):
    """The package, which makes those modules callable at the moment that the import system hands them over."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _CALLABLE_MODULES and type(value) is ModuleType:
            value.__class__ = _CommandModule
        super().__setattr__(name, value)


def __getattr__(name: str) -> Any:
    if name in _CALLABLE_MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name in _PLACES:
        return getattr(importlib.import_module(_PLACES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


sys.modules[__name__].__class__ = _Package
