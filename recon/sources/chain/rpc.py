"""JSON-RPC over the one HTTP client: ids, batches, bounded retries, and what the error texts of an endpoint mean.

Providers signal the same things in many words and with codes that contradict each other, so the *text* decides
before the code does: :data:`RULES` is that table, in the order in which it is searched. A complaint about the size
of a question is not a failure of the endpoint and is handed to the caller at once, who asks for less. The URL of an
endpoint may hold a key in any part, so nothing here ever shows more of it than the host.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar
from urllib.parse import urlsplit

import msgspec

from recon.core.errors import ConfigError, SourceError
from recon.core.tries import Backoff, Tries
from recon.sources.http import (
    BODY_BYTES_MAX,
    Clock,
    HttpClient,
    Liveness,
    Meter,
    NoReply,
    Pace,
    Reply,
    is_http_url,
    seconds_of,
)

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")

PAUSE_MAX_S: Final = 30.0
"""Longest pause of our own making between two tries."""

RETRY_AFTER_MAX_S: Final = 300.0
"""Longest pause an endpoint may ask for."""

_TEXT_MAX = 200


class Fault(StrEnum):
    """What an endpoint's complaint means for the caller."""

    SIZE = "size"  # ask for fewer blocks
    LIST = "list"  # ask for fewer addresses or topics
    STATE = "state"  # this node keeps no state of that block; another one may
    LAG = "lag"  # this backend does not have the block yet
    QUOTA = "quota"  # used up for longer than a run lasts
    RATE = "rate"  # slow down
    TRANSPORT = "transport"  # unreachable, or an answer nobody can read; try again
    LATE = "late"  # no whole answer in time; ask for less, or another endpoint
    DOWN = "down"  # did not answer in time again and again; it is not asked any more in this run
    UNSUPPORTED = "unsupported"  # the method is not offered
    FATAL = "fatal"  # asking again will not help


@dataclass(frozen=True, slots=True)
class ErrorRule:
    """One row of the table of error texts.

    Args:
        pattern: Searched in message, data and body, all in lower case. The groups ``cap`` (blocks per question),
            ``kilo`` (the cap is in thousands), ``lo`` and ``hi`` (a suggested range, hex or decimal) are read.
        cap: Blocks per question where the text does not say.
        may_be_outage: The text is also used for real outages; one retry with less, then it is a failure.
    """

    fault: Fault
    pattern: str
    cap: int | None = None
    may_be_outage: bool = False


_RANGE = r"\[\s*(?P<lo>0x[0-9a-f]+|\d+)\s*,\s*(?P<hi>0x[0-9a-f]+|\d+)\s*\]"
_CAP = r"(?P<cap>\d[\d,]{0,11})"

