"""What to do next about a cause, as it fits the payment: its direction, its state, and whether a plan would change it.

Advice that does not fit costs money: a payout that is sent twice, dust that is "given back" to a poisoner, a buyer
who is asked about money that we were to send. Pure; each function takes the facts and gives the sentence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from recon.core.model import Change, Tier, Verdict
from recon.investigation.payment import signs as s
from recon.investigation.payment.facts import Facts
from recon.plans.beside import beside
from recon.plans.changes import Refusal, change_for

Advice = Callable[[Facts], str]

POISON_PERCENT: Final = 1
"""A transfer of less than this share of what is due is no attempt to pay it."""


def planned_change(f: Facts) -> Change | Refusal | None:
    """What a plan made of this evidence would do with the payment: change it, say why not, or nothing."""
    return change_for(f.judged.finding, f.row, document=f.dossier.document or None, policy=f.dossier.policy)


def correct(f: Facts, *, otherwise: str = "Have it decided by hand.") -> str:
    """How the row is put right, if a plan puts it right at all."""
    change = planned_change(f)
    if isinstance(change, Refusal):
        return f"No plan corrects it: {change.reason}."
    if change is None:
        return "There is nothing to correct in the row." if _is_settled(f) else f"No plan corrects it. {otherwise}"
    if change.tier is Tier.AUTO:
        return "Reconcile the payment: recon plan --id, review, apply. The chain proves it."
    return "Pick it in a plan: recon plan --id, recon select --payment, review, apply."


def _is_settled(f: Facts) -> bool:
    return f.is_complete and f.is_covered


def if_incoming(*, ours: str | Advice, outgoing: str | Advice) -> Advice:
    """One advice for money that was to come, another for money that was to go out."""
    return lambda f: said(ours if f.is_incoming else outgoing, f)


def then_correct(first: str) -> Advice:
    """A first step, and then the correction, if there is one."""
    return lambda f: f"{first} {correct(f)}"


def said(advice: str | Advice, f: Facts) -> str:
    """The sentence of an advice."""
    return advice if isinstance(advice, str) else advice(f)


def earlier_address(f: Facts) -> str:
    """Money at the address of another payment of the buyer: it is settled by people, and only once."""
    money, other = f.at_earlier_address[0]
    return (
        f"Do not ask the buyer to pay again. Ask whether {money['tx_hash']} was meant for this payment; nothing on the "
        f"chain says so. Then settle it by hand, here or as excess of {other['payment_id']}, not both."
    )


def replay(f: Facts) -> str:
    """A lost delivery: found and sent again, or the row corrected; only money that came is not asked for twice."""
    if not f.is_covered:
        return (
            "Find the captured delivery and read what it says; the chain shows no money that covers the payment, so "
            "nothing is credited from it."
        )
    if not isinstance(planned_change(f), Change):
        return f"Do not ask for a second payment. {correct(f)}"
    return (
        "Do not ask the buyer for a second payment. Find the captured delivery and replay it by delivery id; then see "
        "the payment move, or reconcile it: recon plan --id, review, apply."
    )


def is_worthless(f: Facts, row: Mapping[str, Any]) -> bool:
    """Whether a transfer is what any stranger can send to look like a payment: nothing, dust, or an unknown token."""
    if not row.get("token_known") or not row.get("amount_units"):
        return True
    return f.percent(row) < POISON_PERCENT


def _wrong_rows(f: Facts) -> list[Mapping[str, Any]]:
    return [row for link in f.wrong if (row := f.transfer(link))]


def astray(kept: str) -> Advice:
    """Money that is wrong in some way; what is worth nothing, and what we sent ourselves, is told apart."""

    def advise(f: Facts) -> str:
        rows = [*_wrong_rows(f), *f.strays]
        if not f.is_incoming:
            return "Send nothing again. Find out at the provider's payout task what left and to whom."
        if rows and all(is_worthless(f, row) for row in rows):
            return "Leave it: what came is worth next to nothing, and any stranger can send it. Give nothing back."
        return kept

    return advise


def _may_be_it(f: Facts) -> str | None:
    """What lies on the chain and may be a payout that nothing proves; None where nothing does."""
    for row in (*f.strays, *_wrong_rows(f)):
        if not is_worthless(f, row):
            return s.transfer_text(f, row)
    if f.row["tx_hash"] and not f.row["x_not_found"] and not f.row["x_reverted"]:
        return f"the recorded transaction {f.row['tx_hash']}"
    return None


def release_again(f: Facts) -> str:
    """A payout without proof: sent again only when nothing that could be it lies on the chain, and all was asked."""
    if f.valid:
        return "Do not send it again: its money is on the chain and not final yet. Wait and inspect again."
    if (candidate := _may_be_it(f)) is not None:
        return f"Do not send it again: {candidate} may be it. Compare it with the payout task at the provider first."
    if f.provider_paid:
        return "Do not send it again: the provider says that it went out. Ask it for the transaction."
    if f.has(Verdict.LOOKUP_FAILED, Verdict.UNPROVEN) or any(not row["complete"] for row in f.dossier.rows("coverage")):
        return "Send nothing again before every source has answered: inspect it again then."
    return (
        "Check the payout task at the provider. If it failed, re-issue the instruction there; this tool sends nothing."
    )


def too_much(f: Facts) -> str:
    """More came or left than was due."""
    if not f.is_incoming:
        return "Stop further payouts of it. Find out at the provider why more left than was owed, and ask for it back."
    first = "" if f.is_complete else f"{correct(f)} "
    further = sorted(f.valid, key=lambda link: link["t_time"] or 0)[1:]
    rows = [f.transfer(link) for link in further]
    if rows and all(is_worthless(f, row) for row in rows):
        return f"{first}Leave the rest: it is next to nothing, and any stranger can send it. Give nothing back."
    return f"{first}The excess is a review item of its own: agree with the buyer what becomes of it.".strip()


def part(f: Facts) -> str:
    """Less came or left than was due."""
    if not f.is_incoming:
        said = beside(f.row, f.judged.links, registry=f.registry)
        return (
            f"Send nothing again.{said} Find out at the provider's payout task why less left, and what is still owed."
        )
    rows = [f.transfer(link) for link in f.valid]
    if rows and all(is_worthless(f, row) for row in rows):
        return "Leave it: what came is next to nothing, and any stranger can send it. Treat the payment as unpaid."
    if said := beside(f.row, f.judged.links, registry=f.registry):
        return f"Ask the buyer for nothing yet.{said} Settle that first."
    if f.row["expired"] or not f.is_open:
        return "It has expired or is closed: agree with the buyer on the rest or a refund."
    return "Until it expires wait for the rest; then agree with the buyer on the rest or a refund."


def late(f: Facts) -> str:
    """Money that came after the time."""
    if not isinstance(planned_change(f), Change):
        return f"{correct(f)} Whether the order still stands is for its owner to decide."
    return f"Decide whether the order still stands; if it does: {correct(f)} If not, agree with the buyer on a refund."


def refund(f: Facts) -> str:
    """Row and evidence disagree about a refund."""
    if f.row["refunds_elsewhere"]:
        return (
            "Give nothing back before you compared the refund rows of the deal: money went back in another token or on "
            "another chain."
        )
    return (
        f"Compare with the refund instruction. {correct(f, otherwise='The refund itself is not proven on the chain.')}"
    )


def unrecorded_release(f: Facts) -> str:
    """A payout that is on the chain and not in the row."""
    return f"Do not send the payout again. {correct(f, otherwise='Have the row put right by its owner.')}"


def word_alone(f: Facts) -> str:
    """What the provider alone says."""
    if f.is_incoming:
        return "Do not credit on the provider's word; ask who marked it paid."
    return "Do not take it as sent on the provider's word, and do not send it again: ask the provider how it knows."


def recorded_hash(f: Facts) -> str:
    """A recorded transaction that proves nothing."""
    if f.is_covered:
        return correct(f)
    if not f.is_incoming:
        return (
            "Do not send it again before the payout task at the provider says that it failed; ask there for the "
            "transaction that replaced it."
        )
    if f.row["x_elsewhere"]:
        return (
            "It is a transaction of another chain: ask the buyer or the bridge for the one that delivers on the "
            "payment's own chain. Give nothing back meanwhile, or the money may be paid twice."
        )
    return "Ask the buyer for the transaction that replaced it, and run recon inspect --verify-proof on it."


def wrong_side(f: Facts) -> str:
    """Money of ours that lies at the wrong side of its deal: it is not sent twice, and nothing else leaves."""
    held = "Send nothing again, and release nothing more of this deal."
    if f.row["direction"] == "refund":
        return (
            f"{held} Compare the refund instruction with {f.row['misdirected']}, from which the deal was paid: keep "
            "the order to refund to another address with the payment, if there is one; else its owner decides."
        )
    return (
        f"{held} Compare the payout instruction with the seller's address on record, and have the deal's owner settle "
        "it with both sides before the seller is paid."
    )


def bridged(f: Facts) -> str:
    """A bridge paid, as the provider says: what it delivered is looked at, and the word alone credits nothing."""
    if named := " and ".join((f.row["claim_hashes"] or "").split()):
        return (
            f"Look at what {named} delivered to the recipient, on the chain that the provider names; complete by hand "
            "if all of it came, and never on the provider's word."
        )
    return (
        "Ask the provider for the transaction by which the bridge delivered, and look at what came to the recipient; "
        "complete by hand if all of it came, and never on the provider's word."
    )


TWINS: Final = if_incoming(
    ours="Find out which of the two the buyer meant; credit one, refund the other by hand.",
    outgoing="Send neither again. Find out at the provider which of the two was meant, and stop the other.",
)
SHARED: Final = if_incoming(
    ours="Freeze release of all payments that share it; decide by the buyer's proof which one it is.",
    outgoing="Send none of them again; decide by the provider's payout task which one it is.",
)
PAID_OUT: Final = (
    "Release nothing and replay nothing: either could pay the seller twice. Have the owner of the row bring it to "
    "where the deal stands."
)
GOING_OUT: Final = (
    "Release nothing and replay nothing before it is known what the named row did: its money may be this payment's. "
    "Have its owner settle that row first."
)
SENT_OTHERWISE: Final = (
    "Do not send the payout again: this transfer may be it. Compare it with the payout task at the provider and with "
    "the wallet's transactions; if it is, have its hash stored by the row's owner."
)
WRONG_CHAIN: Final = astray("Operator review: never credit. Agree with the buyer on a refund on the chain it is on.")
WRONG_TOKEN: Final = astray("Operator review: never credit a token that was not asked for.")
WRONG_RECIPIENT: Final = astray(
    "Operator review: keep it pending. If the address is none of ours, the money is not ours."
)
WRONG_REFERENCE: Final = astray(
    "Operator review. If the explained part shows that the money was meant for this payment, correct the stored "
    "reference first; the credit follows from it."
)
OLDER: Final = (
    "Do not ask the buyer to pay again. Find out when the row was really made, for an import gives rows new dates, and "
    "what came to its address since then; have it settled by hand."
)
LAGGING: Final = then_correct("Wait an hour and ask the provider again; the chain's proof stands by itself.")
READ_RECORDS: Final = then_correct(
    "Name the delivery records with --deliveries, or read the access log: recon triage access-log."
)


def errors_then_replay(f: Facts) -> str:
    """The backend failed on the delivery."""
    return f"See the backend's errors of that minute. {replay(f)}"


def ids_then_replay(f: Facts) -> str:
    """The backend found no payment to the delivery."""
    return f"A correlation or configuration bug: compare the delivered ids with the stored ones. {replay(f)}"
