"""Finds every sentence of the code that may conclude from an absence: "none", "all", "complete" and the like.

A sentence is known by where it stands (file and function) and by its words. Whoever adds one either adds a row to the
table of ``tests/reports/conclusions``, which takes its evidence away, or says in ``no_conclusions.json``
why it concludes nothing.
"""

from __future__ import annotations

import ast
import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.support.house import PACKAGE, files_of, tree_of

PARTS: Final = (
    "reports/views", "reports/pages", "investigation/incident", "investigation/payment", "rails", "plans", "setup",
    "desk", "cli", "api", "runs", "watch",
)  # fmt: skip
"""Where sentences for people stand; what decides a verdict has tests of its own (premises, less evidence)."""

WORDS: Final = re.compile(
    r"\b(no|none|nothing|nobody|never|all|every|everything|clean|healthy|whole|complete|empty|well|0)\b|in full",
    re.IGNORECASE,
)
_ALONE: Final = ("none", "nothing", "never", "clean", "complete")
_LISTED: Final = Path(__file__).parent / "no_conclusions.json"

Sentence = tuple[str, str, str]
"""File within the package, function, words."""


def sentences(parts: tuple[str, ...] = PARTS) -> Counter[Sentence]:
    """Every sentence of those parts of the package that may be a conclusion, with how often it stands there."""
    found: Counter[Sentence] = Counter()
    for part in parts:
        for path in files_of(part):
            place = path.relative_to(PACKAGE).as_posix()
            found.update((place, where, text) for where, text in _said(tree_of(path), ""))
    return found


def _said(node: ast.AST, where: str) -> Iterator[tuple[str, str]]:
    """The sentences under a node with the innermost function; docstrings and what errors say are left out."""
    for child in _parts(node):
        if isinstance(child, ast.Raise) or (isinstance(child, ast.ClassDef) and _is_error(child)):
            continue
        if isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant):
            continue
        if isinstance(child, ast.Constant):
            if isinstance(child.value, str) and _may_conclude(child.value):
                yield where, child.value
            continue
        is_named = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
        yield from _said(child, child.name if is_named else where)  # type: ignore[attr-defined]


def _parts(node: ast.AST) -> Iterator[ast.AST]:
    """What stands under a node, less the names that something is looked up by: ``row["complete"]``."""
    if isinstance(node, ast.Subscript):
        yield node.value
    elif isinstance(node, ast.Dict):
        yield from node.values
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("get", "select"):
        yield from (node.func, *node.args[1:])
    else:
        yield from ast.iter_child_nodes(node)


def _is_error(node: ast.ClassDef) -> bool:
    return any("Error" in ast.unparse(base) for base in node.bases)


def _may_conclude(text: str) -> bool:
    return WORDS.search(text) is not None and (" " in text or text in _ALONE)


def no_conclusions() -> Counter[Sentence]:
    """The sentences that conclude nothing, by the reason why; see the file."""
    listed = json.loads(_LISTED.read_text(encoding="utf-8"))
    found: Counter[Sentence] = Counter()
    for places in listed.values():
        for place, functions in places.items():
            for where, texts in functions.items():
                found.update((place, where, text) for text in texts)
    return found
