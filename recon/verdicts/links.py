"""Which transfers can belong to which payment, and what is right and wrong about each pair. Pure and columnar.

How a payment is found (``mode``) decides: by *reference*, the proxy logs whose topic is the hash of its reference; by
one-time *deposit* address, the ERC-20 transfers to it since the payment was made; by the *hash* that the row or the
provider names, for money going out and for what looks like money that went astray.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

import narwhals as nw

from recon.core.model import SETTLED, Policy
from recon.sources.providers.installed import rails_by_external_id

if TYPE_CHECKING:
    pass

Frame = nw.LazyFrame[Any]

ONE: Final = nw.lit(1).cast(nw.Int64)
"""What rows are counted by: no engine counts like another, and all sum alike."""

PLACEHOLDER: Final = "0x" + "0" * 64
"""No transaction has this hash: backends write zeros before they know one."""

DEPOSIT_KINDS: Final = "erc20"
PAYING_EMITTER: Final = "fee_proxy"
INDIRECT_EMITTERS: Final = ("conversion_proxy", "escrow", "receivable")
"""Official contracts whose events do not say by themselves that the units came to the recipient."""

LINK: Final = (
    "payment_id", "t_chain", "t_tx", "t_log", "t_kind", "t_block", "t_time", "t_final", "t_amount", "t_fee_recipient",
    "is_valid", "is_refund", "wrong_chain", "wrong_token", "wrong_recipient", "wrong_reference", "is_spam", "own_hash",
    "t_stated", "t_unread", "t_dust", "is_indirect",
)  # fmt: skip
_SHOWN_ONLY: Final = ("t_recipient", "t_token", "t_topic", "t_block_hash", "t_symbol", "t_decimals", "t_sender")
_SHOWN: Final = {
    "t_chain": "chain_id", "t_tx": "tx_hash", "t_log": "log_index", "t_kind": "kind", "t_recipient": "recipient",
    "t_token": "token", "t_topic": "reference_topic", "t_block_hash": "block_hash",
    "t_symbol": "token_symbol", "t_decimals": "token_decimals", "t_sender": "sender",
}  # fmt: skip
"""What only a person or a change needs of a linked transfer; fetched by :func:`shown_links` for few of them."""
_TRANSFER: Final = (
    "chain_id", "tx_hash", "log_index", "block", "block_time", "final", "amount_units", "recipient", "fee_units",
    "fee_recipient", "token", "token_known", "kind", "reference_topic", "moved_units", "stated_only",
)  # fmt: skip
_OWN: Final = (
    "payment_id", "direction", "mode", "topic", "chain_id", "token", "recipient", "sender", "tx_hash", "created_at",
)  # fmt: skip


def claim_key(*, paid_out: nw.Expr) -> nw.Expr:
    """What names a provider's object in payments and claims alike, or null where the row has no key of it.

    Args:
        paid_out: Whether it is an object of money going out; a payout may have the key of an invoice.
    """
    known = (
        nw.when(nw.col("provider").is_in(rails_by_external_id()))
        .then(nw.col("external_id"))
        .otherwise(nw.col("request_id"))
    )
    prefix = nw.when(paid_out).then(nw.lit("payout|")).otherwise(nw.lit("pay|"))
    return nw.when(~known.is_null()).then(nw.concat_str([prefix, nw.col("provider"), nw.lit("|"), known]))


def shown_links(links: Frame, transfers: Frame) -> Frame:
    """Links with the columns of their transfers that only a person needs."""
    key = ("t_chain", "t_tx", "t_log", "t_kind")
    shown = transfers.select(**{name: nw.col(column) for name, column in _SHOWN.items()}).select(*key, *_SHOWN_ONLY)
    return links.join(shown, on=list(key), how="left")


def from_deposits(shown: Frame, payments: Frame) -> Frame:
    """Shown links with ``sender_of``: the other payment at whose one-time address the money lay before."""
    deposits = payments.filter((nw.col("mode") == "deposit") & ~nw.col("recipient").is_null())
    owners = deposits.group_by("recipient").agg(nw.col("payment_id").max().alias("owner"))
    told = shown.join(owners, left_on="t_sender", right_on="recipient", how="left")
    return told.with_columns(sender_of=nw.when(nw.col("owner") != nw.col("payment_id")).then(nw.col("owner")))


def dust_below(policy: Policy, *of: str) -> nw.Expr:
    """The least amount that matters of a token; 0 where policy names none.

    Args:
        of: The columns that name its chain and its contract.
    """
    chain, token = of
    least: nw.Expr = nw.lit(0)
    key = nw.concat_str([nw.col(chain).cast(nw.String), nw.lit(":"), nw.col(token)])
    for units in sorted(set(policy.dust_units.values())):
        names = sorted(name for name, each in policy.dust_units.items() if each == units)
        least = nw.when(is_true(key.is_in(names))).then(nw.lit(units)).otherwise(least)
    return least


def concat_links(*frames: Frame | None) -> Frame:
    """One frame of links out of several, with the columns of :data:`LINK`; at least one of them is there."""
    there = [frame.select(*LINK) for frame in frames if frame is not None]
    return there[0] if len(there) == 1 else nw.concat(there, how="vertical")


def renamed_transfers(transfers: Frame, *, policy: Policy) -> Frame:
    """Transfers with every column renamed ``t_...``, so that no join can confuse them with a payment's own.

    ``t_amount`` is what moved: of a proxy log what the token's own log shows, where it was read, at most what the proxy
    states (``t_stated``). Where it was not read although the token can take a fee (``t_unread``), it proves no payment.
    """
    names = {
        "chain_id": "t_chain", "tx_hash": "t_tx", "log_index": "t_log", "block": "t_block", "block_time": "t_time",
        "final": "t_final", "amount_units": "t_amount", "recipient": "t_recipient", "fee_units": "t_fee",
        "fee_recipient": "t_fee_recipient", "token": "t_token", "token_known": "t_known", "kind": "t_kind",
        "reference_topic": "t_topic", "moved_units": "t_moved", "stated_only": "t_unread",
    }  # fmt: skip
    less = ~nw.col("t_moved").is_null() & (
        nw.col("t_amount").is_null() | is_true(nw.col("t_moved") < nw.col("t_amount"))
    )
    # What an address sends to itself has moved nothing.
    to_itself = (nw.col("kind") == DEPOSIT_KINDS) & is_true(nw.col("sender") == nw.col("recipient"))
    return (
        transfers.filter(~is_true(to_itself))
        .select(*_TRANSFER)
        .rename(names)
        .with_columns(t_unread=is_true(nw.col("t_unread")), t_stated=nw.col("t_amount"))
        .with_columns(
            t_final=is_true(nw.col("t_final")),
            t_amount=nw.when(less).then(nw.col("t_moved")).otherwise(nw.col("t_amount")),
            t_came=is_true(nw.col("t_moved") > 0),
        )
        .with_columns(t_dust=is_true(nw.col("t_amount") < dust_below(policy, "t_chain", "t_token")))
    )


PAIR: Final = (
    *_OWN, "t_chain", "t_tx", "t_log", "t_kind", "t_block", "t_time", "t_final", "t_amount", "t_fee_recipient",
    "t_recipient", "t_token", "t_known", "t_stated", "t_unread", "t_dust", "reference_right", "paying", "indirect",
)  # fmt: skip
"""What :func:`judged_pairs` needs of a payment and a transfer. ``reference_right``: the reference is the payment's own
or need not be. ``paying``: the contract's event says that money came. ``indirect``: it is an official contract's log
that says so only together with the token's own log, which was not read or shows nothing."""


