"""What can be wrong with a flag, its file, its plan or the rail it leads to; one class per failure.

Every class here is raised before the step that would change anything, so each sentence may say that nothing was
changed; the journal's own failures say how far the run came.
"""

from __future__ import annotations

from collections.abc import Iterable

from recon.core.errors import NothingLeftError, RefusedError, StoppedError, UsageError


class FlagFileError(RefusedError):
    """A file that holds flags cannot be read or replaced safely."""

    def __init__(self, *, path: str, why: str, remedy: str) -> None:
        super().__init__(f"{path}: {why}; the file is as it was. {remedy}")


class FlagFileMovedError(RefusedError):
    """The file is no longer the one that was read."""

    def __init__(self, *, path: str, planned: str, found: str) -> None:
        super().__init__(
            f"{path}: the file was {planned[:12]} when it was read and is {found[:12]} now, so another process "
            'changed it; nothing was written. Look at it with "recon flags status" and plan again.'
        )


class AmbiguousFlagError(RefusedError):
    """Readers of the file do not agree on what a flag says, so no change of it can be proven."""

    def __init__(self, *, path: str, flag: str, why: str) -> None:
        super().__init__(
            f"{path}: {flag} {why}, and programs that read such files do not agree on what that means; "
            f"the file is as it was. Leave one plain line {flag}=value, or name the program that your backend reads it "
            "with in [flags] reader, and run the command again."
        )


class FlagMovedError(RefusedError):
    """A flag no longer has the value that a change starts from."""

    def __init__(self, *, path: str, flag: str, planned: str | None, found: str | None) -> None:
        words = ["not there" if text is None else repr(text) for text in (planned, found)]
        super().__init__(
            f"{path}: {flag} was {words[0]} when the change was planned and is {words[1]} now; the file is as it was. "
            'Look at it with "recon flags status" and plan again.'
        )


class UnclosedQuoteError(RefusedError):
    """A quote is opened and never closed, which hides or shows every later line depending on the reader."""

    def __init__(self, *, path: str, line: int) -> None:
        super().__init__(
            f"{path}: line {line} opens a quote that is not closed, so what follows depends on the reader; "
            "the file is as it was. Close the quote and run the command again."
        )


class FlagReferencedError(RefusedError):
    """Another key takes its value from the flag and would change with it."""

    def __init__(self, *, path: str, flag: str, key: str) -> None:
        super().__init__(
            f"{path}: {key} takes its value from {flag} and would change with it; the file is as it was. "
            f"Write the value of {key} out and run the command again."
        )


class FlagValueError(UsageError):
    """A value cannot be given to a flag."""

    def __init__(self, *, flag: str, why: str, remedy: str) -> None:
        super().__init__(f"{flag} {why}; nothing was changed. {remedy}")


class ModeInProviderListError(UsageError):
    """A mode word stands where provider names belong."""

    def __init__(self, *, flag: str, word: str, meant: str) -> None:
        super().__init__(
            f"{flag}: {word!r} is a mode and no provider; nothing was changed. "
            f"Probably meant: {meant}={word}, with only provider names in {flag}."
        )


class RecipeError(UsageError):
    """A recipe is unknown, or makes no sense as written."""

    def __init__(self, *, recipe: str, why: str) -> None:
        super().__init__(f"Recipe {recipe!r}: {why}. Nothing was changed.")


class FlagPlanError(RefusedError):
    """A file is not the intact flag plan that was reviewed."""

    def __init__(self, *, path: str, why: str) -> None:
        super().__init__(f'{path}: {why}; nothing was changed. Make a new one with "recon flags rollback".')


class NoFlagRunToUndoError(RefusedError):
    """A run cannot be taken back, because it changed nothing or what it wrote is no longer there."""

    def __init__(self, *, run: str, why: str) -> None:
        super().__init__(f"Run {run}: {why}; nothing was changed and no plan was written.")


class FlagRunTakenBackError(NothingLeftError):
    """The flag file is as it was before the run already."""

    def __init__(self, *, run: str) -> None:
        super().__init__(
            f"Run {run} is taken back already, for the flag file is as it was before it; there is nothing to plan."
        )


class RailDownError(RefusedError):
    """The rail that would be switched to does not answer as a healthy one."""

    def __init__(self, *, provider: str, answer: str) -> None:
        super().__init__(
            f"{provider} is where new payments would go, and it is not healthy: {answer}; nothing was changed. "
            'Bring it up, or stop both rails with "--recipe read-only".'
        )


class RailUnknownError(RefusedError):
    """There is no way to ask the rail that would be switched to."""

    def __init__(self, *, provider: str) -> None:
        super().__init__(
            f"{provider} is where new payments would go, and no health address is configured for it; "
            f"nothing was changed. Set [flags.health] {provider} in recon.toml."
        )


class GatesFailedError(RefusedError):
    """A rail may not carry money again yet."""

    def __init__(self, *, provider: str, failing: Iterable[str], phrase: str) -> None:
        names = ", ".join(failing)
        super().__init__(
            f"{provider} may not be enabled: {names} not passed; nothing was changed. "
            f'"recon gates enable {provider}" shows each gate. To go on all the same, name the reason with --reason '
            f'and type exactly: --override "{phrase}"'
        )


class OverrideError(RefusedError):
    """An override was typed wrongly, or without its reason or name."""

    def __init__(self, *, why: str, phrase: str) -> None:
        super().__init__(f'The override {why}; nothing was changed. It must be exactly "{phrase}", with --reason.')


class JournalBrokenError(RefusedError):
    """The chain of the journal of flag changes is broken."""

    def __init__(self, *, path: str, line: int, why: str) -> None:
        super().__init__(
            f"{path}: line {line} {why}, so the journal was edited or damaged; nothing was changed. "
            "Keep the file as evidence, move it aside and start a new one."
        )


class JournalWriteError(StoppedError):
    """The journal cannot be written, so the run stops where it is."""

    def __init__(self, *, path: str, why: str, state: str) -> None:
        super().__init__(
            f"{path}: the journal cannot be written ({why}); {state}. Make room or fix its rights, then run the same "
            "command again."
        )


class RunUnknownError(UsageError):
    """No run of that name stands in the journal."""

    def __init__(self, *, run: str) -> None:
        super().__init__(f'No run {run!r} stands in the journal of flags. "recon flags status" lists the last ones.')


class ManifestError(RefusedError):
    """A Compose file or a manifest cannot be read, or its change cannot be written as a patch."""

    def __init__(self, *, path: str, why: str, remedy: str) -> None:
        super().__init__(f"{path}: {why}; the file is as it was. {remedy}")


class ProbeSettingError(UsageError):
    """A health or read-back probe is configured in a way that cannot work."""

    def __init__(self, *, name: str, why: str) -> None:
        super().__init__(f"Probe {name!r}: {why}. Correct it in recon.toml.")
