"""Dotenv text: what it says, and an edit that changes exactly the flags asked for and no other byte.

Statements are found by python-dotenv's own parser, so that no second opinion of ours decides where a value ends; this
module only adds where the value stands. A flag is edited only where all common readers (python-dotenv, Node, Compose, a
shell) must agree on it: one plain ``NAME=value`` line, no interpolation, no multi-line quote, nothing hidden in another
value. Everything else in the file may be as odd as it likes and is kept byte for byte.

>>> text = read_dotenv(b"A=1\\nREQUEST_NETWORK_ENABLED='true' # since May\\n")
>>> edits = edits_for(text, {"REQUEST_NETWORK_ENABLED": "false"})
>>> apply_edits(text, edits)
b"A=1\\nREQUEST_NETWORK_ENABLED='false' # since May\\n"
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from recon.rails.flags.errors import (
    AmbiguousFlagError,
    FlagFileError,
    FlagMovedError,
    FlagReferencedError,
    FlagValueError,
    UnclosedQuoteError,
)

SIZE_MAX_BYTES: Final = 1_000_000
VALUE_MAX: Final = 500
_BOM: Final = "\ufeff"
_HEAD: Final = re.compile(r"\s*(?:export[^\S\r\n]+)?('[^']+'|[^=\#\s]+)[^\S\r\n]*(?:=([^\S\r\n]*))?")
_QUOTED: Final = re.compile(r"'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"", re.DOTALL)
_OPENED: Final = re.compile(r"\s*(?:export[^\S\r\n]+)?[^=\#\s]+[^\S\r\n]*=[^\S\r\n]*(['\"`])")
_PLAIN: Final = re.compile(r"[A-Za-z0-9_.,:/@+-]*\Z")
_NEWLINE: Final = re.compile(r"\r\n|\n|\r")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}\Z")


@dataclass(frozen=True, slots=True)
class Statement:
    """One piece of the text between two of python-dotenv's statement borders; comments and blank ends are pieces too.

    Args:
        key: None for a comment, a blank end or a piece that cannot be read.
        value: As python-dotenv reads it, before interpolation; None when there is no ``=``.
        line: Where the piece begins, counted from 1.
        begin: Offset of the piece in :attr:`Dotenv.text`.
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


@dataclass(frozen=True, slots=True)
class Dotenv:
    """A dotenv file's text in pieces that join to exactly the text.

    Args:
        path: Name for messages.
        text: The text after the byte order mark; bytes that are no UTF-8 are kept as surrogates.
        newline: The line end that a new line gets: that of the last line.
    """

    path: str
    text: str
    has_bom: bool
    newline: str
    statements: tuple[Statement, ...]

    @property
    def data(self) -> bytes:
        """The file's bytes."""
        return ((_BOM if self.has_bom else "") + self.text).encode("utf-8", "surrogateescape")

    @property
    def values(self) -> dict[str, str | None]:
        """Values as written, before interpolation, the last of a repeated key winning."""
        return {s.key: s.value for s in self.statements if s.key is not None}


@dataclass(frozen=True, slots=True)
class Edit:
    """One flag, before and after, as written in the file; None means that the file has no such line.

    Args:
        before, after: The value as written, quotes included.
        lead: What had to stand before an added line because the file did not end with a line end.
        newline: The line end of an added or removed line.
    """

    flag: str
    before: str | None
    after: str | None
    lead: str = ""
    newline: str = "\n"

    def reverse(self) -> Edit:
        """The edit that takes this one back."""
        return Edit(self.flag, self.after, self.before, self.lead, self.newline)


def read_dotenv(data: bytes, *, path: str = ".env") -> Dotenv:
    """Read the bytes of a dotenv file.

    Raises:
        FlagFileError: It is too large, or holds NUL bytes as no text file does.
    """
    if len(data) > SIZE_MAX_BYTES:
        raise FlagFileError(
            path=path, why=f"it has more than {SIZE_MAX_BYTES} bytes", remedy="Name the dotenv file that is meant."
        )
    if b"\0" in data:
        raise FlagFileError(
            path=path, why="it holds NUL bytes, so it is no UTF-8 text file", remedy="Save it as UTF-8 text."
        )
    text = data.decode("utf-8", "surrogateescape")
    has_bom = text.startswith(_BOM)
    text = text.removeprefix(_BOM)
    ends = _NEWLINE.findall(text)
    return Dotenv(path, text, has_bom, ends[-1] if ends else "\n", tuple(_statements(text)))


