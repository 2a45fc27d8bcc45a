"""``1 rows`` stands nowhere: a number that may be one goes through :func:`recon.core.text.count_text`."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from recon.core.text import count_text
from tests.support.house import PACKAGE, ROOT, nodes_of, none, where

NOUNS = (
    "rows", "payments", "runs", "changes", "findings", "breaks", "lines", "files", "calls", "entries", "records",
    "transfers", "acceptances", "approvals", "readings", "deliveries", "requests", "cells", "objects", "columns",
    "documents", "claims", "values", "marks", "steps", "wallets", "movements", "operators", "references",
    "notifications", "outcomes", "signers", "transactions", "topics", "writes", "things", "stretches", "failures",
    "confirmations", "versions", "orders", "reasons", "verdicts", "days", "people", "others",
)  # fmt: skip
_MANY = rf"(?:[a-z]+ ){{0,2}}(?:{'|'.join(NOUNS)})\b"
_ONE_OF_MANY = re.compile(rf"(?<![\w.,:#/>=-])1 (?:{'|'.join(NOUNS)})\b")
_COUNTED = re.compile(rf" {_MANY}")
_NEVER_ONE = re.compile(r"(?:[A-Z_]+|.*(?:_MAX|_max|_min)\b.*|count_text\(.*)\Z")
"""Constants and limits, which are named in the plural, and what is counted already."""
_OF_THOSE = re.compile(r"\b(?:of|of the|of our|of which|most|Payment|payment|than) \Z")
"""``3 of 1 rows`` is read as a share; ``payment ID records`` is no number."""
_NO_COUNT = re.compile(
    r"(?:place|where|origin|file|name|run\.name|.*\.(?:origin|place|file|name|rival_id|_id)|(?:.*join|clean_text)\(.*)\Z"
)
"""Names of things, after which a word in ``s`` is a verb."""
KEPT = (".md", ".txt", ".json", ".html", ".ipynb", ".csv", ".toml", ".py", ".js")
NO_NUMBERS = {
    "recon/investigation/payment/proof.py": "payment ID records",
    "recon/snapshots/standing.py": "columns of a query",
    "recon/plans/balances.py": "at block N and its movements",
    "recon/plans/findings.py": "more than one of them",
    "recon/sources/chain/scan.py": "block numbers, and logs",
    "recon/sources/exports/payments.py": "a file that may lack payments",
    "recon/runs/undo.py": "N of its writes",
    "recon/rails/flags/status.py": "a mode that writes",
    "recon/snapshots/second_reading.py": "more than ten thousand",
    "recon/investigation/incident/sections.py": "N of the payments",
    "recon/simulation": "a game's own numbers, which are never read by users of the tool",
}  # fmt: skip
"""Where a number before a plural cannot be one, or is none, with the reason."""


def uncounted(path: Path) -> Iterator[str]:
    """Numbers in the texts of a file that are followed by a plural whatever they are."""
    for node in nodes_of(path):
        if not isinstance(node, ast.JoinedStr):
            continue
        for place, part in enumerate(node.values[:-1]):
            after = node.values[place + 1]
            if not (isinstance(part, ast.FormattedValue) and isinstance(after, ast.Constant)):
                continue
            told, before = ast.unparse(part.value), node.values[place - 1] if place else None
            said = str(before.value) if isinstance(before, ast.Constant) else ""
            if not _COUNTED.match(str(after.value)) or _OF_THOSE.search(said):
                continue
            if not _NEVER_ONE.match(told) and not _NO_COUNT.match(told):
                yield f"{where(path, node)}: {{{told}}}{str(after.value)[:40]}"


def test_numbers_that_may_be_one_are_counted_by_one_function() -> None:
    files = (path for path in sorted(PACKAGE.rglob("*.py")))
    none(
        problem
        for path in files
        if not str(path.relative_to(ROOT)).startswith(tuple(NO_NUMBERS))
        for problem in uncounted(path)
    )


def one_of_many() -> Iterator[str]:
    """Kept texts that say ``1`` of a plural."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.split(b"\0")
    for name in filter(None, map(bytes.decode, listed)):
        path = ROOT / name
        if not name.endswith(KEPT) or name == "tests/test_counted_nouns.py" or "vendor" in name or not path.is_file():
            continue
        if path.stat().st_size < 1_000_000 and (found := _ONE_OF_MANY.search(path.read_text(encoding="utf-8"))):
            yield f"{name} says {found[0]!r}"


def test_no_kept_text_says_one_of_many() -> None:
    none(one_of_many())


@pytest.mark.parametrize(
    ("code", "is_found"),
    [
        ('f"{len(rows)} rows were refused"', True),
        ('f"{count} more payments"', True),
        ("f\"{count_text(len(rows), 'row')} were refused\"", False),
        ('f"{done} of {total} rows"', False),
        ('f"more than {ROWS_MAX} rows"', False),
    ],
)
def test_an_uncounted_noun_is_found(code: str, is_found: bool, tmp_path: Path) -> None:
    path = tmp_path / "code.py"
    path.write_text(code, encoding="utf-8")
    assert bool(list(uncounted(path))) is is_found


def test_nouns_and_verbs_follow_their_number() -> None:
    assert [count_text(count, "row is", many="rows are") for count in (0, 1, 2)] == [
        "0 rows are",
        "1 row is",
        "2 rows are",
    ]
    assert count_text(12_345, "break") == "12,345 breaks"
