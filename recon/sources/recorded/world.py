"""A recorded world: a directory of what every source once said, answered again over HTTP.

The provider and chain sources run over it unchanged. Instead of a network they get one of the handlers made here,
``httpx.Request`` in and ``httpx.Response`` out (``httpx.MockTransport(handler)``), so paging, decoding, retries and
ranges are exercised as over the network. The files of the directory and their lines:

========================= ==========================================================================================
``world.json``            when the world stands still, its target, its own addresses, its chains
``payments.ndjson``       the marketplace's documents, canonical Extended JSON v2
``request_network.ndjson``  ``{"request": body of GET /v2/request/{id}}`` and ``{"payment": row of GET /v2/payments}``
``shkeeper.ndjson``       ``{"crypto": [names]}``, ``{"invoice": …}``, ``{"transaction": …}``, ``{"payout": …}``
``chain-<id>.ndjson``     ``{"log": raw log}`` and ``{"receipt": raw receipt without its logs}``
``deliveries.ndjson``     ``{"delivery": row of recon.core.tables.DELIVERIES}``
``faults.json``           what fails on purpose, see :mod:`recon.sources.recorded.faults`
========================= ==========================================================================================

A block has the time ``head_time - (head - n) * block_ms``; every hash of a block is derived from its number.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from recon.core.errors import UsageError
from recon.sources.recorded.faults import FaultRule, Faults, load_rules
from recon.sources.recorded.format import FORMAT, RecordedChain, RecordedWorld, block_hash

__all__ = [
    "FORMAT",
    "FaultRule",
    "RecordedChain",
    "RecordedWorld",
    "RecordedWorldError",
    "block_hash",
    "load_world",
    "request_network_handler",
    "rpc_handler",
    "shkeeper_handler",
]

if TYPE_CHECKING:
    import httpx

    from recon.sources.recorded.faults import Handler

PAGE_DEFAULT: Final = 20
PAGE_MAX: Final = 100
FILE_MAX_BYTES: Final = 4 * 1024**3


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
            chains={int(chain_id): _load_chain(path, int(chain_id), row) for chain_id, row in meta["chains"].items()},
            payments=_documents(path / "payments.ndjson"),
            request_network=_lines(path / "request_network.ndjson"),
            shkeeper=_lines(path / "shkeeper.ndjson"),
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


def _documents(path: Path) -> list[Mapping[str, Any]]:
    from bson import json_util
    from bson.codec_options import DatetimeConversion
    from bson.errors import BSONError

    if not path.exists():
        raise RecordedWorldError(path=path, why="the file is missing")
    options = json_util.JSONOptions(
        json_mode=json_util.JSONMode.CANONICAL,
        tz_aware=True,
        tzinfo=UTC,
        datetime_conversion=DatetimeConversion.DATETIME_AUTO,
    )
    documents = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            documents.append(json_util.loads(line, json_options=options))
        except (BSONError, ValueError, TypeError, KeyError, ArithmeticError, AttributeError, RecursionError) as error:
            why = f"line {number} is not canonical Extended JSON"
            raise RecordedWorldError(path=path, why=why) from error
    return documents


@contextmanager
def _readable(name: str) -> Iterator[None]:
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise RecordedWorldError(path=name, why=f"a line of it is not what such a file holds ({error!r})") from error


# --------------------------------------------------------------------------------------------------- Request Network


def request_network_handler(world: RecordedWorld) -> Handler:
    """Answer as this world's Request Network: ``/v2/payments``, ``/v2/request/{id}``, ``/v1/request/{reference}``."""
    with _readable("request_network.ndjson"):
        api = _RequestNetwork(world)
    return Faults(world.faults, "request_network").around(api.answer)


