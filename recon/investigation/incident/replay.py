"""Sort deliveries: which are genuine, which repeat a payment, which came out of order, which to replay.

Nothing is sent. Another tool sends the replay list; the totals before and after it show what a replay would credit.
Each payment counts once, however many deliveries report it. A worked example, one settlement reported three times::

    01A  payment.confirmed            request r1  tx 0xf1  answered 404
    01B  payment.confirmed.client_id  request r1  tx 0xf1  answered 404
    01C  payment.confirmed.checkout   request r1  tx 0xf1  answered 404

Three delivery ids, one payment identity: the list holds 01A, and the totals rise by one payment.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from recon.core.text import count_text
from recon.investigation.incident.access_log import is_good
from recon.investigation.incident.streams import stream_gaps
from recon.sources.deliveries.bodies import is_database_order, written_again
from recon.sources.deliveries.delivery import Delivery
from recon.sources.http import Secret
from recon.sources.providers.installed import rails_by_external_id, webhooks_of
from recon.sources.providers.webhooks import UnknownWebhookProviderError, verify_webhook

SUFFIXES: Final = (".client_id", ".checkout")
"""Endings of event names that repeat the core event, each under a delivery id of its own."""

SETTLING: Final = (
    "payment.confirmed", "payment.partial", "payment.failed", "payment.refunded", "payment.complete", "invoice",
)  # fmt: skip
"""Events that can move a payment; telemetry and compliance events never settle anything."""

OFFRAMP_EVENT: Final = "payment.processing"
OFFRAMP_ENDS: Final = ("fiat_sent", "bounced", "retry_required", "failed")
"""Sub-statuses with which the way of the fiat ends, or needs a person: the row has to follow."""

IDLE_EVENTS: Final = (
    OFFRAMP_EVENT, "request.recurring", "compliance.updated", "payment_detail.updated", "secure_payment.user_event",
    "secure_payment.access_rejected", "client_id.linked", "kyt.screening.completed",
)  # fmt: skip
"""Events that are known to settle nothing."""

_MASK = re.compile(
    r"[*\u2022\u2026]|\.\.\.|[xX]{4}|redact|filter|mask|hidden|censor|remov|scrub|sanitiz|omit|secret", re.IGNORECASE
)
_WHOLE = re.compile(r"[0-9a-fA-F]{64}")
Identity = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CheckedDelivery:
    """A delivery with what was found about it.

    Args:
        signature: ``valid``, ``invalid``, ``stale`` (right, and its time is outside the window of its arrival),
            ``unsigned``, ``no_body``, ``no_secret``, ``rewritten`` (does not fit, but the body is not kept as it came),
            ``masked`` (a logger wrote something else in its place), or what the record itself says: ``said_valid``,
            ``said_invalid``.
        identity: What payment it tells of; None where it names none.
        accepted: Whether it was answered as its provider wants; None where no answer was kept.
        action: ``replay``, or why not.
    """

    delivery: Delivery
    signature: str
    identity: Identity | None
    accepted: bool | None
    action: str = ""

    @property
    def is_trusted(self) -> bool:
        """Whether nothing suggests that it is forged."""
        return self.signature not in ("invalid", "said_invalid")


@dataclass(frozen=True, slots=True)
class Totals:
    """Payments and money by currency."""

    payments: int
    money: tuple[tuple[str, Decimal], ...]
    without_amount: int = 0


@dataclass(frozen=True, slots=True)
class DeliveryTriage:
    """What was found.

    Args:
        counts: Deliveries by provider and state, for the headline.
        same_id: Delivery ids that came more than once, and how often.
        same_payment: Payment identities told by more than one delivery id, and by which.
        out_of_order: One sentence for each payment whose events did not come in the order in which they happened.
        replay: What to send again, oldest first.
        before, after: What the accepted deliveries tell of, and what they and the replayed ones do together.
        unread: What could not be told of deliveries that were read, one sentence each.
        gaps: Where a stream of events has to be read again, because some of it may not have been kept.
    """

    checked: tuple[CheckedDelivery, ...]
    counts: Mapping[str, int]
    signatures: Mapping[str, int]
    same_id: tuple[tuple[str, int], ...]
    same_payment: tuple[tuple[Identity, tuple[str, ...]], ...]
    out_of_order: tuple[str, ...]
    replay: tuple[CheckedDelivery, ...]
    before: Totals
    after: Totals
    problems: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    gaps: tuple[str, ...] = ()

    @property
    def is_complete(self) -> bool:
        """Whether every record was read, and of every delivery what a conclusion needs."""
        return not self.problems and not self.unread


@dataclass(frozen=True, slots=True)
class Window:
    """Which deliveries may be replayed, by time of arrival, by delivery id or by both; an empty window holds all."""

    from_at: datetime | None = None
    to_at: datetime | None = None
    delivery_ids: frozenset[str] = field(default_factory=frozenset)

    def holds(self, delivery: Delivery) -> bool:
        """Whether a delivery is in the window; one without a time is, unless the window has times."""
        if self.delivery_ids and delivery.delivery_id not in self.delivery_ids:
            return False
        if self.from_at is None and self.to_at is None:
            return True
        if delivery.received_at is None:
            return False
        at = datetime.fromtimestamp(delivery.received_at / 1000, UTC)
        return (self.from_at is None or at >= self.from_at) and (self.to_at is None or at < self.to_at)


def triage_deliveries(
    deliveries: Iterable[Delivery],
    *,
    secrets: Mapping[str, Sequence[Secret]],
    window: Window | None = None,
    settled: Collection[Identity] = (),
    problems: Sequence[str] = (),
    now_ms: int | None = None,
) -> DeliveryTriage:
    """Check, group and order deliveries, and choose what to replay.

    Args:
        secrets: Webhook secrets by provider; several while a leaked one is being replaced. None: signatures are not
            checked, and the record's own word stands.
        settled: Payment identities that are credited already; they are not replayed.
        now_ms: The time now, UTC milliseconds, by which it is told what a stream still keeps.
    """
    chosen = window or Window()
    checked = sorted((_checked(each, secrets) for each in deliveries), key=_arrival)
    done = {each.identity for each in checked if each.identity and _is_credited(each)} | set(settled)
    acted = list(_with_actions(checked, chosen, done))
    unread = tuple(_untold(acted, chosen)) if acted else (_NO_RECORD,)
    gaps, lost = stream_gaps((each.delivery for each in acted), now_ms=now_ms)
    return replace(_triaged(acted, problems=tuple(problems), unread=(*unread, *lost)), gaps=gaps)


def part_of(found: DeliveryTriage, holds: Callable[[Delivery], bool]) -> DeliveryTriage:
    """What was found of some of the deliveries alone; what the others say of them stays (one settled later is)."""
    own = [each for each in found.checked if holds(each.delivery)]
    return _triaged(
        own, problems=found.problems, unread=tuple(_untold(own, Window())) if own else (_NO_RECORD_OF_THEM,)
    )


def _triaged(acted: list[CheckedDelivery], *, problems: tuple[str, ...], unread: tuple[str, ...]) -> DeliveryTriage:
    replayed = tuple(each for each in acted if each.action == "replay")
    before = [each for each in acted if _is_credited(each)]
    return DeliveryTriage(
        checked=tuple(acted),
        counts=_counts(acted),
        signatures=dict(sorted(Counter(each.signature for each in acted).items())),
        same_id=_same_id(acted),
        same_payment=_same_payment(acted),
        out_of_order=tuple(_out_of_order(acted)),
        replay=replayed,
        before=_totals(before),
        after=_totals([*before, *replayed]),
        problems=problems,
        unread=unread,
    )


def _untold(checked: Sequence[CheckedDelivery], window: Window) -> Iterator[str]:
    """What the forms in which deliveries are kept leave open, one sentence each."""
    silent = sum(not _tells(each.delivery) and not each.accepted for each in checked)
    if silent:
        told = count_text(silent, "refused delivery tells", many="refused deliveries tell")
        yield (f"what {told} of could not be read in the form in which it is kept; what may be replayed is on the list")
    yield from _unnamed(checked)
    yield from _unchecked(Counter(each.signature for each in checked))
    timeless = sum(each.delivery.received_at is None and not each.accepted for each in checked)
    if timeless and (window.from_at or window.to_at):
        undated = count_text(timeless, "refused delivery is", many="refused deliveries are")
        yield f"{undated} kept without a time, so nobody knows what of it is in the window"


def _unnamed(checked: Sequence[CheckedDelivery]) -> Iterator[str]:
    """That not one of the records names its provider: they may be of something else than webhooks."""
    if checked and {each.delivery.provider for each in checked} == {"unknown"}:
        records = count_text(len(checked), "record")
        yield f"the provider of {records} is not named, so what of it is to be replayed is not known"


_NO_RECORD: Final = "no record of a delivery is there: whether none came or none was kept is not known"
_NO_RECORD_OF_THEM: Final = (
    "no record of a delivery of these rails and this time is there: whether none came or none was kept is not known"
)
_UNCHECKED: Final = {
    "masked": "it was masked before it was kept",
    "rewritten": "the body is not kept as it came",
}  # fmt: skip


def _unchecked(signatures: Mapping[str, int]) -> Iterator[str]:
    for word, why in _UNCHECKED.items():
        if count := signatures.get(word, 0):
            kept = count_text(count, "delivery", many="deliveries")
            yield f"the signature of {kept} cannot be checked: {why}"


def _arrival(each: CheckedDelivery) -> tuple[int, int, str]:
    return each.delivery.received_at or 0, each.delivery.attempt or 0, each.delivery.place


def _is_credited(each: CheckedDelivery) -> bool:
    """Whether the backend took a delivery that may be believed."""
    return bool(each.accepted) and each.is_trusted


def settlement_of(delivery: Delivery) -> Identity | None:
    """The payment that a delivery reports, so that a settlement reported by several deliveries counts once.

    The request (or reference, or external id) and its transaction; for a provider that tells the coin, the order, the
    triggering transaction and the coin. Two payments of one request in one transaction look alike here; the amounts are
    kept apart by adding them.
    """
    amount = _amount(delivery)
    webhooks = webhooks_of(delivery.provider)
    if webhooks.tells_coin:
        coin = str(webhooks.told(delivery.payload).get("crypto") or delivery.payload.get("crypto") or "")
        key = delivery.external_id
        return None if key is None else (delivery.provider, key, delivery.tx_hash or "", coin)
    key = delivery.external_id if delivery.provider in rails_by_external_id() else None
    key = key or delivery.request_id or delivery.reference
    if key is None:
        return None
    part = "" if amount is None else format(amount[1].normalize(), "f")
    return (delivery.provider, key, delivery.tx_hash or "", core_event(delivery.event), part)


def core_event(event: str | None) -> str:
    """The event without the ending that marks it as a repetition."""
    text = event or ""
    return next((text.removesuffix(suffix) for suffix in SUFFIXES if text.endswith(suffix)), text)


def _checked(delivery: Delivery, secrets: Mapping[str, Sequence[Secret]]) -> CheckedDelivery:
    status = delivery.http_status
    accepted = None if status is None else is_good(delivery.provider, status) and not delivery.dead_letter
    return CheckedDelivery(delivery, _signature(delivery, secrets), settlement_of(delivery), accepted)


def _signature(delivery: Delivery, secrets: Mapping[str, Sequence[Secret]]) -> str:
    keys = secrets.get(delivery.provider, ())
    kept = delivery.body if delivery.body is not None else delivery.said
    if kept is None or delivery.kept == "unread" or not delivery.headers:
        said = delivery.signature_valid
        return "no_body" if said is None else "said_valid" if said else "said_invalid"
    if not keys:
        return "no_secret"
    signatures = _signatures_of(delivery)
    if not signatures:
        return "unsigned"
    return "masked" if all(map(_is_masked, signatures)) else _fitting(delivery, kept, keys)


def _signatures_of(delivery: Delivery) -> list[str]:
    return [value for name, value in delivery.headers.items() if name.endswith("-signature")]


def _is_masked(value: str) -> bool:
    """Whether a logger wrote something in place of a signature: it is no signature at all, right or wrong."""
    return _MASK.search(value) is not None and _WHOLE.search(value) is None


def _fitting(delivery: Delivery, kept: bytes, keys: Sequence[Secret]) -> str:
    """Whether the signature fits the body as it was kept, or as it may have been before it was written again."""
    for body in (kept, *written_again(kept)):
        if (word := _verified(delivery, body, keys)) != "invalid":
            return word
    return "invalid" if delivery.kept == "raw" and not is_database_order(kept) else "rewritten"


def _verified(delivery: Delivery, body: bytes, keys: Sequence[Secret]) -> str:
    at = None if delivery.received_at is None else datetime.fromtimestamp(delivery.received_at / 1000, UTC)
    try:
        if any(verify_webhook(delivery.provider, delivery.headers, body, key, now=at) for key in keys):
            return "valid"
    except UnknownWebhookProviderError:
        return "no_secret"
    signed_at = webhooks_of(delivery.provider).signed_at(delivery.headers)
    if signed_at is not None:
        then = datetime.fromtimestamp(min(signed_at, 253_402_300_799), UTC)
        if any(verify_webhook(delivery.provider, delivery.headers, body, key, now=then) for key in keys):
            return "stale"
    return "invalid"


def _with_actions(
    checked: Sequence[CheckedDelivery], window: Window, done: Collection[Identity]
) -> Iterator[CheckedDelivery]:
    taken: set[Identity | str] = set()
    ranked = sorted(range(len(checked)), key=lambda n: (_is_variant(checked[n].delivery), n))
    actions: dict[int, str] = {}
    for number in ranked:
        each = checked[number]
        key = each.identity or each.delivery.delivery_id or each.delivery.place
        actions[number] = _action(each, window, done, is_taken=key in taken)
        if actions[number] == "replay":
            taken.add(key)
    for number, each in enumerate(checked):
        yield CheckedDelivery(each.delivery, each.signature, each.identity, each.accepted, actions[number])


def _is_variant(delivery: Delivery) -> bool:
    return (delivery.event or "").endswith(SUFFIXES)


def _sub_status(delivery: Delivery) -> str:
    return str(delivery.payload.get("subStatus") or "").lower()


def _moves_row(delivery: Delivery) -> bool:
    """Whether a row has to follow what a delivery tells: money that moved, or fiat that arrived or did not."""
    event = core_event(delivery.event)
    if event in webhooks_of(delivery.provider).moving:
        return True
    return event in SETTLING or (event == OFFRAMP_EVENT and _sub_status(delivery) in OFFRAMP_ENDS)


def _tells(delivery: Delivery) -> bool:
    """Whether anything says what happened; the word of a record whose body is not known has to be the provider's."""
    if delivery.kept not in ("none", "unread"):
        return delivery.is_told
    return delivery.is_told and (_moves_row(delivery) or core_event(delivery.event) in (*IDLE_EVENTS, OFFRAMP_EVENT))


