"""How values of the code read in Markdown."""

from __future__ import annotations

import dataclasses
import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

MADE: Final = "<!-- made from the code by scripts/docs; a change here is lost -->"


def made(title: str, *parts: str) -> str:
    """A whole page."""
    return "\n\n".join([f"# {title}", MADE, *[part.strip("\n") for part in parts if part]]) + "\n"


def cell(text: Any) -> str:
    """Text for a cell of a table: one line, no bar."""
    return " ".join(str(text).split()).replace("|", "\\|")


def table(heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table."""
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    return "\n".join([*lines, *[f"| {' | '.join(map(cell, row))} |" for row in rows]])


def code(value: Any) -> str:
    """Something as code; nothing at all as nothing."""
    text = str(value)
    return f"`{text}`" if text else ""


def prose(docstring: str | None) -> str:
    """A docstring as Markdown: its code marks and roles become plain code; the sections at its end are left out."""
    text = textwrap.dedent(docstring or "").strip()
    first, _, rest = text.partition("\n")
    text = f"{first}\n{textwrap.dedent(rest)}"
    text = re.split(r"\n(?:Args|Raises|Returns|Yields):\n", text)[0]
    text = re.sub(r":\w+:`~?(?:[\w.]*\.)?(\w+)`", r"`\1`", text)
    return text.replace("``", "`").strip()


def section_of(docstring: str | None, name: str) -> dict[str, str]:
    """A section of a docstring such as ``Args``: what it says of each name."""
    text = textwrap.dedent((docstring or "").partition("\n")[2])
    found = re.search(rf"(?ms)^{name}:\n(.*?)(?=^\S|\Z)", text)
    if found is None:
        return {}
    said: dict[str, str] = {}
    last: list[str] = []
    for line in textwrap.dedent(found[1]).splitlines():
        if head := re.match(r"([\w, ]+): +(.*)", line):
            last = [name.strip() for name in head[1].split(",")]
            said |= dict.fromkeys(last, head[2])
        elif last and line.startswith(" "):
            said |= {name: f"{said[name]} {line.strip()}" for name in last}
    return {name: prose(text) for name, text in said.items()}


def fields_of(kind: Any, *, without: Iterable[str] = ()) -> str:
    """The fields of a record as a table: name, type and what its docstring says of it."""
    about = section_of(kind.__doc__, "Args")
    return table(
        ("field", "type", "means"),
        [
            (code(each.name), code(each.type), about.get(each.name, ""))
            for each in dataclasses.fields(kind)
            if each.name not in set(without)
        ],
    )


def listed(names: Mapping[str, str]) -> str:
    """Names with their meaning as a list."""
    return "\n".join(f"- `{name}`: {text}" for name, text in names.items())