def judged_pairs(*pairs: Frame) -> Frame:
    """State field by field what is right and wrong about each pair of a payment and a transfer (:data:`LINK`)."""
    told = [each.select(*PAIR) for each in pairs]
    stated = (told[0] if len(told) == 1 else nw.concat(told, how="vertical")).with_columns(
        same_chain=is_true(nw.col("t_chain") == nw.col("chain_id")),
        same_token=is_true(nw.col("t_token") == nw.col("token")),
        to_us=is_true(nw.col("t_recipient") == nw.col("recipient")),
        to_sender=is_true(nw.col("t_recipient") == nw.col("sender")),
        comes=is_true(nw.col("t_amount") > 0),
    )
    fits = stated.with_columns(
        same_coin=nw.col("same_chain") & nw.col("same_token"),
        to_payer=nw.col("to_sender") & ~nw.col("to_us"),
        shown=nw.col("reference_right") & nw.col("paying"),
    )
    same_coin, to_us, to_payer, shown = (nw.col(name) for name in ("same_coin", "to_us", "to_payer", "shown"))
    is_out = nw.col("direction") != "in"
    return fits.with_columns(
        # What went back to the payer is what the contract states: that is what left us, whatever the token kept.
        t_final=nw.col("t_final") & (~nw.col("t_unread") | to_payer),
        is_valid=same_coin & to_us & shown & ~nw.col("indirect") & nw.col("comes"),
        is_refund=same_coin & to_payer & shown & nw.col("comes"),
        wrong_chain=~nw.col("same_chain"),
        wrong_token=nw.col("same_chain") & ~nw.col("same_token"),
        # A row of money going out that names no address does not say that the one it went to is right.
        wrong_recipient=same_coin & ~to_us & ~to_payer & (~nw.col("recipient").is_null() | is_out),
        wrong_reference=same_coin & to_us & ~shown,
        is_spam=~is_true(nw.col("t_known")),
        own_hash=is_true(nw.col("tx_hash") == nw.col("t_tx")),
        is_indirect=nw.col("indirect") & same_coin & ~(to_payer & nw.col("paying")) & ~is_true(nw.col("t_stated") == 0),
    )


