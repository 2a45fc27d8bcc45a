"""Payments with the claims and transfers that belong to them: one row of evidence per payment. Pure and columnar.

Everything here is a Narwhals expression over lazy frames, so the same text runs on DuckDB, Polars, pandas and Spark. No
rule is decided here; the columns only state what is so. A worked example, one payment of 5 USDC by reference::

    payments   p1  chain 8453  expected 5000000  topic 0xab..  recipient 0x11..
    transfers  8453 0xf1.. log 3  fee_proxy  topic 0xab..  to 0x11..  amount 2000000  final
               8453 0xf2.. log 0  fee_proxy  topic 0xab..  to 0x11..  amount 3000000  final
    evidence   p1  valid_count 2  received_final 5000000  proof_tx 0xf2.. (it completes the cover)  needed_count 2

Which transfers can belong to a payment depends on how the payment is found (``mode``): by *reference* (proxy logs whose
topic is the hash of its reference), by one-time *deposit* address (ERC-20 transfers to it since it was made), or, for
money going out, by the *hash* that the row or the provider names.

Columns have a prefix where a join could confuse them:

====== ================================================================================================
``t_`` a transfer's own
``b_`` a transfer's that came before, in the running sum of several transfers
``e_`` the first deposit into an escrow, after which money that leaves it is a release
``m_`` what is wrong with the transfers that come closest to a payment's, 1 or 0
``x_`` what the chains said of a transaction that the row or its provider names, 1 or 0
``c_`` what a provider says, found by its own key of the payment
``r_`` what a provider says, found by the payment's reference
``h_`` another row's that holds the same transfer
``d_`` a deal's: sums over the rows of one buyer, order and offer
====== ================================================================================================
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import narwhals as nw

from recon.core.model import Policy
from recon.verdicts.claims import CARRIED, CLAIM_COUNTS, with_claims
from recon.verdicts.deals import (
    crowded_rows,
    deals_of,
    going_out,
    paid_sellers,
    refund_links,
    refund_sums,
    shared_pay_ins,
)
from recon.verdicts.destinations import misdirected_rows
from recon.verdicts.engine import Engine, values_in
from recon.verdicts.excess import other_coins, slight_excess
from recon.verdicts.keys import all_topics, further_keys, further_topics, keyed, unanswered, with_all_keys, with_further
from recon.verdicts.links import (
    LINK,
    ONE,
    Frame,
    closest_wrong,
    completing_links,
    concat_links,
    early_links,
    from_deposits,
    indirect_marks,
    is_true,
    judged_pairs,
    named_hashes,
    one_if,
    pairs_by_deposit,
    pairs_by_hash,
    pairs_by_reference,
    past_proxy_links,
    renamed_transfers,
    rest_links,
    settled_deposits,
    shown_links,
    suspect_links,
    told_hashes,
)
from recon.verdicts.reach import Horizon, reach
from recon.verdicts.returns import Returned, plain_returns, with_refunds
from recon.verdicts.rivals import RIVAL_MARKS, names_hash, real, shared_hashes, shared_payouts
from recon.verdicts.strays import with_likely, with_strayed


@dataclass(frozen=True, slots=True)
class Matched:
    """Payments, the money that came for them, and the links it was summed from.

    Args:
        payments: One row per payment of the window and its context, with what its provider says.
        money: One row per payment: what came in, whether it covers, and by which transfer.
        marks: One row per payment about which there is something unusual to say.
        told_marks: The columns of ``marks``; every other mark is 0 or null of all payments.
        pairs: Links of payments and transfers, without the columns that only a person needs.
        transfers: The transfers that the links point to.
        claims: What providers say, of whichever key of a payment.
        held: The further keys of payments as their table has them, where there are any.
        topics: References of payments besides their own, where there are any.
        directions: The directions that payments have.
    """

    payments: Frame
    money: Frame
    marks: Frame
    told_marks: frozenset[str]
    pairs: Frame
    transfers: Frame
    claims: Frame
    held: Frame | None
    topics: Frame | None
    directions: frozenset[str]

    @property
    def evidence(self) -> Frame:
        """One row of evidence per payment."""
        return evidence_of(self, self.payments)

    @property
    def links(self) -> Frame:
        """Every link of a payment and a transfer, with all its columns."""
        return from_deposits(shown_links(self.pairs, self.transfers), self.payments)


def evidence_of(matched: Matched, payments: Frame) -> Frame:
    """The evidence of some of the matched payments."""
    found = payments.join(matched.money, on="payment_id", how="left")
    return _closed(found.join(matched.marks, on="payment_id", how="left"), told=matched.told_marks)


def match_payments(tables: Mapping[str, Frame], *, horizon: Horizon, policy: Policy, engine: Engine) -> Matched:
    """Give the evidence for every payment of ``payments`` and ``context``, and all links to transfers.

    Args:
        tables: ``payments``, ``context``, ``claims``, ``claim_txs``, ``transfers``, ``transactions`` by
            ``recon.core.tables``, lazy, and ``keys`` where payments have several of one kind.
        horizon: How far absence can be proven.
        policy: Skew and rails on which a provider's word counts.
        engine: The engine. What a kind of rows needs that no payment or transfer is of is not computed at all.
    """
    known = _known_of(tables, horizon=horizon, policy=policy, engine=engine)
    payments = known.payments
    direct, shared_deposits = _direct_links(known, policy=policy)
    money = engine.keep(_money(payments, direct, policy=policy, engine=engine))
    unsettled = engine.keep_any(_unsettled(payments, money))
    suspects, early = _leading(known, unsettled, direct, policy=policy)
    deals = deals_of(payments, known.tables, money=money, engine=engine)
    refunds, refund_rows, shared = _in_deals(deals, direct, engine=engine)
    paid = payments.join(money.select("payment_id", "received_final"), on="payment_id", how="left")
    back = _plain_returns(known, paid, concat_links(direct, refunds), policy=policy)
    direct = with_refunds(direct, back.by_reference)
    at_contract = indirect_marks(direct)
    sums = refund_sums(
        payments.join(at_contract, on="payment_id", how="left"),
        concat_links(direct, refunds, back.proven),
        money=money,
        engine=engine,
    )
    strayed, returned = _strayed(known, paid, direct, likely=back.likely)
    marks, told_marks = _combined(
        None if suspects is None else closest_wrong(suspects),
        None if early is None else early.select("payment_id", early=ONE),
        at_contract,
        strayed,
        None if sums is None else sums.drop("back"),
        None if shared is None else shared.drop("deal_came"),
        refund_rows,
        other_coins(payments, direct, moved=known.transfers, engine=engine),
        *_hash_marks(known, unsettled, direct, refunds),
        shared_deposits,
        known.silent_keys,
        *_shared_keys(known),
        *(() if deals is None else _deal_marks(known, deals, direct, sums)),
        going_out(payments, known.tables, deals=deals, money=money, engine=engine) if known.has_outgoing else None,
    )
    for name, told in (("back", sums), ("deal_came", shared)):
        if told is not None:
            marks = marks.join(told.select("payment_id", name), on="payment_id", how="left")
            told_marks |= {name}
    return Matched(
        payments,
        money,
        engine.keep(marks),
        told_marks,
        pairs=concat_links(direct, suspects, early, refunds, back.proven, returned),
        transfers=known.tables["transfers"],
        claims=known.tables["claims"],
        held=known.held,
        topics=known.topics,
        directions=frozenset(direction for _, direction in known.kinds),
    )


@dataclass(frozen=True, slots=True)
class _Known:
    """What the steps of a matching share.

    Args:
        told: The transactions that providers name for payments, ``payment_id`` and ``named``.
        silent_keys: What :func:`recon.verdicts.keys.unanswered` says of further keys.
        kinds: The modes and directions that payments have.
    """

    tables: Mapping[str, Frame]
    payments: Frame
    transfers: Frame
    told: Frame
    held: Frame | None
    further: Frame | None
    topics: Frame | None
    silent_keys: Frame | None
    kinds: frozenset[tuple[str, ...]]
    engine: Engine

    @property
    def has_deposits(self) -> bool:
        """Whether any payment is found by its one-time address."""
        return any(mode == "deposit" for mode, _ in self.kinds)

    @property
    def has_outgoing(self) -> bool:
        """Whether any payment goes out, or may."""
        return any(direction != "in" for _, direction in self.kinds)

    @property
    def has_bare_payouts(self) -> bool:
        """Whether any payment goes out and is found by nothing but a hash."""
        return any(mode == "hash" and direction != "in" for mode, direction in self.kinds)


def _known_of(tables: Mapping[str, Frame], *, horizon: Horizon, policy: Policy, engine: Engine) -> _Known:
    held = further_keys(tables, engine=engine)
    further = None if held is None else keyed(tables, held, engine=engine)
    topics = None if held is None else further_topics(tables, held, further=further, engine=engine)
    silent_keys = None if further is None else unanswered(tables, further)
    if further is not None:
        tables = with_all_keys(tables, further)
    payments = engine.keep(with_claims(tables, policy=policy, engine=engine).with_columns(**reach(horizon, policy)))
    kinds = values_in(payments, engine, "mode", "direction")
    paid_out = any(direction != "in" for _, direction in kinds)
    return _Known(
        tables=tables,
        payments=payments,
        transfers=renamed_transfers(tables["transfers"], policy=policy),
        told=engine.keep(told_hashes(payments, tables["claim_txs"], paid_out=paid_out)),
        held=held,
        further=further,
        topics=all_topics(payments, topics, engine=engine),
        silent_keys=silent_keys,
        kinds=kinds,
        engine=engine,
    )


def _direct_links(known: _Known, *, policy: Policy) -> tuple[Frame, Frame | None]:
    """The links of payments and transfers by their own marks, and the payments whose one-time address serves others."""
    payments, transfers, told = known.payments, known.transfers, known.told
    pairs = [pairs_by_reference(payments, transfers, further=known.topics)]
    if known.has_deposits:
        pairs.append(pairs_by_deposit(payments, transfers, policy=policy, told=told))
    if known.has_bare_payouts:
        pairs.append(pairs_by_hash(payments, transfers, told=told))
    links = known.engine.keep(judged_pairs(*pairs).select(*LINK))
    return settled_deposits(payments, links, engine=known.engine) if known.has_deposits else (links, None)


def _unsettled(payments: Frame, money: Frame) -> Frame:
    """Payments of which the chain does not prove all, or whose recorded hash is not among what proves them."""
    outcome = money.select("payment_id", "covered", "covered_by_chain", "own_hash_valid", "received")
    in_question = ~nw.col("covered_by_chain") | (~nw.col("own_hash_valid") & names_hash())
    return payments.join(outcome, on="payment_id", how="inner").filter(in_question)


def _suspects(known: _Known, unsettled: Frame, direct: Frame, *, policy: Policy) -> Frame:
    transfers, told = known.transfers, known.told
    suspects = suspect_links(unsettled, direct, transfers=transfers, told=told, further=known.topics)
    if known.has_bare_payouts:
        rest = rest_links(known.payments, unsettled, transfers=transfers, told=told, policy=policy)
        suspects = concat_links(suspects, rest)
    if ("reference", "in") not in known.kinds:
        return suspects
    return concat_links(
        suspects,
        past_proxy_links(known.payments, unsettled, transfers=transfers, told=told, held=known.held, policy=policy),
    )


def _leading(
    known: _Known, unsettled: Frame | None, direct: Frame, *, policy: Policy
) -> tuple[Frame | None, Frame | None]:
    """Transfers to which payments lead that are not settled: wrong in some way, and older than their rows."""
    if unsettled is None:
        return None, None
    suspects = known.engine.keep_any(_suspects(known, unsettled, direct, policy=policy))
    return suspects, _early(known, unsettled, direct, policy=policy)


def _in_deals(deals: Frame | None, direct: Frame, *, engine: Engine) -> tuple[Frame | None, Frame | None, Frame | None]:
    """Refunds by rows of the deals, what else is known of those rows, and what pay-ins of a deal have together."""
    if deals is None:
        return None, None, None
    return *refund_links(deals, direct, engine=engine), engine.keep_any(shared_pay_ins(deals))


def _early(known: _Known, unsettled: Frame, direct: Frame, *, policy: Policy) -> Frame | None:
    """Money at one-time addresses that is older than the rows; None without any."""
    if not known.has_deposits:
        return None
    return known.engine.keep_any(early_links(unsettled, direct, transfers=known.transfers, policy=policy))


def _plain_returns(known: _Known, paid: Frame, direct: Frame, *, policy: Policy) -> Returned:
    """Plain transfers by which money of payments went back, or may have."""
    transfers, moved = known.tables["transfers"], known.transfers
    return plain_returns(paid, direct, transfers=transfers, moved=moved, policy=policy, engine=known.engine)


def _strayed(known: _Known, paid: Frame, direct: Frame, *, likely: Frame | None) -> tuple[Frame | None, Frame | None]:
    """Which money may have gone back although no refund says so: marks, and links to it."""
    told = with_strayed(
        paid,
        direct,
        transfers=known.tables["transfers"],
        moved=known.transfers,
        topics=known.topics,
        engine=known.engine,
    )
    return with_likely(*told, likely=likely)


def _hash_marks(known: _Known, unsettled: Frame | None, direct: Frame, refunds: Frame | None) -> Iterator[Frame]:
    """What is said of the hashes that payments record, and of the payments that share one."""
    if unsettled is not None:
        transactions = known.tables["transactions"]
        yield _recorded_hash(known, unsettled, transactions)
        if known.has_bare_payouts:
            yield _never_asked(unsettled, transactions, known.told)
        yield shared_hashes(known.payments, unsettled=unsettled, direct=direct, refunds=refunds)
    if known.has_bare_payouts:
        yield shared_payouts(known.payments, direct)


def _deal_marks(known: _Known, deals: Frame, direct: Frame, sums: Frame | None) -> Iterator[Frame | None]:
    """What the rows of one deal say of each other."""
    yield crowded_rows(deals, sums=sums)
    yield paid_sellers(deals)
    if known.has_outgoing:
        yield misdirected_rows(
            known.payments, deals, direct=direct, transfers=known.tables["transfers"], engine=known.engine
        )


def _shared_keys(known: _Known) -> Iterator[Frame | None]:
    """Payments that share a provider's object or a reference with another."""
    rows = real(known.payments)
    for name, further, marked in (("claim_key", known.further, "key_rows"), ("topic", known.topics, "topic_rows")):
        yield _repeated(with_further(rows, further, name=name), name, name=marked, engine=known.engine)


