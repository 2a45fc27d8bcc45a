"""From a judged snapshot to the plan that a person reviews."""

from typing import TYPE_CHECKING

from recon.core.door import names_from

if TYPE_CHECKING:
    from recon.plans.approvals import DecisionRecords
    from recon.plans.file import load_plan, save_plan
    from recon.plans.limits import Limits
    from recon.plans.make import make_plan
    from recon.plans.picking import Pick, select_changes

__all__ = [
    "DecisionRecords",
    "Limits",
    "Pick",
    "load_plan",
    "make_plan",
    "save_plan",
    "select_changes",
]

__getattr__ = names_from(
    {
        "DecisionRecords": "recon.plans.approvals",
        "Limits": "recon.plans.limits",
        "Pick": "recon.plans.picking",
        "load_plan": "recon.plans.file",
        "make_plan": "recon.plans.make",
        "save_plan": "recon.plans.file",
        "select_changes": "recon.plans.picking",
    }
)
