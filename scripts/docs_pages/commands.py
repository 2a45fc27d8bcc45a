"""The page of every command's help, word for word, and the page of exit codes."""

from __future__ import annotations

from typing import Final

from docs_pages.words import made, table
from recon.cli import lazy
from recon.cli.helptext import commands, help_text

_CODES: Final = {
    lazy.DONE: ("nothing to do, or done", ""),
    lazy.DIFFERENCES: ("differences found: breaks that nobody has acknowledged", "review them: `recon show latest`"),
    lazy.USAGE: (
        "usage: an option, a setting or a secret is missing or wrong", "the sentence on stderr says which one"
    ),
    lazy.REFUSED: (
        "refused as unsafe; nothing was changed",
        "read the sentence; a limit names the option that raises it, a moved row wants a new plan",
    ),
    lazy.INCOMPLETE: (
        "a source was unreachable or not read completely (outranks 1)", "`recon doctor` says which; then run it again"
    ),
    lazy.STOPPED: (
        "stopped midway; the journal knows where", "the same command with `--resume RUN` settles it and goes on"
    ),
    lazy.BUG: ("a mistake in `recon` itself", "`RECON_DEBUG=1` shows where; report it"),
    lazy.INTERRUPTED: ("interrupted by Ctrl-C (129 by a hangup, 143 by SIGTERM)", "run it again"),
    lazy.PIPE_CLOSED: ("nobody reads the output any more", ""),
}  # fmt: skip
"""What each exit code means, and what to do."""


def commands_page() -> str:
    """Every command with its help."""
    parts = [f"## `{name}`\n\n```text\n{help_text(name)}```" for name, _, _ in commands()]
    lead = (
        "The help of every command, as `--help` behind it prints it. Where a plan to review or apply, or a run, is "
        "named, `latest` and the beginning of its name or digest do; `recon report` and snapshots want the path. "
        "Results go to stdout, everything else to stderr; what exit codes mean stands in [Exit codes](exit-codes.md)."
    )
    return made("Commands", lead, *parts)


def exit_codes_page() -> str:
    """What a command's exit code means."""
    known = {
        value for name, value in vars(lazy).items() if name.isupper() and name[0] != "_" and isinstance(value, int)
    }
    if known != set(_CODES):
        raise ValueError(f"exit codes without a sentence, or too many: {sorted(known ^ set(_CODES))}")
    rows = [(code, *said) for code, said in _CODES.items()]
    return made(
        "Exit codes",
        "A script can go by them; they mean the same with every command.",
        table(("code", "means", "what to do"), rows),
        "A nightly job usually wants `recon plan --new-only`: 1 only for breaks that the plan before had not.",
    )
