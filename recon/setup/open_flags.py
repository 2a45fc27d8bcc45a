"""Opens the flags that a configuration names: their file, their journal, their probes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from recon.core.errors import ConfigError
from recon.rails.flags.apply import FlagPorts
from recon.rails.flags.dotenv import read_dotenv, repeated_keys
from recon.rails.flags.files import DotenvPlace, read_flag_file
from recon.rails.flags.journal import FILE_NAME, FlagJournal
from recon.rails.flags.plan import FlagSetup, ask_rails
from recon.rails.flags.recipes import Recipe, Roles, plan_values
from recon.rails.flags.status import open_rails
from recon.rails.flags.words import RECONCILIATION_ENABLED, bool_of
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


def open_flags(settings: Settings) -> FlagPorts:
    """Everything that flag commands touch.

    Raises:
        NoFlagFileError, NotDotenvError: There is no flag file that recon may write.
        ConfigError: A secret of a probe is missing.
    """
    given = settings.values.flags
    if given.kind != "dotenv":
        raise NotDotenvError(kind=given.kind)
    return FlagPorts(
        place=DotenvPlace(flag_path(settings)),
        journal=FlagJournal(settings.output_dir / FILE_NAME),
        prober=open_prober(settings),
        setup=flag_setup(settings),
        readback=backend_probes(settings),
        gone=given.checkout_probes(secret_of(settings)),
    )


def read_flag_values(settings: Settings) -> tuple[Mapping[str, str | None], tuple[str, ...]]:
    """What the flags are, wherever they live, and what there is to know about that place.

    Raises:
        NoFlagFileError, FlagFileError, ManifestError: There is no such file, or it cannot be read.
    """
    given, path, words = settings.values.flags, flag_path(settings), settings.values.flags.words()
    if given.kind == "compose":
        from recon.rails.flags.compose import read_compose

        service = read_compose(path, words=words, service=given.service)
        return service.values, service.notes
    if given.kind == "configmap":
        from recon.rails.flags.configmap import read_configmap

        held = read_configmap(path, words=words, name=given.configmap)
        return held.values, held.notes
    seen = read_flag_file(path)
    dotenv = read_dotenv(seen.data, path=str(path))
    return dotenv.values, repeated_keys(dotenv, words.known_flags())


def backend_reconciles(settings: Settings) -> bool | None:
    """Whether the backend's own reconciliation is switched on by its flags; None where no flag file says it.

    Raises:
        FlagFileError, ManifestError: A flag file is configured and cannot be read.
    """
    if not settings.values.flags.file:
        return None
    return bool_of(read_flag_values(settings)[0].get(RECONCILIATION_ENABLED))


def flag_patch(settings: Settings, recipe: Recipe, *, roles: Roles) -> tuple[str, str, tuple[str, ...]]:
    """The patch of a Compose file or a ConfigMap for a recipe, the file's name, and what to know about it.

    The rails that payments would go to are asked first.

    Raises:
        RailDownError, RailUnknownError, ManifestError, FlagValueError: See the classes; nothing was printed.
    """
    given, path, setup = settings.values.flags, flag_path(settings), flag_setup(settings)
    values, notes = read_flag_values(settings)
    wanted = plan_values(recipe, roles, values=values, words=setup.words)
    opened = set(open_rails({**values, **wanted}, setup.words)) - set(open_rails(values, setup.words))
    asked = [roles.safe] if recipe.switches_to else []
    ask_rails((*asked, *sorted(opened)), setup=setup, prober=open_prober(settings))
    if given.kind == "compose":
        from recon.rails.flags.compose import patch_compose

        return patch_compose(path, wanted, words=setup.words, service=given.service), str(path), notes
    from recon.rails.flags.configmap import patch_configmap

    return patch_configmap(path, wanted, words=setup.words, name=given.configmap), str(path), notes
