"""Webhook signatures: raw bytes, any header case, constant time, and a window where there is one."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from email.message import Message
from typing import Any

import pytest

from recon.sources.http import Secret
from recon.sources.providers.webhooks import UnknownWebhookProviderError, verify_webhook
from tests.support.provider_servers import PAYLOADS

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
STAMP = str(int(NOW.timestamp()))
KEY = "webhook-secret"
RN_BODY = (PAYLOADS / "request_network" / "webhook_confirmed.json").read_bytes()
SH_BODY = (PAYLOADS / "shkeeper" / "webhook_paid.json").read_bytes()


def signed(message: bytes, key: str = KEY) -> str:
    return hmac.new(key.encode(), message, hashlib.sha256).hexdigest()


def sh_headers(stamp: str = STAMP, body: bytes = SH_BODY) -> dict[str, str]:
    return {"X-Shkeeper-Timestamp": stamp, "X-Shkeeper-Signature": signed(stamp.encode() + b"." + body)}


@pytest.mark.parametrize("provider", ["request_network", "request.network", "Request-Network"])
@pytest.mark.parametrize("header", ["x-request-network-signature", "X-Request-Network-Signature"])
@pytest.mark.parametrize("secret", [KEY, KEY.encode(), Secret(KEY)])
def test_a_request_network_signature_verifies(provider: str, header: str, secret: str | bytes | Secret) -> None:
    assert verify_webhook(provider, {header: signed(RN_BODY)}, RN_BODY, secret)


def test_a_signature_of_the_same_json_written_again_does_not_verify() -> None:
    again = json.dumps(json.loads(RN_BODY)).encode()
    assert not verify_webhook("request_network", {"x-request-network-signature": signed(RN_BODY)}, again, KEY)


@pytest.mark.parametrize(
    "signature", ["", "0" * 64, "ä" * 64, signed(RN_BODY)[:-1], signed(RN_BODY) + "0", signed(RN_BODY, "other")]
)
def test_a_wrong_signature_does_not_verify(signature: str) -> None:
    assert not verify_webhook("request_network", {"x-request-network-signature": signature}, RN_BODY, KEY)


def test_no_signature_and_no_secret_verify_nothing() -> None:
    assert not verify_webhook("request_network", {}, RN_BODY, KEY)
    assert not verify_webhook("request_network", {"x-request-network-signature": signed(RN_BODY, "")}, RN_BODY, "")
    assert not verify_webhook("shkeeper", {"X-Shkeeper-Api-Key": KEY}, SH_BODY, KEY, now=NOW)


def test_a_sh_keeper_signature_verifies() -> None:
    assert verify_webhook("shkeeper", sh_headers(), SH_BODY, KEY, now=NOW)
    assert not verify_webhook("shkeeper", sh_headers(), SH_BODY + b" ", KEY, now=NOW)
    assert not verify_webhook(
        "shkeeper", {**sh_headers(), "X-Shkeeper-Timestamp": str(int(STAMP) + 1)}, SH_BODY, KEY, now=NOW
    )


@pytest.mark.parametrize(("seconds", "expected"), [(-301, False), (-300, True), (0, True), (300, True), (301, False)])
def test_a_sh_keeper_signature_is_good_for_five_minutes(seconds: int, expected: bool) -> None:
    moment = NOW + timedelta(seconds=seconds)
    assert verify_webhook("shkeeper", sh_headers(), SH_BODY, KEY, now=moment) is expected


@pytest.mark.parametrize("stamp", ["", "abc", "-5", "1e9", "٣" * 10, "9" * 40])
def test_a_timestamp_that_is_none_does_not_verify(stamp: str) -> None:
    assert not verify_webhook("shkeeper", sh_headers(stamp), SH_BODY, KEY, now=NOW)


def test_without_a_time_the_present_counts() -> None:
    stamp = str(int(datetime.now(UTC).timestamp()))
    assert verify_webhook("shkeeper", sh_headers(stamp), SH_BODY, KEY)


def test_an_unknown_provider_is_refused_by_name() -> None:
    with pytest.raises(UnknownWebhookProviderError, match="stripe"):
        verify_webhook("stripe", {}, b"", KEY)


def rn_signature() -> str:
    return hmac.new(KEY.encode(), RN_BODY, hashlib.sha256).hexdigest()


def message_of(signature: str) -> Message:
    """Headers as the standard library's server hands them over."""
    message = Message()
    message["X-Request-Network-Signature"] = signature
    return message


