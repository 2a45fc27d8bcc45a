"""Relayr as the rest of recon knows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from recon.sources.providers.provider import OpeningTerms, Provider, RailProbe
from recon.sources.providers.relayr.words import STATE_WORDS

if TYPE_CHECKING:
    from recon.sources.interface import ClaimSource
    from recon.sources.providers.sections import ProviderSection

NAME: Final = "relayr"


def _section() -> type[ProviderSection]:
    from recon.sources.providers.relayr.settings import RelayrSection

    return RelayrSection


def _open(terms: OpeningTerms) -> ClaimSource:
    from recon.sources.providers.relayr.api import Relayr, RelayrSettings

    given = terms.section
    return Relayr(
        RelayrSettings(
            base_url=given.base_url,
            rate_per_s=terms.calls_per_s,
            timeout_s=given.timeout_s,
            retries_max=given.retries_max,
        ),
        registry=terms.registry,
        transport=terms.transport,
        clock=terms.clock,
    )


def _recorded(world: Any) -> Any:
    from recon.sources.providers.relayr.recorded import relayr_handler

    return relayr_handler(world)


def _probe(section: Any, key: str | None) -> RailProbe | None:
    path = section.health_path
    return None if path is None else RailProbe(f"{section.base_url.rstrip('/')}{path}")


_EXAMPLE: Final = """\
base_url = "https://relayr.example"      # production and staging have different addresses
# health_path = "/health"                # where it says that it is up; without it nobody asks
# account = "app-1"
# timeout_s = 15
"""
"""Its section of the configuration that ``recon init --with`` writes."""

PROVIDER: Final = Provider(
    name=NAME,
    title="Relayr",
    aliases=("relayer", "juicebox"),
    section=_section,
    open=_open,
    key="external_id",
    asked_by=frozenset({"external_id"}),
    has_list=False,
    sends_transactions=True,
    state_words=STATE_WORDS,
    fields={"external_id": ("bundleId", "bundle_id", "metadata.bundleId", "metadata.bundle_id")},
    probe=_probe,
    recorded=_recorded,
    example=_EXAMPLE,
    is_usual=False,
)
