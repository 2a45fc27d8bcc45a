"""``recon gates`` and ``recon sample``: may we roll back, may we re-enable, and the sample that two people sign."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from recon.cli.common import Command, config_option, format_option, key_option, note, print_result
from recon.cli.lazy import DONE, INCOMPLETE, REFUSED
from recon.sources.providers.installed import first_provider

_FILE = click.Path(path_type=Path, dir_okay=False)


def gate_evidence(command: Command) -> Command:
    """The options that name what gates are judged by."""
    for option in (
        click.option("--sample", type=_FILE, help="The signed manual sample."),
        click.option("--deliveries", type=_FILE, help="File of webhook delivery records, one JSON object a line."),
        click.option("--plan", type=_FILE, help="Plan to judge by; the latest of the history unless named."),
    ):
        command = option(command)
    return command


@click.group()
def gates() -> None:
    """Judge whether to roll back and whether to re-enable; nothing is changed by it."""


@gates.command()
@click.argument("provider", default=first_provider())
@config_option
@gate_evidence
@format_option
def rollback(provider: str, config_path: Path | None, output: str, **given: Any) -> None:
    """Judge the rollback criteria of a rail: roll back, escalate, stay, or cannot tell.

    Reads the run history, the latest plan and the delivery records; writes nothing. Leaves with 3 when the rail must be
    rolled back or the matter escalated, with 4 when the evidence does not tell.

    \b
    Example: recon gates rollback request_network --deliveries deliveries.ndjson
    """
    from recon.api.gates import rollback as judge
    from recon.reports.views.gates import render_gates

    report = judge(provider, config=config_path, **given)
    steps = [f"Nothing has changed. To do it: recon flags rollback --recipe incident --sick {report.provider}"]
    print_result(render_gates(report, next_steps=steps if report.decision == "roll_back" else ()), output)
    sys.exit(INCOMPLETE if not report.is_told else DONE if report.decision == "stay" else REFUSED)


@gates.command()
@click.argument("provider")
@config_option
@gate_evidence
@format_option
def enable(provider: str, config_path: Path | None, output: str, **given: Any) -> None:
    """Judge whether a rail may carry money again; "flags enable" acts on it.

    Reads the run history, the latest plan, delivery records, health checks and the signed sample; writes nothing.
    Leaves with 3 while a gate fails, with 4 when none fails and one could not be measured.

    \b
    Example: recon gates enable request_network --deliveries deliveries.ndjson --sample sample.json
    """
    from recon.api.gates import enable as judge
    from recon.reports.views.gates import render_gates

    report = judge(provider, config=config_path, **given)
    steps = [f"Nothing has changed. To do it: recon flags enable {report.provider}"]
    print_result(render_gates(report, next_steps=steps if report.decision == "enable" else ()), output)
    sys.exit(INCOMPLETE if not report.is_told else DONE if report.decision == "enable" else REFUSED)


@gates.command()
@click.argument("provider")
@config_option
def check(provider: str, config_path: Path | None) -> None:
    """Make one deployment health check of a rail and of the backend, and record it.

    Asks the rail and every probe of the backend once; adds one line to the file of health checks. Leaves with 3 when
    something was not well, with 4 when nothing was bad and something could not be asked.

    \b
    Example: recon gates check request_network
    """
    from recon.api.gates import check as check_once

    record = check_once(provider, config=config_path)
    note(f"{record.provider}: {record.outcome}, {record.why}")
    sys.exit(DONE if record.is_ok else REFUSED if record.is_told else INCOMPLETE)


@click.group(invoke_without_command=True)
@config_option
@click.option("--provider", help="The rail to sample.")
@click.option("--size", type=click.IntRange(1, 1000), default=10, show_default=True, help="How many payments.")
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed draws the same payments.")
@click.option("--plan", type=_FILE, help="Plan whose judgements are checked; the latest unless named.")
@click.option("--snapshot", type=click.Path(path_type=Path), help="Its snapshot, for payments in sync.")
@click.option("--out", type=_FILE, help="Sample file to write.")
@format_option
@click.pass_context
def sample(
    context: click.Context, /, *, config_path: Path | None, provider: str | None, output: str, **given: Any
) -> None:
    """Draw the manual sample that two people check, spread over verdicts and sizes.

    Reads a plan and its snapshot; writes one sample file, which each of the two signs with "sample sign".

    \b
    Example: recon sample --provider request_network --size 10 --seed 7 --out sample.json
    """
    if context.invoked_subcommand is not None:
        return
    from recon.api.sample import draw
    from recon.reports.views.gates import render_sample

    if not provider:
        raise click.UsageError("Name the rail with --provider.")
    places: list[Path] = []
    drawn = draw(provider, config=config_path, on_saved=places.append, **given)
    print_result(render_sample(drawn, (), path=str(places[0])), output)


@sample.command()
@click.argument("path", metavar="SAMPLE", type=_FILE)
@config_option
@click.option("--right", multiple=True, metavar="ID", help='This row is judged rightly; repeatable, or "all".')
@click.option("--wrong", multiple=True, metavar="ID", help="This row is judged wrongly; repeatable.")
@click.option("--note", "notes", multiple=True, metavar="ID=TEXT", help="What was seen; repeatable.")
@click.option("--by", "operator", help="Who looked; the login name unless named.")
@key_option
@format_option
def sign(
    *,
    path: Path,
    config_path: Path | None,
    notes: tuple[str, ...],
    operator: str | None,
    output: str,
    **given: Any,
) -> None:
    """Record what one person found, for every row of a sample.

    Reads the sample and its sign-offs; writes one sign-off beside it. The same person cannot sign twice. With
    [approvals] allowed_signers it must be signed with your SSH key.

    \b
    Examples: recon sample sign sample.json --right all --by "Ada Lovelace"
              recon sample sign sample.json --right all --wrong 64b0... --note "64b0...=paid on another chain"
    """
    from recon.api.sample import sign as sign_rows
    from recon.reports.views.gates import render_sample

    seen = dict(text.partition("=")[::2] for text in notes)
    drawn, signs = sign_rows(path, notes=seen, operator=operator, config=config_path, **given)
    print_result(render_sample(drawn, signs, path=str(path)), output)
