"""The tables everything flows through: column names, kinds and meanings, and their one Arrow schema.

Kinds: ``text`` (UTF-8), ``int`` (int64; times are UTC milliseconds), ``bool``, ``units`` (Decimal(38, 0) base units).
Every column may be null and null always means "not known". Hashes and addresses are lower case with ``0x``.
Inside a cell that lists several things (hashes, problem codes) they are sorted and separated by one space.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    import pyarrow as pa

Kind = Literal["text", "int", "bool", "units"]
Schema = dict[str, Kind]

PAYMENTS: Final[Schema] = {
    "payment_id": "text",  # ids.payment_id_text of _id: the key
    "id_type": "text",  # objectId, string, int, ...
    "provider": "text",  # alias-normalised: request_network, shkeeper, or the raw word in lower case
    "provider_raw": "text",
    "direction": "text",  # in, out, refund (missing means in); any other word is kept
    "status": "text",  # one of model.STATUSES, or null for an unknown word (problem status_unknown)
    "status_raw": "text",
    "escrow_state": "text",  # the stored word, or null when unset
    "disputed": "bool",  # disputed: true, or a disputeId is there
    "hold": "bool",  # a manual or compliance hold on the row
    "is_test": "bool",  # provider word "test", a test mark, or a req_test... request id
    "expected_units": "units",  # amount.amount in base units of token on chain_id
    "covered_from_units": "units",  # least sum that covers, by the provider's tolerance (== expected when exact)
    "overpaid_from_units": "units",  # least sum that is more than the tolerance allows (expected + 1 when exact)
    "amount_text": "text",  # shortest decimal text of amount.amount
    "currency": "text",
    "token": "text",  # token contract
    "decimals": "int",
    "chain_id": "int",
    "network_raw": "text",
    "recipient": "text",  # where the money must go
    "sender": "text",  # blockchain.sender: who paid, as the row says
    "is_deposit": "bool",  # recipient is a one-time address: match by recipient and time, not by reference
    "reference": "text",  # 16 bare hex digits
    "reference_topic": "text",  # keccak256 of the reference bytes
    "request_id": "text",
    "external_id": "text",  # SHKeeper
    "tx_hash": "text",  # recorded hash, normalised; null when none or when it is no hash
    "tx_hash_raw": "text",  # what is stored when it is not a plain hash (SIM_..., junk)
    "simulated": "bool",  # hash begins SIM_, or a demo payout
    "confirmations": "int",  # stored count, capped by the backend
    "safety_status": "text",  # metadata.transactionSafety.lastCheck.status
    "safety_reason": "text",
    "aml_blocked": "bool",  # metadata.amlResult says blocked
    "buyer_id": "text",
    "order_id": "text",  # purchaseRequestId
    "offer_id": "text",  # sellerOfferId
    "created_at": "int",  # when it was made: the earlier of dated_at and the ObjectId's own time
    "dated_at": "int",  # createdAt as it stands in the document
    "updated_at": "int",
    "expires_at": "int",
    "further_keys": "text",  # JSON list of [field, value]: request ids, references, external ids besides the first,
    # and the forwarder of a request
    "problem": "text",  # codes of what could not be read, see model.PROBLEMS; null when the row is whole
    "paths": "text",  # "field=path" pairs: which candidate path supplied each resolved field
    "digest": "text",  # sha256 of the projected document's canonical BSON
}

KEYS: Final[Schema] = {
    "payment_id": "text",  # a row of payments or context with several keys of one kind
    "field": "text",  # request_id, reference, external_id, forwarder
    "value": "text",  # a key besides the one that stands in the row's own column
    "reference_topic": "text",  # keccak256 of the bytes of a reference
}

CLAIMS: Final[Schema] = {
    "provider": "text",
    "claim_id": "text",  # key of the provider object, unique with provider and object
    "object": "text",  # request, invoice, payout
    "outcome": "text",  # found, not_found, failed (failed is "could not ask", never "no")
    "request_id": "text",
    "reference": "text",
    "reference_topic": "text",
    "external_id": "text",
    # unpaid, partial, paid, overpaid, processing, failed, cancelled, refunded, split, unknown, or one of model.HELD;
    # null when not found
    "state": "text",
    "state_raw": "text",
    "asked_amount": "text",  # what the provider says it asks for, plain decimal text in whole tokens, as it says it
    "paid_units": "units",  # what the provider says came in, in base units of token on chain_id
    "token": "text",
    "chain_id": "int",
    "recipient": "text",  # deposit address(es), first one
    "fiat": "text",
    "amount_fiat": "text",
    "balance_fiat": "text",
    "tx_hashes": "text",  # all hashes the provider names, sorted, space-separated
    "detection_source": "text",  # request-network, lifi
    "created_at": "int",
    "looked_up_at": "int",
    "problem": "text",  # codes: unknown_word, amount_unreadable, magnitude, several_invoices, stale_unconfirmed, ...
    "error": "text",  # why outcome is failed, cleaned of secrets
    "digest": "text",  # sha256 of the answer this row was read from
}

CLAIM_TXS: Final[Schema] = {
    "provider": "text",
    "claim_id": "text",
    "request_id": "text",
    "external_id": "text",
    "chain_id": "int",
    "tx_hash": "text",
    "recipient": "text",
    "amount_units": "units",
    "confirmed": "bool",
    "call": "text",  # ids.call_digest of the call that the provider says this transaction makes; null: it does not say
    "token": "text",  # the contract of the payment's own coin on that chain, where the provider sends it itself
}

TRANSFERS: Final[Schema] = {
    "chain_id": "int",
    "tx_hash": "text",
    "log_index": "int",  # (chain_id, tx_hash, log_index) is the key
    "block": "int",
    "block_hash": "text",
    "block_time": "int",
    "emitter": "text",  # contract that emitted the log
    "kind": "text",  # registry emitter kind: fee_proxy, conversion_proxy, escrow, receivable, unknown; or erc20
    "token": "text",
    "token_known": "bool",  # the registry or the config knows (chain_id, token)
    "sender": "text",  # ERC-20 from; null for a proxy log
    "recipient": "text",
    "amount_units": "units",  # null when over 37 digits: see amount_text
    "amount_text": "text",  # canonical uint256 text, only when amount_units is null
    # of a proxy log: what the token's own logs of the transaction show of it, at most amount_units; null when not read
    "moved_units": "units",
    "token_symbol": "text",  # what the contract of a token that nobody knows says of itself, where it was asked
    "token_decimals": "int",
    "stated_only": "bool",  # a proxy log whose token can take a fee, and nobody read what the token itself logged
    "fee_units": "units",  # null when none; a fee to the zero address pays no one and is null
    "fee_recipient": "text",
    "reference_topic": "text",  # topics[1] of a proxy log, null for a plain ERC-20 transfer
    "confirmations": "int",  # head - block + 1 at the time of reading
    "final": "bool",  # by the chain's finality rule and the backend's own minimum confirmations
}

TRANSACTIONS: Final[Schema] = {
    "chain_id": "int",
    "tx_hash": "text",
    "outcome": "text",  # success, reverted, pending, not_found, failed (could not ask)
    "block": "int",
    "block_hash": "text",
    "block_time": "int",
    "confirmations": "int",
    "final": "bool",
    "sender": "text",
    "error": "text",
    "call": "text",  # ids.call_digest of the call that it made, where that was asked for
}

DELIVERIES: Final[Schema] = {
    "delivery_id": "text",
    "provider": "text",
    "received_at": "int",
    "attempt": "int",
    "http_status": "int",
    "event": "text",
    "request_id": "text",
    "reference": "text",
    "external_id": "text",
    "tx_hash": "text",
    "payload_digest": "text",
    "signature_valid": "bool",
    "dead_letter": "bool",
    "origin": "text",
}

COVERAGE: Final[Schema] = {
    "source": "text",  # payments, request_network, shkeeper, chain:56
    "scope": "text",  # window, bulk, lookup, proxy, erc20, receipts, ...
    "chain_id": "int",
    "unit": "text",  # ms or block
    "asked_from": "int",
    "asked_to": "int",
    "done_from": "int",
    "done_to": "int",
    "head": "int",
    "head_time": "int",  # time of that block, UTC ms: what is newer cannot be seen yet
    "final_head": "int",
    "finality_rule": "text",  # finalized, depth:500, min(finalized,depth:500)
    "complete": "bool",
    "calls": "int",
    "wire_bytes": "int",
    "pages": "int",
    "items": "int",
    "problem": "text",  # why it is not complete, one plain sentence without secrets
}

GAPS: Final[Schema] = {
    "source": "text",
    "scope": "text",  # proxy, erc20, bulk, lookup, window
    "chain_id": "int",
    "from_ms": "int",  # nothing is known of this source between from_ms and to_ms, both included;
    "to_ms": "int",  # absence is not proven for a payment created at or before to_ms
    "from_block": "int",
    "to_block": "int",
    "reason": "text",
}

DOCUMENTS: Final[Schema] = {
    "payment_id": "text",
    "document": "text",  # canonical Extended JSON v2 of the projected document, second reading, from the primary
    "read_at": "int",
}

ORPHANS: Final[Schema] = {
    "kind": "text",  # transfer or claim
    "key": "text",  # chain_id:tx_hash:log_index, or provider:object:claim_id
    "payment_id": "text",  # the row of the whole collection that knows it (null: none does)
    "known_by": "text",  # id, reference, request_id, external_id, tx_hash, recipient (whose money it was before)
}

BALANCES: Final[Schema] = {
    "chain_id": "int",
    "wallet": "text",  # one of the wallets that the configuration names
    "token": "text",  # a token that the registry knows on this chain; the three are the key
    "opening_block": "int",  # what the wallet held at the end of this block
    "closing_block": "int",  # and at the end of this one; movements are those of the blocks after the first, to it
    "opening_units": "units",  # null when nobody could tell, never 0 for that
    "closing_units": "units",
    "opening_problem": "text",  # why it is null, one plain sentence without secrets
    "closing_problem": "text",
    "movements_problem": "text",  # why the movements between may not be whole; null when they are
}

HOLDINGS: Final[Schema] = {
    "chain_id": "int",
    "address": "text",  # a one-time address at which nobody is seen to have paid
    "token": "text",  # the token that its payment waits for; (chain_id, address, token) is the key
    "block": "int",  # the balance is that at the end of this block
    "units": "units",
    "sent": "int",  # how many transactions the address has sent by then; null where it holds something
    "problem": "text",  # why nobody can tell what it holds; null when asked
}

LEDGER: Final[Schema] = {
    "entry_id": "text",  # ids.payment_id_text of its _id: the key
    "payment_id": "text",  # the payment it is of, as the payments table spells it; null when it names none
    "deal_id": "text",  # the order or deal it names itself
    "kind": "text",  # one of recon.core.ledger.KINDS; null for a word that nobody mapped
    "kind_raw": "text",
    "account": "text",
    "chain_id": "int",
    "token": "text",
    "decimals": "int",
    # in the words of its kind: 100 of gross came in, 97 of released went out; what takes an entry back is negative
    "units": "units",
    "undoes_units": "units",  # of an entry that reverses another: what the other must have
    "effect_units": "units",  # what it adds to what is held, or takes from it (negative)
    "balance_units": "units",  # credit positive, debit negative: zero over each group; null where books are single
    "amount_text": "text",
    "at": "int",
    "reverses": "text",  # the entry that this one takes back
    "is_ours": "bool",  # a run of recon put it there
    "group_id": "text",  # what belongs together in double books
    "reach": "text",  # window (its payment was read), beside (it was not), none (it names no payment), old (compared)
    "problem": "text",  # codes of what could not be read, see recon.core.ledger.PROBLEMS; null when it is whole
}

LEDGER_KNOWN: Final[Schema] = {
    "kind": "text",  # payment or deal: what was looked up in the whole collection
    "key": "text",
    "rows": "int",  # how many rows outside the window it has; 0: it was looked up, and there is none
}

TABLES: Final[dict[str, Schema]] = {
    "payments": PAYMENTS,
    "claims": CLAIMS,
    "claim_txs": CLAIM_TXS,
    "transfers": TRANSFERS,
    "transactions": TRANSACTIONS,
    "deliveries": DELIVERIES,
    "coverage": COVERAGE,
    "gaps": GAPS,
    "documents": DOCUMENTS,
    "orphans": ORPHANS,
    "keys": KEYS,  # the further keys of payments and context; a snapshot without it has none
    "balances": BALANCES,  # what known wallets held; only where wallets are named
    "movements": TRANSFERS,  # every transfer in and out of them between the two blocks, each once
    "holdings": HOLDINGS,  # what one-time addresses hold at which nobody is seen to have paid, where they were asked
    "ledger": LEDGER,  # entries of the backend's own ledger; only where its fields are configured
    "ledger_known": LEDGER_KNOWN,  # what was looked up in the collection of payments for their sake
    "context": PAYMENTS,  # rows outside the window that share a key with a break: matched, not reported
}


def arrow_schema(name: str) -> pa.Schema:
    """The Arrow schema of one of :data:`TABLES`; every engine's result is cast to it."""
    return schema_of(TABLES[name])


