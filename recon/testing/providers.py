"""The promises of a provider, each tried: the object is whole, and its source of claims is honest while all fails.

A plug-in's test is one line::

    def test_it_keeps_the_promises_of_a_provider():
        check_provider(PROVIDER)
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from recon.core.errors import ReconError, WrongSourceError
from recon.core.ids import normalise_reference, normalise_request_id
from recon.core.model import HELD
from recon.core.registry import load_registry
from recon.core.registry.off_chain import currencies_in
from recon.core.tables import CLAIM_TXS, CLAIMS, schema_of
from recon.core.text import count_text
from recon.sources.http import Secret
from recon.sources.interface import ClaimKey, ClaimSource, Reading, no_progress
from recon.sources.providers.provider import OpeningTerms, Provider
from recon.testing.contract import ContractError, require
from recon.testing.transports import START_MS, TELLS_LITTLE, TELLS_NOTHING, Counting, still_clock
from recon.testing.webhooks import check_webhooks

if TYPE_CHECKING:
    from recon.testing.transports import Handler

CLAIM_STATES: Final = frozenset(
    {"unpaid", "partial", "paid", "overpaid", "processing", "failed", "cancelled", "refunded", "split", "unknown"}
    | {*HELD}
)
"""What a claim may say of a payment."""

SECRET: Final = "contract-secret-5b1f0c"  # noqa: S105 - no secret; what must never be shown
DAY_MS: Final = 86_400_000
CUTS_MAX: Final = 12
"""After how many answers, at most, the network is made to fail."""

_ASKED_BY: Final = {
    "external_id": ClaimKey(payment_id="contract-external-id", external_id="contract-0001"),
    "request_id": ClaimKey(payment_id="contract-request-id", request_id="01" + "ab" * 32),
    "reference": ClaimKey(payment_id="contract-reference", reference="0x" + "ab" * 8),
}


@dataclass(frozen=True, slots=True)
class _Stage:
    """A provider with what it is opened with, network aside."""

    provider: Provider
    section: Any
    home: Path
    keys: tuple[ClaimKey, ...]

    @contextmanager
    def opened(self, handler: Handler) -> Iterator[ClaimSource]:
        """Its source of claims over a network; its connections are given back."""
        import httpx

        terms = OpeningTerms(
            section=self.section,
            secret=lambda variable: Secret(SECRET),
            registry=load_registry(),
            home=self.home,
            calls_per_s=1000.0,
            transport=httpx.MockTransport(handler),
            clock=still_clock(),
        )
        source = self.provider.open(terms)
        require(source.name == self.provider.name, f"the source of {self.provider.name} calls itself {source.name!r}")
        try:
            yield source
        finally:
            close = getattr(source, "close", None)
            if close is not None:
                close()


def check_provider(
    provider: Provider,
    *,
    section: Any = None,
    home: Path | None = None,
    answers: Handler | None = None,
    known: Sequence[ClaimKey] = (),
) -> None:
    """Try every promise of a provider; nothing is asked of any network.

    Args:
        section: Its section of the configuration; None means the section that an empty configuration gives.
        home: The folder that holds what it reads beside the network, whole. All failures are tried in an empty folder.
        answers: How a network answers that has what is ``known``; with it, reading is also cut in the middle.
        known: What ``answers`` or ``home`` holds: each key must be found.

    Raises:
        ContractError: A promise is broken; the sentence says which.
    """
    check_whole(provider)
    check_webhooks(provider)
    given = provider.section()() if section is None else section
    _check_books(provider, given)
    with tempfile.TemporaryDirectory() as empty:
        stage = _Stage(provider, given, Path(empty), _keys_of(provider))
        for what, handler in TELLS_NOTHING.items():
            _check_blind(stage, handler, what=what)
        for what, handler in TELLS_LITTLE.items():
            _check_empty(stage, handler, what=what)
    if known:
        whole = _Stage(provider, given, home or Path(), tuple(known))
        _check_known(whole, answers or TELLS_NOTHING["every connection is refused"])


def check_whole(provider: Provider) -> None:
    """Try what the object itself promises: its names, words, settings and numbers.

    Raises:
        ContractError: A promise is broken.
    """
    from recon.sources.providers.sections import ProviderSection

    name = provider.name
    require(bool(re.fullmatch(r"[a-z][a-z0-9_]*", name)), f"the name {name!r} is not lower case, digits and _")
    require(bool(provider.title.strip()), f"{name} has no title")
    for alias in provider.aliases:
        require(bool(alias) and alias == alias.strip().lower(), f"the alias {alias!r} of {name} is not lower case")
    names = (name, *provider.aliases)
    require(len(set(names)) == len(names), f"{name} has a name twice: {', '.join(names)}")
    require(issubclass(provider.section(), ProviderSection), f"the section of {name} is no ProviderSection")
    require(provider.key in ("external_id", "request_id"), f"{name} meets payments by the unknown key {provider.key!r}")
    odd = provider.asked_by - set(_ASKED_BY)
    require(not odd, f"{name} is asked by unknown kinds of names: {', '.join(sorted(odd))}")
    require(bool(provider.asked_by), f"{name} can be asked by no name, so no payment can be looked up")
    for word, state in provider.state_words.items():
        require(word == word.lower(), f"the state word {word!r} of {name} is not lower case")
        require(state in CLAIM_STATES, f"the state word {word!r} of {name} means {state!r}, which is no state")
    for part in provider.tolerance_ppm:
        is_share = isinstance(part, int) and not isinstance(part, bool) and 0 <= part < 1_000_000
        require(is_share, f"the tolerance of {name} is {part!r}, which is no number of millionths below one whole")


def _check_books(provider: Provider, section: Any) -> None:
    """Books hold currencies of states, each named once, and money in them has no addresses."""
    if provider.books is None:
        return
    codes = list(provider.books.currencies(section))
    require(bool(codes), f"the books of {provider.name} hold no currency")
    require(
        sorted(codes) == list(currencies_in(codes)), f"the currencies of {provider.name} are no ISO 4217 codes: {codes}"
    )
    require(not provider.has_one_time_addresses, f"{provider.name} keeps books, in which nothing has an address")


def _keys_of(provider: Provider) -> tuple[ClaimKey, ...]:
    """Payments that no provider has ever heard of, one for each way of asking."""
    directions = ("in", "out") if provider.pays_out else ("in",)
    ways = [_ASKED_BY[kind] for kind in sorted(provider.asked_by)]
    return tuple(replace(key, direction=direction) for key in ways for direction in directions)


def _check_blind(stage: _Stage, handler: Handler, *, what: str) -> None:
    """Nothing can be read, so nothing is complete, everything is a gap, and every look-up has failed."""
    where = f"{stage.provider.name}, while {what}"
    with stage.opened(handler) as source:
        require(_check_says(source, where=where) is None, f"{where}: check() says that it can be used")
        reading = _read(source, where=where)
        if reading is not None and stage.provider.has_list:
            _require_gap(reading, where=where)
        elif reading is not None:
            _require_silence(reading, where=where)
        reading = _look_up(source, stage.keys, where=where)
        if reading is not None:
            _require_outcomes(reading, frozenset({"failed"}), where=where)


def _check_empty(stage: _Stage, handler: Handler, *, what: str) -> None:
    """There may be none, or it may not have been read; nothing is found and nothing breaks."""
    where = f"{stage.provider.name}, while {what}"
    with stage.opened(handler) as source:
        _check_says(source, where=where)
        _read(source, where=where)
        reading = _look_up(source, stage.keys, where=where)
        if reading is not None:
            _require_outcomes(reading, frozenset({"failed", "not_found"}), where=where)


def _check_known(stage: _Stage, handler: Handler) -> None:
    """What is there is found; when reading ends in the middle, what was not read is never said to be absent."""
    name = stage.provider.name
    counted = Counting(handler)
    with stage.opened(counted) as source:
        window = _read(source, where=name)
    window_calls = counted.calls
    with stage.opened(counted) as source:
        found = _look_up(source, stage.keys, where=name)
    require(window is not None and found is not None, f"{name}: what is known is refused as another account's")
    assert window is not None and found is not None
    for key in stage.keys:
        outcomes = {row["outcome"] for row in _rows_of(found) if _is_about(row, key)}
        require(
            "found" in outcomes, f"{name}: the known payment {key.payment_id} is not found ({outcomes or 'no row'})"
        )
    for answered in range(min(window_calls, CUTS_MAX)):
        _check_cut_window(stage, Counting(handler, answered_max=answered), window)
    for answered in range(min(counted.calls - window_calls, CUTS_MAX)):
        _check_cut_look_up(stage, Counting(handler, answered_max=answered))


def _check_cut_window(stage: _Stage, handler: Counting, window: Reading) -> None:
    """A window that was not read to its end says so, unless all that is known was read all the same."""
    where = f"{stage.provider.name}, while the network fails after {handler.answered_max} answers"
    with stage.opened(handler) as source:
        cut = _read(source, where=where)
    if cut is not None and _undated(cut) != _undated(window):
        require(any(not row.complete for row in cut.coverage), f"{where}: the coverage says that all was read")


def _check_cut_look_up(stage: _Stage, handler: Counting) -> None:
    """What is known may fail to be found; it is never said to be absent."""
    where = f"{stage.provider.name}, while the network fails after {handler.answered_max} answers"
    with stage.opened(handler) as source:
        cut = _look_up(source, stage.keys, where=where)
    if cut is not None:
        _require_outcomes(cut, frozenset({"failed", "found"}), where=where)


def _check_says(source: ClaimSource, *, where: str) -> str | None:
    """What ``check()`` says; None when it raises one of recon's own errors, as it should where it cannot be used."""
    try:
        said = source.check()
    except ReconError as error:
        _require_no_secret(str(error), where=where)
        return None
    except Exception as error:
        raise ContractError(f"{where}: check() raises {type(error).__name__}, which is no error of recon") from error
    _require_no_secret(said, where=where)
    require(bool(said.strip()), f"{where}: check() says nothing")
    return said


