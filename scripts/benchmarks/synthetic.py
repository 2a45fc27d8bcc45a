"""A sealed snapshot of any size, made by DuckDB as columns: the same rows for the same size, 5 % of them breaks.

Every payment has one claim and there are as many transfers as payments; 85 % are Request Network payments found by
reference, 15 % SHKeeper invoices found by deposit address, over five chains. The breaks are written a second time, as
a real run reads them again, with the document of each. Rows of claims and transfers lie in another order than their
payments.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import duckdb

    from recon.snapshots.sealed import SnapshotWriter

NOW: Final = datetime(2026, 11, 20, 12, tzinfo=UTC)
NOW_MS: Final = round(NOW.timestamp() * 1000)
CHAINS: Final = (1, 56, 137, 8453, 42161)
_AGAIN: Final = "where k < 500"
_STEP: Final = 7_368_787
"""Coprime to every power of ten, so that counting in steps of it visits each row once, far apart."""

_BASE: Final = """
create view {name} as
select i, (i * 2654435761) % 10000 as k, i % 20 < 17 as by_reference, [1, 56, 137, 8453, 42161][i % 5 + 1] as chain,
       ['0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48', '0x8ac76a51cc950d9822d68b83fe1ad97b32cd580d',
        '0x3c499c542cef5e3811e1192ce70d8cc03d5c3359', '0x833589fcd6edb6e08f4c7c32d4f71b54bda02913',
        '0xaf88d065e77c8cc2239327c5edb3a432268e5831'][i % 5 + 1] as token,
       if(i % 5 = 1, 18, 6) as decimals, (i % 9973 + 1)::decimal(38, 0) as whole,
       whole * if(i % 5 = 1, '50000000000000000', '50000')::decimal(38, 0) as twentieth, twentieth * 20 as units,
       {now} - 7200000 - (i * 7776000000) // {rows} as made, '0x' || sha256('t' || i) as tx,
       '0x' || sha256('r' || i) as topic, '0x' || substr(sha256('a' || i), 1, 40) as deposit,
       '0x' || substr(sha256('s' || i % 5000), 1, 40) as seller, '0x' || substr(sha256('b' || i), 1, 40) as buyer,
       lpad(to_hex(i), 24, '0') as id, '01' || sha256('q' || i) as request, 'inv-' || i as invoice
from (select {index} as i from range({rows}) as r(j))
"""
_PAYMENTS: Final = """
select id as payment_id, 'objectId' as id_type, if(by_reference, 'request_network', 'shkeeper') as provider,
  if(by_reference, 'request.network', 'shkeeper') as provider_raw, 'in' as direction,
  if(k < 150 or (k >= 300 and k < 350) or (k >= 450 and k < 475) or (k >= 500 and k < 700), 'pending', 'completed')
    as status, status as status_raw,
  if(status = 'pending' or (k >= 400 and k < 450), null, 'funded') as escrow_state, false as disputed, false as hold,
  false as is_test, units as expected_units, if(by_reference, units, twentieth * 19) as covered_from_units,
  if(by_reference, units + 1, twentieth * 21 + 1) as overpaid_from_units, whole::varchar || '.5' as amount_text,
  'USDC' as currency, token, decimals::bigint as decimals, chain::bigint as chain_id,
  ['mainnet', 'bsc', 'matic', 'base', 'arbitrum-one'][i % 5 + 1] as network_raw,
  if(by_reference, seller, deposit) as recipient, buyer as sender, not by_reference as is_deposit,
  if(by_reference, substr(topic, 3, 16), null) as reference, if(by_reference, topic, null) as reference_topic,
  if(by_reference, request, null) as request_id, if(by_reference, null, invoice) as external_id,
  case when status = 'pending' or (k >= 150 and k < 250) then null
    when k >= 250 and k < 300 then '0x' || sha256('wrong' || i) else tx end as tx_hash, null as tx_hash_raw,
  false as simulated, if(status = 'pending', null, 64)::bigint as confirmations,
  if(status = 'pending', null, 'passed') as safety_status, null as safety_reason, null as aml_blocked,
  substr(sha256('u' || i % 20000), 1, 24) as buyer_id, substr(sha256('o' || i), 1, 24) as order_id,
  substr(sha256('f' || i), 1, 24) as offer_id, made as created_at, made + 600000 as updated_at,
  if(k >= 500 and k < 700, {now} + 3600000, made + 3600000) as expires_at, null as problem,
  'payment_id=_id status=status expected_units=amount.amount currency=amount.currency network=blockchain.network '
  || 'tx_hash=blockchain.transactionHash request_id=providerPaymentId recipient=metadata.recipient' as paths,
  sha256('d' || i) as digest
