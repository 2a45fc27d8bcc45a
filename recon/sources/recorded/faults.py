"""Faults on purpose: rules that spoil some answers of a recorded world, always the same ones.

A rule names a source and a path (a provider) or a JSON-RPC method (a chain); ``*`` at the end stands for anything. It
hits the matching calls from ``calls[0]`` on, before ``calls[1]``, each with ``chance_ppm``; which ones follows from its
seed and the number of the call, so that a schedule can be replayed. What it does is its ``action``:

=========== =======================================================================================================
answer      the given status and body, or for one JSON-RPC call the given ``error`` object
cut         the connection breaks before any answer
slow        no answer before the client's patience ends
truncate    the true answer, cut in the middle
empty       status 200 and no body
repeat      rows of the true answer come twice
shift       the page begins one row early: something new came in front while the pages were read
lag         a node whose head is behind: its newest ``depth`` blocks are not there yet
chain       a node of another chain
=========== =======================================================================================================
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

if TYPE_CHECKING:
    import httpx

    Handler = Callable[[httpx.Request], httpx.Response]

Action = Literal["answer", "cut", "slow", "truncate", "empty", "repeat", "shift", "lag", "chain"]
ROW_LISTS: Final = ("payments", "invoices", "transactions", "result")
_MILLION: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class FaultRule:
    """One kind of wrong answer; see the module docstring.

    Args:
        source: ``request_network``, ``shkeeper`` or ``chain:<id>``.
        match: Path or JSON-RPC method, or the beginning of one and ``*``.
        status, body, text: The answer of action ``answer``; ``text`` is a body that is no JSON and beats ``body``.
        from_block, to_block: Only log questions that touch this range of blocks.
        depth: How many blocks action ``lag`` hides.
    """

    source: str
    match: str
    status: int = 200
    body: Any = None
    text: str | None = None
    from_block: int | None = None
    to_block: int | None = None
    calls: tuple[int, int] | None = None
    chance_ppm: int = _MILLION
    seed: int = 0
    action: Action = "answer"
    depth: int = 0

    def __post_init__(self) -> None:
        if self.action not in get_args(Action):
            raise ValueError(f"{self.action!r} is no fault; choose one of {', '.join(get_args(Action))}")

    def fits(self, match: str, blocks: tuple[int, int] | None) -> bool:
        """Whether a call is of the kind that this rule is about."""
        named = match.startswith(self.match[:-1]) if self.match.endswith("*") else match == self.match
        if not named or self.from_block is None or self.to_block is None:
            return named
        return blocks is not None and blocks[0] <= self.to_block and blocks[1] >= self.from_block

    def hits(self, number: int) -> bool:
        """Whether this rule spoils the matching call of this number, counted from 0."""
        if self.calls is not None and not self.calls[0] <= number < self.calls[1]:
            return False
        drawn = hashlib.sha256(f"{self.seed}:{self.source}:{self.match}:{number}".encode()).digest()
        return int.from_bytes(drawn[:8], "big") % _MILLION < self.chance_ppm


def load_rules(content: Any) -> tuple[FaultRule, ...]:
    """Read what ``faults.json`` holds. Raises ValueError, KeyError or TypeError where it is something else."""
    rules = []
    for row in content["rules"]:
        calls = row.get("calls")
        rules.append(FaultRule(**{**row, "calls": None if calls is None else (int(calls[0]), int(calls[1]))}))
    return tuple(rules)


class Faults:
    """The rules of one source; counts the calls that each of them matches."""

    def __init__(self, rules: Sequence[FaultRule], source: str) -> None:
        self._rules = [rule for rule in rules if rule.source == source]
        self._seen = [0] * len(self._rules)

    def pick(self, match: str, *, blocks: tuple[int, int] | None = None) -> FaultRule | None:
        """The first rule that spoils this call, or None; the call counts for every rule that it matches."""
        picked = None
        for index, rule in enumerate(self._rules):
            if rule.fits(match, blocks):
                number = self._seen[index]
                self._seen[index] += 1
                if picked is None and rule.hits(number):
                    picked = rule
        return picked

    def around(self, answer: Handler) -> Handler:
        """A handler of a provider with these faults."""

        def handle(request: httpx.Request) -> httpx.Response:
            rule = self.pick(request.url.path)
            return answer(request) if rule is None else spoiled(rule, request, answer=answer)

        return handle


def spoiled(rule: FaultRule, request: httpx.Request, *, answer: Handler) -> httpx.Response:
    """What a rule makes of a whole HTTP call."""
    import httpx

    if rule.action == "cut":
        raise httpx.ReadError("the connection was cut", request=request)
    if rule.action == "slow":
        raise httpx.ReadTimeout("no answer in time", request=request)
    if rule.action == "empty":
        return httpx.Response(200, content=b"")
    if rule.action == "truncate":
        whole = answer(request)
        return httpx.Response(
            whole.status_code, content=whole.content[: len(whole.content) // 2], headers={"content-type": "text/json"}
        )
    if rule.action in ("repeat", "shift"):
        return _with_other_rows(rule, request, answer)
    if rule.text is not None:
        return httpx.Response(rule.status, text=rule.text)
    return httpx.Response(rule.status, json=rule.body)


def _with_other_rows(rule: FaultRule, request: httpx.Request, answer: Handler) -> httpx.Response:
    import httpx

    if rule.action == "shift":
        request = _one_row_early(request)
    content = json.loads(answer(request).content)
    for name in ROW_LISTS if rule.action == "repeat" and isinstance(content, Mapping) else ():
        if isinstance(content.get(name), list):
            content[name] = [*content[name], *content[name][:3]]
    return httpx.Response(200, json=content)


def _one_row_early(request: httpx.Request) -> httpx.Request:
    import httpx

    offset = request.url.params.get("offset", "0")
    early = str(max(0, int(offset) - 1)) if offset.isdecimal() else offset
    return httpx.Request(request.method, request.url.copy_set_param("offset", early), headers=request.headers)
