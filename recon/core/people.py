"""Who a person is: which names can be told apart by eye, and when two records are one person's.

A name is a claim. A signature names a key and the principals that a file gives to it; two decisions are one person's if
they share a key, or a principal, or a third decision joins them.

>>> name_problem("Ada Lovelace") is None
True
>>> name_problem("Ad" + chr(0x430))
'mixes CYRILLIC and LATIN letters'
>>> one_of_each([Person("Ada"), Person(" ADA "), Person("Ben")])
[0, 2]
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from recon.core.errors import UsageError

NAME_MAX: Final = 200
"""Characters of the longest name that is taken."""

_INVISIBLE: Final = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0"
    + "".join(map(chr, (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))))
)
"""What Unicode calls a letter, a mark or a symbol and nobody sees."""

_TOGETHER: Final = (
    frozenset({"CJK", "HIRAGANA", "KATAKANA", "LATIN"}),
    frozenset({"CJK", "BOPOMOFO", "LATIN"}),
    frozenset({"CJK", "HANGUL", "LATIN"}),
)
"""Scripts that names are written in together."""

_PUNCTUATION: Final = frozenset("\u2019\u02bc\u02bb\u00b7\u2010\u30fb\u30fc")
_LOOKALIKES: Final = str.maketrans(
    "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0456\u0458\u0455\u04bb\u0501\u051b\u051d\u0432\u043a\u043c\u043d\u0442"
    "\u03b1\u03bf\u03c1\u03bd\u03c5\u03b9\u03ba\u03c7\u03b5\u03b2\u03bc\u03c4\u03b7\u0251\u0261\u013101"
    "\u2019\u02bc\u02bb`",
    "aeopcyxijshdqwbkmhtaopvuikxebmtnagiol''''",
)
"""Letters that are drawn alike, after their case is taken away, as one of them."""


class OddNameError(UsageError):
    """A name holds what nobody sees, or letters that are drawn like others."""

    def __init__(self, *, name: str, why: str) -> None:
        super().__init__(
            f"The name {name[:60]!r} {why}, so that it may look like another person's; nothing was recorded. "
            "Write it in the letters of one script; RECON_OPERATOR names you where the login does not."
        )


@dataclass(frozen=True, slots=True)
class Signer:
    """Who signed, as a file of allowed signers says.

    Args:
        principals: Every name that the file gives to the key, the first one to be shown.
        key: The fingerprint of the key, ``SHA256:...``.
    """

    principals: tuple[str, ...]
    key: str

    def __str__(self) -> str:
        return f"{self.principals[0]} (key {self.key[:19]}…)"


@dataclass(frozen=True, slots=True)
class Person:
    """Who decided something: the name that a record claims, and who signed it if that was checked."""

    name: str
    signer: Signer | None = None

    def __str__(self) -> str:
        return self.name if self.signer is None else str(self.signer)

    @property
    def marks(self) -> frozenset[str]:
        """What tells this person from others: key and principals, or where nothing is signed the name."""
        if self.signer is None:
            return frozenset({f"name {person_key(self.name)}"})
        return frozenset({f"key {self.signer.key}", *(f"principal {person_key(p)}" for p in self.signer.principals)})


def name_problem(name: str) -> str | None:
    """Why a name cannot be told from another by eye; None for one that can."""
    if len(name) > NAME_MAX:
        return f"has over {NAME_MAX} characters"
    plain = unicodedata.normalize("NFC", name)
    if unicodedata.normalize("NFKC", name) != plain:
        return "holds a letter in a special form"
    odd = next((why for place in range(len(plain)) if (why := _odd_character(plain, place))), None)
    scripts = {unicodedata.name(each, "UNKNOWN").split()[0] for each in plain if _is_letter(each)}
    if odd is None and len(scripts) > 1 and not any(scripts <= together for together in _TOGETHER):
        return f"mixes {' and '.join(sorted(scripts))} letters"
    return odd


def _odd_character(text: str, place: int) -> str | None:
    character, kind = text[place], unicodedata.category(text[place])[0]
    if character in _INVISIBLE or (kind in "CZ" and character != " "):
        return f"holds a character that nobody sees (U+{ord(character):04X})"
    if "SMALL CAPITAL" in unicodedata.name(character, ""):
        return f"holds a letter of phonetic writing (U+{ord(character):04X})"
    if kind == "M":
        return _odd_mark(text, place)
    if kind != "L" and not character.isascii() and character not in _PUNCTUATION:
        return f"holds {character!r}, which is no letter"
    return None


def _odd_mark(text: str, place: int) -> str | None:
    """Why a mark has no place there: it is drawn around letters, or not over one, or two are there already."""
    before = [unicodedata.category(each)[0] for each in text[max(0, place - 2) : place]]
    is_around = unicodedata.category(text[place]) == "Me" or _is_written_above(text[place])
    if is_around or not before or before[-1] not in "LM" or before == ["M", "M"]:
        return f"holds a mark that stands on no letter (U+{ord(text[place]):04X})"
    return None


def _is_written_above(mark: str) -> bool:
    """Whether a mark is a letter itself, written over the one before it."""
    name = unicodedata.name(mark, "")
    return name.startswith("COMBINING ") and " LETTER " in name


def _is_letter(character: str) -> bool:
    return unicodedata.category(character)[0] == "L" and character not in _PUNCTUATION


def checked_name(name: str) -> str:
    """A name without the spaces around and between its words that nobody counts.

    Raises:
        OddNameError: It cannot be told from another by eye.
    """
    if why := name_problem(name.strip()):
        raise OddNameError(name=name, why=why)
    return " ".join(name.split())


def person_key(name: str) -> str:
    """What names of one person share: no case, no spaces, letters that are drawn alike as one of them."""
    plain = unicodedata.normalize("NFKC", name).casefold()
    return "".join(plain.split()).translate(_LOOKALIKES).replace("l", "i")


def is_one_person(first: Person, second: Person) -> bool:
    """Whether two records may be one person's: they share a key or a principal, or where nothing is signed the name."""
    return bool(first.marks & second.marks)


def one_of_each(people: Sequence[Person]) -> list[int]:
    """The places of the first record of each person, in order; who joins two others is one person with both."""
    groups: list[tuple[int, set[str]]] = []
    for place, person in enumerate(people):
        marks, first = set(person.marks), place
        for each in [group for group in groups if group[1] & marks]:
            groups.remove(each)
            marks |= each[1]
            first = min(first, each[0])
        groups.append((first, marks))
    return sorted(first for first, _ in groups)


def names_said(people: Iterable[Person]) -> str:
    """People as a page shows them, once each."""
    return ", ".join(dict.fromkeys(map(str, people)))