def _money(payments: Frame, direct: Frame, *, policy: Policy, engine: Engine) -> Frame:
    """One row per payment: what came for it, and whether that is enough."""
    owed = payments.select(
        "payment_id", "chain_id", "token", "covered_from_units", "overpaid_from_units", "by_word", "word_units"
    )
    told = nw.when(nw.col("by_word") & nw.col("valid_count").is_null()).then(nw.col("word_units"))
    sums = {name: nw.coalesce(nw.col(name), told) for name in ("received", "big_received")}
    came = owed.join(_received(direct), on="payment_id", how="left").with_columns(**sums)
    slight = slight_excess(came, policy=policy, engine=engine)
    if slight is None:
        came = came.with_columns(is_slight=nw.lit(0).cast(nw.Int64))
    else:
        came = came.join(slight, on="payment_id", how="left").with_columns(is_slight=nw.col("is_slight").fill_null(0))
    several = engine.keep_any(_several_final(direct))
    if several is None:
        return came.select("payment_id", *_SUMS, **_cover(has_several=False))
    proofs = _proofs(payments, direct, several=several)
    return came.join(proofs, on="payment_id", how="left").select("payment_id", *_SUMS, **_cover(has_several=True))


def _received(direct: Frame) -> Frame:
    """Sum what came in, per payment. Only valid transfers enter a sum, so a worthless token cannot overflow it."""
    final = nw.col("t_final")
    return (
        direct.filter(nw.col("is_valid"))
        .with_columns(
            one=ONE,
            final_one=one_if(final),
            final_units=nw.when(final).then(nw.col("t_amount")),
            final_tx=nw.when(final).then(nw.col("t_tx")),
            final_log=nw.when(final).then(nw.col("t_log")),
            final_time=nw.when(final).then(nw.col("t_time")),
            final_fee_recipient=nw.when(final).then(nw.col("t_fee_recipient")),
            own=one_if(nw.col("own_hash")),
            unread=one_if(nw.col("t_unread")),
            big=one_if(~nw.col("t_dust")),
            big_units=nw.when(~nw.col("t_dust")).then(nw.col("t_amount")),
        )
        .group_by("payment_id")
        .agg(
            nw.col("one").sum().alias("valid_count"),
            nw.col("final_one").sum().alias("final_count"),
            nw.col("unread").sum().alias("unread_count"),
            nw.col("big").sum().alias("big_count"),
            nw.col("big_units").sum().alias("big_received"),
            nw.col("t_amount").sum().alias("received"),
            nw.col("final_units").sum().alias("received_final"),
            nw.col("own").max().alias("own_valid"),
            nw.col("t_time").max().alias("last_time"),
            nw.col("final_tx").max().alias("single_tx"),
            nw.col("final_log").max().alias("single_log"),
            nw.col("final_time").max().alias("single_time"),
            nw.col("final_fee_recipient").max().alias("single_fee_recipient"),
        )
    )


