"""A simulated world played live: documents on a real mongod, every source behind a real HTTP server, time moved to now.

A recorded world stands still at its own moment. :func:`moved` shifts everything in it by whole seconds, so that ages,
expiries and heads are those of a live system; :func:`serving` puts its handlers behind loopback servers.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx

from recon.simulation import World
from recon.sources.providers.request_network.recorded import request_network_handler
from recon.sources.providers.shkeeper.recorded import shkeeper_handler
from recon.sources.recorded.format import RecordedChain
from recon.sources.recorded.world import rpc_handler
from tests.support.provider_servers import serve

_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?Z")
AHEAD_S = 20
"""The world's moment lies a little ahead, so that it is not yet stale when the last source is read."""


def moved(world: World, now: dt.datetime) -> World:
    """The same world at another moment: every date, timestamp and block time is shifted by the same whole seconds."""
    recorded = world.recorded
    by = dt.timedelta(seconds=int((now - recorded.now).total_seconds()) + AHEAD_S)
    return replace(
        world,
        recorded=replace(
            recorded,
            now=recorded.now + by,
            payments=[_shifted(document, by) for document in recorded.payments],
            ledger=[_shifted(entry, by) for entry in recorded.ledger],
            said={name: [_shifted(line, by) for line in lines] for name, lines in recorded.said.items()},
            chains={chain_id: _chain(chain, by) for chain_id, chain in recorded.chains.items()},
        ),
    )


def _chain(chain: RecordedChain, by: dt.timedelta) -> RecordedChain:
    seconds = int(by.total_seconds())
    logs = [
        {**log, "blockTimestamp": hex(int(log["blockTimestamp"], 16) + seconds)} if "blockTimestamp" in log else log
        for log in chain.logs
    ]
    return replace(chain, head_time_ms=chain.head_time_ms + seconds * 1_000, logs=logs)


def _shifted(value: Any, by: dt.timedelta) -> Any:
    if isinstance(value, dt.datetime):
        return value + by
    if isinstance(value, str):
        return _INSTANT.sub(lambda found: _instant(found[0], by), value)
    if isinstance(value, Mapping):
        return {key: _shifted(inner, by) for key, inner in value.items()}
    if isinstance(value, list):
        return [_shifted(inner, by) for inner in value]
    return value


def _instant(text: str, by: dt.timedelta) -> str:
    moment = dt.datetime.fromisoformat(text.replace("Z", "+00:00")) + by
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


@dataclass(frozen=True)
class Addresses:
    """Where the servers of a world listen."""

    request_network: str
    shkeeper: str
    chains: Mapping[int, str]


@contextlib.contextmanager
def serving(world: World) -> Iterator[Addresses]:
    """Every source of a world behind a server of its own on loopback; all are gone at the end."""
    recorded = world.recorded
    with contextlib.ExitStack() as stack:
        yield Addresses(
            stack.enter_context(serve(request_network_handler(recorded))),
            stack.enter_context(serve(shkeeper_handler(recorded))),
            {
                chain_id: stack.enter_context(serve(_posted(rpc_handler(recorded, chain_id))))
                for chain_id in recorded.chains
            },
        )


def _posted(handler: Any) -> Any:
    def answer(request: httpx.Request) -> httpx.Response:
        return handler(httpx.Request("POST", request.url, content=request.content))  # type: ignore[no-any-return]

    return answer


def write_live_config(folder: Path, world: World, addresses: Addresses, *, database: str) -> Path:
    """A configuration over the servers of a world; no secret is in it."""
    folder.mkdir(parents=True, exist_ok=True)
    recorded = world.recorded
    chains = "".join(
        f'[[chains]]\nchain_id = {chain_id}\nendpoints = ["{url}"]\ncalls_per_s = 10000\n'
        for chain_id, url in addresses.chains.items()
    )
    path = folder / "recon.toml"
    path.write_text(
        f"""
[target]
name = "live"
[mongo]
database = "{database}"
[window]
hours = 0
[request_network]
base_url = "{addresses.request_network}"
calls_per_s = 1000
[shkeeper]
base_url = "{addresses.shkeeper}"
calls_per_s = 1000
{chains}
[merchant]
recipients = {json.dumps(list(recorded.merchant_recipients))}
fee_recipients = {json.dumps(list(recorded.fee_recipients))}
[output]
dir = "out"
""",
        encoding="utf-8",
    )
    return path
