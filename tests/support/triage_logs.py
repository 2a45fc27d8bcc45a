"""Access logs for tests and for the bench: combined format and Caddy JSON, with webhooks among other traffic."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

START = datetime(2026, 11, 20, 8, tzinfo=UTC)
HOOK = "/api/payment/request-network/webhook"
CALLBACK = "/api/payment/shkeeper/webhook"


def nginx(at: datetime, path: str, status: int, *, method: str = "POST", agent: str = "hook/1.0") -> bytes:
    """One line of the combined format."""
    stamp = at.strftime("%d/%b/%Y:%H:%M:%S +0000")
    return f'203.0.113.9 - - [{stamp}] "{method} {path} HTTP/1.1" {status} 17 "-" "{agent}"\n'.encode()


def caddy(at: datetime, path: str, status: int, *, method: str = "POST") -> bytes:
    """One line of Caddy's JSON log."""
    row = {
        "level": "info",
        "ts": at.timestamp(),
        "logger": "http.log.access.log0",
        "msg": "handled request",
        "request": {"remote_ip": "203.0.113.9", "proto": "HTTP/2.0", "method": method, "host": "amn.example",
                    "uri": path, "headers": {"User-Agent": ["hook/1.0"], "Content-Type": ["application/json"]}},
        "duration": 0.0123, "size": 17, "status": status, "resp_headers": {"Server": ["Caddy"]},
    }  # fmt: skip
    return (json.dumps(row) + "\n").encode()


def write_big(path: Path, *, size_bytes: int, hook_share: float = 0.05, seed: int = 1, form: str = "nginx") -> int:
    """Write a log of about ``size_bytes``; gives how many webhook deliveries it holds."""
    chance = random.Random(seed)
    make = nginx if form == "nginx" else caddy
    hooks, lines = 0, []
    for number in range(20_000):
        at = START + timedelta(seconds=number // 4)
        if chance.random() < hook_share:
            hooks += 1
            where, status = chance.choice(((HOOK, 200), (HOOK, 404), (CALLBACK, 202), (HOOK, 500)))
            lines.append(make(at, where, status))
        else:
            page = f"/api/offers/{chance.randrange(10**6)}?page={chance.randrange(50)}"
            lines.append(make(at, page, chance.choice((200, 200, 304, 404)), method="GET"))
    block = b"".join(lines)
    repeats = max(1, size_bytes // len(block))
    with path.open("wb") as file:
        for _ in range(repeats):
            file.write(block)
    return hooks * repeats