def _several_final(direct: Frame) -> Frame:
    """The payments for which several final transfers came."""
    counted = direct.filter(nw.col("is_valid") & nw.col("t_final")).select("payment_id", one=ONE).group_by("payment_id")
    return counted.agg(nw.col("one").sum()).filter(nw.col("one") > 1).select("payment_id")


def _proofs(payments: Frame, direct: Frame, *, several: Frame) -> Frame:
    """For payments with several final transfers: the one that completes the cover, and how many it took."""
    final = direct.filter(nw.col("is_valid") & nw.col("t_final"))
    parts = final.join(several, on="payment_id", how="inner").with_columns(
        t_fee_recipient=nw.col("t_fee_recipient").fill_null("")
    )
    goals = payments.select("payment_id", goal=nw.col("covered_from_units"))
    found = completing_links(parts, goals, carried=("t_tx", "t_time", "t_fee_recipient"))
    return found.select(
        "payment_id",
        needed_many=nw.col("needed_count"),
        many_tx=nw.col("t_tx"),
        many_log=nw.col("t_log"),
        many_time=nw.col("t_time"),
        many_fee_recipient=nw.col("t_fee_recipient"),
    )


def _cover(*, has_several: bool) -> dict[str, nw.Expr]:
    """Whether the money is enough, and by which transfer.

    Args:
        has_several: Whether several final transfers came for any payment, so that there is a transfer that completes
            a sum (``many_...``).
    """
    enough = is_true(nw.col("received_final") >= nw.col("covered_from_units"))
    by_chain = enough & is_true(nw.col("final_count") > 0)
    told = nw.col("by_word") & is_true(nw.col("word_units") > 0)
    told_enough = told & is_true(nw.col("word_units") >= nw.col("covered_from_units"))
    seen_enough = is_true(nw.col("received") >= nw.col("covered_from_units"))
    one = by_chain & (nw.col("final_count") == 1)
    many = by_chain & (nw.col("final_count") > 1)

    def proof(name: str) -> nw.Expr:
        return first(nw.col(f"single_{name}"), f"many_{name}")

    def first(single: nw.Expr, of_many: str) -> nw.Expr:
        if not has_several:
            return nw.when(one).then(single)
        return nw.when(one).then(single).otherwise(nw.when(many).then(nw.col(of_many)))

    return {
        "covered_by_chain": by_chain,
        "covered": by_chain | told_enough,
        "seen_enough": seen_enough,
        "seen_any": is_true(nw.col("big_count") > 0) | seen_enough | told,
        "too_much": is_true(nw.col("big_received") >= nw.col("overpaid_from_units")) & (nw.col("is_slight") == 0),
        "needed_count": first(nw.lit(1), "needed_many"),
        "proof_tx": proof("tx"),
        "proof_log": proof("log"),
        "proof_time": proof("time"),
        "proof_fee_recipient": proof("fee_recipient"),
        "own_hash_valid": is_true(nw.col("own_valid") > 0),
    }


