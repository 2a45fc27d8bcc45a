"""Parts that measure the reading of chains, documents and providers, each beside its peer, in one process.

Each prints one JSON value: seconds of processor and of wall for both sides, and how much was read.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

PROXY = "0x0dfbee143b42b41efc5a6f87bfd1ffc78c2f0ac9"
TOKEN = "0x55d398326f99059ff775485246999027b3197955"
_LOGS_A_PAGE = 2_000


def timed(work: Callable[[], object], *, rounds: int) -> dict[str, float]:
    """Median seconds of wall and of processor over some rounds, after one that warms up."""
    work()
    walls, cpus = [], []
    for _ in range(rounds):
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return {"wall_s": median(walls), "cpu_s": median(cpus)}


def tell(value: dict[str, Any]) -> None:
    """Hand the result to the parent."""
    print(json.dumps(value))


def _pages(count: int) -> list[bytes]:
    from recon.core.registry import TRANSFER_WITH_REFERENCE_AND_FEE

    chance = random.Random(1)

    def word(bits: int) -> str:
        return f"{chance.randrange(2**bits):064x}"

    def log(block: int, index: int) -> dict[str, Any]:
        amount = chance.randrange(10**22)
        return {
            "address": PROXY, "topics": [TRANSFER_WITH_REFERENCE_AND_FEE, "0x" + word(256)],
            "data": f"0x{TOKEN[2:]:0>64}{word(160)}{amount:064x}{amount // 100:064x}{word(160)}",
            "blockNumber": hex(block), "blockHash": f"0x{block:064x}", "transactionHash": "0x" + word(256),
            "transactionIndex": "0x1", "logIndex": hex(index), "removed": False,
            "blockTimestamp": hex(1_700_000_000 + block),
        }  # fmt: skip

    return [
        json.dumps(
            {"jsonrpc": "2.0", "id": 1, "result": [log(page * 10_000 + n // 3, n % 3) for n in range(_LOGS_A_PAGE)]}
        ).encode()
        for page in range(count)
    ]


def logs(pages: str, rounds: str) -> None:
    """Response bytes to columns, ours beside web3.py's ``get_logs`` and event decoding."""
    from web3 import Web3
    from web3.providers.base import JSONBaseProvider

    from recon.sources.chain.logs import LOGS_ANSWER, Expectation, decode_page

    bodies = _pages(int(pages))
    expect = Expectation(False, {PROXY: "fee_proxy"}, frozenset({TOKEN}), 0, 2**62)

    def ours() -> None:
        for body in bodies:
            answer = LOGS_ANSWER.decode(body)
            assert not isinstance(answer.result, str)
            assert decode_page(answer.result, expect).table.num_rows == _LOGS_A_PAGE

    class Given(JSONBaseProvider):
        def make_request(self, method: Any, params: Any) -> Any:
            return self.decode_rpc_response(bodies[0])

    names = ("tokenAddress", "to", "amount", "paymentReference", "feeAmount", "feeAddress")
    kinds = ("address", "address", "uint256", "bytes", "uint256", "address")
    inputs = [{"name": name, "type": kind, "indexed": kind == "bytes"} for name, kind in zip(names, kinds, strict=True)]
    abi = [{"type": "event", "anonymous": False, "name": "TransferWithReferenceAndFee", "inputs": inputs}]
    web3 = Web3(Given())
    event = web3.eth.contract(abi=abi).events.TransferWithReferenceAndFee()

    def theirs() -> None:
        found = web3.eth.get_logs({"fromBlock": 0, "toBlock": 10_000})
        assert len([event.process_log(entry) for entry in found]) == _LOGS_A_PAGE

    tell(
        {
            "ours": timed(ours, rounds=int(rounds)),
            "theirs": timed(theirs, rounds=1),
            "ours_rows": _LOGS_A_PAGE * len(bodies),
            "theirs_rows": _LOGS_A_PAGE,
        }
    )


