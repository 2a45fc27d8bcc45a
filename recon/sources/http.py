"""The one HTTP client that every source is asked through: providers and nodes.

:class:`HttpClient` makes one exchange: ended by one deadline for the whole answer (name, connection and every byte of
it), bounded in size packed and unpacked, never redirected, and deaf to the environment: a proxy or a password file set
for something else must not receive a key. :class:`Pace` and :class:`Clock` are those of every source. What an answer
means is for the caller: :mod:`recon.sources.providers.polite` asks a provider, :mod:`recon.sources.chain.rpc` a node.
"""

from __future__ import annotations

import logging
import re
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar
from urllib.parse import urlsplit

from recon.core.text import clean_text

if TYPE_CHECKING:
    import httpx

BODY_BYTES_MAX: Final = 256 * 1024 * 1024
"""Longest answer that is read, packed or unpacked."""

CACHED_MAX_S: Final = 5 * 60
"""An answer that says it has lain in a cache for longer than this says nothing about the present."""

Given = TypeVar("Given")

_URL = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://[^\s'\"<>]+")
_SECONDS = re.compile(r"\d{1,6}(\.\d{1,6})?")
_GRACE_S: Final = 0.25
"""How much later than its deadline an exchange is given up, so that its own account of the delay is heard first."""


class Secret:
    """A text that is used and never shown: its ``repr`` and ``str`` hide it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The text itself, for the one place that sends it."""
        return self._value

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(("Secret", self._value))

    def __repr__(self) -> str:
        return "Secret(***)" if self._value else "Secret(not set)"


@dataclass(frozen=True, slots=True)
class Clock:
    """Where time comes from: UTC milliseconds, a monotonic second counter, and sleeping. Tests pass their own."""

    now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


def clean_message(text: object, *, secrets: tuple[str, ...] = ()) -> str:
    """A message for people: the secrets gone, every URL cut down to its host, one bounded line."""
    line = text if isinstance(text, str) else str(text)
    for secret in secrets:
        if secret:
            line = line.replace(secret, "***")
    return clean_text(_URL.sub(lambda found: origin_of(found[0]), line))


def origin_of(url: str) -> str:
    """Scheme, host and port of a URL: no user, password, path or query, any of which may hold a key."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
        return f"{parts.scheme}://{parts.hostname}{port}" if parts.hostname else "an unnamed host"
    except ValueError:
        return "an unnamed host"


class Pace:
    """Lets calls through, ``rate_per_s`` a second, whichever phase or thread makes them.

    Args:
        rate_per_s: None for no limit.
        burst: How many calls may go at once after a pause; 1 spaces them evenly.
    """

    def __init__(self, rate_per_s: float | None, *, clock: Clock, burst: float = 1.0) -> None:
        self._gap_s = 0.0 if rate_per_s is None else 1.0 / rate_per_s
        self._burst = burst
        self._clock = clock
        self._next_at = clock.monotonic()
        self._lock = threading.Lock()

    def wait_s(self, calls: int = 1) -> float:
        """Take the places of ``calls`` calls and say how long to wait before making them."""
        if not self._gap_s:
            return 0.0
        with self._lock:
            now = self._clock.monotonic()
            at = max(now, self._next_at)
            self._next_at = at + calls * self._gap_s
            return max(0.0, at + (calls - self._burst) * self._gap_s - now)


@dataclass(slots=True)
class Meter:
    """What the questions cost so far: HTTP requests and bytes on the wire."""

    calls: int = 0
    wire_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer as it came; nothing in it has been judged."""

    status: int
    body: bytes
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class NoReply:
    """Why no whole answer came.

    Args:
        said: What the HTTP library says, for the one who may show it: it can quote the URL.
        error: The name of its exception class, which quotes nothing.
        after_s: The time that was given; of a stale answer, how long a cache had kept it.
    """

    kind: Literal["cut", "too_large", "unreachable", "silent", "late", "stale"]
    said: str = ""
    error: str = ""
    after_s: float = 0.0
    status: int | None = None


@dataclass(frozen=True, slots=True)
class Exchange:
    """One exchange as a listener hears of it.

    Args:
        host: The host that was asked, nothing else of the address.
        outcome: ``answered``, ``refused`` for a status of 400 and above, or the kind of :class:`NoReply`.
        received_bytes: Of the body, unpacked; 0 without an answer.
    """

    host: str
    outcome: str
    seconds: float
    received_bytes: int


Listener = Callable[[Exchange], None]
_LISTENERS: list[Listener] = []


def listen_to_exchanges(listener: Listener) -> Callable[[], None]:
    """Let a listener hear of every exchange of this process, in the thread that makes it; gives what ends that."""
    _LISTENERS.append(listener)
    return lambda: _LISTENERS.remove(listener)


