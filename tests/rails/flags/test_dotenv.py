"""Dotenv text is edited byte for byte, and only where every reader must agree."""

from __future__ import annotations

import io
import random

import pytest
from dotenv import dotenv_values
from hypothesis import given, settings
from hypothesis import strategies as st

from recon.core.errors import ReconError
from recon.rails.flags.dotenv import apply_edits, edits_for, read_dotenv, statement_of
from recon.rails.flags.dotenv_readers import python_statements
from recon.rails.flags.errors import (
    AmbiguousFlagError,
    FlagFileError,
    FlagMovedError,
    FlagReferencedError,
    FlagValueError,
    UnclosedQuoteError,
)

RN = "REQUEST_NETWORK_ENABLED"
LIST = "PAYMENT_ENABLED_PROVIDERS"


def edited(data: bytes, **wanted: str) -> bytes:
    text = read_dotenv(data)
    return apply_edits(text, edits_for(text, wanted))


def read_by_python_dotenv(data: bytes) -> dict[str, str | None]:
    return dict(dotenv_values(stream=io.StringIO(data.decode(), newline=""), interpolate=True))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"A=1\nREQUEST_NETWORK_ENABLED=true\n", b"A=1\nREQUEST_NETWORK_ENABLED=false\n"),
        (b"REQUEST_NETWORK_ENABLED=true", b"REQUEST_NETWORK_ENABLED=false"),
        (b"REQUEST_NETWORK_ENABLED=true\r\nB=2\r\n", b"REQUEST_NETWORK_ENABLED=false\r\nB=2\r\n"),
        (b"export REQUEST_NETWORK_ENABLED=true\n", b"export REQUEST_NETWORK_ENABLED=false\n"),
        (b"  REQUEST_NETWORK_ENABLED = true   # why\n", b"  REQUEST_NETWORK_ENABLED = false   # why\n"),
        (b"REQUEST_NETWORK_ENABLED='true' # it's\n", b"REQUEST_NETWORK_ENABLED='false' # it's\n"),
        (b'REQUEST_NETWORK_ENABLED="true"\n', b'REQUEST_NETWORK_ENABLED="false"\n'),
        (b"REQUEST_NETWORK_ENABLED=\nB=2\n", b"REQUEST_NETWORK_ENABLED=false\nB=2\n"),
        (b'A=`x\n"y" it\'s\n`\nREQUEST_NETWORK_ENABLED=true\n', None),
        (b"# REQUEST_NETWORK_ENABLED=true\nREQUEST_NETWORK_ENABLED=true\n", None),
        (b'CERT="a\nb"\nREQUEST_NETWORK_ENABLED=true\n', b'CERT="a\nb"\nREQUEST_NETWORK_ENABLED=false\n'),
        (b"\xef\xbb\xbfA=1\nREQUEST_NETWORK_ENABLED=true\n", b"\xef\xbb\xbfA=1\nREQUEST_NETWORK_ENABLED=false\n"),
        (b"NOTE=caf\xe9\nREQUEST_NETWORK_ENABLED=true\n", b"NOTE=caf\xe9\nREQUEST_NETWORK_ENABLED=false\n"),
        (b"not a line\nREQUEST_NETWORK_ENABLED=true\n", b"not a line\nREQUEST_NETWORK_ENABLED=false\n"),
    ],
)
def test_only_the_value_changes(before: bytes, after: bytes | None) -> None:
    result = edited(before, REQUEST_NETWORK_ENABLED="false")
    assert result == (after or before[: before.rindex(b"true")] + b"false\n")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"", b"REQUEST_NETWORK_ENABLED=false\n"),
        (b"A=1\n", b"A=1\nREQUEST_NETWORK_ENABLED=false\n"),
        (b"A=1", b"A=1\nREQUEST_NETWORK_ENABLED=false\n"),
        (b"A=1\r\nB=2", b"A=1\r\nB=2\r\nREQUEST_NETWORK_ENABLED=false\r\n"),
        (b"A=1 # end", b"A=1 # end\nREQUEST_NETWORK_ENABLED=false\n"),
    ],
)
def test_a_flag_that_is_not_set_becomes_a_last_line_and_goes_again(before: bytes, after: bytes) -> None:
    text = read_dotenv(before)
    edits = edits_for(text, {RN: "false"})
    assert apply_edits(text, edits) == after
    assert apply_edits(read_dotenv(after), [e.reverse() for e in edits]) == before


