"""``recon simulate``: worlds with known truth, to try the tool on and to prove its verdicts with."""

from __future__ import annotations

from pathlib import Path

import click

from recon.cli.common import note, write_stdout
from recon.errors import RefusedError


class WorldThereError(RefusedError):
    """The directory for a new world holds something already."""

    def __init__(self, *, path: str) -> None:
        super().__init__(f"{path} is there already and was left as it is; name another directory with --out.")


@click.command()
@click.option("--payments", type=int, default=2000, show_default=True, help="How many payments the world has.")
@click.option("--seed", type=int, default=1, show_default=True, help="Which world; the same seed gives the same bytes.")
@click.option(
    "--breaks", metavar="FILE|default|none", default="default", show_default=True, help="Which breaks, and how many."
)
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Directory to write to.")
def simulate(payments: int, seed: int, breaks: str, out: Path) -> None:
    """Make a world of payments with known truth.

    Reads a file of breaks if one is named; writes one directory that every command can run on, offline. Its
    truth.ndjson holds the right answers and is read by "recon score" only.

    \b
    Example: recon simulate --payments 5000 --seed 7 --out world
             recon plan --config world/recon.toml
    """
    from recon.simulate import generate_world, load_breaks, write_world

    if out.exists() and any(out.iterdir()):
        raise WorldThereError(path=str(out))
    mixture = breaks if breaks in ("default", "none") else load_breaks(Path(breaks))
    write_world(generate_world(payments=payments, seed=seed, breaks=mixture), out)  # type: ignore[arg-type]
    write_stdout(f"{out}\n")
    note(f"To reconcile it: recon plan --config {out / 'recon.toml'}")
