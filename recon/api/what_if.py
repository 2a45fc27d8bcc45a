"""``what-if``: past snapshots judged by other rules or limits, and what would have been otherwise."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from recon.api.common import Config, Place, output_folder, rules_for, settings_if_there
from recon.api.naming import NEWEST, NoneYetError, snapshot_place
from recon.core.errors import ReconError
from recon.sources.interface import no_progress

if TYPE_CHECKING:
    from recon.plans.comparing import PlanDifference, TokenSum
    from recon.setup.other_rules import OtherRules
    from recon.setup.settings import Settings
    from recon.sources.interface import Progress

EVERY: Final = "all"
"""Stands for every sealed snapshot of the output directory."""


@dataclass(frozen=True, slots=True)
class TriedSnapshot:
    """One snapshot judged by its own rules and by others.

    Args:
        place: Where it lies, as it was named.
        taken_at: UTC, to the second; empty where it could not be opened.
        difference: None where it could not be judged; then ``problem`` says why.
    """

    place: str
    digest: str = ""
    taken_at: str = ""
    payments: int = 0
    difference: PlanDifference | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class WhatIf:
    """What other rules would have changed, snapshot by snapshot and together."""

    rules: tuple[str, ...]
    tried: tuple[TriedSnapshot, ...]

    @property
    def is_whole(self) -> bool:
        """Whether every snapshot could be judged."""
        return all(each.difference is not None for each in self.tried)

    @property
    def differences(self) -> tuple[PlanDifference, ...]:
        """Those of the snapshots that could be judged."""
        return tuple(each.difference for each in self.tried if each.difference is not None)

    def rows(self) -> Iterator[tuple[str, str, int, PlanDifference | None, str]]:
        """By snapshot its name, time, number of payments, what differs, and why that is not known."""
        for each in self.tried:
            yield Path(each.place).name, each.taken_at, each.payments, each.difference, each.problem

    @property
    def sums(self) -> tuple[TokenSum, ...]:
        """The sums of all snapshots together."""
        from recon.plans.comparing import add_sums

        return add_sums(each.sums for each in self.differences)


def what_if(
    policy: Place,
    *,
    snapshots: Iterable[Place] = (),
    config: Config = None,
    engine: str | None = None,
    progress: Progress = no_progress,
) -> WhatIf:
    """Judge past snapshots by other rules or limits; see ``recon what-if``. Nothing is written.

    Args:
        policy: A TOML file with the settings that are otherwise, and no others.
        snapshots: Sealed snapshots, or ``all`` of the output directory; the newest when none is given. Each is compared
            with its judgement by its own rules, or by the configuration's where it holds none.
        engine: Where the tables are joined; the usual one when None.
        progress: Hears of ``snapshots``.

    Raises:
        NotJudgingError: The file names a setting that does not judge.
        NoOtherRulesError, ConfigError: It names none, or one with a value that it cannot have.
        NoneYetError, NoSuchNameError: There is no such snapshot.
    """
    from recon.setup.other_rules import load_rules_file

    settings = settings_if_there(config)
    rules = load_rules_file(Path(policy))
    places = list(dict.fromkeys(_places(list(snapshots) or [NEWEST[0]], settings)))
    tried = []
    for number, place in enumerate(places, start=1):
        tried.append(_tried(place, rules, settings, engine=engine))
        progress("snapshots", number, len(places))
    return WhatIf(rules.named, tuple(tried))


def _places(named: Iterable[Place], settings: Settings | None) -> Iterator[Place]:
    from recon.snapshots.sealed import MANIFEST

    for word in named:
        if str(word) != EVERY:
            yield snapshot_place(word, config=settings)
            continue
        folder = output_folder(settings)
        found = sorted(path.parent for path in folder.glob(f"*/{MANIFEST}"))
        if not found:
            raise NoneYetError(what="snapshot", folder=folder)
        yield from found


def _tried(place: Place, rules: OtherRules, settings: Settings | None, *, engine: str | None) -> TriedSnapshot:
    """One snapshot judged twice; what is wrong with one is told, and the others go on."""
    from recon.core.times import ms_text
    from recon.plans.comparing import compare_plans
    from recon.plans.make import make_plan
    from recon.setup.file import WrongSettingError
    from recon.snapshots.address import opened
    from recon.snapshots.rules import rules_of

    try:
        with opened(place, engine=engine) as taken:
            policy, registry = rules_of(taken) or rules_for(taken, settings)
            other = rules.over(policy, registry=registry)
            before = make_plan(taken, policy=policy, registry=registry, engine=engine)
            after = make_plan(taken, policy=other, registry=registry, engine=engine)
            said = (str(place), taken.digest, ms_text(taken.taken_at_ms), taken.rows("payments"))
    except WrongSettingError:
        raise
    except ReconError as error:
        return TriedSnapshot(str(place), problem=str(error))
    return TriedSnapshot(*said, compare_plans(before, after))
