"""Entries that put a ledger right: they are appended, never changed, and each is known by what it takes back or states.

What stands wrongly is taken back by its counter-entry, and what is missing is stated. In double books every counter
takes back a whole group and every new entry has its other leg, so the books stay at zero. A worked example, a pay-in of
100 that was booked twice::

    gross 100 (e1)   gross 100 (e2)        the plan appends    gross 100 that reverses e2: 100 are left
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from bson import Decimal128, ObjectId

from recon.core.ids import parse_payment_id, payment_id_text
from recon.core.money import format_units
from recon.core.registry import Registry
from recon.core.values import ABSENT, changed_document, to_extended, value_at
from recon.repairs.deeds import Deed
from recon.runs.stores.documents import UniqueKey
from recon.sources.ledger.entries import EntryReader, PaymentFacts
from recon.sources.ledger.mapping import LedgerMapping

Document = Mapping[str, Any]
Row = Mapping[str, Any]

_STATED: Final = frozenset({"missing", "lacks", "doubled", "sign", "token", "unfounded"})
"""What is put right by taking back what is wrong and stating what moved."""
_WHY_NOT: Final[Mapping[str, str]] = {
    "reverses_unknown": "what it takes back is not there, so nothing tells what was meant",
    "reverses_reversal": "which of the reversals was meant only a person can say",
    "reversal_differs": "what the reversal was meant to take back only a person can say",
    "reversed_twice": "which of the reversals was meant only a person can say",
    "group": "which leg of the group is wrong only a person can say",
    "overdrawn": "which entry gave out too much only a person can say",
    "early": "the sums are right and only the order in time is not; entries are not redated",
    "after_end": "what is left may be a fee, a release or a refund: say which with --as",
}
REST_KINDS: Final = ("fee", "released", "refunded")
"""What may be stated of what is left of a deal that is over."""


@dataclass(frozen=True, slots=True)
class EntryTerms:
    """How entries are written.

    Args:
        collection: Where they are.
        key: Where an entry holds a key that no other may bear; None where entries have none.
        reason: Where an entry says why it was made; None where it does not.
        token_as: Whether an entry names its token by ``symbol`` or by ``contract``.
    """

    collection: str
    mapping: LedgerMapping
    registry: Registry
    key: str | None = None
    reason: str | None = None
    token_as: str = "symbol"  # noqa: S105 - a word, not a secret

    @property
    def names_symbols(self) -> bool:
        """Whether an entry names its token by symbol."""
        return self.token_as != "contract"  # noqa: S105 - a word, not a secret


@dataclass(frozen=True, slots=True)
class EntryRequest:
    """What is to be put right, and what is known of it.

    Args:
        finding: One finding of a plan's block ``ledger``.
        entries: Every entry of its payment or deal as it is stored now.
        payments: The payments by whose ids the entries were looked up.
        payment: The payment that new entries are of; None where no row is known.
        order: What its row holds as its order; None where it has none.
        rest_kind: What is stated of what is left of a deal that is over.
    """

    finding: Row
    entries: Sequence[Document]
    payment: PaymentFacts | None
    payments: tuple[str, ...]
    order: Any
    reason: str
    now: datetime
    rest_kind: str | None = None


def propose_entries(asked: EntryRequest, terms: EntryTerms) -> Deed | str:
    """The entries that put one finding right, as one deed, or why there is none."""
    return _Proposal(asked, terms).deed()


def counter_entries(deed: Deed, documents: Sequence[Any], *, terms: EntryTerms, now: datetime) -> Deed | str:
    """The deed that makes up for entries that a run appended: the counter-entry of each."""
    from dataclasses import replace

    from recon.repairs.deeds import read_document

    stored = [read_document(each, where=deed.payment_id) for each in documents]
    told = tuple(text for text in deed.evidence if not text.startswith(SEEN))
    made = _countered(stored, terms, now=now, because=f"takes back: {deed.reason}")
    return replace(deed, id="", **_parts(made, terms), evidence=told)


class _Proposal:
    """One finding being put right."""

    def __init__(self, asked: EntryRequest, terms: EntryTerms) -> None:
        self.asked, self.terms, self.finding = asked, terms, asked.finding
        reader = EntryReader(terms.mapping, terms.registry)
        self.rows = [(each, reader.row(each, asked.payment, reach="window")) for each in asked.entries]
        undone = {row["reverses"] for _, row in self.rows if row["reverses"] is not None}
        self.live = [
            (document, row)
            for document, row in self.rows
            if row["reverses"] is None and row["entry_id"] not in undone
        ]  # fmt: skip

    def deed(self) -> Deed | str:
        """The deed, or why there is none."""
        reason = self.finding["reason"]
        if reason in _STATED:
            found = self._restated()
        elif reason == "account":
            found = self._moved()
        elif reason == "unknown":
            found = self._taken_back(self._named())
        elif reason == "after_end" and self.asked.rest_kind in REST_KINDS:
            found = self._rest()
        else:
            return _WHY_NOT.get(reason, "nothing here knows how to put it right")
        if isinstance(found, str):
            return found
        return self._as_deed(found) if found else "the entries are not as they were judged; take a new snapshot"

    def counters(self, chosen: Collection[str]) -> Deed | str:
        """The counter-entries of the chosen entries that still stand."""
        standing = [document for document, row in self.live if row["entry_id"] in chosen]
        found = self._taken_back(standing) if standing else "each of its entries was taken back already"
        return found if isinstance(found, str) else self._as_deed(found)

    def _named(self) -> list[Document]:
        return [document for document, row in self.rows if row["entry_id"] == self.finding["entry_id"]]

    def _of_kind(self) -> list[tuple[Document, Row]]:
        return [(document, row) for document, row in self.live if row["kind"] == self.finding["kind"]]

    def _restated(self) -> list[dict[str, Any]] | str:
        """Everything of the kind that is wrong taken back, and what moved stated once."""
        proven, token = int(self.finding["proven"] or 0), self.finding["token"]
        mine = self._of_kind()
        right = [row["entry_id"] for _, row in mine if proven and (row["units"], row["token"]) == (proven, token)]
        wrong = [document for document, row in mine if row["entry_id"] not in right[:1]]
        back = self._taken_back(wrong) if wrong else []
        if right or not proven or isinstance(back, str):
            return back
        stated = self._stated(str(self.finding["kind"]), proven)
        return stated if isinstance(stated, str) else [*back, *stated]

    def _moved(self) -> list[dict[str, Any]] | str:
        """An entry that stands in a wrong account taken back, and stated in the right one."""
        kind = str(self.finding["kind"])
        allowed = self.terms.mapping.rules.accounts.get(kind, ())
        wrong = self._named()
        path = self.terms.mapping.account
        if len(allowed) != 1 or allowed[0].endswith("*") or path is None:
            return "its kind may stand in several accounts; which is right only a person can say"
        back = self._taken_back(wrong)
        legs = self._groups(wrong)
        again = [
            changed_document(self._anew(each, "moved"), {path: allowed[0]} if each["_id"] == wrong[0]["_id"] else {})
            for each in legs
        ]  # fmt: skip
        return back if isinstance(back, str) else [*back, *_regrouped(again, self.terms.mapping)]

    def _rest(self) -> list[dict[str, Any]] | str:
        left = int(self.finding["booked"])
        return self._stated(str(self.asked.rest_kind), left)

    def _groups(self, documents: Sequence[Document]) -> list[Document]:
        """Documents with every other leg of their groups."""
        path = self.terms.mapping.group
        if not self.terms.mapping.rules.is_double or path is None:
            return list(documents)
        groups = [value_at(each, path) for each in documents]
        return [each for each in self.asked.entries if value_at(each, path) in groups]

    def _taken_back(self, documents: Sequence[Document]) -> list[dict[str, Any]] | str:
        return _countered(self._groups(documents), self.terms, now=self.asked.now, because=self.asked.reason)

    def _stated(self, kind: str, units: int) -> list[dict[str, Any]] | str:
        """One event as entries: one of its kind, and its other leg in double books."""
        mapping, payment = self.terms.mapping, self.asked.payment
        decimals = self.finding["decimals"]
        if payment is None or decimals is None:
            return "no row of its payment is known, or its token is not"
        is_double = mapping.rules.is_double
        legs = [kind, "held"] if is_double else [kind]
        adds = kind == "gross"
        made = []
        for leg in legs:
            document = self._base(leg, payment)
            balance = units if (leg == kind) != adds else -units
            if isinstance(document, str):
                return document
            made.append(changed_document(document, self._amount(units, balance, decimals=decimals)))
        return _regrouped(made, mapping)

    def _base(self, kind: str, payment: PaymentFacts) -> dict[str, Any] | str:
        """An entry without an amount."""
        mapping, terms = self.terms.mapping, self.terms
        accounts = mapping.rules.accounts.get(kind, ())
        if mapping.account is not None and (len(accounts) != 1 or accounts[0].endswith("*")):
            return f"[ledger.accounts] does not say in which one account entries of kind {kind} stand"
        words = mapping.kinds[kind]
        if not words:
            return f"[ledger.kinds] has no word for {kind}"
        said = {
            mapping.payment: parse_payment_id(payment.payment_id),
            mapping.deal: self.asked.order,
            mapping.kind: words[0],
            mapping.account: accounts[0] if accounts else None,
            mapping.token: self.finding["symbol"] if terms.names_symbols else self.finding["token"],
            mapping.chain: self.finding["chain_id"],
            mapping.time: self.asked.now,
            terms.reason: self.asked.reason,
        }
        seed = (self.finding["reason"], payment.payment_id, kind, self.asked.now.isoformat())
        kept = {path: value for path, value in said.items() if path is not None and value is not None}
        return changed_document({"_id": _made_id(*seed)}, kept | _key(terms, *seed))

    def _amount(self, units: int, balance: int, *, decimals: int) -> dict[str, Any]:
        mapping = self.terms.mapping
        stated = balance if mapping.signs == "amount" else abs(units)
        text = str(stated) if mapping.amount_in == "base" else format_units(stated, decimals=decimals)
        side = mapping.credit[0] if balance > 0 else mapping.debit[0]
        return {mapping.amount: text} | ({mapping.side: side} if mapping.signs == "side" and mapping.side else {})

    def _anew(self, document: Document, why: str) -> dict[str, Any]:
        seed = (why, str(document["_id"]), self.asked.now.isoformat())
        kept = {key: value for key, value in document.items() if key != "_id"}
        again = {"_id": _made_id(*seed), **kept}
        time = self.terms.mapping.time
        return changed_document(again, _key(self.terms, *seed) | ({time: self.asked.now} if time else {}))

    def _as_deed(self, documents: Sequence[Document]) -> Deed:
        finding = self.finding
        seen = sorted(payment_id_text(each["_id"]) for each in self.asked.entries)
        return Deed(
            kind="append",
            collection=self.terms.collection,
            payment_id=str(finding["payment_id"] or finding["deal"] or finding["entry_id"]),
            finding=str(finding["verdict"]),
            reason=self.asked.reason,
            evidence=(str(finding["sentence"]), f"{SEEN}{entries_digest(seen)} of {chr(10).join(self.asked.payments)}"),
            value=str(abs(int(finding["proven"] or finding["booked"] or 0))),
            token=finding["token"],
            symbol=finding["symbol"],
            decimals=finding["decimals"],
            chain_id=finding["chain_id"],
            **_parts(documents, self.terms),
        )


SEEN: Final = "entries "
"""Before the digest of the entries that were there when a plan was made, and the payments they were looked up by."""


def entries_digest(entry_ids: Iterable[str]) -> str:
    """The name of a set of entries."""
    return hashlib.sha256("\n".join(sorted(entry_ids)).encode()).hexdigest()


def _parts(documents: Sequence[Document], terms: EntryTerms) -> dict[str, Any]:
    """What a deed says of the records it puts in."""
    values = () if terms.key is None else tuple(str(value_at(each, terms.key)) for each in documents)
    unique = (UniqueKey(paths=(terms.key,), values=values),) if terms.key is not None else ()
    return {"documents": tuple(to_extended(dict(each)) for each in documents), "unique": unique}


def _countered(
    documents: Sequence[Document], terms: EntryTerms, *, now: datetime, because: str
) -> list[dict[str, Any]]:  # fmt: skip
    """The counter-entry of each document."""
    mapping = terms.mapping
    made = []
    for document in documents:
        seed = (because, str(document["_id"]), now.isoformat())
        kept = {key: value for key, value in document.items() if key not in ("_id", "metadata")}
        takes_back = mapping.reverses is not None and (
            _is_set(document, mapping.reverses) or _is_against_its_kind(document, mapping)
        )
        changes: dict[str, Any] = _turned(document, mapping) | _key(terms, *seed)
        said = {mapping.time: now, terms.reason: because}
        changes |= {path: value for path, value in said.items() if path is not None}
        if mapping.reverses is not None and not takes_back:
            changes[mapping.reverses] = document["_id"]
        gone = [mapping.reverses] if takes_back and mapping.reverses is not None else []
        made.append(changed_document({"_id": _made_id(*seed), **kept}, changes, unsets=gone))
    return _regrouped(made, mapping)


def _is_against_its_kind(document: Document, mapping: LedgerMapping) -> bool:
    """Whether an entry's own sign takes from its kind: naming it as reversed would take from it once more."""
    return mapping.signs == "kind" and str(value_at(document, mapping.amount)).startswith("-")


