"""How a check says that a promise is broken. It needs no test runner."""

from __future__ import annotations


class ContractError(AssertionError):
    """A provider or a store breaks a promise; the sentence says which, and what was found."""


class UnheldDocumentError(Exception):
    """Raised by a test's opener for documents that its store has no room for, such as a list in a column of text.

    What a store cannot hold cannot move there either, so that trial is left out.
    """


def require(is_kept: bool, broken: str) -> None:
    """Raise unless a promise is kept; unlike ``assert`` it stays when Python runs optimised.

    Raises:
        ContractError: It is not kept.
    """
    if not is_kept:
        raise ContractError(broken)
