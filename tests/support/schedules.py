"""Fault schedules: one source of a simulated world made sick in one way, from a seed, always the same way.

A schedule wraps the handlers of a recorded world at the level of the wire (or its document store), so everything above
runs as over the network: :func:`sickened` makes ``recon.setup.open_sources`` open the sick source. Which calls are
hit follows from the seed, the content of the call and how often that content was asked, never from the order of
threads. Time is a :class:`FakeClock`: waiting costs nothing and still moves every deadline.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

import httpx

from recon.core.errors import SourceError
from recon.sources import http
from recon.sources.chain import evm
from recon.sources.interface import Selection
from recon.sources.payments import read as payments
from recon.sources.providers.request_network import api as request_network
from recon.sources.providers.request_network.recorded import request_network_handler
from recon.sources.providers.shkeeper import api as shkeeper
from recon.sources.providers.shkeeper.recorded import shkeeper_handler
from recon.sources.recorded import world as recorded
from recon.sources.recorded.format import RecordedWorld

Handler = Callable[[httpx.Request], httpx.Response]

READERS = (evm, request_network, shkeeper)
"""Imported before anything is replaced: a module that is first imported meanwhile would keep the fake for good."""

HTML = "<!doctype html><html><title>Sign in</title><body>login</body></html>"
RUBBISH = ("null", "[]", "{}", "17", '"yes"', "[[[[]]]]", '{"payments": 5}', '{"status": "success"}', "\x00", "{" * 50)


class StoreDiedError(SourceError):
    """The database went away."""

    def __init__(self) -> None:
        super().__init__("marketplace.payments at db1: the server went away.")


@dataclass(frozen=True)
class Schedule:
    """One source, sick in one way.

    Args:
        source: ``payments``, ``request_network``, ``shkeeper`` or ``chain:<id>``.
        kind: A name of :data:`ANYWHERE`, :data:`PAGED`, :data:`ON_CHAIN` or :data:`IN_STORE`.
    """

    source: str
    kind: str
    seed: int = 0

    @property
    def name(self) -> str:
        """For people and test ids."""
        return f"{self.source}-{self.kind}-{self.seed}"


@dataclass
class FakeClock:
    """Time that only waiting moves; safe to use from threads, which then wait one after the other."""

    waited_s: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def monotonic(self) -> float:
        """Seconds since the start."""
        return self.waited_s

    def sleep(self, seconds: float) -> None:
        """Let time pass at once."""
        with self.lock:
            self.waited_s += max(0.0, seconds)


class Dice:
    """Draws that depend on what is asked and how often it was asked, not on the order of the calls."""

    def __init__(self, seed: int) -> None:
        self._seed, self._asked, self._lock = seed, Counter[str](), threading.Lock()
        self.calls = 0

    def take(self, key: str) -> tuple[int, int]:
        """A number below a million for this call, and how often the same was asked before."""
        with self._lock:
            before = self._asked[key]
            self._asked[key] += 1
            self.calls += 1
        return self.fixed(f"{key}:{before}"), before

    def fixed(self, key: str) -> int:
        """A number below a million that is the same each time."""
        drawn = hashlib.sha256(f"{self._seed}:{key}".encode()).digest()
        return int.from_bytes(drawn[:8], "big") % 1_000_000


@dataclass
class Ill:
    """What a sickness is given: the sound handler, dice, the clock, and the world for those that need a moment."""

    sound: Handler
    dice: Dice
    clock: FakeClock
    world: RecordedWorld


Sickness = Callable[[Ill, httpx.Request, int, int], httpx.Response]
"""Ill, request, a draw below a million for this call, how often the same was asked before."""


def _sometimes(share_ppm: int, wrong: Sickness) -> Sickness:
    def answer(ill: Ill, request: httpx.Request, draw: int, before: int) -> httpx.Response:
        return wrong(ill, request, draw, before) if draw < share_ppm else ill.sound(request)

    return answer


def _slow(ill: Ill, request: httpx.Request, draw: int, before: int) -> httpx.Response:
    del before
    ill.clock.sleep(5 + draw % 20)
    return ill.sound(request)


def _silent(ill: Ill, request: httpx.Request, draw: int, before: int) -> httpx.Response:
    del draw, before
    ill.clock.sleep(30)
    raise httpx.ReadTimeout("no answer in time", request=request)


def _cut(ill: Ill, request: httpx.Request, draw: int, before: int) -> httpx.Response:
    del ill, before
    if draw % 2:
        raise httpx.RemoteProtocolError("peer closed connection without sending complete message body")
    raise httpx.ConnectError("connection refused", request=request)


def _limited(ill: Ill, request: httpx.Request, draw: int, before: int) -> httpx.Response:
    del ill, request, before
    headers: tuple[dict[str, str], ...] = (
        {},
        {"retry-after": "2"},
        {"retry-after": "99999999"},
        {"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"},
    )
    return httpx.Response(429, headers=headers[draw % 4], json={"message": "Too Many Requests"})


def _failing(ill: Ill, request: httpx.Request, draw: int, before: int) -> httpx.Response:
    del ill, request, before
    return httpx.Response(
        (500, 502, 503, 504)[draw % 4], text=("", "Bad Gateway", HTML, '{"message": "upstream"}')[draw % 4]
    )


def _garbage(ill: Ill, request: httpx.Request, draw: int, before: int) -> httpx.Response:
    del before
    if draw % 3 == 0:
        whole = ill.sound(request).content
        return httpx.Response(200, content=whole[: len(whole) * (draw % 97) // 100])
    return httpx.Response(200, text=RUBBISH[draw % len(RUBBISH)])


def _html(ill: Ill, request: httpx.Request, draw: int, before: int) -> httpx.Response:
    del ill, request, draw, before
    return httpx.Response(200, text=HTML, headers={"content-type": "text/html"})


def _down(ill: Ill, request: httpx.Request, draw: int, before: int) -> httpx.Response:
    del draw, before
    raise httpx.ConnectError("connection refused", request=request)


def _dies(ill: Ill, request: httpx.Request, draw: int, before: int) -> httpx.Response:
    lives = 2 + ill.dice.fixed("dies") % 12 if request.content else 1
    if ill.dice.calls <= lives:
        return ill.sound(request)
    return _failing(ill, request, draw, before)


ANYWHERE: Mapping[str, Sickness] = {
    "slow": _slow,
    "silent": _sometimes(150_000, _silent),
    "cut": _sometimes(200_000, _cut),
    "limited": _sometimes(250_000, _limited),
    "failing": _sometimes(250_000, _failing),
    "garbage": _sometimes(150_000, _garbage),
    "html": _sometimes(150_000, _html),
    "mostly_failing": _sometimes(850_000, _failing),
    "mostly_garbage": _sometimes(850_000, _garbage),
    "login_page": _html,
    "down": _down,
    "dies": _dies,
}
"""Sicknesses that every source can have."""


# ------------------------------------------------------------------------------------------------------------ providers


def _rows_name(content: Any) -> str | None:
    names = [name for name in ("payments", "invoices", "transactions") if isinstance(content, dict) and name in content]
    return names[0] if names and isinstance(content[names[0]], list) else None


def _page_gone(ill: Ill, request: httpx.Request, draw: int, before: int) -> httpx.Response:
    del draw, before
    if ill.dice.fixed(f"{request.url.path}{request.url.params.get('offset')}") < 400_000:
        return httpx.Response(500, json={"message": "upstream"})
    return ill.sound(request)


def _page_short(ill: Ill, request: httpx.Request, draw: int, before: int) -> httpx.Response:
    """Some pages lack a row, while the total says what it should."""
    del before
    answer = ill.sound(request)
    content = json.loads(answer.content)
    name = _rows_name(content)
    if name == "payments" and content[name] and draw < 500_000:
        del content[name][draw % len(content[name])]
        return httpx.Response(200, json=content)
    return answer


def _page_twice(ill: Ill, request: httpx.Request, draw: int, before: int) -> httpx.Response:
    del before
    offset = request.url.params.get("offset", "0")
    if int(offset) and draw < 400_000:
        early = request.url.copy_set_param("offset", str(max(0, int(offset) - int(request.url.params["limit"]))))
        return ill.sound(httpx.Request("GET", early, headers=request.headers))
    return ill.sound(request)


def _page_shift(ill: Ill, request: httpx.Request, draw: int, before: int) -> httpx.Response:
    del before
    offset = request.url.params.get("offset", "0")
    if int(offset) and draw < 400_000:
        early = request.url.copy_set_param("offset", str(int(offset) - 1))
        return ill.sound(httpx.Request("GET", early, headers=request.headers))
    return ill.sound(request)


def _rows_twice(ill: Ill, request: httpx.Request, draw: int, before: int) -> httpx.Response:
    del before
    answer = ill.sound(request)
    content = json.loads(answer.content)
    if (name := _rows_name(content)) and draw < 400_000:
        content[name] = [*content[name], *content[name][:3]]
        return httpx.Response(200, json=content)
    return answer


PAGED: Mapping[str, Sickness] = {
    "page_gone": _page_gone,
    "page_short": _page_short,
    "page_twice": _page_twice,
    "page_shift": _page_shift,
    "rows_twice": _rows_twice,
}
"""Sicknesses of lists that come in pages."""


# --------------------------------------------------------------------------------------------------------------- chains

Change = Callable[[Ill, str, Any, Any, int], Any]
"""Ill, method, params, the true result, a draw; gives the result that is sent."""


def _each_call(change: Change) -> Sickness:
    """Change single results of single calls and batches."""

    def answer(ill: Ill, request: httpx.Request, draw: int, before: int) -> httpx.Response:
        del draw, before
        asked, said = json.loads(request.content), json.loads(ill.sound(request).content)
        calls = asked if isinstance(asked, list) else [asked]
        answers = said if isinstance(said, list) else [said]
        for call, given in zip(calls, answers, strict=True):
            if "result" in given:
                key = json.dumps([call["method"], call["params"]], sort_keys=True)
                drawn, _ = ill.dice.take(key)
                given["result"] = change(ill, call["method"], call["params"], given["result"], drawn)
        return httpx.Response(200, json=said)

    return answer


def _logs_flaky(ill: Ill, method: str, params: Any, result: Any, draw: int) -> Any:
    del ill, params
    return result[draw % 2 :: 2] if method == "eth_getLogs" and draw < 300_000 else result


def _logs_empty(ill: Ill, method: str, params: Any, result: Any, draw: int) -> Any:
    del ill, params
    return [] if method == "eth_getLogs" and draw < 300_000 else result


def _logs_twice(ill: Ill, method: str, params: Any, result: Any, draw: int) -> Any:
    del ill, params
    return [*result, *result[:5]] if method == "eth_getLogs" and draw < 500_000 else result


def _logs_lost(ill: Ill, method: str, params: Any, result: Any, draw: int) -> Any:
    """Every twentieth log is in no list at all, ever; receipts still have it."""
    del params, draw
    if method != "eth_getLogs":
        return result
    return [log for log in result if ill.dice.fixed(log["transactionHash"] + log["logIndex"]) >= 50_000]


def _receipt_late(ill: Ill, method: str, params: Any, result: Any, draw: int) -> Any:
    del ill, params
    return None if method == "eth_getTransactionReceipt" and draw < 250_000 else result


def _proxy_logs_gone(ill: Ill, request: httpx.Request, draw: int, before: int) -> httpx.Response:
    """Questions about contracts fail, those about recipients are answered."""
    del draw, before
    asked = json.loads(request.content)
    calls = asked if isinstance(asked, list) else [asked]
    if any(call["method"] == "eth_getLogs" and call["params"][0].get("address") for call in calls):
        return httpx.Response(502, text="Bad Gateway")
    return ill.sound(request)


def _wrong_chain(ill: Ill, method: str, params: Any, result: Any, draw: int) -> Any:
    del ill, params, draw
    return "0x539" if method == "eth_chainId" else result


def _lagging_backend(hidden: Callable[[Ill, int], int]) -> Sickness:
    """A backend, or now and then one of several, whose newest blocks are not there yet."""

    def answer(ill: Ill, request: httpx.Request, draw: int, before: int) -> httpx.Response:
        del before
        depth = hidden(ill, draw)
        if not depth:
            return ill.sound(request)
        return _behind(ill.sound, request, depth)

    return answer


def _behind(sound: Handler, request: httpx.Request, depth: int) -> httpx.Response:
    asked = json.loads(request.content)
    calls = asked if isinstance(asked, list) else [asked]
    head = _result(sound, request, "eth_blockNumber", [])
    newest = int(head, 16) - depth
    answers = [_old_answer(sound, request, call, newest) for call in calls]
    return httpx.Response(200, json=answers if isinstance(asked, list) else answers[0])


def _result(sound: Handler, request: httpx.Request, method: str, params: list[Any]) -> Any:
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    return json.loads(sound(httpx.Request("POST", request.url, json=body)).content).get("result")


def _old_answer(sound: Handler, request: httpx.Request, call: Mapping[str, Any], newest: int) -> dict[str, Any]:
    method, params = call["method"], call["params"]
    if method == "eth_blockNumber":
        return {"jsonrpc": "2.0", "id": call["id"], "result": hex(newest)}
    if method == "eth_getBlockByNumber" and params[0] in ("latest", "finalized", "safe"):
        block = _result(sound, request, method, params)
        if block is not None and int(block["number"], 16) > newest:
            block = _result(sound, request, method, [hex(newest), *params[1:]])
        if block is not None:
            return {"jsonrpc": "2.0", "id": call["id"], "result": block}
    else:
        result = _result(sound, request, method, params)
        if isinstance(result, list):
            result = [row for row in result if _block_of(row) <= newest]
        if not isinstance(result, dict) or _block_of(result) <= newest:
            if result is not None or method.startswith("eth_getTransaction") or method == "eth_getBlockByNumber":
                return {"jsonrpc": "2.0", "id": call["id"], "result": result}
        elif method.startswith(("eth_getTransaction", "eth_getBlockByNumber")):
            return {"jsonrpc": "2.0", "id": call["id"], "result": None}
    return dict(json.loads(sound(httpx.Request("POST", request.url, json=dict(call))).content))


def _block_of(row: Any) -> int:
    number = row.get("blockNumber", row.get("number")) if isinstance(row, dict) else None
    return int(number, 16) if isinstance(number, str) else 0


ON_CHAIN: Mapping[str, Sickness] = {
    "logs_flaky": _each_call(_logs_flaky),
    "logs_empty": _each_call(_logs_empty),
    "logs_twice": _each_call(_logs_twice),
    "logs_lost": _each_call(_logs_lost),
    "proxy_logs_gone": _proxy_logs_gone,
    "receipt_late": _each_call(_receipt_late),
    "head_goes_back": _lagging_backend(lambda ill, draw: draw % 200 if draw < 250_000 else 0),
    "stale": _lagging_backend(lambda ill, draw: 50 + ill.dice.fixed("depth") % 300),
}
"""Sicknesses of JSON-RPC nodes; a wrong chain is no sickness, it stops the run."""

WRONG: Mapping[str, Sickness] = {"wrong_chain": _each_call(_wrong_chain)}

STUCK: Mapping[str, Sickness] = {"stuck": _lagging_backend(lambda ill, draw: 2_000)}
"""A node that has not moved for longer than a late one is waited for: 25 min of BSC's blocks."""

