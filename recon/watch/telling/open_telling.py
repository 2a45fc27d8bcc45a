"""The channels of ``[alerts]`` as live objects, and the one message that tries them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from recon.api.common import Config, settings_of
from recon.core.errors import UsageError
from recon.core.extras import check_extra
from recon.core.tries import Backoff
from recon.setup.alert_sections import time_of
from recon.setup.file import WrongSettingError
from recon.sources.http import Clock, Secret
from recon.watch.situations import Urgency
from recon.watch.state import FOLDER
from recon.watch.telling.channels import (
    OPSGENIE_URL,
    PAGERDUTY_URL,
    AppriseChannel,
    Channel,
    NotTakenError,
    OpsgenieChannel,
    PagerDutyChannel,
    understands,
)
from recon.watch.telling.courier import BACKOFF, Courier
from recon.watch.telling.outbox import OUTBOX_NAME, Outbox
from recon.watch.telling.routes import Hours, Route
from recon.watch.telling.texts import trial_of

if TYPE_CHECKING:
    from recon.setup.alert_sections import AlertsSection, ChannelSection
    from recon.setup.settings import Settings


class NoChannelError(UsageError):
    """There is no channel to try."""

    def __init__(self, *, named: Iterable[str], known: Iterable[str]) -> None:
        there = ", ".join(known)
        if not there:
            super().__init__("No channel is configured; add a part [[alerts.channels]] to recon.toml.")
        else:
            super().__init__(f"There is no channel {', '.join(named)}; these are configured: {there}.")


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of a test message: empty ``why`` where the channel took it."""

    channel: str
    kind: str
    why: str = ""

    @property
    def was_taken(self) -> bool:
        """Whether the channel took it."""
        return not self.why


def open_courier(settings: Settings, *, clock: Clock | None = None, backoff: Backoff = BACKOFF) -> Courier:
    """The channels of the configuration with their outbox; nothing is sent before :meth:`Courier.start`.

    Raises:
        MissingExtraError: A channel needs ``apprise``, which is not installed.
        MissingSecretError: The variable of a channel is set nowhere.
        WrongSettingError: It holds no address that ``apprise`` understands.
    """
    alerts, clock = settings.values.alerts, clock or Clock()
    outbox = Outbox(
        path=settings.output_dir / FOLDER / OUTBOX_NAME,
        routes={channel.name: route_of(channel) for channel in alerts.channels},
        hours=hours_of(alerts),
        target=settings.target_name,
    )
    channels = {each.name: open_channel(settings, each) for each in alerts.channels}
    return Courier(outbox, channels, clock=clock, backoff=backoff)


def route_of(channel: ChannelSection) -> Route:
    """What a channel is told."""
    return Route(
        channel=channel.name, urgency_min=Urgency(channel.urgency_min), rules=channel.rules,
        keeps_one_entry=channel.kind != "apprise", gets_summary=channel.summary, shows_payments=channel.shows_payments,
    )  # fmt: skip


def hours_of(alerts: AlertsSection) -> Hours:
    """When people are told."""
    return Hours(
        zone=ZoneInfo(alerts.time_zone), quiet_from=time_of(alerts.quiet_from), quiet_to=time_of(alerts.quiet_to),
        quiet_below=Urgency(alerts.quiet_below), summary_at=time_of(alerts.summary_at),
        update_every=timedelta(minutes=alerts.update_every_min),
    )  # fmt: skip


def open_channel(settings: Settings, channel: ChannelSection) -> Channel:
    """A channel; raises as :func:`open_courier`."""
    if channel.kind == "apprise":
        check_extra(f"The channel {channel.name}", package="apprise", extra="watch")
    found = settings.secret(channel.secret_variable, purpose=f"the channel {channel.name}")
    secret, timeout_s = Secret(found.get_secret_value()), settings.values.alerts.timeout_s
    if channel.kind == "pagerduty":
        return PagerDutyChannel(channel.name, secret, base_url=channel.base_url or PAGERDUTY_URL, timeout_s=timeout_s)
    if channel.kind == "opsgenie":
        return OpsgenieChannel(channel.name, secret, base_url=channel.base_url or OPSGENIE_URL, timeout_s=timeout_s)
    if not understands(secret):
        raise WrongSettingError(
            path=settings.source, key=f"alerts.channels {channel.name}",
            why=f"{channel.secret_variable} does not hold one address in the form of apprise, such as slack://…",
        )  # fmt: skip
    return AppriseChannel(channel.name, secret, timeout_s=timeout_s)


def try_channels(config: Config = None, *, channels: Iterable[str] = ()) -> tuple[Trial, ...]:
    """Send one test message to each channel, or to those named, and wait for what comes of it; see ``recon watch
    test-alert``.

    Raises:
        NoChannelError: There is none, or none of a name.
        ConfigError: As :func:`open_courier`, before anything is sent.
    """
    settings = settings_of(config)
    known = {channel.name: channel for channel in settings.values.alerts.channels}
    named = tuple(channels) or tuple(known)
    if not named or not set(named) <= set(known):
        raise NoChannelError(named=sorted(set(named) - set(known)), known=known)
    opened = {name: open_channel(settings, known[name]) for name in dict.fromkeys(named)}
    return tuple(_tried(settings, known[name], channel) for name, channel in opened.items())


def _tried(settings: Settings, section: ChannelSection, channel: Channel) -> Trial:
    try:
        channel.send(trial_of(section.name, target=settings.target_name, now=settings.now()))
    except NotTakenError as error:
        return Trial(section.name, section.kind, error.why)
    finally:
        channel.close()
    return Trial(section.name, section.kind)
