"""``[salesforce]`` of the configuration."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from recon.core.registry.off_chain import currencies_in
from recon.sources.providers.sections import ProviderSection, Retries, Seconds, WebUrl

FieldName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,79}$")]
FieldOrNone = Annotated[str, Field(pattern=r"^([A-Za-z][A-Za-z0-9_]{0,79})?$")]
Meaning = Literal["unpaid", "held_review", "held_service", "held_billing", "paid", "cancelled"]


def _currency(value: str) -> str:
    if currencies_in([value]) != (value,):
        raise ValueError("a currency is wanted by its ISO 4217 code, such as USD")
    return value


class SalesforceSection(ProviderSection):
    """``[salesforce]``: where the orders are; naming the section puts it in scope unless ``enabled`` says no.

    ``login`` says how a token is got; a login with a user's password is not there. A field whose name is empty is not
    asked for. ``words`` gives the meaning of an installation's own words.
    """

    base_url: WebUrl = "http://127.0.0.1:8080"
    client_id_variable: str = "RECON_SALESFORCE_CLIENT_ID"
    client_secret_variable: str = "RECON_SALESFORCE_CLIENT_SECRET"  # noqa: S105 - a variable's name
    login: Literal["client_credentials", "jwt", "refresh_token"] = "client_credentials"
    username: str = Field(default="", max_length=200)
    private_key_variable: str = "RECON_SALESFORCE_PRIVATE_KEY"
    audience: WebUrl = "https://login.salesforce.com"
    refresh_token_variable: str = "RECON_SALESFORCE_REFRESH_TOKEN"  # noqa: S105 - a variable's name
    has_client_secret: bool = True
    api_version: str = Field(default="62.0", pattern=r"^[0-9]{2,3}\.0$")
    object_name: FieldName = "Order"
    status_field: FieldName = "Status"
    amount_field: FieldName = "TotalAmount"
    delivery_field: FieldOrNone = "Activation_Status__c"
    scheduled_field: FieldOrNone = "Activation_Scheduled_At__c"
    error_field: FieldOrNone = ""
    billing_field: FieldOrNone = ""
    billing_errors: tuple[str, ...] = ("PAYMENT_METHOD_MISSING",)
    words: dict[str, Meaning] = Field(default_factory=dict, max_length=200)
    currencies: tuple[Annotated[str, AfterValidator(_currency)], ...] = Field(default=("USD",), min_length=1)
    quota_share_max_percent: int = Field(default=80, ge=1, le=100)
    calls_per_s: float = Field(default=5.0, gt=0, le=1000)
    timeout_s: Seconds = 60.0
    retries_max: Retries = 4

    @model_validator(mode="after")
    def _names_a_user(self) -> SalesforceSection:
        if self.login == "jwt" and not self.username.strip():
            raise ValueError('login = "jwt" needs username, the user whose rights the token has')
        return self
