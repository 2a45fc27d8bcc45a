"""The help of every command as the README shows it, between markers; ``scripts/help`` writes it there anew."""

from __future__ import annotations

from collections.abc import Iterator

import click

from recon.cli import cli

WIDTH = 100
BEGIN = "<!-- help of every command, written by scripts/help -->"
END = "<!-- end of help -->"


def commands() -> Iterator[tuple[str, click.Command, click.Context]]:
    """Every command with its whole name, groups before their parts, in the order of the help."""
    context = click.Context(cli, info_name="recon", max_content_width=WIDTH, terminal_width=WIDTH)
    yield "recon", cli, context
    yield from _below(cli, context)


def help_text(name: str) -> str:
    """What ``NAME --help`` prints; KeyError when there is no such command."""
    for found, command, context in commands():
        if found == name:
            return command.get_help(context).rstrip() + "\n"
    raise KeyError(name)


def section() -> str:
    """The help of every command, each under a heading of its own."""
    parts = [f"### `{name}`\n\n```text\n{help_text(name)}```\n" for name, _, _ in commands()]
    return f"{BEGIN}\n\n" + "\n".join(parts) + f"\n{END}"


def renew(readme: str) -> str:
    """The README with its part between the markers written anew.

    Raises:
        ValueError: A marker is missing.
    """
    before, rest = readme.split(BEGIN, 1)
    _, after = rest.split(END, 1)
    return before + section() + after


def _below(group: click.Group, context: click.Context) -> Iterator[tuple[str, click.Command, click.Context]]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None, "a group lists only commands it has"
        own = click.Context(command, info_name=name, parent=context, max_content_width=WIDTH, terminal_width=WIDTH)
        yield own.command_path, command, own
        if isinstance(command, click.Group):
            yield from _below(command, own)
