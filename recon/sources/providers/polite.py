"""How a provider is asked: slowly enough, with bounded retries, and honest about bad answers.

A call never raises because the world is sick: it gives an :class:`Answer` whose ``kind`` says what came back and whose
``problem`` is a sentence without secrets. Calls are paced, retried with jitter, paused for minutes when the provider
keeps answering 429, and end by two deadlines: one per call and one per :class:`Phase`. Redirects are not followed: a
login page that answers 200 would otherwise look like data. Numbers with a point stay text, so that no amount passes
through a float.
"""

from __future__ import annotations

import hashlib
import json
import logging
import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import urlsplit

from recon.core.errors import ConfigError, SourceError
from recon.core.tries import Backoff, Tries
from recon.sources.http import (
    BODY_BYTES_MAX,
    Clock,
    HttpClient,
    Liveness,
    NoReply,
    Pace,
    Reply,
    clean_message,
    is_http_url,
    origin_of,
    seconds_of,
)

if TYPE_CHECKING:
    import httpx

Kind = Literal[
    "ok", "refused", "not_found", "rejected", "slow_down", "sick", "redirect", "html", "empty", "garbage", "cut",
    "too_large", "unreachable", "late", "stale", "stopped",
]  # fmt: skip
"""What came back: ``ok`` is a 2xx with JSON; ``refused`` 401 or 403; ``rejected`` another 4xx; ``sick`` a 5xx; ``cut``
an answer that ended early; ``late`` a deadline; ``stale`` one from a cache; ``stopped`` was not
asked because the phase had given up."""

FIRST_ANSWER_TIMEOUTS: Final = 2
"""How many timeouts the first whole answer of a provider may take, however steadily it drips."""

RETRIED: Final = frozenset({"slow_down", "sick", "empty", "garbage", "cut", "unreachable", "stale"})
_log = logging.getLogger("recon.http")


class UrlError(ConfigError):
    """A base URL in the settings cannot be asked."""

    def __init__(self, *, source: str, found: str) -> None:
        super().__init__(
            f"{source}: base_url should begin with http:// or https://, name a host and end before any ? or #; what is "
            f"set ({found}) does not, and nothing was asked. Correct it in the settings."
        )


class ProviderUnusableError(SourceError):
    """A provider cannot be read at all."""

    def __init__(self, *, problem: str, remedy: str) -> None:
        super().__init__(f"{problem.rstrip('.')}. {remedy}")


class CredentialsRefusedError(SourceError):
    """A provider answers and does not accept the key."""

    def __init__(self, *, source: str, origin: str, said: str) -> None:
        super().__init__(
            f"{source} at {origin} does not accept the API key ({said}); nothing was read from it. Set a key of this "
            "very environment (a test key does not open the live one) and run the check again."
        )


@dataclass(frozen=True, slots=True)
class Manners:
    """How politely and how long a provider is asked.

    Args:
        rate_per_s: Calls a second, evenly spaced: a burst would break a limit counted per second.
        timeout_s: Longest silence of a connection.
        call_deadline_s: Longest time for one call with its retries; long pauses are not counted.
        deadline_s: Longest time for one phase, everything counted.
        retries_max: Further tries after the first.
        slow_downs_max: Answers 429 in a row before the long pause.
        pause_s: The long pause. Request Network blocks for five minutes, so it is a little more.
        pauses_max: Long pauses in one phase; then the phase gives up.
        failures_max: Failed calls in a row, over all phases, before the provider counts as down for the run.
        body_bytes_max: Longest body that is read.
    """

    rate_per_s: float = 5.0
    timeout_s: float = 20.0
    call_deadline_s: float = 120.0
    deadline_s: float = 3600.0
    retries_max: int = 4
    backoff_s: float = 0.5
    backoff_max_s: float = 20.0
    slow_downs_max: int = 3
    pause_s: float = 310.0
    pauses_max: int = 2
    failures_max: int = 5
    body_bytes_max: int = BODY_BYTES_MAX

    @classmethod
    def of(cls, settings: object) -> Manners:
        """What the settings of a provider say under the same names; the rest is as usual."""
        return cls(**{each.name: getattr(settings, each.name) for each in fields(cls) if hasattr(settings, each.name)})

    def __post_init__(self) -> None:
        for name in ("rate_per_s", "timeout_s", "call_deadline_s", "deadline_s", "body_bytes_max", "failures_max"):
            if getattr(self, name) <= 0:
                raise ConfigError(
                    f"{name} should be more than 0 and is {getattr(self, name)}. Correct it in the settings."
                )
        if self.retries_max < 0 or self.pauses_max < 0 or self.slow_downs_max < 1:
            raise ConfigError("retries_max and pauses_max should be 0 or more and slow_downs_max 1 or more.")


