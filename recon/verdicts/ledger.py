"""The backend's ledger beside the evidence, and by itself. Pure and columnar.

What came in is compared by payment, what went out and back by deal: the rows of one order. A worked example, one
order of 100 USDC whose payout of 97 is proven::

    entries    gross 100 of p1    released 97 of p1              (the fee of 3 was forgotten)
    by deal    gross 100 = came 100    released 97 = went 97     left 3, and the deal is over: out of balance

Names: *booked* is what entries state, *proven* what the evidence shows. Nothing is said of a payment whose verdict
leaves open what moved, of what moved or was booked within the grace, or of a deal with rows that were not read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import narwhals as nw

from recon.core.ledger import LedgerRules
from recon.core.model import COMPLETE, Verdict
from recon.core.tables import table_without_rows
from recon.verdicts.engine import Engine
from recon.verdicts.ledger_tables import (
    ACCOUNT_SUMS,
    ENTRY_SUMS,
    INCOMING_SUMS,
    LEDGER_BREAKS,
    LEFT_SUMS,
    PROVEN_SUMS,
    UNREAD_SUMS,
)
from recon.verdicts.links import ONE, Frame, is_among, is_true, one_if
from recon.verdicts.match import Matched

if TYPE_CHECKING:
    import pyarrow as pa

_V = Verdict
_OPEN_ENDED: Final = tuple(
    map(str, (_V.TEST_PAYMENT, _V.MALFORMED_RECORD, _V.OUT_OF_SCOPE, _V.SIMULATED_HASH, _V.COMPETING_PAYMENT,
              _V.DUPLICATE_PROVIDER_KEY, _V.DUPLICATE_TX_HASH, _V.AMBIGUOUS, _V.STUCK_PENDING,
              _V.INSUFFICIENT_CONFIRMATIONS, _V.AML_BLOCKED, _V.SAFETY_PENDING, _V.LOOKUP_FAILED, _V.UNPROVEN,
              _V.MISSING_REFERENCE))
)  # fmt: skip
"""Verdicts of payments whose money cannot be told, or not yet."""
_NONE_CAME: Final = tuple(
    map(str, (_V.NETWORK_MISMATCH, _V.TOKEN_MISMATCH, _V.RECIPIENT_MISMATCH, _V.REFERENCE_MISMATCH, _V.REORGED,
              _V.TX_REVERTED, _V.TX_NOT_FOUND, _V.PROVIDER_AHEAD, _V.LOCAL_AHEAD, _V.IN_TRANSIT, _V.ABANDONED))
)  # fmt: skip
"""Verdicts that say with coverage that no valid money came."""
_OVER: Final = ("released", "refunded")
_ASSET: Final = ("chain_id", "token")

FACTS: Final = (
    "payment_id", "deal", "chain_id", "token", "direction", "is_told", "came", "back", "is_over", "last_ms",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class LedgerTerms:
    """How the books of a snapshot are judged.

    Args:
        since_ms: Since when entries were read, UTC ms; None means all of them, and every payment.
        taken_ms: When the snapshot was taken, UTC ms.
    """

    rules: LedgerRules
    since_ms: int | None
    taken_ms: int


@dataclass(frozen=True, slots=True)
class LedgerJudgement:
    """What the books of a window show; Arrow tables of the schemas of this module."""

    breaks: pa.Table
    incoming: pa.Table
    entries: pa.Table
    accounts: pa.Table
    left: pa.Table
    proven: pa.Table
    unread: pa.Table
    untold: int


def evidence_facts(tables: Mapping[str, Frame], matched: Matched, *, judged: Frame) -> Frame:
    """What moved for each payment of the window, by the evidence (:data:`FACTS`).

    Args:
        judged: With ``payment_id`` and ``verdict``.
    """
    rows = tables["payments"].select("payment_id", "order_id", "updated_at")
    about = matched.payments.select("payment_id", "chain_id", "token", "direction", "escrow_state", "by_word")
    money = matched.money.select("payment_id", "received", "received_final", "covered_by_chain", "last_time")
    found = judged.select("payment_id", "verdict")
    for more in (rows, about, money):
        found = found.join(more, on="payment_id", how="inner")
    if "back" in matched.told_marks:
        found = found.join(matched.marks.select("payment_id", "back"), on="payment_id", how="left")
    else:
        found = found.with_columns(back=_no_units("received"))
    covered, verdict = is_true(nw.col("covered_by_chain")), nw.col("verdict")
    by_word = is_true(nw.col("by_word")) & ~covered
    is_told = ~verdict.is_in(list(_OPEN_ENDED)) & (covered | verdict.is_in(list(_NONE_CAME)) | by_word)
    return found.with_columns(
        deal=nw.coalesce(nw.col("order_id"), nw.col("payment_id")),
        is_told=is_told,
        came=nw.when(by_word).then(nw.col("received")).otherwise(nw.col("received_final")),
        is_over=one_if(is_among(nw.col("escrow_state"), _OVER)),
        last_ms=_latest("last_time", "updated_at"),
    ).select(*FACTS)


def told_facts(payments: Frame) -> Frame:
    """What moved for each payment by its own word: by this it is found which books are read again."""
    done = is_among(nw.col("status"), {*COMPLETE, "refunded"})
    return payments.filter(~is_true(nw.col("is_test"))).with_columns(
        deal=nw.coalesce(nw.col("order_id"), nw.col("payment_id")),
        is_told=nw.lit(value=True),
        came=nw.when(done).then(nw.col("expected_units")),
        back=nw.when(is_true(nw.col("status") == "refunded")).then(nw.col("expected_units")),
        is_over=one_if(is_among(nw.col("escrow_state"), _OVER)),
        last_ms=nw.lit(0).cast(nw.Int64),
    ).select(*FACTS)  # fmt: skip


def judge_ledger(tables: Mapping[str, Frame], facts: Frame, *, terms: LedgerTerms, engine: Engine) -> LedgerJudgement:
    """Compare the books with the facts, and with themselves.

    Args:
        tables: With ``ledger`` and ``ledger_known``.
        facts: What moved for each payment of the window (:data:`FACTS`).
    """
    books = _Books.of(tables, facts, terms=terms, engine=engine)
    return LedgerJudgement(
        breaks=books.collected(),
        incoming=engine.collect(books.incoming_sums(), INCOMING_SUMS, order=["chain_id", "token"]),
        entries=engine.collect(books.entry_sums(), ENTRY_SUMS, order=["chain_id", "token", "kind", "state"]),
        accounts=engine.collect(books.account_sums(), ACCOUNT_SUMS, order=["account", "chain_id", "token", "kind"]),
        left=engine.collect(books.left_sums(), LEFT_SUMS, order=["chain_id", "token", "state"]),
        proven=engine.collect(books.proven_sums(), PROVEN_SUMS, order=["chain_id", "token", "side"]),
        unread=engine.collect(books.unread_sums(), UNREAD_SUMS, order=["problem", "kind_raw"]),
        untold=_count(engine, facts.filter(~nw.col("is_told"))),
    )


@dataclass(frozen=True, slots=True)
class _Books:
    """The entries with the deals they are of.

    Args:
        raw: All entries as the table has them.
        live: The same with ``deal`` and ``state``, less those that were taken back exactly, and what took them back.
        every: All of them that were read whole.
        deals: By deal: how many rows of each direction, whether all were told, whether it is over, last move.
        left: By deal and token what entries leave.
    """

    engine: Engine
    rules: LedgerRules
    raw: Frame
    live: Frame
    every: Frame
    facts: Frame
    deals: Frame
    left: Frame
    since_ms: int | None

    @classmethod
    def of(cls, tables: Mapping[str, Frame], facts: Frame, *, terms: LedgerTerms, engine: Engine) -> _Books:
        """The entries, each placed in its deal."""
        facts = engine.keep(facts)
        raw = tables["ledger"]
        known = engine.keep(tables["ledger_known"])
        placed = engine.keep(_placed(raw, facts, known))
        whole = placed.filter(nw.col("problem").is_null() & ~nw.col("units").is_null())
        deals = engine.keep(_deals(facts, placed, known, terms=terms))
        return cls(
            engine,
            terms.rules,
            raw,
            engine.keep(_live(placed)),
            whole,
            facts,
            deals,
            engine.keep(_left(whole)),
            terms.since_ms,
        )

    def collected(self) -> pa.Table:
        """Everything that is the matter, in one table."""
        import pyarrow as pa

        order = ["what", "deal", "payment_id", "chain_id", "token", "kind", "entry_id"]
        found = [self.engine.collect(each, LEDGER_BREAKS, order=order) for each in self.breaks() if each is not None]
        return pa.concat_tables([table_without_rows(LEDGER_BREAKS), *found])

    def breaks(self) -> tuple[Frame | None, ...]:
        """Everything that is the matter, each kind of it as a frame; None where there is none."""
        keep = self.engine.keep_any
        return (
            keep(self._gross()),
            keep(self._out("released", "went")),
            keep(self._out("refunded", "back")),
            keep(self._unknown()),
            keep(self._misplaced()),
            *map(keep, self._reversals()),
            keep(self._uneven_groups()),
            *map(keep, self._off_balance()),
        )

    def _open(self) -> Frame:
        """The deals of which something can be said."""
        return self.deals.filter(nw.col("is_settled") & (nw.col("bad_entries") == 0))

    def _gross(self) -> Frame:
        """What came in, payment by payment, where it differs from what is booked of it."""
        off = _compared(*self._incoming(), by=("payment_id", *_ASSET))
        placed = off.join(self.facts.select("payment_id", "deal"), on="payment_id", how="inner")
        named = placed.join(self._open().select("deal"), on="deal", how="inner")
        return _as_breaks(named, what="gross", kind="gross")

    def _incoming(self) -> tuple[Frame, Frame]:
        """What is booked of the pay-ins whose money can be told, and what came."""
        own = self.every.filter((nw.col("kind") == "gross") & (nw.col("state") == "deal"))
        incoming = self.facts.filter((nw.col("direction") == "in") & nw.col("is_told"))
        booked = own.join(incoming.select("payment_id"), on="payment_id", how="inner").select(
            "payment_id", *_ASSET, "entry_id", booked=nw.col("units"), proven=_no_units("units"), entries=ONE
        )
        came = incoming.filter(is_true(nw.col("came") > 0)).select(
            "payment_id", *_ASSET, entry_id=_no_text(), booked=_no_units("came"), proven=nw.col("came"),
            entries=nw.lit(0).cast(nw.Int64),
        )  # fmt: skip
        return booked, came

    def incoming_sums(self) -> Frame:
        """What came in, and what is booked of it."""
        same = [each.select(*_ASSET, "booked", "proven") for each in self._incoming()]
        return nw.concat(same, how="vertical").group_by(*_ASSET).agg(nw.col("booked").sum(), nw.col("proven").sum())

    def _out(self, kind: str, side: str) -> Frame:
        """What went to sellers, or back to buyers, deal by deal, beside what is booked of it."""
        whole = self._open().filter((nw.col("untold") == 0) & nw.col("is_whole"))
        # A backend may mark the pay-in as released and keep no row of the payout: then nothing tells what went.
        fits = (nw.col("n_out") > 0) | (nw.col("is_over") == 0) if side == "went" else nw.col("n_in") < 2
        whole = whole.filter(fits)
        booked = self.every.filter((nw.col("kind") == kind) & (nw.col("state") == "deal")).select(
            "deal", *_ASSET, "entry_id", booked=nw.col("units"), proven=_no_units("units"), entries=ONE
        )
        moved = self._moved(side).select(
            "deal", *_ASSET, entry_id=_no_text(), booked=_no_units("units"), proven=nw.col("units"),
            entries=nw.lit(0).cast(nw.Int64),
        )  # fmt: skip
        off = _compared(booked, moved, by=("deal", *_ASSET)).join(whole.select("deal"), on="deal", how="inner")
        return _as_breaks(off.with_columns(payment_id=_no_text()), what=kind, kind=kind)

    def _moved(self, side: str) -> Frame:
        """What went out (``went``), or back (``back``) by the pay-ins, and by refund rows where there is no pay-in."""
        told = self.facts.filter(nw.col("is_told"))
        if side == "went":
            found = told.filter(nw.col("direction") == "out").with_columns(units=nw.col("came"))
        else:
            pay_ins = told.filter(nw.col("direction") == "in").with_columns(units=nw.col("back"))
            alone = told.filter(nw.col("direction") == "refund").with_columns(units=nw.col("came"))
            alone = alone.join(pay_ins.select("deal"), on="deal", how="anti")
            found = nw.concat([pay_ins, alone], how="vertical")
        return found.filter(is_true(nw.col("units") > 0)).select("payment_id", "deal", *_ASSET, "units")

    def _unknown(self) -> Frame:
        """Entries of payments and deals that the whole collection does not know, or that name none."""
        lost = self.live.filter(nw.col("state") == "unknown")
        return _of_entries(lost, what="unknown")

    def _misplaced(self) -> Frame:
        """Entries in an account that their kind may not stand in."""
        wrong: Any = nw.lit(value=False)
        for kind, names in sorted(self.rules.accounts.items()):
            exact = [name for name in names if not name.endswith("*")]
            fits = is_among(nw.col("account"), exact)
            for name in names:
                if name.endswith("*"):
                    fits = fits | is_true(nw.col("account").str.starts_with(name[:-1]))
            wrong = wrong | (is_true(nw.col("kind") == kind) & ~fits)
        read = nw.col("problem").is_null() & (nw.col("reach") != "old")
        return _of_entries(self.live.filter(wrong & read), what="account")

    def _reversals(self) -> tuple[Frame, ...]:
        """Entries that take another back: it is not there, is one itself, is another's amount, or was taken back."""
        taking = self.every.filter(~nw.col("reverses").is_null() & (nw.col("reach") != "old"))
        targets = self.raw.select(
            reverses=nw.col("entry_id"), o_units=nw.col("units"), o_kind=nw.col("kind"), o_token=nw.col("token"),
            o_chain=nw.col("chain_id"), o_account=nw.col("account").fill_null(""), o_reverses=nw.col("reverses"),
            is_there=ONE,
        )  # fmt: skip
        found = self.engine.keep(taking.join(targets, on="reverses", how="left"))
        there = is_true(nw.col("is_there") == 1)
        chained = there & ~nw.col("o_reverses").is_null()
        same = (
            is_true(nw.col("o_units") == nw.col("undoes_units"))
            & is_true(nw.col("o_kind") == nw.col("kind"))
            & is_true(nw.col("o_token") == nw.col("token"))
            & is_true(nw.col("o_chain") == nw.col("chain_id"))
            & (nw.col("o_account") == nw.col("account").fill_null(""))
        )
        crowd = taking.select("reverses", one=ONE).group_by("reverses").agg(nw.col("one").sum())
        twice = taking.join(crowd.filter(nw.col("one") > 1).select("reverses"), on="reverses", how="inner")
        return (
            _of_entries(found.filter(~there), what="reverses_unknown"),
            _of_entries(found.filter(chained), what="reverses_reversal"),
            _of_entries(found.filter(there & ~chained & ~same), what="reversal_differs"),
            _of_entries(twice, what="reversed_twice"),
        )

    def _uneven_groups(self) -> Frame:
        """Groups of double books that do not make zero, but for those that may have begun before the reading."""
        legs = self.live.filter(
            nw.col("problem").is_null() & ~nw.col("group_id").is_null() & ~nw.col("balance_units").is_null()
        )
        broken = self.raw.filter(~nw.col("problem").is_null()).select("group_id").unique()
        sums = (
            legs.select("group_id", *_ASSET, "deal", "entry_id", "balance_units", "at", one=ONE)
            .group_by("group_id", *_ASSET)
            .agg(
                nw.col("balance_units").sum().alias("booked"),
                nw.col("one").sum().alias("entries"),
                nw.col("entry_id").min(),
                nw.col("deal").min(),
                nw.col("at").min(),
            )
            .filter(is_true(nw.col("booked") != 0))
        )
        if self.since_ms is not None:
            sums = sums.filter(~is_true(nw.col("at") < self.since_ms + _GROUP_MS))
        uneven = sums.join(broken, on="group_id", how="anti")
        return uneven.select(
            "deal", *_ASSET, "booked", "entries", "entry_id", what=nw.lit("group"), payment_id=_no_text(),
            kind=_no_text(), account=_no_text(), proven=_no_units("booked"),
            other_id=nw.col("group_id"), amount_text=_no_text(),
        )  # fmt: skip

    def _off_balance(self) -> tuple[Frame, ...]:
        """Deals that gave more than they had, gave it before they had it, or are over and still hold some."""
        whole = self._open().filter(nw.col("is_whole")).select("deal", "is_over", "n_in")
        left = self.left.join(whole, on="deal", how="inner")
        below = is_true(nw.col("left") < 0)
        early = ~below & (nw.col("ours") == 0) & is_true(nw.col("first_out") < nw.col("first_in"))
        over = is_true(nw.col("left") > 0) & (nw.col("is_over") == 1) & (nw.col("n_in") > 0)
        cases = [(below, "overdrawn"), (early, "early")] + ([(over, "after_end")] if self.rules.books_fees else [])
        return tuple(
            left.filter(case).select(
                "deal", *_ASSET, "entries", "entry_id", what=nw.lit(what), payment_id=_no_text(), kind=_no_text(),
                account=_no_text(), booked=nw.col("left"), proven=_no_units("left"),
                other_id=_no_text(), amount_text=_no_text(),
            )
            for case, what in cases
        )  # fmt: skip

    def entry_sums(self) -> Frame:
        """All entries of the window, summed."""
        inside = self.every.filter(nw.col("reach") != "old")
        return (
            inside.select(*_ASSET, "decimals", "kind", "state", "units", "effect_units", entries=ONE)
            .group_by(*_ASSET, "decimals", "kind", "state")
            .agg(nw.col("entries").sum(), nw.col("units").sum(), nw.col("effect_units").sum())
        )

    def account_sums(self) -> Frame:
        """The same by account."""
        inside = self.every.filter((nw.col("reach") != "old") & ~nw.col("account").is_null())
        return (
            inside.select("account", *_ASSET, "decimals", "kind", "units", "balance_units", entries=ONE)
            .group_by("account", *_ASSET, "decimals", "kind")
            .agg(nw.col("entries").sum(), nw.col("units").sum(), nw.col("balance_units").sum())
        )

    def left_sums(self) -> Frame:
        """What is left of deals, by what that means."""
        about = self.deals.select("deal", "is_over", "is_beside")
        left = self.left.join(about, on="deal", how="left")
        below, above = is_true(nw.col("left") < 0), is_true(nw.col("left") > 0)
        over = is_true(nw.col("is_over") == 1)
        state = (
            nw.when(is_true(nw.col("is_beside"))).then(nw.lit("reaches out of the window"))
            .when(below).then(nw.lit("overdrawn"))
            .when(above & over).then(nw.lit("after the end"))
            .when(above).then(nw.lit("held"))
            .otherwise(nw.lit("even"))
        )  # fmt: skip
        rows = left.select(*_ASSET, state=state, units=nw.col("left"), deals=ONE)
        return rows.group_by(*_ASSET, "state").agg(nw.col("deals").sum(), nw.col("units").sum())

    def proven_sums(self) -> Frame:
        """What the evidence shows."""
        came = self.facts.filter((nw.col("direction") == "in") & nw.col("is_told") & is_true(nw.col("came") > 0))
        parts = [came.select(*_ASSET, side=nw.lit("came"), units=nw.col("came"), rows=ONE)]
        parts += [self._moved(side).select(*_ASSET, "units", side=nw.lit(side), rows=ONE) for side in ("went", "back")]
        same = [part.select(*_ASSET, "side", "units", "rows") for part in parts]
        return (
            nw.concat(same, how="vertical").group_by(*_ASSET, "side").agg(nw.col("rows").sum(), nw.col("units").sum())
        )

    def unread_sums(self) -> Frame:
        """Entries that enter no sum, by the reason."""
        bad = self.raw.filter(~nw.col("problem").is_null())
        return (
            bad.select("problem", "entry_id", kind_raw=nw.col("kind_raw").fill_null(""), entries=ONE)
            .group_by("problem", "kind_raw")
            .agg(nw.col("entries").sum(), nw.col("entry_id").min())
        )


