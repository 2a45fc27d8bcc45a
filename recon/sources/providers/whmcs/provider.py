"""What is special about WHMCS: the rest of recon asks this object and names no provider."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from recon.sources.providers.provider import Books, OpeningTerms, Provider
from recon.sources.providers.whmcs.words import INVOICE_WORDS

if TYPE_CHECKING:
    from recon.sources.interface import ClaimSource
    from recon.sources.providers.sections import ProviderSection

NAME: Final = "whmcs"


def _section() -> type[ProviderSection]:
    from recon.sources.providers.whmcs.settings import WhmcsSection

    return WhmcsSection


def _open(terms: OpeningTerms) -> ClaimSource:
    from recon.core.registry.off_chain import with_books
    from recon.sources.providers.whmcs.api import Whmcs, WhmcsSettings

    given = terms.section
    return Whmcs(
        WhmcsSettings(
            base_url=given.base_url,
            identifier=terms.secret(given.identifier_variable),
            secret=terms.secret(given.secret_variable),
            accesskey=terms.secret(given.accesskey_variable) if given.accesskey_variable else None,
            zone=given.zone,
            currencies=given.currencies,
            rate_per_s=terms.calls_per_s,
            timeout_s=given.timeout_s,
            retries_max=given.retries_max,
        ),
        registry=with_books(terms.registry, given.currencies),
        transport=terms.transport,
        clock=terms.clock,
    )


def _currencies(section: Any) -> tuple[str, ...]:
    return tuple(section.currencies)


def _recorded(world: Any) -> Any:
    from recon.sources.providers.whmcs.recorded import whmcs_handler

    return whmcs_handler(world)


_EXAMPLE: Final = """\
enabled = true
base_url = "https://billing.example"
zone = "UTC"                             # the zone of the installation, in which it writes every time
currencies = ["USD"]
# identifier_variable = "RECON_WHMCS_IDENTIFIER"
# secret_variable = "RECON_WHMCS_SECRET"
# accesskey_variable = "RECON_WHMCS_ACCESSKEY"    # where your address is not on the installation's list
# account = "billing"
"""
"""Its section of the configuration that ``recon init --with whmcs`` writes."""

PROVIDER: Final = Provider(
    name=NAME,
    title="WHMCS",
    aliases=("whmcs.com",),
    section=_section,
    open=_open,
    key="external_id",
    asked_by=frozenset({"external_id"}),
    state_words={word.lower(): state for word, state in INVOICE_WORDS.items()},
    fields={
        "external_id": (
            "metadata.whmcs.invoiceId", "metadata.whmcsInvoiceId", "whmcsInvoiceId", "invoiceId", "externalId",
        ),
    },
    recorded=_recorded,
    secrets={"RECON_WHMCS_IDENTIFIER": "the API identifier", "RECON_WHMCS_SECRET": "the API secret"},
    example=_EXAMPLE,
    books=Books(_currencies),
    holds_escrow=False,
    is_ours=False,
    is_usual=False,
)  # fmt: skip
"""WHMCS: invoices of a billing system, whose money is in its own books."""
