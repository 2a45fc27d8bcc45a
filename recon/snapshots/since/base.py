"""Reading only what can have changed since an earlier snapshot, so that a daily run costs what the day costs.

What is kept of the earlier snapshot, and why that is right:

========= ============================================================================================================
payments  closed rows that were benign and whose ``updatedAt`` is older than the snapshot; every other row is read
          anew, and the database's own count of the older rows must agree, or all are read
claims    objects the provider called paid or refunded a day or more before the snapshot and that got no payment since;
          a provider that cannot be asked for single objects of its bulk reading is read whole
transfers those in blocks that were final: the non-final tail and everything after it is scanned anew, addresses that
          are new are scanned from their first payment on, and the newest kept transaction must still be in its block
========= ============================================================================================================

It rests on the backend moving ``updatedAt`` with every write, on final blocks staying final, and on a provider not
taking back a settled payment without a new one. Whatever cannot be shown to be unchanged is read whole; a full run is
the check of all that.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from recon.core.errors import RefusedError
from recon.core.model import Policy, Target
from recon.core.registry import Registry
from recon.snapshots.needs import needs_of
from recon.snapshots.sealed import Snapshot
from recon.snapshots.since.chain import ChainSince, EarlyAddresses
from recon.snapshots.since.claims import CLAIMS_OVERLAP_MS, ClaimsSince, ObjectReader
from recon.snapshots.since.payments import PaymentsSince
from recon.snapshots.since.tables import BlockSpan, KeptTables
from recon.sources.interface import (
    ChainQuestion,
    ChainSource,
    ClaimSource,
    DocumentStore,
    Progress,
    Reading,
    Selection,
)

if TYPE_CHECKING:
    from recon.sources.payments.read import RowRules

_OWN_FILTERS: Final = ("providers", "statuses", "ids", "open_only")
_FIRST_PAYMENTS: Final = """
select recipient, min(created_at) from read_parquet($1) where recipient in (select unnest($2)) group by 1
"""


class SinceError(RefusedError):
    """A snapshot cannot be the base of an incremental run."""

    def __init__(self, *, path: Path, why: str) -> None:
        super().__init__(f"{path.name} cannot be built upon: {why}. Leave out --since, which reads everything.")


class Base:
    """An earlier snapshot that a new one is built upon. Every method gives None for what has to be read whole.

    Args:
        basis: What readings depend on now, :func:`recon.snapshots.unfinished.reading_basis`.
        now_ms: As of when is read now.

    Raises:
        SinceError: It is of another target, was read under another configuration, or is newer than now.
    """

    def __init__(
        self, snapshot: Snapshot, *, basis: str, target: Target, policy: Policy, registry: Registry, now_ms: int
    ) -> None:
        if snapshot.target != target:
            raise SinceError(path=snapshot.path, why="it was taken of another target")
        if snapshot.manifest.get("basis") != basis:
            raise SinceError(path=snapshot.path, why="it was taken by another version or under another configuration")
        if snapshot.taken_at_ms > now_ms:
            raise SinceError(path=snapshot.path, why="it is newer than this run")
        self.snapshot, self.policy, self.now_ms = snapshot, policy, now_ms
        self.taken_at_ms = snapshot.taken_at_ms
        self._needs = needs_of(snapshot.file("payments"), now_ms=self.taken_at_ms, policy=policy, registry=registry)
        self._coverage: list[dict[str, Any]] = snapshot.table("coverage").to_pylist()
        self._gaps: list[dict[str, Any]] = snapshot.table("gaps").to_pylist()

    def payments(
        self, store: DocumentStore, *, selection: Selection, out: Path, rules: RowRules, progress: Progress
    ) -> tuple[Reading, int] | None:
        """Write the payments of a window to ``out``, reading those that may have changed; with how many they are."""
        count = getattr(store, "count", None)
        if count is None or not self._has_window(selection) or not self._whole("payments", ("window",)):
            return None
        with KeptTables(self.snapshot) as tables:
            kept = PaymentsSince(
                tables, selection, taken_at_ms=self.taken_at_ms, skew_ms=self.policy.clock_skew_ms, out=out
            )
            return kept.read(store, rules=rules, progress=progress)

    def claims(self, source: ClaimSource, *, from_ms: int, progress: Progress) -> Reading | None:
        """What a provider says: what settled before stays, the last days and what is open are read."""
        window_from = self.taken_at_ms - CLAIMS_OVERLAP_MS
        rows = self._whole(source.name, ("bulk",))
        if not isinstance(source, ObjectReader) or not rows or window_from <= from_ms:
            return None
        if any(row["asked_from"] is None or row["asked_from"] > from_ms for row in rows):
            return None
        with KeptTables(self.snapshot) as tables:
            kept = ClaimsSince(tables, source, from_ms=from_ms, window_from=window_from, now_ms=self.now_ms)
            return kept.read(progress=progress)

    def chain(
        self, source: ChainSource, *, question: ChainQuestion, payments: Path, progress: Progress
    ) -> Reading | None:
        """What a chain shows: transfers in blocks that were final stay, the rest is scanned."""
        name = f"chain:{source.chain_id}"
        rows = self._whole(name, ("proxy", "erc20"))
        if not rows or any(row["final_head"] is None or row["asked_from"] is None for row in rows):
            return None
        final_head, first = min(row["final_head"] for row in rows), max(row["asked_from"] for row in rows)
        with KeptTables(self.snapshot) as tables:
            reading = ChainSince(tables, question, source.chain_id, head=rows[0]["head"])
            known = BlockSpan(first, reading.last_final(final_head))
            if known.last < known.first:
                return None
            early = self._early(question, payments, asked_before=self._needs.recipients.get(source.chain_id, ()))
            return reading.read(source, known=known, early=early, progress=progress)

    def _has_window(self, selection: Selection) -> bool:
        """Whether the earlier snapshot held every payment of this window that was there then."""
        old = self.snapshot.manifest["selection"]
        if selection.date_field != "created" or old["date"] != "created":
            return False
        if any(getattr(selection, name) or old[name] for name in _OWN_FILTERS):
            return False
        from_at, to_at = (None if old[name] is None else datetime.fromisoformat(old[name]) for name in ("from", "to"))
        return _began_before(from_at, selection.from_at) and (
            _ended_after(to_at, selection.to_at) or (to_at is not None and to_at.timestamp() * 1000 >= self.taken_at_ms)
        )

    def _whole(self, source: str, scopes: Iterable[str]) -> list[dict[str, Any]]:
        """The coverage rows of a source that was read without a gap; none when there is one."""
        rows = [row for row in self._coverage if row["source"] == source and row["scope"] in scopes]
        has_gap = any(gap["source"] == source for gap in self._gaps)
        return [] if has_gap or not all(row["complete"] for row in rows) else rows

    def _early(self, question: ChainQuestion, payments: Path, *, asked_before: Sequence[str]) -> EarlyAddresses | None:
        """Addresses nobody asked about before, and since when their payments are; None when the scan shows them all."""
        import duckdb

        new = sorted(set(question.recipients) - set(asked_before))
        with duckdb.connect() as connection:
            made = connection.execute(_FIRST_PAYMENTS, [str(payments), new]).fetchall()
        skew = self.policy.clock_skew_ms
        since = {recipient: question.from_ms if at is None else at - skew for recipient, at in made}
        early = {recipient: since.get(recipient, question.from_ms) for recipient in new}
        early = {recipient: at for recipient, at in early.items() if at < self.taken_at_ms}
        return EarlyAddresses(max(question.from_ms, min(early.values())), tuple(early)) if early else None


def _began_before(old: datetime | None, wanted: datetime | None) -> bool:
    """Whether a window begins no later than the wanted one; without a moment it has no beginning."""
    return old is None or (wanted is not None and old <= wanted)


def _ended_after(old: datetime | None, wanted: datetime | None) -> bool:
    """Whether a window ends no earlier than the wanted one; without a moment it has no end."""
    return old is None or (wanted is not None and wanted <= old)
