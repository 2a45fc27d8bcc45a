"""A daemon and wallet servers of a recorded world, answered from the lines of ``monero.ndjson``.

======================================================= ============================================================
``{"daemon": {"nettype", "height", "head_s"}}``         how far the daemon is, and the time of its newest block
``{"block": {"height", "time_s"}}``                     the time of a block in which something happened
``{"tx": {"tx_hash", "height"}}``                       a transaction that the daemon has; height null: in its pool
``{"wallet": {"name", "addresses", "height"}}``         a wallet, its main address first
``{"row": {"wallet", "list", "transfer"}}``             one transfer as ``get_transfers`` of that wallet shows it
======================================================= ============================================================

A wallet server is asked under its wallet's name as host, the daemon under ``daemon``.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from recon.sources.recorded.world import readable

if TYPE_CHECKING:
    import httpx

    from recon.sources.recorded.format import RecordedWorld

Answer = Mapping[str, Any]


def monero_handler(world: RecordedWorld) -> Callable[[httpx.Request], httpx.Response]:
    """Answer as the daemon and the wallet servers of this world."""
    with readable("monero.ndjson"):
        answers = _Answers(world)
    return answers.handle


class _Answers:
    """What was recorded, by what it is asked by."""

    def __init__(self, world: RecordedWorld) -> None:
        self._daemon: Answer = {}
        self._blocks: dict[int, int] = {}
        self._txs: dict[str, int | None] = {}
        self._wallets: dict[str, Answer] = {}
        self._rows: dict[str, dict[str, list[Answer]]] = defaultdict(lambda: defaultdict(list))
        for line in world.said.get("monero", ()):
            self._take(line)

    def _take(self, line: Answer) -> None:
        if "daemon" in line:
            self._daemon = line["daemon"]
        elif "block" in line:
            self._blocks[line["block"]["height"]] = line["block"]["time_s"]
        elif "tx" in line:
            self._txs[line["tx"]["tx_hash"]] = line["tx"]["height"]
        elif "wallet" in line:
            self._wallets[line["wallet"]["name"]] = line["wallet"]
        else:
            row = line["row"]
            self._rows[row["wallet"]][row["list"]].append(row["transfer"])

    def handle(self, request: httpx.Request) -> httpx.Response:
        """One answer of the server whose name is the host."""
        import httpx

        body = json.loads(request.content)
        host = request.url.host.partition(".")[0]
        if request.url.path == "/get_transactions":
            return httpx.Response(200, json=self._transactions(body["txs_hashes"]))
        asked = body["method"]
        said = self._of_daemon(asked, body["params"]) if host == "daemon" else self._of_wallet(host, asked)
        wrong = {"error": {"code": -32601, "message": "Method not found"}}
        return httpx.Response(200, json={"id": "0", "jsonrpc": "2.0", **(wrong if said is None else {"result": said})})

    def _of_daemon(self, method: str, params: Answer) -> Answer | None:
        if not self._daemon:
            return None
        height, head_s = self._daemon["height"], self._daemon["head_s"]
        known = {"synchronized": True, "busy_syncing": False, "untrusted": False, "target_height": 0, "status": "OK"}
        at = params.get("height", height - 1)
        answers: Mapping[str, Answer] = {
            "get_info": {**known, "nettype": self._daemon["nettype"], "height": height},
            "get_last_block_header": {"block_header": {"height": height - 1, "timestamp": head_s}},
            "get_block_header_by_height": {"block_header": {"timestamp": self._blocks.get(at, head_s)}},
        }
        return answers.get(method)

    def _of_wallet(self, name: str, method: str) -> Answer | None:
        wallet = self._wallets.get(name)
        if wallet is None:
            return None
        own = [{"address": each} for each in wallet["addresses"]]
        answers: Mapping[str, Answer] = {
            "refresh": {"blocks_fetched": 0},
            "get_height": {"height": wallet["height"]},
            "get_accounts": {"subaddress_accounts": [{"account_index": 0}]},
            "get_address": {"addresses": own},
            "get_transfers": dict(self._rows.get(name, {})),
        }
        return answers.get(method)

    def _transactions(self, hashes: list[str]) -> Answer:
        found: list[Answer] = []
        for each in hashes:
            if each not in self._txs:
                continue
            height = self._txs[each]
            where = {"in_pool": True} if height is None else {"block_height": height, "in_pool": False}
            time = {} if height is None else {"block_timestamp": self._blocks[height]}
            found.append({"tx_hash": each, **where, **time})
        return {"status": "OK", "txs": found, "missed_tx": [each for each in hashes if each not in self._txs]}