_BY_MONEY: Final = {
    "reference_right": nw.lit(value=True), "paying": nw.lit(value=True), "indirect": nw.lit(value=False),
}  # fmt: skip
"""The token's own log is money, and needs no reference where the address or the hash is the payment's."""


def pairs_by_reference(payments: Frame, transfers: Frame, *, further: Frame | None) -> Frame:
    """Proxy logs, on any chain, that carry the reference of a payment; a release out of escrow is told apart.

    Args:
        further: References of payments besides their own, ``payment_id`` and ``topic``, where there are any.
    """
    logs = transfers.filter((nw.col("t_kind") != DEPOSIT_KINDS) & ~nw.col("t_topic").is_null()).with_columns(
        t_reference=nw.col("t_topic")
    )
    escrows = (
        logs.filter((nw.col("t_kind") == "escrow") & is_true(nw.col("t_known")))
        .select(
            e_topic=nw.col("t_topic"), e_chain=nw.col("t_chain"), e_token=nw.col("t_token"), e_block=nw.col("t_block")
        )
        .group_by("e_topic", "e_chain", "e_token")
        .agg(nw.col("e_block").min())
    )
    by_reference = payments.filter(nw.col("mode") == "reference").select(*_OWN)
    pairs = (
        (by_reference if further is None else _by_each_reference(by_reference, further))
        .join(logs, left_on="topic", right_on="t_reference", how="inner")
        .join(escrows, left_on=["topic", "t_chain", "t_token"], right_on=["e_topic", "e_chain", "e_token"], how="left")
    )
    after_escrow = is_true(nw.col("t_block") >= nw.col("e_block"))
    by_proxy = is_true(nw.col("t_kind") == PAYING_EMITTER)
    official = nw.col("t_kind").fill_null("").is_in(list(INDIRECT_EMITTERS))
    released = by_proxy & after_escrow & nw.col("t_fee").is_null()
    return pairs.with_columns(
        reference_right=nw.lit(value=True),
        paying=by_proxy | official,
        indirect=(official | released) & ~(nw.col("t_came") & is_true(nw.col("t_recipient") == nw.col("recipient"))),
    )


