"""Names what takes time in a run, for a tracer that listens; nothing happens where none does.

A span has a name and says what it is about in words that come from the configuration: a window, a source. Nothing of a
payment is given to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Protocol


class Tracer(Protocol):
    """Takes spans, from any thread."""

    def span(self, name: str, **about: str) -> AbstractContextManager[object]:
        """One span: it begins and ends with the block."""
        ...


_TRACERS: list[Tracer] = []


def trace_with(tracer: Tracer) -> Callable[[], None]:
    """Let a tracer hear of every span of this process; gives what ends that."""
    _TRACERS.append(tracer)
    return lambda: _TRACERS.remove(tracer)


@contextmanager
def span(name: str, **about: str) -> Iterator[None]:
    """What the block does is one span."""
    with ExitStack() as stack:
        for tracer in tuple(_TRACERS):
            stack.enter_context(tracer.span(name, **about))
        yield
