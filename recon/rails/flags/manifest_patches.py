"""Patches of manifests as kustomize lays them: strategic merge, and JSON patches of RFC 6902.

>>> from recon.rails.flags.yamltext import parse_yaml_text, text_of, member
>>> base = parse_yaml_text("{data: {A: b, C: d}}", path="x").roots[0]
>>> patch = parse_yaml_text("{data: {A: null, C: e}}", path="y").roots[0]
>>> made = merge_patch(base, patch, merges_lists=True)
>>> text_of(member(member(made, "data"), "A")), text_of(member(member(made, "data"), "C"))
(None, 'e')
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from recon.rails.flags.yamltext import items, mapping, member, merged_items, scalar, text_of

if TYPE_CHECKING:
    from yaml.nodes import Node

DEPTH_MAX: Final = 40
OPERATIONS_MAX: Final = 1000
_BY_NAME: Final = frozenset({"containers", "initContainers", "ephemeralContainers", "env", "volumes"})
"""Lists of Kubernetes' own kinds whose items are merged by their name."""


class UnclearPatchError(ValueError):
    """A patch does what is not computed here, or does not fit what it is for."""


def merge_patch(base: Node, patch: Node, *, merges_lists: bool, field: str = "", depth: int = 0) -> Node | None:
    """What a strategic merge makes of a node; None where it deletes it.

    Args:
        merges_lists: Whether containers and variables are merged by name, as in Kubernetes' own kinds; in others a list
            takes the place of a list.

    Raises:
        UnclearPatchError: It has a directive that is not known, or is nested too deeply.
    """
    if depth > DEPTH_MAX:
        raise UnclearPatchError("it is nested too deeply")
    directive = text_of(member(patch, "$patch"))
    if directive == "delete":
        return None
    if directive not in (None, "merge", "replace"):
        raise UnclearPatchError(f"its $patch is {directive[:40]!r}")
    if mapping(base) is not None and mapping(patch) is not None and directive != "replace":
        return _merged_mapping(base, patch, merges_lists=merges_lists, depth=depth + 1)
    if merges_lists and field in _BY_NAME and _is_list(base) and _is_list(patch):
        return _merged_list(base, patch, merges_lists=merges_lists, depth=depth + 1)
    return patch


def _merged_mapping(base: Node, patch: Node, *, merges_lists: bool, depth: int) -> Node:
    found = dict(merged_items(base))
    for key, value in merged_items(patch).items():
        if key == "$patch" or key.startswith("$setElementOrder"):
            continue
        if key.startswith("$"):
            raise UnclearPatchError(f"it has the directive {key[:60]}")
        if key in found:
            made = merge_patch(found[key], value, merges_lists=merges_lists, field=key, depth=depth)
        else:
            made = value
        found.pop(key, None) if made is None or _is_null(value) else found.update({key: made})
    return _mapping_of(found, base)


def _merged_list(base: Node, patch: Node, *, merges_lists: bool, depth: int) -> Node:
    """A list whose items are told apart by name: those of the patch stand first where they are new."""
    others = [each for each in items(patch) if text_of(member(each, "$patch")) != "replace"]
    if len(others) < len(items(patch)):
        return _list_of(others, base)
    held = {text_of(member(each, "name")): each for each in items(base)}
    fresh: list[Node] = []
    for each in items(patch):
        name = text_of(member(each, "name"))
        if name is None:
            raise UnclearPatchError("an item of a list has no name")
        if name not in held:
            fresh += [] if text_of(member(each, "$patch")) == "delete" else [each]
            continue
        made = merge_patch(held[name], each, merges_lists=merges_lists, depth=depth)
        held.pop(name) if made is None else held.update({name: made})
    return _list_of([*fresh, *held.values()], base)


def apply_operations(base: Node, operations: Sequence[Node]) -> Node:
    """What the operations of a JSON patch make of a node.

    Raises:
        UnclearPatchError: One is of a kind that is not computed here, or its path does not fit.
    """
    if len(operations) > OPERATIONS_MAX:
        raise UnclearPatchError("it has too many operations")
    for each in operations:
        kind, path = text_of(member(each, "op")) or "", text_of(member(each, "path"))
        value = member(each, "value")
        if path is None or not path.startswith("/") or kind not in ("add", "replace", "remove", "test"):
            raise UnclearPatchError(f"its operation {kind[:20]!r} at {(path or '')[:100]!r} is not computed")
        if kind in ("add", "replace") and value is None:
            raise UnclearPatchError(f"its operation at {path[:100]!r} has no value")
        if kind != "test":
            steps = [part.replace("~1", "/").replace("~0", "~") for part in path[1:].split("/")]
            base = _put(base, steps, kind=kind, value=value)
    return base


def _put(node: Node, steps: Sequence[str], *, kind: str, value: Node | None) -> Node:
    """The node with one operation done under it; what it shares with others stays as it is."""
    if len(steps) > DEPTH_MAX:
        raise UnclearPatchError("its path is too deep")
    step, rest = steps[0], steps[1:]
    if _is_list(node):
        return _put_in_list(node, step, rest, kind=kind, value=value)
    if mapping(node) is None:
        raise UnclearPatchError(f"there is nothing at {step[:60]!r}")
    found = dict(merged_items(node))
    if (rest or kind != "add") and step not in found:
        raise UnclearPatchError(f"there is no {step[:60]!r}")
    if rest:
        found[step] = _put(found[step], rest, kind=kind, value=value)
    elif value is None:
        del found[step]
    else:
        found[step] = value
    return _mapping_of(found, node)


def _put_in_list(node: Node, step: str, rest: Sequence[str], *, kind: str, value: Node | None) -> Node:
    held = items(node)
    place = len(held) if step == "-" and kind == "add" and not rest else int(step) if step.isdecimal() else -1
    if not 0 <= place < len(held) + (kind == "add" and not rest):
        raise UnclearPatchError(f"the list has no item {step[:20]!r}")
    if rest:
        held[place] = _put(held[place], rest, kind=kind, value=value)
    elif value is None:
        del held[place]
    elif kind == "add":
        held.insert(place, value)
    else:
        held[place] = value
    return _list_of(held, node)


def _is_null(node: Node) -> bool:
    held = scalar(node)
    return held is not None and str(held.tag).endswith(":null")


def _is_list(node: Node) -> bool:
    from yaml.nodes import SequenceNode

    return isinstance(node, SequenceNode)


def _mapping_of(found: dict[str, Node], like: Node) -> Node:
    from yaml.nodes import MappingNode, ScalarNode

    pairs = [
        (ScalarNode("tag:yaml.org,2002:str", key, value.start_mark, value.start_mark), value)
        for key, value in found.items()
    ]
    return MappingNode("tag:yaml.org,2002:map", pairs, like.start_mark, like.end_mark)


def _list_of(held: Sequence[Node], like: Node) -> Node:
    from yaml.nodes import SequenceNode

    return SequenceNode("tag:yaml.org,2002:seq", list(held), like.start_mark, like.end_mark)