def _by_each_reference(payments: Frame, further: Frame) -> Frame:
    """Payments once for each of their references."""
    others = further.select("payment_id", other_topic=nw.col("topic"))
    by_others = (
        payments.join(others, on="payment_id", how="inner")
        .filter(nw.col("other_topic") != nw.col("topic"))
        .with_columns(topic=nw.col("other_topic"))
        .select(*_OWN)
    )
    return nw.concat([payments, by_others], how="vertical")


def pairs_by_deposit(payments: Frame, transfers: Frame, *, policy: Policy, told: Frame) -> Frame:
    """ERC-20 transfers, on any chain, to a one-time address since its payment was made (less clock skew).

    Money that came before counts where the row and its provider both name its transaction: dates of rows are reset by
    imports, and the address alone could have served another payment then.
    """
    coins = transfers.filter(nw.col("t_kind") == DEPOSIT_KINDS).with_columns(t_to=nw.col("t_recipient"))
    since = nw.col("created_at") - policy.clock_skew_ms
    deposits = payments.filter(nw.col("mode") == "deposit")
    named = told.with_columns(is_named=ONE)
    own_and_named = is_true(nw.col("tx_hash") == nw.col("t_tx")) & is_true(nw.col("is_named") > 0)
    pairs = (
        deposits.select(*_OWN)
        .join(coins, left_on="recipient", right_on="t_to", how="inner")
        .join(named, left_on=["payment_id", "t_tx"], right_on=["payment_id", "named"], how="left")
        .filter(is_true(nw.col("t_time") >= since) | own_and_named)
    )
    return pairs.with_columns(**_BY_MONEY)


def early_links(unsettled: Frame, direct: Frame, *, transfers: Frame, policy: Policy) -> Frame:
    """What came to the one-time address of a payment before its row says that it was made, and is nobody else's.

    The date of a row may be reset, and its id need not hold one. The address alone could have served another payment
    then, so it proves nothing; that nobody has paid is not proven either.
    """
    coins = transfers.filter(
        (nw.col("t_kind") == DEPOSIT_KINDS) & is_true(nw.col("t_known")) & is_true(nw.col("t_amount") > 0)
    ).with_columns(t_to=nw.col("t_recipient"))
    taken = direct.filter(nw.col("is_valid")).select("t_chain", "t_tx", "t_log").unique()
    pairs = (
        unsettled.filter((nw.col("mode") == "deposit") & ~nw.col("is_test"))
        .select(*_OWN)
        .join(coins, left_on="recipient", right_on="t_to", how="inner")
        .filter(
            is_true(nw.col("t_time") < nw.col("created_at") - policy.clock_skew_ms)
            & is_true(nw.col("t_chain") == nw.col("chain_id"))
            & is_true(nw.col("t_token") == nw.col("token"))
            & ~nw.col("t_dust")
        )
        .join(taken, on=["t_chain", "t_tx", "t_log"], how="anti")
    )
    nothing = nw.lit(value=False)
    return judged_pairs(pairs.with_columns(**_BY_MONEY)).with_columns(is_valid=nothing, is_refund=nothing)


def named_hashes(payments: Frame, told: Frame) -> Frame:
    """Every transaction that a row or its provider object names, once per payment; zeros are none.

    Args:
        told: What :func:`told_hashes` gives of these payments and others.
    """
    recorded = payments.filter(is_true(nw.col("tx_hash") != PLACEHOLDER)).select("payment_id", named=nw.col("tx_hash"))
    theirs = told.join(payments.select("payment_id"), on="payment_id", how="semi")
    return nw.concat([recorded, theirs], how="vertical").unique(subset=["payment_id", "named"], keep="any")


