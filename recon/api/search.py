"""``search``: rows, provider objects and transfers by key, amount or time, in a snapshot or in the sources."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from typing import TYPE_CHECKING, TypedDict

from recon.api.choosing import Moment, resolve_moment
from recon.api.common import Config, Place, rules_for, settings_if_there, settings_of, time_of_run
from recon.api.naming import NEWEST, snapshot_place
from recon.core.errors import UsageError
from recon.sources.interface import no_progress

if TYPE_CHECKING:
    from datetime import datetime
    from typing import Unpack

    from recon.investigation.search.live import LiveSearch
    from recon.investigation.search.question import SearchQuestion, SearchResult, SearchWords
    from recon.runs.release import LedgerCheck
    from recon.setup.settings import Settings
    from recon.sources.interface import Progress


class TwoPlacesError(UsageError):
    """A search is to be in a snapshot and in the sources at once."""

    def __init__(self) -> None:
        super().__init__("A search is in one place: give --snapshot or --live, not both. Nothing was searched.")


class NoSearchWindowError(UsageError):
    """A search in the sources has no beginning, and a chain cannot be read from its first block."""

    def __init__(self) -> None:
        super().__init__("Say from when on the sources are searched, for example --from 7d; nothing was searched.")


class SearchKeys(TypedDict, total=False):
    """What is searched for; all that is given must hold, and of one option any value will do.

    ``amount`` is in whole tokens, exact (``25``) or a range with both ends (``24..26``), of ``token`` (a symbol or a
    contract) or of any. ``from_at`` is included, ``to_at`` is not: when a row or a provider object was made, and when
    money moved.
    """

    references: Iterable[str]
    hashes: Iterable[str]
    addresses: Iterable[str]
    external_ids: Iterable[str]
    request_ids: Iterable[str]
    buyers: Iterable[str]
    amount: str | None
    token: str | None
    from_at: Moment | None
    to_at: Moment | None


def search(
    text: str | None = None,
    *,
    config: Config = None,
    snapshot: Place | None = None,
    live: bool = False,
    progress: Progress = no_progress,
    **keys: Unpack[SearchKeys],
) -> SearchResult:
    """Find what is known of a key, an amount or a time; see ``recon search``. Nothing is written.

    Args:
        text: Read as every key that it can be, as ``recon inspect`` does.
        snapshot: The sealed snapshot to search, offline; the newest one when not given.
        live: Search the database, the providers and the chains instead.
        keys: See :class:`SearchKeys`.

    Raises:
        NothingWantedError, NoIdError, WantedKeyError, WantedAmountError, UnknownTokenError: What is searched for cannot
            be read.
        NoneYetError, NoSuchNameError: There is no such snapshot.
        WrongSourceError: A source is not the one that was meant.
    """
    from recon.investigation.search.question import SearchWords

    if live and snapshot is not None:
        raise TwoPlacesError
    words = SearchWords(
        text,
        {
            "reference": tuple(keys.get("references", ())),
            "tx_hash": tuple(keys.get("hashes", ())),
            "address": tuple(keys.get("addresses", ())),
            "external_id": tuple(keys.get("external_ids", ())),
            "request_id": tuple(keys.get("request_ids", ())),
            "buyer": tuple(keys.get("buyers", ())),
        },
        keys.get("amount"),
        keys.get("token"),
    )
    if live:
        return _in_sources(settings_of(config), words, keys, progress)
    return _in_snapshot(snapshot, config, words, keys)


def _in_snapshot(snapshot: Place | None, config: Config, words: SearchWords, keys: SearchKeys) -> SearchResult:
    from recon.investigation.search.offline import search_snapshot
    from recon.snapshots.address import opened

    settings = settings_if_there(config)
    question = _question(words, keys, now=time_of_run(settings))
    with opened(snapshot_place(snapshot or NEWEST[0], config=settings), engine=None) as taken:
        policy, registry = rules_for(taken, settings)
        return search_snapshot(taken, question, registry=registry, policy=policy)


def _question(words: SearchWords, keys: SearchKeys, *, now: datetime) -> SearchQuestion:
    from recon.core.times import to_ms

    ends = (resolve_moment(keys.get(name), now=now) for name in ("from_at", "to_at"))  # type: ignore[arg-type]
    from_ms, to_ms_ = (None if each is None else to_ms(each) for each in ends)
    return words.question(from_ms=from_ms, to_ms=to_ms_)


def _in_sources(settings: Settings, words: SearchWords, keys: SearchKeys, progress: Progress) -> SearchResult:
    from recon.investigation.search.live import search_live
    from recon.setup.open_sources import open_sources

    question = _question(words, keys, now=settings.now())
    with ExitStack() as stack:
        how = _live(settings, question, ledger=_ledger(settings, stack), progress=progress)
        return search_live(stack.enter_context(open_sources(settings)), question, how=how)


def _live(
    settings: Settings, question: SearchQuestion, *, ledger: LedgerCheck | None, progress: Progress
) -> LiveSearch:
    from recon.core.times import from_ms, to_ms
    from recon.investigation.search.live import LiveSearch

    now = settings.now()
    start, end = (None if each is None else from_ms(each) for each in (question.from_ms, question.to_ms))
    window = settings.selection(from_at=start, to_at=end, now=now)
    if window.from_at is None and settings.world is None:
        raise NoSearchWindowError
    return LiveSearch(
        policy=settings.policy(),
        registry=settings.registry(),
        now=now,
        from_ms=0 if window.from_at is None else to_ms(window.from_at),
        to_ms=to_ms(window.to_at or now),
        ledger=ledger,
        progress=progress,
    )


def _ledger(settings: Settings, stack: ExitStack) -> LedgerCheck | None:
    """The backend's ledger, where one is configured; reading it needs the writing side's address."""
    from recon.setup.open_runs import open_ledger

    if settings.values.ledger.collection is None:
        return None
    return stack.enter_context(open_ledger(settings)).pay_ins