def _tell_listeners(url: str, reply: Reply | NoReply, seconds: float) -> None:
    if not _LISTENERS:
        return
    if isinstance(reply, NoReply):
        outcome, size = str(reply.kind), 0
    else:
        outcome, size = "refused" if reply.status >= 400 else "answered", len(reply.body)
    host = origin_of(url).partition("://")[2].partition(":")[0] or "unknown"
    for listener in tuple(_LISTENERS):
        listener(Exchange(host, outcome, seconds, size))


SILENCES_MAX: Final = 3
"""Questions in a row without a whole answer in time, after which a source that has answered before counts as down."""


@dataclass(slots=True)
class Liveness:
    """Whether a source still answers, over everything that is asked of it in one run.

    A silence costs a whole timeout, so a source that has never answered is not asked again after the first one; a
    connection that is refused costs nothing and may be tried more often.

    Args:
        has_answered: Whether any answer came, of whatever kind.
        silences: Questions in a row that ended by a timeout or a deadline.
        failures: Failed calls in a row, as the caller counts them.
        down: Why nothing more is asked of it in this run; None while it is asked.
    """

    has_answered: bool = False
    silences: int = 0
    failures: int = 0
    down: str | None = None

    def note(self, reply: Reply | NoReply) -> None:
        """Take one exchange into account."""
        if isinstance(reply, Reply) or reply.kind in ("stale", "too_large"):
            self.has_answered, self.silences = True, 0
        elif reply.kind in ("silent", "late"):
            self.silences += 1

    @property
    def is_mute(self) -> bool:
        """Whether waiting for another answer would only cost time."""
        return self.silences >= (SILENCES_MAX if self.has_answered else 1)


class _HostOnly(logging.Filter):
    """The HTTP library logs whole URLs; keys in them must not reach any log."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(self._mask(value) for value in record.args)
        return True

    @staticmethod
    def _mask(value: object) -> object:
        return str(getattr(value, "host", "…")) if type(value).__name__ == "URL" else value


_HOST_ONLY: Final = _HostOnly()


class HttpClient:
    """Makes single exchanges with one host; connections open with the first one and close with :meth:`close`.

    Args:
        headers: Sent with every call.
        timeout_s: Longest silence of a connection.
        body_bytes_max: Longest body that is read, packed or unpacked.
        transport: An ``httpx`` transport instead of the network, e.g. ``httpx.MockTransport``.
        login: ``user:password`` for a server that asks for HTTP Digest; sent only as the digest.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        timeout_s: float,
        headers: Mapping[str, str] | None = None,
        body_bytes_max: int = BODY_BYTES_MAX,
        transport: httpx.BaseTransport | None = None,
        login: Secret | None = None,
    ) -> None:
        self._login = login
        logging.getLogger("httpx").addFilter(_HOST_ONLY)
        self.meter = Meter()
        self._clock, self._timeout_s, self._bytes_max, self._transport = clock, timeout_s, body_bytes_max, transport
        # Gzip alone is asked for, and unpacked here: its length is bounded while it grows.
        own = {
            "accept": "application/json",
            "accept-encoding": "gzip",
            "cache-control": "no-cache",
            "user-agent": "recon",
        }
        self._headers = {**(headers or {}), **own}
        self._lock = threading.Lock()
        self._opened: httpx.Client | None = None

    def close(self) -> None:
        """Let go of the connections; the next exchange opens them again."""
        with self._lock:
            opened, self._opened = self._opened, None
        if opened is not None:
            opened.close()

    def get(self, url: str, params: Mapping[str, str] | None = None, *, ends_at: float) -> Reply | NoReply:
        """Ask; ``ends_at`` is when the whole answer must be here, on the client's own clock."""
        return self._exchange({"method": "GET", "url": url, "params": dict(params) if params else None}, ends_at)

    def post(self, url: str, content: bytes, *, ends_at: float) -> Reply | NoReply:
        """Ask with a JSON body; ``ends_at`` as for :meth:`get`."""
        headers = {"content-type": "application/json"}
        return self._exchange({"method": "POST", "url": url, "content": content, "headers": headers}, ends_at)

    def put(self, url: str, content: bytes, *, ends_at: float) -> Reply | NoReply:
        """Replace something by a JSON body; ``ends_at`` as for :meth:`get`."""
        headers = {"content-type": "application/json"}
        return self._exchange({"method": "PUT", "url": url, "content": content, "headers": headers}, ends_at)

    def post_form(self, url: str, form: Mapping[str, str], *, ends_at: float) -> Reply | NoReply:
        """Ask with the fields of a form as the body; ``ends_at`` as for :meth:`get`."""
        return self._exchange({"method": "POST", "url": url, "data": dict(form)}, ends_at)

    def _exchange(self, request: dict[str, Any], ends_at: float) -> Reply | NoReply:
        began = self._clock.monotonic()
        reply = self._reply(request, ends_at)
        _tell_listeners(request["url"], reply, self._clock.monotonic() - began)
        return reply

    def _reply(self, request: dict[str, Any], ends_at: float) -> Reply | NoReply:
        import httpx

        self.meter.calls += 1
        left_s = max(0.01, ends_at - self._clock.monotonic())
        request["timeout"] = min(self._timeout_s, left_s)
        try:
            client = self._client(is_secure=request["url"].lower().startswith("https:"))
            return in_seconds(left_s, lambda: self._whole(client, request, left_s)) or NoReply("late", after_s=left_s)
        except httpx.RemoteProtocolError as error:
            return _no_reply("cut", error)
        except httpx.TimeoutException as error:
            return _no_reply("silent", error)
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError, ValueError) as error:
            return _no_reply("unreachable", error)

    def _client(self, *, is_secure: bool) -> httpx.Client:
        import httpx

        with self._lock:
            if self._opened is None:
                # SSL_CERT_FILE is heeded, so that a private authority works; nothing else of the environment is.
                verify = httpx.create_ssl_context() if is_secure and self._transport is None else False
                user, _, password = self._login.reveal().partition(":") if self._login else ("", "", "")
                self._opened = httpx.Client(
                    auth=httpx.DigestAuth(user, password) if self._login else None,
                    headers=self._headers,
                    follow_redirects=False,
                    trust_env=False,
                    verify=verify,
                    transport=self._transport,
                    limits=httpx.Limits(max_connections=16, keepalive_expiry=15),
                )
            return self._opened

    def _whole(self, client: httpx.Client, request: Mapping[str, Any], left_s: float) -> Reply | NoReply:
        ends_at = self._clock.monotonic() + left_s
        with client.stream(**request) as response:
            body = bytearray()
            try:
                for piece in _pieces(response, bytes_max=self._bytes_max):
                    body += piece
                    if max(len(body), response.num_bytes_downloaded) > self._bytes_max:
                        return NoReply("too_large", status=response.status_code)
                    if self._clock.monotonic() > ends_at:
                        return NoReply("late", after_s=left_s)
            finally:
                # A transport in memory counts nothing; its body is what came over the wire.
                self.meter.wire_bytes += response.num_bytes_downloaded or len(body)
            # A cache tells how long it has kept an answer; what it kept is what the source said then.
            age_s = seconds_of(response.headers.get("age")) or 0.0
            if age_s > CACHED_MAX_S:
                return NoReply("stale", after_s=age_s, status=response.status_code)
            return Reply(response.status_code, bytes(body), response.headers)


