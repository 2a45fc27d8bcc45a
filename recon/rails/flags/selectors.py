"""Label selectors of Kubernetes: whether the labels of an object fit one.

>>> is_selected("app=pay,tier in (web, api),!old", {})
False
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from recon.rails.flags.manifest_patches import UnclearPatchError
from recon.rails.flags.yamltext import text_of

if TYPE_CHECKING:
    from yaml.nodes import Node

_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9_./-]{0,300})"
_EQUAL = re.compile(rf"({_NAME})\s*(==|=|!=)\s*([A-Za-z0-9_.-]*)")
_IN = re.compile(rf"({_NAME})\s+(in|notin)\s*\(([^()]*)\)")
_THERE = re.compile(rf"(!?)\s*({_NAME})")
_COMMA = re.compile(r",(?![^(]*\))")


def is_selected(selector: str, labels: Mapping[str, Node]) -> bool:
    """Whether labels (or annotations) fit every requirement of a selector.

    Raises:
        UnclearPatchError: It is no selector.
    """
    held = {name: text_of(node) for name, node in labels.items()}
    return all(list(_requirements(selector, held)))


def _requirements(selector: str, held: Mapping[str, str | None]) -> Iterator[bool]:
    for part in (each.strip() for each in _COMMA.split(selector)):
        if found := _EQUAL.fullmatch(part):
            yield (held.get(found[1]) == found[3] and found[1] in held) == (found[2] != "!=")
        elif found := _IN.fullmatch(part):
            words = {word.strip() for word in found[3].split(",")}
            yield (held.get(found[1]) in words and found[1] in held) == (found[2] == "in")
        elif found := _THERE.fullmatch(part):
            yield (found[2] in held) == (not found[1])
        else:
            raise UnclearPatchError("its target is chosen by labels in a way that is not read")