def _recorded_hash(known: _Known, unsettled: Frame, transactions: Frame) -> Frame:
    """What the chains say of the hash that the row records, where it is not among its valid transfers.

    A row of money going out is found by nothing but hashes, so those that its provider names are looked at as well. Of
    money coming in only that nobody answered about such a hash matters: it may be in a block past the end of the scan.
    """
    loose = unsettled.filter(~nw.col("own_hash_valid"))
    recorded = loose.filter(~nw.col("tx_hash").is_null()).select("payment_id", "chain_id", named=nw.col("tx_hash"))
    asked = [recorded]
    if known.has_bare_payouts:
        outgoing = loose.filter((nw.col("mode") == "hash") & (nw.col("direction") != "in"))
        asked.append(_all_named(outgoing, known.told))
    said = transactions.select("outcome", x_chain=nw.col("chain_id"), named=nw.col("tx_hash"))
    unanswered = known.engine.keep_any(said.filter(nw.col("outcome") == "failed").select("named").unique())
    if unanswered is not None:
        open_rows = loose.filter((nw.col("mode") != "hash") & ~nw.col("covered_by_chain"))
        # What a provider names for money coming in says nothing while it is answered; the money itself is in the scan.
        asked.append(_all_named(open_rows, known.told).join(unanswered, on="named", how="inner"))
    every = [one.select("payment_id", "chain_id", "named") for one in asked]
    here = nw.col("x_chain") == nw.col("chain_id")
    return (
        nw.concat(every, how="vertical")
        .join(said, on="named", how="inner")
        .with_columns(
            x_success=one_if(here & (nw.col("outcome") == "success")),
            x_reverted=one_if(here & (nw.col("outcome") == "reverted")),
            x_pending=one_if(here & (nw.col("outcome") == "pending")),
            x_not_found=one_if(here & (nw.col("outcome") == "not_found")),
            x_failed=one_if(here & (nw.col("outcome") == "failed")),
            x_elsewhere=one_if(is_true(nw.col("x_chain") != nw.col("chain_id")) & (nw.col("outcome") == "success")),
        )
        .group_by("payment_id")
        .agg(*[nw.col(name).max() for name in _FATES])
    )


