"""Dotenv text: what it says to the programs that read it, and an edit that changes exactly the flags asked for.

Where values end is decided by the readers themselves (``recon.rails.flags.dotenv_readers``), never by an opinion
of ours. Without a reader named, a flag is believed, and edited, only where all of them agree on it; a reader that
refuses the whole text is no reader of the backend's and has no say. With one named, that one decides. Every edit is
proven by reading the result: the flags have their new values and nothing else has changed, for each reader.
Everything else in the file may be as odd as it likes and is kept byte for byte.

>>> text = read_dotenv(b"A=1\nREQUEST_NETWORK_ENABLED='true' # since May\n")
>>> edits = edits_for(text, {"REQUEST_NETWORK_ENABLED": "false"})
>>> apply_edits(text, edits)
b"A=1\nREQUEST_NETWORK_ENABLED='false' # since May\n"
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from recon.rails.flags.dotenv_readers import BOM, Binding, DotenvView, python_statements, views_of
from recon.rails.flags.errors import (
    AmbiguousFlagError,
    FlagFileError,
    FlagMovedError,
    FlagReferencedError,
    FlagValueError,
    UnclosedQuoteError,
)
from recon.rails.flags.foreign import foreign_sign

SIZE_MAX_BYTES: Final = 1_000_000
VALUE_MAX: Final = 500
_OPENED: Final = re.compile(r"\s*(?:export[^\S\r\n]+)?[^=\#\s]+[^\S\r\n]*=[^\S\r\n]*(['\"`])")
_QUOTED: Final = re.compile(r"'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"", re.DOTALL)
_PLAIN: Final = re.compile(r"[A-Za-z0-9_.,:/@+-]*\Z")
_NEWLINE: Final = re.compile(r"\r\n|\n|\r")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}\Z")
_QUOTES: Final = ("'", '"', "`")


@dataclass(frozen=True)
class Dotenv:
    """A dotenv file's text and what the meant readers make of it.

    Args:
        path: Name for messages.
        text: The text after the byte order mark; bytes that are no UTF-8 are kept as surrogates.
        newline: The line end that a new line gets: that of the last line.
        reader: The reader that decides, or ``every``.
        views: What each reader that was asked makes of it.
    """

    path: str
    text: str
    has_bom: bool
    newline: str
    reader: str
    views: Mapping[str, DotenvView]

    @property
    def data(self) -> bytes:
        """The file's bytes."""
        return ((BOM if self.has_bom else "") + self.text).encode("utf-8", "surrogateescape")

    @cached_property
    def heard(self) -> tuple[DotenvView, ...]:
        """The readers that have a say: those that do not refuse the text."""
        return tuple(view for view in self.views.values() if not view.problem)

    @property
    def problem(self) -> str:
        """Why no meant reader reads the text, or why it is none for them; empty when one does."""
        if self.foreign:
            return f"{self.foreign}; where the backend reads it as one, name its program in [flags] reader"
        return "" if self.heard else "; ".join(f"{name} refuses it: {v.problem}" for name, v in self.views.items())

    @cached_property
    def foreign(self) -> str:
        """The sign that the text is no dotenv file; empty where there is none, or its reader was named."""
        if self.reader != "every":
            return ""
        quoted = {line for view in self.heard for each in view.bindings for line in self._inside(each)}
        return foreign_sign(self.text, path=self.path, quoted=quoted)

    def _inside(self, binding: Binding) -> range:
        """The lines that a value goes on over, behind its first."""
        begin, end = (0, 0) if binding.token is None else binding.token
        return range(binding.line + 1, binding.line + 1 + len(_NEWLINE.findall(self.text[begin:end])))

    @cached_property
    def values(self) -> dict[str, str | None]:
        """Every value that all readers agree on; None for a name without one, or that they differ about."""
        found = {}
        for key in dict.fromkeys(key for view in self.heard for key in view.values):
            said = {view.values.get(key) for view in self.heard if key not in view.doubts}
            is_agreed = len(said) == 1 and all(key in view.values and key not in view.doubts for view in self.heard)
            found[key] = said.pop() if is_agreed else None
        return found

    def said(self, key: str) -> dict[str, str | None]:
        """What each reader that has a say reads; None where it finds no value."""
        return {view.reader: view.values.get(key) for view in self.heard}

    def doubt(self, key: str) -> str:
        """Why the value of a name cannot be told; empty where it can, also where the name is not set at all.

        The sentence quotes the values, so the name must be a flag's and never a secret's.
        """
        if len(set(self.said(key).values())) == 1:
            found = [view.doubts[key] for view in self.heard if key in view.doubts]
            alone = any(each.value is None for view in self.heard for each in view.of(key)[-1:])
            return found[0] if found else "it stands there without a value" if alone else ""
        return f"{_by_reader(self, key)}; name the one your backend uses in [flags] reader"