_GROUP_MS: Final = 3_600_000
"""The legs of one group are written within so long of each other."""


def _placed(raw: Frame, facts: Frame, known: Frame) -> Frame:
    """Entries with the deal they are of, and a pay-in that is not named but is the only one of its deal."""
    own = facts.select("payment_id", p_deal=nw.col("deal"))
    sole = (
        facts.filter(nw.col("direction") == "in")
        .select("deal", "payment_id", one=ONE)
        .group_by("deal")
        .agg(nw.col("one").sum(), nw.col("payment_id").min().alias("sole_id"))
    )
    alone = sole.filter(nw.col("one") == 1).select("sole_id", deal_id=nw.col("deal"))
    read = facts.select(deal_id=nw.col("deal"), deal_read=ONE).unique()
    looked = known.select(lookup=nw.col("kind"), lookup_key=nw.col("key"), found=nw.col("rows"))
    by_payment = looked.filter(nw.col("lookup") == "payment").select(
        payment_id=nw.col("lookup_key"), payment_found=nw.col("found")
    )
    by_deal = looked.filter(nw.col("lookup") == "deal").select(deal_id=nw.col("lookup_key"), deal_found=nw.col("found"))
    found = raw
    for more, key in ((own, "payment_id"), (by_payment, "payment_id"), (alone, "deal_id"), (read, "deal_id"),
                      (by_deal, "deal_id")):  # fmt: skip
        found = found.join(more, on=key, how="left")
    in_deal = nw.col("deal_read").fill_null(0) == 1
    no_payment = nw.col("payment_id").is_null()
    is_lost = ~no_payment & nw.col("p_deal").is_null() & is_true(nw.col("payment_found") == 0)
    deal_lost = no_payment & ~nw.col("deal_id").is_null() & ~in_deal & is_true(nw.col("deal_found") == 0)
    bare = no_payment & nw.col("deal_id").is_null() & is_among(nw.col("kind"), ("gross", "released", "refunded"))
    loose = no_payment & nw.col("deal_id").is_null()
    state = (
        nw.when(is_lost | deal_lost | bare).then(nw.lit("unknown"))
        .when(~nw.col("p_deal").is_null() | (no_payment & in_deal)).then(nw.lit("deal"))
        .when(loose).then(nw.lit("loose"))
        .otherwise(nw.lit("beside"))
    )  # fmt: skip
    names = [name for name in _KEPT if name not in ("payment_id",)]
    return found.with_columns(
        state=nw.when(nw.col("reach") == "old").then(nw.lit("old")).otherwise(state),
        deal=nw.coalesce(nw.col("p_deal"), nw.col("deal_id"), nw.col("payment_id")),
        payment_id=nw.coalesce(nw.col("payment_id"), nw.col("sole_id")),
    ).select("payment_id", "deal", "state", *names)


