"""``recon demo``, ``recon init`` and ``recon completion``: the commands that somebody runs first."""

from __future__ import annotations

from pathlib import Path

import click

from recon.cli.common import note, write_stdout
from recon.errors import RefusedError


class FileThereError(RefusedError):
    """A file that a command would write exists already."""

    def __init__(self, *, path: str) -> None:
        super().__init__(f"{path} is there already and was left as it is; name another with --out, or move it away.")


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
        with out.open("x", encoding="utf-8") as stream:
            stream.write(EXAMPLE)
    except FileExistsError as error:
        raise FileThereError(path=str(out)) from error
    except OSError as error:
        raise click.FileError(str(out), error.strerror or "it cannot be written") from error
    note(f"Wrote {out}. Fill it in, set the secrets it names, then run: recon doctor --config {out}")


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