def _read(source: ClaimSource, *, where: str) -> Reading | None:
    window = (START_MS - 30 * DAY_MS, START_MS)
    return _asked(lambda: source.read_window(*window, progress=no_progress), call="read_window()", where=where)


def _look_up(source: ClaimSource, keys: Sequence[ClaimKey], *, where: str) -> Reading | None:
    reading = _asked(lambda: source.look_up(keys, progress=no_progress), call="look_up()", where=where)
    if reading is not None:
        for key in keys:
            has_row = any(_is_about(row, key) for row in _rows_of(reading))
            require(has_row, f"{where}: look_up() gives no claim for {key.payment_id}")
    return reading


def _asked(call_source: Callable[[], Reading], *, call: str, where: str) -> Reading | None:
    """What a source gives; None when it says that it is the wrong source, which is the one thing it may raise."""
    try:
        reading = call_source()
    except WrongSourceError as error:
        _require_no_secret(str(error), where=where)
        return None
    except Exception as error:
        raise ContractError(
            f"{where}: {call} raises {type(error).__name__}; what cannot be read is a gap or a failed claim"
        ) from error
    _require_tables(reading, where=f"{where}: {call}")
    require(bool(reading.coverage), f"{where}: {call} gives no coverage")
    _require_no_secret(f"{reading.coverage} {reading.gaps} {_rows_of(reading)}", where=where)
    return reading


