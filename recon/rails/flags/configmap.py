"""The flags of a Kubernetes ConfigMap changed, only ever as a patch to apply by hand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from recon.rails.flags.dotenv import check_value
from recon.rails.flags.errors import ManifestError
from recon.rails.flags.words import FlagWords
from recon.rails.flags.yamltext import (
    Replacement,
    YamlFile,
    child,
    keys,
    mapping,
    opened_lists,
    parse_yaml_text,
    read_yaml_text,
    replace_stretches,
    scalar,
    spell_scalar,
    unified_patch,
)

if TYPE_CHECKING:
    from yaml.nodes import MappingNode, Node


def patch_configmap(path: Path, wanted: Mapping[str, str], *, words: FlagWords, name: str | None = None) -> str:
    """The patch that gives the ConfigMap these flags; the file itself is never written. Empty when it says so already.

    Raises:
        ManifestError: It is immutable, a flag is set twice, or stands where it cannot be changed.
    """
    file = read_yaml_text(path)
    root = _find(file, words, name)
    data = _plain_data(file, root)
    parts = [part for flag, value in wanted.items() for part in _changed(file, data, flag, value)]
    after = replace_stretches(file.text, parts)
    _check(file, after, root, wanted)
    return unified_patch(file.text, after, path=path.name)


def _plain_data(file: YamlFile, root: Node) -> MappingNode:
    """The data block that a patch may change."""
    immutable = scalar(child(root, "immutable"))
    if immutable is not None and immutable.value == "true":
        raise _refusal(file, f"ConfigMap {_name_of(root)} is immutable", "Make a new one under another name.")
    data = mapping(child(root, "data"))
    if data is None or data.flow_style or not data.value or id(data) in file.shared:
        raise _refusal(file, f"ConfigMap {_name_of(root)} has no plain data block", "Add one by hand.")
    return data


def _changed(file: YamlFile, data: MappingNode, flag: str, value: str) -> Iterator[Replacement]:
    """What gives one flag its value; nothing where it has it."""
    check_value(flag, value)
    if keys(data).count(flag) > 1:
        raise _refusal(file, f"it sets {flag} more than once", "Leave one of them.")
    held = scalar(child(data, flag))
    if flag in keys(data) and held is None:
        raise _refusal(file, f"{flag} is no plain value", "Correct it first.")
    if held is None:
        yield _added(file, data, flag, value)
    elif str(held.value) != value or held.tag != "tag:yaml.org,2002:str":
        start, end = held.start_mark.index, held.end_mark.index
        if held.style in ("|", ">") or id(held) in file.shared or file.text[start:end].startswith(("&", "!")):
            raise _refusal(file, f"{flag} is written as a block or shared through an anchor", "Change it by hand.")
        yield Replacement(start, end, spell_scalar(value, style=held.style))


def _find(file: YamlFile, words: FlagWords, name: str | None) -> Node:
    maps = [root for root in opened_lists(file.roots) if _text(child(root, "kind")) == "ConfigMap"]
    flags = set(words.known_flags())
    if name is not None:
        found = [root for root in maps if _name_of(root) == name]
        what = f"it has {len(found)} ConfigMaps of the name {name!r}"
    else:
        found = [root for root in maps if flags & set(keys(child(root, "data")))]
        what = f"{len(found)} of its ConfigMaps set flags" if maps else "it has no ConfigMap"
    if len(found) != 1:
        known = ", ".join(_name_of(root) for root in maps)[:200]
        remedy = f"Name one in [flags] configmap: {known}." if known else "Name the manifest of the backend's flags."
        raise _refusal(file, what, remedy)
    return found[0]


def _added(file: YamlFile, data: Node, flag: str, value: str) -> Replacement:
    first = data.value[0][0].start_mark
    line = f"{' ' * first.column}{flag}: {spell_scalar(value, style=None)}"
    newline = "\r\n" if "\r\n" in file.text else "\n"
    # Right before the first entry: its line is known for sure, while the last one may be a block of many lines.
    start = first.index - first.column
    return Replacement(start, start, f"{line}{newline}")


def _check(file: YamlFile, after: str, root: Node, wanted: Mapping[str, str]) -> None:
    again = parse_yaml_text(after, path=file.path)
    same = len(file.roots) == len(again.roots)
    for old, new in zip(file.roots, again.roots, strict=False):
        expected = _values(old) | (dict(wanted) if old is root else {})
        same = same and expected == _values(new) and keys(old) == keys(new)
    if not same:
        raise _refusal(file, "the change cannot be written without changing something else", "Do it by hand.")


def _values(root: Node) -> dict[str, str | None]:
    data = mapping(child(root, "data"))
    pairs = data.value if data is not None else ()
    return {str(key.value): str(held.value) if (held := scalar(value)) is not None else None for key, value in pairs}


def _name_of(root: Node) -> str:
    return _text(child(child(root, "metadata"), "name")) or "(no name)"


def _text(node: Node | None) -> str:
    held = scalar(node)
    return str(held.value) if held is not None else ""


def _refusal(file: YamlFile, why: str, remedy: str) -> ManifestError:
    return ManifestError(path=file.path, why=why, remedy=remedy)