def told_hashes(payments: Frame, claim_txs: Frame, *, paid_out: bool) -> Frame:
    """Every transaction that the provider object of a payment names, once per payment: ``payment_id`` and ``named``.

    Args:
        paid_out: Whether any of the payments goes out.
    """
    owned = claim_txs.filter(~nw.col("tx_hash").is_null())
    # A provider lists transactions without saying whether they paid in or out, so each is looked up as both.
    ways = (False, True) if paid_out else (False,)
    listed = [owned.select("tx_hash", claim_key=claim_key(paid_out=nw.lit(value=out))) for out in ways]
    claimed = (nw.concat(listed, how="vertical") if paid_out else listed[0]).filter(~nw.col("claim_key").is_null())
    told = payments.select("payment_id", "claim_key").join(claimed, on="claim_key", how="inner")
    return told.select("payment_id", named=nw.col("tx_hash")).unique(subset=["payment_id", "named"], keep="any")


def pairs_by_hash(payments: Frame, transfers: Frame, *, told: Frame) -> Frame:
    """ERC-20 transfers in the transactions that an outgoing row or its provider names."""
    outgoing = payments.filter((nw.col("direction") != "in") & (nw.col("mode") == "hash"))
    coins = transfers.filter(nw.col("t_kind") == DEPOSIT_KINDS)
    pairs = (
        outgoing.select(*_OWN)
        .join(named_hashes(outgoing, told), on="payment_id", how="inner")
        .join(coins.with_columns(named=nw.col("t_tx")), on="named", how="inner")
    )
    return pairs.with_columns(**_BY_MONEY)


def suspect_links(unsettled: Frame, direct: Frame, *, transfers: Frame, told: Frame, further: Frame | None) -> Frame:
    """Transfers that lead from a payment's own hash or reference to money that is wrong in some way."""
    coin = nw.col("t_kind") == DEPOSIT_KINDS
    # Everyone can send dust to an address; the payment's own reference is known to few.
    nothing = is_true(nw.col("t_amount") == 0) | (nw.col("t_dust") & coin)
    of_another = direct.filter(nw.col("is_valid") & (nw.col("t_kind") == DEPOSIT_KINDS)).select(
        "t_chain", "t_tx", "t_log"
    )
    # A token that no registry knows is spam, unless it came by the payment's own reference or to its own address.
    by_contract = ~nw.col("t_kind").is_in([DEPOSIT_KINDS, "unknown"])
    pointed = ~nw.col("is_spam") | by_contract | (nw.col("mode") == "deposit")
    wrong = ~nw.col("is_valid") & ~nw.col("is_refund") & ~nw.col("is_indirect") & ~nothing
    by_link = (
        direct.filter(wrong)
        .join(unsettled.select("payment_id", "mode"), on="payment_id", how="inner")
        .filter(pointed)
        .join(of_another, on=["t_chain", "t_tx", "t_log"], how="anti")
    )
    logged = with_logs(transfers)
    pairs = (
        unsettled.select(*_OWN)
        .join(named_hashes(unsettled, told), on="payment_id", how="inner")
        .join(transfers.with_columns(named=nw.col("t_tx")), on="named", how="inner")
        .join(logged.with_columns(is_logged=nw.lit(value=True)), left_on="named", right_on="logged_tx", how="left")
    )
    same_topic = is_true(nw.col("t_topic") == nw.col("topic"))
    if further is not None:
        held = further.select("payment_id", found_topic=nw.col("topic"), is_further=nw.lit(value=True))
        pairs = pairs.with_columns(found_topic=nw.col("t_topic").fill_null("")).join(
            held, on=["payment_id", "found_topic"], how="left"
        )
        same_topic = same_topic | is_true(nw.col("is_further"))
    by_reference = nw.col("mode") == "reference"
    echo = by_reference & coin & is_true(nw.col("is_logged"))
    known = is_true(nw.col("t_known"))
    direct_log = by_reference & same_topic & (known | is_true(nw.col("t_kind") != "unknown"))
    wanted = ~echo & ~direct_log & ~((nw.col("mode") == "deposit") & ~coin)
    early = (nw.col("mode") == "deposit") & is_true(nw.col("t_recipient") == nw.col("recipient"))
    bare = (nw.col("mode") == "hash") & (nw.col("direction") == "in")
    by_hash = judged_pairs(
        pairs.filter(wanted & ~early & ~bare).with_columns(
            reference_right=nw.col("mode") != "reference",
            paying=nw.lit(value=True),
            indirect=nw.lit(value=False),
        )
    ).join(unsettled.select("payment_id", "lifi"), on="payment_id", how="inner")
    # On another chain only money to the payment's own address went astray; else it is a bridge's first leg, or nothing.
    elsewhere = nw.col("wrong_chain") & ~is_true(nw.col("t_recipient") == nw.col("recipient"))
    # What a bridge brings carries no reference, and nothing is wrong with that: it is shown, and proves nothing. What
    # else its transaction moves is how a bridge works.
    by_bridge = nw.col("lifi") > 0
    brought = nw.col("wrong_reference") & by_bridge
    told = by_hash.filter(~nw.col("is_valid") & ~elsewhere & ~(by_bridge & nw.col("wrong_recipient")) & ~nothing)
    return concat_links(by_link, told.with_columns(wrong_reference=nw.col("wrong_reference") & ~brought))