def _by_reader(dotenv: Dotenv, key: str) -> str:
    """What the readers that differ make of a name, the same answers together."""
    answers: dict[str | None, list[str]] = {}
    for view in dotenv.heard:
        answers.setdefault(view.values.get(key), []).append(view.reader)
    return ", ".join(
        f"{' and '.join(readers)} {'has' if len(readers) == 1 else 'have'} no value"
        if value is None
        else f"{' and '.join(readers)} read{'s' if len(readers) == 1 else ''} {value[:60]!r}"
        for value, readers in sorted(answers.items(), key=lambda pair: pair[0] is None)
    )


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


def read_dotenv(data: bytes, *, path: str = ".env", reader: str = "every") -> Dotenv:
    """Read the bytes of a dotenv file.

    Args:
        reader: Whose reading counts; see :data:`recon.rails.flags.dotenv_readers.DotenvReader`.

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
    has_bom = text.startswith(BOM)
    text = text.removeprefix(BOM)
    ends = _NEWLINE.findall(text)
    return Dotenv(path, text, has_bom, ends[-1] if ends else "\n", reader, views_of(text, reader))


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
        held = statement_of(dotenv, flag)
        if held is not None and dotenv.values.get(flag) == value:
            continue
        check_value(flag, value)
        if held is None:
            ends = not dotenv.text or dotenv.text.endswith(("\n", "\r"))
            lead = "" if ends or edits_add(edits) else dotenv.newline
            edits.append(Edit(flag, None, value, lead, dotenv.newline))
        else:
            assert held.token is not None, "a flag that can be changed has a place for its value"
            before = dotenv.text[slice(*held.token)]
            quote = before[:1] if before[:1] in _QUOTES and dotenv.reader != "docker" else ""
            edits.append(Edit(flag, before, f"{quote}{value}{quote}", "", dotenv.newline))
    return tuple(edits)


def edits_add(edits: Iterable[Edit]) -> bool:
    """Whether one of the edits adds a line, so that the file ends with a line end afterwards."""
    return any(edit.before is None for edit in edits)


def repeated_keys(dotenv: Dotenv, keys: Iterable[str]) -> tuple[str, ...]:
    """One sentence for each of the keys that the text sets more than once."""
    found = {key: _lines_of(dotenv, key) for key in keys}
    return tuple(
        f"{key} is set {len(lines)} times, on lines {', '.join(map(str, lines))}; the last one is shown."
        for key, lines in found.items()
        if len(lines) > 1
    )


def _lines_of(dotenv: Dotenv, key: str) -> list[int]:
    """The lines that set a name, for the reader that finds most of them."""
    return max(([each.line for each in view.of(key)] for view in dotenv.heard), key=len, default=[])


def statement_of(dotenv: Dotenv, flag: str) -> Binding | None:
    """The one place that sets the flag, the same for every reader, or None when none of them finds it.

    Raises:
        AmbiguousFlagError, UnclosedQuoteError, FlagReferencedError: See the classes.
    """
    check_name(flag)
    if dotenv.problem:
        raise FlagFileError(path=dotenv.path, why=dotenv.problem, remedy="Correct it, or change it by hand.")
    if dotenv.reader == "every":
        _refuse_unclosed(dotenv)
    if len(lines := _lines_of(dotenv, flag)) > 1:
        raise _ambiguous(dotenv, flag, f"is set {len(lines)} times, on lines {', '.join(map(str, lines))}")
    _refuse_referenced(dotenv, flag)
    places = [next(iter(view.of(flag)), None) for view in dotenv.heard]
    held = next(filter(None, places), None)
    if held is not None:
        _refuse_unclear(dotenv, held, flag)
    if len({each and (each.token, each.value) for each in places}) > 1:
        raise _ambiguous(dotenv, flag, f"is read differently: {_by_reader(dotenv, flag)}")
    named = _lines_naming(dotenv.text, flag) if dotenv.reader == "every" else []
    if len(named) > (held is not None):
        raise _ambiguous(
            dotenv, flag, f"also stands at the start of line {named[-1]}, inside a quoted value or a broken line"
        )
    return held


def _refuse_referenced(dotenv: Dotenv, flag: str) -> None:
    """Refuse a flag that another name takes its value from."""
    pattern = re.compile(rf"\$\{{?{flag}(?![A-Za-z0-9_])")
    for other in (each for view in dotenv.heard for each in view.bindings):
        if other.key != flag and pattern.search(other.value or ""):
            raise FlagReferencedError(path=dotenv.path, flag=flag, key=other.key[:60])


def _refuse_unclear(dotenv: Dotenv, held: Binding, flag: str) -> None:
    if held.token is None:
        raise _ambiguous(dotenv, flag, f"stands on line {held.line} without an equal sign")
    written = dotenv.text[slice(*held.token)]
    if not written and dotenv.text[held.token[0] - 1] == ":":
        raise _ambiguous(dotenv, flag, f"has nothing behind its colon on line {held.line}")
    if "$" in written and dotenv.reader not in ("npm-dotenv", "docker"):
        raise _ambiguous(dotenv, flag, f"has an interpolated value on line {held.line}")
    if dotenv.reader != "every":
        return
    if _NEWLINE.search(written):
        raise _ambiguous(dotenv, flag, f"has a value over several lines from line {held.line}")
    first = dotenv.text.lstrip()
    if dotenv.has_bom and first.startswith((flag, "export")) and dotenv.text[: held.token[0]].strip() in first[:200]:
        raise _ambiguous(dotenv, flag, "comes right after a byte order mark")


def _refuse_unclosed(dotenv: Dotenv) -> None:
    """Refuse a quote that is never closed: what a shell and some readers make of all that follows is anyone's guess."""
    closed_at = -1
    for piece in python_statements(dotenv.text):
        opened = _OPENED.match(piece.source)
        if opened is None or piece.begin < closed_at:
            continue
        line = piece.line + len(_NEWLINE.findall(piece.source[: len(piece.source) - len(piece.source.lstrip())]))
        if opened[1] == "`":
            closed_at = dotenv.text.find("`", piece.begin + opened.end())
            if closed_at < 0:
                raise UnclosedQuoteError(path=dotenv.path, line=line)
        elif piece.is_broken and not _QUOTED.match(piece.source, opened.start(1)):
            raise UnclosedQuoteError(path=dotenv.path, line=line)


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
        held = statement_of(dotenv, edit.flag)
        written = _written(dotenv, held)
        if written != edit.before:
            raise FlagMovedError(path=dotenv.path, flag=edit.flag, planned=edit.before, found=written)
        if edit.after is None:
            assert held is not None, "only a line that is there can be taken out"
            replaced.append((*_added_line(dotenv, held, edit), ""))
        elif held is None or held.token is None:
            added += f"{edit.lead}{edit.flag}={edit.after}{edit.newline}"
        else:
            replaced.append((*held.token, edit.after))
    if lead := next((edit.lead for edit in edits if edit.after is None and edit.lead), ""):
        replaced = _without_lead(dotenv.text, replaced, lead)
    text = _with_replaced(dotenv.text, replaced)
    data = ((BOM if dotenv.has_bom else "") + text + added).encode("utf-8", "surrogateescape")
    _check_result(dotenv, read_dotenv(data, path=dotenv.path, reader=dotenv.reader), edits)
    return data