@dataclass(frozen=True, slots=True)
class Answer:
    """What one call gave. ``problem`` is None exactly when ``kind`` is ``ok``; ``body`` is JSON where there was any."""

    kind: Kind
    status: int | None = None
    body: Any = None
    problem: str | None = None
    digest: str | None = None
    retry_after_s: float | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)


def error_text(body: Any, *, secrets: tuple[str, ...] = ()) -> str:
    """What an error body says, in any of the shapes seen: text, issue list, field list, failure list, ``msg``."""
    if not isinstance(body, dict):
        return ""
    said: list[str] = []
    head = next((body[key] for key in ("message", "msg", "error", "reason") if body.get(key)), None)
    for part in head if isinstance(head, list) else [head]:
        said.append(_issue_text(part))
    for key in ("errors", "failures"):
        parts = body.get(key)
        said.extend(_issue_text(part) for part in (parts[:5] if isinstance(parts, list) else ()))
    return clean_message("; ".join(text for text in said[:8] if text), secrets=secrets)


def _issue_text(part: Any) -> str:
    if isinstance(part, dict):
        where = part.get("field") or part.get("path") or part.get("requestId")
        where = ".".join(str(step) for step in where[:8]) if isinstance(where, list) else where
        what = part.get("message") or part.get("reason") or part.get("code") or ""
        return f"{where}: {what}" if where else str(what)
    return part if isinstance(part, str) else ""


def parse_json(raw: bytes) -> Any:
    """Read JSON without a float: numbers with a point or an exponent, and NaN, stay text.

    Raises:
        ValueError: The bytes are no JSON text, or are nested too deeply to be an answer.
    """
    try:
        return json.loads(raw.decode("utf-8-sig"), parse_float=str, parse_constant=str)
    except RecursionError:
        raise ValueError("nested too deeply") from None


