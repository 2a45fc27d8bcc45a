"""What wallets say as claims: which addresses are theirs, and whether they were asked. Never how much is owed.

The key is the address. A wallet that was not asked says nothing, and an address that no asked wallet has is a question
that failed: on this chain nobody else could know, so there is no "not found".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from recon.sources.interface import ClaimKey, Coverage, Gap, Progress, Reading
from recon.sources.providers.claims import Row, Said, digest_of, failed_row, not_found_row, reading_of
from recon.sources.providers.monero.ledger import WalletsUnusableError
from recon.sources.providers.monero.networks import read_address, standard_part
from recon.sources.providers.monero.wallets import Wallets, WorldRead, is_incoming

NAME: Final = "monero"
_KIND: Final = "address"
_EARLY: Final = "41fJjQDhryD1111"
"""What the address begins with that every multisig wallet gives until the keys of its parties are exchanged."""

_TOO_EARLY: Final = (
    "this is the address that a multisig wallet gives before its keys were exchanged, so money that was sent to it "
    "belongs to no escrow; set the escrow up to its end and look at who was given this address"
)
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
        """Every address of every wallet that was asked, with what came to it since ``from_ms``; they have no dates."""
        read = self._wallets.read(progress=lambda done, total: progress(NAME, done, total))
        told = _Told(read, from_ms=from_ms, at_ms=self._wallets.clock.now_ms())
        said = [told.about(address) for address in told.addresses]
        why = next(iter(read.unasked), None)
        coverage = Coverage(
            NAME, "bulk", complete=why is None, asked_from=from_ms, asked_to=to_ms,
            done_from=None if why else from_ms, done_to=None if why else to_ms, calls=read.calls,
            wire_bytes=read.wire_bytes, items=len(said), problem=why,
        )  # fmt: skip
        gaps = [Gap(NAME, "bulk", from_ms, to_ms, why)] if why else []
        return reading_of(said, coverage=[coverage], gaps=gaps)

    def look_up(self, keys: Sequence[ClaimKey], *, progress: Progress) -> Reading:
        """Ask whose addresses these are; each gets a claim, found or failed.

        Where money went is no address of ours, and wallets have no object of it: that one is not found.
        """
        read = self._wallets.read(progress=lambda done, total: progress(NAME, done, total))
        told = _Told(read, from_ms=0, at_ms=self._wallets.clock.now_ms())
        ours = [read_address(key.external_id or "") for key in keys]
        held = [address if address and told.has(address) else None for address in ours]
        said = [
            told.about(address) if address is not None else _without(key, read, at_ms=told.at_ms)
            for key, address in zip(keys, held, strict=True)
        ]
        failed = sum(each.claim["outcome"] == "failed" for each in said)
        problem = f"{failed} of {len(keys)} addresses could not be asked about" if failed else read.problem
        coverage = Coverage(
            NAME, "lookup", complete=problem is None, calls=read.calls, wire_bytes=read.wire_bytes, items=len(keys),
            problem=problem,
        )  # fmt: skip
        return reading_of(said, coverage=[coverage])


def _quiet(done: int, total: int) -> None:
    """Take no notice."""


def _without(key: ClaimKey, read: WorldRead, *, at_ms: int) -> Said:
    if key.direction != "in" and key.external_id and read.problem is None:
        return Said(not_found_row(NAME, key, claim_id=key.external_id, at_ms=at_ms, kind=_KIND))
    why = "; ".join((_NOBODY, *read.unasked)) if read.problem is None else read.problem
    if (key.external_id or "").startswith(_EARLY):
        why = _TOO_EARLY
    if not key.external_id:
        why = "there is no address to ask by"
    claim_id = key.external_id or f"nameless:{key.payment_id}"
    return Said(failed_row(NAME, key, claim_id=claim_id, reason=why, at_ms=at_ms, kind=_KIND))


class _Told:
    """What the wallets that were asked say of their addresses, all together."""

    def __init__(self, read: WorldRead, *, from_ms: int, at_ms: int) -> None:
        self.at_ms = at_ms
        self._owners: dict[str, set[str]] = {}
        self._came: dict[str, set[str]] = {}
        for wallet in read.asked:
            for address in wallet.addresses:
                self._owners.setdefault(address, set()).add(wallet.name)
            for row in wallet.rows:
                if is_incoming(row) and row.at_ms >= from_ms:
                    self._came.setdefault(row.address, set()).add(row.tx_hash)

    @property
    def addresses(self) -> list[str]:
        """All addresses, and those with a payment id in them to which something came."""
        return sorted({*self._owners, *self._came})

    def has(self, address: str) -> bool:
        """Whether a wallet that was asked has an address."""
        return standard_part(address) in self._owners

    def about(self, address: str) -> Said:
        """The claim of an address that a wallet has."""
        hashes = sorted(f"0x{each}" for each in self._came.get(address, ()))
        owners = " ".join(sorted(self._owners.get(standard_part(address), ())))
        row: Row = {
            "provider": NAME,
            "claim_id": address,
            "object": _KIND,
            "outcome": "found",
            "external_id": address,
            "state": "unknown",
            "state_raw": "received" if hashes else "empty",
            "recipient": address,
            "tx_hashes": " ".join(hashes) or None,
            "detection_source": owners,
            "looked_up_at": self.at_ms,
            "digest": digest_of([owners, address, hashes]),
        }
        return Said(row)
