"""What the functions share: the configuration, who acts, free paths, and what is told on the way."""

from __future__ import annotations

import getpass
import logging
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from recon.core.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from recon.core.model import Plan, Policy, Target
    from recon.core.registry import Registry
    from recon.setup.settings import Settings
    from recon.snapshots.sealed import Snapshot

Config: TypeAlias = "str | Path | Settings | None"
"""A configuration file or its settings; None means ``RECON_CONFIG``, else ``recon.toml`` here."""

Place: TypeAlias = "str | Path"

Say: TypeAlias = Callable[[str], None]
"""Takes a sentence that is not the result: where a file was written, what will not happen."""

OnSaved: TypeAlias = Callable[[Path], None]
"""Told where a file was written when no path was named."""

_LOG = logging.getLogger("recon")


class NoOperatorError(UsageError):
    """Nobody knows who is acting."""

    def __init__(self) -> None:
        super().__init__("This login has no name; set RECON_OPERATOR to yours, so that the journal can say who acted.")


def tell(sentence: str) -> None:
    """Say something in the log ``recon``, where a job that wants it finds it."""
    _LOG.info("%s", sentence)


def warn(sentence: str) -> None:
    """Say in the log ``recon`` what must be seen; without a logging set-up it goes to stderr."""
    _LOG.warning("%s", sentence)


def saved_unseen(path: Path) -> None:
    """The usual answer to a file that was written: none."""


def settings_of(config: Config) -> Settings:
    """Load the configuration, unless it is loaded already; see :func:`recon.setup.settings.load_settings`."""
    from recon.setup.settings import Settings, load_settings

    return config if isinstance(config, Settings) else load_settings(None if config is None else Path(config))


USUAL_FOLDER: Final = "recon-out"
"""Where plans and their history go where no configuration says so."""


def output_folder(settings: Settings | None) -> Path:
    """Where plans and their history go."""
    return Path(USUAL_FOLDER) if settings is None else settings.output_dir


def time_of_run(settings: Settings | None) -> datetime:
    """The time of this run: the clock, or the moment at which a recorded world stands still."""
    return datetime.now(UTC) if settings is None else settings.now()


def settings_if_there(config: Config) -> Settings | None:
    """The configuration for what works without one; None where none is named and none lies here."""
    from recon.setup.file import CONFIG_NAME

    if config is None and not os.environ.get("RECON_CONFIG") and not Path(CONFIG_NAME).exists():
        return None
    return settings_of(config)


def settings_if_sound(config: Config) -> Settings | None:
    """As :func:`settings_if_there`; one that nobody named and that cannot be read counts as none."""
    try:
        return settings_if_there(config)
    except ConfigError:
        if config is not None:
            raise
        return None


def rules_for(snapshot: Snapshot, settings: Settings | None) -> tuple[Policy, Registry]:
    """The policy and registry to judge a snapshot by: those of a configuration, else those that it holds itself.

    Raises:
        ConfigError: There is no configuration, and the snapshot is of before it held them.
    """
    from recon.snapshots.rules import rules_of

    if settings is None and (found := rules_of(snapshot)) is not None:
        return found
    settings = settings or settings_of(None)
    return settings.policy(), settings.registry()


def operator_name(given: str | None = None) -> str:
    """Who acts: the name given, else ``RECON_OPERATOR``, else the login name.

    Raises:
        NoOperatorError: None of them is there.
        OddNameError: It may look like another person's.
    """
    from recon.core.people import checked_name

    try:
        return checked_name(given or os.environ.get("RECON_OPERATOR", "").strip() or getpass.getuser())
    except (KeyError, OSError) as error:
        raise NoOperatorError from error


def note_author(settings: Settings, plan: Plan, *, operator: str | None = None) -> None:
    """Record who made a plan, for a policy that lets its author not approve it."""
    from recon.setup.open_decisions import open_decisions

    open_decisions(settings).note_author(plan, who=operator_name(operator), at=settings.now())


def target_now(settings: Settings) -> Target:
    """The identity of what the configuration means, asked of the sources themselves."""
    from recon.setup.open_sources import open_sources
    from recon.snapshots.take import target_of

    with open_sources(settings) as sources:
        return target_of(sources, policy=settings.policy(), registry=settings.registry())


def free_path(path: Path) -> Path:
    """The path itself, or with ``-2``, ``-3`` and so on before its ending when something is there already."""
    candidate, number = path, 1
    while os.path.lexists(candidate):
        number += 1
        candidate = path.with_name(f"{path.stem}-{number}{path.suffix}")
    return candidate


def stamp(moment: datetime) -> str:
    """A UTC time as part of a file name."""
    return moment.strftime("%Y%m%dT%H%M%SZ")


def place_for(out: Place | None, *, usual: Path) -> Path:
    """Where a new file goes: the path that was named, else the usual one or the next free name beside it."""
    return Path(out) if out is not None else free_path(usual)


def path_of(place: Place | None) -> Path | None:
    """A place that may not be named, as a path."""
    return None if place is None else Path(place)
