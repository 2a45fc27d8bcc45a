"""YAML text with places: which characters hold a value, so that a change can be shown as a patch of those only.

Only PyYAML's composer is used: it builds nodes with their places, makes no objects, and does not copy what an alias
points to, so a file made to explode stays small.
"""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from recon.rails.flags.errors import ManifestError

if TYPE_CHECKING:
    from yaml.nodes import MappingNode, Node, ScalarNode

SIZE_MAX_BYTES: Final = 1_000_000
DOCUMENTS_MAX: Final = 200
DEPTH_MAX: Final = 60
MERGED_MAX: Final = 50
_PLAIN_SAFE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.,/@+-]*\Z")
_WORDS: Final = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"}


@dataclass(frozen=True, slots=True)
class YamlFile:
    """A YAML file's text and the roots of its documents.

    Args:
        shared: Identities of nodes that an alias points to, so that a change of them shows in several places.
    """

    path: str
    text: str
    roots: tuple[Node, ...]
    shared: frozenset[int]


@dataclass(frozen=True, slots=True)
class Spot:
    """The characters of a YAML file that hold a value, and how they are spelled.

    Args:
        style: The quote or block sign of the scalar; None for a bare one.
        prefix: What stands before the value within the same scalar, as ``NAME=`` in a list.
    """

    start: int
    end: int
    style: str | None = None
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class Replacement:
    """New text for a stretch of a file's text."""

    start: int
    end: int
    text: str


def read_yaml_text(path: Path) -> YamlFile:
    """Read a YAML file.

    Raises:
        ManifestError: It cannot be read, is too large, is no UTF-8 or no YAML, or is nested too deeply.
    """
    name = str(path)
    try:
        with path.open("rb") as stream:
            data = stream.read(SIZE_MAX_BYTES + 1)
    except OSError as error:
        raise ManifestError(
            path=name, why=f"the file cannot be read ({error.strerror})", remedy="Check the path."
        ) from error
    if len(data) > SIZE_MAX_BYTES:
        raise ManifestError(path=name, why=f"it has more than {SIZE_MAX_BYTES} bytes", remedy="Name the right file.")
    return parse_yaml_data(data, path=name)


