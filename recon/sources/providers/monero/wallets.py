"""All wallets and the daemon read once, each with an honest account of whether it was asked at all.

A wallet answers from its own file when its daemon is gone, without any mark. So it counts as asked only when it took
the newest blocks without an error, stands at the daemon's height, could look into the daemon's pool, and knows no
transaction otherwise than the daemon does: the daemon is the second witness of everything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from recon.core.errors import WrongSourceError
from recon.core.text import clean_text, count_text
from recon.sources.http import Clock, Secret
from recon.sources.providers.monero.answers import (
    KINDS_IN,
    DaemonState,
    DaemonTx,
    UnreadableError,
    WalletRow,
    accounts_of,
    addresses_of,
    daemon_txs_of,
    state_of,
    transfers_of,
    whole,
)
from recon.sources.providers.monero.rpc import (
    REFUSED_WHEN_RESTRICTED,
    Server,
    ServerTerms,
    UnansweredError,
    parts_of,
)
from recon.sources.providers.monero.settings import MoneroSection, WalletSection

_EVERYTHING: Final = {"in": True, "out": True, "pending": True, "pool": True, "failed": True, "all_accounts": True}
_FOLLOWS_WITHIN_S: Final = 25.0
"""A wallet that may not be told to take the newest blocks takes them itself every 20 seconds."""
_LOOK_AGAIN_S: Final = 2.5

_Failed = (UnansweredError, UnreadableError)


class WrongNetworkError(WrongSourceError):
    """A daemon is of another network than the chain that it is asked for."""

    def __init__(self, *, wanted: str, found: str) -> None:
        super().__init__(
            source="the daemon of [monero]",
            what="its network",
            expected=wanted,
            found=clean_text(found, limit=40),
            remedy="Correct daemon_url, or the chain_id in [[chains]].",
        )


@dataclass(frozen=True, slots=True)
class WalletRead:
    """One wallet as it was read.

    Args:
        addresses: All that are its own, the first account's own first; empty when it did not answer.
        problem: Why it has not been asked, one plain sentence; None when it has.
        blind_until_ms: What came before this moment it may never have seen; None where that is not known.
    """

    name: str
    addresses: tuple[str, ...] = ()
    rows: tuple[WalletRow, ...] = ()
    problem: str | None = None
    blind_until_ms: int | None = None

    @property
    def keys(self) -> str:
        """What tells whether two wallets have the same keys: their main address, or the name of one without."""
        return self.addresses[0] if self.addresses else f"{self.name} (unread)"


@dataclass(frozen=True, slots=True)
class WorldRead:
    """Everything that was read at one time.

    Args:
        daemon: How far the daemon is; None when it gave no usable answer.
        problem: Why nothing of this can be of now; None when it is.
        txs: What the daemon has of all transactions that wallets show or that were asked about.
        calls, wire_bytes: What the questions cost.
    """

    wallets: tuple[WalletRead, ...]
    daemon: DaemonState | None
    problem: str | None
    txs: Mapping[str, DaemonTx] = field(default_factory=dict)
    calls: int = 0
    wire_bytes: int = 0

    @property
    def asked(self) -> tuple[WalletRead, ...]:
        """The wallets that have been asked."""
        return () if self.problem else tuple(each for each in self.wallets if each.problem is None)

    @property
    def unasked(self) -> tuple[str, ...]:
        """Why keys were not asked that no other wallet was asked for."""
        if self.problem:
            return (self.problem,)
        known = {each.keys for each in self.asked}
        return tuple(each.problem for each in self.wallets if each.problem is not None and each.keys not in known)

    @property
    def blind_until_ms(self) -> int | None:
        """Since when every set of keys is seen by one of its wallets; None where that is not known of one."""
        best: dict[str, int | None] = {}
        for each in self.asked:
            known = [at for at in (best.get(each.keys), each.blind_until_ms) if at is not None]
            best[each.keys] = min(known, default=None)
        return None if None in best.values() else max((at for at in best.values() if at is not None), default=None)


class Wallets:
    """The wallet servers and the daemon of one configuration."""

    def __init__(
        self,
        section: MoneroSection,
        *,
        secret: Callable[[str], Secret],
        reached: ServerTerms,
        nettype: str | None = None,
    ) -> None:
        self._section, self._nettype, self._clock = section, nettype, reached.clock
        self._daemon: Server | None = None
        if section.daemon_url is not None:
            login = None if section.daemon_login_variable is None else secret(section.daemon_login_variable)
            self._daemon = Server("the daemon", section.daemon_url, login=login, reached=reached)
        self._servers = [
            (
                each,
                Server(
                    f"wallet {each.name}",
                    each.url,
                    login=None if each.login_variable is None else secret(each.login_variable),
                    reached=reached,
                ),
            )
            for each in section.wallets
        ]

    @property
    def clock(self) -> Clock:
        """By what time everything is judged."""
        return self._clock

    def close(self) -> None:
        """Let go of all connections."""
        for server in self._all():
            server.close()

    def standing(self) -> DaemonState:
        """How far the daemon is.

        Raises:
            UnansweredError: It gives no usable answer.
            WrongNetworkError: It is on another network than this chain.
        """
        if self._daemon is None:
            raise UnansweredError("no daemon is configured in [monero]")
        info = self._daemon.call("get_info")
        if self._nettype is not None and info.get("nettype") != self._nettype:
            raise WrongNetworkError(wanted=self._nettype, found=str(info.get("nettype")))
        header = self._daemon.call("get_last_block_header")
        age_max_ms = self._section.head_age_max_min * 60_000
        try:
            return state_of(info, header, now_ms=self._clock.now_ms(), age_max_ms=age_max_ms)
        except UnreadableError as error:
            raise UnansweredError(f"the daemon gives an answer that cannot be read: {error}") from error

    def read(self, hashes: Sequence[str] = (), *, progress: Callable[[int, int], None]) -> WorldRead:
        """Read all wallets, and ask the daemon about their transactions and ``hashes`` (64 digits each).

        Raises:
            WrongNetworkError: The daemon is on another network than this chain.
        """
        try:
            return self._read(hashes, progress)
        finally:
            self.close()

    def _read(self, hashes: Sequence[str], progress: Callable[[int, int], None]) -> WorldRead:
        calls, wire = self._spent()
        try:
            before = self.standing()
        except UnansweredError as error:
            return self._unread(str(error), calls, wire)
        if before.problem is not None:
            return self._unread(before.problem, calls, wire, daemon=before)
        wallets = []
        for number, (section, server) in enumerate(self._servers, start=1):
            wallets.append(self._wallet(section, server, least=before.height))
            progress(number, len(self._servers))
        read = self._witnessed(wallets, hashes, before=before)
        if not self._servers and read.problem is None:
            read = replace(read, problem="no wallet is configured in [monero]")
        now_calls, now_wire = self._spent()
        return replace(read, calls=now_calls - calls, wire_bytes=now_wire - wire)

    def prove(self, tx_hash: str, *, address: str, message: str, signature: str) -> Mapping[str, Any]:
        """What a wallet says of a proof that money went to an address; any wallet can, it needs no keys of ours.

        ``good`` false and an amount of 0 mean that message, address and proof do not belong together.

        Raises:
            UnansweredError: No wallet gives an answer.
        """
        said = {"txid": tx_hash, "address": address, "message": message, "signature": signature}
        problem = "no wallet is configured in [monero]"
        for _, server in self._servers:
            try:
                return server.call("check_tx_proof", said)
            except UnansweredError as error:
                problem = str(error)
            finally:
                server.close()
        raise UnansweredError(problem)

    def _unread(self, why: str, calls: int, wire: int, *, daemon: DaemonState | None = None) -> WorldRead:
        wallets = tuple(WalletRead(section.name, problem=why) for section, _ in self._servers)
        now_calls, now_wire = self._spent()
        return WorldRead(wallets, daemon, why, calls=now_calls - calls, wire_bytes=now_wire - wire)

    def _wallet(self, section: WalletSection, server: Server, *, least: int) -> WalletRead:
        """One wallet, before the daemon was asked about what it shows."""
        read = WalletRead(section.name)
        try:
            self._follow(server, least=least)
            accounts = accounts_of(server.call("get_accounts"))
            found = [addresses_of(server.call("get_address", {"account_index": account})) for account in accounts]
            read = replace(read, addresses=tuple(address for part in found for address in part))
            return replace(read, rows=transfers_of(server.call("get_transfers", _EVERYTHING)))
        except UnreadableError as error:
            return replace(read, problem=f"{server.name} gives an answer that cannot be read: {error}")
        except UnansweredError as error:
            return replace(read, problem=str(error))

    def _follow(self, server: Server, *, least: int) -> None:
        """Let a wallet take the newest blocks; a restricted server does so by itself. Raises UnansweredError."""
        waits_s = 0.0
        try:
            server.call("refresh")
        except UnansweredError as error:
            if error.code != REFUSED_WHEN_RESTRICTED:
                raise
            waits_s = _FOLLOWS_WITHIN_S
        while (height := _height(server)) < least:
            if waits_s <= 0:
                raise UnansweredError(f"{server.name} is at block {height}, and the daemon is at {least}")
            self._clock.sleep(_LOOK_AGAIN_S)
            waits_s -= _LOOK_AGAIN_S

    def _witnessed(self, wallets: Sequence[WalletRead], hashes: Sequence[str], *, before: DaemonState) -> WorldRead:
        """The wallets held against the daemon."""
        shown = {row.tx_hash for each in wallets for row in each.rows if row.kind != "failed"}
        canaries = {section.canary for section, _ in self._servers if section.canary is not None}
        try:
            txs = self._txs(sorted({*shown, *hashes, *canaries}))
            after = self.standing()
            if problem := after.problem or _turned(before, after):
                return WorldRead(tuple(wallets), after, problem)
            held = [self._held(each, txs, after=after) for each in wallets]
            begun = [self._begun(each, section, txs) for each, (section, _) in zip(held, self._servers, strict=True)]
        except _Failed as error:
            return WorldRead(tuple(wallets), before, str(error))
        return WorldRead(tuple(begun), after, None, txs)

    def _txs(self, hashes: Sequence[str]) -> dict[str, DaemonTx]:
        assert self._daemon is not None
        found: dict[str, DaemonTx] = {}
        for part in parts_of(hashes):
            asked = {"txs_hashes": list(part), "prune": True, "decode_as_json": False}
            found |= daemon_txs_of(self._daemon.post("/get_transactions", asked))
        return found

    def _held(self, wallet: WalletRead, txs: Mapping[str, DaemonTx], *, after: DaemonState) -> WalletRead:
        """A wallet whose transfers lie where the daemon has them; else the reason why it has not been asked."""
        if wallet.problem is not None:
            return wallet
        server = next(server for section, server in self._servers if section.name == wallet.name)
        height = _height(server)
        if height > after.height:
            said = f"{server.name} is at block {height}, before the daemon at {after.height}: the chain has turned"
            return replace(wallet, problem=said)
        other = sorted(row.tx_hash for row in wallet.rows if not _agrees(row, txs.get(row.tx_hash)))
        if not other:
            return wallet
        said = f"{server.name} and the daemon do not agree on {count_text(len(other), 'transfer')}, {other[0]} first"
        return replace(wallet, problem=said)

    def _begun(self, wallet: WalletRead, section: WalletSection, txs: Mapping[str, DaemonTx]) -> WalletRead:
        """Since when a wallet has seen everything: from its oldest transfer on, or from the block that is declared."""
        if wallet.problem is not None:
            return wallet
        mined = {row.tx_hash: row.at_ms for row in wallet.rows if row.height is not None}
        if section.canary is not None and section.canary not in mined:
            said = f"wallet {wallet.name} does not know its canary, so it was restored at too late a block"
            return replace(wallet, problem=said)
        known = [at for tx_hash in mined if (tx := txs.get(tx_hash)) and (at := tx.at_ms) is not None]
        if section.start_height is not None:
            known.append(self._block_ms(section.start_height))
        return replace(wallet, blind_until_ms=min(known, default=None))

    def _block_ms(self, height: int) -> int:
        assert self._daemon is not None
        if height <= 0:
            return 0
        header = self._daemon.call("get_block_header_by_height", {"height": height}).get("block_header")
        stamp = header.get("timestamp") if isinstance(header, Mapping) else None
        return whole(stamp, what="the time of the start block", most=2**40) * 1000

    def _all(self) -> Iterable[Server]:
        return [*([self._daemon] if self._daemon else []), *(server for _, server in self._servers)]

    def _spent(self) -> tuple[int, int]:
        return sum(each.calls for each in self._all()), sum(each.wire_bytes for each in self._all())


def _height(server: Server) -> int:
    try:
        return whole(server.call("get_height").get("height"), what="its height", most=2**40)
    except UnreadableError as error:
        raise UnansweredError(f"{server.name} gives an answer that cannot be read: {error}") from error


def _turned(before: DaemonState, after: DaemonState) -> str | None:
    return "the chain became shorter while it was read" if after.height < before.height else None


def _agrees(row: WalletRow, tx: DaemonTx | None) -> bool:
    """Whether the daemon has a wallet's transfer where the wallet has it.

    A row in no block yet may be mined meanwhile, and a sender's may not have been relayed; one in a block is there.
    """
    if row.kind in ("failed", "pending"):
        return True
    if row.height is None:
        return tx is not None
    return tx is not None and tx.height == row.height


def is_incoming(row: WalletRow) -> bool:
    """Whether a wallet shows a transfer as money that came."""
    return row.kind in KINDS_IN