def _statements(text: str) -> Iterable[Statement]:
    from dotenv.parser import parse_stream

    # python-dotenv drops one mark at the very start; a text that still begins with one gets another, so that offsets
    # stay those of the text.
    begin = 0
    given = _BOM + text if text.startswith(_BOM) else text
    for binding in parse_stream(io.StringIO(given, newline="")):
        source = binding.original.string
        token = None if binding.error or binding.key is None else _token(source, begin, binding.value)
        yield Statement(binding.key, binding.value, binding.original.line, begin, source, token, binding.error)
        begin += len(source)


def _token(source: str, begin: int, value: str | None) -> tuple[int, int] | None:
    head = _HEAD.match(source)
    if head is None or value is None:
        return None
    if quoted := _QUOTED.match(source, head.end()):
        return begin + quoted.start(), begin + quoted.end()
    # An empty value is written right after the equal sign: what stands behind it is blank space or a comment.
    start = head.end() if value else head.end() - len(head[2] or "")
    return begin + start, begin + start + len(value)


def check_name(flag: str) -> None:
    """Refuse a name that no environment variable can have.

    Raises:
        FlagValueError: The name is not letters, digits and underscores, or begins with a digit.
    """
    if not _NAME.match(flag):
        raise FlagValueError(
            flag=repr(flag[:60]), why="is no name of a flag", remedy="Use letters, digits and underscores."
        )


def check_value(flag: str, value: str) -> None:
    """Refuse a value that some reader of a dotenv file would understand differently.

    Raises:
        FlagValueError: It holds a line break, a NUL, or anything that would need quoting.
    """
    check_name(flag)
    if len(value) > VALUE_MAX:
        raise FlagValueError(
            flag=flag, why=f"would get a value of {len(value)} characters", remedy=f"{VALUE_MAX} is the most."
        )
    for sign, name in (("\0", "NUL character"), ("\n", "line break"), ("\r", "line break")):
        if sign in value:
            raise FlagValueError(
                flag=flag, why=f"would get a value with a {name}", remedy="Give a value on one plain line."
            )
    if not _PLAIN.match(value):
        raise FlagValueError(
            flag=flag,
            why=f"would get {value[:60]!r}, which not every reader takes literally",
            remedy="Use letters, digits and _ . , : / @ + - only.",
        )


def edits_for(dotenv: Dotenv, wanted: Mapping[str, str]) -> tuple[Edit, ...]:
    """The edits that make the file say what is wanted, in the order of ``wanted``; what it says already is left out.

    Raises:
        FlagValueError: A value cannot be written plainly.
        AmbiguousFlagError, UnclosedQuoteError, FlagReferencedError: The flag cannot be changed provably.
    """
    edits: list[Edit] = []
    for flag, value in wanted.items():
        statement = statement_of(dotenv, flag)
        if statement is not None and statement.value == value:
            continue
        check_value(flag, value)
        if statement is None:
            ends = not dotenv.text or dotenv.text.endswith(("\n", "\r"))
            lead = "" if ends or edits_add(edits) else dotenv.newline
            edits.append(Edit(flag, None, value, lead, dotenv.newline))
        else:
            assert statement.token is not None, "a flag that can be changed has a place for its value"
            before = dotenv.text[slice(*statement.token)]
            quote = before[:1] if before[:1] in ("'", '"') else ""
            edits.append(Edit(flag, before, f"{quote}{value}{quote}", "", dotenv.newline))
    return tuple(edits)


def edits_add(edits: Iterable[Edit]) -> bool:
    """Whether one of the edits adds a line, so that the file ends with a line end afterwards."""
    return any(edit.before is None for edit in edits)


