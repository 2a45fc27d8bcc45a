"""What wallets say as claims: which addresses are theirs, and whether they were asked. Never how much is owed.

The key is the address. A wallet that was not asked says nothing, and an address that no asked wallet has is a question
that failed: on this chain nobody else could know, so there is no "not found".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from recon.sources.interface import ClaimKey, Coverage, Gap, Progress, Reading
from recon.sources.providers.claims import Row, Said, digest_of, failed_row, reading_of
from recon.sources.providers.monero.ledger import WalletsUnusableError
from recon.sources.providers.monero.networks import read_address, standard_part
from recon.sources.providers.monero.wallets import WalletRead, Wallets, WorldRead, is_incoming

NAME: Final = "monero"
_KIND: Final = "address"
_NOBODY: Final = "no wallet that was asked has this address, so nobody can tell what came to it"


class WalletClaims:
    """All wallets of a configuration, read only; a :class:`~recon.sources.interface.ClaimSource`."""

    name: str = NAME

    def __init__(self, wallets: Wallets) -> None:
        self._wallets = wallets

    def close(self) -> None:
        """Let go of all connections."""
        self._wallets.close()

    def check(self) -> str:
        """Say in one sentence that all wallets are at the daemon's height. Raises WalletsUnusableError."""
        read = self._wallets.read(progress=_quiet)
        problem = read.problem or next((each.problem for each in read.wallets if each.problem), None)
        if problem is not None:
            raise WalletsUnusableError(source=NAME, problem=problem)
        names = ", ".join(each.name for each in read.wallets)
        return f"{NAME}: {names} answer and stand at the daemon's block."

    def read_window(self, from_ms: int, to_ms: int, *, progress: Progress) -> Reading:
        """Every address of every wallet that was asked; addresses have no dates, so the window does not matter."""
        read = self._wallets.read(progress=lambda done, total: progress(NAME, done, total))
        at_ms = self._wallets.clock.now_ms()
        said = [each for wallet in read.asked for each in _said(wallet, read, at_ms=at_ms)]
        why = next(iter(read.unasked), None)
        coverage = Coverage(
            NAME, "bulk", complete=why is None, asked_from=from_ms, asked_to=to_ms,
            done_from=None if why else from_ms, done_to=None if why else to_ms, calls=read.calls,
            wire_bytes=read.wire_bytes, items=len(said), problem=why,
        )  # fmt: skip
        gaps = [Gap(NAME, "bulk", from_ms, to_ms, why)] if why else []
        return reading_of(said, coverage=[coverage], gaps=gaps)

    def look_up(self, keys: Sequence[ClaimKey], *, progress: Progress) -> Reading:
        """Ask whose addresses these are; each gets a claim of every wallet that has it, or one that failed."""
        read = self._wallets.read(progress=lambda done, total: progress(NAME, done, total))
        at_ms = self._wallets.clock.now_ms()
        said, failed = [], 0
        for key in keys:
            found = [each for wallet in read.asked for each in _said(wallet, read, at_ms=at_ms, only=key.external_id)]
            if not found:
                failed += 1
                said.append(_failed(key, read, at_ms=at_ms))
            said += found
        problem = f"{failed} of {len(keys)} addresses could not be asked about" if failed else read.problem
        coverage = Coverage(
            NAME, "lookup", complete=problem is None, calls=read.calls, wire_bytes=read.wire_bytes, items=len(keys),
            problem=problem,
        )  # fmt: skip
        return reading_of(said, coverage=[coverage])


def _quiet(done: int, total: int) -> None:
    """Take no notice."""


def _failed(key: ClaimKey, read: WorldRead, *, at_ms: int) -> Said:
    why = "; ".join((_NOBODY, *read.unasked)) if read.problem is None else read.problem
    if not key.external_id:
        why = "there is no address to ask by"
    claim_id = key.external_id or f"nameless:{key.payment_id}"
    return Said(failed_row(NAME, key, claim_id=claim_id, reason=why, at_ms=at_ms, kind=_KIND))


def _said(wallet: WalletRead, read: WorldRead, *, at_ms: int, only: str | None = "") -> Iterable[Said]:
    """Claims of one wallet: of all its addresses and those with a payment id that money came to, or of the one."""
    came: dict[str, set[str]] = {}
    for row in wallet.rows:
        if is_incoming(row):
            came.setdefault(row.address, set()).add(row.tx_hash)
    if only == "":
        wanted = {*wallet.addresses, *came}
    else:
        address = read_address(only or "")
        wanted = {address} if address is not None and standard_part(address) in wallet.addresses else set()
    for address in sorted(wanted):
        yield Said(_row(wallet, address, came.get(address, set()), at_ms=at_ms))


def _row(wallet: WalletRead, address: str, hashes: set[str], *, at_ms: int) -> Row:
    return {
        "provider": NAME,
        "claim_id": f"{wallet.name}:{address}",
        "object": _KIND,
        "outcome": "found",
        "external_id": address,
        "state": "unknown",
        "state_raw": "received" if hashes else "empty",
        "recipient": address,
        "tx_hashes": " ".join(sorted(f"0x{each}" for each in hashes)) or None,
        "looked_up_at": at_ms,
        "digest": digest_of([wallet.name, address, sorted(hashes)]),
    }
