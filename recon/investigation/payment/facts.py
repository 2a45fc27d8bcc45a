"""Plain statements about a judged payment, by which causes are told apart. Pure.

Everything here is computed from rows; nothing decides. Each name states a fact in the words of the rows. Statements
about money and about the provider have modules of their own; these are about deliveries, the row and its reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from recon.core.ids import normalise_address, normalise_request_id
from recon.investigation.payment.dossier import Row
from recon.investigation.payment.provider_facts import ProviderFacts
from recon.investigation.payment.references import Parts, explain_reference, own_reference
from recon.sources.payments.fields import FieldPlace, default_texts, stored_at
from recon.sources.providers.installed import rails_with_one_time_addresses, webhooks_of

INDEXER_LAG_MS: Final = 60 * 60_000
"""Indexers were seen 10 to 15 minutes behind; after an hour it is no longer lag."""


@dataclass(frozen=True)
class Facts(ProviderFacts):
    """The statements about one judged payment; each is computed when first asked for."""

    @property
    def is_incoming(self) -> bool:
        """Whether it is a payment to us."""
        return bool(self.row["direction"] == "in")

    @property
    def is_gateway(self) -> bool:
        """Whether its provider is a gateway that gives each payment an address of its own."""
        return self.row["provider"] in rails_with_one_time_addresses()

    @property
    def came_in_parts(self) -> bool:
        """Whether its provider sends it in parts, of which one went through and another did not, or not yet."""
        return bool(self.row["half_landed"] or self.row["split"])

    # Deliveries

    @property
    def deliveries(self) -> tuple[Row, ...]:
        """The deliveries about the payment."""
        return self.dossier.rows("deliveries")

    @property
    def deliveries_known(self) -> bool:
        """Whether delivery records were looked at."""
        return bool(self.dossier.delivery_sources) or bool(self.deliveries)

    @cached_property
    def answers(self) -> tuple[int | None, ...]:
        """How the backend answered, in order; None where it did not."""
        return tuple(row["http_status"] for row in self.deliveries)

    @property
    def was_accepted(self) -> bool:
        """Whether a delivery was answered in the way that its provider takes for success."""
        takes = webhooks_of(self.row["provider"]).takes
        return any(takes(answer) for answer in self.answers)

    @property
    def tries(self) -> int | None:
        """After how many tries beyond the first its provider never sends again; None where it goes on."""
        return webhooks_of(self.row["provider"]).gives_up_after

    @property
    def is_exhausted(self) -> bool:
        """Whether its provider has used up its tries for a delivery without an answer it accepts."""
        tries = self.tries
        if tries is None or not self.deliveries or self.was_accepted:
            return False
        attempts = [row["attempt"] for row in self.deliveries if row["attempt"] is not None]
        return len(self.deliveries) > tries or max(attempts, default=0) >= tries

    @property
    def answered_text(self) -> str:
        """The answers in words."""
        return ", ".join("no answer" if each is None else f"HTTP {each}" for each in self.answers)

    # The row

    @property
    def is_open(self) -> bool:
        """Whether the row still waits."""
        return bool(self.row["open"])

    @property
    def is_complete(self) -> bool:
        """Whether the row says that it is paid."""
        return self.row["status"] in ("completed", "confirmed")

    @property
    def safety(self) -> str | None:
        """The check that the backend's safety gate is waiting on, or None when it does not hold the payment."""
        if self.row["safety_status"] != "pending":
            return None
        return str(self.row["safety_reason"] or "a check that the row does not name")

    @cached_property
    def unmet_checks(self) -> tuple[str, ...]:
        """Which of the backend's checks the evidence does not satisfy, in words.

        Rows need not name the check that holds them, and the backend's own reason is of the time it looked.
        """
        said = [] if self.row["tx_hash"] else ["hash (the row stores none)"]
        faults = [name for name in ("chain", "token", "recipient", "reference") if self.wrong and
                  self.wrong[0][f"wrong_{name}"]]  # fmt: skip
        if not self.valid:
            said += [f"{' and '.join(faults)} (wrong)"] if faults else ["transfer (none is on the chain)"]
        elif int(self.row["received"] or 0) < int(self.payment["covered_from_units"] or 0):
            said.append(f"amount ({self.amount(self.row['received'])} of {self.amount(self.row['expected_units'])})")
        if self.waiting is not None:
            said.append(f"confirmations ({self.waiting[0]} of {self.minimum_confirmations})")
        return (*said, *(["screening"] if self.row["aml_hold"] else []))

    # References

    @cached_property
    def parts(self) -> Parts:
        """Request id, salt and address as the row stores them."""
        salts = self._values("salt")
        return Parts(self.payment["request_id"] or "", salts[0] if salts else "", self.payment["recipient"] or "")

    @cached_property
    def reference_story(self) -> str | None:
        """Which part explains the reference that was paid, or why the stored one is wrong, in one sentence."""
        seen = self._seen_reference()
        own = own_reference(self.parts)
        stored = self.payment["reference"]
        pools = self._pools()
        if own and stored and own != stored:
            found = explain_reference(stored, self.parts, **pools)
            why = f": {found[1]} (part: {found[0]})" if found else ", and no part that is stored explains it"
            return f"the row stores reference {stored}, its own parts give {own}{why}"
        told = {c["reference"] for c in self.claims if c["reference"]} - {stored}
        if stored and told:
            return f"the row stores reference {stored}, the provider names {min(told)} for the same request"
        if seen is None:
            return None
        found = explain_reference(seen, self.parts, **pools)
        if found:
            return f"the paid reference is explained: {found[1]} (part: {found[0]})"
        if not self.parts.salt:
            return "no salt is stored, so the paid reference cannot be computed again"
        return "no request id, salt, address or letter case that is stored explains the paid reference"

    def _seen_reference(self) -> str | None:
        links = [link["t_topic"] for link in self.wrong if link["wrong_reference"] and link["t_topic"]]
        strays = [row["reference_topic"] for row in self.strays if row["reference_topic"]]
        return next(iter([*links, *strays]), None)

    def _pools(self) -> dict[str, list[str]]:
        rows = [*self.dossier.rows("context"), *self.dossier.rows("claims")]
        requests = [normalise_request_id(text) for text in self._values("request_id")]
        requests += [row["request_id"] for row in rows if row["request_id"]]
        addresses = [str(a) for text in self._texts() if (a := normalise_address(text))]
        addresses += [row["recipient"] for row in (*rows, *self.transfers.values()) if row["recipient"]]
        return {
            "request_ids": list(dict.fromkeys(requests))[:20],
            "salts": self._values("salt")[:5],
            "addresses": list(dict.fromkeys(addresses))[:30],
        }

    def _values(self, name: str) -> list[str]:
        values = (self.plain(FieldPlace.parse(text).path) for text in default_texts()[name])
        return list(dict.fromkeys(value for value in values if isinstance(value, str) and value))

    def plain(self, path: str) -> Any:
        """What the document stores at a path, unwrapped where it is text or a number."""
        value = stored_at(self.dossier.document, path.split(".")) if self.dossier.document else None
        if isinstance(value, Mapping) and len(value) == 1:
            return next(iter(value.values()))
        return value

    def _texts(self) -> list[str]:
        """Every text anywhere in the document, to a bound."""
        found: list[str] = []
        waiting: list[Any] = [self.dossier.document]
        while waiting and len(found) < 500:
            value = waiting.pop()
            if isinstance(value, Mapping):
                waiting += list(value.values())
            elif isinstance(value, list):
                waiting += value[:50]
            elif isinstance(value, str):
                found.append(value[:200])
        return found