RULES: Final[tuple[ErrorRule, ...]] = (
    ErrorRule(Fault.SIZE, rf"this block range should work: {_RANGE}"),
    ErrorRule(Fault.SIZE, rf"try with this block range {_RANGE}"),
    ErrorRule(Fault.SIZE, r"retry with the range (?P<lo>\d+)\s*-\s*(?P<hi>\d+)"),
    ErrorRule(Fault.SIZE, rf"up to an? {_CAP} block range"),
    ErrorRule(Fault.SIZE, rf"range [\d,]+ exceeds limit of {_CAP}"),
    ErrorRule(Fault.SIZE, rf"limited to an? {_CAP} (?:blocks? )?range"),
    ErrorRule(Fault.SIZE, rf"limited to {_CAP} blocks? range"),
    ErrorRule(Fault.SIZE, r"block range is too wide", cap=3_000),
    ErrorRule(Fault.SIZE, rf"maximum \[from, to\] blocks distance: {_CAP}"),
    ErrorRule(Fault.SIZE, rf"ranges over {_CAP} blocks are not supported"),
    ErrorRule(Fault.SIZE, rf"exceed(?:s|ed)? max(?:imum)? block range:? {_CAP}"),
    ErrorRule(Fault.SIZE, rf"max range: {_CAP}"),
    ErrorRule(Fault.SIZE, rf"maximum allowed number of requested blocks is {_CAP}"),
    ErrorRule(Fault.SIZE, rf"range is too large, max is {_CAP}(?P<kilo>k?) blocks"),
    ErrorRule(Fault.SIZE, rf"requested too many blocks from \d+ to \d+, maximum is set to {_CAP}"),
    ErrorRule(Fault.SIZE, r"query returned more than [\d,]+ results"),
    ErrorRule(Fault.SIZE, r"query timeout exceeded"),
    ErrorRule(Fault.SIZE, r"query exceeds max results"),
    ErrorRule(Fault.SIZE, r"block range limit exceeded"),
    ErrorRule(Fault.SIZE, r"response is too big|backend response too large|response size exceeded"),
    ErrorRule(Fault.SIZE, r"logs matched by query exceeds limit of [\d,]+"),
    ErrorRule(Fault.SIZE, r"block range (?:is )?too large"),
    ErrorRule(Fault.SIZE, r"please select a smaller result dataset"),
    ErrorRule(Fault.SIZE, r"no backend is currently healthy to serve traffic", may_be_outage=True),
    ErrorRule(Fault.LIST, r"specify less number of address|addresses or topics per search position|current limit is"),
    ErrorRule(Fault.STATE, r"missing ?trie ?node|historical state|world state unavailable|no state available"),
    ErrorRule(Fault.STATE, r"\bstate\b[^.]{0,100}(?:not available|unavailable|prun|discarded)"),
    ErrorRule(Fault.STATE, r"pruned? state|due to pruning|history (?:is )?(?:pruned|unavailable)"),
    ErrorRule(Fault.STATE, r"archive (?:state|data|request|access)|(?:requires?|needs?|not) an archiv|pruning=archive"),
    ErrorRule(Fault.LAG, r"header not found|cannot query unfinalized data|after last accepted block|unknown block"),
    ErrorRule(Fault.LAG, r"block height is \d+ but requested was \d+|blockoutofrange|block not found"),
    ErrorRule(Fault.FATAL, r"please specify address in your request"),
    ErrorRule(Fault.QUOTA, r"monthly capacity limit|not enough cups?\b"),
    ErrorRule(Fault.RATE, r"rate.?limit|too many requests|daily request count exceeded|request limit reached"),
    ErrorRule(Fault.RATE, r"compute units per second|try again in \d+"),
    ErrorRule(
        Fault.UNSUPPORTED, r"method not (?:found|supported)|method \S+ (?:is not|does not exist)|unsupported method"
    ),
)

_COMPILED: Final = tuple((rule, re.compile(rule.pattern, re.DOTALL)) for rule in RULES)
_RATE_CODES: Final = frozenset({429, -32005, -32016, -32012, -32007, -32055, 1008})
_RETRY_CODES: Final = frozenset({-1, -32603, -32000, 0})
_RETRY_STATUSES: Final = frozenset({403, 408, 425, 500, 502, 503, 504})
_PAUSE_HINT = re.compile(r"try again in (\d{1,7})\s*(ms|s\b)")
_URL = re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s\"'<>]+", re.IGNORECASE)
_LONG_WORD = re.compile(r"(?<!0x)\b(?!0x)[A-Za-z0-9_-]{20,}\b")


@dataclass(frozen=True, slots=True)
class Complaint:
    """An error answer, understood.

    Args:
        text: What the endpoint said, shortened and without anything that looks like a URL or a key.
        blocks_max: Most blocks it will take in one question, counted inclusively.
        suggested: The range it proposes, not validated.
        pause_s: How long it asks to be left alone.
    """

    fault: Fault
    text: str
    blocks_max: int | None = None
    suggested: tuple[int, int] | None = None
    pause_s: float | None = None
    may_be_outage: bool = False


def classify_error(
    text: str, *, code: int | None = None, status: int = 200, data: object = None, retry_after: str | None = None
) -> Complaint:
    """Tell what an error answer means: text first, then HTTP status and JSON-RPC code.

    >>> classify_error("query exceeds max block range 100000", code=-32602).blocks_max
    100000

    Args:
        text: Message and body, as far as there are any.
        code: The JSON-RPC error code.
        status: The HTTP status.
        data: The JSON-RPC error data, searched as text.
        retry_after: The Retry-After header; only its form in seconds is understood.
    """
    searched = f"{text} {_data_text(data)}"[:20_000].lower()
    pause = _pause(searched, data, retry_after)
    shown = clean(text) or f"HTTP status {status}"
    if status == 402:
        return Complaint(Fault.QUOTA, shown)
    for rule, pattern in _COMPILED:
        if found := pattern.search(searched):
            groups = found.groupdict()
            return Complaint(
                rule.fault, shown, _cap(groups, rule), _suggested(groups), pause, may_be_outage=rule.may_be_outage
            )
    return Complaint(_fault_of(code, status), shown, pause_s=pause)


def _fault_of(code: int | None, status: int) -> Fault:
    if status == 413:
        return Fault.SIZE
    if status == 429 or code in _RATE_CODES:
        return Fault.RATE
    if code == -32601:
        return Fault.UNSUPPORTED
    if status in _RETRY_STATUSES or code in _RETRY_CODES or (code is None and status == 200):
        return Fault.TRANSPORT
    return Fault.FATAL


