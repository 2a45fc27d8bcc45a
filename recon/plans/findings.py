"""Judged rows to findings: the sentence, the two sides' values, the difference, the value at risk. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from recon.core.model import HELD, FieldView, Finding, Policy, Severity, Tier, Verdict
from recon.core.money import format_units
from recon.core.registry import Registry
from recon.core.registry.off_chain import OFF_CHAIN
from recon.core.text import count_text
from recon.plans.beside import beside
from recon.plans.doubts import doubts
from recon.plans.premises import premises
from recon.plans.stored_words import problem_words, read_from
from recon.plans.whereabouts import (
    back_elsewhere,
    destination,
    maybe_back,
    older_money,
    shown_amount,
    unseen,
    what_lies,
    wrong_destination,
)
from recon.sources.payments.fields import FieldPlace
from recon.sources.providers.installed import names_asked_by, rails_that_send, rails_without_money
from recon.verdicts.links import DEPOSIT_KINDS
from recon.verdicts.rules import RULE_BOOK, Rule, RuleBook, findings_of, tier_of

if TYPE_CHECKING:
    import pyarrow as pa

Row = Mapping[str, Any]
_V = Verdict

_WHOLE_AMOUNT: Final = frozenset(
    {
        _V.DISPUTE_HOLD, _V.COMPETING_PAYMENT, _V.DUPLICATE_PROVIDER_KEY, _V.DUPLICATE_TX_HASH, _V.AMBIGUOUS,
        _V.LOCAL_BEHIND, _V.LATE_PAYMENT, _V.COORDINATOR_BLOCKED, _V.REFUND_DRIFT, _V.STUCK_PENDING,
        _V.NETWORK_MISMATCH, _V.TOKEN_MISMATCH, _V.RECIPIENT_MISMATCH, _V.REFERENCE_MISMATCH, _V.REORGED,
        _V.TX_REVERTED, _V.TX_NOT_FOUND, _V.PROVIDER_AHEAD, _V.LOCAL_AHEAD, _V.STUCK_RELEASE, _V.SIMULATED_HASH,
    }
)  # fmt: skip
_DIFFERENCE: Final = frozenset({_V.UNDERPAID, _V.OVERPAID, _V.MULTIPLE_TRANSFERS})
_URGENT: Final = frozenset({_V.DISPUTE_HOLD, _V.STUCK_PENDING, _V.STUCK_RELEASE})
_SERIOUS: Final = frozenset(
    {
        _V.COMPETING_PAYMENT, _V.DUPLICATE_TX_HASH, _V.DUPLICATE_PROVIDER_KEY, _V.LOCAL_BEHIND, _V.LATE_PAYMENT,
        _V.COORDINATOR_BLOCKED, _V.REFUND_DRIFT, _V.PROVIDER_AHEAD, _V.LOCAL_AHEAD, _V.REORGED, _V.TX_REVERTED,
        _V.SIMULATED_HASH, _V.MISSING_LOCAL, _V.AMBIGUOUS,
    }
)  # fmt: skip
_SLIGHT: Final = frozenset({_V.STATUS_DRIFT, _V.CONFIRMATIONS_STALE, _V.FEE_MISMATCH, _V.PROVIDER_BEHIND})


Transfer = tuple[int, str, int]
"""A transfer as links name it: chain, transaction, place in it."""

_NAMED_MAX: Final = 3


def contested_money(links: pa.Table) -> dict[Transfer, list[str]]:
    """Plain transfers that may be for several payments, and for which.

    Args:
        links: A table of :data:`recon.verdicts.judge.LINKS`.
    """
    import pyarrow.compute as pc

    plain = links.filter(pc.and_(pc.equal(links["t_kind"], DEPOSIT_KINDS), links["wrong_reference"]))
    waiting: dict[Transfer, list[str]] = {}
    for link in plain.select(["payment_id", *_TRANSFER]).to_pylist():
        waiting.setdefault(_transfer(link), []).append(link["payment_id"])
    return {transfer: payments for transfer, payments in waiting.items() if len(payments) > 1}


_TRANSFER: Final = ("t_chain", "t_tx", "t_log")


def _transfer(link: Row) -> Transfer:
    return link["t_chain"], link["t_tx"], link["t_log"]


@dataclass(frozen=True, slots=True)
class Describer:
    """Turns judged rows into findings.

    Args:
        links: By payment, its rows of :data:`recon.verdicts.judge.LINKS`.
        now_ms: Ages count to here.
        rules: Those by which the rows were judged.
        fields: Where each field of a row was looked for, as a configuration writes it; empty where nobody knows.
        contested: What :func:`contested_money` gives.
    """

    registry: Registry
    policy: Policy
    links: Mapping[str, Sequence[Row]]
    now_ms: int
    rules: RuleBook = RULE_BOOK
    fields: Mapping[str, Sequence[str]] = field(default_factory=dict)
    contested: Mapping[Transfer, Sequence[str]] = field(default_factory=dict)

    def finding(self, row: Row) -> Finding:
        """The finding of one break."""
        rule = self.rules.by_verdict[row["verdict"]]
        verdict = rule.verdict
        by_word = bool(row["by_word"]) and not row["covered_by_chain"]
        links = self.links.get(row["payment_id"], ())
        doubtful = doubts(row, links, policy=self.policy) if rule.tier is Tier.AUTO else ()
        tier = tier_of(
            verdict,
            direction=row["direction"],
            is_due=self._is_due(row),
            needs_picking=by_word or is_paid_out(row) or bool(doubtful),
            rules=self.rules,
        )
        age_s = None if row["created_at"] is None else max(0, (self.now_ms - row["created_at"]) // 1000)
        token = self.registry.tokens.get((row["chain_id"], row["token"] or ""))
        symbol = token.symbol if token else None
        return Finding(
            payment_id=row["payment_id"],
            verdict=verdict,
            findings=self._told(row, verdict),
            tier=tier,
            severity=severity_of(verdict, tier=tier, age_s=age_s, urgent_s=self.policy.urgent_after_ms // 1000),
            reason=" ".join((self._reason(row, rule, age_s=age_s or 0, symbol=symbol), *doubtful)),
            provider=_once(row["provider"]),
            chain_id=row["chain_id"],
            token=_once(row["token"]),
            symbol=symbol if token else _once(row["currency"]),
            decimals=row["decimals"],
            age_s=age_s,
            difference_units=_difference(row),
            value_units=value_at_risk(verdict, row),
            fields=tuple(_field_views(row, links, self.registry)),
            evidence=tuple(dict.fromkeys((*_evidence(row, links), *premises(row, policy=self.policy)))),
        )

    def _is_due(self, row: Row) -> bool:
        """Whether no more is waited for; a payout has no expiry, and is due once it is under way for too long."""
        is_stuck = _V.STUCK_RELEASE in findings_of(row["findings"], rules=self.rules)
        return bool(row["expired"] or not row["open"] or row["deal_whole"] or is_stuck)

    def _told(self, row: Row, verdict: Verdict) -> tuple[Verdict, ...]:
        """The verdict and every other finding that is not benign."""
        found = findings_of(row["findings"], rules=self.rules)
        tiers = self.rules.by_verdict
        told = tuple(item for item in found if item is verdict or tiers[item].tier is not Tier.BENIGN)
        return (*told, _V.MALFORMED_RECORD) if _is_amount_asked(row) else told

    def _reason(self, row: Row, rule: Rule, *, age_s: int, symbol: str | None) -> str:
        """The rule's sentence with this row's values in it."""
        links = self.links.get(row["payment_id"], ())
        is_final = rule.verdict is not _V.UNDERPAID and not row["by_word"]
        received = row["received_final"] if is_final else row["received"]
        words = {
            "problem": problem_words(row),
            "provider": _first_of(row, "provider_raw", "provider", otherwise="none"),
            "network": _first_of(row, "network_raw", otherwise="none"),
            "received": shown_amount(received, row),
            "expected": shown_amount(row["expected_units"], row),
            "symbol": _first_of(row, "currency", otherwise="units") if symbol is None else symbol,
            "status": _first_of(row, "status_raw", otherwise="unset"),
            "escrow": _first_of(row, "escrow_state", otherwise="unset"),
            "confirmations": row["confirmations"],
            "provider_state": _first_of(row, "claim_state_raw", "claim_state", otherwise="nothing"),
            "held_by": _holder(row),
            "who": _silent(row),
            "missing": _missing(row, self.fields),
            "age": _spelled(age_s),
            "what": "object",
            "sharing": _sharing(row),
            "destination": destination(row, links),
            "buyer": row["misdirected"],
            "astray": self._astray(row),
            "gap": _gap(row, links),
            "went_back": _went_back(row, symbol or row["currency"] or "units"),
        }
        said = "".join(
            (
                _sentence(row, rule, links).format(**words),
                _measured(row, links),
                maybe_back(row, links, symbol=words["symbol"]),
                back_elsewhere(row) if rule.verdict is _V.REFUND_DRIFT else "",
                self._contested(row, rule),
                older_money(row, links, symbol=words["symbol"]),
                _recorded_success(row, rule),
                _recorded_elsewhere(row, rule),
                _amount_asked(row, words),
                _paid_out_words(row),
                beside(row, links, registry=self.registry),
            )
        )
        manual = rule.verdict is _V.STUCK_PENDING and age_s * 1000 >= self.policy.urgent_after_ms
        return f"{said} It is over 24 h old: check it by hand against the provider." if manual else said

    def _contested(self, row: Row, rule: Rule) -> str:
        """Which other payments wait for the same sum at the same address."""
        if rule.verdict is not _V.REFERENCE_MISMATCH:
            return ""
        links = self.links.get(row["payment_id"], ())
        at = next((link["t_recipient"] for link in links if _is_at_forwarder(link, row)), None)
        where = "" if at is None else _AT_FORWARDER.format(at=at)
        others = {one for link in links for one in self.contested.get(_transfer(link), ())} - {row["payment_id"]}
        if not others:
            return where
        named = ", ".join(sorted(others)[:_NAMED_MAX])
        more = f" and {len(others) - _NAMED_MAX} more" if len(others) > _NAMED_MAX else ""
        return (
            f"{where} It may as well be for another payment that waits for the same sum at this address: {named}{more}."
        )

    def _astray(self, row: Row) -> str:
        """What came in another token, with the name that the token has or gives itself."""
        links = self.links.get(row["payment_id"], ())
        other = next((link for link in links if link["wrong_token"] and not link["is_valid"]), None)
        if other is None:
            return "see the evidence"
        known = self.registry.tokens.get((other["t_chain"], other["t_token"] or ""))
        amount = _other_amount(other, row, self.registry)
        if known is not None:
            return f"{amount} {known.symbol}"
        named = f"that calls itself {other['t_symbol']}" if other["t_symbol"] else "that no registry knows"
        return f"{amount} of a token {named}, {other['t_token']}"


def _is_at_forwarder(link: Row, row: Row) -> bool:
    """Whether a link of a payment by reference is of money that lies at its request's forwarder."""
    return bool(link["wrong_reference"] and link["t_kind"] == DEPOSIT_KINDS and link["t_recipient"] != row["recipient"])


