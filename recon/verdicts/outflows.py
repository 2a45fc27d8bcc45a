"""Money that left a wallet of ours and that no row explains. Pure and columnar.

Payouts leave from a gateway's own wallets. A wallet is one of them when a proven payout of a row came from it, or when
the configuration names it. Other wallets are known less well: those that refunds came from, and those that a row of
money going out records while nothing proves it. What left them is looked at only where it went to an address to which
a row of ours sends money. A worked example, one payout row of 310 USDT that was sent twice::

    transfers   0x70.. wallet -> seller 310     0x59.. wallet -> seller 310 (the row's hash)
    outflows    0x70.. 310 to the seller: no row, payout or own address stands behind it
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import narwhals as nw

from recon.core.model import Policy
from recon.core.tables import Schema
from recon.verdicts.engine import Engine
from recon.verdicts.links import DEPOSIT_KINDS, PAYING_EMITTER, Frame, concat_links, is_true, shown_links
from recon.verdicts.match import Matched

PAYOUT_WALLETS: Final[Schema] = {"chain_id": "int", "wallet": "text"}
OUTFLOWS: Final[Schema] = {
    "chain_id": "int", "tx_hash": "text", "log_index": "int", "token": "text", "sender": "text", "recipient": "text",
    "amount_units": "units", "block_time": "int", "listed_by": "text", "to_payee": "bool", "is_less_known": "bool",
    "given_up_row": "text",
}  # fmt: skip
"""One transfer that no row explains; ``listed_by`` is the provider whose list of transactions has it, too,
``to_payee`` says that it went to an address to which a row of ours sends money, ``is_less_known`` that no proven payout
came from the wallet, and ``given_up_row`` is a row of money going out that was given up and was of this amount to this
address."""


def payout_wallets(matched: Matched) -> Frame:
    """The wallets from which proven payouts of rows came, by chain (:data:`PAYOUT_WALLETS`)."""
    return _proven_senders(matched, direction="out")


def refund_wallets(matched: Matched) -> Frame:
    """The wallets that proven refunds came from, and those that unproven rows of money going out record.

    By chain, as :data:`PAYOUT_WALLETS`; that they are ours is less certain than of those that payouts came from.
    """
    outgoing = (nw.col("direction") != "in") & ~nw.col("is_test")
    recorded = (
        matched.payments.filter(outgoing & ~nw.col("sender").is_null() & ~nw.col("chain_id").is_null())
        .join(_settled(matched), on="payment_id", how="anti")
        .select("chain_id", wallet=nw.col("sender"))
    )
    proven = _proven_senders(matched, direction="refund")
    return nw.concat([proven.select("chain_id", "wallet"), recorded], how="vertical").unique()


def _proven_senders(matched: Matched, *, direction: str) -> Frame:
    payments, money, pairs, transfers = matched.payments, matched.money, matched.pairs, matched.transfers
    proven = (
        payments.filter((nw.col("direction") == direction) & ~nw.col("is_test"))
        .select("payment_id", own_recipient=nw.col("recipient"), own_token=nw.col("token"))
        .join(money.filter(nw.col("covered_by_chain")).select("payment_id"), on="payment_id", how="inner")
    )
    paid = pairs.filter(nw.col("is_valid")).select("payment_id", "t_chain", "t_tx").unique()
    coins = transfers.filter((nw.col("kind") == DEPOSIT_KINDS) & ~nw.col("sender").is_null()).select(
        "chain_id", "tx_hash", "token", "recipient", "sender"
    )
    came = (
        proven.join(paid, on="payment_id", how="inner")
        .join(coins, left_on=["t_chain", "t_tx"], right_on=["chain_id", "tx_hash"], how="inner")
        .filter((nw.col("recipient") == nw.col("own_recipient")) & (nw.col("token") == nw.col("own_token")))
    )
    return came.select(chain_id=nw.col("t_chain"), wallet=nw.col("sender")).unique()


def listed_outgoing(tables: Mapping[str, Frame]) -> Frame:
    """Transactions that a provider lists as outgoing without a key of ours: ``listed_by``, chain, hash, recipient."""
    keyless = nw.col("request_id").is_null() & nw.col("reference").is_null() & nw.col("external_id").is_null()
    bare = (
        tables["claims"]
        .filter(is_true(nw.col("outcome") == "found") & is_true(nw.col("object") == "payout") & keyless)
        .select("provider", "claim_id")
        .unique()
    )
    named = tables["claim_txs"].filter(~nw.col("chain_id").is_null() & ~nw.col("tx_hash").is_null())
    return (
        named.select("provider", "claim_id", "chain_id", "tx_hash", "recipient")
        .join(bare, on=["provider", "claim_id"], how="inner")
        .select("chain_id", "tx_hash", "recipient", listed_by=nw.col("provider"))
    )


def unexplained_outflows(
    tables: Mapping[str, Frame],
    matched: Matched,
    *,
    wallets: Frame | None,
    spans: Mapping[int, tuple[int, int]],
    policy: Policy,
    engine: Engine,
) -> Frame | None:
    """Final transfers out of our wallets, or listed as outgoing, behind which no row stands (:data:`OUTFLOWS`), if any.

    Args:
        matched: The payments with their money and links.
        wallets: What :func:`payout_wallets` gives, where it gives any; what left those of :func:`refund_wallets` is
            told of where it went to a payee.
        spans: By chain, from and until when outgoing money was looked for, UTC ms; elsewhere nothing is said.
    """
    if not spans:
        return None
    less_known = engine.keep_any(refund_wallets(matched)) if matched.directions - {"in"} else None
    payees = _payees(matched.payments)
    left = engine.keep_any(
        _outgoing(tables, wallets=wallets, less_known=less_known, payees=payees, spans=spans, policy=policy)
    )
    if left is None:
        return None
    links = engine.keep(explaining_links(matched))
    named = engine.keep_any(_without_reason(left, tables, links))
    if named is None:
        return None
    waited = waited_for_logs(named, matched)
    found = named.join(waited, on=["chain_id", "tx_hash", "log_index"], how="anti")
    given_up = _given_up_rows(found, matched)
    return engine.keep_any(found.join(given_up, on=list(_LOG), how="left").select(*OUTFLOWS))


def _payees(payments: Frame) -> Frame:
    """The addresses to which rows of ours send money (``payee``)."""
    outgoing = (nw.col("direction") != "in") & ~nw.col("is_test") & ~nw.col("recipient").is_null()
    return payments.filter(outgoing).select(payee=nw.col("recipient"), is_payee=nw.lit(value=True)).unique()


def _given_up_rows(flows: Frame, matched: Matched) -> Frame:
    """By log of a flow, a payout that was given up and was of its amount to its destination (``given_up_row``)."""
    rows = _waiting(matched).filter(_is_given_up())
    return _fitting(flows, rows).group_by(*_LOG).agg(nw.col("w_id").max().alias("given_up_row"))


def _settled(matched: Matched) -> Frame:
    """The payments that have their money."""
    return matched.money.filter(nw.col("covered_by_chain")).select("payment_id")


def explaining_links(matched: Matched) -> Frame:
    """The links that explain a transfer: right ones, and those that lead an uncovered payment to money gone wrong.

    Such a payment has a verdict of its own. A wrong link of a payment that has its money explains nothing.
    """
    right = matched.pairs.filter(nw.col("is_valid") | nw.col("is_refund"))
    astray = matched.pairs.join(_settled(matched), on="payment_id", how="anti")
    return concat_links(right, astray)


def _outgoing(
    tables: Mapping[str, Frame],
    *,
    wallets: Frame | None,
    less_known: Frame | None,
    payees: Frame,
    spans: Mapping[int, tuple[int, int]],
    policy: Policy,
) -> Frame:
    """Final transfers out of our wallets, or listed as outgoing, that went to nobody of ours."""
    flows = _moved(tables["transfers"], spans).join(payees, left_on="recipient", right_on="payee", how="left")
    flows = flows.with_columns(to_payee=is_true(nw.col("is_payee")))
    named = (
        listed_outgoing(tables)
        .group_by("chain_id", "tx_hash", "recipient")
        .agg(nw.col("listed_by").max())
        .rename({"chain_id": "l_chain", "tx_hash": "l_tx", "recipient": "l_recipient"})
    )
    told = flows.join(
        named, left_on=["chain_id", "tx_hash", "recipient"], right_on=["l_chain", "l_tx", "l_recipient"], how="left"
    )
    is_ours = nw.col("sender").is_in([*policy.payout_wallets, ""])
    if wallets is not None:
        ours = wallets.select(w_chain=nw.col("chain_id"), w_sender=nw.col("wallet"))
        told = told.join(
            ours.with_columns(is_wallet=nw.lit(value=True)),
            left_on=["chain_id", "sender"],
            right_on=["w_chain", "w_sender"],
            how="left",
        ).join(ours, left_on=["chain_id", "recipient"], right_on=["w_chain", "w_sender"], how="anti")
        is_ours = is_ours | is_true(nw.col("is_wallet"))
    told = told.with_columns(is_less_known=~is_ours)
    if less_known is not None:
        told = told.join(
            less_known.select(r_chain=nw.col("chain_id"), r_sender=nw.col("wallet"), is_likely=nw.lit(value=True)),
            left_on=["chain_id", "sender"],
            right_on=["r_chain", "r_sender"],
            how="left",
        )
        is_ours = is_ours | (is_true(nw.col("is_likely")) & nw.col("to_payee"))
    left = told.filter(is_ours | ~nw.col("listed_by").is_null())
    for address in ("sender", "recipient"):
        left = left.join(one_time_addresses(tables), left_on=address, right_on="known", how="anti")
    return left.filter(~nw.col("recipient").is_in([*policy.payout_wallets, *policy.merchant_recipients, ""]))


def _moved(transfers: Frame, spans: Mapping[int, tuple[int, int]]) -> Frame:
    """Final transfers of known tokens within the time in which outgoing money was looked for."""
    within = nw.lit(value=False)
    for chain_id, (from_ms, to_ms) in sorted(spans.items()):
        at = nw.col("block_time")
        within = within | ((nw.col("chain_id") == chain_id) & (at >= from_ms) & (at <= to_ms))
    return transfers.filter(
        (nw.col("kind") == DEPOSIT_KINDS)
        & is_true(nw.col("token_known"))
        & is_true(nw.col("final"))
        & is_true(nw.col("amount_units") > 0)
        & is_true(within)
    ).with_columns(sender=nw.col("sender").fill_null(""), recipient=nw.col("recipient").fill_null(""))


def one_time_addresses(tables: Mapping[str, Frame]) -> Frame:
    """The one-time addresses of all rows that are known: what comes from or goes to them is a gateway's own affair."""
    rows = [
        tables[name].filter(is_true(nw.col("is_deposit"))).select(known=nw.col("recipient"))
        for name in ("payments", "context")
    ]
    return nw.concat(rows, how="vertical").filter(~nw.col("known").is_null()).unique()


