"""The messages of a watch, received by a local server: what its log says, told line by line."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from zoneinfo import ZoneInfo

from recon.core.errors import SourceError
from recon.sources.http import Clock, Secret
from recon.watch.situations import Urgency
from recon.watch.state import WatchLine
from recon.watch.telling.channels import PagerDutyChannel
from recon.watch.telling.courier import Courier
from recon.watch.telling.outbox import Outbox
from recon.watch.telling.routes import Hours, Route
from tests.support.inbox import Inbox, inbox


def received(lines: Iterable[WatchLine], folder: Path) -> list[tuple[str, str]]:
    """What a pager received of a log, one line after another: the action and the key of the situation.

    After every line the process is another one, and every third message fails at first.
    """
    with inbox() as service:
        for number, line in enumerate(lines):
            assert line.state.at is not None
            courier = a_courier(folder, service, at_ms=int(line.state.at.timestamp() * 1000))
            courier.tell(line.state.open, now=line.state.at)
            service.answers[:] = [503] if number % 3 == 0 else []
            while True:
                try:
                    courier.carry("pager")
                    break
                except SourceError:
                    continue
        return [
            (str(each.body["event_action"]), str(each.body["dedup_key"]).rpartition("/")[2]) for each in service.taken
        ]


def a_courier(folder: Path, service: Inbox, *, at_ms: int) -> Courier:
    """A courier with one pager, at a moment."""
    route = Route("pager", urgency_min=Urgency.INFO, keeps_one_entry=True)
    outbox = Outbox(folder / "messages.json", {"pager": route}, Hours(ZoneInfo("UTC")), "shop")
    channel = PagerDutyChannel("pager", Secret("key"), base_url=service.url, timeout_s=5)
    return Courier(outbox, {"pager": channel}, clock=Clock(now_ms=lambda: at_ms))
