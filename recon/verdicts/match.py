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

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import narwhals as nw

from recon.core.model import Policy
from recon.verdicts.batches import settled_batches
from recon.verdicts.claims import with_claims
from recon.verdicts.deals import (
    crowded_rows,
    deals_of,
    going_out,
    loose_refunds,
    paid_sellers,
    refund_links,
    refund_sums,
    release_hashes,
    shared_pay_ins,
)
from recon.verdicts.destinations import misdirected_rows
from recon.verdicts.engine import Engine, values_in
from recon.verdicts.evidence import closed_evidence, combined_marks
from recon.verdicts.excess import other_coins
from recon.verdicts.fates import named_elsewhere, never_asked, recorded_fates
from recon.verdicts.holdings import held_marks
from recon.verdicts.keys import all_topics, further_keys, further_topics, keyed, unanswered, with_all_keys, with_further
from recon.verdicts.links import (
    LINK,
    ONE,
    Frame,
    closest_wrong,
    concat_links,
    early_links,
    from_deposits,
    indirect_marks,
    judged_pairs,
    pairs_by_deposit,
    pairs_by_hash,
    pairs_by_reference,
    past_proxy_links,
    renamed_transfers,
    rest_links,
    shown_links,
    suspect_links,
    told_hashes,
)
from recon.verdicts.plainly_sent import found_by_hash
from recon.verdicts.reach import Horizon, reach
from recon.verdicts.returns import Returned, plain_returns, with_refunds
from recon.verdicts.rivals import names_hash, real, shared_hashes, shared_payouts
from recon.verdicts.sent import contested, pairs_by_call, part_marks, parts_sent, with_home_proof
from recon.verdicts.shared_deposits import settled_deposits
from recon.verdicts.strays import with_likely, with_strayed
from recon.verdicts.sums import money_of


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
        kinds: The modes and directions that payments have, in pairs.
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
    kinds: frozenset[tuple[str, ...]]

    @property
    def directions(self) -> frozenset[str]:
        """The directions that payments have."""
        return frozenset(direction for _, direction in self.kinds)

    @property
    def modes(self) -> frozenset[str]:
        """How payments are found."""
        return frozenset(mode for mode, _ in self.kinds)

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
    return closed_evidence(found.join(matched.marks, on="payment_id", how="left"), told=matched.told_marks)


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
    money = engine.keep(_money(known, direct, policy=policy))
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
    held = held_marks(payments, known.tables, policy=policy, engine=engine) if known.has_deposits else None
    strayed, returned = _strayed(known, paid, direct, likely=back.likely)
    marks, told_marks = combined_marks(
        None if suspects is None else closest_wrong(suspects),
        None if early is None else early.select("payment_id", early=ONE),
        at_contract,
        strayed,
        None if sums is None else sums.drop("back"),
        None if shared is None else shared.drop("deal_came"),
        None if held is None else held.drop("held"),
        refund_rows,
        other_coins(payments, direct, moved=known.transfers, engine=engine),
        *_hash_marks(known, unsettled, direct, refunds, deals=deals),
        shared_deposits,
        *_part_marks(known, direct),
        known.silent_keys,
        *_shared_keys(known),
        *(() if deals is None else _deal_marks(known, deals, direct, sums)),
        going_out(payments, known.tables, deals=deals, money=money, engine=engine) if known.has_outgoing else None,
    )
    for name, told in (("back", sums), ("deal_came", shared), ("held", held)):
        if told is not None:
            marks = marks.join(told.select("payment_id", name), on="payment_id", how="left")
            told_marks |= {name}
    return Matched(
        payments,
        money,
        engine.keep(marks),
        told_marks,
        pairs=concat_links(direct, suspects, early, refunds, back.proven, returned, back.unknown),
        transfers=known.tables["transfers"],
        claims=known.tables["claims"],
        held=known.held,
        topics=known.topics,
        kinds=known.kinds,
    )


