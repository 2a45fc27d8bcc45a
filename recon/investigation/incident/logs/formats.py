"""What is known of log formats, as data: line formats, the names that JSON logs use, and columns with a header.

A new format is a row here and a sample in the tests. Nothing here decides; :mod:`.lines` tries the rows in order.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

METHODS: Final = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "CONNECT", "TRACE", "PROPFIND"})
STATUSES: Final = frozenset(
    {*range(100, 104), *range(200, 209), 226, *range(300, 309), *range(400, 432), 444, 451, 460, 463, 464, 470, 494,
     495, 496, 497, 498, 499, *range(500, 512), *range(520, 531), 561, 598, 599}
)  # fmt: skip
"""Statuses that some server gives; another number of three digits is no status but a size or a time."""
NO_ANSWER: Final = 0
"""The status of a request that got none: its client went away, or the server gave up."""

_METHOD = rb"(?P<method>[A-Z]{3,8})"
_PATH = rb"(?P<path>[^\s\"]+)"
_QUOTED = rb"\"" + _METHOD + rb" " + _PATH + rb"(?: HTTP/[0-9.]{1,3})?"
_BARE = rb"(?<![A-Za-z])" + _METHOD + rb" " + _PATH + rb"(?: HTTP/[0-9.]{1,3})? "
_STATUS = rb"(?P<status>-?[0-9]{1,3}|-)(?![0-9.])"


@dataclass(frozen=True, slots=True)
class LineFormat:
    """One format of text lines.

    Args:
        name: What people call it, with the servers that write it.
        pattern: Finds ``method``, ``path``, ``status``, and ``time`` where the format says where it stands.
        is_guess: It fits many formats that nobody named, so a status has to be one that servers give.
        is_behind: The status is the first number behind the request in quotes, where others write how long it took.
    """

    name: str
    pattern: re.Pattern[bytes]
    is_guess: bool = False
    is_behind: bool = False


LINE_FORMATS: Final = (
    LineFormat(
        "combined (nginx, ingress-nginx, Apache, Traefik, Envoy, gunicorn)",
        re.compile(rb"\[(?P<time>[^\]\n]{10,40})\] " + _QUOTED + rb"\" " + _STATUS),
        is_behind=True,
    ),
    LineFormat(
        "Nginx Proxy Manager",
        re.compile(
            rb"\[(?P<time>[^\]\n]{10,40})\] (?:-|[A-Z]{3,12}) (?:-|[0-9]{3})(?:, (?:-|[0-9]{3})){0,9} "
            rb"(?P<status>[0-9]{3}) - " + _METHOD + rb" https? \S+ \"" + _PATH + rb"\""
        ),
    ),
    LineFormat(
        "load balancer of AWS",
        re.compile(
            rb"^(?:[a-z0-9]{2,8} )?(?P<time>[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z) \S+ \S+ \S+ "
            rb"[-0-9.]+ [-0-9.]+ [-0-9.]+ (?P<status>[0-9]{3}|-) \S+ \d+ \d+ " + _QUOTED
        ),
    ),
    LineFormat(
        "HAProxy",
        re.compile(
            rb"\[(?P<time>[0-9]{2}/[A-Z][a-z]{2}/[0-9]{4}:[0-9:.]+)\] \S+ \S+ [-+0-9/]+ (?P<status>-?[0-9]+) \+?[0-9]+ "
            rb"\S+ \S+ \S{4} [0-9/+]+ [0-9/]+ (?:\{[^}\n]{0,2000}\} ?)*" + _QUOTED
        ),
    ),
    LineFormat(
        "Microsoft Azure, Google or other text with the request in quotes and the status behind it",
        re.compile(_QUOTED + rb"\"[ \t|,;]{1,3}\"?" + _STATUS),
        is_guess=True,
        is_behind=True,
    ),
    LineFormat(
        "morgan (tiny, short)",
        re.compile(_BARE + _STATUS + rb" (?:[0-9]+|-) - (?:[0-9.]+|-) ms"),
        is_guess=True,
    ),
    LineFormat(
        "morgan (dev)",
        re.compile(_BARE + _STATUS + rb" (?:[0-9.]+|-) ms - (?:[0-9]+|-)"),
        is_guess=True,
    ),
    LineFormat(
        "Fiber, Gin",
        re.compile(
            rb"\| *(?P<status>[0-9]{3}) *\| *[0-9.]+[^ |0-9]{1,4} *\| *[0-9A-Fa-f.:]+ *\| *"
            + _METHOD
            + rb" *\|? *\"?"
            + _PATH
        ),
        is_guess=True,
    ),
    LineFormat(
        "text with the status before the request",
        re.compile(rb"(?<![0-9.:])" + _STATUS + rb"\"?[ \t|,;]{1,3}" + _QUOTED),
        is_guess=True,
    ),
)

NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "request": ("request", "requestline", "req", "httprequest", "requestfirstline", "http", "fullrequest", "r", "name"),
    "method": (
        "method", "requestmethod", "httpmethod", "httprequestmethod", "reqmethod", "verb", "httpverb", "csmethod",
        "requestverb", "requesthttpmethod", "clientrequestmethod", "m",
    ),
    "path": (
        "requesturi", "originalrequesturiwithargs", "uri", "url", "requesturl", "requestpath", "path", "urloriginal",
        "urlpath", "csuristem", "httpurl", "httppath", "httptarget", "requrl", "originalurl", "fullpath", "urlfull",
        "uristem", "resourcepath", "routekey", "uripath", "target", "httprequesturl", "clientrequesturi",
        "clientrequestpath", "document", "u", "xenvoyoriginalpath", "xenvoyoriginpath", "xoriginaluri", "xoriginalurl",
        "xforwardeduri", "originalpath", "originaluri", "httproute", "route",
    ),
    "status": (
        "status", "statuscode", "downstreamstatus", "responsestatus", "responsestatuscode", "httpstatus",
        "httpstatuscode", "httpresponsestatuscode", "responsecode", "resstatuscode", "elbstatuscode", "scstatus",
        "resstatus", "edgeresponsestatus", "response", "code", "httpcode", "respstatus", "respcode", "returncode",
        "finalstatus", "resultcode", "s",
    ),
    "time": (
        "timeiso8601", "timelocal", "startutc", "timestamp", "ts", "time", "starttime", "msec", "requesttime",
        "datetime", "date", "eventtime", "logtime", "startlocal", "receivetimestamp", "when", "t", "realtimetimestamp",
        "createdat", "localtime", "timems", "epoch", "timestampms", "timegenerated", "edgestarttimestamp", "startedat",
        "requestreceivedtime", "requeststarttime", "timestamputc",
        "asctime", "eventtimestampms", "timeunixnano", "starttimeunixnano", "observedtimeunixnano",
    ),
}  # fmt: skip
"""The names of fields in JSON logs, ``key=value`` lines and columns, in lower case without signs, the best first.

