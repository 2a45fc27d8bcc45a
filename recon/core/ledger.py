"""What a ledger's entries are, in words that every part of the tool shares.

An entry states an amount of one *kind*: ``gross`` came in, ``fee`` was kept, ``released`` went to the seller,
``refunded`` went back, ``held`` is set aside, ``adjustment`` is a correction. Books are *single* (one entry an event)
or *double* (entries in groups that make zero). What is left of a deal is what came in less fee, released and refunded::

    gross 100   fee 3   released 97        left 0
    gross 100   fee 3                      left 97: held
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

KINDS: Final = ("gross", "fee", "held", "released", "refunded", "adjustment")
"""What an entry may state."""

PROBLEMS: Final[Mapping[str, str]] = {
    "kind_unknown": "its kind is mapped to none that recon knows",
    "amount_unreadable": "its amount is missing or is no decimal number",
    "amount_too_fine": "its amount is finer than its token counts",
    "amount_too_large": "its amount has more digits than can be summed",
    "token_unknown": "its token is none that recon knows on its chain, and its payment does not say",
    "side_unknown": "its side is neither a debit nor a credit word",
    "group_missing": "it belongs to no group, and the books are double",
}
"""Why an entry enters no sum."""


class LedgerVerdict(StrEnum):
    """What is the matter with the books of one payment or deal, in the order in which they are told."""

    LEDGER_MISSING = "ledger_missing"
    LEDGER_MISMATCH = "ledger_mismatch"
    LEDGER_ORPHAN = "ledger_orphan"
    LEDGER_OUT_OF_BALANCE = "ledger_out_of_balance"


LEDGER_VERDICT_TEXT: Final[Mapping[LedgerVerdict, str]] = {
    LedgerVerdict.LEDGER_MISSING: "money moved by the evidence, and no entry states it",
    LedgerVerdict.LEDGER_MISMATCH: "entries state it otherwise: amount, token, account, or twice; or a reversal is off",
    LedgerVerdict.LEDGER_ORPHAN: "an entry states what neither a payment nor the evidence knows",
    LedgerVerdict.LEDGER_OUT_OF_BALANCE: "the entries do not add up by themselves",
}
"""Each verdict in a clause."""


@dataclass(frozen=True, slots=True)
class LedgerRules:
    """By what the entries of a snapshot are judged; it is kept in its manifest.

    Args:
        is_double: Whether each group of entries has to make zero.
        accounts: By kind, the accounts its entries may stand in; a name that ends in ``*`` means all that begin so.
        grace_ms: Nothing is judged of a deal that moved or was booked within so long before the snapshot.
        books_fees: Whether fees are entries, so that nothing may stay held once a deal is over.
    """

    is_double: bool = False
    accounts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    grace_ms: int = 1_800_000
    books_fees: bool = True

    def to_json(self) -> dict[str, Any]:
        """The rules as JSON."""
        accounts = {kind: list(names) for kind, names in sorted(self.accounts.items())}
        return {
            "is_double": self.is_double, "accounts": accounts, "grace_ms": self.grace_ms, "books_fees": self.books_fees,
        }  # fmt: skip

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> LedgerRules:
        """The rules as :meth:`to_json` wrote them."""
        accounts = {str(kind): tuple(map(str, names)) for kind, names in said["accounts"].items()}
        return cls(bool(said["is_double"]), accounts, int(said["grace_ms"]), bool(said["books_fees"]))