from {base}
"""
_CLAIMS: Final = """
select if(by_reference, 'request_network', 'shkeeper') as provider, if(by_reference, request, invoice) as claim_id,
  if(by_reference, 'request', 'invoice') as object, 'found' as outcome,
  if(by_reference, request, null) as request_id, if(by_reference, substr(topic, 3, 16), null) as reference,
  if(by_reference, topic, null) as reference_topic, if(by_reference, null, invoice) as external_id,
  case when k >= 475 and k < 700 then 'unpaid' when k >= 300 and k < 350 then 'partial' else 'paid' end as state,
  state as state_raw, if(state = 'unpaid', null, units) as paid_units, token, chain::bigint as chain_id,
  if(by_reference, null, deposit) as recipient, 'USD' as fiat, whole::varchar as amount_fiat,
  whole::varchar as balance_fiat, if(state = 'unpaid', null, tx) as tx_hashes,
  if(by_reference, 'request-network', null) as detection_source, made as created_at, {now}::bigint as looked_up_at,
  null as problem, null as error, sha256('c' || i) as digest
from {base}
"""
_TRANSFERS: Final = """
select chain::bigint as chain_id, tx as tx_hash, (i % 300)::bigint as log_index,
  80000000 - ({now} - made) // 2000 as block, '0x' || sha256('k' || i // 20) as block_hash, made + 300000 as block_time,
  if(by_reference, '0x0dfbee143b42b41efc5a6f87bfd1ffc78c2f0ac9', token) as emitter,
  if(by_reference, 'fee_proxy', 'erc20') as kind, token, true as token_known, if(by_reference, null, buyer) as sender,
  if(by_reference, if(k >= 475 and k < 700, buyer, seller), if(k >= 475 and k < 700, seller, deposit)) as recipient,
  case when k >= 300 and k < 350 then twentieth * 10 when k >= 350 and k < 400 then units * 2 else units end
    as amount_units, null as amount_text, null as fee_units, null as fee_recipient,
  if(by_reference, if(k >= 475 and k < 700, '0x' || sha256('foreign' || i), topic), null) as reference_topic,
  if(k >= 450 and k < 475, 3, 5000)::bigint as confirmations, not (k >= 450 and k < 475) as final
