"""What a decision can be about: a plan of corrections, or of flags."""

from __future__ import annotations

from typing import Protocol

from recon.core.model import Target


class Decidable(Protocol):
    """A reviewed plan of any kind, as far as decisions name it."""

    @property
    def kind(self) -> str:
        """What it would do, as a word."""

    @property
    def digest(self) -> str:
        """The name of its bytes."""

    @property
    def effects_digest(self) -> str:
        """The name of what it would do."""

    @property
    def target(self) -> Target:
        """Where it may be applied."""

    @property
    def parent(self) -> str | None:
        """The digest of the plan that it is a part of."""
