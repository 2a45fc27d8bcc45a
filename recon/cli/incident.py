"""``recon report incident``: the texts of an incident, filled with what was measured and with what people say."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from recon.cli.common import MomentOption, config_option, note, write_stdout
from recon.cli.lazy import DONE, INCOMPLETE
from recon.cli.progress import ShownProgress

_FILE = click.Path(path_type=Path, dir_okay=False)
_PATH = click.Path(path_type=Path)
_KINDS: Final = ("notification", "update", "resolution", "customer", "status-page", "hand-over", "post-mortem")
_STATUSES: Final = ("investigating", "identified", "mitigating", "monitoring", "resolved")
_TIMES: Final = (
    ("began", "When it began, UTC; otherwise the first burst in the logs."),
    ("noticed", "When it was noticed, UTC."),
    ("acknowledged", "When it was taken on, UTC."),
    ("mitigated", "When its effects stopped, UTC."),
    ("verified", "When that was verified, UTC."),
    ("resolved", "When it was over, UTC."),
    ("closed", "When it was closed, UTC."),
    ("next-update", "When the next text comes, UTC, or how long from now; otherwise in 15min."),
    ("expected", "When it should be over, UTC, or how long from now."),
)
_SAYINGS: Final = (
    ("on-call", "NAME", "Who is on call."),
    ("takes-over", "NAME", "Who takes the shift over."),
    ("effect", "TEXT", "How it shows outside, for the status page."),
    ("summary", "TEXT", "What happened, in a few sentences."),
    ("trigger", "TEXT", "What set it off."),
    ("root-cause", "TEXT", "The underlying cause, in one sentence."),
    ("fix", "TEXT", "The permanent fix, with its ticket."),
    ("post-mortem", "LINK", "Where the post-mortem is."),
    ("data-loss", "TEXT", "Which data were lost, or none."),
)
_LISTS: Final = (
    ("feature", "features", "A feature that customers miss, in their words; repeatable."),
    ("author", "authors", "Who writes the post-mortem; repeatable."),
    ("tag", "tags", "A tag of the post-mortem; repeatable."),
    ("action", "actions", "Something that was done or is being tried; repeatable."),
    ("event", "events", "A UTC time and what happened then, for the timeline; repeatable."),
    ("open", "open_items", "Something that is left, as WHAT | OWNER | DUE | TICKET; repeatable."),
    ("well", "well", "Something that went well; repeatable."),
    ("poorly", "poorly", "Something that went poorly; repeatable."),
    ("lucky", "lucky", "Where luck helped; repeatable."),
    ("detection", "detection", "How it is to be noticed sooner; repeatable."),
    ("process", "process", "What is to change in how people work; repeatable."),
    ("runbook", "runbooks", "A runbook and whether it is current; repeatable."),
)
Command = TypeVar("Command", bound=Callable[..., Any])


class _KindOption(click.Choice[str]):
    """The name of a text, or another word that people use for it."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Read it."""
        from recon.api.incident import KIND_ALIASES

        return super().convert(KIND_ALIASES.get(str(value).lower(), value), param, ctx)


def _said(command: Command) -> Command:
    """The options for what people say."""
    for name, place, words in reversed(_LISTS):
        command = click.option(f"--{name}", place, multiple=True, metavar="TEXT", help=words)(command)
    for name, metavar, words in reversed(_SAYINGS):
        command = click.option(f"--{name}", metavar=metavar, help=words)(command)
    for name, words in reversed(_TIMES):
        command = click.option(f"--{name}", type=MomentOption(), help=words)(command)
    return command


@click.command()
@click.argument("kind", type=_KindOption(_KINDS, case_sensitive=False))
@config_option
@click.option("--title", required=True, help="A few words for the headline; texts for people outside leave it out.")
@click.option("--severity", type=click.IntRange(1, 4), default=2, show_default=True, help="1 is the worst.")
@click.option("--status", type=click.Choice(_STATUSES), help="Where it stands; resolved with --resolved.")
@click.option(
    "--rail", "rails", multiple=True, metavar="NAME", help="A rail it is on; otherwise those of the bursts; repeatable."
)
@click.option("--number", type=click.IntRange(1), help="Which update this is, or the last one at a hand-over.")
@_said
@click.option("--plan", type=_FILE, help="Plan to count by; the latest of the history unless named.")
@click.option(
    "--before", type=_FILE, help="Plan from before the repair; otherwise that with the most breaks since it began."
)
@click.option(
    "--snapshot",
    type=_PATH,
    help="The plan's snapshot; otherwise it is looked for beside the plan and in the output directory.",
)
@click.option("--access-log", multiple=True, type=_FILE, help="Web server log; repeatable.")
@click.option("--log-format", metavar="FORMAT", help="Format of the log lines, as the server's configuration has it.")
@click.option("--deliveries", multiple=True, type=_PATH, help="Delivery records; repeatable.")
@click.option("--ask", is_flag=True, help="Ask every source and the backend whether they answer, as recon doctor does.")
def incident(*, kind: str, config_path: Path | None, **given: Any) -> None:
    """Fill the text of an incident, every figure held to its rails and its time.

    Reads the latest plan with its snapshot, the history of plans, logs and delivery records if named, and for a
    resolution, a hand-over and a post-mortem the journals of runs and flags; writes Markdown to stdout and changes
    nothing. Payments outside the incident stand apart, and so do guesses; what nobody has said or measured reads "not
    known", with the option that would fill it. The texts for customers and the status page carry no figure, cause or
    guess. Without a configuration --plan has to be given: the plan and its snapshot hold what is counted. Leaves with 4
    when something could not be read.

    \b
    Examples: recon report incident notification --title "webhooks refused" --access-log access.log
              recon report incident update --title "webhooks refused" --number 2 --rail shkeeper --began 40min
              recon report incident customer --title x --feature "Paying with USDC" --status monitoring --began 40min
    """
    from recon.api.incident import incident as write_up
    from recon.investigation.incident.account import FOR_OUTSIDE

    with ShownProgress() as progress:
        text = write_up(kind, config=config_path, progress=progress, **given)
    write_stdout(text)
    if kind in FOR_OUTSIDE:
        for sentence in text.unread:
            note(f"Could not be read: {sentence}")
    sys.exit(INCOMPLETE if text.unread else DONE)
