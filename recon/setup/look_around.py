"""What a new configuration can be told by looking: where the payments are, and the newest ones' chains and rails.

Only names and a few documents are read, and nothing of a document is kept but its chain and its provider.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from recon.core.errors import ReconError
from recon.setup.field_check import SAMPLE
from recon.setup.file import CONFIG_NAME, SQL_URL_VARIABLE, URI_VARIABLE, parse_settings
from recon.setup.open_sources import Opening
from recon.setup.settings import Settings
from recon.setup.stores.installed import stores
from recon.setup.stores.store import FoundCollection
from recon.sources.payments.documents import DocumentReader, plain_document
from recon.sources.providers.installed import providers

Choose = Callable[[str, Sequence[str]], Sequence[str]]
"""Asked a question with the answers that there are, the likeliest first; gives those that are taken."""
CHAINS_MAX: Final = 50


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What was found out and taken.

    Args:
        place: The collection of payments.
        chain_ids: The chains to configure.
        rails: The providers in scope.
        sampled: How many of the newest payments were looked at.
    """

    place: FoundCollection
    chain_ids: tuple[int, ...]
    rails: tuple[str, ...]
    sampled: int


def find_surroundings(*, choose: Choose, say: Callable[[str], None]) -> Surroundings | None:
    """Look for the payments and at the newest of them, and ask what of it is taken; None where none are found.

    Args:
        say: Told what could not be looked at.
    """
    try:
        place = _place(choose)
        if place is None:
            names = f"{URI_VARIABLE} or {SQL_URL_VARIABLE}"
            say(f"No collection or table of payments was found; {names} names the database that is looked at.")
            return None
        chains, rails, sampled = _seen(place)
    except ReconError as error:
        say(f"The database was not looked at: {error}")
        return None
    say(f"{sampled} of the newest payments of {place.database}.{place.collection} were looked at.")
    known = {str(chain): chain for chain in chains}
    chosen = choose("The chains in scope", list(known)) if known else ()
    wanted = choose("The rails in scope", rails) if rails else ()
    return Surroundings(place, tuple(known[each] for each in chosen if each in known), tuple(wanted), sampled)


def _place(choose: Choose) -> FoundCollection | None:
    """The collection of payments that is taken, of those that the stores find; None where they find none."""
    looks = [store.look for store in stores().values() if store.look is not None]
    named = {f"{each.database}.{each.collection}": each for each in sorted(_all_of(looks), key=_likeliest)}
    if not named:
        return None
    taken = choose("The collection of payments", list(named))
    return named.get(taken[0]) if taken else None


def _all_of(looks: Iterable[Callable[[], Iterable[FoundCollection]]]) -> Iterator[FoundCollection]:
    for look in looks:
        yield from look()


def _likeliest(each: FoundCollection) -> tuple[bool, int, str]:
    return each.collection != "payments", -each.documents, f"{each.database}.{each.collection}"


def _seen(place: FoundCollection) -> tuple[list[int], list[str], int]:
    """The chains and rails of the newest payments, the most frequent first, and how many were read."""
    values = parse_settings(place.as_settings(), name=CONFIG_NAME)
    settings = Settings(values=values, source=CONFIG_NAME, home=Path(), secrets={})
    opening = Opening(settings)
    store = opening.store()
    try:
        documents = store.sample(SAMPLE)  # type: ignore[attr-defined]
    finally:
        if (close := getattr(store, "close", None)) is not None:
            close()
    reader = DocumentReader(fields=opening.fields, registry=settings.registry(), policy=settings.policy())
    rows = [reader.row(plain_document(document)) for document in documents]
    chains = Counter(row["chain_id"] for row in rows if row["chain_id"] is not None)
    rails = Counter(row["provider"] for row in rows if row["provider"] in providers())
    return [chain for chain, _ in chains.most_common(CHAINS_MAX)], [rail for rail, _ in rails.most_common()], len(rows)