def _all_named(payments: Frame, told: Frame) -> Frame:
    """Every transaction that payments or their providers name, each with the payment's chain."""
    return payments.select("payment_id", "chain_id").join(named_hashes(payments, told), on="payment_id", how="inner")


def _never_asked(unsettled: Frame, transactions: Frame, told: Frame) -> Frame:
    """Outgoing payments with a named hash about which their chain, though it is read, said nothing at all."""
    outgoing = unsettled.filter(
        (nw.col("mode") == "hash")
        & (nw.col("direction") != "in")
        & nw.col("chain_is_read")
        & ~nw.col("covered_by_chain")
    )
    named = _all_named(outgoing, told)
    said = transactions.select("chain_id", named=nw.col("tx_hash"))
    return (
        named.join(said, on=["chain_id", "named"], how="anti").select("payment_id").unique().with_columns(x_failed=ONE)
    )


def _repeated(rows: Frame, key: str, *, name: str, engine: Engine) -> Frame | None:
    """Payments that share a key with others of their direction, and how many they are; None where none does."""
    by = [key, "direction"]
    narrow = rows.select("payment_id", *by, one=ONE)
    crowds = engine.keep_any(narrow.group_by(*by).agg(nw.col("one").sum().alias(name)).filter(nw.col(name) > 1))
    if crowds is None:
        return None
    return narrow.join(crowds, on=by, how="inner").select("payment_id", name)


