"""The pages as an application: GET only, nothing is changed, no secret is shown, and who may look is asked first."""

from __future__ import annotations

import base64
import binascii
import hmac
import ipaddress
import json
import threading
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from recon.core.errors import ReconError
from recon.core.text import clean_text
from recon.reports.pages.html import page_policy, render_html
from recon.reports.pages.page import Page
from recon.sources.http import Secret
from recon.watch.measures import Measures
from recon.watch.page.overview import overview, stamp_of

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

    from recon.setup.settings import Settings

OPEN_TO_ALL: Final = frozenset({"/healthz", "/readyz"})
"""Answered wherever the page listens."""

LINKS: Final = (("./", "Now"), ("report", "Newest report"), ("metrics", "Measures"))
_HEADERS: Final = {
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}
_CLOSED_POLICY: Final = "default-src 'none'; frame-ancestors 'none'"


@dataclass(frozen=True, slots=True)
class Guard:
    """Who may look.

    Args:
        is_loopback: Whether it listens on this machine only.
        token: What a reader sends as a bearer, or as the password of HTTP Basic.
        header, header_secret: What a reverse proxy sets on requests that it has let in.
        shows_measures: Whether measures are shown to all who reach it; with a token, they need it all the same.
    """

    is_loopback: bool
    token: Secret = field(default_factory=lambda: Secret(""))
    header: str = ""
    header_secret: Secret = field(default_factory=lambda: Secret(""))
    shows_measures: bool = False

    @property
    def asks(self) -> bool:
        """Whether anything is asked of a reader."""
        return bool(self.token) or bool(self.header)

    def refusal(self, path: str, headers: Mapping[str, str]) -> tuple[int, str] | None:
        """Why a request is not answered: a status and a sentence; None where it is."""
        if path in OPEN_TO_ALL:
            return None
        if self.asks:
            is_known = self._is_known(headers)
            return None if is_known else (401, "A token is needed here: send it as a bearer, or as the password.")
        if path == "/metrics" and self.shows_measures:
            return None
        return self._stranger(path, headers)

    def _stranger(self, path: str, headers: Mapping[str, str]) -> tuple[int, str] | None:
        """Why a reader of whom nothing is asked is not answered."""
        if not self.is_loopback and path == "/metrics":
            return 403, "Measures are shown on this machine only; set [page] token_variable, or open_measures = true."
        if not self.is_loopback:
            return 403, "The page is shown on this machine only; set [page] token_variable to show it elsewhere."
        if not _is_own_host(headers.get("host", "")):
            return 421, "The page is shown under the address of this machine only."
        return None

    def _is_known(self, headers: Mapping[str, str]) -> bool:
        sent = headers.get("authorization", "")
        by_token = bool(self.token) and _same(_token_in(sent), self.token.reveal())
        given = headers.get(self.header.lower(), "") if self.header else ""
        by_proxy = bool(self.header_secret) and _same(given, self.header_secret.reveal())
        return by_token or by_proxy


def _same(given: str, wanted: str) -> bool:
    """Whether two texts are equal, in a time that does not tell where they differ."""
    return hmac.compare_digest(given.encode("utf-8", "replace"), wanted.encode("utf-8", "replace"))


def _token_in(authorization: str) -> str:
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() != "basic" or len(value) > 4_000:
        return ""
    try:
        return base64.b64decode(value.strip(), validate=True).decode("utf-8", "replace").partition(":")[2]
    except (binascii.Error, ValueError):
        return ""


def _is_own_host(host: str) -> bool:
    """Whether a Host header names this machine; another name may be a page elsewhere that points here."""
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdecimal() else host
    name = name.strip("[]").lower()
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