@dataclass(frozen=True, slots=True)
class PoliteClient:
    """Where a provider is and how it is asked; :meth:`phase` opens the connections.

    One client is for one run: ``liveness`` remembers over all phases whether the provider answers, and one that is down
    is not asked again.

    Args:
        source: Name for messages, e.g. ``request_network``.
        base_url: Origin and, if there is one, a path prefix. User and password in it are never shown.
        headers: Sent with every call; their values are stripped from every message.
        form: Fields of every form that is posted; their values are stripped from every message.
        transport: An ``httpx`` transport instead of the network, e.g. ``httpx.MockTransport``.
    """

    source: str
    base_url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    form: Mapping[str, str] = field(default_factory=dict, repr=False)
    manners: Manners = field(default_factory=Manners)
    clock: Clock = field(default_factory=Clock)
    transport: httpx.BaseTransport | None = None
    seed: int = 0
    pace: Pace = field(init=False, repr=False)
    liveness: Liveness = field(default_factory=Liveness, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not _is_base_url(self.base_url):
            raise UrlError(source=self.source, found=origin_of(self.base_url))
        if not all(value.isascii() and value.isprintable() for value in self.headers.values()):
            raise ConfigError(f"{self.source}: the API key holds characters that cannot be sent. Copy it again.")
        object.__setattr__(self, "pace", Pace(self.manners.rate_per_s, clock=self.clock))

    @property
    def origin(self) -> str:
        """The provider's address as it may be shown."""
        return origin_of(self.base_url)

    @property
    def secrets(self) -> tuple[str, ...]:
        """Values that no message may hold, longest first."""
        password = urlsplit(self.base_url).password
        own = {*self.headers.values(), *self.form.values(), password or ""}
        return tuple(sorted(own - {""}, key=len, reverse=True))

    @contextmanager
    def phase(self) -> Iterator[Phase]:
        """Open connections for one piece of work with a deadline and counters of its own; closed at the end."""
        client = HttpClient(
            clock=self.clock,
            timeout_s=self.manners.timeout_s,
            headers=self.headers,
            body_bytes_max=self.manners.body_bytes_max,
            transport=self.transport,
        )
        try:
            yield Phase(self, client)
        finally:
            client.close()


def _is_base_url(url: str) -> bool:
    if not is_http_url(url) or not url.isprintable() or " " in url:
        return False
    parts = urlsplit(url)
    return not parts.query and not parts.fragment


@dataclass(frozen=True, slots=True)
class _Question:
    """What is asked: fields in the address, or as a form in the body."""

    path: str
    fields: Mapping[str, str] | None = field(default=None, repr=False)
    is_form: bool = False


class Phase:
    """One piece of work with a provider: counts calls and bytes, and gives up as a whole.

    ``stopped`` is the reason why nothing more is asked, or None.
    """

    def __init__(self, owner: PoliteClient, client: HttpClient) -> None:
        self.stopped: str | None = owner.liveness.down
        self._owner = owner
        self._client = client
        self._ends = owner.clock.monotonic() + owner.manners.deadline_s
        self._slow_downs = 0
        self._pauses = 0
        self._random = random.Random(owner.seed)  # noqa: S311 - jitter, not a secret

    @property
    def calls(self) -> int:
        """HTTP requests so far."""
        return self._client.meter.calls

    @property
    def wire_bytes(self) -> int:
        """Bytes on the wire so far."""
        return self._client.meter.wire_bytes

    def get(self, path: str, params: Mapping[str, str] | None = None, *, retries_max: int | None = None) -> Answer:
        """Ask once, with retries. Never raises for what the provider or the network does."""
        return self._asked(_Question(path, params), retries_max)

    def post(self, path: str, form: Mapping[str, str], *, retries_max: int | None = None) -> Answer:
        """Ask once with a form, for which the client's own fields are added, with retries as :meth:`get` has them."""
        return self._asked(_Question(path, {**form, **self._owner.form}, is_form=True), retries_max)

    def _asked(self, question: _Question, retries_max: int | None) -> Answer:
        if self.stopped:
            return Answer(kind="stopped", problem=self.stopped)
        answer = self._tries(question, self._owner.manners.retries_max if retries_max is None else retries_max)
        liveness = self._owner.liveness
        liveness.failures = 0 if answer.kind in ("ok", "not_found", "rejected") else liveness.failures + 1
        if answer.kind == "refused":
            self.stopped = f"{answer.problem} Nothing more was asked."
        elif liveness.is_mute:
            self.stopped = f"{answer.problem} It counts as down; no more was asked of it."
        elif liveness.failures >= self._owner.manners.failures_max and not self.stopped:
            self.stopped = f"{answer.problem} It was failure number {liveness.failures} in a row; no more was asked."
        else:
            return answer
        liveness.down = self.stopped
        return answer

    def stop(self, reason: str) -> None:
        """Ask nothing more in this phase; every later call is answered ``stopped`` with this reason."""
        self.stopped = self.stopped or reason

    def _tries(self, question: _Question, retries_max: int) -> Answer:
        manners, clock = self._owner.manners, self._owner.clock
        tries = Tries(
            Backoff(manners.backoff_s, manners.backoff_max_s, share_min=0.5, share_max=1.5),
            sleep=clock.sleep,
            monotonic=clock.monotonic,
            tries_max=retries_max + 1,
            ends_at=clock.monotonic() + manners.call_deadline_s,
            draw=self._random.random,
        )
        answer = Answer(kind="late", problem=self._say("was not asked: no time was left"))
        pause_s: float | None = 0.0
        while pause_s is not None:
            if not self._wait(pause_s) or not self._wait(self._owner.pace.wait_s()):
                return self._out_of_time(answer)
            answer = self._once(question, min(tries.ends_at, self._ends))
            pause_s = self._pause_s(answer, tries)
        if answer.kind == "slow_down":
            self.stopped = f"{answer.problem} It went on after {self._pauses} long pauses; no more was asked."
        return answer

    def _pause_s(self, answer: Answer, tries: Tries) -> float | None:
        """How long to wait before the next try, None where there is to be none."""
        manners = self._owner.manners
        self._slow_downs = self._slow_downs + 1 if answer.kind == "slow_down" else 0
        if answer.kind not in RETRIED or self._owner.liveness.is_mute:
            return None
        if self._slow_downs < manners.slow_downs_max:
            asked_for_s = min(answer.retry_after_s or 0.0, manners.pause_s)
            return tries.next_pause_s(pause_min_s=asked_for_s)
        if tries.is_last or self._pauses >= manners.pauses_max:
            return None
        self._pauses += 1
        _log.warning("%s asks us to slow down; waiting %.0f s", self._owner.source, manners.pause_s)
        # The long pause is not counted: the call begins anew after it.
        tries.ends_at = self._owner.clock.monotonic() + manners.pause_s + manners.call_deadline_s
        return tries.next_pause_s(pause_s=manners.pause_s)

    def _wait(self, seconds: float) -> bool:
        """Sleep, unless the phase would be over before the end of it."""
        clock = self._owner.clock
        if clock.monotonic() + seconds >= self._ends:
            return False
        if seconds > 0:
            clock.sleep(seconds)
        return True

    def _out_of_time(self, last: Answer) -> Answer:
        limit = f"{self._owner.manners.deadline_s:g} s"
        before = f" Before that: {last.problem}" if last.status or last.kind != "late" else ""
        self.stopped = (
            self._say(f"was asked for {limit}, which is all that deadline_s allows; no more was asked.") + before
        )
        return Answer(kind="late", problem=self.stopped, status=last.status)

    def _say(self, what: str) -> str:
        return f"{self._owner.source} at {self._owner.origin} {what}"

    def _once(self, question: _Question, ends_at: float) -> Answer:
        url = self._owner.base_url.rstrip("/") + question.path
        liveness, manners = self._owner.liveness, self._owner.manners
        if not liveness.has_answered:  # a server that drips is no better than one that is silent
            ends_at = min(ends_at, self._owner.clock.monotonic() + FIRST_ANSWER_TIMEOUTS * manners.timeout_s)
        if question.is_form:
            reply = self._client.post_form(url, question.fields or {}, ends_at=ends_at)
        else:
            reply = self._client.get(url, question.fields, ends_at=ends_at)
        liveness.note(reply)
        if isinstance(reply, Reply):
            return self._judge(reply)
        return Answer(
            kind="unreachable" if reply.kind == "silent" else reply.kind,
            status=reply.status,
            problem=self._say(self._why_none(reply)),
        )

    def _why_none(self, reply: NoReply) -> str:
        manners = self._owner.manners
        if reply.kind == "late":
            return f"gave no whole answer within {reply.after_s:.0f} s."
        if reply.kind == "cut":
            return "broke off in the middle of its answer."
        if reply.kind == "too_large":
            return f"sent more than {manners.body_bytes_max} bytes (body_bytes_max)."
        if reply.kind == "stale":
            return f"was not asked: a cache in front of it gave an answer {reply.after_s:.0f} s old."
        if reply.kind == "silent":
            return f"could not be reached: no answer within {manners.timeout_s:g} s."
        said = clean_message(reply.said, secrets=self._owner.secrets).rstrip(".")
        return f"could not be reached: {said or reply.error}."

    def _judge(self, reply: Reply) -> Answer:
        status, raw, body, readable = reply.status, reply.body, None, True
        try:
            body = parse_json(raw) if raw.strip() else None
        except ValueError:
            readable = False
        is_web_page = "html" in reply.headers.get("content-type", "").lower() and not readable
        is_html = raw.lstrip()[:1] == b"<" or is_web_page
        said = error_text(body, secrets=self._owner.secrets)
        answered = f"answered {status}" + (f" ({said})" if said else "")
        kind, what = _kind_of(status, empty=not raw.strip(), readable=readable, is_html=is_html)
        if kind == "redirect":
            target = origin_of(reply.headers.get("location", ""))
            target = self._owner.origin if target == "an unnamed host" else target
            what = f"a redirect to {target}, which was not followed: it may be a login page or the address may be wrong"
        problem = None if kind == "ok" else self._say(f"{answered}{': ' if what else ''}{what}.")
        if is_html and kind != "redirect":
            body = None
        return Answer(
            kind=kind,
            status=status,
            body=body,
            problem=problem,
            digest=hashlib.sha256(raw).hexdigest(),
            retry_after_s=seconds_of(reply.headers.get("retry-after")),
            headers=reply.headers,
        )


def _kind_of(status: int, *, empty: bool, readable: bool, is_html: bool) -> tuple[Kind, str]:  # noqa: PLR0911
    if 300 <= status < 400:
        return "redirect", ""
    if status in (401, 403):
        return "refused", "the API key is missing, wrong or of another environment"
    if status in (404, 410):
        if is_html or not readable:
            return "html", "a web page instead of an answer; the address may be wrong"
        return "not_found", ""
    if status in (408, 425, 429):
        return "slow_down", "too many calls"
    if status >= 500:
        return "sick", ""
    if status >= 400:
        return "rejected", ""
    if empty:
        return "empty", "an empty body, which says nothing"
    if is_html:
        return "html", "a web page instead of JSON; the address may be wrong or a login page stands in between"
    if not readable:
        return "garbage", "not whole JSON"
    return "ok", ""