def with_logs(transfers: Frame) -> Frame:
    """Transactions in which a contract told of a payment (``logged_tx``)."""
    return transfers.filter(nw.col("t_kind") != DEPOSIT_KINDS).select(logged_tx=nw.col("t_tx")).unique()


def past_proxy_links(
    payments: Frame, unsettled: Frame, *, transfers: Frame, told: Frame, held: Frame | None, policy: Policy
) -> Frame:
    """Plain transfers that may be for an open payment that is to be paid by reference: they carry none.

    A wallet, an exchange or a bridge sends to the address that it is shown, and the proxy never hears of it. Whose
    money that is, no log says; that nobody paid is not true either. At an address that is one payment's alone it is
    whatever came; at one that several payments have, or that is the shop's own, it is the very sum that a payment waits
    for, or the very rest of it, which nobody names as the money of another. What lies at a request's forwarder is that
    request's.

    Args:
        told: What :func:`told_hashes` gives; what row or provider name is followed by its hash already.
        held: The further keys of payments, forwarders among them, where there are any.
    """
    rows = payments.filter(~nw.col("is_test") & ~nw.col("recipient").is_null()).with_columns(one=ONE)
    owned = rows.group_by("recipient").agg(nw.col("one").sum()).filter(nw.col("one") == 1).select("recipient")
    waiting = unsettled.filter(
        (nw.col("mode") == "reference")
        & (nw.col("direction") == "in")
        & ~nw.col("is_test")
        & ~nw.col("status").is_in(list(SETTLED))
    )
    coins = (
        transfers.filter(
            (nw.col("t_kind") == DEPOSIT_KINDS) & is_true(nw.col("t_known")) & is_true(nw.col("t_amount") > 0)
        )
        .join(with_logs(transfers), left_on="t_tx", right_on="logged_tx", how="anti")
        .with_columns(t_to=nw.col("t_recipient"))
    )
    pairs = (
        waiting.select(*_OWN, "covered_from_units", "overpaid_from_units", "received")
        .join(coins, left_on="recipient", right_on="t_to", how="inner")
        .filter(is_true(nw.col("t_time") >= nw.col("created_at") - policy.clock_skew_ms) & ~nw.col("t_dust"))
        .join(named_hashes(waiting, told), left_on=["payment_id", "t_tx"], right_on=["payment_id", "named"], how="anti")
    )
    pairs = _with_sums(pairs)
    named = named_hashes(payments, told).select("named").unique().with_columns(is_named=ONE)
    is_alone = is_true(nw.col("is_owned") > 0) & ~nw.col("recipient").is_in([*policy.merchant_recipients, ""])
    is_waited_for = (
        is_true(nw.col("t_chain") == nw.col("chain_id"))
        & is_true(nw.col("t_token") == nw.col("token"))
        & is_true(nw.col("so_far") >= nw.col("covered_from_units"))
        & is_true(nw.col("so_far") < nw.col("overpaid_from_units"))
        & is_true(nw.col("t_time") <= nw.col("created_at") + policy.abandoned_after_ms)
        & nw.col("is_named").is_null()
    )
    found = (
        pairs.join(owned.with_columns(is_owned=ONE), on="recipient", how="left")
        .join(named, left_on="t_tx", right_on="named", how="left")
        .filter(is_alone | is_waited_for)
    )
    beside = {"reference_right": nw.lit(value=False), "paying": nw.lit(value=True), "indirect": nw.lit(value=False)}
    links = [found.with_columns(**beside)]
    if held is not None:
        links.append(_at_forwarders(waiting, held, coins=coins).with_columns(**beside))
    return judged_pairs(*links)


