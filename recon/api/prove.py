"""``simulate`` and ``score``: worlds with known truth, and how right a judgement of them is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from recon.api.common import Config, Place, settings_of
from recon.core.errors import RefusedError

if TYPE_CHECKING:
    from recon.simulation.score import Score


class WorldThereError(RefusedError):
    """The directory for a new world holds something already."""

    def __init__(self, *, path: str) -> None:
        super().__init__(f"{path} is there already and was left as it is; name another directory with --out.")


def simulate(out: Place, *, payments: int = 2000, seed: int = 1, breaks: str = "default") -> Path:
    """Make a world of payments with known truth in a new directory; see ``recon simulate``.

    Args:
        seed: The same seed gives the same bytes.
        breaks: ``default``, ``none``, or a file that says which breaks, and how many.

    Raises:
        WorldThereError: The directory holds something.
    """
    from recon.simulation import generate_world, load_breaks, write_world

    folder = Path(out)
    if folder.exists() and any(folder.iterdir()):
        raise WorldThereError(path=str(folder))
    mixture = breaks if breaks in ("default", "none") else load_breaks(Path(breaks))
    write_world(generate_world(payments=payments, seed=seed, breaks=mixture), folder)  # type: ignore[arg-type]
    return folder


def score(judged: Place, *, truth: Place, config: Config = None) -> Score:
    """Hold a judgement beside the known truth; see ``recon score``.

    Args:
        judged: A plan file, or a snapshot, which is judged by the configured policy.
        truth: The ``truth.ndjson`` of a simulated world.
    """
    from recon.plans.make import load_plan, make_plan
    from recon.simulation import load_truth
    from recon.simulation.score import score as score_plan
    from recon.snapshots.take import open_snapshot

    truths, path = load_truth(Path(truth)), Path(judged)
    if not path.is_dir():
        return score_plan(load_plan(path), truths)
    settings = settings_of(config)
    made = make_plan(open_snapshot(path), policy=settings.policy(), registry=settings.registry())
    return score_plan(made, truths)