A name is compared with the last part of a field's path and with the whole of it: ``http.response.status_code`` is
``statuscode`` and ``httpresponsestatuscode``.
"""

LINE_NAMES: Final = (
    "log", "message", "msg", "line", "textpayload", "raw", "eventoriginal", "original", "commonlog", "body", "event",
    "resultdescription", "logs", "properties",
)  # fmt: skip
"""Fields in which a collector keeps the line as the server wrote it (Docker, journald, Fluent Bit, Loki, Splunk)."""

SKIPPED: Final = ("headers", "respheaders", "requestheaders", "responseheaders", "labels", "resource")
"""Parts of a JSON row that tell nothing of the request itself."""

BODIES: Final = ("body", "requestbody", "responsebody", "reqbody", "resbody", "query", "params", "payload")
"""What was sent or answered: its words (``status``) are not the request's, unless the whole row stands in it."""

DATE_NAMES: Final = ("date",)
CLOCK_NAMES: Final = ("time",)

COLUMNS_KNOWN: Final[tuple[tuple[str, ...], ...]] = (
    (
        "date",
        "time",
        "s-ip",
        "cs-method",
        "cs-uri-stem",
        "cs-uri-query",
        "s-port",
        "cs-username",
        "c-ip",
        "cs(User-Agent)",
        "cs(Referer)",
        "sc-status",
        "sc-substatus",
        "sc-win32-status",
        "time-taken",
    ),
    (
        "date",
        "time",
        "x-edge-location",
        "sc-bytes",
        "c-ip",
        "cs-method",
        "cs(Host)",
        "cs-uri-stem",
        "sc-status",
        "cs(Referer)",
        "cs(User-Agent)",
        "cs-uri-query",
        "cs(Cookie)",
        "x-edge-result-type",
        "x-edge-request-id",
        "x-host-header",
        "cs-protocol",
        "cs-bytes",
        "time-taken",
        "x-forwarded-for",
        "ssl-protocol",
        "ssl-cipher",
        "x-edge-response-result-type",
        "cs-protocol-version",
        "fle-status",
        "fle-encrypted-fields",
        "c-port",
        "time-to-first-byte",
        "x-edge-detailed-result-type",
        "sc-content-type",
        "sc-content-len",
        "sc-range-start",
        "sc-range-end",
    ),
)
"""Columns of W3C logs whose ``#Fields`` line was cut off: IIS as installed, CloudFront."""


_SIGN = re.compile(r"[^a-z0-9]")
_TYPED = re.compile(r"(?<=[A-Za-z0-9])_[sdgbt]\Z")
"""How Azure's ``AzureDiagnostics`` marks the type of a column: ``httpStatus_d``, ``requestUri_s``."""


def plain_name(text: str) -> str:
    """A name of a field in lower case without signs, as :data:`NAMES` writes it."""
    return _SIGN.sub("", text.lower())


def plain_names(path: Sequence[str]) -> tuple[str, str]:
    """The whole path of a field and its last part, in lower case without signs."""
    plain = [plain_name(_TYPED.sub("", part)) for text in path for part in text.split(".")]
    return "".join(plain), plain[-1] if plain else ""
