"""Which rows of a plan ``select`` and ``ack`` mean: their options, every word checked, as a :class:`Pick`."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypedDict

from recon.api.choosing import (
    FileReadError,
    UnknownFilterError,
    check_known,
    check_tokens,
    check_verdicts,
    lines_of,
    parse_amounts,
)
from recon.core.errors import UsageError
from recon.core.model import Tier

if TYPE_CHECKING:
    from recon.api.common import Place
    from recon.api.runs import Amounts
    from recon.core.model import Plan
    from recon.core.registry import Registry
    from recon.plans.picking import Pick

STDIN: Final = "-"
WORDS_MAX: Final = 1_000_000


class Kinds(TypedDict, total=False):
    """The options that pick rows of a plan; all that are given must hold, and ``payments`` are wanted besides.

    ``rails`` are providers and ``chains`` ids or names, in any spelling that is known; ``min_value`` and ``max_value``
    are whole tokens by symbol; ``older_than`` and ``younger_than`` are ages. ``list_file`` holds one payment a line,
    ``-`` is standard input. ``but`` names payments that are left out whatever else holds.
    """

    verdicts: Iterable[str]
    tiers: Iterable[str]
    rails: Iterable[str]
    chains: Iterable[str | int]
    tokens: Iterable[str]
    min_value: Amounts
    max_value: Amounts
    older_than: timedelta | None
    younger_than: timedelta | None
    payments: Iterable[str]
    list_file: Place | None
    but: Iterable[str]


class NoAgeError(UsageError):
    """A time stands where an age is wanted."""

    def __init__(self, *, option: str) -> None:
        super().__init__(f"{option} wants an age, for example 24h or 3d.")


def pick_of(given: Kinds, *, plan: Plan, registry: Registry) -> Pick:
    """The rows that options mean.

    Raises:
        UnknownFilterError: A word is no verdict, tier, rail, chain or token that is known.
        AmountOptionError, NoAgeError: An amount or an age is none.
        FileReadError: The list cannot be read.
    """
    from recon.plans.picking import Pick

    verdicts, tiers = frozenset(given.get("verdicts", ())), frozenset(given.get("tiers", ()))
    check_verdicts(sorted(verdicts))
    check_known("tier", sorted(tiers), known=[tier.value for tier in Tier])
    least = _whole_tokens(given.get("min_value", ()), plan=plan, registry=registry)
    most = _whole_tokens(given.get("max_value", ()), plan=plan, registry=registry)
    tokens = [token.upper() for token in given.get("tokens", ())]
    check_tokens(tokens, plan=plan, registry=registry)
    return Pick(
        verdicts=verdicts,
        tiers=tiers,
        providers=frozenset(_rail(word, plan, registry) for word in given.get("rails", ())),
        chains=frozenset(_chain(word, plan, registry) for word in given.get("chains", ())),
        tokens=frozenset(tokens),
        least=least,
        most=most,
        older_s=_seconds("--older-than", given.get("older_than")),
        younger_s=_seconds("--younger-than", given.get("younger_than")),
        payments=(*given.get("payments", ()), *_listed(given.get("list_file"))),
        but=tuple(given.get("but", ())),
    )


def _whole_tokens(amounts: Amounts, *, plan: Plan, registry: Registry) -> dict[str, Decimal]:
    found = parse_amounts(amounts)
    check_tokens(found, plan=plan, registry=registry)
    return {symbol.upper(): Decimal(amount) for symbol, amount in found.items()}


def _rail(word: str, plan: Plan, registry: Registry) -> str:
    name = registry.provider(word)
    known = {*registry.provider_aliases.values(), *(row.provider for row in plan.findings if row.provider)}
    if name not in known:
        raise UnknownFilterError(what="rail", word=word, known=sorted(known))
    return str(name)


def _chain(word: str | int, plan: Plan, registry: Registry) -> int:
    found = registry.chain_id(word)
    shown = sorted({row.chain_id for row in plan.findings if row.chain_id is not None})
    if found is None or (found not in shown and found not in registry.chains):
        raise UnknownFilterError(what="chain", word=str(word), known=map(str, shown))
    return found


def _seconds(option: str, age: Any) -> int | None:
    if age is None:
        return None
    if not isinstance(age, timedelta):
        raise NoAgeError(option=option)
    return int(age.total_seconds())


def _listed(place: Place | None) -> list[str]:
    """The words of a list, one a line; what follows a # and empty lines are left out."""
    if place is None:
        return []
    read = sys.stdin.read if str(place) == STDIN else lambda: Path(place).read_text(encoding="utf-8-sig")
    lines = [line.partition("#")[0].strip() for line in lines_of(str(place), read)]
    words = [line for line in lines if line]
    if len(words) > WORDS_MAX:
        raise FileReadError(path=str(place), why=f"it names more than {WORDS_MAX:,} payments")
    return words
