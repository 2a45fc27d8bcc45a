"""How Salesforce is asked: a token by one of the ways to log in, errors in lists, and a quota of calls for the day.

A token that has ended is renewed once for each question. The portal lives on the same quota of calls, so nothing more
is asked once its share that the settings allow is used up. What goes out is GET, and the form for the token.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Final

from recon.core.text import clean_text
from recon.sources.http import Clock, clean_message
from recon.sources.providers.polite import Answer, Manners, Phase, PoliteClient
from recon.sources.providers.salesforce.login import LoginTerms

if TYPE_CHECKING:
    import httpx

TOKEN_PATH: Final = "/services/oauth2/token"  # noqa: S105 - a path
RENEWALS_MAX: Final = 3
"""How often a token is asked for in one piece of work."""

_TOKEN: Final = re.compile(r"[\x21-\x7e]{1,5000}\Z")
_USAGE: Final = re.compile(r"api-usage=([0-9]{1,12})/([0-9]{1,12})")
_ENDED: Final = "INVALID_SESSION_ID"
_WHY: Final[Mapping[str, str]] = {
    "REQUEST_LIMIT_EXCEEDED": "its calls of the day are used up; ask again when they are counted anew",
    "API_DISABLED_FOR_ORG": "this edition lets nobody in by its API",
    "INVALID_FIELD": "a field of the settings is not there, or the user may not see it",
    "INVALID_TYPE": "object_name of the settings is not there, or the user may not see it",
    "INVALID_QUERY_LOCATOR": "the list ended before it was read whole",
    "NOT_FOUND": "it has no such API version; check api_version",
}
"""What codes of errors mean for the reader of a message."""


class Session:
    """The connections and the token of one Salesforce installation."""

    def __init__(
        self,
        *,
        source: str,
        base_url: str,
        login: LoginTerms,
        manners: Manners,
        clock: Clock,
        quota_share_max_percent: int,
        transport: httpx.BaseTransport | None,
    ) -> None:
        self._about = {
            "source": source, "base_url": base_url, "manners": manners, "clock": clock, "transport": transport,
        }  # fmt: skip
        self._terms, self._clock = login, clock
        self._login = self._asks_with({"client_id": login.client_id.reveal()})
        self._sent: tuple[str, ...] = ()
        self._opened: PoliteClient | None = None
        self._share_max = quota_share_max_percent
        self.usage: tuple[int, int] | None = None

    @property
    def origin(self) -> str:
        """Its address as it may be shown."""
        return self._login.origin

    @contextmanager
    def work(self) -> Iterator[Work]:
        """One piece of work with counters of its own."""
        with ExitStack() as stack:
            yield Work(self, stack)

    def say(self, what: str, *, secrets: tuple[str, ...] = ()) -> str:
        """A sentence about it without any secret."""
        return clean_message(
            f"{self._login.source} at {self.origin} {what}", secrets=(*self._login.secrets, *self._sent, *secrets)
        )

    def note_usage(self, answer: Answer) -> str | None:
        """Remember how many calls of the day are used; gives why no more may be asked, where that is so."""
        found = _USAGE.search(str(answer.headers.get("sforce-limit-info", "")))
        if found is None:
            return None
        used, most = int(found[1]), int(found[2])
        self.usage = used, most
        if used * 100 < most * self._share_max:
            return None
        what = f"has used {used} of {most} calls of the day, and {self._share_max} % is where recon stops"
        return f"{self.say(what)} (quota_share_max_percent); no more was asked."

    def opened(self) -> PoliteClient | None:
        """Where the orders are asked for, with the token; None where there is no token yet."""
        return self._opened

    def forget_token(self) -> None:
        """The token has ended."""
        self._opened = None

    def log_in(self, phase: Phase) -> tuple[str | None, bool]:
        """Ask for a token; gives why there is none, and whether that is a refusal."""
        answer = phase.post(TOKEN_PATH, {"grant_type": self._terms.grant})
        body = answer.body if isinstance(answer.body, dict) else {}
        token = body.get("access_token")
        if answer.kind == "ok" and isinstance(token, str) and _TOKEN.match(token):
            # The token stands in both, so that no message can hold it, with or without the word before it.
            shown = {"authorization": f"Bearer {token}"}
            self._opened = PoliteClient(**self._about, headers=shown, form={"token": token})  # type: ignore[arg-type]
            return None, False
        if answer.kind in ("ok", "rejected", "refused") and isinstance(answer.body, dict):
            said = str(body.get("error_description") or body.get("error") or "no token in its answer")
            # What is secret is taken out first: a part of it, cut off, would be known by nobody.
            told = clean_text(clean_message(said, secrets=(*self._login.secrets, *self._sent)), limit=200)
            why = self.say(f"gives no token ({told}): {self._terms.remedy}.")
            return why, answer.kind != "ok"
        return answer.problem or self.say("gives no token."), answer.kind == "refused"

    def login(self) -> PoliteClient:
        """Where a token is asked for, with what is secret in its form; of an assertion there is a new one each time.

        Raises:
            SigningKeyError: The key of the settings cannot be used.
            MissingExtraError: What signs is not installed.
        """
        form = self._terms.secrets(now_ms=self._clock.now_ms())
        self._sent = tuple(form.values())
        return self._asks_with(form)

    def _asks_with(self, form: Mapping[str, str]) -> PoliteClient:
        return PoliteClient(**self._about, form=form)  # type: ignore[arg-type]


class Work:
    """Questions of one piece of work, and what they cost."""

    def __init__(self, session: Session, stack: ExitStack) -> None:
        self._session, self._stack = session, stack
        self._phases: list[Phase] = []
        self._asking: tuple[PoliteClient, Phase] | None = None
        self._logins = 0
        self.stopped: str | None = None
        self.is_refused = False

    @property
    def calls(self) -> int:
        """HTTP requests so far, those for a token too."""
        return sum(phase.calls for phase in self._phases)

    @property
    def wire_bytes(self) -> int:
        """Bytes on the wire so far."""
        return sum(phase.wire_bytes for phase in self._phases)

    def ask(self, path: str, params: Mapping[str, str] | None = None) -> tuple[Any, str | None]:
        """The body of an answer, or why there is none; a token that has ended is renewed once."""
        if self.stopped:
            return None, self.stopped
        for is_again in (False, True):
            phase = self._phase()
            if phase is None:
                return None, self.stopped
            answer = phase.get(path, params)
            code, told = _error_of(answer.body)
            if code == _ENDED and not is_again:
                self._session.forget_token()
                continue
            break
        self.stopped = self.stopped or self._session.note_usage(answer)
        if answer.kind == "ok":
            return answer.body, None
        problem = self._problem(answer, code, told)
        if answer.kind in ("refused", "stopped"):
            self.is_refused, self.stopped = self.is_refused or answer.kind == "refused", problem
        return None, problem

    def _problem(self, answer: Answer, code: str | None, told: str) -> str:
        if code is None:
            return answer.problem or self._session.say("gave no answer.")
        why = _WHY.get(code)
        said = f"answered {answer.status} ({code}: {told})" + (f": {why}" if why else "")
        client = self._session.opened()
        return self._session.say(f"{said}.", secrets=() if client is None else client.secrets)

    def _phase(self) -> Phase | None:
        """Where it is asked, with a token; None, and ``stopped`` says why, where there is none."""
        client = self._session.opened()
        if client is None:
            self._logins += 1
            if self._logins > RENEWALS_MAX:
                self.stopped = self._session.say("ends every token at once; no more was asked.")
                return None
            self.stopped, self.is_refused = self._session.log_in(self._open(self._session.login()))
            client = self._session.opened()
        if client is None:
            return None
        if self._asking is None or self._asking[0] is not client:
            self._asking = client, self._open(client)
        return self._asking[1]

    def _open(self, client: PoliteClient) -> Phase:
        phase = self._stack.enter_context(client.phase())
        self._phases.append(phase)
        return phase


def _error_of(body: Any) -> tuple[str | None, str]:
    """Code and message of the first of the errors that a body lists; no code where it lists none."""
    first = body[0] if isinstance(body, list) and body else None
    code = first.get("errorCode") if isinstance(first, dict) else None
    if not isinstance(first, dict) or not isinstance(code, str):
        return None, ""
    return clean_text(code, limit=60), clean_text(first.get("message") or "no message", limit=300)