def _recorded_success(row: Row, rule: Rule) -> str:
    """That the transaction which the row records succeeded and is of something else."""
    ahead = rule.verdict in (_V.LOCAL_AHEAD, _V.PROVIDER_AHEAD)
    if not ahead or not row["x_success"] or row["direction"] != "in" or row["lifi"]:
        return ""
    return " The recorded transaction succeeded, and nothing in it is this payment's."


def _recorded_elsewhere(row: Row, rule: Rule) -> str:
    """That the transaction which the row records is on another chain, and not for this payment's address there."""
    if not row["x_elsewhere"] or rule.verdict not in (_V.TX_NOT_FOUND, _V.PROVIDER_AHEAD, _V.LOCAL_AHEAD):
        return ""
    what = "It" if rule.verdict is _V.TX_NOT_FOUND else "The recorded transaction"
    return (
        f" {what} succeeded on another chain and moved nothing to this payment's address there: it may be the first "
        "leg of a bridge."
    )


_IN_PARTS: Final = (
    "One part of this payment went through and another did not, or not yet: money may have moved on one chain only, so "
    "neither paid nor failed is the whole truth."
)


_LESS_WENT_OUT: Final = "{received} of {expected} {symbol} went out."
_MORE_WENT_OUT: Final = "{received} {symbol} went out, more than the {expected} {symbol} that the row says."
_MORE_WENT_BACK: Final = "More went back than came in for this buyer, order and offer."