def _live(placed: Frame) -> Frame:
    """Entries without those that exactly one other took back exactly, and without what took them back."""
    taking = placed.filter(~nw.col("reverses").is_null())
    back = taking.select(
        entry_id=nw.col("reverses"), back_id=nw.col("entry_id"), back_units=nw.col("undoes_units"),
        is_bare=one_if(nw.col("units").is_null()), one=ONE,
    )  # fmt: skip
    once = back.group_by("entry_id").agg(nw.col("one").sum()).filter(nw.col("one") == 1).select("entry_id")
    pairs = placed.select("entry_id", "units", "reverses").join(
        back.select("entry_id", "back_id", "back_units", "is_bare").join(once, on="entry_id", how="inner"),
        on="entry_id", how="inner",
    )  # fmt: skip
    exact = is_true(nw.col("units") == nw.col("back_units")) | (nw.col("units").is_null() & (nw.col("is_bare") == 1))
    settled = pairs.filter(exact & nw.col("reverses").is_null())
    done = nw.concat([settled.select("entry_id"), settled.select(entry_id=nw.col("back_id"))], how="vertical")
    return placed.join(done, on="entry_id", how="anti")


_KEPT: Final = (
    "payment_id", "entry_id", "kind", "account", "chain_id", "token", "decimals", "units", "undoes_units",
    "effect_units", "balance_units", "at", "reverses", "is_ours", "group_id", "reach", "problem",
    "amount_text",
)  # fmt: skip


