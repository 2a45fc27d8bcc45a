"""The rows of the list as columns that fit the width: mark and verdict first, then money, then the rest."""

from __future__ import annotations

from typing import Final

from recon.core.model import Severity
from recon.core.money import decimal_amount
from recon.core.text import count_text, short_amount, short_amounts
from recon.desk.marks import LETTERS, PICKED
from recon.desk.panes import LinePiece, fit_cell
from recon.desk.rows import DeskRow, GroupHead
from recon.desk.sheet import ALARM, DIFFERS, HEAD, PLAIN
from recon.reports.model import human_cell

COLUMNS: Final = (
    ("mark", 1, 0), ("verdict", 20, 0), ("amount", 15, 0), ("age", 6, 0), ("tier", 6, 50), ("payment", 26, 76),
    ("severity", 8, 90), ("rail", 15, 106), ("chain", 8, 116), ("reason", 20, 150),
)  # fmt: skip
"""Name, width in cells, and the width of the list from which a column is shown; what is left goes to the
verdict until it is whole, then to the last one."""
_VERDICT_GROWS: Final = 6
_NAMES: Final = {"mark": "", "payment": "payment", "chain": "chain"}
_RIGHT: Final = ("amount", "age")


def columns_at(width: int) -> tuple[tuple[str, int], ...]:
    """The columns that a width has room for, with their widths."""
    shown = [(name, size) for name, size, least in COLUMNS if width >= least]
    used = sum(size for _, size in shown) + len(shown) - 1
    left = max(0, width - used)
    for place, most in ((1, left if shown[-1][0] == "tier" else _VERDICT_GROWS), (len(shown) - 1, left)):
        grown = min(left, most)
        shown[place] = (shown[place][0], shown[place][1] + grown)
        left -= grown
    return tuple(shown)


def heading(width: int) -> str:
    """The line above the list."""
    return " ".join(fit_cell(_NAMES.get(name, name), size, right=name in _RIGHT) for name, size in columns_at(width))


def row_pieces(line: DeskRow | GroupHead, width: int, *, mark: str = "") -> tuple[LinePiece, ...]:
    """One line of the list, the heading of a group or a row."""
    if isinstance(line, GroupHead):
        return (
            LinePiece(
                fit_cell(f"{line.name}: {count_text(line.rows, 'row')}, {human_cell(line.money, 'amounts')}", width),
                HEAD,
            ),
        )
    look = {Severity.CRITICAL: ALARM, Severity.HIGH: DIFFERS}.get(line.severity, PLAIN)
    pieces: list[LinePiece] = []
    for name, size in columns_at(width):
        text = fit_cell(_cell(line, name, mark), size, right=name in _RIGHT)
        pieces.append(LinePiece(text, look if name in ("verdict", "severity") else PLAIN))
        pieces.append(LinePiece(" "))
    return tuple(pieces[:-1])


def _cell(row: DeskRow, name: str, mark: str) -> str:
    if name == "mark":
        return "+" if mark == PICKED else LETTERS.get(mark, " ")
    if name == "amount":
        return amount_cell(row)
    if name == "age":
        return short_age(row.age_s)
    return {
        "verdict": row.verdict.value,
        "tier": row.tier.value,
        "payment": row.payment_id,
        "severity": row.severity.value,
        "rail": row.rail,
        "chain": "" if row.chain_id is None else str(row.chain_id),
        "reason": short_amounts(row.said.reason),
    }[name]


def amount_cell(row: DeskRow) -> str:
    """An amount in two decimals, or in as many as matter; the sheet has the exact one."""
    if not row.said.value_units:
        return ""
    if row.said.decimals is None:
        return f"{row.said.value_units} units"
    return short_amount(f"{decimal_amount(row.amount)} {row.symbol or '?'}")


def short_age(seconds: int | None) -> str:
    """An age in its largest units, in at most six cells.

    >>> [short_age(each) for each in (95, 3 * 86400 + 7200, 40200, None, 53 * 86400 + 43200)]
    ['1m', '3d 2h', '11h10m', '', '53d12h']
    """
    if seconds is None:
        return ""
    if seconds < 60:
        return f"{seconds}s"
    if seconds < 3600:
        return f"{seconds // 60}m"
    hours, minutes = divmod(seconds // 60, 60)
    if hours < 24:
        return f"{hours}h{minutes:02d}m"
    days, hours = divmod(hours, 24)
    if days < 10:
        return f"{days}d {hours}h"
    return f"{days}d{hours:02d}h" if days < 100 else f"{days}d"
