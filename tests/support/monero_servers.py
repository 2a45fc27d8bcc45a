"""A real ``monerod --regtest`` with real wallet servers on free loopback ports, stopped by their own process ids.

The package ``monero`` of Debian has both. Mining costs a processor: one chain of ninety blocks is made once.
"""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

PROGRAMS = ("monerod", "monero-wallet-rpc")
MISSING = "monerod and monero-wallet-rpc are not installed (Debian, Ubuntu: apt-get install monero)"
LOGIN = "reader:only-for-this-test"
_UP_WITHIN_S = 120


def are_installed() -> bool:
    return all(shutil.which(program) for program in PROGRAMS)


def _free_port() -> int:
    with socket.socket() as each:
        each.bind(("127.0.0.1", 0))
        return int(each.getsockname()[1])


@dataclass
class RpcServer:
    """One process that answers JSON-RPC."""

    process: subprocess.Popen[bytes]
    url: str
    login: tuple[str, str] | None = None

    def ask(self, method: str, params: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The result; AssertionError for an error."""
        body = {"jsonrpc": "2.0", "id": "0", "method": method, "params": dict(params or {})}
        answer = self.post("/json_rpc", body)
        assert "error" not in answer, (method, answer)
        return dict(answer.get("result", {}))

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        auth = httpx.DigestAuth(*self.login) if self.login else None
        answer = httpx.post(self.url + path, json=dict(body), auth=auth, timeout=_UP_WITHIN_S, trust_env=False)
        return dict(answer.json())

    def wait(self, method: str) -> None:
        ends_at = time.monotonic() + _UP_WITHIN_S
        while True:
            try:
                self.ask(method)
                return
            except httpx.HTTPError:
                assert self.process.poll() is None and time.monotonic() < ends_at, f"{self.url} does not answer"
                time.sleep(0.1)


@dataclass
class RealMonero:
    """The daemon and its wallets."""

    folder: Path
    daemon: RpcServer = field(init=False)
    wallets: dict[str, RpcServer] = field(default_factory=dict)
    opened: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        port = _free_port()
        process = self._run(
            "monerod", "--regtest", "--offline", "--fixed-difficulty", "1", "--data-dir", self.folder / "chain",
            "--rpc-bind-port", port, "--no-igd", "--no-zmq", "--non-interactive", "--log-level", "0",
        )  # fmt: skip
        self.daemon = RpcServer(process, f"http://127.0.0.1:{port}")
        self.daemon.wait("get_info")

    def _run(self, *arguments: object) -> subprocess.Popen[bytes]:
        out = (self.folder / f"{len(self.opened)}.out").open("wb")
        with out:
            process = subprocess.Popen(
                [str(each) for each in arguments], stdout=out, stderr=out, stdin=subprocess.DEVNULL, cwd=self.folder
            )
        self.opened.append(process)
        return process

    def serve(self, name: str, *, login: str | None = None, restricted: bool = False) -> RpcServer:
        """A wallet server without an open wallet."""
        port = _free_port()
        (self.folder / "wallets").mkdir(exist_ok=True)
        process = self._run(
            "monero-wallet-rpc", "--wallet-dir", self.folder / "wallets", "--rpc-bind-port", port,
            *(("--rpc-login", login) if login else ("--disable-rpc-login",)),
            *(("--restricted-rpc",) if restricted else ()),
            "--daemon-address", self.daemon.url.removeprefix("http://"), "--trusted-daemon", "--rpc-ssl", "disabled",
            "--daemon-ssl", "disabled", "--log-file", self.folder / f"{name}.log",
        )  # fmt: skip
        user, _, password = (login or "").partition(":")
        self.wallets[name] = RpcServer(process, f"http://127.0.0.1:{port}", (user, password) if login else None)
        self.wallets[name].wait("get_version")
        return self.wallets[name]

    def mine(self, count: int, *, to: str) -> None:
        self.daemon.ask("generateblocks", {"amount_of_blocks": count, "wallet_address": to})

    def freeze(self) -> None:
        self.daemon.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.daemon.process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        self.thaw()
        for process in reversed(self.opened):
            process.terminate()
        for process in self.opened:
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def make_escrow(parties: list[RpcServer], *, name: str) -> str:
    """A wallet of two out of three at each of three servers; gives its address. Rounds are not counted, but asked."""
    told = []
    for number, each in enumerate(parties):
        each.ask("create_wallet", {"filename": f"{name}-{number}", "language": "English"})
        told.append(each.ask("prepare_multisig", {"enable_multisig_experimental": True})["multisig_info"])
    said = [
        each.ask("make_multisig", {"multisig_info": [*told[:number], *told[number + 1 :]], "threshold": 2})
        for number, each in enumerate(parties)
    ]
    for _ in range(5):
        if parties[0].ask("is_multisig")["ready"]:
            break
        texts = [each["multisig_info"] for each in said]
        said = [each.ask("exchange_multisig_keys", {"multisig_info": texts}) for each in parties]
    return str(parties[0].ask("get_address", {"account_index": 0})["address"])


def release(first: RpcServer, second: RpcServer, *, to: str, units: int) -> str:
    """Two of the three send out of the escrow; gives the transaction, which is in the pool."""
    for each in (first, second):
        each.ask("refresh")
    told = [each.ask("export_multisig_info")["info"] for each in (first, second)]
    for each, other in ((first, told[1]), (second, told[0])):
        each.ask("import_multisig_info", {"info": [other]})
    made = first.ask("transfer", {"destinations": [{"address": to, "amount": units}]})
    signed = second.ask("sign_multisig", {"tx_data_hex": made["multisig_txset"]})
    sent: list[str] = second.ask("submit_multisig", {"tx_data_hex": signed["tx_data_hex"]})["tx_hash_list"]
    return sent[0]
