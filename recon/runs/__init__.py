"""Carries out exactly a reviewed plan, remembers it, and takes it back."""

from typing import TYPE_CHECKING

from recon.core.door import names_from

if TYPE_CHECKING:
    from recon.runs.apply import ApplyOptions, RunReport, apply_plan, resume_run
    from recon.runs.undo import plan_undo

__all__ = [
    "ApplyOptions",
    "RunReport",
    "apply_plan",
    "plan_undo",
    "resume_run",
]

__getattr__ = names_from(
    {
        "ApplyOptions": "recon.runs.apply",
        "RunReport": "recon.runs.apply",
        "apply_plan": "recon.runs.apply",
        "plan_undo": "recon.runs.undo",
        "resume_run": "recon.runs.apply",
    }
)
