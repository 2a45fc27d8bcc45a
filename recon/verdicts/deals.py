"""What the rows of one deal say together: the same buyer, order and offer, in every direction. Pure and columnar.

A deal is one thing. Its sums decide: how much came in, how much went to the seller, how much went back. A worked
example, a pay-in of 100 USDC that is marked refunded, with two refund rows of the same deal::

    refunds   r1  40 USDC back in 0xc1.. (block 7)     r2  60 USDC back in 0xb2.. (block 9)
    marks     back 100  refund_count 2  all_back 2  refund_tx 0xb2.. (it completes the sum)

and with ``r1`` alone: back 40, all_back 0, no ``refund_tx``. Names with ``d_`` are a deal's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import narwhals as nw

from recon.core.model import COMPLETE
from recon.sources.providers.installed import rails_without_money
from recon.verdicts.engine import Engine
from recon.verdicts.links import DEPOSIT_KINDS, LINK, ONE, Frame, completing_links, is_among, is_true, one_if

DEAL: Final = ("buyer_id", "order_id", "offer_id")
"""What the rows of one deal share; a row that lacks one of them belongs to no deal."""

OF_ORDER: Final = ("order_id", "offer_id")
"""What names a deal well enough for a warning, with :func:`may_be_one_deal`."""

_OF_DEAL: Final = (
    "payment_id", "direction", "status", "escrow_state", "paid", "chain_id", "token", "tx_hash", "covered_from_units",
    "overpaid_from_units", "in_window", "is_unread", "topic", "claim_key",
)  # fmt: skip


def deals_of(payments: Frame, tables: Mapping[str, Frame], *, money: Frame, engine: Engine) -> Frame | None:
    """Payments whose buyer, order and offer another payment has too, with what came for each; None without any.

    They are few, so the three ids need not be carried through the matching. ``has_money`` says that money moved by
    this row; ``moved`` is how much, by the row's own word where nobody was asked about its money.
    """
    named = [tables[name].select("payment_id", *DEAL) for name in ("payments", "context")]
    whole = nw.concat(named, how="vertical")
    for column in DEAL:
        whole = whole.filter(~nw.col(column).is_null())
    shared = (
        whole.with_columns(one=ONE).group_by(*DEAL).agg(nw.col("one").sum()).filter(nw.col("one") > 1).select(*DEAL)
    )
    crowded = engine.keep_any(whole.join(shared, on=list(DEAL), how="inner"))
    if crowded is None:
        return None
    by_hash = nw.col("mode") == "hash"
    is_read = (by_hash & nw.col("chain_is_read")) | (~by_hash & nw.col("covered_by_scan"))
    moves_none = is_among(nw.col("provider"), rails_without_money())
    known = payments.filter(~nw.col("is_test") & ~moves_none).with_columns(is_unread=~is_read).select(*_OF_DEAL)
    seen = money.select(
        "payment_id", "seen_any", "covered_by_chain", "proof_tx", "proof_log", "valid_count", "received"
    )
    found = crowded.join(known, on="payment_id", how="inner").join(seen, on="payment_id", how="inner")
    status = nw.col("status").fill_null("")
    # Nobody was asked about the money of a row outside the window, so there its own word counts.
    said = ~nw.col("in_window") & status.is_in(list(COMPLETE))
    paid = is_true(nw.col("seen_any")) | is_true(nw.col("paid") > 0) | said
    moved = nw.when(is_true(nw.col("seen_any"))).then(nw.col("received")).otherwise(nw.col("covered_from_units"))
    return engine.keep_any(
        found.with_columns(
            status=status,
            escrow=nw.col("escrow_state").fill_null(""),
            has_money=paid,
            moved=moved,
            is_refunded=(status == "refunded") | is_true(nw.col("escrow_state") == "refunded"),
        )
    )


def crowded_rows(deals: Frame, *, sums: Frame | None) -> Frame:
    """Rows of one direction by which more moved than was owed, and how many they are (``moneyed_rows``).

    A pay-in of which all went back, by what is no other's refund, holds nothing any more, and the rows of one request
    or invoice hold its money once. What is owed in is the largest amount of one row, and two rows that each have all of
    theirs are too many. What is owed out is what came in, where that is known in the same token, else the largest
    amount of one row: partial refunds and payouts add up. Sums of several tokens, or of amounts nobody knows, cannot be
    compared, so there two rows with money are always too many. A single refund is one too many where it gave back more
    than came.

    Args:
        sums: What :func:`refund_sums` gives, where anything went back.
    """
    is_out = nw.col("direction") != "in"
    moneyed = deals.filter(nw.col("has_money") & (is_out | (nw.col("status") != "refunded"))).with_columns(
        one=ONE,
        unknown=one_if(nw.col("moved").is_null()),
        whole=one_if(~is_out & is_true(nw.col("covered_by_chain"))),
        kind=_kind(),
    )
    if sums is not None:
        empty = deals.filter(nw.col("direction") == "in").join(
            sums.filter(nw.col("all_back") > 1), on="payment_id", how="semi"
        )
        moneyed = moneyed.join(empty.select("payment_id"), on="payment_id", how="anti")
    crowds = (
        _once_by_object(moneyed)
        .group_by(*DEAL, "direction")
        .agg(
            nw.col("one").sum().alias("moneyed_rows"),
            nw.col("unknown").sum(),
            nw.col("whole").sum(),
            nw.col("moved").sum().alias("d_moved"),
            nw.col("overpaid_from_units").max().alias("d_too_much"),
            nw.col("kind").min().alias("d_kind"),
            nw.col("kind").max().alias("d_other_kind"),
        )
        .filter((nw.col("moneyed_rows") > 1) | (nw.col("direction") == "refund"))
        .join(_came_in(deals), on=[*DEAL, "d_kind"], how="left")
    )
    alike = is_true(nw.col("d_kind") == nw.col("d_other_kind")) & (nw.col("unknown") == 0) & (nw.col("whole") < 2)
    owed = is_out & is_true(nw.col("d_came") > 0)
    within = nw.when(owed).then(nw.col("d_moved") <= nw.col("d_came")).otherwise(
        nw.col("d_moved") < nw.col("d_too_much")
    )  # fmt: skip
    # One refund of its own is too much where more went back than came; of a payout that may be in rows nobody has read.
    several = (nw.col("moneyed_rows") > 1) | (alike & owed)
    too_many = crowds.filter(~(alike & is_true(within)) & several).select(*DEAL, "direction", "moneyed_rows")
    return moneyed.select("payment_id", *DEAL, "direction").join(too_many, on=[*DEAL, "direction"], how="inner").select(
        "payment_id", "moneyed_rows"
    )  # fmt: skip


def _once_by_object(moneyed: Frame) -> Frame:
    """Rows of deals, the first of several pay-ins by one reference or of one provider's object.

    Of several rows of money going out that record one transaction it is the first, too: it moved once. Rows that each
    have a transfer of their own in it, as in a batch, count each.
    """
    named = nw.coalesce("topic", "claim_key", "payment_id")
    in_batch = (
        (nw.col("direction") != "in")
        & is_true(nw.col("valid_count") == 1)
        & is_true(nw.col("proof_tx") == nw.col("tx_hash"))
    )
    own_log = nw.concat_str([nw.col("tx_hash"), nw.col("proof_log").cast(nw.String)], separator=":")
    out = nw.when(in_batch).then(own_log).otherwise(nw.coalesce("tx_hash", "payment_id"))
    told = moneyed.with_columns(
        object=nw.when(nw.col("direction") == "in").then(named).otherwise(out),
        first_id=nw.col("payment_id"),
        in_batch=in_batch,
    )
    place = [*DEAL, "direction", "tx_hash"]
    known = told.filter(nw.col("in_batch")).select(*place).unique().with_columns(is_known=ONE)
    told = told.join(known, on=place, how="left").filter(nw.col("in_batch") | nw.col("is_known").is_null())
    by = [*DEAL, "direction", "object"]
    return told.join(told.group_by(*by).agg(nw.col("first_id").min()), on=[*by, "first_id"], how="semi")


def shared_pay_ins(deals: Frame) -> Frame:
    """Pay-ins without all of their money, beside which another of the deal has some: what came on all of them.

    Gives ``deal_came``, ``deal_whole`` (1 where it is enough for this row) and ``paid_beside``, another with money.
    """
    incoming = (nw.col("direction") == "in") & is_true(nw.col("seen_any")) & ~nw.col("is_refunded")
    seen = deals.filter(incoming).with_columns(kind=_kind(), one=ONE)
    sums = (
        seen.group_by(*DEAL, "kind")
        .agg(
            nw.col("one").sum().alias("rows"),
            nw.col("moved").sum().alias("deal_came"),
            nw.col("payment_id").min().alias("first_id"),
            nw.col("payment_id").max().alias("last_id"),
        )
        .filter(nw.col("rows") > 1)
    )
    other = nw.when(nw.col("first_id") == nw.col("payment_id")).then(nw.col("last_id")).otherwise(nw.col("first_id"))
    short = seen.filter(~is_true(nw.col("covered_by_chain"))).select("payment_id", *DEAL, "kind", "covered_from_units")
    return short.join(sums, on=[*DEAL, "kind"], how="inner").select(
        "payment_id",
        "deal_came",
        deal_whole=one_if(nw.col("deal_came") >= nw.col("covered_from_units")),
        paid_beside=other,
    )


def _kind() -> nw.Expr:
    """The chain and token that an amount is of, as one text."""
    token = nw.col("token").fill_null("")
    return nw.concat_str([nw.col("chain_id").fill_null(0).cast(nw.String), token], separator=":")


def _came_in(deals: Frame) -> Frame:
    """What came in for a deal, by chain and token: what was seen, or what a row says that was complete once.

    Where a part may lie unread it is all that may have come: nothing is called too much for want of sight.
    """
    once = nw.col("has_money") | nw.col("is_refunded") | nw.col("status").is_in(list(COMPLETE))
    more = nw.col("is_unread") & ~is_true(nw.col("covered_by_chain"))
    asked = more & is_true(nw.col("overpaid_from_units") > nw.col("moved"))
    return (
        deals.filter((nw.col("direction") == "in") & once)
        .with_columns(
            d_kind=_kind(), moved=nw.when(asked).then(nw.col("overpaid_from_units")).otherwise(nw.col("moved"))
        )
        .group_by(*DEAL, "d_kind")
        .agg(nw.col("moved").sum().alias("d_came"))
    )


def may_be_one_deal(row: Mapping[str, object], other: Mapping[str, object]) -> bool:
    """Whether two rows of payments share the order or the offer and differ in neither: two offers are two deals."""
    shared = [row[name] for name in OF_ORDER if row[name] and row[name] == other[name]]
    return bool(shared) and all(row[name] in (other[name], None) or other[name] is None for name in OF_ORDER)


def going_out(
    payments: Frame, tables: Mapping[str, Frame], *, deals: Frame | None, money: Frame, engine: Engine
) -> Frame | None:
    """Pay-ins of whose money a row may be sending some away, that no sum of a deal knows: ``going_out_by`` names it.

    Such a row is a payout or a refund that names the deal loosely (it shares the order or the offer, and the other of
    the two does not contradict; the buyer may be missing or differ), one whose direction is a word that nobody knows,
    or a refund of the deal that is not given up and that no chain shows. None without such rows.
    """
    named = nw.concat([tables[name].select("payment_id", *OF_ORDER) for name in ("payments", "context")])
    unseen = money.filter(~nw.col("covered_by_chain")).select("payment_id")
    given_up = is_true(nw.col("status").is_in(["failed", "cancelled"])) & nw.col("tx_hash").is_null()
    moving = payments.filter(~nw.col("is_test") & (nw.col("direction") != "in") & ~given_up).select(
        "payment_id", "direction", who=_who(nw.col("tx_hash"))
    )
    loose = moving
    if deals is not None:
        # Rows whose direction is unknown belong to deals like all others, and yet to no sum.
        summed = deals.filter(nw.col("direction").is_in(["in", "out", "refund"])).select("payment_id").unique()
        loose = moving.join(summed, on="payment_id", how="anti")
    refunds = moving.filter(nw.col("direction") == "refund").join(unseen, on="payment_id", how="inner")
    every = nw.concat([loose, refunds], how="vertical").join(named, on="payment_id", how="inner")
    going = engine.keep_any(every.select("who", *[nw.col(name).alias(f"d_{name}") for name in OF_ORDER]))
    if going is None:
        return None
    pay_ins = payments.filter((nw.col("direction") == "in") & ~nw.col("is_test")).select("payment_id")
    found = []
    for own, other in (OF_ORDER, OF_ORDER[::-1]):
        pairs = named.filter(~nw.col(own).is_null()).join(
            going.filter(~nw.col(f"d_{own}").is_null()), left_on=own, right_on=f"d_{own}", how="inner"
        )
        agrees = (nw.col(other) == nw.col(f"d_{other}")).fill_null(value=True)
        found.append(pairs.filter(agrees).select("payment_id", "who"))
    told = nw.concat(found, how="vertical").join(pay_ins, on="payment_id", how="semi")
    return told.group_by("payment_id").agg(nw.col("who").max().alias("going_out_by"))


def loose_refunds(tables: Mapping[str, Frame], *, engine: Engine) -> Frame | None:
    """Refund rows that name neither order nor offer, so that no deal knows them (``payment_id``); None without any."""
    rows = nw.concat([tables[name].select("payment_id", "direction", *OF_ORDER) for name in ("payments", "context")])
    bare = nw.col("order_id").is_null() & nw.col("offer_id").is_null()
    return engine.keep_any(rows.filter(is_true(nw.col("direction") == "refund") & bare).select("payment_id"))


def _who(hash_of: nw.Expr) -> nw.Expr:
    """A payment by its id, with the transaction it names."""
    named = nw.concat_str([nw.lit("payment "), nw.col("payment_id"), nw.lit(" ("), hash_of, nw.lit(")")])
    bare = nw.concat_str([nw.lit("payment "), nw.col("payment_id")])
    return nw.when(hash_of.is_null()).then(bare).otherwise(named)


def paid_sellers(deals: Frame) -> Frame:
    """Pay-ins of deals whose seller was paid, or is being paid, by another row: who says so, with its hash.

    ``paid_out_by`` names a payout that went out by its row or by the chain; ``paying_out_by`` one that may have: it is
    under way, or it was given up and yet names a transaction.
    """
    who = _who(nw.coalesce("proof_tx", "tx_hash"))
    done = nw.col("has_money") | (nw.col("escrow") == "released") | nw.col("status").is_in(list(COMPLETE))
    given_up = nw.col("status").is_in(["failed", "cancelled"]) & nw.col("tx_hash").is_null()
    proven = is_true(nw.col("covered_by_chain"))
    out = deals.filter(nw.col("direction") == "out").with_columns(
        by_proof=nw.when(proven).then(who),
        by_word=nw.when(done).then(who),
        under_way=nw.when(~given_up).then(who),
    )
    payouts = out.group_by(*DEAL).agg(nw.col("by_proof").max(), nw.col("by_word").max(), nw.col("under_way").max())
    return (
        deals.filter(nw.col("direction") == "in")
        .select("payment_id", *DEAL)
        .join(payouts, on=list(DEAL), how="inner")
        .select("payment_id", paid_out_by=nw.coalesce("by_proof", "by_word"), paying_out_by=nw.col("under_way"))
    )


def release_hashes(deals: Frame) -> Frame:
    """Pay-ins that are released, each with every transaction that proves a payout of its deal (``named``)."""
    out = deals.filter((nw.col("direction") == "out") & is_true(nw.col("covered_by_chain")))
    proofs = out.filter(~nw.col("proof_tx").is_null()).select(*DEAL, named=nw.col("proof_tx"))
    held = deals.filter((nw.col("direction") == "in") & nw.col("escrow").is_in(["releasing", "released"]))
    return (
        held.select("payment_id", *DEAL).join(proofs, on=list(DEAL), how="inner").select("payment_id", "named").unique()
    )


def refund_links(deals: Frame, direct: Frame, *, engine: Engine) -> tuple[Frame | None, Frame | None]:
    """Refunds of payments by refund rows of their deals, as links, and what else is known of those rows.

    The transfers of a refund row are refunds of the pay-ins of its deal that say they were refunded, and of all with
    money where none says so; what went back before the money of a pay-in came is not of it. The second frame counts,
    per payment, the refund rows with money (``refund_rows``), those in another token or on another chain
    (``refunds_elsewhere``), and those whose chain could not be asked (``refunds_unread``). Both are None where no deal
    has a refund row.
    """
    pairs = engine.keep_any(_with_refund_rows(deals))
    if pairs is None:
        return None, None
    valid = direct.filter(nw.col("is_valid"))
    first = valid.group_by("payment_id").agg(nw.col("t_time").min().alias("first_time"))
    gone = valid.filter(nw.col("t_final")).rename({"payment_id": "refund_id"})
    given = (
        gone.join(pairs, on="refund_id", how="inner")
        .join(first, on="payment_id", how="left")
        .filter(nw.col("first_time").is_null() | is_true(nw.col("t_time") >= nw.col("first_time")))
    )
    of_pair = ["payment_id", "refund_id"]
    gives = given.select(*of_pair, gives=ONE).unique(subset=of_pair, keep="any")
    counted = pairs.join(gives, on=of_pair, how="left").with_columns(
        refund_rows=nw.col("gives").fill_null(0),
        refunds_elsewhere=nw.when(nw.col("is_alike")).then(nw.lit(0)).otherwise(nw.col("gives").fill_null(0)),
        refunds_unread=one_if(nw.col("gives").is_null() & nw.col("may_give")),
    )
    names = ("refund_rows", "refunds_elsewhere", "refunds_unread")
    marks = counted.group_by("payment_id").agg(*[nw.col(name).sum() for name in names])
    links = given.filter(nw.col("is_alike"))
    nothing = nw.lit(value=False)
    told = links.with_columns(
        is_refund=nw.lit(value=True),
        own_hash=nothing,
        is_spam=nothing,
        wrong_chain=nothing,
        wrong_token=nothing,
        wrong_recipient=nothing,
        wrong_reference=nothing,
        is_valid=nothing,
    ).select(*LINK)
    return _once(told, direct.filter(nw.col("is_refund"))), marks


def _with_refund_rows(deals: Frame) -> Frame:
    """Every pay-in with each refund row of its deal that may be about it."""
    incoming = deals.filter(nw.col("direction") == "in").select(
        "payment_id", *DEAL, "is_refunded", d_chain=nw.col("chain_id"), d_token=nw.col("token"),
        is_moneyed=nw.col("has_money") | nw.col("status").is_in(list(COMPLETE)),
    )  # fmt: skip
    said = incoming.filter(nw.col("is_refunded")).select(*DEAL).unique()
    others = incoming.filter(~nw.col("is_refunded") & nw.col("is_moneyed")).join(said, on=list(DEAL), how="anti")
    targets = nw.concat([incoming.filter(nw.col("is_refunded")), others], how="vertical").drop(
        "is_refunded", "is_moneyed"
    )
    given_up = nw.col("status").is_in(["failed", "cancelled"]) & nw.col("tx_hash").is_null()
    refunds = deals.filter(nw.col("direction") == "refund").select(
        *DEAL, "chain_id", "token", refund_id=nw.col("payment_id"), may_give=nw.col("is_unread") & ~given_up
    )
    same = is_true(nw.col("chain_id") == nw.col("d_chain")) & is_true(nw.col("token") == nw.col("d_token"))
    pairs = targets.join(refunds, on=list(DEAL), how="inner")
    return pairs.select("payment_id", "refund_id", "may_give", is_alike=same)


def _once(told: Frame, own: Frame) -> Frame:
    """Links without those for which another of the payment stands: the same log, or a proxy's beside a plain one."""
    log = ["payment_id", "t_chain", "t_tx", "t_log"]
    both = nw.concat([told.select(*LINK), own.select(*LINK)], how="vertical").filter(nw.col("t_kind") != DEPOSIT_KINDS)
    proxied = both.select("payment_id", "t_chain", "t_tx").unique()
    plain = told.filter(nw.col("t_kind") == DEPOSIT_KINDS).join(
        proxied, on=["payment_id", "t_chain", "t_tx"], how="anti"
    )
    rest = nw.concat([told.filter(nw.col("t_kind") != DEPOSIT_KINDS), plain], how="vertical")
    return rest.join(own.select(*log), on=log, how="anti").unique(subset=log, keep="any")