def test_two_added_lines_leave_a_file_without_a_final_newline_as_it_was() -> None:
    text = read_dotenv(b"A=1")
    edits = edits_for(text, {RN: "false", LIST: "shkeeper"})
    after = apply_edits(text, edits)
    assert after == b"A=1\nREQUEST_NETWORK_ENABLED=false\nPAYMENT_ENABLED_PROVIDERS=shkeeper\n"
    assert apply_edits(read_dotenv(after), [e.reverse() for e in reversed(edits)]) == b"A=1"


def test_a_line_that_others_added_behind_ours_is_not_joined_to_the_one_before() -> None:
    text = read_dotenv(b"A=1")
    edits = edits_for(text, {RN: "false"})
    later = apply_edits(text, edits) + b"NEW=2\n"
    assert apply_edits(read_dotenv(later), [e.reverse() for e in edits]) == b"A=1\nNEW=2\n"


def test_an_added_line_that_somebody_commented_is_left_to_them() -> None:
    text = read_dotenv(b"A=1\n")
    edits = edits_for(text, {RN: "false"})
    later = apply_edits(text, edits).replace(b"=false", b"=false # by ops")
    with pytest.raises(FlagMovedError, match="the file is as it was"):
        apply_edits(read_dotenv(later), [e.reverse() for e in edits])


def test_what_is_already_so_needs_no_edit() -> None:
    assert edits_for(read_dotenv(b"REQUEST_NETWORK_ENABLED='false'\n"), {RN: "false"}) == ()


@pytest.mark.parametrize(
    ("data", "error", "says"),
    [
        (b"REQUEST_NETWORK_ENABLED=1\nA=2\nREQUEST_NETWORK_ENABLED=0\n", AmbiguousFlagError, "2 times, on lines 1, 3"),
        (b"\n\nREQUEST_NETWORK_ENABLED=1\n\nexport REQUEST_NETWORK_ENABLED=1\n", AmbiguousFlagError, "lines 3, 5"),
        (b"REQUEST_NETWORK_ENABLED\n", AmbiguousFlagError, "without an equal sign"),
        (
            b"REQUEST_NETWORK_ENABLED: true\n",
            AmbiguousFlagError,
            "npm-dotenv and compose read 'true', python-dotenv has",
        ),
        (b"'REQUEST_NETWORK_ENABLED'=true\n", AmbiguousFlagError, "python-dotenv reads 'true', npm-dotenv has no"),
        (b'REQUEST_NETWORK_ENABLED="tr\nue"\n', AmbiguousFlagError, "several lines"),
        (b"REQUEST_NETWORK_ENABLED=${ON}\n", AmbiguousFlagError, "interpolated"),
        (b"REQUEST_NETWORK_ENABLED=$ON\n", AmbiguousFlagError, "interpolated"),
        (b"REQUEST_NETWORK_ENABLED=true#no\n", AmbiguousFlagError, "npm-dotenv reads 'true', python-dotenv and"),
        (b'REQUEST_NETWORK_ENABLED="tr\\"ue"\n', AmbiguousFlagError, "is read differently"),
        (b"REQUEST_NETWORK_ENABLED= # none\n", AmbiguousFlagError, "compose reads '# none'"),
        (b"REQUEST_NETWORK_ENABLED=`true`\n", AmbiguousFlagError, "is read differently"),
        (b'CERT="\nREQUEST_NETWORK_ENABLED=true\n"\n', AmbiguousFlagError, "start of line 2"),
        (b"A='x\nREQUEST_NETWORK_ENABLED='true'\n", AmbiguousFlagError, "npm-dotenv reads 'true'"),
        (b"\xef\xbb\xbfREQUEST_NETWORK_ENABLED=true\n", AmbiguousFlagError, "byte order mark"),
        (b"A='open\nREQUEST_NETWORK_ENABLED=true\n", UnclosedQuoteError, "line 1 opens a quote"),
        (b"\nA=`open\nREQUEST_NETWORK_ENABLED=true\n`\n", AmbiguousFlagError, "npm-dotenv has no value"),
        (b"\nA=`open\nREQUEST_NETWORK_ENABLED=true\n", UnclosedQuoteError, "line 2 opens a quote"),
        (b"REQUEST_NETWORK_ENABLED=true\nB=${REQUEST_NETWORK_ENABLED}\n", FlagReferencedError, "B takes its value"),
        (b"REQUEST_NETWORK_ENABLED=true\nB=$REQUEST_NETWORK_ENABLED\n", FlagReferencedError, "B takes its value"),
    ],
)
def test_where_readers_disagree_nothing_is_edited(data: bytes, error: type[ReconError], says: str) -> None:
    with pytest.raises(error) as caught:
        edits_for(read_dotenv(data), {RN: "false"})
    assert says in str(caught.value)
    assert "the file is as it was" in str(caught.value)


