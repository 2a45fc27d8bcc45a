"""Puts together what a collector cut: lines in parts, and messages as lists of bytes.

Docker and Kubernetes write a long line as several records, each with a part. journald writes a message with colours or
other odd signs as the numbers of its bytes. A route that is cut or written so is found by nobody, so this comes first.

>>> part = b'{"log":"%s","stream":"stdout","time":"%d"}'
>>> whole_lines(part % (b"POST /api/pay", 1) + b"\\n" + part % (b"ment 404", 2))
b'{"log":"POST /api/payment 404","stream":"stdout","time":"2"}'
>>> whole_lines(b'{"MESSAGE":[71,69,84]}')
b'{"MESSAGE":"GET"}'
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

_ROUNDS_MAX: Final = 64
_BYTE: Final = 256
_STREAM: Final = b'","stream":"'
_WHOLE: Final = b"\\n" + _STREAM
_CUT = re.compile(
    rb"(?<!\\n)\",\"stream\":\"(stdout|stderr)\"(?:,\"attrs\":\{[^{}\n]*\})?,\"time\":\"[^\"\n]*\"\}\r?\n"
    rb"\{\"log\":\"(?=(?:[^\"\\\n]|\\.)*\",\"stream\":\"\1\")"
)
_PART = re.compile(rb"^(\S+ (stdout|stderr) )P ([^\r\n]*)\r?\n\S+ \2 ([PF]) ", re.MULTILINE)
_BYTES = re.compile(rb"(\"MESSAGE\"\s*:\s*)\[([0-9, ]{2,4000000})\]")


def whole_lines(text: bytes) -> bytes:
    """The text with every line that a collector cut in one piece again, under the time of its last part."""
    if b'"MESSAGE"' in text and (b'"MESSAGE":[' in text or b'"MESSAGE" : [' in text):
        text = _BYTES.sub(_told, text)
    # Most logs hold no brace, and most lines are whole; counting them is many times faster than looking at each.
    if b"{" in text and text.count(_STREAM) != text.count(_WHOLE):
        text = _CUT.sub(b"", text)
    for _ in range(_ROUNDS_MAX if b" stdout P " in text or b" stderr P " in text else 0):
        text, count = _PART.subn(rb"\1\4 \3", text)
        if not count:
            break
    return text


def message_of(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """A row of journald with its message as text."""
    numbers = row.get("MESSAGE")
    if not isinstance(numbers, list) or not all(isinstance(each, int) and 0 <= each < _BYTE for each in numbers):
        return row
    return {**row, "MESSAGE": bytes(numbers).decode("utf-8", "replace")}


def _told(found: re.Match[bytes]) -> bytes:
    numbers = [int(number) for number in found[2].split(b",") if number.strip().isdigit()]
    if any(number >= _BYTE for number in numbers):
        return found[0]
    return found[1] + json.dumps(bytes(numbers).decode("utf-8", "replace")).encode()
