"""Everything that can stop a run, one class per failure.

Problems in the *data* are findings, not exceptions. An exception stops the run, and its class says how the
command line leaves: only ``recon.cli`` turns these classes into exit codes.
"""

from __future__ import annotations


class ReconError(Exception):
    """Base of every error this package raises on purpose; anything else that escapes is a bug."""


class UsageError(ReconError):
    """The caller asked for something impossible (exit code 2)."""


class RefusedError(ReconError):
    """Going on would be unsafe; nothing was changed by the step that raised it (exit code 3)."""


class SourceError(ReconError):
    """A source is unreachable or its answers cannot be used at all (exit code 4)."""


class AwayError(SourceError):
    """Nothing answers at the address of a source, so to ask it again at once is to wait in vain."""


class DatabaseAwayError(AwayError):
    """No server of the database answers."""


class StoppedError(ReconError):
    """A run ended midway; the journal knows where, and resuming is safe (exit code 5)."""


class NothingLeftError(ReconError):
    """What was asked for is so already, so there is nothing to do (exit code 0)."""


class MoneyError(ReconError):
    """A text is not an exact amount of the asset it claims to be."""


class IdError(UsageError):
    """A text is not the kind of identifier it was given as."""


class ConfigError(UsageError):
    """A setting is missing, unknown or wrong; the message names it and the way out."""


class WrongSourceError(RefusedError):
    """A source answers, but it is not the one that was meant (chain id, database, account)."""

    def __init__(self, *, source: str, what: str, expected: str, found: str, remedy: str) -> None:
        super().__init__(f"{source}: {what} should be {expected} and is {found}; nothing was read from it. {remedy}")
