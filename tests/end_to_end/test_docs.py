"""The command lines of README and ``docs`` do what the pages say, and the examples are what the tool says of them."""

from __future__ import annotations

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
    files_of,
    means_of,
    name_of,
    pages,
    session,
)
from tests.support.flagworld import HEALTHY, json_reply, serve

sys.path.insert(0, str(ROOT / "scripts"))
from docs_pages.all import made_pages, place, with_examples
from docs_pages.desk import EXAMPLES, flags_of, make_desk

ON_THEIR_OWN = ("docs/tutorial/review-and-apply.md",)
"""Pages that begin with an empty folder and are typed by tests/end_to_end/test_readme_session.py."""


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


def test_the_break_of_the_readme_is_the_one_that_the_tool_shows(desk: tuple[Path, Plan]) -> None:
    finding = next(each for each in desk[1].findings if each.verdict is Verdict.LOCAL_BEHIND)
    change = next(each for each in desk[1].changes if each.payment_id == finding.payment_id)
    picture = FENCE.findall(README.read_text(encoding="utf-8"))[0][2]
    assert picture == FENCE.findall((DOCS / "index.md").read_text(encoding="utf-8"))[0][2]
    said = {each.field: each for each in finding.fields}
    proof = str(said["tx_hash"].chain)
    assert f"{proof[:6]}…{proof[-5:]}" in picture
    assert f"{said['amount'].local} {finding.symbol}" in picture
    assert f"only if {len(change.guard)} values" in picture
    written = {"status": "status", "escrowState": "escrowState", "blockchain.transactionHash": "hash",
               "blockchain.confirmations": "confirmations"}  # fmt: skip
    assert [each.path for each in change.sets if written[each.path] not in picture] == []


# Command lines

REMEMBERED: Remembered = {}
OPENED: list[Path] = []
"""The folders that pages were typed in; a backend runs with the flags of the last one."""


@pytest.mark.parametrize(
    "page", [page for page in pages() if session(page) and name_of(page) not in ON_THEIR_OWN], ids=name_of
)
def test_the_session_of_a_page_runs_as_it_stands(page: Path, desk: tuple[Path, Plan], tmp_path: Path) -> None:
    home, shown = tmp_path / "home", files_of(page)
    if shown:
        home.mkdir()
    else:
        shutil.copytree(desk[0], home)
        (home / "recon-demo").symlink_to(".", target_is_directory=True)
    for name, content in shown.items():
        (home / name).write_text(content, encoding="utf-8")
    OPENED.append(home)
    typist = Typist(home, means=means_of(page), remembered=None if shown else REMEMBERED)
    typist.environment["HOME"] = str(tmp_path)
    wrong = []
    for typed in session(page):
        code, printed = typist.types(typed.command)
        if code != typed.code:
            wrong.append(f"{typed.command}: leaves with {code}, not {typed.code}\n{printed[-1500:]}")
    assert wrong == []
