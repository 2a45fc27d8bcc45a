"""``simulate`` and ``score``: worlds with known truth, and how right a judgement of them is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from recon.api.common import Config, Place, rules_for, settings_if_there
from recon.api.naming import artefact_place
from recon.core.errors import RefusedError, UsageError

if TYPE_CHECKING:
    from recon.simulation.score import Score


class WorldThereError(RefusedError):
    """The directory for a new world holds something already."""

    def __init__(self, *, path: str) -> None:
        super().__init__(f"{path} is there already and was left as it is; name another directory with --out.")


class ScenarioAloneError(UsageError):
    """A scenario was asked for together with options that describe another world."""

    def __init__(self, *, options: list[str]) -> None:
        super().__init__(
            f"--scenario names a whole world and cannot be given with {' or '.join(options)}; leave either away. "
            "Nothing was written."
        )


def simulate(
    out: Place,
    *,
    payments: int | None = None,
    seed: int | None = None,
    breaks: str | None = None,
    scenario: str | None = None,
) -> Path:
    """Make a world of payments with known truth in a new directory; see ``recon simulate``.

    Args:
        payments: How many the world has; 2000 when not given.
        seed: The same seed gives the same bytes; 1 when not given.
        breaks: ``default`` (as when not given), ``none``, or a file that says which breaks, and how many.
        scenario: One row of the catalogue instead of all of these.

    Raises:
        ScenarioAloneError: A scenario beside an option of a generated world.
        WorldThereError: The directory holds something.
    """
    from recon.simulation import generate_world, load_breaks, write_world
    from recon.simulation.scenarios import scenario_world

    folder = Path(out)
    if folder.exists() and any(folder.iterdir()):
        raise WorldThereError(path=str(folder))
    if scenario is not None:
        given = {"--payments": payments, "--seed": seed, "--breaks": breaks}
        if others := [name for name, value in given.items() if value is not None]:
            raise ScenarioAloneError(options=others)
        write_world(scenario_world(scenario), folder)
        return folder
    chosen = breaks or "default"
    mixture = chosen if chosen in ("default", "none") else load_breaks(Path(chosen))
    world = generate_world(
        payments=2000 if payments is None else payments,
        seed=1 if seed is None else seed,
        breaks=mixture,  # type: ignore[arg-type]
    )
    write_world(world, folder)
    return folder


def score(judged: Place, *, truth: Place, config: Config = None) -> Score:
    """Hold a judgement beside the known truth; see ``recon score``.

    Args:
        judged: A plan file, or a snapshot, which is judged by the configured policy, else by its own.
        truth: The ``truth.ndjson`` of a simulated world.
    """
    from recon.plans.file import load_plan
    from recon.plans.make import make_plan
    from recon.simulation import load_truth
    from recon.simulation.score import score as score_plan
    from recon.snapshots.take import open_snapshot

    truths, path = load_truth(Path(truth)), artefact_place(judged, config=config)
    if not path.is_dir():
        return score_plan(load_plan(path), truths)
    snapshot = open_snapshot(path)
    policy, registry = rules_for(snapshot, settings_if_there(config))
    made = make_plan(snapshot, policy=policy, registry=registry)
    return score_plan(made, truths)
