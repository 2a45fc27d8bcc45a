"""What can be wrong with a payment: a table with one row per cause, ranked by the strength of the evidence.

A cause is *proven* when the evidence allows no other reading, *likely* when it fits best, *possible* when nothing
contradicts it. Between causes of one strength the order of the table decides: what stops the money comes before what
only kept the row from following it. To add a cause, add a row here and a scenario in the tests.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from recon.core.model import Verdict
from recon.investigation.payment import advice as a
from recon.investigation.payment import signs as s
from recon.investigation.payment.facts import Facts
from recon.investigation.payment.signs import Sign

V = Verdict


class Strength(IntEnum):
    """How strongly the evidence supports a cause."""

    NONE = 0
    POSSIBLE = 1
    LIKELY = 2
    PROVEN = 3


Weigh = Callable[[Facts], Strength]
NONE, POSSIBLE, LIKELY, PROVEN = Strength.NONE, Strength.POSSIBLE, Strength.LIKELY, Strength.PROVEN


@dataclass(frozen=True, slots=True)
class Cause:
    """One row of the table.

    Args:
        name: Stable name.
        title: What it is, in one sentence.
        weigh: How strongly the facts say so.
        signs: What supports and what contradicts it; only signs that hold are shown.
        next_step: What the runbook says to do, or a function that fits it to the payment.
        source: Where that stands: the section of a runbook, or in words what a provider documents or was seen to do.
    """

    name: str
    title: str
    weigh: Weigh
    signs: tuple[Sign, ...]
    next_step: str | a.Advice
    source: str = "runbook: the first ten minutes"


@dataclass(frozen=True, slots=True)
class RankedCause:
    """A cause that may be it, with the evidence in words."""

    name: str
    title: str
    strength: Strength
    evidence_for: tuple[str, ...]
    evidence_against: tuple[str, ...]
    next_step: str
    source: str


def rank_causes(facts: Facts) -> tuple[RankedCause, ...]:
    """Every cause that the facts allow, strongest first; ties keep the order of the table."""
    found = []
    for cause in CAUSES:
        strength = cause.weigh(facts)
        if strength is NONE:
            continue
        told = [(sign.speaks_for, sign.says(facts)) for sign in cause.signs if sign.holds(facts)]
        found.append(
            RankedCause(
                name=cause.name,
                title=cause.title,
                strength=strength,
                evidence_for=tuple(text for is_for, text in told if is_for),
                evidence_against=tuple(text for is_for, text in told if not is_for),
                next_step=a.said(cause.next_step, facts),
                source=cause.source,
            )
        )
    return tuple(sorted(found, key=lambda cause: -cause.strength))


def _when(condition: Callable[[Facts], bool], strength: Strength = PROVEN) -> Weigh:
    return lambda f: strength if condition(f) else NONE


def _stages(*stages: tuple[Strength, Callable[[Facts], bool]]) -> Weigh:
    """The first strength whose condition holds."""

    def weigh(f: Facts) -> Strength:
        return next((strength for strength, holds in stages if holds(f)), NONE)

    return weigh


def _verdict(*verdicts: V) -> Weigh:
    """Proven when it is the verdict, likely when it only shows."""
    return _stages((PROVEN, lambda f: f.verdict in verdicts), (LIKELY, lambda f: f.has(*verdicts)))


_STATES: Final = "what the states of a payment mean"
_ASK: Final = "Take the same inspection again when the source answers; nothing is concluded before that."

_HASH_GONE: Final = (V.TX_REVERTED, V.REORGED, V.TX_NOT_FOUND, V.TX_HASH_MISMATCH)

_SHARING: Final = (V.DUPLICATE_TX_HASH, V.DUPLICATE_PROVIDER_KEY, V.AMBIGUOUS)

CAUSES: Final = (
    Cause("unreadable_row", "The stored row cannot be read.", _when(lambda f: f.verdict is V.MALFORMED_RECORD),
          (s.VERDICT,), "Have the row put right by its owner; nothing may be judged before."),
    Cause("test_payment", "It is a test payment.", _when(lambda f: f.verdict is V.TEST_PAYMENT), (s.VERDICT,),
          "Nothing is owed.", _STATES),
    Cause("out_of_scope", "Its provider or chain is none that is configured.",
          _when(lambda f: f.verdict is V.OUT_OF_SCOPE), (s.VERDICT,), "Configure the rail, or ask its operator."),
    Cause("dispute_hold", "A dispute or a hold forbids every step.",
          _stages((PROVEN, lambda f: f.verdict is V.DISPUTE_HOLD),
                  (LIKELY, lambda f: bool(f.row["disputed"] or f.row["hold"]))),
          (s.DISPUTED, s.COVERED), "Leave it. Holds are cleared by the approved path only, never by a tool.",
          "runbook: disputed release"),
    Cause("simulated_hash", "The recorded hash is a simulation; no money is behind it.",
          _verdict(V.SIMULATED_HASH), (s.RECORDED, s.COVERED),
          "Check whether SHKEEPER_FORCE_PAYOUT_DEMO is on, and how a simulated hash came into a live row.", _STATES),
    Cause("twin_requests", "Two requests for one purchase; the money is on the other one, or on both.",
          _stages((PROVEN, lambda f: f.verdict is V.COMPETING_PAYMENT),
                  (PROVEN, lambda f: not f.valid and bool(f.twin_claims)),
                  (LIKELY, lambda f: not f.valid and f.is_open and bool(f.paid_siblings)),
                  (LIKELY, lambda f: f.has(V.COMPETING_PAYMENT))),
          (s.SIBLINGS, s.TWIN_CLAIM, s.NO_MONEY, s.COVERED),
          a.TWINS, "runbook: duplicate payment"),
    Cause("hash_of_another", "The row records the transaction that paid another payment.",
          _when(lambda f: f.verdict is V.DUPLICATE_TX_HASH and bool(f.row["borrowed_hash"])), (s.VERDICT, s.COVERED),
          "The other payment keeps its money. Ask this buyer for a transaction of his own, and find out who wrote the "
          "hash here.", "runbook: duplicate payment"),
    Cause("landed_in_part", "One part of the payment went through, and another did not or not yet.",
          _when(lambda f: f.came_in_parts and f.has(V.AMBIGUOUS)), (s.VERDICT, s.PART, s.PROVIDER_SAYS),
          "Send nothing again: what landed would be paid twice. Find out what the buyer has and the seller got on each "
          "chain, and settle the rest by hand.", "runbook: missing payment"),
    Cause("shared_proof", "Another payment claims the same transfer or the same provider object.",
          _stages((PROVEN, lambda f: f.verdict in _SHARING and not (f.came_in_parts and f.verdict is V.AMBIGUOUS)),
                  (LIKELY, lambda f: f.has(*_SHARING[:2]) or (f.has(V.AMBIGUOUS) and not f.came_in_parts))),
          (s.VERDICT, s.COVERED), a.SHARED, "runbook: duplicate payment"),
    Cause("release_unrecorded", "The release or refund is confirmed on chain and the row does not say so.",
          _when(lambda f: not f.is_incoming and f.verdict in (V.LOCAL_BEHIND, V.COORDINATOR_BLOCKED)),
          (s.COVERED, s.ROW_STATE), a.unrecorded_release, "runbook: stuck release"),
    Cause("refund_disagrees", "Row and evidence disagree about a refund.", _verdict(V.REFUND_DRIFT),
          (s.VERDICT, s.REFUNDED, s.PROVIDER_SAYS), a.refund, "runbook: stuck release"),
    Cause("payout_sent_otherwise", "Another transfer of this amount went from the wallet to the payout's destination.",
          _when(lambda f: bool(f.candidates), LIKELY),
          (s.CANDIDATE, s.RECORDED, s.ROW_STATE, s.PROVIDER_SAYS), a.SENT_OTHERWISE, "runbook: stuck release"),
    Cause("release_stuck", "A release or refund was started and nothing on chain shows it.",
          lambda f: NONE if f.candidates or f.has(V.UNDERPAID) else _verdict(V.STUCK_RELEASE)(f),
          (s.ROW_STATE, s.NO_MONEY, s.PROVIDER_SAYS, s.NOT_AFRESH), a.release_again, "runbook: stuck release"),
    Cause("payout_hash_gone", "The payout's recorded transaction failed, was replaced, or is not on the chain.",
          lambda f: NONE if f.is_incoming or f.candidates else _verdict(*_HASH_GONE)(f),
          (s.RECORDED_FATE, s.VALID_ELSEWHERE, s.NO_MONEY, s.NOT_AFRESH), a.recorded_hash, "runbook: stuck release"),
    Cause("waits_for_review", "The order waits at its provider until a person there approves it.",
          _when(lambda f: f.held_as == "held_review"), (s.PROVIDER_SAYS, s.ROW_STATE),
          "Have it approved or turned down there; nothing here may be changed before."),
    Cause("service_not_started", "The order is approved, and what was ordered is not delivered.",
          _when(lambda f: f.held_as == "held_service"), (s.PROVIDER_SAYS, s.ROW_STATE, s.NO_DELIVERY, s.DELIVERED_BAD),
          "See whether the event that starts it was taken: recon triage. While events are kept, have it sent again; "
          "later it has to be started by hand."),
    Cause("billing_unavailable", "The order cannot be billed, so nothing is delivered.",
          _when(lambda f: f.held_as == "held_billing"), (s.PROVIDER_SAYS, s.ROW_STATE),
          "Have the billing put right (a payment method added, the billing system mended): it goes on after that."),
    Cause("aml_hold", "Sanction or AML screening holds the payment.", _when(lambda f: f.has(V.AML_BLOCKED)),
          (s.AML, s.COVERED, s.MONEY_SEEN), "Leave it to compliance; a hit is never cleared by a tool."),
    Cause("too_few_confirmations", "The money is there and not deep enough yet.",
          _stages((PROVEN, lambda f: f.verdict is V.INSUFFICIENT_CONFIRMATIONS or bool(f.row["unfinal"])),
                  (POSSIBLE, lambda f: f.is_open and f.waiting is not None)),
          (s.WAITING, s.DELIVERED_OK), "Wait the time shown and inspect again."),
    Cause("paid_wrong_chain", "The money went to the right address on another chain.",
          _stages((PROVEN, lambda f: f.verdict is V.NETWORK_MISMATCH),
                  (LIKELY, lambda f: not f.valid and s.stray_elsewhere(f))),
          (s.WRONG_MONEY, s.STRAY, s.PROVIDER_DENIES),
          a.WRONG_CHAIN, "runbook: suspicious proof"),
    Cause("paid_wrong_token", "The money came in another token.", _when(lambda f: f.verdict is V.TOKEN_MISMATCH),
          (s.WRONG_MONEY, s.PROVIDER_SAYS), a.WRONG_TOKEN,
          "runbook: suspicious proof"),
    Cause("paid_to_earlier_address", "The buyer paid to the address of an earlier payment of his.",
          _when(lambda f: bool(f.at_earlier_address), LIKELY), (s.AT_EARLIER, s.NO_MONEY, s.PROVIDER_DENIES),
          a.earlier_address, "runbook: suspicious proof"),
    Cause("forwarder_holds_it", "The money waits at the request's forwarder; nobody has triggered it.",
          _when(lambda f: not f.valid and bool(f.at_forwarder)),
          (s.AT_FORWARDER, s.FORWARDER_MADE, s.NO_PROXY_LOG, s.PROVIDER_DENIES),
          "Have the forwarder triggered (any account may do it); each trigger takes the fixed fee from the balance.",
          "the provider's documentation: forwarders"),
    Cause("payout_to_the_wrong_side", "Our money went to the wrong side of the deal.",
          _when(lambda f: f.verdict is V.RECIPIENT_MISMATCH and bool(f.row["misdirected"])),
          (s.MISDIRECTED, s.COVERED, s.ROW_STATE), a.wrong_side, "runbook: stuck release"),
    Cause("paid_wrong_recipient", "The money went to an address that is not this payment's.",
          _when(lambda f: f.verdict is V.RECIPIENT_MISMATCH and not f.row["misdirected"]),
          (s.WRONG_MONEY, s.PROVIDER_DENIES),
          a.WRONG_RECIPIENT, "runbook: suspicious proof"),
    Cause("wrong_reference", "The money came with another reference, or past the proxy with none.",
          _stages((PROVEN, lambda f: f.verdict is V.REFERENCE_MISMATCH),
                  (LIKELY, lambda f: f.is_incoming and not f.valid and bool(f.strays) and not f.is_gateway
                   and not s.stray_elsewhere(f)),
                  (LIKELY, lambda f: not f.valid and f.verdict in (V.LOOKUP_FAILED, V.MISSING_REFERENCE)
                   and f.reference_story is not None)),
          (s.REFERENCE, s.WRONG_MONEY, s.STRAY, s.PROVIDER_DENIES),
          a.WRONG_REFERENCE, "the provider's documentation: payment references"),
    Cause("reverted_or_replaced", "The recorded transaction failed, was replaced, or is not on the chain.",
          lambda f: _verdict(*_HASH_GONE)(f) if f.is_incoming else NONE,
          (s.RECORDED_FATE, s.VALID_ELSEWHERE, s.NO_MONEY),
          a.recorded_hash, _STATES),
    Cause("lifi_settlement", "The provider says that a bridge (LiFi) paid it; a bridge leaves no log of a proxy.",
          _when(lambda f: not f.valid and f.provider_paid and bool(f.row["lifi"]), LIKELY),
          (s.PROVIDER_SAYS, s.NO_PROXY_LOG),
          a.bridged,
          "the provider's documentation: payments across chains"),
    Cause("paid_at_provider_only", "The provider says paid and the chain shows no money.",
          lambda f: NONE if f.row["lifi"] else _stages(
              (LIKELY, lambda f: f.verdict is V.PROVIDER_AHEAD),
              (POSSIBLE, lambda f: f.has(V.PROVIDER_AHEAD) and not f.valid))(f),
          (s.PROVIDER_SAYS, s.NO_MONEY), a.word_alone,
          "runbook: missing payment"),
    Cause("held_by_safety", "The webhook came and the backend's safety check holds the payment.",
          _stages((PROVEN, lambda f: f.safety is not None and f.is_open
                   and (f.was_accepted or f.has(V.SAFETY_PENDING))),
                  (LIKELY, lambda f: f.safety is not None and f.is_open
                   and bool(f.valid or f.provider_paid) and not f.deliveries)),
          (s.SAFETY, s.SAFETY_UNMET, s.SAFETY_SATISFIED, s.DELIVERED_OK, s.DELIVERED_BAD),
          a.then_correct("See which check holds it.")),
    Cause("rate_source_down", "The gateway stored the transaction and credited nothing (its rate source failed after "
          "the recalculation window, or the invoice has no amount).",
          _when(lambda f: "credit_lost" in f.provider_problems or (
              bool(f.listed_units) and f.claim is not None and f.claim["state"] == "unpaid")),
          (s.LISTED, s.COVERED, s.PROVIDER_SAYS),
          a.then_correct("Have the gateway's invoice corrected by hand, it never will be by itself."),
          "seen at gateways: an error between storing and crediting"),
    Cause("second_transfer_dropped", "Two transfers came in one transaction and the gateway kept one.",
          _when(lambda f: f.is_gateway and f.dropped_units > 0), (s.DROPPED, s.PROVIDER_SAYS, s.COVERED),
          a.then_correct("The chain counts both."), "seen at gateways: two transfers in one transaction"),
    Cause("lost_credit", "Simultaneous notifications made the gateway lose a credit.",
          _when(lambda f: f.is_gateway and len(f.listed) > 1 and f.lost_credit_units > 0
                and (f.balance_units or 0) > 0),
          (s.LISTED, s.CLOSE_TOGETHER, s.PROVIDER_SAYS, s.COVERED), a.then_correct("The chain counts all."),
          "seen at gateways: notifications at the same time"),
    Cause("paid_other_contract", "It was paid through another version of the proxy, which the provider does not watch.",
          _stages((PROVEN, lambda f: f.other_contract is not None and not f.provider_paid),
                  (POSSIBLE, lambda f: f.other_contract is not None)),
          (s.OTHER_CONTRACT, s.PROVIDER_DENIES, s.COVERED), a.correct,
          "the provider's documentation: addresses of its contracts"),
    Cause("indexer_behind", "The provider's indexer or node has not seen money that is on chain.",
          _stages((PROVEN, lambda f: f.provider_misses_money and not f.deliveries and not f.is_complete),
                  (LIKELY, lambda f: f.provider_misses_money)),
          (s.PROVIDER_DENIES, s.MONEY_SEEN, s.RECENT, s.NOT_RECENT),
          a.LAGGING, "seen at providers: an index behind the chain"),
    Cause("paid_late", "It was paid after it expired.",
          _stages((PROVEN, lambda f: f.verdict is V.LATE_PAYMENT),
                  (LIKELY, s.came_late)),
          (s.LATE, s.ROW_STATE, s.COVERED), a.late,
          "runbook: missing payment"),
    Cause("seller_already_paid", "The seller of this deal was paid, or is being paid, by another row.",
          _when(lambda f: bool(f.is_incoming and (f.row["paid_out_by"] or f.row["paying_out_by"])
                               and f.verdict is V.COORDINATOR_BLOCKED)),
          (s.VERDICT, s.ROW_STATE, s.COVERED),
          a.PAID_OUT, "runbook: stuck release"),
    Cause("money_going_out", "Money of this order may have gone out, or be going out, by another row.",
          _when(lambda f: bool(f.is_incoming and f.row["going_out_by"] and f.verdict is V.COORDINATOR_BLOCKED)),
          (s.VERDICT, s.ROW_STATE, s.COVERED),
          a.GOING_OUT, "runbook: stuck release"),
    Cause("closed_though_paid", "The money came in time, and from where the row stands no allowed step leads to paid.",
          _when(lambda f: f.is_incoming and f.verdict is V.COORDINATOR_BLOCKED), (s.ROW_STATE, s.COVERED),
          a.then_correct("Look at how the row came there (it was closed, or its escrow moved on).")),
    Cause("paid_twice", "It was paid more than once.", _verdict(V.MULTIPLE_TRANSFERS),
          (s.SEVERAL, s.TOO_MUCH, s.OTHER_COIN),
          a.too_much, "runbook: duplicate payment"),
    Cause("overpaid", "More than the amount came.", _verdict(V.OVERPAID), (s.TOO_MUCH, s.FEE_ONLY),
          a.too_much, "runbook: duplicate payment"),
    Cause("paid_in_part", "Only a part of the amount came.", _verdict(V.UNDERPAID),
          (s.PART, s.PROVIDER_SAYS, s.EXPIRES),
          a.part, "runbook: missing payment"),
    Cause("signature_refused", "Deliveries came and were turned away as not genuine.",
          _when(lambda f: f.is_open and s.is_unverified(f)), (s.DELIVERED_BAD, s.SIGNATURE, s.COVERED),
          "Check the webhook secret and that the raw body is verified; then replay in dry run.", "runbook: leaked key"),
    Cause("webhook_refused", "The webhook came and was refused with 404: the backend found no payment to it.",
          _when(lambda f: f.is_open and 404 in f.answers and not f.was_accepted), (s.DELIVERED_BAD, s.COVERED,
                                                                                 s.KEYS_STORED),
          a.ids_then_replay),
    Cause("callback_waits_for_202", "The gateway waits for HTTP 202 and repeats its callback every minute.",
          _when(lambda f: f.is_gateway and f.is_open and bool(f.deliveries) and not f.was_accepted),
          (s.DELIVERED_BAD, s.COVERED), "Make the callback route answer exactly 202; the next try then settles it.",
          "the gateway's documentation: callbacks"),
    Cause("retries_exhausted", "The provider has used up its tries and will never call again.",
          _when(lambda f: f.is_open and f.is_exhausted), (s.DELIVERED_BAD, s.RETRIES, s.COVERED), a.replay,
          "the provider's documentation: webhooks, tries"),
    Cause("webhook_failed", "The webhook came and the backend answered with an error.",
          _when(lambda f: f.is_open and bool(f.deliveries) and not f.was_accepted and 404 not in f.answers
                and not f.is_gateway),
          (s.DELIVERED_BAD, s.COVERED), a.errors_then_replay, "runbook: failed webhook"),
    Cause("accepted_not_applied", "The webhook was accepted and the row did not move.",
          _when(lambda f: f.is_open and f.is_incoming and f.was_accepted and f.is_covered and f.safety is None,
                LIKELY),
          (s.DELIVERED_OK, s.COVERED, s.ROW_STATE), a.then_correct("See the backend's log for that delivery.")),
    Cause("webhook_never_delivered", "No webhook for it ever came.",
          _stages((PROVEN, lambda f: s.is_undelivered(f) and s.records_reach_back(f)),
                  (LIKELY, s.is_undelivered)),
          (s.NO_DELIVERY, s.RECORDS, s.COVERED, s.PROVIDER_MISSES), a.replay),
    Cause("delivery_unknown", "The money is there and the row did not follow; whether a webhook came is not known.",
          _when(lambda f: f.is_incoming and f.is_open and f.is_covered and not f.deliveries_known, LIKELY),
          (s.COVERED, s.ROW_STATE, s.NO_RECORDS),
          a.READ_RECORDS),
    Cause("older_than_the_row", "Money may have come before the row says that it was made.",
          _when(s.may_be_older), (s.LIES_THERE, s.PROVIDER_DENIES), a.OLDER, "runbook: RPC outage"),
    Cause("could_not_ask", "A source gave no usable answer, so nothing can be concluded.",
          lambda f: NONE if s.may_be_older(f) else _verdict(V.LOOKUP_FAILED, V.UNPROVEN)(f),
          (s.GAPS, s.VERDICT), _ASK, "runbook: RPC outage"),
    Cause("nothing_to_look_up_by", "The row lacks what the payment must be looked up by.",
          _verdict(V.MISSING_REFERENCE), (s.VERDICT,),
          "Find the request or invoice at the provider by amount and time, and have its id stored."),
    Cause("only_the_row_says_so", "Only the row says that it is paid.", _verdict(V.LOCAL_AHEAD),
          (s.ROW_STATE, s.NO_MONEY, s.PROVIDER_DENIES),
          "Find out who completed it; release nothing before that.", "runbook: compromised admin"),
    Cause("row_lags_in_detail", "The payment is settled; a detail of the row is behind.",
          _verdict(V.MISSING_TX_HASH, V.ESCROW_DRIFT, V.STATUS_DRIFT, V.CONFIRMATIONS_STALE),
          (s.VERDICT, s.COVERED), a.correct, _STATES),
    Cause("fee_elsewhere", "The fee went to an address that is none of ours.", _verdict(V.FEE_MISMATCH), (s.VERDICT,),
          "Compare with the request that was made.", "seen at providers: a fee address of another request"),
    Cause("never_paid", "Nobody has paid.",
          _stages((PROVEN, lambda f: f.verdict in (V.IN_TRANSIT, V.ABANDONED) and f.is_incoming
                   and not s.maybe_paid(f) and f.held_as is None),
                  (PROVEN, lambda f: s.is_closed_unpaid(f) and not s.maybe_paid(f)),
                  (POSSIBLE, lambda f: f.verdict in (V.IN_TRANSIT, V.ABANDONED) and f.is_incoming)),
          (s.NO_MONEY, s.WORTHLESS, s.PROVIDER_DENIES, s.EXPIRES, s.STRAY_AGAINST, s.EARLIER_AGAINST,
                s.NOT_AFRESH),
          "Nothing to do. If the buyer insists, ask for the transaction hash: recon inspect --verify-proof."),
    Cause("not_due_yet", "It was started a moment ago.",
          _when(lambda f: f.verdict is V.IN_TRANSIT and not f.is_incoming), (s.ROW_STATE,), "Wait half an hour.",
          "runbook: stuck release"),
    Cause("only_the_provider_differs", "Row and chain agree; only the provider does not say so.",
          _when(lambda f: f.verdict is V.PROVIDER_BEHIND, LIKELY), (s.VERDICT, s.COVERED, s.PROVIDER_SAYS, s.GAPS),
          "Nothing to correct here. Ask the provider again, and have it put right there if it stays.", _STATES),
    Cause("partly_refunded", "It is complete, and a part of it was refunded.", _verdict(V.PARTLY_REFUNDED),
          (s.VERDICT, s.COVERED, s.REFUNDED), "Nothing to do."),
    Cause("row_and_chain_agree", "Row and chain agree; what the provider says is not known.",
          _when(lambda f: f.verdict is V.IN_SYNC and not s.is_doubtful(f) and f.claim is None),
          (s.VERDICT, s.COVERED, s.GAPS), "Nothing to do. Once the provider answers: recon inspect again."),
    Cause("nothing_wrong", "All sides agree.",
          _when(lambda f: f.verdict is V.IN_SYNC and not s.is_doubtful(f) and f.claim is not None),
          (s.VERDICT, s.COVERED), "Nothing to do."),
)  # fmt: skip
"""All causes; what stops the money comes before what kept the row from following it."""
