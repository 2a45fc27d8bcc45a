"""README and ``docs`` lead where they say, say what the code says, and name no command that there is not."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.support.documented import (
    DOCS,
    FENCE,
    README,
    ROOT,
    mentioned,
    mistake_in,
    name_of,
    outside_of_sessions,
    pages,
)
from tests.test_house import FOLDERS

sys.path.insert(0, str(ROOT / "scripts"))
from docs_pages.all import made_pages

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


def test_the_packages_of_the_site_are_pinned_and_its_parts_are_its_own() -> None:
    extra = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    pinned = dict(re.findall(r"(?m)^([a-z0-9._-]+)==([^ ]+)", (ROOT / "constraints-docs.txt").read_text("utf-8")))
    for wanted in map(Requirement, extra["docs"]):
        assert wanted.specifier.contains(pinned[wanted.name]), "run scripts/lock"
    config = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert "\n  font: false\n" in config
    assert re.search(r"(?m)^plugins:\n((?:  .*\n)+)", config)[1] == "  - search\n", "others download"  # type: ignore[index]


# What is made from the code


def test_the_made_pages_are_what_the_code_says() -> None:
    wrong = [name for name, text in made_pages(ROOT).items() if (ROOT / name).read_text(encoding="utf-8") != text]
    assert wrong == [], "run scripts/docs"


def test_no_page_of_a_verdict_or_a_chain_is_left_over() -> None:
    made = made_pages(ROOT)
    for folder in ("verdicts", "chains"):
        there = {str(path.relative_to(ROOT)) for path in (DOCS / "reference" / folder).glob("*.md")}
        assert there == {name for name in made if name.startswith(f"docs/reference/{folder}/")}


# Command lines


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_every_command_line_that_a_page_names_exists(page: Path) -> None:
    assert [wrong for line in mentioned(page) if (wrong := mistake_in(line))] == []


def test_every_command_line_of_a_block_is_typed_by_a_test() -> None:
    assert {name_of(page): left for page in pages() if (left := outside_of_sessions(page))} == {}


def test_every_example_of_a_help_text_exists() -> None:
    examples = re.findall(r"(?m)^ +(?:Examples?: )?(recon .+)$", (DOCS / "reference/commands.md").read_text("utf-8"))
    assert len(examples) > 60
    assert [wrong for line in examples if (wrong := mistake_in(line))] == []