class Shown:
    """Renders pages, each once for what the output folder holds; asked from several threads."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[str, str, str]] = {}

    @property
    def stamp(self) -> str:
        """Names what is shown."""
        return stamp_of(self._settings.output_dir)

    def front(self) -> tuple[str, str]:
        """The first page, and its policy."""
        return self._once("front", self._overview)

    def _overview(self) -> Page:
        given = self._settings
        every_s = given.values.page.refresh_s
        return overview(given.output_dir, registry=given.registry(), now=given.now(), every_s=every_s, links=LINKS)

    def newest(self) -> tuple[str, str]:
        """The report of the newest plan, and its policy.

        Raises:
            ReconError: There is none, or it cannot be read.
        """
        from recon.api.naming import newest_plan
        from recon.api.report import artefact_page

        return self._once("report", lambda: artefact_page(newest_plan(self._settings), config=self._settings))

    def _once(self, name: str, make: Callable[[], Page]) -> tuple[str, str]:
        with self._lock:
            stamp = self.stamp
            kept = self._kept.get(name)
            if kept is None or kept[0] != stamp:
                page = make()
                kept = self._kept[name] = (stamp, render_html(page), page_policy(page))
            return kept[1], kept[2]


def build_app(shown: Shown, *, guard: Guard, measures: Measures | None, is_ready: Callable[[], str]) -> Starlette:
    """The application.

    Args:
        is_ready: Why the watch is not ready, in one sentence; empty where it is.
    """
    from starlette.applications import Starlette
    from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse
    from starlette.routing import Route

    def front(request: Request) -> Response:
        return _page(HTMLResponse, shown.front)

    def newest(request: Request) -> Response:
        return _page(HTMLResponse, shown.newest)

    def stamp(request: Request) -> Response:
        return JSONResponse({"stamp": shown.stamp})

    def metrics(request: Request) -> Response:
        if measures is None:
            return PlainTextResponse("Nothing is measured here; recon watch --listen measures.\n", 404)
        return PlainTextResponse(measures.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    def healthy(request: Request) -> Response:
        return PlainTextResponse("ok\n")

    def ready(request: Request) -> Response:
        why = is_ready()
        return PlainTextResponse(f"{why or 'ok'}\n", 503 if why else 200)

    routes = [
        Route("/", front), Route("/report", newest), Route("/stamp", stamp), Route("/metrics", metrics),
        Route("/healthz", healthy), Route("/readyz", ready),
    ]  # fmt: skip
    app = Starlette(routes=routes)
    app.add_middleware(_Doorkeeper, guard=guard)
    return app


def _page(kind: Any, make: Callable[[], tuple[str, str]]) -> Response:
    """A page under its own policy; one that cannot be made says why, without the policy of another."""
    try:
        text, policy = make()
    except ReconError as error:
        said: Response = kind(f"<!doctype html><title>recon</title><p>{_escaped(str(error))}</p>", 404)
        return said
    page: Response = kind(text, headers={"content-security-policy": f"{policy}; frame-ancestors 'none'"})
    return page


def _escaped(text: str) -> str:
    from html import escape

    return escape(clean_text(text, limit=1000))


Send = Callable[[Any], Awaitable[None]]


class _Doorkeeper:
    """Asks the guard before anything else, and puts the usual headers on every answer."""

    def __init__(self, app: Any, *, guard: Guard) -> None:
        self._app, self._guard = app, guard

    async def __call__(self, scope: Any, receive: Any, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        found = self._guard.refusal(scope["path"], headers)
        if found is not None:
            await _refuse(send, *found)
            return

        async def sealed(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *_missing(message["headers"])]
            await send(message)

        await self._app(scope, receive, sealed)


def _missing(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    there = {name.lower() for name, _ in headers}
    wanted = {**_HEADERS, "content-security-policy": _CLOSED_POLICY}
    return [(name.encode(), value.encode()) for name, value in wanted.items() if name.encode() not in there]


async def _refuse(send: Send, status: int, why: str) -> None:
    body = json.dumps({"why": why}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if status == 401:
        headers.append((b"www-authenticate", b'Basic realm="recon", charset="UTF-8"'))
    await send({"type": "http.response.start", "status": status, "headers": [*headers, *_missing(headers)]})
    await send({"type": "http.response.body", "body": body})
