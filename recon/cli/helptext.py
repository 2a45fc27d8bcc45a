"""The help of every command as the page of commands shows it; ``scripts/docs`` writes it there anew."""

from __future__ import annotations

from collections.abc import Iterator

import click

from recon.cli import cli

WIDTH = 100


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


def _below(group: click.Group, context: click.Context) -> Iterator[tuple[str, click.Command, click.Context]]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None, "a group lists only commands it has"
        own = click.Context(command, info_name=name, parent=context, max_content_width=WIDTH, terminal_width=WIDTH)
        yield own.command_path, command, own
        if isinstance(command, click.Group):
            yield from _below(command, own)
