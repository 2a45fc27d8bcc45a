"""Conditions by name: what each one needs, read when it is made; and the order in which they can be computed. Pure.

A condition is a function, whose parameters are the names of what it needs (``horizon`` and ``policy`` are given to
those that ask for them), or words over other names with ``and``, ``or``, ``not`` and brackets::

    Condition("expired", lambda expires_at, horizon: is_true(expires_at < horizon.now_ms))
    Condition("on_hold", "unfinal or aml_hold or safety_hold")

>>> [[step.name for step in steps] for steps in in_steps(
...     [Condition("c", "a and not b"), Condition("b", "a"), Condition("a", "x or y")], given=("x", "y")
... )]
[['a'], ['b'], ['c']]
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from functools import cache
from inspect import signature
from typing import TYPE_CHECKING, Final, TypeAlias

from recon.core.errors import UsageError

if TYPE_CHECKING:
    import narwhals as nw

Made: TypeAlias = "Callable[..., nw.Expr]"
Column: TypeAlias = "Callable[[str], nw.Expr]"

SETTINGS: Final = ("horizon", "policy")
"""Parameters that are no columns: how far absence can be proven, and the limits that a policy sets."""


class UnreadableConditionError(UsageError):
    """The words of a condition are not names joined by and, or, not and brackets."""

    def __init__(self, *, words: str) -> None:
        super().__init__(f"The condition {words!r} cannot be read: it may hold names, and, or, not and brackets only.")


class UnknownNameError(UsageError):
    """A rule or a condition rests on a name that is neither a condition nor a column of the evidence."""

    def __init__(self, *, where: str, name: str) -> None:
        super().__init__(f"{where} needs {name!r}, which is neither a condition nor a column of the evidence.")


class DuplicateNameError(UsageError):
    """A name stands twice, or a condition bears the name of a column of the evidence."""

    def __init__(self, *, name: str) -> None:
        super().__init__(f"The name {name!r} stands twice among the conditions and the columns of the evidence.")


class ConditionRingError(UsageError):
    """Conditions rest on each other in a ring, so that none of them can be computed first."""

    def __init__(self, *, names: Iterable[str]) -> None:
        super().__init__(f"These conditions rest on each other or on themselves: {', '.join(sorted(names))}.")


@dataclass(frozen=True, slots=True)
class Condition:
    """A column with a name, made from evidence and other conditions.

    Args:
        name: What it is called in words, in ``when=`` of a rule, and as a column.
        says: Words over names, or a function of the columns that its parameters name.

    Raises:
        UnreadableConditionError: The words are not of the kind that is read.
    """

    name: str
    says: str | Made
    needs: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        """Read once what is needed."""
        if isinstance(self.says, str):
            needs = names_in(self.says)
        else:
            needs = tuple(name for name in _parameters(self.says) if name not in SETTINGS)
        object.__setattr__(self, "needs", needs)


def names_in(words: str) -> tuple[str, ...]:
    """The names that words rest on, each once, in alphabetical order.

    >>> names_in("covered and not (further or covered)")
    ('covered', 'further')

    Raises:
        UnreadableConditionError: They are not names joined by and, or, not and brackets.
    """
    read = _read(words)
    for node in ast.walk(read):
        if not isinstance(node, ast.Name | ast.BoolOp | ast.UnaryOp | ast.And | ast.Or | ast.Not | ast.Load):
            raise UnreadableConditionError(words=words)
    return tuple(sorted({node.id for node in ast.walk(read) if isinstance(node, ast.Name)}))


def expression_of(says: str | Made, column: Column, **settings: object) -> nw.Expr:
    """What a condition or a rule says, over columns.

    Args:
        column: Gives the column of a name.
        settings: ``horizon`` and ``policy``, which only functions ask for.

    Raises:
        UnreadableConditionError: Words are not names joined by and, or, not and brackets.
    """
    if isinstance(says, str):
        return _joined(_read(says), column)
    return says(**{name: settings[name] if name in SETTINGS else column(name) for name in _parameters(says)})


@cache
def _parameters(made: Made) -> tuple[str, ...]:
    return tuple(signature(made).parameters)


def _joined(node: ast.expr, column: Column) -> nw.Expr:
    if isinstance(node, ast.Name):
        return column(node.id)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return ~_joined(node.operand, column)
    if isinstance(node, ast.BoolOp):
        import narwhals as nw

        # One expression over many columns is planned in half the time of a chain of pairs.
        together = nw.all_horizontal if isinstance(node.op, ast.And) else nw.any_horizontal
        return together(*[_joined(part, column) for part in node.values], ignore_nulls=False)
    raise UnreadableConditionError(words=ast.unparse(node))


@cache
def _read(words: str) -> ast.expr:
    try:
        return ast.parse(words, mode="eval").body
    except SyntaxError as error:
        raise UnreadableConditionError(words=words) from error


def in_steps(conditions: Iterable[Condition], *, given: Collection[str]) -> tuple[tuple[Condition, ...], ...]:
    """Conditions in the fewest steps of which each needs only what is given or was made in an earlier one.

    Args:
        given: Columns that are there before.

    Raises:
        DuplicateNameError: Two conditions have one name, or one has the name of a given column.
        UnknownNameError: One needs what is neither a condition nor given.
        ConditionRingError: Some rest on each other.
    """
    left: dict[str, Condition] = {}
    for condition in conditions:
        if condition.name in left or condition.name in given:
            raise DuplicateNameError(name=condition.name)
        left[condition.name] = condition
    known = {*given, *left}
    for condition in left.values():
        for name in condition.needs:
            if name not in known:
                raise UnknownNameError(where=f"The condition {condition.name!r}", name=name)
    steps = []
    while left:
        ready = tuple(each for each in left.values() if not left.keys() & set(each.needs))
        if not ready:
            raise ConditionRingError(names=_in_ring(left.values()))
        steps.append(ready)
        for condition in ready:
            del left[condition.name]
    return tuple(steps)


def _in_ring(left: Iterable[Condition]) -> set[str]:
    """The conditions of the rings themselves, without those that only rest on one."""
    needs = {condition.name: set(condition.needs) for condition in left}
    while ended := needs.keys() - set().union(*needs.values()):
        needs = {name: needed for name, needed in needs.items() if name not in ended}
    return set(needs)
