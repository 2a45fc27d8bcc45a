"""Scores an answer file against a truth file: matches, verdicts and writes, for each kind of break."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

BENIGN: Final = frozenset({"test_payment", "out_of_scope", "partly_refunded", "in_sync", "in_transit", "abandoned"})
UNPROVEN: Final = frozenset({"unproven", "lookup_failed"})
COLUMNS: Final = ("payment_id", "verdict", "matched_transfer", "would_write")


class AnswerError(Exception):
    """An answer file cannot be read."""


@dataclass
class Tally:
    """Counts of one kind of break, or of all.

    Args:
        true: Payments that are truly of this kind.
        given: Payments that were called so; ``right`` were called so rightly.
        matches: Answered transfers; ``matches_right`` of them are the payment's money, ``matchable`` payments have any.
        wrong_writes: Writes that the truth contradicts; ``missed_writes`` were due and not answered.
        unproven: Payments of this kind without an answer, or with the answer that it cannot be told.
    """

    true: int = 0
    given: int = 0
    right: int = 0
    matchable: int = 0
    matches: int = 0
    matches_right: int = 0
    wrong_writes: int = 0
    missed_writes: int = 0
    unproven: int = 0


@dataclass
class Result:
    """The score of one answer file, whole and by kind."""

    total: Tally = field(default_factory=Tally)
    kinds: dict[str, Tally] = field(default_factory=dict)

    def of(self, kind: str) -> Tally:
        """The counts of one kind."""
        return self.kinds.setdefault(kind, Tally())


def read_rows(path: Path, columns: Iterable[str]) -> list[dict[str, str]]:
    """Read a CSV file that has at least these columns.

    Raises:
        AnswerError: It cannot be read, a column is missing, or a payment stands in it twice.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise AnswerError(f"{path}: the file cannot be read ({error}).") from error
    if rows and (missing := [name for name in columns if name not in rows[0]]):
        raise AnswerError(f"{path}: there is no column {missing[0]}.")
    twice = [key for key, count in Counter(row["payment_id"] for row in rows).items() if count > 1]
    if twice:
        raise AnswerError(f"{path}: payment {twice[0]} stands in it twice.")
    return rows


def scored(truth: Path, answers: Path) -> Result:
    """Hold an answer file against a truth file; a payment that is not in the answers was not answered."""
    known = {row["payment_id"]: row for row in read_rows(truth, ("verdicts", "matched_transfers", "would_write"))}
    given = {row["payment_id"]: row for row in read_rows(answers, COLUMNS)}
    result = Result()
    for payment_id, row in known.items():
        _one(result, row, given.get(payment_id, dict.fromkeys(COLUMNS, "")))
    for payment_id in given.keys() - known.keys():
        _invented(result, given[payment_id])
    return result


def _one(result: Result, row: Mapping[str, str], answer: Mapping[str, str]) -> None:
    right = row["verdicts"].split("|")
    kind, verdict = right[0], answer["verdict"]
    if verdict == "benign" and BENIGN & set(right):
        verdict = kind
    money = set(filter(None, row["matched_transfers"].split("|")))
    matched = answer["matched_transfer"]
    for tally in (result.total, result.of(kind)):
        tally.true += 1
        tally.right += verdict in right
        tally.matchable += bool(money)
        tally.matches += bool(matched)
        tally.matches_right += matched in money
        tally.unproven += verdict in UNPROVEN or not (verdict or matched)
        tally.wrong_writes += is_wrong_write(row["would_write"], answer["would_write"])
        tally.missed_writes += bool(row["would_write"]) and not answer["would_write"]
    if verdict:
        result.total.given += 1
        result.of(kind if verdict in right else verdict).given += 1


def _invented(result: Result, answer: Mapping[str, str]) -> None:
    """An answer about something that the truth does not know."""
    for tally in (result.total, result.of(answer["verdict"] or "nothing")):
        tally.given += bool(answer["verdict"])
        tally.matches += bool(answer["matched_transfer"])
        tally.wrong_writes += bool(answer["would_write"])


def is_wrong_write(right: str, given: str) -> bool:
    """Whether a write sets anything that the right one does not set to the same; a part of the right one is right."""
    pairs = set(filter(None, right.split(";")))
    return any(pair not in pairs for pair in filter(None, given.split(";")))


def share(part: int, whole: int) -> str:
    """A share with four decimals, cut and never rounded up to 1."""
    return "" if not whole else f"{part * 10_000 // whole / 10_000:.4f}"


def figures(tally: Tally) -> dict[str, Any]:
    """The figures of one line."""
    return {
        "true": tally.true,
        "verdict_precision": share(tally.right, tally.given),
        "verdict_recall": share(tally.right, tally.true) if tally.given else "",
        "match_precision": share(tally.matches_right, tally.matches),
        "match_recall": share(tally.matches_right, tally.matchable),
        "wrong_writes": tally.wrong_writes,
        "missed_writes": tally.missed_writes,
        "unproven_share": share(tally.unproven, tally.true),
    }


def as_json(result: Result) -> dict[str, Any]:
    """The whole score, kinds sorted by name."""
    kinds = {kind: figures(result.kinds[kind]) for kind in sorted(result.kinds)}
    return {"format": 1, "total": figures(result.total), "kinds": kinds}
