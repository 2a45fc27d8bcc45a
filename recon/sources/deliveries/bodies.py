"""Brings a body from the form in which it was kept back to the bytes that came.

Backends keep bodies as text, as a Node ``Buffer``, as base64, as hexadecimal digits of a database, as lists of bytes,
packed by gzip, or only as what they say. A body in a form that nobody knows is told from one that was never kept.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import json
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal
from urllib.parse import unquote_plus

Kept = Literal["raw", "text", "parsed", "unread", "none"]
"""How a body was kept: the bytes that came; a text that may have been written again; only what it says; in a form that
is not read; not at all."""

BODY_MAX_BYTES: Final = 2 * 1024 * 1024
_HEX = re.compile(r"(?:\\x|0x|[xX]')?([0-9a-fA-F]{16,})'?\Z")
_DATA_URL = re.compile(r"\Adata:[\w/+.;=-]{0,100},")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{16,}={0,2}\Z")
_WORDS_BASE64: Final = ("base64", "b64", "true", "1", "base64url")


@dataclass(frozen=True, slots=True)
class Body:
    """A body as far as it is known.

    Args:
        raw: The bytes that came, or the text that was kept; None where only what it says was kept.
        payload: What it says, empty where that is no object.
    """

    kept: Kept = "none"
    raw: bytes | None = None
    payload: Mapping[str, Any] = field(default_factory=dict)


NO_BODY: Final = Body()


def read_body(value: Any, *, encoding: Any = None, is_raw: bool = True) -> Body:
    """Read a body that was kept in some form.

    Args:
        encoding: What the record says of its encoding: ``base64``, ``hex``, true for base64.
        is_raw: Whether the record keeps under this name what came; otherwise a text may have been written again.
    """
    if value is None or value in ("", {}):
        return NO_BODY
    if isinstance(value, Mapping):
        raw = _bytes_of_object(value)
        return _of_bytes(raw, is_raw=True) if raw is not None else Body("parsed", None, value)
    if isinstance(value, list):
        raw = _bytes_of_list(value)
        return Body("unread") if raw is None else _of_bytes(raw, is_raw=True)
    if isinstance(value, bytes | bytearray | memoryview):
        return _of_bytes(bytes(value), is_raw=True)
    return _of_text(value, encoding=encoding, is_raw=is_raw) if isinstance(value, str) else Body("unread")


def written_again(kept: bytes) -> Iterator[bytes]:
    """What a body may have looked like before it was written again: as Node and as Python write JSON.

    Node's ``binary`` and ``latin1`` keep each byte as a letter of its own, so UTF-8 is written as two letters for one.
    """
    with contextlib.suppress(UnicodeError):
        yield kept.decode().encode("latin-1")
    try:
        payload = json.loads(kept)
    except (ValueError, RecursionError):
        return
    for separators in ((",", ":"), (", ", ": ")):
        for ascii_only in (False, True):
            try:
                text = json.dumps(payload, separators=separators, ensure_ascii=ascii_only)
            except (TypeError, ValueError, RecursionError):
                return
            yield text.encode("utf-8", "surrogatepass")


def is_database_order(raw: bytes) -> bool:
    """Whether a JSON text looks written by Postgres ``jsonb``: keys by length, then by name, a space after signs."""
    payload = parsed_object(raw)
    names = list(payload)
    ordered = sorted(names, key=lambda name: (len(name.encode()), name.encode()))
    return len(names) > 1 and names == ordered and b'": ' in raw


def parsed_object(raw: bytes) -> Mapping[str, Any]:
    """The object that a JSON text holds; empty where it holds none."""
    value = _parsed(raw)
    return value if isinstance(value, Mapping) else {}


def _parsed(raw: bytes) -> Any:
    try:
        return json.loads(raw, parse_float=str)
    except (ValueError, RecursionError):
        return None


def _of_bytes(raw: bytes, *, is_raw: bool) -> Body:
    if len(raw) > BODY_MAX_BYTES:
        return Body("unread")
    kept: Kept = "raw" if is_raw else "text"
    if raw.startswith(b"\x1f\x8b") and (plain := _unpacked(raw)) is not None:
        return Body(kept, plain, parsed_object(plain))
    if raw[:5] in (b"POST ", b"PUT /") and b"\r\n\r\n" in raw:
        raw = raw.partition(b"\r\n\r\n")[2]
    value = _parsed(raw)
    return Body(kept, raw, value) if isinstance(value, Mapping) else Body("unread", raw)


def _of_text(text: str, *, encoding: Any, is_raw: bool) -> Body:
    if len(text) > 2 * BODY_MAX_BYTES:
        return Body("unread")
    word = str(encoding).strip().lower() if encoding not in (None, False) else ""
    if word == "hex" or word in _WORDS_BASE64:
        raw = _from_hex(text.strip()) if word == "hex" else _from_base64(text)
        if raw is not None:
            return _of_bytes(raw, is_raw=True)
        # Some set the word for every record, whatever the body is: a text that is JSON already is one.
        return _as_it_stands(text, is_raw=is_raw) or Body("unread")
    plain = text.encode("utf-8", "surrogatepass" if text.isprintable() else "replace")
    return _of_json(_parsed(plain), plain, is_raw=is_raw) or _decoded(text.strip()) or Body("unread", plain)


def _as_it_stands(text: str, *, is_raw: bool) -> Body | None:
    plain = text.encode("utf-8", "replace")
    value = _parsed(plain)
    return Body("raw" if is_raw else "text", plain, value) if isinstance(value, Mapping) else None


def _of_json(value: Any, plain: bytes, *, is_raw: bool) -> Body | None:
    """A body by the JSON that its text is: an object, bytes in one of their forms, or a text in a text."""
    if isinstance(value, str):
        return _of_text(value, encoding=None, is_raw=is_raw)
    raw = None
    if isinstance(value, Mapping):
        raw = _bytes_of_object(value)
        if raw is None:
            return Body("raw" if is_raw else "text", plain, value)
    elif isinstance(value, list):
        raw = _bytes_of_list(value)
    return None if raw is None else _of_bytes(raw, is_raw=True)


def _decoded(text: str) -> Body | None:
    """A text that is no JSON, where it says something else in another alphabet; None where it does not."""
    for raw in (
        _from_hex(text),
        _from_base64(plain) if _BASE64.match(plain := "".join(_DATA_URL.sub("", text).split())) else None,
        _from_form(text),
        _from_repr(text),
    ):
        if raw is not None and (body := _of_bytes(raw, is_raw=True)).payload:
            return body
    return None


def _from_hex(text: str) -> bytes | None:
    found = _HEX.match(text)
    if found is None:
        return None
    try:
        return bytes.fromhex(found[1])
    except ValueError:
        return None


def _from_base64(text: str) -> bytes | None:
    """Base64 in either alphabet, with or without line breaks and padding."""
    plain = "".join(text.split()).replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None


def _from_form(text: str) -> bytes | None:
    """A body that was sent or kept as a form field, or with percent signs."""
    if "%7B" not in text[:200] and "%7b" not in text[:200]:
        return None
    return unquote_plus(text[text.lower().index("%7b") :].partition("&")[0]).encode()


def _from_repr(text: str) -> bytes | None:
    """Bytes as Python prints them: ``b'...'``."""
    if not re.match(r"b(['\"]).*\1\Z", text, re.DOTALL):
        return None
    inner = text[2:-1]
    try:
        return inner.encode("latin-1", "backslashreplace").decode("unicode_escape").encode("latin-1")
    except (UnicodeError, ValueError):
        return None


def _bytes_of_object(value: Mapping[str, Any]) -> bytes | None:
    """A ``Buffer``, a typed array by its indexes, or an object that holds base64; None for every other object."""
    data = value.get("data")
    if value.get("type") in ("Buffer", "Uint8Array", "bytes") and data is not None:
        return _bytes_of_list(data) if isinstance(data, list) else _from_base64(data) if isinstance(data, str) else None
    if set(value) in ({"base64"}, {"$base64"}, {"bytes"}):
        inner = next(iter(value.values()))
        return _from_base64(inner) if isinstance(inner, str) else None
    if "0" in value and all(str(n) in value for n in range(min(len(value), 4))):
        return _bytes_of_list([value.get(str(n)) for n in range(len(value))])
    return None


def _bytes_of_list(value: Sequence[Any]) -> bytes | None:
    if not value or len(value) > BODY_MAX_BYTES:
        return None
    if all(isinstance(each, int) and not isinstance(each, bool) and 0 <= each < 256 for each in value):
        return bytes(value)
    return None


def _unpacked(raw: bytes) -> bytes | None:
    """A body packed by gzip, up to the size that is read."""
    try:
        plain = zlib.decompressobj(wbits=31).decompress(raw, BODY_MAX_BYTES + 1)
    except zlib.error:
        return None
    return plain if len(plain) <= BODY_MAX_BYTES else None
