"""``recon demo``, ``recon init`` and ``recon completion``: the commands that somebody runs first."""

from __future__ import annotations

from pathlib import Path

import click

from recon.cli.common import note, settings_from, write_stdout
from recon.files import FileThereError, save_new

_DEMO_CONFIG = """\
# The demo: a recorded marketplace stands in for every source, and what is made from it goes beside this file.
[target]
name = "demo"

[recorded]
path = "world"

[output]
dir = "."
"""


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
    from recon.cli.example import EXAMPLE

    try:
        save_new(out, EXAMPLE.encode(), mode=0o644)
    except OSError as error:
        raise click.FileError(str(out), error.strerror or "it cannot be written") from error
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
    from recon.cli.plan import Begun, make, print_plan, report_of
    from recon.cli.report import page_of, save_page
    from recon.reports import render_report
    from recon.reports.pages.html import render_html

    config = _demo_world(out, payments=payments, seed=seed)
    settings = settings_from(config)
    begun = Begun(settings.selection(), settings.now())
    made = make(settings, begun, snapshot_path=None, engine="polars", out=None)  # Starts faster; the plan is the same.
    report = made.path.with_name(made.path.name.replace("plan-", "report-")).with_suffix(".md")
    text = render_report(report_of(made, config=config, full=True), output="md")
    save_new(report, text.encode())
    note(f"Report:   {report}")
    page = report.with_suffix(".html")
    save_page(render_html(page_of(str(made.path), config_path=config, snapshot_path=None)), page)
    note(f"To look at in a browser: {page}")
    print_plan(made, output="table", config=config)


def _demo_world(out: Path, *, payments: int, seed: int) -> Path:
    """Make the demo's world unless it is there; a directory that holds something else is left alone."""
    config = out / "recon.toml"
    if (out / "world" / "world.json").exists() and config.exists():
        note(f"{out} is there already and is judged as it stands; remove it to begin anew.")
        return config
    if out.exists() and any(out.iterdir()):
        raise FileThereError(path=str(out))
    from recon.simulation import generate_world, write_world

    write_world(generate_world(payments=payments, seed=seed), out / "world")
    save_new(config, _DEMO_CONFIG.encode(), mode=0o644)
    return config


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script of a shell.

    Reads and writes nothing.

    \b
    Example: recon completion bash > ~/.local/share/bash-completion/completions/recon
    """
    from click.shell_completion import get_completion_class

    from recon.cli import cli

    kind = get_completion_class(shell)
    assert kind is not None, "every shell of the choice has a completion class"
    write_stdout(kind(cli, {}, "recon", "_RECON_COMPLETE").source() + "\n")