@pytest.mark.parametrize(
    "headers",
    [
        [("X-Request-Network-Signature", rn_signature())],
        ((b"x-request-network-signature", rn_signature().encode()),),
        {b"X-Request-Network-Signature": rn_signature().encode()},
        {"HTTP_X_REQUEST_NETWORK_SIGNATURE": rn_signature(), "wsgi.input": object(), "CONTENT_LENGTH": 29},
        iter([("Accept", "*/*"), ("x-request-network-signature", f" {rn_signature()} ")]),
        {"X-Request-Network-Signature": rn_signature(), "x-request-network-signature": rn_signature()},
        {"X-Request-Network-Signature": [rn_signature()]},
        {"type": "http", "headers": [(b"x-request-network-signature", rn_signature().encode())]},
        [["X-Request-Network-Signature", rn_signature()], ("alone",), None, 7, "text"],
        message_of(rn_signature()),
    ],
    ids=[
        "pairs",
        "byte pairs",
        "byte mapping",
        "wsgi",
        "iterator",
        "the same twice",
        "lists",
        "asgi scope",
        "odd pairs",
        "message",
    ],
)
def test_headers_are_taken_as_frameworks_hand_them_over(headers: Any) -> None:
    assert verify_webhook("request_network", headers, RN_BODY, KEY)


ODD: list[Any] = [
    None, [], {}, {"x-request-network-signature": None}, {3: 4}, [(None, "x")], 7, 1.5, True, "text", b"bytes",
    object(),
    [1, 2], [[]], [[1, 2, 3]], {"headers": 3}, {"headers": [3]}, {"x-request-network-signature": {"a": 1}},
    {"x-request-network-signature": [None, 7]}, {"x-request-network-signature": "\ud800"}, {"x": float("nan")},
]  # fmt: skip


@pytest.mark.parametrize("headers", ODD)
def test_headers_without_a_signature_verify_nothing_and_raise_nothing(headers: Any) -> None:
    assert verify_webhook("request_network", headers, RN_BODY, KEY) is False


def test_two_different_signatures_verify_nothing() -> None:
    pairs = [("X-Request-Network-Signature", rn_signature()), ("x-request-network-signature", "0" * 64)]
    assert not verify_webhook("request_network", pairs, RN_BODY, KEY)
    assert not verify_webhook("request_network", pairs[::-1], RN_BODY, KEY)


@pytest.mark.parametrize("body", [RN_BODY, RN_BODY.decode(), bytearray(RN_BODY), memoryview(RN_BODY)])
def test_a_body_is_taken_as_text_or_bytes(body: Any) -> None:
    assert verify_webhook("request_network", {"x-request-network-signature": rn_signature()}, body, KEY)
    assert not verify_webhook("request_network", {"x-request-network-signature": rn_signature()}, b"other", KEY)


@pytest.mark.parametrize("odd", [*(each for each in ODD if not isinstance(each, str | bytes)), 10**12, "\ud800"])
@pytest.mark.parametrize("provider", ["request_network", "shkeeper"])
def test_odd_bodies_and_secrets_verify_nothing_and_raise_nothing(provider: str, odd: Any) -> None:
    headers = {"x-request-network-signature": rn_signature(), **sh_headers()}
    assert verify_webhook(provider, headers, odd, KEY, now=NOW) is False
    assert verify_webhook(provider, headers, RN_BODY, odd, now=NOW) is False


@pytest.mark.parametrize("provider", [None, 7, b"request_network", ["x"], "", "\ud800"])
def test_an_odd_provider_is_refused_by_name(provider: Any) -> None:
    with pytest.raises(UnknownWebhookProviderError):
        verify_webhook(provider, {}, b"", KEY)
