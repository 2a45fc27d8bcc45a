"""Plans and runs by a word: ``latest``, the beginning of a name or of a digest, or the whole of either."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from recon.api.common import Config, Place, output_folder, settings_if_sound
from recon.core.errors import UsageError

if TYPE_CHECKING:
    from recon.core.model import Plan
    from recon.rails.flags.plan import FlagPlan
    from recon.runs.stores.journal import Journal

NEWEST: Final = ("latest", "last")
PREFIX_MIN: Final = 4
"""From so many characters on the beginning of a name or of a digest is enough, where no other begins like it."""


class NoPlanYetError(UsageError):
    """The history holds no plan."""

    def __init__(self) -> None:
        super().__init__('There is no plan in the run history; name a plan file, or run "recon plan" first.')


class NoSuchNameError(UsageError):
    """A word names no plan or run, or several."""

    def __init__(self, *, what: str, word: str, near: Sequence[str], is_many: bool) -> None:
        shown = ", ".join(near)
        if is_many:
            said = f"{word[:80]!r} names several {what}s: {shown}. Write more of it."
        else:
            said = f"There is no {what} {word[:80]!r}" + (f"; the nearest is {shown}." if near else ".")
        super().__init__(f"{said} Nothing was written.")


def plan_place(word: Place, *, config: Config = None) -> Path:
    """The plan file that a word names: a path that is there, ``latest``, or the beginning of a name or a digest.

    A word that looks like a path comes back as it is, so that the error names the file that is missing.

    Raises:
        NoPlanYetError: The newest is wanted, and there is none.
        NoSuchNameError: Several plans are called so, or none and another one nearly is.
    """
    path, text = Path(word), str(word)
    if path.exists() or len(path.parts) > 1 or path.suffix:
        return path
    folder = _output_folder(config)
    entries = _history(folder)
    if text in NEWEST:
        if not entries:
            raise NoPlanYetError
        return Path(str(entries[-1]["plan"]))
    named = [(Path(str(entry["plan"])), str(entry["digest"])) for entry in entries]
    plans: list[tuple[str, Sequence[str]]] = [(str(made.absolute()), (made.stem, digest)) for made, digest in named]
    plans += [(str(each.absolute()), (each.stem,)) for each in folder.glob("*.json")]
    return Path(_only(text, plans, what="plan"))


def plan_of(plan: Plan | Place, *, config: Config = None) -> Plan:
    """A plan as it is, or read from the file that a word names; see :func:`plan_place`."""
    from recon.plans.file import load_plan

    return load_plan(plan_place(plan, config=config)) if isinstance(plan, str | Path) else plan


def plan_of_any_kind(plan: Plan | FlagPlan | Place, *, config: Config = None) -> Plan | FlagPlan:
    """:func:`plan_of`, of corrections or of flags."""
    from recon.rails.flags.plan import is_flag_plan, load_flag_plan

    if isinstance(plan, str | Path) and is_flag_plan(place := plan_place(plan, config=config)):
        return load_flag_plan(place)
    return plan_of(plan, config=config) if isinstance(plan, str | Path) else plan


def run_named(word: str, journal: Journal) -> str:
    """The run that a word names: its name, ``last``, or the beginning of a name.

    Raises:
        NoSuchNameError: Several runs are called so, or none and another one nearly is.
    """
    from recon.runs.states import list_runs

    runs = [each.run for each in list_runs(journal)]
    if word in runs or not runs:
        return word
    if word in NEWEST:
        return runs[-1]
    return _only(word, [(run, (run,)) for run in runs], what="run")


def newest_plan(config: Config = None) -> Path:
    """The plan that was made last. Raises NoPlanYetError when there is none."""
    return plan_place(NEWEST[0], config=config)


def _only(word: str, things: Sequence[tuple[str, Sequence[str]]], *, what: str) -> str:
    """The one thing that is called so, else the one of which a name begins so."""
    called = {thing for thing, names in things if word in names}
    begins = called or {thing for thing, names in things if any(name.startswith(word) for name in names)}
    if len(begins) == 1 and (called or len(word) >= PREFIX_MIN):
        return begins.pop()
    near = sorted(begins)[:3] or get_close_matches(word, [names[0] for _, names in things], n=1, cutoff=0.7)
    raise NoSuchNameError(what=what, word=word, near=near, is_many=len(begins) > 1)


def _output_folder(config: Config) -> Path:
    return output_folder(settings_if_sound(config))


def _history(folder: Path) -> Sequence[Mapping[str, Any]]:
    from recon.plans.history import load_history

    return load_history(folder).entries
