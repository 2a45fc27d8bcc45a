"""``recon demo``, ``recon init`` and ``recon completion``: the commands that are run first."""

from __future__ import annotations

from pathlib import Path

import click

from recon.cli.common import note, write_stdout


@click.command()
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    default="recon.toml",
    show_default=True,
    help="File to write.",
)
def init(out: Path) -> None:
    """Write a commented recon.toml.

    Reads nothing; writes one file and never over another. Secrets do not belong in it: it names the variables that
    hold them.

    \b
    Example: recon init --out recon.toml
    """
    from recon.api.start import init as write_example

    write_example(out)
    note(f"Wrote {out}. Fill it in, set the secrets it names, then run: recon doctor --config {out}")


@click.command()
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default="recon-demo",
    show_default=True,
    help="Directory for the demo.",
)
@click.option(
    "--payments", type=click.IntRange(1, 1_000_000), default=2000, show_default=True, help="How many payments."
)
@click.option(
    "--seed", type=click.IntRange(0), default=1, show_default=True, help="Which world; the same seed is the same."
)
def demo(out: Path, payments: int, seed: int) -> None:
    """Run the main job on a bundled week of payments.

    Reads nothing and asks no network; writes one directory with a recorded marketplace, a snapshot, a plan and its
    report, as Markdown and as a page for a browser. Started again, it judges the directory as it stands, corrections
    applied meanwhile included.

    \b
    Example: recon demo --out recon-demo
    """
    from recon.api.start import CONFIG_NAME
    from recon.api.start import demo as run_demo
    from recon.cli.plan import print_plan

    made = run_demo(out, payments=payments, seed=seed, say=note)
    print_plan(made, output="table", config=out / CONFIG_NAME)


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script of a shell.

    Reads and writes nothing. With it the tab key offers commands and options, and as values plans, snapshots, runs, the
    payments of the newest plan, verdicts, tiers, rails, chains, tokens and recipes; it asks no database and no network.

    \b
    Examples: recon completion bash > ~/.local/share/bash-completion/completions/recon
              recon completion zsh > "${fpath[1]}/_recon"
              recon completion fish > ~/.config/fish/completions/recon.fish
    """
    from click.shell_completion import get_completion_class

    from recon.cli import cli
    from recon.cli.lazy import COMPLETE_VARIABLE

    kind = get_completion_class(shell)
    assert kind is not None, "every shell of the choice has a completion class"
    write_stdout(kind(cli, {}, "recon", COMPLETE_VARIABLE).source() + "\n")
