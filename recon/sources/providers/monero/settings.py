"""``[monero]`` of the configuration."""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from recon.sources.providers.sections import ProviderSection, Seconds, Section, WebUrl, Whole


def _without_login(value: str) -> str:
    if urlsplit(value).username is not None:
        raise ValueError("an address in this file has no user and password; name the variable that holds them")
    return value


def _tx(value: str) -> str:
    if not re.match(r"[0-9a-f]{64}\Z", value):
        raise ValueError("a transaction is wanted: 64 digits of 0-9 and a-f")
    return value


ServerUrl = Annotated[WebUrl, AfterValidator(_without_login)]


class WalletSection(Section):
    """``[[monero.wallets]]``: one ``monero-wallet-rpc`` with its wallet open.

    ``canary`` is a transaction that the wallet must know, ``start_height`` the block before which nothing can have
    come. Without either, absence is proven only from the oldest transfer on that the wallet shows.
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9_-]{0,39}$")
    url: ServerUrl
    login_variable: str | None = Field(default=None, min_length=1, max_length=100)
    start_height: Whole | None = None
    canary: Annotated[str, AfterValidator(_tx)] | None = None


class MoneroSection(ProviderSection):
    """``[monero]``: wallet servers and a daemon; naming the section puts it in scope unless ``enabled`` says no."""

    daemon_url: ServerUrl | None = None
    daemon_login_variable: str | None = Field(default=None, min_length=1, max_length=100)
    wallets: tuple[WalletSection, ...] = Field(default=(), max_length=200)
    head_age_max_min: Whole = 20
    calls_per_s: float = Field(default=50.0, gt=0, le=1000)
    timeout_s: Seconds = 60.0
