"""AcmePay: a provider that exists only as an example. It exports its charges to a JSON file, which is read."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime

from recon.sources.providers.provider import Flags, OpeningTerms, Provider, Webhooks

STATE_WORDS = {"captured": "paid", "authorised": "processing", "voided": "cancelled", "open": "unpaid"}


def section():
    from acmepay.source import AcmeSection

    return AcmeSection


def open_source(terms: OpeningTerms):
    from acmepay.source import AcmePay

    return AcmePay(terms.home / terms.section.export, registry=terms.registry)


def verify(headers: Mapping[str, str], body: bytes, key: bytes, now: datetime) -> bool:
    wanted = hmac.new(key, body, hashlib.sha512).hexdigest().encode()
    given = headers.get("x-acme-signature", "").encode("utf-8", "replace")
    return bool(key) and hmac.compare_digest(wanted, given)


def sent(headers: Mapping[str, str], payload: Mapping[str, object]) -> bool:
    return "x-acme-signature" in headers


def read(headers: Mapping[str, str], payload: Mapping[str, object], fields: Mapping[str, object]):
    return {"event": "payment.confirmed" if payload.get("state") == "captured" else None}


PROVIDER = Provider(
    name="acmepay",
    title="AcmePay",
    section=section,
    open=open_source,
    key="external_id",
    aliases=("acme-pay", "acme"),
    asked_by=frozenset({"external_id"}),
    state_words=STATE_WORDS,
    tolerance_ppm=(10_000, 10_000),
    has_one_time_addresses=True,
    fields={"external_id": ("metadata.acme.charge",), "recipient": ("metadata.acme.address",)},
    webhooks=Webhooks(
        routes=("/hooks/acme",),
        accepted=(204,),
        secret_setting="webhook_secret_variable",
        verify=verify,
        sent=sent,
        read=read,
    ),
    flags=Flags(switch="ACME_ENABLED", secrets=("ACME_SECRET",)),
)
