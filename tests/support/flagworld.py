"""What the tests of flags need of a world: small HTTP servers on loopback, and a set of flags to start from."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from recon.rails.flags.apply import Consent, FlagPorts
from recon.rails.flags.files import DotenvPlace
from recon.rails.flags.journal import FILE_NAME, FlagJournal
from recon.rails.flags.plan import FlagPlan, FlagSetup, Request, plan_recipe
from recon.rails.flags.probes import HttpProber, Probe
from recon.rails.flags.recipes import find_recipe, roles_for

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
ENV = """\
# payments
MONGO_URI="mongodb://user:pa55@db/marketplace"
REQUEST_NETWORK_ENABLED=true # since May
export PAYMENT_ENABLED_PROVIDERS='request.network,shkeeper'
PAYMENT_DEFAULT_PROVIDER=request.network
PAYMENT_PROVIDER_MODE=live

PAYMENT_RECONCILIATION_ENABLED=true
"""

Reply = tuple[int, str, str]
Route = Callable[[BaseHTTPRequestHandler], Reply] | Reply


def json_reply(content: Any, status: int = 200) -> Reply:
    return status, "application/json", json.dumps(content)


HEALTHY = json_reply({"status": "success", "crypto": ["BNB-USDT"]})


@dataclass
class Rails:
    """A server whose answers a test may change while it runs; ``asked`` keeps the paths."""

    url: str
    routes: dict[str, Route]
    asked: list[str] = field(default_factory=list)


@contextmanager
def serve(routes: Mapping[str, Route]) -> Iterator[Rails]:
    rails = Rails("", dict(routes))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            rails.asked.append(self.path)
            route = rails.routes.get(self.path.split("?")[0], (404, "text/plain", "nothing here"))
            try:
                status, kind, body = route(self) if callable(route) else route
                self.send_response(status)
                self.send_header("Content-Type", kind)
                if 300 <= status < 400:
                    self.send_header("Location", "/login")
                self.send_header("Content-Length", str(len(body.encode())))
                self.end_headers()
                self.wfile.write(body.encode())
            except (BrokenPipeError, ConnectionResetError):
                pass

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    rails.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield rails
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def slow(seconds: float) -> Callable[[BaseHTTPRequestHandler], Reply]:
    def answer(handler: BaseHTTPRequestHandler) -> Reply:
        time.sleep(seconds)
        return HEALTHY

    return answer


def ports_for(folder: Path, rails: Rails, **changed: Any) -> FlagPorts:
    """A flag file in a folder, both rails asked at one server, and a journal beside it."""
    health = {
        "shkeeper": Probe("shkeeper", f"{rails.url}/api/v1/crypto", expect={"status": "success"}, timeout_s=2),
        "request_network": Probe("request_network", f"{rails.url}/v2/currencies", timeout_s=2),
    }
    setup = FlagSetup(health=health, restart=changed.pop("restart", ()))
    (path := folder / ".env").exists() or path.write_text(ENV)
    journal = FlagJournal(folder / "out" / FILE_NAME)
    return FlagPorts(place=DotenvPlace(path), journal=journal, prober=HttpProber(), setup=setup, **changed)


def plan_for(ports: FlagPorts, name: str = "incident", *, sick: str = "request_network", **request: Any) -> FlagPlan:
    return plan_recipe(
        find_recipe(name, ports.setup.recipes),
        roles_for(sick, words=ports.setup.words),
        seen=ports.place.read(),
        setup=ports.setup,
        prober=ports.prober,
        request=Request(now=request.pop("now", NOW), author="ada", **request),
    )


def consent_to(plan: FlagPlan, **given: Any) -> Consent:
    return Consent(digest=plan.digest, by="ada", **given)
