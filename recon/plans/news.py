"""Which breaks of a plan are news: not seen before, and accepted by nobody."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from recon.core.model import Finding
from recon.plans.breaks import fingerprint
from recon.plans.limits import parse_time

if TYPE_CHECKING:
    from recon.plans.approvals import Ack


@dataclass(frozen=True, slots=True)
class SortedBreaks:
    """Breaks by how much news they are; only ``new`` counts for a nightly job's exit code."""

    new: tuple[Finding, ...]
    known: tuple[Finding, ...]
    acknowledged: tuple[Finding, ...]


def sort_breaks(breaks: Iterable[Finding], *, acks: Iterable[Ack], known: Iterable[str], now: datetime) -> SortedBreaks:
    """Tell new breaks from known and acknowledged ones, each in the given order.

    Args:
        known: Fingerprints of the breaks of an earlier report.
    """
    held = [ack for ack in acks if not ack.void]
    valid = {ack.fingerprint for ack in held if parse_time(ack.until, what="acknowledgement's end") > now}
    seen = set(known)
    new: list[Finding] = []
    old: list[Finding] = []
    accepted: list[Finding] = []
    for finding in breaks:
        mark = fingerprint(finding)
        (accepted if mark in valid else old if mark in seen else new).append(finding)
    return SortedBreaks(tuple(new), tuple(old), tuple(accepted))