def waited_for_logs(flows: Frame, matched: Matched) -> Frame:
    """The logs of flows that a payout without proof waits for: of its amount, to its destination, since it was made.

    Such a row has a verdict of its own and the flow is a candidate there. A row that was given up waits for nothing.
    """
    return _fitting(flows, _waiting(matched).filter(~_is_given_up())).select(*_LOG).unique()


_LOG: Final = ("chain_id", "tx_hash", "log_index")


def _is_given_up() -> nw.Expr:
    return nw.col("w_status").is_in(["failed", "cancelled"])


def _waiting(matched: Matched) -> Frame:
    """Rows of money going out that nothing proves, with what each would send where."""
    return (
        matched.payments.filter((nw.col("direction") != "in") & ~nw.col("is_test"))
        .join(_settled(matched), on="payment_id", how="anti")
        .select(
            w_id=nw.col("payment_id"),
            w_status=nw.col("status").fill_null(""),
            w_chain=nw.col("chain_id"),
            w_token=nw.col("token"),
            w_recipient=nw.col("recipient"),
            w_since=nw.col("created_at"),
            w_least=nw.col("covered_from_units"),
            w_most=nw.col("overpaid_from_units"),
        )
        .filter(~nw.col("w_chain").is_null() & ~nw.col("w_token").is_null() & ~nw.col("w_recipient").is_null())
    )