_FATES: Final = ("x_success", "x_reverted", "x_pending", "x_not_found", "x_failed", "x_elsewhere")
"""What the chains said of a recorded hash; ``x_elsewhere``: it succeeded on another chain than the payment's."""
_MARKS: Final = (
    "m_reference", "m_recipient", "m_token", "m_network", "m_indirect", "refund_count", "refund_rows", *_FATES,
    *RIVAL_MARKS, "shared_deposit", "key_rows", "topic_rows",
    "moneyed_rows", "keys_open", "keys_failed", "all_back", "surplus_back", "refunds_elsewhere",
    "refunds_unread", "strayed", "early", "deal_whole", "other_coins",
)  # fmt: skip
_TEXT_MARKS: Final = (
    "refund_tx", "rival_id", "paid_out_by", "paying_out_by", "going_out_by", "misdirected", "paid_beside",
)  # fmt: skip
_UNIT_MARKS: Final = ("back", "deal_came")
_SUMS: Final = ("received", "received_final", "valid_count", "big_count", "unread_count", "last_time")
_MONEY: Final = (
    *_SUMS, "covered_by_chain", "covered", "seen_enough", "seen_any",
    "too_much", "needed_count", "proof_tx", "proof_log", "proof_time", "proof_fee_recipient", "own_hash_valid",
)  # fmt: skip
EVIDENCE: Final = (
    *CARRIED, *CLAIM_COUNTS, *_MONEY, *_MARKS, *_TEXT_MARKS, *_UNIT_MARKS, "in_window", "claim_key", "topic",
    "has_reference", "mode", "by_word", "word_units", "claim_time", "covered_by_scan", "chain_is_read",
    "blind_elsewhere", "head_time", "reference_topic", "claim_topic",
)  # fmt: skip
"""Every column of the evidence: what rules and conditions may rest on."""