def test_a_name_that_only_begins_like_the_flag_is_another_key() -> None:
    data = b"REQUEST_NETWORK_ENABLED_SINCE=2026\nB=${REQUEST_NETWORK_ENABLED_SINCE}\nREQUEST_NETWORK_ENABLED=true\n"
    assert edited(data, REQUEST_NETWORK_ENABLED="false") == data.replace(b"=true", b"=false")


@pytest.mark.parametrize("data", [b"A=1\0B=2\n", "A=1\n".encode("utf-16"), b"A=" + b"x" * 1_000_001])
def test_what_is_no_text_file_is_refused(data: bytes) -> None:
    with pytest.raises(FlagFileError, match="the file is as it was"):
        read_dotenv(data)


@pytest.mark.parametrize(
    ("value", "says"),
    [("a\nB=2", "line break"), ("a\r", "line break"), ("a\0b", "NUL"), ("a b", "literally"), ("$X", "literally")],
)
def test_a_value_that_would_need_quoting_is_refused(value: str, says: str) -> None:
    with pytest.raises(FlagValueError, match=says):
        edits_for(read_dotenv(b""), {RN: value})


@pytest.mark.parametrize("name", ["", "A B", "1A", "A=B", "A\n", "é"])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(FlagValueError, match="no name of a flag"):
        edits_for(read_dotenv(b""), {name: "x"})


def test_an_edit_of_another_value_than_the_one_there_is_refused() -> None:
    text = read_dotenv(b"REQUEST_NETWORK_ENABLED=true\n")
    edits = edits_for(text, {RN: "false"})
    with pytest.raises(FlagMovedError, match="was 'true' when the change was planned and is 'TRUE' now"):
        apply_edits(read_dotenv(b"REQUEST_NETWORK_ENABLED=TRUE\n"), edits)


LINES = st.one_of(
    st.sampled_from(
        [
            "", "   ", "# a comment", "#", "KEY=value", "export OTHER='single $X'", 'MULTI="one', 'two"', "EMPTY=",
            "SPACED = value # note", "NO_EQUAL", "ref=${KEY:-x}", 'Q="a\\"b"', "junk line here", "=x", "B=`tick",
            "REQUEST_NETWORK_ENABLED=true", "export REQUEST_NETWORK_ENABLED='true' # on", 'REQUEST_NETWORK_ENABLED="1"',
            "PAYMENT_ENABLED_PROVIDERS=request.network,shkeeper", "PAYMENT_ENABLED_PROVIDERS= ", "K=#x", "K= #x",
            "REQUEST_NETWORK_ENABLED_X=1", "x=$REQUEST_NETWORK_ENABLED", "é=ü", "\ufeffA=1", "\u2028", "T=\ttab",
        ]
    ),
    st.text(alphabet="AB='\"# \t$\\{}`:x\x0b\x85", max_size=12),
    st.text(max_size=8).filter(lambda text: "\0" not in text),
)  # fmt: skip
FILES = st.builds(
    lambda lines, end, final, bom: ("\ufeff" if bom else "") + end.join(lines) + (end if final else ""),
    st.lists(LINES, max_size=9),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.booleans(),
    st.booleans(),
).filter(lambda text: not any("\ud800" <= ch <= "\udfff" for ch in text))
WANTED = st.dictionaries(
    st.sampled_from([RN, LIST, "PAYMENT_PROVIDER_MODE"]), st.sampled_from(["false", "shkeeper", "", "x-y"]), min_size=1
)


