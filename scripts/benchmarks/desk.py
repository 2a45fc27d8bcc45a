"""The review in the terminal with 10,000 findings: how long until the list is on the screen, filter, and open."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import select
import struct
import sys
import tempfile
import termios
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from statistics import median

from benchmarks.measure import Cost, FailedError, Result, ask_part, run_part, run_process, say

START_AIM_S = 1.0
_FINDINGS = 10_000
_SIZE = (24, 80)
_WAIT_S = 30.0
_TICKS_S = os.sysconf("SC_CLK_TCK")


def measure_desk(*, rounds: int) -> list[Result]:
    """Start ``recon review`` in a terminal of its own, in turn with ``recon show`` of the same plan."""
    recon = [sys.executable, "-m", "recon"]
    with tempfile.TemporaryDirectory(prefix="recon-bench-") as name:
        plan = Path(name) / "plan.json"
        run_part("make", Path(name) / "snapshot", _FINDINGS * 20)
        run_part("plan", Path(name) / "snapshot", plan, "duckdb", 0)
        started, shown = [], []
        for _ in range(rounds):
            started.append(_until_listed([*recon, "review", str(plan)], sign=b"local_behind"))
            shown.append(run_process([*recon, "show", str(plan)]))
        steps = ask_part("desk_steps", plan)
    ours, theirs = (
        Cost(median(each.wall_s for each in costs), median(each.cpu_s for each in costs), 0)
        for costs in (started, shown)
    )
    say(f"        list on the screen {ours.wall_s:8.2f} s   {ours.cpu_s:8.2f} cpu s   aim {START_AIM_S} s")
    say(f"        recon show beside  {theirs.wall_s:8.2f} s   {theirs.cpu_s:8.2f} cpu s   {_FINDINGS:,} findings")
    for word, spent in steps.items():
        say(f"        {word:18} {spent:8.1f} cpu ms")
    return [
        Result("desk.start_cpu_s", ours.cpu_s, f"{ours.wall_s:.2f} s on the wall", START_AIM_S),
        Result("desk.start_by_show", ours.cpu_s / theirs.cpu_s, f"recon show {theirs.cpu_s:.2f} cpu s"),
    ]


def _middle(costs: list[Cost]) -> Cost:
    return Cost(median(each.wall_s for each in costs), median(each.cpu_s for each in costs), 0)


def _until_listed(command: list[str], *, sign: bytes) -> Cost:
    """What a program costs from its start until a text is on its terminal; then it is left with ``q``."""
    began = time.perf_counter()
    child, terminal = pty.fork()
    if child == 0:
        os.execve(command[0], command, {**os.environ, "TERM": "xterm-256color"})
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", *_SIZE, 0, 0))
    seen = b""
    while sign not in seen:
        if time.perf_counter() - began > _WAIT_S:
            raise FailedError(command=command, code=-1, said=seen[-500:].decode(errors="replace"))
        if select.select([terminal], [], [], 0.01)[0]:
            seen += os.read(terminal, 65_536)
    wall, ticks = time.perf_counter() - began, Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
    os.write(terminal, b"q")
    _drain(terminal)
    os.waitpid(child, 0)
    return Cost(wall, (int(ticks[11]) + int(ticks[12])) / _TICKS_S, 0)


def _drain(terminal: int) -> None:
    """Read until the program has closed its terminal; on Linux that is an error of the reading."""
    try:
        while os.read(terminal, 65_536):
            pass
    except OSError:
        os.close(terminal)


def part_desk_steps(plan: str) -> dict[str, float]:
    """Processor milliseconds of what a person does with the list, from a key to the drawn screen."""
    from recon.desk.app import DeskApp
    from recon.desk.desk import open_desk

    found: dict[str, float] = {}

    async def run() -> None:
        app = DeskApp(open_desk(Path(plan)))
        async with app.run_test(size=(_SIZE[1], _SIZE[0])) as pilot:
            await pilot.pause()
            await app.workers.wait_for_complete()

            async def timed(word: str, do: Callable[[], Awaitable[object]]) -> None:
                spent = time.process_time()
                await do()
                await pilot.pause()
                found[word] = (time.process_time() - spent) * 1000

            await timed("key down", partial(pilot.press, "down"))
            await timed("open", partial(pilot.press, "enter"))
            await timed("close", partial(pilot.press, "escape"))
            for word, line in _FILTERS.items():
                await pilot.press("slash")
                await timed(word, partial(_typed, app, line))
                await pilot.press("enter")
            await timed("facets", partial(pilot.press, "f"))

    asyncio.run(run())
    return found


_FILTERS = {
    "filter by verdict": "verdict:local_behind",
    "by amount and rail": "amount>100 rail:shkeeper",
    "by age": "age>3d",
    "by text": "abc",
    "no filter": "",
}


async def _typed(app: object, line: str) -> None:
    """Put a line into the filter at once, as pasting does."""
    from textual.app import App
    from textual.widgets import Input

    assert isinstance(app, App)
    app.screen.query_one("#filter", Input).value = line
