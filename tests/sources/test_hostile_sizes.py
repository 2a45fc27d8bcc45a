"""Hostile files of the size that is permitted are read, or refused, in less than a gigabyte of memory."""

from __future__ import annotations

import gzip
import json
import lzma
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.triage_logs import HOOK

PEAK_MAX_MB = 1_000
_MB = 1024 * 1024
_READ = """
import re, sys
from pathlib import Path
{body}
peak = re.search(r"VmHWM:\\s+([0-9]+) kB", Path("/proc/self/status").read_text())[1]
print(int(peak) // 1024, shown[:300])
"""
_DELIVERIES = """
from recon.sources.deliveries.records import load_deliveries
from recon.investigation.incident.replay import triage_deliveries
found = load_deliveries(Path(sys.argv[1]))
triage_deliveries(found.deliveries, secrets={})
shown = str((len(found.deliveries), found.shortfalls))
"""
_A_FIFTH = (
    """
import recon.sources.deliveries.records as records
records.MEMORY_MAX //= 5
"""
    + _DELIVERIES
)
_LOGS = """
from recon.investigation.incident.access_log import triage_access_log
found = triage_access_log([Path(sys.argv[1])])
shown = str((found.unreadable, found.problems))
"""


def _document() -> Iterator[bytes]:
    yield b"[" + b"[]," * (20 * _MB) + b"[]]"


def _records() -> Iterator[bytes]:
    yield b"["
    yield b'{"event":"x"},' * (4 * _MB)
    yield b'{"event":"x"}]'


def _lines() -> Iterator[bytes]:
    yield b'{"event":"x"}\n' * 100_000


def _one_line() -> Iterator[bytes]:
    yield b'{"event":"x","data":[' + b"{}," * (2 * _MB) + b"{}]}\n"


def _fields() -> Iterator[bytes]:
    yield json.dumps({"requestId": "r", **{f"k{n}": [] for n in range(500_000)}}).encode()


def _breaks() -> Iterator[bytes]:
    yield b"\n" * (64 * _MB)


def _stamps() -> Iterator[bytes]:
    for day in range(1, 8):
        for hour in range(24):
            yield b"".join(
                b'[%02d/Nov/2026:%02d:%02d:%02d +0000] "POST %b" 200\n' % (day, hour, n // 60, n % 60, HOOK.encode())
                for n in range(3600)
            )


def _wide() -> Iterator[bytes]:
    yield '{"event": "é😀"}\n'.encode() + '"😀'.encode() * (10 * _MB)


HOSTILE: dict[str, tuple[str, str, Callable[[], Iterator[bytes]], Callable[[bytes], bytes] | None]] = {
    "a document of empty lists": ("a.json", _DELIVERIES, _document, None),
    "a document of tiny records": ("a.json", _DELIVERIES, _records, None),
    "lines of tiny records": ("a.ndjson", _A_FIFTH, _lines, None),
    "one line of a million objects": ("a.ndjson", _DELIVERIES, _one_line, None),
    "one record of half a million fields": ("a.json", _DELIVERIES, _fields, None),
    "nothing but line breaks": ("a.ndjson", _DELIVERIES, _breaks, None),
    "wide characters": ("a.json", _DELIVERIES, _wide, None),
    "a table of one cell": ("a.csv", _DELIVERIES, lambda: iter([b'id,body\n1,"' + b"x" * (60 * _MB)]), None),
    "a bomb of gzip": ("a.ndjson", _DELIVERIES, lambda: iter([b"\0" * (400 * _MB)]), gzip.compress),
    "a log of one document": ("a.log", _LOGS, _document, None),
    "a log of half a million seconds": ("a.log", _LOGS, _stamps, None),
    "a log of line breaks": ("a.log", _LOGS, _breaks, None),
    "a bomb of xz": ("a.log", _LOGS, lambda: iter([b"\0" * (400 * _MB)]), lambda text: lzma.compress(text, preset=9)),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_stays_below_a_gigabyte(name: str, tmp_path: Path) -> None:
    file, body, content, pack = HOSTILE[name]
    path = tmp_path / file
    with path.open("wb") as out:
        for piece in content():
            out.write(piece if pack is None else pack(piece))
    words = [sys.executable, "-c", _READ.format(body=body), str(path)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-500:]
    assert int(done.stdout.split()[0]) < PEAK_MAX_MB // (2 if body is _A_FIFTH else 1), done.stdout
