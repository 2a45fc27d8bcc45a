"""``recon gates`` and ``recon sample``: may we roll back, may we re-enable, and the sample that two people sign."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from recon.cli.common import (
    Command,
    config_option,
    format_option,
    free_path,
    note,
    operator_name,
    print_result,
    settings_from,
)
from recon.cli.lazy import DONE, REFUSED
from recon.sources.providers.installed import first_provider, providers

if TYPE_CHECKING:
    from datetime import datetime

    from recon.rails.gates.judge import GateReport
    from recon.setup.settings import Settings

_FILE = click.Path(path_type=Path, dir_okay=False)


def evidence_options(command: Command) -> Command:
    """The options that name what gates are judged by."""
    for option in (
        click.option("--sample", "sample_path", type=_FILE, help="The signed manual sample."),
        click.option("--deliveries", type=_FILE, help="File of webhook delivery records, one JSON object a line."),
        click.option(
            "--plan", "evidence", type=_FILE, help="Plan to judge by; the latest of the history unless named."
        ),
    ):
        command = option(command)
    return command


@click.group()
def gates() -> None:
    """Judge whether to roll back and whether to re-enable; nothing is changed by it."""


@gates.command()
@click.argument("provider", default=first_provider())
@config_option
@evidence_options
@format_option
def rollback(provider: str, config_path: Path | None, output: str, **given: Any) -> None:
    """Judge the rollback criteria of a rail: roll back, escalate, stay, or cannot tell.

    Reads the run history, the latest plan and the delivery records; writes nothing. Leaves with 3 unless the rail may
    stay.

    \b
    Example: recon gates rollback request_network --deliveries deliveries.ndjson
    """
    from recon.reports.views.gates import render_gates

    settings = settings_from(config_path)
    report = judged(settings, provider, question="rollback", now=settings.now(), given=given)
    steps = [f"Nothing has changed. To do it: recon flags rollback --recipe incident --sick {report.provider}"]
    print_result(render_gates(report, next_steps=steps if report.decision == "roll_back" else ()), output)
    sys.exit(DONE if report.decision == "stay" else REFUSED)


@gates.command()
@click.argument("provider")
@config_option
@evidence_options
@format_option
def enable(provider: str, config_path: Path | None, output: str, **given: Any) -> None:
    """Judge whether a rail may carry money again; "flags enable" acts on it.

    Reads the run history, the latest plan, delivery records, health checks and the signed sample; writes nothing.
    Leaves with 3 while a gate does not pass.

    \b
    Example: recon gates enable request_network --deliveries deliveries.ndjson --sample sample.json
    """
    from recon.reports.views.gates import render_gates

    settings = settings_from(config_path)
    report = judged(settings, provider, question="enable", now=settings.now(), given=given)
    steps = [f"Nothing has changed. To do it: recon flags enable {report.provider}"]
    print_result(render_gates(report, next_steps=steps if report.decision == "enable" else ()), output)
    sys.exit(DONE if report.decision == "enable" else REFUSED)


@gates.command()
@click.argument("provider")
@config_option
def check(provider: str, config_path: Path | None) -> None:
    """Make one deployment health check of a rail and of the backend, and record it.

    Asks the rail and every probe of the backend once; adds one line to the file of health checks. Leaves with 3 when
    something was not well.

    \b
    Example: recon gates check request_network
    """
    from recon.rails.gates.evidence import append_health, check_health
    from recon.setup.open_rails import backend_probes, flag_setup, open_prober

    settings = settings_from(config_path)
    record = check_health(
        rail_of(settings, provider),
        setup=flag_setup(settings),
        prober=open_prober(settings),
        backend=backend_probes(settings),
        now=settings.now(),
    )
    append_health(settings.output_dir, record)
    note(f"{record.provider} is {'well' if record.is_ok else 'NOT WELL'}: {record.why}")
    sys.exit(DONE if record.is_ok else REFUSED)


def judged(settings: Settings, provider: str, *, question: str, now: datetime, given: Mapping[str, Any]) -> GateReport:
    """Read the evidence that the options name and judge one question by it."""
    from recon.plans.file import load_plan
    from recon.rails.gates.judge import judge_enable, judge_rollback
    from recon.rails.gates.records import SignedSample
    from recon.rails.gates.sample import load_sample, load_sign_offs
    from recon.setup.open_rails import read_evidence

    path, plan = given.get("sample_path"), given.get("evidence")
    evidence = read_evidence(
        settings,
        now=now,
        plan=load_plan(plan) if plan else None,
        deliveries=given.get("deliveries"),
        sample=SignedSample(load_sample(path), load_sign_offs(path)) if path else None,
    )
    judge = judge_enable if question == "enable" else judge_rollback
    return judge(rail_of(settings, provider), evidence, limits=settings.values.gates.limits(), now=now)


def rail_of(settings: Settings, word: str) -> str:
    """Our name for a rail that a command names. Raises UsageError when there is none of that name."""
    if (rail := settings.values.flags.words().rail(word)) is None:
        raise click.UsageError(f"{word[:60]!r} is no rail that is known; use {' or '.join(providers())}.")
    return rail


@click.group(invoke_without_command=True)
@config_option
@click.option("--provider", help="The rail to sample.")
@click.option("--size", type=click.IntRange(1, 1000), default=10, show_default=True, help="How many payments.")
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed draws the same payments.")
@click.option("--plan", "plan_path", type=_FILE, help="Plan whose judgements are checked; the latest unless named.")
@click.option(
    "--snapshot", "snapshot_path", type=click.Path(path_type=Path), help="Its snapshot, for payments in sync."
)
@click.option("--out", type=_FILE, help="Sample file to write.")
@format_option
@click.pass_context
def sample(context: click.Context, /, *, config_path: Path | None, output: str, **given: Any) -> None:
    """Draw the manual sample that two people check, spread over verdicts and sizes.

    Reads a plan and its snapshot; writes one sample file, which each of the two signs with "sample sign".

    \b
    Example: recon sample --provider request_network --size 10 --seed 7 --out sample.json
    """
    if context.invoked_subcommand is not None:
        return
    from recon.rails.gates.sample import make_sample, save_sample
    from recon.reports.views.gates import render_sample
    from recon.setup.open_rails import sample_candidates

    settings = settings_from(config_path)
    if not given["provider"]:
        raise click.UsageError("Name the rail with --provider.")
    rail, now = rail_of(settings, given["provider"]), settings.now()
    plan, candidates = sample_candidates(settings, rail, plan_path=given["plan_path"], snapshot=given["snapshot_path"])
    drawn = make_sample(
        candidates, provider=rail, size=given["size"], seed=given["seed"], plan=(plan.digest, plan.created_at), now=now
    )
    path = given["out"] or free_path(settings.output_dir / f"sample-{rail}-{now:%Y%m%dT%H%M%SZ}.json")
    save_sample(drawn, path)
    print_result(render_sample(drawn, (), path=str(path)), output)


@sample.command()
@click.argument("path", metavar="SAMPLE", type=_FILE)
@config_option
@click.option("--right", multiple=True, metavar="ID", help='This row is judged rightly; repeatable, or "all".')
@click.option("--wrong", multiple=True, metavar="ID", help="This row is judged wrongly; repeatable.")
@click.option("--note", "notes", multiple=True, metavar="ID=TEXT", help="What was seen; repeatable.")
@click.option("--by", "operator", help="Who looked; the login name unless named.")
@format_option
def sign(*, path: Path, config_path: Path | None, output: str, operator: str | None, **given: Any) -> None:
    """Record what one person found, for every row of a sample.

    Reads the sample and its sign-offs; writes one sign-off beside it. The same person cannot sign twice.

    \b
    Examples: recon sample sign sample.json --right all --by "Ada Lovelace"
              recon sample sign sample.json --right all --wrong 64b0... --note "64b0...=paid on another chain"
    """
    from recon.rails.gates.sample import load_sample, load_sign_offs, save_sign_off, sign_sample
    from recon.reports.views.gates import render_sample

    settings, drawn = settings_from(config_path), load_sample(path)
    findings = {row.payment_id: "right" for row in drawn.rows if "all" in given["right"]}
    findings |= {name: "right" for name in given["right"] if name != "all"}
    findings |= dict.fromkeys(given["wrong"], "wrong")
    notes = dict(text.partition("=")[::2] for text in given["notes"])
    signs = load_sign_offs(path)
    made = sign_sample(
        drawn, signs, operator=operator or operator_name(), findings=findings, notes=notes, now=settings.now()
    )
    save_sign_off(made, path)
    print_result(render_sample(drawn, (*signs, made), path=str(path)), output)