def refund_sums(payments: Frame, links: Frame, *, money: Frame, engine: Engine) -> Frame | None:
    """How much of a pay-in went back: ``back``, ``refund_count``, ``all_back``, and the hash that completes the sum.

    ``all_back`` is 2 where all of it went back by transfers that are nobody else's refund, 1 where some may be.

    Owed back is what the payment is covered from, or what came where that is less, unless a contract held the rest; and
    what came beyond the amount, for that is nobody's but the buyer's. Where no more than that surplus went back the
    payment is whole (``surplus_back``): of 100 that were paid twice, 100 went back, and 100 are kept. None where
    nothing went back.

    Args:
        payments: With ``m_indirect`` where an official contract logged money that did not come to the recipient by it.
    """
    final = engine.keep_any(links.filter(nw.col("is_refund") & nw.col("t_final")))
    if final is None:
        return None
    log = ["t_chain", "t_tx", "t_log"]
    of_whom = final.select("payment_id", *log, one=ONE).unique().group_by(*log).agg(nw.col("one").sum().alias("of"))
    sums = (
        final.join(of_whom, on=log, how="inner")
        .with_columns(one=ONE, shared=one_if(nw.col("of") > 1))
        .group_by("payment_id")
        .agg(
            nw.col("one").sum().alias("refund_count"),
            nw.col("t_amount").sum().alias("back"),
            nw.col("shared").sum().alias("shared_back"),
        )
    )
    came, due, too_much = nw.col("received_final"), nw.col("covered_from_units"), nw.col("overpaid_from_units")
    less = is_true(came > 0) & is_true(came < due)
    in_hand = nw.col("m_indirect").is_null()
    owed = (
        payments.filter(nw.col("direction") == "in")
        .select("payment_id", "covered_from_units", "overpaid_from_units", "m_indirect")
        .join(money.select("payment_id", "received_final"), on="payment_id", how="inner")
        .with_columns(owed_back=nw.when(less & in_hand).then(came).otherwise(due), is_more=is_true(came >= too_much))
    )
    told = engine.keep_any(sums.join(owed, on="payment_id", how="inner"))
    if told is None:
        return None
    more = told.filter(nw.col("is_more"))
    # Back is due + came - too_much; what must not be subtracted stands on the other side, before the first refund.
    goals = nw.concat(
        [told.filter(~nw.col("is_more")).select("payment_id", goal=nw.col("owed_back")),
         _added(more, "covered_from_units", "received_final", name="goal")], how="vertical",
    )  # fmt: skip
    nowhere = nw.lit(-1).cast(nw.Int64)
    before = more.select("payment_id", t_block=nowhere, t_log=nowhere, t_tx=nw.lit(""), t_amount=too_much)
    after = final.select("payment_id", "t_block", "t_log", "t_tx", "t_amount")
    whole = completing_links(nw.concat([before, after], how="vertical"), goals, carried=("t_tx",))
    kept = (
        more.select("payment_id", "received_final")
        .join(_added(more, "back", "covered_from_units", name="least"), on="payment_id", how="inner")
        .join(_added(more, "back", "overpaid_from_units", name="most"), on="payment_id", how="inner")
        .filter(is_true(came >= nw.col("least")) & is_true(came < nw.col("most")))
        .select("payment_id", surplus_back=ONE)
    )
    found = (
        told.join(whole.select("payment_id", refund_tx=nw.col("t_tx")), on="payment_id", how="left")
        .join(kept, on="payment_id", how="left")
        .select(
            "payment_id", "refund_count", "back", "refund_tx",
            surplus_back=nw.col("surplus_back").fill_null(0),
            all_back=one_if(~nw.col("refund_tx").is_null())
            + one_if(~nw.col("refund_tx").is_null() & (nw.col("shared_back") == 0)),
        )
    )  # fmt: skip
    return engine.keep_any(found)


def _added(rows: Frame, *names: str, name: str) -> Frame:
    """Amounts of each row added up: no engine adds two columns like another, and all sum alike."""
    parts = [rows.select("payment_id", units=nw.col(each)) for each in names]
    return nw.concat(parts, how="vertical").group_by("payment_id").agg(nw.col("units").sum().alias(name))
