"""Flags in the values files of a Helm chart: wherever a key, a named entry or a text of the values sets one.

Which of its values a chart hands to the backend is the chart's own business, so what is found is a value *for* the
chart; where the values set a flag in two ways that differ, nobody can tell which of them counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from recon.rails.flags.kubernetes import MapEntry, file_in_data
from recon.rails.flags.readings import Files, FlagReading, FlagSaid
from recon.rails.flags.yamltext import items, line_at, member, merged_items, scalar, spot_of, text_of

if TYPE_CHECKING:
    from yaml.nodes import Node

DEPTH_MAX: Final = 30


def read_helm(
    paths: Iterable[Path], *, flags: Iterable[str], reader: str = "every", files: Files | None = None
) -> FlagReading:
    """Read the flags from values files, of which later ones override earlier ones place by place.

    Raises:
        ManifestError, FlagFileError: A file cannot be read, or is no YAML.
    """
    files, flags = files or Files(), frozenset(flags)
    found: dict[tuple[str, str], FlagSaid] = {}
    for path in paths:
        walk = _Walk(str(path), flags, reader, set())
        for root in files.yaml(path).roots:
            for each in walk.under(root, "", depth=0):
                found[each.flag, each.place] = each
    said: dict[str, FlagSaid] = {}
    for (flag, _), each in found.items():
        earlier = said.get(flag)
        differs = earlier is not None and earlier.value != each.value
        doubt = f"{earlier.where} and {each.where} differ" if earlier is not None and differs else each.doubt
        said[flag] = replace(each, value=None if differs else each.value, doubt=doubt)
    notes = ("These are values for a chart; whether it hands them to the backend is in its templates.",)
    return FlagReading(said, "values", tuple(dict.fromkeys(files.looked)), notes=notes)


@dataclass(frozen=True, slots=True)
class _Walk:
    """One values file as it is gone through; what aliases point to is looked at once."""

    file: str
    flags: frozenset[str]
    reader: str
    seen: set[int]

    def under(self, node: Node, place: str, *, depth: int) -> Iterator[FlagSaid]:
        """Every flag that is set under a place."""
        if depth > DEPTH_MAX or id(node) in self.seen:
            return
        self.seen.add(id(node))
        for key, value in merged_items(node).items():
            inner = f"{place}.{key}".lstrip(".")
            held = member(value, "value") if key in self.flags else None
            if key in self.flags and scalar(value) is not None:
                yield _said(key, value, inner, self.file)
            elif held is not None and scalar(held) is not None:
                yield _said(key, held, f"{inner}.value", self.file)
            elif text := text_of(value):
                yield from self._in_text(MapEntry(key, text, FlagSaid(key, text, self.file, place, line_at(value))))
            else:
                yield from self.under(value, inner, depth=depth + 1)
        for each in items(node):
            yield from self._item(each, place, depth=depth)

    def _in_text(self, entry: MapEntry) -> Iterator[FlagSaid]:
        """Flags of a text that is a whole file."""
        found, _ = file_in_data(entry, self.flags, reader=self.reader)
        yield from (each for each in found if each.flag in self.flags)

    def _item(self, node: Node, place: str, *, depth: int) -> Iterator[FlagSaid]:
        """A flag as an item of a list: ``name`` and ``value``, or ``NAME=value``."""
        name, value, text = text_of(member(node, "name")) or "", member(node, "value"), text_of(node) or ""
        key, equals, rest = text.partition("=")
        if name in self.flags and value is not None:
            yield _said(name, value, place, self.file)
        elif name in self.flags:
            why = "it is taken from elsewhere, which is not read"
            yield FlagSaid(name, None, self.file, place, line_at(node), doubt=why)
        elif key in self.flags and equals:
            spot = spot_of(node, prefix=f"{key}=")
            yield FlagSaid(key, rest, self.file, place, line_at(node), raw=rest, spot=spot)
        else:
            yield from self.under(node, place, depth=depth + 1)


def _said(flag: str, node: Node, place: str, file: str) -> FlagSaid:
    text = text_of(node)
    if text is not None and node.tag.endswith(":bool"):
        text = text.lower()
    if text is not None and "{{" in text:
        return FlagSaid(flag, None, file, place, line_at(node), raw=text, doubt="it is a template")
    doubt = "" if text is not None else "it stands there without a value"
    return FlagSaid(flag, text, file, place, line_at(node), raw=text or "", doubt=doubt, spot=spot_of(node))
