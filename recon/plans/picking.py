"""Which rows of a plan a person means: payments as they are written, or what the plan says of them.

Every word is held against the plan: a word that names nothing would choose nothing, and nothing looks harmless. A
worked example, six late payments of a plan, all of tier review::

    Pick(verdicts={"late_payment"})                     none: such changes are kept only if they are asked for as such
    Pick(verdicts={"late_payment"}, tiers={"review"})   all six
    Pick(payments=("665f1c2e",))                        the one whose id begins like this
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from difflib import get_close_matches
from typing import Final

from recon.core.errors import UsageError
from recon.core.ids import parse_payment_id, payment_id_text
from recon.core.model import Change, Finding, LeftAlone, Plan, Tier
from recon.core.money import whole_tokens
from recon.core.text import count_text
from recon.plans.file import seal_plan

PREFIX_MIN: Final = 6
"""From so many characters on the beginning of an id names it, where no other begins like it."""

_PLAIN: Final = re.compile(r"[!-~]+(?: [!-~]+)*")
"""Signs and single spaces between them; what begins a comment in a list is looked for besides."""


class NoSuchPaymentError(UsageError):
    """A word names no payment of the plan, or several."""

    def __init__(self, *, word: str, plan: str, near: Sequence[str], is_many: bool = False) -> None:
        self.is_many = is_many
        shown = ", ".join(near)
        why = f"names several payments of {plan}: {shown}" if is_many else f"names no payment of {plan}"
        hint = f"; the nearest is {shown}" if near and not is_many else ""
        super().__init__(f"{word[:80]!r} {why}{hint}; nothing was written.")


class UnchangedPaymentError(UsageError):
    """A payment is named of which the plan changes nothing."""

    def __init__(self, *, payment: str, why: str) -> None:
        because = f": {why}" if why else ""
        super().__init__(f"The plan changes nothing of payment {payment[:80]}{because}. No file was written.")


class EmptySelectionError(UsageError):
    """A selection keeps no change of its plan."""

    def __init__(self, *, why: str) -> None:
        super().__init__(f'Nothing is kept: {why}. No file was written. "recon show" lists the changes.')


@dataclass(frozen=True, slots=True)
class Pick:
    """What is wanted; everything that is given must hold, and payments that are named are wanted besides.

    Args:
        chains: Chain ids.
        tokens: Symbols, upper case.
        least, most: Whole tokens by symbol, upper case; a token that is not named is not held to any.
        older_s, younger_s: Ages in seconds.
        payments: Ids as a person writes them; see :func:`named_payment`.
        but: The same, for those that are not wanted whatever else holds.
    """

    verdicts: frozenset[str] = frozenset()
    tiers: frozenset[str] = frozenset()
    providers: frozenset[str] = frozenset()
    chains: frozenset[int] = frozenset()
    tokens: frozenset[str] = frozenset()
    least: Mapping[str, Decimal] = field(default_factory=dict)
    most: Mapping[str, Decimal] = field(default_factory=dict)
    older_s: int | None = None
    younger_s: int | None = None
    payments: tuple[str, ...] = ()
    but: tuple[str, ...] = ()

    @property
    def is_by_kind(self) -> bool:
        """Whether rows are wanted for what they are, and not only by name."""
        words = (self.verdicts, self.tiers, self.providers, self.chains, self.tokens, self.least)
        return any(words) or self.older_s is not None or self.younger_s is not None

    def fits(self, row: Finding | Change, *, provider: str | None) -> bool:
        """Whether a row is of the kind that is wanted, and not worth more than is allowed."""
        checks: tuple[tuple[Collection[object], object], ...] = (
            (self.verdicts, row.verdict), (self.tiers, row.tier), (self.providers, provider),
            (self.chains, row.chain_id), (self.tokens, (row.symbol or "").upper()),
        )  # fmt: skip
        if any(wanted and value not in wanted for wanted, value in checks):
            return False
        return self._is_of_age(row.age_s) and self.is_worth(row)

    def is_worth(self, row: Finding | Change) -> bool:
        """Whether a row's value lies within the amounts that are given for its token; of no others, where some are."""
        symbol, value = (row.symbol or "").upper(), whole_tokens(row.value_units, decimals=row.decimals)
        if self.least and symbol not in self.least:
            return False
        return self.least.get(symbol, value) <= value <= self.most.get(symbol, value)

    def _is_of_age(self, age_s: int | None) -> bool:
        if self.older_s is None and self.younger_s is None:
            return True
        return age_s is not None and (self.older_s or 0) <= age_s <= (self.younger_s or age_s)


