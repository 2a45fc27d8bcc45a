"""Opens the flags, gates and rollout of a configuration; each of its modules opens one of them."""

from typing import TYPE_CHECKING

from recon.core.door import names_from

if TYPE_CHECKING:
    from recon.setup.open_flags import (
        backend_reconciles,
        flag_home,
        flag_patch,
        flag_path,
        flag_setup,
        flag_status,
        flag_status_or_doubt,
        open_flags,
    )
    from recon.setup.open_gates import read_evidence, sample_candidates
    from recon.setup.open_probes import backend_probes, open_prober
    from recon.setup.open_rollout import count_backlog, look_around, measure_blast

__all__ = [
    "backend_probes",
    "backend_reconciles",
    "count_backlog",
    "flag_home",
    "flag_patch",
    "flag_path",
    "flag_setup",
    "flag_status",
    "flag_status_or_doubt",
    "look_around",
    "measure_blast",
    "open_flags",
    "open_prober",
    "read_evidence",
    "sample_candidates",
]

__getattr__ = names_from(
    {
        "backend_probes": "recon.setup.open_probes",
        "backend_reconciles": "recon.setup.open_flags",
        "count_backlog": "recon.setup.open_rollout",
        "flag_home": "recon.setup.open_flags",
        "flag_patch": "recon.setup.open_flags",
        "flag_path": "recon.setup.open_flags",
        "flag_setup": "recon.setup.open_flags",
        "flag_status": "recon.setup.open_flags",
        "flag_status_or_doubt": "recon.setup.open_flags",
        "look_around": "recon.setup.open_rollout",
        "measure_blast": "recon.setup.open_rollout",
        "open_flags": "recon.setup.open_flags",
        "open_prober": "recon.setup.open_probes",
        "read_evidence": "recon.setup.open_gates",
        "sample_candidates": "recon.setup.open_gates",
    }
)
