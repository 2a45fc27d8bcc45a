"""What files say of payments that stand in a live store: bank statements and exports in place of a provider's API.

Files end where they were made, and a live store goes on. So the silence of files is a "no" only for a payment that was
made and last changed while they are whole; of any later one nobody has asked. That the newest days are missing is
usual: a bank tells of a day on the next. Only when they miss for longer is the reading not complete.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from recon.core.registry.off_chain import currencies_in, with_books
from recon.core.times import from_ms
from recon.sources.exports.claims import ClaimTerms, ExportedClaims, claims_said
from recon.sources.exports.mapping import ClaimsSection, MappingError
from recon.sources.exports.statements import proven_window, statement_cells
from recon.sources.exports.windows import unread
from recon.sources.interface import ClaimKey, Coverage, Gap, Progress, Reading, no_progress
from recon.sources.providers.claims import Row, failed_row, not_found_row, reading_of
from recon.sources.providers.provider import Provider

LAG_MAX_MS: Final = 4 * 86_400_000
"""The newest days that may be missing: a weekend between two bank holidays."""


def live_claims(sections: Sequence[ClaimsSection], provider: Provider, *, terms: ClaimTerms) -> LiveClaims:
    """What the files of one provider say now; read whole.

    Args:
        terms: With the time now as when the files were taken.

    Raises:
        MappingError: A file cannot be read or lacks a column, or a table does not say when it ends.
        BadRowsError: Cells cannot be read exactly.
    """
    _check_ends(sections)
    known = replace(terms, registry=with_books(terms.registry, currencies_in(_currencies(sections, terms))))
    taken_at = from_ms(terms.taken_ms)
    proven = [proven_window(each, each.complete, home=terms.home, taken_at=taken_at) for each in sections]
    said = claims_said(sections, provider, terms=known)
    terms.faults.check()
    return LiveClaims(
        provider,
        said,
        windows=[window for each in proven for window in each.windows],
        made_at={},
        taken_ms=terms.taken_ms,
        doubts=[doubt for each in proven for doubt in each.doubts],
    )


def _check_ends(sections: Sequence[ClaimsSection]) -> None:
    """Refuse a table that is said to be whole and not until when."""
    for each in sections:
        if each.format == "table" and each.complete is not None and each.complete.to_at is None:
            why = "complete needs 'to', the moment of the export: a live store goes on after it"
            raise MappingError(path=each.file, why=why)


def _currencies(sections: Sequence[ClaimsSection], terms: ClaimTerms) -> set[str]:
    """The currencies of bank statements, whether a configuration names them or not."""
    cells = (statement_cells(each, home=terms.home) for each in sections if each.format != "table")
    return {own["currency"] for each in cells for _, own in each}


@dataclass(frozen=True, slots=True)
class _Missing:
    """What of a window files do not cover, without the newest days that are usually missing."""

    gaps: Sequence[tuple[int, int]]
    ends_ms: int | None


class LiveClaims(ExportedClaims):
    """A provider whose objects come from files, beside a store that goes on."""

    def read_window(self, from_ms: int, to_ms: int, *, progress: Progress = no_progress) -> Reading:
        """Everything that the files hold, whatever the window is, and how far they reach into it."""
        missing = self._missing(from_ms, to_ms)
        problem = self._problem() if missing.gaps else None
        row = Coverage(
            self.name, "files", complete=not missing.gaps, asked_from=from_ms, asked_to=to_ms,
            done_from=None if missing.gaps else from_ms, done_to=None if missing.gaps else missing.ends_ms,
            items=len(self._said), problem=problem,
        )  # fmt: skip
        gaps = [Gap(self.name, "files", begin, end, str(problem)) for begin, end in missing.gaps]
        return reading_of(self._said, coverage=[row], gaps=gaps)

    def _missing(self, from_ms: int, to_ms: int) -> _Missing:
        gaps = unread(self._whole, asked=(from_ms, to_ms))
        ends_ms = max((end for _, end in self._whole if end > from_ms), default=None)
        if ends_ms is not None and gaps and gaps[-1] == (ends_ms, to_ms) and to_ms - ends_ms <= LAG_MAX_MS:
            gaps = gaps[:-1]
        return _Missing(gaps, ends_ms)

    def _silence(self, key: ClaimKey) -> Row:
        """A "no" where a payment was made and last changed while the files are whole."""
        made, changed = key.created_at, key.updated_at or key.created_at
        name = key.external_id or key.request_id or key.reference or key.payment_id
        is_told = any(
            made is not None and changed is not None and begin <= made and max(made, changed) < end
            for begin, end in self._whole
        )
        if is_told:
            return not_found_row(self.name, key, claim_id=name, at_ms=self._taken_ms, kind=self._object)
        reason = "the files do not hold it, and it was made or changed at a time for which they are not whole"
        return failed_row(self.name, key, claim_id=name, reason=reason, at_ms=self._taken_ms, kind=self._object)
