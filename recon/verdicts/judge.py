"""One judgement: tables in, breaks and counters out. The rows that are in sync never leave the engine."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import narwhals as nw

from recon.core.model import OPEN_AGES, Policy, Tier, Verdict
from recon.core.tables import Schema, table_without_rows
from recon.verdicts.balances import MOVED, UNEXPLAINED, explained_movements, summed_movements
from recon.verdicts.claims import shown_claims
from recon.verdicts.classify import classify
from recon.verdicts.engine import Engine
from recon.verdicts.ledger import LedgerJudgement, LedgerTerms, evidence_facts, judge_ledger
from recon.verdicts.links import DEPOSIT_KINDS, ONE, Frame, claim_key, dust_below, from_deposits, is_true, shown_links
from recon.verdicts.match import Matched, evidence_of, match_payments
from recon.verdicts.orphans import ORPHANS_MAX, orphan_claims, orphan_transfers
from recon.verdicts.outflows import OUTFLOWS, PAYOUT_WALLETS, payout_wallets, refund_wallets, unexplained_outflows
from recon.verdicts.reach import Horizon
from recon.verdicts.rules import RULE_BOOK, RuleBook

if TYPE_CHECKING:
    import pyarrow as pa

BREAKS: Final[Schema] = {
    "payment_id": "text", "verdict": "text", "findings": "int", "provider": "text", "direction": "text",
    "status": "text", "status_raw": "text", "escrow_state": "text", "disputed": "bool", "hold": "bool",
    "expected_units": "units", "covered_from_units": "units", "overpaid_from_units": "units", "token": "text",
    "chain_id": "int", "recipient": "text", "sender": "text", "reference_topic": "text", "topic": "text",
    "request_id": "text", "external_id": "text", "tx_hash": "text", "tx_hash_raw": "text", "confirmations": "int",
    "safety_status": "text",
    "created_at": "int", "updated_at": "int", "expires_at": "int", "problem": "text", "claim_key": "text",
    "mode": "text", "head_time": "int",
    "received": "units", "received_final": "units", "valid_count": "int", "needed_count": "int",
    "proof_tx": "text", "proof_log": "int", "proof_time": "int", "refund_tx": "text", "back": "units",
    "refund_count": "int", "paid_out_by": "text", "paying_out_by": "text", "going_out_by": "text",
    "misdirected": "text",
    "covered": "bool", "by_word": "bool",
    "covered_by_chain": "bool", "covered_by_scan": "bool", "expired": "bool", "complete": "bool", "open": "bool",
    "aml_hold": "bool", "aml_blocked": "bool", "unfinal": "bool", "safety_hold": "bool", "unasked": "bool",
    "chain_blind": "bool", "hash_unanswered": "bool", "found": "int", "failed": "int", "not_found": "int",
    "paid": "int", "lifi": "int",
    "x_success": "int", "x_reverted": "int", "x_pending": "int", "x_not_found": "int", "x_failed": "int",
    "x_elsewhere": "int",
    "borrowed_hash": "int", "rival_id": "text", "m_indirect": "int", "unread_count": "int",
    "strayed": "int", "surplus_back": "int", "early": "int", "deal_came": "units", "deal_whole": "int",
    "paid_beside": "text", "holds_more": "int", "was_emptied": "int", "unheld": "int", "held": "units",
    "other_coins": "int", "half_landed": "int", "split": "int", "refunds_elsewhere": "int",
    "named_on": "int", "hash_settled": "int", "others_settled": "int",
    "moves": "bool", "last_time": "int", "decimals": "int", "currency": "text", "amount_text": "text",
    "network_raw": "text", "provider_raw": "text", "reference": "text", "safety_reason": "text", "paths": "text",
    "claim_state": "text", "claim_state_raw": "text", "claim_hashes": "text", "claim_id": "text",
    "claim_paid": "units", "claim_balance": "text", "claim_asked": "text",
    "claim_error": "text", "claims": "int", "claims_paid": "units",
}  # fmt: skip
"""Everything a person, a plan or a case file needs of one break."""

LEAD: Final[Schema] = {
    name: BREAKS[name]
    for name in (
        "payment_id", "provider", "direction", "chain_id", "token", "request_id", "reference", "external_id", "tx_hash",
        "covered_by_chain", "proof_tx", "refund_tx", "claim_hashes", "status", "escrow_state", "mode", "recipient",
        "created_at", "updated_at",
    )
}  # fmt: skip
"""What the second reading needs to know of one break."""

BARE: Final[Schema] = {
    "payment_id": "text", "chain_id": "int", "recipient": "text", "token": "text", "created_at": "int",
}  # fmt: skip
"""Incoming payments with a one-time address for which neither chain nor provider shows any money."""

LINKS: Final[Schema] = {
    "payment_id": "text", "t_chain": "int", "t_tx": "text", "t_log": "int", "t_block": "int", "t_time": "int",
    "t_final": "bool", "t_amount": "units", "t_recipient": "text", "t_token": "text", "t_kind": "text",
    "t_topic": "text", "is_valid": "bool", "is_refund": "bool", "wrong_chain": "bool", "wrong_token": "bool",
    "wrong_recipient": "bool", "wrong_reference": "bool", "own_hash": "bool", "t_block_hash": "text",
    "t_stated": "units", "t_unread": "bool", "is_indirect": "bool", "is_spam": "bool", "t_dust": "bool",
    "t_symbol": "text", "t_decimals": "int", "t_sender": "text", "sender_of": "text",
}  # fmt: skip
"""The transfers that belong to, or lead away from, the breaks; ``sender_of`` is the payment whose one-time address
the money came from."""

COUNTS: Final[Schema] = {"verdict": "text", "provider": "text", "chain_id": "int", "rows": "int"}
CAPTURED: Final[Schema] = {"chain_id": "int", "token": "text", "units": "units", "rows": "int"}
OWED: Final[Schema] = {"payment_id": "text", "chain_id": "int", "token": "text", "units": "units"}
OUTFLOW_SCOPE: Final = "outflow"
"""The scope of the coverage rows that say within which outgoing money was looked for on a chain."""
_PROVES_NEITHER: Final = tuple(
    str(verdict) for verdict in (Verdict.DUPLICATE_PROVIDER_KEY, Verdict.DUPLICATE_TX_HASH, Verdict.AMBIGUOUS)
)
"""What several payments claim would be counted once for each of them."""
_UNPAID: Final = (str(Verdict.IN_TRANSIT), str(Verdict.ABANDONED))
_DECIDED: Final = (
    "verdict", "findings", "expired", "complete", "open", "aml_hold", "unfinal", "safety_hold", "unasked",
    "chain_blind", "hash_unanswered", "moves",
)  # fmt: skip
"""The columns of :data:`BREAKS` that the rules make; the others are evidence."""
_FROM_PAYMENTS: Final = (
    "expected_units", "covered_from_units", "overpaid_from_units", "request_id", "external_id",
    "decimals", "currency", "amount_text", "network_raw", "provider_raw", "reference", "safety_reason", "paths",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Judgement:
    """What one judgement gave for a plan; the Arrow tables are sorted by their ids.

    Args:
        breaks: One row of :data:`BREAKS` per payment whose verdict is not benign.
        links: Their transfers, :data:`LINKS`.
        counts: Payments by verdict, provider and chain.
        dust: Transfers to our addresses that are too small to matter, by chain and token.
        captured: Money that is proven on chain and not credited, by chain and token.
        open_by_age: Open incoming payments in scope by age, oldest bucket last; ``over 30 min`` is the runbooks' count.
        outflows: Outgoing money that no row explains (:data:`recon.verdicts.outflows.OUTFLOWS`), at most
            :data:`ORPHANS_MAX`.
        moved: What moved in and out of known wallets, and how it is explained (:data:`recon.verdicts.balances.MOVED`).
        unexplained: Those movements that nothing explains, at most :data:`ORPHANS_MAX`
            (:data:`recon.verdicts.balances.UNEXPLAINED`).
        ledger: What the books show beside the evidence; None where none were asked about.
    """

    breaks: pa.Table
    links: pa.Table
    counts: pa.Table
    captured: pa.Table
    dust: pa.Table
    open_by_age: Mapping[str, int]
    outflows: pa.Table
    moved: pa.Table
    unexplained: pa.Table
    ledger: LedgerJudgement | None = None


@dataclass(frozen=True, slots=True)
class Leads:
    """What the judgement of a first reading says is to be read again; the Arrow tables are sorted by their ids.

    Args:
        breaks: One row of :data:`LEAD` per payment whose verdict is not benign.
        links: Their transfers, :data:`LINKS`.
        silent: Open payments without money that a bulk list does not show, the newest, as rows of :data:`LEAD`.
        orphan_transfers, orphan_claims: Candidates for ``missing_local`` that no row of the window knows.
        payout_wallets: Where proven payouts came from (:data:`recon.verdicts.outflows.PAYOUT_WALLETS`).
        refund_wallets: The same of refunds, and the wallets that unproven rows of money going out record.
        bare: What waits at one-time addresses without any money, rows of :data:`BARE`.
    """

    breaks: pa.Table
    links: pa.Table
    silent: pa.Table
    orphan_transfers: pa.Table
    orphan_claims: pa.Table
    payout_wallets: pa.Table
    refund_wallets: pa.Table
    bare: pa.Table


BEFORE: Final = "before"
"""The scope of a gap over the time before every scan of a chain; it explains no scan that was cut short."""


def horizon_of(coverage: Iterable[Mapping[str, Any]], gaps: Iterable[Mapping[str, Any]], *, now_ms: int) -> Horizon:
    """Turn coverage and gap rows into how far absence can be proven.

    A scope that nobody read is not in the result, so nothing about it is ever proven absent.
    """
    coverage, gaps = list(coverage), list(gaps)
    scanned = [row for row in coverage if _is_scan(row)]
    return Horizon(
        blind_until=_blind_until(scanned, gaps, now_ms=now_ms),
        provider_blind_until=_provider_blind_until(coverage, gaps, now_ms=now_ms),
        now_ms=now_ms,
        head_ms=_heads(scanned, now_ms=now_ms),
        outflow_spans={
            row["chain_id"]: (row["asked_from"], row["asked_to"]) for row in coverage if row["scope"] == OUTFLOW_SCOPE
        },
    )


def _is_scan(row: Mapping[str, Any]) -> bool:
    """Whether a coverage or gap row is about the scan of a chain."""
    return row["chain_id"] is not None and row["scope"] in ("proxy", "erc20")


def _blind_until(
    scanned: Iterable[Mapping[str, Any]], gaps: Collection[Mapping[str, Any]], *, now_ms: int
) -> dict[tuple[int, str], int]:
    """By chain and scope, until when nothing is proven absent; a scan cut short without a gap proves nothing."""
    explained = {(gap["chain_id"], gap["scope"]) for gap in gaps}
    blind: dict[tuple[int, str], int] = {}
    for row in scanned:
        key = (row["chain_id"], row["scope"])
        is_dark = not row["complete"] and key not in explained
        blind[key] = max(blind.get(key, 0), now_ms if is_dark else 0)
    for gap in filter(_is_scan, gaps):
        key = (gap["chain_id"], gap["scope"])
        blind[key] = max(blind.get(key, 0), gap["to_ms"])
    for gap in gaps:
        if gap["scope"] == BEFORE:
            blind.update({key: max(to, gap["to_ms"]) for key, to in blind.items() if key[0] == gap["chain_id"]})
    return blind


def _heads(scanned: Iterable[Mapping[str, Any]], *, now_ms: int) -> dict[int, int]:
    """By chain, the time of the newest block that every scan of it saw."""
    heads: dict[int, int] = {}
    for row in scanned:
        if row.get("head_time") is not None:
            heads[row["chain_id"]] = min(heads.get(row["chain_id"], now_ms), row["head_time"])
    return heads


def _provider_blind_until(
    coverage: Iterable[Mapping[str, Any]], gaps: Iterable[Mapping[str, Any]], *, now_ms: int
) -> dict[str, int]:
    """By provider, until when its bulk window shows nothing for certain."""
    blind: dict[str, int] = {}
    for row in coverage:
        if not _is_scan(row) and row["scope"] == "bulk" and row["asked_from"] is not None:
            until = row["asked_from"] - 1 if row["complete"] else now_ms
            blind[row["source"]] = max(blind.get(row["source"], 0), until)
    for gap in gaps:
        if not _is_scan(gap) and gap["scope"] == "bulk":
            blind[gap["source"]] = max(blind.get(gap["source"], 0), gap["to_ms"])
    return blind


def judge(
    tables: Mapping[str, Frame],
    engine: Engine,
    *,
    horizon: Horizon,
    policy: Policy,
    rules: RuleBook = RULE_BOOK,
    books: LedgerTerms | None = None,
) -> Judgement:
    """Match, classify and count; only breaks and counters leave the engine.

    Args:
        books: How the entries of the backend's ledger are judged, where ``tables`` has them and that is asked.
    """
    found = _Found.of(tables, engine, horizon=horizon, policy=policy, rules=rules)
    wallets = engine.keep_any(payout_wallets(found.matched)) if "out" in found.matched.directions else None
    moved, unexplained = _movements(tables, found.matched, engine, wallets=wallets, policy=policy)
    return Judgement(
        breaks=found.breaks(BREAKS),
        links=found.links(),
        counts=engine.collect(_counts(found.judged), COUNTS, order=["verdict", "provider", "chain_id"]),
        captured=engine.collect(_captured(found.judged), CAPTURED, order=["chain_id", "token"]),
        dust=_dust(found.matched, engine, policy),
        open_by_age=_open_by_age(found.judged, engine),
        outflows=_outflows(tables, found.matched, engine, wallets=wallets, horizon=horizon, policy=policy),
        moved=moved,
        unexplained=unexplained,
        ledger=None if books is None else _ledger(tables, found, terms=books),
    )


def _ledger(tables: Mapping[str, Frame], found: _Found, *, terms: LedgerTerms) -> LedgerJudgement:
    facts = evidence_facts(tables, found.matched, judged=found.judged)
    return judge_ledger(tables, facts, terms=terms, engine=found.engine)


def find_leads(
    tables: Mapping[str, Frame], engine: Engine, *, horizon: Horizon, policy: Policy, silent_max: int
) -> Leads:
    """Judge a first reading for what is to be read again; what only a plan needs is not computed.

    Args:
        silent_max: Of how many payments, at the most, the details are given that rest on a bulk list's silence.
    """
    found = _Found.of(tables, engine, horizon=horizon, policy=policy, rules=RULE_BOOK)
    ways = found.matched.directions
    wallets = payout_wallets(found.matched) if "out" in ways else None
    others = refund_wallets(found.matched) if ways - {"in"} else None
    return Leads(
        breaks=found.breaks(LEAD),
        links=found.links(),
        silent=found.details(engine.keep_any(_silent(found.judged, silent_max)), LEAD),
        orphan_transfers=orphan_transfers(tables, found.matched, engine=engine, policy=policy),
        orphan_claims=orphan_claims(tables, found.matched, engine=engine),
        payout_wallets=_collected(engine, wallets, PAYOUT_WALLETS, order=["chain_id", "wallet"]),
        refund_wallets=_collected(engine, others, PAYOUT_WALLETS, order=["chain_id", "wallet"]),
        bare=_bare(found),
    )


def find_owed(tables: Mapping[str, Frame], engine: Engine, *, horizon: Horizon, policy: Policy) -> pa.Table:
    """Money that is proven on chain and not credited, by payment: the rows of :data:`OWED` behind ``captured``."""
    found = _Found.of(tables, engine, horizon=horizon, policy=policy, rules=RULE_BOOK)
    return engine.collect(_owed(found.judged), OWED, order=["payment_id"])


@dataclass(frozen=True, slots=True)
class _Found:
    """The verdict of every payment, and which of them are breaks.

    Args:
        broken: The breaks with what the rules made of them; None without any.
    """

    engine: Engine
    payments: Frame
    matched: Matched
    judged: Frame
    broken: Frame | None

    @classmethod
    def of(
        cls, tables: Mapping[str, Frame], engine: Engine, *, horizon: Horizon, policy: Policy, rules: RuleBook
    ) -> _Found:
        """Match and classify."""
        benign = [str(rule.verdict) for rule in rules.rules if rule.tier is Tier.BENIGN]
        matched = match_payments(tables, horizon=horizon, policy=policy, engine=engine)
        judged = engine.keep(_narrowed(classify(matched.evidence, horizon=horizon, policy=policy, rules=rules)))
        broken = engine.keep_any(judged.filter(~nw.col("verdict").is_in(benign)).select("payment_id", *_DECIDED))
        return cls(engine, tables["payments"], matched, judged, broken)

    def breaks(self, columns: Schema) -> pa.Table:
        """The breaks in detail."""
        return self.details(self.broken, columns)

    def details(self, chosen: Frame | None, columns: Schema) -> pa.Table:
        """Some payments in detail.

        Args:
            chosen: Their ids and what the rules made of them.
        """
        if chosen is None:
            return _collected(self.engine, None, columns, order=[])
        evidence = evidence_of(self.matched, self.matched.payments.join(chosen, on="payment_id", how="inner"))
        whole = _with_details(self.engine.keep(evidence), self.payments, self.matched.claims)
        return self.engine.collect(whole, columns, order=["payment_id"])

    def links(self) -> pa.Table:
        """The transfers of the breaks."""
        own = None
        if self.broken is not None:
            pairs = self.matched.pairs.join(self.broken.select("payment_id"), on="payment_id", how="inner")
            own = self.engine.keep_any(pairs)
        shown = None if own is None else from_deposits(
            shown_links(own, self.matched.transfers), self.matched.payments
        )  # fmt: skip
        return _collected(self.engine, shown, LINKS, order=["payment_id", "t_chain", "t_block", "t_log", "t_tx"])


def _collected(engine: Engine, frame: Frame | None, columns: Schema, *, order: Sequence[str]) -> pa.Table:
    """A frame as Arrow; no row where there is none."""
    return table_without_rows(columns) if frame is None else engine.collect(frame, columns, order=order)


def _movements(
    tables: Mapping[str, Frame], matched: Matched, engine: Engine, *, wallets: Frame | None, policy: Policy
) -> tuple[pa.Table, pa.Table]:
    """What moved in and out of known wallets, summed by explanation, and each movement that has none."""
    explained = None
    if "movements" in tables:
        explained = explained_movements(tables, matched, wallets=wallets, policy=policy, engine=engine)
    sums = None if explained is None else summed_movements(explained)
    bare = None if explained is None else explained.filter(nw.col("how") == "none").head(ORPHANS_MAX)
    by = ["chain_id", "wallet", "token", "side", "how", "rule"]
    return (
        _collected(engine, sums, MOVED, order=by),
        _collected(engine, bare, UNEXPLAINED, order=["chain_id", "tx_hash", "log_index", "side"]),
    )


def _outflows(
    tables: Mapping[str, Frame],
    matched: Matched,
    engine: Engine,
    *,
    wallets: Frame | None,
    horizon: Horizon,
    policy: Policy,
) -> pa.Table:
    left = unexplained_outflows(
        tables, matched, wallets=wallets, spans=horizon.outflow_spans, policy=policy, engine=engine
    )
    least = None if left is None else left.head(ORPHANS_MAX)
    return _collected(engine, least, OUTFLOWS, order=["chain_id", "tx_hash", "log_index"])


def _silent(judged: Frame, most: int) -> Frame:
    """The newest payments that are called unpaid because a bulk list does not show them."""
    quiet = judged.filter(nw.col("is_silent")).with_columns(one=ONE)
    ranked = quiet.with_columns(place=nw.col("one").cum_sum().over("is_silent", order_by=["age_ms", "payment_id"]))
    return ranked.filter(nw.col("place") <= most).select("payment_id", *_DECIDED)


def _bare(found: _Found) -> pa.Table:
    """What waits at one-time addresses without any money."""
    if "deposit" not in found.matched.modes:
        return table_without_rows(BARE)
    waiting = found.judged.filter(nw.col("is_bare")).select("payment_id")
    return found.engine.collect(
        found.matched.payments.join(waiting, on="payment_id", how="inner").select(*BARE), BARE, order=["payment_id"]
    )


def _narrowed(classified: Frame) -> Frame:
    """What is kept of every payment: its verdict and what is counted; all else is fetched for the breaks alone."""
    scoped = ~nw.col("is_test") & ~nw.col("is_foreign")
    owed = nw.col("covered_by_chain") & nw.col("incoming") & ~nw.col("complete") & ~nw.col("refunded_row")
    whose = nw.col("verdict").is_in(list(_PROVES_NEITHER))
    is_owed = owed & scoped & ~nw.col("is_malformed") & nw.col("refund_tx").is_null() & ~whose
    return classified.filter(nw.col("in_window")).select(
        "payment_id",
        "provider",
        "chain_id",
        "age_ms",
        *_DECIDED,
        is_silent=nw.col("verdict").is_in(list(_UNPAID)) & nw.col("not_asked") & nw.col("is_named"),
        is_bare=(nw.col("nothing") | nw.col("nothing_owed"))
        & nw.col("incoming")
        & nw.col("by_deposit")
        & scoped
        & ~nw.col("recipient").is_null()
        & ~nw.col("created_at").is_null(),
        is_waiting=nw.col("open") & nw.col("incoming") & scoped,
        is_owed=is_owed,
        owed_token=nw.when(is_owed).then(nw.col("token")),
        owed_units=nw.when(is_owed).then(nw.col("received_final")),
    )


def _with_details(breaks: Frame, payments: Frame, claims: Frame) -> Frame:
    details = payments.select("payment_id", *_FROM_PAYMENTS)
    claims = claims.with_columns(claim_key=claim_key(paid_out=nw.col("object") == "payout"))
    told = (
        breaks.filter(~nw.col("claim_key").is_null())
        .select("claim_key")
        .unique()
        .join(claims, on="claim_key", how="inner")
    )
    shown = shown_claims(told)
    return breaks.join(details, on="payment_id", how="left").join(shown, on="claim_key", how="left")


def _counts(judged: Frame) -> Frame:
    return (
        judged.select("verdict", "provider", "chain_id", rows=ONE)
        .group_by("verdict", "provider", "chain_id")
        .agg(nw.col("rows").sum())
    )


def _owed(judged: Frame) -> Frame:
    return judged.filter(nw.col("is_owed")).select(
        "payment_id", "chain_id", token=nw.col("owed_token"), units=nw.col("owed_units")
    )


def _captured(judged: Frame) -> Frame:
    return (
        judged.filter(nw.col("is_owed"))
        .select("chain_id", token=nw.col("owed_token"), units=nw.col("owed_units"), rows=ONE)
        .group_by("chain_id", "token")
        .agg(nw.col("units").sum(), nw.col("rows").sum())
    )


def _dust(matched: Matched, engine: Engine, policy: Policy) -> pa.Table:
    """Transfers too small to matter, to a payment's own address or reference or to one of our wallets."""
    small = is_true(nw.col("amount_units") < dust_below(policy, "chain_id", "token"))
    ours = is_true(nw.col("recipient").is_in([*policy.merchant_recipients, ""]))
    key = ("chain_id", "tx_hash", "log_index")
    tiny = engine.keep_any(
        matched.transfers.filter(
            small & is_true(nw.col("amount_units") > 0) & (nw.col("kind") == DEPOSIT_KINDS)
        ).select(*key, "token", "amount_units", "recipient")
    )
    if tiny is None:
        return table_without_rows(CAPTURED)
    linked = matched.pairs.filter(nw.col("t_dust") & is_true(nw.col("t_amount") > 0)).select(
        chain_id=nw.col("t_chain"), tx_hash=nw.col("t_tx"), log_index=nw.col("t_log")
    )
    keys = nw.concat([tiny.filter(ours).select(*key), linked.select(*key)], how="vertical").unique()
    sums = (
        tiny.join(keys, on=list(key), how="semi")
        .select("chain_id", "token", units=nw.col("amount_units"), rows=ONE)
        .group_by("chain_id", "token")
        .agg(nw.col("units").sum(), nw.col("rows").sum())
    )
    return engine.collect(sums, CAPTURED, order=["chain_id", "token"])


def _open_by_age(judged: Frame, engine: Engine) -> dict[str, int]:
    scoped = judged.filter(nw.col("is_waiting"))
    bucket: Any = nw.lit(OPEN_AGES[-1][0])
    for name, limit in reversed(OPEN_AGES[:-1]):
        bucket = nw.when(is_true(nw.col("age_ms") < limit)).then(nw.lit(name)).otherwise(bucket)
    counted = scoped.select(bucket=bucket, rows=ONE).group_by("bucket").agg(nw.col("rows").sum())
    table = engine.collect(counted, {"bucket": "text", "rows": "int"}, order=["bucket"])
    found = dict(zip(table["bucket"].to_pylist(), table["rows"].to_pylist(), strict=True))
    ages = {name: found.get(name, 0) for name, _ in OPEN_AGES}
    return {**ages, "over 30 min": sum(ages.values()) - ages[OPEN_AGES[0][0]]}