def _deals(facts: Frame, placed: Frame, known: Frame, *, terms: LedgerTerms) -> Frame:
    """The deals of the window: rows by direction, what is untold, whether every row of it was read (``is_whole``)."""
    incoming, outgoing = nw.col("direction") == "in", nw.col("direction") == "out"
    rows = facts.select(
        "deal", "last_ms", n_in=one_if(incoming), n_out=one_if(outgoing), untold=one_if(~nw.col("is_told")),
        open_rows=one_if(incoming & (nw.col("is_over") == 0)),
    )  # fmt: skip
    sums = rows.group_by("deal").agg(
        *[nw.col(name).sum() for name in ("n_in", "n_out", "untold", "open_rows")], nw.col("last_ms").max()
    )
    booked = placed.filter(nw.col("state") == "deal").select(
        "deal", "at", bad=one_if(~nw.col("problem").is_null())
    ).group_by("deal").agg(nw.col("bad").sum(), nw.col("at").max())  # fmt: skip
    looked = known.filter(nw.col("kind") == "deal").select(deal=nw.col("key"), beside=nw.col("rows"))
    reach = placed.filter(nw.col("state") == "beside").select("deal", reaches=ONE).unique()
    found = sums
    for more in (booked, looked, reach):
        found = found.join(more, on="deal", how="left")
    is_beside = is_true(nw.col("beside") > 0) | ~nw.col("reaches").is_null()
    settled_ms = terms.taken_ms - terms.rules.grace_ms
    is_alone = is_true(nw.col("beside") == 0) if terms.since_ms is not None else ~is_beside
    return found.with_columns(
        bad_entries=nw.col("bad").fill_null(0),
        is_over=one_if(nw.col("open_rows") == 0),
        is_settled=~is_true(nw.col("last_ms") > settled_ms) & ~is_true(nw.col("at") > settled_ms),
        is_beside=is_beside,
        is_whole=is_alone & ~is_beside,
    ).select("deal", "n_in", "n_out", "untold", "bad_entries", "is_over", "is_settled", "is_beside", "is_whole")