def _sentence(row: Row, rule: Rule, links: Sequence[Row]) -> str:
    """The rule's sentence; one of its own where a word stands for the chain, or parts differ."""
    if told := _own_sentence(row, rule, links):
        return told
    if not row["by_word"] or row["covered_by_chain"]:
        return rule.sentence
    is_delivered = row["provider"] in rails_without_money()
    why = _NOT_ASKED if row["chain_id"] != OFF_CHAIN else _OF_ORDERS if is_delivered else _IN_BOOKS
    if rule.verdict is _V.LOCAL_BEHIND:
        came = "was delivered" if is_delivered else "came"
        return "{provider} says that {received} of {expected} {symbol} " + came + ", and the row is {status}; " + why
    return rule.sentence + " This is {provider}'s word; " + why


def _own_sentence(row: Row, rule: Rule, links: Sequence[Row]) -> str | None:
    """What is said of a payment in place of its rule's sentence, where it is more exact."""
    own: Mapping[Verdict, Callable[[], str | None]] = {
        _V.AMBIGUOUS: lambda: _IN_PARTS if row["half_landed"] or row["split"] else None,
        _V.COMPETING_PAYMENT: lambda: _MORE_WENT_BACK if row["direction"] == "refund" else None,
        _V.PROVIDER_AHEAD: lambda: unseen(row, links),
        _V.RECIPIENT_MISMATCH: lambda: wrong_destination(row),
        _V.UNDERPAID: lambda: None if row["direction"] == "in" else _LESS_WENT_OUT,
        _V.OVERPAID: lambda: None if row["direction"] == "in" else _MORE_WENT_OUT,
    }
    return own[rule.verdict]() if rule.verdict in own else None


