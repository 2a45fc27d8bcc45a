"""Relayr as a source of claims: one question about each bundle. A claim is never proof.

There is no list of bundles, so a window says nothing and every payment is looked up by itself. Only one kind of
question is ever asked, ``GET /v1/bundle/{id}``; nothing is ever posted.

A bundle that is not known may be known a moment later, so "unknown" is believed only when it is said three times in a
row. When not one of several bundles is known, the address is in doubt (production and staging differ) and not the
bundles.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from recon.core.errors import ConfigError
from recon.core.registry import Registry
from recon.core.text import count_text
from recon.sources.http import Clock
from recon.sources.interface import ClaimKey, Coverage, Progress, Reading
from recon.sources.providers.claims import Said, failed_row, not_found_row, reading_of, text_or_none
from recon.sources.providers.polite import Answer, Manners, Phase, PoliteClient, ProviderUnusableError
from recon.sources.providers.relayr.claims import NAME, PARTS_MAX, bundle_id_of, claim_of_bundle

if TYPE_CHECKING:
    import httpx

BUNDLE_PATH: Final = "/v1/bundle"
NO_BUNDLE: Final = "00000000-0000-0000-0000-000000000000"
"""A bundle that there is not, to see whether it answers."""

UNKNOWN_TIMES: Final = 3
UNKNOWN_PAUSE_S: Final = 1.0
DOUBTED_FROM: Final = 3
"""From so many bundles on of which not one is known, the address is doubted."""


@dataclass(frozen=True, slots=True)
class RelayrSettings:
    """Where Relayr is and how it is asked.

    Args:
        lookups_max: Bundles of one call to ``look_up``; the rest is answered ``failed``.
        deadline_s: Longest time for one series of look-ups.
    """

    base_url: str
    rate_per_s: float = 5.0
    lookups_max: int = 20_000
    timeout_s: float = 15.0
    call_deadline_s: float = 120.0
    deadline_s: float = 5_400.0
    retries_max: int = 4
    pause_s: float = 60.0

    def __post_init__(self) -> None:
        if self.lookups_max < 1:
            raise ConfigError(f"{NAME}: lookups_max should be 1 or more and is {self.lookups_max}.")


class Relayr:
    """Relayr, read only; a :class:`~recon.sources.interface.ClaimSource`."""

    name: str = NAME

    def __init__(
        self,
        settings: RelayrSettings,
        *,
        registry: Registry,
        transport: httpx.BaseTransport | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.settings = settings
        self._registry = registry
        self._clock = clock or Clock()
        self._client = PoliteClient(
            source=NAME,
            base_url=settings.base_url,
            manners=Manners.of(settings),
            clock=self._clock,
            transport=transport,
        )

    def check(self) -> str:
        """Say in one sentence that it can be used.

        Raises:
            ProviderUnusableError: It does not answer, or something else answers.
        """
        with self._client.phase() as phase:
            answer = phase.get(f"{BUNDLE_PATH}/{NO_BUNDLE}")
        says_unknown = answer.kind == "not_found" and isinstance(answer.body, dict)
        if not says_unknown:
            problem = answer.problem or f"{NAME} at {self._client.origin} knows a bundle that there is not"
            raise ProviderUnusableError(
                problem=problem, remedy="Check base_url (production and staging differ), then try again."
            )
        return f"{NAME} at {self._client.origin} answers; whether your bundles are there, only a look-up shows."

    def read_window(self, from_ms: int, to_ms: int, *, progress: Progress) -> Reading:
        """Nothing: there is no list of bundles; each payment is looked up by itself."""
        progress(NAME, 0, 0)
        return reading_of([], coverage=[Coverage(source=NAME, scope="unlisted", complete=True)])

    def look_up(self, keys: Sequence[ClaimKey], *, progress: Progress) -> Reading:
        """Ask about the bundle of each payment; every key gets at least one row: found, not_found or failed."""
        by_bundle: dict[str, ClaimKey] = {}
        said = []
        for key in keys:
            bundle_id = bundle_id_of(key.external_id or "")
            if bundle_id is None:
                why = "what it has as its bundle is no UUID" if key.external_id else "there is no bundle to ask by"
                said.append(self._failed(key, why))
            else:
                by_bundle.setdefault(f"{bundle_id} {key.external_id}", key)
        asked = list(by_bundle.items())
        with self._client.phase() as phase:
            for number, (named, key) in enumerate(asked[: self.settings.lookups_max], start=1):
                said.append(self._bundle(phase, named.partition(" ")[0], key))
                progress(NAME, number, len(asked))
        reason = f"not asked: more than {self.settings.lookups_max} look-ups (lookups_max)"
        said += [self._failed(key, reason) for _, key in asked[self.settings.lookups_max :]]
        said = self._doubted(said)
        return reading_of(said, coverage=[_lookup_coverage(said, phase)])

    def _bundle(self, phase: Phase, bundle_id: str, key: ClaimKey) -> Said:
        answer = self._asked(phase, bundle_id)
        at_ms = self._clock.now_ms()
        if answer.kind == "not_found":
            return Said(not_found_row(NAME, key, claim_id=bundle_id, at_ms=at_ms, kind="bundle"))
        problem = answer.problem or self._why_unusable(answer.body, bundle_id)
        if problem:
            return self._failed(key, problem)
        return claim_of_bundle(answer.body, key=key, bundle_id=bundle_id, registry=self._registry, at_ms=at_ms)

    def _asked(self, phase: Phase, bundle_id: str) -> Answer:
        """The answer; "unknown" only when it was said three times in a row."""
        for time in range(UNKNOWN_TIMES):
            if time:
                self._clock.sleep(UNKNOWN_PAUSE_S)
            answer = phase.get(f"{BUNDLE_PATH}/{bundle_id}")
            if answer.kind != "not_found":
                return answer
        return answer

    def _why_unusable(self, body: Any, bundle_id: str) -> str | None:
        """Why an answer tells nothing of this bundle, or None when it does."""
        where = f"{NAME} at {self._client.origin}"
        if not isinstance(body, Mapping) or not isinstance(body.get("transactions"), list):
            return f"{where} answered with something that is no bundle"
        if not isinstance(body.get("bundle_uuid"), str):
            return f"{where} does not say of which bundle it tells"
        if bundle_id_of(body["bundle_uuid"]) != bundle_id:
            other = text_or_none(body["bundle_uuid"], limit=60)
            return f"{where} was asked about one bundle and tells of another, {other}"
        if len(body["transactions"]) > PARTS_MAX:
            return f"{where} tells of a bundle of over {PARTS_MAX} transactions, which none has"
        if not all(isinstance(each, Mapping) for each in body["transactions"]):
            return f"{where} tells of transactions that are none"
        return None

    def _doubted(self, said: list[Said]) -> list[Said]:
        """The same, or failures where not one of several bundles is known: then the address is in doubt."""
        unknown = [one for one in said if one.claim["outcome"] == "not_found"]
        is_any_known = any(one.claim["outcome"] == "found" for one in said)
        if is_any_known or len(unknown) < DOUBTED_FROM:
            return said
        why = (
            f"{NAME} at {self._client.origin} knows not one of {count_text(len(unknown), 'bundle')}: is base_url that "
            "of the environment the payments are of?"
        )
        return [
            Said({**one.claim, "outcome": "failed", "error": why}) if one.claim["outcome"] == "not_found" else one
            for one in said
        ]

    def _failed(self, key: ClaimKey, reason: str) -> Said:
        claim_id = bundle_id_of(key.external_id or "") or f"payment:{key.payment_id}"
        row = failed_row(NAME, key, claim_id=claim_id, reason=reason, at_ms=self._clock.now_ms(), kind="bundle")
        return Said(row)


def _lookup_coverage(said: Sequence[Said], phase: Phase) -> Coverage:
    failed = [str(one.claim["error"]) for one in said if one.claim["outcome"] == "failed"]
    problem = f"{len(failed)} of {count_text(len(said), 'look-up')} failed; the first: {failed[0]}" if failed else None
    return Coverage(
        source=NAME,
        scope="lookup",
        complete=not failed,
        calls=phase.calls,
        wire_bytes=phase.wire_bytes,
        pages=len(said) - len(failed),
        items=len(said),
        problem=problem,
    )