def _why_idle(delivery: Delivery) -> str:
    event, sub_status = core_event(delivery.event), _sub_status(delivery)
    if event and event not in IDLE_EVENTS:
        return "its event is not one that is read"
    return f"its event settles nothing yet: {sub_status}" if sub_status else "its event settles nothing"


def _action(each: CheckedDelivery, window: Window, done: Collection[Identity], *, is_taken: bool) -> str:
    delivery = each.delivery
    reasons = (
        (delivery.is_test, "a test delivery"),
        (not each.is_trusted, "its signature is wrong"),
        (not _tells(delivery) and delivery.provider == "unknown", "nothing tells what it is or whose"),
        (_tells(delivery) and not _moves_row(delivery), _why_idle(delivery)),
        (bool(each.accepted), "it was accepted"),
        (each.identity is not None and each.identity in done, "the payment it tells of was accepted already"),
        (not window.holds(delivery), "outside the window"),
        (is_taken, "another delivery of the same payment is on the list"),
        (delivery.kept in ("none", "unread") and delivery.delivery_id is None, "neither its id nor its body was kept"),
    )
    return next((reason for applies, reason in reasons if applies), "replay")


def _counts(checked: Iterable[CheckedDelivery]) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for each in checked:
        state = "accepted" if each.accepted else "refused" if each.accepted is False else "no answer kept"
        counts[f"{each.delivery.provider}, {state}"] += 1
        if each.delivery.dead_letter:
            counts[f"{each.delivery.provider}, dead letters"] += 1
    return dict(sorted(counts.items()))