_AT_FORWARDER: Final = (
    " It came to {at}, the forwarder of the request, and no log by its reference shows that it was passed on."
)
_IN_BOOKS: Final = "the money is in its books, and on no chain."
_OF_ORDERS: Final = "its books are of orders and what was delivered of them, and hold no money."
_NOT_ASKED: Final = "the chain was not asked, since it has no endpoint."
_ASKED: Final = (
    "The stored amount {stored} is no whole number of the token's smallest units; the {asked} {symbol} that the "
    "provider asked for were taken."
)


def _is_amount_asked(row: Row) -> bool:
    """Whether the row's amount cannot be paid as it is stored, and the provider's was taken in its place."""
    return row["problem"] == "amount_too_fine" and row["expected_units"] is not None


def _amount_asked(row: Row, words: Mapping[str, Any]) -> str:
    """Which amount was taken where the stored one cannot be paid."""
    if not _is_amount_asked(row):
        return ""
    return " " + _ASKED.format(stored=row["amount_text"], asked=words["expected"], symbol=words["symbol"])


def is_paid_out(row: Row) -> bool:
    """Whether the money of a pay-in went on: it was released, a part went back, or its deal's seller is paid."""
    went_on = row["escrow_state"] == "released" or row["refund_count"]
    return bool(went_on or row["paid_out_by"] or row["paying_out_by"] or row["going_out_by"])


