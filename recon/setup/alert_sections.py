"""The sections of ``recon.toml`` about telling people and about the page: who is told what, when, and who may look."""

from __future__ import annotations

import re
from datetime import time
from typing import Annotated, Final, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, StrictBool, model_validator

from recon.sources.providers.sections import Seconds, Section, WebUrl, refuse_bool

UrgencyWord = Literal["info", "warning", "critical"]
ChannelKind = Literal["apprise", "pagerduty", "opsgenie"]
CHANNEL_SECRETS: Final = ("secret", "url", "key")
"""Keys that people would write a channel's secret under; none of them may stand in the file."""

PAGE_SECRETS: Final = ("token", "proxy_secret")
"""The same of the page."""

_TIME = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")


def _time_of_day(value: str) -> str:
    if value and _TIME.fullmatch(value) is None:
        raise ValueError('a time of day is wanted, such as "22:00", or nothing')
    return value


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (LookupError, OSError, ValueError) as error:
        raise ValueError(f"{value[:40]!r} is no time zone that this machine knows, such as Europe/Berlin") from error
    return value


TimeOfDay = Annotated[str, Field(max_length=5), AfterValidator(_time_of_day)]
VariableName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,99}$")]


def time_of(text: str) -> time | None:
    """A time of day as it stands in the file; None where there is none.

    >>> time_of("22:05")
    datetime.time(22, 5)
    """
    return time.fromisoformat(text) if text else None


class ChannelSection(Section):
    """``[[alerts.channels]]``: one way to tell people. Its address is a secret, and ``secret_variable`` names it.

    ``rules`` are names of rules, where ``*`` stands for any letters.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")
    kind: ChannelKind = "apprise"
    secret_variable: VariableName
    base_url: WebUrl | None = None
    urgency_min: UrgencyWord = "info"
    rules: tuple[Annotated[str, Field(pattern=r"^[a-z0-9_*]{1,60}$")], ...] = Field(default=("*",), min_length=1)
    summary: bool = True
    shows_payments: bool = False

    @model_validator(mode="after")
    def _base_url_where_there_is_one(self) -> ChannelSection:
        if self.base_url is not None and self.kind == "apprise":
            raise ValueError("base_url is for pagerduty and opsgenie; an apprise address holds its own host")
        return self


class AlertsSection(Section):
    """``[alerts]``: who is told of situations, and when. Nobody is told while there is no channel."""

    time_zone: Annotated[str, Field(max_length=60), AfterValidator(_zone)] = "UTC"
    quiet_from: TimeOfDay = ""
    quiet_to: TimeOfDay = ""
    quiet_below: UrgencyWord = "critical"
    summary_at: TimeOfDay = "08:00"
    update_every_min: Annotated[int, BeforeValidator(refuse_bool), Field(ge=1, le=10_080)] = 60
    timeout_s: Seconds = 10.0
    channels: tuple[ChannelSection, ...] = Field(default=(), max_length=20)

    @model_validator(mode="after")
    def _makes_sense(self) -> AlertsSection:
        if bool(self.quiet_from) != bool(self.quiet_to):
            raise ValueError("quiet_from and quiet_to belong together; set both, or none")
        names = [channel.name for channel in self.channels]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"two channels are called {twice!r}; give one of them another name")
        return self


class PageSection(Section):
    """``[page]``: who may look at the page that ``recon watch --listen`` serves.

    Without a token or a header of a proxy, page and measures are shown on this machine only; health is answered
    wherever it listens. With ``open_measures`` measures are shown to all who reach it.
    """

    token_variable: VariableName | None = None
    proxy_header: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9-]{0,60}$")] | None = None
    proxy_secret_variable: VariableName | None = None
    open_measures: StrictBool = False
    refresh_s: Annotated[int, BeforeValidator(refuse_bool), Field(ge=1, le=3600)] = 10

    @model_validator(mode="after")
    def _header_has_its_secret(self) -> PageSection:
        if (self.proxy_header is None) != (self.proxy_secret_variable is None):
            raise ValueError("proxy_header and proxy_secret_variable belong together; set both, or none")
        return self


class TracesSection(Section):
    """``[traces]``: where traces of rounds are sent, by OTLP over HTTP. Nothing is traced without an endpoint."""

    endpoint: WebUrl | None = None
    token_variable: VariableName | None = None
    timeout_s: Seconds = 5.0