def _written(dotenv: Dotenv, held: Binding | None) -> str | None:
    """The value as written, quotes included; None where there is none."""
    return None if held is None or held.token is None else dotenv.text[slice(*held.token)]


def _with_replaced(text: str, replaced: Iterable[tuple[int, int, str]]) -> str:
    for start, end, new in sorted(replaced, reverse=True):
        text = text[:start] + new + text[end:]
    return text


def _added_line(dotenv: Dotenv, held: Binding, edit: Edit) -> tuple[int, int]:
    """Where the line stands that an edit added, if it is still that line and no more."""
    assert held.token is not None, "an added line has a value"
    start, end = held.token[0] - len(edit.flag) - 1, held.token[1] + len(edit.newline)
    added = f"{edit.flag}={edit.before}{edit.newline}"
    begins = max(dotenv.text.rfind("\n", 0, start), dotenv.text.rfind("\r", 0, start)) + 1
    if start != begins or dotenv.text[start:end] != added:
        rest = _NEWLINE.split(dotenv.text[begins:])[0]
        raise FlagMovedError(path=dotenv.path, flag=edit.flag, planned=added.strip(), found=rest[:200])
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
    """Read the result with every reader that had a say: only the edited flags may differ, and they as they should."""
    touched = {edit.flag for edit in edits}
    for view in before.heard:
        again = after.views[view.reader]
        kept = [[(b.key, b.value) for b in each.bindings if b.key not in touched] for each in (view, again)]
        if again.problem or kept[0] != kept[1]:
            raise _ambiguous(before, ", ".join(sorted(touched)), "cannot be changed without changing another line")
    for edit in edits:
        written = _written(after, statement_of(after, edit.flag))
        if written != edit.after:
            raise _ambiguous(before, edit.flag, f"would read {written!r} after the change instead of {edit.after!r}")
