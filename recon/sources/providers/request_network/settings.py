"""``[request_network]`` of the configuration."""

from __future__ import annotations

from pydantic import Field

from recon.sources.providers.sections import ProviderSection, Retries, Seconds, WebUrl


class RequestNetworkSection(ProviderSection):
    """``[request_network]``: the provider's API; naming the section puts it in scope unless ``enabled`` says no."""

    enabled: bool | None = None
    base_url: WebUrl = "https://api.request.network"
    api_key_variable: str = "RECON_REQUEST_NETWORK_API_KEY"
    webhook_secret_variable: str = "RECON_REQUEST_NETWORK_WEBHOOK_SECRET"  # noqa: S105 - a name, not the secret
    account: str = Field(default="", max_length=200)
    calls_per_s: float = Field(default=5.0, gt=0, le=1000)
    timeout_s: Seconds = 20.0
    retries_max: Retries = 4
