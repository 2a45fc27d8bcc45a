"""Flags in a Helm chart: in its values files, and in its templates where those are here.

A key, a named entry or a text of the values sets a flag *for* the chart; where the values set one in two ways that
differ, nobody can tell which of them counts. A template that names a flag says what the backend gets: a plain word, or
one value of the chart. What stands within a condition, a loop or a function of the template is not computed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from recon.rails.flags.helm_templates import chart_files, said_in_template
from recon.rails.flags.kubernetes import MapEntry, file_in_data
from recon.rails.flags.readings import Files, FlagReading, FlagSaid
from recon.rails.flags.yamltext import items, line_at, member, merged_items, scalar, spot_of, text_of

if TYPE_CHECKING:
    from yaml.nodes import Node

DEPTH_MAX: Final = 30


def read_helm(
    paths: Iterable[Path], *, flags: Iterable[str], reader: str = "every", files: Files | None = None
) -> FlagReading:
    """Read the flags of a chart.

    Args:
        paths: A chart's folder, its templates, or values files; later values override earlier ones place by place.

    Raises:
        ManifestError, FlagFileError: A file cannot be read, or values are no YAML.
    """
    files, flags = files or Files(), frozenset(flags)
    values, templates = chart_files(tuple(paths))
    found: dict[tuple[str, str], FlagSaid] = {}
    roots: list[tuple[Node, str]] = []
    for path in values:
        walk = _Walk(str(path), flags, reader, set())
        for root in files.yaml(path).roots:
            roots.append((root, str(path)))
            for each in walk.under(root, "", depth=0):
                found[each.flag, each.place] = each
    said: dict[str, FlagSaid] = {}
    for (flag, _), each in found.items():
        said[flag] = _agreed(said.get(flag), each)
    handed: dict[str, FlagSaid] = {}
    for path in templates:
        text = files.data(path).decode("utf-8", "replace")
        for each in said_in_template(text, flags, path=str(path), values=roots):
            handed[each.flag] = _agreed(handed.get(each.flag), each)
    notes = (
        ()
        if templates
        else ("These are values for a chart; whether it hands them to the backend is in its templates.",)
    )
    return FlagReading({**said, **handed}, "values", tuple(dict.fromkeys(files.looked)), notes=notes)


def _agreed(earlier: FlagSaid | None, each: FlagSaid) -> FlagSaid:
    """One of two places that set a flag, in doubt where they differ."""
    if earlier is None or (earlier.value == each.value and not earlier.doubt):
        return each
    return replace(
        each, value=None, spot=None, doubt=earlier.doubt or each.doubt or f"{earlier.where} and {each.where} differ"
    )


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
        """A flag as an item of a list: ``name`` (or ``key``) and ``value``, or ``NAME=value``."""
        named, value = member(node, "name") or member(node, "key"), member(node, "value")
        name, text = text_of(named) or "", text_of(node) or ""
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