def _left(whole: Frame) -> Frame:
    """By deal and token what entries leave, and when the first unit came in and the first went out."""
    own = whole.filter(nw.col("state") == "deal")
    lifts = is_true(nw.col("effect_units") > 0)
    lowers = is_true(nw.col("effect_units") < 0) & is_among(nw.col("kind"), ("released", "refunded", "held"))
    taken_back = ~nw.col("reverses").is_null()
    told = own.select(
        "deal", *_ASSET, "entry_id", left=nw.col("effect_units"), entries=ONE, ours=one_if(nw.col("is_ours")),
        first_in=nw.when(lifts & ~taken_back).then(nw.col("at")),
        first_out=nw.when(lowers & ~taken_back).then(nw.col("at")),
    )  # fmt: skip
    return told.group_by("deal", *_ASSET).agg(
        nw.col("left").sum(), nw.col("entries").sum(), nw.col("entry_id").min(), nw.col("first_in").min(),
        nw.col("first_out").min(), nw.col("ours").sum(),
    )  # fmt: skip


def _compared(booked: Frame, proven: Frame, *, by: tuple[str, ...]) -> Frame:
    """Two lists of amounts, summed by their key; only where the sums differ."""
    columns = (*by, "entry_id", "booked", "proven", "entries")
    both = nw.concat([booked.select(*columns), proven.select(*columns)], how="vertical")
    sums = both.group_by(*by).agg(
        nw.col("booked").sum(), nw.col("proven").sum(), nw.col("entries").sum(), nw.col("entry_id").min()
    )
    return sums.filter(_differ(nw.col("booked"), nw.col("proven")))