def _no_reply(kind: Literal["cut", "unreachable", "silent"], error: Exception) -> NoReply:
    return NoReply(kind, said=str(error), error=type(error).__name__)


def _pieces(response: httpx.Response, *, bytes_max: int) -> Iterator[bytes]:
    """The body as it comes, unpacked; a piece of a few bytes that unpacks to more than is allowed is cut just above."""
    import httpx

    if response.is_stream_consumed:  # a transport in memory has read and unpacked it
        yield response.content
        return
    encoding = response.headers.get("content-encoding", "").strip().lower()
    if encoding in ("", "identity"):
        yield from response.iter_raw()
        return
    if encoding not in ("gzip", "x-gzip"):
        raise httpx.DecodingError(f"an answer packed as {encoding[:20]!r}, which was not asked for")
    unpacker = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        for packed in response.iter_raw():
            yield unpacker.decompress(packed, bytes_max + 1)
            if unpacker.eof:
                return
    except zlib.error as error:
        raise httpx.DecodingError(f"an answer that cannot be unpacked ({error})") from None
    if response.num_bytes_downloaded:
        raise httpx.RemoteProtocolError("a packed answer ended early")


def in_seconds(seconds: float, job: Callable[[], Given]) -> Given | None:
    """Run ``job`` in a thread and stop waiting after ``seconds``; None when it was not done by then.

    The timeouts of a connection count silence only: name resolution and headers that trickle byte by byte escape them.
    """
    result: list[Given] = []
    failure: list[BaseException] = []

    def run() -> None:
        try:
            result.append(job())
        except BaseException as error:  # handed to the caller below, whatever it is
            failure.append(error)

    thread = threading.Thread(target=run, daemon=True, name=f"{threading.current_thread().name} http")
    thread.start()
    thread.join(seconds + _GRACE_S)
    if failure:
        raise failure[0]
    return result[0] if result else None


def is_http_url(url: str) -> bool:
    """Whether an address can be asked at all: http or https, and a host."""
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        return False


def seconds_of(text: str | None) -> float | None:
    """The seconds of a Retry-After or Age header; Retry-After's form as a date is not understood."""
    text = (text or "").strip()
    return float(text) if text.isascii() and _SECONDS.fullmatch(text) else None
