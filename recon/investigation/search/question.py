"""What is searched for: keys, an amount, a time; and what comes of it. Pure.

A condition is one option of the search. All conditions must hold; of one condition any spelling and any place will do,
so that an address is found as recipient and as sender alike.

>>> parse_amount("24.5..26", token="USDC")
Amount(low='24.5', high='26', token='USDC')
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from recon.core.errors import UsageError
from recon.core.ids import normalise_address, normalise_reference, normalise_request_id, normalise_tx_hash
from recon.investigation.payment.identify import names_of

Row = Mapping[str, Any]

HITS_MAX: Final = 1_000
"""Most hits of one kind that are listed."""

PLACES: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "payments": {
        "payment_id": ("payment_id",),
        "request_id": ("request_id",),
        "reference": ("reference",),
        "external_id": ("external_id",),
        "tx_hash": ("tx_hash",),
        "address": ("recipient", "sender"),
        "buyer": ("buyer_id",),
    },
    "claims": {
        "request_id": ("request_id", "claim_id"),
        "reference": ("reference", "reference_topic"),
        "external_id": ("external_id", "claim_id"),
        "tx_hash": ("tx_hashes",),
        "address": ("recipient",),
    },
    "transfers": {
        "reference": ("reference_topic",),
        "tx_hash": ("tx_hash",),
        "address": ("sender", "recipient"),
    },
}
"""By table and kind of key, the columns that hold it; a kind that is not there cannot be looked for in that table."""

TIMES: Final[Mapping[str, str]] = {"payments": "created_at", "claims": "created_at", "transfers": "block_time"}
"""By table the column that a window is about."""

_AMOUNT: Final = re.compile(r"[0-9]{1,38}(\.[0-9]{1,38})?\Z")


class NothingWantedError(UsageError):
    """A search names nothing to look for."""

    def __init__(self) -> None:
        super().__init__(
            "Say what to search for: a text, or --reference, --hash, --address, --external-id, --request-id, --buyer "
            "or --amount; nothing was searched."
        )


class WantedKeyError(UsageError):
    """A key that is searched for can be none of its kind."""

    def __init__(self, *, option: str, text: str, form: str) -> None:
        super().__init__(f"{option}: {text[:80]!r} is no {form}; nothing was searched. Check it and search again.")


class WantedAmountError(UsageError):
    """An amount that is searched for cannot be read, or its range runs backwards."""

    def __init__(self, *, text: str, why: str) -> None:
        super().__init__(
            f"--amount: {text[:80]!r} {why}; nothing was searched. Write whole tokens, for example 25, 24.99 or 24..26."
        )


@dataclass(frozen=True, slots=True)
class Amount:
    """Whole tokens from ``low`` to ``high``, both included, as plain decimal text; of one token or of any."""

    low: str
    high: str
    token: str | None = None


@dataclass(frozen=True, slots=True)
class SearchQuestion:
    """What is searched for; all of it must hold.

    Args:
        keys: Conditions, each the values that will do by kind of key (:data:`PLACES`).
        from_ms, to_ms: UTC milliseconds, the first included, the second not.
        asked: What was asked, in words.
    """

    keys: tuple[Mapping[str, frozenset[str]], ...] = ()
    amount: Amount | None = None
    from_ms: int | None = None
    to_ms: int | None = None
    asked: tuple[str, ...] = ()

    def values(self, kind: str) -> list[str]:
        """Every value of a kind of key that is asked for, sorted."""
        return sorted({value for condition in self.keys for value in condition.get(kind, ())})

    def fits_table(self, table: str) -> bool:
        """Whether records of a table can hold every key that is asked for."""
        return all(any(kind in PLACES[table] for kind in condition) for condition in self.keys)


@dataclass(frozen=True, slots=True)
class SearchHit:
    """One record that was found.

    Args:
        row: The record, amounts as whole numbers.
        found_by: How it was found: ``search``, or the payment that it belongs to.
        known_by: Rows of ours that know it, each with the key: ``665f... by tx_hash``. Of a row: what providers and
            chains hold of it.
        ledger: Of a row: whether the backend's ledger holds its pay-in; None where that was not asked.
    """

    row: Row
    found_by: str = "search"
    known_by: tuple[str, ...] = ()
    ledger: bool | None = None


@dataclass(frozen=True, slots=True)
class LookedAt:
    """One source and how it was searched."""

    source: str
    how: str
    reach: str
    complete: bool
    problem: str = ""


@dataclass(frozen=True, slots=True)
class SearchResult:
    """What was found, what was searched, and what could not be.

    Args:
        place: Where: a snapshot by its digest, or ``live``.
        unowned: Why a claim or transfer that no row knows may still have one; empty where the whole collection was
            asked.
        searched: What was looked at, source by source.
        untold: What could not be searched, one sentence each; then a silence proves nothing.
        ledger: What is known of the ledger, one sentence.
        own_addresses: Our own wallets, as addresses are compared.
    """

    question: SearchQuestion
    place: str
    rows: tuple[SearchHit, ...] = ()
    claims: tuple[SearchHit, ...] = ()
    transfers: tuple[SearchHit, ...] = ()
    unowned: str = ""
    searched: tuple[LookedAt, ...] = ()
    untold: tuple[str, ...] = ()
    ledger: str = ""
    own_addresses: tuple[str, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether everything that was to be searched was."""
        return not self.untold and all(each.complete for each in self.searched)

    @property
    def strangers(self) -> tuple[SearchHit, ...]:
        """Provider objects, and transfers to wallets of ours, that no row knows: a proxy carries others' money, too."""
        own = [each for each in self.transfers if each.row["recipient"] in self.own_addresses]
        return tuple(each for each in (*self.claims, *own) if not each.known_by)


