"""The services that messages go to: whatever ``apprise`` knows, PagerDuty and Opsgenie.

An address or a key is a secret: it is sent and never shown, and no reason that is given here quotes what a service or
a library said. A send that failed says whether trying again may help.
"""

from __future__ import annotations

import json
import logging
import re
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, Protocol
from urllib.parse import quote

from recon.core.errors import SourceError
from recon.sources.http import Clock, HttpClient, NoReply, Reply, Secret, in_seconds, origin_of, seconds_of
from recon.watch.situations import Urgency
from recon.watch.telling.texts import Dispatch, Occasion

ANSWER_MAX_BYTES: Final = 100_000
HANGING_MAX: Final = 3
"""Sends of one channel that may hang at the same time; no further one begins before one of them ends."""

PAGERDUTY_URL: Final = "https://events.pagerduty.com"
OPSGENIE_URL: Final = "https://api.opsgenie.com"
_FINAL: Final = frozenset({400, 404, 413, 415, 422})
"""Answers that the same message would get again."""

_STATUS = re.compile(r"error=(\d{3})\b")


class NotTakenError(SourceError):
    """A channel did not take a message; it is kept and sent again, but for one that no try will bring there.

    Args:
        after_s: How long the service asked to be left alone.
        is_final: Whether the same message would be refused again.
    """

    def __init__(self, *, channel: str, why: str, after_s: float = 0.0, is_final: bool = False) -> None:
        super().__init__(
            f"The channel {channel} did not take a message ({why}); "
            + (
                "it is not sent again until the situation changes. See the address that its variable holds."
                if is_final
                else "it is kept and sent again. See whether the service can be reached from here."
            )
        )
        self.after_s = after_s
        self.is_final = is_final
        self.why = why


class Channel(Protocol):
    """Sends one message, or raises NotTakenError; returns within its timeout."""

    def send(self, dispatch: Dispatch) -> None:
        """Send it; the same message may come again, under the same key.

        Raises:
            NotTakenError: It did not arrive, or nobody knows whether it did.
        """
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


class AppriseChannel:
    """A chat, a mailbox, a webhook: whatever the address means to ``apprise``.

    Args:
        address: The address, which ``apprise`` must understand; see :func:`understands`.
    """

    def __init__(self, name: str, address: Secret, *, timeout_s: float) -> None:
        self._name, self._timeout_s = name, timeout_s
        self._service = _apprise(address)
        self._free = threading.Semaphore(HANGING_MAX)

    def send(self, dispatch: Dispatch) -> None:
        """See :class:`Channel`. A send that hangs is left alone after the timeout; its thread ends with the process."""
        if not self._free.acquire(blocking=False):
            raise NotTakenError(channel=self._name, why=f"{HANGING_MAX} earlier messages still hang")
        said = in_seconds(self._timeout_s, lambda: self._notify(dispatch))
        if said is None:
            raise NotTakenError(channel=self._name, why=f"no answer within {self._timeout_s:g} s")
        if said:
            raise NotTakenError(channel=self._name, why=said)

    def close(self) -> None:
        """Nothing is held open."""

    def _notify(self, dispatch: Dispatch) -> str:
        """Why it was not taken, empty where it was."""
        try:
            with _EARS.listen() as heard:
                taken = self._service.notify(
                    title=dispatch.title, body=dispatch.text, notify_type=_notify_type(dispatch), body_format="text"
                )
            status = next((found[1] for line in heard if (found := _STATUS.search(line))), "")
            return "" if taken else f"HTTP {status}" if status else "it could not be reached or refused it"
        except Exception as error:  # a library for a hundred services; whatever it raises, the watch goes on
            return type(error).__name__
        finally:
            self._free.release()


def understands(address: Secret) -> bool:
    """Whether ``apprise`` knows what to do with an address."""
    return len(_apprise(address)) == 1


def _apprise(address: Secret) -> Any:
    _mute()
    import apprise

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # its mail imports what Python 3.13 no longer has
        asset = apprise.AppriseAsset(app_id="recon", app_desc="recon", app_url="", async_mode=False, service_timeout=0)
        service = apprise.Apprise(asset=asset)
        service.add(address.reveal())
    return service


def _notify_type(dispatch: Dispatch) -> str:
    if dispatch.occasion in (Occasion.RESOLVED, Occasion.PASSED):
        return "success"
    return {Urgency.INFO: "info", Urgency.WARNING: "warning", Urgency.CRITICAL: "failure"}[dispatch.urgency]


class _Ears(logging.Filter):
    """Lets nothing of what ``apprise`` logs out, for it quotes whole addresses; hears it where a send listens."""

    def __init__(self) -> None:
        super().__init__()
        self._here = threading.local()

    def filter(self, record: logging.LogRecord) -> bool:
        lines: list[str] | None = getattr(self._here, "lines", None)
        if lines is not None:
            lines.append(record.getMessage()[:500])
        return False

    @contextmanager
    def listen(self) -> Iterator[list[str]]:
        """What is logged by this thread in the block."""
        self._here.lines = lines = list[str]()
        try:
            yield lines
        finally:
            self._here.lines = None