def with_every_column(table: pa.Table, name: str) -> pa.Table:
    """A table as an older version wrote it, with the columns that it lacks: nothing is known of them."""
    import pyarrow as pa

    schema = arrow_schema(name)
    if table.schema.names == schema.names:
        return table
    known = set(table.column_names)
    columns = [
        table.column(field.name) if field.name in known else pa.nulls(table.num_rows, field.type) for field in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def schema_of(columns: Schema) -> pa.Schema:
    """The Arrow schema of any set of columns given by kind."""
    import pyarrow as pa

    kinds = {"text": pa.string(), "int": pa.int64(), "bool": pa.bool_(), "units": pa.decimal128(38, 0)}
    return pa.schema([pa.field(column, kinds[kind]) for column, kind in columns.items()])


def table_without_rows(columns: Schema) -> pa.Table:
    """A table without a row, of any set of columns given by kind."""
    import pyarrow as pa

    schema = schema_of(columns)
    return pa.Table.from_arrays([pa.nulls(0, field.type) for field in schema], schema=schema)


def table_of(name: str, rows: list[dict[str, object]]) -> pa.Table:
    """Build one of :data:`TABLES` from row dictionaries; a missing key is null.

    ``units`` cells are Python ints, whole decimals or None; nothing passes through a float.

    Raises:
        ValueError: A row has a column that the table has not, or a ``units`` cell is no whole number.
    """
    from decimal import Decimal

    import pyarrow as pa

    if unknown := {column for row in rows for column in row}.difference(TABLES[name]):
        raise ValueError(f"{name} has no column {', '.join(sorted(unknown))}")

    def exact(value: object) -> Decimal | None:
        if value is None:
            return None
        is_whole = isinstance(value, int) and not isinstance(value, bool)
        if isinstance(value, Decimal):
            is_whole = value.is_finite() and value == value.to_integral_value()
        if not is_whole:
            raise ValueError(f"{value!r} is no whole number of base units")
        return Decimal(value)  # type: ignore[arg-type]

    arrays = []
    for column, kind in TABLES[name].items():
        values = [row.get(column) for row in rows]
        if kind == "units":
            values = [exact(value) for value in values]
        arrays.append(values)
    schema = arrow_schema(name)
    return pa.Table.from_arrays(
        [pa.array(values, type=field.type) for values, field in zip(arrays, schema, strict=True)], schema=schema
    )
