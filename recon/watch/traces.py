"""Traces of rounds by OpenTelemetry: a span for the round, for each source that is read, for judging and for planning.

Names of windows and sources are all that a span says, and of a failure its class: no message, no address, no payment.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from recon.core.extras import check_extra
from recon.core.version import __version__
from recon.sources.http import Secret

if TYPE_CHECKING:
    from opentelemetry.context import Context

    from recon.setup.settings import Settings

ROOT: Final = "round"
QUEUE_MAX: Final = 2_000
SEND_EVERY_MS: Final = 2_000


class Traces:
    """A :class:`~recon.sources.spans.Tracer` that sends what it hears to a collector, in a thread of its own.

    A collector that is away loses spans, and never holds up a round.

    Args:
        endpoint: Where OTLP over HTTP is taken, with its path.

    Raises:
        MissingExtraError: The extra ``otel`` is not installed.
    """

    def __init__(self, endpoint: str, *, token: Secret, timeout_s: float) -> None:
        check_extra("Tracing", package="opentelemetry.sdk", extra="otel")
        check_extra("Tracing", package="opentelemetry.exporter.otlp.proto.http", extra="otel")
        import requests
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL + 1)  # it quotes addresses and answers
        session = requests.Session()
        session.trust_env = False
        headers = {"authorization": f"Bearer {token.reveal()}"} if token else {}
        exporter = OTLPSpanExporter(endpoint=endpoint, headers=headers, timeout=timeout_s, session=session)
        about = Resource({"service.name": "recon", "service.version": __version__})
        self._provider = TracerProvider(resource=about, shutdown_on_exit=False)
        sends = BatchSpanProcessor(exporter, max_queue_size=QUEUE_MAX, schedule_delay_millis=SEND_EVERY_MS)
        self._provider.add_span_processor(sends)
        self._tracer = self._provider.get_tracer("recon", __version__)
        self._round: Context | None = None

    @contextmanager
    def span(self, name: str, **about: str) -> Iterator[None]:
        """One span; those of other threads belong to the round that is being made."""
        from opentelemetry import trace

        is_inside = trace.get_current_span().get_span_context().is_valid
        attributes = {f"recon.{key}": value for key, value in about.items()}
        with self._tracer.start_as_current_span(
            name, context=None if is_inside else self._round, attributes=attributes, record_exception=False,
            set_status_on_exception=False,
        ) as opened:  # fmt: skip
            if name == ROOT:
                self._round = trace.set_span_in_context(opened)
            try:
                yield
            except BaseException as error:
                opened.set_status(trace.Status(trace.StatusCode.ERROR, type(error).__name__))
                raise
            finally:
                if name == ROOT:
                    self._round = None

    def close(self) -> None:
        """Send what is left, for as long as the timeout lasts."""
        self._provider.shutdown()


def open_traces(settings: Settings) -> Traces | None:
    """What ``[traces]`` says; None where it names no endpoint.

    Raises:
        MissingExtraError: The extra ``otel`` is not installed.
        MissingSecretError: The variable of the token is set nowhere.
    """
    given = settings.values.traces
    if given.endpoint is None:
        return None
    token = Secret("")
    if given.token_variable is not None:
        token = Secret(settings.secret(given.token_variable, purpose="the traces").get_secret_value())
    return Traces(given.endpoint, token=token, timeout_s=given.timeout_s)


def traced(settings: Settings, *, later: Callable[..., object]) -> None:
    """Trace what this process does from here on, where the configuration says so.

    Args:
        later: Told what to call at the end, last first.
    """
    from recon.sources.spans import trace_with

    traces = open_traces(settings)
    if traces is not None:
        later(traces.close)
        later(trace_with(traces))