@dataclass(frozen=True, slots=True)
class _Known:
    """What the steps of a matching share.

    Args:
        told: The transactions that providers name for payments, ``payment_id`` and ``named``.
        silent_keys: What :func:`recon.verdicts.keys.unanswered` says of further keys.
        parts: What :func:`recon.verdicts.sent.parts_sent` says, where any provider sends transactions itself.
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
    parts: Frame | None
    kinds: frozenset[tuple[str, ...]]
    engine: Engine

    @property
    def has_deposits(self) -> bool:
        """Whether any payment is found by its one-time address."""
        return any(mode == "deposit" for mode, _ in self.kinds)

    @property
    def directions(self) -> frozenset[str]:
        """The directions that payments have."""
        return frozenset(direction for _, direction in self.kinds)

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
    transfers = renamed_transfers(tables["transfers"], policy=policy)
    told = engine.keep(told_hashes(payments, tables["claim_txs"], paid_out=paid_out))
    if any(mode == "reference" and direction != "in" for mode, direction in kinds):
        payments, more = found_by_hash(payments, transfers, told=told, topics=topics, engine=engine)
        kinds |= more
    return _Known(
        tables=tables,
        payments=payments,
        transfers=transfers,
        told=told,
        held=held,
        further=further,
        topics=all_topics(payments, topics, engine=engine),
        silent_keys=silent_keys,
        parts=parts_sent(
            payments, tables["claim_txs"], transactions=tables["transactions"], policy=policy, engine=engine
        ),
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
    if known.parts is not None:
        pairs.append(pairs_by_call(payments, transfers, parts=known.parts))
    links = known.engine.keep(judged_pairs(*pairs).select(*LINK))
    if known.has_bare_payouts:
        links = settled_batches(payments, links, engine=known.engine)
    if not known.has_deposits:
        return links, None
    return settled_deposits(payments, links, told=told, policy=policy, engine=known.engine)


def _money(known: _Known, direct: Frame, *, policy: Policy) -> Frame:
    """What came for each payment; of money on several chains, the proof on the payment's own."""
    came = money_of(known.payments, direct, policy=policy, engine=known.engine)
    if known.parts is None:
        return came
    return with_home_proof(came, direct, payments=known.payments, engine=known.engine)


def _part_marks(known: _Known, direct: Frame) -> Iterator[Frame | None]:
    """What is said of the parts of payments whose provider sends them itself."""
    if known.parts is not None:
        yield part_marks(known.parts)
        yield contested(known.parts, direct, engine=known.engine)


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
    loose = loose_refunds(known.tables, engine=known.engine) if "refund" in known.directions else None
    if loose is not None:
        paid = paid.join(loose.with_columns(is_loose=ONE), on="payment_id", how="left")
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


def _hash_marks(
    known: _Known, unsettled: Frame | None, direct: Frame, refunds: Frame | None, *, deals: Frame | None
) -> Iterator[Frame]:
    """What is said of the hashes that payments record, and of the payments that share one."""
    if unsettled is not None:
        transactions = known.tables["transactions"]
        yield recorded_fates(
            unsettled, transactions, told=known.told, paid_out=known.has_bare_payouts, engine=known.engine
        )
        yield named_elsewhere(unsettled, known.tables["claim_txs"], told=known.told)
        if known.has_bare_payouts:
            yield never_asked(unsettled, transactions, told=known.told)
        releases = None if deals is None or not known.has_outgoing else release_hashes(deals)
        yield shared_hashes(known.payments, unsettled=unsettled, direct=direct, refunds=refunds, releases=releases)
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


def _repeated(rows: Frame, key: str, *, name: str, engine: Engine) -> Frame | None:
    """Payments that share a key with others of their direction, and how many they are; None where none does."""
    by = [key, "direction"]
    narrow = rows.select("payment_id", *by, one=ONE)
    crowds = engine.keep_any(narrow.group_by(*by).agg(nw.col("one").sum().alias(name)).filter(nw.col(name) > 1))
    if crowds is None:
        return None
    return narrow.join(crowds, on=by, how="inner").select("payment_id", name)