def _differ(left: nw.Expr, right: nw.Expr) -> nw.Expr:
    """Whether two sums differ; one of nothing at all is zero."""
    bare = (left.is_null() & is_true(right != 0)) | (right.is_null() & is_true(left != 0))
    return is_true(left != right) | bare


def _as_breaks(off: Frame, *, what: str, kind: str) -> Frame:
    return off.with_columns(
        what=nw.lit(what), kind=nw.lit(kind), account=_no_text(), other_id=_no_text(), amount_text=_no_text()
    ).select(*LEDGER_BREAKS)


def _of_entries(entries: Frame, *, what: str) -> Frame:
    return entries.select(
        "payment_id", "deal", *_ASSET, "kind", "account", "entry_id", what=nw.lit(what), booked=nw.col("units"),
        proven=_no_units("units"), entries=ONE, other_id=nw.col("reverses"),
        amount_text=nw.col("amount_text"),
    ).select(*LEDGER_BREAKS)  # fmt: skip


def _no_text() -> nw.Expr:
    return nw.lit(None).cast(nw.String)


def _no_units(like: str) -> nw.Expr:
    """A null of the type of a column that is there: engines spell decimals differently."""
    return nw.when(nw.lit(value=False)).then(nw.col(like))


def _latest(first: str, second: str) -> nw.Expr:
    a, b = nw.col(first).fill_null(0), nw.col(second).fill_null(0)
    return nw.when(a > b).then(a).otherwise(b)


def _count(engine: Engine, frame: Frame) -> int:
    found = engine.collect(frame.select("payment_id"), {"payment_id": "text"}, order=["payment_id"])
    return int(found.num_rows)
