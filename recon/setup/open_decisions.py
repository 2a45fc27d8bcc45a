"""Opens the records of decisions that a configuration names, with whose signatures count and what is signed with."""

from __future__ import annotations

import getpass
from datetime import timedelta
from pathlib import Path

from recon.core.errors import ConfigError
from recon.plans.approvals import DecisionRecords, DecisionTerms, JournalHead
from recon.plans.shelf import FileShelf, Shelf
from recon.plans.ssh_keys import Signers, SigningKey
from recon.setup.settings import Settings
from recon.setup.stores.installed import store_of


class NoPlaceForDecisionsError(ConfigError):
    """Decisions are to be kept in the database, and the store has no place for them."""

    def __init__(self, *, store: str) -> None:
        super().__init__(
            f'"approvals.kept_in" says "database", and {store} has no place for decisions; nothing was recorded. Write '
            '"files", or take the line out.'
        )


def signers_of(settings: Settings) -> Signers | None:
    """Whose signatures count; None where names are believed.

    Raises:
        SignersFileError: The configuration names files that cannot be used.
    """
    given = settings.values.approvals
    if given.allowed_signers is None:
        return None
    revoked = None if given.revoked_signers is None else _place(settings, given.revoked_signers)
    signers = Signers(_place(settings, given.allowed_signers), revoked)
    signers.check_files()
    return signers


def signing_key(settings: Settings, named: Path | None = None) -> SigningKey | None:
    """The key to sign with: the one that was named, else that of the configuration, else none."""
    given = settings.values.approvals.signing_key
    path = named.expanduser() if named is not None else None if given is None else _place(settings, given)
    return None if path is None else SigningKey(path)


def decision_terms(settings: Settings, *, key: Path | None = None, head: JournalHead | None = None) -> DecisionTerms:
    """How decisions are recorded and believed under a configuration.

    Args:
        key: What to sign with instead of the configured key.
        head: The journal's end, to be noted in what is recorded.
    """
    try:
        login = getpass.getuser()
    except (KeyError, OSError):
        login = ""
    return DecisionTerms(
        signers=signers_of(settings),
        key=signing_key(settings, key),
        login=login,
        journal_head=head,
        valid_for=timedelta(hours=settings.values.approvals.valid_h),
    )


def open_decisions(settings: Settings, *, key: Path | None = None, head: JournalHead | None = None) -> DecisionRecords:
    """The records of decisions; see :func:`decision_terms`."""
    return DecisionRecords(open_shelf(settings), decision_terms(settings, key=key, head=head))


def open_shelf(settings: Settings) -> Shelf:
    """Where decisions are kept under a configuration.

    Raises:
        NoPlaceForDecisionsError: It says the database, and the store has no place for them.
    """
    if settings.values.approvals.kept_in == "files":
        return FileShelf(settings.decisions_dir)
    store = store_of(settings)
    if store.open_decisions is None:
        raise NoPlaceForDecisionsError(store=store.title)
    return store.open_decisions(settings)


def _place(settings: Settings, path: str) -> Path:
    return settings.home / Path(path).expanduser()
