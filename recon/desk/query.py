"""The line that says which breaks are shown: ``verdict:late_payment rail:shkeeper amount>100 age>3d text``.

Each word narrows what is shown; several values after one colon, set apart by commas, widen it again; ``-`` before a
word turns it round. A word without a colon is looked for in everything the plan says of a payment. A key or value that
nothing known is called is refused with the nearest name, because a filter that shows nothing looks like a clean desk.

>>> query = parse_query("tier:auto,review amount>=100 -rail:acme", known=Known(rails=("acme",)))
>>> [(term.key, term.values, term.negated) for term in query.terms][2]
('rail', ('acme',), True)
"""

from __future__ import annotations

import difflib
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from recon.core.errors import UsageError
from recon.core.model import Plan, Severity, Tier, Verdict
from recon.core.registry import Registry
from recon.desk.rows import STANDING_TEXT, BreakStanding, DeskRow
from recon.reports.text import display_text

QUERY_MAX: Final = 2000
KEYS: Final = ("verdict", "tier", "rail", "chain", "token", "severity", "standing", "mark", "change", "text")
MEASURES: Final = ("amount", "age")
MARK_WORDS: Final = ("apply", "ack", "inspect", "none", "any")
STANDINGS: Final = {standing.name.lower(): standing for standing in BreakStanding}
_PIECE: Final = re.compile(r'(?:[^\s"]|"[^"]*(?:"|\Z))+')
_MEASURE: Final = re.compile(r"(amount|age):?(>=|<=|>|<|=)(.+)\Z", re.IGNORECASE)
_MEASURE_KEY: Final = re.compile(r"([A-Za-z_]+):?(>=|<=|>|<|=)")
_KEYED: Final = re.compile(r"([A-Za-z_]+):(.*)\Z", re.DOTALL)
_AMOUNT: Final = re.compile(r"[0-9]{1,30}(?:\.[0-9]{1,30})?\Z")
_AGE: Final = re.compile(r"([0-9]{1,6})(s|min|h|d)\Z")
_AGE_S: Final = {"s": 1, "min": 60, "h": 3600, "d": 86400}
_COMPARE: Final[dict[str, Callable[[Any, Any], bool]]] = {
    ">": operator.gt, "<": operator.lt, ">=": operator.ge, "<=": operator.le, "=": operator.eq,
}  # fmt: skip


class UnknownWordError(UsageError):
    """A word of a filter names nothing known."""

    def __init__(self, *, what: str, word: str, known: Iterable[str]) -> None:
        names = tuple(known)
        near = nearest(word, names)
        listed = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
        hint = f"did you mean {near}?" if near else f"known are {listed}." if names else "none is known here."
        super().__init__(f"{display_text(word, length_max=60)!r} is no {what}; {hint}")


class NoMeasureError(UsageError):
    """What an amount or an age is held against cannot be read."""

    def __init__(self, *, key: str, word: str) -> None:
        example = "amount>100 or amount<=0.5" if key == "amount" else "age>3d, age<90min or age>=12h"
        super().__init__(f"{display_text(word, length_max=60)!r} is no {key}; write for example {example}.")


@dataclass(frozen=True, slots=True)
class Known:
    """The names that a filter may use besides those of verdicts and tiers.

    Args:
        chains: Every word for a chain, and the chain that it means.
    """

    rails: tuple[str, ...] = ()
    tokens: tuple[str, ...] = ()
    chains: Mapping[str, int] = field(default_factory=dict)


def known_names(plan: Plan, rows: Iterable[DeskRow], *, registry: Registry) -> Known:
    """The names that a plan and the registry know."""
    held = tuple(rows)
    rails = {row.rail for row in held if row.rail} | set(registry.provider_aliases.values())
    tokens = {row.symbol for row in held if row.symbol} | {token.symbol for token in registry.tokens.values()}
    chains = dict(registry.chain_aliases)
    chains |= {str(chain): chain for chain in registry.chains}
    chains |= {str(chain): chain for chain in plan.target.chain_ids}
    chains |= {str(row.chain_id): row.chain_id for row in held if row.chain_id is not None}
    return Known(rails=tuple(sorted(rails)), tokens=tuple(sorted(tokens)), chains=chains)


