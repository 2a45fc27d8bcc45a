"""SHKeeper as a source of claims: invoices, outgoing transactions and payouts. A claim is never proof.

``GET /invoices`` and ``GET /transactions`` give the whole table each time, without dates or pages: one call each reads
any window. The transactions are read first: a receipt that arrives between the two calls is then missing from them
rather than looking like money that went out. Errors come as HTTP 200 with ``status: error``, a missing login as a
redirect to a web page, an unknown external id as an empty list: only the last is a "no".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from recon.core.errors import ConfigError
from recon.core.registry import Registry
from recon.sources.http import Clock, Secret
from recon.sources.interface import ClaimKey, Coverage, Gap, Progress, Reading
from recon.sources.providers.claims import Said, dicts_of, failed_row, not_found_row, reading_of, text_or_none
from recon.sources.providers.polite import (
    Answer,
    CredentialsRefusedError,
    Manners,
    Phase,
    PoliteClient,
    ProviderUnusableError,
    error_text,
)
from recon.sources.providers.shkeeper.claims import (
    COINS,
    Coin,
    claims_of_invoices,
    claims_of_outgoing,
    coin_of,
    coins_of,
    payout_claim,
)

if TYPE_CHECKING:
    import httpx

NAME: Final = "shkeeper"
CRYPTO_PATH: Final = "/api/v1/crypto"
INVOICES_PATH: Final = "/api/v1/invoices"
_KEY_WORDS: Final = ("api key", "api-key", "apikey", "credentials", "doesn't accept")


@dataclass(frozen=True, slots=True)
class ShkeeperSettings:
    """Where SHKeeper is and how it is asked.

    Args:
        health_path: Path that shows it is up, e.g. ``/healthz`` on a fork. None asks ``/api/v1/crypto``, which every
            version has; ``/api/v1/healthcheck``, which some documents name, exists in none.
        coins: Coin name to (chain id, token symbol), exact and upper case as SHKeeper writes them. ``USDT`` alone is
            Tron's. Given coins are added to the usual ones.
        lookups_max: Single look-ups of one call to ``look_up``; the rest is answered ``failed``.
        table_from: From so many incoming look-ups on, one reading of the whole table answers them.
        deadline_s: Longest time for one bulk reading or one series of look-ups.
    """

    base_url: str
    api_key: Secret
    health_path: str | None = None
    coins: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    rate_per_s: float = 5.0
    lookups_max: int = 2_000
    table_from: int = 20
    timeout_s: float = 60.0
    call_deadline_s: float = 180.0
    deadline_s: float = 1800.0
    retries_max: int = 4
    pause_s: float = 60.0

    def __post_init__(self) -> None:
        if self.health_path is not None and not self.health_path.startswith("/"):
            raise ConfigError(f"{NAME}: health_path should begin with / and is {self.health_path!r}.")
        for name in ("lookups_max", "table_from"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{NAME}: {name} should be 1 or more and is {getattr(self, name)}.")


@dataclass(frozen=True, slots=True)
class _Questions:
    """What is asked, each thing once; ``nameless`` are the keys that have nothing to ask by."""

    incoming: Mapping[str, ClaimKey]
    payouts: list[ClaimKey]
    nameless: Sequence[ClaimKey]


def _questions_of(keys: Sequence[ClaimKey]) -> _Questions:
    incoming: dict[str, ClaimKey] = {}
    payouts: dict[tuple[str, int | None, str | None], ClaimKey] = {}
    nameless = []
    for key in keys:
        if not key.external_id:
            nameless.append(key)
        elif key.direction == "in":
            incoming[key.external_id] = key
        else:
            payouts[key.external_id, key.chain_id, key.token] = key
    return _Questions(incoming=incoming, payouts=list(payouts.values()), nameless=nameless)


class Shkeeper:
    """SHKeeper, read only; a :class:`~recon.sources.interface.ClaimSource`."""

    name: str = NAME

    def __init__(
        self,
        settings: ShkeeperSettings,
        *,
        registry: Registry,
        transport: httpx.BaseTransport | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.settings = settings
        self._clock = clock or Clock()
        self._coins: Mapping[str, Coin] = coins_of({**COINS, **settings.coins}, registry)
        self._client = PoliteClient(
            source=NAME,
            base_url=settings.base_url,
            headers={"X-Shkeeper-Api-Key": settings.api_key.reveal()},
            manners=Manners.of(settings),
            clock=self._clock,
            transport=transport,
        )

    def check(self) -> str:
        """Say in one sentence that it can be used.

        Raises:
            CredentialsRefusedError: It answers and refuses the key (with HTTP 200, as it does).
            ProviderUnusableError: It does not answer, or something else answers.
        """
        with self._client.phase() as phase:
            answer = self._health(phase)
            problem = self._why_unwell(answer)
            online = _coins_online(answer.body)
            if problem is None:
                answer = self._get(phase, f"{INVOICES_PATH}/recon-check")
                problem = self._why_unusable(answer)
        if answer.kind == "refused":
            said = error_text(answer.body, secrets=self._client.secrets) or f"it answered {answer.status}"
            raise CredentialsRefusedError(source=NAME, origin=self._client.origin, said=said)
        if problem:
            raise ProviderUnusableError(
                problem=problem, remedy="Check base_url, health_path and that SHKeeper is up, then try again."
            )
        return f"{NAME} at {self._client.origin} answers and accepts the key{online}."

    def read_window(self, from_ms: int, to_ms: int, *, progress: Progress) -> Reading:
        """Read both whole tables; invoices carry no dates, so all of them are given whatever the window is."""
        with self._client.phase() as phase:
            transactions = self._get(phase, "/api/v1/transactions")
            outgoing_wire, outgoing_calls = phase.wire_bytes, phase.calls
            progress(NAME, 1, 2)
            invoices = self._get(phase, INVOICES_PATH)
            progress(NAME, 2, 2)
        at_ms = self._clock.now_ms()
        rows, problem = self._rows(invoices, "invoices")
        moved, moved_problem = self._rows(transactions, "transactions")
        said = claims_of_invoices(rows, coins=self._coins, at_ms=at_ms)
        if problem is None and moved_problem is None:
            said += claims_of_outgoing(moved, rows, coins=self._coins, at_ms=at_ms)
        coverage = [
            Coverage(
                source=NAME,
                scope=scope,
                complete=why is None,
                asked_from=from_ms,
                asked_to=to_ms,
                done_from=None if why else from_ms,
                done_to=None if why else to_ms,
                calls=calls,
                wire_bytes=wire,
                pages=0 if why else 1,
                items=items,
                problem=why,
            )
            for scope, why, calls, wire, items in (
                ("bulk", problem, phase.calls - outgoing_calls, phase.wire_bytes - outgoing_wire, len(rows)),
                ("outgoing", moved_problem, outgoing_calls, outgoing_wire, len(moved)),
            )
        ]
        gaps = [Gap(source=NAME, scope="bulk", from_ms=from_ms, to_ms=to_ms, reason=problem)] if problem else []
        return reading_of(said, coverage=coverage, gaps=gaps)

    def look_up(self, keys: Sequence[ClaimKey], *, progress: Progress) -> Reading:
        """Ask about single payments; every key gets at least one row: found, not_found or failed.

        Incoming payments are asked by external id, outgoing ones (``out``, ``refund``) by payout status, for which the
        coin must follow from the key's chain and token.
        """
        questions = _questions_of(keys)
        said = [self._failed(key, "there is no external id to ask by") for key in questions.nameless]
        singles = [*questions.incoming.values(), *questions.payouts]
        total, limit = len(singles), self.settings.lookups_max
        with self._client.phase() as phase:
            if len(questions.incoming) >= self.settings.table_from:
                said += self._from_table(phase, questions.incoming)
                singles = questions.payouts
                progress(NAME, total - len(singles), total)
            done = total - len(singles)
            for number, key in enumerate(singles[:limit], start=1):
                said += self._invoices(phase, key) if key.direction == "in" else [self._payout(phase, key)]
                progress(NAME, done + number, total)
            reason = f"not asked: more than {limit} look-ups (lookups_max)"
            said += [self._failed(key, reason) for key in singles[limit:]]
        return reading_of(said, coverage=[_lookup_coverage(said, phase)])

    def _get(
        self, phase: Phase, path: str, params: Mapping[str, str] | None = None, *, retries_max: int | None = None
    ) -> Answer:
        """Ask; a key that is refused with HTTP 200, as SHKeeper does, becomes ``refused`` and ends the phase."""
        answer = phase.get(path, params, retries_max=retries_max)
        if answer.kind != "ok" or not isinstance(answer.body, dict) or answer.body.get("status") != "error":
            return answer
        said = error_text(answer.body, secrets=self._client.secrets)
        if not any(word in said.lower() for word in _KEY_WORDS):
            return answer
        problem = f"{NAME} at {self._client.origin} does not accept the API key ({said})."
        phase.stop(f"{problem} Nothing more was asked.")
        return replace(answer, kind="refused", problem=problem)

    def _health(self, phase: Phase) -> Answer:
        """Ask the health path, and ``/api/v1/crypto`` where the configured one does not exist."""
        path = self.settings.health_path or CRYPTO_PATH
        # One retry only: a page that answers "ok" in plain text would be taken for broken JSON and asked for again.
        answer = self._get(phase, path, retries_max=1)
        return self._get(phase, CRYPTO_PATH) if answer.kind == "not_found" and path != CRYPTO_PATH else answer

    def _why_unwell(self, answer: Answer) -> str | None:
        if answer.kind in ("ok", "empty", "garbage"):
            # A health page need not be JSON; that it answers 200 and is no web page is enough. The key is tried next.
            return None
        return answer.problem

    def _why_unusable(self, answer: Answer) -> str | None:
        """Why an answer is no success: success is HTTP 200, JSON, and ``status`` success."""
        if answer.kind != "ok":
            return answer.problem or "no answer"
        body = answer.body
        if isinstance(body, dict) and body.get("status") == "success":
            return None
        said = error_text(body, secrets=self._client.secrets)
        words = f"the error {said!r}" if said else "something that is no success"
        return f"{NAME} at {self._client.origin} answered {answer.status} with {words}."

    def _rows(self, answer: Answer, name: str) -> tuple[list[Mapping[str, Any]], str | None]:
        """The rows of a table, and why they are not all of it."""
        problem = self._why_unusable(answer)
        if problem:
            return [], problem
        listed = answer.body.get(name)
        if not isinstance(listed, list):
            return [], f"{NAME} at {self._client.origin} answered without a list of {name}."
        rows = dicts_of(listed)
        lost = len(listed) - len(rows)
        return rows, f"{lost} of {len(listed)} {name} are no objects and could not be read" if lost else None

    def _from_table(self, phase: Phase, keys: Mapping[str, ClaimKey]) -> list[Said]:
        rows, problem = self._rows(self._get(phase, INVOICES_PATH), "invoices")
        at_ms = self._clock.now_ms()
        found = [
            one
            for one in claims_of_invoices(rows, coins=self._coins, at_ms=at_ms)
            if str(one.claim["external_id"]) in keys
        ]
        known = {str(one.claim["external_id"]) for one in found}
        missing = [key for external_id, key in keys.items() if external_id not in known]
        if problem:
            return found + [self._failed(key, problem) for key in missing]
        return found + [self._not_found(key, "invoice") for key in missing]

    def _invoices(self, phase: Phase, key: ClaimKey) -> list[Said]:
        external_id = key.external_id or ""
        if "/" in external_id or external_id in (".", ".."):
            reason = "an external id with a slash, or of dots only, cannot be read one by one; read the whole table"
            return [self._failed(key, reason)]
        rows, problem = self._rows(self._get(phase, f"{INVOICES_PATH}/{quote(external_id, safe='')}"), "invoices")
        mine = [row for row in rows if text_or_none(row.get("external_id")) == external_id]
        if problem is None and len(mine) < len(rows):
            problem = "the answer is about another external id"
        if problem:
            return [self._failed(key, problem)]
        if not mine:
            return [self._not_found(key, "invoice")]
        return claims_of_invoices(mine, coins=self._coins, at_ms=self._clock.now_ms())

    def _payout(self, phase: Phase, key: ClaimKey) -> Said:
        coin = coin_of(self._coins, chain_id=key.chain_id, token=key.token)
        if coin is None:
            reason = (
                f"no coin is known for chain {key.chain_id} and token {key.token}; add it to the coins in the settings"
            )
            return self._failed(key, reason)
        answer = self._get(
            phase, f"/api/v1/{quote(coin, safe='')}/payout/status", {"external_id": key.external_id or ""}
        )
        body = answer.body if isinstance(answer.body, dict) else {}
        if answer.kind == "not_found" and body and body.get("status") != "Not Found":
            return self._not_found(key, "payout", coin)
        wrong = self._why_no_payout(answer, body, key=key)
        if wrong:
            return self._failed(key, wrong, coin)
        return payout_claim(body, key=key, coin=coin, coins=self._coins, at_ms=self._clock.now_ms())

    def _why_no_payout(self, answer: Answer, body: Mapping[str, Any], *, key: ClaimKey) -> str | None:
        """Why an answer tells nothing of the payout that was asked for; None where it does."""
        if answer.kind != "ok" and answer.problem:
            return answer.problem
        status = body.get("status")
        if not isinstance(status, str) or status == "error":
            said = error_text(body, secrets=self._client.secrets)
            return f"{NAME} at {self._client.origin} gave no payout status{f': {said}' if said else ''}."
        found = text_or_none(body.get("external_id"))
        if found is not None and found != key.external_id:
            return "the answer is about another external id"
        if not any(body.get(name) for name in ("external_id", "amount", "destination", "txid")):
            # Every error of SHKeeper may come with HTTP 200 and a word of its own.
            return "the answer names no payout"
        return None

    def _failed(self, key: ClaimKey, reason: str, coin: str | None = None) -> Said:
        kind = "invoice" if key.direction == "in" else "payout"
        row = failed_row(NAME, key, claim_id=_claim_id(key, coin), reason=reason, at_ms=self._clock.now_ms(), kind=kind)
        return Said(row)

    def _not_found(self, key: ClaimKey, kind: str, coin: str | None = None) -> Said:
        row = not_found_row(NAME, key, claim_id=_claim_id(key, coin), at_ms=self._clock.now_ms(), kind=kind)
        return Said(row)


def _coins_online(body: Any) -> str:
    """The coins whose wallets are online, since an offline one sees no payments; nothing where none are listed."""
    listed = body.get("crypto") if isinstance(body, dict) else None
    names = sorted(text_or_none(name, limit=40) or "" for name in listed)[:50] if isinstance(listed, list) else []
    return f"; coins online: {', '.join(name for name in names if name)}" if any(names) else ""


def _lookup_coverage(said: Sequence[Said], phase: Phase) -> Coverage:
    """The account of a series of look-ups: whether each was answered, and why the first was not."""
    failed = [str(one.claim["error"]) for one in said if one.claim["outcome"] == "failed"]
    return Coverage(
        source=NAME,
        scope="lookup",
        complete=not failed,
        calls=phase.calls,
        wire_bytes=phase.wire_bytes,
        items=len(said),
        problem=f"{len(failed)} of {len(said)} look-ups failed; the first: {failed[0]}" if failed else None,
    )


def _claim_id(key: ClaimKey, coin: str | None) -> str:
    if not key.external_id:
        return f"payment:{key.payment_id}"
    return f"{coin}:{key.external_id}" if coin else key.external_id