def _is_set(document: Document, path: str) -> bool:
    return value_at(document, path) not in (None, ABSENT)


def _turned(document: Document, mapping: LedgerMapping) -> dict[str, Any]:
    """What makes an entry its opposite; what took another back is made up for by stating that one again."""
    if mapping.signs == "side" and mapping.side is not None:
        word = str(value_at(document, mapping.side))
        other = mapping.credit[0] if word.lower() in mapping.debit else mapping.debit[0]
        return {mapping.side: other.upper() if word.isupper() else other}
    if mapping.signs == "kind" and mapping.reverses is not None and not _is_against_its_kind(document, mapping):
        return {}
    return {mapping.amount: _negated(value_at(document, mapping.amount))}


def _negated(stored: Any) -> Any:
    if isinstance(stored, Decimal128):
        return Decimal128(-stored.to_decimal())
    if isinstance(stored, str):
        return stored[1:] if stored.startswith("-") else f"-{stored}"
    return type(stored)(-stored)


def _regrouped(documents: Sequence[dict[str, Any]], mapping: LedgerMapping) -> list[dict[str, Any]]:
    """The legs of groups under new groups of their own."""
    if mapping.group is None or not mapping.rules.is_double:
        return list(documents)
    named: dict[str, Any] = {}
    made = []
    for document in documents:
        old = str(value_at(document, mapping.group))
        named.setdefault(old, ObjectId(hashlib.sha256(f"{old}{document['_id']}".encode()).digest()[:12]))
        made.append(changed_document(document, {mapping.group: named[old]}))
    return made


def _made_id(*seed: str) -> ObjectId:
    """An ``_id`` that the same proposal always has, so that it cannot be put in twice."""
    return ObjectId(hashlib.sha256("|".join(seed).encode()).digest()[:12])


def _key(terms: EntryTerms, *seed: str) -> dict[str, Any]:
    return {} if terms.key is None else {terms.key: f"recon-{_made_id(*seed, 'key')}"}


def take_back_entries(asked: EntryRequest, terms: EntryTerms, *, chosen: Collection[str]) -> Deed | str:
    """The counter-entries of some entries of one payment, or why there are none.

    Args:
        chosen: Their ids; what was taken back already, or takes another back itself, is left.
    """
    return _Proposal(asked, terms).counters(chosen)