def _data_text(data: object) -> str:
    if data is None:
        return ""
    try:
        return data if isinstance(data, str) else msgspec.json.encode(data).decode()
    except (TypeError, ValueError):
        return ""


def _cap(groups: dict[str, str | None], rule: ErrorRule) -> int | None:
    digits = groups.get("cap")
    if not digits:
        return rule.cap
    return max(1, int(digits.replace(",", "")) * (1_000 if groups.get("kilo") else 1))


def _suggested(groups: dict[str, str | None]) -> tuple[int, int] | None:
    lo, hi = groups.get("lo"), groups.get("hi")
    return (int(lo, 0), int(hi, 0)) if lo and hi and len(lo) < 20 and len(hi) < 20 and _plain(lo, hi) else None


def _plain(*texts: str) -> bool:
    # int(..., 0) refuses decimal digits with a leading zero.
    return all(text.startswith("0x") or text == "0" or not text.startswith("0") for text in texts)


def _pause(searched: str, data: object, retry_after: str | None) -> float | None:
    hint: float | None = None
    if (named := seconds_of(retry_after)) is not None:
        hint = named
    elif found := _PAUSE_HINT.search(searched):
        hint = int(found[1]) / (1_000 if found[2] == "ms" else 1)
    elif isinstance(data, dict) and isinstance(rate := data.get("rate"), dict):
        seconds = rate.get("backoff_seconds")
        hint = float(seconds) if isinstance(seconds, (int, float)) and 0 <= seconds < 1e6 else None
    return None if hint is None else min(hint, RETRY_AFTER_MAX_S)