def rest_links(payments: Frame, unsettled: Frame, *, transfers: Frame, told: Frame, policy: Policy) -> Frame:
    """What may be the rest of a payout of which too little left: plain transfers to its address that nobody names.

    They prove nothing, and nothing is wrong with them. Arguments are those of :func:`past_proxy_links`.
    """
    coins = transfers.filter((nw.col("t_kind") == DEPOSIT_KINDS) & ~nw.col("t_dust")).with_columns(
        t_to=nw.col("t_recipient")
    )
    short = unsettled.filter(
        (nw.col("mode") == "hash") & (nw.col("direction") != "in") & is_true(nw.col("received") > 0)
    ).select(*_OWN, "covered_from_units", "overpaid_from_units", "received")
    pairs = (
        short.join(coins, left_on="recipient", right_on="t_to", how="inner")
        .filter(
            is_true(nw.col("t_chain") == nw.col("chain_id"))
            & is_true(nw.col("t_token") == nw.col("token"))
            & is_true(nw.col("t_amount") > 0)
            & is_true(nw.col("t_time") >= nw.col("created_at") - policy.clock_skew_ms)
        )
        .join(named_hashes(payments, told).select("named").unique(), left_on="t_tx", right_on="named", how="anti")
    )
    fits = _with_sums(pairs).filter(is_true(nw.col("so_far") < nw.col("overpaid_from_units")))
    nothing = nw.lit(value=False)
    return judged_pairs(fits.with_columns(**_BY_MONEY)).with_columns(is_valid=nothing, is_refund=nothing)


def _with_sums(pairs: Frame) -> Frame:
    """Pairs with what came for the payment and by the transfer together (``so_far``)."""
    key = ["payment_id", "t_chain", "t_tx", "t_log"]
    # No engine adds two columns like another, and all sum alike.
    short = pairs.filter(is_true(nw.col("received") > 0))
    parts = [short.select(*key, units=nw.col(name)) for name in ("t_amount", "received")]
    sums = nw.concat(parts, how="vertical").group_by(*key).agg(nw.col("units").sum())
    told = pairs.join(sums, on=key, how="left")
    return told.with_columns(so_far=nw.coalesce(nw.col("units"), nw.col("t_amount"))).drop("units")


def _at_forwarders(waiting: Frame, held: Frame, *, coins: Frame) -> Frame:
    """Pairs of an open payment and what came to its request's forwarder, which stands for the recipient."""
    forwarders = held.filter(nw.col("field") == "forwarder").select("payment_id", forwarder=nw.col("value"))
    by_forwarder = waiting.join(forwarders, on="payment_id", how="inner").with_columns(recipient=nw.col("forwarder"))
    return (
        by_forwarder.select(*_OWN)
        .join(coins, left_on="recipient", right_on="t_to", how="inner")
        .filter(~nw.col("t_dust"))
    )


