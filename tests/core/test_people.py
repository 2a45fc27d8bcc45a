"""Names that can be told apart by eye are taken; what joins two records makes them one person's."""

from __future__ import annotations

import pytest

from recon.core.people import NAME_MAX, Person, Signer, is_one_person, name_problem, names_said, one_of_each, person_key


@pytest.mark.parametrize(
    "name",
    [
        "Ada Lovelace", "ada", "O'Brien-Smith Jr.", "Jos\u00e9", "Jose\u0301",
        "Zo\u00eb", "\u0410\u043d\u043d\u0430 \u041a",
        "\u0395\u03bb\u03ad\u03bd\u03b7", "\u05d3\u05d5\u05d3", "\u0645\u062d\u0645\u062f", "\u5c71\u7530\u592a\u90ce",
        "\u3084\u307e\u3060 \u30bf\u30ed\u30a6", "\u30bf\u30fc\u30ca\u30fc", "\uae40\ucca0\uc218",
        "Nguy\u1ec5n V\u0103n A",
        "\u0bb0\u0bbe\u0b9c\u0bbe", "\u0e2a\u0e21\u0e0a\u0e32\u0e22", "D\u2019Angelo", "ops-1", "ada@example.org",
        "Gra\u00dfe", "\u1ecd\u0301l\u00e1",
    ],
)  # fmt: skip
def test_a_name_in_one_script_is_taken(name: str) -> None:
    assert name_problem(name) is None


@pytest.mark.parametrize(
    "name",
    [
        *(f"A{chr(code)}da" for code in (
            0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF, 0xAD, 0x34F, 0x115F, 0x1160, 0x3164, 0xFFA0, 0x180E, 0x180B, 0xFE0F,
            0xE0101, 0x2028, 0xA0, 0x3000, 0x202E, 0x7, 0x1B, 0x9, 0xA, 0x2800, 0x17B4, 0xE0041, 0xD800,
        )),
        "\u1d00da", "a\u0363da",
        "\u0430da", "ad\u0430", "\u0391da", "A\u0501a", "\u13aada", "\uff21da", "\U0001d400da", "\u24b6da", "A\u20e3da",
        "\u0301Ada", "A\u0301\u0301\u0301\u0301da", "Ada \u2713", "\u041a\u0438\u0440 Ada", "x" * (NAME_MAX + 1),
    ],
)  # fmt: skip
def test_what_may_look_like_another_name_is_not(name: str) -> None:
    assert name_problem(name) is not None


def test_names_that_are_drawn_alike_are_one_persons() -> None:
    for first, second in (
        ("Ada", " ADA "), ("Alice", "A1ice"), ("Alice", "AIice"), ("Bob", "B0b"), ("copa", "\u0441\u043e\u0440\u0430"),
        ("Zo\u00eb", "Zoe\u0308"), ("O'Brien", "O\u2019Brien"), ("Stra\u00dfe", "STRASSE"),
    ):  # fmt: skip
        assert person_key(first) == person_key(second)
    assert person_key("Ada") != person_key("Ida")
    assert person_key("Zo\u00eb") != person_key("Zoe")


def test_who_joins_two_others_is_one_person_with_both() -> None:
    first = Person("a", Signer(("ada",), "SHA256:1"))
    second = Person("b", Signer(("ada@home",), "SHA256:2"))
    both = Person("c", Signer(("ada@home", "ada"), "SHA256:3"))
    assert not is_one_person(first, second)
    assert one_of_each([first, second]) == [0, 1]
    assert one_of_each([first, second, both]) == [0]
    assert one_of_each([Person("b"), Person("a"), Person("B")]) == [0, 1]
    assert one_of_each([]) == []
    assert names_said([first, first, Person("Ben")]) == "ada (key SHA256:1…), Ben"
