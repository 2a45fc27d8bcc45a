"""A break by the name of all it shows."""

from __future__ import annotations

from recon.core.canonical import canonical_json, sha256_hex
from recon.core.model import Finding


def fingerprint(finding: Finding) -> str:
    """Name a break with all it shows; age and severity grow by themselves and do not count."""
    shown = [
        finding.payment_id,
        finding.verdict,
        list(finding.findings),
        finding.difference_units,
        finding.value_units,
        [[view.field, view.local, view.provider, view.chain] for view in finding.fields],
        list(finding.evidence),
    ]
    return sha256_hex(canonical_json(shown))