from {base}
"""
_TRANSACTIONS: Final = """
select chain::bigint as chain_id, tx as tx_hash, 'success' as outcome, 80000000 - ({now} - made) // 2000 as block,
  '0x' || sha256('k' || i // 20) as block_hash, made + 300000 as block_time, 5000::bigint as confirmations,
  true as final, buyer as sender, null as error
from {base} where k < 475
"""
_DOCUMENT: Final = (
    """'{"_id":{"$oid":"' || payment_id || '"},"__v":{"$numberInt":"0"},"amount":{"amount":{"$numberDecimal":"'"""
    """ || amount_text || '"},"currency":"USDC"},"blockchain":{"network":"' || network_raw || '"'"""
    """ || if(tx_hash is null, '', ',"transactionHash":"' || tx_hash || '","confirmations":{"$numberInt":"64"}')"""
    """ || '},"createdAt":{"$date":{"$numberLong":"' || created_at || '"}},"direction":"in","provider":"'"""
    """ || provider_raw || '","status":"' || status || '"' || if(escrow_state is null, '', ',"escrowState":"funded"')"""
    """ || ',"metadata":{"recipient":"' || recipient || '"}}'"""
)


def make_snapshot(folder: Path, rows: int) -> None:
    """Write and seal a snapshot of ``rows`` payments in ``folder``."""
    import duckdb

    from recon.core.model import Policy, Target
    from recon.snapshots.sealed import SnapshotWriter, empty_tables

    writer = SnapshotWriter(folder)
    connection = duckdb.connect()
    connection.execute("set memory_limit = '2GB'")
    connection.execute("set temp_directory = $1", [f"{folder}.scratch"])
    _write_tables(connection, writer, rows)
    connection.close()
    empty_tables(writer, "context", "orphans", "claim_txs", "transactions", "deliveries", "gaps")
    writer.write_rows("coverage", _coverage())
    target = Target("bench", ("127.0.0.1:27017",), "marketplace", "payments", None, CHAINS, (), ())
    selection: dict[str, Any] = {
        "from": None,
        "to": None,
        "date": "created",
        "providers": [],
        "statuses": [],
        "ids": [],
    }
    writer.seal(taken_at=NOW, target=target, selection={**selection, "open_only": False}, policy=Policy())


def _coverage() -> list[dict[str, Any]]:
    since = NOW_MS - 91 * 86_400_000
    common = {"asked_from": since, "asked_to": NOW_MS, "complete": True, "calls": 100, "unit": "ms"}
    rows: list[dict[str, Any]] = [
        {"source": f"chain:{chain}", "scope": scope, "chain_id": chain, **common}
        for chain in CHAINS
        for scope in ("proxy", "erc20")
    ]
    rows += [{"source": provider, "scope": "bulk", **common} for provider in ("request_network", "shkeeper")]
    return [*rows, {"source": "payments", "scope": "window", **common}]


def _write_tables(connection: duckdb.DuckDBPyConnection, writer: SnapshotWriter, rows: int) -> None:
    from recon.core.tables import TABLES
    from recon.snapshots.sealed import OVERLAID

    words = {"now": NOW_MS, "rows": rows}
    connection.execute(_BASE.format(name="base", index="j", **words))
    connection.execute(_BASE.format(name="scattered", index=f"(j * {_STEP}) % {rows}", **words))

    def copy(name: str, query: str, columns: Mapping[str, str]) -> None:
        kinds = {"text": "varchar", "int": "bigint", "bool": "boolean", "units": "decimal(38, 0)"}
        # DuckDB marks columns that it knows to be never null as required; every table of a snapshot is nullable.
        held = {row[0] for row in connection.execute(f"describe {query}").fetchall()}
        wanted = ", ".join(
            f"if(there, {column if column in held else 'null'}, null)::{kinds[kind]} as {column}"
            for column, kind in columns.items()
        )
        nullable = f"select {wanted} from ({query}), (select count(*) = 1 as there from range(1))"
        path = str(writer.file(name))
        written = connection.execute(f"copy ({nullable}) to '{path}' (format parquet, compression zstd)").fetchall()
        writer.count(name, written[0][0])

    tables = {"payments": _PAYMENTS, "claims": _CLAIMS, "transfers": _TRANSFERS}
    for name, query in tables.items():
        source = query.format(base="base" if name == "payments" else "scattered", **words)
        copy(name, source, TABLES[name])
        again = f"{query.format(base='base', **words)} {_AGAIN}"
        copy(f"again/{name}", again, TABLES[name])
        copy(f"again/{name}_keys", again, {key: TABLES[name][key] for key in OVERLAID[name]})
    looked_up = _TRANSACTIONS.format(base="base", **words)
    copy("again/transactions", looked_up, TABLES["transactions"])
    keys: dict[str, str] = {key: TABLES["transactions"][key] for key in OVERLAID["transactions"]}
    copy("again/transactions_keys", looked_up, keys)
    broken = f"{_PAYMENTS.format(base='base', **words)} {_AGAIN}"
    document = f"select payment_id, {_DOCUMENT} as document, {NOW_MS} as read_at from ({broken})"
    copy("documents", document, TABLES["documents"])
