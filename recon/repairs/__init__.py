"""Puts right what is not there, records and holds, by plans of a kind of their own."""

from typing import TYPE_CHECKING

from recon.core.door import names_from

if TYPE_CHECKING:
    from recon.repairs.apply import RepairOptions, RepairPorts, RepairReport, apply_repair, resume_repair
    from recon.repairs.deeds import Deed
    from recon.repairs.plan import RepairPlan
    from recon.repairs.undo import plan_repair_undo

__all__ = [
    "Deed",
    "RepairOptions",
    "RepairPlan",
    "RepairPorts",
    "RepairReport",
    "apply_repair",
    "plan_repair_undo",
    "resume_repair",
]

__getattr__ = names_from(
    {
        "Deed": "recon.repairs.deeds",
        "RepairOptions": "recon.repairs.apply",
        "RepairPlan": "recon.repairs.plan",
        "RepairPorts": "recon.repairs.apply",
        "RepairReport": "recon.repairs.apply",
        "apply_repair": "recon.repairs.apply",
        "plan_repair_undo": "recon.repairs.undo",
        "resume_repair": "recon.repairs.apply",
    }
)
