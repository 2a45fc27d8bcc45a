"""The words of the project as types: statuses, verdicts, tiers, findings, changes and the plan that holds them.

A *finding* is one thing that shows; the *verdict* of a payment is the first finding that applies, in the order in which
:class:`Verdict` lists them. A *change* is everything that would be written to one payment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from recon.core.installed import PROVIDERS, built_in

STATUSES: Final = ("pending", "processing", "confirmed", "completed", "failed", "cancelled", "refunded")
OPEN_AGES: Final = (("under 30 min", 30 * 60_000), ("30 min to 24 h", 86_400_000), ("1 to 3 days", 3 * 86_400_000),
                    ("3 to 7 days", 7 * 86_400_000), ("over 7 days", None))  # fmt: skip
"""By which ages open payments are counted: the name of each, and below how many milliseconds it ends."""

OPEN: Final = ("pending", "processing")
COMPLETE: Final = ("completed", "confirmed")
SETTLED: Final = (*COMPLETE, "refunded")
"""Statuses that say that the money came, whether it was kept or given back."""

CLOSED: Final = ("failed", "cancelled", "refunded")
ESCROW_STATES: Final = (
    "partial", "funded", "releasable", "releasing", "released", "refunded", "failed", "cancelled",
)  # fmt: skip

PROBLEMS: Final[dict[str, str]] = {
    "amount_missing": "no amount is stored",
    "amount_unreadable": "the stored amount is not a finite number or exact decimal text",
    "amount_not_positive": "the stored amount is zero or negative",
    "amount_too_fine": "the stored amount is finer than the token's smallest unit",
    "amount_too_large": "the amount has more than 37 digits",
    "token_unknown": "the currency is no token known on this chain",
    "currency_differs": "the amount is in a currency that the stored token is not of",
    "network_missing": "no network is stored",
    "network_unknown": "the network word is unknown",
    "status_missing": "no status is stored",
    "status_unknown": "the status word is unknown",
    "direction_unknown": "the direction word is unknown",
    "escrow_unknown": "the escrowState word is unknown",
    "date_unreadable": "createdAt is missing or no date",
    "id_unreadable": "the _id cannot be written as text",
}
"""What can be wrong with one stored row; the codes in ``payments.problem``."""


HELD: Final[dict[str, str]] = {
    "held_review": "a person there has to approve it first",
    "held_service": "what was ordered is not delivered yet",
    "held_billing": "there is no way to bill it",
}
"""States of a provider's object with which nothing more is asked of the payer: the next step is the provider's own."""


class Verdict(StrEnum):
    """What is the matter with a payment, in the order in which the first that applies is taken."""

    TEST_PAYMENT = "test_payment"
    MALFORMED_RECORD = "malformed_record"
    OUT_OF_SCOPE = "out_of_scope"
    DISPUTE_HOLD = "dispute_hold"
    SIMULATED_HASH = "simulated_hash"
    COMPETING_PAYMENT = "competing_payment"
    DUPLICATE_PROVIDER_KEY = "duplicate_provider_key"
    DUPLICATE_TX_HASH = "duplicate_tx_hash"
    AMBIGUOUS = "ambiguous"
    LOCAL_BEHIND = "local_behind"
    LATE_PAYMENT = "late_payment"
    COORDINATOR_BLOCKED = "coordinator_blocked"
    REFUND_DRIFT = "refund_drift"
    TX_HASH_MISMATCH = "tx_hash_mismatch"
    MISSING_TX_HASH = "missing_tx_hash"
    ESCROW_DRIFT = "escrow_drift"
    STATUS_DRIFT = "status_drift"
    CONFIRMATIONS_STALE = "confirmations_stale"
    MULTIPLE_TRANSFERS = "multiple_transfers"
    OVERPAID = "overpaid"
    FEE_MISMATCH = "fee_mismatch"
    PROVIDER_BEHIND = "provider_behind"
    PARTLY_REFUNDED = "partly_refunded"
    IN_SYNC = "in_sync"
    STUCK_PENDING = "stuck_pending"
    INSUFFICIENT_CONFIRMATIONS = "insufficient_confirmations"
    AML_BLOCKED = "aml_blocked"
    SAFETY_PENDING = "safety_pending"
    UNDERPAID = "underpaid"
    NETWORK_MISMATCH = "network_mismatch"
    TOKEN_MISMATCH = "token_mismatch"  # noqa: S105 - a word, not a secret
    RECIPIENT_MISMATCH = "recipient_mismatch"
    REFERENCE_MISMATCH = "reference_mismatch"
    REORGED = "reorged"
    TX_REVERTED = "tx_reverted"
    TX_NOT_FOUND = "tx_not_found"
    LOOKUP_FAILED = "lookup_failed"
    UNPROVEN = "unproven"
    MISSING_REFERENCE = "missing_reference"
    PROVIDER_AHEAD = "provider_ahead"
    LOCAL_AHEAD = "local_ahead"
    STUCK_RELEASE = "stuck_release"
    IN_TRANSIT = "in_transit"
    ABANDONED = "abandoned"
    MISSING_LOCAL = "missing_local"
    UNEXPLAINED_OUTFLOW = "unexplained_outflow"


class Tier(StrEnum):
    """What may become of a finding."""

    AUTO = "auto"
    REVIEW = "review"
    NEVER = "never"
    WAIT = "wait"
    BENIGN = "benign"


TIER_TEXT: Final[dict[Tier, str]] = {
    Tier.AUTO: "applied together with the plan",
    Tier.REVIEW: "only if picked by payment",
    Tier.NEVER: "report only",
    Tier.WAIT: "not due yet",
    Tier.BENIGN: "counted, no alarm",
}


class Severity(StrEnum):
    """How soon a person must look."""

    INFO = "info"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


MISSING: Final[dict[str, str]] = {"$recon": "missing"}
"""Stands for "the field is not there" in plans and journals; null is a value of its own."""


@dataclass(frozen=True, slots=True)
class FieldView:
    """One compared field of a payment with what each side says, as display text; None is "nothing said"."""

    field: str
    local: str | None = None
    provider: str | None = None
    chain: str | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """What the tool says of one payment.

    Args:
        payment_id: ``ids.payment_id_text``; for what has no payment ``chain:...`` or ``provider:...``.
        findings: Every finding that shows, the verdict included, in order.
        difference_units: Received less expected, signed; None where nothing can be compared.
        value_units: Value at risk of this payment in base units of its token, never negative.
        reason: One plain sentence.
        evidence: References a person can check: ``transfer 56:0x...:3``, ``claim request_network:01...``.
    """

    payment_id: str
    verdict: Verdict
    findings: tuple[Verdict, ...]
    tier: Tier
    severity: Severity
    reason: str
    provider: str | None = None
    chain_id: int | None = None
    token: str | None = None
    symbol: str | None = None
    decimals: int | None = None
    age_s: int | None = None
    difference_units: int | None = None
    value_units: int = 0
    fields: tuple[FieldView, ...] = ()
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One path of a document, before and after, each canonical Extended JSON v2 or :data:`MISSING`."""

    path: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class GuardTerm:
    """One reviewed value that must still be there, type and all, when the write happens."""

    path: str
    value: Any


