"""Request Network as a source of claims: what its REST API says was paid. A claim is never proof.

A window is read in bulk through ``GET /v2/payments``. That call demands a filter, and the default pages each of the
four values of ``type`` in turn: the type is on every payment and has four values, so together they give every payment
the key can see, whatever wallet or currency it used. Filtering by merchant wallets misses sellers that are not listed,
filtering by currency misses a currency that is not listed; both can be chosen in the settings (``bulk_by``) where an
account is too large. What has no payment is in no page: only :meth:`RequestNetwork.look_up` can say "unpaid".

Neither order nor the longest page is documented, and pages shift when a payment arrives meanwhile: rows are kept once
by payment id, and a sweep whose total moved, that repeated a row or that does not add up is done again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import quote

from recon.core.errors import ConfigError, WrongSourceError
from recon.core.ids import normalise_reference, normalise_request_id
from recon.core.registry import Registry
from recon.core.text import count_text
from recon.sources.http import Clock, Secret
from recon.sources.interface import ClaimKey, Coverage, Gap, Progress, Reading
from recon.sources.providers.claims import (
    Said,
    dicts_of,
    digest_of,
    failed_row,
    int_or_none,
    iso_of,
    not_found_row,
    reading_of,
    text_or_none,
)
from recon.sources.providers.polite import (
    Answer,
    CredentialsRefusedError,
    Manners,
    Phase,
    PoliteClient,
    ProviderUnusableError,
    error_text,
)
from recon.sources.providers.request_network.claims import (
    Piece,
    claim_of_payments,
    claim_of_request,
    is_money_named,
    read_pieces,
    test_networks_only,
)
from recon.sources.providers.request_network.words import STATE_WORDS

if TYPE_CHECKING:
    import httpx

NAME: Final = "request_network"
TYPES: Final = ("direct", "conversion", "crosschain", "recurring")
CHECK_MS: Final = 30 * 86_400_000
PAGE_LIMITS: Final = (100, 50, 20)
"""Shorter pages to try when the server refuses the length that was asked for."""

BulkFilter = Literal["type", "walletAddress", "paymentCurrency", "invoiceCurrency"]


@dataclass(frozen=True, slots=True)
class RequestNetworkSettings:
    """Where Request Network is and how it is asked.

    Args:
        bulk_by, bulk_values: The filter that the bulk reading pages through, value by value. For ``type`` the four
            documented values unless others are given; the other filters need their values.
        page_limit: Rows asked for on one page; a server that refuses it is asked for fewer.
        pages_max: Pages of one sweep; more is an incomplete reading.
        sweeps_max: How often a sweep that moved is done again.
        lookups_max: Single look-ups of one call to ``look_up``; the rest is answered ``failed``.
        amount_plausible_max: Most whole tokens of one payment; an integer above it is taken for base units.
        deadline_s: Longest time for one bulk reading or one series of look-ups.
        pause_s: Pause after repeated 429; the documented block lasts five minutes.
    """

    api_key: Secret
    base_url: str = "https://api.request.network"
    rate_per_s: float = 5.0
    bulk_by: BulkFilter = "type"
    bulk_values: tuple[str, ...] = ()
    page_limit: int = 250
    pages_max: int = 20_000
    sweeps_max: int = 3
    lookups_max: int = 5_000
    amount_plausible_max: int = 1_000_000
    timeout_s: float = 20.0
    call_deadline_s: float = 120.0
    deadline_s: float = 3600.0
    retries_max: int = 4
    pause_s: float = 310.0

    def __post_init__(self) -> None:
        if self.bulk_by != "type" and not self.bulk_values:
            raise ConfigError(f"{NAME}: bulk_by is {self.bulk_by!r}, which needs bulk_values, and there are none.")
        for name in ("page_limit", "pages_max", "sweeps_max", "lookups_max", "amount_plausible_max"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{NAME}: {name} should be 1 or more and is {getattr(self, name)}.")


@dataclass(slots=True)
class _Sweep:
    """Pages of one filter value read once, or of several sweeps together."""

    rows: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    changed: set[str] = field(default_factory=set)
    pages: int = 0
    moved: bool = False
    problem: str | None = None
    offset: int = 0
    total: int | None = None
    stale_pages: int = 0

    def turn(self, page: _Page) -> bool:
        """Take the next page; says whether the sweep ends with it."""
        self.pages += 1
        new = self.take(page.rows)
        self.offset += len(page.rows)
        has_other_total = self.total is not None and page.total != self.total
        self.moved |= has_other_total or new < len(page.rows)
        self.total = page.total
        self.stale_pages = 0 if new else self.stale_pages + 1
        if page.unreadable:
            self.problem = (
                f"on a page of payments {count_text(page.unreadable, 'row is no object', many='rows are no objects')}"
            )
        elif page.is_last(self.offset):
            adds_up = self.total is None or len(self.rows) == self.total
            self.moved |= not adds_up or page.has_more is True
            return True
        elif self.stale_pages > 1:
            self.problem = "the same page came again and again: offset is not followed"
        return self.problem is not None

    def join(self, sweep: _Sweep) -> None:
        """Add the pages and rows of another sweep."""
        self.pages += sweep.pages
        self.take(list(sweep.rows.values()))
        self.changed |= sweep.changed

    def take(self, rows: Sequence[Mapping[str, Any]]) -> int:
        """Keep each row once by its payment id; says how many were new."""
        new = 0
        for row in rows:
            key = text_or_none(row.get("id")) or "digest:" + digest_of(row)
            if key not in self.rows:
                new += 1
            elif self.rows[key] != row:
                self.changed.add(key)
            self.rows[key] = row
        return new


@dataclass(frozen=True, slots=True)
class _Page:
    rows: tuple[Mapping[str, Any], ...]
    total: int | None
    has_more: bool | None
    unreadable: int

    def is_last(self, offset: int) -> bool:
        """Whether nothing comes after this page, which ends at the offset; where it does not tell, more may come."""
        if not self.rows:
            return True
        if self.has_more is True:
            return False
        if self.total is None:
            return self.has_more is False
        return offset >= self.total


@dataclass(frozen=True, slots=True)
class _Question:
    """A key to ask by, in the provider's spelling.

    Args:
        keys_done: How many of the given keys are done with once this one is asked.
        rank: How many different things are asked up to here; keys without any name count as one thing.
    """

    key: ClaimKey
    keys_done: int
    rank: int


def _questions_of(keys: Sequence[ClaimKey]) -> list[_Question]:
    """Each thing to ask once, in the order of the keys; a key without any name stays, so that it gets its row."""
    questions = []
    seen: set[tuple[str | None, str | None]] = set()
    for number, key in enumerate(keys, start=1):
        request_id = normalise_request_id(key.request_id) if key.request_id else None
        reference = normalise_reference(key.reference) if key.reference else None
        has_name = bool(request_id or reference)
        if has_name and (request_id, reference) in seen:
            continue
        seen.add((request_id, reference))
        clean = replace(key, request_id=request_id, reference=reference)
        questions.append(_Question(clean, keys_done=number, rank=len(seen)))
    return questions


class RequestNetwork:
    """Request Network, read only; a :class:`~recon.sources.interface.ClaimSource`."""

    name: str = NAME

    def __init__(
        self,
        settings: RequestNetworkSettings,
        *,
        registry: Registry,
        transport: httpx.BaseTransport | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.settings = settings
        self._registry = registry
        self._clock = clock or Clock()
        self._client = PoliteClient(
            source=NAME,
            base_url=settings.base_url,
            headers={"x-api-key": settings.api_key.reveal()},
            manners=Manners.of(settings),
            clock=self._clock,
            transport=transport,
        )

    def check(self) -> str:
        """Say in one sentence that it can be used.

        Raises:
            CredentialsRefusedError: It answers and refuses the key.
            ProviderUnusableError: It does not answer, or something else answers.
            WrongSourceError: Every payment of the last 30 days is on a test network.
        """
        now_ms = self._clock.now_ms()
        params = {"type": TYPES[0], "limit": "20", "offset": "0"}
        params |= {"fromDate": iso_of(now_ms - CHECK_MS), "toDate": iso_of(now_ms)}
        with self._client.phase() as phase:
            answer = phase.get("/v2/payments", params)
        origin = self._client.origin
        if answer.kind == "refused":
            said = error_text(answer.body, secrets=self._client.secrets) or f"it answered {answer.status}"
            raise CredentialsRefusedError(source=NAME, origin=origin, said=said)
        page = self._page(answer)
        if isinstance(page, str):
            raise ProviderUnusableError(
                problem=page, remedy="Check base_url, the network and the provider's status page, then try again."
            )
        self._demand_live(page.rows)
        return f"{NAME} at {origin} answers and accepts the key."

    def read_window(self, from_ms: int, to_ms: int, *, progress: Progress) -> Reading:
        """Read every payment of a closed window (both ends included) and group them by request.

        Raises:
            WrongSourceError: There are payments and every one is on a test network that is not configured.
        """
        assert from_ms <= to_ms, "the window runs backwards"
        reading, rows = self._bulk(self._bulk_filters(), from_ms, to_ms, progress=progress)
        self._demand_live(rows)
        return reading

    def read_objects(self, claim_ids: Sequence[str], *, from_ms: int, to_ms: int, progress: Progress) -> Reading:
        """Read what a bulk reading of a closed window says of these objects only: a few calls each.

        Args:
            claim_ids: As the bulk reading names them: request ids, or ``reference:`` with a payment reference. A
                payment without either has no name to ask by and is left out.
        """
        named = [
            {"paymentReference": f"0x{name.removeprefix('reference:')}"} if name.startswith("reference:")
            else {"requestId": name}
            for name in claim_ids
            if not name.startswith("payment:")
        ]  # fmt: skip
        bulk = [{}] if self.settings.bulk_by == "type" else self._bulk_filters()
        return self._bulk([{**key, **by} for key in named for by in bulk], from_ms, to_ms, progress=progress)[0]

    def _bulk_filters(self) -> list[dict[str, str]]:
        by = self.settings.bulk_by
        return [{by: value} for value in self.settings.bulk_values or (TYPES if by == "type" else ())]

    def _bulk(
        self, filters: Sequence[Mapping[str, str]], from_ms: int, to_ms: int, *, progress: Progress
    ) -> tuple[Reading, tuple[Mapping[str, Any], ...]]:
        dates = {"fromDate": iso_of(from_ms), "toDate": iso_of(to_ms)}
        everything = _Sweep()
        problems: list[str] = []
        with self._client.phase() as phase:
            for asked in filters:
                got = self._settled(phase, {**asked, **dates}, progress=progress, before=everything)
                everything.join(got)
                if got.problem:
                    by = " ".join(f"{name}={value}" for name, value in asked.items())
                    problems.append(f"{by}: {got.problem}")
                if phase.stopped:
                    break
        # The first reason is told; a value that was never reached is missing just the same.
        problem = problems[0] if problems else None
        said = self._said_of_payments(everything)
        coverage = Coverage(
            source=NAME,
            scope="bulk",
            complete=problem is None,
            asked_from=from_ms,
            asked_to=to_ms,
            done_from=None if problem else from_ms,
            done_to=None if problem else to_ms,
            calls=phase.calls,
            wire_bytes=phase.wire_bytes,
            pages=everything.pages,
            items=len(everything.rows),
            problem=problem,
        )
        gaps = [Gap(source=NAME, scope="bulk", from_ms=from_ms, to_ms=to_ms, reason=problem)] if problem else []
        return reading_of(said, coverage=[coverage], gaps=gaps), tuple(everything.rows.values())

    def look_up(self, keys: Sequence[ClaimKey], *, progress: Progress) -> Reading:
        """Ask about single payments; every key gets at least one row: found, not_found or failed.

        A request id is asked at v2; without one, or where v2 does not know it, the reference is asked at v1.
        """
        questions, limit = _questions_of(keys), self.settings.lookups_max
        said: list[Said] = []
        with self._client.phase() as phase:
            for question in questions:
                if question.rank > limit:
                    said.append(self._failed(question.key, f"not asked: more than {limit} look-ups (lookups_max)"))
                else:
                    said += self._ask(phase, question.key)
                progress(NAME, question.keys_done, len(keys))
        asked = questions[-1].rank if questions else 0
        return reading_of(said, coverage=[_lookup_coverage(said, phase, asked=asked)])

    def _demand_live(self, rows: Sequence[Mapping[str, Any]]) -> None:
        word = test_networks_only(rows, self._registry)
        if word:
            raise WrongSourceError(
                source=f"{NAME} at {self._client.origin}",
                what="the network of the payments that this key sees",
                expected="a chain in scope",
                found=f"{word} for every one of them",
                remedy="This looks like the key of a test environment: set the live one, or configure that chain.",
            )

    def _settled(self, phase: Phase, filters: Mapping[str, str], *, progress: Progress, before: _Sweep) -> _Sweep:
        """Sweep until a sweep adds up, and keep the rows of all of them: a payment once seen was real."""
        together = _Sweep()
        for _ in range(self.settings.sweeps_max):
            sweep = self._sweep(phase, filters, progress=progress, before=len(before.rows))
            together.join(sweep)
            together.problem = sweep.problem
            if sweep.problem or not sweep.moved:
                return together
        times = self.settings.sweeps_max
        together.problem = f"the pages moved or did not add up in each of {times} sweeps (sweeps_max)"
        return together

    def _sweep(self, phase: Phase, filters: Mapping[str, str], *, progress: Progress, before: int) -> _Sweep:
        sweep, limit = _Sweep(), self.settings.page_limit
        while sweep.pages < self.settings.pages_max:
            answer = phase.get("/v2/payments", {**filters, "limit": str(limit), "offset": str(sweep.offset)})
            shorter = next((length for length in PAGE_LIMITS if length < limit), None)
            if answer.kind == "rejected" and shorter and not sweep.pages:
                limit = shorter
                continue
            page = self._page(answer)
            if isinstance(page, str):
                sweep.problem = page
                return sweep
            is_over = sweep.turn(page)
            progress(NAME, before + len(sweep.rows), None if sweep.total is None else before + sweep.total)
            if is_over:
                return sweep
        sweep.problem = f"there are more than {self.settings.pages_max} pages (pages_max); ask for a shorter window"
        return sweep

    def _page(self, answer: Answer) -> _Page | str:
        """One page, or the sentence why it cannot be used."""
        if answer.kind != "ok":
            return answer.problem or "no answer"
        body = answer.body
        rows = body.get("payments") if isinstance(body, dict) else None
        if not isinstance(rows, list):
            said = error_text(body, secrets=self._client.secrets)
            return f"{NAME} at {self._client.origin} answered without a list of payments{f' ({said})' if said else ''}"
        pagination = body.get("pagination")
        pagination = pagination if isinstance(pagination, dict) else {}
        more = pagination.get("hasMore")
        usable = tuple(dicts_of(rows))
        return _Page(
            rows=usable,
            total=int_or_none(pagination.get("total")),
            has_more=more if isinstance(more, bool) else None,
            unreadable=len(rows) - len(usable),
        )

    def _said_of_payments(self, sweep: _Sweep) -> list[Said]:
        pieces = read_pieces(
            sweep.rows,
            registry=self._registry,
            plausible_max=self.settings.amount_plausible_max,
            changed=frozenset(sweep.changed),
        )
        groups: dict[str, list[Piece]] = {}
        for piece in pieces:
            groups.setdefault(piece.group, []).append(piece)
        at_ms = self._clock.now_ms()
        return [claim_of_payments(group, at_ms=at_ms) for _, group in sorted(groups.items())]

    def _failed(self, key: ClaimKey, reason: str) -> Said:
        at_ms = self._clock.now_ms()
        return Said(failed_row(NAME, key, claim_id=_claim_id(key), reason=reason, at_ms=at_ms, kind="request"))

    def _ask(self, phase: Phase, key: ClaimKey) -> list[Said]:
        """One look-up: by request id at v2, by reference at v1 where there is no id or v2 does not know it."""
        if not key.request_id and not key.reference:
            return [self._failed(key, "there is neither a request id nor a payment reference to ask by")]
        if key.request_id:
            if not _is_askable(key.request_id):
                return [self._failed(key, "the request id holds characters that no request id has")]
            answer = phase.get(f"/v2/request/{quote(key.request_id, safe='')}")
            if not _is_unknown(answer):
                return [self._found(phase, answer, key)]
            missing = Said(self._not_found(replace(key, reference=None)))
            if not key.reference:
                return [missing]
            by_reference = self._ask_reference(phase, replace(key, request_id=None))
            # What v2 said stands; v1 only adds the request that carries the reference, if there is one.
            return [missing, by_reference] if by_reference.claim["outcome"] == "found" else [missing]
        return [self._ask_reference(phase, key)]

    def _ask_reference(self, phase: Phase, key: ClaimKey) -> Said:
        answer = phase.get(f"/v1/request/0x{key.reference}")
        return Said(self._not_found(key)) if _is_unknown(answer) else self._found(phase, answer, key)

    def _not_found(self, key: ClaimKey) -> dict[str, object]:
        return not_found_row(NAME, key, claim_id=_claim_id(key), at_ms=self._clock.now_ms(), kind="request")

    def _found(self, phase: Phase, answer: Answer, key: ClaimKey) -> Said:
        """Turn a 200 into a claim, asking for its payments where it has some and does not list them."""
        body, wrong = answer.body, _why_unusable(answer, key)
        if wrong:
            failed = self._failed(key, wrong)
            # A refusal of one object is that payment's finding; it does not make the source an incomplete one.
            return failed if answer.kind != "rejected" else Said({**failed.claim, "problem": "object_refused"})
        request_id = key.request_id or normalise_request_id(text_or_none(body.get("requestId")) or "")
        named = replace(key, request_id=request_id or None)
        pieces, unread = self._payments_of(phase, body, named)
        return claim_of_request(body, pieces, key=named, at_ms=self._clock.now_ms(), unread=unread)

    def _payments_of(self, phase: Phase, body: Mapping[str, Any], key: ClaimKey) -> tuple[list[Piece], bool]:
        """The payments of a request: those that its answer lists, or those that a call finds; and if that call failed.

        The call is made where there is money and the list does not tell in which token and transaction it came.
        """
        listed = self._pieces({str(number): row for number, row in enumerate(dicts_of(body.get("payments")))})
        is_told = bool(listed) and all(piece.token and piece.proof for piece in listed)
        if is_told or not _has_money(body):
            return listed, False
        by = {"requestId": key.request_id} if key.request_id else {"paymentReference": f"0x{key.reference}"}
        got = self._settled(phase, by, progress=lambda *_: None, before=_Sweep())
        return self._pieces(got.rows) or listed, bool(got.problem) or not got.rows

    def _pieces(self, rows: Mapping[str, Mapping[str, Any]]) -> list[Piece]:
        return read_pieces(rows, registry=self._registry, plausible_max=self.settings.amount_plausible_max)


def _lookup_coverage(said: Sequence[Said], phase: Phase, *, asked: int) -> Coverage:
    """The account of a series of look-ups. A few objects that were refused do not make the source incomplete."""
    failed = [str(one.claim["error"]) for one in said if one.claim["outcome"] == "failed"]
    refused = [one for one in said if one.claim.get("problem") == "object_refused"]
    return Coverage(
        source=NAME,
        scope="lookup",
        complete=not failed or (len(failed) == len(refused) and 2 * len(refused) < asked),
        calls=phase.calls,
        wire_bytes=phase.wire_bytes,
        items=len(said),
        problem=f"{len(failed)} of {asked} look-ups failed; the first: {failed[0]}" if failed else None,
    )


def _claim_id(key: ClaimKey) -> str:
    if key.request_id:
        return key.request_id
    return f"reference:{key.reference}" if key.reference else f"payment:{key.payment_id}"


def _is_askable(request_id: str) -> bool:
    return len(request_id) <= 200 and request_id.isascii() and request_id.replace("-", "").replace("_", "").isalnum()


def _is_unknown(answer: Answer) -> bool:
    """Whether a 404 is about the request. A server without that route says 404 too, and that is no "no"."""
    if answer.kind != "not_found":
        return False
    return not error_text(answer.body).lower().startswith("cannot get")


def _why_unusable(answer: Answer, key: ClaimKey) -> str | None:
    if answer.kind == "not_found":
        return f"{answer.problem} The route is not there: the address may be wrong, or this version was retired."
    if answer.kind != "ok":
        return answer.problem or "no answer"
    if not isinstance(answer.body, dict) or not answer.body:
        return "the answer is no object, or an empty one, which says nothing"
    if not any(name in answer.body for name in ("hasBeenPaid", "requestId", "requestID", "paymentReference", "error")):
        return "the answer names no request and does not say whether it was paid"
    return _why_blind(answer.body) or _why_another(answer.body, key)


def _why_blind(body: Mapping[str, Any]) -> str | None:
    """Why an answer says that the provider itself could not look; that is never "unpaid"."""
    error = body.get("error")
    if isinstance(error, dict) or (error and "hasBeenPaid" not in body):
        return f"the provider could not look: {error_text({'error': [error]}) or 'an error without words'}"
    return "the provider could not look (balance null)" if body.get("balance", 0) is None else None


def _why_another(body: Mapping[str, Any], key: ClaimKey) -> str | None:
    told = [value for name in ("requestId", "requestID") if (value := body.get(name)) is not None]
    found = text_or_none(told[0]) if told else None
    if key.request_id and found and normalise_request_id(found) != key.request_id:
        return "the answer is about another request"
    reference = normalise_reference(text_or_none(body.get("paymentReference")) or "")
    if not key.request_id and reference and reference != key.reference:
        return "the answer is about another payment reference"
    return None


def _has_money(body: Mapping[str, Any]) -> bool:
    """Whether an answer hints at money, so that its single payments are worth a call."""
    word = (text_or_none(body.get("status")) or "").lower()
    return body.get("hasBeenPaid") is True or is_money_named(body) or STATE_WORDS.get(word, "unpaid") != "unpaid"
