"""A recorded world: a directory of what every source once said, answered again over HTTP.

The provider and chain sources run over it unchanged. Instead of a network they get a handler,
``httpx.Request`` in and ``httpx.Response`` out (``httpx.MockTransport(handler)``), so paging, decoding, retries and
ranges are exercised as over the network. The files of the directory and their lines:

========================= ==========================================================================================
``world.json``            when the world stands still, its target, its own addresses, its chains
``payments.ndjson``       the marketplace's documents, canonical Extended JSON v2
``payments.db``           the same as runs left them, once one wrote (see :mod:`recon.sources.recorded.store_file`)
``<provider>.ndjson``     what a provider said, in lines that its own folder understands
``chain-<id>.ndjson``     ``{"log": raw log}``, ``{"receipt": raw receipt without its logs}`` and, where the world holds
                          some, ``{"balance": {"wallet", "token", "block", "units"}}`` for the ``wallets`` of world.json
``ledger.ndjson``         entries of the backend's own ledger, canonical Extended JSON v2, where the world has one
``deliveries.ndjson``     ``{"delivery": row of recon.core.tables.DELIVERIES}``
``faults.json``           what fails on purpose, see :mod:`recon.sources.recorded.faults`
========================= ==========================================================================================

A block has the time ``head_time - (head - n) * block_ms``; every hash of a block is derived from its number.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from recon.core.errors import UsageError
from recon.core.installed import PROVIDERS, installed
from recon.sources.recorded.faults import FaultRule, Faults, load_rules
from recon.sources.recorded.format import FORMAT, RecordedChain, RecordedWorld, block_hash
from recon.sources.recorded.store_file import PAYMENTS_FILE, STORE_FILE, StoreFileOddError, payment_lines

__all__ = [
    "FORMAT",
    "FaultRule",
    "RecordedChain",
    "RecordedWorld",
    "RecordedWorldError",
    "block_hash",
    "load_world",
    "rpc_handler",
]

if TYPE_CHECKING:
    from recon.sources.recorded.faults import Handler

FILE_MAX_BYTES: Final = 4 * 1024**3
LEDGER_FILE: Final = "ledger.ndjson"


class RecordedWorldError(UsageError):
    """A directory is no recorded world, or one of its files cannot be read."""

    def __init__(self, *, path: Path | str, why: str) -> None:
        super().__init__(f'{path}: {why}. "recon simulate --out DIR" writes a directory that can be used.')


# ---------------------------------------------------------------------------------------------- reading the directory


def load_world(path: Path) -> RecordedWorld:
    """Read a recorded world.

    Raises:
        RecordedWorldError: The directory lacks ``world.json``, is of another format, or a line cannot be read.
    """
    meta = _json_file(path / "world.json")
    if not isinstance(meta, dict) or meta.get("format") != FORMAT:
        raise RecordedWorldError(path=path, why=f"its world.json is not of format {FORMAT}")
    try:
        return RecordedWorld(
            now=datetime.fromisoformat(str(meta["now"]).replace("Z", "+00:00")).astimezone(UTC),
            seed=int(meta["seed"]),
            target_name=str(meta["target_name"]),
            database=str(meta["database"]),
            collection=str(meta["collection"]),
            collection_uuid=None if meta.get("collection_uuid") is None else str(meta["collection_uuid"]),
            merchant_recipients=tuple(str(address) for address in meta["merchant_recipients"]),
            fee_recipients=tuple(str(address) for address in meta.get("fee_recipients", ())),
            wallets=tuple(str(address) for address in meta.get("wallets", ())),
            chains={int(chain_id): _load_chain(path, int(chain_id), row) for chain_id, row in meta["chains"].items()},
            payments=_documents(path / PAYMENTS_FILE),
            said={name: _lines(path / f"{name}.ndjson") for name in installed(PROVIDERS)},
            deliveries=[line["delivery"] for line in _lines(path / "deliveries.ndjson")],
            faults=load_rules(_json_file(path / "faults.json")) if (path / "faults.json").exists() else (),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RecordedWorldError(path=path, why=f"what its files hold is not a recorded world ({error!r})") from error


def _load_chain(path: Path, chain_id: int, row: Mapping[str, Any]) -> RecordedChain:
    lines = _lines(path / f"chain-{chain_id}.ndjson")
    return RecordedChain(
        chain_id=chain_id,
        head=int(row["head"]),
        head_time_ms=int(row["head_time"]),
        block_ms=int(row["block_ms"]),
        finalized=None if row.get("finalized") is None else int(row["finalized"]),
        logs=[line["log"] for line in lines if "log" in line],
        receipts=[line["receipt"] for line in lines if "receipt" in line],
        balances=tuple(line["balance"] for line in lines if "balance" in line),
    )


def _json_file(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise RecordedWorldError(path=path, why=f"the file cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise RecordedWorldError(path=path, why="the file is not JSON") from error


def _lines(path: Path) -> list[dict[str, Any]]:
    """The lines of an NDJSON file; a file that is not there has none, since a world may lack a provider."""
    import msgspec

    if not path.exists():
        return []
    if path.stat().st_size > FILE_MAX_BYTES:
        raise RecordedWorldError(path=path, why="the file is larger than any recorded world")
    try:
        return list(msgspec.json.Decoder(dict[str, Any]).decode_lines(path.read_bytes()))
    except (msgspec.MsgspecError, RecursionError) as error:
        raise RecordedWorldError(path=path, why=f"a line is not a JSON object ({error})") from error


def load_ledger(folder: Path) -> list[Mapping[str, Any]]:
    """The entries of a world's ledger.

    Raises:
        RecordedWorldError: The world has none, or a line cannot be read.
    """
    path = folder / LEDGER_FILE
    try:
        return _extended(path, path.read_bytes().splitlines())
    except OSError as error:
        raise RecordedWorldError(path=path, why=f"the file cannot be read ({error.strerror})") from error


def _documents(path: Path) -> list[Mapping[str, Any]]:
    if not path.exists():
        raise RecordedWorldError(path=path, why="the file is missing")
    try:
        lines = payment_lines(path.parent)
    except StoreFileOddError as error:
        raise RecordedWorldError(path=path.parent / STORE_FILE, why=str(error)) from error
    return _extended(path, lines)


def _extended(path: Path, lines: Iterable[str | bytes]) -> list[Mapping[str, Any]]:
    """Lines of canonical Extended JSON as documents."""
    from bson import json_util
    from bson.codec_options import DatetimeConversion
    from bson.errors import BSONError

    options = json_util.JSONOptions(
        json_mode=json_util.JSONMode.CANONICAL,
        tz_aware=True,
        tzinfo=UTC,
        datetime_conversion=DatetimeConversion.DATETIME_AUTO,
    )
    documents = []
    for number, line in enumerate(lines, start=1):
        try:
            documents.append(json_util.loads(line, json_options=options))
        except (BSONError, ValueError, TypeError, KeyError, ArithmeticError, AttributeError, RecursionError) as error:
            why = f"line {number} is not canonical Extended JSON"
            raise RecordedWorldError(path=path, why=why) from error
    return documents


@contextmanager
def readable(name: str) -> Iterator[None]:
    """Turn what goes wrong over a line of a file into an error that names the file."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise RecordedWorldError(path=name, why=f"a line of it is not what such a file holds ({error!r})") from error


# ------------------------------------------------------------------------------------------------------------- chains


def rpc_handler(world: RecordedWorld, chain_id: int) -> Handler:
    """Answer as a JSON-RPC node of one chain of this world, single calls and batches.

    Raises:
        RecordedWorldError: The world has no such chain.
    """
    from recon.sources.recorded.chain import node_handler

    if chain_id not in world.chains:
        raise RecordedWorldError(path="recorded world", why=f"it has no chain {chain_id}")
    with readable(f"chain-{chain_id}.ndjson"):
        return node_handler(world.chains[chain_id], Faults(world.faults, f"chain:{chain_id}"))
    raise AssertionError("the block above returns or raises")
