"""What became of the proofs that past corrections rested on: gone first, then what cannot be told."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from recon.core.text import count_text
from recon.reports.model import Column, Fact, Report, Table
from recon.reports.text import amount_text, shell_word
from recon.runs.reverify import Holds, LookedAgain, Reverified

_ORDER: Final[tuple[Holds, ...]] = ("gone", "cannot tell", "holds", "taken back")
_ROWS_SHOWN = 50
_NAMED_MAX = 20
"""Most payments that a command line names; past them the whole run is meant, or a selection of it."""


def render_reverified(found: Reverified, *, config: str | None = None) -> Report:
    """Every correction with its state, and the commands that plan the way back."""
    counts = [(state, len(found.of_state(state))) for state in _ORDER]
    gone = ", ".join(_sums(found.of_state("gone")))
    gone = gone or ("cannot tell of all" if found.of_state("cannot tell") else "nothing")
    facts = (
        Fact("runs", "runs looked at", str(len(found.runs)), "count"),
        *(
            Fact(state.replace(" ", "_"), state, str(count), "count", alarm=bool(count) and state in _ORDER[:2])
            for state, count in counts
        ),
        Fact(
            "sums",
            "gone, by token",
            gone or ("cannot tell of all" if found.of_state("cannot tell") else "nothing"),
            "amounts",
        ),
    )
    columns = (
        Column("run", "run", "id", wide=True), Column("payment_id", "payment", "id"),
        Column("verdict", "corrected as", "verdict"), Column("amount", "amount", "amount"),
        Column("state", "its proof", "severity"), Column("why", "because", "prose"),
        Column("proof", "rested on", "id", wide=True),
    )  # fmt: skip
    ordered = sorted(found.rows, key=lambda each: _ORDER.index(each.state))
    rows = tuple(
        (
            each.run,
            each.payment_id,
            each.verdict,
            amount_text(each.value_units, decimals=each.decimals, symbol=each.symbol),
            each.state,
            each.why,
            " ".join(each.proof),
        )
        for each in ordered
    )
    note = f"the first {_ROWS_SHOWN} of {len(rows)}" if len(rows) > _ROWS_SHOWN else ""
    table = Table("rows", "Corrections, gone first", columns, rows, note=note, empty="no run corrected anything",
                  shown=_ROWS_SHOWN)  # fmt: skip
    return Report("reverify", "Proofs of past corrections", facts, (table,), tuple(_steps(found, config)))


def _sums(rows: Iterable[LookedAgain]) -> Iterator[str]:
    sums: dict[tuple[str | None, int | None], int] = {}
    for each in rows:
        sums[each.symbol, each.decimals] = sums.get((each.symbol, each.decimals), 0) + each.value_units
    for symbol, decimals in sorted(sums, key=str):
        yield amount_text(sums[symbol, decimals], decimals=decimals, symbol=symbol)


def _steps(found: Reverified, config: str | None) -> Iterator[str]:
    own = f" --config {shell_word(config)}" if config else ""
    for run, payments in found.gone_by_run().items():
        named = "".join(f" --payment {shell_word(each)}" for each in payments[:_NAMED_MAX])
        more = len(payments) - _NAMED_MAX
        rest = f", and so for the other {count_text(more, 'payment')} (--format csv lists them)" if more > 0 else ""
        yield f"Nothing has changed. To plan the way back: recon undo {shell_word(run)}{named}{own}{rest}"
    if found.of_state("cannot tell"):
        yield "What cannot be told proves nothing either way: ask again when its sources answer or it is final."
