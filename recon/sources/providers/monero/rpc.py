"""How a wallet server and a daemon are asked: only what reads, one question at a time, every answer with a deadline.

A wallet server answers one caller at a time, and hangs as a whole when its daemon does: after one silence it is asked
nothing more. It answers HTTP 200 for errors too, and code 0 is an error like any other.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from recon.sources.http import Clock, HttpClient, NoReply, Pace, Secret, clean_message, origin_of
from recon.sources.providers.polite import parse_json

if TYPE_CHECKING:
    import httpx

READS: Final = frozenset(
    {
        "get_version", "get_height", "refresh", "get_accounts", "get_address", "get_transfers", "check_tx_proof",
        "check_tx_key", "get_info", "get_last_block_header", "get_block_header_by_height",
    }
)  # fmt: skip
"""Everything that is ever asked by name. What spends, signs, relays or scans anew is not among it."""
READ_PATHS: Final = frozenset({"/get_transactions"})

REFUSED_WHEN_RESTRICTED: Final = -7
TXS_AT_ONCE: Final = 100
"""More transactions in one question are refused by a restricted daemon."""

_HOST: Final = re.compile(r"\b[\w.-]+:\d{2,5}\b")
_TRIES: Final = 2
_LOCKS: Final[dict[str, threading.Lock]] = {}
_LOCKS_LOCK: Final = threading.Lock()


class UnansweredError(Exception):
    """A server gave no usable answer; the text is for people and holds no secret.

    Args:
        code: The server's own error code; None where it said nothing.
    """

    def __init__(self, said: str, *, code: int | None = None) -> None:
        super().__init__(said)
        self.code = code


@dataclass(frozen=True, slots=True)
class ServerTerms:
    """How servers are reached.

    Args:
        timeout_s: The longest time for one answer.
        transport, clock: What stands in for network and time in a recorded world.
    """

    timeout_s: float = 60.0
    calls_per_s: float = 50.0
    transport: httpx.BaseTransport | None = None
    clock: Clock = field(default_factory=Clock)


class Server:
    """One server, asked for one run.

    Args:
        name: As messages call it.
        login: ``user:password`` for HTTP Digest, or None.
    """

    def __init__(self, name: str, url: str, *, login: Secret | None, reached: ServerTerms) -> None:
        self.name, self.url = name, url.rstrip("/")
        self._login, self._reached = login, reached
        self._pace = Pace(reached.calls_per_s, clock=reached.clock)
        self._client = HttpClient(
            clock=reached.clock, timeout_s=reached.timeout_s, transport=reached.transport, login=login
        )
        self._down: str | None = None
        with _LOCKS_LOCK:
            self._lock = _LOCKS.setdefault(self.url, threading.Lock())

    @property
    def origin(self) -> str:
        """The server's address as it may be shown."""
        return origin_of(self.url)

    @property
    def calls(self) -> int:
        """HTTP requests so far."""
        return self._client.meter.calls

    @property
    def wire_bytes(self) -> int:
        """Bytes that came so far."""
        return self._client.meter.wire_bytes

    def close(self) -> None:
        """Let go of the connection."""
        self._client.close()

    def call(self, method: str, params: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
        """The result of a JSON-RPC call that reads. Raises UnansweredError."""
        assert method in READS, method
        asked = {"jsonrpc": "2.0", "id": "0", "method": method, "params": dict(params or {})}
        body = self._answer("/json_rpc", asked, what=method)
        error = body.get("error")
        if isinstance(error, Mapping):
            code = error.get("code")
            raise UnansweredError(
                f"{self.name} answers {method} with error {code}{self._quoted(error.get('message'))}",
                code=code if isinstance(code, int) else None,
            )
        result = body.get("result")
        if not isinstance(result, Mapping):
            raise UnansweredError(f"{self.name} answers {method} with no result")
        return result

    def post(self, path: str, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        """The answer of one of a daemon's own paths that reads. Raises UnansweredError."""
        assert path in READ_PATHS, path
        body = self._answer(path, asked, what=path)
        if body.get("status") != "OK":
            raise UnansweredError(f"{self.name} answers {path} with status{self._quoted(body.get('status'))}")
        return body

    def _answer(self, path: str, asked: Mapping[str, Any], *, what: str) -> Mapping[str, Any]:
        content = json.dumps(asked).encode()
        for left in range(_TRIES - 1, -1, -1):
            if self._down is not None:
                raise UnansweredError(self._down)
            with self._lock:
                self._reached.clock.sleep(self._pace.wait_s())
                ends_at = self._reached.clock.monotonic() + self._reached.timeout_s
                reply = self._client.post(self.url + path, content, ends_at=ends_at)
            if isinstance(reply, NoReply):
                self._give_up(reply, what, is_last=not left)
                continue
            return self._body(reply.status, reply.body, what)
        raise AssertionError("the last try raises or returns")

    def _give_up(self, reply: NoReply, what: str, *, is_last: bool) -> None:
        """Say why nothing came, unless it is worth another try; who is silent once is silent for the run."""
        if reply.kind in ("silent", "late"):
            self._down = f"{self.name} at {self.origin} did not answer {what} within {self._reached.timeout_s:g} s"
            raise UnansweredError(self._down)
        if is_last or reply.kind in ("too_large", "stale"):
            raise UnansweredError(f"{self.name} at {self.origin} gives no whole answer to {what} ({reply.kind})")

    def _body(self, status: int, raw: bytes, what: str) -> Mapping[str, Any]:
        if status == 401:
            told = "refuses the login" if self._login else "asks for a login, and the configuration names none"
            raise UnansweredError(f"{self.name} at {self.origin} {told}")
        if status != 200:
            raise UnansweredError(f"{self.name} at {self.origin} answers {what} with HTTP {status}")
        try:
            body = parse_json(raw)
        except (ValueError, UnicodeError):
            body = None
        if not isinstance(body, Mapping):
            raise UnansweredError(f"{self.name} at {self.origin} answers {what} with what is no JSON object")
        return body

    def _quoted(self, text: object) -> str:
        """What a server says in a few words, hosts and secrets out of it; nothing where it says nothing."""
        secrets = tuple(self._login.reveal().split(":", 1)) if self._login else ()
        said = _HOST.sub("…", clean_message(text or "", secrets=secrets))[:120]
        return f" ({said})" if said else ""


def parts_of(hashes: Sequence[str]) -> list[Sequence[str]]:
    """Transactions in pieces that one question holds."""
    return [hashes[start : start + TXS_AT_ONCE] for start in range(0, len(hashes), TXS_AT_ONCE)]