@dataclass(frozen=True, slots=True)
class Term:
    """One word of a filter: a key and the values it may have, or a measure with ``compare`` and a ``bound``."""

    key: str
    values: tuple[str, ...]
    negated: bool
    spelling: str
    compare: str = ""
    bound: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class Query:
    """A filter: all of its terms must hold."""

    terms: tuple[Term, ...] = ()
    chains: Mapping[str, int] = field(default_factory=dict)

    def without(self, key: str) -> Query:
        """The same filter with nothing said of a key."""
        return Query(tuple(term for term in self.terms if term.key != key), self.chains)

    @property
    def text(self) -> str:
        """The filter as a person writes it."""
        return " ".join(term.spelling for term in self.terms)

    def shows(self, row: DeskRow, *, mark: str = "") -> bool:
        """Whether a row is shown; ``mark`` is what it is marked for."""
        return all(_holds(term, row, mark, self.chains) is not term.negated for term in self.terms)


def parse_query(line: str, *, known: Known) -> Query:
    """Read a filter line.

    Raises:
        UnknownWordError: A key or a value names nothing known.
        NoMeasureError: An amount or an age cannot be read.
    """
    terms = tuple(_term(piece, known) for piece in _PIECE.findall(line[:QUERY_MAX]))
    return Query(terms, known.chains)