def clean(text: str) -> str:
    """Shorten outside text for a message, and take out whatever could be a URL, a key or a control character."""
    text = _LONG_WORD.sub("…", _URL.sub("…", text[:2_000]))
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return text if len(text) <= _TEXT_MAX else text[:_TEXT_MAX] + "…"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The address of a JSON-RPC node. The URL is a secret: only its host is ever shown.

    Raises:
        ConfigError: The URL is not http or https, or names no host.
    """

    url: str = field(repr=False)
    range_blocks_max: int | None = None

    def __post_init__(self) -> None:
        if not is_http_url(self.url):
            raise ConfigError("An RPC endpoint must be a URL that begins with http:// or https:// and names a host.")

    @property
    def host(self) -> str:
        """Host and port, the part of the URL that may be shown."""
        parts = urlsplit(self.url)
        return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)

    def __str__(self) -> str:
        return self.host


class RpcError(SourceError):
    """An endpoint did not answer a question, after as many tries as are worth making."""

    def __init__(self, *, host: str, method: str, complaint: Complaint, tries: int = 1) -> None:
        self.complaint = complaint
        self.host = host
        tried = f" after {tries} tries" if tries > 1 else ""
        super().__init__(f"{host}: {method} was not answered{tried} ({complaint.fault}): {complaint.text}")


class Envelope(msgspec.Struct, Generic[T]):
    """The envelope of a JSON-RPC answer whose result has the type T."""

    id: Any = None
    result: T | msgspec.UnsetType | None = msgspec.UNSET
    error: Any = None


@dataclass(frozen=True, slots=True)
class CallLimits:
    """How patient a client is.

    Args:
        timeout_s: Longest silence of a connection.
        answer_deadline_s: Longest time for one whole answer, however steadily it comes.
        rate_per_s: Questions a second, each of a batch counted; None for no limit.
        body_bytes_max: A larger answer counts as a question that was too big.
    """

    timeout_s: float = 30.0
    tries_max: int = 6
    rate_per_s: float | None = 20.0
    pause_first_s: float = 0.25
    answer_deadline_s: float = 120.0
    body_bytes_max: int = BODY_BYTES_MAX


class RpcClient:
    """Asks one endpoint. Not shared between threads, except for its rate limit.

    Every method raises :class:`RpcError` when there is no usable answer: at once for SIZE, LIST, STATE, LAG, QUOTA,
    DOWN, UNSUPPORTED and FATAL, after bounded tries with full jitter for RATE and TRANSPORT, and in any case when the
    deadline has passed.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        limits: CallLimits,
        transport: httpx.BaseTransport | None = None,
        clock: Clock | None = None,
        seed: int = 1,
    ) -> None:
        self.endpoint, self.limits = endpoint, limits
        self.deadline = float("inf")
        self.batches = True
        self._clock = clock or Clock()
        self._pace = Pace(limits.rate_per_s, clock=self._clock, burst=max(1.0, limits.rate_per_s or 1.0))
        self._random = random.Random(seed)  # noqa: S311 - jitter, not a secret
        self._http = HttpClient(
            clock=self._clock,
            timeout_s=limits.timeout_s,
            body_bytes_max=limits.body_bytes_max,
            transport=transport,
        )
        self.liveness = Liveness()
        self._id = 0

    @property
    def host(self) -> str:
        """The part of the URL that may be shown."""
        return self.endpoint.host

    @property
    def meter(self) -> Meter:
        """What the questions cost so far."""
        return self._http.meter

    def close(self) -> None:
        """Let go of the connections; the next question opens them again."""
        self._http.close()

    def call(
        self,
        method: str,
        params: Sequence[object],
        *,
        decoder: msgspec.json.Decoder[Envelope[T]],
        tries: int | None = None,
    ) -> T | None:
        """Ask once, with retries; the result may be null, which is for the caller to judge."""
        return self._retrying(method, lambda: self._call_once(method, params, decoder), tries or self.limits.tries_max)

    def batch(
        self, method: str, params: Sequence[Sequence[object]], *, decoder: msgspec.json.Decoder[Envelope[T]]
    ) -> list[T | RpcError | None]:
        """Ask the same method many times in one request, answers in the order of the questions.

        What a batch leaves open (a missing id, an error of one element) is asked again singly. An endpoint that
        answers a batch with one object is asked singly from then on. Single questions that fail come back as the
        error, so that one bad answer does not lose the others.
        """
        answers: dict[int, T | RpcError | None] = {}
        if self.batches and len(params) > 1:
            try:
                answers.update(
                    self._retrying(method, lambda: self._batch_once(method, params, decoder), self.limits.tries_max)
                )
            except RpcError as error:
                if error.complaint.fault in (Fault.QUOTA, Fault.RATE, Fault.DOWN):
                    raise
                self.batches = False
        for index, arguments in enumerate(params):
            if index not in answers:
                try:
                    answers[index] = self.call(method, arguments, decoder=decoder)
                except RpcError as error:
                    answers[index] = error
                    if error.complaint.fault in (Fault.QUOTA, Fault.DOWN):
                        raise
        return [answers[index] for index in range(len(params))]

    def _retrying(self, method: str, attempt: Callable[[], T], tries_max: int) -> T:
        tries = Tries(
            Backoff(self.limits.pause_first_s, PAUSE_MAX_S, share_min=0.0),
            sleep=self._clock.sleep,
            monotonic=self._clock.monotonic,
            tries_max=tries_max,
            ends_at=self.deadline,
            draw=self._random.random,
        )
        while True:
            try:
                return attempt()
            except RpcError as error:
                complaint = error.complaint
                is_passing = complaint.fault in (Fault.RATE, Fault.TRANSPORT)
                if not is_passing or not tries.again(pause_s=complaint.pause_s):
                    tried = tries.failures + (not is_passing)
                    raise RpcError(host=self.host, method=method, complaint=complaint, tries=tried) from error

    def _call_once(self, method: str, params: Sequence[object], decoder: msgspec.json.Decoder[Envelope[T]]) -> T | None:
        self._id += 1
        body = self._post(method, {"jsonrpc": "2.0", "id": self._id, "method": method, "params": params})
        try:
            answer = decoder.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise self._error(method, explain(body)) from error
        if answer.error is not None:
            raise self._error(method, complaint_of(answer.error))
        if answer.result is msgspec.UNSET:
            raise self._error(method, Complaint(Fault.TRANSPORT, "the answer holds neither a result nor an error"))
        if answer.id != self._id:
            raise self._error(method, Complaint(Fault.TRANSPORT, "the answer belongs to another question"))
        return answer.result

    def _batch_once(
        self, method: str, params: Sequence[Sequence[object]], decoder: msgspec.json.Decoder[Envelope[T]]
    ) -> dict[int, T | None]:
        first = self._id + 1
        self._id += len(params)
        questions = [
            {"jsonrpc": "2.0", "id": first + index, "method": method, "params": arguments}
            for index, arguments in enumerate(params)
        ]
        body = self._post(method, questions, calls=len(params))
        try:
            parts = msgspec.json.decode(body, type=list[msgspec.Raw])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            complaint = explain(body)
            if complaint.fault is Fault.TRANSPORT and body[:1] == b"{":
                complaint = Complaint(Fault.UNSUPPORTED, "a batch was answered by one object")
            raise self._error(method, complaint) from error
        answers: dict[int, T | None] = {}
        for part in parts:
            try:
                answer = decoder.decode(part)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                continue
            known = isinstance(answer.id, int) and first <= answer.id < first + len(params)
            if known and answer.error is None and answer.result is not msgspec.UNSET:
                answers[answer.id - first] = answer.result
        return answers

    def _post(self, method: str, question: object, *, calls: int = 1) -> bytes:
        if self.liveness.is_mute:
            said = "it gave no answer in time again and again, and is not asked any more"
            raise self._error(method, Complaint(Fault.DOWN, said))
        wait = self._pace.wait_s(calls)
        if self._clock.monotonic() + wait >= self.deadline:
            raise self._error(method, Complaint(Fault.RATE, "the time allowed for this chain has run out"))
        if wait > 0:
            self._clock.sleep(wait)
        limits = self.limits
        longest_s = limits.answer_deadline_s
        if not self.liveness.has_answered:  # the first question is small: a node that drips is no better than silence
            longest_s = min(longest_s, limits.timeout_s)
        ends_at = min(self.deadline, self._clock.monotonic() + longest_s)
        reply = self._http.post(self.endpoint.url, msgspec.json.encode(question), ends_at=ends_at)
        self.liveness.note(reply)
        if isinstance(reply, NoReply):
            raise self._error(method, self._why_none(reply))
        if reply.status != 200:
            raise self._error(method, _http_complaint(reply))
        return reply.body

    def _why_none(self, reply: NoReply) -> Complaint:
        """Messages of the HTTP library may quote the URL, so only the kind of failure is passed on."""
        if reply.kind == "too_large":
            return Complaint(Fault.SIZE, f"the answer is larger than {self.limits.body_bytes_max} bytes")
        if reply.kind == "late":
            return Complaint(Fault.LATE, f"no whole answer within {reply.after_s:.0f} s", may_be_outage=True)
        if reply.kind == "stale":
            return Complaint(Fault.TRANSPORT, f"a cache in front of it gave an answer {reply.after_s:.0f} s old")
        said = _FAILURES.get(reply.error, f"the request failed ({reply.error})")
        return Complaint(Fault.DOWN if self.liveness.is_mute else Fault.TRANSPORT, said)

    def _error(self, method: str, complaint: Complaint) -> RpcError:
        return RpcError(host=self.host, method=method, complaint=complaint)


