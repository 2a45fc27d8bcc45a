"""The page of the Python API: every public name with its signature and what its docstring says."""

from __future__ import annotations

import inspect
import re
import types
from typing import Any, Final

import recon
from docs_pages.words import listed, made, prose, section_of


def python_page() -> str:
    """Every public name of the package, in groups."""
    plain, groups = [], []
    for name in recon.__all__:
        value = getattr(recon, name)
        if isinstance(value, types.ModuleType):
            groups.append((name, value))
        elif callable(value):
            plain.append(_function(f"recon.{name}", value))
    parts = [made("Python", _LEAD).rstrip(), *plain]
    for name, module in groups:
        parts.append(f"## `recon.{name}`\n\n{prose(module.__doc__)}")
        parts += [_function(f"recon.{name}.{each}", getattr(module, each), level=3) for each in _public(module)]
    return "\n\n".join(parts) + "\n"


def _public(module: types.ModuleType) -> list[str]:
    return sorted(
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and inspect.isfunction(value) and value.__module__ == module.__name__
    )


def _function(name: str, value: Any, *, level: int = 2) -> str:
    parts = [f"{'#' * level} `{name}`", f"```python\n{_signature(name, value)}\n```", prose(value.__doc__)]
    if arguments := section_of(value.__doc__, "Args"):
        parts.append(listed(arguments))
    if errors := section_of(value.__doc__, "Raises"):
        parts.append("Raises:\n\n" + listed(errors))
    return "\n\n".join(part for part in parts if part)


def _signature(name: str, value: Any) -> str:
    shown = inspect.signature(value)
    given = [_plain(str(each)) for each in shown.parameters.values()]
    starred = any(each.kind is each.KEYWORD_ONLY for each in shown.parameters.values())
    if starred and not any(each.kind is each.VAR_POSITIONAL for each in shown.parameters.values()):
        at = next(i for i, each in enumerate(shown.parameters.values()) if each.kind is each.KEYWORD_ONLY)
        given.insert(at, "*")
    back = shown.return_annotation
    tail = (
        ""
        if back is inspect.Signature.empty
        else f" -> {back if isinstance(back, str) else getattr(back, '__name__', back)}"
    )
    line = f"{name}({', '.join(given)}){tail}"
    return line if len(line) <= 100 else f"{name}(\n    " + ",\n    ".join(given) + f",\n){tail}"


def _plain(parameter: str) -> str:
    """A parameter as the code has it: no quotes around its type, no place of a default in memory."""
    return re.sub(r"<function (\w+) at 0x\w+>", r"\1", re.sub(r"^(\**\w+): '(.*?)'", r"\1: \2", parameter))


_LEAD: Final = """\
Every command is a function of the same name. It takes the command's options by name, gives the object that the
command prints, and leaves behind what the command leaves; importing `recon` costs next to nothing. Groups of commands
are modules: `recon flags undo` is `recon.flags.undo`. Errors are subclasses of `recon.core.errors.ReconError`, one
class a failure, with the sentence that the command line prints. How frames are worked with stands in [Reports and
notebooks](../how-to/reports-and-notebooks.md)."""