def named_payment(word: str, ids: Collection[str], *, plan: str = "the plan") -> str:
    """The id that a word names: as it stands, without the quotes that a shell takes away, or by how it begins.

    >>> named_payment("665f1c2e9b1d8a0012345678", {'"665f1c2e9b1d8a0012345678"'})
    '"665f1c2e9b1d8a0012345678"'

    Raises:
        NoSuchPaymentError: None or several.
    """
    text = word.strip()
    for spelled in (text, text.lower(), _canonical(text), f'"{text}"'):
        if spelled in ids:
            return spelled
    bare = text.strip('"')
    begins = sorted(each for each in ids if each.strip('"').startswith(bare)) if len(bare) >= PREFIX_MIN else []
    if len(begins) == 1:
        return begins[0]
    near = begins[:3] or get_close_matches(text, ids, n=1, cutoff=0.8)
    raise NoSuchPaymentError(word=word, plan=plan, near=near, is_many=len(begins) > 1)


def written_word(payment_id: str) -> str:
    """An id as one word of plain ASCII that a list or a command line can hold and :func:`named_payment` reads back.

    In a list ``#`` begins a comment, spaces at the ends and line breaks are lost, and marks that turn the line around
    are not seen in a terminal: an id with any of these is written in JSON quotes, with escapes.

    >>> written_word("665f1c2e9b1d8a0012345678"), written_word("order #7")
    ('665f1c2e9b1d8a0012345678', '"order \\u00237"')
    """
    is_json = payment_id[:1] in ('"', "{")
    if not is_json and "#" not in payment_id and _PLAIN.fullmatch(payment_id):
        return payment_id
    text = payment_id if is_json else json.dumps(payment_id)
    escaped = "".join(sign if " " <= sign <= "~" else json.dumps(sign)[1:-1] for sign in text)
    return escaped.replace("#", "\\u0023")


def _canonical(text: str) -> str:
    try:
        return payment_id_text(parse_payment_id(text))
    except UsageError:
        return text


def picked_changes(plan: Plan, pick: Pick) -> tuple[list[Change], set[str]]:
    """The changes that are wanted, and the payments that count as picked.

    A change of tier review is wanted only if its payment is named, or the tier is.

    Raises:
        UnchangedPaymentError: A word names a payment that the plan leaves alone.
        NoSuchPaymentError: A word names no payment of the plan.
    """
    ids = {change.payment_id for change in plan.changes}
    named = {_named_change(word, ids, plan) for word in pick.payments}
    wanted = _wanted(plan, pick, named)
    kept = [change for change in plan.changes if change.id in wanted]
    review = {change.payment_id for change in kept if change.tier is Tier.REVIEW}
    return kept, {change.payment_id for change in kept} & (named | review)


def _named_change(word: str, ids: Collection[str], plan: Plan) -> str:
    try:
        return named_payment(word, ids, plan=_of(plan))
    except NoSuchPaymentError as error:
        unchanged = {each.payment_id: "" for each in plan.findings}
        unchanged |= {each.payment_id: each.reason for each in plan.left_alone}
        if error.is_many:
            raise
        try:
            name = named_payment(word, unchanged.keys() - ids)
        except NoSuchPaymentError:
            raise error from None
    raise UnchangedPaymentError(payment=name, why=unchanged[name])


