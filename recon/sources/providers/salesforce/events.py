"""Events of Salesforce as a subscriber keeps them: platform events and change events, with their place in the stream.

Kept are mostly the envelopes of a subscription, or what a client made of them::

    {"channel": "/event/Asked__e", "data": {"payload": {"OrderId__c": "801..."}, "event": {"replayId": 7}}}
    {"channel": "/data/OrderChangeEvent", "data": {"payload": {"ChangeEventHeader": {...}}, "event": {...}}}
    {"channel": "/event/Asked__e", "replayId": "7", "payload": {...}}
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from recon.sources.providers.claims import int_or_none, parse_ms, text_or_none
from recon.sources.providers.provider import Payload, StreamPlace
from recon.sources.providers.salesforce.orders import whole_id

KEPT_H: Final = 72
"""For how many hours an event can be read again; the sender promises no more."""

STARTING: Final = frozenset({"OrderProvisionRequested__e", "Order_Fulfilment_Requested__e"})
"""Events that ask for the delivery of an order, by both names that are in use."""

_CHANNEL: Final = re.compile(r"/(event|data)/([A-Za-z0-9_]{1,80})\Z")
_ORDER_FIELDS: Final = ("OrderId__c", "Order_Id__c", "OrderId")


def is_stream_event(payload: Payload) -> bool:
    """Whether it is an event with its place in a stream."""
    return bool(_message(payload)) and "replayId" in _mark(payload)


def read_event(payload: Payload) -> Mapping[str, Any]:
    """Its name, its id, its order, and when it was made."""
    if not is_stream_event(payload):
        return {}
    message, mark, header = _message(payload), _mark(payload), _change(payload)
    order = next((message[name] for name in _ORDER_FIELDS if message.get(name)), None)
    records = header.get("recordIds")
    if order is None and header.get("entityName") == "Order" and isinstance(records, list) and len(records) == 1:
        order = records[0]
    return {
        "event": _event(payload),
        "delivery_id": text_or_none(mark.get("EventUuid") or message.get("EventUuid") or payload.get("id")),
        "external_id": whole_id(order) or text_or_none(order),
        "received_at": _made_ms(message.get("CreatedDate") or header.get("commitTimestamp")),
    }


def stream_place(payload: Payload) -> StreamPlace | None:
    """Where in its stream an event stands, and what it says of events that were lost; None where it is none."""
    if not is_stream_event(payload):
        return None
    header = _change(payload)
    return StreamPlace(
        channel=_event(payload) or "an unnamed channel",
        position=int_or_none(_mark(payload).get("replayId")),
        transaction=text_or_none(header.get("transactionKey")),
        number=int_or_none(header.get("sequenceNumber")),
        says_lost=str(header.get("changeType") or "").startswith("GAP_"),
    )


def _event(payload: Payload) -> str | None:
    found = _CHANNEL.match(str(payload.get("channel") or ""))
    if found:
        return found[2]
    entity = text_or_none(_change(payload).get("entityName"), limit=80)
    return None if entity is None else f"{entity}ChangeEvent"


def _inner(payload: Payload) -> Mapping[str, Any]:
    data = payload.get("data")
    return data if isinstance(data, Mapping) else payload


def _message(payload: Payload) -> Mapping[str, Any]:
    message = _inner(payload).get("payload")
    return message if isinstance(message, Mapping) else {}


def _mark(payload: Payload) -> Mapping[str, Any]:
    """Where the place in the stream is told: in a part of its own, or beside what is told."""
    event = _inner(payload).get("event")
    return event if isinstance(event, Mapping) and "replayId" in event else payload


def _change(payload: Payload) -> Mapping[str, Any]:
    header = _message(payload).get("ChangeEventHeader")
    return header if isinstance(header, Mapping) else {}


def _made_ms(value: object) -> int | None:
    return int_or_none(value) if isinstance(value, int) else parse_ms(value)
