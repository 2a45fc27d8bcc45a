"""A service that messages are sent to: a local HTTP server that keeps what it is sent and answers as it is told."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Received:
    """One request."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any


@dataclass
class Inbox:
    """What arrived, what of it was taken, and how it is answered.

    ``answers`` are statuses of the next requests, 202 once they are used up; a request waits while ``hangs`` is set.
    """

    port: int = 0
    received: list[Received] = field(default_factory=list)
    taken: list[Received] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    hangs: threading.Event = field(default_factory=threading.Event)
    freed: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def apprise(self) -> str:
        """Where it is, as apprise says it, with a secret in the path."""
        return f"json://127.0.0.1:{self.port}/hush-9f27c1/"

    @property
    def titles(self) -> list[str]:
        """The titles of messages that came by apprise."""
        return [each.body["title"] for each in self.received]


@contextmanager
def inbox() -> Iterator[Inbox]:
    """Serve until the end of the block."""
    found = Inbox()

    class Handler(BaseHTTPRequestHandler):
        def take(self) -> None:
            raw = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            each = Received(self.command, self.path, headers, json.loads(raw))
            found.received.append(each)
            if found.hangs.is_set():
                found.freed.wait(30)
            status = found.answers.pop(0) if found.answers else 202
            if status < 300:
                found.taken.append(each)
            self.send_response(status)
            for name, value in found.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        do_POST = do_PUT = take  # noqa: N815 - the names that the server looks for

        def log_message(self, *given: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    found.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        found.freed.set()
        server.shutdown()
        server.server_close()
