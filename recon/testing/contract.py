"""How a check says that a promise is broken. It needs no test runner."""

from __future__ import annotations


class ContractError(AssertionError):
    """A provider or a store breaks a promise; the sentence says which, and what was found."""


def require(is_kept: bool, broken: str) -> None:
    """Raise unless a promise is kept; unlike ``assert`` it stays when Python runs optimised.

    Raises:
        ContractError: It is not kept.
    """
    if not is_kept:
        raise ContractError(broken)
