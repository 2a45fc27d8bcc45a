"""Unknown stays unknown: every conclusion that a page can draw, with its evidence and with its evidence taken away.

One row of the table in ``tests/reports/conclusions`` is one conclusion: the page, the words, what they rest on, the
page with the evidence, and the ways in which it is taken away. With the evidence the words stand there; without it they
do not, and the page says that it cannot tell, with the reason (a command then leaves with 4, or with the code of a
refusal that says why).
"""

from __future__ import annotations

from collections import Counter

import pytest

from tests.reports.conclusions.flags import FLAGS
from tests.reports.conclusions.gates import GATES
from tests.reports.conclusions.incidents import DELIVERIES, LOGS, PAGES
from tests.reports.conclusions.inspected import INSPECTED
from tests.reports.conclusions.operations import OPERATIONS
from tests.reports.conclusions.plans import COMMANDS, RUNS
from tests.reports.conclusions.rows import CANNOT, REFUSED, Conclusion, Home, Page
from tests.support.conclusions import no_conclusions, sentences

TABLE = (*LOGS, *DELIVERIES, *PAGES, *FLAGS, *GATES, *OPERATIONS, *INSPECTED, *RUNS, *COMMANDS)
CASES = [
    pytest.param(row, how, id=f"{row.page}: {row.says[:40].strip()!r} without ({how})".replace("\n", " "))
    for row in TABLE
    for how in row.without
]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return Home(tmp_path_factory.mktemp("home"))


def said(row: Conclusion, page: Page) -> bool:
    """Whether a page says the words of a row; blanks count as one, for tables are laid out."""
    return " ".join(row.says.split()) in " ".join(page.text.split())


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row.page}: {row.says[:50].strip()!r}".replace("\n", " "))
def test_a_conclusion_is_drawn_where_its_evidence_is_there(row: Conclusion, home: Home) -> None:
    page = home.page(row.whole)
    assert said(row, page), page.text


@pytest.mark.parametrize(("row", "how"), CASES)
def test_a_conclusion_is_not_drawn_without_its_evidence(row: Conclusion, how: str, home: Home) -> None:
    page = home.page(row.without[how])
    assert not said(row, page), page.text
    assert row.reason in page.text
    assert page.code in row.codes or page.code == 4, page.text
    # A command that refuses says why; every other page says that it cannot tell, more often than with the evidence.
    known = len(CANNOT.findall(home.page(row.whole).text))
    assert page.code == REFUSED or len(CANNOT.findall(page.text)) > known, page.text


def test_every_sentence_that_may_be_a_conclusion_is_in_the_table_or_is_said_to_be_none() -> None:
    """A new "none", "nothing" or "all" belongs into the table, or into ``no_conclusions.json`` with its reason."""
    there, told = sentences(), Counter(place for row in TABLE for place in row.stands) + no_conclusions()
    assert not (there - told), "new sentences: give each a row of TABLE, or say why it concludes nothing"
    assert not (told - there), "sentences that are gone: take them out"
