"""The rules: one row of a table for each verdict, and the first that applies to a payment names its verdict. Pure.

Every rule has a permanent number, its bit in the ``findings`` mask,
and ``when``: names of conditions of ``recon.verdicts.conditions`` or of columns of the evidence, joined by ``and``,
``or`` and ``not``. Adding a verdict is adding a row here, the conditions it needs, and its scenarios in the tests. A
worked example: a covered payment whose row is still ``pending`` and to which a second transfer came has bits 9
(``local_behind``) and 18 (``multiple_transfers``); the order makes ``local_behind`` its verdict, and the second
transfer stays visible as a finding.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from recon.core.model import Tier, Verdict
from recon.verdicts.conditions import CONDITIONS
from recon.verdicts.evidence import EVIDENCE
from recon.verdicts.resolving import Condition, DuplicateNameError, UnknownNameError, in_steps, names_in


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule.

    Args:
        number: Its permanent bit in the ``findings`` mask.
        when: Names of conditions and of columns of the evidence, joined by ``and``, ``or`` and ``not``; None for what
            is raised without a payment.
        sentence: What a person reads; the row's values are put into it.
    """

    number: int
    verdict: Verdict
    tier: Tier
    when: str | None
    sentence: str


@dataclass(frozen=True, slots=True)
class RuleBook:
    """Rules in the order in which verdicts are taken, with the conditions that they rest on.

    Raises:
        UnknownNameError: A rule or a condition rests on a name that does not exist.
        DuplicateNameError: A number, a verdict or a name stands twice.
        ConditionRingError: Conditions rest on each other.
        UnreadableConditionError: The words of a rule are not of the kind that is read.
    """

    rules: tuple[Rule, ...]
    conditions: tuple[Condition, ...] = CONDITIONS
    steps: tuple[tuple[Condition, ...], ...] = field(init=False, repr=False)
    by_verdict: Mapping[str, Rule] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Resolve every name, so that a mistake shows when the book is made and not in a run."""
        object.__setattr__(self, "steps", in_steps(self.conditions, given=EVIDENCE))
        object.__setattr__(self, "by_verdict", {rule.verdict: rule for rule in self.rules})
        names = [name for rule in self.rules for name in (f"rule {rule.number}", str(rule.verdict))]
        if twice := [name for name in names if names.count(name) > 1]:
            raise DuplicateNameError(name=twice[0])
        known = {*EVIDENCE, *(condition.name for condition in self.conditions)}
        for rule, when in self.judged:
            for name in names_in(when):
                if name not in known:
                    raise UnknownNameError(where=f"The rule {rule.verdict}", name=name)

    @property
    def judged(self) -> tuple[tuple[Rule, str], ...]:
        """The rules about payments, each with its condition."""
        return tuple((rule, rule.when) for rule in self.rules if rule.when is not None)


_V = Verdict
RULES: Final = (
    Rule(0, _V.TEST_PAYMENT, Tier.BENIGN, when="is_test",
         sentence="This is a test row."),
    Rule(1, _V.MALFORMED_RECORD, Tier.NEVER, when="is_malformed",
         sentence="The stored row cannot be read: {problem}."),
    Rule(2, _V.OUT_OF_SCOPE, Tier.BENIGN, when="is_foreign",
         sentence="Nobody configured provider {provider} on network {network}."),
    Rule(3, _V.DISPUTE_HOLD, Tier.NEVER, when="is_held and (moves or change_due)",
         sentence="The payment is disputed or held; nothing may move it until that is decided."),
    Rule(4, _V.SIMULATED_HASH, Tier.NEVER, when="simulated",
         sentence="The recorded hash is a simulation and proves nothing."),
    Rule(5, _V.COMPETING_PAYMENT, Tier.NEVER,
         when="several_moneyed and (seen_any or provider_paid) and not (incoming and status_refunded)",
         sentence="Money is on more than one payment of this buyer, order and offer."),
    Rule(6, _V.DUPLICATE_PROVIDER_KEY, Tier.NEVER, when="key_shared",
         sentence="Another row claims the same provider object."),
    Rule(7, _V.DUPLICATE_TX_HASH, Tier.NEVER, when="hash_shared",
         sentence="{sharing}"),
    Rule(8, _V.AMBIGUOUS, Tier.NEVER, when="deposit_shared or landed_in_part",
         sentence="A transfer fits several payments equally well."),
    Rule(9, _V.LOCAL_BEHIND, Tier.AUTO, when="behind",
         sentence="The chain proves {received} of {expected} {symbol}, and the row is {status}."),
    Rule(10, _V.LATE_PAYMENT, Tier.REVIEW, when="late",
         sentence="The money came after the payment expired, and the row is {status}."),
    Rule(11, _V.COORDINATOR_BLOCKED, Tier.REVIEW, when="blocked",
         sentence="The money is there, but no allowed step leads from status {status} and escrow {escrow} to paid."),
    Rule(12, _V.REFUND_DRIFT, Tier.REVIEW, when="refund_wrong",
         sentence="Row and evidence disagree about a refund{went_back}."),
    Rule(13, _V.TX_HASH_MISMATCH, Tier.AUTO, when="hash_wrong",
         sentence="The recorded hash is not the transfer that proves the payment."),
    Rule(14, _V.MISSING_TX_HASH, Tier.AUTO, when="hash_missing",
         sentence="The payment is proven, and no hash is recorded."),
    Rule(15, _V.ESCROW_DRIFT, Tier.AUTO, when="escrow_wrong",
         sentence="The payment is proven and complete, and escrowState is {escrow}."),
    Rule(16, _V.STATUS_DRIFT, Tier.AUTO, when="word_wrong",
         sentence="The row says confirmed where the backend means completed."),
    Rule(17, _V.CONFIRMATIONS_STALE, Tier.AUTO, when="count_wrong",
         sentence="The row counts {confirmations} confirmations, under the threshold the chain has passed."),
    Rule(18, _V.MULTIPLE_TRANSFERS, Tier.REVIEW, when="covered and further",
         sentence="More transfers came than the payment needed."),
    Rule(19, _V.OVERPAID, Tier.REVIEW, when="covered and over and not further",
         sentence="More than the expected amount came."),
    Rule(20, _V.FEE_MISMATCH, Tier.REVIEW, when="covered and fee_strange",
         sentence="The fee went to an address that is none of ours."),
    # Of a row that is to be corrected it is a further finding: what will remain once the row is right.
    Rule(21, _V.PROVIDER_BEHIND, Tier.NEVER,
         when="covered and provider_denies and (complete or behind or late or blocked)",
         sentence="The row is right and the provider says {provider_state}."),
    Rule(44, _V.PARTLY_REFUNDED, Tier.BENIGN, when="refunded_in_part",
         sentence="The payment is complete and a part of it was refunded{went_back}."),
    Rule(22, _V.IN_SYNC, Tier.BENIGN, when="equal",
         sentence="Everything that was asked agrees."),
    Rule(23, _V.STUCK_PENDING, Tier.REVIEW, when="on_hold and held_too_long and open",
         sentence="{held_by} has kept this payment open for more than 30 minutes past its due time."),
    Rule(24, _V.INSUFFICIENT_CONFIRMATIONS, Tier.WAIT, when="unfinal",
         sentence="The money is seen and not final yet."),
    Rule(25, _V.AML_BLOCKED, Tier.WAIT, when="aml_hold",
         sentence="Screening holds this payment."),
    Rule(26, _V.SAFETY_PENDING, Tier.WAIT, when="safety_hold",
         sentence="The backend's safety check holds it and the evidence does not satisfy it."),
    Rule(27, _V.UNDERPAID, Tier.WAIT, when="short and can_be_found",
         sentence="{received} of {expected} {symbol} came."),
    Rule(28, _V.NETWORK_MISMATCH, Tier.REVIEW, when="astray and other_network",
         sentence="The money is on another network."),
    Rule(29, _V.TOKEN_MISMATCH, Tier.REVIEW, when="astray and other_token",
         sentence="The money is in another token: {astray}."),
    Rule(30, _V.RECIPIENT_MISMATCH, Tier.REVIEW, when="(astray and other_recipient) or misled",
         sentence="The money went to another address."),
    Rule(31, _V.REFERENCE_MISMATCH, Tier.REVIEW, when="astray and other_reference",
         sentence="The money carries another reference, or none."),
    Rule(32, _V.REORGED, Tier.NEVER, when="vanished and was_there",
         sentence="The row counts {confirmations} confirmations of a transaction that is not on the chain."),
    Rule(33, _V.TX_REVERTED, Tier.NEVER, when="recorded and hash_reverted",
         sentence="The recorded transaction failed on the chain."),
    Rule(34, _V.TX_NOT_FOUND, Tier.NEVER, when="vanished and not was_there",
         sentence="The recorded transaction is not on the chain."),
    Rule(35, _V.LOOKUP_FAILED, Tier.NEVER,
         when="(undone and (unasked or hash_unanswered) and not unfinal) or hash_unknown or refund_unasked",
         sentence="{who} gave no usable answer, and its answer could change the outcome."),
    Rule(36, _V.UNPROVEN, Tier.NEVER,
         when="(undone and ((chain_blind and not unfinal) or unmeasured or at_contract or (older and not seen_any)))"
         " or refund_unseen",
         sentence="{gap}"),
    Rule(37, _V.MISSING_REFERENCE, Tier.NEVER, when="undone and incoming and not has_key",
         sentence="The row lacks what the payment must be looked up by: {missing}."),
    Rule(38, _V.PROVIDER_AHEAD, Tier.REVIEW, when="undone and absent and provider_paid",
         sentence="The provider says paid, and the chain shows no money."),
    Rule(39, _V.LOCAL_AHEAD, Tier.NEVER, when="nothing and (complete or claims_out or claims_in)",
         sentence="Only the row says so: neither chain nor provider shows the money."),
    Rule(40, _V.STUCK_RELEASE, Tier.REVIEW, when="stuck_out or stuck_in",
         sentence="A release or refund is under way without proof for {age}."),
    Rule(41, _V.IN_TRANSIT, Tier.BENIGN, when="(idle and not past_due) or young_out",
         sentence="No money yet, and it is not overdue."),
    Rule(42, _V.ABANDONED, Tier.BENIGN, when="idle and past_due",
         sentence="No money came before the payment expired."),
    Rule(43, _V.MISSING_LOCAL, Tier.REVIEW, when=None,
         sentence="No row of the whole collection knows this {what}."),
    Rule(45, _V.UNEXPLAINED_OUTFLOW, Tier.NEVER, when=None,
         sentence="{amount} {symbol} more went to {destination} than any row explains, in {where}."),
)  # fmt: skip
"""In the order in which verdicts are taken; ``missing_local`` and ``unexplained_outflow`` are raised for what has no
payment. The next free number is 46."""

RULE: Final[Mapping[Verdict, Rule]] = {rule.verdict: rule for rule in RULES}

RULE_BOOK: Final = RuleBook(RULES)
"""The rules by which everything is judged."""


def findings_of(mask: int, *, rules: RuleBook = RULE_BOOK) -> tuple[Verdict, ...]:
    """The findings a mask stands for, in the order of the rules."""
    return tuple(rule.verdict for rule in rules.rules if mask >> rule.number & 1)


def tier_of(
    verdict: Verdict, *, direction: str, is_due: bool, needs_picking: bool = False, rules: RuleBook = RULE_BOOK
) -> Tier:
    """The tier of a verdict where it depends on the row.

    Outgoing rows are never corrected without being picked, nor are rows that only a provider's word proves or pay-ins
    whose money went on (``needs_picking``); an underpaid row waits until it is due.
    """
    if verdict is Verdict.LOCAL_BEHIND and direction != "in":
        return Tier.REVIEW
    if needs_picking and rules.by_verdict[verdict].tier is Tier.AUTO:
        return Tier.REVIEW
    if verdict is Verdict.UNDERPAID and is_due:
        return Tier.REVIEW
    return rules.by_verdict[verdict].tier