SICKNESSES: Mapping[str, Sickness] = {**ANYWHERE, **PAGED, **ON_CHAIN, **WRONG, **STUCK}


def wire(sound: Handler, schedule: Schedule, *, clock: FakeClock, world: RecordedWorld) -> Handler:
    """The handler of a source, made sick."""
    ill = Ill(sound, Dice(schedule.seed), clock, world)
    sick = SICKNESSES[schedule.kind]

    def handle(request: httpx.Request) -> httpx.Response:
        body = request.content
        if body:
            asked = json.loads(body)
            calls = asked if isinstance(asked, list) else [asked]
            key = json.dumps([[call["method"], call["params"]] for call in calls])
        else:
            key = str(request.url)
        return sick(ill, request, *ill.dice.take(key))

    return handle


# ----------------------------------------------------------------------------------------------------------- the store


class SickStore(payments.ListStore):
    """A document store that breaks off by schedule; every failure is the SourceError that the real one raises."""

    kind = ""
    seed = 0
    batch = 40

    def scan(self, selection: Selection) -> Iterator[Sequence[Mapping[str, Any]]]:
        """Small batches; the cursor may die, or rows may be those of a secondary that is behind."""
        rows = [row for batch in super().scan(selection) for row in batch]
        dies_at = 1 + self.seed % 3
        for number, start in enumerate(range(0, len(rows), self.batch)):
            if self.kind == "down" or (self.kind == "cursor_dies" and number == dies_at):
                raise StoreDiedError
            yield [self._read(row) for row in rows[start : start + self.batch]]

    def _read(self, row: Mapping[str, Any]) -> Mapping[str, Any]:
        is_old = self.kind == "secondary_behind" and row.get("status") in ("completed", "confirmed")
        return {**row, "status": "pending"} if is_old and str(row["_id"])[-1] in "02468ace" else row

    def count(self, selection: Selection) -> int:
        """How many there are, unless nobody says."""
        if self.kind in ("count_fails", "down"):
            raise StoreDiedError
        return super().count(selection)

    def fetch(self, payment_ids: Iterable[str]) -> Iterator[Mapping[str, Any]]:
        """From a primary that may step down meanwhile."""
        if self.kind in ("stepped_down", "down"):
            raise StoreDiedError
        for number, document in enumerate(super().fetch(payment_ids)):
            if self.kind == "stepped_down_midway" and number == 3 + self.seed:
                raise StoreDiedError
            yield document

    def find_claimants(self, field: str, values: Iterable[str]) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """A search of the whole collection that may be cut."""
        cut = {"claimants_cut": "request_id", "claimants_gone": "tx_hash"}.get(self.kind)
        for number, found in enumerate(super().find_claimants(field, values)):
            if field == cut and (self.kind == "claimants_gone" or number == 2 + self.seed):
                raise StoreDiedError
            yield found
        if self.kind == "claimants_gone":
            raise StoreDiedError


