"""A log format that a user gives: as nginx, Apache or HAProxy writes it in its own configuration."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from recon.core.errors import UsageError
from recon.core.text import clean_text
from recon.investigation.incident.logs.formats import LineFormat

FORMAT_MAX: Final = 4000
EXAMPLE: Final = "'$remote_addr [$time_local] \"$request\" $request_time $status'"

_TIME = rb"(?P<time>[^\]\"|]{8,40}?)"
_REQUEST = rb"(?P<method>[A-Z]{3,8}) (?P<path>[^\s\"]+)(?: HTTP/[0-9.]{1,3})?"
_PARTS: Final[Mapping[str, bytes]] = {
    "request": _REQUEST, "method": rb"(?P<method>[A-Z]{3,8})", "path": rb"(?P<path>[^\s\"]+)",
    "status": rb"(?P<status>-?[0-9]{1,3}|-)", "time": _TIME, "msec": rb"(?P<time>[0-9]{10,16}(?:\.[0-9]+)?)",
    "bracketed": rb"\[(?P<time>[^\]\n]{8,40})\]",
}  # fmt: skip
_NGINX: Final[Mapping[str, str]] = {
    "request": "request", "request_method": "method", "request_uri": "path", "uri": "path", "document_uri": "path",
    "status": "status", "time_local": "time", "time_iso8601": "time", "msec": "msec",
}  # fmt: skip
_APACHE: Final[Mapping[str, str]] = {
    "t": "bracketed", "r": "request", "m": "method", "U": "path", ">s": "status", "s": "status", "<s": "status",
}  # fmt: skip
_HAPROXY: Final[Mapping[str, str]] = {
    "t": "time", "tr": "time", "trl": "time", "trg": "time", "T": "time", "Tl": "time", "Ts": "msec",
    "r": "request", "HM": "method", "HU": "path", "HP": "path", "HPO": "path", "ST": "status",
}  # fmt: skip
_VARIABLES: Final = {
    "nginx": re.compile(r"\$\{?(\w+)\}?"),
    "other": re.compile(r"%(?:[!0-9,]*)(?:\{([^}]*)\})?(>s|<s|\^[ti][io]|[A-Za-z]{1,4})"),
}


class LogFormatError(UsageError):
    """A log format cannot be used."""

    def __init__(self, *, why: str) -> None:
        super().__init__(f"--log-format: {why}. Give it as the server's configuration has it, for example {EXAMPLE}.")


def parse_log_format(text: str) -> LineFormat:
    """Read a format of nginx (``$status``), Apache (``%>s``) or HAProxy (``%ST``).

    A whole ``log_format name '...' '...';`` directive may be given as well.

    Raises:
        LogFormatError: It does not say where time, method, path and status stand.
    """
    text = _bare(text)
    if not text or len(text) > FORMAT_MAX:
        raise LogFormatError(why="it is empty" if not text else f"it is longer than {FORMAT_MAX} characters")
    is_nginx = "$" in text
    named = _NGINX if is_nginx else _HAPROXY if re.search(r"%(?:\{[^}]*\})?(?:ST|HM|HU|ci)\b", text) else _APACHE
    pattern = _pattern(text, named, _VARIABLES["nginx" if is_nginx else "other"])
    missing = [part for part in ("time", "method", "path", "status") if f"(?P<{part}>".encode() not in pattern]
    if missing:
        raise LogFormatError(why=f"{clean_text(text, limit=80)!r} says not where {', '.join(missing)} stand")
    return LineFormat("the given format", re.compile(pattern))


def _bare(text: str) -> str:
    """Without the words of the directive, and with its quoted pieces joined."""
    text = text.strip()
    if re.match(r"(?:log_format|LogFormat|log-format)\s", text):
        pieces = re.findall(r"'([^']*)'", text) or re.findall(r"\"((?:[^\"\\]|\\.)*)\"", text)
        text = "".join(pieces)
    return text.replace('\\"', '"')


def _pattern(text: str, named: Mapping[str, str], variables: re.Pattern[str]) -> bytes:
    """One expression; a variable that says nothing runs to the sign that follows it, so that none is tried twice."""
    pattern, position, used = b"", 0, set[str]()
    for found in variables.finditer(text):
        literal = text[position : found.start()]
        pattern += re.escape(literal.encode())
        part = named.get(found[found.lastindex or 1])
        groups = {"request": ("method", "path"), "msec": ("time",), "bracketed": ("time",)}.get(part or "", (part,))
        following = text[found.end() : found.end() + 1]
        if part is not None and not used.intersection(groups):
            used.update(str(group) for group in groups)
            pattern += _PARTS[part]
        else:
            pattern += _other(following)
        position = found.end()
    return pattern + re.escape(text[position:].encode())


def _other(following: str) -> bytes:
    """What a variable may hold that stands before this sign."""
    if following == " ":
        return rb"(?:[^\s,]*(?:, ?[^\s,]+)*)"
    return rb"[^" + re.escape(following.encode()) + rb"\n]*" if following else rb"[^\n]*"