_FAILURES: Final = {
    "ConnectError": "the host cannot be reached",
    "ConnectTimeout": "the connection took too long",
    "ReadTimeout": "the answer took too long",
    "RemoteProtocolError": "the answer was cut off",
    "ReadError": "the connection broke while reading",
}


def _http_complaint(reply: Reply) -> Complaint:
    status, body, retry_after = reply.status, reply.body, reply.headers.get("retry-after")
    error = _loose(body)
    error = error.get("error", error) if isinstance(error, dict) else error
    if isinstance(error, dict):
        code, data = error.get("code"), error.get("data")
        text = str(error.get("message") or "")
        code = code if isinstance(code, int) else None
        return classify_error(text, code=code, status=status, data=data, retry_after=retry_after)
    text = "" if body.lstrip()[:1] == b"<" else body[:20_000].decode("utf-8", "replace")
    complaint = classify_error(body[:20_000].decode("utf-8", "replace"), status=status, retry_after=retry_after)
    shown = clean(text) or f"HTTP status {status} with a web page instead of JSON"
    return replace(complaint, text=shown)


def _loose(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def complaint_of(error: object) -> Complaint:
    """Understand the ``error`` member of an answer, whatever shape it has."""
    if isinstance(error, dict):
        code = error.get("code")
        return classify_error(
            str(error.get("message") or ""), code=code if isinstance(code, int) else None, data=error.get("data")
        )
    return classify_error(str(error))


def explain(body: bytes) -> Complaint:
    """Say why an answer with HTTP status 200 could not be read."""
    loose = _loose(body)
    if isinstance(loose, dict) and loose.get("error") is not None:
        return complaint_of(loose["error"])
    if loose is not None:
        return Complaint(Fault.TRANSPORT, "the answer is JSON of another shape than was asked for")
    if body.lstrip()[:1] == b"<":
        return Complaint(Fault.TRANSPORT, "a web page instead of JSON")
    found = classify_error(body[:20_000].decode("utf-8", "replace")) if body[:1] not in (b"{", b"[") else None
    if found is not None and found.fault is not Fault.TRANSPORT:
        return found
    return Complaint(Fault.TRANSPORT, "the answer is empty" if not body.strip() else "the answer is cut off or no JSON")