IN_STORE = (
    "cursor_dies", "secondary_behind", "count_fails", "stepped_down", "stepped_down_midway", "claimants_cut",
    "claimants_gone", "down",
)  # fmt: skip


@contextmanager
def sickened(schedules: Sequence[Schedule]) -> Iterator[FakeClock]:
    """While inside, everything that opens a recorded world meets these sick sources, and waits on a fake clock."""
    clock = FakeClock()
    by_source = {schedule.source: schedule for schedule in schedules}
    sound_node = recorded.rpc_handler

    def sick(source: str, sound: Handler, world: RecordedWorld) -> Handler:
        schedule = by_source.get(source)
        return sound if schedule is None else wire(sound, schedule, clock=clock, world=world)

    stored = by_source.get("payments")
    kind = type("SickStore", (SickStore,), {"kind": stored.kind, "seed": stored.seed}) if stored else payments.ListStore
    true_clock = http.Clock
    with ExitStack() as stack:
        for target, replacement in (
            ("recon.sources.providers.request_network.recorded.request_network_handler",
             lambda world: sick("request_network", request_network_handler(world), world)),
            ("recon.sources.providers.shkeeper.recorded.shkeeper_handler",
             lambda world: sick("shkeeper", shkeeper_handler(world), world)),
            ("recon.sources.recorded.world.rpc_handler",
             lambda world, chain_id: sick(f"chain:{chain_id}", sound_node(world, chain_id), world)),
            ("recon.sources.payments.read.ListStore", kind),
            ("recon.sources.http.Clock",
             lambda now_ms, **_: true_clock(now_ms, monotonic=clock.monotonic, sleep=clock.sleep)),
        ):  # fmt: skip
            stack.enter_context(patch(target, replacement))
        yield clock
