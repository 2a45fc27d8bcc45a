"""Any result as one report, shown in a terminal, as JSON, CSV, Markdown, a page or frames."""

from typing import TYPE_CHECKING

from recon.core.door import names_from

if TYPE_CHECKING:
    from recon.reports.model import Column, Fact, Report, Table
    from recon.reports.render import Format, print_report, render_report
    from recon.reports.views.plan import render_payment, render_plan, render_review

__all__ = [
    "Column",
    "Fact",
    "Format",
    "Report",
    "Table",
    "print_report",
    "render_payment",
    "render_plan",
    "render_report",
    "render_review",
]

__getattr__ = names_from(
    {
        "Column": "recon.reports.model",
        "Fact": "recon.reports.model",
        "Format": "recon.reports.render",
        "Report": "recon.reports.model",
        "Table": "recon.reports.model",
        "print_report": "recon.reports.render",
        "render_payment": "recon.reports.views.plan",
        "render_plan": "recon.reports.views.plan",
        "render_report": "recon.reports.render",
        "render_review": "recon.reports.views.plan",
    }
)
