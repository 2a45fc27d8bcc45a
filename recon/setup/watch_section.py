"""The ``[watch]`` section of ``recon.toml``: when rounds are made, what is kept, and what is worth telling."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from recon.sources.providers.sections import Section, Whole, refuse_bool

ScheduleText = Annotated[str, Field(min_length=1, max_length=100)]
Positive = Annotated[int, BeforeValidator(refuse_bool), Field(ge=1, le=1_000_000)]
Share = Annotated[int, BeforeValidator(refuse_bool), Field(ge=0, le=100)]


class WatchWindowSection(Section):
    """``[[watch.windows]]``: one window that is judged on a schedule of its own."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")]
    hours: Whole
    schedule: ScheduleText


class WatchSection(Section):
    """``[watch]``: the schedule of ``recon watch``, what it keeps, and from where on each rule speaks.

    A schedule is ``every 5min`` (``s``, ``min``, ``h``, ``d``) or five cron words, in UTC. Without windows there is
    one, of ``[window] hours``. Minutes, hours and days are whole numbers.
    """

    schedule: ScheduleText = "every 5min"
    windows: tuple[WatchWindowSection, ...] = Field(default=(), max_length=20)
    jitter_s: Annotated[int, BeforeValidator(refuse_bool), Field(ge=0, le=3600)] = 20
    whole_every_h: Positive = 168
    deadline_min: Positive = 30
    look_every_s: Annotated[int, BeforeValidator(refuse_bool), Field(ge=1, le=3600)] = 30
    back_off_max_min: Positive = 30
    lease: Literal["file", "database"] = "file"
    keep_days: Positive = 14
    keep_rounds_min: Positive = 20
    keep_rounds_max: Positive = 5_000

    new_within_min: Whole = 60
    captured_min: Whole = 30
    pending_min: Whole = 30
    stuck_share_percent: Share = 5
    stuck_rising_rounds: Annotated[int, BeforeValidator(refuse_bool), Field(ge=3, le=1000)] = 6
    failure_window_min: Positive = 60
    failure_share_percent: Share = 10
    failure_times: Positive = 3
    silence_min: Positive = 60
    burst_window_min: Positive = 15
    burst_failures_max: Whole = 10
    down_rounds_critical: Positive = 3
    lag_min: Positive = 15
    blocked_min: Positive = 10
    gates_of: tuple[Annotated[str, Field(min_length=1, max_length=60)], ...] = Field(default=(), max_length=50)
    days_left_min: Whole = 3
    undecided_h: Positive = 4
    late_min: Positive = 10