def indirect_marks(direct: Frame) -> Frame:
    """Payments for which an official contract logged money that is not shown to have come to the recipient."""
    found = direct.filter(nw.col("is_indirect")).select("payment_id").unique()
    return found.with_columns(m_indirect=ONE)


def closest_wrong(suspects: Frame) -> Frame:
    """Keep, per payment, only the suspects with the fewest wrong fields, and say what is wrong with them."""
    order = (
        nw.when(nw.col("wrong_reference"))
        .then(nw.lit(1))
        .when(nw.col("wrong_recipient"))
        .then(nw.lit(2))
        .when(nw.col("wrong_token"))
        .then(nw.lit(3))
        .otherwise(nw.lit(4))
    )
    ranked = suspects.with_columns(distance=order.cast(nw.Int64))
    best = ranked.group_by("payment_id").agg(nw.col("distance").min().alias("least"))
    return (
        ranked.join(best, on="payment_id", how="inner")
        .filter(nw.col("distance") == nw.col("least"))
        .with_columns(
            m_reference=one_if(nw.col("wrong_reference")),
            m_recipient=one_if(nw.col("wrong_recipient")),
            m_token=one_if(nw.col("wrong_token")),
            m_network=one_if(nw.col("wrong_chain")),
        )
        .group_by("payment_id")
        .agg(*[nw.col(name).max() for name in ("m_reference", "m_recipient", "m_token", "m_network")])
    )


def completing_links(links: Frame, goals: Frame, *, carried: tuple[str, ...]) -> Frame:
    """Per payment, the link that completes a sum: the first at which the amounts, in order of the chain, reach a goal.

    Args:
        links: Those whose amounts are summed, all of one payment on one chain.
        goals: ``payment_id`` and the ``goal`` in base units; one that is not known is never reached.
        carried: Columns of the link that are wanted besides ``payment_id`` and ``t_log``. ``needed_count`` is how many
            it took.
    """
    keys = ["payment_id", "t_block", "t_log", *carried]
    parts = links.select(*keys, "t_amount")
    earlier = parts.select("payment_id", b_block=nw.col("t_block"), b_log=nw.col("t_log"), b_amount=nw.col("t_amount"))
    not_later = (nw.col("b_block") < nw.col("t_block")) | (
        (nw.col("b_block") == nw.col("t_block")) & (nw.col("b_log") <= nw.col("t_log"))
    )
    return (
        parts.select(*keys)
        .join(earlier, on="payment_id", how="inner")
        .filter(not_later)
        .with_columns(one=ONE)
        .group_by(*keys)
        .agg(nw.col("b_amount").sum().alias("so_far"), nw.col("one").sum().alias("needed_count"))
        .join(goals, on="payment_id", how="inner")
        .filter(is_true(nw.col("so_far") >= nw.col("goal")))
        .with_columns(one=ONE)
        .with_columns(place=nw.col("one").cum_sum().over("payment_id", order_by=["t_block", "t_log"]))
        .filter(nw.col("place") == 1)
        .select("payment_id", "needed_count", "t_log", *carried)
    )


def is_true(condition: nw.Expr) -> nw.Expr:
    """Whether a condition holds for certain: what is not known counts as no."""
    return condition.fill_null(value=False)


def is_among(column: nw.Expr, names: Iterable[str]) -> nw.Expr:
    """Whether a text is one of some names, of which there may be none; what is not known is none of them."""
    return is_true(column.is_in(["", *sorted(names)]))


def one_if(condition: nw.Expr) -> nw.Expr:
    """1 where a condition holds, else 0: what is counted is summed, for no engine counts conditions alike."""
    return is_true(condition).cast(nw.Int64)
