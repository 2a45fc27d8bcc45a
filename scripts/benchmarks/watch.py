"""The watch over a thousand rounds, and over an hour in which nothing happens.

Rounds are those of the real loop over a small recorded world, with measures and the page beside it, whose clock is
moved five minutes a round: what is measured is whether the process grows. The idle hour is a real ``recon watch`` with
the usual schedule over a real mongod (a replica set) and provider servers; what these cost is not counted.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import deque
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.measure import ROOT, Result, ask_part, say

FIRST = 50
OVER = 10
"""What is held goes up and down by a tenth from round to round: the median of so many counts."""

GROWTH_AIM = 1.05
PAGE_EVERY = 25
PAYMENTS = 200


def measure_watch(*, rounds: int, minutes: float) -> list[Result]:
    """Memory over so many rounds, and processor seconds of so many idle minutes, told as an hour."""
    grown = ask_part("watch_rounds", rounds)
    first, last = grown["first_mb"], grown["last_mb"]
    shown = "   ".join(f"{at}: {mb:.0f} MB" for at, mb in grown["marks"])
    say(f"        {rounds:,} rounds   {shown}   {grown['cpu_s'] / rounds:.2f} cpu s each")
    idle = ask_part("watch_idle", minutes)
    hour_s = idle["cpu_s"] * 60 / minutes
    took = f"{idle['cpu_s']:.2f} cpu s with {idle['rounds']} rounds and {idle['looks']} looks"
    say(f"        {minutes:g} idle minutes: {took}, so {hour_s:.0f} cpu s an hour   {idle['rss_mb']:.0f} MB")
    return [
        Result(
            f"watch.growth.{rounds}",
            last / first,
            f"{first:.0f} to {last:.0f} MB",
            GROWTH_AIM if rounds > FIRST else None,
        ),
        Result("watch.idle_hour", hour_s / 3600, f"{hour_s:.0f} cpu s an hour"),
    ]


def rss_mb(pid: int | str = "self") -> float:
    """What a process holds in memory now."""
    text = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("VmRSS")) / 1024


def cpu_s(pid: int) -> float:
    """Seconds of a processor that a process has taken so far."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def part_watch_rounds(rounds: int) -> dict[str, Any]:
    """Memory at some of so many rounds."""
    import httpx

    from recon.setup.settings import load_settings
    from recon.simulation import generate_world, write_world
    from recon.watch.beside import beside_watch
    from recon.watch.loop import Clocks, Watcher
    from recon.watch.rounds import RoundDone, Rounds

    wanted = sorted({min(FIRST, rounds // 2), *range(rounds // 4, rounds, max(1, rounds // 4)), rounds})
    marks: list[tuple[int, float]] = []
    newest: deque[float] = deque(maxlen=OVER)
    with tempfile.TemporaryDirectory(prefix="recon-bench-") as name:
        folder = Path(name)
        write_world(generate_world(payments=20, seed=1), folder)
        config = folder / "recon.toml"
        kept = "keep_days = 1\nkeep_rounds_min = 2\nkeep_rounds_max = 12\n"
        watch = f'\n[watch]\nschedule = "every 5min"\njitter_s = 0\nlook_every_s = 300\n{kept}'
        config.write_text(config.read_text(encoding="utf-8") + watch, encoding="utf-8")
        settings = load_settings(config)
        world = settings.world
        assert world is not None, "it is recorded"
        begin, passed, made = settings.now(), 0.0, 0

        def now() -> datetime:
            return begin + timedelta(seconds=passed)

        def wait(seconds: float) -> bool:
            nonlocal passed
            passed += 300 - passed % 300
            world["now"] = f"{now():%Y-%m-%dT%H:%M:%SZ}"
            path = folder / "world.json"
            path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), "now": world["now"]}))
            return made >= rounds

        with beside_watch(settings, listen="0", say=lambda sentence: None) as beside:

            def count(done: RoundDone) -> None:
                nonlocal made
                made += done.kind == "round"
                if done.kind == "round" and made % PAGE_EVERY == 0:
                    assert httpx.get(beside.place, timeout=60, trust_env=False).status_code == 200
                if done.kind == "round":
                    newest.append(rss_mb())
                if done.kind == "round" and made in wanted:
                    marks.append((made, median(newest)))
                    print(f"{made} rounds: {marks[-1][1]:.0f} MB", file=sys.stderr, flush=True)

            began = time.process_time()
            clocks = Clocks(now, lambda: passed, wait)
            Watcher(Rounds(settings, clock=now), clocks=clocks, heard=[beside.hear, count], say=lambda _: None).run()
            spent = time.process_time() - began
    assert made >= rounds, "not every round was made"
    return {"marks": marks, "first_mb": marks[0][1], "last_mb": marks[-1][1], "cpu_s": spent}


def part_watch_idle(minutes: float) -> dict[str, float]:
    """What a real watch takes in so many minutes in which no payment changes, after its first round."""
    sys.path.insert(0, str(ROOT))
    from datetime import UTC

    from benchmarks.played import Tally, played
    from recon.simulation import generate_world
    from recon.watch.state import WatchLog
    from tests.support import living, servers

    made = generate_world(payments=PAYMENTS, seed=1, breaks="none")
    server = servers.start_mongod()
    try:
        with server.client() as client, played(Tally(), module=living), tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            world = living.moved(made, datetime.now(tz=UTC))
            client["marketplace"]["payments"].insert_many(world.recorded.payments, ordered=False)
            with living.serving(world) as addresses:
                config = living.write_live_config(folder, world, addresses, database="marketplace")
                log = WatchLog(folder / "out")
                environment = {
                    **os.environ, "PYTHONPATH": str(ROOT), "RECON_MONGO_URI": server.uri,
                    "RECON_REQUEST_NETWORK_API_KEY": "rn-test-key", "RECON_SHKEEPER_API_KEY": "sh-test-key",
                }  # fmt: skip
                command = [sys.executable, "-m", "recon", "watch", "--config", str(config), "--listen", "0"]
                watch = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL, cwd=folder)
                try:
                    return _idle(watch, log, minutes)
                finally:
                    watch.send_signal(signal.SIGTERM)
                    watch.wait(60)
    finally:
        server.stop()


def _idle(watch: subprocess.Popen[bytes], log: Any, minutes: float) -> dict[str, float]:
    until = time.monotonic() + 120
    while log.state().number == 0:
        if watch.poll() is not None or time.monotonic() > until:
            raise SystemExit("the watch made no round")
        time.sleep(0.5)
    before, began = log.state().number, cpu_s(watch.pid)
    time.sleep(minutes * 60)
    spent = cpu_s(watch.pid) - began
    rounds = sum(line.kind == "round" for line in log.lines() if line.state.number > before)
    return {"cpu_s": spent, "rounds": rounds, "looks": round(minutes * 2), "rss_mb": rss_mb(watch.pid)}
