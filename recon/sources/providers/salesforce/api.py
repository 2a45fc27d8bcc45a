"""Salesforce as a source of claims, by its query API. It is read and never written.

A window is the orders that were made in it, deleted ones too; it is complete when as many came as were counted. An
order may have been made long before its row, so silence in a window is no "no": each payment that it does not show is
asked for by its id, two hundred at a time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from recon.core.errors import ConfigError
from recon.core.text import count_text
from recon.sources.http import Clock
from recon.sources.interface import ClaimKey, Coverage, Gap, Progress, Reading
from recon.sources.providers.claims import Said, failed_row, iso_of, not_found_row, reading_of
from recon.sources.providers.polite import CredentialsRefusedError, Manners, ProviderUnusableError
from recon.sources.providers.salesforce.login import LoginTerms
from recon.sources.providers.salesforce.orders import NAME, OrderReader, whole_id
from recon.sources.providers.salesforce.session import Session, Work

if TYPE_CHECKING:
    import httpx

IDS_A_CALL: Final = 200
PAGES_MAX: Final = 5_000
_NEXT: Final = re.compile(r"/services/data/v[0-9]{2,3}\.0/query(All)?/[A-Za-z0-9_-]{1,100}\Z")

Order = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SalesforceSettings:
    """Where Salesforce is and how it is asked.

    Args:
        base_url: The address of its own domain, which gives tokens and answers.
        login: What a token is asked for with.
        quota_share_max_percent: Once so many percent of the calls of the day are used, no more is asked.
        lookups_max: Orders of one call to ``look_up``; the rest is answered ``failed``.
    """

    base_url: str
    login: LoginTerms
    api_version: str = "62.0"
    quota_share_max_percent: int = 80
    rate_per_s: float = 5.0
    lookups_max: int = 100_000
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
    """Orders of a query by their whole ids, and why they are not all of it."""

    orders: Mapping[str, Order]
    pages: int = 0
    problem: str | None = None


class Salesforce:
    """Salesforce, read only; a :class:`~recon.sources.interface.ClaimSource`."""

    name: str = NAME

    def __init__(
        self,
        settings: SalesforceSettings,
        *,
        reader: OrderReader,
        transport: httpx.BaseTransport | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.settings = settings
        self._reader = reader
        self._clock = clock or Clock()
        self._session = Session(
            source=NAME,
            base_url=settings.base_url,
            login=settings.login,
            manners=Manners.of(settings),
            clock=self._clock,
            quota_share_max_percent=settings.quota_share_max_percent,
            transport=transport,
        )

    def check(self) -> str:
        """Say in one sentence that it can be used.

        Raises:
            CredentialsRefusedError: It gives no token, or refuses it.
            ProviderUnusableError: It does not answer, something else answers, or a field of the settings is not there.
        """
        with self._session.work() as work:
            listed = self._listed(work, "LIMIT 1")
        if listed.problem and work.is_refused:
            raise CredentialsRefusedError(source=NAME, origin=self._session.origin, said=listed.problem)
        if listed.problem:
            remedy = f"Check base_url and the fields of [{NAME}], then try again."
            raise ProviderUnusableError(problem=listed.problem, remedy=remedy)
        usage = self._session.usage
        used = "" if usage is None else f"; {usage[0]} of {usage[1]} calls of the day are used"
        return f"{NAME} at {self._session.origin} answers and shows the fields that are asked for{used}."

    def read_window(self, from_ms: int, to_ms: int, *, progress: Progress) -> Reading:
        """Read the orders that were made in the window, and those of them that were deleted since."""
        where = f"WHERE CreatedDate >= {iso_of(from_ms)} AND CreatedDate < {iso_of(to_ms)} ORDER BY CreatedDate, Id"
        with self._session.work() as work:
            listed = self._listed(work, where, progress=progress)
        at_ms, problem = self._clock.now_ms(), listed.problem
        said = [self._reader.claim(order, external_id=name, at_ms=at_ms) for name, order in listed.orders.items()]
        row = Coverage(
            NAME, "orders", complete=problem is None, asked_from=from_ms, asked_to=to_ms,
            done_from=None if problem else from_ms, done_to=None if problem else to_ms,
            calls=work.calls, wire_bytes=work.wire_bytes, pages=listed.pages, items=len(said), problem=problem,
        )  # fmt: skip
        gaps = [Gap(NAME, "orders", from_ms, to_ms, problem)] if problem else []
        return reading_of(said if problem is None else [], coverage=[row], gaps=gaps)

    def look_up(self, keys: Sequence[ClaimKey], *, progress: Progress) -> Reading:
        """Ask for orders by their ids; every key gets one row: found, not_found or failed."""
        said: list[Said] = []
        asked: list[tuple[str, ClaimKey]] = []
        for key in keys:
            name = whole_id(key.external_id)
            if name is None:
                said.append(self._failed(key, "what it has as its order is no id of one (15 or 18 characters)"))
            else:
                asked.append((name, key))
        with self._session.work() as work:
            for begin in range(0, min(len(asked), self.settings.lookups_max), IDS_A_CALL):
                end = min(begin + IDS_A_CALL, self.settings.lookups_max)
                said += self._some(work, asked[begin:end])
                progress(NAME, min(end, len(asked)), len(asked))
        reason = f"not asked: more than {self.settings.lookups_max} look-ups (lookups_max)"
        said += [self._failed(key, reason) for _, key in asked[self.settings.lookups_max :]]
        failed = [one for one in said if one.claim["outcome"] == "failed"]
        row = Coverage(
            NAME, "lookup", complete=not failed, calls=work.calls, wire_bytes=work.wire_bytes, items=len(keys),
            problem=str(failed[0].claim["error"]) if failed else None,
        )  # fmt: skip
        return reading_of(said, coverage=[row])

    def _some(self, work: Work, asked: Sequence[tuple[str, ClaimKey]]) -> Iterator[Said]:
        """What is known of some orders, in one query."""
        names = sorted({name for name, _ in asked})
        listed = self._listed(work, f"WHERE Id IN ({', '.join(repr(name) for name in names)})")
        problem = listed.problem
        if problem is None and not listed.orders.keys() <= {*names}:
            problem = f"{NAME} at {self._session.origin} tells of orders that it was not asked about."
        at_ms = self._clock.now_ms()
        for name, key in asked:
            if problem is not None:
                yield self._failed(key, problem)
            elif name in listed.orders:
                yield self._reader.claim(listed.orders[name], external_id=str(key.external_id), at_ms=at_ms)
            else:
                row = not_found_row(NAME, key, claim_id=str(key.external_id), at_ms=at_ms, kind="order")
                yield Said(row)

    def _failed(self, key: ClaimKey, reason: str) -> Said:
        name = key.external_id or key.request_id or key.reference or key.payment_id
        return Said(failed_row(NAME, key, claim_id=name, reason=reason, at_ms=self._clock.now_ms(), kind="order"))

    def _listed(self, work: Work, where: str, *, progress: Progress | None = None) -> _Listed:
        """All orders of a query, page by page."""
        fields = ", ".join(self._reader.fields.asked(with_currency=len(self._reader.currencies) > 1))
        # Names are checked by the settings' model, and ids by whole_id: nothing from outside stands in a query.
        query = f"SELECT {fields} FROM {self._reader.fields.object_name} {where}"  # noqa: S608
        body, problem = work.ask(f"/services/data/v{self.settings.api_version}/queryAll", {"q": query})
        found: dict[str, Order] = {}
        rows, seen = 0, set[str]()
        for pages in range(1, PAGES_MAX + 1):
            problem = problem or self._take(body, found)
            if problem is not None:
                return _Listed({}, pages, problem)
            rows += len(body["records"])
            if progress is not None:
                progress(NAME, rows, body["totalSize"])
            if body["done"]:
                return _Listed(found, pages, self._miscounted(rows, found, counted=body["totalSize"]))
            path = body["nextRecordsUrl"]
            if path in seen:
                return _Listed({}, pages, f"{NAME} at {self._session.origin} gives one page over and over.")
            seen.add(path)
            body, problem = work.ask(path)
        return _Listed({}, PAGES_MAX, f"{NAME} has more than {PAGES_MAX} pages of orders; choose a shorter window.")

    def _miscounted(self, rows: int, found: Mapping[str, Order], *, counted: int) -> str | None:
        """Why a list that came to its end is not whole."""
        if rows == counted == len(found):
            return None
        told = count_text(counted, "order")
        return f"{NAME} at {self._session.origin} counts {told} and gave {len(found)} in {count_text(rows, 'row')}."

    def _take(self, body: Any, found: dict[str, Order]) -> str | None:
        """Lay the orders of one page by their ids; why it is no page, where it is none."""
        where = f"{NAME} at {self._session.origin}"
        if not isinstance(body, dict) or not isinstance(body.get("records"), list):
            return f"{where} answered without a list of records."
        count, done, path = body.get("totalSize"), body.get("done"), body.get("nextRecordsUrl")
        if isinstance(count, bool) or not isinstance(count, int) or not isinstance(done, bool):
            return f"{where} does not say how many orders there are, or whether that was all."
        if not done and not (isinstance(path, str) and _NEXT.match(path)):
            return f"{where} does not say where the list goes on."
        return self._take_orders(body["records"], found)

    def _take_orders(self, records: Sequence[Any], found: dict[str, Order]) -> str | None:
        where = f"{NAME} at {self._session.origin}"
        for order in records:
            name = whole_id(order.get("Id")) if isinstance(order, dict) else None
            if name is None:
                return f"{where} gave an order without an id."
            if found.setdefault(name, order) != order:
                return f"{where} gave one order twice, with different contents."
        return None
