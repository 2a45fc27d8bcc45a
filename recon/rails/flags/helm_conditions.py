"""Conditions of a chart's templates, as far as the values that are here decide them.

Read are ``if``, ``else if`` and ``else`` over values of the chart: a value alone, ``not``, ``eq`` and ``ne`` with a
plain word, ``and`` and ``or`` of these. A value that no file has may be given when the chart is installed: what hangs
on it nobody can tell; nor what stands in a loop, a ``with`` or a named template, where the dot is another one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from recon.rails.flags.yamltext import items, mapping, member, merged_items, scalar, text_of

if TYPE_CHECKING:
    from yaml.nodes import Node

_ACTION = re.compile(r"\{\{-?\s*(else\s+if|if|else|range|with|define|block|end)\b(.*?)-?\}\}")
_OPENED = re.compile(r"\{\{-?\s*(if|else|range|with|define|block|end)\b")
_PART = re.compile(r"""\s*(?:(\()|(\))|("[^"\\]*"|`[^`]*`)|(-?[0-9]+(?:\.[0-9]+)?|true|false)(?=[\s)]|\Z)|\$?\.Values"""
                   r"""\.([A-Za-z0-9_.]+)|(not|and|or|eq|ne)(?=[\s(]))""")  # fmt: skip
DEPTH_MAX: Final = 20


class _UnclearConditionError(ValueError):
    """A condition is not decided by the values that are here."""


@dataclass(slots=True)
class _Branch:
    """One open ``if``: whether its present branch is taken, and whether an earlier one was; None where it is open."""

    taken: bool | None
    seen: bool | None
    is_block: bool = False


@dataclass(slots=True)
class Branches:
    """Follows the actions of a template line by line.

    Args:
        values: The roots of the values files, later ones over earlier ones, each with its file.
    """

    values: Sequence[tuple[Node, str]]
    _open: list[_Branch] = field(default_factory=list)
    _is_lost: bool = False

    @property
    def state(self) -> bool | None:
        """Whether what stands here is written: True, False, or None where nobody can tell."""
        states = [each.taken for each in self._open]
        if self._is_lost:
            return None
        return False if False in states else None if None in states else True

    def take(self, line: str) -> bool:
        """Follow the actions of one line; gives whether it has any."""
        found = _ACTION.findall(line)
        # An action over several lines is not followed, and nothing behind it is known.
        self._is_lost |= len(found) != len(_OPENED.findall(line))
        for word, text in found:
            self._follow("else if" if word.startswith("else") and word != "else" else word, text)
        return bool(found)

    def _follow(self, word: str, text: str) -> None:
        if word == "if":
            value = self._value(text)
            self._open.append(_Branch(value, value))
        elif word in ("range", "with", "define", "block"):
            self._open.append(_Branch(None, None, is_block=True))
        elif not self._open:
            self._is_lost = True
        elif word == "end":
            self._open.pop()
        else:
            branch = self._open[-1]
            before = branch.seen
            value = self._value(text) if word == "else if" else None if text.strip() else True
            branch.taken = None if branch.is_block else _and(_not(before), value)
            branch.seen = _or(before, value)

    def _value(self, text: str) -> bool | None:
        if any(each.is_block for each in self._open) and re.search(r"(?<!\$)\.Values", text):
            return None
        try:
            value, rest = _read(text, self.values, depth=0)
        except _UnclearConditionError:
            return None
        return None if rest.strip() else _truth(value)


def _not(value: bool | None) -> bool | None:
    return None if value is None else not value


def _and(one: bool | None, other: bool | None) -> bool | None:
    return False if False in (one, other) else None if None in (one, other) else True


def _or(one: bool | None, other: bool | None) -> bool | None:
    return _not(_and(_not(one), _not(other)))


def _read(text: str, values: Sequence[tuple[Node, str]], *, depth: int) -> tuple[object, str]:
    """The value of one operand or call at the head of a text, and the rest of it."""
    found = _PART.match(text)
    if found is None or depth > DEPTH_MAX:
        raise _UnclearConditionError
    opens, _, quoted, plain, place, call = found.groups()
    rest = text[found.end() :]
    if opens:
        value, rest = _read(rest, values, depth=depth + 1)
        closing = _PART.match(rest)
        if closing is None or not closing[2]:
            raise _UnclearConditionError
        return value, rest[closing.end() :]
    if place:
        return _at(place, values), rest
    if quoted:
        return quoted[1:-1], rest
    if plain:
        return {"true": True, "false": False}.get(plain, plain), rest
    if not call:
        raise _UnclearConditionError
    return _called(call, rest, values, depth=depth)


_JOINED: Final = {"and": all, "or": any}


def _called(call: str, text: str, values: Sequence[tuple[Node, str]], *, depth: int) -> tuple[object, str]:
    operands = []
    while text.strip() and not text.lstrip().startswith(")"):
        operand, text = _read(text, values, depth=depth + 1)
        operands.append(operand)
    if call == "not" and len(operands) == 1:
        return not _truth(operands[0]), text
    if call in _JOINED and operands:
        return _JOINED[call](map(_truth, operands)), text
    if call in ("eq", "ne") and len(operands) == 2 and {type(each) for each in operands} in ({str}, {bool}):
        return (operands[0] == operands[1]) == (call == "eq"), text
    raise _UnclearConditionError


def _truth(value: object) -> bool:
    """Whether a value counts as true: neither false, zero, nothing nor empty."""
    return bool(value) and value != "0"


def _at(place: str, values: Sequence[tuple[Node, str]]) -> object:
    """The value of the chart at a place, of the last file that has it.

    Raises:
        _UnclearConditionError: No file has it, or one takes away what another has.
    """
    for root, _ in reversed(values):
        node: Node | None = root
        for step in place.split("."):
            node = member(node, step) if mapping(node) is not None else None
        if node is not None:
            return _plain(node)
    raise _UnclearConditionError


def _plain(node: Node) -> object:
    held = scalar(node)
    if held is None:
        return bool(merged_items(node) or items(node))
    text, tag = text_of(node) or "", str(held.tag).rpartition(":")[2]
    if tag == "bool":
        return text.lower() in ("true", "yes", "on")
    if tag in ("int", "float"):
        _refuse_odd_number(text)
        return text if float(text) else "0"
    return "" if tag == "null" else _as_text(text)


def _refuse_odd_number(text: str) -> None:
    """Refuse a number that is written in another base or way. Raises _UnclearConditionError."""
    if re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", text) is None:
        raise _UnclearConditionError


def _as_text(text: str) -> str:
    if text == "0":
        raise _UnclearConditionError  # a text "0" is true, a number is not; they are not told apart here
    if "{{" in text:
        raise _UnclearConditionError
    return text
