"""The pages in ``docs`` lead where they say, say what the code says, and their command lines do what they say."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from recon.core.model import Plan, Verdict
from tests.support.documented import (
    DOCS,
    FENCE,
    README,
    ROOT,
    Remembered,
    Typist,
    means_of,
    mentioned,
    mistake_in,
    name_of,
    outside_of_sessions,
    pages,
    session,
)
from tests.support.flagworld import HEALTHY, json_reply, serve
from tests.test_house import FOLDERS

sys.path.insert(0, str(ROOT / "scripts"))
from docs_pages.all import made_pages, place, with_examples
from docs_pages.desk import EXAMPLES, flags_of, make_desk

ON_THEIR_OWN = ("docs/tutorial/review-and-apply.md",)
"""Pages that begin with an empty folder and are typed by tests/end_to_end/test_readme_session.py."""

MARKDOWN = [README, ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *sorted(DOCS.rglob("*.md"))]
LINK = re.compile(r"\]\(((?!https?:|mailto:)[^)\s]+)\)")


def anchors(page: Path) -> set[str]:
    """What a link may name behind ``#``: the headings of a page as the site and the code host spell them."""
    heads = re.findall(r"(?m)^#+ (.+)$", FENCE.sub("", page.read_text(encoding="utf-8")))
    return {re.sub(r"[^\w\- ]", "", head.lower()).strip().replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", MARKDOWN, ids=name_of)
def test_every_link_of_a_page_leads_to_a_file_and_a_heading(page: Path) -> None:
    wrong = []
    for link in LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
        path, _, anchor = link.partition("#")
        target = (page.parent / path) if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            wrong.append(link)
    assert wrong == []


def test_every_page_is_reached_from_the_first_one() -> None:
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    named = set(re.findall(r"(?m)[: ] *([\w./-]+\.md)$", text))
    assert named == {str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md")}


def test_the_readme_is_short_and_leads_to_every_part() -> None:
    text = README.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 200
    folders = {path.name for path in DOCS.iterdir() if path.is_dir() and any(path.glob("*.md"))}
    assert [name for name in folders if f"](docs/{name}/" not in text] == []


def test_the_picture_of_the_house_names_every_folder() -> None:
    text = (DOCS / "architecture.md").read_text(encoding="utf-8")
    assert [name for name in FOLDERS if not name.startswith("__") and f"| [{name}](" not in text] == []


def test_no_page_asks_another_host_for_anything() -> None:
    shown = re.compile(r"(?i)!\[[^\]]*\]\(https?:|<(?:script|link|img|iframe)\b[^>]*https?:")
    assert [name_of(page) for page in MARKDOWN if shown.search(page.read_text(encoding="utf-8"))] == []


# What is made from the code


def test_the_made_pages_are_what_the_code_says() -> None:
    wrong = [name for name, text in made_pages(ROOT).items() if (ROOT / name).read_text(encoding="utf-8") != text]
    assert wrong == [], "run scripts/docs"


def test_no_page_of_a_verdict_or_a_chain_is_left_over() -> None:
    made = made_pages(ROOT)
    for folder in ("verdicts", "chains"):
        there = {str(path.relative_to(ROOT)) for path in (DOCS / "reference" / folder).glob("*.md")}
        assert there == {name for name in made if name.startswith(f"docs/reference/{folder}/")}


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Plan]]:
    """The marketplace of the documentation, planned once, and a server that says that both rails are up."""
    folder = tmp_path_factory.mktemp("desk")
    with serve({"/health": HEALTHY, "/backend": lambda _: json_reply(flags_of(OPENED[-1]))}) as rails:
        yield folder, make_desk(folder, server=rails.url)


def test_every_verdict_is_shown_by_its_example(desk: tuple[Path, Plan]) -> None:
    counted = desk[1].summary["verdicts"]
    assert set(EXAMPLES) == set(Verdict)
    assert [verdict for verdict in Verdict if not counted.get(verdict.value)] == []


def test_the_examples_are_what_the_tool_says(desk: tuple[Path, Plan]) -> None:
    made = with_examples(made_pages(ROOT), desk[1])
    wrong = [name for name in map(place, Verdict) if (ROOT / name).read_text(encoding="utf-8") != made[name]]
    assert wrong == [], "run scripts/docs"


# Command lines

REMEMBERED: Remembered = {}
OPENED: list[Path] = []
"""The folders that pages were typed in; a backend runs with the flags of the last one."""


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_every_command_line_that_a_page_names_exists(page: Path) -> None:
    assert [wrong for line in mentioned(page) if (wrong := mistake_in(line))] == []


def test_every_command_line_of_a_block_is_typed_by_a_test() -> None:
    assert {name_of(page): left for page in pages() if (left := outside_of_sessions(page))} == {}


@pytest.mark.parametrize(
    "page", [page for page in pages() if session(page) and name_of(page) not in ON_THEIR_OWN], ids=name_of
)
def test_the_session_of_a_page_runs_as_it_stands(page: Path, desk: tuple[Path, Plan], tmp_path: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(desk[0], home)
    (home / "recon-demo").symlink_to(".", target_is_directory=True)
    OPENED.append(home)
    typist = Typist(home, means=means_of(page), remembered=REMEMBERED)
    typist.environment["HOME"] = str(tmp_path)
    wrong = []
    for typed in session(page):
        code, printed = typist.types(typed.command)
        if code != typed.code:
            wrong.append(f"{typed.command}: leaves with {code}, not {typed.code}\n{printed[-1500:]}")
    assert wrong == []