def payments(rows: str, rounds: str, breaks: str = "default") -> None:
    """Documents of a real mongod to Parquet, beside a bare ``find`` over the same fields into pandas."""
    import pandas as pd
    import pyarrow.parquet as pq

    from recon.core.model import Policy
    from recon.core.registry import load_registry
    from recon.core.tables import TABLES, schema_of
    from recon.sources.interface import Selection
    from recon.sources.payments.fields import FieldPaths
    from recon.sources.payments.mongo import MongoSettings, MongoStore
    from recon.sources.payments.read import read_payments
    from tests.support import servers

    fields, registry = FieldPaths(), load_registry()
    server = servers.start_mongod(replica_set=False)
    try:
        collection = server.client()["marketplace"]["payments"]
        _fill(collection, int(rows), breaks)
        projection = fields.projection()
        with tempfile.TemporaryDirectory() as folder:
            store = MongoStore(MongoSettings(uri=server.uri))

            def ours() -> None:
                path = Path(folder) / "payments.parquet"
                with pq.ParquetWriter(path, schema_of(TABLES["payments"]), compression="zstd") as writer:
                    read_payments(
                        store, selection=Selection(), sink=writer.write_batch, fields=fields, registry=registry,
                        policy=Policy(),
                    )  # fmt: skip
                assert pq.read_metadata(path).num_rows == int(rows)

            def theirs() -> None:
                assert len(pd.DataFrame(list(collection.find({}, projection)))) == int(rows)

            tell({"ours": timed(ours, rounds=int(rounds)), "theirs": timed(theirs, rounds=int(rounds))})
            store.close()
    finally:
        server.stop()


def _fill(collection: Any, rows: int, breaks: Any) -> None:
    """Documents of a simulated week, as often as it takes."""
    import bson
    from bson import json_util

    from recon.simulation import generate_world, write_world

    with tempfile.TemporaryDirectory() as folder:
        write_world(generate_world(payments=2_000, seed=1, breaks=breaks), Path(folder) / "world")
        lines = (Path(folder) / "world" / "payments.ndjson").read_text().splitlines()
    documents = [json_util.loads(line, json_options=json_util.CANONICAL_JSON_OPTIONS) for line in lines]
    for start in range(0, rows, len(documents)):
        part = [{**document, "_id": bson.ObjectId()} for document in documents[: rows - start]]
        collection.insert_many(part, ordered=False)


def node(payments: str) -> None:
    """Serve a chain with payments on a free port and print its address, until the process is ended."""
    import threading

    from tests.support.chain_reading import node_with
    from tests.support.vendor_faults import handler_of, serve

    chain = node_with(int(payments), spread=20)
    with serve(handler_of(chain.answer)) as url:
        print(url, flush=True)
        threading.Event().wait()


def scan(url: str, days: str, rounds: str) -> None:
    """A whole scan of a chain, beside a bare HTTP client that sends the very same questions and reads the JSON."""
    import httpx

    from recon.core.registry import load_registry
    from recon.sources.chain.evm import ChainSettings, Endpoint, EvmChain
    from recon.sources.http import Clock
    from recon.sources.interface import ChainQuestion
    from tests.support.chain_reading import NOW_MS

    asked: list[bytes] = []
    rows: list[int] = []

    class Noting(httpx.HTTPTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            asked.append(request.read())
            return super().handle_request(request)

    def ours() -> None:
        asked.clear()
        chain = EvmChain(
            ChainSettings(56, (Endpoint(url),), rate_per_s=None, confirmations_min=12),
            registry=load_registry(),
            transport=Noting(),
            clock=Clock(now_ms=lambda: NOW_MS),
        )
        question = ChainQuestion(from_ms=int(NOW_MS - float(days) * 86_400_000))
        rows.append(chain.read(question).tables["transfers"].num_rows)
        chain.close()

    def theirs() -> None:
        with httpx.Client() as client:
            for body in asked:
                client.post(url, content=body, headers={"content-type": "application/json"}).json()

    result = {"ours": timed(ours, rounds=int(rounds)), "theirs": timed(theirs, rounds=int(rounds))}
    tell({**result, "rows": rows[-1], "calls": len(asked)})


def play(folder: str, rows: str) -> None:
    """A healthy simulated week on a real mongod and behind loopback servers, until a line comes; then what was asked.

    The first line that it prints is the address of the database; ``recon.toml`` is in ``folder`` by then.
    """
    from datetime import UTC, datetime

    from benchmarks.played import Tally, played
    from recon.simulation import generate_world
    from tests.support import living, servers

    made, tally = generate_world(payments=int(rows), seed=1, breaks="none"), Tally()
    server = servers.start_mongod(replica_set=False)
    try:
        with server.client() as client, played(tally, module=living):
            world = living.moved(made, datetime.now(tz=UTC))
            client["marketplace"]["payments"].insert_many(world.recorded.payments, ordered=False)
            with living.serving(world) as addresses:
                living.write_live_config(Path(folder), world, addresses, database="marketplace")
                print(server.uri, flush=True)
                sys.stdin.readline()
    finally:
        server.stop()
    tell(dict(tally.read))
