"""Verdicts to changes: the plan a person reviews."""

from __future__ import annotations

from recon.planfile import (
    canonical_json,
    change_id,
    load_plan,
    parse_plan,
    plan_bytes,
    save_plan,
    seal_plan,
    select_changes,
    sha256_hex,
)

__all__ = [
    "canonical_json",
    "change_id",
    "load_plan",
    "parse_plan",
    "plan_bytes",
    "save_plan",
    "seal_plan",
    "select_changes",
    "sha256_hex",
]
