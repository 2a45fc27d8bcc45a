"""What reached the backend during an incident: access logs, deliveries and the first page."""

from typing import TYPE_CHECKING

from recon.core.door import names_from

if TYPE_CHECKING:
    from recon.investigation.incident.access_log import triage_access_log
    from recon.investigation.incident.first_page import first_page
    from recon.investigation.incident.replay import triage_deliveries
    from recon.investigation.incident.write_up import render_incident

__all__ = [
    "first_page",
    "render_incident",
    "triage_access_log",
    "triage_deliveries",
]

__getattr__ = names_from(
    {
        "first_page": "recon.investigation.incident.first_page",
        "render_incident": "recon.investigation.incident.write_up",
        "triage_access_log": "recon.investigation.incident.access_log",
        "triage_deliveries": "recon.investigation.incident.replay",
    }
)