def parse_yaml_data(data: bytes, *, path: str) -> YamlFile:
    """Read the bytes of a YAML file; see :func:`read_yaml_text`."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ManifestError(path=path, why="it is not UTF-8 text", remedy="Save it as UTF-8.") from error
    return parse_yaml_text(text, path=path)


def parse_yaml_text(text: str, *, path: str) -> YamlFile:
    """Read YAML text; see :func:`read_yaml_text`."""
    import yaml

    try:
        roots = []
        for root in yaml.compose_all(text, Loader=yaml.SafeLoader):
            roots.append(root)
            if len(roots) > DOCUMENTS_MAX:
                raise ManifestError(path=path, why=f"it has more than {DOCUMENTS_MAX} documents", remedy="Split it.")
        shared = frozenset(_shared(roots, path))
        _refuse_twice(roots, path)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark is not None else ""
        raise ManifestError(path=path, why=f"it is no valid YAML{where}", remedy="Correct it first.") from error
    except RecursionError as error:
        raise ManifestError(path=path, why="it is nested too deeply", remedy="Name the right file.") from error
    return YamlFile(path, text, tuple(root for root in roots if root is not None), shared)


def _shared(roots: Sequence[Node], path: str) -> Iterable[int]:
    seen: Counter[int] = Counter()
    waiting = [(root, 0) for root in roots if root is not None]
    while waiting:
        node, depth = waiting.pop()
        seen[id(node)] += 1
        if depth > DEPTH_MAX:
            raise ManifestError(path=path, why="it is nested too deeply", remedy="Name the right file.")
        if seen[id(node)] == 1:
            waiting.extend((inner, depth + 1) for inner in _inner_nodes(node))
    return [identity for identity, count in seen.items() if count > 1]


def _refuse_twice(roots: Sequence[Node], path: str) -> None:
    """Refuse a key that stands twice in one mapping: many readers refuse the file, others differ on which counts."""
    from yaml.nodes import MappingNode

    waiting, seen = [root for root in roots if root is not None], set[int]()
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        waiting += _inner_nodes(node)
        lines: dict[str, int] = {}
        for key, _ in node.value if isinstance(node, MappingNode) else ():
            name = "<<" if scalar(key) is None else str(key.value)
            if name != "<<" and lines.setdefault(name, line_at(key)) != line_at(key):
                why = f"{name[:60]!r} stands twice in one mapping, on lines {lines[name]} and {line_at(key)}"
                raise ManifestError(path=path, why=why, remedy="Leave one of them.")


def _inner_nodes(node: Node) -> list[Node]:
    """The keys and values of a mapping, the items of a list; none of a scalar."""
    from yaml.nodes import MappingNode, SequenceNode

    if isinstance(node, MappingNode):
        return [inner for pair in node.value for inner in pair]
    return list(node.value) if isinstance(node, SequenceNode) else []


def child(node: Node | None, key: str) -> Node | None:
    """The value of a key of a mapping, the last of repeated ones; None without one. Merged keys do not count."""
    from yaml.nodes import MappingNode

    if not isinstance(node, MappingNode):
        return None
    return next((value for name, value in reversed(node.value) if name.value == key), None)


def merged_items(node: Node | None) -> dict[str, Node]:
    """The keys of a mapping with what they hold, those that come through ``<<`` included.

    A key of the mapping's own wins over a merged one, and the first of several merged mappings over the later ones.
    """
    return _merged_items(node, {}, depth=0)


def _merged_items(node: Node | None, done: dict[int, dict[str, Node]], *, depth: int) -> dict[str, Node]:
    """See :func:`merged_items`; each mapping is put together once, however often it is merged."""
    from yaml.nodes import MappingNode, SequenceNode

    if not isinstance(node, MappingNode) or depth > DEPTH_MAX:
        return {}
    if id(node) in done:
        return done[id(node)]
    own: dict[str, Node] = {}
    merged: list[Node] = []
    for key, value in node.value:
        if key.value == "<<" and key.tag.endswith((":merge", ":str")):
            merged += value.value if isinstance(value, SequenceNode) else [value]
        elif scalar(key) is not None:
            own[str(key.value)] = value
    found: dict[str, Node] = {}
    for each in merged[:MERGED_MAX]:
        found = _merged_items(each, done, depth=depth + 1) | found
    done[id(node)] = found | own
    return done[id(node)]


def member(node: Node | None, key: str) -> Node | None:
    """The value of a key of a mapping, merged ones included; None without one."""
    return merged_items(node).get(key)


def items(node: Node | None) -> list[Node]:
    """The items of a list; none of anything else."""
    from yaml.nodes import SequenceNode

    return list(node.value) if isinstance(node, SequenceNode) else []


def text_of(node: Node | None) -> str | None:
    """The text of a plain value; None for null, a mapping or a list."""
    held = scalar(node)
    return None if held is None or held.tag.endswith(":null") else str(held.value)


def line_at(node: Node) -> int:
    """The line a node begins on, counted from 1."""
    return int(node.start_mark.line) + 1


def mark_origin(node: Node, path: str) -> Node:
    """Note of a node, and of all in it, that it comes from another file than what it is put into."""
    waiting = [node]
    while waiting:
        each = waiting.pop()
        if not hasattr(each, _ORIGIN):
            setattr(each, _ORIGIN, path)
            waiting.extend(_inner_nodes(each))
    return node


_ORIGIN: Final = "recon_origin"


def file_behind(node: Node, path: str) -> str:
    """The file that a node comes from; the given one unless it was put there from another."""
    return str(getattr(node, _ORIGIN, path))


def spot_of(node: Node, *, prefix: str = "") -> Spot | None:
    """Where a plain value stands, if it can be replaced there: no block, no tag of its own, no anchor, of no patch."""
    held = scalar(node)
    if held is None or held.style in ("|", ">") or hasattr(node, _ORIGIN):
        return None
    start, end = held.start_mark.index, held.end_mark.index
    opened = held.start_mark.buffer[held.start_mark.pointer] if held.start_mark.buffer is not None else ""
    return None if opened in ("&", "!") else Spot(start, end, held.style, prefix)


def keys(node: Node | None) -> tuple[str, ...]:
    """The keys of a mapping as they stand, repeated ones repeated."""
    from yaml.nodes import MappingNode

    return tuple(str(name.value) for name, _ in node.value) if isinstance(node, MappingNode) else ()


def scalar(node: Node | None) -> ScalarNode | None:
    """The node if it is a plain value."""
    from yaml.nodes import ScalarNode

    return node if isinstance(node, ScalarNode) else None


def mapping(node: Node | None) -> MappingNode | None:
    """The node if it is a mapping."""
    from yaml.nodes import MappingNode

    return node if isinstance(node, MappingNode) else None


def spell_scalar(value: str, *, style: str | None) -> str:
    """Write a text as a YAML value: in the quotes it had, else bare where that stays a text, else in double quotes.

    >>> spell_scalar("false", style=None), spell_scalar("shkeeper", style=None), spell_scalar("x", style="'")
    ('"false"', 'shkeeper', "'x'")
    """
    if style in ("'", '"'):
        return f"{style}{value}{style}"
    is_bare = bool(_PLAIN_SAFE.match(value)) and value.lower() not in _WORDS
    return value if is_bare else f'"{value}"'


def replace_stretches(text: str, replacements: Iterable[Replacement]) -> str:
    """The text with every stretch replaced; what is added at one place keeps its order."""
    ordered = sorted(enumerate(replacements), key=lambda pair: (pair[1].start, pair[0]), reverse=True)
    for _, part in ordered:
        text = text[: part.start] + part.text + text[part.end :]
    return text


def unified_patch(before: str, after: str, *, path: str) -> str:
    """A unified diff that ``patch -p1`` takes; empty when nothing differs."""
    lines = difflib.unified_diff(
        before.splitlines(keepends=True), after.splitlines(keepends=True), f"a/{path}", f"b/{path}"
    )
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


def opened_lists(roots: Iterable[Node]) -> list[Node]:
    """The objects of a file, those of its lists instead of the lists."""
    found: list[Node] = []
    waiting = list(reversed(tuple(roots)))
    while waiting:
        root = waiting.pop()
        kind = text_of(member(root, "kind")) or ""
        if kind == "List" or kind.endswith("List"):
            waiting.extend(reversed(items(member(root, "items"))))
        else:
            found.append(root)
    return found