def toggled(line: str, key: str, *, value: str) -> str:
    """A filter line with one value of a key put in, or taken out if it is there already."""
    pieces, found = _PIECE.findall(line[:QUERY_MAX]), False
    kept: list[str] = []
    for piece in pieces:
        keyed = _KEYED.match(piece)
        if keyed is None or keyed[1].lower() != key or piece.startswith("-"):
            kept.append(piece)
            continue
        found = True
        values = _values(keyed[2])
        values = tuple(each for each in values if each != value) if value in values else (*values, value)
        if values:
            kept.append(f"{key}:{','.join(map(_spelled, values))}")
    return " ".join(kept if found else [*kept, f"{key}:{_spelled(value)}"])


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known name that a mistyped one comes nearest to; None when none is near."""
    names = {name.lower(): name for name in known}
    lower = word.lower()
    starts = [name for name in names if len(lower) >= 3 and name.startswith(lower)]
    near = starts or difflib.get_close_matches(lower, names, n=1, cutoff=0.6)
    return names[near[0]] if near else None


def _spelled(value: str) -> str:
    return f'"{value}"' if re.search(r"[\s,]", value) else value


def _values(text: str) -> tuple[str, ...]:
    """The values after a colon; a quotation mark keeps spaces and commas together."""
    pieces = re.findall(r'"([^"]*)"?|([^,"]+)', text)
    return tuple((quoted or plain).strip() for quoted, plain in pieces if (quoted or plain).strip())


def _term(piece: str, known: Known) -> Term:
    negated, bare = piece.startswith("-") and len(piece) > 1, piece
    if negated:
        bare = piece[1:]
    measure = _MEASURE.match(bare)
    if measure is not None:
        key = measure[1].lower()
        bound = _bound(key, measure[3])
        return Term(key, (), negated, piece, measure[2], bound)
    if bare.startswith('"'):
        return Term("text", (bare.strip('"').lower(),), negated, piece)
    keyed = _KEYED.match(bare)
    if keyed is not None:
        return _keyed(keyed[1].lower(), keyed[2], negated=negated, known=known, piece=piece)
    wrong = _MEASURE_KEY.match(bare)
    if wrong is not None:
        raise UnknownWordError(what="measure", word=wrong[1], known=MEASURES)
    return Term("text", (bare.replace('"', "").lower(),), negated, piece)


def _keyed(key: str, text: str, *, negated: bool, known: Known, piece: str) -> Term:
    if key in MEASURES:
        raise NoMeasureError(key=key, word=text)
    if key not in KEYS:
        raise UnknownWordError(what="word to filter by", word=key, known=(*KEYS, *MEASURES))
    values = tuple(value if key == "text" else _known_value(key, value, known) for value in _values(text))
    if not values:
        raise UnknownWordError(what=_WHAT.get(key, key), word=text, known=_names_of(key, known))
    return Term(key, tuple(value.lower() for value in values) if key == "text" else values, negated, piece)


_WHAT: Final = {"change": "answer", "text": "text", "standing": "standing", "mark": "mark"}


def _names_of(key: str, known: Known) -> tuple[str, ...]:
    return {
        "verdict": tuple(verdict.value for verdict in Verdict),
        "tier": tuple(tier.value for tier in Tier),
        "severity": tuple(severity.value for severity in Severity),
        "standing": tuple(STANDINGS),
        "mark": MARK_WORDS,
        "change": ("yes", "no"),
        "rail": known.rails,
        "token": known.tokens,
        "chain": tuple(known.chains),
    }.get(key, ())


def _known_value(key: str, value: str, known: Known) -> str:
    """The value as the rows spell it."""
    names = _names_of(key, known)
    name, _, chain = value.partition(":") if key == "rail" else (value, "", "")
    if chain and chain not in known.chains:
        raise UnknownWordError(what="chain", word=chain, known=known.chains)
    for each in names:
        if each.lower() == name.lower():
            return f"{each}:{chain}" if chain else each
    raise UnknownWordError(what=_WHAT.get(key, key), word=value, known=names)


def _bound(key: str, text: str) -> Decimal:
    if key == "amount":
        if not _AMOUNT.match(text):
            raise NoMeasureError(key=key, word=text)
        return Decimal(text)
    found = _AGE.match(text)
    if found is None:
        raise NoMeasureError(key=key, word=text)
    return Decimal(int(found[1]) * _AGE_S[found[2]])


def _holds(term: Term, row: DeskRow, mark: str, chains: Mapping[str, int]) -> bool:
    if term.compare:
        measured = row.amount if term.key == "amount" else row.age_s
        return measured is not None and _COMPARE[term.compare](measured, term.bound)
    if term.key == "text":
        words = words_of(row)
        return any(value in words for value in term.values)
    if term.key == "mark":
        return any((value == "any" and bool(mark)) or value == (mark or "none") for value in term.values)
    return any(_is(term.key, value, row, chains) for value in term.values)


def _is(key: str, value: str, row: DeskRow, chains: Mapping[str, int]) -> bool:
    if key == "rail":
        name, _, chain = value.partition(":")
        return row.rail == name and (not chain or row.chain_id == chains.get(chain))
    if key == "chain":
        return row.chain_id == chains.get(value)
    if key == "token":
        return row.symbol == value
    if key == "change":
        return (row.change is not None) is (value == "yes")
    if key == "standing":
        return row.standing is STANDINGS[value]
    return bool(getattr(row, key) == value)


def words_of(row: DeskRow) -> str:
    """Everything that the plan says of a row, in lower case, for a search by text."""
    said: list[str] = [row.payment_id, row.verdict.value, row.said.reason, row.left, *row.said.evidence]
    said.append(STANDING_TEXT[row.standing])
    if row.finding is not None:
        said += [finding.value for finding in row.finding.findings]
        said += [str(side) for view in row.finding.fields for side in (view.local, view.provider, view.chain) if side]
    if row.change is not None:
        said += [row.change.id, *row.change.side_effects, *(item.path for item in row.change.sets)]
    return "\n".join(said).lower()


FACETS: Final = ("verdict", "tier", "rail", "chain", "token", "severity", "standing", "mark")
_FACET_VALUES: Final[dict[str, Callable[[DeskRow], str]]] = {
    "verdict": lambda row: row.verdict.value,
    "tier": lambda row: row.tier.value,
    "rail": lambda row: row.rail,
    "chain": lambda row: "" if row.chain_id is None else str(row.chain_id),
    "token": lambda row: row.symbol,
    "severity": lambda row: row.severity.value,
    "standing": lambda row: row.standing.name.lower(),
}


def facet_counts(
    rows: Iterable[DeskRow], query: Query, *, marks: Mapping[str, str]
) -> dict[str, tuple[tuple[str, int], ...]]:
    """For each facet its values and how many rows each would show beside the rest of the filter, most first."""
    held, counted = tuple(rows), {}
    for facet in FACETS:
        rest, counts = query.without(facet), dict[str, int]()
        for row in held:
            mark = marks.get(row.payment_id, "")
            if rest.shows(row, mark=mark):
                value = (mark or "none") if facet == "mark" else _FACET_VALUES[facet](row)
                if value:
                    counts[value] = counts.get(value, 0) + 1
        counted[facet] = tuple(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))
    return counted
