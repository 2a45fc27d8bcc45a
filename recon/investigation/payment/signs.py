"""The signs that support or contradict a cause: when each holds, and the sentence that states it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from recon.core.model import Verdict
from recon.core.money import format_units
from recon.core.text import count_text
from recon.core.times import ms_text, parse_iso_ms
from recon.investigation.payment.facts import INDEXER_LAG_MS, Facts
from recon.plans.beside import beside
from recon.plans.whereabouts import what_lies, wrong_destination
from recon.sources.providers.chain_kind import chain_kinds


@dataclass(frozen=True, slots=True)
class Sign:
    """One piece of evidence; ``speaks_for`` is False where it speaks against."""

    holds: Callable[[Facts], bool]
    says: Callable[[Facts], str]
    speaks_for: bool = True


def came_late(f: Facts) -> bool:
    """Whether the completing money came after the payment expired."""
    at, until = f.row["proof_time"], f.row["expires_at"]
    return f.is_covered and f.is_incoming and at is not None and until is not None and at > until


def is_recent(f: Facts) -> bool:
    """Whether the money is so young that an indexer may honestly not have it."""
    return f.money_at is not None and f.dossier.now_ms - f.money_at < INDEXER_LAG_MS


def is_unverified(f: Facts) -> bool:
    """Whether deliveries came and none was taken for genuine."""
    said = [row["signature_valid"] is False or row["http_status"] in (401, 403) for row in f.deliveries]
    return bool(said) and all(said)


def is_undelivered(f: Facts) -> bool:
    """Whether money came, the row did not follow, and the delivery records hold nothing of it."""
    return f.is_incoming and f.is_open and f.is_covered and f.deliveries_known and not f.deliveries


def records_reach_back(f: Facts) -> bool:
    """Whether the delivery records were whole at the time of the money."""
    return any("whole since" in source and _since(source) <= (f.money_at or 0) for source in f.dossier.delivery_sources)


def _since(source: str) -> int:
    text = source.rpartition("whole since ")[2].rstrip(")")
    at_ms = parse_iso_ms(text)
    return 2**62 if at_ms is None else at_ms


def may_be_older(f: Facts) -> bool:
    """Whether nobody is seen to have paid, and its own one-time address says that someone may have before."""
    return f.verdict is Verdict.UNPROVEN and not f.row["chain_blind"] and bool(what_lies(f.row))


def stray_elsewhere(f: Facts) -> bool:
    """Whether the nearest unexplained transfer is on another chain."""
    return bool(f.strays) and f.strays[0]["chain_id"] != f.row["chain_id"]


def maybe_paid(f: Facts) -> bool:
    """Whether money lies somewhere that may be meant for the payment."""
    return bool(f.strays or f.at_earlier_address)


def is_closed_unpaid(f: Facts) -> bool:
    """Whether the row was given up and no money came, which is as it should be."""
    return bool(f.row["status"] in ("failed", "cancelled") and not f.valid and f.is_incoming and f.verdict == "in_sync")


def is_doubtful(f: Facts) -> bool:
    """Whether a row in sync has another cause that says more: it was closed unpaid, or a transfer may be its payout."""
    return is_closed_unpaid(f) or bool(f.candidates)


def transfer_text(f: Facts, row: Mapping[str, Any]) -> str:
    """A transfer in words, with its place on the chain."""
    token = f.registry.tokens.get((row["chain_id"], row["token"] or ""))
    units = row["amount_units"]
    if units is None:
        amount = f"{row.get('amount_text')} base units"
    elif token is None:
        amount = f"{units} base units of {row['token']}"
    else:
        amount = f"{format_units(int(units), decimals=token.decimals)} {token.symbol}"
    moved = row.get("moved_units")
    if moved is not None and units is not None and moved < units:
        came = int(moved)
        said = f"{came} base units" if token is None else format_units(came, decimals=token.decimals)
        amount += f" stated, {said} came,"
    return f"{amount} to {row['recipient']} on chain {row['chain_id']} in {row['tx_hash']}:{row['log_index']}"


def _wrong_text(f: Facts) -> str:
    link = f.wrong[0]
    faults = [name for name in ("chain", "token", "recipient", "reference") if link[f"wrong_{name}"]]
    row = f.transfer(link)
    where = transfer_text(f, row) if row else f"{link['t_tx']}:{link['t_log']}"
    expected = (
        f"expected were {f.amount(f.row['expected_units'])} ({f.row['token']}) to {f.row['recipient']} "
        f"on chain {f.row['chain_id']}"
    )
    return f"wrong {' and '.join(faults) or 'in no field'}: {where}; {expected}"


def _provider_text(f: Facts) -> str:
    if f.claim is None:
        return f"{f.row['provider']} has no object for it"
    claim = f.claim
    paid = f", paid {f.amount(claim['paid_units'])}" if claim["paid_units"] is not None else ""
    balance = f", balance {claim['balance_fiat']} of {claim['amount_fiat']} {claim['fiat']}" if claim["fiat"] else ""
    source = f", detected by {claim['detection_source']}" if claim["detection_source"] else ""
    return f"{claim['provider']} says {claim['state_raw'] or claim['state']}{paid}{balance}{source}"


def _recorded_text(f: Facts) -> str:
    recorded = f.row["tx_hash"] or f.row["tx_hash_raw"]
    fates = {"x_reverted": "failed on the chain", "x_not_found": "is not on the chain", "x_pending": "is still pending",
             "x_failed": "could not be asked about", "x_success": "succeeded, and is not this payment's"}  # fmt: skip
    fate = next((text for name, text in fates.items() if f.row[name]), "")
    counted = count_text(f.row["confirmations"], "confirmation") if f.row["confirmations"] else ""
    was = f"; the row counts {counted} of it" if counted else ""
    return f"the row records {recorded}" + (f", which {fate}{was}" if fate else "")


def _deliveries(f: Facts, was: str = "", were: str = "") -> str:
    """How many deliveries there are, and the verb that goes with them."""
    return count_text(len(f.deliveries), f"delivery {was}".rstrip(), many=f"deliveries {were}".rstrip())


def _part_text(f: Facts) -> str:
    came, expected = int(f.row["received"] or 0), int(f.row["expected_units"] or 0)
    return (
        f"{f.amount(came)} of {f.amount(expected)} came in {count_text(f.row['valid_count'], 'transfer')}; short by "
        f"{f.amount(expected - came)}"
    )


def _seen_span_s(f: Facts) -> int | None:
    times = [link["t_time"] for link in f.valid if link["t_time"] is not None]
    return (max(times) - min(times)) // 1000 if len(times) > 1 else None


def _waiting_text(f: Facts) -> str:
    count, left = f.waiting or (0, 0)
    seen = f"{count} confirmation{'' if count == 1 else 's'}"
    if count >= f.minimum_confirmations and (f.payment["chain_id"] in chain_kinds()):
        return f"{seen} so far, which is deep enough, and it cannot be spent yet: its sender may have locked it"
    return (
        f"{seen} so far, {f.minimum_confirmations} are the backend's minimum and finality is not "
        f"reached; about {left // 60} min {left % 60} s left"
    )


def _sibling_text(f: Facts) -> str:
    row = (f.paid_siblings or f.siblings)[0]
    return (
        f"payment {row['payment_id']} of the same buyer, order and offer is {row['status']} "
        f"({row['provider']}, {row['request_id'] or row['external_id'] or 'no provider key'})"
    )


def _paid_text(f: Facts) -> str:
    proof = f", proven by {f.row['proof_tx']}" if f.row["proof_tx"] else ""
    return f"final and valid on chain: {f.amount(f.row['received_final'])}{proof}"


def _refund_text(f: Facts) -> str:
    hashes = dict.fromkeys(link["t_tx"] for link in f.judged.links if link["is_refund"] and link["t_final"])
    return f"{f.amount(f.row['back'])} of {f.amount(f.row['expected_units'])} went back in {', '.join(hashes)}"


def _has_twin(f: Facts) -> bool:
    return bool(f.twin_claims)


def _candidate_text(f: Facts) -> str:
    more = f", and {len(f.candidates) - 1} more" if len(f.candidates) > 1 else ""
    row = f.candidates[0]
    wallet = "the row's own wallet" if f.payment["sender"] else "a wallet that the row does not name"
    at = ms_text(row["block_time"])
    return f"candidate: from {wallet} {row['sender']} at {at}, {transfer_text(f, row)}{more}; no row records it"


VERDICT: Final = Sign(lambda f: True, lambda f: f.judged.finding.reason)
DISPUTED: Final = Sign(
    lambda f: bool(f.row["disputed"] or f.row["hold"]),
    lambda f: "the row is disputed" if f.row["disputed"] else "the row is on hold",
)
COVERED: Final = Sign(lambda f: f.is_covered, _paid_text)
MONEY_SEEN: Final = Sign(
    lambda f: bool(f.valid) and not f.is_covered,
    lambda f: f"{f.amount(f.row['received'])} seen on chain at {ms_text(f.money_at)}",
)
ROW_STATE: Final = Sign(
    lambda f: True,
    lambda f: f"the row is {f.row['status_raw'] or 'without status'}, escrowState {f.row['escrow_state'] or 'unset'}",
)
RECORDED: Final = Sign(lambda f: bool(f.row["tx_hash"] or f.row["tx_hash_raw"]), _recorded_text)
RECORDED_FATE: Final = RECORDED
VALID_ELSEWHERE: Final = Sign(
    lambda f: bool(f.valid), lambda f: f"the money came in {f.row['proof_tx'] or f.valid[0]['t_tx']} instead"
)
SIBLINGS: Final = Sign(lambda f: bool(f.siblings), _sibling_text)
TWIN_CLAIM: Final = Sign(
    _has_twin,
    lambda f: (
        f"{f.twin_claims[0]['provider']} has another request {f.twin_claims[0]['claim_id']} of the same "
        f"recipient, which is {f.twin_claims[0]['state_raw'] or f.twin_claims[0]['state']}"
    ),
)
AML: Final = Sign(lambda f: bool(f.row["aml_hold"]), lambda f: "the stored screening result says blocked")
WAITING: Final = Sign(lambda f: f.waiting is not None, _waiting_text)
NO_MONEY: Final = Sign(
    lambda f: not f.valid and bool(f.row["covered_by_scan"]),
    lambda f: "the chain was read without a gap since the payment was made and shows no money for it",
)
NO_PROXY_LOG: Final = Sign(lambda f: not f.valid, lambda f: "no fee proxy of its chain has logged its reference")
WRONG_MONEY: Final = Sign(lambda f: bool(f.wrong), _wrong_text)
NOT_AFRESH: Final = Sign(
    lambda f: not f.dossier.is_afresh,
    lambda f: (
        "a snapshot was looked at: money on another chain, past the proxy or at a forwarder is only asked for afresh "
        "(without --snapshot)"
    ),
    speaks_for=False,
)
WORTHLESS: Final = Sign(
    lambda f: any(f.transfer(link).get("token_known") is False for link in f.wrong),
    lambda f: (
        "a log with its reference moves a token that is none of those known, and is worth nothing: "
        + transfer_text(f, next(row for link in f.wrong if (row := f.transfer(link)).get("token_known") is False))
    ),
)
STRAY: Final = Sign(
    lambda f: bool(f.strays),
    lambda f: "money of this size reached its recipient without its reference: " + transfer_text(f, f.strays[0]),
)
AT_EARLIER: Final = Sign(
    lambda f: bool(f.at_earlier_address),
    lambda f: (
        f"money came to the address of this buyer's earlier payment {f.at_earlier_address[0][1]['payment_id']}, which "
        f"does not need it: {transfer_text(f, f.at_earlier_address[0][0])}"
    ),
)
CANDIDATE: Final = Sign(lambda f: bool(f.candidates), _candidate_text)
STRAY_AGAINST: Final = Sign(STRAY.holds, STRAY.says, speaks_for=False)
EARLIER_AGAINST: Final = Sign(AT_EARLIER.holds, AT_EARLIER.says, speaks_for=False)
AT_FORWARDER: Final = Sign(
    lambda f: bool(f.at_forwarder), lambda f: "at the forwarder: " + transfer_text(f, f.at_forwarder[0])
)
FORWARDER_MADE: Final = Sign(
    lambda f: any(row["recipient"] == made["address"] for row in f.at_forwarder for made in f.dossier.forwarders),
    lambda f: (
        "a forwarder factory made that address for this payment's reference, in " + f.dossier.forwarders[0]["tx_hash"]
    ),
)
REFERENCE: Final = Sign(lambda f: f.reference_story is not None, lambda f: str(f.reference_story))
PROVIDER_SAYS: Final = Sign(lambda f: f.claim is not None, _provider_text)
PROVIDER_DENIES: Final = Sign(lambda f: not f.provider_paid and bool(f.claims), _provider_text)
PROVIDER_MISSES: Final = Sign(lambda f: f.provider_misses_money, _provider_text)
LIES_THERE: Final = Sign(lambda f: bool(what_lies(f.row)), lambda f: what_lies(f.row))
MISDIRECTED: Final = Sign(
    lambda f: bool(f.row["misdirected"]),
    lambda f: wrong_destination(f.row).format(destination=f.row["recipient"], buyer=f.row["misdirected"]),
)
SAFETY: Final = Sign(lambda f: f.safety is not None, lambda f: f"the safety check waits on: {f.safety}")
SAFETY_UNMET: Final = Sign(
    lambda f: f.safety is not None and bool(f.unmet_checks),
    lambda f: "by the evidence as it is now, not satisfied: " + ", ".join(f.unmet_checks),
)
SAFETY_SATISFIED: Final = Sign(
    lambda f: f.safety is not None and f.is_covered and not f.row["aml_hold"],
    lambda f: "the evidence satisfies every check by now",
    speaks_for=False,
)
LISTED: Final = Sign(
    lambda f: bool(f.listed),
    lambda f: (
        f"the gateway lists {count_text(len(f.listed), 'confirmed transaction')} of {f.amount(f.listed_units)} and "
        f"credited {f.claim['balance_fiat'] if f.claim else 'nothing'}"
    ),
)
DROPPED: Final = Sign(
    lambda f: f.dropped_units > 0,
    lambda f: f"transaction {f.shared_tx} brought {f.amount(f.dropped_units)} more than the gateway lists of it",
)
CLOSE_TOGETHER: Final = Sign(
    lambda f: _seen_span_s(f) is not None, lambda f: f"its transfers came within {_seen_span_s(f)} s"
)
OTHER_CONTRACT: Final = Sign(
    lambda f: f.other_contract is not None, lambda f: f"the log is of proxy {f.other_contract}"
)
RECENT: Final = Sign(is_recent, lambda f: f"the money came at {ms_text(f.money_at)}, less than an hour ago")
NOT_RECENT: Final = Sign(
    lambda f: f.money_at is not None and not is_recent(f),
    lambda f: f"the money came at {ms_text(f.money_at)}; indexers are rarely an hour behind",
    speaks_for=False,
)
LATE: Final = Sign(
    came_late,
    lambda f: f"the money came at {ms_text(f.row['proof_time'])}, it expired at {ms_text(f.row['expires_at'])}",
)
SEVERAL: Final = Sign(
    lambda f: len(f.valid) > 1,
    lambda f: (
        f"{count_text(len(f.valid), 'valid transfer')}: " + ", ".join(f"{x['t_tx']}:{x['t_log']}" for x in f.valid[:5])
    ),
)
TOO_MUCH: Final = Sign(
    lambda f: int(f.row["received"] or 0) > int(f.row["expected_units"] or 0) > 0,
    lambda f: f"{f.amount(f.row['received'])} came, {f.amount(f.row['expected_units'])} were due",
)
OTHER_COIN: Final = Sign(
    lambda f: bool(f.row["other_coins"]),
    lambda f: beside(f.row, f.judged.links, registry=f.registry).strip(),
)
FEE_ONLY: Final = Sign(
    lambda f: f.is_gateway and 0 < int(f.row["received"] or 0) * 100 <= int(f.row["expected_units"] or 0) * 108,
    lambda f: "SHKeeper adds its fee to what the payer is asked for, so part of it may be the fee",
    speaks_for=False,
)
REFUNDED: Final = Sign(lambda f: bool(f.row["refund_count"]), _refund_text)
PART: Final = Sign(lambda f: bool(f.valid), _part_text)
EXPIRES: Final = Sign(
    lambda f: f.row["expires_at"] is not None,
    lambda f: f"it {'expired' if f.row['expired'] else 'expires'} at {ms_text(f.row['expires_at'])}",
)
DELIVERED_OK: Final = Sign(
    lambda f: f.was_accepted, lambda f: f"{_deliveries(f, 'was', 'were')} answered: {f.answered_text}"
)
DELIVERED_BAD: Final = Sign(
    lambda f: bool(f.deliveries) and not f.was_accepted,
    lambda f: f"{_deliveries(f)}, answered {f.answered_text}, the last at {ms_text(f.deliveries[-1]['received_at'])}",
)
SIGNATURE: Final = Sign(is_unverified, lambda f: "no delivery verified")
RETRIES: Final = Sign(
    lambda f: f.is_exhausted,
    lambda f: f"{count_text(f.tries or 0, 'try', many='tries')} after the first within 21 s, then the event is dropped",
)
KEYS_STORED: Final = Sign(
    lambda f: bool(f.payment["request_id"] or f.payment["external_id"]),
    lambda f: f"the row stores {f.payment['request_id'] or f.payment['external_id']} as its provider key",
)
NO_DELIVERY: Final = Sign(
    lambda f: f.deliveries_known and not f.deliveries,
    lambda f: "the delivery records hold nothing of its request, reference, external id or transactions",
)
RECORDS: Final = Sign(
    lambda f: bool(f.dossier.delivery_sources), lambda f: "looked at: " + ", ".join(f.dossier.delivery_sources)
)
NO_RECORDS: Final = Sign(lambda f: not f.deliveries_known, lambda f: "no delivery records were given", speaks_for=False)
GAPS: Final = Sign(
    lambda f: any(not row["complete"] for row in f.dossier.rows("coverage")),
    lambda f: "; ".join(
        f"{row['source']} {row['scope']}: {row['problem']}" for row in f.dossier.rows("coverage") if not row["complete"]
    )[:500],
)
