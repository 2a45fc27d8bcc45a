"""Event logs as they come over the wire, decoded straight into columns, and what makes a log unbelievable.

The way from response bytes to columns is typed structs and whole-column arithmetic on about 2,000 logs at a time:
larger pieces are slower, because their temporaries go back to the operating system each time. A piece in which
anything is odd is decoded log by log by the same code, so that both ways judge alike.

>>> decode_transfer({
...     "address": "0x" + "aa" * 20, "topics": [ERC20_TRANSFER, "0x" + "00" * 31 + "01", "0x" + "00" * 31 + "02"],
...     "data": "0x" + "00" * 31 + "07", "blockNumber": "0x10", "transactionHash": "0x" + "bb" * 32, "logIndex": "0x0",
... }).amount_units
7
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, Final

import msgspec

from recon.core.errors import ReconError
from recon.core.registry import ERC20_TRANSFER, TRANSFER_WITH_REFERENCE_AND_FEE
from recon.core.text import count_text
from recon.sources.chain.hex_columns import (
    OddError,
    address_array,
    amount_arrays,
    any_set,
    hex_bytes,
    hex_matrix,
    text_array,
    unit_array,
)
from recon.sources.chain.rpc import Envelope

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

PIECE: Final = 2_000
"""Logs decoded at once."""

INT64_MAX: Final = 2**63 - 1

COLUMNS: Final = {
    "tx_hash": "text", "log_index": "int", "block": "int", "block_hash": "text", "block_time": "int",
    "emitter": "text", "kind": "text", "token": "text", "token_known": "bool", "sender": "text", "recipient": "text",
    "amount_units": "units", "amount_text": "text", "fee_units": "units", "fee_recipient": "text",
    "reference_topic": "text",
}  # fmt: skip
"""What one log says; the rest of ``tables.TRANSFERS`` depends on the head of the chain."""

_ZERO_ADDRESS: Final = "0x" + "0" * 40


class RawLog(msgspec.Struct, gc=False, rename="camel"):
    """One entry of an ``eth_getLogs`` answer. Whatever is missing is None or empty and is judged later."""

    address: str = ""
    topics: list[str] = []
    data: str = ""
    block_number: str | int | None = None
    block_hash: str | None = None
    transaction_hash: str | None = None
    log_index: str | int | None = None
    removed: bool | None = None
    block_timestamp: str | int | None = None


class RawBlock(msgspec.Struct, rename="camel"):
    """The parts of a block header that matter."""

    number: str | int | None = None
    hash: str | None = None
    timestamp: str | int | None = None
    logs_bloom: str | None = None


class RawReceipt(msgspec.Struct, rename="camel"):
    """The parts of a transaction receipt that matter."""

    transaction_hash: str | None = None
    status: str | int | None = None
    block_number: str | int | None = None
    block_hash: str | None = None
    sender: str | None = msgspec.field(default=None, name="from")
    logs: list[RawLog] = []


LOGS_ANSWER: Final = msgspec.json.Decoder(Envelope[list[RawLog]])
BLOCK_ANSWER: Final = msgspec.json.Decoder(Envelope[RawBlock])
RECEIPT_ANSWER: Final = msgspec.json.Decoder(Envelope[RawReceipt])
RECEIPTS_ANSWER: Final = msgspec.json.Decoder(Envelope[list[RawReceipt]])
TEXT_ANSWER: Final = msgspec.json.Decoder(Envelope[str | int])


class TransferLogError(ReconError):
    """A log is no transfer that this package knows, or is malformed."""

    def __init__(self, *, what: str) -> None:
        super().__init__(f"This log cannot be read as a transfer: {what}.")


@dataclass(frozen=True, slots=True)
class Transfer:
    """One transfer log, decoded exactly. Amounts are base units of ``token`` and may be any uint256.

    ``sender`` is None for a proxy log: the event does not name the payer. ``fee_units`` and ``fee_recipient`` are
    None when nobody received a fee, also when the log states one for the zero address. ``reference_topic`` is the
    keccak256 of the payment reference and None for a plain ERC-20 transfer.
    """

    tx_hash: str
    log_index: int
    block: int
    emitter: str
    token: str
    sender: str | None
    recipient: str
    amount_units: int
    fee_units: int | None = None
    fee_recipient: str | None = None
    reference_topic: str | None = None


def parse_quantity(value: object, *, what: str = "a number") -> int:
    """Read a JSON-RPC quantity: hex in any case, with leading zeros or not, or decimal as some nodes write it.

    Raises:
        TransferLogError: It is missing, negative, or does not fit 63 bits.
    """
    number: int | None = None
    if isinstance(value, int) and not isinstance(value, bool):
        number = value
    elif isinstance(value, str) and 0 < len(value) <= 66:
        text = value.lower()
        digits, base = (text[2:], 16) if text.startswith("0x") else (text, 10)
        allowed = "0123456789abcdef"[:base]
        number = int(digits, base) if digits and not digits.strip(allowed) else None
    if number is None or not 0 <= number <= INT64_MAX:
        raise TransferLogError(what=f"{what} is {str(value)[:80]!r}")
    return number


def _hex(value: object, *, size: int | None, what: str) -> str:
    """Lower-case hex digits without 0x; bytes, as web3.py gives them, are read too."""
    text = value.hex() if isinstance(value, bytes) else value
    if isinstance(text, str):
        bare = text.lower().removeprefix("0x")
        if (size is None or len(bare) == 2 * size) and len(bare) % 2 == 0 and not bare.strip("0123456789abcdef"):
            return bare
    raise TransferLogError(what=f"{what} is {str(value)[:80]!r}")


def _address_of(word: str, *, what: str) -> str:
    if word[:24].strip("0"):
        raise TransferLogError(what=f"the word of the {what} has something in front of the address")
    return "0x" + word[24:]


def decode_transfer(log: Mapping[str, Any]) -> Transfer:
    """Decode one proxy or ERC-20 transfer log, raw as the node gives it or as web3.py formats it.

    Args:
        log: address, topics, data, blockNumber, transactionHash and logIndex, named as JSON-RPC names them.

    Raises:
        TransferLogError: Another event, a missing or malformed field, or a removed log.
    """
    if log.get("removed"):
        raise TransferLogError(what="it was removed by a reorganisation")
    topics = _topics_of(log)
    signature = "0x" + topics[0] if topics else None
    data = _hex(log.get("data"), size=None, what="the data")
    place: dict[str, Any] = {
        "tx_hash": "0x" + _hex(log.get("transactionHash"), size=32, what="transactionHash"),
        "log_index": parse_quantity(log.get("logIndex"), what="logIndex"),
        "block": parse_quantity(log.get("blockNumber"), what="blockNumber"),
        "emitter": "0x" + _hex(log.get("address"), size=20, what="address"),
    }
    if signature == TRANSFER_WITH_REFERENCE_AND_FEE and len(topics) == 2 and len(data) == 320:
        return Transfer(**place, **_proxy_fields(data), reference_topic="0x" + topics[1])
    if signature == ERC20_TRANSFER and len(topics) == 3 and len(data) == 64:
        return Transfer(
            **place,
            token=place["emitter"],
            sender=_address_of(topics[1], what="sender"),
            recipient=_address_of(topics[2], what="recipient"),
            amount_units=int(data, 16),
        )
    raise TransferLogError(
        what=f"{count_text(len(topics), 'topic')}, {len(data) // 2} bytes of data, first topic {signature}"
    )


def _topics_of(log: Mapping[str, Any]) -> list[str]:
    listed = log.get("topics") or ()
    if not isinstance(listed, Sequence) or isinstance(listed, str | bytes):
        raise TransferLogError(what="its topics are no list")
    return [_hex(topic, size=32, what="a topic") for topic in listed]


def _proxy_fields(data: str) -> dict[str, Any]:
    """What the five words of a proxy log say."""
    words = [data[start : start + 64] for start in range(0, 320, 64)]
    fee, fee_recipient = int(words[3], 16), _address_of(words[4], what="fee recipient")
    is_fee_paid = fee > 0 and fee_recipient != _ZERO_ADDRESS
    return {
        "token": _address_of(words[0], what="token"),
        "sender": None,
        "recipient": _address_of(words[1], what="recipient"),
        "amount_units": int(words[2], 16),
        "fee_units": fee if is_fee_paid else None,
        "fee_recipient": fee_recipient if is_fee_paid else None,
    }


@dataclass(frozen=True, slots=True)
class Expectation:
    """What a page of logs may hold; anything else makes the answer unbelievable.

    Args:
        erc20: Plain ERC-20 transfers, else proxy logs.
        kinds: Kind by emitter address. For proxy logs only these emitters were asked for, unless ``any_emitter``.
        known_tokens: Tokens that the registry knows on this chain.
        recipients: ERC-20 recipients that were asked for; None for any.
        senders: ERC-20 senders that were asked for; None for any.
        tokens: ERC-20 contracts that were asked for; None for any.
        from_block, to_block: The range asked for, both included.
        any_emitter: Receipts hold whatever the transaction did, so no emitter is wrong.
    """

    erc20: bool
    kinds: Mapping[str, str]
    known_tokens: frozenset[str]
    from_block: int
    to_block: int
    recipients: frozenset[str] | None = None
    senders: frozenset[str] | None = None
    tokens: frozenset[str] | None = None
    any_emitter: bool = False


@dataclass(slots=True)
class LogPage:
    """One decoded page.

    Args:
        table: :data:`COLUMNS`, sorted by block and log index, no key twice.
        rejects: Why logs were not believed; the range must be asked again.
        duplicates, removed: Logs dropped as repeated or as removed by a reorganisation.
        foreign: Logs of unknown contracts that only look like transfers (another ERC-721 topic count, odd data).
    """

    table: pa.Table
    rejects: list[str] = field(default_factory=list)
    duplicates: int = 0
    removed: int = 0
    foreign: int = 0


def decode_page(logs: Sequence[RawLog], expect: Expectation) -> LogPage:
    """Decode one answer into columns; what is not believable is in ``rejects`` and never in the table."""
    import pyarrow as pa

    kept = [log for log in logs if not log.removed]
    page = LogPage(table=empty_columns(), removed=len(logs) - len(kept))
    if expect.erc20:
        kept = _only_erc20(kept, expect, page)
    batches = []
    for start in range(0, len(kept), PIECE):
        piece = kept[start : start + PIECE]
        try:
            batches.append(_columns(piece, expect))
        except OddError:
            for log in piece:
                try:
                    batches.append(_columns([log], expect))
                except OddError as odd:
                    page.rejects.append(str(odd))
    if batches:
        page.table = pa.Table.from_batches(batches)
        _drop_repeated(page)
    return page


def _only_erc20(logs: list[RawLog], expect: Expectation, page: LogPage) -> list[RawLog]:
    """Leave out what unknown contracts emit under the same name: nobody may block a scan with a malformed event."""
    kept = [log for log in logs if len(log.topics) == 3 and len(log.data) == 66]
    if len(kept) < len(logs):
        for log in logs:
            if not (len(log.topics) == 3 and len(log.data) == 66):
                if log.address.lower() in expect.known_tokens:
                    page.rejects.append("a known token's Transfer has an impossible shape")
                page.foreign += 1
    return kept


@cache
def empty_columns() -> pa.Table:
    """A table of :data:`COLUMNS` without rows."""
    from recon.core.tables import Schema, schema_of

    columns: Schema = COLUMNS  # type: ignore[assignment]
    return schema_of(columns).empty_table()


def _columns(logs: list[RawLog], expect: Expectation) -> pa.RecordBatch:
    import pyarrow as pa
    import pyarrow.compute as pc

    topics = _topics(logs, expect)
    emitter = _emitters([log.address for log in logs])
    columns: dict[str, Any] = {
        "tx_hash": text_array(hex_matrix([log.transaction_hash for log in logs], 66, what="transactionHash")),
        "log_index": pa.array(_integers([log.log_index for log in logs], "logIndex")),
        "block": pa.array(_blocks(logs, expect)),
        "block_hash": text_array(hex_matrix([log.block_hash for log in logs], 66, what="blockHash")),
        "block_time": _times([log.block_timestamp for log in logs]),
        "emitter": emitter,
    }
    if expect.erc20:
        columns |= _erc20_columns(logs, expect, emitter, topics)
    else:
        columns |= _proxy_columns(logs, expect, emitter, topics[1])
    columns["token_known"] = pc.is_in(columns["token"], value_set=_value_set(expect.known_tokens))
    empty = empty_columns().schema
    arrays = [columns.get(name) for name in COLUMNS]
    return pa.record_batch(
        [pa.nulls(len(logs), kind.type) if array is None else array for array, kind in zip(arrays, empty, strict=True)],
        schema=empty,
    )


def _topics(logs: list[RawLog], expect: Expectation) -> list[tuple[str, ...]]:
    """The topics of all logs, column by column; all logs are of the event that was asked for."""
    first, count = (ERC20_TRANSFER, 3) if expect.erc20 else (TRANSFER_WITH_REFERENCE_AND_FEE, 2)
    try:
        topics = list(zip(*[log.topics for log in logs], strict=True))
    except ValueError:
        topics = []
    if len(topics) != count:
        raise OddError("a log has another number of topics")
    if topics[0].count(first) != len(logs) and {seen.lower() for seen in topics[0]} != {first}:
        raise OddError("a log has another first topic")
    return topics


def _emitters(addresses: list[str]) -> pa.Array:
    """Addresses as a column; mostly one contract emitted all logs of a piece."""
    import pyarrow as pa

    if addresses.count(addresses[0]) < len(addresses):
        return text_array(hex_matrix(addresses, 42, what="address"))
    return pa.repeat(text_array(hex_matrix(addresses[:1], 42, what="address"))[0], len(addresses))


def _kinds(emitter: pa.Array, addresses: Sequence[str], expect: Expectation) -> pa.Array:
    """Which kind of contract each emitter is."""
    import pyarrow as pa
    import pyarrow.compute as pc

    # One contract is looked up once; the column is as long as the piece again at the end.
    is_one = addresses.count(addresses[0]) == len(addresses)
    place = pc.index_in(emitter.slice(0, 1) if is_one else emitter, value_set=_value_set(frozenset(expect.kinds)))
    if place.null_count and not expect.any_emitter:
        raise OddError("a log comes from an address that was not asked for")
    kinds = pa.array([expect.kinds[address] for address in sorted(expect.kinds)], pa.string())
    kind = pc.fill_null(kinds.take(place), "unknown")
    return pa.repeat(kind[0], len(emitter)) if is_one else kind


def _proxy_columns(
    logs: list[RawLog], expect: Expectation, emitter: pa.Array, references: Sequence[str]
) -> dict[str, Any]:
    kind = _kinds(emitter, [log.address for log in logs], expect)
    data = hex_bytes([log.data for log in logs], 322, what="data")
    amount, amount_text = amount_arrays(data, 64)
    # A fee to the zero address was stated but paid to nobody; a fee of nothing is no fee.
    paid = any_set(data, start=96, end=128) & any_set(data, start=140, end=160)
    return {
        "kind": kind,
        "token": address_array(data, 0, what="token"),
        "recipient": address_array(data, 32, what="recipient"),
        "amount_units": amount,
        "amount_text": amount_text,
        "fee_units": unit_array(data, 96, keep=paid)[0],
        "fee_recipient": address_array(data, 128, what="fee recipient", keep=paid),
        "reference_topic": text_array(hex_matrix(references, 66, what="topic")),
    }


def _erc20_columns(
    logs: list[RawLog], expect: Expectation, emitter: pa.Array, topics: Sequence[Sequence[str]]
) -> dict[str, Any]:
    import pyarrow as pa

    if expect.tokens is not None and not _all_in(emitter, expect.tokens):
        raise OddError("a log comes from a token that was not asked for")
    recipient = address_array(hex_bytes(topics[2], 66, what="topic"), 0, what="recipient")
    if expect.recipients is not None and not _all_in(recipient, expect.recipients):
        raise OddError("a log has a recipient that was not asked for")
    sender = address_array(hex_bytes(topics[1], 66, what="topic"), 0, what="sender")
    if expect.senders is not None and not _all_in(sender, expect.senders):
        raise OddError("a log has a sender that was not asked for")
    amount, amount_text = amount_arrays(hex_bytes([log.data for log in logs], 66, what="data"), 0)
    return {
        "kind": pa.repeat(pa.scalar("erc20"), len(logs)),
        "token": emitter,
        "sender": sender,
        "recipient": recipient,
        "amount_units": amount,
        "amount_text": amount_text,
    }


def _all_in(array: pa.Array, wanted: frozenset[str]) -> bool:
    import pyarrow.compute as pc

    return bool(pc.all(pc.is_in(array, value_set=_value_set(wanted))).as_py())


@lru_cache(maxsize=64)
def _value_set(values: frozenset[str]) -> pa.Array:
    import pyarrow as pa

    return pa.array(sorted(values), pa.string())


def _integers(values: Sequence[Any], what: str) -> np.ndarray[Any, Any]:
    """Quantities as int64: whole columns at once where all are hex of one width, as heights and times mostly are."""
    import numpy as np

    width = len(values[0]) if isinstance(values[0], str) else 0
    if 3 <= width <= 17:
        try:
            matrix = hex_matrix(values, width, what=what)
        except OddError:
            pass
        else:
            # The characters 0-9 are 0x30 to 0x39, a-f are 0x61 to 0x66.
            digits = matrix[:, 2:].astype(np.int64)
            digits -= np.where(digits > 0x39, 0x57, 0x30)
            return digits @ (np.int64(16) ** np.arange(width - 3, -1, -1, dtype=np.int64))
    try:
        return np.fromiter(map(_quantity, values), dtype=np.int64, count=len(values))
    except TransferLogError:
        raise OddError(f"{what} is missing or no number") from None


@lru_cache(maxsize=65_536, typed=True)
def _quantity(value: object) -> int:
    """The same few places in a block come again on every page."""
    return parse_quantity(value)


def _blocks(logs: list[RawLog], expect: Expectation) -> np.ndarray[Any, Any]:
    blocks = _integers([log.block_number for log in logs], "blockNumber")
    if int(blocks.min()) < expect.from_block or int(blocks.max()) > expect.to_block:
        raise OddError("a log lies outside the range that was asked for")
    return blocks


def _times(values: Sequence[str | int | None]) -> pa.Array:
    """Block times in UTC milliseconds where the node gives them; some do not, and none must."""
    import pyarrow as pa

    if values[0] is None and not any(value is not None for value in values):
        return pa.nulls(len(values), pa.int64())
    try:
        seconds = _integers(values, "blockTimestamp")
        if int(seconds.max()) < 1 << 40:
            return pa.array(seconds * 1_000)
    except OddError:
        pass
    return pa.array([_milliseconds(value) for value in values], pa.int64())


def _milliseconds(value: object) -> int | None:
    try:
        seconds = parse_quantity(value)
    except TransferLogError:
        return None
    return seconds * 1_000 if seconds < 1 << 40 else None


def _drop_repeated(page: LogPage) -> None:
    """Sort, drop identical repetitions, and reject a key or block height that comes with two contents."""
    page.table, page.duplicates, conflicts = sort_and_compare(page.table)
    if conflicts:
        page.rejects.append(f"block {conflicts[0]} comes in two versions")


def sort_and_compare(table: pa.Table) -> tuple[pa.Table, int, list[int]]:
    """Sort by block and log index, drop rows that are there twice, and name blocks that come in two versions.

    A block is in two versions when it has two hashes, or one log index of it two contents; all its rows are left
    out of the result. ``block_time`` is not compared: nodes may differ in giving it.
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    if table.num_rows < 2:
        return table, 0, []
    block, index = table["block"].to_numpy(), table["log_index"].to_numpy()
    later = (block[1:] > block[:-1]) | ((block[1:] == block[:-1]) & (index[1:] >= index[:-1]))
    if not later.all():
        order = np.lexsort((index, block))
        table, block, index = table.combine_chunks().take(pa.array(order)), block[order], index[order]
    same_block = np.flatnonzero(block[1:] == block[:-1])
    if not len(same_block):
        return table, 0, []
    hashes = table["block_hash"]
    same_hash = pc.equal(hashes.slice(1), hashes.slice(0, table.num_rows - 1)).to_numpy().astype(bool)
    bad = set(block[same_block[~same_hash[same_block]]].tolist())
    repeated = same_block[index[same_block] == index[same_block + 1]]
    drop = np.zeros(table.num_rows, dtype=bool)
    compared = [name for name in COLUMNS if name != "block_time"]
    for row in repeated.tolist():
        pair = table.select(compared).slice(row, 2).to_pylist()
        if pair[0] == pair[1]:
            drop[row + 1] = True
        else:
            bad.add(int(block[row]))
    if bad:
        drop |= np.isin(block, np.array(sorted(bad)))
    if drop.any():
        table = table.filter(pa.array(~drop))
    return table, len(repeated), sorted(bad)