def _went_back(row: Row, symbol: str) -> str:
    """How much went back of how much; nothing where no refund is proven on chain."""
    if not row["refund_count"]:
        return ""
    return f": {shown_amount(row['back'], row)} of {shown_amount(_refundable(row), row)} {symbol} went back"


def _refundable(row: Row) -> int | None:
    """What the buyer has to get back of a refunded payment: the amount, or what came where more came."""
    if row["expected_units"] is None or row["overpaid_from_units"] is None:
        return None if row["expected_units"] is None else int(row["expected_units"])
    came, due = int(row["received_final"] or 0), int(row["expected_units"])
    return came if came >= int(row["overpaid_from_units"]) else due


def _paid_out_words(row: Row) -> str:
    """What another row of the deal says of the seller's money; only a pay-in has such a row."""
    if row["paid_out_by"]:
        return f" The seller of this deal was already paid by {row['paid_out_by']}."
    if row["paying_out_by"]:
        return f" The seller of this deal may already be paid by {row['paying_out_by']}."
    if row["going_out_by"]:
        return f" Money of this order may have gone out, or be going out, by {row['going_out_by']}."
    return ""


def _first_of(row: Row, *names: str, otherwise: str) -> Any:
    """The first of these columns that holds something."""
    return next((row[name] for name in names if row[name]), otherwise)


def links_by_payment(links: Iterable[Row]) -> dict[str, list[Row]]:
    """Group link rows by payment, in their order."""
    grouped: dict[str, list[Row]] = defaultdict(list)
    for link in links:
        grouped[link["payment_id"]].append(link)
    return grouped


def severity_of(verdict: Verdict, *, tier: Tier, age_s: int | None, urgent_s: int) -> Severity:
    """How soon a person must look: by what it is, and one step louder once it is old."""
    if tier is Tier.WAIT or tier is Tier.BENIGN:
        return Severity.INFO
    old = (age_s or 0) >= urgent_s
    if verdict in _URGENT:
        return Severity.CRITICAL if old or verdict is _V.DISPUTE_HOLD else Severity.HIGH
    if verdict in _SERIOUS:
        return Severity.HIGH
    if verdict in _SLIGHT:
        return Severity.LOW
    return Severity.HIGH if old and verdict in _WHOLE_AMOUNT else Severity.MEDIUM


def value_at_risk(verdict: Verdict, row: Row) -> int:
    """Base units at risk: the whole amount for status breaks, the absolute difference for amount breaks, else zero."""
    if verdict is _V.REFUND_DRIFT and _is_short_refund(row):
        return abs(_difference(row) or 0)
    if verdict in _WHOLE_AMOUNT:
        return int(row["expected_units"] or 0)
    if verdict in _DIFFERENCE:
        return abs(_difference(row) or 0)
    return 0


def _is_short_refund(row: Row) -> bool:
    """Whether the row says refunded and a part went back."""
    refunded = row["status"] == "refunded" or row["escrow_state"] == "refunded"
    return bool(row["direction"] == "in" and refunded and row["refund_count"])


def _difference(row: Row) -> int | None:
    """Received less expected, or for a payment that is marked refunded, what went back less what was to go back."""
    owed = _refundable(row)
    if _is_short_refund(row) and owed is not None:
        return int(row["back"]) - owed
    if row["expected_units"] is None or not row["valid_count"]:
        return None
    return int(row["received"] or 0) - int(row["expected_units"])