def _require_tables(reading: Reading, *, where: str) -> None:
    for name, columns in (("claims", CLAIMS), ("claim_txs", CLAIM_TXS)):
        require(name in reading.tables, f"{where} gives no table {name}")
        schema = reading.tables[name].schema
        require(schema.equals(schema_of(columns)), f"{where} gives a table {name} of another schema: {schema}")
    for row in _rows_of(reading):
        outcome, state = row["outcome"], row["state"]
        require(outcome in ("found", "not_found", "failed"), f"{where} gives the unknown outcome {outcome!r}")
        require(outcome == "found" or state is None, f"{where} gives a state to a claim that was not found")
        require(outcome != "found" or state in CLAIM_STATES, f"{where} gives the unknown state {state!r}")
        require(outcome != "failed" or bool(row["error"]), f"{where} does not say why a look-up failed")


def _require_gap(reading: Reading, *, where: str) -> None:
    for row in reading.coverage:
        require(not row.complete, f"{where}: the coverage of {row.scope} says that all was read")
        require(bool(row.problem), f"{where}: the coverage of {row.scope} does not say why it is not complete")
    is_done = any(row.done_from is not None for row in reading.coverage)
    require(bool(reading.gaps) or not is_done, f"{where}: what was not read is no gap")
    claims = [row for row in _rows_of(reading) if row["outcome"] != "failed"]
    require(not claims, f"{where}: the window holds {count_text(len(claims), 'claim')} that nothing was read of")


def _require_silence(reading: Reading, *, where: str) -> None:
    """A window of a provider without a list says nothing, and lets nobody conclude anything from that."""
    require(not _rows_of(reading), f"{where}: the window of a provider without a list holds claims")
    is_bulk = any(row.scope == "bulk" for row in reading.coverage)
    require(not is_bulk, f"{where}: the window has coverage of scope bulk, so its silence would be an answer")


def _require_outcomes(reading: Reading, allowed: frozenset[str], *, where: str) -> None:
    for row in _rows_of(reading):
        outcome = row["outcome"]
        if outcome == "not_found":
            why = "absence is invented: nothing said that there is none"
        else:
            why = "nothing that could be found was answered"
        require(outcome in allowed, f"{where}: a look-up says {outcome}, and {why}")
    if any(row["outcome"] == "failed" for row in _rows_of(reading)):
        require(
            any(not row.complete for row in reading.coverage), f"{where}: a look-up failed and coverage is complete"
        )


def _require_no_secret(text: str, *, where: str) -> None:
    require(SECRET not in text, f"{where}: the secret is shown")


def _rows_of(reading: Reading) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = reading.tables["claims"].to_pylist()
    return rows


def _undated(reading: Reading) -> list[dict[str, Any]]:
    """Its claims without the time of asking, which is another in every reading."""
    return [{name: value for name, value in row.items() if name != "looked_up_at"} for row in _rows_of(reading)]


def _is_about(row: dict[str, Any], key: ClaimKey) -> bool:
    """Whether a claim tells of what was asked by; ids are compared as recon writes them."""
    wanted = {
        "external_id": key.external_id,
        "request_id": normalise_request_id(key.request_id) if key.request_id else None,
        "reference": normalise_reference(key.reference) if key.reference else None,
    }
    return any(value is not None and row[name] == value for name, value in wanted.items())