def _combined(*parts: Frame | None) -> tuple[Frame, frozenset[str]]:
    """Lay small tables about a few payments over each other, one row per payment; and say which marks they tell."""
    there = [(part, set(part.collect_schema().names())) for part in parts if part is not None]
    told = frozenset(name for _, has in there for name in has if name != "payment_id")
    counts, texts = ([name for name in names if name in told] for names in (_MARKS, _TEXT_MARKS))
    padded = [_padded(part, counts=counts, texts=texts, has=has) for part, has in there]
    together = nw.concat(padded, how="vertical").group_by("payment_id")
    return together.agg(nw.col(*counts, *texts).max()), told


def _padded(part: Frame, *, counts: Sequence[str], texts: Sequence[str], has: Collection[str]) -> Frame:
    """A small table with all of these marks; of those that it has not nothing is told."""
    zero, nothing = nw.lit(0).cast(nw.Int64), nw.lit(None).cast(nw.String)
    return part.with_columns(
        *[nw.col(name).cast(nw.Int64) if name in has else zero.alias(name) for name in counts],
        *[nothing.alias(name) for name in texts if name not in has],
    ).select("payment_id", *counts, *texts)


def _closed(evidence: Frame, *, told: frozenset[str]) -> Frame:
    """Close every count with zero, so that no condition over it can be null; what nobody tells is nothing of any."""
    counts = (*(name for name in _MARKS if name in told), "valid_count", "big_count", "unread_count", "needed_count")
    nothing: dict[str, nw.Expr] = {name: nw.lit(0).cast(nw.Int64) for name in _MARKS if name not in told}
    nothing |= {name: nw.lit(None).cast(nw.String) for name in _TEXT_MARKS if name not in told}
    # A null of the type of a column that is there: engines spell decimals differently.
    no_units = nw.when(nw.lit(value=False)).then(nw.col("received"))
    nothing |= {name: no_units for name in _UNIT_MARKS if name not in told}
    return evidence.with_columns(
        nw.col(*counts).fill_null(0).cast(nw.Int64),
        reference_topic=nw.when(nw.col("has_reference")).then(nw.col("topic")),
        **nothing,
    )