def repeated_keys(dotenv: Dotenv, keys: Iterable[str]) -> tuple[str, ...]:
    """One sentence for each of the keys that the text sets more than once."""
    places: dict[str, list[int]] = {}
    for statement in dotenv.statements:
        if statement.key is not None:
            places.setdefault(statement.key, []).append(statement.line + _blank_lines(statement))
    return tuple(
        f"{key} is set {len(lines)} times, on lines {', '.join(map(str, lines))}; the last one is shown."
        for key in keys
        if len(lines := places.get(key, [])) > 1
    )


def statement_of(dotenv: Dotenv, flag: str) -> Statement | None:
    """The one statement that sets the flag, or None when the file does not mention it.

    Raises:
        AmbiguousFlagError, UnclosedQuoteError, FlagReferencedError: See the classes.
    """
    check_name(flag)
    _refuse_unclosed(dotenv)
    found = [s for s in dotenv.statements if s.key == flag]
    lines = _lines_naming(dotenv.text, flag)
    if len(found) > 1:
        lines = [s.line + _blank_lines(s) for s in found]
        raise _ambiguous(dotenv, flag, f"is set {len(found)} times, on lines {', '.join(map(str, lines))}")
    if len(lines) > len(found):
        raise _ambiguous(
            dotenv, flag, f"also stands at the start of line {lines[-1]}, inside a quoted value or a broken line"
        )
    for other in dotenv.statements:
        if other.key not in (None, flag) and re.search(rf"\$\{{?{flag}(?![A-Za-z0-9_])", other.value or ""):
            raise FlagReferencedError(path=dotenv.path, flag=flag, key=str(other.key)[:60])
    if not found:
        return None
    _refuse_unclear(dotenv, found[0], flag)
    return found[0]


def _refuse_unclear(dotenv: Dotenv, statement: Statement, flag: str) -> None:
    head = _HEAD.match(statement.source)
    if statement.token is None or head is None:
        raise _ambiguous(dotenv, flag, f"stands on line {statement.line} without an equal sign")
    written = dotenv.text[slice(*statement.token)]
    if head[1].startswith("'"):
        raise _ambiguous(dotenv, flag, f"has its name in quotes on line {statement.line}")
    if _NEWLINE.search(written):
        raise _ambiguous(dotenv, flag, f"has a value over several lines from line {statement.line}")
    if "$" in written:
        raise _ambiguous(dotenv, flag, f"has an interpolated value on line {statement.line}")
    if _needs_reading(written):
        raise _ambiguous(dotenv, flag, f"has an escape, a quote or a # inside its value on line {statement.line}")
    if dotenv.has_bom and _is_first(dotenv, statement) and not statement.source[: head.start(1)].strip():
        raise _ambiguous(dotenv, flag, "comes right after a byte order mark")


def _needs_reading(written: str) -> bool:
    """Whether readers may differ over a value: an escape, a backtick, or a quote or ``#`` in a bare value."""
    is_quoted = written[:1] in ("'", '"')
    return "\\" in written or "`" in written or (not is_quoted and re.search(r"[#'\"]", written) is not None)


def _is_first(dotenv: Dotenv, statement: Statement) -> bool:
    return all(earlier.key is None for earlier in dotenv.statements if earlier.begin < statement.begin)


def _refuse_unclosed(dotenv: Dotenv) -> None:
    for statement in dotenv.statements:
        opened = _OPENED.match(statement.source)
        if opened is None:
            continue
        rest = statement.source[opened.end() :]
        if opened[1] == "`":
            if "`" not in _NEWLINE.split(rest)[0]:
                raise UnclosedQuoteError(path=dotenv.path, line=statement.line + _blank_lines(statement))
        elif statement.is_broken and not _QUOTED.match(statement.source, opened.start(1)):
            raise UnclosedQuoteError(path=dotenv.path, line=statement.line + _blank_lines(statement))


def _blank_lines(statement: Statement) -> int:
    lead = statement.source[: len(statement.source) - len(statement.source.lstrip())]
    return len(_NEWLINE.findall(lead))