@dataclass(frozen=True, slots=True)
class ProofTerm:
    """One transfer that a change rests on, as the chain showed it when the plan was made.

    Args:
        log_index: None stands for the transaction as a whole.
        block, block_hash: Where it lay; None is "not known".
        is_final: Whether it was final then, and so must be final when the change is written.
    """

    chain_id: int
    tx_hash: str
    log_index: int | None = None
    block: int | None = None
    block_hash: str | None = None
    is_final: bool = True


@dataclass(frozen=True, slots=True)
class Change:
    """Everything that would be written to one payment, and under which conditions.

    Args:
        id: Stable name of the change within its plan: ``c`` and 16 hex digits of payment, verdict and effects.
        document_id: The ``_id`` in canonical Extended JSON.
        sets: Paths to set, sorted by path. Forward plans set and never unset; an undo may restore MISSING.
        guard: Every value the verdict relied on and every path that is set, sorted by path.
        parents: Paths that must be objects or missing, so that no array or text is written into.
        stamp_before: The value of ``metadata.recon.last`` as found, or MISSING.
        value_units: Amount the change is about, base units, for limits.
        proof: The transfers it rests on, which must still be there when it is written; none where only a provider
            says so.
    """

    id: str
    payment_id: str
    document_id: Any
    verdict: Verdict
    tier: Tier
    sets: tuple[FieldChange, ...]
    guard: tuple[GuardTerm, ...]
    parents: tuple[str, ...] = ("metadata", "metadata.recon")
    stamp_before: Any = field(default_factory=lambda: dict(MISSING))
    evidence: tuple[str, ...] = ()
    side_effects: tuple[str, ...] = ()
    value_units: int = 0
    token: str | None = None
    symbol: str | None = None
    decimals: int | None = None
    chain_id: int | None = None
    age_s: int | None = None
    reason: str = ""
    proof: tuple[ProofTerm, ...] = ()


@dataclass(frozen=True, slots=True)
class LeftAlone:
    """A break that the plan does not change, and why."""

    payment_id: str
    verdict: Verdict
    reason: str


