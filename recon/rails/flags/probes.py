"""Asking a rail whether it is well, and a running backend which flags it has; read only, a few calls, short waits.

An answer counts only if it is what a healthy service would say: the right HTTP status, JSON, and no word of error in
it. SHKeeper answers errors with HTTP 200 and redirects to a login page, and a proxy in front of a dead service answers
200 with HTML; none of that is health.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol
from urllib.parse import urlsplit

from recon.rails.flags.errors import ProbeSettingError
from recon.sources.http import Clock, HttpClient, NoReply, Reply
from recon.sources.providers.installed import providers

BODY_MAX_BYTES: Final = 200_000
TEXT_MAX: Final = 200

Outcome = Literal["up", "down", "gone", "unclear"]


@dataclass(frozen=True, slots=True)
class Probe:
    """One question over HTTP.

    Args:
        name: What messages call it.
        url: Asked with GET; never shown beyond scheme, host and port.
        expect_status: The HTTP status of health.
        expect: JSON paths (dotted) and the text each must have; besides, ``status`` may never be ``error``.
        headers: Sent along; a value of the form ``${NAME}`` was filled from the environment and is never shown.
        values: For a read-back: flag names and the JSON path at which the backend shows each.
    """

    name: str
    url: str = field(repr=False)
    expect_status: int = 200
    expect: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    values: Mapping[str, str] = field(default_factory=dict)
    timeout_s: float = 5.0
    wants_json: bool = True

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ProbeSettingError(name=self.name, why="its url does not begin with http:// or https:// and a host")
        if not 0 < self.timeout_s <= 60:
            raise ProbeSettingError(name=self.name, why="timeout_s must be over 0 and at most 60 seconds")

    @property
    def place(self) -> str:
        """Scheme, host and port: what may be shown of the address."""
        return shown_address(self.url)


@dataclass(frozen=True, slots=True)
class ProbeAnswer:
    """What came of one question.

    Args:
        outcome: ``up`` or ``down``; for the question whether a path is gone also ``gone`` and ``unclear``.
        why: One clause, without secrets.
        values: For a read-back: what the backend shows for each flag; a flag it does not show is left out.
    """

    name: str
    outcome: Outcome
    why: str
    status: int | None = None
    values: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_up(self) -> bool:
        """Whether the service answered as a healthy one."""
        return self.outcome == "up"


class Prober(Protocol):
    """Asks a probe, or an address that must be gone."""

    def ask(self, probe: Probe) -> ProbeAnswer:
        """Ask once; every failure is an answer, never an exception."""
        ...

    def ask_gone(self, probe: Probe) -> ProbeAnswer:
        """Ask whether nothing lives at an address any more: ``gone``, ``up`` when something does, or ``unclear``."""
        ...


def shown_address(url: str) -> str:
    """An address as far as it may be shown: no user, path or query."""
    parts = urlsplit(url)
    host = parts.hostname or "?"
    try:
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        port = ""
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{port}"


class HttpProber:
    """Asks once with the HTTP client of every source: one deadline for the whole answer, no redirect, no cookie."""

    def ask(self, probe: Probe) -> ProbeAnswer:
        """See :class:`Prober`."""
        status, body, failure = self._get(probe)
        if failure:
            return ProbeAnswer(probe.name, "down", failure, status)
        if status != probe.expect_status:
            return ProbeAnswer(probe.name, "down", _status_words(probe, status), status)
        if not probe.wants_json:
            return ProbeAnswer(probe.name, "up", f"HTTP {status}", status)
        return _judge_json(probe, status, body)

    def ask_gone(self, probe: Probe) -> ProbeAnswer:
        """See :class:`Prober`. A refused login says nothing; a redirect says nothing either."""
        status, _, failure = self._get(probe)
        if failure or status is None:
            return ProbeAnswer(probe.name, "unclear", failure or "no answer", status)
        if status in (404, 410):
            return ProbeAnswer(probe.name, "gone", f"HTTP {status}", status)
        if 200 <= status < 300 or status in (400, 405, 415, 422):
            return ProbeAnswer(probe.name, "up", f"HTTP {status}, so the path is still served", status)
        return ProbeAnswer(probe.name, "unclear", f"HTTP {status} does not tell", status)

    def _get(self, probe: Probe) -> tuple[int | None, bytes, str]:
        clock = Clock()
        client = HttpClient(
            clock=clock, timeout_s=probe.timeout_s, headers=probe.headers, body_bytes_max=BODY_MAX_BYTES
        )
        try:
            reply = client.get(probe.url, ends_at=clock.monotonic() + probe.timeout_s)
        finally:
            client.close()
        if isinstance(reply, Reply):
            return reply.status, reply.body, ""
        return reply.status, b"", _why_none(reply, probe)


def _why_none(reply: NoReply, probe: Probe) -> str:
    """Why no whole answer came, in one clause."""
    if reply.kind == "too_large":
        return f"more than {BODY_MAX_BYTES} bytes came from {probe.place}"
    if reply.kind in ("silent", "late"):
        return f"no answer from {probe.place} within {probe.timeout_s:g} s"
    if reply.kind == "stale":
        return f"what came from {probe.place} had lain in a cache for {reply.after_s:.0f} s"
    return f"{probe.place} cannot be reached ({reply.error})"


def _status_words(probe: Probe, status: int | None) -> str:
    if status is not None and 300 <= status < 400:
        return f"{probe.place} redirects (HTTP {status}), as to a login page, instead of answering"
    return f"{probe.place} answers HTTP {status} instead of {probe.expect_status}"


def _judge_json(probe: Probe, status: int, body: bytes) -> ProbeAnswer:
    try:
        content = json.loads(body, parse_float=str, parse_int=str)
    except (ValueError, RecursionError):
        what = "HTML" if body.lstrip()[:1] == b"<" else "something that is no JSON" if body.strip() else "nothing"
        return ProbeAnswer(probe.name, "down", f"{probe.place} answers HTTP {status} with {what}", status)
    if isinstance(content, dict) and str(content.get("status", "")).lower() == "error":
        return ProbeAnswer(probe.name, "down", f"{probe.place} answers HTTP {status} with status error", status)
    for path, wanted in probe.expect.items():
        if (found := read_path(content, path)) != wanted:
            return ProbeAnswer(
                probe.name, "down", f"{probe.place} shows {path}={found!r} instead of {wanted!r}", status
            )
    values = {flag: text for flag, path in probe.values.items() if (text := read_path(content, path)) is not None}
    return ProbeAnswer(probe.name, "up", f"HTTP {status} from {probe.place}", status, values)


def read_path(content: Any, path: str) -> str | None:
    """The text at a dotted path of decoded JSON; None when it is not there or no plain value.

    A list of plain values reads as its members joined with commas, as such lists are written in flags.
    """
    for step in path.split("."):
        if not isinstance(content, dict) or step not in content:
            return None
        content = content[step]
    if isinstance(content, list):
        members = [_plain(item) for item in content[:100]]
        return None if None in members else ",".join(str(member) for member in members)
    return _plain(content)


def _plain(value: Any) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value[:TEXT_MAX] if isinstance(value, str) else None


def default_probe(provider: str, section: Any, *, key: str | None = None) -> Probe | None:
    """The usual question to a rail whether it is up, by its section of the configuration; None where there is none."""
    found = providers().get(provider)
    asked = found.probe(section, key) if found is not None and found.probe is not None else None
    if asked is None:
        return None
    return Probe(provider, asked.url, expect=dict(asked.expect), headers=dict(asked.headers))
