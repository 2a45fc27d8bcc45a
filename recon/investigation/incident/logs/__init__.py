"""Reads web server logs of many makes as requests: who asked for what, when, and what was answered."""

from typing import TYPE_CHECKING

from recon.core.door import names_from

if TYPE_CHECKING:
    from recon.investigation.incident.logs.given import parse_log_format
    from recon.investigation.incident.logs.lines import LineReader
    from recon.investigation.incident.logs.reader import LogReader

__all__ = [
    "LineReader",
    "LogReader",
    "parse_log_format",
]

__getattr__ = names_from(
    {
        "LineReader": "recon.investigation.incident.logs.lines",
        "LogReader": "recon.investigation.incident.logs.reader",
        "parse_log_format": "recon.investigation.incident.logs.given",
    }
)
