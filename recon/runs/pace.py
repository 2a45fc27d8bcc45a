"""How a run goes about its writes, and what a test replaces in it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from recon.runs.proof import Prove

Judge = Callable[[Sequence[str]], Mapping[str, str]]
"""Asks every source again about payments and gives the verdict of each."""


def no_run_progress(done: int, total: int) -> None:
    """Do nothing."""


def no_refusals(count: int) -> None:
    """Do nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPace:
    """How a run goes about its writes.

    Args:
        group_size: Intents in one journal insert.
        in_flight: Writes at the same time, at most.
        canary_rows: The first rows, which are written, read again and judged again before the rest.
        stop_file: Its presence ends the run before its next write.
        judge: Judges payments anew; None leaves that out and says so.
        prove: Asks for the proof of changes again; None leaves that out.
        progress: Called with rows done and rows in all.
        refused: Called with how many rows were refused so far, after a group in which there are any.
    """

    group_size: int = 50
    in_flight: int = 50
    canary_rows: int = 5
    stop_file: Path | None = None
    judge: Judge | None = None
    prove: Prove | None = None
    lease_ms: int = 30_000
    progress: Callable[[int, int], None] = no_run_progress
    refused: Callable[[int], None] = no_refusals


def no_run_step(name: str) -> None:
    """Do nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunHooks:
    """What a test replaces to fail at a chosen step or to make time pass; a real run uses the defaults.

    Args:
        step: Called before and after each step that acts, with its name.
        monotonic: Seconds since some moment, for the clock check and the lease.
        sleep: Waits so many seconds before a row is tried again.
    """

    step: Callable[[str], None] = no_run_step
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
