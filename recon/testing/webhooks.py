"""The promises of a provider's webhooks: statuses, signatures, and readers that no payload breaks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from recon.sources.providers.provider import Provider
from recon.testing.contract import ContractError, require

_NOW: Final = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
_BODY: Final = b'{"externalId": "contract-0001", "amount": "12.5"}'
_KEY: Final = b"contract-key"
_WRONG: Final = ("", "0", "00" * 32, "00" * 64, "sha256=", "=" * 44, "\u00e9\u00df", "\ud800", "t=1,v1=00", "9" * 400)
_PAYLOADS: Final[tuple[Mapping[str, Any], ...]] = (
    {}, {"transactions": None}, {"transactions": ["x", 1]}, {"event": 7, "requestId": [], "data": {}},
    {"externalId": None, "status": {"a": 1}, "txid": False},
)  # fmt: skip
_FIELDS: Final = (
    "delivery_id", "provider", "received_at", "attempt", "http_status", "event", "request_id", "reference",
    "external_id", "tx_hash", "payload_digest", "signature_valid", "dead_letter",
)  # fmt: skip
_ROUNDS: Final = 4
"""A signature's headers are learned one after the other, from what is asked for; this often they are tried again."""


class _Noting(dict[str, str]):
    """Headers that remember which names were asked for."""

    def __init__(self, given: Mapping[str, str], asked: set[str]) -> None:
        super().__init__(given)
        self._asked = asked

    def get(self, key: str, default: Any = None) -> Any:
        self._asked.add(key)
        return super().get(key, default)

    def __getitem__(self, key: str) -> str:
        self._asked.add(key)
        return super().__getitem__(key)

    def __contains__(self, key: object) -> bool:
        self._asked.add(str(key))
        return super().__contains__(key)


def check_webhooks(provider: Provider) -> None:
    """Try what a provider's webhooks promise.

    Raises:
        ContractError: A promise is broken; the sentence says which.
    """
    _check_statuses(provider)
    if provider.webhooks.verify is not None:
        _check_signature(provider)
    _check_readers(provider)


def _check_statuses(provider: Provider) -> None:
    hooks = provider.webhooks
    require(not hooks.takes(None), f"{provider.name} takes a delivery without any answer for accepted")
    for status in hooks.accepted:
        require(200 <= status < 300, f"{provider.name} is said to take HTTP {status} for success")
        require(hooks.takes(status), f"{provider.name} does not take HTTP {status}, which it lists as accepted")
    for status in (199, 301, 404, 500):
        require(not hooks.takes(status), f"{provider.name} takes HTTP {status} for success")
    for route in hooks.routes:
        require(route.startswith("/"), f"the route {route!r} of {provider.name} does not begin with /")
    if hooks.secret_setting is not None:
        fields = provider.section().model_fields
        require(hooks.secret_setting in fields, f"{provider.name} has no setting {hooks.secret_setting!r}")


def _check_signature(provider: Provider) -> None:
    """Without a signature, and with every wrong one, the answer is False; nothing is raised."""
    verify = provider.webhooks.verify
    assert verify is not None
    asked: set[str] = set()
    for _ in range(_ROUNDS):
        names = sorted(asked)
        trials = [{}, *(dict.fromkeys(names, wrong) for wrong in _WRONG)]
        # A time that is right must not make a wrong signature right.
        trials += [{**dict.fromkeys(names, wrong), timed: _now_s()} for timed in names for wrong in _WRONG]
        for headers in trials:
            for key in (_KEY, b""):
                noting = _Noting(headers, asked)
                said = _called("its signature check", partial(verify, noting, _BODY, key, _NOW), provider=provider)
                require(said is False, f"{provider.name} takes a missing or wrong signature for right: {headers}")


def _now_s() -> str:
    return str(int(_NOW.timestamp()))


def _check_readers(provider: Provider) -> None:
    hooks = provider.webhooks
    for payload in _PAYLOADS:
        _called("sent()", partial(hooks.sent, {}, payload), provider=provider)
        _called("read()", partial(hooks.read, {}, payload, dict.fromkeys(_FIELDS)), provider=provider)
        _called("told()", partial(hooks.told, payload), provider=provider)
    for text in _WRONG:
        headers = {"x-signature": text, "x-timestamp": text}
        said = _called("signed_at()", partial(hooks.signed_at, headers), provider=provider)
        require(said is None or isinstance(said, int), f"{provider.name}: signed_at() gives {said!r}")
    require(not hooks.sent({}, {}), f"{provider.name} takes a delivery that says nothing for its own")


def _called(what: str, call: Callable[[], Any], *, provider: Provider) -> Any:
    try:
        return call()
    except Exception as error:
        raise ContractError(
            f"{provider.name}: {what} raises {type(error).__name__} on outside data; it may only answer"
        ) from error
