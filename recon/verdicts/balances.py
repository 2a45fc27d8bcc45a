"""Every movement of a known wallet with what explains it. Pure and columnar.

What a wallet held, and every movement, must make what it holds now. Each movement has one explanation, the first that
applies: a *row* (a payment's own log, the token's log behind a proxy's log of one, a payout that waits for its proof, a
row that records the transaction), the *fee* of a proxy, a *payout* that a provider lists under a key of ours, *own*
(between wallets and one-time addresses of ours), or a named *rule*. Otherwise it is *none*.

A proxy's log explains as many logs of the token as it caused: one of its amount to its recipient, one of its fee to its
fee address. A worked example, a wallet that one payout left, and that leaks in the very same transaction::

    movements   wallet -> seller 310    wallet -> fee address 2    wallet -> seller 310 again
    explained   row                     fee                        none
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import narwhals as nw

from recon.core.model import Policy
from recon.core.tables import Schema
from recon.verdicts.engine import Engine
from recon.verdicts.links import DEPOSIT_KINDS, ONE, PAYING_EMITTER, Frame, is_true, one_if
from recon.verdicts.match import Matched
from recon.verdicts.outflows import (
    explaining_links,
    keyed_payouts,
    loosely_recorded,
    one_time_addresses,
    waited_for_logs,
)

MOVED: Final[Schema] = {
    "chain_id": "int", "wallet": "text", "token": "text", "side": "text", "how": "text", "rule": "int",
    "units": "units", "rows": "int", "unread": "int",
}  # fmt: skip
"""Movements by wallet, token, side (``in``, ``out``) and explanation; ``rule`` is the number of a named rule, else -1.
``unread`` of them have an amount that is too long to be summed."""

UNEXPLAINED: Final[Schema] = {
    "chain_id": "int", "wallet": "text", "token": "text", "side": "text", "tx_hash": "text", "log_index": "int",
    "counterparty": "text", "amount_units": "units", "block_time": "int", "final": "bool",
}  # fmt: skip
"""One movement that nothing explains."""

_LOG: Final = ("chain_id", "tx_hash", "log_index")
_ECHO: Final = ("chain_id", "tx_hash", "recipient", "token", "amount")
"""What a proxy's log and the token's own log of it have in common."""


def explained_movements(
    tables: Mapping[str, Frame], matched: Matched, *, wallets: Frame | None, policy: Policy, engine: Engine
) -> Frame | None:
    """Every movement of a known wallet, once for each of its sides that is one, with ``how`` it is explained; if any.

    Args:
        tables: With ``balances`` and ``movements``.
        wallets: What :func:`recon.verdicts.outflows.payout_wallets` gives, where it gives any.
    """
    moves = engine.keep_any(_moves(tables["movements"]))
    if moves is None:
        return None
    links = engine.keep(explaining_links(matched))
    marked = _marked_by_rows(moves, tables, matched, links=links)
    whole = engine.keep(_marked_as_own(marked, tables, wallets=wallets, policy=policy))
    return engine.keep_any(_explained(_sided(whole, tables["balances"]), policy))


def summed_movements(explained: Frame) -> Frame:
    """What :func:`explained_movements` gives, summed (:data:`MOVED`)."""
    by = [name for name in MOVED if name not in ("units", "rows", "unread")]
    counted = explained.with_columns(
        units=nw.col("amount_units"), rows=ONE, unread=one_if(nw.col("amount_units").is_null())
    )
    return counted.group_by(*by).agg(nw.col("units").sum(), nw.col("rows").sum(), nw.col("unread").sum())


def _moves(movements: Frame) -> Frame:
    """The movements that moved something, numbered among those that look alike."""
    moved = movements.filter((nw.col("kind") == DEPOSIT_KINDS) & ~is_true(nw.col("amount_units") <= 0))
    told = moved.select(*_LOG, "token", "sender", "recipient", "amount_units", "block_time", "final").with_columns(
        sender=nw.col("sender").fill_null(""),
        recipient=nw.col("recipient").fill_null(""),
        token=nw.col("token").fill_null(""),
        final=is_true(nw.col("final")),
        amount=nw.col("amount_units").fill_null(0),
        one=ONE,
    )
    return told.with_columns(place=nw.col("one").cum_sum().over(*_ECHO, order_by=["log_index"]))


def _marked_by_rows(moves: Frame, tables: Mapping[str, Frame], matched: Matched, *, links: Frame) -> Frame:
    """The movements with marks of what payments and providers explain."""
    theirs = _theirs(tables, links)
    paid = theirs.filter(nw.col("kind") == PAYING_EMITTER)
    less = is_true(nw.col("moved_units") < nw.col("amount_units"))
    came = nw.when(less).then(nw.col("moved_units")).otherwise(nw.col("amount_units"))
    pays = paid.with_columns(amount=came.fill_null(0))
    fees = paid.filter(is_true(nw.col("fee_units") > 0) & ~nw.col("fee_recipient").is_null()).with_columns(
        recipient=nw.col("fee_recipient"), amount=nw.col("fee_units")
    )
    waited_for = waited_for_logs(moves, matched)
    own_logs = theirs.filter(nw.col("kind") == DEPOSIT_KINDS).select(*_LOG)
    # Other contracts swap or hold what they are given, so the token's log names them or a pool.
    others = theirs.filter((nw.col("kind") != PAYING_EMITTER) & (nw.col("kind") != DEPOSIT_KINDS))
    marked = _counted(_counted(moves, pays, "pays"), fees, "fees")
    marked = _marked(marked, nw.concat([own_logs, waited_for], how="vertical"), "is_row", _LOG)
    marked = _marked(marked, others, "is_other", ("chain_id", "tx_hash"))
    loose = loosely_recorded(tables, links).select(tx_hash=nw.col("known"))
    marked = _marked(marked, loose, "is_recorded", ("tx_hash",))
    return _with_payouts(marked, keyed_payouts(tables))


def _with_payouts(moves: Frame, listed: Frame) -> Frame:
    """The movements with how many payouts a provider lists of that amount, and whether one without an amount."""
    bare = listed.filter(nw.col("amount_units").is_null())
    told = listed.filter(~nw.col("amount_units").is_null()).with_columns(amount=nw.col("amount_units"))
    counted = _counted(moves, told, "payouts", on=("tx_hash", "recipient", "amount"))
    return _marked(counted, bare, "is_bare_payout", ("tx_hash", "recipient"))


def _theirs(tables: Mapping[str, Frame], links: Frame) -> Frame:
    """The transfers that are of a payment: linked to one, or known to a row elsewhere in the collection."""
    linked = links.select(chain_id=nw.col("t_chain"), tx_hash=nw.col("t_tx"), log_index=nw.col("t_log")).unique()
    transfers = tables["transfers"]
    if "orphans" not in tables:
        return transfers.join(linked, on=list(_LOG), how="inner")
    known = tables["orphans"].filter((nw.col("kind") == "transfer") & ~nw.col("payment_id").is_null())
    key = nw.concat_str([nw.col(part).cast(nw.String) for part in _LOG], separator=":")
    elsewhere = transfers.with_columns(key=key).join(known.select("key").unique(), on="key", how="inner").select(*_LOG)
    logs = nw.concat([linked, elsewhere], how="vertical").unique()
    return transfers.join(logs, on=list(_LOG), how="inner")


def _counted(moves: Frame, told: Frame, name: str, *, on: tuple[str, ...] = _ECHO) -> Frame:
    """The movements with how many others tell of one that looks like them."""
    counts = told.select(*on).with_columns(one=ONE).group_by(*on).agg(nw.col("one").sum().alias(name))
    renamed = counts.rename({column: f"e_{column}" for column in on})
    joined = moves.join(renamed, left_on=list(on), right_on=[f"e_{column}" for column in on], how="left")
    return joined.with_columns(nw.col(name).fill_null(0).alias(name))


def _marked(moves: Frame, known: Frame, name: str, on: tuple[str, ...]) -> Frame:
    """The movements with a mark where another frame has the same values."""
    renamed = {f"k_{column}": nw.col(column) for column in on}
    flags = known.select(**renamed).unique().with_columns(nw.lit(value=True).alias(name))
    joined = moves.join(flags, left_on=list(on), right_on=list(renamed), how="left")
    return joined.with_columns(is_true(nw.col(name)).alias(name))


def _marked_as_own(moves: Frame, tables: Mapping[str, Frame], *, wallets: Frame | None, policy: Policy) -> Frame:
    """The movements with ``is_own``: both sides are wallets or one-time addresses of ours."""
    held = tables["balances"].select("chain_id", address=nw.col("wallet"))
    parts = [held] if wallets is None else [held, wallets.select("chain_id", address=nw.col("wallet"))]
    ours = nw.concat(parts, how="vertical").unique()
    named = [*policy.payout_wallets, *policy.merchant_recipients]
    deposits = one_time_addresses(tables)
    is_own = nw.lit(value=True)
    for side in ("sender", "recipient"):
        wallet, deposit = f"{side}_wallet", f"{side}_deposit"
        moves = _marked(moves, ours.select("chain_id", **{side: nw.col("address")}), wallet, ("chain_id", side))
        moves = _marked(moves, deposits.select(**{side: nw.col("known")}), deposit, (side,))
        is_own = is_own & (nw.col(wallet) | nw.col(deposit) | nw.col(side).is_in(named))
    return moves.with_columns(is_own=is_own)


def _sided(moves: Frame, balances: Frame) -> Frame:
    """The movements as each known wallet sees them."""
    held = balances.select(h_chain=nw.col("chain_id"), h_wallet=nw.col("wallet"), h_token=nw.col("token")).unique()
    sides = [("out", "sender", "recipient"), ("in", "recipient", "sender")]
    seen = []
    for side, wallet, other in sides:
        on = ["chain_id", wallet, "token"]
        mine = moves.join(held, left_on=on, right_on=["h_chain", "h_wallet", "h_token"], how="inner")
        told = mine.with_columns(wallet=nw.col(wallet), counterparty=nw.col(other), side=nw.lit(side))
        seen.append(told.select(*UNEXPLAINED, *_EVIDENCE))
    return nw.concat(seen, how="vertical")


_EVIDENCE: Final = ("place", "pays", "fees", "is_row", "is_other", "is_recorded", "payouts", "is_bare_payout", "is_own")


def _explained(sides: Frame, policy: Policy) -> Frame:
    """The movements with ``how`` and ``rule``, and nothing more of what led there."""
    place = nw.col("place")
    rule = _rule(policy)
    how: nw.Expr = nw.lit("none")
    for reason, applies in (
        ("rule", rule >= 0),
        ("own", nw.col("is_own")),
        ("payout", (nw.col("side") == "out") & (nw.col("is_bare_payout") | (place <= nw.col("payouts")))),
        ("row", nw.col("is_other") | nw.col("is_recorded")),
        ("fee", place <= nw.col("pays") + nw.col("fees")),
        ("row", nw.col("is_row") | (place <= nw.col("pays"))),
    ):
        how = nw.when(applies).then(nw.lit(reason)).otherwise(how)
    told = sides.with_columns(how=how, named=rule)
    number = nw.when(nw.col("how") == "rule").then(nw.col("named")).otherwise(nw.lit(-1))
    return told.with_columns(rule=number.cast(nw.Int64)).select(*UNEXPLAINED, "how", "rule")


def _rule(policy: Policy) -> nw.Expr:
    """The number of the first named rule that a movement is about, -1 for none."""
    token = nw.concat_str([nw.col("chain_id").cast(nw.String), nw.lit(":"), nw.col("token")])
    number: nw.Expr = nw.lit(-1)
    for place, rule in list(enumerate(policy.explained))[::-1]:
        is_meant = (nw.col("counterparty") == rule.address) & token.is_in(rule.tokens)
        if rule.wallet is not None:
            is_meant = is_meant & (nw.col("wallet") == rule.wallet)
        if rule.direction is not None:
            is_meant = is_meant & (nw.col("side") == rule.direction)
        number = nw.when(is_meant).then(nw.lit(place)).otherwise(number)
    return number