def _wanted(plan: Plan, pick: Pick, named: Collection[str]) -> set[str]:
    """The ids of the changes that are wanted by name or by kind, and not left out."""
    wanted = [change for change in plan.changes if change.payment_id in named and pick.is_worth(change)]
    if pick.is_by_kind or not named:
        wanted += [change for change in _of_kind(plan, plan.changes, pick) if _may_go_along(change, pick)]
    out = _left_out(plan, pick)
    return {change.id for change in wanted if change.payment_id not in out}


def _may_go_along(change: Change, pick: Pick) -> bool:
    """Whether a change that nobody named may be kept for its kind."""
    return change.tier is not Tier.REVIEW or Tier.REVIEW in pick.tiers


def select_changes(plan: Plan, pick: Pick) -> Plan:
    """Derive a smaller plan that names its parent; what is dropped is listed as left alone.

    Changes of tier auto are kept when they are of the kind that is wanted (all, when nothing is), one of tier review
    only if its payment is named or the tier is; those count as picked.

    Raises:
        EmptySelectionError: Nothing is left.
        UnchangedPaymentError, NoSuchPaymentError: A word names no change of the plan.
    """
    kept, picked = picked_changes(plan, pick)
    if not kept:
        raise EmptySelectionError(why=why_none(plan, pick))
    kept_ids = {change.id for change in kept}
    dropped = [
        LeftAlone(change.payment_id, change.verdict, "not selected from the parent plan")
        for change in plan.changes
        if change.id not in kept_ids
    ]
    return seal_plan(
        replace(
            plan,
            changes=tuple(kept),
            left_alone=tuple(sorted((*plan.left_alone, *dropped), key=lambda item: item.payment_id)),
            parent=plan.digest,
            picked=tuple(sorted({*plan.picked, *picked} & {change.payment_id for change in kept})),
        )
    )


def picked_breaks(breaks: Iterable[Finding], pick: Pick, *, plan: str = "the plan") -> list[Finding]:
    """The breaks that are wanted: those that are named, and those of the kind that is given.

    Raises:
        NoSuchPaymentError: A word names no break.
    """
    rows = list(breaks)
    ids = {row.payment_id for row in rows}
    named = {named_payment(word, ids, plan=plan) for word in pick.payments}
    out = {named_payment(word, ids, plan=plan) for word in pick.but}
    return [
        row
        for row in rows
        if row.payment_id not in out
        and (row.payment_id in named or (pick.is_by_kind and pick.fits(row, provider=row.provider)))
    ]


def why_none(plan: Plan, pick: Pick) -> str:
    """Why no change is left, in one clause: what there is that nearly fits."""
    fitting = list(_of_kind(plan, plan.changes, pick))
    review = [change for change in fitting if change.tier is Tier.REVIEW]
    if review and not pick.payments:
        return f'{len(review)} fit and are of tier review, which is kept only with "--tier review" or by payment'
    if fitting:
        return f"{count_text(len(fitting), 'change fits and is', many='changes fit and are')} left out by --except"
    shown = Counter(str(finding.verdict) for finding in plan.findings if pick.fits(finding, provider=finding.provider))
    if shown and pick.is_by_kind:
        told = ", ".join(f"{count} {verdict}" for verdict, count in shown.most_common(3))
        return f"the plan shows {told}, and proposes no change for them"
    return "no change of the plan fits"


def _of(plan: Plan) -> str:
    return f"plan {plan.digest[:12]}"


def _left_out(plan: Plan, pick: Pick) -> set[str]:
    ids = {row.payment_id for row in plan.findings} | {row.payment_id for row in plan.changes}
    return {named_payment(word, ids, plan=_of(plan)) for word in pick.but}


def _of_kind(plan: Plan, changes: Iterable[Change], pick: Pick) -> Iterator[Change]:
    """Those of the kind; the provider of a change stands with its finding."""
    providers = {finding.payment_id: finding.provider for finding in plan.findings} if pick.providers else {}
    return (change for change in changes if pick.fits(change, provider=providers.get(change.payment_id)))
