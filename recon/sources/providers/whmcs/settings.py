"""``[whmcs]`` of the configuration."""

from __future__ import annotations

from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field

from recon.core.registry.off_chain import currencies_in
from recon.sources.providers.sections import ProviderSection, Retries, Seconds, WebUrl


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError("no such zone; write UTC or a name such as Asia/Tokyo") from error
    return value


def _currency(value: str) -> str:
    if currencies_in([value]) != (value,):
        raise ValueError("a currency is wanted by its ISO 4217 code, such as USD")
    return value


class WhmcsSection(ProviderSection):
    """``[whmcs]``: the billing system; naming the section puts it in scope unless ``enabled`` says no."""

    base_url: WebUrl = "http://127.0.0.1:8080"
    identifier_variable: str = "RECON_WHMCS_IDENTIFIER"
    secret_variable: str = "RECON_WHMCS_SECRET"  # noqa: S105 - a variable's name
    accesskey_variable: str | None = None
    zone: Annotated[str, AfterValidator(_zone)] = "UTC"
    currencies: tuple[Annotated[str, AfterValidator(_currency)], ...] = Field(default=("USD",), min_length=1)
    calls_per_s: float = Field(default=2.0, gt=0, le=1000)
    timeout_s: Seconds = 60.0
    retries_max: Retries = 4
