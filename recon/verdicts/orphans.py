"""Money and provider objects that no row knows: candidates for ``missing_local``. Columnar.

What reached one of our addresses, or stands at our provider account, and is named by no row of the window is looked up
in the whole collection; what no row there knows either is nobody's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import narwhals as nw

from recon.core.model import Policy
from recon.core.tables import Schema, table_without_rows
from recon.sources.providers.installed import rails_that_show_only_their_own, rails_with_other_business
from recon.verdicts.engine import Engine
from recon.verdicts.links import DEPOSIT_KINDS, ONE, Frame, dust_below, is_among, is_true
from recon.verdicts.match import Matched
from recon.verdicts.outflows import one_time_addresses

if TYPE_CHECKING:
    import pyarrow as pa

ORPHANS_MAX: Final = 100_000
"""Most candidates for ``missing_local`` that one run looks up in the whole collection."""


def _known(tables: Mapping[str, Frame], held: Frame | None, *columns: str) -> Frame:
    """Every value that a row of the window or its context holds in one of these columns; kinds of ids never collide.

    Values may come twice: this is only ever used to find what is not in it.

    Args:
        held: The further keys of payments, where there are any.
    """
    found = [tables[name].select(known=nw.col(column)) for name in ("payments", "context") for column in columns]
    further = "reference_topic" if columns == ("reference_topic",) else "value"
    if held is not None and columns != ("tx_hash",):
        found.append(held.select(known=nw.col(further)))
    return nw.concat(found, how="vertical").filter(~nw.col("known").is_null())


ORPHAN_TRANSFERS: Final[Schema] = {
    "chain_id": "int", "tx_hash": "text", "log_index": "int", "kind": "text", "token": "text", "recipient": "text",
    "amount_units": "units", "block_time": "int", "reference_topic": "text", "final": "bool", "sender": "text",
}  # fmt: skip
ORPHAN_CLAIMS: Final[Schema] = {
    "provider": "text", "object": "text", "claim_id": "text", "request_id": "text", "reference": "text",
    "external_id": "text", "state": "text", "paid_units": "units", "chain_id": "int", "token": "text",
    "tx_hashes": "text", "created_at": "int",
}  # fmt: skip


def lost_rows(tables: Mapping[str, Frame], engine: Engine) -> tuple[pa.Table, pa.Table]:
    """The transfers and the claims among ``orphans`` that no row of the whole collection knows, in order of their keys.

    Gives :data:`ORPHAN_TRANSFERS` and :data:`ORPHAN_CLAIMS` with the ``key`` of each.
    """
    unknown = tables["orphans"].filter(nw.col("payment_id").is_null())
    found = []
    for kind, name, parts, columns in (
        ("transfer", "transfers", ("chain_id", "tx_hash", "log_index"), ORPHAN_TRANSFERS),
        ("claim", "claims", ("provider", "object", "claim_id"), ORPHAN_CLAIMS),
    ):
        keys = unknown.filter(nw.col("kind") == kind).select("key")
        key = nw.concat_str([nw.col(part).cast(nw.String) for part in parts], separator=":")
        rows = tables[name].with_columns(key=key).join(keys, on="key", how="semi")
        found.append(engine.collect(rows, {"key": "text", **columns}, order=["key"]))
    return found[0], found[1]


def orphan_transfers(tables: Mapping[str, Frame], matched: Matched, *, engine: Engine, policy: Policy) -> pa.Table:
    """Money that reached one of our recipients and that no row of the window knows by reference or hash.

    One transaction may pay several references. That a row records its hash explains another reference in it only as
    long as the row has no log of its own there. What a row's own one-time address sends is money that came before.
    """
    by_reference = matched.payments.filter((nw.col("mode") == "reference") & (nw.col("direction") == "in"))
    shown = by_reference.filter(~nw.col("recipient").is_null()).select("recipient", is_shown=ONE).unique()
    money = tables["transfers"].filter(
        is_true(nw.col("token_known"))
        & is_true(nw.col("amount_units") > 0)
        & ~is_true(nw.col("amount_units") < dust_below(policy, "chain_id", "token"))
    )
    ours = (
        money.join(shown, on="recipient", how="left")
        .filter(
            nw.col("recipient").is_in([*policy.merchant_recipients, ""])
            | (is_true(nw.col("is_shown") > 0) & (nw.col("kind") == DEPOSIT_KINDS))
        )
        .join(_past_proxy(matched), on=["chain_id", "tx_hash", "log_index"], how="anti")
    )
    logged = (
        tables["transfers"]
        .filter(nw.col("kind") != DEPOSIT_KINDS)
        .select("tx_hash", "recipient", "token", "chain_id")
        .unique()
    )
    plain = (
        ours.filter(nw.col("kind") == DEPOSIT_KINDS)
        .join(logged, on=["tx_hash", "recipient", "token", "chain_id"], how="anti")
        .with_columns(from_address=nw.col("sender").fill_null(""))
        .join(one_time_addresses(tables), left_on="from_address", right_on="known", how="anti")
    )
    proxied = ours.filter(nw.col("kind") == "fee_proxy")
    candidates = engine.keep(
        nw.concat([plain.select(*ORPHAN_TRANSFERS), proxied.select(*ORPHAN_TRANSFERS)], how="vertical")
    )
    keyed = candidates.with_columns(topic_key=nw.col("reference_topic").fill_null(""))
    known_topics = _known(tables, matched.held, "reference_topic")
    if matched.topics is not None:
        known_topics = nw.concat([known_topics, matched.topics.select(known=nw.col("topic"))])
    strange = engine.keep_any(keyed.join(known_topics, left_on="topic_key", right_on="known", how="anti"))
    if strange is None:
        return table_without_rows(ORPHAN_TRANSFERS)
    recorded = _known(tables, matched.held, "tx_hash")
    served = matched.pairs.filter(nw.col("is_valid") & nw.col("own_hash")).select("payment_id", known=nw.col("t_tx"))
    loose = (
        matched.payments.filter(~nw.col("tx_hash").is_null())
        .select("payment_id", known=nw.col("tx_hash"))
        .join(served, on=["payment_id", "known"], how="anti")
        .select("known")
    )
    is_logged = nw.col("kind") != DEPOSIT_KINDS
    unknown = nw.concat(
        [
            strange.filter(~is_logged).join(recorded, left_on="tx_hash", right_on="known", how="anti"),
            strange.filter(is_logged).join(loose, left_on="tx_hash", right_on="known", how="anti"),
        ],
        how="vertical",
    ).head(ORPHANS_MAX)
    return engine.collect(unknown, ORPHAN_TRANSFERS, order=["chain_id", "tx_hash", "log_index"])


def _past_proxy(matched: Matched) -> Frame:
    """Transfers of which a break tells already: they came to the address of one payment, without its reference.

    Nothing is wrong with what a bridge brought by the provider's word, which is no proof either.
    """
    wrong = nw.col("wrong_chain") | nw.col("wrong_token") | nw.col("wrong_recipient")
    bare = ~wrong & ~nw.col("is_valid") & ~nw.col("is_refund") & ~nw.col("is_indirect")
    astray = matched.pairs.filter((nw.col("wrong_reference") | bare) & (nw.col("t_kind") == DEPOSIT_KINDS))
    return astray.select(chain_id=nw.col("t_chain"), tx_hash=nw.col("t_tx"), log_index=nw.col("t_log")).unique()


def orphan_claims(tables: Mapping[str, Frame], matched: Matched, *, engine: Engine) -> pa.Table:
    """Objects of our provider account that no row of the window knows.

    A bare outgoing transaction without any key of ours is no such object: gateways sweep their wallets. Where objects
    are a wallet's own addresses, one to which nothing came is none either.
    """
    is_bare = is_among(nw.col("provider"), rails_that_show_only_their_own()) & nw.col("tx_hashes").is_null()
    keyed = ~nw.col("request_id").is_null() | ~nw.col("reference").is_null() | ~nw.col("external_id").is_null()
    found = tables["claims"].filter(is_true(nw.col("outcome") == "found") & keyed & ~is_true(is_bare))
    found = found.filter(~is_among(nw.col("provider"), rails_with_other_business()))
    unknown = found.select(*ORPHAN_CLAIMS)
    own = ("request_id", "external_id")
    keys = (*own, "reference", "tx_hashes")
    for column in own:
        unknown = _without(unknown, column, _known(tables, matched.held, column))
    left = engine.keep_any(unknown)
    if left is None:
        return table_without_rows(ORPHAN_CLAIMS)
    known = _known(tables, matched.held, "request_id", "reference", "external_id", "tx_hash")
    for column in keys:
        left = _without(left, column, known)
    return engine.collect(left.head(ORPHANS_MAX), ORPHAN_CLAIMS, order=["provider", "object", "claim_id"])


def _without(claims: Frame, column: str, known: Frame) -> Frame:
    """The claims of which one column holds nothing that is known."""
    keyed = claims.with_columns(sought=nw.col(column).fill_null(""))
    return keyed.join(known, left_on="sought", right_on="known", how="anti").drop("sought")
