"""A dotenv text as each program that reads such files reads it; they differ, and the difference decides what is set.

=================== ============== ================ ================ ==============
what                npm-dotenv     python-dotenv    compose          docker
=================== ============== ================ ================ ==============
``NAME: value``     set            not read         set              not read
a value in backticks without them   with them        with them        with them
over several lines  ' \" `          ' \"             ' \"             no
``#`` in bare text  begins comment after a space    after a space    belongs to it
``${A:-b}``         as it stands   filled in        filled in        as it stands
a broken line       passed over    passed over      refuses the file refuses the file
=================== ============== ================ ================ ==============

``npm-dotenv`` is the package of Node programs, ``compose`` is how Docker Compose reads ``.env`` and ``env_file``, and
``docker`` is ``docker run --env-file``, ``format: raw`` of Compose and the ``envs`` of kustomize. ``every`` asks the
first three and believes what they agree on. All take the last of repeated names, and pass over a byte order mark.

>>> {name: view.values.get("A") for name, view in views_of("A: 1").items()}
{'npm-dotenv': '1', 'python-dotenv': None, 'compose': '1'}
"""

from __future__ import annotations

import io
import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from recon.rails.flags.interpolate import NAMES_MAX, fill

DotenvReader = Literal["every", "npm-dotenv", "python-dotenv", "compose", "docker"]

