"""What runs beside the watch and hears of its rounds: messages, measures, the page. None of it can stop a round."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from recon.core.text import count_text
from recon.sources.http import listen_to_exchanges
from recon.watch.measures import Measures
from recon.watch.telling import Courier, open_courier
from recon.watch.traces import traced

if TYPE_CHECKING:
    from recon.api.common import Say
    from recon.setup.settings import Settings
    from recon.watch.rounds import RoundDone

ONCE_WAIT_S: Final = 60.0
"""How long a single round waits for its messages; what is not sent by then is sent by the next."""


@dataclass(slots=True)
class Beside:
    """Hears of rounds; :meth:`hear` is given to the watch.

    Args:
        textfile: Where measures are written after each round, if anywhere.
    """

    settings: Settings
    say: Say
    courier: Courier | None = None
    measures: Measures | None = None
    textfile: Path | None = None
    place: str = ""
    _last: RoundDone | None = None

    def hear(self, done: RoundDone) -> None:
        """Take over one round or look."""
        if self.courier is not None:
            self.courier.tell(done.open, now=done.times.ended, rounds=int(done.kind == "round"))
        if done.kind == "round":
            self._last = done
        if self.measures is not None:
            self.measures.note_round(done)
            if done.runs is not None:
                self.measures.note_runs(done.runs)
            self._write(self.measures)

    def _write(self, measures: Measures) -> None:
        if self.textfile is None:
            return
        try:
            measures.write_textfile(self.textfile)
        except OSError as error:
            self.say(f"{self.textfile} could not be written ({error.strerror}); the file there is as it was.")

    def why_not_ready(self, now: datetime) -> str:
        """Why the watch is not ready, in one sentence; empty where its rounds are made in time."""
        done = self._last
        if done is None:
            return "No round was made yet."
        if done.failure:
            return "The last round could not be made."
        late = timedelta(seconds=3 * done.times.apart_s, minutes=self.settings.values.watch.late_min)
        return "The last round was made too long ago." if now - done.times.ended > late else ""

    def wait(self, seconds: float = ONCE_WAIT_S) -> None:
        """Wait for what is due to be told, and say what was not."""
        behind = () if self.courier is None else self.courier.wait(seconds)
        if behind:
            self.say(
                f"Messages wait for {count_text(len(behind), 'channel')} ({', '.join(behind)}); the next round sends "
                "them."
            )


@contextmanager
def beside_watch(
    settings: Settings, *, listen: str | None = None, textfile: Path | None = None, say: Say
) -> Iterator[Beside]:
    """Open what runs beside a watch until the end of the block.

    Args:
        listen: Where the page is served, ``PORT`` or ``HOST:PORT``; nowhere when not given.
        textfile: Where measures are written for the textfile collector of ``node_exporter``.

    Raises:
        ConfigError: A channel or the page cannot be opened as it is configured.
        MissingExtraError: The extra ``watch`` is not installed, and something of it is asked for.
        ListenError: The port is taken.
    """
    with ExitStack() as stack:
        beside = Beside(settings, say, textfile=textfile)
        traced(settings, later=stack.callback)
        if settings.values.alerts.channels:
            beside.courier = courier = open_courier(settings)
            courier.start()
            stack.callback(courier.stop)
        if listen is not None or textfile is not None:
            beside.measures = _measuring(settings, beside.courier, textfile, later=stack.callback)
        if listen is not None:
            from recon.watch.page import serve

            ready = _ready(beside)
            served = stack.enter_context(serve(settings, listen, measures=beside.measures, is_ready=ready))
            beside.place = served.url
            say(f"The page is at {served.url}")
        yield beside


def _ready(beside: Beside) -> Callable[[], str]:
    return lambda: beside.why_not_ready(beside.settings.now())


def _measuring(
    settings: Settings, courier: Courier | None, textfile: Path | None, *, later: Callable[..., object]
) -> Measures:
    measures = Measures(settings.registry())
    if textfile is not None:
        measures.take_up(textfile)
    later(listen_to_exchanges(measures.note_exchange))
    if courier is not None:
        outbox = courier.outbox

        def unsent() -> dict[str, int]:
            return {name: outbox.unsent(name, now=courier.now()) for name in outbox.routes}

        measures.watch_messages(lambda: dict(courier.counts), unsent)
    return measures
