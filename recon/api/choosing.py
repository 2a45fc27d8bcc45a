"""Which payments are meant: windows, ids and filters, every word of them checked against what is known.

A filter that names nothing known would choose nothing, and nothing looks healthy; so an unknown word is refused, with
those that are known.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, TypedDict, get_args

from recon.core.errors import IdError, UsageError
from recon.core.model import STATUSES, Verdict

if TYPE_CHECKING:
    from recon.api.common import Place
    from recon.core.model import Plan
    from recon.core.registry import Registry
    from recon.setup.settings import Settings
    from recon.sources.interface import Selection

DateField = Literal["created", "updated"]
Moment = datetime | timedelta
"""A time, or how long before now."""

ID_LINES_MAX: Final = 1_000_000
ID_LENGTH_MAX: Final = 300
_TOKEN_AMOUNT: Final = re.compile(r"([^\s=]{1,20})=([0-9]{1,38}(?:\.[0-9]{1,38})?)\Z")
_HEX_ID: Final = re.compile(r"[0-9a-fA-F]{24}\Z")


class Chosen(TypedDict, total=False):
    """The options that choose payments; all that are given must hold. Times are aware UTC, or ages.

    ``from_at`` is included, ``to_at`` excluded; ``id_file`` holds one payment id a line.
    """

    from_at: Moment | None
    to_at: Moment | None
    date_field: DateField | None
    providers: Iterable[str]
    statuses: Iterable[str]
    ids: Iterable[str]
    id_file: Place | None
    open_only: bool


class UnknownFilterError(UsageError):
    """A filter names something that is not known, so it would choose nothing."""

    def __init__(self, *, what: str, word: str, known: Iterable[str]) -> None:
        listed = list(known)
        near = get_close_matches(word.lower(), listed, n=1)
        hint = f"; the nearest is {near[0]}, and" if near else ";"
        super().__init__(f"There is no {what} {word[:60]!r}{hint} known are {', '.join(listed)}.")


class TwoSelectionsError(UsageError):
    """Payments are chosen twice, by a selection and by options."""

    def __init__(self) -> None:
        super().__init__("Payments are chosen by selection= or by from_at=, providers= and the like, not by both.")


class IdFileError(UsageError):
    """A line of an id file is no payment id."""

    def __init__(self, *, path: str, line: int, why: str) -> None:
        super().__init__(
            f"{path}, line {line}: {why}; nothing was read from any source. The file holds one payment id a line."
        )


class FileReadError(UsageError):
    """A file named on the command line cannot be read."""

    def __init__(self, *, path: str, why: str) -> None:
        super().__init__(f"{path}: the file cannot be read ({why}).")


class AmountOptionError(UsageError):
    """A value limit is not written as token and amount."""

    def __init__(self, *, text: str) -> None:
        super().__init__(f"{text[:60]!r} is no value limit; write a token and whole tokens, for example USDC=5000.")


def check_known(what: str, words: Iterable[str], *, known: Iterable[str]) -> None:
    """Refuse the first word that is not among those known.

    Raises:
        UnknownFilterError: There is one.
    """
    listed = tuple(known)
    for word in words:
        if word not in listed:
            raise UnknownFilterError(what=what, word=word, known=listed)


def check_verdicts(words: Iterable[str]) -> None:
    """Refuse a word that is no verdict. Raises UnknownFilterError with the verdicts that there are."""
    check_known("verdict", words, known=[verdict.value for verdict in Verdict])


def check_tokens(symbols: Iterable[str], *, plan: Plan, registry: Registry) -> None:
    """Refuse the symbol of a value limit that neither the plan nor the registry has, in any case of letters.

    Raises:
        UnknownFilterError: There is one; the limit would hold back nothing.
    """
    known = {change.symbol.upper() for change in plan.changes if change.symbol}
    known |= {token.symbol.upper() for token in registry.tokens.values()}
    check_known("token", (symbol.upper() for symbol in symbols), known=sorted(known))


def known_providers(settings: Settings | None) -> tuple[str, ...]:
    """Our names of the providers that payments may carry: those of the registry and those of the configuration."""
    from recon.core.registry import load_registry

    if settings is None:
        return tuple(sorted(set(load_registry().provider_aliases.values())))
    aliases = settings.registry().provider_aliases
    return tuple(sorted({*aliases.values(), *settings.providers, *settings.values.flags.extra_providers}))


def providers_of(settings: Settings | None, words: Iterable[str]) -> tuple[str, ...]:
    """Our names for provider words, each once, in the order given; without settings by the shipped registry.

    Raises:
        UnknownFilterError: A word names no provider that is known.
    """
    from recon.core.registry import load_registry

    registry = load_registry() if settings is None else settings.registry()
    known = known_providers(settings)
    names: dict[str, None] = {}
    for word in words:
        name = registry.provider(word)
        if name not in known:
            raise UnknownFilterError(what="provider", word=word, known=known)
        names[name] = None
    return tuple(names)


def statuses_of(words: Iterable[str]) -> tuple[str, ...]:
    """Status words as the rows spell them, each once. Raises UnknownFilterError for one that nobody knows."""
    found = tuple(dict.fromkeys(words))
    for word in found:
        if word.strip().lower() not in STATUSES:
            raise UnknownFilterError(what="status", word=word, known=STATUSES)
    return found


def selection_of(
    settings: Settings, chosen: Chosen, *, selection: Selection | None = None, now: datetime | None = None
) -> Selection:
    """The selection that options mean, or one that was made already, within the configured window.

    Args:
        selection: Instead of options; without dates of its own it is one within the configured window.
        now: What ages and the window are counted from; the time of this run when not given.

    Raises:
        UnknownFilterError: A provider, a status or the kind of date is not known.
        WindowError: The window ends before it begins.
        IdError, IdFileError, FileReadError: Ids cannot be read.
    """
    now = now or settings.now()
    if selection is not None:
        if any(chosen.values()):
            raise TwoSelectionsError
        return _within_window(settings, selection, now=now)
    from recon.sources.interface import Selection

    field = chosen.get("date_field")
    check_known("date", [field] if field else [], known=get_args(DateField))
    choice = Selection(
        providers=providers_of(settings, chosen.get("providers", ())),
        statuses=statuses_of(chosen.get("statuses", ())),
        ids=read_ids(chosen.get("ids", ()), chosen.get("id_file")),
        open_only=chosen.get("open_only", False),
    )
    return settings.selection(
        from_at=resolve_moment(chosen.get("from_at"), now=now),
        to_at=resolve_moment(chosen.get("to_at"), now=now),
        date_field=field,
        choice=choice,
        now=now,
    )


def _within_window(settings: Settings, selection: Selection, *, now: datetime) -> Selection:
    """A selection with its words checked, its dates kept, and the configured window where it has none."""
    check_known("date", [selection.date_field], known=get_args(DateField))
    dated = selection.from_at is not None or selection.to_at is not None or selection.date_field != "created"
    return settings.selection(
        from_at=selection.from_at,
        to_at=selection.to_at,
        date_field=selection.date_field if dated else None,
        choice=replace(
            selection,
            providers=providers_of(settings, selection.providers),
            statuses=statuses_of(selection.statuses),
        ),
        now=now,
    )


def resolve_moment(value: Moment | None, *, now: datetime) -> datetime | None:
    """A time as it is, an age as the time that long before now."""
    return now - value if isinstance(value, timedelta) else value


def parse_amounts(given: Iterable[str] | Mapping[str, str]) -> dict[str, str]:
    """``USDC=100.5`` as symbol and amount text; amounts by symbol are taken as well.

    Raises:
        AmountOptionError: One is not of that form.
    """
    texts = [f"{symbol}={amount}" for symbol, amount in given.items()] if isinstance(given, Mapping) else given
    amounts = {}
    for text in texts:
        found = _TOKEN_AMOUNT.match(text)
        if found is None:
            raise AmountOptionError(text=text)
        amounts[found[1]] = found[2]
    return amounts


def read_ids(ids: Iterable[str], id_file: Place | None) -> tuple[str, ...]:
    """Payment ids of the options and of a file, each once, in the order given.

    Raises:
        IdError: An id of the command line cannot be read.
        IdFileError: A line of the file cannot.
    """
    found = {_payment_id(text): None for text in ids}
    if id_file is not None:
        found |= dict.fromkeys(_ids_of(Path(id_file)))
    return tuple(found)


def _ids_of(path: Path) -> Iterable[str]:
    lines = lines_of(str(path), lambda: path.read_text(encoding="utf-8-sig"))
    if len(lines) > ID_LINES_MAX:
        raise IdFileError(path=path.name, line=ID_LINES_MAX + 1, why=f"more than {ID_LINES_MAX} lines")
    for number, line in enumerate(lines, start=1):
        if line.strip() and not line.lstrip().startswith("#"):
            try:
                yield _payment_id(line)
            except IdError as error:
                raise IdFileError(path=path.name, line=number, why=str(error).rstrip(".")) from error


def lines_of(name: str, read: Callable[[], str]) -> list[str]:
    """The lines of a file or of standard input, as a person named it. Raises FileReadError when it cannot be read."""
    try:
        return read().splitlines()
    except OSError as error:
        raise FileReadError(path=name, why=error.strerror or "unknown reason") from error
    except UnicodeDecodeError as error:
        raise FileReadError(path=name, why="it is not UTF-8 text") from error


def _payment_id(text: str) -> str:
    from recon.core.ids import parse_payment_id, payment_id_text

    text = text.strip()
    quoted = text[:1] in ('"', "{")
    if not text or len(text) > ID_LENGTH_MAX or not text.isprintable() or (not quoted and re.search(r"[\s,;]", text)):
        raise IdError(f"{text[:60]!r} is no payment id: 24 hex digits, or the stored text without spaces.")
    return payment_id_text(parse_payment_id(text.lower() if _HEX_ID.match(text) else text))
