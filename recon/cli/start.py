"""``recon demo``, ``recon init`` and ``recon completion``: the commands that are run first."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from recon.cli.common import note, write_stdout
from recon.sources.providers.installed import providers


@click.command()
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    default="recon.toml",
    show_default=True,
    help="File to write.",
)
@click.option(
    "--with",
    "rails",
    type=click.Choice(sorted(providers()), case_sensitive=False),
    multiple=True,
    help="A rail whose section is wanted besides; repeatable.",
)
@click.option(
    "--yes",
    is_flag=True,
    help="Look at the database that RECON_MONGO_URI or RECON_SQL_URL names, and take what is found.",
)
def init(out: Path, rails: tuple[str, ...], yes: bool) -> None:
    """Write a commented recon.toml.

    Writes one file and never over another. On a terminal, or with --yes, it looks at the databases that RECON_MONGO_URI
    and RECON_SQL_URL name, if they are set: which collection or table holds payments, and the chains and rails of the
    newest ones; on a terminal it asks what is taken. Otherwise it reads nothing. Secrets do not belong in it: it names
    the variables that hold them.

    \b
    Examples: recon init --out recon.toml
              recon init --yes
              recon init --with whmcs
    """
    from recon.api.start import first_of_all
    from recon.api.start import init as write_example

    asks = not yes and _is_terminal()
    look = yes or (asks and any(os.environ.get(name) for name in ("RECON_MONGO_URI", "RECON_SQL_URL")))
    write_example(out, rails=rails, look=look, choose=_asked if asks else first_of_all, say=note)
    note(f"Wrote {out}. Fill it in, set the secrets it names, then run: recon doctor --config {out}")


def _is_terminal() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()


def _asked(question: str, answers: Sequence[str]) -> Sequence[str]:
    """Ask a person on stderr which of the things found are taken; those that are not among them are asked for again."""
    usual = answers[0] if question.startswith("The collection") else ",".join(answers)
    note(f"{question}; found: {', '.join(answers)}")
    while True:
        told = click.prompt("Take, set apart by commas", default=usual, err=True)
        wanted = [word.strip() for word in str(told).split(",") if word.strip()]
        if set(wanted) <= set(answers):
            return wanted
        note(f"Not found: {', '.join(word for word in wanted if word not in answers)}")


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
@click.option(
    "--rail", metavar="NAME", help="The rail of the week, one with a world of its own, instead of the usual ones."
)
def demo(out: Path, payments: int, seed: int, rail: str | None) -> None:
    """Run the main job on a bundled week of payments.

    Reads nothing and asks no network; writes one directory with a recorded marketplace, a snapshot, a plan and its
    report, as Markdown and as a page for a browser. Started again, it judges the directory as it stands, corrections
    applied meanwhile included.

    \b
    Examples: recon demo --out recon-demo
              recon demo --rail monero --out monero-demo
    """
    from recon.api.start import CONFIG_NAME
    from recon.api.start import demo as run_demo
    from recon.cli.plan import print_plan

    made = run_demo(out, payments=payments, seed=seed, rail=rail, say=note)
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
