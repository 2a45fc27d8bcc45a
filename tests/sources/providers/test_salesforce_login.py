"""The ways to a token of Salesforce: what each sends, that it is made anew in time, and that no message shows it."""

from __future__ import annotations

import base64
import json
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest
from Crypto.Hash import SHA256
from Crypto.PublicKey import RSA
from Crypto.Signature import pkcs1_15

from recon.core.registry import load_registry
from recon.sources.http import Clock, Secret
from recon.sources.interface import no_progress
from recon.sources.providers.installed import providers
from recon.sources.providers.polite import CredentialsRefusedError
from recon.sources.providers.provider import OpeningTerms
from recon.sources.providers.salesforce.api import Salesforce, SalesforceSettings
from recon.sources.providers.salesforce.login import LASTS_S, LoginTerms, SigningKeyError
from recon.sources.providers.salesforce.settings import SalesforceSection
from tests.sources.providers.test_salesforce import FROM_MS, TO_MS, reader_of, rows
from tests.support.provider_servers import FakeClock, in_memory
from tests.support.salesforce import SalesforceServer, order

CLIENT, USER, REFRESH = "client-one", "recon@portal.test", "5Aep861-refresh"


@cache
def own_key() -> RSA.RsaKey:
    return RSA.generate(2048)


def by_key(key: str | None = None, **given: Any) -> LoginTerms:
    text = own_key().export_key().decode() if key is None else key
    return LoginTerms(Secret(CLIENT), None, "jwt", Secret(text), USER, **given)


def by_refresh(secret: str | None = "secret-two") -> LoginTerms:
    held = None if secret is None else Secret(secret)
    return LoginTerms(Secret(CLIENT), held, "refresh_token", refresh=Secret(REFRESH))


def opened(server: SalesforceServer, login: LoginTerms, forms: list[dict[str, str]]) -> tuple[Salesforce, FakeClock]:
    fake = FakeClock()

    def handler(request: httpx.Request) -> httpx.Response:
        if "token" in request.url.path:
            forms.append(dict(parse_qsl(request.content.decode())))
        return server.handler(request)

    settings = SalesforceSettings("https://portal.test", login, rate_per_s=1000.0, retries_max=0)
    clock = Clock(now_ms=fake.now_ms, monotonic=fake.monotonic, sleep=fake.sleep)
    return Salesforce(settings, reader=reader_of(), transport=in_memory(handler), clock=clock), fake


