"""Who stands behind a decision, as a page says it: a principal whose signature was checked, or a claimed name."""

from __future__ import annotations

from collections.abc import Iterable

from recon.core.people import Person
from recon.reports.model import Fact

CLAIMS = "Names are claims: nobody checked them."
OPERATORS = "Who applied, settled or switched is a name as it was given: a claim that nobody checked."


def claim(person: Person) -> str:
    """What is said after a name that nobody checked, as a sentence of its own."""
    return "" if person.signer is not None else f" {CLAIMS}"


def behind(label: str, people: Iterable[Person]) -> tuple[Fact, ...]:
    """Each person who stands behind something, and what the names are worth."""
    held = tuple(people)
    facts = [Fact("behind", label, f"{person}{', signed' if person.signer else ' (a claim)'}") for person in held]
    if any(person.signer is None for person in held):
        facts.append(Fact("names", "names", CLAIMS))
    return tuple(facts)
