"""The help of every command as the README shows it, between markers; ``scripts/help`` writes it there anew."""

from __future__ import annotations

import re
from collections.abc import Iterator

import click

from recon.cli import cli

WIDTH = 100
_BLOCK = re.compile(r"<!-- help: ([a-z ]+) -->\n.*?<!-- end of help -->", re.DOTALL)


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


def block(name: str) -> str:
    """The help of one command as a marked part of the README."""
    return f"<!-- help: {name} -->\n```text\n{help_text(name)}```\n<!-- end of help -->"


def renew(readme: str) -> str:
    """The README with every marked part written anew; a command that is gone leaves its marker empty-handed."""
    return _BLOCK.sub(lambda match: block(match[1]), readme)


def shown(readme: str) -> tuple[str, ...]:
    """The names of the commands whose help the README shows."""
    return tuple(match[1] for match in _BLOCK.finditer(readme))


def _below(group: click.Group, context: click.Context) -> Iterator[tuple[str, click.Command, click.Context]]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None, "a group lists only commands it has"
        own = click.Context(command, info_name=name, parent=context, max_content_width=WIDTH, terminal_width=WIDTH)
        yield own.command_path, command, own
        if isinstance(command, click.Group):
            yield from _below(command, own)
