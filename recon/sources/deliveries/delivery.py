"""One kept delivery, and what a place of deliveries held."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from recon.core.text import count_text
from recon.core.times import ms_text
from recon.sources.deliveries.bodies import Kept, parsed_object


@dataclass(frozen=True, slots=True)
class Delivery:
    """One delivery as it was kept.

    Args:
        provider: Normalised, or the raw word in lower case, or ``unknown``.
        received_at: UTC milliseconds, None where no time was kept.
        body: The bytes or the text that was kept, None where only a parsed body or none was.
        said: A body that was kept only as what it says, as JSON.
        kept: How the body was kept.
        headers: Lower-case names.
        place: Where the record stands, to find it again.
        problems: What is missing or unreadable, one code each.
    """

    delivery_id: str | None
    provider: str
    received_at: int | None
    place: str
    attempt: int | None = None
    http_status: int | None = None
    event: str | None = None
    request_id: str | None = None
    reference: str | None = None
    external_id: str | None = None
    tx_hash: str | None = None
    payload_digest: str | None = None
    signature_valid: bool | None = None
    dead_letter: bool | None = None
    is_test: bool = False
    body: bytes | None = None
    said: bytes | None = None
    kept: Kept = "none"
    headers: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[str, ...] = ()

    @property
    def payload(self) -> Mapping[str, Any]:
        """What the body says, empty where it is no object; decoded each time, so that many deliveries stay small."""
        return parsed_object(self.body or self.said or b"")

    @property
    def is_told(self) -> bool:
        """Whether anything says what happened; a body that could not be read, or that names no event, does not."""
        return self.event is not None

    def row(self) -> dict[str, Any]:
        """The delivery as a row of ``recon.core.tables.DELIVERIES``."""
        return {
            "delivery_id": self.delivery_id,
            "provider": self.provider,
            "received_at": self.received_at,
            "attempt": self.attempt,
            "http_status": self.http_status,
            "event": self.event,
            "request_id": self.request_id,
            "reference": self.reference,
            "external_id": self.external_id,
            "tx_hash": self.tx_hash,
            "payload_digest": self.payload_digest,
            "signature_valid": self.signature_valid,
            "dead_letter": self.dead_letter,
            "origin": self.place,
        }


@dataclass(frozen=True, slots=True)
class DeliveryFile:
    """What was read: the deliveries in the order in which they stand, and how many records were no deliveries.

    Args:
        unreadable_at: Where the first record stands that is no delivery, ``unreadable_has`` which fields it has.
        covers: From when to when, in UTC milliseconds, the file says that it is whole: its first line may be
            ``{"coverage": {"from": ms, "to": ms}}``.
    """

    place: str
    deliveries: tuple[Delivery, ...]
    unreadable: int = 0
    problems: tuple[str, ...] = ()
    unreadable_at: str | None = None
    covers: tuple[int, int] | None = None
    unreadable_has: tuple[str, ...] = ()

    @property
    def since_ms(self) -> int | None:
        """From when on it holds what came, as far as its own times tell; nothing says so where all are dead letters."""
        if all(each.dead_letter for each in self.deliveries):
            return None
        return min((each.received_at for each in self.deliveries if each.received_at is not None), default=None)

    @property
    def source_text(self) -> str:
        """How an inspection names it: the place and from when on it is whole, as far as its own times tell."""
        since = self.since_ms
        if self.shortfalls:
            return f"{self.place} (NOT read in full: {self.shortfalls[0]})"
        if since is None:
            is_dead = bool(self.deliveries) and all(each.dead_letter for each in self.deliveries)
            return f"{self.place} (dead letters only)" if is_dead else self.place
        return f"{self.place} (whole since {ms_text(since)})"

    @property
    def shortfalls(self) -> tuple[str, ...]:
        """Everything that could not be read, one sentence each."""
        unread = self.unread_text
        return self.problems if unread is None else (*self.problems, unread)

    @property
    def unread_text(self) -> str | None:
        """What could not be read as deliveries, with the fields that are there; None where all could."""
        if not self.unreadable:
            return None
        has = f" (the first has the fields {', '.join(self.unreadable_has)})" if self.unreadable_has else ""
        records = count_text(self.unreadable, "record is no delivery", many="records are no deliveries")
        return f"{self.place}: {records}{has}; name where fields stand under [deliveries.fields]"