@dataclass(frozen=True, slots=True)
class Target:
    """Where a plan may be applied, names and physical identity both; unknown never equals known."""

    name: str
    hosts: tuple[str, ...]
    database: str
    collection: str
    collection_uuid: str | None
    chain_ids: tuple[int, ...]
    proxies: tuple[str, ...]
    provider_accounts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ExplainedMovement:
    """A named rule: money between a known wallet and this address is accounted for elsewhere.

    Args:
        address: The other side, lower case.
        reason: Why, in the words of the configuration.
        tokens: Which tokens, each as ``chain_id:contract``.
        wallet: Of which wallet; None means of every known one.
        direction: ``in`` or ``out`` as the wallet sees it; None means both.
    """

    address: str
    reason: str
    tokens: tuple[str, ...]
    wallet: str | None = None
    direction: str | None = None


def _usual_providers() -> Mapping[str, Any]:
    """The built-in providers that are in scope where nobody names any, by name."""
    return {name: each for name, each in built_in(PROVIDERS).items() if each.is_usual}


@dataclass(frozen=True, slots=True)
class Policy:
    """Everything a judgement depends on besides the evidence; its digest stands in the plan.

    Times are milliseconds. ``provider_proves`` names rails (``shkeeper:137``) on which a provider's "paid" is accepted
    without chain proof, for chains without an RPC endpoint. ``fee_recipients`` are the fee addresses our requests name;
    while it is empty, fees are not judged. ``dust_units`` is, by ``chain_id:token``, the least amount in base units
    that matters: what comes below it is counted apart and is no break, though it enters every sum.
    ``payout_wallets`` are those that payouts leave from, besides those that proven payouts came from; ``explained`` are
    movements of ours that no payment stands behind.
    """

    providers: tuple[str, ...] = field(default_factory=lambda: tuple(_usual_providers()))
    chain_ids: tuple[int, ...] = (1, 56, 137, 8453, 42161)
    confirmations_min: Mapping[int, int] = field(default_factory=dict)
    confirmations_min_default: int = 12
    tolerance_ppm: Mapping[str, tuple[int, int]] = field(
        default_factory=lambda: {name: each.tolerance_ppm for name, each in _usual_providers().items()}
    )
    provider_proves: tuple[str, ...] = ()
    confirmed_means_completed: bool = True
    stuck_after_ms: int = 30 * 60_000
    urgent_after_ms: int = 24 * 3_600_000
    abandoned_after_ms: int = 30 * 86_400_000
    clock_skew_ms: int = 5 * 60_000
    merchant_recipients: tuple[str, ...] = ()
    fee_recipients: tuple[str, ...] = ()
    payout_wallets: tuple[str, ...] = ()
    explained: tuple[ExplainedMovement, ...] = ()
    plan_age_max_ms: int = 4 * 3_600_000
    changes_max: int = 500
    share_max_percent: int = 30
    share_max_from_rows: int = 10
    value_max_units: Mapping[str, int] = field(default_factory=dict)
    value_max_units_per_payment: Mapping[str, int] = field(default_factory=dict)
    unproven_share_max_percent: int = 5
    side_effects: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    dust_units: Mapping[str, int] = field(default_factory=dict)

    def confirmations_of(self, chain_id: int | None) -> int:
        """The backend's own minimum of confirmations on a chain."""
        return self.confirmations_min.get(chain_id or 0, self.confirmations_min_default)


@dataclass(frozen=True, slots=True)
class Plan:
    """A reviewed artefact: what was found, what would be changed, where, and until when.

    ``digest`` names the bytes, ``effects_digest`` the normalised effects; both are sha256 hex. ``kind`` is
    correction, undo or backfill. ``summary``, ``window`` and ``coverage`` are JSON as the command line prints it.
    ``picked`` names the payments whose changes of tier review a person picked; no other review change is written.
    ``balances`` is what :mod:`recon.plans.balances` made of known wallets, as JSON; None where none are known.
    ``ledger`` is what :mod:`recon.plans.ledger` made of the backend's ledger, as JSON; None where it was not read.
    """

    kind: str
    tool_version: str
    created_at: str
    expires_at: str
    target: Target
    policy_digest: str
    snapshot: str
    window: Mapping[str, Any]
    coverage: tuple[Mapping[str, Any], ...]
    summary: Mapping[str, Any]
    findings: tuple[Finding, ...]
    changes: tuple[Change, ...]
    left_alone: tuple[LeftAlone, ...]
    parent: str | None = None
    run: str | None = None
    picked: tuple[str, ...] = ()
    balances: Mapping[str, Any] | None = None
    ledger: Mapping[str, Any] | None = None
    digest: str = ""
    effects_digest: str = ""

    @property
    def is_read_whole(self) -> bool:
        """Whether every source gave all that was asked of it; a plan that judges must say what was read for it."""
        if not self.coverage:
            return self.kind != "correction"
        return all(row.get("complete", False) for row in self.coverage)
