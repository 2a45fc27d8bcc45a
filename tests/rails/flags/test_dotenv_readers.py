"""Each reader of dotenv text reads as the program it is named after, and the places of values are right for all."""

from __future__ import annotations

import time

import pytest

from recon.rails.flags.dotenv import apply_edits, edits_for, read_dotenv
from recon.rails.flags.dotenv_readers import EVERY, view_of, views_of

NONE = object()
"""The reader finds no such name."""

TABLE = [
    ("F=a", "a", "a", "a", "a"),
    ("export F=a", "a", "a", "a", "refused"),
    ("F = a ", "a", "a", "a", "refused"),
    ("F: a", "a", NONE, "a", "refused"),
    ("F:a", NONE, NONE, "a", NONE),
    ("F='a b'", "a b", "a b", "a b", "'a b'"),
    ('F="a b" # c', "a b", "a b", "a b", '"a b" # c'),
    ("F=`a b`", "a b", "`a b`", "`a b`", "`a b`"),
    ("F='a\nb'", "a\nb", "a\nb", "a\nb", "'a"),
    ('F="a\r\nb"\r\n', "a\nb", "a\r\nb", "a\nb", '"a'),
    ("F=`a\nb`", "a\nb", "`a", "refused", "`a"),
    ("F=a#b", "a", "a#b", "a#b", "a#b"),
    ("F=a #b", "a", "a", "a", "a #b"),
    ("F=a\t#b", "a", "a", "a\t#b", "a\t#b"),
    ("F= #b", "", "", "#b", " #b"),
    (r'F="a\nb\tc"', "a\nb\\tc", "a\nb\tc", "a\nb\tc", r'"a\nb\tc"'),
    (r"F='a\nb'", r"a\nb", r"a\nb", r"a\nb", r"'a\nb'"),
    (r"F='it\'s'", r"it\'s", "it's", "it's", r"'it\'s'"),
    ("A=1\nF=${A:-b}", "${A:-b}", "1", "1", "${A:-b}"),
    ("F=${A:-b}", "${A:-b}", "b", "b", "${A:-b}"),
    ("F=${A-b}", "${A-b}", None, "b", "${A-b}"),
    ("F=$A", "$A", "$A", None, "$A"),
    ("F=${A}", "${A}", None, None, "${A}"),
    ("A=1\nF='$A'", "$A", "$A", "$A", "'$A'"),
    ("A=1\nF=${A:+on}", "${A:+on}", "${A:+on}", "on", "${A:+on}"),
    (r'F="\$A"', r"\$A", r"\$A", "$A", r'"\$A"'),
    ("F=a\nF=b", "b", "b", "b", "b"),
    ("F", NONE, None, None, None),
    ("a b\nF=1", "1", "1", "refused", "refused"),
    ("F='open\nG=2", "'open", NONE, "refused", "'open"),
    ("\nF=a", "a", "a", "a", "a"),
    ("#F=a\n", NONE, NONE, NONE, NONE),
]  # fmt: skip


@pytest.mark.parametrize("row", TABLE, ids=[row[0] for row in TABLE])
def test_each_reader_reads_as_its_program_does(row: tuple[object, ...]) -> None:
    text, *expected = row
    for reader, wanted in zip(("npm-dotenv", "python-dotenv", "compose", "docker"), expected, strict=True):
        view = view_of(str(text), reader)
        found = "refused" if view.problem else view.values.get("F", NONE)
        assert found == wanted, (reader, view)
        if wanted is None:
            assert "F" in view.doubts or view.of("F")[-1].value is None


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_byte_order_mark_hides_no_first_line(mark: str) -> None:
    read = read_dotenv(f"{mark}F=1\nG=2\n".encode())
    assert read.values == {"F": "1", "G": "2"}


@pytest.mark.parametrize("reader", ["npm-dotenv", "python-dotenv", "compose", "docker"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_the_place_of_a_value_is_where_it_is_written(reader: str, end: str) -> None:
    text = end.join(["# head", "", "A=one", "B='two'", "C=", "D=four # no", ""])
    view = view_of(text, reader)
    found = {each.key: (text[slice(*each.token)] if each.token else None, each.line) for each in view.bindings}
    assert found["A"] == ("one", 3)
    assert found["B"] == ("'two'", 4)
    assert found["C"] == ("", 5)
    assert found["D"] == ("four # no" if reader == "docker" else "four", 6)


EDITS = [
    ("npm-dotenv", b"F: true # on\nG=1\n", b"F: false # on\nG=1\n"),
    ("npm-dotenv", b"F=`true`\n", b"F=`false`\n"),
    ("npm-dotenv", b"B=`x\nF=true\n`\nF=true#no\n", b"B=`x\nF=true\n`\nF=false#no\n"),
    ("compose", b"F:true\n", b"F:false\n"),
    ("compose", b'F="tr\\tue" # x\n', b'F="false" # x\n'),
    ("python-dotenv", b"'F'=true\n", b"'F'=false\n"),
    ("python-dotenv", b"\xef\xbb\xbfF=true\r\n", b"\xef\xbb\xbfF=false\r\n"),
    ("docker", b"F='true' # x\nG=1", b"F=false\nG=1"),
]


@pytest.mark.parametrize(("reader", "before", "after"), EDITS)
def test_the_named_reader_decides_what_is_edited_and_the_way_back_is_byte_equal(
    reader: str, before: bytes, after: bytes
) -> None:
    text = read_dotenv(before, reader=reader)
    edits = edits_for(text, {"F": "false"})
    assert apply_edits(text, edits) == after
    assert apply_edits(read_dotenv(after, reader=reader), [each.reverse() for each in edits]) == before


def test_a_reader_that_refuses_the_file_has_no_say() -> None:
    read = read_dotenv(b'B=`x\n"y" it\'s\n`\nF=true\n')
    assert read.views["compose"].problem == "line 2 has '\"' in the name of a variable"
    assert [view.reader for view in read.heard] == ["npm-dotenv", "python-dotenv"]
    assert read.values["F"] == "true"
    assert read.doubt("F") == ""


def test_a_doubt_names_each_reading_and_the_setting_that_ends_it() -> None:
    read = read_dotenv(b"F: true\n")
    assert read.values["F"] is None
    assert read.doubt("F") == (
        "npm-dotenv and compose read 'true', python-dotenv has no value; name the one your backend uses in "
        "[flags] reader"
    )
    assert read_dotenv(b"F: true\n", reader="npm-dotenv").values == {"F": "true"}
    assert read_dotenv(b"F=${A}\n", reader="compose").doubt("F") == "it takes its value from A, which is not set here"


HOSTILE = [
    "\n" * 400_000 + "A=1", "A='\n" * 60_000, 'A="\\"\n' * 60_000, "A = " + " " * 400_000, "A" * 900_000,
    "A=${B:-" * 60_000, "A='" + "\\'" * 300_000, "A=b" + " " * 400_000 + "c", "A=$" * 200_000, "export " * 60_000,
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_file_is_read_in_seconds(text: str) -> None:
    began = time.monotonic()
    assert set(views_of(text)) == set(EVERY)
    assert time.monotonic() - began < 20
