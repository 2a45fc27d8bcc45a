"""Recorded sources played in this process, with everything counted that went over their wire and what playing cost."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from typing import Any
from unittest.mock import patch


@dataclass
class Tally:
    """What one run asked of its sources, and the processor seconds that playing them took.

    Args:
        read: ``provider_calls``, ``provider_bytes``, ``chain_calls``, ``chain_bytes`` and ``blocks``; bytes are
            those of the bodies, of questions and answers, before any compression.
    """

    read: Counter[str] = field(default_factory=Counter)
    played_s: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def playing(self, handler: Callable[[Any], Any], *, source: str) -> Callable[[Any], Any]:
        """The handler of a recorded source, its calls counted and its own time kept apart."""

        def answer(request: Any) -> Any:
            began = time.thread_time()
            answered = handler(request)
            found = {
                f"{source}_calls": 1,
                f"{source}_bytes": len(request.content) + len(answered.content),
                "blocks": _blocks(request) if source == "chain" else 0,
            }
            with self.lock:
                self.read.update(found)
                self.played_s += time.thread_time() - began
            return answered

        return answer


def _blocks(request: Any) -> int:
    asked, blocks = json.loads(request.content), 0
    for call in asked if isinstance(asked, list) else [asked]:
        if call["method"] == "eth_getLogs" and call["params"][0].get("toBlock", "").startswith("0x"):
            blocks += int(call["params"][0]["toBlock"], 16) - int(call["params"][0]["fromBlock"], 16) + 1
    return blocks


@contextmanager
def played(tally: Tally, *, module: Any = None) -> Iterator[None]:
    """Within it, every handler of a recorded world counts into ``tally``: where it is made, or as ``module`` has it."""
    with ExitStack() as stack:
        for home, name, source in (
            ("recon.sources.providers.request_network.recorded", "request_network_handler", "provider"),
            ("recon.sources.providers.shkeeper.recorded", "shkeeper_handler", "provider"),
            ("recon.sources.recorded.world", "rpc_handler", "chain"),
        ):
            place = module or import_module(home)
            made = getattr(place, name)
            stack.enter_context(patch.object(place, name, partial(_counting, made, tally, source)))
        yield


def _counting(maker: Callable[..., Any], tally: Tally, source: str, *given: Any) -> Any:
    return tally.playing(maker(*given), source=source)