def _spelled(seconds: int) -> str:
    minutes = seconds // 60
    if minutes < 120:
        return f"{minutes} min"
    hours = minutes // 60
    return f"{hours} h" if hours < 48 else count_text(hours // 24, "day")


def _holder(row: Row) -> str:
    if row["unfinal"]:
        return "Missing finality"
    if row["claim_state"] in HELD and not row["aml_hold"] and not row["safety_hold"]:
        return f"Provider {row['provider']} ({_first_of(row, 'claim_state_raw', 'claim_state', otherwise='held')})"
    return "Screening" if row["aml_hold"] else "The backend's safety check"


def _silent(row: Row) -> str:
    return "The chain" if row["hash_unanswered"] and not row["unasked"] else f"Provider {row['provider']}"


def _missing(row: Row, fields: Mapping[str, Sequence[str]]) -> str:
    """What the row lacks of all that its provider is asked by, and the paths at which it was looked for."""
    is_sent = row["provider"] in rails_that_send()
    wanted = (*(() if is_sent else ("recipient",)), *sorted(names_asked_by(row["provider"]), reverse=True))
    names = [name for name in wanted if not row[name]]
    if not names:
        return "a usable key"
    looked = dict.fromkeys(path for name in names for path in _looked_at(fields.get(name, ()), row["provider"]))
    said = ", ".join(names) + " not stored" + (f"; looked at {', '.join(looked)}" if looked else "")
    return f"{said}; that the provider was sent nothing is not proven by that" if is_sent else said


def _looked_at(places: Sequence[str], provider: str | None) -> Iterator[str]:
    """The paths among candidates that count for a provider."""
    for text in places:
        place = FieldPlace.parse(text)
        if place.provider in (None, provider):
            yield place.path


def _sharing(row: Row) -> str:
    """Whose transfer it is that this row names as well."""
    if row["borrowed_hash"]:
        return (
            f"The recorded hash is of payment {row['rival_id']}: that payment's own reference or one-time address is "
            "in the transaction, and nothing of this one."
        )
    return f"Payment {row['rival_id']} claims the same transfer, so it proves neither."


def _other_amount(link: Row, row: Row, registry: Registry) -> str:
    """The amount of a transfer in its own token: whole tokens where its decimals are known or told, else base units."""
    known = registry.tokens.get((link["t_chain"], link["t_token"] or ""))
    decimals = known.decimals if known is not None else link["t_decimals"]
    if link["t_chain"] == row["chain_id"] and link["t_token"] == row["token"]:
        decimals = row["decimals"]
    if link["t_amount"] is None:
        return "more than 10^37 base units"
    units = int(link["t_amount"])
    return f"{units} base units" if decimals is None else format_units(units, decimals=decimals)


def _measured(row: Row, links: Sequence[Row]) -> str:
    """What a payment contract states, where the token's own log shows that less came."""
    own = [link for link in links if not link["wrong_token"] and not link["wrong_chain"]]
    told = [link for link in own if None not in (link["t_stated"], link["t_amount"])]
    once = {(link["t_chain"], link["t_tx"], link["t_log"]): link for link in told}
    less = [link for link in once.values() if link["t_amount"] < link["t_stated"]]
    if not less:
        return ""
    stated, came = (sum(int(link[name]) for link in less) for name in ("t_stated", "t_amount"))
    return (
        f" The payment contract states {shown_amount(stated, row)}, and the token's own log shows that "
        f"{shown_amount(came, row)} came."
    )


def _gap(row: Row, links: Sequence[Row]) -> str:
    """Why it cannot be told whether the money came."""
    if row["unread_count"]:
        return (
            f"The payment contract states {shown_amount(row['received'], row)}; what the token itself logged, which is "
            "what came, could not be read."
        )
    through = next((link for link in links if link["is_indirect"]), None)
    if through is not None and not row["chain_blind"]:
        kind = str(through["t_kind"]).replace("_", " ")
        return (
            f"An official contract ({kind}) logged {shown_amount(through['t_stated'], row)} with this payment's "
            "reference; the token's own log does not show that it came to the recipient."
        )
    if (lies := what_lies(row)) and not row["chain_blind"]:
        return lies
    if row["not_found"] and row["provider"] in rails_that_send():
        return "The provider does not know what this row names; that nothing was sent is not proven by that."
    if row["chain_id"] == OFF_CHAIN:
        return "The books in which this payment's money would stand do not settle whether it came."
    return "The scan has a gap where this payment's money could be."


def _field_views(row: Row, links: Sequence[Row], registry: Registry) -> Iterable[FieldView]:
    """What each side says, field by field, wherever at least two sides have a word to say."""
    wrong = [link for link in links if not link["is_valid"] and not link["is_refund"]]
    other = wrong[0] if wrong and not row["valid_count"] else None
    yield _common_view("status", row["status_raw"], row["claim_state_raw"] or row["claim_state"], _chain_word(row))
    if row["expected_units"] is not None:
        yield _amount_view(row, None if other is None else _other_amount(other, row, registry))
    if row["refund_count"]:
        yield FieldView("went_back", None, None, shown_amount(row["back"], row))
    yield from _hash_view(row, other)
    yield _common_view("escrow_state", row["escrow_state"], None, None)
    if other is not None:
        yield FieldView("network", str(row["chain_id"]), None, str(other["t_chain"]))
        yield FieldView("token", row["token"], None, other["t_token"])
        yield FieldView("recipient", row["recipient"], None, other["t_recipient"])
        yield FieldView("reference", row["topic"], None, other["t_topic"])
    if row["confirmations"] is not None:
        yield _common_view("confirmations", str(row["confirmations"]), None, None)


def _amount_view(row: Row, astray: str | None) -> FieldView:
    """What was to come, what the provider says, and what came: if none of it is right, the amount that went astray."""
    seen = shown_amount(row["received"], row) if row["valid_count"] else astray
    claim = row["claim_paid"]
    return FieldView(
        "amount",
        shown_amount(row["expected_units"], row),
        row["claim_balance"] if claim is None else shown_amount(claim, row),
        seen,
    )


def _hash_view(row: Row, other: Row | None) -> Iterable[FieldView]:
    """The hashes that the sides name, if any does."""
    astray = other["t_tx"] if other else None
    local, chain = row["tx_hash"] or row["tx_hash_raw"], row["proof_tx"] or astray
    if local or row["claim_hashes"] or chain:
        yield FieldView("tx_hash", local, row["claim_hashes"], chain)


@lru_cache(maxsize=4_096)
def _common_view(field: str, local: str | None, provider: str | None, chain: str | None) -> FieldView:
    """One and the same view for all rows that agree in it; what hardly ever repeats is made anew each time."""
    return FieldView(field, local, provider, chain)


@lru_cache(maxsize=4_096)
def _read_from(paths: str) -> tuple[str, ...]:
    return tuple(read_from(paths))


@lru_cache(maxsize=4_096)
def _once(text: str | None) -> str | None:
    """The same text, kept once in memory however many rows have it."""
    return text


def _chain_word(row: Row) -> str | None:
    if row["covered_by_chain"]:
        return "paid, final"
    if row["valid_count"]:
        return "money seen, not enough or not final"
    for column, word in (
        ("x_reverted", "reverted"), ("x_pending", "pending"), ("x_not_found", "hash not found"),
        ("x_failed", "could not be asked"),
    ):  # fmt: skip
        if row[column]:
            return word
    if row["chain_id"] == OFF_CHAIN:
        return None
    return "no money" if row["covered_by_scan"] else "not fully scanned"


def _evidence(row: Row, links: Sequence[Row]) -> Iterable[str]:
    for link in links:
        kind = "transfer" if link["is_valid"] else "refund" if link["is_refund"] else "other transfer"
        yield f"{kind} {link['t_chain']}:{link['t_tx']}:{link['t_log']}"
    if row["claim_id"]:
        yield f"claim {row['provider']}:{row['claim_id']}"
    if (row["claims"] or 0) > 1:
        came = f", {shown_amount(row['claims_paid'], row)} paid in all" if row["claims_paid"] else ""
        yield f"{row['claims']} objects of the provider belong to this payment{came}"
    if row["rival_id"]:
        yield f"same transfer claimed by payment {row['rival_id']}"
    if row["claim_error"]:
        yield f"provider error: {row['claim_error']}"
    if row["paths"]:
        yield from _read_from(row["paths"])
