"""What is special about Salesforce: the rest of recon asks this object and names no provider."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from recon.sources.providers.provider import Books, Headers, OpeningTerms, Payload, Provider, Stream, Webhooks
from recon.sources.providers.salesforce.events import KEPT_H, STARTING, is_stream_event, read_event, stream_place
from recon.sources.providers.salesforce.words import STATE_WORDS

if TYPE_CHECKING:
    from recon.sources.interface import ClaimSource
    from recon.sources.providers.salesforce.login import LoginTerms
    from recon.sources.providers.sections import ProviderSection

NAME: Final = "salesforce"


def _section() -> type[ProviderSection]:
    from recon.sources.providers.salesforce.settings import SalesforceSection

    return SalesforceSection


def _open(terms: OpeningTerms) -> ClaimSource:
    from recon.core.registry.off_chain import with_books
    from recon.sources.providers.salesforce.api import Salesforce, SalesforceSettings
    from recon.sources.providers.salesforce.orders import OrderFields, OrderReader

    given = terms.section
    reader = OrderReader(
        registry=with_books(terms.registry, given.currencies),
        currencies=given.currencies,
        fields=OrderFields(
            object_name=given.object_name,
            status=given.status_field,
            amount=given.amount_field,
            delivery=given.delivery_field,
            scheduled=given.scheduled_field,
            error=given.error_field,
            billing=given.billing_field,
        ),
        words={word.strip().lower(): meaning for word, meaning in given.words.items()},
        billing_errors=given.billing_errors,
    )
    return Salesforce(
        SalesforceSettings(
            base_url=given.base_url,
            login=_login(terms),
            api_version=given.api_version,
            quota_share_max_percent=given.quota_share_max_percent,
            rate_per_s=terms.calls_per_s,
            timeout_s=given.timeout_s,
            retries_max=given.retries_max,
        ),
        reader=reader,
        transport=terms.transport,
        clock=terms.clock,
    )


def _login(terms: OpeningTerms) -> LoginTerms:
    """What a token is asked for with: the secrets of the flow that the settings name, and of no other."""
    from recon.sources.providers.salesforce.login import LoginTerms

    given = terms.section
    client_id = terms.secret(given.client_id_variable)
    if given.login == "jwt":
        key = terms.secret(given.private_key_variable)
        return LoginTerms(client_id, None, "jwt", key, given.username, given.audience)
    if given.login == "refresh_token":
        secret = terms.secret(given.client_secret_variable) if given.has_client_secret else None
        return LoginTerms(client_id, secret, "refresh_token", refresh=terms.secret(given.refresh_token_variable))
    return LoginTerms(client_id, terms.secret(given.client_secret_variable))


def _currencies(section: Any) -> tuple[str, ...]:
    return tuple(section.currencies)


def _sent(headers: Headers, payload: Payload) -> bool:
    return is_stream_event(payload)


def _read(headers: Headers, payload: Payload, fields: Mapping[str, Any]) -> Mapping[str, Any]:
    return read_event(payload)


def _recorded(world: Any) -> Any:
    from recon.sources.providers.salesforce.recorded import salesforce_handler

    return salesforce_handler(world)


_EXAMPLE: Final = """\
enabled = true
base_url = "https://example.my.salesforce.com"    # your own domain, which gives tokens and answers
currencies = ["USD"]
# client_id_variable = "RECON_SALESFORCE_CLIENT_ID"
# client_secret_variable = "RECON_SALESFORCE_CLIENT_SECRET"
# login = "jwt"                              # or "refresh_token"; usually "client_credentials"
# username = "recon@example.org"             # with "jwt": the user whose rights the token has
# private_key_variable = "RECON_SALESFORCE_PRIVATE_KEY"    # with "jwt": the PEM text of the app's RSA key
# audience = "https://login.salesforce.com"  # with "jwt"; of a sandbox https://test.salesforce.com
# refresh_token_variable = "RECON_SALESFORCE_REFRESH_TOKEN"
# has_client_secret = true                   # with "refresh_token": false where the app needs none
# api_version = "62.0"
# object_name = "Order"
# status_field = "Status"
# amount_field = "TotalAmount"
# delivery_field = "Activation_Status__c"    # "" where an order that is activated counts as delivered
# scheduled_field = "Activation_Scheduled_At__c"
# error_field = ""                           # where the code of the last error stands
# billing_errors = ["PAYMENT_METHOD_MISSING"]
# billing_field = ""                         # where an order names what it was billed by, which it then must
# words = { "awaiting legal" = "held_review" }
# retries_max = 4
# quota_share_max_percent = 80               # of the calls of the day, the portal's own counted
# account = "portal"
"""
"""Its section of the configuration that ``recon init --with salesforce`` writes."""

PROVIDER: Final = Provider(
    name=NAME,
    title="Salesforce",
    aliases=("salesforce.com", "sfdc"),
    section=_section,
    open=_open,
    key="external_id",
    asked_by=frozenset({"external_id"}),
    state_words=STATE_WORDS,
    fields={
        "external_id": (
            "metadata.salesforce.orderId", "metadata.salesforceOrderId", "salesforceOrderId", "sfOrderId", "externalId",
        ),
    },
    webhooks=Webhooks(sent=_sent, read=_read, moving=STARTING, stream=Stream(KEPT_H, stream_place)),
    recorded=_recorded,
    secrets={
        "RECON_SALESFORCE_CLIENT_ID": "the consumer key of its connected app",
        "RECON_SALESFORCE_CLIENT_SECRET": "the consumer secret of its connected app",
    },
    example=_EXAMPLE,
    books=Books(_currencies, hold_money=False),
    holds_escrow=False,
    is_ours=False,
    is_usual=False,
)  # fmt: skip
"""Salesforce: orders, whether they were approved, and whether what was ordered is delivered."""