@dataclass(slots=True)
class SearchWords:
    """The options of a search as a person gave them; :meth:`question` reads them."""

    text: str | None = None
    keys: Mapping[str, Sequence[str]] = field(default_factory=dict)
    amount: str | None = None
    token: str | None = None

    def question(self, *, from_ms: int | None = None, to_ms: int | None = None) -> SearchQuestion:
        """Read what was given.

        Raises:
            NothingWantedError: Nothing but a time was given.
            NoIdError, WantedKeyError, WantedAmountError: Something cannot be what it is given as.
        """
        conditions: list[Mapping[str, frozenset[str]]] = []
        if self.text is not None:
            conditions.append(_by_kind((name.kind, name.value) for name in names_of(self.text)))
        for kind, texts in self.keys.items():
            if texts:
                conditions.append({kind: frozenset(each for text in texts for each in _spellings(kind, text))})
        amount = None if self.amount is None else parse_amount(self.amount, token=self.token)
        if amount is None and self.token is not None:
            raise WantedAmountError(text="", why="is needed beside --token")
        if not conditions and amount is None:
            raise NothingWantedError
        return SearchQuestion(tuple(conditions), amount, from_ms, to_ms, tuple(self._asked()))

    def _asked(self) -> Iterator[str]:
        if self.text is not None:
            yield f"text {self.text[:100]}"
        yield from (f"{kind.replace('_', ' ')} {', '.join(texts)[:200]}" for kind, texts in self.keys.items() if texts)
        if self.amount is not None:
            yield f"amount {self.amount} {self.token or 'of any token'}"


def parse_amount(text: str, *, token: str | None = None) -> Amount:
    """Read an amount in whole tokens, or a range of amounts with both ends included.

    Raises:
        WantedAmountError: It is none, or its range runs backwards.
    """
    from decimal import Decimal

    low, dots, high = text.strip().partition("..")
    ends = (low, high if dots else low)
    if not all(_AMOUNT.match(end) for end in ends):
        raise WantedAmountError(text=text, why="is no amount")
    if Decimal(ends[1]) < Decimal(ends[0]):
        raise WantedAmountError(text=text, why="is a range that runs backwards")
    return Amount(*ends, token=token)


def _by_kind(pairs: Iterable[tuple[str, str]]) -> Mapping[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for kind, value in pairs:
        found.setdefault(kind, set()).add(value)
    return {kind: frozenset(values) for kind, values in found.items()}


_FORMS: Final = {
    "reference": ("--reference", "payment reference (16 hex digits)", normalise_reference),
    "tx_hash": ("--hash", "transaction hash (0x and 64 hex digits)", normalise_tx_hash),
    "address": ("--address", "address (0x and 40 hex digits)", normalise_address),
}


def _spellings(kind: str, text: str) -> tuple[str, ...]:
    """The values under which tables hold a key that was given as of one kind."""
    bare = text.strip()
    if kind in _FORMS:
        option, form, read = _FORMS[kind]
        if (value := read(bare)) is None:
            raise WantedKeyError(option=option, text=text, form=form)
        return (str(value),)
    if not bare:
        raise WantedKeyError(option=f"--{kind.replace('_', '-')}", text=text, form=kind.replace("_", " "))
    return (normalise_request_id(bare),) if kind == "request_id" else (bare,)
