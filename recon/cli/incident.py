"""``recon report incident``: notification, update, resolution and post-mortem, filled with what was measured."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from recon.cli.common import MomentOption, config_option, resolve_moment, settings_from, write_stdout
from recon.core.times import second_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from recon.core.model import Plan
    from recon.setup.settings import Settings
    from recon.snapshots.sealed import Snapshot

PLANS_MAX: Final = 50
"""Most plans of the history in one timeline."""

_FILE = click.Path(path_type=Path, dir_okay=False)
_PATH = click.Path(path_type=Path)


@click.command()
@click.argument("kind", type=click.Choice(["notification", "update", "resolution", "post-mortem"]))
@config_option
@click.option("--title", required=True, help="A few words for the headline.")
@click.option("--severity", type=click.IntRange(1, 4), default=2, show_default=True, help="1 is the worst.")
@click.option("--began", type=MomentOption(), help="When it began, UTC; otherwise the first burst in the logs.")
@click.option("--noticed", type=MomentOption(), help="When somebody noticed, UTC.")
@click.option("--resolved", type=MomentOption(), help="When it was over, UTC.")
@click.option("--action", "actions", multiple=True, help="Something that was done; repeatable.")
@click.option("--open", "open_items", multiple=True, help="Something that is left, and who does it; repeatable.")
@click.option("--plan", "plan_path", type=_FILE, help="Plan to count by; the latest of the history unless named.")
@click.option("--before", "before_path", type=_FILE, help="Plan from before the repair, to compare with.")
@click.option(
    "--snapshot",
    "snapshot_path",
    type=_PATH,
    help="The plan's snapshot, to count users; otherwise it is looked for in the output directory.",
)
@click.option("--access-log", "logs", multiple=True, type=_FILE, help="Web server log; repeatable.")
@click.option("--deliveries", "places", multiple=True, type=_PATH, help="Delivery records; repeatable.")
@click.option("--ask", is_flag=True, help="Ask every source and the backend whether they answer, as recon doctor does.")
def incident(*, kind: str, config_path: Path | None, **given: Any) -> None:
    """Fill an incident text with counts, money and timeline.

    Reads the latest plan with its snapshot, the history of plans since it began, and logs and delivery records if
    named; writes Markdown to stdout. Facts and guesses stand apart; what nobody measured is said to be so.

    \b
    Example: recon report incident notification --title "webhooks refused" --severity 2 --access-log access.log
    """
    from recon.cli.triage import first_page_of, named_or_latest_plan
    from recon.investigation.incident.access_log import triage_access_log
    from recon.investigation.incident.write_up import incident_of, render_incident, with_plans
    from recon.plans.file import load_plan
    from recon.snapshots.sealed import open_snapshot

    settings = settings_from(config_path)
    now = settings.now()
    path, plan = given["snapshot_path"], named_or_latest_plan(settings, given["plan_path"])
    own = None if plan is None or path is not None else _own_snapshot(settings, plan)
    began = resolve_moment(given["began"], now=now)
    logs = triage_access_log(given["logs"]) if given["logs"] else None
    made = incident_of(
        given["title"],
        page=first_page_of(settings, plan=plan, logs=logs, places=given["places"], ask=given["ask"]),
        plan=plan,
        before=load_plan(given["before_path"]) if given["before_path"] else None,
        logs=logs,
        snapshot=open_snapshot(path) if path is not None else own,
    )
    filled = replace(
        with_plans(made, _plans_since(settings, began)),
        severity=given["severity"],
        started_at=began or made.started_at,
        detected_at=resolve_moment(given["noticed"], now=now),
        resolved_at=resolve_moment(given["resolved"], now=now),
        actions=given["actions"],
        open_items=given["open_items"],
    )
    write_stdout(render_incident(kind, filled))


def _own_snapshot(settings: Settings, plan: Plan) -> Snapshot | None:
    """The plan's snapshot; one that was changed since counts nobody, and the text says "not measured"."""
    from recon.core.errors import ReconError
    from recon.snapshots.sealed import find_snapshot

    try:
        return find_snapshot(settings.output_dir, plan.snapshot)
    except ReconError:
        return None


def _plans_since(settings: Settings, began: datetime | None) -> list[Mapping[str, Any]]:
    """The plans of this target since an incident began; none where nobody says when that was."""
    from recon.plans.history import load_history

    if began is None:
        return []
    since = second_text(began)
    entries = load_history(settings.output_dir).entries
    mine = [each for each in entries if each.get("target") in (None, settings.target_name) and str(each["at"]) >= since]
    return mine[-PLANS_MAX:]
