"""One payment as a page: its timeline by source, the money of each side, and the depth of its transfers."""

from __future__ import annotations

from typing import Final

from recon.core.money import decimal_amount, whole_tokens
from recon.core.text import group_digits
from recon.investigation.payment import Inspection
from recon.investigation.payment.dossier import Judged, claims_of
from recon.reports.pages.page import Chart, Page
from recon.reports.pages.pictures import DEPTHS
from recon.reports.text import amount_text, display_text
from recon.reports.views.inspection import render_inspection

_CARDS: Final = ("cause", "next", "verdict", "amount")
_TRANSFERS_MAX: Final = 12


def case_page(found: Inspection) -> Page:
    """An inspection with its pictures; without a payment there is nothing to draw."""
    report = render_inspection(found)
    if found.judged is None:
        return Page(report, lists=report.tables)
    charts = (_happened(found), _money(found, found.judged), _depth(found, found.judged))
    return Page(
        report, charts=tuple(chart for chart in charts if chart is not None), lists=report.tables, cards=_CARDS
    )  # fmt: skip


def _happened(found: Inspection) -> Chart | None:
    """Every event in the lane of who tells of it."""
    if not found.timeline:
        return None
    lanes = list(dict.fromkeys(event.source for event in found.timeline))
    points = [
        {"at": event.at_ms, "lane": lanes.index(event.source), "text": display_text(event.says, length_max=300)}
        for event in found.timeline
    ]
    data = {"lanes": [display_text(lane) for lane in lanes], "points": points, "now": found.dossier.now_ms}
    return Chart("timeline", "What happened, and who says so", "lanes", data, "UTC. The line is when it was looked at.")


def _money(found: Inspection, judged: Judged) -> Chart | None:
    """What is due beside what the provider and the chain say came."""
    row, finding = judged.row, judged.finding
    decimals = finding.decimals
    if decimals is None or row["expected_units"] is None:
        return None
    symbol = display_text(finding.symbol or "?")
    sums: list[tuple[str, int | None]] = [
        ("due", row["expected_units"]),
        ("provider says", _paid_units(found, judged)),
        ("came on chain", row["received"]),
        ("final on chain", row["received_final"]),
    ]
    texts = [
        "says nothing" if units is None else group_digits(amount_text(int(units), decimals=decimals, symbol=symbol))
        for _, units in sums
    ]
    values = [decimal_amount(whole_tokens(int(units or 0), decimals=decimals)) for _, units in sums]
    series = [{"name": symbol, "values": values, "texts": texts, "colour": "accent"}]
    data = {"categories": [name for name, _ in sums], "series": series}
    return Chart("money", "Due and paid", "money", data, "Only money that fits the payment is counted.")


def _paid_units(found: Inspection, judged: Judged) -> int | None:
    """The most that a provider object of the payment says was paid; None where none says anything."""
    claims = claims_of(judged.row, found.dossier.rows("claims"))
    return max((int(claim["paid_units"]) for claim in claims if claim["paid_units"] is not None), default=None)


def _depth(found: Inspection, judged: Judged) -> Chart | None:
    """The depth of its transfers against the backend's own minimum."""
    policy = found.dossier.policy
    rows = {(row["chain_id"], row["tx_hash"], row["log_index"]): row for row in found.dossier.rows("transfers")}
    told = []
    for link in judged.links[:_TRANSFERS_MAX]:
        depth = rows.get((link["t_chain"], link["t_tx"], link["t_log"]), {}).get("confirmations")
        if depth is not None:
            least = policy.confirmations_of(link["t_chain"])
            kind = 2 if link["t_final"] else 1 if depth >= least else 0
            told.append((f"{display_text(link['t_tx'])[:10]}…:{link['t_log']}, needs {least}", kind, int(depth)))
    if not told:
        return None
    series = [
        {"name": name, "values": [depth if kind == at else 0 for _, kind, depth in told]}
        for at, name in enumerate(DEPTHS)
    ]  # fmt: skip
    data = {"categories": [label for label, _, _ in told], "series": series, "overlaid": True}
    note = "Transfers that its hash, reference or address lead to."
    return Chart("depth", "Confirmations against the threshold", "depth", data, note)
