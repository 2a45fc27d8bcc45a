"""Tables that people fill in with a spreadsheet: written as CSV or Excel, and read back as they come."""

from typing import TYPE_CHECKING

from recon.core.door import names_from

if TYPE_CHECKING:
    from recon.reports.sheets.decisions import DecisionWord, RowDecision, decision_sheet, decisions_of
    from recon.reports.sheets.given import read_sheet, sheet_data
    from recon.reports.sheets.model import SheetColumn, SheetError
    from recon.reports.sheets.written import sheet_bytes

__all__ = [
    "DecisionWord",
    "RowDecision",
    "SheetColumn",
    "SheetError",
    "decision_sheet",
    "decisions_of",
    "read_sheet",
    "sheet_bytes",
    "sheet_data",
]

__getattr__ = names_from(
    {
        "DecisionWord": "recon.reports.sheets.decisions",
        "RowDecision": "recon.reports.sheets.decisions",
        "SheetColumn": "recon.reports.sheets.model",
        "SheetError": "recon.reports.sheets.model",
        "decision_sheet": "recon.reports.sheets.decisions",
        "decisions_of": "recon.reports.sheets.decisions",
        "read_sheet": "recon.reports.sheets.given",
        "sheet_bytes": "recon.reports.sheets.written",
        "sheet_data": "recon.reports.sheets.given",
    }
)
