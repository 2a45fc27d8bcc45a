"""A real PostgreSQL for the tests, on a free loopback port, with a password; it is not run as root, which it refuses.

``RECON_TEST_POSTGRES`` names a folder with ``initdb`` and ``postgres``; without it that of Debian's package is taken.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support.servers import LOOPBACK, MissingProgramError, Server, ServerDiedError, free_port

if TYPE_CHECKING:
    import psycopg

OWNER = "recon_owner"
PASSWORD = "p:w/d@all"
"""The signs in it must be escaped in an address."""

_SETTINGS = ("fsync=off", "shared_buffers=16MB", "max_connections=60", "logging_collector=off", "timezone=Asia/Tokyo",
             "datestyle=SQL,DMY", "max_wal_size=128MB")  # fmt: skip
_REMEDY = "Run scripts/test as root, which installs it, or apt-get install postgresql, or name its programs there."


def programs() -> Path:
    """The folder of the programs."""
    named = os.environ.get("RECON_TEST_POSTGRES")
    found = [Path(named)] if named else sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for folder in found:
        if (folder / "initdb").is_file() and (folder / "postgres").is_file():
            return folder
    raise MissingProgramError(program=f"RECON_TEST_POSTGRES={named}" if named else "PostgreSQL", remedy=_REMEDY)


def _user() -> list[str]:
    """What runs a command as a user who is not root."""
    if os.getuid() != 0:
        return []
    name = next(name for name in ("postgres", "nobody") if name in {each.pw_name for each in pwd.getpwall()})
    found = pwd.getpwnam(name)
    return ["setpriv", f"--reuid={found.pw_uid}", f"--regid={found.pw_gid}", "--clear-groups",
            "--pdeathsig", "KILL", "--"]  # fmt: skip


@dataclass
class Postgres(Server):
    """One server. A standby is made with :meth:`standby`."""

    primary: Postgres | None = None
    is_durable: bool = False

    def url(self, database: str = "postgres", *, user: str = OWNER, password: str = PASSWORD) -> str:
        """The address of a database, as a user."""
        from urllib.parse import quote

        return f"postgresql://{user}:{quote(password, safe='')}@{LOOPBACK}:{self.port}/{database}"

    @contextmanager
    def connected(self, database: str = "postgres", **options: Any) -> Iterator[psycopg.Connection[Any]]:
        """A connection of the owner that commits each statement by itself."""
        import psycopg

        options = {"options": "-c DateStyle=ISO", **options}
        with psycopg.connect(self.url(database), autocommit=True, connect_timeout=10, **options) as connection:
            yield connection

    def start(self) -> Postgres:
        """Start on the same folder (and, after the first time, the same port), and wait until it answers."""
        is_first = self.port == 0
        if is_first:
            self._found()
        for attempt in range(5):
            self.port = free_port() if is_first else self.port
            self.launch([*_user(), *self._command()])
            try:
                self.wait_for(self._answers, what="answer")
                return self
            except ServerDiedError:
                self.end()
                if attempt == 4:
                    raise
        raise AssertionError("the last attempt raises")

    def standby(self) -> Postgres:
        """A streaming replica of this one, started."""
        home = Path(tempfile.mkdtemp(prefix="recon-standby-"))
        return Postgres(program="postgres", folder=home, primary=self).start()

    def promote(self) -> None:
        """Make a standby the primary."""
        with self.connected() as connection:
            connection.execute("SELECT pg_promote()")

    def kill(self) -> None:
        """SIGKILL to the whole server, as a crash of the machine; :meth:`start` brings it back on the same data."""
        pid = self.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        self.end(kill=True)
        for child in children:
            _wait_gone(int(child))

    def stop(self) -> None:
        """End it at once, since its data goes with it."""
        self.end(kill=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _found(self) -> None:
        """Make the data: a new cluster, or a copy of the primary's."""
        if os.getuid() == 0:
            user = pwd.getpwuid(int(_user()[1].partition("=")[2]))
            os.chown(self.folder, user.pw_uid, user.pw_gid)
        secret = self.folder / "secret"
        secret.write_text(f"{PASSWORD}\n")
        secret.chmod(0o644)
        if self.primary is None:
            command = ["initdb", "-D", "data", "-U", OWNER, "-A", "scram-sha-256", "--pwfile=secret", "-E", "UTF8",
                       "--locale=C.UTF-8", "--no-sync"]  # fmt: skip
        else:
            command = ["pg_basebackup", "-D", "data", "-d", self.primary.url("replication"), "-R", "-X", "stream",
                       "-c", "fast", "--no-sync"]  # fmt: skip
        program = [*_user(), str(programs() / command[0]), *command[1:]]
        done = subprocess.run(program, cwd=self.folder, capture_output=True, check=False)
        if done.returncode:
            raise ServerDiedError(program=command[0], what="failed", log=done.stderr.decode(errors="replace"))

    def _command(self) -> list[str]:
        settings = [item for each in _SETTINGS if not (self.is_durable and "fsync" in each) for item in ("-c", each)]
        return [str(programs() / "postgres"), "-D", str(self.folder / "data"), "-p", str(self.port), "-h", LOOPBACK,
                "-k", "", *settings]  # fmt: skip

    def _answers(self) -> bool:
        import psycopg

        try:
            with self.connected():
                return True
        except psycopg.OperationalError:
            return False


def _wait_gone(pid: int) -> None:
    import time

    for _ in range(500):
        if not Path(f"/proc/{pid}").exists():
            return
        time.sleep(0.01)


def start_postgres(*, is_durable: bool = False) -> Postgres:
    """Start a server of its own on a free port; the caller stops it."""
    home = Path(tempfile.mkdtemp(prefix="recon-postgres-"))
    return Postgres(program="postgres", folder=home, is_durable=is_durable).start()
