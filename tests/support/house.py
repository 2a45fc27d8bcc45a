"""The source of the package as the rules of the house look at it: its files, imports, calls and functions."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
PACKAGE = ROOT / "recon"
COLUMNAR = (
    "verdicts/links.py", "verdicts/keys.py", "verdicts/claims.py", "verdicts/deals.py", "verdicts/outflows.py",
    "verdicts/balances.py", "verdicts/match.py", "verdicts/sums.py", "verdicts/fates.py", "verdicts/evidence.py",
    "verdicts/conditions.py", "verdicts/classify.py", "verdicts/returns.py", "verdicts/destinations.py",
    "verdicts/strays.py", "verdicts/rivals.py", "verdicts/reach.py", "verdicts/excess.py", "verdicts/buyers.py",
    "verdicts/holdings.py", "verdicts/plainly_sent.py",
)  # fmt: skip


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def nodes_of(path: Path) -> tuple[ast.AST, ...]:
    """Every node of a file; many rules look at each."""
    return tuple(ast.walk(tree_of(path)))


def files_of(part: str) -> list[Path]:
    """The files of one folder or module of the package, named by its path in it."""
    place = PACKAGE / part
    if place.suffix == ".py":
        return [place]
    return sorted(place.rglob("*.py")) if place.is_dir() else [place.with_suffix(".py")]


def parts() -> list[str]:
    """Every module and folder of the package."""
    found = {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in PACKAGE.rglob("*.py")}
    return sorted(found - {"__init__"})


def where(path: Path, node: ast.AST) -> str:
    shown = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path.name
    return f"{shown}:{getattr(node, 'lineno', 1)}"


def calls(path: Path) -> Iterator[tuple[ast.Call, str]]:
    """Every call with the last name of what is called."""
    for node in nodes_of(path):
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Attribute):
                yield node, node.func.attr
            elif isinstance(node.func, ast.Name):
                yield node, node.func.id


def none(problems: Iterable[str]) -> None:
    found = sorted(problems)
    assert not found, "\n" + "\n".join(found)