def _lines_naming(text: str, flag: str) -> list[int]:
    pattern = re.compile(rf"[^\S\r\n]*(?:export[^\S\r\n]+)?['\"]?{flag}['\"]?[^\S\r\n]*(?:[=:]|\Z)")
    return [number for number, line in enumerate(_NEWLINE.split(text), 1) if pattern.match(line)]


def _ambiguous(dotenv: Dotenv, flag: str, why: str) -> AmbiguousFlagError:
    return AmbiguousFlagError(path=dotenv.path, flag=flag, why=why)


def apply_edits(dotenv: Dotenv, edits: Iterable[Edit]) -> bytes:
    """The file's bytes after the edits; nothing else differs, which is checked by reading the result.

    Raises:
        AmbiguousFlagError: A flag does not stand there as the edit says it did.
        UnclosedQuoteError, FlagReferencedError: The flag cannot be changed provably.
    """
    edits = tuple(edits)
    replaced: list[tuple[int, int, str]] = []
    added = ""
    for edit in edits:
        statement = statement_of(dotenv, edit.flag)
        written = _written(dotenv, statement)
        if written != edit.before:
            raise FlagMovedError(path=dotenv.path, flag=edit.flag, planned=edit.before, found=written)
        if edit.after is None:
            assert statement is not None, "only a line that is there can be taken out"
            replaced.append((*_added_line(dotenv, statement, edit), ""))
        elif statement is None or statement.token is None:
            added += f"{edit.lead}{edit.flag}={edit.after}{edit.newline}"
        else:
            replaced.append((*statement.token, edit.after))
    if lead := next((edit.lead for edit in edits if edit.after is None and edit.lead), ""):
        replaced = _without_lead(dotenv.text, replaced, lead)
    text = _with_replaced(dotenv.text, replaced)
    data = ((_BOM if dotenv.has_bom else "") + text + added).encode("utf-8", "surrogateescape")
    _check_result(dotenv, read_dotenv(data, path=dotenv.path), edits)
    return data


def _written(dotenv: Dotenv, statement: Statement | None) -> str | None:
    """The value of a statement as written, quotes included; None where there is none."""
    return None if statement is None or statement.token is None else dotenv.text[slice(*statement.token)]


def _with_replaced(text: str, replaced: Iterable[tuple[int, int, str]]) -> str:
    for start, end, new in sorted(replaced, reverse=True):
        text = text[:start] + new + text[end:]
    return text


def _added_line(dotenv: Dotenv, statement: Statement, edit: Edit) -> tuple[int, int]:
    start = statement.begin + len(statement.source) - len(statement.source.lstrip())
    end = statement.begin + len(statement.source)
    added = f"{edit.flag}={edit.before}{edit.newline}"
    if dotenv.text[start:end] != added:
        raise FlagMovedError(path=dotenv.path, flag=edit.flag, planned=added, found=dotenv.text[start:end])
    return start, end


def _without_lead(text: str, replaced: list[tuple[int, int, str]], lead: str) -> list[tuple[int, int, str]]:
    """Take the line end before the added lines out too, when nothing but added lines stands behind it."""
    end = len(text)
    tail: list[tuple[int, int, str]] = []
    for piece in sorted(replaced, reverse=True):
        if piece[2] == "" and piece[1] == end:
            tail.append(piece)
            end = piece[0]
    if not tail or not text[:end].endswith(lead):
        return replaced
    return [piece for piece in replaced if piece not in tail] + [(end - len(lead), len(text), "")]


def _check_result(before: Dotenv, after: Dotenv, edits: tuple[Edit, ...]) -> None:
    touched = {edit.flag for edit in edits}
    kept = [[(s.key, s.value) for s in text.statements if s.key not in (None, *touched)] for text in (before, after)]
    if kept[0] != kept[1]:
        raise _ambiguous(before, ", ".join(sorted(touched)), "cannot be changed without changing another line")
    for edit in edits:
        found = statement_of(after, edit.flag)
        written = _written(after, found)
        if written != edit.after:
            raise _ambiguous(before, edit.flag, f"would read {written!r} after the change instead of {edit.after!r}")
