"""A set of three real members whose connections to each other can be cut, so that one is alone and does not know it.

Each member is announced to the others at a relay of its own; a client goes to a member directly. A relay knows by the
system's table of connections which member called, so that one member can be cut off from both others.
"""

from __future__ import annotations

import re
import socket
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support.servers import LOOPBACK, Mongod

if TYPE_CHECKING:
    from pymongo import MongoClient

ELECTION_MS = 120_000
"""How long a primary goes on without hearing from a majority: longer than a test, however busy the machine is."""

WAIT_S = 30.0
_SOCKET = re.compile(r"socket:\[(\d+)\]")


class Relay:
    """Passes on what other members send to one, except from and to a member that is cut off."""

    def __init__(self, member: int, partition: Partition) -> None:
        self._member, self._partition = member, partition
        self._server = socket.create_server((LOOPBACK, 0))
        self.port = int(self._server.getsockname()[1])
        self._pairs: list[tuple[int | None, socket.socket, socket.socket]] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, source = self._server.accept()
                caller = self._partition.member_at(int(source[1]))
                if self._is_cut(caller):
                    near.close()
                    continue
                try:
                    far = socket.create_connection((LOOPBACK, self._partition.members[self._member].port), 2)
                except OSError:
                    near.close()
                    continue
                self._pairs.append((caller, near, far))
                if self._is_cut(caller):
                    _end(near, far)
                for one, other in ((near, far), (far, near)):
                    threading.Thread(target=_pass_on, args=(one, other), daemon=True).start()

    def _is_cut(self, caller: int | None) -> bool:
        """Whether a caller may not pass; one that was not found in the system's table may not, it calls again."""
        alone = self._partition.alone
        return alone is not None and caller != self._member and (caller is None or alone in (caller, self._member))

    def cut(self) -> None:
        """End the connections that may be no more."""
        for caller, near, far in self._pairs:
            if self._is_cut(caller):
                _end(near, far)

    def close(self) -> None:
        """End everything."""
        self._server.close()
        for _, near, far in self._pairs:
            _end(near, far)


def _pass_on(one: socket.socket, other: socket.socket) -> None:
    with suppress(OSError):
        while data := one.recv(65_536):
            other.sendall(data)
    _end(one, other)


def _end(*sockets: socket.socket) -> None:
    for each in sockets:
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
        each.close()


class Partition:
    """Three members of one set; ``cut_off`` leaves one of them alone, ``heal`` takes it back."""

    def __init__(self) -> None:
        self.alone: int | None = None
        home = Path(tempfile.mkdtemp(prefix="recon-partition-"))
        self.members = [Mongod(program="mongod", folder=home / str(n), follows=True) for n in range(3)]
        self._relays = [Relay(member, self) for member in range(3)]
        for member in self.members:
            member.folder.mkdir()
            member.start()
        hosts = [{"_id": n, "host": f"{LOOPBACK}:{relay.port}"} for n, relay in enumerate(self._relays)]
        settings = {"electionTimeoutMillis": ELECTION_MS, "heartbeatIntervalMillis": 500}
        with self.client(0) as client:
            client.admin.command("replSetInitiate", {"_id": "rs0", "members": hosts, "settings": settings})
        self.step_up(0)

    def member_at(self, port: int) -> int | None:
        """The member that a connection from a port comes from."""
        wanted = f"{int.from_bytes(socket.inet_aton(LOOPBACK), 'little'):08X}:{port:04X}"
        for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]:
            fields = line.split()
            if fields[1] == wanted:
                return next((n for n, member in enumerate(self.members) if fields[9] in _sockets(member)), None)
        return None

    def client(self, member: int) -> MongoClient[dict[str, Any]]:
        """A client of one member, whoever is the primary."""
        uri = f"mongodb://{LOOPBACK}:{self.members[member].port}/"
        return self.members[member].client(uri, directConnection=True)

    def is_primary(self, member: int) -> bool:
        """Whether a member says that it is the primary."""
        with self.client(member) as client:
            return bool(client.admin.command("hello").get("isWritablePrimary"))

    def step_up(self, member: int) -> None:
        """Make a member the primary, in the eyes of those that it reaches."""
        from pymongo.errors import OperationFailure

        def elected() -> bool:
            if not self.is_primary(member):
                with suppress(OperationFailure), self.client(member) as client:
                    client.admin.command("replSetStepUp")
            return self.is_primary(member)

        wait_until(elected)

    def cut_off(self, member: int) -> None:
        """Leave a member alone."""
        self.alone = member
        for relay in self._relays:
            relay.cut()

    def heal(self) -> None:
        """Let everybody reach everybody again."""
        self.alone = None

    def stop(self) -> None:
        """End all three."""
        for relay in self._relays:
            relay.close()
        for member in self.members:
            member.stop()


def _sockets(member: Mongod) -> set[str]:
    found = set()
    if member.process is not None:
        for entry in Path(f"/proc/{member.pid}/fd").iterdir():
            with suppress(OSError):
                if match := _SOCKET.match(str(entry.readlink())):
                    found.add(match[1])
    return found


def wait_until(holds: Callable[[], bool]) -> None:
    """Poll until something holds."""
    until = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < until, "it never came to that"
        time.sleep(0.1)