def _same_id(checked: Iterable[CheckedDelivery]) -> tuple[tuple[str, int], ...]:
    seen = Counter(each.delivery.delivery_id for each in checked if each.delivery.delivery_id)
    return tuple(sorted(((name, count) for name, count in seen.items() if count > 1), key=lambda x: (-x[1], x[0])))


def _same_payment(checked: Iterable[CheckedDelivery]) -> tuple[tuple[Identity, tuple[str, ...]], ...]:
    told: dict[Identity, dict[str, None]] = defaultdict(dict)
    for each in checked:
        if each.identity is not None and core_event(each.delivery.event) in SETTLING:
            told[each.identity][each.delivery.delivery_id or each.delivery.place] = None
    return tuple((key, tuple(ids)) for key, ids in sorted(told.items()) if len(ids) > 1)


@dataclass(frozen=True, slots=True)
class _Told:
    """What a delivery reports: the sum paid so far, when the event happened, and which delivery it is."""

    total: Decimal | None
    happened: str
    name: str

    def contradiction(self, later: _Told) -> str | None:
        """How a delivery that came later contradicts this one; None where it does not."""
        if later.total is not None and self.total is not None and later.total < self.total:
            return f"{later.name} tells of {later.total} in all after {self.name} told of {self.total}"
        if later.happened and self.happened and later.happened < self.happened:
            return f"{later.name} happened at {later.happened} and came after {self.name} of {self.happened}"
        return None