EVERY: Final = ("npm-dotenv", "python-dotenv", "compose")
BOM: Final = "\ufeff"
BLANKS_MAX: Final = 500
"""A longer run of blanks inside a line is nobody's setting, and some readers need hours for it."""
_NEWLINE: Final = re.compile(r"\r\n|\n|\r")
_BLANKS: Final = re.compile(rf"[^\S\r\n]{{{BLANKS_MAX + 1}}}")
_JS_SPACE: Final = "\t\n\x0b\x0c\r \xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
_JS_TRIM: Final = "\t\n\x0b\x0c\r \xa0\u1680\u2028\u2029\u202f\u205f\u3000\ufeff" + "".join(
    map(chr, range(0x2000, 0x200B))
)
_NPM_LINE: Final = re.compile(
    rf"""
    (?<![^\n\u2028\u2029]) (?:(?!\n)[{_JS_SPACE}])*        # from the start of a line
    (?:export[{_JS_SPACE}]+)? (?P<key>[A-Za-z0-9_.-]+)
    (?: [{_JS_SPACE}]*=[{_JS_SPACE}]*? | :[{_JS_SPACE}]+? )
    (?P<value>
        [{_JS_SPACE}]*'(?:\\'|[^'])*' | [{_JS_SPACE}]*"(?:\\"|[^"])*" | [{_JS_SPACE}]*`(?:\\`|[^`])*` | [^\#\n]+
    )?
    [{_JS_SPACE}]* (?:\#[^\n\u2028\u2029]*)? (?![^\n\u2028\u2029])
    """,
    re.VERBOSE,
)
_NPM_QUOTES: Final = re.compile(r"(?<![^\n\u2028\u2029])(['\"`])([\s\S]*)\1(?![^\n\u2028\u2029])")
_PYTHON_HEAD: Final = re.compile(r"\s*(?:export[^\S\r\n]+)?('[^']+'|[^=\#\s]+)[^\S\r\n]*(?:=([^\S\r\n]*))?")
_PYTHON_QUOTED: Final = re.compile(r"'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"", re.DOTALL)
_PYTHON_NAME: Final = re.compile(r"\$\{([^}:]*)(?::-([^}]*))?\}")
_GO_SPACE: Final = "\t\x0b\x0c\r \x85\xa0"
_GO_EXPORT: Final = re.compile(r"export\s+")
_GO_ESCAPES: Final = {"n": "\n", "r": "\r", "t": "\t", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}
_GO_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Binding:
    """One name that a reader finds set.

    Args:
        value: As the reader has it before names are filled in; None for a name without a value.
        line: Where the name stands, counted from 1.
        token: Offsets of the value as written, quotes included; None where there is none to replace.
    """

    key: str
    value: str | None
    line: int
    token: tuple[int, int] | None
    is_literal: bool = False


@dataclass(frozen=True, slots=True)
class DotenvView:
    """What one reader makes of a text.

    Args:
        values: The last value of each name, names filled in; None for a name without one, or whose value is doubtful.
        doubts: Why a value cannot be told, by name.
        problem: Why the reader refuses the whole text; empty when it reads it.
    """

    reader: str
    bindings: tuple[Binding, ...]
    values: Mapping[str, str | None]
    doubts: Mapping[str, str]
    problem: str = ""

    def of(self, key: str) -> tuple[Binding, ...]:
        """Every place that sets a name."""
        return tuple(each for each in self.bindings if each.key == key)


class _RefusedTextError(Exception):
    """The reader refuses the whole text; the first argument says why."""


def view_of(text: str, reader: str, *, known: Mapping[str, str | None] | None = None) -> DotenvView:
    """What one reader makes of a text without its byte order mark.

    Args:
        reader: One of :data:`DotenvReader` but ``every``.
        known: What is set besides, for names that are filled in.
    """
    try:
        if found := _BLANKS.search(text):
            line = len(_NEWLINE.findall(text, 0, found.start())) + 1
            raise _RefusedTextError(f"line {line} has more than {BLANKS_MAX} blanks in a row")
        bindings = tuple(_SCANNERS[reader](text))
    except _RefusedTextError as error:
        return DotenvView(reader, (), {}, {}, str(error))
    values, doubts = _filled(bindings, reader, known or {})
    return DotenvView(reader, bindings, values, doubts)


def views_of(text: str, reader: str = "every") -> dict[str, DotenvView]:
    """What the meant readers make of a text, by reader."""
    return {name: view_of(text, name) for name in (EVERY if reader == "every" else (reader,))}


def _filled(
    bindings: Iterable[Binding], reader: str, known: Mapping[str, str | None]
) -> tuple[dict[str, str | None], dict[str, str]]:
    """Values with their names filled in, each from what stands before it, as the reader does it."""
    values: dict[str, str | None] = {}
    doubts: dict[str, str] = {}
    for each in bindings:
        doubts.pop(each.key, None)
        if each.value is None:
            values[each.key] = known.get(each.key) if reader == "compose" else None
            continue
        text, doubt = each.value, ""
        if reader == "compose" and not each.is_literal:
            filled = fill(text, {**values, **known})
            text, doubt = filled.text, filled.doubt
        elif reader == "python-dotenv":
            text, doubt = _python_filled(text, values)
        values[each.key] = None if doubt else text
        if doubt:
            doubts[each.key] = doubt
    return values, doubts


def _python_filled(text: str, values: Mapping[str, str | None]) -> tuple[str, str]:
    if text.count("$") > NAMES_MAX:
        return text, "it takes too many values from elsewhere"
    doubts = []

    def one(found: re.Match[str]) -> str:
        if found[1] in values:
            return values[found[1]] or ""
        if found[2] is None:
            doubts.append(f"it takes its value from {found[1][:60]}, which is not set here")
        return found[2] or ""

    return _PYTHON_NAME.sub(one, text), "".join(doubts[:1])


def _line_of(text: str) -> Callable[[int], int]:
    """Gives the line, counted from 1, of an offset."""
    starts = [0, *(found.end() for found in _NEWLINE.finditer(text))]
    return lambda offset: bisect_right(starts, offset)


def _npm(text: str) -> Iterator[Binding]:
    """As the npm package reads: by lines that look like a setting, whatever stands around them."""
    unix, place_of = _with_unix_ends(text, lone=True)
    line_of = _line_of(text)
    for found in _NPM_LINE.finditer(unix):
        written = found["value"] or ""
        raw = written.strip(_JS_TRIM)
        value = _NPM_QUOTES.sub(lambda quoted: quoted[2], raw)
        if raw.startswith('"'):
            value = value.replace("\\n", "\n").replace("\\r", "\r")
        start = found.start("value") if found["value"] else _after_sign(unix, found)
        start += len(written) - len(written.lstrip(_JS_TRIM)) if raw else 0
        token = (place_of(start), place_of(start + len(raw)))
        yield Binding(found["key"], value, line_of(place_of(found.start("key"))), token)


def _after_sign(text: str, found: re.Match[str]) -> int:
    """Right behind the sign of a name without a value."""
    place = found.end("key")
    while text[place] not in "=:":
        place += 1
    return place + 1


def _with_unix_ends(text: str, *, lone: bool) -> tuple[str, Callable[[int], int]]:
    """The text with every line end as ``\\n``, and where an offset of it stands in the text.

    Args:
        lone: Whether a carriage return alone is a line end as well.
    """
    if "\r" not in text:
        return text, lambda offset: offset
    # Each pair of two characters that became one moves everything behind it.
    pairs = [found.start() - number for number, found in enumerate(re.finditer("\r\n", text))]
    unix = _NEWLINE.sub("\n", text) if lone else text.replace("\r\n", "\n")
    return unix, lambda offset: offset + bisect_right(pairs, offset - 1)


def _python(text: str) -> Iterator[Binding]:
    """As python-dotenv reads, by its own parser."""
    for each in python_statements(text):
        if each.key is not None:
            lead = each.source[: len(each.source) - len(each.source.lstrip())]
            yield Binding(each.key, each.value, each.line + len(_NEWLINE.findall(lead)), each.token)


@dataclass(frozen=True, slots=True)
class Statement:
    """One piece of the text between two of python-dotenv's statement borders; comments and blank ends are pieces too.

    Args:
        key: None for a comment, a blank end or a piece that cannot be read.
        value: As python-dotenv reads it, before interpolation; None when there is no ``=``.
        line: Where the piece begins, counted from 1.
        begin: Offset of the piece in the text.
        token: Offsets of the value as written, quotes included; None when there is no value to replace.
        is_broken: The piece cannot be read as a statement.
    """

    key: str | None
    value: str | None
    line: int
    begin: int
    source: str
    token: tuple[int, int] | None
    is_broken: bool


def python_statements(text: str) -> Iterator[Statement]:
    """The text in pieces that join to exactly the text."""
    from dotenv.parser import parse_stream

    # python-dotenv drops one mark at the very start; a text that still begins with one gets another, so that offsets
    # stay those of the text.
    begin = 0
    given = BOM + text if text.startswith(BOM) else text
    for binding in parse_stream(io.StringIO(given, newline="")):
        source = binding.original.string
        token = None if binding.error or binding.key is None else _python_token(source, begin, binding.value)
        yield Statement(binding.key, binding.value, binding.original.line, begin, source, token, binding.error)
        begin += len(source)


def _python_token(source: str, begin: int, value: str | None) -> tuple[int, int] | None:
    head = _PYTHON_HEAD.match(source)
    if head is None or value is None:
        return None
    if quoted := _PYTHON_QUOTED.match(source, head.end()):
        return begin + quoted.start(), begin + quoted.end()
    # An empty value is written right after the equal sign: what stands behind it is blank space or a comment.
    start = head.end() if value else head.end() - len(head[2] or "")
    return begin + start, begin + start + len(value)


def _compose(text: str) -> Iterator[Binding]:
    """As Docker Compose reads; one broken name or quote makes it refuse the file."""
    unix, place_of = _with_unix_ends(text, lone=False)
    line_of = _line_of(unix)
    place = 0
    while (place := _statement_start(unix, place)) < len(unix):
        if exported := _GO_EXPORT.match(unix, place):
            place = exported.end()
        begin = place
        key, sign, place = _compose_name(unix, place, line_of)
        if not sign:
            yield Binding(key, None, line_of(begin), None)
            continue
        while place < len(unix) and unix[place] in _GO_SPACE:
            place += 1
        if unix[place : place + 1] in ("'", '"'):
            value, end = _compose_quoted(unix, place, line_of)
            is_literal = unix[place] == "'"
            rest = end
        else:
            stop = unix.find("\n", place)
            stop = len(unix) if stop < 0 else stop
            value, is_literal, rest = unix[place:stop].partition(" #")[0].rstrip(), False, stop
            end = place + len(value)
        # An empty value is written right after the sign.
        at = (place_of(place), place_of(end)) if value or end > place else (place_of(_sign_end(unix, place)),) * 2
        yield Binding(key, value, line_of(begin), at, is_literal)
        place = rest


def _sign_end(text: str, place: int) -> int:
    """Right behind the sign that stands before blank space."""
    while text[place - 1] not in "=:":
        place -= 1
    return place


def _statement_start(text: str, place: int) -> int:
    """Behind blank space and comments."""
    while place < len(text):
        if text[place].isspace():
            place += 1
        elif text[place] == "#":
            end = text.find("\n", place)
            place = len(text) if end < 0 else end
        else:
            return place
    return place


def _compose_name(text: str, place: int, line_of: Callable[[int], int]) -> tuple[str, str, int]:
    """A name, its sign (empty for a name alone on its line), and what stands behind them."""
    start = place
    while place < len(text) and text[place] not in "=:\n":
        character = text[place]
        if not (character in "_.-[]" or character.isspace() or character.isalpha() or character.isnumeric()):
            raise _RefusedTextError(f"line {line_of(place)} has {character!r} in the name of a variable")
        place += 1
    key = text[start:place].rstrip()
    if " " in key:
        raise _RefusedTextError(f"line {line_of(start)} has a space in the name of a variable")
    return key, text[place : place + 1].strip(), place + 1


def _compose_quoted(text: str, place: int, line_of: Callable[[int], int]) -> tuple[str, int]:
    """A quoted value and the place behind its closing quote."""
    quote, start = text[place], place
    place += 1
    while place < len(text) and text[place] != quote:
        place += 2 if text[place] == "\\" else 1
    if place >= len(text):
        raise _RefusedTextError(f"line {line_of(start)} opens a quote that is not closed")
    value = _GO_ESCAPE.sub(lambda found: quote if found[1] == quote else found[0], text[start + 1 : place])
    if quote == '"':
        value = _GO_ESCAPE.sub(lambda found: _go_escape(found[1]), value)
    return value, place + 1


def _go_escape(sign: str) -> str:
    if sign in _GO_ESCAPES:
        return _GO_ESCAPES[sign]
    # Compose takes a backslash away from what it protects; before a dollar sign it keeps names from being filled in.
    return "$$" if sign == "$" else sign if sign == "\\" else f"\\{sign}"


def _docker(text: str) -> Iterator[Binding]:
    """As ``docker run --env-file`` reads: everything behind the first equal sign is the value."""
    place = 0
    for number, line in enumerate(text.split("\n"), 1):
        bare = line.removesuffix("\r")
        held = bare.lstrip()
        if held and not held.startswith("#"):
            key, equals, value = held.partition("=")
            if not key or any(character.isspace() for character in key):
                raise _RefusedTextError(f"line {number} has no name that a variable can have")
            end = place + len(bare)
            token = (end - len(value), end) if equals else None
            yield Binding(key, value if equals else None, number, token, is_literal=True)
        place += len(line) + 1


_SCANNERS: Final[Mapping[str, Callable[[str], Iterator[Binding]]]] = {
    "npm-dotenv": _npm,
    "python-dotenv": _python,
    "compose": _compose,
    "docker": _docker,
}
