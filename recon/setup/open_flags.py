"""Opens the flags that a configuration names: their file, their journal, their probes."""

from __future__ import annotations

from pathlib import Path

from recon.core.errors import ConfigError
from recon.rails.flags.apply import FlagPorts
from recon.rails.flags.errors import FlagFileError, ManifestError
from recon.rails.flags.files import DotenvPlace
from recon.rails.flags.journal import FILE_NAME, FlagJournal
from recon.rails.flags.places import KIND_NAMES, FlagHome
from recon.rails.flags.plan import FlagSetup, ask_rails
from recon.rails.flags.readings import FlagReading
from recon.rails.flags.recipes import Recipe, Roles, plan_values
from recon.rails.flags.standing import FlagDecisions, flag_policy
from recon.rails.flags.status import FlagStatus, judge_flags, open_rails
from recon.rails.flags.words import RECONCILIATION_ENABLED, bool_of
from recon.setup.open_decisions import decision_terms, open_decisions
from recon.setup.open_gates import sample_now
from recon.setup.open_probes import backend_probes, default_probes, open_prober, secret_of
from recon.setup.settings import Settings


class NoFlagFileError(ConfigError):
    """The configuration does not say where the flags are."""

    def __init__(self, *, source: str) -> None:
        super().__init__(
            f"{source}: [flags] file is not set, so nobody knows where the backend's flags are. "
            'Set it, for example file = "/opt/backend/.env".'
        )


class NotDotenvError(ConfigError):
    """The flags live in a file that recon reads and does not write."""

    def __init__(self, *, kind: str) -> None:
        super().__init__(
            f"The flags are in a {kind} file, which recon reads and never writes; nothing was changed. "
            '"recon flags rollback" prints the patch to apply by hand.'
        )


def flag_path(settings: Settings) -> Path:
    """The file that holds the flags.

    Raises:
        NoFlagFileError: None is configured.
    """
    if not settings.values.flags.file:
        raise NoFlagFileError(source=settings.source)
    return settings.home / settings.values.flags.file


def flag_setup(settings: Settings) -> FlagSetup:
    """What flag plans are made with. Raises ConfigError, ProbeSettingError or RecipeError for senseless settings."""
    return settings.values.flags.setup(defaults=default_probes(settings), secret_of=secret_of(settings))


def open_flags(settings: Settings, *, key: Path | None = None) -> FlagPorts:
    """Everything that flag commands touch.

    Args:
        key: What decisions are signed with instead of the configured key.

    Raises:
        NoFlagFileError, NotDotenvError: There is no flag file that recon may write.
        ConfigError: A secret of a probe is missing.
    """
    given = settings.values.flags
    if (kind := flag_home(settings).real_kind()) != "dotenv":
        raise NotDotenvError(kind=KIND_NAMES[kind])
    return FlagPorts(
        place=DotenvPlace(flag_path(settings)),
        journal=FlagJournal(settings.output_dir / FILE_NAME),
        prober=open_prober(settings),
        setup=flag_setup(settings),
        readback=backend_probes(settings),
        gone=given.checkout_probes(secret_of(settings)),
        decisions=flag_decisions(settings, key=key),
    )


def flag_decisions(settings: Settings, *, key: Path | None = None) -> FlagDecisions:
    """How decisions about flags are recorded and believed. Raises SignersFileError for files that cannot be used."""
    return FlagDecisions(
        records=open_decisions(settings, key=key),
        terms=decision_terms(settings, key=key),
        policy=flag_policy(settings.approval_policy(), approvals_min=settings.values.approvals.flags_min),
        look=lambda plan, now: sample_now(settings, plan, now=now),
    )


def flag_home(settings: Settings) -> FlagHome:
    """Where the flags live. Raises NoFlagFileError where the configuration does not say it."""
    given = settings.values.flags
    return FlagHome(
        flag_path(settings),
        given.words(),
        kind=given.kind,
        overrides=tuple(settings.home / each for each in given.overrides),
        service=given.service,
        configmap=given.configmap,
        reader=given.reader,
    )


def read_flags(settings: Settings) -> FlagReading:
    """What the flags are, wherever they live, and how far that can be relied on.

    Raises:
        NoFlagFileError, FlagFileError, ManifestError: There is no such file, or it cannot be read.
    """
    return flag_home(settings).read()


def flag_status(settings: Settings) -> tuple[FlagStatus, FlagReading]:
    """What the flags mean together, and the reading that says so. Raises as :func:`read_flags`."""
    reading, words = read_flags(settings), settings.values.flags.words()
    return judge_flags(reading.values, words, doubts=reading.doubts(words.known_flags())), reading


def flag_status_or_doubt(settings: Settings) -> tuple[FlagStatus, FlagReading]:
    """As :func:`flag_status`; where the flags cannot be read every one of them is in doubt, with the reason.

    Raises:
        NoFlagFileError: None is configured.
    """
    try:
        return flag_status(settings)
    except (FlagFileError, ManifestError) as error:
        words = settings.values.flags.words()
        path = flag_path(settings)
        why = f"{path.name} cannot be read as it is (see the note)"
        reading = FlagReading({}, looked=(str(path),), unread=(why,), notes=(str(error),))
        return judge_flags({}, words, doubts=reading.doubts(words.known_flags())), reading


def backend_reconciles(settings: Settings) -> bool | None:
    """Whether the backend's own reconciliation is switched on by its flags; None where no flag file says it.

    Raises:
        FlagFileError, ManifestError: A flag file is configured and cannot be read.
    """
    if not settings.values.flags.file:
        return None
    return bool_of(read_flags(settings).values.get(RECONCILIATION_ENABLED))


def flag_patch(settings: Settings, recipe: Recipe, *, roles: Roles) -> tuple[str, str, tuple[str, ...]]:
    """The patch of a Compose file or a manifest for a recipe, the file's name, and what to know about it.

    The rails that payments would go to are asked first.

    Raises:
        RailDownError, RailUnknownError, ManifestError, FlagValueError: See the classes; nothing was printed.
    """
    home, setup = flag_home(settings), flag_setup(settings)
    reading = home.read()
    values = reading.values
    wanted = plan_values(recipe, roles, values=values, words=setup.words)
    doubts = reading.doubts(wanted)
    for flag in wanted:
        if flag in doubts and flag in reading.said:
            held = reading.said[flag]
            raise ManifestError(
                path=held.file,
                why=f"{flag} on line {held.line} cannot be told: {doubts[flag]}",
                remedy="Settle it first.",
            )
    opened = set(open_rails({**values, **wanted}, setup.words)) - set(open_rails(values, setup.words))
    asked = [roles.safe] if recipe.switches_to else []
    ask_rails((*asked, *sorted(opened)), setup=setup, prober=open_prober(settings))
    return home.patch(wanted), str(home.path), reading.notes
