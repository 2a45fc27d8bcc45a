"""WHMCS as a source of claims, by its API of forms. It is read and never written.

``POST /includes/api.php`` answers 200 also where it refuses: only ``"result": "success"`` without a ``warning`` is an
answer. Lists have no filter by date and shift while invoices are made, so pages overlap, and the count must be the same
at the end. A payment of an old invoice shows only where that invoice is asked for; so silence in a window is no
"no", and each payment that a window does not show is looked up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

from recon.core.errors import ConfigError
from recon.core.registry import Registry
from recon.core.text import count_text
from recon.sources.http import Clock, Secret
from recon.sources.interface import ClaimKey, Coverage, Gap, Progress, Reading
from recon.sources.providers.claims import Said, failed_row, not_found_row, reading_of
from recon.sources.providers.polite import (
    Answer,
    CredentialsRefusedError,
    Manners,
    Phase,
    PoliteClient,
    ProviderUnusableError,
    error_text,
)
from recon.sources.providers.whmcs.answers import Row, each_once, listed_rows, moment_of, number_of
from recon.sources.providers.whmcs.claims import NAME, Reader, by_invoice, claim_of

if TYPE_CHECKING:
    import httpx

API_PATH: Final = "/includes/api.php"
PAGE_ROWS: Final = 100
OVERLAP: Final = 5
PAGES_MAX: Final = 2_000
_DAY_MS: Final = 86_400_000
_REFUSED: Final = ("authentication failed", "invalid ip", "invalid permissions", "invalid access key", "ip address")
_UNKNOWN: Final = ("invoice id not found", "invoice not found")


@dataclass(frozen=True, slots=True)
class WhmcsSettings:
    """Where WHMCS is and how it is asked.

    Args:
        zone: The zone of the installation, in which it writes every time.
        currencies: ISO 4217 codes of its invoices.
        accesskey: What lets a caller in whose address is not on its list; None where the address is.
        lookups_max: Single look-ups of one call to ``look_up``; the rest is answered ``failed``.
    """

    base_url: str
    identifier: Secret
    secret: Secret
    accesskey: Secret | None = None
    zone: str = "UTC"
    currencies: tuple[str, ...] = ("USD",)
    rate_per_s: float = 2.0
    lookups_max: int = 5_000
    timeout_s: float = 60.0
    call_deadline_s: float = 180.0
    deadline_s: float = 3600.0
    retries_max: int = 4
    pause_s: float = 60.0

    def __post_init__(self) -> None:
        if self.lookups_max < 1:
            raise ConfigError(f"{NAME}: lookups_max should be 1 or more and is {self.lookups_max}.")


@dataclass(frozen=True, slots=True)
class _Listed:
    """Rows of a list, and why they are not all of it."""

    rows: Sequence[Row]
    pages: int = 0
    problem: str | None = None


class Whmcs:
    """WHMCS, read only; a :class:`~recon.sources.interface.ClaimSource`."""

    name: str = NAME

    def __init__(
        self,
        settings: WhmcsSettings,
        *,
        registry: Registry,
        transport: httpx.BaseTransport | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.settings = settings
        self._clock = clock or Clock()
        self._reader = Reader(registry, ZoneInfo(settings.zone), settings.currencies)
        own = {"identifier": settings.identifier.reveal(), "secret": settings.secret.reveal()}
        if settings.accesskey is not None:
            own["accesskey"] = settings.accesskey.reveal()
        self._client = PoliteClient(
            source=NAME,
            base_url=settings.base_url,
            form=own,
            manners=Manners.of(settings),
            clock=self._clock,
            transport=transport,
        )

    def check(self) -> str:
        """Say in one sentence that it can be used.

        Raises:
            CredentialsRefusedError: It refuses the credential, its role, or the address that asks.
            ProviderUnusableError: It does not answer, or something else answers.
        """
        with self._client.phase() as phase:
            answer, problem = self._ask(phase, "GetInvoices", limitnum="1")
        if answer.kind == "refused":
            said = error_text(answer.body, secrets=self._client.secrets) or f"it answered {answer.status}"
            why = (
                f"{said}; it lets in only addresses on its list, or with an access key, and roles limit what is allowed"
            )
            raise CredentialsRefusedError(source=NAME, origin=self._client.origin, said=why)
        if problem:
            raise ProviderUnusableError(problem=problem, remedy="Check base_url and that WHMCS is up, then try again.")
        count = number_of(answer.body.get("totalresults"))
        return f"{NAME} at {self._client.origin} answers and has {count_text(count or 0, 'invoice')}."

    def read_window(self, from_ms: int, to_ms: int, *, progress: Progress) -> Reading:
        """Read the invoices dated in the window and all transactions; invoices first, so that no money looks lost."""
        with self._client.phase() as phase:
            invoices = self._invoices(phase, from_ms, progress)
            calls, wire = phase.calls, phase.wire_bytes
            moved = self._transactions(phase) if invoices.problem is None else _Listed((), problem=invoices.problem)
            at_ms = self._clock.now_ms()
            own = None if moved.problem else by_invoice(moved.rows)
            said = [
                claim_of(row, None if own is None else own.get(number_of(row.get("id")) or 0, []), **self._terms(at_ms))
                for row in invoices.rows
            ]
            coverage = [
                Coverage(
                    NAME, scope, complete=listed.problem is None, asked_from=from_ms, asked_to=to_ms,
                    done_from=None if listed.problem else from_ms, done_to=None if listed.problem else to_ms,
                    calls=calls_, wire_bytes=wire_, pages=listed.pages, items=len(listed.rows), problem=listed.problem,
                )
                for scope, listed, calls_, wire_ in (
                    ("invoices", invoices, calls, wire),
                    ("transactions", moved, phase.calls - calls, phase.wire_bytes - wire),
                )
            ]  # fmt: skip
        gaps = [Gap(NAME, row.scope, from_ms, to_ms, row.problem) for row in coverage if row.problem]
        return reading_of(said if invoices.problem is None else [], coverage=coverage, gaps=gaps)

    def look_up(self, keys: Sequence[ClaimKey], *, progress: Progress) -> Reading:
        """Ask for single invoices by their ids; every key gets one row: found, not_found or failed."""
        said: list[Said] = []
        with self._client.phase() as phase:
            for number, key in enumerate(keys, start=1):
                said.append(self._one(phase, key, is_asked=number <= self.settings.lookups_max))
                progress(NAME, number, len(keys))
        failed = [one for one in said if one.claim["outcome"] == "failed"]
        row = Coverage(
            NAME, "lookup", complete=not failed, calls=phase.calls, wire_bytes=phase.wire_bytes, items=len(keys),
            problem=str(failed[0].claim["error"]) if failed else None,
        )  # fmt: skip
        return reading_of(said, coverage=[row])

    def _terms(self, at_ms: int) -> dict[str, Any]:
        return {"reader": self._reader, "at_ms": at_ms}

    def _ask(self, phase: Phase, action: str, **fields: str) -> tuple[Answer, str | None]:
        """An answer, and why it is no success; a credential that is refused ends the phase."""
        answer = phase.post(API_PATH, {"action": action, "responsetype": "json", **fields})
        if answer.kind != "ok":
            return answer, answer.problem or "no answer"
        body, where = answer.body, f"{NAME} at {self._client.origin}"
        if not isinstance(body, dict):
            return answer, f"{where} answered {action} with no object."
        warning = error_text({"message": body.get("warning")}, secrets=self._client.secrets)
        if body.get("result") == "success" and not body.get("warning"):
            return answer, None
        said = error_text(body, secrets=self._client.secrets) or warning or "nothing that says success"
        problem = f"{where} answered {action} with {said!r}."
        if body.get("result") == "error" and any(word in said.lower() for word in _REFUSED):
            phase.stop(f"{problem} Nothing more was asked.")
            return replace(answer, kind="refused", problem=problem), problem
        return answer, problem

    # ------------------------------------------------------------------------------------------------------- windows

    def _invoices(self, phase: Phase, from_ms: int, progress: Progress) -> _Listed:
        """The invoices from the newest to the first that is older than the window, each once."""
        found: dict[int, Row] = {}
        total: int | None = None
        start = 0
        for pages in range(1, PAGES_MAX + 1):
            rows, count, problem = self._page(phase, start)
            problem = problem or self._odd_page(rows, count, total=total, found=found, is_first=pages == 1)
            if problem is not None:
                return _Listed((), pages, problem)
            total = count
            found.update({number_of(row.get("id")) or 0: row for row in rows})
            progress(NAME, len(found), total)
            if len(found) >= count or self._is_older(rows, from_ms):
                return _Listed(tuple(found.values()), pages)
            if len(rows) <= OVERLAP:
                told = f"{NAME} counts {count_text(count, 'invoice')} and gave {len(found)}, so some are missing."
                return _Listed((), pages, told)
            start += len(rows) - OVERLAP
        return _Listed((), PAGES_MAX, f"{NAME} has more than {PAGES_MAX} pages of invoices; choose a shorter window.")

    def _page(self, phase: Phase, start: int) -> tuple[list[Row], int, str | None]:
        """One page of invoices, the newest first, and how many there are; why it is none."""
        fields = {"limitstart": str(start), "limitnum": str(PAGE_ROWS), "orderby": "date", "order": "desc"}
        answer, problem = self._ask(phase, "GetInvoices", **fields)
        if problem is not None:
            return [], 0, problem
        rows = listed_rows(answer.body, outer="invoices", inner="invoice")
        count = number_of(answer.body.get("totalresults"))
        if rows is None or count is None:
            return [], 0, f"{NAME} at {self._client.origin} answered without a list of invoices and its count."
        return rows, count, None

    def _odd_page(
        self, rows: list[Row], count: int, *, total: int | None, found: Mapping[int, Row], is_first: bool
    ) -> str | None:
        """Why a page does not continue the one before it."""
        ids = [number_of(row.get("id")) for row in rows]
        if None in ids:
            return f"{NAME} gave an invoice without an id."
        if total is not None and count != total:
            return f"{NAME} had {count_text(total, 'invoice')} when the list began and {count} later: it shifted."
        if not is_first and not any(each in found for each in ids):
            return f"{NAME}: a page of invoices does not overlap the one before it: the list shifted."
        return None

    def _is_older(self, rows: Sequence[Row], from_ms: int) -> bool:
        """Whether a page ends before the window; a day is wide, and one that cannot be read says nothing."""
        last = moment_of(rows[-1].get("date"), zone=self._reader.zone) if rows else None
        return last is not None and last + _DAY_MS < from_ms

    def _transactions(self, phase: Phase) -> _Listed:
        """All transactions: the list has no pages and no filter by time."""
        answer, problem = self._ask(phase, "GetTransactions")
        rows = None if problem else listed_rows(answer.body, outer="transactions", inner="transaction")
        if problem or rows is None:
            said = problem or f"{NAME} at {self._client.origin} answered without a list of transactions."
            return _Listed((), 1, said)
        count = number_of(answer.body.get("totalresults"))
        if count is not None and count != len(rows):
            return _Listed((), 1, f"{NAME} counts {count_text(count, 'transaction')} and gave {len(rows)}.")
        once = each_once(rows)
        if once is None:
            return _Listed((), 1, f"{NAME} lists two different transactions under one id.")
        return _Listed(once, 1)

    # ------------------------------------------------------------------------------------------------------- look-ups

    def _one(self, phase: Phase, key: ClaimKey, *, is_asked: bool) -> Said:
        if not is_asked:
            return self._failed(key, f"not asked: more than {self.settings.lookups_max} look-ups (lookups_max)")
        invoice_id = number_of(key.external_id)
        if invoice_id is None:
            return self._failed(key, "there is no invoice number to ask by")
        answer, problem = self._ask(phase, "GetInvoice", invoiceid=str(invoice_id))
        if problem is None:
            return self._read(key, invoice_id, answer.body)
        if answer.kind in ("ok", "not_found") and self._says_unknown(answer.body):
            at_ms = self._clock.now_ms()
            return Said(not_found_row(NAME, key, claim_id=str(key.external_id), at_ms=at_ms, kind="invoice"))
        return self._failed(key, problem)

    def _says_unknown(self, body: Any) -> bool:
        said = error_text(body).lower()
        return isinstance(body, dict) and body.get("result") == "error" and any(word in said for word in _UNKNOWN)

    def _read(self, key: ClaimKey, invoice_id: int, body: Row) -> Said:
        if number_of(body.get("invoiceid", body.get("id"))) != invoice_id:
            return self._failed(key, "the answer is about another invoice")
        listed = listed_rows(body, outer="transactions", inner="transaction")
        moved = None if listed is None else each_once(listed)
        said = claim_of({**_plain(body), "id": invoice_id}, moved, **self._terms(self._clock.now_ms()))
        return replace(said, claim={**said.claim, "external_id": key.external_id})

    def _failed(self, key: ClaimKey, reason: str) -> Said:
        name = key.external_id or key.request_id or key.reference or key.payment_id
        return Said(failed_row(NAME, key, claim_id=name, reason=reason, at_ms=self._clock.now_ms(), kind="invoice"))


def _plain(body: Row) -> Row:
    """An answer about one invoice without the lists in it, which are read by themselves."""
    return {name: value for name, value in body.items() if isinstance(value, str | int) and "[" not in name}