def _told(delivery: Delivery) -> _Told:
    return _Told(
        total=_decimal(delivery.payload.get("totalAmountPaid") or delivery.payload.get("balance_crypto")),
        happened=str(delivery.payload.get("timestamp") or ""),
        name=delivery.delivery_id or delivery.place,
    )


def _out_of_order(checked: Sequence[CheckedDelivery]) -> Iterator[str]:
    """Payments whose cumulative amount falls, or whose events' own times run backwards, in the order of arrival."""
    last: dict[str, _Told] = {}
    for each in checked:
        key = each.delivery.request_id or each.delivery.external_id
        if key is None or each.delivery.is_test or _is_variant(each.delivery):
            continue
        told, before = _told(each.delivery), last.get(key)
        if before is not None:
            if said := before.contradiction(told):
                yield f"{key}: {said}"
            told = replace(told, total=before.total if told.total is None else told.total)
        last[key] = told


def _totals(checked: Iterable[CheckedDelivery]) -> Totals:
    counted: dict[Identity | str, tuple[str, Decimal] | None] = {}
    for each in checked:
        if each.delivery.is_test or (_tells(each.delivery) and core_event(each.delivery.event) not in SETTLING):
            continue
        key = each.identity or each.delivery.delivery_id or each.delivery.place
        counted.setdefault(key, _amount(each.delivery))
    money: dict[str, Decimal] = defaultdict(Decimal)
    for amount in counted.values():
        if amount is not None:
            money[amount[0]] += amount[1]
    unknown = sum(amount is None for amount in counted.values())
    return Totals(len(counted), tuple(sorted(money.items())), unknown)


