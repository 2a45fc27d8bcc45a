"""``doctor``, ``init`` and ``demo``: the functions that are called first."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from recon.api.common import Config, Place, Say, settings_of, tell
from recon.api.gates import UnknownRailError
from recon.api.reconcile import plan_and_save
from recon.api.report import artefact_page, save_page
from recon.core.errors import UsageError
from recon.files import FileThereError, check_free, save_new

if TYPE_CHECKING:
    from recon.api.reconcile import SavedPlan
    from recon.setup.doctor import Check
    from recon.setup.look_around import Choose, Surroundings

CONFIG_NAME: Final = "recon.toml"
DEMO_NAME: Final = "recon-demo"
_DEMO_CONFIG: Final = """\
# The demo: a recorded marketplace stands in for every source, and what is made from it goes beside this file.
[target]
name = "demo"

[recorded]
path = "world"

[output]
dir = "."
"""


class UnwritableFileError(UsageError):
    """A file cannot be written where it was wanted."""

    def __init__(self, *, path: Path, why: str) -> None:
        super().__init__(f"Could not open file '{path}': {why}")


def doctor(config: Config = None) -> tuple[Check, ...]:
    """Ask every source one small question, and say what to fix; see ``recon doctor``."""
    from recon.setup.doctor import check_sources

    return check_sources(settings_of(config))


def first_of_all(question: str, answers: Sequence[str]) -> Sequence[str]:
    """Take every answer to a question; of collections the first one counts."""
    return answers


def init(
    out: Place = CONFIG_NAME,
    *,
    rails: Sequence[str] = (),
    look: bool = False,
    choose: Choose = first_of_all,
    say: Say = tell,
) -> Path:
    """Write a commented configuration, never over another file; see ``recon init``.

    Args:
        rails: Providers whose section is wanted besides the usual ones.
        look: Find out what can be found out: collection, chains and rails, from the newest payments.
        choose: Asked which of the things found are taken; all are when not given.

    Raises:
        UnknownRailError: No such provider is installed.
        FileThereError: Something is there.
        UnwritableFileError: It cannot be written there.
    """
    from recon.setup.example import example

    path, named = Path(out), [_provider_called(word) for word in rails]
    check_free(path)
    try:
        save_new(path, example(_found(choose, say) if look else None, rails=named).encode(), mode=0o644)
    except OSError as error:
        raise UnwritableFileError(path=path, why=error.strerror or "it cannot be written") from error
    return path


def _provider_called(word: str) -> str:
    from recon.core.registry import load_registry
    from recon.sources.providers.installed import providers

    name = load_registry().provider(word)
    if name not in providers():
        raise UnknownRailError(word=word)
    return name


def _found(choose: Choose, say: Say) -> Surroundings | None:
    from recon.setup.look_around import find_surroundings

    return find_surroundings(choose=choose, say=say)


def demo(
    out: Place = DEMO_NAME, *, payments: int = 2000, seed: int = 1, rail: str | None = None, say: Say = tell
) -> SavedPlan:
    """Run the main job on a bundled week of payments; see ``recon demo``.

    Writes a recorded marketplace, a snapshot, a plan and its report; a directory that is a demo already is judged as
    it stands.

    Args:
        rail: The rail that the week is paid on, one of those with a world of their own; None: the usual ones.

    Raises:
        FileThereError: The directory holds something else.
    """
    from recon.reports import render_plan, render_report
    from recon.reports.pages.html import render_html

    config = _demo_world(Path(out), payments=payments, seed=seed, rail=rail, say=say)
    made = plan_and_save(config=config, say=say)
    report = made.path.with_name(made.path.name.replace("plan-", "report-")).with_suffix(".md")
    shown = render_plan(made.plan, path=str(made.path), config=str(config), full=True, news=made.news)
    save_new(report, render_report(shown, output="md").encode())
    say(f"Report:   {report}")
    page = report.with_suffix(".html")
    save_page(render_html(artefact_page(made.path, config=config, say=say)), page)
    say(f"To look at in a browser: {page}")
    return made


def _demo_world(out: Path, *, payments: int, seed: int, rail: str | None, say: Say) -> Path:
    """Make the demo's world unless it is there; a directory that holds something else is left alone."""
    config = out / CONFIG_NAME
    if (out / "world" / "world.json").exists() and config.exists():
        say(f"{out} is there already and is judged as it stands; remove it to begin anew.")
        return config
    if out.exists() and any(out.iterdir()):
        raise FileThereError(path=str(out))
    from recon.simulation import generate_world, write_world
    from recon.simulation.rail_worlds import rail_world

    made = generate_world(payments=payments, seed=seed) if rail is None else rail_world(rail, payments, seed=seed)
    write_world(made, out / "world")
    save_new(config, (_DEMO_CONFIG + made.config).encode(), mode=0o644)
    return config