class _NoAddresses(logging.Filter):
    """Drops what the HTTP library under ``apprise`` logs of its calls: their paths are the secrets of webhooks."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not str(record.threadName).endswith(" http")


_EARS: Final = _Ears()
_NO_ADDRESSES: Final = _NoAddresses()


def _mute() -> None:
    """Keep what ``apprise`` and its HTTP library say away from every log."""
    logging.getLogger("apprise").addFilter(_EARS)
    for name in ("urllib3.connectionpool", "urllib3.util.retry", "requests", "urllib3"):
        logging.getLogger(name).addFilter(_NO_ADDRESSES)


class _HttpChannel:
    """What both services with entries share: one client, one deadline, answers told apart."""

    def __init__(
        self, name: str, key: Secret, *, base_url: str, timeout_s: float, headers: Mapping[str, str], clock: Clock
    ) -> None:
        self._name, self._key, self._base, self._timeout_s, self._clock = name, key, base_url, timeout_s, clock
        self._client = HttpClient(
            clock=clock, timeout_s=timeout_s, headers=headers, body_bytes_max=ANSWER_MAX_BYTES
        )  # fmt: skip

    def close(self) -> None:
        """Let go of the connection."""
        self._client.close()

    def _ask(self, path: str, body: Mapping[str, Any], *, is_put: bool = False, may_miss: bool = False) -> None:
        """Send a body; ``may_miss`` takes it for done where the service knows no such entry."""
        data = json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
        call = self._client.put if is_put else self._client.post
        answer = call(f"{self._base}{path}", data, ends_at=self._clock.monotonic() + self._timeout_s)
        if isinstance(answer, Reply) and (200 <= answer.status < 300 or (may_miss and answer.status == 404)):
            return
        raise self._refusal(answer)

    def _refusal(self, answer: Reply | NoReply) -> NotTakenError:
        place = origin_of(self._base)
        if isinstance(answer, NoReply):
            return NotTakenError(channel=self._name, why=f"no whole answer from {place} ({answer.kind})")
        return NotTakenError(
            channel=self._name,
            why=f"HTTP {answer.status} from {place}",
            after_s=seconds_of(answer.headers.get("retry-after")) or 0.0,
            is_final=answer.status in _FINAL,
        )


class PagerDutyChannel(_HttpChannel):
    """PagerDuty by its Events API v2: one incident for each key, which later messages change, acknowledge, resolve."""

    def __init__(
        self, name: str, key: Secret, *, base_url: str = PAGERDUTY_URL, timeout_s: float, clock: Clock | None = None
    ) -> None:
        super().__init__(name, key, base_url=base_url, timeout_s=timeout_s, headers={}, clock=clock or Clock())

    def send(self, dispatch: Dispatch) -> None:
        """See :class:`Channel`."""
        actions = {Occasion.ACKNOWLEDGED: "acknowledge", Occasion.RESOLVED: "resolve", Occasion.PASSED: "resolve"}
        action = actions.get(dispatch.occasion, "trigger")
        body: dict[str, Any] = {
            "routing_key": self._key.reveal(), "event_action": action, "dedup_key": dispatch.key, "client": "recon",
        }  # fmt: skip
        if action == "trigger":
            body["payload"] = {
                "summary": dispatch.title, "source": dispatch.target or "recon", "severity": dispatch.urgency.value,
                "timestamp": dispatch.at.isoformat(timespec="seconds"), "class": dispatch.rule or "recon",
                "custom_details": {**dict(dispatch.details), "text": dispatch.text},
            }  # fmt: skip
        self._ask("/v2/enqueue", body)
        if dispatch.occasion is Occasion.TEST:
            del body["payload"]
            self._ask("/v2/enqueue", {**body, "event_action": "resolve"})


_PRIORITIES: Final = {Urgency.CRITICAL: "P1", Urgency.WARNING: "P3", Urgency.INFO: "P5"}


class OpsgenieChannel(_HttpChannel):
    """Opsgenie by its Alert API: one alert for each alias. A repeated alias changes nothing but a count there, so text
    and priority of an open alert are replaced by calls of their own."""

    def __init__(
        self, name: str, key: Secret, *, base_url: str = OPSGENIE_URL, timeout_s: float, clock: Clock | None = None
    ) -> None:
        headers = {"Authorization": f"GenieKey {key.reveal()}"}
        super().__init__(name, key, base_url=base_url, timeout_s=timeout_s, headers=headers, clock=clock or Clock())

    def send(self, dispatch: Dispatch) -> None:
        """See :class:`Channel`."""
        entry = f"/v2/alerts/{quote(dispatch.key, safe='')}"
        by_alias, said = "?identifierType=alias", {"source": "recon", "note": dispatch.text[:25_000]}
        if dispatch.occasion in (Occasion.RESOLVED, Occasion.PASSED):
            self._ask(f"{entry}/close{by_alias}", said, may_miss=True)
            return
        if dispatch.occasion is Occasion.ACKNOWLEDGED:
            self._ask(f"{entry}/acknowledge{by_alias}", {**said, "user": dispatch.who}, may_miss=True)
            return
        self._ask("/v2/alerts", self._alert(dispatch))
        if dispatch.occasion in (Occasion.UPDATED, Occasion.ESCALATED):
            self._ask(f"{entry}/message{by_alias}", {"message": dispatch.title[:130]}, is_put=True, may_miss=True)
            self._ask(f"{entry}/description{by_alias}", {"description": dispatch.text}, is_put=True, may_miss=True)
        if dispatch.occasion is Occasion.ESCALATED:
            priority = {"priority": _PRIORITIES[dispatch.urgency]}
            self._ask(f"{entry}/priority{by_alias}", priority, is_put=True, may_miss=True)
        if dispatch.occasion is Occasion.TEST:
            self._ask(f"{entry}/close{by_alias}", said, may_miss=True)

    def _alert(self, dispatch: Dispatch) -> dict[str, Any]:
        return {
            "message": dispatch.title[:130], "alias": dispatch.key, "description": dispatch.text[:15_000],
            "priority": _PRIORITIES[dispatch.urgency], "source": "recon", "entity": dispatch.target[:512],
            "tags": [dispatch.rule[:50] or "recon"], "details": dict(dispatch.details),
        }  # fmt: skip
