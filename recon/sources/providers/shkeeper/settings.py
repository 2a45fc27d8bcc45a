"""``[shkeeper]`` of the configuration."""

from __future__ import annotations

from pydantic import Field

from recon.sources.providers.sections import ProviderSection, Retries, Seconds, Section, WebUrl, Whole


class CoinSection(Section):
    """``[shkeeper.coins]``: which token on which chain one of the gateway's coin names means."""

    chain_id: Whole
    symbol: str = Field(min_length=1, max_length=20)


class ShkeeperSection(ProviderSection):
    """``[shkeeper]``: the self-hosted gateway; naming the section puts it in scope unless ``enabled`` says no."""

    enabled: bool | None = None
    base_url: WebUrl = "http://127.0.0.1:5000"
    api_key_variable: str = "RECON_SHKEEPER_API_KEY"
    health_path: str | None = Field(default=None, pattern=r"^/[^\s]*$", max_length=200)
    account: str = Field(default="", max_length=200)
    coins: dict[str, CoinSection] = Field(default_factory=dict)
    calls_per_s: float = Field(default=5.0, gt=0, le=1000)
    timeout_s: Seconds = 60.0
    retries_max: Retries = 4