def _fitting(flows: Frame, waiting: Frame) -> Frame:
    """Each flow with each row of its destination and amount that was made before."""
    place = ["chain_id", "token", "recipient"]
    return flows.join(waiting, left_on=place, right_on=["w_chain", "w_token", "w_recipient"], how="inner").filter(
        is_true(nw.col("amount_units") >= nw.col("w_least"))
        & is_true(nw.col("amount_units") < nw.col("w_most"))
        & is_true(nw.col("block_time") >= nw.col("w_since"))
    )


def _without_reason(flows: Frame, tables: Mapping[str, Frame], links: Frame) -> Frame:
    """The flows behind which there is no payment's link, no proxy's log of one, no row's hash and no payout's."""
    log = ["chain_id", "tx_hash", "log_index"]
    explained = links.select(chain_id=nw.col("t_chain"), tx_hash=nw.col("t_tx"), log_index=nw.col("t_log")).unique()
    left = flows.join(explained, on=log, how="anti")
    told = links.filter(nw.col("t_kind") != DEPOSIT_KINDS)
    moved = shown_links(told.filter(nw.col("t_kind") == PAYING_EMITTER), tables["transfers"])
    for recipient in ("t_recipient", "t_fee_recipient"):
        echoes = moved.filter(~nw.col(recipient).is_null()).select(
            chain_id=nw.col("t_chain"), tx_hash=nw.col("t_tx"), recipient=nw.col(recipient)
        )
        left = left.join(echoes.unique(), on=["chain_id", "tx_hash", "recipient"], how="anti")
    # Other contracts swap or hold what they are given, so the transfer out of the wallet names them or a pool.
    others = told.filter(nw.col("t_kind") != PAYING_EMITTER).select(chain_id=nw.col("t_chain"), tx_hash=nw.col("t_tx"))
    left = left.join(others.unique(), on=log[:2], how="anti")
    return left.join(loosely_recorded(tables, links), left_on="tx_hash", right_on="known", how="anti").join(
        keyed_payouts(tables).select("tx_hash", "recipient").unique(), on=["tx_hash", "recipient"], how="anti"
    )


def loosely_recorded(tables: Mapping[str, Frame], links: Frame) -> Frame:
    """The transactions (``known``) that a row records which has no log of its own there.

    That says enough: such a row has a verdict of its own.
    """
    served = links.filter(nw.col("own_hash") & nw.col("is_valid")).select("payment_id", known=nw.col("t_tx"))
    rows = nw.concat(
        [tables[name].select("payment_id", known=nw.col("tx_hash")) for name in ("payments", "context")],
        how="vertical",
    ).filter(~nw.col("known").is_null())
    return rows.join(served, on=["payment_id", "known"], how="anti").select("known").unique()


def keyed_payouts(tables: Mapping[str, Frame]) -> Frame:
    """Transaction, recipient and amount of what a provider lists for an object that has a key of ours."""
    keyed = ~nw.col("external_id").is_null() | ~nw.col("request_id").is_null()
    return tables["claim_txs"].filter(keyed & ~nw.col("tx_hash").is_null() & ~nw.col("recipient").is_null())