class _RequestNetwork:
    _FILTERS = (
        "txHash", "walletAddress", "paymentReference", "requestId", "reference", "type", "invoiceCurrency",
        "paymentCurrency",
    )  # fmt: skip

    def __init__(self, world: RecordedWorld) -> None:
        self._world = world
        requests = [line["request"] for line in world.request_network if "request" in line]
        self._requests = {str(body["requestId"]).lower(): body for body in requests}
        self._references = {_bare(body.get("paymentReference")): body for body in requests}
        payments = [line["payment"] for line in world.request_network if "payment" in line]
        self._payments = sorted(payments, key=lambda row: (row["timestamp"], row["id"]), reverse=True)
        # A look-up asks for the payments of one request: looking through every row each time would take a world of
        # 100,000 payments as long as all its other reading together.
        self._of_request: dict[str, list[Mapping[str, Any]]] = {}
        for row in self._payments:
            self._of_request.setdefault(str((row.get("request") or {}).get("requestId")).lower(), []).append(row)
        self._wallets: dict[str, set[str]] | None = None
        self._last: tuple[tuple[tuple[str, str], ...], list[Mapping[str, Any]]] | None = None

    def answer(self, request: httpx.Request) -> httpx.Response:
        import httpx

        path = request.url.path
        if request.method != "GET":
            return _rn_error(404, f"Cannot {request.method} {path}", "Not Found")
        if path == "/v2/payments":
            return self._list(dict(request.url.params))
        version, _, key = path.removeprefix("/").partition("/request/")
        if version in ("v1", "v2") and key and "/" not in key:
            known = self._requests if version == "v2" else self._references
            body = known.get(unquote(key).lower() if version == "v2" else _bare(unquote(key)))
            if body is None:
                return _rn_error(404, "Request not found", "Not Found")
            short = ("hasBeenPaid", "paymentReference", "requestId", "isListening", "txHash")
            return httpx.Response(200, json=body if version == "v2" else {name: body.get(name) for name in short})
        return _rn_error(404, f"Cannot GET {path}", "Not Found")

    def _list(self, params: dict[str, str]) -> httpx.Response:
        import httpx

        if not any(params.get(name) for name in self._FILTERS):
            field_error = {"field": "txHash", "message": f"At least one of {', '.join(self._FILTERS)} is required"}
            return httpx.Response(400, json={"message": "Validation failed", "errors": [field_error]})
        limit, offset = params.get("limit", str(PAGE_DEFAULT)), params.get("offset", "0")
        if not (limit.isdecimal() and offset.isdecimal() and int(limit) > 0):
            issue = {"code": "invalid_string", "path": ["limit"], "message": "Expected a positive number"}
            return httpx.Response(400, json={"statusCode": 400, "message": [issue], "error": "Bad Request"})
        size, start = min(int(limit), PAGE_MAX), int(offset)
        rows = self._matching(tuple(sorted((k, v) for k, v in params.items() if k not in ("limit", "offset"))))
        page = {"total": len(rows), "limit": size, "offset": start, "hasMore": start + size < len(rows)}
        return httpx.Response(200, json={"payments": rows[start : start + size], "pagination": page})

    def _matching(self, asked: tuple[tuple[str, str], ...]) -> list[Mapping[str, Any]]:
        """The rows that a question is about; remembered while its pages are turned."""
        if self._last is None or self._last[0] != asked:
            params = dict(asked)
            wanted = params.get("requestId")
            rows = self._of_request.get(wanted.lower(), []) if wanted else self._payments
            self._last = (asked, [row for row in rows if self._fits(row, params)])
        return self._last[1]

    def _fits(self, row: Mapping[str, Any], params: Mapping[str, str]) -> bool:
        return _words_fit(row, params) and self._hashes_fit(row, params) and _date_fits(row, params)

    def _hashes_fit(self, row: Mapping[str, Any], params: Mapping[str, str]) -> bool:
        hashes = {str(row.get(name)).lower() for name in ("sourceTxHash", "destinationTxHash") if row.get(name)}
        tx_hash, wallet = params.get("txHash"), params.get("walletAddress")
        if tx_hash and tx_hash.lower() not in hashes:
            return False
        return not wallet or bool(hashes & self._hashes_of(wallet.lower()))

    def _hashes_of(self, address: str) -> set[str]:
        """Transactions in which an address sent or received; the rows themselves carry no address."""
        if self._wallets is None:
            self._wallets = {}
            for chain in self._world.chains.values():
                for log in chain.logs:
                    tx_hash = str(log["transactionHash"]).lower()
                    for word in (*log["topics"][1:], str(log["data"])[66:130]):
                        self._wallets.setdefault("0x" + str(word)[-40:].lower(), set()).add(tx_hash)
        return self._wallets.get(address, set())


def _words_fit(row: Mapping[str, Any], params: Mapping[str, str]) -> bool:
    """Whether every id, type and currency that was asked for is the row's own, in any case."""
    asked = row.get("request") or {}
    plain = {
        "requestId": asked.get("requestId"),
        "reference": asked.get("reference"),
        "type": row.get("type"),
        "invoiceCurrency": row.get("currency"),
        "paymentCurrency": row.get("paymentCurrency"),
    }
    for name, found in plain.items():
        wanted = params.get(name)
        if wanted and str(found).lower() != wanted.lower():
            return False
    reference = params.get("paymentReference")
    return not reference or _bare(reference) == _bare(asked.get("paymentReference"))


def _date_fits(row: Mapping[str, Any], params: Mapping[str, str]) -> bool:
    at = _instant(row["timestamp"])
    from_at, to_at = params.get("fromDate"), params.get("toDate")
    return (not from_at or at >= _instant(from_at)) and (not to_at or at <= _instant(to_at))