@settings(max_examples=400, deadline=None)
@given(FILES, WANTED)
def test_any_file_edited_reads_the_same_but_for_the_flags_and_comes_back_byte_equal(
    text: str, wanted: dict[str, str]
) -> None:
    data = text.encode()
    try:
        before = read_dotenv(data)
        edits = edits_for(before, wanted)
        after = apply_edits(before, edits)
    except ReconError:
        return
    assert before.data == data
    assert apply_edits(read_dotenv(after), [edit.reverse() for edit in edits]) == data
    was, now = read_by_python_dotenv(data), read_by_python_dotenv(after)
    assert {k: v for k, v in now.items() if k in wanted} == wanted
    assert {k: v for k, v in now.items() if k not in wanted} == {k: v for k, v in was.items() if k not in wanted}


@settings(max_examples=200, deadline=None)
@given(FILES)
def test_statements_join_to_the_text_and_say_what_python_dotenv_says(text: str) -> None:
    read = read_dotenv(text.encode(), reader="python-dotenv")
    assert "".join(s.source for s in python_statements(read.text)) == read.text
    plain = dotenv_values(stream=io.StringIO(text, newline=""), interpolate=False)
    view = read.views["python-dotenv"]
    assert {each.key: each.value for each in view.bindings} == dict(plain)
    for each in view.bindings:
        if each.token is not None and each.value and read.text[each.token[0]] not in "'\"":
            assert read.text[slice(*each.token)] == each.value


PIECES = (
    "", "# a comment", "KEY=value", "export OTHER='single'", 'MULTI="one', 'two"', "EMPTY=", "SPACED = value # note",
    "NO_EQUAL", 'Q="a\\"b"', "junk line here", "=x", "B=`tick", "tock`", "'", '"', "K=#x", "K= #x", "S='a", "it's",
    "REQUEST_NETWORK_ENABLED=true", "export REQUEST_NETWORK_ENABLED='true' # on", 'REQUEST_NETWORK_ENABLED="1"',
    "PAYMENT_ENABLED_PROVIDERS=request.network,shkeeper", "  PAYMENT_ENABLED_PROVIDERS = shkeeper", "E=a=b",
    "REQUEST_NETWORK_ENABLED: true", "X='a' 'b'", 'Y="a"b', "W=a\\", "\t",
)  # fmt: skip


def random_edits(count: int) -> list[tuple[str, str, dict[str, str]]]:
    dice = random.Random(20261120)
    cases = []
    while len(cases) < count:
        end = dice.choice(["\n", "\r\n"])
        text = end.join(dice.choices(PIECES, k=dice.randint(0, 7))) + dice.choice(["", end])
        wanted = {flag: dice.choice(["false", "shkeeper"]) for flag in dice.choice([[RN], [LIST], [RN, LIST]])}
        try:
            before = read_dotenv(text.encode())
            cases.append((text, apply_edits(before, edits_for(before, wanted)).decode(), wanted))
        except ReconError:
            continue
    return cases


def test_a_reader_of_bare_lines_sees_only_the_flags_change() -> None:
    def bare(text: str) -> list[tuple[str, str]]:
        lines = [line for line in text.splitlines() if "=" in line and not line.lstrip().startswith("#")]
        pairs = [tuple(line.split("=", 1)) for line in lines]
        return [(key, value) for key, value in pairs if key.replace("export", "").strip() not in (RN, LIST)]

    for text, after, _ in random_edits(300):
        assert bare(text) == bare(after)


def test_most_random_files_can_be_edited() -> None:
    dice = random.Random(7)
    edited_count = 0
    for _ in range(300):
        text = "\n".join(dice.choices([p for p in PIECES if p.count("'") % 2 == 0 and p.count('"') % 2 == 0], k=4))
        try:
            edited_count += bool(edited(text.encode(), REQUEST_NETWORK_ENABLED="false"))
        except ReconError:
            continue
    assert edited_count > 150


def test_statement_of_gives_none_for_a_flag_that_is_not_there() -> None:
    assert statement_of(read_dotenv(b"A=1\n"), RN) is None
