"""Serves the page from a thread of its own, beside a watch or alone."""

from __future__ import annotations

import ipaddress
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from recon.core.errors import UsageError
from recon.core.extras import check_extra
from recon.sources.http import Secret
from recon.watch.measures import Measures
from recon.watch.page.app import Guard, Shown, build_app

if TYPE_CHECKING:
    from recon.setup.settings import Settings

LOOPBACK: Final = "127.0.0.1"
STOP_S: Final = 5.0
START_S: Final = 20.0


class ListenError(UsageError):
    """It cannot listen there."""

    def __init__(self, *, place: str, why: str) -> None:
        super().__init__(f"{place} cannot be listened on ({why}); name another with --listen HOST:PORT.")


@dataclass(frozen=True, slots=True)
class Served:
    """Where the page is: a host, and the port that was taken."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}/"


def read_place(text: str) -> tuple[str, int]:
    """Host and port of ``--listen``; this machine where only a port is named.

    >>> read_place("9464"), read_place("0.0.0.0:80"), read_place("[::1]:80")
    (('127.0.0.1', 9464), ('0.0.0.0', 80), ('::1', 80))

    Raises:
        ListenError: It is neither.
    """
    host, _, port = text.strip().rpartition(":")
    if not port.isascii() or not port.isdecimal() or int(port) > 65_535:
        raise ListenError(place=text[:60], why="it is no PORT and no HOST:PORT")
    return host.strip("[]") or LOOPBACK, int(port)


def guard_of(settings: Settings, host: str) -> Guard:
    """Who may look.

    Raises:
        MissingSecretError: The variable of a token is set nowhere.
    """
    page = settings.values.page
    token = header_secret = Secret("")
    if page.token_variable is not None:
        token = Secret(settings.secret(page.token_variable, purpose="the page").get_secret_value())
    if page.proxy_secret_variable is not None:
        found = settings.secret(page.proxy_secret_variable, purpose="the proxy of the page")
        header_secret = Secret(found.get_secret_value())
    return Guard(_is_loopback(host), token, page.proxy_header or "", header_secret, page.open_measures)


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _always_ready() -> str:
    return ""


@contextmanager
def serve(
    settings: Settings, listen: str, *, measures: Measures | None = None, is_ready: Callable[[], str] = _always_ready
) -> Iterator[Served]:
    """Serve the output folder of a configuration until the end of the block.

    Args:
        listen: ``PORT`` or ``HOST:PORT``; port 0 takes a free one.
        is_ready: Why the watch is not ready, empty where it is.

    Raises:
        ListenError: The port is taken, or the place is none.
        MissingExtraError: The extra ``watch`` is not installed.
        MissingSecretError: The variable of a token is set nowhere.
    """
    check_extra("The page", package="starlette", extra="watch")
    check_extra("The page", package="uvicorn", extra="watch")
    import uvicorn

    host, port = read_place(listen)
    guard = guard_of(settings, host)
    sock = _listen(host, port)
    app = build_app(Shown(settings), guard=guard, measures=measures, is_ready=is_ready)
    config = uvicorn.Config(
        app, log_config=None, access_log=False, lifespan="off", server_header=False, proxy_headers=False, ws="none",
        limit_concurrency=64, timeout_keep_alive=5, timeout_graceful_shutdown=1, h11_max_incomplete_event_size=16_384,
    )  # fmt: skip
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]}, daemon=True, name="page")
    thread.start()
    try:
        _wait_for(server, thread, place=f"{host}:{port}")
        yield Served(host, sock.getsockname()[1])
    finally:
        server.should_exit = True
        thread.join(STOP_S)
        sock.close()


def _listen(host: str, port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        sock.listen(64)
    except OSError as error:
        sock.close()
        why = "no such host" if isinstance(error, socket.gaierror) else os.strerror(error.errno or 0)
        raise ListenError(place=f"{host}:{port}", why=why) from error
    return sock


def _wait_for(server: object, thread: threading.Thread, *, place: str) -> None:
    """Wait until it answers."""
    waited = threading.Event()
    for _ in range(int(START_S / 0.01)):
        if getattr(server, "started", False):
            return
        if not thread.is_alive():
            break
        waited.wait(0.01)
    raise ListenError(place=place, why="the server did not start")