def _rn_error(status: int, message: str, error: str) -> httpx.Response:
    import httpx

    return httpx.Response(status, json={"statusCode": status, "message": message, "error": error})


def _bare(reference: object) -> str:
    return str(reference).lower().removeprefix("0x")


def _instant(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(UTC)
    except ValueError:
        return datetime.fromtimestamp(0, UTC)


# ---------------------------------------------------------------------------------------------------------- SHKeeper


def shkeeper_handler(world: RecordedWorld) -> Handler:
    """Answer as the SHKeeper of this world: whole tables, and errors with HTTP 200, as the real one does."""
    with _readable("shkeeper.ndjson"):
        api = _Shkeeper(world)
    return Faults(world.faults, "shkeeper").around(api.answer)


class _Shkeeper:
    def __init__(self, world: RecordedWorld) -> None:
        lines = world.shkeeper
        self._crypto = [str(name) for line in lines if "crypto" in line for name in line["crypto"]]
        self._invoices = [line["invoice"] for line in lines if "invoice" in line]
        self._transactions = [line["transaction"] for line in lines if "transaction" in line]
        self._payouts = [line["payout"] for line in lines if "payout" in line]
        self._by_external_id: dict[str, list[Mapping[str, Any]]] = {}
        for invoice in self._invoices:
            self._by_external_id.setdefault(str(invoice["external_id"]), []).append(invoice)

    def answer(self, request: httpx.Request) -> httpx.Response:
        import httpx

        parts = request.url.path.strip("/").split("/")
        if parts[:2] != ["api", "v1"] or request.method != "GET":
            return _sk_unknown()
        if parts[2:] == ["crypto"]:
            listed = [{"name": name, "display_name": name.replace("-", " ")} for name in self._crypto]
            return httpx.Response(200, json={"status": "success", "crypto": self._crypto, "crypto_list": listed})
        if not request.headers.get("x-shkeeper-api-key"):
            return httpx.Response(200, json={"status": "error", "message": "No API key"})
        if parts[3:] == ["payout", "status"]:
            return self._payout(parts[2], request.url.params.get("external_id"))
        return self._table([unquote(part) for part in parts[2:]])

    def _table(self, parts: list[str]) -> httpx.Response:
        match parts:
            case ["invoices"]:
                return self._success("invoices", self._invoices)
            case ["invoices", external_id]:
                return self._success("invoices", self._by_external_id.get(external_id, []))
            case ["transactions"]:
                return self._success("transactions", self._transactions)
            case ["transactions", crypto, address]:
                rows = [t for t in self._transactions if t["crypto"] == crypto and t["addr"] == address]
                return self._success("transactions", rows)
            case ["tx-info", txid, external_id]:
                return self._info(txid, external_id)
        return _sk_unknown()

    @staticmethod
    def _success(name: str, rows: Sequence[Mapping[str, Any]]) -> httpx.Response:
        import httpx

        return httpx.Response(200, json={"status": "success", name: list(rows)})

    def _info(self, txid: str, external_id: str) -> httpx.Response:
        import httpx

        found = [t for i in self._by_external_id.get(external_id, []) for t in i["txs"] if t["txid"] == txid]
        info = {"crypto": found[0]["crypto"], "amount": found[0]["amount"], "addr": found[0]["addr"]} if found else {}
        return httpx.Response(200, json={"status": "success", "info": info})

    def _payout(self, crypto: str, external_id: str | None) -> httpx.Response:
        import httpx

        if not external_id:
            return httpx.Response(400, json={"error": "external_id is required"})
        for payout in self._payouts:
            if payout["crypto"] == crypto and str(payout["external_id"]) == external_id:
                return httpx.Response(200, json=payout)
        return httpx.Response(404, json={"error": "Payout not found"})


def _sk_unknown() -> httpx.Response:
    import httpx

    return httpx.Response(404, json={"code": 404, "status": "Not Found"})


# ------------------------------------------------------------------------------------------------------------- chains


def rpc_handler(world: RecordedWorld, chain_id: int) -> Handler:
    """Answer as a JSON-RPC node of one chain of this world, single calls and batches.

    Raises:
        RecordedWorldError: The world has no such chain.
    """
    from recon.sources.recorded.chain import node_handler

    if chain_id not in world.chains:
        raise RecordedWorldError(path="recorded world", why=f"it has no chain {chain_id}")
    with _readable(f"chain-{chain_id}.ndjson"):
        return node_handler(world.chains[chain_id], Faults(world.faults, f"chain:{chain_id}"))
    raise AssertionError("the block above returns or raises")