def claims_of(assertion: str) -> dict[str, Any]:
    """What an assertion says, after its signature was checked with the public half."""
    head, claims, signature = assertion.split(".")
    pkcs1_15.new(own_key().public_key()).verify(SHA256.new(f"{head}.{claims}".encode()), _bytes(signature))
    assert json.loads(_bytes(head)) == {"alg": "RS256", "typ": "JWT"}
    return dict(json.loads(_bytes(claims)))


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def test_a_signed_assertion_is_sent_and_nothing_that_is_secret_for_longer() -> None:
    forms: list[dict[str, str]] = []
    source, fake = opened(SalesforceServer([order(1)]), by_key(audience="https://test.salesforce.com"), forms)
    assert len(rows(source.read_window(FROM_MS, TO_MS, progress=no_progress))) == 1
    (form,) = forms
    assert set(form) == {"grant_type", "assertion"}
    assert form["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
    now_s = fake.now_ms() // 1000
    claims = claims_of(form["assertion"])
    assert (claims["iss"], claims["sub"], claims["aud"]) == (CLIENT, USER, "https://test.salesforce.com")
    assert now_s < claims["exp"] <= now_s + LASTS_S


def test_an_assertion_is_made_anew_when_a_token_ended_long_after() -> None:
    forms: list[dict[str, str]] = []
    server = SalesforceServer([order(number) for number in range(1, 6)], page_rows=2)
    source, fake = opened(server, by_key(), forms)
    asked: list[str] = []

    def ends_once(path: str, body: Any) -> Any:
        asked.append(path)
        if "token" not in path and len(asked) == 3:
            fake.sleep(100)
            return httpx.Response(401, json=[{"errorCode": "INVALID_SESSION_ID", "message": "expired"}])
        return body

    server.odd = ends_once
    reading = source.read_window(FROM_MS, TO_MS, progress=no_progress)
    assert reading.coverage[0].complete
    first, second = (claims_of(form["assertion"])["exp"] for form in forms)
    assert second - first >= 100


@pytest.mark.parametrize("secret", ["secret-two", None])
def test_a_refresh_token_is_sent_with_the_secret_where_there_is_one(secret: str | None) -> None:
    forms: list[dict[str, str]] = []
    source, _ = opened(SalesforceServer([order(1)]), by_refresh(secret), forms)
    assert source.check()
    sent = {"client_id": CLIENT, "refresh_token": REFRESH, "grant_type": "refresh_token"}
    assert forms == [sent if secret is None else sent | {"client_secret": secret}]


@pytest.mark.parametrize("flow", ["jwt", "refresh_token"])
def test_a_refusal_that_quotes_all_that_was_sent_shows_none_of_it(flow: str) -> None:
    forms: list[dict[str, str]] = []
    login = by_key() if flow == "jwt" else by_refresh()
    server = SalesforceServer([order(1)])
    source, _ = opened(server, login, forms)

    def echo(path: str, body: Any) -> httpx.Response:
        said = " ".join(value for form in forms for name, value in form.items() if name != "grant_type")
        return httpx.Response(400, json={"error": "invalid_grant", "error_description": f"no: {said}"})

    server.odd = echo
    with pytest.raises(CredentialsRefusedError) as refusal:
        source.check()
    told = f"{refusal.value} {login!r} {source.settings!r}"
    secrets = [value for form in forms for name, value in form.items() if name != "grant_type"]
    assert secrets and not any(secret in told for secret in secrets)
    assert "PRIVATE KEY" not in told
    assert ("certificate of the app" if flow == "jwt" else "refresh token") in str(refusal.value)


@pytest.mark.parametrize(
    ("key", "why"),
    [
        ("hunter2", "cannot be read"),
        ("", "cannot be read"),
        ("-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----", "cannot be read"),
        ("public", "is a public one"),
        ("short", "has 1024 bits"),
    ],
)
def test_a_key_that_cannot_sign_is_told_without_a_letter_of_it(key: str, why: str) -> None:
    made = {"public": lambda: own_key().public_key(), "short": lambda: RSA.generate(1024)}
    text = made[key]().export_key().decode() if key in made else key
    with pytest.raises(SigningKeyError, match=why) as refusal:
        by_key(text).secrets(now_ms=0)
    assert "hunter2" not in str(refusal.value)
    assert refusal.value.__cause__ is None


def test_a_key_may_have_its_line_ends_written_out() -> None:
    text = own_key().export_key().decode().replace("\n", "\\n")
    assert claims_of(by_key(text).secrets(now_ms=5_000)["assertion"])["exp"] == 5 + LASTS_S


def test_only_the_secrets_of_the_flow_are_asked_for() -> None:
    wanted = {
        "client_credentials": ["RECON_SALESFORCE_CLIENT_ID", "RECON_SALESFORCE_CLIENT_SECRET"],
        "jwt": ["RECON_SALESFORCE_CLIENT_ID", "RECON_SALESFORCE_PRIVATE_KEY"],
        "refresh_token": ["RECON_SALESFORCE_CLIENT_ID", "RECON_SALESFORCE_REFRESH_TOKEN"],
    }
    for flow, names in wanted.items():
        asked: list[str] = []

        def secret(variable: str, asked: list[str] = asked) -> Secret:
            asked.append(variable)
            return Secret(variable)

        section = SalesforceSection.model_validate({"login": flow, "username": USER, "has_client_secret": False})
        providers()["salesforce"].open(OpeningTerms(section, secret, load_registry(), Path(), 5.0))
        assert asked == names
    with pytest.raises(ValueError, match="needs username"):
        SalesforceSection.model_validate({"login": "jwt"})
