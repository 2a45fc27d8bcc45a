"""A score as a report: how right a judgement was, verdict by verdict."""

from __future__ import annotations

from fractions import Fraction

from recon.core.model import Verdict
from recon.reports.model import Column, Fact, Report, Table
from recon.reports.text import value_text
from recon.simulation.score import Misjudged, Score

_SHOWN = 30


def render_score(found: Score) -> Report:
    """Recall and precision per verdict, what was taken for what, and every wrong write."""
    verdict = "everything is right" if found.is_perfect else "NOT RIGHT"
    if not found.judged:
        verdict = "cannot tell: nothing was judged"
    facts = (
        Fact("verdict", "verdict", verdict, alarm=not (found.is_perfect and found.judged)),
        Fact("judged", "judged", str(found.judged), "count"),
        Fact("misjudged", "wrong verdicts", str(len(found.misjudged)), "count", bool(found.misjudged)),
        Fact(
            "incomplete", "right, but a finding is missing", str(len(found.incomplete)), "count", bool(found.incomplete)
        ),
        Fact(
            "wrong_writes", "wrong or missing writes", str(len(found.wrong_writes)), "count", bool(found.wrong_writes)
        ),
        Fact("unproven_share", "left unproven", _percent(found.not_proven_share)),
    )
    return Report(
        name="score",
        title="Score",
        facts=facts,
        tables=(_verdict_table(found), _confusion_table(found), _misjudged_table(found), _write_table(found)),
    )


def _none(found: Score, said: str = "none") -> str:
    """What an empty table says; nothing where nothing was judged."""
    return said if found.judged else "cannot tell: nothing was judged"


def _percent(share: Fraction | None) -> str:
    """A share in percent, cut after four decimals and never rounded up to 100."""
    if share is None:
        return "-"
    cut = share.numerator * 10**6 // share.denominator
    return f"{cut // 10**4}.{cut % 10**4:04d} %"


def _verdict_table(found: Score) -> Table:
    columns = (Column("verdict", "verdict", "verdict"), Column("true", "true", "count"),
               Column("found", "found", "count"), Column("recall", "recall"),
               Column("precision", "precision"))  # fmt: skip
    rows = []
    for verdict in Verdict:
        true = sum(count for (expected, _), count in found.confusion.items() if expected == verdict)
        given = sum(count for (_, judged), count in found.confusion.items() if judged == verdict)
        if true or given:
            shares = (_percent(found.recall(verdict)), _percent(found.precision(verdict)))
            rows.append((verdict.value, str(true), str(given), *shares))
    return Table("verdicts", "Verdicts", columns, tuple(rows))


def _confusion_table(found: Score) -> Table:
    columns = (Column("true", "is", "verdict"), Column("found", "was called", "verdict"),
               Column("count", "how often", "count"))  # fmt: skip
    rows = tuple(
        (_word(true), _word(given), str(count)) for (true, given), count in found.confusion.items() if true != given
    )
    return Table("confusion", "Taken for something else", columns, rows, empty=_none(found, "nothing"))


def _misjudged_table(found: Score) -> Table:
    columns = (Column("payment_id", "payment", "id"), Column("true", "is", "verdict"),
               Column("found", "was called", "verdict"), Column("missing", "missing findings"),
               Column("planted", "planted"))  # fmt: skip
    rows = tuple(_misjudged_row(item) for item in (*found.misjudged, *found.incomplete))
    note = f"the first {_SHOWN} of {len(rows)}" if len(rows) > _SHOWN else ""
    return Table("misjudged", "Wrong or incomplete", columns, rows, note=note, empty=_none(found), shown=_SHOWN)


def _misjudged_row(item: Misjudged) -> tuple[str, ...]:
    missing = " ".join(verdict.value for verdict in item.missing)
    return item.payment_id, _word(item.expected), _word(item.found), missing, item.planted


def _write_table(found: Score) -> Table:
    columns = (Column("payment_id", "payment", "id"), Column("kind", "kind"), Column("expected", "due", "prose"),
               Column("planned", "planned", "prose"), Column("planted", "planted"))  # fmt: skip
    rows = tuple(
        (item.payment_id, item.kind, _effects(item.expected), _effects(item.planned), item.planted)
        for item in found.wrong_writes
    )
    note = f"the first {_SHOWN} of {len(rows)}" if len(rows) > _SHOWN else ""
    return Table("wrong_writes", "Wrong or missing writes", columns, rows, note=note, empty=_none(found), shown=_SHOWN)


def _effects(sets: object) -> str:
    if not isinstance(sets, dict):
        return "nothing"
    return "; ".join(f"{path}: {value_text(value)}" for path, value in sorted(sets.items()))


def _word(verdict: Verdict | None) -> str:
    return "nothing" if verdict is None else verdict.value