def _amount(delivery: Delivery) -> tuple[str, Decimal] | None:
    """Currency and amount of this one payment, as the delivery reports them."""
    source = webhooks_of(delivery.provider).told(delivery.payload)
    amount = _decimal(source.get("amount_crypto") or source.get("amount"))
    currency = source.get("crypto") or delivery.payload.get("paymentCurrency") or delivery.payload.get("currency")
    if amount is None or not isinstance(currency, str):
        return None
    return currency[:40], amount


def _decimal(value: Any) -> Decimal | None:
    if isinstance(value, bool) or value is None or not isinstance(value, (str, int)) or len(str(value)) > 100:
        return None
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return None
    return number if number.is_finite() and abs(number.adjusted()) < 80 else None


def replay_lines(found: DeliveryTriage) -> Iterator[dict[str, Any]]:
    """The replay list for a tool that sends, one record per delivery: its ids, where it is kept, and its digest."""
    for number, each in enumerate(found.replay, 1):
        delivery = each.delivery
        yield {
            "order": number,
            "delivery_id": delivery.delivery_id,
            "provider": delivery.provider,
            "received_at": None
            if delivery.received_at is None
            else datetime.fromtimestamp(delivery.received_at / 1000, UTC).isoformat().replace("+00:00", "Z"),
            "event": delivery.event,
            "request_id": delivery.request_id,
            "external_id": delivery.external_id,
            "tx_hash": delivery.tx_hash,
            "payload_sha256": delivery.payload_digest,
            "kept_at": delivery.place,
            "answered": delivery.http_status,
            "signature": each.signature,
        }
