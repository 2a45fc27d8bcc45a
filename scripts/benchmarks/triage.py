"""A large access log through ``recon triage access-log``, beside ``grep -c`` over the same file."""

from __future__ import annotations

import gzip
import random
import shutil
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.measure import Cost, Result, interleaved, run_process, say

AIM_S_PER_GB = 20.0
RECON = str(Path(sys.executable).parent / "recon")
ROUTES = ("/api/payment/request-network/webhook", "/api/payment/shkeeper/webhook", "/api/payment/shkeeper/callback")
LINES = 20_000
"""Lines of one minute of the log, which is written again with the next minute in it."""

_HOOK_ANSWERS = (200, 200, 202, 404, 500)
_PAGES = ("/api/offers/{0}?page={1}", "/static/{0}.js", "/api/chat/{0}/messages?after={1}", "/api/auth/session")
_AGENTS = ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/139.0 Safari/537.36", "okhttp/4.12", "hook/1.0")


def measure_triage(size_mb: int, *, rounds: int) -> list[Result]:
    """Read a log of ``size_mb`` million bytes in several forms; the aim is for a usual nginx log on the wall."""
    results: list[Result] = []
    with tempfile.TemporaryDirectory(prefix="recon-bench-") as name:
        for label, line, share in (
            ("nginx", _nginx, 0.02), ("caddy", _caddy, 0.02), ("nginx, half webhooks", _nginx, 0.5),
        ):  # fmt: skip
            file = Path(name) / "access.log"
            size = write_log(file, line, size_bytes=size_mb * 10**6, share=share)
            ours, found = _pair(file, rounds)
            per_gb = ours.wall_s * 1e9 / size
            say(f"        {label:22} {size / 1e6:6.0f} MB   ours {ours.text()}   {per_gb:5.1f} s a GB on the wall")
            say(f"        {'':22}             grep {found.text()}   ratio of cpu {ours.cpu_s / found.cpu_s:.2f}")
            if label == "nginx":
                said = f"{size / 1e6:.0f} MB in {ours.wall_s:.2f} s"
                results.append(Result(f"triage.{size_mb}mb_s_per_gb", per_gb, said, AIM_S_PER_GB))
                results.append(Result(f"triage.{size_mb}mb_by_grep", ours.cpu_s / found.cpu_s, f"{ours.cpu_s:.1f} s"))
                packed = file.with_name("access.log.gz")
                _pack(file, packed)
                read = run_process(_command(packed), codes=(1, 4))
                say(f"        {'the same, gzip':22} {packed.stat().st_size / 1e6:6.0f} MB   ours {read.text()}")
                packed.unlink()
            file.unlink()
    return results


def _pair(file: Path, rounds: int) -> list[Cost]:
    pattern = "|".join(ROUTES)
    return interleaved(
        rounds,
        partial(run_process, _command(file), codes=(1, 4)),
        partial(run_process, ["grep", "-acE", pattern, str(file)]),
    )


def _command(file: Path) -> list[str]:
    return [RECON, "triage", "access-log", str(file), "--format", "csv"]


def write_log(path: Path, line: Callable[[random.Random, str, str, int], str], *, size_bytes: int, share: float) -> int:
    """Write minutes of mixed traffic, a little junk among it; gives the size in bytes."""
    chance = random.Random(1)
    lines = []
    for number in range(LINES):
        if chance.random() < share:
            lines.append(line(chance, "POST", chance.choice(ROUTES), chance.choice(_HOOK_ANSWERS)))
        else:
            page = chance.choice(_PAGES).format(chance.randrange(10**6), chance.randrange(50))
            lines.append(line(chance, "GET", page, chance.choice((200, 200, 304, 404))))
        if number % 4_000 == 0:
            lines.append(f"\x16\x03\x01 half a line of {ROUTES[0]} and no end of it\x00")
    block = ("\n".join(lines) + "\n").encode()
    with path.open("wb") as file:
        for minute in range(max(1, size_bytes // len(block))):
            clock = b"%02d/Nov/2026:%02d:%02d" % (1 + minute // 1440, minute // 60 % 24, minute % 60)
            file.write(block.replace(b"@CLOCK@", clock).replace(b"@HUNDREDS@", b"%d" % (17_940_000 + minute)))
    return path.stat().st_size


def _nginx(chance: random.Random, method: str, page: str, status: int) -> str:
    address = f"203.0.113.{chance.randrange(256)}"
    return (
        f"{address} - - [@CLOCK@:{chance.randrange(60):02d} +0000] "
        f'"{method} {page} HTTP/1.1" {status} {chance.randrange(9_000)} "-" "{chance.choice(_AGENTS)}"'
    )


def _caddy(chance: random.Random, method: str, page: str, status: int) -> str:
    return (
        f'{{"level":"info","ts":@HUNDREDS@{chance.randrange(100):02d}.{chance.randrange(1_000):03d},'
        '"logger":"http.log.access.log0","msg":"handled request","request":{"remote_ip":'
        f'"203.0.113.{chance.randrange(256)}","proto":"HTTP/2.0","method":"{method}","host":"amn.example",'
        f'"uri":"{page}","headers":{{"User-Agent":["{chance.choice(_AGENTS)}"]}}}},"duration":0.0123,'
        f'"size":{chance.randrange(9_000)},"status":{status},"resp_headers":{{"Server":["Caddy"]}}}}'
    )


def _pack(file: Path, packed: Path) -> None:
    with file.open("rb") as plain, gzip.open(packed, "wb", compresslevel=1) as out:
        shutil.copyfileobj(plain, out, 8 * 1024 * 1024)
