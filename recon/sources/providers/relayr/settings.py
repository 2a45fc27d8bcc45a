"""``[relayr]`` of the configuration."""

from __future__ import annotations

from pydantic import Field

from recon.sources.providers.sections import ProviderSection, Retries, Seconds, WebUrl


class RelayrSection(ProviderSection):
    """``[relayr]``: the relay's API; production and staging have different addresses, so yours is to be named.

    ``health_path`` is asked by the probes of "recon flags" and "recon gates"; without it they ask nothing.
    """

    enabled: bool | None = None
    base_url: WebUrl = "http://127.0.0.1:3000"
    health_path: str | None = Field(default=None, pattern=r"^/[^\s]*$", max_length=200)
    account: str = Field(default="", max_length=200)
    calls_per_s: float = Field(default=5.0, gt=0, le=1000)
    timeout_s: Seconds = 15.0
    retries_max: Retries = 4
