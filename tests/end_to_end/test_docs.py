"""The pages in ``docs`` lead where they say, and leave out no folder."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.test_house import FOLDERS

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda path: path.name)
def test_every_link_of_a_page_leads_to_a_file(page: Path) -> None:
    links = re.findall(r"\]\(((?!https?:)[^)#]+)", page.read_text(encoding="utf-8"))
    assert links, "a page without links"
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_the_picture_of_the_house_names_every_folder() -> None:
    text = (DOCS / "architecture.md").read_text(encoding="utf-8")
    assert [name for name in FOLDERS if not name.startswith("__") and f"| [{name}](" not in text] == []
